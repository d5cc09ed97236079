"""Copying what is good of a damaged run into a new directory; the old one stays as it is."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convscope.errors import FormatError, InputError, StorageError
from convscope.formats.events import PLUGIN
from convscope.formats.projector import ConfigEntry, decode_config, encode_entry
from convscope.formats.record import HEADER, OVERHEAD
from convscope.store.doctor import EventLogFile, Scan, event_files, problem_of, scan
from convscope.store.embeddings import problem_of_embedding
from convscope.store.index import Index
from convscope.store.journal import encode
from convscope.store.projector import CONFIG
from convscope.store.reader import Block
from convscope.store.records import DIRECTORY
from convscope.store.results import Entry


@dataclass
class Repaired:
    """What :func:`repair` has copied, and how many records of event files it has left behind."""

    events: int = 0
    scalars: int = 0
    records: int = 0
    embeddings: int = 0
    left: int = 0

    def sentence(self) -> str:
        """Say it in one line."""
        return (
            f"{self.events:,} events, {self.scalars:,} scalars of journals, {self.records:,} records and "
            f"{self.embeddings:,} embeddings; {self.left:,} left behind"
        )


def repair(run: Path, out: Path) -> Repaired:
    """Copy what is good: intact events as they are, scalars of journals, records and embeddings with all their files.

    Left behind are damaged bytes, events that make no sense or name a record whose files are not all good, half-written
    files, and whatever is not part of a run.

    Parameters
    ----------
    run
        The run directory.
    out
        Where to; a directory that is new or empty. It is there when all is in it, and not before.

    Raises
    ------
    InputError
        If ``run`` holds no event files, or ``out`` is not empty or lies inside ``run``.
    StorageError
        If it cannot be written.
    """
    logs = event_files(run)
    _check_place(run, out)
    done = Repaired()
    work = out.resolve().parent / f".convscope-repair.tmp-{secrets.token_hex(8)}"
    try:
        work.mkdir(parents=True)
        index = Index()
        for log in logs:
            _copy_events(run, log, index, work, done)
        _copy_embeddings(run, work, done)
        with suppress(FileNotFoundError):
            out.rmdir()
        work.rename(out)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot write {out} ({error.strerror or error}); choose another directory") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return done


def _check_place(run: Path, out: Path) -> None:
    try:
        _check_free(run.resolve(), run, out)
    except OSError as error:
        raise StorageError(f"cannot look at {str(out)!r:.300} ({error.strerror}); choose another directory") from error


def _check_free(here: Path, run: Path, out: Path) -> None:
    there = out.resolve()
    if there.is_relative_to(here):
        raise InputError(f"{out} is inside {run}, which stays as it is; choose a directory elsewhere")
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"{out} is not empty; choose a new directory")


def _copy_events(run: Path, log: EventLogFile, index: Index, work: Path, done: Repaired) -> None:
    """Copy the good events of a file, and the records that they name."""
    found = Scan()
    with (work / log.path.name).open("xb") as file:
        for block in _readable(scan(log, index, found), done):
            bad = {offset - block.start for offset, _ in found.notes}
            bad |= {offset for offset, entry in _entries(block, bad) if not _copy_record(run, entry, work, done)}
            found.notes.clear()
            for start, length in zip(block.offset.tolist(), block.length.tolist(), strict=True):
                if start not in bad:
                    file.write(block.data[start : start + length + OVERHEAD].data)
            done.events += len(block.offset) - len(bad)
            done.left += len(bad)
        if log.view is not None:
            file.write(encode(log.view.tags, log.view.rows))
            done.scalars += len(log.view.pending.tag)
    done.left += len(found.damage)


def _readable(blocks: Iterator[Block], done: Repaired) -> Iterator[Block]:
    """Give the blocks of a file as far as it can be read."""
    try:
        yield from blocks
    except OSError:
        done.left += 1


def _entries(block: Block, bad: set[int]) -> Iterator[tuple[int, Entry]]:
    """Give the entries of a block with the places of their events; most events are passed over at a glance."""
    seen = set(bad)
    for match in re.finditer(PLUGIN.encode(), block.data.data):
        frame = int(np.searchsorted(block.offset, match.start(), side="right")) - 1
        start = int(block.offset[frame]) if frame >= 0 else -1
        stop = start + HEADER + int(block.length[frame])
        if start < 0 or start in seen or match.start() >= stop:
            continue
        seen.add(start)
        index = Index()
        one = slice(frame, frame + 1)
        index.add(Block(block.path, block.start, block.data, block.offset[one], block.length[one]), lambda *_: None)
        for entry in index.entries.items:
            yield start, entry


def _copy_record(run: Path, entry: Entry, work: Path, done: Repaired) -> bool:
    """Copy a record if all its files are good."""
    if problem_of(run, entry):
        return False
    if not (work / DIRECTORY / entry.id).exists():
        shutil.copytree(run / DIRECTORY / entry.id, work / DIRECTORY / entry.id)
        done.records += 1
    return True


def _copy_embeddings(run: Path, work: Path, done: Repaired) -> None:
    """Copy the embeddings whose files are all good, and name them in a new configuration."""
    try:
        entries = decode_config((run / CONFIG).read_text(encoding="utf-8"))
    except (OSError, FormatError, UnicodeDecodeError):
        return
    good = ""
    for entry in entries:
        files = _files(run, entry, work)
        if files and not problem_of_embedding(run, entry):
            for source, target in files:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            good += encode_entry(entry)
            done.embeddings += 1
        else:
            done.left += 1
    (work / CONFIG).write_text(good, encoding="utf-8")


def _files(run: Path, entry: ConfigEntry, work: Path) -> list[tuple[Path, Path]]:
    """Return the files of an embedding with the places of their copies; none if one is missing or leads outside."""
    found = []
    for path in filter(None, (entry.tensor_path, entry.metadata_path, entry.sprite_path)):
        try:
            source, target = (run / path).resolve(), work / path
            inside = source.is_relative_to(run.resolve()) and target.resolve().is_relative_to(work)
            if not (inside and source.is_file()):
                return []
        except (OSError, ValueError):  # not the path of a file at all
            return []
        found.append((source, target))
    return found
