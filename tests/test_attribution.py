"""Attribution: the machine against Zeiler & Fergus written plainly in float64, against Captum, and on real weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from convscope.errors import InputError, NotFoundError
from convscope.inspect.attribution import RULES, RuleReport, signed_pictures
from convscope.nets.data import IMAGENET, ArrayImages, ImageSet
from convscope.nets.images import image_set
from convscope.nets.torch import Model

BACKWARD = [name for name, rule in RULES.items() if rule.method == "backward"]  # the others: test_methods.py

# ---------------------------------------------------------------- networks as programs: each step (name, what, inputs)

Step = tuple[str, str, tuple[str, ...], dict]


def conv(name: str, source: str, out: int, kernel: int, **options: int) -> Step:
    return name, "conv", (source,), {"out": out, "kernel": kernel, **options}


def pool(name: str, source: str, kernel: int, stride: int, padding: int = 0) -> Step:
    return name, "pool", (source,), {"kernel_size": kernel, "stride": stride, "padding": padding}


PROGRAMS: dict[str, list[Step]] = {
    "overlapping pools": [
        conv("c1", "x", 4, 3, padding=1),
        ("r1", "relu", ("c1",), {}),
        pool("p1", "r1", 3, 2),
        conv("c2", "p1", 5, 3, stride=2, padding=1),
        ("r2", "relu", ("c2",), {}),
        pool("p2", "r2", 3, 1, 1),
        conv("c3", "p2", 3, 2),
    ],
    "dilation and groups, functional": [
        conv("c1", "x", 4, 3, dilation=2),
        ("r1", "functional", ("c1",), {}),
        conv("c2", "r1", 6, 3, groups=2, padding=2, dilation=2),
        ("r2", "functional", ("c2",), {}),
        pool("p2", "r2", 2, 2),
        conv("c3", "p2", 3, 3),
    ],
    "in-place and clamp": [
        conv("c1", "x", 4, 4, stride=2, padding=1),
        ("r1", "inplace", ("c1",), {}),
        conv("c2", "r1", 4, 3, padding=1),
        ("r2", "clamp", ("c2",), {}),
        pool("p2", "r2", 3, 2, 1),
        conv("c3", "p2", 3, 3),
        ("r3", "inplace", ("c3",), {}),
    ],
    "concatenation": [
        conv("c1", "x", 3, 3, padding=1),
        ("r1", "functional", ("c1",), {}),
        pool("p1", "r1", 3, 2),
        conv("a", "p1", 3, 1),
        conv("b", "p1", 2, 5, padding=2),
        ("ra", "relu", ("a",), {}),
        ("rb", "inplace", ("b",), {}),
        ("cat", "cat", ("ra", "rb"), {}),
        conv("c3", "cat", 4, 3),
    ],
    "residual": [
        conv("c1", "x", 4, 3, stride=2),
        ("r1", "relu", ("c1",), {}),
        conv("c2", "r1", 4, 3, padding=1),
        ("r2", "functional", ("c2",), {}),
        conv("c3", "r2", 4, 3, padding=1),
        ("add", "add", ("c3", "r1"), {}),
        ("r3", "functional", ("add",), {}),
        pool("p3", "r3", 3, 2),
        conv("c4", "p3", 3, 2),
    ],
}

RELUS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "functional": fn.relu,
    "inplace": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
}


class Program(nn.Module):
    def __init__(self, steps: list[Step], depth: int = 2) -> None:
        super().__init__()
        self.steps = steps
        widths = {"x": depth}
        for name, what, sources, options in steps:
            widths[name] = sum(widths[s] for s in sources) if what == "cat" else widths[sources[0]]
            if what == "conv":
                rest = {k: v for k, v in options.items() if k not in ("out", "kernel")}
                self.add_module(name, nn.Conv2d(widths[sources[0]], options["out"], options["kernel"], **rest))
                widths[name] = options["out"]
            elif what == "relu":
                self.add_module(name, nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {"x": x}
        for name, what, sources, options in self.steps:
            got = [values[s] for s in sources]
            if what in ("conv", "relu"):
                values[name] = self.get_submodule(name)(got[0])
            elif what == "pool":
                values[name] = fn.max_pool2d(got[0], **options)
            elif what == "cat":
                values[name] = torch.cat(got, 1)
            elif what == "add":
                values[name] = got[0] + got[1]
            else:
                values[name] = RELUS[what](got[0])
        return values[name]


# ---------------------------------------------------------------- the paper, plainly


@dataclass
class Plain:
    """[ZF14] §2.1 in float64: filter with the transpose, rectify, and unpool through the recorded switches."""

    network: Program

    def forward(self, image: np.ndarray) -> dict[str, np.ndarray]:
        values = {"x": image.astype(np.float64)}
        self.switches: dict[str, np.ndarray] = {}
        for name, what, sources, options in self.network.steps:
            got = [values[s] for s in sources]
            if what == "conv":
                values[name] = self._conv(name, got[0])
            elif what == "pool":
                values[name], self.switches[name] = self._pool(got[0], **options)
            elif what == "cat":
                values[name] = np.concatenate(got)
            elif what == "add":
                values[name] = got[0] + got[1]
            else:
                values[name] = np.maximum(got[0], 0)
        self.values = values
        return values

    def _geometry(self, name: str) -> tuple[np.ndarray, np.ndarray, int, int, int, int]:
        c = self.network.get_submodule(name)
        assert isinstance(c, nn.Conv2d)
        weight = c.weight.detach().double().numpy()
        bias = c.bias.detach().double().numpy()  # type: ignore[union-attr]
        return weight, bias, c.stride[0], int(c.padding[0]), c.dilation[0], c.groups

    def _conv(self, name: str, x: np.ndarray) -> np.ndarray:
        weight, bias, stride, padding, dilation, groups = self._geometry(name)
        padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        reach = dilation * (weight.shape[2] - 1) + 1
        rows, columns = ((n - reach) // stride + 1 for n in padded.shape[1:])
        out = np.zeros((len(weight), rows, columns))
        per = len(weight) // groups
        for o in range(len(weight)):
            part = padded[o // per * weight.shape[1] : (o // per + 1) * weight.shape[1]]
            for i in range(rows):
                for j in range(columns):
                    y, z = i * stride, j * stride
                    out[o, i, j] = (
                        part[:, y : y + reach : dilation, z : z + reach : dilation] * weight[o]
                    ).sum() + bias[o]
        return out

    def _transposed(self, name: str, signal: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        weight, _, stride, padding, dilation, groups = self._geometry(name)
        back = np.zeros((shape[0], shape[1] + 2 * padding, shape[2] + 2 * padding))
        reach = dilation * (weight.shape[2] - 1) + 1
        per = len(weight) // groups
        for o, i, j in np.argwhere(signal):
            part = back[o // per * weight.shape[1] : (o // per + 1) * weight.shape[1]]
            y, z = i * stride, j * stride
            part[:, y : y + reach : dilation, z : z + reach : dilation] += weight[o] * signal[o, i, j]
        return back[:, padding : padding + shape[1], padding : padding + shape[2]]

    @staticmethod
    def _pool(x: np.ndarray, kernel_size: int, stride: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
        padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
        rows, columns = ((n - kernel_size) // stride + 1 for n in padded.shape[1:])
        out = np.zeros((len(x), rows, columns))
        switches = np.zeros((len(x), rows, columns, 2), int)
        for c, i, j in np.ndindex(out.shape):
            window = padded[c, i * stride : i * stride + kernel_size, j * stride : j * stride + kernel_size]
            y, z = np.unravel_index(window.argmax(), window.shape)
            out[c, i, j] = window[y, z]
            switches[c, i, j] = i * stride + y - padding, j * stride + z - padding
        return out, switches

    def project(self, layer: str, channel: int, y: int, x: int, unpool: str = "sum") -> np.ndarray:
        """All activations of the layer are set to zero but one, which is sent back."""
        signals = {name: np.zeros_like(value) for name, value in self.values.items()}
        consumers = [s for s in self.network.steps if s[2] == (layer,)]
        rectified = bool(consumers) and consumers[0][1] in (*RELUS, "relu") and len(consumers) == 1
        value = self.values[layer][channel, y, x]
        signals[layer][channel, y, x] = max(value, 0) if rectified else value
        names = [name for name, *_ in self.network.steps]
        for name, what, sources, _ in reversed(self.network.steps[: names.index(layer) + 1]):
            signal = signals[name]
            if what == "conv":
                signals[sources[0]] += self._transposed(name, signal, signals[sources[0]].shape)
            elif what == "pool":
                signals[sources[0]] += self._unpool(name, signal, signals[sources[0]].shape, unpool)
            elif what == "cat":
                start = 0
                for source in sources:
                    signals[source] += signal[start : start + len(signals[source])]
                    start += len(signals[source])
            elif what == "add":
                for source in sources:
                    signals[source] += signal
            else:
                signals[sources[0]] += np.maximum(signal, 0)
        return signals["x"]

    def _unpool(self, name: str, signal: np.ndarray, shape: tuple[int, ...], shared: str) -> np.ndarray:
        back, count = np.zeros(shape), np.zeros(shape)
        for c, i, j in np.ndindex(signal.shape):
            y, x = self.switches[name][c, i, j]
            back[c, y, x] = signal[c, i, j] if shared == "overwrite" else back[c, y, x] + signal[c, i, j]
            count[c, y, x] += 1
        return back / np.maximum(count, 1) if shared == "mean" else back


def _program(name: str, seed: int) -> tuple[Program, np.ndarray]:
    torch.manual_seed(seed)
    network = Program(PROGRAMS[name]).double()
    image = np.random.default_rng(seed).normal(size=(2, 17, 16))
    return network, image


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", PROGRAMS)
def test_deconvnet_is_what_zeiler_and_fergus_wrote(name: str, seed: int) -> None:
    network, image = _program(name, seed)
    model = Model(network, input_shape=(2, 17, 16))
    plain = Plain(network)
    values = plain.forward(image)
    compared = 0
    for layer in (step[0] for step in network.steps if step[1] == "conv"):
        maps = values[layer]
        for channel in range(len(maps)):
            y, x = np.unravel_index(maps[channel].argmax(), maps[channel].shape)
            truth = plain.project(layer, channel, int(y), int(x))
            projection, _, report = model.project(image, layer, channel, (int(y), int(x)))
            np.testing.assert_allclose(projection, truth, rtol=1e-5, atol=1e-6 * (np.abs(truth).max() or 1))
            assert not report.undefined
            assert not report.suspicious
            compared += bool(truth.any())
    assert compared > 8


def test_shared_switches_are_summed_neither_overwritten_nor_averaged() -> None:
    """Where overlapping windows share a maximum the paper is silent: autograd's sum is the true transpose."""
    network, image = _program("overlapping pools", 2)
    model, plain = Model(network, input_shape=(2, 17, 16)), Plain(network)
    maps = plain.forward(image)["c3"]
    y, x = (int(v) for v in np.unravel_index(maps[0].argmax(), maps[0].shape))
    ours = model.project(image, "c3", 0, (y, x))[0]
    kinds = {kind: plain.project("c3", 0, y, x, unpool=kind) for kind in ("sum", "overwrite", "mean")}
    np.testing.assert_allclose(ours, kinds["sum"], rtol=1e-5, atol=1e-6)
    assert np.abs(kinds["overwrite"] - kinds["sum"]).max() > 1e-3
    assert np.abs(kinds["mean"] - kinds["sum"]).max() > 1e-3
    assert np.abs(kinds["mean"] - kinds["overwrite"]).max() > 1e-3
    signal = torch.arange(1.0, 5).reshape(1, 1, 2, 2)
    values = torch.zeros(1, 1, 5, 5)
    values[0, 0, 2, 2] = 9  # the maximum of all four windows
    pooled, switches = fn.max_pool2d(values.requires_grad_(), 3, 2, return_indices=True)
    (summed,) = torch.autograd.grad(pooled, values, signal)
    assert summed[0, 0, 2, 2] == 10
    assert fn.max_unpool2d(signal, switches, 3, 2, output_size=(5, 5))[0, 0, 2, 2] in (1, 2, 3, 4)


@pytest.mark.parametrize("rule", BACKWARD)
def test_rules_are_what_they_are_defined_as(rule: str) -> None:
    """One convolution, a ReLU, and a second convolution, by hand."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3)).double()
    image = torch.randn(1, 7, 7, dtype=torch.float64)
    first, second = network[0], network[2]
    before = first(image[None])
    value = second(before.clamp_min(0))[0, 1, 1, 2].detach()
    seed = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
    seed[0, 1, 1, 2] = value if RULES[rule].start == "activation" else 1
    signal = fn.conv_transpose2d(seed, second.weight)
    signal = {
        "deconvnet": signal.clamp_min(0),
        "guided_backprop": signal.clamp_min(0) * (before > 0),
        "gradient": signal * (before > 0),
        "gradient_x_input": signal * (before > 0),
    }[rule]
    truth = fn.conv_transpose2d(signal, first.weight)[0] * (image if rule == "gradient_x_input" else 1)
    ours, activation, _ = Model(network, input_shape=(1, 7, 7)).project(image, "2", 1, (1, 2), rule)
    np.testing.assert_allclose(ours, truth.detach().numpy(), rtol=1e-5, atol=1e-7)
    assert activation == pytest.approx(value.item())


@pytest.mark.parametrize(
    ("rule", "name"), [("deconvnet", "NeuronDeconvolution"), ("guided_backprop", "NeuronGuidedBackprop")]
)
def test_equal_to_captum_where_captum_is_right(rule: str, name: str) -> None:
    attr = pytest.importorskip("captum.attr", reason="captum, or what it imports, is not installed")
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 5, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3),
    )
    nn.init.ones_(network[5].bias)
    image = torch.randn(1, 3, 33, 33)
    maps = network(image)[0, 2]
    y, x = divmod(int(maps.argmax()), maps.shape[1])
    ours, value, report = Model(network, input_shape=(3, 33, 33)).project(image, "5", 2, rule=rule)
    assert value > 0, "below 0 the value sent back and the 1 that captum sends back are not proportional"
    with pytest.warns(UserWarning, match="hook"):  # captum announces them
        theirs = getattr(attr, name)(network, network[5]).attribute(image.requires_grad_(), (2, y, x))
    np.testing.assert_allclose(ours, theirs[0].detach().numpy() * value, rtol=1e-4, atol=1e-6)
    assert report.sentence() == "2 of 2 ReLUs ruled; undefined: 0"


def test_a_functional_relu_is_projected_like_a_module() -> None:
    class Functional(nn.Module):
        def __init__(self, a: nn.Module, b: nn.Module) -> None:
            super().__init__()
            self.a, self.b = a, b

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return fn.relu(self.b(fn.relu(self.a(x))))

    torch.manual_seed(0)
    a, b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (6, 9, 9), np.uint8))
    modules = Model(nn.Sequential(a, nn.ReLU(), b, nn.ReLU(inplace=True)), input_shape=(1, 9, 9))
    functional = Model(Functional(a, b), input_shape=(1, 9, 9))
    for rule in BACKWARD:
        one = modules.attribute(modules.top_k(images, layers=["2"], k=2)["2"], images, rule=rule)
        two = functional.attribute(functional.top_k(images, layers=["b"], k=2)["b"], images, rule=rule)
        np.testing.assert_allclose(one.values, two.values, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(one.recomputed, two.recomputed)
        assert one.mismatches == two.mismatches == 0


# ---------------------------------------------------------------- what is reported


class Strange(nn.Module):
    def __init__(self, step: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.step = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3), step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.step(self.a(x)))


class OwnRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: object, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0]


@pytest.mark.parametrize(
    ("step", "ruled", "undefined", "suspicious", "constant"),
    [
        (fn.relu, 1, {}, {}, {}),
        (fn.relu6, 1, {}, {}, {}),
        (lambda x: fn.threshold(x, 0, 0), 1, {}, {}, {}),
        (lambda x: x.clamp(0, 3), 1, {}, {}, {}),
        (lambda x: torch.clamp(x, min=torch.zeros(())), 1, {}, {}, {}),
        (lambda x: torch.jit.trace(torch.relu, x.detach())(x), 1, {}, {}, {}),
        (fn.silu, 0, {"SiLU": 1}, {}, {}),
        (fn.gelu, 0, {"GELU": 1}, {}, {}),
        (fn.leaky_relu, 0, {"leaky ReLU": 1}, {}, {}),
        (fn.hardtanh, 0, {"hard tanh": 1}, {}, {}),
        (lambda x: fn.relu(fn.elu(x)), 1, {"ELU": 1}, {}, {}),
        (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), 0, {}, {"Where": 1}, {}),
        (lambda x: torch.maximum(x, torch.zeros(())), 0, {}, {"Maximum": 1}, {}),
        (lambda x: x * (x > 0), 0, {}, {"mask": 1}, {}),
        (lambda x: (x > 0) * x, 0, {}, {"mask": 1}, {}),
        (lambda x: (x > 0).float() * x, 0, {}, {"mask": 1}, {}),
        (lambda x: x.clone().mul_((x > 0).float()), 0, {}, {"mask": 1}, {}),
        (lambda x: fn.threshold(x, 0, 5.0), 0, {"threshold": 1}, {}, {}),
        (lambda x: fn.threshold(x, 0.3, 0), 0, {"threshold": 1}, {}, {}),
        (lambda x: nn.Threshold(0, 0, inplace=True)(x + 0), 1, {}, {}, {}),
        (lambda x: torch.threshold(x, threshold=0, value=0), 1, {}, {}, {}),
        (lambda x: x.clamp(torch.zeros(4, 1, 1), torch.full((4, 1, 1), 6.0)), 1, {}, {}, {}),
        (lambda x: x.clamp(torch.zeros(4, 1, 1), torch.arange(1.0, 5)[:, None, None]), 0, {"clamp": 1}, {}, {}),
        (lambda x: x.masked_fill(x < 0, 0), 0, {}, {"MaskedFill": 1}, {}),
        (OwnRelu.apply, 0, {}, {"OwnReluBackward": 1}, {}),
        (lambda x: fn.relu(x) * torch.sigmoid(fn.relu(x).mean((2, 3), keepdim=True)), 1, {}, {}, {"gate": 1}),
        (lambda x: fn.local_response_norm(fn.relu(x), 3), 1, {}, {}, {"denominator": 1}),
        (lambda x: x * fn.relu(x), 1, {"product of two maps": 1}, {}, {}),
        (lambda x: fn.instance_norm(fn.relu(x)), 1, {"normalisation by the image's own statistics": 1}, {}, {}),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_has_no_rule_is_reported_never_guessed(
    step: Callable[[torch.Tensor], torch.Tensor], ruled: int, undefined: dict, suspicious: dict, constant: dict
) -> None:
    model = Model(Strange(step), input_shape=(1, 9, 9))
    _, _, report = model.project(np.random.default_rng(0).normal(size=(1, 9, 9)), "b", 0)
    assert report == RuleReport("deconvnet", ruled, ruled + sum(suspicious.values()), undefined, suspicious, constant)


def test_the_gradient_rule_is_the_true_gradient_through_gates_and_norms() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(fn.relu(x).mean((2, 3), keepdim=True))
        return fn.local_response_norm(fn.relu(x) * gate, 3)

    network = Strange(step).double()
    image = torch.randn(1, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    (truth,) = torch.autograd.grad(network(image)[0, 1, 2, 3], image)
    ours, _, report = Model(network, input_shape=(1, 9, 9)).project(image, "b", 1, (2, 3), "gradient")
    np.testing.assert_allclose(ours, truth[0].numpy(), rtol=1e-5)
    assert report.constant == {}


def test_lrn_denominators_are_held_constant() -> None:
    network = Strange(lambda x: fn.local_response_norm(x, 3, alpha=1.0)).double()
    image = torch.randn(1, 9, 9, dtype=torch.float64)
    before = network.a(image[None])
    factor = fn.local_response_norm(before, 3, alpha=1.0) / before
    value = network.b(before * factor)[0, 0, 2, 2]
    seed = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
    seed[0, 0, 2, 2] = value
    truth = fn.conv_transpose2d(fn.conv_transpose2d(seed, network.b.weight) * factor, network.a.weight)[0]
    ours, _, _ = Model(network, input_shape=(1, 9, 9)).project(image, "b", 0, (2, 2))
    np.testing.assert_allclose(ours, truth.detach().numpy(), rtol=1e-4, atol=1e-7)


def test_sentences() -> None:
    assert RuleReport("deconvnet", 57, 57).sentence() == "57 of 57 ReLUs ruled; undefined: 0"
    long = RuleReport("deconvnet", 2, 3, {"SiLU": 49}, {"Where": 1}, {"gate": 4})
    assert long.sentence() == "2 of 3 ReLUs ruled; undefined: 49 SiLU; may hide a ReLU: 1 Where; held constant: 4 gate"


def test_contrast_does_not_hang_on_one_pixel_and_zero_is_mid_grey() -> None:
    values = np.zeros((1, 2, 20, 20, 1), np.float32)
    values[0, 0] = np.linspace(-1, 1, 400).reshape(20, 20, 1)
    values[0, 0, 0, 0] = -100
    values[0, 1, 3, 3] = 5  # hardly a pixel is not zero
    pictures, scale = signed_pictures(values)
    assert 0.98 < scale[0, 0] <= 1
    assert scale[0, 1] == 5
    assert pictures[0, 1, 0, 0] == 128
    assert (pictures[0, 0].min(), pictures[0, 0].max()) == (1, 255)
    assert (signed_pictures(np.zeros((1, 1, 2, 2, 1), np.float32))[0] == 128).all()


# ---------------------------------------------------------------- the top images of a layer


def _digits() -> tuple[Model, ArrayImages]:
    torch.manual_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    return Model("mnist"), ArrayImages(pixels)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc1"])
def test_attribute_cuts_what_project_shows(layer: str) -> None:
    model, images = _digits()
    top = model.top_k(images, layers=[layer], k=3)[layer]
    channels = [1, 5, 30]
    steps: list[tuple[int, int]] = []
    projections = model.attribute(top, images, channels=channels, progress=lambda *s: steps.append(s))
    assert projections.values.shape == (3, 3, *top.tile_size, 1)
    assert top.tile_size == {"conv1": (7, 7), "conv2": (16, 16), "fc1": (28, 28)}[layer]
    assert steps[-1] == (9, 9)
    assert projections.mismatches == 0
    np.testing.assert_allclose(projections.recomputed, top.value[channels], rtol=1e-5, atol=1e-6)
    for row, channel in enumerate(channels):
        for rank in range(3):
            number = int(top.image[channel, rank])
            y, x = (int(v) for v in top.position[channel, rank])
            whole = model.project(images.images(number, number + 1), layer, channel, (y, x))[0][0]
            y0, x0, y1, x1 = projections.box[row, rank]
            inside = np.zeros((28 + 64, 28 + 64), np.float32)
            inside[32:60, 32:60] = whole
            tile = inside[y0 + 32 : y1 + 32, x0 + 32 : x1 + 32]
            np.testing.assert_allclose(projections.values[row, rank, :, :, 0], tile, rtol=1e-4, atol=1e-6)
            assert np.abs(tile).sum() == pytest.approx(np.abs(whole).sum(), rel=1e-4), "nothing lies outside the field"


def test_changed_weights_show_as_mismatches() -> None:
    model, images = _digits()
    top = model.top_k(images, layers=["conv1"], k=2)["conv1"]
    with torch.no_grad():
        model.network.conv1.weight.mul_(1.5)
    assert model.attribute(top, images).mismatches > 40


def test_bad_requests_are_answered() -> None:
    model, images = _digits()
    top = model.top_k(images, layers=["conv1"], k=2)["conv1"]
    with pytest.raises(NotFoundError, match="no rule 'deconvnt'; did you mean 'deconvnet'"):
        model.attribute(top, images, rule="deconvnt")
    with pytest.raises(InputError, match=r"no channel 32 in layer 'conv1'; it has 0\.\.31"):
        model.attribute(top, images, channels=[0, 32])
    with pytest.raises(InputError, match="not of this network and these images"):
        model.attribute(top, images.part(0, 3))
    with pytest.raises(InputError, match="not of this network"):
        model.attribute(replace(top, layer="conv2"), images)
    with pytest.raises(InputError, match=r"no position \(28, 0\)"):
        model.project(images.images(0, 1), "conv1", 0, (28, 0))
    with pytest.raises(InputError, match="no channel -1"):
        model.project(images.images(0, 1), "conv1", -1)


# ---------------------------------------------------------------- real weights and photographs

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def alexnet() -> tuple[Model, ImageSet]:
    weights = DATA / "alexnet-features" / "alexnet_features_torchvision_fp32.npz"
    photos = DATA / "imagenet-sample-images"
    if not weights.is_file() or not photos.is_dir():
        pytest.skip(f"needs real weights and photographs in {DATA}")
    images = image_set(sorted(photos.iterdir())[::31], IMAGENET)
    return Model("alexnet", weights=weights), images


def test_real_alexnet_on_real_photographs(alexnet: tuple[Model, ImageSet]) -> None:
    model, images = alexnet
    tops = model.top_k(images, k=3)
    assert [tops[name].channels for name in tops] == [64, 192, 384, 256, 256]
    for name, channels in {"features.0": range(64), "features.10": (0, 17, 200)}.items():
        projections = model.attribute(tops[name], images, channels=channels)
        assert projections.mismatches == 0
        np.testing.assert_allclose(projections.recomputed, tops[name].value[list(channels)], rtol=1e-4, atol=1e-5)
    first = tops["features.0"]
    for channel in (3, 40):
        number, (y, x) = int(first.image[channel, 0]), first.position[channel, 0]
        whole, _, report = model.project(images.images(number, number + 1), "features.0", channel, (int(y), int(x)))
        y0, x0, y1, x1 = first.receptive_field.box(int(y), int(x), 224, 224)
        rows, columns = np.nonzero(whole.any(0))
        assert y0 <= rows.min() <= rows.max() < y1
        assert x0 <= columns.min() <= columns.max() < x1
        # the projection of a first layer is its filter, as strong as the activation
        filters = model.filters("features.0")[channel] * first.value[channel, 0]
        inside = filters[:, y0 - first.box[channel, 0, 0] :, x0 - first.box[channel, 0, 1] :]
        np.testing.assert_allclose(whole[:, y0:y1, x0:x1], inside[:, : y1 - y0, : x1 - x0], rtol=1e-4, atol=1e-5)
        assert report.ruled == 1
