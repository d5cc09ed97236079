"""The preprocessings that the zoo's networks were trained with, as their publishers state them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from convscope.nets.mnist import GREY
from convscope.nets.preprocessing import IMAGENET, Preprocessing

CAFFE: Final = Preprocessing(
    256, (227, 227), (104.00698793, 116.66876762, 122.67891434), scale=1, order="BGR", resize="warp"
)
"""BVLC's AlexNet and CaffeNet: pictures warped to 256×256, the mean of Caffe's mean image subtracted."""

GOOGLENET: Final = Preprocessing(256, (224, 224), (104, 117, 123), scale=1, order="BGR", resize="warp")
"""BVLC's GoogLeNet: its prototxt has the mean values."""

SQUEEZENET: Final = Preprocessing(256, (227, 227), (104, 117, 123), scale=1, order="BGR")

VGG: Final = Preprocessing(256, (224, 224), (103.939, 116.779, 123.68), scale=1, order="BGR")
"""The Visual Geometry Group's own weights."""

VGG_RGB: Final = replace(VGG, mean=(123.68, 116.779, 103.939), order="RGB")
"""The same weights after a converter has put the first layer's channels into the other order; also Inception-BN."""

VGG_RGB_WARPED: Final = replace(VGG_RGB, size=224, resize="warp")

VGG_FEATURES: Final = Preprocessing(256, (224, 224), (0.48235, 0.45882, 0.40784), (0.00392156862745098,) * 3)
"""The group's VGG-16 as torchvision has it (``IMAGENET1K_FEATURES``): the same, in steps of 1/255."""

IMAGENET_232: Final = replace(IMAGENET, size=232)
"""torchvision's second training of some networks (``IMAGENET1K_V2``)."""

PIXELS: Final = Preprocessing(256, (224, 224), scale=1)
"""MXNet's residual networks: 0..255 as they are."""

CIFAR: Final = replace(IMAGENET, size=32, crop=(32, 32))
CIFAR_PIXELS: Final = Preprocessing(32, (32, 32), scale=1)
TINY_VGG: Final = Preprocessing(64, (64, 64))
DIGITS: Final = replace(GREY, size=28, crop=(28, 28))

__all__ = [
    "CAFFE",
    "CIFAR",
    "CIFAR_PIXELS",
    "DIGITS",
    "GOOGLENET",
    "IMAGENET",
    "IMAGENET_232",
    "PIXELS",
    "SQUEEZENET",
    "TINY_VGG",
    "VGG",
    "VGG_FEATURES",
    "VGG_RGB",
    "VGG_RGB_WARPED",
]
