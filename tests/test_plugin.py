"""The tab in TensorBoard: answers as the viewer's own, reads only, and breaks nothing that is TensorBoard's."""

from __future__ import annotations

import ast
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from starlette.testclient import TestClient
from tensorboard.backend.event_processing.data_ingester import _parse_event_files_spec
from tensorboard.backend.security_validator import SecurityValidatorMiddleware

from conftest import ROOT
from convscope.inspect.volume import Volume
from convscope.recording import SummaryWriter
from convscope.store.records import DIRECTORY
from convscope.tensorboard_plugin import MOUNT, RECORDS, ConvscopeLoader, ConvscopePlugin, directories
from convscope.view.server import create_app
from convscope.view.source import LogdirSource
from convscope.view.wsgi import InWsgi
from tensorboard_server import serving

PLUGIN = ROOT / "src" / "convscope" / "tensorboard_plugin.py"


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(0)
    with SummaryWriter(path / "train") as writer:
        for step in range(20):
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_image("ünder/<b>", rng.random((3, 4, 6)), 1)
        writer.add_audio("tone", rng.random(800) - 0.5, 1, sample_rate=8000)
        writer.add(Volume(rng.random((40, 30, 30)).astype(np.float32), layer="conv1"), "conv1", 7)
    return path


class Answer:
    """What a WSGI application answers, asked as servers do."""

    def __init__(self, app: Any, path: str, method: str = "GET", headers: dict[str, str] | None = None, **query: Any):
        more = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": urlencode(query),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "6006",
            "wsgi.url_scheme": "http",
            "HTTP_HOST": "127.0.0.1:6006",
            **more,
        }
        self.status, self.headers = 0, {}
        self.parts = SecurityValidatorMiddleware(app)(environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], _: object = None) -> None:
        self.status, self.headers = int(status.split(maxsplit=1)[0]), {name.lower(): value for name, value in headers}

    def body(self) -> bytes:
        content = b"".join(self.parts)
        if hasattr(self.parts, "close"):
            self.parts.close()
        return content


@pytest.fixture(scope="module")
def plugin(logdir: Path) -> ConvscopePlugin:
    return ConvscopeLoader().load(SimpleNamespace(logdir=str(logdir), flags=None))


@pytest.fixture(autouse=True)
def _no_complaint_of_tensorboards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    said: list[str] = []
    monkeypatch.setattr("tensorboard.backend.security_validator.logger.warning", lambda text, *_: said.append(text))
    yield
    assert said == []


def app(plugin: ConvscopePlugin, path: str, *arguments: Any, **query: Any) -> Answer:
    return Answer(plugin.get_plugin_apps()["/app/*"], f"{MOUNT}/{path}", *arguments, **query)


def test_the_file_imports_nothing_that_tensorboard_has_not_loaded() -> None:
    """It is imported when TensorBoard starts, which ends if that fails."""
    top = [node for node in ast.parse(PLUGIN.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "tensorboard"}
    door = ast.parse((PLUGIN.parent / "__init__.py").read_text())
    first = [node for node in door.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) and node.module in sys.stdlib_module_names for node in first)
    assert RECORDS == DIRECTORY
    assert "tensorboard_plugins" in (ROOT / "pyproject.toml").read_text()


def test_it_answers_what_the_viewer_answers(plugin: ConvscopePlugin, logdir: Path) -> None:
    source = LogdirSource(logdir)
    source.read()
    own = TestClient(create_app(source), base_url="http://localhost")
    (run,) = own.get("/api/index").json()["runs"]
    (record,) = run["records"]
    told, end = json.loads(app(plugin, "api/index").body()), time.monotonic() + 20
    while [one["series"] for one in told["runs"]] != [run["series"]] and time.monotonic() < end:  # it reads still
        told = json.loads(app(plugin, "api/index").body())
    assert told["read_only"] is True
    assert [one["series"] for one in told["runs"]] == [run["series"]]
    for path, query in (
        ("index.html", {}),
        ("logo.svg", {}),
        ("api/series", {"run": "train", "kind": "scalar", "tag": "loss"}),
        ("api/image", {"run": "train", "tag": "ünder/<b>", "index": 0}),
        ("api/audio", {"run": "train", "tag": "tone", "index": 0}),
        ("api/record", {"run": "train", "id": record["id"]}),
        ("api/arrays", {"run": "train", "id": record["id"], "names": "voxels"}),
        ("api/record", {"run": "train", "id": "x"}),
        ("api/nothing", {}),
        ("../../../etc/passwd", {}),
    ):
        mine, theirs = app(plugin, path, **query), own.get(f"/{path}", params=query)
        assert (mine.status, mine.body()) == (theirs.status_code, theirs.content), path
        assert mine.headers["content-type"] == theirs.headers["content-type"], path
    part = app(plugin, "api/audio", "GET", {"range": "bytes=4-9"}, run="train", tag="tone", index=0)
    assert (part.status, len(part.body())) == (206, 6)
    head = app(plugin, "index.html", "HEAD")
    assert (head.status, head.body()) == (200, b"")
    again = app(plugin, "index.html", "GET", {"if-none-match": head.headers["etag"]})
    assert (again.status, again.body()) == (304, b"")


def test_it_takes_nothing(plugin: ConvscopePlugin) -> None:
    for method, path in (("POST", "api/project"), ("POST", "api/selection"), ("DELETE", "api/live/pictures")):
        answer = app(plugin, path, method, {"x-convscope-live": "1"})
        assert answer.status == 403
        assert "only shows" in json.loads(answer.body())["error"]


def test_the_first_script_leads_to_the_page_by_a_relative_address(plugin: ConvscopePlugin) -> None:
    apps = plugin.get_plugin_apps()
    entry = Answer(apps["/index.js"], "/data/plugin/convscope/index.js")
    assert entry.headers["content-type"].startswith("text/javascript")
    assert b'"app/index.html' in entry.body()
    assert all(address.startswith("/") for address in apps)
    page = app(plugin, "index.html")
    assert "frame-ancestors" not in page.headers["content-security-policy"], "notebooks show TensorBoard in a frame"
    assert b'"/' not in page.body()


def test_news_come_while_the_answer_is_open(plugin: ConvscopePlugin, logdir: Path) -> None:
    answer = app(plugin, "api/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    parts = iter(answer.parts)
    first = json.loads(next(parts).removeprefix(b"data: "))["version"]
    with SummaryWriter(logdir / "later") as writer:
        writer.add_scalar("x", 1, 1)
    second = json.loads(next(parts).removeprefix(b"data: "))["version"]
    assert second > first
    answer.parts.close()


def test_an_answer_that_nobody_reads_ends(tmp_path: Path) -> None:
    sent, ended = [], threading.Event()
    headers = [(b"x-content-type-options", b"nosniff")]

    async def endless(_: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while True:
                sent.append(1)
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        finally:
            ended.set()

    answer = Answer(InWsgi(endless, ""), "/")
    assert len(next(iter(answer.parts))) == 1000
    time.sleep(0.1)
    assert len(sent) < 10, "no more is made than is read"
    answer.parts.close()
    assert ended.wait(60)


def test_a_failure_of_the_application_is_a_failure_of_the_call() -> None:
    async def failing(_: Any, receive: Any, send: Any) -> None:
        raise ValueError("no <luck>")

    with pytest.raises(ValueError, match="luck"):
        Answer(InWsgi(failing, ""), "/")


@pytest.mark.parametrize("context", [object(), None, SimpleNamespace(logdir=None, flags=None)])
def test_without_a_directory_the_tab_says_so(context: Any) -> None:
    plugin = ConvscopeLoader().load(context)
    assert not plugin.is_active()
    page = app(plugin, "index.html")
    assert page.status == 500
    assert "started without a directory of runs" in page.body().decode()
    assert "without a directory" in json.loads(app(plugin, "api/index").body())["error"]


def test_what_fails_is_an_escaped_sentence_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = ConvscopeLoader().load(SimpleNamespace(logdir=str(tmp_path), flags=None))

    def fail(*_: object) -> None:
        raise OSError("</p><img src=x onerror=alert(1)>")

    with monkeypatch.context() as patch:
        patch.setattr("convscope.tensorboard_plugin.make_app", fail)
        page = app(plugin, "index.html").body().decode()
        assert "<img" not in page
        assert "OSError: &lt;/p&gt;&lt;img" in page
        assert "other tabs are not affected" in page
    assert app(plugin, "index.html").status == 200


def test_the_tab_is_there_for_our_own_results_alone(tmp_path: Path) -> None:
    plugin = ConvscopeLoader().load(SimpleNamespace(logdir=str(tmp_path), flags=None))
    assert not plugin.is_active()
    with SummaryWriter(tmp_path / "deep" / "run") as writer:
        writer.add(Volume(np.zeros((2, 3, 3), np.float32)), "v")
    assert plugin.is_active()
    assert "scalars" in plugin.data_plugin_names()


@pytest.mark.parametrize(
    "spec", ["a:/runs/1,b:/runs/2", "/runs/1,/runs/2", "/a:b/c", "gs://bucket/x,n:gs://bucket/y", "~/x,b:~/y", "a:/x:y"]
)
def test_directories_are_those_that_tensorboard_reads(spec: str) -> None:
    theirs = _parse_event_files_spec(spec)
    assert [str(path) for path in directories(spec).values()] == list(theirs)
    named = {name for name in theirs.values() if name}
    assert named <= set(directories(spec))


def test_a_directory_of_a_user_who_is_not_there_takes_nothing_down() -> None:
    context = SimpleNamespace(logdir="", flags=SimpleNamespace(logdir_spec="a:~nobody-known/x"))
    assert not ConvscopePlugin(context).is_active()


# in TensorBoard's own server


def test_several_directories_in_the_real_server(logdir: Path, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "more") as writer:
        writer.add_scalar("x", 1, 1)
    spec = f"--logdir_spec=one:{logdir},two:{tmp_path}"
    with serving(logdir, fast=False, more=[spec, "--path_prefix=/tb"]) as server:
        server.wait(lambda _: True)
        runs = {run["name"] for run in json.loads(server.raw("plugin/convscope/app/api/index"))["runs"]}
        assert runs >= {"one/train", "two/more"}


def test_a_broken_convscope_leaves_tensorboard_alone(logdir: Path, tmp_path: Path) -> None:
    """Everything of ours but the plugin's file cannot be imported, as after half an upgrade."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('convscope.') and name != 'convscope.tensorboard_plugin':\n"
        "            raise RuntimeError('broken <for> a test')\n"
        "sys.meta_path.insert(0, Broken())\n"
    )
    with serving(logdir, fast=True, environment={"PYTHONPATH": str(tmp_path)}) as server:
        assert "loss" in server.wait(lambda it: it.ask("plugin/scalars/tags").get("train"))
        assert server.ask("plugins_listing")["convscope"]["enabled"]
        assert b"render" in server.raw("plugin/convscope/index.js")
        with pytest.raises(RuntimeError, match=r"HTTP 500: .*broken &lt;for&gt; a test"):
            server.raw("plugin/convscope/app/index.html")
        points = server.ask("plugin/scalars/scalars", run="train", tag="loss")
        assert len(points) == 20
