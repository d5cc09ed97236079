"""Moving pictures: APNG and GIF through Pillow, MP4 through PyAV, grids against torch's."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.arrays import grid
from convscope.errors import InputError, MissingExtraError, NotFoundError
from convscope.formats import apng, gif, mp4
from convscope.recording import SummaryWriter, media
from convscope.recording.media import _columns
from convscope.store import Run
from tensorboard_oracle import accumulate

RNG = np.random.default_rng(0)


def frames_of(data: bytes, mode: str) -> tuple[np.ndarray, list[float]]:
    """Return the frames as Pillow shows them, one after the other, and their times in milliseconds."""
    shown, times = [], []
    with Image.open(io.BytesIO(data)) as film:
        for number in range(film.n_frames):
            film.seek(number)
            shown.append(np.asarray(film.convert(mode)))
            times.append(film.info["duration"])
    return np.stack(shown), times


def film(count: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Return a smooth picture over which a square moves."""
    y, x, c = np.mgrid[:height, :width, :channels]
    frames = np.repeat((40 + 3 * y + 2 * x + 20 * c)[None], count, axis=0).clip(0, 255).astype(np.uint8)
    for number, frame in enumerate(frames):
        frame[2:6, 2 + number : 6 + number] = 255
    return frames


def test_apng_and_gif_are_read_by_tensorboard_and_by_us(tmp_path: Path) -> None:
    frames = film(4, 10, 14).transpose(0, 3, 1, 2)[None]
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("a", frames, 3, 8, 5.5)
        writer.add_video("g", frames, codec="gif")
    board, run = accumulate(tmp_path), Run(tmp_path)
    for tag, kind, mime in (("a", "PNG", "image/png"), ("g", "GIF", "image/gif")):
        (event,), (picture,) = board.Images(tag), run.images(tag)
        assert event.encoded_image_string == picture.png
        assert (event.height, event.width, picture.height, picture.width) == (10, 14, 10, 14)
        assert picture.media_type == mime
        with Image.open(io.BytesIO(picture.png)) as opened:  # how TensorBoard finds the media type
            assert opened.format == kind
    assert (board.Images("a")[0].step, board.Images("a")[0].wall_time) == (3, 5.5)
    shown, times = frames_of(run.images("a")[0].png, "RGB")
    assert np.array_equal(shown, frames[0].transpose(0, 2, 3, 1))
    assert times == [125.0] * 4


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]), st.integers(0, 2**32 - 1))
def test_apng_keeps_every_pixel(count: int, height: int, width: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, height, width, channels), np.uint8)
    frames[1:] = np.where(rng.random((count - 1, height, width, 1)) < rng.random() ** 2, frames[1:], frames[:1])
    shown, _ = frames_of(apng.encode(frames, 5), {1: "L", 3: "RGB", 4: "RGBA"}[channels])
    assert np.array_equal(shown.reshape(frames.shape), frames)


def test_apng_stores_only_what_has_changed() -> None:
    frames = RNG.integers(0, 256, (1, 60, 60, 3), np.uint8).repeat(5, axis=0)
    for number, frame in enumerate(frames):
        frame[10:13, number] = 0
    still = len(apng.encode(frames[:1], 4))
    assert still > 60 * 60 * 3 * 0.9
    assert len(apng.encode(frames, 4)) < still + 5 * 200


@pytest.mark.parametrize("fps", [0.01, 0.3, 1, 4, 29.97, 60, 1000])
def test_apng_keeps_time(fps: float) -> None:
    _, times = frames_of(apng.encode(film(2, 8, 9), fps), "RGB")
    assert times == pytest.approx([1000 / fps] * 2, rel=1e-4)


@pytest.mark.parametrize("fps", [0.5, 4, 24, 30, 50])
def test_gif_keeps_time_on_the_whole(fps: float) -> None:
    _, times = frames_of(gif.encode(film(30, 8, 40), fps), "RGB")
    assert len(times) == 30
    assert sum(times) == pytest.approx(30_000 / fps, abs=10)
    assert max(times) - min(times) <= 10
    _, fast = frames_of(gif.encode(film(3, 8, 9), 200), "RGB")
    assert fast == [20] * 3


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_keeps_up_to_256_colours_exactly(channels: int) -> None:
    palette = RNG.integers(0, 256, (256, channels), np.uint8)
    frames = palette[RNG.integers(0, 256, (3, 20, 30))]
    shown, _ = frames_of(gif.encode(frames, 4), "RGB")
    assert np.array_equal(shown, np.broadcast_to(frames, (3, 20, 30, 3)))


def test_gif_of_more_colours_is_close_and_does_not_flicker() -> None:
    frames = film(6, 60, 80)
    frames[:, 10:, :, 0] = 4 * np.arange(50)[:, None]
    assert len(np.unique(frames.reshape(-1, 3), axis=0)) > 256
    shown, _ = frames_of(gif.encode(frames, 4), "RGB")
    assert np.abs(shown.astype(int) - frames).mean() < 4
    assert (shown[:, 10:] == shown[:1, 10:]).all()  # only the upper rows move


def test_gif_of_identical_frames_lasts_as_long_as_they_do() -> None:
    shown, times = frames_of(gif.encode(np.full((5, 4, 4, 1), 7, np.uint8), 10), "L")
    assert (shown == 7).all()
    assert sum(times) == 500


def test_both_repeat_for_ever() -> None:
    for data in (apng.encode(film(2, 8, 9), 4), gif.encode(film(2, 8, 9), 4)):
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.info["loop"] == 0


@pytest.mark.parametrize("layout", ["NTCHW", "NTHWC", "TNHWC", "ntchw"])
def test_several_films_stand_side_by_side(tmp_path: Path, layout: str) -> None:
    films = RNG.integers(1, 256, (5, 2, 3, 4, 6), np.uint8)
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("t", films.transpose(["NTCHW".index(axis) for axis in layout.upper()]), dataformats=layout)
    shown, _ = frames_of(Run(tmp_path).images("t")[0].png, "RGB")
    assert shown.shape == (2, 2 * 4 + 2, 3 * 6 + 2 * 2, 3)
    for number, one in enumerate(films):
        top, left = number // 3 * 6, number % 3 * 8
        assert np.array_equal(shown[:, top : top + 4, left : left + 6], one.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_films_stand_in_the_rows_that_torch_gives_them(count: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from torch.utils.tensorboard._utils import _prepare_video
    films = RNG.random((count, 2, 1, 3, 4))
    assert np.array_equal(grid(films.transpose(0, 1, 3, 4, 2), _columns(count), 0), _prepare_video(films))


@pytest.mark.parametrize(("layout", "shape"), [("TCHW", (3, 1, 4, 5)), ("THWC", (3, 4, 5, 3)), ("HWT", (4, 5, 3))])
def test_one_film_in_other_layouts_and_what_is_clipped(tmp_path: Path, layout: str, shape: tuple[int, ...]) -> None:
    values = RNG.random(shape)
    values.flat[:2] = 1.5, np.nan
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("t", values, dataformats=layout)
    (picture,) = Run(tmp_path).images("t")
    assert picture.clipped == 2
    assert frames_of(picture.png, "RGB")[0].shape == (3, 4, 5, 3)


def test_transparent_films(tmp_path: Path) -> None:
    frames = np.zeros((2, 3, 4, 4), np.uint8)
    frames[1, ..., 3] = 255
    frames[0, 0, 0] = 10, 20, 30, 102  # 40 % opaque
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("a", frames, dataformats="THWC")
        writer.add_video("g", frames, dataformats="THWC", codec="gif")
    run = Run(tmp_path)
    assert np.array_equal(frames_of(run.images("a")[0].png, "RGBA")[0], frames)
    shown = frames_of(run.images("g")[0].png, "RGB")[0]
    assert shown[0, 0, 0].tolist() == [157, 161, 165]
    assert (shown[0, 1:] == 255).all()
    assert (shown[1] == 0).all()


def test_mp4_without_pyav_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with (
        SummaryWriter(tmp_path) as writer,
        pytest.raises(MissingExtraError, match=r"encoding MP4 needs av; .*convscope\[video\]"),
    ):
        writer.add_video("t", film(2, 8, 9), dataformats="THWC", codec="mp4")
    assert Run(tmp_path).tags() == {}


def test_the_media_type_of_mp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(media.CODECS, "mp4", lambda frames, fps: b"\0\0\0\x20ftypisom" + bytes(8))
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("t", film(2, 8, 9), dataformats="THWC", codec="mp4")
    assert Run(tmp_path).images("t")[0].media_type == "video/mp4"


@pytest.mark.parametrize("shape", [(6, 37, 51, 3), (3, 16, 16, 1)])
def test_mp4_is_close_to_what_was_logged(tmp_path: Path, shape: tuple[int, ...]) -> None:
    av = pytest.importorskip("av")
    frames = film(*shape)
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("t", frames, dataformats="THWC", codec="mp4", fps=29.97)
    (picture,) = Run(tmp_path).images("t")
    assert picture.media_type == "video/mp4"
    with av.open(io.BytesIO(picture.png)) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(29.97)
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert shown.shape[0] == shape[0]
    assert np.abs(shown[:, : shape[1], : shape[2]].astype(int) - frames).mean() < 8
    assert mp4.encode(frames, 4)[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("shape", "options", "error", "message"),
    [
        ((5, 3, 10, 12), {}, InputError, r"'NTCHW' does not fit an array of shape \(5, 3, 10, 12\); 'TCHW' would"),
        ((5, 3, 10, 12), {"dataformats": "NCHW"}, InputError, "a film has an axis T, got the layout 'NCHW'"),
        ((1, 5, 3, 10, 12), {"dataformats": "NTCHX"}, InputError, "unknown layout 'NTCHX'"),
        ((1, 5, 7, 10, 12), {}, InputError, "1, 3 or 4 channels, got 7"),
        ((1, 0, 3, 10, 12), {}, InputError, "at least one pixel"),
        ((1, 5, 3, 10, 12), {"fps": 0}, InputError, "fps is a number of frames in a second, from 0.01 to 1000, got 0"),
        ((1, 5, 3, 10, 12), {"fps": -4}, InputError, "got -4"),
        ((1, 5, 3, 10, 12), {"fps": float("nan")}, InputError, "got nan"),
        ((1, 5, 3, 10, 12), {"codec": "apg"}, NotFoundError, "no codec 'apg'; did you mean 'apng'"),
        ((1, 5, 3, 10, 12), {"codec": None}, NotFoundError, "no codec 'None'"),
    ],
)
def test_what_is_no_film(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(error, match=message):
        writer.add_video("t", np.zeros(shape), **options)
    assert Run(tmp_path).tags() == {}
