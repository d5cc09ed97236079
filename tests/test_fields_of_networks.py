"""Receptive fields of the networks people know, against published numbers and against where gradients land."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import shim_torchvision  # noqa: F401 - before torchvision
from convscope.nets import zoo
from convscope.nets.torch import Model
from gradient_support import positive, supports


def _zoo(name: str) -> nn.Module:
    return zoo.ZOO[name].build(classifier=False)


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    network: nn.Module = models.get_model(name, weights=None)
    return network


PUBLISHED = {
    # [ZF14] and Araujo et al. 2019, table 1: alexnet 195 after its last pool
    "alexnet": {
        "features.0": 11, "features.2": 19, "features.3": 51, "features.5": 67, "features.6": 99,
        "features.8": 131, "features.10": 163, "features.12": 195,
    },
    # Araujo et al. 2019: vgg_16 212 after its last pool; the usual table layer by layer
    "vgg16": {
        "conv1_1": 3, "conv1_2": 5, "pool1": 6, "conv2_1": 10, "conv2_2": 14, "pool2": 16, "conv3_1": 24, "conv3_2": 32,
        "conv3_3": 40, "pool3": 44, "conv4_1": 60, "conv4_2": 76, "conv4_3": 92, "pool4": 100, "conv5_1": 132,
        "conv5_2": 164, "conv5_3": 196, "pool5": 212,
    },
    "resnet18": {
        "conv1": 7, "maxpool": 11, "layer1.1.add": 43, "layer2.1.add": 99, "layer3.1.add": 211, "layer4.1.add": 435,
    },
    # by r' = r + 2j a unit: strides in a stage's first 3×3 convolution. Araujo's resnet_v1_152 has them in the last
    # unit of each stage and so comes to 1507
    "resnet152": {
        "maxpool": 11, "layer1.2.add": 35, "layer2.7.add": 155, "layer3.35.add": 1291, "layer4.2.add": 1451,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(name: str) -> None:
    size = 96 if name == "alexnet" else 64
    model = Model(_zoo(name), input_shape=(3, size, size))
    found = {layer: model.layer(layer).receptive_field.size for layer in PUBLISHED[name]}
    assert found == {layer: (size, size) for layer, size in PUBLISHED[name].items()}


CASES: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "alexnet": (lambda: _zoo("alexnet"), 127, 1),
    "vgg16": (lambda: _zoo("vgg16"), 64, 1),
    "resnet18": (lambda: _zoo("resnet18"), 101, 1),
    "resnet152": (lambda: _zoo("resnet152"), 64, 12),
    "googlenet": (lambda: _zoo("googlenet"), 112, 2),
    "inception_bn": (lambda: _zoo("inception_bn"), 112, 3),
    "densenet121": (lambda: _torchvision("densenet121"), 96, 12),
    "mobilenet_v2": (lambda: _zoo("mobilenet_v2"), 96, 2),
    "squeezenet1_0": (lambda: _zoo("squeezenet1_0"), 122, 1),
}
"""How each is made, the size of its image (not always one its strides divide), and every which layer is looked at."""


@pytest.mark.parametrize("name", CASES)
def test_gradients_land_where_the_fields_are(name: str) -> None:
    make, size, every = CASES[name]
    network = positive(make())
    model = Model(network, input_shape=(3, size, size))
    modules = dict(network.named_modules())
    local = [
        layer
        for layer in model.layers
        if layer.name in modules and len(layer.shape) == 3 and not layer.receptive_field.is_global
    ]
    chosen = {layer.name: (layer.shape[1] // 2, layer.shape[2] - 1) for layer in [*local[::every], local[-1]]}
    image = torch.rand((1, 3, size, size), generator=torch.Generator().manual_seed(0))
    found = supports(network, chosen, image)
    assert found == {
        layer: model.layer(layer).receptive_field.box(*position, size, size) for layer, position in chosen.items()
    }
    assert len(found) >= 5
