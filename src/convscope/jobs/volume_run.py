"""Volumes of a network for some pictures: the job of ``convscope volume``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, not_found
from convscope.inspect.order import Order
from convscope.inspect.volume import Volume
from convscope.jobs.folder import Question, open_model, whole_input
from convscope.jobs.maps import convolutions
from convscope.jobs.record import Progress, picture_name, picture_volumes
from convscope.nets.data import FirstImages, ImageSet
from convscope.nets.images import image_set, skipped_sentence
from convscope.nets.torch import Model
from convscope.nets.weight_gradients import OWN
from convscope.recording import SummaryWriter

PICTURES: Final = 16
"""Of so many pictures volumes are made unless a number is asked for."""


@dataclass(frozen=True)
class Asked:
    """Which volumes are wanted.

    Attributes
    ----------
    question
        The network's weights, device and input shape, the layers, and which pictures: see
        :class:`convscope.jobs.folder.Question`.
    tap
        ``before`` or ``after`` the non-linearity that directly takes the layer's output.
    gradients
        The class whose logit's gradients by the layer's weights are wanted, in place of activations: a number, a name,
        ``predicted`` or ``label``; none for an empty text.
    order, order_of
        How the channels are stacked, and the picture whose order is applied to all; by default each has its own.
    look
        More of what :class:`convscope.inspect.volume.Volume` takes: ``scale``, ``percentiles``, ``inputs``, ``wire``.
    """

    question: Question = field(default_factory=Question)
    tap: str = "before"
    gradients: str = ""
    order: str = "index"
    order_of: int | None = None
    look: Mapping[str, Any] = field(default_factory=dict)


def volume_run(network: str, folder: Any, out: Path, asked: Asked, progress: Progress | None = None) -> list[str]:
    """Write volumes of a network's layers for some pictures to a run, a new one or one that is there.

    What can be wrong with the input is found before anything is written.

    Parameters
    ----------
    network
        A network's name, as for ``convscope inspect``.
    folder
        A path of pictures, or a list of pictures' paths.
    out
        The run.
    asked
        Which volumes.
    progress
        Called with (volumes done, volumes in all).

    Returns
    -------
    list[str]
        What there is to say.

    Raises
    ------
    NotFoundError, InputError
        If the network, a layer, a class, an order or the pictures are not there, or a layer has no maps.
    StorageError
        If the run cannot be written.
    """
    model = open_model(network, asked.question)
    layers = _layers(model, asked)
    found = image_set(folder, whole_input(model), labels=asked.question.labels, label_names=asked.question.names)
    images = FirstImages(found, min(asked.question.limit or PICTURES, len(found)))
    volumes = _gradients(model, images, layers, asked) if asked.gradients else _maps(model, images, layers, asked)
    first = next(volumes)
    _ = first[1].shown  # what is wrong shows here, a number of clusters or of a component as well
    count, total = 0, len(layers) * len(images)
    with SummaryWriter(out) as writer:
        for count, (tag, volume) in enumerate(chain([first], volumes), 1):
            writer.add(volume, tag)
            if progress:
                progress(min(count, total), total)
    return [*_said(found, images), f"{count} volume{'s' * (count > 1)} of {', '.join(layers)}: {_described(first[1])}"]


def _layers(model: Model, asked: Asked) -> list[str]:
    """Return the layers' names: those asked for, else the first convolution."""
    named = dict.fromkeys(model.layer(name).name for name in asked.question.layers or ())
    if named:
        return list(named)
    if not (found := convolutions(model)):
        raise InputError(f"{model.name} has no convolution; name a layer with --layer")
    return [found[0].name]


def _maps(model: Model, images: ImageSet, layers: Sequence[str], asked: Asked) -> Iterator[tuple[str, Volume]]:
    """Give the feature maps of each picture; it goes through the network once for all layers."""
    orders = _orders(model, images, layers, asked)
    for number in range(len(images)):
        for layer, volume in picture_volumes(model, images, number, layers, tap=asked.tap, **asked.look).items():
            yield f"{layer}/{picture_name(images, number)}", volume.apply(orders[layer])


def _orders(model: Model, images: ImageSet, layers: Sequence[str], asked: Asked) -> Mapping[str, str | Order]:
    """Return how each layer's channels are stacked: by name, or as they are for one of the pictures."""
    if asked.order_of is None:
        return dict.fromkeys(layers, asked.order)
    if not 0 <= asked.order_of < len(images):
        raise InputError(f"no picture {asked.order_of} to take the order of; there are 0..{len(images) - 1}")
    found = picture_volumes(model, images, asked.order_of, layers, tap=asked.tap)
    return {layer: volume.ordered(asked.order) for layer, volume in found.items()}


def _gradients(model: Model, images: ImageSet, layers: Sequence[str], asked: Asked) -> Iterator[tuple[str, Volume]]:
    """Give the gradients of each picture, and where there are several pictures their mean."""
    classes = class_of(asked.gradients, images.label_names)
    inputs = asked.look.get("inputs", "sum")
    look = {key: value for key, value in asked.look.items() if key != "inputs"}
    for layer in layers:
        found = model.weight_gradients(images, layer, classes)
        order: str | Order = asked.order
        if asked.order_of is not None:
            order = found.volume(asked.order_of, inputs=inputs).ordered(asked.order)
        for part in (found, found.mean()) if len(images) > 1 else (found,):
            for row, group in enumerate(part.groups):
                volume = replace(part.volume(row, inputs=inputs), order=order, **look)
                yield f"{layer}/{group.name}, gradient of {group.class_name}", volume


def class_of(text: str, names: Sequence[str]) -> int | str:
    """Return the class that is asked for: its number, or whose own it is.

    >>> class_of("7", ()), class_of("predicted", ()), class_of("dog", ("cat", "dog, hound"))
    (7, 'predicted', 1)
    """
    if text in OWN:
        return text
    if text.isdecimal() and len(text) < 10:
        return int(text)
    for known in (names, [name.split(",")[0].strip() for name in names]):
        places = [place for place, name in enumerate(known) if name.casefold() == text.casefold()]
        if len(places) == 1:
            return places[0]
    if not names:
        raise InputError(f"no class {text!r}: its name is not known here; give its number, or --names FILE")
    raise not_found("class", text, names)


def _said(found: ImageSet, images: ImageSet) -> list[str]:
    said = skipped_sentence(found)
    cut = f"the first {len(images)} of {len(found):,} pictures; --limit takes more" if len(images) < len(found) else ""
    return [line for line in (said, cut) if line]


def _described(volume: Volume) -> str:
    channels, rows, columns = volume.maps.shape
    ends = "each channel its own scale" if volume.window is None else "{:.4g} to {:.4g}".format(*volume.window)
    return f"{channels}×{rows}×{columns} voxels, order {volume.shown.name}, {volume.scale} scale ({ends} in the first)"
