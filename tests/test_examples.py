"""The example scripts run, small, and do what they say; the page that lists them lists all of them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import convscope as cs
from conftest import ROOT
from convscope.nets.data import ArrayImages, Split
from convscope.nets.mnist import GREY

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def example(name: str) -> ModuleType:
    """Load a script without running it."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The MNIST example, with strokes in place of digits: upright in class 0, level in class 1."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 30, (230, 28, 28), np.uint8)
    labels = np.arange(230, dtype=np.int32) % 2
    for number, label in enumerate(labels):
        y, x = random.integers(4, 20, 2)
        stroke = (slice(y, y + 4), slice(4, 24)) if label else (slice(4, 24), slice(x, x + 4))
        pixels[number][stroke] = 255
    strokes = ArrayImages(pixels, labels, label_names=[str(n) for n in range(10)], preprocessing=GREY, name="strokes")
    module = example("conv_net_viz_mnist")
    monkeypatch.setattr(module, "load_mnist", lambda: Split(strokes.part(0, 170), strokes.part(170, 230)))
    return module


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three pictures, coarse noise."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (15, 20, 3), np.uint8)
        Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def projections(run: Path, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the signed projections that a run holds of a layer, ``(C, k, h, w, c)``, and the activations."""
    opened = cs.Run(run)
    (entry,) = opened.entries("topk", layer)[-1:]
    record = opened.record(entry)
    assert record.meta["mismatches"] == 0
    arrays = record.arrays()
    tiles = record.tiles("deconvnet", range(len(arrays["value"])))
    return (tiles.astype(np.float32) - 128) * arrays["projection_scale"][0][:, :, None, None, None] / 127, arrays[
        "value"
    ]


def test_the_mnist_example_trains_searches_all_channels_and_projects_them_in_both_modes(
    digits: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = digits.network()
    monkeypatch.setattr(digits, "network", lambda: net)
    digits.main(["--steps", "8", "--run", str(tmp_path / "single"), "--html", str(tmp_path / "page.html")])
    said = capsys.readouterr().out
    assert float(re.findall(r"([\d.]+)% of 60 test digits", said)[0]) > 70
    assert re.findall(r"^(\w+): (\d+) channels, each position sees (\d+×\d+)", said, re.MULTILINE) == [
        ("conv1", "32", "7×7"),
        ("pool1", "32", "8×8"),
        ("conv2", "64", "16×16"),
        ("pool2", "64", "18×18"),
    ]
    page = (tmp_path / "page.html").read_bytes()
    assert page.lstrip().lower().startswith(b"<!doctype html>")
    assert len(page) > 100_000
    assert {*cs.Run(tmp_path / "single").tags("topk")["topk"]} == {"conv1", "pool1", "conv2", "pool2"}
    monkeypatch.setattr(digits, "train", lambda *_: None)  # it is trained
    digits.main(["--run", str(tmp_path / "map"), "--mode", "map"])
    single, value = projections(tmp_path / "single", "conv1")
    whole, _ = projections(tmp_path / "map", "conv1")
    assert single.shape == (32, 9, 7, 7, 1)
    filters = single / np.maximum(value, 1e-6)[:, :, None, None, None]
    inside = (single != 0) & (single[:, :1] != 0)  # a field that reaches over the border has zeros there
    step = np.abs(filters).max((1, 2, 3, 4), keepdims=True) / 127  # the run holds eight bits
    assert (np.abs(filters - filters[:, :1])[inside] <= 2 * np.broadcast_to(step, inside.shape)[inside]).all()
    assert inside.sum() > single.size / 3
    assert np.abs(whole - single).max() > np.abs(single).max() / 10, "a whole map is more than one activation"


def test_the_alexnet_example_looks_into_every_channel(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--weights", "random", "--layers", "features.0", "--top", "2", "--rules", "deconvnet", "gradient"]
    example("conv_net_viz_alexnet").main(
        [*options, "--images", str(photographs), "--run", str(tmp_path / "run"), "--html", str(tmp_path / "page.html")]
    )
    assert "features.0: 64 channels, each position sees 11 pixels a side" in capsys.readouterr().out
    assert projections(tmp_path / "run", "features.0")[0].shape == (64, 2, 11, 11, 3)
    assert (tmp_path / "page.html").stat().st_size > 100_000


def test_the_vgg_example_takes_some_layers_and_some_images(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--weights", "random", "--layers", "conv1_1", "conv1_2", "--limit", "2", "--images", str(photographs)]
    example("conv_net_viz_vgg16").main([*options, "--run", str(tmp_path)])
    said = capsys.readouterr().out
    assert "conv1_1: 64 channels, each position sees 3 pixels a side" in said
    assert "conv1_2: 64 channels, each position sees 5 pixels a side" in said
    values = cs.Run(tmp_path).record(cs.Run(tmp_path).entries("topk", "conv1_2")[-1]).arrays()["value"]
    assert (values[:, 2:] == 0).all(), "two images, so two in each channel's top 9"


def test_figure_2_is_drawn_and_the_same_every_time(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = example("figure2")
    options = ["--weights", "random", "--images", str(photographs), "--channels", "4", "2", "2", "2", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        torch = pytest.importorskip("torch")
        for name in ("one.png", "two.png"):
            torch.manual_seed(0)  # the weights
            draw.main([*options, "-o", name, "--width", "1200"])
    assert "all 108 recomputed activations equal those recorded" in capsys.readouterr().out
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width == 1200


def test_figure_2_of_the_real_network(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = next((real_data / "alexnet-features").glob("*.npz"))
    options = [
        "--weights",
        str(weights),
        "--images",
        str(real_data / "darknet-images"),
        "--channels",
        *"33332",
        "--width",
        "1200",
    ]
    example("figure2").main([*options, "-o", str(tmp_path / "f.webp")])
    said = capsys.readouterr().out
    assert "5 of 5 ReLUs ruled; undefined: 0; all " in said
    assert "recomputed activations equal those recorded" in said


COLOURS = {"blue": (0, 0, 1), "green": (0, 1, 0), "red": (1, 0, 0), "yellow": (1, 1, 0)}
BY_COLOUR = """
import torch
from torch import nn
def build():
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 4)
    with torch.no_grad():  # how much of each colour there is, and the class of that colour
        first.weight[:4] = torch.tensor([[-1, -1, 1], [-1, 1, -1], [1, -1, -1], [.7, .7, -1]]).view(4, 3, 1, 1) / 9
        last.weight.copy_(torch.eye(4, 6) * 12 - 3)
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
"""


def test_the_study_of_cnn_vis_frames_classes_right_and_wrong_on_one_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "by_colour.py").write_text(BY_COLOUR)
    monkeypatch.syspath_prepend(tmp_path)
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (tmp_path / "pictures" / name).mkdir(parents=True)
        others = [colour] if name == "green" else [colour, COLOURS["blue" if name == "red" else "red"]]
        for number, shown in enumerate(others):  # but for green, one of each class looks like another
            noise = random.integers(60, 100, (40, 40, 3)) + np.array(shown) * 120
            Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "pictures" / name / f"{number}.png")
    roles = ["--reference", "yellow", "--inspected", "red", "--similar", "green", "--dissimilar", "blue"]
    options = ["--images", str(tmp_path / "pictures"), "--network", "by_colour:build", "--parts", "1", "--points", "3"]
    example("cnn_vis").main([*options, *roles, "--run", str(tmp_path / "run")])
    said = capsys.readouterr().out
    assert "red, taken for blue: red/1.png, whole picture" in said
    assert "none of them is wrong: no such frame" in said, "of green"
    assert "7 frames of 6 filters" in said
    run = cs.Run(tmp_path / "run")
    assert {kind: len(tags) for kind, tags in run.tags().items()} == {
        "architecture": 1,
        "weight_gradients": 1,
        "importance": 1,
        "ablation": 1,
        "volume": 7,
    }
    records = [run.record(entry) for entry in run.entries("volume")]
    assert [record.meta["frame"]["name"] for record in records][:3] == [
        "yellow, right",
        "yellow, taken for red",
        "red, right",
    ]
    gradients = run.record(run.entries("weight_gradients")[0]).arrays()["gradient"]
    volumes = np.stack([record.arrays()["volume"] for record in records])
    np.testing.assert_allclose(volumes, gradients.sum(2), rtol=1e-6)
    assert volumes.min() < 0 < volumes.max(), "signed, where the old ones were binary"
    assert len(np.unique(volumes)) > 50
    assert {record.meta["scaling"]["by"] for record in records} == {"symmetric"}
    orders = [record.arrays()["order"].tolist() for record in records]
    assert all(order == orders[0] for order in orders), "one order for all frames"


def test_mxboards_demo_embeds_pictures_with_their_classes_and_finds_the_dogs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "by_colour.py").write_text(BY_COLOUR)
    monkeypatch.syspath_prepend(tmp_path)
    for number in range(24):
        path = tmp_path / "pictures" / ("dog", "hot dog", "dogsled")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (80 * (number % 3), 9 * number, 40)).save(path)
    options = ["--images", str(tmp_path / "pictures"), "--network", "by_colour:build", "--count", "16"]
    small = ["--perplexity", "4", "--iterations", "10", "--run", str(tmp_path / "run")]
    example("mxboard_demo").main([*options, *small])
    said = capsys.readouterr().out
    assert re.search(r"16 pictures of pictures by .*build, layer penultimate, 2: 6 numbers each", said)
    run = cs.Run(tmp_path / "run")
    (entry,) = run.entries("embedding")
    record = run.record(entry)
    names = np.array(record.meta["label_names"])[record.arrays()["label"]]
    assert {*names} == {"dog", "hot dog", "dogsled"}, "of all classes, not of the first"
    exact, word, part = (int((names == name).sum()) for name in ("dog", "hot dog", "dogsled"))
    found = re.findall(r"search \"dog\": (.*)", said)
    assert found == [f"{exact} exactly, {word} as a word, {part} as part of a word"]
    (picture,) = run.images("pictures")
    assert (picture.height, picture.width) == (160, 160), "4 × 4 of 40 × 40"
    assert set(run.tags()["projection"]) == {"2/pca", "2/tsne"}
    assert [embedding.tag for embedding in run.embeddings()] == ["2"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_example_explains_itself_and_is_listed(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = example(script.stem)
    with pytest.raises(SystemExit) as left:
        module.main(["--help"])
    assert left.value.code == 0
    options = re.findall(r"^  (?:-\w(?: \S+)?, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert len(options) >= 5
    assert f"examples/{script.name}" in (ROOT / "docs" / "examples.md").read_text()
    private = [line for line in script.read_text().splitlines() if re.search(r"import _|\._[a-z]", line)]
    assert not private, "examples use what is public"
