"""TorchScript, scripted, traced or frozen, as networks that can be looked into.

Hooks of the modules inside a TorchScript network never fire: all of it runs in C++. So each module becomes an ordinary
:class:`torch.nn.Module` with the same name that runs its own graph in Python, node by node, and calls its children as
modules do; layers of ``torch.nn`` become those layers again. Weights are shared, values are dropped after their last
use.

TorchScript is a program and runs when it is used. It is no Python: a file holds source in TorchScript's own small
language, and its data are read by torch's own unpickler in C++, which makes tensors and TorchScript objects only. The
language has operators that read and write files (``torch.from_file``, ``torch.save``), and objects may run code of the
file when it is read (``__setstate__``): files that hold either are refused before torch sees them. Torch itself warns
against files from strangers all the same, since its C++ readers were not made to withstand them.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.programs.rebuilt import as_parameter, called
from convscope.nets.programs.script_graph import Reader, constants_of
from convscope.nets.programs.script_layers import Frozen, buffers, children, layer_of, parameters, qualified
from convscope.nets.programs.script_run import ScriptPart, is_forward

_LARGEST_TEXT: Final = 1 << 26
"""Bytes of source in a file that are read at most; that of ResNet-152 is 0.5 MB."""

_UNSAFE: Final = {
    b"def __setstate__(": "an object that runs code when it is read",
    b"torch.from_file(": "an operator that reads files",
    b"torch.save(": "an operator that writes files",
}


class Script(ScriptPart):
    """A network built from TorchScript; it takes and returns what the original did.

    Named tuples are plain tuples here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convscope_takes: tuple[tuple[str, bool, Any], ...] = ()

    def forward(self, *values: Any, **named: Any) -> Any:
        """Return what the network returned."""
        given = list(values)
        for name, has_default, default in self.convscope_takes[len(values) :]:
            if name not in named and not has_default:
                raise TypeError(f"this network also takes {name!r}; say how it is called: call=")
            given.append(named.get(name, default))
        return super().forward(*given)


def from_script(module: torch.jit.ScriptModule) -> Script:
    """Return a network of TorchScript as one whose layers can be looked into.

    Parameters
    ----------
    module
        Scripted, traced or frozen. Its weights are shared, not copied; frozen ones have become constants, and are made
        the weights of layers again, under their old names where the file still has them.

    Returns
    -------
    Script
        In eval mode.

    Raises
    ------
    InputError
        A network that holds what Python cannot run (quantised layers, oneDNN, Python functions), named.
    """
    if not isinstance(module, torch.jit.ScriptModule):
        raise InputError(f"expected a torch.jit.ScriptModule, got {type(module).__name__}")
    return _Builder(module._c).build()  # noqa: SLF001 - the module itself, as C++ has it


def load_script(path: str | Path) -> Script:
    """Return the TorchScript in a file as a network whose layers can be looked into, on the CPU.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it is damaged, no TorchScript, or would read or write files.
    InputError
        As :func:`from_script`.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(f"no file {str(path)!r}; give a file that torch.jit.save wrote") from error
    _refuse_unsafe(path, content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would have people use torch.export
            module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # damage shows in whatever way torch trips over it
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise FormatError(
            f"{path.name} is no TorchScript that this torch can read ({reason}); save it again"
        ) from error
    return from_script(module)


def is_script_file(path: Path) -> bool:
    """Whether a file is an archive with TorchScript in it, and not one of weights alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(re.search(r"(^|/)code/.*\.py$", name) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _refuse_unsafe(path: Path, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            source = [entry for entry in archive.infolist() if re.search(r"(^|/)code/.*\.py$", entry.filename)]
            if not source:
                raise FormatError(
                    f"{path.name} holds no TorchScript; if it holds weights alone, name the network they are for"
                )
            if (size := sum(entry.file_size for entry in source)) > _LARGEST_TEXT:
                raise FormatError(f"{path.name} holds {size} bytes of source, the most is {_LARGEST_TEXT}")
            for entry in source:
                text = archive.read(entry)
                for mark, what in _UNSAFE.items():
                    if mark in text:
                        raise FormatError(f"{path.name} holds {what} ({entry.filename}); save the network without it")
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise FormatError(f"{path.name} is no archive of TorchScript ({error}); save the network again") from error


class _Builder:
    """Builds the modules of a TorchScript network, then what they do."""

    def __init__(self, script: Any) -> None:
        self._script = script
        self._parts: list[tuple[ScriptPart, Any]] = []
        self._tensors: dict[tuple[Any, ...], Tensor] = {}
        self._types: set[str] = set()
        self._made: dict[tuple[Any, ...], nn.Module] = {}

    def build(self) -> Script:
        """Return the network."""
        if not self._script._has_method("forward"):  # noqa: SLF001
            raise InputError("this TorchScript has no forward method, so it is no network; give one that has")
        self._note_types(self._script)
        root: Script = self._part(self._script, Script)
        reader = Reader(self._types)
        self._read(reader)
        self._attributes(reader)
        if reader.strange:
            raise InputError(
                f"this TorchScript holds {', '.join(sorted(reader.strange))}, which cannot be run in Python; "
                "give the torch.nn.Module it was made from"
            )
        takes = list(self._script._get_method("forward").schema.arguments)[1:]  # noqa: SLF001
        root.convscope_takes = tuple((a.name, a.has_default_value(), a.default_value) for a in takes)
        root.eval()
        return root

    def _note_types(self, script: Any) -> None:
        self._types.add(script._type().str())  # noqa: SLF001
        for child in children(script).values():
            self._note_types(child)

    def _part(self, script: Any, base: type[ScriptPart] = ScriptPart) -> Any:
        """Return a module that stands for one of TorchScript, with its tensors and its children."""
        part = called(base, qualified(script).rpartition(".")[2])()
        for name, tensor in parameters(script).items():
            part.register_parameter(name, self._parameter(tensor))
        for name, tensor in buffers(script).items():
            part.register_buffer(name, self._shared(tensor))
        for name, child in children(script).items():
            part.add_module(name, self._child(child))
        self._parts.append((part, script))
        return part

    def _child(self, script: Any) -> nn.Module:
        """Return the module for a child; one that is there under two names, known by its tensors, is one."""
        key = (script._type().str(), *(_key(tensor) for tensor in _tensors(script)))  # noqa: SLF001
        if len(key) == 1:
            return self._layer(script) or self._part(script)
        if key not in self._made:
            self._made[key] = self._layer(script) or self._part(script)
        return self._made[key]

    def _layer(self, script: Any) -> nn.Module | None:
        if children(script):
            return None
        weights = {name: self._parameter(tensor) for name, tensor in parameters(script).items()}
        state = {name: self._shared(tensor) for name, tensor in buffers(script).items()}
        layer = layer_of(script, {**weights, **state})
        if layer is None or not {*weights, *state} <= set(layer.state_dict()):
            return None
        for name, tensor in state.items():
            layer.register_buffer(name, tensor)  # also the count of batches, which no operator reads
        return layer

    def _parameter(self, tensor: Tensor) -> nn.Parameter:
        made = self._tensors.setdefault(_key(tensor), as_parameter(tensor))
        return made if isinstance(made, nn.Parameter) else as_parameter(tensor)

    def _shared(self, tensor: Tensor) -> Tensor:
        return self._tensors.setdefault(_key(tensor), tensor.detach())

    def _read(self, reader: Reader) -> None:
        """Read all methods that are called, and those that they call."""
        found = True
        while found:
            found = False
            for part, script in self._parts:
                for name in script._method_names():  # noqa: SLF001
                    wanted = is_forward(name) or name in reader.called
                    if wanted and name not in part.convscope_methods:
                        self._method(reader, part, name, script._get_method(name).graph)  # noqa: SLF001
                        found = True

    def _method(self, reader: Reader, part: ScriptPart, name: str, graph: torch.Graph) -> None:
        """Read one method; constant tensors that are no weights of layers become buffers."""
        read = reader.read(graph)
        block = Frozen(part, reader.tensors).rebuilt(read)
        for constant in constants_of(block):
            tensor = reader.tensors[constant.name]
            label = constant.name
            part.register_buffer(label, tensor.detach(), persistent=tensor.is_floating_point() and tensor.numel() > 1)
        part.convscope_methods[name] = block

    def _attributes(self, reader: Reader) -> None:
        """Note the attributes that are read and are neither tensors nor modules."""
        for part, script in self._parts:
            held = {*part._parameters, *part._buffers, *part._modules, "training"}  # noqa: SLF001
            for name in sorted(reader.attributes - held):
                if script.hasattr(name):
                    value = script.getattr(name)
                    if isinstance(value, torch._C.ScriptObject):  # noqa: SLF001
                        reader.strange.add(f"an object of {name}")
                    part.convscope_values[name] = value


def _tensors(script: Any) -> list[Tensor]:
    """Return all tensors of a module and of those in it."""
    inner = [tensor for child in children(script).values() for tensor in _tensors(child)]
    return [*parameters(script).values(), *buffers(script).values(), *inner]


def _key(tensor: Tensor) -> tuple[Any, ...]:
    """Return what tells a tensor from others: the memory it is in, and how it is read."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype
