"""What may be asked of a projection over HTTP: the parameters of each method, and what each may be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Never

from convscope.errors import InputError, not_found


@dataclass(frozen=True)
class Number:
    """A number between two others.

    >>> Number(1, 10).check("seed", 3)
    3
    """

    low: float
    high: float
    whole: bool = True

    def check(self, name: str, value: object) -> float:
        """Return the number, or raise :class:`InputError` with one sentence."""
        known = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if not known or not isinstance(value, int | float) or not self.low <= value <= self.high:
            kind = "whole number" if self.whole else "number"
            raise InputError(
                f"the parameter {name!r} is a {kind} from {self.low:g} to {self.high:g}, got {value!r:.60}"
            )
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[str | int, ...]

    def check(self, name: str, value: object) -> str | int:
        """Return the value, or raise :class:`InputError` with one sentence."""
        if isinstance(value, str | int) and not isinstance(value, bool) and value in self.values:
            return value
        raise InputError(f"the parameter {name!r} is one of {', '.join(map(str, self.values))}, got {value!r:.60}")


@dataclass(frozen=True)
class Pairs:
    """Two or three axes, each from one class to another."""

    def check(self, name: str, value: object) -> list[tuple[str, str]]:
        """Return the pairs of names, or raise :class:`InputError` with one sentence."""
        if isinstance(value, list) and len(value) in (2, 3):
            pairs = [tuple(one) for one in value if isinstance(one, list) and len(one) == 2]
            texts = [(a, b) for a, b in pairs if isinstance(a, str) and isinstance(b, str)]
            if len(texts) == len(value):
                return texts
        raise InputError(f"the parameter {name!r} is two or three pairs of class names, got {value!r:.60}")


Rule = Number | Choice | Pairs
_DIMENSIONS: Final = Choice((2, 3))
_METRIC: Final = Choice(("euclidean", "cosine"))
_SEED: Final = Number(0, 2**32 - 1)
CHANGES: Final[Mapping[str, Rule]] = {
    "perplexity": Number(1, 10_000, whole=False),
    "exaggeration": Number(0.1, 100, whole=False),
    "iterations": Number(1, 100_000),
}
"""What may be changed while a projection forms."""
PARAMETERS: Final[Mapping[str, Mapping[str, Rule]]] = {
    "pca": {"dimensions": _DIMENSIONS, "seed": _SEED, "metric": _METRIC},
    "tsne": {
        **CHANGES,
        "early_exaggeration": Number(0.1, 100, whole=False),
        "dimensions": _DIMENSIONS,
        "seed": _SEED,
        "metric": _METRIC,
    },
    "umap": {
        "neighbours": Number(2, 1000),
        "minimum_distance": Number(0, 10, whole=False),
        "dimensions": _DIMENSIONS,
        "seed": _SEED,
        "metric": _METRIC,
    },
    "axes": {"axes": Pairs(), "metric": _METRIC},
}
"""What each method may be told."""
STARTED: Final = ("tsne",)
"""The methods that can start from a layout."""


def checked(rules: Mapping[str, Rule], parameters: object) -> dict[str, Any]:
    """Return parameters that all rules hold for.

    >>> checked(PARAMETERS["tsne"], {"perplexity": 5, "metric": "cosine"})
    {'perplexity': 5, 'metric': 'cosine'}

    Raises
    ------
    InputError
        For one that is unknown or out of its range; the sentence says which and why.
    """
    if not isinstance(parameters, dict):
        raise InputError(f"parameters are an object of names and values, got {parameters!r:.60}")
    for name in parameters:
        if name not in rules:
            raise not_found("parameter", name[:60], rules)
    return {name: rules[name].check(name, value) for name, value in parameters.items()}


def read_json(text: bytes, fields: Mapping[str, type], optional: Mapping[str, type]) -> dict[str, Any]:
    """Return a JSON object that has these fields and no others.

    Raises
    ------
    InputError
        If it is none, lacks a field, has one that is unknown or of another type, or holds NaN or an infinity.
    """
    try:
        found = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"what was sent is not JSON ({error}); send an object with {', '.join(fields)}") from error
    if not isinstance(found, dict):
        raise InputError(f"what was sent is no JSON object; send one with {', '.join(fields)}")
    known = {**fields, **optional}
    for name in found:
        if name not in known:
            raise not_found("field", name[:60], known)
    for name, kind in known.items():
        value = found.get(name)
        if name in fields and value is None:
            raise InputError(f"the field {name!r} is missing; send an object with {', '.join(fields)}")
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise InputError(f"the field {name!r} is of type {kind.__name__}, got {value!r:.60}")
    return found


def _refuse_constant(name: str) -> Never:
    raise InputError(f"{name} is no number that JSON knows; send a finite one")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse_constant(text[:40])
    return value


def checked_name(name: object) -> str:
    """Return the name under which a projection is to be kept; empty where it is to be found.

    Raises
    ------
    InputError
        If it is none.
    """
    if not isinstance(name, str) or len(name) > 60 or "/" in name or not name.isprintable():
        raise InputError(f"the name of a projection is a short text without a slash, got {name!r:.80}")
    return name.strip()
