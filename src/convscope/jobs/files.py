"""Files of a volume on a disk: read without leaving their folder, written all or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from convscope.errors import InputError, StorageError
from convscope.formats.grid import MAX_BYTES, MAX_HEADER

_TWICE: Final = 2
"""Text takes more bytes than the numbers it stands for."""


class FolderFiles:
    """The files of a volume in one folder; what points out of it is refused.

    Parameters
    ----------
    folder
        The folder.
    first
        The file that was asked for, which may be a link to anywhere.
    """

    def __init__(self, folder: Path, first: str) -> None:
        self._folder = folder
        self._first = first

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; ``None`` if there is no such file.

        Raises
        ------
        InputError
            If the name leads out of the folder, or the file is larger than any volume that is read.
        StorageError
            If it cannot be read.
        """
        path = self._inside(name)
        try:
            if not path.is_file():
                return None
            if (size := path.stat().st_size) > _TWICE * MAX_BYTES + MAX_HEADER:
                raise InputError(f"{path} has {size:,} bytes, more than a volume may have here; cut it")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise StorageError(f"cannot read {path} ({getattr(error, 'strerror', None) or error})") from error

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in a folder, sorted; none if there is no such folder."""
        try:
            return sorted(path.name for path in self._inside(folder).iterdir())
        except OSError:
            return []

    def _inside(self, name: str) -> Path:
        parts = name.replace("\\", "/").split("/")
        path = self._folder.joinpath(*parts)
        if name != self._first:
            root = (self._folder / self._first).resolve() if (self._folder / self._first).is_dir() else None
            allowed = [self._folder.resolve(), *([root] if root else [])]
            real = path.resolve()
            if ".." in parts or "" in parts or not any(real.is_relative_to(one) for one in allowed):
                raise InputError(f"the volume names the file {name[:80]!r}, outside its folder; move it there")
        return path


def publish(folder: Path, made: Mapping[str, bytes], *, force: bool, directory: bool) -> None:
    """Write the files of one volume; what was there is replaced only where that is asked for, and only by all.

    Parameters
    ----------
    folder
        Where they are written.
    made
        Their bytes by name. In a ``directory`` all names begin with its name.
    force
        Whether files of these names may be replaced.
    directory
        Whether they are one folder.

    Raises
    ------
    InputError
        If something is there already.
    StorageError
        If they cannot be written.
    """
    targets = [folder / next(iter(made)).split("/")[0]] if directory else [folder / name for name in made]
    for target in targets:
        if (target.exists() or target.is_symlink()) and not force:
            raise InputError(f"{target} is there already; choose another name, or replace it with --force")
        if target.is_dir() != directory and target.exists():
            raise InputError(f"{target} is {'no folder' if directory else 'a folder'}; choose another name")
    with _temporary(folder, targets[0]) as room:
        for name, data in made.items():
            path = room / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        with _kept(targets[0], room) if directory else nullcontext():
            for target in targets:
                (room / target.name).replace(target)


@contextmanager
def _kept(target: Path, room: Path) -> Iterator[None]:
    """Take a folder out of the way of a new one, and put it back where that does not come."""
    old = room / ".old"
    if target.exists():
        target.replace(old)
    try:
        yield
    finally:
        if old.exists() and not target.exists():
            old.replace(target)


@contextmanager
def _temporary(folder: Path, target: Path) -> Iterator[Path]:
    """Give a folder beside the target, on the same disk; it is gone afterwards."""
    room = folder / f".convscope-volume.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        room.mkdir()
        yield room
    except OSError as error:
        raise StorageError(f"cannot write {target} ({error.strerror or error}); choose another place") from error
    finally:
        with suppress(OSError):
            shutil.rmtree(room)
