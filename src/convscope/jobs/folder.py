"""Look inside a network with pictures: the job of ``convscope inspect``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError
from convscope.inspect.topk import TopK
from convscope.jobs.maps import record_maps
from convscope.jobs.record import Progress, record_filters, record_top_k, record_volumes
from convscope.nets import zoo
from convscope.nets.data import IMAGENET, FirstImages, ImageSet, Preprocessing
from convscope.nets.find import FILES
from convscope.nets.images import image_set, skipped_sentence
from convscope.nets.rules import find_rule
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter
from convscope.recording.base import tag_of
from convscope.store import Run
from convscope.summary import Summarizable, Summary

CHECKPOINT: Final = ".top_k.checkpoint"
MARK: Final = ".inspect.json"
"""In a run that is not finished: what it was begun with, so that the same command can go on."""
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
    maps
        Of how many pictures the feature maps are written; ``None`` for as many as is sensible.
    labels
        A file that says which picture is of which class; ``None`` for the sub-folders.
    names
        A file with readable names of the classes, as ``synset_words.txt`` for ImageNet's.
    """

    layers: Sequence[str] | None = None
    k: int = 9
    rule: str = "deconvnet"
    weights: str | None = None
    limit: int | None = None
    device: str = "cpu"
    input_shape: tuple[int, int, int] | None = None
    maps: int | None = None
    labels: str | None = None
    names: str | None = None


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
    find_rule(question.rule)
    model = open_model(network, question)
    layers = [model.layer(name).name for name in question.layers] if question.layers else None
    found = image_set(folder, whole_input(model), labels=question.labels, label_names=question.names)
    images = FirstImages(found, question.limit or len(found))
    convolutions = [layer.name for layer in model.layers if layer.kind.startswith("Conv") and len(layer.shape) == 3]
    if not convolutions:
        raise InputError(f"{model.name} has no convolution; there are no feature maps to look at")
    model.activations(images.images(0, 1), convolutions[0])  # fails here, before anything is written, or not at all
    about = {"network": network, "folder": str(Path(folder).resolve()), **asdict(question)}
    work = _Work(out, {**about, "weights hash to": model.fingerprint, "pictures hash to": images.fingerprint})
    count = maps_count(model, layers or convolutions, question.maps, len(images))
    with _Continued(out) as writer:
        with work.stage("network") as todo:
            if todo:
                writer.add(model.architecture(), model.name)
                record_filters(model, writer, [name for name in layers or convolutions if name in convolutions])
        with work.stage("maps") as todo:
            if todo and count:
                named = list(images.label_names) if _says_classes(model, images) else None
                record_maps(
                    model,
                    images,
                    writer,
                    layers=layers,
                    numbers=range(count),
                    classes=named,
                    progress=bar("feature maps"),
                )
                numbers = range(min(VOLUMES, len(images)))
                record_volumes(model, images, writer, layer=convolutions[0], numbers=numbers)
        writer.written.clear()
        tops = record_top_k(
            model,
            images,
            writer,
            layers=layers,
            k=question.k,
            rule=question.rule,
            checkpoint=out / CHECKPOINT,
            finished=_finished(out, "topk", "rule"),
            progress=bar("searching"),
            project_progress=bar("projecting back to pixels"),
        )
        judged = _finished(out, "filters", "activations")
        silent = [n for n in tops if n in convolutions and n not in judged and _never_or_always(tops[n])]
        record_filters(model, writer, silent, activations=tops)
    work.done()
    classes = f" in {_counted(len(images.label_names), 'class', 'classes')}" if images.label_names else ""
    channels = _counted(sum(top.channels for top in tops.values()), "channel", "channels")
    return [
        _counted(len(images), "picture", "pictures") + classes,
        *([said] if (said := skipped_sentence(found)) else []),
        f"{_counted(len(model.layers), 'layer', 'layers')}, feature maps of {_counted(count, 'picture', 'pictures')}",
        f"{channels} of {_counted(len(tops), 'layer', 'layers')}, {question.rule}",
    ]


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


def _counted(number: int, one: str, many: str) -> str:
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


class _Work:
    """A run that is being written: what it was begun with, and which stages are done, so that a second call can go on.

    A run that another call has begun, or that is finished, is left alone.
    """

    def __init__(self, out: Path, about: dict[str, object]) -> None:
        self._mark = out / MARK
        self._about = json.loads(json.dumps(about))
        self._done: list[str] = []
        if (found := self._read()) is not None and found.get("about") == self._about:
            self._done = list(found["done"])
            return
        if out.is_dir() and (self._mark.exists() or Run(out).tags()):
            begun = " that was begun with other settings, weights or pictures" if found else ""
            raise InputError(f"{out} already holds a run{begun}; remove it or choose another folder with -o")
        with SummaryWriter(out):  # says what is wrong with the folder, if anything is
            pass
        self._write()

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._mark.read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("done"), list) else None

    def _write(self) -> None:
        draft = self._mark.with_name(f"{MARK}.new")
        try:
            draft.write_text(json.dumps({"about": self._about, "done": self._done}, indent=1))
            draft.replace(self._mark)
        except OSError as error:
            raise StorageError(f"cannot write to {draft.parent} ({error}); make room or use another -o") from error

    @contextmanager
    def stage(self, name: str) -> Iterator[bool]:
        """Say whether a stage is still to be done, and note that it is once the block ends well."""
        todo = name not in self._done
        yield todo
        if todo:
            self._done.append(name)
            self._write()

    def done(self) -> None:
        """Leave nothing behind but the run."""
        for left in (CHECKPOINT, MARK):
            (self._mark.parent / left).unlink(missing_ok=True)


class _Continued(SummaryWriter):
    """A writer that leaves out what an interrupted call has written already, so that nothing is there twice."""

    def __init__(self, out: Path) -> None:
        self.written = {(entry.kind, entry.tag) for entry in Run(out).entries()}
        super().__init__(out)

    def add(self, result: Summary | Summarizable, tag: str | None = None, global_step: int | None = None) -> str:
        """Log a result unless one of its kind and tag is in :attr:`written`; returns the id of the record."""
        summary = self._summary(result, tag, global_step)
        return "" if (summary.kind, tag_of(summary.tag)) in self.written else super().add(summary)


def _finished(out: Path, kind: str, note: str) -> set[str]:
    """Return the layers whose newest record of a kind notes something, as an interrupted call has left them."""
    run = Run(out)
    newest = {entry.tag: entry for entry in run.entries(kind)}
    metas: Mapping[str, Any] = {tag: run.record(entry).meta for tag, entry in newest.items()}
    return {str(meta["layer"]) for meta in metas.values() if note in meta}


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
