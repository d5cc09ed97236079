"""A torch network as convscope sees it: layers, filters, activations, top images, and the way back to the pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.embed import Embedding
from convscope.errors import ConvscopeError, InputError, missing_extra, not_found
from convscope.inspect.architecture import Architecture
from convscope.inspect.attribution import Projections, RuleReport
from convscope.inspect.layers import Layer
from convscope.inspect.topk import ChannelTopK, TopK
from convscope.nets.data import ImageSet, Preprocessing
from convscope.nets.embedding import embed
from convscope.nets.images import image_set
from convscope.scale.local import InProcess, run_pass
from convscope.scale.plan import Plan

try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    raise missing_extra("torch", "torch", "looking inside a network") from error

from convscope.nets import backward, search
from convscope.nets.batches import even_batches, filled_up, in_batches
from convscope.nets.called import Call, Called, chosen_output
from convscope.nets.find import does_not_go_through, find_input_shape, find_network, move
from convscope.nets.frozen import frozen
from convscope.nets.observe import ROOT, Reached, forward, observed
from convscope.nets.rules import find_rule
from convscope.nets.trace import Tap, Trace, spare_input, trace

_PIXELS_AT_ONCE = 32 * 224 * 224
TAPS: Final = ("before", "after")


class Model:
    """A network that can be looked into; it is never changed, and nothing stays attached to it.

    >>> model = Model("mnist")
    >>> model.layer("conv2").shape, model.layer("conv2").receptive_field.size
    ((64, 14, 14), (16, 16))

    Parameters
    ----------
    network
        A ``torch.nn.Module``, a ``torch.export`` program, a TorchScript or ONNX model, or the name of one: of the zoo
        (``"alexnet"``, ``"torchvision:resnet18"``, ``"timm:convnext_tiny"``), a file (``"net.onnx"``, ``"net.pt2"``,
        ``"net.pt"``), or ``"package.module:function"`` that returns a module.
    input_shape
        Channels, height and width of an image. By default that of the zoo or the file, or else found by trial: the
        channels of the first convolution, with the first of 224, 299, 32, 28, 64, 96, 8 pixels that goes through.
    preprocessing
        How pictures become its input, so that uint8 pictures can be given where images are asked for.
    name
        What it is called in results.
    weights
        A file of weights; for the zoo also ``"random"`` for none, or ``None`` to find them (:mod:`convscope.nets.zoo`).
    device
        Where to run it; ``None`` leaves it where it is.
    call
        How it is called with a batch of images, ``(network, images) -> anything``, where it takes several inputs, a
        dictionary or named arguments: ``lambda net, x: net(pixel_values=x, return_dict=True)``.
    output
        Which of several outputs holds the logits: a name or a number.
    """

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
        except (RuntimeError, ValueError, LookupError, TypeError, AssertionError, AttributeError) as error:
            if isinstance(error, ConvscopeError):
                raise
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
        array = array.swapaxes(0, 1) if kind.startswith("ConvTranspose") else array
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
        for pixels, count in self._batches(images):
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
                found[name] = as_numpy(output).copy()
            if len(found) == len(taps):
                raise Reached

        functions = any(tap.function for tap in taps.values())
        watching = observed(self._called, {name for name, _ in wanted}, see, functions=functions)
        with torch.inference_mode(), frozen(self.network), watching:
            forward(self._called, search.to_tensor(pixels, self.network))
        if absent := [name for name in taps if name not in found]:
            raise InputError(f"layer {absent[0]!r} did not run for these images: {self.name} took another way")
        return found

    def logits(self, images: Any) -> npt.NDArray[np.float32]:
        """Return what the whole network says to images, ``(N, classes)``; it may wrap that into a tuple or a dict."""
        self._trace  # noqa: B018 - says it where an image does not go through
        parts = []
        with torch.inference_mode(), frozen(self.network):
            for pixels, count in self._batches(images):
                said = self._called(search.to_tensor(pixels, self.network))
                tensor = chosen_output(said, self._output, self.name)
                parts.append(tensor[:count].float().cpu().numpy())
        return np.concatenate(parts)

    def _batches(self, images: Any) -> Iterator[tuple[npt.NDArray[Any], int]]:
        """Yield images in batches of one size, and how many of each are not there only to fill it up."""
        fixed = self._fixed_batch
        for pixels, count in in_batches(self._input(images), fixed or self._images_at_once):
            yield filled_up(pixels, fixed or len(pixels)), count

    def predict(self, images: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes, ``(N, classes)``: the softmax of the logits."""
        return torch.from_numpy(self.logits(images)).double().softmax(dim=1).numpy()

    def top_k(
        self,
        dataset: Any,
        *,
        layers: Sequence[str] | None = None,
        k: int = 9,
        batch_size: int | None = None,
        shard_size: int | None = None,
        checkpoint: str | Path | None = None,
        every: int = 8,
        progress: Callable[[int, int], None] | None = None,
        publish: Callable[[dict[str, TopK]], None] | None = None,
    ) -> dict[str, TopK]:
        """Find the images that excite each channel most, for all layers in one pass over the data (METHODS §3).

        The score of an image is the largest activation of the channel in it, after the layer's ReLU if one directly
        consumes its output; an image counts once, equal scores are ordered by index.

        Parameters
        ----------
        dataset
            The images, as anything that :func:`convscope.nets.images.image_set` takes: an array, a folder, a list, a
            set of images. They must have the model's input shape.
        layers
            Names of layers; by default every convolution. A linear layer counts as maps of 1×1.
        k
            How many images are kept for each channel.
        batch_size
            How many images go through the network at most at once; by default as many as 32 of 224×224 have pixels.
        shard_size
            How many images make a shard, between which checkpoints and progress fall; by default 4 batches.
        checkpoint
            A file to resume from and to leave the state in.
        every
            How many shards there are between two checkpoints, and between two calls of ``publish``.
        progress
            Called with the images done and the images in all.
        publish
            Called with the result so far.

        Returns
        -------
        dict[str, TopK]
            By the layers' names.
        """
        if k < 1:
            raise InputError(f"k is at least 1, got {k}")
        dataset = self._images(dataset)
        taps = self._taps(layers)
        shard = min(shard_size or len(dataset), len(dataset))
        batch = min(batch_size, shard) if batch_size else even_batches(shard, min(512, self._images_at_once))
        about = self._about(dataset, taps, k, batch) if checkpoint else {}
        plan = Plan.of(len(dataset), shard_size or 4 * batch, about)
        work = search.Search(self._called, dataset, taps, k, batch)

        def result(states: search.States) -> dict[str, TopK]:
            return {name: self._top(states[name], taps[name].layer, dataset) for name in taps}

        states = run_pass(
            plan,
            InProcess(work),
            search.merge,
            to_arrays=search.to_arrays,
            from_arrays=search.from_arrays,
            checkpoint=Path(checkpoint) if checkpoint else None,
            every=every,
            progress=progress,
            publish=(lambda states, _: publish(result(states))) if publish else None,
        )
        return result(states)

    def _taps(self, layers: Sequence[str] | None) -> dict[str, Tap]:
        names = self._trace.convolutions if layers is None else [layers] if isinstance(layers, str) else layers
        if not names:
            raise InputError(f"{self.name} has no convolution; name the layers to search")
        return {name: self._trace.map_tap(name, self.name) for name in names}

    def _top(self, state: ChannelTopK, layer: Layer, dataset: ImageSet) -> TopK:
        return TopK.from_state(
            state,
            layer=layer.name,
            layer_kind=layer.kind,
            receptive_field=layer.receptive_field,
            input_size=self.input_shape[1:],
            network=self.name,
            dataset=dataset.name,
            images_total=len(dataset),
        )

    def _about(self, dataset: ImageSet, taps: Mapping[str, Tap], k: int, batch_size: int) -> dict[str, Any]:
        """Return what determines the result of a search: the fingerprint of its plan."""
        return {
            "dataset": dataset.fingerprint,
            "network": self.fingerprint,
            "layers": [f"{name} at {tap.call}" for name, tap in taps.items()],
            "k": k,
            "batch_size": batch_size,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        }

    @property
    def fingerprint(self) -> str:
        """What the names and the values of the network's weights hash to."""
        digest = hashlib.sha256()
        for name, tensor in self.network.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(as_numpy(tensor)).tobytes())
        return digest.hexdigest()

    def attribute(
        self,
        top: TopK,
        dataset: Any,
        *,
        rule: str = "deconvnet",
        channels: Sequence[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Projections:
        """Project the top activations of a layer back to the pixels, cut to the receptive field (METHODS §2).

        Parameters
        ----------
        top
            What :meth:`top_k` found.
        dataset
            The images it was found in.
        rule
            ``deconvnet``, ``guided_backprop``, ``gradient`` or ``gradient_x_input``.
        channels
            Which channels; all by default: 0.7 GB of float32 for AlexNet's last convolution, so take it in portions.
        progress
            Called with the projections done and the projections in all.
        """
        dataset = self._images(dataset)
        tap = self._trace.map_tap(top.layer, self.name)
        if tap.layer.maps[0] != top.channels or (top.image >= len(dataset)).any():
            raise InputError(
                f"this result of layer {top.layer!r} is not of this network and these images; search again"
            )
        return backward.attribute(self._called, top, dataset, tap, rule, channels, progress)

    def embed(
        self,
        dataset: Any,
        layer: str,
        *,
        count: int | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Embedding:
        """Embed images by a layer's output; feature maps are averaged over their positions (METHODS §9).

        Parameters
        ----------
        dataset, count
            The images, and how many of them; all by default.
        layer
            A layer's name.
        columns
            More that is known of each image, for search: name → values.
        """
        dataset = self._images(dataset)
        self.layer(layer)

        def answer(images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
            return np.asarray(self.activations(images, layer))

        return embed(answer, dataset, count, columns, layer=layer, network=self.name)

    def project(
        self, image: Any, layer: str, channel: int, position: tuple[int, int] | None = None, rule: str = "deconvnet"
    ) -> tuple[npt.NDArray[np.float32], float, RuleReport]:
        """Project one activation of one image back to all its pixels.

        Parameters
        ----------
        image
            The network's input ``(C, H, W)``, or a uint8 picture where the model has a preprocessing.
        layer, channel, position
            From where; by default from the channel's strongest position (y, x).
        rule
            As in :meth:`attribute`.

        Returns
        -------
        tuple
            The projection ``(C, H, W)``, the activation it starts from, and where the rule could be applied.
        """
        tap = self._trace.map_tap(layer, self.name)
        channels, rows, columns = tap.layer.maps
        if not 0 <= channel < channels:
            raise InputError(f"no channel {channel} in layer {layer!r}; it has 0..{channels - 1}")
        if position is not None and not (0 <= position[0] < rows and 0 <= position[1] < columns):
            raise InputError(f"no position {position} in layer {layer!r}; its maps are {rows}×{columns}")
        with backward.ascended(self._called, self._input(image)[:1], tap, find_rule(rule)) as ascent:
            y, x = position or np.unravel_index(int(ascent.values[0, channel].argmax()), (rows, columns))
            signal, activation = ascent.back([backward.Origin(channel, int(y), int(x))])
            return signal[0].float().cpu().numpy(), float(activation[0]), ascent.report

    @property
    def _images_at_once(self) -> int:
        return max(1, _PIXELS_AT_ONCE // (self.input_shape[1] * self.input_shape[2]))

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
            raise InputError(f"{self.name} takes images (N, {_listed(self.input_shape)}), got {as_numpy(images).shape}")
        return array

    def _images(self, images: Any) -> ImageSet:
        """Return what a user calls images as a set of images that fit the network."""
        dataset = image_set(images, self.preprocessing)
        if not len(dataset):
            raise InputError(f"the data set {dataset.name!r} is empty; give at least one image")
        shape = dataset.images(0, 1).shape[1:]
        if shape != tuple(self.input_shape):
            ours, theirs = _listed(self.input_shape), _listed(shape)
            raise InputError(
                f"{self.name} takes images ({ours}), those of {dataset.name!r} are ({theirs}); preprocess them to fit"
            )
        return dataset


def _listed(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
