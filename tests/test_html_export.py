"""``convscope export``: what is in the file, that nothing a user named gets out of its block, and every refusal."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load

from convscope import Logdir, Run, Summary, SummaryWriter, export
from convscope.cli import main
from convscope.errors import InputError, NotFoundError, StorageError
from convscope.summary import KINDS
from convscope.view import program
from convscope.view.blocks import Blocks, Owner, TooLargeError
from convscope.view.html import compose, megabytes
from convscope.view.numbers import planes
from convscope.view.quality import smaller
from convscope.view.selection import Choice, read_channels
from convscope.view.source import LogdirSource

EVIL = "</script><img src=x onerror=alert(1)><!--<script>"
RULES = ["deconvnet", "gradient"]


def searched(layer: str, channels: int, seed: int = 0, tile: int = 12, rules: list[str] = RULES) -> Summary:
    """A top-k record as a search writes it, of random numbers."""
    random = np.random.default_rng(seed)
    c, k = channels, 4
    sheet = (random.random((c, k, tile, tile, 3)) * 255).astype(np.uint8)
    arrays = {
        "value": random.random((c, k)).astype(np.float32),
        "image": random.integers(0, 99, (c, k)),
        "position": np.zeros((c, k, 2), np.int32),
        "box": np.zeros((c, k, 4), np.int32),
        **{name: random.random(c) for name in ("mean", "max", "variance", "positive")},
        "similar": random.integers(0, c, (c, 8)).astype(np.int32),
        "activation": random.random((c, k)).astype(np.float32),
        "projection_scale": random.random((len(rules), c, k)).astype(np.float32),
        "proof": random.random((len(rules), c, k, 5)).astype(np.float32),
    }
    pictures = {"patch": sheet, **dict.fromkeys(rules, 255 - sheet)}
    meta: dict[str, Any] = {"layer": layer, "k": k, "rules": rules, "complete": True}
    meta |= {"rule_reports": {rule: f"{rule} ruled" for rule in rules}, "label_names": [EVIL]}
    return Summary("topk", layer, arrays=arrays, pictures=pictures, meta=meta)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every way data is packed: curves, pictures, records of two layers, long arrays, hostile names."""
    path = tmp_path_factory.mktemp("export") / "net"
    random = np.random.default_rng(1)
    weight = random.standard_normal((300, 40, 7, 7), np.float32)
    with SummaryWriter(path) as writer:
        for step in range(40):
            writer.add_scalar("loss", 1 / (step + 1), step)
            writer.add_scalar(EVIL, step, step)
        writer.add_histogram("weights", random.standard_normal(500), 1)
        writer.add_image("seen", np.full((3, 8, 8), 0.5, np.float32), 3)
        writer.add(searched("conv1", 40, seed=7), "conv1")  # published while the search was on
        writer.add(searched("conv1", 40), "conv1")
        writer.add(searched("conv2", 20, seed=2), "conv2")
        writer.add(Summary("filters", "conv2", arrays={"weight": weight}, meta={"layer": "conv2"}))
        counts = np.arange(9).reshape(3, 3)
        for step in (1, 5, 9):
            writer.add(Summary("confusion_matrix", "test", step, arrays={"counts": counts + step}))
    return path


class Page(HTMLParser):
    """What a browser's parser makes of an exported file: its tags, and the text of each script."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[int, tuple[str, bytes]] = {}
        self.chunks: dict[str, bytes] = {}
        self.program = self.style = self.inside = ""
        self.text = file.read_text()
        self.feed(self.text)
        (block,) = (attrs["data-manifest"] for _, attrs in self.tags if "data-manifest" in attrs)
        self.manifest: Any = self.json(int(block or -1))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        tag, attributes = self.inside, self.tags[-1][1] if self.tags else {}
        if tag == "script" and "data-start" in attributes:
            self.program += data
        elif tag == "script":
            what, _, name = (attributes["id"] or "").partition("-")
            content = base64.b64decode(data, validate=True)
            if what == "chunk":
                self.chunks[name] = gzip.decompress(content)
            else:
                self.blocks[int(name)] = (attributes["type"] or "", content)
        elif tag == "style":
            self.style += data

    def unpacked(self, number: int, width: int = 1) -> bytes:
        kind, data = self.blocks[number]
        assert kind == "application/gzip"
        raw = gzip.decompress(data)
        return raw if len(raw) % width else np.frombuffer(raw, np.uint8).reshape(width, -1).T.tobytes()

    def json(self, number: int) -> Any:
        return json.loads(self.unpacked(number))

    def records(self, run: str = "net") -> dict[str, tuple[Any, Any]]:
        """The description and the blocks of each record by its kind and tag (and step, where it is not 0)."""
        found = {}
        for one in self.manifest["runs"][run]["records"].values():
            described = self.json(one["record"])
            name = f"{described['kind']} {described['tag']}" + (f" {described['step']}" if described["step"] else "")
            assert name not in found
            found[name] = (described, one)
        return found

    def array(self, blocks: Any, name: str) -> np.ndarray[Any, Any]:
        _, width, numbers = blocks["arrays"][name]
        return np.concatenate([load(self.unpacked(number, width))[name] for number in numbers])


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    file = tmp_path_factory.mktemp("whole") / "net.html"
    export(run, file)
    return Page(file)


def test_the_file_answers_what_the_source_does(run: Path, whole: Page) -> None:
    source = LogdirSource(Logdir(run))
    index = whole.manifest["index"]
    (asked,) = source.index()["runs"]
    assert [one["name"] for one in index["runs"]] == ["net"]
    assert index["runs"][0]["series"] == asked["series"]
    records = whole.records()
    assert list(records) == [
        *("topk conv1", "topk conv2", "filters conv2"),
        *("confusion_matrix test 1", "confusion_matrix test 5", "confusion_matrix test 9"),
    ]
    for described, blocks in records.values():
        truth = source.record(".", described["id"])
        assert {**described, "arrays": None} == {**truth, "arrays": None}
        for name, info in described["arrays"].items():
            array, exact = whole.array(blocks, name), load(source.arrays(".", described["id"], [name]))[name]
            assert list(array.shape) == info["shape"] == list(exact.shape)
            if name == "weight":
                assert array.dtype == np.float16
                assert np.abs(array - exact).max() <= np.abs(exact).max() / 2048
            else:
                assert np.array_equal(array, exact)
                assert array.dtype == exact.dtype
        for plan in described["pictures"].values():
            for file in plan["files"]:
                kind, data = whole.blocks[blocks["pictures"][file]]
                assert kind == ("image/webp" if file.endswith("webp") else "image/png")
                assert data == source.picture(".", described["id"], file)


def test_series_and_pictures_are_in_the_file(run: Path, whole: Page) -> None:
    source = LogdirSource(Logdir(run))
    packed = whole.manifest["runs"]["net"]
    for kind, tags in packed["series"].items():
        for tag, block in tags.items():
            assert whole.unpacked(block, 8) == source.series(".", kind, tag, 0)
    assert set(packed["series"]["scalar"]) == {"loss", EVIL}
    (block,) = packed["media"]["image"]["seen"]
    assert whole.blocks[block] == ("image/png", source.image(".", "seen", 0)[0])


def test_long_arrays_are_blocks_of_rows(whole: Page) -> None:
    described, blocks = whole.records()["filters conv2"]
    rows, width, numbers = blocks["arrays"]["weight"]
    assert described["arrays"]["weight"]["dtype"] == "F16"
    assert width == 2
    assert len(numbers) == -(-300 // rows) == 3
    assert load(whole.unpacked(numbers[-1], 2))["weight"].shape[0] == 300 - 2 * rows


def test_no_name_ends_its_block_and_no_other_tag_comes_in(whole: Page) -> None:
    assert EVIL in whole.manifest["runs"]["net"]["series"]["scalar"]
    assert "onerror" not in whole.text.replace(whole.program, "")
    names = [tag for tag, _ in whole.tags]
    assert set(names) == {
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "div",
        "noscript",
        "script",
        "template",
    }
    assert names.count("script") == len(whole.blocks) + len(whole.chunks) + 1
    assert "<script" not in whole.program.lower()
    assert "</style" not in whole.style.lower()


def test_the_policy_forbids_every_request_and_lets_the_program_run(whole: Page) -> None:
    policy = next(a["content"] or "" for tag, a in whole.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    scripts = [whole.program.encode(), *whole.chunks.values()]
    digests = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not re.search(r"https?:|\*|'self'|unsafe-eval", policy)
    assert "unsafe-inline" not in rules["script-src"]
    places = [(tag, a.get("src") or a.get("href")) for tag, a in whole.tags]
    assert [tag for tag, place in places if place and not place.startswith("data:")] == []
    assert re.findall(r"url\((?!['\"]?data:)[^#)]*\)", whole.style) == []


def test_only_the_code_of_the_views_that_are_there_is_in_the_file(whole: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        volume = np.zeros((2, 3, 3), np.float32)
        arrays = {"volume": volume, "voxels": volume.astype(np.uint8), "scale": np.zeros((2, 2), np.float32)}
        writer.add(Summary("volume", "relu1", arrays={**arrays, "order": np.arange(2, dtype=np.int32)}))
    export(tmp_path / "run", tmp_path / "run.html")
    page = Page(tmp_path / "run.html")

    def has(file: Page, word: bytes) -> bool:
        return any(word in text for text in file.chunks.values())

    assert (has(whole, b"WebGLRenderer"), has(page, b"WebGLRenderer")) == (False, True)
    assert set(page.chunks) == {*program.entry("page").scripts, *program.chunks(["volume"])}
    assert set(page.chunks) != set(whole.chunks)
    _, blocks = page.records("run")["volume relu1"]
    assert set(blocks["arrays"]) == {"voxels", "scale", "order"}, "no view asks for the floats of a volume"


def test_every_view_has_its_chunks_after_those_that_they_need() -> None:
    table = json.loads(program.chunk(program.CHUNKS))
    assert set(table["views"]) == {kind.view for kind in KINDS.values() if kind.view}
    for names in (*table["hosts"].values(), *table["views"].values()):
        assert len(set(names)) == len(names)
        for place, name in enumerate(names):
            assert set(table["imports"][name]) <= set(names[:place]), name
            text = program.chunk(name).decode()
            assert text.startswith(f'System.register("{name}",['), "a classic script that says its name"
            assert "import.meta" not in text
    for host, start in table["entry"].items():
        assert program.entry(host).start == start == program.entry(host).scripts[-1]


def test_small_pages_and_numbers_come_first(whole: Page) -> None:
    order = [a["id"] or "" for tag, a in whole.tags if tag == "script" and "id" in a]
    (manifest,) = (a["data-manifest"] for _, a in whole.tags if "data-manifest" in a)
    assert order[0] == f"block-{manifest}"
    records = whole.records()
    curve = whole.manifest["runs"]["net"]["series"]["scalar"]["loss"]
    value = records["topk conv1"][1]["arrays"]["value"][2][0]
    sheets = records["topk conv1"][1]["pictures"].values()
    places = [order.index(f"block-{number}") for number in (curve, value, min(sheets))]
    assert places == sorted(places)
    chunks = [place for place, name in enumerate(order) if name.startswith("chunk-")]
    assert chunks == [*range(1, len(chunks) + 1)], "the program is there before the data"


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    report = export(run, first, quality=40)
    export(Run(run), second, quality=40)
    assert first.read_bytes() == second.read_bytes()
    assert report.bytes == first.stat().st_size
    assert report.records == 6
    assert report.problems == ()
    assert sum(report.pages.values()) < report.bytes
    assert list(report.pages) == ["layer", "filters", "confusion", "scalars", "histograms", "images", "index"]


def test_pages_and_layers_are_chosen(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "a.html", pages=["layer", "confusion"], layers="conv2", step=5)
    page = Page(tmp_path / "a.html")
    assert list(page.records()) == ["topk conv2", "confusion_matrix test 5"]
    assert page.manifest["index"]["runs"][0]["series"] == []
    assert [one["tag"] for one in page.manifest["index"]["runs"][0]["records"]] == ["conv2", "test"]


def test_channels_that_are_not_chosen_leave_the_file(run: Path, tmp_path: Path, whole: Page) -> None:
    export(run, tmp_path / "a.html", pages=["layer"], channels=[3, 33])
    page = Page(tmp_path / "a.html")
    described, blocks = page.records()["topk conv1"]
    assert described["meta"]["exported_channels"] == [3, 33]
    assert page.records()["topk conv2"][0]["meta"]["exported_channels"] == [3]
    assert set(blocks["pictures"]) == {f"{name}/{n:03d}.webp" for name in ("patch", *RULES) for n in (0, 2)}
    everything = whole.records()["topk conv1"][1]
    gone = whole.blocks[everything["pictures"]["patch/001.webp"]][1]
    assert gone not in [data for _, data in page.blocks.values()]
    value, truth = page.array(blocks, "value"), whole.array(everything, "value")
    assert np.array_equal(value[[3, 33]], truth[[3, 33]])
    assert np.isnan(np.delete(value, [3, 33], axis=0)).all()
    assert np.isnan(np.delete(page.array(blocks, "activation"), [3, 33], axis=0)).all()
    assert (np.delete(page.array(blocks, "image"), [3, 33], axis=0) == -1).all()
    proof = page.array(blocks, "proof")
    assert np.array_equal(proof[:, 33], whole.array(everything, "proof")[:, 33])
    assert np.isnan(proof[:, 4]).all()
    assert np.array_equal(page.array(blocks, "max"), whole.array(everything, "max"))


def test_rules_that_are_not_chosen_leave_the_file(run: Path, tmp_path: Path, whole: Page) -> None:
    export(run, tmp_path / "a.html", pages=["layer"], rules=["gradient"])
    page = Page(tmp_path / "a.html")
    described, blocks = page.records()["topk conv1"]
    assert described["meta"]["rules"] == ["gradient"]
    assert described["meta"]["rule_reports"] == {"gradient": "gradient ruled"}
    assert set(described["pictures"]) == {"patch", "gradient"}
    truth = whole.array(whole.records()["topk conv1"][1], "proof")
    assert np.array_equal(page.array(blocks, "proof"), truth[1:])
    assert described["arrays"]["proof"]["shape"] == list(truth[1:].shape)


def test_a_lower_quality_makes_photographs_smaller_and_keeps_their_size(tmp_path: Path) -> None:
    from sklearn.datasets import load_sample_image

    out = BytesIO()
    Image.fromarray(load_sample_image("china.jpg")).save(out, "WEBP", quality=85)
    less = smaller(out.getvalue(), 40)
    assert len(less) < 0.6 * len(out.getvalue())
    with Image.open(BytesIO(less)) as picture:
        assert picture.size == (640, 427)
    assert smaller(less, 95) == less, "what would grow stays as it is"
    assert smaller(b"no picture", 40) == b"no picture"


def test_a_record_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for tag in ("good", "bad", "gone", "odd", "nan"):
            writer.add(searched(tag, 4), tag)
    good, bad, gone, odd, nan = sorted((tmp_path / "run" / "records").iterdir())
    meta = json.loads((odd / "meta.json").read_text())
    meta["arrays"]["value"]["shape"] = ["4", None]
    (odd / "meta.json").write_text(json.dumps(meta))
    (nan / "meta.json").write_text((nan / "meta.json").read_text().replace('"k": 4', '"k": NaN'))
    (bad / "arrays.safetensors").write_bytes(b"broken")
    (gone / "meta.json").unlink()
    report = export(tmp_path / "run", tmp_path / "run.html")
    assert list(Page(tmp_path / "run.html").records("run")) == ["topk good"]
    assert report.records == 1
    said = "\n".join(report.problems)
    assert len(report.problems) == 4
    assert re.search(rf"record {bad.name} has no readable arrays", said)
    assert re.search(rf"record {gone.name} is gone", said)
    assert re.search(rf"record {odd.name} does not say of what type and shape its array 'value' is", said)
    assert re.search(r"what describes 'nan' is not JSON", said)
    assert good.name not in said


def test_names_of_runs_are_those_of_the_directory(tmp_path: Path) -> None:
    for name in ("a", "b/deep"):
        with SummaryWriter(tmp_path / "runs" / name) as writer:
            writer.add_scalar("loss", 1, 1)
    export(tmp_path / "runs", tmp_path / "runs.html")
    page = Page(tmp_path / "runs.html")
    assert list(page.manifest["runs"]) == ["a", "b/deep"]
    exported = page.manifest["index"]["exported"]
    assert exported["wall_time"] == max(one["last_wall_time"] for one in page.manifest["index"]["runs"])


def refused(run: Path, file: Path, error: type[Exception], message: str, **choice: Any) -> None:
    with pytest.raises(error, match=message):
        export(run, file, **choice)
    assert not file.exists()
    assert not list(file.parent.glob(".convscope*")) if file.parent.exists() else True


def test_what_is_not_there_is_refused_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    refused(run, file, NotFoundError, "no page 'layers' in net; did you mean 'layer'", pages=["layers"])
    refused(run, file, NotFoundError, "no page 'volume' in net; there are: scalars, ", pages=["volume"])
    refused(run, file, NotFoundError, "no layer 'conv9' in net; did you mean", layers=["conv9"])
    refused(run, file, NotFoundError, "no rule 'deconvnets' in net; did you mean 'deconvnet'", rules=["deconvnets"])
    refused(run, file, NotFoundError, "no channel 40 in the layers exported; the largest has 40", channels=[40])
    refused(run, file, NotFoundError, "no channel -1", channels=[-1])
    refused(run, file, InputError, "of which none is exported", channels=[1], pages=["filters"])
    refused(run, file, InputError, "pages are names, at least one", pages=[])
    refused(run, file, InputError, "channels are whole numbers from 0", channels=[1.5])
    refused(run, file, InputError, "nothing of net is left", pages=["confusion"], step=0)
    refused(run, file, InputError, "quality of pictures is a number from 1 to 100, got 0", quality=0)
    refused(run, file, InputError, "megabytes above 0, got 0", max_mb=0)
    refused(run, tmp_path / "no" / "page.html", StorageError, "there is no folder")
    refused(tmp_path / "missing", file, NotFoundError, "missing")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", file, InputError, "nothing in empty has a page; write a run first")


def test_a_file_that_is_there_is_replaced_only_by_force(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("mine")
    with pytest.raises(InputError, match=r"page.html exists already; .*--force"):
        export(run, file)
    assert file.read_text() == "mine"
    export(run, file, force=True, pages=["scalars"])
    assert "data-manifest" in file.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match="exists already"):
        export(run, tmp_path / "folder.html", force=True)


def test_a_file_above_the_cap_is_refused_with_its_size_and_advice(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    refused(run, file, InputError, r"the program alone takes [\d.]+ MB, and the file may have 0\.01 MB", max_mb=0.01)
    refused(run, file, InputError, r"would have [\d.]+ MB, more than the 1 MB it may; choose fewer pages \(", max_mb=1)
    with pytest.raises(InputError) as caught:
        export(run, file, max_mb=1)
    size = float(re.findall(r"have ([\d.]+) MB", str(caught.value))[0])
    report = export(run, file)
    assert size == pytest.approx(report.bytes / 1e6, abs=0.06)
    assert "layers (conv2" in str(caught.value)
    assert "rules (there are 2)" in str(caught.value)
    source = LogdirSource(Logdir(run))
    program = report.bytes - sum(report.pages.values())
    with pytest.raises(InputError, match=r"more than ten times as much as the 0\."):
        compose(source, Choice(), max_mb=program / 1e6 + 0.05)


def test_blocks_are_kept_once_and_far_too_many_are_not_looked_at() -> None:
    blocks = Blocks(most=100)
    assert blocks.add(Owner("a"), "image/png", b"x" * 30) == blocks.add(Owner("b"), "image/png", b"x" * 30) == 0
    assert blocks.add(Owner("b", "l"), "image/webp", b"x" * 30) == 1
    assert blocks.by_page() == {"a": 40, "b": 40}
    assert blocks.by_layer() == {"l": 40}
    assert not blocks.too_many
    assert blocks.add(Owner("b"), "image/png", b"y" * 300) == 2
    assert blocks.too_many
    assert blocks.all == []
    assert len(blocks) == 3
    with pytest.raises(TooLargeError):
        blocks.add(Owner("b"), "image/png", b"z" * 900)


def test_small_helpers() -> None:
    numbers = np.arange(7, dtype="<f4")
    there = planes(numbers.tobytes(), 4)
    assert np.frombuffer(there, np.uint8).reshape(4, 7).T.tobytes() == numbers.tobytes()
    assert planes(b"odd", 2) == b"odd"
    assert megabytes(2.26e6) == "2.3 MB"
    assert read_channels(" 0-2, 40,") == [0, 1, 2, 40]
    assert read_channels("") is None
    for text in ("3-1", "a", "1-", "-2", "1-99999999", "¹"):
        with pytest.raises(InputError, match=r"as in 0-15,40; got"):
            read_channels(text)


def test_the_command_prints_the_size_first(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def convscope(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["convscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    file = tmp_path / "page.html"
    code, out, err = convscope("export", run, "-o", file, "--pages", "layer, filters", "--channels", "0-3")
    assert (code, err) == (0, "")
    said = out.splitlines()
    assert re.fullmatch(r".*page\.html gets [\d.]+ MB: layer [\d.]+ MB, .*the program [\d.]+ MB", said[0])
    assert said[1].startswith("written")
    assert set(Page(file).records()) == {"topk conv1", "topk conv2", "filters conv2"}
    size = file.stat().st_size
    code, out, err = convscope("export", run, "-o", file)
    assert (code, out) == (2, "")
    assert "exists already" in err
    code, out, err = convscope("export", run, "-o", file, "--force", "--max-mb", "1")
    assert (code, out) == (2, "")
    assert "choose fewer pages" in err
    assert file.stat().st_size == size
    code, _, err = convscope("export", tmp_path / "none", "-o", tmp_path / "b.html")
    assert code == 2
    assert len(err.splitlines()) == 1
