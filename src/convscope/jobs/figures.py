"""Figures for papers of what runs hold: the table of kinds, and the door that draws one and writes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convscope.drawing.files import check_target, save
from convscope.drawing.shapes import Sheet
from convscope.drawing.style import look_of
from convscope.errors import InputError, not_found
from convscope.jobs import figure_layers, figure_series
from convscope.jobs.figure_runs import Given, Runs


@dataclass(frozen=True)
class KindOfFigure:
    """One kind of figure.

    Attributes
    ----------
    name
        What it is asked for by.
    shows
        What it shows, in a few words.
    draws
        Makes it: ``draws(runs, look, **options)``; its keyword arguments are the options of the kind.
    """

    name: str
    shows: str
    draws: Callable[..., Sheet]

    @property
    def options(self) -> tuple[str, ...]:
        """The names of its options."""
        found = inspect.signature(self.draws).parameters.values()
        return tuple(one.name for one in found if one.kind is inspect.Parameter.KEYWORD_ONLY)


KINDS_OF_FIGURES: Final[dict[str, KindOfFigure]] = {
    kind.name: kind
    for kind in (
        KindOfFigure("top9", "channels, their strongest images and projections: [ZF14] Fig. 2", figure_layers.top9),
        KindOfFigure("filters", "the filters of a layer", figure_layers.filters),
        KindOfFigure("maps", "the feature maps of a layer for a picture", figure_layers.maps),
        KindOfFigure("volume", "stacked maps in space and in slices", figure_layers.volume),
        KindOfFigure("curves", "curves of one or several runs", figure_series.curves),
        KindOfFigure("histograms", "histograms step by step, as ridges", figure_series.histograms),
        KindOfFigure("embedding", "a projection of an embedding", figure_series.embedding),
    )
}
"""What figures there are; a row more is a figure more, for the command line too."""


def figure(  # noqa: PLR0913 - how it looks is said in words of its own
    run: Given | Sequence[Given],
    kind: str,
    /,
    *,
    path: str | Path | None = None,
    width: str | float = "7in",
    dpi: float = 300,
    font_size: float = 8,
    style: str = "light",
    title: str = "",
    caption: str | bool = True,
    font: str | Path | None = None,
    force: bool = False,
    **options: Any,
) -> Sheet:
    """Draw a figure for print of what a run holds; the same run and options give the same bytes.

    >>> cs.figure("runs/alexnet", "top9", layer="conv5", path="fig2.pdf")                       # doctest: +SKIP
    >>> cs.figure(["runs/a", "runs/b"], "curves", tag="loss", smoothing=0.6, width="3.5in")     # doctest: +SKIP

    Parameters
    ----------
    run
        A run, or a directory that is one or holds some; several where curves are compared.
    kind
        A name of :data:`KINDS_OF_FIGURES`.
    path
        The file to write: .pdf, .svg or .png.
    width
        As ``3.5in`` or ``180mm``; a number is of inches. The height follows.
    dpi
        Dots an inch of a PNG file, and of the pictures inside of the others.
    font_size
        In points.
    style
        ``light`` or ``dark``.
    title
        What stands above.
    caption
        What stands below: what the figure has to say (``True``), nothing (``False``), or another text.
    font
        A ``.ttf`` file, for letters that Pillow's own font lacks.
    force
        Whether a file that is there may be replaced.
    **options
        What the kind takes: ``layer``, ``channels``, ``tag``, …; docs/figures.md lists them.

    Returns
    -------
    Sheet
        The drawing: a notebook shows it, and ``save(path)`` writes it again.

    Raises
    ------
    NotFoundError
        If there is no such run, kind, layer, tag or channel.
    InputError
        If an option makes no sense, the kind does not take it, or the file is there already.
    StorageError
        If the file cannot be written.
    """
    if kind not in KINDS_OF_FIGURES:
        raise not_found("kind of figure", kind, KINDS_OF_FIGURES)
    row = KINDS_OF_FIGURES[kind]
    check_options(row, options)
    target = None if path is None else check_target(path, force=force)
    look = look_of(width=width, dpi=dpi, font_size=font_size, style=style, title=title, caption=caption, font=font)
    made = row.draws(Runs(run), look, **options)
    if target is not None:
        save(made, target)
    return made


def check_options(kind: KindOfFigure, options: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` for an option that a kind does not take."""
    for name in options:
        if name not in kind.options:
            raise InputError(
                f"a figure of kind {kind.name!r} takes no option {name!r}; it takes: {', '.join(kind.options)}"
            )
