"""A network as a list of steps: torch runs it as a module, and its definition runs it as ``attribution_plain`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from attribution_plain import (
    RECTIFYING,
    Affine,
    Array,
    AveragePool,
    BatchNorm,
    Concatenation,
    Convolution,
    Dense,
    Gate,
    MaxPool,
    Op,
    Rectifier,
    ResponseNorm,
    Smooth,
    Sum,
)


@dataclass(frozen=True)
class Step:
    """A step of a network: its name, what it does to which values, and how torch is to be told (``options``)."""

    name: str
    op: Op
    sources: tuple[str, ...]
    how: str = ""
    options: dict = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """What the layer is called in a network that has this step as a module."""
        return str(self.options.get("layer", self.name))


class Plain:
    """One image, gone up through a network; any of its layers can be sent back."""

    def __init__(self, steps: Sequence[Step], image: Array) -> None:
        self.steps = steps
        self.values = {"x": image.astype(np.float64)}
        for step in steps:
            self.values[step.name] = step.op.up(*(self.values[source] for source in step.sources))

    @property
    def doubtful(self) -> bool:
        """Whether somewhere the maximum of a window hangs on the last bits."""
        return any(step.op.doubtful for step in self.steps if isinstance(step.op, MaxPool))

    def rectifier(self, layer: str) -> Rectifier | None:
        """Return the rectifier that directly takes what a layer gives."""
        for step in self.steps:
            if layer in step.sources and isinstance(step.op, Rectifier):
                return step.op
            if layer in step.sources and step.how in ("dropout", "identity"):
                return self.rectifier(step.name)
        return None

    def activation(self, layer: str) -> Array:
        """Return a layer's values after the rectifier that directly takes them, if one does."""
        rectifier = self.rectifier(layer)
        return self.values[layer] if rectifier is None else np.clip(self.values[layer], 0, rectifier.ceiling)

    def project(self, layer: str, seeds: Array, rule: str, lrn: str = "constant") -> Array:
        """Send the layer's maps ``seeds`` ``(N, C, H, W)`` back to the pixels, ``(N, c, h, w)``."""
        signals = {layer: seeds}
        names = [step.name for step in self.steps]
        for step in reversed(self.steps[: names.index(layer) + 1]):
            if step.name in signals:
                down = step.op.down(signals.pop(step.name), rule, lrn)
                for source, signal in zip(step.sources, down, strict=True):
                    signals[source] = signals[source] + signal if source in signals else signal
        pixels = signals.get("x", np.zeros((len(seeds), *self.values["x"].shape)))
        return pixels * self.values["x"] if rule == "gradient_x_input" else pixels

    def seeds(self, layer: str, positions: Sequence[Sequence[int]], rule: str, mode: str = "single") -> Array:
        """Return what is sent back from positions (channel, y, x): the activation, or 1 for a derivative.

        All else of the layer is set to zero; in mode ``map`` only the other channels are.
        """
        maps = self.activation(layer)
        rectifier = self.rectifier(layer)
        passes = np.ones(maps.shape) if rectifier is None else rectifier.open.astype(float)
        values = maps if rule in RECTIFYING else passes
        seeds = np.zeros((len(positions), *maps.shape))
        for n, (channel, y, x) in enumerate(positions):
            place = (channel, y, x) if mode == "single" else (channel,)
            seeds[(n, *place)] = values[place]
        return seeds


# ---------------------------------------------------------------- as torch runs it

RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "functional": fn.relu,
    "method": lambda x: x.relu(),
    "inplace": lambda x: x.relu_(),
    "functional inplace": lambda x: fn.relu(x, inplace=True),
    "clamp": lambda x: x.clamp(min=0),
    "threshold": lambda x: fn.threshold(x, 0.0, 0.0),
}
RELU6S: dict[str, Callable[[Tensor], Tensor]] = {
    "functional": fn.relu6,
    "method": lambda x: x.clamp(0, 6),
    "clamp": lambda x: fn.hardtanh(x, 0.0, 6.0),
}


def tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


class Wrapped(nn.Module):
    """A function as a module without children: then the step is a layer under its own name."""

    def __init__(self, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, *values: Tensor) -> Tensor:
        return self.call(*values)


class Excite(nn.Module):
    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.linear.weight.data = tensor(weight)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.linear(x.mean((2, 3))))[:, :, None, None]


class Network(nn.Module):
    """The steps as torch runs them."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = list(steps)
        self.calls: dict[str, Callable[..., Tensor]] = {}
        for step in self.steps:
            made = step.options["torch"](self) if "torch" in step.options else TORCH[type(step.op)](step)
            if isinstance(made, nn.Module) and not step.options.get("loose"):
                self.add_module(step.name, made)
            self.calls[step.name] = made

    def forward(self, x: Tensor) -> Tensor:
        values = {"x": x}
        for step in self.steps:
            values[step.name] = self.calls[step.name](*(values[source] for source in step.sources))
        return values[self.steps[-1].name]


def _convolution(step: Step) -> Callable[..., Tensor]:
    op = step.op
    assert isinstance(op, Convolution)
    outputs, inputs, *kernel = op.weight.shape
    rest = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation, "groups": op.groups}
    module = nn.Conv2d(inputs * op.groups, outputs, tuple(kernel), bias=op.bias is not None, **rest)
    module.weight.data = tensor(op.weight)
    if op.bias is not None:
        module.bias.data = tensor(op.bias)  # type: ignore[union-attr]
    if step.how != "functional":
        return module
    weight, bias = module.weight, module.bias
    return lambda x: fn.conv2d(x, weight.detach(), None if bias is None else bias.detach(), **rest)


def _max_pool(step: Step) -> Callable[..., Tensor]:
    op = step.op
    assert isinstance(op, MaxPool)
    options = {"padding": op.padding, "dilation": op.dilation, "ceil_mode": op.ceil}
    if step.how == "functional":
        return lambda x: fn.max_pool2d(x, op.kernel, op.stride, **options)
    return nn.MaxPool2d(op.kernel, op.stride, **options)


def _average_pool(step: Step) -> Callable[..., Tensor]:
    op = step.op
    assert isinstance(op, AveragePool)
    options = {
        "padding": op.padding,
        "ceil_mode": op.ceil,
        "count_include_pad": op.count_padding,
        "divisor_override": op.divisor,
    }
    if step.how == "functional":
        return lambda x: fn.avg_pool2d(x, op.kernel, op.stride, **options)
    return nn.AvgPool2d(op.kernel, op.stride, **options)


def _rectifier(step: Step) -> Callable[..., Tensor]:
    op = step.op
    assert isinstance(op, Rectifier)
    if step.how in ("", "module inplace"):
        return (nn.ReLU if op.ceiling == np.inf else nn.ReLU6)(inplace=bool(step.how))
    return (RELUS if op.ceiling == np.inf else RELU6S)[step.how]


def _batch_norm(step: Step) -> nn.Module:
    op = step.op
    assert isinstance(op, BatchNorm)
    module = nn.BatchNorm2d(len(op.weight)).double()
    module.load_state_dict(
        {
            "weight": tensor(op.weight),
            "bias": tensor(op.bias),
            "running_mean": tensor(op.mean),
            "running_var": tensor(op.variance),
            "num_batches_tracked": torch.tensor(1),
        }
    )
    return module


def _response_norm(step: Step) -> Callable[..., Tensor]:
    op = step.op
    assert isinstance(op, ResponseNorm)
    given = op.size, op.alpha, op.beta, op.k
    return nn.LocalResponseNorm(*given) if not step.how else lambda x: fn.local_response_norm(x, *given)


def _dense(step: Step) -> nn.Module:
    op = step.op
    assert isinstance(op, Dense)
    linear = nn.Linear(op.weight.shape[1], len(op.weight))
    linear.weight.data, linear.bias.data = tensor(op.weight), tensor(op.bias)
    return nn.Sequential(nn.Flatten(), linear)


def _smooth(step: Step) -> nn.Module:
    assert isinstance(step.op, Smooth)
    return nn.LeakyReLU(0.1) if step.op.kind == "leaky" else nn.SiLU()


def _affine(step: Step) -> Callable[..., Tensor]:
    op = step.op
    assert isinstance(op, Affine)
    if step.how == "dropout":
        return nn.Dropout()
    return lambda x: x * op.factor + op.offset


def _sum(step: Step) -> Callable[..., Tensor]:
    assert isinstance(step.op, Sum)
    if step.how == "inplace":
        return lambda a, b: a.add_(b)
    return (lambda a, b: a + b) if tuple(step.op.signs) == (1, 1) else (lambda a, b: a - b)


TORCH: dict[type[Op], Callable[[Step], Callable[..., Tensor]]] = {
    Convolution: _convolution,
    MaxPool: _max_pool,
    AveragePool: _average_pool,
    Rectifier: _rectifier,
    BatchNorm: _batch_norm,
    ResponseNorm: _response_norm,
    Dense: _dense,
    Smooth: _smooth,
    Affine: _affine,
    Sum: _sum,
    Concatenation: lambda _: lambda *values: torch.cat(values, 1),
    Gate: lambda step: Excite(step.op.weight),  # type: ignore[attr-defined]
}
