"""The main job at a small size: all stages, what they leave, and what an interruption leaves."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from convscope import Logdir, Run
from convscope.demo import DemoOptions, main, run_demo
from convscope.demo.stages import Ledger
from convscope.demo.training import Recipe
from convscope.errors import InputError, StorageError
from convscope.jobs.projections import read_projection


def test_each_stage_leaves_what_the_pages_show(small_demo: Path) -> None:
    runs = {run.name: run for run in Logdir(small_demo).runs()}
    assert set(runs) == {
        "mnist/training",
        "mnist/channels",
        "mnist/embedding",
        "mnist/volumes",
        "mnist/filters",
    }
    training = runs["mnist/training"]
    loss = training.scalars("train/loss")
    assert len(loss.step) == 24
    assert loss.value[-4:].mean() < loss.value[:4].mean()
    assert {"gradients/conv1.weight", "weights/fc2.bias", "activations/relu2"} <= set(training.tags()["histogram"])
    assert [entry.step for entry in training.entries("filters", "conv1")] == [0, 12, 24]
    assert len(training.images("train/first batch")) == 2
    assert [picture.step for picture in training.images("filters/conv1")] == list(range(1, 25, 2))
    accuracy = training.scalars("test/accuracy").value[1:]  # that of step 0 stands alone
    for entry, expected in zip(training.entries("confusion_matrix", "test"), accuracy, strict=True):
        counts = training.record(entry).arrays()["counts"]
        assert np.trace(counts) / counts.sum() == pytest.approx(expected)
    for entry, curve in zip(training.entries("curves", "test"), training.pr_curves("test/7"), strict=True):
        assert entry.step == curve.step
        assert training.record(entry).arrays()["auc"][7] > 0.7


def test_the_channels_are_complete_and_true_to_the_search(small_demo: Path) -> None:
    run = Run(small_demo / "mnist" / "channels")
    for layer, channels in (("conv1", 32), ("conv2", 64)):
        record = run.record(run.entries("topk", layer)[-1])
        assert record.meta["complete"]
        assert record.meta["images_seen"] == 120
        arrays = record.arrays()
        assert arrays["value"].shape == (channels, 9)
        found = arrays["image"] >= 0
        np.testing.assert_allclose(arrays["recomputed"][found], arrays["value"][found], rtol=1e-4, atol=1e-6)
        assert record.meta["mismatches"] == 0
        assert {"patch", "map", "deconvnet", "guided_backprop"} <= set(record.pictures)


def test_tsne_was_recorded_on_its_way_and_keeps_classes_together(small_demo: Path) -> None:
    run = Run(small_demo / "mnist" / "embedding")
    final = read_projection(run, "fc1/tsne")
    assert final.frames is not None
    assert final.frames.iterations.tolist() == list(range(0, 120, 5))
    assert final.is_final
    assert final.embedding == run.entries("embedding")[0].id
    assert final.quality["label_accuracy"] > 0.6
    assert {entry.step for entry in run.entries("projection")} == {0}  # that of the embedding
    assert len(Run(small_demo / "mnist" / "volumes").entries("volume")) == 3


def test_a_few_large_values_do_not_leave_a_volume_dark(small_demo: Path) -> None:
    run = Run(small_demo / "mnist" / "volumes")
    for entry in run.entries("volume"):
        volume = run.record(entry)
        values = volume.arrays()["volume"]
        assert volume.meta["scaling"] == {"by": "layer", "percentiles": [0.2, 99.8]}
        np.testing.assert_allclose(volume.meta["window"], np.percentile(values, [0.2, 99.8]), rtol=1e-5)
        assert volume.meta["window"][1] < values.max()


def test_what_each_filter_matters_is_measured(small_demo: Path) -> None:
    run = Run(small_demo / "mnist" / "filters")
    for layer, filters in (("conv1", 32), ("conv2", 64)):
        ablation = run.record(run.entries("ablation", layer)[-1])
        arrays = ablation.arrays()
        assert arrays["removed"].tolist() == list(np.round(np.linspace(0, filters, 17)).astype(int))
        assert arrays["accuracy"][0, 0] > 0.5 > arrays["accuracy"][0, -1]
        assert [curve["name"] for curve in ablation.meta["curves"]] == ["least first", "most first", "random"]
        assert run.record(run.entries("importance", layer)[-1]).arrays()["importance"].shape == (3, 11, filters)
    means = run.record(run.entries("weight_gradients", "conv1/means")[-1])
    volumes = [run.record(entry) for entry in run.entries("volume")]
    assert len(volumes) == len(means.meta["groups"]) == 10
    np.testing.assert_array_equal(volumes[3].arrays()["volume"], means.arrays()["sum"][3])
    assert {tuple(volume.arrays()["order"]) for volume in volumes} == {tuple(volumes[0].arrays()["order"])}


def options(out: Path, **changes: Any) -> DemoOptions:
    return DemoOptions(out, alexnet=False, offline=True, port=0, open_browser=False, stay=False, **changes)


def tell(chosen: DemoOptions) -> str:
    said = io.StringIO()
    run_demo(chosen, Console(file=said, width=200))
    return said.getvalue()


def test_a_second_run_finds_everything_there(small_demo: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(small_demo, tmp_path / "copy", ignore=shutil.ignore_patterns(".convscope-columns*"))
    assert "everything is there already" in tell(options(copy))


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_interrupted_it_resumes_with_the_stage_it_was_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        main, "FULL", main.Scale(Recipe(1, 200, batch=50, tested=100, judged=100), 60, 60, 30, 1, measured=40)
    )
    real = main.record_embedding
    monkeypatch.setattr(main, "record_embedding", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tell(options(tmp_path / "run"))
    before = Run(tmp_path / "run" / "mnist" / "training").scalars("train/loss").value
    assert json.loads((tmp_path / "run" / "demo.json").read_text())["done"] == ["training", "channels"]

    monkeypatch.setattr(main, "record_embedding", real)
    said = tell(options(tmp_path / "run"))
    assert "resuming: training, channels done already" in said
    after = Run(tmp_path / "run" / "mnist" / "training").scalars("train/loss").value
    np.testing.assert_array_equal(before, after)
    assert read_projection(tmp_path / "run" / "mnist" / "embedding", "fc1/tsne").iteration == 30

    said = io.StringIO()
    monkeypatch.setattr(main, "record_maps", interrupt)  # what comes after the training has been seen
    with pytest.raises(KeyboardInterrupt):
        run_demo(options(tmp_path / "run", seed=1), Console(file=said, width=200))
    assert "starting clean" in said.getvalue()
    assert not np.array_equal(before, Run(tmp_path / "run" / "mnist" / "training").scalars("train/loss").value)


def test_the_same_seed_gives_the_same_curve(small_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        main, "FULL", main.Scale(Recipe(2, 600, batch=50, tested=100, judged=100), 60, 60, 30, 1, measured=40)
    )
    monkeypatch.setattr(main, "record_maps", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tell(options(tmp_path / "run"))
    curves = [Run(base / "mnist" / "training").scalars("train/loss").value for base in (small_demo, tmp_path / "run")]
    np.testing.assert_array_equal(*curves)


STAGES = {"first": ("runs/a", ".demo/weights"), "second": ("runs/b",)}


def make(out: Path, *paths: str) -> None:
    for path in paths:
        (out / path).mkdir(parents=True, exist_ok=True)


def finished(out: Path, settings: dict[str, Any]) -> None:
    """Leave what a demo that is through leaves."""
    with Ledger(out) as ledger:
        ledger.begin(settings, STAGES)
        make(out, "runs/a", "runs/b", ".demo/weights")
        ledger.finish("first")
        ledger.finish("second")


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="not made by the demo"):
        Ledger(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(StorageError, match="cannot write"):
        Ledger(tmp_path / "thesis.tex")


def test_a_damaged_ledger_starts_clean(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{half")
    make(tmp_path, "runs/a")
    with Ledger(tmp_path) as ledger:
        ledger.begin({"seed": 0}, STAGES)
        assert ledger.done == []
    assert not (tmp_path / "runs" / "a").exists()


@pytest.mark.parametrize(("lost", "kept"), [("runs/b", ["first"]), ("runs/a", []), (".demo/weights", [])])
def test_done_means_that_what_it_made_is_there(tmp_path: Path, lost: str, kept: list[str]) -> None:
    finished(tmp_path, {"seed": 0})
    shutil.rmtree(tmp_path / lost)
    with Ledger(tmp_path) as ledger:
        note = ledger.begin({"seed": 0}, STAGES)
        assert ledger.done == kept
        assert ("resuming: first" in note) == bool(kept)
    assert not (tmp_path / "runs" / "b").exists()


@pytest.mark.parametrize("changed", [{"seed": 1, "digits": "MNIST"}, {"seed": 0, "digits": "digits 8×8"}])
def test_other_settings_and_other_digits_start_clean(tmp_path: Path, changed: dict[str, Any]) -> None:
    finished(tmp_path, {"seed": 0, "digits": "MNIST"})
    with Ledger(tmp_path) as ledger:
        assert "starting clean" in ledger.begin(changed, STAGES)
        assert ledger.done == []
    assert not (tmp_path / "runs" / "a").exists()


def test_a_kill_while_it_starts_clean_is_no_lie_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(tmp_path, {"seed": 0})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with Ledger(tmp_path) as ledger, monkeypatch.context() as patch:
        patch.setattr(ledger, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.begin({"seed": 7}, STAGES)
    with Ledger(tmp_path) as ledger:
        ledger.begin({"seed": 0}, STAGES)
        assert ledger.done == []


def test_two_demos_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with Ledger(tmp_path / "run"), pytest.raises(InputError, match="another demo is at work"):
        Ledger(tmp_path / "run")
    Ledger(tmp_path / "run").__exit__()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_bounds(seed: int) -> None:
    with pytest.raises(InputError, match=f"4294967295, got {seed}"):
        DemoOptions(seed=seed)


def test_a_quick_demo_leaves_alexnet_out_unless_asked(tmp_path: Path) -> None:
    assert not DemoOptions(quick=True).with_alexnet
    assert DemoOptions(quick=True, alexnet=True).with_alexnet
    assert DemoOptions().with_alexnet
