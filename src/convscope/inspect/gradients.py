"""How a class's logit changes with the weights of a layer (METHODS §7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.groups import Group
from convscope.inspect.importance import Importance
from convscope.inspect.volume import Volume
from convscope.rich import Rich
from convscope.summary import Summary

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class WeightGradients(Rich):
    """d(logit of a class) / d(weights of a layer), signed: for single images, or their mean.

    >>> gradient = np.ones((2, 96, 3, 11, 11), np.float32)
    >>> rows = (Group("cat", 281, "tabby", image="cat"), Group("dog", 281, "tabby", image="dog"))
    >>> found = WeightGradients(gradient, rows, layer="conv1", network="alexnet")
    >>> found.sum.shape, found.norm.shape, found.mean().groups[0].images
    ((2, 96, 11, 11), (2, 96), 2)

    Attributes
    ----------
    gradient
        ``(G, O, I, kh, kw)``: one row a group; nothing is scaled, clipped or rectified.
    groups
        What each row is of.
    layer, network
        Where the weights are.
    order
        The order of the colours in a picture, ``"RGB"`` or ``"BGR"``: which input of a first layer is which.
    preprocessing
        How pictures became the network's input, as JSON can hold it.
    pictures
        What the network looked at, one a group, ``(G, H, W, 1 or 3)`` of ``uint8``; ``None`` for means.
    """

    gradient: Floats
    groups: tuple[Group, ...]
    layer: str = field(kw_only=True)
    network: str = field(default="", kw_only=True)
    order: str = field(default="RGB", kw_only=True)
    preprocessing: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    pictures: npt.NDArray[np.uint8] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.gradient.ndim != 5 or len(self.gradient) != len(self.groups):
            shape, groups = self.gradient.shape, len(self.groups)
            raise InputError(f"weight gradients are (groups, O, I, kh, kw), one row a group, got {shape} for {groups}")

    @cached_property
    def sum(self) -> Floats:
        """The gradients added over a filter's inputs (the colours of a first layer), ``(G, O, kh, kw)``."""
        return np.asarray(self.gradient.sum(axis=2))

    @cached_property
    def norm(self) -> Floats:
        """The L2 norm of each filter's gradient, ``(G, O)``."""
        flat = self.gradient.reshape(*self.gradient.shape[:2], -1).astype(np.float64)
        return np.asarray(np.sqrt((flat * flat).sum(axis=2)).astype(self.gradient.dtype))

    def mean(self) -> WeightGradients:
        """Return the mean gradient of each class over its images; a group of several images counts as that many."""
        classes = list(dict.fromkeys((group.of_class, group.class_name) for group in self.groups))
        rows, groups = [], []
        for number, name in classes:
            own = [i for i, group in enumerate(self.groups) if group.of_class == number]
            weights = np.array([self.groups[i].images for i in own])
            mean = np.average(self.gradient[own], axis=0, weights=weights)
            rows.append(mean.astype(self.gradient.dtype))
            groups.append(Group(f"mean for {name}", number, name, int(weights.sum())))
        return replace(self, gradient=np.stack(rows), groups=tuple(groups), pictures=None)

    def volume(self, group: int = 0, *, inputs: str | int = "sum", order: Any = "index", **options: Any) -> Volume:
        """Return one group's gradients as a volume: filters are its depth, ``(O, kh, kw)``.

        Parameters
        ----------
        group
            The row.
        inputs
            How the inputs of a filter become one plane: their ``sum``, the ``norm`` over them, ``stack`` for all of
            them, or one by its number.
        order
            How the filters are stacked.
        **options
            More of what :class:`~convscope.inspect.volume.Volume` takes.
        """
        if not 0 <= group < len(self.groups):
            raise InputError(f"no group {group} in these weight gradients; there are 0..{len(self.groups) - 1}")
        about = self.groups[group]
        known: dict[str, Any] = {
            "layer": self.layer,
            "network": self.network,
            "source": "weight_gradients",
            "picture": None if self.pictures is None else self.pictures[group],
            "image": {"name": about.name, "label": about.class_name},
            "group": about.to_json(),
            "meta": {"target": "logit", "preprocessing": dict(self.preprocessing)},
        }
        return Volume(self.gradient[group], inputs=inputs, order=order, **{**known, **options})

    def importance(self) -> Importance:
        """Return the filters' importance by these gradients: the norm of each, one measure (``gradient_norm``)."""
        return Importance(
            self.norm.astype(np.float32)[None],
            ("gradient_norm",),
            self.groups,
            layer=self.layer,
            network=self.network,
            images=max((group.images for group in self.groups), default=0),
        )

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return them as a summary of kind ``weight_gradients``; the tag is the layer's name unless given."""
        pictures = {} if self.pictures is None else {"input": self.pictures[:, None]}
        arrays: dict[str, npt.NDArray[Any]] = {
            "gradient": self.gradient.astype(np.float32, copy=False),
            "sum": self.sum.astype(np.float32),
            "norm": self.norm.astype(np.float32),
        }
        meta = {
            "layer": self.layer,
            "network": self.network,
            "target": "logit",
            "groups": [group.to_json() for group in self.groups],
            "preprocessing": dict(self.preprocessing),
            "order": self.order,
        }
        return Summary("weight_gradients", tag or self.layer, step, arrays=arrays, pictures=pictures, meta=meta)
