"""Attribution rules as data, what came of applying one, and how a projection is shown (METHODS §2).

A rule says what happens at a rectifier on the way back to the pixels; the machine that follows it belongs to the
framework (``nets``). Three rules are more than one way back, and have a method of their own. Sources: [ZF14] Zeiler &
Fergus 2014, [S14] Springenberg et al. 2014, [Sim13] Simonyan et al. 2013, [Sun17] Sundararajan et al. 2017, [Sel17]
Selvaraju et al. 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

CONTRAST_PERCENTILE: Final = 99.5
METHODS: Final = ("backward", "integrated_gradients", "grad_cam", "occlusion")
"""How a rule gets to the pixels: by one way back, or as its paper says."""

LRN: Final = ("constant", "gradient", "identity")
"""What to do at local response normalisation: hold its denominator, take its derivative, or pass it unchanged."""


@dataclass(frozen=True)
class Rule:
    """What to do at a rectifier, given the signal R that comes from above and the rectifier's input x.

    Attributes
    ----------
    name, source
        What it is called and where it is defined.
    forward_mask
        Keep R only where x > 0.
    rectify
        Keep R only where R > 0; a rule that does not is a derivative.
    times_input
        Multiply what arrives at the pixels by the pixels.
    start
        What is sent back: the ``activation`` itself ([ZF14] set all others to zero), ``one`` for a derivative, or
        ``direction``: 1 whatever the activation, where only the direction of the answer matters.
    method
        How it gets to the pixels, one of :data:`METHODS`; the parameters below belong to those other than
        ``backward``, and are stored with the result.
    baseline
        The image without anything to see, one number in the network's input space, after preprocessing: 0 is the mean
        colour where the mean is subtracted, and black where it is not.
    steps
        Of integrated gradients: at how many points the path is looked at.
    square, stride
        Of occlusion: the side of the square and how far it moves, in pixels; ``None`` for a fifth of the receptive
        field, and half a square.
    maps
        Of Grad-CAM: the layer whose maps are weighted; by default the maps that feed the layer.

    Raises
    ------
    InputError
        If a parameter makes no sense.
    """

    name: str
    source: str
    forward_mask: bool
    rectify: bool
    times_input: bool = False
    start: str = "activation"
    method: str = "backward"
    baseline: float = 0.0
    steps: int = 50
    square: int | None = None
    stride: int | None = None
    maps: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"unknown method {self.method!r} of a rule; use {', '.join(METHODS)}")
        if not math.isfinite(self.baseline):
            raise InputError(f"the baseline is a finite number, got {self.baseline}")
        for noun, value in (("steps", self.steps), ("square", self.square), ("stride", self.stride)):
            if value is not None and value < 1:
                raise InputError(f"{noun} is at least 1, got {value}")
        if self.stride is not None and (self.square is None or self.stride > self.square):
            raise InputError(f"a stride of {self.stride} needs a square at least as large, or pixels are left out")

    @property
    def crops(self) -> bool:
        """Whether a crop that holds the receptive field gives the same as the whole image.

        Grad-CAM does not: it averages over a whole map, and stretches that over the image.
        """
        return self.method != "grad_cam"


def _derivative(name: str, source: str, method: str = "backward", *, times_input: bool = False) -> Rule:
    return Rule(name, source, forward_mask=True, rectify=False, times_input=times_input, start="one", method=method)


RULES: Final[Mapping[str, Rule]] = {
    rule.name: rule
    for rule in (
        Rule("deconvnet", "[ZF14] §2.1", forward_mask=False, rectify=True),
        Rule("guided_backprop", "[S14] §3.4", forward_mask=True, rectify=True),
        _derivative("gradient", "[Sim13] §3"),
        _derivative("gradient_x_input", "Shrikumar et al. 2016", times_input=True),
        _derivative("integrated_gradients", "[Sun17] §3", "integrated_gradients"),
        _derivative("grad_cam", "[Sel17] §3", "grad_cam"),
        _derivative("occlusion", "[ZF14] §4.2", "occlusion"),
    )
}


@dataclass(frozen=True)
class RuleReport:
    """Where a rule could be applied on the way from a layer to the pixels, and where it could not.

    Attributes
    ----------
    rule
        The rule's name.
    ruled
        Rectifiers at which it was applied.
    total
        Those, and the operations that may be rectifiers in disguise.
    undefined
        Non-linearities for which no rule is defined and that were passed by their true derivative: name → how many.
    suspicious
        Operations that may hide a rectifier (``where``, ``maximum``, a custom function …) or that are not known at
        all; passed by their derivative, not by the rule: name → how many.
    constant
        Factors that were held constant (gates, the denominators of local response normalisation): name → how many.
    lrn
        Local response normalisations that were passed otherwise, by ``gradient`` or ``identity``: how → how many.
    parameters
        What the rule was told or chose for itself: name → value.
    """

    rule: str
    ruled: int
    total: int
    undefined: Mapping[str, int] = field(default_factory=dict)
    suspicious: Mapping[str, int] = field(default_factory=dict)
    constant: Mapping[str, int] = field(default_factory=dict)
    lrn: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """Say it in one line.

        >>> RuleReport("deconvnet", 57, 57).sentence()
        '57 of 57 ReLUs ruled; undefined: 0'
        >>> RuleReport("occlusion", 0, 0, parameters={"square": "33×33", "baseline": "0"}).sentence()
        'no way back: differences of forward passes; square 33×33; baseline 0'
        """
        applied = f"{self.ruled} of {self.total} ReLUs ruled; undefined: {_listed(self.undefined)}"
        parts = [_WITHOUT_RULING.get(self.rule, applied)]
        if self.suspicious:
            parts.append(f"may hide a ReLU: {_listed(self.suspicious)}")
        if self.constant:
            parts.append(f"held constant: {_listed(self.constant)}")
        parts += [f"{count} LRN passed by {_LRN_WORDS[how]}" for how, count in self.lrn.items()]
        parts += [
            f"{name} {value if isinstance(value, str) else format(value, 'g')}"
            for name, value in self.parameters.items()
        ]
        return "; ".join(parts)


_WITHOUT_RULING: Final = {
    "grad_cam": "maps weighted by the derivative",
    "occlusion": "no way back: differences of forward passes",
}
_LRN_WORDS: Final = {"gradient": "the derivative", "identity": "the identity"}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "0"


@dataclass(frozen=True)
class Finished:
    """Projections of a layer as they are done: a batch by one rule.

    Attributes
    ----------
    rule
        The rule's name.
    slots
        Where each belongs in the table of top images: row of the chosen channels and rank, ``(B, 2)``.
    tiles
        Signed projections ``(B, h, w, c)``, cut to the receptive field; 0 outside the image.
    proof
        Their figures ``(B, 5)`` (:data:`convscope.inspect.proof.PROOF`), NaN where they were not asked for; ``None``
        where they were not asked for at all.
    """

    rule: str
    slots: npt.NDArray[np.int64]
    tiles: npt.NDArray[np.float32]
    proof: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Attribution:
    """What there is to say of a layer's projections when all are done.

    Attributes
    ----------
    layer
        The layer.
    reports
        By rule, where it could be applied.
    recomputed
        The activation found on the way, ``(C, k)``.
    mismatches
        How many of these are not what the search recorded, even from whole images.
    engine
        How the projections were made, in words.
    """

    layer: str
    reports: Mapping[str, RuleReport]
    recomputed: npt.NDArray[np.float32]
    mismatches: int
    engine: str


@dataclass(frozen=True)
class Projections:
    """What in each top image reached the channel, cut to the receptive field.

    Attributes
    ----------
    layer, rule
        What was projected, and how.
    channels
        The channels, ``(C,)``; row c of the other arrays belongs to ``channels[c]``.
    values
        Signed projections ``(C, k, h, w, 3)`` or ``(..., 1)``; 0 outside the image and where there is no image.
    box
        Where each was cut out, ``(C, k, 4)``: y0, x0, y1, x1 in input pixels, half-open, not cut at the border.
    recomputed
        The activation found on the way, ``(C, k)``.
    report
        Where the rule could be applied.
    mismatches
        How many of the recomputed activations differ from those recorded during the search; 0 unless the network or
        the images have changed.
    engine
        How they were made, in words.
    """

    layer: str
    rule: str
    channels: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    box: npt.NDArray[np.int32]
    recomputed: npt.NDArray[np.float32]
    report: RuleReport
    mismatches: int
    engine: str = ""

    def pictures(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Return the projections as pictures, and the absolute value that full contrast stands for, ``(C, k)``."""
        return signed_pictures(self.values)


def signed_pictures(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return signed values ``(..., h, w, c)`` as pictures with zero at mid-grey (128), and the scale of each.

    Full contrast is the 99.5th percentile of the absolute values of that picture, so that a single pixel does not
    flatten it; the scale is returned because it has to be printed (METHODS §2).

    >>> pictures, scale = signed_pictures(np.array([[[[-2.0], [0.0], [2.0]]]], np.float32))
    >>> pictures.ravel(), scale
    (array([  1, 128, 255], dtype=uint8), array([2.], dtype=float32))
    """
    pictures = np.empty(values.shape, np.uint8)
    scale = np.zeros(values.shape[:-3], np.float32)
    for index in np.ndindex(scale.shape):  # one at a time: a whole layer's float copies would not fit into memory
        scale[index] = _contrast(values[index])
        pictures[index] = np.rint(128 + 127 * np.clip(values[index] / (scale[index] or 1), -1, 1))
    return pictures, scale


def _contrast(tile: npt.NDArray[np.float32]) -> float:
    """Return the value of full contrast: a robust maximum, or the true one where hardly a pixel is not zero."""
    size = np.abs(tile)
    return float(np.percentile(size, CONTRAST_PERCENTILE, method="higher")) or float(size.max())
