"""The command ``convscope embed``: pictures as a layer of a network sees them, laid out in two or three dimensions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convscope.cli_options import Device, InputShape, Weights, names_in, shape_of, share_the_cores
from convscope.console import Bar, bars, plain
from convscope.errors import InputError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convscope.jobs.embed import Made

out = Console(highlight=False, markup=False)


def embed(
    model: Annotated[str, typer.Argument(help="A network, named as for inspect.")],
    images: Annotated[
        list[str], typer.Argument(help="Pictures: a folder, a file or several, .npy, Parquet, tar shards.")
    ],
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="The run directory to write, or to add to.")],
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            help="A layer; several by naming the option again, or separated by commas: all in one pass. penultimate "
            "(the default) is what the last layer with weights is given, logits the output.",
        ),
    ] = None,
    project: Annotated[
        str, typer.Option(help="Projections, separated by commas: pca, tsne, umap; none for the vectors alone.")
    ] = "pca,tsne",
    count: Annotated[int | None, typer.Option(help="Of the first so many pictures only.", min=1)] = None,
    pooling: Annotated[
        str, typer.Option(help="Feature maps become vectors by their mean over the positions, or: flatten.")
    ] = "mean",
    normalise: Annotated[bool, typer.Option("--normalise", help="Give all vectors the length 1.")] = False,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="A table (CSV, TSV, JSON lines, Parquet) with a row for each picture, named in a column file."
        ),
    ] = None,
    dimensions: Annotated[int | None, typer.Option(help="Of the projections: 2 or 3.", min=2, max=3)] = None,
    perplexity: Annotated[
        float | None, typer.Option(help="Of t-SNE: about how many neighbours count; 30 by default.", min=1)
    ] = None,
    exaggeration: Annotated[float | None, typer.Option(help="Of t-SNE: how much clusters are drawn together.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Of t-SNE; 750 by default.", min=1)] = None,
    metric: Annotated[str, typer.Option(help="Of distances: euclidean (the default) or cosine.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of the projections; 0 by default.", min=0, max=2**32 - 1)] = None,
    thumbnails: Annotated[int, typer.Option(help="The longer side of small pictures; 0 for none.", min=0, max=64)] = 48,
    batch_size: Annotated[int | None, typer.Option(help="Pictures at once; by their size.", min=1)] = None,
    step: Annotated[int, typer.Option(help="The training step the network is at.", min=0)] = 0,
    projector: Annotated[bool, typer.Option(help="Write the files of TensorBoard's projector too.")] = True,
    weights: Weights = None,
    device: Device = "cpu",
    input_shape: InputShape = "",
    labels: Annotated[str | None, typer.Option(help="A CSV or TSV file: which picture is of which class.")] = None,
    names: Annotated[
        str | None, typer.Option(help="A file with readable names of the classes, as synset_words.txt.")
    ] = None,
) -> None:
    """Write what layers answer to pictures as vectors, and lay them out: PCA, t-SNE while it forms, UMAP."""
    share_the_cores()
    sys.path.insert(0, str(Path.cwd()))  # a network of one's own is looked for here, as python -m does
    try:
        from convscope.jobs.embed import Asked, embed_run
        from convscope.jobs.folder import Question
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "torch", "looking inside a network") from error

    given: dict[str, Any] = {
        "dimensions": dimensions,
        "perplexity": perplexity,
        "exaggeration": exaggeration,
        "iterations": iterations,
        "metric": metric or None,
        "seed": seed,
    }
    question = Question(
        layers=layers_in(layer),
        weights=weights,
        limit=count,
        device=device,
        input_shape=shape_of(input_shape),
        labels=labels,
        names=names,
    )
    asked = Asked(
        question,
        projections_in(project),
        {name: value for name, value in given.items() if value is not None},
        pooling,
        normalise,
        thumbnails,
        batch_size,
        None if metadata is None else str(metadata),
        projector,
        step,
    )
    with bars(out) as progress:
        report = embed_run(
            model,
            images if len(images) > 1 else images[0],
            out_dir,
            asked,
            lambda label, noun: Bar(progress, label, noun=noun),
        )
    for line in report.said:
        out.print(plain(line), soft_wrap=True)
    if report.made:
        out.print(table_of(report.made))
    out.print(plain(f"show it with: convscope view {out_dir}"), soft_wrap=True)


def layers_in(given: Sequence[str] | None) -> list[str] | None:
    """Return the layers that are named, each in an option of its own or separated by commas."""
    names = [name for text in given or () for name in names_in(text)]
    if given and not names:
        raise InputError("no layer in --layer; name one, or leave the option out for the penultimate")
    return names or None


def projections_in(text: str) -> tuple[str, ...]:
    """Return the projections that are named, each once; none of them for ``none``."""
    names = tuple(dict.fromkeys(names_in(text)))
    if not names:
        raise InputError("no projection in --project; name pca, tsne or umap, or none for the vectors alone")
    return () if names == ("none",) else names


def table_of(made: Sequence[Made]) -> Table:
    """Return the projections that were made, with what they are worth."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("layer", overflow="fold")
    for head in ("vectors", "projection", "10-NN kept", "trust", "labels", "KL", "variance"):
        table.add_column(head, no_wrap=True, justify="left" if head == "projection" else "right")
    for one in made:
        quality = one.meta.get("quality") or {}
        figures = [_share(quality.get(name)) for name in ("neighbours_kept", "trustworthiness", "label_accuracy")]
        divergence = "" if one.meta.get("kl") is None else f"{one.meta['kl']:.3f}"
        shares = [share for share in one.meta.get("explained_variance") or () if share is not None]
        row = (f"{one.points:,} × {one.numbers:,}", one.method, *figures, divergence, _share(sum(shares) or None))
        table.add_row(*(Text(plain(cell)) for cell in (one.layer, *row)))
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
