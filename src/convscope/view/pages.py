"""The pages of a site that can be read, linked and previewed without the app: HTML with nothing but text and a picture.

All that users have named is escaped; a policy in each head allows nothing but the files of the site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape as escaped
from typing import Any, Final
from urllib.parse import quote

_POLICY: Final = (
    "default-src 'none'; script-src {own}; style-src {own}; img-src {own}; base-uri 'none'; form-action 'none'"
)
_APP_POLICY: Final = (
    "default-src 'none'; script-src {own}; style-src {own} 'unsafe-inline'; img-src {own} data: blob:; "
    "media-src data: blob:; font-src data:; connect-src data: blob:; base-uri 'none'; form-action 'none'"
)
_OWN: Final = "'self'"
_LONGEST: Final = 300
_MARKUP: Final = re.compile("[&<>\"']")


@dataclass(frozen=True)
class Picture:
    """A picture beside a page: its file, its size in pixels, and what is on it."""

    file: str
    size: tuple[int, int]
    text: str


@dataclass(frozen=True)
class Site:
    """What all pages share: the address the site is to have, empty where it is not known, and the version."""

    base_url: str = ""
    version: str = ""


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    place
        Where it lies in the site: ``vgg16/conv1/3.html``.
    title, description
        In words, without markup.
    opens
        The address of the app that shows the same: ``#/layer?…``.
    picture
        Its preview.
    trail
        The pages it belongs to, from the first on: titles and places.
    body, below
        HTML: beside the picture, and under it.
    """

    place: str
    title: str
    description: str
    opens: str
    picture: Picture | None = None
    trail: Sequence[tuple[str, str]] = ()
    body: str = ""
    below: str = ""


@dataclass(frozen=True)
class Card:
    """What leads to a page from a list of pages."""

    href: str
    title: str
    text: str
    opens: str = ""
    picture: str = ""
    size: tuple[int, int] = (0, 0)
    small: bool = field(default=False, kw_only=True)


def app_address(view: str, **params: str | int) -> str:
    """Return the address of a view in the app.

    >>> app_address("layer", run="net", tag="a b", ch=3)
    '#/layer?run=net&tag=a%20b&ch=3'
    """
    query = "&".join(f"{key}={quote(str(value), safe='/:,', errors='replace')}" for key, value in params.items())
    return f"#/{view}?{query}" if query else f"#/{view}"


def static_page(page: Page, site: Site) -> bytes:
    """Return a page that opens the app at its place, and can be read where that does not run."""
    up = "../" * page.place.count("/")
    trail = "".join(f'<a href="{escape(up + place)}">{escape(title)}</a> ' for title, place in page.trail)
    picture = ""
    if page.picture is not None:
        (width, height), alt = page.picture.size, escape(page.picture.text)
        picture = f'<img src="{escape(page.picture.file)}" width="{width}" height="{height}" alt="{alt}">'
    opens = escape(f"{up}index.html{page.opens}")
    return (
        f'<!doctype html>\n<html lang="en" data-opens="{opens}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(own=_OWN)}">\n'
        f'<script src="{up}program/open.js"></script>\n{_head(page, site)}'
        f'<link rel="stylesheet" href="{up}program/site.css">\n</head>\n<body>\n<main class="landing">\n'
        f'<nav aria-label="Breadcrumb">{trail}</nav>\n<h1>{escape(page.title)}</h1>\n'
        f'<p class="muted">{escape(page.description)}</p>\n'
        f'<div class="two">{picture}<div>{page.body}<p><a href="{opens}">Open in the viewer</a></p></div></div>\n'
        f"{page.below}{_footer(site)}</main>\n</body>\n</html>\n"
    ).encode("utf-8", "replace")


def front_page(page: Page, cards: Iterable[Card], site: Site, *, boot: str, start: str, index: str, icon: str) -> bytes:
    """Return ``index.html``: the list of what there is, and the app, which opens where the address names a place in it.

    Parameters
    ----------
    page, cards, site
        What it says, and what leads on.
    boot, start
        The first script of the app, and the chunk it begins with.
    index
        The name of the file of blocks that says what there is.
    icon
        An address.
    """
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_APP_POLICY.format(own=_OWN)}">\n'
        f'{_head(page, site)}<link rel="icon" href="{escape(icon)}">\n'
        '<link rel="stylesheet" href="program/style.css">\n<link rel="stylesheet" href="program/site.css">\n</head>\n'
        f'<body>\n<div id="app" data-index="{escape(index)}" hidden></div>\n<main class="landing">\n'
        f'<h1>{escape(page.title)}</h1>\n<p class="muted">{escape(page.description)}</p>\n'
        f"{card_list(cards)}{page.body}{_footer(site)}</main>\n"
        f'<script src="program/{escape(boot)}" data-start="{escape(start)}"></script>\n</body>\n</html>\n'
    ).encode("utf-8", "replace")


def _head(page: Page, site: Site) -> str:
    """Return what says what the page is: for its reader, for searches, for previews of links."""
    description = escape(page.description[:_LONGEST])
    address = page.place.removesuffix("index.html")
    head = [
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(page.title)}</title>",
        f'<meta name="description" content="{description}">',
        f'<meta name="generator" content="{escape(f"convscope {site.version}".strip())}">',
        f'<meta property="og:title" content="{escape(page.title)}">',
        f'<meta property="og:description" content="{description}">',
        '<meta property="og:type" content="website">',
    ]
    if site.base_url:
        url = escape(f"{site.base_url}/{address}")
        head += [f'<meta property="og:url" content="{url}">', f'<link rel="canonical" href="{url}">']
    if page.picture is not None:
        folder = page.place[: page.place.rfind("/") + 1]
        file = f"{site.base_url}/{folder}{page.picture.file}" if site.base_url else page.picture.file
        (width, height), text = page.picture.size, escape(page.picture.text)
        head += [
            f'<meta property="og:image" content="{escape(file)}">',
            f'<meta property="og:image:width" content="{width}">',
            f'<meta property="og:image:height" content="{height}">',
            f'<meta property="og:image:alt" content="{text}">',
            '<meta name="twitter:card" content="summary_large_image">',
        ]
    else:
        head.append('<meta name="twitter:card" content="summary">')
    return "\n".join(head) + "\n"


def card_list(cards: Iterable[Card]) -> str:
    """Return a list of what leads on, as HTML; nothing where there is nothing."""
    listed = list(cards)
    if not listed:
        return ""
    kind = "small" if listed[0].small else "networks"
    return f'<ul class="cards {kind}">{"".join(map(_card, listed))}</ul>\n'


def _card(card: Card) -> str:
    opens = f' data-opens="{escape(card.opens)}"' if card.opens else ""
    picture = ""
    if card.picture:
        size = f' width="{card.size[0]}" height="{card.size[1]}"' if card.size[0] else ""
        picture = f'<img src="{escape(card.picture)}"{size} alt="" loading="lazy">'
    text = f"<span>{escape(card.text)}</span>" if card.text else ""
    return f'<li><a href="{escape(card.href)}"{opens}>{picture}<b>{escape(card.title)}</b>{text}</a></li>\n'


def facts(rows: Mapping[str, Any]) -> str:
    """Return figures with their names, as HTML; what is empty is left out."""
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in rows.items() if text != "")
    return f"<dl>{told}</dl>\n" if told else ""


def links(title: str, targets: Sequence[tuple[str, str]]) -> str:
    """Return links in a line, as HTML: texts and addresses."""
    if not targets:
        return ""
    return (
        f"<p>{escape(title)} "
        + " · ".join(f'<a href="{escape(to)}">{escape(text)}</a>' for text, to in targets)
        + "</p>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as HTML, of cells that are HTML; the last column holds numbers."""
    body = "".join([f"<tr><td>{'</td><td>'.join(cells)}</td></tr>" for cells in rows])
    return f"<table><thead><tr><th>{'</th><th>'.join(head)}</th></tr></thead><tbody>{body}</tbody></table>\n"


def _footer(site: Site) -> str:
    return f"<footer>Made with convscope {escape(site.version)}</footer>\n"


@lru_cache(maxsize=8192)
def escape(text: str) -> str:
    """Return a text so that none of it is markup, in attributes neither; the same few names come thousands of times."""
    return escaped(text, quote=True) if _MARKUP.search(text) else text
