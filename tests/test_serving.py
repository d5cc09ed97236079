"""How the viewer is served: several directories, proxies and their paths, tokens, and only showing."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from convscope.cli import main
from convscope.cli_view import named
from convscope.errors import ConvscopeError, InputError, NotFoundError
from convscope.recording import SummaryWriter
from convscope.view import RunningServer, opening, serve
from convscope.view.guard import Access, checked_host, checked_prefix
from convscope.view.merged import MergedSource, names_of
from convscope.view.serve import listen
from convscope.view.server import create_app
from convscope.view.source import LogdirSource

PREFIX = "/user/ada/proxy/6007"
OURS = {"X-Convscope-Live": "1", "content-type": "application/json"}


def write(path: Path, steps: int = 3) -> None:
    with SummaryWriter(path) as writer:
        for step in range(steps):
            writer.add_scalar("loss", 1 / (1 + step), step)


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    write(tmp_path / "first" / "a")
    write(tmp_path / "first" / "b")
    write(tmp_path / "second")
    return tmp_path


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convscope.view.source.POLL_SECONDS", 0.0)


def client_of(logdir: Path, base: str = "http://127.0.0.1:6007", **access: Any) -> TestClient:
    return TestClient(create_app(LogdirSource(logdir), access=Access(**access)), base_url=base, follow_redirects=False)


# several directories


def test_runs_of_several_directories_carry_their_names(logdir: Path) -> None:
    source = MergedSource({"one": logdir / "first", "ünder": logdir / "second"})
    index = source.index()
    assert [run["name"] for run in index["runs"]] == ["one/a", "one/b", "ünder"]
    assert index["logdir"] == "one, ünder"
    alone = LogdirSource(logdir / "first")
    assert source.series("one/b", "scalar", "loss", 1) == alone.series("b", "scalar", "loss", 1)
    for run in ("two/a", "on", "one/c", ""):
        with pytest.raises(NotFoundError, match="no run"):
            source.series(run, "scalar", "loss")


def client_side(known: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Do what merge.ts does: take what is new, keep the rest, in the order of the names."""
    runs = {run["name"]: run for run in changes["runs"]}
    order = changes.get("names", list(known))
    kept = {} if changes["whole"] else known
    return {name: runs.get(name) or kept[name] for name in order}


def test_increments_of_several_directories_add_up_to_the_whole(logdir: Path) -> None:
    source = MergedSource({"one": logdir / "first", "two": logdir / "second", "later": logdir / "third"})
    known: dict[str, Any] = {}
    version, told = 0, []
    for change in (None, None, logdir / "first" / "c", logdir / "second", logdir / "third" / "x", None):
        if change:
            write(change, 5)
        source.version()  # somebody else looks
        changes = json.loads(source.changes(version).to_json())
        assert changes["version"] >= version
        known, version = client_side(known, changes), changes["version"]
        told.append(sorted(run["name"] for run in changes["runs"]))
        fresh = MergedSource({"one": logdir / "first", "two": logdir / "second", "later": logdir / "third"})
        whole = client_side({}, json.loads(fresh.changes(0).to_json()))
        assert list(known) == list(whole)
        assert [run["series"] for run in known.values()] == [run["series"] for run in whole.values()]
    assert told == [["one/a", "one/b", "two"], [], ["one/c"], ["two"], ["later/x"], []]
    assert json.loads(source.changes(version + 10**6).to_json())["whole"], "a version of another server"
    assert json.loads(source.changes(1).to_json())["whole"]


def test_a_directory_that_is_not_there_is_waited_for(logdir: Path) -> None:
    source = MergedSource({"one": logdir / "first", "none": logdir / "later"})
    assert "later" in source.waiting
    assert "later" in source.index()["waiting"]
    write(logdir / "later")
    source.read()
    assert "waiting" not in source.index()
    assert [run["name"] for run in source.index()["runs"]] == ["one/a", "one/b", "none"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["exp1/runs", "exp2/runs"], ["exp1/runs", "exp2/runs"]),
        (["x/a", "y/b"], ["a", "b"]),
        (["a", "b", "b/a"], ["{cwd}/a", "b", "b/a"]),
        (["s3://bucket/one/runs", "gs://bucket/two/runs"], ["one/runs", "two/runs"]),
        (["ünder/ラン"], ["ラン"]),
        (["."], ["{cwd}"]),
    ],
)
def test_directories_get_names_that_tell_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: Sequence[str], names: Sequence[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(names_of(paths)) == [name.replace("{cwd}", tmp_path.name) for name in names]
    assert list(names_of(paths).values()) == list(paths)


@pytest.mark.parametrize("names", [[], [""], ["a", "a/b"], ["/a"], [" "]])
def test_names_that_would_make_two_runs_one_are_refused(tmp_path: Path, names: Sequence[str]) -> None:
    with pytest.raises(InputError):
        MergedSource(dict.fromkeys(names, tmp_path))


def test_what_the_command_line_means_by_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=0.1").mkdir()
    assert named([]) is None
    assert named(["runs"]) == "runs"
    assert named(["lr=0.1"]) == "lr=0.1", "what is there is a path"
    assert named(["runs/lr=0.1"]) == "runs/lr=0.1", "a name has no slash"
    assert named(["best=runs/a"]) == {"best": "runs/a"}
    assert named(["b=~/x", "~nobody-known/y"]) == {
        "b": str(Path("~/x").expanduser()),
        "y": "~nobody-known/y",
    }
    assert named(["b=x", "y", "c=s3://bucket/z=1"]) == {"b": "x", "y": "y", "c": "s3://bucket/z=1"}
    with pytest.raises(InputError, match="two directories are called 'a'"):
        named(["a=x", "a=y"])
    with pytest.raises(InputError, match="given twice"):
        named(["x", "./x"])


def names_at(server: RunningServer, count: int) -> list[str]:
    """Return the names of the runs; the server answers before it has read all of them."""
    end = time.monotonic() + 20
    while True:
        with urllib.request.urlopen(f"{server.url}api/index", timeout=20) as answer:
            names = [run["name"] for run in json.load(answer)["runs"]]
        if len(names) >= count or time.monotonic() > end:
            return names
        time.sleep(0.01)


def test_a_server_takes_one_several_or_a_source(logdir: Path) -> None:
    for shown, names in (
        (logdir / "second", ["."]),
        ([logdir / "second"], ["."]),
        ([logdir / "second", logdir / "first"], ["second", "first/a", "first/b"]),
        ({"x": logdir / "second"}, ["x"]),
        (LogdirSource(logdir / "second"), ["."]),
    ):
        with serve(shown, port=0) as server:
            assert names_at(server, len(names)) == names
    for empty in ([], {}, None):
        with pytest.raises(InputError, match="nothing to show"):
            serve(empty)


def test_a_projection_in_one_of_several_directories_is_kept_there(logdir: Path) -> None:
    with SummaryWriter(logdir / "second") as writer:
        writer.add_embedding(np.random.default_rng(0).random((12, 5)), tag="e")
    source = MergedSource({"one": logdir / "first", "two": logdir / "second"})
    client = TestClient(create_app(source), base_url="http://localhost")
    two = client.get("/api/index").json()["runs"][-1]
    record = next(record for record in two["records"] if record["kind"] == "embedding")
    options = client.get("/api/project", params={"run": "two", "id": record["id"]})
    assert options.json()["unkept"] == ""
    near = client.get("/api/neighbours", params={"run": "two", "id": record["id"], "point": 3, "k": 2})
    assert len(near.json()["index"]) == 2


# proxies


@pytest.mark.parametrize("path", ["", PREFIX])
def test_a_proxys_path_may_be_cut_off_or_not(logdir: Path, path: str) -> None:
    client = client_of(logdir, prefix=PREFIX)
    assert "<title>convscope</title>" in client.get(f"{path}/").text
    assert len(client.get(f"{path}/api/index").json()["runs"]) == 3
    assert client.get(f"{path}/api/nothing").status_code == 404
    assert client.get(f"{path}/../pyproject.toml").status_code == 404


def test_the_page_is_asked_for_with_a_slash_at_its_end(logdir: Path) -> None:
    client = client_of(logdir, prefix=PREFIX)
    moved = client.get(f"{PREFIX}?a=1")
    assert (moved.status_code, moved.headers["location"]) == (307, "./6007/?a=1")
    assert moved.next_request is not None
    assert moved.next_request.url.path == f"{PREFIX}/"
    assert client.get(f"{PREFIX}x/").status_code == 404


def test_a_users_name_is_compared_as_it_is_meant(logdir: Path) -> None:
    client = client_of(logdir, prefix="/user/a%40b/ü".replace("ü", "%C3%BC"))
    assert client.get("/user/a%40b/%C3%BC/api/index").status_code == 200
    assert client.get("/user/a@b/ü/api/index").status_code == 200


@pytest.mark.parametrize("path", ["", PREFIX])
def test_a_token_works_behind_a_proxy(logdir: Path, path: str) -> None:
    client = client_of(logdir, base="http://box:1", hosts=frozenset({"*"}), token="secret", prefix=PREFIX)
    refused = client.get(f"{path}/", headers={"X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"})
    assert refused.status_code == 401
    moved = client.get(f"{path}/?token=secret&a=1")
    assert moved.status_code == 303
    assert moved.headers["location"] == "./?a=1", "relative: so it stays behind the proxy, whatever that cuts off"
    assert "path=" not in moved.headers["set-cookie"].lower(), "the browser takes the folder that it asked for"
    assert client.get(f"{path}/api/index").status_code == 200
    other = client_of(logdir, base="http://box:2", hosts=frozenset({"*"}), token="other")
    other.cookies = client.cookies
    other.get("/?token=other")
    assert len({cookie.name for cookie in other.cookies.jar}) == 2
    assert client.get(f"{path}/api/index").status_code == 200, "a second viewer does not take the first one's cookie"


@pytest.mark.parametrize(
    "target",
    ["//evil.example/?token=secret", "/\\evil.example/?token=secret", "/x/%2F%2Fe?token=secret"],
)
def test_no_redirect_leaves_the_viewer(logdir: Path, target: str) -> None:
    client = client_of(logdir, base="http://box:1", hosts=frozenset({"*"}), token="secret")
    request = client.build_request("GET", "http://box:1/")
    request.url = request.url.copy_with(raw_path=target.encode())
    moved = client.send(request)
    assert moved.headers["location"].startswith("./")
    assert moved.next_request is not None
    assert moved.next_request.url.host == "box"


def test_a_proxys_name_is_allowed_by_name_only(logdir: Path) -> None:
    client = client_of(
        logdir, hosts=frozenset({"localhost", "hub.example.org"}), origins=frozenset({"hub.example.org"})
    )
    forged = {"host": "evil.example", "X-Forwarded-Host": "localhost"}
    assert client.get("/api/index", headers=forged).status_code == 421
    assert "--allow-host" in client.get("/api/index", headers=forged).json()["error"]
    assert client.get("/api/index", headers={"host": "hub.example.org:8443"}).status_code == 200

    def sent(host: str, origin: str) -> int:
        headers = {**OURS, "host": host, "origin": origin}
        return client.post("/api/selection", content="{}", headers=headers).status_code

    assert sent("localhost:6007", "https://hub.example.org") == 400, "it gets as far as the missing field"
    assert sent("hub.example.org", "https://hub.example.org") == 400
    assert sent("localhost:6007", "https://hub.example.org.evil.example") == 403
    assert sent("localhost:6007", "http://localhost:9999") == 403, "another server of this machine"
    assert sent("localhost:6007", "https://evil.example") == 403


@pytest.mark.parametrize(
    "prefix",
    ["x", "/a//b", "/a/../b", "/a b", "/a?x", "/a#x", "/api", "/assets/x", "//evil", "/<x>"],
)
def test_paths_that_are_none_are_refused(prefix: str) -> None:
    with pytest.raises(InputError):
        checked_prefix(prefix)


@pytest.mark.parametrize("host", ["", "*", "a b", "https://hub", "hub/x", "hub:port", "-x", "a\nb"])
def test_names_that_are_no_hosts_are_refused(host: str) -> None:
    with pytest.raises(InputError):
        checked_host(host)


# only showing


def test_who_only_shows_takes_nothing(logdir: Path) -> None:
    client = client_of(logdir, read_only=True)
    assert client.get("/api/index").json()["read_only"] is True
    assert client.get("/api/index?since=0").json()["read_only"] is True
    assert "read_only" not in client_of(logdir).get("/api/index").json()
    assert client.head("/").status_code == 200
    for method, path in (
        ("POST", "/api/project"),
        ("POST", "/api/project/x"),
        ("POST", "/api/selection"),
        ("POST", "/api/live/look"),
        ("DELETE", "/api/live/pictures"),
        ("PUT", "/"),
        ("PROPFIND", "/"),
    ):
        answer = client.request(method, path, headers=OURS)
        assert answer.status_code == 403
        assert "only shows" in answer.json()["error"]


# where the page is opened, and how it is started


@pytest.mark.parametrize(
    ("environ", "platform", "opens"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"WSL_DISTRO_NAME": "Debian"}, "linux", True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1 2 3 22"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_TTY": "/dev/ttys001"}, "darwin", False),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_where_it_is_seen(environ: dict[str, str], platform: str, *, opens: bool) -> None:
    assert opening.opens_here(environ, platform) is opens


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that are opened; the servers do not wait for Ctrl-C."""
    opened: list[str] = []
    monkeypatch.setattr(RunningServer, "wait", lambda _: None)
    monkeypatch.setattr("webbrowser.open", opened.append)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    return opened


def view(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["convscope", "view", "--port", "0", *map(str, arguments)])
    try:
        main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


def test_the_command_says_how_the_page_is_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], started: list[str], logdir: Path
) -> None:
    monkeypatch.chdir(logdir)
    assert view(monkeypatch, "first", "two=second", "--read-only") == 0
    assert started == []
    assert "viewer: http://127.0.0.1:" in capsys.readouterr().out
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.7 50022 203.0.113.5 22")
    monkeypatch.setenv("DISPLAY", "localhost:10.0")
    monkeypatch.setenv("USER", "ada")
    assert view(monkeypatch, "first") == 0
    assert started == []
    said = capsys.readouterr().out
    port = said.partition("127.0.0.1:")[2].partition("/")[0]
    assert f"ssh -N -L {port}:127.0.0.1:{port} ada@203.0.113.5 " in said
    assert view(monkeypatch, "first", "--open") == 0
    assert len(started) == 1
    capsys.readouterr()
    prefix = ("--path-prefix", "/user/ada/proxy/{port}/", "--allow-host", "hub.example.org", "--token")
    assert view(monkeypatch, "first", *prefix) == 0
    said = capsys.readouterr().out
    port = said.partition("127.0.0.1:")[2].partition("/")[0]
    assert f"http://127.0.0.1:{port}/user/ada/proxy/{port}/?token=" in said
    assert f"https://hub.example.org/user/ada/proxy/{port}/?token=" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("first", "--path-prefix", "x"), "a path prefix is as in"),
        (("first", "--allow-host", "*"), "a host is as in"),
        (("--model", "mnist", "--weights", "random", "--read-only"), "leave one of the two out"),
        (("a=first", "a=second"), "two directories are called 'a'"),
        (("first", "first"), "given twice"),
        (("first", "none.npy"), "no file of a volume"),
        (("first", "--host", ""), "an address to listen on"),
        (("first", "--host", "a\udcffb"), "is not an address of this machine"),
        (("a" * 5000,), "there is no directory"),
        (("x=" + "a" * 5000,), "there is no directory"),
    ],
)
def test_wrong_words_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: list[str],
    logdir: Path,
    arguments: Sequence[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(logdir)
    assert view(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert not started


def test_a_port_is_left_free_where_a_server_is_refused(logdir: Path) -> None:
    with pytest.raises(ConvscopeError):
        serve(logdir, port=0, path_prefix="/api")
    with serve(logdir, port=0, path_prefix="/p/{port}") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/p/{server.port}/"
        with urllib.request.urlopen(server.url, timeout=20) as page:
            assert page.status == 200


def test_answers_in_two_parts_are_not_held_back() -> None:
    """Asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer takes 40 ms more."""
    with listen("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP
