"""Writing thousands of small files: in three calls of the system each, as other threads may take their turn at any."""

from __future__ import annotations

import os

_FLAGS = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def create(path: str, data: bytes) -> bool:
    """Write a file that is not there yet; return whether it was not.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    try:
        _write(path, data, os.O_EXCL)
    except FileExistsError:
        return False
    return True


def overwrite(path: str, data: bytes) -> None:
    """Write a file, whether it is there or not.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    _write(path, data, os.O_TRUNC)


def _write(path: str, data: bytes, how: int) -> None:
    handle = os.open(path, _FLAGS | how, 0o666)
    try:
        written = os.write(handle, data)
        while written < len(data):  # a full disk takes a part, and then fails
            written += os.write(handle, memoryview(data)[written:])
    finally:
        os.close(handle)
