"""The graph of a torch module: what one forward pass calls, in the modules that call it.

The pass is an ordinary one, in eval mode, watched at the level at which people write networks: ``conv2d``, ``relu``,
``add``, whether a module, ``torch.nn.functional`` or an operator calls it. So whatever can be run has a graph: control
flow, dictionaries, custom functions. What runs inside TorchScript is watched at the level of its operators.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from convscope.errors import InputError
from convscope.formats.graph import Attribute, Names, Node, Shape
from convscope.nets.find import find_input_shape
from convscope.nets.frozen import frozen
from convscope.nets.trace import spare_input, tensors
from convscope.nets.trouble import warn_user

_LONGEST: Final = 160
_OPERATORS: Final = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")
_SAME: Final = frozenset({"requires_grad", "data", "detach", "retain_grad", "alias"})  # give what they are given
_CHANGES: Final = frozenset({"__setitem__", *(f"__i{name}__" for name in _OPERATORS)})
_FAILURES: Final = (
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AssertionError,
    AttributeError,
)  # what torch raises for inputs that do not fit


def module_nodes(network: nn.Module, inputs: Any = None) -> list[Node]:
    """Return the graph of a module.

    Modules become scopes (``Net/features/Conv2d[0]``), their parameters nodes in them; inputs and outputs stand in the
    scopes ``input`` and ``output``. The module is left as it was: its mode, buffers and gradients, and the state of the
    random generators.

    Parameters
    ----------
    network
        Any module.
    inputs
        What it is called with: an array, several in a tuple or list, or a dictionary, of named arguments where the
        module has arguments of these names. ``None`` for an image of a size that goes through.

    Raises
    ------
    InputError
        If it does not run with this input.
    """
    network = getattr(network, "_orig_mod", network)  # torch.compile hides the layers
    _refuse_unready(network)
    if inputs is None:
        with _untouched(network):
            inputs = spare_input(find_input_shape(network), network)
    args, options = _arguments(network, inputs)
    watch = _Watch(network)
    watch.take_inputs(_named(network, args, options))
    with torch.enable_grad(), _untouched(network), watch.modules():
        try:
            with watch.calls():
                output = network(*args, **options)
        except _FAILURES as error:
            raise _does_not_run(network, args, options, error) from error
    watch.take_outputs(output)
    return watch.nodes


def _refuse_unready(network: nn.Module) -> None:
    """Raise an error for a network that cannot be run in eval mode, or of which nobody knows the parameters yet."""
    if isinstance(network, GraphModule) and "eval" in vars(network):
        raise InputError("a module of torch.export cannot be put into eval mode; give the module it was made from")
    if lazy := next((name for name, item in network.named_parameters() if is_lazy(item)), None):
        raise InputError(f"the shape of the parameter {lazy!r} is not known yet; call the network once")


def _arguments(network: nn.Module, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return copies of the inputs as the arguments of a call."""
    copied = _copied(inputs)
    if isinstance(copied, dict):
        try:
            inspect.signature(network.forward).bind(**copied)
        except TypeError:
            return (copied,), {}
        return (), copied
    return (tuple(copied), {}) if _is_plain(copied) else ((copied,), {})


def _is_plain(value: Any) -> bool:
    """Whether a value is a list or tuple of things, and not one thing with names, as a packed sequence is."""
    return isinstance(value, list | tuple) and not hasattr(value, "_fields")


def _copied(value: Any) -> Any:
    """Return a copy of an input: a network may work in place."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if _is_plain(value):
        return type(value)(_copied(item) for item in value)
    return value


def _named(network: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the arguments by the names they have in the module's ``forward``."""
    try:
        bound = inspect.signature(network.forward).bind(*args, **options)
    except (TypeError, ValueError):  # TorchScript does not tell, and what does not fit fails when it is called
        yield from ((str(number), value) for number, value in enumerate(args))
        return
    yield from bound.arguments.items()


def _does_not_run(network: nn.Module, args: tuple[Any, ...], options: dict[str, Any], error: Exception) -> InputError:
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors([args, options]))
    reason = str(error).strip().partition("\n")[0]
    return InputError(
        f"{type(network).__name__} does not run with an input of {shapes or 'no tensors'} "
        f"({type(error).__name__}: {reason}); give input_to_model as the network takes it"
    )


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Let a network run, and put back its mode, its buffers and the random generators."""
    devices = {p.device.index for p in network.parameters() if p.is_cuda}
    values = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    # TorchScript makes a tensor anew whenever it is asked for one
    modules = [module for module in network.modules() if not isinstance(module, torch.jit.ScriptModule)]
    places = [(module._buffers, dict(module._buffers)) for module in modules]  # noqa: SLF001 - a forward may set others
    with torch.random.fork_rng(devices=sorted(d for d in devices if d is not None)), frozen(network):
        try:
            yield
        finally:
            for place, before in places:
                place.clear()
                place.update(before)
            with torch.no_grad():
                for buffer, value in values:
                    if not torch.equal(buffer, value):
                        buffer.copy_(value)


class _Watch:
    """What is known of a forward pass: the nodes so far, and which of them has made each tensor."""

    def __init__(self, network: nn.Module) -> None:
        self.nodes: list[Node] = []
        self._names = Names()
        self._scopes = dict(_scopes(network))
        self._modules = dict(network.named_modules())
        self._paths = {id(module): name for name, module in self._modules.items()}
        self._stack: list[str] = []
        self._made_by: Any = WeakTensorKeyDictionary()  # torch does not say what it takes
        self._views: Any = WeakTensorKeyDictionary()
        self._buffers: Any = WeakTensorKeyDictionary()
        self._scripted = any(isinstance(module, torch.jit.ScriptModule) for module in network.modules())
        for name, parameter in network.named_parameters():
            self._take_parameter(name, parameter)
        for name, buffer in network.named_buffers():
            self._buffers[buffer] = name

    def _take_parameter(self, name: str, parameter: nn.Parameter) -> None:
        owner, _, leaf = name.rpartition(".")
        facts: dict[str, Attribute] = {
            "parameters": parameter.numel(),
            "trainable": parameter.requires_grad,
            "dtype": _dtype(parameter),
        }
        self._add(f"{self._scopes[owner]}/{leaf}", "Parameter", (), [parameter], facts)

    def _add(self, name: str, op: str, inputs: tuple[str, ...], results: list[Tensor], facts: Any) -> str:
        name = self._names.take(name)
        shapes = tuple(_shape(result) for result in results)
        self.nodes.append(Node(name, op, inputs, shapes, facts))
        for number, result in enumerate(results):
            self._made_by[result] = f"{name}:{number}" if number else name
            if result._base is not None:  # noqa: SLF001 - torch has no public name for it
                self._views[result] = None
        return name

    def take_inputs(self, arguments: Iterator[tuple[str, Any]]) -> None:
        """Make nodes of the network's inputs."""
        for name, value in arguments:
            found = list(tensors(value))
            for number, tensor in enumerate(found):
                path = f"input/{name}" if len(found) == 1 else f"input/{name}/{number}"
                self._add(path, "Input", (), [tensor], {"dtype": _dtype(tensor)})

    def take_outputs(self, output: Any) -> None:
        """Make nodes of what the network has put out."""
        if is_dataclass(output) and not isinstance(output, Mapping):
            output = vars(output)
        named = output.items() if isinstance(output, Mapping) else [("", output)]
        if not any(True for _, value in named for _ in tensors(value)):
            kind = type(output).__name__
            warn_user(f"add_graph found no tensors in the {kind} that the network has given out: no output is drawn")
        for name, value in named:
            found = list(tensors(value))
            for number, tensor in enumerate(found):
                path = "/".join(["output", str(name), *([str(number)] if len(found) > 1 or not name else [])])
                node = self._names.take(path)
                self.nodes.append(Node(node, "Output", (self._source(tensor),), (_shape(tensor),)))

    @contextmanager
    def modules(self) -> Iterator[None]:
        """Follow which module is running; the hooks are torch's global ones, so that no module is touched."""

        def enter(module: nn.Module, _: Any) -> None:
            if (path := self._paths.get(id(module))) is not None:
                self._stack.append(path)

        def leave(module: nn.Module, _: Any, __: Any) -> None:
            if id(module) in self._paths and self._stack:
                self._stack.pop()

        with ExitStack() as stack:
            stack.callback(register_module_forward_pre_hook(enter).remove)
            stack.callback(register_module_forward_hook(leave, always_call=True).remove)
            yield

    @contextmanager
    def calls(self) -> Iterator[None]:
        """See every call of a function of torch."""
        with _Functions(self), _Operators() if self._scripted else ExitStack():  # type: ignore[no-untyped-call]
            yield

    def see(self, func: Any, args: Any, options: Any, result: Any) -> None:
        """Make a node of a call that has given or changed tensors."""
        name = _name(func)
        clean = name.strip("_")
        results = list(tensors(result)) or (list(tensors(args[:1])) if clean == "setitem" else [])
        if not results:
            return
        if clean in _SAME:
            self._made_by[results[0]] = self._source(args[0])
            return
        module = self._stack[-1] if self._stack else ""
        inputs = tuple(self._source(tensor) for tensor in tensors([args, options]))
        facts: dict[str, Attribute] = {"dtype": _dtype(results[0]), **self._facts(module)}
        if said := _said(args, options):
            facts["arguments"] = said
        if name.endswith("_") and not name.startswith("_"):
            facts["in_place"] = True
        self._add(f"{self._scopes[module]}/{clean}", clean, inputs, results, facts)
        if _works_in_place(name, options):
            self._pass_on(results[0])

    def _pass_on(self, changed: Tensor) -> None:
        """Let what has changed a tensor be the maker of all that shows the same memory: its base, and views of it."""
        maker, base = self._made_by[changed], changed._base  # noqa: SLF001 - torch has no public name for it
        if base is not None:
            self._made_by[base] = maker
        whole = changed if base is None else base
        for view in list(self._views):
            if view._base is whole and (base is None or _geometry(view) == _geometry(changed)):  # noqa: SLF001
                self._made_by[view] = maker

    def _facts(self, name: str) -> dict[str, Attribute]:
        if not name:
            return {}
        module = self._modules[name]
        layer = "" if any(True for _ in module.children()) else f"{_type(module)}({module.extra_repr()})"[:_LONGEST]
        return {"module": name, **({"layer": layer} if layer else {})}

    def _source(self, tensor: Tensor) -> str:
        """Return the name of what made a tensor; a buffer, or a constant where nothing in this pass did."""
        known: str | None = self._made_by.get(tensor)
        if known is not None:
            return known
        buffer: str | None = self._buffers.get(tensor)
        owner, _, leaf = ("", "", "") if buffer is None else buffer.rpartition(".")
        if buffer is not None:
            return self._add(f"{self._scopes[owner]}/{leaf}", "Buffer", (), [tensor], {"dtype": _dtype(tensor)})
        module = self._stack[-1] if self._stack else ""
        return self._add(f"{self._scopes[module]}/constant", "Constant", (), [tensor], {"dtype": _dtype(tensor)})


def _scopes(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Give the scope of each module; a number alone would say little, so its type is said with it."""
    scopes = {"": _type(network)}
    for name, module in network.named_modules(remove_duplicate=False):
        if name:
            parent, _, leaf = name.rpartition(".")
            label = f"{_type(module)}[{leaf}]" if leaf.isdigit() else leaf
            scopes[name] = f"{scopes[parent]}/{label}"
    yield from scopes.items()


class _Functions(TorchFunctionMode):
    """Sees calls of functions and methods of torch; what they call in turn is a part of them."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        self._watch.see(func, args, options, result)
        return result


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets :class:`_Functions` see the operators that TorchScript runs: it calls them again, as functions."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def _type(module: nn.Module) -> str:
    return str(getattr(module, "original_name", None) or type(module).__name__)  # TorchScript keeps the name


def _name(func: Any) -> str:
    """Return what a function of torch is called: ``relu_``, ``add`` for ``+``, ``T`` for the property."""
    if hasattr(func, "overloadpacket"):  # an operator
        return str(func.overloadpacket.__name__)
    if getattr(func, "__name__", "") == "__get__":
        return str(getattr(func.__self__, "__name__", "get"))
    return str(getattr(func, "__name__", type(func).__name__))


def _works_in_place(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a function of torch changes a tensor that it was given: ``add_``, ``+=``, ``relu(…, inplace=True)``."""
    if name.startswith("__"):
        return name in _CHANGES
    return name.endswith("_") or options.get("out") is not None or options.get("inplace") is True


def _geometry(view: Tensor) -> tuple[Any, ...]:
    return view.storage_offset(), view.shape, view.stride()


def _shape(tensor: Tensor) -> Shape | None:
    """Return the shape of a tensor; a nested one has none."""
    return None if tensor.is_nested else tuple(int(size) for size in tensor.shape)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _said(args: Any, options: Any) -> str:
    """Return the arguments of a call that hold no tensors."""
    plain = [repr(value) for value in args if not any(True for _ in tensors(value))]
    named = [f"{key}={value!r}" for key, value in options.items() if not any(True for _ in tensors(value))]
    return ", ".join(plain + named)[:_LONGEST]
