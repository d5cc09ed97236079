"""Proof figures: their definitions by hand, what they say of networks made for it, and that every way agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from convscope.errors import InputError
from convscope.inspect.proof import PROOF, cosines, lost, marked
from convscope.inspect.topk import TopK
from convscope.nets import projecting
from convscope.nets.data import ArrayImages
from convscope.nets.program import NotAProgramError
from convscope.nets.torch import Model

SIZE = 32


# below 1e-300 a tenth of a number has fewer digits than the number
NUMBERS = st.floats(-9, 9).map(lambda value: value if abs(value) > 1e-300 else 0.0)


@given(arrays(np.float64, (3, 4), elements=NUMBERS), st.floats(0.1, 9))
def test_cosines_are_of_directions(a: np.ndarray, scale: float) -> None:
    found = cosines(a, scale * a)
    zero = ~np.any(a, axis=1)
    assert np.isnan(found[zero]).all()
    np.testing.assert_allclose(found[~zero], 1, rtol=1e-5)
    np.testing.assert_allclose(cosines(a, -a)[~zero], -1, rtol=1e-5)


@given(arrays(np.float64, (5, 7), elements=st.floats(0, 9)), arrays(bool, (5, 7)))
def test_a_fifth_of_the_pixels_inside_is_marked_and_no_stronger_one_is_left(
    strength: np.ndarray, inside: np.ndarray
) -> None:
    chosen = marked(strength, inside)
    assert not (chosen & ~inside).any()
    assert chosen.sum() == -(-inside.sum() // 5)
    if chosen.any() and (inside & ~chosen).any():
        assert strength[chosen].min() >= strength[inside & ~chosen].max()


def test_what_is_lost_of_nothing_is_not_known() -> None:
    np.testing.assert_allclose(lost(np.array([2.0, 2, 0]), np.array([0.5, 3, 1])), [0.75, -0.5, np.nan], equal_nan=True)


def images(count: int = 6, depth: int = 3) -> ArrayImages:
    return ArrayImages(np.random.default_rng(0).integers(0, 255, (count, SIZE, SIZE, depth), np.uint8))


def figures(model: Model, top: TopK, dataset: ArrayImages, proofs: int = 1, **how: object) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def keep(batch: object) -> None:
        table = found.setdefault(batch.rule, np.full((top.channels, top.k, len(PROOF)), np.nan))  # type: ignore[attr-defined]
        if batch.proof is not None:  # type: ignore[attr-defined]
            table[tuple(batch.slots.T)] = batch.proof  # type: ignore[attr-defined]

    model.attribute_each(top, dataset, keep=keep, proofs=proofs, **how)  # type: ignore[arg-type]
    return found


def test_twins_have_no_specificity_and_strangers_all() -> None:
    conv = nn.Conv2d(3, 2, 3, bias=False)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:, 0] = 1  # both look for red
    model = Model(nn.Sequential(conv, nn.ReLU()), input_shape=(3, SIZE, SIZE))
    top = model.top_k(images(), k=2)["0"]
    assert figures(model, top, images())["deconvnet"][:, 0, 0] == pytest.approx([0, 0], abs=1e-6)
    with torch.no_grad():
        conv.weight[1].zero_()
        conv.weight[1, 2] = 1  # one looks for red, the other for blue
    top = model.top_k(images(), k=2)["0"]
    assert figures(model, top, images())["deconvnet"][:, 0, 0] == pytest.approx([1, 1], abs=1e-6)


def test_deletion_of_a_linear_channel_by_hand() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 5, bias=False)
    model = Model(nn.Sequential(conv, nn.ReLU()), input_shape=(3, SIZE, SIZE))
    dataset = images()
    top = model.top_k(dataset, k=2)["0"]
    found = figures(model, top, dataset)["deconvnet"]
    for channel in range(4):
        number, (y, x) = int(top.image[channel, 0]), top.position[channel, 0]
        patch = dataset.images(number, number + 1)[0, :, y : y + 5, x : x + 5].astype(np.float64)
        weight = conv.weight[channel].detach().numpy().astype(np.float64)
        strength = np.abs(weight).sum(0).reshape(-1)
        changed = patch.reshape(3, -1).copy()
        changed[:, np.argsort(-strength, kind="stable")[:5]] = patch.reshape(3, -1).mean(1, keepdims=True)
        after = max(0.0, float((changed.reshape(patch.shape) * weight).sum()))
        assert found[channel, 0, 3] == pytest.approx(1 - after / float(top.value[channel, 0]), rel=1e-3)
        assert np.isnan(found[channel, 1]).all(), "only the first rank was asked for"


def test_random_weights_of_a_first_layer_have_nothing_in_common_with_its_own() -> None:
    torch.manual_seed(0)
    model = Model(nn.Sequential(nn.Conv2d(3, 40, 9), nn.ReLU()), input_shape=(3, SIZE, SIZE))
    dataset = images()
    top = model.top_k(dataset, k=1)["0"]
    found = figures(model, top, dataset)["deconvnet"][top.value[:, 0] > 0, 0]
    assert len(found) > 30
    assert np.abs(found[:, 1]).mean() < 0.15, "243 shuffled weights are nearly orthogonal to what they were"
    np.testing.assert_allclose(found[:, 1], found[:, 2], rtol=1e-5, atol=1e-6)  # its own weights are all there are


def test_every_way_gives_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU(),
    )
    model, dataset = Model(network.double(), input_shape=(3, SIZE, SIZE)), images()
    top = model.top_k(dataset, layers=["3"], k=2)["3"]
    rules = ("deconvnet", "guided_backprop", "gradient")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    by_cone = figures(model, top, dataset, 2, rules=rules)

    def refuse(*_: object) -> None:
        raise NotAProgramError("of a test")

    monkeypatch.setattr(projecting, "read_program", refuse)
    by_crop = figures(model, top, dataset, 2, rules=rules)
    monkeypatch.setattr(projecting, "window", lambda *_: None)
    by_image = figures(model, top, dataset, 2, rules=rules)
    for rule in rules:
        assert not np.isnan(by_cone[rule]).all()
        np.testing.assert_allclose(by_cone[rule], by_crop[rule], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(by_cone[rule], by_image[rule], rtol=1e-5, atol=1e-6)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), "shuffling is done to a copy"


def test_a_seed_decides_and_batches_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, dataset = Model(nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU()), input_shape=(3, SIZE, SIZE)), images()
    top = model.top_k(dataset, k=1)["0"]
    once = figures(model, top, dataset, seed=3)["deconvnet"]
    monkeypatch.setattr("convscope.nets.ways.VALUES_AT_ONCE", 1)
    np.testing.assert_allclose(figures(model, top, dataset, seed=3)["deconvnet"], once, rtol=1e-4, atol=1e-6)
    assert not np.allclose(figures(model, top, dataset, seed=4)["deconvnet"], once, equal_nan=True)


def test_rules_with_a_method_of_their_own_get_the_figures_of_deletion() -> None:
    torch.manual_seed(0)
    model, dataset = Model(nn.Sequential(nn.Conv2d(3, 2, 5), nn.ReLU()), input_shape=(3, SIZE, SIZE)), images(2)
    top = model.top_k(dataset, k=1)["0"]
    found = figures(model, top, dataset, rules=("integrated_gradients",))["integrated_gradients"][:, 0]
    assert np.isnan(found[:, :3]).all()
    assert np.isfinite(found[:, 3:]).all()


def test_a_silent_channel_has_no_figures() -> None:
    conv = nn.Conv2d(3, 2, 3)
    with torch.no_grad():
        conv.bias.fill_(-1e6)
    model, dataset = Model(nn.Sequential(conv, nn.ReLU()), input_shape=(3, SIZE, SIZE)), images(2)
    top = model.top_k(dataset, k=1)["0"]
    found = figures(model, top, dataset)["deconvnet"]
    assert np.isnan(found).all()


def test_bad_requests_are_answered() -> None:
    model, dataset = Model(nn.Sequential(nn.Conv2d(3, 2, 5), nn.ReLU()), input_shape=(3, SIZE, SIZE)), images(2)
    top = model.top_k(dataset, k=1)["0"]
    with pytest.raises(InputError, match="proofs is the number of ranks that get proof figures, 0 or more; got -1"):
        model.attribute_each(top, dataset, keep=lambda _: None, proofs=-1)
    with pytest.raises(InputError, match="no rule to project by; name one, for instance deconvnet"):
        model.attribute_each(top, dataset, keep=lambda _: None, rules=())
    with pytest.raises(InputError, match="unknown mode 'all'; use single"):
        model.attribute(top, dataset, mode="all")
    with pytest.raises(InputError, match="occlusion goes back from single positions; use mode='single'"):
        model.attribute(top, dataset, rule="occlusion", mode="map")


def test_the_direction_of_the_smallest_gradients_is_known() -> None:
    tiny = np.array([[0, -1.7e-161], [3e-200, 4e-200]])
    np.testing.assert_allclose(cosines(tiny, tiny[:, ::-1]), [0, 0.96], rtol=1e-6)
    np.testing.assert_allclose(cosines(tiny, 5 * tiny), 1, rtol=1e-6)
