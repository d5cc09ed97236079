"""The stages of the demo and what is left of an earlier one: done stages are kept, half-done ones start clean.

The demo owns its output directory: ``demo.json`` in it says so, with the settings and the stages that are done. A stage
is done when the file says so and what it makes is there. What a stage makes is removed before it is done again, and the
file is written before anything is removed: nothing half-made is ever taken for whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from convscope.errors import InputError, StorageError

FILE: Final = "demo.json"
WORK: Final = ".demo"
"""Weights, checkpoints and the lock; no runs."""

Stages = Mapping[str, tuple[str, ...]]
"""The stages in their order, each with what it makes: run directories and files, relative to the output directory."""


class Ledger:
    """Which stages are done in a directory; held by one demo at a time.

    Parameters
    ----------
    path
        The output directory; it has to be new, empty or an earlier demo's.

    Raises
    ------
    InputError
        If the directory holds something that is not the demo's, or another demo is at work in it.
    StorageError
        If it cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / WORK
        self.done: list[str] = []
        self._settings: Mapping[str, Any] = {}
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._found = _read(path / FILE)
            if self._found is None and any(entry.name != WORK for entry in path.iterdir()):
                raise InputError(f"{path} is not empty and was not made by the demo; choose another folder with --out")
            self.work.mkdir(exist_ok=True)
            self._lock = (self.work / "lock").open("w")
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"cannot write to {path} ({reason}); choose another folder with --out") from error
        if not _locked(self._lock.fileno()):
            self._lock.close()
            raise InputError(f"another demo is at work in {path}; let it finish, or choose another folder with --out")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def begin(self, settings: Mapping[str, Any], stages: Stages) -> str:
        """Take over what is left of an earlier demo with these settings, or start clean; return what to say of it.

        Stages build on each other, so those after the first that is not done are not done either.
        """
        self._settings = dict(settings)
        found = self._found
        note = ""
        if found is not None and found["settings"] == self._settings:
            for stage, makes in stages.items():
                if stage not in found["done"] or not all((self.path / made).exists() for made in makes):
                    break
                self.done.append(stage)
            note = f"resuming: {', '.join(self.done)} done already" if self.done else ""
        elif found is not None:
            note = "the settings or the digits differ from the last time: starting clean"
        self._write()
        if found is not None and not self.done:
            self._remove(self.work / "channels.checkpoint")
        for stage, makes in stages.items():
            if stage not in self.done:
                self.clear(makes)
        return note

    def clear(self, makes: tuple[str, ...]) -> None:
        """Remove what a stage makes before it is done (again)."""
        for made in makes:
            self._remove(self.path / made)

    def finish(self, stage: str) -> None:
        """Note that a stage is done; on disk before this returns."""
        self.done.append(stage)
        self._write()

    def _write(self) -> None:
        text = json.dumps({"settings": dict(self._settings), "done": self.done}, indent=1)
        write_atomically(self.path / FILE, text)

    def _remove(self, path: Path) -> None:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {path} ({error.strerror or error}); remove it by hand") from error


def _locked(file: int) -> bool:
    """Lock a file for this process until it is closed; where the system has no such locks, take it for granted."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"settings": None, "done": []}
    valid = isinstance(content, dict) and isinstance(content.get("done"), list) and "settings" in content
    return content if valid else {"settings": None, "done": []}


def write_atomically(file: Path, text: str) -> None:
    """Write a small file so that a reader sees the old or the new one, never a part."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise StorageError(
            f"cannot write {file} ({error.strerror or error}); make room, or choose another folder"
        ) from error
