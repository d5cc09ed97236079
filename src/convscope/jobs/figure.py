"""Figures for print: channels of several layers, each with its strongest images and what of them reached it.

A :class:`Panel` holds some channels of one layer, from a network and its images or from a run that was recorded; a row
of :data:`LAYOUTS` says what is put where; :func:`draw` makes one picture of it with Pillow alone, always the same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, not_found
from convscope.inspect.attribution import Finished
from convscope.inspect.patches import LARGEST_TILE, shrink, tile_size
from convscope.inspect.topk import TopK
from convscope.jobs.page import Cell, Group, Page

if TYPE_CHECKING:
    from PIL.Image import Image

    from convscope.nets.data import ImageSet
    from convscope.nets.torch import Model
    from convscope.store import Run
    from convscope.store.records import Record

Pixels = npt.NDArray[np.uint8]

FIGURE2_CHANNELS: Final = (9, 16, 12, 10, 10)
"""How many channels of each of its five layers [ZF14] Fig. 2 shows."""
TOLERANCE: Final = 1e-4
"""How far a recomputed activation may be from the recorded one, of the layer's largest: what the projecting allows."""
CONTRAST: Final = 99.0
"""Full contrast is what so many percent of a channel's projected pixels stay below: enough to see them in print."""


@dataclass(frozen=True)
class Layout:
    """What is put where.

    Attributes
    ----------
    name, source
        What it is called, and where it is from.
    columns
        What stands side by side, and of which pictures each block of a channel there consists: ``projection``,
        ``patch``, or both.
    across
        How many blocks fit side by side on the page.
    most
        How many channels a layer has side by side at most.
    """

    name: str
    source: str
    columns: tuple[tuple[str, ...], ...]
    across: int
    most: int


LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout("figure2", "[ZF14] Fig. 2", (("projection",), ("patch",)), 16, 4),
        Layout("pairs", "each channel's projections beside its patches", (("projection", "patch"),), 16, 8),
        Layout("patches", "the strongest patches alone", (("patch",),), 16, 16),
        Layout("projections", "the projections alone", (("projection",),), 16, 16),
    )
}


@dataclass(frozen=True)
class Panel:
    """Some channels of a layer, ready to be drawn.

    Attributes
    ----------
    title
        What stands above it.
    layer, network, dataset, images
        What was searched: the layer, its network, the data set and how many of its images.
    channels, total
        Which channels are shown, ``(n,)``, and how many the layer has.
    value
        Their scores, ``(n, k)``, best first.
    patch, projection
        Tiles ``(n, k, h, w, 3)`` or ``(..., 1)``: pictures, and signed values.
    rule, report
        How they were projected back, and where the rule could be applied.
    field
        Height and width of what a position sees, in pixels; ``None`` for the whole image.
    mismatches
        How many recomputed activations differ from those that were recorded.
    """

    title: str
    layer: str
    network: str
    dataset: str
    images: int
    channels: npt.NDArray[np.int64]
    total: int
    value: npt.NDArray[np.float32]
    patch: Pixels
    projection: npt.NDArray[np.float32]
    rule: str
    report: str
    field: tuple[int, int] | None
    mismatches: int = 0


def some_channels(
    value: npt.NDArray[np.float32], count: int | None, seed: int | Sequence[int] = 0
) -> npt.NDArray[np.int64]:
    """Return channels drawn at random from those that any image excites, in ascending order; all of those for ``None``.

    >>> some_channels(np.array([[3.0], [0.0], [2.0], [1.0]], np.float32), 2, seed=0).tolist()
    [2, 3]

    Parameters
    ----------
    value
        Scores ``(C, k)``, best first: ``TopK.value``.
    count
        How many; fewer where fewer are excited.
    seed
        Of the draw, one number or several (a seed and the layer's number, so that layers of equal size do not show the
        same channels). The same seed, scores and count give the same channels.
    """
    if count is not None and count < 1:
        raise InputError(f"a figure shows at least one channel, got {count}")
    alive = np.flatnonzero(value[:, 0] > 0)
    if count is None or count >= len(alive):
        return alive
    return np.sort(np.random.default_rng(seed).choice(alive, count, replace=False))


def panel(
    model: Model,
    top: TopK,
    images: ImageSet,
    channels: Sequence[int] | npt.NDArray[np.int64],
    *,
    rule: str = "deconvnet",
    mode: str = "single",
    title: str = "",
    largest: int = LARGEST_TILE,
) -> Panel:
    """Project channels of a layer back to the pixels and cut out what they saw.

    Parameters
    ----------
    model, images
        The network, and the images it was shown.
    top
        What ``model.top_k`` found for the layer.
    channels
        Which channels; :func:`some_channels` draws some.
    rule, mode
        As in ``model.attribute``.
    title
        What stands above it; the layer's name by default.
    largest
        Pixels a side that its tiles have at most: as many as they are printed with.
    """
    from convscope.jobs.channels import small_patches  # needs torch, which a figure of a run does not

    numbers = [int(channel) for channel in channels]
    if not numbers:
        raise InputError(f"layer {top.layer!r} has no channel to show; none is excited by these images")
    size = tile_size(top.tile_size, largest)
    projection = np.zeros((len(numbers), top.k, *size, model.input_shape[0]), np.float32)

    def keep(batch: Finished) -> None:
        small = shrink(batch.tiles, size)
        rows, ranks = batch.slots.T
        projection[rows, ranks] = small[..., ::-1] if images.preprocessing.order == "BGR" else small

    found = model.attribute_each(top, images, keep=keep, rules=[rule], mode=mode, channels=numbers)
    chosen = replace(top, value=top.value[numbers], image=top.image[numbers], position=top.position[numbers])
    return Panel(
        title=title or top.layer,
        layer=top.layer,
        network=top.network,
        dataset=top.dataset,
        images=top.images_seen,
        channels=np.asarray(numbers, np.int64),
        total=top.channels,
        value=chosen.value,
        patch=small_patches(chosen, images.display, size),
        projection=projection,
        rule=rule,
        report=found.reports[rule].sentence(),
        field=None if top.shows_whole_image else top.receptive_field.size,
        mismatches=found.mismatches,
    )


def panels_of_run(
    run: Run,
    layers: Sequence[str] | None = None,
    *,
    count: int | Sequence[int] | None = None,
    seed: int = 0,
    rule: str | None = None,
) -> list[Panel]:
    """Return a panel of each layer that a run has top images of, without the network.

    Parameters
    ----------
    run
        What ``convscope inspect`` or ``record_top_k`` has written.
    layers
        Which layers, by their tags; all by default.
    count
        How many channels are drawn at random: of each layer, or one number a layer; all by default.
    seed
        Of the draw.
    rule
        Which projections; the first that was recorded by default.

    Raises
    ------
    NotFoundError
        If a layer or the rule is not there.
    InputError
        If the run has no top images at all.
    """
    newest = {entry.tag: entry for entry in run.entries("topk")}
    if not newest:
        raise InputError(f"{run.name} holds no top images; convscope inspect writes them")
    tags = list(newest) if layers is None else list(layers)
    if unknown := [tag for tag in tags if tag not in newest]:
        raise not_found("layer", unknown[0], newest, run.name)
    counts = list(count) if isinstance(count, Sequence) else [count] * len(tags)
    if len(counts) != len(tags):
        raise InputError(f"{len(counts)} counts of channels for {len(tags)} layers; give one for each")
    return [
        _recorded(run.record(newest[tag]), of_layer, (seed, number), rule)
        for number, (tag, of_layer) in enumerate(zip(tags, counts, strict=True), 1)
    ]


def _recorded(record: Record, count: int | None, seed: Sequence[int], rule: str | None) -> Panel:
    """Return the panel of a record of kind ``topk``."""
    meta, arrays = record.meta, record.arrays()
    rules: list[str] = meta.get("rules", [])
    name = rule or (rules[0] if rules else "")
    if name not in rules or "projection_scale" not in arrays:
        raise not_found("projections by rule", name, rules, f"the record of layer {record.tag!r}")
    value = arrays["value"]
    channels = some_channels(value, count, seed)
    strength = arrays["projection_scale"][rules.index(name)][channels]
    signed = (record.tiles(name, channels).astype(np.float32) - 128) / 127
    wrong = ~np.isclose(
        arrays["recomputed"], value, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(value).max(initial=0))
    )
    field = meta["receptive_field"].get("size")
    return Panel(
        title=record.tag,
        layer=str(meta["layer"]),
        network=str(meta["network"]),
        dataset=str(meta["dataset"]),
        images=int(meta["images_seen"]),
        channels=channels,
        total=len(value),
        value=value[channels],
        patch=record.tiles("patch", channels),
        projection=signed * strength[:, :, None, None, None],
        rule=name,
        report=str(meta.get("rule_reports", {}).get(name, "")),
        field=None if meta.get("whole_image") or not field else (int(field[0]), int(field[1])),
        mismatches=int(wrong[channels].sum()),
    )


def shared_contrast(values: npt.NDArray[np.float32]) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """Return projections as pictures, those of a channel with one contrast, so that their strengths can be compared.

    >>> pictures, scale = shared_contrast(np.array([[[[[1.0]]], [[[-4.0]]]]], np.float32))
    >>> pictures.ravel(), scale
    (array([160,   1], dtype=uint8), array([4.], dtype=float32))

    Parameters
    ----------
    values
        Signed, ``(n, k, h, w, c)``.

    Returns
    -------
    tuple
        The pictures, 128 is zero; and what full contrast stands for in each channel, ``(n,)``: the 99th percentile of
        its absolute values, or the largest where hardly a pixel is not zero.
    """
    size = np.abs(values).reshape(len(values), -1)
    scale = np.percentile(size, CONTRAST, axis=1, method="higher").astype(np.float32)
    scale = np.where(scale > 0, scale, size.max(1)).astype(np.float32)
    share = values / np.where(scale > 0, scale, 1)[:, None, None, None, None]
    return np.rint(128 + 127 * np.clip(share, -1, 1)).astype(np.uint8), scale


def caption(panels: Sequence[Panel]) -> str:
    """Say what a figure shows: network, data set, number of images, rule, where it could be applied, how to read it."""
    last = max(panels, key=lambda one: one.report)  # of the reports "n of n ReLUs", that of the deepest layer
    shown = sum(one.value.size for one in panels)
    wrong = sum(one.mismatches for one in panels)
    check = f"{wrong} of {shown:,} recomputed activations differ from those recorded" if wrong else (
        f"all {shown:,} recomputed activations equal those recorded")  # fmt: skip
    return (
        f"{last.network}: the {last.value.shape[1]} images of {last.dataset} ({last.images:,} images) that excite each "
        f"channel most, and what in them reached it by {last.rule} ({last.report}; {check}). "
        "Grey is zero; full contrast of a channel's projections is the number with ±. Under its patches: the strongest "
        "and the weakest activation of those shown. It shows what reached the channel, not why the network decided."
    )


def draw(panels: Sequence[Panel], layout: str = "figure2", *, width: int = 3600, text: str | None = None) -> Image:
    """Draw panels as one picture, ``mode="RGB"``; the same panels give the same bytes.

    >>> draw(panels, "figure2").save("figure2.png", dpi=(300, 300))              # doctest: +SKIP

    Parameters
    ----------
    panels
        What to draw, one after the other; small ones share a row.
    layout
        A name of :data:`LAYOUTS`.
    width
        Of the picture, in pixels; 3600 are 12 inches at 300 dpi.
    text
        What stands below; :func:`caption` by default.

    Raises
    ------
    NotFoundError
        If there is no such layout.
    InputError
        If there is nothing to draw, or the width is too small to.
    """
    if layout not in LAYOUTS:
        raise not_found("layout", layout, LAYOUTS)
    if not panels:
        raise InputError("there is nothing to draw; give at least one panel")
    how = LAYOUTS[layout]
    side = ceil(sqrt(max(one.value.shape[1] for one in panels)))
    tile = Page(width, how.across, side, [_group(one, how) for one in panels]).tile
    page = Page(width, how.across, side, [_group(one, how, tile) for one in panels])
    return page.picture(caption(panels) if text is None else text)


def _group(one: Panel, how: Layout, tile: int | None = None) -> Group:
    """Return what a layout makes of a panel; without the size its tiles are printed with, only to see what fits."""
    sees = "sees the whole image" if one.field is None else f"sees {one.field[0]} × {one.field[1]} pixels"
    names = {"projection": one.rule.replace("_", " "), "patch": "image patches"}
    pictures = {"patch": one.patch, "projection": one.patch}
    scale = np.zeros(len(one.channels), np.float32)
    if tile is not None:  # contrast is of what is shown
        small = shrink(one.projection, tile_size(one.projection.shape[2:4], tile))
        pictures["projection"], scale = shared_contrast(small)
    under = {
        "projection": [f"±{value:.2g}" for value in scale],
        "patch": [f"{value[0]:.3g} … {value[-1]:.3g}" for value in one.value],
    }
    return Group(
        title=one.title if one.title == one.layer else f"{one.title}  ({one.layer})",
        note=f"{len(one.channels):,} of {one.total:,} channels, each {sees}",
        headings=tuple(" | ".join(names[picture] for picture in column) for column in how.columns),
        columns=tuple(
            [
                Cell(
                    tuple(pictures[name][row] for name in column),
                    tuple(under[name][row] for name in column),
                    str(channel),
                )
                for row, channel in enumerate(one.channels)
            ]
            for column in how.columns
        ),
        most=how.most,
    )
