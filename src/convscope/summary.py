"""What travels from the functions that compute to the writer, and the table of all kinds of results.

Everything that is computed becomes a :class:`Summary`. TensorBoard's own kinds (scalar, histogram, image, audio, text,
mesh, hparams, graph, pr_curve) are stored as TensorBoard stores them; every other kind becomes an immutable record that
the event log names (``docs/format.md``). Adding a kind is one row in :data:`KINDS`, the function that computes it, one
view and one page of documentation; a test holds that each kind has all four.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, not_found
from convscope.rich import Rich

MAX_TAG_LENGTH: Final = 4096
RULE_NAMES: Final = (
    "deconvnet",
    "guided_backprop",
    "gradient",
    "gradient_x_input",
    "integrated_gradients",
    "grad_cam",
    "occlusion",
)
"""The rules of projections (``convscope.inspect.attribution.RULES``), each with a picture sheet of its own."""


@dataclass(frozen=True)
class Kind:
    """One kind of result: how it is stored and what shows it.

    Attributes
    ----------
    name
        The kind's name, as it stands in a run directory.
    storage
        ``event`` for what TensorBoard knows; ``record`` for a directory of its own that the event log names.
    view
        The file in ``web/src/views`` (without ``.ts``) that shows it.
    arrays
        For records: the names of the arrays such a record always has, with their shapes.
    pictures
        For records: the names of the picture sheets it may have.
    """

    name: str
    storage: str
    view: str
    arrays: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("scalar", "event", "scalars"),
        Kind("histogram", "event", "histograms"),
        Kind("image", "event", "images"),
        Kind("audio", "event", "audio"),
        Kind("text", "event", "text"),
        Kind("mesh", "event", "mesh"),
        Kind("hparams", "event", "hparams"),
        Kind("pr_curve", "event", "curves"),
        Kind("graph", "event", "graph"),
        Kind("architecture", "record", "network", {"parameters": "(L,) int64", "macs": "(L,) int64"}),
        Kind("filters", "record", "filters", {"weight": "(O, I, kh, kw) float32"}),
        Kind(
            "maps",
            "record",
            "maps",
            {"map": "(C, H, W) float32", "small": "(C, h, w) uint8", "range": "(C, 2) float32"},
            ("input",),
        ),
        Kind(
            "topk",
            "record",
            "layer",
            {
                "value": "(C, k) float32",
                "image": "(C, k) int64",
                "position": "(C, k, 2) int32",
                "box": "(C, k, 4) int32",
                "mean": "(C,) float64",
                "max": "(C,) float64",
                "variance": "(C,) float64",
                "positive": "(C,) float64",
            },
            ("patch", "map", *RULE_NAMES),
        ),
        Kind(
            "audit",
            "record",
            "audit",
            {
                "index": "(N,) int64",
                "label": "(N,) int32",
                "channels": "(N,) int32",
                "first": "(N,) int32",
                "layer_channels": "(N, L) int32",
                "duplicate": "(P, 2) int32",
                "likeness": "(P,) float32",
            },
            ("thumbnail",),
        ),
        Kind(
            "embedding",
            "record",
            "embedding",
            {"vector": "(N, D) float16 or float32", "label": "(N,) int32", "index": "(N,) int64"},
            ("thumbnail",),
        ),
        Kind("projection", "record", "embedding", {"points": "(N, 2) or (N, 3) float32"}),
        Kind(
            "weight_gradients",
            "record",
            "gradients",
            {
                "gradient": "(G, O, I, kh, kw) float32",
                "sum": "(G, O, kh, kw) float32",
                "norm": "(G, O) float32",
            },
            ("input",),
        ),
        Kind("importance", "record", "importance", {"importance": "(M, G, O) float32"}),
        Kind(
            "ablation",
            "record",
            "ablation",
            {
                "order": "(Q, C) int32",
                "removed": "(P,) int32",
                "accuracy": "(Q, P) float64",
                "class_accuracy": "(Q, P, K) float64",
                "loss": "(Q, P) float64",
                "support": "(K,) int64",
            },
        ),
        Kind(
            "volume",
            "record",
            "volume",
            {
                "volume": "(C, H, W) float32",
                "voxels": "(C, H, W) uint8 or float16",
                "scale": "(C, 2) float32",
                "order": "(C,) int32",
            },
            ("input",),
        ),
        Kind(
            "curves",
            "record",
            "curves",
            {
                "support": "(C,) float64",
                "auc": "(C,) float64",
                "average_precision": "(C,) float64",
                "threshold": "(C, P) float32",
                "true_positive_rate": "(C, P) float32",
                "false_positive_rate": "(C, P) float32",
                "precision": "(C, P) float32",
            },
        ),
        Kind("confusion_matrix", "record", "confusion", {"counts": "(C, C) int64"}),
    )
}


@dataclass(frozen=True)
class Summary(Rich):
    """One result, ready to be written: a kind, a tag, a step, named arrays, pictures and what they mean.

    Attributes
    ----------
    kind
        A name of :data:`KINDS`.
    tag
        What it is of: a layer's name, a curve's name.
    step
        The training step or iteration it belongs to.
    wall_time
        Seconds since 1970; the moment of writing where ``None``.
    arrays
        Named numpy arrays.
    pictures
        Named arrays of tiles, ``(rows, columns, h, w, 3)`` or ``(..., 1)`` of ``uint8``: one row per channel.
    meta
        What JSON can hold: layer, network, data set, parameters, versions. NaN and infinities are not JSON.
    """

    kind: str
    tag: str
    step: int = 0
    wall_time: float | None = None
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    pictures: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise not_found("kind of result", self.kind, KINDS)
        check_tag(self.tag)
        kind = KINDS[self.kind]
        if absent := [name for name in kind.arrays if name not in self.arrays]:
            raise InputError(f"a {self.kind} summary needs the array {absent[0]!r} of shape {kind.arrays[absent[0]]}")
        if unknown := [name for name in self.pictures if name not in kind.pictures]:
            raise not_found("picture", unknown[0], kind.pictures, f"kind {self.kind!r}")


class Summarizable(Protocol):
    """Anything that can become a :class:`Summary`: what ``SummaryWriter.add`` takes."""

    def to_summary(self, tag: str, step: int = 0) -> Summary:
        """Return the result as a summary under ``tag`` at ``step``."""
        ...


def check_tag(tag: object) -> str:
    """Return ``tag`` if it can name something, raise :class:`InputError` otherwise."""
    if not isinstance(tag, str) or not tag.strip():
        raise InputError(f"a tag is a non-empty string, got {tag!r}")
    if len(tag) > MAX_TAG_LENGTH:
        raise InputError(f"a tag has at most {MAX_TAG_LENGTH} characters, got {len(tag)} ({tag[:40]!r}…)")
    return tag


def finite(value: float) -> float | None:
    """Return ``value`` for JSON, which knows neither NaN nor infinities: those become ``None``."""
    return float(value) if math.isfinite(value) else None
