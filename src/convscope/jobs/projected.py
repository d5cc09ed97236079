"""The projections of one layer as a record takes them: small pictures with their scales, and their proof figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.inspect.attribution import Finished, signed_pictures
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.proof import PROOF
from convscope.inspect.topk import TopK
from convscope.nets.data import ImageSet

GREY: Final = 128


@dataclass(frozen=True)
class Projected:
    """A layer's projections while they arrive; nothing in float is kept of them but their scales and figures.

    Attributes
    ----------
    rules
        The rules' names, in the order of the arrays.
    pictures
        By rule, tiles ``(C, k, h, w, c)``: 0 is mid-grey.
    scale
        The absolute value that full contrast stands for, ``(R, C, k)``.
    proof
        Proof figures ``(R, C, k, 5)`` in the columns :data:`PROOF`; NaN where they are not computed.
    flipped
        Whether the network takes blue first, so that the colours have to be turned round.
    """

    rules: tuple[str, ...]
    pictures: Mapping[str, npt.NDArray[np.uint8]]
    scale: npt.NDArray[np.float32]
    proof: npt.NDArray[np.float32]
    flipped: bool

    @classmethod
    def empty(cls, top: TopK, images: ImageSet, rules: Sequence[str]) -> Projected:
        """Return room for the projections of a layer."""
        shape = (top.channels, top.k)
        tile = (*tile_size(top.tile_size), int(images.preprocessing.channels))
        return cls(
            tuple(rules),
            {rule: np.full((*shape, *tile), GREY, np.uint8) for rule in rules},
            np.zeros((len(rules), *shape), np.float32),
            np.full((len(rules), *shape, len(PROOF)), np.nan, np.float32),
            images.preprocessing.order == "BGR",
        )

    def keep(self, done: Finished) -> None:
        """Put projections into their places, shrunk."""
        sheet, number = self.pictures[done.rule], self.rules.index(done.rule)
        small = shrink(done.tiles, (sheet.shape[2], sheet.shape[3]))  # first: contrast is of what is shown
        pictures, scale = signed_pictures(small[..., ::-1] if self.flipped else small)
        rows, ranks = done.slots.T
        sheet[rows, ranks] = pictures
        self.scale[number, rows, ranks] = scale
        if done.proof is not None:
            self.proof[number, rows, ranks] = done.proof

    @property
    def has_proof(self) -> bool:
        """Whether any proof figure is computed."""
        return not bool(np.isnan(self.proof).all())

    def proof_summary(self) -> dict[str, dict[str, list[float]]]:
        """Return the quartiles of each figure over all projections that have it, by rule and name."""
        found: dict[str, dict[str, list[float]]] = {}
        for rule, figures in zip(self.rules, self.proof, strict=True):
            columns = dict(zip(PROOF, np.moveaxis(figures, -1, 0), strict=True))
            known = {name: column[~np.isnan(column)] for name, column in columns.items()}
            found[rule] = {name: quartiles(values) for name, values in known.items() if len(values)}
        return found


def quartiles(values: npt.NDArray[Any]) -> list[float]:
    """Return the first quartile, the median and the third quartile of some numbers.

    >>> quartiles(np.array([0.0, 1, 2, 3, 4]))
    [1.0, 2.0, 3.0]
    """
    return [float(value) for value in np.percentile(values, (25, 50, 75))]
