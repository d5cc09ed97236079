"""The importance of filters against its definitions written plainly, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from convscope import Model, Run, SummaryWriter
from convscope.errors import InputError, NotFoundError
from convscope.inspect.groups import ALL, Group
from convscope.inspect.importance import MEASURES, Importance, ranked
from convscope.nets.data import ArrayImages, InputImages


class Net(nn.Module):
    """A convolution with batch norm and a ReLU in place, and one with a functional ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 5, 3)
        self.head = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        return self.head(F.relu6(self.second(x), inplace=True).mean((2, 3)))


def net() -> Net:
    torch.manual_seed(0)
    made = Net().double()
    with torch.no_grad():
        for tensor in (made.norm.weight, made.norm.bias, made.norm.running_mean):
            tensor.normal_()
        made.second.weight *= 6  # some values lie beyond 6
    return made.eval()


def images(count: int = 7) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, 3, 10, 9)).astype(np.float32)


LABELS = [0, 2, 2, 3, 0, 2, 3]


def plainly(network: Net, image: npt.NDArray[Any], layer: str, number: int) -> dict[str, npt.NDArray[Any]]:
    """Return each measure of one image, for a class, from the definitions."""
    batch = torch.from_numpy(image[None]).double()
    first = F.relu(network.norm(network.first(batch)))
    second = F.relu6(network.second(first))
    logits = network.head(second.mean((2, 3)))
    maps, weight = (first, network.first.weight) if layer == "first" else (second, network.second.weight)
    loss = -logits.log_softmax(1)[0, number]
    (slope,) = torch.autograd.grad(loss, maps, retain_graph=True)
    (gradient,) = torch.autograd.grad(logits[0, number], weight, retain_graph=True)
    found = {
        "gradient_norm": gradient.flatten(1).square().sum(1).sqrt(),
        "activation": maps[0].mean((1, 2)),
        "taylor": (maps * slope)[0].mean((1, 2)).abs(),
    }
    return {name: value.detach().numpy() for name, value in found.items()}


@pytest.mark.parametrize("layer", ["first", "second"])
def test_each_measure_is_its_definition_averaged_over_the_images_of_a_class(layer: str) -> None:
    network, pixels = net(), images()
    dataset = InputImages(pixels, labels=LABELS)
    found = Model(network, input_shape=(3, 10, 9)).importance(dataset, layer, batch_size=3)
    each = [plainly(network, image, layer, label) for image, label in zip(pixels, LABELS, strict=True)]
    assert [group.of_class for group in found.groups] == [ALL, 0, 2, 3]
    assert [group.images for group in found.groups] == [7, 2, 3, 2]
    for measure in MEASURES:
        for row, number in enumerate([ALL, 0, 2, 3]):
            own = [one[measure] for one, label in zip(each, LABELS, strict=True) if number in (ALL, label)]
            np.testing.assert_allclose(found.of(measure, row), np.mean(own, axis=0), rtol=1e-5, atol=1e-9)
    assert found.importance.max() > 0


def test_without_labels_every_image_counts_for_every_class() -> None:
    network, pixels = net(), images(4)
    model = Model(network, input_shape=(3, 10, 9))
    found = model.importance(pixels, "second", [3, 1], measures=["taylor"], batch_size=2)
    best = model.logits(pixels).argmax(1)
    rows = {
        ALL: [plainly(network, image, "second", int(one))["taylor"] for image, one in zip(pixels, best, strict=True)],
        3: [plainly(network, image, "second", 3)["taylor"] for image in pixels],
        1: [plainly(network, image, "second", 1)["taylor"] for image in pixels],
    }
    assert [group.of_class for group in found.groups] == list(rows)
    for row, values in enumerate(rows.values()):
        np.testing.assert_allclose(found.of("taylor", row), np.mean(values, axis=0), rtol=1e-5, atol=1e-9)


def test_unknown_classes_count_in_nothing() -> None:
    pixels = images()
    some = InputImages(pixels, labels=[0, -1, 2, -1, 0, 2, 3])
    fewer = InputImages(pixels[[0, 2, 4, 5, 6]], labels=[0, 2, 0, 2, 3])
    model = Model(net(), input_shape=(3, 10, 9))
    np.testing.assert_allclose(
        model.importance(some, "first").importance, model.importance(fewer, "first").importance, rtol=1e-5
    )


def test_it_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    model = Model(net(), input_shape=(3, 10, 9))
    dataset = InputImages(images(), labels=LABELS)
    file = tmp_path / "state"
    seen: list[int] = []

    def stop(done: int, _: int) -> None:
        seen.append(done)
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.importance(dataset, "first", batch_size=2, checkpoint=file, progress=stop)
    resumed = model.importance(
        dataset, "first", batch_size=2, checkpoint=file, progress=lambda done, _: seen.append(done)
    )
    assert seen == [2, 4, 6, 7]
    np.testing.assert_array_equal(resumed.importance, model.importance(dataset, "first", batch_size=2).importance)
    with pytest.raises(InputError, match="belongs to another pass"):
        model.importance(dataset, "second", batch_size=2, checkpoint=file)


def test_classes_of_the_images_are_matched_to_the_outputs() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (4, 10, 9, 3), np.uint8)
    model = Model(net(), input_shape=(3, 10, 9))
    two = ArrayImages(pictures, labels=[0, 1, 1, 0], label_names=("cat", "dog"), name="animals")
    with pytest.raises(InputError, match=r"2 classes and the network 4 outputs; say with targets \(--targets\)"):
        model.importance(two, "first")
    found = model.importance(two, "first", targets=[3, 1])
    assert [(group.of_class, group.name, group.images) for group in found.groups] == [
        (ALL, "all classes", 4),
        (1, "dog", 2),
        (3, "cat", 2),
    ]
    numbered = ArrayImages(pictures, labels=[0, 1, 1, 0], label_names=("3", "1"))
    np.testing.assert_array_equal(model.importance(numbered, "first").importance, found.importance)
    for wrong in ([3], [3, 4], [-1, 2]):
        with pytest.raises(InputError, match="targets are the network's output for each of the 2 classes"):
            model.importance(two, "first", targets=wrong)
    with pytest.raises(InputError, match=r"has a class 9, the network tells 0\.\.3 apart"):
        model.importance(ArrayImages(pictures, labels=[0, 9, 1, 0]), "first")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"measures": ["tailor"]}, "did you mean 'taylor'"),
        ({"measures": []}, "no measure was given"),
        ({"classes": [4]}, r"no class 4; the network tells 0\.\.3 apart"),
        ({"layer": "norm"}, "has no filters"),
    ],
)
def test_what_cannot_be_asked_is_said(asked: dict[str, Any], sentence: str) -> None:
    layer = asked.pop("layer", "first")
    with pytest.raises((InputError, NotFoundError), match=sentence):
        Model(net(), input_shape=(3, 10, 9)).importance(images(), layer, **asked)


@given(st.lists(st.floats(-9, 9) | st.just(float("nan")), min_size=1, max_size=20), st.booleans())
def test_an_order_is_a_permutation_that_sorts(values: list[float], most: bool) -> None:
    array = np.array(values)
    order = ranked(array, most=most)
    assert sorted(order.tolist()) == list(range(len(values)))
    sorted_ = np.where(np.isnan(array), -np.inf, array)[order]
    ahead, behind = (sorted_[1:], sorted_[:-1]) if most else (sorted_[:-1], sorted_[1:])
    assert (ahead <= behind).all()


def test_the_record_holds_it(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    rows = (Group("all classes", ALL, "all classes", 9), Group("cat", 1, "cat", 4))
    found = Importance(values, ("activation", "taylor"), rows, layer="conv", network="n", dataset="d", images=9)
    with SummaryWriter(tmp_path) as writer:
        writer.add(found, "conv")
    run = Run(tmp_path)
    stored = run.record(run.entries("importance")[0])
    np.testing.assert_array_equal(stored.arrays()["importance"], values)
    assert stored.meta["measures"] == ["activation", "taylor"]
    assert [(group["name"], group["class"], group["images"]) for group in stored.meta["groups"]] == [
        ("all classes", -1, 9),
        ("cat", 1, 4),
    ]
    assert found.order("taylor", "cat").tolist() == [0, 1, 2]
    for wrong in (("tailor", 0), ("taylor", "cats"), ("taylor", 2)):
        with pytest.raises((NotFoundError, InputError)):
            found.of(*wrong)
