"""Pixels of boxes over a picture (Pillow) and of matplotlib's figures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError

if TYPE_CHECKING:
    from PIL import ImageDraw

Pixels = npt.NDArray[np.uint8]

# Okabe and Ito's colours, which people with any colour vision tell apart; text on them is black
_COLOURS: Final = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")
_LINE: Final = 2
_TEXT: Final = 12
_LARGEST_SIDE: Final = 32767


def boxes_of(value: Any) -> npt.NDArray[np.float64]:
    """Return boxes as ``(N, 4)`` of left, top, right and bottom, these in order.

    Raises
    ------
    InputError
        If the shape is another, or a number is not finite.
    """
    array = as_numpy(value)
    array = array.reshape(-1, 4) if array.shape in ((0,), (4,)) else array
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
        raise InputError(f"boxes are numbers of shape (N, 4): x0, y0, x1, y1; got {array.shape} of {array.dtype}")
    boxes = array.astype(np.float64)
    if not np.isfinite(boxes).all():
        bad = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        raise InputError(f"a box has four finite numbers, got {boxes[bad].tolist()} as number {bad}; leave it out")
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def labels_of(value: Iterable[Any] | str | None, count: int) -> list[str]:
    """Return a text for each of so many boxes, empty where there is none.

    Raises
    ------
    InputError
        If there are more or fewer.
    """
    if value is None:
        return [""] * count
    items = [value] if isinstance(value, str) else list(value)
    if len(items) != count:
        raise InputError(f"each box has one label, got {len(items)} labels for {count} boxes")
    texts = ["" if item is None else str(item) for item in items]
    return [text.encode(errors="replace").decode() for text in texts]  # half a character cannot be drawn


def draw_boxes(pixels: Pixels, boxes: npt.NDArray[np.float64], labels: Sequence[str], scale: float = 1) -> Pixels:
    """Return a picture ``(H, W, 1, 3 or 4)``, enlarged by ``scale``, with boxes and their labels drawn on it.

    Boxes are in pixels of the picture as it is given. Equal labels have equal colours.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
    picture = picture.convert("RGBA" if pixels.shape[2] == 4 else "RGB")
    if scale != 1:
        width, height = (round(side * scale) for side in picture.size)
        if not (1 <= width <= _LARGEST_SIDE and 1 <= height <= _LARGEST_SIDE):
            raise InputError(f"rescale={scale:g} makes a picture of {width} × {height} pixels; 1 to 32767 are possible")
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    colours = {text: _COLOURS[index % len(_COLOURS)] for index, text in enumerate(dict.fromkeys(labels))}
    limits = np.array([*picture.size, *picture.size]) + 2 * _LINE  # what lies far outside is not drawn
    places = np.clip(np.rint(boxes * scale), -2 * _LINE, limits).astype(int).tolist()
    for place, text in zip(places, labels, strict=True):
        draw.rectangle(place, outline=colours[text], width=_LINE)
    for place, text in zip(places, labels, strict=True):  # no box runs through a text
        if text:
            _write(draw, place, text, colours[text], picture.size)
    return np.asarray(picture)


def _write(draw: ImageDraw.ImageDraw, place: list[int], text: str, colour: str, size: tuple[int, int]) -> None:
    """Write a label above its box, or inside it where there is no room."""
    from PIL import ImageFont

    font = ImageFont.load_default(_TEXT)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font)
    width, height = int(right - left) + 4, int(bottom - top) + 4
    x = max(0, min(place[0], size[0] - width))
    y = place[1] - height if place[1] >= height else max(0, min(place[1], size[1] - height))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    draw.multiline_text((x + 2 - left, y + 2 - top), text, fill="black", font=font)


def figures_of(value: Any) -> list[Any]:
    """Return a figure of matplotlib, or several, as a list.

    Raises
    ------
    InputError
        If it is neither.
    """
    figures = list(value) if isinstance(value, list | tuple) else [value]
    matplotlib = sys.modules.get("matplotlib.figure")
    kind = () if matplotlib is None else matplotlib.Figure
    for figure in figures:
        if not isinstance(figure, kind):
            way_out = "; log its .figure" if isinstance(getattr(figure, "figure", None), kind) else ""
            raise InputError(
                f"a figure is a matplotlib.figure.Figure or a list of them, got {type(figure).__name__}{way_out}"
            )
    if not figures:
        raise InputError("a list of figures has at least one, got an empty list")
    return figures


def render(figure: Any) -> Pixels:
    """Return a figure's pixels ``(H, W, 3)``, or ``(H, W, 4)`` where it is transparent.

    It is drawn by Agg whatever the program's backend is; the figure keeps its own canvas.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    before = figure.canvas
    try:
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.array(canvas.buffer_rgba(), np.uint8)
    finally:
        figure.set_canvas(before)
    return pixels if (pixels[..., 3] < 255).any() else np.ascontiguousarray(pixels[..., :3])


def close_figures(figures: Iterable[Any]) -> None:
    """Let pyplot forget figures; where it was never used there is nothing to forget."""
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        for figure in figures:
            pyplot.close(figure)
