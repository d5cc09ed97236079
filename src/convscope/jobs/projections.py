"""Projections written while they form, in parts of a second or more; read back, the parts are one again.

A process that is killed leaves the parts that were: the page shows what is there, and the projection can be made anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed import Embedding
from convscope.embed.frames import Frame, Frames
from convscope.embed.methods import project
from convscope.embed.projection import Projection
from convscope.errors import FormatError, NotFoundError, not_found
from convscope.recording import SummaryWriter
from convscope.store import Run
from convscope.store.results import Entry

Progress = Callable[[int, int], None]
"""Called with (iterations done, iterations in all)."""
Points = npt.NDArray[np.float32]
Place = Callable[[Points], Points]

PART_SECONDS: Final = 1.0
"""How long frames are gathered before they are written; the first one is at once."""
SEPARATOR: Final = "/"


class Parts:
    """Writes a projection as it forms: frames are gathered, and published once a second has passed.

    Parameters
    ----------
    writer
        Where the parts go.
    embedding
        The record of the embedding.
    tag, step
        Those of the projection: the embedding's tag, a slash and a name; the embedding's step.
    """

    def __init__(self, writer: SummaryWriter, embedding: str, tag: str, step: int) -> None:
        self._writer = writer
        self._embedding = embedding
        self._tag = tag
        self._step = step
        self._frames: list[Frame] = []
        self._identity = ""
        self._part = 0
        self._last = -np.inf

    def add(self, frame: Frame, so_far: Projection) -> None:
        """Take a frame; ``so_far`` describes the projection as it is at this frame, should a part be published."""
        self._frames.append(frame)
        if time.monotonic() - self._last >= PART_SECONDS:
            self._publish(replace(so_far, points=frame.points))
            self._last = time.monotonic()

    def finish(self, projection: Projection) -> Projection:
        """Publish the last part: the final points, their quality, and the frames since the part before."""
        return self._publish(projection)

    def _publish(self, projection: Projection) -> Projection:
        self._identity = self._identity or projection.identity
        frames = Frames.of(self._frames) if self._frames else None
        self._frames = []
        told = replace(projection, embedding=self._embedding, identity=self._identity, part=self._part, frames=frames)
        self._writer.add(told, self._tag, self._step)
        self._writer.flush()
        self._part += 1
        return told


def projection_name(method: str, dimensions: int = 2) -> str:
    """Return what a projection is called unless it is told: maps in space stand beside those in the plane.

    >>> projection_name("tsne"), projection_name("tsne", 3)
    ('tsne', 'tsne-3d')
    """
    return method if dimensions == 2 else f"{method}-{dimensions}d"


def record_projection(
    embedding: Embedding,
    identity: str,
    writer: SummaryWriter,
    tag: str,
    method: str = "tsne",
    *,
    name: str = "",
    step: int = 0,
    progress: Progress | None = None,
    place: Place | None = None,
    note: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Projection:
    """Project an embedding and write it while it forms: the start layout at once, more every second, quality last.

    Parameters
    ----------
    embedding
        What is projected.
    identity
        Its record: what :meth:`SummaryWriter.add` has returned.
    writer
        Where the projection goes.
    tag, step
        Those of the embedding.
    method
        A name of :data:`convscope.embed.PROJECTIONS`.
    name
        What the projection is called: its tag is the embedding's, a slash and this; by default the method, with
        ``-3d`` where it has three dimensions.
    progress
        Called with (iterations done, iterations in all).
    place
        What moves each layout before it is written; an alignment, for instance.
    note
        More for the parameters that are written.
    **parameters
        Those of the method: ``dimensions``, ``seed``, ``perplexity``, ``start``, …

    Returns
    -------
    The final layout with its quality, as it was written.

    Raises
    ------
    InputError
        If the method or its parameters make no sense; nothing is written then.
    StorageError
        If the writer's directory cannot be written.
    """
    called = name or projection_name(method, parameters.get("dimensions", 2))
    parts = Parts(writer, identity, f"{tag}{SEPARATOR}{called}", step)
    moved = place or (lambda points: points)

    def frame(projection: Projection) -> None:
        at = Frame(projection.iteration, _number(projection.divergence), moved(projection.points))
        parts.add(at, projection)
        if progress:
            progress(projection.iteration, max(projection.iterations, 1))

    known = {"labels": embedding.labels, "label_names": embedding.label_names}
    final = project(embedding.vectors, method, callback=frame, **known, **parameters)
    told = {**final.parameters, **(note or {})}
    final = parts.finish(replace(final, points=moved(final.points), parameters=told))
    if progress:
        progress(max(final.iterations, 1), max(final.iterations, 1))
    return final


def _number(divergence: float | None) -> float:
    return float("nan") if divergence is None else float(divergence)


def read_projection(run: Run | str | Path, tag: str, *, step: int | None = None) -> Projection:
    """Read a projection that was recorded, its parts as one: the last points, and the frames of all parts.

    >>> read_projection("runs/mnist", "fc1/tsne").frames.iterations[-1]          # doctest: +SKIP
    750

    Parameters
    ----------
    run
        The run or its directory.
    tag
        The embedding's tag, a slash, and the projection's name.
    step
        Of several steps one; by default the last.

    Raises
    ------
    NotFoundError
        If there is no such projection.
    FormatError
        If one of its parts is damaged.
    """
    opened = run if isinstance(run, Run) else Run(run)
    entries = opened.entries("projection", tag)
    if not entries:
        raise not_found("projection", tag, [*dict.fromkeys(one.tag for one in opened.entries("projection"))],
                        f"run {opened.name!r}")  # fmt: skip
    wanted = max(entry.step for entry in entries) if step is None else step
    there = [entry for entry in entries if entry.step == wanted]
    if not there:
        steps = sorted({entry.step for entry in entries})
        raise NotFoundError(f"no step {wanted} of {tag!r} in run {opened.name!r}; there are {_listed(steps)}")
    return joined(opened, there)


def _listed(steps: list[int]) -> str:
    return ", ".join(map(str, steps[:6])) + (f" … {steps[-1]}" if len(steps) > 6 else "")


def joined(run: Run, entries: Iterable[Entry]) -> Projection:
    """Return the last of the projections that some parts belong to."""
    records = [run.record(entry) for entry in entries]
    last = records[-1]
    records = [record for record in records if record.meta.get("projection") == last.meta.get("projection")]
    found = [Frames.from_arrays(arrays) for record in records if "frames" in (arrays := record.arrays())]
    meta, arrays = last.meta, last.arrays()
    return Projection(
        arrays["points"],
        str(meta["method"]),
        int(meta["iteration"]),
        int(meta["iterations"]),
        meta.get("kl"),
        meta.get("quality") or {},
        meta.get("parameters") or {},
        str(meta.get("embedding", "")),
        identity=str(meta.get("projection", "")),
        part=int(meta.get("part", 0)),
        quality_of=int(meta.get("quality_of", 0)),
        frames=_together(found),
        explained_variance=meta.get("explained_variance") or (),
        axes=meta.get("axes") or (),
        placed=arrays["placed"].astype(bool) if "placed" in arrays else None,
    )


def _together(parts: list[Frames]) -> Frames | None:
    """Return the frames of several parts as one sequence."""
    if not parts:
        return None
    if len({one.values.shape[1:] for one in parts}) > 1:
        raise FormatError("the parts of a projection have differing numbers of points; project the embedding again")
    return Frames(
        np.concatenate([one.values for one in parts]),
        np.concatenate([one.ranges for one in parts]),
        np.concatenate([one.iterations for one in parts]),
        np.concatenate([one.kl for one in parts]),
    )
