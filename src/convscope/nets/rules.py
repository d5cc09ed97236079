"""Attribution rules on the autograd graph: hooks on its nodes, which leave the network itself alone (METHODS §2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from convscope.errors import not_found
from convscope.inspect.attribution import RULES, Rule, RuleReport
from convscope.nets.nodes import inputs, is_rectifier, short_name, suspicious_name, topological, undefined_name

Gradients = tuple[Any, ...]
Hook = Callable[[Gradients, Gradients], Gradients]

_GATES = frozenset({"Sigmoid", "Hardsigmoid", "Softmax", "Tanh"})


def find_rule(name: str) -> Rule:
    """Return a rule by its name."""
    if name not in RULES:
        raise not_found("rule", name, RULES)
    return RULES[name]


@contextmanager
def ruled(root: Node, rule: Rule) -> Iterator[RuleReport]:
    """Let every backward pass from ``root`` follow a rule, and say where it could."""
    nodes = [node for node in topological([root]) if short_name(node) != "AccumulateGrad"]
    constant = _constant_factors(nodes) if rule.rectify else {}
    hidden = _behind(constant, root)
    ways = [node for node in nodes if node not in hidden]
    rectifiers = [node for node in ways if is_rectifier(node)]
    suspicious = Counter(name for node in ways if (name := suspicious_name(node)))
    linear = {*constant, *(node for node in ways if any(factor in constant for factor in inputs(node)))}
    undefined = Counter(name for node in ways if node not in linear and (name := undefined_name(node)))
    with ExitStack() as stack:
        for node in rectifiers if rule.rectify else ():
            stack.callback(node.register_hook(_rectifying(rule)).remove)
        for node in constant:
            stack.callback(node.register_hook(_stopping).remove)
        yield RuleReport(
            rule.name,
            len(rectifiers),
            len(rectifiers) + suspicious.total(),
            dict(undefined),
            dict(suspicious),
            dict(Counter(constant.values())),
        )


def _rectifying(rule: Rule) -> Hook:
    """Return what a rule does at a rectifier, whose own derivative is the forward mask."""

    def hook(passed: Gradients, arriving: Gradients) -> Gradients:
        signal: Tensor | None = passed[0] if rule.forward_mask else arriving[0]
        return (None if signal is None else signal.clamp_min(0), *passed[1:])

    return hook


def _stopping(passed: Gradients, _: Gradients) -> Gradients:
    return tuple(None if signal is None else torch.zeros_like(signal) for signal in passed)


def _constant_factors(nodes: list[Node]) -> dict[Node, str]:
    """Return the nodes to hold constant: gates, and the denominators of local response normalisation."""
    constant: dict[Node, str] = {}
    for node in nodes:
        factors = inputs(node)
        if short_name(node) not in {"Mul", "Div"} or len(factors) < 2:
            continue
        gate = next((factor for factor in factors if _is_gate(factor)), None)
        if gate is not None:
            constant[gate] = "gate"
        elif short_name(node) == "Div" and short_name(factors[1]) == "Pow":
            constant[factors[1]] = "denominator"
    return constant


def _is_gate(node: Node) -> bool:
    """Whether a factor is a gate: a squashed value, perhaps stretched over the map."""
    while short_name(node) in {"View", "Expand", "Unsqueeze", "UnsafeView", "ReshapeAlias"} and inputs(node):
        node = inputs(node)[0]
    return short_name(node) in _GATES


def _behind(constant: dict[Node, str], root: Node) -> set[Node]:
    """Return the nodes that only lead to constant factors: no signal comes to them."""
    reached: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += [] if node in constant else inputs(node)
    return set(topological([root])) - reached
