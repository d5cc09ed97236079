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
            assert png.filter_up(pixels)[row, 1 + x] == (lines[row, x] - up) % 256
            assert png.filter_average(pixels)[row, 1 + x] == (lines[row, x] - (left + up) // 2) % 256


def test_each_line_has_the_filter_that_leaves_the_least() -> None:
    pixels = np.zeros((30, 200, 1), np.uint8)
    pixels[:10, :, 0] = np.arange(200)  # equal lines: the one above says all
    pixels[10:20, :, 0] = 100 + np.arange(10)[:, None] * 15  # constant lines: the pixel to the left says all
    pixels[20:, :, 0] = np.random.default_rng(0).normal(128, 9, (10, 200))  # noise: the mean of both is nearest
    lines = png.filtered(pixels)
    assert lines[1:10, 0].tolist() == [2] * 9
    assert lines[11:20, 0].tolist() == [1] * 9
    assert np.count_nonzero(lines[21:, 0] == 3) >= 5
    for row, line in enumerate(lines):
        choice = {1: png.filter_sub, 2: png.filter_up, 3: png.filter_average}[line[0]]
        assert np.array_equal(line, choice(pixels)[row])


@pytest.mark.parametrize("accelerated", [True, False])
def test_gaps_in_memory_make_no_difference(accelerated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not accelerated:
        monkeypatch.setattr(png, "_isal", None)
    pixels = np.ascontiguousarray(smooth(20, 30, 3))
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert not planes.flags.c_contiguous
    assert png.encode(planes) == png.encode(pixels)
    assert png.encode(pixels[::2, ::3]) == png.encode(pixels[::2, ::3].copy())


def test_a_flat_picture_is_no_larger_than_pillows() -> None:
    pixels = np.full((300, 400, 3), 255, np.uint8)
    for number in range(40):
        pixels[5 * number : 5 * number + 90, 9 * number] = number
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "_isal", None)
        assert len(png.encode(pixels)) < 1.1 * len(out.getvalue())


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 2)), np.zeros((2, 2, 5), np.uint8), np.zeros((0, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)],
)
def test_what_is_not_a_picture(pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="a PNG needs uint8 pixels"):
        png.encode(pixels)
