"""What the server answers of a training run: every kind, increments of the index, and refusals in one sentence."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_safetensors
from starlette.testclient import TestClient

from convscope.errors import InputError, StorageError
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run
from convscope.summary import KINDS, Summary
from convscope.view import listing, moving, source, training
from convscope.view.html import export
from convscope.view.server import create_app
from convscope.view.source import LogdirSource

Ask = dict[str, Any]


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "POLL_SECONDS", 0.0)


def client_of(path: Path) -> TestClient:
    app = create_app(LogdirSource(path))
    return TestClient(app, base_url="http://127.0.0.1:6007", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training")
    ramp = np.linspace(0, 1, 50)
    video = (np.arange(2 * 3 * 8 * 8 * 3) % 255).astype(np.uint8).reshape(1, 2, 3, 8, 24)[..., :8]
    with SummaryWriter(path / "a") as writer:
        for step in (1, 5):
            writer.add_text("notes", "é" * step, step, walltime=10.0 + step)
            writer.add_audio("beep", np.sin(np.arange(800.0)), step, sample_rate=8000)
        writer.add_histogram("odd", np.array([0.0, 0.0, 1.0, np.nan, np.inf, -np.inf]), 1)
        writer.add_image("still", np.zeros((3, 4, 6)), 1)
        writer.add_video("clip", video, 1)
        writer.add_pr_curve("pr", ramp > 0.5, ramp, 1, num_thresholds=5)
        writer.add_pr_curve("pr", ramp > 0.5, ramp, 2, num_thresholds=9)
        corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32)
        writer.add_mesh("tri", corners, faces=np.array([[[0, 1, 2]]]), global_step=0)
        writer.add_mesh("tri", corners, colors=np.full((1, 3, 3), 7, np.uint8), global_step=4)
        writer.add_scalar("acc", 0.5, 1)
        writer.add_scalar("acc", 0.75, 2)
        layout = {"Losses": {"both": ["Multiline", ["acc", "loss.*"]], "band": ["Margin", ["m", "lo", "hi"]]}}
        writer.add_custom_scalars(layout)
    with SummaryWriter(path / "b") as writer:
        writer.add_hparams({"lr": 0.1, "clip": float("inf"), "net": "vgg", "bn": True}, {"acc": 0.9})
    return path


@pytest.fixture(scope="module")
def client(logdir: Path) -> TestClient:
    return client_of(logdir)


def series(client: TestClient, kind: str, tag: str, start: int = 0) -> dict[str, Any]:
    answer = client.get("/api/series", params={"run": "a", "kind": kind, "tag": tag, "start": start})
    assert answer.status_code == 200, answer.text
    return load_safetensors(answer.content)


def test_texts(client: TestClient) -> None:
    texts = series(client, "text", "notes")
    assert (texts["step"].tolist(), texts["wall_time"].tolist()) == ([1, 5], [11, 15])
    assert texts["bytes"].tolist() == [2, 10]
    answer = client.get("/api/text", params={"run": "a", "tag": "notes", "index": 1})
    assert (answer.text, answer.headers["x-bytes"]) == ("é" * 5, "10")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_of_a_gigantic_text_the_first_megabyte_travels(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_text("huge", "x" + "é" * 1_000_000, 1)
    answer = client_of(tmp_path).get("/api/text", params={"run": "a", "tag": "huge"})
    assert answer.headers["x-bytes"] == "2000001"
    assert len(answer.content) == training.MOST_TEXT - 1  # no character is cut in two
    assert answer.text == "x" + "é" * (training.MOST_TEXT // 2 - 1)


@pytest.mark.parametrize(
    ("wanted", "status", "part", "told"),
    [
        ("bytes=0-3", 206, slice(0, 4), "bytes 0-3/{n}"),
        ("bytes=40-", 206, slice(40, None), "bytes 40-{last}/{n}"),
        ("bytes=-6", 206, slice(-6, None), "bytes {sixth}-{last}/{n}"),
        ("bytes=10-999999", 206, slice(10, None), "bytes 10-{last}/{n}"),
        ("bytes=999999-", 416, slice(0, 0), "bytes */{n}"),
        ("bytes=5-2", 416, slice(0, 0), "bytes */{n}"),
        ("bytes=-", 200, slice(None), None),
        ("bytes=0-1,4-5", 200, slice(None), None),
        ("lines=1-2", 200, slice(None), None),
    ],
)
def test_sounds_are_answered_in_parts(client: TestClient, wanted: str, status: int, part: slice, told: str) -> None:
    sounds = series(client, "audio", "beep")
    assert (sounds["rate"].tolist(), sounds["channels"].tolist(), sounds["frames"].tolist()) == (
        [8000, 8000],
        [1, 1],
        [800, 800],
    )
    ask = {"run": "a", "tag": "beep", "index": 1}
    whole = client.get("/api/audio", params=ask).content
    assert whole.startswith(b"RIFF")
    answer = client.get("/api/audio", params=ask, headers={"range": wanted})
    assert (answer.status_code, answer.content) == (status, whole[part])
    n = len(whole)
    expected = told and told.format(n=n, last=n - 1, sixth=n - 6)
    assert answer.headers.get("content-range") == expected
    assert answer.headers["accept-ranges"] == "bytes"
    if status != 416:
        assert answer.headers["content-type"] == "audio/wav"


def test_histograms_tell_what_is_not_finite(client: TestClient) -> None:
    assert series(client, "histogram", "odd")["special"].tolist() == [[1, 2, 2]]


def test_pictures_tell_whether_they_move(client: TestClient) -> None:
    assert series(client, "image", "still")["animated"].tolist() == [0]
    assert series(client, "image", "clip")["animated"].tolist() == [1]


def test_which_bytes_move() -> None:
    png = b"\x89PNG\r\n\x1a\n"
    assert moving.is_moving(png + b"IHDR acTL IDAT")
    assert not moving.is_moving(png + b"IHDR IDAT acTL")  # as in the pixels of a still picture
    assert moving.is_moving(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02")
    assert not moving.is_moving(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10")
    assert moving.is_moving(b"\0\0\0\x18ftypmp42")
    assert not moving.is_moving(b"")


def test_curves_of_several_lengths_are_padded(client: TestClient) -> None:
    curves = series(client, "pr_curve", "pr")
    assert {curves[name].shape for name in training._CURVE} == {(2, 9)}
    assert np.isnan(curves["precision"][0, 5:]).all()
    assert not np.isnan(curves["recall"][1]).any()
    assert curves["threshold"][1].tolist() == np.linspace(0, 1, 9).tolist()
    assert curves["true_positives"][1, 0] == 25
    assert series(client, "pr_curve", "pr", 2)["precision"].shape[0] == 0


def test_meshes(client: TestClient) -> None:
    known = series(client, "mesh", "tri")
    names = ("step", "vertices", "faces", "coloured", "batch")
    assert [known[name].tolist() for name in names] == [[0, 4], [3, 3], [1, 0], [0, 1], [1, 1]]
    first, second = (
        load_safetensors(client.get("/api/mesh", params={"run": "a", "tag": "tri", "index": i}).content) for i in (0, 1)
    )
    assert first["vertices"].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert (first["faces"].tolist(), first["colours"].shape) == ([[0, 1, 2]], (0, 3))
    assert (second["faces"].shape, second["colours"].tolist()) == ((0, 3), [[7, 7, 7]] * 3)


def test_hyper_parameters(client: TestClient) -> None:
    (run,) = client.get("/api/hparams").json()["runs"]
    assert run["run"].startswith("b")
    assert run["values"] == {"lr": 0.1, "clip": "Infinity", "net": "vgg", "bn": True}
    assert run["metrics"] == {"acc": pytest.approx(0.9)}
    assert run["status"] == "success"
    assert abs(run["started"] - time.time()) < 600


def test_layouts(client: TestClient) -> None:
    (category,) = client.get("/api/layout", params={"run": "a"}).json()["categories"]
    lines, band = category["charts"]
    assert (category["title"], lines["title"], lines["kind"], lines["tags"]) == (
        "Losses",
        "both",
        "lines",
        ["acc", "loss.*"],
    )
    assert (band["kind"], band["margins"]) == ("margin", [{"value": "m", "lower": "lo", "upper": "hi"}])
    assert client.get("/api/layout", params={"run": client.get("/api/hparams").json()["runs"][0]["run"]}).json() == {
        "categories": []
    }


def test_the_index_counts_every_kind(client: TestClient) -> None:
    runs = {run["name"]: run for run in client.get("/api/index").json()["runs"]}
    counts = {(one["kind"], one["tag"]): one["count"] for one in runs["a"]["series"]}
    assert counts == {
        ("scalar", "acc"): 2,
        ("histogram", "odd"): 1,
        ("image", "still"): 1,
        ("image", "clip"): 1,
        ("audio", "beep"): 2,
        ("text", "notes"): 2,
        ("pr_curve", "pr"): 2,
        ("mesh", "tri"): 2,
        ("layout", "layout"): 1,
    }
    (with_hparams,) = [run for name, run in runs.items() if name.startswith("b")]
    assert [one["count"] for one in with_hparams["series"] if one["kind"] == "hparams"] == [1]


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/api/text?run=a&tag=notes&index=2", 404, "there are 2, counted from 0"),
        ("/api/text?run=a&tag=note", 404, "did you mean 'notes'"),
        ("/api/text?run=../../etc&tag=passwd", 404, "no run"),
        ("/api/audio?run=a&tag=../beep", 404, "no audio"),
        ("/api/audio?run=a&tag=beep&index=-1", 400, "whole number"),
        ("/api/mesh?run=a&tag=tri&index=99999999999999", 404, "there are 2"),
        ("/api/mesh?run=a", 400, "'tag' is missing"),
        ("/api/layout?run=%00", 404, "no run"),
        ("/api/layout", 400, "'run' is missing"),
        ("/api/graph?run=a&index=0", 404, "there are 0"),
        ("/api/series?run=a&kind=hparams&tag=hparams", 404, "no kind of series"),
        ("/api/series?run=a&kind=__class__&tag=acc", 404, "no kind of series"),
        ("/api/index?since=x", 400, "whole number"),
        ("/api/index?since=1e400", 400, "whole number"),
    ],
)
def test_refusals_are_one_sentence(client: TestClient, address: str, status: int, sentence: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.text


def test_what_is_unforeseen_is_one_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(LogdirSource, "layout", fail)
    answer = client_of(tmp_path).get("/api/layout?run=a")
    assert (answer.status_code, "ZeroDivisionError" in answer.json()["error"]) == (500, True)
    assert "secret" not in answer.text


def write(path: Path, tag: str = "loss", steps: range = range(3)) -> None:
    with SummaryWriter(path) as writer:
        for step in steps:
            writer.add_scalar(tag, step, step)


def since(client: TestClient, version: int) -> Ask:
    answer = client.get("/api/index", params={"since": version})
    assert answer.status_code == 200
    found: Ask = answer.json()
    return found


def test_increments_tell_only_of_runs_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / name)
    described: list[str] = []
    plain: Callable[[Run], Any] = listing.describe_run
    monkeypatch.setattr(listing, "describe_run", lambda run: described.append(run.name) or plain(run))
    client = client_of(tmp_path)
    first = since(client, 0)
    while any(run.get("loading") for run in first["runs"]):
        first = since(client, 0)
    assert (first["whole"], first["names"]) == (True, ["a", "b", "c"])
    assert [run["series"]["scalar"]["count"] for run in first["runs"]] == [3, 3, 3]
    assert first["runs"][0]["series"]["scalar"]["tag"] == ["loss"]
    described.clear()

    same = since(client, first["version"])
    assert (same["version"], same["runs"], "names" in same) == (first["version"], [], False)

    write(tmp_path / "b", steps=range(3, 5))
    grown = since(client, first["version"])
    assert ([run["name"] for run in grown["runs"]], described) == (["b"], ["b"])
    assert grown["runs"][0]["series"]["scalar"]["count"] == 5
    assert grown["version"] > first["version"]

    shutil.rmtree(tmp_path / "a")
    gone = since(client, grown["version"])
    assert (gone["names"], gone["runs"]) == (["b", "c"], [])
    assert {run["name"] for run in since(client, 0)["runs"]} == {"b", "c"}
    assert since(client, gone["version"] + 10**6)["whole"]  # a version of another server
    assert described == ["b"]


def test_a_directory_that_comes_later_goes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "later"
    client = client_of(path)
    told = since(client, 0)
    assert (told["runs"], "there is no directory" in told["waiting"]) == ([], True)
    assert "later" in client.get("/api/series?run=a&kind=scalar&tag=loss").json()["error"]
    path.mkdir()
    empty = since(client, told["version"])
    assert empty["version"] > told["version"]
    assert "waiting" not in empty
    write(path / "a")
    found = since(client, empty["version"])
    assert (found["names"], found["runs"][0]["series"]["scalar"]["count"]) == (["a"], 3)
    shutil.rmtree(path)
    gone = since(client, found["version"])
    assert (gone["names"], "waiting" in gone) == ([], True)
    write(path / "a", "other")
    back = since(client, gone["version"])
    assert back["runs"][0]["series"]["scalar"]["tag"] == ["other"]


def test_runs_are_listed_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / name)
    monkeypatch.setattr(source, "READ_SECONDS", 0.0)
    told = LogdirSource(tmp_path)
    rows = told.index()["runs"]
    assert [(row["name"], row.get("loading", False)) for row in rows][::2] == [("a", False), ("c", True)]
    assert load_safetensors(told.series("c", "scalar", "loss"))["value"].size == 3  # asked for: read
    told.read()
    assert not any(row.get("loading") for row in told.index()["runs"])


def test_a_broken_run_is_listed_with_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "good")
    write(tmp_path / "cut")
    (log,) = (tmp_path / "cut").glob("events*")
    log.write_bytes(log.read_bytes()[:60] + b"\xff" * 40 + log.read_bytes()[100:])
    (tmp_path / "zeros").mkdir()
    (tmp_path / "zeros" / "events.out.tfevents.1.x").write_bytes(bytes(1000))
    write(tmp_path / "strange")
    plain = Run.entries

    def entries(run: Run, *rest: Any) -> Any:
        if run.name == "strange":
            raise StorageError("the disk is gone")
        return plain(run, *rest)

    monkeypatch.setattr(Run, "entries", entries)
    rows = {run["name"]: run for run in client_of(tmp_path).get("/api/index").json()["runs"]}
    assert set(rows) == {"good", "cut", "zeros", "strange"}
    assert rows["good"]["problems"] == []
    assert "damaged" in rows["cut"]["problems"][0]
    assert rows["zeros"]["problems"]
    assert rows["strange"]["problems"] == ["the run cannot be described (the disk is gone)"]


def test_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff")
    try:
        write(tmp_path / name)
    except (OSError, InputError):
        pytest.skip("this file system has no such names")
    (run,) = client_of(tmp_path).get("/api/index").json()["runs"]
    assert run["problems"] == ["the name of its directory is not UTF-8; rename it to see what it holds"]
    assert run["series"] == [], "nobody could ask for them"


def test_a_run_has_another_edition_when_values_are_taken_back(tmp_path: Path) -> None:
    def log(writer: SummaryWriter, steps: range) -> None:
        for step in steps:
            writer.add_scalar("t", 1.0, step)
        writer.flush()

    with SummaryWriter(tmp_path / "a") as writer:
        log(writer, range(5))
        run = Run(tmp_path / "a")
        editions = [run.edition]
        log(writer, range(5, 9))
        assert run.refresh()
        assert run.edition == editions[0], "it only grew"
    with SummaryWriter(tmp_path / "a", purge_step=3) as writer:
        log(writer, range(3, 20))
    assert run.refresh()
    editions.append(run.edition)
    shutil.rmtree(tmp_path / "a")
    with SummaryWriter(tmp_path / "a") as writer:
        log(writer, range(50))
    assert run.refresh()
    editions += [run.edition, Run(tmp_path / "a").edition]
    assert len(set(editions)) == 4
    (row,) = client_of(tmp_path).get("/api/index").json()["runs"]
    assert row["edition"] == pytest.approx(editions[-1], abs=6e7)  # of this minute


def test_a_clock_that_goes_back_and_a_value_that_cannot_be_read(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("t", 1.0, 1, walltime=1e9)
        writer.add_scalar("t", 2.0, 2, walltime=5.0)
        writer.add_scalar("t", 3.0, 3, walltime=float("nan"))
    (row,) = client_of(tmp_path).get("/api/index").json()["runs"]
    (one,) = row["series"]
    assert (one["count"], one["last_step"], one["last_wall_time"]) == (3, 3, None)


def test_a_hundred_thousand_tags_are_listed_in_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {"length": 7, "first_step": 0, "last_step": 6, "last_wall_time": 5.0}
    tags = [f"layer{number}/x" for number in rng.permutation(100_000)]

    class Many:
        name, problems, last_wall_time, revision, edition = "many", (), 5.0, 1, 1

        def extents(self) -> list[Any]:
            return [("scalar", tag, listing.Extent(*rows.values())) for tag in tags]

        def entries(self) -> list[Any]:
            return []

        listed_embeddings = entries

    told = listing.Listing().changes(0, [Many()])  # type: ignore[list-item]
    assert len(told.to_json()) < 2_500_000  # little more than the tags themselves
    assert told.runs[0].count(b"layer") == 100_000


def test_kinds_that_have_a_method_of_their_own_are_not_added(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=r"SummaryWriter\.add_text"):
        writer.add(Summary("text", "a"))


def test_a_page_without_a_server_carries_every_kind(logdir: Path, tmp_path: Path) -> None:
    kinds = {kind for run in Logdir(logdir).runs() for kind in run.tags()} & set(KINDS)
    report = export(Logdir(logdir), tmp_path / "run.html")
    assert len(kinds) > 6
    assert set(report.pages) == {"index", *(KINDS[kind].view for kind in kinds)}
