"""Embeddings of odd numbers, labels and files: what is stored, found and laid out is right all the same."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convscope import Embedding, SummaryWriter
from convscope.embed import Index, Running, nearest, pca, project
from convscope.embed.foreign import from_texts
from convscope.embed.pca import Centred
from convscope.embed.place import Placement, stratified_sample
from convscope.errors import InputError
from convscope.jobs.project_run import Wanted, project_run
from convscope.recording.projector import metadata_of
from convscope.scale.filled import Filled, Rows

X = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)


@pytest.mark.parametrize(("scale", "offset"), [(1, 1e4), (2.0**-80, 0), (2.0**80, 0)])
def test_points_are_placed_beside_the_same_ones_in_any_unit_and_far_from_0(scale: float, offset: float) -> None:
    def weights(vectors: Any) -> Any:
        placement = Placement(vectors, stratified_sample(len(vectors), 80))
        placement.advance()
        return placement.apply(np.arange(160.0).reshape(80, 2))

    there = X.astype(np.float64) * scale + offset
    np.testing.assert_allclose(weights(there), weights(X), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("scale", [2.0**-80, 2.0**80])
def test_neighbours_are_the_same_in_any_unit(scale: float) -> None:
    unit = np.float32(scale)
    index, distance = nearest(X * unit, 5, metric="euclidean")
    expected, apart = nearest(X, 5, metric="euclidean")
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(distance / unit, apart, rtol=1e-5)
    found, gaps = Index(X * unit, "euclidean").nearest(7, 5)
    np.testing.assert_array_equal(found, expected[7])
    np.testing.assert_allclose(gaps / unit, apart[7], rtol=1e-4)


@pytest.mark.parametrize(("width", "dimensions"), [(6, 3), (1, 2)])
def test_frames_have_one_shape_while_the_others_are_being_placed(width: int, dimensions: int) -> None:
    running = Running(X[:, :width], sample=50, iterations=2, dimensions=dimensions, perplexity=5, engine="numpy")
    assert {frame.points.shape for frame in iter(running.step, None)} == {(400, dimensions)}


@pytest.mark.parametrize(
    ("vectors", "kind"),
    [(X, "float16"), (X * 1e-9, "float32"), (X / 10 + 1000, "float32"), (X * 1e5, "float32"), (X > 0, "float16")],
    ids=["common", "tiny", "far from 0", "large", "whole numbers"],
)
def test_half_precision_is_for_vectors_it_holds(vectors: Any, kind: str) -> None:
    stored = Embedding(vectors).to_summary(neighbours=False).arrays["vector"]
    assert stored.dtype == kind
    np.testing.assert_allclose(np.std(stored, 0, dtype=np.float64), np.std(vectors, 0, dtype=np.float64), rtol=0.01)


def test_labels_may_be_as_large_as_they_like() -> None:
    embedding = Embedding(X[:4], [0, 2_000_000_000, -1, 5], label_names=["cat"])
    assert embedding.search("class:cat").tolist() == [0]
    assert embedding.search('class:"class 2000000000"').tolist() == [1]
    assert metadata_of(embedding) == {"label": ["cat", "2000000000", "", "5"]}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seed": -1}, "seed"),
        ({"iterations": 5.5}, "whole number"),
        ({"pca": -3}, "principal component"),
        ({"every": -1}, "at least 1 iteration apart"),
        ({"sample": 30, "start": X[:10, :2]}, r"400 vectors, got shape \(10, 2\)"),
    ],
    ids=str,
)
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        project(X, "tsne", **({"iterations": 1, "engine": "numpy"} | wrong))


def test_components_of_wide_vectors_are_read_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = np.random.default_rng(1).normal(size=(20, 90))
    whole = pca(wide, 3)
    monkeypatch.setattr(sys.modules[Centred.__module__], "_BLOCK_BYTES", 8 * 20 * 7)
    np.testing.assert_allclose(pca(wide, 3)[0], whole[0], atol=1e-5)
    left, strengths, _ = np.linalg.svd(wide - wide.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(whole[0]), np.abs(left[:, :3] * strengths[:3]), atol=1e-4)
    with pytest.raises(InputError, match="at least 1 principal"):
        pca(wide, 0)


def test_columns_without_a_name_get_one() -> None:
    found = from_texts(X[:2], {"class": ["a", "a"], " ": ["x", "y"], "column 2": ["u", "v"]})
    assert list(found.columns) == ["column 2'", "column 2"]


def test_temporary_files_go_with_a_pass_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wanted = {"vector": Rows((4, 2), np.dtype(np.float32))}
    filled = Filled(wanted, most=0)
    assert len(list(tmp_path.iterdir())) == 1
    del filled
    assert not list(tmp_path.iterdir())
    array = Filled(wanted, most=0).arrays()["vector"]
    assert len(list(tmp_path.iterdir())) == 1
    del array
    assert not list(tmp_path.iterdir())


def test_an_embedding_that_cannot_be_projected_leaves_the_others_alone(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add(Embedding(X[:3]), "few", 0)
        writer.add(Embedding(X[:30]), "many", 0)
    wanted = Wanted(["tsne"], parameters={"iterations": 3})
    said = project_run(tmp_path, wanted, lambda _: lambda done, total: None)
    assert "at least 5 vectors" in said[0]
    assert said[1].startswith("many/tsne: ")
    with pytest.raises(InputError, match="at least 5 vectors"):
        project_run(tmp_path, Wanted(["tsne"], "few"), lambda _: lambda done, total: None)
    with pytest.raises(InputError, match="perplexity is of no method among pca"):
        Wanted(["pca"], parameters={"perplexity": 5})


def test_a_run_of_which_nothing_can_be_read_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("1\t2\n3\t4")
    (tmp_path / "m.tsv").write_text("a")
    (tmp_path / "projector_config.pbtxt").write_text(
        'embeddings { tensor_name: "a" tensor_path: "t.tsv" metadata_path: "m.tsv" }'
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"can be read \('a': m\.tsv"):
        project_run(tmp_path, Wanted(["pca"]), lambda _: lambda done, total: None)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "wrong", [{}, {"axes": "ab"}, {"axes": 5}, {"axes": [(0, 1), (1, 0)], "metric": "foo"}], ids=str
)
def test_axes_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"custom axes are|unknown metric"):
        Embedding(X, np.arange(400) % 2).project("axes", **wrong)


@pytest.mark.parametrize(
    ("kind", "shape", "width"),
    [
        ("Conv1d", (5, 9), 5),
        ("Conv2d", (5, 4, 9), 5),
        ("LayerNorm", (4, 9, 5), 5),
        ("Linear", (9, 5), 5),
        ("", (9, 5), 5),
    ],
)
def test_the_mean_is_over_positions_wherever_the_channels_are(kind: str, shape: tuple[int, ...], width: int) -> None:
    torch = pytest.importorskip("torch")
    from convscope.nets.embedding import Pool

    pool = Pool(shape, "mean", normalise=False, kind=kind)
    values = torch.arange(2.0 * np.prod(shape)).reshape(2, *shape)
    channels = 1 + shape.index(5)
    others = [axis for axis in range(1, values.ndim) if axis != channels]
    assert pool.width == width
    np.testing.assert_allclose(pool(values), values.mean(others), rtol=1e-6)
