"""TensorBoard's and torch's own code, as the truth that our files are held against."""

import warnings
from pathlib import Path
from typing import Any


def accumulate(path: Path) -> Any:
    """Read a run directory with TensorBoard's ``EventAccumulator``, keeping everything."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # raised while tensorboard imports its parts
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        kinds = ("scalars", "images", "histograms", "tensors", "compressedHistograms", "audio")
        accumulator = EventAccumulator(str(path), size_guidance=dict.fromkeys(kinds, 0))
        accumulator.Reload()
    return accumulator


def event_class() -> Any:
    """Return protobuf's class of events."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from tensorboard.compat.proto.event_pb2 import Event

    return Event


def torch_writer(path: Path) -> Any:
    """Return torch's writer."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(path))
