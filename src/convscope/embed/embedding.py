"""The embedding of a data set by one layer, its projections and its search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.blocks import Blocks
from convscope.embed import columns as coded
from convscope.embed.given import as_labels, as_vectors, fits_half, named
from convscope.embed.methods import Method, project
from convscope.embed.neighbours import Index, nearest
from convscope.embed.projection import Projection
from convscope.embed.search import CLASS, Field, Matches, find
from convscope.embed.thumbnails import COLUMNS, Pixels, Thumbnails, fit_thumbnails, in_rows
from convscope.errors import FormatError, InputError
from convscope.rich import Rich
from convscope.summary import Summary

__all__ = ["COLUMNS", "Embedding"]

NEIGHBOURS: Final = 10
NEIGHBOURS_UP_TO: Final = 20_000
"""Of more points the neighbours are not stored: who asks for them is answered from the vectors."""


@dataclass(frozen=True, repr=False)
class Embedding(Rich):
    """Vectors of one layer for many pictures, with what is known of each picture.

    >>> embedding = Embedding(np.eye(6), labels=[0, 0, 0, 1, 1, 1], label_names=["dog", "hot dog"])
    >>> embedding
    Embedding(6 × 6 float32, 2 classes)
    >>> embedding.search("dog").tolist()
    [0, 1, 2]

    Parameters
    ----------
    vectors
        ``(N, D)``, of any framework. ``float16`` and ``float32`` are kept without a copy, memory maps too; all else
        becomes ``float32``.
    labels
        ``(N,)`` integers, negative for unknown; or texts, ``None`` for unknown, which become the names.
    label_names
        The name of each label.
    columns
        More metadata: name → ``N`` values (numbers, texts, dates; ``None`` or NaN where one is missing), or a data
        frame.
    index
        ``(N,)``: each picture's index in its data set; 0 … N - 1 by default.
    thumbnails
        ``(N, h, w)``, ``(N, h, w, c)`` or ``(N, c, h, w)``; or a sequence of pictures of differing shapes, ``None``
        where there is none. Those of more than 64 pixels a side are shrunk, in proportion.
    thumbnail_size
        ``(N, 2)``: height and width of each picture in the middle of its thumbnail, 0 of one that is missing; found
        where the pictures are a sequence.
    layer, network, dataset
        Where the vectors come from.
    meta
        More for the record: ``preprocessing``, ``pooling``, ``normalised``, ``feature_shape``, for instance.

    Raises
    ------
    InputError
        If shapes or lengths do not fit together, or vectors hold NaN or infinities.
    """

    vectors: Any
    labels: Any = None
    label_names: Sequence[str] = field(default=(), kw_only=True)
    columns: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    index: Any = field(default=None, kw_only=True)
    thumbnails: Any = field(default=None, kw_only=True)
    thumbnail_size: Any = field(default=None, kw_only=True)
    layer: str = field(default="", kw_only=True)
    network: str = field(default="", kw_only=True)
    dataset: str = field(default="", kw_only=True)
    meta: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        vectors = as_vectors(self.vectors)
        count = len(vectors)
        labels, names = as_labels(self.labels, self.label_names, count)
        pictures = None if self.thumbnails is None else fit_thumbnails(self.thumbnails, count)
        if pictures is not None and self.thumbnail_size is not None:
            pictures = Thumbnails(pictures.tiles, _sizes(self.thumbnail_size, pictures.tiles))
        made = {
            "vectors": vectors,
            "labels": labels,
            "label_names": names,
            "columns": coded.as_columns(self.columns, count),
            "index": np.arange(count) if self.index is None else _index(self.index, count),
            "thumbnails": None if pictures is None else pictures.tiles,
            "thumbnail_size": None if pictures is None else pictures.size,
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        count, size = self.vectors.shape
        known = [f"{count:,} × {size:,} {self.vectors.dtype}"]
        known += [f"{value!r}" for value in (self.layer, self.network, self.dataset) if value]
        if (classes := len(self.label_names) or len(np.unique(self.labels[self.labels >= 0]))) > 0:
            known.append(f"{classes:,} {'class' if classes == 1 else 'classes'}")
        if self.columns:
            known.append(f"columns {', '.join(self.columns):.80}")
        if self.thumbnails is not None:
            missing = f" ({self.missing_thumbnails:,} missing)" if self.missing_thumbnails else ""
            known.append(f"thumbnails {self.thumbnails.shape[2]} × {self.thumbnails.shape[1]}{missing}")
        return f"Embedding({', '.join(known)})"

    @property
    def missing_thumbnails(self) -> int:
        """How many points have no thumbnail, where others have."""
        return 0 if self.thumbnails is None else Thumbnails(self.thumbnails, self.thumbnail_size).missing

    @cached_property
    def neighbours(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The 10 nearest other vectors of each by cosine, and their distances, ``(N, 10)`` each."""
        return nearest(self.vectors, NEIGHBOURS)

    def project(self, method: str | Method = "tsne", **parameters: Any) -> Projection:
        """Lay the vectors out in two or three dimensions.

        Parameters
        ----------
        method
            A name of :data:`PROJECTIONS`, or a function from vectors to points.
        **parameters
            What :func:`convscope.embed.methods.project` and the method take; ``dimensions=3``, for instance.
        """
        return project(self.vectors, method, labels=self.labels, label_names=self.label_names, **parameters)

    def neighbours_of(
        self, points: Any, k: int = NEIGHBOURS, *, metric: str = "cosine"
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the ``k`` points that are nearest, and how far they are: ``(k,)`` each, nearest first.

        >>> Embedding([[1, 0], [0, 1], [1, 1]]).neighbours_of(0, 1)[0].tolist()
        [2]

        Parameters
        ----------
        points
            The number of a point; or numbers of several, whose mean is what the others are near to; or a vector
            ``(D,)`` of floats.
        k
            How many; fewer where there are not as many.
        metric
            ``cosine`` (distance 1 - cosine) or ``euclidean``.

        Raises
        ------
        InputError
            If a point is not there, or the vector has another length.
        """
        if k < 1:
            raise InputError(f"k is how many neighbours are wanted, at least 1, got {k}")
        if metric not in self._indexes:
            self._indexes.clear()  # each is as large as the vectors
            self._indexes[metric] = Index(self.vectors, metric)
        return self._indexes[metric].nearest(as_numpy(points), k)

    @cached_property
    def _indexes(self) -> dict[str, Index]:
        return {}

    def search(self, query: str) -> npt.NDArray[np.intp]:
        """Find the points that a query means, in the best tier in which there are any.

        "dog" finds the class "dog" and not "hot dog" where a class of that very name exists, else whole words, else
        parts of words (:meth:`matches` has all three). Several words must all be there; ``"hot dog"`` is a phrase,
        ``/dog|cat/`` a regular expression, ``class:dog`` that class alone, ``split:train`` looks at one column, and
        ``-word`` leaves out. An empty query finds nothing.

        Raises
        ------
        InputError
            If a regular expression is none.
        """
        return self.matches(query).best

    def matches(self, query: str) -> Matches:
        """Find the points that a query means: exactly, as whole words, and as parts of words."""
        return find(query, self._fields)

    @cached_property
    def _fields(self) -> list[Field]:
        """What a search looks at: the label, then the columns."""
        fields = [Field(CLASS, *named(self.labels, self.label_names, "class {}".format))]
        for name, values in self.columns.items():
            found, codes = coded.categories(coded.texts(values))
            fields.append(Field(name, found, codes, coded.numeric(values) is not None))
        return fields

    def take(self, indices: Any) -> Embedding:
        """Return the embedding of some of the points.

        Parameters
        ----------
        indices
            Their numbers, in the order wanted; or a mask ``(N,)``; or a slice.
        """
        try:
            chosen = np.arange(len(self))[indices if isinstance(indices, slice) else _chosen(indices)]
        except IndexError as error:
            raise InputError(
                f"points of {len(self)} are numbers from 0 to {len(self) - 1} or a mask ({error})"
            ) from None
        if not len(chosen):
            raise InputError(f"none of the {len(self)} points is chosen; an embedding has at least one")
        return replace(
            self,
            vectors=self.vectors[chosen],
            labels=self.labels[chosen],
            index=self.index[chosen],
            columns={name: _taken(values, chosen) for name, values in self.columns.items()},
            thumbnails=None if self.thumbnails is None else self.thumbnails[chosen],
            thumbnail_size=None if self.thumbnail_size is None else self.thumbnail_size[chosen],
        )

    @classmethod
    def concatenate(cls, embeddings: Sequence[Embedding]) -> Embedding:
        """Return the points of several embeddings as one: classes of one name are one, what a column lacks is missing.

        Raises
        ------
        InputError
            If there is none, or their vectors differ in length.
        """
        from convscope.embed.joined import concatenate

        return concatenate(list(embeddings))

    def pictures(self) -> list[Pixels | None] | None:
        """Return the thumbnails without what fills up their tiles, ``None`` for each that is missing."""
        if self.thumbnails is None:
            return None
        if self.thumbnail_size is None:
            return list(self.thumbnails)
        height, width = self.thumbnails.shape[1:3]
        found: list[Pixels | None] = []
        for tile, (rows, columns) in zip(self.thumbnails, self.thumbnail_size.tolist(), strict=True):
            top, left = (height - rows) // 2, (width - columns) // 2
            found.append(tile[top : top + rows, left : left + columns] if rows else None)
        return found

    def to_summary(self, tag: str = "", step: int = 0, *, neighbours: bool | None = None) -> Summary:
        """Return the embedding as a summary of kind ``embedding``.

        Parameters
        ----------
        tag, step
            What it is called; the layer's name by default.
        neighbours
            Whether the ten nearest of each are found and stored; by default those of up to 20,000 points.
        """
        about, arrays = coded.encode(self.columns)
        arrays |= {"label": self.labels, "index": self.index, "vector": _stored(self.vectors)}
        if len(self) <= NEIGHBOURS_UP_TO if neighbours is None else neighbours:
            arrays["neighbours"], arrays["neighbour_distance"] = self.neighbours
        if self.thumbnail_size is not None:
            arrays["thumbnail_size"] = self.thumbnail_size
        meta = {
            "pooling": "",
            "normalised": False,
            "feature_shape": [self.vectors.shape[1]],
            **self.meta,
            "layer": self.layer,
            "network": self.network,
            "dataset": self.dataset,
            "count": len(self),
            "dim": self.vectors.shape[1],
            "label_names": list(self.label_names),
            "columns": about,
            "missing_thumbnails": self.missing_thumbnails,
        }
        sheets = {} if self.thumbnails is None else {"thumbnail": in_rows(self.thumbnails)}
        return Summary("embedding", tag or self.layer or "embedding", step, arrays=arrays, pictures=sheets, meta=meta)

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write the embedding as a Parquet file (extra ``table``); ``convscope.read_embedding`` reads it back.

        ``embedding`` holds the vectors as lists, ``label`` and ``index`` what they say, ``thumbnail`` PNG files; the
        metadata columns have their own names.

        Raises
        ------
        MissingExtraError
            If pyarrow is not installed.
        StorageError
            If the file cannot be written.
        """
        from convscope.embed.table import write_parquet

        write_parquet(self, path)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], thumbnails: Pixels | None = None
    ) -> Embedding:
        """Return the embedding that a record of kind ``embedding`` holds.

        Parameters
        ----------
        arrays
            Those of the record: ``vector``, ``label``, ``index`` and the columns.
        meta
            What the record says.
        thumbnails
            ``(N, h, w, c)`` or the rows of the sheet, ``(rows, 48, h, w, c)``.

        Raises
        ------
        FormatError
            If the record is not one of an embedding.
        """
        if not {"vector", "label", "index"} <= arrays.keys():
            raise FormatError(
                f"an embedding has vector, label and index, this record has {', '.join(arrays) or 'nothing'}"
            )
        count = len(arrays["vector"])
        if thumbnails is not None:
            thumbnails = thumbnails.reshape(-1, *thumbnails.shape[-3:])[:count]
        own = {"layer", "network", "dataset", "count", "dim", "label_names", "columns", "missing_thumbnails"}
        return cls(
            arrays["vector"],
            arrays["label"],
            label_names=meta.get("label_names", ()),
            columns=coded.decode(meta.get("columns"), arrays),
            index=arrays["index"],
            thumbnails=thumbnails,
            thumbnail_size=None if thumbnails is None else arrays.get("thumbnail_size"),
            meta={name: value for name, value in meta.items() if name not in own},
            **{name: str(meta.get(name, "")) for name in ("layer", "network", "dataset")},
        )


def _stored(vectors: npt.NDArray[Any]) -> Any:
    """Return vectors in half precision where that holds them; those in a file as they are asked for."""
    if vectors.dtype == np.float16 or not fits_half(vectors):
        return vectors
    if isinstance(vectors, np.memmap):
        return Blocks(vectors.shape, np.float16, lambda start, stop: vectors[start:stop].astype(np.float16))
    return vectors.astype(np.float16)


def _index(index: Any, count: int) -> npt.NDArray[np.int64]:
    array = as_numpy(index)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise InputError(
            f"{count} vectors but {len(array) if array.ndim else 'one'} index; give a whole number for each vector"
        )
    return array.astype(np.int64)


def _sizes(sizes: Any, tiles: Pixels) -> npt.NDArray[np.uint8]:
    array = as_numpy(sizes)
    if array.shape != (len(tiles), 2) or (array < 0).any() or (array > tiles.shape[1:3]).any():
        raise InputError(
            f"thumbnail_size is (N, 2), at most {tiles.shape[1:3]}, for {len(tiles)} thumbnails; got {array.shape}"
        )
    return array.astype(np.uint8)


def _chosen(indices: Any) -> npt.NDArray[Any]:
    array = as_numpy(indices)
    return array if array.size else array.astype(np.intp)


def _taken(values: Any, chosen: npt.NDArray[np.intp]) -> Any:
    return values[chosen] if isinstance(values, np.ndarray) else [values[i] for i in chosen.tolist()]
