"""Occlusion: what the activation loses when a square of the image is hidden ([ZF14] §4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.inspect.attribution import Rule, RuleReport
from convscope.inspect.receptive_field import ReceptiveField
from convscope.nets.measuring import Pair, Question

_SQUARES_IN_FIELD = 5


@dataclass(frozen=True)
class _Axis:
    """The squares along one axis of a picture: they start at multiples of ``stride`` in the whole image.

    The last one reaches its border, and beyond where the strides do not fit.
    """

    length: int
    corner: int
    image: int
    square: int
    stride: int

    @property
    def starts(self) -> npt.NDArray[np.intp]:
        count = -(-max(0, self.image - self.square) // self.stride) + 1
        return np.arange(count) * self.stride - self.corner

    def spans(self, low: int, high: int) -> list[Pair]:
        """Return where the squares that touch pixels ``low`` to ``high`` begin and end in the picture."""
        low, high = max(0, low), min(self.length, high)
        touching = (start for start in self.starts.tolist() if start < high and start + self.square > low)
        return [(max(0, start), min(self.length, start + self.square)) for start in touching]

    def covering(self) -> npt.NDArray[np.intp]:
        """Return how many squares cover each pixel of the picture."""
        pixels = np.arange(self.length)[:, None]
        covered: npt.NDArray[np.intp] = ((self.starts <= pixels) & (pixels < self.starts + self.square)).sum(1)
        return covered


def occlusion(question: Question) -> tuple[Tensor, Tensor, RuleReport]:
    """Return for each pixel the drop of the activation, averaged over the squares that cover it.

    Only squares that touch the receptive field are tried: the others change nothing.
    """
    images, rule = question.images, question.rule
    field = question.tap.layer.receptive_field
    square, stride = sizes(rule, field, question.size)
    activation = question.activations()
    whole = activation.cpu().to(torch.float64).numpy()
    drops = np.zeros((len(images), *images.shape[-2:]))
    tries = [(i, *span) for i in range(len(images)) for span in _spans(question, i, square, stride)]
    for batch in question.batches(len(tries)):
        chosen = [tries[t] for t in batch]
        hidden = images[[i for i, *_ in chosen]]
        for picture, (_, (y0, y1), (x0, x1)) in zip(hidden, chosen, strict=True):
            picture[:, y0:y1, x0:x1] = rule.baseline
        left = question.measured(hidden, [question.origins[i] for i, *_ in chosen])
        for (i, (y0, y1), (x0, x1)), value in zip(chosen, left.tolist(), strict=True):
            drops[i, y0:y1, x0:x1] += whole[i] - value
    for i in range(len(images)):
        rows, columns = (axis.covering() for axis in _axes(question, i, square, stride))
        drops[i] /= np.maximum(1, rows[:, None] * columns)
    dtype = torch.promote_types(activation.dtype, torch.float32)
    signal = torch.from_numpy(drops)[:, None].to(activation.device, dtype).expand(-1, images.shape[1], -1, -1)
    said = {"square": _by(square), "stride": _by(stride), "baseline": f"{rule.baseline:g}"}
    return signal, activation, RuleReport(rule.name, 0, 0, parameters=said)


def sizes(rule: Rule, field: ReceptiveField, image: Pair) -> tuple[Pair, Pair]:
    """Return the square and its stride, each as (vertical, horizontal): a fifth of the field unless the rule says.

    >>> from convscope.inspect.attribution import RULES
    >>> sizes(RULES["occlusion"], ReceptiveField((163, 163), (16, 16), (-73, -73)), (224, 224))
    ((33, 33), (16, 16))
    """
    squares, strides = [], []
    for axis in range(2):
        fifth = max(1, round(min(field.size[axis], image[axis]) / _SQUARES_IN_FIELD))
        squares.append(min(rule.square or fifth, image[axis]))
        strides.append(min(rule.stride or max(1, squares[axis] // 2), squares[axis]))
    return (squares[0], squares[1]), (strides[0], strides[1])


def _axes(question: Question, i: int, square: Pair, stride: Pair) -> Iterator[_Axis]:
    for a in range(2):
        yield _Axis(question.images.shape[2 + a], question.corners[i][a], question.size[a], square[a], stride[a])


def _spans(question: Question, i: int, square: Pair, stride: Pair) -> Iterator[tuple[Pair, Pair]]:
    """Yield rows and columns of the squares that touch the receptive field of an image's position."""
    origin = question.origins[i]
    y0, x0, y1, x1 = question.tap.layer.receptive_field.boxes(np.array([origin.y, origin.x])).tolist()
    rows, columns = _axes(question, i, square, stride)
    for down in rows.spans(y0, y1):
        yield from ((down, across) for across in columns.spans(x0, x1))


def _by(size: Pair) -> str:
    return f"{size[0]}×{size[1]}"
