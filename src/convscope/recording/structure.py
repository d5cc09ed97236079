"""What a run is made of: the network's graph, hyper-parameters, the layout of the curves, meshes."""

from __future__ import annotations

from convscope.recording.base import Recorder


class StructureMethods(Recorder):
    """The methods that log what a run is made of."""
