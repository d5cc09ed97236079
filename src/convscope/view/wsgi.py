"""Our application inside a server of the older kind (WSGI, PEP 3333), as TensorBoard's is.

Requests are answered in one event loop, in a thread of its own; the threads of the server hand them over and pass on
what comes back, part by part. Only questions are handed over: the body of a request is not read.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, Self
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Scope

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
_PARTS_AHEAD: Final = 4
_REASONS: Final = {200: "OK", 206: "Partial Content", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect"}


class InWsgi:
    """A WSGI application that is an ASGI application behind a path.

    Parameters
    ----------
    app
        The application.
    mount
        The path before its own, without a slash at the end.
    """

    def __init__(self, app: ASGIApp, mount: str) -> None:
        self._app = app
        self._mount = mount
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="convscope-plugin", daemon=True).start()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        exchange = _Exchange(self._loop)
        scope = scope_of(environ, self._mount)
        asyncio.run_coroutine_threadsafe(exchange.answer(self._app, scope), self._loop)
        status, headers = next(exchange)
        start_response(f"{status} {_REASONS.get(status, 'Answered')}", headers)
        return exchange


class _Exchange:
    """One request on its way: what the application sends waits until the server has passed on what came before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(_PARTS_AHEAD)
        self._gone = asyncio.Event()
        self._is_asked = False

    async def answer(self, app: ASGIApp, scope: Scope) -> None:
        """Let the application answer; its failure is one of the parts."""
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - it belongs to the thread that asked
            self._sent.put(error)
        self._sent.put(None)

    async def _receive(self) -> Message:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await self._room.acquire()
        if self._gone.is_set():
            raise ConnectionResetError("nobody reads the answer any more")
        if message["type"] == "http.response.start":
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            if not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("content-type", "text/plain"))  # TensorBoard warns where there is none
            self._sent.put((message["status"], headers))
        elif message["type"] == "http.response.body":
            self._sent.put(message.get("body", b""))
            if not message.get("more_body", False):
                self._sent.put(None)

    def __iter__(self) -> Self:
        """Return itself: the body is what comes after status and headers."""
        return self

    def __next__(self) -> Any:
        """Return status and headers, then part after part of the body as they come."""
        part = self._sent.get()
        if isinstance(part, Exception):
            raise part
        if part is None:
            raise StopIteration
        self._loop.call_soon_threadsafe(self._room.release)
        return part

    def close(self) -> None:
        """Tell the application that nobody reads any more; servers call it in any case."""
        self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._gone.set()
        self._room.release()  # whoever waits for room learns it now


def scope_of(environ: dict[str, Any], mount: str) -> Scope:
    """Return a request as ASGI has it; its path is that behind ``mount``."""
    path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode(errors="replace").removeprefix(mount)
    headers = [
        (name[5:].replace("_", "-").lower().encode("latin-1"), str(value).encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": path or "/",
        "raw_path": quote(path or "/").encode(),
        "query_string": str(environ.get("QUERY_STRING", "")).encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": (environ.get("SERVER_NAME", ""), int(environ.get("SERVER_PORT") or 0)),
    }
