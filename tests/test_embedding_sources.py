"""Embeddings of others and in files: read back from everybody's, seen as records, taken to Parquet and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from safetensors.numpy import load

import convscope as cs
from convscope.embed import Embedding
from convscope.embed.columns import numeric
from convscope.embed.foreign import from_texts
from convscope.errors import FormatError, InputError, NotFoundError, StorageError
from convscope.jobs.vectors import read_embedding
from convscope.recording import SummaryWriter
from convscope.store import Run
from convscope.view.source import LogdirSource
from tensorboard_oracle import torch_writer
from test_projector_reading import mxboard_log

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(10, 4)).astype(np.float32)
LABELS = ["<b>dog</b>", "tab\there", "\u05db\u05dc\u05d1", "dog, hot dog", None] * 2


def an_embedding() -> Embedding:
    pictures: list[Any] = [np.full((4 + number % 2, 9, 3), 20 * number, np.uint8) for number in range(10)]
    pictures[3] = None
    columns = {"n": [1, None, *range(8)], "file": [f"{number}.png" for number in range(10)]}
    return Embedding(
        VECTORS, LABELS, columns=columns, thumbnails=pictures, layer="fc", network="net", meta={"pooling": "mean"}
    )


def rows(source: LogdirSource, kind: str, run: str = "run") -> list[tuple[str, str, int]]:
    found = next(item for item in source.index()["runs"] if item["name"] == run)
    return [(item["id"], item["tag"], item["step"]) for item in found["records"] if item["kind"] == kind]


def same(found: Embedding, expected: Embedding) -> None:
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    names = [[one.label_names[label] if label >= 0 else None for label in one.labels] for one in (found, expected)]
    assert [name and name.replace("\t", " ") for name in names[0]] == [
        name and name.replace("\t", " ") for name in names[1]
    ]
    np.testing.assert_array_equal(numeric(found.columns["n"]), [1, np.nan, *range(8)])
    assert list(found.columns["file"]) == expected.columns["file"]


def test_logs_of_others_are_seen_as_records(tmp_path: Path, capsys: Any) -> None:
    import torch
    from tensorboardX import SummaryWriter as XWriter

    pictures = torch.rand(10, 3, 8, 8)
    for name, make in {"torch": torch_writer, "X": lambda path: XWriter(str(path))}.items():
        writer = make(tmp_path / name)
        rows_ = [(letter, str(number), "") for number, letter in enumerate("ababababab")]
        writer.add_embedding(torch.from_numpy(VECTORS), rows_, pictures, 12, "a/codes", ["class", "n", "note"])
        writer.close()
    mxboard_log(tmp_path / "mxboard")  # a folder without a log
    source = LogdirSource(tmp_path)
    capsys.readouterr()
    for run, tag, step in (("torch", "a/codes", 12), ("X", "a/codes", 12), ("mxboard", "codes", 0)):
        (name, *known), *_ = rows(source, "embedding", run)
        assert known == [tag, step]
        described = source.record(run, name)
        arrays = load(source.arrays(run, name, list(described["arrays"])))
        np.testing.assert_allclose(arrays["vector"], VECTORS, atol=1e-3)  # half precision
        assert arrays["neighbours"].shape == (10, 9)
        if run != "mxboard":
            assert described["meta"]["label_names"] == ["a", "b"]
            assert arrays["label"].tolist() == [0, 1] * 5
            assert [column["type"] for column in described["meta"]["columns"]] == ["number", "category"]
            assert described["pictures"]["thumbnail"]["tile"] == [8, 8]
        sheet = described["pictures"]["thumbnail"]["files"][0]
        assert source.picture(run, name, sheet)
        components, component_tag, at = rows(source, "projection", run)[0]
        assert (component_tag, at) == (f"{tag}/pca", step)
        assert (
            source.record(run, components)["meta"] | {"embedding": name, "method": "pca"}
            == source.record(run, components)["meta"]
        )
        points = load(source.arrays(run, components, ["points"]))["points"]
        np.testing.assert_allclose(np.abs(points), np.abs(Embedding(arrays["vector"]).project("pca").points), atol=1e-5)


def test_what_is_there_as_a_record_is_not_listed_twice_and_the_list_grows(tmp_path: Path) -> None:
    embedding, source = an_embedding(), LogdirSource(tmp_path)
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_embedding(embedding, global_step=3)
        before = source.version()
        ((first, *known),) = rows(source, "embedding")
        assert known == ["fc", 3]
        assert source.record("run", first)["meta"]["count"] == 10
        writer.add_embedding(embedding, global_step=4)
        until(lambda: len(rows(source, "embedding")) == 2)
        assert source.version() > before
        writer.add_embedding(embedding.vectors * 2, global_step=3, tag="fc")  # in its place
        until(lambda: first not in [name for name, *_ in rows(source, "embedding")])
        with pytest.raises(NotFoundError, match="no record"):
            source.record("run", first)
        identity = writer.add(embedding, "fc", 4)
        writer.flush()
        until(lambda: identity in [name for name, *_ in rows(source, "embedding")])
    assert [step for *_, step in rows(source, "embedding")] == [3, 4]
    assert [(tag, step) for _, tag, step in rows(source, "projection")] == [("fc/pca", 3)]


def until(condition: Any) -> None:
    """Wait until a directory that is looked at every 0.4 seconds has been."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_projection_that_was_recorded_takes_the_place_of_the_one_computed(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_embedding(VECTORS, tag="codes")
        identity = writer.add(Embedding(VECTORS).project("pca"), "codes/pca", 0)
    source = LogdirSource(tmp_path)
    assert [name for name, *_ in rows(source, "projection")] == [identity]
    assert rows(source, "embedding")[0][0] < identity  # what belongs to an embedding comes later


def test_files_that_are_damaged_are_told_when_they_are_asked_for(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_embedding(an_embedding(), global_step=3)
        writer.add_embedding(VECTORS, tag="codes")
    (tmp_path / "run" / "projector" / "00003" / "fc" / "sprite.png").write_bytes(b"no picture")
    (tmp_path / "run" / "projector" / "00000" / "codes" / "tensors.bytes").write_bytes(b"\xff\xff\xff")
    source = LogdirSource(tmp_path)
    known = {tag: name for name, tag, _ in rows(source, "embedding")}
    described = source.record("run", known["fc"])
    assert described["pictures"] == {}
    assert "is not a picture" in described["meta"]["thumbnails"]
    with pytest.raises(FormatError, match=r"tensors.bytes has 3 bytes"):
        source.record("run", known["codes"])
    with pytest.warns(UserWarning, match="'fc' has no thumbnails"):
        assert read_embedding(tmp_path / "run", tag="fc").thumbnails is None


def test_large_files_are_mapped_and_not_read(tmp_path: Path) -> None:
    vectors = np.ones((9_000, 512), np.float32)
    vectors[0, 0] = -1  # its bytes are no text
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(vectors)
    found = read_embedding(tmp_path)
    assert isinstance(found.vectors, np.memmap)
    np.testing.assert_array_equal(found.vectors[:3], vectors[:3])


def test_a_run_gives_its_embeddings_whatever_they_are_stored_as(tmp_path: Path) -> None:
    embedding = an_embedding()
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(embedding, global_step=3)
        writer.add_embedding(VECTORS + 1, ["a", "b"] * 5, tag="plain", global_step=2)
        writer.add(embedding, "recorded", 5)
        writer.add(embedding.take([0, 1]), "recorded", 7)
        writer.add_tensor("tensor", VECTORS, 4)
        writer.add_tensor("cube", VECTORS[None], 4)
    logged = read_embedding(tmp_path, tag="fc")
    same(logged, embedding)
    assert logged.missing_thumbnails == 1
    np.testing.assert_array_equal(logged.thumbnails, embedding.thumbnails)  # transparent in the sprite: not there
    np.testing.assert_array_equal(logged.thumbnail_size, embedding.thumbnail_size)
    assert cs.read_embedding(tmp_path / "projector_config.pbtxt", tag="plain").label_names == ("a", "b")
    found = read_embedding(tmp_path, tag="recorded", step=5)
    assert (found.network, found.meta["pooling"], found.missing_thumbnails) == ("net", "mean", 1)
    assert found.vectors.dtype == np.float16
    assert found.thumbnails.shape == embedding.thumbnails.shape
    assert len(read_embedding(tmp_path, tag="recorded")) == 2
    np.testing.assert_array_equal(read_embedding(tmp_path, tag="tensor").vectors, VECTORS)
    for options, sentence in (
        ({}, r"has 3 embeddings; name one with tag=: recorded, plain, fc"),
        ({"tag": "fd"}, "no embedding 'fd' in run .*; did you mean 'fc'"),
        ({"tag": "fc", "step": 9}, "the embedding 'fc' has no step 9; there are: 3"),
        ({"tag": "cube"}, r"the tensor 'cube' is \(1, 10, 4\)"),
        ({"tag": "tensor", "step": 1}, "has no step 1"),
        ({"tag": "fc", "label": "nope"}, "no column 'nope'"),
    ):
        with pytest.raises(InputError, match=sentence):
            read_embedding(tmp_path, **options)


def write_table(folder: Path, lines: str, metadata: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tensors.tsv").write_text(lines, encoding="utf-8")
    if metadata:
        (folder / "metadata.tsv").write_text(metadata, encoding="utf-8")
    return folder


def test_tables_as_the_projector_exports_them_are_read(tmp_path: Path) -> None:
    folder = write_table(
        tmp_path / "a", "1\t2\n3\t4\n5\t6\n", "Word\tclass\tcount\nhund\tdog\t3\nkatze\tcat\t\nwau\tdog\t7\n"
    )
    for place in (folder, folder / "tensors.tsv"):
        found = read_embedding(place)
        assert found.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]
        assert [found.label_names[label] for label in found.labels] == ["dog", "cat", "dog"]
        assert found.columns["Word"] == ["hund", "katze", "wau"]
        np.testing.assert_array_equal(found.columns["count"], [3, np.nan, 7])
    assert read_embedding(folder, label="Word").label_names == ("hund", "katze", "wau")
    (folder / "more.tsv").write_text("10\n9\n10\n")
    numbered = read_embedding(folder / "tensors.tsv", metadata=folder / "more.tsv")
    assert (numbered.label_names, numbered.labels.tolist()) == (("9", "10"), [1, 0, 1])
    np.save(tmp_path / "v.npy", VECTORS)
    assert isinstance(read_embedding(tmp_path / "v.npy").vectors, np.memmap)


def test_what_is_no_embedding_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.pt").touch()
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    for place, error, sentence in (
        ("nowhere", NotFoundError, "there is no file or directory"),
        ("empty", NotFoundError, "holds no embedding; log one with SummaryWriter.add_embedding"),
        ("model.pt", InputError, r"'model.pt' is no file of vectors that is known; give a directory, .parquet"),
        ("bad.npy", FormatError, "bad.npy is not an array of numbers"),
        ("bad.parquet", FormatError, "is not a Parquet file"),
        (write_table(tmp_path / "a", "1\t2\n3\n").name, FormatError, "tensors.tsv is not a table of numbers"),
        (
            write_table(tmp_path / "b", "1\t2\n", "x\ny\nz\n").name,
            FormatError,
            "metadata.tsv has 3 lines of metadata for 1 vectors",
        ),
    ):
        with pytest.raises(error, match=sentence):
            read_embedding(tmp_path / place)


def test_metadata_of_others_become_labels_and_typed_columns() -> None:
    found = from_texts(
        np.eye(4), {"Label": ["b", "", "a", "b"], "zip": ["007", "1", "2", "3"], "x": ["1e3", "-2.5", "", "nan"]}
    )
    assert (found.labels.tolist(), found.label_names) == ([1, -1, 0, 1], ("a", "b"))
    assert found.columns["zip"] == ["007", "1", "2", "3"]  # not numbers: 007 is a name
    np.testing.assert_array_equal(found.columns["x"], [1000, -2.5, np.nan, np.nan])
    words = [f"word {number}" for number in range(300)]
    many = from_texts(np.zeros((300, 1)), {"label": words})
    assert (many.labels.max(), many.columns) == (-1, {"label": words})  # a class for each point would say nothing
    broken = np.ones((3, 2), np.float32)
    broken[1] = np.nan
    mended = from_texts(broken, {})
    assert (mended.vectors.tolist(), mended.meta["replaced"]) == ([[1, 1], [0, 0], [1, 1]], 2)
    assert np.isnan(broken[1]).all()


def test_parquet_and_back(tmp_path: Path) -> None:
    embedding = an_embedding()
    for dtype in (np.float16, np.float32):
        Embedding(embedding.vectors.astype(dtype)).to_parquet(tmp_path / "plain.parquet")
        assert read_embedding(tmp_path / "plain.parquet").vectors.dtype == dtype
    embedding.to_parquet(tmp_path / "all.parquet")
    found = read_embedding(tmp_path / "all.parquet")
    same(found, embedding)
    assert (found.label_names, found.layer, found.network, found.meta["pooling"]) == (
        embedding.label_names,
        "fc",
        "net",
        "mean",
    )
    np.testing.assert_array_equal(found.thumbnails, embedding.thumbnails)
    np.testing.assert_array_equal(found.thumbnail_size, embedding.thumbnail_size)
    with pytest.raises(StorageError, match=r"nowhere.*choose another place"):
        embedding.to_parquet(tmp_path / "nowhere" / "x.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.parquet", "plain.parquet"]


def test_tables_of_others(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "red").save(tmp_path / "red.png")
    data = (tmp_path / "red.png").read_bytes()
    table = pa.table(
        {
            "features": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
            "image": [{"bytes": data, "path": "a"}, {"bytes": b"broken", "path": "b"}, None],
            "class": ["dog", None, "cat"],
            "x": [1, 2, 3],
            "y": [0.5, 1.5, 2.5],
            "nested": [{"a": 1}, None, {"a": 2}],
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    found = read_embedding(tmp_path / "t.parquet")
    assert (found.vectors.tolist(), found.label_names, found.labels.tolist()) == (
        [[1, 2], [3, 4], [5, 6]], ("cat", "dog"), [1, -1, 0],
    )  # fmt: skip
    assert (found.thumbnails.shape, found.missing_thumbnails) == ((3, 32, 64, 3), 2)
    assert [*found.columns] == ["x", "y", "nested"]
    pair = read_embedding(tmp_path / "t.parquet", vectors=["x", "y"], label="", thumbnail="")
    assert (pair.vectors.tolist(), pair.thumbnails, pair.label_names) == ([[1, 0.5], [2, 1.5], [3, 2.5]], None, ())
    assert pair.columns["class"] == ["dog", None, "cat"]


BAD_TABLES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"a": [1, 2]}, {}, r"no columns of vectors \(a\); name one with vectors="),
    ({"a": [[1.0]], "b": [[1.0]]}, {}, r"2 columns of vectors \(a, b\)"),
    ({"a": [[1.0]]}, {"vectors": "b"}, "no column 'b' in the table"),
    ({"a": [[1.0]]}, {"label": "b"}, "no column 'b' in the table"),
    ({"a": [[1.0], [1.0, 2.0]]}, {}, "row 1 of column 'a' has 2 numbers, the first row 1"),
    ({"a": [[1.0], None]}, {}, "row 1 of column 'a' has no vector"),
    ({"a": [[1.0], [None]]}, {}, "numbers are missing"),
    ({"a": [[1.0], [float("nan")]]}, {}, "1 values that are NaN"),
    ({"a": [1, None], "b": [1, 2]}, {"vectors": ["a", "b"]}, "row 1 of column 'a' has no number"),
    ({"a": ["x"], "b": [1]}, {"vectors": ["a", "b"]}, "column 'a' is string; vectors are columns of numbers"),
    ({"a": pa.array([], pa.list_(pa.float32()))}, {}, "the table has no rows"),
]


@pytest.mark.parametrize(("columns", "options", "sentence"), BAD_TABLES, ids=[sentence for *_, sentence in BAD_TABLES])
def test_tables_without_vectors_are_told(tmp_path: Path, columns: Any, options: Any, sentence: str) -> None:
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=sentence):
        read_embedding(tmp_path / "t.parquet", **options)


def test_an_embedding_is_logged_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    embedding = an_embedding()
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(embedding, global_step=2)
        writer.add_embedding(Embedding(VECTORS, [3, -1] * 5), tag="numbers")
        writer.add_embedding(Embedding(VECTORS.astype(np.float16)), tag="bare")
        with pytest.raises(InputError, match="an Embedding has its own metadata"):
            writer.add_embedding(embedding, list("abcdefghij"))
    found = {item.tag: item for item in Run(tmp_path).embeddings()}
    assert found["fc"].step == 2
    assert found["fc"].metadata["label"] == ["<b>dog</b>", "tab here", "\u05db\u05dc\u05d1", "dog, hot dog", ""] * 2
    assert found["fc"].metadata["n"] == ["1", "", *map(str, range(8))]
    assert found["fc"].thumbnail == (9, 5)
    assert found["numbers"].metadata == {"label": ["3", ""] * 5}
    assert found["bare"].metadata == {}
    np.testing.assert_array_equal(found["bare"].vectors, VECTORS.astype(np.float16))
