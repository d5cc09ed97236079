"""What is stored as TensorBoard stores it, as the views ask for it: series of points, and single texts and sounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import NotFoundError
from convscope.formats.layout import MARGIN, Chart
from convscope.store import Run
from convscope.store.results import PRCurve
from convscope.store.structure import MeshPart, read_mesh
from convscope.view.moving import moves

MOST_TEXT: Final = 1 << 20
MOST_METRICS: Final = 20
_CURVE: Final = (
    "threshold",
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
    "precision",
    "recall",
)
_SOUNDS: Final = ((b"RIFF", "audio/wav"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"), (b"ID3", "audio/mpeg"))

Arrays = dict[str, npt.NDArray[Any]]


def entry(found: Sequence[Any], number: int, what: str, tag: str) -> Any:
    """Return one of the entries of a series.

    Raises
    ------
    NotFoundError
        If there is none of that number.
    """
    if not 0 <= number < len(found):
        raise NotFoundError(f"no {what} {number} under {tag!r}; there are {len(found)}, counted from 0")
    return found[number]


def text_of(run: Run, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:
    """Return a text in UTF-8, or only the first megabyte of it, and how many bytes the whole of it has."""
    text = entry(run.texts(tag), number, "text", tag).text.encode(errors="replace")
    if whole or len(text) <= MOST_TEXT:
        return text, len(text)
    return text[:MOST_TEXT].decode(errors="ignore").encode(), len(text)


def sound_of(run: Run, tag: str, number: int) -> tuple[bytes, str]:
    """Return a sound as it is stored, and its media type."""
    data = entry(run.audio(tag), number, "sound", tag).wav
    return data, next((kind for start, kind in _SOUNDS if data.startswith(start)), "application/octet-stream")


def mesh_of(run: Run, tag: str, number: int, item: int = 0) -> Arrays:
    """Return a mesh of a batch: ``vertices (V, 3)``, ``faces (F, 3)``, ``colours (V, 3)``."""
    mesh = read_mesh(entry(run.mesh_parts(tag), number, "mesh", tag))
    faces = np.zeros((0, 3), np.int32) if mesh.faces is None else _item(mesh.faces, item)
    colours = np.zeros((0, 3), np.uint8) if mesh.colors is None else _item(mesh.colors, item)
    return {"vertices": _item(mesh.vertices, item), "faces": faces, "colours": colours}


def _item(batch: npt.NDArray[Any], item: int) -> npt.NDArray[Any]:
    """Return one of a batch; what is given once is for all of it, and a batch may have grown shorter."""
    return batch[min(item, len(batch) - 1)] if len(batch) else batch.reshape(-1, 3)


def hparams_of(run: Run) -> dict[str, Any] | None:
    """Return the hyper-parameters of a run and how well it did; ``None`` if it has none."""
    told = run.hparams()
    if told is None:
        return None
    tags = told.metrics or run.tags("scalar")["scalar"][:MOST_METRICS]
    known = set(run.tags("scalar")["scalar"])
    curves = {tag: run.scalars(tag).value for tag in tags if tag in known}
    moved = {tag: value for tag, value in curves.items() if len(value) > 1 and not np.isnan(value).all()}
    return {
        "run": run.name,
        "values": {name: _plain(value) for name, value in told.values.items()},
        "metrics": {tag: _plain(float(curves[tag][-1])) if tag in known else None for tag in tags},
        "least": {tag: _plain(float(np.nanmin(value))) for tag, value in moved.items()},
        "greatest": {tag: _plain(float(np.nanmax(value))) for tag, value in moved.items()},
        "status": told.status,
        "started": told.started,
        "ended": told.ended,
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, which knows neither NaN nor infinities: those become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def layout_of(run: Run) -> dict[str, Any]:
    """Return which curves stand in one chart, as the run has told."""
    categories = run.layout()
    return {
        "categories": [
            {"title": name, "charts": [_chart(one) for one in charts]} for name, charts in categories.items()
        ]
    }


def _chart(chart: Chart) -> dict[str, Any]:
    if chart.kind != MARGIN:
        return {"title": chart.title, "kind": "lines", "tags": chart.tags}
    triples = [chart.tags[start : start + 3] for start in range(0, len(chart.tags), 3)]
    margins = [{"value": value, "lower": lower, "upper": upper} for value, lower, upper in triples]
    return {"title": chart.title, "kind": "margin", "tags": chart.tags, "margins": margins}


def graph_of(run: Run, number: int) -> dict[str, Any]:
    """Return one of the graphs of networks that a run holds."""
    graphs = run.graphs()
    graph = entry(graphs, number, "graph", "graph")
    return {"step": graph.step, "count": len(graphs), "nodes": [asdict(node) for node in graph.nodes]}


def _axes(items: Sequence[Any]) -> Arrays:
    return {
        "step": np.array([item.step for item in items], np.float64),
        "wall_time": np.array([item.wall_time for item in items], np.float64),
    }


def _scalars(run: Run, tag: str, start: int) -> Arrays:
    points = run.scalars(tag)
    return {
        "step": _short(points.step[start:].astype(np.float64), np.int32),
        "wall_time": points.wall_time[start:].astype(np.float64),
        "value": _short(points.value[start:].astype(np.float64), np.float32),
    }


def _short(values: npt.NDArray[np.float64], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return the numbers in half the bytes, if not one of them is another number then."""
    with np.errstate(invalid="ignore", over="ignore"):
        short = values.astype(kind)
    return short if np.array_equal(short, values, equal_nan=True) else values


def _histograms(run: Run, tag: str, start: int) -> Arrays:
    items = run.histograms(tag)[start:]
    edges = [np.asarray(item.limits, np.float64) for item in items]
    counts = [np.asarray(item.counts, np.float64) for item in items]
    empty = np.zeros(0)
    special = [(i.nan, i.positive_infinity + i.negative_infinity, i.zero) for i in items]
    return {
        **_axes(items),
        "stats": np.array([(i.min, i.max, i.num, i.sum, i.sum_squares) for i in items], np.float64).reshape(-1, 5),
        "offset": np.cumsum([0, *map(len, edges)]).astype(np.int32),
        "limit": np.concatenate(edges) if edges else empty,
        "count": np.concatenate(counts) if counts else empty,
        "special": np.array(special, np.float64).reshape(-1, 3),
    }


def _moments(run: Run, tag: str, start: int) -> Arrays:
    """Return the histograms without their buckets: what a comparison of many needs."""
    columns = _histograms(run, tag, start)
    return {name: columns[name] for name in ("step", "wall_time", "stats", "special")}


def _images(run: Run, tag: str, start: int) -> Arrays:
    items = run.images(tag)[start:]
    return {
        **_axes(items),
        "size": np.array([(i.height, i.width) for i in items], np.int32).reshape(-1, 2),
        "animated": np.array([moves(item) for item in items], np.int32),
        "clipped": np.array([item.clipped for item in items], np.float64),
    }


def _texts(run: Run, tag: str, start: int) -> Arrays:
    items = run.texts(tag)[start:]
    return {**_axes(items), "bytes": np.array([len(i.text.encode(errors="replace")) for i in items], np.float64)}


def _sounds(run: Run, tag: str, start: int) -> Arrays:
    items = run.audio(tag)[start:]
    return {
        **_axes(items),
        "rate": np.array([item.sample_rate for item in items], np.float64),
        "channels": np.array([item.channels for item in items], np.float64),
        "frames": np.array([item.frames for item in items], np.float64),
        "clipped": np.array([item.clipped for item in items], np.float64),
    }


def _pr_curves(run: Run, tag: str, start: int) -> Arrays:
    items = run.pr_curves(tag)[start:]
    longest = max((len(item.threshold) for item in items), default=0)
    return _axes(items) | {name: _rows(items, name, longest) for name in _CURVE}


def _rows(curves: Iterable[PRCurve], name: str, longest: int) -> npt.NDArray[np.float64]:
    rows = [getattr(curve, name) for curve in curves]
    padded = np.full((len(rows), longest), np.nan)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _meshes(run: Run, tag: str, start: int) -> Arrays:
    meshes = run.mesh_parts(tag)[start:]
    firsts = [next(iter(parts.values())) for parts in meshes]
    return {
        **_axes(firsts),
        "vertices": np.array([_length(parts, "VERTEX") for parts in meshes], np.float64),
        "faces": np.array([_length(parts, "FACE") for parts in meshes], np.float64),
        "coloured": np.array(["COLOR" in parts for parts in meshes], np.float64),
        "batch": np.array([_size(one.shape, 0) for one in firsts], np.float64),
    }


def _length(parts: Mapping[str, MeshPart], name: str) -> int:
    return _size(parts[name].shape, 1) if name in parts else 0


def _size(shape: Sequence[int], axis: int) -> int:
    return shape[axis] if len(shape) > axis else 0


SERIES: Final[Mapping[str, Callable[[Run, str, int], Arrays]]] = {
    "scalar": _scalars,
    "histogram": _histograms,
    "moments": _moments,
    "image": _images,
    "audio": _sounds,
    "text": _texts,
    "pr_curve": _pr_curves,
    "mesh": _meshes,
}
"""The points of each kind of series, from a number on; the first axis of an array is the points."""
