"""The front of a site: its program, the index of all that it holds, ``sitemap.txt``, and at last ``index.html``."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.view import program
from convscope.view.pages import Card, Page, Picture, Site, front_page
from convscope.view.siteblocks import data_path, json_script
from convscope.view.sitefolder import INDEX, LEDGER, SITEMAP, SiteFolder, page_files

FORMAT: Final = 1
_ASSETS: Final = ("open.js", "site.css")
_SENTENCE: Final = "What the channels of convolutional networks respond to"


class Front(NamedTuple):
    """What was written: the files of the program, and the paths of all files."""

    program: list[str]
    files: list[str]


def program_version() -> str:
    """Return the version of this package; nothing where it is not installed."""
    try:
        return version("convscope")
    except PackageNotFoundError:
        return ""


def write_front(folder: SiteFolder, site: Site) -> Front:
    """Write all files but those of the runs, for the runs that the ledger has."""
    entries = folder.ledger["networks"]
    start = program.entry("site")
    chunks = dict.fromkeys(
        [*start.scripts, *program.chunks(dict.fromkeys(view for one in entries for view in one["views"]))]
    )
    boot = f"boot-{hashlib.sha256(start.boot.encode()).hexdigest()[:8]}.js"
    files = {boot: start.boot.encode(), "style.css": start.style.encode()}
    files |= {name: program.chunk(name) for name in chunks}
    files |= {name: (Path(__file__).parent / "landing" / name).read_bytes() for name in _ASSETS}
    for name, data in files.items():
        folder.write(f"program/{name}", data)
    index, script = json_script(_index(entries))
    folder.write_named(data_path(index), script)
    written = [*(f"program/{name}" for name in files), data_path(index), INDEX, LEDGER]
    if site.base_url:
        folder.write(SITEMAP, _sitemap(entries, site.base_url))
        written.append(SITEMAP)
    icon = f"data:image/svg+xml;base64,{base64.b64encode(start.icon).decode('ascii')}"
    page, cards = _page(entries)
    folder.write(INDEX, front_page(page, cards, site, boot=boot, start=start.start, index=index, icon=icon))
    return Front(list(files), written)


def _index(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the app is told first: all runs, whose they are, and their pages."""
    times = [one["exported"]["wall_time"] for one in entries if one["exported"]["wall_time"] is not None]
    exported = {
        "version": program_version(),
        "wall_time": max(times, default=None),
        "limited": any(one["exported"]["limited"] for one in entries),
        "site": True,
    }
    runs = [run for one in entries for run in one["index"]]
    return {
        "format": FORMAT,
        "index": {"logdir": _name(entries), "version": 1, "runs": runs, "exported": exported},
        "entries": [{key: one[key] for key in ("table", "manifest", "runs")} for one in entries],
        "pages": {name: pages for one in entries for name, pages in one["folders"].items()},
    }


def _name(entries: list[dict[str, Any]]) -> str:
    return str(entries[0]["name"]) if len(entries) == 1 else f"{len(entries)} networks"


def _page(entries: list[dict[str, Any]]) -> tuple[Page, list[Card]]:
    """Return what the front page says."""
    cards = [
        Card(href, title, text, opens, picture, (size[0], size[1]))
        for one in entries
        for href, title, text, opens, picture, size in one["cards"]
    ]
    shown = next((card for card in cards if card.picture), None)
    picture = Picture(shown.picture, shown.size, f"Patches of {shown.title}") if shown else None
    title = cards[0].title if len(cards) == 1 else "Networks" if shown else "Runs"
    description = f"{_SENTENCE}: {', '.join(card.title for card in cards[:12])}." if shown else f"{len(cards)} runs."
    return Page(INDEX, title, description, "", picture), cards


def _sitemap(entries: list[dict[str, Any]], base_url: str) -> bytes:
    pages = [place for one in entries for place in page_files(one["pages"]) if place.endswith(".html")]
    places = ["", *(place.removesuffix("index.html") for place in pages)]
    return "".join(f"{base_url}/{place}\n" for place in places).encode()
