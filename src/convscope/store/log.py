"""The event log of one writer: an event file, its journal, and the thread that moves scalars from one to the other."""

from __future__ import annotations

import atexit
import itertools
import os
import re
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError
from convscope.formats.events import encode_file_version, encode_session_start
from convscope.formats.record import frame
from convscope.store import journal as journals
from convscope.store.journal import Journal
from convscope.store.recovery import recover, sweep_drafts

PREFIX: Final = "events.out.tfevents."
_ROWS_AT_ONCE: Final = 1 << 14
_RETRY_SECONDS: Final = 1.0
_PATIENCE: Final = 1000
_numbers = itertools.count()
_logs: weakref.WeakSet[EventLog] = weakref.WeakSet()


class EventLog:
    """An event file being written.

    Whatever :meth:`put` or :meth:`append` has taken survives the death of the process. A write that fails in the
    background is retried every second and raised once, in whichever thread logs next.

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
        self._journal: Journal | None = None
        self._failure: StorageError | None = None
        self._failed_at = 0.0
        self._error: StorageError | None = None
        self._dropped = 0
        self._vanished = False
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
            self._journal, self._path, self._file = _create(self.directory, self._suffix)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write to {self.directory} ({error}); choose another log_dir") from error
        self._written[self._path] = 0
        self._wake, self._stop = threading.Event(), threading.Event()
        now = time.time()
        self.append(encode_file_version(now, purge_step or 0))
        if purge_step is not None:
            self.append(encode_session_start(now, purge_step))
        self.put, self.put_many = self._journal.put, self._journal.put_many
        self._thread = threading.Thread(target=self._run, name="convscope-log", daemon=True)
        self._thread.start()

    def put_slowly(self, tag: str, step: int, wall_time: float, value: float) -> None:
        """Store a scalar when :attr:`put` could not: a new tag, no room, a failure to tell, a fork.

        Raises
        ------
        StorageError
            If an earlier write failed; this value is stored all the same where there is room.
        struct.error
            If a number does not fit.
        """
        journal = self._ready()
        try:
            journal.add_tag(tag)
        except OSError as error:
            raise self._storage_error(error) from error
        while not journal.put(tag, step, wall_time, value):
            self._wake.set()
            if not journal.make_room() and not self._drain_for_room():
                self._dropped += 1
                break
        self._raise_failure()

    def put_many_slowly(self, tags: Collection[str], step: int, wall_time: float, values: Collection[float]) -> None:
        """Store scalars of one event when :attr:`put_many` could not; near the end of the ring one by one.

        Raises
        ------
        StorageError
            As for :meth:`put_slowly`.
        """
        journal = self._ready()
        try:
            for tag in tags:
                journal.add_tag(tag)
        except OSError as error:
            raise self._storage_error(error) from error
        if self.put_many(tags, step, wall_time, values):
            return self._raise_failure()
        failure: StorageError | None = None
        for tag, value in zip(tags, values, strict=True):
            try:
                self.put_slowly(tag, step, wall_time, value)
            except StorageError as error:  # this value is stored all the same, and so are the others to be
                failure = error
        if failure is not None:
            raise failure
        return None

    def written(self) -> list[tuple[Path, int]]:
        """Return the files of this process, each with the byte from which on it counts for an export."""
        return list(self._written.items())

    def knows(self, tag: str) -> bool:
        """Tell whether scalars of this tag have been put here."""
        return self._journal is not None and tag in self._journal.tags

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
        journal = self._ready()
        with self._lock:
            if self._busy:
                raise StorageError(f"a signal handler cannot log to {self._path.name} while a write is under way")
            try:
                self._write(journal, frame(event), journal.state.drained)
            except OSError as error:
                raise self._storage_error(error) from error
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
        if self._journal is None:
            return  # a child of a fork that has not logged anything
        self._journal.halt()  # from here on no thread can put anything into it
        self._stop.set()
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._drain_fully()
        with self._lock:
            complete = self._journal.is_drained()
            self._journal.close()
            os.close(self._file)
            if complete:
                self._journal.path.unlink(missing_ok=True)
        if self._dropped:
            raise StorageError(f"{self._dropped} values were not written to {self._path}: there was no room for them")
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
        self._lock, self._busy = threading.RLock(), False
        self._failure, self._error, self._dropped, self._vanished = None, None, 0, False
        if self._journal is not None and not self.closed:
            self._journal.forget_after_fork()
            os.close(self._file)
        self._journal = None
        self._written = {}

    def check_open(self) -> None:
        """Raise :class:`InputError` if the log is closed."""
        if self.closed:
            raise InputError(f"the writer of {self.directory} is closed; make a new SummaryWriter to go on")

    def _ready(self) -> Journal:
        self.check_open()
        if self._journal is None:
            self._open()
        assert self._journal is not None
        return self._journal

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            self._try_to_drain()

    def _drain_for_room(self) -> bool:
        """Drain in the caller's thread; while that fails do not even try more than once a second."""
        return time.monotonic() - self._failed_at > _RETRY_SECONDS and self._try_to_drain()

    def _drain_fully(self) -> None:
        """Drain, waiting for threads that are just now filling a row."""
        for _ in range(_PATIENCE):
            if not self._try_to_drain() or self._journal is None or self._journal.is_drained():
                return
            time.sleep(0.001)

    def _try_to_drain(self) -> bool:
        with self._lock:
            if self._busy:
                return False  # a signal handler has interrupted a write; whoever was writing goes on
            try:
                self._drain()
            except OSError as error:
                self._fail(error)
                return False
            self._error = None
            return True

    def _fail(self, error: OSError) -> None:
        """Keep an error for whoever logs next; of a failure that lasts only the first is kept."""
        self._failed_at = time.monotonic()
        if self._error is None and self._journal is not None:
            self._failure = self._storage_error(error)
            self._journal.halt()
        self._error = self._error or self._storage_error(error)

    def _drain(self) -> None:
        journal = self._journal
        if journal is None:
            return
        while (start := journal.state.drained) < (stop := journal.written()):
            rows = journal.rows(start, min(stop, start + _ROWS_AT_ONCE))
            if not len(rows):
                return  # another thread is just now filling the next row
            self._write(journal, journals.encode(journal.tags, rows), start + len(rows))
        if not self._vanished and os.fstat(self._file).st_nlink == 0:
            self._vanished = True
            raise FileNotFoundError("it was deleted while it was being written; what is logged from now on is lost")

    def _write(self, journal: Journal, data: bytes, drained: int) -> None:
        """Write at the end; only the commit makes it count, so a part of a write is overwritten by the next."""
        end = journal.state.end
        self._busy = True
        try:
            os.lseek(self._file, end, os.SEEK_SET)
            journals.write_all(self._file, data)
            journal.commit(drained, end + len(data))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, end)
            raise
        finally:
            self._busy = False

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            f"cannot write {self._path} ({error.strerror or error}); make room or choose another log_dir"
        )

    def _raise_failure(self) -> None:
        """Raise what went wrong in the background, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


class NoLog:
    """A log that takes everything and writes nothing, for programs that are told not to write."""

    writes = False
    closed = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, *_: Any) -> bool:
        """Take a scalar."""
        return True

    def append(self, *_: Any) -> None:
        """Take anything."""

    put_many = put
    put_slowly = put_many_slowly = publish = append
    flush = close = start_over = check_open = append

    def written(self) -> list[tuple[Path, int]]:
        """Return no files."""
        return []

    def knows(self, tag: str) -> bool:  # noqa: ARG002 - nothing is kept
        """Tell that there is nothing."""
        return False

    def names(self, folder: str) -> list[str]:  # noqa: ARG002 - there are no folders
        """Return nothing."""
        return []


def _no_room(tag: Any, step: int, wall_time: float, value: Any) -> bool:  # noqa: ARG001 - stands in for Journal.put
    return False


def _create(directory: Path, suffix: str) -> tuple[Journal, Path, int]:
    """Create an event file under a new name, its journal first: a reader that sees the one finds the other."""
    host = re.sub(r"[^\w.-]", "_", socket.gethostname()) or "localhost"
    while True:
        # names sort by age within a process, and chance keeps those of two machines with one name apart
        unique = f"{next(_numbers):04d}{secrets.token_hex(3)}"
        name = f"{PREFIX}{int(time.time()):010d}.{host}.{os.getpid()}.{unique}{suffix}"
        path = directory / name
        try:
            journal = Journal(directory / journals.journal_name(name))
        except FileExistsError:
            continue
        return journal, path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.forget_after_fork()


@atexit.register
def _at_exit() -> None:
    for log in list(_logs):
        with suppress(StorageError):  # nobody is left to tell; what is in the journal stays there
            log.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
