"""What is wrong with a run directory: every checksum is looked at, and nothing is believed that is not in the files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from convscope.errors import ConvscopeError, FormatError, InputError
from convscope.formats.events import decode_event
from convscope.formats.record import HEADER
from convscope.store import records
from convscope.store.accessors import DECODERS
from convscope.store.embeddings import read_embeddings
from convscope.store.folders import run_directories
from convscope.store.index import Index, Note
from convscope.store.journal import DRAFT, SUFFIX, events_name, is_journal, journal_name, lock_file
from convscope.store.projector import CONFIG
from convscope.store.projector import DIRECTORY as PROJECTOR
from convscope.store.reader import Block, EventFile
from convscope.store.records import DIRECTORY, Record
from convscope.store.recovery import View, read_journal
from convscope.store.results import Entry
from convscope.store.run import event_file_names
from convscope.store.sidecar import left_overs as left_over_sidecars

_ATTEMPTS: Final = 20
_DRAFT_SECONDS: Final = 0.1  # far longer than a writer takes to lock its journal and name it


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
    found = _with_journals(run, event_file_names(run))
    if not found:
        raise _no_run(run)
    return found


def _with_journals(run: Path, names: list[str]) -> list[EventLogFile]:
    return [_with_journal(run / name, journal_name(name) in names) for name in names if not is_journal(name)]


def _no_run(run: Path) -> InputError:
    below = [path.relative_to(run).as_posix() for path in run_directories(run)]
    hint = f"it has the runs {', '.join(sorted(below)[:5])} below it" if below else "give a run directory"
    return InputError(f"there are no event files in {run}; {hint}")


def _with_journal(path: Path, has_journal: bool) -> EventLogFile:
    journal = path.with_name(journal_name(path.name))
    if not has_journal:
        return EventLogFile(path)
    try:
        alive = _is_held(journal)
        for _ in range(_ATTEMPTS):
            view = read_journal(journal, abandoned=not alive)
            if view is not None:
                return EventLogFile(path, view, alive, journal=True)
    except FileNotFoundError:
        return EventLogFile(path)  # its writer has just finished
    except (FormatError, OSError) as error:
        return EventLogFile(path, journal=True, fault=str(error))
    return EventLogFile(path, alive=True, journal=True, fault="its writer is too quick to be read beside it")


def _is_held(path: Path) -> bool:
    """Tell whether a writer holds a journal."""
    with path.open("rb") as file:
        return not lock_file(file.fileno(), shared=True)


@dataclass
class Scan:
    """What is in an event file: its intact records, where it is damaged, what makes no sense."""

    records: int = 0
    cursor: int = 0
    size: int = 0
    damage: list[tuple[int, int | None]] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)


def scan(log: EventLogFile, index: Index, found: Scan) -> Iterator[Block]:
    """Read an event file as far as it counts: fill ``found``, and the entries of ``index``, while giving its blocks.

    Raises
    ------
    OSError
        If it cannot be read.
    """

    def note(offset: int, problem: object) -> None:
        found.notes.append((offset, str(problem)))

    file = EventFile(log.path)
    for block in file.read(log.end):
        part = Index(plugins=index.plugins)
        part.add(block, note)
        _decode_all(block, part, note)
        index.entries.items += part.entries.items
        found.records += len(block.offset)
        yield block
    memory = file.memory()
    found.cursor, found.size, found.damage = file.cursor, memory["size"], memory["damage"]


def _decode_all(block: Block, part: Index, note: Note) -> None:
    """Note the values of a block that cannot be decoded, as a reader would who asks for them."""
    for kind, decode in DECODERS.items():
        for place in (place for places in part.places.get(kind, {}).values() for place in places.items):
            start = place.offset - block.start + HEADER
            event = decode_event(block.data[start : start + place.length].tobytes())
            try:
                decode(place, event.values[place.index])
            except FormatError as error:
                note(place.offset, error)


def examine(run: Path) -> Report:
    """Look at all files of a run directory.

    Raises
    ------
    InputError
        If it holds no event files.
    """
    report, index = Report(), Index()
    names, committed = event_file_names(run), records.committed(run)  # what comes later, comes of a living writer
    logs = _with_journals(run, names)
    for log in logs:
        _examine_events(log, index, report)
    alive = _examine_lone_journals(run, names, report) or any(log.alive for log in logs)
    if not (logs or report.rows or report.findings):
        raise _no_run(run)
    _examine_records(run, index.entries.items, report, [] if alive else committed)
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


def _examine_lone_journals(run: Path, names: list[str], report: Report) -> bool:
    """Look at journals without event files; tell whether one has a writer, which is then about to make the file."""
    alive = False
    for name in names:
        if not is_journal(name) or events_name(name) in names:
            continue
        try:
            held = _is_held(run / name)
            size = (run / name).stat().st_size
        except FileNotFoundError:
            continue  # its writer has just finished
        except OSError as error:
            report.findings.append(Finding(name, None, f"cannot be read ({error.strerror or error})"))
            continue
        alive |= held
        if held:
            report.rows.append(Row(name, "journal", size, 0, "being written"))
        elif not (run / events_name(name)).exists():
            report.findings.append(Finding(name, None, "a journal without its event file; what it held is lost"))
    return alive


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


def _examine_records(run: Path, entries: list[Entry], report: Report, committed: list[str]) -> None:
    for entry in entries:
        problem = problem_of(run, entry)
        name = f"{DIRECTORY}/{entry.id}"
        if problem:
            report.findings.append(Finding(name, None, problem))
        report.rows.append(Row(name, entry.kind, entry.bytes, 1, "see below" if problem else "good"))
    known = {entry.id for entry in entries}
    for name in committed:
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
    found = records.left_overs(run) + left_over_sidecars(run) + _left_over_journals(run)
    if not alive:
        found += sorted((run / PROJECTOR).glob(".tmp-*"))
    for path in found:
        told = "left half-written by a program that is gone; it can be deleted"
        report.findings.append(Finding(path.relative_to(run).as_posix(), None, told))


def _left_over_journals(run: Path) -> list[Path]:
    """Return the journals whose writers died before they had given them their names."""
    drafts = sorted(run.glob(f".*{SUFFIX}{DRAFT}"))
    if drafts:
        time.sleep(_DRAFT_SECONDS)
    found = []
    for path in drafts:
        with suppress(OSError):
            if not _is_held(path):
                found.append(path)
    return found
