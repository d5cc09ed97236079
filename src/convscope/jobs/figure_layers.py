"""Figures of layers: the strongest images of channels, filters, feature maps, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.composed import moved, room, sheet, stacked
from convscope.drawing.march import Camera
from convscope.drawing.scales import colours_of, levels, number
from convscope.drawing.shapes import Shape, Sheet
from convscope.drawing.stacks import VIEWS, Stack, seen
from convscope.drawing.style import Look
from convscope.drawing.tiles import Bar, Tile, colour_bar, default_columns, tiled
from convscope.errors import InputError, NotFoundError, not_found
from convscope.jobs.figure import FIGURE2_CHANNELS, drawing
from convscope.jobs.figure_runs import Runs, chosen_channels, only_tag, record_of, tags_of_layer
from convscope.jobs.panels import panels_of_run
from convscope.store.records import Record

SCALES: Final = ("shared", "own")
_CLIPPED: Final = 0.02  # of the channels: the strongest would make the others pale
_CHANNELS: Final = 16

Floats = npt.NDArray[np.float64]


def top9(
    runs: Runs,
    look: Look,
    *,
    run: str = "",
    layer: str | Sequence[str] | None = None,
    channels: Sequence[int] | None = None,
    count: int | None = None,
    seed: int = 0,
    rule: str | None = None,
    layout: str = "figure2",
) -> Sheet:
    """Draw channels with their strongest images and what of them reached the channel ([ZF14] Fig. 2).

    Parameters
    ----------
    runs, look
        Of which runs, and how it looks.
    run
        The name of a run, where several have top images.
    layer
        Layers, all by default.
    channels
        Which channels of one layer; by default ``count`` of each are drawn at random.
    count
        How many; by default as many as the paper shows where there are five layers, else 16.
    seed
        Of the draw.
    rule
        Which projections; the first that was recorded by default.
    layout
        A name of :data:`convscope.jobs.figure.LAYOUTS`.
    """
    found = runs.holding("topk", run)
    layers = _layers(layer, found.tags("topk")["topk"])
    if channels is not None and len(layers) != 1:
        raise InputError(f"channels are of one layer, and these are {len(layers)}; name one with --layer (layer=)")
    if channels is not None and count is not None:
        raise InputError("either the channels are named or some are drawn at random; leave out channels or count")
    tags = [tags_of_layer(found, "topk", name)[0] for name in layers]
    counts: int | Sequence[int] = FIGURE2_CHANNELS if len(tags) == len(FIGURE2_CHANNELS) else _CHANNELS
    panels = panels_of_run(found, tags, count=count or counts, seed=seed, rule=rule, channels=channels)
    return drawing(panels, layout, look=look)


def _layers(layer: str | Sequence[str] | None, tags: Sequence[str]) -> list[str]:
    if layer is None or not layer:
        return list(tags)
    return [layer] if isinstance(layer, str) else list(layer)


def filters(
    runs: Runs,
    look: Look,
    *,
    run: str = "",
    layer: str = "",
    channels: Sequence[int] | None = None,
    scale: str = "shared",
    input: int | None = None,  # noqa: A002 - the field's word
    columns: int | None = None,
    step: int | None = None,
) -> Sheet:
    """Draw the filters of a layer.

    Parameters
    ----------
    runs, look, run
        Of which runs, how it looks, and which run is meant.
    layer
        The first layer by default.
    channels
        Which filters; all by default.
    scale
        ``shared`` by the layer, or ``own`` for each filter.
    input
        Which input of each filter; by default three inputs are colours, one is itself, of more that with the largest
        norm.
    columns
        How many stand side by side.
    step
        Of several, the last up to this one.
    """
    _check_scale(scale)
    found = runs.holding("filters", run)
    record = record_of(found, "filters", only_tag(found, "filters", layer, ""), step)
    weight = _checked(record, np.asarray(record.arrays(["weight"])["weight"], np.float64), 4)
    numbers = chosen_channels(channels, len(weight), f"layer {record.meta.get('layer', record.tag)!r}")
    slices, shown = _slices(record, weight[numbers], numbers, input)
    largest = np.abs(np.where(np.isfinite(slices), slices, 0)).reshape(len(slices), -1).max(1)
    whole = float(record.meta.get("scale") or largest.max(initial=0))
    ends = np.full(len(slices), whole) if scale == "shared" else largest
    colour = slices.shape[1] == 3
    tiles = [
        Tile(_signed(one, end, colour=colour), str(channel), f"±{number(end, 2)}" if scale == "own" else "")
        for one, end, channel in zip(slices, ends.tolist(), numbers, strict=True)
    ]
    parts = [tiled(look, tiles, columns=columns)]
    if scale == "shared" and not colour:
        parts.append(colour_bar(look, Bar("diverging", -whole, whole, "weight"), room(look)))
    body, height = stacked(parts, 0.7 * look.size)
    kernel = f"{weight.shape[2]} × {weight.shape[3]}"
    said = "zero is mid-grey" if colour else "zero is grey, negative weights blue, positive red"
    full = (
        f"full contrast is ±{number(whole, 3)} for all"
        if scale == "shared"
        else "each has a scale of its own, whose end is under it"
    )
    text = (
        f"{_whose(record)}: {len(numbers):,} of {len(weight):,} filters, {kernel}, {shown}; {said}, {full}"
        f"{_at(record)}."
    )
    return sheet(look, body, height, text, f"Filters of {record.meta.get('layer', record.tag)}")


def _checked(record: Record, values: Floats, axes: int) -> Floats:
    """Return filters ``(n, c, kh, kw)`` or maps ``(n, h, w)`` if they can be drawn in the plane."""
    if values.ndim != axes or not values.size:
        shape = " × ".join(map(str, values.shape))
        raise InputError(
            f"{record.kind} {record.tag!r} are {shape} numbers; a figure shows those of images, of one pixel at least"
        )
    return values


def _slices(record: Record, weight: Floats, numbers: Sequence[int], chosen: int | None) -> tuple[Floats, str]:
    """Return what is drawn of filters, ``(n, 3, kh, kw)`` or ``(n, 1, kh, kw)``, and what it is."""
    inputs = weight.shape[1]
    if chosen is not None:
        if not 0 <= chosen < inputs:
            raise NotFoundError(f"the filters have inputs 0 to {inputs - 1}, no input {chosen}")
        return weight[:, [chosen]], f"input {chosen} of {inputs:,}"
    if inputs == 3:
        return weight[:, ::-1] if record.meta.get("order") == "BGR" else weight, "their inputs as red, green and blue"
    if inputs == 1:
        return weight, "one input"
    norms = np.nan_to_num(weight, posinf=0, neginf=0)
    best = (norms**2).sum((2, 3)).argmax(1)
    return weight[np.arange(len(numbers)), best][:, None], f"the input of {inputs:,} with the largest norm"


def _signed(values: Floats, end: float, *, colour: bool) -> npt.NDArray[np.uint8]:
    """Return ``(c, h, w)`` as pixels ``(h, w, 3)``: colours about mid-grey, or the diverging colours."""
    shown = levels(values, -end, end, signed=True)
    return np.moveaxis(shown, 0, -1) if colour else colours_of("diverging")[shown[0]]


def maps(  # noqa: PLR0913 - its keywords are the options of the command
    runs: Runs,
    look: Look,
    *,
    run: str = "",
    layer: str = "",
    image: int = 0,
    tag: str = "",
    channels: Sequence[int] | None = None,
    scale: str = "shared",
    after: bool = False,
    columns: int | None = None,
    step: int | None = None,
) -> Sheet:
    """Draw what a layer puts out for a picture.

    Parameters
    ----------
    runs, look, run
        Of which runs, how it looks, and which run is meant.
    layer
        The first layer by default.
    image
        Which of the layer's pictures, from 0.
    tag
        The result itself, as ``conv1 @ dog``, in place of layer and image.
    channels
        Which channels; all by default.
    scale
        ``shared`` by the layer, or ``own`` for each channel.
    after
        What the non-linearity leaves of it, where that follows from the values.
    columns
        How many stand side by side.
    step
        Of several, the last up to this one.
    """
    _check_scale(scale)
    record = _pictured(runs.holding("maps", run), "maps", layer, image, tag, step)
    values = _checked(record, np.asarray(record.arrays(["map"])["map"], np.float64), 3)
    numbers = chosen_channels(channels, len(values), f"layer {record.meta.get('layer', record.tag)!r}")
    values = _rectified(record, values) if after else values
    low, high, signed = _ends(values)
    name = "diverging" if signed else "inferno"
    tiles = []
    for channel in numbers:
        own = _ends(values[channel : channel + 1], signed=signed) if scale == "own" else (low, high, signed)
        pixels = colours_of(name)[levels(values[channel], own[0], own[1], signed=signed)]
        note = f"{'±' if signed else ''}{number(own[1], 2)}" if scale == "own" else ""
        tiles.append(Tile(pixels, str(channel), note))
    parts = [_beside_input(look, record, tiles, columns)]
    if scale == "shared":
        parts.append(colour_bar(look, Bar(name, low, high, "activation"), room(look)))
    body, height = stacked(parts, 0.7 * look.size)
    where = f"after {record.meta.get('nonlinearity')}" if after else "before the non-linearity"
    scaled = (
        "one scale for all, on which the strongest 2 % of the channels are clipped"
        if scale == "shared"
        else "each has a scale of its own, whose end is beside its number"
    )
    text = (
        f"{_whose(record)}: feature maps of {_image(record)}, {len(numbers):,} of {len(values):,} channels of "
        f"{values.shape[1]} × {values.shape[2]}, {where}; {scaled}{_at(record)}."
    )
    return sheet(look, body, height, text, f"Feature maps of {record.meta.get('layer', record.tag)}")


def _rectified(record: Record, values: Floats) -> Floats:
    ends = record.meta.get("after")
    if not isinstance(ends, list) or len(ends) != 2:
        kind = record.meta.get("nonlinearity") or "none"
        raise InputError(f"what the non-linearity ({kind}) leaves is not recorded; draw the maps before it")
    low, high = (np.inf * sign if end is None else float(end) for end, sign in zip(ends, (-1, 1), strict=True))
    return np.clip(values, low, high)


def _ends(values: Floats, *, signed: bool | None = None) -> tuple[float, float, bool]:
    """Return the ends of a scale of maps ``(C, H, W)`` and whether it is signed; as the page's."""
    good = np.where(np.isfinite(values), values, 0).reshape(len(values), -1)
    least, most = good.min(1), good.max(1)
    about = bool(least.min() < 0) if signed is None else signed
    tops = np.sort(np.maximum(-least, most) if about else most)
    top = float(tops[len(tops) - 1 - int(_CLIPPED * len(tops))] or tops[-1])
    return (-top if about else float(least.min())), top, about


def _beside_input(look: Look, record: Record, tiles: Sequence[Tile], columns: int | None) -> tuple[list[Shape], float]:
    """Return maps in rows, at their left the picture the network looked at where it is known."""
    across = columns or default_columns(len(tiles))
    if "input" not in record.pictures:
        return tiled(look, tiles, columns=across)
    whole = room(look)
    side = whole * min(0.3, 1.4 / (across + 1.4))
    left, first = tiled(look, [Tile(record.tile("input", 0, 0), "input")], width=side)
    right, second = tiled(look, tiles, columns=across, width=whole - side - look.size)
    return [*left, *moved(right, side + look.size, 0)], max(first, second)


def volume(
    runs: Runs,
    look: Look,
    *,
    run: str = "",
    layer: str = "",
    image: int = 0,
    tag: str = "",
    order: str = "",
    views: Sequence[str] = VIEWS,
    camera: tuple[float, float] | None = None,
    step: int | None = None,
) -> Sheet:
    """Draw stacked maps in space and cut through their middle.

    Parameters
    ----------
    runs, look, run
        Of which runs, how it looks, and which run is meant.
    layer, image, tag
        As for feature maps.
    order
        How the channels are stacked: an order that was recorded; the one it was recorded with by default.
    views
        What is drawn: ``space``, and cuts through the middle ``channel``, ``row``, ``column``.
    camera
        Turned by and looked down by, in degrees; 36 and 21 by default.
    step
        Of several, the last up to this one.
    """
    if unknown := [view for view in views if view not in VIEWS]:
        raise not_found("view", unknown[0], VIEWS)
    if not views:
        raise InputError(f"a volume is drawn in at least one view; there are: {', '.join(VIEWS)}")
    record = _pictured(runs.holding("volume", run), "volume", layer, image, tag, step)
    arrays = record.arrays(["volume", "scale", "order", *(["orders"] if "orders" in record.array_info else [])])
    values = np.asarray(arrays["volume"], np.float32)
    permutation, said = _order(record, arrays, order)
    signed = bool(record.meta.get("signed", bool((values < 0).any())))
    low, high, name = _window(record, arrays, values[permutation], permutation, signed=signed)
    where = Camera() if camera is None else Camera(*np.radians(camera).tolist())
    stack = Stack(values[permutation], low, high, name, camera=where)
    body, height = seen(look, stack, list(dict.fromkeys(views)))
    own = "; each channel has a scale of its own" if low.size > 1 else ""
    text = (
        f"{_whose(record)}: {len(values):,} channels of {values.shape[1]} × {values.shape[2]}, {_image(record)}, "
        f"stacked {said}{own}{_at(record)}. In space weak values are clear."
    )
    return sheet(look, body, height, text, f"Volume of {record.meta.get('layer') or record.tag}")


def _order(record: Record, arrays: dict[str, Any], name: str) -> tuple[npt.NDArray[np.int64], str]:
    """Return the channel at each depth, and how they are ordered in words."""
    recorded = [str(one.get("name")) for one in record.meta.get("orders", [])]
    if not name:
        return np.asarray(arrays["order"], np.int64), f"by {record.meta.get('order') or 'index'}"
    if name == "index":
        return np.arange(len(arrays["order"])), "by index"
    if name not in recorded or "orders" not in arrays:
        raise not_found("order", name, recorded or ["index"], f"volume {record.tag!r}")
    return np.asarray(arrays["orders"][recorded.index(name)], np.int64), f"by {name}"


def _window(
    record: Record,
    arrays: dict[str, Any],
    values: npt.NDArray[np.float32],
    order: npt.NDArray[np.int64],
    *,
    signed: bool,
) -> tuple[Floats, Floats, str]:
    """Return the ends of the scale, of all channels or of each, and the colours, as the page chooses them."""
    by = record.meta.get("scaling", {}).get("by", "layer")
    name = "diverging" if signed and by != "layer" else "inferno"
    if by == "channel":
        ends = np.asarray(arrays["scale"], np.float64)[order]
        far = np.abs(ends).max(1)
        return (-far, far, name) if signed else (ends[:, 0], ends[:, 1], name)
    window = record.meta.get("window")
    good = values[np.isfinite(values)]
    low, high = window or (float(good.min(initial=0)), float(good.max(initial=0)))
    far = max(abs(low), abs(high))
    low, high = (-far, far) if name == "diverging" else (low, high)
    return np.array(low, np.float64), np.array(high, np.float64), name


def _pictured(found: Any, kind: str, layer: str, image: int, tag: str, step: int | None) -> Record:
    """Return the record of a layer and a picture."""
    if tag:
        return record_of(found, kind, only_tag(found, kind, "", tag), step)
    first = layer or str(record_of(found, kind, found.tags(kind)[kind][0], None).meta.get("layer", ""))
    tags = tags_of_layer(found, kind, first)
    if not 0 <= image < len(tags):
        raise NotFoundError(f"layer {first!r} has {kind} of pictures 0 to {len(tags) - 1}, no picture {image}")
    return record_of(found, kind, tags[image], step)


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise not_found("scale", scale, SCALES)


def _whose(record: Record) -> str:
    network, layer = record.meta.get("network", ""), record.meta.get("layer") or record.tag
    return f"{network}, {layer}" if network else str(layer)


def _image(record: Record) -> str:
    image = record.meta.get("image") or {}
    name = image.get("name") or image.get("index")
    return "an array" if name is None else f"picture {name}" if record.kind == "maps" else str(name)


def _at(record: Record) -> str:
    return f"; step {record.step:,}" if record.step else ""
