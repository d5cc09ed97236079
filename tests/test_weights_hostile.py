"""Files of weights that mean harm: each is refused in one sentence, runs nothing, and takes no memory."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from convscope.errors import FormatError
from convscope.nets.weights import read_weights
from effort import PEAK
from test_weights import BIAS, HERE, KERNEL, mxnet_list


class Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("owned"),))


def _npy(shape: tuple[int, ...], data: bytes, dtype: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy_pickled(content: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, content, allow_pickle=True)
    return buffer.getvalue()


def _torch(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _script() -> bytes:
    buffer = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="deprecated"):
        torch.jit.save(torch.jit.script(torch.nn.ReLU()), buffer)
    return buffer.getvalue()


def _h5(write: Callable[[h5py.File], Any]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write(file)
    return buffer.getvalue()


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3,))
    file.create_virtual_dataset("conv/kernel", layout)


def _deep(levels: int) -> dict:
    tree: dict = {"a": np.ones(2, np.float32)}
    for _ in range(levels):
        tree = {str(i): tree for i in range(10)}
    return tree


GOOD = _npy((3,), BIAS.tobytes())
BOMB = _npy((1 << 24,), bytes(1 << 26))
FIRST = struct.pack("<IiI", 0xF993FAC9, 0, 1)
REFUSED: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "system.ckpt": (b"\x80\x02cos\nsystem\nX\x0b\x00\x00\x00touch owned.\x85R.", "it asks for os.system"),
    "system.npy": (_npy_pickled(Evil()), "it asks for (pathlib|builtins)"),
    "inner.npz": (_zip({"a.npy": _npy_pickled([Evil()])}), "holds pickled objects"),
    "system.pth": (_torch({"a": Evil()}), "Weights only load failed|Unsupported"),
    "script.pt": (_script, "a TorchScript program, not weights; give it as the model"),
    "call.ckpt": (
        b"\x80\x02}X\x01\x00\x00\x00acnumpy\nndarray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85\x85Rs.",
        "calls numpy",
    ),
    "change.ckpt": (b"\x80\x02cnumpy\nndarray\n}b.", "it changes what it asked for"),
    "memo.ckpt": (b"\x80\x02}r\xff\xff\xff\x7f.", "numbers its parts up to 2147483647"),
    "steps.ckpt": (b"\x80\x02" + b"}0" * 600_000 + b"}.", "more than 1,000,000 steps"),
    "laughs.ckpt": (lambda: pickle.dumps(_deep(12)), "it claims 100,001 arrays"),
    "often.ckpt": (
        lambda: pickle.dumps(dict.fromkeys(map(str, range(50)), np.zeros(9999))),
        "the same arrays over and",
    ),
    "size.ckpt": (pickle.dumps({"a": BIAS}).replace(b"K\x03\x85", b"K\x7f\x85"), "12 bytes for an array of shape"),
    "void.ckpt": (pickle.dumps({"a": np.zeros(2, "i4,f4")}), "holds|nested|field"),
    "nested.ckpt": (pickle.dumps({"a": [BIAS]}), "an array of numbers at 'a', found a list"),
    "cut.ckpt": (pickle.dumps({"a": BIAS})[:-9], "cut.ckpt does not hold weights"),
    "layers.npy": (_npy_pickled({"a": [BIAS, BIAS, BIAS]}), "expected the weights and biases of 'a'"),
    "list.npy": (_npy_pickled([{}, None]), "expected a dictionary of layers"),
    "cut.npy": (GOOD[:-2], "does not fit into 10 bytes"),
    "huge.npy": (_npy((1 << 62, 1 << 62), b""), "does not fit into 0 bytes"),
    "negative.npy": (_npy((-1, -3), BIAS.tobytes()), "does not fit|shape is not valid"),
    "text.npz": (_zip({"a.npy": _npy((1,), b"abcd", "|S4")}), "'a' holds .S4, not numbers"),
    "complex.npz": (_zip({"a.npy": _npy((1,), bytes(8), "<c8")}), "'a' holds complex64, not numbers"),
    "huge.npz": (_zip({"a.npy": _npy((1 << 40,), b"")}), "does not fit into 0 bytes"),
    "bomb.npz": (lambda: _zip({"a.npy": BOMB}), "that claim to hold 67,108,992 are not weights"),
    "other.npz": (_zip({"a.npy": GOOD, "b.txt": b"x"}), "'b.txt' in it is not an array"),
    "lzma.npz": (_zip({"a.npy": GOOD}, zipfile.ZIP_LZMA), "packed in a way that is not read"),
    "cut.npz": (_zip({"a.npy": GOOD})[:-9], "cut.npz does not hold weights"),
    "bomb.keras": (lambda: _zip({"config.json": b"{}", "model.weights.h5": bytes(1 << 26)}), "are not weights"),
    "config.keras": (_zip({"model.weights.h5": b"\x89HDF"}), "config.json"),
    "huge.h5": (
        _h5(lambda f: f.create_dataset("a/kernel", (1 << 20, 1 << 20), "f4", chunks=(9, 9))),
        "are not weights",
    ),
    "outside.h5": (_h5(lambda f: f.update({"a": h5py.ExternalLink("/etc/hostname", "/")})), "points to somewhere else"),
    "soft.h5": (_h5(lambda f: f.update({"a": h5py.SoftLink("/")})), "points to somewhere else"),
    "raw.h5": (
        _h5(lambda f: f.create_dataset("a", (3,), "f4", external=[("/etc/hostname", 0, 12)])),
        "in another file",
    ),
    "virtual.h5": (_h5(_virtual), "are in another file"),
    "round.h5": (_h5(lambda f: f.update({"a": f["/"], "b": f["/"]})), "nested more than 32 deep|100,001 arrays"),
    "text.h5": (_h5(lambda f: f.update({"a": "text"})), "holds object, not numbers"),
    "cut.h5": (_h5(lambda f: f.update({"a/kernel": KERNEL}))[:-200], "cut.h5 does not hold weights"),
    "many.params": (struct.pack("<QQQ", 0x112, 0, 10**9), "claims 1,000,000,000 arrays"),
    "cut.params": ((HERE / "mxnet" / "types.params").read_bytes()[:-3], "in the middle of something"),
    "huge.params": (mxnet_list(FIRST + struct.pack("<qiii", 1 << 62, 1, 0, 0)), "in the middle of something"),
    "negative.params": (mxnet_list(FIRST + struct.pack("<qiii", -5, 1, 0, 0)), r"shape \(-5,\) is none"),
    "axes.params": (mxnet_list(struct.pack("<I", 10**9)), "an array of 1000000000 axes is none"),
    "type.params": (mxnet_list(FIRST + struct.pack("<qiii", 1, 1, 0, 99)), "of type 99, which is not read"),
    "names.params": (
        mxnet_list(FIRST + struct.pack("<qiiif", 1, 1, 0, 0, 1), names=("a", "b")),
        "1 arrays and 2 names",
    ),
    "tail.params": (mxnet_list() + b"x", "1 bytes follow its end"),
    "cut.safetensors": (struct.pack("<Q", 9) + b'{"a":{}}', "not a .safetensors file"),
    "huge.safetensors": (struct.pack("<Q", 1 << 60) + b"{}", "not a .safetensors file"),
    "noise.caffemodel": (b"\xff" * 40, "noise.caffemodel does not hold weights"),
    "empty.caffemodel": (b"\x0a\x03net", "no layer with weights"),
    "nothing.caffemodel": (b"", "the file is empty"),
    "noise.net": (b"\x01" * 500, "are not what its first 26 numbers demand"),
    "stride.pth": (_torch({"a": torch.ones(1).expand(1 << 40)}), "are not weights"),
    "sparse.pth": (_torch({"a": torch.ones(2, 2).to_sparse()}), "not a dense tensor"),
    "object.pth": (
        _torch({"epoch": 3, "optimizer": {}}),
        r"no state dictionary of tensors in it \('epoch', 'optimizer'\)",
    ),
    "same.pth": (_torch({"module.a": torch.ones(1), "a": torch.ones(1)}), "two of its names are the same"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_files_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    content, said = REFUSED[name]
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    with pytest.raises(FormatError, match=said) as error:
        read_weights(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["types.params", "tiny.keras", "tiny.h5", "w.npz", "w.pth", "w.safetensors", "w.ckpt"])
def test_files_cut_anywhere_are_refused(tmp_path: Path, name: str) -> None:
    path = HERE / ("mxnet" if name.endswith("params") else "keras") / name
    if name.startswith("w."):
        path = tmp_path / name
        state = {"a.weight": torch.ones(3, 3), "b": torch.ones(5)}
        arrays = {key: value.numpy() for key, value in state.items()}
        writers = {
            ".npz": lambda: np.savez(path, **arrays),
            ".pth": lambda: torch.save(state, path),
            ".safetensors": lambda: save_file(state, path),
            ".ckpt": lambda: path.write_bytes(pickle.dumps(arrays)),
        }
        writers[path.suffix]()
    content = path.read_bytes()
    for end in range(1, len(content) - 1, max(1, len(content) // 60)):
        (tmp_path / f"cut{path.suffix}").write_bytes(content[:end])
        with pytest.raises(FormatError):
            read_weights(tmp_path / f"cut{path.suffix}")


def test_a_hostile_file_takes_no_memory(tmp_path: Path) -> None:
    """In a process that may take no more than 2 GB of addresses above what it has."""
    for name in ("huge.npz", "bomb.npz", "huge.h5", "memo.ckpt", "call.ckpt", "many.params", "huge.npy"):
        content = REFUSED[name][0]
        (tmp_path / name).write_bytes(content() if callable(content) else content)
    code = (
        "import sys, h5py; from pathlib import Path\n"
        "from convscope.nets.weights import read_weights; from convscope.errors import FormatError\n"
        "before = peak()\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    try: read_weights(path)\n"
        "    except FormatError: pass\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", PEAK + code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60_000, "KiB"


def test_reading_takes_at_most_three_times_the_file(tmp_path: Path) -> None:
    size = 40 << 20
    arrays = {"conv1": [np.ones((3, 3, size // 72, 2), np.float32), BIAS]}
    np.save(tmp_path / "w.npy", arrays, allow_pickle=True)
    code = (
        "import sys; from pathlib import Path; from convscope.nets.weights import read_weights\n"
        "before = peak()\n"
        "read_weights(Path(sys.argv[1]))\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", PEAK + code, str(tmp_path / "w.npy")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 3.3 * size / 1024
