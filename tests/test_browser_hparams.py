"""Hyper-parameters in a real Chromium: table, parallel coordinates and scatter plot, linked by filter and selection."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser_pages import inked, open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

SWEEP = {
    "a": ({"lr": 0.001, "optimizer": "adam", "augment": True, "width": "2"}, 0.5),
    "b": ({"lr": 0.01, "optimizer": "sgd", "augment": False, "width": "10"}, 0.7),
    "c": ({"lr": 0.1, "optimizer": "adam", "augment": True, "width": "9"}, 0.9),
    "d": ({"lr": 1.0, "optimizer": "lion", "<img src=x onerror=alert(1)>": 3}, float("nan")),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("sweep")
    for name, (values, accuracy) in SWEEP.items():
        with SummaryWriter(logdir / "own" / name) as writer:
            writer.add_scalar("accuracy", 0.95, 0)
            writer.add_hparams(values, {"accuracy": accuracy}, global_step=5)
    with SummaryWriter(logdir / "plain") as writer:
        writer.add_scalar("loss", 1.0, 0)
    write_others(logdir)
    with serve(logdir, port=0) as running:
        yield running


def write_others(logdir: Path) -> None:
    """Write what torch and tensorboardX make of hyper-parameters: a run of their own below the one with the curves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboardX import SummaryWriter as XWriter
        from torch.utils.tensorboard import SummaryWriter as TorchWriter

        with TorchWriter(str(logdir / "torch")) as torch_writer:  # type: ignore[no-untyped-call]
            torch_writer.add_scalar("loss", 2.0, 0)  # type: ignore[no-untyped-call]
            torch_writer.add_hparams({"lr": 0.2}, {"hparam/accuracy": 0.8}, run_name="t")  # type: ignore[no-untyped-call]
        with XWriter(str(logdir / "tbx")) as x_writer:
            x_writer.add_scalar("loss", 3.0, 0)
            x_writer.add_hparams({"lr": 0.3, "augment": True}, {"hparam/accuracy": 0.6}, name="x")


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Runs with their hyper-parameters")


def names(page: Page) -> list[str]:
    return table(page).locator("tbody th a").all_inner_texts()


def shown(page: Page, *expected: str) -> None:
    until(page, lambda: names(page) == list(expected), f"the rows {expected}")


def cells(page: Page, run: str) -> str:
    return " | ".join(table(page).get_by_role("row", name=run).locator("td:not([aria-hidden])").all_inner_texts())


OWN = "#/hparams?only=own/*"


def test_runs_of_all_writers_are_rows_and_those_without_are_named(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/hparams")
    shown(page, "own/a", "own/b", "own/c", "own/d", "tbx/x", "torch/t")
    heads = [text for text in table(page).locator("thead th").all_inner_texts() if text]
    assert heads[:5] == ["run", "lr", "optimizer", "augment", "width"]
    assert "<img src=x onerror=alert(1)>" in heads
    assert cells(page, "own/a").startswith("0.001 | adam | true | “2” | –")
    assert "NaN" in cells(page, "own/d")
    assert "0.8" in cells(page, "torch/t")
    page.get_by_text("3 with curves but without hyper-parameters").click()
    rest = page.locator(".hparam-without li")
    expect(rest).to_have_count(3)
    expect(rest.filter(has_text="torch")).to_contain_text("hyper-parameters in 1 below it")
    link = table(page).get_by_role("link", name="torch/t")
    expect(link).to_have_attribute("href", re.compile(r"#/scalars\?.*only=torch,torch/t$"))


def test_columns_sort_and_what_is_no_number_comes_last(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN)
    sort = table(page).get_by_role("button", name="accuracy", exact=True)
    sort.click()
    shown(page, "own/a", "own/b", "own/c", "own/d")
    sort.click()
    shown(page, "own/c", "own/b", "own/a", "own/d")
    expect(table(page).locator("th[aria-sort=descending]")).to_contain_text("accuracy")
    page.wait_for_url("**sort=-accuracy*")
    table(page).get_by_role("button", name="width", exact=True).click()
    shown(page, "own/a", "own/c", "own/b", "own/d")


def test_a_number_range_filters_everything_and_the_address_knows(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN)
    page.get_by_role("button", name="Filter and options of lr").click()
    dialog = page.get_by_role("dialog", name="Column lr")
    dialog.get_by_label("Least of lr").fill("0.005")
    dialog.get_by_label("Greatest of lr").fill("0.5")
    shown(page, "own/b", "own/c")
    expect(page.get_by_test_id("parallel-summary")).to_contain_text("2 of 4 runs")
    expect(page.get_by_test_id("scatter-summary")).to_contain_text("of 2 that pass")
    until(page, lambda: "f.lr=0.005..0.5" in page.url, "the filter in the address")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Filter and options of lr, filtered")).to_be_focused()
    page.reload()
    ready(page)
    shown(page, "own/b", "own/c")
    page.get_by_role("button", name="Remove the filter lr").click()
    shown(page, "own/a", "own/b", "own/c", "own/d")


def test_choices_missing_values_and_texts_filter(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN)
    page.get_by_role("button", name="Filter and options of augment").click()
    dialog = page.get_by_role("dialog", name="Column augment")
    dialog.get_by_role("checkbox", name="true").uncheck()
    shown(page, "own/b", "own/d")
    dialog.get_by_role("checkbox", name="missing").uncheck()
    shown(page, "own/b")
    dialog.get_by_role("button", name="None", exact=True).click()
    expect(table(page)).to_contain_text("No run passes the filters")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove the filter augment").click()
    page.get_by_role("button", name="Filter and options of optimizer").click()
    page.get_by_role("searchbox", name="Text in optimizer").fill("DA")
    shown(page, "own/a", "own/c")


def test_an_axis_is_brushed_moved_and_rescaled(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN + "&show=parallel")
    expect(page.get_by_role("button", name="Axis lr, 1 of")).to_contain_text("log")
    over = page.locator(".parallel-stage canvas.over")
    box, head = settled(over), settled(page.get_by_role("button", name="Axis lr"))
    x = head["x"] + head["width"] / 2
    page.mouse.move(x, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(x, box["y"] + 60)
    page.mouse.move(x, box["y"] + 110)
    page.mouse.up()
    expect(page.get_by_role("status").filter(has_text="1 of 4 runs")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(r"Axis lr.*filtered"))).to_be_visible()
    page.get_by_role("button", name="Axis lr").focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_role("button", name="Axis lr, 2 of")).to_be_focused()
    until(page, lambda: "axes=optimizer,lr," in page.url, "the order in the address")
    page.get_by_role("button", name="Axis lr").click()
    page.get_by_role("dialog").get_by_role("button", name="quantile").click()
    expect(page.get_by_role("button", name="Axis lr")).to_contain_text("quantile")
    page.keyboard.press("Escape")
    start, goal = (settled(page.get_by_role("button", name=name)) for name in ("Axis accuracy", "Axis optimizer"))
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(goal["x"] + 60, start["y"] + 8)
    page.mouse.move(goal["x"] - 20, start["y"] + 8)
    page.mouse.up()
    expect(page.get_by_role("button", name="Axis accuracy, 1 of")).to_be_visible()
    inked(page, ".parallel-stage canvas", 20)


def test_a_run_is_touched_and_selected_in_all_three(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN + "&x=lr&y=accuracy")
    row = table(page).get_by_role("row", name="own/b")
    over = page.locator(".scatter-stage canvas.over")
    over.scroll_into_view_if_needed()
    box = settled(over)
    # b is at a third of the logarithmic axis and at the middle of accuracy, above the line of NaN.
    left, right, top, bottom = 62, box["width"] - 18, 14, box["height"] - 44 - 22
    x, y = box["x"] + left + (right - left) / 3, box["y"] + (top + bottom) / 2
    page.mouse.move(x, y)
    expect(page.get_by_role("tooltip")).to_contain_text("own/b")
    expect(row).to_have_class(re.compile("hovered"))
    page.mouse.click(x, y)
    expect(row.get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_test_id("parallel-summary")).to_contain_text("1 run selected")
    table(page).get_by_role("checkbox", name="Select own/a").check()
    until(page, lambda: "sel=own/a,own/b" in page.url, "the selection in the address")
    page.get_by_role("button", name="Keep only these").click()
    shown(page, "own/a", "own/b")


def test_keys_go_from_row_to_row(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN)
    table(page).get_by_role("checkbox", name="Select own/a").focus()
    page.keyboard.press("ArrowDown")
    box = table(page).get_by_role("checkbox", name="Select own/b")
    expect(box).to_be_focused()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    expect(box).to_be_focused()
    page.keyboard.press("End")
    expect(table(page).get_by_role("checkbox", name="Select own/d")).to_be_focused()


def test_rank_correlations_say_n_and_choose_the_plot(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN)
    ranks = page.get_by_role("table", name="Rank correlation")
    cell = ranks.get_by_role("row", name="lr").get_by_role("button")
    expect(cell).to_have_text("1.00n 3")
    expect(ranks.get_by_role("row", name="augment").get_by_role("button")).to_have_text("0.00n 3")
    page.locator(".scatter-choices").get_by_label("x", exact=True).select_option("optimizer")
    expect(page.get_by_test_id("scatter-summary")).to_contain_text("accuracy (linear) over optimizer (category)")
    summary = page.get_by_test_id("scatter-summary")

    def chosen() -> bool:  # a table that is drawn anew between press and release has no click
        cell.click()
        return "accuracy (linear) over lr (log)" in (summary.text_content() or "")

    until(page, chosen, "the plot of what was clicked")
    expect(cell).to_have_attribute("aria-pressed", "true")


def test_metrics_columns_and_files(page: Page, server: RunningServer) -> None:
    open_view(page, server, OWN + "&f.lr=..0.05&sort=-lr")
    page.get_by_role("button", name="Max", exact=True).click()
    until(page, lambda: cells(page, "own/a").endswith("0.95"), "the greatest value of the curve")
    page.get_by_role("button", name="Last", exact=True).click()
    until(page, lambda: cells(page, "own/a").endswith("0.5"), "the last value of the curve")
    page.get_by_text(re.compile("^Columns: ")).click()
    page.get_by_role("checkbox", name="optimizer").uncheck()
    expect(table(page).get_by_role("columnheader", name="optimizer")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save the table").click()
    with page.expect_download() as saving:
        page.get_by_role("menuitem", name="CSV of the columns shown").click()
    rows = list(csv.DictReader(io.StringIO(saving.value.path().read_text())))
    assert [(row["run"], row["lr"], row["width"], row["accuracy"]) for row in rows] == [
        ("own/b", "0.01", "10", "0.699999988079071"),
        ("own/a", "0.001", "2", "0.5"),
    ]
    assert "optimizer" not in rows[0]
    for plot, kind, begin in (("parallel coordinates", "SVG", b"<svg"), ("scatter plot", "PNG", b"\x89PNG")):
        page.get_by_role("button", name=f"Save the {plot}").click()
        with page.expect_download() as saving:
            page.get_by_role("menuitem", name=kind).click()
        assert saving.value.path().read_bytes().startswith(begin)


def test_runs_appear_while_one_looks(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path, port=0) as running:
        open_view(page, running, "#/hparams")
        expect(page.get_by_test_id("empty")).to_contain_text("writer.add_hparams(")
        for name in ("first", "second"):
            with SummaryWriter(tmp_path / name) as writer:
                writer.add_hparams({"lr": 0.1}, {"loss": 1.0})
            expect(table(page).get_by_role("link", name=name)).to_be_visible()
        shown(page, "first", "second")


def test_it_fits_a_phone(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    open_view(page, server, "#/hparams")
    settled(table(page))
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    until(page, lambda: bool(page.evaluate(fits)), "a page no wider than the screen")
