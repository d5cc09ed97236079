"""A program written for MXBoard, tensorboardX or torch runs after changing only its import."""

from __future__ import annotations

import inspect
import json
import multiprocessing
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convscope
from convscope.compat import mxboard, tensorboardx
from convscope.compat import torch as of_torch
from convscope.errors import InputError
from convscope.store import Run
from tensorboard_oracle import accumulate

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    import tensorboardX
    from tensorboard.compat.proto.config_pb2 import RunMetadata
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from torch.utils.tensorboard import FileWriter as TorchFileWriter
    from torch.utils.tensorboard import SummaryWriter as TorchWriter
    from torch.utils.tensorboard.summary import hparams, scalar

Parameters = list[tuple[str, Any, Any]]

# SEEDS of MXBoard 0.1, its signatures word for word
MXBOARD = {
    "__init__": "logdir, max_queue=10, flush_secs=120, filename_suffix=None, verbose=True",
    "get_logdir": "",
    "add_scalar": "tag, value, global_step=None",
    "export_scalars": "path",
    "clear_scalar_dict": "",
    "add_histogram": "tag, values, global_step=None, bins='default'",
    "add_image": "tag, image, global_step=None",
    "add_audio": "tag, audio, sample_rate=44100, global_step=None",
    "add_text": "tag, text, global_step=None",
    "add_embedding": "tag, embedding, labels=None, images=None, global_step=None",
    "add_pr_curve": "tag, labels, predictions, num_thresholds, global_step=None, weights=None",
    "add_graph": "net",
    "flush": "",
    "close": "",
    "reopen": "",
}
# where we take more than the original under the same name, or default to the same thing by another name
WIDER = {
    ("__init__", "comet_config"),
    ("__init__", "kwargs"),
    ("add_image_with_boxes", "kwargs"),
    ("add_onnx_graph", "prototxt"),  # its first argument; the name is taken too
}


def parameters(function: Any) -> Parameters:
    found = list(inspect.signature(function).parameters.values())
    return [(p.name, p.default, p.kind) for p in found if p.name != "self"]


def methods(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if callable(value) and (name[0] != "_" or name == "__init__")]


def hold(ours: type, method: str, theirs: Parameters) -> None:
    mine = parameters(getattr(ours, method))
    for place, (name, default, kind) in enumerate(theirs):
        if (method, name) in WIDER:
            continue
        assert mine[place][0] == name, f"{method}: {name} is not in place {place}"
        assert mine[place][2] == kind, f"{method}: {name} is passed in another way"
        assert mine[place][1] == default, f"{method}: {name} has another default"


@pytest.mark.parametrize("method", methods(TorchWriter))
@pytest.mark.parametrize("ours", [convscope.SummaryWriter, of_torch.SummaryWriter])
def test_signatures_are_those_of_torch(ours: type, method: str) -> None:
    hold(ours, method, parameters(getattr(TorchWriter, method)))


@pytest.mark.parametrize("method", methods(tensorboardX.SummaryWriter))
def test_signatures_are_those_of_tensorboardx(method: str) -> None:
    hold(tensorboardx.SummaryWriter, method, parameters(getattr(tensorboardX.SummaryWriter, method)))


@pytest.mark.parametrize("method", methods(tensorboardX.GlobalSummaryWriter))
def test_signatures_are_those_of_the_global_writer(method: str) -> None:
    hold(tensorboardx.GlobalSummaryWriter, method, parameters(getattr(tensorboardX.GlobalSummaryWriter, method)))


@pytest.mark.parametrize("method", MXBOARD)
def test_signatures_are_those_of_mxboard(method: str) -> None:
    theirs: dict[str, Any] = {}
    exec(f"def {method}({MXBOARD[method]}): pass", theirs)
    assert parameters(getattr(mxboard.SummaryWriter, method)) == parameters(theirs[method])


def program(SummaryWriter: Any, logdir: str) -> None:
    """Log with positional arguments what torch's and tensorboardX's writers understand alike."""
    rng = np.random.default_rng(0)
    with SummaryWriter(logdir, "", None, 10, 120, ".x") as writer:
        for step in range(5):
            writer.add_scalar("loss", 1 / (step + 1), step, 100.0 + step)
        writer.add_histogram("h", rng.normal(size=1000), 3, "tensorflow", 5.0)
        writer.add_histogram_raw("raw", 0.0, 2.0, 3, 3.0, 5.0, [0.5, 1.5, 2.5], [1, 1, 1], 3, 5.0)
        writer.add_image("chw", rng.integers(0, 256, (3, 8, 9), np.uint8), 3, 5.0)
        writer.add_image("hwc", rng.integers(0, 256, (8, 9, 3), np.uint8), 3, 5.0, "HWC")
        writer.add_images("many", rng.integers(0, 256, (4, 3, 8, 9), np.uint8), 3, 5.0)
        if SummaryWriter is not tensorboardX.SummaryWriter:  # needs a package for sound
            writer.add_audio("sine", np.sin(np.arange(800) / 9)[None], 3, 8000, 5.0)
        writer.add_text("words", "**bold**", 3, 5.0)
        writer.add_pr_curve("pr", rng.integers(0, 2, 100), rng.random(100), 3, 50, None, 5.0)
        writer.add_mesh("mesh", torch.rand(1, 5, 3), None, None, None, 3, 5.0)
        writer.add_custom_scalars_multilinechart(["loss"], "all", "losses")
        writer.add_embedding(rng.normal(size=(6, 4)), list("abcdef"), None, 3, "points")
        writer.flush()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(of_torch.SummaryWriter, TorchWriter), (tensorboardx.SummaryWriter, tensorboardX.SummaryWriter)],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_program_leaves_the_same_values(ours: Any, theirs: Any, tmp_path: Path) -> None:
    program(ours, str(tmp_path / "ours"))
    program(theirs, str(tmp_path / "theirs"))
    mine, peer = accumulate(tmp_path / "ours"), accumulate(tmp_path / "theirs")
    for kind in ("scalars", "histograms", "images"):
        assert mine.Tags()[kind] == peer.Tags()[kind], kind
    known = {tag.removesuffix("/text_summary") for tag in peer.Tags()["tensors"] if not tag.startswith("mesh")}
    assert known <= set(mine.Tags()["tensors"])
    assert [(e.step, e.wall_time, e.value) for e in mine.Scalars("loss")] == [
        (e.step, e.wall_time, e.value) for e in peer.Scalars("loss")
    ]
    assert mine.Histograms("h")[0].histogram_value.num == peer.Histograms("h")[0].histogram_value.num == 1000
    assert list(mine.Histograms("raw")[0].histogram_value.bucket)[-3:] == [1, 1, 1]
    for tag in ("chw", "hwc", "many"):
        one, other = mine.Images(tag)[0], peer.Images(tag)[0]
        assert (one.step, one.wall_time, one.height) == (other.step, other.wall_time, other.height)
        assert tag == "many" or one.width == other.width  # a grid of ours has a gap between its tiles
    ours_read, theirs_read = Run(tmp_path / "ours"), Run(tmp_path / "theirs")
    assert (
        ours_read.pr_curves("pr")[0].true_positives.tolist() == theirs_read.pr_curves("pr")[0].true_positives.tolist()
    )
    assert len(ours_read.meshes("mesh")) == len(theirs_read.meshes("mesh")) == 1
    assert (tmp_path / "ours" / "projector_config.pbtxt").exists()
    assert [path.suffix for path in (tmp_path / "ours").glob("*tfevents*")] == [".x"]


def test_a_program_for_mxboard(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    writer = mxboard.SummaryWriter(str(tmp_path / "logs"), 10, 5, "", verbose=False)
    for step in range(3):
        writer.add_scalar("curves", {"sin": step, "cos": -step}, step * 1.5)
        writer.add_scalar("curves", ("tan", 0.5), step)
    writer.add_histogram("default", rng.normal(size=(4, 5)), 1)
    writer.add_histogram("bins", rng.normal(size=100), 1, 20)
    writer.add_image("grid", rng.random((10, 3, 5, 6)), 1)
    writer.add_image("one", rng.random((5, 6)), 1)
    writer.add_audio("noise", rng.uniform(-1, 1, (1, 1000)), 8000, 1)
    writer.add_text("words", "Hello MXNet!", 1)
    writer.add_embedding("codes", rng.normal(size=(4, 3)), list("abcd"), rng.random((4, 3, 5, 5)), 7)
    writer.add_embedding("two", rng.normal(size=(2, 3)), [["name", "class"], ["a", 1], ["b", 2]])
    writer.add_pr_curve("pr", rng.integers(0, 2, 100), rng.random(100), 200, 1)
    writer.export_scalars(tmp_path / "scalars.json")
    writer.close()
    writer.add_text("words", "late", 2)
    writer.close()
    writer.reopen()
    writer.add_text("words", "again", 3)
    with writer:
        assert writer.get_logdir() == str(tmp_path / "logs")
    run = Run(tmp_path / "logs")
    assert run.scalars("curves/sin").step.tolist() == [0, 1, 3]
    assert [text.text for text in run.texts("words")] == ["Hello MXNet!", "late", "again"]
    assert (run.images("grid")[0].height, run.images("grid")[0].width) == (2 * 5 + 2, 8 * 6 + 7 * 2)
    assert run.histograms("default")[0].num == 20
    assert len(run.pr_curves("pr")[0].precision) == 200
    assert len(json.loads((tmp_path / "scalars.json").read_text())) == 3
    embeddings = {embedding.tag: embedding for embedding in run.embeddings()}
    assert len(embeddings) == 2


def log_globally(writer: Any, count: int) -> None:
    for _ in range(count):
        writer.add_scalar("shared", 1.0)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_global_writer_counts_the_steps_of_all_processes(tmp_path: Path) -> None:
    with tensorboardx.GlobalSummaryWriter(str(tmp_path)) as writer:
        assert tensorboardx.GlobalSummaryWriter.getSummaryWriter() is writer
        workers = [multiprocessing.get_context("fork").Process(target=log_globally, args=(writer, 50)) for _ in "ab"]
        for worker in workers:
            worker.start()
        log_globally(writer, 50)
        for worker in workers:
            worker.join(120)
            assert worker.exitcode == 0
        writer.add_text("t", "x")
        writer.add_image("i", np.zeros((3, 4, 4)), 7.0)
    assert [event.step for event in accumulate(tmp_path).Scalars("shared")] == list(range(150))
    assert len(list(tmp_path.glob("events*"))) == 1


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Comet"):
        tensorboardx.SummaryWriter(tmp_path, comet_config={"disabled": False})
    with pytest.raises(InputError, match="does not take 'colour'"):
        tensorboardx.SummaryWriter(tmp_path, colour="red")
    with pytest.raises(InputError, match="twice"):
        tensorboardx.SummaryWriter(tmp_path, log_dir=tmp_path)


def test_a_writer_that_writes_nothing(tmp_path: Path) -> None:
    with tensorboardx.SummaryWriter(str(tmp_path / "none"), write_to_disk=False) as writer:
        writer.add_scalar("x", 1.0, 1)
        writer.log({"x": 1.0, "y": 2.0}, 2)
        writer.add_text("t", "words")
        writer.add_embedding(np.eye(3))
        writer.add_scalars("curves", {"a": 1.0})
        writer.flush()
        writer.export_scalars(tmp_path / "empty.json")
    assert not (tmp_path / "none").exists()
    assert json.loads((tmp_path / "empty.json").read_text()) == {}


@pytest.mark.parametrize("every", [False, True])
def test_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: bool) -> None:
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        with convscope.SummaryWriter.for_rank(tmp_path / "run", every_rank=every, flush_secs=1) as writer:
            writer.add_scalar("loss", rank, 1)
    assert Run(tmp_path / "run").scalars("loss").value.tolist() == [0.0]
    assert (tmp_path / "run" / "rank2").exists() == every
    if every:
        assert Run(tmp_path / "run" / "rank2").scalars("loss").value.tolist() == [2.0]
    monkeypatch.setenv("RANK", "2")
    with convscope.SummaryWriter.for_rank(tmp_path / "run", every_rank=every) as writer:
        assert writer.get_logdir() == str(tmp_path / "run" / "rank2" if every else tmp_path / "run")
        assert Path(writer.get_logdir()).is_dir()
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(InputError, match="RANK is 'first'"):
        convscope.SummaryWriter.for_rank(tmp_path)


PAIRS = [(of_torch.SummaryWriter, TorchWriter), (tensorboardx.SummaryWriter, tensorboardX.SummaryWriter)]
DIALECTS: list[Any] = [of_torch.SummaryWriter, tensorboardx.SummaryWriter]


def goes_on(SummaryWriter: Any, logdir: str) -> None:
    """Log as torch's tutorial does: ``close()`` after each thing, and on."""
    writer = SummaryWriter(logdir)
    writer.add_scalar("loss", 1.0, 1, 5.0)
    writer.close()
    writer.close()
    writer.flush()
    writer.add_scalar("loss", 2.0, 2, 6.0)
    writer.add_image("picture", np.zeros((3, 4, 5), np.uint8), 2, 6.0)
    writer.close()
    with writer:
        writer.add_text("words", "late", 3, 7.0)
    writer.add_scalars("both", {"a": 1.0}, 3, 8.0)
    writer.close()


@pytest.mark.parametrize("ours", DIALECTS)
def test_logging_goes_on_after_close_as_with_torch(ours: Any, tmp_path: Path) -> None:
    goes_on(ours, str(tmp_path / "ours"))
    goes_on(TorchWriter, str(tmp_path / "theirs"))  # tensorboardX loses what it writes within one second
    mine, peer = accumulate(tmp_path / "ours"), accumulate(tmp_path / "theirs")
    # torch numbers its files without leading zeros: of files of one second the tenth is read before the ninth
    assert mine.Scalars("loss") == sorted(peer.Scalars("loss"), key=lambda event: event.step)
    assert [(e.step, e.width) for e in mine.Images("picture")] == [(e.step, e.width) for e in peer.Images("picture")]
    assert [text.text for text in Run(tmp_path / "ours").texts("words")] == ["late"]
    assert mine.Scalars("both/a")[0].step == 3
    assert len(list((tmp_path / "ours").glob("*tfevents*"))) == 4
    assert not list((tmp_path / "ours").glob("*.journal")), "each file is finished"


@pytest.mark.parametrize("kind", DIALECTS)
def test_nothing_is_opened_by_closing_and_flushing(kind: Any, tmp_path: Path) -> None:
    writer = kind(tmp_path, purge_step=3)
    for _ in range(3):
        writer.close()
        writer.flush()
        writer.clear_scalar_dict()
        writer.export_scalars(tmp_path / "empty.json")
    assert len(list(tmp_path.glob("*tfevents*"))) == 1
    writer.add_embedding(np.eye(3))
    writer.add_scalar("x", 1.0, 5)
    writer.close()
    sessions = [path for path in tmp_path.glob("*tfevents*") if b":\x02\x08\x01" in path.read_bytes()]
    assert len(sessions) == 1, "the steps of before are forgotten once"


@pytest.mark.parametrize("kind", DIALECTS)
def test_an_export_has_what_was_logged_before_and_after_close(kind: Any, tmp_path: Path) -> None:
    writer = kind(tmp_path / "run")
    writer.add_scalar("x", 1.0, 1)
    writer.close()
    writer.export_scalars(tmp_path / "before.json")
    writer.add_scalar("x", 2.0, 2)
    writer.export_scalars(tmp_path / "all.json")
    writer.clear_scalar_dict()
    writer.add_scalar("x", 3.0, 3)
    writer.close()
    writer.export_scalars(tmp_path / "after.json")
    steps = {
        name: [step for curve in json.loads((tmp_path / f"{name}.json").read_text()).values() for _, step, _ in curve]
        for name in ("before", "all", "after")
    }
    assert steps == {"before": [1], "all": [1, 2], "after": [3]}


def test_hyperparameters_after_close_stand_at_the_last_step_of_their_curves(tmp_path: Path) -> None:
    writer = of_torch.SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 7)
    writer.close()
    writer.add_hparams({"lr": 0.1}, {"loss": 0.5})
    writer.close()
    assert Run(tmp_path).scalars("loss", points="all").step.tolist() == [7, 7]


def test_threads_open_one_file_after_close(tmp_path: Path) -> None:
    writer = of_torch.SummaryWriter(tmp_path)
    writer.close()
    barrier = threading.Barrier(8)

    def log(number: int) -> None:
        barrier.wait()
        for step in range(100):
            writer.add_scalar(f"x{number}", 1.0, step)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert len(list(tmp_path.glob("*tfevents*"))) == 2
    assert [len(Run(tmp_path).scalars(f"x{number}").step) for number in range(8)] == [100] * 8


def cuts(SummaryWriter: Any, logdir: str) -> None:
    with SummaryWriter(logdir) as writer:
        for number, step in enumerate((2.5, "3", np.float32(4.9), torch.tensor(5.5), -1.5, torch.tensor([6.5]))):
            writer.add_scalar(f"s{number}", 1.0, step)
            writer.add_text(f"t{number}", "x", step)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
def test_steps_are_cut_and_read_as_by_the_original(ours: Any, theirs: Any, tmp_path: Path) -> None:
    cuts(ours, str(tmp_path / "ours"))
    cuts(theirs, str(tmp_path / "theirs"))
    mine, peer = accumulate(tmp_path / "ours"), accumulate(tmp_path / "theirs")
    for number in range(6):
        assert mine.Scalars(f"s{number}")[0].step == peer.Scalars(f"s{number}")[0].step
        assert mine.Tensors(f"t{number}")[0].step == peer.Tensors(f"t{number}/text_summary")[0].step


@pytest.mark.parametrize("step", ["x", float("nan"), float("inf"), [1, 2], 2**63])
@pytest.mark.parametrize("kind", [*DIALECTS, mxboard.SummaryWriter])
def test_what_is_no_step_is_said(kind: Any, step: Any, tmp_path: Path) -> None:
    with kind(str(tmp_path)) as writer, pytest.raises(InputError, match="a step"):
        writer.add_scalar("x", 1.0, step)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_the_attributes_of_the_originals(ours: Any, theirs: Any, tmp_path: Path) -> None:
    with (
        ours(str(tmp_path / "run"), "", 3, 20, 7, ".x") as mine,
        theirs(str(tmp_path / "run"), "", 3, 20, 7, ".x") as peer,
    ):
        for name in ("log_dir", "logdir", "purge_step", "max_queue", "flush_secs", "filename_suffix", "default_bins"):
            if name in vars(peer) and name != "purge_step":  # which torch forgets
                assert getattr(mine, name) == getattr(peer, name), name
        assert mine.purge_step == 3
        assert mine._get_file_writer().get_logdir() == peer._get_file_writer().get_logdir()
        assert list(mine.all_writers) == list(peer.all_writers)


def test_the_scalar_dict_of_tensorboardx(tmp_path: Path) -> None:
    with tensorboardx.SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalars("loss", {"train": 0.5}, 3, 9.0)
        assert writer.scalar_dict == {f"{tmp_path}/loss/train": [[9.0, 3, 0.5]]}
    assert tensorboardx.__version__ == tensorboardX.__version__


def messages(writer: Any) -> None:
    """Log what is made already, as recipes for hyper-parameters without a run of their own do."""
    for summary in hparams({"lr": 0.1, "net": "a"}, {"accuracy": 0.9}):
        writer.file_writer.add_summary(summary)
    writer._get_file_writer().add_summary(scalar("accuracy", 0.9), np.int64(4), 6.0)
    writer.file_writer.add_event(Event(summary=scalar("loss", 0.25)), 5, 7.0)
    writer.file_writer.add_graph((GraphDef(node=[NodeDef(name="n", op="conv")]), RunMetadata()), 8.0)
    writer.close()
    writer.file_writer.add_summary(scalar("loss", 0.125), 6, 8.0)
    writer.file_writer.flush()
    writer.file_writer.close()


@pytest.mark.parametrize("kind", DIALECTS)
def test_messages_of_protobuf_are_written_as_torch_writes_them(kind: Any, tmp_path: Path) -> None:
    messages(kind(str(tmp_path / "ours")))
    messages_of_torch = TorchWriter(str(tmp_path / "theirs"))
    writer = messages_of_torch.file_writer
    for summary in hparams({"lr": 0.1, "net": "a"}, {"accuracy": 0.9}):
        writer.add_summary(summary)
    writer.add_summary(scalar("accuracy", 0.9), np.int64(4), 6.0)
    writer.add_event(Event(summary=scalar("loss", 0.25)), 5, 7.0)
    writer.add_graph((GraphDef(node=[NodeDef(name="n", op="conv")]), RunMetadata()), 8.0)
    writer.add_summary(scalar("loss", 0.125), 6, 8.0)
    messages_of_torch.close()
    mine, peer = accumulate(tmp_path / "ours"), accumulate(tmp_path / "theirs")
    assert mine.Tags() == peer.Tags()
    for tag in ("accuracy", "loss"):
        assert mine.Scalars(tag) == peer.Scalars(tag)
    assert mine.Graph() == peer.Graph()
    for tag in ("experiment", "session_start_info"):
        name = f"_hparams_/{tag}"
        assert mine.SummaryMetadata(name).plugin_data.plugin_name == "hparams"
    assert [event.step for event in mine.Scalars("loss")] == [5, 6]


def test_a_message_stands_behind_the_points_that_still_wait(tmp_path: Path) -> None:
    with of_torch.SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.file_writer.add_summary(scalar("loss", 2.0), 2)
        writer.add_scalar("loss", 3.0, 3)
        with pytest.raises(InputError, match="got dict"):
            writer.file_writer.add_summary({"loss": 1.0})
    assert Run(tmp_path).scalars("loss", points="all").step.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(of_torch.FileWriter, TorchFileWriter), (tensorboardx.FileWriter, tensorboardX.FileWriter)]
)
def test_a_file_writer_of_its_own(ours: Any, theirs: Any, tmp_path: Path) -> None:
    assert parameters(ours) == parameters(theirs)
    for name in methods(theirs):
        if name not in ("__init__", "add_openvino_graph", "use_metadata"):
            hold(ours, name, parameters(getattr(theirs, name)))
    writer = ours(str(tmp_path), filename_suffix=".y")
    writer.add_summary(scalar("loss", 0.5), 1)
    writer.close()
    writer.reopen()
    writer.add_summary(scalar("loss", 0.25), 2)
    writer.close()
    assert [event.step for event in accumulate(tmp_path).Scalars("loss")] == [1, 2]
    assert [path.suffix for path in tmp_path.glob("*tfevents*")] == [".y", ".y"]


def test_the_plain_writer_keeps_its_word(tmp_path: Path) -> None:
    with convscope.SummaryWriter(tmp_path) as writer:
        assert writer.log_dir == str(tmp_path)
        for step in (2.5, "3"):
            with pytest.raises(InputError, match="a step is a whole number"):
                writer.add_scalar("x", 1.0, step)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="closed"):
        writer.flush()
