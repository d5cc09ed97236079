"""Sound: WAV through the standard library's reader, shapes and types of samples, against TensorBoard and torch."""

from __future__ import annotations

import io
import struct
import warnings
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convscope.errors import FormatError, InputError
from convscope.formats import wav
from convscope.formats.record import frame
from convscope.recording import SummaryWriter
from convscope.store import Run
from tensorboard_oracle import accumulate, event_class

RNG = np.random.default_rng(0)


def opened(data: bytes) -> tuple[np.ndarray, int]:
    """Return what the standard library reads: samples ``(frames, channels)`` and the sample rate."""
    with wave.open(io.BytesIO(data)) as file:
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()), file.getframerate()


def logged(path: Path, sound: Any, **options: Any) -> Any:
    with SummaryWriter(path) as writer:
        writer.add_audio("t", sound, **options)
    (audio,) = Run(path).audio("t")
    return audio


def test_tensorboard_the_standard_library_and_we_read_the_same(tmp_path: Path) -> None:
    sound = RNG.uniform(-1, 1, (400, 2)).astype(np.float32)
    with SummaryWriter(tmp_path) as writer:
        writer.add_audio("t", sound, 3, 8000, 5.5)
        writer.add_audio("t", torch.tensor(sound[:, 0], requires_grad=True), 4)
    run = Run(tmp_path)
    assert run.tags() == {"audio": ["t"]}
    first, second = run.audio("t")
    board = accumulate(tmp_path).Audio("t")
    assert [(event.step, event.sample_rate, event.length_frames, event.content_type) for event in board] == [
        (3, 8000.0, 400, "audio/wav"),
        (4, 44100.0, 400, "audio/wav"),
    ]
    assert (first.step, first.wall_time, first.sample_rate, first.channels, first.frames) == (3, 5.5, 8000.0, 2, 400)
    assert (second.sample_rate, second.channels, second.frames) == (44100.0, 1, 400)
    assert first.wav == board[0].encoded_audio_string
    samples, rate = opened(first.wav)
    assert rate == 8000
    assert np.array_equal(samples, np.rint(sound * 32768).clip(-32768, 32767))
    assert np.abs(first.samples - sound).max() <= 1 / 32768
    assert first.samples.dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((50,), (50, 1)),
        ((1, 50), (50, 1)),
        ((50, 1), (50, 1)),
        ((50, 2), (50, 2)),
        ((2, 50), (50, 2)),
        ((8, 50), (50, 8)),
        ((1, 1, 50), (50, 1)),
        ((1, 2, 50), (50, 2)),
        ((2, 2), (2, 2)),
        ((1, 1), (1, 1)),
        ((), (1, 1)),
    ],
)
def test_the_shorter_axis_is_that_of_the_channels(tmp_path: Path, shape: tuple[int, ...], expected: Any) -> None:
    sound = RNG.integers(-32768, 32767, shape, np.int16)
    found = logged(tmp_path, sound)
    assert (found.frames, found.channels) == expected
    samples, _ = opened(found.wav)
    squeezed = np.squeeze(sound)
    fitting = squeezed.T if squeezed.ndim == 2 and squeezed.shape[0] < squeezed.shape[1] else squeezed
    assert np.array_equal(samples, fitting.reshape(expected))


def test_sound_is_that_of_torch_but_for_rounding(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from torch.utils.tensorboard import summary
    sound = RNG.uniform(-1, 1, (1, 2000)).astype(np.float32)
    audio = summary.audio("t", sound, 16000).value[0].audio
    found = logged(tmp_path, sound, sample_rate=16000)
    theirs, rate = opened(audio.encoded_audio_string)
    assert rate == found.sample_rate == audio.sample_rate
    assert (found.channels, found.frames) == (audio.num_channels, audio.length_frames)
    assert np.abs(opened(found.wav)[0].astype(int) - theirs).max() <= 2


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50), st.integers(1, 2))
def test_pcm_of_16_bits_is_kept_exactly_and_floats_of_its_steps_too(values: list[int], channels: int) -> None:
    pcm = np.array(values, np.int16).repeat(channels).reshape(-1, channels)
    data = wav.encode(wav.to_int16(pcm)[0], 8000)
    assert np.array_equal(opened(data)[0], pcm)
    steps = wav.decode(data)
    again, clipped = wav.to_int16(steps)
    assert np.array_equal(again, pcm)
    assert clipped == 0


@pytest.mark.parametrize(
    ("sound", "expected", "clipped"),
    [
        (np.array([1.0, -1.0, 0.5, 0.0]), [32767, -32768, 16384, 0], 0),
        (np.array([1.5, -7.0, np.nan, np.inf, -np.inf]), [32767, -32768, 0, 32767, -32768], 5),
        (np.array([0.5, 2.0], np.float16), [16384, 32767], 1),
        (torch.tensor([0.5, -0.25], dtype=torch.bfloat16), [16384, -8192], 0),
        (np.array([0, 128, 255], np.uint8), [-32768, 0, 32512], 0),
        (np.array([-(1 << 31), 0, (1 << 31) - 1], np.int32), [-32768, 0, 32767], 0),
        ([0.5, -0.5], [16384, -16384], 0),
    ],
)
def test_samples_become_16_bits_and_what_is_clipped_is_counted(
    tmp_path: Path, sound: Any, expected: list[int], clipped: int
) -> None:
    found = logged(tmp_path, sound)
    assert opened(found.wav)[0][:, 0].tolist() == expected
    assert found.clipped == clipped
    assert len(accumulate(tmp_path).Audio("t")) == 1


@pytest.mark.parametrize(
    ("sound", "options", "message"),
    [
        (np.zeros(0), {}, r"at least one sample, got the shape \(0,\)"),
        (np.zeros((2, 0)), {}, "at least one sample"),
        (np.zeros((20, 30)), {}, r"at most 8 channels, got \(20, 30\); log several sounds one by one"),
        (np.zeros((2, 2, 9)), {}, r"got \(2, 2, 9\)"),
        (np.zeros(3, np.int64), {}, "or uint8, int16 or int32 PCM, got int64; convert it"),
        (np.zeros(3, bool), {}, "got bool"),
        (np.zeros(3, complex), {}, "got complex128"),
        ("sound.wav", {}, "expected an array of numbers, got 'sound.wav'"),
        (np.zeros(3), {"sample_rate": 0}, "sample_rate is a whole number of frames in a second, above 0, got 0"),
        (np.zeros(3), {"sample_rate": 22050.5}, r"got 22050\.5"),
        (np.zeros(3), {"sample_rate": float("nan")}, "got nan"),
        (np.zeros(3), {"sample_rate": 1 << 40}, "got 1099511627776"),
    ],
)
def test_what_is_no_sound(tmp_path: Path, sound: Any, options: dict[str, Any], message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        writer.add_audio("t", sound, **options)
    assert Run(tmp_path).tags() == {}


def test_more_than_a_wav_file_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "_LONGEST", 7)
    with pytest.raises(InputError, match="a WAV file holds 4 GiB, got 8 bytes of samples"):
        wav.encode(np.zeros((4, 1), np.int16), 8000)


def riff(code: int, bits: int, content: bytes, channels: int = 1, extra: bytes = b"") -> bytes:
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", code, channels, 8000, 8000 * width, width, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"LIST" + struct.pack("<I", 3) + b"odd\0"
    chunks += b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


EXTENSION = struct.pack("<HHIH", 22, 16, 3, 1) + bytes(14)


@pytest.mark.parametrize(
    "data",
    [
        riff(1, 8, bytes([0, 64, 128, 192])),
        riff(1, 16, struct.pack("<4h", -32768, -16384, 0, 16384)),
        riff(1, 24, b"\0\0\x80" + b"\0\0\xc0" + b"\0\0\0" + b"\0\0\x40"),
        riff(1, 32, struct.pack("<4i", -(1 << 31), -(1 << 30), 0, 1 << 30)),
        riff(3, 32, struct.pack("<4f", -1, -0.5, 0, 0.5)),
        riff(3, 64, struct.pack("<4d", -1, -0.5, 0, 0.5)),
        riff(0xFFFE, 16, struct.pack("<4h", -32768, -16384, 0, 16384), extra=EXTENSION),
        riff(1, 16, struct.pack("<4h", -32768, -16384, 0, 16384) + b"\1"),
    ],
)
def test_every_linear_wav_is_read(data: bytes) -> None:
    assert wav.decode(data).ravel().tolist() == [-1.0, -0.5, 0.0, 0.5]
    assert wav.decode_header(data) == wav.Header(8000, 1, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected a WAV file, got bytes that start with b''"),
        (b"OggS" + bytes(20), "expected a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "has the chunks 'fmt ' and 'data'"),
        (riff(6, 8, b"abc"), "format 6 with 8 bits and 1 channels is not read"),
        (riff(1, 16, b"", channels=0), "0 channels"),
        (riff(1, 16, b"ab")[:30], "has the chunks"),
    ],
)
def test_what_is_no_linear_wav(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        wav.decode(data)


@given(st.binary(max_size=80))
def test_damaged_wav_is_told(noise: bytes) -> None:
    for data in (noise, b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + noise):
        with suppress(FormatError):
            assert wav.decode(data).ndim == 2


def test_sounds_of_tensorflow_2_are_read(tmp_path: Path) -> None:
    """TensorFlow 2 stores pairs of WAV and label as strings, for the plugin ``audio``."""
    event = event_class()(wall_time=2.0, step=7)
    value = event.summary.value.add(tag="t")
    value.metadata.plugin_data.plugin_name = "audio"
    value.tensor.dtype = 7
    for size in (2, 2):
        value.tensor.tensor_shape.dim.add(size=size)
    data = wav.encode(np.array([[1, 2], [3, 4], [5, 6]], np.int16), 22050)
    value.tensor.string_val.extend([data, b"first", b"other", b"second"])
    (tmp_path / "events.out.tfevents.0000000001.host").write_bytes(frame(event.SerializeToString()))
    (audio,) = Run(tmp_path).audio("t")
    assert (audio.step, audio.wall_time, audio.sample_rate, audio.channels, audio.frames) == (7, 2.0, 22050, 2, 3)
    assert (audio.samples * 32768).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert audio.wav == data
