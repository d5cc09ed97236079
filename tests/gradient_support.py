"""Where the gradient of a position of a layer lands on the image: the oracle of receptive fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Box = tuple[int, int, int, int]


def positive(network: nn.Module) -> nn.Module:
    """Give a network weights that are all positive and keep the size of what they are given."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            if parameter.ndim > 1:
                parameter.uniform_(0.5 / fan_in, 1.5 / fan_in, generator=generator)
            else:
                parameter.fill_(0.01 if name.endswith("bias") else 1.0)
    return network.eval()


class Spread(TorchFunctionMode):
    """Lets gradients land everywhere they could: a maximum becomes a mean, and nothing is cut off above."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, options = getattr(func, "__name__", ""), kwargs or {}
        if name.startswith("max_pool2d"):
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
            given = {**dict(zip(names, args[1:], strict=False)), **options}
            if given.get("dilation", 1) in (1, (1, 1)):
                window = {key: given[key] for key in ("kernel_size", "stride", "padding", "ceil_mode") if key in given}
                return nn.functional.avg_pool2d(args[0], **window)
        if name in ("relu6", "hardtanh", "hardtanh_", "hardswish", "hardsigmoid", "relu", "relu_"):
            return args[0] * 1.0
        return func(*args, **options)


def supports(network: nn.Module, layers: Mapping[str, tuple[int, int]], image: torch.Tensor) -> dict[str, Box]:
    """Return for a position of each of these modules the box in which its gradient is not zero.

    The network's weights have to be positive (:func:`positive`); it is put back into float32.
    """
    modules = dict(network.double().named_modules())
    kept: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            kept.setdefault(name, output)

        return keep

    handles = [modules[name].register_forward_hook(hook(name)) for name in layers]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(requires_grad=False)
    pixels = image.double().clone().requires_grad_()
    with Spread():
        network(pixels)
    for handle in handles:
        handle.remove()
    found = {}
    for name, (y, x) in layers.items():
        # maps are big, and a graph is gone through again for each layer
        (gradient,) = torch.autograd.grad(kept[name][0, :, y, x].sum(), pixels, retain_graph=True)
        found[name] = _box(gradient[0].abs().sum(0).numpy())
    for parameter in trained:
        parameter.requires_grad_()
    network.float()
    return found


def _box(gradient: np.ndarray[Any, Any]) -> Box:
    rows: Sequence[int] = np.flatnonzero(gradient.sum(1)).tolist()
    columns: Sequence[int] = np.flatnonzero(gradient.sum(0)).tolist()
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
