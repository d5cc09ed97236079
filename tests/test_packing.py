"""What an export packs: every answer of a source comes out of its blocks again, and pictures fit into what they may."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from convscope import Logdir, Summary, SummaryWriter
from convscope.errors import FormatError
from convscope.view.blocks import Blocks, in_base64
from convscope.view.media import MISSING
from convscope.view.numbers import halves_well, pieces, planes
from convscope.view.packing import Packer
from convscope.view.quality import AS_STORED, QUALITIES, Sort, fit, smaller
from convscope.view.selection import Choice, Selected, select
from convscope.view.source import LogdirSource
from convscope.view.training import SERIES

EVIL = "</script><img src=x onerror=alert(1)>"
LONG = "ä" * 700_000
"""More than a megabyte in UTF-8."""


@dataclass
class Packed:
    """An export as its page sees it: the tables of the runs, and the blocks."""

    runs: dict[str, Any]
    blocks: list[tuple[str, bytes]]
    selected: Selected
    packer: Packer

    def read(self, number: int, width: int = 1) -> bytes:
        kind, data = self.blocks[number]
        assert kind == "application/gzip"
        raw = gzip.decompress(data)
        return raw if len(raw) % width else np.frombuffer(raw, np.uint8).reshape(width, -1).T.tobytes()

    def json(self, number: int) -> Any:
        return json.loads(self.read(number))


def packed(path: Path, choice: Choice | None = None, source: LogdirSource | None = None, **options: Any) -> Packed:
    source = source or LogdirSource(Logdir(path))
    selected = select(source, choice or Choice())
    blocks = Blocks(1e9)
    packer = Packer(source, blocks, **options)
    runs = packer.pack(selected)
    return Packed(runs, [(block.type, block.data) for block in blocks.all], selected, packer)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with everything that is no record, some of it under hostile names."""
    path = tmp_path_factory.mktemp("packing") / "nets"
    ramp = np.linspace(0, 1, 50)
    corners = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    with SummaryWriter(path / "a") as writer:
        for step in (1, 5):
            writer.add_scalar(EVIL, float("nan") if step == 1 else 0.5, step)
            writer.add_text(EVIL, "é" * step, step)
            writer.add_audio("beep", np.sin(np.arange(800.0)) * step / 5, step, sample_rate=8000)
            writer.add_histogram("weights", ramp * step, step)
            writer.add_image("seen", np.full((1, 5, 7), step / 5), step)
        writer.add_text("empty", "", 0)
        writer.add_text("long", LONG, 0)
        writer.add_pr_curve("pr", ramp > 0.5, ramp, 1, num_thresholds=5)
        writer.add_pr_curve("pr", ramp > 0.5, ramp, 2, num_thresholds=9)
        writer.add_mesh("tri", corners, faces=np.array([[[0, 1, 2]]] * 2), global_step=0)
        writer.add_mesh("tri", corners[:1], colors=np.full((1, 3, 3), 7, np.uint8), global_step=4)
        writer.add_custom_scalars({"mine": {"both": ["Multiline", [EVIL, "loss.*"]]}})
        writer.add_graph(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()), torch.zeros(1, 3))
        writer.add_hparams({"lr": 0.1, "clip": float("inf"), EVIL: EVIL}, {"acc": 0.9}, None, ".")
    with SummaryWriter(path / "b") as writer:
        writer.add_scalar("loss", 1, 1)
    return path


@pytest.fixture(scope="module")
def whole(logdir: Path) -> Packed:
    return packed(logdir)


def test_every_series_of_every_kind_comes_out_as_the_source_has_it(logdir: Path, whole: Packed) -> None:
    source = LogdirSource(Logdir(logdir))
    table = whole.runs["a"]["series"]
    assert set(table) == set(SERIES)
    for kind, tags in table.items():
        for tag, block in tags.items():
            assert whole.read(block, 8) == source.series("a", kind, tag, 0)
    assert EVIL in table["scalar"]
    assert table["moments"].keys() == table["histogram"].keys()
    assert whole.runs["b"]["series"].keys() == {"scalar"}


def test_every_file_and_text_and_mesh_comes_out_as_the_source_has_it(logdir: Path, whole: Packed) -> None:
    source = LogdirSource(Logdir(logdir))
    media = whole.runs["a"]["media"]
    assert {kind: {tag: len(blocks) for tag, blocks in tags.items()} for kind, tags in media.items()} == {
        "image": {"seen": 2},
        "audio": {"beep": 2},
        "text": {EVIL: 2, "empty": 1, "long": 1},
        "mesh": {"tri": 2},
    }
    for number in range(2):
        assert whole.blocks[media["image"]["seen"][number]] == source.image("a", "seen", number)[::-1]
        assert whole.blocks[media["audio"]["beep"][number]] == source.audio("a", "beep", number)[::-1]
    for tag, blocks in media["text"].items():
        for number, block in enumerate(blocks):
            assert whole.read(block) == source.text("a", tag, number, whole=True)[0]
    assert whole.read(media["text"]["long"][0]).decode() == LONG, "a file has the whole of it"
    assert [len(items) for items in media["mesh"]["tri"]] == [2, 1], "the meshes of a batch are a block each"
    for number, items in enumerate(media["mesh"]["tri"]):
        for item, block in enumerate(items):
            assert whole.read(block, 4) == source.mesh("a", "tri", number, item)


def test_what_there_is_one_of_a_run_comes_out_as_the_source_has_it(logdir: Path, whole: Packed) -> None:
    source = LogdirSource(Logdir(logdir))
    run = whole.runs["a"]
    assert whole.json(run["hparams"]) == source.hparams()["runs"][0]
    assert whole.json(run["hparams"])["values"][EVIL] == EVIL
    assert whole.json(run["layout"]) == json.loads(json.dumps(source.layout("a")))
    assert [whole.json(block) for block in run["graphs"]] == [json.loads(json.dumps(source.graph("a", 0)))]
    assert not {"hparams", "layout", "graphs"} & whole.runs["b"].keys()
    assert whole.selected.problems == []


def test_the_index_lists_every_series_that_the_source_lists(logdir: Path, whole: Packed) -> None:
    asked = LogdirSource(Logdir(logdir)).index()["runs"]
    assert [run.index()["series"] for run in whole.selected.runs] == [run["series"] for run in asked]


def test_a_run_alone_has_its_name_in_its_hyper_parameters(logdir: Path) -> None:
    alone = packed(logdir / "a")
    assert list(alone.runs) == ["a"]
    assert alone.json(alone.runs["a"]["hparams"])["run"] == "a"


@pytest.mark.parametrize(
    ("page", "tables"),
    [
        ("scalars", {"series", "layout"}),
        ("text", {"series"}),
        ("hparams", {"hparams"}),
        ("graph", {"graphs"}),
        ("mesh", {"series"}),
    ],
)
def test_only_what_a_chosen_page_shows_is_packed(logdir: Path, page: str, tables: set[str]) -> None:
    chosen = packed(logdir, Choice.of(pages=[page]))
    assert {name for name, table in chosen.runs["a"].items() if table not in ({}, [])} - {"media", "records"} == tables
    assert chosen.selected.pages() == [page]


def test_what_cannot_be_read_is_named_and_the_rest_is_packed(logdir: Path) -> None:
    class Damaged(LogdirSource):
        def text(self, run: str, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:
            if number:
                raise FormatError("the second text is damaged")
            return super().text(run, tag, number, whole=whole)

        def series(self, run: str, kind: str, tag: str, start: int = 0) -> bytes:
            if kind == "mesh":
                raise FormatError("the meshes are damaged")
            return super().series(run, kind, tag, start)

        def graph(self, run: str, number: int) -> dict[str, Any]:
            raise FormatError("the graph is damaged")

    export = packed(logdir, source=Damaged(Logdir(logdir)))
    run = export.runs["a"]
    first, second = run["media"]["text"][EVIL]
    assert export.read(first).decode() == "é"
    assert second == MISSING
    assert run["graphs"] == [MISSING]
    assert "mesh" not in run["media"]
    assert "mesh" not in {kind for kind, _, _ in export.selected.runs[0].series}
    said = ("the second text is damaged", "the meshes are damaged", "the graph is damaged")
    assert sorted(export.selected.problems) == sorted(f"a: {sentence}" for sentence in said)


def noise(seed: int, side: int = 64) -> bytes:
    """A picture as a sheet has it, smooth and rough in parts."""
    random = np.random.default_rng(seed)
    smooth = np.linspace(0, 200, side)[:, None, None] + np.linspace(0, 40, side)[None, :, None]
    pixels = np.clip(smooth + random.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=90)
    return out.getvalue()


def sort_of(pictures: Iterable[bytes]) -> Sort:
    return [(lambda data=data: data, in_base64(len(data))) for data in pictures]  # type: ignore[misc]


def best(pictures: Sequence[bytes], goals: Sequence[float]) -> tuple[int, list[bytes]]:
    """The slower truth: compress everything with every quality, and take the first that fits."""
    for goal, quality in itertools.product(goals, (AS_STORED, *QUALITIES)):
        tried = [smaller(data, quality) for data in pictures]
        if sum(in_base64(len(data)) for data in tried) <= goal:
            return quality, tried
    return AS_STORED, list(pictures)


SHEETS = [noise(seed) for seed in range(4)]
STORED = sum(in_base64(len(data)) for data in SHEETS)


@pytest.mark.parametrize(
    "goals", [(share * STORED,) for share in (1.0, 0.8, 0.6, 0.4, 0.3)] + [(1.0, 0.5 * STORED), (1.0, 2.0), (-5.0,)]
)
def test_pictures_have_the_highest_quality_that_fits(goals: tuple[float, ...]) -> None:
    quality, truth = best(SHEETS, goals)
    with ThreadPoolExecutor(2) as pool:
        found = fit([sort_of(SHEETS[:2]), sort_of(SHEETS[2:])], goals, pool)
    assert list(found.pictures) == truth
    assert (found.squeezed.quality if found.squeezed else AS_STORED) == quality
    if found.squeezed:
        assert found.squeezed.bytes == sum(in_base64(len(data)) for data in truth) <= max(goals)
        assert found.squeezed.stored == STORED


def test_the_goals_above_are_met_in_more_ways_than_one() -> None:
    assert len({best(SHEETS, (share * STORED,))[0] for share in (1.0, 0.8, 0.6, 0.4)}) >= 3


def test_the_few_that_are_looked_at_are_neither_the_smallest_nor_all_alike() -> None:
    plain = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(plain, "WEBP", quality=90)
    pictures = [plain.getvalue(), *SHEETS, *(noise(seed) for seed in (7, 8)), plain.getvalue()]
    goal = 0.6 * sum(in_base64(len(data)) for data in pictures)
    with ThreadPoolExecutor(2) as pool:
        found = fit([sort_of(pictures)], [goal], pool)
    assert sum(in_base64(len(data)) for data in found.pictures) <= goal
    assert found.squeezed is not None


def test_where_what_was_looked_at_misleads_the_next_quality_is_tried() -> None:
    class Growing:
        """A picture that is another one when it is read again: somebody is writing the run."""

        def __init__(self, data: bytes) -> None:
            self.next = [smaller(data, 30)] * 4  # so often the qualities are halved
            self.data = data

        def __call__(self) -> bytes:
            return self.next.pop() if self.next else self.data

    goal = 0.4 * STORED
    quality, truth = best(SHEETS, [goal])
    with ThreadPoolExecutor(2) as pool:
        found = fit([[(Growing(data), in_base64(len(data))) for data in SHEETS]], [goal], pool)
    assert list(found.pictures) == truth
    assert quality < QUALITIES[0]
    assert found.squeezed is not None
    assert found.squeezed.quality == quality


def test_without_pictures_there_is_nothing_to_fit() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert list(fit([], [0.0], pool).pictures) == []


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with lossy sheets, lossless sheets, and weights."""
    path = tmp_path_factory.mktemp("pictures") / "run"
    random = np.random.default_rng(0)
    with SummaryWriter(path) as writer:
        arrays = {
            "vector": random.random((40, 4)).astype(np.float32),
            "label": np.zeros(40, np.int32),
            "index": np.arange(40),
        }
        for tag, side in (("large", 48), ("small", 8)):
            tiles = (random.random((40, 1, side, side, 3)) * 255).astype(np.uint8)
            writer.add(Summary("embedding", tag, arrays=arrays, pictures={"thumbnail": tiles}))
        writer.add(Summary("filters", "conv", arrays={"weight": random.standard_normal((4, 3, 5, 5), np.float32)}))
    return path


def test_only_lossy_pictures_are_compressed_anew(pictures: Path) -> None:
    stored = packed(pictures)
    size = sum(in_base64(len(data)) for _, data in stored.blocks)
    less = packed(pictures, goals=[0.8 * size])
    assert stored.packer.squeezed is None
    assert less.packer.squeezed is not None
    assert sum(in_base64(len(data)) for _, data in less.blocks) <= 0.8 * size
    source = LogdirSource(Logdir(pictures))
    codecs = set()
    (run,) = less.runs.values()
    for record, blocks in run["records"].items():
        described = source.record(".", record)
        for plan in described["pictures"].values():
            codecs.add(plan["codec"])
            for file in plan["files"]:
                before, after = source.picture(".", record, file), less.blocks[blocks["pictures"][file]][1]
                assert (after == before) == (plan["codec"] != "webp")
                with Image.open(io.BytesIO(before)) as one, Image.open(io.BytesIO(after)) as other:
                    assert one.size == other.size
    assert codecs == {"webp", "webp-lossless"}
    gzips = [[data for kind, data in one.blocks if kind == "application/gzip"] for one in (stored, less)]
    assert sorted(gzips[0]) == sorted(gzips[1]), "numbers stay as they are"


@pytest.mark.parametrize("options", [{}, {"quality": 50}, {"goals": [80_000.0]}, {"quality": 100, "goals": [1.0]}])
def test_the_same_source_gives_the_same_blocks(pictures: Path, options: dict[str, Any]) -> None:
    first, second = packed(pictures, **options), packed(pictures, **options)
    assert first.blocks == second.blocks
    assert first.runs == second.runs


def test_a_quality_that_is_given_is_used_whatever_the_goals_are(pictures: Path) -> None:
    given, stored = packed(pictures, quality=100, goals=[1.0]), packed(pictures)
    assert given.packer.squeezed is None
    assert given.blocks == stored.blocks
    assert packed(pictures, quality=40, goals=[1e9]).blocks == packed(pictures, quality=40).blocks != stored.blocks


@pytest.mark.parametrize(
    ("row", "well"),
    [
        ([0.5, 1.0, -3.25], True),
        ([1.0, 1e-9], True),
        ([0.0, 0.0], True),
        ([np.nan, np.inf, -np.inf, 1.0], True),
        ([70_000.0, 1.0], False),
        ([1e-9, 3e-9], False),
    ],
)
def test_half_floats_are_used_only_where_they_are_exact_enough(row: list[float], well: bool) -> None:
    array = np.array([row], np.float32)
    assert halves_well(array) == well
    assert not halves_well(array.astype(np.float64))
    assert not halves_well(array[:0])


@pytest.mark.parametrize("shape", [[], [0, 3], [1], [7, 2], [1_000_000, 3], [3, 1_000_000]])
@pytest.mark.parametrize("width", [1, 4])
def test_pieces_cover_every_row_once(shape: list[int], width: int) -> None:
    cuts, rows = pieces(shape, width, whole=False)
    if cuts == [None]:
        assert rows == (shape[0] if shape else 0)
        return
    known = [cut for cut in cuts if cut is not None]
    assert [row for cut in known for row in range(cut.start, cut.stop)] == list(range(shape[0]))
    assert all(cut.stop - cut.start == rows for cut in known[:-1])
    assert pieces(shape, width, whole=True)[0] == [None]


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("length", [0, 5, 24])
def test_planes_are_put_together_again(width: int, length: int) -> None:
    data = bytes(range(length))
    apart = planes(data, width)
    truth = b"".join(data[start::width] for start in range(width)) if length % width == 0 else data
    assert apart == truth
