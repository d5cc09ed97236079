"""Attribution rules as data, what came of applying one, and how a projection is shown (METHODS §2).

A rule says what happens at a rectifier on the way back to the pixels; the machine that follows it belongs to the
framework (``nets``). Sources: [ZF14] Zeiler & Fergus 2014, [S14] Springenberg et al. 2014, [Sim13] Simonyan et al.
2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

CONTRAST_PERCENTILE: Final = 99.5


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
        Keep R only where R > 0.
    times_input
        Multiply what arrives at the pixels by the pixels.
    start
        What is sent back: the ``activation`` itself ([ZF14] set all others to zero), or ``one`` for a derivative.
    """

    name: str
    source: str
    forward_mask: bool
    rectify: bool
    times_input: bool = False
    start: str = "activation"


RULES: Final[Mapping[str, Rule]] = {
    rule.name: rule
    for rule in (
        Rule("deconvnet", "[ZF14] §2.1", forward_mask=False, rectify=True),
        Rule("guided_backprop", "[S14] §3.4", forward_mask=True, rectify=True),
        Rule("gradient", "[Sim13] §3", forward_mask=True, rectify=False, start="one"),
        Rule(
            "gradient_x_input", "Shrikumar et al. 2016", forward_mask=True, rectify=False, times_input=True, start="one"
        ),
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
    """

    rule: str
    ruled: int
    total: int
    undefined: Mapping[str, int] = field(default_factory=dict)
    suspicious: Mapping[str, int] = field(default_factory=dict)
    constant: Mapping[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        """Say it in one line.

        >>> RuleReport("deconvnet", 57, 57).sentence()
        '57 of 57 ReLUs ruled; undefined: 0'
        """
        parts = [f"{self.ruled} of {self.total} ReLUs ruled", f"undefined: {_listed(self.undefined)}"]
        if self.suspicious:
            parts.append(f"may hide a ReLU: {_listed(self.suspicious)}")
        if self.constant:
            parts.append(f"held constant: {_listed(self.constant)}")
        return "; ".join(parts)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "0"


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
    """

    layer: str
    rule: str
    channels: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    box: npt.NDArray[np.int32]
    recomputed: npt.NDArray[np.float32]
    report: RuleReport
    mismatches: int

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
