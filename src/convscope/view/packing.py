"""Data of a run in small blocks that a page without a server can carry: numbers compressed, pictures as they are.

A record, an array, a sheet of pictures or a curve is asked for by the numbers of its blocks. Where these lie is the
host's business: inside one HTML file (:mod:`convscope.view.html`), or in files.

:meth:`Packer.pack` returns of each run, by the name the export gives it::

    {
      "records": {id: {"record": block, "arrays": {name: [rows, width, [block, …]]}, "pictures": {file: block}}},
      "series":  {kind: {tag: block}},
      "media":   {"image": {tag: [block, …]}, "audio": {tag: [block, …]}, "text": {tag: [block, …]},
                  "mesh": {tag: [[block, …], …]}},
      "hparams": block, "layout": block, "graphs": [block, …],
    }

===================  ==============================  =======================================================
what                 media type of its block         what is in it
===================  ==============================  =======================================================
record               gzip                            JSON: the record's description (``Source.record``)
array                gzip, planes of ``width``       safetensors of one array; so many ``rows`` a block
picture of a record  ``image/…``                     the file
series               gzip, planes of 8 bytes         safetensors: all points (``Source.series`` from 0), of every
                                                     kind it answers: ``scalar``, ``histogram``, ``moments``, ``image``,
                                                     ``audio``, ``text``, ``pr_curve``, ``mesh``
image, audio         ``image/…``, ``audio/…``        the file, one block a number; ``application/octet-stream``
                                                     where its type is not known
text                 gzip                            UTF-8, the whole of it (a host that shows the first megabyte cuts)
mesh                 gzip, planes of 4 bytes         safetensors as ``Source.mesh``, one block an item of each batch
hparams              gzip                            JSON: one of the ``runs`` of ``Source.hparams``; not there if none
layout               gzip                            JSON: as ``Source.layout``; not there if the run has none
graphs               gzip                            JSON: as ``Source.graph``, one block a number; empty if none
===================  ==============================  =======================================================

"gzip" is ``application/gzip``. *Planes*: the first bytes of all numbers, then the second ones …; data whose length is
no multiple of the width stay as they are (:func:`convscope.view.numbers.planes`). What of ``media`` or ``graphs``
cannot be read has the number -1 in place of its block's.

The same source and choice give the same blocks in the same order.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
from safetensors.numpy import load

from convscope.errors import FormatError, NotFoundError
from convscope.store.records import wire
from convscope.view.blocks import GZIP, OCTETS, Blocks, Owner, in_base64
from convscope.view.media import MediaPacker
from convscope.view.numbers import halves_well, pieces, planes, size_of, width_of
from convscope.view.parts import Part
from convscope.view.quality import Read, Squeezed, fit, smaller
from convscope.view.selection import Selected, SelectedRun
from convscope.view.source import PICTURE_TYPES, Source

THREADS: Final = min(8, os.cpu_count() or 1)
LEVEL: Final = 6
BLOCK_BYTES: Final = 100
"""What a block takes beside its data, about: its place in a file and its number in the list of all."""
MOST_VECTORS: Final = 2_000_000
"""Bytes of vectors that an export carries, so that its page finds neighbours itself; of more it has those stored."""
_HALVED: Final = frozenset({("maps", "map"), ("filters", "weight"), ("filters", "slice")})
_NEVER_ASKED: Final = frozenset({("volume", "volume"), ("topk", "preview"), ("topk", "preview_offset")})


class _Sheet(NamedTuple):
    """A file of lossy pictures that is compressed when it is known how much room there is."""

    owner: Owner
    file: str
    read: Read
    size: int
    """How long it is in base64, as it is stored."""
    table: dict[str, int]
    """Where its block is to be put down."""


class Packer:
    """Puts what was selected of a source into blocks.

    Parameters
    ----------
    source
        What answers.
    blocks
        Where the answers go.
    quality
        Where it is given (1 to 100), lossy WebP is compressed anew; 100 is as it is stored.
    goals
        Where there is no quality: how large all blocks may be in base64, the number aimed at first. Lossy WebP is
        compressed anew if the first goal is missed otherwise, with the highest quality that reaches it, or else the
        next. Lossless pictures and numbers stay as they are.
    level
        How hard to compress numbers, 1 to 9.
    """

    def __init__(
        self,
        source: Source,
        blocks: Blocks,
        quality: int | None = None,
        goals: Sequence[float] = (),
        level: int = LEVEL,
    ) -> None:
        self._source = source
        self._blocks = blocks
        self._quality = quality
        self._goals = goals
        self._level = level
        self._waiting: dict[str, list[_Sheet]] = {}
        self.squeezed: Squeezed | None = None
        """How pictures were compressed anew to reach a goal; nothing where they were not."""

    def pack(self, selected: Selected) -> dict[str, Any]:
        """Return the numbers of the blocks of each run: see the head of this file.

        What cannot be read is taken out of ``selected`` and put down among its problems.

        Raises
        ------
        TooLargeError
            If the blocks are far too large.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            runs = {run.name: self._run(run, selected.problems, pool) for run in selected.runs}
            self._put_waiting(pool)
        return runs

    def _run(self, run: SelectedRun, problems: list[str], pool: Executor) -> dict[str, Any]:
        records: dict[str, Any] = {}
        for part in tuple(run.parts):
            try:
                records[part.id] = self._record(run.asked, part, pool)
            except (NotFoundError, FormatError) as error:
                problems.append(f"{run.name}: {error}")
                run.parts.remove(part)
        return {"records": records, **MediaPacker(self._source, self._blocks, run, problems).pack()}

    def _record(self, run: str, part: Part, pool: Executor) -> dict[str, Any]:
        """Return the blocks of a record's description, of its arrays, and a table for those of its pictures."""
        owner = Owner(part.page, part.layer)
        arrays, infos = {}, {}
        for name, info in part.described["arrays"].items():
            if (part.kind, name) not in _NEVER_ASKED and not _is_too_long(part.kind, name, info):
                arrays[name], dtype = self._array(run, part, name, pool)
                infos[name] = {**info, "dtype": dtype}
        description = self._blocks.add_json(owner, {**part.described, "arrays": infos})
        return {"record": description, "arrays": arrays, "pictures": self._pictures(run, part, owner, pool)}

    def _pictures(self, run: str, part: Part, owner: Owner, pool: Executor) -> dict[str, int]:
        """Put files of pictures down, or let them wait until it is known how much room there is."""
        table: dict[str, int] = {}
        lossy = {
            file: name
            for name, plan in part.described["pictures"].items()
            if plan.get("codec") == "webp"
            for file in plan["files"]
        }
        reads = {file: partial(self._source.picture, run, part.id, file) for file in part.files}
        stored = list(pool.map(_call, [partial(self._sheet, read, file in lossy) for file, read in reads.items()]))
        for (file, read), data in zip(reads.items(), stored, strict=True):
            if file in lossy and self._goals and self._quality is None:
                sheet = _Sheet(owner, file, read, in_base64(len(data)), table)
                self._waiting.setdefault(lossy[file], []).append(sheet)
            else:
                table[file] = self._blocks.add(owner, _type(file), data)
        return table

    def _sheet(self, read: Read, lossy: bool) -> bytes:
        return smaller(read(), self._quality) if lossy and self._quality else read()

    def _put_waiting(self, pool: Executor) -> None:
        """Put the pictures that wait down, with the highest quality that fits."""
        sheets = [sheet for sort in self._waiting.values() for sheet in sort]
        taken = self._blocks.sizes.total() + BLOCK_BYTES * (len(self._blocks) + len(sheets))
        sorts = [[(sheet.read, sheet.size) for sheet in sort] for sort in self._waiting.values()]
        found = fit(sorts, [goal - taken for goal in self._goals], pool)
        for sheet, data in zip(sheets, found.pictures, strict=True):
            sheet.table[sheet.file] = self._blocks.add(sheet.owner, _type(sheet.file), data)
        self.squeezed = found.squeezed

    def _array(self, run: str, part: Part, name: str, pool: Executor) -> tuple[list[Any], str]:
        """Pack an array; return [rows a block, bytes a number, its blocks], and the type as which it is stored."""
        info = part.described["arrays"][name]
        dtype, width = info["dtype"], width_of(info["dtype"])
        cuts, rows = pieces(info["shape"], width, whole=part.is_cut(name))
        packed: list[bytes | None] = [None]
        if (part.kind, name) in _HALVED:
            packed = list(pool.map(partial(self._halved, run, part, name), cuts))
        if None in packed:
            packed = list(pool.map(partial(self._exact, run, part, name, width), cuts))
        else:
            dtype, width = "F16", 2
        owner = Owner(part.page, part.layer)
        return [rows, width, [self._blocks.add(owner, GZIP, data) for data in packed if data is not None]], dtype

    def _exact(self, run: str, part: Part, name: str, width: int, rows: slice | None) -> bytes:
        data = self._source.arrays(run, part.id, [name], rows)
        if part.is_cut(name):
            data = wire({name: part.cut(name, load(data)[name])})
        return self._gzip(planes(data, width))

    def _halved(self, run: str, part: Part, name: str, rows: slice | None) -> bytes | None:
        """Return numbers as half floats; nothing where these are not exact enough."""
        array = load(self._source.arrays(run, part.id, [name], rows))[name]
        if not halves_well(array):
            return None
        return self._gzip(planes(wire({name: array.astype(np.float16)}), 2))

    def _gzip(self, data: bytes) -> bytes:
        return gzip.compress(data, self._level, mtime=0)


def _call(job: Callable[[], bytes]) -> bytes:
    return job()


def _is_too_long(kind: str, name: str, info: Mapping[str, Any]) -> bool:
    """Tell whether an array is one of vectors that a page without a server does without."""
    return (kind, name) == ("embedding", "vector") and size_of(info) > MOST_VECTORS


def _type(file: str) -> str:
    return PICTURE_TYPES.get(PurePosixPath(file).suffix, OCTETS)
