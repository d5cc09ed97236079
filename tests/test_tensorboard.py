"""One log of every kind, asked back from real TensorBoard servers over HTTP, with both loaders, and held to ``Run``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convscope.embed import Embedding
from convscope.recording import SummaryWriter
from convscope.store import Run
from convscope.summary import Summary
from tensorboard_oracle import accumulate, event_class
from tensorboard_server import Server, serving

NAMES = ("plain", "run one/α β & #1 %41+")
LAST = "zz/last"
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 60)
SCORES = RNG.random(60).astype(np.float32)
HPARAMS = {"lr": 0.1, "layers": 3, "augment": True, "optimizer": "sgd"}
SESSIONS = {
    "experimentName": "",
    "allowedStatuses": ["STATUS_SUCCESS", "STATUS_RUNNING", "STATUS_UNKNOWN", "STATUS_FAILURE"],
    "colParams": [],
    "startIndex": 0,
    "sliceSize": 100,
}


def an_embedding() -> Embedding:
    """Return one with labels that are hard on tables, and pictures that are not square or not there."""
    pictures: list[Any] = [np.full((5, 9, 3), row, np.uint8) for row in range(20)]
    pictures[3], pictures[4] = np.full((5, 2, 3), 200, np.uint8), None
    return Embedding(
        np.random.default_rng(3).normal(size=(20, 5)).astype(np.float32),
        ["<b>dog</b>", "tab\tand\nline", "כלב", "nul\0 and a very long name" * 40] * 5,
        columns={"split": ["train", None] * 10, "loss": np.arange(20)},
        thumbnails=pictures,
        layer="fc",
    )


def log_everything(path: Path) -> None:
    """Log each kind that there is, at two steps where it has steps."""
    import torch

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    sound = np.sin(np.arange(800) / 10).astype(np.float32)
    with SummaryWriter(path) as writer:
        for step in (1, 7):
            values = np.random.default_rng(step).normal(size=(20, 5)).astype(np.float32)
            pictures = np.random.default_rng(step).random((4, 3, 6, 8)).astype(np.float32)
            writer.add_scalar("train/loss", 1 / step, step)
            writer.add_scalar("new style", step / 3, step, new_style=True)
            writer.add_scalar("double", step / 3, step, new_style=True, double_precision=True)
            writer.add_scalars("accuracy", {"train": step / 10, "test": step / 20}, step)
            writer.log({"many/a": step, "many/b": 2 * step}, step)
            writer.add_histogram("weights", values, step)
            writer.add_histogram("twenty bins", values, step, bins=20)
            writer.add_histogram_raw("raw", -1, 2, 3, 1, 5, [0, 1, 2], [1, 0, 2], step)
            writer.add_image("picture", pictures[0], step)
            writer.add_images("grid", pictures, step)
            writer.add_image_with_boxes("boxes", pictures[0], [[1, 1, 5, 4]], step, labels=["cat"])
            writer.add_video("film", pictures[None], step)
            writer.add_audio("sound", sound / step, step, 8000)
            writer.add_audio("stereo", np.stack([sound, -sound]), step, 8000)
            writer.add_text("words", f"# step {step}\n\na **bold** word, <b>, ü", step)
            writer.add_pr_curve("pr", LABELS, SCORES, step, num_thresholds=200)
            writer.add_tensor("array", values, step)
            writer.add_mesh("mesh", values[None, :12, :3], RNG.integers(0, 256, (1, 12, 3)), [[[0, 1, 2]]], None, step)
            writer.add_embedding(values, [f"row {row}\t!" for row in range(20)], RNG.random((20, 3, 5, 7)), step, "ü/e")
            filters = Summary("filters", "conv1", step, arrays={"weight": np.ones((4, 3, 3, 3), np.float32)})
            writer.add(filters)
        writer.add_scalar("odd", float("nan"), 1)
        writer.add_scalar("odd", float("-inf"), 2)
        writer.add_embedding(np.zeros((20, 5)), {"name": list("abcdefghijklmnopqrst"), "n": range(20)}, tag="zero")
        writer.add_embedding(an_embedding(), global_step=3)
        with pytest.warns(UserWarning, match="shrunk from 4 × 1700"):
            writer.add_embedding(values, None, np.full((20, 1700, 4), 9, np.uint8), tag="tall")
        writer.add_pr_curves("classes", LABELS, np.stack([1 - SCORES, SCORES], 1), ["no", "yes"], 1)
        writer.add_roc_curves("roc", LABELS, np.stack([1 - SCORES, SCORES], 1), ["no", "yes"], 1)
        writer.add_confusion_matrix("confusion", LABELS, SCORES > 0.5, ["no", "yes"], 1)
        writer.add_custom_scalars({"mine": {"both": ["Multiline", ["train/loss", "odd"]]}})
        writer.add_hparams(HPARAMS, {"hparam/accuracy": 0.75}, {"optimizer": ["sgd", "adam"]})
        writer.add_graph(network, torch.zeros(1, 3, 8, 8))
        writer.add_scalar(LAST, 0, 0)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorboard") / "log dir"
    for name in NAMES:
        log_everything(folder / name)
    return folder


@pytest.fixture(scope="module")
def servers(logdir: Path) -> Iterator[dict[str, Server]]:
    """Both loaders, started side by side, as soon as they have read everything."""
    with serving(logdir, fast=True) as fast, serving(logdir, fast=False) as slow:
        found = {"fast": fast, "slow": slow}
        for server in found.values():
            server.wait(_has_read_everything)
        yield found
    assert not fast.pids
    assert not slow.pids


def _has_read_everything(server: Server) -> bool:
    tags = server.ask("plugin/scalars/tags")
    return all(LAST in tags.get(name, ()) for name in NAMES)


@pytest.fixture(params=["fast", "slow"])
def loader(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(loader: str, servers: dict[str, Server]) -> Server:
    return servers[loader]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(logdir: Path, name: str) -> Run:
    return Run(logdir / name)


def number(value: Any) -> float:
    """Return a number as TensorBoard writes it into JSON."""
    return float({"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(value, value))


def test_the_servers_read_with_different_loaders(servers: dict[str, Server]) -> None:
    assert len(servers["fast"].pids) == 2  # itself and the data server
    assert len(servers["slow"].pids) == 1
    for server in servers.values():
        assert "Traceback" not in server.said()
        assert "WARNING" not in server.said().upper()


def test_runs_and_plugins(server: Server) -> None:
    assert sorted(server.ask("runs")) == sorted(NAMES)
    plugins = server.ask("plugins_listing")
    kinds = [
        "scalars",
        "custom_scalars",
        "images",
        "audio",
        "graphs",
        "histograms",
        "text",
        "pr_curves",
        "hparams",
        "mesh",
    ]
    assert [kind for kind in kinds if not plugins[kind]["enabled"]] == []


@pytest.mark.parametrize(
    ("plugin", "kind"), [("scalars", "scalar"), ("histograms", "histogram"), ("images", "image"), ("audio", "audio"),
                         ("text", "text"), ("pr_curves", "pr_curve"), ("mesh", "mesh")]
)  # fmt: skip
def test_the_tags_of_each_kind_are_the_same(server: Server, name: str, run: Run, plugin: str, kind: str) -> None:
    assert set(server.ask(f"plugin/{plugin}/tags")[name]) == set(run.tags(kind)[kind]) - not_shown(server)


def not_shown(server: Server) -> set[str]:
    """Return the tags TensorBoard passes over: its fast loader all scalars in double precision, torch's own too."""
    return {"double"} if server.fast else set()


def test_scalars(server: Server, name: str, run: Run) -> None:
    tags = run.tags("scalar")["scalar"]
    assert {"train/loss", "new style", "double", "accuracy/train", "many/a", "odd", "hparam/accuracy"} < set(tags)
    for tag in set(tags) - not_shown(server):
        answer = server.ask("plugin/scalars/scalars", run=name, tag=tag)
        curve = run.scalars(tag)
        np.testing.assert_array_equal([number(row[2]) for row in answer], curve.value)
        np.testing.assert_array_equal([row[1] for row in answer], curve.step)
        np.testing.assert_array_equal([row[0] for row in answer], curve.wall_time)


def test_histograms(server: Server, name: str, run: Run) -> None:
    for tag in run.tags("histogram")["histogram"]:
        answer = server.ask("plugin/histograms/histograms", run=name, tag=tag)
        ours = run.histograms(tag)
        assert [(row[0], row[1]) for row in answer] == [(item.wall_time, item.step) for item in ours]
        for (_, _, rows), item in zip(answer, ours, strict=True):
            # the fast loader leaves in the empty bucket whose limit is the left edge of all, as it does for torch
            buckets = np.array([row for row in rows if row[2]])
            filled = np.flatnonzero(item.counts)
            np.testing.assert_array_equal(buckets[:, 2], item.counts[filled])
            np.testing.assert_allclose(buckets[1:, 0], item.limits[filled - 1][1:], rtol=1e-6)
            np.testing.assert_allclose(buckets[:-1, 1], item.limits[filled][:-1], rtol=1e-6)
            assert buckets[0, 0] <= buckets[0, 1]  # TensorBoard cuts the outermost ones at minimum and maximum
            assert buckets[-1, 1] <= item.limits[filled[-1]]


def test_images_are_served_byte_for_byte(server: Server, name: str, run: Run) -> None:
    tags = run.tags("image")["image"]
    assert {"picture", "grid", "boxes", "film"} <= set(tags)
    for tag in tags:
        answer = server.ask("plugin/images/images", run=name, tag=tag, sample=0)
        ours = run.images(tag)
        assert [(row["wall_time"], row["step"]) for row in answer] == [(item.wall_time, item.step) for item in ours]
        for row, item in zip(answer, ours, strict=True):
            data = server.raw(f"plugin/images/individualImage?{row['query']}")
            assert data == item.png
            with Image.open(io.BytesIO(data)) as picture:
                assert picture.size == (item.width, item.height)


def test_audio_is_served_byte_for_byte(server: Server, name: str, run: Run) -> None:
    for tag in ("sound", "stereo"):
        answer = server.ask("plugin/audio/audio", run=name, tag=tag, sample=0)
        ours = run.audio(tag)
        assert [(row["wall_time"], row["step"]) for row in answer] == [(item.wall_time, item.step) for item in ours]
        for row, item in zip(answer, ours, strict=True):
            data = server.raw(f"plugin/audio/individualAudio?{row['query']}")
            assert data == item.wav
            assert data.startswith(b"RIFF")


def test_texts(server: Server, name: str, run: Run) -> None:
    answer = server.ask("plugin/text/text", run=name, tag="words")
    assert [(row["wall_time"], row["step"]) for row in answer] == [
        (item.wall_time, item.step) for item in run.texts("words")
    ]
    assert [item.text for item in run.texts("words")] == [
        f"# step {step}\n\na **bold** word, <b>, ü" for step in (1, 7)
    ]
    for row in answer:
        assert f"<h1>step {row['step']}</h1>" in row["text"]
        assert "<strong>bold</strong> word" in row["text"]
        assert "ü" in row["text"]


def test_pr_curves(server: Server, name: str, run: Run) -> None:
    tags = run.tags("pr_curve")["pr_curve"]
    assert len(tags) == 3
    for tag in tags:
        answer = server.ask("plugin/pr_curves/pr_curves", run=name, tag=tag)[name]
        ours = run.pr_curves(tag)
        assert [(row["wall_time"], row["step"]) for row in answer] == [(item.wall_time, item.step) for item in ours]
        for row, item in zip(answer, ours, strict=True):
            for column in ("true_positives", "false_positives", "true_negatives", "false_negatives"):
                np.testing.assert_array_equal(row[column], getattr(item, column)[: len(row[column])])
            shown = len(row["thresholds"])  # TensorBoard leaves out the end, where nothing is predicted
            assert not (item.true_positives + item.false_positives)[shown:].any()
            np.testing.assert_allclose(row["thresholds"], item.threshold[:shown], atol=1e-6)
            for column in ("precision", "recall"):
                np.testing.assert_array_equal(np.float32(row[column]), getattr(item, column)[:shown])
    assert len(run.pr_curves("pr")[0].threshold) == 200


def test_custom_scalars(server: Server, name: str, run: Run) -> None:
    layout = server.ask("plugin/custom_scalars/layout")
    shown = {
        group["title"]: {chart["title"]: tuple(chart["multiline"]["tag"]) for chart in group["chart"]}
        for group in layout["category"]
    }
    ours = run.layout()
    assert shown == {title: {chart.title: chart.tags for chart in charts} for title, charts in ours.items()}
    assert shown["mine"] == {"both": ("train/loss", "odd")}
    for tags in (tags for charts in shown.values() for tags in charts.values()):
        for tag in tags:
            answer = server.ask("plugin/custom_scalars/scalars", run=name, tag=tag)
            assert answer["regex_valid"]
            assert answer["tag_to_events"]
            for found, rows in answer["tag_to_events"].items():
                np.testing.assert_array_equal([number(row[2]) for row in rows], run.scalars(found).value)


def test_hparams(server: Server, name: str, run: Run) -> None:
    experiment = server.ask("plugin/hparams/experiment", request=json.dumps({"experimentName": ""}))
    assert sorted(info["name"] for info in experiment["hparamInfos"]) == sorted(HPARAMS)
    assert [info["name"]["tag"] for info in experiment["metricInfos"]] == ["hparam/accuracy"]
    groups = server.ask("plugin/hparams/session_groups", SESSIONS)["sessionGroups"]
    assert groups[0]["hparams"] == HPARAMS
    sessions = {session["name"]: session for group in groups for session in group["sessions"]}
    assert sorted(sessions) == sorted(NAMES)  # no runs of their own
    metrics = {item["name"]["tag"]: item["value"] for item in sessions[name]["metricValues"]}
    assert metrics == {"hparam/accuracy": run.scalars("hparam/accuracy").value[-1]}
    ours = run.hparams()
    assert ours is not None
    assert ours.values == HPARAMS


def test_meshes(server: Server, name: str, run: Run) -> None:
    types = {"VERTEX": ("vertices", "<f4"), "FACE": ("faces", "<i4"), "COLOR": ("colors", "u1")}
    for mesh in run.meshes("mesh"):
        for content, (part, dtype) in types.items():
            data = server.raw("plugin/mesh/data", run=name, tag="mesh", sample=0, step=mesh.step, content_type=content)
            array = getattr(mesh, part)
            np.testing.assert_array_equal(np.frombuffer(data, dtype).reshape(array.shape), array)
    described = server.ask("plugin/mesh/meshes", run=name, tag="mesh", sample=0)
    assert [(row["step"], row["data_shape"]) for row in described if row["content_type"] == 1] == [
        (1, [1, 12, 3]),
        (7, [1, 12, 3]),
    ]


def test_graphs(server: Server, name: str, run: Run) -> None:
    from google.protobuf import text_format

    event_class()
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    assert server.ask("plugin/graphs/info")[name]["run_graph"]
    graph = text_format.Parse(server.raw("plugin/graphs/graph", run=name).decode(), GraphDef())
    nodes = {node.name: (node.op, list(node.input)) for node in graph.node}
    ours = run.graphs()[0].nodes
    assert nodes == {node.name: (node.op, list(node.inputs)) for node in ours}
    assert any("Conv2d" in key for key in nodes)


def test_the_projector(server: Server, name: str, run: Run) -> None:
    assert sorted(server.ask("plugin/projector/runs")) == sorted(NAMES)
    shown = {item["tensorName"]: item for item in server.ask("plugin/projector/info", run=name)["embeddings"]}
    ours = {f"{item.tag}:{item.step:05d}": item for item in run.embeddings()}
    assert not run.problems
    assert sorted(shown) == sorted(ours) == ["fc:00003", "tall:00000", "zero:00000", "ü/e:00001", "ü/e:00007"]
    for key, item in ours.items():
        data = server.raw("plugin/projector/tensor", run=name, name=key)
        np.testing.assert_array_equal(np.frombuffer(data, "<f4").reshape(item.vectors.shape), item.vectors)
        assert shown[key]["tensorShape"] == list(item.vectors.shape)
        if not item.metadata:
            continue
        text = server.raw("plugin/projector/metadata", run=name, name=key).decode()
        lines = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
        columns = [list(column) for column in zip(*lines, strict=True)]
        if len(item.metadata) > 1:
            assert columns == [[title, *cells] for title, cells in item.metadata.items()]
        else:
            assert columns == list(item.metadata.values())
    picture = ours["ü/e:00007"]
    data = server.raw("plugin/projector/sprite_image", run=name, name="ü/e:00007")
    assert data == picture.sprite.read_bytes()
    assert shown["ü/e:00007"]["sprite"]["singleImageDim"] == [7, 5]
    assert shown["tall:00000"]["sprite"]["singleImageDim"] == [4, 1638]  # five in a row of at most 8192 pixels
    embedding = an_embedding()
    assert ours["fc:00003"].metadata == {
        "label": [embedding.label_names[label].replace("\t", " ").replace("\n", " ") for label in embedding.labels],
        "split": ["train", ""] * 10,
        "loss": [str(row) for row in range(20)],
    }
    width, height = shown["fc:00003"]["sprite"]["singleImageDim"]
    assert (width, height) == (9, 5)
    sheet = np.asarray(Image.open(io.BytesIO(server.raw("plugin/projector/sprite_image", run=name, name="fc:00003"))))
    assert sheet.shape[:2] == (5 * height, 5 * width)
    np.testing.assert_array_equal(sheet[height : 2 * height, 2 * width : 3 * width, :3], embedding.thumbnails[7])
    assert (sheet[0, 3 * width : 5 * width, 3] > 0).sum() == 2  # the fourth is narrow, the fifth not there
    assert (ours["zero:00000"].vectors == 0).all()


def test_kinds_of_our_own_do_not_get_in_the_way(server: Server, name: str, run: Run) -> None:
    entries = run.entries()
    assert {entry.kind for entry in entries} >= {"filters"}
    tags = {entry.tag for entry in entries}
    for plugin in ("scalars", "histograms", "images", "audio", "text", "pr_curves", "mesh"):
        assert not tags & set(server.ask(f"plugin/{plugin}/tags")[name]) - set(run.tags("pr_curve")["pr_curve"])


def test_a_server_follows_a_run_that_grows(loader: str, tmp_path: Path) -> None:
    with serving(tmp_path, fast=loader == "fast") as server, SummaryWriter(tmp_path / "growing") as writer:
        for count in (1, 2):
            writer.add_scalar("loss", count, count)
            writer.flush()
            server.wait(lambda it, count=count: _length(it) == count)


def _length(server: Server) -> int:
    if "loss" not in server.ask("plugin/scalars/tags").get("growing", ()):
        return 0
    return len(server.ask("plugin/scalars/scalars", run="growing", tag="loss"))


# TensorBoard's reader in this process


@pytest.fixture(scope="module")
def accumulators(logdir: Path) -> dict[str, Any]:
    return {name: accumulate(logdir / name) for name in NAMES}


def test_the_accumulator_has_every_kind(accumulators: dict[str, Any], name: str, run: Run) -> None:
    accumulator = accumulators[name]
    for tag in run.tags("histogram")["histogram"]:
        for theirs, ours in zip(accumulator.Histograms(tag), run.histograms(tag), strict=True):
            assert (theirs.step, theirs.wall_time) == (ours.step, ours.wall_time)
            value = theirs.histogram_value
            told = [value.min, value.max, value.num, value.sum, value.sum_squares]
            assert told == [ours.min, ours.max, ours.num, ours.sum, ours.sum_squares]
            assert sum(value.bucket) == ours.counts.sum()
    for tag in run.tags("image")["image"]:
        theirs = [(item.step, item.encoded_image_string) for item in accumulator.Images(tag)]
        assert theirs == [(item.step, item.png) for item in run.images(tag)]
    for tag in run.tags("audio")["audio"]:
        theirs = [(item.step, item.encoded_audio_string, item.sample_rate) for item in accumulator.Audio(tag)]
        assert theirs == [(item.step, item.wav, item.sample_rate) for item in run.audio(tag)]
    plain = set(accumulator.Tags()["scalars"])
    assert {"train/loss", "odd", "accuracy/test", "many/b"} <= plain
    for tag in plain:
        np.testing.assert_array_equal([item.value for item in accumulator.Scalars(tag)], run.scalars(tag).value)


def test_the_accumulator_has_every_tensor(accumulators: dict[str, Any], name: str, run: Run) -> None:
    from tensorboard.util import tensor_util

    accumulator = accumulators[name]

    def arrays(tag: str) -> list[Any]:
        return [tensor_util.make_ndarray(item.tensor_proto) for item in accumulator.Tensors(tag)]

    for theirs, ours in zip(arrays("array"), run.tensors("array"), strict=True):
        np.testing.assert_array_equal(theirs, ours.values)
    for tag in ("new style", "double"):
        np.testing.assert_array_equal(np.array(arrays(tag)), run.scalars(tag).value)
    assert run.scalars("double").value[0] == 1 / 3
    texts = [array.reshape(-1)[0].decode() for array in arrays("words")]
    assert texts == [item.text for item in run.texts("words")]
    for tag in run.tags("pr_curve")["pr_curve"]:
        for theirs, ours in zip(arrays(tag), run.pr_curves(tag), strict=True):
            parts = [ours.true_positives, ours.false_positives, ours.true_negatives, ours.false_negatives]
            np.testing.assert_array_equal(theirs, [*parts, ours.precision, ours.recall])
    for entry in run.entries("filters"):
        told = [json.loads(array.reshape(-1)[0]) for array in arrays(entry.tag)]
        assert {"kind": "filters", "id": entry.id, "bytes": entry.bytes} in told
