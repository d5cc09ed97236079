"""Which file a drawing becomes: the writers by the ending of a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from convscope.drawing import pdf, png, svg
from convscope.drawing.shapes import Sheet
from convscope.errors import InputError, StorageError

Writer = Callable[[Sheet, float | None], bytes]

WRITERS: Final[Mapping[str, Writer]] = {".pdf": pdf.encoded, ".png": png.encoded, ".svg": svg.encoded}


def writer_of(path: str | Path) -> Writer:
    """Return what writes a file of that name.

    Raises
    ------
    InputError
        If its ending is not known.
    """
    ending = Path(path).suffix.lower()
    if ending not in WRITERS:
        raise InputError(f"a figure is written as .pdf, .png or .svg, not as {Path(path).name!r}; change its ending")
    return WRITERS[ending]


def check_target(path: str | Path, *, force: bool = False) -> Path:
    """Return where a figure goes, before anything is computed for it.

    Raises
    ------
    InputError
        If its ending is not known, or it is there already and ``force`` is not given.
    StorageError
        If there is no such folder.
    """
    place = Path(path)
    writer_of(place)
    if place.is_dir():
        raise InputError(f"{place} is a folder; give the name of a file")
    if place.exists() and not force:
        raise InputError(f"{place} is there already; give another name, or --force (force=True) to replace it")
    if not place.parent.is_dir():
        raise StorageError(f"there is no folder {str(place.parent)!r:.300}; make it first")
    return place


def save(sheet: Sheet, path: str | Path, dpi: float | None = None) -> int:
    """Write a sheet to a file, as its ending says, and return how many bytes it has.

    Raises
    ------
    InputError
        If its ending is not known.
    StorageError
        If it cannot be written.
    """
    data = writer_of(path)(sheet, dpi)
    place = Path(path)
    temporary = place.with_name(f".{place.name}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"cannot write {place} ({error.strerror or error}); choose another place") from error
    return len(data)
