"""Receptive fields: the formula, what a network's graph says, and where the gradient really lands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as fn

from convscope.inspect.receptive_field import ReceptiveField
from convscope.nets.torch import Model


def test_alexnet_sees_what_the_paper_says() -> None:
    model = Model("alexnet", weights="random")
    convolutions = [layer for layer in model.layers if layer.kind == "Conv2d"]
    assert [layer.receptive_field.size for layer in convolutions] == [(n, n) for n in (11, 51, 99, 131, 163)]
    assert [layer.receptive_field.stride[0] for layer in convolutions] == [4, 8, 16, 16, 16]
    assert [layer.receptive_field.start[0] for layer in convolutions] == [-2, -18, -34, -50, -66]
    assert model.layer("classifier.1").receptive_field.reason == "flattened"


def _vgg16() -> nn.Sequential:
    plan = [4, 4, 0, 8, 8, 0, 8, 8, 8, 0, 8, 8, 8, 0, 8, 8, 8, 0]
    layers: list[nn.Module] = []
    depth = 3
    for width in plan:
        layers += [nn.MaxPool2d(2)] if not width else [nn.Conv2d(depth, width, 3, padding=1), nn.ReLU(inplace=True)]
        depth = width or depth
    return nn.Sequential(*layers)


def test_vgg16() -> None:
    layers = Model(_vgg16(), input_shape=(3, 64, 64)).layers
    sizes = [layer.receptive_field.size[0] for layer in layers if layer.kind != "ReLU"]
    assert sizes == [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]


class Block(nn.Module):
    """A residual block with dilation, functional ReLUs and an uneven field."""

    def __init__(self, dilation: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, (5, 3), stride=2, padding=(2, 1), bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.a = nn.Conv2d(4, 4, 3, padding=dilation, dilation=dilation)
        self.b = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.short = nn.Conv2d(4, 4, 1, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = fn.relu(self.norm(self.stem(x)))
        return fn.relu(self.b(fn.relu(self.a(x))) + self.short(x))


class Inception(nn.Module):
    """Branches that meet in a concatenation, an asymmetric padding, and a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(2, 3, 1)
        self.five = nn.Conv2d(2, 3, 5, padding=2, groups=1)
        self.even = nn.Conv2d(6, 3, 4, padding="same")
        self.last = nn.Conv2d(3, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = fn.max_pool2d(torch.cat([self.one(x), self.five(x)], 1).relu_(), 3, 2, 1)
        x = self.even(fn.pad(x, (2, 0, 1, 0)))[:, :, 1:, 2:]
        return self.last(x).clamp(min=0)


class Shuffle(nn.Module):
    """Groups whose channels are shuffled by views, local response normalisation, and average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, groups=2)
        self.norm = nn.LocalResponseNorm(3)
        self.pool = nn.AvgPool2d(2)
        self.halve = nn.AdaptiveAvgPool2d(5)
        self.b = nn.Conv2d(4, 4, 2, groups=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.norm(fn.relu6(self.a(x))))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.b(self.halve(x))


def _support(network: nn.Module, shape: tuple[int, int, int], layer: str, y: int, x: int) -> tuple[int, int, int, int]:
    """Where the gradient of a position lands when all weights are positive: the slow truth."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)
    seen: list[torch.Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *a: seen.append(a[2]))
    total = np.zeros(shape[1:])
    # several images, because a max-pool passes the gradient to one place of its window only
    images = torch.rand(200, *shape, requires_grad=True)
    network.eval()(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(seen[0][:, :, y, x].sum(), images)
    total += gradient.abs().sum((0, 1)).numpy()
    rows, columns = np.flatnonzero(total.any(1)), np.flatnonzero(total.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


@pytest.mark.parametrize(
    ("network", "shape", "layer"),
    [
        (Block(), (2, 31, 29), "stem"),
        (Block(), (2, 31, 29), "a"),
        (Block(), (2, 31, 29), "b"),
        (Block(3), (2, 31, 29), "b"),
        (Inception(), (2, 24, 25), "five"),
        (Inception(), (2, 24, 25), "even"),
        (Inception(), (2, 24, 25), "last"),
        (Shuffle(), (2, 22, 22), "norm"),
        (Shuffle(), (2, 22, 22), "b"),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")
def test_box_is_where_the_gradient_lands(network: nn.Module, shape: tuple[int, int, int], layer: str) -> None:
    torch.manual_seed(0)
    found = Model(network, input_shape=shape).layer(layer)
    _, rows, columns = found.maps
    assert not found.receptive_field.is_global
    for y, x in [(0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1), (0, columns - 1)]:
        assert found.receptive_field.box(y, x, *shape[1:]) == _support(network, shape, layer, y, x)


def test_the_whole_block_is_the_union_of_its_branches() -> None:
    model = Model(Block(), input_shape=(2, 31, 29))
    # stem 5×3/2, a: 4 more positions of 2 pixels each side, b: one more on each side
    assert model.layer(".network").receptive_field.size == (5 + 8 + 4, 3 + 8 + 4)
    assert model.layer("short").receptive_field.size == (5, 3)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 2, 3, padding=1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Conv2d(2, 2, 1)
        self.after = nn.Conv2d(2, 2, 3)
        self.up = nn.ConvTranspose2d(2, 2, 2, 2)
        self.group = nn.GroupNorm(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        y = self.up(x)
        z = self.group(x)
        x = self.after(x * torch.sigmoid(self.gate(self.squeeze(x))))
        return x.mean() + y.mean() + z.mean()


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("squeeze", "global pooling"),
        ("gate", "global pooling"),
        ("after", "global pooling"),
        ("up", "transposed convolution"),
        ("group", "group norm"),
    ],
)
def test_global_operations_see_the_whole_image_and_say_why(layer: str, reason: str) -> None:
    model = Model(Gate(), input_shape=(1, 12, 10))
    field = model.layer(layer).receptive_field
    assert field.is_global
    assert reason in field.reason
    assert field.box(1, 1, 12, 10) == (0, 0, 12, 10)
    assert not model.layer("a").receptive_field.is_global


class Custom(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x.flip(2)

    @staticmethod
    def backward(ctx: object, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0].flip(2)


class Unknown(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(Custom.apply(x))


def test_an_unknown_operation_is_never_guessed_to_be_local() -> None:
    field = Model(Unknown(), input_shape=(1, 8, 8)).layer("a").receptive_field
    assert field.is_global
    assert "not known to be local" in field.reason


def test_branches_of_different_strides_are_said() -> None:
    fine, coarse = ReceptiveField((3, 3), (1, 1), (0, 0)), ReceptiveField((3, 3), (2, 2), (0, 0))
    meeting = fine.union(coarse, (9, 9))
    assert meeting.is_global
    assert "(1, 1) and (2, 2)" in meeting.reason


steps = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3))


@given(st.lists(steps, max_size=5), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_the_formula_is_the_set_of_pixels_followed_back(chain: list[tuple[int, int, int, int]], position: int) -> None:
    field = ReceptiveField()
    for kernel, stride, padding, dilation in chain:
        field = field.through((kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
    seen = {position}
    for kernel, stride, padding, dilation in reversed(chain):
        seen = {p * stride - padding + dilation * i for p in seen for i in range(kernel)}
    y0, _, y1, _ = field.box(position, 0, 1, 1, clip=False)
    assert (y0, y1) == (min(seen), max(seen) + 1)


def test_boxes_are_cut_at_the_border_only_when_asked() -> None:
    field = ReceptiveField((11, 11), (4, 4), (-2, -2))
    assert field.box(0, 54, 224, 224) == (0, 214, 9, 224)
    assert field.box(0, 54, 224, 224, clip=False) == (-2, 214, 9, 225)
    assert field.to_json() == {"size": [11, 11], "stride": [4, 4], "start": [-2, -2], "reason": "", "extent": None}


class Step(nn.Module):
    """One step between the image and a convolution."""

    def __init__(self, step: Callable[[Tensor], Tensor], kernel: int | tuple[int, int], **options: int | str) -> None:
        super().__init__()
        self.step = step
        self.last = nn.Conv2d(2, 2, kernel, **options)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.step(x))


def _inside(network: nn.Module, shape: tuple[int, int, int]) -> tuple[ReceptiveField, int]:
    """Check the field of the layer "last" against every position's gradient; also say how many boxes are tight."""
    torch.manual_seed(0)
    found = Model(network, input_shape=shape).layer("last")
    _, rows, columns = found.maps
    tight = 0
    for y, x in np.ndindex(rows, columns):
        box = found.receptive_field.box(y, x, *shape[1:])
        truth = _support(network, shape, "last", y, x)
        assert box[0] <= truth[0], (y, x, box, truth)
        assert box[1] <= truth[1], (y, x, box, truth)
        assert box[2] >= truth[2], (y, x, box, truth)
        assert box[3] >= truth[3], (y, x, box, truth)
        tight += box == truth
    return found.receptive_field, tight


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_a_centred_kernel_sees_what_its_padding_mirrors_anyway(mode: str) -> None:
    field, tight = _inside(Step(lambda x: x, 5, padding=2, padding_mode=mode), (2, 9, 8))
    assert field == ReceptiveField((5, 5), (1, 1), (-2, -2))
    assert tight == 72


@pytest.mark.parametrize(
    ("pad", "kernel"), [((3, 3, 3, 3), 3), ((3, 0, 3, 0), 4), ((5, 0, 4, 1), 3), ((1, 2, 1, 2), 4), ((2, 2, 0, 0), 1)]
)
@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_mirrored_pixels_lie_inside_the_field(mode: str, pad: tuple[int, ...], kernel: int) -> None:
    field, _ = _inside(Step(lambda x: fn.pad(x, pad, mode=mode), kernel), (2, 9, 8))
    assert not field.is_global


def test_a_negative_padding_cuts_off() -> None:
    field, tight = _inside(Step(lambda x: fn.pad(x, (-2, 1, -1, 0)), 3), (2, 9, 8))
    assert field == ReceptiveField((3, 3), (1, 1), (1, 2))
    assert tight == 30


def test_a_mirroring_padding_before_a_pool_or_far_before_a_kernel() -> None:
    _inside(Step(lambda x: fn.avg_pool2d(fn.pad(x, (2, 2, 2, 2), mode="reflect"), 3, 2), 2), (2, 10, 9))
    _inside(Step(lambda x: fn.relu(fn.pad(x, (2, 2, 2, 2), mode="reflect")), 5), (2, 8, 7))


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x * torch.sigmoid(fn.avg_pool2d(x, 8, stride=1)),
        lambda x: x + x[:, :, :1, :1],
        lambda x: x + fn.avg_pool2d(x, (1, 8), stride=1),
        lambda x: torch.where(x > 0, x, x[:, :, :, 2:3]),
    ],
)
def test_what_is_spread_over_the_map_is_seen_from_everywhere(step: Callable[[Tensor], Tensor]) -> None:
    field, _ = _inside(Step(step, 1), (2, 8, 8))
    assert field.reason == "spread over the map"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda x: fn.conv1d(x.flatten(0, 1), torch.ones(8, 8, 3), padding=1)[None], "convolution in 1D"),
        (lambda x: fn.conv2d(x, x[:, :, :3, :3].transpose(0, 1), groups=2), "weights depend on the image"),
        (lambda x: fn.conv_transpose2d(x, torch.ones(2, 2, 3, 3)), "transposed convolution"),
    ],
)
def test_the_reason_of_a_convolution_is_the_true_one(step: Callable[[Tensor], Tensor], reason: str) -> None:
    assert reason in Model(Step(step, 2), input_shape=(2, 8, 8)).layer("last").receptive_field.reason
