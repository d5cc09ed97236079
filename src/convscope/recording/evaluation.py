"""How well a classifier does: precision and recall, ROC, confusion matrices."""

from __future__ import annotations

from convscope.recording.base import Recorder


class EvaluationMethods(Recorder):
    """The methods that log how well a classifier does."""
