"""The audit of a data set: counts against plain loops, near-duplicates against plain correlations and real copies."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from convscope import Run, SummaryWriter
from convscope.errors import InputError
from convscope.inspect import audit as module
from convscope.inspect.audit import audit, class_purity, grey_prints, in_rows, layer_purity, near_duplicates
from convscope.inspect.patches import shrink
from convscope.inspect.receptive_field import ReceptiveField
from convscope.inspect.topk import EDGES, TopK
from convscope.nets.data import IMAGENET

Pixels = npt.NDArray[np.uint8]


def top_of(image: Any, layer: str = "conv", images_total: int = 50) -> TopK:
    image = np.asarray(image, np.int64)
    channels, k = image.shape
    return TopK(
        layer=layer,
        layer_kind="Conv2d",
        value=np.sort(np.random.default_rng(0).random((channels, k), np.float32))[:, ::-1],
        image=image,
        position=np.zeros((channels, k, 2), np.int32),
        mean=np.zeros(channels),
        max=np.zeros(channels),
        variance=np.zeros(channels),
        positive=np.zeros(channels),
        histogram=np.zeros((channels, len(EDGES) - 1), np.int64),
        edges=EDGES,
        receptive_field=ReceptiveField((3, 3), (1, 1), (-1, -1)),
        input_size=(24, 32),
        network="net",
        dataset="pictures",
        images_seen=images_total,
        images_total=images_total,
    )


def random_tops(seed: int) -> dict[str, TopK]:
    """Layers of different sizes; some channels have too few images, some the same image in several places."""
    rng = np.random.default_rng(seed)
    tops = {}
    for name, channels, k in (("a", 7, 3), ("b", 1, 5), ("c", 12, 4)):
        image = rng.integers(0, 9, (channels, k))
        image[rng.random((channels, k)) < 0.2] = -1
        image = np.take_along_axis(image, np.argsort(image < 0, axis=1, kind="stable"), 1)
        tops[name] = top_of(image, name)
    return tops


@pytest.mark.parametrize("seed", range(5))
def test_images_are_counted_as_plain_loops_count_them(seed: int) -> None:
    tops = random_tops(seed)
    channels: dict[int, int] = {}
    first: dict[int, int] = {}
    by_layer: dict[int, list[int]] = {}
    for number, top in enumerate(tops.values()):
        for row in top.image.tolist():
            for image in {i for i in row if i >= 0}:
                channels[image] = channels.get(image, 0) + 1
                by_layer.setdefault(image, [0, 0, 0])[number] += 1
            if row[0] >= 0:
                first[row[0]] = first.get(row[0], 0) + 1
    order = sorted(channels, key=lambda image: (-channels[image], -first.get(image, 0), image))
    found = audit(tops)
    assert found.index.tolist() == order
    assert found.channels.tolist() == [channels[image] for image in order]
    assert found.first.tolist() == [first.get(image, 0) for image in order]
    assert found.layer_channels.tolist() == [by_layer[image] for image in order]
    assert (found.layers, found.k, found.images_among) == (("a", "b", "c"), 5, len(order))
    np.testing.assert_array_equal(found.layer_channels.sum(axis=1), found.channels)


def test_of_very_many_images_those_of_most_channels_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 2)
    found = audit({"a": top_of([[4, 5], [4, 6], [4, 5]])})
    assert found.index.tolist() == [4, 5]
    assert found.images_among == 3


def test_class_purity_is_the_share_of_the_commonest_known_class() -> None:
    labels = np.array([0, 0, 1, 2, -1, -1])
    top = top_of([[0, 1, 2, 3], [0, 1, 4, -1], [4, 5, -1, -1], [2, 3, 0, 4]])
    np.testing.assert_allclose(class_purity(top, labels), [0.5, 1, np.nan, 1 / 3], rtol=1e-6)
    assert layer_purity({"a": top, "dead": top_of([[4, 5]])}, labels) == {
        "a": pytest.approx(np.percentile([0.5, 1, 1 / 3], (25, 50, 75)).tolist(), rel=1e-6)
    }


def plain_likeness(one: Pixels, other: Pixels) -> float:
    """Return the likeness of two pictures as the documentation says it, with float64 and no shortcuts."""

    def grey(picture: Pixels) -> npt.NDArray[np.float64]:
        small = Image.fromarray(picture.astype(np.float64).mean(axis=2).astype(np.float32))
        return np.asarray(small.resize((16, 16), Image.Resampling.BOX), np.float64).ravel()

    def parts(picture: Pixels) -> list[Pixels]:
        height, width = picture.shape[:2]
        h, w = round(height * 0.93), round(width * 0.93)
        y, x = height - h, width - w
        corners = [(round(y * 0.5), round(x * 0.5)), (0, 0), (0, x), (y, 0), (y, x)]
        return [picture[a : a + h, b : b + w] for a, b in corners]

    pairs = [(one, other), *((part, other) for part in parts(one)), *((one, part) for part in parts(other))]
    return max(float(np.corrcoef(grey(a), grey(b))[0, 1]) for a, b in pairs)


def blots(count: int, size: tuple[int, int] = (30, 40), seed: int = 0) -> Pixels:
    """Return smooth coloured noise, every third picture a noisy likeness of the one before."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 5, 3)).astype(np.uint8)
    coarse[2::3] = np.clip(coarse[1::3][: len(coarse[2::3])] + rng.normal(0, 40, coarse[2::3].shape), 0, 255)
    return np.stack([Image.fromarray(one).resize(size[::-1], Image.Resampling.BICUBIC) for one in coarse])


@pytest.mark.parametrize("block", [7, 1024])
@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_near_duplicates_are_those_of_plain_correlations(
    threshold: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    pictures = blots(23)
    truth = {(a, b): plain_likeness(pictures[a], pictures[b]) for a, b in itertools.combinations(range(23), 2)}
    alike = {pair: likeness for pair, likeness in truth.items() if likeness >= threshold}
    found = near_duplicates(pictures, threshold)
    assert 3 < found.total == len(alike) < len(truth)
    assert {tuple(pair) for pair in found.pair.tolist()} == set(alike)
    for pair, likeness in zip(found.pair.tolist(), found.likeness, strict=True):
        assert likeness == pytest.approx(alike[tuple(pair)], abs=1e-5)
    assert (np.diff(found.likeness) <= 0).all()
    few = near_duplicates(pictures, threshold, most=3)
    assert few.total == found.total
    np.testing.assert_array_equal(few.pair, found.pair[:3])


def test_equal_pictures_are_found_at_the_highest_threshold_and_flat_ones_are_like_nothing() -> None:
    pictures = blots(4)[[0, 1, 0, 3]]
    flat = np.full((2, *pictures.shape[1:]), 200, np.uint8)
    found = near_duplicates(np.concatenate([pictures, flat]), 1.0)
    assert found.pair.tolist() == [[0, 2]]
    assert found.likeness.tolist() == [1.0]
    assert not grey_prints(flat).any()


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_a_likeness_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match=r"a likeness is above 0 and at most 1, got (0|-0.5|1.01|nan)"):
        near_duplicates(blots(2), threshold)


def test_an_audit_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one layer"):
        audit({})


def copied(picture: Image.Image, place: tuple[float, float]) -> Image.Image:
    """Return a copy as they are found in data sets: 5 % cut off at one side or around, encoded anew, a bit smaller."""
    width, height = picture.size
    w, h = round(width * 0.95), round(height * 0.95)
    x, y = round((width - w) * place[0]), round((height - h) * place[1])
    data = io.BytesIO()
    picture.crop((x, y, x + w, y + h)).resize((round(w * 0.8), round(h * 0.8))).save(data, "JPEG", quality=50)
    return Image.open(data).convert("RGB")


def test_copies_of_real_photographs_are_found_and_different_ones_are_not(real_data: Path) -> None:
    files = sorted((real_data / "imagenet-sample-images").glob("*.JPEG"))[::6]
    assert len(files) > 150
    pictures = [Image.open(file).convert("RGB") for file in files]
    places = itertools.cycle([(0.5, 0.5), (0, 0), (1, 1), (0, 1)])
    copies = [copied(picture, place) for picture, place in zip(pictures[::4], places, strict=False)]
    small = np.stack([shrink(IMAGENET.fit(picture), (128, 128)) for picture in [*pictures, *copies]])
    true = {(4 * number, len(pictures) + number) for number in range(len(copies))}
    found = {tuple(pair) for pair in near_duplicates(small).pair.tolist()}
    assert not found - true
    assert len(found & true) >= 0.95 * len(true)


def test_the_record_holds_the_images_in_rows_of_eight(tmp_path: Path) -> None:
    tops = random_tops(1)
    found = audit(tops)
    count = len(found.index)
    thumbnails = blots(count, (12, 16))
    labels = np.arange(50) % 4 - 1
    with SummaryWriter(tmp_path) as writer:
        writer.add(found.to_summary(step=3, thumbnails=thumbnails, labels=labels, meta={"names": ["x"] * count}))
    run = Run(tmp_path)
    record = run.record(run.entries("audit", "net")[0])
    assert record.step == 3
    arrays = record.arrays()
    np.testing.assert_array_equal(arrays["label"], labels[found.index])
    assert arrays["duplicate"].shape == (0, 2)
    assert record.meta["layers"] == ["a", "b", "c"]
    assert record.meta["input_size"] == [24, 32]
    plan = record.pictures["thumbnail"]
    assert (plan["columns"], plan["total_rows"], plan["tile"]) == (8, -(-count // 8), [12, 16])
    np.testing.assert_array_equal(record.tile("thumbnail", (count - 1) // 8, (count - 1) % 8), thumbnails[-1])
    assert (in_rows(thumbnails).reshape(-1, 12, 16, 3)[count:] == 128).all()


def test_without_labels_every_class_is_unknown() -> None:
    assert set(audit({"a": top_of([[1, 2]])}).to_summary().arrays["label"].tolist()) == {-1}
