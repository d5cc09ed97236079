"""The search language: words, "phrases", ``/expressions/``, ``class:NAME``, ``column:TERM``, and ``-`` for not.

``web/src/lib/search.ts`` has the same; ``tests/data/search_cases.json`` holds both to one table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

Tiers = npt.NDArray[np.int8]

EXACT: Final = 3
WORD: Final = 2
PART: Final = 1
CLASS: Final = "class"
_TERM: Final = re.compile(
    r"""(?P<sign>-?)(?:(?:"(?P<quoted>[^"]+)"|(?P<name>[^\s":/]+)):(?=\S))?"""
    r"""(?:"(?P<phrase>[^"]*)(?:"|$)|/(?P<regex>(?:[^/\\]|\\.)+)/(?=\s|$)|(?P<word>\S+))"""
)


@dataclass(frozen=True)
class Matches:
    """What a query finds, in three tiers: "dog" is the name "dog", a word of "hot dog", a part of "dogfish".

    Attributes
    ----------
    exact, word, part
        The indices of the points, ascending; each point is in its best tier only.
    """

    exact: npt.NDArray[np.intp]
    word: npt.NDArray[np.intp]
    part: npt.NDArray[np.intp]

    @property
    def best(self) -> npt.NDArray[np.intp]:
        """The points of the best tier in which there are any."""
        return next((tier for tier in (self.exact, self.word) if len(tier)), self.part)


@dataclass(frozen=True)
class Field:
    """Texts that a search looks at: those of the labels or of one column.

    Attributes
    ----------
    name
        What a query calls it.
    values
        Its distinct texts, or the text of each point.
    codes
        ``(N,)``: which of the values each point has, -1 for none.
    is_number
        Whether it is looked at only where the query names it.
    """

    name: str
    values: Sequence[str | None]
    codes: npt.NDArray[np.integer]
    is_number: bool = False

    @cached_property
    def folded(self) -> list[str]:
        """The values without case and accents."""
        return [fold(value or "") for value in self.values]

    def spread(self, tiers: list[int]) -> Tiers:
        """Return the tier of each point from those of the values."""
        found: Tiers = np.array([*tiers, 0], np.int8)[self.codes]  # -1 is the last
        return found


@dataclass(frozen=True)
class Term:
    """One term of a query."""

    text: str
    is_excluded: bool = False
    column: str = ""
    is_regex: bool = False
    is_word: bool = False
    pattern: re.Pattern[str] = field(default=re.compile(""))

    def tiers(self, fields: Sequence[Field]) -> Tiers:
        """Return the best tier of each point in the fields this term looks at."""
        named = self.column.casefold()
        if named == CLASS:  # the label, whatever the columns are called
            looked_at = list(fields[:1])
        else:
            looked_at = [one for one in fields if (one.name.casefold() == named if named else not one.is_number)]
        found = [self._tiers_in(one) for one in looked_at]
        best: Tiers = np.max(found, axis=0) if found else np.zeros(len(fields[0].codes), np.int8)
        return np.where(best == EXACT, best, np.int8(0)) if named == CLASS else best

    def _tiers_in(self, one: Field) -> Tiers:
        if self.is_regex:
            return one.spread([EXACT if value and self.pattern.search(value) else 0 for value in one.values])
        wanted = fold(self.text)
        word = re.compile(rf"(?<!\w){re.escape(wanted)}(?!\w)")
        return one.spread([_tier(text, wanted, word) if wanted and wanted in text else 0 for text in one.folded])


def find(query: str, fields: Sequence[Field]) -> Matches:
    """Find the points that a query means.

    Parameters
    ----------
    query
        Its terms; a point must match all of them, and none that begins with ``-``.
    fields
        What is known of the points; the first is their label.

    Raises
    ------
    InputError
        If a regular expression is none.
    """
    terms = parse(query, [one.name for one in fields[1:]])
    wanted = [term for term in terms if not term.is_excluded]
    tiers = np.full(len(fields[0].codes), EXACT if terms else 0, np.int8)
    if words := [term for term in wanted if term.is_word]:
        of_words = np.min([term.tiers(fields) for term in words], axis=0)
        together = Term(" ".join(term.text for term in words)).tiers(fields)  # a name of two words
        tiers = np.where(together == EXACT, np.int8(EXACT), of_words)
    for term in wanted:
        if not term.is_word:
            tiers = np.minimum(tiers, term.tiers(fields))
    for term in terms:
        if term.is_excluded:
            tiers[term.tiers(fields) >= WORD] = 0
    return Matches(*(np.flatnonzero(tiers == tier) for tier in (EXACT, WORD, PART)))


def parse(query: str, columns: Sequence[str]) -> list[Term]:
    """Return the terms of a query.

    >>> [(term.text, term.column, term.is_excluded) for term in parse('dog -class:"hot dog"', [])]
    [('dog', '', False), ('hot dog', 'class', True)]

    Raises
    ------
    InputError
        If a regular expression is none.
    """
    known = {CLASS, *(name.casefold() for name in columns)}
    terms = []
    for match in _TERM.finditer(query):
        column = match["quoted"] or match["name"] or ""
        if column and column.casefold() not in known:  # no column: the text as it stands
            terms.append(Term(match[0].removeprefix("-"), bool(match["sign"]), is_word=True))
            continue
        text = match["phrase"] or match["regex"] or match["word"] or ""
        is_word = match["word"] is not None and not column
        pattern = _compiled(text) if match["regex"] else re.compile("")
        if text.strip():
            terms.append(Term(text, bool(match["sign"]), column, match["regex"] is not None, is_word, pattern))
    return terms


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"/{text:.60}/ is not a regular expression ({error}); leave out the slashes to find text"
        ) from None


def fold(text: str) -> str:
    """Return text without case and accents.

    >>> fold(" Crème Brûlée")
    'creme brulee'
    """
    if text.isascii():
        return text.lower().strip()
    parts = unicodedata.normalize("NFKD", text.lower())
    return "".join(letter for letter in parts if not unicodedata.category(letter).startswith("M")).strip()


def _tier(text: str, wanted: str, word: re.Pattern[str]) -> int:
    """Return the tier in which a folded text has a folded term that occurs in it."""
    if any(name.strip() == wanted for name in re.split("[,;]", text)):
        return EXACT
    return WORD if word.search(text) else PART
