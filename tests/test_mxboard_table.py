"""What MXBoard's own tests try (``test_logging.py``), with arrays that only ``asnumpy`` opens, read back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convscope.recording import SummaryWriter
from convscope.store import Run

RNG = np.random.default_rng(0)
TAG = "test_tag"


class NDArray:
    """An array as MXNet's are: nothing opens it but ``asnumpy``."""

    def __init__(self, array: Any) -> None:
        self._array = np.asarray(array)
        self.shape, self.dtype = self._array.shape, self._array.dtype.type

    def asnumpy(self) -> Any:
        return self._array.copy()

    def __iter__(self) -> Any:
        raise AssertionError("read one element at a time, each a copy from the device")


BOTH = pytest.mark.parametrize("kind", [NDArray, np.asarray])


def files(run: Path) -> list[str]:
    return sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())


def log(run: Path, method: str, *arguments: Any, **options: Any) -> Run:
    """Log one thing and return the run, which must be one event file."""
    with SummaryWriter(run) as writer:
        getattr(writer, method)(*arguments, **options)
    assert len([name for name in files(run) if name.startswith("events.out.tfevents.")]) == 1
    opened = Run(run)
    assert opened.problems == []
    return opened


@BOTH
@pytest.mark.parametrize("dimensions", [1, 2])
def test_make_metadata_tsv(tmp_path: Path, kind: Any, dimensions: int) -> None:
    labels = RNG.normal(size=(9, 4)[:dimensions]).astype(np.float32)
    run = log(tmp_path, "add_embedding", RNG.random((9, 3)), kind(labels))
    columns = np.array(list(run.embeddings()[0].metadata.values()), np.float32)
    np.testing.assert_array_equal(columns.T.reshape(labels.shape), labels)
    path = tmp_path / "projector" / "00000" / "default" / "metadata.tsv"
    loaded = np.loadtxt(path, np.float32, skiprows=dimensions - 1, delimiter="\t")
    np.testing.assert_array_equal(loaded, labels)


@BOTH
@pytest.mark.parametrize("shape", [(7, 9), (1, 7, 9), (3, 7, 9)])
def test_make_image_grid_of_one_picture(tmp_path: Path, kind: Any, shape: tuple[int, ...]) -> None:
    values = RNG.random(shape, np.float32)
    run = log(tmp_path, "add_image", TAG, kind(values), dataformats="CHW"[-len(shape) :])
    with Image.open(_file(tmp_path, run.images(TAG)[0].png)) as picture:
        pixels = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    planes = np.broadcast_to(values if len(shape) == 3 else values[None], (3, 7, 9))
    np.testing.assert_array_equal(pixels, np.rint(planes * 255))


@BOTH
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 10])
def test_make_image_grid_of_a_batch(tmp_path: Path, kind: Any, channels: int, count: int) -> None:
    values = RNG.random((count, channels, 7, 9), np.float32)
    run = log(tmp_path, "add_images", TAG, kind(values))
    image = run.images(TAG)[0]
    with Image.open(_file(tmp_path, image.png)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    seen = list(_tiles(pixels, count, 7, 9))
    np.testing.assert_array_equal(seen, np.broadcast_to(np.rint(values * 255), (count, 3, 7, 9)).transpose(0, 2, 3, 1))


def _tiles(pixels: Any, count: int, height: int, width: int) -> Any:
    """Cut a grid of up to eight pictures in a row, two pixels apart."""
    for number in range(count):
        top, left = number // 8 * (height + 2), number % 8 * (width + 2)
        yield pixels[top : top + height, left : left + width]


def _file(folder: Path, data: bytes) -> Path:
    path = folder.parent / f"{folder.name}.png"
    path.write_bytes(data)
    return path


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_make_sprite_image(tmp_path: Path, kind: Any, dtype: Any, channels: int | None) -> None:
    shape = (5, 6, 8) if channels is None else (5, channels, 6, 8)
    values = RNG.random(shape) if dtype != np.uint8 else RNG.integers(0, 256, shape)
    run = log(tmp_path, "add_embedding", RNG.random((5, 3)), None, kind(values.astype(dtype)))
    thumbnails = run.embeddings()[0].thumbnails
    expected = np.rint(values.astype(dtype) * (1 if dtype == np.uint8 else 255)).astype(np.uint8)
    expected = expected[..., None] if channels is None else expected.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(thumbnails, expected)
    with Image.open(tmp_path / "projector" / "00000" / "default" / "sprite.png") as picture:
        assert picture.size == (3 * 8, 3 * 6)  # three in a row, three rows: MXBoard's users saw wrong ones otherwise


def test_add_embedding_config(tmp_path: Path) -> None:
    log(tmp_path, "add_embedding", RNG.random((4, 3)), range(4), RNG.random((4, 3, 5, 5)), 10000)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert text.count("single_image_dim: 5") == 2
    folder = "projector/10000/default"
    for name in ("tensors.bytes", "metadata.tsv", "sprite.png"):
        assert f'"{folder}/{name}"' in text
        assert (tmp_path / folder / name).is_file()


@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_save_ndarray_tsv(tmp_path: Path, kind: Any, dtype: Any, dimensions: int) -> None:
    values = RNG.integers(0, 9, (4, 3, 2, 2)[:dimensions]).astype(dtype)
    if dimensions > 2:
        with SummaryWriter(tmp_path) as writer, pytest.raises(ValueError, match="reshape it"):
            writer.add_embedding(kind(values))
        return
    run = log(tmp_path, "add_embedding", kind(values))
    np.testing.assert_array_equal(run.embeddings()[0].vectors, values)


def test_add_scalar(tmp_path: Path) -> None:
    value = float(np.float32(RNG.random()))
    run = log(tmp_path, "add_scalar", TAG, value, 0)
    assert len(files(tmp_path)) == 1
    assert run.scalars(TAG).value.tolist() == [value]


@pytest.mark.parametrize("value", [3, np.float32(3), np.array([3.0]), NDArray([3.0]), "3", True])
def test_add_scalar_of_every_type(tmp_path: Path, value: Any) -> None:
    assert log(tmp_path, "add_scalar", TAG, value, 0).scalars(TAG).value.tolist() == [1 if value is True else 3]


def test_add_multiple_scalars_makes_no_more_files_threads_or_runs(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars(TAG, {"scalar1": 1.0, "scalar2": NDArray([2.0]), "scalar3": np.float64(3), "scalar4": 4}, 5)
    assert len(files(tmp_path)) == 1
    run = Run(tmp_path)
    assert {tag: run.scalars(tag).value.tolist() for tag in run.tags("scalar")["scalar"]} == {
        f"{TAG}/scalar{number}": [number] for number in range(1, 5)
    }


@BOTH
def test_add_histogram(tmp_path: Path, kind: Any) -> None:
    values = RNG.normal(size=(3, 4, 5, 6))
    histogram = log(tmp_path, "add_histogram", TAG, kind(values), 0, bins=100).histograms(TAG)[0]
    counts, edges = np.histogram(values, 100)
    np.testing.assert_array_equal(histogram.counts[-100:], counts)
    np.testing.assert_allclose(histogram.limits[-101:], edges)
    assert (histogram.min, histogram.max, histogram.num) == (values.min(), values.max(), values.size)


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_add_image(tmp_path: Path, kind: Any, dtype: Any) -> None:
    values = np.clip(RNG.normal(size=(6, 3, 5, 4)), 0, 1)
    given = (values * 255 if dtype == np.uint8 else values).astype(dtype)
    run = log(tmp_path, "add_images", TAG, kind(given), 0)
    assert len(files(tmp_path)) == 1
    image = run.images(TAG)[0]
    assert (image.height, image.width, image.clipped) == (5, 6 * 4 + 5 * 2, 0)


@BOTH
def test_add_audio(tmp_path: Path, kind: Any) -> None:
    values = RNG.uniform(-1, 1, 100).astype(np.float32)
    sound = log(tmp_path, "add_audio", TAG, kind(values)).audio(TAG)[0]
    assert (sound.sample_rate, sound.channels, sound.frames) == (44100, 1, 100)
    np.testing.assert_allclose(sound.samples[:, 0], values, atol=1 / 32767)


def test_add_text(tmp_path: Path) -> None:
    run = log(tmp_path, "add_text", TAG, "Hello MXNet!")
    assert [text.text for text in run.texts(TAG)] == ["Hello MXNet!"]


LABELS = RNG.integers(1, 2, 10)


@pytest.mark.parametrize("images", [NDArray, np.asarray, None])
@pytest.mark.parametrize("labels", [NDArray, np.asarray, list, None])
@pytest.mark.parametrize("step", [123456, None])
def test_add_embedding(tmp_path: Path, images: Any, labels: Any, step: int | None) -> None:
    vectors, pictures = RNG.random((10, 20), np.float32), RNG.random((10, 3, 10, 10), np.float32)
    with SummaryWriter(tmp_path) as writer:
        given = labels and labels(LABELS)
        writer.add_embedding(NDArray(vectors), given, images and images(pictures), step, TAG)
    folder = f"projector/{step or 0:05d}/{TAG}"
    expected = ["tensors.bytes", *(["metadata.tsv"] if labels else []), *(["sprite.png"] if images else [])]
    assert sorted(path.name for path in (tmp_path / folder).iterdir()) == sorted(expected)
    item = Run(tmp_path).embeddings(TAG)[0]
    np.testing.assert_array_equal(item.vectors, vectors)
    assert item.step == (step or 0)
    assert item.metadata == ({"label": [str(label) for label in LABELS]} if labels else {})
    assert (item.thumbnails is None) == (images is None)


@pytest.mark.parametrize("kinds", [(NDArray, NDArray), (np.asarray, NDArray), (np.asarray, np.asarray)])
@pytest.mark.parametrize("thresholds", [100, 127, 500])
def test_add_pr_curve(tmp_path: Path, kinds: Any, thresholds: int) -> None:
    labels, predictions = RNG.integers(0, 2, 100), RNG.random(100)
    run = log(tmp_path, "add_pr_curve", TAG, kinds[0](labels), kinds[1](predictions), 0, thresholds)
    curve = run.pr_curves(TAG)[0]
    assert len(curve.threshold) == thresholds
    positive = predictions[:, None] >= curve.threshold
    expected = (positive & (labels[:, None] == 1)).sum(axis=0)
    assert np.abs(curve.true_positives - expected).max() <= 1  # a prediction on the edge between two thresholds
    assert curve.true_positives[0] == labels.sum()
