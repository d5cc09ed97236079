"""Embeddings as files for TensorBoard's projector."""

from __future__ import annotations

from convscope.recording.base import Recorder


class ProjectorMethods(Recorder):
    """The methods that log embeddings."""
