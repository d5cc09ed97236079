"""Weights from files of every format, against their own libraries, real files, and files that mean harm."""

from __future__ import annotations

import json
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from convscope.errors import FormatError, MissingExtraError, NotFoundError, StorageError
from convscope.nets.weights import FORMATS, READERS, format_of, read_weights

HERE = Path(__file__).parent / "data"
KERNEL = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)  # (kh, kw, I, O)
LINEAR = np.arange(6, dtype=np.float32).reshape(2, 3)  # (in, out)
BIAS = np.array([1.5, -2, 3], np.float32)


def equal(found: dict[str, np.ndarray], expected: dict[str, Any]) -> None:
    """The same names, types, shapes and numbers, each array writable."""
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].dtype == np.asarray(array).dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)
        assert found[name].flags.writeable, name


# ---------------------------------------------------------------- numpy


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_keeps_names_types_and_layouts(tmp_path: Path, save: Callable) -> None:
    arrays = {
        "a.weight": np.asfortranarray(KERNEL),
        "half": np.float16([1, 2]),
        "count": np.int64(7),
        "big": np.arange(3, dtype=">f4"),
        "none": np.zeros((0, 2), bool),
    }
    save(tmp_path / "w.npz", **arrays)
    equal(read_weights(tmp_path / "w.npz"), {**arrays, "big": np.arange(3, dtype="f4")})


def test_kernels_of_flax_are_turned_in_every_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"conv/kernel": KERNEL, "head/kernel": LINEAR, "head/bias": BIAS, "kernel_size": 3})
    tree = {"conv": {"kernel": KERNEL}, "head": {"kernel": LINEAR, "bias": BIAS}, "kernel_size": np.asarray(3)}
    (tmp_path / "w.ckpt").write_bytes(pickle.dumps(tree, protocol=3))
    expected = {
        "conv/kernel": KERNEL.transpose(3, 2, 0, 1),
        "head/kernel": LINEAR.T,
        "head/bias": BIAS,
        "kernel_size": np.asarray(3),
    }
    equal(read_weights(tmp_path / "w.npz"), expected)
    equal(read_weights(tmp_path / "w.ckpt"), expected)


def test_frossards_vgg16(tmp_path: Path) -> None:
    np.savez(tmp_path / "vgg16_weights.npz", conv1_1_W=KERNEL, conv1_1_b=BIAS, fc6_W=LINEAR, fc6_b=BIAS)
    expected = {"conv1_1_W": KERNEL.transpose(3, 2, 0, 1), "conv1_1_b": BIAS, "fc6_W": LINEAR.T, "fc6_b": BIAS}
    equal(read_weights(tmp_path / "vgg16_weights.npz"), expected)


@pytest.mark.parametrize(
    "layers",
    [
        {"conv1": [KERNEL, BIAS], "fc6": [LINEAR, BIAS]},
        {"conv1": {"weights": KERNEL, "biases": BIAS}, "fc6": {"weights": LINEAR, "biases": BIAS}},
    ],
)
def test_alexnet_of_caffe_tensorflow(tmp_path: Path, layers: dict) -> None:
    np.save(tmp_path / "bvlc_alexnet.npy", layers, allow_pickle=True)
    expected = {"conv1.weight": KERNEL.transpose(3, 2, 0, 1), "conv1.bias": BIAS, "fc6.weight": LINEAR.T}
    equal(read_weights(tmp_path / "bvlc_alexnet.npy"), {**expected, "fc6.bias": BIAS})


def test_what_python_2_pickled(tmp_path: Path) -> None:
    """The very opcodes of ``bvlc_alexnet.npy``: text as BINSTRING, bytes with all values, numpy's old module names."""
    array = np.arange(-128, 128, dtype=np.int8)

    def binstring(data: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(data)) + data

    dtype = (
        b"cnumpy\ndtype\n(" + binstring(b"i1") + b"K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    made = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + binstring(b"b") + b"tR"
        b"(K\x01(M\x00\x01t" + dtype + b"\x89" + binstring(array.tobytes()) + b"tb"
    )
    content = b"\x80\x02}" + binstring(b"conv1") + b"]" + made + b"as."
    np.save(tmp_path / "w.npy", {}, allow_pickle=True)
    header = (tmp_path / "w.npy").read_bytes().partition(b"\x80")[0]
    (tmp_path / "w.npy").write_bytes(header + content)
    equal(read_weights(tmp_path / "w.npy"), {"conv1.weight": array})


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    tree = OrderedDict(a={"b": np.asfortranarray(LINEAR), "c": np.float64(2.5)}, d=np.arange(3, dtype=">i2"))
    (tmp_path / "w.ckpt").write_bytes(pickle.dumps(tree, protocol=protocol))
    equal(read_weights(tmp_path / "w.ckpt"), {"a/b": LINEAR, "a/c": np.float64(2.5), "d": np.arange(3, dtype="i2")})


def test_one_array(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", KERNEL)
    equal(read_weights(tmp_path / "w.npy"), {"0": KERNEL})


# ---------------------------------------------------------------- torch and safetensors

STATE = {
    "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "half": torch.tensor([1.5, -2], dtype=torch.float16),
    "brain": torch.tensor([1.0, 3.140625, float("-inf")], dtype=torch.bfloat16),
    "bn.num_batches_tracked": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}
NUMPY = {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in STATE.items()}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".bin", ".tar", ".ckpt", ".pth.tar", ""])
def test_torch_files_keep_their_types(tmp_path: Path, suffix: str) -> None:
    torch.save(STATE, tmp_path / f"w{suffix}")
    equal(read_weights(tmp_path / f"w{suffix}"), NUMPY)
    torch.save(STATE, tmp_path / f"old{suffix}", _use_new_zipfile_serialization=False)
    equal(read_weights(tmp_path / f"old{suffix}"), NUMPY)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"state_dict": state}, "optimizer": {"state": {}}},
        lambda state: {"model_state_dict": state, "loss": 0.1},
        lambda state: {"net": state, "acc": 1},
        lambda state: {"ema": state, "step": torch.tensor(1), "note": "x"},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()} | {"n_averaged": 1},
        lambda state: {name: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for name, v in state.items()},
        lambda state: OrderedDict(state, **{"fc._extra_state": None}),
    ],
)
def test_where_the_state_dictionary_is(tmp_path: Path, wrap: Callable) -> None:
    torch.save(wrap(STATE), tmp_path / "w.pth")
    equal(read_weights(tmp_path / "w.pth"), NUMPY)


def test_safetensors_by_torch(tmp_path: Path) -> None:
    save_file({**{n: t.contiguous() for n, t in STATE.items()}, "8": torch.ones(2, dtype=torch.uint16)}, tmp_path / "w")
    equal(read_weights(tmp_path / "w"), {**NUMPY, "8": np.ones(2, np.uint16)})


# ---------------------------------------------------------------- MXNet


def test_mxnet_against_mxnet() -> None:
    types = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")
    expected = {f"arg:{name}_weight": np.arange(6, dtype=name).reshape(1, 2, 3) for name in types}
    equal(
        read_weights(HERE / "mxnet" / "types.params"),
        {**expected, "aux:bn_moving_mean": np.array([0.5, -0.5], "f4")},
    )
    equal(read_weights(HERE / "mxnet" / "list.ndarray"), {"0": np.ones((2, 2), "f4"), "1": np.zeros(3, "f4")})
    third = {"scalar": np.float32(2.5), "empty": np.zeros((0, 3), "f4"), "flags": np.array([True, False])}
    equal(read_weights(HERE / "mxnet" / "third.params"), third)
    with pytest.raises(FormatError, match=r"sparse \(storage 1\); save it dense"):
        read_weights(HERE / "mxnet" / "sparse.params")


def mxnet_list(*arrays: bytes, names: tuple[str, ...] = ()) -> bytes:
    head = struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names))
    return head + b"".join(struct.pack("<Q", len(name)) + name.encode() for name in names)


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<III", 2, 2, 3),
        struct.pack("<IIqq", 0xF993FAC8, 2, 2, 3),
        struct.pack("<IiIqq", 0xF993FAC9, 0, 2, 2, 3),
    ],
    ids=["before V1", "V1", "V2"],
)
def test_mxnet_of_every_age(tmp_path: Path, head: bytes) -> None:
    """MXNet 1.9.1 itself reads these bytes as the same array."""
    array = head + struct.pack("<iii", 2, 0, 0) + LINEAR.tobytes()
    (tmp_path / "w.params").write_bytes(mxnet_list(array, names=("arg:fc_weight",)))
    equal(read_weights(tmp_path / "w.params"), {"arg:fc_weight": LINEAR})


def test_real_mxnet_files(real_data: Path) -> None:
    folder = real_data / "mxboard-demo"
    kernel = read_weights(folder / "resnet_152_conv0_weight.param")["0"]
    assert kernel.shape == (64, 3, 7, 7)
    assert int((np.abs(kernel).reshape(64, -1).max(axis=1) < 1e-6).sum()) == 30, "the dead filters of the seeds"
    assert read_weights(folder / "vgg16_conv1_1_weight.param")["0"].shape == (64, 3, 3, 3)
    assert read_weights(folder / "inception_bn_conv_1_bias.param")["0"].shape == (64,)
    swan = read_weights(folder / "imagenet_swan.ndarray")["0"]
    assert (swan.shape, swan.dtype) == ((3, 224, 224), np.uint8)


# ---------------------------------------------------------------- Caffe


def _message(file: descriptor_pb2.FileDescriptorProto, name: str, *fields: tuple[str, int, str, str]) -> None:
    kinds = {"float": 2, "int64": 3, "int32": 5, "string": 9, "message": 11, "double": 1, "enum": 5}
    message = file.message_type.add(name=name)
    for field, number, label, kind in fields:
        made = message.field.add(name=field, number=number, label=3 if label.startswith("repeated") else 1)
        made.type = kinds.get(kind, 11)
        if kind not in kinds:
            made.type_name = f".caffe.{kind}"
        if label == "repeated packed":
            made.options.packed = True


@pytest.fixture(scope="module")
def caffe() -> Callable[[], Any]:
    """The class NetParameter by protobuf itself, from the field numbers of caffe.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    _message(file, "BlobShape", ("dim", 1, "repeated packed", "int64"))
    sizes = [(name, number, "", "int32") for number, name in enumerate(("num", "channels", "height", "width"), 1)]
    numbers = [("data", 5, "repeated packed", "float"), ("double_data", 8, "repeated packed", "double")]
    _message(
        file, "BlobProto", *sizes, *numbers, ("diff", 6, "repeated packed", "float"), ("shape", 7, "", "BlobShape")
    )
    old = [("bottom", 2, "repeated", "string"), ("name", 4, "", "string"), ("type", 5, "", "enum")]
    _message(file, "V0", ("name", 1, "", "string"), ("type", 2, "", "string"), ("blobs", 50, "repeated", "BlobProto"))
    _message(file, "V1", ("layer", 1, "", "V0"), *old, ("blobs", 6, "repeated", "BlobProto"))
    new = [("name", 1, "", "string"), ("type", 2, "", "string"), ("blobs", 7, "repeated", "BlobProto")]
    _message(file, "Layer", *new, ("bottom", 3, "repeated", "string"), ("phase", 10, "", "enum"))
    net = [("name", 1, "", "string"), ("layers", 2, "repeated", "V1"), ("input_dim", 4, "repeated", "int32")]
    _message(file, "Net", *net, ("layer", 100, "repeated", "Layer"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.Net"))


def _fill(blob: Any, array: np.ndarray, *, old: bool = False) -> None:
    if old:
        shape = (1,) * (4 - array.ndim) + array.shape
        blob.num, blob.channels, blob.height, blob.width = shape
    else:
        blob.shape.dim.extend(array.shape)
    getattr(blob, "double_data" if array.dtype == np.float64 else "data").extend(array.ravel().tolist())


OIHW = np.ascontiguousarray(KERNEL.transpose(3, 2, 0, 1))


@pytest.mark.parametrize("name", ["w.caffemodel", "w"])
def test_caffe_against_protobuf(tmp_path: Path, caffe: Callable, name: str) -> None:
    net = caffe()
    net.name = "a net"
    layers = {
        "conv1": ("Convolution", [OIHW, np.arange(5, dtype="f4")]),
        "relu1": ("ReLU", []),
        "fire2/fc": ("InnerProduct", [LINEAR, BIAS[:2]]),
        "bn": ("BatchNorm", [BIAS, BIAS + 1, np.float32([2])]),
        "scale": ("Scale", [BIAS, BIAS + 2]),
        "exact": ("Convolution", [OIHW.astype("f8")]),
    }
    for layer, (kind, blobs) in layers.items():
        made = net.layer.add(name=layer, type=kind, bottom=["x"])
        for array in blobs:
            _fill(made.blobs.add(), array)
    net.layer[0].blobs[0].diff.extend([1.0, 2.0])
    (tmp_path / name).write_bytes(net.SerializeToString())
    expected = {
        f"{layer}.{('weight', 'bias')[i] if kind in {'Convolution', 'InnerProduct'} else i}": array
        for layer, (kind, blobs) in layers.items()
        for i, array in enumerate(blobs)
    }
    equal(read_weights(tmp_path / name), expected)


def test_caffe_of_older_forms(tmp_path: Path, caffe: Callable) -> None:
    net = caffe()
    one = np.ones((1, 4, 1, 1), np.float32)
    for name, kind, arrays in (("conv1", 4, [OIHW, BIAS]), ("fc", 14, [LINEAR, BIAS]), ("one", 4, [one, BIAS[:1]])):
        made = net.layers.add(name=name, type=kind)
        for array in arrays:
            _fill(made.blobs.add(), array, old=True)
    oldest = net.layers.add().layer
    oldest.name, oldest.type = "conv2", "conv"
    _fill(oldest.blobs.add(), OIHW, old=True)
    (tmp_path / "w.caffemodel").write_bytes(net.SerializeToString())
    expected = {"conv1.weight": OIHW, "conv1.bias": BIAS, "fc.weight": LINEAR, "fc.bias": BIAS, "conv2.weight": OIHW}
    equal(read_weights(tmp_path / "w.caffemodel"), {**expected, "one.weight": one, "one.bias": BIAS[:1]})


def test_caffe_numbers_that_are_not_packed(tmp_path: Path) -> None:
    numbers = b"".join(b"\x2d" + struct.pack("<f", value) for value in BIAS)
    blob = b"\x3a\x02\x08\x03" + numbers
    layer = b"\x0a\x01a\x12\x0bConvolution\x3a" + bytes([len(blob)]) + blob
    (tmp_path / "w.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    equal(read_weights(tmp_path / "w.caffemodel"), {"a.weight": BIAS})


# ---------------------------------------------------------------- Keras and TensorFlow.js


def _as_torch(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """The network of tests/data/make_keras_weights.py, in torch."""
    w = {name: torch.from_numpy(array) for name, array in weights.items()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = w[f"{name}/moving_mean"], w[f"{name}/moving_variance"]
        return functional.batch_norm(x, mean, variance, w.get(f"{name}/gamma"), w.get(f"{name}/beta"), eps=1e-3)

    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    x = norm(functional.relu(functional.conv2d(x, w["first/kernel"], w["first/bias"], 2)), "norm")
    x = functional.conv2d(x, w["deep/kernel"], w["deep/bias"], padding=1, groups=4)
    x = functional.conv2d(x, w["apart/depthwise_kernel"], padding=1, groups=8)
    x = functional.conv2d(x, w["apart/pointwise_kernel"], w["apart/bias"])
    x = norm(functional.relu(functional.conv2d(x, w["inner_conv/kernel"], w["inner_conv/bias"])), "inner_norm")
    x = functional.conv_transpose2d(x, w["up/kernel"], w["up/bias"], 2)
    return functional.linear(x.mean((2, 3)), w["logits/kernel"], w["logits/bias"]).numpy()


@pytest.mark.parametrize("name", ["tiny.keras", "tiny.h5", "tiny.weights.h5"])
def test_keras_against_keras(tmp_path: Path, name: str) -> None:
    """Every kind of kernel turned right: torch computes with them what Keras computed."""
    path = HERE / "keras" / name
    if name == "tiny.weights.h5":
        with zipfile.ZipFile(HERE / "keras" / "tiny.keras") as archive:
            path = tmp_path / name
            path.write_bytes(archive.read("model.weights.h5"))
    weights = read_weights(path)
    if name == "tiny.weights.h5":  # nothing in the file says that this one has no centre instead of no scale
        weights["inner_norm/gamma"] = weights.pop("inner_norm/beta")
    with np.load(HERE / "keras" / "tiny.npz") as expected:
        np.testing.assert_allclose(_as_torch(weights, expected["images"]), expected["logits"], rtol=1e-4)


def test_keras_names_of_older_versions(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["conv2d_1/conv2d_1_3/kernel:0"] = KERNEL
        file["block1_conv1/block1_conv1_W_1:0"] = KERNEL
        file["block1_conv1/block1_conv1_b_1:0"] = BIAS
        file["resnet50/conv1_conv/kernel:0"] = KERNEL
        file["dw/dw/depthwise_kernel:0"] = KERNEL
        file["half/half/kernel:0"] = KERNEL.astype(np.float16)
        file["optimizer_weights/a/b:0"] = KERNEL
        file.create_group("empty")
    turned = KERNEL.transpose(3, 2, 0, 1)
    expected = {
        "conv2d_1/kernel": turned,
        "block1_conv1/kernel": turned,
        "block1_conv1/bias": BIAS,
        "conv1_conv/kernel": turned,
        "dw/depthwise_kernel": KERNEL.transpose(2, 3, 0, 1).reshape(20, 1, 2, 3),
        "half/kernel": turned.astype(np.float16),
    }
    equal(read_weights(tmp_path / "w.h5"), expected)


def test_real_keras_file_against_h5py(real_data: Path) -> None:
    path = real_data / "mlperf-resnet8" / "pretrainedResnet.h5"
    weights = read_weights(path)
    assert len(weights) == 48
    with h5py.File(path) as file:
        kernel = file["model_weights/conv2d_3/conv2d_3/kernel:0"][()]
        variance = file["model_weights/batch_normalization_2/batch_normalization_2/moving_variance:0"][()]
    np.testing.assert_array_equal(weights["conv2d_3/kernel"], kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(weights["batch_normalization_2/moving_variance"], variance)
    assert weights["dense/kernel"].shape == (10, 64)


def test_keras_without_h5py_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'convscope\[keras\]'"):
        read_weights(HERE / "keras" / "tiny.h5")


def test_tiny_vgg_sees_what_is_in_its_pictures(real_data: Path) -> None:
    folder = real_data / "cnn-explainer-tinyvgg"
    w = {name: torch.from_numpy(array) for name, array in read_weights(folder / "model.json").items()}
    classes = ["boat", "bug", "pizza", "pepper", "bus", "koala", "espresso", "panda", "orange", "car"]
    paths = sorted((folder / "img").glob("*.jpeg"))
    right = 0
    for path in paths:
        x = torch.from_numpy(np.asarray(Image.open(path).convert("RGB"), np.float32) / 255).permute(2, 0, 1)[None]
        for block in (1, 2):
            for layer in (1, 2):
                name = f"conv_{block}_{layer}"
                x = functional.relu(functional.conv2d(x, w[f"{name}/kernel"], w[f"{name}/bias"]))
            x = functional.max_pool2d(x, 2)
        logits = functional.linear(x.permute(0, 2, 3, 1).flatten(1), w["output/kernel"], w["output/bias"])
        right += classes[int(logits.argmax())] == path.stem.split("_")[0]
    assert right >= 13, f"{right} of {len(paths)}"  # it gives 14; chance would be 2


def write_tfjs(folder: Path, entries: list[dict], data: bytes, *, shards: int = 2) -> Path:
    cut = len(data) // shards
    names = [f"group1-shard{i + 1}of{shards}.bin" for i in range(shards)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(data[i * cut : (i + 1) * cut if i + 1 < shards else None])
    (folder / "model.json").write_text(json.dumps({"weightsManifest": [{"paths": names, "weights": entries}]}))
    return folder / "model.json"


def test_tensorflow_js_with_quantised_numbers(tmp_path: Path) -> None:
    codes = np.arange(120, dtype=np.uint8).reshape(2, 3, 4, 5)
    parts = [codes, np.arange(3, dtype="<u2"), BIAS.astype("<f2"), np.arange(4, dtype="u1"), np.int32([9]), BIAS]
    scaled = {"min": -0.5, "scale": 0.25}
    entries = [
        {"name": "a/kernel", "shape": [2, 3, 4, 5], "dtype": "float32", "quantization": {"dtype": "uint8", **scaled}},
        {"name": "a/bias", "shape": [3], "dtype": "float32", "quantization": {"dtype": "uint16", **scaled}},
        {"name": "b/bias", "shape": [3], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "n", "shape": [4], "dtype": "int32", "quantization": {"dtype": "uint8", "min": -2, "scale": 1}},
        {"name": "i", "shape": [1], "dtype": "int32"},
        {"name": "b/gamma", "shape": [3], "dtype": "float32"},
    ]
    path = write_tfjs(tmp_path, entries, b"".join(part.tobytes() for part in parts))
    expected = {
        "a/kernel": (codes.transpose(3, 2, 0, 1) * 0.25 - 0.5).astype("f4"),
        "a/bias": np.float32([-0.5, -0.25, 0]),
        "b/bias": BIAS,
        "n": np.int32([-2, -1, 0, 1]),
        "i": np.int32([9]),
        "b/gamma": BIAS,
    }
    equal(read_weights(path), expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["weightsManifest"][0].update(paths=["../secret"]), "'../secret' is not a file next to it"),
        (lambda m: m["weightsManifest"][0].update(paths=["/etc/passwd"]), "is not a file next to it"),
        (lambda m: m["weightsManifest"][0].update(paths=["gone.bin"]), "'gone.bin' is not next to it; fetch it too"),
        (lambda m: m["weightsManifest"][0]["weights"][0].update(shape=[10**9, 10**9]), "does not fit into"),
        (lambda m: m["weightsManifest"][0]["weights"][0].update(shape=[2]), "4 bytes of its shards belong to no array"),
        (lambda m: m["weightsManifest"][0]["weights"][0].update(dtype="string"), "holds string, which is not read"),
        (lambda m: m["weightsManifest"][0]["weights"].append(m["weightsManifest"][0]["weights"][0]), "does not fit"),
        (lambda m: m.pop("weightsManifest"), "no weightsManifest"),
    ],
)
def test_broken_tensorflow_js_is_refused(tmp_path: Path, change: Callable, said: str) -> None:
    path = write_tfjs(tmp_path, [{"name": "a/bias", "shape": [3], "dtype": "float32"}], BIAS.tobytes())
    model = json.loads(path.read_text())
    change(model)
    path.write_text(json.dumps(model))
    with pytest.raises(FormatError, match=said):
        read_weights(path)


# ---------------------------------------------------------------- Deep Compression


def squeezenet(w: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    def conv(x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        return functional.relu(functional.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, padding))

    x = functional.max_pool2d(conv(x, "conv1", 2), 3, 2, ceil_mode=True)
    for i in range(2, 10):
        squeezed = conv(x, f"fire{i}/squeeze1x1")
        x = torch.cat([conv(squeezed, f"fire{i}/expand1x1"), conv(squeezed, f"fire{i}/expand3x3", 1, 1)], 1)
        if i in (4, 8):
            x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
    return conv(x, "conv10", 1, 1).mean((2, 3))


def test_deep_compression_unpacks_to_a_network_that_sees(real_data: Path) -> None:
    """Over all 1,000 pictures top-1 is 62.4 % (once, by hand: 624 right); here are 20 of them."""
    path = real_data / "squeezenet-deep-compression" / "compressed_SqueezeNet.net"
    weights = read_weights(path)
    assert format_of(path).name == "Deep Compression"
    assert sum(array.size for array in weights.values()) == 1_248_424
    pictures = sorted((real_data / "imagenet-sample-images").glob("*.JPEG"))[::50]
    images = []
    for picture in pictures:
        image = Image.open(picture).convert("RGB")
        shrink = 256 / min(image.size)
        image = image.resize((round(image.width * shrink), round(image.height * shrink)), Image.Resampling.BILINEAR)
        left, upper = (image.width - 227) // 2, (image.height - 227) // 2
        pixels = np.asarray(image.crop((left, upper, left + 227, upper + 227)), np.float32)[:, :, ::-1]
        images.append((pixels - np.float32([104, 117, 123])).transpose(2, 0, 1))
    with torch.inference_mode():
        w = {name: torch.from_numpy(array) for name, array in weights.items()}
        found = squeezenet(w, torch.from_numpy(np.stack(images))).argmax(1)
    assert int((found == torch.arange(0, 1000, 50)).sum()) >= 10


# ---------------------------------------------------------------- what is in a file, whatever it is called


def test_a_file_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    np.savez(tmp_path / "npz.npz", a=BIAS)
    np.save(tmp_path / "npy.npy", BIAS)
    torch.save(STATE, tmp_path / "torch")
    save_file({"a": torch.ones(2)}, tmp_path / "safe")
    for name in ("npz.npz", "npy.npy", "torch", "safe"):
        for suffix in (".bin", ".params", ".h5", ".pth", ""):
            copy = tmp_path / f"copy{suffix}"
            copy.write_bytes((tmp_path / name).read_bytes())
            assert format_of(copy) is format_of(tmp_path / name), (name, suffix)
            read_weights(copy)


def test_every_format_has_suffixes_of_its_own() -> None:
    assert len(READERS) == sum(len(known.suffixes) for known in FORMATS)
    assert [format_of(HERE / "keras" / f"tiny.{s}").name for s in ("keras", "h5", "npz")] == [
        "Keras",
        "Keras",
        "numpy's .npz",
    ]
    assert format_of(HERE / "mxnet" / "types.params").name == "MXNet"


def test_files_that_are_none_of_these(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    with pytest.raises(FormatError, match=r"weights are read from \.npy, \.pth, .*, not from '\.onnx'"):
        read_weights(tmp_path / "w.onnx")
    with pytest.raises(NotFoundError, match="no file of weights"):
        read_weights(tmp_path)
    np.savez(tmp_path / "none.npz")
    with pytest.raises(FormatError, match=r"none\.npz holds no arrays"):
        read_weights(tmp_path / "none.npz")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.npz").write_bytes(b"x")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match=r"cannot read .* change its permissions"):
        read_weights(tmp_path / "w.npz")
