"""The server's answers: equal values, clear refusals, and nothing but the runs of the given directory."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_safetensors
from starlette.testclient import TestClient

from convscope.errors import InputError, NotFoundError, StorageError
from convscope.inspect.volume import Volume
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run
from convscope.view import serve
from convscope.view.guard import host_name
from convscope.view.server import create_app
from convscope.view.source import LogdirSource


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    with SummaryWriter(tmp_path / "a" / "b") as writer:
        for step in range(20):
            writer.add_scalar("train/loss", 1 / (step + 1), step, walltime=100.0 + step)
        writer.add_scalar("odd", float("nan"), 3)
        for step in (1, 2):
            writer.add_histogram("gradient", rng.normal(size=500), step)
            writer.add_image("picture", rng.random((3, 4, 6)), step)
        picture = rng.integers(0, 255, (9, 9, 1), np.uint8)
        writer.add(Volume(rng.random((4, 5, 5)), layer="conv1", picture=picture), "conv1", 7)
    return tmp_path


@pytest.fixture
def client(logdir: Path) -> TestClient:
    return TestClient(create_app(LogdirSource(Logdir(logdir))), base_url="http://127.0.0.1:6007")


def index(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/index")
    assert answer.status_code == 200
    return answer.json()


def test_the_index_tells_what_there_is(client: TestClient) -> None:
    (run,) = index(client)["runs"]
    assert run["name"] == "a/b"
    assert run["problems"] == []
    series = {(s["kind"], s["tag"]): s for s in run["series"]}
    loss = series["scalar", "train/loss"]
    assert (loss["count"], loss["first_step"], loss["last_step"], loss["last_wall_time"]) == (20, 0, 19, 119.0)
    assert series["histogram", "gradient"]["count"] == 2
    assert series["image", "picture"]["count"] == 2
    (record,) = run["records"]
    assert (record["kind"], record["tag"], record["step"]) == ("volume", "conv1", 7)


def test_series_travel_with_equal_values_and_by_cursor(client: TestClient) -> None:
    ask = {"run": "a/b", "kind": "scalar", "tag": "train/loss"}
    points = load_safetensors(client.get("/api/series", params=ask).content)
    np.testing.assert_array_equal(points["step"], np.arange(20))
    np.testing.assert_allclose(points["value"], 1 / np.arange(1, 21), rtol=1e-7)
    rest = load_safetensors(client.get("/api/series", params={**ask, "start": 18}).content)
    assert rest["step"].tolist() == [18, 19]
    assert load_safetensors(client.get("/api/series", params={**ask, "start": 99}).content)["step"].size == 0
    nan = load_safetensors(client.get("/api/series", params={**ask, "tag": "odd"}).content)
    assert np.isnan(nan["value"]).all()


def test_histograms_and_pictures(client: TestClient) -> None:
    found = load_safetensors(
        client.get("/api/series", params={"run": "a/b", "kind": "histogram", "tag": "gradient"}).content
    )
    assert found["offset"][-1] == len(found["limit"]) == len(found["count"])
    first = found["count"][: found["offset"][1]]
    assert first.sum() == found["stats"][0, 2] == 500
    sizes = load_safetensors(
        client.get("/api/series", params={"run": "a/b", "kind": "image", "tag": "picture"}).content
    )
    assert sizes["size"].tolist() == [[4, 6], [4, 6]]
    png = client.get("/api/image", params={"run": "a/b", "tag": "picture", "index": 1})
    assert png.headers["content-type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")


def test_records_travel_in_parts(client: TestClient) -> None:
    (entry,) = index(client)["runs"][0]["records"]
    ask = {"run": "a/b", "id": entry["id"]}
    described = client.get("/api/record", params=ask).json()
    assert described["meta"]["layer"] == "conv1"
    assert described["arrays"]["voxels"] == {"dtype": "U8", "shape": [4, 5, 5]}
    answer = client.get("/api/arrays", params={**ask, "names": "voxels,scale"})
    assert "immutable" in answer.headers["cache-control"]
    arrays = load_safetensors(answer.content)
    assert set(arrays) == {"voxels", "scale"}
    (file,) = described["pictures"]["input"]["files"]
    sheet = client.get("/api/picture", params={**ask, "file": file})
    assert sheet.headers["content-type"] in ("image/webp", "image/png")


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/api/record?run=a/c&id=x", 404, "did you mean 'a/b'"),
        ("/api/record?run=a/b&id=x", 404, "x"),
        ("/api/record?run=../..&id=x", 404, "no run"),
        ("/api/record?id=x", 400, "'run' is missing"),
        ("/api/series?run=a/b&kind=scalar&tag=loss", 404, "train/loss"),
        ("/api/series?run=a/b&kind=scalars&tag=odd", 404, "did you mean 'scalar'"),
        ("/api/series?run=a/b&kind=scalar&tag=odd&start=-1", 400, "whole number"),
        ("/api/image?run=a/b&tag=picture&index=2", 404, "there are 2"),
        ("/api/image?run=a/b&tag=picture&index=x", 400, "whole number"),
        ("/api/nothing", 404, "no such page"),
        ("/../pyproject.toml", 404, "no such page"),
    ],
)
def test_refusals_are_one_sentence(client: TestClient, address: str, status: int, sentence: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_only_files_a_record_names_are_served(client: TestClient, logdir: Path) -> None:
    (entry,) = index(client)["runs"][0]["records"]
    ask = {"run": "a/b", "id": entry["id"]}
    for file in ("../../../secret", "meta.json", "arrays.safetensors", "/etc/passwd", "input/../meta.json"):
        (logdir / "secret").write_text("secret")
        assert client.get("/api/picture", params={**ask, "file": file}).status_code == 404
    assert client.get("/api/arrays", params={**ask, "names": "voxel"}).status_code == 404
    assert client.get("/api/arrays", params={**ask, "names": ","}).status_code == 400
    assert client.post("/api/index").status_code == 405


def test_strange_hosts_are_turned_away_and_headers_forbid_scripts(client: TestClient) -> None:
    assert client.get("/api/index", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/api/index", headers={"host": "localhost:1"}).status_code == 200
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src" not in policy
    assert "default-src 'self'" in policy
    assert host_name("[::1]:80") == "[::1]"


def test_a_token_is_asked_for_and_kept_in_a_cookie(logdir: Path) -> None:
    app = create_app(LogdirSource(Logdir(logdir)), hosts=frozenset({"*"}), token="secret")
    client = TestClient(app, base_url="http://box:1", follow_redirects=False)
    assert client.get("/api/index").status_code == 401
    assert client.get("/api/index?token=wrong").status_code == 401
    assert client.get("/api/index", headers={"authorization": "Bearer secret"}).status_code == 200
    moved = client.get("/api/index?token=secret&a=1")
    assert (moved.status_code, moved.headers["location"]) == (303, "./index?a=1")
    assert client.get("/api/index").status_code == 200


def test_the_version_grows_when_a_run_does(logdir: Path) -> None:
    source = LogdirSource(Logdir(logdir))
    before = source.version()
    time.sleep(0.5)
    assert source.version() == before
    with SummaryWriter(logdir / "later") as writer:
        writer.add_scalar("x", 1, 1)
    time.sleep(0.5)
    assert source.version() > before
    assert {run["name"] for run in source.index()["runs"]} == {"a/b", "later"}


def test_a_served_page_hears_of_news_and_the_next_free_port_is_taken(logdir: Path) -> None:
    with serve(logdir, port=0) as server:
        heard: list[dict[str, int]] = []
        first = threading.Event()

        def listen() -> None:
            with urllib.request.urlopen(server.url + "api/events", timeout=60) as stream:
                for line in stream:
                    if line.startswith(b"data: "):
                        heard.append(json.loads(line[6:]))
                        first.set()
                    if len(heard) == 2:
                        return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        assert first.wait(60)
        with SummaryWriter(logdir / "more") as writer:
            writer.add_scalar("x", 1, 1)
        listener.join(60)
        assert len(heard) == 2
        assert heard[1]["version"] > heard[0]["version"]
        with serve(logdir, port=server.port) as second:
            assert second.port != server.port
            assert urllib.request.urlopen(second.url, timeout=60).status == 200


def test_addresses_that_cannot_be_had(logdir: Path) -> None:
    with pytest.raises(InputError, match=r"0 .* to 65535, got 99999"):
        serve(logdir, port=99999)
    with pytest.raises(InputError, match="not an address of this machine"):
        serve(logdir, host="192.0.2.1", port=0)
    (logdir / "file").write_text("")
    with pytest.raises((NotFoundError, StorageError), match="file"):
        serve(logdir / "file")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with serve(logdir, port=taken.getsockname()[1]) as server:
            assert server.port > taken.getsockname()[1]


def test_a_server_that_ends_leaves_no_connection_open(tmp_path: Path) -> None:
    """A browser asked for much and reads nothing: what cannot be sent any more is given up."""
    with SummaryWriter(tmp_path) as writer:
        noise = np.random.default_rng(0).random((256, 256, 256)).astype(np.float32)
        writer.add(Volume(noise, orders=()), "large")
    with serve(tmp_path, port=0) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        entry = Run(tmp_path).entries("volume")[0]
        question = f"GET /api/arrays?run=.&id={entry.id}&names=volume HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        client.sendall(question.encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        server.stop()
    gc.collect()  # tells of sockets that were forgotten, which fails the test
