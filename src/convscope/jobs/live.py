"""A network attached to the viewer: it looks at the pictures a visitor hands in, all layers in one forward pass."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.inspect.layers import Layer
from convscope.inspect.maps import FeatureMaps, maps_tag
from convscope.jobs.folder import whole_input
from convscope.jobs.maps import AT_ONCE, convolutions, nonlinearity_kind, top_classes, versions
from convscope.jobs.record import layer_filters
from convscope.nets.datasets.decode import fitted
from convscope.nets.datasets.synsets import synsets, unique_names
from convscope.nets.observe import ROOT
from convscope.nets.torch import Model
from convscope.store.memory import Promise
from convscope.summary import Summary
from convscope.view.live import Looked

HELD_BYTES: Final = 512 << 20


@dataclass(frozen=True)
class _Picture:
    """A picture that was handed in, as the network takes it and as it is shown, and the network's answer."""

    pixels: npt.NDArray[np.float32]
    shown: npt.NDArray[np.uint8]
    predictions: Sequence[Mapping[str, Any]]


class LiveModel:
    """What :class:`convscope.view.live.Live` asks of a network, answered by a :class:`~convscope.nets.torch.Model`.

    The feature maps of all layers are kept as they came out of the forward pass, 512 MB at most over all pictures; what
    is looked at least makes room first and is computed anew when it is asked for.

    Parameters
    ----------
    model
        The network; where it has no preprocessing, pictures are resized and cropped to its input and normalised as
        for ImageNet.
    classes
        Names of its classes, in its order; numbers take their place where they are not known.
    held_bytes
        How much is kept of feature maps.

    Raises
    ------
    InputError
        If it takes neither grey nor colour pictures, has no layer with feature maps, or not as many classes.
    """

    def __init__(self, model: Model, *, classes: Sequence[str] = (), held_bytes: int = HELD_BYTES) -> None:
        self.name = model.name
        self._model = model
        self._how = whole_input(model)
        self._layers = {layer.name: layer for layer in model.layers if len(layer.shape) in (1, 3)}
        if not any(len(layer.shape) == 3 for layer in self._layers.values()):
            raise InputError(f"{model.name} has no layer with feature maps; there is nothing to show of a picture")
        self._answers = _classes(model)
        if classes and not self._answers:
            raise InputError(f"{model.name} does not put out classes; leave out their names")
        if classes and len(classes) != self._answers:
            raise InputError(
                f"{len(classes):,} names of classes do not fit {model.name}, which puts out {self._answers:,} numbers; "
                "give one name for each"
            )
        self._names = tuple(classes)
        self._held = _Held(held_bytes)
        self._pictures: dict[str, _Picture] = {}
        self._lock = threading.Lock()

    def describe(self) -> Mapping[str, Any]:
        """Return the shape of its input, and the layer to show first, as JSON."""
        return {
            "input_shape": list(self._model.input_shape),
            "layer": self._beginning(),
            "preprocessing": self._how.to_json(),
        }

    def about(self) -> Sequence[Promise]:
        """Return the architecture, and the filters of every convolution."""
        layers = [layer for layer in convolutions(self._model) if layer.parameters]
        return [
            Promise("architecture", self.name, 0, self._model.architecture().to_summary),
            *(Promise("filters", la.name, 4 * la.parameters, partial(self._filters, la.name)) for la in layers),
        ]

    def look(self, picture: bytes, name: str) -> Looked:
        """Return what the network makes of a picture: the maps of every layer, and the five most probable classes.

        Raises
        ------
        FormatError
            If the bytes are no picture.
        """
        try:
            shown = fitted(picture, self._how)
        except FormatError as error:
            raise FormatError(f"the picture cannot be read ({error}); give a JPEG, PNG or WebP file") from error
        pixels = self._how.normalise(shown)[None]
        with self._lock:
            found, predictions = self._pass(pixels)
            for layer, values in found.items():
                self._held.put((name, layer), values[0])
            self._pictures[name] = _Picture(pixels, shown, predictions)
        records = {
            layer.name: Promise(
                "maps",
                maps_tag(layer.name, name),
                5 * int(np.prod(layer.shape)),
                partial(self._maps, name, layer),
            )
            for layer in self._layers.values()
        }
        return Looked(self._beginning(), records, predictions)

    def forget(self, name: str) -> None:
        """Drop a picture and its feature maps."""
        with self._lock:
            self._pictures.pop(name, None)
            self._held.drop(name)

    def _pass(self, pixels: npt.NDArray[np.float32]) -> tuple[Mapping[str, npt.NDArray[Any]], list[dict[str, Any]]]:
        """Return the outputs of the layers and the most probable classes, from one forward pass where that can be."""
        layers = self._at_first()
        if not self._answers:
            return self._model.activations(pixels, layers), []
        found = self._model.activations(pixels, [*layers, ROOT])
        answer = found.pop(ROOT)[0].astype(np.float64)
        if not np.isfinite(answer).all():
            return found, []
        ends_with_softmax = self._model.layers[-1].kind == "Softmax"
        return found, top_classes(answer if ends_with_softmax else softmax(answer), self._names)

    def _at_first(self) -> list[str]:
        """Return the layers to compute at once: all that fit, convolutions and their non-linearities first."""
        wanted = {layer.name for layer in convolutions(self._model)}
        wanted |= {self._model.layer(name).nonlinearity for name in wanted}
        chosen: set[str] = set()
        room = min(AT_ONCE, self._held.most // 4)
        for layer in sorted(self._layers.values(), key=lambda layer: layer.name not in wanted):
            room -= int(np.prod(layer.shape))
            if room >= 0:
                chosen.add(layer.name)
        return [name for name in self._layers if name in chosen] or [self._beginning()]

    def _beginning(self) -> str:
        """Return the layer to show first: the first convolution, or else the first with maps."""
        maps = convolutions(self._model) or [layer for layer in self._layers.values() if len(layer.shape) == 3]
        return maps[0].name

    def _maps(self, name: str, layer: Layer) -> Summary:
        with self._lock:
            picture = self._pictures.get(name)
            if picture is None:
                raise NotFoundError(f"the picture {name!r} has been forgotten; hand it in again")
            values = self._held.get((name, layer.name))
            if values is None:
                values = self._model.activations(picture.pixels, layer.name)[0]
                self._held.put((name, layer.name), values)
        return FeatureMaps(
            values,
            layer=layer.name,
            network=self.name,
            picture=picture.shown,
            image={"index": 0, "name": name, "label": ""},
            receptive_field=layer.receptive_field,
            input_size=self._model.input_shape[1:],
            nonlinearity=nonlinearity_kind(self._model, layer),
            predictions=picture.predictions,
            orders=("pca",) if layer.maps[1:] != (1, 1) else (),
            meta={"preprocessing": self._how.to_json(), "versions": versions()},
        ).to_summary(maps_tag(layer.name, name))

    def _filters(self, layer: str) -> Summary:
        return layer_filters(self._model, layer).to_summary(layer)


class _Held:
    """Feature maps by picture and layer, as many as fit; what was asked for last stays longest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._arrays: OrderedDict[tuple[str, str], npt.NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, str]) -> npt.NDArray[Any] | None:
        if key in self._arrays:
            self._arrays.move_to_end(key)
        return self._arrays.get(key)

    def put(self, key: tuple[str, str], values: npt.NDArray[Any]) -> None:
        self._remove(key)
        self._arrays[key] = values
        self._bytes += values.nbytes
        while self._bytes > self.most and len(self._arrays) > 1:
            self._remove(next(iter(self._arrays)))

    def drop(self, name: str) -> None:
        for key in [key for key in self._arrays if key[0] == name]:
            self._remove(key)

    def _remove(self, key: tuple[str, str]) -> None:
        if key in self._arrays:
            self._bytes -= self._arrays.pop(key).nbytes


def softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probabilities that a network's answer ``(classes,)`` stands for."""
    exact = np.exp(values - values.max())
    return np.asarray(exact / exact.sum())


def _classes(model: Model) -> int:
    """Return how many classes a network tells apart; 0 where its output is not one vector."""
    try:
        shape = model.layer(ROOT).shape
    except NotFoundError:  # a tuple or a dictionary is no layer's output
        return 0
    return shape[0] if len(shape) == 1 else 0


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Return short names of the classes that a file lists: ``synset_words.txt``, one name a line, JSON."""
    return unique_names(synsets(path))
