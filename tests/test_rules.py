"""Rules as data, and what they do: every way through LRN, what is said, and where Captum is not right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

import shim_torchvision  # noqa: F401 - before torchvision
from convscope.errors import InputError, NotFoundError
from convscope.inspect.attribution import LRN, RULES, Rule, RuleReport
from convscope.nets.rules import find_rule, ruled
from convscope.nets.torch import Model

# ---------------------------------------------------------------- rules and reports as data


def test_the_table_holds_every_rule() -> None:
    assert list(RULES) == [
        "deconvnet",
        "guided_backprop",
        "gradient",
        "gradient_x_input",
        "integrated_gradients",
        "grad_cam",
        "occlusion",
    ]
    assert [name for name, rule in RULES.items() if rule.start == "activation"] == ["deconvnet", "guided_backprop"]
    assert [name for name, rule in RULES.items() if not rule.crops] == ["grad_cam"]
    assert all(rule.source for rule in RULES.values())


def test_a_rule_with_parameters_of_its_own_is_found_as_it_is() -> None:
    own = replace(RULES["occlusion"], square=16, stride=8)
    assert find_rule(own) is own
    assert find_rule("occlusion") is RULES["occlusion"]
    with pytest.raises(NotFoundError, match=r"no rule 'grad-cam'; did you mean 'grad_cam'\?"):
        find_rule("grad-cam")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "lrp"}, "unknown method 'lrp' of a rule; use backward, integrated_gradients, grad_cam, occlusion"),
        ({"baseline": math.nan}, "the baseline is a finite number, got nan"),
        ({"steps": 0}, "steps is at least 1, got 0"),
        ({"square": 0}, "square is at least 1, got 0"),
        ({"square": 3, "stride": -1}, "stride is at least 1, got -1"),
        ({"square": 3, "stride": 4}, "a stride of 4 needs a square at least as large, or pixels are left out"),
        ({"stride": 4}, "a stride of 4 needs a square at least as large, or pixels are left out"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        replace(RULES["occlusion"], **changes)
    assert str(refused.value) == sentence


def test_sentences_say_what_was_chosen() -> None:
    identity = RuleReport("deconvnet", 5, 5, lrn={"identity": 2})
    assert identity.sentence() == "5 of 5 ReLUs ruled; undefined: 0; 2 LRN passed by the identity"
    path = RuleReport("integrated_gradients", 5, 5, lrn={"gradient": 1}, parameters={"steps": "50", "baseline": "0"})
    assert path.sentence() == ("5 of 5 ReLUs ruled; undefined: 0; 1 LRN passed by the derivative; steps 50; baseline 0")


# ---------------------------------------------------------------- local response normalisation

SIZE, ALPHA, BETA, K = 4, 2.0, 0.75, 1.5  # an even size: its window is not the same up and down


class Normalised(nn.Module):
    """A convolution, a ReLU, LRN, a second ReLU that does nothing, and a second convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 7, 3), nn.Conv2d(7, 3, 3)
        self.norm = nn.LocalResponseNorm(SIZE, ALPHA, BETA, K)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(fn.relu(self.norm(fn.relu(self.a(x)))))


def _windows(channels: int) -> list[range]:
    """Which channels each is normalised by: as many before as after, one more before where the size is even."""
    return [range(max(0, i - SIZE // 2), min(channels, i + (SIZE - 1) // 2 + 1)) for i in range(channels)]


def _denominators(a: np.ndarray) -> np.ndarray:
    """Return k + α/n Σ a², plainly."""
    return np.stack([K + ALPHA / SIZE * (a[list(near)] ** 2).sum(0) for near in _windows(len(a))])


def _through_lrn(how: str, a: np.ndarray, signal: np.ndarray) -> np.ndarray:
    d = _denominators(a)
    if how == "identity":
        return signal
    if how == "constant":
        return signal / d**BETA
    back = signal / d**BETA  # the derivative of a_j / d_j^β, summed over all j in whose window i is
    for i in range(len(a)):
        for j in (j for j, near in enumerate(_windows(len(a))) if i in near):
            back[i] -= signal[j] * a[j] * BETA * d[j] ** (-BETA - 1) * ALPHA / SIZE * 2 * a[i]
    return back


def _signal_below(network: nn.Module, image: Tensor, rule: str, lrn: str) -> tuple[np.ndarray, RuleReport, float]:
    image = image.clone().requires_grad_()
    values = network(image)
    value = values[0, 1, 1, 2]
    with ruled(values.grad_fn, RULES[rule], lrn) as report:
        (signal,) = torch.autograd.grad(value, image)
    return signal[0].numpy(), report, float(value.detach())


@pytest.mark.parametrize("lrn", LRN)
@pytest.mark.parametrize("rule", ["deconvnet", "guided_backprop"])
def test_every_way_through_lrn_is_what_it_is_defined_as(rule: str, lrn: str) -> None:
    torch.manual_seed(3)
    network = Normalised().double().requires_grad_(requires_grad=False)
    image = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    ours, report, value = _signal_below(network, image, rule, lrn)

    before = network.a(image)[0].numpy()
    a = np.maximum(before, 0)
    b = a / _denominators(a) ** BETA
    np.testing.assert_allclose(b, network.norm(fn.relu(network.a(image)))[0].numpy(), rtol=1e-12)
    seed = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    seed[0, 1, 1, 2] = 1
    signal = fn.conv_transpose2d(seed, network.b.weight)[0].numpy()
    guided = rule == "guided_backprop"
    signal = np.maximum(signal, 0) * (b > 0 if guided else 1)
    signal = _through_lrn(lrn, a, signal)
    signal = np.maximum(signal, 0) * (before > 0 if guided else 1)
    truth = fn.conv_transpose2d(torch.from_numpy(signal)[None], network.a.weight)[0].numpy()

    np.testing.assert_allclose(ours, truth, rtol=1e-10, atol=1e-13)
    assert value == pytest.approx(float(network.b(torch.from_numpy(b)[None])[0, 1, 1, 2]))
    assert (report.ruled, report.total, report.undefined, report.suspicious) == (2, 2, {}, {})
    assert report.constant == ({"denominator": 1} if lrn == "constant" else {})
    assert report.lrn == ({} if lrn == "constant" else {lrn: 1})


@pytest.mark.parametrize("lrn", LRN)
def test_a_model_takes_the_way_that_is_asked_for(lrn: str) -> None:
    """One image, the top images of a layer, and the machine itself."""
    torch.manual_seed(3)
    network = Normalised().double()
    model = Model(network, input_shape=(2, 8, 8))
    image = np.random.default_rng(0).normal(size=(1, 2, 8, 8))
    top = model.top_k(image, layers=["b"], k=1)["b"]
    y, x = (int(v) for v in top.position[1, 0])
    ours, _, report = model.project(image, "b", 1, (y, x), "guided_backprop", lrn)
    values = network(pixels := torch.from_numpy(image).requires_grad_())
    with ruled(values.grad_fn, RULES["guided_backprop"], lrn):
        (truth,) = torch.autograd.grad(values[0, 1, y, x] ** 2 / 2, pixels)  # whose derivative is the activation
    np.testing.assert_allclose(ours, truth[0].numpy(), rtol=1e-5, atol=1e-9)
    found = model.attribute(top, image, rule="guided_backprop", lrn=lrn, channels=[1])
    y0, x0, y1, x1 = found.box[0, 0]
    inside = ours[:, max(0, y0) : y1, max(0, x0) : x1].transpose(1, 2, 0)
    tile = found.values[0, 0, max(0, -y0) :, max(0, -x0) :][: inside.shape[0], : inside.shape[1]]
    np.testing.assert_allclose(tile, inside, rtol=1e-5, atol=1e-9)
    assert found.report == report
    assert report.lrn == ({} if lrn == "constant" else {lrn: 1})


def test_the_three_ways_through_lrn_differ() -> None:
    torch.manual_seed(3)
    network, image = Normalised().double(), torch.randn(1, 2, 8, 8, dtype=torch.float64)
    ways = [_signal_below(network, image, "deconvnet", lrn)[0] for lrn in LRN]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(ways[one] - ways[other]).max() > 1e-3 * np.abs(ways[0]).max()


@pytest.mark.parametrize("lrn", LRN)
@pytest.mark.parametrize("rule", ["gradient", "gradient_x_input"])
def test_a_derivative_stays_one_through_lrn(rule: str, lrn: str) -> None:
    torch.manual_seed(3)
    network = Normalised().double().requires_grad_(requires_grad=False)
    image = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    (truth,) = torch.autograd.grad(network(image)[0, 1, 1, 2], image)
    ours, report, _ = _signal_below(network, image.detach(), rule, lrn)
    np.testing.assert_array_equal(ours, truth[0].numpy())
    assert report == RuleReport(rule, 2, 2, lrn={"gradient": 1})


@pytest.mark.parametrize("rule", ["deconvnet", "guided_backprop", "gradient"])
def test_the_ways_through_lrn_do_nothing_where_there_is_none(rule: str) -> None:
    torch.manual_seed(0)
    network = Normalised().double().requires_grad_(requires_grad=False)
    network.norm = nn.Sequential(nn.Conv2d(7, 7, 1), nn.Sigmoid()).double().requires_grad_(requires_grad=False)
    image = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    ways = [_signal_below(network, image, rule, lrn) for lrn in LRN]
    for signal, report, _ in ways[1:]:
        np.testing.assert_array_equal(signal, ways[0][0])
        assert report == ways[0][1]
    assert ways[0][1].undefined == ({} if rule == "gradient" else {"sigmoid": 1})


def test_gates_stay_constant_whatever_is_done_at_lrn() -> None:
    class Gated(Normalised):
        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(fn.relu(self.a(x)))
            return self.b(y * torch.sigmoid(y.mean((2, 3), keepdim=True)))

    torch.manual_seed(0)
    network, image = Gated().double(), torch.randn(1, 2, 8, 8, dtype=torch.float64)
    for lrn in LRN:
        _, report, _ = _signal_below(network, image, "deconvnet", lrn)
        assert report.constant.get("gate") == 1
        assert report.undefined == {}


def test_a_wrong_word_for_lrn_is_refused() -> None:
    network, image = Normalised(), torch.randn(1, 2, 8, 8)
    with pytest.raises(InputError) as refused:
        _signal_below(network, image, "deconvnet", "invert")
    with pytest.raises(InputError, match="unknown way 'invert'"):
        Model(network, input_shape=(2, 8, 8)).project(image, "b", 0, lrn="invert")
    assert str(refused.value) == (
        "unknown way 'invert' through local response normalisation; use constant, gradient, identity"
    )


def test_the_graph_is_left_as_it_was() -> None:
    torch.manual_seed(3)
    network, image = Normalised().double(), torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    values = network(image)
    (before,) = torch.autograd.grad(values[0, 1, 1, 2], image, retain_graph=True)
    with ruled(values.grad_fn, RULES["deconvnet"], "identity"):
        (inside,) = torch.autograd.grad(values[0, 1, 1, 2], image, retain_graph=True)
    (after,) = torch.autograd.grad(values[0, 1, 1, 2], image)
    assert (inside != before).any()
    assert (after == before).all()


# ---------------------------------------------------------------- where Captum is right, and where it is not


def _captum(network: nn.Module, image: Tensor, target: int, method: str) -> tuple[Tensor, list[str]]:
    """Return Captum's attribution and what it says; it announces its hooks whether they meet a ReLU or not."""
    attr = pytest.importorskip("captum.attr", reason="captum, or what it imports, is not installed")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = getattr(attr, method)(network).attribute(image.clone().requires_grad_(), target=target)
    return found[0].detach(), [str(warning.message) for warning in said if warning.category is UserWarning]


def _googlenet() -> nn.Module:
    from torchvision.models import googlenet

    return googlenet(weights=None, aux_logits=False, init_weights=False, num_classes=10)


def _mobilenet() -> nn.Module:
    from torchvision.models import mobilenet_v2

    return mobilenet_v2(weights=None, num_classes=10, width_mult=0.25)


def _with_relu_modules(network: nn.Module) -> nn.Module:
    """Rewrite a network so that Captum can see its ReLUs; it computes the same."""
    for module in list(network.modules()):
        if type(module).__name__ == "BasicConv2d":
            module.act = nn.ReLU()
            module.forward = lambda x, m=module: m.act(m.bn(m.conv(x)))
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(module, name, nn.ReLU())
    return network


@pytest.mark.parametrize(
    ("build", "logits", "relus"),
    [(_googlenet, "fc", 57), (_mobilenet, "classifier.1", 35)],
    ids=["googlenet", "mobilenet"],
)
def test_captum_gives_the_plain_gradient_where_it_sees_no_relu_and_does_not_say_so(
    build: Callable[[], nn.Module], logits: str, relus: int
) -> None:
    """Captum 0.9 hooks modules of the class ``nn.ReLU``: not ``F.relu`` (GoogLeNet), not ReLU6 (MobileNet-v2)."""
    torch.manual_seed(0)
    network = build().eval()
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    scores = network(image)
    target = int(scores[0].argmax())
    (gradient,) = torch.autograd.grad(scores[0, target], image)

    plain = torch.nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    plain(image)
    _, said_where_right = _captum(plain, image, target, "Deconvolution")
    model = Model(network, input_shape=(3, 64, 64))
    for rule, method in (("deconvnet", "Deconvolution"), ("guided_backprop", "GuidedBackprop")):
        theirs, said = _captum(network, image, target, method)
        np.testing.assert_array_equal(theirs.numpy(), gradient[0].numpy())
        assert len(said) == len(said_where_right) == 1, "the same notice, right or wrong"

        ours, value, report = model.project(image.detach(), logits, target, rule=rule)
        assert report.sentence() == f"{relus} of {relus} ReLUs ruled; undefined: 0"
        assert np.corrcoef(ours.ravel(), gradient[0].numpy().ravel())[0, 1] < 0.95

    rewritten = _with_relu_modules(network)
    assert torch.equal(rewritten(image), scores), "no value of this network reaches the ceiling of ReLU6"
    for rule, method in (("deconvnet", "Deconvolution"), ("guided_backprop", "GuidedBackprop")):
        right, _ = _captum(rewritten, image, target, method)
        ours, value, _ = Model(rewritten, input_shape=(3, 64, 64)).project(image.detach(), logits, target, rule=rule)
        scale = float(right.abs().max()) * value
        np.testing.assert_allclose(ours, right.numpy() * value, rtol=1e-4, atol=1e-5 * scale)


def test_a_functional_googlenet_is_ruled_like_one_of_modules() -> None:
    torch.manual_seed(0)
    network, image = _googlenet().eval(), torch.randn(1, 3, 64, 64)
    for layer, channel in (("inception3a.branch2.1.conv", 5), ("inception4b.branch3.1.conv", 2)):
        functional, _, _ = Model(network, input_shape=(3, 64, 64)).project(image, layer, channel)
        torch.manual_seed(0)
        modules = _with_relu_modules(_googlenet().eval())
        theirs, _, _ = Model(modules, input_shape=(3, 64, 64)).project(image, layer, channel)
        assert functional.any()
        np.testing.assert_allclose(functional, theirs, rtol=1e-5, atol=1e-6 * np.abs(theirs).max())


def test_a_rule_of_ones_own_is_followed() -> None:
    """The machine knows no names: a rule that masks and does not rectify, but starts at the activation."""
    torch.manual_seed(0)
    own = Rule("mine", "nobody", forward_mask=True, rectify=False)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3)).double()
    model = Model(network, input_shape=(1, 7, 7))
    image = torch.randn(1, 7, 7, dtype=torch.float64)
    scaled, value, _ = model.project(image, "2", 1, (1, 2), own)
    plain, _, _ = model.project(image, "2", 1, (1, 2), "gradient")
    np.testing.assert_allclose(scaled, plain * value, rtol=1e-5, atol=1e-8)
