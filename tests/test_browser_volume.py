"""The volume page in a real Chromium: what is chosen, read, bent, clipped and kept in the address."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from browser_pages import inked, open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.inspect.filters import examine_filters
from convscope.inspect.receptive_field import ReceptiveField
from convscope.inspect.volume import Volume
from convscope.summary import Summary
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
FIELD = ReceptiveField((11, 11), (4, 4), (-2, -2))
SHAPE = (12, 16, 20)
Array = np.ndarray


def blobs() -> Array:
    """Maps of values from 0 on, each channel with a strong spot of its own."""
    rng = np.random.default_rng(0)
    maps = rng.random(SHAPE, np.float32)
    for channel in range(SHAPE[0]):
        maps[channel, channel : channel + 4, channel : channel + 6] += 3 + channel
    return maps


@pytest.fixture(scope="module")
def maps() -> Array:
    return blobs()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, maps: Array) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("volumes")
    picture = np.random.default_rng(1).integers(0, 256, (64, 80, 3), np.uint8)
    with SummaryWriter(logdir / "net") as writer:
        known = {"layer": "conv1", "network": "net", "source": "activations", "picture": picture}
        first = Volume(maps, order="mean", image={"name": "cat.png"}, receptive_field=FIELD, **known)
        writer.add(first, "conv1/cat.png")
        writer.add(examine_filters(np.ones((12, 3, 11, 11), np.float32), layer="conv1"), "conv1")
        group = {"name": "cat.png", "class_name": "tabby", "images": 1, "predicted_name": "fox", "correct": False}
        signed = np.random.default_rng(2).normal(size=(6, 3, 5, 5))
        writer.add(Volume(signed, source="weight_gradients", layer="conv1", group=group), "conv1/of tabby")
        older = {"volume": maps, "voxels": np.uint8(255 * maps / maps.max()), "scale": np.zeros((12, 2), np.float32)}
        older["scale"][:, 1] = maps.max()
        older["order"] = np.arange(12, dtype=np.int32)
        writer.add(Summary("volume", "older", arrays=older, meta={"layer": "relu1"}))
    with serve(logdir, port=0) as running:
        yield running


def address(tag: str = "conv1/cat.png", **more: object) -> str:
    keys = {"run": "net", "tag": tag, **more}
    return "#/volume?" + "&".join(f"{key}={quote(str(value))}" for key, value in keys.items())


def reading(page: Page) -> Locator:
    return page.get_by_test_id("reading")


def expect_value(page: Page, value: float, channel: int, row: int, column: int) -> None:
    """The page says exactly the stored float32 number, and where it stands."""
    expect(reading(page)).to_have_attribute("data-exact", "true")
    expect(reading(page)).to_contain_text(re.compile(rf"channel {channel} \(place \d+\), row {row}, column {column}\b"))
    assert np.float32(reading(page).get_attribute("data-value") or "nan") == np.float32(value)


def means(maps: Array) -> list[int]:
    return [int(channel) for channel in np.argsort(-maps.mean((1, 2)), kind="stable")]


def pixels_of(page: Page) -> Array:
    """The scene once its fine picture is drawn, without the edges, where the page beside it shines through."""
    page.evaluate("document.activeElement?.blur()")
    page.mouse.move(2, 2)
    expect(page.locator(".scene")).to_have_attribute("data-drawn", "fine")
    shown = page.locator(".scene canvas[role='img']").screenshot()
    return np.asarray(Image.open(BytesIO(shown)).convert("RGB"))[4:-4, 4:-4].astype(int)


def picture_of(page: Page) -> bytes:
    return pixels_of(page).tobytes()


def test_the_chosen_voxel_has_the_stored_value_and_its_field_on_the_picture(
    page: Page, server: RunningServer, maps: Array
) -> None:
    order = means(maps)
    open_view(page, server, address(ch=3, pos="2,17"))
    expect_value(page, maps[order[3], 2, 17], order[3], 2, 17)
    expect(page.get_by_test_id("field")).to_have_attribute("data-box", "6,66,17,77")
    expect(page.get_by_test_id("seen")).to_have_text("It sees rows 6–16, columns 66–76 of the picture.")
    page.get_by_label("column 17 of all channels").press("ArrowUp")  # the place before
    expect_value(page, maps[order[2], 2, 17], order[2], 2, 17)
    page.get_by_label("Its filter").or_(page.get_by_role("link", name="Its filter")).first.click()
    ready(page)
    expect(page).to_have_url(re.compile(rf"#/filters\?.*ch={order[2]}\b"))
    open_view(page, server, address(ch=0, pos="0,0"))
    expect(page.get_by_test_id("seen")).to_contain_text("its field of 11 × 11 is cut at the border")


def test_a_click_in_one_slice_moves_the_others(page: Page, server: RunningServer, maps: Array) -> None:
    order = means(maps)
    open_view(page, server, address(ch=1, pos="8,10", show="slices"))
    channel, row, column = (page.locator(f"[data-axis='{axis}'] canvas") for axis in ("channel", "row", "column"))
    box = settled(row)  # places run downwards, columns to the right
    page.mouse.click(box["x"] + box["width"] * 5.5 / 20, box["y"] + box["height"] * 7.5 / 12)
    expect(channel).to_have_attribute("data-at", "7,8,5")
    expect(column).to_have_attribute("aria-label", re.compile("^column 5 of all channels.*place 7, row 8"))
    expect_value(page, maps[order[7], 8, 5], order[7], 8, 5)
    box = settled(channel)
    page.mouse.click(box["x"] + box["width"] * 19.5 / 20, box["y"] + box["height"] * 1.5 / 16)
    expect_value(page, maps[order[7], 1, 19], order[7], 1, 19)
    script = """canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"""
    shown = np.array(row.evaluate(script)).reshape(12, 20, 4)[..., 0]  # red grows with the value in this map
    wanted = maps[order][:, 1, :]
    top = np.unravel_index(wanted.argmax(), wanted.shape)
    assert shown[top] >= np.percentile(shown, 99)
    assert shown[wanted < 1].max() < shown[top] / 2


def test_picking_in_three_dimensions_finds_the_voxel_under_the_pointer(
    page: Page, server: RunningServer, maps: Array
) -> None:
    order = means(maps)
    open_view(page, server, address(mode="slices", ch=4, pos="8,10", planes="z", cam="0,0,2.75"))
    picture_of(page)
    box = settled(page.locator(".scene canvas[role='img']"))
    page.mouse.click(box["x"] + box["width"] / 2 + 6, box["y"] + box["height"] / 2 + 6)
    expect(page).to_have_url(re.compile("pos=8,10"))  # the middle of the plane of place 4
    expect_value(page, maps[order[4], 8, 10], order[4], 8, 10)
    page.mouse.click(box["x"] + box["width"] / 2 - 40, box["y"] + box["height"] / 2 + 6)
    until(page, lambda: "pos=8,10" not in page.url, "another voxel")
    found = re.search(r"pos=(\d+),(\d+)", page.url)
    assert found
    row, column = int(found[1]), int(found[2])
    assert row == 8
    assert column < 10
    expect_value(page, maps[order[4], row, column], order[4], row, column)


def test_the_opacity_curve_is_bent_by_keyboard_mouse_and_preset(page: Page, server: RunningServer) -> None:
    open_view(page, server, address(scale="layer"))
    before = picture_of(page)
    points = page.locator(".transfer-plot [role='slider']")
    expect(points).to_have_count(3)
    points.nth(1).focus()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    page.wait_for_url("**tf=0:0,0.1:0.6,1:1*")
    expect(points.nth(1)).to_have_attribute("aria-valuetext", re.compile("opacity 60 %"))
    bent = picture_of(page)
    assert bent != before
    points.nth(1).focus()
    page.keyboard.press("Insert")
    expect(points).to_have_count(4)
    expect(points.nth(2)).to_be_focused()
    page.keyboard.press("Delete")
    expect(points).to_have_count(3)
    plot = settled(page.locator(".transfer-plot"))
    page.mouse.move(plot["x"] + plot["width"] * 0.6, plot["y"] + plot["height"] * 0.8)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.7, plot["y"] + plot["height"] * 0.5, steps=3)
    page.mouse.up()
    expect(points).to_have_count(4)
    page.wait_for_url(re.compile(r"tf=0:0,0.1:0.6,0\.[67]\d*:0\.[45]\d*,1:1"))
    page.get_by_role("group", name="Shape").get_by_role("button", name="Tent").click()
    page.wait_for_url("**tf=tent*")
    page.get_by_role("group", name="Shape").get_by_role("button", name="Ramp").click()
    until(page, lambda: "tf=" not in page.url, "the usual curve, which is not in the address,")
    assert picture_of(page) == before


def test_a_saved_view_comes_back_after_a_reload(page: Page, server: RunningServer) -> None:
    open_view(page, server, address())
    home = picture_of(page)
    page.locator(".scene").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"cam=1\.1,0\.36,2\.75"))
    turned = picture_of(page)
    assert turned != home
    page.get_by_label("Name of the view").fill("from the right")
    page.get_by_label("Name of the view").press("Enter")
    link = page.get_by_role("link", name="from the right")
    expect(link).to_have_attribute("aria-current", "true")
    sent = page.url
    page.get_by_role("button", name="Reset view").click()
    until(page, lambda: "cam=" not in page.url, "the first view")
    assert picture_of(page) == home
    page.reload()
    ready(page)
    page.get_by_role("link", name="from the right").click()
    page.wait_for_url("**name=from+the+right*")
    assert picture_of(page) == turned
    page.get_by_role("button", name="Forget from the right").click()
    expect(link).to_have_count(0)
    page.goto("about:blank")
    page.goto(sent)
    ready(page)
    expect(page.get_by_text("This is the view “from the right” of somebody else")).to_be_visible()


def test_another_order_restacks_without_fetching(page: Page, server: RunningServer, maps: Array) -> None:
    order = means(maps)
    open_view(page, server, address(ch=0, pos="3,4"))
    expect_value(page, maps[order[0], 3, 4], order[0], 3, 4)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Stacked by").select_option("index")
    page.wait_for_url(re.compile(rf"ch={order[0]}\b.*order=index"))
    expect_value(page, maps[order[0], 3, 4], order[0], 3, 4)  # the chosen channel stays, at its new place
    expect(page.locator("[data-axis='channel'] h3")).to_contain_text(f"Channel {order[0]} place {order[0]}")
    assert not [url for url in asked if "voxels" in url]
    page.evaluate("location.hash += '&order=nonsense'")
    expect(page.get_by_text("No order “nonsense” here")).to_be_visible()


def test_signed_volumes_are_coloured_about_zero_and_say_what_they_are(page: Page, server: RunningServer) -> None:
    open_view(page, server, address("conv1/of tabby"))
    expect(page.locator(".explain")).to_contain_text("logit of tabby")
    expect(page.locator(".explain")).to_contain_text("wrongly taken for fox")
    total = np.random.default_rng(2).normal(size=(6, 3, 5, 5)).astype(np.float32).sum(1)
    most = abs(total).max()
    bar = page.get_by_role("img", name="all channels: colours from")
    expect(bar).to_have_attribute("aria-label", f"all channels: colours from −{most:.4g} to {most:.4g}")
    expect(page.get_by_test_id("scale")).to_contain_text("zero in the middle")
    expect(page.get_by_test_id("seen")).to_contain_text("no receptive field")
    page.get_by_label("Lower end of the scale").fill("-0.5")
    page.get_by_label("Lower end of the scale").press("Enter")
    page.wait_for_url("**win=-0.5,0.5*")
    share = (abs(total) > 0.5).mean()
    text = page.get_by_test_id("scale").inner_text()
    found = [float(part) for part in re.findall(r"([\d.]+) %", text)]
    assert sum(found) == pytest.approx(100 * share, abs=1.5), text


def test_clipping_scale_and_surface_are_in_the_address(page: Page, server: RunningServer, maps: Array) -> None:
    open_view(page, server, address(mode="iso", iso=4))
    whole = picture_of(page)
    page.get_by_label("Rows to").fill("7")
    page.wait_for_url("**box=0-11,0-7,0-19*")
    expect(page.get_by_test_id("clip")).to_contain_text("12 × 8 × 20 of 12 × 16 × 20")
    assert picture_of(page) != whole
    page.get_by_role("button", name="Whole volume").click()
    until(page, lambda: "box=" not in page.url, "the whole")
    assert picture_of(page) == whole
    page.get_by_label("Surface at").fill("2")
    page.wait_for_url(re.compile(r"iso=(2|2\.0\d*|1\.9\d*)\b"))
    assert picture_of(page) != whole
    page.get_by_label("Spans").select_option("5")
    page.wait_for_url("**clip=5*")
    low, high = np.percentile(maps, (5, 95))
    label = page.get_by_role("img", name="all channels: colours from").get_attribute("aria-label") or ""
    ends = [float(part) for part in re.findall(r"[\d.]+", label)]
    assert ends == pytest.approx([low, high], abs=float(maps.max()) / 200)


def test_the_table_has_every_channel_and_is_saved(page: Page, server: RunningServer, maps: Array) -> None:
    order = means(maps)
    open_view(page, server, address(show="table"))
    rows = page.locator(".volume-table tbody tr")
    expect(rows).to_have_count(12)
    own = maps[order[2]]
    bytes_of = np.rint((own - own.min()) / (own.max() - own.min()) * 255)  # of equal ones the first is named
    strongest = np.unravel_index(bytes_of.argmax(), SHAPE[1:])
    rows.nth(2).get_by_role("button").click()
    expect_value(page, own[strongest], order[2], int(strongest[0]), int(strongest[1]))
    page.get_by_role("button", name="Save the volume").click()
    with page.expect_download() as csv:
        page.get_by_role("menuitem", name="CSV").click()
    lines = Path(csv.value.path()).read_text().splitlines()
    assert len(lines) == 13
    assert float(lines[3].split(",")[2]) == pytest.approx(maps[order[2]].mean(), abs=0.01 * float(maps.max()))
    page.get_by_role("button", name="Save the volume").click()
    with page.expect_download() as npy:
        page.get_by_role("menuitem", name="NPY").click()
    np.testing.assert_array_equal(np.load(npy.value.path()), maps)


def test_an_older_record_opens(page: Page, server: RunningServer, maps: Array) -> None:
    open_view(page, server, address("older", ch=5, pos="1,2"))
    expect_value(page, maps[5, 1, 2], 5, 1, 2)
    inked(page, ".scene canvas[role='img']", 50)
    expect(page.get_by_test_id("seen")).to_have_text("What this position sees of the picture is not recorded.")


@pytest.mark.parametrize("page", [("Context Lost", "CONTEXT_LOST")], indirect=True)
def test_a_lost_context_is_said_and_comes_back(page: Page, server: RunningServer) -> None:
    open_view(page, server, address())
    before = pixels_of(page)
    canvas = page.locator(".scene canvas[role='img']")
    canvas.evaluate(
        "c => { window.gone = c.getContext('webgl2').getExtension('WEBGL_lose_context'); gone.loseContext() }"
    )
    expect(page.get_by_test_id("lost")).to_be_visible()
    page.evaluate("gone.restoreContext()")
    expect(page.get_by_test_id("lost")).to_be_hidden()
    until(page, lambda: np.array_equal(pixels_of(page), before), "the same picture")


def test_a_volume_larger_than_the_card_takes_is_said_to_be_drawn_from_fewer_voxels(
    page: Page, server: RunningServer
) -> None:
    page.add_init_script(
        "const get = WebGL2RenderingContext.prototype.getParameter;"
        "WebGL2RenderingContext.prototype.getParameter = function (name) {"
        " return name === this.MAX_3D_TEXTURE_SIZE ? 8 : get.call(this, name) }"
    )
    open_view(page, server, address())
    picture_of(page)
    expect(page.get_by_test_id("reduced")).to_contain_text("Drawn from every 2 × 2 × 3 voxels' strongest")


def test_without_webgl_slices_and_maps_work(page: Page, server: RunningServer, maps: Array) -> None:
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest) };"
        "console.error = () => undefined"  # three.js complains, and is right
    )
    open_view(page, server, address(ch=2, pos="3,3"))
    expect(page.get_by_test_id("no-scene")).to_contain_text("needs WebGL 2")
    expect(page.get_by_test_id("no-scene")).to_contain_text("Slices, maps and the table work without it.")
    inked(page, "[data-axis='channel'] canvas", 20)
    order = means(maps)
    expect_value(page, maps[order[2], 3, 3], order[2], 3, 3)
    page.get_by_role("button", name="All maps").click()
    expect(page.get_by_role("img", name="feature map 0", exact=True)).to_be_visible()


def test_on_a_phone_everything_is_in_reach(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for show in ("volume", "slices", "maps", "table"):
        open_view(page, server, address(show=show))
        assert page.evaluate("document.querySelector('main').scrollWidth <= innerWidth"), show
    open_view(page, server, address())
    page.locator(".transfer-plot").scroll_into_view_if_needed()
    plot = settled(page.locator(".transfer-plot"))
    page.mouse.click(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] * 0.9)
    page.wait_for_url(re.compile(r"tf=0:0,0.1:0,0\.(5|49\d|50\d):0\.\d+,1:1"))


def test_a_view_in_the_address_alone_is_enough(page: Page, server: RunningServer) -> None:
    """What somebody else has sent: no list in this browser."""
    open_view(
        page, server, address(cam="-0.5,0.8,2", box="0-5,0-15,0-19", tf="threshold", mode="composite", map="viridis")
    )
    expect(page.get_by_label("Colours", exact=True)).to_have_value("viridis")
    expect(page.get_by_label("Places to")).to_have_value("5")
    inked(page, ".scene canvas[role='img']", 20)
    assert json.loads(page.evaluate("JSON.stringify(Object.keys(localStorage))")) in ([], ["convscope-theme"])
