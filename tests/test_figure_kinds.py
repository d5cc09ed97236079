"""Figures of runs: each kind draws what was recorded, says on which scale, and refuses what it does not know."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import convscope as cs
from convscope.cli import app
from convscope.drawing.shapes import Clip, Dots, Line, Picture, Sheet, Words, each
from convscope.embed import Embedding
from convscope.errors import InputError, NotFoundError
from convscope.inspect.volume import Volume
from convscope.jobs.figures import KINDS_OF_FIGURES, figure
from convscope.summary import Summary

HOSTILE = "</script><img src=x onerror=alert(1)>鷗"
random = np.random.default_rng(0)
WEIGHT = random.normal(size=(12, 3, 5, 5)).astype(np.float32)
MAPS = random.normal(size=(6, 4, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one result of every kind that figures are of."""
    folder = tmp_path_factory.mktemp("figures") / "mine"
    points = np.concatenate([random.normal(size=(20, 8)) - 5, random.normal(size=(20, 8)) + 5])
    pictures = random.integers(0, 256, (40, 6, 8, 3), np.uint8)
    embedding = Embedding(points, [0] * 20 + [1] * 20, label_names=["cat", HOSTILE], columns={"size": np.arange(40.0)},
                          thumbnails=pictures, layer="fc")  # fmt: skip
    value = np.sort(random.random((10, 9), np.float32) + 1)[:, ::-1].copy()
    tiles = random.integers(1, 255, (10, 9, 6, 6, 3), np.uint8)
    with cs.SummaryWriter(folder) as writer:
        for step in range(30):
            writer.add_scalar("loss/train", np.nan if step == 7 else 1 / (step + 1), step)
            writer.add_scalar(HOSTILE, step, step)
        for step in (0, 5, 9):
            writer.add_histogram("weights", random.normal(size=500) * (step + 1), step)
        writer.add(Summary("filters", "conv1", arrays={"weight": WEIGHT}, meta={"layer": "conv1", "network": "net"}))
        writer.add(Summary("filters", "conv2", arrays={"weight": np.ones((70, 9, 1, 1), np.float32)}))
        ends = np.stack([MAPS.min((1, 2)), MAPS.max((1, 2))], axis=1)
        arrays = {"map": MAPS, "small": np.zeros(MAPS.shape, np.uint8), "range": ends}
        meta = {"layer": "conv1", "after": [0.0, None], "nonlinearity": "ReLU", "image": {"name": "dog"}}
        writer.add(Summary("maps", "conv1 @ dog", arrays=arrays, meta=meta,
                           pictures={"input": np.full((1, 1, 8, 8, 1), 60, np.uint8)}))  # fmt: skip
        writer.add(Volume(MAPS, layer="conv1"), "conv1/dog", 0)
        writer.add(embedding, "fc", 0)
        for name, made in (("pca", embedding.project("pca")), ("deep", embedding.project("pca", dimensions=3))):
            writer.add(made.to_summary(f"fc/{name}"), f"fc/{name}", 0)
        columns = {name: np.zeros(10) for name in ("mean", "max", "variance", "positive")}
        arrays = {"value": value, "image": np.zeros((10, 9), np.int64), "position": np.zeros((10, 9, 2), np.int32),
                  "box": np.zeros((10, 9, 4), np.int32), "projection_scale": np.ones((1, 10, 9), np.float32),
                  "recomputed": value, **columns}  # fmt: skip
        meta = {"layer": "conv1", "network": "net", "dataset": "set", "images_seen": 50, "rules": ["deconvnet"],
                "receptive_field": {"size": [6, 6]}}  # fmt: skip
        writer.add(Summary("topk", "conv1", arrays=arrays, meta=meta, pictures={"patch": tiles, "deconvnet": tiles}))
    return folder


def words(sheet: Sheet) -> list[str]:
    return [shape.text for shape in each(sheet.shapes) if isinstance(shape, Words)]


def pictures(sheet: Sheet) -> list[Picture]:
    return [shape for shape in each(sheet.shapes) if isinstance(shape, Picture)]


# All kinds


@pytest.mark.parametrize("kind", KINDS_OF_FIGURES)
def test_every_kind_stays_on_its_page_and_is_the_same_again(run: Path, kind: str, tmp_path: Path) -> None:
    for width in ("3.5in", "180mm"):
        sheet = figure(run, kind, width=width, dpi=100, path=tmp_path / f"{width}.pdf", title=HOSTILE)
        assert sheet.height < 4 * sheet.width
        for shape in sheet.shapes:
            if isinstance(shape, Words) and not shape.upright:
                length = sheet.font.width(shape.text, shape.size)
                assert shape.x - shape.anchor * length > 0
                assert shape.x + (1 - shape.anchor) * length < sheet.width + 0.1, shape.text
                assert 0 < shape.y < sheet.height
            elif isinstance(shape, Picture):
                assert shape.x >= 0
                assert shape.x + shape.width <= sheet.width + 0.1
    figure(run, kind, width="180mm", dpi=100, path=tmp_path / "again.pdf", title=HOSTILE)
    assert (tmp_path / "again.pdf").read_bytes() == (tmp_path / "180mm.pdf").read_bytes()


@pytest.mark.parametrize("kind", KINDS_OF_FIGURES)
def test_every_kind_is_documented_with_its_options(kind: str) -> None:
    page = (Path(__file__).parent.parent / "docs" / "figures.md").read_text()
    row = re.search(rf"^\| `{kind}` .*$", page, re.MULTILINE)[0]
    for option in KINDS_OF_FIGURES[kind].options:
        assert f"--{option.replace('_', '-')}" in row or option == "run", option


@pytest.mark.parametrize(
    ("kind", "options", "error", "said"),
    [
        ("tops", {}, NotFoundError, "no kind of figure 'tops'"),
        ("curves", {"rule": "deconvnet"}, InputError, "takes no option 'rule'; it takes: run, tag, smoothing"),
        ("curves", {"tag": "acc"}, NotFoundError, "no curve has 'acc' in its tag; there are: .*loss/train"),
        ("curves", {"smoothing": 1}, InputError, "between 0 .* and 0.999, not 1"),
        ("curves", {"axis": "epoch"}, NotFoundError, "no axis 'epoch'"),
        ("filters", {"layer": "conv9"}, NotFoundError, "no layer 'conv9'"),
        ("filters", {"channels": [12]}, NotFoundError, "has channels 0 to 11, no channel 12"),
        ("filters", {"input": 3}, NotFoundError, "inputs 0 to 2, no input 3"),
        ("filters", {"scale": "none"}, NotFoundError, "no scale 'none'"),
        ("filters", {"columns": 9999}, InputError, "do not fit side by side"),
        ("maps", {"image": 4}, NotFoundError, "pictures 0 to 0, no picture 4"),
        ("volume", {"order": "nice"}, NotFoundError, "no order 'nice'"),
        ("volume", {"views": []}, InputError, "at least one view"),
        ("embedding", {"projection": "tsne"}, NotFoundError, "no projection 'tsne'"),
        ("embedding", {"colour": "weight"}, NotFoundError, "no column 'weight'"),
        ("top9", {"channels": [99]}, NotFoundError, "has channels 0 to 9, no channel 99"),
        ("top9", {"channels": [1], "count": 2}, InputError, "leave out channels or count"),
        ("top9", {"width": "0.6in"}, InputError, "do not fit"),
        ("histograms", {"tag": "bias"}, NotFoundError, "no histogram 'bias'"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    run: Path, kind: str, options: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        figure(run, kind, **{"dpi": 60, **options})


def test_of_several_runs_the_one_is_named(run: Path, tmp_path: Path) -> None:
    with cs.SummaryWriter(tmp_path / "other") as writer:
        writer.add(Summary("filters", "conv1", arrays={"weight": WEIGHT}))
    with pytest.raises(InputError, match=r"several runs hold filters: mine, other; choose one with --run"):
        figure([run, tmp_path / "other"], "filters")
    assert len(pictures(figure([run, tmp_path / "other"], "filters", run="other"))) == 12
    with pytest.raises(InputError, match="run 'other' holds no topk; there are: filters"):
        figure(tmp_path / "other", "top9")


# What is drawn


def test_filters_are_their_weights_about_mid_grey(run: Path) -> None:
    sheet = figure(run, "filters", channels=[4])
    expected = 128 + 127 * WEIGHT[4] / np.abs(WEIGHT[4]).max()
    assert np.abs(pictures(sheet)[0].pixels - np.moveaxis(expected, 0, -1)).max() <= 0.5 + 1e-3
    own = figure(run, "filters", scale="own", caption=False)
    assert sum("±" in text for text in words(own)) == 12


def test_filters_of_many_inputs_and_of_one_weight(run: Path) -> None:
    assert len(pictures(figure(run, "filters", layer="conv2", caption=False))) == 70 + 1


def test_maps_share_a_scale_and_can_be_those_after_the_non_linearity(run: Path) -> None:
    before, after = (figure(run, "maps", after=after) for after in (False, True))
    assert [one.pixels.shape[:2] for one in pictures(before)] == [(8, 8), *[(4, 9)] * 6, (1, 256)]
    top = np.sort(np.abs(MAPS).max((1, 2)))[-1]
    assert f"−{top:.3g}" in words(before)
    assert "0" in words(after)
    assert any("after ReLU" in text for text in words(after))


def test_a_volume_is_cut_where_it_says(run: Path) -> None:
    sheet = figure(run, "volume", views=["channel", "row"], order="index", dpi=72)
    first, second, _ = pictures(sheet)
    assert first.pixels.shape[:2] == (4, 9)
    assert second.pixels.shape[:2] == (9, 6)
    assert first.width / first.height == pytest.approx(9 / 4)


def test_curves_have_gaps_and_smoothing_stands_over_the_raw_ones(run: Path) -> None:
    sheet = figure(run, "curves", tag="loss", smoothing=0.5)
    (clip,) = [shape for shape in sheet.shapes if isinstance(shape, Clip)]
    lines = [shape for shape in clip.shapes if isinstance(shape, Line)]
    assert [len(line.points) for line in lines] == [7, 22, 7, 22]
    assert [line.opacity < 1 for line in lines] == [True, True, False, False]
    assert any("1 values that are no finite numbers" in text for text in words(sheet))


def test_runs_are_compared_in_one_chart(run: Path, tmp_path: Path) -> None:
    with cs.SummaryWriter(tmp_path / "other") as writer:
        for step in range(4):
            writer.add_scalar("loss/train", step, step)
    sheet = figure([run, tmp_path / "other"], "curves", tag="loss", together=True)
    assert {"mine loss/train", "other loss/train"} <= set(words(sheet))
    assert len([shape for shape in sheet.shapes if isinstance(shape, Clip)]) == 1


def test_points_are_coloured_by_class_with_their_legend(run: Path) -> None:
    sheet = figure(run, "embedding")
    dots = next(s for s in sheet.shapes if isinstance(s, Dots) and len(s.points) == 40)
    assert len(np.unique(dots.colours[:20], axis=0)) == len(np.unique(dots.colours[20:], axis=0)) == 1
    assert "cat" in words(sheet)
    assert len([s for s in pictures(figure(run, "embedding", thumbnails=True)) if s.pixels.shape == (6, 8, 3)]) > 5
    by_size = figure(run, "embedding", colour="size", projection="deep", camera=(0, 0))
    assert "size" in words(by_size)


def test_top_images_are_those_that_are_asked_for(run: Path) -> None:
    sheet = figure(run, "top9", channels=[3, 5], layout="patches")
    assert len(pictures(sheet)) == 2
    assert {"3", "5"} <= set(words(sheet))
    assert figure(run, "top9", count=2, seed=1).shapes != []


# The command


def test_the_command_writes_a_figure_and_does_not_replace_one(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.png"
    arguments = ["figure", str(run), "--kind", "filters", "--channels", "0-3", "--width", "2in", "--dpi", "100"]
    done = CliRunner().invoke(app, [*arguments, "--no-caption", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 ×" in done.output
    with Image.open(out) as picture:
        assert picture.width == 200
    again = CliRunner().invoke(app, [*arguments, "-o", str(out)])
    assert isinstance(again.exception, InputError)
    assert "is there already" in str(again.exception)


def test_a_sheet_shows_itself_in_a_notebook_and_can_be_saved(run: Path, tmp_path: Path) -> None:
    sheet = cs.figure(run, "curves", tag="loss")
    assert sheet._repr_svg_().startswith("<?xml")
    sheet.save(tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_text() == sheet._repr_svg_()
