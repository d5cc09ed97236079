"""How a network is called, and which of its outputs are the logits, where it is not simply ``network(images)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from convscope.errors import InputError, not_found
from convscope.nets.trace import named_parts, only_tensor

Call = Callable[[nn.Module, Tensor], Any]


class Called:
    """A network that is called in its own way; everything else is asked of the network itself."""

    def __init__(self, network: nn.Module, call: Call) -> None:
        self._network, self._call = network, call

    def __call__(self, images: Tensor) -> Any:
        """Return what the network gives for a batch of images."""
        return self._call(self._network, images)

    def __reduce__(self) -> tuple[Any, ...]:
        return Called, (self._network, self._call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def fingerprint_of(call: Call) -> str:
    """Return what tells one way of calling from another: a name and, for a Python function, its code and constants."""
    name = f"{getattr(call, '__module__', '')}.{getattr(call, '__qualname__', type(call).__name__)}"
    code = getattr(call, "__code__", None)
    if code is None:
        return name
    constants = [value for value in code.co_consts if not hasattr(value, "co_code")]  # those would say where they lie
    return f"{name} {code.co_code.hex()} {code.co_names} {constants!r}"


def chosen_output(said: Any, output: str | int | None, network: str) -> Tensor:
    """Return one of a network's outputs: the only one, or the one of a name or a number.

    Raises
    ------
    InputError
        If there are several and none is named.
    NotFoundError
        If there is none of this name or number.
    """
    if output is None:
        return only_tensor(said, network)
    named = named_parts(said)
    if isinstance(output, int) and isinstance(said, tuple):
        named = dict(enumerate(said))
    if output not in named:
        raise not_found("output", str(output), [str(name) for name in named], network)
    value = named[output]
    if not isinstance(value, Tensor):
        raise InputError(f"output {output!r} of {network} is a {type(value).__name__}, not a tensor; choose another")
    return value
