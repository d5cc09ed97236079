"""Feature maps: what is recorded of them, against slow definitions and plain hooks."""

from __future__ import annotations

import doctest
import gc
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import nn

from convscope import Run, SummaryWriter
from convscope.errors import InputError, NotFoundError
from convscope.inspect import maps as maps_module
from convscope.inspect.maps import CLAMPS, SMALL_SIDE, FeatureMaps, maps_tag
from convscope.inspect.order import order_maps
from convscope.inspect.receptive_field import ReceptiveField
from convscope.jobs import maps as job
from convscope.jobs.maps import feature_maps, record_maps
from convscope.nets.data import ArrayImages
from convscope.nets.torch import Model

finite = arrays(np.float32, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(-1e6, 1e6, width=32))
anything = arrays(np.float32, (2, 3, 4), elements=st.floats(width=32))


def random_maps(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def back(maps: FeatureMaps, small: np.ndarray) -> np.ndarray:
    low, high = maps.range[:, 0, None, None].astype(np.float64), maps.range[:, 1, None, None].astype(np.float64)
    return low + small / 255 * (high - low)


def farthest(square: np.ndarray) -> float:
    """Return the value of a square of positions that is farthest from zero, the positive one of two that tie."""
    return float(max(square.ravel(), key=lambda value: (abs(value), value)))


def squares(channel: np.ndarray, side: int, pick: Any) -> np.ndarray:
    rows, columns = (range(0, size, side) for size in channel.shape)
    return np.array([[pick(channel[y : y + side, x : x + side]) for x in columns] for y in rows])


@pytest.mark.parametrize("module", [maps_module, job])
def test_the_examples_of_the_modules_run(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module, globs={**vars(module), "np": np})
    assert tried > 0
    assert failed == 0


@given(values=finite)
def test_the_numbers_of_the_channels_are_those_of_a_plain_loop(values: np.ndarray) -> None:
    maps = FeatureMaps(values, nonlinearity="ReLU")
    after = maps.to_summary("x").arrays["mean_after"]
    for c, channel in enumerate(values.astype(np.float64)):
        assert maps.range[c].tolist() == [channel.min(), channel.max()]
        assert maps.mean[c] == pytest.approx(channel.mean(), rel=1e-5, abs=1e-1)
        assert maps.positive[c] == pytest.approx(sum(v > 0 for v in channel.ravel()) / channel.size)
        assert after[c] == pytest.approx(np.maximum(channel, 0).mean(), rel=1e-5, abs=1e-1)
    assert maps.not_finite.tolist() == [0] * len(values)


@given(values=finite)
def test_small_is_within_half_a_step_of_the_values(values: np.ndarray) -> None:
    maps = FeatureMaps(values)
    low, high = maps.range.T.astype(np.float64)[..., None, None]
    allowed = (high - low) / 510 * 1.01 + 1e-6 * np.maximum(np.abs(low), np.abs(high))
    assert (np.abs(back(maps, maps.small) - values) <= allowed).all()


@pytest.mark.parametrize(("height", "width"), [(224, 224), (65, 40), (130, 191), (3, 200)])
def test_of_each_square_the_value_farthest_from_zero_stays(height: int, width: int) -> None:
    values = random_maps(3, height, width)
    maps = FeatureMaps(values, nonlinearity="ReLU")
    side = -(-max(height, width) // SMALL_SIDE)
    arrays_ = maps.to_summary("x").arrays
    assert maps.to_summary("x").meta["reduced"] == side
    assert max(maps.small.shape[1:]) <= SMALL_SIDE
    step = np.ptp(maps.range, axis=1).max() / 255
    for c, channel in enumerate(values):
        np.testing.assert_allclose(back(maps, maps.small)[c], squares(channel, side, farthest), atol=step)
        np.testing.assert_allclose(back(maps, arrays_["small_after"])[c], squares(channel, side, np.max), atol=step)


def test_a_single_strong_position_is_seen_whatever_its_sign() -> None:
    values = np.zeros((2, 200, 200), np.float32)
    values[0, 101, 7], values[1, 199, 199] = 5, -5
    small = FeatureMaps(values).small
    assert (small[0] == 255).sum() == 1
    assert (small[1] == 0).sum() == 1


@given(values=anything)
def test_nan_and_infinities_are_counted_and_break_nothing(values: np.ndarray) -> None:
    maps = FeatureMaps(
        values, nonlinearity="ReLU", orders=("index", "mean", "pca") if np.abs(values).max() < 1e30 else ()
    )
    summary = maps.to_summary("x")
    np.testing.assert_array_equal(summary.arrays["map"], values)
    known = np.isfinite(values)
    assert summary.arrays["not_finite"].tolist() == (~known).sum((1, 2)).tolist()
    for c in range(len(values)):
        ends = [values[c][known[c]].min(), values[c][known[c]].max()] if known[c].any() else [0, 0]
        assert summary.arrays["range"][c].tolist() == ends
    for name in ("range", "mean", "positive", "mean_after"):
        assert np.isfinite(summary.arrays[name]).all(), name


def test_what_is_not_finite_is_drawn_as_what_is_nearest() -> None:
    values = np.array([[[0, 1, 4, np.nan, np.inf, -np.inf]], [[np.nan] * 6]], np.float32)
    maps = FeatureMaps(values)
    assert maps.small[0, 0].tolist() == [0, 64, 255, 0, 255, 0]
    assert maps.small[1].tolist() == [[0] * 6]
    assert maps.mean.tolist() == pytest.approx([5 / 3, 0])


def test_pca_is_the_first_component_of_the_singular_value_decomposition() -> None:
    for shape in ((12, 6, 6), (50, 4, 3)):
        values = random_maps(*shape) + random_maps(shape[0], 1, 1, seed=1) * random_maps(1, *shape[1:], seed=2)
        flat = values.reshape(len(values), -1).astype(np.float64)
        flat = flat - flat.mean(1, keepdims=True)
        left, _, right = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
        sign = np.sign(right[0, np.abs(right[0]).argmax()])
        np.testing.assert_array_equal(order_maps(values, "pca").permutation, np.argsort(-sign * left[:, 0]))
    np.testing.assert_array_equal(order_maps(np.ones((5, 3, 3), np.float32), "pca").permutation, range(5))


def test_the_summary_says_where_the_maps_come_from() -> None:
    field = ReceptiveField((11, 11), (4, 4), (-2, -2))
    picture = np.zeros((224, 200, 3), np.uint8)
    summary = FeatureMaps(
        random_maps(4, 5, 6),
        layer="conv1",
        network="net",
        picture=picture,
        image={"index": 7, "name": "dogs/a.jpg", "label": "dog"},
        receptive_field=field,
        nonlinearity="ReLU6",
        predictions=[{"label": "dog", "probability": 0.75}],
        orders=("pca",),
        meta={"versions": {"torch": "2"}},
    ).to_summary(step=3)
    assert (summary.kind, summary.tag, summary.step) == ("maps", "conv1 @ dogs/a.jpg", 3)
    assert summary.meta["receptive_field"] == field.to_json()
    assert summary.meta["input_size"] == [224, 200]
    assert summary.meta["after"] == CLAMPS["ReLU6"] == (0.0, 6.0)
    assert summary.meta["versions"] == {"torch": "2"}
    assert summary.pictures["input"].shape == (1, 1, 224, 200, 3)
    assert sorted(summary.arrays["order_pca"]) == list(range(4))


def test_other_non_linearities_leave_what_follows_open() -> None:
    summary = FeatureMaps(random_maps(2, 70, 70), nonlinearity="SiLU").to_summary("x")
    assert summary.meta["after"] is None
    assert "mean_after" not in summary.arrays
    assert "small_after" not in summary.arrays


def test_a_vector_is_maps_of_one_position() -> None:
    maps = FeatureMaps(np.arange(10))
    assert maps.maps.shape == maps.small.shape == (10, 1, 1)
    assert maps.positive.tolist() == [0] + [1] * 9
    assert FeatureMaps(random_maps(4, 9)).maps.shape == (4, 9, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 2, 3, 4)), r"array \(C, H, W\) of one image, got float64 of shape \(1, 2, 3, 4\)"),
        (np.zeros((2, 0, 3)), r"got float64 of shape \(2, 0, 3\)"),
        (np.zeros((2, 3), complex), r"got complex128 of shape \(2, 3\)"),
        (np.float32(1), r"got float32 of shape \(\)"),
    ],
)
def test_what_is_not_maps_is_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeatureMaps(values)


def test_a_wrong_picture_or_order_is_named() -> None:
    with pytest.raises(InputError, match=r"the picture is \(H, W, 1 or 3\) of uint8, got float64 of shape \(4, 4\)"):
        FeatureMaps(random_maps(2, 3, 3), picture=np.zeros((4, 4)))
    with pytest.raises(NotFoundError, match="no order of channels 'pac'"):
        FeatureMaps(random_maps(2, 3, 3), orders=("pac",))


def test_values_beyond_float32_become_infinities_that_are_counted() -> None:
    maps = FeatureMaps(np.array([[[1e300, 1.0]], [[-3e38, 3e38]]]))
    assert maps.not_finite.tolist() == [1, 0]
    assert maps.small.tolist() == [[[0, 0]], [[0, 255]]]


def test_twenty_layers_of_alexnet_are_ready_for_a_page_in_a_moment() -> None:
    shapes = [(64, 55, 55), (64, 27, 27), (192, 27, 27), (192, 13, 13), (384, 13, 13), (256, 13, 13), (4096,)]
    layers = [random_maps(*shape) for shape in shapes * 3][:20]
    took = []
    gc.disable()  # a collection takes long where other tests have left much
    try:
        for _ in range(3):
            began = time.thread_time()
            for values in layers:
                FeatureMaps(values, nonlinearity="ReLU").to_summary("x")
            took.append(time.thread_time() - began)
    finally:
        gc.enable()
    assert min(took) < 0.5, "what is computed when it is asked for is not computed here; 0.006 s of one core"


# --- the job --------------------------------------------------------------------------------------------------------


class Branches(nn.Module):
    """Two convolutions, one followed by a module, one by a function; a pool; a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 8, 3)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(x))
        x = torch.nn.functional.silu(self.second(x))
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def network() -> Branches:
    torch.manual_seed(0)
    return Branches().eval()


@pytest.fixture
def images() -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    return ArrayImages(pixels, np.array([0, 1, -1]), label_names=["cat", "dog"], name="pets")


def hooked(network: Branches, images: ArrayImages, number: int) -> dict[str, np.ndarray]:
    """Return what plain hooks see: the oracle."""
    seen: dict[str, np.ndarray] = {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out.detach().numpy().copy()))
        for name, module in network.named_children()
    ]
    with torch.no_grad():
        network(torch.from_numpy(images.images(number, number + 1)))
    for handle in handles:
        handle.remove()
    return seen


def test_the_maps_are_those_of_the_networks_own_forward_pass(
    network: Branches, images: ArrayImages, tmp_path: Path
) -> None:
    model = Model(network, input_shape=(3, 20, 24), name="branches")
    told: list[tuple[int, int]] = []
    with SummaryWriter(tmp_path / "run") as writer:
        record_maps(model, images, writer, layers=None, numbers=[2, 0], progress=lambda *at: told.append(at))
    run = Run(tmp_path / "run")
    assert told == [(1, 2), (2, 2)]
    names = {2: "pets (2)", 0: "cat (0)"}
    assert sorted(entry.tag for entry in run.entries("maps")) == sorted(
        maps_tag(layer, name) for layer in ("first", "second") for name in names.values()
    )
    for entry in run.entries("maps"):
        record = run.record(entry)
        number = record.meta["image"]["index"]
        layer = record.meta["layer"]
        np.testing.assert_array_equal(record.arrays(["map"])["map"], hooked(network, images, number)[layer][0])
        assert entry.tag == f"{layer} @ {names[number]}"
        assert record.meta["preprocessing"]["scale"] == 1 / 255
        assert record.meta["receptive_field"] == model.layer(layer).receptive_field.to_json()
        np.testing.assert_array_equal(record.tile("input", 0, 0), images.display(number))
        assert set(record.meta["versions"]) >= {"torch", "numpy"}


def test_the_non_linearity_is_named_by_its_kind(network: Branches, images: ArrayImages, tmp_path: Path) -> None:
    model = Model(network, input_shape=(3, 20, 24))
    with SummaryWriter(tmp_path / "run") as writer:
        record_maps(model, images, writer, layers=["first", "fc"], numbers=[0], step=5)
    run = Run(tmp_path / "run")
    metas = {run.record(entry).meta["layer"]: run.record(entry).meta for entry in run.entries("maps")}
    assert metas["first"]["nonlinearity"] == "ReLU"
    assert metas["first"]["after"] == [0.0, None]
    assert metas["fc"]["nonlinearity"] == ""
    assert metas["fc"]["receptive_field"]["reason"]
    assert [entry.step for entry in run.entries("maps")] == [5, 5]


def test_the_network_is_asked_for_its_classes_where_they_are_wanted(
    network: Branches, images: ArrayImages, tmp_path: Path
) -> None:
    model = Model(network, input_shape=(3, 20, 24))
    said = job.top_classes(model.predict(images.images(1, 2))[0], ["a", "b"])
    with torch.no_grad():
        expected = network(torch.from_numpy(images.images(1, 2))).double().softmax(1)[0].numpy()
    assert [row["probability"] for row in said] == pytest.approx(sorted(expected, reverse=True))
    labels = ["a", "b", "class 2", "class 3"]
    assert [row["label"] for row in said] == [labels[index] for index in np.argsort(-expected)]
    with SummaryWriter(tmp_path / "run") as writer:
        record_maps(model, images, writer, layers=["first"], numbers=[1], classes=["a", "b"])
    run = Run(tmp_path / "run")
    assert run.record(run.entries("maps")[0]).meta["predictions"] == said


def test_maps_too_large_to_be_held_together_take_more_passes(
    network: Branches, images: ArrayImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(network, input_shape=(3, 20, 24))
    layers = [model.layer(name) for name in ("first", "second", "fc")]
    passes: list[list[str]] = []
    ask = model.activations
    monkeypatch.setattr(model, "activations", lambda pixels, names: passes.append(names) or ask(pixels, names))
    pixels = images.images(0, 1)
    whole = {maps.layer: maps for maps in feature_maps(model, pixels, layers)}
    assert passes == [["first", "second", "fc"]]
    monkeypatch.setattr(job, "AT_ONCE", 700)
    parts = {maps.layer: maps for maps in feature_maps(model, pixels, layers)}
    assert passes[1:] == [["first"], ["second", "fc"]]
    for name, maps in whole.items():
        np.testing.assert_array_equal(parts[name].maps, maps.maps)
        assert maps.input_size == (20, 24)


def test_what_cannot_be_recorded_is_named_before_anything_is_written(
    network: Branches, images: ArrayImages, tmp_path: Path
) -> None:
    model = Model(network, input_shape=(3, 20, 24))
    flat = Model(nn.Sequential(nn.Flatten(), nn.Linear(27, 2)), input_shape=(3, 3, 3))
    with SummaryWriter(tmp_path / "run") as writer:
        with pytest.raises(NotFoundError, match=r"no layer 'frist'.*did you mean 'first'"):
            record_maps(model, images, writer, layers=["frist"], numbers=[0])
        with pytest.raises(InputError, match=r"no picture 3 in 'pets'; it has 0\.\.2"):
            record_maps(model, images, writer, layers=None, numbers=[0, 3])
        with pytest.raises(InputError, match="has no convolution; name the layers"):
            record_maps(flat, images, writer, layers=None, numbers=[0])
    assert Run(tmp_path / "run").entries("maps") == []
