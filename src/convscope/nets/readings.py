"""What can be read of a network while it looks at images: layers, filters, activations, logits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convscope.arrays import as_numpy
from convscope.errors import ConvscopeError, InputError, not_found
from convscope.inspect.architecture import Architecture
from convscope.inspect.layers import Layer
from convscope.inspect.topk import TopK
from convscope.nets import search
from convscope.nets.batches import filled_up, in_batches
from convscope.nets.called import Call, Called, chosen_output, fingerprint_of
from convscope.nets.data import ImageSet
from convscope.nets.find import does_not_go_through, find_input_shape, find_network, move
from convscope.nets.frozen import frozen
from convscope.nets.images import image_set
from convscope.nets.observe import ROOT, Reached, forward, observed
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.seen import of_one
from convscope.nets.top_maps import TopMaps, top_maps
from convscope.nets.trace import Tap, Trace, spare_input, trace

_PIXELS_AT_ONCE: Final = 32 * 224 * 224
TAPS: Final = ("before", "after")


class Readings:
    """A network that is open: the part of :class:`convscope.nets.torch.Model` that only reads."""

    def __init__(
        self,
        network: Any,
        *,
        input_shape: tuple[int, int, int] | None = None,
        preprocessing: Preprocessing | None = None,
        name: str | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        call: Call | None = None,
        output: str | int | None = None,
    ) -> None:
        found = find_network(network, weights)
        self.network = found.network
        self.name = name or found.name
        if device is not None:
            move(self.network, device)
        self._called = self.network if call is None else cast("nn.Module", Called(self.network, call))
        self._called_by = "" if call is None else fingerprint_of(call)
        self._output = output
        self.preprocessing = preprocessing or found.preprocessing
        shape = input_shape or found.input_shape
        given = tuple(shape) if shape else find_input_shape(self._called)
        if len(given) != 3 or min(given) < 1:
            raise InputError(f"input_shape is (channels, height, width), got {given}")
        self.input_shape = (given[0], given[1], given[2])

    def __repr__(self) -> str:
        return f"<Model {self.name} {self.input_shape} with {len(self.layers)} layers>"

    @cached_property
    def _trace(self) -> Trace:
        try:
            images = spare_input(self.input_shape, self.network)
            return trace(self._called, images.repeat(self._fixed_batch or 1, 1, 1, 1))
        except ConvscopeError:
            raise
        except Exception as error:  # whatever the user's own code raises
            raise does_not_go_through(self.input_shape, self.name, error) from error

    @property
    def _fixed_batch(self) -> int | None:
        """How many images the network takes at once, where a file says that it takes no other number."""
        return getattr(self.network, "fixed_batch", None)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order in which they are executed: modules, and functions that modules call themselves.

        Modules that hold others can be asked for too (:meth:`layer`); the whole network is ``.network``.
        """
        return self._trace.layers

    def layer(self, name: str) -> Layer:
        """Return a layer, or a module that holds several.

        Raises
        ------
        NotFoundError
            If there is none of that name; it names the nearest.
        """
        return self._trace.layer(name, self.name)

    def architecture(self) -> Architecture:
        """Return the layers, how they are connected, and what they cost, as a result that can be written and shown."""
        parameters = sum(p.numel() for p in self.network.parameters())
        return Architecture(self.name, self.input_shape, self.layers, parameters)

    def filters(self, layer: str) -> npt.NDArray[np.float32]:
        """Return the weights of a convolution or a linear layer as ``(O, I, kh, kw)``."""
        kind = self.layer(layer).kind
        weight = self._trace.weights.get(layer)
        if weight is None:
            name = layer.partition(":")[0]
            inner = {ROOT: self.network, **dict(self.network.named_modules())}
            with torch.no_grad(), frozen(self.network):  # spectral norm in training would take a step
                weight = getattr(inner.get(name), "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.ndim not in (2, 3, 4) or "Embedding" in kind:
            raise InputError(f"layer {layer!r} ({kind}) has no filters; choose a convolution")
        array = weight.detach().float().cpu().numpy()
        if kind.startswith("ConvTranspose"):
            array = _turned(array, self.layer(layer).options.get("groups", 1))
        outputs, inputs_, *kernel = array.shape
        return array.reshape(outputs, inputs_, *([1] * (2 - len(kernel))), *kernel).copy()

    def activations(self, images: Any, layer: str | Sequence[str], *, tap: str = "before") -> Any:
        """Return what a layer puts out for images, ``(N, C, H, W)``; for several layers a dictionary.

        They come from the network's own forward pass, one for all layers.

        Parameters
        ----------
        images
            The network's input, ``(N, C, H, W)`` or one image ``(C, H, W)``; or uint8 pictures ``(N, H, W, c)`` or
            ``(H, W, c)`` where the model has a preprocessing.
        layer
            A layer's name, or several.
        tap
            ``before``: the layer's own output; ``after``: what the non-linearity makes of it that directly takes it.

        Raises
        ------
        NotFoundError
            If there is no such layer.
        InputError
            If the images do not fit, no non-linearity follows, or the control flow of the network left a layer out.
        """
        if tap not in TAPS:
            raise not_found("tap", tap, TAPS)
        names = [layer] if isinstance(layer, str) else list(layer)
        find = self._trace.tap if tap == "before" else self._trace.tap_after
        taps = {name: find(name, self.name) for name in names}
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in names}
        folded = next((name for name, tap in taps.items() if tap.folded), None)
        if folded is not None and (self._fixed_batch or 1) > 1:
            raise InputError(f"layer {folded!r} mixes the images of a batch, and {self.name} takes no other batches")
        for pixels, count in self._batches(images, None if folded is None else 1):
            for name, values in self._observe(pixels, taps).items():
                parts[name].append(values[:count])
        whole = {name: np.concatenate(found) if len(found) > 1 else found[0] for name, found in parts.items()}
        return whole[layer] if isinstance(layer, str) else whole

    def _observe(self, pixels: npt.NDArray[Any], taps: Mapping[str, Tap]) -> dict[str, npt.NDArray[Any]]:
        wanted: dict[Any, list[str]] = {}
        for name, tap in taps.items():
            wanted.setdefault(tap.call, []).append(name)
        found: dict[str, npt.NDArray[Any]] = {}

        def see(call: Any, _: object, output: Any) -> None:
            for name in wanted.get(call, ()):  # a copy: a later in-place ReLU changes the tensor
                values = as_numpy(output).copy()
                found[name] = _whole(values) if taps[name].folded else values
            if len(found) == len(taps):
                raise Reached

        functions = any(tap.function for tap in taps.values())
        watching = observed(self._called, {name for name, _ in wanted}, see, functions=functions)
        with torch.no_grad(), frozen(self.network), watching:  # inference mode would mark tensors that a network keeps
            forward(self._called, search.to_tensor(pixels, self.network))
        for name, values in found.items():
            self._check_count(f"layer {name!r} of {self.name}", values.shape, len(pixels))
        if absent := [name for name in taps if name not in found]:
            raise InputError(f"layer {absent[0]!r} did not run for these images: {self.name} took another way")
        return found

    def top_maps(
        self, tops: Mapping[str, TopK], dataset: ImageSet, *, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, TopMaps]:
        """Return the activation maps of every channel in its top images, small and grey, by the layers' names.

        Only the top images go through the network once more, for all layers together.

        Parameters
        ----------
        tops
            What ``top_k`` found, by the layers' names.
        dataset
            The set of images it was found in.
        progress
            Called with the images done and the images in all.
        """
        taps = {
            name: self._trace.tap(name, self.name) if top.tap == "before" else self._trace.map_tap(name, self.name)
            for name, top in tops.items()
        }
        batch = self._fixed_batch or min(self._images_at_once, len(dataset))
        return top_maps(self._called, dataset, taps, tops, batch, progress)

    def logits(self, images: Any) -> npt.NDArray[np.float32]:
        """Return what the whole network says to images, ``(N, classes)``; it may wrap that into a tuple or a dict."""
        self._trace  # noqa: B018 - says it where an image does not go through
        parts = []
        with torch.no_grad(), frozen(self.network):
            for pixels, count in self._batches(images):
                said = self._called(search.to_tensor(pixels, self.network))
                tensor = chosen_output(said, self._output, self.name)
                self._check_count(self.name, tensor.shape, len(pixels))
                parts.append(tensor[:count].float().cpu().numpy())
        return np.concatenate(parts)

    @property
    def fingerprint(self) -> str:
        """What the names and the values of the network's weights hash to."""
        digest = hashlib.sha256()
        for name, tensor in self.network.state_dict().items():
            if not isinstance(tensor, torch.Tensor):  # what a module keeps beside its weights
                continue
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(as_numpy(tensor)).tobytes())
        return digest.hexdigest()

    @staticmethod
    def _check_count(what: str, shape: Sequence[int], images: int) -> None:
        """Raise an error for what is not one result for each image."""
        if not shape or shape[0] != images:
            raise InputError(f"{what} gives {tuple(shape)} for {images} images, not one each; give one at a time")

    def _batches(self, images: Any, at_once: int | None = None) -> Iterator[tuple[npt.NDArray[Any], int]]:
        """Yield images in batches of one size, and how many of each are not there only to fill it up."""
        fixed = self._fixed_batch
        for pixels, count in in_batches(self._input(images), fixed or at_once or self._images_at_once):
            yield filled_up(pixels, fixed or len(pixels)), count

    def predict(self, images: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes, ``(N, classes)``: the softmax of the logits."""
        return torch.from_numpy(self.logits(images)).double().softmax(dim=1).numpy()

    @property
    def _images_at_once(self) -> int:
        return max(1, _PIXELS_AT_ONCE // (self.input_shape[1] * self.input_shape[2]))

    def _images(self, images: Any) -> ImageSet:
        """Return what a user calls images as a set of images that fit the network."""
        dataset = image_set(images, self.preprocessing)
        if not len(dataset):
            raise InputError(f"the data set {dataset.name!r} is empty; give at least one image")
        shape = dataset.images(0, 1).shape[1:]
        if shape != tuple(self.input_shape):
            ours, theirs = listed(self.input_shape), listed(shape)
            raise InputError(
                f"{self.name} takes images ({ours}), those of {dataset.name!r} are ({theirs}); preprocess them to fit"
            )
        return dataset

    def _input(self, images: Any) -> npt.NDArray[Any]:
        """Return images as the network's input, ``(N, C, H, W)``."""
        array = as_numpy(images)
        if array.ndim and not len(array):
            raise InputError("no images were given; give at least one")
        if array.dtype == np.uint8 and self.preprocessing is not None:
            pictures = array[None] if array.ndim == 3 else array
            array = np.stack([self.preprocessing.to_input(picture) for picture in pictures])
        array = array[None] if array.ndim == 3 else array
        if array.ndim != 4 or array.shape[1:] != tuple(self.input_shape):
            raise InputError(f"{self.name} takes images (N, {listed(self.input_shape)}), got {as_numpy(images).shape}")
        return array


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what a layer gave for one image, whose first axis is not the images, as one row."""
    return values.reshape(1, *(of_one(len(values), values.shape[1:]) if values.ndim else ()))


def _turned(weight: npt.NDArray[Any], groups: int) -> npt.NDArray[Any]:
    """Return the weights ``(I, O/groups, …)`` of a transposed convolution as ``(O, I/groups, …)``."""
    inputs, outputs, *kernel = weight.shape
    apart = weight.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    return apart.reshape(groups * outputs, inputs // groups, *kernel)


def listed(shape: Sequence[int]) -> str:
    """Return a shape as people write it."""
    return ", ".join(map(str, shape))
