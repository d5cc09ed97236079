"""Show runs in the browser, with or without a network that looks at pictures while one waits."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convscope.view import RunningServer, serve
from convscope.view.serve import DEFAULT_PORT

if TYPE_CHECKING:
    from convscope.nets.torch import Model


def show(
    logdir: str | Path | None = None,
    *,
    model: Model | None = None,
    classes: Sequence[str] = (),
    port: int = DEFAULT_PORT,
    open_browser: bool = True,
) -> RunningServer:
    """Show a directory of runs in the browser and return the running server.

    >>> server = show("runs/")                                   # doctest: +SKIP
    >>> server = show("runs/", model=Model("alexnet"))           # doctest: +SKIP

    Parameters
    ----------
    logdir
        A directory that holds runs, or is one. It may be left out where there is a model.
    model
        A network for the page: it looks at the pictures that are dropped into it.
    classes
        Names of the network's classes, in its order.
    port
        The port; if it is in use, the next free one is taken. 0 takes any.
    open_browser
        Whether to open the page.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    InputError
        If there is neither a directory nor a model, or the model has no feature maps or other classes.
    """
    live = None
    if model is not None:
        from convscope.jobs.live import LiveModel

        live = LiveModel(model, classes=classes)
    server = serve(logdir, port=port, live=live)
    if open_browser:
        webbrowser.open(server.url)
    return server
