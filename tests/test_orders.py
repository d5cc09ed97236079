"""Orders of channels: permutations that lose none, against scipy, scikit-learn, and every way to turn a dendrogram."""

from __future__ import annotations

import json
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.inspect.order import CHEAP, ORDERS, Order, order_maps, row_order
from convscope.inspect.order_clusters import Space, kmeans
from convscope.inspect.order_points import Points, spearman
from convscope.inspect.order_trees import LINKAGES, Tree, leaf_order, linkage

NAMES = (*CHEAP, "kmeans:1", "hierarchical:ward", "selectivity")
few = arrays(
    np.float32,
    array_shapes(min_dims=3, max_dims=3, max_side=5),
    elements=st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(allow_nan=False, allow_infinity=False, width=32)),
)


def random_maps(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def order_of(values: np.ndarray, name: str) -> Order:
    return order_maps(values, name, **({"classes": np.ones((2, len(values)))} if name == "selectivity" else {}))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(values=few)
def test_every_order_of_any_finite_maps_is_a_permutation(name: str, values: np.ndarray) -> None:
    for maps in (values, np.concatenate([values, values])):
        order = order_of(maps, name)
        assert sorted(order.permutation.tolist()) == list(range(len(maps)))
        assert order.permutation[order.inverse].tolist() == list(range(len(maps)))
        assert sum(order.groups) in (0, len(maps))
        json.dumps(order.to_json(), allow_nan=False)


@pytest.mark.parametrize("name", [name for name in NAMES if name[:4] not in ("inde", "kmea", "sele")])
def test_orders_hang_on_the_maps_and_not_on_how_they_were_stacked(name: str) -> None:
    maps = random_maps(30, 4, 5)
    shuffled = np.random.default_rng(1).permutation(30)
    first, second = order_of(maps, name), order_of(maps[shuffled], name)
    np.testing.assert_array_equal(first.permutation, shuffled[second.permutation])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_constant_maps_and_few_maps_keep_the_order_of_the_network(name: str, count: int) -> None:
    assert order_of(np.full((count, 3, 3), 0.1), name).permutation.tolist() == list(range(count))


def test_the_inputs_of_orders_are_checked() -> None:
    with pytest.raises(InputError, match="1 values of the maps are NaN or infinite"):
        order_maps(np.array([[[np.nan]]]), "mean")
    with pytest.raises(NotFoundError, match="did you mean 'spectral'"):
        order_maps(np.ones((2, 2, 2)), "spectal")
    with pytest.raises(NotFoundError, match=r"no parameter 'kk' in the order 'kmeans'; did you mean 'k'\?"):
        order_maps(np.ones((2, 2, 2)), "kmeans", kk=3)
    with pytest.raises(InputError, match="a parameter stands behind a colon as in kmeans:2, pca:2"):
        order_maps(np.ones((2, 2, 2)), "mean:3")
    with pytest.raises(InputError, match=r"principal components 1..2, got 3"):
        order_maps(np.ones((2, 2, 2)), "pca:3")
    with pytest.raises(InputError, match=r"1..2 clusters, got k = 3"):
        order_maps(np.ones((2, 2, 2)), "kmeans:3")
    with pytest.raises(InputError, match="one of average, ward, got 'single'"):
        order_maps(np.ones((2, 2, 2)), "hierarchical:single")
    with pytest.raises(InputError, match="by 'values' or 'shape', got 'looks'"):
        order_maps(np.ones((2, 2, 2)), "kmeans", compare="looks")
    with pytest.raises(InputError, match="needs the mean activation of each class"):
        order_maps(np.ones((2, 2, 2)), "selectivity")
    with pytest.raises(InputError, match=r"of shape \(K ≥ 2, 2\), got shape \(3, 4\)"):
        order_maps(np.ones((2, 2, 2)), "selectivity", classes=np.ones((3, 4)))


def test_kmeans_is_as_good_as_that_of_scikit_learn_and_its_silhouettes_are_the_same() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(5, 40))
    for values in (
        np.repeat(centres, 12, 0) + rng.normal(size=(60, 40)) / 2,
        rng.random((80, 6)),
    ):
        for k in (2, 7):
            theirs = cluster.KMeans(k, n_init=4, random_state=0).fit(values)
            points = Points(values)
            ours = kmeans(Space(points.squares(), points.coordinates()), k)
            assert ours.inertia <= 1.03 * theirs.inertia_
            np.testing.assert_allclose(ours.silhouette, metrics.silhouette_samples(values, ours.label), atol=1e-9)
            means = np.stack([values[ours.label == one].mean(0) for one in range(k)])
            np.testing.assert_allclose(ours.to_centre, ((values - means[ours.label]) ** 2).sum(1), atol=1e-9)


def test_kmeans_finds_the_number_of_clusters_and_keeps_every_map() -> None:
    rng = np.random.default_rng(0)
    sizes = [20, 7, 12, 1]
    maps = np.repeat(6 * rng.normal(size=(4, 6, 6)), sizes, 0) + rng.normal(size=(40, 6, 6))
    order = order_maps(maps, "kmeans")
    assert sorted(order.groups) == sorted(sizes)
    found = [sorted(part.tolist()) for part in np.split(order.permutation, order.separators)]
    assert sorted(found) == [list(range(20)), list(range(20, 27)), list(range(27, 39)), [39]]
    assert order.explanation["clusters"] == 4
    assert dict(order.explanation["tried"])[4] == pytest.approx(order.explanation["silhouette"])
    assert max(order.explanation["tried"], key=lambda pair: pair[1])[0] == 4
    assert order.finding.startswith("4 clusters of ")
    again, other = (order_maps(maps, "kmeans", seed=seed) for seed in (0, 5))
    assert again.permutation.tolist() == order.permutation.tolist()
    assert other.parameters["seed"] == 5


@pytest.mark.parametrize("k", [3, 7, 10])
def test_one_line_of_the_image_loses_no_channel_to_a_separator(k: int) -> None:
    maps = random_maps(96, 5, 55) * random_maps(96, 1, 1, seed=1)
    order = row_order(maps, 3, "kmeans", k=k)
    assert sorted(order.permutation.tolist()) == list(range(96))
    assert order.parameters["row"] == 3
    assert len(order.groups) == k
    assert len(order.separators) == k - 1
    np.testing.assert_array_equal(order.permutation, order_maps(maps[:, 3], "kmeans", k=k).permutation)


def test_lines_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match=r"no row 5 in maps of 5 rows; there are 0..4"):
        row_order(np.ones((2, 5, 5)), 5)
    with pytest.raises(InputError, match=r"got shape \(2, 5\)"):
        row_order(np.ones((2, 5)), 0)


def test_equal_maps_are_never_in_two_clusters() -> None:
    maps = np.repeat(random_maps(3, 4, 4), 5, 0)
    order = order_maps(maps, "kmeans", k=8)
    assert order.groups == (5, 5, 5)
    assert order.explanation["silhouette"] == 1


@pytest.mark.parametrize("shape", [(20, 6, 6), (50, 3, 4)])
@pytest.mark.parametrize("pc", [1, 2, 3])
def test_principal_components_are_those_of_the_singular_value_decomposition(shape: tuple[int, ...], pc: int) -> None:
    maps = random_maps(*shape)
    flat = maps.reshape(len(maps), -1)
    shape_only = flat - flat.mean(1, keepdims=True)
    deviation = flat.std(0)
    cases = {
        "pca": (shape_only, {}),
        "pca_plain": (flat, {}),
        "standardised": (flat / deviation, {"standardise": True}),
    }
    for name, (matrix, more) in cases.items():
        centred = matrix - matrix.mean(0)
        left, strength, right = np.linalg.svd(centred, full_matrices=False)
        loading = right[pc - 1]
        sign = np.sign(loading[np.abs(loading).argmax()])
        order = order_maps(maps, "pca_plain" if more else name, pc=pc, **more)
        np.testing.assert_array_equal(order.permutation, np.argsort(-sign * left[:, pc - 1]))
        np.testing.assert_allclose(
            order.explanation["explained_variance"][:3], (strength**2 / (strength**2).sum())[:3], rtol=1e-5
        )
        assert f"component {pc} holds" in order.finding


def test_the_plain_components_of_bright_and_dark_maps_are_called_a_sort_by_brightness() -> None:
    rng = np.random.default_rng(0)
    maps = 2 + 3 * rng.random((60, 1, 1)) + rng.normal(size=(60, 8, 8)) / 2
    plain, shape = order_maps(maps, "pca_plain"), order_maps(maps, "pca")
    # As CNN-VIS did it: the principal direction of the centred maps, and the dot product with every map.
    flat = maps.reshape(60, -1)
    centred = flat - flat.mean(0)
    direction = np.linalg.eigh(centred @ centred.T)[1][:, -1] @ centred
    published = np.argsort(flat @ direction)
    assert plain.permutation.tolist() in (published.tolist(), published[::-1].tolist())
    rho = spearman(np.arange(60), flat.mean(1)[plain.permutation])
    assert rho is not None
    assert rho < -0.9
    assert plain.explanation["brightness"] == pytest.approx(rho, abs=1e-5)
    assert plain.sentence.endswith(f"; this is nearly a sort by brightness: ρ = −{-rho:.4f}, brightest first")
    assert "brightness" not in shape.sentence
    assert order_maps(maps, "mean").sentence == "this is a sort by brightness: ρ = −1, brightest first"


def test_spearman_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for left, right in ((rng.random(30), rng.random(30)), (rng.integers(0, 4, 40), rng.integers(0, 3, 40))):
        assert spearman(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)
    assert spearman(np.ones(4), np.arange(4)) is None


@pytest.mark.parametrize("method", LINKAGES)
@pytest.mark.parametrize("count", [2, 3, 17, 60])
def test_dendrograms_have_the_heights_of_scipy(method: str, count: int) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    values = random_maps(count, 7, seed=count)
    points = Points(values)
    tree, theirs = linkage(points.distances(), method), hierarchy.linkage(values, method)
    np.testing.assert_allclose(tree.heights, theirs[:, 2], rtol=1e-9)
    np.testing.assert_array_equal(tree.merges, np.sort(theirs[:, :2].astype(int), axis=1))


def turned(tree: Tree, node: int) -> list[list[int]]:
    """Return every order of the leaves of a node that turning its branches gives."""
    if node < tree.count:
        return [[node]]
    left, right = (turned(tree, int(one)) for one in tree.merges[node - tree.count])
    return [way for a in left for b in right for way in (a + b, b + a)]


@settings(max_examples=40)
@given(
    values=arrays(np.float64, st.tuples(st.integers(1, 7), st.just(2)), elements=st.integers(0, 6).map(float)),
    method=st.sampled_from(LINKAGES),
)
def test_no_way_to_turn_the_branches_brings_leaves_nearer(values: np.ndarray, method: str) -> None:
    distances = Points(values).distances()
    tree = linkage(distances, method)
    order = leaf_order(tree, distances)
    ways = turned(tree, 2 * len(values) - 2)
    assert order.tolist() in ways
    length = min(sum(distances[a, b] for a, b in pairwise(way)) for way in ways)
    assert sum(distances[a, b] for a, b in pairwise(order)) == pytest.approx(length)


def test_a_hierarchical_order_is_no_longer_than_that_of_scipy_and_tells_its_tree() -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    distance = pytest.importorskip("scipy.spatial.distance")
    values = random_maps(120, 5, 5)
    order = order_maps(values, "hierarchical")
    flat = values.reshape(120, -1)
    tree = hierarchy.linkage(flat, "average")
    theirs = hierarchy.leaves_list(hierarchy.optimal_leaf_ordering(tree, distance.pdist(flat)))
    distances = distance.squareform(distance.pdist(flat))
    assert order.explanation["path"] <= distances[theirs[:-1], theirs[1:]].sum() * (1 + 1e-5)
    assert order.explanation["path"] < order.explanation["path_of_index"]
    alike, _ = hierarchy.cophenet(tree, distance.pdist(flat))
    assert order.explanation["cophenetic_correlation"] == pytest.approx(alike, abs=1e-5)
    assert len(order.explanation["merges"]) == len(order.explanation["heights"]) == 119


def test_spectral_seriation_finds_a_line_that_was_shuffled() -> None:
    positions = np.linspace(0, 1, 40)
    maps = np.exp(-((np.linspace(0, 1, 100)[None] - positions[:, None]) ** 2) / 0.05)
    shuffled = np.random.default_rng(0).permutation(40)
    found = shuffled[order_maps(maps[shuffled], "spectral").permutation].tolist()
    assert found in (list(range(40)), list(range(39, -1, -1)))


def test_selectivity_is_the_index_of_its_definition() -> None:
    classes = np.array([[4.0, 0.0, 1.0, 3.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 2.0]])
    order = order_maps(np.ones((4, 2, 2)), "selectivity", classes=classes)
    assert order.permutation.tolist() == [0, 3, 1, 2]
    assert order.explanation["selectivity"] == pytest.approx([1, 1.5 / 4.5, 0, 0], abs=1e-6)
    assert order.explanation["preferred"] == [0, 0, 0, 0]
    assert "classes" not in order.parameters


def test_the_sign_of_a_component_does_not_hang_on_the_order_of_the_maps() -> None:
    maps = random_maps(9, 4, 4)
    for shuffled in list(permutations(range(9)))[:: 9 * 8 * 7 * 6 * 5 * 4]:
        rows = list(shuffled)
        np.testing.assert_array_equal(
            np.array(rows)[order_maps(maps[rows], "pca").permutation], order_maps(maps, "pca").permutation
        )


def test_an_order_is_saved_and_comes_back() -> None:
    order = order_maps(random_maps(20, 4, 4), "kmeans:3")
    again = Order.from_json(json.loads(json.dumps(order.to_json(), allow_nan=False)))
    assert again.permutation.tolist() == order.permutation.tolist()
    assert (again.name, again.groups, again.sentence) == (order.name, order.groups, order.sentence)
    assert again.parameters == {"k": 3, "seed": 0, "compare": "values"}
    assert again.explanation == order.explanation
    for broken in ({}, {"name": "pca"}, {"name": "pca", "permutation": [0, 0]}, {"name": "x", "permutation": 5}, [1]):
        with pytest.raises(FormatError, match="not a saved order of channels"):
            Order.from_json(broken)
    with pytest.raises(InputError, match=r"holds each of 0..2 once"):
        Order("mine", np.array([0, 2, 2]))
    with pytest.raises(InputError, match="the groups hold 4 channels, the order 3"):
        Order("mine", np.arange(3), groups=(2, 2))


def test_the_table_of_orders_names_what_maps_alone_give() -> None:
    assert set(CHEAP) == set(ORDERS) - {"selectivity"}
    assert all(method.__doc__ for method in ORDERS.values())
