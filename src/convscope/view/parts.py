"""One record of an export, and how some of its channels and rules are cut out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError

CHANNEL_AXIS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("value", "activation", "image", "position", "box", "label", "recomputed", "map_scale"), 0),
    **dict.fromkeys(("histogram", "class_top", "class_mean", "similar", "similarity"), 0),
    **dict.fromkeys(("projection_scale", "proof"), 1),
}
"""The arrays of a top-k record that are blank for channels left out, and which axis is that of the channels.

The mean, the maximum and the like stay: the pages of the network and of the layer count with all channels.
"""
_RULED: Final = ("projection_scale", "proof")


@dataclass(frozen=True)
class Part:
    """A record, or what is wanted of it: its description, the files of its pictures, and how its arrays are cut."""

    id: str
    kind: str
    page: str
    layer: str
    bytes: int
    described: Mapping[str, Any]
    channels: tuple[int, ...] | None = None
    rules: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """How many channels a top-k record has."""
        shape = self.described["arrays"].get("value", {}).get("shape", [0])
        return int(shape[0]) if shape else 0

    @property
    def known_rules(self) -> list[str]:
        """The rules of the projections of a top-k record."""
        rules = self.described["meta"].get("rules") if self.kind == "topk" else None
        return [str(rule) for rule in rules] if isinstance(rules, list) else []

    @property
    def files(self) -> list[str]:
        """The files of pictures that are wanted."""
        return [
            file
            for plan in self.described["pictures"].values()
            for number, file in enumerate(plan["files"])
            if self.channels is None or any(channel // plan["rows"] == number for channel in self.channels)
        ]

    def is_cut(self, name: str) -> bool:
        """Tell whether an array is not wanted as it is."""
        return (self.channels is not None and name in CHANNEL_AXIS) or (self.rules is not None and name in _RULED)

    def cut(self, name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what is wanted of an array."""
        if self.rules is not None and name in _RULED and _has_rows(array.shape, self.rules):
            array = array[list(self.rules)]
        axis = CHANNEL_AXIS.get(name, 0)
        if self.channels is not None and array.shape[axis : axis + 1] == (self.count,):
            array = _blanked(array, axis, self.channels)
        return array


def checked(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record's description if its arrays have types and shapes."""
    for name, info in described["arrays"].items():
        shape = info.get("shape") if isinstance(info, dict) else None
        sound = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
        if not sound or not isinstance(info.get("dtype"), str):
            raise FormatError(f"record {described['id']} does not say of what type and shape its array {name!r} is")
    return described


def part_of(part: Part, channels: Collection[int] | None, rules: Collection[str] | None) -> Part | None:
    """Return some channels and rules of a top-k record; any other as it is; nothing where none of it is wanted."""
    if part.kind != "topk":
        return part
    described, kept, numbers = dict(part.described), None, None
    if rules is not None and (known := part.known_rules):
        kept = tuple(number for number, rule in enumerate(known) if rule in rules)
        described = _without(described, [rule for rule in known if rule not in rules], kept)
    if channels is not None:
        numbers = tuple(sorted({channel for channel in channels if channel < part.count}))
        if not numbers:
            return None
        described["meta"] = {**described["meta"], "exported_channels": list(numbers)}
    return replace(part, described=described, channels=numbers, rules=kept)


def _without(described: Mapping[str, Any], gone: list[str], kept: tuple[int, ...]) -> dict[str, Any]:
    """Return the description of a top-k record without some rules."""
    meta = dict(described["meta"])
    for key in ("rule_reports", "proof_summary"):
        if isinstance(meta.get(key), dict):
            meta[key] = {rule: value for rule, value in meta[key].items() if rule not in gone}
    meta["rules"] = [rule for rule in meta["rules"] if rule not in gone]
    arrays = {
        name: {**info, "shape": [len(kept), *info["shape"][1:]]}
        if name in _RULED and _has_rows(info["shape"], kept)
        else info
        for name, info in described["arrays"].items()
    }
    if not kept:
        arrays = {name: info for name, info in arrays.items() if name not in _RULED}
    pictures = {name: plan for name, plan in described["pictures"].items() if name not in gone}
    return {**described, "meta": meta, "arrays": arrays, "pictures": pictures}


def _has_rows(shape: Sequence[int], rows: tuple[int, ...]) -> bool:
    return len(shape) > 0 and shape[0] > max(rows, default=-1)


def _blanked(array: npt.NDArray[Any], axis: int, channels: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return an array in which the other channels hold nothing: NaN, -1, or 0 where neither can be."""
    nothing = np.nan if array.dtype.kind == "f" else -1 if array.dtype.kind == "i" else 0
    blank = np.full_like(array, nothing)
    chosen = (slice(None),) * axis + (list(channels),)
    blank[chosen] = array[chosen]
    return blank
