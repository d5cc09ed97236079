"""The addresses of the attached network: a picture for it to look at, and the wish to forget one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from convscope.errors import FormatError
from convscope.view.live import MOST_BYTES, LiveSource
from convscope.view.sender import FRESH, RefusedError, check_sender, read_body
from convscope.view.source import Source

_WAITING: Final = 4
_SECONDS: Final = 60
_DETACHED: Final = "no network is attached to this viewer; start it with: convscope view LOGDIR --model NAME"


def live_routes(source: Source) -> list[Route]:
    """Return the routes ``POST /api/live/look`` and ``DELETE /api/live/pictures``."""
    turns = Turns(_WAITING)

    async def look(request: Request) -> Response:
        live = attached(source)
        check_sender(request)
        if not request.headers.get("content-type", "").startswith("image/"):
            raise RefusedError(
                415, "a picture is sent as the bytes of its file, with its media type: image/jpeg, image/png"
            )
        with turns.one():
            data = await picture_bytes(request)
            name = request.query_params.get("name", "")
            try:
                answer = await run_in_threadpool(live.look, data, name)
            except FormatError as error:
                raise RefusedError(422, str(error)) from error
            return JSONResponse(answer, headers=FRESH)

    async def forget(request: Request) -> Response:
        live = attached(source)
        check_sender(request)
        await run_in_threadpool(live.forget, request.query_params.get("name", ""))
        return JSONResponse({}, headers=FRESH)

    return [
        Route("/api/live/look", look, methods=["POST"]),
        Route("/api/live/pictures", forget, methods=["DELETE"]),
    ]


def attached(source: Source) -> LiveSource:
    """Return the source if a network is attached to it."""
    if not isinstance(source, LiveSource):
        raise RefusedError(404, _DETACHED)
    return source


async def picture_bytes(request: Request) -> bytes:
    """Return the bytes of the picture that a request sends."""
    large = f"a picture has at most {MOST_BYTES >> 20} MB; make it smaller"
    data = await read_body(request, "the picture", most=MOST_BYTES, large=large, seconds=_SECONDS)
    if not data:
        raise RefusedError(400, "no picture was sent; send the bytes of its file")
    return data


class Turns:
    """Lets a few requests wait for their turn and turns the others away.

    Parameters
    ----------
    most
        How many may be under way, with the one whose turn it is.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one of the places."""
        if not self._free.acquire(blocking=False):
            raise RefusedError(429, "several pictures are being looked at already; try again in a moment")
        try:
            yield
        finally:
            self._free.release()
