"""The page of a network in a real Chromium: graph, table, searched layers, class search, links, keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page, expect
from torch import nn

import searched_run
from browser_pages import inked, open_view, outage, ready, settled, until
from convscope import Model, SummaryWriter
from convscope.inspect.filters import examine_filters
from convscope.inspect.maps import FeatureMaps, maps_tag
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
NASTY = "<img src=x onerror=eval(name)>"


class Block(nn.Module):
    """Two convolutions and what goes past them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv2(torch.relu(self.conv1(x))) + x)


def stages(many: int) -> nn.Sequential:
    return nn.Sequential(*[nn.Sequential(*[Block() for _ in range(many)]) for _ in range(2)])


class Net(nn.Module):
    """A small network of nested modules; ``many`` blocks in each of two stages."""

    def __init__(self, many: int) -> None:
        super().__init__()
        self.stem, self.stages, self.fc = nn.Conv2d(3, 4, 3, padding=1), stages(many), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.fc(self.stages(self.stem(x)).mean((2, 3))))


class Odd(nn.Module):
    """Layers of names that nobody should give."""

    def __init__(self) -> None:
        super().__init__()
        names = ("a", "a/b", "a/c", NASTY, "שלום", "q" * 120)
        self.d = nn.ModuleDict({name: nn.Conv2d(3, 3, 3, padding=1) for name in names})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.d.values():
            x = layer(x)
        return x


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    for run, net in (("small", Net(2)), ("large", Net(12)), ("odd", Odd())):
        with SummaryWriter(logdir / run) as writer:
            writer.add(Model(net, input_shape=(3, 16, 16), name=run).architecture(), run)
            if run == "small":
                weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
                writer.add(examine_filters(weight, layer="stem"), "stem")
                writer.add(FeatureMaps(np.ones((4, 16, 16)), layer="stem"), maps_tag("stem", "a.png"))
    with SummaryWriter(logdir / "searched") as writer:  # its architecture is not recorded
        searched_run.write_search(writer)
    with SummaryWriter(logdir / "unlabelled") as writer:
        writer.add(searched_run.layer_summary("stem", labels=False, projected=False))
    with serve(logdir, port=0) as running:
        yield running


def box(page: Page, layer: str) -> Locator:
    return page.locator(f'[data-box="{layer}"]')


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Chosen layer")


def in_sight(page: Page, layer: str) -> bool:
    """Whether the box of a layer is wholly inside of the frame of the graph."""
    one, frame = settled(box(page, layer)), settled(page.locator(".graph-scroll"))
    return frame["y"] <= one["y"] and one["y"] + one["height"] <= frame["y"] + frame["height"]


def test_the_graph_has_a_box_for_every_layer_with_its_shape(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small")
    expect(box(page, "stem")).to_contain_text("Conv2d 3×3 · 4 × 16 × 16")
    expect(box(page, "stages.1.1.relu:2")).to_have_count(1)
    expect(page.locator("[data-box]")).to_have_count(23)
    expect(page.locator(".wire")).to_have_count(27)  # a chain, and past every of the four blocks one more
    expect(page.get_by_role("button", name=re.compile("^fc: fc, Linear · 5"))).to_be_visible()
    places = [settled(box(page, name))["y"] for name in ("stem", "stages.0.0.conv1", "stages.0.0.conv2")]
    assert places == sorted(places), "layer below layer"


def test_modules_are_opened_and_closed_and_the_address_knows(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small")
    page.get_by_role("button", name="Close all").click()
    expect(page.locator("[data-box]")).to_have_count(4)
    expect(box(page, "stages")).to_contain_text("20 layers")
    box(page, "stages").click()
    expect(box(page, "stages.0")).to_be_focused()
    box(page, "stages.0").click()
    box(page, "stages.0.1").click()
    box(page, "stages.0.1.conv2").click()
    page.wait_for_url("**layer=stages.0.1.conv2*")
    expect(box(page, "stages.0.1.conv2")).to_have_attribute("aria-current", "true")
    expect(panel(page)).to_contain_text("4 × 16 × 16")
    panel(page).get_by_role("button", name="Close module stages.0", exact=True).click()
    expect(box(page, "stages.0")).to_be_focused()
    expect(box(page, "stages.0")).to_contain_text("10 layers")
    expect(panel(page)).to_be_hidden()
    page.reload()
    ready(page)
    expect(box(page, "stages.0")).to_contain_text("10 layers")
    expect(box(page, "stages.0.1.conv2")).to_have_count(0)
    page.get_by_role("button", name="Open all").click()
    expect(page.locator("[data-box]")).to_have_count(23)


def test_the_last_open_module_can_be_closed_too(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small&open=stages&layer=stages.0.0.conv1")
    panel(page).get_by_role("button", name="Close module stages", exact=True).click()
    expect(page.locator("[data-box]")).to_have_count(4)


def test_a_chosen_layer_comes_into_sight_in_a_closed_module_too(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=large&layer=stages.1.9.conv2")
    until(page, lambda: in_sight(page, "stages.1.9.conv2"), "the chosen layer")
    page.locator(".graph-scroll").evaluate("el => el.scrollTo(0, 0)")
    page.get_by_test_id("theme").click()  # any other change leaves the place as it is
    settled(box(page, "stem"))
    assert page.locator(".graph-scroll").evaluate("el => el.scrollTop") == 0
    panel(page).get_by_role("link", name="stages.1.9.relu", exact=True).first.click()
    page.wait_for_url("**layer=stages.1.9.relu*")
    until(page, lambda: in_sight(page, "stages.1.9.relu"), "the layer that was linked to")


def test_the_graph_is_gone_through_by_keyboard(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small&open=stages,stages.0,stages.1")
    expect(page.locator("[data-box]")).to_have_count(7)
    assert page.locator("[data-box][tabindex='0']").count() == 1, "the tab key stops once"
    box(page, "stem").focus()
    page.keyboard.press("ArrowDown")
    expect(box(page, "stages.0.0")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box(page, "stages.0.0.conv1")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading")).to_have_text("stages.0.0.conv1")
    page.keyboard.press("ArrowDown")
    expect(panel(page).get_by_role("heading")).to_have_text("stages.0.0.relu")
    expect(box(page, "stages.0.0.relu")).to_be_focused()
    page.keyboard.press("Tab")
    expect(panel(page).get_by_role("button", name="Close", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(box(page, "stages.0.0.relu")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(box(page, "stages.0.0.conv1")).to_be_focused()


def test_the_table_is_that_of_papers_and_keeps_its_place(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=large&show=table")
    table = page.get_by_role("table", name="Layers in the order in which they are executed")
    heads = ["layer", "kind", "filters", "kernel", "stride", "padding", "map", "receptive field"]
    expect(table.get_by_role("columnheader")).to_have_text([*heads, "parameters", "multiply-adds", "pages"])
    stem = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="stem", exact=True))
    cells = ["Conv2d", "4", "3 × 3", "1", "1", "4 × 16 × 16", "3 × 3, step 1", "112", "27.6 k", ""]
    expect(stem.get_by_role("cell")).to_have_text(cells)
    expect(page.get_by_text("75 rows of 123 layers.")).to_be_visible()
    page.get_by_label("All layers").check()
    expect(page.get_by_text("123 rows of 123 layers.")).to_be_visible()
    region = page.get_by_role("region", name="Table of layers")
    last = table.get_by_role("button", name="fc", exact=True)
    last.click()
    page.wait_for_url("**layer=fc*")
    expect(table.locator("tr[data-layer='fc']")).to_have_attribute("aria-current", "true")
    expect(last).to_be_focused()
    assert region.evaluate("el => el.scrollTop") > 0


def test_a_layer_leads_to_its_pages(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small&layer=stem")
    panel(page).get_by_role("link", name="Filters").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Filtersstem")
    page.go_back()
    panel(page).get_by_role("link", name="Maps").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Feature mapsstem")
    page.goto("about:blank")
    open_view(page, server, "#/network?run=small&layer=fc")
    expect(panel(page)).to_contain_text("This run has no filters, feature maps or top images of this layer.")
    expect(panel(page)).to_contain_text("Sees the whole image: global pooling.")
    panel(page).get_by_role("link", name="mean").click()
    expect(panel(page).get_by_role("heading")).to_have_text("mean")


def test_a_search_dims_the_rest(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small&open=stages,stages.0,stages.0.0")
    page.locator("#search").fill(".conv2")
    expect(box(page, "stem")).to_have_class(re.compile(r"\bdim\b"))
    for found in ("stages.0.0.conv2", "stages.0.1", "stages.1"):
        expect(box(page, found)).not_to_have_class(re.compile(r"\bdim\b"))
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tr[data-layer]")).to_have_count(4)


def test_names_are_text_whatever_they_say(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=odd")
    expect(page.get_by_role("button", name=re.compile("^d.<img"))).to_be_visible()
    expect(box(page, "d.a")).to_contain_text("Conv2d")  # its name is that of a module too: "a/b" is in it
    page.get_by_role("button", name="Close all").click()
    box(page, "d").click()
    expect(box(page, "d.a")).to_contain_text("3 layers")
    box(page, "d.a").click()
    expect(box(page, "d.a/c")).to_be_visible()
    expect(box(page, "d.a")).to_contain_text("Conv2d")
    expect(page.locator("main img")).to_have_count(0)


def test_a_layer_that_is_not_there_is_named(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=small&layer=gone")
    expect(page.get_by_role("status").filter(has_text="No layer “gone” in small.")).to_be_visible()


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_the_panel_comes_first_and_nothing_scrolls_sideways(
    page: Page, server: RunningServer, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    for address in (
        "small",
        "large&layer=stages.1.9.conv2",
        "large&show=table&layer=fc",
        "odd&layer=" + quote("d." + "q" * 120),
    ):
        page.goto("about:blank")
        open_view(page, server, f"#/network?run={address}")
        settled(page.locator(".network-main"))
        until(page, lambda: bool(page.evaluate(fits)), f"{address}, no wider than the screen,")
    page.goto("about:blank")
    open_view(page, server, "#/network?run=small")
    box(page, "stem").click()
    close = panel(page).get_by_role("button", name="Close", exact=True)
    expect(close).to_be_in_viewport()
    assert settled(panel(page))["y"] < settled(page.locator(".graph-scroll"))["y"]
    before = "([a, b]) => !!(a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING)"
    handles = [close.element_handle(), page.locator(".graph-scroll").element_handle()]
    assert page.evaluate(before, handles), "the keyboard goes as the eye does"
    page.set_viewport_size({"width": 1280, "height": 700})
    expect(page.locator(".with-panel > :last-child")).to_have_attribute("aria-label", "Chosen layer")


def rows(page: Page) -> Locator:
    return page.get_by_test_id("layer-row")


def test_layers_are_shown_with_samples_also_without_an_architecture(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=searched")
    expect(page.get_by_role("heading", level=1)).to_have_text("Networknet")
    expect(page.get_by_role("button", name="Graph")).to_have_count(0)
    expect(rows(page)).to_have_count(3)
    stem = page.get_by_role("article", name="stem")
    stem.scroll_into_view_if_needed()  # a row fetches its numbers when it is seen
    for text in ("Conv2d", "12 channels", "sees 3 × 3 px", "40 images", "1 dead", "deconvnet0.60", "gradient0.50"):
        expect(stem).to_contain_text(text)
    expect(stem.get_by_role("link", name=re.compile(r"^channel \d+ of stem: strongest patch$"))).to_have_count(8)
    inked(page, "[aria-label='stem'] canvas", 5)
    facts = page.locator("main dl").first
    expect(facts).to_contain_text("72")
    page.get_by_label("Pictures").select_option("gradient")
    page.wait_for_url("**picture=gradient*")
    expect(stem.get_by_role("link", name=re.compile("gradient projection"))).to_have_count(8)
    stem.get_by_role("link", name=re.compile("^channel")).first.click()
    page.wait_for_url(re.compile(r"#/layer\?run=searched&tag=stem&ch=\d+$"))


def test_layers_stand_in_the_order_of_the_network(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=searched")
    # Without an architecture: as they were recorded, the deepest first.
    expect(rows(page).get_by_role("heading")).to_have_text(["stages.1", "stages.0", "stem"])
    page.locator("#search").fill("stages")
    expect(rows(page)).to_have_count(2)
    page.goto("about:blank")
    open_view(page, server, "#/network?run=small&show=layers")
    expect(page.get_by_test_id("empty")).to_contain_text("convscope inspect MODEL IMAGES -o RUN")
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("table", name="Layers in the order in which they are executed")).to_be_visible()


def test_a_curve_shows_at_which_depth_pictures_stop_being_about_the_channel(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=searched")
    curve = page.get_by_role("region", name="Figures of proof over the layers")
    expect(curve.locator("svg .median")).to_have_count(2)
    expect(curve.locator("svg .band")).to_have_count(2)
    table = page.get_by_role("table", name="Specificity over the layers")
    expect(table.get_by_role("row")).to_have_count(7)
    expect(table.get_by_role("row").filter(has_text="stages.1").filter(has_text="gradient")).to_contain_text("0.1")
    curve.get_by_role("button", name="Deletion").click()
    page.wait_for_url("**proof=deletion*")
    expect(curve.locator("svg .beside")).to_have_count(2)
    expect(page.get_by_role("table", name="Deletion over the layers").get_by_role("row")).to_have_count(13)
    plot = curve.locator("svg")
    place = settled(plot)
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 60)
    expect(page.get_by_role("tooltip")).to_contain_text("stages.0")
    page.goto("about:blank")
    open_view(page, server, "#/network?run=unlabelled")
    expect(rows(page)).to_have_count(1)
    expect(curve).to_be_hidden()


def test_layers_fill_while_the_search_runs(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "net") as writer, serve(tmp_path, port=0) as running:
        writer.add(searched_run.layer_summary("stem", seen=10, projected=False))
        writer.flush()
        open_view(page, running, "#/network?show=layers")
        expect(rows(page)).to_contain_text("10 of 40 images")
        expect(rows(page)).to_contain_text("1 dead so far")
        expect(page.get_by_role("progressbar", name="Images searched")).to_have_attribute("aria-valuenow", "25")
        link = page.get_by_role("article", name="stem").get_by_role("link", name=re.compile("^channel")).first
        link.focus()
        writer.add(searched_run.layer_summary("stem"))
        writer.add(searched_run.layer_summary("stages.0"))
        writer.flush()
        expect(rows(page)).to_have_count(2)
        expect(page.get_by_role("article", name="stem")).to_contain_text("deconvnet")
        expect(page.get_by_role("progressbar")).to_have_count(0)
        expect(link).to_be_focused()
        page.goto("about:blank")  # before the server is gone


def test_channels_of_a_class_are_found_in_all_layers(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=searched&show=classes")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "names=label" in request.url else None)
    field = page.get_by_role("combobox", name="Find channels whose top images contain a class")
    field.press_sequentially("dog")
    options = page.get_by_role("option")
    expect(options).to_have_text(["dog", "hot dog", "dogfish"])
    assert not asked, "the classes of the pictures are fetched when they are asked for"
    field.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    page.wait_for_url("**class=dog*")
    wanted = {layer: labels_of(layer) == 0 for layer in searched_run.LAYERS}
    for layer, is_dog in wanted.items():
        of = is_dog.sum(1)
        group = page.locator(".class-hits").filter(has=page.get_by_role("link", name=layer, exact=True))
        expect(group).to_contain_text(f"{(of > 0).sum()} of {len(of)} channels")
        best = min(range(len(of)), key=lambda c: (-of[c], is_dog[c].argmax(), c))
        chip = group.get_by_role("link", name=re.compile("^channel")).first
        expect(chip).to_have_attribute("aria-label", re.compile(f"^channel {best} of {layer}: {of[best]} of 9,"))
    inked(page, ".class-chip canvas", 5)
    page.get_by_role("button", name="part of a word · 1 class").click()
    page.wait_for_url("**tier=part*")
    expect(page.locator(".class-status")).to_contain_text("“dogfish”")
    page.locator(".class-chip").first.click()
    page.wait_for_url(re.compile(r"#/layer\?run=searched&tag=[\w.]+&ch=\d+$"))


def labels_of(layer: str) -> np.ndarray:
    """The classes of the pictures of each channel."""
    return searched_run.LABELS[searched_run.top_k(layer).image]


def test_a_class_that_is_not_there_and_pictures_without_classes_are_named(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/network?run=searched&show=classes&class=zebra")
    expect(page.get_by_role("status").filter(has_text="No class “zebra” among the 5 classes.")).to_be_visible()
    page.goto("about:blank")
    open_view(page, server, "#/network?run=searched&show=classes&class=%3Cb%3Eboat%3C/b%3E")
    expect(page.locator(".class-status")).to_contain_text("<b>boat</b>")
    expect(page.locator("main b b")).to_have_count(0)
    page.goto("about:blank")
    open_view(page, server, "#/network?run=unlabelled&show=classes&class=dog")
    expect(page.get_by_test_id("empty")).to_contain_text("convscope inspect MODEL IMAGES -o RUN")


def test_layers_and_classes_fit_a_phone(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    for address in ("searched", "searched&show=classes&class=dog"):
        page.goto("about:blank")
        open_view(page, server, f"#/network?run={address}")
        settled(page.locator(".searched"))
        until(page, lambda: bool(page.evaluate(fits)), f"{address}, no wider than the screen,")


@pytest.mark.parametrize("page", [("net::ERR_",)], indirect=True)
def test_a_page_whose_code_could_not_be_fetched_comes_when_the_server_is_back(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "net") as writer:
        searched_run.write_search(writer)
    first = serve(tmp_path, port=0)
    open_view(page, first, "#/audit")
    with outage(first):
        expect(page.get_by_test_id("status")).not_to_contain_text("updated")
        page.get_by_role("link", name="Network", exact=True).click()
        expect(page.get_by_role("alert").filter(has_text="This could not be loaded")).to_be_visible()
        expect(page.get_by_role("button", name="Reload the page")).to_be_visible()
        again = serve(tmp_path, port=first.port)
    assert again.port == first.port
    with again:
        expect(rows(page)).to_have_count(3)
