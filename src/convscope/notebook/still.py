"""A small still picture of a result, for where nothing moves: nbconvert, GitHub, mail."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from convscope.arrays import grid
from convscope.summary import Summary

MOST_BYTES: Final = 44_000
"""Of the picture; in base64 it is at most 60 kB."""
_WIDTH: Final = 640
_HEIGHT: Final = 420
_TILES: Final = 64
_POINTS: Final = 2000
_SIDE: Final = 320
_INK: Final = (74, 79, 207)
_COLOURS: Final = np.array(
    [_INK, (230, 126, 34), (10, 122, 90), (179, 39, 61), (142, 90, 160), (90, 140, 190), (138, 90, 0), (60, 60, 60)],
    np.uint8,
)

Pixels = npt.NDArray[np.uint8]


def still_of(summary: Summary) -> Pixels | None:
    """Return a picture ``(H, W, 1 or 3)`` of a result; ``None`` for kinds that have none."""
    draw = STILLS.get(summary.kind)
    picture = None if draw is None else draw(summary)
    return None if picture is None or 0 in picture.shape else picture


def data_uri(picture: Pixels) -> str:
    """Return a picture as a WebP of at most 60 kB, in base64."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    width, height = image.size
    scale = min(1.0, _WIDTH / width, _HEIGHT / height)
    if max(width, height) < _SIDE:  # a few pixels of a filter: as squares
        image = image.resize((width * (_SIDE // max(width, height)), height * (_SIDE // max(width, height))), 0)
        scale = 1.0
    elif scale < 1:
        image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX)
    while True:
        file = BytesIO()
        image.convert("RGB").save(file, "WEBP", quality=80, method=2)
        if file.tell() <= MOST_BYTES or min(image.size) < 2:
            return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
        image = image.resize((max(1, image.width * 4 // 5), max(1, image.height * 4 // 5)), Image.Resampling.BOX)


def _patches(summary: Summary) -> Pixels | None:
    """Draw each channel's strongest patches in a row."""
    tiles = summary.pictures.get("patch")
    if tiles is None:
        return _heat(np.asarray(summary.arrays["value"][:128], np.float64))
    rows = np.asarray(tiles[:6, :9])
    return _sheet(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])


def _filters(summary: Summary) -> Pixels:
    """Draw the filters on one scale about mid-grey; of many inputs the strongest slice."""
    weight = np.asarray(summary.arrays["weight"][:_TILES], np.float32)
    if weight.shape[1] != 3:
        strongest = np.argmax(np.abs(weight).sum((2, 3)), axis=1)
        weight = weight[np.arange(len(weight)), strongest][:, None]
    known = np.nan_to_num(weight, nan=0.0, posinf=0.0, neginf=0.0)
    half = float(np.abs(known).max()) or 1.0
    grey = np.clip(np.rint(127.5 + 127.5 * (known / half)), 0, 255).astype(np.uint8)
    return _sheet(np.moveaxis(grey, 1, -1))


def _maps(summary: Summary) -> Pixels:
    """Draw the maps, each on its own scale."""
    return _sheet(np.asarray(summary.arrays["small"][:_TILES])[..., None])


def _volume(summary: Summary) -> Pixels:
    """Draw the slices on one scale, in the order in which they are stacked."""
    order = np.asarray(summary.arrays["order"])
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _TILES)).round().astype(int))]
    values = np.asarray(summary.arrays["volume"])[chosen].astype(np.float64)
    low, high = values.min(), values.max()
    grey: Pixels = np.rint((values - low) / ((high - low) or 1) * 255).astype(np.uint8)
    return _sheet(grey[..., None])


def _embedding(summary: Summary) -> Pixels | None:
    """Draw the first two principal components of a sample of the points."""
    vectors = summary.arrays["vector"]
    if len(vectors) < 3:
        return None
    chosen = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _POINTS)).astype(int))
    sample = np.asarray(vectors[chosen], np.float32)
    sample -= sample.mean(0)
    if sample.shape[1] > len(sample):
        values, left = np.linalg.eigh(sample @ sample.T)
        points = left[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    else:
        points = sample @ np.linalg.eigh(sample.T @ sample)[1][:, -2:]
    return _scatter(points[:, ::-1], np.asarray(summary.arrays["label"])[chosen])


def _projection(summary: Summary) -> Pixels | None:
    points = np.asarray(summary.arrays["points"])[:, :2]
    return _scatter(points, np.zeros(len(points), np.int32))


def _scatter(points: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Pixels | None:
    """Draw points as small squares on white, in the colours of their classes."""
    known = np.isfinite(points).all(1)
    if points.shape[1] < 2 or not known.any():
        return None
    points, labels = points[known].astype(np.float64), labels[known]
    low, high = points.min(0), points.max(0)
    place = np.rint((points - low) / np.where(high > low, high - low, 1) * (_SIDE - 9)).astype(int) + 3
    page = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    colours = np.where(labels[:, None] < 0, np.uint8(150), _COLOURS[labels % len(_COLOURS)])
    for down in range(3):
        for right in range(3):
            page[_SIDE - 1 - place[:, 1] - down, place[:, 0] + right] = colours
    return page


def _heat(values: npt.NDArray[Any]) -> Pixels:
    """Draw a table of numbers, the largest black."""
    known = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(known.min()), float(known.max())
    shade: Pixels = np.rint(255 - 255 * (known - low) / ((high - low) or 1)).astype(np.uint8)
    return shade[..., None]


def _confusion(summary: Summary) -> Pixels:
    counts = np.asarray(summary.arrays["counts"], np.float64)
    return _heat(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def _thumbnails(summary: Summary) -> Pixels | None:
    tiles = summary.pictures.get("thumbnail")
    return None if tiles is None else _sheet(np.asarray(tiles[0][:_TILES]))


def _sheet(tiles: Pixels, columns: int = 0) -> Pixels:
    """Put tiles ``(N, h, w, c)`` side by side on mid-grey; those of a few pixels enlarged as squares."""
    larger = max(1, 28 // max(tiles.shape[1:3]))
    tiles = tiles.repeat(larger, 1).repeat(larger, 2)
    columns = columns or max(1, round((1.6 * len(tiles) * tiles.shape[1] / tiles.shape[2]) ** 0.5))
    return grid(tiles, columns)


STILLS: Final[Mapping[str, Callable[[Summary], Pixels | None]]] = {
    "topk": _patches,
    "filters": _filters,
    "maps": _maps,
    "volume": _volume,
    "embedding": _embedding,
    "projection": _projection,
    "confusion_matrix": _confusion,
    "audit": _thumbnails,
}
"""How the kinds of results are drawn that have a picture."""
