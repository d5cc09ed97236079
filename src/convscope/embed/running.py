"""A projection that is under way: a few iterations at a time, changed without losing its layout."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.frames import Frame
from convscope.embed.methods import (
    PCA_FIRST,
    Method,
    project,
    project_pca,
    start_of,
    tsne_parameters,
    tsne_projection,
)
from convscope.embed.place import LAID_OUT, SAMPLE, Placement, stratified_sample
from convscope.embed.projection import Projection
from convscope.embed.tsne import Descent, Settings
from convscope.embed.vectors import reduced
from convscope.errors import InputError

PATIENCE: Final = 0.2
"""A step ends after about so many seconds."""


class Running:
    """A projection on its way, driven step by step; not a thread, and to be used by one thread at a time.

    >>> running = Running(np.random.default_rng(0).normal(size=(60, 5)), perplexity=10, iterations=20)
    >>> frames = list(iter(running.step, None))
    >>> frames[0].iteration, frames[-1].iteration
    (0, 20)

    Parameters
    ----------
    vectors
        ``(N, D)``.
    method
        A name of :data:`convscope.embed.PROJECTIONS`, or a function. Methods without iterations have two frames: the
        principal components, and the result.
    every
        Iterations between two frames; fewer where they take longer than about 0.2 s.
    labels, label_names, sample
        As for :func:`convscope.embed.methods.project`.
    **parameters
        What the method takes: for t-SNE also ``start=``, ``metric=``, ``pca=`` and ``threads=``.

    Attributes
    ----------
    doing
        What the next step does: ``start``, ``placing`` (of many points: finding the neighbours that place them),
        ``affinities``, ``layout`` or ``end``.

    Raises
    ------
    InputError
        If vectors hold NaN, or the parameters make no sense.
    """

    def __init__(
        self,
        vectors: npt.NDArray[Any],
        method: str | Method = "tsne",
        *,
        every: int = 5,
        labels: npt.NDArray[Any] | None = None,
        label_names: Sequence[str] = (),
        sample: int | None = None,
        **parameters: Any,
    ) -> None:
        if every < 1:
            raise InputError(f"frames are at least 1 iteration apart, not {every}")
        self.method = method
        self.identity = secrets.token_hex(8)
        self._every = every
        self._shown = False
        self._descent: Descent | None = None
        self._placement: Placement | None = None
        if method != "tsne":
            self._other = _Other(vectors, method, parameters, labels, label_names, sample)
            return
        metric, pca = parameters.pop("metric", "euclidean"), parameters.pop("pca", PCA_FIRST)
        start = parameters.pop("start", None)
        space = reduced(vectors, metric, pca)
        wanted = sample or (SAMPLE if len(space) > LAID_OUT else len(space))
        if wanted < len(space):
            chosen = stratified_sample(len(space), wanted, labels=labels, seed=int(parameters.get("seed", 0)))
            self._placement = Placement(space, chosen)
            start = None if start is None else start_of(start, len(space))[chosen]
            space = space[chosen]
        self._descent = Descent(space, Settings.of(parameters), start=start)
        self._told = {"metric": metric, "pca": pca, "warm": start is not None}

    @property
    def iteration(self) -> int:
        """How many iterations are done."""
        return self._descent.iteration if self._descent else 0

    @property
    def iterations(self) -> int:
        """How many iterations there are to be."""
        return self._descent.iterations if self._descent else 0

    @property
    def parameters(self) -> dict[str, Any]:
        """What the projection is made with, as it is recorded."""
        return dict(self.projection().parameters)

    @property
    def doing(self) -> str:
        """What the next step does."""
        if not self._shown:
            return "start"
        if self._descent is None:
            return "end" if self._other.found else "layout"
        if self._placement and not self._placement.done:
            return "placing"
        if self._descent.done:
            return "end"
        return "layout" if self._descent.ready else "affinities"

    def step(self) -> Frame | None:
        """Go on for a few iterations (about 0.2 s) and return the frame then; ``None`` when all is done.

        The first frame is the start layout, at once: iteration 0. While neighbours are being found the start layout is
        returned again, so that whoever drives this can stop it.
        """
        doing = self.doing
        if doing == "end":
            return None
        self._shown = True
        if self._descent is None:
            return Frame(0, float("nan"), self._other.first() if doing == "start" else self._other.result().points)
        if doing == "placing" and self._placement:
            self._placement.advance(PATIENCE)
        elif doing == "affinities":
            self._descent.prepare()
        if doing in ("affinities", "layout"):
            self._iterate(self._descent, time.monotonic() + PATIENCE)
        return Frame(self._descent.iteration, self._descent.kl, self._points(self._descent))

    def _iterate(self, descent: Descent, end: float) -> None:
        """Advance to the next frame: a multiple of ``every``, the end, or when the time is over."""
        goal = min(descent.iterations, descent.iteration - descent.iteration % self._every + self._every)
        took = 0.0
        while descent.iteration < goal:
            began = time.monotonic()
            last = descent.iteration + 1 == goal or began + 2 * took > end
            descent.advance(1, measure=last)
            took = time.monotonic() - began
            if last:
                return

    def _points(self, descent: Descent) -> npt.NDArray[np.float32]:
        if self._placement is None:
            return descent.points.astype(np.float32)
        placed = self._placement
        return placed.apply(descent.points) if placed.done else placed.anywhere(descent.points.shape[1])

    def change(self, **parameters: Any) -> None:
        """Go on from the layout as it is with another ``perplexity``, ``exaggeration`` or number of ``iterations``.

        There are at least 250 more iterations after a change, unless ``iterations`` says otherwise.

        Raises
        ------
        InputError
            If the method has nothing to change on its way, or a parameter makes no sense.
        """
        if self._descent is None:
            raise InputError(f"{self.method} has no iterations to change on the way; project again")
        if wrong := sorted(set(parameters) - {"perplexity", "exaggeration", "iterations"}):
            raise InputError(
                f"{wrong[0]} cannot be changed on the way; only perplexity, exaggeration and iterations can"
            )
        self._descent.change(**parameters)

    def projection(self) -> Projection:
        """Return the layout as it is now, as :func:`convscope.embed.project` does at the end, but unmeasured."""
        if self._descent is None:
            return replace(self._other.result(), identity=self.identity)
        found = tsne_projection(self._descent, tsne_parameters(self._descent, **self._told), self.identity)
        if self._placement is None:
            return found
        told = {**found.parameters, "sample": len(self._placement.chosen)}
        placed = self._placement.placed
        return replace(found, points=self._points(self._descent), placed=placed, parameters=told)


class _Other:
    """A method that does all at once."""

    def __init__(
        self,
        vectors: npt.NDArray[Any],
        method: str | Method,
        parameters: dict[str, Any],
        labels: npt.NDArray[Any] | None,
        label_names: Sequence[str],
        sample: int | None,
    ) -> None:
        self._vectors, self._method = vectors, method
        given = {"labels": labels, "label_names": label_names, "sample": sample, "quality": False}
        self._parameters = {**parameters, **given}
        self.found: Projection | None = None

    def first(self) -> npt.NDArray[np.float32]:
        axes = self._parameters.get("axes")
        dimensions = len(axes) if axes is not None else int(self._parameters.get("dimensions") or 2)
        return project_pca(self._vectors, dimensions=dimensions).points

    def result(self) -> Projection:
        if self.found is None:
            self.found = project(self._vectors, self._method, **self._parameters)
        return self.found
