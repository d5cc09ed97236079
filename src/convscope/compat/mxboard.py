"""The dialect of MXBoard 0.1: positional arguments in its order, steps cut to whole numbers, ``reopen()``.

Not as in MXBoard: named values make no runs, files or threads of their own; a histogram of default bins keeps its
occupied bins only; values outside 0..1 in pictures are clipped, not refused; PR curves may have more than 127
thresholds; text is found under its tag; and what is logged to a closed writer goes into a new file of the run, where
MXBoard dropped it silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self

import numpy as np

from convscope.arrays import as_numpy
from convscope.compat.dialect import Dialect

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Log as with ``mxboard.SummaryWriter``.

    Parameters
    ----------
    logdir
        The run directory: a path or a URL.
    max_queue
        Not used, and kept for its place among the arguments: nothing waits in memory here.
    flush_secs
        Seconds after which values are visible to readers at the latest; more than one second is taken as one.
    filename_suffix
        What the names of the event files end with.
    verbose
        Not used, and kept for its place among the arguments: nothing is printed either way.
    """

    def __init__(
        self,
        logdir: str | PathLike[str],
        max_queue: int = 10,  # noqa: ARG002 - said above
        flush_secs: float = 120,
        filename_suffix: str | None = None,
        verbose: bool = True,  # noqa: ARG002 - said above
    ) -> None:
        self._writer = Dialect(logdir, flush_secs=flush_secs, filename_suffix=filename_suffix)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_logdir()!r})"

    def get_logdir(self) -> str:
        """Return the run directory."""
        return self._writer.get_logdir()

    def add_scalar(self, tag: str, value: Any, global_step: Any = None) -> None:
        """Log a number, a pair of a name and a number, or a dictionary of numbers by name."""
        self._writer.add_scalar(tag, value, global_step)

    def export_scalars(self, path: str | PathLike[str]) -> None:
        """Write the scalars logged so far to a JSON file, ``{"<logdir>/<tag>": [[wall_time, step, value], …]}``."""
        self._writer.export_scalars(path)

    def clear_scalar_dict(self) -> None:
        """Leave what has been logged so far out of later exports."""
        self._writer.clear_scalar_dict()

    def add_histogram(
        self, tag: str, values: Any, global_step: Any = None, bins: str | int | Sequence[float] = "default"
    ) -> None:
        """Log the histogram of an array; ``bins`` is a number, edges, ``default``, or the name of a rule of numpy's."""
        self._writer.add_histogram(tag, values, global_step, bins)

    def add_image(self, tag: str, image: Any, global_step: Any = None) -> None:
        """Log a picture ``(H, W)`` or ``(C, H, W)``, or a batch ``(N, C, H, W)`` as a grid of eight columns."""
        array = as_numpy(image)
        layout = {2: "HW", 3: "CHW"}.get(array.ndim, "NCHW")
        self._writer.add_image(tag, array, global_step, dataformats=layout)

    def add_audio(self, tag: str, audio: Any, sample_rate: int = 44100, global_step: Any = None) -> None:
        """Log a sound of values from -1 to 1."""
        self._writer.add_audio(tag, np.squeeze(as_numpy(audio)), global_step, sample_rate)

    def add_text(self, tag: str, text: str, global_step: Any = None) -> None:
        """Log a text, which may be Markdown."""
        self._writer.add_text(tag, text, global_step)

    def add_embedding(
        self, tag: str, embedding: Any, labels: Any = None, images: Any = None, global_step: Any = None
    ) -> None:
        """Log vectors ``(N, D)`` for TensorBoard's projector.

        Parameters
        ----------
        tag
            The name of the embedding.
        embedding
            The vectors.
        labels
            One for each vector; or rows of several columns, the first row being their names.
        images
            Thumbnails ``(N, C, H, W)``.
        global_step
            The training step.
        """
        rows, header = _columns(labels)
        self._writer.add_embedding(
            as_numpy(embedding),
            metadata=rows,
            label_img=None if images is None else as_numpy(images),
            global_step=global_step,
            tag=tag,
            metadata_header=header,
        )

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        num_thresholds: int,
        global_step: Any = None,
        weights: Any = None,
    ) -> None:
        """Log precision and recall of a binary classifier; ``labels`` are 0 or 1, ``predictions`` lie in 0..1."""
        self._writer.add_pr_curve(tag, labels, predictions, global_step, num_thresholds, weights)

    def add_graph(self, net: Any) -> None:
        """Log the graph of a network: an MXNet symbol or hybridized block, or a torch module."""
        self._writer.add_graph(net)

    def flush(self) -> None:
        """Make all that has been logged visible to readers now."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end the run's files."""
        self._writer.close()

    def reopen(self) -> None:
        """Do nothing: a value that comes after :meth:`close` begins a new file of the run by itself."""


def _columns(labels: Any) -> tuple[Any, list[str] | None]:
    """Split labels of several columns into their rows and names."""
    if labels is None:
        return None, None
    rows = list(labels) if isinstance(labels, list | tuple) else np.asarray(_plain(labels))
    if len(rows) and np.ndim(rows[0]):
        return list(rows[1:]), [str(name) for name in rows[0]]
    return list(rows), None


def _plain(labels: Any) -> Any:
    """Return labels as numpy has them; texts in an array of objects are no numbers, and stay."""
    return labels if isinstance(labels, np.ndarray) else as_numpy(labels)
