"""A result, a run or a directory of runs as a piece of HTML that runs nothing: a small picture and what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from inspect import Parameter, signature
from typing import Any, Final

import numpy as np

from convscope.notebook.still import data_uri, still_of
from convscope.store import Logdir, Run
from convscope.summary import KINDS, Summary

_LONGEST: Final = 120
_ROWS: Final = 12
_BOX: Final = "display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start;font:13px/1.5 system-ui,sans-serif"
_IMAGE: Final = "max-width:100%;border-radius:4px"
Facts = list[tuple[str, str]]


def html_of(result: Any) -> str:
    """Return the HTML of a result, a :class:`~convscope.store.Run` or a :class:`~convscope.store.Logdir`."""
    if isinstance(result, Logdir):
        return _block("", _of_logdir(result))
    if isinstance(result, Run):
        return _block("", _of_run(result))
    return html_of_summaries([as_summary(result)])


def html_of_summaries(summaries: Sequence[Summary]) -> str:
    """Return the HTML of some results, of many the first few."""
    shown = [_of_summary(summary) for summary in summaries[:_ROWS]]
    more = len(summaries) - len(shown)
    return "".join(shown) + (f"<p>and {more:,} more</p>" if more > 0 else "")


def as_summary(result: Any, tag: str = "") -> Summary:
    """Return a result as a summary; it is called ``tag``, or as it names itself."""
    if isinstance(result, Summary):
        return result
    named = signature(result.to_summary).parameters["tag"].default is not Parameter.empty
    made: Summary = result.to_summary(tag or ("" if named else type(result).__name__.lower()))
    return made


def _of_summary(summary: Summary) -> str:
    picture = still_of(summary)
    facts = [("", f"{summary.kind.replace('_', ' ')}: {summary.tag}"), *facts_of(summary)]
    if picture is None:
        return _block("", facts)
    source = data_uri(picture)
    return _block(f'<img alt="{escape(_short(facts[0][1]))}" src="{source}" style="{_IMAGE}">', facts)


def facts_of(summary: Summary) -> Facts:
    """Return what is known of a result: names and values."""
    meta = summary.meta
    facts: Facts = [(name, str(meta[name])) for name in ("network", "layer", "dataset", "method") if meta.get(name)]
    if summary.step:
        facts.append(("step", f"{summary.step:,}"))
    facts += [(name, f"{_shape(array.shape)} {array.dtype}") for name, array in _main(summary).items()]
    if "images_seen" in meta:
        facts.append(("images", f"{meta['images_seen']:,} of {meta['images_total']:,}"))
    if summary.kind == "volume":
        facts.append(("order", str(meta.get("order"))))
    health = meta.get("health")
    if isinstance(health, dict) and health.get("sentence"):
        facts.append(("health", str(health["sentence"])))
    if summary.kind == "confusion_matrix":
        counts = np.asarray(summary.arrays["counts"])
        facts.append(("right", f"{np.trace(counts) / max(1, counts.sum()):.1%} of {counts.sum():,}"))
    return facts


def _main(summary: Summary) -> Mapping[str, Any]:
    """Return the arrays that say most: the first two that all results of the kind have."""
    named = [name for name in KINDS[summary.kind].arrays if name in summary.arrays]
    return {name: summary.arrays[name] for name in (named or list(summary.arrays))[:2]}


def _of_run(run: Run) -> Facts:
    tags = run.tags()
    facts: Facts = [("", f"run {run.name}"), ("directory", str(run.path))]
    facts += [(kind.replace("_", " "), _listed(names)) for kind, names in tags.items() if names]
    facts += [("problem", problem) for problem in list(run.problems)[:3]]
    return facts


def _of_logdir(logdir: Logdir) -> Facts:
    runs = logdir.runs()
    facts: Facts = [("", f"{len(runs):,} {'run' if len(runs) == 1 else 'runs'}"), ("directory", str(logdir.path))]
    facts += [(run.name, _listed(kind for kind, names in run.tags().items() if names)) for run in runs[:_ROWS]]
    return facts if len(runs) <= _ROWS else [*facts, ("", f"and {len(runs) - _ROWS:,} more")]


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    return f"{', '.join(known[:6])}{f' and {len(known) - 6:,} more' if len(known) > 6 else ''}"


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(f"{size:,}" for size in shape) or "1"


def _block(picture: str, facts: Facts) -> str:
    """Return a picture and a table; every name and value is escaped."""
    rows = "".join(
        f'<tr><td colspan="2" style="text-align:left"><b>{escape(_short(value))}</b></td></tr>'
        if not name
        else f'<tr><td style="text-align:left;opacity:.7">{escape(_short(name))}</td>'
        f'<td style="text-align:left">{escape(_short(value))}</td></tr>'
        for name, value in facts
    )
    return f'<div style="{_BOX}">{picture}<table>{rows}</table></div>'


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
