"""The text of an exported file: its head, the program in packed chunks, and the blocks of data.

Nothing that a user has named is in it but in base64, inside elements that no browser runs. A policy in the head forbids
every request; the first script and the chunks may run because their hashes are in it. Styles need ``'unsafe-inline'``:
views set some on elements, and a style can fetch nothing.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from convscope.view import program
from convscope.view.blocks import Block

END: Final = "end"
"""The last element: a file without it was cut off on its way."""


class FrontEnd(NamedTuple):
    """What of the program a file carries: how it begins, and its chunks, each after those that it needs."""

    program: program.Program
    chunks: tuple[tuple[str, bytes], ...]


def front_end(views: Iterable[str]) -> FrontEnd:
    """Return the program with the chunks of some views only.

    Raises
    ------
    StorageError
        If the front end is not built.
    """
    whole = program.entry("page")
    names = dict.fromkeys([*whole.scripts, *program.chunks(views)])
    return FrontEnd(whole, tuple((name, program.chunk(name)) for name in names))


def document(parts: FrontEnd, blocks: Sequence[Block], manifest: int, version: str) -> bytes:
    """Return the file.

    The program and the block that says what the others are come first: the page can be used while the browser is still
    reading the others, the small ones before the large ones.
    """
    boot = parts.program.boot
    allowed = " ".join(f"'sha256-{_hash(script)}'" for script in (boot.encode(), *(text for _, text in parts.chunks)))
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src data: blob:; font-src data:; connect-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta name="generator" content="convscope {version}">\n<title>convscope</title>\n'
        f'<link rel="icon" href="data:image/svg+xml;base64,{_base64(parts.program.icon)}">\n'
        f'<style>{parts.program.style}</style>\n</head>\n<body>\n<div id="app" data-manifest="{manifest}"></div>\n'
        "<noscript>convscope draws its figures with JavaScript; please allow it for this page.</noscript>\n"
    )
    chunks = [_element(f"chunk-{name}", "application/gzip", _packed(text)) for name, text in parts.chunks]
    start = f'<script data-start="{parts.program.start}">{boot}</script>\n'
    first = [_block(manifest, blocks[manifest])] if blocks else []
    data = [_block(number, blocks[number]) for number in _in_order(blocks) if number != manifest]
    end = f'<template id="{END}"></template>\n</body>\n</html>\n'
    return "".join([head, *first, *chunks, start, *data, end]).encode()


def _in_order(blocks: Sequence[Block]) -> list[int]:
    """Return the numbers of the blocks: those of small pages first, and of each page numbers before pictures."""
    sizes: dict[str, int] = {}
    for block in blocks:
        sizes[block.page] = sizes.get(block.page, 0) + len(block.data)
    rank = {page: place for place, page in enumerate(sorted(sizes, key=lambda page: (sizes[page], page)))}
    return sorted(range(len(blocks)), key=lambda n: (rank[blocks[n].page], not blocks[n].is_packed))


def _block(number: int, block: Block) -> str:
    return _element(f"block-{number}", block.type, block.data)


def _element(name: str, kind: str, data: bytes) -> str:
    return f'<script type="{kind}" id="{name}">{_base64(data)}</script>\n'


def _packed(text: bytes) -> bytes:
    return gzip.compress(text, 9, mtime=0)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _hash(script: bytes) -> str:
    return _base64(hashlib.sha256(script).digest())
