"""Embeddings of others: vectors with columns of text, of which one is the label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from convscope.embed.columns import Column, categories, is_categorical, parsed
from convscope.embed.embedding import Embedding
from convscope.embed.given import Vectors, blocks

LABELS: Final = ("label", "class", "labels", "classes")
"""Columns of these names, in any case, are the label; the first that is there."""


def from_texts(
    vectors: Any,
    metadata: Mapping[str, Sequence[str]],
    *,
    label: str | None = None,
    thumbnails: Any = None,
    **about: Any,
) -> Embedding:
    """Return an embedding whose metadata are texts, as TensorBoard's projector has them.

    >>> from_texts(np.eye(3), {"class": ["a", "b", "a"], "size": ["1", "", "3"]})
    Embedding(3 × 3 float32, 2 classes, columns size)

    Parameters
    ----------
    vectors
        ``(N, D)``. NaN and infinities become 0; ``meta["replaced"]`` counts them.
    metadata
        Columns of ``N`` texts. One in which every text is a number becomes a column of numbers.
    label
        The column that is the label; by default one of that name, or the only one there is, as long as most of its
        texts occur more than once.
    thumbnails, about
        As for :class:`Embedding`.
    """
    metadata = {
        key if key.strip() else _unnamed(place, metadata): values
        for place, (key, values) in enumerate(metadata.items(), 1)
    }
    name = label_of(metadata) if label is None else label
    columns: dict[str, Column] = {key: parsed(values) for key, values in metadata.items() if key != name}
    labels, names = _labels(metadata[name]) if name else (None, [])
    if name and label is None and not is_categorical(names, len(metadata[name])):
        labels, names, columns = None, [], {name: parsed(metadata[name]), **columns}
    finite, replaced = _finite(np.asanyarray(vectors))
    meta = {**about.pop("meta", {}), **({"replaced": replaced} if replaced else {})}
    return Embedding(finite, labels, label_names=names, columns=columns, thumbnails=thumbnails, meta=meta, **about)


def _unnamed(place: int, names: Iterable[str]) -> str:
    """Return a name for a column that has none, and that no other has."""
    name = f"column {place}"
    while name in names:
        name += "'"
    return name


def label_of(names: Mapping[str, Any] | Sequence[str]) -> str:
    """Return which column is the label; "" where none is."""
    folded = {str(name).casefold(): str(name) for name in reversed(list(names))}
    found = [folded[name] for name in LABELS if name in folded]
    return found[0] if found else next(iter(names)) if len(names) == 1 else ""


def _labels(texts: Sequence[str]) -> tuple[Any, list[str]]:
    """Return labels and their names, numbers in their own order."""
    names, codes = categories([text if text.strip() else None for text in texts])
    if not all(name.isdecimal() and name.isascii() and len(name) < 10 for name in names):
        return codes, names
    order = sorted(range(len(names)), key=lambda place: (int(names[place]), names[place]))
    places = np.empty(len(names) + 1, np.int32)
    places[order] = np.arange(len(names))
    places[-1] = -1
    return places[codes], [names[place] for place in order]


def _finite(vectors: Vectors) -> tuple[Vectors, int]:
    """Return vectors in which what is not finite is 0, and how many numbers that were; good ones are not copied."""
    if vectors.dtype.kind != "f" or vectors.ndim != 2 or not vectors.size:
        return vectors, 0
    wrong = sum(int(np.count_nonzero(~np.isfinite(vectors[rows]))) for rows in blocks(vectors))
    return (np.nan_to_num(vectors, nan=0, posinf=0, neginf=0), wrong) if wrong else (vectors, 0)
