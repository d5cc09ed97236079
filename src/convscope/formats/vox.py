r"""The volumes of the old CNN-VIS: ``.vox``, raw bytes without a header, and ``.hd``, two lines that say how many.

The bytes are ``uint8``, channel by channel, row by row: the column is fastest. The header is ``Size XxYxZ unsigned
byte`` with a blank at its end, and ``Spacing 1.0x1.0x1.0`` without a line end. The first size belongs to the fastest
axis, the columns. CNN-VIS wrote the rows there: no matter as long as maps are square, as its own were. We write columns
first; a file that names the rows first is read with ``Hints(rows_first=True)``.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError
from convscope.formats.grid import MAX_HEADER, Files, Grid, Hints, count_of, grid, shown, the_file

TYPES: Final = {"uint8": "unsigned byte"}
_SIZE: Final = re.compile(rb"\s*Size\s+(\d{1,18})\s*x\s*(\d{1,18})\s*x\s*(\d{1,18})\s*([a-z ]*)", re.IGNORECASE)
_STEP: Final = rb"([0-9.eE+-]{1,40})"
_SPACING: Final = re.compile(rb"^\s*Spacing\s+" + rb"\s*x\s*".join([_STEP] * 3), re.IGNORECASE | re.MULTILINE)


def decode(files: Files, name: str, hints: Hints) -> Grid:
    """Return the volume in a ``.vox`` file, with the sizes of the ``.hd`` file beside it or those given.

    Raises
    ------
    FormatError
        If header and bytes do not fit together.
    InputError
        If there is no header and no shape is given.
    """
    header = files.read(header_name(name))
    data = the_file(files, name)
    if header is None and hints.shape is None:
        raise InputError(
            f"{name} has {len(data):,} bytes and no {header_name(name)} beside it that says its sizes; give them: "
            "--shape CHANNELS,ROWS,COLUMNS"
        )
    spacing, notes = (1.0, 1.0, 1.0), []
    if header is None or hints.shape is not None:
        shape = _given(hints.shape or (), name)
    else:
        shape, spacing = _header(header, header_name(name), hints)
    if count_of(shape, 1, name) != len(data):
        raise FormatError(
            f"{name} has {len(data):,} bytes, but {shown(shape)} voxels take {count_of(shape, 1, name):,}; "
            "give the right sizes: --shape CHANNELS,ROWS,COLUMNS"
        )
    values = np.frombuffer(data, np.uint8).reshape(shape)
    if header is not None and hints.shape is None and shape[1] != shape[2]:
        notes.append(_which(values, hints))
    return grid(values, spacing=spacing, notes=notes, where=name)


def encode(made: Grid, name: str) -> dict[str, bytes]:
    """Return a ``.vox`` file and its ``.hd`` file; only bytes can be stored."""
    values = made.values
    if values.dtype != np.uint8 or values.ndim != 3:
        raise InputError(f".vox holds bytes (C, H, W), got {values.dtype} of shape {values.shape}; scale it to uint8")
    return {name: values.tobytes(), header_name(name): header_of(values.shape, made.spacing)}


def header_of(shape: tuple[int, ...], spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> bytes:
    r"""Return the ``.hd`` file of a volume ``(C, H, W)``.

    >>> header_of((96, 55, 55))
    b'Size 55x55x96 unsigned byte \nSpacing 1.0x1.0x1.0'
    """
    channels, rows, columns = shape
    steps = "x".join(repr(float(step)) for step in reversed(spacing))
    return f"Size {columns}x{rows}x{channels} unsigned byte \nSpacing {steps}".encode()


def header_name(name: str) -> str:
    """Return what the ``.hd`` file of a ``.vox`` file is called."""
    return name[: -len(".vox")] + ".hd"


def _given(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    if len(shape) != 3:
        raise InputError(f"{name}: the sizes of a volume are channels, rows and columns, got {shown(shape)}")
    return shape


def _header(header: bytes, name: str, hints: Hints) -> tuple[tuple[int, ...], tuple[float, float, float]]:
    """Return shape and spacing, channel first."""
    found = _SIZE.match(header[:MAX_HEADER])
    if found is None:
        raise FormatError(f"{name} starts with {header[:40]!r} instead of 'Size COLUMNSxROWSxCHANNELS unsigned byte'")
    kind = found[4].decode().strip().lower()
    if kind not in ("unsigned byte", "unsigned char", "byte", "uint8", ""):
        raise FormatError(f"{name} says its numbers are {kind!r}; only 'unsigned byte' is known in such files")
    first, second, channels = (int(size) for size in found.groups()[:3])
    shape = (channels, first, second) if hints.rows_first else (channels, second, first)
    return shape, _spacing(header)


def _spacing(header: bytes) -> tuple[float, float, float]:
    found = _SPACING.search(header[:MAX_HEADER])
    try:
        x, y, z = (float(step) for step in found.groups()) if found else (1.0, 1.0, 1.0)
    except ValueError:
        return 1.0, 1.0, 1.0
    return z, y, x


def _which(values: npt.NDArray[Any], hints: Hints) -> str:
    """Say how the sizes were taken, and whether the pictures look as if it was the other way round.

    In maps read with the wrong number of columns a voxel and the one below it are no neighbours.
    """
    _, rows, columns = values.shape
    taken, other = ("rows", "columns") if hints.rows_first else ("columns", "rows")
    said = f"its header names {taken} first: {rows} rows and {columns} columns"
    turned = values.reshape(len(values), columns, rows)
    if _roughness(turned) < 0.8 * _roughness(values):
        return said + f"; neighbouring rows fit better with {other} first, so try --hd {other}-first"
    return said + ("" if hints.rows_first else " (the old CNN-VIS wrote rows first: --hd rows-first)")


def _roughness(values: npt.NDArray[Any]) -> float:
    """Return the mean step from a voxel to the one below."""
    if values.shape[1] < 2:
        return 0.0
    sample = values[:: max(1, len(values) // 16)].astype(np.float32)
    return float(np.abs(np.diff(sample, axis=1)).mean())
