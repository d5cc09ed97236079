"""Start the viewer's server: find a port, listen, say where."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from convscope.errors import InputError, StorageError
from convscope.view.guard import LOOPBACK, Access, checked_host, checked_prefix, host_name
from convscope.view.live import Live, LiveSource
from convscope.view.merged import MergedSource, names_of
from convscope.view.source import LogdirSource, Source

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

Shown = str | Path | Sequence[str | Path] | Mapping[str, str | Path] | Source | None
"""What a server can show."""
DEFAULT_PORT: Final = 6007
PORTS_TRIED: Final = 50


@dataclass
class RunningServer:
    """A server that answers in a thread of its own until it is stopped; also a context manager.

    Attributes
    ----------
    url
        The address to open, with the token where there is one.
    port
        The port it listens on: the one asked for, or the next free one.
    waiting
        What is waited for, as a sentence: a directory that is not there yet. Empty where nothing is.
    """

    url: str
    port: int
    waiting: str
    _server: Any = field(repr=False)
    _thread: threading.Thread = field(repr=False)
    _stopping: threading.Event = field(repr=False)

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(timeout=20)

    def wait(self) -> None:
        """Return when the server has stopped; Ctrl-C passes through."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``port`` or, if that is in use, on the next free one.

    Raises
    ------
    InputError
        If ``port`` is no port, or ``host`` is no address of this machine.
    StorageError
        If none of the next 50 ports is free.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"a port is a number from 0 (any free one) to 65535, got {port}")
    if not host.strip():  # which is every address, and nobody who leaves it empty means that
        raise InputError("an address to listen on is as in 127.0.0.1; 0.0.0.0 is all of this machine")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + PORTS_TRIED, 65536) if port else 1
    for candidate in range(port, last):
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named: 40 ms less for an answer in two parts
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
            sock.listen(128)
        except (socket.gaierror, UnicodeError, TypeError, ValueError) as error:  # the latter: what no name can hold
            sock.close()
            told = f" ({error.strerror})" if isinstance(error, OSError) else ""
            raise InputError(f"{host[:80]!r} is not an address of this machine{told}; use 127.0.0.1") from error
        except PermissionError as error:
            sock.close()
            raise InputError(f"port {candidate} may not be used by this user; choose one from 1024 on") from error
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise InputError(f"{host!r} is not an address of this machine; use 127.0.0.1") from error
            continue
        return sock
    raise StorageError(f"the ports {port} to {last - 1} are all in use; choose another one")


def serve(
    logdir: Shown = None,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    live: Live | None = None,
    path_prefix: str = "",
    allow_hosts: Sequence[str] = (),
    read_only: bool = False,
    token: bool = False,
    framed: bool = False,
) -> RunningServer:
    """Start a server for runs, in a thread of its own.

    >>> with serve("runs", port=0) as server:      # doctest: +SKIP
    ...     print(server.url)
    http://127.0.0.1:43211/

    Parameters
    ----------
    logdir
        A directory that holds runs, or is one; it is followed as it grows. One that is not there yet is waited for. Or
        several of them: a list, or a dictionary of directories by the names that stand before those of the runs. Or
        another :class:`~convscope.view.source.Source`. It may be left out where there is a network.
    host
        The address to listen on. Any other than the loopback address asks for a token, which is part of ``url``.
    port
        The port; if it is in use, the next free one is taken. 0 takes any.
    live
        A network that looks at the pictures a visitor hands in.
    path_prefix
        The path under which a proxy shows the server, as in ``/user/ada/proxy/{port}``; ``{port}`` is the one that is
        taken. It may be cut off on the way or not.
    allow_hosts
        Names by which a proxy calls the server; others than those of this machine are turned away, unless a token is
        asked for.
    read_only
        Whether it only shows: nothing can be sent to it, and nothing is written.
    token
        Whether a token is asked for on the loopback address too, which other users of this machine can reach.
    framed
        Whether pages of others, as those of a notebook, may show the viewer in a frame.

    Raises
    ------
    NotFoundError
        If what is there is no directory.
    InputError, StorageError
        If the address or the port cannot be had, or the front end is not built.
    """
    from convscope.view.server import create_app

    if read_only and live is not None:
        raise InputError("a viewer that only shows takes no pictures for a network; leave one of the two out")
    checked_prefix(path_prefix)
    source = make_source(logdir, live)
    asks = token or host not in ("127.0.0.1", "localhost", "::1")  # for a token: then it does not matter by which name
    names = frozenset(map(checked_host, allow_hosts))
    sock = listen(host, port)
    actual = int(sock.getsockname()[1])
    access = Access(
        frozenset({"*"}) if asks else LOOPBACK | frozenset(map(host_name, names)),
        secrets.token_urlsafe(24) if asks else None,
        prefix=checked_prefix(path_prefix, actual),
        origins=names,
        read_only=read_only,
        framed=framed,
    )
    stopping = threading.Event()
    try:
        server = _server(create_app(source, closing=stopping.is_set, access=access))
    except StorageError:
        sock.close()
        raise
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="convscope-viewer", daemon=True)
    thread.start()
    stored = source.stored if isinstance(source, LiveSource) else source
    waiting = ""
    if isinstance(stored, LogdirSource | MergedSource):  # the page is there before the runs are read
        threading.Thread(target=stored.read, name="convscope-reader", daemon=True).start()
        waiting = stored.waiting
    opened = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - all addresses are none to open
    name = f"[{opened}]" if ":" in opened else opened
    url = f"http://{name}:{actual}{access.prefix}/" + (f"?token={access.token}" if access.token else "")
    return RunningServer(url, actual, waiting, server, thread, stopping)


def _server(app: ASGIApp) -> uvicorn.Server:
    """Return what serves an application; it leaves no connection open when it ends."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        ws="none",
        proxy_headers=False,
    )

    class Server(uvicorn.Server):
        """Leaves no connection open, also where a browser does not read what it asked for."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)  # in which they are closed

    return Server(config)


def make_source(shown: Shown, live: Live | None) -> Source:
    """Return what answers for one or several directories of runs, an attached network, or both."""
    if shown is None or (isinstance(shown, Sequence | Mapping) and not shown):
        if live is None:
            raise InputError("nothing to show; give a directory that holds runs, or a network: --model NAME")
        return LiveSource(live)
    stored = stored_source(shown)
    return stored if live is None else LiveSource(live, stored)


def stored_source(shown: str | Path | Sequence[str | Path] | Mapping[str, str | Path] | Source) -> Source:
    """Return what answers for one or several directories of runs; anything else answers for itself."""
    if isinstance(shown, str | Path):
        return LogdirSource(shown)
    if isinstance(shown, Mapping):
        return MergedSource(shown)
    if isinstance(shown, Sequence):
        return LogdirSource(shown[0]) if len(shown) == 1 else MergedSource(names_of(shown))
    return shown
