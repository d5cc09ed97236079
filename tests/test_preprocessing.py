"""From pictures to a network's input and back: the ways to resize, the inverse law, and what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.errors import InputError
from convscope.nets import zoo
from convscope.nets.preprocessing import IMAGENET, INTERPOLATIONS, RESIZES, Preprocessing
from convscope.nets.zoo import preprocessings

KNOWN = {name: getattr(preprocessings, name) for name in preprocessings.__all__}


@st.composite
def anything(draw: st.DrawFn) -> Preprocessing:
    crop = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    channels = draw(st.sampled_from([1, 3]))
    numbers = st.floats(-150, 150, allow_nan=False)
    return Preprocessing(
        draw(st.integers(max(crop), 20)),
        crop,
        tuple(draw(numbers) for _ in range(channels)),
        tuple(draw(st.floats(0.1, 90)) for _ in range(channels)),
        draw(st.sampled_from([1.0, 1 / 255, 1 / 128])),
        draw(st.sampled_from(["RGB", "BGR"])) if channels == 3 else "L",
        draw(st.sampled_from(RESIZES)),
        draw(st.sampled_from(INTERPOLATIONS)),
        draw(st.sampled_from([(0,), (124,), (1, 2, 3)])),
    )


@given(anything(), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_what_a_network_sees_can_be_shown(preprocessing: Preprocessing, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    fitted = preprocessing.fit(Image.fromarray(pixels))
    assert fitted.shape == (*preprocessing.crop, preprocessing.channels)
    values = preprocessing.normalise(fitted)
    assert values.dtype == np.float32
    assert values.shape == (preprocessing.channels, *preprocessing.crop)
    np.testing.assert_array_equal(preprocessing.to_display(values), fitted)


@given(anything())
def test_what_is_stored_is_the_whole_preprocessing(preprocessing: Preprocessing) -> None:
    assert Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json()))) == preprocessing


def test_results_from_before_the_ways_to_resize_are_read() -> None:
    old = {"size": 256, "crop": [224, 224], "mean": [0.5], "std": [1.0], "scale": 1.0, "order": "RGB"}
    assert Preprocessing.from_json(old) == Preprocessing(256, (224, 224), (0.5,), (1.0,), 1.0)


@pytest.mark.parametrize("name", KNOWN)
def test_every_byte_survives_the_preprocessings_of_the_zoo(name: str) -> None:
    """All 256 values of each channel, through float32 and back."""
    preprocessing = replace(KNOWN[name], size=None, crop=None)
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    pixels = np.concatenate([ramp, ramp[::-1], ramp.transpose(1, 0, 2)], 2)[:, :, : preprocessing.channels]
    np.testing.assert_array_equal(preprocessing.to_display(preprocessing.normalise(pixels)), pixels)


def test_warping_shows_all_of_the_picture_and_the_short_side_its_middle() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40, 1] = 255
    short = Preprocessing(20, (20, 20)).fit(Image.fromarray(wide))
    assert (short[:, :, 1] == 255).all()
    warped = replace(Preprocessing(30, (20, 20)), resize="warp", interpolation="box").fit(Image.fromarray(wide))
    assert (warped[:, :, 1] > 127).mean() == pytest.approx(0.5, abs=0.05), "10 of the 30 columns, in a crop of 20"


def test_the_long_side_keeps_all_and_fills_the_rest() -> None:
    red = Image.new("RGB", (60, 20), (255, 0, 0))
    fitted = Preprocessing(30, (30, 30), resize="long", fill=(1, 2, 3)).fit(red)
    assert (fitted[10:20] == (255, 0, 0)).all()
    assert (np.delete(fitted, range(10, 20), 0) == (1, 2, 3)).all()
    grey = Preprocessing(30, (30, 30), order="L", resize="long", fill=(9,)).fit(red)
    assert (grey[0, 0, 0], grey[15, 15, 0]) == (9, 76)


def test_interpolations_differ_and_are_pillows() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    results = {name: Preprocessing(20, (20, 20), interpolation=name).fit(picture) for name in INTERPOLATIONS}
    assert len({result.tobytes() for result in results.values()}) == len(INTERPOLATIONS)
    np.testing.assert_array_equal(results["bicubic"], picture.resize((20, 20), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "middle"}, "unknown way to resize 'middle'; use short, long or warp"),
        ({"interpolation": "cubic"}, "unknown interpolation 'cubic'"),
        ({"order": "GBR"}, "unknown channel order 'GBR'; use RGB, BGR or L"),
        ({"fill": (1, 2)}, "fill has 2 numbers"),
        ({"size": 200, "crop": (224, 224), "resize": "warp"}, "use a larger size"),
    ],
)
def test_impossible_preprocessings_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocessing(**options)


def test_caffes_mean_pixel_is_that_of_its_mean_image(real_data: Path) -> None:
    mean = np.load(real_data / "caffe-images" / "ilsvrc_2012_mean.npy")  # (3, 256, 256), blue first
    np.testing.assert_allclose(zoo.ZOO["caffenet"].preprocessing.mean, mean.mean((1, 2)), atol=1e-5)


def test_blue_comes_first_for_caffe_and_red_for_torchvision() -> None:
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    for preprocessing, place in ((KNOWN["CAFFE"], 2), (KNOWN["VGG"], 2), (IMAGENET, 0), (KNOWN["VGG_RGB"], 0)):
        values = preprocessing.normalise(red) * np.reshape(preprocessing.std, (-1, 1, 1))
        assert int((values + np.reshape(preprocessing.mean, (-1, 1, 1))).argmax()) == place
