"""Embeddings that were logged for TensorBoard's projector, read back from everybody's files, damaged ones too."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convscope.errors import FormatError, StorageError
from convscope.formats import pbtxt, projector
from convscope.recording import SummaryWriter
from convscope.store import Run
from tensorboard_oracle import torch_writer
from test_projector import VECTORS, add


def test_logs_of_torch_and_tensorboardx_are_read(tmp_path: Path, capsys: Any) -> None:
    import torch
    from tensorboardX import SummaryWriter as XWriter

    pictures = torch.rand(10, 3, 8, 8)
    for name, make in {"torch": torch_writer, "X": lambda path: XWriter(str(path))}.items():
        writer = make(tmp_path / name)
        writer.add_embedding(torch.from_numpy(VECTORS), list("abcdefghij"), pictures, 12, "a/codes")
        writer.add_embedding(torch.from_numpy(VECTORS), [("x", 1)] * 10, metadata_header=["name", "size"], tag="two")
        writer.add_embedding(torch.from_numpy(VECTORS), [(f"x{n}",) for n in range(10)], metadata_header=["one"])
        writer.close()
        run = Run(tmp_path / name)
        read = {item.tag: item for item in run.embeddings()}
        assert not run.problems
        assert {tag: item.step for tag, item in read.items()} == {"a/codes": 12, "two": 0, "default": 0}
        np.testing.assert_array_equal(read["a/codes"].vectors, VECTORS)
        assert read["a/codes"].metadata == {"label": list("abcdefghij")}
        assert read["two"].metadata == {"name": ["x"] * 10, "size": ["1"] * 10}
        assert read["default"].metadata == {"one": [f"x{n}" for n in range(10)]}
        thumbnails = read["a/codes"].thumbnails.astype(int)
        assert np.abs(thumbnails - pictures.numpy().transpose(0, 2, 3, 1) * 255).max() <= 1
    capsys.readouterr()


def mxboard_log(run: Path) -> None:
    """Write what MXBoard writes: the step in the folder's name, everything appended, no quoting."""
    for tag in ("codes", "codes_000012"):
        (run / tag).mkdir(parents=True)
        (run / tag / "tensors.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in VECTORS.tolist()))
        (run / tag / "metadata.tsv").write_text("".join(f"{number}\n" for number in range(10)))
        Image.fromarray(np.full((4 * 5, 4 * 5, 3), 7, np.uint8)).save(run / tag / "sprite.png")
        with (run / "projector_config.pbtxt").open("a") as file:
            file.write(
                f'embeddings {{\ntensor_name: "{tag}"\ntensor_path: "{tag}/tensors.tsv"\n'
                f'metadata_path: "{tag}/metadata.tsv"\nsprite {{\nimage_path: "{tag}/sprite.png"\n'
                "single_image_dim: 5\nsingle_image_dim: 5\n}\n}\n"
            )


def test_logs_of_mxboard_are_read(tmp_path: Path) -> None:
    mxboard_log(tmp_path)
    config = tmp_path / "projector_config.pbtxt"
    config.write_text(config.read_text() * 2)  # as after a second run
    run = Run(tmp_path)
    read = run.embeddings()
    assert not run.problems
    assert [(item.tag, item.step) for item in read] == [("codes", 0), ("codes", 12)]
    for item in read:
        np.testing.assert_array_equal(item.vectors, VECTORS)
        assert item.metadata == {"label": [str(number) for number in range(10)]}
        assert (item.thumbnails == 7).all()


def test_a_run_without_embeddings_has_none(tmp_path: Path) -> None:
    SummaryWriter(tmp_path).close()
    run = Run(tmp_path)
    assert run.embeddings() == []
    assert run.problems == []


def test_what_is_read_cannot_be_changed(tmp_path: Path) -> None:
    read = add(tmp_path, VECTORS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.step = 3


CONFIGS = [
    ("embeddings {", "line 1 should have the name of a field where it has its end"),
    ("embeddings: 3", "embeddings should be a message"),
    ('embeddings { tensor_path: "t" tensor_shape: x }', "tensor_shape should be a whole number"),
    ("§", "line 1 is not text"),
    ("a" * 40, "should have ':'"),
    ("a {" * 100, "deeper than 32"),
    ("\x00\xff", "utf-8"),
]


@pytest.mark.parametrize(("text", "problem"), CONFIGS)
def test_a_damaged_configuration_is_told(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "projector_config.pbtxt").write_bytes(text.encode("latin-1" if text[0] == "\x00" else "utf-8"))
    run = Run(tmp_path)
    assert run.embeddings() == []
    assert problem in run.problems[0]
    assert run.problems[0].startswith("projector_config.pbtxt: ")


ENTRIES = [
    ('tensor_path: "../secret"', "leads out of the run directory"),
    ('tensor_path: "/etc/passwd"', "leads out of the run directory"),
    ('tensor_path: "link/secret"', "leads out of the run directory"),
    ('tensor_path: "a\\000b"', "is not the path of a file"),
    ('tensor_path: "none.tsv"', "none.tsv cannot be read (No such file"),
    ('tensor_path: "folder"', "folder cannot be read (Is a directory"),
    ('tensor_path: "words.tsv"', "words.tsv has 10 bytes, which are neither"),
    ('tensor_path: "ragged.tsv"', "ragged.tsv is not a table of numbers"),
    ('tensor_path: "empty"', "empty has 0 bytes"),
    ('tensor_path: "raw" tensor_shape: 3 tensor_shape: 5', "raw has 16 bytes, which are neither"),
    ('tensor_name: "variable:0"', "kept in a checkpoint of TensorFlow"),
    ('tensor_path: "good.tsv" metadata_path: "words.tsv"', "words.tsv has 1 lines of metadata for 2 vectors"),
    ('tensor_path: "good.tsv" metadata_path: "../secret"', "leads out"),
    ('tensor_path: "good.tsv" sprite { image_path: "../secret" single_image_dim: [1, 1] }', "leads out"),
    ('tensor_path: "good.tsv" sprite { image_path: "none.png" single_image_dim: [1, 1] }', "is not there"),
    ('tensor_path: "good.tsv" sprite { image_path: "words.tsv" }', "the size of a thumbnail is not told"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "problem"), ENTRIES)
def test_an_entry_that_makes_no_sense_is_told_and_the_others_are_read(tmp_path: Path, entry: str, problem: str) -> None:
    run = tmp_path / "run"
    (run / "folder").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for secret in (tmp_path / "secret", tmp_path / "outside" / "secret"):
        secret.write_text("1\t2\n")
    (run / "link").symlink_to(tmp_path / "outside")
    (run / "words.tsv").write_text("not a num\n")
    (run / "ragged.tsv").write_text("1\t2\n3\n")
    (run / "good.tsv").write_text("1\t2\n3\t4\n")
    (run / "raw").write_bytes(np.ones(4, "<f4").tobytes())
    (run / "empty").touch()
    (run / "projector_config.pbtxt").write_text(
        f'embeddings {{ {entry} }}\nembeddings {{ tensor_name: "good" tensor_path: "good.tsv" }}\n'
    )
    opened = Run(run)
    assert [item.tag for item in opened.embeddings()] == ["good"]
    assert len(opened.problems) == 1
    assert problem in opened.problems[0]


def test_damaged_thumbnails_are_told_when_they_are_asked_for(tmp_path: Path) -> None:
    read = add(tmp_path, VECTORS, None, np.zeros((10, 3, 4, 4)))
    with pytest.raises(FormatError, match="room for 9 thumbnails 5 × 5, not for 10"):
        _ = dataclasses.replace(read, thumbnail=(5, 5)).thumbnails
    whole = read.sprite.read_bytes()
    for damaged in (b"", b"words", whole[:40], whole[:60] + bytes(20) + whole[80:]):
        read.sprite.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"sprite.png is not a picture"):
            _ = read.thumbnails
    read.sprite.unlink()
    with pytest.raises(StorageError, match=r"cannot read .*sprite.png"):
        _ = read.thumbnails


# The text form of protocol buffers


def test_the_text_form_is_read_as_protobuf_reads_it() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from google.protobuf import json_format, text_format
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
    text = r"""# a comment with "quotes" { and braces
    model_checkpoint_path: 'single "quoted" \'x\'';
    embeddings <tensor_name: "a\n\t\\\"\x41\102\303\244ä" "joined", tensor_path: "p" tensor_shape: [3, 4]>
    embeddings: [{tensor_name: "b" tensor_path: "q"}, {tensor_name: "c" tensor_path: "r"  # "}"
      sprite {image_path: "s" single_image_dim: 5 single_image_dim: 6}}]
    """
    message = text_format.Parse(text, ProjectorConfig())
    ours = projector.decode_config(text)
    assert [
        (e.tensor_name, e.tensor_path, tuple(e.tensor_shape), e.sprite.image_path, tuple(e.sprite.single_image_dim))
        for e in message.embeddings
    ] == [(e.name, e.tensor_path, e.shape, e.sprite_path, e.thumbnail if e.sprite_path else ()) for e in ours]
    assert ours[0].name == 'a\n\t\\"AB' + "ääjoined"
    kept = text_format.Parse(projector.without(text, "b"), ProjectorConfig())
    del message.embeddings[1]
    assert json_format.MessageToJson(kept) == json_format.MessageToJson(message)


@given(st.text(max_size=20))
def test_any_string_is_quoted_as_protobuf_reads_it(text: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from google.protobuf import text_format
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
    written = f"model_checkpoint_path: {pbtxt.quote(text)}"
    assert text_format.Parse(written, ProjectorConfig()).model_checkpoint_path == text
    assert pbtxt.parse(written)[0].value == text


@given(st.text(alphabet="ab{}<>[]:;,\"\\'#\n 1", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        fields = pbtxt.parse(text)
    except FormatError:
        return
    json.dumps([field.name for field in fields])
