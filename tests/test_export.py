"""Curves as CSV, JSON, Parquet and data frames: equal to what was logged, written whole or not at all."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from commands import convscope
from convscope.errors import InputError, MissingExtraError, NotFoundError, StorageError
from convscope.formats import events
from convscope.formats.record import frame as record
from convscope.formats.scalars import encode_scalars
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run
from convscope.store.export import Curve, curves, export_scalars
from convscope.store.logdir import each_run
from convscope.store.results import Scalars
from effort import PEAK

ODD = 'a "b", c\nd'


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    for name, shift in (("one", 0), ("two/deep", 100)):
        with SummaryWriter(tmp_path / "logs" / name) as writer:
            for step in range(6):
                value = [0.1, float("nan"), float("inf"), float("-inf"), 1e-30, 3.0][step] + shift
                writer.add_scalar("loss", value, step, walltime=1e9 + step / 7)
                writer.add_scalar("é, quoted", step, step, walltime=1e9)
            writer.add_text("note", "no curve")
    return tmp_path / "logs"


def rows(logdir: Path) -> list[tuple[Any, ...]]:
    """Return what all files must hold, one value after the other."""
    found = []
    for run in Logdir(logdir).runs():
        for tag in run.tags("scalar")["scalar"]:
            points = run.scalars(tag)
            found += [(run.name, tag, *row) for row in zip(points.step, points.wall_time, points.value, strict=True)]
    return found


def same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> bool:
    return len(found) == len(expected) and all(
        row[:4] == truth[:4] and np.array_equal(row[4], truth[4], equal_nan=True)
        for row, truth in zip(found, expected, strict=True)
    )


def test_csv(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    assert export_scalars(curves(each_run(logdir)), out) == (4, 24)
    with out.open(newline="") as file:
        head, *body = csv.reader(file)
    assert head == ["run", "tag", "step", "wall_time", "value"]
    told = [(run, tag, int(step), float(time), float(value)) for run, tag, step, time, value in body]
    assert same(told, rows(logdir))
    by_pandas = pd.read_csv(out)
    assert np.array_equal(by_pandas["value"], [row[4] for row in rows(logdir)], equal_nan=True)


def test_json_is_valid_and_has_null_for_what_json_does_not_know(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.json"
    export_scalars(curves(each_run(logdir)), out)
    told = json.loads(out.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [(item["run"], item["tag"]) for item in told] == [
        ("one", "loss"),
        ("one", "é, quoted"),
        ("two/deep", "loss"),
        ("two/deep", "é, quoted"),
    ]
    points = Run(logdir / "one").scalars("loss")
    assert told[0]["step"] == points.step.tolist()
    assert told[0]["wall_time"] == points.wall_time.tolist()
    assert told[0]["value"] == [v if np.isfinite(v) else None for v in points.value.tolist()]
    assert told[0]["value"].count(None) == 3


def test_parquet(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.parquet"
    export_scalars(curves(each_run(logdir)), out)
    table = pq.read_table(out)
    assert {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)} == {
        "run": "dictionary<values=string, indices=int32, ordered=0>",
        "tag": "dictionary<values=string, indices=int32, ordered=0>",
        "step": "int64",
        "wall_time": "double",
        "value": "double",
    }
    assert same([tuple(row.values()) for row in table.to_pylist()], rows(logdir))


def test_frames(logdir: Path) -> None:
    frame = Logdir(logdir).frame()
    assert list(frame.columns) == ["run", "tag", "step", "wall_time", "value"]
    assert same(list(frame.itertuples(index=False, name=None)), rows(logdir))
    one = Run(logdir / "one").frame("^loss$")
    assert (set(one["tag"]), set(one["run"]), len(one)) == ({"loss"}, {"one"}, 6)
    assert one.groupby("tag", observed=True)["step"].max()["loss"] == 5
    assert len(Run(logdir / "one").frame("no such tag")) == 0
    assert len(Logdir(logdir).frame(run="deep")) == 12


@pytest.mark.parametrize(("points", "count"), [("current", 9), ("latest", 8), ("all", 15)])
def test_points_of_restarted_runs(tmp_path: Path, points: str, count: int) -> None:
    steps = np.array([*range(10), 5, 6, 7, 7, 8])
    data = encode_scalars(["x"], steps[:10] * 0, steps[:10], steps[:10] * 1.0, steps[:10] * 1.0)
    data += record(events.encode_session_start(10.0, 4))
    data += encode_scalars(["x"], steps[10:] * 0, steps[10:], steps[10:] * 1.0, steps[10:] * 1.0)
    (tmp_path / "events.out.tfevents.1").write_bytes(record(events.encode_file_version(1.0)) + data)
    done = convscope("export-scalars", tmp_path, "-o", tmp_path / "x.csv", "--points", points)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{count} points of 1 curves")
    assert len((tmp_path / "x.csv").read_text().splitlines()) == count + 1


def test_tags_and_runs_are_chosen_by_expressions(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.json"
    done = convscope("export-scalars", logdir, "-o", out, "--tag", "^lo", "--run", "deep$")
    assert done.returncode == 0, done.stderr
    (curve,) = json.loads(out.read_text())
    assert (curve["run"], curve["tag"]) == ("two/deep", "loss")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "x.xlsx"], r"must end with one of: .csv, .json, .parquet"),
        (["-o", "x.csv", "--tag", "("], "is no regular expression"),
        (["-o", "x.csv", "--points", "lates"], "did you mean 'latest'"),
        (["-o", "x.csv", "--tag", "nothing"], "there are no scalars of these runs and tags"),
        (["-o", "absent/x.csv"], "cannot write absent"),
        (["-o", "there.csv"], "there.csv exists already"),
        (["-o", "folder.csv", "--force"], "folder.csv exists already"),
    ],
)
def test_bad_input(logdir: Path, tmp_path: Path, monkeypatch, arguments: list[str], sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("mine")
    Path("folder.csv").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    done = convscope("export-scalars", logdir, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert Path("there.csv").read_text() == "mine"


def test_force_replaces(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("old")
    with pytest.raises(InputError, match="exists already"):
        export_scalars(curves(each_run(logdir)), out)
    export_scalars(curves(each_run(logdir)), out, force=True)
    assert out.read_text().startswith("run,tag")
    with pytest.raises(NotFoundError, match="there is no directory"):
        each_run(tmp_path / "absent")


def test_a_file_that_has_come_meanwhile_is_not_replaced(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"

    def meanwhile() -> Any:
        yield from curves(each_run(logdir))
        out.write_text("another's")

    with pytest.raises(InputError, match="exists already"):
        export_scalars(meanwhile(), out)
    assert out.read_text() == "another's"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.csv"]


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_a_failure_half_way_leaves_nothing(logdir: Path, tmp_path: Path, suffix: str) -> None:
    def fails() -> Any:
        yield next(curves(each_run(logdir)))
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        export_scalars(fails(), tmp_path / f"x.{suffix}")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_absent_libraries_are_named(logdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"needs pandas; install it with: pip install 'convscope\[table\]'"):
        Logdir(logdir).frame()
    with pytest.raises(MissingExtraError, match=r"needs pyarrow; .*\[table\]"):
        export_scalars(curves(each_run(logdir)), tmp_path / "x.parquet")
    assert not list(tmp_path.glob("*.parquet"))


EXPORTED = """
from pathlib import Path
from convscope.store import Run
from convscope.store.export import curves, export_scalars
folder = Path(sys.argv[1])
run = Run(folder, sidecar=False)
export_scalars(curves([run]), folder / "small.json")
before = peak()
for suffix in ("csv", "json"):
    export_scalars(curves([run, run, run]), folder / f"x.{suffix}")
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    step = np.arange(300_000)
    data = encode_scalars(["x"], step * 0, step, step + 0.5, step / 3)
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    command = [sys.executable, "-c", PEAK + EXPORTED, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # KiB; the files have 30 MB each


def test_ls_lists_every_kind_and_speaks_json(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("loss", 1.0, 3)
        writer.add_text("note", "hello", 4)
        writer.add_audio("tone", np.zeros(10, np.float32), 5)
        writer.add_pr_curve("pr", [0, 1], [0.1, 0.9], 6)
        writer.add_histogram("h", [1.0, 2.0], 7)
        writer.add_tensor("t", np.zeros(3), 8)
    done = convscope("ls", tmp_path, "--json")
    (run,) = json.loads(done.stdout)
    assert (run["run"], run["problems"]) == ("run", [])
    assert {(item["kind"], item["tag"], item["count"], item["last_step"]) for item in run["series"]} >= {
        ("scalar", "loss", 1, 3),
        ("text", "note", 1, 4),
        ("audio", "tone", 1, 5),
        ("pr_curve", "pr", 1, 6),
        ("histogram", "h", 1, 7),
        ("tensor", "t", 1, 8),
    }
    assert "pr_curve" in convscope("ls", tmp_path).stdout


@pytest.mark.parametrize("tag", ["c\nd", "c\rd", "a,b", 'say "x"', " lead", "=1+1", "é"])
def test_csv_of_any_tag(tmp_path: Path, tag: str) -> None:
    step = np.arange(5)
    (tmp_path / "events.out.tfevents.1").write_bytes(encode_scalars([tag], step * 0, step, step + 1.0, step * 1.0))
    export_scalars(curves([Run(tmp_path)]), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    assert [row[1:3] for row in found[1:]] == [[tag, str(number)] for number in range(5)]


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are Unicode")
def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = Path(f"{tmp_path}/logs/r\udcff")
    folder.mkdir(parents=True)
    step = np.arange(5)
    (folder / "events.out.tfevents.1").write_bytes(encode_scalars(["x"], step * 0, step, step + 1.0, step * 1.0))
    found = curves(each_run(tmp_path / "logs"))
    for name in ("x.csv", "x.json", "x.parquet"):
        assert export_scalars(curves(each_run(tmp_path / "logs")), tmp_path / name) == (1, 5)
    assert "r\\xff,x,4," in (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))[0]["run"] == "r\\xff"
    assert set(pq.read_table(tmp_path / "x.parquet")["run"].to_pylist()) == {"r\\xff"}
    assert next(found).run == "r\udcff"
    assert json.loads(convscope("ls", "--json", tmp_path / "logs").stdout)[0]["run"] == "r\\xff"


def test_names_take_no_room_for_each_point(tmp_path: Path) -> None:
    tag, step = "t" * 4000, np.arange(50_000)
    points = Scalars(step, step + 1.0, step * 1.0)
    export_scalars([Curve("r", tag, points), Curve("r", "u" * 4000, points)], tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 4_000_000
    assert pq.read_table(tmp_path / "x.parquet")["tag"].to_pylist()[::50_000] == [tag, "u" * 4000]


def test_damage_is_told_while_exporting(tmp_path: Path) -> None:
    step = np.arange(50)
    data = bytearray(encode_scalars(["x"], step * 0, step, step + 1.0, step * 1.0))
    data[700] ^= 1
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    done = convscope("export-scalars", tmp_path, "-o", tmp_path / "x.csv")
    assert (done.returncode, "49 points" in done.stdout) == (0, True)
    assert "damaged at byte" in done.stderr


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot look at"):
        export_scalars([], tmp_path / f"{'a' * 300}.csv")
