"""Write the feature maps of a network for some pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.layers import Layer
from convscope.inspect.maps import FeatureMaps, maps_tag
from convscope.jobs.record import Progress, picture_name
from convscope.nets.data import ImageSet
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter

AT_ONCE: Final = 1 << 26
"""Values of feature maps that one forward pass keeps: a quarter of a gigabyte."""

TOP_CLASSES: Final = 5


def record_maps(
    model: Model,
    images: ImageSet,
    writer: SummaryWriter,
    *,
    layers: Sequence[str] | None,
    numbers: Sequence[int],
    step: int = 0,
    classes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the feature maps of some pictures, one record a layer and picture, tagged ``LAYER @ PICTURE``.

    A picture goes through the network once for all layers (more often only where their maps would not fit into a
    quarter of a gigabyte together), and once more for the classes where those are asked for.

    Parameters
    ----------
    model, images, writer
        The network, its pictures, and where the records go.
    layers
        Names of layers; ``None`` for every convolution. What a ReLU makes of a convolution's maps follows from them.
    numbers
        Which pictures.
    step
        The training step.
    classes
        Names of the network's classes: with them the five most probable ones stand beside the maps. An empty list
        leaves them numbers; ``None`` does not ask.
    progress
        Called with (pictures done, pictures in all).

    Raises
    ------
    NotFoundError
        If a layer is not there.
    InputError
        If the network has no convolution and no layers are named, or a picture's number is not in the set.
    """
    chosen = [model.layer(name) for name in layers] if layers is not None else convolutions(model)
    if not chosen:
        raise InputError(f"{model.name} has no convolution; name the layers whose feature maps are wanted")
    if wrong := [number for number in numbers if not 0 <= number < len(images)]:
        raise InputError(f"no picture {wrong[0]} in {images.name!r}; it has 0..{len(images) - 1}")
    about = {"preprocessing": images.preprocessing.to_json(), "versions": versions()}
    for done, number in enumerate(numbers, 1):
        pixels = images.images(number, number + 1)
        image = known_of(images, number)
        known: dict[str, Any] = {"picture": images.display(number), "image": image, "orders": ("pca",), "meta": about}
        if classes is not None:
            known["predictions"] = top_classes(model.predict(pixels)[0], classes)
        for maps in feature_maps(model, pixels, chosen, **known):
            writer.add(maps, maps_tag(maps.layer, image["name"]), step)
        writer.flush()
        if progress:
            progress(done, len(numbers))


def convolutions(model: Model) -> list[Layer]:
    """Return the layers whose maps are recorded where none are named: the convolutions, in the order they run."""
    return [layer for layer in model.layers if "Conv" in layer.kind and len(layer.shape) == 3]


def feature_maps(
    model: Model, pixels: npt.NDArray[Any], layers: Sequence[Layer], **known: Any
) -> Iterator[FeatureMaps]:
    """Yield the maps of each layer for one image; one forward pass, or few: memory is bounded.

    Parameters
    ----------
    model
        The network.
    pixels
        Its input, ``(1, C, H, W)``.
    layers
        Layers of it, in any order.
    **known
        More of what :class:`~convscope.inspect.maps.FeatureMaps` takes: ``picture``, ``image``, ``orders``, ``meta`` …
    """
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    for part in _portions(layers):
        found: Mapping[str, npt.NDArray[Any]] = model.activations(pixels, [layer.name for layer in part])
        for layer in part:
            yield FeatureMaps(
                found[layer.name][0],
                layer=layer.name,
                network=model.name,
                receptive_field=layer.receptive_field,
                input_size=size,
                nonlinearity=nonlinearity_kind(model, layer),
                **known,
            )


def _portions(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    part: list[Layer] = []
    held = 0
    for layer in layers:
        size = int(np.prod(layer.shape))
        if part and held + size > AT_ONCE:
            yield part
            part, held = [], 0
        part.append(layer)
        held += size
    yield part


def nonlinearity_kind(model: Model, layer: Layer) -> str:
    """Return the kind of a layer's non-linearity, ``"ReLU"`` for instance; empty where it has none."""
    return model.layer(layer.nonlinearity).kind if layer.nonlinearity else ""


def top_classes(probabilities: npt.NDArray[Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the most probable classes of one image, best first, by name or else by number.

    >>> top_classes(np.array([0.1, 0.7, 0.2]), ["cat", "dog"])[0]
    {'label': 'dog', 'class': 1, 'probability': 0.7}
    """
    best = np.argsort(-probabilities, kind="stable")[:TOP_CLASSES]
    names = [*classes, *(f"class {number}" for number in range(len(classes), len(probabilities)))]
    return [
        {"label": names[number], "class": int(number), "probability": float(probabilities[number])} for number in best
    ]


def versions() -> dict[str, str]:
    """Return the versions of what computes the maps, as far as they are installed packages."""
    found = {}
    for name in ("convscope", "torch", "numpy"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def known_of(images: ImageSet, number: int) -> dict[str, Any]:
    """Return what is known of a picture: its number, its name, and the name of its class."""
    label = -1 if images.labels is None else int(images.labels[number])
    name = images.label_names[label] if 0 <= label < len(images.label_names) else ""
    return {"index": number, "name": picture_name(images, number), "label": name}
