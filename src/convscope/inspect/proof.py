"""Proof figures: what a projection is about, in numbers beside the picture (METHODS §2, last item; [Adebayo18]).

A projection that hardly changes when another channel, or random weights, take the place of the channel's own is not a
picture of that channel, however telling it looks; that it points to the right place is another matter, and is measured
by taking that place away.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

PROOF: Final = ("specificity", "randomised_layer", "randomised_all", "deletion", "deletion_random")
"""The figures, in their order.

``specificity``: 1 − cosine with the projection of a random other channel, active at the same place where there is one;
0 where the picture says nothing about the channel. ``randomised_layer``, ``randomised_all``: cosine with the projection
after the weights of the layer, of all layers, were shuffled; near 1 where the picture does not depend on them.
``deletion``: the share of the activation that is lost when the 20 % of the field's pixels that the projection marks
most are set to the field's mean colour; ``deletion_random``: the same with random pixels.
"""

DELETED: Final = 0.2


def cosines(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return the cosine of each pair of rows ``(B, …)``; NaN where one of them is zero.

    >>> cosines(np.array([[1.0, 0], [1, 1], [0, 0]]), np.array([[2.0, 0], [1, 0], [1, 0]])).round(4)
    array([1.    , 0.7071,    nan], dtype=float32)
    """
    x, y = (_unscaled(np.asarray(part, np.float64).reshape(len(part), -1)) for part in (a, b))
    scale = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (x * y).sum(axis=1) / scale, np.nan).astype(np.float32)


def _unscaled(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Divide each row by its largest absolute value: the squares of very small numbers are 0."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    with np.errstate(invalid="ignore"):
        return rows / np.where(largest > 0, largest, 1)


def marked(strength: npt.NDArray[np.floating], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the strongest fifth of the pixels ``(h, w)`` that lie inside; of equal ones the first.

    >>> marked(np.array([[5.0, 1, 9, 2, 3]]), np.array([[True, True, False, True, True]]))
    array([[ True, False, False, False, False]])
    """
    places = np.flatnonzero(inside)
    count = -(-len(places) // round(1 / DELETED))
    order = np.argsort(-strength.reshape(-1)[places], kind="stable")[:count]
    chosen = np.zeros(inside.size, bool)
    chosen[places[order]] = True
    return chosen.reshape(inside.shape)


def lost(before: npt.NDArray[np.floating], after: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return the share of activations ``(B,)`` that is lost; below 0 where they rose, NaN where there were none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(before > 0, 1 - after / before, np.nan).astype(np.float32)
