"""``export``: the pages of a run as one HTML file that needs no server, no network and no other file.

The file holds the same front end as the viewer, as one script, and the data in blocks that no browser runs
(``<script type="application/gzip">``). All that users have named (runs, tags, files, classes) is inside those blocks,
in base64, so that no name can end one. A policy in the file's head forbids every request; the one script may run
because its hash is in it. Styles need ``'unsafe-inline'``: views set some on elements, and a style can fetch nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.errors import InputError, StorageError
from convscope.store import Logdir, Run
from convscope.view.blocks import Block, Blocks, Owner, TooLargeError
from convscope.view.packing import Packer
from convscope.view.selection import Choice, Selected, select
from convscope.view.source import LogdirSource, Source

FORMAT: Final = 1
MOST_MB: Final = 50.0
_MB: Final = 1e6
_TAG: Final = 60  # bytes around a block, about
_SCENES: Final = frozenset({"embedding", "volume"})
"""The views that draw in three dimensions: only with them is the larger script needed."""


@dataclass(frozen=True)
class ExportReport:
    """What an export holds.

    Attributes
    ----------
    bytes
        How large the file is.
    pages
        The bytes of each view's data, as they are in the file; what views share counts for the first one.
    records
        How many records are in it.
    problems
        What of the run could not be read, one sentence each.
    """

    bytes: int
    pages: dict[str, int]
    records: int
    problems: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return the size and what takes it."""
        parts = ", ".join(f"{page} {megabytes(size)}" for page, size in self.pages.items())
        program = self.bytes - sum(self.pages.values())
        return f"{megabytes(self.bytes)}: {parts}, the program {megabytes(program)}"


def megabytes(size: float) -> str:
    """Return a size for people.

    >>> megabytes(1_234_567), megabytes(12_345)
    ('1.2 MB', '0.01 MB')
    """
    return f"{size / _MB:.1f} MB" if size >= _MB / 10 else f"{size / _MB:.2f} MB"


def export(
    run: str | Path | Run | Logdir,
    path: str | Path,
    *,
    pages: Iterable[str] | None = None,
    layers: Iterable[str] | None = None,
    channels: Iterable[int] | None = None,
    rules: Iterable[str] | None = None,
    step: int | None = None,
    quality: int | None = None,
    max_mb: float = MOST_MB,
    force: bool = False,
) -> ExportReport:
    """Write a run's pages to one HTML file that opens anywhere, without a server.

    >>> export("runs/alexnet", "alexnet.html").bytes                              # doctest: +SKIP
    25102034
    >>> export("runs/alexnet", "conv5.html", pages=["layer"], layers=["conv5"])   # doctest: +SKIP

    The same run and choice give the same bytes with the same version.

    Parameters
    ----------
    run
        A directory that holds runs, or is one; or its URL.
    path
        The file to write: ``.html``.
    pages
        Names of views, as in the address of the viewer: ``network``, ``layer``, ``filters``, ``maps``, …; by default
        all that have something to show.
    layers
        Names of layers; the pages of others are left out.
    channels
        Numbers of channels of the layer pages. The others keep their numbers, but nothing else of them is in the file
        but pictures that share a sheet of 16 with a chosen one.
    rules
        Rules of projections.
    step
        Of what was recorded at several steps, only the last at or before this one.
    quality
        Of the WebP pictures, 1 to 100: they are compressed anew, and smaller, for instance with 50. As they are stored
        by default.
    max_mb
        The largest file that may be written, in millions of bytes.
    force
        Whether a file of that name may be replaced.

    Returns
    -------
    What was written.

    Raises
    ------
    NotFoundError
        If there is no such run, page, layer, channel or rule.
    InputError
        If there is nothing to show, the file would be too large, or it exists already.
    StorageError
        If the file cannot be written.
    """
    target = Path(path)
    check_target(target, force=force)
    choice = Choice.of(pages, layers, channels, rules, step)
    logdir = run if isinstance(run, Logdir) else Logdir(run.path if isinstance(run, Run) else run)
    page, report = compose(LogdirSource(logdir), choice, max_mb, quality)
    write(target, page, force=force)
    return report


def compose(
    source: Source, choice: Choice, max_mb: float = MOST_MB, quality: int | None = None
) -> tuple[bytes, ExportReport]:
    """Return the page and what is in it; see :func:`export`."""
    _check_numbers(max_mb, quality)
    selected = select(source, choice)
    parts = _front_end(scenes=bool(_SCENES & set(selected.pages())))
    program = len(_page(parts, [], 0))
    if (least := len(_page(_front_end(scenes=False), [], 0))) >= max_mb * _MB:
        raise InputError(
            f"the program alone takes {megabytes(least)}, and the file may have {max_mb:g} MB; allow more (--max-mb)"
        )
    blocks = Blocks(max_mb * _MB - program)
    try:
        runs = Packer(source, blocks, quality).pack(selected)
        manifest = blocks.add_json(Owner("index"), {"format": FORMAT, "index": _index(selected), "runs": runs})
    except TooLargeError:
        raise _too_large("more than ten times as much as", selected, blocks, max_mb) from None
    size = program + blocks.sizes.total() + _TAG * len(blocks)
    page = b"" if blocks.too_many else _page(parts, blocks.all, manifest)
    if blocks.too_many or len(page) > max_mb * _MB:
        raise _too_large(f"{megabytes(size)}, more than", selected, blocks, max_mb)
    return page, ExportReport(len(page), blocks.by_page(), len(selected.parts), tuple(selected.problems))


def _check_numbers(max_mb: float, quality: int | None) -> None:
    if not max_mb > 0:
        raise InputError(f"the largest size of the file is a number of megabytes above 0, got {max_mb}")
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"the quality of pictures is a number from 1 to 100, got {quality}")


def check_target(target: Path, *, force: bool = False) -> None:
    """Raise an error where a page cannot be written."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the name of {target} must end with .html")
    try:
        if target.is_dir() or (target.exists() and not force):
            raise _exists(target)
        if not target.parent.is_dir():
            raise StorageError(f"there is no folder {target.parent}; make it first")
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot look at {str(target)!r:.300} ({error.strerror}); choose another file") from error


def _exists(target: Path) -> InputError:
    return InputError(f"{target} exists already; choose another file, or say force (--force) to replace it")


def _index(selected: Selected) -> dict[str, Any]:
    """Return the index with what the page says of itself: from what, as of when, by which version."""
    runs = [run.index() for run in selected.runs]
    times = [run["last_wall_time"] for run in runs if run["last_wall_time"] is not None]
    exported = {
        "version": _version(),
        "wall_time": max(times, default=None),
        "limited": any(part.channels is not None for part in selected.parts),
    }
    return {"logdir": selected.name, "version": 1, "runs": runs, "exported": exported}


def _version() -> str:
    try:
        return version("convscope")
    except PackageNotFoundError:
        return ""


class _FrontEnd(NamedTuple):
    """The program of the page: its script, its style and its icon."""

    script: str
    style: str
    icon: bytes


def _front_end(*, scenes: bool) -> _FrontEnd:
    """Return the program, with or without what draws in three dimensions."""
    static = Path(str(files("convscope.view") / "static"))
    try:
        script = (static / "export" / ("scenes.js" if scenes else "pages.js")).read_text(encoding="utf-8")
        style = (static / "export" / "style.css").read_text(encoding="utf-8")
        return _FrontEnd(script.strip(), style.strip(), (static / "logo.svg").read_bytes())
    except FileNotFoundError as error:
        raise StorageError(
            "the front end is not built; build it with: pip install . (or make test in a checkout)"
        ) from error


def _page(program: _FrontEnd, blocks: Sequence[Block], manifest: int) -> bytes:
    """Return the file; nothing a user has named is in it but in base64."""
    policy = (
        f"default-src 'none'; script-src 'sha256-{_hash(program.script)}'; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta name="generator" content="convscope {_version()}">\n<title>convscope</title>\n'
        f'<link rel="icon" href="data:image/svg+xml;base64,{_base64(program.icon)}">\n'
        f'<style>{program.style}</style>\n</head>\n<body>\n<div id="app"></div>\n'
        "<noscript>convscope draws its figures with JavaScript; please allow it for this page.</noscript>\n"
    )
    data = [
        f'<script type="{block.type}" id="block-{number}">{_base64(block.data)}</script>\n'
        for number, block in enumerate(blocks)
    ]
    end = f'<script data-manifest="{manifest}">{program.script}</script>\n</body>\n</html>\n'
    return "".join([head, *data, end]).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _hash(text: str) -> str:
    return _base64(hashlib.sha256(text.encode()).digest())


def _too_large(size: str, selected: Selected, blocks: Blocks, max_mb: float) -> InputError:
    """Return the error that says how large the file would be, and what of it is large."""
    fewer = [f"pages ({_largest(blocks.by_page())})"]
    if len(layers := blocks.by_layer()) > 1:
        fewer.append(f"layers ({_largest(layers)})")
    rules = max((len(part.described["meta"].get("rules") or ()) for part in selected.parts), default=0)
    if rules > 1:
        fewer.append(f"rules (there are {rules})")
    return InputError(
        f"the file would have {size} the {max_mb:g} MB it may; choose fewer {', '.join(fewer)} or channels, "
        "a lower quality of the pictures, or allow more (--max-mb)"
    )


def _largest(sizes: dict[str, int]) -> str:
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name} {megabytes(size)}" for name, size in largest)


def write(target: Path, page: bytes, *, force: bool = False) -> None:
    """Write the file so that it is there completely or not at all."""
    temporary = target.with_name(f".convscope-export.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        if force:
            temporary.replace(target)
        else:
            _publish(temporary, target)
    except OSError as error:
        raise StorageError(f"cannot write {target} ({error.strerror or error}); choose another file") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _publish(temporary: Path, target: Path) -> None:
    """Give a finished file its name, unless something has taken it meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without hard links
        temporary.rename(target)
