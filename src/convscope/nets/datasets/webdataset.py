"""WebDataset: pictures and labels as members of tar files, a sample being the members that share a key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.nets.datasets import tar
from convscope.nets.datasets.decode import SUFFIXES
from convscope.nets.datasets.items import LABEL_NAMES, column
from convscope.nets.datasets.labels import Given, Own, labelled
from convscope.nets.datasets.pictures import Pictures, content_of, readable, reasons
from convscope.nets.datasets.shards import shard_paths
from convscope.nets.datasets.synsets import Names
from convscope.nets.preprocessing import Preprocessing

MAX_LABEL: Final = 1 << 20
"""Larger members are not read as labels."""
_LABELS: Final = ("cls", "json", "txt")


class Sample(NamedTuple):
    """What a shard holds of one picture.

    Attributes
    ----------
    shard
        The tar file.
    key
        The path of its members up to the first dot of the last part.
    members
        Extension → member.
    """

    shard: Path
    key: str
    members: dict[str, tar.Member]

    @property
    def picture(self) -> tar.Member | None:
        """The first member that is named like a picture."""
        return next((m for ending, m in self.members.items() if f".{ending.rpartition('.')[2]}" in SUFFIXES), None)


class TarImages(Pictures):
    """The images of WebDataset shards, in the order of the shards and of their members.

    Only headers are read at first; a picture is found again by its offset. The label is the member ``.cls`` (a number
    or a name), ``label`` or ``class`` of ``.json``, or ``.txt`` where its texts are numbers or repeat: captions are no
    classes.

    Parameters
    ----------
    shards
        A path, a pattern (``shard-{000..003}.tar``, ``shard-*.tar``), or several.
    preprocessing, name, labels, label_names, check
        As for :class:`convscope.nets.data.FolderImages`; labels by key.

    Raises
    ------
    NotFoundError, FormatError
        If a shard is not there, or is no uncompressed tar file.
    InputError
        If there is no readable picture.
    """

    def __init__(
        self,
        shards: str | Path | Iterable[str | Path],
        preprocessing: Preprocessing | None = None,
        *,
        name: str | None = None,
        labels: Given = None,
        label_names: Names = None,
        check: str = "full",
    ) -> None:
        paths = shard_paths(shards)
        found = [sample for path in paths for sample in samples(path)]
        pictured = [(sample, picture) for sample in found if (picture := sample.picture)]
        names = [picture.name for _, picture in pictured]
        without = {sample.key: "no picture among its members" for sample in found if sample.picture is None}
        places = [(sample.shard, picture.offset, picture.size) for sample, picture in pictured]
        why = reasons(lambda number: tar.read(*places[number]), len(places), check)
        kept, skipped = readable(names, why, repr(str(shards)), f", {len(without):,} samples without picture")
        own = Own() if labels is not None else _own([sample for sample, _ in pictured])
        self._places = [places[number] for number in kept]
        super().__init__(
            name or paths[0].stem,
            [names[number] for number in kept],
            preprocessing,
            labelled(labels, label_names, names, kept, own),
            without | skipped,
            check,
        )

    def _source(self, index: int) -> bytes:
        return tar.read(*self._places[index])

    def _content(self) -> Iterator[bytes]:
        for name, place in zip(self.names, self._places, strict=True):
            yield name.encode()
            yield content_of(*place)


def samples(path: Path) -> Iterator[Sample]:
    """Yield the samples of a shard: members one after the other with the same key."""
    current: Sample | None = None
    for member in tar.members(path):
        folder, _, last = member.name.rpartition("/")
        stem, _, ending = last.partition(".")
        if not stem or not ending:
            continue
        key = f"{folder}/{stem}" if folder else stem
        ending = ending.lower()
        if current is not None and current.key == key and ending not in current.members:
            current.members[ending] = member
            continue
        if current is not None:
            yield current
        current = Sample(path, key, {ending: member})
    if current is not None:
        yield current


def _own(found: list[Sample]) -> Own:
    """Return the labels that the samples carry."""
    values = [_label(sample, ("cls", "json")) for sample in found]
    if all(value is None for value in values):
        values = [_label(sample, ("txt",)) for sample in found]
        texts = {value for value in values if isinstance(value, str) and not value.lstrip("-").isdigit()}
        if 2 * len(texts) > sum(value is not None for value in values):
            return Own()
    return Own(values, source="the samples") if any(value is not None for value in values) else Own()


def _label(sample: Sample, endings: Iterable[str]) -> Any:
    """Return the label of a sample; nothing where it has none or that is no label."""
    for ending, member in sample.members.items():
        kind = ending.rpartition(".")[2]
        if kind not in endings or member.size > MAX_LABEL:
            continue
        text = tar.read(sample.shard, member.offset, member.size).decode("utf-8", "replace").strip()
        if kind != "json":
            return text or None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None  # counted among the pictures without a label
        value = value.get(column(list(value), LABEL_NAMES)) if isinstance(value, dict) else value
        if isinstance(value, str | int) and not isinstance(value, bool):
            return value
    return None
