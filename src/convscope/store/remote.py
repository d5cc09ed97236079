"""Run directories on object stores: a log that is written here and sent there in parts, and a copy to read from.

An object store cannot append. So the log is a local one, in a folder that outlives the process, and what has been added
to it since the last time is sent as a file of its own: the parts of an event file sort one after the other, each
begins with the file's first record, and none is ever sent again. What a killed process could not send is sent by the
next writer to the same place from the same machine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from convscope.errors import NotFoundError, StorageError, missing_extra
from convscope.formats.record import HEADER, OVERHEAD, frame, read_length
from convscope.store import journal as journals
from convscope.store.bell import Bell
from convscope.store.journal import is_owned
from convscope.store.log import PREFIX, EventLog

_NOTE: Final = ".sent"
_NOT_LOGS: Final = (_NOTE, f"{_NOTE}.tmp")
_SHORTEST_INTERVAL: Final = 1.0


def is_remote(place: object) -> bool:
    """Tell whether a place is a URL and not a path."""
    return isinstance(place, str) and "://" in place


class Bucket:
    """A folder that fsspec reaches by its URL."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise missing_extra("fsspec", "cloud", f"a run directory at {url}") from error
        self.url = url.rstrip("/")
        try:
            self.system, root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:  # the package of this kind of store
            raise StorageError(f"cannot reach {url} ({error})") from error
        except ValueError as error:
            raise StorageError(f"cannot reach {url} ({error}); use s3://…, gs://…, or a path") from error
        self.root = str(root).rstrip("/")

    def put(self, name: str, data: bytes) -> None:
        """Store a file, whole."""
        with _told(self.url):
            path = f"{self.root}/{name}"
            self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.system.pipe_file(path, data)

    def get(self, name: str, start: int = 0) -> bytes:
        """Return the bytes of a file from ``start`` on."""
        with _told(self.url):
            data: bytes = self.system.cat_file(f"{self.root}/{name}", start=start or None)
            return data

    def files(self) -> dict[str, int]:
        """Return the files below, and how many bytes each has."""
        with _told(self.url):
            self.system.invalidate_cache()
            found = self.system.find(self.root, detail=True)
        return {str(path)[len(self.root) :].lstrip("/"): int(info["size"] or 0) for path, info in found.items()}


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn whatever a store's client raises into an error of ours."""
    try:
        yield
    except Exception as error:
        raise StorageError(
            f"cannot use {url} ({type(error).__name__}: {error}); try again, or log to a path"
        ) from error


class RemoteLog(EventLog):
    """An event log whose files end up at a URL.

    Parameters
    ----------
    url
        The run directory.
    suffix, purge_step
        As for :class:`~convscope.store.log.EventLog`.
    interval
        Seconds between two parts.

    Raises
    ------
    StorageError
        If the place cannot be reached.
    """

    def __init__(self, url: str, suffix: str = "", interval: float = 120.0, purge_step: int | None = None) -> None:
        self._bucket, self._process = Bucket(url), os.getpid()
        self._bucket.files()  # a place that is not there is told now, not when the first part is sent
        self._sending, self._closing = threading.RLock(), Bell()
        self._pause = min(max(interval, _SHORTEST_INTERVAL), threading.TIMEOUT_MAX)
        self._away = False
        super().__init__(spool(self._bucket.url), suffix, 1.0, purge_step)
        self._send_left_overs()

    def _open(self, purge_step: int | None = None) -> None:
        if self._process != os.getpid():  # clients of stores do not survive a fork
            self._bucket, self._process = Bucket(self._bucket.url), os.getpid()
        super()._open(purge_step)
        self._closing = Bell()
        threading.Thread(target=self._send_now_and_then, name="convscope-send", daemon=True).start()

    def flush(self) -> None:
        """Send all that has been stored."""
        super().flush()
        try:
            self._send()
        except StorageError:
            self._away = True  # told just now
            raise

    def close(self) -> None:
        """Send all that has been stored and let go of the files."""
        try:
            super().close()
        finally:
            self._closing.ring()

    def _finish(self) -> None:
        try:
            super()._finish()
        finally:
            assert self._file is not None
            self._send_rest(self._file.path)

    def _send_rest(self, path: Path) -> None:
        if path.with_name(journals.journal_name(path.name)).exists():
            return  # it could not be finished here; the next writer does it
        with self._sending, suppress(FileNotFoundError):  # another writer has just done it
            try:
                _send(self._bucket, path, path.stat().st_size)
            except StorageError as error:
                raise StorageError(f"{error}; it is kept in {path} and sent by the next writer to this place") from None
            _forget(path)

    def publish(self, *names: str) -> None:
        """Send files or folders of the run directory that stand beside the log; records are then removed here."""
        for name in names:
            path = self.directory / name
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    self._bucket.put(file.relative_to(self.directory).as_posix(), file.read_bytes())
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder of the run directory."""
        return sorted({name.split("/")[1] for name in self._bucket.files() if name.startswith(f"{folder}/")})

    def forget_after_fork(self) -> None:
        """Let go of the parent's files and thread."""
        self._sending = threading.RLock()
        super().forget_after_fork()

    def _send_now_and_then(self) -> None:
        while True:
            self._closing.wait(self._pause)
            if self.closed:
                return
            self._try_to_drain()
            try:
                self._send()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on and the caller is told
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Let the next call say that nothing can be sent; of a failure that lasts only the first."""
        with self._lock:
            if not self._away and self._file is not None:
                self._failure = self._storage_error(error)
                self._file.journal.halt()
            self._away = True

    def _is_locked_here(self) -> bool:
        return super()._is_locked_here() or is_owned(self._sending)

    def _send(self) -> None:
        with self._finishing(), self._sending:  # a part that is on its way is not sent a second time, with more in it
            file = self._file
            if file is None or file.closed:
                return
            try:
                _send(self._bucket, file.path, file.journal.state.end)
            except StorageError:
                raise
            except OSError as error:
                raise self._storage_error(error) from error
            self._away = False

    def _send_left_overs(self) -> None:
        """Send what processes that are gone have left behind; whatever has no journal is finished."""
        for path in sorted(self.directory.glob(f"{PREFIX}*")):
            if not path.name.endswith(_NOT_LOGS) and not path.with_name(journals.journal_name(path.name)).exists():
                with suppress(FileNotFoundError):  # another writer has just done it
                    _send(self._bucket, path, path.stat().st_size)
                    _forget(path)


def _send(bucket: Bucket, path: Path, end: int) -> None:
    """Send what an event file has beyond what was sent of it, as its next part."""
    number, start = _sent(path)
    if end <= start:
        return
    with path.open("rb") as file:
        head = b"" if start == 0 else _first_record(file.read(1 << 12))
        file.seek(start)
        data = file.read(end - start)
    bucket.put(f"{path.name}.{number:06d}", head + data)
    temporary = Path(f"{path}{_NOTE}.tmp")
    temporary.write_text(f"{number + 1} {end}")
    temporary.replace(f"{path}{_NOTE}")


def _sent(path: Path) -> tuple[int, int]:
    try:
        number, start = Path(f"{path}{_NOTE}").read_text().split()
    except (FileNotFoundError, ValueError):
        return 0, 0
    return int(number), int(start)


def _first_record(data: bytes) -> bytes:
    size = read_length(data[:HEADER]) + OVERHEAD
    return data[:size] if size <= len(data) else frame(b"")


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
    Path(f"{path}{_NOTE}").unlink(missing_ok=True)


def spool(url: str) -> Path:
    """Return the local folder of a remote run directory: below ``$CONVSCOPE_SPOOL``, or the user's data folder."""
    from platformdirs import user_data_path

    chosen = os.environ.get("CONVSCOPE_SPOOL")
    folder = Path(chosen) if chosen else user_data_path("convscope") / "spool"
    return folder / hashlib.sha256(url.encode()).hexdigest()[:16]


class Mirror:
    """A local copy of a run directory or logdir at a URL, for reading; files are fetched as far as they have grown.

    Parameters
    ----------
    url
        The directory.

    Raises
    ------
    NotFoundError
        If there is nothing.
    StorageError
        If it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._bucket = Bucket(url)
        self.path = spool(self._bucket.url).parent / "mirror" / spool(self._bucket.url).name
        self._lock = threading.Lock()
        if not self.refresh():
            raise NotFoundError(f"there is nothing at {url}; give the URL a SummaryWriter has written")

    def refresh(self) -> int:
        """Fetch what is new or has grown; return how many files there are."""
        with self._lock:
            known = self._bucket.files()
            for name, size in known.items():
                self._fetch(name, size)
            for path in self._here():
                if path.relative_to(self.path).as_posix() not in known:
                    path.unlink(missing_ok=True)
            return len(known)

    def _fetch(self, name: str, size: int) -> None:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            return  # a name that leads elsewhere
        if path.exists() and path.stat().st_size == size:
            return
        temporary = path.with_name(f".{path.name}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(self._bucket.get(name))
        temporary.replace(path)

    def _here(self) -> Iterator[Path]:
        yield from (path for path in self.path.rglob("*") if path.is_file() and not path.name.startswith("."))
