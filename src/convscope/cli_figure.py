"""The command ``convscope figure``: a figure for print of what a run holds, as PDF, SVG or PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from convscope.cli_options import names_in
from convscope.console import plain
from convscope.errors import InputError

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)
_SOME: Final = 8


def figure(
    run: Annotated[list[str], typer.Argument(help="A run directory, or one that holds runs; several for curves.")],
    kind: Annotated[str, typer.Option("--kind", help="top9, filters, maps, volume, curves, histograms or embedding.")],
    output: Annotated[Path, typer.Option("-o", "--out", help="The file to write: .pdf, .svg or .png.")],
    run_name: Annotated[
        str, typer.Option("--run", help="Of several runs, the one; of curves a regular expression.")
    ] = "",
    layer: Annotated[str, typer.Option(help="A layer; of top9 several, separated by commas, all by default.")] = "",
    channels: Annotated[str, typer.Option(help="Channels or filters: 0-15,40; all by default.")] = "",
    count: Annotated[int | None, typer.Option(help="Of top9: how many channels are drawn at random.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Of top9: of that draw.", min=0)] = None,
    rule: Annotated[str, typer.Option(help="Of top9: which projections; the first by default.")] = "",
    layout: Annotated[str, typer.Option(help="Of top9: figure2, pairs, patches or projections.")] = "",
    image: Annotated[int | None, typer.Option(help="Of maps and volumes: which picture, from 0.", min=0)] = None,
    tag: Annotated[str, typer.Option(help="Which result; of curves and histograms a regular expression.")] = "",
    step: Annotated[int | None, typer.Option(help="Of several steps, the last up to this one.")] = None,
    scale: Annotated[str, typer.Option(help="Of filters and maps: shared, or own for each.")] = "",
    input_number: Annotated[
        int | None, typer.Option("--input", help="Of filters: which of their inputs.", min=0)
    ] = None,
    after: Annotated[bool, typer.Option("--after", help="Of maps: after the non-linearity.")] = False,
    order: Annotated[str, typer.Option(help="Of volumes: index, pca, … as recorded.")] = "",
    views: Annotated[str, typer.Option(help="Of volumes: space,channel,row,column.")] = "",
    camera: Annotated[str, typer.Option(help="Of volumes and 3-D points: turned by and down by, degrees: 36,21.")] = "",
    smoothing: Annotated[float | None, typer.Option(help="Of curves: 0 to 0.999.")] = None,
    axis: Annotated[str, typer.Option(help="Of curves: step, or relative time.")] = "",
    log_x: Annotated[bool, typer.Option("--log-x", help="Of curves: a logarithmic axis.")] = False,
    log_y: Annotated[bool, typer.Option("--log-y", help="Of curves: a logarithmic axis.")] = False,
    together: Annotated[bool, typer.Option("--together", help="Of curves: all in one chart.")] = False,
    projection: Annotated[str, typer.Option(help="Of embeddings: tsne, umap, pca, …")] = "",
    colour: Annotated[str, typer.Option(help="Of embeddings: class, none, or a column.")] = "",
    thumbnails: Annotated[bool, typer.Option("--thumbnails", help="Of embeddings: pictures in place of dots.")] = False,
    columns: Annotated[int | None, typer.Option(help="How many tiles or charts stand side by side.", min=1)] = None,
    width: Annotated[str, typer.Option(help="3.5in, 89mm, 18cm or 252pt.")] = "7in",
    dpi: Annotated[float, typer.Option(help="Dots an inch: of PNG, and of pictures in the others.")] = 300,
    font_size: Annotated[float, typer.Option(help="In points.")] = 8,
    font: Annotated[str, typer.Option(help="A .ttf file, for letters that the own font lacks.")] = "",
    style: Annotated[str, typer.Option(help="light or dark.")] = "light",
    title: Annotated[str, typer.Option(help="What stands above.")] = "",
    caption: Annotated[str, typer.Option(help="What stands below, in place of what the figure says.")] = "",
    no_caption: Annotated[bool, typer.Option("--no-caption", help="Nothing below.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Draw a figure for print: top images, filters, maps, volumes, curves, histograms, embeddings."""
    from convscope.jobs.figures import figure as drawn

    if caption and no_caption:
        raise InputError("either --caption TEXT or --no-caption; leave one out")
    given: dict[str, Any] = {
        "run": run_name,
        "layer": layers_in(layer, kind),
        "channels": channels_in(channels),
        "count": count,
        "seed": seed,
        "rule": rule,
        "layout": layout,
        "image": image,
        "tag": tag,
        "step": step,
        "scale": scale,
        "input": input_number,
        "after": after or None,
        "order": order,
        "views": names_in(views) or None,
        "camera": camera_in(camera),
        "smoothing": smoothing,
        "axis": axis,
        "log_x": log_x or None,
        "log_y": log_y or None,
        "together": together or None,
        "projection": projection,
        "colour": colour,
        "thumbnails": thumbnails or None,
        "columns": columns,
    }
    look = {"width": width, "dpi": dpi, "font_size": font_size, "style": style, "title": title, "font": font or None}
    said = False if no_caption else caption or True
    made = drawn(
        run,
        kind,
        path=output,
        caption=said,
        force=force,
        **look,  # type: ignore[arg-type]
        **{name: value for name, value in given.items() if value not in (None, "")},
    )
    if lacking := made.lacking():
        few = ", ".join(lacking[:_SOME]) + (", …" if len(lacking) > _SOME else "")
        warning = f"the font has no {few}: drawn as question marks; give one that has them, --font FILE.ttf"
        err.print(plain(warning), style="yellow", soft_wrap=True)
    inches = f"{made.width / 72:.3g} × {made.height / 72:.3g} inches"
    out.print(plain(f"{output}: {inches}, {output.stat().st_size / 1e3:,.0f} kB"), soft_wrap=True)


def layers_in(text: str, kind: str) -> str | list[str]:
    """Return one layer, or for top images those that are named."""
    return names_in(text) if kind == "top9" and text else text


def channels_in(text: str) -> list[int] | None:
    """Return the numbers in ``0-15,40``; nothing for an empty text."""
    from convscope.view.selection import read_channels

    return read_channels(text)


def camera_in(text: str) -> tuple[float, float] | None:
    """Return two angles in degrees; nothing for an empty text.

    Raises
    ------
    InputError
        If it is something else.
    """
    if not text:
        return None
    try:
        yaw, pitch = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"a camera is two angles in degrees, as 36,21; got {text!r}") from error
    return yaw, pitch
