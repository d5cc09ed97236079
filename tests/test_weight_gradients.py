"""Weight gradients against central differences in float64, and that nothing of the network is left changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from convscope import Model, Run, SummaryWriter
from convscope.errors import ConvscopeError, InputError, NotFoundError
from convscope.inspect.gradients import WeightGradients
from convscope.inspect.groups import Group, group_of
from convscope.nets.data import ArrayImages
from convscope.nets.frozen import frozen

Doubles = npt.NDArray[np.float64]
LAYERS = ("first", "grouped", "depth", "shared", "turned", "normed", "line", "head")


class Every(nn.Module):
    """A layer of every sort: reflected, strided, grouped, dilated, depthwise, called twice, transposed, normalised."""

    def __init__(self, end: str = "none") -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode="reflect")
        self.grouped = nn.Conv2d(4, 4, 3, groups=2, dilation=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.depth = nn.Conv2d(4, 4, 3, groups=4, padding="same")
        self.shared = nn.Conv2d(4, 4, 1)
        self.turned = nn.ConvTranspose2d(4, 6, 3, groups=2, stride=2)
        self.normed = parametrizations.weight_norm(nn.Conv2d(6, 3, 3))
        self.line = nn.Linear(3, 7)
        self.head = nn.Linear(7, 5)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.first(x))
        x = F.silu(self.norm(self.grouped(x))) + x
        x = torch.tanh(self.depth(x))
        x = self.shared(F.elu(self.shared(x)))
        x = self.normed(self.turned(x).relu_())
        x = self.head(self.line(x.mean((2, 3))).tanh())
        return {"none": x, "softmax": x.softmax(1), "log": F.log_softmax(x, 1), "sigmoid": x.sigmoid()}[self.end]


def every(end: str = "none") -> nn.Module:
    torch.manual_seed(0)
    network = Every(end).double()
    with torch.no_grad():
        for tensor in (network.norm.weight, network.norm.bias, network.norm.running_mean):
            tensor.normal_()
        network.norm.running_var.uniform_(0.5, 2)
    return network


def pixels(count: int = 2) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, 3, 9, 8)).astype(np.float32)


def logits(network: nn.Module, images: npt.NDArray[Any]) -> Doubles:
    """Return the logits of a copy that ends in nothing."""
    bare = copy.deepcopy(network).eval()
    bare.end = "none"
    with torch.no_grad():
        return bare(torch.from_numpy(images).double()).numpy()


def central(network: nn.Module, weight: Tensor, images: npt.NDArray[Any], step: float = 1e-5) -> Doubles:
    """Return central differences of all logits by each weight, ``(N, K, *weight.shape)``."""
    found = []
    with torch.no_grad():
        flat = weight.view(-1)
        for i in range(len(flat)):
            held = float(flat[i])
            flat[i] = held + step
            above = logits(network, images)
            flat[i] = held - step
            found.append((above - logits(network, images)) / (2 * step))
            flat[i] = held
    return np.stack(found, axis=2).reshape(*found[0].shape, *weight.shape)


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "normed"])
def test_they_are_the_central_differences(layer: str) -> None:
    network = every("softmax").train()
    images = pixels()
    ours = Model(network, input_shape=(3, 9, 8)).weight_gradients(images, layer, [4, 1])
    theirs = central(network, getattr(network, layer).weight, images)[:, [4, 1]]
    if layer == "turned":  # (I, O / groups, kh, kw): the filter of output o of group g is [inputs of g, o]
        apart = theirs.reshape(2, 2, 2, 2, 3, 3, 3)
        theirs = apart.swapaxes(3, 4).reshape(2, 2, 6, 2, 3, 3)
    theirs = theirs.reshape(ours.gradient.shape)
    assert ours.gradient.dtype == np.float64
    assert np.corrcoef(ours.gradient.ravel(), theirs.ravel())[0, 1] > 0.999999
    assert np.abs(ours.gradient - theirs).max() < 1e-6 * np.abs(theirs).max()
    assert (ours.gradient < 0).any()
    assert (ours.gradient > 0).any()
    assert [(group.of_class, group.image) for group in ours.groups][:3] == [
        (4, "images 0"),
        (1, "images 0"),
        (4, "images 1"),
    ]


def test_a_weight_that_is_computed_is_the_one_the_layer_computes_with() -> None:
    network = every()
    images = pixels(2)
    ours = Model(network, input_shape=(3, 9, 8)).weight_gradients(images, "normed", 0).gradient
    plain = copy.deepcopy(network)
    nn.utils.parametrize.remove_parametrizations(plain.normed, "weight")
    theirs = central(plain, plain.normed.weight, images)[:, 0]
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("end", ["softmax", "log", "sigmoid"])
def test_what_squashes_the_logits_at_the_end_is_left_out(end: str) -> None:
    plain = Model(every(), input_shape=(3, 9, 8)).weight_gradients(pixels(), "depth", 2)
    squashed = Model(every(end), input_shape=(3, 9, 8)).weight_gradients(pixels(), "depth", 2)
    np.testing.assert_array_equal(plain.gradient, squashed.gradient)


@pytest.mark.parametrize("layer", ["first", "shared", "head"])
def test_the_mean_is_the_mean_of_the_images_whatever_the_batches(layer: str) -> None:
    model = Model(every(), input_shape=(3, 9, 8))
    single = model.weight_gradients(pixels(5), layer, [0, 3], batch_size=2)
    mean = model.weight_gradients(pixels(5), layer, [0, 3], mean=True, batch_size=4)
    np.testing.assert_allclose(mean.gradient, single.mean().gradient, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(mean.gradient[1], single.gradient[1::2].mean(0), rtol=1e-9, atol=1e-15)
    assert [(group.images, group.name) for group in mean.groups] == [(5, "mean for class 0"), (5, "mean for class 3")]


class Standardised(nn.Conv2d):
    """A convolution that computes with something else than its weights."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias)


class Matrix(nn.Module):
    """Functions with weights: a convolution, and a product whose weights lie the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.matrix = nn.Parameter(torch.randn(4, 5))
        self.bias = nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, F.conv2d(x, self.kernel).relu().mean((2, 3)), self.matrix)


def test_weights_used_in_another_way_are_right_too() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(Standardised(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    network = network.double()
    ours = Model(network, input_shape=(3, 9, 8)).weight_gradients(pixels(), "0", 1).gradient
    theirs = central(network, network[0].weight, pixels())[:, 1]
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize(("layer", "weight"), [("conv2d", "kernel"), ("addmm", "matrix")])
def test_functions_with_weights_have_gradients(layer: str, weight: str) -> None:
    torch.manual_seed(1)
    network = Matrix().double()
    ours = Model(network, input_shape=(3, 9, 8)).weight_gradients(pixels(), layer, 1).gradient
    theirs = central(network, getattr(network, weight), pixels())[:, 1]
    theirs = theirs.swapaxes(1, 2)[..., None, None] if layer == "addmm" else theirs
    assert np.abs(ours - theirs).max() < 1e-6 * np.abs(theirs).max()


def test_an_exported_program_has_the_gradients_of_its_module() -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, groups=1), nn.ReLU(), nn.Flatten(), nn.Linear(168, 3)).eval()
    program = torch.export.export(network, (torch.from_numpy(pixels(2)),))
    ours = Model(network, input_shape=(3, 9, 8)).weight_gradients(pixels(4), "0", 2)
    model = Model(program, input_shape=(3, 9, 8))
    layer = next(one.name for one in model.layers if one.kind == "Conv2d")
    theirs = model.weight_gradients(pixels(4), layer, 2)
    np.testing.assert_allclose(ours.gradient, theirs.gradient, rtol=1e-4, atol=1e-6)


def test_the_network_is_left_as_it_was() -> None:
    network = every().train()
    network.depth.weight.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    network.first.eval()
    network.head.weight.grad = torch.ones_like(network.head.weight)
    before = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    asked = [p.requires_grad for p in network.parameters()]
    model = Model(network, input_shape=(3, 9, 8))
    with torch.no_grad():
        model.weight_gradients(pixels(), "depth", 0)
        with pytest.raises(InputError):
            model.weight_gradients(pixels(), "head", 9)
        model.weight_gradients(pixels(), "head", 1, mean=True)
        assert not torch.is_grad_enabled()
    assert [module.training for module in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == asked
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(network.head.weight.grad, torch.ones_like(network.head.weight))
    assert all(p.grad is None for name, p in network.named_parameters() if name != "head.weight")


def test_an_image_can_bring_its_class_itself() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (4, 9, 8, 3), np.uint8)
    images = ArrayImages(pictures, labels=[3, 0, 3, 1], label_names=("a", "b", "c", "d", "e"), name="letters")
    model = Model(every(), input_shape=(3, 9, 8))
    best = model.logits(images.images(0, 4)).argmax(1)
    own, predicted = (model.weight_gradients(images, "first", how) for how in ("label", None))
    assert [group.of_class for group in own.groups] == [3, 0, 3, 1]
    assert [group.class_name for group in own.groups] == ["d", "a", "d", "b"]
    assert [group.of_class for group in predicted.groups] == best.tolist()
    assert [group.correct for group in own.groups] == (best == [3, 0, 3, 1]).tolist()
    assert own.pictures is not None
    np.testing.assert_array_equal(own.pictures, pictures)
    assert [(group.of_class, group.images) for group in own.mean().groups] == [(3, 2), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("layer", "classes", "sentence"),
    [
        ("first", 5, r"no class 5; the network tells 0\.\.4 apart"),
        ("first", [-1], "no class -1"),
        ("first", [], "no class was given"),
        ("first", "label", "not every image of 'images' has a label"),
        ("first", "best", "did you mean|there are: predicted, label"),
        ("norm", 0, r"layer 'norm' \(BatchNorm2d\) has no filters"),
        ("frist", 0, "did you mean 'first'"),
    ],
)
def test_what_cannot_be_asked_is_said(layer: str, classes: Any, sentence: str) -> None:
    with pytest.raises((InputError, NotFoundError), match=sentence):
        Model(every(), input_shape=(3, 9, 8)).weight_gradients(pixels(), layer, classes)


def test_a_network_without_classes_is_refused() -> None:
    with pytest.raises(ConvscopeError, match="puts out 4×7×6 numbers for an image, not the logits"):
        Model(nn.Conv2d(3, 4, 3), input_shape=(3, 9, 8)).weight_gradients(pixels(), ".network", 0)


def test_the_record_holds_them_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    gradient = rng.normal(size=(2, 4, 3, 5, 5)).astype(np.float32)
    rows = (Group("x", 7, "seven", 1, "x.png", 2, "two", correct=False), Group("mean for seven", 7, "seven", 9))
    found = WeightGradients(gradient, rows, layer="conv", network="net", order="BGR")
    with SummaryWriter(tmp_path) as writer:
        writer.add(found, "conv")
    run = Run(tmp_path)
    stored = run.record(run.entries("weight_gradients")[0])
    np.testing.assert_array_equal(stored.arrays()["gradient"], gradient)
    np.testing.assert_allclose(stored.arrays()["sum"], gradient.sum(axis=2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        stored.arrays()["norm"], np.sqrt((gradient.astype(float) ** 2).sum((2, 3, 4))), rtol=1e-6
    )
    assert tuple(map(group_of, stored.meta["groups"])) == rows
    assert (stored.meta["target"], stored.meta["order"], stored.meta["layer"]) == ("logit", "BGR", "conv")
    np.testing.assert_allclose(found.mean().gradient[0], (gradient[0] + 9 * gradient[1]) / 10, rtol=1e-5)
    np.testing.assert_array_equal(found.importance().importance[0], found.norm)


def test_one_group_is_a_volume() -> None:
    gradient = np.random.default_rng(3).normal(size=(2, 4, 3, 5, 5)).astype(np.float32)
    rows = (Group("a", 0, "a"), Group("b", 1, "b"))
    found = WeightGradients(gradient, rows, layer="conv")
    np.testing.assert_allclose(found.volume(1).values, gradient[1].sum(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.volume(0, inputs=2).values, gradient[0, :, 2])
    np.testing.assert_allclose(found.volume(0, inputs="norm").values, np.linalg.norm(gradient[0], axis=1), rtol=1e-5)
    for wrong in ({"group": 2}, {"inputs": 3}, {"inputs": "mean"}):
        with pytest.raises(InputError):
            found.volume(**wrong)


def test_of_a_real_network_they_are_the_central_differences(real_data: Path) -> None:
    weights = real_data / "squeezenet-deep-compression" / "compressed_SqueezeNet.net"
    model = Model("squeezenet1_0", weights=weights, input_shape=(3, 64, 64))
    model.network.double()
    with Image.open(real_data / "caffe-images" / "cat.jpg") as photo:
        picture = np.asarray(photo.convert("RGB").resize((64, 64)))
    assert model.preprocessing is not None
    image = model.preprocessing.normalise(picture[None])
    found = model.weight_gradients(image, "conv1")
    number = found.groups[0].of_class
    flat = dict(model.network.named_modules())["conv1"].weight.detach().view(-1)
    chosen = np.random.default_rng(0).choice(len(flat), 24, replace=False)
    theirs = []
    for i in chosen:
        held = float(flat[i])
        sides = []
        for step in (1e-6, -1e-6):
            flat[i] = held + step
            with torch.no_grad(), frozen(model.network):
                sides.append(float(model.network(torch.from_numpy(image).double()).flatten(1)[0, number]))
        flat[i] = held
        theirs.append((sides[0] - sides[1]) / 2e-6)
    ours = found.gradient[0].ravel()[chosen]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99999
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max()
