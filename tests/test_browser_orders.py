"""The page that explains an order: what is chosen, what is said, the figures, one line of the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import convscope as cs
from browser_pages import open_view, until
from convscope.inspect.order import order_maps, row_order
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

CHANNELS, HEIGHT, WIDTH = 24, 6, 9


def maps() -> np.ndarray:
    """Three kinds of maps, brighter and darker."""
    rng = np.random.default_rng(0)
    kinds = 4 * rng.random((3, HEIGHT, WIDTH))
    return (kinds[np.arange(CHANNELS) % 3] + rng.random((CHANNELS, HEIGHT, WIDTH)) / 4).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("orders")
    with cs.SummaryWriter(folder / "run") as writer:
        writer.add(cs.Volume(maps(), order="mean", layer="conv1", rows=[0, 4]), "conv1")
    with serve(folder, port=0) as running:
        yield running


def test_an_order_is_chosen_and_explained(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/volume?run=run&tag=conv1")
    panel = page.get_by_label("Order of the channels")
    chooser = panel.get_by_label("Stacked by")
    expect(chooser).to_have_value("mean")
    sentence = panel.get_by_test_id("order-sentence")
    expect(sentence).to_have_text("this is a sort by brightness: ρ = −1, brightest first")

    clusters = order_maps(maps(), "kmeans")
    chooser.select_option("kmeans")
    until(page, lambda: "order=kmeans" in page.url)
    expect(sentence).to_have_text(clusters.sentence)
    rows = panel.locator(".order-bars tbody tr")
    assert [text.split("\t")[1] for text in rows.all_inner_texts()] == [str(size) for size in clusters.groups]
    first = ", ".join(str(channel) for channel in clusters.permutation[:4])
    expect(panel).to_contain_text(f"Channels from first to last: {first} …")

    chooser.select_option("pca_plain")
    shares = order_maps(maps(), "pca_plain").explanation["explained_variance"]
    expect(rows).to_have_count(len(shares))
    expect(rows.first).to_contain_text(f"{100 * shares[0]:.0f} %")

    chooser.select_option("hierarchical")
    tree = panel.get_by_role("img", name=f"Dendrogram of {CHANNELS} maps")
    expect(tree).to_be_visible()
    assert (tree.locator("path").get_attribute("d") or "").count("M") == CHANNELS - 1


def test_one_line_of_the_image_loses_no_channel_and_tells_its_values(page: Page, server: RunningServer) -> None:
    values = maps()
    open_view(page, server, "#/volume?run=run&tag=conv1")
    panel = page.get_by_label("Order of the channels")
    panel.get_by_text("One line of the image").click()
    order = row_order(values, 0, "kmeans")
    picture = panel.locator("canvas.order-line")
    parts = f"in {len(order.groups)} groups with a line between; arrow keys read it"
    expect(picture).to_have_attribute("aria-label", f"Row 0 of the maps of {CHANNELS} channels, {parts}")
    # Each channel's row is drawn: what is opaque are the rows and the lines of one pixel between groups.
    tall, gaps = 8, len(order.separators)
    opaque = picture.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, 1, c.height).data;"
        " return [c.height, d.filter((_, i) => i % 4 === 3 && d[i] > 0).length] }"
    )
    assert opaque == [CHANNELS * tall + 3 * gaps, CHANNELS * tall + gaps]
    table = panel.locator(".order-lines table tbody tr")
    expect(table).to_have_count(CHANNELS)
    shown = [int(text.split("\t")[1]) for text in table.all_inner_texts()]
    assert shown == order.permutation.tolist()

    picture.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    channel = shown[1]
    reading = panel.get_by_test_id("line-reading")
    expect(reading).to_have_text(f"channel {channel}, row 0, column 0: {values[channel, 0, 0]:.4g}")

    row = panel.get_by_label("Row", exact=True)
    row.fill("3")
    expect(panel).to_contain_text("Ordered by the values of row 4, the nearest for which an order is stored.")
    panel.get_by_label("Ordered by").select_option("stack")
    expect(panel).to_contain_text("Channels as they are stacked, from the top.")
