"""Bad input to the writer: one sentence each, raised before anything is written; the writer goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convscope.errors import InputError, StorageError
from convscope.recording import SummaryWriter
from convscope.store import Run
from convscope.summary import Summary

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(4, 3))
# one good call of each method
GOOD: dict[str, tuple[Any, ...]] = {
    "add_scalar": ("t", 1.0),
    "add_scalars": ("t", {"a": 1.0}),
    "log": ({"t": 1.0},),
    "add_histogram": ("t", VECTORS),
    "add_histogram_raw": ("t", 0.0, 1.0, 2, 1.0, 1.0, [0.5, 1.5], [1, 1]),
    "add_tensor": ("t", VECTORS),
    "add_image": ("t", np.zeros((3, 4, 5))),
    "add_images": ("t", np.zeros((2, 3, 4, 5))),
    "add_image_with_boxes": ("t", np.zeros((3, 4, 5)), np.array([[0, 0, 2, 2]])),
    "add_video": ("t", np.zeros((1, 2, 3, 4, 5))),
    "add_audio": ("t", np.zeros((1, 10))),
    "add_text": ("t", "words"),
    "add_pr_curve": ("t", [0, 1], [0.2, 0.7]),
    "add_pr_curves": ("t", [0, 1], [[0.2, 0.8], [0.7, 0.3]]),
    "add_roc_curves": ("t", [0, 1], [[0.2, 0.8], [0.7, 0.3]]),
    "add_confusion_matrix": ("t", [0, 1], [1, 1]),
    "add_embedding": (VECTORS,),
    "add_mesh": ("t", np.zeros((1, 4, 3))),
    "add_hparams": ({"lr": 0.1}, {"t": 1.0}),
    "add_custom_scalars": ({"c": {"p": ["Multiline", ["t"]]}},),
    "add_custom_scalars_multilinechart": (["t"],),
    "add_custom_scalars_marginchart": (["t", "u", "v"],),
    "add_graph": (torch.nn.Linear(3, 2), torch.zeros(1, 3)),
    "add": (Summary("filters", "t", arrays={"weight": np.zeros((1, 1, 2, 2), np.float32)}),),
}
# what no method can make sense of, in the place of what is logged
WRONG = [
    ("add_scalar", "t", object(), "array of numbers"),
    ("add_scalar", "t", np.zeros(3), "one real number"),
    ("add_scalar", "t", np.zeros(0), "one real number"),
    ("add_scalar", "t", None, "array of numbers"),
    ("add_histogram", "t", np.zeros((0, 3)), "at least one value"),
    ("add_histogram", "t", np.array(["a"]), "array of numbers"),
    ("add_histogram", "t", np.zeros(3, complex), "real numbers"),
    ("add_tensor", "t", object(), "array of numbers"),
    ("add_image", "t", np.zeros((3, 0, 5)), "pixel"),
    ("add_image", "t", np.zeros((2, 2, 2, 2, 2)), "does not fit"),
    ("add_image", "t", np.zeros((3, 4, 5), complex), "picture"),
    ("add_images", "t", np.zeros((2, 5, 4, 5)), "channels"),
    ("add_video", "t", np.zeros((3, 4)), "does not fit"),
    ("add_audio", "t", np.zeros(0), "sound"),
    ("add_mesh", "t", np.zeros((4, 2)), "vertices"),
    ("add_figure", "t", "no figure", "figure"),
    ("add_custom_scalars", {"c": {"p": ["Pie", ["t"]]}}, None, "Pie"),
]


@pytest.mark.parametrize("method", GOOD)
def test_a_closed_writer_refuses_everything_and_says_so(method: str, tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.close()
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(InputError, match="closed; make a new SummaryWriter"):
        getattr(writer, method)(*GOOD[method])
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("method", GOOD)
def test_a_good_call_is_good(method: str, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        getattr(writer, method)(*GOOD[method])
    run = Run(tmp_path)
    assert run.tags() or run.embeddings()
    assert run.problems == []


@pytest.mark.parametrize(("method", "tag", "value", "message"), WRONG)
def test_what_makes_no_sense_is_one_sentence_and_leaves_no_trace(
    method: str, tag: Any, value: Any, message: str, tmp_path: Path
) -> None:
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(InputError, match=message) as raised:
            getattr(writer, method)(*([tag] if value is None and method.startswith("add_custom") else [tag, value]))
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 300
        writer.add_text("still", "alive")
    assert Run(tmp_path).tags() == {"text": ["still"]}


TAGGED = [name for name, call in GOOD.items() if isinstance(call[0], str)]


@pytest.mark.parametrize("method", TAGGED)
@pytest.mark.parametrize(
    ("tag", "message"), [("", "non-empty"), (None, "non-empty"), (7, "non-empty"), ("x" * 10_240, "at most 4096")]
)
def test_tags_that_name_nothing(method: str, tag: Any, message: str, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        getattr(writer, method)(tag, *GOOD[method][1:])
    assert Run(tmp_path).tags() == {}


STEPPED = [name for name in GOOD if not name.startswith(("add_custom", "add_graph", "add_hparams"))]


@pytest.mark.parametrize("method", STEPPED)
def test_steps_that_are_no_whole_numbers_and_steps_that_go_back(method: str, tmp_path: Path) -> None:
    call: Callable[..., Any] = getattr
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(InputError, match="whole number"):
            call(writer, method)(*GOOD[method], global_step=0.5)
        for step in (5, 3, -1, np.int32(4), torch.tensor(2), 7.0):
            call(writer, method)(*GOOD[method], global_step=step)
    run = Run(tmp_path)
    if method == "add_embedding":
        assert len(run.embeddings()) == 6
    else:
        assert run.tags()


def test_a_directory_that_vanishes_is_told(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "run"
    writer = SummaryWriter(folder)
    shutil.rmtree(folder)
    with pytest.raises(StorageError, match="deleted"):
        writer.flush()
    writer.add_scalar("x", 1.0)  # told once: the loop goes on
    writer.close()


def test_a_read_only_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    if os.geteuid() == 0:  # root may write anywhere: a directory that no file can be made in stands in
        target = Path("/proc/convscope")
    else:
        target = tmp_path / "closed"
        target.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="choose another log_dir"):
        SummaryWriter(target)
