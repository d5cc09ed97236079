"""Weights in torch's files: state dictionaries, wherever in a checkpoint they are."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from convscope.errors import missing_extra
from convscope.nets.weightfiles.base import Array, Weights, check_archive, check_count, numbers

_PLACES: Final = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
    "state_dict_ema",
    "model_ema",
    "ema",
)
_WRAPPERS: Final = ("module.", "_orig_mod.")


def read_torch(path: Path) -> Weights:
    """Return the tensors of the state dictionary in a file of ``torch.save``.

    It may be the file's top, or stand in a checkpoint under one of the usual names (``state_dict``, ``model``, ``ema``,
    …). What wrappers put before the names (``module.``, ``_orig_mod.``) is taken off. Types stay, but for those
    that numpy lacks (bfloat16, float8), which become float32.
    """
    _check(path)
    try:
        import torch
    except ModuleNotFoundError as error:
        raise missing_extra("torch", "torch", "a file of torch's weights") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces pickles it is about to refuse
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    state = _state_dictionary(loaded)
    if state is None:
        keys = ", ".join(map(repr, list(loaded)[:8])) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise ValueError(f"no state dictionary of tensors in it ({keys}); save one: torch.save(net.state_dict(), …)")
    check_count(len(state))
    size = path.stat().st_size
    _check_total(state, size)
    weights = {unwrapped(str(name)): _array(str(name), tensor) for name, tensor in state.items()}
    if len(weights) < len(state):
        raise ValueError("two of its names are the same without what wrappers put before them")
    return weights


def unwrapped(name: str) -> str:
    """Return a parameter's name without what ``DataParallel`` and ``torch.compile`` put before it.

    >>> unwrapped("module._orig_mod.features.0.weight")
    'features.0.weight'
    """
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


def _check(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path.stat().st_size)
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise ValueError("it is a TorchScript program, not weights; give it as the model")


def _state_dictionary(loaded: Any, depth: int = 0) -> Mapping[Any, Any] | None:
    """Find the mapping of names to tensors, at most three levels down."""
    import torch

    if not isinstance(loaded, Mapping) or depth > 3:
        return None
    tensors = {name: value for name, value in loaded.items() if not str(name).endswith(("_extra_state", "n_averaged"))}
    if tensors and all(isinstance(value, torch.Tensor) for value in tensors.values()):
        return tensors
    for place in _PLACES:
        found = _state_dictionary(loaded[place], depth + 1) if place in loaded else None
        if found is not None:
            return found
    return None


def _check_total(state: Mapping[Any, Any], size: int) -> None:
    """Refuse tensors that repeat a few stored numbers endlessly: views can claim any size."""
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > 4 * size + (1 << 20):
        raise ValueError(f"{size:,} bytes that claim to hold {total:,} are not weights")


def _array(name: str, tensor: Any) -> Array:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
        raise ValueError(f"{name!r} is not a dense tensor of numbers; save the network as float32")
    dense = tensor.detach()
    if dense.is_floating_point() and dense.dtype not in {torch.float64, torch.float32, torch.float16}:
        dense = dense.float()
    return numbers(name, dense.numpy())
