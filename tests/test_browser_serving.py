"""The viewer behind reverse proxies, in a browser: such as cut their path off, and such as leave it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import ready
from convscope.recording import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
PREFIX = "/user/ada/proxy/x"


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    with SummaryWriter(tmp_path / "train") as writer:
        for step in range(30):
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_embedding(np.random.default_rng(0).random((12, 5)), tag="vectors")
    return tmp_path


class Proxy(socketserver.ThreadingTCPServer):
    """A reverse proxy that knows the viewer under a path, which it cuts off or not."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, *, cuts: bool) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.port, self.cuts = port, cuts
        self.refused: list[str] = []
        self.sockets: list[socket.socket] = []


class Passing(socketserver.StreamRequestHandler):
    """One request on its way through a proxy, on a connection of its own."""

    server: Proxy

    def handle(self) -> None:
        method, path, version = self.rfile.readline().decode("latin-1").split(" ")
        kept = list(iter(self.rfile.readline, b"\r\n"))
        if path != PREFIX and not path.startswith((f"{PREFIX}/", f"{PREFIX}?")):
            self.server.refused.append(path)
            self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        path = (path.removeprefix(PREFIX) or "/") if self.server.cuts else path
        length = sum(int(line.split(b":")[1]) for line in kept if line.lower().startswith(b"content-length:"))
        kept = [line for line in kept if not line.lower().startswith(b"connection:")]
        more = b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port)) as behind, suppress(OSError):
            self.server.sockets += [behind, self.connection]
            head = f"{method} {path} {version}".encode("latin-1")
            behind.sendall(head + b"".join(kept) + more + self.rfile.read(length))
            while data := behind.recv(65536):
                self.wfile.write(data)


@contextmanager
def proxied(server: RunningServer, *, cuts: bool) -> Iterator[tuple[str, list[str]]]:
    """Run a proxy before the viewer; give the address there, and what it could not pass on."""
    with Proxy(server.port, cuts=cuts) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}{PREFIX}", proxy.refused
        proxy.shutdown()
        for one in proxy.sockets:  # streams are open still
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        thread.join(60)


@pytest.mark.parametrize("cuts", [True, False])
def test_the_page_works_behind_a_proxy(page: Page, logdir: Path, *, cuts: bool) -> None:
    """A token, a link into a view, news, lazily loaded code, and something that is sent."""
    with (
        serve(logdir, port=0, path_prefix="" if cuts else PREFIX, token=True) as server,
        proxied(server, cuts=cuts) as (address, refused),
    ):
        query = server.url.partition("?")[2]
        page.goto(f"{address}/?{query}#/scalars?smooth=0")
        ready(page)
        assert page.url == f"{address}/#/scalars?smooth=0"
        expect(page.get_by_role("heading", name="loss")).to_be_visible()
        with SummaryWriter(logdir / "later") as writer:
            writer.add_scalar("loss", 0.5, 3)
        expect(page.get_by_text("later", exact=True).first).to_be_visible()
        page.goto(f"{address}/#/embedding")
        ready(page)
        start = page.get_by_role("button", name="Start", exact=False).first
        with page.expect_response(lambda answer: answer.request.method == "POST") as sent:
            start.click()
        assert sent.value.status == 200
        assert refused == []
        cookie = page.context.cookies()[0]
        assert cookie["path"] == PREFIX, "other servers behind the proxy do not get the token"
        page.goto("about:blank")  # its stream is open until then
