"""Sets of images: arrays and folders, and everything that can be wrong with a folder."""

from __future__ import annotations

import json
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
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
    images = ArrayImages(pixels, np.arange(9), label_names=list("abcdefghi"), name="x")
    np.testing.assert_allclose(images.images(2, 5)[:, 0], pixels[2:5] / 255, rtol=1e-6)
    assert images.images(7, 20).shape == (2, 1, 8, 6)
    np.testing.assert_array_equal(images.display(3)[:, :, 0], pixels[3])
    part = images.part(2, 5)
    assert (len(part), part.labels.tolist()) == (3, [2, 3, 4])  # type: ignore[union-attr]
    assert len({images.fingerprint, part.fingerprint, ArrayImages(pixels[::-1]).fingerprint}) == 3
    assert ArrayImages(pixels.copy(), range(9), label_names=list("abcdefghi")).fingerprint == images.fingerprint
    assert ArrayImages(pixels).fingerprint != images.fingerprint


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


def _save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


PLAIN = Preprocessing()
CORNERS = np.zeros((16, 24, 3), np.uint8)
CORNERS[:8, :12], CORNERS[:8, 12:], CORNERS[8:, :12], CORNERS[8:, 12:] = 250, 20, 90, 160


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_stand_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Stored as the EXIF definition says for each orientation, all eight come out as the same picture."""
    store = {
        1: lambda p: p, 2: np.fliplr, 3: lambda p: p[::-1, ::-1], 4: np.flipud,
        5: lambda p: p.transpose(1, 0, 2), 6: lambda p: np.rot90(p, 1), 7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda p: np.rot90(p, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    _save(tmp_path / f"x{suffix}", np.ascontiguousarray(store[orientation](CORNERS)), exif=exif, quality=95)
    shown = FolderImages(tmp_path, PLAIN).display(0)
    assert shown.shape == CORNERS.shape
    assert np.abs(shown.astype(int) - CORNERS).mean() < 4


def test_an_odd_orientation_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    _save(tmp_path / "a.png", CORNERS, exif=exif)
    _save(tmp_path / "b.jpg", CORNERS, exif=b"Exif\0\0nonsense that is no TIFF header", quality=95)
    images = FolderImages(tmp_path, PLAIN)
    np.testing.assert_array_equal(images.display(0), CORNERS)
    assert images.display(1).shape == CORNERS.shape


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    alpha = np.zeros((4, 6, 4), np.uint8)
    alpha[:, 2:4] = 200, 100, 0, 255
    alpha[:, 4:] = 0, 0, 0, 128
    _save(tmp_path / "rgba.png", alpha)
    _save(tmp_path / "rgba.webp", alpha, lossless=True)
    palette = Image.fromarray(np.tile(np.array([0, 0, 1, 1, 2, 2], np.uint8), (4, 1)), "L").convert("P")
    palette.putpalette([9, 9, 9, 200, 100, 0, 1, 2, 3])
    palette.save(tmp_path / "palette.png", transparency=b"\0\xff\x80")
    palette.save(tmp_path / "palette.gif", transparency=0)
    Image.fromarray(alpha[..., 0]).save(tmp_path / "grey.png", transparency=0)
    images = FolderImages(tmp_path, PLAIN)
    for number, name in enumerate(images.names):
        assert images.display(number)[0, 0].tolist() == [255, 255, 255], name
        assert images.display(number)[3, 2].tolist() == ([200] * 3 if name == "grey.png" else [200, 100, 0]), name
    half = images.display(images.names.index("rgba.png"))[0, 5]
    assert half.tolist() == [127, 127, 127]


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    """Pillow's own conversion would cut everything above 255 off to white."""
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for name in ("a.png", "b.tif", "c.pgm"):
        Image.fromarray(ramp).save(tmp_path / name)
    images = FolderImages(tmp_path, PLAIN)
    for number in range(3):
        np.testing.assert_array_equal(images.display(number)[..., 1].ravel(), np.arange(256))


def test_pixels_without_a_known_range_are_skipped(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "f.tif")
    Image.fromarray(np.zeros((4, 4), np.int32)).save(tmp_path / "i.tif")
    skipped = FolderImages(tmp_path, PLAIN).skipped
    assert set(skipped) == {"f.tif", "i.tif"}
    assert "mode 'F' have no known range" in skipped["f.tif"]


def test_the_first_frame_stands_for_a_moving_picture(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    for name in ("a.gif", "b.webp", "c.png", "d.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    images = FolderImages(tmp_path, PLAIN)
    assert len(images) == 4
    for number in range(4):
        assert images.display(number)[4, 4, 0] > 240
        assert images.display(number)[4, 4, 1] < 15


def test_cmyk_shows_its_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red = FolderImages(tmp_path, PLAIN).display(0)[8, 8]
    assert red[0] > 240
    assert red[1:].max() < 15


def test_a_file_is_what_it_holds_whatever_its_suffix(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png").rename(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    images = FolderImages(tmp_path, SMALL)
    assert images.names == ("a.jpg",)
    assert images.skipped == {"b.jpg": "not an image"}  # Pillow would hand it to Ghostscript


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    whole = _picture(tmp_path / "good.png").read_bytes()
    head, rest = whole[:33], whole[33:]
    bomb = zlib.compress(b"\0" * (64 << 20), 9)
    (tmp_path / "ztxt.png").write_bytes(head + chunk(b"zTXt", b"Comment\0\0" + bomb) + rest)
    (tmp_path / "iccp.png").write_bytes(head + chunk(b"iCCP", b"profile\0\0" + bomb) + rest)
    (tmp_path / "size.bmp").write_bytes(
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 1 << 30, 1 << 30, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    (tmp_path / "size.gif").write_bytes(b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0;")
    images = FolderImages(tmp_path, SMALL)
    assert images.names[0] == "good.png"
    assert {"size.bmp", "size.gif"} <= set(images.skipped)
    for name in set(images.names) & {
        "ztxt.png",
        "iccp.png",
    }:  # Pillow leaves out what is too large, or refuses the file
        assert images.display(images.names.index(name)).shape == (12, 12, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tif", ".bmp"])
def test_whatever_is_wrong_inside_a_file_is_skipped_or_shown(tmp_path: Path, suffix: str) -> None:
    """Bytes changed at random: no exception but ours, and what the full check lets in can be decoded."""
    whole = np.frombuffer(_picture(tmp_path / f"good{suffix}", (60, 40)).read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    for number in range(60):
        broken = whole[: len(whole) if number % 3 else int(generator.integers(1, len(whole)))].copy()
        places = generator.integers(0, min(len(broken), 200 if number % 2 else len(broken)), 3)
        broken[places] = generator.integers(0, 256, len(places))
        (tmp_path / f"{number:02}{suffix}").write_bytes(broken.tobytes())
    images = FolderImages(tmp_path, SMALL)
    assert len(images) + len(images.skipped) == 61
    assert all(images.skipped.values())
    assert images.images(0, len(images)).shape[1:] == (3, 12, 12)


def test_a_quick_check_finds_what_is_cut_off(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".webp", ".gif"):
        whole = _picture(tmp_path / f"good{suffix}", (200, 150)).read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "motion.jpg").write_bytes((tmp_path / "good.jpg").read_bytes() + b"a video" * 50)
    images = FolderImages(tmp_path, SMALL, check="quick")
    assert set(images.skipped) == {"cut.jpg", "cut.png", "cut.webp", "cut.gif"}
    damaged = bytearray((tmp_path / "good.png").read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "good.png").write_bytes(damaged)
    assert "good.png" in FolderImages(tmp_path, SMALL).skipped
    images = FolderImages(tmp_path, SMALL, check="quick")
    with pytest.raises(FormatError, match=r"good\.png of .* looked whole but cannot be read"):
        images.images(0, len(images))
    with pytest.raises(InputError, match="unknown check 'slow'; use full or quick"):
        FolderImages(tmp_path, check="slow")


def test_names_that_are_no_utf8_can_be_shown(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        Path(os.fsdecode(odd)).mkdir()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    Path(os.fsdecode(odd + b"/\xff.png")).write_bytes(_picture(tmp_path / "a.png").read_bytes())
    images = FolderImages(tmp_path, SMALL)
    assert images.names == ("a.png", "caf\\xe9/\\xff.png")
    assert images.label_names == ("caf\\xe9",)
    assert images.images(0, 2).shape == (2, 3, 12, 12)
    json.dumps([*images.names, images.fingerprint]).encode()


def test_what_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/x.png", "b/x.png"):
        _picture(tmp_path / name)
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    images = FolderImages(tmp_path, SMALL)
    assert images.skipped == {"b": "cannot be opened (Permission denied)"}
    assert images.names == ("a/x.png",)
    monkeypatch.setattr(Image, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(InputError, match=r"a/x\.png: permission denied"):
        FolderImages(tmp_path, SMALL)


def test_asking_for_what_is_not_there(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    images = FolderImages(tmp_path, SMALL)
    with pytest.raises(NotFoundError, match=r"no images 1 to 5 in .*; it has 1"):
        images.images(1, 5)
    with pytest.raises(NotFoundError, match="no image 1 in"):
        images.display(1)


def test_pillows_warnings_stay_ours_and_the_filters_come_back(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png", mode="P").rename(tmp_path / "b.png")
    before = list(warnings.filters)
    images = FolderImages(tmp_path, SMALL)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(images.display, [0] * 50))
    assert warnings.filters == before


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
    with pytest.raises(FormatError, match=r"a\.png of .* could be read before but not now"):
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
    assert (len(images), images.skipped) == (1000, {})
    assert images.labels_from == "WordNet ids in the names of the files"
    np.testing.assert_array_equal(images.labels, np.arange(1000))
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
