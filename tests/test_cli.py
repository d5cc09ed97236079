"""The command line with right and with wrong input: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convscope import Run, SummaryWriter, __version__
from convscope.cli import main


def convscope(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
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
    assert convscope("--version").stdout.strip() == f"convscope {__version__}"
    shown = convscope("--help").stdout
    assert all(command in shown for command in ("demo", "view", "inspect", "ls"))


def test_ls_lists_what_a_run_holds(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(1200):
            writer.add_scalar("loss", step, step)
    done = convscope("ls", tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == ["run", "scalar", "loss", "1,200", "1199"]


NET = """
from torch import nn, manual_seed
def build():
    manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU())
"""


def test_inspect_writes_a_run_of_ones_own_network(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    done = convscope("inspect", "mynet:build", photos, "-o", tmp_path / "run", "--top", 2, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "notes.jpg" in done.stdout
    run = Run(tmp_path / "run")
    assert [entry.tag for entry in run.entries("topk")][-2:] == ["0", "2"]
    found = run.record(run.entries("topk", "2")[-1])
    assert found.meta["complete"]
    assert found.meta["rule_report"].startswith("2 of 2 ReLUs ruled")
    arrays = found.arrays()
    assert arrays["value"].shape == (6, 2)
    np.testing.assert_allclose(arrays["recomputed"], arrays["value"], rtol=1e-4, atol=1e-6)
    assert run.entries("filters")
    assert run.entries("volume")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ls", "{tmp}/nowhere"], "nowhere"),
        (["ls", "{tmp}/empty"], "no runs in"),
        (["view", "{tmp}/nowhere", "--no-open"], "nowhere"),
        (["view", "{tmp}/empty", "--no-open", "--port", "70000"], "0 (any free one) to 65535, got 70000"),
        (["inspect", "alexnett", "{photos}", "-o", "{tmp}/run"], "did you mean 'alexnet'?"),
        (["inspect", "no.such:build", "{photos}", "-o", "{tmp}/run"], "no.such"),
        (["inspect", "mynet:biuld", "{photos}", "-o", "{tmp}/run"], "mynet:biuld"),
        (["inspect", "mynet:build", "{tmp}/nowhere", "-o", "{tmp}/run"], "nowhere"),
        (["inspect", "mynet:build", "{tmp}/empty", "-o", "{tmp}/run"], "empty"),
        (["inspect", "mynet:build", "{tmp}/texts", "-o", "{tmp}/run"], "texts"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--layers", "00"], "no layer '00'"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--rule", "deconv"], "did you mean 'deconvnet'?"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--device", "cuda:99"], "cuda:99"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/run", "--weights", "{tmp}/none.npz"], "none.npz"),
        (["inspect", "mynet:build", "{photos}", "-o", "{tmp}/file"], "file"),
        (["demo", "--no-open", "--exit", "--out", "{photos}"], "not made by the demo"),
        (["demo", "--no-open", "--exit", "--out", "{tmp}/file/run"], "file"),
        (["inspect", "mynet:build"], "images"),
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
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jpg").write_text("no picture")
    (tmp_path / "file").write_text("")
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


def hear_ctrl_c() -> None:
    """Undo what a background job inherits: there Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
            _, complaint = viewer.communicate(timeout=20)
        finally:
            viewer.kill()
    assert viewer.returncode == 130
    assert "Traceback" not in complaint


def test_every_command_is_documented() -> None:
    documented = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    for command in ("demo", "view", "inspect", "ls"):
        assert f"`convscope {command}" in documented


def test_json_of_a_ledger_is_readable(tmp_path: Path) -> None:
    from convscope.demo.stages import open_ledger

    ledger = open_ledger(tmp_path / "d", {"seed": 1}, {"a": ("x",), "b": ("y",)})
    ledger.finish("a")
    assert json.loads((tmp_path / "d" / "demo.json").read_text()) == {"settings": {"seed": 1}, "done": ["a"]}
