"""How well a classifier does: precision and recall, ROC, confusion matrices."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.formats import curves, events
from convscope.inspect.classification import count_at_thresholds, count_confusions, one_against_all, trace_curves
from convscope.recording.base import Recorder, tag_of
from convscope.summary import Summarizable, Summary

_POINTS: Final = 201


class EvaluationMethods(Recorder):
    """The methods that log how well a classifier does."""

    if TYPE_CHECKING:

        def add(self, result: Summary | Summarizable, tag: str | None = None, global_step: int | None = None) -> str:
            """Log a result: the method of :class:`~convscope.recording.SummaryWriter`."""

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log the precision-recall curve of a binary classifier, for TensorBoard.

        Parameters
        ----------
        tag
            The curve's name.
        labels
            0 and 1 or booleans, ``N`` of them in any shape, of any framework.
        predictions
            Probabilities from 0 to 1, ``N`` of them.
        global_step
            The training step; 0 by default.
        num_thresholds
            How many thresholds lie evenly between 0 and 1; any number from 2 on.
        weights
            What each prediction weighs: ``N`` numbers, or one.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If sizes differ or a number is not what it should be.
        """
        weight = None if weights is None else as_numpy(weights)
        table = count_at_thresholds(as_numpy(labels), as_numpy(predictions), num_thresholds, weight)
        self._emit(tag, curves.encode_pr_curve(table), global_step, walltime)

    def add_pr_curve_raw(  # noqa: PLR0913, PLR0917 - the arguments of torch.utils.tensorboard
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,  # noqa: ARG002 - kept for its place among the arguments
        weights: Any = None,  # noqa: ARG002
        walltime: float | None = None,
    ) -> None:
        """Log a precision-recall curve that was counted elsewhere, for TensorBoard.

        Parameters
        ----------
        tag
            The curve's name.
        true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision, recall
            At ``n`` thresholds that lie evenly between 0 and 1, rising, ``(n,)`` each.
        global_step
            The training step; 0 by default.
        num_thresholds, weights
            Not used, and kept for their places among the arguments: the numbers are given as they are, and say how
            many there are.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If the six are not equally many numbers.
        """
        columns = (
            true_positive_counts,
            false_positive_counts,
            true_negative_counts,
            false_negative_counts,
            precision,
            recall,
        )
        self._emit(tag, curves.encode_pr_curve(_table([as_numpy(column) for column in columns])), global_step, walltime)

    def add_pr_curves(
        self,
        tag: str,
        labels: Any,
        scores: Any,
        class_names: Sequence[str] | None = None,
        global_step: int | None = None,
        num_thresholds: int = _POINTS,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log the precision-recall and ROC curves of each class against all others, with the areas under them.

        TensorBoard shows the precision-recall curve of each class as ``<tag>/<class>``; where that is too much for
        it, as of a thousand classes, or the scores are no probabilities, use :meth:`add_roc_curves`.

        Parameters
        ----------
        tag
            The name of the curves.
        labels
            Class numbers ``(N,)``; or memberships ``(N, C)`` of 0 and 1.
        scores
            Probabilities ``(N, C)``; or ``(N,)`` of one class, whose labels are 0 and 1.
        class_names
            ``C`` names; the numbers by default.
        global_step
            The training step; 0 by default.
        num_thresholds
            Points of each curve: TensorBoard's at thresholds that lie evenly between 0 and 1, ours at the scores where
            the curve bends. The areas are those of all scores.
        weights
            What each of the ``N`` weighs.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If shapes do not fit or a number is not what it should be.
        """
        tag = tag_of(tag)
        given, columns = as_numpy(labels), as_numpy(scores)
        weight = None if weights is None else as_numpy(weights)
        traced = trace_curves(given, columns, class_names, weight, num_thresholds)
        members, columns = one_against_all(given, columns)
        fields = []
        for number, name in enumerate(traced.class_names):
            table = count_at_thresholds(members[:, number], columns[:, number], num_thresholds, weight)
            fields.append((tag_of(f"{tag}/{name}"), curves.encode_pr_curve(table)))
        summary = self._dated(traced, tag, global_step, walltime)
        self._log.append(events.encode_values(self._time(summary.wall_time), summary.step, fields))
        self.add(summary)

    def add_roc_curves(
        self,
        tag: str,
        labels: Any,
        scores: Any,
        class_names: Sequence[str] | None = None,
        global_step: int | None = None,
        num_thresholds: int = _POINTS,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log the same as :meth:`add_pr_curves` without TensorBoard's curves: the scores may be any numbers.

        Parameters
        ----------
        tag, labels, class_names, global_step, num_thresholds, weights, walltime
            As for :meth:`add_pr_curves`.
        scores
            ``(N, C)`` or ``(N,)``, larger for what belongs rather to the class: logits, distances with their sign
            changed.

        Raises
        ------
        InputError
            If shapes do not fit or a number is not what it should be.
        """
        weight = None if weights is None else as_numpy(weights)
        traced = trace_curves(as_numpy(labels), as_numpy(scores), class_names, weight, num_thresholds)
        self.add(self._dated(traced, tag, global_step, walltime))

    def add_confusion_matrix(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        class_names: Sequence[str] | None = None,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log how often each class was taken for each.

        TensorBoard has nothing that shows counts and names together, so it is not given a picture of them.

        Parameters
        ----------
        tag
            The matrix's name.
        labels
            True class numbers, ``(N,)``.
        predictions
            Predicted class numbers ``(N,)``, or scores ``(N, C)`` of which the largest decides.
        class_names
            ``C`` names; the numbers by default.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If lengths differ or something is no class number.
        """
        counted = count_confusions(as_numpy(labels), as_numpy(predictions), class_names)
        self.add(self._dated(counted, tag, global_step, walltime))

    def _dated(self, result: Summarizable, tag: str, global_step: int | None, walltime: float | None) -> Summary:
        summary = result.to_summary(tag, self._step(global_step))
        return dataclasses.replace(summary, wall_time=self._time(walltime))


def _table(columns: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the rows of a curve as one table."""
    for name, column in zip(curves.ROWS, columns, strict=True):
        if column.ndim != 1 or not len(column) or column.dtype.kind not in "biuf":
            raise InputError(f"{name} is a list of numbers, got {column.dtype} of shape {column.shape}")
        if len(column) != len(columns[0]):
            raise InputError(
                f"{name} has {len(column)} thresholds and {curves.ROWS[0]} {len(columns[0])}; give as many"
            )
    return np.stack([column.astype(np.float64) for column in columns])
