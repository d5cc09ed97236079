"""What can be measured of a layer's filters: gradients of their weights, importance, and what their absence costs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from convscope.arrays import as_numpy
from convscope.errors import InputError, not_found
from convscope.inspect.ablation import Ablation, Curve, check_order, measuring_points
from convscope.inspect.gradients import WeightGradients
from convscope.inspect.groups import ALL
from convscope.inspect.importance import MEASURES, Importance, ranked
from convscope.nets import ablation as ablating
from convscope.nets import importance as measuring
from convscope.nets import weight_gradients as deriving
from convscope.nets.batches import even_batches
from convscope.nets.behind import Cut
from convscope.nets.data import ImageSet
from convscope.nets.engines import computing_with, settings
from convscope.nets.filterweights import activation_place, all_places
from convscope.nets.readings import Readings
from convscope.nets.slopes import SQUASHED, Slopes
from convscope.nets.targets import Targets, targets_of

ORDERS: Final = ("least", "most", "random")
"""In which order filters are put to zero: the least important first, the most important first, or by chance."""

Progress = Callable[[int, int], None]


class Measured(Readings):
    """The part of :class:`convscope.nets.torch.Model` that measures filters; the network is left without a trace."""

    def weight_gradients(
        self,
        images: Any,
        layer: str,
        classes: str | int | Sequence[int] | None = None,
        *,
        mean: bool = False,
        names: Sequence[str] | None = None,
        targets: Sequence[int] | None = None,
        batch_size: int | None = None,
    ) -> WeightGradients:
        """Return d(logit of a class) / d(weights of a layer), signed, for each image (METHODS §7).

        Parameters
        ----------
        images
            What :func:`convscope.nets.images.image_set` takes, or one image ``(C, H, W)``.
        layer
            A convolution or a linear layer. Weights that several calls share count in all of them.
        classes
            One class for all images, or several: then each image has a row for every one of them. By default the class
            that the network gives the image (``"predicted"``); ``"label"`` for its own.
        mean
            Only the mean over the images, one row a class: one backward pass a batch, and no memory for single images.
        names
            What the network's classes are called; those of the images' labels unless given.
        targets
            For each class of the images which output of the network it is, where these are not the same.
        batch_size
            How many images go through the network at once.

        Returns
        -------
        WeightGradients
            ``gradient (G, O, I, kh, kw)``, rows by image, then by class. The logits are what a softmax, log-softmax or
            sigmoid at the network's end is given.

        Raises
        ------
        InputError
            If the layer has no weights, a class is not there, or the logits do not depend on the layer.
        """
        dataset = self._images(_several(images))
        known = self._targets(dataset, targets, names)
        slopes = self._slopes(layer, places=False)
        batch = batch_size or min(even_batches(len(dataset), self._images_at_once), len(dataset))
        return deriving.weight_gradients(slopes, deriving.Asked.of(dataset, classes, known, batch), mean=mean)

    def importance(
        self,
        dataset: Any,
        layer: str,
        classes: Sequence[int] | None = None,
        *,
        measures: Sequence[str] = MEASURES,
        names: Sequence[str] | None = None,
        targets: Sequence[int] | None = None,
        batch_size: int | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Importance:
        """Return how much each filter of a layer matters, overall and to each class, streaming over images.

        Parameters
        ----------
        dataset
            The images. With labels each counts for its own class. Without, each counts for every class that is asked
            for, and among all for the class the network gives it.
        layer
            A convolution or a linear layer.
        classes
            The groups beside all images together; by default every class that an image is labelled with.
        measures
            Names of :data:`convscope.inspect.importance.MEASURES`, which says what they are.
        names
            What the network's classes are called; those of the labels unless given.
        targets
            For each class of the images which output of the network it is, where these are not the same.
        batch_size
            How many images go through the network at once.
        checkpoint
            A file to resume from and to leave the state in.
        progress
            Called with the images done and the images in all.
        """
        images = self._images(dataset)
        chosen = measuring.check_measures(measures)
        known = self._targets(images, targets, names)
        labels = known.labels
        found = [] if labels is None else np.unique(labels[labels >= 0]).tolist()
        groups = found if classes is None else [int(number) for number in dict.fromkeys(classes)]
        known.check(groups)
        batch = self._fixed_batch or batch_size or even_batches(len(images), self._images_at_once)
        work = measuring.Measuring(
            self._slopes(layer), images, chosen, (ALL, *groups), labels, self.layer(layer).maps[0], batch
        )
        about = self._fingerprints(images, layer) | {"measures": chosen, "classes": groups, "batch_size": batch}
        about |= {"labels": None if labels is None else hashlib.sha256(labels.tobytes()).hexdigest()}
        with computing_with(torch.get_num_threads()):
            return measuring.importance(
                work,
                about if checkpoint else {},
                names=known.names,
                checkpoint=checkpoint,
                progress=progress,
            )

    def ablation(  # noqa: PLR0913 - all but two are optional
        self,
        dataset: Any,
        layer: str,
        order: str | Sequence[str] | Mapping[str, Any] = ORDERS,
        *,
        importance: str | Importance | Any = "taylor",
        group: int | str = 0,
        points: int | Sequence[int] = 65,
        single: bool = False,
        random: int = 1,
        seed: int = 0,
        batch_size: int | None = None,
        fast: bool = True,
        names: Sequence[str] | None = None,
        targets: Sequence[int] | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        publish: Callable[[Ablation], None] | None = None,
    ) -> Ablation:
        """Put filters of a layer to zero, one after the other, and return accuracy and loss along the way.

        A filter is put to zero by putting its map to zero: the layer's output, or that of the batch norm that directly
        takes it. Without batch norm this is what zero weights and a zero bias do.

        Parameters
        ----------
        dataset
            Labelled images; a class's number is that of the network's output.
        layer
            A convolution or a linear layer; one that is called several times loses the filter in every call.
        order
            One or more of :data:`ORDERS`, or orders of your own: name → permutation of the filters.
        importance
            By what the filters are ordered: a measure, which is taken over the same images; what :meth:`importance`
            has found (its first measure, or ``taylor`` if it has that); or one number for each filter.
        group
            Which group of the importance counts: a row or a name, all images by default.
        points
            At how many numbers of zeroed filters is measured, evenly from none to all, or at which.
        single
            Whether to measure also with each filter zeroed by itself.
        random, seed
            How many random orders, and the seed of the first.
        batch_size
            How many images go through the network at once; that is also how often the state is saved.
        fast
            Run only what is behind the layer, where that gives the same logits to the last bit.
        names
            What the network's classes are called; those of the labels unless given.
        targets
            For each class of the images which output of the network it is, where these are not the same.
        checkpoint
            A file to resume from and to leave the state in.
        progress
            Called with the images done and the images in all.
        publish
            Called with the result over the images so far.

        Raises
        ------
        InputError
            If the images have no labels, their classes are not the network's, or the layer has no filters.
        """
        images = self._images(dataset)
        filters = self.layer(layer).maps[0]
        if len(self.filters(layer)) != filters:
            raise InputError(f"layer {layer!r} gives {filters} maps for {len(self.filters(layer))} filters")
        known = self._targets(images, targets, names)
        labels = known.needed(images)
        curves, orders = self._orders(images, layer, order, importance, group, random, seed, targets)
        removed = measuring_points(filters, points)
        batch = self._fixed_batch or batch_size or even_batches(len(images), min(64, self._images_at_once))
        cut = Cut(self._called, all_places(self._trace, layer, self.name), self.name, self._output)
        work = ablating.Ablating(cut, images, labels, known.outputs, orders, removed, single, self._squashed, batch)
        about = self._fingerprints(images, layer) | {
            "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
            "orders": orders.tolist(),
            "removed": removed.tolist(),
            "single": single,
            "batch_size": batch,
        }
        with computing_with(torch.get_num_threads()):
            return ablating.ablation(
                ablating.prepared(work, fast),
                curves,
                known.names,
                about if checkpoint else {},
                layer=layer,
                checkpoint=checkpoint,
                progress=progress,
                publish=publish,
            )

    def _orders(
        self,
        images: ImageSet,
        layer: str,
        order: str | Sequence[str] | Mapping[str, Any],
        importance: Any,
        group: int | str,
        random: int,
        seed: int,
        targets: Sequence[int] | None,
    ) -> tuple[list[Curve], Any]:
        """Return what the curves are and the filters in their orders."""
        filters = self.layer(layer).maps[0]
        if seed < 0 or random < 0:
            raise InputError(f"random orders and their seed are counted from 0, got random={random} and seed={seed}")
        if isinstance(order, Mapping):
            given = [check_order(as_numpy(one), filters, name) for name, one in order.items()]
            return [Curve(str(name)) for name in order], _stacked(given)
        asked = [order] if isinstance(order, str) else [*dict.fromkeys(order)]
        if wrong := [name for name in asked if name not in ORDERS]:
            raise not_found("order of filters", wrong[0], ORDERS)
        ranks, measure = np.zeros(filters), ""
        if {"least", "most"} & set(asked):
            ranks, measure = self._ranks(images, layer, importance, group, targets)
        curves: list[Curve] = []
        orders: list[Any] = []
        for name in asked:
            if name == "random":
                for number in range(seed, seed + random):
                    curves.append(Curve("random" if random == 1 else f"random {number}", "random", number))
                    orders.append(np.random.default_rng(number).permutation(filters))
            else:
                curves.append(Curve(f"{name} first", measure))
                orders.append(ranked(ranks, most=name == "most"))
        return curves, _stacked(orders)

    def _ranks(
        self, images: ImageSet, layer: str, importance: Any, group: int | str, targets: Sequence[int] | None
    ) -> tuple[Any, str]:
        """Return a number for each filter, and what it is called."""
        if isinstance(importance, str):
            measuring.check_measures(importance)
            importance = self.importance(images, layer, measures=(importance,), targets=targets)
        if isinstance(importance, Importance):
            measure = "taylor" if "taylor" in importance.measures else importance.measures[0]
            values = importance.of(measure, group)
        else:
            measure, values = "given", as_numpy(importance)
        if values.shape != (self.layer(layer).maps[0],):
            raise InputError(f"importance is one number for each filter of {layer!r}, got {values.shape}")
        if np.isnan(values).all():
            raise InputError(f"group {group!r} has no importance of a filter, for it has no images; choose another")
        return values, measure

    def targets(
        self, dataset: Any, targets: Sequence[int] | None = None, names: Sequence[str] | None = None
    ) -> Targets:
        """Return the images' classes as outputs of the network; see :func:`~convscope.nets.targets.targets_of`.

        Raises
        ------
        InputError
            If the network does not put out classes, or those of the images are not known to be its own.
        """
        return self._targets(self._images(dataset), targets, names)

    def _targets(self, images: ImageSet, targets: Sequence[int] | None, names: Sequence[str] | None) -> Targets:
        said = self.logits(images.images(0, 1))
        if said[0].size != said.shape[1] or said.size < 2:
            shape = "×".join(map(str, said.shape[1:]))
            raise InputError(f"{self.name} puts out {shape} numbers for an image, not the logits of classes")
        return targets_of(images, int(said[0].size), targets, names)

    @property
    def _squashed(self) -> str:
        """What the network does to its logits at its very end: a name of :data:`SQUASHED`, or nothing."""
        last = self.layers[-1]
        while last.kind in ("Flatten", "Reshape", "Squeeze") and last.inputs and last.inputs[0]:
            last = self.layer(last.inputs[0])
        return last.kind if last.kind in SQUASHED else ""

    def _slopes(self, layer: str, *, places: bool = True) -> Slopes:
        self.filters(layer)  # says it where there are none
        place = activation_place(self._trace, layer, self.name) if places else None
        return Slopes(self._called, self._trace, layer, self.name, self._output, place)

    def _fingerprints(self, images: ImageSet, layer: str) -> dict[str, Any]:
        """Return what determines a pass over these images, but for what is asked of it."""
        return {
            "dataset": images.fingerprint,
            "network": self.fingerprint,
            "call": self._called_by,
            "output": str(self._output),
            "device": next((p.device.type for p in self.network.parameters()), "cpu"),
            "layer": layer,
            "torch": str(torch.__version__),
            **settings(),
        }


def _several(images: Any) -> Any:
    """Return one image ``(C, H, W)`` of floats as a batch of one."""
    if hasattr(images, "ndim") and hasattr(images, "dtype"):
        array = as_numpy(images)
        return array[None] if array.ndim == 3 and array.dtype.kind == "f" else array
    return images


def _stacked(orders: Sequence[Any]) -> Any:
    if not orders:
        raise InputError("no order of filters was given; name least, most or random")
    return np.stack(orders).astype(np.int32)
