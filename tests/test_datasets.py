"""Every source of images gives the same pictures, labels and names; what is wrong with one is said."""

from __future__ import annotations

import doctest
import importlib
import io
import json
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.data import (
    IMAGENET,
    ArrayImages,
    FirstImages,
    FolderImages,
    KeptImages,
    Preprocessing,
    skipped_sentence,
)
from convscope.nets.datasets.shards import shard_paths
from convscope.nets.datasets.synsets import unique_names
from convscope.nets.images import image_set, synsets

SMALL = Preprocessing(size=16, crop=(12, 12))
COUNT = 10


def _pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (20 + number, 30, 3), np.uint8)


def _png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_pixels(number)).save(buffer, "PNG")
    return buffer.getvalue()


NAMES = [f"{number:03}.png" for number in range(COUNT)]
LABELS = [number % 3 for number in range(COUNT)]
CLASSES = ("cat", "dog", "hen")
TRUTH = np.stack([SMALL.to_input(_pixels(number)) for number in range(COUNT)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "photos"
    here.mkdir()
    for number, name in enumerate(NAMES):
        (here / name).write_bytes(_png(number))
    return here


def _parquet(path: Path, first: int, last: int, *, group: int = 3, struct: bool = True, spoil: int = -1) -> Path:
    data = [b"no picture" if number == spoil else _png(number) for number in range(first, last)]
    names = NAMES[first:last]
    image = pa.array([{"bytes": d, "path": n} for d, n in zip(data, names, strict=True)]) if struct else pa.array(data)
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": list(CLASSES)}}
    schema = pa.table({"image": image, "label": pa.array(LABELS[first:last])})
    table = schema.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path, row_group_size=group)
    return path


def _tar(
    path: Path, first: int, last: int, *, kind: int = tarfile.PAX_FORMAT, label: str = "cls", deep: str = ""
) -> Path:
    with tarfile.open(path, "w", format=kind) as archive:
        for number in range(first, last):
            text = {"cls": str(LABELS[number]), "json": json.dumps({"label": CLASSES[LABELS[number]]}),
                    "txt": CLASSES[LABELS[number]]}[label]  # fmt: skip
            for ending, data in ((label, text.encode()), ("png", _png(number))):
                info = tarfile.TarInfo(f"{deep}{number:03}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


class Photos(Dataset):
    """A map-style data set as torchvision's are: items are (Pillow image, class)."""

    def __init__(self, transform: Any = None) -> None:
        self.targets = LABELS
        self.classes = list(CLASSES)
        self.transform = transform

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, number: int) -> tuple[Any, int]:
        picture = Image.fromarray(_pixels(number))
        return (self.transform(picture) if self.transform else picture), LABELS[number]


class Items(Dataset):
    """A map-style data set of given items, each made anew when it is read."""

    def __init__(self, make: Any, count: int = COUNT) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        return self.make(number)


class RayStandIn:
    """What ``ray.data.Dataset`` documents: ``iter_batches`` of columns, ``count``, ``schema``, a context of options."""

    def __init__(self, columns: dict[str, list[Any]], blocks: int = 3) -> None:
        self.columns, self.blocks = columns, blocks
        self.context = SimpleNamespace(execution_options=SimpleNamespace(preserve_order=False))
        self.asked: list[bool] = []

    def count(self) -> int:
        return len(next(iter(self.columns.values())))

    def schema(self) -> None:
        return None

    def iter_batches(self, *, batch_size: int, batch_format: str) -> Iterator[dict[str, np.ndarray]]:
        assert batch_format == "numpy"
        assert batch_size > 0
        self.asked.append(self.context.execution_options.preserve_order)
        for start in range(0, self.count(), self.blocks):
            yield {name: _column(values[start : start + self.blocks]) for name, values in self.columns.items()}


def _column(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), object)  # ragged images and bytes come as objects
    column[:] = values
    return np.array(values) if isinstance(values[0], int) else column


def _sources(folder: Path) -> dict[str, Any]:
    there = folder.parent
    _parquet(there / "a.parquet", 0, 4)
    _parquet(there / "b.parquet", 4, COUNT)
    _tar(there / "s-00.tar", 0, 7)
    _tar(there / "s-01.tar", 7, COUNT, kind=tarfile.GNU_FORMAT)
    return {
        "folder": folder,
        "paths": [str(folder / name) for name in NAMES],
        "pillow": [Image.fromarray(_pixels(number)) for number in range(COUNT)],
        "arrays": [_pixels(number) for number in range(COUNT)],
        "parquet": [there / "a.parquet", there / "b.parquet"],
        "parquet pattern": str(there / "*.parquet"),
        "webdataset": str(there / "s-{00..01}.tar"),
        "torch": Photos(),
        "torch subset": Subset(Photos(), range(COUNT)),
        "dictionaries": Items(lambda i: {"image": _pixels(i), "label": LABELS[i]}),
        "bytes": Items(lambda i: (_png(i), torch.tensor(LABELS[i]))),
        "channels first": Items(lambda i: (torch.from_numpy(_pixels(i)).permute(2, 0, 1), LABELS[i])),
        "inputs": Items(lambda i: torch.from_numpy(TRUTH[i])),
        "ray images": RayStandIn({"image": [_pixels(i) for i in range(COUNT)], "label": LABELS}),
        "ray bytes": RayStandIn({"bytes": [_png(i) for i in range(COUNT)], "path": NAMES}),
        "ray structs": RayStandIn({"image": [{"bytes": _png(i), "path": None} for i in range(COUNT)], "label": LABELS}),
        "ray inputs": RayStandIn({"image": list(TRUTH)}),
    }  # fmt: skip


SOURCES = (
    "folder", "paths", "pillow", "arrays", "parquet", "parquet pattern", "webdataset", "torch", "torch subset",
    "dictionaries", "bytes", "channels first", "inputs", "ray images", "ray bytes", "ray structs", "ray inputs",
)  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_images(folder: Path, name: str) -> None:
    images = image_set(_sources(folder)[name], SMALL, labels=LABELS, label_names=CLASSES)
    assert len(images) == COUNT
    np.testing.assert_array_equal(images.images(0, COUNT), TRUTH)
    np.testing.assert_array_equal(images.images(7, 99), TRUTH[7:])
    for number in (9, 0, 4):
        np.testing.assert_array_equal(images.images(number, number + 1)[0], TRUTH[number])
        np.testing.assert_array_equal(images.display(number), SMALL.to_display(TRUTH[number]))
    assert images.labels.tolist() == LABELS  # type: ignore[union-attr]
    assert images.label_names == CLASSES
    assert (len(images.names), images.skipped, skipped_sentence(images)) == (COUNT, {}, "")
    with pytest.raises(NotFoundError, match="it has 10"):
        images.display(COUNT)
    again = image_set(_sources(folder)[name], SMALL, labels=LABELS, label_names=CLASSES)
    assert again.fingerprint == images.fingerprint
    other = image_set(_sources(folder)[name], SMALL, labels=LABELS[::-1], label_names=CLASSES)
    assert other.fingerprint != images.fingerprint
    if "ray" in name or name in ("folder", "paths", "parquet", "webdataset", "torch"):
        copy = pickle.loads(pickle.dumps(images))
        np.testing.assert_array_equal(copy.images(3, 6), TRUTH[3:6])
        assert copy.fingerprint == images.fingerprint


def test_sources_bring_their_own_labels_and_names(folder: Path) -> None:
    sources = _sources(folder)
    for name in ("parquet", "torch", "torch subset"):
        images = image_set(sources[name], SMALL)
        assert images.labels.tolist() == LABELS, name  # type: ignore[union-attr]
        assert images.label_names == CLASSES, name
    for name in ("webdataset", "dictionaries", "bytes", "channels first", "ray images", "ray structs"):
        images = image_set(sources[name], SMALL)
        assert images.labels.tolist() == LABELS, name  # type: ignore[union-attr]
    for name in ("folder", "paths", "ray bytes"):
        images = image_set(sources[name], SMALL)
        assert images.labels is None
        assert list(images.names) == NAMES
    assert list(image_set(sources["parquet"], SMALL).names) == NAMES
    assert image_set(sources["torch"], SMALL).names[2] == "Photos[2]"
    assert image_set(sources["webdataset"], SMALL, name="w").name == "w"


@pytest.mark.parametrize("module", ["data", "images", *(f"datasets.{m}" for m in (
    "arrays", "pictures", "shards", "spool", "synsets"))])  # fmt: skip
def test_the_examples_of_docstrings_run(module: str) -> None:
    found = importlib.import_module(f"convscope.nets.{module}")
    failed, tried = doctest.testmod(found, globs={**vars(found), "np": np})
    assert (failed, tried > 0) == (0, True)


def test_the_first_images_keep_what_they_are_called(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no")
    first = FirstImages(image_set(folder, SMALL), 4)
    assert list(first.names) == list(first.files) == NAMES[:4]
    assert skipped_sentence(first) == "1 of 5 images skipped: bad.png (not an image)"
    assert FirstImages(ArrayImages(np.zeros((3, 4, 4), np.uint8)), 2).names == ()


def test_kept_pictures_are_decoded_once_within_their_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FirstImages(image_set(folder, SMALL), 6)
    decoded: list[int] = []
    display = FolderImages.display

    def count(self: FolderImages, index: int) -> np.ndarray:
        decoded.append(index)
        return display(self, index)

    monkeypatch.setattr(FolderImages, "display", count)
    kept = KeptImages(whole, most_bytes=4 * 12 * 12 * 3)
    for _ in range(3):
        for number in range(6):
            np.testing.assert_array_equal(kept.images(number, number + 1), whole.images(number, number + 1))
    decoded.clear()
    for number in range(6):
        kept.images(number, number + 1)
        kept.display(number)
    assert decoded == [4, 4, 5, 5], "the first four fit, the others are decoded each time"
    assert (len(kept), kept.fingerprint, kept.names) == (6, whole.fingerprint, whole.names)
    arrays = ArrayImages(np.random.default_rng(0).integers(0, 255, (3, 4, 4), np.uint8))
    np.testing.assert_array_equal(KeptImages(arrays).images(0, 3), arrays.images(0, 3))


def test_pictures_are_kept_ahead_until_no_more_fit_and_go_to_processes_without_them(folder: Path) -> None:
    whole = image_set(folder, SMALL)
    kept = KeptImages(whole, most_bytes=3 * 12 * 12 * 3 + 1)
    kept.keep([5, 1, 3, 0, 2])
    assert len(kept._kept) == 3
    assert set(kept._kept) < {5, 1, 3, 0, 2}
    np.testing.assert_array_equal(kept.images(0, 6), whole.images(0, 6))
    again = pickle.loads(pickle.dumps(kept))
    assert not again._kept
    assert len(pickle.dumps(kept)) < len(pickle.dumps(whole)) + 200
    np.testing.assert_array_equal(again.images(2, 5), whole.images(2, 5))
    with pytest.raises(NotFoundError, match="no images 7 to 7"):
        kept.images(7, 7)


# ---------------------------------------------------------------- labels


def _lines(form: str, head: str = "", end: str = "\n") -> str:
    lines = [form.format(n=n, stem=n[:3], c=c, name=CLASSES[c]) for n, c in zip(NAMES, LABELS, strict=True)]
    return end.join([head, *lines] if head else lines)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", _lines("{n},{c}", "file,label")),
        ("l.csv", _lines('{name};"{n}"', "\ufeffclass_name;Image Path", "\r\n")),
        ("l.tsv", _lines("photos/{n}\t{name}")),
        ("val.txt", _lines("val/{n} {c}")),
        ("l.csv", _lines("{stem},{name}", "ImageId,PredictionString")),
        ("l.txt", _lines("{c}")),
        ("l.csv", _lines("{name}", "label")),
        ("l.csv", _lines("./{n},30,{c}.0", "id,width,label")),
    ],
)
def test_files_of_labels(folder: Path, name: str, text: str) -> None:
    (folder.parent / name).write_text(text, newline="")
    images = image_set(folder, SMALL, labels=folder.parent / name, label_names=CLASSES)
    assert images.labels.tolist() == LABELS  # type: ignore[union-attr]
    assert images.label_names == CLASSES
    assert images.labels_from == name  # type: ignore[attr-defined]


def test_what_is_not_listed_has_no_label_and_what_is_not_there_is_named(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"")
    (folder.parent / "l.csv").write_text("file,label\n000.png,dog\nbad.png,cat\n77.png,cat\n003.png,\n004.png,cat\n")
    images = image_set(folder, SMALL, labels=folder.parent / "l.csv")
    assert images.labels.tolist() == [1, -1, -1, -1, 0, -1, -1, -1, -1, -1]  # type: ignore[union-attr]
    assert images.label_names == ("cat", "dog")
    assert skipped_sentence(images) == (
        "1 of 11 images skipped: bad.png (an empty file); 8 without a label; 1 labelled but not there: 77.png"
    )


def test_labels_beside_the_pictures_are_found_where_there_is_one_file(folder: Path) -> None:
    (folder / "labels.csv").write_text("\n".join(f"{n},{c}" for n, c in zip(NAMES, LABELS, strict=True)))
    images = FolderImages(folder, SMALL)
    assert (images.labels.tolist(), images.labels_from) == (LABELS, "labels.csv")  # type: ignore[union-attr]
    (folder / "labels.csv").write_text("something,else\n1,2\n")
    images = FolderImages(folder, SMALL)
    assert images.labels is None
    assert "none of the 2 files of labels.csv" in images.skipped["labels.csv"]
    (folder / "labels.tsv").write_text("000.png\t1")
    assert FolderImages(folder, SMALL).labels is None


def test_labels_as_dictionaries_lists_and_arrays(folder: Path) -> None:
    for given in (dict(zip(NAMES, LABELS, strict=True)), np.array(LABELS), torch.tensor(LABELS), tuple(LABELS)):
        assert image_set(folder, SMALL, labels=given).labels.tolist() == LABELS  # type: ignore[union-attr]
    by_name = image_set(folder, SMALL, labels=[CLASSES[c] for c in LABELS], label_names=CLASSES[::-1])
    assert by_name.labels.tolist() == [2 - c for c in LABELS]  # type: ignore[union-attr]
    assert image_set(folder, SMALL, labels=[None, "a", float("nan"), *"abababa"]).labels.tolist()[:3] == [-1, 0, -1]  # type: ignore[union-attr]
    stems = image_set(folder, SMALL, labels={"elsewhere/003": "x"})
    assert stems.labels.tolist() == [-1] * 3 + [0] + [-1] * 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([1, 2], None, "2 labels of labels do not fit 10 pictures"),
        ({"x.png": 1}, None, r"none of the 1 files of labels \(the first is 'x\.png'\) is among the 10 pictures"),
        ({}, None, "none of the 0 files"),
        ([-5] * COUNT, None, "-1 for unknown; got -5"),
        ([1.5] * COUNT, None, "a label is a class number or a text, got 1.5"),
        ([10**10] * COUNT, None, "class numbers from 0"),
        ([1, 2, 3] * 3 + [1], CLASSES, r"a label 3, but only 3 names of classes \(they seem to count from 1"),
        (["cat"] * 9 + ["dogg"], CLASSES, "no class 'dogg' in label_names; did you mean 'dog'"),
        ({"000.png": 1, "elsewhere/000.png": 2}, None, "gives '000.png' two labels, 1 and 2"),
        ("nowhere.csv", None, "no file 'nowhere.csv'"),
        (None, {0: "a", 2: "b"}, "number them from 0 without gaps"),
        (None, {"a": "b"}, "label_names maps numbers or WordNet ids to names, got the key 'a'"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(folder: Path, labels: Any, names: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_set(folder, SMALL, labels=labels, label_names=names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "holds no labels"),
        (b"file,size,colour\na,1,2\n", "which column of .* is the label"),
        (b"file,label\n000.png\n", "line 2 of .* has 1 columns"),
        (b"file,label\n000.png,1\n000.png,2\n", "line 3 of .* gives '000.png' the label '2', after '1'"),
        (b"\0\1\2", "is no text"),
    ],
)
def test_files_of_labels_that_make_no_sense_are_refused(folder: Path, text: bytes, message: str) -> None:
    (folder.parent / "l.csv").write_bytes(text)
    with pytest.raises(FormatError, match=message):
        image_set(folder, SMALL, labels=folder.parent / "l.csv")


SYNSETS = (
    "n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\nn03710637 maillot\nn03710721 maillot, tank suit\n"
)


def test_synsets(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text(SYNSETS)
    found = synsets(tmp_path / "w.txt")
    assert (found[0].id, found[0].name, found[0].first) == ("n01440764", "tench, Tinca tinca", "tench")
    assert unique_names(found) == ("tench", "crane (n02012849)", "crane (n03126707)", "maillot", "maillot, tank suit")
    forms = {
        "a.json": json.dumps({str(i): [s.id, s.name] for i, s in enumerate(found)}),
        "b.txt": SYNSETS.replace(" ", "\t", 1),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        assert synsets(tmp_path / name) == found
    (tmp_path / "c.json").write_text('["a, b", "c"]')
    assert unique_names(synsets(tmp_path / "c.json")) == ("a, b", "c")
    for name, text in {"d.txt": "", "e.txt": SYNSETS * 2, "f.json": '{"a": 1}', "g.json": "[" * 9999}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FormatError):
            synsets(tmp_path / name)


def test_wordnet_ids_are_the_numbers_of_their_classes(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text(SYNSETS)
    for name in ("n03126707/b.png", "n01440764/a.png", "val/n03126707/c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(_png(1))
    images = image_set(tmp_path / "in", SMALL, label_names=tmp_path / "w.txt")
    assert images.labels.tolist() == [0, 2, 2]  # type: ignore[union-attr]
    assert images.label_names[2] == "crane (n03126707)"
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("n03710721_77.png", "n01440764_tench.png"):
        (flat / name).write_bytes(_png(1))
    assert image_set(flat, SMALL, label_names=tmp_path / "w.txt").labels.tolist() == [0, 4]  # type: ignore[union-attr]
    alone = image_set(flat, SMALL)
    assert alone.labels.tolist() == [0, 1]  # type: ignore[union-attr]
    assert alone.label_names == ("n01440764", "n03710721")
    with pytest.raises(InputError, match="no class 'n01440764'"):
        image_set(flat, SMALL, label_names={"n00000001": "x", "n03710721": "y", "n09999999": "z"})


def test_folders_named_by_numbers(tmp_path: Path) -> None:
    for name in ("0", "2", "10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(_png(1))
    assert image_set(tmp_path, SMALL).label_names == ("0", "10", "2")
    named = image_set(tmp_path, SMALL, label_names=[f"class {i}" for i in range(11)])
    assert named.labels.tolist() == [0, 10, 2]  # type: ignore[union-attr]


def test_real_synsets(real_data: Path) -> None:
    words = real_data / "labels" / "synset_words.txt"
    if not words.is_file() or not (real_data / "imagenet-sample-images").is_dir():
        pytest.skip(f"needs the sample pictures of ImageNet in {real_data}")
    names = unique_names(synsets(words))
    assert (len(names), len(set(names)), names[0], names[999]) == (1000, 1000, "tench", "toilet tissue")
    images = image_set(real_data / "imagenet-sample-images", label_names=words, check="quick")
    np.testing.assert_array_equal(images.labels, np.arange(1000))
    assert images.names[2].endswith("_great_white_shark.JPEG")
    assert images.label_names[2] == "great white shark"
    assert images.preprocessing == IMAGENET


# ---------------------------------------------------------------- torch


def _normalised(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(IMAGENET.to_input(picture))


class Compose(SimpleNamespace):
    """A chain of transforms as torchvision writes it: the last one has a mean and a standard deviation."""

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        return _normalised(picture)


def test_inputs_are_shown_through_the_normalisation_of_their_data_set() -> None:
    chain = Compose(transforms=["resize", SimpleNamespace(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])])
    for dataset in (Photos(chain), Subset(Photos(chain), range(5)), ConcatDataset([Photos(chain), Photos(chain)])):
        images = image_set(dataset)
        assert images.images(0, 2).shape == (2, 3, 224, 224)
        np.testing.assert_array_equal(images.display(3), IMAGENET.fit(Image.fromarray(_pixels(3))))
        assert images.preprocessing.std == (0.229, 0.224, 0.225)
        assert images.labels.tolist() == (LABELS * 2)[: len(images)]  # type: ignore[union-attr]
        assert images.label_names == CLASSES
    stretched = image_set(Photos(_normalised))
    assert (stretched.display(0).min(), stretched.display(9).max()) <= (5, 255)


def test_tensors_and_their_labels() -> None:
    images = image_set(TensorDataset(torch.from_numpy(TRUTH), torch.tensor(LABELS)))
    np.testing.assert_array_equal(images.images(0, COUNT), TRUTH)
    assert images.labels.tolist() == LABELS  # type: ignore[union-attr]


def test_labels_that_a_transform_changes_are_read_from_the_items() -> None:
    class Turned(Photos):
        def __getitem__(self, number: int) -> tuple[Any, int]:
            return super().__getitem__(number)[0], 2 - LABELS[number]

    assert image_set(Turned(), SMALL).labels.tolist() == [2 - c for c in LABELS]  # type: ignore[union-attr]


def test_random_transforms_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match="item 0 of 'Photos' differs when it is read again; take out its random trans"):
        image_set(Photos(lambda _: torch.from_numpy(generator.random((3, 4, 4), np.float32))))


def test_items_that_cannot_be_read_are_skipped() -> None:
    def make(number: int) -> Any:
        if number == 3:
            raise OSError("the disk is on fire")
        return b"no picture" if number == 5 else _png(number)

    images = image_set(Items(make), SMALL)
    assert dict(images.skipped) == {"Items[3]": "the disk is on fire", "Items[5]": "not an image"}
    assert list(images.names)[2:4] == ["Items[2]", "Items[4]"]
    np.testing.assert_array_equal(images.images(3, 4)[0], TRUTH[4])


def test_what_breaks_after_a_quick_check_is_named() -> None:
    class Breaking(Photos):
        broken = False

        def __getitem__(self, number: int) -> tuple[Any, int]:
            if self.broken:
                raise RuntimeError("worker died")
            return super().__getitem__(number)

    dataset = Breaking()
    images = image_set(dataset, SMALL)
    dataset.broken = True
    with pytest.raises(FormatError, match=r"item 4 of 'Breaking' cannot be read \(worker died\); leave it out"):
        images.images(4, 6)
    with pytest.raises(FormatError, match=r"item 0 of 'Breaking' cannot be read"):
        image_set(dataset, SMALL, labels=LABELS)
    with pytest.raises(
        InputError, match=r"no readable image in 'Breaking' \(10 unreadable, Breaking\[0\]: worker died\)"
    ):
        image_set(dataset, SMALL)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(Photos())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (Stream(), "a Stream can only be read in order, .* give a data set with __len__ and __getitem__, or list"),
        ((i for i in range(3)), "a generator can only be read in order"),
        (DataLoader(Photos(), batch_size=2), r"a DataLoader gives batches, maybe shuffled; give its \.dataset"),
        (Items(lambda i: i, 0), "the data set Items is empty"),
        (Items(lambda i: {"caption": "x", "width": 3}), "no column 'image' 'caption, width' in item 0"),
        (Items(lambda i: torch.zeros(4, 5, 3)), r"floats of shape \(4, 5, 3\); the network's input is \(C, H, W\)"),
        (Items(lambda i: torch.zeros(4, dtype=torch.int64)), "is int64"),
        (Items(lambda i: _pixels(i) if i else torch.zeros(3, 4, 4)), "some are floats"),
        ({"a.png": 1}, "expected images, got dict"),
        (3, "expected images, got int"),
        (None, "expected images, got NoneType"),
        ([], "no images were given"),
        ([object()], "item 0 of the list is a object"),
        (["nowhere.png"], r"no readable image in the list \(1 unreadable, nowhere.png: no such file\)"),
        ("nowhere.png", "no file or folder 'nowhere.png'"),
        ("nowhere", "no folder 'nowhere'"),
        (np.zeros((2, 3, 4, 4), np.int64), "got int64"),
        (np.zeros((0, 3, 4, 4), np.float32), "no images were given"),
        ("shard-{00..03}.tar", "no file 'shard-00.tar'"),
        ("*.parquet", "no file '.*parquet'"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_images_is_refused(
    images: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        image_set(images)


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, message in {"a.zip": "is compressed", "a.tar.gz": "is compressed", "a.csv": "neither a folder"}.items():
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match=message):
            image_set(tmp_path / name)
    given = image_set(np.zeros((1, 2, 2), np.uint8))
    assert image_set(given) is given
    with pytest.raises(InputError, match="has its labels and its name already"):
        image_set(given, labels=[1])


# ---------------------------------------------------------------- files of arrays, pictures, shards


def test_a_single_picture_is_a_set_of_one(folder: Path) -> None:
    images = image_set(folder / NAMES[1], SMALL)
    assert (len(images), images.name, list(images.names)) == (1, "001", ["001.png"])
    np.testing.assert_array_equal(images.images(0, 1)[0], TRUTH[1])
    assert len(image_set(Image.fromarray(_pixels(0)))) == 1
    twice = Image.open(folder / NAMES[0])
    assert image_set([twice, twice], SMALL).images(0, 2).shape == (2, 3, 12, 12)
    assert twice.size == (30, 20)


def test_unreadable_files_of_a_list_are_skipped(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"no")
    images = image_set([folder / "bad.png", str(folder / NAMES[1]), folder / "gone.png"], SMALL, labels=["a", "b", "c"])
    assert dict(images.skipped) == {"bad.png": "not an image", "gone.png": "no such file"}
    assert images.labels.tolist() == [0]  # type: ignore[union-attr]
    assert images.label_names == ("b",)


def test_files_of_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    np.save(tmp_path / "f.npy", TRUTH)
    np.savez(tmp_path / "both.npz", images=pixels, labels=np.arange(6) % 2)
    images = image_set(tmp_path / "x.npy")
    assert isinstance(images.pixels, np.memmap)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(images.display(4), pixels[4])
    assert images.fingerprint == image_set(pixels).fingerprint
    np.testing.assert_array_equal(image_set(tmp_path / "f.npy", SMALL).images(2, 4), TRUTH[2:4])
    both = image_set(tmp_path / "both.npz", label_names=["a", "b"])
    assert (both.labels.tolist(), both.label_names, both.name) == ([0, 1] * 3, ("a", "b"), "both")  # type: ignore[union-attr]
    np.savez(tmp_path / "many.npz", train=pixels, test=pixels)
    with pytest.raises(InputError, match=r"which array of .* has the images: train, test"):
        image_set(tmp_path / "many.npz")
    np.save(tmp_path / "object.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:300])
    (tmp_path / "no.npz").write_bytes(b"no")
    for name in ("object.npy", "cut.npy", "no.npz"):
        with pytest.raises(FormatError, match="cannot be read as an array"):
            image_set(tmp_path / name)


def test_shards_are_expanded(tmp_path: Path) -> None:
    for name in ("a-08", "a-09", "a-10", "b", "{x..y}"):
        (tmp_path / f"{name}.tar").touch()
    assert [p.stem for p in shard_paths(tmp_path / "a-{08..10}.tar")] == ["a-08", "a-09", "a-10"]
    assert [p.stem for p in shard_paths([tmp_path / "{b,a-09}.tar", tmp_path / "a-1*.tar"])] == ["b", "a-09", "a-10"]
    assert [p.stem for p in shard_paths(tmp_path / "{x..y}.tar")] == ["{x..y}"]
    with pytest.raises(InputError, match="stands for 100,000,000 files"):
        shard_paths("a-{0..99999999}.tar")


@pytest.mark.parametrize("label", ["cls", "json", "txt"])
@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_formats_and_labels(tmp_path: Path, kind: int, label: str) -> None:
    """Python's tarfile writes; long names need the headers of each format."""
    deep = "train/" if kind == tarfile.USTAR_FORMAT else "a-deep-folder/" * 12 + "ü/"
    images = image_set(_tar(tmp_path / "s.tar", 0, COUNT, kind=kind, label=label, deep=deep), SMALL)
    np.testing.assert_array_equal(images.images(0, COUNT), TRUTH)
    assert images.labels.tolist() == LABELS  # type: ignore[union-attr]
    assert images.label_names == (() if label == "cls" else CLASSES)
    assert images.names[3] == f"{deep}003.png"
    again = image_set(tmp_path / "s.tar", SMALL, labels={f"{deep}003": 7})
    assert again.labels[3] == 7  # type: ignore[index]


def test_what_is_wrong_with_a_shard(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in {
            "a.png": _png(0),
            "b.png": b"no",
            "c.json": b"{}",
            "d.txt": b"a caption",
            "d.jpg": _png(1),
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    images = image_set(path, SMALL)
    assert dict(images.skipped) == {"b.png": "not an image", "c": "no picture among its members"}
    assert (list(images.names), images.labels) == (["a.png", "d.jpg"], None)
    whole = path.read_bytes()
    path.write_bytes(whole[:700])
    with pytest.raises(FormatError, match="could be read before but not now"):
        images.images(1, 2)
    spoiled = bytearray(whole)
    spoiled[3] ^= 1
    huge = tarfile.TarInfo("x")
    huge.size, huge.type = 2 << 20, tarfile.GNUTYPE_LONGNAME
    for data, message in (
        (whole[:700], "is cut off"),
        (bytes(spoiled), "is no tar file at byte 0"),
        (b"\x1f\x8b" + whole, "is compressed"),
        (huge.tobuf() + bytes(3 << 20), "has a name or header of 2,097,152 bytes"),
        (b"", "no readable image"),
    ):
        path.write_bytes(data)
        with pytest.raises((FormatError, InputError), match=message):
            image_set(path, SMALL)


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convscope.nets.datasets.parquet.ROWS", 2)
    path = _parquet(tmp_path / "a.parquet", 0, COUNT, group=7, struct=False, spoil=4)
    images = image_set(path, SMALL)
    kept = [number for number in range(COUNT) if number != 4]
    assert dict(images.skipped) == {"a.parquet:4": "not an image"}
    for number in (8, 0, 5, 4, 1, 7, 2):
        np.testing.assert_array_equal(images.images(number, number + 1)[0], TRUTH[kept[number]])
    assert images.labels.tolist() == [LABELS[number] for number in kept]  # type: ignore[union-attr]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(FormatError, match="is no Parquet file"):
        image_set(tmp_path / "b.parquet")
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "c.parquet")
    with pytest.raises(NotFoundError, match=r"no column of pictures 'image' in .*; there are: text, label"):
        image_set(tmp_path / "c.parquet")
    parquet.write_table(pa.table({"png": [_png(0), None]}), tmp_path / "d.parquet")
    assert dict(image_set(tmp_path / "d.parquet", SMALL).skipped) == {
        "d.parquet:1": "the row holds no bytes of a picture"
    }
    with pytest.raises(FormatError, match="has no column 'image'"):
        image_set([path, tmp_path / "d.parquet"], SMALL)


def test_a_folder_of_shards_says_what_to_give(tmp_path: Path) -> None:
    _parquet(tmp_path / "a.parquet", 0, 2)
    with pytest.raises(InputError, match=r"1 other files \(for those, give the pattern '\*\.parquet'\)"):
        image_set(tmp_path)


# ---------------------------------------------------------------- Ray


def test_ray_is_read_in_order_and_once() -> None:
    dataset = RayStandIn({"image": [_pixels(i) if i != 4 else b"no" for i in range(COUNT)], "path": NAMES})
    images = image_set(dataset, SMALL)
    assert dataset.asked == [True]
    assert dataset.context.execution_options.preserve_order is False
    assert dict(images.skipped) == {"004.png": "not an image"}
    np.testing.assert_array_equal(images.images(4, 6), TRUTH[5:7])
    spool = images._spool.path  # type: ignore[attr-defined]
    assert spool.stat().st_size == 9 * 12 * 12 * 3
    del images
    assert not spool.exists()
    with pytest.raises(InputError, match="is empty"):
        image_set(RayStandIn({"image": []}))
    with pytest.raises(InputError, match="some are floats"):
        image_set(RayStandIn({"image": [_pixels(0), TRUTH[0]]}), SMALL)
    with pytest.raises(NotFoundError, match="no column 'image'"):
        image_set(RayStandIn({"text": ["a"], "length": [1]}))
