"""Figures of what is logged while a network is trained: curves, histograms step by step, points of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.composed import moved, sheet, stacked
from convscope.drawing.curves import DASHES, Chart, Trace, charts, side_by_side
from convscope.drawing.ridges import ridges
from convscope.drawing.scatter import Painted, by_category, by_number, scattered, turned
from convscope.drawing.shapes import Pixels, Shape, Sheet
from convscope.drawing.style import Look
from convscope.embed.embedding import Embedding
from convscope.errors import InputError, NotFoundError, not_found
from convscope.jobs.figure_runs import Runs, record_of
from convscope.jobs.vectors import embedding_of
from convscope.store import Run
from convscope.store.logdir import pattern
from convscope.store.results import Scalars

AXES: Final = ("step", "relative")
_MOST_CHARTS: Final = 24
_TINIEST: Final = 1e-300
_PREFERRED: Final = ("tsne", "umap", "pca")
_METHODS: Final = {"tsne": "t-SNE", "umap": "UMAP", "pca": "principal components"}


def curves(
    runs: Runs,
    look: Look,
    *,
    run: str = "",
    tag: str = "",
    smoothing: float = 0.0,
    axis: str = "step",
    log_x: bool = False,
    log_y: bool = False,
    together: bool = False,
    columns: int | None = None,
) -> Sheet:
    """Draw curves: a chart for every tag, a colour for every run.

    Parameters
    ----------
    runs, look
        Of which runs, and how it looks.
    run, tag
        Regular expressions that must occur in the names of runs and in tags; all by default.
    smoothing
        Weight of what was before, 0 to 0.999; the raw curves stay behind, faint.
    axis
        ``step``, or ``relative`` time since the first point in hours.
    log_x, log_y
        Which axes are logarithmic.
    together
        All curves in one chart.
    columns
        How many charts stand side by side.
    """
    if axis not in AXES:
        raise not_found("axis", axis, AXES)
    if not 0 <= smoothing <= 0.999:
        raise InputError(f"smoothing is between 0 (none) and 0.999, not {smoothing}")
    found = _series(runs, run, tag)
    tags = list(dict.fromkeys(name for _, name in found))
    names = list(dict.fromkeys(name for name, _ in found))
    if len(tags) > _MOST_CHARTS and not together:
        raise InputError(f"{len(tags)} tags are too many for a figure; choose up to {_MOST_CHARTS} with --tag (tag=)")
    drawn = _charts(look, found, tags, names, axis, together=together)
    body, height = charts(look, drawn, smoothing=smoothing, log_x=log_x, log_y=log_y, columns=columns)
    parts = [_listed(tags, "tag"), f"of {_listed(names, 'run')}"]
    if smoothing:
        parts.append(f"smoothed by {smoothing:g} over the values as logged (faint)")
    odd = sum(int((~np.isfinite(points.value)).sum()) for points in found.values())
    if odd:
        parts.append(f"{odd:,} values that are no finite numbers are gaps, marked at the edge")
    return sheet(look, body, height, "; ".join([" ".join(parts[:2]), *parts[2:]]) + ".", ", ".join(tags[:3]))


def _series(runs: Runs, run: str, tag: str) -> dict[tuple[str, str], Scalars]:
    """Return curves by run and tag."""
    wanted, tagged = pattern(run), pattern(tag)
    found = {
        (name, one): member.scalars(one)
        for name, member in zip(runs.names, runs.runs, strict=True)
        if wanted.search(name)
        for one in member.tags("scalar")["scalar"]
        if tagged.search(one)
    }
    found = {key: points for key, points in found.items() if len(points)}
    if not found:
        known = sorted({one for member in runs.runs for one in member.tags("scalar")["scalar"]})
        raise NotFoundError(
            f"no curve has {tag!r} in its tag{f' and {run!r} in its run' if run else ''}; there are: "
            f"{', '.join(known[:12]) or 'none'}"
        )
    return found


def _charts(
    look: Look,
    found: dict[tuple[str, str], Scalars],
    tags: Sequence[str],
    names: Sequence[str],
    axis: str,
    *,
    together: bool,
) -> list[Chart]:
    palette = look.style.palette
    title = "step" if axis == "step" else "hours"

    def trace(name: str, tag: str) -> Trace:
        points = found[name, tag]
        x = points.step if axis == "step" else (points.wall_time - points.wall_time[0]) / 3600
        colour, dash = (tags.index(tag), names.index(name)) if together else (names.index(name), 0)
        if not together:
            dash = colour // len(palette)
        label = " ".join(part for part in (name if len(names) > 1 else "", tag if together else "") if part)
        y = points.value.astype(np.float64)
        return Trace(label or name, x.astype(np.float64), y, palette[colour % len(palette)], DASHES[dash % len(DASHES)])

    if together:
        return [Chart("", [trace(name, tag) for name, tag in found], title, tags[0] if len(tags) == 1 else "")]
    return [Chart(tag, [trace(name, tag) for name in names if (name, tag) in found], title) for tag in tags]


def _listed(names: Sequence[str], noun: str) -> str:
    if len(names) <= 3:
        return ", ".join(names)
    return f"{len(names)} {noun}s"


def histograms(runs: Runs, look: Look, *, run: str = "", tag: str = "", columns: int | None = None) -> Sheet:
    """Draw the histograms of a tag step by step, as ridges.

    Parameters
    ----------
    runs, look, run
        Of which runs, how it looks, and which run is meant.
    tag
        A regular expression that must occur in the tag; a chart for each.
    columns
        How many charts stand side by side.
    """
    found = runs.holding("histogram", run)
    tags = [one for one in found.tags("histogram")["histogram"] if pattern(tag).search(one)]
    if not tags:
        raise not_found("histogram", tag, found.tags("histogram")["histogram"], f"run {found.name!r}")
    if len(tags) > _MOST_CHARTS:
        raise InputError(f"{len(tags)} tags are too many for a figure; choose up to {_MOST_CHARTS} with --tag (tag=)")
    gap = 1.2 * look.size
    across, width = side_by_side(look, len(tags), columns, gap)
    rows: list[tuple[Sequence[Shape], float]] = []
    row: list[Shape] = []
    for place, one in enumerate(tags):
        values = found.histograms(one)
        parts = [_buckets(value) for value in values]
        steps = [int(value.step) for value in values]
        palette = look.style.palette
        drawn = ridges(look, steps, parts, colour=palette[0], width=width, height=0.8 * width, title=one)
        row += moved(drawn, (place % across) * (width + gap), 0)
        if place % across == across - 1 or place == len(tags) - 1:
            rows.append((row, 0.8 * width))
            row = []
    body, height = stacked(rows, 0.8 * look.size)
    text = (
        f"{_listed(tags, 'tag')} of {found.name}: a ridge a step, from the first (top) to the last, all of a chart on "
        "one scale of heights; the outermost thousandth of the values is left out."
    )
    return sheet(look, body, height, text, ", ".join(tags[:3]))


def _buckets(value: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the edges and the counts of a histogram."""
    limits, counts = np.asarray(value.limits, np.float64), np.asarray(value.counts, np.float64)
    if not len(limits):
        return np.array([0.0, 1.0]), np.array([0.0])
    left = limits[0] if counts[0] == 0 or not np.isfinite(value.min) else min(float(value.min), float(limits[0]))
    edges = np.concatenate([[left], limits])
    edges[np.abs(edges) < _TINIEST] = 0  # a bucket of nothing but zeros ends at the least number there is
    return np.maximum.accumulate(np.clip(edges, -1e300, 1e300)), counts


def embedding(
    runs: Runs,
    look: Look,
    *,
    run: str = "",
    tag: str = "",
    projection: str = "",
    colour: str = "class",
    thumbnails: bool = False,
    camera: tuple[float, float] | None = None,
    step: int | None = None,
) -> Sheet:
    """Draw where a projection puts the points of an embedding.

    Parameters
    ----------
    runs, look, run
        Of which runs, how it looks, and which run is meant.
    tag
        Which embedding; the first by default.
    projection
        Its name, as ``tsne``; by default t-SNE, UMAP or principal components, whichever there is.
    colour
        ``class``, ``none``, or the name of a column.
    thumbnails
        Pictures in place of dots, as many as do not cover each other.
    camera
        Of three dimensions: turned by and looked down by, in degrees.
    step
        Of several, the last up to this one.
    """
    found = runs.holding("embedding", run)
    tags = found.tags("embedding")["embedding"]
    wanted = tag or tags[0]
    if wanted not in tags:
        raise not_found("embedding", wanted, tags, f"run {found.name!r}")
    record = record_of(found, "embedding", wanted, step)
    points, meta, name = _projected(found, wanted, projection, record.step)
    made = embedding_of(record)
    if len(points) != len(made):
        raise InputError(
            f"projection {name!r} has {len(points):,} points, its embedding {len(made):,}; project it anew"
        )
    yaw, pitch = (0.62, 0.36) if camera is None else np.radians(camera).tolist()
    places, order = turned(points, yaw, pitch)
    painted = _painted(look, made, colour)
    pictures = _pictures(made) if thumbnails else None
    body, height = scattered(look, places, painted, order=order, thumbnails=pictures)
    text = _said(made, meta, name, points, wanted)
    if pictures is not None:
        text += " Of pictures that would cover each other one is drawn, framed in the colour of its dot."
    return sheet(look, body, height, text, f"{wanted}: {name}")


def _projected(run: Run, tag: str, wanted: str, step: int) -> tuple[npt.NDArray[np.float32], dict[str, Any], str]:
    """Return the last points of a projection, what is known of it and its name."""
    known = [one.removeprefix(f"{tag}/") for one in run.tags("projection")["projection"] if one.startswith(f"{tag}/")]
    if not known:
        raise InputError(f"{tag!r} has no projection; make one with: convscope project {run.path}")
    name = wanted or next((one for one in _PREFERRED if one in known), known[0])
    if name not in known:
        raise not_found("projection", name, known, f"embedding {tag!r}")
    record = record_of(run, "projection", f"{tag}/{name}", step)
    return record.arrays(["points"])["points"], record.meta, name


def _painted(look: Look, made: Embedding, colour: str) -> Painted:
    if colour == "none":
        return Painted(np.tile(np.array(look.style.palette[0], np.uint8), (len(made), 1)))
    if colour == "class":
        labels = np.asarray(made.labels, np.int64)
        if (labels < 0).all():
            return Painted(np.tile(np.array(look.style.palette[0], np.uint8), (len(made), 1)))
        return by_category(look, labels, list(made.label_names), "class")
    if colour not in made.columns:
        raise not_found("column", colour, ["class", "none", *made.columns], "the embedding")
    values = made.columns[colour]
    try:
        return by_number(look, np.asarray(values, np.float64), colour)
    except (TypeError, ValueError):
        texts = [None if one is None else str(one) for one in values]
        names = sorted({one for one in texts if one is not None})
        codes = {one: place for place, one in enumerate(names)}
        return by_category(look, np.array([-1 if one is None else codes[one] for one in texts]), names, colour)


def _pictures(made: Embedding) -> list[Pixels | None]:
    if made.thumbnails is None:
        raise InputError("the embedding has no thumbnails; draw dots, or record it with pictures")
    found: list[Pixels | None] = []
    whole = np.tile(made.thumbnails.shape[1:3], (len(made), 1))
    sizes = whole if made.thumbnail_size is None else np.asarray(made.thumbnail_size)
    for tile, size in zip(made.thumbnails, sizes.tolist(), strict=True):
        high, wide = int(size[0]), int(size[1])
        top, left = (tile.shape[0] - high) // 2, (tile.shape[1] - wide) // 2
        found.append(tile[top : top + high, left : left + wide] if high and wide else None)
    return found


def _said(made: Embedding, meta: dict[str, Any], name: str, points: npt.NDArray[np.float32], tag: str) -> str:
    """Return what a figure of an embedding says of itself."""
    whose = ", ".join(part for part in (made.network, tag, made.dataset) if part)
    parameters = meta.get("parameters", {})
    perplexity = parameters.get("perplexity_used", parameters.get("perplexity"))
    parts = [f"{whose}: {len(points):,} vectors of {made.vectors.shape[1]:,} numbers by {_METHODS.get(name, name)}"]
    if perplexity is not None:
        parts.append(f"perplexity {perplexity:g}")
    shares = [share for share in meta.get("explained_variance") or () if share is not None]
    if shares:
        parts.append(f"{sum(shares):.0%} of the variance")
    kept = (meta.get("quality") or {}).get("neighbours_kept")
    if kept is not None:
        parts.append(f"{kept:.0%} of the ten nearest neighbours kept")
    if points.shape[1] == 3:
        parts.append("three dimensions seen from one side")
    return ", ".join(parts) + "."
