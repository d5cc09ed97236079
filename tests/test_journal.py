import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from convscope.errors import FormatError
from convscope.formats.events import encode_file_version
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars
from convscope.store import journal as journals
from convscope.store.journal import Journal
from convscope.store.recovery import read_journal, recover

NAME = "events.out.tfevents.1.host.1.0"
JOURNAL = journals.journal_name(NAME)


@pytest.fixture
def journal(tmp_path: Path):
    made = Journal(tmp_path / JOURNAL, capacity=64)
    made.add_tag("loss")
    yield made
    made.close()


def steps(journal: Journal) -> list[int]:
    view = read_journal(journal.path)
    assert view is not None
    return view.pending.step.tolist()


def fill(journal: Journal, first: int, last: int) -> None:
    for step in range(first, last):
        assert journal.put("loss", step, 1.0, 0.5) or (journal.make_room() and journal.put("loss", step, 1.0, 0.5))


def test_what_was_put_is_seen_by_readers(journal: Journal) -> None:
    fill(journal, 0, 40)
    view = read_journal(journal.path)
    assert (view.end, view.pending.tags, view.pending.step.tolist()) == (0, ["loss"], list(range(40)))
    journal.commit(25, 1000)
    assert (read_journal(journal.path).end, steps(journal)) == (1000, list(range(25, 40)))


def test_the_ring_turns_and_never_overtakes_what_is_not_drained(journal: Journal) -> None:
    fill(journal, 0, 64)
    assert not journal.put("loss", 64, 1.0, 0.5)
    assert not journal.make_room()
    for turn in range(1, 9):
        journal.commit(turn * 16 + 5, turn)
        fill(journal, 48 + turn * 16, 64 + turn * 16)
        assert not journal.put("loss", 0, 1.0, 0.5)
        assert not journal.make_room()
        assert steps(journal) == list(range(turn * 16 + 5, turn * 16 + 64))
        assert journal.rows(turn * 16 + 5, journal.written())["step"].tolist() == steps(journal)


def test_a_row_that_could_not_be_filled_is_passed_over(journal: Journal) -> None:
    assert journal.put("loss", 1, 1.0, 0.5)
    with pytest.raises(KeyError):
        journal.put("new", 2, 1.0, 0.5)
    with pytest.raises(struct.error):
        journal.put("loss", 2.5, 1.0, 0.5)
    assert journal.put("loss", 3, 1.0, 0.5)
    assert steps(journal) == [1, 3]


def test_a_half_written_row_and_a_half_written_tag_do_not_count(journal: Journal) -> None:
    fill(journal, 0, 3)
    with journal.path.open("r+b") as file:
        file.seek(4096 + 2 * 32 + 28)
        file.write(bytes(4))  # the mark of the third row
        file.seek(0, os.SEEK_END)
        file.write(struct.pack("<I", 50) + b"half a tag")
    assert steps(journal) == [0, 1]


@pytest.mark.skipif(os.name == "nt", reason="there nobody can tell whether the writer lives")
@pytest.mark.parametrize("start", [0, 50])
def test_rows_behind_one_that_a_dead_thread_took_are_not_lost(tmp_path: Path, start: int) -> None:
    journal = Journal(tmp_path / JOURNAL, capacity=64)
    journal.add_tag("loss")
    fill(journal, 0, start + 2)
    journal.commit(start, 0)
    journal._offset += 32  # as a thread does before it fills its row
    fill(journal, start + 3, start + 40)
    assert steps(journal) == [start, start + 1]  # it may still be filled
    journal.close()
    assert steps(journal) == [start, start + 1, *range(start + 3, start + 40)]


def test_a_torn_state_leaves_the_one_before(journal: Journal) -> None:
    fill(journal, 0, 10)
    journal.commit(4, 400)
    journal.commit(6, 600)
    with journal.path.open("r+b") as file:
        file.seek(64)  # an even sequence number stands in the first place
        file.write(b"torn")
    assert (read_journal(journal.path).end, steps(journal)) == (400, list(range(4, 10)))


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"CVSJRNL1" + bytes(5000)])
def test_what_is_not_a_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / JOURNAL
    path.write_bytes(content)
    with pytest.raises(FormatError, match="journal"):
        read_journal(path)
    assert not recover(path)
    assert path.read_bytes() == content


def test_threads_lose_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", capacity=1 << 14)
    for number in range(4):
        journal.add_tag(str(number))
    barrier = threading.Barrier(4)

    def log(number: int) -> None:
        barrier.wait()
        for step in range(3000):
            while not journal.put(str(number), step, 1.0, 0.5):
                journal.make_room()

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pending = read_journal(journal.path).pending
    for number in range(4):
        assert pending.step[pending.tag == number].tolist() == list(range(3000))
    journal.close()


def left_over(folder: Path, rows: int, drained: int) -> Path:
    """Make what a writer leaves that was killed with a write under way."""
    journal = Journal(folder / JOURNAL, capacity=64)
    journal.add_tag("loss")
    fill(journal, 0, rows)
    view = read_journal(journal.path)
    start = frame(encode_file_version(1.0))
    head = journals.encode(["loss"], journal.rows(0, drained))
    (folder / NAME).write_bytes(start + head + journals.encode(view.tags, view.rows)[:55])
    journal.commit(drained, len(start + head))
    journal.close()
    return journal.path


def test_recovery_is_the_same_however_often_it_is_done(tmp_path: Path) -> None:
    path = left_over(tmp_path, 20, 6)
    kept = path.read_bytes()
    assert recover(path)
    once = (tmp_path / NAME).read_bytes()
    assert not path.exists()
    path.write_bytes(kept)
    (tmp_path / NAME).write_bytes(once[:-70])  # as if it had died on the way
    assert recover(path)
    assert (tmp_path / NAME).read_bytes() == once
    whole = encode_scalars(["loss"], *_columns(20))
    assert once == frame(encode_file_version(1.0)) + whole


def _columns(count: int) -> tuple[np.ndarray, ...]:
    zeros = np.zeros(count, np.int64)
    return zeros, np.arange(count), np.ones(count), np.full(count, 0.5)


@pytest.mark.skipif(os.name == "nt", reason="there a journal in use cannot be locked")
def test_a_living_writer_is_left_alone(journal: Journal) -> None:
    fill(journal, 0, 3)
    assert not recover(journal.path)
    assert journal.path.exists()


def test_an_event_file_that_was_never_begun_goes_away(tmp_path: Path) -> None:
    Journal(tmp_path / JOURNAL, capacity=64).close()
    (tmp_path / NAME).write_bytes(b"half")
    assert recover(tmp_path / JOURNAL)
    assert list(tmp_path.iterdir()) == []
