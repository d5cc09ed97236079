"""What another program has logged for TensorBoard's projector, on the Embedding page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import inked, open_view
from convscope.view import serve
from tensorboard_oracle import torch_writer

pytestmark = pytest.mark.browser


def test_an_embedding_of_torch_is_searched_on_the_page(page: Page, tmp_path: Path, capsys: Any) -> None:
    import torch

    names = ["dog", "hot dog", "<b>cat</b>"]
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32))
    labels = [(names[number % 3], f"{number}.png") for number in range(30)]
    writer = torch_writer(tmp_path / "run")
    writer.add_embedding(vectors, labels, torch.rand(30, 3, 12, 12), 5, "codes", ["class", "file"])
    writer.close()
    capsys.readouterr()
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/embedding?q=dog")
        expect(page.get_by_test_id("points")).to_contain_text("30 points")
        expect(page.locator("main")).to_contain_text("10 of 30 match")
        expect(page.locator("main")).to_contain_text("<b>cat</b>")  # as text
        inked(page, "main canvas", 20)
