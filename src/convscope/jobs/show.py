"""Show runs, results and arrays: in a notebook as a widget, elsewhere in the browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from convscope.notebook.where import notebook
from convscope.view.opening import is_over_ssh, opens_here, tunnel
from convscope.view.serve import DEFAULT_PORT, serve

if TYPE_CHECKING:
    from convscope.jobs.given import Given
    from convscope.nets.torch import Model

HEIGHT: Final = 480
TALL: Final = 640
"""Pixels of a widget: with one result, and with pages to turn."""


def show(
    *given: Any,
    as_: str | None = None,
    tag: str = "",
    height: int | None = None,
    model: Model | None = None,
    classes: Sequence[str] = (),
    port: int = DEFAULT_PORT,
    open_browser: bool | None = None,
) -> Any:
    """Show runs, results or arrays: as a widget in a notebook, in the browser from a script.

    >>> cs.show("runs/")                                              # doctest: +SKIP
    >>> cs.show(volume)                                               # doctest: +SKIP
    >>> cs.show(embedding, embedding.project("tsne"))                 # doctest: +SKIP
    >>> cs.show(net.conv1.weight)                                     # doctest: +SKIP
    >>> cs.show(activations[0], as_="volume", height=600)             # doctest: +SKIP
    >>> server = cs.show("runs/", model=cs.Model("alexnet"))          # doctest: +SKIP

    Parameters
    ----------
    *given
        Directories that hold runs, or are runs; or results (whatever ``SummaryWriter.add`` takes); or arrays of any
        framework: filters ``(O, I, h, w)``, maps ``(C, H, W)``, vectors ``(N, D)``. Several are shown together.
    as_
        What arrays are, where their shape does not say it: ``filters``, ``maps``, ``volume`` or ``embedding``.
    tag
        What a result or an array is called.
    height
        Of the widget, in pixels.
    model
        A network for the page: it looks at the pictures that are dropped into it. Not in a widget: see
        :func:`convscope.notebook.serve`.
    classes
        Names of the network's classes, in its order.
    port
        Of the server; if it is in use, the next free one is taken. 0 takes any.
    open_browser
        Whether to open the page, where there is no notebook; by default where a browser would be seen. Where none is
        opened the address is printed and, over SSH, the command that brings the port to where one sits.

    Returns
    -------
    In a notebook the widget, which shows itself as the last value of a cell; else the running server.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    InputError
        If there is nothing that can be shown, or the model has no feature maps or other classes.
    MissingExtraError
        If anywidget is not installed in a notebook.
    """
    where = notebook()
    given = tuple(one for one in given if one is not None)
    if model is None and where:
        return _widget(_given(given, as_, tag), height)
    live = None
    if model is not None:
        from convscope.jobs.live import LiveModel

        live = LiveModel(model, classes=classes)
    found = _given(given, as_, tag) if given or live is None else None
    source = None if found is None else found.source
    if where:
        from convscope.notebook.frame import framed

        return framed(source, height=height or TALL, port=port, live=live)
    server = serve(source, port=port, live=live)
    address = server.url + (found.start if found else "")
    if opens_here() if open_browser is None else open_browser:
        webbrowser.open(address)
    elif open_browser is None:
        print(f"the viewer is at {address}")  # whoever asked for a page has to find it
        if is_over_ssh():
            print(f"from your own machine: {tunnel(server.port)}")
    return server


def _given(given: Sequence[Any], as_: str | None, tag: str) -> Given:
    from convscope.jobs.given import given_to_show

    return given_to_show(given, as_=as_, tag=tag)


def _widget(found: Given, height: int | None) -> Any:
    from convscope.notebook.html import html_of, html_of_summaries
    from convscope.view.widget import make_widget

    def still() -> dict[str, str]:
        if found.summaries:
            return {"text/html": html_of_summaries(found.summaries)}
        place = found.place
        return {"text/html": html_of(place)} if hasattr(place, "path") else {}

    usual = HEIGHT if found.compact else TALL
    return make_widget(
        found.source, start=found.start, compact=found.compact, height=usual if height is None else height, still=still
    )
