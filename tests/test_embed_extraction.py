"""What layers say about images, as vectors: one pass, the same bits however often it was killed, in little memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convscope import Model, Run
from convscope.blocks import Blocks
from convscope.cli import main
from convscope.errors import InputError, NotFoundError
from convscope.nets import data
from convscope.nets.datasets.known import join, known_columns
from convscope.nets.images import image_set
from convscope.nets.preprocessing import Preprocessing
from convscope.scale import filled
from convscope.store.records import Record, write_record
from convscope.store.results import Entry
from convscope.summary import Summary

NET = """
import torch
from torch import nn
def build():
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(inplace=True), nn.Conv2d(8, 6, 3), head)
"""
Command = Callable[..., tuple[int, str, str]]


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 12, 12)).astype(np.float32)


def small(counted: bool = False) -> Model:
    """A network whose ReLU writes into what it is given; with ``counted`` it counts its passes."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(400, 5))
    return Model(net, input_shape=(1, 12, 12), name="small")


def plainly(model: Model, images: np.ndarray, layers: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """What torch says, image by image in one batch, with nothing of ours in between."""
    found: dict[str, torch.Tensor] = {}
    for name in layers:
        module = dict(model.network.named_modules())[name]
        handle = module.register_forward_hook(lambda *a, name=name: found.__setitem__(name, a[2].detach().clone()))
        with torch.no_grad():
            model.network(torch.from_numpy(images))
        handle.remove()
    return found


def test_several_layers_come_out_of_one_pass_and_equal_what_torch_says() -> None:
    model, images, passes = small(), noise(50), []
    model.layer("0")  # looks once by itself
    handle = model.network[0].register_forward_hook(lambda *_: passes.append(1))
    found = model.embed(images, ["0", "1", "3"], batch_size=8, thumbnails=0)
    handle.remove()
    assert len(passes) == 7, "50 images in batches of 8, once for all layers"
    assert list(found) == ["0", "1", "3"]
    for name, output in plainly(model, images, ("0", "1", "3")).items():
        wanted = output.mean((2, 3)) if output.ndim == 4 else output
        torch.testing.assert_close(torch.from_numpy(found[name].vectors), wanted, rtol=1e-5, atol=1e-6)
    assert found["0"].vectors.min() < 0 <= found["1"].vectors.min(), "before the ReLU that overwrites it, and after"
    assert found["1"].meta["feature_shape"] == [4, 10, 10]
    assert found["1"].meta["pooling"] == "mean"


def test_a_vector_is_all_numbers_of_a_map_or_has_length_one_where_that_is_asked_for() -> None:
    model, images = small(), noise(5)
    flat = model.embed(images, "0", pooling="flatten")
    assert flat.vectors.shape == (5, 400)
    torch.testing.assert_close(torch.from_numpy(flat.vectors), plainly(model, images, ("0",))["0"].flatten(1))
    images[2] = 0
    with torch.no_grad():
        model.network[0].bias.zero_()
    unit = model.embed(images, "0", pooling="flatten", normalise=True)
    np.testing.assert_allclose(np.linalg.norm(unit.vectors, axis=1), [1, 1, 0, 1, 1], rtol=1e-6)
    assert unit.meta["normalised"] is True


def test_tokens_are_averaged() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.last = nn.Conv2d(1, 6, 4, stride=4), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return self.last(self.patches(x).flatten(2).transpose(1, 2))

    model = Model(Tokens(), input_shape=(1, 12, 12))
    tokens = plainly(model, noise(3), ("last",))["last"]
    assert tokens.shape == (3, 9, 2)
    found = model.embed(noise(3), "last").vectors
    torch.testing.assert_close(torch.from_numpy(found), tokens.mean(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_gpu_says_what_the_cpu_says() -> None:
    model, images = small(), noise(40)
    here = model.embed(images, "3").vectors
    there = Model(model.network.cuda(), input_shape=(1, 12, 12)).embed(images, "3").vectors
    np.testing.assert_allclose(there, here, atol=1e-4)


def killed_after(batches: int) -> Callable[[int, int], None]:
    """Stop a pass as a kill would: nothing that would be tidied up is."""

    def stop(done: int, total: int) -> None:
        nonlocal batches
        batches -= 1
        if not batches:
            raise SystemError

    return stop


def test_a_pass_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    model, images = small(), noise(100)
    whole = model.embed(images, ["0", "3"], batch_size=5)
    with pytest.raises(SystemError):
        model.embed(images, ["0", "3"], batch_size=5, resume=tmp_path, progress=killed_after(3))
    begun = np.load(tmp_path / "vectors-000.npy")
    assert begun[:60].any(1).all()
    assert not begun[80:].any(), "not all was done"
    seen: list[int] = []
    found = model.embed(images, ["0", "3"], batch_size=5, resume=tmp_path, progress=lambda done, _: seen.append(done))
    assert seen in ([80, 100], [60, 80, 100], [40, 60, 80, 100]), "what was noted as done is not done again"
    for name, embedding in found.items():
        assert isinstance(embedding.vectors, np.memmap), "they stay where they are"
        assert embedding.vectors.tobytes() == whole[name].vectors.tobytes()
        assert np.array_equal(embedding.thumbnails, whole[name].thumbnails)
    again: list[int] = []
    model.embed(images, ["0", "3"], batch_size=5, resume=tmp_path, progress=lambda done, _: again.append(done))
    assert not again, "all of it is there"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pooling": "flatten"}, "pooling differs"),
        ({"layer": ["3"]}, "layer differs"),
        ({"dataset": noise(100, seed=1)}, "dataset differs"),
    ],
)
def test_a_folder_of_another_pass_is_refused_and_left_alone(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    asked = {"dataset": noise(20), "layer": "0", "batch_size": 5, "resume": tmp_path}
    small().embed(**asked)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=sentence):
        small().embed(**(asked | change))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_vectors_that_were_lost_are_not_taken_for_zeros(tmp_path: Path) -> None:
    small().embed(noise(20), "0", resume=tmp_path)
    (tmp_path / "vectors-000.npy").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        small().embed(noise(20), "0", resume=tmp_path)


def test_memory_does_not_grow_with_the_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filled, "IN_MEMORY", 1 << 20)
    torch.manual_seed(0)
    model = Model(nn.Sequential(nn.Conv2d(1, 64, 3, padding=1)), input_shape=(1, 12, 12))
    images = image_set(noise(800))
    model.embed(images, "0", count=8)  # what is loaded once is not counted
    tracemalloc.start()
    embedding = model.embed(images, "0", pooling="flatten", batch_size=8, thumbnails=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert embedding.vectors.nbytes == 800 * 64 * 144 * 4 > 29e6
    assert peak < 16e6, "a few batches, never all of them"
    path = Path(embedding.vectors.filename)
    assert path.exists()
    del embedding
    assert not path.exists(), "temporary files go with the vectors"


def test_a_record_of_large_arrays_is_written_in_blocks(tmp_path: Path) -> None:
    made: list[int] = []

    def rows(start: int, stop: int) -> np.ndarray:
        made.append(stop - start)
        return np.arange(start, stop)[:, None] % 4096 + np.zeros((1, 64))

    count = 300_000
    arrays = {"vector": Blocks((count, 64), np.float16, rows), "label": np.zeros(9, np.int32), "index": np.arange(9)}
    (tmp_path / "records").mkdir()
    tracemalloc.start()
    size = write_record(tmp_path, "00000000-embedding-00000a", Summary("embedding", "big", arrays=arrays), 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > count * 64 * 2 > 38e6
    assert peak < 60e6, "8 MB of float16 at a time are made of 34 MB of float64"
    assert max(made) * 128 <= 8 << 20
    record = Record(tmp_path, Entry("00000000-embedding-00000a", "embedding", "big", 0, 0.0, size))
    assert record.arrays(["vector"], slice(2000, 2002))["vector"][:, 5].tolist() == [2000, 2001]
    assert record.arrays(["label"])["label"].tolist() == [0] * 9


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide and high pictures of two classes and two splits, one of which is no picture."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, (path, size) in enumerate(
        {
            "train/cat/wide.png": (60, 30),
            "train/dog/high.png": (30, 60),
            "val/cat/small.png": (20, 10),
            "val/dog/square.png": (64, 64),
        }.items()
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (60 * number, 255, 0)).save(folder / path)
    (folder / "val" / "dog" / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_thumbnails_show_the_whole_picture_in_its_aspect(photographs: Path) -> None:
    model = Model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_shape=(3, 16, 16))
    images = image_set(photographs, Preprocessing(size=20, crop=(16, 16)))
    embedding = model.embed(images, "0")
    assert embedding.thumbnails.shape == (4, 48, 48, 3)
    assert embedding.thumbnail_size.tolist() == [[24, 48], [48, 24], [10, 20], [48, 48]]
    wide, high, little, square = embedding.pictures()
    assert (wide == (0, 255, 0)).all(), "its own colour only, nothing of what is around it"
    assert (high == (60, 255, 0)).all()
    assert (little == (120, 255, 0)).all()
    assert (square == (180, 255, 0)).all()
    assert model.embed(images, "0", thumbnails=0).thumbnails is None
    assert model.embed(data.FirstImages(images, 1), "0", thumbnails=12).thumbnails.shape == (1, 6, 12, 3)


def test_thumbnails_and_vectors_take_one_decoding_each(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = image_set(photographs, Preprocessing(size=20, crop=(16, 16)))
    model = Model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_shape=(3, 16, 16))
    wanted = model.activations(images.images(0, 4), "0").mean((2, 3))
    opened: list[int] = []
    real = images._source
    monkeypatch.setattr(images, "_source", lambda number: opened.append(number) or real(number))
    embedding = model.embed(images, "0")
    assert sorted(opened) == [0, 0, 1, 2, 3], "the first one also says that the images fit the network"
    np.testing.assert_allclose(embedding.vectors, wanted, atol=1e-6)


def test_the_names_of_images_tell_file_folder_and_split(photographs: Path) -> None:
    known = known_columns(image_set(photographs, labels=["a", "b", "a", "b", "b"]))
    assert known["file"] == ["train/cat/wide.png", "train/dog/high.png", "val/cat/small.png", "val/dog/square.png"]
    assert known["folder"] == ["cat", "dog", "cat", "dog"]
    assert known["split"] == ["train", "train", "validation", "validation"]
    assert set(known_columns(image_set(photographs / "train"))) == {"file"}, "the folder is the class"
    assert known_columns(image_set(noise(2))) == {}


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_table_is_joined_by_the_names_of_files(photographs: Path, tmp_path: Path, ending: str) -> None:
    rows = [
        {"file": "high.png", "age": 3, "who": "Rex"},
        {"file": "train/cat/wide.png", "age": 2.5, "who": "Tom, the cat"},
        {"file": "gone.png", "age": 1, "who": "none"},
        {"file": "square", "age": None, "who": None},
    ]
    path = tmp_path / f"table{ending}"
    if ending == ".parquet":
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif ending == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        tab = "," if ending == ".csv" else "\t"
        cells = [["file", "age", "who"], *([str("" if v is None else v) for v in row.values()] for row in rows)]
        path.write_text("\n".join(tab.join(f'"{c}"' if tab in c else c for c in row) for row in cells))
    joined = join(path, image_set(photographs))
    assert joined.columns == {"age": [2.5, 3, None, None], "who": ["Tom, the cat", "Rex", None, None]}
    assert joined.sentence(path) == (
        f"table{ending}: 1 images are not in it; 1 of its files are not among the images, the first is gone.png"
    )


def test_columns_of_ones_own_come_before_what_names_tell(photographs: Path) -> None:
    model = Model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_shape=(3, 16, 16))
    images = image_set(photographs, Preprocessing(size=20, crop=(16, 16)))
    embedding = model.embed(images, "0", count=2, columns={"split": ["mine", "mine"]})
    assert list(embedding.columns["split"]) == ["mine", "mine"]
    assert list(embedding.columns["file"]) == ["train/cat/wide.png", "train/dog/high.png"]


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"layer": "nope"}, NotFoundError, "no layer 'nope'"),
        ({"layer": []}, InputError, "no layer was named"),
        ({"pooling": "max"}, NotFoundError, "no pooling 'max'"),
        ({"thumbnails": 65}, InputError, "got 65"),
        ({"count": 0}, InputError, "count is at least 1, got 0"),
        ({"batch_size": 0}, InputError, "batch_size is at least 1, got 0"),
    ],
)
def test_what_cannot_be_embedded_is_said(options: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        small().embed(**({"dataset": noise(4), "layer": "0"} | options))


# ---------------------------------------------------------------- the command


@pytest.fixture
def convscope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in a folder of its own, in this process; returns exit code, output and errors."""
    (tmp_path / "net_to_embed.py").write_text(NET)
    monkeypatch.delitem(sys.modules, "net_to_embed", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["convscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def embed_command(images: Path, *more: object) -> tuple[object, ...]:
    shape = ("--input-shape", "3,16,16", "--perplexity", "5")
    return ("embed", "net_to_embed:build", images, "-o", "run", *shape, *more)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of two classes, and one that is none."""
    folder = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(0)
    for number in range(40):
        path = folder / ("dog", "hot dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    (folder / "dog" / "broken.png").write_bytes(b"no picture")
    return folder


def test_the_command_writes_vectors_and_projections_and_says_what_they_are_worth(
    convscope: Command, many: Path, tmp_path: Path
) -> None:
    (tmp_path / "ages.csv").write_text("file,age\n" + "".join(f"{n}.png,{n / 2}\n" for n in range(40)))
    code, said, wrong = convscope(
        *embed_command(many, "--layer", "0", "--layer", "penultimate"), "--iterations", "20", "--metadata", "ages.csv"
    )
    assert (code, wrong) == (0, "")
    assert "40 pictures in 2 classes" in said
    assert "1 of 41 images skipped: dog/broken.png (not an image)" in said
    table = [line.split() for line in said.splitlines() if " × " in line]
    assert [(row[0], row[4]) for row in table] == [("0", "pca"), ("0", "tsne"), ("3.0", "pca"), ("3.0", "tsne")]
    assert all(row[5].endswith("%") for row in table)
    run = Run("run")
    record = run.record(run.entries("embedding", "0")[0])
    assert record.meta["label_names"] == ["dog", "hot dog"]
    assert [(column["name"], column["type"]) for column in record.meta["columns"]] == [
        ("file", "category"),
        ("age", "number"),
    ]
    assert record.arrays(["column_1"])["column_1"][:3].tolist() == [0, 5, 6], "0.png, 10.png, 12.png"
    parts = [run.record(entry) for entry in run.entries("projection", "0/tsne")]
    assert {part.meta["embedding"] for part in parts} == {record.id}
    assert parts[-1].meta["final"]
    assert parts[-1].meta["parameters"]["perplexity"] == 5
    assert {entry.tag for entry in run.embeddings()} == {"0", "3.0"}, "TensorBoard's projector shows them too"
    assert not [path for path in Path("run").iterdir() if path.name.startswith(".")], "nothing is left behind"

    code, _, wrong = convscope(*embed_command(many, "--layer", "0"))
    assert code == 2
    assert "already holds an embedding of 0 at step 0" in wrong


def test_a_command_that_was_killed_goes_on_and_writes_nothing_twice(
    convscope: Command, many: Path, tmp_path: Path
) -> None:
    killer = (
        "import os, signal, sys\n"
        "from convscope.jobs import embed\n"
        "real = embed.record_projection\n"
        "def kill(embedding, identity, writer, tag, method, **more):\n"
        "    real(embedding, identity, writer, tag, method, **more) if tag == '0' else os.kill(os.getpid(), 9)\n"
        "embed.record_projection = kill\n"
        "from convscope.cli import main\n"
        "main()\n"
    )
    start = ["embed", "net_to_embed:build", str(many), "--input-shape", "3,16,16", "--project", "pca"]
    command = [*start, "--layer", "0,3.0", "--batch-size", "8"]
    python = [sys.executable, "-c", killer, *command, "-o", "run"]
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert {*Run("run").tags()["projection"]} == {"0/pca"}
    code, _, wrong = convscope(*start, "--layer", "3.0", "-o", "run")
    assert code == 2
    assert "waits for a call that was begun with other settings" in wrong
    assert convscope(*command, "-o", "run")[0] == 0
    assert convscope(*command, "-o", "other")[0] == 0
    run, other = Run("run"), Run("other")
    for kind, tag in (("embedding", "0"), ("embedding", "3.0"), ("projection", "0/pca"), ("projection", "3.0/pca")):
        (found,), (wanted,) = ([one.record(entry) for entry in one.entries(kind, tag)] for one in (run, other))
        arrays = wanted.arrays()
        assert {name: array.tobytes() for name, array in found.arrays().items()} == {
            name: array.tobytes() for name, array in arrays.items()
        }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--layer", "nope"), "no layer 'nope'"),
        (("--layer", ","), "no layer in --layer"),
        (("--project", "tnse"), "no projection 'tnse'"),
        (("--project", ","), "no projection in --project"),
        (("--project", "pca"), "perplexity is of tsne; add it to --project, or leave --perplexity out"),
        (("--metric", "manhattan"), "no metric 'manhattan'"),
        (("--pooling", "max"), "no pooling 'max'"),
        (("--metadata", "gone.csv"), "no file 'gone.csv'"),
        (("--metadata", "net_to_embed.py"), "net_to_embed.py"),
        (("--exaggeration", "-1"), "exaggeration of t-SNE is a positive number"),
        (("--count", "4"), "tsne needs at least 5 pictures, got 4 pictures"),
    ],
)
def test_wrong_input_of_the_command_is_one_sentence_and_nothing_is_written(
    convscope: Command, many: Path, options: tuple[str, ...], sentence: str
) -> None:
    code, _, wrong = convscope(*embed_command(many, *options))
    assert code == 2
    assert sentence in wrong
    assert wrong.count("\n") == 1
    assert not Path("run").exists()
