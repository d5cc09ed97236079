"""``export`` to a folder: a site for any static host, of one network or many, a page to link for every channel.

``index.html`` is the list of the networks and the app; ``program/`` is the front end, ``data/`` small files named by
what is in them (:mod:`convscope.view.siteblocks`); each run has a folder with its pages
(:mod:`convscope.view.sitepages`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError
from convscope.store import Logdir, Run
from convscope.view.blocks import in_base64
from convscope.view.html import ExportReport, Runs
from convscope.view.pages import Site
from convscope.view.parts import Part
from convscope.view.selection import Choice, Selected, select
from convscope.view.siteblocks import data_path
from convscope.view.siteentry import Entry, EntryWriter
from convscope.view.sitefolder import INDEX, SITEMAP, SiteFolder, page_files
from convscope.view.sitefront import program_version, write_front
from convscope.view.sitenames import RESERVED, folder_names
from convscope.view.sitepages import Network, image_names, network_of, plural
from convscope.view.source import LogdirSource, Source

WARN_BYTES: Final = 1_000_000_000
_PREVIEW_BYTES: Final = 19_000
"""About what the page of a channel and its preview take."""
_BASE_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~%/-]*)?")
_NAMED: Final = re.compile(r"([^=/\\]{1,80})=(.+)", re.DOTALL)


@dataclass(frozen=True)
class SiteReport(ExportReport):
    """What a site holds after an export.

    Attributes
    ----------
    bytes, files
        How large it is, and how many files it has.
    pages, records, problems
        As in an exported file: of the runs that were exported now.
    networks
        The names of its runs that have a page, those of earlier exports too.
    layers, channels
        How many of them have pages, of the runs that were exported now.
    """

    files: int = 0
    networks: tuple[str, ...] = ()
    layers: int = 0
    channels: int = 0

    def sentence(self) -> str:
        """Return what there is."""
        return (
            f"{self.bytes / 1e6:,.1f} MB in {plural(self.files, 'file')}: {plural(len(self.networks), 'run')}, "
            f"{plural(self.layers, 'layer')} and {plural(self.channels, 'channel')} with pages"
        )


@dataclass(frozen=True)
class SitePlan:
    """What is to be written, and where."""

    folder: SiteFolder
    entries: Sequence[Entry]
    quality: int | None
    base_url: str

    @property
    def problems(self) -> list[str]:
        """What of the runs cannot be read, one sentence each."""
        return [problem for entry in self.entries for problem in entry.selected.problems]

    @property
    def bytes(self) -> int:
        """How large it is going to be, about."""
        return sum(_expected(part) for entry in self.entries for part in entry.selected.parts) + sum(
            network.channels * _PREVIEW_BYTES for entry in self.entries for network in entry.networks
        )

    def sentence(self) -> str:
        """Return what is to be written."""
        networks = [network for entry in self.entries for network in entry.networks]
        channels = sum(network.channels for network in networks)
        with_pages = f"{plural(len(networks), 'run')}, {plural(channels, 'channel')} with pages"
        return f"about {self.bytes / 1e6:,.0f} MB: {with_pages}"

    def warnings(self) -> list[str]:
        """Return what to do about a site that is very large, and about previews that are not shown."""
        said = []
        if self.bytes > WARN_BYTES:
            said.append(
                "many hosts take no more than 1 GB; choose pages, layers or channels, or a lower quality of pictures"
            )
        if not self.base_url:
            said.append("previews of links need the address that the site is to have: --base-url https://…")
        return said


def _expected(part: Part) -> int:
    """Return about how many bytes a record has in the site."""
    files = sum(len(plan["files"]) for plan in part.described["pictures"].values())
    return int(in_base64(part.bytes) * (len(part.files) / files if files else 1))


def export_site(
    runs: Runs,
    path: str | Path,
    *,
    pages: Iterable[str] | None = None,
    layers: Iterable[str] | None = None,
    channels: Iterable[int] | None = None,
    rules: Iterable[str] | None = None,
    step: int | None = None,
    quality: int | None = None,
    base_url: str = "",
    force: bool = False,
) -> SiteReport:
    """Write the pages of runs to a folder that any static host can serve, and that opens from the disk.

    >>> export_site({"AlexNet": "runs/alexnet", "VGG-16": "runs/vgg16"}, "site")       # doctest: +SKIP

    What the folder holds of other runs stays. The same runs and choice give the same bytes with the same version,
    however often the export was interrupted.

    Parameters
    ----------
    runs
        Directories that hold runs, or are one; or their URLs; with a mapping under other names.
    path
        The folder.
    pages, layers, channels, rules, step, quality
        As in :func:`convscope.export`, for all of the runs.
    base_url
        The address that the site is to have: previews of links need it. That of the last export by default.
    force
        Whether a folder that holds other files may become a site. None of them is replaced or removed.

    Returns
    -------
    What the site holds.

    Raises
    ------
    NotFoundError
        If there is no such run, page, layer, channel or rule.
    InputError
        If there is nothing to show, or the folder is not one of a site.
    StorageError
        If a file cannot be written.
    """
    choice = Choice.of(pages, layers, channels, rules, step)
    return write_site(plan_site(runs, path, choice, quality=quality, base_url=base_url, force=force))


def plan_site(
    runs: Runs,
    path: str | Path,
    choice: Choice,
    *,
    quality: int | None = None,
    base_url: str = "",
    force: bool = False,
) -> SitePlan:
    """Return what is going to be written; see :func:`export_site`."""
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"the quality of pictures is a number from 1 to 100, got {quality}")
    if base_url and not _BASE_URL.fullmatch(base_url):
        raise InputError(f"the address of a site begins with https:// and has no query, got {base_url!r:.200}")
    folder = SiteFolder(Path(path), force=force)
    chosen = _named(runs)
    others = [one for one in folder.ledger["networks"] if one["name"] not in chosen]
    taken_names = {name for one in others for name in one["runs"]}
    taken_folders = {*RESERVED, *(name for one in others for name in one["pages"])}
    entries = []
    for name, run in chosen.items():
        source = LogdirSource(run if isinstance(run, Logdir) else Logdir(run.path if isinstance(run, Run) else run))
        selected = _renamed(select(source, choice), name)
        networks = _networks(selected, source, name, taken_names, taken_folders)
        entries.append(Entry(name, source, selected, networks))
    folder.check_free([INDEX, SITEMAP, "data", "program", *(one.folder for entry in entries for one in entry.networks)])
    base = base_url.rstrip("/") or str(folder.ledger.get("base_url") or "")
    return SitePlan(folder, entries, quality, base)


def _named(runs: Runs) -> dict[str, str | Path | Run | Logdir]:
    """Return the runs by the names of their entries; of text, ``name=path`` gives one."""
    if isinstance(runs, Mapping):
        pairs = [(str(name), run) for name, run in runs.items()]
    else:
        listed = [runs] if isinstance(runs, str | Path | Run | Logdir) else list(runs)
        pairs = [_pair(run) for run in listed]
    if not pairs:
        raise InputError("no run was given; name the directories of one or more")
    found: dict[str, str | Path | Run | Logdir] = {}
    for name, run in pairs:
        if name in found:
            raise InputError(f"two of the directories are called {name!r}; give one another name, as in other={run}")
        found[name] = run
    return found


def _pair(run: str | Path | Run | Logdir) -> tuple[str, str | Path | Run | Logdir]:
    if isinstance(run, Run | Logdir):
        return run.path.resolve().name or "run", run
    match = _NAMED.fullmatch(run) if isinstance(run, str) else None
    if match and not Path(str(run)).exists():
        return match[1], match[2]
    return (Path(run).name if "://" in str(run) else Path(run).resolve().name) or "run", run


def _renamed(selected: Selected, name: str) -> Selected:
    """Return what was selected, the run that the directory itself is under the name of the entry."""
    names = {run.name for run in selected.runs}
    runs = [replace(run, name=name) if run.asked == "." and name not in names else run for run in selected.runs]
    return Selected(name, runs, selected.problems)


def _networks(
    selected: Selected, source: Source, entry: str, taken_names: set[str], taken_folders: set[str]
) -> list[Network]:
    """Return the runs with names and folders that no other run of the site has."""
    networks = []
    shown = {}
    for run in selected.runs:
        name = run.name if run.name not in taken_names else f"{entry}/{run.name}"
        if name in taken_names:
            raise InputError(
                f"the site has a run {name!r} already; give this directory another name, as in other={entry}"
            )
        taken_names.add(name)
        shown[run.name] = name
    folders = folder_names(shown.values(), taken_folders)
    taken_folders |= set(folders.values())
    for run in selected.runs:
        name = shown[run.name]
        networks.append(network_of(run, name, folders[name], image_names(run, source)))
    return networks


def write_site(plan: SitePlan) -> SiteReport:
    """Write a site; see :func:`export_site`."""
    folder = plan.folder
    with folder.locked():
        ledger = folder.ledger
        before = {f"program/{name}" for name in ledger["program"]} | {*page_files(ledger["writing"]), SITEMAP}
        before |= {place for one in ledger["networks"] for place in page_files(one["pages"])}
        pages = {network.folder: network.pages() for entry in plan.entries for network in entry.networks}
        before |= {*page_files(pages)}
        replaced = {entry.name for entry in plan.entries}
        for of in (one["pages"] for one in ledger["networks"] if one["name"] in replaced):
            ledger["writing"] = _joined(ledger["writing"], of)
        ledger["writing"] = _joined(ledger["writing"], pages)
        folder.save()
        written = {
            entry.name: EntryWriter(plan.folder, entry, _site(plan), plan.quality).write() for entry in plan.entries
        }
        kept = [written.pop(one["name"], one) for one in ledger["networks"]]
        ledger.update(networks=[*kept, *written.values()], base_url=plan.base_url)
        front = write_front(folder, _site(plan))
        ledger["program"] = [*dict.fromkeys([*front.program, *ledger["program"]])]
        folder.save()  # it knows the pages and the program that are to go until they have gone
        needed = {*front.files, *(place for one in ledger["networks"] for place in _files(one))}
        folder.sweep(before, needed)
        ledger.update(program=front.program, writing={})
        folder.save()
    return _report(plan, needed)


def _joined(writing: Mapping[str, Any], pages: Mapping[str, Any]) -> dict[str, Any]:
    """Return which pages may be there after several exports that were killed."""
    joined = {**writing}
    for name, network in pages.items():
        layers = {**writing.get(name, {}).get("layers", {})}
        for layer, one in network["layers"].items():
            ranges = [*layers.get(layer, {}).get("channels", ()), *one["channels"]]
            layers[layer] = {"preview": True, "channels": [list(pair) for pair in {tuple(pair) for pair in ranges}]}
        joined[name] = {"preview": True, "layers": layers}
    return joined


def _site(plan: SitePlan) -> Site:
    return Site(plan.base_url, program_version())


def _files(entry: Mapping[str, Any]) -> list[str]:
    return [*map(data_path, entry["data"]), *page_files(entry["pages"])]


def _report(plan: SitePlan, needed: set[str]) -> SiteReport:
    entries = [one for one in plan.folder.ledger["networks"] if one["name"] in {entry.name for entry in plan.entries}]
    layers = [layer for one in entries for network in one["pages"].values() for layer in network["layers"].values()]
    sizes: Counter[str] = Counter()
    for one in entries:
        sizes.update(one["sizes"])
    return SiteReport(
        sum(map(plan.folder.size, needed)),
        dict(sizes),
        sum(len(run["records"]) for one in entries for run in one["index"]),
        tuple(dict.fromkeys(plan.problems)),
        files=len(needed),
        networks=tuple(name for one in plan.folder.ledger["networks"] for name in one["runs"]),
        layers=len(layers),
        channels=sum(end - first for layer in layers for first, end in layer["channels"]),
    )
