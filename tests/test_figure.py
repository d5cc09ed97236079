"""Figures for print: which channels, which contrast, what stands where, and the same bytes every time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import convscope as cs
from convscope.drawing import blocks
from convscope.drawing.font import DEFAULT
from convscope.errors import InputError, NotFoundError
from convscope.jobs import figure
from convscope.nets.data import ArrayImages, Preprocessing
from convscope.summary import Summary

GREY = 128


@pytest.fixture(scope="module")
def looked() -> tuple[cs.Model, ArrayImages, dict[str, cs.TopK]]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(6, 8, 3), torch.nn.ReLU()
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
    images = ArrayImages(pixels, preprocessing=Preprocessing(), name="noise")
    model = cs.Model(net, input_shape=(3, 16, 16), name="small")
    return model, images, model.top_k(images)


def coloured(count: int = 4, k: int = 9, side: int = 8, title: str = "Layer 1") -> figure.Panel:
    """A panel whose tiles are told apart by their colour: of channel c and rank r, patches (10c, 20r, 0)."""
    patch = np.zeros((count, k, side, side, 3), np.uint8)
    patch[..., 0] = 10 * np.arange(count)[:, None, None, None]
    patch[..., 1] = 20 * np.arange(k)[None, :, None, None]
    return figure.Panel(
        title=title,
        layer="conv",
        network="net",
        dataset="tiles",
        images=100,
        channels=np.arange(count),
        total=40,
        value=np.ones((count, k), np.float32),
        patch=patch,
        projection=np.zeros(patch.shape, np.float32),
        rule="deconvnet",
        report="1 of 1 ReLUs ruled; undefined: 0",
        field=(side, side),
    )


# Which channels


def test_channels_are_drawn_by_the_seed_from_those_that_any_image_excites() -> None:
    value = np.array([[5.0], [0.0], [1.0], [0.0], [2.0], [3.0], [4.0]], np.float32)
    drawn = [figure.some_channels(value, 3, seed) for seed in range(200)]
    assert all(len(np.unique(one)) == 3 and (np.diff(one) > 0).all() for one in drawn)
    assert set(np.concatenate(drawn)) == {0, 2, 4, 5, 6}
    assert figure.some_channels(value, 3, 7).tolist() == figure.some_channels(value, 3, 7).tolist()
    assert len({tuple(one) for one in drawn}) == 10  # all that can be drawn: 3 of 5
    assert figure.some_channels(value, None).tolist() == figure.some_channels(value, 9).tolist() == [0, 2, 4, 5, 6]


def test_layers_of_equal_size_do_not_show_the_same_channels() -> None:
    value = np.ones((256, 9), np.float32)
    assert figure.some_channels(value, 10, (0, 4)).tolist() != figure.some_channels(value, 10, (0, 5)).tolist()


def test_a_figure_of_no_channels_is_refused() -> None:
    with pytest.raises(InputError, match="at least one channel, got 0"):
        figure.some_channels(np.ones((3, 1), np.float32), 0)


# Contrast


def test_the_projections_of_a_channel_keep_their_relative_strength() -> None:
    values = np.zeros((2, 3, 4, 4, 1), np.float32)
    values[0, 0], values[0, 1], values[0, 2] = 3.0, -6.0, 1.5
    pictures, scale = figure.shared_contrast(values)
    assert scale.tolist() == [6.0, 0.0]
    assert pictures[0, :, 0, 0, 0].tolist() == [round(GREY + 127 / 2), 1, round(GREY + 127 / 4)]
    assert (pictures[1] == GREY).all()  # nothing is grey, not NaN


def test_a_single_pixel_does_not_flatten_a_channel_but_is_seen_where_it_is_all_there_is() -> None:
    values = np.full((2, 1, 20, 20, 1), 1.0, np.float32)
    values[1] = 0
    values[:, 0, 0, 0, 0] = 1000
    pictures, scale = figure.shared_contrast(values)
    assert scale.tolist() == [1.0, 1000.0]
    assert pictures[0, 0, 5, 5, 0] == pictures[0, 0, 0, 0, 0] == pictures[1, 0, 0, 0, 0] == 255


# Panels of a network


def test_a_panel_holds_what_the_network_gives(looked: tuple[cs.Model, ArrayImages, dict[str, cs.TopK]]) -> None:
    model, images, tops = looked
    top = tops["3"]
    chosen = figure.some_channels(top.value, 3, 1)
    one = figure.panel(model, top, images, chosen, title="Layer 2")
    assert one.value.tolist() == top.value[chosen].tolist()
    assert one.mismatches == 0
    assert one.field == (8, 8)
    for row, channel in enumerate(chosen):
        y0, x0, y1, x1 = top.box[channel, 0]
        assert (one.patch[row, 0] == images.pixels[top.image[channel, 0], y0:y1, x0:x1]).all()
    assert (one.projection == model.attribute(top, images, channels=chosen.tolist()).values).all()


def test_large_tiles_are_kept_as_large_as_they_are_printed(
    looked: tuple[cs.Model, ArrayImages, dict[str, cs.TopK]],
) -> None:
    model, images, tops = looked
    one = figure.panel(model, tops["3"], images, [0], largest=4)
    assert one.patch.shape == one.projection.shape == (1, 9, 4, 4, 3)


def test_a_layer_that_nothing_excites_is_refused(looked: tuple[cs.Model, ArrayImages, dict[str, cs.TopK]]) -> None:
    model, images, tops = looked
    with pytest.raises(InputError, match="layer '0' has no channel to show"):
        figure.panel(model, tops["0"], images, [])


# Panels of a run


def written(folder: Path, value: np.ndarray, tiles: np.ndarray, scale: np.ndarray) -> cs.Run:
    """A run with one record of kind ``topk``: patches are the tiles, projections by two rules."""
    channels, k = value.shape
    arrays = {
        "value": value,
        "image": np.zeros((channels, k), np.int64),
        "position": np.zeros((channels, k, 2), np.int32),
        "box": np.zeros((channels, k, 4), np.int32),
        "projection_scale": scale,
        "recomputed": np.where(np.arange(channels)[:, None] < 2, value + 0.5, value),  # not those of the first two
        **{name: np.zeros(channels) for name in ("mean", "max", "variance", "positive")},
    }
    meta = {
        "layer": "conv9",
        "network": "net",
        "dataset": "tiles",
        "images_seen": 50,
        "receptive_field": {"size": [8, 8]},
        "rules": ["deconvnet", "gradient"],
        "rule_reports": {"deconvnet": "1 of 1 ReLUs ruled; undefined: 0", "gradient": "as it is"},
        "mismatches": 2 * k,
    }
    sheets = {"patch": tiles, "deconvnet": tiles, "gradient": 255 - tiles}
    with cs.SummaryWriter(folder) as writer:
        writer.add(Summary("topk", "features/conv9", arrays=arrays, pictures=sheets, meta=meta))
    return cs.Run(folder)


def test_a_panel_of_a_run_is_that_of_its_records(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tiles = random.integers(1, 255, (40, 4, 8, 8, 3), np.uint8)  # two files of 16 rows and one of 8
    value = np.sort(random.random((40, 4), np.float32) + 1)[:, ::-1].copy()
    scale = np.stack([np.full((40, 4), 2, np.float32), np.full((40, 4), 8, np.float32)])
    run = written(tmp_path, value, tiles, scale)
    (all_of_it,) = figure.panels_of_run(run)
    assert all_of_it.channels.tolist() == list(range(40))
    assert (all_of_it.patch == tiles).all()
    assert (all_of_it.title, all_of_it.layer, all_of_it.images, all_of_it.mismatches) == (
        "features/conv9",
        "conv9",
        50,
        8,
    )
    (some,) = figure.panels_of_run(run, ["features/conv9"], count=5, seed=3)
    assert (some.patch == tiles[some.channels]).all()
    assert (some.rule, some.mismatches) == ("deconvnet", 4 * int((some.channels < 2).sum()))
    assert some.projection == pytest.approx((tiles[some.channels].astype(float) - GREY) / 127 * 2)
    (by_gradient,) = figure.panels_of_run(run, rule="gradient")
    assert by_gradient.report == "as it is"
    assert by_gradient.projection == pytest.approx((127 - tiles.astype(float)) / 127 * 8)


def test_what_a_run_does_not_have_is_said(tmp_path: Path) -> None:
    tiles = np.full((3, 1, 8, 8, 3), 100, np.uint8)
    run = written(tmp_path / "run", np.ones((3, 1), np.float32), tiles, np.ones((2, 3, 1), np.float32))
    with pytest.raises(NotFoundError, match=r"no layer 'conv9'.*features/conv9"):
        figure.panels_of_run(run, ["conv9"])
    with pytest.raises(NotFoundError, match="no projections by rule 'occlusion'"):
        figure.panels_of_run(run, rule="occlusion")
    with pytest.raises(InputError, match="2 counts of channels for 1 layers"):
        figure.panels_of_run(run, count=(1, 2))
    with cs.SummaryWriter(tmp_path / "empty") as writer:
        writer.add_scalar("loss", 1, 0)
    with pytest.raises(InputError, match="holds no top images; convscope inspect writes them"):
        figure.panels_of_run(cs.Run(tmp_path / "empty"))


def test_rows_of_a_sheet_are_its_tiles(tmp_path: Path) -> None:
    tiles = np.random.default_rng(1).integers(0, 256, (37, 3, 5, 9, 1), np.uint8)
    run = written(tmp_path, np.ones((37, 3), np.float32), tiles, np.ones((2, 37, 3), np.float32))
    record = run.record(run.entries("topk")[0])
    wanted = [36, 0, 15, 16, 16]
    assert (record.tiles("patch", wanted) == tiles[wanted]).all()
    assert (record.tiles("patch", [20])[0, 2] == record.tile("patch", 20, 2)).all()
    assert record.tiles("patch", []).shape == (0, 3, 5, 9, 1)
    with pytest.raises(NotFoundError, match="has 37 rows, no row 37"):
        record.tiles("patch", [3, 37])
    with pytest.raises(NotFoundError, match="no picture 'map'"):
        record.tiles("map", [0])


def test_a_figure_of_a_run_needs_no_torch() -> None:
    code = "import sys, convscope.jobs.figure; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# The picture


def test_the_same_panels_give_the_same_bytes_whatever_is_between() -> None:
    first = figure.draw([coloured(), coloured(6)], width=1200).tobytes()
    figure.draw([coloured(2)], "pairs", width=900)
    assert figure.draw([coloured(), coloured(6)], width=1200).tobytes() == first


def colours(picture: Image.Image) -> dict[tuple[int, ...], tuple[int, int]]:
    """Return each colour of a picture → where it is first met, as (y, x)."""
    pixels = np.asarray(picture).astype(np.int32)
    found, where = np.unique(pixels @ [1 << 16, 1 << 8, 1], return_index=True)
    places = [divmod(int(at), pixels.shape[1]) for at in where]
    return {(c >> 16, c >> 8 & 255, c & 255): place for c, place in zip(found.tolist(), places, strict=True)}


def test_figure_2_has_the_patches_in_rows_of_three_right_of_the_projections() -> None:
    picture = figure.draw([coloured(10)], "figure2", width=1600)
    assert picture.size[0] == 1600
    found = colours(picture)
    pixels = np.asarray(picture)
    corner = [found[10 * channel, 0, 0] for channel in range(1, 4)]
    assert corner[1][0] > corner[0][0], "ten channels stand two by two"
    assert corner[2] == (corner[1][0], corner[0][1])
    ranks = [found[10, 20 * rank, 0] for rank in range(9)]
    step = ranks[1][1] - ranks[0][1]
    assert ranks == [(ranks[0][0] + rank // 3 * step, ranks[0][1] + rank % 3 * step) for rank in range(9)]
    y, x = corner[0]
    left = pixels[y, : x - 3 * step]  # the other channel's patches, and before them the projections of both
    assert (left == GREY).all(-1).sum() >= 6 * (step - 2)


def test_zero_is_grey_and_full_contrast_is_that_of_what_is_printed() -> None:
    values = np.zeros((1, 1, 64, 64, 1), np.float32)
    values[0, 0, 16:48, 16:48, 0] = -3  # what is left of it in a small tile
    values[0, 0, ::2, ::2, 0] += 50  # and what a small tile averages away
    values[0, 0, 1::2, ::2, 0] -= 50
    one = replace(coloured(1, 1), projection=values)
    half, whole = (figure._group(one, figure.LAYOUTS["projections"], tile).columns[0][0] for tile in (32, 64))
    assert half.under == ("±3",)
    assert half.blocks[0].shape == (1, 32, 32, 1)
    assert (half.blocks[0][0, 8:24, 8:24] == 1).all()
    assert (half.blocks[0] == GREY).sum() == 3 * 16**2 * 1
    assert whole.under == ("±53",)
    assert whole.blocks[0].max() > 240


def test_small_layers_share_a_row_as_in_the_paper() -> None:
    together = figure.draw([coloured(10), coloured(10)], width=1600, text="").height
    alone = figure.draw([coloured(10)], width=1600, text="").height
    assert together <= alone
    five = figure.draw([coloured(n) for n in figure.FIGURE2_CHANNELS], width=1600, text="")
    assert 0.6 < five.height / five.width < 0.85, "a page"


@pytest.mark.parametrize(
    ("count", "most", "abreast"), [(9, 4, 3), (16, 4, 4), (12, 4, 4), (10, 4, 2), (7, 4, 4), (1, 4, 1), (64, 16, 16)]
)
def test_channels_stand_without_a_hole_where_they_can(count: int, most: int, abreast: int) -> None:
    cells = [blocks.Cell((np.zeros((9, 2, 2, 3), np.uint8),), ("",), "0")] * count
    assert blocks.Group("", "", ("",), (cells,), most).abreast == abreast


@pytest.mark.parametrize("layout", figure.LAYOUTS)
@pytest.mark.parametrize("k", [1, 4, 5])
@pytest.mark.parametrize("width", [500, 1777])
def test_every_layout_stays_on_its_page_and_shows_what_it_says(layout: str, k: int, width: int) -> None:
    picture = figure.draw([coloured(7, k), coloured(30, k), coloured(3, k)], layout, width=width)
    assert picture.width == width
    pixels = np.asarray(picture)
    assert (pixels[:, -width // 120 :] == 255).all(), "nothing runs over the right margin"
    found = colours(picture)
    shown = {(10 * channel, 20 * rank, 0) for channel in range(3) for rank in range(1, k)}
    assert shown <= set(found) if "patch" in str(figure.LAYOUTS[layout].columns) else not shown & set(found)


def test_tiles_keep_their_proportions_and_grey_ones_their_grey() -> None:
    wide = np.zeros((1, 1, 8, 16, 1), np.uint8)
    one = replace(coloured(1, 1), patch=wide, projection=wide.astype(np.float32))
    pixels = np.asarray(figure.draw([one], "patches", width=1600, text=""))
    rows, columns = np.nonzero((pixels == 0).all(-1))
    assert (columns.max() - columns.min() + 1) == pytest.approx(2 * (rows.max() - rows.min() + 1), abs=2)


def test_the_caption_says_network_data_images_rule_and_report() -> None:
    deep = replace(coloured(), report="2 of 2 ReLUs ruled; undefined: 0")
    said = figure.caption([coloured(), deep])
    for part in ("net:", "tiles (100 images)", "deconvnet (2 of 2 ReLUs ruled; undefined: 0", "72 recomputed"):
        assert part in said
    assert "all 72 recomputed activations equal" in said
    assert "3 of 72 recomputed activations differ" in figure.caption([coloured(), replace(deep, mismatches=3)])


def test_letters_that_the_font_lacks_are_not_drawn_as_boxes() -> None:
    plain = figure.draw([coloured(title="Mowe × 3 – ?")], width=1600).tobytes()
    assert figure.draw([coloured(title="Möwe × 3 – 鷗")], width=1600).tobytes() == plain
    assert DEFAULT.plain("Möwe ±3 … é") == "Mowe ±3 … e"


def test_a_long_caption_is_broken_into_lines() -> None:
    short = figure.draw([coloured()], width=1600, text="few words").height
    long = figure.draw([coloured()], width=1600, text="many words " * 60)
    assert long.height > short + 40
    assert (np.asarray(long)[:, -10:] == 255).all()


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: figure.draw([coloured()], "figure3"), NotFoundError, "no layout 'figure3'.*figure2"),
        (lambda: figure.draw([]), InputError, "nothing to draw; give at least one panel"),
        (lambda: figure.draw([coloured()], width=90), InputError, "8 blocks do not fit into a width of 90 pixels"),
    ],
    ids=["layout", "nothing", "narrow"],
)
def test_what_cannot_be_drawn_is_said(make, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make()


@pytest.mark.parametrize("name", ["jobs.figure", "jobs.panels"])
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    import doctest

    module = __import__(f"convscope.{name}", fromlist=["_"])
    failed, tried = doctest.testmod(module, globs={**vars(module), "np": np})
    assert failed == 0
    assert tried
