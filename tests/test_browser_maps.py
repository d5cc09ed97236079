"""The page of feature maps in a real Chromium: what it shows, what it sends, and what is drawn where."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import Traffic, inked, open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.inspect.filters import examine_filters
from convscope.inspect.maps import FeatureMaps, maps_tag
from convscope.inspect.receptive_field import ReceptiveField
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
CONV1 = ReceptiveField((11, 11), (4, 4), (-2, -2))
WHOLE = ReceptiveField.whole((96, 96), "adaptive pooling to 1 × 1")


def random_maps(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=shape) * rng.uniform(0.2, 3, (shape[0], 1, 1))).astype(np.float32)


def picture(shade: int, side: int = 96) -> np.ndarray:
    return np.random.default_rng(shade).integers(0, 256, (side, side, 3), np.uint8)


def add(writer: SummaryWriter, maps: np.ndarray, layer: str, name: str, step: int = 0, **known: object) -> None:
    about = {"layer": layer, "network": "net", "image": {"index": 0, "name": name, "label": ""}, **known}
    writer.add(FeatureMaps(maps, **about), maps_tag(layer, name), step)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return random_maps(12, 23, 23)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("maps")
    answer = [{"label": "tabby cat", "probability": 0.75}]
    with SummaryWriter(logdir / "net") as writer:
        weight = np.random.default_rng(0).normal(size=(12, 3, 11, 11)).astype(np.float32)
        writer.add(examine_filters(weight, layer="conv/1"), "conv/1")
        for number, name in enumerate(("cats/a.png", "cats/b.png")):
            shown = {"picture": picture(number), "predictions": answer}
            first = values if number == 0 else -values
            add(writer, first, "conv/1", name, receptive_field=CONV1, nonlinearity="ReLU", orders=("pca",), **shown)
            add(writer, np.arange(6.0), "pool", name, receptive_field=WHOLE, **shown)
    with SummaryWriter(logdir / "large") as writer:
        shown = {"picture": picture(3, 224), "nonlinearity": "ReLU", "orders": ("pca",)}
        add(writer, random_maps(512, 56, 56), "deep", "p", receptive_field=CONV1, **shown)
        wide = ReceptiveField((3, 3), (1, 1), (-1, -1))
        add(writer, random_maps(64, 224, 224), "wide", "p", receptive_field=wide, **shown)
    with SummaryWriter(logdir / "odd") as writer:
        for step in (0, 10):
            odd = random_maps(4, 5, 9) + step
            odd[1, 2, 3], odd[2] = np.nan, np.inf
            add(writer, odd, "<i>odd</i>", "none", step, nonlinearity="SiLU")
    with serve(logdir, port=0) as running:
        yield running


def address(run: str, layer: str = "", name: str = "cats/a.png", **more: object) -> str:
    tag = {"tag": maps_tag(layer, name)} if layer else {}
    keys = {"run": run, **tag, **more}
    return "#/maps?" + "&".join(f"{key}={quote(str(value))}" for key, value in keys.items())


def pixel(page: Page, selector: str, x: int, y: int) -> list[int]:
    script = """(canvas, at) => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        return [...copy.getImageData(...at, 1, 1).data];
    }"""
    found = page.locator(selector).evaluate(script, [x, y])
    return [int(part) for part in found]


@pytest.mark.parametrize(("layer", "sort"), [("deep", "index"), ("deep", "max"), ("wide", "index")])
def test_a_large_layer_sends_less_than_a_megabyte_before_scrolling(
    page: Page, server: RunningServer, layer: str, sort: str
) -> None:
    traffic = Traffic(page)
    open_view(page, server, address("large", layer, "p", sort=sort))
    inked(page, ".map-cell canvas", 20)
    opened = traffic.bytes()
    assert 100_000 < opened < 1_000_000  # the program itself and its fonts included
    page.mouse.move(900, 600)
    page.mouse.wheel(0, 1500)
    until(page, lambda: traffic.bytes() > opened, "the maps further down")


def test_the_grid_has_every_channel_and_lays_the_one_under_the_pointer_over_the_picture(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, address("net", "conv/1"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("conv/1")
    expect(page.get_by_role("list", name="Feature maps").get_by_role("listitem")).to_have_count(12)
    expect(page.get_by_role("list", name="What the network takes it for")).to_contain_text("tabby cat75 %")
    inked(page, '[aria-label="The network\'s input picture"]', 1000)
    expect(page.locator(".map-over")).to_be_hidden()
    page.locator("[data-channel='3']").hover()
    expect(page.locator(".map-over")).to_be_visible()
    picture_box, over = settled(page.locator(".map-input")), settled(page.locator(".map-over"))
    scale = picture_box["width"] / 96
    assert over["x"] - picture_box["x"] == pytest.approx(
        1.5 * scale, abs=0.6
    )  # centre of the first field less half a stride
    assert over["width"] == pytest.approx(23 * 4 * scale, abs=0.6)
    page.mouse.move(5, 5)
    expect(page.locator(".map-over")).to_be_hidden()


def test_order_scale_and_values_are_chosen_and_kept_in_the_address(
    page: Page, server: RunningServer, values: np.ndarray
) -> None:
    open_view(page, server, address("net", "conv/1"))

    def shown() -> list[int]:
        return page.locator(".map-cell").evaluate_all("all => all.map(one => Number(one.dataset.channel))")

    assert shown() == list(range(12))
    bar = page.get_by_role("img", name="layer: colours from")
    expect(bar).to_have_attribute(
        "aria-label", f"layer: colours from −{abs(values).max():.4g} to {abs(values).max():.4g}"
    )
    page.get_by_role("button", name="Max", exact=True).click()
    page.wait_for_url("**sort=max*")
    assert shown() == np.argsort(-values.max((1, 2)), kind="stable").tolist()
    page.get_by_role("button", name="Sparsity").click()
    assert shown() == np.argsort((values > 0).mean((1, 2)), kind="stable").tolist()
    page.get_by_role("button", name="PCA").click()
    page.wait_for_url("**sort=pca*")
    page.get_by_role("button", name="After ReLU").click()
    page.wait_for_url("**after=1*")
    expect(page.locator("body")).to_contain_text(f"0 … {values.max():.3g}")
    page.get_by_role("button", name="Mean", exact=True).click()
    assert shown() == np.argsort(-np.maximum(values, 0).mean((1, 2)), kind="stable").tolist()
    page.get_by_role("button", name="Each").click()
    page.wait_for_url("**scale=own*")
    expect(bar).to_have_count(0)
    expect(page.locator("[data-channel='4']")).to_contain_text(f"0 … {values[4].max():.2g}")
    page.reload()
    ready(page)
    assert shown() == np.argsort(-np.maximum(values, 0).mean((1, 2)), kind="stable").tolist()
    page.locator("#search").fill("11")
    expect(page.locator(".map-cell")).to_have_count(1)


def test_a_map_is_read_value_by_value_with_what_each_position_sees(
    page: Page, server: RunningServer, values: np.ndarray
) -> None:
    open_view(page, server, address("net", "conv/1"))
    page.locator("[data-channel='5']").click()
    page.wait_for_url("**ch=5*")
    ready(page)
    reading = page.get_by_test_id("reading")
    row, column = np.unravel_index(values[5].argmax(), (23, 23))
    expect(reading).to_contain_text(f"{values[5].max():.6g} at row {row}, column {column}.")
    stage = settled(page.locator(".map-stage canvas"))
    cell = stage["width"] / 23
    page.mouse.move(stage["x"] + 7.5 * cell, stage["y"] + 0.5 * cell)
    expect(reading).to_contain_text(f"{values[5, 0, 7]:.6g}".replace("-", "−") + " at row 0, column 7.")
    expect(reading).to_contain_text(
        "sees rows 0–8, columns 26–36 of the picture; its field of 11 × 11 is cut at the border"
    )
    field = page.get_by_test_id("field")
    expect(field).to_have_attribute("data-box", "0,26,9,37")
    box, whole = settled(field), settled(page.locator(".map-input"))
    assert box["x"] - whole["x"] == pytest.approx(26 / 96 * whole["width"], abs=1)
    assert box["height"] == pytest.approx(9 / 96 * whole["height"], abs=1)
    page.mouse.click(stage["x"] + 7.5 * cell, stage["y"] + 0.5 * cell)
    page.wait_for_url("**pos=0,7*")
    page.mouse.move(5, 5)
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_url("**pos=2,6*")
    expect(reading).to_contain_text(f"{values[5, 2, 6]:.6g}".replace("-", "−"))
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_url("**ch=6*")
    expect(reading).to_contain_text(f"{values[6, 2, 6]:.6g}".replace("-", "−"))
    page.reload()
    ready(page)
    expect(reading).to_contain_text(f"{values[6, 2, 6]:.6g}".replace("-", "−"))
    page.keyboard.press("Escape")
    expect(page.locator(".map-cell")).to_have_count(12)
    expect(field).to_be_hidden()


def test_the_overlay_is_as_opaque_as_the_values_are_strong(
    page: Page, server: RunningServer, values: np.ndarray
) -> None:
    open_view(page, server, address("net", "conv/1", ch=0, after=1, scale="own", overlay=0.5))
    over = page.locator(".map-over")
    expect(over).to_have_css("opacity", "0.5")
    row, column = (int(part) for part in np.unravel_index(values[0].argmax(), (23, 23)))
    assert pixel(page, ".map-over", column, row)[3] == 255
    row, column = (int(part) for part in np.unravel_index(values[0].argmin(), (23, 23)))
    assert pixel(page, ".map-over", column, row)[3] == 0
    page.get_by_label("Overlay").focus()
    page.keyboard.press("Home")
    expect(over).to_be_hidden()
    expect(page.get_by_role("link", name="Its filter")).to_have_attribute("href", "#/filters?run=net&tag=conv/1&ch=0")
    expect(page.get_by_role("link", name="Its strongest pictures")).to_have_count(0)


def test_pictures_and_layers_are_chosen_apart(page: Page, server: RunningServer, values: np.ndarray) -> None:
    open_view(page, server, address("net", "conv/1", sort="max"))
    expect(page.get_by_role("link", name="conv/1", exact=True)).to_have_count(1)  # the menu lists a layer once
    strip = page.get_by_role("list", name="Pictures")
    expect(strip.get_by_role("link")).to_have_count(2)
    strip.get_by_role("link").nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("conv/1")
    expect(page.get_by_text("cats/b.png").first).to_be_visible()
    order = np.argsort(-(-values).max((1, 2)), kind="stable")
    expect(page.locator(".map-cell").first).to_have_attribute("data-channel", str(order[0]))
    page.locator(".map-cell").first.click()
    page.keyboard.press("]")
    expect(page.get_by_role("heading", level=1)).to_contain_text("pool")
    expect(page.get_by_label("Breadcrumb")).to_contain_text("cats/b.png")
    page.keyboard.press("[")
    expect(page.get_by_role("heading", level=1)).to_contain_text("conv/1")
    page.get_by_label("Layer", exact=True).select_option("pool")
    expect(page.locator(".map-cell")).to_have_count(6)
    expect(page.get_by_label("Layer", exact=True)).to_be_focused()
    page.locator("[data-channel='4']").click()
    expect(page.get_by_test_id("reading")).to_contain_text("4 at row 0, column 0. It sees the whole picture: adaptive")
    expect(page.get_by_test_id("field")).to_have_attribute("data-box", "0,0,96,96")


def test_nan_and_infinities_are_marked_and_steps_are_gone_through(page: Page, server: RunningServer) -> None:
    open_view(page, server, address("odd"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("<i>odd</i>")
    expect(page.locator("body")).to_contain_text("Recorded before its SiLU")
    expect(page.get_by_role("button", name="After")).to_have_count(0)
    expect(page.locator(".flag").filter(has_text="NaN")).to_have_count(2)
    expect(page.locator("body")).to_contain_text("The picture is not recorded")
    rows = page.get_by_role("table", name="Feature maps of <i>odd</i>").locator("tbody tr")
    assert rows.nth(2).locator("td").all_inner_texts() == ["2", "0", "0", "0", "0 %", "45"]
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**step=0*")
    page.locator("[data-channel='1']").click()
    page.wait_for_url("**ch=1*")
    expect(page.get_by_test_id("reading")).to_contain_text("at row")
    until(page, lambda: pixel(page, ".map-stage canvas", 3, 2) == [0, 0, 0, 0], "the value that is none")
    stage = settled(page.locator(".map-stage canvas"))
    page.mouse.move(stage["x"] + 3.5 * stage["width"] / 9, stage["y"] + 2.5 * stage["height"] / 5)
    expect(page.get_by_test_id("reading")).to_contain_text("NaN at row 2, column 3. What it sees is not recorded.")


@pytest.mark.parametrize(
    ("wrong", "note"),
    [
        ({"ch": "99"}, "No channel “99” here; there are 12, numbered from 0."),
        ({"ch": "1", "pos": "23,0"}, "No position “23,0” here; the maps are 23 × 23, from 0,0."),
        ({"ch": "1", "pos": "x"}, "No position “x” here"),
        ({"tag": "conv/9 @ a"}, "No “conv/9 @ a” in net; showing conv/1 @ cats/a.png."),
    ],
)
def test_what_the_address_asks_for_and_is_not_here_is_named(
    page: Page, server: RunningServer, wrong: dict[str, str], note: str
) -> None:
    open_view(page, server, address("net", **wrong))
    expect(page.get_by_role("status").filter(has_text=note)).to_be_visible()


def test_a_narrow_page_does_not_scroll_sideways(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for more in ({}, {"ch": 3}):
        open_view(page, server, address("net", "conv/1", **more))
        settled(page.locator(".map-input"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto("about:blank")
