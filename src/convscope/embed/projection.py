"""Projections: where a method puts the points of an embedding, and the table of methods."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.embed.frames import Frames
from convscope.rich import Rich
from convscope.summary import Summary, finite

Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Projection(Rich):
    """Where a projection puts the points of an embedding, at one iteration.

    >>> Projection(np.eye(3, 2, dtype=np.float32), "mine").to_summary("fc/mine", 7).arrays["points"].shape
    (3, 2)

    Attributes
    ----------
    points
        ``(N, 2)`` or ``(N, 3)``.
    method
        A name of :data:`PROJECTIONS`, or of the function that made it.
    iteration, iterations
        Which iteration of how many; both 0 for a method without iterations.
    divergence
        The Kullback-Leibler divergence t-SNE minimises; ``None`` for other methods.
    quality
        What :func:`convscope.embed.quality.measure` says; empty for frames on the way.
    quality_of
        The number of points the quality was measured on.
    parameters
        What the method was called with, and what it made of it.
    embedding
        The record of the embedding.
    identity
        Names the projection: its parts share it.
    part
        Which part of the projection this is, where it is recorded in several.
    frames
        How it looked on the way here, since the part before.
    explained_variance
        The share of the variance on each axis, for principal components.
    axes
        The names of custom axes.
    placed
        ``(N,)``: which points were placed by their neighbours because only a sample of the points was laid out.
    """

    points: Points
    method: str
    iteration: int = 0
    iterations: int = 0
    divergence: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    embedding: str = ""
    identity: str = field(default_factory=lambda: secrets.token_hex(8), kw_only=True)
    part: int = field(default=0, kw_only=True)
    quality_of: int = field(default=0, kw_only=True)
    frames: Frames | None = field(default=None, kw_only=True)
    explained_variance: Sequence[float] = field(default=(), kw_only=True)
    axes: Sequence[str] = field(default=(), kw_only=True)
    placed: npt.NDArray[np.bool_] | None = field(default=None, kw_only=True)

    @property
    def is_final(self) -> bool:
        """Whether this is the end result, not a frame on the way."""
        return self.iteration == self.iterations

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.points.shape[1])

    @property
    def sampled(self) -> int:
        """The number of points that were laid out; the others were placed by their neighbours."""
        return len(self.points) - (0 if self.placed is None else int(np.count_nonzero(self.placed)))

    def to_summary(self, tag: str = "", step: int | None = None) -> Summary:
        """Return the projection as a summary of kind ``projection``; ``step`` is that of its embedding."""
        meta: dict[str, Any] = {
            "embedding": self.embedding,
            "projection": self.identity,
            "part": self.part,
            "method": self.method,
            "dimensions": self.dimensions,
            "iteration": self.iteration,
            "iterations": self.iterations,
            "final": self.is_final,
            "kl": None if self.divergence is None else finite(self.divergence),
            "quality": {name: finite(value) for name, value in self.quality.items()},
            "quality_of": self.quality_of,
            "parameters": dict(self.parameters),
            "explained_variance": [finite(share) for share in self.explained_variance],
            "axes": list(self.axes),
        }
        arrays: dict[str, npt.NDArray[Any]] = {"points": self.points.astype(np.float32)}
        if self.frames is not None and len(self.frames):
            arrays |= self.frames.to_arrays()
        if self.placed is not None:
            meta["sampled"] = self.sampled
            arrays["placed"] = self.placed.astype(np.uint8)
        return Summary("projection", tag or self.method, step or 0, arrays=arrays, meta=meta)


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of convscope, numpy and other packages, as a projection's parameters keep them."""
    found = {}
    for package in ("convscope", "numpy", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
