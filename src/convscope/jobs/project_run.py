"""Project the embeddings that a run holds: each step on its own, or all steps of a layer as a timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from convscope.embed import PROJECTIONS, Embedding, Projection
from convscope.embed.align import Follower
from convscope.embed.tsne import Settings
from convscope.errors import FormatError, InputError, not_found
from convscope.jobs.projections import SEPARATOR, Progress, joined, projection_name, record_projection
from convscope.jobs.vectors import of_projector
from convscope.recording import SummaryWriter
from convscope.store import Run
from convscope.store.results import Entry

Bars = Callable[[str], Progress]
_UNFIT: Final = ("axes",)
"""Methods that need more than a command line says."""
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "pca": frozenset({"dimensions", "seed"}),
    "umap": frozenset({"dimensions", "seed"}),
}


@dataclass(frozen=True)
class Wanted:
    """Which projections of which embeddings.

    Attributes
    ----------
    methods
        Names of :data:`convscope.embed.PROJECTIONS`.
    tag
        That of one embedding; of all for an empty one.
    timeline
        Whether each step starts from the one before and is laid over it.
    parameters
        Those of the methods: ``dimensions``, ``seed``, ``perplexity``, ``iterations``; a method that does not take one
        is not given it.
    """

    methods: Sequence[str] = ("pca", "tsne")
    tag: str = ""
    timeline: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [name for name in PROJECTIONS if name not in _UNFIT]
        for method in self.methods:
            if method not in known:
                raise not_found("projection", method, known)
        if "tsne" in self.methods:
            Settings(**self.of("tsne"))
        useless = (name for name in self.parameters if not any(name in self.of(method) for method in self.methods))
        if self.methods and (name := next(useless, "")):
            raise InputError(f"{name} is of no method among {', '.join(self.methods)}; leave it out, or add tsne")
        if not self.methods:
            raise InputError(f"there is nothing to do; name methods: {', '.join(known)}")

    def of(self, method: str) -> dict[str, Any]:
        """Return the parameters that a method takes."""
        return {name: value for name, value in self.parameters.items() if name in _TAKES.get(method, {name})}

    def asked(self, method: str) -> dict[str, Any]:
        """Return what a projection was asked for with, by which the next call knows it again."""
        return {"method": method, "timeline": self.timeline, **self.of(method)}


def project_run(path: Path, wanted: Wanted, bar: Bars) -> list[str]:
    """Project the embeddings of a run, those that are not projected like that already; return what to say of it.

    Parameters
    ----------
    path
        The run directory. Its embeddings are those of :meth:`SummaryWriter.add`; and, where there are none of that tag
        and step, those logged for TensorBoard's projector by any program, which become records here.
    wanted
        Which projections.
    bar
        Makes a progress bar from what is done.

    Raises
    ------
    NotFoundError
        If there is no such directory, or no embedding of that tag.
    InputError
        If it holds no embedding, or a method's parameters make no sense.
    """
    run = Run(path)
    with _Writer(path) as writer:
        found = _embeddings(run, writer, wanted.tag)
        series = [_Series(run, writer, tag, method, wanted) for tag in found for method in wanted.methods]
        said: list[str] = []
        wrong: list[InputError] = []
        for one in series:
            try:
                said.append(one.project(found[one.tag], bar))
            except InputError as error:  # too few points, for instance: the others are projected all the same
                wrong.append(error)
                said.append(f"{one.name}: {error}")
        if len(wrong) == len(series):
            raise wrong[0]
        return said


class _Writer:
    """A writer that is opened where there is something to write: a run in which all is done stays as it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._opened.close()

    def open(self) -> SummaryWriter:
        if self._opened is None:
            self._opened = SummaryWriter(self._path)
        return self._opened


def _embeddings(run: Run, writer: _Writer, tag: str) -> dict[str, list[Entry]]:
    """Return the embeddings by tag, each step once and in order."""
    problems = _take_over(run, writer, tag)
    found: dict[str, dict[int, Entry]] = {}
    for entry in run.entries("embedding"):
        found.setdefault(entry.tag, {})[entry.step] = entry
    if not found and problems:
        raise InputError(f"run {run.name!r} holds no embedding that can be read ({problems[0]})")
    if not found:
        raise InputError(
            f"run {run.name!r} holds no embeddings; log some with writer.add(embedding, tag, step), or: convscope embed"
        )
    if tag and tag not in found:
        raise not_found("embedding", tag, found, f"run {run.name!r}")
    chosen = {tag: found[tag]} if tag else found
    return {name: [steps[step] for step in sorted(steps)] for name, steps in chosen.items()}


def _take_over(run: Run, writer: _Writer, tag: str) -> list[str]:
    """Make records of what was logged for TensorBoard's projector and is none yet; return what cannot be read."""
    problems: list[str] = []
    known = {(entry.tag, entry.step) for entry in run.entries("embedding")}
    for one in run.listed_embeddings():
        if one.tag == (tag or one.tag) and (one.tag, one.step) not in known:
            try:
                taken = of_projector(one.read())
            except FormatError as error:  # damaged: those beside it are taken all the same
                problems.append(f"{one.tag!r}: {error}")
                continue
            writer.open().add(taken, one.tag, one.step)
            writer.open().flush()
    run.refresh()
    return problems


@dataclass(frozen=True)
class _Series:
    """The embeddings of one tag, and one method."""

    run: Run
    writer: _Writer
    tag: str
    method: str
    wanted: Wanted

    @property
    def name(self) -> str:
        return f"{self.tag}{SEPARATOR}{projection_name(self.method, self.wanted.parameters.get('dimensions', 2))}"

    def project(self, steps: Sequence[Entry], bar: Bars) -> str:
        """Project what is not there yet and return what to say of it."""
        done, before = 0, None
        distances: list[float] = []
        for number, entry in enumerate(steps):
            there = self._there(entry) if done == number or not self.wanted.timeline else None
            if there is not None:
                done += 1
                before = (entry, there)
                continue
            label = f"{self.name}, step {entry.step:,}" if len(steps) > 1 else self.name
            layout, distance = self._one(entry, before, bar(label))
            distances += [] if distance is None else [distance]
            before = (entry, layout)
        return self._said(len(steps), done, distances, before[1] if before else None)

    def _one(
        self, entry: Entry, before: tuple[Entry, Projection] | None, progress: Progress
    ) -> tuple[Projection, float | None]:
        embedding = read_embedding(self.run, entry)
        given: dict[str, Any] = self.wanted.of(self.method)
        note: dict[str, Any] = {"asked": self.wanted.asked(self.method)}
        follows = None
        if before is not None and self.wanted.timeline:
            follows = Follower(embedding, read_embedding(self.run, before[0]), before[1])
            given |= {"place": follows.place, **follows.start(self.method)}
            note["aligned"] = True
        given |= {"step": entry.step, "progress": progress, "note": note}
        layout = record_projection(embedding, entry.id, self.writer.open(), self.tag, self.method, **given)
        return layout, None if follows is None else follows.distance(layout.points)

    def _there(self, entry: Entry) -> Projection | None:
        """Return the finished projection of an embedding that was asked for with the same words."""
        later = [one for one in self.run.entries("projection", self.name) if one.id > entry.id]
        own = [one for one in later if one.step == entry.step]
        if not own:
            return None
        found = joined(self.run, own)
        same = found.parameters.get("asked") == self.wanted.asked(self.method)
        return found if found.embedding == entry.id and found.is_final and same else None

    def _said(self, steps: int, done: int, distances: list[float], last: Projection | None) -> str:
        parts = [f"{steps} steps" if steps > 1 else ""]
        if done:
            parts.append("there already" if done == steps else f"{done} there already")
        if distances:
            parts.append(f"mean Procrustes distance from step to step {sum(distances) / len(distances):.3f}")
        if last is not None and (kept := last.quality.get("neighbours_kept")) is not None:
            parts.append(f"{kept:.0%} of the 10 nearest neighbours kept")
        return f"{self.name}: {', '.join(filter(None, parts)) or 'done'}"


def read_embedding(run: Run, entry: Entry) -> Embedding:
    """Return the embedding of a record without its thumbnails; its vectors are read where they are used."""
    record = run.record(entry)
    names = [name for name in record.array_info if name not in ("vector", "neighbours", "neighbour_distance")]
    arrays = {**record.arrays(names), "vector": record.mapped("vector")}
    arrays.pop("thumbnail_size", None)
    return Embedding.from_arrays(arrays, record.meta)
