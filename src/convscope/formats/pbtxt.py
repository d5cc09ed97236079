"""The text form of Protocol Buffers, as far as configuration files need it: fields with their place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from convscope.errors import FormatError

_DEEPEST: Final = 32
_TOKEN: Final = re.compile(
    r"""(?:\s|\#[^\n]*)*+
    (?:(?P<string>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')|(?P<word>[\w.+-]++)|(?P<mark>[{}<>\[\]:;,])|(?P<end>\Z))""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_CLOSING: Final = {"{": "}", "<": ">"}
_WRITTEN: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes
    ----------
    name
        The field's name; one that is written as a list stands here once for each of its items.
    value
        Its text (strings without their quotes), or the fields of the message it holds.
    source
        The value as it is written.
    """

    name: str
    value: str | list[Field]
    source: str


def quote(text: str) -> str:
    r"""Return a string as it stands in the text form.

    >>> print(quote('a "b"'))
    "a \"b\""
    """
    return '"' + re.sub(r'["\\\x00-\x1f\x7f]', _written, text) + '"'


def _written(match: re.Match[str]) -> str:
    return _WRITTEN.get(match[0]) or f"\\{ord(match[0]):03o}"


def parse(text: str) -> list[Field]:
    """Return the fields of a message.

    >>> [(field.name, field.value) for field in parse('path: "a" size: 3')]
    [('path', 'a'), ('size', '3')]

    Raises
    ------
    FormatError
        If the text is not that of a message.
    """
    return list(_Reader(text).fields("", 0))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._before = self._after = 0  # where the token in hand begins, and where it ends
        self._kind = self._token = ""
        self._advance()

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._after)
        if match is None or match.lastgroup is None:
            raise FormatError(f"line {self._line()} is not text of a protocol buffer")
        self._last = self._after
        self._kind, self._token = match.lastgroup, match[match.lastgroup]
        self._before, self._after = match.span(match.lastgroup)

    def _line(self) -> int:
        return self._text.count("\n", 0, self._after) + 1

    def _fail(self, wanted: str) -> FormatError:
        found = repr(self._token[:40]) if self._token else "its end"
        return FormatError(f"line {self._line()} should have {wanted} where it has {found}")

    def fields(self, closing: str, depth: int) -> Iterator[Field]:
        if depth > _DEEPEST:
            raise FormatError(f"messages are nested deeper than {_DEEPEST}")
        while self._token != closing or self._kind == "string":
            if self._kind != "word":
                raise self._fail("the name of a field")
            name = self._token
            self._advance()
            if self._is(":"):
                self._advance()
            elif not (self._is("{") or self._is("<")):
                raise self._fail("':'")
            yield from self._values(name, depth)
            if self._is(";") or self._is(","):
                self._advance()

    def _is(self, mark: str) -> bool:
        return self._kind == "mark" and self._token == mark

    def _values(self, name: str, depth: int) -> Iterator[Field]:
        if not self._is("["):
            yield self._value(name, depth)
            return
        self._advance()
        while not self._is("]"):
            yield self._value(name, depth)
            if self._is(","):
                self._advance()
            elif not self._is("]"):
                raise self._fail("']'")
        self._advance()

    def _value(self, name: str, depth: int) -> Field:
        start = self._before
        value: str | list[Field]
        if self._kind == "mark" and self._token in _CLOSING:
            closing = _CLOSING[self._token]
            self._advance()
            value = list(self.fields(closing, depth + 1))
            self._advance()
        elif self._kind == "string":
            value = ""
            while self._kind == "string":  # strings side by side are one
                value += _unescaped(self._token[1:-1])
                self._advance()
        elif self._kind == "word":
            value = self._token
            self._advance()
        else:
            raise self._fail("a value")
        return Field(name, value, self._text[start : self._last])


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_character, text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _character(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, other = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    return bytes([int(hexadecimal, 16)]) if hexadecimal else _ESCAPES.get(other, other)
