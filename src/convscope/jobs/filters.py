"""Write what is measured of a layer's filters: the jobs of ``convscope importance`` and ``convscope ablate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from convscope.errors import InputError
from convscope.inspect.ablation import Ablation
from convscope.inspect.gradients import WeightGradients
from convscope.inspect.importance import MEASURES, Importance
from convscope.jobs.folder import Question, open_model, whole_input
from convscope.jobs.record import Progress
from convscope.jobs.resume import ContinuedWriter, Work
from convscope.nets.data import FirstImages, ImageSet
from convscope.nets.images import image_set, skipped_sentence
from convscope.nets.importance import check_measures
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter

MEANS: Final = "means"
"""Behind a layer's name in the tag of gradients that are means over the images of a class."""
IMPORTANCE, ABLATE = "importance", "ablate"


def record_weight_gradients(
    model: Model,
    images: Any,
    writer: SummaryWriter,
    *,
    layer: str,
    classes: str | int | Sequence[int] | None = None,
    mean: bool = False,
    step: int = 0,
    **options: Any,
) -> WeightGradients:
    """Write the gradients of a layer's weights for some pictures, with the pictures; one record.

    Parameters
    ----------
    model, images, writer
        The network, its pictures, and where the record goes.
    layer, classes, mean, **options
        As in :meth:`convscope.nets.torch.Model.weight_gradients`. Means over a class are tagged ``LAYER/means``.
    step
        The training step the network is at.
    """
    found = model.weight_gradients(images, layer, classes, mean=mean, **options)
    writer.add(found, f"{layer}/{MEANS}" if mean else layer, step)
    return found


def record_importance(
    model: Model, images: Any, writer: SummaryWriter, *, layer: str, step: int = 0, **options: Any
) -> Importance:
    """Write how much each filter of a layer matters to each class; one record.

    Parameters
    ----------
    model, images, writer
        The network, its pictures, and where the record goes.
    layer, **options
        As in :meth:`convscope.nets.torch.Model.importance`.
    step
        The training step the network is at.
    """
    found = model.importance(images, layer, **options)
    writer.add(found, layer, step)
    return found


def record_ablation(
    model: Model, images: Any, writer: SummaryWriter, *, layer: str, step: int = 0, **options: Any
) -> Ablation:
    """Write what a network still knows without filters of a layer; one record.

    Parameters
    ----------
    model, images, writer
        The network, its labelled pictures, and where the record goes.
    layer, **options
        As in :meth:`convscope.nets.torch.Model.ablation`.
    step
        The training step the network is at.
    """
    found = model.ablation(images, layer, **options)
    writer.add(found, layer, step)
    return found


@dataclass(frozen=True)
class Measurement:
    """What is asked about filters.

    Attributes
    ----------
    classes
        Numbers of the network's classes; ``None`` for those of the pictures.
    targets
        For each class of the pictures the network's output it is; ``None`` where they are the same.
    measures
        Of importance.
    pictures
        Of how many pictures the weight gradients are written, each by itself.
    points, single, random, seed, measure
        Of an ablation: see :meth:`convscope.nets.torch.Model.ablation`; ``measure`` is what orders the filters.
    """

    classes: tuple[int, ...] | None = None
    targets: tuple[int, ...] | None = None
    measures: tuple[str, ...] = MEASURES
    pictures: int = 8
    points: int = 65
    single: bool = True
    random: int = 1
    seed: int = 0
    measure: str = "taylor"


@dataclass(frozen=True)
class _Opened:
    model: Model
    found: ImageSet
    images: ImageSet
    layers: tuple[str, ...]

    def about(self, network: str, folder: str | Path, question: Question, asked: Measurement) -> dict[str, Any]:
        """Return what determines the result."""
        given = {"network": network, "folder": str(Path(folder).resolve()), **asdict(question), **asdict(asked)}
        return given | {"weights hash to": self.model.fingerprint, "pictures hash to": self.images.fingerprint}

    def said(self) -> list[str]:
        """Return what there is to say of the pictures."""
        skipped = skipped_sentence(self.found)
        return [f"{len(self.images):,} pictures", *([skipped] if skipped else [])]


def importance_of_folder(
    network: str,
    folder: str | Path,
    out: Path,
    question: Question,
    asked: Measurement,
    bar: Callable[[str], Progress],
) -> list[str]:
    """Write the importance of filters, and the gradients of their weights, over a folder of pictures.

    The run may be there, as long as it holds neither of these layers. Interrupted, the same call goes on.

    Returns
    -------
    list[str]
        What there is to say.
    """
    job = _opened(network, folder, question)
    _check(job, asked, labelled=False)
    adding = [("importance", layer) for layer in job.layers]
    adding += [("weight_gradients", tag) for layer in job.layers for tag in (layer, f"{layer}/{MEANS}")]
    work = Work(out, job.about(network, folder, question, asked), f".{IMPORTANCE}.json", adding)
    said = []
    with ContinuedWriter(out) as writer:
        for number, layer in enumerate(job.layers):
            with work.stage(layer) as todo:
                if not todo:
                    continue
                progress = bar(f"importance of {layer}")
                checkpoint = out / f".{IMPORTANCE}.{number}.checkpoint"
                found = record_importance(
                    job.model,
                    job.images,
                    writer,
                    layer=layer,
                    classes=asked.classes,
                    measures=asked.measures,
                    checkpoint=checkpoint,
                    progress=progress,
                    targets=asked.targets,
                )
                _gradients(job, writer, layer, asked)
                writer.flush()
                said.append(_importance_sentence(found))
                checkpoint.unlink(missing_ok=True)
    work.done(f".{IMPORTANCE}.*checkpoint")
    return [*job.said(), *said]


def _gradients(job: _Opened, writer: SummaryWriter, layer: str, asked: Measurement) -> None:
    """Write the mean gradients of each class, and those of some pictures, by their own class if that is known."""
    labels = job.images.labels
    classes: Any = None if asked.classes is None else list(asked.classes)
    own = "label" if labels is not None and (np.asarray(labels) >= 0).all() else "predicted"
    chosen: dict[str, Any] = {"classes": own if classes is None else classes, "targets": asked.targets, "layer": layer}
    record_weight_gradients(job.model, job.images, writer, mean=True, **chosen)
    if asked.pictures:
        few = FirstImages(job.images, asked.pictures)
        record_weight_gradients(job.model, few, writer, **chosen)


def _importance_sentence(found: Importance) -> str:
    measure = found.measures[-1]
    most = found.order(measure, first="most")[:3]
    filters = ", ".join(map(str, most))
    return f"{found.layer}: by {measure} filters {filters} matter most of {found.importance.shape[2]}"


def ablate_folder(
    network: str,
    folder: str | Path,
    out: Path,
    question: Question,
    asked: Measurement,
    bar: Callable[[str], Progress],
) -> list[str]:
    """Write what a network still knows without filters of some layers, over a folder of labelled pictures.

    The run may be there, as long as it holds no ablation of these layers. Interrupted, the same call goes on: inside a
    layer after the last batch whose counts were saved.

    Returns
    -------
    list[str]
        What there is to say.

    Raises
    ------
    InputError
        If the pictures have no labels.
    """
    job = _opened(network, folder, question)
    _check(job, asked, labelled=True)
    work = Work(
        out,
        job.about(network, folder, question, asked),
        f".{ABLATE}.json",
        [("ablation", layer) for layer in job.layers],
    )
    said = []
    with ContinuedWriter(out) as writer:
        for number, layer in enumerate(job.layers):
            with work.stage(layer) as todo:
                if todo:
                    said.append(_ablate(job, writer, out / f".{ABLATE}.{number}", layer, asked, bar))
    work.done(f".{ABLATE}.*checkpoint")
    return [*job.said(), *said]


def _ablate(
    job: _Opened, writer: SummaryWriter, begun: Path, layer: str, asked: Measurement, bar: Callable[[str], Progress]
) -> str:
    first, second = Path(f"{begun}.order.checkpoint"), Path(f"{begun}.checkpoint")
    order = job.model.importance(
        job.images,
        layer,
        measures=(asked.measure,),
        targets=asked.targets,
        checkpoint=first,
        progress=bar(f"order of {layer}"),
    )
    found = record_ablation(
        job.model,
        job.images,
        writer,
        layer=layer,
        importance=order,
        points=asked.points,
        single=asked.single,
        random=asked.random,
        seed=asked.seed,
        targets=asked.targets,
        checkpoint=second,
        progress=bar(f"ablation of {layer}"),
    )
    writer.flush()
    for left in (first, second):
        left.unlink(missing_ok=True)
    return f"{layer}: accuracy {found.baseline:.3f} with all {found.order.shape[1]} filters, {_half(found)}"


def _half(found: Ablation) -> str:
    """Say what is left where about half of the filters are zero."""
    point = int(np.abs(found.removed - found.order.shape[1] / 2).argmin())
    each = [f"{found.accuracy[row, point]:.3f} {curve.name}" for row, curve in enumerate(found.curves)]
    return f"without {found.removed[point]}: {', '.join(each)}"


def _opened(network: str, folder: str | Path, question: Question) -> _Opened:
    """Open all that is asked for; what is wrong with it fails here, before anything is written."""
    model = open_model(network, question)
    layers = tuple(dict.fromkeys(model.layer(name).name for name in question.layers or ()))
    if not layers:
        raise InputError(f"no layer was named; say which with --layer: {', '.join(_filtered(model)[:8])}")
    for layer in layers:
        model.filters(layer)
    found = image_set(folder, whole_input(model), labels=question.labels, label_names=question.names)
    return _Opened(model, found, FirstImages(found, question.limit or len(found)), layers)


def _filtered(model: Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.kind.startswith(("Conv", "Linear"))]


def _check(job: _Opened, asked: Measurement, *, labelled: bool) -> None:
    """Say before anything is written what does not fit: labels, targets, classes, measures."""
    known = job.model.targets(job.images, asked.targets)
    if labelled:
        known.needed(job.images)
    known.check(asked.classes or ())
    check_measures(asked.measures)
    check_measures(asked.measure)
