"""Previews of channels: their strongest patches as small JPEG files, every sheet decoded once, in several processes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.errors import FormatError, StorageError
from convscope.view import previewer
from convscope.view.sitefiles import overwrite

SHEETS_A_PROCESS: Final = 6
"""With fewer sheets it takes longer to start a process than to do without it."""
MOST_PROCESSES: Final = 8
_CARD: Final = (200, 200)
_CARDS_ACROSS: Final = 3
_JPEG: Final = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Sheet:
    """A sheet of patches: what it is noted as, how to get it, its layout, and which of its rows become which files.

    Where the record holds the previews, ``made`` gives that of a row, or nothing if what it holds is none.
    """

    name: str
    key: str
    read: Callable[[], bytes]
    plan: Mapping[str, Any]
    wanted: Sequence[tuple[int, str]]
    made: Callable[[int], bytes] | None = None


def cut_all(sheets: Sequence[Sheet], done: Callable[[Sheet], None], failed: Callable[[Sheet, str], None]) -> None:
    """Cut the previews out of all sheets.

    Parameters
    ----------
    sheets
        What to cut.
    done
        Called after each sheet, once all its files are written; from several threads.
    failed
        Called with what is wrong with a sheet that cannot be read.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    left = []
    for sheet in sheets:
        if _write_made(sheet):
            done(sheet)
        else:
            left.append(sheet)

    def one(sheet: Sheet) -> None:
        try:
            cut(sheet.read(), sheet.plan, sheet.wanted)
        except FormatError as error:
            failed(sheet, str(error))
        else:
            done(sheet)

    with _cutters(len(left)) as (cut, threads), ThreadPoolExecutor(threads, "convscope-preview") as pool:
        for future in [pool.submit(one, sheet) for sheet in left]:
            future.result()


def _write_made(sheet: Sheet) -> bool:
    """Write the previews that the record holds; say whether these are all."""
    made = [(sheet.made(row), file) for row, file in sheet.wanted] if sheet.made else []
    if not made or not all(data for data, _ in made):
        return False
    for data, file in made:
        try:
            overwrite(file, data)
        except OSError as error:
            raise StorageError(f"cannot write a preview ({error})") from error
    return True


class Recorded:
    """The previews that a record of a search holds, one JPEG after the other; read when the first is asked for.

    Parameters
    ----------
    read
        Gives the arrays ``preview``, all bytes, and ``preview_offset``, ``(C + 1,)``: where each begins.
    first
        The channel that is row 0.
    """

    def __init__(self, read: Callable[[], Mapping[str, Any]], first: int = 0) -> None:
        self._read, self._first = read, first

    def __call__(self, row: int) -> bytes:
        """Return the preview of a row, or nothing where there is none."""
        arrays = self._read()
        ends = arrays["preview_offset"].reshape(-1)[self._first + row :][:2].tolist()
        data = arrays["preview"][ends[0] : ends[1]].tobytes() if len(ends) == 2 and 0 <= ends[0] < ends[1] else b""
        return data if data.startswith(_JPEG) else b""


Cut = Callable[[bytes, Mapping[str, Any], Sequence[tuple[int, str]]], None]


@contextlib.contextmanager
def _cutters(sheets: int) -> Iterator[tuple[Cut, int]]:
    """Give what cuts, and for how many threads; its processes end with it."""
    count = min(
        MOST_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    count = min(count, sheets // SHEETS_A_PROCESS)
    if count < 2 or getattr(sys, "frozen", False) or not sys.executable:
        yield _cut_here, 1
        return
    free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    processes: list[_Process] = []
    try:
        for _ in range(count):
            processes.append(_Process())
            free.put(processes[-1])

        def cut(sheet: bytes, plan: Mapping[str, Any], wanted: Sequence[tuple[int, str]]) -> None:
            process = free.get()
            try:
                process.cut(sheet, plan, wanted)
            finally:
                free.put(process)

        yield cut, count
    finally:
        for process in processes:
            process.close()


def _cut_here(sheet: bytes, plan: Mapping[str, Any], wanted: Sequence[tuple[int, str]]) -> None:
    try:
        previewer.cut(sheet, plan, wanted)
    except ValueError as error:
        raise FormatError(str(error)) from error
    except OSError as error:
        raise StorageError(f"cannot write a preview ({error})") from error


class _Process:
    """Another Python that cuts; it imports nothing of this package, nor of the program that runs."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(Path(previewer.__file__))]
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603

    def cut(self, sheet: bytes, plan: Mapping[str, Any], wanted: Sequence[tuple[int, str]]) -> None:
        layout = {key: plan[key] for key in ("tile", "gutter", "columns")}
        assert self._popen.stdin is not None and self._popen.stdout is not None  # noqa: PT018 - both are pipes
        try:
            head = json.dumps({"size": len(sheet), "plan": layout, "wanted": list(wanted)})
            self._popen.stdin.write(head.encode() + b"\n" + sheet)
            self._popen.stdin.flush()
            answer = self._popen.stdout.readline()
        except OSError as error:
            raise StorageError(f"the process that makes previews has ended ({error}); export again") from error
        if not answer.endswith(b"\n"):
            raise StorageError("the process that makes previews has ended; export again")
        if answer.strip():
            of_system, said = json.loads(answer)
            raise StorageError(f"cannot write a preview ({said})") if of_system else FormatError(said)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._popen.communicate()


class Card(NamedTuple):
    """Some previews as one picture: JPEG, and its width and height in pixels."""

    data: bytes
    size: tuple[int, int]


def card(files: Iterable[Path]) -> Card | None:
    """Return some previews side by side, three in a row; nothing where there are none."""
    from PIL import Image

    pictures = []
    for file in files:
        with contextlib.suppress(OSError), Image.open(file, formats=["JPEG"]) as opened:
            opened.draft("RGB", _CARD)
            pictures.append(opened.convert("RGB"))
    if not pictures:
        return None
    across = min(_CARDS_ACROSS, len(pictures))
    pictures = pictures[: len(pictures) // across * across]
    width, height = size = pictures[0].size  # those of a layer are all of one size
    sheet = Image.new("RGB", (across * width, len(pictures) // across * height))
    for at, picture in enumerate(pictures):
        shown = picture if picture.size == size else picture.resize(size)
        sheet.paste(shown, (at % across * width, at // across * height))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=previewer.QUALITY)
    return Card(out.getvalue(), sheet.size)
