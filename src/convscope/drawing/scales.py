"""Axes and colours in numbers: round ticks, how numbers are written, and colour maps; all as in the browser's pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.shapes import Pixels
from convscope.errors import not_found

_STOPS: Final[Mapping[str, str]] = {
    "viridis": "440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725",
    "magma": "000004 140e36 3b0f70 641a80 8c2981 b73779 de4968 f7705c fe9f6d fecf92 fcfdbf",
    "inferno": "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4",
    "grey": "000000 ffffff",
    "diverging": "12316e 1f5aa6 4d8cc8 93b8d8 d6d4d0 e3ab8c d6744f b23a2a 741418",
}
COLOUR_MAPS: Final = tuple(_STOPS)
_TICKS: Final = 5


@cache
def colours_of(name: str) -> Pixels:
    """Return the 256 colours ``(256, 3)`` of a map; of ``diverging`` number 128 is zero.

    Raises
    ------
    NotFoundError
        If there is no such map.
    """
    if name not in _STOPS:
        raise not_found("colour map", name, _STOPS)
    stops = np.array([[int(stop[n : n + 2], 16) for n in (0, 2, 4)] for stop in _STOPS[name].split()], np.float64)
    places = np.arange(256) / 255 * (len(stops) - 1)
    table = np.stack([np.interp(places, np.arange(len(stops)), stops[:, c]) for c in range(3)], axis=1)
    return np.floor(table + 0.5).astype(np.uint8)


def levels(values: npt.NDArray[Any], low: float, high: float, *, signed: bool) -> Pixels:
    """Return values as numbers of a map's colours: of a signed scale 128 is zero; what is not a number is the lowest.

    >>> levels(np.array([-2.0, 0, 1, 2]), -2, 2, signed=True).tolist()
    [1, 128, 192, 255]
    """
    numbers = np.nan_to_num(np.asarray(values, np.float64), nan=0 if signed else low, posinf=np.inf, neginf=-np.inf)
    if signed:
        share = 128 + 127 * numbers / high if high > 0 else np.full(numbers.shape, 128.0)
    else:
        share = 255 * (numbers - low) / (high - low) if high > low else np.zeros(numbers.shape)
    return np.asarray(np.floor(np.clip(share, 0, 255) + 0.5), np.uint8)


def nice_ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Return round numbers inside a range, about so many: multiples of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0, 60)
    [0.0, 20.0, 40.0, 60.0]
    """
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return [low]
    raw = (high - low) / max(1, count)
    if raw <= 0 or not math.isfinite(raw):
        return [low, high]
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next((times for times in (1, 2, 5) if times * power >= raw * (1 - 1e-12)), 10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.15g}") + 0.0 for number in range(first, last + 1)] or [low, high]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten inside a range, at most six; where there are fewer than two the ends as well."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        return [low, high] if low < high else [low]
    every = math.ceil((last - first + 1) / 6)
    return [float(f"1e{power}") for power in range(first, last + 1, every)]


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many digits, an exponent only where it helps; NaN and infinities by name.

    >>> number(0.0012346), number(-12345.0), number(1.5e-7)
    ('0.001235', '−12,345', '1.5e−7')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        mantissa, exponent = f"{value:.{max(0, digits - 2)}e}".split("e")
        text = f"{_trimmed(mantissa)}e{int(exponent)}"
    elif value == int(value):
        text = f"{int(value):,}"
    else:
        text = _trimmed(f"{value:,.{min(8, max(0, digits - 1 - math.floor(math.log10(size))))}f}")
    return text.replace("-", "−")


def tick(value: float) -> str:
    """Return a number as it stands at an axis.

    >>> tick(12000), tick(0.25), tick(2.5e6)
    ('12k', '0.25', '2.5M')
    """
    for least, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if math.isfinite(value) and abs(value) >= least:
            return number(value / unit, 3) + letter
    return number(value, 3)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
