"""The rules that are more than one way back: integrated gradients, Grad-CAM and occlusion (METHODS §2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.inspect.attribution import Rule, RuleReport
from convscope.nets.backward import Origin
from convscope.nets.grad_cam import grad_cam
from convscope.nets.integrated_gradients import integrated_gradients
from convscope.nets.measuring import Pair, Question
from convscope.nets.occlusion import occlusion
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.rules import check_lrn
from convscope.nets.trace import Tap

Method = Callable[[Question], tuple[Tensor, Tensor, RuleReport]]

OWN: Final[Mapping[str, Method]] = {
    "integrated_gradients": integrated_gradients,
    "grad_cam": grad_cam,
    "occlusion": occlusion,
}
"""The methods of :data:`convscope.inspect.attribution.METHODS` besides the one way back."""


def go_back(
    network: nn.Module,
    images: npt.NDArray[Any],
    tap: Tap,
    origins: Sequence[Origin | None],
    rule: Rule,
    lrn: str = "constant",
    *,
    corners: Sequence[Pair] | None = None,
    size: Pair | None = None,
) -> tuple[Tensor, Tensor, RuleReport]:
    """Return what comes to the pixels ``(N, C, H, W)`` from one origin in each image, and the activations ``(N,)``.

    Parameters
    ----------
    network
        The network; it is left as it was.
    images
        ``(N, C, H, W)``, whole images or crops of them that hold the receptive field. Grad-CAM takes whole images only
        (:attr:`~convscope.inspect.attribution.Rule.crops`).
    tap
        The layer.
    origins
        A position in each image, in the coordinates of its own feature map; where it is ``None``, zeros come back.
    rule
        One whose ``method`` is in :data:`OWN`.
    lrn
        Only checked: these rules take the true derivative of everything, or none.
    corners, size
        Where the images are crops: the corner (y, x) of each in its image, and the size of the image; occlusion's
        squares lie on a grid of the image. By default the images are whole.

    Raises
    ------
    InputError
        If ``lrn`` is no word for it, or the rule asks for maps that are not below the layer.
    """
    check_lrn(lrn)
    here = [i for i, origin in enumerate(origins) if origin is not None]
    question = Question(
        network,
        np.ascontiguousarray(images[here]),
        tap,
        [origin for origin in origins if origin is not None],
        rule,
        [corners[i] if corners else (0, 0) for i in here],
        size or (int(images.shape[-2]), int(images.shape[-1])),
    )
    if not here:
        return torch.zeros(images.shape), torch.zeros(len(images)), RuleReport(rule.name, 0, 0)
    signal, activation, report = OWN[rule.method](question)
    if len(here) == len(images):
        return signal, activation, report
    rows = torch.tensor(here, device=signal.device)
    spread = signal.new_zeros(images.shape).index_copy(0, rows, signal)
    return spread, activation.new_zeros(len(images)).index_copy(0, rows, activation), report


def baseline_colour(preprocessing: Preprocessing, rule: Rule) -> tuple[int, ...]:
    """Return what a rule's baseline looks like: red, green and blue, or one grey, 0..255.

    >>> from convscope.inspect.attribution import RULES
    >>> from convscope.nets.preprocessing import IMAGENET
    >>> baseline_colour(IMAGENET, RULES["occlusion"]), baseline_colour(Preprocessing(order="L"), RULES["occlusion"])
    ((124, 116, 104), (0,))
    """
    pixel = np.full((preprocessing.channels, 1, 1), rule.baseline)
    return tuple(int(value) for value in preprocessing.to_display(pixel)[0, 0])
