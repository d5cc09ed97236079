"""The names that files of weights give to what a network of the zoo has under its own.

Each function takes a file's arrays (:func:`convscope.nets.weights.read_weights`) and returns those it knows under the
network's names, and nothing for a file that names them otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.nets.weights import Weights

Rename = Callable[[Weights], Weights]

_MXNET: Final = {
    "weight": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_var": "running_var",
}
_KERAS: Final = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_FROSSARD: Final = {"W": "weight", "b": "bias"}


def beginning(*prefixes: str) -> Rename:
    """Keep what begins so, under the name it has; other files, or parts of other networks, are left out."""
    return lambda weights: {name: array for name, array in weights.items() if name.startswith(prefixes)}


def layers(names: Mapping[str, str]) -> Rename:
    """Give layers other names: ``{"features.0": "conv1_1"}`` turns ``features.0.bias`` into ``conv1_1.bias``."""

    def rename(weights: Weights) -> Weights:
        found: Weights = {}
        for name, array in weights.items():
            layer, _, part = name.rpartition(".")
            if layer in names:
                found[f"{names[layer]}.{part}"] = array
        return found

    return rename


def flax(network: str, convolutions: Sequence[str]) -> Rename:
    """Take Flax's numbered convolutions, ``VGG16_0/Conv_3/kernel``; the linear layers of LPIPS are left out."""

    def rename(weights: Weights) -> Weights:
        found: Weights = {}
        for name, array in weights.items():
            match = re.fullmatch(rf"{network}_0/Conv_(\d+)/(kernel|bias)", name)
            if match and int(match[1]) < len(convolutions):
                found[f"{convolutions[int(match[1])]}.{_KERAS[match[2]]}"] = array
        return found

    return rename


def mxnet(weights: Weights) -> Weights:
    """Take MXNet's ``arg:bn0_gamma`` and ``aux:bn0_moving_mean``, or the same without ``arg:`` and ``aux:``."""
    pattern = rf"(?:arg:|aux:)?(.+)_({'|'.join(_MXNET)})"
    return _by_pattern(weights, pattern, _MXNET)


def mxnet_fixed_gamma(layer: str) -> Rename:
    """Do as :func:`mxnet`, with the γ of one batch normalisation at 1, whatever the file has (``fix_gamma``)."""

    def rename(weights: Weights) -> Weights:
        found = mxnet(weights)
        if f"{layer}.weight" in found:
            found[f"{layer}.weight"] = np.ones_like(found[f"{layer}.weight"])
        return found

    return rename


def keras(weights: Weights) -> Weights:
    """Take Keras' and TensorFlow.js' ``layer/kernel``, ``layer/moving_variance``."""
    return _by_pattern(weights, rf"(.+)/({'|'.join(_KERAS)})", _KERAS)


def frossard(weights: Weights) -> Weights:
    """Take Frossard's ``conv1_1_W`` and ``fc6_b`` (``vgg16_weights.npz``)."""
    return _by_pattern(weights, r"((?:conv|fc).+)_(W|b)", _FROSSARD)


def _by_pattern(weights: Weights, pattern: str, parts: Mapping[str, str]) -> Weights:
    found: Weights = {}
    for name, array in weights.items():
        if match := re.fullmatch(pattern, name):
            found[f"{match[1]}.{parts[match[2]]}"] = array
    return found


def pixel_first(rename: Rename, layer: str, maps: tuple[int, int, int]) -> Rename:
    """Reorder a linear layer that takes maps ``(C, H, W)``, flattened by TensorFlow as ``(H, W, C)``.

    Torch and Caffe flatten ``(C, H, W)``; the numbers would fit otherwise too, but mean nothing.
    """

    def turned(weights: Weights) -> Weights:
        found = rename(weights)
        if (array := found.get(f"{layer}.weight")) is not None:
            found[f"{layer}.weight"] = channel_first(array, maps, layer)
        return found

    return turned


def channel_first(weight: npt.NDArray[Any], maps: tuple[int, int, int], layer: str) -> npt.NDArray[Any]:
    """Return a linear layer's weights ``(O, H·W·C)`` as ``(O, C·H·W)``."""
    channels, height, width = maps
    if weight.ndim != 2 or weight.shape[1] != channels * height * width:
        raise FormatError(
            f"the weights of {layer} have shape {weight.shape}, not (outputs, {channels}·{height}·{width})"
        )
    maps_last = weight.reshape(-1, height, width, channels)
    return np.ascontiguousarray(maps_last.transpose(0, 3, 1, 2)).reshape(weight.shape)


def after(first: Rename, second: Rename) -> Rename:
    """Rename twice."""
    return lambda weights: second(first(weights))
