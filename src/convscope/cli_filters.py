"""The commands that measure filters: ``convscope importance`` and ``convscope ablate``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from convscope.cli_options import Device, InputShape, Weights, chosen_in, names_in, shape_of, share_the_cores
from convscope.console import Bar, bars, plain
from convscope.errors import InputError, missing_extra

out = Console(highlight=False, markup=False)

Network = Annotated[str, typer.Argument(help="A network, named as for inspect.")]
Images = Annotated[str, typer.Argument(help="Pictures: a folder (sub-folders are classes), .npy, Parquet, tar shards.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="The run directory to write, or to add to.")]
Layers = Annotated[str, typer.Option("--layer", help="Convolutions or linear layers, separated by commas.")]
Targets = Annotated[
    str, typer.Option(help="The network's output of each class of the pictures, where these differ: 281,263.")
]
Limit = Annotated[int | None, typer.Option(help="Look at the first so many pictures only.", min=1)]
Labels = Annotated[str | None, typer.Option(help="A CSV or TSV file: which picture is of which class.")]
Names = Annotated[str | None, typer.Option(help="A file with readable names of the classes, as synset_words.txt.")]


def importance(
    model: Network,
    images: Images,
    out_dir: Out,
    layer: Layers,
    classes: Annotated[str, typer.Option(help="Numbers of classes: 281,263; those of the pictures by default.")] = "",
    measures: Annotated[
        str, typer.Option(help="How importance is measured, separated by commas.")
    ] = "gradient_norm,activation,taylor",
    pictures: Annotated[int, typer.Option(help="Write the weight gradients of the first so many pictures.", min=0)] = 8,
    targets: Targets = "",
    weights: Weights = None,
    limit: Limit = None,
    device: Device = "cpu",
    input_shape: InputShape = "",
    labels: Labels = None,
    names: Names = None,
) -> None:
    """Write how much each filter of a layer matters to each class, and the gradients of its weights."""
    asked = {
        "classes": numbers_in(classes, "--classes"),
        "targets": numbers_in(targets, "--targets"),
        "measures": tuple(names_in(measures)),
        "pictures": pictures,
    }
    given: dict[str, Any] = {"weights": weights, "limit": limit, "device": device, "labels": labels, "names": names}
    given |= {"layers": chosen_in(layer), "input_shape": shape_of(input_shape)}
    _measure("importance_of_folder", (model, images, out_dir), given, asked)


def ablate(
    model: Network,
    images: Images,
    out_dir: Out,
    layer: Layers,
    points: Annotated[int, typer.Option(help="At how many numbers of removed filters is measured.", min=2)] = 65,
    by: Annotated[str, typer.Option(help="What orders the filters: taylor, activation or gradient_norm.")] = "taylor",
    single: Annotated[bool, typer.Option(help="Also with each filter removed by itself.")] = True,
    random: Annotated[int, typer.Option(help="Random orders to compare with.", min=0)] = 1,
    seed: Annotated[int, typer.Option(help="Of the first random order.", min=0)] = 0,
    targets: Targets = "",
    weights: Weights = None,
    limit: Limit = None,
    device: Device = "cpu",
    input_shape: InputShape = "",
    labels: Labels = None,
    names: Names = None,
) -> None:
    """Remove a layer's filters one by one and write accuracy and loss; the pictures have to have labels."""
    asked = {
        "targets": numbers_in(targets, "--targets"),
        "points": points,
        "measure": by,
        "single": single,
        "random": random,
        "seed": seed,
    }
    given: dict[str, Any] = {"weights": weights, "limit": limit, "device": device, "labels": labels, "names": names}
    given |= {"layers": chosen_in(layer), "input_shape": shape_of(input_shape)}
    _measure("ablate_folder", (model, images, out_dir), given, asked)


def _measure(job: str, places: tuple[str, str, Path], given: dict[str, Any], asked: dict[str, Any]) -> None:
    """Run a job of :mod:`convscope.jobs.filters` and print what it says."""
    share_the_cores()
    sys.path.insert(0, str(Path.cwd()))  # a network of one's own is looked for here, as python -m does
    try:
        from convscope.jobs import filters
        from convscope.jobs.folder import Question
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "torch", "looking inside a network") from error

    run: Callable[..., list[str]] = getattr(filters, job)
    with bars(out) as progress:
        report = run(
            *places, Question(**given), filters.Measurement(**asked), lambda label: Bar(progress, label, noun="images")
        )
    for line in [*report, f"show it with: convscope view {places[2]}"]:
        out.print(plain(line), soft_wrap=True)


def numbers_in(text: str, option: str) -> tuple[int, ...] | None:
    """Return the whole numbers in ``281,263``; nothing for an empty text.

    >>> numbers_in("281, 263", "--classes")
    (281, 263)
    """
    parts = names_in(text)
    if text and (not parts or not all(part.isdecimal() for part in parts)):
        raise InputError(f"{option} takes whole numbers separated by commas, as in 281,263; got {text!r}")
    return tuple(int(part) for part in parts) or None
