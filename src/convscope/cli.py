"""The commands ``convscope demo``, ``view``, ``inspect``, …; each calls a function and prints what it says.

Errors of ours become one sentence and exit code 2, Ctrl-C becomes exit code 130.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convscope import __version__
from convscope.cli_embed import embed
from convscope.cli_export import export
from convscope.cli_figure import figure
from convscope.cli_filters import ablate, importance
from convscope.cli_options import NoOpen, Port, chosen_in, names_in, shape_of, share_the_cores
from convscope.cli_project import project
from convscope.cli_view import view
from convscope.cli_volume import convert, record_volume
from convscope.console import plain
from convscope.errors import ConvscopeError, InputError, missing_extra

app = typer.Typer(
    name="convscope",
    help="See what a convolutional network learns, while it trains and after.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED = 130
_STOPPED = "convscope: interrupted; the same command goes on"
INTERRUPTED_WHILE = {
    "demo": "convscope: interrupted; the stages that are done are kept, and the same command goes on with the others",
    "inspect": f"{_STOPPED} where the search was",
    "project": f"{_STOPPED} with the projections that are not done",
    **dict.fromkeys(("embed", "importance", "ablate"), f"{_STOPPED} after the pictures that are done"),
}
out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"convscope {__version__}")
        raise typer.Exit


@app.callback()
def _convscope(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Where to write; new, empty or from an earlier demo.")] = Path(
        "runs/demo"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Do less: under a minute.")] = False,
    alexnet: Annotated[
        bool | None,
        typer.Option(help="Look inside AlexNet too (64 MB once); by default if it can be had, and not with --quick."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order of pictures and t-SNE.", min=0, max=2**32 - 1)] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network.")] = False,
    port: Port = 6007,
    no_open: NoOpen = False,
    exit_when_done: Annotated[
        bool, typer.Option("--exit", help="End when all is done instead of keeping the viewer open.")
    ] = False,
) -> None:
    """Train a network on digits, look inside it and show it, live in the browser."""
    share_the_cores()
    try:
        from convscope.demo import DemoOptions, run_demo
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "demo", "the demo") from error

    run_demo(
        DemoOptions(
            out=out_dir,
            quick=quick,
            seed=seed,
            alexnet=alexnet,
            offline=offline,
            port=port,
            open_browser=not no_open,
            stay=not exit_when_done,
        ),
        out,
    )


app.command()(view)


@app.command()
def inspect(
    model: Annotated[
        str,
        typer.Argument(
            help="A network of the zoo (alexnet, torchvision:resnet18, timm:…), a file (.onnx, .pt2, .pt), or your "
            "own: package.module:function."
        ),
    ],
    images: Annotated[
        str, typer.Argument(help="Pictures: a folder (sub-folders are classes), a file, .npy, Parquet, tar shards.")
    ],
    out_dir: Annotated[Path, typer.Option("-o", "--out", help="The run directory to write; new.")],
    layers: Annotated[str, typer.Option(help="Layers, separated by commas; all convolutions by default.")] = "",
    top: Annotated[int, typer.Option(help="Pictures per channel.", min=1, max=100)] = 9,
    rules: Annotated[
        str,
        typer.Option(
            help="Rules of the projections, separated by commas: deconvnet, guided_backprop, gradient, "
            "gradient_x_input, integrated_gradients, grad_cam, occlusion."
        ),
    ] = "deconvnet",
    proofs: Annotated[
        int, typer.Option(help="Check the projections of each channel's first so many pictures.", min=0)
    ] = 1,
    mode: Annotated[str, typer.Option(help="Project a channel's strongest activation (single) or its map.")] = "single",
    lrn: Annotated[
        str, typer.Option(help="Local response normalisation on the way back: constant, gradient or identity.")
    ] = "constant",
    score: Annotated[str, typer.Option(help="A picture's score: a channel's max activation in it, or mean.")] = "max",
    top_maps: Annotated[bool, typer.Option(help="Write the activation maps of the channels' pictures.")] = True,
    workers: Annotated[int, typer.Option(help="Processes that share the search.", min=1)] = 1,
    weights: Annotated[
        str | None, typer.Option(help="A file of weights (.safetensors, .npz, .pth), or: random.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Look at the first so many pictures only.", min=1)] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
    input_shape: Annotated[str, typer.Option(help="Channels, height and width: 3,224,224; found by trial.")] = "",
    maps: Annotated[int | None, typer.Option(help="Write the feature maps of so many pictures.", min=0)] = None,
    labels: Annotated[str | None, typer.Option(help="A CSV or TSV file: which picture is of which class.")] = None,
    names: Annotated[
        str | None, typer.Option(help="A file with readable names of the classes, as synset_words.txt.")
    ] = None,
) -> None:
    """Write a network's layers, filters, feature maps, and each channel's strongest pictures projected back."""
    from convscope.console import Bar, bars

    share_the_cores()
    sys.path.insert(0, str(Path.cwd()))  # a network of one's own is looked for here, as python -m does
    try:
        from convscope.jobs.folder import Question, inspect_folder
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "torch", "looking inside a network") from error

    question = Question(
        layers=chosen_in(layers),
        k=top,
        rules=names_in(rules),
        proofs=proofs,
        score=score,
        mode=mode,
        lrn=lrn,
        workers=workers,
        top_maps=top_maps,
        weights=weights,
        limit=limit,
        device=device,
        input_shape=shape_of(input_shape),
        maps=maps,
        labels=labels,
        names=names,
    )
    with bars(out) as progress:
        report = inspect_folder(model, images, out_dir, question, lambda label: Bar(progress, label))
    for line in [*report, f"show it with: convscope view {out_dir}"]:
        out.print(plain(line), soft_wrap=True)


for command in (embed, project, importance, ablate):
    app.command(command.__name__)(command)
app.command(name="volume")(record_volume)


@app.command(name="ls")
def list_runs(
    logdir: Annotated[str, typer.Argument(help="A directory that holds runs, or is one; or its URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List runs, what they hold and how far they are."""
    from convscope.store import Logdir
    from convscope.store.export import unicode_of

    runs = Logdir(logdir).runs()
    if not runs:
        raise InputError(f"no runs in {logdir}; write one with SummaryWriter, or try: convscope demo")
    if as_json:
        listed = [
            {"run": unicode_of(run.name), "series": run_rows(run), "problems": [*map(unicode_of, run.problems)]}
            for run in runs
        ]
        print(json.dumps(listed, indent=1))
        return
    table = Table("run", "kind", "tag", "count", "last step", box=None, header_style="bold", pad_edge=False)
    for run in runs:
        for row in run_rows(run):
            cells = (run.name, row["kind"], row["tag"], f"{row['count']:,}", str(row["last_step"]))
            table.add_row(*(Text(plain(cell)) for cell in cells))
    out.print(table)
    for run in runs:
        warn(run)


def warn(run: Any) -> None:
    """Print what could not be read of a run."""
    for problem in run.problems:
        err.print(plain(f"{run.name}: {problem}"), style="yellow", soft_wrap=True)


def run_rows(run: Any) -> list[dict[str, Any]]:
    """Return what ``convscope ls`` says about a run: kind, tag, count and last step of everything that is in it."""
    rows = []
    for kind, tags in run.tags().items():
        for tag in tags:
            steps = run.steps(kind, tag)
            rows.append({"kind": kind, "tag": tag, "count": len(steps), "last_step": int(steps.max())})
    return rows


@app.command(name="export-scalars")
def export_curves(
    logdir: Annotated[str, typer.Argument(help="A directory that holds runs, or is one; or its URL.")],
    output: Annotated[Path, typer.Option("-o", "--out", help="The file to write: .csv, .json or .parquet.")],
    tag: Annotated[str, typer.Option(help="Regular expression that must occur in the tag.")] = "",
    run: Annotated[str, typer.Option(help="Regular expression that must occur in the run's name.")] = "",
    points: Annotated[
        str, typer.Option(help="Where a run was restarted: current, latest (as TensorBoard's fast loader) or all.")
    ] = "current",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write the curves of runs to a table: run, tag, step, wall_time, value."""
    from convscope.store.export import curves, export_scalars
    from convscope.store.logdir import each_run

    def opened() -> Iterator[Any]:
        for one in each_run(logdir, run):
            yield one
            warn(one)

    found = curves(opened(), tag, run, points)
    count, rows = export_scalars(found, output, force=force)
    out.print(plain(f"{rows:,} points of {count:,} curves written to {output}"), soft_wrap=True)


app.command(name="export")(export)
app.command(name="figure")(figure)
app.command(name="convert")(convert)


@app.command()
def doctor(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    repair_to: Annotated[
        Path | None, typer.Option("--repair", help="Copy what is good into this new directory.")
    ] = None,
) -> None:
    """Check everything in a run directory; exit with 1 if something is wrong."""
    from convscope.store.doctor import examine
    from convscope.store.repair import repair

    report = examine(run)
    table = Table("file", "what", "bytes", "count", "state", box=None, header_style="bold", pad_edge=False)
    for row in report.rows:
        cells = (row.file, row.what, f"{row.bytes:,}", f"{row.count:,}", row.state)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    out.print(table)
    for finding in report.findings:
        out.print(plain(finding.sentence()), soft_wrap=True)
    if report.healthy:
        out.print("all is well")
    if repair_to is not None:
        done = repair(run, repair_to)
        out.print(plain(f"copied to {repair_to}: {done.sentence()}"), soft_wrap=True)
        report = examine(repair_to)
    if not report.healthy:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; what ``convscope`` on the shell calls."""
    try:
        app()
    except ConvscopeError as error:
        err.print(Text("convscope: ", style="bold") + Text(plain(str(error))), soft_wrap=True)
        sys.exit(2)
    except SystemExit as leave:
        if leave.code == INTERRUPTED:
            err.print(INTERRUPTED_WHILE.get(" ".join(sys.argv[1:2]), "convscope: interrupted"), soft_wrap=True)
        raise


if __name__ == "__main__":
    main()
