"""The folder in which downloads are kept, what lies in it, and who may write to it."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from convscope.errors import StorageError

PARTS: Final = ".parts"
_TEMPORARY: Final = ".tmp-"
_ABANDONED: Final = 24 * 3600.0
_WAIT: Final = 0.2


@dataclass(frozen=True)
class CacheEntry:
    """What the cache holds of one asset.

    Attributes
    ----------
    name
        The asset's; ``""`` for what interrupted downloads have left to go on from.
    files
        Their names and sizes in bytes.
    """

    name: str
    files: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size for _, size in self.files)


def cache_folder() -> Path:
    """Return where downloads are kept: ``$CONVSCOPE_CACHE``, or the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("CONVSCOPE_CACHE")
    return Path(chosen) if chosen else user_cache_path("convscope")


def cache_entries() -> list[CacheEntry]:
    """Return what the cache holds, by name; what interrupted downloads have left comes first."""
    folder = cache_folder()
    if not folder.is_dir():
        return []
    found = []
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if inner.name.startswith(".") and inner.name != PARTS:
            continue
        files = sorted((file.name, file.stat().st_size) for file in inner.iterdir() if file.is_file())
        if files:
            found.append(CacheEntry("" if inner.name == PARTS else inner.name, tuple(files)))
    return found


def clear_cache(name: str | None = None) -> int:
    """Remove one asset from the cache, or everything in it, and return how many bytes that were.

    Raises
    ------
    StorageError
        If something cannot be removed.
    """
    entries = [entry for entry in cache_entries() if name is None or entry.name == name]
    for entry in entries:
        folder = cache_folder() / (entry.name or PARTS)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise StorageError(f"cannot remove {folder} ({error}); remove it by hand") from error
    return sum(entry.size for entry in entries)


def cannot_write(folder: Path, error: OSError) -> StorageError:
    """Return the error for a cache that cannot be written."""
    return StorageError(f"cannot write the cache {folder} ({error}); set CONVSCOPE_CACHE")


@contextmanager
def workbench() -> Iterator[Path]:
    """Give a temporary folder inside the cache, on the same disk, that is gone afterwards."""
    bench = cache_folder() / f"{_TEMPORARY}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        bench.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(cache_folder(), error) from error
    _remove_abandoned(bench.parent)
    try:
        yield bench
    finally:
        shutil.rmtree(bench, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove the benches of processes that were killed, a day later."""
    for bench in folder.glob(f"{_TEMPORARY}*"):
        with suppress(OSError):
            if time.time() - bench.stat().st_mtime > _ABANDONED:
                shutil.rmtree(bench, ignore_errors=True)


@contextmanager
def alone(name: str, waits: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time fetch an asset; the others wait, and find it there.

    The operating system gives a lock free when its process ends. Where a file system has no locks, nobody waits: the
    files are moved into place whole, so two processes then only do the same work twice.
    """
    path = cache_folder() / f".{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(path, waits)
    except OSError as error:
        if not os.access(path.parent, os.W_OK):
            raise cannot_write(cache_folder(), error) from error
        file = None
    try:
        yield
    finally:
        if file is not None:
            with suppress(OSError):  # Windows removes no open file; an empty one stays there
                path.unlink()
            file.close()


def _locked(path: Path, waits: Callable[[], None]) -> IO[bytes]:
    """Open a file and lock it; one that was removed while waiting for it locks nothing, so it is opened anew."""
    while True:
        file = path.open("ab")
        try:
            while not _try_lock(file):
                waits()
                time.sleep(_WAIT)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _try_lock(file: IO[bytes]) -> bool:
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return _try_lock_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_lock_windows(file: IO[bytes]) -> bool:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except PermissionError:
        return False
    return True
