"""Layers that are functions, how layers are connected, the two taps, and networks that are called in their own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from convscope.errors import InputError, NotFoundError
from convscope.nets.data import ArrayImages
from convscope.nets.torch import Model

IMAGES = np.random.default_rng(0).normal(size=(5, 2, 12, 10)).astype(np.float32)


class Functional(nn.Module):
    """A network without a single module inside: weights are parameters, everything else is a function."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Parameter(torch.randn(4, 2, 3, 3))
        self.second = nn.Parameter(torch.randn(6, 2, 3, 3))
        self.last = nn.Parameter(torch.randn(3, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = fn.conv2d(x, self.first, padding=1)
        x = fn.relu(x, inplace=True)
        y = fn.silu(fn.conv2d(x, self.second, stride=2, padding=1, groups=2))
        y = fn.max_pool2d(y, 2)
        return fn.linear(y.mean((2, 3)), self.last)


def test_functions_are_layers() -> None:
    network = Functional()
    model = Model(network, input_shape=(2, 12, 10))
    assert [(layer.name, layer.kind, layer.shape, layer.inputs) for layer in model.layers] == [
        ("conv2d", "Conv2d", (4, 12, 10), ("",)),
        ("relu", "ReLU", (4, 12, 10), ("conv2d",)),
        ("conv2d:2", "Conv2d", (6, 6, 5), ("relu",)),
        ("silu", "SiLU", (6, 6, 5), ("conv2d:2",)),
        ("max_pool2d", "MaxPool2d", (6, 3, 2), ("silu",)),
        ("mean", "Mean", (6,), ("max_pool2d",)),
        ("linear", "Linear", (3,), ("mean",)),
    ]
    second = model.layer("conv2d:2")
    assert second.options == {
        "kernel": [3, 3],
        "groups": 2,
        "stride": [2, 2],
        "padding": [1, 1],
        "dilation": [1, 1],
    }
    assert (second.parameters, second.macs) == (6 * 2 * 9, 6 * 6 * 5 * 2 * 9)
    assert model.layer("linear").macs == 18
    assert second.receptive_field.size == (5, 5)
    np.testing.assert_array_equal(model.filters("conv2d:2"), network.second.detach().numpy())
    assert model.architecture().parameters == sum(p.numel() for p in network.parameters())


def test_both_taps_of_functions_despite_what_is_done_in_place() -> None:
    network = Functional()
    model = Model(network, input_shape=(2, 12, 10))
    with torch.no_grad():
        first = fn.conv2d(torch.from_numpy(IMAGES), network.first, padding=1)
        second = fn.conv2d(first.relu(), network.second, stride=2, padding=1, groups=2)
    before = model.activations(IMAGES, ["conv2d", "conv2d:2"])
    after = model.activations(IMAGES, ["conv2d", "conv2d:2"], tap="after")
    np.testing.assert_array_equal(before["conv2d"], first.numpy())
    np.testing.assert_array_equal(after["conv2d"], first.relu().numpy())
    np.testing.assert_allclose(before["conv2d:2"], second.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(after["conv2d:2"], fn.silu(second).numpy(), rtol=1e-5, atol=1e-5)
    assert (model.layer("conv2d").nonlinearity, model.layer("conv2d:2").nonlinearity) == ("relu", "silu")
    with pytest.raises(InputError, match="no non-linearity directly takes what layer 'mean'"):
        model.activations(IMAGES, "mean", tap="after")
    with pytest.raises(NotFoundError, match="no tap 'behind'"):
        model.activations(IMAGES, "mean", tap="behind")


def test_the_search_sees_functions_and_does_not_count_its_own() -> None:
    model = Model(Functional(), input_shape=(2, 12, 10))
    found = model.top_k(IMAGES, layers=["conv2d", "max_pool2d", "linear"], k=2)
    pooled = model.activations(IMAGES, "max_pool2d")
    order = np.sort(pooled.max((2, 3)), axis=0)[::-1][:2].T
    np.testing.assert_allclose(found["max_pool2d"].value, order, rtol=1e-5)
    np.testing.assert_allclose(found["linear"].value[:, 0], model.logits(IMAGES).max(0), rtol=1e-5)
    projections = model.attribute(found["max_pool2d"], IMAGES)
    np.testing.assert_allclose(projections.recomputed, found["max_pool2d"].value, rtol=1e-4)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1)) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu(self.conv1(x)))
        y += x if self.down is None else self.down(x)
        return fn.relu(y)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = Block(2, 4), Block(4, 4)
        self.drop = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        return torch.cat([self.drop(self.b(a)), a], dim=1)


def test_branches_meet_where_they_should() -> None:
    model = Model(Residual(), input_shape=(2, 8, 8))
    takes = {layer.name: layer.inputs for layer in model.layers}
    assert list(takes) == [
        "a.conv1", "a.relu", "a.conv2", "a.down.0", "a.add", "a.relu()",
        "b.conv1", "b.relu", "b.conv2", "b.add", "b.relu()", "drop", "cat",
    ]  # fmt: skip
    assert takes["a.conv1"] == takes["a.down.0"] == ("",)
    assert set(takes["a.add"]) == {"a.conv2", "a.down.0"}
    assert set(takes["b.add"]) == {"b.conv2", "a.relu()"}
    assert (takes["drop"], takes["cat"]) == (("b.relu()",), ("drop", "a.relu()"))
    images = np.random.default_rng(1).normal(size=(2, 2, 8, 8)).astype(np.float32)
    found = model.activations(images, ["a.add", "a.relu()", "cat"])
    np.testing.assert_array_equal(np.maximum(found["a.add"], 0), found["a.relu()"])
    assert found["a.add"].min() < 0
    np.testing.assert_array_equal(found["cat"][:, 4:], found["a.relu()"])


def test_windows_that_do_not_fit_leave_pixels_out_for_all_layers_above() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 7, stride=7), nn.Conv2d(2, 2, 9, padding=4), nn.Conv2d(2, 2, 3, padding=1))
    model = Model(network, input_shape=(1, 40, 35))
    field = model.layer("2").receptive_field
    assert field.extent == (0, 0, 35, 35)
    assert field.box(2, 2, 40, 35) == (0, 0, 35, 35)
    assert model.layer("0").receptive_field.box(4, 4, 40, 35) == (28, 28, 35, 35)


def test_costs_of_convolutions_out_of_the_ordinary() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 8, (3, 5), groups=4, dilation=2, bias=False),
        nn.ConvTranspose2d(8, 6, 2, stride=2),
        nn.AvgPool2d(2),
    )
    model = Model(network, input_shape=(4, 20, 20))
    grouped, turned, pool = model.layers
    assert grouped.shape == (8, 16, 12)
    assert grouped.macs == 8 * 16 * 12 * 15
    assert turned.macs == 8 * 16 * 12 * 6 * 4
    assert (grouped.options["groups"], grouped.options["dilation"]) == (4, [2, 2])
    assert pool.options == {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0]}


# ---------------------------------------------------------------- networks that are called in their own way


class Many(nn.Module):
    """Takes a dictionary and a number, puts out two heads."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, given: dict[str, Tensor], *, scale: float) -> dict[str, Tensor]:
        maps = self.conv(given["pixels"] * scale).relu()
        pooled = maps.mean((2, 3))
        return {"features": pooled, "logits": self.head(pooled)}


def test_several_inputs_and_outputs() -> None:
    network = Many()
    model = Model(
        network,
        input_shape=(2, 12, 10),
        call=lambda net, images: net({"pixels": images}, scale=2.0),
        output="logits",
    )
    assert [layer.name for layer in model.layers] == ["mul", "conv", "relu", "mean", "head"]
    said = network({"pixels": torch.from_numpy(IMAGES)}, scale=2.0)
    np.testing.assert_allclose(model.logits(IMAGES), said["logits"].detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(model.activations(IMAGES, "mean"), said["features"].detach().numpy(), rtol=1e-5)
    assert model.top_k(IMAGES, k=2)["conv"].value.shape == (4, 2)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    with pytest.raises(NotFoundError, match="no output 'logit' in Many; did you mean 'logits'"):
        Model(network, input_shape=(2, 12, 10), call=model._called._call, output="logit").logits(IMAGES)


@dataclass
class Answer:
    logits: Tensor
    loss: Tensor | None = None


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)

    def forward(self, x: Tensor) -> Answer:
        return Answer(self.conv(x).mean((2, 3)))


def test_outputs_in_a_dataclass() -> None:
    assert Model(Typed(), input_shape=(2, 12, 10)).logits(IMAGES).shape == (5, 4)
    assert Model(Typed(), input_shape=(2, 12, 10), output="logits").logits(IMAGES).shape == (5, 4)
    with pytest.raises(InputError, match="output 'loss' of Typed is a NoneType, not a tensor"):
        Model(Typed(), input_shape=(2, 12, 10), output="loss").logits(IMAGES)


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dark, self.bright = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.bright if x.mean() > 0 else self.dark)(x)


def test_a_layer_that_the_control_flow_leaves_out_is_said() -> None:
    model = Model(Branching(), input_shape=(1, 6, 6))
    assert [layer.name for layer in model.layers] == ["mean", "bright"]
    assert model.activations(np.ones((1, 1, 6, 6), np.float32), "bright").shape == (1, 2, 4, 4)
    with pytest.raises(InputError, match="layer 'bright' did not run for these images: Branching took another way"):
        model.activations(-np.ones((1, 1, 6, 6), np.float32), "bright")


def test_weights_given_for_a_network_that_has_its_own_are_refused() -> None:
    with pytest.raises(InputError, match="this one has its own"):
        Model(Typed(), weights="net.pth")
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module or a name, got int"):
        Model(3)
    with pytest.raises(NotFoundError, match=r"no file 'nowhere.onnx'"):
        Model("nowhere.onnx")


def test_pictures_of_a_set_go_through_functions_too() -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 1, 3, 3))

        def forward(self, x: Tensor) -> Tensor:
            return fn.conv2d(x, self.weight)

    model = Model(One(), input_shape=(1, 8, 8))
    assert [layer.name for layer in model.layers] == ["conv2d"]
    pictures = ArrayImages(np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8))
    assert model.top_k(pictures, k=1)["conv2d"].image.shape == (2, 1)


class Written(nn.Module):
    """A network whose way from images to an answer is a function of the test."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self._way = forward

    def forward(self, x: Tensor) -> Any:
        return self._way(self, x)


def conv() -> nn.Conv2d:
    return nn.Conv2d(2, 4, 3)


@pytest.mark.parametrize(
    ("network", "first"),
    [
        (Written(lambda net, x: net.conv(x.sub_(0.5)), conv=conv()), "sub"),
        (nn.Sequential(nn.ReLU(inplace=True), conv()), "0"),
        (nn.Sequential(nn.Identity(), conv()), "0"),
        (nn.Sequential(nn.Dropout(), conv()), "0"),
    ],
)
def test_a_network_may_write_into_the_image_or_give_it_on(network: nn.Module, first: str) -> None:
    model = Model(network, input_shape=(2, 12, 10))
    layers = [(layer.name, layer.inputs, layer.receptive_field.size) for layer in model.layers]
    assert layers[0] == (first, ("",), (1, 1))
    assert layers[1][1:] == ((first,), (3, 3))
    top = model.top_k(IMAGES, layers=[layers[1][0]], k=1)[layers[1][0]]
    assert model.attribute(top, IMAGES).mismatches == 0


def test_layers_that_give_more_than_one_tensor() -> None:
    def way(net: Any, x: Tensor) -> Tensor:
        pooled, _ = net.pool(net.conv(x))
        rows, _ = net.lstm(pooled.flatten(2).transpose(1, 2))
        return rows[:, -1]

    network = Written(way, conv=conv(), pool=nn.MaxPool2d(2, return_indices=True), lstm=nn.LSTM(4, 3, batch_first=True))
    model = Model(network, input_shape=(2, 12, 10))
    layers = {layer.name: (layer.inputs, layer.shape, layer.parameters) for layer in model.layers}
    assert layers["pool"] == (("conv",), (4, 5, 4), 0)
    assert layers["lstm"] == (("permute",), (20, 3), sum(p.numel() for p in network.lstm.parameters()))
    with torch.no_grad():
        pooled = network.pool(network.conv(torch.from_numpy(IMAGES)))[0]
    np.testing.assert_array_equal(model.activations(IMAGES, "pool"), pooled)


def windows(net: Any, x: Tensor) -> Tensor:
    """Cut images into windows that stand one behind the other, as Swin does."""
    cut = x.unfold(2, 4, 4).unfold(3, 5, 5).permute(0, 2, 3, 1, 4, 5).reshape(-1, 40)
    return net.mixed(cut).reshape(len(x), -1)


def test_what_stands_one_behind_the_other_belongs_to_its_image() -> None:
    network = Written(windows, mixed=nn.Linear(40, 3))
    model = Model(network, input_shape=(2, 12, 10))
    assert model.layer("mixed").shape == (6, 3)
    assert model.layer("mixed").macs == 6 * 3 * 40
    with torch.no_grad():
        truth = network(torch.from_numpy(IMAGES)).reshape(5, 6, 3)
    np.testing.assert_allclose(model.activations(IMAGES, "mixed"), truth, atol=1e-6)
    with pytest.raises(InputError, match=r"layer 'mixed' gives \(6, 3\), not maps"):
        model.top_k(IMAGES, layers=["mixed"])


def test_images_that_are_not_kept_apart_are_said() -> None:
    model = Model(Written(lambda net, x: net.conv(x).view(1, -1), conv=conv()), input_shape=(2, 12, 10))
    assert model.logits(IMAGES[:1]).shape == (1, 320)
    with pytest.raises(InputError, match=r"gives \(1, 1600\) for 5 images, not one each; give one at a time"):
        model.logits(IMAGES)
    with pytest.raises(InputError, match="layer 'reshape' of Written gives"):
        model.activations(IMAGES, "reshape")


def test_costs_of_attention() -> None:
    def way(net: Any, x: Tensor) -> Tensor:
        rows = net.conv(x).flatten(2).transpose(1, 2)
        rows = net.attention(rows, rows, rows, need_weights=False)[0]
        rows = fn.scaled_dot_product_attention(rows, rows, rows)
        return torch.einsum("n i c, n j c -> n i j", rows, rows)

    network = Written(way, conv=conv(), attention=nn.MultiheadAttention(4, 2, batch_first=True))
    model = Model(network, input_shape=(2, 12, 10))
    macs = {layer.kind: layer.macs for layer in model.layers if layer.macs}
    meeting = 80 * 80 * 4
    assert macs == {"Conv2d": 80 * 4 * 18, "Attention": 2 * meeting, "Einsum": meeting}
    name = "attention.multi_head_attention_forward"
    assert model.layer(name).macs == 4 * 80 * 4 * 4 + 2 * meeting
    assert model.layer(name).shape == (80, 4)  # positions come first in there, and then the images
    assert model.activations(IMAGES, name).shape == (5, 80, 4)


def test_a_hook_of_the_users_hides_no_costs() -> None:
    network = nn.Sequential(conv())
    network[0].register_forward_hook(lambda _, __, given: given * 2)
    layer = Model(network, input_shape=(2, 12, 10)).layer("0")
    plain = Model(nn.Sequential(conv()), input_shape=(2, 12, 10)).layer("0")
    assert (layer.macs, layer.options) == (plain.macs, plain.options)


def test_filters_of_products_and_of_grouped_transposed_convolutions() -> None:
    def way(net: Any, x: Tensor) -> Tensor:
        return torch.addmm(net.last.bias, net.turned(net.conv(x)).mean((2, 3)), net.last.weight.t())

    turned = nn.ConvTranspose2d(4, 6, 3, groups=2)
    network = Written(way, conv=conv(), turned=turned, last=nn.Linear(6, 3))
    model = Model(network, input_shape=(2, 12, 10))
    np.testing.assert_array_equal(model.filters("addmm")[..., 0, 0], network.last.weight.detach())
    filters, weight = model.filters("turned"), turned.weight.detach()
    assert filters.shape == (6, 2, 3, 3)
    np.testing.assert_array_equal(filters[4, 1], weight[3, 1])  # the second group: outputs 3–5 of inputs 2 and 3


def test_weights_that_could_be_trained_are_no_images() -> None:
    network = nn.Sequential(conv(), nn.Conv2d(4, 4, 3))
    given = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}
    model = Model(network, input_shape=(2, 12, 10), call=lambda net, x: torch.func.functional_call(net, given, (x,)))
    second = model.layer("1")
    assert (second.inputs, second.receptive_field.size) == (("0",), (5, 5))


def test_outputs_in_a_named_tuple() -> None:
    class Said(NamedTuple):
        maps: Tensor
        logits: Tensor

    network = Written(lambda net, x: Said(maps := net.conv(x), maps.mean((2, 3))), conv=conv())
    with pytest.raises(InputError, match="say which: output='maps'"):
        Model(network, input_shape=(2, 12, 10)).logits(IMAGES)
    for output in ("logits", 1):
        assert Model(network, input_shape=(2, 12, 10), output=output).logits(IMAGES).shape == (5, 4)


def test_a_window_may_lie_in_the_padding_alone() -> None:
    network = nn.Sequential(nn.ReplicationPad2d((0, 0, 0, 2)), nn.AvgPool2d((2, 1), (2, 1), ceil_mode=True))
    field = Model(network, input_shape=(2, 11, 10)).layer("1").receptive_field
    top, _, bottom, _ = field.box(6, 0, 11, 10)
    assert top <= 10 < bottom


def test_torch_func_is_refused() -> None:
    network = Written(lambda net, x: torch.vmap(lambda image: net.conv(image[None])[0])(x), conv=conv())
    with pytest.raises(InputError, match=r"runs inside torch\.func"):
        _ = Model(network, input_shape=(2, 12, 10)).layers


@pytest.mark.parametrize("relu", [lambda part: part.relu_(), lambda part: fn.relu(part, inplace=True)])
def test_a_relu_on_a_part_of_a_map_is_reported(relu: Callable[[Tensor], Tensor]) -> None:
    def way(net: Any, x: Tensor) -> Tensor:
        maps = net.conv(x)
        maps[:, 3] = 0.0
        relu(maps[:, :2])
        return net.last(maps)

    model = Model(Written(way, conv=conv(), last=nn.Conv2d(4, 4, 3)), input_shape=(2, 12, 10))
    report = model.project(IMAGES[0], "last", 0)[2]
    assert (report.ruled, report.total, dict(report.suspicious)) == (0, 1, {"relu on a part of a map": 1})


def test_what_was_found_by_one_way_of_calling_is_not_gone_on_with_by_another(tmp_path: Path) -> None:
    def models() -> list[Model]:
        ways = [lambda net, x: net({"pixels": x}, scale=2.0), lambda net, x: net({"pixels": x}, scale=3.0)]
        return [Model(Many(), input_shape=(2, 12, 10), call=way, output="logits") for way in ways]

    state = tmp_path / "state"
    first, second = models()
    first.top_k(IMAGES, k=2, checkpoint=state, every=1, shard_size=1)
    again, _ = models()
    again.top_k(IMAGES, k=2, checkpoint=state, every=1, shard_size=1)
    with pytest.raises(InputError, match="other"):
        second.top_k(IMAGES, k=2, checkpoint=state, every=1, shard_size=1)
