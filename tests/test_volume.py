"""Volumes and the orders of their channels, tiles and signed pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from convscope.errors import InputError, NotFoundError
from convscope.inspect.order import CHEAP, Order, order_maps
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.receptive_field import ReceptiveField
from convscope.inspect.volume import Volume
from convscope.jobs.record import record_volumes
from convscope.nets.data import ArrayImages
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter
from convscope.store.run import Run

maps = arrays(np.float32, array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.floats(-1e6, 1e6, width=32))


@pytest.mark.parametrize("order", CHEAP)
@given(values=maps)
def test_every_order_is_a_permutation_and_loses_no_channel(order: str, values: np.ndarray) -> None:
    volume = Volume(values, order=order)
    assert sorted(volume.permutation) == list(range(len(values)))
    np.testing.assert_array_equal(volume.values, values[volume.permutation])


@given(values=maps)
def test_voxels_are_within_half_a_step_of_the_values(values: np.ndarray) -> None:
    volume = Volume(values)
    low, high = (end.astype(np.float64)[:, None, None] for end in volume.ranges.T)
    back = low + volume.voxels / 255 * (high - low)
    assert (np.abs(back - volume.maps) <= (high - low) / 510 * 1.01 + 1e-6 * np.abs(high)).all()


def test_order_by_mean_is_strongest_first_and_pca_groups_like_maps() -> None:
    rng = np.random.default_rng(0)
    left, right = np.zeros((6, 6)), np.zeros((6, 6))
    left[:, :3], right[:, 3:] = 1, 1
    mixed = np.stack([(left if i % 2 else right) * rng.uniform(1, 3) for i in range(8)])
    by_mean = Volume(mixed, order="mean").values.mean((1, 2))
    assert (np.diff(by_mean) <= 0).all()
    sides = Volume(mixed, order="pca").permutation % 2
    assert len(set(sides[:4])) == 1
    assert len(set(sides[4:])) == 1


def test_bad_maps_and_orders_are_refused() -> None:
    with pytest.raises(InputError, match=r"feature maps \(C, H, W\)"):
        Volume(np.zeros((3, 4)))
    with pytest.raises(InputError, match="1 values that are NaN"):
        Volume(np.array([[[np.nan]]]))
    with pytest.raises(NotFoundError, match="did you mean 'mean'"):
        Volume(np.zeros((1, 2, 2)), order="maen")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("sum", lambda weights: weights.sum(1)),
        ("norm", lambda weights: np.sqrt((weights**2).sum(1))),
        ("stack", lambda weights: weights.reshape(-1, 5, 7)),
        (2, lambda weights: weights[:, 2]),
    ],
)
def test_four_axes_become_planes_of_filters(inputs: str | int, expected: Any) -> None:
    weights = np.random.default_rng(0).normal(size=(6, 3, 5, 7))
    volume = Volume(weights, inputs=inputs)
    np.testing.assert_allclose(volume.maps, expected(weights), rtol=1e-6)
    assert volume.to_summary().meta["inputs"] == inputs
    assert Volume(torch.from_numpy(weights), inputs=inputs).maps.dtype == np.float32


def test_the_scale_is_told_in_numbers() -> None:
    values = np.random.default_rng(0).normal(size=(4, 30, 30)) + 1
    low, high = values.min(), values.max()
    meta = Volume(values).to_summary().meta
    assert meta["signed"] is True
    assert meta["scaling"] == {"by": "symmetric", "percentiles": [0.0, 100.0]}
    assert meta["window"] == pytest.approx([-high, high])
    assert Volume(values, scale="layer").window == pytest.approx((low, high))
    assert Volume(np.abs(values)).to_summary().meta["scaling"]["by"] == "layer"
    clipped = Volume(values, scale="layer", percentiles=(1, 99))
    assert clipped.window == pytest.approx(np.percentile(values, [1, 99]), rel=1e-5)
    np.testing.assert_array_equal(clipped.voxels, Volume(values).voxels)  # bytes lose nothing to a scale of the layer
    each = Volume(values, scale="channel", percentiles=(5, 95))
    assert each.window is None
    np.testing.assert_allclose(each.ranges, np.percentile(values.reshape(4, -1), [5, 95], axis=1).T, rtol=1e-5)
    assert (each.voxels == 0).mean() == pytest.approx(0.05, abs=0.01)


def test_half_floats_are_the_values_where_they_reach() -> None:
    values = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    voxels = Volume(values, wire="float16").voxels
    assert voxels.dtype == np.float16
    np.testing.assert_allclose(voxels, values, rtol=1e-3, atol=1e-7)
    for factor in (1e-6, 1e6):
        with pytest.raises(InputError, match="use wire='uint8'"):
            Volume(factor * values, wire="float16")
    assert (Volume(0 * values, wire="float16").voxels == 0).all()


def test_a_record_holds_all_orders_and_those_of_a_line() -> None:
    values = np.random.default_rng(0).random((12, 6, 5))
    field = ReceptiveField().through((11, 11), (4, 4), (2, 2))
    volume = Volume(
        values, order="pca:2", orders=["index", "kmeans:3"], rows=[1, 4], receptive_field=field, spacing=(2, 1, 1)
    )
    summary = volume.to_summary("conv1")
    assert [row["name"] for row in summary.meta["orders"]] == ["pca:2", "index", "kmeans:3"]
    assert summary.meta["order"] == "pca:2"
    np.testing.assert_array_equal(summary.arrays["orders"][0], summary.arrays["order"])
    np.testing.assert_array_equal(summary.arrays["orders"][2], order_maps(values, "kmeans", k=3).permutation)
    rows = [(row["name"], row["parameters"]["row"]) for row in summary.meta["row_orders"]]
    assert rows == [("kmeans", 1), ("kmeans", 4), ("pca", 1), ("pca", 4)]
    assert summary.arrays["row_orders"].shape == (4, 12)
    assert summary.meta["receptive_field"] == field.to_json()
    assert summary.meta["spacing"] == [2.0, 1.0, 1.0]
    json.dumps(summary.meta, allow_nan=False)
    usual = Volume(values).to_summary()
    assert {row["name"] for row in usual.meta["orders"]} == set(CHEAP)
    assert [row["parameters"]["row"] for row in usual.meta["row_orders"]] == [3, 3]
    assert "row_orders" not in Volume(values, rows=[]).to_summary().arrays


def test_an_order_is_applied_to_another_picture_and_says_whose_it_is() -> None:
    cat, dog = (Volume(np.random.default_rng(seed).random((9, 4, 4)), layer="conv1", image={"name": name})
                for seed, name in enumerate(("cat", "dog")))  # fmt: skip
    order = Order.from_json(json.loads(json.dumps(cat.ordered("pca").to_json())))
    there = dog.apply(order)
    np.testing.assert_array_equal(there.permutation, cat.apply("pca").permutation)
    np.testing.assert_array_equal(there.values, dog.maps[order.permutation])
    names = [row["name"] for row in there.to_summary().meta["orders"]]
    assert names[0] == "pca of conv1 @ cat"
    assert "pca" in names
    assert cat.apply(order).shown.name == "pca"
    means = dog.maps.mean((1, 2))[order.permutation]
    ranks = np.argsort(np.argsort(means))
    assert there.shown.explanation["brightness"] == pytest.approx(np.corrcoef(np.arange(9), ranks)[0, 1], abs=1e-5)
    assert dog.apply(np.arange(9)[::-1]).permutation.tolist() == list(range(8, -1, -1))
    with pytest.raises(InputError, match=r"the order 'pca' is of 9 channels and cannot be applied to 3$"):
        Volume(np.zeros((3, 2, 2)), order=order)
    selective = order_maps(dog.maps, "selectivity", classes=np.random.default_rng(0).random((3, 9)))
    assert Volume(dog.maps, orders=[selective]).to_summary().meta["orders"][1]["name"] == "selectivity"


def test_options_that_make_no_sense_are_refused() -> None:
    maps = np.ones((2, 3, 3))
    for options, sentence in (
        ({"scale": "log"}, "scale of a volume is one of layer, channel, symmetric, got 'log'"),
        ({"wire": "int8"}, "wire of a volume is one of uint8, float16"),
        ({"percentiles": (90, 10)}, "percentiles are two rising numbers of 0..100, got 90 and 10"),
        ({"rows": [3]}, r"no row 3 in maps of 3 rows; there are 0..2"),
        ({"order": "selectivity"}, "maps alone do not give the order 'selectivity'"),
        ({"order": [0, 0]}, r"an order of 2 channels holds each of 0..1 once"),
    ):
        with pytest.raises(InputError, match=sentence):
            Volume(maps, **options)
    for inputs in (3, "rgb", -1):
        with pytest.raises(InputError, match=r"their 'sum', their 'norm', a 'stack' or one of 0..2"):
            Volume(np.ones((2, 3, 4, 4)), inputs=inputs)


def test_pictures_of_a_layer_are_recorded_in_the_order_of_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Model(
        torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3)),
        input_shape=(1, 12, 12),
    )
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (3, 12, 12), np.uint8), [0, 1, 0], name="noise")
    told: list[tuple[int, int]] = []
    with SummaryWriter(tmp_path) as writer:
        record_volumes(model, images, writer, layer=["0", "2"], numbers=[0, 1, 2], order="pca", order_of=1,
                       progress=lambda done, total: told.append((done, total)), scale="channel")  # fmt: skip
        with pytest.raises(InputError, match=r"no picture 7 in 'noise'; it has 0..2"):
            record_volumes(model, images, writer, layer="0", numbers=[0], order_of=7)
    assert told == [(1, 3), (2, 3), (3, 3)]
    run = Run(tmp_path)
    records = [run.record(entry) for entry in run.entries("volume")]
    names = [f"{images.name} ({number})" for number in range(3)]
    assert [record.tag for record in records] == [f"{layer}/{name}" for name in names for layer in ("0", "2")]
    assert [record.meta["order"] for record in records] == [
        name
        for layers in (1, 0, 1)
        for name in (["pca of 0 @ noise (1)", "pca of 2 @ noise (1)"] if layers else ["pca"] * 2)
    ]
    first = {record.arrays()["order"].tobytes() for record in records if record.meta["layer"] == "0"}
    assert len(first) == 1
    assert records[0].meta["scaling"]["by"] == "channel"
    assert records[0].meta["receptive_field"]["size"] == [3, 3]
    maps = model.activations(images.images(1, 2), "0")[0]
    np.testing.assert_array_equal(records[0].arrays()["order"], order_maps(maps, "pca").permutation)


def test_tiles_shrink_by_averaging_areas() -> None:
    picture = np.array([[[0], [100]], [[100], [200]]], np.uint8)
    assert shrink(picture, (1, 1))[0, 0, 0] == 100
    assert shrink(picture, (2, 2)) is picture
    many = np.full((2, 3, 50, 40, 3), 7, np.uint8)
    small = shrink(many, (25, 20))
    assert small.shape == (2, 3, 25, 20, 3)
    assert (small == 7).all()
    assert tile_size((224, 112)) == (96, 48)
    assert tile_size((11, 11)) == (11, 11)
