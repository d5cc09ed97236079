"""Filters and their health: every number against its definition written plainly, and against real first layers."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from convscope import Model, Run, SummaryWriter
from convscope.errors import InputError, NotFoundError
from convscope.inspect import kernels
from convscope.inspect.filters import Filters, examine_filters
from convscope.inspect.health import FLAGS, Thresholds
from convscope.inspect.kernels import likeness, smoothness
from convscope.jobs.record import record_filters

Weights = npt.NDArray[np.float32]


def noise(*shape: int, seed: int = 0) -> Weights:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def examined(weight: npt.NDArray[Any], **about: Any) -> Filters:
    return examine_filters(weight, layer="conv1", **about)


def mxnet_array(path: Path) -> Weights:
    """Read the one array of an MXNet NDArray file: list magic, version 2 magic, shape, device, type, numbers."""
    data = path.read_bytes()
    assert struct.unpack_from("<QQQ", data) == (0x112, 0, 1)
    magic, storage, axes = struct.unpack_from("<IiI", data, 24)
    assert (magic, storage) == (0xF993FAC9, 0)
    shape = struct.unpack_from(f"<{axes}q", data, 36)
    at = 36 + 8 * axes
    assert struct.unpack_from("<iii", data, at)[2] == 0, "float32"
    return np.frombuffer(data, "<f4", int(np.prod(shape)), at + 12).reshape(shape)


@pytest.fixture(scope="module")
def first_layers(real_data: Path) -> dict[str, Weights]:
    """First layers that were really trained: AlexNet's, and those of the seeds."""
    mxnet = {
        name: mxnet_array(real_data / "mxboard-demo" / f"{file}_weight.param")
        for name, file in (
            ("Inception-BN", "inception_bn_conv_1"),
            ("ResNet-152", "resnet_152_conv0"),
            ("VGG-16", "vgg16_conv1_1"),
        )
    }
    alexnet = np.load(real_data / "alexnet-features" / "alexnet_features_torchvision_fp32.npz")["0.weight"]
    squeezenet = np.load(next((real_data / "squeezenet-v1.0-fp32").glob("*.npz")))["conv1.weight"]
    return {**mxnet, "AlexNet": alexnet, "SqueezeNet": squeezenet}


# ---------------------------------------------------------------- real weights


def test_the_first_layer_of_the_seeds_resnet_152_has_30_dead_filters_and_one_more_weak(
    first_layers: dict[str, Weights],
) -> None:
    filters = examined(first_layers["ResNet-152"])
    report = filters.report()
    assert report.counts == {"not finite": 0, "dead": 30, "weak": 1, "duplicate": 0, "noisy": 0}
    assert report.sentence == "30 of 64 filters dead, 1 weak."
    assert len(filters.dead) == 30
    (weak,) = filters.weak
    assert report.findings[[finding.filter for finding in report.findings].index(weak)].flag == "weak"
    assert filters.measures.smoothness[list(filters.dead)].max() > 20, "stretched, dead filters look smooth"


def test_no_live_filter_of_a_trained_first_layer_is_called_noisy(first_layers: dict[str, Weights]) -> None:
    least = {}
    for name, weight in first_layers.items():
        filters = examined(weight)
        assert filters.report().counts["noisy"] == 0, name
        live = filters.share >= filters.thresholds.weak
        least[name] = float(filters.measures.smoothness[live].min().round(1))
    assert least == {"Inception-BN": 6.4, "ResNet-152": 8.5, "VGG-16": 2.2, "AlexNet": 5.7, "SqueezeNet": 3.8}


@pytest.mark.parametrize(("shape", "share"), [((3, 3, 3), 0.95), ((3, 7, 7), 0.99), ((1, 11, 11), 0.99)])
def test_white_noise_is_called_noisy(shape: tuple[int, ...], share: float) -> None:
    assert len(examined(noise(500, *shape)).flagged("noisy")) >= 500 * share


def test_shuffling_the_weights_of_a_trained_layer_makes_it_noise_but_for_its_mean(
    first_layers: dict[str, Weights],
) -> None:
    weight = first_layers["AlexNet"].astype(np.float64)
    weight -= weight.mean((2, 3), keepdims=True)  # the mean survives shuffling, and is a shape as well
    shuffled = np.random.default_rng(0).permuted(weight.reshape(64, 3, 121), axis=2).reshape(weight.shape)
    assert np.median(smoothness(weight)) > 20
    assert np.median(smoothness(shuffled)) < 1.5
    assert smoothness(shuffled).max() < 3
    assert (smoothness(shuffled) < smoothness(weight)).all()


def test_real_duplicates_are_found_with_their_sign(first_layers: dict[str, Weights]) -> None:
    filters = examined(first_layers["VGG-16"])
    assert len(filters.flagged("duplicate")) == 15
    for one in filters.flagged("duplicate"):
        other = filters.likeness.nearest[one]
        a, b = (filters.weight[o].ravel().astype(np.float64) for o in (one, other))
        assert abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b) > 0.98


# ---------------------------------------------------------------- the numbers against their definitions


def test_norms_and_slices_are_what_their_names_say() -> None:
    weight = noise(5, 4, 3, 2)
    measures = examined(weight).measures
    for o, one in enumerate(weight.astype(np.float64)):
        slices = [np.linalg.norm(one[i]) for i in range(4)]
        assert measures.norm[o] == pytest.approx(np.linalg.norm(one))
        assert measures.l1[o] == pytest.approx(sum(abs(one.ravel())))
        assert measures.largest[o] == pytest.approx(abs(one).max())
        assert measures.strongest[o] == np.argmax(slices)
        np.testing.assert_array_equal(measures.slice[o], weight[o, np.argmax(slices)])


def slow_smoothness(kernel: npt.NDArray[np.float64]) -> float:
    inputs, height, width = kernel.shape
    total = 0.0
    for dy in range(-height + 1, height):
        for dx in range(-width + 1, width):
            pairs = [
                kernel[i, y, x] * kernel[i, y + dy, x + dx]
                for i in range(inputs)
                for y in range(height)
                for x in range(width)
                if 0 <= y + dy < height and 0 <= x + dx < width
            ]
            if (dy, dx) != (0, 0):
                total += (sum(pairs) / (kernel**2).sum()) ** 2
    return total / ((height * width - 1) / (inputs * height * width + 2))


@pytest.mark.parametrize("shape", [(1, 3, 3), (2, 4, 3), (3, 3, 5)])
def test_smoothness_is_its_definition(shape: tuple[int, ...]) -> None:
    weight = noise(4, *shape).astype(np.float64)
    np.testing.assert_allclose(smoothness(weight), [slow_smoothness(one) for one in weight], rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 3, 3), (3, 7, 7), (64, 5, 3)])
def test_the_smoothness_of_white_noise_is_1_on_average(shape: tuple[int, ...]) -> None:
    values = smoothness(noise(4000, *shape, seed=1))
    assert values.mean() == pytest.approx(1, abs=5 * values.std() / np.sqrt(4000))


@given(hnp.arrays(np.float64, (1, 2, 4, 3), elements=st.floats(-1, 1).filter(lambda v: v == 0 or abs(v) > 1e-3)))
def test_smoothness_knows_neither_scale_nor_sign_nor_mirroring(weight: npt.NDArray[np.float64]) -> None:
    first = smoothness(weight)
    for other in (weight * 1e-7, -weight, weight[..., ::-1], weight[:, ::-1], weight[:, :, ::-1]):
        np.testing.assert_allclose(smoothness(other), first, rtol=1e-9)
    assert np.isnan(first[0]) == (not weight.any())


def test_fine_gratings_and_blobs_are_smooth_and_small_kernels_are_not_judged() -> None:
    y, x = np.mgrid[:7, :7]
    grating, checks, blob = (-1.0) ** x, (-1.0) ** (x + y), np.exp(-((x - 3) ** 2 + (y - 3) ** 2) / 4)
    assert (smoothness(np.stack([grating, checks, blob])[:, None]) > 10).all()
    assert "noisy" not in examined(noise(4, 8, 2, 3)).report().counts
    assert np.isnan(smoothness(noise(4, 8, 1, 1))).all()


def plain_nearest(weight: Weights, groups: int) -> list[tuple[int, float]]:
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    size = len(weight) // groups
    found = []
    for o in range(len(weight)):
        others = [p for p in range(len(weight)) if p != o and p // size == o // size]
        best = max(others, key=lambda p: abs(unit[o] @ unit[p]), default=-1)
        found.append((best, unit[o] @ unit[best] if best >= 0 else 0.0))
    return found


@pytest.mark.parametrize(("groups", "block"), [(1, 512), (1, 5), (3, 5), (12, 512)])
def test_the_nearest_filter_is_of_the_same_group(monkeypatch: pytest.MonkeyPatch, groups: int, block: int) -> None:
    monkeypatch.setattr(kernels, "BLOCK_FILTERS", block)
    monkeypatch.setattr(kernels, "BLOCK_WEIGHTS", 40)
    weight = noise(12, 2, 3, 3)
    alike = examined(weight, groups=groups).likeness
    expected = plain_nearest(weight, groups)
    assert [int(o) for o in alike.nearest] == [best for best, _ in expected]
    np.testing.assert_allclose(alike.cosine, [cosine for _, cosine in expected], atol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = noise(40, 3, 5, 5)
    whole = examined(weight).to_summary().arrays
    monkeypatch.setattr(kernels, "BLOCK_FILTERS", 7)
    monkeypatch.setattr(kernels, "BLOCK_WEIGHTS", 200)
    for name, array in examined(weight).to_summary().arrays.items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_memory_does_not_grow_with_the_layer() -> None:
    weight = noise(512, 512, 3, 3)
    tracemalloc.start()
    examined(weight)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 160e6, "blocks in double precision and one matrix of cosines; a layer of 2048 × 2048 has 151 MB"


def test_like_filters_are_neighbours_in_the_order_of_similarity(first_layers: dict[str, Weights]) -> None:
    for name, weight in first_layers.items():
        filters = examined(weight)
        order = filters.likeness.order
        assert sorted(order) == list(range(len(weight))), name
        live = [o for o in order if o not in filters.dead]
        assert list(order[: len(live)]) == live, "dead filters stand last"
        flat = weight.reshape(len(weight), -1)[live].astype(np.float64)
        unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        by_index = unit[np.argsort(live)]
        assert np.abs((unit[1:] * unit[:-1]).sum(1)).mean() > 2 * np.abs((by_index[1:] * by_index[:-1]).sum(1)).mean()


def test_the_order_starts_with_the_longest_and_ties_go_by_index() -> None:
    base = np.eye(4, 9, dtype=np.float32).reshape(4, 1, 3, 3)
    weight = np.concatenate([base, -2 * base])
    assert list(examined(weight).likeness.order) == [4, 0, 1, 5, 2, 6, 3, 7]


def test_above_some_thousand_filters_the_order_is_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_ORDERED", 5)
    filters = examined(noise(6, 1, 3, 3))
    assert list(filters.likeness.order) == [0, 1, 2, 3, 4, 5]
    assert [best for best, _ in plain_nearest(filters.weight, 1)] == list(filters.likeness.nearest)


def test_filters_of_a_single_weight_have_no_direction() -> None:
    alike = likeness(np.ones((3, 1, 1, 1), np.float32), np.ones(3), np.ones(3, bool))
    assert (list(alike.nearest), list(alike.cosine), list(alike.order)) == ([-1, -1, -1], [0, 0, 0], [0, 1, 2])


# ---------------------------------------------------------------- flags


def test_each_flag_has_a_bit_of_its_own() -> None:
    assert sorted(flag.bit for flag in FLAGS.values()) == [1, 2, 4, 8, 16, 32, 64]
    assert all(name == flag.name for name, flag in FLAGS.items())


def test_health_of_filters() -> None:
    weight = noise(6, 2, 2, 2)
    weight[1] = 1e-9
    weight[3] *= 1e-3
    weight[4] = -0.5 * weight[0]
    filters = examined(weight, network="net")
    assert (filters.dead, filters.weak, filters.flagged("duplicate")) == ((1,), (3,), (0, 4))
    assert list(filters.judgement.flags) == [8, 2, 0, 4, 8, 0]
    report = filters.report()
    assert report.sentence == "1 of 6 filters dead, 1 weak, 2 duplicate."
    first, dead, weak, last = report.findings
    assert (first.other, last.other, dead.other) == (4, 0, -1)
    assert first.sentence == "filter 0 is the sign-flipped duplicate of filter 4: cosine -1.0000 (threshold 0.98)"
    assert (dead.number, dead.threshold) == (pytest.approx(np.sqrt(8) * 1e-9), 1e-6)
    assert weak.number == pytest.approx(filters.norm[3] / filters.norm.max())
    assert str(report).splitlines() == [report.sentence, *(finding.sentence for finding in report.findings)]
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["findings"][0]["other"] == 4
    with pytest.raises(NotFoundError, match="no flag 'ded'; did you mean 'dead'"):
        filters.flagged("ded")
    assert examined(noise(1, 1, 2, 2)).report().sentence == "Nothing flagged in 1 filter."


def test_thresholds_are_parameters() -> None:
    weight = noise(8, 3, 5, 5)
    weight[2] *= 0.1
    loose = examined(weight, thresholds=Thresholds(dead=0, weak=0.2, duplicate=0, noisy=0))
    assert loose.report().counts == {"not finite": 0, "dead": 0, "weak": 1, "duplicate": 8, "noisy": 0}
    assert loose.to_summary().meta["health"]["flags"][2]["threshold"] == 0.2
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"the threshold 'noisy' is a number of 0 or more, got"):
            Thresholds(noisy=wrong)


def test_weights_that_are_not_finite_are_named_and_break_nothing() -> None:
    weight = noise(5, 3, 3, 3)
    weight[0, 0, 0, 0] = np.nan
    weight[1] = np.inf
    weight[2] = 0
    filters = examined(weight)
    assert filters.flagged("not finite") == (0, 1)
    assert filters.dead == (2,)
    assert not (filters.judgement.flags[:2] & ~np.uint8(1)).any()
    assert [finding.number for finding in filters.report().findings[:2]] == [1, 27]
    summary = filters.to_summary()
    json.dumps(dict(summary.meta), allow_nan=False)
    for name in ("norm", "l1", "largest", "cosine", "slice"):
        assert np.isfinite(summary.arrays.get(name, np.zeros(1))).all(), name
    assert {int(o) for o in filters.likeness.nearest} <= {-1, 3, 4}
    assert examined(np.full((2, 1, 3, 3), np.nan)).report().sentence == "2 of 2 filters not finite."


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e37])
def test_very_small_and_very_large_weights_are_compared_as_well(scale: float) -> None:
    weight = noise(4, 2, 3, 3) * np.float32(scale)
    weight[3] = weight[1]
    filters = examined(weight, thresholds=Thresholds(dead=0))
    assert filters.flagged("duplicate") == (1, 3)
    np.testing.assert_allclose(filters.likeness.cosine[[1, 3]], 1, atol=1e-5)


def test_what_single_precision_cannot_hold_is_not_finite() -> None:
    weight = noise(3, 1, 3, 3).astype(np.float64)
    weight[1, 0, 0, 0] = 1e300
    assert examined(weight).flagged("not finite") == (1,)


def activity(positive: list[float], largest: list[float], mean: list[float]) -> Any:
    return SimpleNamespace(positive=np.array(positive), max=np.array(largest), mean=np.array(mean))


def test_silent_and_saturated_channels_are_known_from_activations() -> None:
    weight = noise(4, 2, 2, 2)
    seen = activity([0, 0.5, 0.995, 0.2], [-1, 3, 9, 6], [-2, 1, 4, 5.99])
    filters = examined(weight, activations=seen)
    assert (filters.flagged("silent"), filters.flagged("saturated")) == ((0,), (2,))
    assert filters.report().findings[0].sentence == "filter 0 is silent: largest activation -1"
    assert examined(weight, activations=seen, nonlinearity="ReLU6").flagged("saturated") == (2, 3)
    sigmoid = activity([1, 1, 1, 1], [0.5, 1, 1, 1], [0.1, 0.5, 0.999, 0.9])
    assert examined(weight, activations=sigmoid, nonlinearity="Sigmoid").flagged("saturated") == (2,)
    assert "silent" not in examined(weight).report().counts
    with pytest.raises(InputError, match="the activations are of 3 channels, the filters 4; give those of the same"):
        examined(weight, activations=activity([0] * 3, [0] * 3, [0] * 3))


@pytest.mark.parametrize(
    ("weight", "groups", "message"),
    [
        (np.ones((4, 2)), 1, r"got shape \(4, 2\); give a convolution's weights"),
        (np.ones((0, 2, 3, 3)), 1, r"got shape \(0, 2, 3, 3\)"),
        (np.ones((4, 2, 3, 3)), 3, "4 filters are not 3 groups of the same size"),
        (np.ones((4, 2, 3, 3)), 0, "4 filters are not 0 groups"),
    ],
)
def test_what_is_no_filters_is_refused(weight: npt.NDArray[Any], groups: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        examined(weight, groups=groups)


# ---------------------------------------------------------------- the record


def test_a_record_has_small_arrays_beside_the_weights(tmp_path: Path) -> None:
    weight = noise(16, 8, 3, 3)
    filters = examined(weight, network="net")
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add(filters, "conv1", 3)
    run = Run(tmp_path / "run")
    (entry,) = run.entries("filters", "conv1")
    record = run.record(entry)
    arrays = record.arrays()
    np.testing.assert_array_equal(arrays["weight"], weight)
    assert {name: (array.dtype.name, array.shape) for name, array in arrays.items()} == {
        "weight": ("float32", (16, 8, 3, 3)),
        "norm": ("float32", (16,)),
        "l1": ("float32", (16,)),
        "largest": ("float32", (16,)),
        "smoothness": ("float32", (16,)),
        "nearest": ("int32", (16,)),
        "cosine": ("float32", (16,)),
        "order_similarity": ("int32", (16,)),
        "flags": ("uint8", (16,)),
        "strongest": ("int32", (16,)),
        "slice": ("float32", (16, 3, 3)),
    }
    assert record.meta["layer"] == "conv1"
    assert record.meta["health"]["version"] == 1
    assert [flag["name"] for flag in record.meta["health"]["flags"]] == [
        "not finite", "dead", "weak", "duplicate", "noisy",
    ]  # fmt: skip
    assert [flag["count"] for flag in record.meta["health"]["flags"]] == [
        int((arrays["flags"] & flag["bit"] > 0).sum()) for flag in record.meta["health"]["flags"]
    ]
    assert "slice" not in examined(noise(4, 3, 7, 7)).to_summary().arrays, "a first layer is drawn from its weights"


def test_the_scale_is_not_that_of_a_few_outliers() -> None:
    weight = noise(100, 8, 3, 3).clip(-2, 2)
    weight[5] *= 100
    assert examined(weight).scale == pytest.approx(2)
    assert examined(weight[:, :3]).scale > 100, "the colours of a first layer are never clipped"


def test_a_model_writes_its_groups_its_order_of_colours_and_what_its_channels_did(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU6(), nn.Conv2d(8, 4, 1))
    model = Model(network, input_shape=(4, 8, 8), name="net")
    images = noise(6, 4, 8, 8)
    tops = model.top_k(images, layers=["0"], k=2)
    with SummaryWriter(tmp_path / "run") as writer:
        found = record_filters(model, writer, ["0", "2"], activations=tops, thresholds=Thresholds(noisy=1e9))
    assert (found["0"].groups, found["2"].groups) == (2, 1)
    assert set(found["0"].report().counts) == set(FLAGS)
    assert "silent" not in found["2"].report().counts
    run = Run(tmp_path / "run")
    record = run.record(run.entries("filters", "0")[-1])
    assert record.meta["order"] == "RGB"
    assert record.meta["activations"] == {"dataset": tops["0"].dataset, "images": 6}
    assert record.meta["health"]["flags"][4]["count"] == 8
