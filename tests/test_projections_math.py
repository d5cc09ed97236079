"""PCA, t-SNE, UMAP and custom axes against plain definitions, on real data, and on input that is hardly data."""

from __future__ import annotations

import builtins
import sys
import types
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from convscope.embed import Embedding, Projection, measure, nearest, pca, project, tsne
from convscope.embed.methods import project_axes
from convscope.embed.place import Placement, stratified_sample
from convscope.embed.tsne import Descent, Settings, conditional
from convscope.embed.vectors import reduced
from convscope.errors import InputError, MissingExtraError, NotFoundError

RNG = np.random.default_rng(0)


def clusters(n: int = 30, groups: int = 3, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(groups), n)
    rng = np.random.default_rng(1)
    return rng.normal(size=(groups, d))[labels] * 8 + rng.normal(size=(n * groups, d)), labels


# principal components


@pytest.mark.parametrize("shape", [(40, 6), (5, 30), (20, 20)])
def test_pca_equals_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    x = RNG.normal(size=shape) + 3
    points, explained = pca(x, 3)
    scores, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    expected = scores[:, :3] * values[:3]
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(explained, values[:3] ** 2 / (values**2).sum(), atol=1e-10)


def test_randomised_components_equal_those_of_the_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("convscope.embed.pca"), "_BLOCK_BYTES", 1 << 18)  # several blocks
    x = RNG.normal(size=(600, 20)) @ RNG.normal(size=(20, 300)) * 2 + RNG.normal(size=(600, 300))
    points, explained = pca(x.astype(np.float32), 10, solver="randomised")
    scores, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(explained, values[:10] ** 2 / (values**2).sum(), rtol=1e-4)
    expected = np.abs(scores[:, :10] * values[:10])
    np.testing.assert_allclose(np.abs(points), expected, atol=1e-2 * expected.max())
    again, _ = pca(x.astype(np.float32), 10, solver="randomised", seed=9)
    np.testing.assert_allclose(points[:, :3], again[:, :3], atol=1e-2 * expected.max())
    with pytest.raises(InputError, match="unknown solver 'svd'"):
        pca(x, solver="svd")


def test_pca_has_a_fixed_sign_and_reads_half_precision() -> None:
    x = RNG.normal(size=(30, 4)).astype(np.float16)
    np.testing.assert_array_equal(pca(x)[0], pca(x.astype(np.float64))[0])
    assert project(x, "pca", dimensions=3).explained_variance[0] > 0.25


@pytest.mark.parametrize(("n", "d"), [(5, 100), (12, 512), (48, 600)])
def test_pca_of_few_vectors_has_no_noise_in_the_components_beyond_their_rank(n: int, d: int) -> None:
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(n, d))
        points, explained = pca(x, 50)
        scores, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
        np.testing.assert_allclose(np.abs(points), np.abs(scores * values), atol=1e-4)
        assert (points[:, n - 1 :] == 0).all()
        assert explained.sum() == pytest.approx(1)
    low = RNG.normal(size=(30, 3)) @ RNG.normal(size=(3, 200))
    assert (pca(low, 20)[0][:, 3:] == 0).all()


# t-SNE


def test_probabilities_have_the_perplexity_asked_for() -> None:
    distance = np.sort(RNG.uniform(1, 3, (50, 60)), axis=1)
    found = conditional(distance, 17.0)
    entropy = -(found * np.log(found)).sum(1)
    np.testing.assert_allclose(np.exp(entropy), 17, rtol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize("engine", ["numpy", "opentsne"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_gradient_is_that_of_the_divergence(engine: str, dimensions: int) -> None:
    if engine == "opentsne":
        pytest.importorskip("openTSNE")
    x = RNG.normal(size=(25, 4))
    gradient = Descent(x, Settings(perplexity=5, engine=engine, dimensions=dimensions)).prepare()
    points = np.random.default_rng(3).normal(size=(25, dimensions))
    index, distance = nearest(x, 15, metric="euclidean")
    joint = np.zeros((25, 25))
    np.put_along_axis(joint, index, conditional(distance.astype(np.float64), 5.0), axis=1)
    joint = (joint + joint.T) / 50

    def divergence(at: np.ndarray) -> float:
        kernel = 1 / (1 + ((at[:, None] - at[None]) ** 2).sum(2))
        np.fill_diagonal(kernel, 0)
        share = kernel / kernel.sum()
        return float((joint[joint > 0] * np.log(joint[joint > 0] / share[joint > 0])).sum())

    kl, slope = gradient(points, 1.0, measure=True)
    assert kl == pytest.approx(divergence(points), rel=0.05 if engine == "opentsne" else 1e-5)
    step = 1e-5
    for i, j in ((0, 0), (7, 1), (24, dimensions - 1)):
        moved = [points.copy(), points.copy()]
        moved[0][i, j] += step
        moved[1][i, j] -= step
        expected = (divergence(moved[0]) - divergence(moved[1])) / (2 * step)
        # the factor 4 is left out; Barnes-Hut looks at far points together
        assert 4 * slope[i, j] == pytest.approx(expected, rel=0.2 if engine == "opentsne" else 1e-3, abs=5e-3)


@pytest.mark.parametrize("engine", ["numpy", "opentsne"])
def test_tsne_keeps_clusters_and_reports_frames(engine: str) -> None:
    if engine == "opentsne":
        pytest.importorskip("openTSNE")
    x, labels = clusters()
    seen: list[tuple[int, float]] = []
    options: dict[str, Any] = {"perplexity": 10, "iterations": 300, "engine": engine}
    points = tsne(x, callback=lambda i, kl, _: seen.append((i, kl)), every=50, **options)
    assert measure(x, points, labels)[0]["label_accuracy"] > 0.97
    assert [i for i, _ in seen] == [50, 100, 150, 200, 250, 300]
    assert seen[-1][1] < seen[2][1]
    np.testing.assert_array_equal(points, tsne(x, **options))


def test_tsne_does_what_opentsne_does_and_scikit_learn() -> None:
    """On the mean of four seeds: where a single layout ends hangs on the last bit, so on the kind of processor."""
    opentsne = pytest.importorskip("openTSNE")
    manifold = pytest.importorskip("sklearn.manifold")
    x = pytest.importorskip("sklearn.datasets").load_digits().data[:400]
    space = pca(x, 50)[0].astype(np.float64)
    qualities: dict[str, list[dict[str, float]]] = {}
    for seed in range(4):
        theirs = {"openTSNE": opentsne.TSNE(perplexity=20, n_iter=250, random_state=seed, n_jobs=1).fit(space)}
        with pytest.importorskip("threadpoolctl").threadpool_limits(1):  # threads wait busily for each other
            own = manifold.TSNE(perplexity=20, max_iter=500, random_state=seed)
            theirs["scikit-learn"] = own.fit_transform(space)
        for name, points in theirs.items():
            qualities.setdefault(name, []).append(measure(x, np.asarray(points))[0])
        for engine in ("numpy", "opentsne"):
            found = project(x, "tsne", perplexity=20, iterations=500, engine=engine, seed=seed)
            qualities.setdefault(engine, []).append(found.quality)
    for figure in ("neighbours_kept", "trustworthiness"):
        mean = {name: np.mean([one[figure] for one in found]) for name, found in qualities.items()}
        for engine in ("numpy", "opentsne"):
            for peer in ("openTSNE", "scikit-learn"):
                assert mean[engine] > mean[peer] - 0.01, (figure, engine, peer)


def test_a_warm_start_stays_where_it_is_and_a_cosine_is_of_directions() -> None:
    x, _ = clusters()
    first = project(x, "tsne", perplexity=10, engine="numpy")
    near = project(x + 0.05 * RNG.normal(size=x.shape), "tsne", perplexity=10, engine="numpy", start=first)
    assert near.iterations == 250
    assert near.parameters["warm_start"]
    assert np.corrcoef(near.points.ravel(), first.points.ravel())[0, 1] > 0.98
    assert np.linalg.norm(near.points - first.points, axis=1).mean() < 0.35 * first.points.std()
    longer = x * RNG.uniform(0.1, 9, (len(x), 1))
    options: dict[str, Any] = {"metric": "cosine", "engine": "numpy", "iterations": 20}
    one, other = (project(vectors, "tsne", **options) for vectors in (x, longer))
    np.testing.assert_allclose(one.points, other.points, atol=1e-2 * np.abs(one.points).max())
    with pytest.raises(InputError, match=r"to start from is \(90, 2\)"):
        project(x, "tsne", start=np.zeros((3, 2)))


def test_tsne_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least 5"):
        tsne(np.zeros((4, 2)))
    for wrong, sentence in (
        ({"engine": "umap"}, "unknown t-SNE engine 'umap'"),
        ({"dimensions": 4}, "2 or 3 dimensions, not 4"),
        ({"perplexity": 0}, "perplexity of t-SNE is a positive number, not 0"),
        ({"perplexity": 0.5}, "at least 1, not 0.5"),
        ({"exaggeration": float("nan")}, "positive number, not nan"),
        ({"iterations": 0}, "at least 1 iteration"),
        ({"perplexity": "many"}, "positive number, not 'many'"),
        ({"perplexty": 9}, "no parameter of t-SNE 'perplexty'; did you mean 'perplexity'"),
    ):
        with pytest.raises(InputError, match=sentence):
            tsne(np.zeros((9, 2)), **wrong)  # type: ignore[arg-type]
    with pytest.raises(MissingExtraError, match=r"convscope\[embed\]"):
        tsne(np.zeros((3001, 2)), engine="numpy")
    real = builtins.__import__

    def refuse(name: str, *args: object, **kw: object) -> object:
        if name.startswith(("openTSNE", "umap")):
            raise ImportError(name)
        return real(name, *args, **kw)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match="openTSNE"):
        tsne(RNG.normal(size=(9, 2)), engine="opentsne")
    with pytest.raises(MissingExtraError, match="umap-learn, which is not installed; pip install umap-learn"):
        project(RNG.normal(size=(9, 2)), "umap")


# others


def test_umap_gets_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Fake:
        def __init__(self, **options: Any) -> None:
            asked.update(options)

        def fit_transform(self, data: np.ndarray) -> np.ndarray:
            return data[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Fake))  # type: ignore[arg-type]
    found = project(clusters()[0], "umap", neighbours=200, seed=4, minimum_distance=0.3)
    assert asked == {"n_components": 2, "n_neighbors": 89, "min_dist": 0.3, "random_state": 4}
    assert found.parameters["neighbours_used"] == 89
    assert found.quality["neighbours_kept"] > 0.1


def test_any_function_projects() -> None:
    def mine(vectors: np.ndarray, *, scale: float) -> np.ndarray:
        return vectors[:, :3] * scale

    found = project(clusters()[0], mine, scale=2.0)
    assert (found.method, found.points.shape, found.parameters["scale"]) == ("mine", (90, 3), 2.0)
    with pytest.raises(InputError, match=r"returned \(90, 8\) for 90 vectors"):
        project(clusters()[0], lambda x: x)
    with pytest.raises(InputError, match="positions that are NaN"):
        project(clusters()[0], lambda x: x[:, :2] * np.nan)
    with pytest.raises(NotFoundError, match="no parameter of pca 'perplexity'"):
        project(clusters()[0], "pca", perplexity=9)
    with pytest.raises(NotFoundError, match="did you mean 'tsne'"):
        project(clusters()[0], "tnse")


def test_custom_axes_are_in_the_units_of_the_data() -> None:
    x, labels = clusters()
    names = ["dog", "cat", "hot dog"]
    means = [x[labels == i].mean(0) for i in range(3)]
    found = project(x, "axes", axes=[("dog", "cat"), (0, 2)], labels=labels, label_names=names)
    assert found.axes == ["dog - cat", "dog - hot dog"]
    apart = np.linalg.norm(means[0] - means[1])
    at = [found.points[labels == i, 0].mean() for i in range(2)]
    np.testing.assert_allclose(at, [apart / 2, -apart / 2], rtol=1e-5)
    one, other = means[0] - means[1], means[0] - means[2]
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert found.parameters["cosines"] == {"dog - cat · dog - hot dog": pytest.approx(cosine)}
    chosen = (np.arange(30), labels == 1)
    given = project_axes(x, axes={"first": chosen, "second": np.eye(8)[3] * 7, "third": np.eye(8)[4]})
    np.testing.assert_allclose(given.points[:, 0], found.points[:, 0], rtol=1e-5)
    np.testing.assert_allclose(given.points[:, 1], x[:, 3] - x[:, 3].mean(), atol=1e-5)
    assert given.axes == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ([("dog", "cat")], "2 or 3, one a dimension; got 1"),
        ([("dog", "cow"), ("dog", "cat")], "no class 'cow'"),
        ([("dog", "dog"), ("dog", "cat")], "same mean"),
        ([([], [1]), ("dog", "cat")], "a selection is|without points"),
        ([([0], [99]), ("dog", "cat")], "0..89"),
        ([np.zeros(8), ("dog", "cat")], "axis 1 is neither"),
        ([np.ones(3), ("dog", "cat")], "8 numbers"),
    ],
)
def test_axes_that_make_no_sense_are_refused(axes: list[Any], sentence: str) -> None:
    x, labels = clusters()
    with pytest.raises(InputError, match=sentence):
        project_axes(x, axes=axes, labels=labels, label_names=["dog", "cat", "fox"])
    with pytest.raises(InputError, match="needs labels"):
        project_axes(x, axes=[(0, 1), (1, 2)])


# many points


def test_a_sample_has_its_share_of_every_class() -> None:
    labels = np.array([0] * 700 + [1] * 250 + [2] * 48 + [3, -1])
    chosen = stratified_sample(1000, 100, labels=labels, seed=1)
    assert len(np.unique(chosen)) == 100
    assert (np.diff(chosen) > 0).all()
    counts = {int(c): int((labels[chosen] == c).sum()) for c in np.unique(labels)}
    assert counts[3] == counts[-1] == 1
    assert [abs(counts[c] - share) <= 1 for c, share in ((0, 70), (1, 25), (2, 4))] == [True] * 3
    np.testing.assert_array_equal(chosen, stratified_sample(1000, 100, labels=labels, seed=1))
    assert not np.array_equal(chosen, stratified_sample(1000, 100, labels=labels, seed=2))
    assert len(stratified_sample(1000, 100, labels=np.arange(1000))) == 100
    with pytest.raises(InputError, match="a sample of 9 out of 4"):
        stratified_sample(4, 9)


def test_the_others_lie_between_their_neighbours() -> None:
    x = RNG.normal(size=(300, 5)).astype(np.float32)
    chosen = np.arange(0, 300, 3)
    placement = Placement(x, chosen)
    while not placement.done:
        placement.advance()
    layout = RNG.normal(size=(100, 2))
    points = placement.apply(layout)
    np.testing.assert_allclose(points[chosen], layout, rtol=1e-6)
    for i in (1, 100, 299):
        apart = np.linalg.norm(x[chosen] - x[i], axis=1)
        near = np.argsort(apart)[:5]
        weights = 1 / apart[near]
        np.testing.assert_allclose(points[i], weights @ layout[near] / weights.sum(), rtol=1e-3, atol=1e-5)


def test_many_points_are_placed_by_a_sample_of_them() -> None:
    x, labels = clusters(200)
    frames: list[Projection] = []
    options: dict[str, Any] = {"perplexity": 10, "iterations": 200, "every": 100, "engine": "numpy"}
    found = project(x, "tsne", labels=labels, sample=150, callback=frames.append, **options)
    assert found.points.shape == (600, 2)
    assert found.placed is not None
    assert (found.placed.sum(), found.sampled) == (450, 150)
    assert found.quality["label_accuracy"] > 0.97
    assert [frame.iteration for frame in frames] == [0, 100]
    assert frames[1].points.shape == (600, 2)
    assert found.parameters["metric"] == "euclidean"
    summary = found.to_summary()
    assert summary.meta["sampled"] == 150
    assert summary.arrays["placed"].dtype == np.uint8


def test_an_embedding_projects_with_its_labels() -> None:
    frames: list[Projection] = []
    x, labels = clusters(10)
    embedding = Embedding(x, labels, label_names=["dog", "hot dog", "cat"])
    options: dict[str, Any] = {"iterations": 60, "every": 20, "perplexity": 5, "engine": "numpy"}
    final = embedding.project("tsne", callback=frames.append, **options)
    assert [frame.iteration for frame in frames] == [0, 20, 40]
    assert not any(frame.is_final or frame.quality for frame in frames)
    assert final.is_final
    assert set(final.quality) == {"neighbours_kept", "trustworthiness", "label_accuracy"}
    assert final.quality_of == 30
    assert embedding.project("axes", axes=[("dog", "cat"), ("dog", "hot dog")]).axes[0] == "dog - cat"


# hardly data

CASES: dict[str, np.ndarray] = {
    "one point": np.ones((1, 4)),
    "two points": np.eye(2, 4),
    "four points": RNG.normal(size=(4, 9)),
    "fewer than perplexity": RNG.normal(size=(12, 6)),
    "constant": np.full((40, 5), 3.0),
    "all zero": np.zeros((40, 5)),
    "duplicates": np.repeat(RNG.normal(size=(4, 6)), 15, axis=0),
    "one dimension": RNG.normal(size=(30, 1)),
    "fewer points than dimensions": RNG.normal(size=(7, 500)),
    "huge numbers": RNG.normal(size=(20, 4)) * 1e18,
    "tiny numbers": RNG.normal(size=(20, 4)) * 1e-18,
}
REFUSED = {("tsne", name): "t-SNE needs at least 5 vectors" for name in ("one point", "two points", "four points")}
METHODS: dict[str, dict[str, Any]] = {
    "pca": {},
    "tsne": {"iterations": 60, "engine": "numpy"},
    "tsne 3-D": {"iterations": 60, "dimensions": 3},
    "axes": {},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_hardly_any_data_gives_finite_positions_or_one_sentence(method: str, case: str) -> None:
    x, name, options = CASES[case], method.split(maxsplit=1)[0], dict(METHODS[method])
    if name == "axes":
        options["axes"] = [np.eye(1, x.shape[1])[0], np.ones(x.shape[1])]
    if sentence := REFUSED.get((name, case)):
        with pytest.raises(InputError, match=sentence):
            project(x, name, **options)
        return
    found = project(x, name, labels=np.arange(len(x)) % 2, **options)
    assert np.isfinite(found.points).all()
    assert found.points.shape == (len(x), options.get("dimensions", 2))
    assert all(0 <= value <= 1 for value in found.quality.values())
    if name == "tsne":
        assert found.parameters["perplexity"] == 30
        assert found.parameters["perplexity_used"] == min(30, (len(x) - 1) / 3)
        assert np.abs(found.points).max() < 1000
    found.to_summary().meta["quality"]


@pytest.mark.parametrize("method", ["pca", "tsne", "axes", "umap", len])
def test_vectors_that_are_not_finite_are_counted(method: Any) -> None:
    x = RNG.normal(size=(30, 3))
    x[3, 1], x[7, 2], x[7, 0] = np.nan, np.inf, np.nan
    options = {"axes": [np.ones(3), np.eye(3)[0]]} if method == "axes" else {}
    with pytest.raises(InputError, match="2 of 30 vectors hold NaN or infinite values; leave them out"):
        project(x, method, **options)
    with pytest.raises(InputError, match=r"\(N, D\), got shape \(3,\)"):
        reduced(np.zeros(3), "euclidean", 2)


@pytest.mark.parametrize("engine", ["numpy", "opentsne"])
@pytest.mark.parametrize("n", [5, 12, 50])
def test_few_vectors_of_many_dimensions_are_laid_out(engine: str, n: int) -> None:
    if engine == "opentsne":
        pytest.importorskip("openTSNE")
    found = project(np.random.default_rng(1).normal(size=(n, 512)), "tsne", engine=engine)
    assert 1 < np.abs(found.points).max() < 1000
    assert found.divergence is not None
    assert 0 <= found.divergence < 2
    assert found.quality["neighbours_kept"] > 0.3
