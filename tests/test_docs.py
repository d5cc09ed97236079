"""The documents: their links lead somewhere, their code runs, their pictures are there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
MODULES = [
    "arrays",
    "console",
    "errors",
    "embed.embedding",
    "embed.axes",
    "embed.frames",
    "embed.methods",
    "embed.neighbours",
    "embed.pca",
    "embed.place",
    "embed.projection",
    "embed.quality",
    "embed.running",
    "embed.tsne",
    "inspect.attribution",
    "inspect.order",
    "inspect.order_points",
    "inspect.patches",
    "inspect.scores",
    "inspect.volume",
    "inspect.volume_inputs",
    "nets.crops",
    "nets.methods",
    "nets.occlusion",
    "view.html",
    "view.selection",
    "view.sitenames",
    "view.sitefolder",
    "view.siteblocks",
    "view.sitepages",
    "view.guard",
    "view.merged",
    "view.opening",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if ">>> " in page.read_text()], ids=lambda page: page.name)
def test_the_examples_of_the_documents_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(page), module_relative=False, globs={"cs": __import__("convscope")})
    assert tried >= 3
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_run(name: str) -> None:
    module = __import__(f"convscope.{name}", fromlist=["_"])
    names = {**vars(module), "np": np}
    failed, tried = doctest.testmod(module, globs=names)
    assert tried > 0
    assert failed == 0


def test_the_blocks_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = torch.nn.Conv2d(3, 4, 7, stride=4)
            self.conv3 = torch.nn.Conv2d(4, 6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.conv3(torch.relu(self.conv1(x))))

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def train_on(x: int, y: int) -> torch.Tensor:
        loss = net(torch.rand(1, 3, 224, 224)).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return loss

    images = np.random.default_rng(0).random((10, 3, 224, 224), np.float32)
    known = {"net": net, "train_on": train_on, "loader": [(0, 0), (1, 1)], "images": images}
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        exec(block, known)  # each block goes on where the one before was, as a reader does
    assert known["projections"].mismatches == 0
    run = known["cs"].Run("runs/mine")
    assert len(run.scalars("train/loss").step) == len(run.scalars("accuracy/test").step) == 2
    assert len(run.histograms("weights/conv1.weight")) == 1


def test_the_readme_shows_the_two_commands_and_the_makefile_has_them() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
