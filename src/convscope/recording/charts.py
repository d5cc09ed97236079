"""Which curves stand in one chart: what the user says, and one chart for each call of ``add_scalars``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from convscope.formats import events
from convscope.formats.layout import MULTILINE, TAG, Chart, Layout, encode_layout, merge
from convscope.recording.base import Recorder, tag_of

CURVES: Final = "curves"
"""The category of the charts that nobody asked for by name."""

_UNTITLED: Final = "untitled"
_MOST_LISTED: Final = 50
_SPECIAL: Final = re.compile(r"[.^$*+?{}\[\]\\|()]")


class ChartKeeper(Recorder):
    """A recorder that knows its layout. TensorBoard takes the last one of a run, so each is written whole."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._charts: dict[tuple[str, str], Chart] = {}
        self._curves: dict[str, dict[str, str]] = {}  # for each chart: tags as they were given, and as they are stored

    def _take(self, category: str, charts: Iterable[Chart]) -> None:
        """Take charts; one that has the category and the title of another replaces it."""
        for chart in charts:
            self._charts[category, chart.title] = chart

    def _free_title(self, category: str, chart: Chart) -> Chart:
        """Give a number to a chart without a title of its own, where another is there already."""
        number, title = 1, chart.title
        while chart.title == _UNTITLED and (there := self._charts.get((category, title))) is not None:
            if (there.kind, there.tags) == (chart.kind, chart.tags):
                break
            number += 1
            title = f"{_UNTITLED} {number}"
        return Chart(title, chart.kind, chart.tags)

    def _show_together(self, main_tag: str, tags: Iterable[str]) -> None:
        """Let curves stand in one chart."""
        known = self._curves.setdefault(main_tag, {})
        full = len(known) > _MOST_LISTED
        for tag in tags:
            known[tag] = tag_of(tag)
        if not full:
            self._write_layout()

    def _are_together(self, main_tag: str, tags: Mapping[str, Any]) -> bool:
        known = self._curves.get(main_tag)
        return known is not None and tags.keys() <= known.keys()

    def _write_layout(self) -> None:
        """Write the layout, and again where another thread has changed it meanwhile: the last one must have it all."""
        written = None
        while written != (layout := self._layout()):
            fields = encode_layout(layout)
            self._log.append(events.encode_values(self._time(None), 0, [(TAG, fields)]))
            written = layout

    def _layout(self) -> Layout:
        automatic = tuple(_chart(main_tag, tuple(tags.values())) for main_tag, tags in list(self._curves.items()))
        asked_for = [{category: (chart,)} for (category, _), chart in list(self._charts.items())]
        return merge([*asked_for, *([{CURVES: automatic}] if automatic else []), *asked_for])


def _chart(main_tag: str, tags: tuple[str, ...]) -> Chart:
    """Return the chart of some curves; of a great many it only says how their tags begin."""
    if len(tags) > _MOST_LISTED:
        return Chart(main_tag, MULTILINE, (f"{_pattern(main_tag)}/",))
    return Chart(main_tag, MULTILINE, tuple(f"{_pattern(tag)}$" for tag in tags))


def _pattern(tag: str) -> str:
    """Return the regular expression for a tag; what stands in most tags stays readable."""
    return _SPECIAL.sub(r"\\\g<0>", tag)
