"""The feature maps that one picture causes in one layer ([METHODS §6])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.inspect.order import check_name, order_maps
from convscope.inspect.receptive_field import ReceptiveField
from convscope.rich import Rich
from convscope.summary import Summary

SMALL_SIDE: Final = 64
"""Pixels: the longer side of a map in a grid of all maps is at most this."""

SEPARATOR: Final = " @ "
"""Between layer and picture in a tag; both may hold slashes, colons and dots."""

CLAMPS: Final[Mapping[str, tuple[float, float | None]]] = {"ReLU": (0.0, None), "ReLU6": (0.0, 6.0)}
"""Non-linearities that only cut values off, by kind: what lies after them follows from what is recorded before."""

Floats = npt.NDArray[np.float32]


def maps_tag(layer: str, picture: str) -> str:
    """Return the tag of a layer's maps of a picture; a page takes it apart at the first separator.

    >>> maps_tag("layer1.0.conv1", "dogs/eagle.jpg")
    'layer1.0.conv1 @ dogs/eagle.jpg'
    """
    return f"{layer}{SEPARATOR}{picture}"


@dataclass(frozen=True)
class FeatureMaps(Rich):
    """What a layer of a network puts out for one picture, in the network's own forward pass.

    >>> maps = FeatureMaps(np.ones((96, 112, 112)), layer="conv1", nonlinearity="ReLU")
    >>> maps.maps.shape, maps.small.shape, maps.range[0]
    ((96, 112, 112), (96, 56, 56), array([1., 1.], dtype=float32))

    Parameters
    ----------
    maps
        ``(C, H, W)``, an array of any framework; a vector ``(C,)`` becomes maps of 1×1. Kept as float32, NaN and
        infinities with it: they are counted, and left out of every other number.
    layer, network
        Where the maps come from.
    picture
        What the network looked at, ``(H, W, 1)`` or ``(H, W, 3)`` of ``uint8``, aligned with the network's input.
    image
        What is known of the picture: ``index``, ``name``, ``label``.
    receptive_field
        Which pixels of the input the positions of these maps see.
    input_size
        Height and width of the network's input, in pixels; that of the picture unless given.
    nonlinearity
        The kind of the layer's non-linearity, ``"ReLU"`` for instance; empty where it has none. The values are those
        before it.
    predictions
        The network's answer, most probable first: ``{"label": …, "probability": …}``.
    orders
        Names of :data:`convscope.inspect.order.ORDERS` to record: permutations of the channels to sort them by. Maps of
        one position have none.
    meta
        More for the record: preprocessing, versions.

    Raises
    ------
    InputError
        If ``maps`` is not a non-empty array of numbers of one to three axes, or the picture is not one.
    NotFoundError
        If there is no such order.
    """

    maps: Any
    layer: str = field(default="", kw_only=True)
    network: str = field(default="", kw_only=True)
    picture: npt.NDArray[np.uint8] | None = field(default=None, kw_only=True)
    image: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    receptive_field: ReceptiveField | None = field(default=None, kw_only=True)
    input_size: tuple[int, int] | None = field(default=None, kw_only=True)
    nonlinearity: str = field(default="", kw_only=True)
    predictions: Sequence[Mapping[str, Any]] = field(default=(), kw_only=True)
    orders: Sequence[str] = field(default=(), kw_only=True)
    meta: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        maps = as_numpy(self.maps)
        if not 1 <= maps.ndim <= 3 or 0 in maps.shape or maps.dtype.kind not in "biuf":
            raise InputError(
                f"feature maps are an array (C, H, W) of one image, got {maps.dtype} of shape {maps.shape}"
            )
        with np.errstate(over="ignore"):  # a double beyond float32 becomes an infinity, which is counted
            maps = maps.reshape((*maps.shape, 1, 1)[:3]).astype(np.float32, copy=False)
        object.__setattr__(self, "maps", maps)
        if self.picture is not None and (self.picture.ndim != 3 or self.picture.dtype != np.uint8):
            raise InputError(
                f"the picture is (H, W, 1 or 3) of uint8, got {self.picture.dtype} of shape {self.picture.shape}"
            )
        if self.input_size is None and self.picture is not None:
            object.__setattr__(self, "input_size", self.picture.shape[:2])
        for name in self.orders:
            check_name(name)

    @cached_property
    def not_finite(self) -> npt.NDArray[np.int32]:
        """How many values of each channel are NaN or infinite, ``(C,)``."""
        if self._is_finite:
            return np.zeros(len(self.maps), np.int32)
        return np.asarray(np.count_nonzero(~np.isfinite(self.maps), axis=(1, 2)), np.int32)

    @cached_property
    def range(self) -> Floats:
        """Smallest and largest finite value of each channel, ``(C, 2)``; 0 and 0 where none is finite."""
        if self._is_finite:
            return self._ends
        known = np.isfinite(self.maps)
        low = np.where(known, self.maps, np.inf).min(axis=(1, 2))
        high = np.where(known, self.maps, -np.inf).max(axis=(1, 2))
        ends: Floats = np.where(known.any(axis=(1, 2))[:, None], np.stack([low, high], axis=1), 0).astype(np.float32)
        return ends

    @cached_property
    def mean(self) -> Floats:
        """Mean of the finite values of each channel, ``(C,)``."""
        return self._mean(self._plain)

    @cached_property
    def positive(self) -> Floats:
        """Share of the positions of each channel whose value is above 0, ``(C,)``."""
        share: Floats = (np.count_nonzero(self._plain > 0, axis=(1, 2)) / self._plain[0].size).astype(np.float32)
        return share

    @cached_property
    def small(self) -> npt.NDArray[np.uint8]:
        """The maps for a grid of all, ``(C, h, w)`` with at most 64 positions a side, in 256 steps of :attr:`range`.

        Of each square of positions that becomes one, the value farthest from zero stays: a single strong position is
        seen, whatever its sign. A NaN is drawn as the value nearest to zero, an infinity as the end of the range.
        """
        high, low = self._reduced
        return self._quantised(np.where(high >= -low, high, low) if high is not low else high)

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return the maps as a summary of kind ``maps``; the tag is made of layer and picture unless given.

        Beside ``map``, ``small`` and ``range`` it holds ``mean``, ``positive`` and ``not_finite``, ``(C,)`` each; where
        the values after the non-linearity follow from those before (:data:`CLAMPS`), ``mean_after`` and, if maps had to
        be reduced, ``small_after``: of each square the largest value; and ``order_NAME`` for each order.
        """
        arrays: dict[str, npt.NDArray[Any]] = {
            "map": self.maps,
            "small": self.small,
            "range": self.range,
            "mean": self.mean,
            "positive": self.positive,
            "not_finite": self.not_finite,
            **self._after(),
            **self._orders(),
        }
        shown = {} if self.picture is None else {"input": self.picture[None, None]}
        name = str(self.image.get("name", "")) or str(self.image.get("index", ""))
        return Summary(
            "maps", tag or maps_tag(self.layer, name), step, arrays=arrays, pictures=shown, meta=self._described()
        )

    def _described(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "network": self.network,
            "image": dict(self.image),
            "receptive_field": None if self.receptive_field is None else self.receptive_field.to_json(),
            "input_size": None if self.input_size is None else list(self.input_size),
            "nonlinearity": self.nonlinearity,
            "after": CLAMPS.get(self.nonlinearity),
            "reduced": self._square,
            "predictions": [dict(answer) for answer in self.predictions],
            **self.meta,
        }

    def _after(self) -> dict[str, npt.NDArray[Any]]:
        if self.nonlinearity not in CLAMPS:
            return {}
        after: dict[str, npt.NDArray[Any]] = {
            "mean_after": self._mean(np.clip(self._plain, *CLAMPS[self.nonlinearity])),
        }
        if self._square > 1:
            after["small_after"] = self._quantised(self._reduced[0])
        return after

    def _orders(self) -> dict[str, npt.NDArray[np.int32]]:
        if self.maps[0].size == 1:
            return {}
        return {f"order_{name}": order_maps(self._plain, name).permutation for name in self.orders}

    @cached_property
    def _ends(self) -> Floats:
        """Smallest and largest value of each channel, NaN and infinities included."""
        flat = self.maps.reshape(len(self.maps), -1)
        with np.errstate(invalid="ignore"):
            return np.stack([flat.min(1), flat.max(1)], axis=1)

    @cached_property
    def _is_finite(self) -> bool:
        return bool(np.isfinite(self._ends).all())

    @cached_property
    def _plain(self) -> Floats:
        """The maps for arithmetic: NaN is 0 or what is nearest to it, infinities are the ends of the range."""
        if self._is_finite:
            return np.asarray(self.maps)
        low, high = self.range[:, 0, None, None], self.range[:, 1, None, None]
        return np.asarray(np.clip(np.nan_to_num(self.maps, nan=0.0), low, high), np.float32)

    def _mean(self, values: Floats) -> Floats:
        """Return the mean of each channel over its positions that are finite."""
        if self._is_finite:
            return np.asarray(values.mean(axis=(1, 2), dtype=np.float64), np.float32)
        known = np.isfinite(self.maps)
        total = np.where(known, values, 0).sum(axis=(1, 2), dtype=np.float64)
        return np.asarray(total / np.maximum(known.sum(axis=(1, 2)), 1), np.float32)

    @property
    def _square(self) -> int:
        """How many positions a side become one in :attr:`small`."""
        return -int(-max(self.maps.shape[1:]) // SMALL_SIDE)

    @cached_property
    def _reduced(self) -> tuple[Floats, Floats]:
        """Largest and smallest value of each square of positions, ``(C, h, w)``; one array where nothing is reduced."""
        side, values = self._square, self._plain
        if side == 1:
            return values, values
        spare = [(0, -size % side) for size in values.shape[1:]]
        padded = np.pad(values, ((0, 0), *spare), mode="edge") if any(end for _, end in spare) else values
        return _squares(padded, side, np.maximum), _squares(padded, side, np.minimum)

    def _quantised(self, values: Floats) -> npt.NDArray[np.uint8]:
        low, high = self.range[:, 0, None, None], self.range[:, 1, None, None]
        with np.errstate(over="ignore"):
            span = high - low
        if not np.isfinite(span).all():  # a range beyond the largest float32
            values, low = values.astype(np.float64), low.astype(np.float64)
            span = high - low
        return np.asarray(np.rint((values - low) / np.where(span > 0, span, 1) * 255), np.uint8)


def _squares(values: Floats, side: int, keep: np.ufunc) -> Floats:
    """Return what ``keep`` keeps of each square of positions: ``(C, H, W)`` to ``(C, H/side, W/side)``."""
    rows: Floats = values[:, ::side]
    for offset in range(1, side):
        rows = keep(rows, values[:, offset::side])
    columns: Floats = rows[:, :, ::side]
    for offset in range(1, side):
        columns = keep(columns, rows[:, :, offset::side])
    return columns
