"""The page of logged graphs in a real Chromium: torch's and ours, boxes for modules, a node's panel, the address."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import Locator, Page, expect
from torch import nn
from torch.utils.tensorboard import SummaryWriter as TorchWriter

from browser_pages import open_view, ready
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser


class Two(nn.Module):
    """Two branches that meet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.left = nn.Conv2d(4, 5, 1)
        self.right = nn.Conv2d(4, 6, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return torch.cat([self.left(x), self.right(x)], 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("graphs")
    network, image = Two(), torch.rand(1, 3, 8, 8)
    with SummaryWriter(logdir / "ours") as ours:
        ours.add_graph(network, image)
        ours.add_graph(nn.Sequential(nn.Conv2d(3, 2, 1)), image)
    theirs = TorchWriter(str(logdir / "torch"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own tracing
        theirs.add_graph(network, image)
    theirs.close()
    with SummaryWriter(logdir / "other") as other:
        other.add_scalar("loss", 1.0, 0)
    with serve(logdir, port=0) as running:
        yield running


def box(page: Page, name: str) -> Locator:
    return page.locator(f'g.box[data-box="{name}"]')


@pytest.mark.parametrize("run", ["ours", "torch"])
def test_a_graph_is_drawn_without_its_constants(page: Page, server: RunningServer, run: str) -> None:
    open_view(page, server, f"#/graph?run={run}&graph=0")
    expect(page.locator("g.box[data-box]").first).to_be_visible()
    drawn = page.locator("g.box .box-sub").all_text_contents()
    assert sum("convolution" in text or "conv2d" in text for text in drawn) == 3
    assert not any("Constant" in text or "GetAttr" in text for text in drawn)
    page.get_by_text("All nodes", exact=True).click()
    page.wait_for_url("**all=1*")
    expect(page.locator("dt", has_text="drawn").locator("xpath=following-sibling::dd")).to_have_text(
        page.locator("dt", has_text=re.compile("^nodes$")).locator("xpath=following-sibling::dd").inner_text()
    )


def test_a_node_says_what_it_takes_and_modules_close_and_open(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/graph?run=ours&graph=0")
    box(page, "Two/left/conv2d").click()
    page.wait_for_url(re.compile("node="))
    panel = page.get_by_role("complementary", name="Chosen node")
    expect(panel).to_contain_text("1 × 5 × 6 × 6")
    expect(
        panel.locator("dt", has_text=re.compile("^parameters$")).locator("xpath=following-sibling::dd")
    ).to_have_text("25")
    panel.get_by_role("link", name="Two/stem/ReLU[1]/relu").click()
    expect(panel.get_by_role("heading")).to_have_text("Two/stem/ReLU[1]/relu")
    expect(panel).to_contain_text("Two/right/conv2d")
    panel.get_by_role("button", name="Close Two/stem").click()
    expect(box(page, "Two/stem")).to_be_visible()
    expect(panel).to_be_hidden()
    box(page, "Two/stem").press("Enter")
    expect(box(page, "Two/stem/ReLU[1]/relu")).to_be_visible()


def test_later_graphs_are_reached_and_wrong_addresses_are_named(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/graph?run=ours")
    expect(page.locator("g.box[data-box]").first).to_be_visible()
    assert len(page.locator("g.box .box-sub", has_text="conv2d").all()) == 1  # the last one is shown
    page.goto(f"{server.url}#/graph?run=ours&graph=7&node=nowhere")
    ready(page)
    expect(page.locator(".notice")).to_contain_text("nowhere")


def test_without_a_graph_it_says_how_to_log_one(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/graph?run=other")  # the first run that has one is shown
    expect(page.locator("g.box[data-box]").first).to_be_visible()
