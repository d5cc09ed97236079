"""The previews of channels: made while a search is recorded, or else cut out of its sheets; and hostile ones."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import searched_run
from convscope import Summary, SummaryWriter, export
from convscope.jobs.previews import with_previews
from convscope.store.sheets import encode_sheets, layout
from convscope.view import previewer, previews
from convscope.view.previews import Recorded


def held(summary: Summary) -> list[bytes]:
    """The previews of a record, one a channel."""
    recorded = Recorded(lambda: summary.arrays)
    return [recorded(channel) for channel in range(len(summary.arrays["preview_offset"]) - 1)]


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize(("k", "size"), [(9, (7, 7)), (1, (5, 9)), (4, (20, 12)), (16, (3, 3))])
def test_what_is_recorded_is_what_is_cut_out_of_lossless_sheets(
    tmp_path: Path, k: int, size: tuple[int, int], colours: int
) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (20, k, *size, colours)).astype(np.uint8)
    plan = layout("patch", patches.shape)
    assert plan["codec"] != "webp", "lossy"
    files = [tmp_path / f"{channel}.jpg" for channel in range(20)]
    for number, sheet in enumerate(encode_sheets(patches, plan)):
        first = number * plan["rows"]
        rows = range(min(plan["rows"], 20 - first))
        previewer.cut(sheet, plan, [(row, str(files[first + row])) for row in rows])
    made = held(with_previews(replace(searched_run.layer_summary("stages.0"), pictures={"patch": patches})))
    assert made == [file.read_bytes() for file in files]
    with Image.open(BytesIO(made[0])) as opened:
        assert opened.size == previewer.preview_size(plan)


def exported(folder: Path, summary: Summary, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], int]:
    """The previews in a site of one layer, and how many sheets were decoded for it."""
    with SummaryWriter(folder / "run") as writer:
        writer.add(summary)
    decoded: list[bytes] = []
    cut = previews._cut_here
    monkeypatch.setattr(previews, "_cut_here", lambda *given: (decoded.append(given[0]), cut(*given))[1])
    export(folder / "run", folder / "site")
    layer = folder / "site" / "run" / "stages.0"
    channels = searched_run.LAYERS["stages.0"]
    return [(layer / f"{channel}.jpg").read_bytes() for channel in range(channels)], len(decoded)


def test_a_site_takes_recorded_previews_and_decodes_no_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = with_previews(searched_run.layer_summary("stages.0"))
    shown, decoded = exported(tmp_path, summary, monkeypatch)
    assert decoded == 0
    assert shown == held(summary)


@pytest.mark.parametrize(
    "offset",
    [
        lambda right: right[::-1].copy(),
        lambda right: right + 1,
        lambda right: right[:3],
        lambda right: np.full_like(right, -1),
        lambda right: np.full_like(right, 1 << 62),
    ],
)
def test_previews_that_are_none_are_cut_out_of_the_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: object
) -> None:
    summary = with_previews(searched_run.layer_summary("stages.0"))
    arrays = {**summary.arrays, "preview_offset": offset(summary.arrays["preview_offset"])}  # type: ignore[operator]
    shown, decoded = exported(tmp_path, replace(summary, arrays=arrays), monkeypatch)
    assert decoded > 0
    assert shown == held(summary), "tiles so small are stored without loss"


def test_a_card_has_rows_of_three_previews_each_as_large_as_the_first(tmp_path: Path) -> None:
    shades = [40 * at for at in range(5)]
    for at, shade in enumerate(shades):
        Image.new("L", (30, 20) if at != 1 else (60, 60), shade).save(tmp_path / f"{at}.jpg")
    files = [tmp_path / f"{at}.jpg" for at in range(5)]
    made = previews.card([*files, tmp_path / "none.jpg"])
    assert made is not None
    assert made.size == (90, 20)
    shown = np.asarray(Image.open(BytesIO(made.data)).convert("L"))
    assert shown.shape == (20, 90)
    np.testing.assert_allclose(shown[10, [15, 45, 75]], shades[:3], atol=2)
    assert previews.card([tmp_path / "none.jpg"]) is None
