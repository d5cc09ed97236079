"""What is wrong with a run directory: every checksum is looked at, and nothing is believed that is not in the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from convscope.errors import ConvscopeError, FormatError, InputError
from convscope.store import records
from convscope.store.embeddings import read_embeddings
from convscope.store.index import Index
from convscope.store.journal import SUFFIX, journal_name, lock_file
from convscope.store.logdir import run_directories
from convscope.store.projector import CONFIG
from convscope.store.projector import DIRECTORY as PROJECTOR
from convscope.store.reader import Block, EventFile
from convscope.store.records import DIRECTORY, Record
from convscope.store.recovery import View, read_journal
from convscope.store.results import Entry
from convscope.store.run import event_file_names
from convscope.store.sidecar import NAME as SIDECAR

_ATTEMPTS: Final = 20


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: in which file, at which byte where there is one, and what it is."""

    file: str
    offset: int | None
    what: str

    def sentence(self) -> str:
        """Say it in one line."""
        place = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.file}{place}: {self.what}"


@dataclass(frozen=True)
class Row:
    """A line of the table: what was looked at, its size, how much is in it, and how it is."""

    file: str
    what: str
    bytes: int
    count: int
    state: str


@dataclass
class Report:
    """What :func:`examine` has found."""

    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass
class EventLogFile:
    """An event file with its journal, as far as it counts.

    Attributes
    ----------
    path
        The event file.
    view
        What its journal holds; ``None`` if it has none, or one that cannot be read.
    alive
        Whether a writer holds the journal.
    journal
        Whether there is one.
    fault
        Why the journal cannot be read.
    """

    path: Path
    view: View | None = None
    alive: bool = False
    journal: bool = False
    fault: str = ""

    @property
    def end(self) -> int | None:
        """How many bytes of the event file count; ``None`` for all."""
        return None if self.view is None else self.view.end


def event_files(run: Path) -> list[EventLogFile]:
    """Return the event files of a run with their journals, by name.

    Raises
    ------
    InputError
        If the directory holds none.
    """
    names = event_file_names(run)
    found = [_with_journal(run / name, journal_name(name) in names) for name in names if not name.endswith(SUFFIX)]
    if not found:
        below = [path.relative_to(run).as_posix() for path in run_directories(run)] if run.is_dir() else []
        hint = f"it has the runs {', '.join(sorted(below)[:5])} below it" if below else "give a run directory"
        raise InputError(f"there are no event files in {run}; {hint}")
    return found


def _with_journal(path: Path, has_journal: bool) -> EventLogFile:
    journal = path.with_name(journal_name(path.name))
    if not has_journal:
        return EventLogFile(path)
    try:
        with journal.open("rb") as file:
            alive = not lock_file(file.fileno(), shared=True)
        for _ in range(_ATTEMPTS):
            view = read_journal(journal, abandoned=not alive)
            if view is not None:
                return EventLogFile(path, view, alive, journal=True)
    except FileNotFoundError:
        return EventLogFile(path)  # its writer has just finished
    except (FormatError, OSError) as error:
        return EventLogFile(path, journal=True, fault=str(error))
    return EventLogFile(path, alive=True, journal=True, fault="its writer is too quick to be read beside it")


@dataclass
class Scan:
    """What is in an event file: its intact records, where it is damaged, what makes no sense."""

    records: int = 0
    cursor: int = 0
    size: int = 0
    damage: list[tuple[int, int | None]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)


def scan(log: EventLogFile, index: Index, found: Scan) -> Iterator[Block]:
    """Read an event file as far as it counts: fill ``index`` and ``found`` while giving its blocks.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    file = EventFile(log.path)
    for block in file.read(log.end):
        index.add(block, lambda offset, problem: found.notes.append((offset, str(problem))))
        found.records += len(block.offset)
        yield block
    memory = file.memory()
    found.cursor, found.size, found.damage = file.cursor, memory["size"], memory["damage"]


def examine(run: Path) -> Report:
    """Look at all files of a run directory.

    Raises
    ------
    InputError
        If it holds no event files.
    """
    report, index = Report(), Index()
    logs = event_files(run)
    for log in logs:
        _examine_events(log, index, report)
    lone = {journal_name(log.path.name) for log in logs}
    for name in event_file_names(run):
        if name.endswith(SUFFIX) and name not in lone:
            report.findings.append(Finding(name, None, "a journal without its event file; what it held is lost"))
    alive = any(log.alive for log in logs)
    _examine_records(run, index.entries.items, report, alive)
    examine_projector(run, report)
    _examine_left_overs(run, report, alive)
    return report


def _examine_events(log: EventLogFile, index: Index, report: Report) -> None:
    name, found = log.path.name, Scan()
    before = len(report.findings)
    try:
        for _ in scan(log, index, found):
            pass
    except OSError as error:
        report.findings.append(Finding(name, None, f"cannot be read ({error.strerror or error})"))
        report.rows.append(Row(name, "events", 0, 0, "unreadable"))
        return
    for start, stop in found.damage:
        told = "nothing readable follows" if stop is None else f"{stop - start} bytes, up to byte {stop}"
        report.findings.append(Finding(name, start, f"damaged ({told})"))
    report.findings += [Finding(name, offset, f"makes no sense: {problem}") for offset, problem in found.notes]
    torn = found.size - found.cursor
    if torn > 0 and not any(stop is None for _, stop in found.damage):
        told = f"the last {torn} bytes are a record that was not finished; a program may still be writing it"
        report.findings.append(Finding(name, found.cursor, told))
    _examine_journal(log, report)
    state = "being written" if log.alive else "good" if len(report.findings) == before else "see below"
    report.rows.append(Row(name, "events", found.size, found.records, state))


def _examine_journal(log: EventLogFile, report: Report) -> None:
    name = journal_name(log.path.name)
    if not log.journal:
        return
    if log.view is None:
        report.findings.append(Finding(name, None, log.fault))
        return
    if log.alive:
        return
    waiting = len(log.view.pending.tag)
    told = f"left by a writer that died; {waiting} scalars wait in it, which readers see and the next writer takes over"
    report.findings.append(Finding(name, None, told))
    size = log.path.stat().st_size
    if size < log.view.end:
        told = f"ends here, though its journal knows of {log.view.end} bytes"
        report.findings.append(Finding(log.path.name, size, told))


def _examine_records(run: Path, entries: list[Entry], report: Report, alive: bool) -> None:
    for entry in entries:
        problem = problem_of(run, entry)
        name = f"{DIRECTORY}/{entry.id}"
        if problem:
            report.findings.append(Finding(name, None, problem))
        report.rows.append(Row(name, entry.kind, entry.bytes, 1, "see below" if problem else "good"))
    known = {entry.id for entry in entries}
    if not alive:  # a living writer may be about to name it
        for name in records.committed(run):
            if name not in known:
                told = "no event names this record, so no reader shows it"
                report.findings.append(Finding(f"{DIRECTORY}/{name}", None, told))


def problem_of(run: Path, entry: Entry) -> str:
    """Return what is wrong with the files of a record; nothing if all is well."""
    try:
        record = Record(run, entry)
        if (record.description.get("id"), record.description.get("kind")) != (entry.id, entry.kind):
            raise FormatError("its description is that of another record")
        arrays = record.arrays()
        for name, told in record.array_info.items():
            if list(arrays[name].shape) != told.get("shape"):
                raise FormatError(f"its array {name!r} is {arrays[name].shape}, not {told.get('shape')}")
        for name, plan in record.pictures.items():
            for row in range(0, plan["total_rows"], plan["rows"]):
                record.tile(name, row, plan["columns"] - 1)
    except (ConvscopeError, OSError, ValueError, LookupError, AttributeError) as error:
        return str(error)
    return ""


def examine_projector(run: Path, report: Report) -> None:
    """Look at the embeddings written for TensorBoard's projector."""
    if not (run / CONFIG).exists():
        return
    found, problems = read_embeddings(run)
    for embedding in found:
        try:
            _ = embedding.thumbnails
        except ConvscopeError as error:
            problems.append(f"the embedding {embedding.tag!r}: {error}")
    report.findings += [Finding(CONFIG, None, problem) for problem in problems]
    size = (run / CONFIG).stat().st_size
    state = "see below" if problems else "good"
    report.rows.append(Row(CONFIG, "embeddings", size, len(found), state))


def _examine_left_overs(run: Path, report: Report, alive: bool) -> None:
    found = records.left_overs(run)
    if not alive:
        found += sorted((run / PROJECTOR).glob(".tmp-*")) + sorted(run.glob(f"{SIDECAR}.tmp-*"))
    for path in found:
        told = "left half-written by a program that is gone; it can be deleted"
        report.findings.append(Finding(path.relative_to(run).as_posix(), None, told))
