"""Callbacks for Lightning and Keras 3, made when they are asked for, from the framework that is already imported.

>>> import lightning.pytorch as pl                                           # doctest: +SKIP
>>> from convscope.recording.callbacks import LightningCallback              # doctest: +SKIP
>>> pl.Trainer(callbacks=[LightningCallback("runs/mnist", every=100)])       # doctest: +SKIP
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from convscope.arrays import as_numpy
from convscope.errors import InputError, MissingExtraError
from convscope.inspect.filters import filters_picture
from convscope.recording.writer import SummaryWriter


class _Writing:
    """A writer that was given, or one of our own in a directory that was."""

    def __init__(self, writer: SummaryWriter | str | Path) -> None:
        super().__init__()  # the framework's class is next
        if not isinstance(writer, SummaryWriter | str | Path):
            raise InputError(f"a callback logs to a SummaryWriter or a directory, got {type(writer).__name__}")
        self._given = writer
        self._opened: SummaryWriter | None = None

    def _open(self) -> SummaryWriter:
        if isinstance(self._given, SummaryWriter):
            return self._given
        if self._opened is None:
            self._opened = SummaryWriter(self._given)
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


class _Lightning(_Writing):
    """Log a Lightning training: what :func:`convscope.watch` logs, and the metrics of ``self.log``.

    A metric is logged when it has changed, in training every ``trainer.log_every_n_steps`` steps. Only rank 0 logs.

    Parameters
    ----------
    writer
        A writer, or the directory of a run: then a writer is opened when the training starts, and closed when it ends.
    options
        Those of :func:`convscope.watch`.
    """

    def __init__(self, writer: SummaryWriter | str | Path, **options: Any) -> None:
        super().__init__(writer)
        self._options = options
        self._watch: Any = None
        self._known: dict[str, float] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start to watch."""
        if trainer.is_global_zero:
            from convscope.nets.watch import watch

            options = {"step": lambda: trainer.global_step, **self._options}
            self._watch = watch(pl_module, self._open(), **options)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:  # noqa: ARG002
        """Log the metrics of some steps."""
        if trainer.global_step % trainer.log_every_n_steps == 0:
            self._log(trainer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Log the metrics of the validation."""
        self._log(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Log the metrics of the epoch."""
        self._log(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Take everything off the module."""
        self._end(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
        """Take everything off the module."""
        self._end(exception)

    def _log(self, trainer: Any) -> None:
        if self._watch is None:  # another rank, or the check before the training
            return
        for name, value in trainer.callback_metrics.items():
            number = float(value)
            if self._known.get(name) != number:
                self._known[name] = number
                self._open().add_scalar(name, number, trainer.global_step)

    def _end(self, error: BaseException | None) -> None:
        if self._watch is not None:
            self._watch.__exit__(None if error is None else type(error), error, None)
            self._watch = None
        self._close()


class _Keras(_Writing):
    """Log a Keras training: metrics, histograms of the weights, and the first convolution's filters.

    Keras hands no gradients to a callback, so there are none.

    Parameters
    ----------
    writer
        A writer, or the directory of a run: then a writer is opened when the training starts, and closed when it ends.
    every
        Batches from one that is logged to the next; the first is.
    """

    model: Any

    def __init__(self, writer: SummaryWriter | str | Path, *, every: int = 100) -> None:
        super().__init__(writer)
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every is a whole number of batches, 1 or more, got {every!r}")
        self._every = every
        self._step = 0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Count on from the steps that were taken before."""
        self._step = int(as_numpy(self.model.optimizer.iterations.value))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Log some batches."""
        if self._step % self._every == 0:
            self._metrics("batch", logs)
            self._weights()
        self._step += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Log the metrics of the epoch, those of the validation among them."""
        self._metrics("epoch", logs)

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Close the writer, if it is our own."""
        self._close()

    def _metrics(self, of: str, logs: Any) -> None:
        for name, value in (logs or {}).items():
            self._open().add_scalar(f"{of}/{name}", float(value), self._step)

    def _weights(self) -> None:
        writer = self._open()
        for variable in self.model.trainable_variables:
            writer.add_histogram(f"weights/{variable.path}", as_numpy(variable.value), self._step)
        for layer in self.model.layers:
            kernel = getattr(layer, "kernel", None)
            if kernel is not None and len(kernel.shape) == 4:  # (kh, kw, I, O) whatever the backend
                picture = filters_picture(as_numpy(kernel.value).transpose(3, 2, 0, 1))
                writer.add_image(f"filters/{layer.name}", picture, self._step, dataformats="HWC")
                return


_KINDS: Final[dict[str, tuple[type, tuple[str, ...], Callable[[Any], type]]]] = {
    "LightningCallback": (_Lightning, ("lightning.pytorch", "pytorch_lightning"), lambda package: package.Callback),
    "KerasCallback": (_Keras, ("keras",), lambda package: package.callbacks.Callback),
}


def __getattr__(name: str) -> Any:
    if name not in _KINDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ours, packages, base = _KINDS[name]
    present = [sys.modules[package] for package in packages if package in sys.modules]
    if not present:
        raise MissingExtraError(f"{name} is made from {packages[0]}, which is not imported; import it before")
    made = type(name, (ours, *map(base, present)), {"__module__": __name__, "__doc__": ours.__doc__})
    globals()[name] = made
    return made
