"""Arrays of any framework, layouts, pixels, names and error sentences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convscope.arrays import as_numpy, to_hwc, to_uint8
from convscope.errors import InputError, NotFoundError, missing_extra, not_found
from convscope.summary import KINDS, Summary, check_tag, finite


class LikeMxnet:
    def asnumpy(self) -> np.ndarray:
        return np.arange(3)


class LikeJax:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.arange(4.0)


class OnlyDlpack:
    def __init__(self) -> None:
        self.tensor = torch.arange(5)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("not on the host")

    def __dlpack__(self, **options: object) -> object:
        return self.tensor.__dlpack__()

    def __dlpack_device__(self) -> object:
        return self.tensor.__dlpack_device__()


class LikeTensorflowsBfloat16:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("no such type")

    def __dlpack__(self, **options: object) -> object:
        raise RuntimeError("no such type")

    def numpy(self) -> np.ndarray:
        return np.arange(2.0)


def like_paddles_bfloat16() -> object:
    """Return something whose numpy() gives the bits of its numbers, as Paddle's does."""

    class Tensor:
        dtype = "paddle.bfloat16"

        def numpy(self) -> np.ndarray:
            return np.array([0x3FC0], np.uint16)

        def astype(self, dtype: str) -> object:
            return torch.tensor([1.5]) if dtype == "float32" else self

    Tensor.__module__ = "paddle"
    return Tensor()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.arange(3), np.arange(3)),
        ([1, 2], np.array([1, 2])),
        (2.5, np.array(2.5)),
        (np.float32(3), np.array(3, np.float32)),
        (LikeMxnet(), np.arange(3)),
        (LikeJax(), np.arange(4.0)),
        (OnlyDlpack(), np.arange(5)),
        (torch.ones(2, requires_grad=True), np.ones(2, np.float32)),
        (torch.tensor([1.5, -2.0], dtype=torch.bfloat16), np.array([1.5, -2], np.float32)),
        (torch.tensor([1 + 2j]).conj(), np.array([1 - 2j], np.complex64)),
        (torch.tensor([True]), np.array([True])),
        (torch.tensor([1.5, 448.0]).to(torch.float8_e4m3fn), np.array([1.5, 448], np.float32)),
        (torch.eye(2).to_sparse(), np.eye(2, dtype=np.float32)),
        ([torch.ones(2, requires_grad=True)] * 2, np.ones((2, 2), np.float32)),
        (LikeTensorflowsBfloat16(), np.arange(2.0)),
        (like_paddles_bfloat16(), np.array([1.5], np.float32)),
    ],
)
def test_arrays_of_any_framework(value: object, expected: np.ndarray) -> None:
    result = as_numpy(value)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("value", ["text", None, [[1], [2, 3]], object(), ["a", "b"], {"a": 1}])
def test_what_is_no_array_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="expected an array of numbers"):
        as_numpy(value)


def test_pictures_in_any_layout() -> None:
    picture = np.arange(3 * 7 * 5).reshape(3, 7, 5)
    np.testing.assert_array_equal(to_hwc(picture), picture.transpose(1, 2, 0))
    np.testing.assert_array_equal(to_hwc(picture.transpose(1, 2, 0)), picture.transpose(1, 2, 0))
    assert to_hwc(np.zeros((4, 5))).shape == (4, 5, 1)
    assert to_hwc(np.zeros((3, 4, 3)), "HWC").shape == (3, 4, 3)
    for bad, layout in (
        (np.zeros((2, 4, 5)), None),
        (np.zeros(4), None),
        (np.zeros((3, 4, 5)), "HW"),
        (np.zeros((3, 0, 5)), None),
    ):
        with pytest.raises(InputError):
            to_hwc(bad, layout)
    with pytest.raises(InputError, match="unknown layout 'XY'"):
        to_hwc(picture, "XY")


def test_pixels_are_clipped_and_counted_never_wrapped() -> None:
    assert to_uint8(np.array([-0.1, 0.0, 0.5, 1.0, 1.5]))[0].tolist() == [0, 0, 128, 255, 255]
    assert to_uint8(np.array([-0.1, 0.5, 1.5, np.nan, np.inf]))[1] == 4
    assert to_uint8(np.array([-3, 7, 300]))[0].tolist() == [0, 7, 255]
    assert to_uint8(np.array([True, False]))[0].tolist() == [255, 0]
    assert to_uint8(np.array([0.25, 0.5], np.float16))[0].tolist() == [64, 128]
    with pytest.raises(InputError, match="complex128"):
        to_uint8(np.array([1j]))


def test_errors_name_the_nearest() -> None:
    assert str(not_found("layer", "conv33", ["conv1", "conv3"], "SqueezeNet")).endswith("did you mean 'conv3'?")
    assert "there are: a, b" in str(not_found("run", "zzz", ["a", "b"]))
    assert "and 8 more" in str(not_found("run", "zzz", [str(i) for i in range(20)]))
    assert isinstance(not_found("run", "x", []), (NotFoundError, ValueError, LookupError))
    assert "pip install 'convscope[torch]'" in str(missing_extra("torch", "torch", "this"))


def test_summaries_are_checked_at_the_door() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'volume'"):
        Summary("volumes", "a")
    with pytest.raises(InputError, match=r"needs the array 'points'"):
        Summary("projection", "a")
    with pytest.raises(NotFoundError, match="no picture 'patches' in kind 'projection'"):
        Summary(
            "projection",
            "a",
            arrays={"points": np.zeros((1, 2))},
            pictures={"patches": np.zeros((1, 1, 2, 2, 1), np.uint8)},
        )
    for bad in ("", "  ", 3, "x" * 5000):
        with pytest.raises(InputError, match="a tag"):
            check_tag(bad)
    assert all(kind.view for kind in KINDS.values())
    assert finite(float("nan")) is None
    assert finite(2) == 2.0
