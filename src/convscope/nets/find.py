"""A network from a name, and the size of its input where nobody says it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

import torch
from torch import nn
from torch.fx import GraphModule

from convscope.errors import InputError, not_found
from convscope.nets import zoo
from convscope.nets.frozen import frozen
from convscope.nets.trace import spare_input
from convscope.nets.weights import read_weights

_SIZES: Final = (224, 299, 32, 28, 64, 96, 8)


def refuse_sealed(network: nn.Module) -> None:
    """Raise an error for a network whose layers cannot be looked into, or that holds a module of which that is so."""
    for name, module in network.named_modules():
        if what := _sealed(module):
            which = f"module {name!r}" if name else "this network"
            raise InputError(f"{which} is {what}, which hides its layers; give the torch.nn.Module it was made from")


def _sealed(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "a TorchScript module"
    if isinstance(module, GraphModule) and "eval" in vars(module):  # it can be neither trained nor put to rest
        return "a module of torch.export"
    return "compiled" if hasattr(module, "_orig_mod") else ""


def does_not_go_through(shape: tuple[int, ...], network: str, error: Exception) -> InputError:
    """Return the error for an image that a network does not take."""
    reason = str(error).partition("\n")[0]
    way_out = (
        "wrap it into a module that takes one batch of images"
        if isinstance(error, TypeError)
        else "give the size of its input: input_shape=(C, H, W), or --input-shape C,H,W"
    )
    return InputError(f"an image ({', '.join(map(str, shape))}) does not go through {network} ({reason}); {way_out}")


def find_input_shape(network: nn.Module) -> tuple[int, int, int]:
    """Return the first likely shape of an image that goes through the network."""
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise InputError(
            "cannot tell the size of this network's input; give it: input_shape=(C, H, W), or --input-shape C,H,W"
        )
    for size in _SIZES:
        shape = (first.in_channels, size, size)
        try:
            with torch.inference_mode(), frozen(network):
                network(spare_input(shape, network))
        except TypeError as error:  # another size would not help
            raise does_not_go_through(shape, type(network).__name__, error) from error
        except (RuntimeError, ValueError, IndexError, AssertionError):  # what torch raises for sizes that do not fit
            continue
        return shape
    raise InputError(
        f"no square image of {_SIZES} pixels goes through this network; "
        "give its size: input_shape=(C, H, W), or --input-shape C,H,W"
    )


def move(network: nn.Module, device: str | torch.device) -> None:
    """Move a network to a device, or say that there is no such device."""
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch raises the latter where it is built without CUDA
        reason = str(error).partition("\n")[0]
        raise InputError(f"cannot use the device {str(device)!r} ({reason}); use cpu, or one that is there") from error


def from_import_path(path: str, weights: str | Path | None = None) -> nn.Module:
    """Return the module that ``"package.module:function"`` makes, with the weights of a file where one is given."""
    module_name, colon, attribute = path.partition(":")
    if not colon:
        raise not_found("network", path, zoo.ZOO, "the zoo")
    try:
        made = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"cannot import the network {path!r} ({error}); give 'package.module:function'") from error
    try:
        network = made() if callable(made) and not isinstance(made, nn.Module) else made
    except Exception as error:  # whatever the user's own code raises
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{path!r} could not make a network ({said}); it is called without arguments") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{path!r} gave a {type(network).__name__}; it must give a torch.nn.Module")
    return network if weights is None else zoo.filled(network, read_weights(Path(weights)), Path(weights))
