"""Projections of real networks: AlexNet's weights and photographs, Captum where it is right, torchvision's networks."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import shim_torchvision  # noqa: F401 - before torchvision
from convscope.inspect.attribution import Finished
from convscope.inspect.topk import TopK
from convscope.nets.data import IMAGENET, ImageSet, InputImages
from convscope.nets.images import image_set
from convscope.nets.torch import Model

PHOTOGRAPHS = 100
Tops = dict[str, TopK]

# ---------------------------------------------------------------- AlexNet with its weights, and photographs


@pytest.fixture(scope="module")
def alexnet(real_data: Path) -> Model:
    weights = real_data / "alexnet-features" / "alexnet_features_torchvision_fp32.npz"
    if not weights.is_file():
        pytest.skip(f"needs AlexNet's weights, {weights.name} of ../shared/data")
    return Model("alexnet", weights=weights)


@pytest.fixture(scope="module")
def photographs(real_data: Path) -> ImageSet:
    folder = real_data / "imagenet-sample-images"
    if not folder.is_dir():
        pytest.skip(f"needs the photographs of ../shared/data/{folder.name}")
    files = sorted(folder.iterdir())
    given = image_set(files[:: max(1, len(files) // PHOTOGRAPHS)][:PHOTOGRAPHS], IMAGENET)
    return InputImages(given.images(0, len(given)), IMAGENET)  # decoded once


@pytest.fixture(scope="module")
def tops(alexnet: Model, photographs: ImageSet) -> Tops:
    return alexnet.top_k(photographs, k=1)


@pytest.mark.parametrize(("layer", "channels"), [(0, 64), (3, 192), (6, 384), (8, 256), (10, 256)])
def test_every_recomputed_activation_is_the_one_that_was_recorded(
    alexnet: Model, photographs: ImageSet, tops: Tops, layer: int, channels: int
) -> None:
    top = tops[f"features.{layer}"]
    assert top.channels == channels
    strongest = np.zeros(channels)

    def keep(batch: Finished) -> None:
        strongest[batch.slots[:, 0]] = np.abs(batch.tiles).max((1, 2, 3))

    found = alexnet.attribute_each(top, photographs, keep=keep)
    assert found.mismatches == 0
    np.testing.assert_allclose(found.recomputed, top.value, rtol=1e-5, atol=1e-6 * top.value.max())
    assert (strongest > 0).all()
    assert found.engine.startswith("exact cones")
    depth = (0, 3, 6, 8, 10).index(layer) + 1
    assert found.reports["deconvnet"].sentence() == f"{depth} of {depth} ReLUs ruled; undefined: 0"


def test_the_first_layer_is_projected_as_its_filters_times_the_activation(
    alexnet: Model, photographs: ImageSet, tops: Tops
) -> None:
    """What one position sends back through one convolution is its filter, cut at the border of the image."""
    top = tops["features.0"]
    corners = np.array([(0, 0), (0, 54), (54, 0), (54, 54), (0, 27), (27, 54), (27, 27), (1, 1)], np.int32)
    count = len(corners)
    maps = np.maximum(alexnet.activations(photographs.images(0, count), "features.0"), 0)
    value = np.stack([maps[i, :, y, x] for i, (y, x) in enumerate(corners)], axis=1)
    image, position = np.tile(np.arange(count), (64, 1)), np.tile(corners, (64, 1, 1))
    placed = replace(top, image=image, position=position, value=value)
    found = alexnet.attribute(placed, photographs)
    assert found.mismatches == 0
    filters = alexnet.filters("features.0")
    for rank, (y, x) in enumerate(corners):
        rows, columns = (4 * np.array([y, x]) - 2)[:, None] + np.arange(11)
        inside = ((rows >= 0) & (rows < 224))[:, None] & ((columns >= 0) & (columns < 224))
        assert inside.all() == (not {int(y), int(x)} & {0, 54})
        expected = (filters * inside).transpose(0, 2, 3, 1) * found.recomputed[:, rank, None, None, None]
        np.testing.assert_array_equal(
            found.box[:, rank], np.tile([4 * y - 2, 4 * x - 2, 4 * y + 9, 4 * x + 9], (64, 1))
        )
        np.testing.assert_allclose(found.values[:, rank], expected, rtol=2e-7, atol=1e-9)
    assert (value > 0).any(axis=0).all()


@pytest.mark.parametrize(
    ("rule", "name"), [("deconvnet", "NeuronDeconvolution"), ("guided_backprop", "NeuronGuidedBackprop")]
)
def test_captum_says_the_same_of_alexnet(
    alexnet: Model, photographs: ImageSet, tops: Tops, rule: str, name: str
) -> None:
    attr = pytest.importorskip("captum.attr", reason="captum, or what it imports, is not installed")
    places = {layer: tuple(range(7, tops[layer].channels, 97))[:2] for layer in tops}
    for layer, channels in places.items():
        top = tops[layer]
        found = alexnet.attribute(top, photographs, rule=rule, channels=list(channels))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum announces its hooks
            theirs = getattr(attr, name)(alexnet.network, alexnet.network.get_submodule(layer))
            for row, channel in enumerate(channels):
                place = (channel, *(int(v) for v in top.position[channel, 0]))
                number = int(top.image[channel, 0])
                image = torch.from_numpy(photographs.images(number, number + 1)).requires_grad_()
                whole = theirs.attribute(image, place)[0].detach().numpy() * top.value[channel, 0]
                _same_tile(found.values[row, 0], whole, found.box[row, 0], 1e-5)


def _same_tile(tile: np.ndarray, whole: np.ndarray, box: np.ndarray, slack: float) -> None:
    """Compare a projection with that of the whole image, to a share of its strongest pixel; nothing lies outside."""
    y0, x0, y1, x1 = (int(edge) for edge in box)
    wide = max(0, -y0, -x0, y1 - whole.shape[1], x1 - whole.shape[2])
    padded = np.pad(whole, ((0, 0), (wide, wide), (wide, wide)))
    part = padded[:, y0 + wide : y1 + wide, x0 + wide : x1 + wide].transpose(1, 2, 0)
    strongest = np.abs(whole).max()
    np.testing.assert_allclose(tile, part, rtol=0, atol=slack * strongest)
    assert np.abs(part).sum() == pytest.approx(np.abs(whole).sum(), rel=1e-5)


# ---------------------------------------------------------------- networks of torchvision, random weights


def _network(name: str) -> nn.Module:
    import torchvision

    torch.manual_seed(0)
    if name == "vgg16":  # without its 120 million weights of linear layers
        network: nn.Module = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    else:
        more: dict[str, Any] = {"googlenet": {"aux_logits": False, "init_weights": False}}.get(name, {})
        network = getattr(torchvision.models, name)(weights=None, **more)
    for module in network.modules():  # statistics that differ by channel, and no map that dies out
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            module.weight.data.uniform_(0.8, 1.6)
            module.bias.data.uniform_(-0.2, 0.5)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network.double().eval()


NETWORKS: dict[str, tuple[int, tuple[str, ...]]] = {
    "vgg16": (64, ("12",)),
    "resnet18": (96, ("layer1.1.conv2", "layer2.0.downsample.0")),
    "googlenet": (96, ("inception3a.branch2.1.conv", "inception3b.branch4.1.conv")),
    "densenet121": (96, ("features.denseblock1.denselayer3.conv2", "features.transition1.conv")),
    "mobilenet_v2": (64, ("features.3.conv.1.0", "features.4.conv.2")),
    "squeezenet1_1": (80, ("features.4.expand3x3",)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_of_images_give_what_whole_images_give(name: str) -> None:
    """In float64, from the corners, the borders and inside; the whole image's way is that of autograd alone."""
    size, layers = NETWORKS[name]
    shape = (3, size, size + 32)
    model = Model(_network(name), input_shape=shape)
    images = InputImages(np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32))
    maps = model.activations(images.images(0, 2), layers)
    found = model.top_k(images, layers=layers, k=5)
    for layer in layers:
        top = _placed(found[layer], np.asarray(maps[layer]), bool(model.layer(layer).nonlinearity))
        liveliest = np.argsort(-(top.value > 0).sum(axis=1), kind="stable")
        for channel, rule in zip(liveliest.tolist(), ("deconvnet", "guided_backprop"), strict=False):
            _against_whole_images(model, images, top, channel, rule)


def _placed(top: TopK, maps: np.ndarray, rectified: bool) -> TopK:
    rows, columns = maps.shape[2:]
    places = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)]
    images = np.arange(len(places)) % len(maps)
    value = np.stack([maps[n, :, y, x] for n, (y, x) in zip(images, places, strict=True)], axis=1)
    value = np.maximum(value, 0) if rectified else value
    value = np.minimum(value, 6) if rectified and "mobilenet" in top.network.lower() else value
    shape = (top.channels, len(places))
    return replace(
        top,
        image=np.broadcast_to(images, shape).copy(),
        position=np.broadcast_to(np.array(places, np.int32), (*shape, 2)).copy(),
        value=value.astype(np.float32),
    )


def _against_whole_images(model: Model, images: ImageSet, top: TopK, channel: int, rule: str) -> None:
    ours = model.attribute(top, images, rule=rule, channels=[channel])
    assert ours.engine.startswith("exact cones")
    assert ours.mismatches == 0
    strongest = 0.0
    for rank in range(top.k):
        y, x = (int(v) for v in top.position[channel, rank])
        image = images.images(int(top.image[channel, rank]), int(top.image[channel, rank]) + 1)
        whole, value, report = model.project(image, top.layer, channel, (y, x), rule)
        assert ours.recomputed[0, rank] == pytest.approx(value, rel=1e-6, abs=1e-9)
        assert report == ours.report
        _same_tile(ours.values[0, rank], whole, ours.box[0, rank], 1e-6)
        strongest = max(strongest, float(np.abs(whole).max()))
    assert strongest > 0
