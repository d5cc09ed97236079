"""Which curves stand in one chart: the layout of TensorBoard's ``custom_scalars`` plugin, to bytes and back.

Field numbers are those of the plugin's ``layout.proto``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.formats.events import Value, encode_metadata
from convscope.formats.tensor import decode_tensor, encode_strings

PLUGIN: Final = "custom_scalars"
TAG: Final = "custom_scalars__config__"
MULTILINE: Final = "multiline"
MARGIN: Final = "margin"


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes
    ----------
    title
        What stands above it.
    kind
        ``multiline``: several curves. ``margin``: a curve between two others.
    tags
        Of several curves: regular expressions, each for the tags that begin with it. Of a margin chart: the tags of
        the curve, of the lower and of the upper one, three by three.
    """

    title: str
    kind: str
    tags: tuple[str, ...]


Layout = Mapping[str, tuple[Chart, ...]]
"""The charts of each category."""


def encode_layout(layout: Layout) -> bytes:
    """Return the fields of a layout."""
    categories = [
        wire.chunk(2, wire.text(1, title) + b"".join(wire.chunk(2, _encode_chart(chart)) for chart in charts))
        for title, charts in layout.items()
    ]
    return wire.chunk(8, encode_strings([b"".join(categories)], ())) + encode_metadata(PLUGIN)


def _encode_chart(chart: Chart) -> bytes:
    if chart.kind == MULTILINE:
        content = wire.chunk(2, b"".join(wire.text(1, tag) for tag in chart.tags))
    else:
        triples = (chart.tags[start : start + 3] for start in range(0, len(chart.tags), 3))
        series = [b"".join(wire.text(number, tag) for number, tag in enumerate(three, 1)) for three in triples]
        content = wire.chunk(3, b"".join(wire.chunk(1, item) for item in series))
    return wire.text(1, chart.title) + content


def decode_layout(value: Value) -> Layout:
    """Return a layout.

    Raises
    ------
    FormatError
        If the value is not one.
    """
    tensor = decode_tensor(value.payload)
    if not isinstance(tensor, list):
        raise FormatError(f"the layout {value.tag!r} is not a tensor of strings")
    parts = [wire.as_bytes(part) for item in tensor for number, _, part in wire.fields(item) if number == 2]
    return merge({title: charts} for title, charts in map(_category, parts))


def _category(data: bytes) -> tuple[str, tuple[Chart, ...]]:
    title, charts = "", []
    for number, _, payload in wire.fields(data):
        if number == 1:
            title = wire.as_text(payload)
        elif number == 2:
            charts.append(_chart(wire.as_bytes(payload)))
    return title, tuple(charts)


def _chart(data: bytes) -> Chart:
    title, kind, tags = "", MULTILINE, []
    for number, _, payload in wire.fields(data):
        if number == 1:
            title = wire.as_text(payload)
        elif number == 2:
            tags += _texts(wire.as_bytes(payload))
        elif number == 3:
            kind = MARGIN
            series = [wire.as_bytes(item) for n, _, item in wire.fields(wire.as_bytes(payload)) if n == 1]
            tags += [tag for item in series for tag in _three(item)]
    return Chart(title, kind, tuple(tags))


def _three(data: bytes) -> list[str]:
    found = {number: wire.as_text(payload) for number, _, payload in wire.fields(data)}
    return [found.get(number, "") for number in (1, 2, 3)]


def _texts(data: bytes) -> list[str]:
    return [wire.as_text(payload) for _, _, payload in wire.fields(data)]


def merge(layouts: Iterable[Layout]) -> Layout:
    """Return one layout with the charts of several; of two with the same category and title the later.

    >>> merge([{"a": (Chart("x", "multiline", ("1",)),)}, {"a": (Chart("x", "multiline", ("2",)),)}])["a"][0].tags
    ('2',)
    """
    merged: dict[str, dict[str, Chart]] = {}
    for layout in layouts:
        for category, charts in layout.items():
            merged.setdefault(category, {}).update((chart.title, chart) for chart in charts)
    return {category: tuple(charts.values()) for category, charts in merged.items()}
