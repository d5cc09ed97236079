from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.errors import FormatError
from convscope.formats import events, histogram, tensor, values
from tensorboard_oracle import event_class


def one(tag: str, fields: bytes) -> bytes:
    return events.encode_values(1.5, 3, [(tag, fields)])


def by_protobuf(data: bytes):
    return event_class().FromString(data)


def test_file_version_and_session_start() -> None:
    event = by_protobuf(events.encode_file_version(12.5, 7))
    assert (event.file_version, event.wall_time, event.source_metadata.writer) == ("brain.Event:2", 12.5, "convscope")
    event = by_protobuf(events.encode_session_start(12.5, 7))
    assert (event.step, event.session_log.status) == (7, event.session_log.START)
    assert events.decode_event(events.encode_session_start(1.0, 7)).starts_session


def test_histogram() -> None:
    counted = histogram.count(np.array([-1.0, 0.0, 2.5, np.nan, np.inf, np.inf]))
    data = one("h", values.encode_histogram(counted))
    histo = by_protobuf(data).summary.value[0].histo
    assert (histo.min, histo.max, histo.num, histo.sum, histo.sum_squares) == (-1, 2.5, 3, 1.5, 7.25)
    assert list(histo.bucket_limit) == counted.limits.tolist()
    assert list(histo.bucket) == counted.counts.tolist()
    read = values.decode_histogram(events.decode_event(data).values[0])
    assert read.apart == (1, 2, 0, 1)
    assert read.limits.tolist() == counted.limits.tolist()


def test_image_text_and_entry() -> None:
    data = one("i", values.encode_image(values.EncodedImage(2, 5, b"png"), 3))
    image = by_protobuf(data).summary.value[0].image
    assert (image.height, image.width, image.colorspace, image.encoded_image_string) == (2, 5, 3, b"png")
    assert values.decode_image(events.decode_event(data).values[0]) == values.EncodedImage(2, 5, b"png")

    value = by_protobuf(one("t", values.encode_text("né"))).summary.value[0]
    assert (value.metadata.plugin_data.plugin_name, value.tensor.dtype) == ("text", 7)
    assert (value.tensor.string_val[0].decode(), value.tensor.tensor_shape.dim[0].size) == ("né", 1)

    data = one("conv1", values.encode_entry("topk", {"id": "x"}))
    value = by_protobuf(data).summary.value[0]
    assert (value.metadata.plugin_data.plugin_name, value.metadata.plugin_data.content) == ("convscope", b"topk")
    assert values.decode_entry(events.decode_event(data).values[0]) == {"id": "x"}


def tensor_event(array: np.ndarray, plugin: str, *, listed: bool = False):
    from tensorboard.util import tensor_util

    event = event_class()(step=4, wall_time=2.0)
    value = event.summary.value.add(tag="t")
    value.metadata.plugin_data.plugin_name = plugin
    value.tensor.CopyFrom(tensor_util.make_tensor_proto(array))
    if listed and value.tensor.tensor_content:
        value.tensor.tensor_content = b""
        value.tensor.float_val.extend(array.reshape(-1).tolist())
    return events.decode_event(event.SerializeToString()).values[0]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i4", "i8", "?"])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_tensors_as_tensorflow_writes_them(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape)), dtype="i8").reshape(shape).astype(dtype)
    read = tensor.decode_tensor(tensor_event(array, "scalars").payload)
    assert isinstance(read, np.ndarray)
    assert read.dtype == array.dtype
    assert read.tolist() == array.tolist()


def test_listed_values() -> None:
    array = np.arange(6, dtype="f4").reshape(2, 3)
    assert np.array_equal(tensor.decode_tensor(tensor_event(array, "x", listed=True).payload), array)


def test_tensorflow_2_scalar_histogram_and_image() -> None:
    assert values.decode_scalar(tensor_event(np.float32(0.25), "scalars")) == 0.25
    buckets = np.array([[0, 1, 5], [1, 3, 2]], np.float64)
    read = values.decode_histogram(tensor_event(buckets, "histograms"))
    assert (read.min, read.max, read.num) == (0, 3, 7)
    assert (read.limits.tolist(), read.counts.tolist()) == ([0, 1, 3], [0, 5, 2])
    assert np.isnan(read.sum)
    picture = tensor_event(np.array([b"7", b"5", b"png", b"second"]), "images")
    assert values.decode_image(picture) == values.EncodedImage(5, 7, b"png")


def test_wrong_tensors_say_what_is_wrong() -> None:
    with pytest.raises(FormatError, match="not a single number"):
        values.decode_scalar(tensor_event(np.zeros(2, "f4"), "scalars"))
    with pytest.raises(FormatError, match="left edges"):
        values.decode_histogram(tensor_event(np.zeros(4), "histograms"))
    with pytest.raises(FormatError, match="width, height"):
        values.decode_image(tensor_event(np.zeros(4), "images"))
    with pytest.raises(FormatError, match="not JSON"):
        values.decode_entry(tensor_event(np.array([b"{"]), "convscope"))
    with pytest.raises(FormatError, match="not a JSON object"):
        values.decode_entry(tensor_event(np.array([b"3"]), "convscope"))


@given(st.binary(max_size=120))
def test_garbage_raises_nothing_but_format_errors(data: bytes) -> None:
    with suppress(FormatError):
        events.decode_event(data)
    decoders = (values.decode_scalar, values.decode_histogram, values.decode_image, values.decode_text)
    for form in ("scalar", "histogram", "image", "tensor"):
        for decode in decoders:
            with suppress(FormatError):
                decode(events.Value("tag", form, data))
