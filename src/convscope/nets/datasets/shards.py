"""Which files a pattern means: braces as WebDataset writes them, stars, several files, a single one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from convscope.errors import InputError, NotFoundError

MAX_SHARDS: Final = 1_000_000
_BRACES: Final = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{},]*(?:,[^{},]*)+)\}")


def shard_paths(given: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the files that paths and patterns name: patterns with stars sorted, all else in the order given.

    >>> [str(path) for path in shard_paths(["a-{08..10}.tar"])]
    Traceback (most recent call last):
    ...
    convscope.errors.NotFoundError: no file 'a-08.tar'; give the paths or patterns of files that are there

    Raises
    ------
    NotFoundError
        If one is not there, or nothing fits a pattern.
    """
    paths: list[Path] = []
    for one in [given] if isinstance(given, str | Path) else given:
        for text in _expanded(str(one)):
            found = sorted(glob(text)) if has_magic(text) and not Path(text).exists() else [text]  # noqa: PTH207
            if not found or not Path(found[0]).is_file():
                raise NotFoundError(f"no file {text!r}; give the paths or patterns of files that are there")
            paths += [Path(path) for path in found]
    if not paths:
        raise InputError("no files were given; give at least one path or pattern")
    return paths


def _expanded(text: str) -> list[str]:
    """Return what the braces of a pattern stand for: ``{000..003}`` keeps its zeros, ``{a,b}`` lists."""
    match = _BRACES.search(text)
    if match is None or Path(text).exists():
        return [text]
    if match[3] is not None:
        parts = match[3].split(",")
    else:
        low, high = int(match[1]), int(match[2])
        if not 0 <= high - low < MAX_SHARDS:
            raise InputError(
                f"{match[0]} in {text!r} stands for {high - low + 1:,} files; expected 1 to {MAX_SHARDS:,}"
            )
        parts = [str(number).zfill(len(match[1])) for number in range(low, high + 1)]
    return [rest for part in parts for rest in _expanded(text[: match.start()] + part + text[match.end() :])]
