"""What people hand to ``show``: directories, runs, results and arrays, as something that answers a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.embed import Embedding
from convscope.embed.projection import Projection
from convscope.errors import InputError, not_found
from convscope.inspect.filters import examine_filters
from convscope.inspect.maps import FeatureMaps
from convscope.inspect.volume import Volume
from convscope.notebook.html import as_summary
from convscope.store import Logdir, Run
from convscope.summary import KINDS, Summary
from convscope.view.memory import MemorySource
from convscope.view.serve import make_source
from convscope.view.source import LogdirSource, Source

MOST_PICTURES: Final = 16
_SMALL: Final = 32
"""Filters have at most so many positions a side, unless it is said that they are filters."""
_NAME: Final = "results"


@dataclass(frozen=True)
class Given:
    """What is to be shown.

    Attributes
    ----------
    source
        What answers.
    start
        The address of the page to begin with; empty for the first one.
    compact
        Whether it is one result, which can stand alone.
    summaries
        The results, where it is results.
    place
        The directory of runs, where it is one.
    """

    source: Source
    start: str = ""
    compact: bool = False
    summaries: tuple[Summary, ...] = ()
    place: Any = None


def given_to_show(given: Sequence[Any], *, as_: str | None = None, tag: str = "") -> Given:
    """Return what answers for what was handed in.

    Parameters
    ----------
    given
        Directories of runs (paths, URLs, :class:`~convscope.store.Run`, :class:`~convscope.store.Logdir`), or results
        and arrays; lists and dictionaries of these count as several.
    as_
        What arrays are: a name of :data:`ARRAYS`.
    tag
        What a result is called.

    Raises
    ------
    InputError
        If there is nothing, directories and results are mixed, or something cannot be shown.
    NotFoundError
        If there is no such directory, or arrays are not shown as ``as_``.
    """
    if as_ is not None and as_ not in ARRAYS:
        raise not_found("way to show an array", as_, ARRAYS)
    whole = list(_flat(given))
    if not whole:
        raise InputError("nothing to show; give a directory of runs, a result or an array")
    places = [one for one in whole if isinstance(one, str | Path | Run | Logdir)]
    if not places:
        return _of_results(_summaries(whole, as_, tag))
    if len(places) < len(whole):
        raise InputError("runs and results are shown one at a time; call show for each, or write the results to a run")
    if as_ or tag:
        raise InputError("as_ and tag are for results and arrays; a run has its own names")
    return _of_places(places)


def _flat(given: Iterable[Any]) -> Iterable[Any]:
    """Yield what lists and dictionaries hold, unless they are arrays written as lists."""
    for one in given:
        if isinstance(one, Mapping):
            yield from _flat(one.values())
        elif isinstance(one, list | tuple) and not (one and _is_numbers(one)):
            yield from _flat(one)
        else:
            yield one


def _is_numbers(values: Sequence[Any]) -> bool:
    """Tell whether a list is an array: of numbers, or of such lists."""
    first = values[0]
    return isinstance(first, int | float | complex | np.generic) or (
        isinstance(first, list | tuple) and bool(first) and _is_numbers(first)
    )


def _of_places(places: Sequence[Any]) -> Given:
    if len(places) == 1 and isinstance(places[0], Logdir):
        return Given(LogdirSource(places[0]), place=places[0])
    paths = [str(place) if isinstance(place, str | Path) else str(place.path) for place in places]
    return Given(make_source(paths[0] if len(paths) == 1 else paths, None), place=places[0])


def _of_results(summaries: Sequence[Summary]) -> Given:
    source = MemorySource(_NAME, summaries)
    views = list(dict.fromkeys(KINDS[summary.kind].view for summary in summaries))
    first = summaries[0]
    start = f"#/{views[0]}?run={_NAME}&tag={quote(first.tag, safe='')}"
    return Given(source, start, len(views) == 1, tuple(summaries))


def _summaries(whole: Sequence[Any], as_: str | None, tag: str) -> list[Summary]:
    """Return all results as summaries; those of one kind and name are told apart by a number."""
    made: list[Summary] = []
    for one in whole:
        made += _summaries_of(one, as_, tag, made)
    taken: set[tuple[str, str, int]] = set()
    for number, summary in enumerate(made):
        name = next(
            name
            for name in (summary.tag, *(f"{summary.tag} ({n})" for n in range(2, len(made) + 2)))
            if (summary.kind, name, summary.step) not in taken
        )
        taken.add((summary.kind, name, summary.step))
        made[number] = replace(summary, tag=name)
    return made


def _summaries_of(one: Any, as_: str | None, tag: str, before: Sequence[Summary]) -> list[Summary]:
    if isinstance(one, Projection):
        return [_projected(one, tag, before)]
    if isinstance(one, Embedding):
        return _embedded(one, tag)
    if isinstance(one, Summary) or hasattr(one, "to_summary"):
        return [as_summary(one, tag)]
    return _of_array(one, as_, tag)


def _projected(projection: Projection, tag: str, before: Sequence[Summary]) -> Summary:
    """Return a projection as it stands beside its embedding, which was handed in before it."""
    of = next((summary for summary in reversed(before) if summary.kind == "embedding"), None)
    if of is None:
        raise InputError("a projection is shown with its embedding; say show(embedding, projection)")
    if len(projection.points) != len(of.arrays["vector"]):
        raise InputError(
            f"the projection has {len(projection.points):,} points and the embedding before it "
            f"{len(of.arrays['vector']):,}; show a projection of that embedding"
        )
    return projection.to_summary(f"{of.tag}/{tag or projection.method}", of.step)


def _embedded(embedding: Embedding, tag: str) -> list[Summary]:
    """Return an embedding with its principal components, so that there is a layout to see."""
    whole = embedding.to_summary(tag)
    if len(embedding) < 2 or embedding.vectors.shape[1] < 2:
        return [whole]
    return [whole, embedding.project("pca").to_summary(f"{whole.tag}/pca", whole.step)]


def _of_array(value: Any, as_: str | None, tag: str) -> list[Summary]:
    if isinstance(value, np.ma.MaskedArray):  # what is masked has a value beneath, which nobody means to see
        raise InputError("a masked array is not shown; say what stands where it is masked: array.filled(numpy.nan)")
    try:
        array = as_numpy(value)
    except InputError as error:
        raise InputError(
            f"cannot show {type(value).__name__}; give a directory of runs, a result or an array of numbers"
        ) from error
    if array.dtype.kind not in "biuf" or 0 in array.shape:
        raise InputError(f"an array to show has real numbers in it, got {array.dtype} of shape {array.shape}")
    return ARRAYS[as_ or _guess(array)](array, tag)


def _guess(array: npt.NDArray[Any]) -> str:
    """Return what an array is by its shape."""
    if array.ndim == 2:
        return "embedding"
    if array.ndim == 3:
        return "maps"
    if array.ndim == 4:
        return "filters" if max(array.shape[2:]) <= _SMALL else "maps"
    raise InputError(
        f"an array of shape {array.shape} is not filters (O, I, h, w), maps (C, H, W) or vectors (N, D); reshape it"
    )


def _filters(array: npt.NDArray[Any], tag: str) -> list[Summary]:
    if array.ndim == 2:  # weights of a linear layer
        array = array[:, :, None, None]
    if array.ndim == 3:
        array = array[:, None]
    return [examine_filters(array, layer=tag or "filters").to_summary()]


def _volume(array: npt.NDArray[Any], tag: str) -> list[Summary]:
    return [Volume(array).to_summary(tag)]


def _maps(array: npt.NDArray[Any], tag: str) -> list[Summary]:
    if array.ndim != 4:
        return [FeatureMaps(array).to_summary(tag or "maps")]
    if len(array) > MOST_PICTURES:
        raise InputError(f"maps of {len(array):,} pictures are too many; show some: array[:{MOST_PICTURES}]")
    name = tag or "maps"
    return [FeatureMaps(one, image={"name": str(n)}).to_summary(f"{name} {n}") for n, one in enumerate(array)]


def _embedding(array: npt.NDArray[Any], tag: str) -> list[Summary]:
    return _embedded(Embedding(array.reshape(len(array), -1)), tag)


ARRAYS: Final[Mapping[str, Callable[[npt.NDArray[Any], str], list[Summary]]]] = {
    "filters": _filters,
    "maps": _maps,
    "volume": _volume,
    "embedding": _embedding,
}
"""What an array can be shown as."""
