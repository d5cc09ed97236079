"""Look inside a network with the pictures of a folder: the job of ``convscope inspect``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from convscope.errors import InputError
from convscope.jobs.record import Progress, record_filters, record_top_k, record_volumes
from convscope.nets.data import IMAGENET, FirstImages, FolderImages, Preprocessing
from convscope.nets.rules import find_rule
from convscope.nets.torch import Model
from convscope.nets.zoo import RANDOM, ZOO
from convscope.recording import SummaryWriter
from convscope.store import Run

CHECKPOINT: Final = ".top_k.checkpoint"
MARK: Final = ".inspect.json"
"""In a run that is not finished: what it was begun with, so that the same command can go on."""
VOLUMES: Final = 4


@dataclass(frozen=True)
class Question:
    """What is asked of a network.

    Attributes
    ----------
    layers
        Names of layers; ``None`` for all convolutions.
    k
        Pictures per channel.
    rule
        How activations are projected back.
    weights
        A file of weights, ``random``, or ``None`` for the network's own.
    limit
        How many pictures are looked at; ``None`` for all.
    device
        Where the network runs.
    input_shape
        Channels, height and width of an image; found by trial where it is ``None``.
    """

    layers: Sequence[str] | None = None
    k: int = 9
    rule: str = "deconvnet"
    weights: str | None = None
    limit: int | None = None
    device: str = "cpu"
    input_shape: tuple[int, int, int] | None = None


def inspect_folder(
    network: str, folder: Path, out: Path, question: Question, bar: Callable[[str], Progress]
) -> list[str]:
    """Write filters, feature maps, top pictures and projections of a network to a run; return what there is to say.

    Everything that can be wrong with the input is found before the run is begun. Interrupted, the same call goes on.

    Raises
    ------
    NotFoundError, InputError
        If the network, a layer, the rule, the folder or the device is not there, the pictures do not fit, or ``out``
        holds a run already.
    StorageError
        If the run cannot be written.
    """
    find_rule(question.rule)
    model = open_model(network, question)
    layers = [model.layer(name).name for name in question.layers] if question.layers else None
    found = FolderImages(folder, model.preprocessing or fitting(model))
    images = FirstImages(found, question.limit or len(found))
    convolutions = [layer.name for layer in model.layers if layer.kind == "Conv2d"]
    if not convolutions:
        raise InputError(f"{model.name} has no convolution; there are no feature maps to look at")
    model.activations(images.images(0, 1), convolutions[0])  # fails here, before anything is written, or not at all
    _begin(out, {"network": network, "folder": str(folder.resolve()), **asdict(question)})
    with SummaryWriter(out) as writer:
        record_filters(model, writer, convolutions)
        record_volumes(model, images, writer, layer=convolutions[0], numbers=range(min(VOLUMES, len(images))))
        tops = record_top_k(
            model,
            images,
            writer,
            layers=layers,
            k=question.k,
            rule=question.rule,
            checkpoint=out / CHECKPOINT,
            progress=bar("searching"),
            project_progress=bar("projecting back to pixels"),
        )
    for left in (CHECKPOINT, MARK):
        (out / left).unlink(missing_ok=True)
    classes = f" in {_counted(len(images.label_names), 'class', 'classes')}" if images.label_names else ""
    channels = _counted(sum(top.channels for top in tops.values()), "channel", "channels")
    return [
        _counted(len(images), "picture", "pictures") + classes,
        *(f"skipped {path}: {reason}" for path, reason in found.skipped.items()),
        f"{channels} of {_counted(len(tops), 'layer', 'layers')}, {question.rule}",
    ]


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def open_model(network: str, question: Question) -> Model:
    """Return the network that is asked about, with weights that were learned unless random ones are asked for."""
    entry = ZOO.get(network)
    if entry is not None and not entry.weights and question.weights is None:
        raise InputError(f"there are no trained weights of {network!r} to fetch; give some with --weights FILE, or "
                         "--weights random to look at an untrained network")  # fmt: skip
    weights = None if entry is None and question.weights == RANDOM else question.weights
    return Model(network, weights=weights, device=question.device, input_shape=question.input_shape)


def _begin(out: Path, about: dict[str, object]) -> None:
    """Begin a run, or go on with one that this very call has left unfinished; another one is left alone."""
    text = json.dumps(about, indent=1)
    mark = out / MARK
    if mark.is_file() and mark.read_text() == text:
        return
    if out.is_dir() and (mark.exists() or Run(out).tags()):
        raise InputError(f"{out} already holds a run; remove it or choose another folder with -o")
    with SummaryWriter(out):  # says what is wrong with the folder, if anything is
        pass
    mark.write_text(text)


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
