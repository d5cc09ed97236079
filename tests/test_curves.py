"""Several values in one event, curves under one tag, and the export of MXBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.errors import InputError
from convscope.formats.events import decode_event
from convscope.formats.groups import encode_groups
from convscope.formats.record import HEADER, read_frames
from convscope.formats.scalars import ScalarBatch
from convscope.formats.values import decode_scalar
from convscope.recording import SummaryWriter
from convscope.store import Run
from tensorboard_oracle import accumulate, event_class


def decoded(data: bytes) -> list[tuple[float, int, list[tuple[str, float]]]]:
    """Return the events among records by protobuf: time, step, values."""
    frames = read_frames(np.frombuffer(data, np.uint8))
    assert not frames.damage
    assert frames.end == len(data)
    found = []
    for start, size in zip(frames.offset, frames.length, strict=True):
        event = event_class().FromString(data[start + HEADER : start + HEADER + size])
        found.append((event.wall_time, event.step, [(v.tag, v.simple_value) for v in event.summary.value]))
    return found


groups = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a", "loss/train", "ü" * 70]), min_size=1, max_size=5),
        st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300),
        st.floats(0, 2e9),
        st.floats(width=32, allow_nan=False),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(groups)
def test_groups_are_events_with_several_values_in_their_order(groups) -> None:
    tags = ["a", "loss/train", "ü" * 70]
    rows = [
        (tags.index(tag), step, time, value + number, number > 0)
        for names, step, time, value in groups
        for number, tag in enumerate(names)
    ]
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.zeros(0)] * 5
    tag, step, time, value, joined = columns
    batch = ScalarBatch(
        tags, tag.astype(np.int64), step.astype(np.int64), time.astype(float), value.astype(float), tag.astype(np.int64)
    )
    with np.errstate(over="ignore"):
        expected = [
            (time, step, [(name, float(np.float32(value + number))) for number, name in enumerate(names)])
            for names, step, time, value in groups
        ]
    assert decoded(encode_groups(batch, joined.astype(bool))) == expected


def test_log_writes_one_event_and_everybody_reads_it(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(50):
            writer.log({"loss": 1 / (step + 1), "acc": {"train": step, "test": torch.tensor(step / 2)}}, step)
    (path,) = tmp_path.glob("events*")
    events = decoded(path.read_bytes())[1:]
    assert len(events) == 50
    assert [tag for tag, _ in events[0][2]] == ["loss", "acc/train", "acc/test"]
    run, theirs = Run(tmp_path), accumulate(tmp_path)
    for tag in ("loss", "acc/train", "acc/test"):
        ours = run.scalars(tag)
        assert ours.step.tolist() == list(range(50))
        assert ours.value.tolist() == [event.value for event in theirs.Scalars(tag)]
    assert run.scalars("acc/test").value.tolist() == [step / 2 for step in range(50)]


def test_a_log_call_keeps_its_place_among_scalars_and_is_read_before_it_is_drained(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    for step in range(0, 3000, 2):
        writer.add_scalar("a", step, step)
        writer.log({"a": step + 1, "b": 0.5}, step + 1)
    assert Run(tmp_path).scalars("a").step.tolist() == list(range(3000))
    writer.close()
    assert Run(tmp_path).scalars("a").value.tolist() == list(range(3000))
    assert [event.step for event in accumulate(tmp_path).Scalars("a")] == list(range(3000))


def test_log_goes_on_where_the_ring_ends(tmp_path: Path) -> None:
    count = 40_000  # seven values each: groups meet the ends of the parts of the ring
    with SummaryWriter(tmp_path) as writer:
        for step in range(count):
            writer.log(dict.fromkeys("abcdefg", 0.25), step)
    run = Run(tmp_path)
    assert all(np.array_equal(run.scalars(tag).step, np.arange(count)) for tag in "abcdefg")


def test_a_bad_value_is_named_and_nothing_of_its_call_is_logged(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(InputError, match=r"one real number.*under the tag 'b/c'"):
            writer.log({"a": 1.0, "b": {"c": [1.0, 2.0]}}, 3)
        with pytest.raises(InputError, match="numbers by tag"):
            writer.log(0.5, 3)
        with pytest.raises(InputError, match="whole number"):
            writer.log({"a": 1.0}, 0.5)
        writer.log({}, 3)
    assert Run(tmp_path).tags() == {}


@pytest.mark.parametrize(
    "value", [0.5, np.float16(0.5), np.array([[0.5]]), torch.tensor(0.5, requires_grad=True), "0.5", [0.5], (0.5,)]
)
def test_what_holds_one_number_is_a_number(tmp_path: Path, value) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", value, 1)
        writer.log({"y": value}, torch.tensor(1))
    run = Run(tmp_path)
    assert run.scalars("x").value.tolist() == run.scalars("y").value.tolist() == [0.5]


def test_new_style_double_precision_and_descriptions(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("double", math.pi, 1, None, *(False, True))
        writer.add_scalar("new", math.pi, 1, None, *(True,))
        writer.add_scalar("told", math.pi, 1, display_name="Pi", summary_description="*circle*")
    run, theirs = Run(tmp_path), accumulate(tmp_path)
    assert run.scalars("double").value.tolist() == [math.pi]
    assert run.scalars("new").value.tolist() == run.scalars("told").value.tolist() == [float(np.float32(math.pi))]
    assert theirs.Tensors("double")[0].tensor_proto.dtype == 2
    assert theirs.SummaryMetadata("told").summary_description == "*circle*"


def test_dictionaries_and_pairs_are_curves_of_one_file_and_one_thread(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("acc", {"train": step, "test": step / 2}, step)
            writer.add_scalar("acc", ("best", step), step)
            writer.add_scalar("acc", ["worst", 0], step)
    assert len(list(tmp_path.iterdir())) == 1
    assert set(Run(tmp_path).tags("scalar")["scalar"]) == {"acc/train", "acc/test", "acc/best", "acc/worst"}
    assert Run(tmp_path).scalars("acc/test").value.tolist() == [0, 0.5, 1, 1.5, 2]


def test_scalars_are_exported_as_valid_json(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("a", 1.0, 3, 7.0)
        writer.clear_scalar_dict()
        writer.add_scalar("a", 2.0, 4, 8.0)
        writer.add_scalar("a", {"b": math.nan}, 5, 9.0)
        writer.export_scalars(tmp_path / "first.json")
        writer.clear_scalar_dict()
        writer.export_scalars_to_json(str(tmp_path / "empty.json"))
        with pytest.raises(OSError, match="choose another path"):
            writer.export_scalars(tmp_path / "no" / "folder.json")
    name = str(tmp_path / "run")
    exported = json.loads((tmp_path / "first.json").read_text(), parse_constant=pytest.fail)
    assert exported == {f"{name}/a": [[8.0, 4, 2.0]], f"{name}/a/b": [[9.0, 5, None]]}
    assert json.loads((tmp_path / "empty.json").read_text()) == {}
    assert {path.name for path in tmp_path.iterdir()} == {"run", "first.json", "empty.json"}


def test_use_metadata_sets_step_and_time_of_what_has_none(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        with writer.use_metadata(global_step=7, walltime=3.0), writer.use_metadata(global_step=8):
            writer.add_scalar("a", 1.0)
            writer.log({"b": 1.0})
            writer.add_text("t", "x")
            writer.add_scalar("a", 1.0, 2, 1.0)
        writer.add_scalar("a", 1.0)
    run = Run(tmp_path)
    assert run.scalars("a").step.tolist() == [8, 2, 0]
    assert run.scalars("a").wall_time.tolist()[:2] == [3.0, 1.0]
    assert (run.scalars("b").step[0], run.scalars("b").wall_time[0]) == (8, 3.0)
    assert (run.texts("t")[0].step, run.texts("t")[0].wall_time) == (8, 3.0)


def test_values_of_an_event_are_decoded_one_by_one_too(tmp_path: Path) -> None:
    batch = ScalarBatch(["a", "b"], np.arange(2), np.full(2, 9), np.full(2, 1.5), np.array([0.5, 2.0]), np.arange(2))
    data = encode_groups(batch, np.array([False, True]))
    event = decode_event(data[HEADER:-4])
    assert [(value.tag, decode_scalar(value)) for value in event.values] == [("a", 0.5), ("b", 2.0)]


@pytest.mark.parametrize(
    ("values", "tag"),
    [({"a/b": 1.0, "a": {"b": 2.0}}, "a/b"), ({"c\n": 1.0, "c_": 2.0}, "c_"), ({"1": 1.0, 1: 2}, "1")],
)
@pytest.mark.filterwarnings("ignore:the tag:UserWarning")
def test_two_values_of_one_tag_are_refused_by_name(tmp_path: Path, values, tag: str) -> None:
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(InputError, match=f"two values under the tag '{tag}'"):
            writer.log(values, 1)
        with pytest.raises(InputError, match=f"two values under the tag 'plot/{tag}'"):
            writer.add_scalars("plot", values, 1)
    assert Run(tmp_path).tags() == {}


@pytest.mark.parametrize("options", [{"double_precision": True}, {"new_style": True}, {"display_name": "shown"}])
def test_points_of_a_curve_keep_their_order_however_they_are_stored(tmp_path: Path, options) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(9):
            writer.add_scalar("x", step / 2, step, **(options if step % 3 == 1 else {}))
    series = Run(tmp_path).scalars("x", points="all")
    assert series.step.tolist() == list(range(9))
    assert series.value.tolist() == [step / 2 for step in range(9)]


@pytest.mark.parametrize("walltime", ["noon", [1], 10**400], ids=["text", "list", "huge"])
def test_a_bad_walltime_is_said_by_every_way_to_log_a_number(tmp_path: Path, walltime) -> None:
    with SummaryWriter(tmp_path) as writer:
        for _ in range(2):  # a new tag, and a known one
            for log in (
                lambda: writer.add_scalar("x", 1.0, 1, walltime),
                lambda: writer.log({"x": 1.0}, 1, walltime),
                lambda: writer.add_text("t", "x", 1, walltime),
                lambda: writer.use_metadata(global_step=5, walltime=walltime).__enter__(),
            ):
                with pytest.raises(InputError, match="walltime is a number of seconds since 1970"):
                    log()
            writer.add_scalar("x", 1.0)
    assert Run(tmp_path).scalars("x").step.tolist() == [0, 0]
