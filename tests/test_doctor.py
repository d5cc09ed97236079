"""``convscope doctor``: what is wrong is found and said, and a repaired copy is sound and reads equal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import convscope
from convscope.errors import InputError
from convscope.formats import events, values, wire
from convscope.formats.record import frame
from convscope.recording import SummaryWriter
from convscope.store import Run, doctor, embeddings, sidecar
from convscope.store import run as runs
from convscope.store.doctor import examine
from convscope.store.journal import journal_name
from convscope.store.repair import repair
from convscope.summary import Summary


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with one of everything, its writer closed."""
    path = tmp_path / "run"
    with SummaryWriter(path) as writer:
        for step in range(50):
            writer.add_scalar("loss", step / 3, step)
        writer.add_histogram("h", np.arange(9.0), 3)
        writer.add_image("i", np.zeros((1, 3, 4)), 4)
        writer.add_embedding(np.eye(4, dtype=np.float32), metadata=list("abcd"), tag="codes")
        writer.add_embedding(np.eye(3, dtype=np.float32), tag="others")
        tiles = np.zeros((2, 3, 5, 5, 3), np.uint8)
        for number in range(2):
            arrays = {name: np.zeros(shape, np.float32) for name, shape in VOLUME.items()}
            writer.add(Summary("volume", f"conv{number}", 8, arrays=arrays, pictures={"input": tiles}))
    return path


VOLUME = {"volume": (2, 3, 5), "voxels": (2, 3, 5), "scale": (2, 2), "order": (2,)}


def log_of(run: Path) -> Path:
    (path,) = (path for path in run.glob("events*") if not path.name.endswith(".journal"))
    return path


def record_of(run: Path) -> Path:
    return min((run / "records").glob("0*"))


def what(run: Path) -> list[str]:
    return [finding.sentence() for finding in examine(run).findings]


def facts(run: Run) -> Any:
    """Return what a run says, but for where it is kept."""
    curves = {tag: [c.tolist() for c in vars(run.scalars(tag)).values()] for tag in run.tags("scalar")["scalar"]}
    pictures = {tag: [picture.png for picture in run.images(tag)] for tag in run.tags("image")["image"]}
    records = {
        entry.id: {name: a.tolist() for name, a in run.record(entry).arrays().items()} for entry in run.entries()
    }
    embeddings = {item.tag: item.vectors.tolist() for item in run.embeddings()} if hasattr(run, "embeddings") else {}
    return curves, pictures, records, embeddings, str(run.histograms("h")), run.tags()


def test_a_sound_run(run: Path) -> None:
    report = examine(run)
    assert report.findings == []
    assert report.healthy
    kinds = {row.what for row in report.rows}
    assert kinds == {"events", "volume", "embeddings"}
    done = convscope("doctor", run)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "all is well"


def flip(place: int) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = bytearray(log_of(run).read_bytes())
        data[place] ^= 1
        log_of(run).write_bytes(data)

    return damage


def torn(run: Path) -> None:
    log_of(run).write_bytes(log_of(run).read_bytes()[:-5])


def noise_at_the_end(run: Path) -> None:
    with log_of(run).open("ab") as file:
        file.write(b"noise" * 20)


def nonsense(run: Path) -> None:
    with log_of(run).open("ab") as file:
        file.write(frame(b"\xff\xff"))


def entry_of_nothing(run: Path) -> None:
    told = {"kind": "filters", "id": "00000009-filters-abcdef", "bytes": 3}
    with log_of(run).open("ab") as file:
        file.write(frame(events.encode_values(1.0, 1, [("gone", values.encode_entry("filters", told))])))


def record_gone(run: Path) -> None:
    shutil.rmtree(record_of(run))


def arrays_cut(run: Path) -> None:
    path = record_of(run) / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def arrays_of_another_shape(run: Path) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.zeros(2, np.float32) for name in VOLUME}, record_of(run) / "arrays.safetensors")


def meta_damaged(run: Path) -> None:
    (record_of(run) / "meta.json").write_text("{")


def meta_of_another(run: Path) -> None:
    first, second = sorted((run / "records").glob("0*"))
    shutil.copyfile(second / "meta.json", first / "meta.json")


def sheet_gone(run: Path) -> None:
    next((record_of(run) / "input").iterdir()).unlink()


def sheet_damaged(run: Path) -> None:
    path = next((record_of(run) / "input").iterdir())
    path.write_bytes(path.read_bytes()[:20])


def record_nobody_names(run: Path) -> None:
    shutil.copytree(record_of(run), run / "records" / "00000077-filters-abcdef")


def half_written_record(run: Path) -> None:
    import socket

    host = socket.gethostname().replace("/", "_")
    folder = run / "records" / f".tmp-{dead_process()}-{host}-abcd"
    folder.mkdir()


def half_written_sidecar(run: Path) -> None:
    (run / f"{sidecar.NAME}.tmp-{dead_process()}-ab").touch()


def vectors_gone(run: Path) -> None:
    path = next(path for path in (run / "projector").rglob("*") if path.is_file() and "tensor" in path.name)
    path.unlink()


def projector_config_damaged(run: Path) -> None:
    (run / "projector_config.pbtxt").write_text("embeddings { tensor_name: ")


def journal_alone(run: Path) -> None:
    (run / "events.out.pending.0000000001.host.1.0.journal").write_bytes(b"CVSJRNL1")


def journal_damaged(run: Path) -> None:
    log_of(run).with_name(journal_name(log_of(run).name)).write_bytes(b"CVSJRNL1" + bytes(5000))


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


DAMAGES = [
    (flip(20), "at byte 0: damaged"),
    (flip(400), ": damaged ("),
    (torn, "a record that was not finished"),
    (noise_at_the_end, "damaged (nothing readable follows)"),
    (nonsense, "makes no sense"),
    (entry_of_nothing, "records/00000009-filters-abcdef: record 00000009-filters-abcdef is gone"),
    (record_gone, "is gone"),
    (arrays_cut, "has no readable arrays"),
    (arrays_of_another_shape, "its array 'volume' is (2,), not [2, 3, 5]"),
    (meta_damaged, "is not JSON"),
    (meta_of_another, "that of another record"),
    (sheet_gone, "cannot be read"),
    (sheet_damaged, "is not a picture"),
    (record_nobody_names, "records/00000077-filters-abcdef: no event names this record"),
    (half_written_record, "left half-written"),
    (half_written_sidecar, "left half-written"),
    (vectors_gone, "projector_config.pbtxt: the embedding"),
    (projector_config_damaged, "projector_config.pbtxt"),
    (journal_alone, "a journal without its event file"),
    (journal_damaged, "journal"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES, ids=lambda item: getattr(item, "__name__", None))
def test_what_is_wrong_is_found_and_a_repaired_copy_is_sound(
    run: Path, tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(run)
    found = what(run)
    assert len(found) >= 1
    assert any(sentence in line for line in found), found
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    repair(run, tmp_path / "out")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert what(tmp_path / "out") == []
    repaired, truth = Run(tmp_path / "out"), Run(run, sidecar=False)
    assert [column.tolist() for column in vars(repaired.scalars("loss")).values()] == [
        column.tolist() for column in vars(truth.scalars("loss")).values()
    ]
    assert repaired.problems == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


def test_repairing_what_is_sound_copies_all_of_it(run: Path, tmp_path: Path) -> None:
    done = repair(run, tmp_path / "out")
    assert (done.events, done.records, done.embeddings, done.left) == (len_of(run), 2, 2, 0)
    assert log_of(tmp_path / "out").read_bytes() == log_of(run).read_bytes()
    assert facts(Run(tmp_path / "out")) == facts(Run(run))


def len_of(run: Path) -> int:
    return sum(row.count for row in examine(run).rows if row.what == "events")


def test_a_record_that_is_lost_takes_only_its_own_event_along(run: Path, tmp_path: Path) -> None:
    sheet_damaged(run)
    done = repair(run, tmp_path / "out")
    assert (done.records, done.left) == (1, 1)
    assert [entry.tag for entry in Run(tmp_path / "out").entries()] == ["conv1"]


KILLED = """
import os, signal, sys
from convscope.recording import SummaryWriter
writer = SummaryWriter(sys.argv[1], flush_secs=0.01)
writer.add_scalar("loss", 0.0, 0)
writer.flush()
writer._log._interval = 1e9
writer._log._stopping = True
for step in range(1, 500):
    writer.add_scalar("loss", step, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_journal_of_a_killed_writer(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    (line,) = what(folder)
    assert "left by a writer that died" in line
    assert Run(folder).scalars("loss").step.tolist() == list(range(500))
    told = repair(folder, tmp_path / "out")
    assert told.scalars > 0
    assert Run(tmp_path / "out").scalars("loss").value.tolist() == list(range(500))
    assert what(tmp_path / "out") == []
    assert len(list((tmp_path / "out").iterdir())) == 1
    with SummaryWriter(folder):
        pass
    assert what(folder) == []


def test_a_run_that_is_being_written_is_well(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(100):
            writer.add_scalar("loss", step, step)
        writer.add(Summary("filters", "conv", arrays={"weight": np.zeros((1, 1, 3, 3), np.float32)}))
        report = examine(tmp_path / "run")
        assert report.findings == []
        assert "being written" in {row.state for row in report.rows}
        repair(tmp_path / "run", tmp_path / "out")
    assert Run(tmp_path / "out").scalars("loss").step.tolist() == list(range(100))
    assert what(tmp_path / "out") == []


def test_a_sidecar_is_not_trusted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WORTH_A_SIDECAR", 1)
    with log_of(run).open("ab") as file:
        file.write(frame(events.encode_file_version(2.0)) * 400)
    Run(run)
    assert (run / sidecar.NAME).exists()
    flip(5000)(run)
    assert Run(run).problems == []
    assert len(what(run)) == 1


def test_the_command(run: Path, tmp_path: Path) -> None:
    flip(400)(run)
    done = convscope("doctor", run)
    assert done.returncode == 1
    assert f"{log_of(run).name} at byte " in done.stdout
    assert "see below" in done.stdout
    done = convscope("doctor", run, "--repair", tmp_path / "out")
    assert done.returncode == 0, done.stdout
    assert "1 left behind" in done.stdout
    assert convscope("doctor", tmp_path / "out").returncode == 0


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("run/inside", "is inside"), ("run", "is inside"), ("full", "is not empty"), ("file", "is not empty")],
)
def test_where_repaired_runs_must_not_go(run: Path, tmp_path: Path, place: str, sentence: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    done = convscope("doctor", run, "--repair", tmp_path / place)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert (tmp_path / "full" / "mine").exists()
    assert not (run / "inside").exists()


def test_an_empty_directory_may_be_filled(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    repair(run, tmp_path / "out")
    assert what(tmp_path / "out") == []


@pytest.mark.parametrize("place", ["../secret/tensors.tsv", "{run}/tensors.tsv"])
def test_nothing_outside_is_copied_and_nothing_goes_outside(run: Path, tmp_path: Path, place: str) -> None:
    (run / "tensors.tsv").write_text("1\t2\n")
    place = place.format(run=run)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "tensors.tsv").write_text("1\t2\n")
    (run / "projector_config.pbtxt").write_text(f'embeddings {{ tensor_name: "x" tensor_path: "{place}" }}')
    done = repair(run, tmp_path / "out")
    assert (done.embeddings, done.left) == (0, 1)


def test_what_is_no_run(tmp_path: Path, run: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, sentence in (("empty", "there are no event files in"), ("absent", "there is no directory")):
        with pytest.raises(InputError, match=sentence):
            examine(tmp_path / path)
    assert "it has the runs run below it" in convscope("doctor", tmp_path).stderr
    assert convscope("doctor", tmp_path).returncode == 2


def test_checking_does_not_change_anything(run: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    time.sleep(0.01)
    examine(run)
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}


def test_what_is_no_fault(run: Path) -> None:
    (run / "notes.journal").write_text("mine")
    (run / f"{sidecar.NAME}.tmp-{os.getpid()}-00").touch()
    assert what(run) == []


def test_a_writer_that_starts_while_doctor_looks(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers = []
    real = doctor._examine_events

    def slow(*rest: Any) -> None:
        real(*rest)
        if not writers:
            writers.append(SummaryWriter(run))
            tiles = np.zeros((2, 3, 5, 5, 3), np.uint8)
            arrays = {name: np.zeros(shape, np.float32) for name, shape in VOLUME.items()}
            writers[0].add(Summary("volume", "late", 8, arrays=arrays, pictures={"input": tiles}))
            writers[0].close()

    monkeypatch.setattr(doctor, "_examine_events", slow)
    assert what(run) == []


def test_a_writer_whose_event_file_is_not_there_yet(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("x", 1.0)
        events_of = log_of(tmp_path / "run")
        events_of.rename(tmp_path / "aside")
        report = examine(tmp_path / "run")
        assert (report.healthy, [row.state for row in report.rows]) == (True, ["being written"])
        (tmp_path / "aside").rename(events_of)


def test_a_journal_that_never_got_its_name(run: Path) -> None:
    (run / ".events.out.pending.1.h.2.3.journal.new").write_bytes(bytes(5000))
    assert ["half-written" in told for told in what(run)] == [True]


def test_a_histogram_that_cannot_be_decoded(run: Path, tmp_path: Path) -> None:
    fields = wire.chunk(5, wire.doubles(6, np.ones(2)) + wire.doubles(7, np.ones(1)))
    with log_of(run).open("ab") as file:
        file.write(frame(events.encode_values(1.0, 1, [("h", fields)])))
    assert "2 limits and 1 counts" in what(run)[0]
    assert repair(run, tmp_path / "out").left == 1
    assert what(tmp_path / "out") == []


def test_a_file_that_cannot_be_read_does_not_stop_the_repair(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = run / "events.out.tfevents.9"
    shutil.copyfile(log_of(run), bad)
    real = Path.open

    def refuse(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if path == bad:
            raise OSError(5, "Input/output error")
        return real(path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", refuse)
    done = repair(run, tmp_path / "out")
    assert (done.left, done.records) == (1, 2)


def test_the_files_of_an_embedding_that_is_left_behind_are_not_copied(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = next((run / "projector").rglob("codes/tensors.*"))
    vectors.write_bytes(vectors.read_bytes()[:-3])
    read = []
    real = embeddings._read
    monkeypatch.setattr(embeddings, "_read", lambda *rest: read.append(rest) or real(*rest))
    done = repair(run, tmp_path / "out")
    assert (done.embeddings, done.left, len(read)) == (1, 1, 2)
    assert not list((tmp_path / "out").rglob("codes"))
