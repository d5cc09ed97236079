"""Weights from files that may be hostile: numbers are read, code is never run (DESIGN §10)."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, NotFoundError

Weights = dict[str, npt.NDArray[Any]]


def read_weights(path: Path) -> Weights:
    """Return the named arrays of a file of weights, kernels as ``(O, I, kh, kw)``.

    Parameters
    ----------
    path
        ``.npz``, ``.safetensors``, ``.pth`` / ``.pt`` (a state dictionary), or ``.ckpt`` (a pickle of nested
        dictionaries of numpy arrays as Flax leaves them; its kernels ``(kh, kw, I, O)`` are turned).

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it is of another kind, or holds anything but arrays.
    """
    if not path.is_file():
        raise NotFoundError(f"no file of weights {str(path)!r}; give the path of one ({', '.join(READERS)})")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise FormatError(f"weights are read from {', '.join(READERS)}, not from {path.suffix!r}: {path}")
    try:
        return reader(path)
    except (pickle.UnpicklingError, ValueError, EOFError, KeyError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{path} does not hold weights that can be read safely ({reason})") from error


def _npz(path: Path) -> Weights:
    from zipfile import BadZipFile

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except BadZipFile as error:
        raise ValueError(f"not an .npz file: {error}") from error


def _safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"not a .safetensors file: {error}") from error


def _torch(path: Path) -> Weights:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces pickles it is about to refuse
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("no state dictionary of tensors; save one with torch.save(net.state_dict(), …)")
    return {str(name).removeprefix("module."): value.float().numpy() for name, value in state.items()}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows numpy arrays and refuses everything else."""

    _ALLOWED: Final = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        allowed = self._ALLOWED.get((module_name, global_name))
        if allowed is None:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return allowed


def _flax(path: Path) -> Weights:
    with path.open("rb") as file:
        return {name: _as_oihw(name, array) for name, array in _flat(_ArraysOnly(file).load()).items()}


def _flat(tree: Any, prefix: str = "") -> Weights:
    if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        return {prefix: tree}
    if not isinstance(tree, dict):
        raise ValueError(
            f"expected a dictionary of float arrays, found a {type(tree).__name__} at {prefix or 'its top'!r}"
        )
    found: Weights = {}
    for key, value in tree.items():
        found.update(_flat(value, f"{prefix}/{key}" if prefix else str(key)))
    return found


def _as_oihw(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    turned = array.transpose(3, 2, 0, 1) if name.endswith("kernel") and array.ndim == 4 else array
    return np.ascontiguousarray(turned)


READERS: Final[Mapping[str, Callable[[Path], Weights]]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".pth": _torch,
    ".pt": _torch,
    ".ckpt": _flax,
}
