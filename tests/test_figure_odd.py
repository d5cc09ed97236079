"""Figures of odd results: nothing but zeros, nothing at all, other shapes than those of images, too many columns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import convscope as cs
from convscope.cli import app
from convscope.drawing.shapes import Area, each
from convscope.errors import InputError
from convscope.jobs.figures import figure
from convscope.summary import Summary

FILTERS = {"none": (0, 3, 3, 3), "flat": (4, 3), "cubes": (4, 3, 3, 3, 3), "empty": (4, 3, 0, 3)}
MAPS = {"none": (0, 4, 4), "empty": (3, 0, 4), "line": (3, 4)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / "run"
    with cs.SummaryWriter(folder) as writer:
        for name, shape in FILTERS.items():
            writer.add(Summary("filters", name, arrays={"weight": np.zeros(shape, np.float32)}, meta={"layer": name}))
        for name, shape in MAPS.items():
            arrays = {
                "map": np.zeros(shape, np.float32),
                "small": np.zeros(shape, np.uint8),
                "range": np.zeros((len(shape), 2)),
            }
            writer.add(Summary("maps", name, arrays=arrays, meta={"layer": name}))
        for tag, values in (
            ("zeros", np.zeros(10)),
            ("ends", np.array([-1.7e308, 1.7e308])),
            ("inf", np.array([np.inf])),
        ):
            writer.add_histogram(tag, values, 0)
        for number in range(24):
            writer.add_scalar(f"curve {number:02}", 1, 1)
            writer.add_histogram(f"many {number:02}", np.arange(3.0), 0)
    return folder


@pytest.mark.parametrize(("kind", "layer"), [*(("filters", one) for one in FILTERS), *(("maps", one) for one in MAPS)])
def test_what_is_not_of_images_is_refused_with_its_shape(run: Path, kind: str, layer: str) -> None:
    shape = " × ".join(map(str, (FILTERS if kind == "filters" else MAPS)[layer]))
    with pytest.raises(InputError, match=re.escape(shape)):
        figure(run, kind, layer=layer)


@pytest.mark.parametrize("tag", ["zeros", "ends", "inf"])
def test_histograms_at_the_ends_of_what_numbers_can_be(run: Path, tmp_path: Path, tag: str) -> None:
    sheet = figure(run, "histograms", tag=f"^{tag}$", dpi=72, path=tmp_path / "x.png")
    areas = [shape for shape in each(sheet.shapes) if isinstance(shape, Area)]
    assert areas
    assert all(np.isfinite(area.points).all() for area in areas)


def test_a_histogram_of_zeros_has_its_ridge_in_the_middle(run: Path) -> None:
    sheet = figure(run, "histograms", tag="^zeros$")
    (area,) = [shape for shape in each(sheet.shapes) if isinstance(shape, Area)]
    top = area.points[area.points[:, 1].argmin(), 0]
    assert abs(top - area.points[:, 0].mean()) < 0.02 * np.ptp(area.points[:, 0])


@pytest.mark.parametrize("kind", ["curves", "histograms"])
def test_more_columns_than_fit(run: Path, kind: str) -> None:
    tag = "curve" if kind == "curves" else "many"
    with pytest.raises(InputError, match="24 charts do not fit side by side"):
        figure(run, kind, tag=tag, columns=10**9)
    few = f"{tag} 0[0-2]$"
    most, three = figure(run, kind, tag=few, columns=10**9), figure(run, kind, tag=few, columns=3)
    assert (most.width, most.height) == (three.width, three.height)


def test_letters_that_the_font_lacks_are_said(run: Path, tmp_path: Path) -> None:
    call = ["figure", str(run), "--kind", "curves", "--tag", "curve 00", "--no-caption"]
    said = CliRunner().invoke(app, [*call, "--title", "Möwe 鷗 кот", "-o", str(tmp_path / "x.svg")])
    assert said.exit_code == 0
    assert "has no 鷗, к, о, т" in said.stderr
    assert "--font" in said.stderr
    plain = CliRunner().invoke(app, [*call, "--title", "a × b … −1", "-o", str(tmp_path / "y.svg")])
    assert (plain.exit_code, plain.stderr) == (0, "")
