"""The pages of weight gradients, importance and ablation in a real Chromium."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Locator, Page, expect

from browser_pages import Traffic, inked, open_view, settled, until
from convscope import SummaryWriter
from convscope.inspect.filters import examine_filters
from convscope.summary import Summary
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

FILTERS: Final = 24
KERNEL: Final = 5
ZERO: Final = [214, 211, 207]
"""The middle of the diverging map."""
CLASSES: Final = ("tench", "church", "golf ball")
CURVES: Final = ("least first", "most first", "random")
MEASURES: Final = ("gradient_norm", "activation", "taylor")
PIXELS: Final = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"


def group(name: str, number: int, class_name: str, **more: Any) -> dict[str, Any]:
    unknown = {"images": 1, "image": None, "predicted": None, "predicted_name": None, "correct": None}
    return {"name": name, "class": number, "class_name": class_name, **unknown, **more}


GROUPS: Final = [
    group("cat.jpg", 0, "cat", image="cat.jpg", predicted=0, predicted_name="cat", correct=True),
    group("miss.jpg", 0, "cat", image="miss.jpg", predicted=1, predicted_name="dog", correct=False),
    group("mean for cat", 0, "cat", images=7),
]


def gradients() -> npt.NDArray[np.float32]:
    """Gradients of three groups; filter 0 is zero, 3 has the largest value, 5 differs most."""
    found = np.random.default_rng(1).normal(0, 0.1, (3, FILTERS, 3, KERNEL, KERNEL)).astype(np.float32)
    found[:, 0] = 0
    found[:, 3, :, 1, 2] = [0.5, -1, 1.5]
    found[1, 5] = -found[0, 5] * 4
    return found


def importance() -> npt.NDArray[np.float32]:
    """Importance for all images and three classes; the second ranks filters as the first does, but for 2 and 20."""
    found = np.random.default_rng(2).gamma(1, 1, (len(MEASURES), 4, FILTERS)).astype(np.float32)
    found[0, 1] = np.arange(1, FILTERS + 1)
    found[0, 2] = found[0, 1]
    found[0, 2, [2, 20]] = found[0, 1, [20, 2]]
    return found


def ablation(measured: int) -> Summary:
    """A summary of three curves, the last of which is known at its first places only."""
    random = np.random.default_rng(3)
    removed = np.arange(FILTERS + 1, dtype=np.int32)
    share = removed / FILTERS
    accuracy = np.stack([0.9 - 0.9 * share**2, 0.9 * (1 - share) ** 3, 0.9 - 0.9 * share])
    known = accuracy[:, :, None] * [1.0, 0.9, 0.8]
    accuracy[2, measured:] = known[2, measured:] = np.nan
    order = np.stack([np.arange(FILTERS), np.arange(FILTERS)[::-1], random.permutation(FILTERS)])
    single_class = np.repeat(known[0, :1], FILTERS, axis=0)
    single_class[4] -= [0.5, 0, 0.1]
    arrays: dict[str, npt.NDArray[Any]] = {
        "order": order.astype(np.int32),
        "removed": removed,
        "accuracy": accuracy,
        "class_accuracy": known,
        "loss": 2 - accuracy,
        "support": np.full(len(CLASSES), 50),
        "single": 0.9 - np.where(np.arange(FILTERS) == 4, 0.2, 0.01),
        "single_class": single_class,
    }
    curves = [{"name": name, "measure": "taylor", "seed": None} for name in CURVES]
    classes = [{"class": k, "name": name} for k, name in enumerate(CLASSES)]
    return Summary("ablation", "conv1", arrays=arrays, meta={"curves": curves, "classes": classes, "layer": "conv1"})


def write_layer(writer: SummaryWriter) -> None:
    gradient = gradients()
    arrays = {"gradient": gradient, "sum": gradient.sum(2), "norm": np.sqrt((gradient**2).sum((2, 3, 4)))}
    meta = {"groups": GROUPS, "layer": "conv1", "network": "small", "target": "logit", "order": "RGB"}
    picture = np.zeros((3, 1, 16, 16, 3), np.uint8)
    picture[:, :, 4:12, 4:12] = [200, 40, 40]
    writer.add(Summary("weight_gradients", "conv1", arrays=arrays, pictures={"input": picture}, meta=meta))
    rows = [group("all classes", -1, "all classes"), *(group(name, k, name) for k, name in enumerate(CLASSES))]
    about = {"measures": MEASURES, "groups": rows, "layer": "conv1"}
    writer.add(Summary("importance", "conv1", arrays={"importance": importance()}, meta=about))
    writer.add(ablation(10))
    writer.add(examine_filters(gradient[0], layer="conv1"), "conv1")
    volume = gradient[0].sum(1)
    ends = np.stack([volume.min((1, 2)), volume.max((1, 2))], 1)
    stored = {"volume": volume, "voxels": np.zeros(volume.shape, np.uint8), "scale": ends}
    stored["order"] = np.arange(FILTERS, dtype=np.int32)
    writer.add(Summary("volume", "conv1/cat.jpg, gradient of cat", arrays=stored, meta={"layer": "conv1"}))


def write_large(writer: SummaryWriter) -> None:
    """What 2,048 filters and 1,000 classes are."""
    names = [group(f"class {k}", k, f"class {k}") for k in range(1000)]
    large = np.tile(np.random.default_rng(4).random(2048, np.float32), (2, 1000, 1))
    about = {"measures": MEASURES[:2], "groups": names, "layer": "layer4"}
    writer.add(Summary("importance", "layer4", arrays={"importance": large}, meta=about))
    removed = np.linspace(0, 2048, 65).round().astype(np.int32)
    accuracy = (1 - removed / 2048)[None]
    arrays: dict[str, npt.NDArray[Any]] = {
        "order": np.arange(2048, dtype=np.int32)[None],
        "removed": removed,
        "accuracy": accuracy,
        "class_accuracy": np.repeat(accuracy[:, :, None], 1000, 2),
        "loss": accuracy,
        "support": np.full(1000, 5),
    }
    classes = [{"class": k, "name": f"class {k}"} for k in range(1000)]
    meta = {"curves": [{"name": "least first", "measure": "taylor", "seed": None}], "classes": classes}
    writer.add(Summary("ablation", "layer4", arrays=arrays, meta=meta))


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    with SummaryWriter(folder / "net") as writer:
        write_layer(writer)
    with SummaryWriter(folder / "large") as writer:
        write_large(writer)
    return folder


@pytest.fixture(scope="module")
def server(logdir: Path) -> Iterator[RunningServer]:
    with serve(logdir, port=0) as running:
        yield running


def pixels(canvas: Locator) -> npt.NDArray[np.int64]:
    """The colours of a canvas of one pixel a weight."""
    return np.array(canvas.evaluate(PIXELS)).reshape(KERNEL, KERNEL, 4)[:, :, :3]


def fact(page: Page, name: str) -> str:
    return page.locator(".fact").filter(has=page.get_by_text(name, exact=True)).locator("dd").inner_text()


def saved(page: Page, button: Locator) -> list[list[str]]:
    with page.expect_download() as download:
        button.click()
    return list(csv.reader(io.StringIO(Path(download.value.path()).read_text())))


def test_gradients_are_signed_pictures_with_zero_in_the_middle(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/gradients?run=net")
    total = gradients().sum(2)
    tile = page.get_by_role("img", name="gradient of filter 3", exact=True)
    assert (pixels(page.get_by_role("img", name="gradient of filter 0", exact=True)) == ZERO).all(), "zero is grey"
    shown = pixels(tile)
    red, blue = shown[:, :, 0] > shown[:, :, 2] + 12, shown[:, :, 2] > shown[:, :, 0] + 12
    strong = np.abs(total[0, 3]) > 0.1 * np.abs(total).max()
    assert (red[strong] == (total[0, 3] > 0)[strong]).all()
    assert (blue[strong] == (total[0, 3] < 0)[strong]).all()
    assert float(fact(page, "scale").strip("±")) == pytest.approx(np.abs(total).max(), rel=1e-3), "of all groups"
    page.get_by_role("group", name="Scale").get_by_role("button", name="Each").click()
    page.wait_for_url("**scale=filter*")
    expect(page.locator(".facts")).to_contain_text("each filter its own")
    most = np.unravel_index(np.abs(total[0, 3]).argmax(), (KERNEL, KERNEL))
    until(page, lambda: pixels(tile)[most].max() < 130, "the end of the scale")
    box = settled(tile)
    page.mouse.move(box["x"] + box["width"] * 2.5 / KERNEL, box["y"] + box["height"] * 1.5 / KERNEL)
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("Filter 3, row 1, column 2")
    assert float(tip.locator("p").inner_text().replace("−", "-")) == pytest.approx(total[0, 3, 1, 2], rel=1e-3)


def test_groups_are_compared_on_one_scale_and_right_is_told_from_wrong(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/gradients?run=net&inputs=rgb")
    page.get_by_label("Compare with").select_option(label="miss.jpg · cat · predicted wrong")
    page.wait_for_url("**with=1*")
    panes = page.locator(".group-pane")
    expect(panes.first).to_contain_text("Predicted right: cat.")
    expect(panes.last).to_contain_text("Predicted wrong: dog.")
    inked(page, "canvas[aria-label='picture of miss.jpg']", 1)
    page.get_by_role("group", name="Sort").get_by_role("button", name="Difference").click()
    page.wait_for_url("**sort=difference*")
    cells = page.get_by_role("list", name="Gradients").get_by_role("listitem")
    expect(cells.first.get_by_role("link")).to_have_attribute("data-filter", "5")
    this, other, apart = (
        pixels(cells.first.locator(f"canvas[data-tile={name}]")) for name in ("this", "other", "difference")
    )
    assert np.abs((this - other) - (apart - 128)).max() <= 2, "all three on one scale, nothing clipped"
    both = gradients()[:2]
    found = float(fact(page, "scale").strip("±"))
    assert found >= np.abs(both[0] - both[1]).max() * 0.999
    page.get_by_role("group", name="Show").get_by_role("button", name="Difference").click()
    page.wait_for_url("**show=difference*")
    expect(cells.first.locator("canvas")).to_have_count(1)
    rows = saved(page, page.locator(".row-table-head").get_by_role("button", name="CSV"))
    assert rows[0] == ["filter", "L2 norm, cat.jpg", "L2 norm, miss.jpg", "difference"]
    assert int(rows[1][0]) == 5
    assert float(rows[1][3]) == pytest.approx(np.linalg.norm(both[0, 5] - both[1, 5]), rel=1e-5)


def test_a_gradient_leads_to_its_filter_and_its_volume_by_keyboard(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/gradients?run=net&inputs=1")
    first = page.get_by_role("link", name="filter 0, L2 norm")
    settled(first)
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    panel = page.get_by_label("Chosen filter")
    expect(panel.get_by_role("heading", name="Filter 1")).to_be_visible()
    expect(panel.locator(".matrix td")).to_have_count(KERNEL * KERNEL)
    value = panel.locator(".matrix td").nth(7).get_attribute("title") or ""
    assert float(value.replace("−", "-")) == pytest.approx(gradients()[0, 1, 1, 1, 2], rel=1e-4), "input 1"
    links = {
        name: panel.get_by_role("link", name=name).get_attribute("href") or "" for name in ("Its filter", "Its volume")
    }
    assert links["Its filter"].startswith("#/filters?")
    assert "ch=1" in links["Its filter"]
    assert "tag=conv1/cat.jpg" in links["Its volume"]
    page.keyboard.press("]")
    page.wait_for_url("**of=1*")
    expect(panel.get_by_role("link", name="Its volume")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.get_by_placeholder("Filter number").fill("2")
    expect(page.get_by_role("list", name="Gradients").get_by_role("listitem")).to_have_count(5)


def test_importance_is_a_grid_and_a_table(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/importance?run=net&of=1&cols=6")
    grid = page.locator("canvas.cell-grid")
    box = settled(grid)
    side = box["width"] / 6
    assert box["height"] == pytest.approx(4 * side, abs=1), "24 filters in 6 columns"
    row = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0)"
    reds = np.array(grid.evaluate(row)).reshape(-1, int(box["width"]))
    greys = [reds[int(i // 6 * side) + 3, int(i % 6 * side) + 3] for i in range(FILTERS)]
    assert greys == sorted(greys), "larger is lighter"
    assert (greys[0], greys[-1]) == (0, 255)
    page.mouse.move(box["x"] + 2.5 * side, box["y"] + 1.5 * side)
    expect(page.get_by_role("tooltip")).to_contain_text("filter 8")
    expect(page.get_by_role("tooltip")).to_contain_text("rank 16 of 24")
    page.mouse.click(box["x"] + 2.5 * side, box["y"] + 1.5 * side)
    panel = page.get_by_label("Chosen filter")
    expect(panel).to_contain_text("9 (rank 16)")
    expect(panel.get_by_role("link", name="Its filter")).to_have_attribute("href", "#/filters?run=net&tag=conv1&ch=8")
    page.get_by_role("button", name="Taylor", exact=True).click()
    page.wait_for_url("**by=Taylor*")
    rows = saved(page, page.locator(".row-table-head").get_by_role("button", name="CSV"))
    assert rows[0] == ["filter", "gradient norm", "activation", "Taylor", "rank"]
    taylor = importance()[2, 1]
    assert [int(row[0]) for row in rows[1:]] == np.argsort(-taylor).tolist()
    assert [int(row[4]) for row in rows[1:]] == [FILTERS - int(row[0]) for row in rows[1:]]


def test_two_classes_are_compared_by_rank(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/importance?run=net&of=1&with=2")
    one, other = importance()[0, 1:3]
    ranked = [values.argsort().argsort() for values in (one, other)]
    rho = np.corrcoef(*ranked)[0, 1]
    compared = page.get_by_label("Comparison")
    expect(compared).to_contain_text(f"Spearman's ρ = {rho:.3f}")
    lists = compared.get_by_role("listitem")
    expect(lists).to_have_text(["filter 20 rank 4, there 22 of 24", "filter 2 rank 4, there 22 of 24"])
    scatter = page.locator("canvas.rank-scatter")
    inked(page, "canvas.rank-scatter", 5)
    scatter.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tooltip")).to_contain_text("filter 1")
    page.keyboard.press("Enter")
    page.wait_for_url("**ch=1*")
    strip = page.locator("canvas.bar-strip")
    strip.focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("tooltip")).to_contain_text("filter 23")
    expect(page.get_by_role("tooltip")).to_contain_text("church 24")
    page.get_by_label("Measure").select_option("taylor")
    page.wait_for_url("**measure=taylor*")
    expect(compared).not_to_contain_text(f"Spearman's ρ = {rho:.3f}")


def test_pruning_curves_tell_which_filter_went_and_grow(page: Page, server: RunningServer, logdir: Path) -> None:
    open_view(page, server, "#/ablation?run=net&n=6")
    expect(page.locator(".facts")).to_contain_text("60 of 75 measured")
    expect(page.get_by_role("progressbar", name="Ablation measured")).to_have_attribute("aria-valuenow", "80")
    assert fact(page, "baseline") == "90.0 %"
    areas = page.get_by_role("table", name="Areas under the pruning curves").locator("tbody tr")
    share = np.arange(FILTERS + 1) / FILTERS
    area = np.trapezoid(0.9 - 0.9 * share**2, share)
    expect(areas.nth(0)).to_contain_text(f"{area:.4f}")
    expect(areas.nth(0)).to_contain_text("84.4 %")
    expect(areas.nth(2)).to_contain_text("(to 38 %)")
    chart = page.get_by_role("group", name="conv1: filters zeroed")
    chart.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("3 of 24 zeroed")
    expect(tip).to_contain_text("least first: filter 2")
    expect(tip).to_contain_text("most first: filter 21")
    page.get_by_role("button", name="church").click()
    page.wait_for_url("**class=church*")
    expect(page.locator(".curve-readings")).to_contain_text("church, least first")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the pruning curves").click()
        page.get_by_role("menuitem", name="SVG").click()
    assert "church, least first" in Path(download.value.path()).read_text()
    with SummaryWriter(logdir / "net") as writer:
        writer.add(ablation(FILTERS + 1))
    expect(page.locator(".facts")).not_to_contain_text("measured")
    expect(areas.nth(2)).to_contain_text("25 of 25")
    expect(page.locator(".curve-readings")).to_contain_text("church, least first")


def test_each_filter_alone_is_ranked_by_what_it_costs(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/ablation?run=net&ch=4")
    panel = page.get_by_label("Chosen filter")
    expect(panel).to_contain_text("accuracy −20.0 %")
    expect(panel.locator(".lost-classes li")).to_have_text(["tench50.0 %", "golf ball10.0 %"])
    expect(panel).to_contain_text("5th to go")
    strip = page.get_by_label("Single filters").locator("canvas.bar-strip")
    strip.focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("tooltip")).to_contain_text("filter 4")
    page.get_by_role("button", name="golf ball").click()
    heading = page.get_by_role("heading", name="One filter zeroed: accuracy lost, golf ball")
    expect(heading).to_be_visible()
    rows = saved(page, page.locator(".row-table-box").last.get_by_role("button", name="CSV"))
    fifth = next(row for row in rows if row[0] == "4")
    assert fifth[3] == "1"
    assert float(fifth[2]) == pytest.approx(0.1)


def test_thousands_of_filters_and_classes_build_only_what_is_seen(page: Page, server: RunningServer) -> None:
    traffic = Traffic(page)
    open_view(page, server, "#/importance?run=large")
    inked(page, "canvas.cell-grid", 50)
    table = page.get_by_role("table", name="Filters of layer4 for class 0")
    expect(table).to_have_attribute("aria-rowcount", "2049")
    assert table.locator("tbody tr").count() < 60
    page.locator(".row-table-scroller").evaluate("el => el.scrollTo(0, el.scrollHeight)")
    expect(table.locator("tr[data-item='2047']")).to_be_visible()
    open_view(page, server, "#/ablation?run=large")
    classes = page.get_by_role("table", name="Classes, least first")
    expect(classes).to_have_attribute("aria-rowcount", "1001")
    page.get_by_placeholder("Class", exact=True).fill("class 99")
    expect(classes).to_have_attribute("aria-rowcount", "12")
    assert page.locator("tr").count() < 150
    assert traffic.bytes() < 20_000_000, "two measures and the accuracies of one curve"


def test_pages_without_records_name_the_call_that_fills_them(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "empty") as writer:
        writer.add_scalar("loss", 1.0, 0)
    with serve(tmp_path, port=0) as running:
        calls = {
            "gradients": "model.weight_gradients(",
            "importance": "convscope importance",
            "ablation": "convscope ablate",
        }
        for view, call in calls.items():
            open_view(page, running, f"#/{view}")
            expect(page.get_by_test_id("empty")).to_contain_text(call)


def test_narrow_pages_do_not_scroll_sideways(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("gradients?run=net&with=1&ch=3", "importance?run=net&with=2&ch=3", "ablation?run=net&ch=4"):
        open_view(page, server, f"#/{address}")
        settled(page.get_by_label("Chosen filter"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
