"""The previews of a layer's channels, which links to their pages are shown with; made while a search is recorded.

A site of thousands of channels is written in seconds because of them: to cut them out of the sheets later, all of these
have to be decoded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from convscope.summary import Summary
from convscope.view.previewer import MOST_TILES, preview


def with_previews(summary: Summary) -> Summary:
    """Add to a record of a search, for each channel, its strongest patches as one small JPEG.

    Parameters
    ----------
    summary
        Of kind ``topk``, with patches ``(C, k, h, w, 3)`` or ``(..., 1)``.

    Returns
    -------
    Summary
        With the arrays ``preview``, all bytes one after the other, and ``preview_offset``, ``(C + 1,)``: where each
        begins.
    """
    patches = summary.pictures["patch"]
    made = [preview([_picture(tile) for tile in tiles[:MOST_TILES]]) for tiles in patches]
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "preview": np.frombuffer(b"".join(made), np.uint8),
        "preview_offset": np.cumsum([0, *map(len, made)], dtype=np.int64),
    }
    return replace(summary, arrays={**summary.arrays, **arrays})


def _picture(tile: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Image.Image:
    return Image.fromarray(tile[..., 0] if tile.shape[-1] == 1 else tile).convert("RGB")
