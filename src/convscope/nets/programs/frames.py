"""Which operators of an exported program belong to which call of which module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from torch.fx import Node

_NOWHERE = "_empty_nn_module_stack_from_metadata_hook"
"""What torch writes where a pass has made an operator of its own."""


@dataclass(eq=False)
class Frame:
    """One call of one module: the operators and the calls in it, in order.

    Attributes
    ----------
    name
        The module's fully qualified name.
    qualified
        Its class, ``torch.nn.modules.conv.Conv2d``.
    key
        What tells this call from others of the same module.
    parent
        The call it was made in; ``None`` of the whole network.
    """

    name: str
    qualified: str
    key: str
    parent: Frame | None = None
    items: list[Node | Frame] = field(default_factory=list)

    def path(self) -> tuple[Frame, ...]:
        """Return the calls from the whole network to this one."""
        return (*(self.parent.path() if self.parent else ()), self)

    def frames(self) -> Iterator[Frame]:
        """Yield all calls made in this one, at any depth, each after those it made."""
        for item in self.items:
            if isinstance(item, Frame):
                yield from item.frames()
                yield item

    def nodes(self) -> Iterator[Node]:
        """Yield all operators that ran in this call, at any depth, in order."""
        for item in self.items:
            if isinstance(item, Frame):
                yield from item.nodes()
            else:
                yield item


def frames_of(nodes: Iterable[Node]) -> tuple[Frame, dict[Node, Frame]]:
    """Return the call of the whole network, and the call each operator ran in."""
    nodes = list(nodes)
    root = Frame("", next((_class(node) for node in nodes if _stack(node)), "Module"), "")
    homes: dict[Node, Frame] = {}
    current = root
    for node in nodes:
        stack = _stack(node)
        if stack is None:
            _place_early(node, current, homes)
            continue
        current = _enter(current, stack)
        current.items.append(node)
        homes[node] = current
    return root, homes


def _stack(node: Node) -> list[tuple[str, str, str]] | None:
    """Return key, name and class of the modules a node ran in below the network; ``None`` where nothing is known."""
    stack = node.meta.get("nn_module_stack")
    if not stack or _NOWHERE in stack:
        return None
    calls = [(key, name, _written(kind)) for key, (name, kind) in stack.items()]
    return [call for call in calls if call[1]]


def _class(node: Node) -> str:
    """Return the class of the whole network."""
    name, kind = next(iter(node.meta["nn_module_stack"].values()))
    return "Module" if name else _written(kind)


def _written(kind: object) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def _enter(current: Frame, stack: list[tuple[str, str, str]]) -> Frame:
    """Return the call a stack describes: one that is open as far as they agree, new ones from there on."""
    path = current.path()
    frame = path[0]
    agree = True
    for depth, (key, name, qualified) in enumerate(stack, start=1):
        if agree and depth < len(path) and path[depth].key == key:
            frame = path[depth]
            continue
        agree = False
        inner = Frame(name, qualified, key, frame)
        frame.items.append(inner)
        frame = inner
    return frame


def _place_early(node: Node, current: Frame, homes: dict[Node, Frame]) -> None:
    """Put an operator of no module as far out as what it takes is known, ahead of the call that is open there."""
    takes = {homes[node] for node in node.all_input_nodes if node in homes}
    path = current.path()
    depth = max((path.index(f) for taken in takes for f in taken.path() if f in path), default=0)
    home = path[depth]
    is_open = depth + 1 < len(path)
    home.items.insert(len(home.items) - is_open, node)
    homes[node] = home
