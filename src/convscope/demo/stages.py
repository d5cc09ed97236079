"""The stages of the demo and what is left of an earlier one: done stages are kept, half-done ones start clean.

The demo owns its output directory; ``demo.json`` in it says so, with the settings and the stages that are done. Each
stage writes runs of its own, which are removed before it is done again: nothing half-made is ever shown as whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError

FILE: Final = "demo.json"
WORK: Final = ".demo"
"""Weights and checkpoints of the stages; no runs."""


@dataclass
class Ledger:
    """Which stages are done in a directory, and with which settings."""

    path: Path
    settings: Mapping[str, Any]
    done: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def work(self) -> Path:
        """Where stages keep what they hand on."""
        return self.path / WORK

    def finish(self, stage: str) -> None:
        """Note that a stage is done; on disk before this returns."""
        if stage not in self.done:
            self.done.append(stage)
        write_atomically(self.path / FILE, json.dumps({"settings": dict(self.settings), "done": self.done}, indent=1))

    def clear(self, runs: tuple[str, ...]) -> None:
        """Remove the runs of a stage that is about to be done."""
        for run in runs:
            shutil.rmtree(self.path / run, ignore_errors=True)


def open_ledger(path: Path, settings: Mapping[str, Any], stages: Mapping[str, tuple[str, ...]]) -> Ledger:
    """Open the demo's directory: new, to be resumed, or to be started clean because the settings differ.

    Raises
    ------
    InputError
        If the directory holds something that is not the demo's.
    StorageError
        If it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        found = _read(path / FILE)
        if found is None and any(path.iterdir()):
            raise InputError(f"{path} is not empty and was not made by the demo; choose another folder with --out")
        ledger = Ledger(path, settings)
        if found is not None:
            _take_over(ledger, found, stages)
        ledger.work.mkdir(exist_ok=True)
        write_atomically(path / FILE, json.dumps({"settings": dict(settings), "done": ledger.done}, indent=1))
    except (OSError, NotADirectoryError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot write to {path} ({error.strerror}); choose another folder with --out") from error
    return ledger


def _take_over(ledger: Ledger, found: Mapping[str, Any], stages: Mapping[str, tuple[str, ...]]) -> None:
    done = [stage for stage in stages if stage in found["done"]]
    if found["settings"] == dict(ledger.settings):
        ledger.done = done
        if done:
            ledger.note = f"resuming: {', '.join(done)} done already"
    else:
        ledger.note = "the settings differ from the last time: starting clean"
        shutil.rmtree(ledger.work, ignore_errors=True)
    for stage, runs in stages.items():
        if stage not in ledger.done:
            ledger.clear(runs)


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
    with temporary.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
