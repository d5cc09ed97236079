"""A small run as a search leaves it: top images of some layers with projections and proof figures, and the audit."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope import Summary, SummaryWriter
from convscope.inspect.audit import audit
from convscope.inspect.receptive_field import ReceptiveField
from convscope.inspect.topk import EDGES, TopK

IMAGES: Final = 40
K: Final = 9
CLASSES: Final = ("dog", "hot dog", "dogfish", "cat, tabby", "<b>boat</b>")
RULES: Final = ("deconvnet", "gradient")
PROOF: Final = ("specificity", "randomised_layer", "randomised_all", "deletion", "deletion_random")
LAYERS: Final = {"stem": 12, "stages.0": 20, "stages.1": 40}
"""Searched layers and their channels; channel 3 of every layer is dead."""
DEAD: Final = 3
LABELS: Final = np.arange(IMAGES) % len(CLASSES)


def top_images(channels: int, seed: int) -> npt.NDArray[np.int64]:
    """Give the images of each channel: image 7 is the strongest of every even one, of all others it is none."""
    rng = np.random.default_rng(seed)
    others = np.delete(np.arange(IMAGES - 2), 7)
    image = np.stack([rng.permutation(others)[:K] for _ in range(channels)])
    image[::2, 0] = 7
    return image.astype(np.int64)


def top_k(layer: str, seen: int = IMAGES) -> TopK:
    """Give the top images of a layer, as a search knows them after some of the images."""
    channels, place = LAYERS[layer], list(LAYERS).index(layer)
    value = np.sort(np.random.default_rng(place).uniform(1, 9, (channels, K)).astype(np.float32), axis=1)[:, ::-1]
    live = np.arange(channels) != DEAD
    size = 3 + 4 * place
    return TopK(
        layer=layer,
        layer_kind="Conv2d",
        value=value * live[:, None],
        image=top_images(channels, place),
        position=np.full((channels, K, 2), 5, np.int32),
        mean=np.full(channels, 0.5),
        max=value[:, 0].astype(np.float64) * live,
        variance=np.ones(channels),
        positive=0.25 * live,
        histogram=np.ones((channels, len(EDGES) - 1), np.int64),
        edges=EDGES,
        receptive_field=ReceptiveField(size=(size, size), stride=(1, 1), start=(-1, -1)),
        input_size=(16, 16),
        network="net",
        dataset="pets",
        images_seen=seen,
        images_total=IMAGES,
    )


def proof_summary(place: int) -> dict[str, Any]:
    """Give quartiles of the figures of a layer: the gradient's specificity falls with the depth."""
    middle = {"deconvnet": 0.6, "gradient": 0.5 - 0.25 * place}
    return {
        rule: {
            name: [middle[rule] - 0.02, middle[rule] - 0.01 * at, middle[rule] + 0.1] for at, name in enumerate(PROOF)
        }
        for rule in RULES
    }


def colours(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def layer_summary(layer: str, *, seen: int = IMAGES, labels: bool = True, projected: bool = True) -> Summary:
    """Give the record of a layer."""
    top, place = top_k(layer, seen), list(LAYERS).index(layer)
    side = top.receptive_field.size[0]
    names = ("value", "image", "position", "box", "mean", "max", "variance", "positive", "histogram", "edges")
    arrays = {name: getattr(top, name) for name in names}
    if labels:
        arrays["label"] = LABELS[top.image].astype(np.int32)
    pictures = {"patch": colours((top.channels, K, side, side), place)}
    meta: dict[str, Any] = {
        "layer": layer,
        "layer_kind": top.layer_kind,
        "network": top.network,
        "dataset": top.dataset,
        "images_seen": seen,
        "images_total": IMAGES,
        "complete": seen >= IMAGES,
        "k": K,
        "receptive_field": top.receptive_field.to_json(),
        "input_size": [16, 16],
        "label_names": list(CLASSES) if labels else [],
    }
    if projected:
        pictures |= {rule: colours((top.channels, K, side, side), 10 + place) for rule in RULES}
        meta |= {"rules": list(RULES), "proof": list(PROOF), "proof_summary": proof_summary(place)}
    return Summary("topk", layer, arrays=arrays, pictures=pictures, meta=meta)


def audit_summary(pairs: tuple[tuple[int, int], ...] = ()) -> Summary:
    """Give the record of the data set; ``pairs`` are near-duplicates, as rows of its images."""
    found = audit({layer: top_k(layer) for layer in LAYERS})
    meta = {
        "network": "net",
        "dataset": "pets",
        "names": [f"pets/{CLASSES[LABELS[i]][:3]}{i}.jpg" for i in found.index],
        "label_names": list(CLASSES),
        "layers": list(found.layers),
        "images_total": IMAGES,
        "images_among": found.images_among,
        "k": K,
        "input_size": [16, 16],
        "threshold": 0.95,
        "duplicates_total": len(pairs),
    }
    arrays = {
        "index": found.index,
        "label": LABELS[found.index].astype(np.int32),
        "channels": found.channels,
        "first": found.first,
        "layer_channels": found.layer_channels,
        "duplicate": np.array(pairs, np.int32).reshape(-1, 2),
        "likeness": np.linspace(0.99, 0.96, len(pairs)).astype(np.float32),
    }
    thumbnails = colours((-(-len(found.index) // 8), 8, 16, 16), 5)
    return Summary("audit", "net", arrays=arrays, pictures={"thumbnail": thumbnails}, meta=meta)


def write_search(writer: SummaryWriter, *, labels: bool = True, pairs: tuple[tuple[int, int], ...] = ()) -> None:
    """Write what a finished search leaves: the layers, deepest first, and the audit."""
    for layer in reversed(LAYERS):
        writer.add(layer_summary(layer, labels=labels))
    writer.add(audit_summary(pairs))
