"""Embeddings from whatever people have: vectors, labels, columns, thumbnails; how they are searched and taken apart."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import ROOT
from convscope.embed import Embedding
from convscope.embed import columns as coded
from convscope.errors import FormatError, InputError, NotFoundError
from convscope.store.records import describe, to_json
from convscope.summary import KINDS

RNG = np.random.default_rng(0)
CASES = json.loads((ROOT / "tests" / "data" / "search_cases.json").read_text(encoding="utf-8"))
RTL = "\u05db\u05dc\u05d1 \u0639\u0631\u0628\u064a"
STRANGE = [
    "<img src=x onerror=alert(1)>",
    "tab\tand\nline",
    RTL,
    "nul\0",
    "very long " * 5_000,
    "half \ud83d",
    "dog, hot dog",
    "",
]


def vectors(count: int = 6, width: int = 4) -> np.ndarray:
    return RNG.normal(size=(count, width)).astype(np.float32)


def stored(embedding: Embedding) -> Embedding:
    """Return an embedding as it is after having been a record."""
    summary = embedding.to_summary("layer", 3)
    meta = json.loads(to_json(describe("00000000-embedding-000000", summary, 0.0)))["meta"]
    return Embedding.from_arrays(summary.arrays, meta, summary.pictures.get("thumbnail"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_halves_and_singles_are_kept_without_a_copy(dtype: Any, tmp_path: Path) -> None:
    array = vectors().astype(dtype)
    assert Embedding(array).vectors is array
    np.save(tmp_path / "vectors.npy", array)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert Embedding(mapped).vectors is mapped


def test_vectors_of_any_framework_are_taken() -> None:
    import torch

    values = [[1, 2], [3, 4]]
    for given_ in (
        values,
        np.array(values),
        np.array(values, ">f8"),
        torch.tensor(values),
        torch.tensor(values, dtype=torch.bfloat16),
    ):
        found = Embedding(given_).vectors
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values)
    parameter = torch.nn.Parameter(torch.ones(2, 3, dtype=torch.float16))
    assert Embedding(parameter).vectors.dtype == np.float16


BAD: list[tuple[dict[str, Any], str]] = [
    ({"vectors": np.zeros(3)}, r"vectors \(N, D\) of real numbers, got shape \(3,\).*give one row"),
    ({"vectors": np.zeros((2, 3, 4))}, r"reshape it to \(2, 12\)"),
    ({"vectors": np.zeros((0, 3))}, r"got shape \(0, 3\)"),
    ({"vectors": np.zeros((3, 2), complex)}, "dtype complex128"),
    ({"vectors": np.array([["a", 1]], object)}, "array of numbers, got ndarray of dtype object"),
    ({"vectors": [[1, 2], [3]]}, "array of numbers"),
    ({"vectors": np.full((3, 2), np.nan)}, "6 values that are NaN or infinite, the first in row 0"),
    ({"vectors": np.array([[1, 2], [3, np.inf]])}, "1 values that are NaN or infinite, the first in row 1"),
    ({"vectors": np.full((2, 2), 1e300)}, "4 numbers of the vectors are larger than float32"),
    ({"labels": [1, 2]}, "6 vectors but 2 labels; give one for each vector"),
    ({"labels": "abcdef"}, "labels are a list or an array"),
    ({"labels": np.eye(6)}, r"got the shape \(6, 6\); of scores or one-hot rows take argmax\(1\)"),
    ({"labels": [0.5] * 6}, "labels are whole numbers or texts, got 0.5"),
    ({"labels": [np.inf] * 6}, "labels are whole numbers or texts, got inf"),
    ({"labels": ["dig"] * 6, "label_names": ["dog", "cat"]}, "no class 'dig' in label_names; did you mean 'dog'"),
    ({"label_names": "dog"}, "label_names is a list of texts, got the text 'dog'"),
    ({"columns": {"a": [1]}}, "6 vectors but 1 a; give one for each vector"),
    ({"columns": {"a": "abcdef"}}, "column 'a' is a str"),
    ({"columns": {"a": {1, 2, 3, 4, 5, 6}}}, "column 'a' is a set"),
    ({"columns": {"a": np.zeros((6, 2))}}, r"column 'a' has the shape \(6, 2\)"),
    ({"columns": {"": range(6)}}, "columns need different names that are not empty"),
    ({"columns": {1: range(6), "1": range(6)}}, "columns need different names"),
    ({"index": [1, 2]}, "6 vectors but 2 index"),
    ({"index": [0.5] * 6}, "give a whole number for each vector"),
    ({"thumbnails": np.zeros((5, 4, 4), np.uint8)}, "6 vectors but 5 thumbnails"),
    ({"thumbnails": np.zeros((6, 4), np.uint8)}, r"with 1, 3 or 4 channels, got \(6, 4\)"),
    ({"thumbnails": [None] * 5 + [np.zeros((2, 2, 2, 3))]}, "thumbnail 5 is not a picture: "),
    ({"thumbnails": "six.pn"}, "got a str"),
    ({"thumbnails": np.zeros((6, 4, 4), np.uint8), "thumbnail_size": [[9, 9]] * 6}, r"thumbnail_size is \(N, 2\)"),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_what_makes_no_sense_is_refused_in_a_sentence(given_: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        Embedding(**{"vectors": vectors(), **given_})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "array", [np.ones((1, 1)), np.zeros((5, 3)), np.ones((7, 2)), np.repeat(np.eye(2), 9, 0), np.full((3, 2), 1e30)]
)
def test_points_that_are_one_or_alike_are_an_embedding_like_any_other(array: np.ndarray) -> None:
    embedding = Embedding(array)
    near, distance = embedding.neighbours
    assert near.shape == (len(array), min(10, len(array) - 1))
    assert np.isfinite(distance).all()
    assert embedding.neighbours_of(0)[0].shape == near[0].shape
    assert np.isfinite(embedding.project("pca").points).all()
    assert len(stored(embedding)) == len(array)


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        (["cat", "dog", None, "cat"], [0, 1, -1, 0], ["cat", "dog"]),
        (np.array(["b", "a", "b", "b"]), [1, 0, 1, 1], ["a", "b"]),
        (np.array(["x", None, "y", np.nan], object), [0, -1, 1, -1], ["x", "y"]),
        ([b"x", "x", 3, None], [1, 1, 0, -1], ["3", "x"]),
        ([3, -7, 0, np.nan], [3, -1, 0, -1], []),
        ([2, None, 1, 0], [2, -1, 1, 0], []),
        (np.array([3.0, np.nan, 1, 2]), [3, -1, 1, 2], []),
        (np.array([True, False, True, True]), [1, 0, 1, 1], []),
        (np.array([[1], [2], [3], [4]]), [1, 2, 3, 4], []),
        ([1 << 31, 5, 1 << 31, -1], [0, 1, 0, -1], ["2147483648", "5"]),
        ([1 << 70, 5, 1 << 70, 5], [0, 1, 0, 1], [str(1 << 70), "5"]),
        (np.array([2**63, 1, 1, 1], np.uint64), [1, 0, 0, 0], ["1", str(2**63)]),
    ],
)  # fmt: skip
def test_labels_are_numbers_or_texts(labels: Any, numbers: list[int], names: list[str]) -> None:
    embedding = Embedding(vectors(4), labels)
    assert embedding.labels.dtype == np.int32
    assert embedding.labels.tolist() == numbers
    assert list(embedding.label_names) == names


def test_texts_find_their_place_among_names_that_are_given() -> None:
    embedding = Embedding(vectors(4), ["dog", None, "cat", "dog"], label_names=["dog", "hot dog", "cat"])
    assert embedding.labels.tolist() == [0, -1, 2, 0]
    assert repr(embedding) == "Embedding(4 × 4 float32, 3 classes)"


def test_fifty_thousand_classes_are_no_matter() -> None:
    names = [f"class number {number}" for number in range(50_000)]
    embedding = Embedding(np.zeros((100_000, 1), np.float16), names * 2, columns={"again": names * 2})
    summary = embedding.to_summary(neighbours=False)
    assert len(summary.meta["label_names"]) == 50_000
    assert [column["type"] for column in summary.meta["columns"]] == ["text"]  # half of the points are different
    assert embedding.search("class:'class number 77'").size == 0
    assert embedding.search('class:"class number 77"').tolist() == [
        embedding.labels.tolist().index(embedding.labels[77]),
        50_077,
    ]


COLUMNS: list[tuple[Any, str, list[Any]]] = [
    ([1, 2.5, None, np.nan, 4, 5], "number", [1, 2.5, None, None, 4, 5]),
    (np.arange(6, dtype=np.int8), "number", [0, 1, 2, 3, 4, 5]),
    (range(6), "number", [0, 1, 2, 3, 4, 5]),
    ([1, "a", None, 2, "", 3.0], "category", ["1", "a", None, "2", "", "3"]),
    ([True, False, True, None, True, True], "category", ["True", "False", "True", None, "True", "True"]),
    ([None] * 6, "category", [None] * 6),
    ([1 << 60, (1 << 60) + 1, 1, 2, 3, 4], "category", [str(1 << 60), str((1 << 60) + 1), "1", "2", "3", "4"]),
    (np.array(["2026-01-02", "NaT", *["2026-01-03"] * 4], "M8[D]"), "category",
     ["2026-01-02", None, *["2026-01-03"] * 4]),
    ([dt.date(2026, 1, 2), None, *[dt.datetime(2026, 1, 2, 3)] * 4], "category",
     ["2026-01-02", None, *["2026-01-02T03:00:00"] * 4]),
    ([b"x", *"abcde"], "category", [*"xabcde"]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "expected"), COLUMNS)
def test_columns_have_types_and_come_back(values: Any, kind: str, expected: list[Any]) -> None:
    embedding = Embedding(vectors(), columns={"column": values})
    about = embedding.to_summary().meta["columns"]
    assert (about[0]["name"], about[0]["type"]) == ("column", kind)
    found = stored(embedding).columns["column"]
    assert [None if value != value else value for value in (found.tolist() if kind == "number" else found)] == expected


def test_a_data_frame_is_columns() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"n": [1, None, 3], "s": ["a", None, "b"], "t": pd.to_datetime(["2026-01-02", None, "2026-01-03"])}
    )
    embedding = Embedding(vectors(3), pd.Series(["x", None, "y"]), columns=frame)
    assert [column["type"] for column in embedding.to_summary().meta["columns"]] == ["number", "category", "category"]
    assert embedding.labels.tolist() == [0, -1, 1]
    assert stored(embedding).columns["s"] == ["a", None, "b"]


printable = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=12)
texts = st.one_of(st.none(), printable)


@settings(max_examples=40)
@given(st.lists(texts, min_size=1, max_size=60))
def test_texts_come_back_as_they_were_however_they_are_coded(values: list[str | None]) -> None:
    about, arrays = coded.encode({"column": values})
    assert coded.decode(about, arrays)["column"] == values
    assert (
        sum(array.nbytes for array in arrays.values())
        <= 4 * len(values) + sum(len((v or "").encode()) + 8 for v in values) + 8
    )


@settings(max_examples=40)
@given(st.lists(st.text(max_size=8), max_size=8))
def test_many_different_texts_are_kept_as_texts(some: list[str]) -> None:
    values = [*some, *map(str, range(201)), "x"]
    about, arrays = coded.encode({"column": values})
    assert about[0]["type"] == "text"
    assert [value or "" for value in coded.decode(about, arrays)["column"]] == [coded.clean(value) for value in values]


def test_damaged_columns_are_told() -> None:
    about, arrays = coded.encode({"a": ["x", "y"]})
    for broken in ({}, {"column_0": np.array([7, 0], np.int32)}):
        with pytest.raises(FormatError, match="column 0 of an embedding is damaged"):
            coded.decode(about, broken)
    with pytest.raises(FormatError, match="an embedding has vector, label and index, this record has label"):
        Embedding.from_arrays({"label": arrays["column_0"]}, {})


def test_strange_labels_and_columns_survive_being_a_record() -> None:
    embedding = Embedding(vectors(len(STRANGE)), STRANGE, columns={"text\t<b>": STRANGE})
    back = stored(embedding)
    known = [text.replace("\ud83d", "?") for text in STRANGE]
    assert [back.label_names[label] for label in back.labels] == known
    assert back.columns["text\t<b>"] == known
    assert back.search("onerror").tolist() == [0]


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["query"])
def test_the_search_language(case: dict[str, Any]) -> None:
    columns = {name: column["values"] for name, column in CASES["columns"].items()}
    embedding = Embedding(
        vectors(len(CASES["labels"])), CASES["labels"], label_names=CASES["label_names"], columns=columns
    )
    types = [column["type"] for column in CASES["columns"].values()]
    assert types == ["text", "category", "number"]
    if case.get("error"):
        with pytest.raises(InputError, match="is not a regular expression"):
            embedding.matches(case["query"])
        return
    found = embedding.matches(case["query"])
    assert {tier: getattr(found, tier).tolist() for tier in ("exact", "word", "part")} == {
        tier: case[tier] for tier in ("exact", "word", "part")
    }
    assert embedding.search(case["query"]).tolist() == (case["exact"] or case["word"] or case["part"])


def test_labels_without_names_are_found_by_their_number() -> None:
    embedding = Embedding(vectors(4), [7, 17, -1, 7])
    assert embedding.matches("7").word.tolist() == [0, 3]
    assert embedding.search('class:"class 17"').tolist() == [1]


def test_neighbours_of_a_point_of_several_and_of_a_vector() -> None:
    embedding = Embedding([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [5, 5]])
    assert embedding.neighbours_of(0, 2)[0].tolist() == [1, 4]
    assert embedding.neighbours_of(0, 2, metric="euclidean")[0].tolist() == [1, 3]
    assert embedding.neighbours_of([0, 2], 1)[0].tolist() == [4]
    index, distance = embedding.neighbours_of(np.array([1.0, 0]), 9)
    assert index.tolist() == [0, 1, 4, 3, 2]
    assert distance[0] == 0
    for wrong in (7, -1, [0, 7], np.ones(3), "dog", [[1]]):
        with pytest.raises(InputError):
            embedding.neighbours_of(wrong)
    with pytest.raises(InputError, match="at least 1, got 0"):
        embedding.neighbours_of(0, 0)


def test_pictures_of_any_shapes_are_fitted_and_counted() -> None:
    wide = np.full((10, 100, 3), 200, np.uint8)
    clear = Image.new("RGBA", (8, 4), (255, 0, 0, 0))
    embedding = Embedding(
        vectors(),
        thumbnails=[wide, None, np.full((20, 30), 0.5), clear, Image.new("L", (3, 3), 9), wide.transpose(2, 0, 1)],
    )
    assert embedding.thumbnails.shape == (6, 20, 64, 3)
    assert embedding.thumbnail_size.tolist() == [[6, 64], [0, 0], [20, 30], [4, 8], [3, 3], [6, 64]]
    assert embedding.missing_thumbnails == 1
    assert embedding.to_summary().meta["missing_thumbnails"] == 1
    pictures = embedding.pictures()
    assert pictures is not None
    assert (pictures[0] == 200).all()
    assert (pictures[3] == 255).all()  # transparent: on white
    assert pictures[1] is None
    assert embedding.thumbnails[4].sum() == 3 * 3 * 9 * 3  # in the middle, nothing around
    back = stored(embedding)
    np.testing.assert_array_equal(back.thumbnails, embedding.thumbnails)
    np.testing.assert_array_equal(back.thumbnail_size, embedding.thumbnail_size)


def test_arrays_of_pictures_are_kept_or_shrunk() -> None:
    small = RNG.integers(0, 255, (6, 5, 4, 3), np.uint8)
    assert Embedding(vectors(), thumbnails=small).thumbnails is small
    assert Embedding(vectors(), thumbnails=small[..., 0]).thumbnails.shape == (6, 5, 4, 1)
    assert Embedding(vectors(), thumbnails=small.transpose(0, 3, 1, 2)).thumbnails.shape == (6, 5, 4, 3)
    large = Embedding(vectors(), thumbnails=np.full((6, 200, 100, 3), 7, np.uint8))
    assert large.thumbnails.shape == (6, 64, 32, 3)
    assert (large.thumbnails == 7).all()
    assert large.thumbnail_size is None
    assert Embedding(vectors(), thumbnails=[None] * 6).thumbnails is None


def test_some_of_the_points() -> None:
    pictures = [np.full((4, 3 + number, 1), number, np.uint8) for number in range(6)]  # rows first: 1 is a channel
    embedding = Embedding(vectors(), list("aabbcc"), columns={"n": range(6), "s": list("uvwxyz")}, thumbnails=pictures)
    for chosen in ([4, 1], np.array([4, 1])):
        part = embedding.take(chosen)
        assert (part.labels.tolist(), part.index.tolist(), part.columns["s"]) == ([2, 0], [4, 1], ["y", "v"])
        np.testing.assert_array_equal(part.vectors, embedding.vectors[[4, 1]])
        assert [picture[0, 0, 0] for picture in part.pictures()] == [4, 1]
    assert len(embedding.take(embedding.labels == 2)) == 2
    assert len(embedding.take(slice(1, 3))) == 2
    for wrong in ([], np.zeros(6, bool), [6], np.zeros(5, bool)):
        with pytest.raises(InputError):
            embedding.take(wrong)


def test_several_embeddings_become_one() -> None:
    first = Embedding(
        vectors(2), ["dog", "cat"], columns={"n": [1, 2]}, thumbnails=np.ones((2, 4, 4, 1), np.uint8), layer="fc"
    )
    second = Embedding(vectors(3), ["ant", "dog", None], columns={"s": list("xyz")}, layer="fc", dataset="more")
    both = Embedding.concatenate([first, second])
    assert [both.label_names[label] if label >= 0 else None for label in both.labels] == [
        "dog",
        "cat",
        "ant",
        "dog",
        None,
    ]
    assert [*both.columns] == ["n", "s"]
    assert [column["type"] for column in both.to_summary().meta["columns"]] == ["number", "category"]
    assert both.columns["s"] == [None, None, "x", "y", "z"]
    assert (both.missing_thumbnails, both.layer, both.dataset) == (3, "fc", "more")
    assert both.index.tolist() == [0, 1, 2, 3, 4]  # those of both would be there twice
    np.testing.assert_array_equal(both.vectors, np.concatenate([first.vectors, second.vectors]))
    with pytest.raises(InputError, match="vectors of 4 and 5 numbers"):
        Embedding.concatenate([first, Embedding(vectors(2, 5))])
    with pytest.raises(InputError, match="no embedding to concatenate"):
        Embedding.concatenate([])


def test_summaries_hold_all_that_the_viewer_needs() -> None:
    pictures = RNG.integers(0, 255, (60, 5, 4, 1), np.uint8)
    embedding = Embedding(
        vectors(60), thumbnails=pictures, layer="fc1", meta={"pooling": "mean", "feature_shape": [4, 7, 7]}
    )
    summary = embedding.to_summary()
    assert (summary.kind, summary.tag) == ("embedding", "fc1")
    np.testing.assert_array_equal(summary.pictures["thumbnail"][1, 7, ..., 0], pictures[55, ..., 0])
    assert summary.pictures["thumbnail"].shape == (2, 48, 5, 4, 1)
    assert summary.arrays["neighbours"].shape == (60, 10)
    assert "neighbours" not in embedding.to_summary(neighbours=False).arrays
    assert KINDS["embedding"].arrays.keys() <= summary.arrays.keys()
    assert "thumbnail_size" not in summary.arrays
    assert (
        summary.meta | {"pooling": "mean", "feature_shape": [4, 7, 7], "normalised": False, "dim": 4, "count": 60}
        == summary.meta
    )


def test_vectors_too_large_for_half_precision_are_stored_as_float32() -> None:
    assert Embedding(vectors()).to_summary().arrays["vector"].dtype == np.float16
    found = Embedding(np.full((6, 4), 1e6)).to_summary().arrays["vector"]
    assert found.dtype == np.float32
    assert (found == 1e6).all()


def test_an_unknown_projection_is_told() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'tsne'"):
        Embedding(vectors()).project("tnse")


def test_an_embedding_tells_what_it_is() -> None:
    pictures = [None, *[np.zeros((4, 4), np.uint8)] * 5]
    embedding = Embedding(
        vectors(), list("aabbcc"), columns={"n": range(6)}, thumbnails=pictures, layer="fc", network="net"
    )
    assert (
        repr(embedding) == "Embedding(6 × 4 float32, 'fc', 'net', 3 classes, columns n, thumbnails 4 × 4 (1 missing))"
    )
