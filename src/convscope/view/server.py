"""The viewer as a web application: the built front end, and a :class:`~convscope.view.source.Source` over HTTP.

Whom it answers is for :mod:`convscope.view.guard` to say: only for hosts it knows (a page of somebody else cannot read
a run through DNS rebinding), and with a token where it listens on more than the loopback address. It answers only
``GET``, but for those addresses of :mod:`convscope.view.upload` and :mod:`convscope.view.computing` that act.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from convscope.errors import ConvscopeError, InputError, NotFoundError, StorageError
from convscope.view.computing import computing_routes
from convscope.view.guard import LOOPBACK, Access, Guard
from convscope.view.listing import to_json
from convscope.view.live import LiveSource
from convscope.view.packed import accepts_gzip, gzipped
from convscope.view.queries import ask, number, row_range
from convscope.view.ranges import part_of
from convscope.view.sender import RefusedError, refuse_request
from convscope.view.source import PICTURE_TYPES, Source
from convscope.view.upload import live_routes

IMMUTABLE: Final = {"cache-control": "private, max-age=31536000, immutable"}
FRESH: Final = {"cache-control": "no-store"}
EVENT_SECONDS: Final = 0.5
MOST_EVENT_SECONDS: Final = 3.0
HEARTBEAT_SECONDS: Final = 15.0

Answer = Callable[[Request], Response]


def create_app(
    source: Source,
    *,
    hosts: frozenset[str] = LOOPBACK,
    token: str | None = None,
    closing: Callable[[], bool] = bool,
    access: Access | None = None,
) -> ASGIApp:
    """Make the web application for a source.

    Parameters
    ----------
    source
        What answers the three questions.
    hosts
        The names the server may be called by (``Host`` header, without port); ``*`` allows every name.
    token
        Where given, every request has to carry it: ``?token=`` once (a cookie keeps it) or ``Authorization: Bearer``.
    closing
        Says whether the server is about to stop, so that open streams of events end by themselves.
    access
        Who is answered, where there is more to say of it than hosts and a token.

    Raises
    ------
    StorageError
        If the front end is not built.
    """
    static = Path(str(files("convscope.view") / "static"))
    if not (static / "index.html").exists():
        raise StorageError("the front end is not built; build it with: pip install . (or make test in a checkout)")
    access = access or Access(hosts, token)
    app = Starlette(
        routes=[
            *api_routes(source, closing, read_only=access.read_only),
            *live_routes(source),
            *computing_routes(source, closing),
            Mount("/", StaticFiles(directory=static, html=True)),
        ],
        exception_handlers={
            ConvscopeError: refuse,
            HTTPException: refuse_http,
            RefusedError: refuse_request,
            Exception: refuse_unforeseen,
        },
    )
    return Guard(app, access)


def api_routes(source: Source, closing: Callable[[], bool] = bool, *, read_only: bool = False) -> list[Route]:
    """Return the routes that put ``source`` on the wire."""
    more = {"read_only": True} if read_only else {}

    def keep(request: Request) -> dict[str, str]:  # a picture that is to be forgotten has no place in a browser's cache
        computed = isinstance(source, LiveSource) and ask(request, "run") == source.run
        return FRESH if computed else IMMUTABLE

    pace = Pace()

    def index(request: Request) -> Response:
        if "since" not in request.query_params:
            return plain_json(to_json({**source.index(), **more}))
        with pace:
            changes = source.changes(number(request, "since", 0))
            return plain_json(replace(changes, more={**changes.more, **more}).to_json())

    def series(request: Request) -> Response:
        start = number(request, "start", 0)
        return binary(source.series(ask(request, "run"), ask(request, "kind"), ask(request, "tag"), start))

    def record(request: Request) -> Response:
        return plain_json(to_json(source.record(ask(request, "run"), ask(request, "id"))), keep(request))

    def arrays(request: Request) -> Response:
        names = [name for name in ask(request, "names").split(",") if name]
        rows = row_range(request)
        content = source.arrays(ask(request, "run"), ask(request, "id"), names, rows)
        return packed_binary(content, request, keep(request))

    def picture(request: Request) -> Response:
        file = ask(request, "file")
        content = source.picture(ask(request, "run"), ask(request, "id"), file)
        kind = PICTURE_TYPES.get(Path(file).suffix, "application/octet-stream")
        return Response(content, media_type=kind, headers=keep(request))

    async def events(request: Request) -> Response:
        headers = {**FRESH, "x-accel-buffering": "no"}  # a proxy would wait until there is more
        news = follow(source, request, closing, pace)
        return StreamingResponse(news, media_type="text/event-stream", headers=headers)

    return [*routes_of(index, series, record, arrays, picture, events), *training_routes(source)]


def training_routes(source: Source) -> list[Route]:
    """Return the routes to single values of what is stored as TensorBoard stores it."""

    def image(request: Request) -> Response:
        content, kind = source.image(ask(request, "run"), ask(request, "tag"), number(request, "index", 0))
        return Response(content, media_type=kind, headers=FRESH)

    def text(request: Request) -> Response:
        whole = request.query_params.get("whole") == "1"
        content, size = source.text(ask(request, "run"), ask(request, "tag"), number(request, "index", 0), whole=whole)
        headers = {**FRESH, "x-bytes": str(size)} | ({"content-disposition": "attachment"} if whole else {})
        return Response(content, media_type="text/plain", headers=headers)

    def audio(request: Request) -> Response:
        content, kind = source.audio(ask(request, "run"), ask(request, "tag"), number(request, "index", 0))
        return part_of(content, kind, request.headers.get("range", ""))

    def mesh(request: Request) -> Response:
        place = number(request, "index", 0), number(request, "item", 0)
        return binary(source.mesh(ask(request, "run"), ask(request, "tag"), *place))

    def hparams(_: Request) -> Response:
        return plain_json(to_json(source.hparams()))

    def layout(request: Request) -> Response:
        return plain_json(to_json(source.layout(ask(request, "run"))))

    def graph(request: Request) -> Response:
        return plain_json(to_json(source.graph(ask(request, "run"), number(request, "index", 0))))

    return routes_of(image, text, audio, mesh, hparams, layout, graph)


def routes_of(*handlers: Callable[[Request], Any]) -> list[Route]:
    """Return the routes to handlers, each under its name."""
    return [Route(f"/api/{handler.__name__}", handler, methods=["GET"]) for handler in handlers]


class Pace:
    """How often news are told: so seldom that finding out what they are takes a quarter of the time at most."""

    def __init__(self) -> None:
        self.seconds = EVENT_SECONDS
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds = min(max(EVENT_SECONDS, 4 * (time.perf_counter() - self._started)), MOST_EVENT_SECONDS)


async def follow(source: Source, request: Request, closing: Callable[[], bool], pace: Pace) -> AsyncIterator[str]:
    """Yield a server-sent event whenever the source has something new, and a comment now and then."""
    seen, quiet = 0, pace.seconds
    while not closing() and not await request.is_disconnected():
        try:
            version = await run_in_threadpool(source.version)
        except (ConvscopeError, OSError):
            version = seen  # whoever asks for the index is told why
        if version != seen and quiet >= pace.seconds:
            seen, quiet = version, 0.0
            yield f"data: {json.dumps({'version': version})}\n\n"
        elif quiet >= HEARTBEAT_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(EVENT_SECONDS)
        quiet += EVENT_SECONDS


def binary(content: bytes, headers: dict[str, str] | None = None) -> Response:
    """Return safetensors bytes."""
    return Response(content, media_type="application/x-safetensors", headers=headers or FRESH)


def packed_binary(content: bytes, request: Request, headers: dict[str, str]) -> Response:
    """Return safetensors bytes, compressed where the client takes that and it pays."""
    packed = gzipped(content) if accepts_gzip(request.headers.get("accept-encoding", "")) else None
    told = {"content-encoding": "gzip"} if packed else {}
    return binary(packed or content, {**headers, **told, "vary": "accept-encoding"})


def plain_json(content: bytes, headers: dict[str, str] | None = None) -> Response:
    """Return JSON that is bytes already."""
    return Response(content, media_type="application/json", headers=headers or FRESH)


async def refuse(_: Request, error: Exception) -> Response:
    """Turn one of our errors into a status and one sentence; what is damaged cannot be answered, 422."""
    status = 404 if isinstance(error, NotFoundError) else 400 if isinstance(error, InputError) else 422
    return Response(to_json({"error": str(error)}), status, media_type="application/json", headers=FRESH)


async def refuse_unforeseen(_: Request, error: Exception) -> Response:
    """Say that something went wrong here; what it was is told where the server runs."""
    sentence = f"the server could not answer ({type(error).__name__}); its terminal says more"
    return JSONResponse({"error": sentence}, status_code=500)


async def refuse_http(_: Request, error: Exception) -> Response:
    """Give Starlette's own refusals (no such page, wrong method) the shape of ours."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentences = {
        404: "there is no such page; start at /",
        405: "this address does not answer that method; most answer GET",
    }
    return JSONResponse({"error": sentences.get(status, "the request was refused")}, status_code=status)
