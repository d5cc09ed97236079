"""Start the viewer's server: find a port, listen, say where."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from convscope.errors import InputError, StorageError
from convscope.view.live import Live, LiveSource
from convscope.view.source import LogdirSource, Source

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
        self._thread.join(timeout=5)

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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + PORTS_TRIED, 65536) if port else 1
    for candidate in range(port, last):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
            sock.listen(128)
        except socket.gaierror as error:
            sock.close()
            raise InputError(f"{host!r} is not an address of this machine ({error.strerror}); use 127.0.0.1") from error
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
    logdir: str | Path | None = None, *, host: str = "127.0.0.1", port: int = DEFAULT_PORT, live: Live | None = None
) -> RunningServer:
    """Start a server for a directory of runs, in a thread of its own.

    >>> with serve("runs", port=0) as server:      # doctest: +SKIP
    ...     print(server.url)
    http://127.0.0.1:43211/

    Parameters
    ----------
    logdir
        A directory that holds runs, or is one; it is followed as it grows. One that is not there yet is waited for. It
        may be left out where there is a network.
    host
        The address to listen on. Any other than the loopback address asks for a token, which is part of ``url``.
    port
        The port; if it is in use, the next free one is taken. 0 takes any.
    live
        A network that looks at the pictures a visitor hands in.

    Raises
    ------
    NotFoundError
        If what is there is no directory.
    InputError, StorageError
        If the address or the port cannot be had, or the front end is not built.
    """
    import uvicorn

    from convscope.view.server import LOOPBACK, create_app

    source = make_source(logdir, live)
    local = host in ("127.0.0.1", "localhost", "::1")
    token = None if local else secrets.token_urlsafe(24)
    stopping = threading.Event()
    app = create_app(source, hosts=LOOPBACK if local else frozenset({"*"}), token=token, closing=stopping.is_set)
    sock = listen(host, port)
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=3, ws="none"
    )

    class Server(uvicorn.Server):
        """Leaves no connection open, also where a browser does not read what it asked for."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)  # in which they are closed

    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="convscope-viewer", daemon=True)
    thread.start()
    stored = source.stored if isinstance(source, LiveSource) else source
    if isinstance(stored, LogdirSource):  # the page is there before the runs are read
        threading.Thread(target=stored.read, name="convscope-reader", daemon=True).start()
    waiting = stored.waiting if isinstance(stored, LogdirSource) else ""
    actual = int(sock.getsockname()[1])
    name = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host  # noqa: S104
    url = f"http://{name}:{actual}/" + (f"?token={token}" if token else "")
    return RunningServer(url, actual, waiting, server, thread, stopping)


def make_source(logdir: str | Path | None, live: Live | None) -> Source:
    """Return what answers for a directory of runs, an attached network, or both."""
    if logdir is None:
        if live is None:
            raise InputError("nothing to show; give a directory that holds runs, or a network: --model NAME")
        return LiveSource(live)
    stored = LogdirSource(logdir)
    return stored if live is None else LiveSource(live, stored)
