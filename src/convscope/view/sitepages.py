"""What the pages of a network, its layers and its channels say: figures of the record of a search, and neighbours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.summary import KINDS
from convscope.view.pages import Card, Page, Picture, app_address, card_list, escape, facts, links, table
from convscope.view.parts import Part
from convscope.view.previewer import preview_size
from convscope.view.selection import SelectedRun
from convscope.view.sitenames import folder_names
from convscope.view.source import Source

ARRAYS: Final = ("value", "image", "label", "max", "mean", "positive", "similar", "similarity", "class_top")
HOME: Final = ("All networks", "index.html")
_DIMENSIONS: Final = {"value": 2, "image": 2, "label": 2, "similar": 2}
_NUMBERS: Final = frozenset({"image", "label", "similar"})
_CLASSES: Final = 3
_SIMILAR: Final = 5
_LAYER_CARD: Final = 6
_NETWORK_CARD: Final = 6


@dataclass(frozen=True)
class Layer:
    """A searched layer of a run: its record, its folder, and the channels that have pages."""

    part: Part
    tag: str
    folder: str
    names: Mapping[int, str] = field(default_factory=dict)
    previewed: bool = True

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the record says of itself."""
        found: Mapping[str, Any] = self.part.described["meta"]
        return found

    @cached_property
    def channels(self) -> Sequence[int]:
        """The channels that have pages, in ascending order."""
        return range(self.part.count) if self.part.channels is None else self.part.channels

    @cached_property
    def plan(self) -> Mapping[str, Any] | None:
        """How the sheets of its patches are laid out, where it has them all."""
        found = self.part.described["pictures"].get("patch")
        return found if self.previewed and found and found["total_rows"] == self.part.count else None

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of its previews."""
        return preview_size(self.plan) if self.plan else (0, 0)

    @property
    def ranges(self) -> list[list[int]]:
        """The channels as ranges, each a first one and the one after the last."""
        if isinstance(self.channels, range):
            return [[0, len(self.channels)]]
        found: list[list[int]] = []
        for channel in self.channels:
            if found and found[-1][1] == channel:
                found[-1][1] += 1
            else:
                found.append([channel, channel + 1])
        return found


@dataclass(frozen=True)
class Network:
    """A run with a page of its own: its folder, and its searched layers in the order of the network."""

    run: SelectedRun
    name: str
    folder: str
    layers: Sequence[Layer]

    @property
    def title(self) -> str:
        """The name of the run, and that of the network where it is another."""
        network = str(self.layers[0].meta.get("network") or "") if self.layers else ""
        return f"{self.name} ({network})" if network and network.lower() not in self.name.lower() else self.name

    @property
    def channels(self) -> int:
        """How many channels have a page."""
        return sum(len(layer.channels) for layer in self.layers)

    def sentence(self) -> str:
        """Return what there is of it."""
        if self.layers:
            meta = self.layers[0].meta
            seen = _number(meta.get("images_total") or meta.get("images_seen"))
            of = (
                f"{plural(seen, 'image')} of {meta['dataset']}"
                if seen and meta.get("dataset")
                else str(meta.get("dataset") or "")
            )
            parts = [plural(len(self.layers), "layer"), plural(self.channels, "channel"), of]
            return ", ".join(filter(None, parts))
        kinds = [*(part.kind for part in self.run.parts), *(kind for kind, _, _ in self.run.series)]
        pages = Counter(KINDS[kind].view for kind in kinds if kind in KINDS)
        return ", ".join(f"{page} ({count:,})" for page, count in pages.items())

    def pages(self) -> dict[str, Any]:
        """Return which pages there are, as the ledger has it."""
        layers = {one.folder: {"preview": one.plan is not None, "channels": one.ranges} for one in self.layers}
        return {"preview": any(one["preview"] for one in layers.values()), "layers": layers}

    def opens(self) -> str:
        """Return the address of the app that shows the run."""
        if self.layers:
            return app_address("network", run=self.name)
        kinds = [*(part.page for part in self.run.parts)]
        return app_address(kinds[0], run=self.name) if kinds else app_address("scalars", runs=self.name)


def plural(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "layer"), plural(4224, "channel")
    ('1 layer', '4,224 channels')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def network_of(run: SelectedRun, name: str, folder: str, names: Mapping[int, str]) -> Network:
    """Return what has pages of a run: of each searched layer the last record."""
    last = {part.described["tag"]: part for part in run.parts if part.kind == "topk" and part.count}
    folders = folder_names(last, fallback="layer")
    return Network(run, name, folder, [Layer(part, tag, folders[tag], names) for tag, part in last.items()])


def image_names(run: SelectedRun, source: Source) -> dict[int, str]:
    """Return what images are called, as far as the audit of a data set that is exported too says it."""
    from safetensors.numpy import load

    found: dict[int, str] = {}
    for part in run.parts:
        names = part.described["meta"].get("names") if part.kind == "audit" else None
        if isinstance(names, list) and "index" in part.described["arrays"]:
            index = load(source.arrays(run.asked, part.id, ["index"]))["index"].tolist()
            found |= {number: str(name) for number, name in zip(index, names, strict=False)}
    return found


class LayerPages:
    """The pages of one layer.

    Parameters
    ----------
    network, layer
        Whose.
    arrays
        Those of :data:`ARRAYS` that the record has.
    """

    def __init__(self, network: Network, layer: Layer, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.network, self.layer = network, layer
        self._place = f"{network.folder}/{layer.folder}"
        self._labels = [str(name) for name in layer.meta.get("label_names") or ()]
        self._escaped = [*map(escape, self._labels)]
        self._here = set(layer.channels)
        self._files = {channel: f"{channel}.html" for channel in layer.channels}
        count = layer.part.count
        # Lists are read ten times as fast as arrays, number by number.
        self._arrays = {name: array.tolist() for name, array in arrays.items() if _fits(name, array, count)}
        self._max = np.nan_to_num(np.asarray(arrays.get("max", np.zeros(count)), np.float64))
        images = self._arrays.get("image") or [[]]
        k = len(images[0])
        self._what = f"{layer.tag} of {network.name}"
        self._strongest = "The patch" if k == 1 else f"The {k} patches"
        self._trail = [HOME, (network.name, f"{network.folder}/index.html"), (layer.tag, f"{self._place}/index.html")]
        self._opens = app_address("layer", run=network.name, tag=layer.tag)

    def chosen(self, most: int = _LAYER_CARD) -> list[int]:
        """Return channels that stand for the layer: evenly among those that are not dead."""
        live = [channel for channel in self.layer.channels if self._max[channel] > 0] or list(self.layer.channels)
        return [live[at * len(live) // most] for at in range(most)] if len(live) > most else live

    def index(self, picture: Picture | None) -> Page:
        """Return the page of the layer."""
        meta, layer = self.layer.meta, self.layer
        field = meta.get("receptive_field")
        size = field.get("size") if isinstance(field, dict) else None
        told = {
            "Kind": meta.get("layer_kind") or "",
            "Channels": f"{layer.part.count:,}",
            "Receptive field": f"{size[0]} × {size[1]} pixels" if isinstance(size, list) and len(size) == 2 else "",
            "Images": f"{seen:,}" if (seen := _number(meta.get("images_seen"))) else "",
            "Data set": meta.get("dataset") or "",
        }
        pictures = [f"{channel}.jpg" if layer.plan else "" for channel in layer.channels]
        cards = [
            Card(f"{channel}.html", f"channel {channel}", "", picture=picture, size=layer.size, small=True)
            for channel, picture in zip(layer.channels, pictures, strict=True)
        ]
        description = (
            f"What excites each of the {plural(len(layer.channels), 'channel')} of the layer {self._what} most."
        )
        return Page(
            f"{self._place}/index.html", f"{layer.tag} · {self.network.name}", description, self._opens, picture,
            self._trail[:2], facts(told),
            card_list(cards),
        )  # fmt: skip

    def channels(self) -> Iterator[Page]:
        """Yield the page of each channel."""
        order = self.layer.channels
        for at, channel in enumerate(order):
            beside = [("Previous", order[at - 1])] if at else []
            beside += [("Next", order[at + 1])] if at + 1 < len(order) else []
            yield self._channel(channel, [(f"{word}: channel {one}", self._files[one]) for word, one in beside])

    def _channel(self, channel: int, beside: list[tuple[str, str]]) -> Page:
        layer = self.layer
        classes = self._classes(channel)
        title = f"{layer.tag} · channel {channel} · {self.network.name}"
        excite = f"that excite channel {channel} most"
        named = f": {', '.join(classes)}." if classes else "."
        description = f"{self._strongest} {excite}, in the layer {self._what}{named}"
        picture = Picture(f"{channel}.jpg", layer.size, f"{self._strongest} {excite}") if layer.plan else None
        told = {
            "Largest activation": figure(self._at("max", channel)),
            "Mean": figure(self._at("mean", channel)),
            "Positions above zero": percent(self._at("positive", channel)),
            "Classes": ", ".join(classes),
        }
        body = (
            links("", beside) + facts(told) + self._hits(channel) + links("Similar channels:", self._similar(channel))
        )
        place = f"{self._place}/{channel}.html"
        return Page(place, title, description, f"{self._opens}&ch={channel}", picture, self._trail, body)

    def _at(self, name: str, channel: int) -> Any:
        values = self._arrays.get(name)
        return values[channel] if values else None

    def _classes(self, channel: int) -> list[str]:
        labels = self._labels
        named = [labels[label] for label in self._at("label", channel) or () if 0 <= label < len(labels)]
        often = sorted(Counter(filter(None, named)).items(), key=itemgetter(1), reverse=True)
        return [name for name, _ in often[:_CLASSES]]

    def _hits(self, channel: int) -> str:
        images, values = self._at("image", channel), self._at("value", channel)
        if not images or not values:
            return ""
        labels = self._at("label", channel) or [-1] * len(images)
        names, classes = self.layer.names, self._escaped
        rows = [
            (
                str(at),
                escape(names[image]) if image in names else f"image {image}",
                classes[label] if 0 <= label < len(classes) else "",
                figure(value),
            )
            for at, (image, label, value) in enumerate(zip(images, labels, values, strict=False), 1)
            if image >= 0
        ]
        return table(("", "Image", "Class", "Activation"), rows) if rows else ""

    def _similar(self, channel: int) -> list[tuple[str, str]]:
        found = [one for one in self._at("similar", channel) or () if one in self._here and one != channel]
        return [(f"channel {one}", self._files[one]) for one in found[:_SIMILAR]]


def _fits(name: str, array: npt.NDArray[Any], count: int) -> bool:
    """Tell whether an array is of all channels, and says what its name promises."""
    sound = array.ndim == _DIMENSIONS.get(name, array.ndim) and (name not in _NUMBERS or array.dtype.kind in "iu")
    return sound and array.shape[:1] == (count,)


def network_page(network: Network, picture: Picture | None, chosen: Mapping[str, int]) -> Page:
    """Return the page of a run; ``chosen``: a channel for the card of each layer that has previews."""
    cards = [
        Card(
            f"{layer.folder}/index.html",
            layer.tag,
            plural(layer.part.count, "channel"),
            small=True,
            picture=f"{layer.folder}/{chosen[layer.folder]}.jpg" if layer.folder in chosen else "",
            size=layer.size,
        )
        for layer in network.layers
    ]
    told: dict[str, Any] = {}
    description = f"What the run {network.name} holds: {network.sentence()}."
    if network.layers:
        meta = network.layers[0].meta
        told = {"Network": meta.get("network") or "", "Data set": meta.get("dataset") or ""}
        told |= {"Layers": str(len(network.layers)), "Channels": f"{network.channels:,}"}
        description = f"What excites each channel of {network.title} most: {network.sentence()}."
    return Page(
        f"{network.folder}/index.html",
        network.title,
        description,
        network.opens(),
        picture,
        [HOME],
        facts(told),
        card_list(cards),
    )


def figure(value: Any) -> str:
    """Return a number for people: four digits; empty where it is none.

    >>> figure(12.34567), figure(float("nan")), figure(None), figure(1234567.0)
    ('12.35', '', '', '1.235e+06')
    """
    return f"{value:.4g}" if isinstance(value, int | float) and math.isfinite(value) else ""


def percent(value: Any) -> str:
    """Return a share for people.

    >>> percent(0.1234), percent(None)
    ('12.3 %', '')
    """
    return f"{100 * value:.1f} %" if isinstance(value, int | float) and math.isfinite(value) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
