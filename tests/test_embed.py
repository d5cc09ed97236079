"""PCA, t-SNE, neighbours and search against plain definitions."""

from __future__ import annotations

import builtins
import json

import numpy as np
import pytest

from convscope.embed import Embedding, Projection, nearest, pca, preservation, tsne
from convscope.errors import InputError, MissingExtraError, NotFoundError

RNG = np.random.default_rng(0)


def clusters(n: int = 30, groups: int = 3, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(groups), n)
    rng = np.random.default_rng(1)
    return rng.normal(size=(groups, d))[labels] * 8 + rng.normal(size=(n * groups, d)), labels


@pytest.mark.parametrize("shape", [(40, 6), (5, 30), (20, 20)])
def test_pca_equals_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    x = RNG.normal(size=shape)
    points, explained = pca(x, 3)
    centred = x - x.mean(0)
    scores, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = scores[:, :3] * values[:3]
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(explained, values[:3] ** 2 / (values**2).sum(), atol=1e-10)


def test_pca_has_a_fixed_sign_and_survives_constant_vectors() -> None:
    x = RNG.normal(size=(30, 4))
    np.testing.assert_array_equal(pca(x)[0], pca(x.copy())[0])
    assert np.isfinite(pca(np.ones((5, 3)))[0]).all()


@pytest.mark.parametrize(("n", "d"), [(5, 100), (12, 512), (48, 600)])
def test_pca_of_few_vectors_has_no_noise_in_the_components_beyond_their_rank(n: int, d: int) -> None:
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=(n, d))
        points, explained = pca(x, 50)
        scores, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
        np.testing.assert_allclose(np.abs(points), np.abs(scores * values), atol=1e-4)
        assert (points[:, n - 1 :] == 0).all()
        assert explained.sum() == pytest.approx(1)
    low = RNG.normal(size=(30, 3)) @ RNG.normal(size=(3, 200))
    assert (pca(low, 20)[0][:, 3:] == 0).all()


@pytest.mark.parametrize("engine", ["numpy", "opentsne"])
@pytest.mark.parametrize("n", [5, 6, 12, 20, 50])
def test_few_vectors_of_many_dimensions_are_laid_out(engine: str, n: int) -> None:
    if engine == "opentsne":
        pytest.importorskip("openTSNE")
    projection = Embedding(np.random.default_rng(1).normal(size=(n, 512))).project("tsne", engine=engine)
    assert np.isfinite(projection.points).all()
    assert 1 < np.abs(projection.points).max() < 1000
    assert projection.divergence is not None
    assert 0 <= projection.divergence < 2
    assert projection.quality["neighbours_kept"] > 0.3


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_vectors_are_ordered_by_index(metric: str) -> None:
    groups = np.repeat(RNG.normal(size=(5, 37)), 31, axis=0)
    order = RNG.permutation(len(groups))
    index, distance = nearest(groups[order], 10, metric=metric)
    group = order // 31
    for i in range(len(groups)):
        equal = [j for j in range(len(groups)) if group[j] == group[i] and j != i]
        assert index[i].tolist() == equal[:10]
    np.testing.assert_allclose(distance, 0, atol=2e-3)


def test_nearest_survives_large_numbers_and_offsets() -> None:
    assert nearest(np.full((3, 4), 1e30, np.float32), 2)[0].tolist() == [[1, 2], [0, 2], [0, 1]]
    index, distance = nearest(np.arange(10.0)[:, None] + 1e6, 2, metric="euclidean")
    assert index[5].tolist() == [4, 6]
    np.testing.assert_allclose(distance[5], 1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_equals_a_full_sort(metric: str) -> None:
    x = RNG.normal(size=(1500, 5)).astype(np.float32)  # more than one block
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    index, distance = nearest(x, 4, metric=metric)
    for i in (0, 700, 1024, 1499):
        gaps = 1 - unit @ unit[i] if metric == "cosine" else np.linalg.norm(x - x[i], axis=1)
        gaps[i] = np.inf
        assert set(index[i]) == set(np.argsort(gaps)[:4])
        np.testing.assert_allclose(distance[i], np.sort(gaps)[:4], atol=2e-3)


def test_nearest_of_few_and_of_zero_vectors() -> None:
    index, _ = nearest(np.eye(3), 10)
    assert index.shape == (3, 2)
    assert nearest(np.zeros((1, 4)), 5)[0].shape == (1, 0)
    np.testing.assert_allclose(nearest(np.zeros((3, 2)), 2)[1], 1)


def test_preservation_is_one_for_the_vectors_themselves_and_low_for_noise() -> None:
    x, labels = clusters()
    near, _ = nearest(x, 5, metric="euclidean")
    assert preservation(near, x)["neighbours_kept"] == 1.0
    noise = preservation(near, RNG.normal(size=(len(x), 2)), labels)
    assert noise["neighbours_kept"] < 0.3
    assert noise["label_agreement"] < 0.8


@pytest.mark.parametrize("engine", ["numpy", "opentsne"])
def test_tsne_keeps_clusters_and_reports_frames(engine: str) -> None:
    if engine == "opentsne":
        pytest.importorskip("openTSNE")
    x, labels = clusters()
    frames: list[tuple[int, float]] = []
    points = tsne(
        x, perplexity=10, iterations=300, engine=engine, callback=lambda i, kl, p: frames.append((i, kl)), every=50
    )
    near, _ = nearest(x, 5, metric="euclidean")
    assert preservation(near, points, labels)["label_agreement"] > 0.97
    assert [i for i, _ in frames] == [50, 100, 150, 200, 250, 300]
    assert frames[-1][1] < frames[2][1]
    np.testing.assert_array_equal(points, tsne(x, perplexity=10, iterations=300, engine=engine))


def test_tsne_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least 5"):
        tsne(np.zeros((4, 2)))
    with pytest.raises(InputError, match="unknown t-SNE engine 'umap'"):
        tsne(np.zeros((9, 2)), engine="umap")
    with pytest.raises(MissingExtraError, match=r"convscope\[embed\]"):
        tsne(np.zeros((3001, 2)), engine="numpy")
    real = builtins.__import__

    def refuse(name: str, *args: object, **kw: object) -> object:
        if name == "openTSNE":
            raise ImportError(name)
        return real(name, *args, **kw)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match="openTSNE"):
        tsne(RNG.normal(size=(9, 2)), engine="opentsne")


def embedding(**extra: object) -> Embedding:
    x, labels = clusters(10)
    return Embedding(x, labels, label_names=["dog", "hot dog", "cat"], **extra)  # type: ignore[arg-type]


def test_search_prefers_the_exact_class_then_whole_words_then_parts() -> None:
    found = embedding(columns={"place": ["Hamburg dogs"] * 30})
    assert found.search("dog").tolist() == list(range(10))
    assert found.search("hot").tolist() == list(range(10, 20))
    assert len(found.search("burg")) == 30
    assert found.search("zebra").tolist() == []


def test_project_reports_quality_and_only_frames_on_the_way() -> None:
    frames: list[Projection] = []
    final = embedding().project("tsne", iterations=60, every=20, callback=frames.append, perplexity=5, engine="numpy")
    assert [f.iteration for f in frames] == [20, 40]
    assert not any(f.is_final for f in frames)
    assert final.is_final
    assert 0 <= final.quality["neighbours_kept"] <= 1
    with pytest.raises(NotFoundError, match="did you mean 'tsne'"):
        embedding().project("tnse")


def test_an_empty_query_finds_nothing() -> None:
    for query in ("", "  "):
        assert embedding(columns={"place": [""] * 30}).search(query).tolist() == []


def test_vectors_too_large_for_half_precision_are_stored_as_float32() -> None:
    assert embedding().to_summary().arrays["vector"].dtype == np.float16
    stored = Embedding(np.full((6, 4), 1e6)).to_summary().arrays["vector"]
    assert stored.dtype == np.float32
    assert (stored == 1e6).all()


def test_summaries_hold_all_that_the_viewer_needs() -> None:
    pictures = RNG.integers(0, 255, (30, 5, 4, 1), np.uint8)
    summary = embedding(thumbnails=pictures, columns={"n": range(30)}).to_summary("fc1")
    sheet = summary.pictures["thumbnail"]
    assert sheet.shape == (1, 48, 5, 4, 1)
    np.testing.assert_array_equal(sheet[0, 7], pictures[7])
    assert summary.arrays["neighbours"].shape == (30, 10)
    assert json.loads(json.dumps(summary.meta))["columns"]["n"][3] == "3"
    frame = Projection(np.zeros((3, 2), np.float32), "tsne", 10, 20, float("nan")).to_summary("fc1/tsne")
    assert frame.step == 10
    assert frame.meta["kl"] is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Embedding(np.zeros(3)), r"vectors \(N, D\)"),
        (lambda: Embedding(np.full((3, 2), np.nan)), "6 values that are NaN"),
        (lambda: Embedding(np.zeros((3, 2)), [1, 2]), "3 vectors but 2 labels"),
        (lambda: Embedding(np.zeros((3, 2)), columns={"a": [1]}), "3 vectors but 1 a"),
    ],
)
def test_bad_embeddings_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()  # type: ignore[operator]
