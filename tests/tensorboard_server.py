"""A real TensorBoard server over a directory of runs, asked over HTTP: with its fast loader and with its slow one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

PATIENCE = 60.0
_open = build_opener(ProxyHandler({})).open


class Server:
    """A server on a port that the system chooses; it is there at once, and answers after a second or so.

    Parameters
    ----------
    logdir
        The directory of runs.
    fast
        Whether TensorBoard's data server in Rust reads it, or its own Python.
    log
        The file that takes what the server says.
    more
        More options; one of ``--logdir_spec`` takes the place of the directory.
    environment
        What the server finds in its environment, beside what is there.
    """

    def __init__(
        self,
        logdir: Path,
        fast: bool,
        log: Path,
        more: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.fast = fast
        self._log = log
        self._address: str | None = None
        options = ["--port=0", "--host=127.0.0.1", "--reload_interval=1", f"--load_fast={str(fast).lower()}"]
        where = [] if any(option.startswith("--logdir_spec") for option in more) else [f"--logdir={logdir}"]
        samples = "--samples_per_plugin=scalars=100000,images=100,audio=100,text=100,histograms=100,pr_curves=100"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tensorboard.main", *where, *options, samples, *more],
                env={**os.environ, **(environment or {})},
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # with its data server: both end together
            )

    def stop(self) -> None:
        """End the server and its data server, and wait until both are gone."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        end = time.monotonic() + 10
        while self.pids and time.monotonic() < end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.poll()
            time.sleep(0.02)
        self._process.wait(30)

    @property
    def pids(self) -> list[int]:
        """The processes of the server that are there: itself, and its data server."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit():
                    state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                    if int(group) == self._process.pid and state != "Z":
                        found.append(int(entry.name))
        return found

    @property
    def root(self) -> str:
        """The address of its page, once it is there."""
        self.wait(lambda _: True)
        return str(self._address).removesuffix("data")

    def said(self) -> str:
        """Return what the server has printed."""
        return self._log.read_text(errors="replace")

    def raw(self, path: str, body: Any = None, **query: Any) -> bytes:
        """Return the answer to ``/data/<path>?<query>``; with a body, which is sent as JSON, it is a POST."""
        if self._address is None:
            self.wait(lambda _: True)
        address = f"{self._address}/{path}"
        if query:
            address += ("&" if "?" in path else "?") + urlencode(query, quote_via=quote)
        data = None if body is None else json.dumps(body).encode()
        try:
            with _open(Request(address, data, {"Content-Type": "application/json"}), timeout=30) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            text = error.read().decode(errors="replace")
            raise RuntimeError(f"{address}: HTTP {error.code}: {text:.400}\n{self.said()[-2000:]}") from None

    def ask(self, path: str, body: Any = None, **query: Any) -> Any:
        """Return the answer to ``/data/<path>?<query>`` as JSON."""
        return json.loads(self.raw(path, body, **query))

    def wait(self, ready: Callable[[Server], Any], seconds: float = PATIENCE) -> Any:
        """Wait until the server is there and ``ready`` finds what it looks for; it loads in the background."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"TensorBoard has ended:\n{self.said()}")
            if self._address is None and (match := re.search(r" at http://[^:]*:(\d+)(/\S*)", self.said())):
                self._address = f"http://127.0.0.1:{match[1]}{match[2]}data"
            if self._address is not None and (found := ready(self)):
                return found
            time.sleep(0.1)
        raise RuntimeError(f"TensorBoard has not read the runs in {seconds} seconds:\n{self.said()}")

    def wait_for(self, path: str, seconds: float = PATIENCE, **query: Any) -> Any:
        """Ask until there is something in the answer."""
        return self.wait(lambda server: server.ask(path, **query), seconds)


@contextlib.contextmanager
def serving(
    logdir: Path, *, fast: bool, more: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(logdir, fast, Path(folder, "said.txt"), more, environment)
        try:
            yield server
        finally:
            server.stop()
