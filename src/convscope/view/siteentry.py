"""One directory of runs in a site: its data in blocks, the previews of its channels, and its pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from safetensors.numpy import load

from convscope.view.blocks import Owner
from convscope.view.html import FORMAT
from convscope.view.packing import Packer
from convscope.view.pages import Picture, Site, static_page
from convscope.view.previewer import VERSION
from convscope.view.previews import Recorded, Sheet, card, cut_all
from convscope.view.selection import Selected
from convscope.view.siteblocks import LEVEL, SiteBlocks, data_path, json_script, table
from convscope.view.sitefolder import SiteFolder
from convscope.view.sitefront import program_version
from convscope.view.sitepages import ARRAYS, Layer, LayerPages, Network, network_page
from convscope.view.source import Source

_NETWORK_CARD: Final = 6


@dataclass(frozen=True)
class Entry:
    """A directory of runs that goes into the site."""

    name: str
    source: Source
    selected: Selected
    networks: Sequence[Network]


class EntryWriter:
    """Writes an entry.

    Parameters
    ----------
    folder
        Of the site.
    entry
        What is written.
    site
        What all pages share.
    quality
        Of the pictures in the app, 1 to 100; as they are stored by default.
    """

    def __init__(self, folder: SiteFolder, entry: Entry, site: Site, quality: int | None = None) -> None:
        self._folder, self._entry, self._site, self._quality = folder, entry, site, quality
        self._networks = entry.networks

    def write(self) -> dict[str, Any]:
        """Write data and pages; return what the ledger says of them.

        Not beside each other: both wait for Python's one lock, so that it takes no less time, and once the data are
        packed it is known what of them could not be read.
        """
        previews = _Previews(self._folder, self._entry)
        previews.cut()
        data = self._data()
        self._networks = self._left(previews.failed)
        cards = [self._pages(network) for network in self._networks]
        self._tell(previews.failed)
        return {
            **data,
            "folders": {
                network.name: [network.folder, {one.tag: [one.folder, one.ranges] for one in network.layers}]
                for network in self._networks
            },
            "pages": {network.folder: network.pages() for network in self._networks},
            "previews": previews.keys,
            "cards": cards,
        }

    def _data(self) -> dict[str, Any]:
        """Write the data of the app."""
        selected = self._entry.selected
        blocks = SiteBlocks(self._folder.write_named)
        try:
            runs = Packer(self._entry.source, blocks, self._quality, level=LEVEL).pack(selected)
            rows = [run.index() for run in selected.runs]
            exported = _exported(selected, rows)
            index = {"logdir": self._entry.name, "version": 1, "runs": rows, "exported": exported}
            manifest = blocks.add_json(Owner("index"), {"format": FORMAT, "index": index, "runs": runs})
            places = blocks.finish()
        finally:
            blocks.close()
        name, script = json_script(table(places))
        self._folder.write_named(data_path(name), script)
        shown = [network.name for network in self._entry.networks]
        return {
            "name": self._entry.name,
            "table": name,
            "manifest": manifest,
            "runs": dict(zip(shown, (run.name for run in selected.runs), strict=True)),
            "index": [{**row, "name": name} for name, row in zip(shown, rows, strict=True)],
            "exported": exported,
            "views": selected.views(),
            "sizes": blocks.by_page(),
            "data": sorted({name, *(name for name, _ in places)}),
        }

    def _left(self, failed: Mapping[str, str]) -> list[Network]:
        """Return the networks without layers that could not be read; some of these have no previews."""
        left = []
        for network in self._entry.networks:
            here = {part.id for part in network.run.parts}
            layers = [
                replace(layer, previewed=f"{network.folder}/{layer.folder}" not in failed)
                for layer in network.layers
                if layer.part.id in here
            ]
            left.append(replace(network, layers=layers))
        return left

    def _tell(self, failed: Mapping[str, str]) -> None:
        """Put down which layers have no previews, and why."""
        self._entry.selected.problems.extend(
            f"{network.name}: no previews of {layer.tag}: {failed[place]}"
            for network in self._networks
            for layer in network.layers
            if (place := f"{network.folder}/{layer.folder}") in failed
        )

    def _pages(self, network: Network) -> list[Any]:
        """Write the pages of a run; return what its card on the front page says."""
        first: dict[str, int] = {}
        samples = []
        for layer in network.layers:
            chosen = self._layer(network, layer)
            if layer.plan:
                first[layer.folder] = chosen[0]
                samples += [f"{network.folder}/{layer.folder}/{channel}.jpg" for channel in chosen[1:3] or chosen[:1]]
        samples = (
            [samples[at * len(samples) // _NETWORK_CARD] for at in range(_NETWORK_CARD)][: len(samples)]
            if samples
            else []
        )
        picture = self._preview(f"{network.folder}", samples, f"Patches that excite channels of {network.title}")
        page = network_page(network, picture, first)
        self._folder.write(page.place, static_page(page, self._site))
        size = picture.size if picture else (0, 0)
        shown = f"{network.folder}/{picture.file}" if picture else ""
        return [page.place, network.title, network.sentence(), network.opens(), shown, list(size)]

    def _layer(self, network: Network, layer: Layer) -> list[int]:
        """Write the pages of a layer; return the channels that stand for it."""
        names = [name for name in ARRAYS if name in layer.part.described["arrays"]]
        arrays = load(self._entry.source.arrays(network.run.asked, layer.part.id, names)) if names else {}
        pages = LayerPages(network, layer, arrays)
        chosen, place = pages.chosen(), f"{network.folder}/{layer.folder}"
        samples = [f"{place}/{channel}.jpg" for channel in chosen] if layer.plan else []
        picture = self._preview(place, samples, f"Patches that excite channels of {layer.tag}")
        for page in (pages.index(picture), *pages.channels()):
            self._folder.write(page.place, static_page(page, self._site))
        return chosen

    def _preview(self, place: str, samples: Sequence[str], text: str) -> Picture | None:
        """Write the preview of a page that shows several channels."""
        made = card([self._folder.path / sample for sample in samples])
        if made is None:
            return None
        self._folder.write(f"{place}/preview.jpg", made.data)
        return Picture("preview.jpg", made.size, text)


class _Previews:
    """The previews of channels, as far as they are not there already.

    A sheet is cut anew unless its key, which says of which record it is and which rows are wanted, is that of the
    previews that are there: those of an earlier export are in the ledger, those of one that was killed in its notes.
    """

    def __init__(self, folder: SiteFolder, entry: Entry) -> None:
        self._folder = folder
        self.failed: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        known = {place: key for one in folder.ledger["networks"] for place, key in one["previews"].items()}
        noted = folder.progress()
        self._sheets: list[Sheet] = []
        for network in entry.networks:
            for layer in network.layers:
                if layer.plan:
                    self._layer(entry.source, network, layer, known, noted)
        for one in folder.ledger["networks"]:
            one["previews"] = {place: key for place, key in one["previews"].items() if self.keys.get(place, key) == key}
        folder.save()

    def cut(self) -> None:
        """Write what is missing."""
        cut_all(self._sheets, self._done, self._fail)
        for place in self.failed:
            del self.keys[place]

    def _layer(
        self, source: Source, network: Network, layer: Layer, known: Mapping[str, str], noted: Mapping[str, str]
    ) -> None:
        place, part = f"{network.folder}/{layer.folder}", layer.part
        plan = part.described["pictures"]["patch"]
        made = [VERSION, program_version(), part.id, part.described["wall_time"], part.bytes, plan, layer.ranges]
        key = self.keys[place] = hashlib.sha256(json.dumps(made).encode()).hexdigest()[:24]
        folder, there = f"{self._folder.path}/{place}", _there(self._folder, place)
        arrays = part.described["arrays"]
        held = [name for name in ("preview", "preview_offset") if name in arrays]
        read = cache(lambda: load(source.arrays(network.run.asked, part.id, held)))
        rows: dict[int, list[tuple[int, str]]] = {}
        for channel in layer.channels:
            rows.setdefault(channel // plan["rows"], []).append((channel % plan["rows"], f"{channel}.jpg"))
        for number, wanted in rows.items():
            name = f"{place}:{number}"
            is_done = (noted[name] if name in noted else known.get(place)) == key
            if not (is_done and all(file in there for _, file in wanted)):
                sheet = partial(source.picture, network.run.asked, part.id, plan["files"][number])
                files = [(row, f"{folder}/{file}") for row, file in wanted]
                recorded = Recorded(read, number * plan["rows"]) if len(held) == 2 else None
                self._sheets.append(Sheet(name, key, sheet, plan, files, recorded))

    def _done(self, sheet: Sheet) -> None:
        self._folder.note(sheet.name, sheet.key)

    def _fail(self, sheet: Sheet, said: str) -> None:
        self.failed[sheet.name.rpartition(":")[0]] = said


def _there(folder: SiteFolder, place: str) -> set[str]:
    """Return which files a folder of the site has; links to elsewhere are removed from it."""
    found = set()
    for path in Path(folder.target(f"{place}/")).iterdir():
        if path.is_symlink():
            path.unlink()
        else:
            found.add(path.name)
    return found


def _exported(selected: Selected, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the app says of the export: as of when it is, and by which version."""
    times = [row["last_wall_time"] for row in rows if row["last_wall_time"] is not None]
    return {
        "version": program_version(),
        "wall_time": max(times, default=None),
        "limited": any(part.channels is not None for part in selected.parts),
    }
