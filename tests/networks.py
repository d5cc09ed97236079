"""Networks that several test modules look into, and what is seen of one while it runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import shim_torchvision  # noqa: F401 - makes torchvision importable
from convscope.nets.nodes import short_name, topological

TORCHVISION = ["resnet18", "googlenet", "densenet", "mobilenet_v2", "shufflenet_v2_x0_5"]


class Block(nn.Module):
    """A residual block whose ReLU is used twice and works in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.conv2(y) + x)


class Branching(nn.Module):
    """A network with a condition on the size, a loop, functional layers, and a dictionary as its output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.blocks = nn.ModuleList([Block(4), Block(4)])
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3))
        self.fc = nn.Linear(8, 5)
        self.steps = 2

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = F.relu(self.stem(x))
        if x.shape[2] > 8:
            x = F.avg_pool2d(x, 2)
        parts: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            parts.append(x)
        for step in range(self.steps):
            x = x + step
        both = torch.cat([x, parts[0]], 1)
        return {"maps": both[:, 1:3], "logits": self.fc(self.head(both))}


def torchvision_network(name: str) -> nn.Module:
    """Return a network of torchvision with random weights, in eval mode; a DenseNet with two layers in each block."""
    import torchvision

    torch.manual_seed(0)
    if name == "densenet":
        return torchvision.models.DenseNet(8, (2, 2, 2, 2), 16).eval()
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    network: nn.Module = getattr(torchvision.models, name)(**options)
    return network.eval()


def quietly(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call what torch warns of: it would have people use something newer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args, **kwargs)


def calls(network: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Return name and class of the modules that ran, as their forward hooks saw it."""
    seen: list[tuple[str, str]] = []
    hooks = [
        module.register_forward_hook(lambda module, _, __, name=name: seen.append((name, type(module).__name__)))
        for name, module in network.named_modules()
    ]
    with torch.no_grad():
        network(images.clone())
    for hook in hooks:
        hook.remove()
    return seen


def functions(network: nn.Module, images: Tensor) -> list[str]:
    """Return the names of the torch functions that were called, as an observer of torch functions saw them."""
    seen: list[str] = []

    class Observer(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Observer():
        network(images)
    return seen


def gradient(network: nn.Module, images: Tensor) -> tuple[Tensor, list[str]]:
    """Return the gradient of the sum of all outputs by the images, and the names of the nodes it went through."""
    images = images.clone().requires_grad_()
    outputs = [part for part in torch.utils._pytree.tree_leaves(network(images)) if part is not None]
    total = torch.stack([part.square().sum() for part in outputs]).sum()
    nodes = sorted(short_name(node) for node in topological([total.grad_fn]))
    return torch.autograd.grad(total, images)[0], [name for name in nodes if name in {"Relu", "Convolution", "Cat"}]


def assert_same(ours: Any, theirs: Any, **tolerance: float) -> None:
    """Assert that two outputs are equal, bit for bit unless a tolerance is given, whatever their nesting."""
    torch.testing.assert_close(ours, theirs, **({"rtol": 0, "atol": 0} | tolerance))
