"""The command ``convscope project``: layouts of the embeddings that a run holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from convscope.cli_options import names_in, share_the_cores
from convscope.console import Bar, bars, plain
from convscope.errors import InputError

out = Console(highlight=False, markup=False)


def project(
    run: Annotated[Path, typer.Argument(help="A run directory with embeddings, of whatever program.")],
    tag: Annotated[str, typer.Option(help="The tag of one embedding; all by default.")] = "",
    method: Annotated[str, typer.Option(help="Methods, separated by commas: pca, tsne, umap.")] = "pca,tsne",
    dimensions: Annotated[int, typer.Option(help="2: a plane; 3: space.")] = 2,
    perplexity: Annotated[
        float | None, typer.Option(help="Of t-SNE: the effective number of neighbours; 30 by default.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Of t-SNE; 750 by default, 250 from an earlier layout.")
    ] = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Start each step from the one before and lay it over that.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.", min=0, max=2**32 - 1)] = 0,
) -> None:
    """Lay out the embeddings of a run: PCA, t-SNE, UMAP, in the plane or in space, step after step."""
    share_the_cores()
    if dimensions not in (2, 3):
        raise InputError(f"a layout has 2 or 3 dimensions, not {dimensions}")
    from convscope.jobs.project_run import Wanted, project_run

    parameters: dict[str, Any] = {"dimensions": dimensions, "seed": seed}
    given = {"perplexity": perplexity, "iterations": iterations}
    parameters |= {name: value for name, value in given.items() if value is not None}
    wanted = Wanted(names_in(method), tag, timeline, parameters)
    with bars(out) as progress:
        report = project_run(run, wanted, lambda label: Bar(progress, label))
    for line in [*report, f"show it with: convscope view {run}"]:
        out.print(plain(line), soft_wrap=True)
