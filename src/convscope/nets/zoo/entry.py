"""What the zoo knows of a network: how it is built, what it looks at, which files of weights it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convscope.nets.download import Asset
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.weights import Weights

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Form:
    """A form in which the weights of a network are published.

    Attributes
    ----------
    name
        What people call it; the documentation lists it.
    rename
        Turns the names of such a file, and the order of values where it differs, into the network's own; empty for a
        file of another form.
    endings
        How the names of such files end, in small letters, where the arrays' names do not tell; empty for any.
    preprocessing
        What the network of these weights was trained on, where it differs from the entry's.
    options
        How that network is built, where it differs.
    """

    name: str
    rename: Callable[[Weights], Weights]
    endings: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ByHand:
    """A published file that is not fetched, since no SHA-256 is known to check it by: the user is told where it is."""

    url: str
    sha1: str = ""

    def __str__(self) -> str:
        return f"{self.url} (its publisher states the SHA-1 {self.sha1})" if self.sha1 else self.url


@dataclass(frozen=True)
class Opened:
    """A network with its weights, in eval mode, and what these weights go with.

    Attributes
    ----------
    network, input_shape, preprocessing
        The network, the shape ``(C, H, W)`` of its images and how pictures become them.
    weights
        Where the weights are from: a file, a library's name for them, or ``random``.
    """

    network: nn.Module
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    weights: str


@dataclass(frozen=True)
class ZooEntry:
    """A network that goes by a name.

    Attributes
    ----------
    build
        Makes the network, untrained; takes ``classifier`` and whatever the architecture's function takes.
    input_shape, preprocessing
        What it looks at; some weights want something else (:class:`Form`, :class:`Opened`).
    weights
        Where its weights are, in the order in which they are tried.
    forms
        The files of weights it takes; the first form that fits is used.
    licence
        Of the weights.
    paper
        The publication or definition it follows.
    head
        What the names of the classifier's weights begin with: a file without them gives a network without classifier.
    by_hand
        Published files that have to be fetched by hand.
    to_train
        Whether it is meant to be trained, and so comes untrained where no weights are given.
    library
        Loads the weights that the library it is from knows under a name, ``None`` for its choice.
    """

    build: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    preprocessing: Preprocessing
    weights: tuple[Asset, ...] = ()
    forms: tuple[Form, ...] = (Form("its own names", dict),)
    licence: str = ""
    paper: str = ""
    head: tuple[str, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    to_train: bool = False
    library: Callable[[str | None], Opened] | None = None
