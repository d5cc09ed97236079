"""The filters of a convolution, their numbers and their health (METHODS §5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.health import FLAGS, Activity, HealthReport, Judgement, Thresholds, judge, make_report
from convscope.inspect.kernels import Likeness, Measures, likeness, measure
from convscope.rich import Rich
from convscope.summary import Summary

VERSION: Final = 1
"""Of what a record says about health: raised when a formula changes."""
_COLOURS: Final = 3
_SHOWN_SHARE: Final = 0.95
_PICTURE_SIDE: Final = 256
_MOST_TILES: Final = 1024


@dataclass(frozen=True)
class Filters(Rich):
    """The weights of one convolution, the numbers of each filter, and what is wrong with it.

    Attributes
    ----------
    layer, network
        Where they come from.
    weight
        The filters, ``(O, I, kh, kw)``.
    measures
        Norms, largest weight, strongest input and smoothness of each filter.
    likeness
        The filter most like each, and an order in which neighbours are alike.
    judgement
        The flags of each filter.
    thresholds
        From where on a filter is flagged.
    groups
        How many groups the convolution has.
    about
        What else a record should say.
    """

    layer: str
    network: str
    weight: npt.NDArray[np.float32]
    measures: Measures
    likeness: Likeness
    judgement: Judgement
    thresholds: Thresholds
    groups: int = 1
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def norm(self) -> npt.NDArray[np.float64]:
        """The L2 norm of each filter, ``(O,)``."""
        return self.measures.norm

    @property
    def share(self) -> npt.NDArray[np.float64]:
        """Each L2 norm as a share of the largest, ``(O,)``."""
        return self.norm / (self.norm.max() or 1)

    @property
    def scale(self) -> float:
        """What full contrast stands for: the largest absolute weight.

        Of a layer with more than three inputs the largest weight of all but the 5 % most extreme filters, so that a few
        outliers do not make all the others pale; what lies beyond is clipped, and the scale is printed.
        """
        largest = np.sort(self.measures.largest)
        last = len(largest) - 1
        return float(largest[int(_SHOWN_SHARE * last) if self.weight.shape[1] > _COLOURS else last])

    @property
    def dead(self) -> tuple[int, ...]:
        """Filters whose norm is below the threshold for dead ones, ascending."""
        return self.flagged("dead")

    @property
    def weak(self) -> tuple[int, ...]:
        """Filters that are not dead but below the given share of the layer's largest norm, ascending."""
        return self.flagged("weak")

    def flagged(self, flag: str) -> tuple[int, ...]:
        """Return the filters with a flag, ascending; :class:`~convscope.errors.NotFoundError` for an unknown one."""
        return self.report().of(flag)

    def report(self) -> HealthReport:
        """Return what is wrong with the filters as rows and as a sentence."""
        return make_report(self.judgement, self.likeness.nearest, self.thresholds)

    def to_summary(self, tag: str | None = None, step: int = 0) -> Summary:
        """Return the filters as a summary of kind ``filters``; the tag is the layer's name unless given."""
        return Summary("filters", tag or self.layer, step, arrays=self._arrays(), meta=self._meta())

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        measures, alike = self.measures, self.likeness
        arrays: dict[str, npt.NDArray[Any]] = {
            "weight": self.weight,
            "norm": _single(measures.norm),
            "l1": _single(measures.l1),
            "largest": measures.largest.astype(np.float32),
            "smoothness": measures.smoothness.astype(np.float32),
            "nearest": alike.nearest,
            "cosine": alike.cosine,
            "order_similarity": alike.order,
            "flags": self.judgement.flags,
            "strongest": measures.strongest,
        }
        if self.weight.shape[1] not in (1, _COLOURS):
            arrays["slice"] = measures.slice
        return arrays

    def _meta(self) -> dict[str, Any]:
        report = self.report()
        return {
            "layer": self.layer,
            "network": self.network,
            "dead": list(report.of("dead")),
            "weak": list(report.of("weak")),
            "scale": self.scale,
            "groups": self.groups,
            "health": {
                "version": VERSION,
                "sentence": report.sentence,
                "flags": [
                    {
                        "name": name,
                        "bit": FLAGS[name].bit,
                        "formula": FLAGS[name].formula,
                        "number": FLAGS[name].number,
                        "threshold": asdict(self.thresholds).get(name),
                        "count": count,
                    }
                    for name, count in report.counts.items()
                ],
            },
            **self.about,
        }


def _single(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.minimum(values, np.finfo(np.float32).max).astype(np.float32)


def examine_filters(
    weight: npt.NDArray[Any],
    *,
    layer: str,
    network: str = "",
    thresholds: Thresholds | None = None,
    activations: Activity | None = None,
    nonlinearity: str = "ReLU",
    groups: int = 1,
) -> Filters:
    """Return the filters with their numbers and flags (METHODS §5).

    >>> weight = np.random.default_rng(0).normal(size=(4, 1, 2, 2)); weight[1] = 0; weight[2] *= 0.001
    >>> weight[3] = -weight[0]
    >>> filters = examine_filters(weight, layer="conv1")
    >>> filters.dead, filters.weak
    ((1,), (2,))
    >>> print(filters.report())
    1 of 4 filters dead, 1 weak, 2 duplicate.
    filter 0 is the sign-flipped duplicate of filter 3: cosine -1.0000 (threshold 0.98)
    filter 1 is dead: L2 norm 0 (threshold 1e-06)
    filter 2 is weak: share of the largest norm 0.002339 (threshold 0.01)
    filter 3 is the sign-flipped duplicate of filter 0: cosine -1.0000 (threshold 0.98)

    Parameters
    ----------
    weight
        Filters ``(O, I, kh, kw)``.
    layer, network
        Their names.
    thresholds
        From where on a filter is flagged; ``Thresholds()`` by default.
    activations
        What the channels did over a data set, as ``Model.top_k`` returns it: then channels that are always silent or
        never off are flagged too.
    nonlinearity
        The kind of what these activations have gone through, as ``ReLU6`` or ``Sigmoid``: it says which value is full.
    groups
        How many groups the convolution has.

    Raises
    ------
    InputError
        If ``weight`` has another shape, ``groups`` does not divide it, or the activations are of another layer.
    """
    if weight.ndim != 4 or not weight.size:
        raise InputError(f"filters are an array (O, I, kh, kw), got shape {weight.shape}; give a convolution's weights")
    if groups < 1 or len(weight) % groups:
        raise InputError(f"{len(weight)} filters are not {groups} groups of the same size; give the layer's own number")
    limits = thresholds or Thresholds()
    with np.errstate(over="ignore"):  # what is too large for single precision is infinite, and is flagged
        plain = np.ascontiguousarray(weight, np.float32)
    measures = measure(plain)
    compared = (measures.not_finite == 0) & (measures.norm >= limits.dead) & (measures.norm > 0)
    alike = likeness(plain, measures.norm, compared, groups)
    judgement = judge(measures, alike, limits, activations, nonlinearity)
    return Filters(layer, network, plain, measures, alike, judgement, limits, groups)


def filters_picture(weight: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return filters as one picture ``(H, W, C)`` on one signed scale: zero is mid-grey, the largest weight is white.

    >>> filters_picture(np.zeros((96, 3, 11, 11))).shape
    (240, 240, 3)

    Parameters
    ----------
    weight
        Filters ``(O, I, kh, kw)``. Those of three input channels are in colour; of one, grey; of other numbers each
        filter is a row of grey tiles. Not more than 1024 tiles are drawn. A weight that is not finite is mid-grey.
    """
    if weight.ndim != 4 or not weight.size:
        raise InputError(f"filters are an array (O, I, kh, kw), got shape {weight.shape}; give a convolution's weights")
    inputs, height, width = weight.shape[1:]
    finite_only = np.where(np.isfinite(weight), weight, 0).astype(np.float64)
    signed = finite_only / (np.abs(finite_only).max() or 1)
    tiles = signed.transpose(0, 2, 3, 1) if inputs == 3 else signed.reshape(-1, height, width, 1)
    tiles = tiles[:_MOST_TILES]
    columns = math.ceil(math.sqrt(len(tiles))) if inputs in (1, 3) else min(inputs, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * columns, height + 1, width + 1, tiles.shape[3]), 255, np.uint8)
    sheet[: len(tiles), :height, :width] = np.rint(127.5 + 127.5 * tiles)
    picture = sheet.reshape(rows, columns, height + 1, width + 1, -1).swapaxes(1, 2)
    picture = picture.reshape(rows * (height + 1), columns * (width + 1), -1)
    zoom = max(1, _PICTURE_SIDE // max(picture.shape[:2]))
    return picture.repeat(zoom, 0).repeat(zoom, 1)
