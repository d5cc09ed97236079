"""The viewer's server in a frame of a notebook, for where widgets are blocked."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from convscope.errors import InputError
from convscope.notebook.where import proxied
from convscope.view.live import Live
from convscope.view.serve import RunningServer
from convscope.view.serve import serve as start


@dataclass(frozen=True)
class ServedFrame:
    """A running viewer that shows itself as a frame in a notebook.

    Attributes
    ----------
    server
        What answers, until it is stopped.
    url
        The address that the frame shows.
    height
        In pixels.
    """

    server: RunningServer = field(repr=False)
    url: str
    height: int

    def _repr_html_(self) -> str:
        """Return the frame, with the address beneath it for where the frame stays empty."""
        url = escape(self.url, quote=True)
        return (
            f'<iframe src="{url}" title="convscope" allow="fullscreen; clipboard-write" '
            f'style="border:0;width:100%;height:{self.height}px"></iframe>'
            f'<p>The viewer is at <a href="{url}" target="_blank" rel="noopener">{url}</a>, on the machine of the '
            "kernel.</p>"
        )

    def stop(self) -> None:
        """Stop the server and free its port."""
        self.server.stop()


def serve(logdir: str | Path | Any, *, height: int = 640, port: int = 0, path_prefix: str = "") -> ServedFrame:
    """Show runs in a frame on a server of this machine; as the last value of a cell it shows itself.

    >>> cs.notebook.serve("runs/")                                              # doctest: +SKIP
    >>> cs.notebook.serve("runs/", path_prefix="/user/ada/proxy/{port}")        # doctest: +SKIP

    It needs no widget, but a way from the browser to the port: both on one machine, or jupyter-server-proxy, whose path
    is found on a JupyterHub and can be given elsewhere.

    Parameters
    ----------
    logdir
        What :func:`convscope.view.serve` takes: a directory of runs, several, or a source.
    height
        Of the frame, in pixels.
    port
        The port; 0 takes any that is free.
    path_prefix
        The path under which a proxy shows the port, ``{port}`` in it stands for its number. A token is asked for then.

    Raises
    ------
    NotFoundError
        If what is there is no directory.
    InputError
        If the height is none, or the port or the path cannot be.
    """
    return framed(logdir, height=height, port=port, path_prefix=path_prefix)


def framed(shown: Any, *, height: int, port: int = 0, path_prefix: str = "", live: Live | None = None) -> ServedFrame:
    """Return a viewer in a frame; see :func:`serve`."""
    if not isinstance(height, int) or height < 1:
        raise InputError(f"the height is a number of pixels, got {height!r}")
    prefix = path_prefix or proxied("{port}").rstrip("/")
    # A proxy passes on the name by which the browser calls it, which the kernel does not know: a token lets it in.
    server = start(shown, port=port, live=live, path_prefix=prefix, token=bool(prefix), framed=True)
    url = "/" + server.url.partition("://")[2].partition("/")[2] if prefix else server.url
    return ServedFrame(server, url, height)
