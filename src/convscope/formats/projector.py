"""What TensorBoard's projector reads: its configuration, and tables of vectors and of metadata.

The projector takes a file of vectors for a table of numbers wherever its bytes are UTF-8, and only otherwise for raw
``float32``. It takes the first line of the metadata for names of columns only if there is a tab in it, and passes over
lines that are blank.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats.pbtxt import Field, parse, quote

LABEL: Final = "label"
_ENTRY: Final = "embeddings"
_BLANK: Final = "\u200b"  # no white space to the projector, and nothing to the eye: it keeps a blank line in its place
_BLANK_LINE: Final = re.compile(r"[\s\ufeff]*")
_BREAKS: Final = re.compile(r"\r\n|[\t\n\r]")
_STEP: Final = re.compile(r"(.+)(?::(-?\d{4,})|_(\d{6,}))")

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ConfigEntry:
    """What ``projector_config.pbtxt`` says about one embedding.

    Attributes
    ----------
    name
        The tag and the step as ``tag:00005``.
    tensor_path, metadata_path, sprite_path
        The files, relative to that of the configuration; ``""`` where there is none.
    shape
        ``(N, D)``, which raw vectors need; empty where it is not told.
    thumbnail
        Width and height of a picture in the sprite, in pixels; (0, 0) where it is not told.
    """

    name: str
    tensor_path: str
    shape: tuple[int, ...] = ()
    metadata_path: str = ""
    sprite_path: str = ""
    thumbnail: tuple[int, int] = (0, 0)


def name_of(tag: str, step: int) -> str:
    """Return what the projector calls an embedding.

    >>> name_of("codes", 7)
    'codes:00007'
    """
    return f"{tag}:{step:05d}"


def tag_and_step(name: str) -> tuple[str, int]:
    """Return the tag and the step in a name that convscope, torch, tensorboardX or MXBoard has given.

    >>> tag_and_step("codes:00007"), tag_and_step("codes_000007"), tag_and_step("codes")
    (('codes', 7), ('codes', 7), ('codes', 0))
    """
    match = _STEP.fullmatch(name)
    return (match[1], int(match[2] or match[3])) if match else (name.removesuffix(":0"), 0)


def encode_entry(entry: ConfigEntry) -> str:
    """Return an entry as it stands in the configuration."""
    lines = [f"tensor_name: {quote(entry.name)}", f"tensor_path: {quote(entry.tensor_path)}"]
    lines += [f"tensor_shape: {size}" for size in entry.shape]
    if entry.metadata_path:
        lines.append(f"metadata_path: {quote(entry.metadata_path)}")
    if entry.sprite_path:
        sizes = [f"    single_image_dim: {size}" for size in entry.thumbnail]
        lines += ["sprite {", f"    image_path: {quote(entry.sprite_path)}", *sizes, "  }"]
    return "\n  ".join([f"{_ENTRY} {{", *lines]) + "\n}\n"


def without(text: str, name: str) -> str:
    """Return a configuration without the entries of a name; whatever else is in it stays as it is written.

    Raises
    ------
    FormatError
        If it is not a configuration.
    """
    fields = parse(text)
    kept = [field for field in fields if not (field.name == _ENTRY and _entry(field).name == name)]
    if len(kept) == len(fields):
        return text if not text or text.endswith("\n") else f"{text}\n"
    return "".join(f"{item.name}{'' if isinstance(item.value, list) else ':'} {item.source}\n" for item in kept)


def decode_config(text: str) -> list[ConfigEntry]:
    """Return the entries of a configuration, whoever has written it; of one name the last.

    Raises
    ------
    FormatError
        If it is not a configuration.
    """
    entries = [_entry(field) for field in parse(text) if field.name == _ENTRY]
    return list({entry.name: entry for entry in entries}.values())


def _entry(field: Field) -> ConfigEntry:
    fields = _message(field)
    sprites = [_message(item) for item in fields if item.name == "sprite"]
    sprite = sprites[-1] if sprites else []
    width, height = (*_numbers(sprite, "single_image_dim"), 0, 0)[:2]
    path = _string(fields, "tensor_path")
    return ConfigEntry(
        _string(fields, "tensor_name") or path.rpartition("/")[2],
        path,
        tuple(_numbers(fields, "tensor_shape")),
        _string(fields, "metadata_path"),
        _string(sprite, "image_path"),
        (width, height),
    )


def _message(field: Field) -> list[Field]:
    if isinstance(field.value, str):
        raise FormatError(f"{field.name} should be a message, not {field.source[:40]!r}")
    return field.value


def _string(fields: Sequence[Field], name: str) -> str:
    found = [field.value for field in fields if field.name == name and isinstance(field.value, str)]
    return found[-1] if found else ""


def _numbers(fields: Sequence[Field], name: str) -> list[int]:
    try:
        return [int(str(field.value)) for field in fields if field.name == name]
    except ValueError:
        raise FormatError(f"{name} should be a whole number") from None


def encode_vectors(vectors: Matrix) -> tuple[bytes, bool]:
    """Return vectors as the projector reads them, and whether that is a table of text.

    Raw ``float32`` wherever it cannot be taken for text: up to the first byte that is a line feed it must not be UTF-8,
    which it is for an all-zero matrix.
    """
    data = np.ascontiguousarray(vectors, "<f4").tobytes()
    return (_table(vectors), True) if _starts_as_text(data) else (data, False)


def _starts_as_text(data: bytes) -> bool:
    try:
        data.lstrip(b"\n").partition(b"\n")[0].decode()
    except UnicodeDecodeError:
        return False
    return True


def _table(vectors: Matrix) -> bytes:
    line = "\t".join(["%.9g"] * vectors.shape[1]) + "\n"  # nine digits hold a float32
    return "".join([line % tuple(row) for row in vectors.tolist()]).encode()


def decode_vectors(data: bytes, shape: tuple[int, ...]) -> Matrix:
    """Return vectors, ``(N, D)``, from a table of text or from raw ``float32``.

    Parameters
    ----------
    data
        The file.
    shape
        ``(N, D)`` as the configuration has it; a table of text needs none.

    Raises
    ------
    FormatError
        If the file is neither, or its size is not that of the shape.
    """
    if len(shape) == 2 and len(data) == 4 * shape[0] * shape[1] and not is_table(data):
        return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)
    if not is_table(data):
        raise FormatError(f"has {len(data)} bytes, which are neither a table of numbers nor float32 of shape {shape}")
    try:
        return np.loadtxt(io.BytesIO(data), np.float32, comments=None, delimiter="\t", ndmin=2)
    except ValueError as error:
        raise FormatError(f"is not a table of numbers ({error})") from error


def is_table(data: bytes) -> bool:
    """Tell whether a file that starts like this holds numbers in text."""
    start = data[:4096].lstrip()
    return bool(start) and re.match(rb"[-+.\deEinfaINFA\s]+\Z", start) is not None


def encode_metadata(columns: Mapping[str, Sequence[str]]) -> bytes:
    """Return columns of text as the projector reads them.

    Tabs and line breaks in them become blanks. A single column has no name in the file.
    """
    names = list(columns)
    cells = [[_BREAKS.sub(" ", cell) for cell in columns[name]] for name in names]
    rows = cells[0] if len(cells) == 1 else ["\t".join(row) for row in zip(*cells, strict=True)]
    lines = [_BLANK + row if _BLANK_LINE.fullmatch(row) else row for row in rows]
    if len(names) > 1:
        lines.insert(0, "\t".join(_BREAKS.sub(" ", name) for name in names))
    return "".join([f"{line}\n" for line in lines]).encode("utf-8", "replace")


def decode_metadata(data: bytes, count: int) -> dict[str, list[str]]:
    """Return the columns of metadata; a single one without a name is called ``label``.

    Parameters
    ----------
    data
        The file.
    count
        How many vectors there are: so many lines it must have.

    Raises
    ------
    FormatError
        If it has fewer or more lines.
    """
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    has_names = bool(lines) and ("\t" in lines[0] or len(lines) == count + 1)
    names, rows = (lines[0].split("\t"), lines[1:]) if has_names else ([LABEL], lines)
    if len(rows) != count:
        rows = [row for row in rows if row.strip()]
    if len(rows) != count:
        raise FormatError(f"has {len(rows)} lines of metadata for {count} vectors")
    width = len(names)
    cells = [_unmarked(row).split("\t", width - 1) + [""] * width for row in rows]
    return {name: [row[column] for row in cells] for column, name in enumerate(names)}


def _unmarked(row: str) -> str:
    """Return a row without what keeps a blank one in its place."""
    return row[1:] if row.startswith(_BLANK) and _BLANK_LINE.fullmatch(row, 1) else row
