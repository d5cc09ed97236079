"""Top-k: laws of the merge, and the search of a network against a plain loop in float64."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as fn

from convscope.errors import InputError, NotFoundError
from convscope.inspect import topk_state
from convscope.inspect.topk import TopK, patches
from convscope.inspect.topk_state import EDGES, ChannelTopK
from convscope.nets import search
from convscope.nets.data import ArrayImages
from convscope.nets.torch import Model
from search_support import Net, network, noise

ROUNDED = {"mean", "m2"}


def _state(maps: np.ndarray, first: int, k: int, score: str = "max", per_image: int = 1) -> ChannelTopK:
    """The state after some images: each third one is of no known class, each second one is in the sample."""
    numbers = np.arange(first, first + len(maps))
    batch = search.Batch(first, np.where(numbers % 3, numbers % 4, -1).astype(np.int32), numbers[numbers % 2 == 0])
    return search.reduced(torch.from_numpy(maps), batch, topk_state.empty(maps.shape[1], k, score), score, per_image)


def _same(a: ChannelTopK, b: ChannelTopK) -> None:
    mine, other = a.to_arrays(), b.to_arrays()
    assert mine.keys() == other.keys()
    for name in mine.keys() - ROUNDED:
        assert mine[name].tobytes() == other[name].tobytes(), name
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.m2, b.m2, rtol=1e-6, atol=1e-6)


@st.composite
def parts(draw: st.DrawFn) -> tuple[list[ChannelTopK], ChannelTopK]:
    """States of some batches with many equal scores, and the state of all images at once."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=3, max_size=3))
    k = draw(st.integers(1, 6))
    seed = draw(st.integers(0, 2**16))
    asked = draw(st.sampled_from([("max", 1), ("max", 3), ("max", 9), ("mean", 1)]))
    maps = np.random.default_rng(seed).integers(-2, 3, (sum(sizes), 2, 2, 4)).astype(np.float32)
    starts = np.cumsum([0, *sizes])
    states = [_state(maps[a:b], int(a), k, *asked) for a, b in pairwise(starts)]
    return states, _state(maps, 0, k, *asked)


@given(parts())
@settings(max_examples=80, deadline=None)
def test_merge_is_associative_commutative_and_order_free(case: tuple[list[ChannelTopK], ChannelTopK]) -> None:
    (a, b, c), whole = case
    _same(a.merge(b).merge(c), a.merge(b.merge(c)))
    _same(a.merge(b), b.merge(a))
    _same(c.merge(a).merge(b), whole)
    nothing = topk_state.empty(2, a.value.shape[1], "max" if a.activation is None else "mean")
    _same(nothing.merge(a), a)
    _same(a.merge(nothing), a)
    _same(ChannelTopK.from_arrays(whole.to_arrays()), whole)


def test_states_of_different_shapes_do_not_merge() -> None:
    with pytest.raises(InputError, match=r"\(2, 3\) and \(2, 4\)"):
        topk_state.merge(topk_state.empty(2, 3), topk_state.empty(2, 4))


def test_nan_never_enters_and_missing_images_are_said() -> None:
    maps = np.ones((3, 1, 2, 2), np.float32)
    maps[1, 0, 0, 0] = np.nan
    state = _state(maps, 0, 4)
    assert state.image.tolist() == [[0, 2, -1, -1]]
    assert state.histogram.sum() == 2
    assert np.isnan(state.mean[0]), "a NaN is not hidden from the moments"


def _plain(given: Net, images: ArrayImages) -> dict[str, np.ndarray]:
    """What each layer says to each image, in float64, after the ReLU that directly follows."""
    out: dict[str, np.ndarray] = {}
    net = network().double().eval()
    net.load_state_dict({k: v.double() for k, v in given.state_dict().items()})
    with torch.no_grad():
        x = torch.from_numpy(images.images(0, len(images))).double()
        a = fn.relu(fn.conv2d(x, net.a.weight, net.a.bias, padding=1))
        b = fn.relu(fn.conv2d(a, net.b.weight, net.b.bias, stride=2))
        c = net.c(b)
        d = fn.relu(net.d(fn.relu6(c)))
        e = net.e(d)
        out = {"a": a, "b": b, "c": c, "d": d, "e": e, "fc": net.fc(e.mean((2, 3)))[:, :, None, None]}
    return {name: values.numpy() for name, values in out.items()}


def _check(top: TopK, maps: np.ndarray, k: int) -> None:
    """Compare with a plain loop: sort all images of each channel by (−score, index)."""
    for channel in range(maps.shape[1]):
        scores = [(-maps[n, channel].max(), n) for n in range(len(maps))]
        best = sorted(scores)[:k]
        np.testing.assert_allclose(top.value[channel, : len(best)], [-s for s, _ in best], rtol=1e-5, atol=1e-6)
        for rank, (score, _) in enumerate(best):
            image = int(top.image[channel, rank])
            assert maps[image, channel].max() == pytest.approx(-score, rel=1e-5, abs=1e-6)
            y, x = top.position[channel, rank]
            assert maps[image, channel, y, x] == pytest.approx(-score, rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(top.mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(top.variance, maps.var((0, 2, 3)), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(top.max, maps.max((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(top.positive, (maps > 0).mean((0, 2, 3)), atol=2e-3)
    assert top.histogram.sum(1).tolist() == [len(maps)] * maps.shape[1]


def test_search_equals_a_plain_loop_in_float64() -> None:
    net, images = network(), noise()
    model = Model(net, input_shape=(1, 14, 13))
    tops = model.top_k(images, k=4, layers=["a", "b", "c", "d", "e", "fc"], batch_size=5, shard_size=10)
    plain = _plain(net, images)
    for name, top in tops.items():
        _check(top, plain[name], 4)
        assert top.images_seen == top.images_total == 23, "the short last batch counts"
    ranks = {int(n): rank for rank, n in enumerate(tops["a"].image[0])}
    assert 3 not in ranks or 7 not in ranks or ranks[3] < ranks[7]
    assert tuple(model.top_k(images, k=1)) == ("a", "b", "c", "d", "e"), "all convolutions by default"


def test_equal_scores_are_ordered_by_index() -> None:
    images = ArrayImages(np.full((12, 14, 13), 99, np.uint8))
    top = Model(network(), input_shape=(1, 14, 13)).top_k(images, k=5, layers=["a"], batch_size=3)["a"]
    assert (top.image == np.arange(5)).all()


@pytest.mark.parametrize(("batch_size", "shard_size"), [(None, None), (512, None), (7, 20)])
def test_equal_images_are_ordered_by_index_in_a_short_last_batch(
    batch_size: int | None, shard_size: int | None
) -> None:
    torch.manual_seed(0)
    picture = np.random.default_rng(0).integers(0, 256, (1, 28, 28), np.uint8)
    images = ArrayImages(np.repeat(picture, 540, axis=0))
    tops = Model("mnist").top_k(images, layers=["conv2", "fc1"], batch_size=batch_size, shard_size=shard_size)
    for top in tops.values():
        assert (top.image == np.arange(9)).all()
    vectors = Model("mnist").embed(images, "fc1").vectors
    assert (vectors == vectors[0]).all()


@pytest.mark.parametrize(("bias", "dtype"), [(1000.0, torch.float32), (-1e4, torch.float32), (300.0, torch.float16)])
def test_variance_under_a_large_mean(bias: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 1)).to(dtype)
    with torch.no_grad():
        network[0].weight.mul_(0.5)
        network[0].bias.copy_(torch.tensor([bias, 0.0, bias / 8]))
    model, images = Model(network, input_shape=(1, 14, 13)), noise()
    top = model.top_k(images, batch_size=5)["0"]
    exact = model.activations(images.images(0, len(images)), "0").astype(np.float64)
    np.testing.assert_allclose(top.mean, exact.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(top.variance, exact.var((0, 2, 3)), rtol=1e-3)


def test_sums_of_half_precision_do_not_overflow() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1)).half()
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(30_000)
    top = Model(network, input_shape=(1, 14, 13)).top_k(noise())["0"]
    np.testing.assert_allclose(top.mean, 30_000)
    assert (top.variance == 0).all()


@pytest.mark.parametrize(
    ("step", "below", "ceiling"),
    [
        (lambda x: fn.threshold(x, 0, 0), 0.0, np.inf),
        (lambda x: fn.threshold(x, 0, 5.0), None, np.inf),
        (lambda x: fn.threshold(x, 0.1, 0), None, np.inf),
        (lambda x: x.clamp(torch.zeros(1, 2, 1, 1), torch.full((1, 2, 1, 1), 0.2)), 0.0, 0.2),
        (lambda x: x.clamp(torch.zeros(2, 1, 1), torch.tensor([0.1, 0.2])[:, None, None]), None, np.inf),
    ],
)
def test_only_a_relu_rectifies_a_layer(step, below: float | None, ceiling: float) -> None:  # type: ignore[no-untyped-def]
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(1, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return step(self.a(x))

    torch.manual_seed(0)
    model = Model(Functional(), input_shape=(1, 14, 13))
    images = noise()
    plain = model.activations(images.images(0, len(images)), "a").astype(np.float64)
    seen = plain if below is None else plain.clip(below, ceiling)
    top = model.top_k(images)["a"]
    np.testing.assert_allclose(top.mean, seen.mean((0, 2, 3)), rtol=1e-5)


def test_fewer_images_than_k() -> None:
    top = Model(network(), input_shape=(1, 14, 13)).top_k(noise(8).part(0, 3), k=5, layers=["b"])["b"]
    assert (top.image[:, 3:] == -1).all()
    assert (top.value[:, 3:] == 0).all()
    assert (top.box[:, 3:] == 0).all()
    assert set(top.image[0, :3].tolist()) == {0, 1, 2}


def test_a_checkpoint_of_other_weights_is_refused(tmp_path: Path) -> None:
    Model(network(), input_shape=(1, 14, 13)).top_k(noise(), layers=["a"], checkpoint=tmp_path / "c")
    torch.manual_seed(4)
    with pytest.raises(InputError, match="network differs"):
        Model(Net(), input_shape=(1, 14, 13)).top_k(noise(), layers=["a"], checkpoint=tmp_path / "c")


def test_published_results_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convscope.scale.local._QUICK", float("inf"))  # else it publishes less often if that is slow
    seen: list[tuple[int, bool]] = []

    def publish(tops: dict[str, TopK]) -> None:
        seen.append((tops["a"].images_seen, tops["a"].to_summary().meta["complete"]))

    Model(network(), input_shape=(1, 14, 13)).top_k(
        noise(), layers=["a"], batch_size=5, shard_size=5, every=2, publish=publish
    )
    assert seen == [(10, False), (20, False), (23, True)]


def test_summary_has_what_the_format_asks_for() -> None:
    images = noise()
    images.labels = np.arange(23, dtype=np.int32)
    top = Model(network(), input_shape=(1, 14, 13)).top_k(images, layers=["a"], k=3)["a"]
    tiles = patches(top, images.display)
    assert tiles.shape == (5, 3, 3, 3, 1)
    summary = top.to_summary(step=7, patches=tiles, labels=images.labels, meta={"rule": "deconvnet"})
    assert (summary.kind, summary.tag, summary.step) == ("topk", "a", 7)
    assert {n: (a.dtype.str, a.shape) for n, a in summary.arrays.items()} == {
        "value": ("<f4", (5, 3)),
        "image": ("<i8", (5, 3)),
        "position": ("<i4", (5, 3, 2)),
        "box": ("<i4", (5, 3, 4)),
        "mean": ("<f8", (5,)),
        "max": ("<f8", (5,)),
        "variance": ("<f8", (5,)),
        "positive": ("<f8", (5,)),
        "histogram": ("<i8", (5, len(EDGES) - 1)),
        "edges": ("<f4", (len(EDGES),)),
        "label": ("<i4", (5, 3)),
        "selectivity": ("<f4", (5,)),
        "class_top": ("<i4", (5, 8)),
        "class_mean": ("<f4", (5, 8)),
        "similar": ("<i4", (5, 8)),
        "similarity": ("<f4", (5, 8)),
    }
    assert {name: summary.meta[name] for name in ("score", "tap", "per_image")} == {
        "score": "max",
        "tap": "after",
        "per_image": 1,
    }
    assert summary.arrays["label"].tolist() == top.image.tolist()
    assert summary.meta["receptive_field"]["size"] == [3, 3]
    assert summary.meta["rule"] == "deconvnet"
    y0, x0, y1, x1 = top.box[0, 0]
    y, x = max(y0, 0), max(x0, 0)
    inside = images.display(int(top.image[0, 0]))[y:y1, x:x1]
    np.testing.assert_array_equal(tiles[0, 0, y - y0 : y - y0 + len(inside), x - x0 : x - x0 + inside.shape[1]], inside)


def test_bad_requests_are_answered() -> None:
    model = Model(network(), input_shape=(1, 14, 13))
    with pytest.raises(NotFoundError, match="no layer 'aa' in Net; did you mean 'a'"):
        model.top_k(noise(), layers=["aa"])
    with pytest.raises(InputError, match="k is at least 1, got 0"):
        model.top_k(noise(), k=0)
    with pytest.raises(InputError, match=r"takes images \(1, 14, 13\), those of 'images' are \(1, 5, 5\)"):
        model.top_k(ArrayImages(np.zeros((2, 5, 5), np.uint8)))
