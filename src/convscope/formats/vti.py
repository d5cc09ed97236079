"""VTI, the ImageData of VTK in XML (https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html).

Read: ascii, base64 and appended (raw or base64) arrays, plain or in zlib or lzma blocks, 32 and 64 bit headers, both
byte orders, one piece. Written: appended raw zlib blocks, little-endian. No document type is taken, so no entity is
expanded: a hostile file can name neither other files nor itself a billion times.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats.grid import (
    MAX_BYTES,
    Files,
    Grid,
    Hints,
    brief,
    count_of,
    from_base64,
    from_text,
    grid,
    inflate,
    little,
    numbers,
    storable,
    the_file,
)

TYPES: Final = {
    **{f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")},
    "float32": "Float32",
    "float64": "Float64",
}
_DTYPES: Final = {written: ours for ours, written in TYPES.items()}
_COMPRESSORS: Final = {"": "", "vtkZLibDataCompressor": "zlib", "vtkLZMADataCompressor": "lzma"}
_HEADERS: Final = {"UInt32": "u4", "UInt64": "u8"}
_BLOCK: Final = 1 << 20
_MOST_ELEMENTS: Final = 10_000
_KEPT: Final = ("VTKFile", "ImageData", "Piece", "PointData", "CellData", "DataArray")
_APPENDED: Final = re.compile(rb"<AppendedData\b([^>]{0,200})>\s*_")


@dataclass
class _Array:
    """One ``DataArray``: its attributes, the data it belongs to, and the text in it."""

    attributes: Mapping[str, str]
    owner: str
    text: list[bytes] = field(default_factory=list)


@dataclass
class _Document:
    """What an XML head says."""

    elements: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)
    arrays: list[_Array] = field(default_factory=list)

    def one(self, element: str, name: str) -> Mapping[str, str]:
        """Return the attributes of an element that has to be there once."""
        found = self.elements.get(element, [])
        if len(found) != 1:
            raise FormatError(f"{name}: it has {len(found)} elements {element}, one is read here; save it as one piece")
        return found[0]


@dataclass(frozen=True)
class _Encoding:
    """How the numbers of a file are stored."""

    order: Literal["<", ">"]
    header: np.dtype[Any]
    codec: str
    appended: bytes
    appended_base64: bool


def decode(files: Files, name: str, hints: Hints) -> Grid:  # noqa: ARG001 - as every format
    """Return the volume in a ``.vti`` file: the active or first array of its points, else of its cells.

    Raises
    ------
    FormatError
        If it is no VTK image, is damaged, or holds what is not read here.
    """
    data = the_file(files, name)
    head, tag, appended = _split(data)
    document = _parse(head, name)
    file = document.one("VTKFile", name)
    if file.get("type") != "ImageData":
        raise FormatError(f"{name} holds VTK's {file.get('type', 'nothing')[:30]!r}, not ImageData")
    image = document.one("ImageData", name)
    _whole(image, document.one("Piece", name), name)
    array, notes = _chosen(document, name)
    shape = _extent(image.get("WholeExtent", ""), array.owner, name)
    amount = _count(array.attributes.get("NumberOfComponents", "1"), name)
    values = _numbers(array, _encoding(file, tag, appended, name), (*shape, amount), name)
    steps = [_float(step) for step in reversed(image.get("Spacing", "1 1 1").split())]
    return grid(values, spacing=steps, components=True, notes=notes, where=name)


def encode(made: Grid, name: str) -> dict[str, bytes]:
    """Return a ``.vti`` file; of a volume of four axes, the second becomes the components of a voxel."""
    values = storable(made.values, TYPES)
    amount = values.shape[1] if values.ndim == 4 else 1
    order = np.moveaxis(values, 1, -1) if values.ndim == 4 else values
    channels, rows, columns = order.shape[:3]
    extent = f"0 {columns - 1} 0 {rows - 1} 0 {channels - 1}"
    steps = " ".join(repr(step) for step in reversed(made.spacing))
    title = quoteattr(name.rpartition("/")[2].rpartition(".")[0] or "volume")
    head = f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64" \
compressor="vtkZLibDataCompressor">
  <!-- x is the column, y the row, z the channel -->
  <ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{steps}">
    <Piece Extent="{extent}">
      <PointData Scalars={title}>
        <DataArray type="{TYPES[values.dtype.name]}" Name={title} NumberOfComponents="{amount}" \
format="appended" offset="0"/>
      </PointData>
      <CellData/>
    </Piece>
  </ImageData>
  <AppendedData encoding="raw">
   _"""
    return {name: b"".join((head.encode(), _packed(little(order)), b"\n  </AppendedData>\n</VTKFile>\n"))}


def _packed(data: bytes) -> bytes:
    blocks = [zlib.compress(data[start : start + _BLOCK], 6) for start in range(0, len(data), _BLOCK)]
    sizes = [len(blocks), _BLOCK, len(data) % _BLOCK, *(len(block) for block in blocks)]
    return np.array(sizes, "<u8").tobytes() + b"".join(blocks)


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the XML without its appended part, the attributes of that part, and what it holds."""
    found = _APPENDED.search(data)
    if found is None:
        return data, b"", b""
    return data[: found.start()] + b"</VTKFile>", found[1], data[found.end() :]


def _parse(head: bytes, name: str) -> _Document:
    """Read elements and arrays; document types are refused before anything in them is taken."""
    document = _Document()
    owners: list[str] = []
    open_array: list[_Array] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise FormatError(f"{name} declares a document type, which no VTK file needs; it is not opened")

    def start(element: str, attributes: dict[str, str]) -> None:
        if element in ("PointData", "CellData", "FieldData"):
            owners.append(element)
        if element in _KEPT:
            found = document.elements.setdefault(element, [])
            if len(found) >= _MOST_ELEMENTS:
                raise FormatError(f"{name} has more than {_MOST_ELEMENTS:,} elements {element}; it is not opened")
            found.append(attributes)
        if element == "DataArray" and owners and owners[-1] != "FieldData":
            open_array.append(_Array(attributes, owners[-1]))
            document.arrays.append(open_array[-1])

    def end(element: str) -> None:
        if element == "DataArray":
            open_array.clear()

    def text(part: str) -> None:
        if open_array:
            open_array[-1].text.append(part.encode("ascii", "replace"))

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(head, True)  # noqa: FBT003 - expat takes it by place only
    except (expat.ExpatError, LookupError) as error:
        raise FormatError(f"{name} is no well-formed XML ({brief(error)}); a VTK image is") from error
    return document


def _chosen(document: _Document, name: str) -> tuple[_Array, list[str]]:
    """Return the array that is shown, and a note where there are others."""
    of_points = [array for array in document.arrays if array.owner == "PointData"]
    arrays = of_points or document.arrays
    if not arrays:
        raise FormatError(f"{name} holds no array of points or cells; there is nothing to show")
    owner = document.elements.get(arrays[0].owner, [{}])[0]
    active = [array for array in arrays if array.attributes.get("Name") == owner.get("Scalars", "")]
    array = (active or arrays)[0]
    if len(document.arrays) == 1:
        return array, []
    title = array.attributes.get("Name", "")[:60]
    return array, [f"of its {len(document.arrays)} arrays, {title!r} is taken"]


def _whole(image: Mapping[str, str], piece: Mapping[str, str], name: str) -> None:
    if piece.get("Extent", "").split() != image.get("WholeExtent", "").split():
        raise FormatError(f"{name} holds a part of a larger image; save it as one piece")


def _extent(text: str, owner: str, name: str) -> tuple[int, int, int]:
    """Return the sizes, slowest axis first; cells are one fewer than points where there is more than one point."""
    words = text.split()
    if len(words) != 6 or not all(re.fullmatch(r"-?\d{1,18}", word) for word in words):
        raise FormatError(f"{name}: its extent {text[:60]!r} is not six whole numbers; it is damaged")
    low, high = [int(word) for word in words[::2]], [int(word) for word in words[1::2]]
    points = [last - first + 1 for first, last in zip(low, high, strict=True)]
    x, y, z = points if owner == "PointData" else [size - 1 if size > 1 else size for size in points]
    return z, y, x


def _count(text: str, name: str) -> int:
    if not re.fullmatch(r"\s*[1-9]\d{0,8}\s*", text):
        raise FormatError(f"{name}: its number of components is {text[:20]!r}; it is damaged")
    return int(text)


def _encoding(file: Mapping[str, str], tag: bytes, appended: bytes, name: str) -> _Encoding:
    compressor, header = file.get("compressor", ""), file.get("header_type", "UInt32")
    if compressor not in _COMPRESSORS:
        raise FormatError(f"{name} is packed by {compressor[:40]}, which is not read here; save it with zlib")
    if header not in _HEADERS:
        raise FormatError(f"{name}: its header type {header[:20]!r} is neither UInt32 nor UInt64; it is damaged")
    order: Literal["<", ">"] = ">" if file.get("byte_order") == "BigEndian" else "<"
    return _Encoding(order, np.dtype(order + _HEADERS[header]), _COMPRESSORS[compressor], appended, b"base64" in tag)


def _numbers(array: _Array, encoding: _Encoding, shape: tuple[int, ...], name: str) -> npt.NDArray[Any]:
    kind = array.attributes.get("type", "")
    if kind not in _DTYPES:
        raise FormatError(f"{name}: numbers of type {kind[:20]!r} are not read here; there are: {', '.join(_DTYPES)}")
    dtype = np.dtype(_DTYPES[kind]).newbyteorder(encoding.order)
    count = count_of(shape, dtype.itemsize, name)
    how = array.attributes.get("format", "ascii")
    if how == "ascii":
        return from_text(b"".join(array.text), dtype, shape, name)
    if how == "binary":
        data = from_base64(b"".join(array.text), name)
    elif how == "appended":
        data = _appended(array.attributes.get("offset", "0"), encoding, name)
    else:
        raise FormatError(f"{name}: the format {how[:20]!r} of an array is not read here; save it as appended")
    return numbers(_unpacked(data, encoding, count * dtype.itemsize, name), dtype, shape, name)


def _appended(offset: str, encoding: _Encoding, name: str) -> bytes:
    if not re.fullmatch(r"\s*\d{1,18}\s*", offset) or int(offset) >= len(encoding.appended):
        raise FormatError(f"{name}: an array starts at byte {offset[:20]!r} of the data, which is not there")
    data = encoding.appended[int(offset) :]
    return from_base64(data.partition(b"<")[0], name) if encoding.appended_base64 else data


def _unpacked(data: bytes, encoding: _Encoding, expected: int, name: str) -> bytes:
    """Return the bytes of the numbers: behind their number, or in blocks that are packed one by one."""
    width = encoding.header.itemsize
    cut = FormatError(f"{name}: its numbers end too early; the file is cut off")
    if len(data) < width:
        raise cut
    first = int(np.frombuffer(data, encoding.header, 1)[0])
    if not encoding.codec:
        if first != expected:
            raise FormatError(f"{name}: its numbers take {expected:,} bytes, it says {first:,}; it is damaged")
        return data[width : width + expected]
    blocks = first
    if len(data) < width * (3 + blocks) or blocks > MAX_BYTES:
        raise cut
    _, size, last, *packed = np.frombuffer(data, encoding.header, 3 + blocks).tolist()
    sizes = [size] * (blocks - 1) + [last or size] if blocks else []
    if sum(sizes) != expected:
        raise FormatError(f"{name}: its numbers take {expected:,} bytes, its blocks {sum(sizes):,}; it is damaged")
    out, start = [], width * (3 + blocks)
    for raw, length in zip(sizes, packed, strict=True):
        out.append(inflate(data[start : start + length], encoding.codec, raw, name))
        start += length
    return b"".join(out)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
