"""A network from a name, and the size of its input where nobody says it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import GraphModule
from torch.nn.parameter import is_lazy

from convscope.errors import InputError, NotFoundError, not_found
from convscope.nets import zoo
from convscope.nets.frozen import frozen
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.trace import spare_input
from convscope.nets.weights import read_weights

_SIZES: Final = (224, 299, 32, 28, 64, 96, 8)


@dataclass(frozen=True)
class Found:
    """A network, and what is known of it."""

    network: nn.Module
    name: str
    input_shape: tuple[int, int, int] | None = None
    preprocessing: Preprocessing | None = None


def find_network(network: Any, weights: str | Path | None = None) -> Found:
    """Return what a user calls a network as a module that can be looked into.

    Raises
    ------
    NotFoundError
        If nothing has this name.
    InputError
        If it is no network, or one whose layers are hidden.
    FormatError
        If a file does not hold what its name says.
    """
    if isinstance(network, str | Path):
        found = _named(str(network), weights)
    elif isinstance(network, nn.Module | ExportedProgram) or _is_onnx(network):
        if weights is not None:
            raise InputError(f"weights={str(weights)!r} are for networks given by name; this one has its own")
        found = Found(_opened(network), getattr(network, "original_name", type(network).__name__))
    else:
        raise InputError(f"expected a torch.nn.Module or a name, got {type(network).__name__}")
    _refuse_sealed(found.network)
    shape = found.input_shape or getattr(found.network, "input_shape", None)
    return replace(found, input_shape=shape if isinstance(shape, tuple) else None)


def _named(name: str, weights: str | Path | None) -> Found:
    if zoo.find(name) is not None:
        opened = zoo.open_network(name, weights)
        return Found(opened.network, name, opened.input_shape, opened.preprocessing)
    suffix = Path(name).suffix.lower()
    if suffix not in FILES:
        return Found(from_import_path(name, weights), name)
    if not Path(name).is_file():
        raise NotFoundError(f"no file {name!r}; give the path of a network ({', '.join(FILES)})")
    if weights is not None:
        raise InputError(f"{name} brings its own weights; leave out weights={str(weights)!r}")
    return Found(FILES[suffix](Path(name)), Path(name).stem)


def _opened(network: Any) -> nn.Module:
    if isinstance(network, ExportedProgram | GraphModule):
        from convscope.nets.programs.exported import from_exported, is_exported

        if isinstance(network, ExportedProgram) or is_exported(network):
            return from_exported(network)
    if isinstance(network, torch.jit.ScriptModule):
        from convscope.nets.programs.scripted import from_script

        return from_script(network)
    if _is_onnx(network):
        return _onnx(network)
    module: nn.Module = getattr(network, "_orig_mod", network)  # torch.compile hides the layers
    return module


def _is_onnx(network: Any) -> bool:
    return type(network).__name__ == "ModelProto"


def _onnx(network: Any) -> nn.Module:
    from convscope.nets import onnx

    return onnx.load(network)


def _exported(path: Path) -> nn.Module:
    from convscope.nets.programs.exported import load_exported

    return load_exported(path)


def _scripted(path: Path) -> nn.Module:
    from convscope.nets.programs.scripted import load_script

    return load_script(path)


FILES: Final[dict[str, Callable[[Path], nn.Module]]] = {
    ".onnx": _onnx,
    ".pt2": _exported,
    ".pt": _scripted,
    ".pth": _scripted,
    ".torchscript": _scripted,
}
"""Files that hold a whole network, and how they are opened."""


def _refuse_sealed(network: nn.Module) -> None:
    """Raise an error for a network whose layers cannot be looked into, or that holds a module of which that is so."""
    for name, module in network.named_modules():
        which = f"module {name!r}" if name else "this network"
        if what := _sealed(module):
            raise InputError(f"{which} is {what}, which hides its layers; give the torch.nn.Module it was made from")
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if any(is_lazy(tensor) for tensor in tensors):
            raise InputError(f"{which} ({type(module).__name__}) has no weights yet; send an image through it first")
        if any(tensor.is_inference() for tensor in tensors):
            raise InputError(
                f"the weights of {which} were made in inference mode, where no gradients can be taken; "
                "make the network outside torch.inference_mode()"
            )


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
        "say how it is called with a batch of images: call=lambda network, images: …"
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
            with torch.no_grad(), frozen(network):
                network(spare_input(shape, network))
        except TypeError as error:  # another size would not help
            raise does_not_go_through(shape, type(network).__name__, error) from error
        except (RuntimeError, ValueError, IndexError, AssertionError):  # what torch raises for sizes that do not fit
            continue
        except Exception as error:  # whatever the user's own code raises
            raise does_not_go_through(shape, type(network).__name__, error) from error
        return shape
    raise InputError(
        f"no square image of {_SIZES} pixels goes through this network; "
        "give its size: input_shape=(C, H, W), or --input-shape C,H,W"
    )


def move(network: nn.Module, device: str | torch.device) -> None:
    """Move a network to a device, or say that there is no such device."""
    try:
        if torch.device(device).type == "meta":
            raise InputError(f"on the device {str(device)!r} nothing is computed; use cpu, or one that is there")
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
    except Exception as error:  # whatever the user's own code raises
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"cannot import the network {path!r} ({said}); give 'package.module:function'") from error
    try:
        network = made() if callable(made) and not isinstance(made, nn.Module) else made
    except Exception as error:  # whatever the user's own code raises
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"{path!r} could not make a network ({said}); it is called without arguments") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{path!r} gave a {type(network).__name__}; it must give a torch.nn.Module")
    return network if weights is None else zoo.filled(network, read_weights(Path(weights)), Path(weights))
