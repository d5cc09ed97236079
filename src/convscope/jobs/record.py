"""Compute something and write it: networks and images come in, summaries go to a :class:`SummaryWriter`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from convscope.embed import Projection
from convscope.errors import InputError
from convscope.inspect.filters import Filters, examine_filters
from convscope.inspect.health import Thresholds
from convscope.inspect.order import Order
from convscope.inspect.topk import TopK
from convscope.inspect.volume import Volume
from convscope.jobs.projections import record_projection
from convscope.nets.data import ImageSet
from convscope.nets.torch import Model
from convscope.recording import SummaryWriter

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

SHOWN: Final = (0.2, 99.8)
"""Percentiles that the scale of feature maps spans: a few large values would leave all others nearly black."""


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
    record_projection(embedding, identity, writer, layer, "pca")
    return record_projection(
        embedding, identity, writer, layer, "tsne", seed=seed, iterations=iterations, progress=progress
    )


def record_volumes(
    model: Model,
    images: ImageSet,
    writer: SummaryWriter,
    *,
    layer: str | Sequence[str],
    numbers: Sequence[int],
    order: str | Order = "index",
    order_of: int | None = None,
    step: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> None:
    """Write the stacked feature maps of layers for some pictures, one record a layer and picture.

    Parameters
    ----------
    model, images, writer
        The network, its pictures, and where the records go.
    layer
        The name of a layer, or of several.
    numbers
        Which pictures.
    order
        How the channels are stacked: the name of an order, or one that was found before.
    order_of
        The picture whose order is applied to all pictures; by default each has its own.
    step
        The training step.
    progress
        Called with (pictures done, pictures in all).
    **options
        More of what :class:`~convscope.inspect.volume.Volume` takes: ``orders``, ``rows``, ``scale``, ``percentiles``
        (:data:`SHOWN` by default), ``wire`` …

    Raises
    ------
    NotFoundError
        If a layer or an order is not there.
    InputError
        If a picture's number is not in the set, or an option makes no sense.
    """
    names = [model.layer(name).name for name in ([layer] if isinstance(layer, str) else layer)]
    if wrong := [number for number in (*numbers, order_of or 0) if not 0 <= number < len(images)]:
        raise InputError(f"no picture {wrong[0]} in {images.name!r}; it has 0..{len(images) - 1}")
    if isinstance(order, str) and order_of is not None:
        found = picture_volumes(model, images, order_of, names)
        by_layer: Mapping[str, str | Order] = {name: found[name].ordered(order) for name in names}
    else:
        by_layer = dict.fromkeys(names, order)
    for done, number in enumerate(numbers, 1):
        for name, volume in picture_volumes(model, images, number, names, **options).items():
            writer.add(volume.apply(by_layer[name]), f"{name}/{picture_name(images, number)}", step)
        if progress:
            progress(done, len(numbers))
    writer.flush()


def picture_volumes(
    model: Model, images: ImageSet, number: int, layers: Sequence[str], *, tap: str = "before", **options: Any
) -> dict[str, Volume]:
    """Return the feature maps of some layers for one picture as volumes, in one forward pass."""
    found = model.activations(images.images(number, number + 1), list(layers), tap=tap)
    if options.get("scale") != "channel":  # which cuts values off, where others only end the colours
        options = {"percentiles": SHOWN, **options}
    label = -1 if images.labels is None else int(images.labels[number])
    known = images.label_names[label] if 0 <= label < len(images.label_names) else ""
    return {
        name: Volume(
            found[name][0],
            source="activations",
            layer=name,
            network=model.name,
            picture=images.display(number),
            image={"index": number, "name": picture_name(images, number), "label": known},
            receptive_field=model.layer(name).receptive_field,
            meta={"preprocessing": images.preprocessing.to_json()},
            **options,
        )
        for name in layers
    }


def picture_name(images: ImageSet, number: int) -> str:
    """Return what to call a picture: its path in a folder, else its class and number."""
    names: Sequence[str] = getattr(images, "names", ())
    if names:
        return names[number]
    label = -1 if images.labels is None else int(images.labels[number])
    known = images.label_names[label] if 0 <= label < len(images.label_names) else images.name
    return f"{known} ({number})"
