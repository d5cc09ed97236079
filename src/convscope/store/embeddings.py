"""Embeddings that were logged for TensorBoard's projector, read back whoever has written them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from convscope.errors import ConvscopeError, FormatError, StorageError
from convscope.formats import projector
from convscope.formats.projector import ConfigEntry, Matrix
from convscope.store.projector import CONFIG

_LARGEST_CONFIG: Final = 1 << 26
_LARGEST_SPRITE: Final = 1 << 28
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
    vectors = _decoded(run, entry.tensor_path, lambda data: projector.decode_vectors(data, entry.shape))
    metadata: dict[str, list[str]] = {}
    if entry.metadata_path:
        count = len(vectors)
        metadata = _decoded(run, entry.metadata_path, lambda data: projector.decode_metadata(data, count))
    sprite = _inside(run, entry.sprite_path) if entry.sprite_path else None
    if sprite is not None and (min(entry.thumbnail) < 1 or not sprite.is_file()):
        raise FormatError(f"its sprite {entry.sprite_path!r} is not there, or the size of a thumbnail is not told")
    return ProjectorEmbedding(tag, step, vectors, metadata, sprite, entry.thumbnail)


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
