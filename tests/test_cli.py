"""The command line with right and with wrong input: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from commands import convscope, hear_ctrl_c
from convscope import Run, SummaryWriter, __version__
from convscope.cli import app, main
from convscope.errors import InputError
from convscope.formats.scalars import encode_scalars
from convscope.jobs import folder


def convscope_itself(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as its users do."""
    return subprocess.run(
        [sys.executable, "-m", "convscope.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "300", "NO_COLOR": "1", **environment},
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Real photographs: the two that come with scikit-learn, and a file that is none."""
    from sklearn.datasets import load_sample_images

    folder = tmp_path / "photos"
    for name, picture in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        Image.fromarray(picture).save(folder / name / f"{name}.jpg")
    (folder / "temple" / "notes.jpg").write_text("no picture")
    return folder


def test_version_and_help() -> None:
    assert convscope_itself("--version").stdout.strip() == f"convscope {__version__}"
    shown = convscope("--help").stdout
    assert all(command in shown for command in ("demo", "view", "inspect", "ls"))


def test_ls_lists_what_a_run_holds(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(1200):
            writer.add_scalar("loss", step, step)
    done = convscope("ls", tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == ["run", "scalar", "loss", "1,200", "1199"]


def test_what_users_named_is_printed_as_it_is(tmp_path: Path) -> None:
    tags = ["[/x]", "[bold]x[/bold] [0]", "bell\a\x1b[31m"]  # our writer would clean the last, others do not
    (tmp_path / "[bold]").mkdir()
    numbers = np.arange(3), np.ones(3, np.int64), np.ones(3), np.ones(3)
    (tmp_path / "[bold]" / "events.out.tfevents.1").write_bytes(encode_scalars(tags, *numbers))
    done = convscope("ls", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[/x]" in done.stdout
    assert "[bold]x[/bold] [0]" in done.stdout
    assert "\a" not in done.stdout
    assert "\x1b" not in done.stdout


NET = """
from torch import nn, manual_seed
def build():
    manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU())
def boom():
    raise ValueError("boom went off")
def two():
    return nn.Conv2d(2, 4, 3)
def dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(30, 2))
class Astray(nn.Conv2d):
    def forward(self, x):
        raise KeyError("lost")
def astray():
    return Astray(3, 4, 3)
"""


def test_inspect_writes_a_run_of_ones_own_network(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    asked = ("-o", tmp_path / "run", "--top", 2, "--rules", "deconvnet, guided_backprop")
    done = convscope_itself("inspect", "mynet:build", photos, *asked, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "2 pictures in 2 classes" in done.stdout
    assert "10 channels of 2 layers, deconvnet, guided_backprop" in done.stdout
    assert "notes.jpg" in done.stdout
    run = Run(tmp_path / "run")
    assert [entry.tag for entry in run.entries("topk")][-2:] == ["0", "2"]
    found = run.record(run.entries("topk", "2")[-1])
    assert found.meta["complete"]
    assert found.meta["rule_reports"]["deconvnet"].startswith("2 of 2 ReLUs ruled")
    arrays = found.arrays()
    assert arrays["value"].shape == (6, 2)
    np.testing.assert_allclose(arrays["recomputed"], arrays["value"], rtol=1e-4, atol=1e-6)
    assert set(found.pictures) == {"patch", "map", "deconvnet", "guided_backprop"}
    assert arrays["proof"].shape == (2, 6, 2, 5)
    assert run.entries("filters")
    assert run.entries("volume")
    assert run.record(run.entries("audit")[-1]).meta["layers"] == ["0", "2"]


def test_inspect_says_how_many_classes_the_first_pictures_are_of(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    asked = ("-o", tmp_path / "run", "--top", 1, "--limit", 1, "--proofs", 0)
    done = convscope("inspect", "mynet:build", photos, *asked)
    assert done.returncode == 0, done.stderr
    assert "1 picture in 1 of 2 classes" in done.stdout


def test_inspect_interrupted_goes_on_and_pictures_of_one_name_are_apart(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("temple", "flower"):
        Image.new("RGB", (64, 64), "red").save(photos / name / "same.png")
    real = folder.record_top_k

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    ask = (folder.Question(k=2), lambda label: lambda done, total: None)
    monkeypatch.setattr(folder, "record_top_k", interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder.inspect_folder("mynet:build", photos, tmp_path / "run", *ask)
    monkeypatch.setattr(folder, "record_top_k", real)
    said = folder.inspect_folder("mynet:build", photos, tmp_path / "run", *ask)
    assert said[-1] == "10 channels of 2 layers, deconvnet"
    run = Run(tmp_path / "run")
    assert run.record(run.entries("topk", "2")[-1]).meta["complete"]
    assert {"0/flower/same.png", "0/temple/same.png"} <= {entry.tag for entry in run.entries("volume")}
    with pytest.raises(InputError, match="already holds a run"):
        folder.inspect_folder("mynet:build", photos, tmp_path / "run", *ask)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ls", "{tmp}/nowhere"], "nowhere"),
        (["ls", "{tmp}/empty"], "no runs in"),
        (["inspect", "alexnet", "{photos}", "-o", "{tmp}/run", "--layers", " , "], "no name in ' , '"),
        (["view", "{tmp}/empty", "--no-open", "--port", "70000"], "0 (any free one) to 65535, got 70000"),
        (["inspect", "alexnett", "{photos}", "-o", "{tmp}/run"], "did you mean 'alexnet'?"),
        (["inspect", "no.such:build", "{photos}", "-o", "{tmp}/run"], "no.such"),
        (["inspect", "mynet:biuld", "{photos}", "-o", "{tmp}/run"], "mynet:biuld"),
        (["inspect", "mynet:build", "{tmp}/nowhere", "-o", "{tmp}/run"], "nowhere"),
        (["inspect", "mynet:build", "{tmp}/empty", "-o", "{tmp}/run"], "empty"),
        (["inspect", "mynet:build", "{tmp}/texts", "-o", "{tmp}/run"], "texts"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--layers", "00"], "no layer '00'"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--rules", "deconv"], "did you mean 'deconvnet'?"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--rules", ","], "no rule was given"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--rules", "gradient,gradient"], "named twice"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--mode", "mpa"], "did you mean 'map'?"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--lrn", "none"], "no treatment of LRN 'none'"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--score", "sum"], "no score 'sum'"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--proofs", "-1"], "--proofs"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--device", "cuda:99"], "cuda:99"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--weights", "{tmp}/none.npz"], "none.npz"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/file"], "file"),
        (["demo", "--no-open", "--exit", "--out", "{photos}"], "not made by the demo"),
        (["demo", "--no-open", "--exit", "--out", "{tmp}/file/run"], "file"),
        (["demo", "--no-open", "--exit", "--out", "{tmp}/run", "--seed", "-1"], "--seed"),
        (["inspect", "mynet:boom", "{photos}", "-o", "{tmp}/run"], "boom went off"),
        (["inspect", "mynet:astray", "{photos}", "-o", "{tmp}/run"], "lost"),
        (["inspect", "unfinished:build", "{photos}", "-o", "{tmp}/run"], "SyntaxError"),
        (["inspect", ":build", "{photos}", "-o", "{tmp}/run"], "package.module:function"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--device", "meta"], "nothing is computed"),
        (["inspect", "mynet:two", "{photos}", "-o", "{tmp}/run"], "2 channels"),
        (["inspect", "mynet:dense", "{photos}", "-o", "{tmp}/run"], "--input-shape"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--input-shape", "3,x"], "3,x"),
        (["inspect", "mnist", "{photos}", "-o", "{tmp}/run"], "--weights random"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/taken"], "already holds a run"),
        (["inspect", "mynet:build"], "images"),
        (["ls", "a" * 300], "there is no directory"),
        (["doctor", "a" * 300], "there is no directory"),
        (["export-scalars", "a" * 300, "-o", "{tmp}/x.csv"], "there is no directory"),
        (["export-scalars", "{tmp}/taken", "-o", "a" * 300 + ".csv"], "choose another file"),
        (["doctor", "{tmp}/taken", "--repair", "a" * 300], "choose another directory"),
        (["dmeo"], "dmeo"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    photos: Path,
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    (tmp_path / "unfinished.py").write_text("def build(")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jpg").write_text("no picture")
    (tmp_path / "file").write_text("")
    with SummaryWriter(tmp_path / "taken") as writer:
        writer.add_scalar("loss", 1, 1)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "argv", ["convscope", *(a.format(tmp=tmp_path, photos=photos) for a in arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2, said
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists() or not Run(tmp_path / "run").entries(), "nothing half-written is visible"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = convscope("demo", "--no-open", "--exit", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_ctrl_c_ends_a_viewer_with_130(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 1, 1)
    with subprocess.Popen(
        [sys.executable, "-m", "convscope.cli", "view", str(tmp_path), "--no-open", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no thread of ours runs here
    ) as viewer:
        assert viewer.stdout is not None
        try:
            assert "http://127.0.0.1:" in viewer.stdout.readline()
            time.sleep(0.3)
            viewer.send_signal(signal.SIGINT)
            _, complaint = viewer.communicate(timeout=60)
        finally:
            viewer.kill()
    assert viewer.returncode == 130
    assert "Traceback" not in complaint


def test_every_command_is_documented() -> None:
    documented = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    for command in ("demo", "view", "inspect", "ls"):
        assert f"`convscope {command}" in documented


def test_every_option_of_view_and_inspect_is_documented() -> None:
    documented = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    commands = get_command(app).commands
    for command in ("view", "inspect"):
        for option in (name for parameter in commands[command].params for name in parameter.opts):
            assert not option.startswith("-") or f"`{option}" in documented, f"{command} {option}"


@contextmanager
def ended_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let what is done inside end at a writer's call of that number."""
    real, calls = SummaryWriter.add, []

    def add(writer: SummaryWriter, *arguments: object, **options: object) -> str:
        calls.append(number)
        if len(calls) == number:
            raise KeyboardInterrupt
        return real(writer, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SummaryWriter, "add", add)
        with pytest.raises(KeyboardInterrupt):
            yield


def everything_in(run: Path) -> dict[tuple[str, str], list[dict[str, bytes]]]:
    found: dict[tuple[str, str], list[dict[str, bytes]]] = {}
    opened = Run(run)
    for entry in opened.entries():
        record = opened.record(entry)
        arrays = {name: np.asarray(array).tobytes() for name, array in record.arrays().items()}
        sheets = {file: record.picture_bytes(file) for plan in record.pictures.values() for file in plan["files"]}
        found.setdefault((entry.kind, entry.tag), []).append(arrays | sheets)
    return found


@pytest.mark.usefixtures("undrafted")
def test_inspect_ended_at_any_write_leaves_what_an_uninterrupted_one_does(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    ask = (folder.Question(k=2, input_shape=(3, 32, 32)), lambda label: lambda done, total: None)
    folder.inspect_folder("mynet:build", photos, tmp_path / "whole", *ask)
    whole = everything_in(tmp_path / "whole")
    assert all(len(records) == 1 for records in whole.values())
    for number in range(2, len(whole) + 1):
        out = tmp_path / f"run{number}"
        with ended_at(number, monkeypatch):
            folder.inspect_folder("mynet:build", photos, out, *ask)
        folder.inspect_folder("mynet:build", photos, out, *ask)
        assert everything_in(out) == whole, number


def test_inspect_does_not_go_on_with_other_pictures(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    ask = (folder.Question(k=2, input_shape=(3, 32, 32)), lambda label: lambda done, total: None)
    with ended_at(3, monkeypatch):
        folder.inspect_folder("mynet:build", photos, tmp_path / "run", *ask)
    Image.new("RGB", (64, 64), "red").save(photos / "temple" / "another.png")
    with pytest.raises(InputError, match="begun with other settings, weights or pictures"):
        folder.inspect_folder("mynet:build", photos, tmp_path / "run", *ask)


def test_the_preprocessing_is_stored_with_each_result_and_fits_the_input_asked_for(
    tmp_path: Path, photos: Path
) -> None:
    question = folder.Question(k=1, layers=["conv1"], weights="random", input_shape=(3, 64, 64))
    folder.inspect_folder("squeezenet1_0", photos, tmp_path / "run", question, lambda label: lambda done, total: None)
    run = Run(tmp_path / "run")
    for kind in ("maps", "volume", "topk"):
        stored = run.record(run.entries(kind)[-1]).meta["preprocessing"]
        assert (stored["crop"], stored["order"]) == ([64, 64], "BGR"), kind
    assert run.record(run.entries("filters")[-1]).meta["preprocessing"]["order"] == "BGR"


def test_a_file_that_is_a_network_cannot_be_had_with_random_weights() -> None:
    with pytest.raises(InputError, match="brings its own weights and cannot be had with random ones"):
        folder.open_model("net.onnx", folder.Question(weights="random"))
