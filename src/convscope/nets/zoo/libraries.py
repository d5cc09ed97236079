"""The networks of torchvision and timm, where they are installed: ``torchvision:resnet18``, ``timm:convnext_tiny``."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from convscope.errors import DownloadError, MissingExtraError, not_found
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.zoo.entry import Opened, ZooEntry

if TYPE_CHECKING:
    from torch import nn

_NO_INIT: Final = {"googlenet", "inception_v3"}
"""torchvision's networks that warn of a slow initialisation unless told whether to do it."""


def find(name: str) -> ZooEntry | None:
    """Return the entry of ``library:architecture``, ``None`` for a name that is not of this kind.

    Raises
    ------
    MissingExtraError
        If the library is not installed, or cannot be imported.
    NotFoundError
        If it has no such architecture; the nearest is named.
    """
    library, colon, architecture = name.partition(":")
    reader = LIBRARIES.get(library) if colon else None
    return None if reader is None else reader(architecture)


def _imported(library: str, name: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{name!r} needs {library}; install it with: pip install {library}") from error
    except (ImportError, RuntimeError) as error:  # torchvision's operators were built for another torch
        reason = str(error).partition("\n")[0]
        raise MissingExtraError(
            f"{name!r} needs {library}, which is installed but cannot be imported ({reason}); "
            f"install the version of {library} that goes with this torch"
        ) from error


# ---------------------------------------------------------------- torchvision


def _torchvision(architecture: str) -> ZooEntry:
    name = f"torchvision:{architecture}"
    models = _imported("torchvision", name).models
    known = models.list_models(module=models)  # those that classify pictures
    if architecture not in known:
        raise not_found("network", architecture, known, "torchvision's classification models")
    choices = models.get_model_weights(architecture)
    preprocessing = _of_transforms(choices.DEFAULT.transforms())
    return ZooEntry(
        partial(_build_torchvision, models, architecture),
        _shape(preprocessing),
        preprocessing,
        licence="BSD-3-Clause (torchvision); see the weights' own",
        paper=name,
        library=partial(_open_torchvision, models, architecture),
    )


def _build_torchvision(models: Any, architecture: str, *, classifier: bool = True) -> nn.Module:  # noqa: ARG001 - one signature for all
    options = {"init_weights": False} if architecture in _NO_INIT else {}
    network: nn.Module = models.get_model(architecture, weights=None, **options)
    return network


def _open_torchvision(models: Any, architecture: str, weights: str | None) -> Opened:
    choices = models.get_model_weights(architecture)
    names = [choice.name for choice in choices]
    if weights is not None and weights not in names:
        raise not_found("weights", weights, names, f"torchvision:{architecture}")
    chosen = choices.DEFAULT if weights is None else choices[weights]
    preprocessing = _of_transforms(chosen.transforms())
    load = partial(models.get_model, architecture, weights=chosen)
    network = _downloaded(load, f"torchvision:{architecture}", chosen.name)
    return Opened(network, _shape(preprocessing), preprocessing, chosen.name)


def _of_transforms(transforms: Any) -> Preprocessing:
    crop = tuple(transforms.crop_size) * 2
    return Preprocessing(
        transforms.resize_size[0],
        (crop[0], crop[1]),
        tuple(transforms.mean),
        tuple(transforms.std),
        interpolation=transforms.interpolation.value,
    )


# ---------------------------------------------------------------- timm


def _timm(architecture: str) -> ZooEntry:
    name = f"timm:{architecture}"
    timm = _imported("timm", name)
    bare = architecture.partition(".")[0]
    if not timm.is_model(bare):
        raise not_found("network", architecture, timm.list_models(), "timm")
    tags = [found.partition(".")[2] for found in timm.list_pretrained(f"{bare}.*")]
    if architecture != bare and architecture.partition(".")[2] not in tags:
        raise not_found("weights", architecture, [f"{bare}.{tag}" for tag in tags], "timm")
    preprocessing = _of_config(timm.data.resolve_data_config(pretrained_cfg=_config(timm, architecture)))
    return ZooEntry(
        partial(_build_timm, timm, architecture),
        _shape(preprocessing),
        preprocessing,
        licence="Apache-2.0 (timm); see the weights' own",
        paper=name,
        library=partial(_open_timm, timm, architecture, tags),
    )


def _config(timm: Any, architecture: str) -> Mapping[str, Any]:
    config = timm.get_pretrained_cfg(architecture)
    found: Mapping[str, Any] = {} if config is None else config.to_dict()
    return found


def _build_timm(timm: Any, architecture: str, *, classifier: bool = True) -> nn.Module:  # noqa: ARG001 - one signature for all
    network: nn.Module = timm.create_model(architecture, pretrained=False)
    return network


def _open_timm(timm: Any, architecture: str, tags: list[str], weights: str | None) -> Opened:
    if weights is not None and weights not in tags:
        raise not_found("weights", weights, tags, f"timm:{architecture}")
    chosen = architecture if weights is None else f"{architecture.partition('.')[0]}.{weights}"
    preprocessing = _of_config(timm.data.resolve_data_config(pretrained_cfg=_config(timm, chosen)))
    load = partial(timm.create_model, chosen, pretrained=True)
    network = _downloaded(load, f"timm:{architecture}", weights or "pretrained")
    return Opened(network, _shape(preprocessing), preprocessing, chosen)


def _of_config(config: Mapping[str, Any]) -> Preprocessing:
    """Return timm's evaluation transform: its resize is the input's size divided by ``crop_pct``, rounded down."""
    channels, height, width = config["input_size"]
    mean = tuple(config["mean"])
    long = config["crop_mode"] == "border"
    size = math.floor(max(height, width) / config["crop_pct"])
    return Preprocessing(
        size,
        (height, width),
        mean,
        tuple(config["std"]),
        order="RGB" if channels == 3 else "L",
        resize={"squash": "warp", "border": "long"}.get(config["crop_mode"], "short"),
        interpolation=config["interpolation"],
        fill=tuple(round(255 * part) for part in mean) if long else (0,),
    )


LIBRARIES: Final[Mapping[str, Callable[[str], ZooEntry]]] = {"torchvision": _torchvision, "timm": _timm}


def _shape(preprocessing: Preprocessing) -> tuple[int, int, int]:
    height, width = preprocessing.crop or (0, 0)
    return preprocessing.channels, height, width


def _downloaded(load: Callable[[], Any], network: str, weights: str) -> nn.Module:
    """Let a library fetch its weights into its own cache; it checks their digests itself."""
    try:
        loaded: nn.Module = load()
    except Exception as error:  # each library's own client raises what it likes
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise DownloadError(
            f"cannot get the weights {weights} of {network} ({reason}); check the network, "
            "give a file of weights (--weights FILE), or 'random' for an untrained network"
        ) from error
    return loaded.eval()
