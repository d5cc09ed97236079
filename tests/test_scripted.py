"""TorchScript networks, against the networks they were made from."""

from __future__ import annotations

import copy
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.programs.script_run import ScriptPart
from convscope.nets.programs.scripted import from_script, is_script_file, load_script
from networks import (
    TORCHVISION,
    Block,
    Branching,
    assert_same,
    calls,
    functions,
    gradient,
    quietly,
    torchvision_network,
)

IMAGES = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(1))


def script(network: nn.Module) -> Any:
    return quietly(torch.jit.script, network)


def trace(network: nn.Module, images: Tensor = IMAGES) -> Any:
    return quietly(torch.jit.trace, network, images, strict=False, check_trace=False)


def freeze(network: nn.Module) -> Any:
    return quietly(torch.jit.freeze, script(network))


def save(module: Any, path: Path) -> Path:
    quietly(torch.jit.save, module, str(path))
    return path


@pytest.fixture(scope="module")
def branching() -> nn.Module:
    torch.manual_seed(0)
    return Branching().eval()


def logits(output: Any) -> Tensor:
    """Return the first tensor: a scripted GoogLeNet always returns all its outputs in a tuple."""
    return output if isinstance(output, Tensor) else output[0]


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_scripted_network_of_torchvision_says_and_shows_the_same_as_before(name: str) -> None:
    network = torchvision_network(name)
    ours = from_script(script(network))
    with torch.no_grad():
        assert_same(logits(ours(IMAGES[:2])), network(IMAGES[:2]))
    assert calls(ours, IMAGES[:2]) == calls(network, IMAGES[:2])
    assert_same(dict(ours.state_dict()), dict(network.state_dict()))


def test_a_traced_network_of_torchvision_says_and_shows_the_same_as_before() -> None:
    network = torchvision_network("resnet18")
    ours = from_script(trace(network, IMAGES[:1]))
    with torch.no_grad():
        assert_same(ours(IMAGES[:2]), network(IMAGES[:2]))
    assert calls(ours, IMAGES[:2]) == calls(network, IMAGES[:2])
    assert_same(dict(ours.state_dict()), dict(network.state_dict()))


@pytest.mark.parametrize("make", [script, trace])
def test_conditions_loops_and_dictionaries_are_run(make: Callable[[nn.Module], Any], branching: nn.Module) -> None:
    ours = from_script(make(branching))
    for images in (IMAGES, IMAGES[:1], *([IMAGES[:, :, :12, :12]] if make is script else [])):  # a trace has one size
        with torch.no_grad():
            assert_same(ours(images), branching(images))
    assert calls(ours, IMAGES) == calls(branching, IMAGES)
    assert type(ours.stem) is nn.Conv2d
    assert ours.get_submodule("blocks.1.conv2").groups == 2
    assert repr(ours.head) == repr(branching.head)
    assert not any(module.training for module in ours.modules())


@pytest.mark.parametrize("make", [script, trace])
def test_the_gradient_by_the_image_is_the_networks(make: Callable[[nn.Module], Any], branching: nn.Module) -> None:
    ours, our_nodes = gradient(from_script(make(branching)), IMAGES)
    theirs, their_nodes = gradient(branching, IMAGES)
    assert_same(ours, theirs)
    assert our_nodes == their_nodes
    assert our_nodes.count("Relu") == 5


def test_functional_layers_are_seen_under_their_own_names(branching: nn.Module) -> None:
    seen = functions(from_script(script(branching)), IMAGES)
    for name in ("relu", "avg_pool2d", "cat", "conv2d", "batch_norm", "linear", "flatten"):
        assert seen.count(name) == functions(branching, IMAGES).count(name), name
    assert not [name for name in seen if name.endswith(".default")]


def test_weights_are_shared_and_gradients_of_them_can_be_switched_off(branching: nn.Module) -> None:
    ours = from_script(script(branching))
    assert ours.stem.weight.data_ptr() == branching.stem.weight.data_ptr()
    for parameter in ours.parameters():
        parameter.requires_grad_(requires_grad=False)
    assert all(parameter.requires_grad for parameter in branching.parameters())
    assert ours(IMAGES)["logits"].grad_fn is None


def test_a_copy_is_a_network_of_its_own(branching: nn.Module) -> None:
    ours = from_script(script(branching))
    other = copy.deepcopy(ours)
    with torch.no_grad():
        other.stem.weight.zero_()
        assert not other(IMAGES)["logits"].equal(ours(IMAGES)["logits"])
        assert_same(ours(IMAGES), branching(IMAGES))


def test_a_frozen_network_has_its_weights_in_layers_of_the_old_names(branching: nn.Module, tmp_path: Path) -> None:
    frozen = freeze(branching)
    ours = from_script(frozen)
    with torch.no_grad():
        assert_same(ours(IMAGES), quietly(frozen, IMAGES))
        assert_same(ours(IMAGES), branching(IMAGES), rtol=1e-5, atol=1e-6)  # freezing has folded the batch norm
    convolutions = ["stem", "blocks.0.conv1", "blocks.0.conv2", "blocks.1.conv1", "blocks.1.conv2", "fc"]
    assert [name for name, _ in calls(ours, IMAGES)] == [*convolutions, ""]
    assert ours.stem.weight.equal(branching.stem.weight)
    read = load_script(save(frozen, tmp_path / "frozen.pt"))  # which forgets the names
    with torch.no_grad():
        assert_same(read(IMAGES), ours(IMAGES))
    assert [name for name, _ in calls(read, IMAGES)][:3] == ["conv2d", "conv2d_2", "conv2d_3"]


def test_a_saved_network_is_read(branching: nn.Module, tmp_path: Path) -> None:
    path = save(script(branching), tmp_path / "net.pt")
    assert is_script_file(path)
    ours = load_script(path)
    with torch.no_grad():
        assert_same(ours(IMAGES), branching(IMAGES))
    assert calls(ours, IMAGES) == calls(branching, IMAGES)


class Pair(NamedTuple):
    """Two tensors by name."""

    image: Tensor
    scale: float


def halved(pair: Pair, times: int = 1) -> Tensor:
    """Return an image, halved."""
    image = pair.image
    for _ in range(times):
        image = image / 2
    return image * pair.scale


class Everyday(nn.Module):
    """What people write: strings, lists, dictionaries, optional values, methods of their own, early returns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect")
        self.twice = Block(4)
        self.names = {"one": 1, "two": 2}
        self.sizes = [4, 2]
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))

    def normalised(self, x: Tensor, mean: Tensor | None = None) -> Tensor:
        if mean is None:
            mean = self.mean
        return x - mean.to(x.dtype)

    def forward(self, x: Tensor, mode: str = "all") -> tuple[Tensor, list[int], dict[str, Tensor]]:
        if x.dim() != 4 or len(x.size()) != 4:
            raise ValueError("not a batch of images, but " + str(x.dim()))
        x = self.twice(self.twice(self.conv(self.normalised(x))))
        found: dict[str, Tensor] = {}
        for name, times in self.names.items():
            if name not in found and times > 0:
                found[name] = halved(Pair(x, float(times)), times=times)
        counts = [size * 2 for size in self.sizes]
        counts.append(int(x.shape[-1] // 3) - (-7 % 4))
        a, b = x.split(2, dim=1)
        x = torch.stack([a, b], 2).flatten(1, 2).clamp(min=0.1)
        x[:, 0] += 1
        first = counts[0]
        while first > 5 and not bool(x.sum() < 0):
            first -= 2
        text = f"{first} of {mode}"
        if mode == "all" and text.startswith("4"):
            return x.permute(0, 2, 3, 1).contiguous()[:, ::2], counts, found
        return x, counts[:1], found


def test_what_people_write_is_run() -> None:
    torch.manual_seed(0)
    network = Everyday().eval()
    ours = from_script(script(network))
    for options in ((), ("some",)):
        with torch.no_grad():
            assert_same(ours(IMAGES, *options), network(IMAGES, *options))
    assert_same(ours(IMAGES, mode="some"), network(IMAGES, mode="some"))
    assert calls(ours, IMAGES) == calls(network, IMAGES)
    assert isinstance(ours.conv, ScriptPart)  # it pads first, as no plain convolution does
    with pytest.raises(InputError, match=r"does not take this input \(.*not a batch of images, but 3"):
        ours(IMAGES[0])
    with pytest.raises(TypeError, match="this network also takes 'x'"):
        ours()


def test_values_are_dropped_after_their_last_use(branching: nn.Module) -> None:
    ours = from_script(script(branching))
    made: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    class Watching(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.ndim == 4:
                made.append(weakref.ref(result))
            if getattr(func, "__name__", "") == "linear":
                alive.append(sum(tensor() is not None for tensor in made))
            return result

    with torch.no_grad(), Watching():
        ours(IMAGES)
    assert len(made) > 15
    assert alive == [3]  # both halves put together, the part of that which is given out, what was flattened


def test_training_follows_the_mode() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(0.5)))
    ours = from_script(script(network))
    network.eval()
    assert_same(ours(IMAGES), network(IMAGES))


def test_what_python_cannot_run_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval()
    optimised = quietly(torch.jit.optimize_for_inference, script(network))
    with pytest.raises(
        InputError, match=r"holds .*(mkldnn|to_dense).*, which cannot be run in Python; give the torch.nn"
    ):
        from_script(optimised)
    with pytest.raises(InputError, match=r"expected a torch.jit.ScriptModule, got Conv2d"):
        from_script(nn.Conv2d(1, 1, 1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"has no forward method"):
        from_script(script(nn.ModuleList([nn.ReLU()])))


class Reads(nn.Module):
    """A network that reads a file."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.from_file("secrets", size=1)


class Object(nn.Module):
    """A network that runs code when it is read."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[int, bool]:
        return 1, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[int, bool]) -> None:
        self.training = state[1]


def test_networks_that_touch_files_are_refused(tmp_path: Path) -> None:
    reads = script(Reads())
    with pytest.raises(InputError, match=r"holds aten::from_file, which cannot be run in Python"):
        from_script(reads)
    with pytest.raises(FormatError, match=r"^bad.pt holds an operator that reads files \(.*\.py\); save the network"):
        load_script(save(reads, tmp_path / "bad.pt"))
    with pytest.raises(FormatError, match=r"^bad.pt holds an object that runs code when it is read \(.*\.py\); save"):
        load_script(save(script(Object()), tmp_path / "bad.pt"))


def test_damaged_files_are_refused(branching: nn.Module, tmp_path: Path) -> None:
    content = save(script(branching), tmp_path / "net.pt").read_bytes()
    bad = tmp_path / "bad.pt"
    for damaged in (b"", b"no archive", content[: len(content) // 2]):
        bad.write_bytes(damaged)
        assert not is_script_file(bad)
        with pytest.raises(FormatError, match=r"^bad.pt is no archive of TorchScript \(.*\); save the network again"):
            load_script(bad)
    with zipfile.ZipFile(tmp_path / "net.pt") as archive, zipfile.ZipFile(bad, "w") as copied:
        for name in archive.namelist():
            copied.writestr(name, b"" if name.endswith("data.pkl") else archive.read(name))
    with pytest.raises(FormatError, match=r"^bad.pt is no TorchScript that this torch can read \(.*\); save it again"):
        load_script(bad)
    torch.save(branching.state_dict(), bad)
    with pytest.raises(FormatError, match=r"^bad.pt holds no TorchScript; if it holds weights alone, name the network"):
        load_script(bad)
    with pytest.raises(NotFoundError, match=r"no file .*; give a file that torch.jit.save wrote"):
        load_script(tmp_path / "none.pt")


def test_a_file_saved_on_a_gpu_is_read_on_the_cpu(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    path = save(script(network), tmp_path / "cpu.pt")
    moved = tmp_path / "gpu.pt"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(moved, "w") as copied:
        for name in archive.namelist():  # "cpu" as the pickle writes it: its length, then the text
            content = archive.read(name)
            copied.writestr(name, content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    assert b"cuda:0" in b"".join(zipfile.ZipFile(moved).read(name) for name in zipfile.ZipFile(moved).namelist())
    assert_same(load_script(moved)(IMAGES), network(IMAGES))
