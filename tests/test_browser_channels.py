"""The pages of a layer and of its channels in a real Chromium: orders, conditions, search, large pictures, keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Locator, Page, Request, expect

from browser_pages import Traffic, inked, open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.inspect.filters import examine_filters
from convscope.inspect.receptive_field import ReceptiveField
from convscope.summary import Summary
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
K = 9
SIZE = (96, 96)
FIELD = ReceptiveField((11, 11), (4, 4), (-2, -2))
CLASSES = ("dog", "hot dog", "dogfish", "cat", "<b>bird</b>")
RULES = ("deconvnet", "gradient")
PROOF = ("specificity", "randomised_layer", "randomised_all", "deletion", "deletion_random")
DEAD = (4, 19)


def channel_arrays(channels: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """What a search may find in a layer: channels 4 and 19 are dead, and 30 images of five classes."""
    rng = np.random.default_rng(seed)
    value = -np.sort(-rng.gamma(2, 3, (channels, K)).astype(np.float32), axis=1)
    positive = rng.uniform(0.01, 1, channels)
    dead = [channel for channel in DEAD if channel < channels]
    value[dead], positive[dead] = 0, 0
    image = np.stack([rng.permutation(30)[:K] for _ in range(channels)]).astype(np.int64)
    position = rng.integers(0, 23, (channels, K, 2), np.int32)
    proof = rng.uniform(0, 1, (len(RULES), channels, K, len(PROOF))).astype(np.float32)
    proof[:, :, 1:] = np.nan
    others = (np.arange(channels)[:, None] + np.arange(1, 9)).astype(np.int32) % channels
    return {
        "value": value,
        "image": image,
        "position": position,
        "box": FIELD.boxes(position),
        "mean": rng.normal(size=channels),
        "max": value[:, 0].astype(np.float64),
        "variance": rng.uniform(0, 4, channels),
        "positive": positive,
        "histogram": rng.integers(0, 5, (channels, 6)).astype(np.int64),
        "edges": np.array([-1, 0, 1, 2, 4, 8, 16], np.float32),
        "label": (image % 5).astype(np.int32),
        "recomputed": value,
        "projection_scale": np.full((len(RULES), channels, K), 0.5, np.float32),
        "proof": proof,
        "map_scale": value,
        "selectivity": rng.uniform(0, 1, channels).astype(np.float32),
        "class_top": np.tile(np.array([0, 3, -1, -1, -1, -1, -1, -1], np.int32), (channels, 1)),
        "class_mean": np.tile(np.linspace(4, 0.5, 8).astype(np.float32), (channels, 1)),
        "similar": others,
        "similarity": np.tile(np.linspace(0.9, 0.2, 8).astype(np.float32), (channels, 1)),
    }


META = {
    "network": "net",
    "dataset": "pets",
    "images_seen": 30,
    "images_total": 30,
    "complete": True,
    "k": K,
    "receptive_field": FIELD.to_json(),
    "input_size": SIZE,
    "whole_image": False,
    "score": "max",
    "label_names": CLASSES,
    "rules": RULES,
    "rule_reports": dict.fromkeys(RULES, "1 of 1 ReLUs ruled; undefined: 0"),
    "engine": "windows of the network",
    "mismatches": 0,
    "proof": PROOF,
    "proof_summary": {rule: {"specificity": [0.2, 0.4, 0.6]} for rule in RULES},
}


def tiles(rows: int, columns: int, side: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Smooth pictures with some noise, as photographs are; the same few again and again."""
    rng = np.random.default_rng(side)
    y, x = np.mgrid[:side, :side] / side
    waves = rng.uniform(1, 9, (2, 64, 1, 1, channels))
    value = 100 * np.sin(waves[0] * y[..., None] + waves[1] * x[..., None] * 3)
    few = (127 + value + rng.normal(0, 6, value.shape)).astype(np.uint8)
    return few[np.arange(rows * columns).reshape(rows, columns) % len(few)]


def layer(tag: str, arrays: dict[str, npt.NDArray[Any]]) -> Summary:
    channels = len(arrays["value"])
    sheets = {name: tiles(channels, K, 11) for name in ("patch", *RULES)}
    return Summary("topk", tag, arrays=arrays, pictures={**sheets, "map": tiles(channels, K, 23, 1)}, meta=META)


def large_layer() -> Summary:
    """As many channels as VGG-16's conv5_3 has, with tiles a quarter as large as the largest there are."""
    pictures = dict.fromkeys(("patch", "deconvnet"), tiles(512, K, 48))
    return Summary("topk", "deep", arrays=channel_arrays(512), pictures=pictures, meta=META)


def data_set(images: int = 30) -> Summary:
    """The audit of the search: image 7 is not in it."""
    index = np.array([number for number in range(images) if number != 7], np.int64)
    n = len(index)
    arrays = {
        "index": index,
        "label": (index % 5).astype(np.int32),
        "channels": np.arange(n, dtype=np.int32),
        "first": np.zeros(n, np.int32),
        "layer_channels": np.zeros((n, 2), np.int32),
        "duplicate": np.zeros((0, 2), np.int32),
        "likeness": np.zeros(0, np.float32),
    }
    meta = {
        "network": "net",
        "dataset": "pets",
        "names": [f"pets/{number}.png" for number in index],
        "label_names": CLASSES,
        "layers": ["conv1", "conv/2"],
        "images_total": images,
        "k": K,
        "input_size": SIZE,
    }
    return Summary("audit", "net", arrays=arrays, pictures={"thumbnail": tiles(-(-n // 8), 8, 96)}, meta=meta)


@pytest.fixture(scope="module")
def arrays() -> dict[str, npt.NDArray[Any]]:
    return channel_arrays(24)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, npt.NDArray[Any]]) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("channels")
    with SummaryWriter(logdir / "net") as writer:
        writer.add(layer("conv1", arrays))
        writer.add(layer("conv/2", channel_arrays(6, seed=1)))
        writer.add(data_set())
        weight = np.random.default_rng(0).normal(size=(24, 3, 11, 11)).astype(np.float32)
        writer.add(examine_filters(weight, layer="conv1"), "conv1")
    with SummaryWriter(logdir / "large") as writer:
        writer.add(large_layer())
    with SummaryWriter(logdir / "bare") as writer:
        needed = ("value", "image", "position", "box", "mean", "max", "variance", "positive")
        some = {name: arrays[name].copy() for name in needed}
        some["image"][3, 2:], some["box"][3, 2:] = -1, 0
        meta = {name: META[name] for name in ("network", "receptive_field", "input_size", "k")}
        writer.add(Summary("topk", "conv1", arrays=some, pictures={"patch": tiles(24, K, 11)}, meta=meta))
    with serve(logdir, port=0) as running:
        yield running


def shown(page: Page) -> list[int]:
    """All channels of the page in their order."""
    table = page.get_by_role("table", name="Channels of")
    return [int(text) for text in table.locator("tbody tr td:first-child").all_inner_texts()]


def drawn(page: Page, selector: str, colours: int) -> None:
    """Wait until a canvas shows more than so many colours: its sheet may still be on its way."""
    inked(page, selector, colours)


def address(page: Page) -> str:
    return str(page.evaluate("location.hash"))


def test_a_layer_of_512_channels_opens_with_less_than_a_megabyte(page: Page, server: RunningServer) -> None:
    traffic = Traffic(page)
    pictures: list[str] = []

    def note(request: Request) -> None:
        if "/api/picture" in request.url and "patch" in request.url:
            pictures.append(request.url)

    page.on("request", note)
    open_view(page, server, "#/layer?run=large")
    drawn(page, "canvas[aria-label='patches of channel 0']", 50)
    opened = traffic.bytes()
    assert opened < 1_000_000
    assert len(pictures) == 1, "32 sheets of patches are not on the screen"
    before = len(pictures)
    page.get_by_role("button", name="Projections", exact=True).click()
    drawn(page, "canvas[aria-label='projections of channel 0']", 50)
    page.get_by_role("button", name="Both", exact=True).click()
    drawn(page, "canvas[aria-label='patches of channel 0']", 50)
    assert len(pictures) == before, "what was shown is drawn again without asking for it"
    page.get_by_role("button", name="Best", exact=True).click()
    drawn(page, "canvas[aria-label='best patch of channel 0']", 20)
    assert len(set(pictures)) == len(pictures) < 12, "some of the 32 sheets, each once"


@pytest.mark.parametrize("rule", RULES)
def test_every_order_is_that_of_the_arrays(
    page: Page, server: RunningServer, arrays: dict[str, npt.NDArray[Any]], rule: str
) -> None:
    label = arrays["label"]
    purity = np.array([np.bincount(row).max() for row in label])
    keys = {
        "strength": arrays["max"],
        "sparsity": 1 - arrays["positive"],
        "purity": purity,
        "selectivity": arrays["selectivity"],
        "specificity": arrays["proof"][RULES.index(rule), :, 0, 0],
    }
    open_view(page, server, f"#/layer?run=net&rule={rule}")
    expect(page.get_by_test_id("shown")).to_have_text("24 channels")
    for name, key in keys.items():
        page.get_by_label("Sort").select_option(label=name.capitalize())
        page.wait_for_url(f"**sort={name}*")
        expected = np.argsort(-key, kind="stable").tolist()
        until(page, lambda expected=expected: shown(page) == expected, f"the order of {name}")  # type: ignore[misc]
    assert (
        f"specificity {arrays['proof'][RULES.index(rule), expected[0], 0, 0]:.2g}"
        in page.get_by_test_id("channel").first.inner_text()
    )


def test_conditions_stand_in_the_address_and_are_counted(
    page: Page, server: RunningServer, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    open_view(page, server, "#/layer?run=net")
    count = page.get_by_test_id("shown")
    group = page.get_by_role("group", name="Show only channels with")
    expect(group).to_be_hidden()
    page.get_by_role("button", name="Filter").click()
    group.get_by_role("button", name="Dead").click()
    page.wait_for_url("**where=dead*")
    expect(count).to_have_text("2 of 24 channels")
    until(page, lambda: shown(page) == list(DEAD), "the dead channels alone")
    expect(page.get_by_test_id("channel").first).to_contain_text("dead")
    group.get_by_role("button", name="Active").click()
    expect(count).to_have_text("22 of 24 channels")
    slider = group.get_by_label("Selectivity")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")  # a tenth of the range in Chromium
    page.wait_for_url("**minselectivity=*")
    least = float(slider.input_value())
    assert least > 0.2
    wanted = np.flatnonzero((arrays["selectivity"] >= least) & (arrays["positive"] > 0)).tolist()
    expect(count).to_have_text(f"{len(wanted)} of 24 channels")
    assert shown(page) == wanted
    group.get_by_role("button", name="Clear").click()
    expect(count).to_have_text("24 channels")
    page.goto("about:blank")
    open_view(page, server, "#/layer?run=net&rule=gradient&minspecificity=0.5&minpurity=0.3")
    purity = np.array([np.bincount(row).max() / K for row in arrays["label"]])
    wanted = np.flatnonzero((arrays["proof"][1, :, 0, 0] >= 0.5) & (purity >= 0.3)).tolist()
    assert shown(page) == wanted
    page.goto("about:blank")
    open_view(page, server, "#/layer?run=net&minstrength=1000000")
    expect(page.get_by_test_id("empty")).to_contain_text("No channel of conv1 meets the conditions.")
    expect(count).to_have_text("0 of 24 channels")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_test_id("channel").first).to_be_visible()


def test_channels_are_found_by_a_class_among_their_pictures(
    page: Page, server: RunningServer, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    label = arrays["label"]
    has = [(label == number).any(axis=1) for number in range(len(CLASSES))]
    open_view(page, server, "#/layer?run=net")
    page.locator("#search").fill("dog")
    page.wait_for_url("**q=dog*")
    exact = np.flatnonzero(has[0]).tolist()
    word = np.flatnonzero(~has[0] & has[1]).tolist()
    part = np.flatnonzero(~has[0] & ~has[1] & has[2]).tolist()
    until(page, lambda: shown(page) == exact + word + part, "whole names first, then words, then parts of words")
    found = page.get_by_test_id("found")
    expect(found).to_contain_text(
        f"“dog” is among the pictures of {len(exact + word + part)} channels: {len(exact)} of that class"
    )
    page.locator("#search").fill("cat")
    expect(found).to_have_text(f"“cat” is among the pictures of {int(has[3].sum())} channels.")
    first = page.get_by_test_id("channel").first
    channel = int(first.get_attribute("data-channel") or -1)
    expect(first).to_contain_text(f"cat · {(label[channel] == 3).sum()}/9")
    page.locator("#search").fill("17")
    until(page, lambda: shown(page) == [17], "the channel of that number")
    page.locator("#search").fill("zebra")
    expect(page.get_by_test_id("empty")).to_contain_text("“zebra”")


def test_a_picture_opens_large_with_its_field_its_map_and_its_proof(
    page: Page, server: RunningServer, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    channel = next(c for c in range(24) if c not in DEAD and 7 not in arrays["image"][c, :1])
    open_view(page, server, f"#/layer?run=net&ch={channel}")
    hits = page.get_by_test_id("hit")
    expect(hits).to_have_count(K)
    number = arrays["image"][channel, 0]
    expect(hits.first).to_contain_text(f"pets/{number}.png")
    expect(hits.first).to_contain_text("±0.5")
    for name in ("patch", "deconvnet", "gradient", "activation map"):
        expect(hits.first.get_by_role("img", name=f"{name} of picture 1", exact=True)).to_be_visible()
    side = page.locator(".channel-side")
    expect(side.get_by_role("img", name="Histogram of the scores")).to_be_visible()
    expect(side.get_by_role("region", name="Class selectivity")).to_contain_text("dog")
    expect(side.get_by_role("img", name=f"filter {channel}")).to_be_visible()
    expect(side).to_contain_text("windows of the network. All recomputed activations")
    similar = side.get_by_role("link", name=f"channel {(channel + 1) % 24}, correlation 0.9")
    assert f"ch={(channel + 1) % 24}" in (similar.get_attribute("href") or "")
    page.get_by_role("link", name="Open picture 1").click()
    page.wait_for_url("**hit=1*")
    large = page.get_by_test_id("large")
    expect(large).to_be_focused()
    y0, x0, y1, x1 = np.clip(arrays["box"][channel, 0], 0, 96).tolist()
    expect(large.get_by_test_id("hit-field")).to_have_attribute("data-box", f"{y0},{x0},{y1},{x1}")
    stage = settled(large.locator(".stage-box").first)
    field = settled(large.get_by_test_id("hit-field"))
    assert field["x"] - stage["x"] == pytest.approx(x0 / 96 * stage["width"], abs=1)
    assert field["height"] == pytest.approx((y1 - y0) / 96 * stage["height"], abs=1)
    drawn(page, ".stage-whole", 50)
    drawn(page, "[data-testid='hit-map']", 20)
    expect(large).to_contain_text("What in this image reached the channel")
    expect(large.locator(".large-rule")).to_have_count(2)
    specific = float(arrays["proof"][0, channel, 0, 0])
    expect(large.locator(".large-rule").first).to_contain_text(f"specificity{specific:.2g}")
    expect(large).to_contain_text("as the search recorded")
    audit = large.get_by_role("link", name="Channels that this image dominates")
    assert (audit.get_attribute("href") or "").startswith("#/audit?run=net&image=")
    assert f"image={number}" in (audit.get_attribute("href") or "")
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(page.get_by_role("link", name="Open picture 1")).to_be_focused()
    page.get_by_role("link", name="Open picture 2").click()
    expect(large).to_contain_text("2 of 9")
    expect(large).to_contain_text("Its proof figures were not computed.")


def channel_of(card: Locator) -> int:
    return int(card.get_attribute("data-channel") or -1)


def test_the_grid_is_one_tab_stop_and_arrows_move_in_it(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?run=net&show=best&sort=strength")
    cards = page.get_by_test_id("channel")
    settled(cards.first)
    stops = page.locator("[data-testid='channel'][tabindex='0']")
    expect(stops).to_have_count(1)
    order = shown(page)
    cards.first.focus()
    focused = page.locator("[data-testid='channel']:focus")
    page.keyboard.press("ArrowRight")
    expect(focused).to_have_attribute("data-channel", str(order[1]))
    tops = [settled(cards.nth(place))["y"] for place in range(12)]
    columns = sum(top == tops[0] for top in tops)
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_attribute("data-channel", str(order[1 + columns]))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-channel", str(order[-1]))
    expect(stops).to_have_count(1)
    page.keyboard.press("Tab")
    expect(focused).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    expect(focused).to_have_attribute("data-channel", str(order[-1]))
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    panel = page.get_by_test_id("channel-panel")
    expect(panel.get_by_role("heading", level=2)).to_have_text(f"Channel {order[0]}")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("heading", level=2)).to_have_text(f"Channel {order[1]}")
    page.keyboard.press("3")
    expect(page.get_by_test_id("large")).to_contain_text("3 of 9")
    page.keyboard.press("ArrowLeft")
    expect(panel.get_by_role("heading", level=2)).to_have_text(f"Channel {order[0]}")
    expect(page.get_by_test_id("large")).to_contain_text("3 of 9")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("large")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(focused).to_have_attribute("data-channel", str(order[0]))


def test_layers_are_gone_through_with_the_same_page(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?run=net&tag=conv1&ch=20&rule=gradient")
    heading = page.get_by_role("heading", level=1)
    expect(page.get_by_test_id("channel-panel").get_by_role("heading", level=2)).to_have_text("Channel 20")
    page.keyboard.press("]")
    expect(heading).to_contain_text("conv/2 · channel 5")
    page.wait_for_url("**tag=conv/2*")
    assert "rule=gradient" in address(page)
    page.keyboard.press("]")
    page.keyboard.press("[")
    expect(heading).to_contain_text("conv1 · channel 5")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("channel").first).to_be_visible()
    page.keyboard.press("]")
    expect(heading).to_contain_text("conv/2")
    expect(page.get_by_test_id("shown")).to_have_text("6 channels")


def test_a_picture_has_an_address_of_its_own(
    page: Page, server: RunningServer, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    open_view(page, server, "#/layer?run=net&tag=conv1&ch=2&hit=4")
    expect(page.get_by_test_id("large")).to_contain_text("4 of 9")
    expect(page.get_by_test_id("large")).to_contain_text(f"pets/{arrays['image'][2, 3]}.png")
    page.go_back()
    for wrong, note in (
        ("ch=24", "No channel “24” here; there are 24, numbered from 0."),
        ("ch=2&hit=10", "No picture “10” here; there are 9, numbered from 1."),
        ("ch=2&hit=x", "No picture “x” here"),
    ):
        open_view(page, server, f"#/layer?run=net&tag=conv1&{wrong}")
        expect(page.get_by_role("status").filter(has_text=note)).to_be_visible()
        page.goto("about:blank")


def test_pages_are_of_use_without_projections_labels_and_audit(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?run=bare&show=both&sort=specificity")
    drawn(page, "canvas[aria-label='patches of channel 0']", 5)
    expect(page.get_by_role("button", name="Projections")).to_be_hidden()
    expect(page.get_by_label("Rule")).to_be_hidden()
    assert shown(page) == list(range(24))
    page.get_by_test_id("channel").nth(3).click()
    expect(page.get_by_test_id("hit")).to_have_count(2)
    expect(page.get_by_test_id("channel-panel")).to_contain_text("image ")
    page.keyboard.press("2")
    large = page.get_by_test_id("large")
    expect(large).to_contain_text("The rest of the image is not recorded.")
    expect(large.get_by_role("region", name="Projections")).to_have_count(0)
    expect(large.get_by_role("link", name="dominates")).to_have_count(0)
    page.keyboard.press("9")
    page.wait_for_timeout(100)
    assert "hit=2" in address(page), "it has no ninth picture"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_narrow_page_does_not_scroll_sideways(page: Page, server: RunningServer, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    for more in ("filter=1", "show=best", "ch=2", "ch=2&hit=1"):
        open_view(page, server, f"#/layer?run=net&tag=conv1&{more}")
        ready(page)
        settled(page.get_by_test_id("channel").or_(page.get_by_test_id("hit")).first)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), more
        page.goto("about:blank")
