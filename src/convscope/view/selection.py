"""Which part of what a source has goes into an export: pages, layers, channels, rules, steps.

Channels and rules are chosen of top-k records. A rule that is left out is gone. A channel that is left out keeps its
number, so that channel 17 stays channel 17, and the few figures that pages sum up over a layer, but nothing says which
pictures excite it, and its pictures are not there (a file of pictures holds 16 channels, and stays if one of them is
chosen); ``meta.exported_channels`` lists the chosen ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self

from convscope.errors import FormatError, InputError, NotFoundError, not_found
from convscope.summary import KINDS
from convscope.view.parts import Part, checked, part_of
from convscope.view.source import Source

_RANGE: Final = re.compile(r"(\d{1,7})(?:-(\d{1,7}))?", re.ASCII)
_MOST_CHANNELS: Final = 1 << 20
_OF_LAYERS: Final = frozenset({"topk", "filters", "maps", "volume", "weight_gradients", "importance", "ablation"})
_SHOWN_WITH: Final[Mapping[str, str]] = {"layout": "scalar"}


@dataclass(frozen=True)
class Choice:
    """What is wanted; ``None`` stands for all there is.

    Attributes
    ----------
    pages
        Names of views: ``network``, ``layer``, ``filters``, …
    layers
        Names of layers.
    channels
        Numbers of channels, of every layer that has them.
    rules
        Rules of projections.
    step
        Of what was recorded at several steps, the last at or before this one.
    """

    pages: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    channels: tuple[int, ...] | None = None
    rules: tuple[str, ...] | None = None
    step: int | None = None

    @classmethod
    def of(
        cls,
        pages: Iterable[str] | None = None,
        layers: Iterable[str] | None = None,
        channels: Iterable[int] | None = None,
        rules: Iterable[str] | None = None,
        step: int | None = None,
    ) -> Self:
        """Return a choice, made of any lists; a single name may stand for a list of one.

        Raises
        ------
        InputError
            If a list is empty or does not hold names or numbers.
        """
        return cls(_names("pages", pages), _names("layers", layers), _numbers(channels), _names("rules", rules), step)


def _names(noun: str, names: Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if not chosen or not all(isinstance(name, str) for name in chosen):
        raise InputError(f"{noun} are names, at least one; got {chosen!r:.80}")
    return chosen


def _numbers(channels: Iterable[int] | None) -> tuple[int, ...] | None:
    if channels is None:
        return None
    chosen = tuple(channels)
    if not chosen or not all(hasattr(channel, "__index__") for channel in chosen):
        raise InputError(f"channels are whole numbers from 0, at least one; got {chosen!r:.80}")
    return tuple(channel.__index__() for channel in chosen)


def read_channels(text: str) -> list[int] | None:
    """Return the numbers that a text names; nothing where it is empty.

    >>> read_channels("0-3,40")
    [0, 1, 2, 3, 40]

    Raises
    ------
    InputError
        If it is not of that form.
    """
    numbers: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= _MOST_CHANNELS:
            raise InputError(f"channels are numbers and ranges of them, as in 0-15,40; got {part!r:.60}")
        numbers += range(first, last + 1)
    return numbers or None


@dataclass(frozen=True)
class SelectedRun:
    """A run under the name the export gives it; ``asked`` is the name its source knows it by."""

    name: str
    asked: str
    parts: list[Part]
    series: list[tuple[str, str, int]]
    info: Mapping[str, Any]

    def index(self) -> dict[str, Any]:
        """Return what the index of the export says of it."""
        ids = {part.id for part in self.parts}
        kept = {(kind, tag) for kind, tag, _ in self.series}
        return {
            "name": self.name,
            "last_wall_time": self.info["last_wall_time"],
            "series": [one for one in self.info["series"] if (one["kind"], one["tag"]) in kept],
            "records": [one for one in self.info["records"] if one["id"] in ids],
            "problems": [],
        }


@dataclass(frozen=True)
class Selected:
    """What goes into an export, and what of it cannot be read."""

    name: str
    runs: list[SelectedRun]
    problems: list[str] = field(default_factory=list)

    @property
    def parts(self) -> list[Part]:
        """The records of all runs."""
        return [part for run in self.runs for part in run.parts]

    def pages(self) -> list[str]:
        """Return the views that have something to show, in the order of :data:`KINDS`."""
        kinds = {part.kind for part in self.parts} | {kind for run in self.runs for kind, _, _ in run.series}
        return [*dict.fromkeys(KINDS[kind].view for kind in KINDS if kind in kinds)]

    def views(self) -> list[str]:
        """Return the views that the program must have: of a searched network also its page, which no record is of."""
        searched = ["network"] if any(part.kind == "topk" for part in self.parts) else []
        return [*dict.fromkeys([*self.pages(), *searched])]


def view_of(kind: str) -> str:
    """Return the view that shows a kind of series; nothing where none does."""
    kind = _SHOWN_WITH.get(kind, kind)
    return KINDS[kind].view if kind in KINDS else ""


def select(source: Source, choice: Choice) -> Selected:
    """Return what is wanted of a source.

    Raises
    ------
    NotFoundError
        If a page, layer, channel or rule is wanted that it does not have.
    InputError
        If it has nothing to show, or nothing is left.
    """
    index = source.index()
    name = index["logdir"] or "run"
    problems: list[str] = []
    runs = []
    for info in index["runs"]:
        problems += [f"{info['name']}: {problem}" for problem in info["problems"]]
        runs.append(_run(source, info, name, {one["name"] for one in index["runs"]}, problems))
    whole = Selected(name, runs, problems)
    if not whole.pages():
        raise InputError(f"nothing in {name} has a page; write a run first, or try: convscope demo")
    left = Selected(name, _narrowed(whole, choice), problems)
    if not left.pages():
        raise InputError(f"nothing of {name} is left after this choice of layers and step; choose more")
    return left


def _run(source: Source, info: Mapping[str, Any], logdir: str, names: set[str], problems: list[str]) -> SelectedRun:
    """Return a run with all that it has."""
    parts = []
    for entry in _latest(info["records"]):
        try:
            described = checked(source.record(info["name"], entry["id"]))
        except (NotFoundError, FormatError) as error:
            problems.append(f"{info['name']}: {error}")
            continue
        layer = described["meta"].get("layer")
        layer = layer if isinstance(layer, str) and layer else entry["tag"]
        page = KINDS[entry["kind"]].view
        layer = layer if entry["kind"] in _OF_LAYERS else ""
        parts.append(Part(entry["id"], entry["kind"], page, layer, entry["bytes"], described))
    parts = _of_last_projections(parts)
    series = [(one["kind"], one["tag"], one["count"]) for one in info["series"] if view_of(one["kind"])]
    name = logdir if info["name"] == "." and logdir not in names else info["name"]
    return SelectedRun(name, info["name"], parts, series, info)


def _latest(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the records that count: of several with one tag and step the last, as every view has it.

    Projections are told apart later: one is written in several records.
    """
    last = {_place(one): one["id"] for one in records}
    return [one for one in records if one["kind"] == "projection" or last[_place(one)] == one["id"]]


def _place(record: Mapping[str, Any]) -> tuple[str, str, int]:
    return record["kind"], record["tag"], record["step"]


def _of_last_projections(parts: list[Part]) -> list[Part]:
    """Return the records without projections that were made anew: of one tag and step the parts of the last stay."""
    last = {_place(part.described): part.described["meta"].get("projection") for part in parts}
    return [
        part
        for part in parts
        if part.kind != "projection" or last[_place(part.described)] == part.described["meta"].get("projection")
    ]


def _narrowed(whole: Selected, choice: Choice) -> list[SelectedRun]:
    _check("page", choice.pages, whole.pages(), whole.name)
    pages = set(whole.pages() if choice.pages is None else choice.pages)
    runs = [_narrow(run, pages, partial(_part, choice=choice), choice.step) for run in whole.runs]
    parts = [part for part in whole.parts if part.page in pages]
    _check("layer", choice.layers, [*dict.fromkeys(part.layer for part in parts if part.layer)], whole.name)
    rules = [rule for part in parts for rule in part.known_rules]
    _check("rule", choice.rules, [*dict.fromkeys(rules)], whole.name)
    if choice.channels is not None:
        _check_channels(choice, [part for part in parts if part.kind == "topk"])
    return [run for run in runs if run.parts or run.series]


def _check(noun: str, wanted: Iterable[str] | None, known: list[str], where: str) -> None:
    for name in wanted or ():
        if name not in known:
            raise not_found(noun, name, known, where)


def _check_channels(choice: Choice, parts: list[Part]) -> None:
    chosen = [part for part in parts if choice.layers is None or part.layer in choice.layers]
    most = max((part.count for part in chosen), default=0)
    if not most:
        raise InputError("channels are those of the layer pages, of which none is exported; leave the channels away")
    for channel in choice.channels or ():
        if not 0 <= channel < most:
            raise NotFoundError(f"no channel {channel} in the layers exported; the largest has {most}, from 0")


def _narrow(run: SelectedRun, pages: set[str], narrow: Any, step: int | None) -> SelectedRun:
    parts = [part for part in run.parts if part.page in pages]
    if step is not None:
        parts = _at_step(parts, step)
    kept = [cut for part in parts if (cut := narrow(part)) is not None]
    series = [one for one in run.series if view_of(one[0]) in pages]
    return SelectedRun(run.name, run.asked, kept, series, run.info)


def _at_step(parts: list[Part], step: int) -> list[Part]:
    """Return of each kind and tag the last at or before a step; an embedding keeps its projections, all parts."""
    last: dict[tuple[str, str], Part] = {}
    for part in parts:
        if part.kind == "projection":
            continue
        place = part.kind, part.described["tag"]
        if part.described["step"] <= step and part.described["step"] >= (
            last[place].described["step"] if place in last else 0
        ):
            last[place] = part
    kept = {part.id for part in last.values()}
    return [part for part in parts if part.id in kept or _is_part_of(part, last)]


def _is_part_of(part: Part, kept: Mapping[tuple[str, str], Part]) -> bool:
    """Tell whether a record is of a projection of an embedding that is kept."""
    embedding = kept.get(("embedding", part.described["tag"].rpartition("/")[0]))
    return part.kind == "projection" and embedding is not None and embedding.described["step"] == part.described["step"]


def _part(part: Part, choice: Choice) -> Part | None:
    """Return what is wanted of a record; nothing where none of it is."""
    if choice.layers is not None and part.layer and part.layer not in choice.layers:
        return None
    return part_of(part, choice.channels, choice.rules)
