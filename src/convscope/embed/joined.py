"""Several embeddings as one."""

from __future__ import annotations

from typing import Any

import numpy as np

from convscope.embed.embedding import Embedding
from convscope.errors import InputError


def concatenate(parts: list[Embedding]) -> Embedding:
    """Return the points of several embeddings, one behind the other; see :meth:`Embedding.concatenate`."""
    if not parts:
        raise InputError("there is no embedding to concatenate; give at least one")
    sizes = {part.vectors.shape[1] for part in parts}
    if len(sizes) > 1:
        raise InputError(
            f"vectors of {' and '.join(map(str, sorted(sizes)))} numbers cannot stand together; give those of one layer"
        )
    index = np.concatenate([part.index for part in parts])
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    columns: dict[str, list[Any]] = {
        name: [value for part in parts for value in part.columns.get(name, [None] * len(part))] for name in names
    }
    first = parts[0]
    labels, label_names = _labels(parts)
    return Embedding(
        np.concatenate([part.vectors for part in parts]),
        labels,
        label_names=label_names,
        columns=columns,
        index=index if len(np.unique(index)) == len(index) else None,
        thumbnails=_pictures(parts),
        layer=first.layer if all(part.layer == first.layer for part in parts) else "",
        network=first.network if all(part.network == first.network for part in parts) else "",
        dataset=" + ".join(dict.fromkeys(part.dataset for part in parts if part.dataset)),
        meta=dict(first.meta),
    )


def _labels(parts: list[Embedding]) -> tuple[Any, list[str]]:
    """Return labels that count in one list of names; where no part has names, the numbers are the classes."""
    if not any(part.label_names for part in parts):
        return np.concatenate([part.labels for part in parts]), []
    texts: list[str | None] = []
    for part in parts:
        known = part.label_names
        texts += [
            known[label] if 0 <= label < len(known) else None if label < 0 else f"class {label}"
            for label in part.labels.tolist()
        ]
    names = list(dict.fromkeys(name for part in parts for name in part.label_names))
    names += sorted({text for text in texts if text is not None} - set(names))
    return texts, names


def _pictures(parts: list[Embedding]) -> list[Any] | None:
    found: list[Any] = []
    for part in parts:
        found += part.pictures() or [None] * len(part)
    return None if all(picture is None for picture in found) else found
