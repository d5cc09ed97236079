"""Volumes in the files of other programs: what is read is what was written, and hostile files harm nobody."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import struct
import time
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from convscope.errors import ConvscopeError, FormatError, InputError, NotFoundError, StorageError
from convscope.formats import npy, vox, zarr
from convscope.formats.crc32c import crc32c
from convscope.formats.grid import Grid, Hints
from convscope.formats.volumes import VOLUME_FORMATS
from convscope.inspect.volume import Volume
from convscope.jobs import volumes
from convscope.jobs.files import FolderFiles

RANDOM = np.random.default_rng(0)
WAVES = np.add.outer(np.sin(np.arange(20) / 2), np.cos(np.arange(32) / 2))
SMOOTH = np.stack([60 * WAVES + 127, 127 - 60 * WAVES, 30 * WAVES + 60]).astype(np.uint8)
"""Maps as networks make them: neighbours are alike."""
OTHERS = [suffix for suffix in VOLUME_FORMATS if suffix != ".vox"]


class Memory:
    """Files in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def names(self, folder: str) -> Sequence[str]:
        inside = (name.removeprefix(f"{folder}/") for name in self.files if name.startswith(f"{folder}/"))
        return sorted({name.split("/")[0] for name in inside})


def decoded(files: dict[str, bytes] | bytes, name: str, **hints: Any) -> Grid:
    memory = Memory(files if isinstance(files, dict) else {name: files})
    return VOLUME_FORMATS[name[name.rindex(".") :]].decode(memory, name, Hints(**hints))


def header(values: np.ndarray, *more: str, **fields: str) -> bytes:
    """Write the header of a NRRD file by hand."""
    sizes = " ".join(str(size) for size in reversed(values.shape))
    said = {"type": "short", "dimension": str(values.ndim), "sizes": sizes, "encoding": "raw", "endian": "little"}
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in {**said, **fields}.items()]
    return "\n".join(["NRRD0004", "# a comment", *lines, *more, "key:=value", "", ""]).encode()


def image(array: str, attributes: str = "", appended: str = "", extent: str = "0 3 0 2 0 1") -> bytes:
    """Write a VTK image by hand."""
    return (
        f'<?xml version="1.0"?><VTKFile type="ImageData" version="1.0" {attributes}>'
        f'<ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="1 2 3"><Piece Extent="{extent}">'
        f"<PointData>{array}</PointData></Piece></ImageData>{appended}</VTKFile>"
    ).encode()


@pytest.mark.parametrize("suffix", OTHERS)
@given(
    values=st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "?"]).flatmap(
        lambda kind: arrays(kind, array_shapes(min_dims=3, max_dims=4, max_side=5))
    )
)
@settings(max_examples=25)
def test_what_is_written_is_read_back_to_the_last_bit(suffix: str, values: np.ndarray) -> None:
    name = f"volume{suffix}"
    files = VOLUME_FORMATS[suffix].encode(Grid(values, (2.0, 1.0, 0.5)), name)
    back = decoded(files, name).values
    if values.dtype in (np.float16, np.bool_) and suffix in (".nrrd", ".nhdr", ".vti"):
        values = values.astype(np.float32 if values.dtype == np.float16 else np.uint8)  # these formats have neither
    if suffix == ".vti" and values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]  # one component is none
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


def test_vox_is_what_the_old_tool_wrote_to_the_last_byte() -> None:
    maps = RANDOM.random((96, 55, 55)).astype(np.float32) * 7
    old = np.rint((maps - maps.min()) / (maps.max() - maps.min()) * 255).astype(np.int16).astype(np.int8)  # it wraps
    files = {"L1_conv1.vox": old.tobytes(), "L1_conv1.hd": b"Size 55x55x96 unsigned byte \nSpacing 1.0x1.0x1.0"}
    grid = decoded(files, "L1_conv1.vox")
    np.testing.assert_array_equal(grid.values, old.view(np.uint8))
    assert grid.values.max() == 255
    assert not grid.notes
    assert vox.encode(grid, "L1_conv1.vox") == files


def test_our_bytes_of_a_volume_are_those_of_the_old_tool(tmp_path: Path) -> None:
    maps = RANDOM.random((4, 6, 6)).astype(np.float32) * 7
    said = volumes.write_volume(Volume(maps), tmp_path / "a.vox")
    expected = np.rint((maps.astype(np.float64) - maps.min()) / (maps.max() - maps.min()) * 255).astype(np.uint8)
    assert (tmp_path / "a.vox").read_bytes() == expected.tobytes()
    assert "float32 as uint8" in said
    assert "lossy" in said


def test_a_map_that_is_not_square_is_read_both_ways_written_right_and_said() -> None:
    right = vox.encode(Grid(SMOOTH), "a.vox")
    assert right["a.hd"] == b"Size 32x20x3 unsigned byte \nSpacing 1.0x1.0x1.0"
    ours = decoded(right, "a.vox")
    np.testing.assert_array_equal(ours.values, SMOOTH)
    assert "20 rows and 32 columns (the old CNN-VIS wrote rows first: --hd rows-first)" in ours.notes[0]
    old = {"a.vox": SMOOTH.tobytes(), "a.hd": b"Size 20x32x3 unsigned byte \nSpacing 1.0x1.0x1.0"}
    assert "try --hd rows-first" in decoded(old, "a.vox").notes[0], "sheared maps are noticed"
    turned = decoded(old, "a.vox", rows_first=True)
    np.testing.assert_array_equal(turned.values, SMOOTH)
    assert turned.notes == ("its header names rows first: 20 rows and 32 columns",)
    assert "try --hd columns-first" in decoded(right, "a.vox", rows_first=True).notes[0]


def test_vox_without_a_header_needs_its_shape() -> None:
    data = SMOOTH.tobytes()
    np.testing.assert_array_equal(decoded(data, "a.vox", shape=(3, 20, 32)).values, SMOOTH)
    with pytest.raises(InputError, match=r"has 1,920 bytes and no a\.hd beside it.*--shape CHANNELS,ROWS,COLUMNS"):
        decoded(data, "a.vox")
    with pytest.raises(FormatError, match="1,920 bytes, but 3×5×9 voxels take 135"):
        decoded(data, "a.vox", shape=(3, 5, 9))
    for text in (b"", b"Size 8x5x3 float \n", b"Size 8x5", b"Size 0x5x3 unsigned byte ", b"Size 9x5x3 unsigned byte "):
        with pytest.raises(FormatError):
            decoded({"a.vox": data, "a.hd": text}, "a.vox")
    with pytest.raises(InputError, match="scale it to uint8"):
        vox.encode(Grid(SMOOTH.astype(np.float32)), "a.vox")


NUMBERS = RANDOM.integers(-3000, 3000, (2, 3, 4)).astype(np.int16)


@pytest.mark.parametrize(
    "data",
    [
        header(NUMBERS) + NUMBERS.tobytes(),
        header(NUMBERS, endian="big") + NUMBERS.astype(">i2").tobytes(),
        header(NUMBERS, encoding="gz") + gzip.compress(NUMBERS.tobytes()),
        header(NUMBERS, encoding="gzip")
        + gzip.compress(NUMBERS.tobytes()[:20])
        + gzip.compress(NUMBERS.tobytes()[20:]),
        header(NUMBERS, encoding="bzip2") + bz2.compress(NUMBERS.tobytes()),
        header(NUMBERS, encoding="ascii") + " ".join(map(str, NUMBERS.ravel())).encode() + b"\n",
        header(NUMBERS, encoding="hex") + NUMBERS.tobytes().hex().encode(),
        header(NUMBERS, line_skip="2", byte_skip="3") + b"x\ny\nabc" + NUMBERS.tobytes(),
        header(NUMBERS, byte_skip="-1") + b"whatever" + NUMBERS.tobytes(),
        header(NUMBERS, type="int16_t").replace(b"\n", b"\r\n") + NUMBERS.tobytes(),
    ],
)
def test_nrrd_in_every_encoding(data: bytes) -> None:
    np.testing.assert_array_equal(decoded(data, "a.nrrd").values, NUMBERS)


def test_nrrd_says_spacing_and_components() -> None:
    directions = "space directions: (0.5,0,0) (0,2,0) (0,0,-3)"
    assert decoded(header(NUMBERS, directions) + NUMBERS.tobytes(), "a.nrrd").spacing == (3.0, 2.0, 0.5)
    assert decoded(header(NUMBERS, spacings="1 nan 4") + NUMBERS.tobytes(), "a.nrrd").spacing == (4.0, 1.0, 1.0)
    colours = RANDOM.integers(0, 9, (2, 3, 4, 3)).astype(np.int16)  # x, y, z and the colour fastest of all
    kinds = "kinds: RGB-color domain domain domain"
    found = decoded(header(colours, kinds, spacings="nan 1 2 3") + colours.tobytes(), "a.nrrd")
    np.testing.assert_array_equal(found.values, np.moveaxis(colours, -1, 1))
    assert found.spacing == (3.0, 2.0, 1.0)
    assert "(C, I, H, W)" in found.notes[0]


def test_a_nrrd_header_names_its_data_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(NUMBERS.tobytes())
    (tmp_path / "in" / "a.raw").write_bytes(NUMBERS.tobytes())
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "secret.raw")
    path = tmp_path / "in" / "a.nhdr"
    path.write_bytes(header(NUMBERS, data_file="./a.raw"))
    np.testing.assert_array_equal(volumes.read_grid(path).values, NUMBERS)
    for outside in ("../secret.raw", str(tmp_path / "secret.raw"), "link.raw", "..\\secret.raw"):
        path.write_bytes(header(NUMBERS, data_file=outside))
        with pytest.raises(InputError, match="outside its folder"):
            volumes.read_grid(path)
    for several in ("LIST", "a%02d.raw 1 3 1"):
        path.write_bytes(header(NUMBERS, data_file=several))
        with pytest.raises(FormatError, match="several files"):
            volumes.read_grid(path)


def inline(data: bytes, width: str = "<u4") -> str:
    return base64.b64encode(np.array([len(data)], width).tobytes() + data).decode()


def in_blocks(data: bytes, size: int, width: str = "<u4") -> tuple[bytes, bytes]:
    parts = [zlib.compress(data[start : start + size]) for start in range(0, len(data), size)]
    sizes = [len(parts), size, len(data) % size, *map(len, parts)]
    return np.array(sizes, width).tobytes(), b"".join(parts)


def test_vti_ascii_inline_appended_and_packed() -> None:
    big = NUMBERS.astype(">i2").tobytes()
    zlib_blocks = 'compressor="vtkZLibDataCompressor" byte_order="LittleEndian"'
    sizes, packed = in_blocks(NUMBERS.tobytes(), 20)
    raw = np.array([48], "<u8").tobytes() + NUMBERS.tobytes()
    array = '<DataArray type="Int16" Name="a" format="{}" {}>{}</DataArray>'
    tail = '<AppendedData encoding="{}"> _{}</AppendedData>'
    at = array.format("appended", 'offset="0"', "")
    files = [
        image(array.format("ascii", "", " ".join(map(str, NUMBERS.ravel())))),
        image(array.format("binary", "", inline(NUMBERS.tobytes())), 'byte_order="LittleEndian"'),
        image(array.format("binary", "", inline(big, ">u8")), 'byte_order="BigEndian" header_type="UInt64"'),
        image(array.format("binary", "", (base64.b64encode(sizes) + base64.b64encode(packed)).decode()), zlib_blocks),
        image(at, 'header_type="UInt64"', tail.format("base64", inline(NUMBERS.tobytes(), "<u8"))),
        image(at, 'header_type="UInt64"', tail.format("raw", "@")).replace(b"@", raw),
        image(at, zlib_blocks, tail.format("raw", "@")).replace(b"@", sizes + packed),
    ]
    for data in files:
        grid = decoded(data, "a.vti")
        np.testing.assert_array_equal(grid.values, NUMBERS)
        assert grid.spacing == (3.0, 2.0, 1.0)


def test_vti_takes_the_active_array_and_says_so() -> None:
    arrays = "".join(
        f'<DataArray type="UInt8" Name="{name}" format="ascii">{" ".join([number] * 24)}</DataArray>'
        for name, number in (("first", "1"), ("second", "2"))
    )
    active = image(arrays).replace(b"<PointData>", b'<PointData Scalars="second">')
    grid = decoded(active, "a.vti")
    assert (grid.values == 2).all()
    assert grid.notes == ("of its 2 arrays, 'second' is taken",)
    cells = image(arrays, extent="0 4 0 3 0 2").replace(b"PointData", b"CellData")
    assert decoded(cells, "a.vti").values.shape == (2, 3, 4)


def test_no_entity_of_a_vti_file_is_expanded() -> None:
    lol = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "1 ">{lol}]>'.encode()
    body = image('<DataArray type="UInt8" format="ascii">&a11;</DataArray>').partition(b"?>")[2]
    leak = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    for start in (bomb, leak):
        with pytest.raises(FormatError, match="declares a document type, which no VTK file needs"):
            decoded(start + body, "a.vti")


def test_npy_in_fortran_order_and_npz() -> None:
    out = io.BytesIO()
    np.save(out, np.asfortranarray(NUMBERS.astype(">i2")))
    np.testing.assert_array_equal(decoded(out.getvalue(), "a.npy").values, NUMBERS)
    several = io.BytesIO()
    np.savez_compressed(several, one=NUMBERS, two=NUMBERS)
    with pytest.raises(FormatError, match=r"holds 2 arrays \(one, two\)"):
        decoded(several.getvalue(), "a.npz")
    flat = io.BytesIO()
    np.save(flat, NUMBERS[0])
    assert decoded(flat.getvalue(), "a.npy").values.shape == (1, 3, 4), "one map is one channel"


def test_python_objects_are_never_read(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    objects = np.array([[[Touch()]]], object)
    for name, save in (("a.npy", np.save), ("a.npz", np.savez)):
        out = io.BytesIO()
        save(out, objects)
        with pytest.raises(FormatError, match="no plain numbers"):
            decoded(out.getvalue(), name)
    assert not (tmp_path / "executed").exists()


def zarr_2(values: np.ndarray, chunks: tuple[int, int, int], pack: Any = None, **said: Any) -> dict[str, bytes]:
    """Write a Zarr folder of version 2 by hand."""
    about = {
        "zarr_format": 2,
        "shape": list(values.shape),
        "chunks": list(chunks),
        "dtype": values.dtype.str,
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
        **said,
    }
    files = {"a.zarr/.zarray": json.dumps(about).encode()}
    for index in np.ndindex(*(-(-size // step) for size, step in zip(values.shape, chunks, strict=True))):
        chunk = np.zeros(chunks, values.dtype)
        part = values[tuple(slice(n * step, (n + 1) * step) for n, step in zip(index, chunks, strict=True))]
        chunk[tuple(slice(size) for size in part.shape)] = part
        data = chunk.tobytes(about["order"])
        key = str(said.get("dimension_separator", ".")).join(map(str, index))
        files[f"a.zarr/{key}"] = pack(data) if pack else data
    return files


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        (None, {}),
        (gzip.compress, {"compressor": {"id": "gzip", "level": 1}}),
        (zlib.compress, {"compressor": {"id": "zlib", "level": 1}, "order": "F"}),
        (bz2.compress, {"compressor": {"id": "bz2", "level": 1}, "dimension_separator": "/"}),
    ],
)
def test_zarr_2_in_chunks_that_reach_beyond_the_array(pack: Any, said: dict[str, Any]) -> None:
    files = zarr_2(NUMBERS.astype(">i2"), (1, 2, 3), pack, **said)
    np.testing.assert_array_equal(decoded(files, "a.zarr").values, NUMBERS)
    moved = {name.replace("a.zarr", "a.zarr/inside"): data for name, data in files.items()}
    grid = decoded({"a.zarr/.zgroup": b'{"zarr_format": 2}', **moved}, "a.zarr")
    np.testing.assert_array_equal(grid.values, NUMBERS)
    assert grid.notes == ("its array 'inside' is taken",)


def test_a_chunk_that_is_not_there_is_the_fill_value() -> None:
    files = zarr_2(NUMBERS, (1, 3, 4), fill_value=7)
    del files["a.zarr/1.0.0"]
    values = decoded(files, "a.zarr").values
    np.testing.assert_array_equal(values[0], NUMBERS[0])
    assert (values[1] == 7).all()
    with pytest.raises(FormatError, match="none of its chunks"):
        decoded({"a.zarr/.zarray": files["a.zarr/.zarray"]}, "a.zarr")


def test_zarr_3_checks_its_checksums() -> None:
    files = zarr.encode(Grid(NUMBERS), "a.zarr")
    about = json.loads(files["a.zarr/zarr.json"])
    assert about["dimension_names"] == ["channel", "row", "column"]
    about["codecs"] = [
        {"name": "transpose", "configuration": {"order": [2, 0, 1]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
        {"name": "crc32c"},
    ]
    data = np.ascontiguousarray(NUMBERS.transpose(2, 0, 1)).astype(">i2").tobytes()
    files = {"a.zarr/zarr.json": json.dumps(about).encode(), "a.zarr/c/0/0/0": data + struct.pack("<I", crc32c(data))}
    np.testing.assert_array_equal(decoded(files, "a.zarr").values, NUMBERS)
    files["a.zarr/c/0/0/0"] = b"\1" + files["a.zarr/c/0/0/0"][1:]
    with pytest.raises(FormatError, match="checksum of a chunk is wrong"):
        decoded(files, "a.zarr")


def test_what_python_cannot_unpack_of_zarr_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "numcodecs", None)
    for codec in ("blosc", "zstd", "lz4"):
        with pytest.raises(FormatError, match=f"packed by {codec}, which needs a package: pip install zarr"):
            decoded(zarr_2(NUMBERS, (2, 3, 4), compressor={"id": codec}), "a.zarr")
    with pytest.raises(FormatError, match="filters, which are not read here"):
        decoded(zarr_2(NUMBERS, (2, 3, 4), filters=[{"id": "delta"}]), "a.zarr")


HUGE = 10**9
CLAIMS = {
    "a.nrrd": header(np.empty((1, 1, 1)), sizes=f"{HUGE} {HUGE} 9") + b"1234",
    "a.vti": image('<DataArray type="UInt8" format="ascii">1</DataArray>', extent=f"0 {HUGE} 0 {HUGE} 0 9"),
    "a.npy": npy.encode(Grid(NUMBERS), "a.npy")["a.npy"].replace(b"(2, 3, 4)", b"(2,999999,999999)"[:17]),
    "a.vox": b"1234",
}


@pytest.mark.parametrize("name", [*CLAIMS, "a.zarr", "b.zarr"])
def test_a_file_that_claims_to_be_huge_is_refused_before_memory_is_taken(name: str) -> None:
    files = {name: CLAIMS.get(name, b""), "a.hd": f"Size {HUGE}x{HUGE}x9 unsigned byte ".encode()}
    if name == "a.zarr":
        files = zarr_2(NUMBERS, (1, 3, 4), shape=[HUGE, HUGE, 9])
    if name == "b.zarr":  # as many chunks as voxels
        files = {key.replace("a.z", "b.z"): data for key, data in zarr_2(NUMBERS, (1, 1, 1)).items()}
        files["b.zarr/.zarray"] = files["b.zarr/.zarray"].replace(b"[2, 3, 4]", b"[99, 999, 999]")
    with pytest.raises(FormatError, match=r"more than the 2 GiB read here|bytes, there are|more than 131,072 chunks"):
        decoded(files, name)


def test_a_decompression_bomb_is_cut_off() -> None:
    bomb = gzip.compress(bytes(50 << 20), 9)
    with pytest.raises(FormatError, match="unpack to more, not 48 bytes"):
        decoded(header(NUMBERS, encoding="gzip") + bomb, "a.nrrd")
    with pytest.raises(FormatError, match="unpack to more"):
        decoded(zarr_2(NUMBERS, (2, 3, 4), lambda _: bomb, compressor={"id": "gzip"}), "a.zarr")
    sizes = np.array([1, 48, 0, 999999], "<u4").tobytes() + zlib.compress(bytes(50 << 20), 9)
    array = '<DataArray type="Int16" format="appended" offset="0"/>'
    data = image(array, 'compressor="vtkZLibDataCompressor"', '<AppendedData encoding="raw">_@</AppendedData>')
    with pytest.raises(FormatError, match="unpack to more"):
        decoded(data.replace(b"@", sizes), "a.vti")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.npy", npy.encode(Grid(NUMBERS), "a.npy")["a.npy"] + bytes(1 << 20))
    with pytest.raises(FormatError, match="take 48 bytes, there are 1,048,624"):
        decoded(archive.getvalue(), "a.npz")


WHOLE = {
    **{suffix: VOLUME_FORMATS[suffix].encode(Grid(NUMBERS), f"a{suffix}") for suffix in OTHERS},
    ".vox": vox.encode(Grid(SMOOTH), "a.vox"),
    ".raw.nrrd": {"a.nrrd": header(NUMBERS) + NUMBERS.tobytes()},
    ".text.nrrd": {"a.nrrd": header(NUMBERS, encoding="text") + b" ".join(b"%d" % n for n in NUMBERS.ravel())},
    ".inline.vti": {"a.vti": image(f'<DataArray type="Int16" format="binary">{inline(NUMBERS.tobytes())}</DataArray>')},
    ".2.zarr": zarr_2(NUMBERS, (1, 2, 3), zlib.compress, compressor={"id": "zlib"}),
}


@pytest.mark.parametrize("which", WHOLE)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_file_gives_a_volume_or_one_sentence(which: str, data: st.DataObject) -> None:
    files = dict(WHOLE[which])
    name = f"a.{which.rpartition('.')[2]}"
    hit = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[hit])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(content) - 1)))
        how = data.draw(st.sampled_from(["cut", "change", "put in", "digit", "drop"]))
        if how == "cut":
            del content[place:]
        elif how == "change" and content:
            content[place] = data.draw(st.integers(0, 255))
        elif how == "digit":
            content[place:place] = data.draw(st.sampled_from([b"9", b"-", b"0", b"e", b"99999999999"]))
        elif how == "drop":
            del content[place : place + data.draw(st.integers(1, 9))]
        else:
            content[place:place] = data.draw(st.binary(max_size=9))
    files[hit] = bytes(content)
    said, grid = "", None
    try:
        grid = decoded(files, name)
    except ConvscopeError as error:
        said = str(error)
    if grid is None:
        assert 0 < len(said) < 400
        assert "\n" not in said
    else:
        assert grid.values.ndim in (3, 4)
        assert grid.values.dtype.kind in "biuf"


def test_a_volume_of_a_file_knows_where_it_is_from(tmp_path: Path) -> None:
    values = RANDOM.normal(size=(4, 6, 5))
    values[0, 0, 0], values[1, 1, 1] = np.nan, np.inf
    np.save(tmp_path / "a.npy", values)
    volume = volumes.open_volume(tmp_path / "a.npy", order="mean")
    meta = volume.to_summary("a").meta
    assert (meta["source"], meta["file"], meta["format"], meta["dtype"]) == ("file", "a.npy", "NPY", "float64")
    assert "2 numbers are NaN or infinite, shown as the smallest" in meta["notes"][0]
    good = np.isfinite(values)
    np.testing.assert_allclose(volume.maps[good], values[good], rtol=1e-6)
    assert volume.maps[0, 0, 0] == volume.maps.min()
    np.save(tmp_path / "a.npy", np.full((2, 2, 2), np.nan))
    with pytest.raises(InputError, match="all 8 numbers of the volume are NaN"):
        volumes.open_volume(tmp_path / "a.npy")


def test_what_is_no_volume_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II")
    (tmp_path / "b.nrrd").mkdir()
    (tmp_path / "c.zarr").write_bytes(b"")
    cases = {
        "a.tif": (InputError, r"no volume by its name, which ends with none of: \.vox, \.nrrd"),
        "b.nrrd": (InputError, "is a folder; NRRD is not stored so"),
        "c.zarr": (InputError, "is no folder; Zarr is not stored so"),
        "d.vox": (NotFoundError, "no file or folder"),
    }
    for name, (kind, sentence) in cases.items():
        with pytest.raises(kind, match=sentence):
            volumes.open_volume(tmp_path / name)


@pytest.mark.parametrize("suffix", [".vox", ".nrrd", ".nhdr", ".zarr"])
def test_what_is_there_is_replaced_only_where_that_is_asked_for(suffix: str, tmp_path: Path) -> None:
    target = tmp_path / f"a{suffix}"
    volume = Volume(RANDOM.random((40, 90, 90)), order="mean")
    said = volumes.write_volume(volume, target)
    assert "channels in the order mean" in said
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="is there already; choose another name, or replace it with --force"):
        volumes.write_volume(Volume(np.zeros((1, 2, 3))), target)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    if suffix != ".vox":
        np.testing.assert_array_equal(volumes.open_volume(target).maps, volume.values)
    volumes.write_volume(Volume(np.zeros((1, 2, 2))), target, force=True)
    assert volumes.open_volume(target).maps.shape == (1, 2, 2)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing is left over"


def test_a_folder_that_is_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.npy").mkdir()
    (tmp_path / "a.npy" / "kept").write_text("mine")
    with pytest.raises(InputError, match="is a folder; choose another name"):
        volumes.write_volume(Volume(np.zeros((1, 2, 2))), tmp_path / "a.npy", force=True)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "kept").write_text("mine")
    with pytest.raises(InputError, match="holds no Zarr array; choose another name"):
        volumes.write_volume(Volume(np.zeros((1, 2, 2))), tmp_path / "b.zarr", force=True)
    assert (tmp_path / "b.zarr" / "kept").read_text() == "mine"
    with pytest.raises(StorageError, match="choose another place"):
        volumes.write_volume(Volume(np.zeros((1, 2, 2))), tmp_path / "nowhere" / "a.npy")


def test_conversion_keeps_numbers_and_says_what_it_cannot_keep(tmp_path: Path) -> None:
    small = RANDOM.integers(0, 200, (3, 4, 4)).astype(np.int32)
    np.save(tmp_path / "small.npy", small)
    assert "lossy" not in volumes.convert(tmp_path / "small.npy", tmp_path / "small.vox")
    np.testing.assert_array_equal(volumes.read_grid(tmp_path / "small.vox").values, small)
    wrapped = np.arange(-4, 4, dtype=np.int8).reshape(2, 2, 2)
    np.save(tmp_path / "old.npy", wrapped)
    volumes.convert(tmp_path / "old.npy", tmp_path / "old.vox", wrapped=True)
    assert volumes.read_grid(tmp_path / "old.vox").values.ravel().tolist() == [252, 253, 254, 255, 0, 1, 2, 3]
    weights = RANDOM.normal(size=(4, 3, 5, 5)).astype(np.float32)
    np.save(tmp_path / "w.npy", weights)
    said = volumes.convert(tmp_path / "w.npy", tmp_path / "w.vox")
    assert "inputs of a filter: sum" in said
    assert "(symmetric): lossy" in said
    assert volumes.read_grid(tmp_path / "w.vox").values.shape == (4, 5, 5)
    volumes.convert(tmp_path / "w.npy", tmp_path / "w.nrrd")
    np.testing.assert_array_equal(volumes.read_grid(tmp_path / "w.nrrd").values, weights)
    exact = np.array([[[2**53 + 1, 0]]], np.int64)
    np.save(tmp_path / "big.npy", exact)
    assert "rounded to seven digits" in volumes.convert(tmp_path / "big.npy", tmp_path / "b.vti", dtype="float32")
    with pytest.raises(InputError, match="cannot be converted to itself"):
        volumes.convert(tmp_path / "w.npy", tmp_path / "w.npy", force=True)
    with pytest.raises(InputError, match="uint8 or float32, not 'int4'"):
        volumes.convert(tmp_path / "w.npy", tmp_path / "x.npy", dtype="int4")


def test_inputs_are_joined_without_a_loss_that_is_not_said(tmp_path: Path) -> None:
    weights = RANDOM.normal(size=(4, 3, 5, 6))
    weights[0, 0, 0, 0] = np.nan
    np.save(tmp_path / "w.npy", weights)
    volumes.convert(tmp_path / "w.npy", tmp_path / "one.npy", inputs=0)
    np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), weights[:, 0])
    volumes.convert(tmp_path / "w.npy", tmp_path / "sum.npy", inputs="sum")
    np.testing.assert_array_equal(np.load(tmp_path / "sum.npy"), weights.sum(1))
    large = np.full((2, 2, 3, 3), 2**40 + 1)
    np.save(tmp_path / "large.npy", large)
    volumes.convert(tmp_path / "large.npy", tmp_path / "stack.npy", inputs="stack")
    np.testing.assert_array_equal(np.load(tmp_path / "stack.npy"), large.reshape(4, 3, 3))
    assert "int64 added up in float64" in volumes.convert(tmp_path / "large.npy", tmp_path / "s.npy", inputs="sum")
    with pytest.raises(InputError, match="has three axes: there are no inputs of a filter to join"):
        volumes.convert(tmp_path / "one.npy", tmp_path / "two.npy", inputs="sum")


def test_what_bytes_and_singles_cannot_hold_is_said(tmp_path: Path) -> None:
    values = np.array([[[np.nan, 1e300], [0.5, -1]]])
    np.save(tmp_path / "a.npy", values)
    said = volumes.convert(tmp_path / "a.npy", tmp_path / "single.npy", dtype="float32")
    assert "1 numbers are beyond float32 and became infinite" in said
    np.save(tmp_path / "half.npy", np.where(values > 1, 2, values).astype(np.float16))
    assert "rounded" not in volumes.convert(tmp_path / "half.npy", tmp_path / "b.npy", dtype="float32")
    said = volumes.convert(tmp_path / "half.npy", tmp_path / "half.vox")
    assert "1 numbers are NaN or infinite, shown as the smallest, -1" in said
    with pytest.raises(InputError, match=r"scale would say what bytes stand for, but .* gets none"):
        volumes.convert(tmp_path / "half.npy", tmp_path / "c.npy", scale="channel")
    np.save(tmp_path / "bytes.npy", np.array([[[0, 10]], [[0, 20]]], np.uint8))
    volumes.convert(tmp_path / "bytes.npy", tmp_path / "d.vox", scale="channel")
    assert volumes.read_grid(tmp_path / "d.vox").values.ravel().tolist() == [0, 255, 0, 255]


def test_a_zarr_folder_is_opened_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes.write_volume(Volume(np.ones((2, 3, 4))), tmp_path / "a.zarr")
    monkeypatch.chdir(tmp_path / "a.zarr")
    assert volumes.is_volume(".")
    assert volumes.open_volume(".").meta["file"] == "a.zarr"


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes.write_volume(Volume(np.ones((2, 3, 4))), tmp_path / "a.zarr")
    move = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if self.name == "a.zarr" and "tmp" in self.parent.name:
            raise OSError("no room")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(StorageError):
        volumes.write_volume(Volume(np.zeros((2, 3, 4))), tmp_path / "a.zarr", force=True)
    assert volumes.open_volume(tmp_path / "a.zarr").maps.min() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_many_small_pieces_do_not_take_for_ever(tmp_path: Path) -> None:
    head = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 9 9 9\nencoding: "
    empty = gzip.compress(b"", mtime=0)
    (tmp_path / "streams.nrrd").write_bytes(head + b"gzip\n\n" + empty * 200_000)
    (tmp_path / "lines.nrrd").write_bytes(head + b"raw\nline skip: 99999\n\n" + b"\n" * 40_000_000)
    array = b'<DataArray type="UInt8" format="binary">' + b"AA==" * 800_000 + b"</DataArray>"
    extent = b'Extent="0 8 0 8 0 8"'
    (tmp_path / "pieces.vti").write_bytes(
        b'<VTKFile type="ImageData"><ImageData Whole%b><Piece %b><PointData>%b</PointData>'
        b"</Piece></ImageData></VTKFile>" % (extent, extent, array)
    )
    for name in ("streams.nrrd", "lines.nrrd", "pieces.vti"):
        begun = time.monotonic()
        with pytest.raises(FormatError):
            volumes.open_volume(tmp_path / name)
        assert time.monotonic() - begun < 100, name


def test_bytes_of_a_scale_that_is_asked_for(tmp_path: Path) -> None:
    values = np.stack([np.linspace(0, 1, 12), np.linspace(0, 100, 12)]).reshape(2, 3, 4).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    said = volumes.convert(tmp_path / "a.npy", tmp_path / "c.vox", scale="channel")
    assert "each channel's own range" in said
    np.testing.assert_array_equal(*volumes.read_grid(tmp_path / "c.vox").values)
    said = volumes.convert(tmp_path / "a.npy", tmp_path / "l.vox", scale="layer", percentiles=(0, 90))
    assert "cut at the percentiles 0 and 90" in said
    top = np.percentile(values, 90)
    expected = np.clip(np.rint(values.astype(np.float64) / top * 255), 0, 255)
    assert np.abs(volumes.read_grid(tmp_path / "l.vox").values - expected).max() <= 1


def test_files_are_not_read_beyond_any_volume(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        file.truncate(9 << 30)  # sparse
    with pytest.raises(InputError, match="more than a volume may have here"):
        FolderFiles(tmp_path, "a.npy").read("a.npy")


def test_the_temporary_run_of_files_is_gone_afterwards(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", RANDOM.random((2, 3, 4)))
    with volumes.temporary_run([tmp_path / "a.npy", tmp_path / "b.npy"]) as (logdir, said):
        from convscope.store import Run

        run = Run(logdir / "files")
        assert [entry.tag for entry in run.entries("volume")] == ["files/a.npy", "files/b.npy"]
        metas = [run.record(entry).meta for entry in run.entries("volume")]
        assert [meta["frame"] for meta in metas] == [{"series": "files", "name": f"{name}.npy"} for name in "ab"]
        assert {meta["layer"] for meta in metas} == {"files"}
        assert said == [f"{tmp_path / name}.npy: 2×3×4 float64" for name in "ab"]
    assert not logdir.exists()
