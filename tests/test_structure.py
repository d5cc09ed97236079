"""Hyper-parameters, layouts, curves in one plot and meshes: through TensorBoard's server, its readers and our own."""

from __future__ import annotations

import enum
import inspect
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convscope.errors import FormatError, InputError
from convscope.formats.events import Value, decode_event, encode_values
from convscope.formats.hparams import decode_hparams, encode_hparams
from convscope.formats.layout import Chart, decode_layout, encode_layout
from convscope.formats.mesh import decode_mesh
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run
from tensorboard_oracle import accumulate, torch_writer
from tensorboard_server import Server, serving

VERTICES = np.arange(30, dtype=np.float32).reshape(2, 5, 3)
COLORS = np.arange(30).reshape(2, 5, 3) * 8
FACES = np.array([[0, 1, 2], [2, 3, 4]])
SESSIONS = {"allowedStatuses": ["STATUS_SUCCESS"], "startIndex": 0, "sliceSize": 100}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("structure")
    with SummaryWriter(path / "a") as writer:
        for step in range(12):  # more layouts than the loaders keep
            writer.add_scalars("loss", {"train": step, f"new({step})": 2 * step}, step)
        writer.add_scalar("loss/trainer", 1.0, 0)
        writer.add_scalar("accuracy", 0.5, 3)
        writer.add_custom_scalars({"mine": {"band": ["Margin", ["loss/train", "loss/train", "accuracy"]]}})
        writer.add_hparams(
            {"lr": 0.1, "batch": np.int64(32), "optimiser": "sgd", "augment": True, "none": None, "t": torch.tensor(3)},
            {"accuracy": torch.tensor(0.75), "hparam/best": 0.875},
            {"optimiser": ["sgd", "adam"], "lr": [0.1, 0.2]},
        )
        writer.add_mesh("cloud", VERTICES, COLORS, FACES, {"camera": {"cls": "PerspectiveCamera"}}, 3)
        writer.add_graph(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()), torch.zeros(1, 3))
    return path


@pytest.fixture(scope="module")
def servers(logdir: Path) -> Iterator[dict[bool, Server]]:
    with ExitStack() as stack:
        yield {fast: stack.enter_context(serving(logdir, fast=fast)) for fast in (True, False)}


@pytest.fixture(params=[True, False], ids=["load_fast", "load_slow"])
def server(request: pytest.FixtureRequest, servers: dict[bool, Server]) -> Server:
    server = servers[request.param]
    server.wait_for("plugin/graphs/info")  # what was logged last
    return server


def test_tensorboard_shows_the_hyperparameters_of_the_run_itself(server: Server) -> None:
    assert list(server.ask("plugin/scalars/tags")) == ["a"]
    experiment = server.ask("plugin/hparams/experiment", {"experimentName": ""})
    infos = {info["name"]: info for info in experiment["hparamInfos"]}
    assert {name: info["type"].removeprefix("DATA_TYPE_") for name, info in infos.items()} == {
        "lr": "FLOAT64",
        "batch": "FLOAT64",
        "optimiser": "STRING",
        "augment": "BOOL",
        "none": "UNSET",
        "t": "FLOAT64",
    }
    assert infos["lr"]["domainDiscrete"] == [0.1, 0.2]
    assert infos["optimiser"]["domainDiscrete"] == ["sgd", "adam"]
    (group,) = server.ask("plugin/hparams/session_groups", SESSIONS)["sessionGroups"]
    assert group["name"] == "a"
    assert group["hparams"] == {
        "lr": 0.1, "batch": 32.0, "optimiser": "sgd", "augment": True, "none": None, "t": 3.0
    }  # fmt: skip
    metrics = {item["name"]["tag"]: (item["trainingStep"], item["value"]) for item in group["metricValues"]}
    assert metrics == {"accuracy": (3, 0.75), "hparam/best": (0, 0.875)}  # at the curve's last step: it never goes back


def test_tensorboard_takes_the_last_layout_and_its_charts_have_their_curves(server: Server) -> None:
    mine, curves = server.ask("plugin/custom_scalars/layout")["category"]
    assert mine["title"] == "mine"
    assert mine["chart"][0]["margin"]["series"] == [{"value": "loss/train", "lower": "loss/train", "upper": "accuracy"}]
    (chart,) = curves["chart"]
    assert (curves["title"], chart["title"]) == ("curves", "loss")
    pattern = "|".join(f"({tag})" for tag in chart["multiline"]["tag"])  # as the page asks
    found = server.ask("plugin/custom_scalars/scalars", run="a", tag=pattern)
    assert found["regex_valid"]
    assert set(found["tag_to_events"]) == {"loss/train", *(f"loss/new({step})" for step in range(12))}
    assert [point[1:] for point in found["tag_to_events"]["loss/train"]] == [[s, float(s)] for s in range(12)]
    assert found["tag_to_events"]["loss/new(7)"][0][1:] == [7, 14.0]


def test_tensorboard_serves_the_mesh(server: Server) -> None:
    assert server.ask("plugin/mesh/tags") == {"a": {"cloud": {"samples": 2}}}
    parts = {part["content_type"]: part for part in server.ask("plugin/mesh/meshes", run="a", tag="cloud", sample=0)}
    assert {kind: part["data_shape"] for kind, part in parts.items()} == {1: [2, 5, 3], 2: [2, 2, 3], 3: [2, 5, 3]}
    assert parts[1]["config"] == '{"camera": {"cls": "PerspectiveCamera"}}'
    for kind, dtype, expected in (
        ("VERTEX", np.float32, VERTICES[1]),
        ("FACE", np.int32, FACES),
        ("COLOR", np.uint8, COLORS[1]),
    ):
        data = server.raw("plugin/mesh/data", run="a", tag="cloud", sample=1, step=3, content_type=kind)
        assert np.array_equal(np.frombuffer(data, dtype).reshape(expected.shape), expected)


def test_tensorboard_serves_the_graph(server: Server) -> None:
    assert server.ask("plugin/graphs/info")["a"]["run_graph"]
    text = server.raw("plugin/graphs/graph", run="a", conceptual="false").decode()
    assert re.findall(r'^  name: "(.*)"$', text, re.MULTILINE) == [
        "Sequential/Linear[0]/weight",
        "Sequential/Linear[0]/bias",
        "input/input",
        "Sequential/Linear[0]/linear",
        "Sequential/ReLU[1]/relu",
        "output/0",
    ]
    assert re.findall(r'^  input: "(.*)"$', text, re.MULTILINE)[:2] == ["input/input", "Sequential/Linear[0]/weight"]


def test_our_reader_gives_all_of_it_back(logdir: Path) -> None:
    run = Run(logdir / "a")
    assert not run.problems
    hparams = run.hparams()
    assert hparams is not None
    assert hparams.values == {
        "lr": 0.1, "batch": 32.0, "optimiser": "sgd", "augment": True, "none": None, "t": 3.0
    }  # fmt: skip
    assert hparams.metrics == ("accuracy", "hparam/best")
    assert hparams.domains == {"optimiser": ("sgd", "adam"), "lr": (0.1, 0.2)}
    assert hparams.status == "success"
    layout = run.layout()
    assert layout["mine"] == (Chart("band", "margin", ("loss/train", "loss/train", "accuracy")),)
    assert layout["curves"][0].tags[:2] == ("loss/train$", r"loss/new\(0\)$")
    (mesh,) = run.meshes("cloud")
    assert np.array_equal(mesh.vertices, VERTICES)
    assert np.array_equal(mesh.colors, COLORS)
    assert np.array_equal(mesh.faces, np.stack([FACES, FACES]))
    assert (mesh.step, mesh.config) == (3, {"camera": {"cls": "PerspectiveCamera"}})
    assert run.tags("mesh") == {"mesh": ["cloud"]}
    assert [len(graph.nodes) for graph in run.graphs()] == [6]


def test_a_run_without_structure_says_so(tmp_path: Path) -> None:
    SummaryWriter(tmp_path).close()
    run = Run(tmp_path)
    assert (run.hparams(), run.layout(), run.graphs()) == (None, {}, [])
    with pytest.raises(InputError, match="no mesh 'cloud'"):
        run.meshes("cloud")


@pytest.mark.parametrize(
    "method",
    [
        "add_scalars",
        "add_custom_scalars",
        "add_custom_scalars_multilinechart",
        "add_custom_scalars_marginchart",
        "add_mesh",
        "add_graph",
        "add_hparams",
    ],
)
def test_positional_arguments_have_torchs_order(tmp_path: Path, method: str) -> None:
    theirs = torch_writer(tmp_path)
    expected = list(inspect.signature(getattr(theirs, method)).parameters)
    theirs.close()
    found = [p.name for p in inspect.signature(getattr(SummaryWriter, method)).parameters.values() if p.kind != 3]
    assert found[1:] == expected


# hyper-parameters


def test_a_second_set_of_hyperparameters_is_a_run_below(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for number in (1, 1, 2, 3):
            writer.add_hparams({"lr": number, "nan": float("nan")}, {"loss": 10 * number}, global_step=number)
    logdir = Logdir(tmp_path)
    found = {run.name: run.hparams() for run in logdir.runs()}
    assert {name: hparams and hparams.values["lr"] for name, hparams in found.items()} == {
        "run": 1.0,
        "run/hparams_2": 2.0,
        "run/hparams_3": 3.0,
    }
    assert logdir.run("run/hparams_3").scalars("loss").value.tolist() == [30.0]
    assert np.isnan(found["run"].values["nan"])  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((None, "own"), {}),  # torch
        (("own",), {}),  # tensorboardX
        ((), {"name": "own"}),
        ((), {"run_name": "own"}),
    ],
)
def test_a_run_of_their_own_is_made_where_it_is_named(tmp_path: Path, arguments: Any, options: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 1.0)
        writer.add_hparams({"lr": 0.5}, {"loss": 1.5}, *arguments, **options, global_step=7)
    assert Run(tmp_path).hparams() is None
    own = Run(tmp_path / "own")
    assert own.hparams().values == {"lr": 0.5}  # type: ignore[union-attr]
    assert own.scalars("loss").step.tolist() == [7]


def test_a_run_named_as_itself_is_itself(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.5}, {"loss": 1.5}, None, ".", 4)
        writer.add_hparams({"lr": 0.5}, {"loss": 2.5}, {}, 6)  # tensorboardX has the step fourth
    assert [run.name for run in Logdir(tmp_path).runs()] == ["."]
    assert Run(tmp_path).scalars("loss").step.tolist() == [4, 6]


def test_a_metric_that_is_a_curve_goes_on_at_its_last_step(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.log({"loss": step, "other": 1}, 100 * step)
        writer.add_hparams({"lr": 1}, {"loss": 7.0, "new": 8.0})
    run = Run(tmp_path)
    assert run.scalars("loss").step.tolist() == [0, 100, 200, 300, 400, 400]
    assert run.scalars("new").step.tolist() == [0]


def test_without_metrics_tensorboard_is_left_to_find_them(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 1}, {})
        assert accumulate(tmp_path).Tags()["tensors"] == ["_hparams_/session_start_info", "_hparams_/session_end_info"]
        writer.add_hparams({"lr": 1}, {"loss": 0.5})
    assert "_hparams_/experiment" in accumulate(tmp_path).Tags()["tensors"]
    assert Run(tmp_path).hparams().metrics == ("loss",)  # type: ignore[union-attr]


def test_values_of_other_types_are_logged_as_their_text(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"path": Path("a/b"), "act": torch.relu, "sizes": [3, 4], "b": np.bool_(True)}, {})  # noqa: FBT003
    assert Run(tmp_path).hparams().values == {  # type: ignore[union-attr]
        "path": str(Path("a/b")), "act": "relu", "sizes": "[3, 4]", "b": True
    }  # fmt: skip


def test_texts_of_other_types_are_texts(tmp_path: Path) -> None:
    class Kind(str, enum.Enum):  # noqa: UP042 - as people have it
        ADAM = "adam"

    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams(
            {"a": np.str_("x"), "b": Kind.ADAM, "c": float("nan")}, {"m": 1}, {"b": ["adam"], "c": [np.nan]}
        )
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    read = accumulate(tmp_path).SummaryMetadata("_hparams_/experiment").plugin_data.content
    infos = HParamsPluginData.FromString(read).experiment.hparam_infos
    assert [info.type for info in infos] == [1, 1, 3], "DATA_TYPE_STRING, DATA_TYPE_FLOAT64"
    assert Run(tmp_path).hparams().values["b"] == "adam"  # type: ignore[union-attr]


def test_hyperparameters_of_torch_and_tensorboardx_are_read(tmp_path: Path) -> None:
    values: dict[str, Any] = {"lr": 0.25, "name": "x", "number": 3}
    with torch_writer(tmp_path / "torch") as writer:
        writer.add_hparams(values, {"loss": 0.5}, {"lr": [0.25, 0.5]}, run_name="h")
    tensorboardx = pytest.importorskip("tensorboardX")
    with tensorboardx.SummaryWriter(str(tmp_path / "x")) as writer:
        writer.add_hparams({**values, "flag": True}, {"loss": 0.5}, name="h")
    theirs = Run(tmp_path / "torch" / "h").hparams()
    assert theirs is not None
    assert (theirs.values, theirs.metrics, theirs.domains) == (values, ("loss",), {"lr": (0.25, 0.5)})
    assert Run(tmp_path / "x" / "h").hparams().values == {**values, "flag": True}  # type: ignore[union-attr]


def test_hyperparameters_are_those_that_torch_writes(tmp_path: Path) -> None:
    arguments = {"lr": 0.25, "name": "x", "number": 3}, {"loss": 0.5}, {"lr": [0.25, 0.5], "name": ["x", "y"]}
    with torch_writer(tmp_path / "theirs") as theirs:
        theirs.add_hparams(*arguments, run_name="h")
    with SummaryWriter(tmp_path / "ours") as ours:
        ours.add_hparams(*arguments)
    expected, found = (accumulate(path) for path in (tmp_path / "theirs" / "h", tmp_path / "ours"))
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    for tag in ("experiment", "session_start_info", "session_end_info"):
        messages = [
            HParamsPluginData.FromString(log.SummaryMetadata(f"_hparams_/{tag}").plugin_data.content)
            for log in (expected, found)
        ]
        messages[1].session_start_info.ClearField("start_time_secs") if tag == "session_start_info" else None
        assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([("lr", 1)], {}), "two dictionaries"),
        (({"lr": 1}, {"loss": "high"}), "the text 'high'"),
        (({"lr": 1}, {"loss": [1, 2]}), r"one real number.*\(2,\)"),
        (({"lr": np.zeros(3)}, {}), "for the hyper-parameter 'lr'"),
        (({"lr": 1}, {}, {"rate": [1]}), "got 'rate'"),
        (({"lr": 1}, {}, {"lr": 1}), "has a list"),
        (({"lr": 1}, {}, {"lr": ["1"]}), "'lr' is a float, its domain has '1'"),
        (({"lr": 1}, {}, {"lr": [2, 3]}), r"'lr' is 1.0, which its domain has not: \[2, 3\]"),
        (({"lr": 1}, {}, ["lr"]), r"is \{name: \[values\]\}"),
    ],
)
def test_bad_hyperparameters_have_a_sentence(tmp_path: Path, arguments: Any, message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        writer.add_hparams(*arguments)
    assert Run(tmp_path).tags() == {}


# layouts and curves in one plot


def test_charts_of_several_calls_stay_together(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_custom_scalars({"a": {"one": ["Multiline", ["x"]], "two": ["Multiline", ["y"]]}})
        writer.add_custom_scalars_multilinechart(["p", "q"])
        writer.add_custom_scalars_marginchart(["v", "l", "u"])
        writer.add_custom_scalars_multilinechart(["p", "q"])
        writer.add_custom_scalars({"a": {"two": ["Margin", ["v", "l", "u"]]}})
        writer.add_scalars("a", {"b": 1})
    assert Run(tmp_path).layout() == {
        "a": (Chart("one", "multiline", ("x",)), Chart("two", "margin", ("v", "l", "u"))),
        "default": (Chart("untitled", "multiline", ("p", "q")), Chart("untitled 2", "margin", ("v", "l", "u"))),
        "curves": (Chart("a", "multiline", ("a/b$",)),),
    }


def test_layouts_are_those_that_torch_writes(tmp_path: Path) -> None:
    layout = {"a": {"one": ["Multiline", ["x", "y"]]}, "b": {"two": ["Margin", ["v", "l", "u"]]}}
    with torch_writer(tmp_path / "theirs") as theirs:
        theirs.add_custom_scalars(layout)
    with SummaryWriter(tmp_path / "ours") as ours:
        ours.add_custom_scalars(layout)
    protos = [
        accumulate(tmp_path / name).Tensors("custom_scalars__config__")[-1].tensor_proto for name in ("theirs", "ours")
    ]
    assert protos[0].SerializeToString() == protos[1].SerializeToString()
    assert Run(tmp_path / "theirs").layout() == Run(tmp_path / "ours").layout()


def test_curves_of_one_plot_make_no_run_no_file_and_no_thread(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        threads = set(threading.enumerate())
        for step in range(3):
            writer.add_scalars("loss", {f"n{number}": number for number in range(60)}, step)
            writer.add_scalar("pair", ("name", 0.5), step)  # type: ignore[arg-type]
        assert set(threading.enumerate()) <= threads
    (_file,) = tmp_path.iterdir()
    run = Run(tmp_path)
    assert run.scalars("loss/n7").value.tolist() == [7.0] * 3
    assert run.scalars("pair/name").value.tolist() == [0.5] * 3
    loss, pair = run.layout()["curves"]
    assert loss.tags == ("loss/",)  # a great many: by how they begin
    assert pair.tags == ("pair/name$",)
    assert len(accumulate(tmp_path).Tensors("custom_scalars__config__")) == 2  # once for each plot


@pytest.mark.filterwarnings("ignore:the tag")
def test_tags_that_are_cleaned_have_their_chart_once(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalars("/loss", {"a\t": 1.0}, step)
    assert Run(tmp_path).layout()["curves"] == (Chart("loss", "multiline", ("loss/a_$",)),)
    assert len(accumulate(tmp_path).Tensors("custom_scalars__config__")) == 1


def test_a_plot_in_a_plot_keeps_its_name(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars("loss", {"train": {"a": 1, "b": 2}}, 3, 4.5)
    run = Run(tmp_path)
    assert run.tags("scalar") == {"scalar": ["loss/train/a", "loss/train/b"]}
    assert run.scalars("loss/train/b").wall_time.tolist() == [4.5]


def test_threads_with_new_names_leave_a_layout_with_all_of_them(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:

        def log(number: int) -> None:
            for plot in range(20):
                writer.add_scalars(f"plot{plot}", {f"thread{number}": 1.0}, 0)

        threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    value = accumulate(tmp_path).Tensors("custom_scalars__config__")[-1].tensor_proto.SerializeToString()
    charts = decode_layout(Value("", "tensor", value))["curves"]
    assert {chart.title: set(chart.tags) for chart in charts} == {
        f"plot{plot}": {f"plot{plot}/thread{number}$" for number in range(4)} for plot in range(20)
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.add_scalars("a", [1, 2]), "takes numbers by name"),
        (lambda w: w.add_scalars("a", {"x": 1, "y": "?"}), "under the tag 'a/y'"),
        (lambda w: w.add_custom_scalars(["a"]), "a layout is"),
        (lambda w: w.add_custom_scalars({"a": ["Multiline", ["x"]]}), "a layout is"),
        (lambda w: w.add_custom_scalars({"a": {"b": ["Bars", ["x"]]}}), "'b' is"),
        (lambda w: w.add_custom_scalars({"a": {"b": ["Multiline", "x"]}}), "'b' is"),
        (lambda w: w.add_custom_scalars({"a": {"b": ["Margin", ["x", "y"]]}}), "got 2 tags"),
        (lambda w: w.add_custom_scalars_marginchart(["x", "y"]), "got 2 tags"),
        (lambda w: w.add_custom_scalars_multilinechart("loss"), "three tags"),
    ],
)
def test_bad_charts_have_a_sentence(tmp_path: Path, call: Any, message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        call(writer)
    assert Run(tmp_path).tags() == {}


# meshes


def test_meshes_are_those_that_torch_writes(tmp_path: Path) -> None:
    arrays = [torch.as_tensor(array) for array in (VERTICES, COLORS, np.stack([FACES, FACES]))]
    with torch_writer(tmp_path / "theirs") as theirs:
        theirs.add_mesh("m", *arrays, {"b": 1, "a": 2}, 5, 6.0)
    with SummaryWriter(tmp_path / "ours") as ours:
        ours.add_mesh("m", *arrays, {"b": 1, "a": 2}, 5, 6.0)
    from tensorboard.util.tensor_util import make_ndarray

    expected, found = (accumulate(tmp_path / name) for name in ("theirs", "ours"))
    assert expected.Tags()["tensors"] == found.Tags()["tensors"]
    for tag in ("m_VERTEX", "m_COLOR", "m_FACE"):
        assert expected.SummaryMetadata(tag) == found.SummaryMetadata(tag)
        (theirs_event,), (ours_event,) = expected.Tensors(tag), found.Tensors(tag)
        assert (ours_event.step, ours_event.wall_time) == (5, 6.0)
        assert np.array_equal(make_ndarray(theirs_event.tensor_proto), make_ndarray(ours_event.tensor_proto))
    tensorboardx = pytest.importorskip("tensorboardX")
    with tensorboardx.SummaryWriter(str(tmp_path / "x")) as writer:
        writer.add_mesh("m", *arrays, {"b": 1, "a": 2}, 5, 6.0)
    (mine,), *others = (Run(tmp_path / name).meshes("m") for name in ("ours", "theirs", "x"))
    for (other,) in others:
        assert np.array_equal(mine.vertices, other.vertices)
        assert np.array_equal(mine.faces, other.faces)  # type: ignore[arg-type]
        assert np.array_equal(mine.colors, other.colors)  # type: ignore[arg-type]
        assert (other.step, other.wall_time, other.config) == (5, 6.0, {"a": 2, "b": 1})


def test_one_cloud_at_several_steps(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_mesh("c", [[0, 0, 0], [1, 1, 1]], global_step=1)
        writer.add_mesh("c", [[0, 0, 0], [2, 2, 2]], [[0.0, 0.5, 1.0], [1, 1, 1]], global_step=2)
    first, second = Run(tmp_path).meshes("c")
    assert (first.step, first.vertices.shape, first.colors, first.faces) == (1, (1, 2, 3), None, None)
    assert second.colors.tolist() == [[[0, 128, 255], [255, 255, 255]]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([1, 2, 3],), r"\(N, 3\), got .* \(3,\)"),
        ((np.zeros((4, 2)),), r"\(4, 2\)"),
        ((np.zeros((4, 3)), np.zeros((3, 3))), "each vertex has one color"),
        ((np.zeros((2, 4, 3)), np.zeros((3, 4, 3))), "for 3 meshes, vertices for 2"),
        ((np.zeros((4, 3)), None, [[0, 1, 4]]), "from 0 to 3, got numbers from 0 to 4"),
        ((np.zeros((4, 3)), None, [[0, -1, 2]]), "from -1 to 2"),
        ((np.zeros((4, 3)), None, [[0, 0.5, 2]]), "numbers of vertices"),
        ((np.zeros((4, 3)), None, None, {"a": {1, 2}}), "JSON"),
        ((np.zeros((4, 3)), None, None, {"a": float("nan")}), "JSON"),
    ],
)
def test_bad_meshes_have_a_sentence(tmp_path: Path, arrays: Any, message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        writer.add_mesh("m", *arrays)
    assert Run(tmp_path).tags() == {}


# the formats, for any input

texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.none() | st.booleans() | st.floats(allow_nan=False) | texts


@given(st.dictionaries(texts, numbers, max_size=5), st.lists(texts, max_size=3))
def test_hyperparameters_come_back(values: Any, metrics: list[str]) -> None:
    domains = {name: [value] for name, value in values.items()}
    written = encode_hparams(values, metrics, domains, 1.5)
    found = decode_hparams([_value(tag, fields) for tag, fields in written])
    assert found.values == values
    assert {name: type(value) for name, value in found.values.items()} == {n: type(v) for n, v in values.items()}
    assert found.metrics == tuple(metrics)
    assert found.domains == {name: tuple(domain) for name, domain in domains.items()}


charts = st.builds(Chart, texts, st.just("multiline"), st.lists(texts, max_size=3).map(tuple)) | st.builds(
    Chart, texts, st.just("margin"), st.tuples(texts, texts, texts)
)


@given(st.dictionaries(texts, st.lists(charts, max_size=3, unique_by=lambda chart: chart.title).map(tuple), max_size=3))
def test_layouts_come_back(layout: Any) -> None:
    assert decode_layout(_value("t", encode_layout(layout))) == layout


@given(st.binary(max_size=60))
def test_damaged_bytes_are_a_format_error_or_nothing(data: bytes) -> None:
    value = Value("m_VERTEX", "tensor", data, content=data)
    tags = [Value(f"_hparams_/{name}", "", b"", content=data) for name in ("experiment", "session_start_info")]
    for attempt in (
        lambda: decode_hparams(tags),
        lambda: decode_layout(value),
        lambda: decode_mesh({"VERTEX": value}),
    ):
        with suppress(FormatError):
            attempt()


def _value(tag: str, fields: bytes) -> Value:
    """Return the value whose fields these are, as an event would give it."""
    (value,) = decode_event(encode_values(0.0, 0, [(tag, fields)])).values
    return value
