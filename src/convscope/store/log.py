"""The event log of one writer: its files, the thread that empties the journal, and whom to tell what went wrong."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError
from convscope.formats.events import encode_file_version, encode_session_start
from convscope.store import journal as journals
from convscope.store.bell import Bell
from convscope.store.journal import Journal, is_owned
from convscope.store.logfile import PREFIX, LogFile
from convscope.store.nolog import NoLog
from convscope.store.recovery import recover, sweep_drafts

__all__ = ["PREFIX", "EventLog", "NoLog"]

_RETRY_SECONDS: Final = 1.0
_PATIENCE: Final = 1000
_logs: weakref.WeakSet[EventLog] = weakref.WeakSet()


class EventLog:
    """An event file being written.

    Whatever :meth:`put` or :meth:`append` has taken survives the death of the process. A write that fails in the
    background is retried every second and raised once, in whichever thread logs next; a value for which there is no
    room any more raises too.

    Parameters
    ----------
    directory
        The run directory; made if it is not there. What dead writers have left in it is finished first.
    suffix
        What the names of the files end with.
    interval
        Seconds after which a value is visible to other readers at the latest.
    purge_step
        Where given: readers forget what earlier files of the run have at this step and later ones.

    Raises
    ------
    StorageError
        If the directory cannot be written.
    """

    writes = True

    def __init__(self, directory: Path, suffix: str = "", interval: float = 1.0, purge_step: int | None = None) -> None:
        self.directory = directory
        self.put: Callable[[str, int, float, float], bool] = _no_room
        self.put_many: Callable[[Collection[str], int, float, Collection[float]], bool] = _no_room
        self._suffix = suffix
        self._interval = interval
        self._lock = threading.RLock()
        self._busy = False
        self._unfinished = 0  # the thread that is to finish what a signal handler has closed
        self._file: LogFile | None = None
        self._failure: StorageError | None = None
        self._failed_at = 0.0
        self._error: StorageError | None = None
        self._dropped = 0
        self._written: dict[Path, int] = {}
        self.closed = False
        self._open(purge_step)
        _logs.add(self)

    def _open(self, purge_step: int | None = None) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for left_over in sorted(self.directory.glob(journals.journal_name(f"{PREFIX}*"))):
                recover(left_over)
            sweep_drafts(self.directory)
            self._file = _begun(LogFile(self.directory, self._suffix), purge_step)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write to {self.directory} ({error}); choose another log_dir") from error
        self._written[self._file.path] = 0
        self._bell, self._stopping = Bell(), False
        self.put, self.put_many = self._file.journal.put, self._file.journal.put_many
        self._thread = threading.Thread(target=self._run, name="convscope-log", daemon=True)
        self._thread.start()
        _close_at_the_end_of_a_child()

    def put_slowly(self, tag: str, step: int, wall_time: float, value: float) -> None:
        """Store a scalar when :attr:`put` could not: a new tag, no room, a failure to tell, a fork.

        Raises
        ------
        StorageError
            If an earlier write failed, and this value is stored all the same; or if there is no room for it.
        struct.error
            If a number does not fit.
        """
        journal = self._ready().journal
        with self._finishing():
            self._add_tags(journal, [tag])
            while not journal.put(tag, step, wall_time, value):
                self.check_open()  # closed meanwhile, there will be no room
                self._bell.ring()
                if not journal.make_room() and not self._drain_for_room():
                    self._drop(tag, step)
        self._raise_failure()

    def put_many_slowly(self, tags: Collection[str], step: int, wall_time: float, values: Collection[float]) -> None:
        """Store scalars of one event when :attr:`put_many` could not; near the end of the ring one by one.

        Raises
        ------
        StorageError
            As for :meth:`put_slowly`.
        """
        journal = self._ready().journal
        with self._finishing():
            self._add_tags(journal, tags)
        if self.put_many(tags, step, wall_time, values):
            return self._raise_failure()
        failure: StorageError | None = None
        for tag, value in zip(tags, values, strict=True):
            try:
                self.put_slowly(tag, step, wall_time, value)
            except StorageError as error:  # the others shall be stored all the same
                failure = error
        if failure is not None:
            raise failure
        return None

    def _add_tags(self, journal: Journal, tags: Collection[str]) -> None:
        try:
            for tag in tags:
                journal.add_tag(tag)
        except OSError as error:
            raise self._storage_error(error) from error

    def _drop(self, tag: str, step: int) -> None:
        self.check_open()
        self._dropped += 1
        self._failure = None
        raise StorageError(f"{tag!r} at step {step} is lost: {self._error or 'there is no room for it'}")

    def written(self) -> list[tuple[Path, int]]:
        """Return the files of this process, each with the byte from which on it counts for an export."""
        return list(self._written.items())

    def knows(self, tag: str) -> bool:
        """Tell whether scalars of this tag have been put here."""
        return self._file is not None and tag in self._file.journal.tags

    def start_over(self) -> None:
        """Let what is in the files so far count for no export."""
        self._written = {path: path.stat().st_size for path in self._written}

    def append(self, event: bytes) -> None:
        """Write an event; it is in the file when this returns.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        self._ready()
        with self._locked():
            file = self._ready()  # another thread may have closed the log meanwhile
            if self._busy:
                raise StorageError(f"a signal handler cannot log to {file.path.name} while a write is under way")
            self._busy = True
            try:
                file.append(event)
            except OSError as error:
                raise self._storage_error(error) from error
            finally:
                self._busy = False
        self._raise_failure()

    def flush(self) -> None:
        """Move all that has been stored into the event file."""
        self._ready()
        self._drain_fully()
        if self._error is None:
            self._raise_failure()
        else:
            self._failure = None
            raise self._error

    def close(self) -> None:
        """Flush and let go of the files; the journal is removed once it is empty."""
        if self.closed:
            return
        self.closed = True
        self.put = self.put_many = _no_room
        if self._file is None:
            return  # a child of a fork that has not logged anything
        self._file.journal.end()  # from here on no thread can put anything into it
        self._stopping = True
        self._bell.ring()
        if self._is_locked_here():
            self._unfinished = threading.get_ident()  # a signal handler has interrupted a write: its thread finishes
        else:
            self._finish()

    def _finish(self) -> None:
        assert self._file is not None
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._drain_fully()
        with self._lock:
            complete = self._file.close()
        if self._dropped:
            raise StorageError(f"{self._dropped} values were not written to {self._file.path}: there was no room")
        if not complete and self._error is not None:
            raise self._error
        self._raise_failure()

    def publish(self, *names: str) -> None:
        """Make files or folders of the directory that stand beside the log known; in a local one they are."""

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder of the run directory."""
        try:
            return sorted(path.name for path in (self.directory / folder).iterdir())
        except OSError:
            return []

    def forget_after_fork(self) -> None:
        """Let go of the parent's files; the child opens its own when it logs."""
        self.put = self.put_many = _no_room
        self._lock, self._busy, self._unfinished = threading.RLock(), False, 0
        self._failure, self._error, self._dropped = None, None, 0
        if self._file is not None:
            self._file.forget_after_fork()
        self._file = None
        self._written = {}

    def check_open(self) -> None:
        """Raise :class:`InputError` if the log is closed."""
        if self.closed:
            raise InputError(f"the writer of {self.directory} is closed; make a new SummaryWriter to go on")

    def _ready(self) -> LogFile:
        self.check_open()
        if self._file is None:
            self._open()
        assert self._file is not None
        return self._file

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; where a signal handler has closed the log meanwhile, finish that afterwards."""
        with self._finishing(), self._lock:
            yield

    @contextmanager
    def _finishing(self) -> Iterator[None]:
        """Finish what a signal handler could not, as it interrupted a thread that held a lock others wait for."""
        try:
            yield
        finally:
            if self._unfinished == threading.get_ident() and not self._is_locked_here():
                self._unfinished = 0
                with suppress(StorageError):  # close() has returned long ago
                    self._finish()

    def _is_locked_here(self) -> bool:
        """Tell whether this thread holds a lock that what closes the log, or the thread behind it, waits for."""
        return is_owned(self._lock) or (self._file is not None and self._file.journal.is_locked_here())

    def _run(self) -> None:
        while not self._stopping:
            self._bell.wait(self._interval)
            self._try_to_drain()

    def _drain_for_room(self) -> bool:
        """Drain in the caller's thread; while that fails do not even try more than once a second."""
        return time.monotonic() - self._failed_at > _RETRY_SECONDS and self._try_to_drain()

    def _drain_fully(self) -> None:
        """Drain, waiting for threads that are just now filling a row."""
        for _ in range(_PATIENCE):
            if not self._try_to_drain() or self._file is None or self._file.closed or self._file.journal.is_drained():
                return
            time.sleep(0.001)

    def _try_to_drain(self) -> bool:
        with self._locked():
            if self._busy:
                return False  # a signal handler has interrupted a write; whoever was writing goes on
            if self._file is None or self._file.closed:
                return True
            self._busy = True
            try:
                self._file.drain()
            except (OSError, MemoryError) as error:
                self._fail(error)
                return False
            finally:
                self._busy = False
            self._error = None
            return True

    def _fail(self, error: Exception) -> None:
        """Keep an error for whoever logs next; of a failure that lasts only the first is kept."""
        self._failed_at = time.monotonic()
        if self._error is None and self._file is not None:
            self._failure = self._storage_error(error)
            self._file.journal.halt()
        self._error = self._error or self._storage_error(error)

    def _storage_error(self, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return error
        told = getattr(error, "strerror", None) or str(error) or type(error).__name__
        place = self.directory if self._file is None else self._file.path
        return StorageError(f"cannot write {place} ({told}); make room or choose another log_dir")

    def _raise_failure(self) -> None:
        """Raise what went wrong in the background, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


def _begun(file: LogFile, purge_step: int | None) -> LogFile:
    """Write the first events of a file, or remove it."""
    now = time.time()
    try:
        file.append(encode_file_version(now, purge_step or 0))
        if purge_step is not None:
            file.append(encode_session_start(now, purge_step))
    except BaseException:
        file.remove()
        raise
    return file


def _no_room(tag: Any, step: int, wall_time: float, value: Any) -> bool:  # noqa: ARG001 - stands in for Journal.put
    return False


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.forget_after_fork()


@atexit.register
def _at_exit() -> None:
    for log in list(_logs):
        with suppress(Exception):  # nobody is left to tell; what is in the journal stays there
            log.close()


def _close_at_the_end_of_a_child() -> None:
    """In a child of multiprocessing, which ends without what :mod:`atexit` does, close the logs with its own means."""
    process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
