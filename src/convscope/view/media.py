"""What a run has beside its records, in blocks: points of series, single files, and what there is one of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from convscope.errors import ConvscopeError, FormatError
from convscope.view.blocks import OCTETS, Blocks, Owner
from convscope.view.listing import HPARAMS, ONE_OF_A_RUN
from convscope.view.numbers import planes
from convscope.view.selection import SelectedRun, view_of
from convscope.view.source import Source

SERIES_WIDTH: Final = 8
MESH_WIDTH: Final = 4
MISSING: Final = -1
_MEDIA_TYPE: Final = re.compile(r"(image|audio|video)/[a-z0-9.+-]{1,40}")

Numbers = list[Any]
"""Blocks of one series: a number each, of meshes a list of them each."""


class MediaPacker:
    """Puts what one run has beside its records into blocks.

    Parameters
    ----------
    source
        What answers.
    blocks
        Where the answers go.
    run
        What was selected of the run. A series that cannot be read is taken out of it.
    problems
        Where it is put down what could not be read, a sentence each.
    """

    def __init__(self, source: Source, blocks: Blocks, run: SelectedRun, problems: list[str]) -> None:
        self._source = source
        self._blocks = blocks
        self._run = run
        self._problems = problems
        self._singles: dict[str, Callable[[str, int], Numbers]] = {
            "image": lambda tag, count: self._files("image", tag, count, source.image),
            "audio": lambda tag, count: self._files("audio", tag, count, source.audio),
            "text": lambda tag, count: [self._or_missing(self._text, tag, number) for number in range(count)],
            "mesh": self._meshes,
        }

    def pack(self) -> dict[str, Any]:
        """Return the numbers of the blocks; see :mod:`convscope.view.packing`."""
        series: dict[str, dict[str, int]] = {}
        media: dict[str, dict[str, Numbers]] = {}
        packed: dict[str, Any] = {"series": series, "media": media}
        for one in tuple(self._run.series):
            kind, tag, count = one
            try:
                if kind in ONE_OF_A_RUN:
                    packed |= self._one_of_a_run(kind, count)
                    continue
                for answer in (kind, "moments") if kind == "histogram" else (kind,):
                    series.setdefault(answer, {})[tag] = self._points(answer, tag)
                if kind in self._singles:
                    media.setdefault(kind, {})[tag] = self._singles[kind](tag, count)
            except (ConvscopeError, SafetensorError) as error:
                self._problems.append(f"{self._run.name}: {error}")
                self._run.series.remove(one)
        return packed

    def _owner(self, kind: str) -> Owner:
        return Owner(view_of(kind))

    def _points(self, kind: str, tag: str) -> int:
        data = self._source.series(self._run.asked, kind, tag, 0)
        owner = self._owner("histogram" if kind == "moments" else kind)
        return self._blocks.add_gzip(owner, planes(data, SERIES_WIDTH))

    def _one_of_a_run(self, kind: str, count: int) -> dict[str, Any]:
        if kind == "graph":
            return {"graphs": [self._or_missing(self._graph, kind, number) for number in range(count)]}
        if kind == "layout":
            return {kind: self._blocks.add_json(self._owner(kind), self._source.layout(self._run.asked))}
        told = [one for one in self._source.hparams()["runs"] if one["run"] == self._run.asked]
        if not told:
            raise FormatError("its hyper-parameters cannot be read")
        return {HPARAMS: self._blocks.add_json(self._owner(kind), {**told[0], "run": self._run.name})}

    def _graph(self, _: str, number: int) -> int:
        return self._blocks.add_json(self._owner("graph"), self._source.graph(self._run.asked, number))

    def _files(self, kind: str, tag: str, count: int, read: Callable[[str, str, int], tuple[bytes, str]]) -> Numbers:
        def put(tag: str, number: int) -> int:
            data, media_type = read(self._run.asked, tag, number)
            known = _MEDIA_TYPE.fullmatch(media_type)
            return self._blocks.add(self._owner(kind), media_type if known else OCTETS, data)

        return [self._or_missing(put, tag, number) for number in range(count)]

    def _text(self, tag: str, number: int) -> int:
        data, _ = self._source.text(self._run.asked, tag, number, whole=True)
        return self._blocks.add_gzip(self._owner("text"), data)

    def _meshes(self, tag: str, count: int) -> Numbers:
        batches = load(self._source.series(self._run.asked, "mesh", tag, 0))["batch"]
        items = [max(1, int(size)) for size in np.nan_to_num(batches[:count])]

        def put(number: int) -> Callable[[str, int], int]:
            def mesh(tag: str, item: int) -> int:
                data = self._source.mesh(self._run.asked, tag, number, item)
                return self._blocks.add_gzip(self._owner("mesh"), planes(data, MESH_WIDTH))

            return mesh

        return [self._each(put(number), tag, range(size)) for number, size in enumerate(items)]

    def _each(self, put: Callable[[str, int], int], tag: str, numbers: Iterable[int]) -> list[int]:
        return [self._or_missing(put, tag, number) for number in numbers]

    def _or_missing(self, put: Callable[[str, int], int], tag: str, number: int) -> int:
        """Put one down; of one that cannot be read, why not."""
        try:
            return put(tag, number)
        except ConvscopeError as error:
            self._problems.append(f"{self._run.name}: {error}")
            return MISSING
