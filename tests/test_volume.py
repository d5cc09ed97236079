"""Volumes and the orders of their channels, tiles and signed pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from convscope.errors import InputError, NotFoundError
from convscope.inspect.order import ORDERS
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.volume import Volume

maps = arrays(np.float32, array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.floats(-1e6, 1e6, width=32))


@pytest.mark.parametrize("order", ORDERS)
@given(values=maps)
def test_every_order_is_a_permutation_and_loses_no_channel(order: str, values: np.ndarray) -> None:
    volume = Volume(values, order=order)
    assert sorted(volume.permutation) == list(range(len(values)))
    np.testing.assert_array_equal(volume.values, values[volume.permutation])


@given(values=maps)
def test_voxels_are_within_half_a_step_of_the_values(values: np.ndarray) -> None:
    volume = Volume(values)
    low, high = volume.scale[:, 0, None, None].astype(np.float64), volume.scale[:, 1, None, None].astype(np.float64)
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
