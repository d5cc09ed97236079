"""Compute something and write it: networks and images come in, summaries go to a :class:`SummaryWriter`."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed import Projection
from convscope.inspect.attribution import Projections, signed_pictures
from convscope.inspect.filters import Filters, examine_filters
from convscope.inspect.health import Thresholds
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.topk import TopK, patches
from convscope.inspect.volume import Volume
from convscope.nets.data import ImageSet
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter
from convscope.summary import Summary

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

PUBLISH_SECONDS: Final = 3.0
FRAME_EVERY: Final = 10
CHANNELS_AT_ONCE: Final = 64


def record_filters(
    model: Model,
    writer: SummaryWriter,
    layers: Sequence[str],
    *,
    step: int = 0,
    thresholds: Thresholds | None = None,
    activations: Mapping[str, TopK] | None = None,
) -> dict[str, Filters]:
    """Write the filters of convolution layers and what is wrong with them, one record a layer.

    Parameters
    ----------
    model, writer
        The network, and where to write.
    layers
        Names of its convolutions.
    step
        The training step the network is at.
    thresholds
        From where on a filter is flagged; ``Thresholds()`` by default.
    activations
        What the layers' channels did over a data set, as :func:`record_top_k` returns it; filters of these layers are
        judged by that as well.
    """
    found = {}
    for name in layers:
        found[name] = layer_filters(model, name, thresholds, (activations or {}).get(name))
        writer.add(found[name], name, step)
    return found


def layer_filters(model: Model, name: str, thresholds: Thresholds | None = None, top: TopK | None = None) -> Filters:
    """Return the filters of a convolution and what is wrong with them; see :func:`record_filters`."""
    layer = model.layer(name)
    filters = examine_filters(
        model.filters(name),
        layer=name,
        network=model.name,
        thresholds=thresholds,
        activations=top,
        nonlinearity=model.layer(layer.nonlinearity).kind if layer.nonlinearity else "",
        groups=int(layer.options.get("groups", 1)),
    )
    about: dict[str, Any] = {"order": "RGB" if model.preprocessing is None else model.preprocessing.order}
    if model.preprocessing is not None:
        about["preprocessing"] = model.preprocessing.to_json()
    if top is not None:
        about["activations"] = {"dataset": top.dataset, "images": top.images_seen}
    return replace(filters, about=about)


def record_top_k(  # noqa: PLR0913 - all but three are optional
    model: Model,
    images: ImageSet,
    writer: SummaryWriter,
    *,
    layers: Sequence[str] | None = None,
    k: int = 9,
    rule: str = "deconvnet",
    step: int = 0,
    checkpoint: Path | None = None,
    finished: Container[str] = (),
    progress: Progress | None = None,
    project_progress: Progress | None = None,
) -> dict[str, TopK]:
    """Search the strongest pictures of every channel and project them back; the pages fill up while it searches.

    The state of the search is published at most every three seconds, without projections; the final records carry them.
    Layers that are ``finished`` have theirs from an earlier call that was interrupted, and are not written again.
    """
    published = [time.monotonic()]

    def rest(found: Mapping[str, TopK]) -> list[TopK]:
        return [top for name, top in found.items() if name not in finished]

    def publish(found: Mapping[str, TopK]) -> None:
        if time.monotonic() - published[0] >= PUBLISH_SECONDS:
            for top in rest(found):
                writer.add(channel_summary(top, images, step=step))
            writer.flush()
            published[0] = time.monotonic()

    found = model.top_k(images, layers=layers, k=k, checkpoint=checkpoint, progress=progress, publish=publish)
    total = sum(top.value.size for top in rest(found))
    done = 0
    for top in rest(found):
        report = None if project_progress is None else _shifted(project_progress, done, total)
        writer.add(channel_summary(top, images, project_back(model, top, images, rule, report), step=step))
        writer.flush()
        done += top.value.size
    return found


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def channel_summary(top: TopK, images: ImageSet, projected: Projected | None = None, *, step: int = 0) -> Summary:
    """Make the summary of one layer's channels: the patches, and their projections where they are computed."""
    size = tile_size(top.tile_size)
    display = lru_cache(maxsize=512)(images.display)
    meta: dict[str, Any] = {
        "label_names": list(images.label_names),
        "preprocessing": images.preprocessing.to_json(),
        "whole_image": top.shows_whole_image,
    }
    summary = top.to_summary(
        step=step,
        patches=np.concatenate([shrink(patches(part, display), size) for part in _parts(top)]),
        projections=None if projected is None else projected.pictures,
        labels=images.labels,
        projection_scale=None if projected is None else projected.scale,
        meta={**meta, **({} if projected is None else projected.meta)},
    )
    if projected is None:
        return summary
    return replace(summary, arrays={**summary.arrays, "recomputed": projected.recomputed})


@dataclass(frozen=True)
class Projected:
    """The projections of a layer, ready for a record: small pictures, their scales, and what qualifies them."""

    pictures: npt.NDArray[np.uint8]
    scale: npt.NDArray[np.float32]
    recomputed: npt.NDArray[np.float32]
    meta: Mapping[str, Any]


def project_back(model: Model, top: TopK, images: ImageSet, rule: str, progress: Progress | None = None) -> Projected:
    """Project every channel's top images back, some channels at a time, so that memory does not grow with the layer."""
    size = tile_size(top.tile_size)
    found: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], Projections]] = []
    for start in range(0, top.channels, CHANNELS_AT_ONCE):
        channels = range(start, min(start + CHANNELS_AT_ONCE, top.channels))
        projections = model.attribute(top, images, rule=rule, channels=channels)
        small = shrink(projections.values, size)  # first: contrast is of what is shown
        pictures, scale = signed_pictures(small[..., ::-1] if images.preprocessing.order == "BGR" else small)
        found.append((pictures, scale, replace(projections, values=projections.values[:0])))
        if progress:
            progress(channels.stop * top.k, top.channels * top.k)
    report = found[0][2].report
    return Projected(
        pictures=np.concatenate([part[0] for part in found]),
        scale=np.concatenate([part[1] for part in found]),
        recomputed=np.concatenate([part[2].recomputed for part in found]),
        meta={
            "rule": rule,
            "rule_report": report.sentence(),
            "mismatches": sum(part[2].mismatches for part in found),
        },
    )


def _parts(top: TopK) -> Iterator[TopK]:
    """Yield a layer's channels, some at a time."""
    for start in range(0, top.channels, CHANNELS_AT_ONCE):
        rows = slice(start, start + CHANNELS_AT_ONCE)
        yield replace(top, value=top.value[rows], image=top.image[rows], position=top.position[rows])


def record_embedding(
    model: Model,
    images: ImageSet,
    writer: SummaryWriter,
    *,
    layer: str,
    count: int | None = None,
    seed: int = 0,
    iterations: int = 750,
    columns: Mapping[str, Sequence[Any]] | None = None,
    progress: Progress | None = None,
) -> Projection:
    """Embed the first ``count`` pictures by a layer, write PCA at once and t-SNE while it converges."""
    embedding = model.embed(images, layer, count=count, columns=columns)
    identity = writer.add(embedding, layer)
    writer.add(replace(embedding.project("pca"), embedding=identity), f"{layer}/pca")
    writer.flush()

    def frame(projection: Projection) -> None:
        writer.add(replace(projection, embedding=identity), f"{layer}/tsne", projection.iteration)
        if progress:
            progress(projection.iteration, iterations)

    final = embedding.project("tsne", seed=seed, iterations=iterations, callback=frame, every=FRAME_EVERY)
    writer.add(replace(final, embedding=identity), f"{layer}/tsne", final.iteration)
    writer.flush()
    if progress:
        progress(iterations, iterations)
    return final


def record_volumes(
    model: Model, images: ImageSet, writer: SummaryWriter, *, layer: str, numbers: Sequence[int], order: str = "index"
) -> None:
    """Write the stacked feature maps of one layer for some pictures, one record a picture."""
    for number in numbers:
        maps = model.activations(images.images(number, number + 1), layer)[0]
        label = -1 if images.labels is None else int(images.labels[number])
        known = images.label_names[label] if 0 <= label < len(images.label_names) else ""
        name = picture_name(images, number)
        volume = Volume(
            maps,
            order=order,
            layer=layer,
            network=model.name,
            picture=images.display(number),
            image={"index": number, "name": name, "label": known},
            meta={"preprocessing": images.preprocessing.to_json()},
        )
        writer.add(volume, f"{layer}/{name}")
    writer.flush()


def picture_name(images: ImageSet, number: int) -> str:
    """Return what to call a picture: its path in a folder, else its class and number."""
    names: Sequence[str] = getattr(images, "names", ())
    if names:
        return names[number]
    label = -1 if images.labels is None else int(images.labels[number])
    known = images.label_names[label] if 0 <= label < len(images.label_names) else images.name
    return f"{known} ({number})"
