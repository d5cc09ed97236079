"""What notebooks show: arrays and results without a run, questions by messages, still pictures, the three examples."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from PIL import Image
from safetensors.numpy import load as load_safetensors

import convscope as cs
from conftest import ROOT
from convscope.embed.projection import Projection
from convscope.errors import InputError, MissingExtraError, NotFoundError
from convscope.inspect.classification import count_confusions
from convscope.inspect.maps import FeatureMaps
from convscope.jobs.given import given_to_show
from convscope.notebook.html import as_summary, html_of
from convscope.notebook.still import MOST_BYTES, STILLS, data_uri, still_of
from convscope.notebook.where import notebook, proxied
from convscope.summary import KINDS, Summary
from convscope.view import widget as widget_module
from convscope.view.memory import MemorySource
from convscope.view.messages import QUESTIONS
from convscope.view.source import LogdirSource, Source
from convscope.view.widget import answer, make_widget

HOSTILE = "</script><img src=x onerror=alert(1)> 中文 \u202e"
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 9, 9)).astype(np.float32)


def volume() -> cs.Volume:
    return cs.Volume(MAPS, layer="conv1", picture=RNG.integers(0, 255, (20, 20, 3), np.uint8))


def embedding(count: int = 30) -> cs.Embedding:
    tiles = RNG.integers(0, 255, (count, 8, 8), np.uint8)
    return cs.Embedding(RNG.normal(size=(count, 5)), labels=np.arange(count) % 3, thumbnails=tiles, layer="fc")


def everything(source: Source) -> list[dict[str, Any]]:
    """Return all questions that a page could ask of a source's first run, as it would."""
    run = source.index()["runs"][0]
    asked: list[dict[str, Any]] = [{"ask": "changes", "since": 0}, {"ask": "hparams"}, {"ask": "version"}]
    asked.append({"ask": "layout", "run": run["name"]})
    for entry in run["records"]:
        about = source.record(run["name"], entry["id"])
        of = {"run": run["name"], "record": entry["id"]}
        asked.append({"ask": "record", **of})
        asked += [{"ask": "arrays", **of, "names": [name]} for name in about["arrays"]]
        asked += [{"ask": "arrays", **of, "names": [name], "rows": [0, 1]} for name in about["arrays"]]
        asked += [
            {"ask": "picture", **of, "file": file} for plan in about["pictures"].values() for file in plan["files"]
        ]
    for series in run["series"]:
        if series["kind"] in ("scalar", "histogram", "image", "text", "audio"):
            asked.append({"ask": "series", "run": run["name"], "kind": series["kind"], "tag": series["tag"]})
        if series["kind"] in ("image", "text", "audio"):
            asked.append({"ask": series["kind"], "run": run["name"], "tag": series["tag"], "index": 0})
    return asked


def said(source: Source, **question: Any) -> tuple[Any, bytes | None]:
    """Return the answer to a question, which must be one."""
    reply, data = answer(source, {"id": "7", **question})
    assert reply["id"] == "7"
    assert "error" not in reply, reply["error"]
    json.dumps(reply, allow_nan=False)
    return reply["value"], data[0] if data else None


def test_results_in_memory_answer_as_those_of_a_run_do(tmp_path: Path) -> None:
    results = [volume().to_summary(), embedding().to_summary("fc"), FeatureMaps(MAPS).to_summary("maps")]
    with cs.SummaryWriter(tmp_path / "results") as writer:
        for result in results:
            writer.add(result)
    stored, held = LogdirSource(tmp_path), MemorySource("results", results)
    ours, theirs = (source.index()["runs"][0]["records"] for source in (held, stored))
    assert [(one["kind"], one["tag"], one["step"]) for one in ours] == [
        (one["kind"], one["tag"], one["step"]) for one in theirs
    ]
    for mine, other in zip(ours, theirs, strict=True):
        here, there = held.record("results", mine["id"]), stored.record("results", other["id"])
        assert [here[key] for key in ("meta", "arrays", "pictures")] == [
            there[key] for key in ("meta", "arrays", "pictures")
        ]
        for name in here["arrays"]:
            rows = slice(1, 1 + here["arrays"][name]["shape"][0] // 2)
            left = held.arrays("results", mine["id"], [name], rows)
            assert left == stored.arrays("results", other["id"], [name], rows)
        for plan in here["pictures"].values():
            for file in plan["files"]:
                left = held.picture("results", mine["id"], file)
                assert left == stored.picture("results", other["id"], file)


@pytest.mark.parametrize("kind", ["memory", "run"])
def test_every_question_of_a_page_is_answered_by_message(kind: str, tmp_path: Path) -> None:
    source: Source = MemorySource("r", [volume().to_summary(), embedding().to_summary()])
    if kind == "run":
        with cs.SummaryWriter(tmp_path / "r") as writer:
            for step in range(3):
                writer.add_scalar("loss", float("nan") if step else 1.0, step)
            writer.add_histogram("weights", MAPS, 0)
            writer.add_image("seen", np.zeros((3, 4, 4), np.uint8), 0)
            writer.add_text(HOSTILE, HOSTILE, 0)
            writer.add(volume(), "conv1")
        source = LogdirSource(tmp_path)
    asked = everything(source)
    assert len(asked) > 10
    for question in asked:
        value, data = said(source, **question)
        assert data if question["ask"] in ("series", "arrays", "picture", "image", "text") else value is not None
    if kind == "run":
        value, data = said(source, ask="text", run="r", tag=HOSTILE, index=0)
        assert data is not None
        assert data.decode() == HOSTILE
        assert value["bytes"] == len(HOSTILE.encode())


def test_numbers_come_as_bytes_and_only_the_rows_that_are_asked_for() -> None:
    source = MemorySource("r", [volume().to_summary()])
    record = source.index()["runs"][0]["records"][0]["id"]
    value, data = said(source, ask="arrays", run="r", record=record, names=["volume"], rows=[2, 4])
    assert value is None
    assert data is not None
    assert (load_safetensors(data)["volume"] == MAPS[2:4]).all()
    assert len(data) < MAPS.nbytes


ODD = [
    ({"ask": HOSTILE}, "no question"),
    ({}, "no question 'None'"),
    ({"ask": "series", "run": 3}, "'run' is a text"),
    ({"ask": "series", "run": "r"}, "'kind' is a text"),
    ({"ask": "image", "run": "r", "tag": "t", "index": True}, "'index' is a whole number"),
    ({"ask": "image", "run": "r", "tag": "t", "index": 0}, "no image 't' in 'r', which holds results in memory"),
    ({"ask": "record", "run": "other", "record": "x"}, "no run 'other'; there are: r"),
    ({"ask": "record", "run": "r", "record": "../../etc"}, "no record '../../etc'"),
    ({"ask": "arrays", "run": "r", "record": "00000000-volume-000000", "names": "volume"}, "'names' is a list"),
    ({"ask": "arrays", "run": "r", "record": "00000000-volume-000000", "names": [1]}, "list of at most 1000 names"),
    ({"ask": "arrays", "run": "r", "record": "00000000-volume-000000", "names": []}, "no array was asked for"),
    (
        {"ask": "arrays", "run": "r", "record": "00000000-volume-000000", "names": ["volume"], "rows": [-1, 2]},
        "rows are two whole numbers",
    ),
    ({"ask": "picture", "run": "r", "record": "00000000-volume-000000", "file": "../x.webp"}, "no picture"),
    ({"ask": "chunk", "name": "../../../pyproject.toml"}, "a part of the program is called NAME.js"),
    ({"ask": "chunk", "name": "..%2f.js"}, "a part of the program is called NAME.js"),
    ({"ask": "graph", "run": "r", "index": 0}, "no graph"),
]


@pytest.mark.parametrize(("question", "sentence"), ODD)
def test_what_cannot_be_answered_becomes_a_sentence(question: dict[str, Any], sentence: str) -> None:
    reply, data = answer(MemorySource("r", [volume().to_summary()]), {"id": 1, **question})
    assert sentence in reply["error"]
    assert data == []


def test_a_failure_of_ours_is_told_and_not_raised() -> None:
    class Broken(MemorySource):
        def hparams(self) -> Any:
            raise ZeroDivisionError("so it is")

    reply, _ = answer(Broken("r", [volume().to_summary()]), {"id": "x", "ask": "hparams"})
    assert reply == {"id": "x", "error": "ZeroDivisionError: so it is"}


def test_the_program_comes_by_message_in_parts_and_the_widget_itself_is_small() -> None:
    source = MemorySource("r", [volume().to_summary()])
    begin, _ = said(source, ask="program")
    assert begin["start"].startswith("frame-")
    text, _ = said(source, ask="chunk", name=begin["start"])
    assert text.startswith("System.register(")
    made = make_widget(source, start="#/volume", compact=True, height=300)
    state = made.get_state()
    assert len(state["_esm"]) <= 10_000
    assert sum(len(str(value)) for value in state.values()) < 12_000, "arrays are not part of a widget's state"
    assert (state["height"], state["start"], state["compact"]) == (300, "#/volume", True)


ARRAYS = [
    (np.zeros((4, 3, 5, 5)), {}, [("filters", "filters")], "filters"),
    (np.zeros((4, 10_000, 1, 1)), {}, [("filters", "filters")], "filters"),
    (np.zeros((10_000, 1, 1)), {}, [("maps", "maps")], "maps"),
    (torch.ones(6, 7, 7, requires_grad=True), {"tag": HOSTILE}, [("maps", HOSTILE)], "maps"),
    (MAPS, {"as_": "volume"}, [("volume", "volume")], "volume"),
    (np.zeros((2, 3, 40, 40)), {}, [("maps", "maps 0"), ("maps", "maps 1")], "maps"),
    (RNG.normal(size=(9, 4)), {"tag": "fc"}, [("embedding", "fc"), ("projection", "fc/pca")], "embedding"),
    (RNG.normal(size=(9, 4)), {"as_": "filters"}, [("filters", "filters")], "filters"),
    ([[1, 2], [3, 4], [5, 7]], {}, [("embedding", "embedding"), ("projection", "embedding/pca")], "embedding"),
    ([[1.0, np.nan]], {"as_": "filters"}, [("filters", "filters")], "filters"),
    (np.ones((1, 3)), {}, [("embedding", "embedding")], "embedding"),
]


@pytest.mark.parametrize(("array", "options", "kinds", "view"), ARRAYS)
def test_an_array_is_shown_as_what_its_shape_or_the_caller_says(
    array: Any, options: dict[str, Any], kinds: list[tuple[str, str]], view: str
) -> None:
    given = given_to_show([array], **options)
    assert [(summary.kind, summary.tag) for summary in given.summaries] == kinds
    assert given.compact
    assert given.start.startswith(f"#/{view}?run=results&tag=")
    assert not set("<> \u202e") & set(given.start)


WRONG = [
    ([], {}, "nothing to show"),
    ([{}], {}, "nothing to show"),
    ([np.zeros(3)], {}, "is not filters (O, I, h, w), maps (C, H, W) or vectors (N, D)"),
    ([np.zeros((0, 3))], {}, "got float64 of shape (0, 3)"),
    ([np.zeros((2, 2), complex)], {}, "real numbers"),
    ([np.zeros((17, 3, 64, 64))], {}, "17 pictures are too many"),
    ([np.full((2, 3), np.nan)], {}, "NaN"),
    ([MAPS], {"as_": "volumes"}, "did you mean 'volume'?"),
    ([object()], {}, "cannot show object"),
    ([np.ma.masked_less(np.eye(3), 1)], {}, "say what stands where it is masked"),
    ([Projection(np.zeros((3, 2), np.float32), "pca")], {}, "show(embedding, projection)"),
    ([embedding(), Projection(np.zeros((3, 2), np.float32), "pca")], {}, "3 points and the embedding before it 30"),
    (["runs", MAPS], {}, "one at a time"),
    ([Summary("scalar", "loss")], {}, "a scalar is not shown by itself"),
]


@pytest.mark.parametrize(("given", "options", "sentence"), WRONG)
def test_what_cannot_be_shown_is_said_with_the_way_out(given: Any, options: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        given_to_show(given, **options)


def test_several_results_stand_in_one_page_under_different_names() -> None:
    mine = embedding()
    given = given_to_show([{"a": MAPS, "b": [MAPS, volume()]}, mine, mine.project("pca", dimensions=3)])
    tags = [(summary.kind, summary.tag) for summary in given.summaries]
    assert tags == [
        ("maps", "maps"),
        ("maps", "maps (2)"),
        ("volume", "conv1"),
        ("embedding", "fc"),
        ("projection", "fc/pca"),
        ("projection", "fc/pca (2)"),
    ]
    assert not given.compact


def test_a_directory_a_run_and_a_logdir_are_followed(tmp_path: Path) -> None:
    with cs.SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 1, 0)
    for place, names in (
        (tmp_path, ["a"]),
        (str(tmp_path), ["a"]),
        (cs.Logdir(tmp_path), ["a"]),
        (cs.Run(tmp_path / "a"), ["."]),
    ):
        given = given_to_show([place])
        given.source.version()
        assert [run["name"] for run in given.source.index()["runs"]] == names
        assert not given.compact
    with pytest.raises(NotFoundError):
        cs.Logdir(tmp_path / "b")


def test_an_open_page_is_told_of_what_is_new_and_a_closed_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget_module, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr("convscope.view.source.POLL_SECONDS", 0.0)
    before = set(threading.enumerate())  # widgets of other tests, whose pages were closed
    made = make_widget(LogdirSource(tmp_path))
    told: list[int] = []
    news = threading.Semaphore(0)

    def send(content: Any, buffers: Any = None) -> None:
        told.append(content["version"])
        news.release()

    monkeypatch.setattr(made, "send", send)
    made.hear({"watch": True, "view": "one"})
    made.hear({"watch": True, "view": "two"})
    assert news.acquire(timeout=30)
    with cs.SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 1, 0)
    assert news.acquire(timeout=30)
    seen = list(told)
    assert sorted(set(seen)) == seen
    (watcher,) = [thread for thread in {*threading.enumerate()} - before if thread.name == "convscope-notebook"]
    made.hear({"watch": False, "view": "one"})
    assert watcher.is_alive()
    made.hear({"watch": False, "view": "two"})
    watcher.join(timeout=30)
    assert not watcher.is_alive()


def test_a_page_that_is_not_heard_of_any_more_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget_module, "WATCH_SECONDS", 0.01)
    before = set(threading.enumerate())
    made = make_widget(LogdirSource(tmp_path))
    for view in ("gone", "here"):
        made.hear({"watch": True, "view": view})
    (watcher,) = [thread for thread in {*threading.enumerate()} - before if thread.name == "convscope-notebook"]
    made._watch._views["gone"] -= widget_module.GONE_SECONDS
    assert made._watch._is_watched()
    assert set(made._watch._views) == {"here"}
    made.hear({"watch": True, "view": "here"})
    assert watcher.is_alive()
    made._watch._views["here"] -= widget_module.GONE_SECONDS
    watcher.join(timeout=30)
    assert not watcher.is_alive()
    made.hear({"watch": True, "view": "here"})  # it was only asleep
    assert set(made._watch._views) == {"here"}
    made.close()


def test_a_widget_asks_for_a_possible_height_and_for_anywidget(monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource("r", [volume().to_summary()])
    for height in (10, 100_000, True, 2.5):
        with pytest.raises(InputError, match="the height is a number of pixels from 160 to 10,000"):
            make_widget(source, height=height)  # type: ignore[arg-type]
    widget_module._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'convscope[notebook]'")):
        make_widget(source)
    widget_module._widget_class.cache_clear()


def results() -> list[Any]:
    """One result of every kind that draws a still picture, and some that draw none."""
    embedded = embedding()
    return [
        volume(),
        cs.Volume(MAPS, wire="float16"),
        embedded,
        embedded.project("pca"),
        FeatureMaps(MAPS[:1], layer=HOSTILE),
        given_to_show([np.full((3, 1, 1, 1), np.nan)]).summaries[0],
        given_to_show([RNG.normal(size=(100, 3, 11, 11))]).summaries[0],
        given_to_show([RNG.normal(size=(40, 30, 3, 3))]).summaries[0],
        count_confusions(np.array([0, 1, 1]), np.array([0, 1, 0]), [HOSTILE, "b"]),
        Summary("importance", HOSTILE, arrays={"importance": np.zeros((1, 1, 2), np.float32)}),
    ]


@pytest.mark.parametrize("result", results(), ids=lambda result: type(result).__name__)
def test_a_result_has_a_small_still_picture_and_its_facts_and_runs_nothing(result: Any) -> None:
    html = result._repr_html_()
    assert html is not None
    assert len(html) < 66_000
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html == result._repr_html_(), "the same bytes every time"
    found = re.findall(r'src="data:image/webp;base64,([^"]*)"', html)
    assert len(found) == (as_summary(result).kind in STILLS)
    for data in found:
        assert len(data) <= 60_000
        from io import BytesIO

        with Image.open(BytesIO(base64.b64decode(data))) as picture:
            assert min(picture.size) >= 1


def test_a_still_picture_of_noise_is_shrunk_until_it_is_small() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2000, 3000, 3), np.uint8)
    assert len(base64.b64decode(data_uri(noise).partition(",")[2])) <= MOST_BYTES


def test_the_still_pictures_draw_what_is_there() -> None:
    """The volume's slices stand in their order; a filter of weight 0 is mid-grey."""
    maps = np.zeros((4, 28, 28), np.float32)
    maps[:, 0] = 1
    maps[2] = 1
    shown = still_of(cs.Volume(maps, order=[2, 0, 1, 3]).to_summary())
    assert shown is not None
    assert (shown[:28, :28] == 255).all()
    filters = still_of(given_to_show([np.zeros((1, 3, 4, 4))]).summaries[0])
    assert filters is not None
    assert (filters == 128).all()
    two = still_of(cs.Embedding([[0.0, 0.0], [10.0, 0.0], [0.0, 1.0]]).to_summary())
    assert two is not None
    dark = np.argwhere((two < 255).any(2))
    assert np.ptp(dark[:, 1]) > 250, "the first component lies along the width"


def test_runs_and_directories_tell_what_is_in_them(tmp_path: Path) -> None:
    with cs.SummaryWriter(tmp_path / "<b>a") as writer:
        writer.add_scalar(HOSTILE, 1, 0)
    for place in (cs.Run(tmp_path / "<b>a"), cs.Logdir(tmp_path)):
        html = place._repr_html_()
        assert html == html_of(place)
        assert "&lt;b&gt;a" in html
        assert "<b>a" not in html
        assert "<img" not in html


def test_a_look_that_fails_leaves_the_result_as_text() -> None:
    broken = Summary("volume", "v", arrays=dict.fromkeys(KINDS["volume"].arrays, np.zeros(0)))
    assert broken._repr_html_() is None


def test_the_notebook_is_recognised_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "marimo", raising=False)
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert notebook() == ""
    for shell, where in ((None, ""), (SimpleNamespace(), ""), (SimpleNamespace(kernel=object()), "jupyter")):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert notebook() == where
    monkeypatch.setitem(sys.modules, "marimo", SimpleNamespace(running_in_notebook=lambda: True))
    assert notebook() == "marimo"
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    assert proxied(6007) == ""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    assert proxied(6007) == "/user/ada/proxy/6007/"


def test_a_script_opens_the_browser_on_an_array_or_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.7 50022 203.0.113.5 22")
    with cs.show(MAPS, port=0, open_browser=True) as server:
        assert opened == [f"{server.url}#/maps?run=results&tag=maps"]
    assert capsys.readouterr().out == ""
    with cs.show(MAPS, port=0) as server:
        said = capsys.readouterr().out.splitlines()
        assert said[0] == f"the viewer is at {server.url}#/maps?run=results&tag=maps"
        assert said[1].startswith(f"from your own machine: ssh -N -L {server.port}:127.0.0.1:{server.port} ")
    assert len(opened) == 1
    with pytest.raises(InputError, match="nothing to show"):
        cs.show(None)


def test_the_viewer_stands_in_a_frame_where_widgets_are_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = cs.notebook.serve(tmp_path, height=222)
    try:
        assert frame.url == frame.server.url
        assert f'<iframe src="{frame.url}"' in frame._repr_html_()
        assert "height:222px" in frame._repr_html_()
    finally:
        frame.stop()
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    frame = cs.notebook.serve(tmp_path)
    try:
        path, _, token = frame.url.partition("?token=")
        assert path == f"/user/ada/proxy/{frame.server.port}/"
        for known, status in ((token, 200), ("guessed", 401)):
            headers = {"host": "hub.example.org", "authorization": f"Bearer {known}"}  # as the proxy passes it on
            told = httpx.get(f"http://127.0.0.1:{frame.server.port}/api/index", headers=headers, timeout=60)
            assert told.status_code == status
    finally:
        frame.stop()
    with pytest.raises(InputError, match="a number of pixels"):
        cs.notebook.serve(tmp_path, height=0)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the notebooks from clean, all at once: most of their time is the start of a kernel and what it imports."""

    async def run(path: Path) -> Any:
        book = nbformat.read(path, as_version=4)
        place = {"metadata": {"path": str(tmp_path_factory.mktemp(path.stem))}}
        client = NotebookClient(book, timeout=300, startup_timeout=300, kernel_name="python3", resources=place)
        client.create_kernel_manager()
        client.km.transport = "ipc"  # a port that is chosen now may be another's before the kernel listens
        client.km.ip = str(tmp_path_factory.mktemp("socket") / "at")
        await client.async_execute()
        return book

    async def run_all() -> list[Any]:
        return await asyncio.gather(*map(run, NOTEBOOKS))

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")  # three of them share the cores
        return dict(zip([path.stem for path in NOTEBOOKS], asyncio.run(run_all()), strict=True))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_example_notebooks_run_from_clean(path: Path, executed: dict[str, Any]) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs, f"{path.name} is kept without its outputs"
            assert cell.execution_count is None
    shown = [out.get("data", {}) for cell in executed[path.stem].cells for out in cell.get("outputs", ())]
    widgets = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert widgets
    stills = [data for data in shown if "data:image/webp" in data.get("text/html", "")]
    assert stills or path.stem == "training"
    assert all("text/plain" in data for data in shown if data)


def test_there_are_three_notebooks_and_all_questions_have_names() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["arrays", "embedding", "training"]
    asked = (ROOT / "web" / "src" / "source" / "messages.ts").read_text()
    assert {*re.findall(r'ask: "(\w+)"', asked)} <= {*QUESTIONS}
