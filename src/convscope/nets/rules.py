"""Attribution rules on the autograd graph: hooks on its nodes, which leave the network itself alone (METHODS §2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.graph import Node

from convscope.errors import InputError, not_found
from convscope.inspect.attribution import LRN, RULES, Rule, RuleReport
from convscope.nets.nodes import inputs, is_rectifier, saved, short_name, suspicious_name, topological, undefined_name

Gradients = tuple[Any, ...]
Hook = Callable[[Gradients, Gradients], Gradients]

_GATES = frozenset({"Sigmoid", "Hardsigmoid", "Softmax", "Tanh"})


def find_rule(name: str | Rule) -> Rule:
    """Return a rule by its name; a rule with parameters of its own (``dataclasses.replace``) is what it is."""
    if isinstance(name, Rule):
        return name
    if name not in RULES:
        raise not_found("rule", name, RULES)
    return RULES[name]


def check_lrn(lrn: str) -> None:
    """Raise :class:`~convscope.errors.InputError` unless ``lrn`` is one of the words for it."""
    if lrn not in LRN:
        raise InputError(f"unknown way {lrn!r} through local response normalisation; use {', '.join(LRN)}")


@contextmanager
def ruled(root: Node, rule: Rule, lrn: str = "constant") -> Iterator[RuleReport]:
    """Let every backward pass from ``root`` follow a rule, and say where it could.

    Rules that are derivatives stay so everywhere: they hold nothing constant, and ``lrn`` does not change them.
    """
    check_lrn(lrn)
    nodes = [node for node in topological([root]) if short_name(node) != "AccumulateGrad"]
    plan = _Plan.of(nodes, root)
    with ExitStack() as stack:
        for node, hook in plan.hooks(rule, lrn) if rule.rectify else ():
            stack.callback(node.register_hook(hook).remove)
        yield plan.report(rule, lrn)


@dataclass(frozen=True)
class _Plan:
    """What the nodes of a graph are to a rule.

    ``gates`` and ``denominators`` are factors, ``norms`` the divisions by the denominators; ``ways`` are the nodes on
    the way to the image when neither gates nor denominators let anything through.
    """

    ways: list[Node]
    rectifiers: list[Node]
    gates: set[Node]
    denominators: set[Node]
    norms: list[Node]

    @classmethod
    def of(cls, nodes: list[Node], root: Node) -> Self:
        gates = {gate for node in nodes if (gate := _gate(node)) is not None}
        norms = [node for node in nodes if _is_norm(node)]
        denominators = {inputs(node)[1] for node in norms}
        hidden = _behind(gates | denominators, root)
        ways = [node for node in nodes if node not in hidden]
        return cls(ways, [node for node in ways if is_rectifier(node)], gates, denominators, norms)

    def hooks(self, rule: Rule, lrn: str) -> Iterator[tuple[Node, Hook]]:
        """Yield what is done at which node."""
        yield from ((node, _rectifying(rule, node)) for node in self.rectifiers)
        stopped = self.gates if lrn == "gradient" else self.gates | self.denominators
        yield from ((node, _stopping) for node in stopped)
        yield from ((node, _unchanged) for node in self.norms if lrn == "identity")

    def report(self, rule: Rule, lrn: str) -> RuleReport:
        """Return where the rule is applied; to a derivative nothing is undefined."""
        ruled, norms = len(self.rectifiers), len(self.norms)
        if not rule.rectify:
            return RuleReport(rule.name, ruled, ruled, lrn={"gradient": norms} if norms else {})
        factors = self.gates | self.denominators
        suspicious = Counter(name for node in self.ways if (name := suspicious_name(node)))
        linear = {*factors, *(node for node in self.ways if any(factor in factors for factor in inputs(node)))}
        undefined = Counter(name for node in self.ways if node not in linear and (name := undefined_name(node)))
        held = {"gate": len(self.gates), "denominator": len(self.denominators) if lrn == "constant" else 0}
        return RuleReport(
            rule.name,
            ruled,
            ruled + suspicious.total(),
            dict(undefined),
            dict(suspicious),
            {name: count for name, count in held.items() if count},
            {lrn: norms} if norms and lrn != "constant" else {},
        )


def _rectifying(rule: Rule, node: Node) -> Hook:
    """Return what a rule does at a rectifier: its mask is x > 0, also where a ceiling (ReLU6) has no derivative."""
    mask = _open(node) if rule.forward_mask else None

    def hook(passed: Gradients, arriving: Gradients) -> Gradients:
        signal: Tensor | None = arriving[0]
        if signal is not None:
            signal = signal.clamp_min(0) if mask is None else signal.clamp_min(0) * mask
        return (signal, *passed[1:])

    return hook


def _open(node: Node) -> Tensor:
    """Return where a rectifier's input was above 0, which is where its result is; read before the graph is used up."""
    held = next(value for name in ("result", "self") if (value := saved(node, name)) is not None)
    mask: Tensor = held.detach() > 0
    return mask


def _stopping(passed: Gradients, _: Gradients) -> Gradients:
    return tuple(None if signal is None else torch.zeros_like(signal) for signal in passed)


def _unchanged(_: Gradients, arriving: Gradients) -> Gradients:
    """Pass a division to its numerator as if nothing was divided, and nothing to its denominator."""
    signal: Tensor | None = arriving[0]
    return signal, None


def _gate(node: Node) -> Node | None:
    """Return the factor of a product that is a gate, to hold constant."""
    factors = inputs(node) if short_name(node) in {"Mul", "Div"} else []
    return next((factor for factor in factors if _is_gate(factor)), None) if len(factors) > 1 else None


def _is_norm(node: Node) -> bool:
    """Whether a node divides by a power of the image's own values: local response normalisation."""
    factors = inputs(node) if short_name(node) == "Div" else []
    return len(factors) > 1 and short_name(factors[1]) == "Pow" and _gate(node) is None


def _is_gate(node: Node) -> bool:
    """Whether a factor is a gate: a squashed value, perhaps stretched over the map."""
    while short_name(node) in {"View", "Expand", "Unsqueeze", "UnsafeView", "ReshapeAlias"} and inputs(node):
        node = inputs(node)[0]
    return short_name(node) in _GATES


def _behind(constant: set[Node], root: Node) -> set[Node]:
    """Return the nodes that only lead to constant factors: no signal comes to them."""
    reached: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += [] if node in constant else inputs(node)
    return set(topological([root])) - reached
