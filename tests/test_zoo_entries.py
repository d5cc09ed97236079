"""The table of the zoo: what can be fetched and what cannot, and that the documentation shows it."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
import torch

import shim_torchvision  # noqa: F401 - makes torchvision importable
from conftest import ROOT
from convscope.errors import DownloadError
from convscope.nets import zoo
from convscope.nets.download import Urls
from zoo_table import zoo_table


class Nobody:
    """A client that must not be asked."""

    def package(self, *asked: object) -> None:
        pytest.fail(f"asked for {asked}")

    url = package


def test_files_without_a_sha256_are_named_but_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path))
    nobody = Nobody()
    with pytest.raises(DownloadError) as error:
        zoo.load("caffenet", client=nobody)
    for said in (
        "no SHA-256",
        "bvlc_reference_caffenet.caffemodel",
        "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        "random",
    ):
        assert said in str(error.value)
    with pytest.raises(DownloadError, match="no weights of zfnet have been published; give a file"):
        zoo.load("zfnet", client=nobody)
    assert not zoo.is_cached("caffenet")


def test_every_source_has_a_digest_and_every_network_a_way() -> None:
    for name, entry in zoo.ZOO.items():
        for asset in entry.weights:
            assert asset.sources
            for file, digest in asset.files.items():
                assert re.fullmatch(r"[0-9a-f]{8,64}", digest)
                if len(digest) == 8:
                    assert re.search(rf"-{digest}\.pth$", file), "only its publisher may shorten a digest"
        assert entry.paper
        assert entry.to_train or entry.licence or name == "zfnet"
        assert entry.to_train == name.startswith("mnist")


def test_the_addresses_are_those_torchvision_states() -> None:
    import torchvision

    stated = {
        weights.url
        for name in torchvision.models.list_models(module=torchvision.models)
        for weights in torchvision.models.get_model_weights(name)
    }
    ours = {
        url
        for entry in zoo.ZOO.values()
        for asset in entry.weights
        for source in asset.sources
        if isinstance(source, Urls)
        for url in source.urls.values()
        if "download.pytorch.org" in url
    }
    assert len(ours) == 13
    assert ours <= stated


def test_networks_to_train_come_untrained() -> None:
    assert zoo.open_network("mnist").weights == "random"
    assert zoo.load("mnist_mlp")(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_find_knows_the_zoo_and_leaves_other_names_alone() -> None:
    assert zoo.find("vgg16") is zoo.ZOO["vgg16"]
    assert zoo.find("vgg17") is None
    assert zoo.find("package.module:function") is None


# ---------------------------------------------------------------- the documentation


@pytest.mark.parametrize("module", ["zoo", "architectures.wiring"])
def test_the_examples_of_docstrings_run(module: str) -> None:
    found = importlib.import_module(f"convscope.nets.{module}")
    failed, tried = doctest.testmod(found)
    assert (failed, tried > 1) == (0, True)


def test_the_documentation_lists_the_zoo_as_it_is() -> None:
    page = (ROOT / "docs" / "zoo.md").read_text()
    shown = page.partition("<!-- zoo -->\n")[2].partition("\n<!-- end -->")[0]
    assert shown == zoo_table(), "run: python scripts/zoo_table.py"
