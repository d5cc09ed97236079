"""How well a classifier does: counts at thresholds, precision-recall and ROC curves of every class, confusion matrices.

Areas are exact: they are taken from every distinct score, not from the points that a curve is drawn with.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.rich import Rich
from convscope.summary import Summary, finite

Floats = npt.NDArray[np.float64]

MOST_CLASSES: Final = 4096
_FEWEST: Final = 1e-7  # stands for zero where a share of nothing is asked for, as in TensorBoard
_ROUNDING: Final = 1e-6  # how far outside 0..1 a probability may lie


@dataclass(frozen=True)
class ClassCurves(Rich):
    """Precision-recall and ROC curves, each class against all others.

    Attributes
    ----------
    class_names
        The names of the ``C`` classes.
    support
        How many members each class has, or what they weigh, ``(C,)``.
    auc
        Area under each ROC curve (trapezoids over all scores), ``(C,)``; NaN for a class without members, or with
        nothing but members.
    average_precision
        The sum of precision times growth of recall over all scores, ``(C,)``; NaN for a class without members.
    threshold
        The scores at which the curves are given, falling, ``(C, P)``; the first is infinite: nothing is taken.
    true_positive_rate
        The share of members whose score reaches the threshold (also called recall), ``(C, P)``.
    false_positive_rate
        The share of the others whose score reaches it, ``(C, P)``.
    precision
        The share of members among what reaches it, ``(C, P)``; 1 where nothing does.
    """

    class_names: tuple[str, ...]
    support: Floats
    auc: Floats
    average_precision: Floats
    threshold: npt.NDArray[np.float32]
    true_positive_rate: npt.NDArray[np.float32]
    false_positive_rate: npt.NDArray[np.float32]
    precision: npt.NDArray[np.float32]

    def to_summary(self, tag: str, step: int = 0) -> Summary:
        """Return the curves as a summary of kind ``curves``."""
        arrays = {name: value for name, value in vars(self).items() if name != "class_names"}
        meta = {
            "class_names": list(self.class_names),
            "mean_auc": _mean(self.auc),
            "mean_average_precision": _mean(self.average_precision),
        }
        return Summary("curves", tag, step, arrays=arrays, meta=meta)


@dataclass(frozen=True)
class ConfusionMatrix(Rich):
    """How often each class was taken for each.

    Attributes
    ----------
    class_names
        The names of the ``C`` classes.
    counts
        One row for each true class, one column for each predicted one, ``(C, C)``.
    """

    class_names: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share that was named rightly; NaN where there is nothing."""
        return float(_share(np.trace(self.counts), self.counts.sum()))

    @property
    def recall(self) -> Floats:
        """The share of each true class that was named rightly, ``(C,)``; NaN for a class that does not occur."""
        return _share(np.diag(self.counts), self.counts.sum(axis=1))

    @property
    def precision(self) -> Floats:
        """The share of each predicted class that was named rightly, ``(C,)``; NaN for one that was never predicted."""
        return _share(np.diag(self.counts), self.counts.sum(axis=0))

    def to_summary(self, tag: str, step: int = 0) -> Summary:
        """Return the matrix as a summary of kind ``confusion_matrix``."""
        meta = {"class_names": list(self.class_names), "accuracy": finite(self.accuracy)}
        return Summary("confusion_matrix", tag, step, arrays={"counts": self.counts}, meta=meta)


def _share(part: Any, whole: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Floats = np.true_divide(part, whole)
    return shares


def _mean(values: Floats) -> float | None:
    """Return the mean of those that are defined."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def count_at_thresholds(
    labels: npt.NDArray[Any],
    predictions: npt.NDArray[Any],
    num_thresholds: int = 127,
    weights: npt.NDArray[Any] | None = None,
) -> Floats:
    """Count what a binary classifier does at thresholds that lie evenly between 0 and 1.

    >>> count_at_thresholds(np.array([0, 1, 1]), np.array([0.2, 0.4, 0.9]), 3)[0]
    array([2., 1., 0.])

    Parameters
    ----------
    labels
        0 and 1 or booleans, ``N`` of them in any shape.
    predictions
        Probabilities, ``N`` of them.
    num_thresholds
        How many thresholds, at least 2. A prediction counts as positive at those that are not above it.
    weights
        What each prediction weighs: ``N`` numbers, or one for all.

    Returns
    -------
    True positives, false positives, true negatives, false negatives, precision and recall, ``(6, num_thresholds)``.

    Raises
    ------
    InputError
        If sizes differ, there is nothing, or a number is not what it should be.
    """
    num_thresholds = _number_of_points(num_thresholds)
    members = _members(labels)
    scores = _probabilities(predictions, len(members))
    weight = _weights(weights, len(members))
    bucket = np.floor(scores * (num_thresholds - 1)).astype(np.intp)
    hits = members if weight is None else np.where(members, weight, 0.0)
    misses = ~members if weight is None else np.where(members, 0.0, weight)
    true, false = (np.cumsum(np.bincount(bucket, part, num_thresholds)[::-1])[::-1] for part in (hits, misses))
    true_negative, false_negative = false[0] - false, true[0] - true
    precision = true / np.maximum(_FEWEST, true + false)
    recall = true / np.maximum(_FEWEST, true + false_negative)
    return np.stack([true, false, true_negative, false_negative, precision, recall])


def trace_curves(
    labels: npt.NDArray[Any],
    scores: npt.NDArray[Any],
    class_names: Sequence[str] | None = None,
    weights: npt.NDArray[Any] | None = None,
    points: int = 201,
) -> ClassCurves:
    """Return the precision-recall and ROC curves of each class against all others, and the areas under them.

    >>> curves = trace_curves(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> curves.auc, curves.average_precision.round(3)
    (array([0.75]), array([0.833]))

    Parameters
    ----------
    labels
        Class numbers ``(N,)``, or memberships ``(N, C)`` of 0 and 1 where one thing may belong to several classes.
    scores
        ``(N, C)``, larger for what belongs rather to the class: probabilities, logits. Or ``(N,)`` for one class, whose
        labels are then 0 and 1.
    class_names
        ``C`` names; the numbers by default.
    weights
        What each of the ``N`` weighs.
    points
        How many points a curve is given with, closest together near the corner of a perfect classifier; the areas are
        taken from all.

    Raises
    ------
    InputError
        If shapes do not fit, there is nothing, or a number is not what it should be.
    """
    points = _number_of_points(points)
    scores = _binary(labels, scores)
    members, columns = one_against_all(labels, scores)
    names = name_classes(class_names, members.shape[1]) if scores.ndim == 2 or class_names else ("positive",)
    weight = _weights(weights, len(members))
    traced = [_trace(members[:, c], columns[:, c], weight, points) for c in range(members.shape[1])]
    areas, curves = zip(*traced, strict=True)
    support, auc, average_precision = np.array(areas).T
    with np.errstate(over="ignore"):
        threshold, true_rate, false_rate, precision = np.array(curves, np.float32).transpose(1, 0, 2)
    return ClassCurves(names, support, auc, average_precision, threshold, true_rate, false_rate, precision)


def _trace(
    members: npt.NDArray[np.bool_], scores: npt.NDArray[Any], weight: Floats | None, points: int
) -> tuple[tuple[float, float, float], Floats]:
    """Return support, ROC area and average precision of one class, and ``(4, points)`` of its curves."""
    order = np.argsort(np.ascontiguousarray(scores))[::-1]
    falling, member = scores[order], members[order]
    weighed = np.ones(len(order)) if weight is None else weight[order]
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(order) - 1)  # of what shares a score
    taken = np.append(0.0, np.cumsum(weighed)[ends])
    true = np.append(0.0, np.cumsum(np.where(member, weighed, 0.0))[ends])
    false = taken - true if weight is None else np.append(0.0, np.cumsum(np.where(member, 0.0, weighed))[ends])
    true_rate, false_rate = _share(true, true[-1]), _share(false, false[-1])
    precision = np.where(taken > 0, true / np.maximum(taken, np.finfo(np.float64).tiny), 1.0)
    auc = float(np.sum(np.diff(false_rate) * (true_rate[1:] + true_rate[:-1])) / 2)
    average_precision = float(np.sum(np.diff(true_rate) * precision[1:]))
    kept = _even_steps(1 - np.sqrt(1 - np.nan_to_num(true_rate)) + np.sqrt(np.nan_to_num(false_rate)), points)
    threshold = np.append(np.inf, falling[ends])
    curves = np.stack([threshold[kept], true_rate[kept], false_rate[kept], precision[kept]])
    return (float(true[-1]), auc, average_precision), curves


def _even_steps(course: Floats, points: int) -> npt.NDArray[np.intp]:
    """Return which of the rising numbers follow them in equal steps, first and last among them; few are repeated."""
    kept = np.searchsorted(course, np.linspace(0, course[-1], points))
    kept[0], kept[-1] = 0, len(course) - 1
    return kept


def one_against_all(
    labels: npt.NDArray[Any], scores: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
    """Return who belongs to which class, and the scores, both ``(N, C)``; parameters as for :func:`trace_curves`.

    >>> one_against_all(np.array([1, 0]), np.array([[0.3, 0.7], [0.6, 0.4]]))[0]
    array([[False,  True],
           [ True, False]])

    Raises
    ------
    InputError
        If shapes do not fit, there is nothing, or a number is not what it should be.
    """
    if scores.dtype.kind not in "biuf" or scores.ndim not in (1, 2) or not scores.size:
        raise InputError(f"scores are numbers (N, C) or (N,), got dtype {scores.dtype} of shape {scores.shape}")
    scores = _binary(labels, scores)
    columns = scores.reshape(len(scores), -1)
    if not labels.ndim or len(labels) != len(scores):
        raise InputError(f"each score needs a label, got labels {labels.shape} and scores {scores.shape}")
    if np.isnan(columns).any():
        raise InputError(f"scores can be sorted, got NaN in {np.isnan(columns).any(axis=1).sum()} of {len(scores)}")
    if scores.ndim == 1 or labels.ndim == 2:
        members = _members(labels)
        if members.size != scores.size:
            raise InputError(f"memberships have the shape of the scores {scores.shape}, got labels {labels.shape}")
        return members.reshape(columns.shape), columns
    numbers = _class_numbers(labels, columns.shape[1], "label")
    return numbers[:, None] == np.arange(columns.shape[1]), columns


def count_confusions(
    labels: npt.NDArray[Any], predictions: npt.NDArray[Any], class_names: Sequence[str] | None = None
) -> ConfusionMatrix:
    """Count how often each class was taken for each.

    >>> count_confusions(np.array([0, 1, 1]), np.array([0, 1, 0])).counts
    array([[1, 0],
           [1, 1]])

    Parameters
    ----------
    labels
        True class numbers, ``(N,)``.
    predictions
        Predicted class numbers ``(N,)``, or scores ``(N, C)`` of which the largest decides.
    class_names
        ``C`` names; by default the numbers, as far as they occur or there are scores.

    Raises
    ------
    InputError
        If there is nothing, lengths differ, or a class has no name.
    """
    classes = len(class_names) if class_names is not None else None
    predictions = _binary(labels, predictions)
    if predictions.ndim == 2:
        if predictions.shape[1] == 0 or np.isnan(predictions).any():
            raise InputError(f"the largest score decides, got NaN or no classes in scores of shape {predictions.shape}")
        classes = classes or predictions.shape[1]
        predictions = predictions.argmax(axis=1)
    true = _class_numbers(labels, classes, "label")
    predicted = _class_numbers(predictions, classes, "prediction")
    if len(true) != len(predicted):
        raise InputError(f"each label needs a prediction, got {len(true)} labels and {len(predicted)} predictions")
    classes = classes or int(max(true.max(), predicted.max())) + 1
    if classes > MOST_CLASSES:
        raise InputError(f"a confusion matrix has at most {MOST_CLASSES} classes, got class number {classes - 1}")
    counts = np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    return ConfusionMatrix(name_classes(class_names, classes), counts.astype(np.int64, copy=False))


def _binary(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the scores of one class as ``(N,)``, whose labels are that: many networks give them as ``(N, 1)``."""
    return scores[:, 0] if labels.ndim == 1 and scores.ndim == 2 and scores.shape[1] == 1 else scores


def name_classes(class_names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Return the names of classes, their numbers by default.

    Raises
    ------
    InputError
        If there are too few or too many, or a name stands twice.
    """
    if class_names is None:
        return tuple(map(str, range(classes)))
    names = tuple(str(name) for name in class_names)
    if isinstance(class_names, str) or len(names) != classes:
        raise InputError(f"{classes} classes need {classes} names, got {class_names!r:.80}")
    if twice := next((name for at, name in enumerate(names) if name in names[:at]), None):
        raise InputError(f"every class has a name of its own, got {twice!r} twice")
    return names


def _number_of_points(points: Any) -> int:
    try:
        number = operator.index(points)
    except TypeError:
        number = 0
    if number < 2:
        raise InputError(f"a curve has at least 2 thresholds, a whole number, got {points!r:.80}")
    return number


def _class_numbers(values: npt.NDArray[Any], classes: int | None, what: str) -> npt.NDArray[np.int64]:
    if values.ndim != 1 or not values.size or values.dtype.kind not in "biuf":
        raise InputError(f"a {what} is a class number, got dtype {values.dtype} of shape {values.shape}")
    with np.errstate(invalid="ignore"):
        numbers = values.astype(np.int64)
    if (numbers != values).any() or numbers.min() < 0:
        raise InputError(f"a {what} is a class number 0, 1, …, got {values[(numbers != values) | (numbers < 0)][0]}")
    if classes is not None and numbers.max() >= classes:
        raise InputError(f"there are {classes} classes, got the {what} {numbers.max()}")
    return numbers


def _members(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    flat = labels.reshape(-1)
    if not len(flat):
        raise InputError(f"a curve needs at least one label, got an array of shape {labels.shape}")
    if flat.dtype != np.bool_ and not ((flat == 0) | (flat == 1)).all():
        raise InputError(f"labels are 0 and 1 or booleans, got {flat[(flat != 0) & (flat != 1)][0]}")
    return flat.astype(np.bool_)


def _probabilities(predictions: npt.NDArray[Any], count: int) -> npt.NDArray[np.floating[Any]]:
    """Return probabilities in their own precision: rounding decides to which threshold they belong."""
    if predictions.dtype.kind not in "biuf" or predictions.size != count:
        raise InputError(f"{count} labels need {count} predictions, got {predictions.dtype} of {predictions.shape}")
    flat = predictions.reshape(-1)
    flat = flat.astype(flat.dtype if flat.dtype in (np.float32, np.float64) else np.float64, copy=False)
    inside = (flat >= -_ROUNDING) & (flat <= 1 + _ROUNDING)
    if not inside.all():
        raise InputError(
            f"predictions are probabilities from 0 to 1, got {flat[~inside][0]}; apply a softmax or sigmoid"
        )
    clipped: npt.NDArray[np.floating[Any]] = np.clip(flat, 0, 1)
    return clipped


def _weights(weights: npt.NDArray[Any] | None, count: int) -> Floats | None:
    if weights is None:
        return None
    flat = weights.reshape(-1).astype(np.float64) if weights.dtype.kind in "biuf" else np.zeros(0)
    if len(flat) not in (1, count):
        raise InputError(f"weights are {count} numbers or one, got {weights.dtype} of shape {weights.shape}")
    if not (flat >= 0).all() or not np.isfinite(flat).all():
        raise InputError("a weight is a number from 0 on, got a negative one, NaN or infinity")
    return np.broadcast_to(flat, (count,))
