"""How a network is called, and which of its outputs are the logits, where it is not simply ``network(images)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor, nn

from convscope.errors import InputError, not_found
from convscope.nets.trace import only_tensor

Call = Callable[[nn.Module, Tensor], Any]


class Called:
    """A network that is called in its own way; everything else is asked of the network itself."""

    def __init__(self, network: nn.Module, call: Call) -> None:
        self._network, self._call = network, call

    def __call__(self, images: Tensor) -> Any:
        """Return what the network gives for a batch of images."""
        return self._call(self._network, images)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


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
    if is_dataclass(said) and not isinstance(said, Mapping):
        said = vars(said)
    named = said if isinstance(said, Mapping) else dict(enumerate(said if isinstance(said, list | tuple) else [said]))
    if output not in named:
        raise not_found("output", str(output), [str(name) for name in named], network)
    value = named[output]
    if not isinstance(value, Tensor):
        raise InputError(f"output {output!r} of {network} is a {type(value).__name__}, not a tensor; choose another")
    return value
