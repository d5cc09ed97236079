"""The feature maps of one layer for one picture, stacked into a volume ([METHODS §8])."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.inspect.order import find_order
from convscope.summary import Summary


@dataclass(frozen=True)
class Volume:
    """Stacked feature maps: channels are the depth of the volume.

    >>> volume = Volume(np.zeros((96, 55, 55), np.float32), order="mean")
    >>> volume.values.shape, volume.voxels.dtype
    ((96, 55, 55), dtype('uint8'))

    Parameters
    ----------
    maps
        ``(C, H, W)``, an array of any framework, in the network's order of channels; kept as float32.
    order
        A name of :data:`convscope.inspect.order.ORDERS`: how the channels are stacked.
    layer, network
        Where the maps come from.
    picture
        What the network looked at, ``(H, W, 1)`` or ``(H, W, 3)`` of ``uint8``, shown beside the volume.
    image
        What is known of the picture: ``index``, ``name``, ``label``.
    meta
        More for the record; the preprocessing, for instance.

    Raises
    ------
    InputError
        If ``maps`` is not a non-empty ``(C, H, W)`` array of finite numbers.
    NotFoundError
        If there is no such order.
    """

    maps: Any
    order: str = field(default="index", kw_only=True)
    layer: str = field(default="", kw_only=True)
    network: str = field(default="", kw_only=True)
    picture: npt.NDArray[np.uint8] | None = field(default=None, kw_only=True)
    image: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    meta: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        maps = as_numpy(self.maps)
        if maps.ndim != 3 or 0 in maps.shape or maps.dtype.kind not in "biuf":
            raise InputError(f"a volume is made from feature maps (C, H, W), got {maps.dtype} of shape {maps.shape}")
        maps = maps.astype(np.float32)
        if bad := int(np.count_nonzero(~np.isfinite(maps))):
            raise InputError(f"the feature maps hold {bad} values that are NaN or infinite; a volume needs finite ones")
        object.__setattr__(self, "maps", maps)
        find_order(self.order)

    @cached_property
    def permutation(self) -> npt.NDArray[np.int32]:
        """The channel at each depth, ``(C,)``; it can be applied to another picture's volume."""
        return find_order(self.order)(self.maps).astype(np.int32)

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """The volume, ``(C, H, W)``: the maps in this order."""
        result: npt.NDArray[np.float32] = self.maps[self.permutation]
        return result

    @cached_property
    def scale(self) -> npt.NDArray[np.float32]:
        """Smallest and largest value of each channel, ``(C, 2)``, in the network's order."""
        flat: npt.NDArray[np.float32] = self.maps.reshape(len(self.maps), -1)
        return np.stack([flat.min(1), flat.max(1)], axis=1)

    @cached_property
    def voxels(self) -> npt.NDArray[np.uint8]:
        """The maps for the wire, ``(C, H, W)`` in the network's order: 256 steps of each channel's scale.

        The error is at most 0.2 % of that scale.
        """
        low, high = self.scale[:, 0, None, None], self.scale[:, 1, None, None]
        span = np.where(high > low, high - low, 1).astype(np.float32)
        return np.asarray(np.rint((self.maps - low) / span * 255), np.uint8)

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return the volume as a summary of kind ``volume``.

        Maps and voxels are stored in the network's order, with the permutation beside them: so a page can show another
        order, and the permutation can be applied to another picture.
        """
        shown = {} if self.picture is None else {"input": self.picture[None, None]}
        meta = {
            **self.meta,
            "layer": self.layer,
            "network": self.network,
            "image": dict(self.image),
            "order": self.order,
            "input_size": None if self.picture is None else list(self.picture.shape[:2]),
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            "volume": self.maps,
            "voxels": self.voxels,
            "scale": self.scale,
            "order": self.permutation,
        }
        return Summary("volume", tag or self.layer or "volume", step, arrays=arrays, pictures=shown, meta=meta)
