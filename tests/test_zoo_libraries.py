"""The networks of torchvision and timm by their names: as they are, and as their libraries feed them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import shim_torchvision  # noqa: F401 - makes torchvision importable
from convscope.errors import DownloadError, MissingExtraError, NotFoundError
from convscope.nets import zoo
from convscope.nets.preprocessing import IMAGENET


def test_torchvisions_networks_go_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    entry = zoo.find("torchvision:resnet18")
    assert entry is not None
    assert (entry.input_shape, entry.preprocessing) == ((3, 224, 224), IMAGENET)
    random = zoo.load("torchvision:resnet18", "random")
    assert isinstance(random, torchvision.models.ResNet)
    assert not random.training
    torch.save(random.state_dict(), tmp_path / "w.pth")
    filled = zoo.open_network("torchvision:resnet18", tmp_path / "w.pth")
    assert torch.equal(filled.network.fc.weight, random.fc.weight)
    monkeypatch.setattr(
        torchvision.models._api, "load_state_dict_from_url", lambda url, **_: {**random.state_dict(), "_": url}
    )
    monkeypatch.setattr(
        torchvision.models.MobileNetV2, "load_state_dict", lambda self, state: setattr(self, "came_from", state["_"])
    )
    opened = zoo.open_network("torchvision:mobilenet_v2", "IMAGENET1K_V1")
    assert opened.network.came_from.endswith("mobilenet_v2-b0353104.pth")
    assert (opened.weights, opened.preprocessing.size) == ("IMAGENET1K_V1", 256)
    assert zoo.open_network("torchvision:mobilenet_v2").preprocessing.size == 232, "its default is now IMAGENET1K_V2"
    assert zoo.load("torchvision:googlenet", "random") is not None, "without torchvision's warning"


def test_libraries_say_what_they_do_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match=r"no network 'resnet19' in torchvision's .* did you mean 'resnet1"):
        zoo.find("torchvision:resnet19")
    with pytest.raises(NotFoundError, match="no weights 'IMAGENET1K_V9' in torchvision:resnet18; did you mean"):
        zoo.load("torchvision:resnet18", "IMAGENET1K_V9")
    with pytest.raises(NotFoundError, match="no network 'resnet1' in timm; did you mean 'resnet1"):
        zoo.find("timm:resnet1")
    with pytest.raises(NotFoundError, match=r"no weights 'resnet18\.a9' in timm; did you mean 'resnet18\.a"):
        zoo.find("timm:resnet18.a9")
    with pytest.raises(NotFoundError, match="no weights 'a9_in1k' in timm:resnet18; did you mean 'a"):
        zoo.load("timm:resnet18", "a9_in1k")
    with pytest.raises(NotFoundError, match="no file of weights"):
        zoo.load("timm:resnet18", "nowhere.pth")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torchvision:resnet18", "IMAGENET1K_V1 of torchvision:resnet18"),
        ("timm:resnet18", "pretrained of timm:resnet18"),
    ],
)
def test_offline_libraries_say_so(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    import timm
    import torchvision

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr(timm.models._builder, "load_pretrained", unreachable)
    with pytest.raises(DownloadError, match=rf"cannot get the weights {told} \(the network is unreachable\); check"):
        zoo.load(name)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_that_is_not_there_is_asked_for(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=f"'{library}:resnet18' needs {library}; install it with: pip"):
        zoo.find(f"{library}:resnet18")

    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nTraceback")

    monkeypatch.setattr(zoo.libraries.importlib, "import_module", broken)
    with pytest.raises(MissingExtraError, match=r"cannot be imported \(operator torchvision::nms does not exist\)"):
        zoo.find(f"{library}:resnet18")


PICTURE = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)


def _smooth() -> Image.Image:
    return Image.fromarray(PICTURE).resize((40, 30)).resize((400, 300), Image.Resampling.BICUBIC)


SHARED = ("alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2")


@pytest.mark.parametrize("name", [*SHARED, *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))])
def test_torchvisions_files_come_with_torchvisions_preprocessing(name: str) -> None:
    """Every file it publishes for a network that the zoo has too, given as a file."""
    import torchvision

    entry = zoo.ZOO[name]
    first = "conv1.weight" if name.startswith("resnet") else "features.0.weight"
    published = list(torchvision.models.get_model_weights(name))
    assert published
    for weights in published:
        form, _ = zoo._recognised(entry, {first: np.zeros(1)}, Path(weights.url))
        assert (form.preprocessing or entry.preprocessing) == zoo.libraries._of_transforms(weights.transforms())


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet_b1", "inception_v3", "convnext_tiny", "vit_b_16"])
def test_torchvisions_transforms_are_kept(architecture: str) -> None:
    import torchvision

    entry = zoo.find(f"torchvision:{architecture}")
    theirs = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()(_smooth())
    ours = entry.preprocessing.to_input(_smooth())  # type: ignore[union-attr]
    assert ours.shape == tuple(theirs.shape) == entry.input_shape  # type: ignore[union-attr]
    assert np.abs(ours - theirs.numpy()).max() < 3 / 255 / 0.22, "a grey level or two: they resize before they crop"


@pytest.mark.parametrize(
    "architecture", ["resnet18", "resnet18.tv_in1k", "mobilenetv3_large_100", "resnetv2_50x1_bit", "convnext_tiny"]
)
def test_timms_transforms_are_kept(architecture: str) -> None:
    import timm

    entry = zoo.find(f"timm:{architecture}")
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(architecture).to_dict())
    theirs = timm.data.create_transform(**config)(_smooth())
    ours = entry.preprocessing.to_input(_smooth())  # type: ignore[union-attr]
    assert ours.shape == tuple(theirs.shape) == entry.input_shape  # type: ignore[union-attr]
    assert np.abs(ours - theirs.numpy()).max() < 3 / 255 / 0.22


def test_all_of_timms_ways_to_resize_are_understood() -> None:
    import timm

    for mode, resize in (("center", "short"), ("squash", "warp"), ("border", "long")):
        config = {"input_size": (3, 64, 64), "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear"}
        config |= {"crop_pct": 0.9, "crop_mode": mode}
        preprocessing = zoo.libraries._of_config(config)
        assert preprocessing.resize == resize
        theirs = timm.data.create_transform(**config)(_smooth())
        assert np.abs(preprocessing.to_input(_smooth()) - theirs.numpy()).max() < 6 / 255 / 0.5


def test_timms_networks_go_by_their_names(tmp_path: Path) -> None:
    network = zoo.load("timm:test_resnet", "random")
    assert network(torch.zeros(1, 3, 160, 160)).shape == (1, 1000)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    opened = zoo.open_network("timm:test_resnet", tmp_path / "w.pth")
    assert opened.input_shape == (3, 160, 160)
    assert torch.equal(opened.network.get_classifier().weight, network.get_classifier().weight)
