"""TensorBoard's precision-recall curves: a table of six rows for its plugin ``pr_curves``, to bytes and back.

What the plugin is told is bytes, so a curve may have any number of thresholds; the peers stop at 127.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.formats.events import Value, encode_metadata
from convscope.formats.tensor import decode_tensor, encode_tensor

ROWS: Final = (
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
    "precision",
    "recall",
)
_PLUGIN: Final = "pr_curves"


def encode_pr_curve(table: npt.NDArray[np.floating]) -> bytes:
    """Return the fields of a curve whose thresholds lie evenly between 0 and 1.

    >>> len(decode_pr_curve(Value("pr", "tensor", encode_tensor(np.zeros((6, 200), np.float32)))).T)
    200

    Parameters
    ----------
    table
        A row each for :data:`ROWS`, ``(6, n)``; stored as float32.
    """
    content = wire.integer(1, 0) + wire.integer(2, table.shape[1])
    return wire.chunk(8, encode_tensor(table.astype(np.float32))) + encode_metadata(_PLUGIN, content)


def decode_pr_curve(value: Value) -> npt.NDArray[np.float32]:
    """Return the table of a curve, ``(6, n)``.

    Raises
    ------
    FormatError
        If the value is no such table.
    """
    table = decode_tensor(value.payload) if value.form == "tensor" else None
    if not isinstance(table, np.ndarray) or table.ndim != 2 or len(table) != len(ROWS) or table.dtype.kind not in "iuf":
        raise FormatError(f"the curve {value.tag!r} is not a table of {len(ROWS)} rows")
    return table.astype(np.float32, copy=False)
