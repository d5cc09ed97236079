"""How well a classifier does: TensorBoard's curves against the peers' own code, areas against scikit-learn."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from convscope.errors import InputError
from convscope.inspect.classification import count_at_thresholds, count_confusions, trace_curves
from convscope.recording import SummaryWriter
from convscope.store import Run
from tensorboard_oracle import accumulate, torch_writer


def quietly(code: Any, *arguments: Any, **options: Any) -> Any:
    """Run a peer's code, which divides by nothing and says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return code(*arguments, **options)


def tensorboardx_writer(path: Path) -> Any:
    from tensorboardX import SummaryWriter as Peer

    return Peer(str(path))


def binary(seed: int, count: int, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, predictions on a coarse grid (ties, 0 and 1 among them) and weights."""
    random = np.random.default_rng(seed)
    return (
        random.integers(0, 2, count),
        (random.integers(0, 1001, count) / 1000).astype(dtype),
        random.integers(0, 5, count).astype(np.float64),
    )


@pytest.mark.parametrize("peer", [torch_writer, tensorboardx_writer])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("thresholds", [2, 50, 127])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_curve_is_that_of_the_peers(tmp_path: Path, peer: Any, dtype: str, thresholds: int, weighted: bool) -> None:
    labels, predictions, weights = binary(thresholds, 3000, dtype)
    given = weights if weighted else None
    theirs = quietly(peer, tmp_path / "theirs")
    quietly(theirs.add_pr_curve, "pr", labels, predictions, 7, thresholds, given, 11.5)
    theirs.close()
    with SummaryWriter(tmp_path / "ours") as writer:
        writer.add_pr_curve("pr", labels, predictions, 7, thresholds, given, 11.5)
    tables, contents = zip(*(read_curve(tmp_path / name) for name in ("ours", "theirs")), strict=True)
    np.testing.assert_array_equal(tables[0], tables[1])
    assert contents[0] == contents[1]


def read_curve(path: Path) -> tuple[np.ndarray, Any]:
    """Return the table and what the plugin is told, by TensorBoard's own reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.plugins.pr_curve import metadata
        from tensorboard.util.tensor_util import make_ndarray
    accumulator = accumulate(path)
    (event,) = accumulator.Tensors("pr")
    assert (event.step, event.wall_time) == (7, 11.5)
    plugin = accumulator.SummaryMetadata("pr").plugin_data
    assert plugin.plugin_name == metadata.PLUGIN_NAME
    return make_ndarray(event.tensor_proto), metadata.parse_plugin_metadata(plugin.content)


def test_a_curve_of_many_thresholds_is_read_by_tensorboard(tmp_path: Path) -> None:
    labels, predictions, _ = binary(3, 500, "f8")
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curve("pr", labels, predictions, 7, num_thresholds=1000, walltime=11.5)
    table, told = read_curve(tmp_path)
    assert (table.shape, told.num_thresholds) == ((6, 1000), 1000)
    (curve,) = Run(tmp_path).pr_curves("pr")
    assert (curve.step, curve.wall_time) == (7, 11.5)
    for at in (0, 333, 950):
        taken = predictions >= curve.threshold[at] - 1e-12
        assert curve.true_positives[at] == (taken & (labels == 1)).sum()
        assert curve.false_negatives[at] == (~taken & (labels == 1)).sum()
        assert curve.false_positives[at] == (taken & (labels == 0)).sum()
        assert curve.true_negatives[at] == (~taken & (labels == 0)).sum()
        assert curve.precision[at] == pytest.approx(metrics.precision_score(labels, taken))
        assert curve.recall[at] == pytest.approx(metrics.recall_score(labels, taken))


def test_a_raw_curve_is_kept_as_given(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((6, 150)).astype(np.float32)
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curve_raw("pr", *rows.tolist(), 7, 150, None, 11.5)
    table, told = read_curve(tmp_path)
    np.testing.assert_array_equal(table, rows)
    assert told.num_thresholds == 150
    np.testing.assert_array_equal(Run(tmp_path).pr_curves("pr")[0].recall, rows[5])


def test_rounding_outside_the_range_is_forgiven() -> None:
    table = count_at_thresholds(np.array([True, False]), np.array([1 + 1e-7, -1e-7]), 5)
    assert table[0].tolist() == [1, 1, 1, 1, 1]
    assert table[1].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_areas_are_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    count, classes = int(random.integers(30, 300)), int(random.integers(3, 7))
    labels = random.integers(0, classes - 1, count)  # the last class does not occur
    scores = random.normal(size=(count, classes)).round(1 if seed % 2 else 6)  # ties in every other case
    weights = random.integers(0, 4, count) * 0.5 if seed % 3 else None
    curves = trace_curves(labels, scores, weights=weights)
    for c in range(classes):
        member = labels == c
        if not member.any():
            assert np.isnan(curves.auc[c])
            assert np.isnan(curves.average_precision[c])
            assert curves.support[c] == 0
            continue
        auc = metrics.roc_auc_score(member, scores[:, c], sample_weight=weights)
        precision = metrics.average_precision_score(member, scores[:, c], sample_weight=weights)
        assert curves.auc[c] == pytest.approx(auc, abs=1e-12)
        assert curves.average_precision[c] == pytest.approx(precision, abs=1e-12)
        assert curves.support[c] == member @ (np.ones(count) if weights is None else weights)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 400)])
def test_points_lie_on_the_curves_of_scikit_learn(weights: np.ndarray | None) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 400)
    scores = (random.normal(size=400) + labels).astype(np.float32)
    curves = trace_curves(labels, scores, weights=weights, points=60)
    false, true, limits = metrics.roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    known = dict(zip(limits.tolist(), zip(false, true, strict=True), strict=True))
    assert curves.threshold.shape == (1, 60)
    assert len(set(curves.threshold[0].tolist())) > 50
    for point in np.stack([curves.threshold, curves.false_positive_rate, curves.true_positive_rate]).T[:, 0]:
        assert tuple(point[1:]) == pytest.approx(known[point[0].item()], abs=1e-6)
    assert (curves.true_positive_rate[0, 0], curves.precision[0, 0], curves.threshold[0, 0]) == (0, 1, np.inf)
    assert (curves.true_positive_rate[0, -1], curves.false_positive_rate[0, -1]) == pytest.approx((1, 1))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=40), st.integers(2, 9))
def test_laws_of_curves(pairs: list[tuple[bool, int]], points: int) -> None:
    members, scores = (np.array(column) for column in zip(*pairs, strict=True))
    curves = trace_curves(members, scores, points=points)
    for rate in (curves.true_positive_rate, curves.false_positive_rate):
        assert (np.diff(rate) >= 0).all() or np.isnan(rate).all()
    assert (np.diff(curves.threshold[0, 1:]) <= 0).all()
    assert ((curves.precision >= 0) & (curves.precision <= 1)).all()
    turned = trace_curves(members, -scores, points=points)
    if members.any() and not members.all():  # the probability that a member comes first, ties counted half
        ahead = scores[members][:, None] - scores[~members]
        assert curves.auc[0] == pytest.approx(((ahead > 0) + 0.5 * (ahead == 0)).mean())
        assert curves.auc[0] + turned.auc[0] == pytest.approx(1)
    else:
        assert np.isnan(curves.auc[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_confusion_matrix_is_that_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, predictions = random.integers(0, 5, (2, 200))
    labels[labels == 3] = 2
    matrix = count_confusions(labels, predictions)
    np.testing.assert_array_equal(matrix.counts, metrics.confusion_matrix(labels, predictions))
    assert matrix.accuracy == pytest.approx(metrics.accuracy_score(labels, predictions))
    recall = metrics.recall_score(labels, predictions, average=None, zero_division=np.nan)
    np.testing.assert_allclose(matrix.recall, recall)
    precision = metrics.precision_score(labels, predictions, average=None, zero_division=np.nan)
    np.testing.assert_allclose(matrix.precision, precision)


def test_the_largest_score_decides() -> None:
    scores = np.array([[0.1, 0.9, 0], [0.5, 0.2, 0.3]])
    assert count_confusions(np.array([1, 2]), scores).counts.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_curves_of_classes_are_a_record_and_curves_for_tensorboard(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 3, 300), random.dirichlet(np.ones(3), 300).astype(np.float32)
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curves("test", labels, scores, ["cat", "dog", "owl"], 5, 101, walltime=11.5)
    run = Run(tmp_path)
    (entry,) = run.entries("curves", "test")
    record = run.record(entry)
    assert (entry.step, entry.wall_time) == (5, 11.5)
    assert record.meta["class_names"] == ["cat", "dog", "owl"]
    expected = metrics.roc_auc_score(labels, scores / scores.sum(1, keepdims=True), multi_class="ovr")
    assert record.meta["mean_auc"] == pytest.approx(expected, abs=1e-6)
    assert record.arrays()["threshold"].shape == (3, 101)
    assert accumulate(tmp_path).Tags()["tensors"] == ["test/cat", "test/dog", "test/owl", "test"]
    for c, name in enumerate(("cat", "dog", "owl")):
        (curve,) = run.pr_curves(f"test/{name}")
        np.testing.assert_array_equal(
            curve.precision, count_at_thresholds(labels == c, scores[:, c], 101)[4].astype("f4")
        )


def test_roc_curves_take_any_scores_and_memberships(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, (100, 4)), random.normal(size=(100, 4))
    with SummaryWriter(tmp_path) as writer, writer.use_metadata(global_step=3, walltime=2.5):
        writer.add_roc_curves("several", labels, scores)
        writer.add_roc_curves("one", labels[:, 0], scores[:, 0])
    run = Run(tmp_path)
    several, one = (run.record(run.entries("curves", tag)[0]) for tag in ("several", "one"))
    auc = metrics.roc_auc_score(labels, scores, average=None)
    np.testing.assert_allclose(several.arrays()["auc"], auc)
    np.testing.assert_allclose(one.arrays()["auc"], auc[:1])
    assert (one.meta["class_names"], several.meta["class_names"]) == (["positive"], ["0", "1", "2", "3"])
    assert [entry.step for entry in run.entries("curves")] == [3, 3]
    assert run.tags("pr_curve")["pr_curve"] == []


def test_a_confusion_matrix_is_a_record(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_confusion_matrix("test", [0, 1, 1], [0, 1, 0], ["no", "yes"], 4, 11.5)
    run = Run(tmp_path)
    (entry,) = run.entries("confusion_matrix", "test")
    assert (entry.step, entry.wall_time) == (4, 11.5)
    assert run.record(entry).arrays()["counts"].tolist() == [[1, 0], [1, 1]]
    assert run.record(entry).meta == {"class_names": ["no", "yes"], "accuracy": pytest.approx(2 / 3)}


def test_torch_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    labels = torch.tensor([0, 1, 2, 1])
    logits = torch.randn(4, 3, requires_grad=True)
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curve("pr", labels == 1, logits.softmax(1)[:, 1].bfloat16(), 0)
        writer.add_pr_curves("all", labels, logits.softmax(1))
        writer.add_confusion_matrix("matrix", labels, logits)
    assert Run(tmp_path).pr_curves("pr")[0].true_positives[0] == 2


HALF = np.full(4, 0.5)
BAD = {
    "labels are 0 and 1 or booleans, got 2": ("add_pr_curve", [0, 1, 2, 1], HALF),
    "labels are 0 and 1 or booleans, got nan": ("add_pr_curve", [0, 1, np.nan, 1], HALF),
    "4 labels need 4 predictions": ("add_pr_curve", [0, 1, 0, 1], HALF[:3]),
    r"from 0 to 1, got 1\.5": ("add_pr_curve", [0, 1, 0, 1], HALF * 3),
    "from 0 to 1, got nan": ("add_pr_curve", [0, 1, 0, 1], HALF * np.nan),
    "at least one label": ("add_pr_curve", [], []),
    "at least 2 thresholds, a whole number, got 1": ("add_pr_curve", [0, 1, 0, 1], HALF, 0, 1),
    "weights are 4 numbers or one": ("add_pr_curve", [0, 1, 0, 1], HALF, 0, 127, [1, 2]),
    "a weight is a number from 0 on": ("add_pr_curve", [0, 1, 0, 1], HALF, 0, 127, [1, 2, -1, 0]),
    "recall has 2 thresholds and true_positives 3": ("add_pr_curve_raw", *[[1, 2, 3]] * 5, [1, 2]),
    "precision is a list of numbers": ("add_pr_curve_raw", *[[1, 2]] * 4, [[1, 2]], [1, 2]),
    "there are 3 classes, got the label 3": ("add_pr_curves", [0, 1, 2, 3], np.full((4, 3), 0.3)),
    "a label is a class number 0, 1, …, got -1": ("add_pr_curves", [0, 1, 2, -1], np.full((4, 3), 0.3)),
    r"class number 0, 1, …, got 0\.5": ("add_roc_curves", [0, 1, 2, 0.5], np.full((4, 3), 0.3)),
    "apply a softmax": ("add_pr_curves", [0, 1, 2, 1], np.full((4, 3), 1.3)),
    "each score needs a label": ("add_roc_curves", [0, 1, 2], np.full((4, 3), 0.3)),
    "got NaN in 4 of 4": ("add_roc_curves", [0, 1, 2, 1], np.full((4, 3), np.nan)),
    "scores are numbers": ("add_roc_curves", [0, 1], np.zeros((2, 0))),
    "3 classes need 3 names": ("add_pr_curves", [0, 1, 2, 1], np.full((4, 3), 0.3), ["a", "b"]),
    "got 'a' twice": ("add_pr_curves", [0, 1, 2, 1], np.full((4, 3), 0.3), ["a", "b", "a"]),
    r"whole number, got 10\.5": ("add_pr_curve", [0, 1, 0, 1], HALF, 0, 10.5),
    r"whole number, got 2\.5": ("add_roc_curves", [0, 1, 2, 1], np.full((4, 3), 0.3), None, 0, 2.5),
    "thresholds, a whole number, got 1": ("add_roc_curves", [0, 1, 2, 1], np.full((4, 3), 0.3), None, 0, 1),
    "memberships have the shape": ("add_roc_curves", np.zeros((4, 2)), np.full((4, 3), 0.3)),
    "3 labels and 2 predictions": ("add_confusion_matrix", [0, 1, 1], [0, 1]),
    "there are 2 classes, got the prediction 2": ("add_confusion_matrix", [0, 1, 1], [0, 1, 2], ["a", "b"]),
    "at most 4096 classes, got class number 5000": ("add_confusion_matrix", [0, 5000], [0, 1]),
    "a label is a class number, got dtype": ("add_confusion_matrix", [], []),
    "the largest score decides, got NaN": ("add_confusion_matrix", [0, 1], np.full((2, 2), np.nan)),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, message: str) -> None:
    method, *arguments = BAD[message]
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        getattr(writer, method)("tag", *arguments)
    assert Run(tmp_path).tags() == {}
    assert Run(tmp_path).entries() == []


def test_scores_of_one_class_may_be_a_column(tmp_path: Path) -> None:
    labels, scores = np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.3, 0.4])
    flat, column = (trace_curves(labels, given) for given in (scores, scores[:, None]))
    assert column.class_names == flat.class_names == ("positive",)
    for name in ("support", "auc", "average_precision", "threshold", "precision"):
        np.testing.assert_array_equal(getattr(column, name), getattr(flat, name))
    assert column.auc == metrics.roc_auc_score(labels, scores)
    predictions = (scores > 0.35).astype(int)
    counted = count_confusions(labels, predictions[:, None]).counts
    np.testing.assert_array_equal(counted, metrics.confusion_matrix(labels, predictions))
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curves("pr", labels, scores[:, None])
        writer.add_confusion_matrix("matrix", labels, predictions[:, None])
    assert "pr/positive" in Run(tmp_path).tags()["pr_curve"]
