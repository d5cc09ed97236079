"""A forward pass, observed: what each module puts out, and each function that a module calls itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Self

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convscope.nets.functions import function_name

ROOT: Final = ".network"
"""What the whole network is called among its layers; no module inside can have a name that begins with a dot."""

Call = tuple[str, int]
"""A module's or function's name and which of its calls in one forward pass, counted from 1."""


class Reached(BaseException):
    """Ends a forward pass as soon as all that was asked for is known."""


@dataclass(frozen=True)
class FunctionCall:
    """A function of torch that a module has called: its name (:data:`convscope.nets.functions.KINDS`) and arguments."""

    function: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]

    def argument(self, place: int, name: str) -> Any:
        """Return an argument by its place or its name, ``None`` if it was not given."""
        return self.args[place] if len(self.args) > place else self.options.get(name)


See = Callable[[Call, "nn.Module | FunctionCall", Any], Tensor | None]


def forward(network: nn.Module, images: Tensor) -> Any:
    """Run the network, or as much of it as the observers want; the whole output, or ``None`` where they had enough."""
    try:
        return network(images)
    except Reached:
        return None


@contextmanager
def observed(network: nn.Module, names: set[str] | None, see: See, *, functions: bool = False) -> Iterator[None]:
    """Call ``see(call, module, output)`` whenever one of the named modules (``None``: any) has produced its output.

    A tensor that ``see`` returns takes the place of the output; what it returns mostly is ``None``.

    With ``functions`` also ``see(call, FunctionCall, output)`` for the functions that are layers. It costs some
    microseconds a call, so it is asked for only where a function's output is wanted.
    """
    calls: dict[str, int] = {}
    mode = _Functions(network, names, see) if functions else None

    def hook(name: str) -> Callable[[nn.Module, Any, Any], Tensor | None]:
        def after(module: nn.Module, _: Any, output: Any) -> Tensor | None:
            calls[name] = calls.get(name, 0) + 1
            output = _first(output) if is_layer(module) else output  # an LSTM's state, a maximum's places
            with mode.resting() if mode else nullcontext():  # what the observer does is not the network's doing
                return see((name, calls[name]), module, output)

        return after

    with ExitStack() as stack:
        if mode:
            stack.enter_context(mode)
        for name, module in network.named_modules():
            # what computes a parametrised weight (weight_norm, spectral_norm) is no layer
            if (names is None or name in names) and "parametrizations" not in name.split("."):
                stack.callback(module.register_forward_hook(hook(name)).remove)
        yield


class _Functions(TorchFunctionMode):
    """Sees the functions that modules call themselves; what a layer of ``torch.nn`` calls is its own affair."""

    def __init__(self, network: nn.Module, names: set[str] | None, see: See) -> None:
        super().__init__()
        self._names, self._see = names, see
        self._modules = {name for name, _ in network.named_modules()}
        self._network = network
        self._running: list[str | None] = []
        self._calls: dict[str, int] = {}
        self._stack = ExitStack()
        self._resting = False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """See nothing for a while."""
        self._resting = True
        try:
            yield
        finally:
            self._resting = False

    def __enter__(self) -> Self:
        for name, module in self._network.named_modules():
            self._stack.callback(module.register_forward_pre_hook(self._entering(name, module)).remove)
            self._stack.callback(module.register_forward_hook(self._leaving, always_call=True).remove)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._stack.close()

    def _entering(self, name: str, module: nn.Module) -> Callable[[nn.Module, Any], None]:
        sealed = is_layer(module) or "parametrizations" in name.split(".")
        path = None if sealed else name

        def enter(_: nn.Module, __: Any) -> None:
            inside = self._running and self._running[-1] is None
            self._running.append(None if inside else path)

        return enter

    def _leaving(self, *_: Any) -> None:
        if self._running:
            self._running.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        module = self._running[-1] if self._running else ""
        if self._resting or module is None or not isinstance(_first(result), Tensor):
            return result
        replaced = None
        if function := function_name(func):
            replaced = self._take(module, FunctionCall(function, tuple(args), options), _first(result))
        return result if replaced is None else replaced

    def _take(self, module: str, function: FunctionCall, result: Tensor) -> Tensor | None:
        name = f"{module}.{function.function}" if module else function.function
        name = f"{name}()" if name in self._modules else name
        count = self._calls[name] = self._calls.get(name, 0) + 1
        if self._names is None or name in self._names:
            return self._see((name, count), function, result)
        return None


def _first(result: Any) -> Any:
    """Return what a function gives, or the first of it where it gives more (values and indices of a maximum)."""
    return result[0] if isinstance(result, tuple) and result else result


def is_layer(module: nn.Module) -> bool:
    """Whether a module is one layer: one of ``torch.nn``'s, or derived from one, that holds no other modules.

    Modules that only compute its parametrised weights do not count. A class of other modules says ``ONE_LAYER = True``
    if the functions it calls are its own affair.
    """
    childless = all(name == "parametrizations" for name, _ in module.named_children())
    known = getattr(type(module), "ONE_LAYER", False) or any(_is_torchs(base) for base in type(module).__mro__)
    return childless and known


def _is_torchs(base: type) -> bool:
    return base.__module__.startswith("torch.nn.") and base not in _HOLDERS


_HOLDERS: Final = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)
