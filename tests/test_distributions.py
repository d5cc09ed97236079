"""Histograms and tensors through the writer, read back by TensorBoard, by the peers' rules and by our reader."""

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convscope.errors import InputError
from convscope.formats.histogram import MAX_BINS, count, from_bit_counts
from convscope.recording import SummaryWriter, distributions
from convscope.store import Run
from tensorboard_oracle import accumulate, torch_writer

STATISTICS = ("min", "max", "num", "sum", "sum_squares")


def histogram(path: Path, tag: str = "h") -> Any:
    """Return a histogram as TensorBoard's own reader gives it."""
    (event,) = accumulate(path).Histograms(tag)
    return event.histogram_value


@pytest.mark.parametrize(
    "bins", [7, [-3.0, -1.0, 0.0, 0.5, 4.0], "fd", "doane", "scott", "rice", "sturges", "sqrt", "stone"]
)
def test_bins_of_ones_own_are_those_of_torch(tmp_path: Path, bins: Any) -> None:
    values = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    with torch_writer(tmp_path / "theirs") as theirs:
        theirs.add_histogram("h", values, 3, bins)
    with SummaryWriter(tmp_path / "ours") as writer:
        writer.add_histogram("h", values, 3, bins)
    ours, expected = histogram(tmp_path / "ours"), histogram(tmp_path / "theirs")
    assert list(ours.bucket) == list(expected.bucket)
    assert list(ours.bucket_limit) == list(expected.bucket_limit)
    for name in STATISTICS:
        assert getattr(ours, name) == pytest.approx(getattr(expected, name), rel=1e-6)


@pytest.mark.parametrize("bins", ["tensorflow", "auto", "default"])
@pytest.mark.parametrize("max_bins", [None, 1, 2, 3, 40, 255, 1000])
def test_automatic_bins_keep_to_max_bins(tmp_path: Path, bins: str, max_bins: int | None) -> None:
    values = np.random.default_rng(0).normal(size=5000)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", values, 3, bins, 2.5, max_bins)
    (found,) = Run(tmp_path).histograms("h")
    assert len(found.counts) - 1 <= min(max_bins or 255, 255)
    assert found.counts.sum() == 5000
    assert found.limits[0] <= values.min() <= values.max() <= found.limits[-1]
    (event,) = accumulate(tmp_path).Histograms("h")
    assert (event.step, event.wall_time) == (3, 2.5)


@given(arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e9, 1e9)), st.integers(1, 60))
def test_merging_bins_loses_nothing(values: np.ndarray, most: int) -> None:
    fine, coarse = count(values), count(values, max_bins=most)
    assert len(coarse.counts) - 1 <= most
    assert set(coarse.limits) <= set(fine.limits) | {0.0}
    cumulated = dict(zip(fine.limits, np.cumsum(fine.counts), strict=True))
    for limit, total in zip(coarse.limits, np.cumsum(coarse.counts), strict=True):
        if limit in cumulated:
            assert total == cumulated[limit]
    assert coarse.counts.sum() == len(values)


def test_explicit_bins_are_merged_too() -> None:
    values = np.arange(100.0)
    found = count(values, 10, max_bins=4)
    assert found.counts.tolist() == [0, 30, 30, 30, 10]
    assert found.limits == pytest.approx([0, 29.7, 59.4, 89.1, 99])


@pytest.mark.parametrize(
    "values", [3, 2.5, [1, 2, 3], [[0.5], [1.5]], np.float32(4), True, [2**62, -(2**62)], range(5)]
)
def test_numbers_and_lists(tmp_path: Path, values: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", values)
    expected = np.asarray(values, np.float64)
    (found,) = Run(tmp_path).histograms("h")
    assert (found.min, found.max, found.num, found.sum) == (
        expected.min(),
        expected.max(),
        expected.size,
        expected.sum(),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_exact(tmp_path: Path, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    values = torch.randn(3000).to(getattr(torch, dtype))
    values[:4] = torch.tensor([float("nan"), float("inf"), -float("inf"), 0])
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", values)
    (found,) = Run(tmp_path).histograms("h")
    exact = values[3:].double().numpy()
    assert found.apart == (1, 1, 1, (exact == 0).sum())
    assert (found.min, found.max) == (exact.min(), exact.max())
    assert found.sum == pytest.approx(exact.sum(), abs=1e-3)
    inner = [
        ((exact >= low) & (exact < high)).sum()
        for low, high in zip(found.limits, found.limits[1:], strict=False)
        if low > 0
    ]
    assert found.counts[-len(inner) :].tolist() == inner


def test_all_nan_is_a_histogram(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step, bins in enumerate(("tensorflow", 5, "fd", [0.0, 1.0])):
            writer.add_histogram("h", np.full(3, np.nan), step, bins)
    assert [found.apart for found in Run(tmp_path).histograms("h")] == [(3, 0, 0, 0)] * 4
    assert [event.histogram_value.num for event in accumulate(tmp_path).Histograms("h")] == [0] * 4


@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(width=32)))
def test_counts_made_elsewhere_are_the_same_histogram(values: np.ndarray) -> None:
    finite = values[np.isfinite(values)].astype(np.float64)
    counts = np.bincount(values.view(np.uint32) >> 20, minlength=4096)
    found = from_bit_counts(
        counts,
        width=32,
        minimum=finite.min(initial=np.inf),
        maximum=finite.max(initial=-np.inf),
        total=finite.sum(),
        squares=(finite**2).sum(),
        nan=np.isnan(values).sum(),
        positive_infinity=np.isposinf(values).sum(),
        negative_infinity=np.isneginf(values).sum(),
        zero=(values == 0).sum(),
    )
    expected = count(values)
    assert found.limits.tolist() == expected.limits.tolist()
    assert found.counts.tolist() == expected.counts.tolist()
    assert (found.min, found.max, found.num, found.apart) == (expected.min, expected.max, expected.num, expected.apart)


def test_counts_of_the_wrong_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"float64 has 32768 codes, got counts of shape \(4096,\)"):
        from_bit_counts(np.zeros(4096, int), width=64, minimum=0, maximum=0, total=0, squares=0)


def test_what_is_on_a_device_is_counted_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from convscope.nets import histogram as device

    asked = []

    def count_there(tensor: Any) -> Any:
        asked.append(tensor)
        return SimpleNamespace(fetch=lambda: SimpleNamespace(distribution=lambda: count(tensor.numpy())))

    monkeypatch.setattr(distributions, "_HOST", ("meta",))  # takes the CPU for a device
    monkeypatch.setattr(device, "count_on_device", count_there)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("there", torch.ones(5))
        writer.add_histogram("here", torch.ones(5), bins=3)
        writer.add_histogram("whole", torch.ones(5, dtype=torch.int64))
    assert len(asked) == 1
    assert [Run(tmp_path).histograms(tag)[0].num for tag in ("there", "here", "whole")] == [5, 5, 5]


def test_a_raw_histogram_is_kept_as_given(tmp_path: Path) -> None:
    given_ = {"min": -1.0, "max": 2.0, "num": 6, "sum": 3.5, "sum_squares": 9.0}
    buckets = [0.0, 1.0, 2.0], [1, 2, 3]
    with torch_writer(tmp_path / "theirs") as theirs:
        theirs.add_histogram_raw("h", *given_.values(), *buckets, 4, 2.5)
    with SummaryWriter(tmp_path / "ours") as writer:
        writer.add_histogram_raw("h", *given_.values(), *buckets, 4, 2.5)
    ours, expected = histogram(tmp_path / "ours"), histogram(tmp_path / "theirs")
    assert ours == expected
    assert Run(tmp_path / "ours").histograms("h")[0].counts.tolist() == [1, 2, 3]


BAD = {
    "at least one value": ("add_histogram", []),
    "real numbers, got dtype complex128": ("add_histogram", [1j]),
    "array of numbers, got 'text'": ("add_histogram", "text"),
    "unknown bins 'many'": ("add_histogram", [1.0], 0, "many"),
    r"bins=array\(\[2., 1.\]\) makes no histogram": ("add_histogram", [1.0], 0, [2.0, 1.0]),
    "bins=-3 makes no histogram": ("add_histogram", [1.0], 0, -3),
    "at least one bin, got max_bins=0": ("add_histogram", [1.0], 0, "auto", None, 0),
    "got 2 limits and 3 counts": ("add_histogram_raw", 0, 1, 3, 1, 1, [0, 1], [1, 1, 1]),
    "bucket_limits ascend": ("add_histogram_raw", 0, 1, 3, 1, 1, [1, 1], [1, 1]),
    "bucket_counts are finite numbers from 0 on, got -1": ("add_histogram_raw", 0, 1, 3, 1, 1, [0, 1], [1, -1]),
    "bucket_counts are finite numbers from 0 on, got inf": ("add_histogram_raw", 0, 1, 3, 1, 1, [0, 1], [1, np.inf]),
    r"at least one bin, got max_bins=2\.5": ("add_histogram", [1.0], 0, "auto", None, 2.5),
    "bucket_limits is a list of numbers": ("add_histogram_raw", 0, 1, 3, 1, 1, [], []),
    "a scalar is one real number": ("add_histogram_raw", [0, 1], 1, 3, 1, 1, [0, 1], [1, 1]),
    "no place in an event file": ("add_tensor", np.zeros(2, np.longdouble)),
    "expected an array of numbers, got object": ("add_tensor", [{}]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, message: str) -> None:
    method, *arguments = BAD[message]
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message.replace("got object", "")):
        getattr(writer, method)("tag", *arguments)
    assert Run(tmp_path).tags() == {}


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16", ">f4", ">i8"]
)
def test_tensors_of_any_type(tmp_path: Path, dtype: str) -> None:
    values = np.array([[[0, 1, 2], [3, 100, 7]]]).astype(dtype)
    with SummaryWriter(tmp_path) as writer:
        writer.add_tensor("t", values, 3, 2.5)
    (found,) = Run(tmp_path).tensors("t")
    assert (found.step, found.wall_time) == (3, 2.5)
    np.testing.assert_array_equal(found.values, values, strict=dtype[0] != ">")
    (event,) = accumulate(tmp_path).Tensors("t")
    np.testing.assert_array_equal(make_ndarray(event.tensor_proto), values)
    assert accumulate(tmp_path).SummaryMetadata("t").plugin_data.plugin_name == "tensor"


def make_ndarray(proto: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.util.tensor_util import make_ndarray as read
    return read(proto)


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "float64", "int64", "int16", "uint8", "bool", "complex64"]
)
def test_tensors_of_torch_are_read(tmp_path: Path, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    sign = 1 if dtype in ("uint8", "bool") else -1
    values = (sign * torch.tensor([[1, 2, 3], [4, 100, 7]])).to(getattr(torch, dtype))
    with torch_writer(tmp_path / "theirs") as theirs:
        theirs.add_tensor("t", values, 3)
    with SummaryWriter(tmp_path / "ours") as writer:
        writer.add_tensor("t", values, 3)
    ours, theirs_ = (Run(tmp_path / name).tensors("t")[0].values for name in ("ours", "theirs"))
    np.testing.assert_array_equal(ours, theirs_, strict=True)


@pytest.mark.parametrize("values", [0.5, np.zeros((0, 3), np.float32), np.float16(2)])
def test_tensors_of_one_number_and_of_none(tmp_path: Path, values: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_tensor("t", values)
    np.testing.assert_array_equal(Run(tmp_path).tensors("t")[0].values, np.asarray(values), strict=True)


@pytest.mark.parametrize("values", [["a", "ä"], "a", [b"\xff\x00"], ("x", b"y")])
def test_strings(tmp_path: Path, values: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_tensor("t", values)
    items = [values] if isinstance(values, str) else values
    expected = [item.encode() if isinstance(item, str) else item for item in items]
    assert Run(tmp_path).tensors("t")[0].values == expected
    (event,) = accumulate(tmp_path).Tensors("t")
    assert make_ndarray(event.tensor_proto).tolist() == expected


def test_a_tensor_of_2_gib_is_refused(tmp_path: Path) -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (1 << 29,), (0,))
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match="less than 2 GiB"):
        writer.add_tensor("t", huge)


def test_an_event_has_8_kb_at_most(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        (file,) = tmp_path.glob("events.out.tfevents.*[!l]")
        before = file.stat().st_size
        writer.add_histogram("layer/weight", np.random.default_rng(0).standard_cauchy(10**5) ** 9)
        assert MAX_BINS * 8 < file.stat().st_size - before <= 8192


def test_logging_arrays_imports_no_framework() -> None:
    code = (
        "import sys, tempfile, numpy as np, convscope\n"
        "with convscope.SummaryWriter(tempfile.mkdtemp()) as writer:\n"
        "    writer.add_histogram('h', np.ones(3)); writer.add_tensor('t', [1.0])\n"
        "    writer.add_pr_curve('p', [0, 1], [0.5, 1])\n"
        "print({'torch', 'sklearn', 'scipy', 'tensorboard'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_rule_that_an_outlier_misleads_makes_no_million_bins(tmp_path: Path) -> None:
    values = np.append(np.random.default_rng(0).normal(size=1000), 1e6)
    with SummaryWriter(tmp_path) as writer:
        with pytest.warns(UserWarning, match="the rule 'fd' makes .* merged to 4096 at most") as caught:
            writer.add_histogram("fd", values, bins="fd")
        writer.add_histogram("wanted", values, bins=5000)
    (said,) = [warning for warning in caught if warning.category is UserWarning]
    assert Path(said.filename).name == Path(__file__).name
    found, wanted = (Run(tmp_path).histograms(tag)[0] for tag in ("fd", "wanted"))
    assert len(found.limits) <= 4097
    assert found.counts.sum() == 1001
    assert len(wanted.limits) == 5001, "who says how many gets them"
