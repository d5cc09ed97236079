"""Sets of images: arrays and folders, and everything that can be wrong with a folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.data import IMAGENET, ArrayImages, FolderImages, Preprocessing

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def photos() -> Path:
    if not (DATA / "imagenet-sample-images").is_dir():
        pytest.skip(f"needs the photographs in {DATA}")
    return DATA


def _picture(path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


SMALL = Preprocessing(size=16, crop=(12, 12))


# ---------------------------------------------------------------- preprocessing


@pytest.mark.parametrize("size", [(40, 30), (31, 77), (20, 20), (300, 301), (5, 9), (1, 1)])
def test_fit_is_resize_then_centre_crop(size: tuple[int, int]) -> None:
    """Only the part that is kept is resized; it is the same as resizing all and cropping, as torchvision does."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8))
    short, long = min(size), max(size)
    target = (16, int(16 * long / short)) if size[0] == short else (int(16 * long / short), 16)
    whole = picture.resize(target, Image.Resampling.BILINEAR)
    left, top = round((target[0] - 12) / 2), round((target[1] - 12) / 2)
    truth = np.asarray(whole.crop((left, top, left + 12, top + 12)))
    assert np.abs(SMALL.fit(picture).astype(int) - truth).max() <= 1


def test_normalise_and_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    for preprocessing in (IMAGENET, Preprocessing(mean=(104, 117, 123), scale=1, order="BGR"), Preprocessing()):
        values = preprocessing.normalise(pixels)
        assert values.shape == (4, 3, 6, 5)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(preprocessing.to_display(values), pixels)
    red = IMAGENET.normalise(pixels)[0, 0, 2, 3]
    assert red == pytest.approx((pixels[0, 2, 3, 0] / 255 - 0.485) / 0.229, rel=1e-5)
    blue_first = Preprocessing(mean=(104, 117, 123), scale=1, order="BGR").normalise(pixels)
    assert blue_first[0, 0, 2, 3] == float(pixels[0, 2, 3, 2]) - 104


def test_a_panorama_does_not_fill_the_memory() -> None:
    assert SMALL.fit(Image.new("RGB", (200_000, 1))).shape == (12, 12, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"order": "XYZ"},
        {"size": 8, "crop": (9, 9)},
        {"mean": (1, 2)},
        {"std": (0.0,)},
        {"order": "L", "mean": (1, 2, 3)},
    ],
)
def test_impossible_preprocessing_is_refused(options: dict) -> None:
    with pytest.raises(InputError):
        Preprocessing(**options)


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(InputError, match="out of a picture of 30×40"):
        Preprocessing(crop=(50, 50)).fit(Image.new("RGB", (40, 30)))


# ---------------------------------------------------------------- arrays


def test_arrays() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 6), np.uint8)
    images = ArrayImages(pixels, np.arange(9), label_names=["a"], name="x")
    np.testing.assert_allclose(images.images(2, 5)[:, 0], pixels[2:5] / 255, rtol=1e-6)
    assert images.images(7, 20).shape == (2, 1, 8, 6)
    np.testing.assert_array_equal(images.display(3)[:, :, 0], pixels[3])
    part = images.part(2, 5)
    assert (len(part), part.labels.tolist()) == (3, [2, 3, 4])  # type: ignore[union-attr]
    assert len({images.fingerprint, part.fingerprint, ArrayImages(pixels[::-1]).fingerprint}) == 3
    assert ArrayImages(pixels.copy()).fingerprint == images.fingerprint


def test_display_and_input_are_aligned() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 30, 50, 3), np.uint8)
    for preprocessing in (SMALL, IMAGENET, Preprocessing(order="BGR"), Preprocessing(size=20)):
        images = ArrayImages(pixels, preprocessing=preprocessing)
        np.testing.assert_array_equal(preprocessing.to_display(images.images(1, 2)[0]), images.display(1))
    grey = ArrayImages(pixels[:, :, :, :1], preprocessing=Preprocessing())
    assert grey.images(0, 2).shape == (2, 3, 30, 50)
    assert grey.display(0).shape == (30, 50, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((2, 3, 4), np.float32),),
        (np.zeros((3, 4), np.uint8),),
        (np.zeros((0, 3, 4), np.uint8),),
        (np.zeros((2, 3, 4, 2), np.uint8),),
        (np.zeros((2, 3, 4), np.uint8), [1, 2, 3]),
    ],
)
def test_wrong_arrays_are_refused(arguments: tuple) -> None:
    with pytest.raises(InputError):
        ArrayImages(*arguments)


# ---------------------------------------------------------------- folders


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/a.jpg", "dog/a.JPEG", "cat/c.webp"):
        _picture(tmp_path / name)
    images = FolderImages(tmp_path, SMALL)
    assert images.files == ("cat/a.jpg", "cat/c.webp", "dog/a.JPEG", "dog/b.png")
    assert images.label_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 1, 1]  # type: ignore[union-attr]
    assert images.images(1, 4).shape == (3, 3, 12, 12)
    assert images.name == tmp_path.name
    _picture(tmp_path / "loose.png")
    assert FolderImages(tmp_path, SMALL).labels.tolist() == [0, 0, 1, 1, -1]  # type: ignore[union-attr]


def test_without_sub_folders_there_are_no_classes(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    images = FolderImages(tmp_path, SMALL)
    assert images.labels is None
    assert images.label_names == ()


def _bomb(path: Path) -> None:
    """A PNG of a few bytes that claims to be 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def test_what_cannot_be_read_is_skipped_and_named(tmp_path: Path) -> None:
    for name in ("good.jpg", "tiny.png"):
        _picture(tmp_path / name, (1, 1) if name == "tiny.png" else (400, 300))
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "text.jpg").write_text("this is no photograph")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = _picture(tmp_path / "cut.jpg", (400, 300)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    whole = _picture(tmp_path / "cut.png", (400, 300)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    _bomb(tmp_path / "bomb.png")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "good.jpg")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    images = FolderImages(tmp_path, SMALL)
    assert images.files == ("good.jpg", "link.jpg", "tiny.png")
    assert set(images.skipped) == {"text.jpg", "empty.png", "cut.jpg", "cut.png", "bomb.png", "broken.jpg", "loop"}
    assert images.skipped["text.jpg"] == "not an image"
    assert "truncated" in images.skipped["cut.jpg"]
    assert "pixels" in images.skipped["bomb.png"]
    assert images.skipped["broken.jpg"] == "a broken link"
    assert images.skipped["loop"] == "a linked folder is not followed"
    assert images.images(0, 3).shape == (3, 3, 12, 12)


def test_a_jpeg_with_something_after_its_end_is_whole(tmp_path: Path) -> None:
    path = _picture(tmp_path / "motion.jpg")
    path.write_bytes(path.read_bytes() + b"a video that a phone has put here" * 100)
    assert FolderImages(tmp_path, SMALL).files == ("motion.jpg",)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_rgb_or_grey(tmp_path: Path, mode: str) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    if mode == "I;16":
        Image.fromarray(np.full((30, 40), 700, np.uint16)).save(tmp_path / "x.png")
    else:
        _picture(tmp_path / f"x{suffix}", mode=mode)
    assert FolderImages(tmp_path, SMALL).images(0, 1).shape == (1, 3, 12, 12)
    grey = Preprocessing(size=16, crop=(12, 12), order="L")
    assert FolderImages(tmp_path, grey).images(0, 1).shape == (1, 1, 12, 12)


def test_missing_empty_and_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        FolderImages(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no readable image .*0 unreadable, 0 other files"):
        FolderImages(tmp_path)
    file = tmp_path / "a.txt"
    file.write_text("x")
    with pytest.raises(InputError, match="is a file; give the folder"):
        FolderImages(file)
    (tmp_path / "b.jpg").write_text("x")
    with pytest.raises(InputError, match=r"1 unreadable, 1 other files, b\.jpg: not an image"):
        FolderImages(tmp_path)


def test_images_of_several_sizes_need_a_crop(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png", (40, 30))
    _picture(tmp_path / "b.png", (30, 40))
    with pytest.raises(InputError, match="differ in size"):
        FolderImages(tmp_path, Preprocessing()).images(0, 2)


def test_a_file_that_breaks_later_is_named(tmp_path: Path) -> None:
    path = _picture(tmp_path / "a.png")
    images = FolderImages(tmp_path, SMALL)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"a\.png could be read before but not now"):
        images.images(0, 1)


def test_fingerprint_follows_files_and_preprocessing(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    one = FolderImages(tmp_path, SMALL).fingerprint
    assert one == FolderImages(tmp_path, SMALL).fingerprint
    assert one != FolderImages(tmp_path, IMAGENET).fingerprint
    _picture(tmp_path / "b.png")
    assert one != FolderImages(tmp_path, SMALL).fingerprint


def test_real_photographs(photos: Path) -> None:
    images = FolderImages(photos / "imagenet-sample-images")
    assert (len(images), images.skipped, images.labels) == (1000, {}, None)
    values = images.images(990, 1010)
    assert values.shape == (10, 3, 224, 224)
    assert abs(values.mean()) < 0.5
    np.testing.assert_array_equal(IMAGENET.to_display(values[3]), images.display(993))


def test_real_classes(photos: Path) -> None:
    if not (photos / "clothing-small" / "test").is_dir():
        pytest.skip(f"needs clothing-small in {photos}")
    images = FolderImages(photos / "clothing-small" / "test")
    assert len(images.label_names) == 10
    assert "t-shirt" in images.label_names
    assert np.bincount(images.labels, minlength=10).min() > 0  # type: ignore[arg-type]
    everything = FolderImages(photos / "clothing-small")
    assert len(everything) + len(everything.skipped) == 3781
    assert "train/dress" in everything.label_names
