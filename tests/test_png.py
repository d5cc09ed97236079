import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.errors import InputError
from convscope.formats import png

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def decode(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture), picture.mode


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    y, x, c = np.mgrid[:height, :width, :channels]
    noise = np.random.default_rng(0).normal(0, 6, y.shape)
    return (128 + 60 * np.sin(y / 9 + c) + 50 * np.cos(x / 7) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("accelerated", [True, False])
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(0, 2**32 - 1), st.booleans())
def test_pillow_reads_the_same_pixels(
    accelerated: bool, height: int, width: int, channels: int, seed: int, flat: bool
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    pixels = np.full_like(pixels, seed % 256) if flat else pixels
    with pytest.MonkeyPatch.context() as patch:
        if not accelerated:
            patch.setattr(png, "_isal", None)
        read, mode = decode(png.encode(pixels))
    assert mode == MODES[channels]
    assert np.array_equal(read.reshape(pixels.shape), pixels)


@pytest.mark.parametrize("accelerated", [True, False])
def test_no_larger_than_pillow_on_a_natural_picture(accelerated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not accelerated:
        monkeypatch.setattr(png, "_isal", None)
    pixels = smooth(224, 224, 3)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    assert len(png.encode(pixels)) < 1.05 * len(out.getvalue())


def test_filters_are_those_of_the_standard() -> None:
    pixels = smooth(5, 6, 3)
    lines = pixels.reshape(5, 18).astype(int)
    for row in range(5):
        for x in range(18):
            left = lines[row, x - 3] if x >= 3 else 0
            up = lines[row - 1, x] if row else 0
            assert png.filter_sub(pixels)[row, 1 + x] == (lines[row, x] - left) % 256
            assert png.filter_average(pixels)[row, 1 + x] == (lines[row, x] - (left + up) // 2) % 256


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 2)), np.zeros((2, 2, 5), np.uint8), np.zeros((0, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)],
)
def test_what_is_not_a_picture(pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="a PNG needs uint8 pixels"):
        png.encode(pixels)
