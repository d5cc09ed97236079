"""Embeddings for TensorBoard's projector: what is written, what is read back, and what goes wrong."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.errors import InputError, StorageError
from convscope.formats import projector, sprite
from convscope.recording import SummaryWriter
from convscope.recording.columns import columns_of
from convscope.store import Run
from convscope.store import projector as files
from tensorboard_oracle import torch_writer

VECTORS = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def parsed_by_tensorboard(path: Path) -> Any:
    """Return a configuration as TensorBoard's own classes read it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from google.protobuf import text_format
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    return text_format.Parse(path.read_text(encoding="utf-8"), ProjectorConfig())


def read_by_tensorboard(run: Path, entry: Any) -> np.ndarray:
    """Return vectors as TensorBoard's plugin reads them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from tensorboard.plugins.projector import projector_plugin as plugin

    path = str(run / entry.tensor_path)
    try:
        return plugin._read_tensor_tsv_file(path)
    except UnicodeDecodeError:
        return plugin._read_tensor_binary_file(path, entry.tensor_shape)


def add(run: Path, *arguments: Any, **options: Any) -> Any:
    """Log one embedding and return what the run gives back of it."""
    with SummaryWriter(run) as writer:
        writer.add_embedding(*arguments, **options)
    opened = Run(run)
    found = opened.embeddings(options.get("tag"))
    assert not opened.problems
    return found[-1]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What is written


@pytest.mark.parametrize(
    "vectors",
    [
        VECTORS,
        np.zeros((7, 3), np.float32),
        np.full((5, 2), np.frombuffer(b"\n\n\n\n", "<f4")[0]),
        np.full((3, 4), np.float32(2.0)),  # 00 00 00 40: ASCII
        np.array([[0, 0, 2, np.frombuffer(b"\0\0\n\0", "<f4")[0], -1.5]], np.float32),  # a line of text, then none
        np.array([[3.4028235e38, 1.1754944e-38, 1e-45, -0.1]], np.float32),
        VECTORS.astype(np.float16),
        VECTORS.astype(np.float64)[:, ::-2],
        np.arange(12).reshape(3, 4),
        np.eye(3, dtype=bool),
        VECTORS[:1, :1],
    ],
)
def test_tensorboard_and_we_read_the_vectors_that_were_logged(tmp_path: Path, vectors: Any) -> None:
    read = add(tmp_path, vectors, tag="codes", global_step=3)
    expected = vectors.astype(np.float32)
    entry = parsed_by_tensorboard(tmp_path / "projector_config.pbtxt").embeddings[0]
    assert entry.tensor_name == "codes:00003"
    assert (read.tag, read.step) == ("codes", 3)
    np.testing.assert_array_equal(read.vectors, expected)
    np.testing.assert_array_equal(read_by_tensorboard(tmp_path, entry), expected)


@given(st.binary(min_size=4, max_size=64).map(lambda data: data[: len(data) // 4 * 4]))
def test_raw_vectors_are_never_taken_for_text(data: bytes) -> None:
    vectors = np.frombuffer(data, "<f4").reshape(-1, 1)
    stored, is_table = projector.encode_vectors(vectors)
    first = next((line for line in stored.split(b"\n") if line), b"")
    if is_table:
        np.testing.assert_array_equal(projector.decode_vectors(stored, ()), vectors)
        [float(cell) for cell in first.decode().split("\t")]
    else:
        assert stored == data
        with pytest.raises(UnicodeDecodeError):  # what TensorBoard's reader waits for
            first.decode()


def test_torch_tensors_and_lists(tmp_path: Path) -> None:
    import torch

    tensor = torch.from_numpy(VECTORS).requires_grad_()
    read = add(tmp_path, tensor, torch.arange(10), torch.zeros(10, 1, 4, 6, dtype=torch.bfloat16), torch.tensor(2))
    np.testing.assert_array_equal(read.vectors, VECTORS)
    assert read.step == 2
    assert read.metadata == {"label": [str(number) for number in range(10)]}
    assert read.thumbnails.shape == (10, 4, 6, 1)
    assert add(tmp_path, VECTORS.tolist(), tag="list").vectors.shape == (10, 4)


def test_numbers_that_cannot_be_shown_become_zero_with_a_warning_at_the_call(tmp_path: Path) -> None:
    vectors = VECTORS.astype(np.float64)
    vectors[2, 1], vectors[2, 3], vectors[5, 0] = np.nan, -np.inf, 1e300
    with SummaryWriter(tmp_path) as writer, pytest.warns(UserWarning, match="3 numbers in 2 of 10 vectors") as caught:
        writer.add_embedding(vectors)
    assert caught[0].filename == __file__
    expected = VECTORS.copy()
    expected[2, 1] = expected[2, 3] = expected[5, 0] = 0
    np.testing.assert_array_equal(Run(tmp_path).embeddings()[0].vectors, expected)


def test_the_step_of_the_block_is_used(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer, writer.use_metadata(global_step=7):
        writer.add_embedding(VECTORS)
        writer.add_embedding(VECTORS, global_step=-2)
    assert [(item.tag, item.step) for item in Run(tmp_path).embeddings()] == [("default", -2), ("default", 7)]


def test_positional_arguments_stand_in_the_order_of_torch(tmp_path: Path) -> None:
    import inspect

    from torch.utils.tensorboard import SummaryWriter as Torch

    ours, theirs = (list(inspect.signature(kind.add_embedding).parameters) for kind in (SummaryWriter, Torch))
    assert ours == theirs


# Tags, steps and the configuration


def test_tags_that_look_alike_do_not_meet(tmp_path: Path) -> None:
    tags = [
        "a",
        "A",
        "a/b",
        "a_b",
        "a b",
        "ä",
        "a\\b",
        'q"q',
        "..",
        ".",
        "x" * 300,
        "x" * 301,
        "con",
        "a:00001",
        "日本",
    ]
    with SummaryWriter(tmp_path) as writer:
        for number, tag in enumerate(tags):
            writer.add_embedding(np.full((2, 2), number + 0.1), tag=tag)
    run = Run(tmp_path)
    assert {item.tag: item.vectors[0, 0] for item in run.embeddings()} == {
        tag: np.float32(number + 0.1) for number, tag in enumerate(tags)
    }
    assert not run.problems
    folders = names_in(tmp_path / "projector" / "00000")
    assert len({folder.lower() for folder in folders}) == len(tags)
    assert all(name.isascii() and len(name) < 100 and name[0] != "." for name in folders)
    config = parsed_by_tensorboard(tmp_path / "projector_config.pbtxt")
    assert [entry.tensor_name for entry in config.embeddings] == [f"{tag}:00000" for tag in tags]


def test_an_embedding_logged_again_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for number in range(3):
        with SummaryWriter(tmp_path) as writer:
            writer.add_embedding(VECTORS[: number + 2], list(range(number + 2)), tag="codes", global_step=1)
            writer.add_embedding(VECTORS, tag="codes", global_step=2)
    config = parsed_by_tensorboard(tmp_path / "projector_config.pbtxt")
    assert sorted(entry.tensor_name for entry in config.embeddings) == ["codes:00001", "codes:00002"]
    first = Run(tmp_path).embeddings("codes")[0]
    assert len(first) == 4
    assert first.metadata == {"label": ["0", "1", "2", "3"]}
    assert names_in(tmp_path / "projector") == ["00001", "00002"]  # no left-over


def test_a_picture_that_is_not_logged_again_is_gone(tmp_path: Path) -> None:
    add(tmp_path, VECTORS, list("abcdefghij"), np.zeros((10, 3, 4, 4)))
    read = add(tmp_path, VECTORS)
    assert read.metadata == {}
    assert read.thumbnails is None
    assert names_in(tmp_path / "projector" / "00000" / "default") == ["tensors.bytes"]


def test_entries_of_other_programs_stay(tmp_path: Path, capsys: Any) -> None:
    from tensorboardX import SummaryWriter as XWriter

    foreign = torch_writer(tmp_path)
    foreign.add_embedding(VECTORS, list("abcdefghij"), tag="of torch", global_step=4)
    foreign.close()
    with XWriter(str(tmp_path)) as writer:
        writer.add_embedding(VECTORS * 2, tag="of X")
        writer.add_embedding(VECTORS * 2, tag="of X")
    config = tmp_path / "projector_config.pbtxt"
    config.write_text(f'model_checkpoint_path: "model.ckpt" # kept\n{config.read_text()}')
    add(tmp_path, VECTORS * 3, tag="ours")
    add(tmp_path, VECTORS * 4, tag="of torch", global_step=4)
    message = parsed_by_tensorboard(config)
    assert message.model_checkpoint_path == "model.ckpt"
    names = [entry.tensor_name for entry in message.embeddings]
    assert names == ["of X:00000", "of X:00000", "ours:00000", "of torch:00004"]
    read = {item.tag: item.vectors for item in Run(tmp_path).embeddings()}
    assert {tag: round(float(vectors[0, 0] / VECTORS[0, 0])) for tag, vectors in read.items()} == {
        "of X": 2,
        "ours": 3,
        "of torch": 4,
    }
    capsys.readouterr()


def test_a_damaged_configuration_is_put_aside(tmp_path: Path) -> None:
    config = tmp_path / "projector_config.pbtxt"
    config.write_text('embeddings {\n tensor_name: "lost')
    with SummaryWriter(tmp_path) as writer, pytest.warns(UserWarning, match="line 2 .* a new one begun") as caught:
        writer.add_embedding(VECTORS)
    assert caught[0].filename == __file__
    assert len(parsed_by_tensorboard(config).embeddings) == 1
    assert [path.read_text() for path in tmp_path.glob("*.damaged-*")] == ['embeddings {\n tensor_name: "lost']


def test_threads_and_processes_lose_no_entry(tmp_path: Path) -> None:
    code = (
        "import sys, numpy\nfrom convscope.recording import SummaryWriter\n"
        "with SummaryWriter(sys.argv[1]) as writer:\n"
        "    for step in range(8):\n        writer.add_embedding(numpy.eye(3), tag=sys.argv[2], global_step=step)"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, tmp_path, f"process{number}"]) for number in range(2)]
    with SummaryWriter(tmp_path) as writer:

        def log(tag: str) -> None:
            for step in range(8):
                writer.add_embedding(VECTORS, tag=tag, global_step=step)
                writer.add_embedding(VECTORS, tag="shared", global_step=0)

        threads = [threading.Thread(target=log, args=(f"thread{number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [other.wait(600) for other in others] == [0, 0]
    run = Run(tmp_path)
    found = {(item.tag, item.step) for item in run.embeddings()}
    tags = ["process0", "process1", "thread0", "thread1", "thread2"]
    assert found == {("shared", 0), *((tag, step) for tag in tags for step in range(8))}
    assert not run.problems


def test_a_writer_killed_at_any_moment_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = (
        "import sys, numpy\nfrom convscope.recording import SummaryWriter\n"
        "writer = SummaryWriter(sys.argv[1])\nprint('ready', flush=True)\nnumber = 0\n"
        "while True:\n    number += 1\n"
        "    writer.add_embedding(numpy.full((200 + number % 7, 50), 1 / number), list(range(200 + number % 7)))"
    )
    for delay in (0.0, 0.013, 0.05, 0.081):
        with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.05 + delay)
            writer.kill()
        run = Run(tmp_path)
        read = run.embeddings()
        assert not run.problems
        for item in read:
            assert len(np.unique(item.vectors)) == 1
            assert len(item.metadata["label"]) == len(item)
    add(tmp_path, VECTORS)
    assert names_in(tmp_path / "projector") == ["00000"]  # what the killed ones have left is swept


@pytest.mark.parametrize("survived", range(5))
def test_between_any_two_renames_all_that_is_named_is_whole(tmp_path: Path, monkeypatch: Any, survived: int) -> None:
    class KilledError(BaseException):
        pass

    add(tmp_path, VECTORS, list("abcdefghij"))
    add(tmp_path, VECTORS, tag="other")
    moves = []

    def counted(move: Any) -> Any:
        def moved(*arguments: Any) -> Any:
            moves.append(arguments)
            if len(moves) > survived:
                raise KilledError
            return move(*arguments)

        return moved

    with SummaryWriter(tmp_path) as writer:
        monkeypatch.setattr(Path, "rename", counted(Path.rename))
        monkeypatch.setattr(Path, "replace", counted(Path.replace))
        monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)  # who is killed does not tidy up
        try:
            writer.add_embedding(VECTORS[:3] * 2, list("ABC"))
            assert survived == 4
        except KilledError:
            assert survived < 4
        monkeypatch.undo()
    run = Run(tmp_path)
    found = {item.tag: (len(item), item.metadata.get("label", [None])[0]) for item in run.embeddings()}
    assert not run.problems
    assert found.pop("other") == (10, None)
    assert found in ({"default": (10, "a")}, {}, {"default": (3, "A")})
    assert bool(found) == (survived in (0, 4))
    assert len(add(tmp_path, VECTORS[:5])) == 5
    assert names_in(tmp_path / "projector") == ["00000"]


# Metadata


JAVASCRIPT_SPACE = "[\\t\\n\\v\\f\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*"


def read_as_the_projector_does(data: bytes) -> list[dict[str, str | None]]:
    """Follow the browser's part of the projector: blank lines are nothing, a tab in the first makes it names."""
    names, rows = ["label"], []
    for number, line in enumerate(
        line for line in data.decode().split("\n") if not re.fullmatch(JAVASCRIPT_SPACE, line)
    ):
        if number == 0 and "\t" in line:
            names = line.split("\t")
        else:
            cells = line.split("\t")
            rows.append({name: cells[column] or None for column, name in enumerate(names)})
    return rows


LABELS = [
    (["a", " b ", 'say "c"', "'d'"], {"label": ["a", " b ", 'say "c"', "'d'"]}),
    (["a\ttab", "a\nbreak", "dos\r\nbreak", "mac\rbreak"], {"label": ["a tab", "a break", "dos break", "mac break"]}),
    ([None, 1, 2.5, b"bytes"], {"label": ["", "1", "2.5", "bytes"]}),
    (["", "  ", "\u00a0", "日本\u2028"], {"label": ["", "  ", "\u00a0", "日本\u2028"]}),
    ([True, np.float32(0.1), np.int64(3), np.array(4)], {"label": ["True", "0.1", "3", "4"]}),
    (np.array([0.1, np.nan, 3, 1e10], np.float32), {"label": ["0.1", "", "3.0", "1e+10"]}),
    (np.array(["x", "yy", "z", ""]), {"label": ["x", "yy", "z", ""]}),
    (np.array([b"x", b"\xff", b"z", b"q"]), {"label": ["x", "\ufffd", "z", "q"]}),
    (np.arange(8).reshape(4, 2), {"column 1": ["0", "2", "4", "6"], "column 2": ["1", "3", "5", "7"]}),
    (np.array([["h", "i"], *[["1", "2"]] * 4]), {"h": ["1"] * 4, "i": ["2"] * 4}),
    ([["name", "size"], ("a", 1), ["b", 2], ["c", 3], ["", None]], {"name": [*"abc", ""], "size": [*"123", ""]}),
    ({"name": list("abcd"), "size": np.arange(4)}, {"name": list("abcd"), "size": ["0", "1", "2", "3"]}),
    (range(4), {"label": ["0", "1", "2", "3"]}),
    ((str(number) for number in range(4)), {"label": ["0", "1", "2", "3"]}),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "expected"), LABELS)
def test_labels_read_back_and_stand_in_their_rows(tmp_path: Path, metadata: Any, expected: Any) -> None:
    assert add(tmp_path, VECTORS[:4], metadata).metadata == expected
    rows = read_as_the_projector_does((tmp_path / "projector" / "00000" / "default" / "metadata.tsv").read_bytes())
    assert len(rows) == 4
    for name, column in expected.items():
        shown = [(row[name] or "").replace("\u200b", "") for row in rows]
        assert shown == [cell if cell.strip() else shown[number] for number, cell in enumerate(column)]


def test_a_header_names_the_columns(tmp_path: Path) -> None:
    rows = [("a", 1), ["b", 2]]
    header = ["name\twith tab", "size"]
    read = add(tmp_path, VECTORS[:2], rows, metadata_header=header)
    assert read.metadata == {"name with tab": ["a", "b"], "size": ["1", "2"]}
    assert add(tmp_path, VECTORS[:2], ["a", "b"], metadata_header=["name"], tag="one").metadata == {"label": ["a", "b"]}


@given(st.lists(st.lists(st.text(max_size=6), min_size=3, max_size=3), min_size=2, max_size=2))
def test_any_text_comes_back_but_for_tabs_and_breaks(columns: list[list[str]]) -> None:
    columns = [[cell.replace("\u200b", "") for cell in column] for column in columns]
    for names in (["label"], ["a", "b"]):
        table = dict(zip(names, columns, strict=False))
        data = projector.encode_metadata(table)
        expected = {name: [re.sub(r"\r\n|[\t\n\r]", " ", cell) for cell in table[name]] for name in names}
        assert projector.decode_metadata(data, 3) == expected
        assert len(read_as_the_projector_does(data)) == 3


def test_labels_of_other_frameworks(tmp_path: Path) -> None:
    import torch

    floats = torch.tensor([0.1, 2.0])
    assert columns_of(floats, None, 2) == columns_of(list(floats), None, 2) == {"label": ["0.1", "2.0"]}
    rows = [torch.tensor([1, 2]), torch.tensor([3, 4])]
    assert columns_of(rows, ["a", "b"], 2) == {"a": ["1", "3"], "b": ["2", "4"]}
    days = np.array(["2026-11-21", "NaT"], "datetime64[ns]")
    assert columns_of({"day": days}, None, 2) == {"day": ["2026-11-21T00:00:00.000000000", ""]}
    assert columns_of(list(days), None, 2) == {"label": ["2026-11-21T00:00:00.000000000", ""]}


def test_data_frames_are_recognised(tmp_path: Path) -> None:
    columns = {"name": ["a", None, "c"], "size": np.array([1.5, np.nan, 2], np.float32)}
    members = {"columns": list(columns), "__getitem__": lambda self, name: columns[name]}
    frame = type("DataFrame", (), members)()
    expected = {"name": ["a", "", "c"], "size": ["1.5", "", "2.0"]}
    assert add(tmp_path, VECTORS[:3], frame).metadata == expected
    pandas = pytest.importorskip("pandas")
    real = pandas.DataFrame(columns)
    assert columns_of(real, None, 3) == expected
    real["day"] = pandas.to_datetime(["2026-11-21", None, "2026-11-22"])
    real["kind"] = pandas.Categorical(["x", "y", "x"])
    real["whole"] = pandas.array([1, None, 3], dtype="Int64")
    read = columns_of(real, None, 3)
    assert read["kind"] == ["x", "y", "x"]
    assert read["whole"] == ["1", "", "3"]
    assert [day[:10] for day in read["day"]] == ["2026-11-21", "", "2026-11-22"]
    assert columns_of(real["name"], None, 3) == {"label": ["a", "", "c"]}


# Thumbnails


@pytest.mark.parametrize("count", [1, 2, 5, 9, 65])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_sprite_is_square_in_thumbnails_and_reads_back(tmp_path: Path, count: int, channels: int) -> None:
    pictures = np.random.default_rng(count).integers(0, 256, (count, channels, 5, 7), np.uint8)
    read = add(tmp_path, np.eye(count, 3), None, pictures)
    np.testing.assert_array_equal(read.thumbnails, pictures.transpose(0, 2, 3, 1))
    entry = parsed_by_tensorboard(tmp_path / "projector_config.pbtxt").embeddings[0].sprite
    assert list(entry.single_image_dim) == [7, 5]
    with Image.open(tmp_path / entry.image_path) as picture:
        side = -(-picture.width // 7)
        assert picture.size == (7 * side, 5 * side)
        assert (side - 1) ** 2 < count <= side**2


def test_thumbnails_of_all_types_and_layouts(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 8, 6, 3))
    expected = np.rint(values * 255).astype(np.uint8)
    kinds = {
        "nhwc": values,
        "nchw": values.transpose(0, 3, 1, 2).astype(np.float32),
        "half": values.astype(np.float16),
        "bytes": expected,
        "bool": values > 0.5,
        "grey": values[..., 0],
        "list": list(values.transpose(0, 3, 1, 2)),
    }
    for name, pictures in kinds.items():
        read = add(tmp_path, VECTORS[:3], label_img=pictures, tag=name).thumbnails
        wanted = {"bool": (values > 0.5) * 255, "grey": expected[..., :1]}.get(name, expected)
        assert read.shape == wanted.shape
        assert np.abs(read.astype(int) - wanted).max() <= (1 if name == "half" else 0)


def test_thumbnails_outside_the_range_are_clipped_with_a_warning(tmp_path: Path) -> None:
    pictures = np.full((2, 1, 2, 2), 0.5)
    pictures[0, 0, 0], pictures[1, 0, 1, 1] = (-0.1, 1.5), np.nan
    with SummaryWriter(tmp_path) as writer, pytest.warns(UserWarning, match="3 numbers of the thumbnails") as caught:
        writer.add_embedding(VECTORS[:2], label_img=pictures)
    assert caught[0].filename == __file__
    assert Run(tmp_path).embeddings()[0].thumbnails[..., 0].tolist() == [[[0, 255], [128, 128]], [[128, 128], [128, 0]]]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 3, 5, 7), (5, 7, 3)),
        ((2, 5, 7, 3), (5, 7, 3)),
        ((2, 4, 5, 3), (4, 5, 3)),
        ((2, 4, 5, 7), (5, 7, 4)),
        ((2, 3, 4, 4), (4, 4, 3)),
        ((2, 1, 3, 3), (3, 3, 1)),
        ((2, 6, 7), (6, 7, 1)),
    ],
)
def test_the_layout_of_thumbnails_follows_from_their_shape(tmp_path: Path, shape: Any, size: Any) -> None:
    assert add(tmp_path, VECTORS[:2], label_img=np.zeros(shape)).thumbnails.shape == (2, *size)


def test_a_sprite_that_no_browser_shows_is_shrunk_with_a_warning(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sprite, "LONGEST_SIDE", 64)
    pictures = np.zeros((9, 3, 32, 64), np.uint8)
    pictures[:, 0] = np.arange(9)[:, None, None] * 20
    with SummaryWriter(tmp_path) as writer, pytest.warns(UserWarning, match="from 64 × 32 to 21 × 10") as caught:
        writer.add_embedding(VECTORS[:9], label_img=pictures)
    assert caught[0].filename == __file__
    read = Run(tmp_path).embeddings()[0]
    assert read.thumbnail == (21, 10)
    np.testing.assert_array_equal(read.thumbnails[..., 0], np.arange(9)[:, None, None] * 20 * np.ones((10, 21)))


@pytest.mark.parametrize(("size", "target"), [((8, 6), (4, 3)), ((7, 5), (3, 2)), ((9, 9), (9, 4)), ((5, 3), (1, 1))])
def test_shrinking_takes_the_mean_over_the_area(size: tuple[int, int], target: tuple[int, int]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    fine = pictures.repeat(target[0], 1).repeat(target[1], 2).astype(np.float64)  # both sizes divide it
    mean = fine.reshape(2, target[0], size[0], target[1], size[1], 3).mean((2, 4))
    assert np.abs(sprite.shrink(pictures, *target) - mean).max() <= 0.5 + 1e-4


def test_a_sprite_never_exceeds_the_limit() -> None:
    for columns in (1, 3, 48, 129, 1000, 8192):
        for size in ((64, 64), (1, 9000), (300, 200)):
            height, width = sprite.fit(*size, columns)
            assert 1 <= height * columns <= sprite.LONGEST_SIDE
            assert 1 <= width * columns <= sprite.LONGEST_SIDE


# Bad input

BAD: list[tuple[dict[str, Any], str]] = [
    ({"mat": VECTORS[0]}, r"matrix \(N, D\) .* shape \(4,\)"),
    ({"mat": np.zeros((0, 4))}, r"shape \(0, 4\)"),
    ({"mat": np.zeros((4, 0))}, r"shape \(4, 0\)"),
    ({"mat": np.zeros((2, 3, 4))}, r"x.reshape\(len\(x\), -1\)"),
    ({"mat": VECTORS * 1j}, "complex"),
    ({"mat": ["a", "b"]}, "array of numbers"),
    ({"metadata": list("abc")}, "each of the 10 points, got 3"),
    ({"metadata": "abcdefghij"}, "got the text 'abcdefghij'"),
    ({"metadata": set("abcdefghij")}, "a set has no order"),
    ({"metadata": 3}, "got 3"),
    ({"metadata": np.zeros((10, 2, 2))}, r"shape \(10, 2, 2\)"),
    ({"metadata": [["a", "b"]] * 9 + [["a"]]}, r"row 9 is \['a'\]"),
    ({"metadata": [[]] * 10}, "are empty"),
    ({"metadata": [["a", "b"]] * 10, "metadata_header": ["x"]}, "1 names for rows of 2"),
    ({"metadata": list("abcdefghij"), "metadata_header": ["x", "y"]}, "2 names for labels of one column"),
    ({"metadata": [["a", "b"]] * 10, "metadata_header": ["x", "x"]}, "different names"),
    ({"metadata": {}}, "different names"),
    ({"metadata": {"a": list("abc")}}, "column 'a' has 3"),
    ({"metadata": {"a": [1] * 10}, "metadata_header": ["x"]}, "leave metadata_header out"),
    ({"metadata_header": ["x"]}, "there is no metadata"),
    ({"label_img": np.zeros((9, 3, 4, 4))}, "each of the 10 points, got 9"),
    ({"label_img": np.zeros((10, 2, 5, 5))}, "1, 3 or 4 channels"),
    ({"label_img": np.zeros((10, 3, 0, 4))}, "1, 3 or 4 channels"),
    ({"label_img": np.zeros((10, 4))}, r"got \(10, 4\)"),
    ({"label_img": np.zeros((10, 3, 4, 4), complex)}, "complex"),
    ({"tag": ""}, "tag"),
    ({"global_step": 0.5}, "whole number"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, options: Any, message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        writer.add_embedding(**{"mat": VECTORS, **options})
    assert not (tmp_path / "projector").exists()
    assert not (tmp_path / "projector_config.pbtxt").exists()


def test_a_writer_that_does_not_write_only_looks(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run", write_to_disk=False) as writer:
        writer.add_embedding(VECTORS)
        with pytest.raises(InputError, match="each of the 10 points"):
            writer.add_embedding(VECTORS, ["a"])
    assert not (tmp_path / "run").exists()


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.close()
    with pytest.raises(InputError, match="closed"):
        writer.add_embedding(VECTORS)


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3, 4])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: Any, fails_at: int) -> None:
    pictures = np.zeros((10, 3, 4, 4))
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(VECTORS, list("abcdefghij"), pictures)
        written, write = [], files.write_durably

        def fail(path: Path, data: bytes) -> None:
            written.append(path)
            if len(written) > fails_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, data)

        monkeypatch.setattr(files, "write_durably", fail)
        with pytest.raises(StorageError, match=r"cannot write the embedding 'default' .*No space left.*make room"):
            writer.add_embedding(VECTORS * 2, list("ABCDEFGHIJ"), pictures)
        monkeypatch.undo()
    run = Run(tmp_path)
    np.testing.assert_array_equal(run.embeddings()[0].vectors, VECTORS)
    assert run.embeddings()[0].metadata["label"][0] == "a"
    assert not run.problems
    assert names_in(tmp_path / "projector") == ["00000"]


def test_embeddings_go_to_a_url(tmp_path: Path, monkeypatch: Any) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("CONVSCOPE_SPOOL", str(tmp_path / "spool"))
    place = tmp_path.name
    with SummaryWriter(f"memory://{place}") as writer:
        for step in range(2):
            writer.add_embedding(VECTORS + step, list("abcdefghij"), np.zeros((10, 3, 4, 4)), step)
    fsspec.filesystem("memory").get(f"/{place}/", str(tmp_path / "copy"), recursive=True)
    run = Run(tmp_path / "copy")
    assert [(item.step, len(item.thumbnails)) for item in run.embeddings()] == [(0, 10), (1, 10)]
    np.testing.assert_array_equal(run.embeddings()[1].vectors, VECTORS + 1)


def test_a_directory_that_has_vanished_is_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = SummaryWriter(run)
    try:
        run.rename(tmp_path / "moved")
        with pytest.raises(StorageError, match=r"cannot write the embedding 'default'"):
            writer.add_embedding(VECTORS)
        assert not run.exists()
    finally:
        (tmp_path / "moved").rename(run)
        writer.close()
