"""The dialect of tensorboardX 2.6: where its arguments differ from torch's, and ``GlobalSummaryWriter``.

Not as in tensorboardX: dictionaries make no runs, files or threads of their own; ``add_hparams`` makes no run; nothing
is sent to Comet; there is no ``RecordWriter`` and no ``TorchVis``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from multiprocessing.managers import BaseManager
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Self

from convscope.compat import filewriter
from convscope.compat.dialect import Dialect
from convscope.errors import InputError
from convscope.store.written import read_scalars

__all__ = ["FileWriter", "GlobalSummaryWriter", "SummaryWriter"]
__version__ = "2.6.5"  # whose dialect this is: programs ask it what they may call


class FileWriter(filewriter.FileWriter):
    """Write messages that are made already, as ``tensorboardX.FileWriter`` does.

    Parameters
    ----------
    logdir, max_queue, flush_secs, filename_suffix
        As for :class:`convscope.compat.torch.FileWriter`.
    """

    def __init__(
        self, logdir: str | PathLike[str], max_queue: int = 10, flush_secs: float = 120, filename_suffix: str = ""
    ) -> None:
        super().__init__(logdir, max_queue, flush_secs, filename_suffix)


class SummaryWriter(Dialect):
    """Log as with ``tensorboardX.SummaryWriter``.

    Parameters
    ----------
    logdir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, log_dir
        As for :class:`convscope.SummaryWriter`; ``log_dir`` is another name for ``logdir``.
    comet_config
        Refused unless it says ``{"disabled": True}``: nothing is sent anywhere.
    kwargs
        Nothing else is taken.
    """

    def __init__(
        self,
        logdir: str | PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | PathLike[str] | None = None,
        comet_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if comet_config and not comet_config.get("disabled"):
            raise InputError("convscope sends nothing to Comet; leave comet_config out, and log there beside it")
        if kwargs:
            raise InputError(f"SummaryWriter does not take {next(iter(kwargs))!r}; leave it out")
        super().__init__(
            log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, logdir=logdir
        )

    @property
    def scalar_dict(self) -> dict[str, list[list[float | None]]]:
        """The scalars logged so far, ``{"<logdir>/<tag>": [[wall_time, step, value], …]}``, read from the files."""
        self.flush()
        return read_scalars(self.log_dir, self._files())

    def add_scalar(  # type: ignore[override]  # the order of the original
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        display_name: str = "",
        summary_description: str = "",
    ) -> None:
        """Log a number, as :meth:`convscope.SummaryWriter.add_scalar` does."""
        if display_name or summary_description:
            return super().add_scalar(
                tag,
                scalar_value,
                global_step,
                walltime,
                display_name=display_name,
                summary_description=summary_description,
            )
        return super().add_scalar(tag, scalar_value, global_step, walltime)

    def add_image_with_boxes(  # type: ignore[override]  # the order of the original
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
        labels: Sequence[str] | None = None,
        rescale: float = 1,
    ) -> None:
        """Log a picture with boxes, as :meth:`convscope.SummaryWriter.add_image_with_boxes` does."""
        super().add_image_with_boxes(tag, img_tensor, box_tensor, global_step, walltime, rescale, dataformats, labels)

    def add_hparams(  # type: ignore[override]  # the order of the original
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Log hyper-parameters, as :meth:`convscope.SummaryWriter.add_hparams` does."""
        super().add_hparams(hparam_dict, metric_dict, None, name, global_step)

    def add_onnx_graph(self, onnx_model_file: str | PathLike[str]) -> None:  # type: ignore[override]
        """Log the graph of an ONNX file, as :meth:`convscope.SummaryWriter.add_onnx_graph` does."""
        super().add_onnx_graph(onnx_model_file)


class GlobalSummaryWriter:
    """One writer for several processes, which counts the steps of each tag itself.

    The writer lives in a process of its own; this object may be handed to other processes. A call returns when its
    value is safe.

    Parameters
    ----------
    logdir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, log_dir
        As for :class:`SummaryWriter`.
    coalesce_process
        Not used, and kept for its place among the arguments: there is one writer in any case.
    kwargs
        As for :class:`SummaryWriter`.
    """

    _latest: ClassVar[GlobalSummaryWriter | None] = None

    def __init__(
        self,
        logdir: str | PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | PathLike[str] | None = None,
        coalesce_process: bool = True,  # noqa: ARG002 - said above
        **kwargs: Any,
    ) -> None:
        self._manager: _Manager | None = _Manager()
        self._manager.start()
        options = (logdir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, log_dir)
        self._writer = self._manager.Counting(options, kwargs)  # type: ignore[attr-defined]  # registered below
        GlobalSummaryWriter._latest = self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_manager": None}  # only the process that made it ends it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def getSummaryWriter() -> GlobalSummaryWriter:  # noqa: N802 - the name of the original
        """Return the writer that was made last in this program, or a new one."""
        return GlobalSummaryWriter._latest or GlobalSummaryWriter()

    def add_scalar(self, tag: str, scalar_value: Any, walltime: float | None = None) -> None:
        """Log a number at the next step of its tag."""
        self._writer.add("add_scalar", tag, scalar_value, walltime)

    def add_image(self, tag: str, img_tensor: Any, walltime: float | None = None, dataformats: str = "CHW") -> None:
        """Log a picture at the next step of its tag."""
        self._writer.add("add_image", tag, img_tensor, walltime, dataformats=dataformats)

    def add_text(self, tag: str, text_string: str, walltime: float | None = None) -> None:
        """Log a text at the next step of its tag."""
        self._writer.add("add_text", tag, text_string, walltime)

    def flush(self) -> None:
        """Make all that has been logged visible to readers now."""
        self._writer.flush()

    def close(self) -> None:
        """End the writer and its process; does nothing in the processes it was handed to."""
        if self._manager is not None:
            self._writer.close()
            self._manager.shutdown()
            self._manager = None
        if GlobalSummaryWriter._latest is self:
            GlobalSummaryWriter._latest = None


class _Counting:
    """The writer, in its process: gives each value the next step of its tag."""

    def __init__(self, options: tuple[Any, ...], others: dict[str, Any]) -> None:
        self._writer = SummaryWriter(*options, **others)
        self._steps: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def add(self, method: str, tag: str, value: Any, walltime: float | None, **options: Any) -> None:
        with self._lock:
            step = self._steps.get((method, tag), 0)
            getattr(self._writer, method)(tag, value, step, walltime, **options)
            self._steps[method, tag] = step + 1

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Manager(BaseManager):
    """The process of the writer."""


_Manager.register("Counting", _Counting)
