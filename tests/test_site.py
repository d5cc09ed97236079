"""``convscope export -o site/``: every page and link, the same bytes after any interruption, what is never touched."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import searched_run
from convscope import Run, Summary, SummaryWriter, export
from convscope.cli import main
from convscope.errors import FormatError, InputError, NotFoundError, StorageError
from convscope.view import previewer, previews, sitefolder
from convscope.view.pages import Page, Site, static_page
from convscope.view.site import SiteReport, export_site
from convscope.view.siteblocks import name_of
from convscope.view.sitenames import folder_name, folder_names, is_safe

EVIL = "</script><img src=x onerror=alert(1)>\"'"
LEDGER = sitefolder.LEDGER


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A searched network of three layers, and curves and a text of hostile names."""
    path = tmp_path_factory.mktemp("runs") / "pets"
    with SummaryWriter(path) as writer:
        searched_run.write_search(writer)
        writer.add_scalar(EVIL, 0.5, 1)
        writer.add_text("note", EVIL, 1)
    return path


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a network, of a hostile name."""
    path = tmp_path_factory.mktemp("trained") / "<b>слой & co"
    with SummaryWriter(path) as writer:
        writer.add_scalar("loss", 0.5, 1)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, run: Path, training: Path) -> Path:
    path = tmp_path_factory.mktemp("site") / "site"
    report = export([run, training], path, base_url="https://example.org/atlas/")
    assert isinstance(report, SiteReport)
    assert (report.layers, report.channels, report.problems) == (3, sum(searched_run.LAYERS.values()), ())
    assert report.bytes == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert report.files == sum(file.is_file() for file in path.rglob("*"))
    return path


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


class Parsed(HTMLParser):
    """The tags of a page, and its meta properties."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.meta: dict[str, str] = {}
        self.text = ""
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append((tag, known))
        if tag == "meta" and (name := known.get("property") or known.get("name")):
            self.meta[name] = known["content"] or ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_channel_has_a_page_and_a_preview_and_no_link_is_dead(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    for layer, channels in searched_run.LAYERS.items():
        assert {f"{n}.{kind}" for n in range(channels) for kind in ("html", "jpg")} < {
            file.name for file in (site / "pets" / folder_name(layer)).iterdir()
        }
    assert len(pages) == 1 + 2 + 3 + sum(searched_run.LAYERS.values())
    for file in pages:
        page = Parsed(file)
        for _, attributes in page.tags:
            for target in (attributes.get("href"), attributes.get("src"), attributes.get("data-opens")):
                if target and not target.startswith(("https://example.org/atlas/", "data:image/svg+xml", "#/")):
                    assert (file.parent / unquote(target.partition("#")[0])).is_file(), (file, target)
        assert page.meta["description"]
        assert page.meta["og:title"]
        assert ("og:image" in page.meta) == ("co" not in page.meta["og:title"])


def test_a_channels_page_tells_without_the_app_what_excites_it(site: Path, run: Path) -> None:
    page = Parsed(site / "pets" / "stages.1" / "33.html")
    image = page.meta["og:image"]
    assert image == "https://example.org/atlas/pets/stages.1/33.jpg"
    with Image.open(site / "pets" / "stages.1" / "33.jpg") as picture:
        assert [int(page.meta[f"og:image:{side}"]) for side in ("width", "height")] == [*picture.size]
    assert page.meta["og:url"] == "https://example.org/atlas/pets/stages.1/33.html"
    assert page.meta["og:title"] == "stages.1 · channel 33 · pets"
    record = Run(run).record([entry.id for entry in Run(run).entries() if entry.tag == "stages.1"][-1])
    arrays = record.arrays(["value", "label", "image"])
    for value in arrays["value"][33]:
        assert f"{value:.4g}" in page.text
    assert "pets/dog" in page.text  # names of images are those of the audit
    assert dict(page.tags[0][1])["data-opens"] == "../../index.html#/layer?run=pets&tag=stages.1&ch=33"
    assert [a["href"] for tag, a in page.tags if tag == "a"][3:5] == ["32.html", "34.html"]


@pytest.mark.parametrize("layer", searched_run.LAYERS)
def test_a_preview_is_the_nine_patches_of_its_channel(site: Path, run: Path, layer: str) -> None:
    record = Run(run).record([entry.id for entry in Run(run).entries() if entry.tag == layer][-1])
    for channel in (0, searched_run.LAYERS[layer] - 1):
        tiles = record.tiles("patch", [channel])[0]
        k, height, width, _ = tiles.shape
        grid = tiles.reshape(3, 3, height, width, 3).transpose(0, 2, 1, 3, 4).reshape(3 * height, 3 * width, 3)
        factor = -(-previewer.SIDE // (3 * max(height, width)))
        expected = grid.repeat(factor, 0).repeat(factor, 1).astype(int)
        with Image.open(site / "pets" / folder_name(layer) / f"{channel}.jpg") as picture:
            shown = np.asarray(picture.convert("RGB")).astype(int)
        assert k == searched_run.K
        assert shown.shape == expected.shape
        middle = (slice(factor // 2, None, factor),) * 2  # JPEG blurs edges, not the middle of a pixel
        assert np.abs(shown[middle] - expected[middle]).mean() < 30
        assert np.corrcoef(shown[middle].ravel(), expected[middle].ravel())[0, 1] > 0.85


def test_processes_cut_the_same_previews_as_none(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "SHEETS_A_PROCESS", 10**6)
    export_site(run, tmp_path / "alone")
    monkeypatch.setattr(previews, "SHEETS_A_PROCESS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    export_site(run, tmp_path / "many")
    assert tree(tmp_path / "alone") == tree(tmp_path / "many")


def blocks(site: Path) -> dict[str, list[tuple[str, bytes]]]:
    """What the files of data hold, by their names."""
    found = {}
    for file in (site / "data").rglob("*.js"):
        match = re.fullmatch(r'convscopeData\("([0-9a-f]{32})",(\[.*\])\)\n', file.read_text(), re.DOTALL)
        assert match
        assert match[1] == file.stem
        found[file.stem] = [(kind, base64.b64decode(data)) for kind, data in json.loads(match[2])]
    return found


def test_data_is_named_by_what_is_in_it_and_is_all_there(site: Path, run: Path) -> None:
    data = blocks(site)
    assert all(name_of(pieces) == name for name, pieces in data.items())
    ledger = json.loads((site / LEDGER).read_text())
    entry = next(one for one in ledger["networks"] if one["name"] == "pets")
    table = json.loads(gzip.decompress(data[entry["table"]][0][1]))

    def block(number: int) -> bytes:
        file, place = table["blocks"][number]
        kind, content = data[table["files"][file]][place]
        return gzip.decompress(content) if kind == "application/gzip" else content

    manifest = json.loads(block(entry["manifest"]))
    assert list(manifest["runs"]) == ["pets"]
    records = manifest["runs"]["pets"]["records"]
    for number, packed in records.items():
        assert json.loads(block(packed["record"]))["id"] == number
        for file, picture in packed["pictures"].items():
            assert block(picture) == Run(run).record(number).picture_bytes(file)
    assert {name for one in ledger["networks"] for name in one["data"]} <= set(data)
    assert EVIL not in "".join(file.read_text() for file in (site / "data").rglob("*.js"))


def test_what_users_named_stays_text(site: Path, training: Path, tmp_path: Path) -> None:
    card = Parsed(site / "index.html")
    assert training.name in card.text
    assert [tag for tag, _ in card.tags].count("b") == 2  # the titles of two cards, no third
    page = Page(f"{folder_name(EVIL)}/index.html", EVIL, EVIL, f"#/layer?run={EVIL}", body="")
    file = tmp_path / "page.html"
    file.write_bytes(static_page(page, Site("https://example.org", EVIL)))
    parsed = Parsed(file)
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert not any("onerror" in attributes for _, attributes in parsed.tags)
    assert parsed.meta["og:title"] == EVIL
    policies = [a["content"] or "" for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policies[0]
    assert "unsafe" not in policies[0]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("conv1", "conv1"),
        ("features.3", "features.3"),
        ("layer1/0/conv", "layer1-0-conv"),
        ("../../etc", "etc"),
        (".hidden", "hidden"),
        ("a" * 300, "a" * 60),
        ("data", "data-3a6eb0"),
        ("NUL.txt", None),
        ("слой", None),
        ("", None),
        ("\udcff", None),
    ],
)
def test_names_of_folders(name: str, folder: str | None) -> None:
    given = folder_name(name, fallback="layer")
    assert is_safe(given)
    assert folder is None or given == folder
    assert given == folder_name(name, fallback="layer")


def test_no_two_folders_are_alike_in_any_letter_case() -> None:
    names = ["a/b", "a-b", "A-B", "a b", "слой", "снег", *map(str, range(50))]
    given = folder_names(names, ["a-b"])
    assert len({folder.lower() for folder in given.values()} | {"a-b"}) == len(names) + 1
    for name in ("..", "a/..", "a\\b", "a.", "", "-a", "x" * 99):
        assert not is_safe(name)


def test_the_same_bytes_again_and_nothing_is_cut_twice(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_site(run, tmp_path / "site")
    before = tree(tmp_path / "site")
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "site").rglob("*.*") if file.name != LEDGER}
    monkeypatch.setattr(previewer, "cut", lambda *_: pytest.fail("a preview was made anew"))
    export_site(run, tmp_path / "site")
    assert tree(tmp_path / "site") == before
    assert all(file.stat().st_mtime_ns == time for file, time in times.items() if file.is_file())


KILLED = """
import os, signal, sys
from convscope.view import previewer, sitefolder
from convscope.view.site import export_site
left = int(sys.argv[3])
def counted(work):
    def call(*arguments):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments)
    return call
for owner, name in ((sitefolder.SiteFolder, "write"), (previewer, "cut"), (sitefolder.SiteFolder, "note")):
    setattr(owner, name, counted(getattr(owner, name)))
export_site(sys.argv[1], sys.argv[2], layers=["stem", "stages.1"])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_killed_anywhere_the_same_command_ends_with_the_same_bytes(tmp_path: Path, run: Path) -> None:
    choice = {"layers": ["stem", "stages.1"]}
    export_site(run, tmp_path / "clean", **choice)
    whole = tree(tmp_path / "clean")
    target = tmp_path / "site"
    for calls in (3, 30):
        done = subprocess.run([sys.executable, "-c", KILLED, str(run), str(target), str(calls)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert not (target / "index.html").exists()
    export_site(run, target, **choice)
    assert tree(target) == whole


@pytest.mark.parametrize("calls", [1, 8, 60])
def test_an_interrupted_export_of_other_runs_leaves_no_traces(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    target = tmp_path / "site"
    export_site(run, target, layers=["stem"])
    whole = tree(target)
    left = [calls]
    write = sitefolder.SiteFolder.write

    def stop(folder: sitefolder.SiteFolder, place: str, data: bytes) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        write(folder, place, data)

    monkeypatch.setattr(sitefolder.SiteFolder, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        export_site({"other": run, "pets": run}, target)
    monkeypatch.setattr(sitefolder.SiteFolder, "write", write)
    assert (target / "index.html").read_bytes() == whole["index.html"]
    export_site(run, target, layers=["stem"])
    assert tree(target) == whole


def test_a_second_run_keeps_the_first_and_what_is_not_needed_goes(tmp_path: Path, run: Path, training: Path) -> None:
    target = tmp_path / "site"
    export_site(run, target, layers=["stem"])
    first = {place: data for place, data in tree(target).items() if place.startswith("pets/")}
    (target / "pets" / "mine.txt").write_text("mine")
    report = export_site({"again": run}, target, channels=[2, 5], layers=["stem"])
    assert report.channels == 2
    assert export_site({"trained": training}, target).networks == ("pets", "again", "trained")
    assert {place: data for place, data in tree(target).items() if place in first} == first
    assert sorted(path.name for path in (target / "again" / "stem").iterdir()) == sorted(
        ["2.html", "2.jpg", "5.html", "5.jpg", "index.html", "preview.jpg"]
    )
    cards = [a["href"] for tag, a in Parsed(target / "index.html").tags if tag == "a"]
    assert cards == ["pets/index.html", "again/index.html", "trained/index.html"]
    export_site(run, target, layers=["stages.0"])
    assert not (target / "pets" / "stem").exists()
    assert (target / "pets" / "mine.txt").read_text() == "mine"
    assert set(blocks(target)) == needed_data(target)


def needed_data(site: Path) -> set[str]:
    ledger = json.loads((site / LEDGER).read_text())
    index = re.search(r'data-index="([0-9a-f]{32})"', (site / "index.html").read_text())
    assert index
    return {index[1], *(name for one in ledger["networks"] for name in one["data"])}


def test_names_that_are_taken(tmp_path: Path, run: Path) -> None:
    other = tmp_path / "other"
    with SummaryWriter(other / "pets") as writer:
        writer.add_scalar("loss", 1, 1)
    assert export_site([run, other], tmp_path / "site").networks == ("pets", "other/pets")
    assert (tmp_path / "site" / "other-pets" / "index.html").is_file()
    with pytest.raises(InputError, match="two of the directories are called 'pets'"):
        export_site([run, other / "pets"], tmp_path / "site")
    assert export_site([run, f"cats={other / 'pets'}"], tmp_path / "third").networks == ("pets", "cats")


def foreign(path: Path) -> None:
    path.mkdir()
    (path / "CNAME").write_text("example.org")


def test_a_folder_that_is_not_ours(tmp_path: Path, run: Path) -> None:
    target = tmp_path / "site"
    foreign(target)
    with pytest.raises(InputError, match="are of no site of convscope"):
        export_site(run, target)
    assert tree(target) == {"CNAME": b"example.org"}
    export_site(run, target, layers=["stem"], force=True)
    assert (target / "CNAME").read_text() == "example.org"
    for name in ("index.html", "pets"):
        foreign(tmp_path / name)
        (tmp_path / name / name).write_text("mine")
        with pytest.raises(InputError, match="is not of this site"):
            export_site(run, tmp_path / name, force=True)
        assert len(tree(tmp_path / name)) == 2


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda path: path.write_text("a file"), InputError, "is a file"),
        (lambda path: None, StorageError, "there is no folder"),
        (lambda path: (path.mkdir(), (path / LEDGER).write_text("{")), FormatError, "damaged"),
        (
            lambda path: (path.mkdir(), (path / LEDGER).write_text('{"networks":[],"format":9}')),
            FormatError,
            "format 9",
        ),
    ],
    ids=["file", "no parent", "damaged", "other format"],
)
def test_folders_that_cannot_be_written_to(
    tmp_path: Path, run: Path, make: Callable[[Path], Any], error: type[Exception], match: str
) -> None:
    target = tmp_path / ("a" if match != "there is no folder" else "a/b/c")
    make(target)
    with pytest.raises(error, match=match):
        export_site(run, target)


@pytest.mark.parametrize(
    "wrong",
    [
        {"program": ["../../keep.txt"]},
        {"program": ["/etc/passwd"]},
        {"writing": {"..": {"preview": True, "layers": {}}}},
        {"writing": {"net": {"preview": True, "layers": {"../..": {"preview": True, "channels": [[0, 2]]}}}}},
        {"writing": []},
    ],
    ids=json.dumps,
)
def test_a_ledger_that_names_files_of_others_is_not_believed(tmp_path: Path, run: Path, wrong: dict[str, Any]) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (target / LEDGER).write_text(json.dumps({"format": 1, "networks": [], "program": [], "writing": {}} | wrong))
    with pytest.raises(FormatError, match="damaged"):
        export_site(run, target)


def test_nothing_is_written_or_removed_through_links(tmp_path: Path, run: Path) -> None:
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    export_site(run, target)
    (target / "pets" / "stages.1").rename(elsewhere)
    (target / "pets" / "stages.1").symlink_to(elsewhere, target_is_directory=True)
    before = tree(elsewhere)
    with pytest.raises(StorageError, match="is a link to elsewhere"):
        export_site(run, target)
    export_site(run, target, layers=["stem"])
    assert tree(elsewhere) == before


def test_the_address_of_the_site(tmp_path: Path, run: Path, site: Path) -> None:
    target = tmp_path / "site"
    export_site(run, target, layers=["stem"])
    assert "sitemap.txt" not in tree(target)
    assert Parsed(target / "pets" / "stem" / "1.html").meta["og:image"] == "1.jpg"
    export_site(run, target, layers=["stem"], base_url="https://example.org/a")
    export_site(run, target, layers=["stem"])  # the address is remembered
    page = Parsed(target / "pets" / "stem" / "1.html")
    assert page.meta["og:image"] == "https://example.org/a/pets/stem/1.jpg"
    lines = (site / "sitemap.txt").read_text().splitlines()
    assert lines[:2] == ["https://example.org/atlas/", "https://example.org/atlas/pets/"]
    assert len(lines) == len(list(site.rglob("*.html")))
    for wrong in ("ftp://x", "javascript:alert(1)", 'https://x/"><script>', "https://x/?a=1", "example.org"):
        with pytest.raises(InputError, match="begins with https://"):
            export_site(run, target, base_url=wrong)


def test_a_sheet_that_cannot_be_read_costs_its_layer_the_previews(tmp_path: Path, run: Path) -> None:
    path = tmp_path / "broken"
    with SummaryWriter(path) as writer:
        writer.add(searched_run.layer_summary("stem"))
        writer.add(searched_run.layer_summary("stages.0"))
    sheet = next(path.glob("records/*/patch/000.webp"))
    sheet.write_bytes(b"RIFF but no picture")
    report = export_site(path, tmp_path / "site")
    assert any("no previews of" in problem and "not a picture" in problem for problem in report.problems)
    assert len(list((tmp_path / "site").rglob("*.jpg"))) in (12 + 2, 20 + 2)
    assert Parsed(tmp_path / "site" / "broken" / "stem" / "3.html").text
    with pytest.raises(InputError, match="quality of pictures"):
        export_site(run, tmp_path / "site", quality=0)


def test_an_export_waits_for_no_other(tmp_path: Path, run: Path) -> None:
    pytest.importorskip("fcntl")
    export_site(run, tmp_path / "site", layers=["stem"])
    folder = sitefolder.SiteFolder(tmp_path / "site")
    with folder.locked(), pytest.raises(InputError, match="another export"):
        export_site(run, tmp_path / "site")


def test_the_command(
    tmp_path: Path, run: Path, training: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["convscope", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    target = tmp_path / "site"
    assert call(run, f"trained={training}", "-o", f"{target}/") == 0
    told = capsys.readouterr()
    assert "72 channels with pages" in told.out
    assert "previews of links need the address" in told.err
    assert (target / "trained" / "index.html").is_file()
    assert call(run, training, "-o", tmp_path / "x.html") == 2
    assert "one file holds the runs of one directory" in capsys.readouterr().err
    with pytest.raises(NotFoundError, match="no layer 'conv9'"):
        export_site(run, target, layers=["conv9"])


def test_odd_records(tmp_path: Path) -> None:
    """One channel, one picture a channel, no names, NaN: the pages are there all the same."""
    tiles = np.zeros((1, 1, 700, 20, 1), np.uint8)
    arrays = {"value": np.full((1, 1), np.nan, np.float32), "image": np.full((1, 1), -1)}
    arrays |= {"position": np.zeros((1, 1, 2), np.int32), "box": np.zeros((1, 1, 4), np.int32)}
    arrays |= {name: np.full(1, np.nan) for name in ("mean", "max", "variance", "positive")}
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add(Summary("topk", EVIL, arrays=arrays, pictures={"patch": tiles}, meta={"label_names": None}))
        writer.add(Summary("topk", "bare", arrays=arrays, meta={"receptive_field": None}))
    assert export_site(tmp_path / "run", tmp_path / "site").problems == ()
    folder = tmp_path / "site" / "run" / folder_name(EVIL)
    with Image.open(BytesIO((folder / "0.jpg").read_bytes())) as picture:
        assert picture.size == (7, previewer.SIDE)
    assert EVIL in Parsed(folder / "0.html").text
    assert "nan" not in Parsed(folder / "0.html").text
    assert {file.name for file in (tmp_path / "site" / "run" / "bare").iterdir()} == {"0.html", "index.html"}


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("label", np.zeros((6, 4))),
        ("label", np.zeros((6, 4, 2), np.int64)),
        ("image", np.ones((6, 4))),
        ("value", np.ones(6)),
    ],
)
def test_arrays_that_are_not_what_their_names_promise_are_left_out(
    tmp_path: Path, name: str, odd: np.ndarray[Any, Any]
) -> None:
    rng = np.random.default_rng(0)
    arrays = {"value": rng.random((6, 4)), "image": np.arange(24).reshape(6, 4), "label": np.ones((6, 4), np.int32)}
    arrays |= {"position": np.zeros((6, 4, 2), np.int32), "box": np.zeros((6, 4, 4), np.int32)}
    arrays |= {of: rng.random(6) for of in ("mean", "max", "variance", "positive")} | {name: odd}
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add(Summary("topk", "conv", arrays=arrays, meta={"label_names": ["cat", "dog"]}))
    assert export_site(tmp_path / "run", tmp_path / "site").problems == ()
    said = Parsed(tmp_path / "site" / "run" / "conv" / "3.html").text
    assert "Largest activation" in said
    assert ("dog" in said) == (name != "label")
    assert ("Activation" in said) == (name == "label")
