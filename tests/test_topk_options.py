"""Top-k: every option and every statistic against plain loops in float64, and what is kept against its bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convscope.errors import InputError, NotFoundError
from convscope.inspect import topk_state
from convscope.inspect.scores import MOST_SUMS, SAMPLE, ClassSums, ScoreSample, sampled
from convscope.nets import search
from convscope.nets.data import ArrayImages, FirstImages
from convscope.nets.torch import Model
from search_support import SHAPE, Exact, network, noise, whole_numbers

Entry = tuple[float, int, int, float]


def _model() -> Model:
    return Model(Exact(), input_shape=(1, 8, 8))


def _entries(maps: np.ndarray, k: int, score: str, per_image: int) -> list[Entry]:
    """The best (score, image, position, activation) of one channel: all of them, sorted."""
    found: list[Entry] = []
    for image, values in enumerate(maps.reshape(len(maps), -1).tolist()):
        order = sorted(range(len(values)), key=lambda place: (-values[place], place))
        if score == "mean":
            found.append((sum(values) / len(values), image, order[0], values[order[0]]))
        else:
            found += [(values[place], image, place, values[place]) for place in order[:per_image]]
    return sorted(found, key=lambda entry: (-entry[0], entry[1], entry[2]))[:k]


@pytest.mark.parametrize(("score", "per_image"), [("max", 1), ("max", 2), ("max", 4), ("max", 100), ("mean", 1)])
@pytest.mark.parametrize("tap", ["after", "before"])
@pytest.mark.parametrize(("k", "batch_size"), [(3, 5), (9, 16), (40, 37)])
def test_every_option_equals_a_plain_loop(score: str, per_image: int, tap: str, k: int, batch_size: int) -> None:
    images, model = whole_numbers(), _model()
    found = model.top_k(
        images, layers=["first", "second"], k=k, score=score, tap=tap, per_image=per_image, batch_size=batch_size
    )
    for (name, where), maps in model.network.maps(images).items():
        if where != tap:
            continue
        top = found[name]
        for channel in range(maps.shape[1]):
            best = _entries(maps[:, channel], k, score, per_image)
            n = len(best)
            assert top.value[channel, :n].tolist() == [entry[0] for entry in best]
            assert top.image[channel, :n].tolist() == [entry[1] for entry in best]
            assert (top.position[channel, :n] @ [8, 1]).tolist() == [entry[2] for entry in best]
            assert top.activations[channel, :n].tolist() == [entry[3] for entry in best]
            assert (top.image[channel, n:] == -1).all()
        assert (top.score, top.tap, top.per_image) == (score, tap, per_image)
        assert (top.activation is None) == (score == "max")
        assert top.max.tolist() == maps.max((0, 2, 3)).tolist()
        np.testing.assert_allclose(top.mean, maps.mean((0, 2, 3)), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(top.variance, maps.var((0, 2, 3)), rtol=1e-9, atol=1e-9)


def _scores(maps: np.ndarray, score: str) -> np.ndarray:
    return maps.max((2, 3)) if score == "max" else maps.mean((2, 3))


@pytest.mark.parametrize("score", ["max", "mean"])
@pytest.mark.parametrize("tap", ["after", "before"])
def test_classes_equal_a_plain_loop(score: str, tap: str) -> None:
    images, model = whole_numbers(), _model()
    found = model.top_k(images, layers=["first", "second"], score=score, tap=tap, batch_size=5, shard_size=10)
    for name, top in found.items():
        scores = _scores(model.network.maps(images)[name, tap], score)
        for channel in range(scores.shape[1]):
            means = {}
            for label in range(12):
                of_class = [max(scores[n, channel], 0) for n in range(len(images)) if images.labels[n] == label]
                means[label] = sum(of_class) / len(of_class)
            ranked = [label for label in sorted(means, key=lambda label: (-means[label], label)) if means[label] > 0]
            assert top.class_top[channel].tolist() == (ranked[:8] + [-1] * 8)[:8]
            wanted = ([means[label] for label in ranked[:8]] + [0.0] * 8)[:8]
            np.testing.assert_allclose(top.class_mean[channel], wanted, rtol=1e-6)
            best = max(means.values())
            rest = (sum(means.values()) - best) / 11
            expected = (best - rest) / (best + rest) if best + rest else 0
            assert top.selectivity[channel] == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert found["first"].selectivity[4] == 0
    assert (found["first"].class_top[4] == -1).all(), "a channel that is never above 0 prefers no class"


def test_a_channel_of_one_class_has_a_selectivity_of_1() -> None:
    scores = np.array([[3, 0, 0, 5], [1, 1, 1, 1], [-4, -4, -4, -4]], np.float32)
    sums = ClassSums.of(scores, np.array([7, 2, -1, 7], np.int32))
    assert sums.number.tolist() == [2, 7]
    assert sums.images.tolist() == [1, 2]
    assert sums.selectivity().tolist() == [1, 0, 0]
    assert sums.best()[0][:, :3].tolist() == [[7, -1, -1], [2, 7, -1], [-1, -1, -1]]


def test_sums_of_parts_are_those_of_all_and_the_parts_stay_as_they_were() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.integers(-9, 9, (5, 60)).astype(np.float32), rng.integers(-1, 7, 60).astype(np.int32)
    labels[:20] %= 3  # later ones bring classes that are new
    parts = [ClassSums.of(scores[:, i : i + 10], labels[i : i + 10]) for i in range(0, 60, 10)]
    before = [part.total.copy() for part in parts]
    merged = ClassSums.empty(5)
    for part in parts:
        merged = merged.merge(part)
    whole = ClassSums.of(scores, labels)
    for name in ("number", "images", "total"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name), name)
    parts[0].merge(parts[1]).merge(parts[0])
    for part, total in zip(parts, before, strict=True):
        np.testing.assert_array_equal(part.total, total)


def test_a_nan_is_no_preference() -> None:
    scores = np.array([[np.nan, 2, 1, 1], [np.inf, 1, 1, 1]], np.float32)
    sums = ClassSums.of(scores, np.array([0, 0, 1, 1], np.int32))
    assert sums.mean[0].tolist() == [1, 1]
    assert np.isfinite(sums.selectivity()).all()


@pytest.mark.parametrize("score", ["max", "mean"])
def test_similar_channels_equal_a_plain_correlation(score: str) -> None:
    images, model = whole_numbers(), _model()
    top = model.top_k(images, layers=["first"], score=score, batch_size=5, shard_size=10)["first"]
    scores = _scores(model.network.maps(images)["first", "after"], score).astype(np.float32).astype(np.float64)
    moving = [c for c in range(6) if np.ptp(scores[:, c])]
    assert 4 not in moving
    for channel in range(6):
        others = [c for c in moving if c != channel] if channel in moving else []
        wanted = {c: np.corrcoef(scores[:, channel], scores[:, c])[0, 1] for c in others}
        like = {c: value for c, value in wanted.items() if value > 0}
        found = dict(zip(top.similar[channel].tolist(), top.similarity[channel].tolist(), strict=True))
        assert found.pop(-1, 0) == 0
        assert found == pytest.approx(like, abs=1e-6)
        assert sorted(found.values(), reverse=True) == list(found.values())
    assert top.similar[0, 0] == 5, "a copy of the channel is most like it"
    assert top.similarity[0, 0] == pytest.approx(1)


def test_only_the_eight_most_similar_channels_are_kept() -> None:
    scores = np.random.default_rng(0).normal(size=(200, 90)).astype(np.float32)
    similar, similarity = ScoreSample(np.arange(90), scores).alike()
    exact = np.corrcoef(scores.astype(np.float64))
    np.fill_diagonal(exact, -2)
    np.testing.assert_array_equal(similar, np.argsort(-exact, axis=1)[:, :8])
    np.testing.assert_allclose(similarity, -np.sort(-exact, axis=1)[:, :8], rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
def test_few_channels_have_few_like_them(channels: int) -> None:
    scores = np.tile(np.arange(5, dtype=np.float32), (channels, 1))
    similar, similarity = ScoreSample(np.arange(5), scores).alike()
    assert similar[:, 1:].max() == -1
    assert similar[:, 0].tolist() == ([-1] if channels == 1 else [1, 0])
    assert similarity[:, 0].tolist() == ([0] if channels == 1 else pytest.approx([1, 1]))


@pytest.mark.parametrize("total", [1, 511, 512, 513, 1300, 50_000])
def test_the_sample_is_spread_evenly(total: int) -> None:
    chosen = sampled(total)
    assert len(chosen) == min(total, SAMPLE)
    assert chosen[0] == 0
    steps = np.diff(chosen)
    assert total == 1 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)
    assert total - chosen[-1] <= max(1, -(-total // SAMPLE))


def _tiny(count: int, classes: int = 3) -> tuple[search.Search, ArrayImages]:
    images = ArrayImages(np.random.default_rng(0).integers(0, 9, (count, 4, 4), np.uint8), np.arange(count) % classes)
    model = Model(nn.Sequential(nn.Conv2d(1, 3, 3)), input_shape=(1, 4, 4))
    return search.Search(model.network, images, model._taps(None), 2, 64), images


@pytest.mark.parametrize("shard", [50, 700, 1300])
def test_the_sample_does_not_depend_on_the_shards(shard: int) -> None:
    work, _ = _tiny(1300)
    states = [work((start, min(start + shard, 1300))) for start in range(0, 1300, shard)]
    whole = states[0]
    for state in states[1:]:
        whole = search.merge(whole, state)
    assert whole["0"].sample.image.tolist() == sampled(1300).tolist()
    assert whole["0"].classes.images.tolist() == [434, 433, 433]


def test_the_state_does_not_grow_with_the_images() -> None:
    sizes = [sum(array.nbytes for array in search.to_arrays(_tiny(n)[0]((0, n))).values()) for n in (600, 2400)]
    assert sizes[0] == sizes[1]


def test_without_enough_to_tell_nothing_is_said() -> None:
    model = _model()
    few = model.top_k(whole_numbers().part(0, 2), layers=["first"])["first"]
    assert few.similar is None
    one = ArrayImages(whole_numbers().pixels, np.zeros(37, np.int32))
    for images in (one, ArrayImages(one.pixels)):
        top = model.top_k(images, layers=["first"])["first"]
        assert top.selectivity is None
        assert top.class_top is None
        assert "class_mean" not in top.to_summary().arrays
        assert top.similar is not None


def test_more_classes_than_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_SUMS * 8 == 1 << 30
    monkeypatch.setattr(search, "MOST_SUMS", 6 * 12 - 1)
    assert _model().top_k(whole_numbers(), layers=["first"])["first"].class_top is None
    monkeypatch.setattr(search, "MOST_SUMS", 6 * 12)
    assert _model().top_k(whole_numbers(), layers=["first"])["first"].class_top is not None


def test_the_tap_before_the_relu_sees_what_is_below_0() -> None:
    model, images = Model(network(), input_shape=SHAPE), noise()
    before = model.top_k(images, tap="before", layers=["a", "b", "c", "d"], k=3)
    for name, top in before.items():
        maps = model.activations(images.images(0, len(images)), name)
        np.testing.assert_allclose(np.sort(maps.max((2, 3)), axis=0)[:-4:-1].T, top.value, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(top.mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
        assert top.mean.min() < 0


def test_the_maxima_of_large_maps_are_looked_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = whole_numbers()
    whole = _model().top_k(images, per_image=2)
    monkeypatch.setattr(search, "_GATHERED", 100)
    for name, top in _model().top_k(images, per_image=2).items():
        assert top.position.tobytes() == whole[name].position.tobytes()


def test_half_precision_has_several_positions_too() -> None:
    model = Model(Exact().half(), input_shape=(1, 8, 8))
    halves, whole = (m.top_k(whole_numbers(), per_image=3)["first"] for m in (model, _model()))
    assert halves.position.tobytes() == whole.position.tobytes()
    assert halves.value.tobytes() == whole.value.tobytes()


def test_an_image_with_a_nan_does_not_enter_by_any_score() -> None:
    maps = torch.ones(3, 1, 2, 2)
    maps[1, 0, 0, 0] = np.nan
    for score, per_image in (("mean", 1), ("max", 3)):
        state = search.reduced(maps, search.Batch(0), topk_state.empty(1, 4, score), score, per_image)
        assert 1 not in state.image
        assert set(state.image[0].tolist()) >= {0, 2}


def test_what_was_asked_for_is_part_of_the_pass(tmp_path) -> None:  # type: ignore[no-untyped-def]
    images, model = whole_numbers(), _model()
    model.top_k(images, checkpoint=tmp_path / "c")
    for option, name in ({"score": "mean"}, "score"), ({"tap": "before"}, "tap"), ({"per_image": 2}, "per_image"):
        with pytest.raises(InputError, match=rf"another pass \((layers, )?{name} differs"):
            model.top_k(images, checkpoint=tmp_path / "c", **option)
    with pytest.raises(InputError, match="threads differs"):
        model.top_k(images, checkpoint=tmp_path / "c", threads=torch.get_num_threads() + 1)


def test_a_part_of_the_images_has_its_own_classes() -> None:
    top = _model().top_k(FirstImages(whole_numbers(), 9), layers=["first"])["first"]
    assert set(top.class_top.ravel().tolist()) <= {-1, *whole_numbers().labels[:9].tolist()}


def test_bad_options_are_answered() -> None:
    model, images = _model(), whole_numbers()
    with pytest.raises(NotFoundError, match="no score 'median'"):
        model.top_k(images, score="median")
    with pytest.raises(NotFoundError, match="no tap 'befor'; did you mean 'before'"):
        model.top_k(images, tap="befor")
    for name in ("per_image", "workers", "threads"):
        with pytest.raises(InputError, match=f"{name} is at least 1, got 0"):
            model.top_k(images, **{name: 0})
    with pytest.raises(InputError, match="one score for all its positions; leave out per_image"):
        model.top_k(images, score="mean", per_image=2)
