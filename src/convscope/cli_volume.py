"""The commands of volumes: ``convscope volume`` and ``convscope convert``, and files of volumes for ``view``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from convscope.cli_options import Device, InputShape, Weights, chosen_in, shape_of, share_the_cores
from convscope.console import Bar, bars, plain
from convscope.errors import InputError, missing_extra

out = Console(highlight=False, markup=False)

Shape = Annotated[str, typer.Option(help="Channels, rows and columns of a .vox file without .hd: 96,55,55.")]
Header = Annotated[
    str,
    typer.Option("--hd", help="What a .hd file names first: columns-first, or rows-first as the old CNN-VIS wrote it."),
]
Order = Annotated[
    str, typer.Option(help="How channels are stacked: index, mean, kmeans[:k], pca[:n], hierarchical, spectral, …")
]
Scale = Annotated[
    str | None, typer.Option(help="Full contrast: one for the layer, channel, or symmetric about 0; by the values.")
]
Percentiles = Annotated[str, typer.Option(help="Where the scale ends, in percent of the values: 1,99.")]
Inputs = Annotated[str, typer.Option(help="Of a filter's inputs: their sum (the default), norm, or the number of one.")]


def record_volume(
    model: Annotated[str, typer.Argument(help="A network, named as for inspect.")],
    images: Annotated[
        list[str], typer.Argument(help="Pictures: a folder, a file or several, .npy, Parquet, tar shards.")
    ],
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="The run directory to write, or to add to.")],
    layer: Annotated[
        str, typer.Option("--layer", help="Layers, separated by commas; the first convolution by default.")
    ] = "",
    order: Order = "index",
    order_of: Annotated[
        int | None, typer.Option(help="Give all pictures the order of this one, numbered from 0; each its own.", min=0)
    ] = None,
    scale: Scale = None,
    percentiles: Percentiles = "",
    gradients: Annotated[
        str,
        typer.Option(
            help="A class, by number or name, predicted or label: its logit's gradients by the layer's weights, in "
            "place of feature maps."
        ),
    ] = "",
    inputs: Inputs = "",
    tap: Annotated[str, typer.Option(help="Maps before or after the layer's non-linearity; before.")] = "",
    wire: Annotated[str, typer.Option(help="What the page is sent: uint8 or float16.")] = "uint8",
    limit: Annotated[int | None, typer.Option(help="Of the first so many pictures; 16.", min=1)] = None,
    weights: Weights = None,
    device: Device = "cpu",
    input_shape: InputShape = "",
    labels: Annotated[str | None, typer.Option(help="A CSV or TSV file: which picture is of which class.")] = None,
    names: Annotated[
        str | None, typer.Option(help="A file with readable names of the classes, as synset_words.txt.")
    ] = None,
) -> None:
    """Write feature maps, or gradients of weights, as 3-D volumes whose channels stand in order."""
    share_the_cores()
    sys.path.insert(0, str(Path.cwd()))  # a network of one's own is looked for here, as python -m does
    look: dict[str, Any] = {"scale": scale, "wire": wire}
    if percentiles:
        look["percentiles"] = pair(percentiles)
    if inputs and not gradients:
        raise InputError(
            "--inputs says how the inputs of filters are joined, maps have none; give --gradients CLASS too"
        )
    if tap and gradients:
        raise InputError("--tap says which maps are taken, --gradients takes none; leave one of them out")
    if gradients:
        look["inputs"] = inputs_of(inputs or "sum")
    try:
        from convscope.jobs.folder import Question
        from convscope.jobs.volume_run import Asked, volume_run
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "torch", "looking inside a network") from error

    question = Question(
        layers=chosen_in(layer),
        weights=weights,
        limit=limit,
        device=device,
        input_shape=shape_of(input_shape),
        labels=labels,
        names=names,
    )
    asked = Asked(question, tap or "before", gradients, order, order_of, look)
    with bars(out) as progress:
        report = volume_run(model, images if len(images) > 1 else images[0], out_dir, asked, Bar(progress, "volumes"))
    for line in [*report, f"show it with: convscope view {out_dir}"]:
        out.print(plain(line), soft_wrap=True)


def convert(
    source: Annotated[Path, typer.Argument(help="A volume: .vox, .nrrd, .nhdr, .vti, .npy, .npz, or a Zarr folder.")],
    target: Annotated[Path, typer.Argument(help="The file to write; its end says the format.")],
    shape: Shape = "",
    hd: Header = "columns-first",
    wrapped: Annotated[
        bool, typer.Option("--wrapped", help="int8 below 0 are bytes above 127, as the old CNN-VIS made them.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option("--type", help="uint8 or float32; by default as it is, or what the format has.")
    ] = None,
    order: Order = "index",
    scale: Scale = None,
    percentiles: Percentiles = "",
    inputs: Annotated[str, typer.Option(help="Make three axes of four: sum, norm, stack, or an input's number.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Convert a volume's file to another format, and say what was lost on the way."""
    from convscope.jobs.volumes import convert as convert_file

    look: dict[str, Any] = {"order": order}
    if scale is not None:
        look["scale"] = scale
    if percentiles:
        look["percentiles"] = pair(percentiles)
    if inputs:
        look["inputs"] = inputs_of(inputs)
    done = convert_file(
        source,
        target,
        shape=sizes(shape),
        rows_first=rows_first(hd),
        wrapped=wrapped,
        dtype=dtype,
        force=force,
        **look,
    )
    out.print(plain(done), soft_wrap=True)


@contextmanager
def shown_volumes(
    paths: Sequence[str], shape: str = "", hd: str = "columns-first"
) -> Iterator[tuple[list[str], str, list[str]]]:
    """Give the directories of runs that ``view`` shows, the page it begins with, and what there is to say.

    Files of volumes are put into a run that is gone afterwards. Any other path is that of runs itself.
    """
    from convscope.jobs.volumes import is_volume, temporary_run

    of_volumes = [path for path in paths if "://" not in path and is_volume(path)]
    if not of_volumes:
        if shape or hd != "columns-first":
            raise InputError("--shape and --hd say more of a .vox file; give one")
        yield list(paths), "", []
        return
    if len(of_volumes) < len(paths):
        other = next(path for path in paths if path not in of_volumes)
        raise InputError(f"{other!r} is no file of a volume, {of_volumes[0]!r} is; show them one after the other")
    with temporary_run(of_volumes, shape=sizes(shape), rows_first=rows_first(hd)) as (folder, said):
        yield [str(folder)], "#/volume", said


def sizes(text: str) -> tuple[int, int, int] | None:
    """Return the sizes in ``96,55,55``; nothing for an empty text."""
    return shape_of(text, "the shape of a volume", "96,55,55")


def rows_first(text: str) -> bool:
    """Return whether a ``.hd`` file names its rows first."""
    if text not in ("columns-first", "rows-first"):
        raise InputError(f"--hd is columns-first or rows-first, got {text!r}")
    return text == "rows-first"


def pair(text: str) -> tuple[float, float]:
    """Return the two numbers in ``1,99``."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"percentiles are two numbers, as in 1,99; got {text!r}") from None
    return low, high


def inputs_of(text: str) -> str | int:
    """Return how the inputs of a filter become one plane: a name, or the number of one of them."""
    return int(text) if text.isdecimal() and len(text) < 10 else text
