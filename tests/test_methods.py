"""Integrated gradients, Grad-CAM, occlusion: against Captum, against plain definitions in float64, and their laws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from convscope.errors import InputError
from convscope.inspect.attribution import RULES, Rule, RuleReport
from convscope.nets import measuring
from convscope.nets.backward import Origin
from convscope.nets.frozen import frozen
from convscope.nets.methods import OWN, baseline_colour, go_back
from convscope.nets.preprocessing import IMAGENET, Preprocessing
from convscope.nets.torch import Model

SIDE = 24
Answer = tuple[np.ndarray, np.ndarray, RuleReport]


def ask(
    model: Model, images: np.ndarray, layer: str, origins: Sequence[Origin | None], rule: Rule, **more: Any
) -> Answer:
    """Go back from a layer of a model, as the engines do."""
    tap = model._trace.map_tap(layer, model.name)
    signal, activation, report = go_back(model._called, images, tap, origins, rule, **more)
    return signal.cpu().numpy(), activation.cpu().numpy(), report


def modules() -> nn.Sequential:
    """Return a small network in which Captum sees every ReLU."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 5, 3, padding=1),
        nn.ReLU(),
    )


class Functional(nn.Module):
    """The same network, written with functions."""

    def __init__(self, other: nn.Sequential) -> None:
        super().__init__()
        self.a, self.b, self.c = other[0], other[3], other[5]

    def forward(self, x: Tensor) -> Tensor:
        x = fn.max_pool2d(self.a(x).relu_(), 3, 2)
        return torch.relu(self.c(fn.relu(self.b(x))))


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def strongest(model: Model, images: np.ndarray, layer: str, channels: Sequence[int]) -> list[Origin]:
    """Return one position in each image: the strongest of a channel."""
    maps = model.activations(images, layer)
    places = [np.unravel_index(maps[i, c].argmax(), maps.shape[2:]) for i, c in enumerate(channels)]
    return [Origin(c, int(y), int(x)) for c, (y, x) in zip(channels, places, strict=True)]


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    return modules()


@pytest.fixture(scope="module")
def model(network: nn.Sequential) -> Model:
    return Model(network, input_shape=(3, SIDE, SIDE))


# ---------------------------------------------------------------- against Captum


def captum(name: str) -> Callable[..., object]:
    attr = pytest.importorskip("captum.attr", reason="captum, or what it imports, is not installed")
    return getattr(attr, name)


def close(ours: np.ndarray, theirs: Tensor) -> None:
    truth = theirs.detach().numpy()
    np.testing.assert_allclose(ours, truth, rtol=1e-5, atol=1e-5 * np.abs(truth).max())


@pytest.mark.parametrize("baseline", [0.0, 0.5])
@pytest.mark.parametrize("layer", ["0", "3", "5"])
def test_integrated_gradients_are_captums(network: nn.Sequential, model: Model, layer: str, baseline: float) -> None:
    images, channels = pictures(), [1, 4, 2]
    origins = strongest(model, images, layer, channels)
    rule = replace(RULES["integrated_gradients"], baseline=baseline, steps=20)
    ours, activation, report = ask(model, images, layer, origins, rule)
    assert ours[0].any()
    oracle = captum("NeuronIntegratedGradients")(network, network[int(layer) + 1])  # after the ReLU, as we read it
    for i, o in enumerate(origins):
        one = torch.from_numpy(images[i : i + 1])
        close(ours[i], oracle.attribute(one, (o.channel, o.y, o.x), baselines=baseline, n_steps=20)[0])
        value = network[: int(layer) + 2](one)[0, o.channel, o.y, o.x]
        assert activation[i] == pytest.approx(float(value.detach()), rel=1e-5)
    ruled = {"0": 1, "3": 2, "5": 3}[layer]
    assert report.sentence() == f"{ruled} of {ruled} ReLUs ruled; undefined: 0; steps 20; baseline {baseline:g}"


@pytest.mark.parametrize(("layer", "feeding"), [("3", "2"), ("5", "4"), ("0", None)])
def test_grad_cam_is_captums(network: nn.Sequential, model: Model, layer: str, feeding: str | None) -> None:
    images, channels = pictures(), [1, 4, 2]
    origins = strongest(model, images, layer, channels)
    ours, activation, report = ask(model, images, layer, origins, RULES["grad_cam"])
    assert ours.any()
    assert report.parameters == {"maps": feeding or "the image"}
    assert (ours == ours[:, :1]).all(), "the same in all colour channels"
    for i, o in enumerate(origins):
        one = torch.from_numpy(images[i : i + 1])

        def neuron(x: Tensor, o: Origin = o) -> Tensor:
            return network[: int(layer) + 2](x)[:, o.channel, o.y, o.x]

        if feeding is None:  # captum knows no maps of the image
            one.requires_grad_()
            weights = torch.autograd.grad(neuron(one)[0], one)[0].mean((2, 3), keepdim=True)
            close(ours[i, 0], (weights * one).sum(1).clamp_min(0)[0])
        else:
            heat = captum("LayerGradCam")(neuron, network[int(feeding)]).attribute(one, relu_attributions=True)
            stretched = captum("LayerAttribution").interpolate(heat, (SIDE, SIDE), interpolate_mode="bilinear")
            close(ours[i, 0], stretched[0, 0])
        assert activation[i] == pytest.approx(float(neuron(one).detach()), rel=1e-5)


@pytest.mark.parametrize(("square", "stride"), [(4, 2), (5, 3), (7, 7)])
@pytest.mark.parametrize("layer", ["0", "3"])
def test_occlusion_is_captums(network: nn.Sequential, model: Model, layer: str, square: int, stride: int) -> None:
    images, channels = pictures(2), [1, 4]
    origins = strongest(model, images, layer, channels)
    rule = replace(RULES["occlusion"], square=square, stride=stride, baseline=0.25)
    ours, _, report = ask(model, images, layer, origins, rule)
    said = f"square {square}×{square}; stride {stride}×{stride}; baseline 0.25"
    assert ours[0].any()
    assert report.sentence() == f"no way back: differences of forward passes; {said}"
    for i, o in enumerate(origins):

        def neuron(x: Tensor, o: Origin = o) -> Tensor:
            with torch.no_grad():
                return network[: int(layer) + 2](x)[:, o.channel, o.y, o.x]

        options = {"sliding_window_shapes": (3, square, square), "strides": (3, stride, stride), "baselines": 0.25}
        close(ours[i], captum("Occlusion")(neuron).attribute(torch.from_numpy(images[i : i + 1]), **options)[0])


def test_the_plain_gradient_of_a_position_is_captums(network: nn.Sequential, model: Model) -> None:
    """What integrated gradients integrate: its limit for a baseline that is (nearly) the image."""
    image = pictures(1)
    (o,) = strongest(model, image, "5", [2])
    oracle = captum("NeuronGradient")(network, network[6])
    theirs = oracle.attribute(torch.from_numpy(image).requires_grad_(), (o.channel, o.y, o.x))[0]
    close(model.project(image, "5", o.channel, (o.y, o.x), "gradient")[0], theirs)
    flat = np.full_like(image, 0.7)
    theirs = oracle.attribute(torch.from_numpy(flat).requires_grad_(), (o.channel, o.y, o.x))[0]
    for steps in (1, 5):
        rule = replace(RULES["integrated_gradients"], baseline=0.7 - 1e-3, steps=steps)
        ours, _, _ = ask(model, flat, "5", [o], rule)
        np.testing.assert_allclose(ours[0] / 1e-3, theirs.numpy(), atol=1e-3 * float(theirs.abs().max()))


# ---------------------------------------------------------------- functions are modules


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize(("layer", "name"), [("0", "a"), ("3", "b"), ("5", "c")])
def test_a_network_of_functions_gives_the_same(
    network: nn.Sequential, model: Model, method: str, layer: str, name: str
) -> None:
    images = pictures()
    origins = strongest(model, images, layer, [1, 4, 2])
    ours, activation, report = ask(model, images, layer, origins, RULES[method])
    functional = Model(Functional(network), input_shape=(3, SIDE, SIDE))
    theirs, again, said = ask(functional, images, name, origins, RULES[method])
    assert ours.any()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * np.abs(theirs).max())
    np.testing.assert_array_equal(activation, again)
    assert said.parameters.keys() == report.parameters.keys()


def test_grad_cam_says_whose_maps_it_took(network: nn.Sequential) -> None:
    functional = Model(Functional(network), input_shape=(3, SIDE, SIDE))
    images = pictures(1)
    for layer, maps in (("a", "the image"), ("b", "max_pool2d"), ("c", "relu:2")):
        report = ask(functional, images, layer, [Origin(0, 1, 1)], RULES["grad_cam"])[2]
        assert report.parameters == {"maps": maps}


# ---------------------------------------------------------------- plain definitions, in float64


class Plain:
    """conv 3×3 → ReLU → conv 3×3, and nothing of torch."""

    def __init__(self, network: nn.Sequential) -> None:
        self.w1, self.b1 = (network[0].weight.detach().numpy(), network[0].bias.detach().numpy())
        self.w2, self.b2 = (network[2].weight.detach().numpy(), network[2].bias.detach().numpy())

    @staticmethod
    def conv(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        return np.einsum("cyxij,ocij->oyx", windows, w) + b[:, None, None]

    def hidden(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(self.conv(x, self.w1, self.b1), 0)

    def value(self, x: np.ndarray, o: Origin) -> float:
        return float(self.conv(self.hidden(x), self.w2, self.b2)[o.channel, o.y, o.x])

    def slope(self, x: np.ndarray, o: Origin) -> np.ndarray:
        """Return the derivative of the value: both kernels turned round, and the mask of the ReLU between."""
        back = np.zeros_like(x)
        for i, j, c in np.ndindex(3, 3, len(self.w1)):
            y, z = o.y + i, o.x + j
            if self.hidden(x)[c, y, z] > 0:
                back[:, y : y + 3, z : z + 3] += self.w2[o.channel, c, i, j] * self.w1[c]
        return back


@pytest.fixture(scope="module")
def plain() -> tuple[Plain, Model, np.ndarray, Origin]:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3)).double()
    image = np.random.default_rng(2).normal(size=(1, 2, 11, 10))
    return Plain(network), Model(network, input_shape=(2, 11, 10)), image, Origin(1, 4, 2)


def test_integrated_gradients_as_written(plain: tuple[Plain, Model, np.ndarray, Origin]) -> None:
    definition, model, image, o = plain
    nodes, weights = np.polynomial.legendre.leggauss(50)
    way = image[0] + 0.3
    slopes = [w / 2 * definition.slope(-0.3 + (n + 1) / 2 * way, o) for n, w in zip(nodes, weights, strict=True)]
    rule = replace(RULES["integrated_gradients"], baseline=-0.3)
    ours, activation, _ = ask(model, image, "2", [o], rule)
    np.testing.assert_allclose(ours[0], way * np.sum(slopes, axis=0), rtol=1e-10, atol=1e-13)
    assert activation[0] == pytest.approx(definition.value(image[0], o), rel=1e-12)


def test_grad_cam_as_written(plain: tuple[Plain, Model, np.ndarray, Origin]) -> None:
    """The weight of a map is the sum of the channel's kernel over it, divided by the positions of the map."""
    definition, model, image, o = plain
    maps = definition.hidden(image[0])
    weights = definition.w2[o.channel].sum((1, 2)) / maps[0].size
    small = np.maximum((weights[:, None, None] * maps).sum(0), 0)
    truth = _bilinear(small, image.shape[2:])
    ours, _, report = ask(model, image, "2", [o], RULES["grad_cam"])
    np.testing.assert_allclose(ours[0], np.stack([truth, truth]), rtol=1e-10, atol=1e-13)
    assert report.parameters == {"maps": "1"}


def _bilinear(small: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Stretch a map so that its corners are those of the picture: pixel centres lie at half steps."""
    for axis, length in enumerate(size):
        at = np.clip((np.arange(length) + 0.5) * small.shape[axis] / length - 0.5, 0, small.shape[axis] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, small.shape[axis] - 1)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        small = small.take(low, axis) * (1 - share) + small.take(high, axis) * share
    return small


def test_occlusion_as_written(plain: tuple[Plain, Model, np.ndarray, Origin]) -> None:
    """All squares of the grid, also those that cannot change anything."""
    definition, model, image, o = plain
    total, count = np.zeros((11, 10)), np.zeros((11, 10))
    for y in range(0, 9, 2):  # the fifth begins at 8 and reaches over the last row
        for x in range(0, 7, 2):
            hidden = image[0].copy()
            hidden[:, y : y + 4, x : x + 4] = -0.3
            total[y : y + 4, x : x + 4] += definition.value(image[0], o) - definition.value(hidden, o)
            count[y : y + 4, x : x + 4] += 1
    rule = replace(RULES["occlusion"], square=4, stride=2, baseline=-0.3)
    ours, _, _ = ask(model, image, "2", [o], rule)
    np.testing.assert_allclose(ours[0], np.stack([total / count] * 2), rtol=1e-9, atol=1e-12)
    assert (count > 0).all()
    assert (ours != 0).any()


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("act", [nn.SiLU, nn.Tanh])
def test_integrated_gradients_are_complete(act: type[nn.Module]) -> None:
    """They sum to activation(image) − activation(baseline) [Sun17, proposition 1]; smooth networks show it closely."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), act(), nn.AvgPool2d(2), nn.Conv2d(6, 4, 3), act(), nn.Conv2d(4, 3, 3))
    network = network.double()
    model = Model(network, input_shape=(3, SIDE, SIDE))
    images = pictures().astype(np.float64)
    origins = [Origin(c, 2, 3) for c in range(3)]
    for baseline in (0.0, -1.0):
        ours, activation, _ = ask(
            model, images, "5", origins, replace(RULES["integrated_gradients"], baseline=baseline)
        )
        below = ask(model, np.full_like(images, baseline), "5", origins, RULES["occlusion"])[1]
        np.testing.assert_allclose(ours.sum((1, 2, 3)), activation - below, rtol=1e-10)


def test_integrated_gradients_get_complete_with_the_points_where_relus_open(model: Model) -> None:
    images = pictures()
    origins = strongest(model, images, "5", [1, 4, 2])
    below = ask(model, np.zeros_like(images), "5", origins, RULES["occlusion"])[1]
    off = []
    for steps in (2, 20, 200):
        ours, activation, _ = ask(model, images, "5", origins, replace(RULES["integrated_gradients"], steps=steps))
        off.append(np.abs(ours.sum((1, 2, 3)) - (activation - below)).max() / np.abs(activation - below).max())
    assert off[2] < 0.01
    assert off[2] < off[1] < off[0]


@pytest.mark.parametrize("method", OWN)
def test_nothing_comes_back_from_a_relu_that_is_closed_all_the_way(model: Model, method: str) -> None:
    images = pictures(1)
    maps = model.activations(images, "0")[0]
    grey = model.activations(np.zeros_like(images), "0")[0]
    closed = np.argwhere((maps < 0) & (grey < 0))[0]  # and between the two, which the way there passes
    ours, activation, _ = ask(model, images, "0", [Origin(*map(int, closed))], RULES[method])
    assert activation[0] == 0
    assert not ours.any() or method == "occlusion"  # hiding a part may open it


def test_a_functional_relu_that_is_closed_or_at_its_ceiling_lets_nothing_through() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return fn.hardtanh(self.b(fn.relu(self.a(x))), 0.0, 0.2)

    torch.manual_seed(0)
    model, images = Model(Cut(), input_shape=(3, SIDE, SIDE)), pictures(1)
    before = model.activations(images, "b")[0]
    chosen = {name: np.argwhere(where)[0] for name, where in {
        "closed": before < -0.1, "open": (before > 0.05) & (before < 0.15), "at the ceiling": before > 0.3
    }.items()}  # fmt: skip
    for method in ("grad_cam", "integrated_gradients"):
        rule = replace(RULES[method], baseline=0.0, steps=1)
        shown = {name: ask(model, images, "b", [Origin(*map(int, o))], rule)[:2] for name, o in chosen.items()}
        assert float(shown["closed"][1][0]) == 0
        assert float(shown["at the ceiling"][1][0]) == pytest.approx(0.2)
        if method == "grad_cam":
            assert [name for name, (signal, _) in shown.items() if signal.any()] == ["open"]


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_nothing_lies_outside_the_field_but_what_a_square_covers(model: Model, method: str) -> None:
    images = pictures()
    origins = strongest(model, images, "3", [1, 4, 2])
    rule = replace(RULES[method], square=3, stride=1)
    ours, _, _ = ask(model, images, "3", origins, rule)
    margin = 2 if method == "occlusion" else 0
    for i, o in enumerate(origins):
        y0, x0, y1, x1 = model.layer("3").receptive_field.box(o.y, o.x, SIDE, SIDE)
        inside = np.zeros((SIDE, SIDE), bool)
        inside[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin] = True
        assert ours[i][:, inside].any()
        assert not ours[i][:, ~inside].any()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
@pytest.mark.parametrize("place", [(0, 0), (1, 4), (5, 5), (2, 0)])
def test_a_crop_gives_the_same_as_the_whole_image(method: str, place: tuple[int, int]) -> None:
    """At every border too: crops start at multiples of the layer's stride, squares lie on the grid of the image."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 4, 2, padding=1))
    model = Model(network.double(), input_shape=(3, SIDE, SIDE))
    image = pictures(1).astype(np.float64)
    y, x = place
    rule = replace(RULES[method], square=5 if method == "occlusion" else None, steps=7, baseline=0.0)
    whole, value, _ = ask(model, image, "2", [Origin(1, y, x)], rule)
    y0, x0, _, _ = model.layer("2").receptive_field.box(y, x, SIDE, SIDE)
    corner = min(y0 // 4 * 4, SIDE - 12), min(x0 // 4 * 4, SIDE - 12)
    crop = image[:, :, corner[0] : corner[0] + 12, corner[1] : corner[1] + 12]
    moved = Origin(1, y - corner[0] // 4, x - corner[1] // 4)
    cut, again, _ = ask(model, crop, "2", [moved], rule, corners=[corner], size=(SIDE, SIDE))
    field = model.layer("2").receptive_field.box(y, x, SIDE, SIDE)
    inside = whole[0, :, field[0] : field[2], field[1] : field[3]]
    ours = cut[0, :, field[0] - corner[0] : field[2] - corner[0], field[1] - corner[1] : field[3] - corner[1]]
    assert ours.shape == inside.shape
    assert inside.any()
    np.testing.assert_allclose(ours, inside, rtol=1e-9, atol=1e-12)
    assert again[0] == pytest.approx(value[0], rel=1e-12)


@pytest.mark.parametrize("method", OWN)
def test_batches_and_gaps_change_nothing(model: Model, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(4)
    origins: list[Origin | None] = list(strongest(model, images, "3", [1, 4, 2, 0]))
    rule = replace(RULES[method], steps=6)
    together, values, report = ask(model, images, "3", origins, rule)
    monkeypatch.setitem(measuring.PIXELS_AT_ONCE, "cpu", 3 * SIDE * SIDE)
    gap: list[Origin | None] = [origins[0], None, *origins[2:]]
    apart, again, said = ask(model, images, "3", gap, rule)
    keep = [0, 2, 3]
    assert apart.shape == together.shape == images.shape
    np.testing.assert_allclose(apart[keep], together[keep], rtol=1e-4, atol=1e-6 * np.abs(together).max())
    np.testing.assert_allclose(again[keep], values[keep], rtol=1e-5)
    assert not apart[1].any()
    assert again[1] == 0
    assert said == report
    nothing, zero, _ = ask(model, images, "3", [None] * 4, rule)
    assert nothing.shape == images.shape
    assert not nothing.any()
    assert not zero.any()


@pytest.mark.parametrize("method", OWN)
def test_a_network_of_a_fixed_batch_is_given_that_many(network: nn.Sequential, model: Model, method: str) -> None:
    class Fixed(nn.Module):
        fixed_batch = 4

        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, x: Tensor) -> Tensor:
            assert len(x) == 4
            return self.inner(x)

    images = pictures(5)
    origins = strongest(model, images, "3", [1, 4, 2, 0, 1])
    fixed = Model(Fixed(), input_shape=(3, SIDE, SIDE))
    ours, _, _ = ask(fixed, images, "inner.3", origins, replace(RULES[method], steps=3))
    truth, _, _ = ask(model, images, "3", origins, replace(RULES[method], steps=3))
    np.testing.assert_allclose(ours, truth, rtol=1e-4, atol=1e-6 * np.abs(truth).max())


@pytest.mark.parametrize("method", OWN)
def test_the_network_and_the_images_are_left_as_they_were(method: str) -> None:
    network = modules().train()
    model = Model(network, input_shape=(3, SIDE, SIDE))
    images = pictures(1)
    ask(model, images, "3", [Origin(0, 1, 1)], replace(RULES[method], steps=2))
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    assert all(p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    np.testing.assert_array_equal(images, pictures(1))


@pytest.mark.parametrize("method", OWN)
def test_one_image_is_projected_by_every_rule(model: Model, method: str) -> None:
    images, rule = pictures(1), replace(RULES[method], steps=5)
    (o,) = strongest(model, images, "3", [4])
    whole, value, report = ask(model, images, "3", [o], rule)
    assert whole.any()
    for position in (None, (o.y, o.x)):
        ours, activation, said = model.project(images[0], "3", 4, position, rule)
        np.testing.assert_array_equal(ours, whole[0])
        assert (activation, said) == (pytest.approx(float(value[0])), report)


@pytest.mark.parametrize("method", OWN)
def test_the_top_images_of_a_layer_are_attributed_and_cut_to_the_field(method: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 4, 2, padding=1), nn.ReLU())
    model, images = Model(network, input_shape=(3, SIDE, SIDE)), pictures(4)
    top = model.top_k(images, layers=["2"], k=2)["2"]
    assert top.tile_size == (10, 10)
    rule = replace(RULES[method], steps=5)
    found = model.attribute(top, images, rule=rule)
    assert found.mismatches == 0
    assert found.rule == method
    for c, r in np.ndindex(3, 2):
        o = Origin(c, *(int(v) for v in top.position[c, r]))
        whole, value, report = ask(model, images[[top.image[c, r]]], "2", [o], rule)
        y0, x0, y1, x1 = (int(edge) for edge in found.box[c, r] + 10)
        tile = np.pad(whole[0], ((0, 0), (10, 10), (10, 10)))[:, y0:y1, x0:x1].transpose(1, 2, 0)
        assert tile.any()
        np.testing.assert_allclose(found.values[c, r], tile, rtol=1e-4, atol=1e-6 * np.abs(tile).max())
        assert found.recomputed[c, r] == pytest.approx(float(value[0]), rel=1e-5)
        assert found.report == report


# ---------------------------------------------------------------- Grad-CAM's maps


class Branched(nn.Module):
    """Two branches side by side, a residual, and a classifier on pooled maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.left, self.right = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 2, 3, padding=1)
        self.top = nn.Conv2d(5, 4, 3, padding=1)
        self.fc = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = fn.relu(self.stem(x))
        both = torch.cat([fn.relu(self.left(x)), fn.relu(self.right(x))], 1)
        x = fn.relu(self.top(both) + x)
        return self.head(fn.relu(self.fc(fn.adaptive_avg_pool2d(x, 1).flatten(1))))


@pytest.fixture(scope="module")
def branched() -> Model:
    torch.manual_seed(0)
    return Model(Branched().double(), input_shape=(3, SIDE, SIDE))


@pytest.mark.parametrize(
    ("layer", "maps"),
    [
        ("stem", "the image"),
        ("left", "relu"),
        ("cat", "relu:2, relu:3"),
        ("top", "cat"),
        ("add", "top, relu"),
        ("fc", "relu:4"),
        ("head", "relu:4"),
    ],
)
def test_the_maps_that_feed_a_layer_are_weighted(branched: Model, layer: str, maps: str) -> None:
    """Of a classifier on pooled maps they are the last maps that still have positions, as the paper takes them."""
    images = pictures(1).astype(np.float64)
    signal, _, report = ask(branched, images, layer, [Origin(1, 0, 0)], RULES["grad_cam"])
    assert set(report.parameters["maps"].split(", ")) == set(maps.split(", "))
    assert signal.shape == images.shape


def test_branches_are_weighted_as_if_they_were_one(branched: Model) -> None:
    """The maps that two branches put side by side, against those maps themselves."""
    images = pictures(1).astype(np.float64)
    value = branched.activations(images, "cat")[0, 4]
    y, x = (int(v) for v in np.unravel_index(value.argmax(), value.shape))
    apart, _, _ = ask(branched, images, "cat", [Origin(4, y, x)], RULES["grad_cam"])
    truth = branched.activations(images, "cat")[0, 4] / value.size  # its own weight is 1 at one position
    np.testing.assert_allclose(apart[0, 0], truth, rtol=1e-9, atol=1e-12)


def test_maps_can_be_asked_for_by_name(branched: Model) -> None:
    images = pictures(1).astype(np.float64)
    o = Origin(1, 0, 0)
    named, _, report = ask(branched, images, "head", [o], replace(RULES["grad_cam"], maps="relu"))
    assert report.parameters == {"maps": "relu"}
    image = torch.from_numpy(images)
    network = branched.network
    maps = fn.relu(network.stem(image)).detach().requires_grad_()
    both = torch.cat([fn.relu(network.left(maps)), fn.relu(network.right(maps))], 1)
    after = fn.relu(network.top(both) + maps)
    logit = network.head(fn.relu(network.fc(after.mean((2, 3)))))[0, 1]
    (slope,) = torch.autograd.grad(logit, maps)
    truth = (maps * slope.mean((2, 3), keepdim=True)).sum(1).clamp_min(0).detach()
    np.testing.assert_allclose(named[0], truth.numpy().repeat(3, 0), rtol=1e-9, atol=1e-14)
    assert truth.any()


def test_maps_that_are_not_below_a_layer_are_refused(branched: Model) -> None:
    images = pictures(1).astype(np.float64)
    with pytest.raises(InputError) as refused:
        ask(branched, images, "left", [Origin(0, 0, 0)], replace(RULES["grad_cam"], maps="top"))
    assert str(refused.value) == "no maps of a layer 'top' below layer 'left'; there are: stem, relu"
    with pytest.raises(InputError) as refused:
        ask(branched, images, "right", [Origin(0, 0, 0)], replace(RULES["grad_cam"], maps="relu:2"))
    assert str(refused.value) == "layer 'right' does not depend on the maps of 'relu:2'"


def test_maps_that_were_written_over_are_gone(network: nn.Sequential) -> None:
    functional = Model(Functional(network), input_shape=(3, SIDE, SIDE))
    with pytest.raises(InputError, match=r"no maps of a layer 'a' below layer 'b'; there are: relu, max_pool2d$"):
        ask(functional, pictures(1), "b", [Origin(0, 1, 1)], replace(RULES["grad_cam"], maps="a"))


class Act(nn.Module):
    """A module that is a layer, since all it does is to call one function."""

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu(x)


def test_maps_are_called_as_the_layers_are() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), Act()), nn.Conv2d(4, 2, 3))
    model = Model(block, input_shape=(3, SIDE, SIDE))
    assert model.layer("1").inputs == ("0.1",)
    for rule in (RULES["grad_cam"], replace(RULES["grad_cam"], maps="0.1")):
        assert ask(model, pictures(1), "1", [Origin(0, 1, 1)], rule)[2].parameters == {"maps": "0.1"}


def test_results_of_one_step_are_not_confused() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.left, self.right = nn.Conv2d(3, 4, 3), nn.Identity(), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            first, second = fn.relu(self.a(x)).chunk(2, 1)
            return self.left(first) + self.right(second)

    torch.manual_seed(0)
    image = pictures(1)
    model = Model(Halves(), input_shape=(3, SIDE, SIDE))
    ours, _, report = ask(model, image, "add", [Origin(1, 2, 2)], RULES["grad_cam"])
    assert report.parameters == {"maps": "relu"}
    maps = np.maximum(model.activations(image, "a")[0], 0)
    small = (maps[1] + maps[3]) / maps[0].size
    np.testing.assert_allclose(ours[0, 0], _bilinear(small, (SIDE, SIDE)), rtol=1e-5, atol=1e-9)


def test_a_network_in_use_by_another_thread_is_waited_for(network: nn.Sequential) -> None:
    model = Model(network, input_shape=(3, SIDE, SIDE))
    assert model.layers, "it has looked at the network before"
    asking = Thread(target=ask, args=(model, pictures(1), "3", [Origin(0, 1, 1)], RULES["grad_cam"]))
    with frozen(network):
        asking.start()
        asking.join(0.3)
        assert asking.is_alive()
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    asking.join(30)
    assert not asking.is_alive()


# ---------------------------------------------------------------- occlusion's squares


def test_a_square_is_a_fifth_of_the_field_unless_the_rule_says(model: Model) -> None:
    images = pictures(1)
    for layer, square, stride in (("0", 1, 1), ("3", 3, 1), ("5", 5, 2)):  # fields of 5, 17 and more than all 24 pixels
        report = ask(model, images, layer, [Origin(0, 1, 1)], RULES["occlusion"])[2]
        assert report.parameters == {"square": f"{square}×{square}", "stride": f"{stride}×{stride}", "baseline": "0"}


def test_a_square_larger_than_the_image_hides_all_of_it(model: Model) -> None:
    images = pictures(1)
    (o,) = strongest(model, images, "3", [1])
    ours, value, report = ask(model, images, "3", [o], replace(RULES["occlusion"], square=100))
    below = ask(model, np.zeros_like(images), "3", [o], RULES["occlusion"])[1]
    assert report.parameters["square"] == "24×24"
    np.testing.assert_allclose(ours, np.full_like(images, value[0] - below[0]), rtol=1e-5)


def test_what_has_positions_in_no_map_is_hidden_all_over() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model = Model(network, input_shape=(3, SIDE, SIDE))
    ours, _, report = ask(model, pictures(1), "4", [Origin(1, 0, 0)], RULES["occlusion"])
    assert report.parameters["square"] == "5×5"
    assert (ours != 0).all()


# ---------------------------------------------------------------- said and refused


def test_a_wrong_word_for_lrn_is_refused_here_too(model: Model) -> None:
    with pytest.raises(InputError, match="unknown way 'inverse' through local response normalisation; use constant,"):
        ask(model, pictures(1), "3", [Origin(0, 0, 0)], RULES["occlusion"], lrn="inverse")


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("lrn", ["constant", "gradient", "identity"])
def test_lrn_is_passed_by_its_derivative_or_not_at_all(method: str, lrn: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.LocalResponseNorm(3, 1.0), nn.Conv2d(6, 2, 3))
    model = Model(network, input_shape=(3, SIDE, SIDE))
    images, o = pictures(1), [Origin(0, 2, 2)]
    ours, _, report = ask(model, images, "3", o, RULES[method], lrn=lrn)
    truth, _, _ = ask(model, images, "3", o, RULES[method])
    np.testing.assert_array_equal(ours, truth)
    assert report.lrn == ({"gradient": 1} if method == "integrated_gradients" else {})


def test_the_baseline_has_a_colour() -> None:
    grey = replace(RULES["occlusion"], baseline=0.5)
    assert baseline_colour(IMAGENET, RULES["occlusion"]) == (124, 116, 104)
    assert baseline_colour(Preprocessing(order="L"), RULES["occlusion"]) == (0,)
    assert baseline_colour(Preprocessing(), grey) == (128, 128, 128)
