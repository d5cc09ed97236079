"""Logs that other programs have written read as those programs, or TensorBoard, say they are."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.formats import events, forms, values, wire
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars, join_batches
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run, index
from tensorboard_oracle import accumulate, event_class, torch_writer

DATA = Path(__file__).parent / "data"
NAME = "events.out.tfevents.0000000001.host"


@pytest.fixture
def tensorflow_log(tmp_path: Path) -> Path:
    shutil.copyfile(DATA / "tensorflow.tfevents", tmp_path / NAME)
    return tmp_path


def theirs(path: Path, tag: str) -> list[tuple[int, float, float]]:
    return [(event.step, event.wall_time, event.value) for event in accumulate(path).Scalars(tag)]


def ours(run: Run, tag: str, points: str = "current") -> list[tuple[int, float, float]]:
    found = run.scalars(tag, points)
    return list(zip(found.step.tolist(), found.wall_time.tolist(), found.value.tolist(), strict=True))


def peer(package: str, path: Path) -> Any:
    if package == "torch":
        return torch_writer(path)
    from tensorboardX import SummaryWriter as Peer

    return Peer(str(path))


@pytest.mark.parametrize("package", ["torch", "tensorboardX"])
def test_torch_and_tensorboardx(tmp_path: Path, package: str) -> None:
    rng = np.random.default_rng(0)
    writer = peer(package, tmp_path)
    for step in range(120):
        writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_scalar("without_a_step", step)
    writer.add_scalars("pair", {"a": 1.0, "b": 2.0}, 3)
    samples = rng.normal(size=300)
    writer.add_histogram("weights", samples, 4)
    picture = (rng.random((3, 6, 5)) * 255).astype(np.uint8)
    writer.add_image("picture", picture, 5)
    writer.add_text("note", "hello *world*", 6)
    if package == "torch":  # tensorboardX needs one more library for it
        writer.add_audio("tone", np.sin(np.arange(50) / 3).astype(np.float32), 7, sample_rate=8000)
    writer.add_pr_curve("pr", rng.integers(0, 2, 40), rng.random(40), 8, num_thresholds=11)
    writer.close()
    logdir = Logdir(tmp_path)
    run, truth = logdir.run("."), accumulate(tmp_path)
    assert run.problems == []
    expected = {"scalar": ["loss", "without_a_step"], "histogram": ["weights"], "image": ["picture"]}
    expected |= {"pr_curve": ["pr"], "text": ["note/text_summary"]}
    assert {kind: tags for kind, tags in run.tags().items() if kind in expected} == expected
    for tag in ("loss", "without_a_step"):
        assert ours(run, tag) == theirs(tmp_path, tag)
    (counted,), (expected,) = run.histograms("weights"), truth.Histograms("weights")
    stored = expected.histogram_value
    assert (counted.step, counted.min, counted.num, counted.sum) == (4, stored.min, stored.num, stored.sum)
    assert (counted.limits.tolist(), counted.counts.tolist()) == (list(stored.bucket_limit), list(stored.bucket))
    assert run.images("picture")[0].png == truth.Images("picture")[0].encoded_image_string
    sounds = run.audio("tone") if package == "torch" else []
    assert [(sound.sample_rate, sound.step) for sound in sounds] == [(8000, 7)] * (package == "torch")
    assert run.texts("note/text_summary")[0].text == "hello *world*"
    table = np.array(truth.Tensors("pr")[0].tensor_proto.float_val).reshape(6, 11)
    assert np.array_equal(run.pr_curves("pr")[0].precision, table[4])
    named = {run.name[-1]: ours(run, "pair")[0][::2] for run in logdir.runs() if "pair" in run.tags()["scalar"]}
    assert named == {"a": (3, 1.0), "b": (3, 2.0)}


def test_tensorflow_itself(tensorflow_log: Path) -> None:
    from tensorboard.util import tensor_util

    run, truth = Run(tensorflow_log), accumulate(tensorflow_log)
    assert run.problems == []
    expected = {
        "scalar": ["loss", "epoch/accuracy", "not a number"],
        "histogram": ["weights"],
        "image": ["pictures"],
        "audio": ["tone"],
        "text": ["notes"],
        "hparams": ["_hparams_/session_start_info"],
    }
    assert {kind: tags for kind, tags in run.tags().items() if kind in expected} == expected
    for tag in ("loss", "epoch/accuracy"):
        stored = [(e.step, e.wall_time, float(tensor_util.make_ndarray(e.tensor_proto))) for e in truth.Tensors(tag)]
        assert ours(run, tag) == stored
        assert len(stored) == 40
    assert np.isnan(run.scalars("not a number").value).all()
    for counted, event in zip(run.histograms("weights"), truth.Tensors("weights"), strict=True):
        left, right, counts = tensor_util.make_ndarray(event.tensor_proto).T
        assert (counted.limits[0], counted.limits[1:].tolist()) == (left[0], right.tolist())
        assert (counted.counts[1:].tolist(), counted.num) == (counts.tolist(), 200)
    for picture, event in zip(run.images("pictures"), truth.Tensors("pictures"), strict=True):
        width, height, first, _ = tensor_util.make_ndarray(event.tensor_proto)
        assert (picture.width, picture.height, picture.png) == (int(width), int(height), first)
    assert [text.text for text in run.texts("notes")] == [f"step **{step}**\n\nsecond" for step in range(3)]
    assert run.tensors("raw")[0].values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert run.audio("tone")[0].step == 1


def test_mxboard_itself() -> None:
    logdir = Logdir(DATA / "mxboard", sidecar=False)
    run = logdir.run(".")
    assert [run.name for run in logdir.runs()] == [".", "accuracy/train", "accuracy/valid"]
    assert run.problems == []
    assert run.tags() == {
        "scalar": ["loss"],
        "histogram": ["default_bins", "ten_bins"],
        "image": ["picture"],
        "audio": ["tone"],
        "text": ["first note", "second note"],
        "pr_curve": ["pr"],
    }
    loss = run.scalars("loss")
    assert loss.step.tolist() == list(range(30))
    assert loss.value.tolist() == [float(np.float32(1 / (step + 1))) for step in range(30)]
    for name, divisor in (("train", 30), ("valid", 60)):
        found = logdir.run(f"accuracy/{name}").scalars("accuracy")
        assert found.value.tolist() == [float(np.float32(step / divisor)) for step in range(30)]
    assert [run.texts(tag)[0].text for tag in ("first note", "second note")] == ["hello", "*world*"]
    wide, narrow = run.histograms("default_bins")[1], run.histograms("ten_bins")[1]
    assert (wide.step, wide.num, wide.counts.sum(), len(wide.counts)) == (1, 500, 500, 1548)
    assert wide.limits[-1] > 9e19
    assert (narrow.counts.sum(), len(narrow.counts)) == (500, 10)
    assert (run.images("picture")[0].height, run.images("picture")[0].width) == (4, 5)
    assert run.audio("tone")[0].sample_rate == 8000
    assert len(run.pr_curves("pr")[0].precision) == 20


def tensors(count: int, plugin_every: int, dtype: str, tags: tuple[str, ...] = ("a", "bb", "cc")) -> bytes:
    """Return events as TensorFlow 2 stores scalars; what they are for stands in every n-th."""
    from tensorboard.util import tensor_util

    data = b""
    for step in range(count):
        for number, tag in enumerate(tags):
            event = event_class()(step=step, wall_time=100.0 + step)
            value = event.summary.value.add(tag=tag)
            value.tensor.CopyFrom(tensor_util.make_tensor_proto(np.array(step / 3 + number, dtype)))
            if step % plugin_every == 0:
                value.metadata.plugin_data.plugin_name = "scalars"
            data += frame(event.SerializeToString())
    return data


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
@pytest.mark.parametrize("plugin_every", [1, 10_000])
def test_scalars_as_tensors_are_read_in_bulk_and_equal(tmp_path: Path, dtype: str, plugin_every: int) -> None:
    (tmp_path / NAME).write_bytes(tensors(400, plugin_every, dtype))
    run = Run(tmp_path)
    for number, tag in enumerate(("a", "bb", "cc")):
        expected = [(step, 100.0 + step, float(np.array(step / 3 + number, dtype))) for step in range(400)]
        assert ours(run, tag) == expected


def test_bulk_reading_does_leave_almost_nothing_to_the_slow_way(tmp_path: Path, monkeypatch) -> None:
    data = tensors(300, 1, "float32")
    with SummaryWriter(tmp_path) as writer:
        for step in range(300):
            writer.log({"x": step, "y": -step}, step)
    (path,) = tmp_path.glob("events*")
    path.write_bytes(path.read_bytes() + data)
    decoded = []
    real = events.decode_event
    monkeypatch.setattr(events, "decode_event", lambda item: decoded.append(item) or real(item))
    run = Run(tmp_path)
    assert [len(run.scalars(tag)) for tag in ("x", "y", "a", "bb", "cc")] == [300] * 5
    assert run.scalars("y").value.tolist() == [-step for step in range(300)]
    assert len(decoded) < 150


kinds_of_event = st.tuples(
    st.sampled_from(["simple", "pair", "tensor", "double", "bare tensor", "no step", "text"]),
    st.sampled_from(["a", "bb", "x/y", "é" * 60]),
    st.integers(-5, 400),
    st.floats(width=32),
)


@given(st.lists(kinds_of_event, min_size=1, max_size=12), st.integers(1, 40), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_reading_in_bulk_equals_reading_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, str, int, float]], times: int, starts: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    body = b"".join(frame(event(*one, shift)) for shift in range(times) for one in told)
    start = frame(events.encode_session_start(1.0, 3))
    (folder / NAME).write_bytes(frame(events.encode_file_version(1.0)) + body + (start + body) * starts)
    fast = Run(folder, sidecar=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "decode_scalars", lambda *_: (join_batches([]), np.arange(len(_[1]))))
        patch.setattr(index, "decode_forms", lambda *_: (join_batches([]), _[3]))
        slow = Run(folder, sidecar=False)
    assert {kind: sorted(tags) for kind, tags in fast.tags().items()} == {
        kind: sorted(tags) for kind, tags in slow.tags().items()
    }
    for tag in slow.tags("scalar")["scalar"]:
        for points in ("current", "latest", "all"):
            assert str(ours(fast, tag, points)) == str(ours(slow, tag, points))


def event(kind: str, tag: str, step: int, number: float, shift: int) -> bytes:
    """Return an event of a kind, as protobuf writes it."""
    made = event_class()(wall_time=float(step))
    if kind != "no step":
        made.step = step + shift
    for name in (tag, f"{tag}2") if kind == "pair" else (tag,):
        value = made.summary.value.add(tag=f"{name}/{kind}" if "tensor" in kind or kind in ("double", "text") else name)
        if kind in ("tensor", "bare tensor"):
            value.tensor.dtype = 1
            value.tensor.float_val.append(number + shift)
        elif kind == "double":
            value.tensor.dtype = 2
            value.tensor.tensor_content = np.float64(number + shift).tobytes()
        elif kind == "text":
            value.tensor.dtype = 7
            value.tensor.string_val.append(b"words")
        else:
            value.simple_value = number
        if kind in ("tensor", "double") or (kind == "bare tensor" and shift == 0):
            value.metadata.plugin_data.plugin_name = "scalars"
        if kind == "text":
            value.metadata.plugin_data.plugin_name = "text"
    return made.SerializeToString()


def test_what_looks_like_a_scalar_and_is_none_is_left_alone(tmp_path: Path) -> None:
    data = b""
    for step in range(60):
        event = event_class()(step=step, wall_time=5.0)
        for plugin in ("text", "histograms"):  # of the width of a scalar's, and no scalars
            value = event.summary.value.add(tag=plugin)
            value.tensor.dtype = 1
            value.tensor.float_val.append(step)
            value.metadata.plugin_data.plugin_name = plugin
        data += frame(event.SerializeToString())
    (tmp_path / NAME).write_bytes(data)
    run = Run(tmp_path)
    assert run.tags() == {"histogram": ["histograms"], "text": ["text"]}
    assert len(run.steps("text", "text")) == 60


def test_two_forms_of_one_width_in_one_block(tmp_path: Path) -> None:
    data = b""
    for step in range(50):
        simple = encode_scalars(["loss"], *np.array([[0], [step]]), np.array([1.0]), np.array([step / 2]))
        pair = event_class()(step=step, wall_time=1.0)
        for tag in ("u", "v"):
            pair.summary.value.add(tag=tag, simple_value=step)
        data += simple + frame(pair.SerializeToString())
    (tmp_path / NAME).write_bytes(data)
    run = Run(tmp_path)
    for tag in ("loss", "u", "v"):
        assert ours(run, tag) == theirs(tmp_path, tag)


@pytest.mark.parametrize("after", [True, False])
def test_hostile_templates_do_not_move_values(after: bool) -> None:
    """A second time or step in an event overrides the first: such events are not read by template."""
    rows = []
    for step in range(20):
        body = events.encode_values(1.0, step, [("t", values.encode_scalar(0.5)), ("u", values.encode_scalar(1.5))])
        second = b"\x10" + bytes([step + 1])
        rows.append(body + second if after else body[:11] + second + body[11:])
    data = np.frombuffer(b"".join(map(frame, rows)), np.uint8)
    size = len(rows[0])
    offset = np.arange(20) * (size + 16)
    batch, others = forms.decode_forms(data, offset, np.full(20, size), np.arange(20), {})
    assert (len(batch.tag), others.tolist()) == (0, list(range(20)))


def test_a_tensor_whose_number_is_not_its_end(tmp_path: Path) -> None:
    data = b""
    for step in range(20):
        number = wire.chunk(5, np.float32(step / 4).tobytes())
        tensor = number + wire.integer(1, 1) + wire.key(99, wire.FIXED32) + bytes(4)
        told = [("t", wire.chunk(8, tensor) + events.encode_metadata("scalars"))]
        data += frame(events.encode_values(1.0, step, told))
    (tmp_path / NAME).write_bytes(data)
    assert Run(tmp_path).scalars("t").value.tolist() == [step / 4 for step in range(20)]


def test_restarts_are_those_of_tensorboard(tmp_path: Path) -> None:
    def curve(first: int, last: int, time: float) -> bytes:
        step = np.arange(first, last)
        return encode_scalars(["x"], step * 0, step, step + time, step + time)

    first = frame(events.encode_file_version(1.0)) + curve(0, 10, 100)
    start = frame(events.encode_session_start(200.0, 6))
    (tmp_path / NAME).write_bytes(first)
    (tmp_path / f"{NAME}2").write_bytes(frame(events.encode_file_version(200.0)) + start + curve(6, 9, 300))
    run = Run(tmp_path)
    assert ours(run, "x") == theirs(tmp_path, "x")
    assert [step for step, _, _ in ours(run, "x", "all")] == [*range(10), *range(6, 9)]


def test_latest_points_are_those_of_the_fast_loader(tmp_path: Path) -> None:
    """TensorBoard's data server drops what a later step goes back behind; ``points="latest"`` does the same."""
    rng = np.random.default_rng(3)
    for name in ("one", "two", "three"):
        folder = tmp_path / name
        folder.mkdir()
        step = np.concatenate([np.arange(20), np.arange(12, 30), rng.integers(0, 60, 25), np.arange(50, 55)])
        data = encode_scalars(["x"], step * 0, step, np.arange(len(step)) + 1e9, np.arange(len(step)) / 2)
        (folder / NAME).write_bytes(frame(events.encode_file_version(1e9)) + data)
    for name, found in data_server_scalars(tmp_path, "x").items():
        points = Run(tmp_path / name).scalars("x", "latest")
        assert found == list(zip(points.step.tolist(), points.value.tolist(), strict=True))


def data_server_scalars(logdir: Path, tag: str) -> dict[str, list[tuple[int, float]]]:
    """Ask TensorBoard's own data server, over gRPC."""
    server = pytest.importorskip("tensorboard_data_server").server_binary()
    if server is None:
        pytest.skip("there is no data server for this platform")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        import grpc
        from tensorboard.data.proto import data_provider_pb2 as protocol
        from tensorboard.data.proto import data_provider_pb2_grpc as service

    port_file = logdir / "port"
    options = ["--logdir", logdir, "--port-file", port_file, "--samples-per-plugin=scalars=all", "--reload=once"]
    process = subprocess.Popen([server, *map(str, options)], stderr=subprocess.DEVNULL, stdin=subprocess.PIPE)
    try:
        port = wait_for(lambda: port_file.exists() and port_file.read_text().strip())
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            stub = service.TensorBoardDataProviderStub(channel)
            request = protocol.ReadScalarsRequest(experiment_id="e", plugin_filter={"plugin_name": "scalars"})
            request.downsample.num_points = 10_000
            want = len(list(logdir.glob("*/")))

            def read() -> Any:
                try:
                    runs = stub.ReadScalars(request).runs
                except grpc.RpcError:  # not yet
                    return None
                return len(runs) == want and runs

            found = wait_for(read)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
    series = {run.run_name: next(item for item in run.tags if item.tag_name == tag).data for run in found}
    return {name: list(zip(data.step, data.value, strict=True)) for name, data in series.items()}


def wait_for(answer: Any, seconds: float = 60.0) -> Any:
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := answer():
            return found
        time.sleep(0.02)
    raise AssertionError("the data server does not answer")
