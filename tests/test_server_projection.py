"""Projections, neighbours and selections over HTTP: what they answer, how they are driven, and who may drive them."""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from convscope import Run, SummaryWriter
from convscope.embed import Embedding, nearest
from convscope.embed.frames import Frame, Frames
from convscope.embed.projection import Projection
from convscope.embed.selection import channel_effects, checked_shape, label_counts, moments, nearest_outside
from convscope.embed.tsne import Settings
from convscope.errors import ConvscopeError, FormatError, InputError, NotFoundError
from convscope.store.mapped import map_array
from convscope.view import computing, serve
from convscope.view.parameters import PARAMETERS, checked, checked_name, read_json
from convscope.view.projecting import Forming, Projections
from convscope.view.sender import RefusedError
from convscope.view.server import create_app
from convscope.view.source import LogdirSource
from convscope.view.vectors import Shelf
from convscope.view.wired import Thinned, packed

HOME = "http://127.0.0.1:6007"
OURS = {"x-convscope-live": "1"}
COUNT = 90
SEED = 7
JSON = "application/json"


@pytest.fixture(scope="module", autouse=True)
def numpy_alone() -> Iterator[None]:
    """A t-SNE of so few points needs no openTSNE, which takes long to load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[Settings.__module__], "find_spec", lambda _: None)
        yield


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("projected")
    random = np.random.default_rng(SEED)
    labels = np.arange(COUNT) % 3
    vectors = random.normal(size=(COUNT, 12)).astype(np.float32)
    vectors[np.arange(COUNT), labels] += 6  # channel c tells class c
    vectors[:, 11] = 4.25
    with SummaryWriter(path / "run") as writer:
        writer.add(Embedding(vectors, labels, label_names=("ant", "bee", "cat")), "fc", 3)
        writer.add_scalar("loss", 1.0, 3)
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> TestClient:
    return TestClient(create_app(LogdirSource(logdir)), base_url=HOME)


@pytest.fixture(scope="module")
def record(logdir: Path) -> Any:
    run = Run(logdir / "run")
    return run.record(run.entries("embedding")[0])


def ask(record: Any, **more: Any) -> dict[str, Any]:
    return {"run": "run", "id": record.id, **more}


def start(client: TestClient, record: Any, method: str = "tsne", **parameters: Any) -> str:
    answer = client.post("/api/project", json=ask(record, method=method, parameters=parameters), headers=OURS)
    assert answer.status_code == 200, answer.json()
    return str(answer.json()["key"])


def act(client: TestClient, key: str, action: str, **parameters: Any) -> dict[str, Any]:
    answer = client.post(f"/api/project/{key}", json={"action": action, "parameters": parameters}, headers=OURS)
    return {"status": answer.status_code, **answer.json()}


def messages(content: bytes) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
    """Read a stream as docs/viewer.md describes it."""
    while content:
        (size,) = struct.unpack("<I", content[:4])
        told = json.loads(content[4 : 4 + size])
        (data,) = struct.unpack("<I", content[4 + size : 8 + size])
        values = np.frombuffer(content[8 + size : 8 + size + data], "<u2")
        content = content[8 + size + data :]
        if data:
            low, high = np.array(told["ranges"]).T
            yield told, low + values.reshape(-1, told["dimensions"]) / 65535 * (high - low)
        else:
            yield told, None


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.005)
    return found


class Fake:
    """An engine whose steps are told one by one."""

    def __init__(self, steps: int, gate: threading.Semaphore | None = None) -> None:
        self.iterations, self.done, self.changes = steps, 0, [dict[str, Any]()]
        self.begun, self._gate = 0, gate

    def step(self) -> Frame | None:
        self.begun += 1
        if self._gate:
            self._gate.acquire()
        if self.done == self.iterations:
            return None
        self.done += 1
        return Frame(self.done, 1 / self.done, np.full((4, 2), self.done, np.float32) + np.eye(4, 2))

    def change(self, **parameters: Any) -> None:
        if parameters.get("perplexity") == 13:
            raise InputError("13 is not a perplexity; choose another one")
        self.changes.append(parameters)
        self.iterations += 3

    def projection(self) -> Projection:
        return Projection(np.eye(4, 2, dtype=np.float32), "tsne", self.done, self.iterations)


def kept(projection: Projection, frames: list[Frame], name: str) -> str:
    return f"fc/{name or projection.method} {len(frames)}"


@pytest.fixture
def ended() -> Iterator[Callable[..., Forming]]:
    """Starts projections that are stopped at the end."""
    made: list[Forming] = []

    def begin(engine: Fake, **more: Any) -> Forming:
        options: dict[str, Any] = {"closing": bool, "patience": 60.0, **more}
        made.append(Forming(lambda: engine, kept, **options))
        return made[-1]

    yield begin
    for one in made:
        one.stop()


def test_a_projection_is_streamed_from_its_start_layout_to_its_end(client: TestClient, record: Any) -> None:
    key = start(client, record, perplexity=10, iterations=150, seed=3)
    forming = until_done(client, key)
    told = forming.status()
    assert (told["state"], told["iteration"], told["iterations"], told["dimensions"]) == ("done", 150, 150, 2)
    assert 0 < told["kl"] < 5
    act(client, key, "stop")
    ((last, points),) = list(messages(client.get(f"/api/project/{key}?from=0").content))
    assert last["state"] == "stopped"
    assert points is not None
    assert points.shape == (COUNT, 2)
    near, _ = nearest(points, 5, metric="euclidean")
    labels = record.arrays(["label"])["label"]
    assert (labels[near] == labels[:, None]).mean() > 0.9


def until_done(client: TestClient, key: str) -> Forming:
    forming = projections(client).get(key)
    until(lambda: forming.status()["state"] in ("done", "failed"), "the end")
    return forming


def projections(client: TestClient) -> Projections:
    """The projections behind an application."""
    routes = client.app._app.routes  # type: ignore[attr-defined]
    (follow,) = [one for one in routes if one.path == "/api/project/{key}" and "GET" in one.methods]
    cells = dict(zip(follow.endpoint.__code__.co_freevars, follow.endpoint.__closure__, strict=True))
    found: Projections = cells["desk"].cell_contents.projections
    return found


def test_it_is_kept_as_a_record_with_its_frames(client: TestClient, record: Any, logdir: Path) -> None:
    key = start(client, record, perplexity=10, iterations=30, dimensions=3)
    until_done(client, key)
    assert act(client, key, "keep", name="mine")["kept"] == "fc/mine"
    assert act(client, key, "keep", name="mine")["kept"] == "fc/mine-2"
    act(client, key, "stop")
    run = Run(logdir / "run")
    (entry,) = run.entries("projection", "fc/mine")
    found = run.record(entry)
    assert (found.step, found.meta["embedding"], found.meta["dimensions"]) == (3, record.id, 3)
    assert 0.3 < found.meta["quality"]["neighbours_kept"] <= 1
    arrays = found.arrays()
    frames = Frames.from_arrays(arrays)
    assert frames.iterations[0] == 0
    assert frames.iterations[-1] == 30
    np.testing.assert_allclose(frames.points(len(frames) - 1), arrays["points"], atol=np.ptp(arrays["points"]) / 4000)
    assert run.entries("embedding")[0].id == record.id
    assert run.scalars("loss").value.tolist() == [1.0]


def test_it_goes_on_from_a_layout_that_is_sent(client: TestClient, record: Any) -> None:
    turned = np.random.default_rng(0).permutation(COUNT)
    layout = np.stack([turned, np.zeros(COUNT)], 1).astype("<f4")
    told = json.dumps(ask(record, method="tsne", parameters={"iterations": 1, "perplexity": 5})).encode()
    body = struct.pack("<I", len(told)) + told + layout.tobytes()
    headers = {**OURS, "content-type": "application/octet-stream"}
    answer = client.post("/api/project", content=body, headers=headers)
    key = answer.json()["key"]
    forming = until_done(client, key)
    act(client, key, "stop")
    ((_, points),) = list(messages(forming.news(0)))
    assert points is not None
    assert np.corrcoef(points[:, 0], turned)[0, 1] > 0.95
    short = client.post("/api/project", content=body[:-4], headers=headers)
    assert (short.status_code, "90 × 2" in short.json()["error"]) == (400, True)


def test_it_is_paused_changed_and_continued(ended: Callable[..., Forming]) -> None:
    gate = threading.Semaphore(0)
    engine = Fake(6, gate)
    forming = ended(engine)
    gate.release()
    until(lambda: forming.status()["iteration"] == 1, "a frame")
    until(lambda: engine.begun == 2, "the second step to begin")
    forming.pause()
    gate.release(9)
    until(lambda: forming.status()["iteration"] == 2, "the step that was under way")
    number = forming.number
    time.sleep(0.05)
    assert (forming.status()["state"], forming.status()["iteration"], forming.number) == ("paused", 2, number)
    forming.change(perplexity=5)
    assert engine.changes == [{}]
    forming.go_on()
    until(lambda: forming.status()["iteration"] == 9 or gate.release(), "the end")
    assert engine.changes == [{}, {"perplexity": 5}]
    gate.release(9)
    until(lambda: forming.status()["state"] == "done", "the end")
    forming.change(exaggeration=4)
    gate.release(9)
    until(lambda: forming.status()["iteration"] == 12, "what a change adds")
    assert forming.keep("a") == "fc/a 12"
    forming.change(perplexity=13)
    gate.release(9)
    until(lambda: forming.status()["error"], "what is wrong with it")
    assert forming.status()["error"] == "13 is not a perplexity; choose another one"
    assert forming.keep("b") == "fc/b 12"  # the layout is there as before
    forming.stop()
    with pytest.raises(RefusedError, match="has ended"):
        forming.keep("c")
    until(lambda: len(forming._frames.all()) == 1, "what it held to be given back")


def test_a_slow_reader_gets_the_newest_frame_once(ended: Callable[..., Forming]) -> None:
    forming = ended(Fake(50))
    until(lambda: forming.status()["state"] == "done", "the end")
    ((told, points),) = list(messages(forming.news(0)))
    assert (told["iteration"], points is not None) == (50, True)
    ((again, nothing),) = list(messages(forming.news(told["number"])))
    assert (again["iteration"], nothing) == (50, None)


def test_what_nobody_follows_ends(ended: Callable[..., Forming]) -> None:
    followed, left = ended(Fake(10**9), patience=60), ended(Fake(10**9), patience=0.05)
    with followed.followed():
        followed._patience = 0.05
        until(lambda: left.over, "the end of the one that nobody follows")
        assert not followed.over
    until(lambda: followed.over, "the end of the other")


def test_a_server_that_closes_ends_them(ended: Callable[..., Forming]) -> None:
    closing = threading.Event()
    forming = ended(Fake(10**9), closing=closing.is_set)
    with forming.followed():
        closing.set()
        until(lambda: forming.over, "the end")


def test_two_run_at_a_time_and_one_left_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Projections(patience=60)
    first, second = (running.start(lambda: Fake(10**9), kept) for _ in range(2))
    with first.followed(), second.followed(), pytest.raises(RefusedError, match="stop one of them") as refused:
        running.start(lambda: Fake(10**9), kept)
    assert refused.value.status == 429
    monkeypatch.setattr("convscope.view.projecting.RECENT", -1.0)
    with second.followed():
        third = running.start(lambda: Fake(10**9), kept)
        assert (first.over, second.over) == (True, False)
        third.stop()
    second.stop()


def test_a_failure_is_one_sentence(client: TestClient, record: Any, ended: Callable[..., Forming]) -> None:
    class Broken(Fake):
        def step(self) -> Frame | None:
            raise ZeroDivisionError

    forming = ended(Broken(1))
    until(lambda: forming.over, "the failure")
    assert "(ZeroDivisionError)" in forming.status()["error"]
    axes = [["ant", "bee"], ["ant", "dog"]]
    failed = until_done(client, start(client, record, "axes", axes=axes)).status()
    assert (failed["state"], "'dog'" in failed["error"]) == ("failed", True)


def test_axes_and_components_are_done_in_a_moment(client: TestClient, record: Any) -> None:
    for method, parameters in (("axes", {"axes": [["ant", "bee"], ["ant", "cat"]]}), ("pca", {"dimensions": 3})):
        key = start(client, record, method, **parameters)
        done = until_done(client, key).status()
        assert (done["state"], done["dimensions"]) == ("done", 2 if method == "axes" else 3)
        act(client, key, "stop")


@pytest.mark.parametrize(
    ("wanted", "status", "sentence"),
    [
        ({"id": "00000099-embedding-abcdef"}, 404, "no record"),
        ({"run": "other"}, 404, "no run 'other'"),
        ({"run": "../../etc"}, 404, "no run"),
        ({"method": "sne"}, 404, "did you mean 'tsne'"),
        ({"extra": 1}, 404, "no field 'extra'"),
        ({"method": None}, 400, "'method' is missing"),
        ({"method": 3}, 400, "of type str"),
        ({"parameters": []}, 400, "of type dict"),
        ({"parameters": {"perplexity": 0}}, 400, "from 1 to 10000"),
        ({"parameters": {"perplexity": True}}, 400, "got True"),
        ({"parameters": {"perplexity": "30"}}, 400, "got '30'"),
        ({"parameters": {"iterations": 1e3}}, 400, "whole number"),
        ({"parameters": {"iterations": 10**400}}, 400, "whole number"),
        ({"parameters": {"seed": -1}}, 400, "from 0"),
        ({"parameters": {"dimensions": 4}}, 400, "2, 3"),
        ({"parameters": {"metric": "manhattan"}}, 400, "euclidean, cosine"),
        ({"parameters": {"start": "x"}}, 404, "no parameter 'start'"),
        ({"parameters": {"threads": 64}}, 404, "no parameter 'threads'"),
        ({"parameters": {"__class__": 1}}, 404, "no parameter"),
        ({"method": "axes", "parameters": {"axes": [["a"], ["b", "c"]]}}, 400, "pairs of class names"),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: TestClient, record: Any, wanted: dict[str, Any], status: int, sentence: str
) -> None:
    asked = {**ask(record, method="tsne", parameters={}), **wanted}
    answer = client.post("/api/project", json=asked, headers=OURS)
    assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.json()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not JSON"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'{"run": NaN}', "NaN"),
        (b'{"run": -Infinity}', "Infinity"),
        (b'{"run": 1e999}', "1e999"),
    ],
)
def test_what_is_no_json_is_refused(client: TestClient, body: bytes, sentence: str) -> None:
    headers = {**OURS, "content-type": "application/json"}
    for path in ("/api/project", "/api/selection"):
        answer = client.post(path, content=body, headers=headers)
        assert (answer.status_code, sentence in answer.json()["error"]) == (400, True), answer.json()


def test_only_pages_of_ours_act(client: TestClient, record: Any) -> None:
    body = ask(record, method="pca")
    for path in ("/api/project", "/api/project/some-key", "/api/selection"):
        assert client.post(path, json=body).status_code == 403
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            assert client.post(path, json=body, headers={**OURS, **headers}).status_code == 403
        assert client.post(path, json=body, headers={**OURS, "host": "evil.example"}).status_code == 421
        form = client.post(path, content=b"{}", headers={**OURS, "content-type": "text/plain"})
        assert form.status_code == 415
        large = client.post(path, content=b" " * (computing.MOST_JSON + 1), headers={**OURS, "content-type": JSON})
        assert (large.status_code, "send less" in large.json()["error"]) == (413, True)
    assert client.put("/api/project", json=body, headers=OURS).status_code == 405


def test_without_its_key_nothing_is_told_of_a_projection(client: TestClient, record: Any) -> None:
    keys = {start(client, record, "pca") for _ in range(2)}
    assert len(keys) == 2
    assert min(map(len, keys)) >= 32
    for key in ("", "0", "x" * 4000, "%00"):
        assert client.get(f"/api/project/{key}?from=0").status_code in (400, 404)
    answer = client.get(f"/api/project/{next(iter(keys))}?from=-1")
    assert answer.status_code == 400
    for key in keys:
        assert act(client, key, "burn")["status"] == 404
        assert act(client, key, "pause", perplexity=3)["status"] == 400
        assert act(client, key, "keep", name="../../x")["status"] == 400
        act(client, key, "stop")
        assert act(client, key, "change", perplexity=3)["status"] == 409


def test_what_cannot_be_written_says_so(client: TestClient, record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    options = client.get("/api/project", params=ask(record)).json()
    assert options["unkept"] == ""
    assert {"pca", "tsne", "axes"} <= set(options["methods"])
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written" in client.get("/api/project", params=ask(record)).json()["unkept"]
    key = start(client, record, "pca")
    until_done(client, key)
    refused = act(client, key, "keep")
    assert (refused["status"], "cannot be written" in refused["error"]) == (422, True)
    act(client, key, "stop")


def test_the_server_stops_at_once_while_one_is_followed(logdir: Path, record: Any) -> None:
    import httpx2 as httpx

    with serve(logdir, port=0) as server:
        asked = ask(record, method="tsne", parameters={"iterations": 100_000, "perplexity": 5})
        key = httpx.post(f"{server.url}api/project", json=asked, headers=OURS, timeout=60).json()["key"]
        with httpx.stream("GET", f"{server.url}api/project/{key}?from=0", timeout=60) as stream:
            pieces = stream.iter_raw()
            assert next(pieces)
            begun = time.monotonic()
            server.stop()
            with suppress(httpx.HTTPError):
                list(pieces)
        assert time.monotonic() - begun < 30, "long before the projection ends"
    assert not server._thread.is_alive()


def test_neighbours_are_those_of_the_vectors(client: TestClient, record: Any) -> None:
    vectors = record.arrays(["vector"])["vector"]
    for metric in ("cosine", "euclidean"):
        index, distance = nearest(vectors, 7, metric=metric)
        answer = client.get("/api/neighbours", params=ask(record, point=5, k=7, metric=metric)).json()
        assert (answer["index"], answer["exact"]) == (index[5].tolist(), True)
        np.testing.assert_allclose(answer["distance"], distance[5], atol=1e-5)
    for wrong, status in (({"point": 90}, 404), ({"point": -1}, 400), ({"k": 0}, 400), ({"k": 1001}, 400)):
        assert client.get("/api/neighbours", params=ask(record, **{"point": 0, **wrong})).status_code == status
    assert client.get("/api/neighbours", params=ask(record, point=0, metric="l1")).status_code == 400
    assert client.get("/api/neighbours", params=ask(record)).status_code == 400


def test_a_selection_is_told_from_the_rest(client: TestClient, record: Any) -> None:
    points = np.arange(0, COUNT, 3)[:20]  # of the first class
    told = json.dumps(ask(record, k=4)).encode()
    body = struct.pack("<I", len(told)) + told + points.astype("<u4").tobytes()
    headers = {**OURS, "content-type": "application/octet-stream"}
    answer = client.post("/api/selection", content=body, headers=headers).json()
    assert (answer["count"], answer["labels"]) == (20, [[0, 20]])
    vectors = record.arrays(["vector"])["vector"].astype(np.float64)
    rest = np.delete(vectors, points, 0)
    effect = (vectors[points].mean(0) - rest.mean(0))[:11] / vectors.std(0)[:11]
    first = answer["channels"][0]
    assert first["channel"] == 0
    assert [one["channel"] for one in answer["channels"]] == np.argsort(-np.abs(effect), kind="stable").tolist()
    assert first["effect"] == pytest.approx(effect[0])
    assert (first["mean"], first["rest"]) == pytest.approx((vectors[points, 0].mean(), rest[:, 0].mean()))
    assert set(answer["neighbours"]["index"]) <= set(range(0, COUNT, 3)) - set(points.tolist())
    listed = client.post("/api/selection", json=ask(record, k=4, points=points.tolist()), headers=OURS).json()
    assert listed == answer
    for wrong in ([], [-1], [1.5], ["0"], [True]):
        assert client.post("/api/selection", json=ask(record, points=wrong), headers=OURS).status_code == 400
    assert client.post("/api/selection", json=ask(record, points=[COUNT]), headers=OURS).status_code == 404
    assert client.post("/api/selection", content=body[:-1], headers=headers).status_code == 400
    assert client.post("/api/selection", content=b"\xff\xff\xff\xff", headers=headers).status_code == 400


def test_effects_hold_where_numbers_are_hard() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(60, 5)) + 1e6
    vectors[:, 1] = 1e6 + 0.1  # constant, and no rounding makes it tell anything
    vectors[:, 2] = vectors[:, 0]  # a tie
    vectors[3, 3] = np.nan
    chosen = np.arange(10)
    found = channel_effects(vectors, chosen, moments(vectors))
    assert sorted(one.channel for one in found) == [0, 2, 3, 4]
    assert [one.channel for one in found if one.channel in (0, 2)] == [0, 2]
    hole = next(one for one in found if one.channel == 3)
    inside = vectors[chosen, 3][np.arange(10) != 3]
    assert hole.mean == pytest.approx(inside.mean(), rel=1e-12)
    assert channel_effects(vectors, np.arange(60), moments(vectors)) == []
    assert channel_effects(np.ones((1, 2)), np.array([0]), moments(np.ones((1, 2)))) == []


def test_a_flattened_map_counts_by_its_channels() -> None:
    maps = np.random.default_rng(2).normal(size=(30, 4, 3, 3))
    flat = maps.reshape(30, -1)
    chosen = np.arange(0, 30, 4)
    whole = channel_effects(maps.mean((2, 3)), chosen, moments(maps.mean((2, 3))))
    found = channel_effects(flat, chosen, moments(flat, (4, 3, 3)))
    assert [(one.channel, pytest.approx(one.effect)) for one in found] == [(one.channel, one.effect) for one in whole]
    assert checked_shape((4, 2, 3), 36) == (36,)


def test_nearest_outside_is_by_both_metrics_and_ties_by_number() -> None:
    vectors = np.array([[1, 0], [0, 1], [2, 0], [2, 0], [np.nan, 0], [0, 0]], np.float32)
    index, distance = nearest_outside(vectors, np.array([0]), 9, metric="cosine")
    assert index.tolist() == [2, 3, 1, 5]
    np.testing.assert_allclose(distance, [0, 0, 1, 1], atol=1e-6)
    index, distance = nearest_outside(vectors, np.array([0]), 3, metric="euclidean")
    assert (index.tolist(), distance[:2].tolist()) == ([2, 3, 5], [1, 1])
    assert label_counts(np.array([2, 1, 1, 2]), np.arange(4)) == [(1, 2), (2, 2)]


def test_frames_are_thinned_and_kept_small() -> None:
    thinned = Thinned(10)
    for n in range(1000):
        thinned.add(Frame(n, 0.0, np.full((3, 2), n, np.float32)))
    numbers = [frame.iteration for frame in thinned.all()]
    assert numbers[0] == 0
    assert numbers[-1] == 999
    assert 6 <= len(numbers) <= 11
    ((_, points),) = list(messages(packed({"dimensions": 2}, np.array([[1, 5], [1, 9]], np.float32))))
    assert points is not None
    assert points.tolist() == [[1, 5], [1, 9]]


def test_a_mapped_array_is_the_array(record: Any, tmp_path: Path) -> None:
    for name in record.array_info:
        np.testing.assert_array_equal(record.mapped(name), record.arrays([name])[name])
    with pytest.raises(NotFoundError, match="no array"):
        record.mapped("vectors")
    for content in (b"", b"\xff" * 40, struct.pack("<Q", 2) + b"{}"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(FormatError, match="cannot be read"):
            map_array(tmp_path / "x", "vector")


def test_the_shelf_keeps_a_few_and_takes_embeddings_only(logdir: Path, record: Any) -> None:
    shelf = Shelf(LogdirSource(logdir))
    first = shelf.take("run", record.id)
    assert shelf.take("run", record.id) is first
    for entry in Run(logdir / "run").entries("projection"):
        with pytest.raises(InputError, match="kind 'projection'"):
            shelf.take("run", entry.id)


def test_parameters_say_what_they_may_be() -> None:
    assert checked(PARAMETERS["tsne"], {"perplexity": 2.5, "seed": 0}) == {"perplexity": 2.5, "seed": 0}
    assert checked_name("  a b ") == "a b"
    for name in ("a/b", "x" * 61, "a\nb", 3):
        with pytest.raises(InputError):
            checked_name(name)
    assert read_json(b'{"a": 1}', {"a": int}, {}) == {"a": 1}
    for text in (b'{"a": true}', b'{"a": 1, "b": 2}', b"{}"):
        with pytest.raises(ConvscopeError):
            read_json(text, {"a": int}, {})
