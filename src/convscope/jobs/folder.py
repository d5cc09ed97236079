"""Look inside a network with pictures: the job of ``convscope inspect``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from convscope.errors import InputError
from convscope.inspect.topk import TopK
from convscope.jobs.channels import Settings, record_top_k
from convscope.jobs.maps import record_maps
from convscope.jobs.record import Progress, record_filters, record_volumes
from convscope.jobs.resume import CHECKPOINT, ContinuedWriter, Work, finished
from convscope.nets import zoo
from convscope.nets.data import IMAGENET, FirstImages, ImageSet, Preprocessing
from convscope.nets.find import FILES
from convscope.nets.images import image_set, skipped_sentence
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter

VOLUMES: Final = 4
MAPS: Final = 8
MAPS_BYTES: Final = 1 << 28
"""Feature maps of that many pictures are written unless a number is asked for, or of as many as fit into a quarter of a
gigabyte."""


@dataclass(frozen=True)
class Question:
    """What is asked of a network.

    Attributes
    ----------
    layers
        Names of layers; ``None`` for all convolutions.
    k
        Pictures per channel.
    rules
        How activations are projected back.
    proofs
        For how many of each channel's pictures the proof figures are computed.
    score, mode, lrn, workers
        How is searched and projected back: see :func:`convscope.jobs.channels.record_top_k`.
    top_maps
        Whether to write the activation maps of the top pictures.
    weights
        A file of weights, ``random``, or ``None`` for the network's own.
    limit
        How many pictures are looked at; ``None`` for all.
    device
        Where the network runs.
    input_shape
        Channels, height and width of an image; found by trial where it is ``None``.
    maps
        Of how many pictures the feature maps are written; ``None`` for as many as is sensible.
    labels
        A file that says which picture is of which class; ``None`` for the sub-folders.
    names
        A file with readable names of the classes, as ``synset_words.txt`` for ImageNet's.
    """

    layers: Sequence[str] | None = None
    k: int = 9
    rules: Sequence[str] = ("deconvnet",)
    proofs: int = 1
    score: str = "max"
    mode: str = "single"
    lrn: str = "constant"
    workers: int = 1
    top_maps: bool = True
    weights: str | None = None
    limit: int | None = None
    device: str = "cpu"
    input_shape: tuple[int, int, int] | None = None
    maps: int | None = None
    labels: str | None = None
    names: str | None = None

    @property
    def settings(self) -> Settings:
        """How channels are searched and projected back."""
        return Settings(tuple(self.rules), self.proofs, self.mode, self.lrn, self.score)


@dataclass(frozen=True)
class _Job:
    """What is to be done, once all of it is found to be there."""

    model: Model
    found: ImageSet
    images: ImageSet
    layers: list[str] | None
    convolutions: list[str]
    question: Question

    @property
    def maps(self) -> int:
        """Of how many pictures the feature maps are written."""
        return maps_count(self.model, self.layers or self.convolutions, self.question.maps, len(self.images))


def inspect_folder(
    network: str, folder: str | Path, out: Path, question: Question, bar: Callable[[str], Progress]
) -> list[str]:
    """Write the architecture, filters, feature maps, top pictures and projections of a network to a run.

    Everything that can be wrong with the input is found before the run is begun. Interrupted, the same call goes on
    after the last stage that was done, and inside the search where its last checkpoint is.

    Returns
    -------
    list[str]
        What there is to say.

    Raises
    ------
    NotFoundError, InputError
        If the network, a layer, the rule, the pictures or the device are not there, the pictures do not fit, or ``out``
        holds a run already.
    StorageError
        If the run cannot be written.
    """
    job = _opened(network, folder, question)
    about = {"network": network, "folder": str(Path(folder).resolve()), **asdict(question)}
    hashes = {"weights hash to": job.model.fingerprint, "pictures hash to": job.images.fingerprint}
    work = Work(out, {**about, **hashes})
    with ContinuedWriter(out) as writer:
        with work.stage("network") as todo:
            if todo:
                _record_network(job, writer)
        with work.stage("maps") as todo:
            if todo and job.maps:
                _record_maps(job, writer, bar("feature maps"))
        writer.written.clear()
        tops = _record_channels(job, writer, out, bar)
    work.done()
    return _report(job, tops)


def _opened(network: str, folder: str | Path, question: Question) -> _Job:
    """Open all that is asked for; what is wrong with it fails here, before anything is written, or not at all."""
    question.settings.check()
    model = open_model(network, question)
    named = dict.fromkeys(model.layer(name).name for name in question.layers or ())  # each once
    layers = list(named) or None
    found = image_set(folder, whole_input(model), labels=question.labels, label_names=question.names)
    images = FirstImages(found, question.limit or len(found))
    convolutions = [layer.name for layer in model.layers if layer.kind.startswith("Conv") and len(layer.shape) == 3]
    if not convolutions:
        raise InputError(f"{model.name} has no convolution; there are no feature maps to look at")
    model.activations(images.images(0, 1), convolutions[0])
    return _Job(model, found, images, layers, convolutions, question)


def _record_network(job: _Job, writer: SummaryWriter) -> None:
    writer.add(job.model.architecture(), job.model.name)
    record_filters(job.model, writer, [name for name in job.layers or job.convolutions if name in job.convolutions])


def _record_maps(job: _Job, writer: SummaryWriter, progress: Progress) -> None:
    model, images = job.model, job.images
    classes = list(images.label_names) if _says_classes(model, images) else None
    numbers = range(job.maps)
    record_maps(model, images, writer, layers=job.layers, numbers=numbers, classes=classes, progress=progress)
    few = range(min(VOLUMES, len(images)))
    record_volumes(model, images, writer, layer=job.convolutions[0], numbers=few)


def _record_channels(job: _Job, writer: SummaryWriter, out: Path, bar: Callable[[str], Progress]) -> dict[str, TopK]:
    """Write the top pictures, and once more the filters that are found to be silent over them."""
    question = job.question
    tops = record_top_k(
        job.model,
        job.images,
        writer,
        layers=job.layers,
        k=question.k,
        rules=question.rules,
        proofs=question.proofs,
        maps=question.top_maps,
        score=question.score,
        mode=question.mode,
        lrn=question.lrn,
        workers=question.workers,
        checkpoint=out / CHECKPOINT,
        finished=finished(out, "topk", "rules") | finished(out, "audit", "network"),
        bar=bar,
    )
    judged = finished(out, "filters", "activations")
    silent = [n for n in tops if n in job.convolutions and ("filters", n) not in judged and _never_or_always(tops[n])]
    record_filters(job.model, writer, silent, activations=tops)
    return tops


def _report(job: _Job, tops: Mapping[str, TopK]) -> list[str]:
    images = job.images
    channels = counted(sum(top.channels for top in tops.values()), "channel", "channels")
    pictures = counted(job.maps, "picture", "pictures")
    return [
        counted(len(images), "picture", "pictures") + in_classes(images),
        *([said] if (said := skipped_sentence(job.found)) else []),
        f"{counted(len(job.model.layers), 'layer', 'layers')}, feature maps of {pictures}",
        f"{channels} of {counted(len(tops), 'layer', 'layers')}, {', '.join(job.question.rules)}",
    ]


def in_classes(images: ImageSet) -> str:
    """Say of how many classes the images are: the first ones of a folder may be of a few only."""
    if not images.label_names:
        return ""
    here = 0 if images.labels is None else len(np.unique(images.labels[images.labels >= 0]))
    total = counted(len(images.label_names), "class", "classes")
    return f" in {total}" if here == len(images.label_names) else f" in {here} of {total}"


def maps_count(model: Model, layers: Sequence[str], wanted: int | None, images: int) -> int:
    """Return of how many pictures the feature maps of these layers are written."""
    if wanted is not None:
        return min(wanted, images)
    size = 4 * sum(prod(model.layer(name).maps) for name in layers)
    return max(1, min(MAPS, MAPS_BYTES // max(1, size), images))


def _says_classes(model: Model, images: ImageSet) -> bool:
    """Whether the network tells the classes of these pictures apart, so that their names are those of its outputs."""
    shape = model.layers[-1].shape
    return bool(images.label_names) and shape == (len(images.label_names),)


def _never_or_always(top: TopK) -> bool:
    """Whether a channel was never or always positive over the pictures: that is a matter of its filter's health."""
    return bool(((top.positive <= 0) | (top.positive >= 1)).any())


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "layer", "layers"), counted(2304, "picture", "pictures")
    ('1 layer', '2,304 pictures')
    """
    return f"{number:,} {one if number == 1 else many}"


def open_model(network: str, question: Question) -> Model:
    """Return the network that is asked about, with weights that were learned unless random ones are asked for."""
    entry = zoo.find(network)
    if entry is not None and entry.to_train and question.weights is None:
        raise InputError(f"there are no trained weights of {network!r} to fetch; give some with --weights FILE, or "
                         "--weights random to look at an untrained network")  # fmt: skip
    if entry is None and question.weights == zoo.RANDOM and Path(network).suffix.lower() in FILES:
        raise InputError(f"{network} brings its own weights and cannot be had with random ones; leave out --weights")
    weights = None if entry is None and question.weights == zoo.RANDOM else question.weights
    return Model(network, weights=weights, device=question.device, input_shape=question.input_shape)


def fitting(model: Model) -> Preprocessing:
    """Return a preprocessing for a network of unknown training: its input's size, pixels 0..1, ImageNet's mean and std.

    It is stored with what it produced, and can be replaced by the one the network was trained with.

    Raises
    ------
    InputError
        If the network takes neither grey nor colour pictures.
    """
    channels, height, width = model.input_shape
    if channels not in (1, 3):
        raise InputError(f"{model.name} takes images of {channels} channels; a folder has pictures of 1 or 3")
    if channels == 1:
        return Preprocessing(size=max(height, width), crop=(height, width), order="L")
    return replace(IMAGENET, size=max(height, width), crop=(height, width))


def whole_input(model: Model) -> Preprocessing:
    """Return how a picture of any size becomes the model's input: its own preprocessing, made to fit.

    Raises
    ------
    InputError
        If the network takes neither grey nor colour pictures.
    """
    how = model.preprocessing or fitting(model)
    size = model.input_shape[1:]
    return how if how.size is not None and how.crop == size else replace(how, size=max(size), crop=size)
