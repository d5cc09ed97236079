"""The command ``convscope view``: runs, volumes and a network in the browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from convscope.cli_options import Port, shape_of, share_the_cores
from convscope.cli_volume import Header, Shape, shown_volumes
from convscope.console import plain
from convscope.errors import InputError, missing_extra

if TYPE_CHECKING:
    from convscope.view import RunningServer
    from convscope.view.live import Live

out = Console(highlight=False, markup=False)


def view(
    logdir: Annotated[
        list[str] | None,
        typer.Argument(
            help="Directories that hold runs, or are one; or their URLs. NAME=DIRECTORY gives one a name. Optional "
            "with --model. Or files of volumes: .vox, .nrrd, .nhdr, .vti, .npy, .npz, .zarr; several are frames.",
        ),
    ] = None,
    port: Port = 6007,
    host: Annotated[str, typer.Option(help="Address to listen on; any but 127.0.0.1 asks for a token.")] = "127.0.0.1",
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the browser; by default where there is a display, and no SSH."),
    ] = None,
    path_prefix: Annotated[
        str, typer.Option(help="The path at which a proxy shows the page: /user/ada/proxy/{port}.")
    ] = "",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name by which a proxy calls the viewer: hub.example.org; repeatable.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only show: take nothing from the page, write nothing.")
    ] = False,
    token: Annotated[
        bool, typer.Option("--token", help="Ask for a token on 127.0.0.1 too: other users of this machine reach it.")
    ] = False,
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
    from convscope.view.opening import opens_here

    if not model and (weights, device, input_shape, labels) != (None, "cpu", "", None):
        raise InputError("--weights, --device, --input-shape and --labels say more of a network; name it with --model")
    if model and read_only:
        raise InputError("--read-only takes no pictures, and --model looks at them; leave one of the two out")
    live = attached(model, weights, device, input_shape, labels) if model else None
    with (
        shown_volumes(logdir or [], shape, hd) as (runs, page, said),
        serve(
            named(runs),
            host=host,
            port=port,
            live=live,
            path_prefix=path_prefix,
            allow_hosts=allow_host or (),
            read_only=read_only,
            token=token,
        ) as server,
    ):
        told = [f"port {port} is in use; taking {server.port}"] if port not in (0, server.port) else []
        told.append(f"viewer: {server.url}{page}   (Ctrl-C ends it)")
        told += [*ways(server, host, allow_host or (), page), *([server.waiting] if server.waiting else [])]
        if live is not None:
            told.append(f"{live.name} looks at every picture that is dropped into the page")
        for line in [*said, *told]:
            out.print(plain(line), soft_wrap=True)
        if opens_here() if open_page is None else open_page:
            webbrowser.open(server.url + page)
        server.wait()


def named(paths: Sequence[str]) -> str | dict[str, str | Path] | None:
    """Return what ``A B name=C`` means: one directory, several by name, or none.

    What is there, or has a slash before its ``=``, is a path with an ``=`` in it, as ``runs/lr=0.1``.
    """
    from convscope.view.merged import names_of

    given = [split(path) for path in paths]
    if not given:
        return None
    if len(given) == 1 and not given[0][0]:
        return given[0][1]
    unnamed = [path for name, path in given if not name]
    names = {str(path): name for name, path in names_of(unnamed).items()}
    found: dict[str, str | Path] = {}
    for name, path in given:
        called = name or names[path]
        if called in found:
            raise InputError(f"two directories are called {called!r}; give one another name: NAME={path}")
        found[called] = path
    return found


def split(text: str) -> tuple[str, str]:
    """Return name and path of ``name=path``; the name is empty where it has none."""
    name, sign, path = text.partition("=")
    if not sign or not name.strip() or not path or "/" in name or "\\" in name or os.path.exists(text):  # noqa: PTH110
        return "", text
    return name.strip(), os.path.expanduser(path)  # noqa: PTH111 - as the shell does where nothing stands before it


def ways(server: RunningServer, host: str, names: Sequence[str], page: str) -> list[str]:
    """Return how the page is reached from elsewhere: through SSH, or a proxy."""
    from convscope.view.opening import is_over_ssh, tunnel

    rest = server.url.partition("://")[2].partition("/")[2] + page
    told = [f"behind the proxy: https://{name}/{rest}" for name in names]
    if is_over_ssh() and host in ("127.0.0.1", "localhost") and not names:
        told.append(f"over SSH: run  {tunnel(server.port)}  where you sit, then open that address there")
    return told


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
