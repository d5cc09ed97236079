"""The commands ``convscope importance`` and ``convscope ablate``: what they write, refuse, and go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from convscope import Run
from convscope.cli import app
from convscope.errors import ConvscopeError, InputError
from convscope.jobs import filters
from convscope.jobs.filters import Measurement, ablate_folder, importance_of_folder
from convscope.jobs.folder import Question
from convscope.jobs.record import Progress

NETWORK = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(5, 3))
"""
QUESTION = Question(layers=["0"], input_shape=(1, 12, 12))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network and labelled pictures, which the commands run in."""
    (tmp_path / "small_networks.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (9, 12, 12), np.uint8)
    np.savez(tmp_path / "labelled.npz", images=pictures, labels=np.arange(9) % 3)
    np.save(tmp_path / "bare.npy", pictures)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def quiet(_: str) -> Progress:
    return lambda *_: None


def run(*words: str) -> Any:
    shape = ["--input-shape", "1,12,12", "--weights", "random"]
    return CliRunner().invoke(app, [*words, *shape, "--layer", "0", "-o", "out"])


def arrays(kind: str, tag: str = "0", out: str = "out") -> dict[str, Any]:
    found = Run(Path(out))
    (entry,) = found.entries(kind, tag)
    return found.record(entry).arrays()


@pytest.mark.usefixtures("here")
def test_both_write_into_one_run() -> None:
    first = run("importance", "small_networks:net", "labelled.npz", "--pictures", "2")
    assert first.exit_code == 0, first.output
    assert "0: by taylor filters" in first.output
    second = run("ablate", "small_networks:net", "labelled.npz", "--points", "3")
    assert second.exit_code == 0, second.output
    assert "with all 6 filters, without 3:" in second.output
    assert arrays("importance")["importance"].shape == (3, 4, 6)
    assert arrays("weight_gradients")["gradient"].shape == (2, 6, 1, 3, 3)
    assert arrays("weight_gradients", "0/means")["gradient"].shape == (3, 6, 1, 3, 3)
    assert arrays("ablation")["accuracy"].shape == (3, 3)
    assert arrays("ablation")["single"].shape == (6,)
    entry = Run(Path("out")).entries("weight_gradients", "0")[0]
    assert Run(Path("out")).record(entry).tile("input", 1, 0).shape == (12, 12, 1)
    left = sorted(path.name for path in Path("out").iterdir() if path.name.startswith("."))
    assert not [name for name in left if "checkpoint" in name or name.endswith(".json")]
    with pytest.raises(InputError, match="out already holds ablation of 0"):
        ablate_folder("small_networks:net", "labelled.npz", Path("out"), QUESTION, Measurement(), quiet)


@pytest.mark.usefixtures("here")
def test_an_interrupted_ablation_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def go(out: str, bar: Any = quiet, **asked: Any) -> list[str]:
        measured = Measurement(points=4, **asked)
        return ablate_folder("small_networks:net", "labelled.npz", Path(out), QUESTION, measured, bar)

    plain = filters.Model.ablation

    def small(model: Any, images: Any, layer: str, **options: Any) -> Any:
        return plain(model, images, layer, batch_size=2, **options)

    monkeypatch.setattr(filters.Model, "ablation", small)
    seen: list[tuple[str, int]] = []

    def dying(label: str) -> Progress:
        def progress(done: int, _: int) -> None:
            seen.append((label, done))
            if label == "ablation of 0" and done == 4:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        go("out", dying)
    with pytest.raises(InputError, match=r"begun with other settings.* remove out/\.ablate\.json to give it up"):
        go("out", seed=3)
    Path("out/..ablate.0.order.checkpoint.1-0").touch()  # of a call that was killed while it wrote
    again: list[tuple[str, int]] = []
    go("out", lambda label: lambda done, _: again.append((label, done)))
    assert next(done for label, done in again if label == "ablation of 0") > 4
    go("whole")
    assert not [path.name for path in Path("out").iterdir() if path.name.startswith(".")]
    ours, theirs = arrays("ablation"), arrays("ablation", out="whole")
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("job", "pictures", "question", "asked", "sentence"),
    [
        (ablate_folder, "bare.npy", {}, {}, "have no labels, so right and wrong cannot be told apart; give a folder"),
        (ablate_folder, "labelled.npz", {"layers": None}, {}, "no layer was named; say which with --layer: 0, 2, 5"),
        (ablate_folder, "labelled.npz", {"layers": ["1"]}, {}, r"layer '1' \(ReLU\) has no filters"),
        (ablate_folder, "labelled.npz", {}, {"measure": "tylor"}, "did you mean 'taylor'"),
        (importance_of_folder, "labelled.npz", {}, {"classes": (7,)}, r"no class 7; the network tells 0\.\.2 apart"),
        (importance_of_folder, "labelled.npz", {}, {"targets": (0, 1)}, "targets are the network's output for each"),
        (
            importance_of_folder,
            "labelled.npz",
            {},
            {"targets": (0, 1, 1 << 99)},
            "targets are the network's output for",
        ),
        (importance_of_folder, "labelled.npz", {}, {"measures": ()}, "no measure was given"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    job: Any, pictures: str, question: dict[str, Any], asked: dict[str, Any], sentence: str
) -> None:
    whole = Question(**{"layers": ["0"], "input_shape": (1, 12, 12), **question})
    with pytest.raises(ConvscopeError, match=sentence):
        job("small_networks:net", pictures, Path("out"), whole, Measurement(**asked), quiet)
    assert not Path("out").exists()


@pytest.mark.usefixtures("here")
def test_mean_gradients_that_are_there_are_not_passed_over() -> None:
    opened = filters.open_model("small_networks:net", QUESTION)
    with filters.SummaryWriter("out") as writer:
        images = filters.image_set("labelled.npz", filters.whole_input(opened))
        filters.record_weight_gradients(opened, images, writer, layer="0", mean=True)
    with pytest.raises(InputError, match="weight_gradients of 0/means"):
        importance_of_folder("small_networks:net", "labelled.npz", Path("out"), QUESTION, Measurement(), quiet)


@pytest.mark.usefixtures("here")
def test_pictures_without_labels_have_an_importance() -> None:
    measured = Measurement(classes=(2,), pictures=0)
    importance_of_folder("small_networks:net", "bare.npy", Path("out"), QUESTION, measured, quiet)
    assert arrays("importance")["importance"].shape == (3, 2, 6)
    assert [entry.tag for entry in Run(Path("out")).entries("weight_gradients")] == ["0/means"]


def test_a_wrong_number_of_a_class_is_refused() -> None:
    said = CliRunner().invoke(app, ["importance", "x", "y", "--layer", "0", "-o", "z", "--classes", "cat"])
    assert isinstance(said.exception, InputError)
    assert "--classes takes whole numbers separated by commas" in str(said.exception)
