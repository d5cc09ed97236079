"""What ``record_top_k`` writes: against the search, plain maps and plain projections; killed, it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import nn

from convscope import Run, SummaryWriter
from convscope.errors import ConvscopeError
from convscope.inspect.attribution import RULES, signed_pictures
from convscope.inspect.patches import shrink, tile_size
from convscope.inspect.proof import PROOF
from convscope.inspect.topk import TopK, patches
from convscope.jobs import channels as module
from convscope.jobs import folder
from convscope.jobs.channels import record_top_k
from convscope.jobs.projected import Projected
from convscope.nets.data import ArrayImages, Preprocessing
from convscope.nets.datasets.listed import ListedImages
from convscope.nets.top_maps import shrunk_size
from convscope.nets.torch import Model
from convscope.scale import local
from convscope.store.records import Record
from convscope.summary import RULE_NAMES

LAYERS = ["first", "left", "deep"]


class Branches(nn.Module):
    """Large maps, a ReLU in place, one that is a function, two branches, a layer that is called twice, a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.left = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.right = nn.Conv2d(4, 5, 1, stride=2)
        self.deep = nn.Conv2d(5, 6, 5, stride=3)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.first(x))
        x = self.left(x).relu() + self.right(x)
        return self.head(self.relu(self.deep(x)).amax((2, 3)))


def branches() -> Model:
    torch.manual_seed(0)
    return Model(Branches(), input_shape=(3, 40, 70), name="branches")


def pictures(count: int = 11, labels: bool = True) -> ArrayImages:
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (count, 40, 70, 3), dtype=np.uint8)
    known: dict[str, Any] = {"labels": rng.integers(0, 3, count), "label_names": ["a", "b", "c"]} if labels else {}
    return ArrayImages(pixels, preprocessing=Preprocessing(mean=(0.5, 0.4, 0.3)), name="noise", **known)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, TopK]]:
    """A run with the records of three layers: three rules, proof figures of the first two ranks."""
    out = tmp_path_factory.mktemp("run")
    with SummaryWriter(out) as writer:
        rules = ("deconvnet", "gradient", "integrated_gradients")
        found = record_top_k(branches(), pictures(), writer, layers=[*LAYERS, "head"], k=4, rules=rules, proofs=2)
    return Run(out), found


def last(run: Run, layer: str) -> Record:
    return run.record(run.entries("topk", layer)[-1])


def sheet(record: Record, name: str) -> npt.NDArray[np.uint8]:
    return record.tiles(name, range(record.pictures[name]["total_rows"]))


def test_the_rules_of_the_kind_are_the_rules() -> None:
    assert tuple(RULES) == RULE_NAMES


@pytest.mark.parametrize("layer", LAYERS)
def test_a_record_holds_what_the_search_found(recorded: tuple[Run, dict[str, TopK]], layer: str) -> None:
    run, found = recorded
    record, top = last(run, layer), found[layer]
    arrays = record.arrays()
    plain = branches().top_k(pictures(), layers=LAYERS, k=4)[layer]
    for name in ("value", "image", "position", "mean", "histogram", "selectivity", "class_top", "similar"):
        np.testing.assert_array_equal(arrays[name], getattr(plain, name), name)
    np.testing.assert_array_equal(arrays["label"], pictures().labels[top.image])  # type: ignore[index]
    np.testing.assert_allclose(arrays["recomputed"], arrays["value"], rtol=1e-4, atol=1e-5)
    assert record.meta["complete"]
    assert (record.meta["mode"], record.meta["lrn"], record.meta["score"]) == ("single", "constant", "max")
    assert record.meta["mismatches"] == 0
    assert record.meta["engine"]
    assert (
        list(record.meta["rule_reports"]) == record.meta["rules"] == ["deconvnet", "gradient", "integrated_gradients"]
    )
    assert "ReLUs ruled" in record.meta["rule_reports"]["deconvnet"]


@pytest.mark.parametrize("layer", LAYERS)
def test_patches_are_those_of_the_images(recorded: tuple[Run, dict[str, TopK]], layer: str) -> None:
    run, found = recorded
    top = found[layer]
    plain = shrink(patches(top, pictures().display), tile_size(top.tile_size))
    np.testing.assert_array_equal(sheet(last(run, layer), "patch"), plain)


@pytest.mark.parametrize("layer", LAYERS)
def test_maps_are_the_largest_of_each_square_of_the_layers_own(
    recorded: tuple[Run, dict[str, TopK]], layer: str
) -> None:
    run, found = recorded
    top = found[layer]
    own = branches().activations(pictures().images(0, 11), layer)
    rows, columns = own.shape[2:]
    height, width = shrunk_size((rows, columns))
    side = -(-max(rows, columns) // 32)
    record = last(run, layer)
    tiles, scale = sheet(record, "map"), record.arrays(["map_scale"])["map_scale"]
    assert tiles.shape == (*top.image.shape, height, width, 1)
    assert max(height, width) <= 32
    np.testing.assert_allclose(scale, np.maximum(top.value, 0), rtol=1e-5)
    for (channel, rank), image in np.ndenumerate(top.image):
        largest = np.zeros((height, width))
        for y, x in np.ndindex(rows, columns):
            largest[y // side, x // side] = max(largest[y // side, x // side], own[image, channel, y, x])
        grey = tiles[channel, rank, :, :, 0].astype(np.int64)
        assert np.abs(grey - np.rint(255 * largest / (scale[channel, rank] or 1))).max() <= 1
        if top.value[channel, rank] > 0:
            assert grey[tuple(top.position[channel, rank] // side)] == 255


def test_maps_of_a_single_number_are_left_out(recorded: tuple[Run, dict[str, TopK]]) -> None:
    record = last(recorded[0], "head")
    assert "map" not in record.pictures
    assert "map_scale" not in record.array_info


@pytest.mark.parametrize("layer", ["first", "deep"])
@pytest.mark.parametrize("rule", ["deconvnet", "gradient", "integrated_gradients"])
def test_projections_are_shown_as_they_are(recorded: tuple[Run, dict[str, TopK]], layer: str, rule: str) -> None:
    run, found = recorded
    record, top = last(run, layer), found[layer]
    values = branches().attribute(top, pictures(), rule=rule).values
    plain, scale = signed_pictures(shrink(values, tile_size(top.tile_size)))
    number = record.meta["rules"].index(rule)
    np.testing.assert_allclose(record.arrays()["projection_scale"][number], scale, rtol=1e-3, atol=1e-7)
    assert np.abs(sheet(record, rule).astype(np.int64) - plain).max() <= 1


def test_proof_figures_are_there_for_the_ranks_asked_for_with_their_quartiles(
    recorded: tuple[Run, dict[str, TopK]],
) -> None:
    record = last(recorded[0], "deep")
    proof = record.arrays()["proof"]
    assert proof.shape == (3, 6, 4, 5)
    assert record.meta["proof"] == list(PROOF)
    assert np.isnan(proof[:, :, 2:]).all()
    known = proof[0, :, :2, 0]
    assert not np.isnan(known).all()
    summary = record.meta["proof_summary"]["deconvnet"]["specificity"]
    np.testing.assert_allclose(summary, np.nanpercentile(known, (25, 50, 75)), rtol=1e-5)


def test_the_audit_counts_all_layers(recorded: tuple[Run, dict[str, TopK]]) -> None:
    run, found = recorded
    record = run.record(run.entries("audit", "branches")[-1])
    arrays = record.arrays()
    slots = sum(top.image.size for top in found.values())
    assert arrays["channels"].sum() == slots
    assert arrays["first"].sum() == sum(top.channels for top in found.values())
    assert record.meta["layers"] == [*LAYERS, "head"]
    assert record.meta["names"][0] == f"{'abc'[arrays['label'][0]]} ({arrays['index'][0]})"
    assert set(record.meta["purity"]) == {*LAYERS, "head"}


def test_maps_and_proofs_can_be_left_out_and_pictures_may_have_no_classes(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        record_top_k(branches(), pictures(2, labels=False), writer, layers=["deep"], k=3, proofs=0, maps=False)
    run = Run(tmp_path)
    record = last(run, "deep")
    assert set(record.pictures) == {"patch", "deconvnet"}
    assert not {"proof", "map_scale", "label", "selectivity"} & set(record.array_info)
    arrays = record.arrays()
    assert (arrays["image"][:, 2] == -1).all()
    assert (sheet(record, "deconvnet")[:, 2] == 128).all()
    assert (sheet(record, "patch")[:, 2] == 128).all()
    assert not arrays["projection_scale"][0, :, 2].any()
    assert "purity" not in run.record(run.entries("audit")[-1]).meta


def test_before_the_relu_the_maps_are_those_of_the_layer_itself() -> None:
    model, images = branches(), pictures()
    tops = model.top_k(images, layers=["first"], k=20, tap="before", per_image=20)
    maps = model.top_maps(tops, images)["first"]
    own = model.activations(images.images(0, 11), "first")
    image, channels = tops["first"].image, np.arange(4)[:, None]
    np.testing.assert_allclose(maps.scale, own[image, channels].max((2, 3)), rtol=1e-5)
    once = np.diff(image, axis=1) == 0
    assert once.any()  # an image that is there twice has one map
    np.testing.assert_array_equal(maps.pictures[:, 1:][once], maps.pictures[:, :-1][once])


def test_the_pages_fill_up_while_the_search_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUBLISH_SECONDS", 0.0)
    monkeypatch.setattr(module, "SEARCH_SHARE", 0.0)
    monkeypatch.setattr(module, "BEHIND", 0.0)
    monkeypatch.setattr(local, "_QUICK", float("inf"))  # on a slow disk it saves less often
    model, real = branches(), Model.top_k
    monkeypatch.setattr(Model, "top_k", lambda *a, **o: real(*a, **o, shard_size=2, every=1))
    with SummaryWriter(tmp_path) as writer:
        record_top_k(model, pictures(), writer, layers=["first"], k=2, proofs=0)
    run = Run(tmp_path)
    kinds = [entry.kind for entry in run.entries()]
    assert kinds == ["topk"] * 6 + ["audit", "topk"]
    states = [run.record(entry).meta for entry in run.entries("topk")]
    assert [state["images_seen"] for state in states] == [2, 4, 6, 8, 10, 11, 11]
    assert ["rules" in state for state in states] == [False] * 6 + [True]


def test_publishing_takes_a_tenth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))  # of the module only
    top = branches().top_k(pictures(), layers=["first"], k=2)["first"]
    running = TopK(**{**vars_of(top), "images_seen": 4})
    with SummaryWriter(tmp_path) as writer:
        work = module._Recording(
            branches(), pictures(), writer, module.Settings(("deconvnet",), 0, "single", "constant", "max"), 0, ()
        )
        written: list[float] = []

        def add(*_: object) -> str:
            written.append(now[0])
            now[0] += 2.0
            return ""

        monkeypatch.setattr(writer, "add", add)
        while now[0] < 80:
            work.publish({"first": running})
            now[0] += 1.0
        assert written == [3.0, 23.0, 43.0, 63.0]
        while now[0] < 4000:
            work.publish({"first": running})
            now[0] += 1.0
    assert len(written) < 45, "each state stays on disk: of a longer search they come further apart"
    assert written[-1] - written[-2] > 0.1 * written[-2]


def vars_of(top: TopK) -> dict[str, Any]:
    return {name: getattr(top, name) for name in top.__dataclass_fields__}


def test_tiles_in_float_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tiles = Projected.keep, []

    def keep(self: Projected, done: Any) -> None:
        real(self, done)
        tiles.append(weakref.ref(done.tiles))

    monkeypatch.setattr(Projected, "keep", keep)
    alive: list[int] = []
    with SummaryWriter(tmp_path) as writer:
        add = writer.add
        monkeypatch.setattr(writer, "add", lambda *a: (alive.append(sum(t() is not None for t in tiles)), add(*a))[1])
        record_top_k(branches(), pictures(), writer, layers=LAYERS, k=2, proofs=0)
    assert len(tiles) >= 3
    assert max(alive) <= 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rules": []}, "no rule was given; name at least one"),
        ({"rules": ["deconvnett"]}, "did you mean 'deconvnet'?"),
        ({"rules": ["gradient", "gradient"]}, "a rule is named twice in gradient, gradient; name each once"),
        ({"proofs": -1}, "first 0, 1, 2, … pictures, got -1"),
        ({"mode": "maps"}, "did you mean 'map'?"),
        ({"mode": "map", "rules": ["deconvnet", "grad_cam"]}, "grad_cam goes back from single positions"),
        ({"lrn": "constnat"}, "did you mean 'constant'?"),
        ({"score": "maximum"}, "no score 'maximum'"),
        ({"layers": ["nowhere"]}, "no layer 'nowhere'"),
        ({"k": 0}, "k is at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(ConvscopeError) as caught:
        record_top_k(branches(), pictures(), writer, **options)
    assert sentence in str(caught.value)
    assert not Run(tmp_path).entries()


DRIVER = """
import os, signal, sys
import convscope.jobs.channels
import convscope.jobs.folder as folder
from convscope.recording import SummaryWriter
network, pictures, out, number = sys.argv[1:]
real, calls = SummaryWriter.add, []
def add(writer, *arguments, **options):
    calls.append(1)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(writer, *arguments, **options)
SummaryWriter.add = add
convscope.jobs.channels.PUBLISH_SECONDS = float("inf")
question = folder.Question(k=2, rules=("deconvnet", "gradient"), input_shape=(3, 32, 32))
folder.inspect_folder(network, pictures, __import__("pathlib").Path(out), question, lambda label: lambda *_: None)
"""
NET = """
from torch import nn, manual_seed
def build():
    manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU())
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two real photographs, each a class."""
    from sklearn.datasets import load_sample_images

    for name, picture in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / "photos" / name / "photo.png")
    return tmp_path / "photos"


def contents(run: Path) -> dict[tuple[str, str], dict[str, bytes]]:
    """Return everything but the times in a run's records, to the byte: arrays and picture files."""
    opened, found = Run(run), {}
    for entry in opened.entries():
        record = opened.record(entry)
        files = [file for plan in record.pictures.values() for file in plan["files"]]
        arrays = {name: np.asarray(array).tobytes() for name, array in record.arrays().items()}
        assert (entry.kind, entry.tag) not in found
        found[entry.kind, entry.tag] = arrays | {file: record.picture_bytes(file) for file in files}
    return found


@pytest.mark.usefixtures("undrafted")
def test_killed_between_two_layers_it_goes_on_to_the_same_bytes(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killednet.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    question = folder.Question(k=2, rules=("deconvnet", "gradient"), input_shape=(3, 32, 32))

    def inspect(out: str) -> dict[tuple[str, str], dict[str, bytes]]:
        folder.inspect_folder("killednet:build", photos, tmp_path / out, question, lambda _: lambda *_: None)
        return contents(tmp_path / out)

    whole = inspect("whole")
    order = [(entry.kind, entry.tag) for entry in Run(tmp_path / "whole").entries()]
    at = str(order.index(("topk", "2")) + 1)
    command = [sys.executable, "-c", DRIVER, "killednet:build", str(photos), str(tmp_path / "killed"), at]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = contents(tmp_path / "killed")
    assert {("topk", "0"), ("audit", "killednet:build")} <= set(before)
    assert ("topk", "2") not in before
    assert inspect("killed") == whole


@pytest.mark.usefixtures("undrafted")
def test_pictures_are_decoded_once_for_all_that_comes_after_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number, picture in enumerate(pictures(5).pixels):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])

    def recorded(out: str, most: int) -> tuple[int, dict[tuple[str, str], dict[str, bytes]]]:
        images, decoded = ListedImages(paths, pictures(5).preprocessing), []
        real = ListedImages.display
        with monkeypatch.context() as patched, SummaryWriter(tmp_path / out) as writer:
            patched.setattr(ListedImages, "display", lambda self, i: (decoded.append(i), real(self, i))[1])
            patched.setattr(module, "KEPT_BYTES", most)
            record_top_k(branches(), images, writer, layers=LAYERS, k=2)
        return len(decoded), contents(tmp_path / out)

    once, kept = recorded("kept", 1 << 20)
    often, fresh = recorded("fresh", 0)
    assert once == 2 + 5 + 5, "to see how large they are, in the search, and once after it"
    assert often > 20
    assert kept == fresh


@pytest.mark.usefixtures("undrafted")
def test_a_layer_that_is_named_twice_is_recorded_once_and_drafts_are_cleared_away(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "twicenet.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    question = folder.Question(layers=["0", "0"], k=1, input_shape=(3, 32, 32))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(folder, "record_top_k", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.inspect_folder("twicenet:build", photos, out, question, lambda _: lambda *_: None)
    (out / "..top_k.checkpoint.1234-abcd").write_bytes(b"half")
    (out / ".inspect.json.new").write_bytes(b"half")
    folder.inspect_folder("twicenet:build", photos, out, question, lambda _: lambda *_: None)
    contents(out)  # says so if anything is there twice
    assert [entry.tag for entry in Run(out).entries("topk")] == ["0"]
    assert not [path.name for path in out.iterdir() if not path.name.startswith(("events", "records"))]
