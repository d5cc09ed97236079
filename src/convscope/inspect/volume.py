"""Maps of one layer stacked into a volume: feature maps of a picture, weight gradients, weights ([METHODS §8])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.inspect.order import CHEAP, Order, check_name, given_order, order_points, row_order
from convscope.inspect.order_points import Points
from convscope.inspect.receptive_field import ReceptiveField
from convscope.inspect.volume_inputs import planes
from convscope.rich import Rich
from convscope.summary import Summary

SCALES: Final = ("layer", "channel", "symmetric")
WIRES: Final = ("uint8", "float16")
SOURCES: Final = ("activations", "weight_gradients", "weights", "array", "file")

MANY: Final = 1024
"""Channels from which on only the orders are computed unasked that cost no C³."""

_HALF: Final = (2.0**-14, 65504.0)
"""The smallest normal and the largest float16."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Volume(Rich):
    """Stacked maps: channels are the depth of the volume.

    >>> volume = Volume(np.zeros((96, 55, 55), np.float32), order="mean")
    >>> volume.values.shape, volume.voxels.dtype
    ((96, 55, 55), dtype('uint8'))

    Parameters
    ----------
    maps
        ``(C, H, W)`` in the network's order of channels, or ``(C, I, H, W)`` as weights and their gradients are, an
        array of any framework; kept as float32.
    order
        How the channels are stacked: a name of :data:`convscope.inspect.order.ORDERS` (``kmeans:7`` names a parameter),
        an :class:`~convscope.inspect.order.Order` of other maps, or a permutation ``(C,)``.
    orders
        All orders to store, by name or as they were found elsewhere, so that a page can change between them; by default
        all that maps alone give, of more than 1024 channels only ``index``, ``mean`` and ``pca``. The shown one is
        always among them.
    rows
        Lines of the image for which orders of the channels are stored, 0..H−1: see
        :func:`convscope.inspect.order.row_order`. By default the line in the middle.
    row_orders
        Names of the orders of these lines.
    scale
        What full contrast is, at first: one scale for the ``layer``, each ``channel`` its own, or ``symmetric`` about 0
        for the layer. By default symmetric where there are values of both signs, else the layer's.
    percentiles
        Where the scale ends, in percent of the values: ``(0, 100)`` are the smallest and the largest.
    inputs
        For four axes: ``sum`` or L2 ``norm`` over the I inputs, ``stack`` for all C·I planes, or the number of one.
    wire
        What the page is sent: ``uint8``, 256 steps of each channel's scale; ``float16``, the values themselves.
    source
        What the maps are: ``activations``, ``weight_gradients``, ``weights``, ``array`` or ``file``.
    layer, network
        Where the maps come from.
    picture
        What the network looked at, ``(H, W, 1)`` or ``(H, W, 3)`` of ``uint8``, shown beside the volume.
    image
        What is known of the picture: ``index``, ``name``, ``label``.
    receptive_field
        Which pixels of the network's input the positions of these maps see.
    group
        Of weight gradients: which images they are of.
    frame
        Which frame of which series it is: ``{"series": …, "name": …}``.
    spacing
        The distance of voxels along channel, row and column.
    meta
        More for the record; the preprocessing, for instance.

    Raises
    ------
    InputError
        If ``maps`` is not a non-empty array of finite numbers of three or four axes, an option is none of those that
        there are, or an order is of another number of channels.
    NotFoundError
        If there is no such order.
    """

    maps: Any
    order: Any = field(default="index", kw_only=True)
    orders: Sequence[str | Order] | None = field(default=None, kw_only=True)
    rows: Sequence[int] | None = field(default=None, kw_only=True)
    row_orders: Sequence[str] = field(default=("kmeans", "pca"), kw_only=True)
    scale: str | None = field(default=None, kw_only=True)
    percentiles: tuple[float, float] = field(default=(0.0, 100.0), kw_only=True)
    inputs: str | int = field(default="sum", kw_only=True)
    wire: str = field(default="uint8", kw_only=True)
    source: str = field(default="array", kw_only=True)
    layer: str = field(default="", kw_only=True)
    network: str = field(default="", kw_only=True)
    picture: npt.NDArray[np.uint8] | None = field(default=None, kw_only=True)
    image: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    receptive_field: ReceptiveField | None = field(default=None, kw_only=True)
    group: Mapping[str, Any] | None = field(default=None, kw_only=True)
    frame: Mapping[str, str] | None = field(default=None, kw_only=True)
    spacing: tuple[float, float, float] = field(default=(1.0, 1.0, 1.0), kw_only=True)
    meta: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        maps = as_numpy(self.maps)
        if maps.ndim not in (3, 4) or 0 in maps.shape or maps.dtype.kind not in "biuf":
            raise InputError(f"a volume is made from feature maps (C, H, W), got {maps.dtype} of shape {maps.shape}")
        if maps.ndim == 4:
            object.__setattr__(self, "meta", {**self.meta, "inputs": self.inputs, "inputs_count": maps.shape[1]})
            maps = planes(maps, self.inputs)
        with np.errstate(over="ignore"):  # a double beyond float32 becomes an infinity, which is counted
            maps = maps.astype(np.float32)
        if bad := int(np.count_nonzero(~np.isfinite(maps))):
            raise InputError(f"the feature maps hold {bad} values that are NaN or infinite; a volume needs finite ones")
        object.__setattr__(self, "maps", maps)
        if self.scale is None:
            object.__setattr__(self, "scale", "symmetric" if self.signed else "layer")
        self._check()

    def _check(self) -> None:
        for what, known in (("scale", SCALES), ("wire", WIRES), ("source", SOURCES)):
            if (value := getattr(self, what)) not in known:
                raise InputError(f"the {what} of a volume is one of {', '.join(known)}, got {value!r}")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise InputError(f"percentiles are two rising numbers of 0..100, got {low} and {high}")
        peak = float(np.abs(self.maps).max())
        if self.wire == "float16" and peak and not _HALF[0] <= peak <= _HALF[1]:
            reach = f"from {_HALF[0]:.1e} to {_HALF[1]:.0f}"
            raise InputError(f"float16 reaches {reach}, the largest |value| here is {peak:.3g}; use wire='uint8'")
        for order in (*(self.orders or ()), *self.row_orders, self.order):
            if isinstance(order, str):
                check_name(order)
            else:
                given_order(order).check(len(self.maps))
        height = self.maps.shape[1]
        if wrong := [row for row in self.rows or () if not 0 <= row < height]:
            raise InputError(f"no row {wrong[0]} in maps of {height} rows; there are 0..{height - 1}")

    @cached_property
    def _points(self) -> Points:
        return Points(self.maps)

    @cached_property
    def signed(self) -> bool:
        """Whether there are values of both signs."""
        return bool(self.maps.min() < 0 < self.maps.max())

    def ordered(self, name: str, **parameters: Any) -> Order:
        """Return the order called ``name`` of these maps, ready to be applied to another volume.

        It says of what maps it is; otherwise as :func:`convscope.inspect.order.order_maps`.
        """
        return replace(order_points(self._points, name, **parameters), source=self._called)

    def apply(self, order: Order | Sequence[int] | npt.NDArray[Any] | str) -> Volume:
        """Return this volume with its channels stacked in another order: one of other maps, a permutation, or a name.

        >>> cat, dog = (Volume(np.random.default_rng(seed).random((8, 5, 5)), image={"name": name})
        ...             for seed, name in enumerate(("cat", "dog")))
        >>> (dog.apply(cat.ordered("pca")).permutation == cat.ordered("pca").permutation).all()
        np.True_

        Raises
        ------
        InputError
            If the order is of another number of channels.
        """
        return replace(self, order=order)

    @property
    def _called(self) -> str:
        name = str(self.image.get("name", "") or (self.group or {}).get("name", ""))
        return " @ ".join(part for part in (self.layer, name) if part)

    @cached_property
    def shown(self) -> Order:
        """The order that the channels are stacked in."""
        return self._found(self.order)

    def _found(self, order: Any) -> Order:
        if isinstance(order, str):
            return order_points(self._points, order)
        given = given_order(order).seen_on(self._points)
        own = not given.source or given.source == self._called
        return given if own else replace(given, name=f"{given.name} of {given.source}")

    @property
    def permutation(self) -> npt.NDArray[np.int32]:
        """The channel at each depth, ``(C,)``; it can be applied to another picture's volume."""
        return self.shown.permutation

    @cached_property
    def stored_orders(self) -> tuple[Order, ...]:
        """All orders that are stored, the shown one first."""
        usual = CHEAP if len(self.maps) <= MANY else ("index", "mean", "pca")
        found = {self.shown.name: self.shown}
        for order in usual if self.orders is None else self.orders:
            if order not in found:
                one = self._found(order)
                found.setdefault(one.name, one)
        return tuple(found.values())

    @cached_property
    def stored_row_orders(self) -> tuple[Order, ...]:
        """The orders of the channels by single lines of the image."""
        rows = (self.maps.shape[1] // 2,) if self.rows is None else self.rows
        return tuple(row_order(self.maps, row, name) for name in self.row_orders for row in rows)

    @cached_property
    def values(self) -> Floats:
        """The volume, ``(C, H, W)``: the maps in this order."""
        result: Floats = self.maps[self.permutation]
        return result

    @cached_property
    def ranges(self) -> Floats:
        """What the ends of a channel's bytes stand for, ``(C, 2)``, in the network's order.

        Its smallest and largest value; of the scale ``channel`` its percentiles, and what lies beyond is cut off.
        """
        flat: Floats = self.maps.reshape(len(self.maps), -1)
        if self.scale == "channel" and tuple(self.percentiles) != (0, 100):
            return np.percentile(flat, self.percentiles, axis=1).T.astype(np.float32)
        return np.stack([flat.min(1), flat.max(1)], axis=1)

    @cached_property
    def window(self) -> tuple[float, float] | None:
        """The ends of the layer's scale: its percentiles, about 0 if symmetric; none where each channel has its own."""
        if self.scale == "channel":
            return None
        whole = tuple(self.percentiles) == (0, 100)
        ends = (self.maps.min(), self.maps.max()) if whole else np.percentile(self.maps, self.percentiles)
        low, high = (float(end) for end in ends)
        largest = max(abs(low), abs(high))
        return (-largest, largest) if self.scale == "symmetric" else (low, high)

    @cached_property
    def voxels(self) -> npt.NDArray[Any]:
        """The maps for the wire, ``(C, H, W)`` in the network's order.

        ``uint8``: 256 steps of :attr:`ranges`, the error at most 0.2 % of that range. ``float16``: the values, 11 bits
        of them.
        """
        if self.wire == "float16":
            return np.asarray(self.maps.astype(np.float16))
        low, high = (end.astype(np.float64)[:, None, None] for end in self.ranges.T)
        step = (np.where(high > low, high - low, 1) / 255).astype(np.float64)
        found = np.empty(self.maps.shape, np.uint8)
        for channel, values in enumerate(self.maps):  # one at a time: a copy in float64 is as large as eight volumes
            found[channel] = np.clip(np.rint((values - low[channel]) / step[channel]), 0, 255)
        return found

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return the volume as a summary of kind ``volume``.

        Maps and voxels are stored in the network's order, with the permutations beside them: so a page can show another
        order, and a permutation can be applied to another picture.
        """
        arrays: dict[str, npt.NDArray[Any]] = {
            "volume": self.maps,
            "voxels": self.voxels,
            "scale": self.ranges,
            "order": self.permutation,
            "orders": np.stack([order.permutation for order in self.stored_orders]),
        }
        if self.stored_row_orders:
            arrays["row_orders"] = np.stack([order.permutation for order in self.stored_row_orders])
        shown = {} if self.picture is None else {"input": self.picture[None, None]}
        tag = tag or self.layer or "volume"
        return Summary("volume", tag, step, arrays=arrays, pictures=shown, meta=self._described())

    def _described(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "group": None if self.group is None else dict(self.group),
            "frame": None if self.frame is None else dict(self.frame),
            **self.meta,
            "layer": self.layer,
            "network": self.network,
            "image": dict(self.image),
            "input_size": None if self.picture is None else list(self.picture.shape[:2]),
            "receptive_field": None if self.receptive_field is None else self.receptive_field.to_json(),
            "signed": self.signed,
            "scaling": {"by": self.scale, "percentiles": [float(end) for end in self.percentiles]},
            "window": None if self.window is None else list(self.window),
            "wire": self.wire,
            "axes": ["channel", "row", "column"],
            "spacing": [float(side) for side in self.spacing],
            "order": self.shown.name,
            "orders": [order.to_meta() for order in self.stored_orders],
            "row_orders": [order.to_meta() for order in self.stored_row_orders],
        }
