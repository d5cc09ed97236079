"""What was logged for TensorBoard's projector, as records: any program's embeddings are seen as convscope's own are.

Their ids begin with zeros, so that projections that are recorded of them come later. An embedding of which there is a
record is not listed a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from convscope.embed.foreign import from_texts
from convscope.embed.methods import project
from convscope.errors import ConvscopeError
from convscope.store import Run
from convscope.store.embeddings import ListedEmbedding
from convscope.store.memory import MemoryRecord, Promise, Workshop
from convscope.store.results import Entry
from convscope.summary import Summary

KEPT: Final = 4
"""How many embeddings and projections are kept as they were read or computed."""
_NUMBER: Final = "00000000"
_NEIGHBOURS_UP_TO: Final = 3_000
"""Of more points the server is asked for neighbours: finding those of all would make the first look slow."""


def projected_entries(run: Run) -> list[Entry]:
    """Return what a run's projector files hold beside its records: of each embedding itself and its components."""
    return [entry for entry, _ in _named(run).values()]


def _named(run: Run) -> dict[str, tuple[Entry, ListedEmbedding]]:
    """Return entries and where they come from by the ids of the entries."""
    listed = run.listed_embeddings()
    there = {(entry.kind, entry.tag, entry.step) for entry in run.entries()} if listed else set()
    found: dict[str, tuple[Entry, ListedEmbedding]] = {}
    for one in listed:
        if ("embedding", one.tag, one.step) in there:
            continue
        for kind, tag in (("embedding", one.tag), ("projection", f"{one.tag}/pca")):
            if (kind, tag, one.step) not in there:
                name = _free(kind, one.stamp, found)
                found[name] = Entry(name, kind, tag, one.step, one.wall_time, one.bytes), one
    return found


def _free(kind: str, stamp: str, taken: Mapping[str, object]) -> str:
    """Return an id that is no other's."""
    names = (f"{_NUMBER}-{kind}-{stamp[start : start + 6]}" for start in range(len(stamp) - 5))
    return next(name for name in names if name not in taken)


class Projected:
    """Makes the records of runs' projector files when they are asked for, and keeps the last few. Thread-safe."""

    def __init__(self) -> None:
        self._workshop = Workshop(KEPT)

    def find(self, run: Run, record: str) -> MemoryRecord | None:
        """Return the record of an id; ``None`` where it is not one of these."""
        if not record.startswith(f"{_NUMBER}-"):
            return None
        named = _named(run)
        entry, listed = named.get(record, (None, None))
        if entry is None or listed is None:
            return None
        promise = Promise("embedding", listed.tag, listed.bytes, lambda: _read(listed), listed.step)
        if entry.kind == "projection":
            source = next(name for name, (one, of) in named.items() if of is listed and one.kind == "embedding")
            promise = self._components(entry, listed, promise, source)
        return MemoryRecord(record, promise, entry.wall_time, self._workshop, f"{entry.kind} {listed.stamp}")

    def _components(self, entry: Entry, listed: ListedEmbedding, of: Promise, source: str) -> Promise:
        def make() -> Summary:
            vectors = self._workshop.summary(f"embedding {listed.stamp}", of).arrays["vector"]
            found = project(vectors, "pca", quality=len(vectors) <= _NEIGHBOURS_UP_TO)
            return replace(found, embedding=source, identity=listed.stamp[:16]).to_summary(entry.tag, entry.step)

        return Promise("projection", entry.tag, entry.bytes, make, entry.step)


def _read(listed: ListedEmbedding) -> Summary:
    """Return the files of an embedding as a summary; without thumbnails where their sprite is damaged."""
    found = listed.read()
    meta: dict[str, str] = {"source": listed.entry.tensor_path}
    try:
        thumbnails = found.thumbnails
    except ConvscopeError as error:
        thumbnails, meta["thumbnails"] = None, str(error)
    embedding = from_texts(found.vectors, found.metadata, thumbnails=thumbnails, layer=found.tag, meta=meta)
    return embedding.to_summary(found.tag, found.step, neighbours=len(embedding) <= _NEIGHBOURS_UP_TO)
