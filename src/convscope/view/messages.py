"""The questions of a page that can only pass messages, as in a notebook: JSON and bytes in, JSON and bytes out.

A question is ``{"id": …, "ask": NAME, …}``; the answer has the same ``id`` and ``value`` or ``error``, and at most one
buffer of bytes. What may be asked is the table :data:`QUESTIONS`; all that a page names is checked before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from convscope.errors import ConvscopeError, InputError, not_found
from convscope.view.source import PICTURE_TYPES, Source

MOST_NAMES: Final = 1000
_TYPES: Final = {str: "a text", int: "a whole number", list: "a list"}


class Reply(NamedTuple):
    """What is answered: JSON, and bytes where there are any."""

    value: Any
    data: bytes | None = None


class Question:
    """The fields of a question, each checked when it is read."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Return a field that is a text."""
        value: str = self._field(name, str)
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """Return a field that is a whole number."""
        value: int = self._field(name, int, default)
        return value

    def texts(self, name: str) -> list[str]:
        """Return a field that is a list of texts."""
        values: list[str] = self._field(name, list)
        if len(values) > MOST_NAMES or not all(isinstance(value, str) for value in values):
            raise InputError(f"the field {name!r} is a list of at most {MOST_NAMES} names")
        return values

    def rows(self) -> slice | None:
        """Return the rows that are wanted; ``None`` for all."""
        rows = self._fields.get("rows")
        if rows is None:
            return None
        if not (isinstance(rows, list) and len(rows) == 2 and all(_is_whole(row) and row >= 0 for row in rows)):
            raise InputError(f"rows are two whole numbers from 0 on, got {str(rows)[:60]}")
        return slice(rows[0], rows[1])

    def _field(self, name: str, kind: type, default: Any = None) -> Any:
        value = self._fields.get(name, default)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(f"the field {name!r} is {_TYPES[kind]}, got {str(value)[:60]!r}")
        return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _changes(source: Source, question: Question) -> Reply:
    return Reply(json.loads(source.changes(question.number("since", 0)).to_json()))


def _series(source: Source, question: Question) -> Reply:
    start = max(question.number("start", 0), 0)
    return Reply(None, source.series(question.text("run"), question.text("kind"), question.text("tag"), start))


def _text(source: Source, question: Question) -> Reply:
    whole = bool(question.number("whole", 0))
    data, size = source.text(*_entry(question), whole=whole)
    return Reply({"bytes": size, "type": "text/plain;charset=utf-8"}, data)


def _audio(source: Source, question: Question) -> Reply:
    data, kind = source.audio(*_entry(question))
    return Reply({"type": kind}, data)


def _image(source: Source, question: Question) -> Reply:
    data, kind = source.image(*_entry(question))
    return Reply({"type": kind}, data)


def _mesh(source: Source, question: Question) -> Reply:
    return Reply(None, source.mesh(*_entry(question), question.number("item", 0)))


def _entry(question: Question) -> tuple[str, str, int]:
    return question.text("run"), question.text("tag"), question.number("index")


def _graph(source: Source, question: Question) -> Reply:
    return Reply(dict(source.graph(question.text("run"), question.number("index"))))


def _record(source: Source, question: Question) -> Reply:
    return Reply(dict(source.record(question.text("run"), question.text("record"))))


def _arrays(source: Source, question: Question) -> Reply:
    names = question.texts("names")
    return Reply(None, source.arrays(question.text("run"), question.text("record"), names, question.rows()))


def _picture(source: Source, question: Question) -> Reply:
    file = question.text("file")
    kind = PICTURE_TYPES.get("." + file.rpartition(".")[2].lower(), "application/octet-stream")
    return Reply({"type": kind}, source.picture(question.text("run"), question.text("record"), file))


QUESTIONS: Final[Mapping[str, Callable[[Source, Question], Reply]]] = {
    "changes": _changes,
    "version": lambda source, _: Reply(source.version()),
    "series": _series,
    "text": _text,
    "audio": _audio,
    "image": _image,
    "mesh": _mesh,
    "hparams": lambda source, _: Reply(dict(source.hparams())),
    "layout": lambda source, question: Reply(dict(source.layout(question.text("run")))),
    "graph": _graph,
    "record": _record,
    "arrays": _arrays,
    "picture": _picture,
}
"""What a page can ask a source by messages, by name."""


def reply_to(source: Source, fields: Mapping[str, Any]) -> Reply:
    """Answer one question.

    Raises
    ------
    ConvscopeError
        If there is no such question, or no answer to it.
    """
    name = str(fields.get("ask"))
    if name not in QUESTIONS:
        raise not_found("question", name[:60], QUESTIONS)
    return QUESTIONS[name](source, Question(fields))


def sentence_of(error: Exception) -> str:
    """Return what a page is told of an error: ours as they are, of others their type too."""
    return str(error) if isinstance(error, ConvscopeError) else f"{type(error).__name__}: {error}"
