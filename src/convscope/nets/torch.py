"""A torch network as convscope sees it: layers, filters, activations, top images, and the way back to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, missing_extra
from convscope.inspect.attribution import Attribution, Finished, Projections, Rule, RuleReport
from convscope.inspect.layers import Layer
from convscope.inspect.topk import TopK
from convscope.inspect.topk_state import ChannelTopK
from convscope.nets.data import ImageSet
from convscope.nets.embedding import Embeds
from convscope.scale.local import run_pass
from convscope.scale.plan import Plan

try:
    import torch
except ModuleNotFoundError as error:
    raise missing_extra("torch", "torch", "looking inside a network") from error

from convscope.nets import backward, projecting, search
from convscope.nets.batches import even_batches
from convscope.nets.engines import check_asked, computing_with, engine, settings
from convscope.nets.methods import go_back
from convscope.nets.rules import find_rule
from convscope.nets.trace import Tap


class Model(Embeds):
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

    def top_k(  # noqa: PLR0913 - all but one are optional
        self,
        dataset: Any,
        *,
        layers: Sequence[str] | None = None,
        k: int = 9,
        score: str = "max",
        tap: str = "after",
        per_image: int = 1,
        workers: int = 1,
        threads: int | None = None,
        batch_size: int | None = None,
        shard_size: int | None = None,
        checkpoint: str | Path | None = None,
        every: int = 8,
        progress: Callable[[int, int], None] | None = None,
        publish: Callable[[dict[str, TopK]], None] | None = None,
    ) -> dict[str, TopK]:
        """Find the images that excite each channel most, for all layers in one pass over the data (METHODS §3).

        The score of an image is the largest activation of the channel in it, after the layer's ReLU if one directly
        consumes its output; an image counts once, equal scores are ordered by index. The result is the same to the last
        bit whatever the number of workers and however often it was killed and resumed, as long as ``threads`` is the
        same.

        Parameters
        ----------
        dataset
            The images, as anything that :func:`convscope.nets.images.image_set` takes: an array, a folder, a list, a
            set of images. They must have the model's input shape.
        layers
            Names of layers; by default every convolution. A linear layer counts as maps of 1×1.
        k
            How many images are kept for each channel.
        score
            ``max``, or ``mean`` for the mean of all activations of the channel in an image; the position is that of the
            largest activation all the same.
        tap
            ``after``, or ``before`` for the layer's own output, before the ReLU that takes it.
        per_image
            How many positions of one image may enter: of equal values, those that come first row by row.
        workers
            How many processes share the work; each has its copy of the network. Images in memory are copied as well,
            files and memory maps are read by each.
        threads
            How many threads each process computes with; by default torch's number, shared among the workers.
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
        numbers = {"k": k, "batch_size": batch_size, "per_image": per_image, "workers": workers, "threads": threads}
        check_asked(score, tap, numbers)
        dataset = self._images(dataset)
        taps = self._taps(layers, tap)
        shard = min(shard_size or len(dataset), len(dataset))
        batch = min(batch_size, shard) if batch_size else even_batches(shard, min(512, self._images_at_once))
        batch = self._fixed_batch or batch
        threads = threads or max(1, torch.get_num_threads() // workers)
        work = search.Search(self._called, dataset, taps, k, batch, score, per_image)
        asked = {"score": score, "tap": tap, "per_image": per_image}
        about = self._about(dataset, taps, work, threads) | asked if checkpoint else {}

        def result(states: search.States) -> dict[str, TopK]:
            return {name: self._top(states[name], taps[name].layer, dataset, asked) for name in taps}

        with computing_with(threads):
            states = run_pass(
                Plan.of(len(dataset), shard_size or 4 * batch, about),
                engine(work, workers, threads),
                search.merge,
                to_arrays=search.to_arrays,
                from_arrays=search.from_arrays,
                checkpoint=Path(checkpoint) if checkpoint else None,
                every=every,
                progress=progress,
                publish=(lambda states, _: publish(result(states))) if publish else None,
            )
        return result(states)

    def _taps(self, layers: Sequence[str] | None, tap: str = "after") -> dict[str, Tap]:
        names = self._trace.convolutions if layers is None else [layers] if isinstance(layers, str) else layers
        if not names:
            raise InputError(f"{self.name} has no convolution; name the layers to search")
        after = {name: self._trace.map_tap(name, self.name) for name in names}
        return after if tap == "after" else {name: self._trace.tap(name, self.name) for name in after}

    def _top(self, state: ChannelTopK, layer: Layer, dataset: ImageSet, asked: Mapping[str, Any]) -> TopK:
        return TopK.from_state(
            state,
            layer=layer.name,
            layer_kind=layer.kind,
            receptive_field=layer.receptive_field,
            input_size=self.input_shape[1:],
            network=self.name,
            dataset=dataset.name,
            images_total=len(dataset),
            **asked,
        )

    def _about(self, dataset: ImageSet, taps: Mapping[str, Tap], work: search.Search, threads: int) -> dict[str, Any]:
        """Return what determines the result of a search: the fingerprint of its plan."""
        return {
            "dataset": dataset.fingerprint,
            "network": self.fingerprint,
            "call": self._called_by,
            "device": next((p.device.type for p in self.network.parameters()), "cpu"),
            "layers": [f"{name} at {tap.call}" for name, tap in taps.items()],
            "k": work.k,
            "batch_size": work.batch_size,
            "torch": str(torch.__version__),
            **settings(),
            "threads": threads,
        }

    def attribute(
        self,
        top: TopK,
        dataset: Any,
        *,
        rule: str | Rule = "deconvnet",
        mode: str = "single",
        lrn: str = "constant",
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
            A name of :data:`convscope.inspect.attribution.RULES`, or a rule with parameters of its own.
        mode
            ``single``: only the activation at the recorded position is sent back, all others are zero ([ZF14]);
            ``map``: the channel's whole map, as conv-net-viz did.
        lrn
            At local response normalisation: ``constant`` holds its denominator, ``gradient`` takes its derivative,
            ``identity`` passes it unchanged. Derivatives (``gradient`` and its kin) stay derivatives.
        channels
            Which channels; all by default: 0.7 GB of float32 for AlexNet's last convolution, so take it in portions, or
            as they come by :meth:`attribute_each`.
        progress
            Called with the projections done and the projections in all.
        """
        task = self._task(top, dataset, [rule], mode, lrn, channels)
        values = np.zeros((len(task.rows), top.k, *top.tile_size, self.input_shape[0]), np.float32)

        def keep(batch: Finished) -> None:
            values[batch.slots[:, 0], batch.slots[:, 1]] = batch.tiles

        made = projecting.project(task, keep, progress)
        name = task.rules[0].name
        return Projections(
            top.layer,
            name,
            task.rows.astype(np.int64),
            values,
            top.tile_box[task.rows],
            made.recomputed,
            made.reports[name],
            made.mismatches,
            made.engine,
        )

    def attribute_each(
        self,
        top: TopK,
        dataset: Any,
        *,
        keep: Callable[[Finished], None],
        rules: Sequence[str | Rule] = ("deconvnet",),
        mode: str = "single",
        lrn: str = "constant",
        channels: Sequence[int] | None = None,
        proofs: int = 0,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Attribution:
        """Project the top activations of a layer by several rules, and hand each batch over as it is done.

        All rules share the forward passes, and memory does not grow with the number of channels.

        Parameters
        ----------
        top, dataset, mode, lrn, channels
            As in :meth:`attribute`.
        keep
            Called with each batch.
        rules
            One or more.
        proofs
            For how many ranks of each channel proof figures (:data:`convscope.inspect.proof.PROOF`) are computed: 1 for
            the strongest image of each. A projection with its figures costs about five without.
        seed
            Of the channels, weights and pixels that the figures draw at random.
        progress
            Called with the projections done and the projections in all.
        """
        task = self._task(top, dataset, rules, mode, lrn, channels, proofs, seed)
        return projecting.project(task, keep, progress)

    def _task(
        self,
        top: TopK,
        dataset: Any,
        rules: Sequence[str | Rule],
        mode: str,
        lrn: str,
        channels: Sequence[int] | None,
        proofs: int = 0,
        seed: int = 0,
    ) -> projecting.Task:
        dataset = self._images(dataset)
        tap = self._taps([top.layer], top.tap)[top.layer]
        if tap.layer.maps[0] != top.channels or (top.image >= len(dataset)).any():
            raise InputError(
                f"this result of layer {top.layer!r} is not of this network and these images; search again"
            )
        bare = self._trace.tap(top.layer, self.name)
        return projecting.task(self._called, (tap, bare), top, dataset, rules, mode, lrn, channels, proofs, seed)

    def project(
        self,
        image: Any,
        layer: str,
        channel: int,
        position: tuple[int, int] | None = None,
        rule: str | Rule = "deconvnet",
        lrn: str = "constant",
    ) -> tuple[npt.NDArray[np.float32], float, RuleReport]:
        """Project one activation of one image back to all its pixels.

        Parameters
        ----------
        image
            The network's input ``(C, H, W)``, or a uint8 picture where the model has a preprocessing.
        layer, channel, position
            From where; by default from the channel's strongest position (y, x).
        rule, lrn
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
        asked, pixels = find_rule(rule), self._input(image)[:1]
        with backward.ascended(self._called, pixels, tap, asked, lrn) as ascent:
            y, x = position or np.unravel_index(int(ascent.values[0, channel].argmax()), (rows, columns))
            origins = [backward.Origin(channel, int(y), int(x))]
            if asked.method == "backward":
                (signal, activation), report = ascent.back(origins), ascent.report
        if asked.method != "backward":
            signal, activation, report = go_back(self._called, pixels, tap, origins, asked, lrn)
        return signal[0].float().cpu().numpy(), float(activation[0]), report
