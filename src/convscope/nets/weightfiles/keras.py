"""Weights in Keras's files: ``.keras`` and ``.weights.h5`` of Keras 3, ``.h5`` of all before; they need h5py.

HDF5 files can point to other files, lay data out virtually, or claim any size: nothing is followed, and nothing read
before the sizes are added up.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from convscope.errors import missing_extra
from convscope.nets.weightfiles.base import (
    Array,
    Weights,
    check_archive,
    check_count,
    check_expansion,
    count,
    depthwise_output_first,
    numbers,
    output_first,
)

_MAXIMUM_DEPTH: Final = 32
_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "layer_normalization": ("gamma", "beta"),
    "group_normalization": ("gamma", "beta"),
    "normalization": ("mean", "variance", "count"),
    "separable_conv1d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "p_re_lu": ("alpha",),
    "embedding": ("embeddings",),
}
_KERNEL_BIAS: Final = ("kernel", "bias")
_WITH_KERNEL: Final = re.compile(r"(depthwise_)?conv\d[d](_transpose)?|dense")
Config = Mapping[str, Any]


def read_keras(path: Path) -> Weights:
    """Return the arrays of a ``.keras``, ``.weights.h5`` or ``.h5`` file as ``layer/kernel``, ``layer/gamma``, ….

    A layer goes by the name its network gave it, also inside a network inside the network. Kernels ``(kh, kw, I, O)``
    become ``(O, I, kh, kw)``, depthwise ones ``(kh, kw, I, m)`` become ``(I·m, 1, kh, kw)``, those of Dense layers
    ``(out, in)``.
    """
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        return _read(path, size, None)
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, size)
        config = json.loads(archive.read("config.json"))
        return _read(io.BytesIO(archive.read("model.weights.h5")), size, config)


def _read(source: Path | io.BytesIO, size: int, config: Config | None) -> Weights:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise missing_extra("h5py", "keras", "a file of Keras's weights") from error
    with h5py.File(source, "r") as file:
        top = _item(file, "model_weights") if "model_weights" in file else file
        stated = file.attrs.get("model_config")
        if config is None and stated is not None:
            config = json.loads(stated)
        found = _datasets(top)
        check_expansion(sum(count(data.shape) * data.dtype.itemsize for data in found.values()), size)
        layers = _Layers(config or {}, top)
        weights: Weights = {}
        for place, data in found.items():
            kind, name = layers.named(place)
            if name in weights:
                raise ValueError(f"two of its arrays are called {name!r}")
            weights[name] = _turned(kind, name, numbers(name, data[()]))
        return weights


def _datasets(top: Any) -> dict[tuple[str, ...], Any]:
    """Return all arrays below a group by their places; the optimiser's are left out."""
    found: dict[tuple[str, ...], Any] = {}
    todo: list[tuple[tuple[str, ...], Any]] = [((), top)]
    seen = 0
    while todo:
        place, group = todo.pop()
        for name in group:
            seen += 1
            check_count(seen)
            here = (*place, name)
            if len(here) > _MAXIMUM_DEPTH:
                raise ValueError(f"its groups are nested more than {_MAXIMUM_DEPTH} deep")
            item = _item(group, name)
            if not hasattr(item, "dtype"):
                if here[0] not in {"optimizer", "optimizer_weights", "seed_generators"}:
                    todo.append((here, item))
            else:
                _check_dataset("/".join(here), item)
                found[here] = item
    return found


def _item(group: Any, name: str) -> Any:
    """Return a member of a group, if it is in this file."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} in it points to somewhere else")
    return group[name]


def _check_dataset(name: str, data: Any) -> None:
    if data.external or data.is_virtual:
        raise ValueError(f"the numbers of {name!r} are in another file")
    if data.shape is None or data.dtype.kind not in "biuf":
        raise ValueError(f"{name!r} holds {data.dtype}, not numbers")


class _Layers:
    """What the network says of its layers: their names and their classes."""

    def __init__(self, config: Config, top: Any) -> None:
        self._top = top
        self._configs: dict[str, Config] = {}
        self._collect(config)

    def _collect(self, config: Config, depth: int = 0) -> None:
        inside = config.get("config", {})
        layers = inside.get("layers", []) if isinstance(inside, Mapping) else inside  # a list in Keras 1 and 2.0
        for layer in layers if depth < _MAXIMUM_DEPTH else ():
            settings = layer.get("config", {})
            name = settings.get("name") if isinstance(settings, Mapping) else None
            self._configs[str(name or layer.get("name"))] = layer
            self._collect(layer, depth + 1)

    def named(self, place: tuple[str, ...]) -> tuple[str, str]:
        """Return the class (``conv2d``) and the name (``layer/kernel``) of the array at a place."""
        if len(place) >= 2 and place[-2] == "vars" and place[-1].isdigit():
            return self._numbered(place)
        layer, leaf = _legacy_name(place)
        return _snake(str(self._configs.get(layer, {}).get("class_name", ""))), f"{layer}/{leaf}"

    def _numbered(self, place: tuple[str, ...]) -> tuple[str, str]:
        """Name an array of Keras 3, which stores a layer's arrays by number, under the name of its class."""
        group = self._top["/".join(place[:-1])]
        own = place[-3] if len(place) > 2 else ""
        layer = str(group.attrs.get("name", own))
        kind = re.sub(r"_\d+$", "", own)
        settings = cast("Config", self._configs.get(layer, {}).get("config", {}))
        names = _variables(kind, len(group), settings)
        number = int(place[-1])
        return kind, f"{layer}/{names[number] if number < len(names) else number}"


def _variables(kind: str, found: int, settings: Config) -> tuple[str, ...]:
    """Return the names of the arrays of a layer of which there are so many.

    Without the settings, three of a batch normalisation are taken for one without scale, as Inception has it.
    """
    names = _KERNEL_BIAS if _WITH_KERNEL.fullmatch(kind) else _VARIABLES.get(kind, ())
    if not kind.endswith("normalization") or len(names) == found:
        return names
    left_out = {"gamma"} if settings.get("center", True) else {"beta"}
    if found <= len(names) - 2:
        left_out = {"gamma", "beta"}
    return tuple(name for name in names if name not in left_out)


def _legacy_name(place: tuple[str, ...]) -> tuple[str, str]:
    """Return layer and leaf of an array of Keras 1 or 2: ``conv2d/conv2d/kernel:0``, ``block1/block1_W_1:0``."""
    leaf = re.sub(r":\d+$", "", place[-1])
    owner = place[0]
    parent = place[-2] if len(place) > 2 else owner
    old = re.fullmatch(rf"{re.escape(owner)}_([A-Za-z]+)(_\d+)?", leaf)
    if old:
        return owner, {"W": "kernel", "b": "bias"}.get(old[1], old[1])
    renamed = re.fullmatch(rf"{re.escape(owner)}(_\d+)*", parent)
    return (owner if renamed else parent), leaf


def _snake(name: str) -> str:
    """Return a class's name as Keras writes it in groups: ``Conv2DTranspose`` → ``conv2d_transpose``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()


def _turned(kind: str, name: str, array: Array) -> Array:
    leaf = name.rpartition("/")[2]
    if leaf == "depthwise_kernel" or (leaf == "kernel" and kind.startswith("depthwise")):
        return depthwise_output_first(array)
    return output_first(array) if leaf in {"kernel", "pointwise_kernel"} else array
