"""Compute something and write it: networks and images come in, summaries go to a :class:`SummaryWriter`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from convscope.embed import Projection
from convscope.inspect.filters import Filters, examine_filters
from convscope.inspect.health import Thresholds
from convscope.inspect.topk import TopK
from convscope.inspect.volume import Volume
from convscope.nets.data import ImageSet
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

FRAME_EVERY: Final = 10


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
