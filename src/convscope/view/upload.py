"""The addresses that take something: a picture for the attached network to look at, and the wish to forget one.

A page of somebody else must not reach them. A browser lets a foreign page send a form or a plain-text request anywhere,
but neither a ``DELETE``, nor an image's media type, nor a header of our own: those it asks for first (CORS preflight),
and this server never agrees. The ``Origin`` that browsers add is compared with the host as well.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from convscope.errors import FormatError
from convscope.view.live import MOST_BYTES, LiveSource
from convscope.view.source import Source

ASKED: Final = "x-convscope-live"
"""The header that a page of ours sends, with any value."""

_WAITING: Final = 4
_SECONDS: Final = 60
_FRESH: Final = {"cache-control": "no-store"}
_DETACHED: Final = "no network is attached to this viewer; start it with: convscope view LOGDIR --model NAME"


class RefusedError(Exception):
    """A request that is turned away, with its status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


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
            return JSONResponse(answer, headers=_FRESH)

    async def forget(request: Request) -> Response:
        live = attached(source)
        check_sender(request)
        await run_in_threadpool(live.forget, request.query_params.get("name", ""))
        return JSONResponse({}, headers=_FRESH)

    return [
        Route("/api/live/look", look, methods=["POST"]),
        Route("/api/live/pictures", forget, methods=["DELETE"]),
    ]


def attached(source: Source) -> LiveSource:
    """Return the source if a network is attached to it."""
    if not isinstance(source, LiveSource):
        raise RefusedError(404, _DETACHED)
    return source


def check_sender(request: Request) -> None:
    """Refuse what a page of somebody else has sent."""
    if ASKED not in request.headers:
        raise RefusedError(403, f"a request of this kind carries the header {ASKED}: 1")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise RefusedError(403, f"pages of {origin[:80]!r} may not use this viewer")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(403, "pages of another site may not use this viewer")


async def picture_bytes(request: Request) -> bytes:
    """Return the body of a request, and stop reading where it grows beyond what is accepted."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MOST_BYTES:
        raise too_large()
    data = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > MOST_BYTES:
                    raise too_large()
    except TimeoutError as error:  # it would keep the others waiting
        raise RefusedError(408, f"the picture did not arrive within {_SECONDS} seconds; make it smaller") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "the picture did not arrive whole; send it again") from error
    if not data:
        raise RefusedError(400, "no picture was sent; send the bytes of its file")
    return bytes(data)


def too_large() -> RefusedError:
    """Return the refusal of a file that is too large."""
    return RefusedError(413, f"a picture has at most {MOST_BYTES >> 20} MB; make it smaller")


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


async def refuse_request(_: Request, error: Exception) -> Response:
    """Turn a :class:`RefusedError` into its status and one sentence."""
    status = error.status if isinstance(error, RefusedError) else 400
    return JSONResponse({"error": str(error)}, status_code=status, headers=_FRESH)
