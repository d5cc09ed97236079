"""Channels of a layer, their strongest images and what of them reached it: from a network or a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, NotFoundError, not_found
from convscope.inspect.attribution import Finished
from convscope.inspect.patches import LARGEST_TILE, shrink, tile_size
from convscope.inspect.topk import TopK

if TYPE_CHECKING:
    from convscope.nets.data import ImageSet
    from convscope.nets.torch import Model
    from convscope.store import Run
    from convscope.store.records import Record

Pixels = npt.NDArray[np.uint8]

TOLERANCE: Final = 1e-4
"""How far a recomputed activation may be from the recorded one, of the layer's largest: what the projecting allows."""


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
    channels: Sequence[int] | None = None,
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
    channels
        Which channels of each layer, in place of some drawn at random.

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
        _recorded(run.record(newest[tag]), of_layer, (seed, number), rule, channels)
        for number, (tag, of_layer) in enumerate(zip(tags, counts, strict=True), 1)
    ]


def _recorded(
    record: Record, count: int | None, seed: Sequence[int], rule: str | None, chosen: Sequence[int] | None
) -> Panel:
    """Return the panel of a record of kind ``topk``."""
    meta, arrays = record.meta, record.arrays()
    rules: list[str] = meta.get("rules", [])
    name = rule or (rules[0] if rules else "")
    if name not in rules or "projection_scale" not in arrays:
        raise not_found("projections by rule", name, rules, f"the record of layer {record.tag!r}")
    value = arrays["value"]
    channels = some_channels(value, count, seed) if chosen is None else _named(chosen, len(value), record.tag)
    if not len(channels):
        raise InputError(f"layer {record.tag!r} has no channel to show; none is excited by these images")
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


def _named(channels: Sequence[int], count: int, layer: str) -> npt.NDArray[np.int64]:
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong:
        raise NotFoundError(f"layer {layer!r} has channels 0 to {count - 1}, no channel {wrong[0]}")
    return np.asarray(channels, np.int64)
