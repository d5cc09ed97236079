"""The command ``convscope export``: the pages of runs as files that need no server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from convscope.cli_options import chosen_in
from convscope.console import plain

if TYPE_CHECKING:
    from convscope.view.selection import Choice

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


def export(
    runs: Annotated[
        list[str], typer.Argument(help="Run directories, or ones that hold runs; or URLs; for a site NAME=RUN.")
    ],
    output: Annotated[Path, typer.Option("-o", "--out", help="The file to write: .html; or a folder, for a site.")],
    pages: Annotated[str, typer.Option(help="Pages: network,layer,filters,maps,…; all by default.")] = "",
    layers: Annotated[str, typer.Option(help="Layers, separated by commas; all by default.")] = "",
    channels: Annotated[str, typer.Option(help="Channels of the layer pages: 0-15,40; all by default.")] = "",
    rules: Annotated[str, typer.Option(help="Rules of projections, separated by commas; all by default.")] = "",
    step: Annotated[int | None, typer.Option(help="Of several steps, only the last up to this one.")] = None,
    quality: Annotated[int | None, typer.Option(help="Of lossy pictures, 1 to 100; default: fits 25 MB.")] = None,
    max_mb: Annotated[float, typer.Option(help="The largest file that may be written, in megabytes.")] = 50.0,
    base_url: Annotated[str, typer.Option(help="The address that a site is to have, for previews of links.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file; let a folder with files be a site.")
    ] = False,
) -> None:
    """Write the pages of a run to one HTML file that opens anywhere, or those of several to a folder, as a site."""
    from convscope.errors import InputError
    from convscope.store import Logdir
    from convscope.view.html import check_target, compose, is_page, write
    from convscope.view.selection import Choice, read_channels
    from convscope.view.source import LogdirSource

    choice = Choice.of(chosen_in(pages), chosen_in(layers), read_channels(channels), chosen_in(rules), step)
    if not is_page(output):
        _export_site(runs, output, choice, quality, base_url, force=force)
        return
    check_target(output, force=force)
    if len(runs) > 1:
        raise InputError("one file holds the runs of one directory; name a folder for a site of several")
    with err.status("packing; many lossy pictures may take half a minute to fit"):
        page, report = compose(LogdirSource(Logdir(runs[0])), choice, max_mb, quality)
    for problem in report.problems:
        err.print(plain(problem), style="yellow", soft_wrap=True)
    out.print(plain(f"{output} gets {report.sentence()}"), soft_wrap=True)
    write(output, page, force=force)
    out.print(plain(f"written; open it with a browser: {output}"), soft_wrap=True)


def _export_site(
    runs: list[str], output: Path, choice: Choice, quality: int | None, base_url: str, *, force: bool
) -> None:
    """Write a site, and say before how large it is going to be."""
    from convscope.view.site import plan_site, write_site

    plan = plan_site(runs, output, choice, quality=quality, base_url=base_url, force=force)
    out.print(plain(f"{output} gets {plan.sentence()}"), soft_wrap=True)
    for warning in plan.warnings():
        err.print(plain(warning), style="yellow", soft_wrap=True)
    with err.status("writing"):
        report = write_site(plan)
    for problem in report.problems:
        err.print(plain(problem), style="yellow", soft_wrap=True)
    out.print(plain(f"it has {report.sentence()}"), soft_wrap=True)
    out.print(plain(f"written; open it with a browser: {output / 'index.html'}"), soft_wrap=True)
