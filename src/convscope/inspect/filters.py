"""The filters of a convolution and their health (METHODS §5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.summary import Summary, finite

DEAD_BELOW: Final = 1e-6
WEAK_BELOW: Final = 0.01
_PICTURE_SIDE: Final = 256
_MOST_TILES: Final = 1024


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


def filters_picture(weight: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return filters as one picture ``(H, W, C)`` on one signed scale: zero is mid-grey, the largest weight is white.

    >>> filters_picture(np.zeros((96, 3, 11, 11))).shape
    (240, 240, 3)

    Parameters
    ----------
    weight
        Filters ``(O, I, kh, kw)``. Those of three input channels are in colour; of one, grey; of other numbers each
        filter is a row of grey tiles. Not more than 1024 tiles are drawn. A weight that is not finite is mid-grey.
    """
    if weight.ndim != 4 or not weight.size:
        raise InputError(f"filters are an array (O, I, kh, kw), got shape {weight.shape}; give a convolution's weights")
    inputs, height, width = weight.shape[1:]
    finite_only = np.where(np.isfinite(weight), weight, 0).astype(np.float64)
    signed = finite_only / (np.abs(finite_only).max() or 1)
    tiles = signed.transpose(0, 2, 3, 1) if inputs == 3 else signed.reshape(-1, height, width, 1)
    tiles = tiles[:_MOST_TILES]
    columns = math.ceil(math.sqrt(len(tiles))) if inputs in (1, 3) else min(inputs, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * columns, height + 1, width + 1, tiles.shape[3]), 255, np.uint8)
    sheet[: len(tiles), :height, :width] = np.rint(127.5 + 127.5 * tiles)
    picture = sheet.reshape(rows, columns, height + 1, width + 1, -1).swapaxes(1, 2)
    picture = picture.reshape(rows * (height + 1), columns * (width + 1), -1)
    zoom = max(1, _PICTURE_SIDE // max(picture.shape[:2]))
    return picture.repeat(zoom, 0).repeat(zoom, 1)
