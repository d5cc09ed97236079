"""Mode ``map``: the whole map of a channel goes back instead of one value, against plain definitions in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attribution_networks import Plain
from attribution_plain import RECTIFYING
from attribution_zoo import plains, random_network
from convscope.errors import InputError
from convscope.inspect.attribution import RULES
from convscope.nets.data import InputImages
from convscope.nets.torch import Model

BACKWARD = [name for name, rule in RULES.items() if rule.method == "backward"]


def whole_map(plain: Plain, layer: str, channels: list[int], rule: str) -> np.ndarray:
    """Return the rectified map of each channel, or for a derivative that of its sum."""
    maps, rectifier = plain.activation(layer), plain.rectifier(layer)
    seeds = np.zeros((len(channels), *maps.shape))
    for n, channel in enumerate(channels):
        derivative = np.ones_like(maps[channel]) if rectifier is None else rectifier.open[channel].astype(float)
        seeds[n, channel] = maps[channel] if rule in RECTIFYING else derivative
    return plain.project(layer, seeds, rule)


def cut(whole: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return what of a projection ``(c, H, W)`` lies in a box, 0 outside the image."""
    y0, x0, y1, x1 = (int(edge) for edge in box)
    margin = max(0, -y0, -x0, y1, x1)
    wide = np.pad(whole, ((0, 0), (margin, margin), (margin, margin)))
    return wide[:, y0 + margin : y1 + margin, x0 + margin : x1 + margin].transpose(1, 2, 0)


@pytest.mark.parametrize("rule", BACKWARD)
@pytest.mark.parametrize("seed", [0, 3, 8, 11])
def test_a_whole_map_is_sent_back_as_it_is_defined(seed: int, rule: str) -> None:
    network = random_network(seed)
    images, definitions = plains(network, 2)
    if any(plain.doubtful for plain in definitions):
        pytest.fail("choose another seed: a maximum hangs on the last bits")
    model, dataset = Model(network.network(), input_shape=network.image), InputImages(images)
    steps = [s for s in network.steps if type(s.op).__name__ == "Convolution" and definitions[0].rectifier(s.name)]
    compared = 0
    for step in (steps[0], steps[-1]):
        top = model.top_k(dataset, layers=[step.layer], k=2)[step.layer]
        channels = sorted({0, top.channels - 1})
        ours = model.attribute(top, dataset, rule=rule, mode="map", channels=channels)
        np.testing.assert_allclose(ours.recomputed, top.value[channels], rtol=1e-6, atol=1e-9)
        assert ours.mismatches == 0
        for number, plain in enumerate(definitions):
            truth = whole_map(plain, step.name, channels, rule)
            for row, channel in enumerate(channels):
                for rank in np.flatnonzero(top.image[channel] == number):
                    tile = cut(truth[row], ours.box[row, rank])
                    assert tile.any() == truth[row].any()
                    np.testing.assert_allclose(
                        ours.values[row, rank], tile, rtol=1e-6, atol=1e-9 * (np.abs(tile).max() or 1)
                    )
                    compared += bool(tile.any())
    assert compared > 1


def test_a_map_is_more_than_its_strongest_position() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU())
    model = Model(network, input_shape=(1, 12, 12))
    dataset = InputImages(np.random.default_rng(0).normal(size=(3, 1, 12, 12)))
    top = model.top_k(dataset, k=1)["0"]
    single, whole = (model.attribute(top, dataset, mode=mode) for mode in ("single", "map"))
    np.testing.assert_array_equal(single.recomputed, whole.recomputed)
    assert (np.abs(whole.values - single.values).max((1, 2, 3, 4)) > 0.01).all()


def test_what_makes_no_sense_is_refused() -> None:
    model = Model(nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU()), input_shape=(1, 12, 12))
    dataset = InputImages(np.zeros((3, 1, 12, 12)))
    top = model.top_k(dataset, k=1)["0"]
    with pytest.raises(InputError, match=r"unknown mode 'whole'; use single \(one position, as in the paper\) or map"):
        model.attribute(top, dataset, mode="whole")
    with pytest.raises(InputError, match="occlusion"):
        model.attribute(top, dataset, rule="occlusion", mode="map")
