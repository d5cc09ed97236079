"""Volumes in the files of other programs: opened, written, converted, and recorded so that the viewer shows them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, NotFoundError
from convscope.formats.grid import Grid, Hints, shown
from convscope.formats.volumes import VOLUME_FORMATS, VolumeFormat
from convscope.formats.zarr import is_zarr
from convscope.inspect.volume import Volume
from convscope.inspect.volume_inputs import planes
from convscope.jobs.files import FolderFiles, publish
from convscope.recording import SummaryWriter

TYPES: Final = ("uint8", "float32")
LARGE: Final = 1 << 22
"""Voxels from which on a file is opened with two orders of its channels, not all: the others take seconds."""
_STEPS: Final = 255


def is_volume(path: str | Path) -> bool:
    """Whether a path names the file (or Zarr folder) of a volume, by its end or by what the folder holds."""
    path = _named(path)
    try:
        if path.is_dir():
            return is_zarr(FolderFiles(path.parent, path.name), path.name)
    except OSError:  # not to be looked at, or no name at all: whoever opens it says so
        return False
    return path.suffix.lower() in VOLUME_FORMATS


def _named(path: str | Path) -> Path:
    """Return a path that ends in a name, as the one of a folder that is called ``.`` from inside it."""
    path = Path(path)
    return path.resolve() if path.name in ("", "..") else path


def open_volume(
    path: str | Path,
    *,
    shape: Sequence[int] | None = None,
    rows_first: bool = False,
    layer: str = "",
    **look: Any,
) -> Volume:
    """Open a volume that another program has written.

    >>> open_volume("conv1.nrrd", order="pca").maps.shape      # doctest: +SKIP
    (96, 55, 55)

    Parameters
    ----------
    path
        A ``.vox`` (with its ``.hd``), ``.nrrd``, ``.nhdr``, ``.vti``, ``.npy`` or ``.npz`` file, or a Zarr folder.
    shape
        ``(C, H, W)`` of a ``.vox`` file without ``.hd``.
    rows_first
        Whether the ``.hd`` file names the rows first, as the old CNN-VIS did.
    layer
        What the volume is called; the name of the file by default.
    **look
        More of what :class:`convscope.inspect.volume.Volume` takes: ``order``, ``scale``, ``percentiles``, ``inputs``.
        Of more than 4 million voxels only the orders ``index`` and ``mean`` are stored unless ``orders`` names others.

    Returns
    -------
    Volume
        Its ``meta`` say which file and format it is from, in which type, and what had to be decided.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it is damaged, or not what its name says.
    InputError
        If its format is not known, or it does not say enough of itself.
    """
    path = _named(path)
    grid = read_grid(path, shape=shape, rows_first=rows_first)
    values, notes = _finite(grid.values)
    about = {
        "file": path.name,
        "format": format_of(path).title,
        "dtype": grid.values.dtype.name,
        "notes": [*grid.notes, *notes],
    }
    meta = {**about, **look.pop("meta", {})}
    if values.size > LARGE:  # what takes a second or more is computed where it is asked for
        look = {"orders": ("index", "mean"), "row_orders": (), **look}
    return Volume(values, layer=layer or path.stem, source="file", spacing=grid.spacing, meta=meta, **look)


def read_grid(path: str | Path, *, shape: Sequence[int] | None = None, rows_first: bool = False) -> Grid:
    """Return the numbers in a volume's file as they are there; see :func:`open_volume`."""
    path = _named(path)
    if not path.exists():
        raise NotFoundError(f"no file or folder {str(path)!r}; give the path of a volume")
    known = format_of(path)
    if path.is_dir() != known.folder:
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'no folder'}; {known.title} is not stored so")
    if (shape is not None or rows_first) and path.suffix.lower() != ".vox":
        raise InputError(f"{path} says its sizes itself; a shape, or rows first, is for .vox files: leave it out")
    hints = Hints(None if shape is None else tuple(shape), rows_first)
    try:
        return known.decode(FolderFiles(path.parent, path.name), path.name, hints)
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than there is; cut it") from error


def format_of(path: Path) -> VolumeFormat:
    """Return the format of a file by the end of its name, or of a Zarr folder by what it holds."""
    known = VOLUME_FORMATS.get(path.suffix.lower())
    if known is None and is_volume(path):
        known = VOLUME_FORMATS[".zarr"]
    if known is None:
        raise InputError(
            f"{path.name or path} is no volume by its name, which ends with none of: {', '.join(VOLUME_FORMATS)}; "
            "convert it"
        )
    return known


def write_volume(volume: Volume, path: str | Path, *, dtype: str | None = None, force: bool = False) -> str:
    """Write a volume, its channels in its order, for another program.

    Parameters
    ----------
    volume
        The volume.
    path
        The file; its end says the format, as for :func:`open_volume`.
    dtype
        ``float32``, as it is kept, or ``uint8``, in 256 steps of the volume's scale; by default what the format has.
    force
        Whether a file of this name may be replaced.

    Returns
    -------
    str
        What was done, in one sentence; what was lost on the way as well.

    Raises
    ------
    InputError
        If the format or the type is not known, or there is such a file.
    StorageError
        If it cannot be written.
    """
    order = volume.shown.name
    notes = () if order == "index" else (f"channels in the order {order}",)
    look = {"scale": volume.scale, "percentiles": volume.percentiles}
    return _write(Grid(volume.values, volume.spacing, notes), Path(path), dtype, look, force=force)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    shape: Sequence[int] | None = None,
    rows_first: bool = False,
    wrapped: bool = False,
    dtype: str | None = None,
    force: bool = False,
    **look: Any,
) -> str:
    """Convert the file of a volume to another format; numbers stay as they are as far as the format has them.

    Parameters
    ----------
    source, target
        The files; their ends say the formats.
    shape, rows_first
        As for :func:`open_volume`.
    wrapped
        Whether ``int8`` below 0 stands for the bytes above 127, as in arrays of the old CNN-VIS.
    dtype
        ``uint8`` or ``float32``; by default as it is, or the nearest that the format has.
    force
        Whether a file of this name may be replaced.
    **look
        ``order`` of the channels; ``scale`` and ``percentiles`` of the bytes; ``inputs``, how four axes become three.

    Returns
    -------
    str
        What was done, in one sentence; what was lost on the way as well.

    Raises
    ------
    InputError, NotFoundError, FormatError, StorageError
        As for :func:`open_volume` and :func:`write_volume`.
    """
    source, target = Path(source), Path(target)
    if source.exists() and target.exists() and source.samefile(target):
        raise InputError(f"{source} cannot be converted to itself; give another name")
    format_of(target)
    grid = read_grid(source, shape=shape, rows_first=rows_first)
    if wrapped and grid.values.dtype != np.int8:
        raise InputError(
            f"{source} has {grid.values.dtype}, nothing wrapped; that is for the old tool's int8: leave it out"
        )
    if wrapped:
        grid = replace(grid, values=grid.values.view(np.uint8), notes=(*grid.notes, "its int8 taken as bytes"))
    order = look.get("order", "index")
    if "inputs" in look or (grid.values.ndim == 4 and not format_of(target).inputs):
        grid = _joined(grid, look.get("inputs", "sum"), source)
    if order != "index":
        permutation = Volume(_finite(grid.values)[0], order=order).permutation
        grid = replace(grid, values=grid.values[permutation], notes=(*grid.notes, f"channels in the order {order}"))
    scaling: dict[str, Any] = {key: look[key] for key in ("scale", "percentiles") if key in look}
    if scaling and _wanted(format_of(target), dtype) != "uint8":
        raise InputError(f"{' and '.join(scaling)} would say what bytes stand for, but {target} gets none; leave that "
                         "out, or ask for the type uint8")  # fmt: skip
    done = _write(grid, target, dtype, scaling, force=force)
    return f"{source} → {done}"


def _joined(grid: Grid, how: str | int, source: Path) -> Grid:
    """Return a grid of three axes for one of four; numbers keep their type unless they are added up."""
    before = grid.values.dtype
    if grid.values.ndim != 4:
        raise InputError(f"{source} has three axes: there are no inputs of a filter to join; leave inputs out")
    with np.errstate(invalid="ignore"):  # infinities of both signs make NaN, which is what they add up to
        made = planes(grid.values, how)
    if made.dtype != before and before in (np.float16, np.float32):
        made = made.astype(np.float32)
    kind = "" if made.dtype == before else f", {before} added up in {made.dtype}"
    return replace(grid, values=made, notes=(*grid.notes, f"inputs of a filter: {how}{kind}"))


def record_file(
    path: str | Path,
    writer: SummaryWriter,
    *,
    tag: str = "",
    step: int = 0,
    series: str = "",
    **options: Any,
) -> Volume:
    """Open a volume and write it to a run.

    Parameters
    ----------
    path, **options
        As for :func:`open_volume`.
    writer
        Where it is written.
    tag, step
        What it is called there, by default by the file's name, and the step.
    series
        The name of the animation it is a frame of; the frames of one have tags ``SERIES/FILE``.
    """
    path = Path(path)
    if series:
        options["frame"] = {"series": series, "name": path.name}
        options["image"] = {"name": path.name, **options.get("image", {})}
    volume = open_volume(path, layer=series or path.stem, **options)
    writer.add(volume, tag or (f"{series}/{path.name}" if series else path.name), step)
    return volume


@contextmanager
def temporary_run(paths: Sequence[str | Path], **options: Any) -> Iterator[tuple[Path, list[str]]]:
    """Give a run that holds volumes of files, several as the frames of one animation; it is gone afterwards.

    Yields
    ------
    tuple[Path, list[str]]
        The directory of runs, and what there is to say of the files.
    """
    files = [Path(path) for path in paths]
    with tempfile.TemporaryDirectory(prefix="convscope-") as folder:
        logdir = Path(folder) / "volumes"
        said = []
        with SummaryWriter(logdir / "files") as writer:
            for path, name in zip(files, _names(files), strict=True):
                series = "files" if len(files) > 1 else ""
                tag = f"{series}/{name}" if series else name
                volume = record_file(path, writer, tag=tag, series=series, **options)
                about = f"{path}: {shown(volume.maps.shape)} {volume.meta['dtype']}"
                said.append("; ".join([about, *volume.meta["notes"]]))
        yield logdir, said


def _names(files: Sequence[Path]) -> list[str]:
    """Return a name for each file that no other has."""
    short = [path.name for path in files]
    twice = {name for name in short if short.count(name) > 1}
    return [f"{number} {name}" if name in twice else name for number, name in enumerate(short)]


def _write(grid: Grid, target: Path, dtype: str | None, look: dict[str, Any], *, force: bool) -> str:
    known = format_of(target)
    if known.folder and target.is_dir() and not is_volume(target):
        raise InputError(f"{target} holds no Zarr array; choose another name, for nothing else is replaced")
    before = grid.values.dtype
    if dtype is not None and dtype not in TYPES:
        raise InputError(f"a volume is written as {' or '.join(TYPES)}, not {dtype!r}")
    values, notes = _converted(grid.values, _wanted(known, dtype), look)
    made = known.encode(replace(grid, values=values), target.name)
    publish(target.parent, made, force=force, directory=known.folder)
    kept = f"{before}" if before == values.dtype else f"{before} as {values.dtype}"
    return "; ".join([f"{target}: {shown(values.shape)} {kept}", *grid.notes, *notes])


def _wanted(known: VolumeFormat, dtype: str | None) -> str | None:
    """Return the type to write: what is asked for, or the only one that a format has."""
    return dtype or ("uint8" if [*known.types] == ["uint8"] else None)


def _converted(
    values: npt.NDArray[Any], wanted: str | None, look: dict[str, Any]
) -> tuple[npt.NDArray[Any], list[str]]:
    """Return numbers in another type, and what that has cost."""
    if wanted is None or (values.dtype == wanted and not (look and wanted == "uint8")):
        return values, []
    if wanted == "float32":
        return _singles(values)
    if values.dtype.kind in "biu" and not look and values.min() >= 0 and values.max() <= _STEPS:
        return values.astype(np.uint8), []
    good, notes = _finite(values)
    made, said = _steps(Volume(good.reshape(-1, *values.shape[-2:]), **look), values.shape)
    return made, [*notes, *said]


def _singles(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return numbers as float32, and what that has cost."""
    with np.errstate(over="ignore"):  # counted below
        made = values.astype(np.float32)
    wide = np.longdouble if values.dtype.itemsize == 8 and values.dtype.kind != "f" else np.float64
    same = np.array_equal(made.astype(wide), values.astype(wide), equal_nan=True)
    beyond = int(np.isinf(made).sum() - np.isinf(values).sum()) if values.dtype.kind == "f" else 0
    notes = [f"{beyond:,} numbers are beyond float32 and became infinite"] if beyond else []
    return made, notes if same else [*notes, f"{values.dtype} is rounded to seven digits"]


def _steps(volume: Volume, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Return a volume in 256 steps of its scale, and say which that is; what lies beyond is cut off."""
    low, high = volume.ranges.T if volume.window is None else volume.window
    low, span = np.asarray(low, np.float64), np.asarray(high, np.float64) - low
    made = np.empty(volume.maps.shape, np.uint8)
    for number, values in enumerate(volume.maps):  # one at a time: in float64 a copy is as large as eight volumes
        start, width = (float(np.broadcast_to(end, len(made))[number]) for end in (low, span))
        made[number] = np.clip(np.rint((values - start) * (_STEPS / (width or 1.0))), 0, _STEPS)
    lost = f", cut at the percentiles {volume.percentiles[0]:g} and {volume.percentiles[1]:g}"
    lost = "" if tuple(volume.percentiles) == (0, 100) else lost
    if volume.window is None:
        return made.reshape(shape), [f"256 steps of each channel's own range{lost}: lossy"]
    return made.reshape(shape), [f"256 steps from {low:.6g} to {volume.window[1]:.6g} ({volume.scale}){lost}: lossy"]


def _finite(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[str]]:
    """Return numbers of which all are finite: others become the smallest that is."""
    if values.dtype.kind != "f":
        return values, []
    good = np.isfinite(values)
    bad = values.size - int(np.count_nonzero(good))
    if not bad:
        return values, []
    if bad == values.size:
        raise InputError(f"all {bad:,} numbers of the volume are NaN or infinite; there is nothing to show")
    floor = values[good].min()
    return np.where(good, values, floor), [f"{bad:,} numbers are NaN or infinite, shown as the smallest, {floor:.6g}"]
