"""What the children of an imported network are called: as near to the names of its origin as the file tells."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from torch import nn

_WEIGHT: Final = re.compile(r"(.+?)(?:[./](?:weight|bias|kernel(?::0)?)|_w(?:_0)?|_weight)")
_SCOPE_OP: Final = re.compile(r"[A-Z]\w*")


def weight_owner(value: str) -> str:
    """Return the module a weight belongs to by its name, or nothing.

    >>> weight_owner("layer1.0.conv1.weight"), weight_owner("fire2/squeeze1x1_w_0"), weight_owner("onnx::Conv_193")
    ('layer1.0.conv1', 'fire2.squeeze1x1', '')
    """
    found = _WEIGHT.fullmatch(value)
    return "" if found is None or "::" in value else clean(found[1])


def clean(name: str) -> str:
    """Return a name with dots between scopes and nothing that a module's name cannot hold.

    >>> clean("/layer1/layer1.0/conv1/Conv"), clean("StatefulPartitionedCall/model/conv1:0")
    ('layer1.0.conv1.Conv', 'StatefulPartitionedCall.model.conv1_0')
    """
    parts: list[str] = []
    before = ""
    for segment in name.split("/"):  # torch repeats the scope a number is in: features/features.0
        parts += segment.removeprefix(f"{before}.").split(".") if before else segment.split(".")
        before = segment
    safe = (re.sub(r"[^\w-]+", "_", part).strip("_") if part.strip("_") else "" for part in parts)
    return ".".join(part for part in safe if part)


def from_scopes(scopes: Sequence[str], op: str) -> str:
    """Return the name of a node of torch's newer exporter: its module, or its function behind the calling module."""
    if len(scopes) < 2:
        return ""
    return clean(scopes[-2]) + f".{op}" if scopes[-2] else op


def unique(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Return distinct names for (name, operator) pairs, in their order.

    What ends in its operator and is alone in its scope is called after the scope: ``conv1.Conv`` is ``conv1``.
    No name is the scope of another: that one gets its operator behind it.

    >>> unique([("conv1.Conv", "Conv"), ("b.conv.Conv", "Conv"), ("b.relu.Relu", "Relu"), ("b.relu.Relu", "Relu")])
    ['conv1', 'b.conv', 'b.relu', 'b.relu_2']
    """
    inside = Counter(scope for name, _ in wanted for scope in scopes_of(name))
    same = Counter(name for name, _ in wanted)
    short = [
        scope if last.partition("_")[0] == op and inside[scope] == same[name] and scope else name
        for name, op in wanted
        for scope, _, last in [name.rpartition(".")]
    ]
    holders = {scope for name in short for scope in scopes_of(name)}
    taken: set[str] = set()
    counts: dict[str, int] = defaultdict(lambda: 1)
    found = []
    for name, (_, op) in zip(short, wanted, strict=True):
        base = name or op
        base = f"{base}.{op}" if base in holders else base
        base = ".".join(f"{part}_" if hasattr(nn.Module, part) or part in _TAKEN else part for part in base.split("."))
        chosen = base
        while chosen in taken or chosen in holders:
            counts[base] += 1
            chosen = f"{base}_{counts[base]}"
        taken.add(chosen)
        holders |= set(scopes_of(chosen))
        found.append(chosen)
    return found


_TAKEN: Final = frozenset({"training", "steps", "inputs", "output_names", "input_shape", "channels_last", "name"})


def scopes_of(name: str) -> list[str]:
    """Return the modules a name is in: ``a`` and ``a.b`` for ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
