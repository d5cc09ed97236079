"""Embed pictures by layers of a network and project what comes out: the job of ``convscope embed``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.util import find_spec
from inspect import signature
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.embed import Embedding, umap
from convscope.embed.methods import PROJECTIONS
from convscope.embed.tsne import FEWEST, Settings
from convscope.embed.vectors import METRICS
from convscope.errors import InputError, MissingExtraError, not_found
from convscope.jobs.folder import Question, counted, in_classes, open_model, whole_input
from convscope.jobs.projections import SEPARATOR, projection_name, record_projection
from convscope.jobs.record import Progress
from convscope.jobs.resume import Work
from convscope.nets.data import FirstImages, ImageSet
from convscope.nets.datasets.known import join
from convscope.nets.embedding import check_asked
from convscope.nets.images import image_set, skipped_sentence
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter
from convscope.store import Run

MARK: Final = ".embed.json"
VECTORS: Final = ".embed"
"""In a run that is not finished: the vectors as far as they are computed."""
METHODS: Final = tuple(name for name in PROJECTIONS if name != "axes")
PENULTIMATE: Final = "penultimate"
LOGITS: Final = "logits"
PROJECTOR: Final = 100_000
"""Of more points TensorBoard's projector is not written: no browser could show it."""
_FEWEST: Final = {"tsne": FEWEST, "umap": umap.FEWEST}
_PASSING: Final = ("Flatten", "Reshape", "Squeeze", "Identity", "Dropout", "Dropout2d", "AlphaDropout")
_SQUASHING: Final = ("Softmax", "LogSoftmax", "Softmax2d", "Sigmoid")


@dataclass(frozen=True)
class Asked:
    """Which embeddings are wanted.

    Attributes
    ----------
    question
        The network's weights, device and input shape, the layers, and which pictures: see
        :class:`convscope.jobs.folder.Question`. Layers may be called ``penultimate`` and ``logits``.
    projections
        Names of methods: ``pca``, ``tsne``, ``umap``.
    parameters
        Of the methods; each is given to those that take it.
    pooling, normalise, thumbnails, batch_size
        As for :meth:`convscope.nets.torch.Model.embed`.
    metadata
        A table with a row for each picture, joined by file name.
    projector
        Whether the files of TensorBoard's projector are written too.
    step
        The training step the network is at.
    """

    question: Question = field(default_factory=Question)
    projections: tuple[str, ...] = ("pca", "tsne")
    parameters: Mapping[str, Any] = field(default_factory=dict)
    pooling: str = "mean"
    normalise: bool = False
    thumbnails: int = 48
    batch_size: int | None = None
    metadata: str | None = None
    projector: bool = True
    step: int = 0


class Made(NamedTuple):
    """A projection that was made.

    Attributes
    ----------
    layer, points, numbers
        Of what, of how many points, and how many numbers a vector has.
    method
        How.
    meta
        What its record says.
    """

    layer: str
    points: int
    numbers: int
    method: str
    meta: Mapping[str, Any]


class Report(NamedTuple):
    """What there is to say: sentences, and what was made."""

    said: list[str]
    made: list[Made]


@dataclass(frozen=True)
class _Job:
    model: Model
    images: ImageSet
    layers: tuple[str, ...]
    columns: Mapping[str, Any]
    said: list[str]
    asked: Asked


def embed_run(network: str, folder: Any, out: Path, asked: Asked, bar: Callable[[str, str], Progress]) -> Report:
    """Write the embeddings of pictures by layers, and their projections, to a run: a new one or one that is there.

    What can be wrong with the input is found before anything is written. Interrupted, the same call goes on.

    Parameters
    ----------
    network
        A network's name, as for ``convscope inspect``.
    folder
        A path of pictures, or a list of pictures' paths.
    out
        The run.
    asked
        Which embeddings.
    bar
        From a label and what is counted to who is told (done, total).

    Raises
    ------
    NotFoundError, InputError
        If the network, a layer, a method, the table or the pictures are not there, or the run has such embeddings.
    StorageError
        If the run cannot be written.
    """
    _check(asked)
    job = _opened(network, folder, asked)
    _refuse_few(len(job.images), asked.projections)
    begun = (out / MARK).exists()
    if not begun:
        _refuse_taken(out, job.layers, asked.step)
    about = {"network": network, "folder": str(folder), "layers": job.layers, **_about(asked)}
    hashes = {"weights hash to": job.model.fingerprint, "pictures hash to": job.images.fingerprint}
    work = Work(out, {**about, **hashes}, MARK, adding=())
    _embed(job, out, work, bar)
    shutil.rmtree(out / VECTORS, ignore_errors=True)
    work.done(MARK)
    return Report(job.said, _made(out, job))


def _about(asked: Asked) -> dict[str, Any]:
    return {name: value for name, value in asdict(asked).items() if name not in ("batch_size", "projector")}


def _check(asked: Asked) -> None:
    check_asked((PENULTIMATE,), asked.pooling, asked.thumbnails, {"batch_size": asked.batch_size})
    if wrong := [name for name in asked.projections if name not in METHODS]:
        raise not_found("projection", wrong[0], METHODS)
    if "umap" in asked.projections and find_spec("umap") is None:
        raise MissingExtraError("UMAP needs the package umap-learn, which is not installed; pip install umap-learn")
    for name in asked.parameters:
        if not any(_takes(method, name) for method in asked.projections):
            having = [method for method in METHODS if _takes(method, name)]
            raise InputError(f"{name} is of {' and '.join(having)}; add it to --project, or leave --{name} out")
    if (metric := asked.parameters.get("metric", METRICS[0])) not in METRICS:
        raise not_found("metric", metric, METRICS)
    Settings(**{name: value for name, value in asked.parameters.items() if name in _settings()})


def _takes(method: str, parameter: str) -> bool:
    settings = _settings() if method == "tsne" else set()
    return parameter in settings or parameter in signature(PROJECTIONS[method]).parameters


def _settings() -> set[str]:
    return {one.name for one in fields(Settings)}


def _name(asked: Asked, method: str) -> str:
    return projection_name(method, asked.parameters.get("dimensions", 2))


def _opened(network: str, folder: Any, asked: Asked) -> _Job:
    question = asked.question
    model = open_model(network, question)
    layers = tuple(dict.fromkeys(layer_of(model, name) for name in question.layers or (PENULTIMATE,)))
    found = image_set(folder, whole_input(model), labels=question.labels, label_names=question.names)
    images = FirstImages(found, question.limit or len(found))
    said = [counted(len(images), "picture", "pictures") + in_classes(images)]
    if skipped := skipped_sentence(found):
        said.append(skipped)
    columns: Mapping[str, Any] = {}
    if asked.metadata:
        joined = join(asked.metadata, images)
        columns = joined.columns
        said += [sentence] if (sentence := joined.sentence(Path(asked.metadata))) else []
    model.activations(images.images(0, 1), list(layers))
    return _Job(model, images, layers, columns, said, asked)


def layer_of(model: Model, name: str) -> str:
    """Return the name of a layer; ``penultimate`` and ``logits`` are such layers, unless some are called so.

    The logits are the network's output before a softmax, the penultimate layer is what the last layer with weights is
    given, before any dropout or flattening. A network without a classifier, whose output is maps, has only these.
    """
    if name not in (PENULTIMATE, LOGITS) or any(layer.name == name for layer in model.layers):
        return model.layer(name).name
    by_name = {layer.name: layer for layer in model.layers}
    layer = model.layers[-1]
    if name == LOGITS:
        while layer.kind in _SQUASHING and layer.inputs and layer.inputs[0] in by_name:
            layer = by_name[layer.inputs[0]]
        return layer.name
    if prod(layer.shape[1:]) > 1:
        return layer.name
    weighted = [layer for layer in model.layers if layer.kind == "Linear" or layer.kind.startswith("Conv")]
    if not weighted or not weighted[-1].inputs or weighted[-1].inputs[0] not in by_name:
        raise InputError(f"{model.name} has no penultimate layer that could be told; name a layer")
    layer = by_name[weighted[-1].inputs[0]]
    while layer.kind in _PASSING and layer.inputs and layer.inputs[0] in by_name:
        layer = by_name[layer.inputs[0]]
    return layer.name


def _refuse_few(count: int, projections: tuple[str, ...]) -> None:
    for name, fewest in _FEWEST.items():
        if name in projections and count < fewest:
            pictures = counted(count, "picture", "pictures")
            raise InputError(f"{name} needs at least {fewest} pictures, got {pictures}; --project pca takes fewer")


def _refuse_taken(out: Path, layers: tuple[str, ...], step: int) -> None:
    if not out.is_dir():
        return
    there = {(entry.tag, entry.step) for entry in Run(out).entries("embedding")}
    if taken := [layer for layer in layers if (layer, step) in there]:
        raise InputError(
            f"{out} already holds an embedding of {taken[0]} at step {step}; choose another folder with -o, or --step"
        )


def _embed(job: _Job, out: Path, work: Work, bar: Callable[[str, str], Progress]) -> None:
    asked = job.asked
    embeddings: dict[str, Embedding] = job.model.embed(
        job.images,
        job.layers,
        columns=job.columns,
        pooling=asked.pooling,
        normalise=asked.normalise,
        thumbnails=asked.thumbnails,
        batch_size=asked.batch_size,
        resume=out / VECTORS,
        progress=bar("vectors", "images"),
    )
    with SummaryWriter(out) as writer:
        identities = {layer: _recorded(writer, out, one, asked.step) for layer, one in embeddings.items()}
        for layer, embedding in embeddings.items():
            for method in asked.projections:
                with work.stage(f"{layer}{SEPARATOR}{method}") as todo:
                    if todo:
                        told = bar(f"{layer} {method}", "iterations")
                        _project(embedding, identities[layer], writer, method, asked, told)
            with work.stage(f"{layer}: projector") as todo:
                if todo and asked.projector and len(embedding) <= PROJECTOR:
                    writer.add_embedding(embedding, tag=layer, global_step=asked.step)


def _recorded(writer: SummaryWriter, out: Path, embedding: Embedding, step: int) -> str:
    """Write an embedding unless an interrupted call has done so, and return its record's id."""
    there = [entry.id for entry in Run(out).entries("embedding", embedding.layer) if entry.step == step]
    identity = there[-1] if there else writer.add(embedding, embedding.layer, step)
    writer.flush()
    return identity


def _project(
    embedding: Embedding, identity: str, writer: SummaryWriter, method: str, asked: Asked, progress: Progress
) -> None:
    given = {name: value for name, value in asked.parameters.items() if _takes(method, name)}
    record_projection(embedding, identity, writer, embedding.layer, method, step=asked.step, progress=progress, **given)


def _made(out: Path, job: _Job) -> list[Made]:
    run, step = Run(out), job.asked.step
    found = []
    for layer in job.layers:
        about = run.record(_last(run, "embedding", layer, step)).meta
        for method in job.asked.projections:
            tag = f"{layer}{SEPARATOR}{_name(job.asked, method)}"
            meta = run.record(_last(run, "projection", tag, step)).meta
            found.append(Made(layer, int(about["count"]), int(about["dim"]), method, meta))
    return found


def _last(run: Run, kind: str, tag: str, step: int) -> Any:
    return [entry for entry in run.entries(kind, tag) if entry.step == step][-1]
