"""Hyper-parameters as TensorBoard's ``hparams`` plugin stores them: three values whose contents are in their metadata.

Field numbers are those of the plugin's ``api.proto`` and ``plugin_data.proto`` and of ``google/protobuf/struct.proto``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.formats.events import Value, encode_metadata
from convscope.formats.tensor import encode_tensor

PLUGIN: Final = "hparams"
EXPERIMENT: Final = "_hparams_/experiment"
START: Final = "_hparams_/session_start_info"
END: Final = "_hparams_/session_end_info"
_STATUS: Final = ("unknown", "success", "failure", "running")
_SUCCESS: Final = 1
_TYPES: Final = {str: 1, bool: 2, float: 3}  # DataType of api.proto

Number = bool | float | str | None


@dataclass(frozen=True)
class HParams:
    """The hyper-parameters of a run.

    Attributes
    ----------
    values
        The value of each: a truth value, a number (float64), a text, or ``None``.
    metrics
        The tags of the curves whose last values say how well the run did.
    domains
        For those of which it is known: the values that each may have, or its least and greatest.
    status
        ``success``, ``failure``, ``running`` or ``unknown``.
    started, ended
        Seconds since 1970, where they are told.
    """

    values: Mapping[str, Number]
    metrics: tuple[str, ...] = ()
    domains: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    status: str = "unknown"
    started: float | None = None
    ended: float | None = None


def encode_hparams(
    values: Mapping[str, Number],
    metrics: Sequence[str],
    domains: Mapping[str, Sequence[Number]],
    started: float,
) -> list[tuple[str, bytes]]:
    """Return the tags and the fields of the values that TensorBoard expects of a run: three, or two without metrics.

    Parameters
    ----------
    values
        What the hyper-parameters are.
    metrics
        The tags of the curves that say how well the run did.
    domains
        The values that a hyper-parameter may have, where that is known.
    started
        Seconds since 1970.
    """
    infos = b"".join(wire.chunk(4, _info(name, value, domains.get(name))) for name, value in values.items())
    targets = b"".join(wire.chunk(5, wire.chunk(1, wire.text(2, tag))) for tag in metrics)
    entries = b"".join(
        wire.chunk(1, wire.text(1, name) + wire.chunk(2, _number(value))) for name, value in values.items()
    )
    contents = {
        EXPERIMENT: wire.chunk(2, infos + targets),
        START: wire.chunk(3, entries + wire.double(5, started)),
        END: wire.chunk(4, wire.integer(1, _SUCCESS)),
    }
    if not metrics and not domains:  # then TensorBoard offers all curves; what the first event leaves out stays out
        del contents[EXPERIMENT]
    nothing = wire.chunk(8, encode_tensor(np.zeros(0, np.float32)))  # TensorBoard's Python loader wants a tensor
    return [(tag, nothing + encode_metadata(PLUGIN, content)) for tag, content in contents.items()]


def _info(name: str, value: Number, domain: Sequence[Number] | None) -> bytes:
    info = wire.text(1, name) + wire.integer(4, _TYPES.get(type(value), 0))
    if domain is not None:
        info += wire.chunk(5, b"".join(wire.chunk(1, _number(item)) for item in domain))
    return info


def _number(value: Number) -> bytes:
    if value is None:
        return wire.integer(1, 0)
    if isinstance(value, bool):
        return wire.integer(4, value)
    return wire.text(3, value) if isinstance(value, str) else wire.double(2, value)


def decode_hparams(values: Sequence[Value]) -> HParams:
    """Return what a run's values of this plugin say, of those with the same tag the last.

    Raises
    ------
    FormatError
        If one of them is not what its tag says.
    """
    last = {value.tag: value.content for value in values}
    metrics, domains = _experiment(_content(last.get(EXPERIMENT, b""), 2))
    end = _content(last.get(END, b""), 4)
    status = sum(wire.as_integer(payload) for number, _, payload in wire.fields(end) if number == 1)
    start = _content(last.get(START, b""), 3)
    entries = dict(_entry(wire.as_bytes(payload)) for number, _, payload in wire.fields(start) if number == 1)
    status_name = _STATUS[status] if 0 <= status < len(_STATUS) else "unknown"
    return HParams(entries, metrics, domains, status_name, _time(start, 5), _time(end, 2))


def _time(data: bytes, number: int) -> float | None:
    """Return a moment in seconds since 1970; ``None`` where it is not told."""
    times = [wire.as_double(payload) for found, _, payload in wire.fields(data) if found == number]
    return times[-1] if times and math.isfinite(times[-1]) and times[-1] > 0 else None


def _content(data: bytes, number: int) -> bytes:
    return b"".join(wire.as_bytes(payload) for found, _, payload in wire.fields(data) if found == number)


def _experiment(data: bytes) -> tuple[tuple[str, ...], dict[str, tuple[Number, ...]]]:
    metrics: list[str] = []
    domains: dict[str, tuple[Number, ...]] = {}
    for number, _, payload in wire.fields(data):
        if number == 4:
            name, domain = _domain(wire.as_bytes(payload))
            if domain:
                domains[name] = domain
        elif number == 5:
            metrics.append(_metric(wire.as_bytes(payload)))
    return tuple(metrics), domains


def _metric(data: bytes) -> str:
    name = _content(data, 1)
    return "".join(wire.as_text(payload) for number, _, payload in wire.fields(name) if number == 2)


def _domain(data: bytes) -> tuple[str, tuple[Number, ...]]:
    name = ""
    domain: tuple[Number, ...] = ()
    for number, _, payload in wire.fields(data):
        if number == 1:
            name = wire.as_text(payload)
        elif number == 5:
            items = [wire.as_bytes(item) for n, _, item in wire.fields(wire.as_bytes(payload)) if n == 1]
            domain = tuple(_value(item) for item in items)
        elif number == 6:
            ends = {n: wire.as_double(end) for n, _, end in wire.fields(wire.as_bytes(payload)) if n in (1, 2)}
            domain = (ends.get(1, 0.0), ends.get(2, 0.0))
    return name, domain


def _entry(data: bytes) -> tuple[str, Number]:
    name, value = "", b""
    for number, _, payload in wire.fields(data):
        if number == 1:
            name = wire.as_text(payload)
        elif number == 2:
            value = wire.as_bytes(payload)
    return name, _value(value)


def _value(data: bytes) -> Number:
    value: Number = None
    for number, _, payload in wire.fields(data):
        if number == 2:
            value = wire.as_double(payload)
        elif number == 3:
            value = wire.as_text(payload)
        elif number == 4:
            value = bool(wire.as_integer(payload))
        elif number != 1:
            raise FormatError(f"a hyper-parameter has field {number}, which is not read here")
    return value
