"""Who does a search: this process, or workers that get it as bytes and compute as the process that sends them."""

from __future__ import annotations

import io
import mmap
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import torch
from torch._ops import OpOverload, OpOverloadPacket

from convscope.errors import InputError, not_found
from convscope.inspect.topk import SCORES, TAPS
from convscope.nets.search import Search, States
from convscope.scale.local import Engine, InProcess, ProcessPool, ReadAhead

_FLAGS: Final = ("mkldnn.enabled", "cudnn.enabled", "cudnn.benchmark", "cudnn.deterministic")
_REBUILT: Final = "convscope.nets.programs.rebuilt"
"""Where networks of files get modules whose classes are made as they are read."""
_CALLED: Final = {"network": "the network", "dataset": "the set of images"}


@dataclass(frozen=True)
class Sent:
    """A search as bytes; called, it is one again.

    The bytes are made and read by processes of the same pass and never leave the machine.

    Attributes
    ----------
    parts
        The pickled attributes of the search.
    settings
        What decides the last bits of a result: see :func:`settings`.
    """

    parts: Mapping[str, bytes]
    settings: Mapping[str, Any]

    def __call__(self) -> Search:
        """Return the search, in a process that computes as the settings say."""
        _set(self.settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch warns of classes of its own
            return Search(**{name: pickle.loads(data) for name, data in self.parts.items()})  # noqa: S301 - our own


def sent(search: Search, threads: int) -> Sent:
    """Return a search as it goes to processes that compute with so many threads each.

    Raises
    ------
    InputError
        If something of it cannot be sent.
    """
    parts = {field.name: _pickled(field.name, getattr(search, field.name)) for field in fields(search)}
    return Sent(parts, settings() | {"threads": threads})


def settings() -> dict[str, Any]:
    """Return the settings of torch that decide the last bits of what a network computes."""
    known = {name: getattr(getattr(torch.backends, name.partition(".")[0]), name.partition(".")[2]) for name in _FLAGS}
    return known | {"threads": torch.get_num_threads(), "precision": torch.get_float32_matmul_precision()}


def _set(wanted: Mapping[str, Any]) -> None:
    torch.set_num_threads(wanted["threads"])
    torch.set_float32_matmul_precision(wanted["precision"])
    for name in _FLAGS:
        backend, _, flag = name.partition(".")
        setattr(getattr(torch.backends, backend), flag, wanted[name])


def check_asked(score: str, tap: str, numbers: Mapping[str, int | None]) -> None:
    """Raise an error for what cannot be searched for."""
    if score not in SCORES:
        raise not_found("score", score, SCORES)
    if tap not in TAPS:
        raise not_found("tap", tap, TAPS)
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InputError(f"{name} is at least 1, got {number}")
    if score == "mean" and numbers["per_image"] != 1:
        raise InputError("with score='mean' an image has one score for all its positions; leave out per_image")


def engine(search: Search, workers: int, threads: int) -> Engine[States]:
    """Return what does a search: this process, or several with so many threads each."""
    if workers > 1:
        return ProcessPool(sent(search, threads), workers)
    return ReadAhead(search) if search.reads_ahead else InProcess(search)


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Let torch compute with so many threads, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pickled(name: str, value: Any) -> bytes:
    """Return an attribute of a search as bytes; a memory map travels as the name of its file."""
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception as error:  # whatever the user's own classes raise
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{_CALLED.get(name, name)} ({type(value).__name__}) cannot be sent to worker processes ({reason}); "
            "use workers=1, or classes and functions of a module"
        ) from error
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Pickles tensors by value, where multiprocessing would move the user's own into shared memory."""

    def reducer_override(self, value: Any) -> Any:
        """Return how to make again what no pickle holds: memory maps, torch's operators, classes made on reading."""
        if isinstance(value, OpOverload | OpOverloadPacket):
            return _operator, tuple(str(value).split("."))
        if isinstance(value, type) and value.__module__ == _REBUILT:
            from convscope.nets.programs import rebuilt

            if value.__qualname__ not in vars(rebuilt):
                return rebuilt.called, (value.__bases__[0], value.__name__)
        mapped = getattr(value, "_mmap", None) if isinstance(value, np.memmap) else None
        if not isinstance(mapped, mmap.mmap) or value.filename is None or min(value.strides, default=0) < 0:
            return NotImplemented
        begin = np.frombuffer(mapped, np.uint8).__array_interface__["data"][0]
        inside = value.__array_interface__["data"][0] - begin
        offset = value.offset - value.offset % mmap.ALLOCATIONGRANULARITY + inside
        return _mapped, (str(value.filename), offset, value.shape, value.strides, value.dtype)


def _operator(*path: str) -> Any:
    """Return an operator of torch: ``aten``, ``relu``, and which of its overloads."""
    found: Any = torch.ops
    for name in path:
        found = getattr(found, name)
    return found


def _mapped(path: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return an array that lies in a file, without reading it."""
    return np.ndarray(shape, dtype, np.memmap(path, np.uint8, "r"), offset, strides)
