"""Programs of torch.export as networks that can be looked into.

``torch.export`` writes down every operator a network ran, and of each the modules it ran in. From that the network is
built again: an ordinary :class:`torch.nn.Module` whose children have the original names, are real ``torch.nn`` layers
where one does the same, and call torch functions otherwise. It runs in Python, so hooks and observers see everything.

A program is a list of torch operators and runs when it is used, as any network; operators that read or write files are
refused. *Reading* a file is another matter: see :mod:`convscope.nets.programs.exported_file`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, InputSpec, OutputKind
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

from convscope.errors import InputError
from convscope.nets.programs.exported_file import read_program
from convscope.nets.programs.exported_graph import WAY_OUT, Builder, Source, refuse_changes
from convscope.nets.programs.program import Part


@dataclass(frozen=True)
class Nesting:
    """How a program's inputs and outputs are nested; it is never changed, so copies of a network share it."""

    takes: Any
    returns: Any

    def __deepcopy__(self, _: Any) -> Nesting:
        return self


class Program(Part):
    """A network built from a program of torch.export; it takes and returns what the exported network did.

    Attributes
    ----------
    fixed_batch
        The only number of images it takes at once, ``None`` where any will do.
    input_shape
        ``(C, H, W)`` of the image it was exported with, ``None`` where its first input is no batch of images.
    """

    fixed_batch: int | None = None
    input_shape: tuple[int, int, int] | None = None

    def __init__(self) -> None:
        super().__init__()
        self._sizes: tuple[tuple[int | None, ...] | None, ...] = ()
        self._nesting = Nesting(None, None)

    def forward(self, *values: Any, **named: Any) -> Any:
        """Return what the exported network returned, in the same nesting."""
        flat, nesting = pytree.tree_flatten((values, named))
        if nesting != self._nesting.takes and not len(flat) == len(self._sizes) == 1:
            raise InputError(
                f"this program takes {len(self._sizes)} inputs nested as it was exported with, got {len(flat)}; "
                "say how it is called: call=lambda network, images: network(images, ...)"
            )
        for value, sizes in zip(flat, self._sizes, strict=True):
            self._check(value, sizes)
        return pytree.tree_unflatten(self.convscope_bodies[0].run(flat), self._nesting.returns)

    def _check(self, value: Any, sizes: Sequence[int | None] | None) -> None:
        """Raise an error for an input of a size that the program was not exported for."""
        if sizes is None or not isinstance(value, Tensor):
            return
        got = tuple(value.shape)
        if len(got) == len(sizes) and got[1:] == tuple(size or n for size, n in zip(sizes, got, strict=True))[1:]:
            if self.fixed_batch in {None, got[0]}:
                return
            raise InputError(
                f"this program takes batches of exactly {self.fixed_batch} images, got {got[0]}; "
                "export it with dynamic_shapes to be free"
            )
        wanted = ", ".join("any" if size is None else str(size) for size in ("N", *sizes[1:]))
        raise InputError(f"this program was exported for inputs ({wanted}), got {got}; give that size, or export again")


def from_exported(program: ExportedProgram | GraphModule) -> Program:
    """Return a program of torch.export as a network whose layers can be looked into.

    >>> program = torch.export.export(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval(), (torch.rand(1, 3, 9, 9),))
    >>> from_exported(program)
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): ReLU()
    )

    Parameters
    ----------
    program
        What ``torch.export.export`` returned, decomposed or not, or what its ``module()`` returned. Its weights are
        shared, not copied.

    Returns
    -------
    Program
        In eval mode. Modules inside return a tuple where several tensors leave them, whatever nesting they had.

    Raises
    ------
    InputError
        A program exported in training mode, one that changes its own buffers, or one that holds what cannot be run
        piece by piece, named.
    """
    source, nesting = _of_module(program) if isinstance(program, GraphModule) else _of_program(program)
    network = Builder(source, Program).build()
    if not isinstance(network, Program):
        raise InputError(f"this program has no operators; {WAY_OUT}")
    network._nesting = nesting  # noqa: SLF001 - its own maker
    network._sizes = tuple(_sizes(node) for node in source.inputs)  # noqa: SLF001
    _describe_input(network, source.inputs)
    return network


def load_exported(path: str | Path) -> Program:
    """Return the program in a ``.pt2`` file as a network whose layers can be looked into, on the CPU.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If the file is damaged, or if reading it would run code: see :mod:`convscope.nets.programs.exported_file`.
    InputError
        As :func:`from_exported`.
    """
    return from_exported(read_program(Path(path)))


def is_exported(module: nn.Module) -> bool:
    """Whether a module is what ``ExportedProgram.module()`` returns."""
    return isinstance(module, GraphModule) and "_in_spec" in vars(module)


def _of_program(program: ExportedProgram) -> tuple[Source, Nesting]:
    signature = program.graph_signature
    held = {**program.constants, **program.state_dict}
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    attributes: dict[Node, str] = {}
    inputs: list[Node | None] = []
    for node, spec in zip(nodes, signature.input_specs, strict=True):
        if spec.kind == InputKind.USER_INPUT:
            inputs.append(None if isinstance(spec.arg, ConstantArgument) else node)
        else:
            attributes[node] = _held(spec, held)
    refuse_changes(sorted(signature.buffers_to_mutate.values()))
    flat = next(node for node in program.graph.nodes if node.op == "output").args[0]
    given = zip(flat, signature.output_specs, strict=True)
    outputs = [value for value, spec in given if spec.kind == OutputKind.USER_OUTPUT]
    tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    state = set(program.state_dict)
    source = Source(program.graph_module, tensors, set(signature.parameters), state, attributes, inputs, outputs)
    return source, Nesting(program.call_spec.in_spec, program.call_spec.out_spec)


def _held(spec: InputSpec, held: Mapping[str, Any]) -> str:
    """Return the name of the tensor that an input of the graph stands for."""
    if spec.target is None or not isinstance(held.get(spec.target), Tensor):
        kind = spec.kind.name.lower().replace("_", " ")
        raise InputError(f"this program holds a {kind} ({spec.target}), which is no tensor; {WAY_OUT}")
    return spec.target


def _of_module(module: GraphModule) -> tuple[Source, Nesting]:
    """Return what ``ExportedProgram.module()`` holds: tensors are attributes there, sizes are checked by a module."""
    takes, returns = getattr(module, "_in_spec", None), getattr(module, "_out_spec", None)
    if takes is None or returns is None:
        raise InputError("this GraphModule does not come from torch.export; it can be looked into as it is")
    nodes = list(module.graph.nodes)
    state = module.state_dict(keep_vars=True)
    attributes, tensors = {}, dict(state)
    for node in nodes:
        if node.op == "get_attr" and isinstance(tensor := _attribute(module, str(node.target)), Tensor):
            attributes[node] = str(node.target)
            tensors[attributes[node]] = tensor
    flat, _ = pytree.tree_flatten(next(node for node in nodes if node.op == "output").args[0])
    inputs: list[Node | None] = [node for node in nodes if node.op == "placeholder"]
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    source = Source(module, tensors, parameters, set(state), attributes, inputs, flat)
    return source, Nesting(takes, returns)


def _attribute(module: nn.Module, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _sizes(node: Node | None) -> tuple[int | None, ...] | None:
    """Return the size an input must have, ``None`` where it is free; ``None`` for what is no tensor."""
    value = node.meta.get("val") if node else None
    return tuple(n if type(n) is int else None for n in value.shape) if isinstance(value, Tensor) else None


def _describe_input(network: Program, inputs: Sequence[Node | None]) -> None:
    first = next((node.meta["val"] for node in inputs if node and isinstance(node.meta.get("val"), Tensor)), None)
    if first is None or not first.ndim:
        return
    if first.ndim == 4:
        channels, rows, columns = (int(n) if type(n) is int else _example(n) for n in first.shape[1:])
        network.input_shape = (channels, rows, columns) if channels and rows and columns else None
    batch = first.shape[0]
    if type(batch) is int and not _takes_any_batch(network, inputs, batch):
        network.fixed_batch = batch


def _example(size: Any) -> int:
    """Return the size a free dimension had when the program was exported; 0 where nobody knows."""
    hint = getattr(size.node, "hint", None)
    return int(hint) if hint is not None else 0


def _takes_any_batch(network: Program, inputs: Sequence[Node | None], batch: int) -> bool:
    """Whether a program that was exported for one size of batch says the same of each image in others.

    Most do: only what wrote the number down (a reshape, a tensor of zeros) ties a network to it.
    """
    generator = torch.Generator().manual_seed(0)
    like = next(network.parameters(), torch.zeros(()))
    examples = [node.meta["val"] for node in inputs if node is not None]
    if len(examples) != 1 or not isinstance(examples[0], Tensor) or not examples[0].is_floating_point():
        return False
    shape = [n if type(n) is int else _example(n) for n in examples[0].shape[1:]]
    other = 1 if batch > 1 else 2
    images = torch.rand((max(batch, other), *shape), generator=generator).to(like.device, examples[0].dtype)
    try:
        with torch.no_grad():  # copies: a first layer may write into what it is given
            ours, theirs = network(images[:batch].clone()), network(images[:other].clone())
    except (RuntimeError, ValueError, IndexError, TypeError):  # what torch raises for sizes that do not fit
        return False
    pairs = zip(pytree.tree_leaves(ours), pytree.tree_leaves(theirs), strict=True)
    return all(_says_the_same(one, two, (batch, other)) for one, two in pairs)


def _says_the_same(one: Any, two: Any, batches: tuple[int, int]) -> bool:
    if not isinstance(one, Tensor) or not one.ndim or (one.shape[0], two.shape[0]) != batches:
        return False
    count = min(batches)
    return torch.allclose(one[:count], two[:count], rtol=1e-3, atol=1e-5)
