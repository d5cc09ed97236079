"""Forward hooks that are there only while something is to be seen, and that no copy of the network takes along."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from convscope.nets.histogram import BitCounts, DeviceCounts, count_bits
from convscope.nets.trouble import Trouble
from convscope.nets.watched import Watched, first_tensor

_NOTHING = contextlib.nullcontext()
_ALL_COUNTED: Final = 6  # bits of a call's number: of a layer's first 64 calls all are counted, then 32 an octave


class ForwardHook:
    """A forward hook that calls ``see(name, module, output)``.

    A copy or a pickle of the network gets a hook that does nothing, and that any Python can load: someone may save
    the network while we look at it.
    """

    def __init__(self, name: str, see: Callable[[str, nn.Module, Any], None]) -> None:
        self._name = name
        self._see = see

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002 - torch's signature
        """See an output; torch calls this."""
        if not torch.compiler.is_compiling():  # the compiler takes this hook in as nothing
            self._see(self._name, module, output)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a hook of cs.watch has no {name}; TorchScript compiles hooks: script the network before the watch, after "
            "it, or with activations=False"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (_NOTHING, "__exit__")  # a function of the standard library that takes three and does nothing


class Activations:
    """Counts what the layers of a network give out while it is open.

    All training forward passes of an open time are counted together: with gradient accumulation these are all that an
    optimiser's step has seen. Of a layer that is called more than 64 times, as in rollouts before a step, ever fewer
    calls are counted. What is computed in eval mode is not counted, nor what checkpointing computes again.
    """

    def __init__(self, watched: Watched, trouble: Trouble) -> None:
        self._watched = watched
        self._trouble = trouble
        self._handles: list[RemovableHandle] = []
        self._calls: dict[str, int] = {}
        self._seen: dict[str, dict[tuple[int, str], BitCounts | DeviceCounts]] = {}
        self._lock = threading.Lock()  # DataParallel runs its replicas in threads

    def open(self) -> None:
        """Attach the hooks, unless they are."""
        if not self._handles:
            for name, module in self._watched.leaves():
                label = self._watched.label(name)
                self._handles.append(module.register_forward_hook(ForwardHook(label, self._see)))

    def await_next(self, *, due: bool) -> None:
        """Forget what has been seen, and stay or be open if the next step is due.

        Where no hook was called the network runs compiled: it keeps its hooks, which are nothing to the compiler,
        because it would be compiled anew without them.
        """
        if due:
            self.open()
        elif self._seen:
            self._detach()
        self._forget()

    def close(self) -> None:
        """Detach the hooks and forget what has been seen."""
        self._detach()
        self._forget()

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _forget(self) -> None:
        self._seen.clear()
        self._calls.clear()

    def _see(self, name: str, module: nn.Module, output: Any) -> None:
        in_backward = torch._C._current_graph_task_id() != -1  # noqa: SLF001 - torch has no public name for it
        if in_backward or not (self._watched.network.training or module.training):
            return
        with self._trouble:
            tensor = first_tensor(output)
            if tensor is not None and not torch._C._functorch.is_functorch_wrapped_tensor(tensor):  # noqa: SLF001 - as above
                self._count(name, tensor)

    def _count(self, name: str, tensor: Tensor) -> None:
        with self._lock:
            call = self._calls[name] = self._calls.get(name, 0) + 1
        if call % (1 << max(0, call.bit_length() - _ALL_COUNTED)):
            return
        counts = count_bits(tensor)
        key = counts.width, str(tensor.device)
        with self._lock:
            parts = self._seen.setdefault(name, {})
            parts[key] = parts[key] + counts if key in parts else counts  # type: ignore[operator]

    def counts(self) -> Iterator[tuple[str, BitCounts]]:
        """Return what has been seen of each layer, in the order in which they ran."""
        for name, parts in self._seen.items():
            fetched = [part.fetch() if isinstance(part, DeviceCounts) else part for part in parts.values()]
            width = max(part.width for part in fetched)
            same = [part for part in fetched if part.width == width]
            yield name, sum(same[1:], same[0])
