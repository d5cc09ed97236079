"""The exact cone: its geometry, both ways up, what is refused, and what happens when it would be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as fn

from convscope.inspect.attribution import RULES
from convscope.inspect.receptive_field import ReceptiveField
from convscope.nets import operations
from convscope.nets.backward import Origin
from convscope.nets.climb import Climb, Climbs
from convscope.nets.cone import Cone
from convscope.nets.data import ArrayImages
from convscope.nets.parts import parts
from convscope.nets.program import NotAProgramError, read_program
from convscope.nets.torch import Model
from convscope.nets.ways import Cones
from convscope.nets.windows import Span, cone_windows, sized

STEPS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)), max_size=6)


@given(STEPS)
def test_spans_are_receptive_fields(steps: list[tuple[int, int, int, int]]) -> None:
    field, span = ReceptiveField(), Span(1, 0, 1)
    for kernel, stride, padding, dilation in steps:
        field = field.through((kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
    for kernel, stride, padding, dilation in reversed(steps):
        span = span.below(kernel, stride, padding, dilation)
    assert (span.length, span.stride, span.start) == (field.size[0], field.stride[0], field.start[0])


@given(st.integers(1, 20), st.integers(1, 6), *[st.integers(-8, 8), st.integers(1, 9)] * 2)
def test_two_spans_together_hold_both_or_are_the_whole_map(
    size: int, stride: int, start: int, length: int, other: int, longer: int
) -> None:
    both = Span(stride, start, length).together(Span(stride, other, longer), size)
    assert both == Span(stride, other, longer).together(Span(stride, start, length), size)
    low, high = min(start, other), max(start + length, other + longer)
    assert both == (Span(0, 0, size) if high - low >= size else Span(stride, low, high - low))
    assert Span(stride, start, length).together(Span(stride + 1, other, longer), size) == Span(0, 0, size)


@given(st.integers(1, 20), *[st.integers(-8, 24), st.integers(1, 9)] * 2)
def test_spans_that_are_the_same_for_all_positions_end_where_the_map_does(
    size: int, start: int, length: int, other: int, longer: int
) -> None:
    one = Span(0, start, length).within(size)
    read = set(range(start, start + length)) & set(range(size))
    assert set(range(one.start, one.start + one.length)) == read or (not read and one.length == 1)
    assert 0 <= one.start < one.start + one.length <= size
    both = Span(0, start, length).together(Span(0, other, longer), size)
    low, high = min(start, other), max(start + length, other + longer)
    assert both == Span(0, low, high - low).within(size)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_parts_are_cut_with_what_lies_outside_filled_in(data: st.DataObject) -> None:
    height, width, h, w = (data.draw(st.integers(1, 6)) for _ in range(4))
    maps = torch.arange(2 * 3 * height * width, dtype=torch.float64).reshape(2, 3, height, width)
    tops = np.array(data.draw(st.lists(st.integers(-8, 8), min_size=4, max_size=4)))
    lefts = np.array(data.draw(st.lists(st.integers(-8, 8), min_size=4, max_size=4)))
    owner = [0, 1, 1, 0]
    found = parts(maps, owner, (tops, lefts), (h, w), -7.0)
    wide = fn.pad(maps, (20, 20, 20, 20), value=-7.0)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        assert torch.equal(found[i], wide[owner[i], :, 20 + top : 20 + top + h, 20 + left : 20 + left + w])


class Branches(nn.Module):
    """Two takers of one map, a residual sum, a concatenation, and pools whose last windows hang over the edge."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, stride=3, padding=3)
        self.norm = nn.BatchNorm2d(8)
        self.a = nn.Conv2d(8, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 8, (1, 5), padding=(0, 2), groups=2)
        self.last = nn.Conv2d(24, 6, 3, padding=2, dilation=2)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-1, 1)
            self.norm.running_var.uniform_(0.5, 2)
            self.norm.weight.uniform_(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = fn.relu(self.norm(self.stem(x)), inplace=True)
        pooled = fn.max_pool2d(x, 3, 2, 1, ceil_mode=True)
        x = fn.relu(self.a(x) + x)
        x = fn.avg_pool2d(x, 3, 2, 1, ceil_mode=True)
        return fn.relu(self.last(torch.cat([x, fn.relu6(self.b(pooled)), pooled], 1)))


def cone_of(network: nn.Module, shape: tuple[int, ...], layer: str, lrn: str = "constant") -> tuple[Model, Cone]:
    model = Model(network.double().eval(), input_shape=shape)
    tap = model._trace.map_tap(layer, model.name)
    return model, Cone.of(read_program(network, torch.rand(3, *shape, dtype=torch.float64), tap), lrn)


@pytest.mark.parametrize("rule", ["deconvnet", "guided_backprop", "gradient"])
def test_both_ways_up_give_what_the_whole_image_gives(rule: str) -> None:
    torch.manual_seed(1)
    shape = (3, 50, 41)
    model, cone = cone_of(Branches(), shape, "last")
    images = torch.rand(2, *shape, dtype=torch.float64)
    _, rows, columns = model.layer("last").maps
    places = np.array([(0, 0), (rows - 1, columns - 1), (0, columns - 1), (rows - 1, 0), (rows // 2, columns // 2)])
    owner, (y, x) = [0, 1, 1, 0, 1], places.T
    starts = cone.pixels[0].at(y), cone.pixels[1].at(x)
    with torch.no_grad():
        cut = parts(images, owner, starts, sized(cone.pixels))
        whole = cone.whole(images, [RULES[rule]])
        climbs = [
            Climb.on_cones(cone, cut, y, x),
            Climb.on_images(cone, whole, owner, y, x),
            Climbs.on_cones(cone, cut, y, x),
            Climbs.on_images(cone, whole, owner, y, x),
        ]
        for channel in range(6):
            seed = torch.zeros(5, 6, dtype=torch.float64)
            seed[:, channel] = 1
            backs = [climb.back(seed, RULES[rule]) for climb in climbs]
            for other in backs[1:]:
                torch.testing.assert_close(backs[0], other, rtol=1e-12, atol=1e-14)
            for i, at in enumerate(places):
                projected, value, _ = model.project(images[owner[i]].numpy(), "last", channel, tuple(at), rule)
                one = parts(
                    torch.tensor(projected)[None], [0], (starts[0][i : i + 1], starts[1][i : i + 1]), sized(cone.pixels)
                )
                scale = float(climbs[0].outcome[i, channel].clamp_min(0)) if RULES[rule].start == "activation" else 1.0
                scale = scale or 0.0
                if RULES[rule].start == "one" and climbs[0].outcome[i, channel] <= 0:
                    scale = 0.0  # the ReLU that follows is closed
                torch.testing.assert_close(backs[0][i].float() * scale, one[0], rtol=1e-5, atol=1e-9)
                assert value == pytest.approx(max(0.0, float(climbs[0].outcome[i, channel])), abs=1e-9)


def test_the_cone_is_the_field_until_it_is_the_image() -> None:
    network = nn.Sequential(*(nn.Conv2d(3, 3, 5, stride=2, padding=2) for _ in range(3)))
    for layer in ("0", "1", "2"):
        model, cone = cone_of(network, (3, 24, 90), layer)
        field = model.layer(layer).receptive_field
        assert sized(cone.pixels) == (min(24, field.size[0]), field.size[1])
    assert sized(cone.pixels) == (24, 29)


class Placed(nn.Module):
    def __init__(self, bend: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.bend, self.conv = bend, nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu(self.conv(self.bend(x)))


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "a constant with places": (lambda x: x + torch.linspace(0, 1, x.shape[-1], dtype=x.dtype), "add mixes positions"),
    "mirrored padding": (lambda x: fn.pad(x, (1, 1, 1, 1), mode="reflect"), "reflection_pad2d is not known"),
    "rows and columns": (lambda x: x.transpose(2, 3), "transpose mixes positions"),
    "a mean of the image": (lambda x: x - x.mean((2, 3), keepdim=True), "sub mixes positions"),
    "a shifted image": (lambda x: x[:, :, 1:-1, 1:-1], "slice mixes positions"),
    "a product of maps": (lambda x: (x + 1) * torch.sigmoid(x), "a product of two maps"),
    "its own statistics": (fn.instance_norm, "gives or takes no maps"),
    "positions decide": (lambda x: x * float(x.mean() > 0), "cannot be recorded|mixes positions"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_done_in_parts_is_done_with_whole_images_and_said(what: str) -> None:
    bend, reason = REFUSED[what]
    torch.manual_seed(0)
    model = Model(Placed(bend), input_shape=(3, 20, 20))
    images = ArrayImages(np.random.default_rng(0).integers(0, 255, (5, 20, 20, 3), np.uint8))
    top = model.top_k(images, k=3)["conv"]
    made = model.attribute(top, images)
    assert "exact cones" not in made.engine.replace("no exact cones", "")
    assert made.mismatches == 0
    np.testing.assert_allclose(made.recomputed, top.value, rtol=1e-4)
    assert re.search(reason, made.engine), made.engine


class Straight(torch.autograd.Function):
    """A sign with the derivative of the identity: what it does backwards cannot be seen in what it does forwards."""

    @staticmethod
    def forward(_, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(_, signal: Tensor) -> Tensor:
        return signal


def test_a_derivative_that_the_program_cannot_know_is_noticed() -> None:
    torch.manual_seed(0)
    model = Model(Placed(lambda x: Straight.apply(x - 0.5) + 0.1 * x), input_shape=(3, 20, 20))
    images = ArrayImages(np.random.default_rng(0).integers(0, 255, (5, 20, 20, 3), np.uint8))
    top = model.top_k(images, k=3)["conv"]
    made = model.attribute(top, images, rule="gradient")
    assert "no exact cones" in made.engine
    assert made.engine.endswith(("whole images", "aligned crops"))
    number, (y, x) = int(top.image[1, 0]), top.position[1, 0]
    whole, _, _ = model.project(images.images(number, number + 1)[0], "conv", 1, (int(y), int(x)), "gradient")
    assert np.abs(whole).max() > 0
    np.testing.assert_allclose(made.values[1, 0].transpose(2, 0, 1), whole, rtol=1e-5, atol=1e-7)


def test_a_wrong_cone_is_noticed_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Model(Branches(), input_shape=(3, 50, 41))
    images = ArrayImages(np.random.default_rng(0).integers(0, 255, (5, 50, 41, 3), np.uint8))
    top = model.top_k(images, layers=["last"], k=3)["last"]
    right = model.attribute(top, images)
    assert right.engine.startswith("exact cones")
    back = operations.Convolution.back
    monkeypatch.setattr(operations.Convolution, "back", lambda *args: [1.01 * part for part in back(*args)])
    wrong = model.attribute(top, images)
    assert "no exact cones: they gave other values than whole images" in wrong.engine
    np.testing.assert_allclose(wrong.values, right.values, rtol=1e-4, atol=1e-6 * np.abs(right.values).max())


def test_the_transpose_by_phases_is_the_transpose() -> None:
    torch.manual_seed(0)
    for kernel, stride, groups in (
        ((11, 11), (4, 4), 1),
        ((7, 5), (2, 3), 1),
        ((2, 2), (3, 3), 1),
        ((3, 3), (2, 2), 3),
    ):
        geometry = operations.Geometry(kernel, stride)
        weight = torch.rand(6, 3, *kernel, dtype=torch.float64)
        one = operations.Convolution(weight, None, geometry, groups)
        signal = torch.rand(2, 6, 5, 4, dtype=torch.float64)
        (ours,) = one.back(signal, [], None)  # type: ignore[arg-type]
        theirs = torch.conv_transpose2d(signal, weight, None, stride, 0, 0, groups)
        size = [(n - 1) * s + k for n, s, k in zip(signal.shape[-2:], stride, kernel, strict=True)]
        assert list(ours.shape[-2:]) == size
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_the_transpose_by_shifted_maps_is_the_transpose() -> None:
    torch.manual_seed(0)
    for kernel, dilation, colours in (((3, 3), (1, 1), 3), ((1, 1), (1, 1), 1), ((5, 2), (2, 3), 3)):
        weight = torch.rand(6, colours, *kernel, dtype=torch.float64)
        one = operations.Convolution(weight, None, operations.Geometry(kernel, dilation=dilation), 1)
        for size in ((50, 61), (5, 4)):  # a large map, and one too small to gain by it
            signal = torch.rand(2, 6, *size, dtype=torch.float64)
            (ours,) = one.back(signal, [], None)  # type: ignore[arg-type]
            theirs = torch.conv_transpose2d(signal, weight, None, 1, 0, 0, 1, dilation)
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_memory_of_a_cone_is_bounded_by_the_maps() -> None:
    _, cone = cone_of(nn.Sequential(*(nn.Conv2d(3, 3, 9, padding=4) for _ in range(9))), (3, 16, 16), "8")
    assert cone.values_of_one() <= 10 * 3 * 16 * 16
    windows = cone_windows(cone.program)
    assert windows.macs[0] <= windows.macs[1]


def test_what_pays_to_share_is_never_divided_into_parts_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convscope.nets.ways.VALUES_AT_ONCE", 1)  # as if no two cones fitted into memory
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)).double()
    model, cone = cone_of(network, (3, 32, 32), "1")
    way = Cones(cone, model._trace.map_tap("1", model.name), lambda _: np.zeros((3, 32, 32)), network, [])
    fewest = cone.fewest_that_share
    assert cone.shares(fewest, 1)
    assert not cone.shares(fewest - 1, 1)
    for count in (fewest, 2 * fewest + 1, 5 * fewest + 3):
        origins = [Origin(0, 0, 0, (i, 0), 7) for i in range(count)]
        batches = list(way.batches(origins))
        assert sum(map(len, batches)) == count
        assert all(cone.shares(len(batch), 1) for batch in batches)


def test_a_layer_that_does_not_depend_on_the_image_is_no_program() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)
            self.other = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) + self.other(torch.ones(x.shape))

    network = Constant()
    model = Model(network, input_shape=(3, 8, 8))
    tap = model._trace.map_tap("conv", model.name)
    with pytest.raises(NotAProgramError, match="does not depend on the image"):
        read_program(network, torch.rand(3, 3, 8, 8), replace(tap, call=("other", 1)))
