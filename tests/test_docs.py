"""The documents: their links lead somewhere, their code runs, their pictures are there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
MODULES = [
    "arrays",
    "console",
    "errors",
    "embed.embedding",
    "embed.neighbours",
    "embed.pca",
    "embed.tsne",
    "inspect.patches",
    "inspect.volume",
    "nets.crops",
    "view.server",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_examples_of_the_interface_run() -> None:
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "api.md"), module_relative=False, globs={"cs": __import__("convscope")}
    )
    assert tried >= 9
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_run(name: str) -> None:
    module = __import__(f"convscope.{name}", fromlist=["_"])
    names = {**vars(module), "np": np}
    failed, tried = doctest.testmod(module, globs=names)
    assert tried > 0
    assert failed == 0


def test_the_readme_shows_the_two_commands_and_the_makefile_has_them() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
