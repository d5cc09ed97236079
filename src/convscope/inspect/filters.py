"""The filters of a convolution and their health (METHODS §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.summary import Summary, finite

DEAD_BELOW: Final = 1e-6
WEAK_BELOW: Final = 0.01


@dataclass(frozen=True)
class Filters:
    """The weights of one convolution, the length of each filter, and which of them have learned nothing.

    Attributes
    ----------
    layer, network
        Where they come from.
    weight
        The filters, ``(O, I, kh, kw)``.
    norm
        The L2 norm of each filter, ``(O,)``.
    dead
        Filters whose norm is below the threshold for dead ones, ascending.
    weak
        Filters that are not dead but below the given share of the layer's largest norm, ascending.
    scale
        The largest absolute weight: what full contrast stands for.
    """

    layer: str
    network: str
    weight: npt.NDArray[np.float32]
    norm: npt.NDArray[np.float32]
    dead: tuple[int, ...]
    weak: tuple[int, ...]
    scale: float

    def to_summary(self, tag: str | None = None, step: int = 0) -> Summary:
        """Return the filters as a summary of kind ``filters``; the tag is the layer's name unless given."""
        meta = {
            "layer": self.layer,
            "network": self.network,
            "dead": list(self.dead),
            "weak": list(self.weak),
            "scale": finite(self.scale),
        }
        return Summary("filters", tag or self.layer, step, arrays={"weight": self.weight, "norm": self.norm}, meta=meta)


def examine_filters(
    weight: npt.NDArray[Any],
    *,
    layer: str,
    network: str = "",
    dead_below: float = DEAD_BELOW,
    weak_below: float = WEAK_BELOW,
) -> Filters:
    """Return the filters with their norms and flags (METHODS §5).

    >>> weight = np.ones((3, 1, 2, 2)); weight[1] = 0; weight[2] *= 0.001
    >>> examine_filters(weight, layer="conv1").dead, examine_filters(weight, layer="conv1").weak
    ((1,), (2,))

    Parameters
    ----------
    weight
        Filters ``(O, I, kh, kw)``.
    layer, network
        Their names.
    dead_below
        An L2 norm below this is dead.
    weak_below
        A norm below this share of the layer's largest is weak.
    """
    if weight.ndim != 4 or not weight.size:
        raise InputError(f"filters are an array (O, I, kh, kw), got shape {weight.shape}; give a convolution's weights")
    exact = weight.astype(np.float64)
    norm = np.sqrt((exact**2).sum(axis=(1, 2, 3)))
    dead = norm < dead_below
    weak = ~dead & (norm < weak_below * norm.max())
    return Filters(
        layer,
        network,
        weight.astype(np.float32),
        norm.astype(np.float32),
        tuple(int(i) for i in np.flatnonzero(dead)),
        tuple(int(i) for i in np.flatnonzero(weak)),
        float(np.abs(exact).max()),
    )
