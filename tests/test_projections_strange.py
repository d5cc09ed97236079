"""Networks that are awkward to run in parts: exact on cones where that is possible, and otherwise it is said why not.

The whole image's way back is autograd's alone, and knows nothing of programs, windows and cones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from convscope.inspect.topk import TopK
from convscope.nets import ways
from convscope.nets.cone import Cone
from convscope.nets.data import InputImages
from convscope.nets.torch import Model

Forward = Callable[..., Tensor]


class Net(nn.Module):
    """Two convolutions, and what comes between them or around them."""

    def __init__(self, forward: Forward, **layers: nn.Module) -> None:
        super().__init__()
        self.way = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


def conv(*given: int | tuple[int, int], **options: object) -> nn.Conv2d:
    return nn.Conv2d(*given, **options)  # type: ignore[arg-type]


def between(step: Callable[[Tensor], Tensor], padding: int = 1) -> Callable[[], nn.Module]:
    """Return two convolutions with a step between them; ``b`` is the layer that is looked at."""
    return lambda: Net(lambda net, x: net.b(step(net.a(x))), a=conv(3, 4, 3, padding=padding), b=conv(4, 3, 3))


def written_into(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 1:3].relu_()
    return x


def two_paths(net: nn.Module, x: Tensor) -> Tensor:
    return net.b(fn.relu(net.a(x)))[:, :, :7, :7] + net.c(x)[:, :, :7, :7]


def crossing(net: nn.Module, x: Tensor) -> Tensor:
    x = net.a(x)
    return net.b(torch.cat([fn.max_pool2d(x, 3, 1, 1), net.c(x)], 1))


MEANS = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)[:, None, None]

ON_CONES: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "strides larger than kernels": (
        lambda: nn.Sequential(conv(3, 4, 2, stride=3), nn.ReLU(), nn.MaxPool2d(2, 3, ceil_mode=True), conv(4, 3, 2)),
        (3, 44, 43),
    ),
    "padding of more than half a kernel": (
        lambda: nn.Sequential(conv(3, 4, 3, padding=4), nn.ReLU(), conv(4, 4, 1, padding=3), nn.ReLU(), conv(4, 3, 3)),
        (3, 9, 12),
    ),
    "fields larger than the image": (
        lambda: nn.Sequential(conv(3, 4, 7, padding=3), nn.ReLU(), conv(4, 4, 7, padding=3), nn.ReLU(), conv(4, 3, 3)),
        (3, 8, 9),
    ),
    "a map of one position": (lambda: nn.Sequential(conv(3, 4, 5), nn.ReLU(), conv(4, 3, 4)), (3, 8, 8)),
    "an image of one pixel": (lambda: nn.Sequential(conv(3, 4, 1), nn.ReLU(), conv(4, 3, 1)), (3, 1, 1)),
    "an image of one row": (
        lambda: nn.Sequential(
            conv(1, 4, (1, 5), stride=(1, 2)), nn.ReLU(), nn.MaxPool2d((1, 3), (1, 2)), conv(4, 3, (1, 3))
        ),
        (1, 1, 60),
    ),
    "one channel": (lambda: nn.Sequential(conv(1, 1, 3, padding=1), nn.ReLU(), conv(1, 1, 3)), (1, 17, 8)),
    "a grouped stem": (
        lambda: nn.Sequential(
            conv(3, 6, 3, groups=3, stride=2), nn.ReLU(), conv(6, 6, 3, groups=6), nn.ReLU(), conv(6, 4, 3, groups=2)
        ),
        (3, 22, 25),
    ),
    "a first layer": (lambda: nn.Sequential(conv(3, 4, 5, stride=2, padding=2)), (3, 22, 25)),
    "nothing but linear steps": (
        lambda: nn.Sequential(conv(3, 4, 3, padding=1), conv(4, 4, 3, stride=2), nn.AvgPool2d(3, 2, 1), conv(4, 3, 2)),
        (3, 22, 25),
    ),
    "even kernels that keep the size": (
        lambda: nn.Sequential(conv(3, 6, 4, padding="same"), nn.ReLU(), conv(6, 3, (2, 3), padding="same", dilation=2)),
        (3, 12, 13),
    ),
    "computed weights": (
        lambda: nn.Sequential(weight_norm(conv(3, 6, 3)), nn.ReLU(), spectral_norm(conv(6, 3, 3, padding=1))),
        (3, 12, 13),
    ),
    "normalised inside by constants": (
        lambda: Net(lambda net, x: net.b(fn.relu(net.a((x - MEANS) / 0.5))), a=conv(3, 4, 3), b=conv(4, 3, 3)),
        (3, 16, 15),
    ),
    "branches on the shape": (
        lambda: Net(
            lambda net, x: net.b(fn.relu(net.a(x) if x.shape[-1] > 10 else -net.a(x))), a=conv(3, 4, 3), b=conv(4, 3, 3)
        ),
        (3, 24, 24),
    ),
    "a map taken twice": (between(lambda x: fn.relu(x + x) + x * x), (3, 16, 13)),
    "a sum over channels": (between(lambda x: x - fn.relu(x).sum(1, keepdim=True)), (3, 16, 13)),
    "a share of another map": (between(lambda x: fn.relu(torch.add(x, fn.relu(x), alpha=-0.5))), (3, 16, 13)),
    "infinite padding": (
        between(lambda x: fn.max_pool2d(fn.pad(x, (1, 2, 0, 1), value=-torch.inf), 3, 2)),
        (3, 17, 14),
    ),
    "padding and cutting at once": (between(lambda x: fn.pad(fn.relu(x), (-2, 1, 2, -1), value=0.5)), (3, 17, 14)),
    "powers of maxima": (between(lambda x: fn.relu(fn.max_pool2d(x, 3, 2, 1) ** 2)), (3, 17, 14)),
    "logarithms": (between(lambda x: torch.log(fn.relu(x) + 1e-3)), (3, 14, 14)),
    "one map for a pooling and a convolution": (
        lambda: Net(crossing, a=conv(3, 4, 3, padding=1), c=conv(4, 4, 3, padding=1), b=conv(8, 3, 3, padding=1)),
        (3, 30, 31),
    ),
}

NOT_ON_CONES: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], str]] = {
    "where": (between(lambda x: torch.where(x > 0, x, torch.zeros_like(x))), (3, 16, 13), "where"),
    "a mask": (between(lambda x: x * (x > 0)), (3, 16, 13), "gt"),
    "maximum": (between(lambda x: torch.maximum(x, torch.zeros((), dtype=x.dtype))), (3, 16, 13), "maximum"),
    "a gate": (between(lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True))), (3, 16, 13), "mixes positions"),
    "a gate for each position": (between(lambda x: x * torch.sigmoid(x.mean(1, keepdim=True))), (3, 16, 13), "product"),
    "instance norm": (between(lambda x: fn.instance_norm(fn.relu(x))), (3, 16, 13), "no maps"),
    "group norm": (between(lambda x: fn.group_norm(fn.relu(x), 2)), (3, 16, 13), "group_norm"),
    "rows and columns exchanged": (between(lambda x: fn.relu(x).transpose(2, 3)), (3, 14, 14), "mixes positions"),
    "channels made rows": (
        lambda: Net(lambda net, x: net.b(net.a(x).permute(0, 2, 1, 3)), a=conv(3, 12, 3), b=conv(12, 3, 3)),
        (3, 14, 14),
        "mixes positions",
    ),
    "a shape that only happens to fit": (
        between(lambda x: fn.relu(x).permute(0, 2, 3, 1).reshape(x.shape)),
        (3, 14, 14),
        "mixes positions",
    ),
    "mirrored": (between(lambda x: fn.relu(x).flip(3)), (3, 14, 14), "flip"),
    "shifted": (between(lambda x: fn.relu(x).roll(1, 3)), (3, 14, 14), "roll"),
    "knows where it is": (
        between(lambda x: fn.relu(x + torch.linspace(0, 1, x.shape[-1], dtype=x.dtype))),
        (3, 14, 14),
        "mixes positions",
    ),
    "a part written in place": (between(written_into), (3, 14, 14), "slice_scatter"),
    "normalised inside by its own statistics": (
        lambda: Net(
            lambda net, x: net.b(fn.relu(net.a((x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)))),
            a=conv(3, 4, 3),
            b=conv(4, 3, 3),
        ),
        (3, 16, 15),
        "mixes positions",
    ),
    "channels folded into the images": (
        between(lambda x: fn.avg_pool2d(fn.relu(x).reshape(-1, 1, *x.shape[2:]), 3, 1, 1).reshape(x.shape)),
        (3, 14, 14),
        "",
    ),
    "bounds that are tensors": (
        between(lambda x: x.clamp(torch.zeros(4, 1, 1, dtype=x.dtype), torch.full((4, 1, 1), 6.0, dtype=x.dtype))),
        (3, 14, 14),
        "",
    ),
    "two paths of different stride": (
        lambda: Net(two_paths, a=conv(3, 4, 3, stride=2), b=conv(4, 3, 3, stride=2), c=conv(3, 3, 3, stride=4)),
        (3, 33, 33),
        "",
    ),
}


def placed(make: Callable[[], nn.Module], shape: tuple[int, int, int]) -> tuple[Model, InputImages, TopK]:
    """Return a network with images and a result of a search that stands at corners, borders and inside."""
    torch.manual_seed(0)
    model = Model(make().double(), input_shape=shape)
    images = InputImages(np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32))
    layer = [one.name for one in model.layers if one.kind.endswith("Conv2d") and one.name][-1]
    layer = "b" if isinstance(model.network, Net) else layer
    maps = model.activations(images.images(0, 2), layer)
    rows, columns = maps.shape[2:]
    places = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)]
    found = model.top_k(images, layers=[layer], k=len(places))[layer]
    each = (found.channels, len(places))
    value = np.stack([maps[rank % 2, :, y, x] for rank, (y, x) in enumerate(places)], axis=1)
    return (
        model,
        images,
        replace(
            found,
            image=np.broadcast_to(np.arange(len(places)) % 2, each).copy(),
            position=np.broadcast_to(np.array(places, np.int32), (*each, 2)).copy(),
            value=value.astype(np.float32),
        ),
    )


def compare(model: Model, images: InputImages, top: TopK, rule: str) -> str:
    """Compare a layer's projections with those of whole images, and return what is said of how they were made."""
    ours = model.attribute(top, images, rule=rule, channels=[0])
    assert ours.mismatches == 0
    wholes = np.zeros(ours.values.shape[1:])
    for rank in range(top.k):
        number, (y, x) = int(top.image[0, rank]), (int(v) for v in top.position[0, rank])
        whole, value, report = model.project(images.images(number, number + 1), top.layer, 0, (y, x), rule)
        assert ours.recomputed[0, rank] == pytest.approx(value, rel=2e-7, abs=1e-9)
        assert report == ours.report
        y0, x0, y1, x1 = ours.box[0, rank]
        wide = np.pad(whole, ((0, 0), (99, 99), (99, 99)))[:, y0 + 99 : y1 + 99, x0 + 99 : x1 + 99]
        wholes[rank] = wide.transpose(1, 2, 0)
        assert np.abs(wide).sum() == pytest.approx(np.abs(whole).sum())
    assert wholes.any()
    np.testing.assert_allclose(ours.values[0], wholes, rtol=1.2e-7, atol=1e-10 * np.abs(wholes).max())
    return ours.engine


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", ON_CONES)
def test_on_cones_as_from_whole_images(name: str, shared: bool, alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cone, "shares", lambda *_: shared)
    monkeypatch.setattr(ways, "ALONE", 0 if alone else ways.ALONE)
    model, images, top = placed(*ON_CONES[name])
    for rule in ("deconvnet", "gradient_x_input"):
        said = compare(model, images, top, rule)
        assert re.fullmatch("exact cones" + r", \d images? passed once for all their positions" * shared, said)


@pytest.mark.parametrize("name", NOT_ON_CONES)
def test_what_cannot_be_run_in_parts_is_exact_too_and_it_is_said_why(name: str) -> None:
    make, shape, reason = NOT_ON_CONES[name]
    for rule in ("deconvnet", "guided_backprop"):
        said = compare(*placed(make, shape), rule)
        assert reason in said
        assert said.endswith(("whole images", "aligned crops")) or not reason


def test_one_image_is_enough() -> None:
    model, images, top = placed(*ON_CONES["a grouped stem"])
    alone = InputImages(images.images(1, 2))
    again = replace(top, image=np.zeros_like(top.image))
    channel = replace(again, value=_values(model, alone, again))
    assert compare(model, alone, channel, "deconvnet").startswith("exact cones")


def _values(model: Model, images: InputImages, top: TopK) -> np.ndarray:
    maps = model.activations(images.images(0, 1), top.layer)[0]
    y, x = top.position[..., 0], top.position[..., 1]
    return maps[np.arange(top.channels)[:, None], y, x].astype(np.float32)
