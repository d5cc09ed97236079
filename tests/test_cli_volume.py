"""The commands of volumes, with right and with wrong input: one sentence, exit code 2, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import hear_ctrl_c
from convscope import Run
from convscope.cli import main
from convscope.jobs import volumes

NET = """
import torch
from torch import nn
def build():
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 6, 3), head)
"""
SMALL = ("--input-shape", "3,32,32")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def convscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in a folder of its own, in this process; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["convscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small network of the user's own, and two classes of pictures."""
    (tmp_path / "net_of_volumes.py").write_text(NET)
    random = np.random.default_rng(0)
    for name in ("cat", "dog", "fox"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (40, 30, 3), np.uint8)).save(tmp_path / "photos" / name / "0.png")
    monkeypatch.delitem(sys.modules, "net_of_volumes", raising=False)
    return "net_of_volumes:build"


def records(run: Path) -> dict[str, tuple[dict[str, object], dict[str, np.ndarray]]]:
    opened = Run(run)
    found = {entry.tag: opened.record(entry) for entry in opened.entries("volume")}
    return {tag: (dict(record.meta), dict(record.arrays())) for tag, record in found.items()}


def test_volume_writes_the_maps_of_pictures_and_layers_in_an_order(convscope: Command, network: str) -> None:
    options = ["--layer", "0,2", "--order", "pca", "--order-of", "0", "--scale", "symmetric", "--percentiles", "1,99"]
    code, said, error = convscope("volume", network, "photos", *options, *SMALL, "--limit", "2", "-o", "run")
    assert (code, error) == (0, "")
    assert "the first 2 of 3 pictures; --limit takes more" in said
    assert "4 volumes of 0, 2: 8×14×14 voxels, order pca" in said
    found = records(Path("run"))
    assert [*found] == ["0/cat/0.png", "2/cat/0.png", "0/dog/0.png", "2/dog/0.png"]
    meta, arrays = found["0/cat/0.png"]
    assert (meta["source"], meta["scaling"]) == ("activations", {"by": "symmetric", "percentiles": [1.0, 99.0]})
    np.testing.assert_array_equal(arrays["order"], found["0/dog/0.png"][1]["order"])  # of the first picture
    assert sorted(arrays["order"]) == list(range(8))
    assert arrays["volume"].min() < 0, "before the ReLU"
    code, _, _ = convscope(
        "volume", network, "photos/cat/0.png", "photos/dog/0.png", *SMALL, "--tap", "after", "-o", "after"
    )
    assert code == 0
    after = records(Path("after"))
    assert {tag.split("/")[0] for tag in after} == {"0"}, "the first convolution"
    assert min(arrays["volume"].min() for _, arrays in after.values()) == 0


def test_volume_of_weight_gradients_names_the_class_and_adds_the_mean(convscope: Command, network: str) -> None:
    for given in ("dog", "1"):
        code, said, error = convscope(
            "volume", network, "photos", "--gradients", given, "--inputs", "0", *SMALL, "-o", given
        )
        assert (code, error) == (0, "")
        assert "4 volumes of 0: 8×5×5 voxels" in said
    found = records(Path("dog"))
    assert {meta["source"] for meta, _ in found.values()} == {"weight_gradients"}
    *single, mean = [arrays["volume"] for _, arrays in found.values()]
    np.testing.assert_allclose(mean, np.mean(single, axis=0), atol=1e-7)
    for tag, (_, arrays) in records(Path("1")).items():
        np.testing.assert_array_equal(arrays["volume"], found[tag][1]["volume"])


def test_what_is_wrong_with_a_volume_is_said_before_anything_is_written(convscope: Command, network: str) -> None:
    for options, sentence in {
        ("--layer", "9"): "no layer '9'",
        ("--order", "psa"): "no order of channels 'psa'",
        ("--order", "kmeans:99"): "8 maps can be put into 1..8 clusters, got k = 99",
        ("--order", "hierarchical:single"): "the linkage is one of average, ward, got 'single'",
        ("--scale", "log"): "the scale of a volume is one of layer, channel, symmetric, got 'log'",
        ("--percentiles", "5"): "percentiles are two numbers, as in 1,99; got '5'",
        ("--percentiles", "9,1"): "percentiles are two rising numbers",
        ("--gradients", "cow"): "no class 'cow'",
        ("--gradients", "7"): "no class 7; the network tells 0..2 apart",
        ("--order-of", "5"): "no picture 5 to take the order of; there are 0..2",
        ("--tap", "around"): "no tap 'around'",
        ("--inputs", "norm"): "maps have none; give --gradients CLASS too",
        ("--gradients", "1", "--tap", "after"): "--gradients takes none; leave one of them out",
        ("--layer", "3.2"): "a volume is made from feature maps (C, H, W)",
    }.items():
        code, said, error = convscope("volume", network, "photos", *options, *SMALL, "-o", "run")
        assert (code, said.strip()) == (2, ""), options
        assert sentence in error
        assert len(error.strip().splitlines()) == 1
        assert not Path("run").exists(), options
    assert convscope("volume", network, "nowhere.png", "-o", "run")[0] == 2


def test_convert_goes_from_format_to_format_and_overwrites_nothing(convscope: Command) -> None:
    maps = np.random.default_rng(1).random((6, 4, 5)).astype(np.float32)
    np.save("maps.npy", maps)
    assert convscope("convert", "maps.npy", "a.nrrd") == (0, "maps.npy → a.nrrd: 6×4×5 float32\n", "")
    code, said, _ = convscope("convert", "a.nrrd", "a.vox", "--order", "mean", "--scale", "layer")
    assert code == 0
    assert re.fullmatch(
        r"a\.nrrd → a\.vox: 6×4×5 float32 as uint8; channels in the order mean; "
        r"256 steps from \S+ to \S+ \(layer\): lossy\n",
        said,
    )
    means = volumes.read_grid("a.vox").values.mean((1, 2))
    assert (np.diff(means) <= 0).all()
    before = Path("a.vox").read_bytes()
    code, said, error = convscope("convert", "maps.npy", "a.vox")
    assert (code, said) == (2, "")
    assert "a.vox is there already; choose another name, or replace it with --force" in error
    assert Path("a.vox").read_bytes() == before
    assert convscope("convert", "maps.npy", "a.vox", "--force")[0] == 0
    assert Path("a.vox").read_bytes() != before
    Path("a.hd").unlink()
    assert "give them: --shape CHANNELS,ROWS,COLUMNS" in convscope("convert", "a.vox", "b.vti")[2]
    assert convscope("convert", "a.vox", "b.vti", "--shape", "6,4,5")[0] == 0
    assert convscope("convert", "b.vti", "c.zarr", "--type", "float32") == (
        0,
        "b.vti → c.zarr: 6×4×5 uint8 as float32\n",
        "",
    )


def test_convert_says_what_is_wrong_in_one_sentence(convscope: Command) -> None:
    np.save("maps.npy", np.zeros((2, 3, 4)))
    Path("broken.nrrd").write_bytes(b"NRRD0004\ntype: float\n")
    for arguments, sentence in {
        ("none.vox", "b.nrrd"): "no file or folder 'none.vox'",
        ("maps.npy", "b.tif"): "b.tif is no volume by its name, which ends with none of: .vox",
        ("maps.npy", "b.vox", "--hd", "xyz"): "--hd is columns-first or rows-first, got 'xyz'",
        ("maps.npy", "b.vox", "--shape", "3"): "the shape of a volume is three whole numbers, as in 96,55,55; got '3'",
        ("maps.npy", "b.vox", "--shape", "2,3,4"): "maps.npy says its sizes itself",
        ("maps.npy", "b.vox", "--wrapped"): "nothing wrapped",
        ("maps.npy", "b.npy", "--type", "int4"): "uint8 or float32, not 'int4'",
        ("broken.nrrd", "b.npy"): "its header does not say 'sizes'",
        ("maps.npy", "none/b.npy"): "cannot write none/b.npy",
    }.items():
        code, said, error = convscope("convert", *arguments)
        assert (code, said) == (2, ""), arguments
        assert sentence in error
        assert len(error.strip().splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["broken.nrrd", "maps.npy"], "nothing is left over"


def test_view_takes_volumes_or_runs_and_not_both(convscope: Command) -> None:
    np.save("a.npy", np.zeros((2, 3, 4)))
    Path("runs").mkdir()
    for arguments, sentence in {
        ("a.npy", "runs"): "'runs' is no file of a volume, 'a.npy' is",
        ("runs", "runs"): "'runs' is given twice",
        ("runs", "--shape", "2,3,4"): "--shape and --hd say more of a .vox file",
        ("none.nrrd",): "no file or folder 'none.nrrd'",
    }.items():
        code, _, error = convscope("view", *arguments, "--no-open", "--port", "0")
        assert code == 2, arguments
        assert sentence in error


def test_a_strangers_volumes_are_served_as_frames_until_the_viewer_ends(tmp_path: Path) -> None:
    for name in ("one", "two"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).random((4, 5, 6)))
        volumes.convert(tmp_path / f"{name}.npy", tmp_path / f"{name}.nrrd")
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    command = [sys.executable, "-m", "convscope.cli", "view", "one.nrrd", "two.nrrd", "--no-open", "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(rooms), "COLUMNS": "300", "PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no thread of ours runs here
        ) as viewer,
        contextlib.ExitStack() as last,
    ):
        last.callback(viewer.kill)  # so that a failure waits for nobody
        assert viewer.stdout
        lines = [viewer.stdout.readline() for _ in range(3)]
        address = re.search(r"(http://\S+/)#/volume ", lines[2])
        assert address, lines
        with urllib.request.urlopen(f"{address[1]}api/index", timeout=30) as answer:
            index = json.load(answer)
        viewer.send_signal(signal.SIGINT)
        viewer.wait(timeout=60)
    assert lines[0] == "one.nrrd: 4×5×6 float64\n"
    assert [entry["tag"] for entry in index["runs"][0]["records"]] == ["files/one.nrrd", "files/two.nrrd"]
    assert not [*rooms.iterdir()], "the run is gone with the viewer"
