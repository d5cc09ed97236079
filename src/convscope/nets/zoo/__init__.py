"""The networks that can be named, and where their weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convscope.errors import DownloadError, FormatError, not_found
from convscope.nets.download import Client, Progress, SourcesError, fetch
from convscope.nets.mnist import MNIST, load_digits_8x8, load_mnist
from convscope.nets.weights import Weights, read_weights
from convscope.nets.zoo import libraries
from convscope.nets.zoo.entries import ZOO
from convscope.nets.zoo.entry import ByHand, Form, Opened, ZooEntry

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "RANDOM",
    "ZOO",
    "ByHand",
    "Form",
    "Opened",
    "ZooEntry",
    "filled",
    "find",
    "is_cached",
    "load",
    "load_digits_8x8",
    "load_mnist",
    "open_network",
]

RANDOM: Final = "random"
_OWN_WAY: Final = "give a file of weights (--weights FILE), or 'random' for an untrained network"

_DATA_SETS: Final = {"mnist": MNIST}


def find(name: str) -> ZooEntry | None:
    """Return what goes by a name: of the zoo, ``torchvision:NAME`` or ``timm:NAME``; ``None`` for any other name.

    Raises
    ------
    MissingExtraError
        If it is a library's and the library is not installed.
    NotFoundError
        If the library has no such network.
    """
    return ZOO.get(name) or libraries.find(name)


def _entry(name: str) -> ZooEntry:
    found = find(name)
    if found is None:
        raise not_found("network", name, ZOO, "the zoo")
    return found


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
    """Return a network by its name, with its weights, in eval mode; see :func:`open_network`."""
    return open_network(name, weights, progress=progress, client=client).network


def open_network(
    name: str,
    weights: str | Path | None = None,
    *,
    progress: Progress | None = None,
    client: Client | None = None,
) -> Opened:
    """Return a network by its name, with its weights, in eval mode, and the preprocessing these weights go with.

    >>> opened = open_network("squeezenet1_1", "random")
    >>> opened.input_shape, opened.preprocessing.order
    ((3, 227, 227), 'BGR')

    Parameters
    ----------
    name
        Of the zoo, ``torchvision:NAME`` or ``timm:NAME``.
    weights
        A file (:func:`convscope.nets.weights.read_weights`), ``"random"`` for an untrained network, or what a library
        calls its weights (``IMAGENET1K_V1``). By default the entry's own, from the cache or fetched; a network that is
        to be trained comes untrained. A network of the zoo has a classifier only if the weights have one.
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
    if weights == RANDOM or (weights is None and entry.to_train):
        return Opened(entry.build().eval(), entry.input_shape, entry.preprocessing, RANDOM)
    is_file = weights is not None and (Path(weights).suffix != "" or Path(weights).is_file())
    if entry.library is not None and not is_file:
        return entry.library(None if weights is None else str(weights))
    return _from_file(entry, Path(weights) if weights is not None else _fetch_first(name, entry, progress, client))


def _from_file(entry: ZooEntry, path: Path) -> Opened:
    form, found = _recognised(entry, read_weights(path), path)
    options: dict[str, Any] = dict(form.options)
    if entry.head:
        options["classifier"] = any(key.startswith(entry.head) for key in found)
    network = filled(_skeleton(entry, options), found, path).eval()
    preprocessing = form.preprocessing or entry.preprocessing
    height, width = preprocessing.crop or entry.input_shape[1:]
    return Opened(network, (preprocessing.channels, height, width), preprocessing, str(path))


def _recognised(entry: ZooEntry, weights: Weights, path: Path) -> tuple[Form, Weights]:
    """Return the first form that knows the file's names, and the arrays under the network's own."""
    for form in entry.forms:
        if form.endings and not path.name.lower().endswith(form.endings):
            continue
        try:
            found = form.rename(weights)
        except FormatError as error:
            raise FormatError(f"{path} does not hold the weights of this network ({error})") from error
        if found:
            return form, found
    names = ", ".join(list(weights)[:3])
    forms = ", ".join(form.name for form in entry.forms)
    raise FormatError(
        f"{path} does not hold the weights of this network (its arrays are called {names}, …); forms it takes: {forms}"
    )


def _fetch_first(name: str, entry: ZooEntry, progress: Progress | None, client: Client | None) -> Path:
    """Return the first of several files that is cached, or else the first that can be had."""
    said: list[str] = []
    for asset in sorted(entry.weights, key=lambda asset: not asset.is_cached()):
        try:
            return fetch(asset, progress, client) / next(iter(asset.files))
        except SourcesError as error:
            said += error.said
    if entry.weights:
        raise SourcesError(f"the weights of {name}", entry.weights, said, _OWN_WAY)
    if entry.by_hand:
        places = ", ".join(map(str, entry.by_hand))
        reason = f"the weights of {name} are not fetched, since no SHA-256 is known to check {places} by"
        raise DownloadError(f"{reason}; download them yourself and {_OWN_WAY}")
    raise DownloadError(f"no weights of {name} have been published; {_OWN_WAY}")


def _skeleton(entry: ZooEntry, options: Mapping[str, Any]) -> nn.Module:
    """Build a network that is about to be filled: our own without memory, which spares initialising it (VGG: 5 s)."""
    if entry.library is not None:  # theirs may compute buffers that no file holds
        return entry.build(**options)
    import torch

    with torch.device("meta"):
        return entry.build(**options)


def filled(network: nn.Module, weights: Weights, path: Path) -> nn.Module:
    """Put the weights of a file into a network; :class:`FormatError` if they are not this network's."""
    import numpy as np
    import torch

    own = network.state_dict()
    state = {}
    for name, array in weights.items():
        value = torch.from_numpy(np.require(array, requirements=("C", "W")))
        state[name] = value.to(own[name].dtype) if name in own else value
    try:
        network.load_state_dict(state, assign=any(value.is_meta for value in own.values()))
    except (RuntimeError, TypeError) as error:
        detail = _misfit(own, state) or " ".join(str(error).split())[:300]
        raise FormatError(f"{path} does not hold the weights of this network ({detail})") from error
    return network


def _misfit(own: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Say what a network's weights and those of a file do not have in common."""
    lacking = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in own]
    shapes = [
        f"{name} is {tuple(given[name].shape)} in place of {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    named = {"it lacks": lacking, "it has": unknown, "": shapes}
    return "; ".join(f"{said} {_some(names)}".strip() for said, names in named.items() if names)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
