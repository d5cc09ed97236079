"""Figures of channels for print: of several layers some channels, each with its strongest images and their projections.

A :class:`~convscope.jobs.panels.Panel` holds some channels of one layer; a row of :data:`LAYOUTS` says what is put
where; :func:`drawing` makes one page of it, :func:`draw` one picture, always the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.blocks import Cell, Group, Page, rows_of
from convscope.drawing.png import picture
from convscope.drawing.shapes import Sheet
from convscope.drawing.style import Look
from convscope.errors import InputError, not_found
from convscope.inspect.patches import shrink, tile_size
from convscope.jobs.panels import Panel, Pixels, panel, panels_of_run, some_channels

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LAYOUTS", "Panel", "caption", "draw", "drawing", "panel", "panels_of_run", "some_channels"]

FIGURE2_CHANNELS: Final = (9, 16, 12, 10, 10)
"""How many channels of each of its five layers [ZF14] Fig. 2 shows."""
CONTRAST: Final = 99.0
"""Full contrast is what so many percent of a channel's projected pixels stay below: enough to see them in print."""
_INCHES: Final = 12
_SIZE: Final = 7.5  # points


@dataclass(frozen=True)
class Layout:
    """What is put where.

    Attributes
    ----------
    name, source
        What it is called, and where it is from.
    columns
        What stands side by side, and of which pictures each block of a channel there consists: ``projection``,
        ``patch``, or both.
    across
        How many blocks fit side by side on the page.
    most
        How many channels a layer has side by side at most.
    """

    name: str
    source: str
    columns: tuple[tuple[str, ...], ...]
    across: int
    most: int


LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout("figure2", "[ZF14] Fig. 2", (("projection",), ("patch",)), 16, 4),
        Layout("pairs", "each channel's projections beside its patches", (("projection", "patch"),), 16, 8),
        Layout("patches", "the strongest patches alone", (("patch",),), 16, 16),
        Layout("projections", "the projections alone", (("projection",),), 16, 16),
    )
}


def shared_contrast(values: npt.NDArray[np.float32]) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """Return projections as pictures, those of a channel with one contrast, so that their strengths can be compared.

    >>> pictures, scale = shared_contrast(np.array([[[[[1.0]]], [[[-4.0]]]]], np.float32))
    >>> pictures.ravel(), scale
    (array([160,   1], dtype=uint8), array([4.], dtype=float32))

    Parameters
    ----------
    values
        Signed, ``(n, k, h, w, c)``.

    Returns
    -------
    tuple
        The pictures, 128 is zero; and what full contrast stands for in each channel, ``(n,)``: the 99th percentile of
        its absolute values, or the largest where hardly a pixel is not zero.
    """
    size = np.abs(values).reshape(len(values), -1)
    scale = np.percentile(size, CONTRAST, axis=1, method="higher").astype(np.float32)
    scale = np.where(scale > 0, scale, size.max(1)).astype(np.float32)
    share = values / np.where(scale > 0, scale, 1)[:, None, None, None, None]
    return np.rint(128 + 127 * np.clip(share, -1, 1)).astype(np.uint8), scale


def caption(panels: Sequence[Panel], *, numbered: bool = True) -> str:
    """Say what a figure shows: network, data set, number of images, rule, where it could be applied, how to read it.

    ``numbered`` says whether scales and activations stand under the blocks.
    """
    last = max(panels, key=lambda one: one.report)  # of the reports "n of n ReLUs", that of the deepest layer
    shown = sum(one.value.size for one in panels)
    wrong = sum(one.mismatches for one in panels)
    check = f"{wrong} of {shown:,} recomputed activations differ from those recorded" if wrong else (
        f"all {shown:,} recomputed activations equal those recorded")  # fmt: skip
    numbers = (
        "full contrast of a channel's projections is the number with ±. Under its patches: the strongest "
        "and the weakest activation of those shown."
        if numbered
        else "the projections of a channel have one contrast."
    )
    return (
        f"{last.network}: the {last.value.shape[1]} images of {last.dataset} ({last.images:,} images) that excite each "
        f"channel most, and what in them reached it by {last.rule} ({last.report}; {check}). "
        f"Grey is zero; {numbers} It shows what reached the channel, not why the network decided."
    )


def draw(panels: Sequence[Panel], layout: str = "figure2", *, width: int = 3600, text: str | None = None) -> Image:
    """Draw panels as one picture, ``mode="RGB"``; the same panels give the same bytes.

    >>> draw(panels, "figure2").save("figure2.png", dpi=(300, 300))              # doctest: +SKIP

    Parameters
    ----------
    panels
        What to draw, one after the other; small ones share a row.
    layout
        A name of :data:`LAYOUTS`.
    width
        Of the picture, in pixels; 3600 are 12 inches at 300 dpi.
    text
        What stands below; :func:`caption` by default.

    Raises
    ------
    NotFoundError
        If there is no such layout.
    InputError
        If there is nothing to draw, or the width is too small to.
    """
    look = Look(width=_INCHES * 72, dpi=width / _INCHES, size=_SIZE)
    return picture(drawing(panels, layout, look=look, text=text))


def drawing(
    panels: Sequence[Panel], layout: str = "figure2", *, look: Look | None = None, text: str | None = None
) -> Sheet:
    """Draw panels as one page; the same panels give the same bytes.

    Parameters
    ----------
    panels, layout, text
        As for :func:`draw`.
    look
        Its width, font, colours and title; as wide as a page by default.

    Raises
    ------
    NotFoundError
        If there is no such layout.
    InputError
        If there is nothing to draw, or the width is too small to.
    """
    if layout not in LAYOUTS:
        raise not_found("layout", layout, LAYOUTS)
    if not panels:
        raise InputError("there is nothing to draw; give at least one panel")
    how, chosen = LAYOUTS[layout], look or Look()
    side = ceil(sqrt(max(one.value.shape[1] for one in panels)))
    groups = [_group(one, how) for one in panels]
    widest = max(sum(group.blocks for group in row) for row in rows_of(groups, how.across))
    across = min(how.across, max(widest, how.across // 2))  # one small layer has larger tiles, not half a page
    tile = Page(chosen, across, side, groups).tile
    page = Page(chosen, across, side, [_group(one, how, tile) for one in panels])
    said = caption(panels, numbered=page.numbered) if text is None else text
    return page.sheet(said, f"{panels[0].network}: {how.name}")


def _group(one: Panel, how: Layout, tile: int | None = None) -> Group:
    """Return what a layout makes of a panel; without the size its tiles are printed with, only to see what fits."""
    sees = "the whole image" if one.field is None else f"{one.field[0]} × {one.field[1]}"
    names = {"projection": one.rule.replace("_", " "), "patch": "image patches"}
    pictures = {"patch": one.patch, "projection": one.patch}
    scale = np.zeros(len(one.channels), np.float32)
    if tile is not None:  # contrast is of what is shown
        small = shrink(one.projection, tile_size(one.projection.shape[2:4], tile))
        pictures["projection"], scale = shared_contrast(small)
    under = {
        "projection": [f"±{value:.2g}" for value in scale],
        "patch": [f"{value[0]:.3g} … {value[-1]:.3g}" for value in one.value],
    }
    return Group(
        title=one.title if one.title == one.layer else f"{one.title}  ({one.layer})",
        note=f"{len(one.channels):,} of {one.total:,} channels, field {sees}",
        headings=tuple(" | ".join(names[picture] for picture in column) for column in how.columns),
        columns=tuple(
            [
                Cell(
                    tuple(pictures[name][row] for name in column),
                    tuple(under[name][row] for name in column),
                    str(channel),
                )
                for row, channel in enumerate(one.channels)
            ]
            for column in how.columns
        ),
        most=how.most,
    )
