"""Who is answered, and under which address: hosts, the token, the path of a proxy, and nothing sent to who only shows.

What a proxy says of itself (``X-Forwarded-*``) is never believed: whoever reaches the server can write that.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convscope.errors import InputError
from convscope.view.sender import ORIGINS

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "base-uri 'none'; form-action 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_OWN: Final = "; frame-ancestors 'self'"
_NAME: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*))(:[0-9]{1,5})?")
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~%@!$&'()*+,;=:-]+)+")
_ONLY_SHOWS: Final = (
    "this viewer only shows what is there, nothing can be sent to it; for that start one of your own: "
    "convscope view LOGDIR"
)


@dataclass(frozen=True)
class Access:
    """Who is answered.

    Attributes
    ----------
    hosts
        The names the server may be called by (``Host`` header, without port); ``*`` allows every name.
    token
        Where given, every request has to carry it: ``?token=`` once (a cookie keeps it) or ``Authorization: Bearer``.
    prefix
        The path of a proxy before the server's own, as in ``/user/ada/proxy/6007``. Requests come with or without it.
    origins
        Beside the host itself: whose pages may send something, as in ``hub.example.org`` or ``hub.example.org:8443``.
    read_only
        Whether nothing may be sent.
    framed
        Whether pages of others may show ours in a frame.
    """

    hosts: frozenset[str] = LOOPBACK
    token: str | None = None
    prefix: str = ""
    origins: frozenset[str] = frozenset()
    read_only: bool = False
    framed: bool = False


class Guard:
    """Let a request through if it may be answered, without a proxy's part of its path; add our headers.

    Parameters
    ----------
    app
        The application behind.
    access
        Who is answered.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._prefix = unquote(access.prefix)
        policy = HEADERS["content-security-policy"] + ("" if access.framed else _OWN)
        self._headers = {**HEADERS, "content-security-policy": policy}
        secret = (access.token or "").encode()  # two servers of one host share their cookies, whatever their ports are
        self._cookie = f"convscope-{hashlib.sha256(secret).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._check(Request(scope))
        if answer is None:
            await self._app(self._behind(scope), receive, with_headers(send, self._headers))
        else:
            await answer(scope, receive, with_headers(send, self._headers))

    def _check(self, request: Request) -> Response | None:
        """Return the refusal or the other address that a request gets; ``None`` where it is answered."""
        access = self._access
        host = host_name(request.headers.get("host", ""))
        if "*" not in access.hosts and host not in access.hosts:
            way = "start it with --allow-host NAME if a proxy calls it so"
            return JSONResponse({"error": f"this server is not called {host[:80]!r}; {way}"}, status_code=421)
        if access.token is not None:
            if self._matches(request.query_params.get("token", "")):
                return self._keep_token(request)
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not self._matches(bearer) and not self._matches(request.cookies.get(self._cookie, "")):
                return JSONResponse({"error": "a token is needed: open the address the server printed"}, 401)
        if access.read_only and request.method not in ("GET", "HEAD"):
            return JSONResponse({"error": _ONLY_SHOWS}, status_code=403)
        if self._prefix and request.scope["path"] == self._prefix:  # what the page asks for is relative to its folder
            return RedirectResponse(_beside(request, "/"), status_code=307)
        return None

    def _behind(self, scope: Scope) -> Scope:
        """Return the request as the application knows it: without the proxy's part of the path."""
        inside = {**scope, ORIGINS: self._access.origins}
        if self._prefix and scope["path"].startswith(f"{self._prefix}/"):
            path = scope["path"][len(self._prefix) :]
            inside |= {"path": path, "raw_path": quote(path).encode()}
        return inside

    def _matches(self, candidate: str) -> bool:
        token = self._access.token
        return token is not None and hmac.compare_digest(candidate.encode(), token.encode())

    def _keep_token(self, request: Request) -> Response:
        """Move the token from the address into a cookie, so that it does not stay in the browser's history.

        The cookie is that of the folder the browser asked for, which only the browser knows behind a proxy. It is sent
        with links from elsewhere too: what such a link can do is to open the page.
        """
        answer = RedirectResponse(_beside(request), status_code=303)
        answer.set_cookie(self._cookie, self._access.token or "", path=None, httponly=True, samesite="lax")
        return answer


def _beside(request: Request, end: str = "") -> str:
    """Return the address of a request without its token, relative to itself: so it holds behind every proxy."""
    rest = request.url.remove_query_params("token").query
    last = request.scope["path"].rpartition("/")[2]
    return f"./{quote(last)}{end if last else ''}" + (f"?{rest}" if rest else "")


def checked_prefix(prefix: str, port: int | str = "{port}") -> str:
    """Return the path of a proxy without a slash at its end, ``{port}`` in it replaced.

    >>> checked_prefix("/user/ada/proxy/{port}/", 6007)
    '/user/ada/proxy/6007'

    Raises
    ------
    InputError
        If it is none, or could be taken for an address of the viewer.
    """
    path = prefix.replace("{port}", str(port)).rstrip("/")
    if path and not _PATH.fullmatch(path.replace("{port}", "0")):
        raise InputError(f"a path prefix is as in /user/ada/proxy/{{port}}, got {prefix[:80]!r}")
    if path.split("/")[1:2] in (["api"], ["assets"]):
        raise InputError(f"the viewer has addresses of its own under {path[:80]!r}; let the prefix begin otherwise")
    return path


def checked_host(name: str) -> str:
    """Return the name of a host as it is compared.

    Raises
    ------
    InputError
        If it is none.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a host is as in hub.example.org or hub.example.org:8443, got {name[:80]!r}")
    return name.lower()


def host_name(header: str) -> str:
    """Return the name in a ``Host`` header, without its port.

    >>> host_name("localhost:6006"), host_name("[::1]:6006")
    ('localhost', '[::1]')
    """
    name = header.split("]", maxsplit=1)[0] + "]" if header.startswith("[") else header.split(":", maxsplit=1)[0]
    return name.lower()


def with_headers(send: Send, headers: dict[str, str]) -> Callable[[Message], Awaitable[None]]:
    """Return a ``send`` that adds our headers to every answer."""

    async def send_with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            told = MutableHeaders(scope=message)
            for name, value in headers.items():
                told.setdefault(name, value)
        await send(message)

    return send_with_headers
