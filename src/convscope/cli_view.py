"""The command ``convscope view``: runs, volumes and a network in the browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from convscope.cli_options import NoOpen, Port, shape_of, share_the_cores
from convscope.cli_volume import Header, Shape, shown_volumes
from convscope.console import plain
from convscope.errors import InputError, missing_extra

if TYPE_CHECKING:
    from convscope.view.live import Live

out = Console(highlight=False, markup=False)


def view(
    logdir: Annotated[
        list[str] | None,
        typer.Argument(
            help="A directory that holds runs, or is one; or its URL. Optional with --model. Or files of volumes: "
            ".vox, .nrrd, .nhdr, .vti, .npy, .npz, .zarr; several are frames.",
        ),
    ] = None,
    port: Port = 6007,
    host: Annotated[str, typer.Option(help="Address to listen on; any but 127.0.0.1 asks for a token.")] = "127.0.0.1",
    no_open: NoOpen = False,
    model: Annotated[
        str, typer.Option(help="A network that looks at the pictures dropped into the page; named as for inspect.")
    ] = "",
    weights: Annotated[str | None, typer.Option(help="Its weights: a file, or: random.")] = None,
    device: Annotated[str, typer.Option(help="Where it runs: cpu, cuda, cuda:1, …")] = "cpu",
    input_shape: Annotated[str, typer.Option(help="Channels, height and width it takes: 3,224,224.")] = "",
    labels: Annotated[
        Path | None, typer.Option(help="A file with the names of its classes, one a line (synset_words.txt).")
    ] = None,
    shape: Shape = "",
    hd: Header = "columns-first",
) -> None:
    """Show runs in the browser, and follow them as they grow; with --model also what a network makes of a picture.

    Volumes of other programs are shown in 3-D, for as long as the command runs.
    """
    import webbrowser

    from convscope.view import serve

    if not model and (weights, device, input_shape, labels) != (None, "cpu", "", None):
        raise InputError("--weights, --device, --input-shape and --labels say more of a network; name it with --model")
    live = attached(model, weights, device, input_shape, labels) if model else None
    with (
        shown_volumes(logdir or [], shape, hd) as (runs, page, said),
        serve(runs, host=host, port=port, live=live) as server,
    ):
        for line in said:
            out.print(plain(line), soft_wrap=True)
        if port not in (0, server.port):
            out.print(f"port {port} is in use; taking {server.port}")
        out.print(f"viewer: {server.url}{page}   (Ctrl-C ends it)")
        if server.waiting:
            out.print(plain(server.waiting), soft_wrap=True)
        if live is not None:
            out.print(plain(f"{live.name} looks at every picture that is dropped into the page"), soft_wrap=True)
        if not no_open:
            webbrowser.open(server.url + page)
        server.wait()


def attached(model: str, weights: str | None, device: str, input_shape: str, labels: Path | None) -> Live:
    """Return the network for the page of ``convscope view``."""
    share_the_cores()
    sys.path.insert(0, str(Path.cwd()))  # a network of one's own is looked for here, as python -m does
    try:
        from convscope.jobs.folder import Question, open_model
        from convscope.jobs.live import LiveModel, read_classes
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "torch", "torch", "looking at a picture") from error

    classes = read_classes(labels) if labels else ()
    question = Question(weights=weights, device=device, input_shape=shape_of(input_shape))
    return LiveModel(open_model(model, question), classes=classes)
