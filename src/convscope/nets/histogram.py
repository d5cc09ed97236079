"""Histograms of tensors, counted where the tensor is: of 100 MB on a GPU 32 kB are moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.formats.histogram import BitCounter, Distribution, bit_layout, from_bit_counts

_CHUNK: Final = 1 << 24
"""Numbers counted at once on a device: their codes take 64 MB."""
_COMPRESSED: Final = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


@dataclass(frozen=True)
class BitCounts:
    """How many numbers have each code, and what is known of all of them; two of them add up.

    Attributes
    ----------
    width
        32 or 64, the bits of a number.
    counts
        Of each code, ``(4096,)`` or ``(32768,)``: see :func:`convscope.formats.histogram.bit_layout`.
    minimum, maximum, total, squares
        Of the finite numbers.
    nan, positive_infinity, negative_infinity, zero
        How many there are.
    """

    width: int
    counts: npt.NDArray[np.int64]
    minimum: float
    maximum: float
    total: float
    squares: float
    nan: int
    positive_infinity: int
    negative_infinity: int
    zero: int

    @property
    def not_finite(self) -> int:
        """How many are NaN or infinite."""
        return self.nan + self.positive_infinity + self.negative_infinity

    def __add__(self, other: BitCounts) -> BitCounts:
        return BitCounts(
            self.width,
            self.counts + other.counts,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.total + other.total,
            self.squares + other.squares,
            self.nan + other.nan,
            self.positive_infinity + other.positive_infinity,
            self.negative_infinity + other.negative_infinity,
            self.zero + other.zero,
        )

    def distribution(self) -> Distribution:
        """Return the histogram."""
        return from_bit_counts(
            self.counts,
            width=self.width,
            minimum=self.minimum,
            maximum=self.maximum,
            total=self.total,
            squares=self.squares,
            nan=self.nan,
            positive_infinity=self.positive_infinity,
            negative_infinity=self.negative_infinity,
            zero=self.zero,
        )


@dataclass(frozen=True)
class DeviceCounts:
    """What :class:`BitCounts` has, still on the device: nothing waits for it until it is fetched.

    Attributes
    ----------
    width
        32 or 64.
    counts
        int64, ``(4096,)`` or ``(32768,)``.
    statistics
        The other fields of :class:`BitCounts` in their order, ``(8,)``; float64 where the device has it.
    """

    width: int
    counts: Tensor
    statistics: Tensor

    def __add__(self, other: DeviceCounts) -> DeviceCounts:
        return _summed([self, other])

    def fetch(self) -> BitCounts:
        """Move the counts here."""
        low, high, total, squares, *apart = self.statistics.tolist()
        nan, positive, negative, zero = (int(number) for number in apart)
        counts = self.counts.cpu().numpy()
        return BitCounts(self.width, counts, low, high, total, squares, nan, positive, negative, zero)


def numbers(tensor: Tensor) -> Tensor:
    """Return a tensor's numbers as a dense one of float32 or float64 whose memory has no gaps.

    Of a sparse tensor these are the numbers it stores, of a complex one both parts of each. Their order is that in
    memory, so that no layout (``channels_last``) costs a copy.
    """
    tensor = tensor.detach()
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout is not torch.strided:
        tensor = tensor.values() if tensor.layout in _COMPRESSED else tensor.to_dense()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    tensor = tensor.resolve_neg()
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    return tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True)).reshape(-1)


def count_bits(tensor: Tensor) -> DeviceCounts | BitCounts:
    """Count a tensor's numbers where it is: with numpy on the CPU, with torch on any other device."""
    values = numbers(tensor)
    if values.device.type != "cpu":
        return count_on_device(values)
    width = 32 if values.dtype == torch.float32 else 64
    counter = BitCounter(bit_layout(width))
    counter.add(values.numpy())
    return BitCounts(
        width,
        counter.counts,
        counter.min,
        counter.max,
        counter.sum,
        counter.sum_squares,
        counter.nan,
        counter.positive_infinity,
        counter.negative_infinity,
        counter.zero,
    )


def count_on_device(tensor: Tensor, chunk: int = _CHUNK) -> DeviceCounts:
    """Count a tensor's numbers with torch, on the device it is on, without waiting for it.

    The counts are exactly those of :func:`convscope.formats.histogram.count`. What is not finite is counted apart.

    Parameters
    ----------
    tensor
        Real or complex numbers, at least one.
    chunk
        How many are looked at in one go, which bounds the memory that is needed.
    """
    values = numbers(tensor)
    width = 32 if values.dtype == torch.float32 else 64
    parts = [_count(part, width) for part in torch.split(values, chunk)]
    return parts[0] if len(parts) == 1 else _summed(parts)


def _summed(parts: list[DeviceCounts]) -> DeviceCounts:
    rows = torch.stack([part.statistics for part in parts])
    statistics = torch.cat([rows[:, :1].amin(0), rows[:, 1:2].amax(0), rows[:, 2:].sum(0)])
    return DeviceCounts(parts[0].width, torch.stack([part.counts for part in parts]).sum(0), statistics)


def _count(values: Tensor, width: int) -> DeviceCounts:
    layout = bit_layout(width)
    bits = values.view(torch.int32 if width == 32 else torch.int64)
    codes = (bits >> layout.shift) & (2 * layout.half - 1)  # the shift repeats the sign bit
    counts = torch.bincount(codes, minlength=2 * layout.half)
    finite = torch.isfinite(values)
    wide = torch.float32 if values.device.type == "mps" else torch.float64
    kept = torch.where(finite, values, 0).to(wide)
    statistics = (
        torch.where(finite, values, torch.inf).amin(),
        torch.where(finite, values, -torch.inf).amax(),
        kept.sum(),
        (kept * kept).sum(),
        torch.isnan(values).sum(),
        (values == torch.inf).sum(),
        (values == -torch.inf).sum(),
        (values == 0).sum(),
    )
    return DeviceCounts(width, counts, torch.stack([number.to(wide) for number in statistics]))
