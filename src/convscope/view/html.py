"""``export``: the pages of a run as one HTML file that needs no server, no network and no other file.

The file holds the same front end as the viewer, with the chunks that its views need, and the data in blocks that no
browser runs; how it is written is in :mod:`convscope.view.document`.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError
from convscope.store import Logdir, Run
from convscope.view.blocks import Blocks, Owner, TooLargeError
from convscope.view.document import document, front_end
from convscope.view.packing import Packer
from convscope.view.quality import Squeezed
from convscope.view.selection import Choice, Selected, select
from convscope.view.source import LogdirSource, Source

FORMAT: Final = 2
MOST_MB: Final = 50.0
GOAL_MB: Final = 25.0
"""Above this lossy pictures are compressed anew, where nobody has said how well."""
_MB: Final = 1e6
Runs = str | Path | Run | Logdir | Sequence[str | Path | Run | Logdir] | Mapping[str, str | Path | Run | Logdir]
"""What an export is made of; one file takes one directory."""
_TAG: Final = 60  # bytes around a block, about
_OF_PAGES: Final = (".html", ".htm")
_OF_OTHERS: Final = re.compile(
    r"\.(pdf|svg|png|jpe?g|webp|gif|xhtml|mht(ml)?|xml|md|txt|rst|tex|json|csv|tsv|ipynb|py|js|css|zip|gz|tgz|tar|bz2|xz|7z|"
    r"docx?|pptx?|od[tp]|mp4|webm|np[yz]|safetensors|pth?|onnx)"
)
"""Endings by which somebody means a file that an export is not."""


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
    squeezed
        How pictures were compressed anew so that the file does not become large; nothing where they were not.
    """

    bytes: int
    pages: dict[str, int]
    records: int
    problems: tuple[str, ...] = ()
    squeezed: Squeezed | None = None

    def sentence(self) -> str:
        """Return the size and what takes it."""
        parts = ", ".join(f"{page} {megabytes(size)}" for page, size in self.pages.items())
        program = self.bytes - sum(self.pages.values())
        sizes = f"{megabytes(self.bytes)}: {parts}, the program {megabytes(program)}"
        if self.squeezed is None:
            return sizes
        new, old = megabytes(self.squeezed.bytes), megabytes(self.squeezed.stored)
        return f"{sizes}; pictures at quality {self.squeezed.quality}: {new} instead of {old}"


def megabytes(size: float) -> str:
    """Return a size for people.

    >>> megabytes(1_234_567), megabytes(12_345)
    ('1.2 MB', '0.01 MB')
    """
    return f"{size / _MB:.1f} MB" if size >= _MB / 10 else f"{size / _MB:.2f} MB"


def export(  # noqa: PLR0913 - all but two are optional
    run: Runs,
    path: str | Path,
    *,
    pages: Iterable[str] | None = None,
    layers: Iterable[str] | None = None,
    channels: Iterable[int] | None = None,
    rules: Iterable[str] | None = None,
    step: int | None = None,
    quality: int | None = None,
    max_mb: float = MOST_MB,
    base_url: str = "",
    force: bool = False,
) -> ExportReport:
    """Write a run's pages to one HTML file that opens anywhere, or those of several to a folder that is a site.

    >>> export("runs/alexnet", "alexnet.html").bytes                              # doctest: +SKIP
    25102034
    >>> export("runs/alexnet", "conv5.html", pages=["layer"], layers=["conv5"])   # doctest: +SKIP
    >>> export({"AlexNet": "runs/alexnet", "VGG-16": "runs/vgg16"}, "site/")      # doctest: +SKIP

    The same run and choice give the same bytes with the same version.

    Parameters
    ----------
    run
        A directory that holds runs, or is one; or its URL. For a site also several: a list, or a dictionary by the
        names that they are to have.
    path
        The file to write: ``.html``; any other name is that of a folder, for a site. What the folder holds of other
        runs stays.
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
        Of the lossy WebP pictures, 1 to 100: they are compressed anew, and smaller, for instance with 50; as they are
        stored with 100. By default as stored, but where the file would have more than 25 MB with the highest quality
        from 80 to 30 that fits into these, or into ``max_mb``.
    max_mb
        The largest file that may be written, in millions of bytes; a site may have any size.
    base_url
        The address that a site is to have: previews of links need it. That of the last export by default.
    force
        Whether a file of that name may be replaced; whether a folder with other files may become a site, which
        replaces and removes none of them.

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
    if not is_page(target):
        from convscope.view.site import export_site  # it is made of what is here

        chosen: Any = {"pages": pages, "layers": layers, "channels": channels, "rules": rules, "step": step}
        return export_site(run, target, **chosen, quality=quality, base_url=base_url, force=force)
    check_target(target, force=force)
    if not isinstance(run, str | Path | Run | Logdir):
        raise InputError("one file holds the runs of one directory; name a folder for a site of several")
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
    parts = front_end(selected.views())
    program = len(document(parts, [], 0, _version()))
    if program >= max_mb * _MB:
        raise InputError(
            f"the program alone takes {megabytes(program)}, and the file may have {max_mb:g} MB; allow more (--max-mb)"
        )
    blocks = Blocks(max_mb * _MB - program)
    try:
        goals = [0.995 * most * _MB - program for most in (min(GOAL_MB, max_mb), max_mb)]
        packer = Packer(source, blocks, quality, goals)
        runs = packer.pack(selected)
        manifest = blocks.add_json(Owner("index"), {"format": FORMAT, "index": _index(selected), "runs": runs})
    except TooLargeError:
        raise _too_large("more than ten times as much as", selected, blocks, max_mb) from None
    size = program + blocks.sizes.total() + _TAG * len(blocks)
    page = b"" if blocks.too_many else document(parts, blocks.all, manifest, _version())
    if blocks.too_many or len(page) > max_mb * _MB:
        raise _too_large(f"{megabytes(size)}, more than", selected, blocks, max_mb)
    problems = tuple(selected.problems)
    return page, ExportReport(len(page), blocks.by_page(), len(selected.parts), problems, packer.squeezed)


def _check_numbers(max_mb: float, quality: int | None) -> None:
    if not max_mb > 0:
        raise InputError(f"the largest size of the file is a number of megabytes above 0, got {max_mb}")
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"the quality of pictures is a number from 1 to 100, got {quality}")


def is_page(target: Path) -> bool:
    """Tell whether an export is one file, by its name, or a folder.

    Raises
    ------
    InputError
        If it is the name of a file of another type.
    """
    ending = target.suffix.lower()
    if _OF_OTHERS.fullmatch(ending) and not target.is_dir():
        raise InputError(
            f"an export is an .html file, or a folder for a site, not {target.name!r:.300}; end the name with .html or "
            "leave its ending out (for .pdf, .svg and .png: convscope figure)"
        )
    return ending in _OF_PAGES


def check_target(target: Path, *, force: bool = False) -> None:
    """Raise an error where a page cannot be written."""
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
