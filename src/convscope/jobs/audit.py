"""Write which images dominate a network's channels, and which of them look alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.inspect.audit import Audit, audit, layer_purity, near_duplicates
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.topk import TopK
from convscope.jobs.record import picture_name
from convscope.nets.data import ImageSet
from convscope.recording import SummaryWriter
from convscope.summary import Summary

LARGE: Final = 128
SMALL: Final = 64
"""Pixels a side of the thumbnails, and where there are more than :data:`MANY` images."""
MANY: Final = 2000
HELD_BYTES: Final = 1 << 28

Display = Callable[[int], npt.NDArray[np.uint8]]
"""Gives image number i as ``(H, W, c)``."""


def displayed(images: ImageSet) -> Display:
    """Return how to get an image to show, without decoding it again as long as a quarter of a gigabyte holds them."""
    size = max(1, images.display(0).nbytes)
    return lru_cache(maxsize=max(16, HELD_BYTES // size))(images.display)


def record_audit(
    tops: Mapping[str, TopK],
    images: ImageSet,
    writer: SummaryWriter,
    *,
    step: int = 0,
    display: Display | None = None,
) -> Audit:
    """Write the audit of a search: one record, tagged by the network's name.

    Parameters
    ----------
    tops
        What ``Model.top_k`` found, by layer.
    images, writer
        The images it was found in, and where the record goes.
    step
        The training step the network was at.
    display
        Gives an image to show; by default that of ``images``.
    """
    found, thumbnails = audited(tops, display or images.display)
    writer.add(audit_summary(found, thumbnails, tops, images, step))
    writer.flush()
    return found


def audited(tops: Mapping[str, TopK], display: Display) -> tuple[Audit, npt.NDArray[np.uint8]]:
    """Return the audit of a search with its near-duplicates, and the images it is about in small, ``(N, h, w, c)``."""
    found = audit(tops)
    size = tile_size(found.input_size, LARGE if len(found.index) <= MANY else SMALL)
    thumbnails = np.stack([shrink(display(int(number)), size) for number in found.index])
    alike = near_duplicates(thumbnails, found.threshold)
    return replace(found, duplicate=alike.pair, likeness=alike.likeness, duplicates_total=alike.total), thumbnails


def audit_summary(
    found: Audit, thumbnails: npt.NDArray[np.uint8], tops: Mapping[str, TopK], images: ImageSet, step: int = 0
) -> Summary:
    """Return the record of an audit: with the names and classes of its images."""
    meta: dict[str, Any] = {
        "names": [picture_name(images, int(number)) for number in found.index],
        "label_names": list(images.label_names),
    }
    if images.labels is not None:
        meta["purity"] = layer_purity(tops, images.labels)
    return found.to_summary(step=step, thumbnails=thumbnails, labels=images.labels, meta=meta)
