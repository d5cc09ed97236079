import errno
import io
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope.errors import InputError, StorageError
from convscope.recording import SummaryWriter
from convscope.store import Run, journal, logfile
from convscope.summary import Summary
from tensorboard_oracle import accumulate


def files(path: Path, suffix: str = "") -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.name.startswith("events") and p.name.endswith(suffix))


def projection(step: int = 0) -> Summary:
    return Summary("projection", "fc/tsne", step, arrays={"points": np.full((3, 2), step, np.float32)})


def test_tensorboard_reads_every_kind(tmp_path: Path) -> None:
    values = [0.1, 1e300, float("nan"), float("-inf"), -0.0, 1e-45]
    picture = np.random.default_rng(0).random((3, 8, 9))
    with SummaryWriter(tmp_path) as writer:
        for step, value in enumerate(values):
            writer.add_scalar("loss", value, step * 1000, walltime=5.0 + step)
        for step in range(300):
            writer.add_scalar("bulk/a", step / 3, step)
            writer.add_scalar("bulk/longer", step / 7, step - 150)
        writer.add_histogram("grad", np.array([-1.0, 2.0, 2.0, np.nan]), 7, walltime=9.0)
        writer.add_image("img", picture, 8, walltime=10.0)
        writer.add_text("note", "**hello**", 9, walltime=11.0)
        name = writer.add(projection(10))
    board = accumulate(tmp_path)
    assert [(e.wall_time, e.step) for e in board.Scalars("loss")] == [(5.0 + i, i * 1000) for i in range(6)]
    with np.errstate(over="ignore"):
        stored = np.array(values).astype(np.float32).astype(np.float64)
    assert np.array_equal([e.value for e in board.Scalars("loss")], stored, equal_nan=True)
    assert [e.value for e in board.Scalars("bulk/a")] == [float(np.float32(step / 3)) for step in range(300)]
    assert [e.step for e in board.Scalars("bulk/longer")] == list(range(-150, 150))
    (histogram,) = board.Histograms("grad")
    assert (histogram.wall_time, histogram.step) == (9.0, 7)
    assert histogram.histogram_value.num == 3
    assert list(histogram.histogram_value.bucket)[-1] == 2
    (image,) = board.Images("img")
    assert (image.step, image.height, image.width) == (8, 8, 9)
    pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
    assert np.array_equal(pixels, np.rint(picture * 255).astype(np.uint8).transpose(1, 2, 0))
    assert board.Tensors("note")[0].tensor_proto.string_val[0] == b"**hello**"
    assert name.encode() in board.Tensors("fc/tsne")[0].tensor_proto.string_val[0]
    assert board.FirstEventTimestamp() > 1e9


@pytest.mark.parametrize(
    "kind", ["float", "int", "bool", "numpy", "numpy array", "torch", "torch gradient", "bfloat16"]
)
def test_scalars_of_any_framework(tmp_path: Path, kind: str) -> None:
    import torch

    value = {
        "float": 1.0,
        "int": 1,
        "bool": True,
        "numpy": np.float32(1),
        "numpy array": np.ones((1, 1)),
        "torch": torch.tensor(1.0),
        "torch gradient": torch.ones(1, requires_grad=True) * 1,
        "bfloat16": torch.tensor(1.0, dtype=torch.bfloat16),
    }[kind]
    with SummaryWriter(tmp_path) as writer:
        for step in (1, np.int64(2), torch.tensor(3), 4.0):
            writer.add_scalar("x", value, step)
        writer.add_scalar("x", value)
    read = Run(tmp_path).scalars("x")
    assert (read.step.tolist(), read.value.tolist()) == ([1, 2, 3, 4, 0], [1.0] * 5)


def test_a_number_too_large_for_a_float_is_infinite(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 10**400)
        writer.add_scalar("x", -(10**400))
    assert Run(tmp_path).scalars("x").value.tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("tag", "value", "step", "message"),
    [
        ("", 1.0, 0, "non-empty string"),
        (None, 1.0, 0, "non-empty string"),
        (["x"], 1.0, 0, "non-empty string"),
        ("x", "one", 0, "got the text .one."),
        ("x", 1j, 0, "one real number"),
        ("x", [1.0, 2.0], 0, "one real number"),
        ("x", 1.0, 1.5, "whole number, got 1.5"),
        ("x", 1.0, "3", "whole number, got '3'"),
        ("x", 1.0, 2**63, "64 bits"),
    ],
)
def test_bad_input_is_refused_and_leaves_no_trace(tmp_path: Path, tag, value, step, message: str) -> None:
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(InputError, match=message):
            writer.add_scalar(tag, value, step)
        writer.add_scalar("good", 1.0, 1)
    run = Run(tmp_path)
    assert (run.tags(), run.problems) == ({"scalar": ["good"]}, [])


def test_more_values_than_the_journal_holds(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logfile, "Journal", lambda path: journal.Journal(path, capacity=256))
    with SummaryWriter(tmp_path) as writer:
        for step in range(20_000):
            writer.add_scalar("x", step, step)
    assert Run(tmp_path).scalars("x").step.tolist() == list(range(20_000))


def test_many_threads(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logfile, "Journal", lambda path: journal.Journal(path, capacity=1024))
    with SummaryWriter(tmp_path) as writer:

        def log(number: int) -> None:
            for step in range(4000):
                writer.add_scalar(f"t{number}", step, step)
            writer.add_histogram(f"h{number}", np.arange(9))

        threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    run = Run(tmp_path)
    assert all(run.scalars(f"t{number}").step.tolist() == list(range(4000)) for number in range(4))
    assert (len(run.tags("histogram")["histogram"]), run.problems) == (4, [])


def test_flush_makes_everything_visible_to_tensorboard(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(5000):
            writer.add_scalar("x", step, step)
        writer.flush()
        assert len(accumulate(tmp_path).Scalars("x")) == 5000


def test_values_become_visible_by_themselves(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path, flush_secs=0.05) as writer:
        writer.add_scalar("x", 1.0, 1)
        deadline = time.monotonic() + 60
        while not accumulate(tmp_path).Tags()["scalars"]:
            assert time.monotonic() < deadline


def test_closing(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("x", 1.0)
    assert files(tmp_path, ".journal")
    thread = writer._log._thread
    assert thread.is_alive()
    writer.close()
    writer.close()
    assert not thread.is_alive()
    assert not files(tmp_path, ".journal")
    for log in (
        lambda: writer.add_scalar("x", 1.0),
        lambda: writer.add_text("t", "x"),
        lambda: writer.add(projection()),
    ):
        with pytest.raises(InputError, match="closed"):
            log()
    with pytest.raises(InputError, match="closed"):
        writer.flush()
    assert not (tmp_path / "records").exists()


def test_default_directory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="-lr1") as writer:
        assert Path(writer.get_logdir()).parent == Path("runs")
        assert writer.get_logdir().endswith("-lr1")
        assert Path(writer.get_logdir()).is_dir()


def test_purge_step_is_obeyed_by_tensorboard_and_by_us(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(10):
            writer.add_scalar("x", step, step)
        writer.add_image("i", np.zeros((1, 2, 2)), 9)
    time.sleep(1.1)  # TensorBoard orders files by the second in their names
    with SummaryWriter(tmp_path, purge_step=6) as writer:
        for step in range(6, 12):
            writer.add_scalar("x", -step, step)
    expected = [*range(6), *(-step for step in range(6, 12))]
    assert [e.value for e in accumulate(tmp_path).Scalars("x")] == expected
    run = Run(tmp_path)
    assert run.scalars("x").value.tolist() == expected
    assert "image" not in run.tags()


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StorageError, match="choose another log_dir"):
        SummaryWriter(tmp_path / "file")
    with pytest.raises(StorageError, match="choose another log_dir"):
        SummaryWriter(tmp_path / "file" / "run")
    with pytest.raises(InputError, match="slash"):
        SummaryWriter(tmp_path, filename_suffix="../../x")


def test_a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path, monkeypatch) -> None:
    writer = SummaryWriter(tmp_path, flush_secs=0.01)
    writer.add_scalar("x", 0.0, 0)
    real = journal.write_all
    full = threading.Event()
    full.set()

    def fail_half_way(file: int, data: bytes) -> None:
        if full.is_set():
            real(file, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, data)

    writer.flush()
    monkeypatch.setattr(journal, "write_all", fail_half_way)
    errors = []
    for step in range(1, 200):
        try:
            writer.add_scalar("x", step, step)
        except StorageError as error:
            errors.append(error)
        time.sleep(0.001)
    assert len(errors) == 1
    assert "No space left on device" in str(errors[0])
    with pytest.raises(StorageError, match="No space left"):
        writer.add_text("t", "lost")
    with pytest.raises(StorageError, match="No space left"):
        writer.flush()
    full.clear()
    writer.close()
    run = Run(tmp_path)
    assert (run.scalars("x").step.tolist(), run.problems) == (list(range(200)), [])


def test_when_the_disk_stays_full_each_value_that_finds_no_room_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logfile, "Journal", lambda path: journal.Journal(path, capacity=64))
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("x", 0.0, 0)
    writer.flush()

    def fail(file: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    taken = [0]
    with monkeypatch.context() as patch:
        patch.setattr(journal, "write_all", fail)
        told, lost = [], []
        for step in range(1, 500):
            try:
                writer.add_scalar("x", step, step)
                taken.append(step)
            except StorageError as error:
                (lost if "is lost" in str(error) else told).append(step)
    assert len(told) <= 1
    assert len(lost) > 400
    with pytest.raises(StorageError, match=f"{len(lost)} values were not written"):
        writer.close()
    assert Run(tmp_path).scalars("x").step.tolist() == sorted(taken + told)


def test_a_deleted_log_is_told(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    next(tmp_path.glob("*tfevents*")).unlink()
    with pytest.raises(StorageError, match="deleted"):
        writer.flush()
    writer.close()


def in_child(writer: SummaryWriter) -> None:
    for step in range(1000):
        writer.add_scalar("child", step, step)
    writer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_writes_its_own_file(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    for step in range(1000):
        writer.add_scalar("parent", step, step)
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(writer,))
    child.start()
    for step in range(1000, 2000):
        writer.add_scalar("parent", step, step)
    child.join(120)
    assert child.exitcode == 0
    writer.close()
    run = Run(tmp_path)
    assert run.scalars("parent").step.tolist() == list(range(2000))
    assert run.scalars("child").step.tolist() == list(range(1000))
    assert len(files(tmp_path)) == 2


def test_leaving_without_closing_loses_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from convscope.recording import SummaryWriter\n"
        "w = SummaryWriter(sys.argv[1]); [w.add_scalar('x', i, i) for i in range(100)]"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(accumulate(tmp_path).Scalars("x")) == 100
    assert not files(tmp_path, ".journal")


VICTIM = """
import sys, os
import numpy as np
from convscope.recording import SummaryWriter
from convscope.summary import Summary
writer = SummaryWriter(sys.argv[1])
acknowledge = os.fdopen(1, "wb", buffering=0)
picture = np.zeros((3, 16, 16), np.uint8)
step = 0
while True:
    for _ in range(int(sys.argv[2])):
        writer.add_scalar("x", step, step)
        writer.add_scalar("other", -step, step)
        step += 1
    acknowledge.write(b"scalar %d\\n" % step)
    writer.add_image("i", picture + step % 200, step)
    acknowledge.write(b"image %d\\n" % step)
    name = writer.add(Summary("projection", "p", step, arrays={"points": np.full((50, 2), step, "f4")}))
    acknowledge.write(b"record %s\\n" % name.encode())
"""


@pytest.mark.parametrize("seed", range(4))
def test_nothing_acknowledged_is_lost_at_sigkill(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    command = [sys.executable, "-c", VICTIM, str(tmp_path), str([7, 400, 3000, 9000][seed])]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    time.sleep(rng.uniform(0.01, 0.25))
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    told = {
        kind: [line.split()[1] for line in lines if line.startswith(kind)] for kind in (b"scalar", b"image", b"record")
    }
    steps = int(told[b"scalar"][-1])

    def check(run: Run) -> None:
        count = len(run.scalars("x"))
        assert count >= steps
        assert run.scalars("x").step.tolist() == list(range(count))
        assert abs(len(run.scalars("other")) - count) <= 1
        logged = [picture.step for picture in run.images("i")] if told[b"image"] else []
        assert [int(step) for step in told[b"image"]] == logged[: len(told[b"image"])]
        names = [entry.id.encode() for entry in run.entries("projection")]
        assert told[b"record"] == names[: len(told[b"record"])]
        for entry in run.entries():
            assert (run.record(entry).arrays()["points"] == entry.step).all()

    before = Run(tmp_path)
    check(before)
    assert files(tmp_path, ".journal")
    SummaryWriter(tmp_path).close()  # the next writer finishes what the dead one has left
    assert not files(tmp_path, ".journal")
    assert not list((tmp_path / "records").glob(".tmp*")) if (tmp_path / "records").exists() else True
    count = len(before.scalars("x"))
    before.refresh()
    for run in (before, Run(tmp_path)):
        check(run)
        assert len(run.scalars("x")) == count
        assert run.problems == []
    assert [e.step for e in accumulate(tmp_path).Scalars("x")] == list(range(count))


def test_add_takes_events_and_summarizables(tmp_path: Path) -> None:
    class Result:
        def to_summary(self, tag: str, step: int = 0) -> Summary:
            return projection(step) if tag == "fc/tsne" else Summary("scalar", tag, step, arrays={"value": np.ones(1)})

    with SummaryWriter(tmp_path) as writer:
        assert writer.add(Result(), "loss", 3) == ""
        assert writer.add(Result(), "fc/tsne", 4).startswith("00000000-projection-")
        assert writer.add(projection(), global_step=5).startswith("00000001-projection-")
        assert writer.add(Summary("histogram", "h", 2, arrays={"values": np.arange(5)})) == ""
        assert writer.add(Summary("image", "i", 2, wall_time=4.0, arrays={"image": np.zeros((4, 5, 3))})) == ""
        with pytest.raises(InputError, match="needs a tag"):
            writer.add(Result())
        with pytest.raises(InputError, match="needs the array 'value'"):
            writer.add(Summary("scalar", "x"))
        with pytest.raises(InputError, match="to_summary"):
            writer.add(3)  # type: ignore[arg-type]
    run = Run(tmp_path)
    assert [entry.step for entry in run.entries()] == [4, 5]
    assert run.scalars("loss").step.tolist() == [3]
    assert (run.images("i")[0].width, run.images("i")[0].wall_time) == (5, 4.0)


@pytest.mark.parametrize(
    ("tag", "stored"), [("/loss", "loss"), ("a\tb\nc", "a_b_c"), ("x\ud800", "x_"), ("a b/ü", "a b/ü")]
)
def test_a_tag_that_cannot_be_stored_as_it_is_is_cleaned_and_said_so(tmp_path: Path, tag: str, stored: str) -> None:
    with SummaryWriter(tmp_path) as writer:
        for _ in range(2):
            if tag == stored:
                writer.add_scalar(tag, 1.0)
            else:
                with pytest.warns(UserWarning, match="is logged as"):
                    writer.add_scalar(tag, 1.0)
    assert len(Run(tmp_path).scalars(stored)) == 2
