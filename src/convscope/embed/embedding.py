"""The embedding of a data set by one layer, its projections and its search."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.embed.neighbours import nearest, preservation
from convscope.embed.pca import pca
from convscope.embed.tsne import Callback, tsne
from convscope.errors import InputError, not_found
from convscope.summary import Summary, finite

COLUMNS: Final = 48
"""Thumbnails in one row of a sheet."""
NEIGHBOURS: Final = 10
PCA_FIRST: Final = 50
"""t-SNE sees this many principal components."""


@dataclass(frozen=True)
class Projection:
    """Where a projection puts the points of an embedding, at one iteration.

    Attributes
    ----------
    points
        ``(N, 2)`` or ``(N, 3)``.
    method
        A name of :data:`PROJECTIONS`.
    iteration, iterations
        Which iteration of how many; both 0 for a method without iterations.
    divergence
        The Kullback-Leibler divergence t-SNE minimises; ``None`` for other methods.
    quality
        What :func:`convscope.embed.preservation` says; empty for frames on the way.
    parameters
        What the method was called with.
    """

    points: npt.NDArray[np.float32]
    method: str
    iteration: int = 0
    iterations: int = 0
    divergence: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    embedding: str = ""

    @property
    def is_final(self) -> bool:
        """Whether this is the end result, not a frame on the way."""
        return self.iteration == self.iterations

    def to_summary(self, tag: str = "", step: int | None = None) -> Summary:
        """Return the projection as a summary of kind ``projection``; the step is the iteration."""
        meta = {
            "embedding": self.embedding,
            "method": self.method,
            "iteration": self.iteration,
            "iterations": self.iterations,
            "final": self.is_final,
            "kl": None if self.divergence is None else finite(self.divergence),
            "quality": dict(self.quality),
            "parameters": dict(self.parameters),
        }
        at = self.iteration if step is None else step
        return Summary("projection", tag or self.method, at, arrays={"points": self.points}, meta=meta)


@dataclass(frozen=True)
class Embedding:
    """Vectors of one layer for many pictures, with what is known of each picture.

    >>> embedding = Embedding(np.eye(6), labels=[0, 0, 0, 1, 1, 1], label_names=["dog", "hot dog"])
    >>> embedding.search("dog").tolist()
    [0, 1, 2]

    Parameters
    ----------
    vectors
        ``(N, D)``, of any framework.
    labels
        ``(N,)`` integers, negative for unknown.
    label_names
        The name of each label.
    columns
        More metadata: name → ``N`` values.
    index
        ``(N,)``: each picture's index in its data set; 0 … N - 1 by default.
    thumbnails
        ``(N, h, w, 1)`` or ``(N, h, w, 3)`` of ``uint8``.
    layer, network, dataset
        Where the vectors come from.
    meta
        More for the record; the preprocessing, for instance.

    Raises
    ------
    InputError
        If shapes or lengths do not fit together, or vectors hold NaN or infinities.
    """

    vectors: Any
    labels: Any = None
    label_names: Sequence[str] = field(default=(), kw_only=True)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict, kw_only=True)
    index: Any = field(default=None, kw_only=True)
    thumbnails: npt.NDArray[np.uint8] | None = field(default=None, kw_only=True)
    layer: str = field(default="", kw_only=True)
    network: str = field(default="", kw_only=True)
    dataset: str = field(default="", kw_only=True)
    meta: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        vectors = as_numpy(self.vectors).astype(np.float32)
        if vectors.ndim != 2 or 0 in vectors.shape:
            raise InputError(f"an embedding is made from vectors (N, D), got shape {vectors.shape}")
        if bad := int(np.count_nonzero(~np.isfinite(vectors))):
            raise InputError(f"the vectors hold {bad} values that are NaN or infinite; an embedding needs finite ones")
        count = len(vectors)
        labels = np.full(count, -1) if self.labels is None else as_numpy(self.labels)
        index = np.arange(count) if self.index is None else as_numpy(self.index)
        sized = {"labels": labels, "index": index, **self.columns}
        if self.thumbnails is not None:
            sized["thumbnails"] = self.thumbnails
        for name, values in sized.items():
            if len(values) != count:
                raise InputError(f"{count} vectors but {len(values)} {name}; give one for each vector")
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "labels", labels.astype(np.int32))
        object.__setattr__(self, "index", index.astype(np.int64))

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def neighbours(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The 10 nearest other vectors of each by cosine, and their distances, ``(N, 10)`` each."""
        return nearest(self.vectors, NEIGHBOURS)

    def project(self, method: str = "tsne", **parameters: Any) -> Projection:
        """Lay the vectors out in two dimensions.

        Parameters
        ----------
        method
            A name of :data:`PROJECTIONS`.
        parameters
            What the method takes: see :func:`convscope.embed.tsne` and :func:`convscope.embed.pca`.
        """
        if method not in PROJECTIONS:
            raise not_found("projection", method, PROJECTIONS)
        projection = PROJECTIONS[method](self.vectors, **parameters)
        quality = preservation(self.neighbours[0], projection.points, self.labels)
        return Projection(**{**projection.__dict__, "quality": quality})

    def search(self, query: str) -> npt.NDArray[np.intp]:
        """Find the points whose label or metadata hold ``query`` as whole words, else as a part of words.

        "dog" finds the class "dog" and not "hot dog" where a class of that very name exists; an empty query finds
        nothing.
        """
        wanted = query.strip().casefold()
        if not wanted:
            return np.array([], np.intp)
        texts = [self._texts(i) for i in range(len(self))]
        word = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
        for match in (lambda t: t == wanted, word.search, lambda t: wanted in t):
            if found := [i for i, values in enumerate(texts) if any(match(value) for value in values)]:
                return np.array(found)
        return np.array([], np.intp)

    def _texts(self, i: int) -> list[str]:
        label = int(self.labels[i])
        name = [self.label_names[label]] if 0 <= label < len(self.label_names) else []
        return [str(text).casefold() for text in (*name, *(values[i] for values in self.columns.values()))]

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return the embedding as a summary of kind ``embedding``."""
        index, distance = self.neighbours
        arrays = {
            "label": self.labels,
            "index": self.index,
            "neighbours": index,
            "neighbour_distance": distance,
            "vector": _stored(self.vectors),
        }
        meta = {
            **self.meta,
            "layer": self.layer,
            "network": self.network,
            "dataset": self.dataset,
            "count": len(self),
            "label_names": list(self.label_names),
            "columns": {name: [str(value) for value in values] for name, values in self.columns.items()},
        }
        sheets = {} if self.thumbnails is None else {"thumbnail": _in_rows(self.thumbnails)}
        return Summary("embedding", tag or self.layer or "embedding", step, arrays=arrays, pictures=sheets, meta=meta)


def _stored(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.floating[Any]]:
    """Return vectors in half precision where that holds them."""
    fits = float(np.abs(vectors).max()) <= float(np.finfo(np.float16).max)
    return vectors.astype(np.float16) if fits else vectors


def _in_rows(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Arrange ``(N, h, w, c)`` as ``(rows, 48, h, w, c)``, filled up with black."""
    rows = -(-len(thumbnails) // COLUMNS)
    full = np.zeros((rows * COLUMNS, *thumbnails.shape[1:]), np.uint8)
    full[: len(thumbnails)] = thumbnails
    return full.reshape(rows, COLUMNS, *thumbnails.shape[1:])


def project_pca(vectors: npt.NDArray[np.float32], components: int = 2) -> Projection:
    """Project on the first principal components."""
    points, explained = pca(vectors, components)
    shares = {f"component {i + 1}": round(float(share), 4) for i, share in enumerate(explained)}
    return Projection(points, "pca", parameters={"explained_variance": shares})


def project_tsne(
    vectors: npt.NDArray[np.float32],
    *,
    perplexity: float = 30.0,
    iterations: int = 750,
    seed: int = 0,
    callback: Callable[[Projection], None] | None = None,
    every: int = 10,
    engine: str = "auto",
) -> Projection:
    """Project by t-SNE, after PCA to 50 components; ``callback`` gets every ``every``-th iteration as a projection."""
    parameters = {"perplexity": perplexity, "seed": seed, "pca": min(PCA_FIRST, *vectors.shape), "engine": engine}
    last = [0.0]

    def frame(iteration: int, divergence: float, points: npt.NDArray[np.float32]) -> None:
        last[0] = divergence
        if callback and iteration < iterations:
            callback(Projection(points, "tsne", iteration, iterations, divergence, parameters=parameters))

    report: Callback = frame
    points = tsne(
        pca(vectors, PCA_FIRST)[0],
        perplexity=perplexity,
        iterations=iterations,
        seed=seed,
        callback=report,
        every=every,
        engine=engine,
    )
    return Projection(points, "tsne", iterations, iterations, last[0], parameters=parameters)


PROJECTIONS: Final[Mapping[str, Callable[..., Projection]]] = {"pca": project_pca, "tsne": project_tsne}
