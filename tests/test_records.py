import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from convscope.errors import FormatError, InputError, NotFoundError, StorageError
from convscope.recording import SummaryWriter
from convscope.store import Run, records, sheets
from convscope.summary import Summary
from convscope.view.source import LogdirSource


def noise(*shape: int) -> np.ndarray:
    y, x = np.mgrid[: shape[2], : shape[3]]
    base = 128 + 90 * np.sin(y / 9)[:, :, None] * np.cos(x / 7)[:, :, None]
    return np.clip(base + np.arange(shape[0])[:, None, None, None, None], 0, 255).astype(np.uint8) * np.ones(
        shape, np.uint8
    )


def topk(tiles: np.ndarray | None = None) -> Summary:
    shapes = {"value": (4, 3), "image": (4, 3), "position": (4, 3, 2), "box": (4, 3, 4)}
    arrays = {name: np.arange(np.prod(shape)).reshape(shape) for name, shape in shapes.items()}
    arrays |= {name: np.zeros(4) for name in ("mean", "max", "variance", "positive")}
    pictures = {} if tiles is None else {"patch": tiles}
    return Summary("topk", "conv1", 3, arrays=arrays, pictures=pictures, meta={"k": np.int64(3), "names": ["é"]})


def written(path: Path, summary: Summary) -> records.Record:
    with SummaryWriter(path) as writer:
        name = writer.add(summary)
    return Run(path).record(name)


def test_a_record_comes_back(tmp_path: Path) -> None:
    summary = topk()
    record = written(tmp_path, summary)
    assert (record.kind, record.tag, record.step, record.meta) == ("topk", "conv1", 3, {"k": 3, "names": ["é"]})
    assert record.array_info["box"] == {"dtype": "I64", "shape": [4, 3, 4]}
    for name, array in record.arrays().items():
        assert array.dtype == summary.arrays[name].dtype
        assert np.array_equal(array, summary.arrays[name])
    part = load(record.arrays_bytes(["max", "value"]))
    assert sorted(part) == ["max", "value"]
    assert np.array_equal(part["value"], summary.arrays["value"])
    with pytest.raises(NotFoundError, match="did you mean 'value'"):
        record.arrays(["values"])
    folder = tmp_path / "records" / record.id
    (entry,) = Run(tmp_path).entries("topk", "conv1")
    assert entry.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">i8"])
def test_wire_holds_every_type_in_any_layout(dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype).transpose(2, 0, 1)
    read = load(records.wire({"a": array, "zero": np.float32(2) * np.ones(()), "none": np.zeros((0, 3), dtype)}))
    assert read["a"].tolist() == array.tolist()
    assert read["zero"].shape == ()
    assert read["none"].shape == (0, 3)
    with pytest.raises(InputError, match="complex64"):
        records.wire({"a": np.zeros(2, np.complex64)})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("rows", "side"), [(4, 7), (33, 20)])
def test_small_tiles_are_exact(tmp_path: Path, rows: int, side: int, channels: int) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (rows, 3, side, side + 1, channels), np.uint8)
    record = written(tmp_path, topk(tiles))
    plan = record.pictures["patch"]
    assert (plan["codec"], plan["total_rows"], len(plan["files"])) == ("webp-lossless", rows, -(-rows // 16))
    for row in (0, rows // 2, rows - 1):
        for column in range(3):
            assert np.array_equal(record.tile("patch", row, column), tiles[row, column])


def test_large_tiles_are_close(tmp_path: Path) -> None:
    tiles = noise(18, 2, 60, 50, 3)
    record = written(tmp_path, topk(tiles))
    assert record.pictures["patch"]["codec"] == "webp"
    assert np.abs(record.tile("patch", 17, 1).astype(int) - tiles[17, 1]).mean() < 6
    with pytest.raises(NotFoundError, match="18 rows and 2 columns"):
        record.tile("patch", 18, 0)
    with pytest.raises(NotFoundError, match="no picture 'patches'"):
        record.tile("patches", 0, 0)


def test_gutters_repeat_the_edge() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 4, 3), np.uint8)
    sheet = sheets._sheet(tiles)
    assert sheet.shape == (14, 16, 3)
    assert np.array_equal(sheet[9:12, 10:14], tiles[1, 1])
    assert (sheet[7:9, 8:10] == tiles[1, 1, 0, 0]).all()


@given(st.integers(1, 5000), st.integers(1, 80), st.integers(1, 300), st.integers(1, 300))
def test_no_sheet_is_too_large(rows: int, columns: int, height: int, width: int) -> None:
    try:
        plan = sheets.layout("patch", (rows, columns, height, width, 3))
    except InputError:
        assert columns * (width + 4) > sheets.LONGEST_SIDE
        return
    assert plan["rows"] * (height + 4) <= sheets.LONGEST_SIDE
    assert (len(plan["files"]) - 1) * plan["rows"] < rows <= len(plan["files"]) * plan["rows"]
    assert sheets.check_layout("patch", json.loads(json.dumps(plan))) == plan


@pytest.mark.parametrize(
    "shape", [(1, 1, 9000, 2, 3), (1, 3000, 2, 2, 3), (1, 1, 2, 2, 4), (1, 2, 2, 3), (0, 1, 2, 2, 3)]
)
def test_tiles_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="picture 'patch'"):
        sheets.layout("patch", shape)


def test_png_where_pillow_has_no_webp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "_codec", lambda side: "png")
    tiles = noise(2, 2, 40, 40, 3)
    record = written(tmp_path, topk(tiles))
    assert record.pictures["patch"]["files"] == ["patch/000.png"]
    assert np.array_equal(record.tile("patch", 1, 1), tiles[1, 1])


@pytest.mark.parametrize(
    "summary",
    [
        Summary("projection", "p", arrays={"points": np.zeros((2, 2), complex)}),
        Summary("projection", "p", arrays={"points": np.zeros((2, 2))}, meta={"kl": float("nan")}),
        Summary("projection", "p", arrays={"points": np.zeros((2, 2))}, meta={"f": open}),
        topk(np.zeros((1, 1, 2, 2, 3), np.float32)),
        topk(np.zeros((1, 1, 2, 2, 2), np.uint8)),
    ],
    ids=["complex", "nan", "function", "float picture", "two channels"],
)
def test_what_cannot_be_stored_leaves_nothing(tmp_path: Path, summary: Summary) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError):
        writer.add(summary)
    assert not (tmp_path / "records").exists()
    assert Run(tmp_path).entries() == []


def test_a_failing_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        raise OSError(28, "No space left on device")

    with SummaryWriter(tmp_path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(records, "write_durably", fail)
            with pytest.raises(StorageError, match="No space left"):
                writer.add(topk())
        assert list((tmp_path / "records").iterdir()) == []
        assert writer.add(topk())
    assert len(Run(tmp_path).entries()) == 1


def test_what_dead_writers_left_is_swept(tmp_path: Path) -> None:
    import socket

    folder = tmp_path / "records"
    dead = next(pid for pid in range(2**22 - 1, 1, -1) if not records._is_alive(pid))
    names = {
        f".tmp-{dead}-{socket.gethostname()}-abc0": True,
        f".tmp-{os.getpid()}-{socket.gethostname()}-abc1": False,
        f".tmp-{os.getppid()}-{socket.gethostname()}-abc2": False,
        f".tmp-{dead}-elsewhere-abc3": False,
        f".tmp-{dead}-elsewhere-old-abc4": True,
        ".tmp-mine": False,
    }
    for name in names:
        (folder / name).mkdir(parents=True)
    day_before = time.time() - 2 * 24 * 3600
    os.utime(folder / f".tmp-{dead}-elsewhere-old-abc4", (day_before, day_before))
    SummaryWriter(tmp_path).close()
    assert {path.name for path in folder.iterdir()} == {name for name, swept in names.items() if not swept}


def test_two_writers_of_one_directory_have_their_own_names(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as one, SummaryWriter(tmp_path) as other:
        names = [writer.add(topk()) for writer in (one, other, one)]
    assert len(set(names)) == 3
    with SummaryWriter(tmp_path) as writer:
        assert writer.add(topk()).startswith("00000002-topk-")
    assert len(Run(tmp_path).entries()) == 4


def test_only_listed_pictures_are_given_out(tmp_path: Path) -> None:
    record = written(tmp_path, topk(noise(2, 2, 8, 8, 3)))
    assert record.picture_bytes("patch/000.webp")[:4] == b"RIFF"
    for file in ("meta.json", "../../secret", "patch/001.webp", "/etc/passwd", "patch/../meta.json"):
        with pytest.raises(NotFoundError):
            record.picture_bytes(file)


@pytest.mark.parametrize("file", ["../../secret", "patch/..", "/etc/passwd", "patch/a/b", "./x", 3])
def test_a_hostile_layout_is_refused(tmp_path: Path, file: object) -> None:
    record = written(tmp_path, topk(noise(2, 2, 8, 8, 3)))
    meta = tmp_path / "records" / record.id / "meta.json"
    description = json.loads(meta.read_text())
    description["pictures"]["patch"]["files"] = [file]
    meta.write_text(json.dumps(description))
    with pytest.raises(FormatError, match="outside its record"):
        Run(tmp_path).record(record.id)


@pytest.mark.parametrize("key", ["tile", "rows", "columns", "gutter", "files", "channels"])
@pytest.mark.parametrize("value", [None, -1, 10**9, "x", [1], True])
def test_a_damaged_layout_is_refused(key: str, value: object) -> None:
    plan = sheets.layout("patch", (4, 3, 8, 8, 3)) | {key: value}
    with pytest.raises(FormatError, match="picture 'patch'"):
        sheets.cut_tile(b"no picture", sheets.check_layout("patch", plan), 0, 0)


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no links here")
def test_links_out_of_the_record_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    record = written(tmp_path / "run", topk(noise(2, 2, 8, 8, 3)))
    folder = tmp_path / "run" / "records" / record.id
    (folder / "patch" / "000.webp").unlink()
    (folder / "patch" / "000.webp").symlink_to(tmp_path / "secret")
    with pytest.raises(NotFoundError, match="not inside"):
        record.picture_bytes("patch/000.webp")
    (folder / "patch").rename(tmp_path / "patch")
    (tmp_path / "patch" / "000.webp").unlink()
    (tmp_path / "patch" / "000.webp").write_bytes(b"secret")
    (folder / "patch").symlink_to(tmp_path / "patch")
    with pytest.raises(NotFoundError, match="not inside"):
        record.picture_bytes("patch/000.webp")
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(NotFoundError, match="not inside its run"):
        Run(tmp_path / "run").record(record.id)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, NotFoundError, "is gone"),
        ("{", FormatError, "not JSON"),
        ('{"format": 2}', FormatError, "newer convscope"),
        ('{"format": 1, "meta": {}, "arrays": {}}', FormatError, "lacks"),
    ],
)
def test_a_damaged_description(tmp_path: Path, content: str | None, error: type[Exception], message: str) -> None:
    record = written(tmp_path, topk())
    meta = tmp_path / "records" / record.id / "meta.json"
    meta.unlink()
    if content is not None:
        meta.write_text(content)
    with pytest.raises(error, match=message):
        Run(tmp_path).record(record.id)


def test_damaged_arrays_and_pictures(tmp_path: Path) -> None:
    record = written(tmp_path, topk(noise(2, 2, 8, 8, 3)))
    folder = tmp_path / "records" / record.id
    (folder / "arrays.safetensors").write_bytes(b"\xff" * 100)
    (folder / "patch" / "000.webp").write_bytes(b"RIFF" + b"\xff" * 100)
    with pytest.raises(FormatError, match="no readable arrays"):
        record.arrays()
    with pytest.raises(FormatError, match="not a picture"):
        record.tile("patch", 0, 0)


def test_the_same_summary_gives_the_same_bytes(tmp_path: Path) -> None:
    summary = topk(noise(2, 2, 40, 40, 3))
    names = ("00000000-topk-00000a", "00000001-topk-00000a")
    one, other = ({}, {})
    for name, found in zip(names, (one, other), strict=True):
        size = records.write_record(tmp_path, name, summary, 5.0)
        folder = tmp_path / records.DIRECTORY / name
        found.update({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")})
        assert size == sum(map(len, found.values()))
    other["meta.json"] = other["meta.json"].replace(names[1].encode(), names[0].encode())
    assert one == other
    assert len(one) > 2


@pytest.mark.parametrize("link", [False, True])
def test_a_host_that_keeps_a_record_open_sees_that_it_has_gone(tmp_path: Path, *, link: bool) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        identity = writer.add(topk(noise(2, 2, 40, 40, 3)))
    source = LogdirSource(tmp_path / "run")
    source.read()
    (name,) = (run["name"] for run in source.index()["runs"])
    kept = source.find(name, identity)
    assert source.find(name, identity) is kept
    folder = tmp_path / "run" / records.DIRECTORY / identity
    folder.rename(tmp_path / "elsewhere")
    if link:
        folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError):
        source.find(name, identity)
