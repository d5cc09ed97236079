"""An event file and its journal: what is written to the one, and how far the other has come."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from convscope.formats.record import frame
from convscope.store import journal as journals
from convscope.store.journal import Journal

PREFIX: Final = "events.out.tfevents."
_ROWS_AT_ONCE: Final = 1 << 14
_numbers = itertools.count()


class LogFile:
    """A new event file with its journal; its methods are for one thread at a time.

    Parameters
    ----------
    directory
        The run directory.
    suffix
        What the name of the file ends with.

    Raises
    ------
    OSError
        If the files cannot be made; none is left behind.
    """

    def __init__(self, directory: Path, suffix: str) -> None:
        host = re.sub(r"[^\w.-]", "_", socket.gethostname()) or "localhost"
        # names sort by age within a process, and chance keeps those of two machines with one name apart
        unique = f"{next(_numbers):06d}{secrets.token_hex(3)}"
        name = f"{PREFIX}{int(time.time()):010d}.{host}.{os.getpid()}.{unique}{suffix}"
        self.path = directory / name
        self.closed = False
        self._vanished = False
        self.journal = Journal(directory / journals.journal_name(name))  # first: who sees the file finds its journal
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        except OSError:
            self.journal.close()
            self.journal.path.unlink(missing_ok=True)
            raise

    def append(self, event: bytes) -> None:
        """Write an event; it is in the file when this returns."""
        self._write(frame(event), self.journal.state.drained)

    def drain(self) -> None:
        """Move what is in the journal into the event file.

        Raises
        ------
        OSError
            If it cannot be written; once also if somebody has removed the file.
        """
        journal = self.journal
        while (start := journal.state.drained) < (stop := journal.written()):
            rows = journal.rows(start, min(stop, start + _ROWS_AT_ONCE))
            if not len(rows):
                return  # another thread is just now filling the next row
            self._write(journals.encode(journal.tags, rows), start + len(rows))
        if not self._vanished and os.fstat(self._file).st_nlink == 0:
            self._vanished = True
            raise FileNotFoundError("it was deleted while it was being written; what is logged from now on is lost")

    def _write(self, data: bytes, drained: int) -> None:
        """Write at the end; only the commit makes it count, so a part of a write is overwritten by the next."""
        end = self.journal.state.end
        try:
            os.lseek(self._file, end, os.SEEK_SET)
            journals.write_all(self._file, data)
            self.journal.commit(drained, end + len(data))
        except BaseException:  # an interrupt too
            self._cut()
            raise

    def _cut(self) -> None:
        """Cut the file where what counts ends."""
        with suppress(OSError):
            os.ftruncate(self._file, self.journal.state.end)

    def close(self) -> bool:
        """Let go of the files; tell whether all of the journal was drained, so that it is gone."""
        self._cut()
        complete = self.journal.is_drained()
        self.closed = True
        self.journal.close()
        os.close(self._file)
        if complete:
            self.journal.path.unlink(missing_ok=True)
        return complete

    def remove(self) -> None:
        """Remove the files, which hold nothing yet."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.journal.path.unlink(missing_ok=True)

    def forget_after_fork(self) -> None:
        """Let go of the parent's files in a child."""
        if not self.closed:
            self.journal.forget_after_fork()
            os.close(self._file)
