"""Neighbours against plain sorting, one click among many against all of them, and the quality of a layout."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.embed import Index, measure, nearest
from convscope.embed.neighbours import nearest_of, smallest
from convscope.embed.quality import label_accuracy
from convscope.errors import InputError

RNG = np.random.default_rng(0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(12, 700), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_the_smallest_of_a_row_are_those_of_a_stable_sort(seed: int, k: int, width: int, levels: int) -> None:
    gaps = np.random.default_rng(seed).integers(-1, levels, (3, width)).astype(np.float32)
    expected = np.argsort(np.maximum(gaps, 0), axis=1, kind="stable")[:, :k]
    index, found = smallest(gaps.copy(), k)
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(found, np.maximum(np.take_along_axis(gaps, expected, axis=1), 0))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_vectors_are_ordered_by_index(metric: str) -> None:
    groups = np.repeat(RNG.normal(size=(5, 37)), 31, axis=0)
    order = RNG.permutation(len(groups))
    index, distance = nearest(groups[order], 10, metric=metric)
    one_by_one = Index(groups[order], metric)
    group = order // 31
    for i in range(len(groups)):
        equal = [j for j in range(len(groups)) if group[j] == group[i] and j != i]
        assert index[i].tolist() == equal[:10]
        assert one_by_one.nearest(i, 10)[0].tolist() == equal[:10]
    np.testing.assert_allclose(distance, 0, atol=2e-3)


def test_nearest_survives_large_numbers_and_offsets() -> None:
    assert nearest(np.full((3, 4), 1e30, np.float32), 2)[0].tolist() == [[1, 2], [0, 2], [0, 1]]
    index, distance = nearest(np.arange(10.0)[:, None] + 1e6, 2, metric="euclidean")
    assert index[5].tolist() == [4, 6]
    np.testing.assert_allclose(distance[5], 1)
    assert Index(np.arange(10.0)[:, None] + 1e6, "euclidean").nearest(5, 2)[0].tolist() == [4, 6]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_equals_a_full_sort(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convscope.embed.neighbours._BLOCK_BYTES", 1 << 20)  # more than one block
    x = RNG.normal(size=(1500, 5)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    index, distance = nearest(x, 4, metric=metric)
    asked = Index(x, metric)
    assert asked.exact
    for i in (0, 700, 1024, 1499):
        gaps = 1 - unit @ unit[i] if metric == "cosine" else np.linalg.norm(x - x[i], axis=1)
        gaps[i] = np.inf
        assert set(index[i]) == set(np.argsort(gaps)[:4])
        np.testing.assert_allclose(distance[i], np.sort(gaps)[:4], atol=2e-3)
        for query in (i, x[i] + np.float32(0)):
            found, apart = asked.nearest(query, 5)
            others = found[found != i][:4]
            np.testing.assert_array_equal(others, np.argsort(gaps)[:4])
            np.testing.assert_allclose(apart[found != i][:4], np.sort(gaps)[:4], atol=1e-5)


def test_nearest_of_few_and_of_zero_vectors() -> None:
    assert nearest(np.eye(3), 10)[0].shape == (3, 2)
    assert nearest(np.zeros((1, 4)), 5)[0].shape == (1, 0)
    np.testing.assert_allclose(nearest(np.zeros((3, 2)), 2)[1], 1)
    zero = np.vstack([np.zeros((1, 2)), np.eye(2)])
    np.testing.assert_allclose(Index(zero, "cosine").nearest(1, 5)[1], 1)
    assert Index(np.ones((1, 2))).nearest(0)[0].shape == (0,)


def test_queries_are_compared_with_other_vectors() -> None:
    x, asked = RNG.normal(size=(300, 4)), RNG.normal(size=(70, 4))
    index, distance = nearest_of(asked, x, 3)
    apart = np.linalg.norm(asked[:, None] - x[None], axis=2)
    np.testing.assert_array_equal(index, np.argsort(apart, axis=1)[:, :3])
    np.testing.assert_allclose(distance, np.sort(apart, axis=1)[:, :3], atol=1e-4)


def test_an_index_asks_for_selections_without_answering_them() -> None:
    x = np.arange(20.0)[:, None]
    assert Index(x, "euclidean").nearest([4, 6], 3)[0].tolist() == [5, 3, 7]
    for query in (20, -1, [0, 99]):
        with pytest.raises(InputError, match="there is no point"):
            Index(x).nearest(query)
    with pytest.raises(InputError, match="finite vector of 1 floating point"):
        Index(x).nearest(np.zeros(3))
    with pytest.raises(InputError, match="unknown metric 'hamming'"):
        Index(x, "hamming")
    with pytest.raises(InputError, match="1 of 2 vectors hold NaN"):
        Index(np.array([[0.0], [np.nan]]))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_vectors_beyond_the_budget_are_found_by_components_and_ranked_exactly(metric: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(5000, 12)) @ rng.normal(size=(12, 96)) + 0.3 * rng.normal(size=(5000, 96))) + 1
    x = x.astype(np.float16)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float16, "r", shape=x.shape)
    small, whole = Index(mapped, metric, budget=4 * 5000 * 16), Index(x, metric)
    assert (small.exact, whole.exact) == (False, True)
    kept = 0
    for i in range(0, 5000, 250):
        index, distance = small.nearest(i)
        expected, apart = whole.nearest(i)
        kept += len(set(index) & set(expected))
        common = np.isin(index, expected)
        np.testing.assert_allclose(distance[common], apart[np.isin(expected, index)], rtol=1e-5)
    assert kept >= 198  # of 200


def test_threads_may_share_an_index() -> None:
    x = RNG.normal(size=(2000, 16))
    index, wrong = Index(x), []
    expected = [index.nearest(i)[0].tolist() for i in range(8)]

    def ask(i: int) -> None:
        if index.nearest(i)[0].tolist() != expected[i]:
            wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_quality_is_that_of_scikit_learn() -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    neighbors = pytest.importorskip("sklearn.neighbors")
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    rng = np.random.default_rng(0)
    x = digits.data[:600] + rng.normal(scale=1e-3, size=(600, 64))  # no ties, which have no defined rank
    points = x @ rng.normal(size=(64, 2))
    for metric in ("euclidean", "cosine"):
        scores, count = measure(x, points, digits.target[:600], metric=metric)
        assert count == 600
        expected = manifold.trustworthiness(x, points, n_neighbors=10, metric=metric)
        assert scores["trustworthiness"] == pytest.approx(expected, abs=1e-9)
    near = neighbors.NearestNeighbors(n_neighbors=10).fit(points).kneighbors(return_distance=False)
    votes = [np.bincount(digits.target[row]).argmax() for row in near]
    assert scores["label_accuracy"] == pytest.approx((np.array(votes) == digits.target[:600]).mean(), abs=1e-12)


def test_quality_is_one_for_the_vectors_themselves_and_low_for_noise() -> None:
    labels = np.repeat(np.arange(3), 30)
    x = RNG.normal(size=(3, 2))[labels] * 9 + RNG.normal(size=(90, 2))
    scores, _ = measure(x, x, labels)
    assert (scores["neighbours_kept"], scores["trustworthiness"]) == (1.0, 1.0)
    noise, _ = measure(x, RNG.normal(size=x.shape), labels)
    assert noise["neighbours_kept"] < 0.3
    assert noise["trustworthiness"] < 0.7
    assert noise["label_accuracy"] < 0.8


def test_a_sample_measures_about_what_all_points_do(monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(1200, 6))
    points, labels = x[:, :2] + 0.1 * RNG.normal(size=(1200, 2)), (x[:, 0] > 0).astype(int)
    whole, _ = measure(x, points, labels)
    monkeypatch.setattr("convscope.embed.quality.ALL_UP_TO", 500)
    monkeypatch.setattr("convscope.embed.quality.SAMPLE", 400)
    part, count = measure(x, points, labels)
    assert count == 400
    for name, value in whole.items():
        assert part[name] == pytest.approx(value, abs=0.03)


def test_points_without_a_label_neither_vote_nor_count() -> None:
    points = np.arange(12.0)[:, None] * [1, 0]
    labels = np.array([0, 0, 0, 0, -1, -1, -1, -1, 1, 1, 1, 1])
    assert label_accuracy(points, labels, k=3) == 1.0
    assert label_accuracy(points, np.full(12, -1)) is None
    assert label_accuracy(points, np.arange(12)) is None  # a class each: nobody could be right
    many = RNG.integers(0, 50_000, 3000)
    assert label_accuracy(RNG.normal(size=(3000, 2)), many) < 0.05  # type: ignore[operator]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_quality_of_few_points_is_finite(count: int) -> None:
    x = RNG.normal(size=(count, 3))
    scores, _ = measure(x, x[:, :2], np.zeros(count, int))
    assert all(0 <= value <= 1 for value in scores.values())
