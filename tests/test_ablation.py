"""Ablation against a network whose weights are really zero, fast against plain, and killed against whole."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from torch import Tensor, nn

from convscope import Model, Run, SummaryWriter
from convscope.errors import InputError, NotFoundError
from convscope.inspect.ablation import Ablation, measuring_points
from convscope.jobs.filters import record_ablation
from convscope.nets.data import InputImages

LABELS = [0, 2, 2, 3, 0, 2, 3, 1, 1, 0, -1]
SHAPE = (3, 10, 9)


class Net(nn.Module):
    """A stem without batch norm, a residual block with it, a layer that is called twice, an in-place ReLU."""

    def __init__(self, end: str = "none") -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.inner = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.twice = nn.Conv2d(6, 6, 1)
        self.middle = nn.Linear(6, 8)
        self.head = nn.Linear(8, 4)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.stem(x))
        x = self.relu(self.norm(self.inner(x)) + x)
        x = self.twice(F.max_pool2d(self.twice(x).relu(), 2)).relu()
        x = self.head(self.middle(x.mean((2, 3))).relu())
        return x.softmax(1) if self.end == "softmax" else x


class Wayward(Net):
    """A network whose way depends on its values, so that it cannot be recorded."""

    def forward(self, x: Tensor) -> Tensor:
        said = super().forward(x)
        return said + 1 if float(said.detach().sum()) > 0 else said * 1


def net(kind: type[Net] = Net, **options: Any) -> Net:
    torch.manual_seed(3)
    made = kind(**options)
    with torch.no_grad():
        for tensor in (made.norm.weight, made.norm.bias, made.norm.running_mean):
            tensor.normal_()
        made.middle.weight *= 5
        made.head.weight *= 20
    return made.eval()


def pixels(count: int = 11) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, *SHAPE)).astype(np.float32)


def dataset() -> InputImages:
    return InputImages(pixels(), labels=LABELS)


def pruned(network: Net, layer: str, filters: list[int]) -> npt.NDArray[Any]:
    """Return the logits of a copy in which the filters are zero, and the batch norm's channels with them."""
    bare = copy.deepcopy(network)
    module = getattr(bare, layer)
    with torch.no_grad():
        for tensor in (module.weight, module.bias):
            if tensor is not None:
                tensor[filters] = 0
        if layer == "inner":
            bare.norm.weight[filters] = 0
            bare.norm.bias[filters] = 0
        return bare(torch.from_numpy(pixels())).double().numpy()


def judged(logits: npt.NDArray[Any]) -> tuple[float, float, list[float]]:
    """Return accuracy, cross-entropy and the accuracy of each class over the labelled images."""
    labels = np.array(LABELS)
    known = labels >= 0
    right = logits.argmax(1) == labels
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    return right[known].mean(), losses[known].mean(), [right[labels == number].mean() for number in range(4)]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("layer", ["stem", "inner", "twice", "middle"])
def test_every_point_is_the_network_with_zero_weights(layer: str, fast: bool) -> None:
    network = net()
    model = Model(network, input_shape=SHAPE)
    found = model.ablation(dataset(), layer, points=[1, 3, 6], single=True, random=2, batch_size=4, fast=fast)
    assert found.about["runs"] == ("behind" if fast else "whole")
    assert [curve.name for curve in found.curves] == ["least first", "most first", "random 0", "random 1"]
    importance = model.importance(dataset(), layer, measures=["taylor"])
    for row, first in enumerate(["least", "most"]):
        assert found.order[row].tolist() == importance.order("taylor", first=first).tolist()
    assert found.removed.tolist() == [0, 1, 3, 6]
    for row, order in enumerate(found.order):
        for point, count in enumerate(found.removed):
            accuracy, loss, classes = judged(pruned(network, layer, order[:count].tolist()))
            assert found.accuracy[row, point] == pytest.approx(accuracy)
            assert found.loss[row, point] == pytest.approx(loss, rel=1e-5)
            np.testing.assert_allclose(found.class_accuracy[row, point], classes)
    assert found.single is not None
    assert found.single_class is not None
    for number in range(len(found.single)):
        accuracy, _, classes = judged(pruned(network, layer, [number]))
        assert found.single[number] == pytest.approx(accuracy)
        np.testing.assert_allclose(found.single_class[number], classes)
    assert found.support.tolist() == [3, 2, 3, 2]
    assert np.ptp(found.loss) > 0.1  # something happens


def test_fast_is_the_plain_way_to_the_last_bit() -> None:
    model = Model(net(), input_shape=SHAPE)
    fast, plain = (model.ablation(dataset(), "inner", single=True, fast=how, batch_size=3) for how in (True, False))
    assert (fast.about["runs"], plain.about["runs"]) == ("behind", "whole")
    for name in ("order", "accuracy", "loss", "class_accuracy", "support", "single", "single_class"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(plain, name))


def test_a_network_that_cannot_be_recorded_runs_as_a_whole() -> None:
    found = Model(net(Wayward), input_shape=SHAPE).ablation(dataset(), "stem", points=3)
    assert found.about["runs"] == "whole"
    assert found.accuracy.shape == (3, 3)


def test_a_softmax_at_the_end_changes_nothing() -> None:
    plain, squashed = (
        Model(net(end=end), input_shape=SHAPE).ablation(dataset(), "stem", "most", importance="activation")
        for end in ("none", "softmax")
    )
    np.testing.assert_array_equal(plain.accuracy, squashed.accuracy)
    np.testing.assert_allclose(plain.loss, squashed.loss, rtol=1e-5)


def test_orders_come_from_importance_or_are_given() -> None:
    model = Model(net(), input_shape=SHAPE)
    found = model.importance(dataset(), "stem")
    by_class = model.ablation(dataset(), "stem", "least", importance=found, group="class 2", points=2)
    assert by_class.order[0].tolist() == found.order("taylor", "class 2").tolist()
    numbers = [5.0, 1, 4, 2, 3, 0]
    given = model.ablation(dataset(), "stem", ["most", "least"], importance=np.array(numbers), points=2)
    assert given.order.tolist() == [[0, 2, 4, 3, 1, 5], [5, 1, 3, 4, 2, 0]]
    own = model.ablation(dataset(), "stem", {"mine": [3, 2, 1, 0, 5, 4]}, points=2)
    assert [(curve.name, curve.measure) for curve in own.curves] == [("mine", "")]
    assert own.order.tolist() == [[3, 2, 1, 0, 5, 4]]


@pytest.mark.parametrize("fast", [True, False])
def test_the_network_is_left_as_it_was_whatever_interrupts(fast: bool) -> None:
    network = net().train()
    network.stem.weight.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    before = copy.deepcopy(network.state_dict())

    def stop(done: int, _: int) -> None:
        if done > 4:
            raise KeyboardInterrupt

    model = Model(network, input_shape=SHAPE)
    with pytest.raises(KeyboardInterrupt):
        model.ablation(dataset(), "inner", "random", batch_size=3, fast=fast, progress=stop)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert [p.requires_grad for p in network.parameters()] == [False] + [True] * 10
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_killed_it_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    model = Model(net(), input_shape=SHAPE)
    file = tmp_path / "state"
    seen: list[int] = []

    def stop(done: int, _: int) -> None:
        seen.append(done)
        if done == 6:
            raise KeyboardInterrupt

    def asked(**more: Any) -> Ablation:
        return model.ablation(dataset(), "inner", "random", batch_size=3, single=True, **more)

    with pytest.raises(KeyboardInterrupt):
        asked(checkpoint=file, progress=stop)
    resumed = asked(checkpoint=file, progress=lambda done, _: seen.append(done))
    whole = asked()
    assert seen == list(range(1, 12))  # a share of a batch counts, but only whole batches are kept
    for name in ("accuracy", "loss", "class_accuracy", "single"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    with pytest.raises(InputError, match=r"belongs to another pass \(orders differs\)"):
        asked(checkpoint=file, seed=1)
    with torch.no_grad():
        model.network.head.weight += 1
    with pytest.raises(InputError, match=r"belongs to another pass \(network differs\)"):
        asked(checkpoint=file)


def test_points_are_even_or_given() -> None:
    assert measuring_points(6, 65).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert len(measuring_points(1000, 65)) == 65
    assert measuring_points(10, [7, 2]).tolist() == [0, 2, 7]
    assert measuring_points(10, np.int64(2)).tolist() == [0, 10]
    for wrong in (1, [11], [-1], [0.5]):
        with pytest.raises(InputError):
            measuring_points(10, wrong)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"order": "lest"}, "did you mean 'least'"),
        ({"order": []}, "no order of filters was given"),
        ({"order": {"x": [0, 0, 1, 2, 3, 4]}}, "the order 'x' is not a permutation of the layer's 6 filters"),
        ({"importance": "tailor"}, "did you mean 'taylor'"),
        ({"importance": np.ones(5)}, "one number for each filter"),
        ({"importance": np.full(6, np.nan)}, "group 0 has no importance of a filter, for it has no images"),
        ({"seed": -1}, "are counted from 0, got random=1 and seed=-1"),
        ({"layer": "norm"}, "has no filters"),
        ({"dataset": pixels()}, "have no labels, so right and wrong cannot be told apart"),
        ({"dataset": InputImages(pixels(2), labels=[0, 4])}, r"has a class 4, the network tells 0\.\.3 apart"),
    ],
)
def test_what_cannot_be_asked_is_said(asked: dict[str, Any], sentence: str) -> None:
    images, layer = asked.pop("dataset", dataset()), asked.pop("layer", "stem")
    with pytest.raises((InputError, NotFoundError), match=sentence):
        Model(net(), input_shape=SHAPE).ablation(images, layer, **asked)


def test_the_record_holds_the_curves(tmp_path: Path) -> None:
    model = Model(net(), input_shape=SHAPE)
    with SummaryWriter(tmp_path) as writer:
        found = record_ablation(model, dataset(), writer, layer="stem", points=4, single=True)
    run = Run(tmp_path)
    stored = run.record(run.entries("ablation")[0])
    for name in ("order", "removed", "accuracy", "class_accuracy", "loss", "support", "single", "single_class"):
        np.testing.assert_array_equal(stored.arrays()[name], getattr(found, name))
    assert [curve["name"] for curve in stored.meta["curves"]] == ["least first", "most first", "random"]
    assert stored.meta["curves"][2] == {"name": "random", "measure": "random", "seed": 0}
    assert [one["class"] for one in stored.meta["classes"]] == [0, 1, 2, 3]
    assert (stored.meta["images"], stored.meta["zeroed"]) == (10, ["stem"])
