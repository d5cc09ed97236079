"""Who may act: the check of every address that takes something, and the reading of what it takes.

A page of somebody else must not reach these addresses. A browser lets a foreign page send a form or a plain-text
request anywhere, but neither a ``DELETE``, nor an image's media type, nor JSON, nor a header of our own: those it asks
for first (CORS preflight), and this server never agrees. The ``Origin`` that browsers add is compared with the host,
and with the names of proxies that were told.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

ASKED: Final = "x-convscope-live"
"""The header that a page of ours sends, with any value."""

ORIGINS: Final = "convscope.origins"
"""Where a request's scope says whose pages may send something beside those of the host it names."""

FRESH: Final = {"cache-control": "no-store"}


class RefusedError(Exception):
    """A request that is turned away, with its status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def refuse_request(_: Request, error: Exception) -> Response:
    """Turn a :class:`RefusedError` into its status and one sentence."""
    status = error.status if isinstance(error, RefusedError) else 400
    return JSONResponse({"error": str(error)}, status_code=status, headers=FRESH)


def check_sender(request: Request) -> None:
    """Refuse what a page of somebody else has sent."""
    if ASKED not in request.headers:
        raise RefusedError(403, f"a request of this kind carries the header {ASKED}: 1")
    origin = request.headers.get("origin")
    allowed = {request.headers.get("host", "").lower(), *request.scope.get(ORIGINS, ())}
    if origin is not None and urlsplit(origin).netloc.lower() not in allowed:
        raise RefusedError(403, f"pages of {origin[:80]!r} may not use this viewer")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(403, "pages of another site may not use this viewer")


async def read_body(request: Request, what: str, *, most: int, large: str, seconds: float) -> bytes:
    """Return the body of a request, and stop reading where it grows beyond what is accepted.

    Parameters
    ----------
    request
        The request.
    what
        What its body is, as in "the picture".
    most
        How many bytes are accepted.
    large
        The sentence for more than that.
    seconds
        So long it may take to arrive; it would keep others waiting.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise RefusedError(413, large)
    data = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                data += part
                if len(data) > most:
                    raise RefusedError(413, large)
    except TimeoutError as error:
        raise RefusedError(408, f"{what} did not arrive within {seconds:g} seconds; make it smaller") from error
    except ClientDisconnect as error:
        raise RefusedError(400, f"{what} did not arrive whole; send it again") from error
    return bytes(data)
