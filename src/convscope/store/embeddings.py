"""Embeddings that were logged for TensorBoard's projector, read back whoever has written them."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from convscope.errors import ConvscopeError, FormatError, StorageError
from convscope.formats import projector
from convscope.formats.projector import ConfigEntry, Matrix
from convscope.store.projector import CONFIG
from convscope.summary import MAX_TAG_LENGTH

_LARGEST_CONFIG: Final = 1 << 26
_LARGEST_SPRITE: Final = 1 << 28
_MAPPED_FROM: Final = 1 << 24  # bytes
T = TypeVar("T")


@dataclass(frozen=True)
class ProjectorEmbedding:
    """An embedding at a step.

    Attributes
    ----------
    tag, step
        What it was logged as.
    vectors
        ``(N, D)`` float32.
    metadata
        Columns of ``N`` texts, by their names; empty if there are none.
    sprite
        The picture that holds the thumbnails, if there is one.
    thumbnail
        Width and height of a thumbnail in it, in pixels.
    """

    tag: str
    step: int
    vectors: Matrix
    metadata: dict[str, list[str]]
    sprite: Path | None = None
    thumbnail: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def thumbnails(self) -> npt.NDArray[np.uint8] | None:
        """The thumbnails ``(N, H, W, C)``, read from the file each time they are asked for.

        Raises
        ------
        FormatError
            If the file is not a picture with as many of them.
        StorageError
            If it cannot be read.
        """
        return None if self.sprite is None else _cut(self.sprite, self.thumbnail, len(self))


@dataclass(frozen=True)
class ListedEmbedding:
    """An embedding that a configuration names; nothing of it is read yet.

    Attributes
    ----------
    run, entry
        The run directory, and what its configuration says.
    tag, step
        What it was logged as.
    wall_time
        When its vectors were written, in seconds since 1970.
    bytes
        The size of its files.
    stamp
        Another one when any of its files is.
    """

    run: Path
    entry: ConfigEntry
    tag: str
    step: int
    wall_time: float
    bytes: int
    stamp: str

    def read(self) -> ProjectorEmbedding:
        """Read its files.

        Raises
        ------
        FormatError
            If they are damaged or missing.
        """
        return _read(self.run, self.entry, self.tag, self.step)


class Projected:
    """What the configuration of a run directory names, found again when it has changed.

    Parameters
    ----------
    run
        The run directory.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._stamp: tuple[int, int, int] | None = None
        self._found: list[ListedEmbedding] | None = []

    @property
    def watched(self) -> tuple[str, ...]:
        """The files whose change is one of this."""
        return () if self._stamp is None else (CONFIG,)

    def look(self) -> bool:
        """Look at the configuration; return whether it is another one."""
        try:
            seen = os.stat(f"{self._run}/{CONFIG}")  # noqa: PTH116  asked several times a second of every run
        except OSError:
            stamp = None
        else:
            stamp = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
        if stamp == self._stamp:
            return False
        self._stamp, self._found = stamp, None if stamp else []
        return True

    def listed(self) -> list[ListedEmbedding]:
        """Return the embeddings that are there to be read, by step; those without files are passed over."""
        if self._found is None:
            self._found = sorted(_named(self._run), key=lambda item: item.step)
        return self._found


def _named(run: Path) -> Iterator[ListedEmbedding]:
    try:
        entries = projector.decode_config(_bytes(run / CONFIG, _LARGEST_CONFIG).decode())
    except (FormatError, OSError, UnicodeDecodeError):
        return
    for entry in entries:
        listed = _listed(run, entry) if entry.tensor_path else None
        if listed is not None:
            yield listed


def _listed(run: Path, entry: ConfigEntry) -> ListedEmbedding | None:
    tag, step = projector.tag_and_step(entry.name)
    try:
        paths = filter(None, (entry.tensor_path, entry.metadata_path, entry.sprite_path))
        found = [_inside(run, path).stat() for path in paths]
    except (FormatError, OSError, ValueError):
        return None
    if not tag.strip() or len(tag) > MAX_TAG_LENGTH:
        return None
    told = repr((str(run), entry, [(one.st_mtime_ns, one.st_size, one.st_ino) for one in found]))
    stamp = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
    return ListedEmbedding(run, entry, tag, step, found[0].st_mtime, sum(one.st_size for one in found), stamp)


def read_embeddings(run: Path, tag: str | None = None) -> tuple[list[ProjectorEmbedding], list[str]]:
    """Return the embeddings of a run directory, those of one tag or all, and what could not be read."""
    try:
        entries = projector.decode_config(_bytes(run / CONFIG, _LARGEST_CONFIG).decode())
    except FileNotFoundError:
        return [], []
    except (FormatError, OSError, UnicodeDecodeError) as error:
        return [], [f"{CONFIG}: {error}"]
    found, problems = [], []
    for entry in entries:
        name, step = projector.tag_and_step(entry.name)
        if tag in (None, name):
            try:
                found.append(_read(run, entry, name, step))
            except FormatError as error:
                problems.append(f"the embedding {entry.name!r}: {error}")
    return sorted(found, key=lambda item: item.step), problems


def problem_of_embedding(run: Path, entry: ConfigEntry) -> str:
    """Return what is wrong with the files of an embedding; nothing if all is well."""
    try:
        _ = _read(run, entry, *projector.tag_and_step(entry.name)).thumbnails
    except ConvscopeError as error:
        return str(error)
    return ""


def _read(run: Path, entry: ConfigEntry, tag: str, step: int) -> ProjectorEmbedding:
    if not entry.tensor_path:
        raise FormatError("is kept in a checkpoint of TensorFlow, which is not read; log it with add_embedding()")
    vectors = _mapped(run, entry)
    if vectors is None:
        vectors = _decoded(run, entry.tensor_path, lambda data: projector.decode_vectors(data, entry.shape))
    metadata: dict[str, list[str]] = {}
    if entry.metadata_path:
        count = len(vectors)
        metadata = _decoded(run, entry.metadata_path, lambda data: projector.decode_metadata(data, count))
    sprite = _inside(run, entry.sprite_path) if entry.sprite_path else None
    if sprite is not None and (min(entry.thumbnail) < 1 or not sprite.is_file()):
        raise FormatError(f"its sprite {entry.sprite_path!r} is not there, or the size of a thumbnail is not told")
    return ProjectorEmbedding(tag, step, vectors, metadata, sprite, entry.thumbnail)


def _mapped(run: Path, entry: ConfigEntry) -> Matrix | None:
    """Return raw vectors as the memory their file is mapped to; ``None`` where they are few, or a table of text."""
    try:
        path = _inside(run, entry.tensor_path)
        size = path.stat().st_size
        if size < _MAPPED_FROM or len(entry.shape) != 2 or size != 4 * entry.shape[0] * entry.shape[1]:
            return None
        with path.open("rb") as file:
            if projector.is_table(file.read(4096)):
                return None
        return np.memmap(path, "<f4", "r", shape=(entry.shape[0], entry.shape[1]))
    except (OSError, ValueError):  # told when it is read
        return None


def _decoded(run: Path, path: str, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(_inside(run, path).read_bytes())
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror or error})") from error
    except FormatError as error:
        raise FormatError(f"{path} {error}") from error


def _inside(run: Path, path: str) -> Path:
    """Return the file a configuration names; it must lie in the run directory, links followed."""
    try:
        file = (run / path).resolve()
    except (OSError, ValueError) as error:
        raise FormatError(f"{path!r} is not the path of a file ({error})") from error
    if not file.is_relative_to(run.resolve()):
        raise FormatError(f"{path!r} leads out of the run directory and is not read")
    return file


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise FormatError(f"has more than {most} bytes")
    return data


def _cut(path: Path, size: tuple[int, int], count: int) -> npt.NDArray[np.uint8]:
    width, height = size
    picture = _pixels(path)
    columns, rows = picture.shape[1] // width, picture.shape[0] // height
    if columns * rows < count:
        raise FormatError(f"{path.name} has room for {columns * rows} thumbnails {width} × {height}, not for {count}")
    cells = picture[: rows * height, : columns * width].reshape(rows, height, columns, width, -1)
    return cells.swapaxes(1, 2).reshape(rows * columns, height, width, -1)[:count]


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image

    try:
        data = _bytes(path, _LARGEST_SPRITE)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Any = Image.open(io.BytesIO(data))
            if picture.mode not in ("L", "RGB", "RGBA"):
                picture = picture.convert("RGB")
            pixels = np.asarray(picture)
    except OSError as error:
        if error.errno is not None:
            raise StorageError(f"cannot read {path} ({error}); it was there when the run was read") from error
        raise FormatError(f"{path.name} is not a picture ({error})") from error
    except (ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise FormatError(f"{path.name} is not a picture that can be read ({error})") from error
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
