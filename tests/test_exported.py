"""Programs of torch.export, against the networks they were exported from."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.programs.exported import from_exported, is_exported, load_exported
from convscope.nets.programs.program import Part
from convscope.nets.torch import Model
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


def exported(network: nn.Module, images: Tensor = IMAGES[:2], **options: Any) -> Any:
    return quietly(torch.export.export, network, (images,), **options)


def free_batch() -> dict[str, Any]:
    return {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}


@pytest.fixture(scope="module")
def branching() -> nn.Module:
    torch.manual_seed(0)
    return Branching().eval()


@pytest.fixture(scope="module")
def program(branching: nn.Module) -> Any:
    return exported(branching, **free_batch())


@pytest.fixture(scope="module")
def saved(program: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    quietly(torch.export.save, program, path)
    return path


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_network_of_torchvision_says_and_shows_the_same_as_before(name: str) -> None:
    network = torchvision_network(name)
    ours = from_exported(exported(network))
    with torch.no_grad():
        assert_same(ours(IMAGES[:2]), network(IMAGES[:2]))
    assert calls(ours, IMAGES[:2]) == calls(network, IMAGES[:2])
    assert_same(dict(ours.state_dict()), dict(network.state_dict()))


FORMS: dict[str, Callable[[Any], Any]] = {
    "exported": lambda program: program,
    "decomposed": lambda program: quietly(program.run_decompositions),
    "module": lambda program: quietly(program.module),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_a_program_are_the_network_again(form: str, program: Any, branching: nn.Module) -> None:
    ours = from_exported(FORMS[form](program))
    for count in (1, 3):
        with torch.no_grad():
            assert_same(ours(IMAGES[:count]), branching(IMAGES[:count]))
    assert calls(ours, IMAGES) == calls(branching, IMAGES)
    assert type(ours).__name__ == "Branching"
    assert type(ours.stem) is nn.Conv2d
    assert type(ours.fc) is nn.Linear
    assert ours.get_submodule("blocks.1.conv2").groups == 2
    assert ours.input_shape == (3, 32, 32)
    assert ours.fixed_batch is None
    assert not any(module.training for module in ours.modules())


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_by_the_image_is_the_networks(form: str, program: Any, branching: nn.Module) -> None:
    ours, our_nodes = gradient(from_exported(FORMS[form](program)), IMAGES)
    theirs, their_nodes = gradient(branching, IMAGES)
    assert_same(ours, theirs, rtol=1e-5, atol=1e-7)  # sums in another order where a pool became a mean
    assert our_nodes == their_nodes
    assert our_nodes.count("Relu") == 5


def test_weights_are_shared_and_gradients_of_them_can_be_switched_off(program: Any, branching: nn.Module) -> None:
    ours = from_exported(program)
    assert ours.stem.weight.data_ptr() == branching.stem.weight.data_ptr()
    for parameter in ours.parameters():
        parameter.requires_grad_(requires_grad=False)
    assert all(parameter.requires_grad for parameter in branching.parameters())
    assert ours(IMAGES)["logits"].grad_fn is None


def test_functional_layers_are_seen_under_their_own_names(program: Any, branching: nn.Module) -> None:
    seen = functions(from_exported(program), IMAGES)
    for name in ("relu", "avg_pool2d", "cat", "conv2d", "batch_norm", "linear", "flatten"):
        assert seen.count(name) == functions(branching, IMAGES).count(name), name
    assert not [name for name in seen if name.endswith(".default")]


def test_a_copy_is_a_network_of_its_own(program: Any, branching: nn.Module) -> None:
    ours = from_exported(program)
    other = copy.deepcopy(ours)
    with torch.no_grad():
        other.stem.weight.zero_()
        assert not other(IMAGES)["logits"].equal(ours(IMAGES)["logits"])
        assert_same(ours(IMAGES), branching(IMAGES))


def test_values_are_dropped_after_their_last_use(program: Any) -> None:
    body = from_exported(program).convscope_bodies[0]
    dropped = [name for step in body.steps for name in step.done]
    assert len(dropped) == len(set(dropped))
    made = {name for step in body.steps for name in step.results} | set(body.inputs)
    assert len(made - set(dropped)) == 2  # the two outputs


class Fixed(nn.Module):
    """A network that writes the size of its batch down."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).mean((2, 3))
        return y.view(2, 4) + torch.arange(2.0)[:, None]


def test_a_program_that_wrote_its_batch_down_takes_only_that(program: Any) -> None:
    fixed = Fixed().eval()
    ours = from_exported(exported(fixed))
    assert ours.fixed_batch == 2
    assert_same(ours(IMAGES[:2]), fixed(IMAGES[:2]))
    with pytest.raises(InputError, match="takes batches of exactly 2 images, got 3; export it with dynamic_shapes"):
        ours(IMAGES)
    assert from_exported(exported(nn.Sequential(nn.Conv2d(3, 4, 3)).eval())).fixed_batch is None


class Flat(nn.Module):
    """A network that wrote down both its size and its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = nn.Linear(4 * 30 * 30, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.conv(x)).view(x.shape[0], -1))


@pytest.mark.parametrize("batch", [1, 3])
def test_programs_of_one_size_are_searched_and_attributed(batch: int) -> None:
    network = Flat().eval()
    images = np.random.default_rng(0).normal(size=(7, 3, 32, 32)).astype(np.float32)
    plain, ours = Model(network, input_shape=(3, 32, 32)), Model(exported(network, torch.rand(batch, 3, 32, 32)))
    assert ours.network.fixed_batch == batch
    for layer in ("conv", "last"):
        wanted, found = (model.top_k(images, layers=[layer], k=2)[layer] for model in (plain, ours))
        np.testing.assert_array_equal(found.image, wanted.image)
        values = ours.attribute(found, images).values
        np.testing.assert_allclose(values, plain.attribute(wanted, images).values, atol=1e-5)
        np.testing.assert_allclose(
            ours.project(images[0], layer, 1)[0], plain.project(images[0], layer, 1)[0], atol=1e-5
        )


def test_an_image_of_another_size_is_refused(program: Any) -> None:
    with pytest.raises(InputError, match=r"exported for inputs \(N, 3, 32, 32\), got \(1, 3, 16, 16\)"):
        from_exported(program)(torch.rand(1, 3, 16, 16))


class Two(nn.Module):
    """A network with two inputs, one of them by name, and tensors of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("scale", torch.tensor([2.0]))
        self.offset = torch.tensor([1.0])
        self.twin = self.conv

    def forward(self, x: Tensor, *, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self.conv(x) * self.scale, [self.twin(y) + self.offset]


def test_inputs_and_outputs_are_nested_as_before() -> None:
    network = Two().eval()
    ours = from_exported(quietly(torch.export.export, network, (IMAGES[:2],), {"y": IMAGES[:2] + 1}))
    assert_same(ours(IMAGES[:2], y=IMAGES[1:]), network(IMAGES[:2], y=IMAGES[1:]))
    assert set(ours.state_dict()) == set(network.state_dict())
    assert ours.conv.weight.data_ptr() == ours.twin.weight.data_ptr()
    with pytest.raises(InputError, match="takes 2 inputs nested as it was exported with, got 1; say how it is called"):
        ours(IMAGES[:2])


class Shared(nn.Module):
    """A block used twice: both calls are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(4)
        self.own = MyConv(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.own(x)
        return self.block(torch.nn.functional.max_pool2d(self.block(x), 2))


class MyConv(nn.Conv2d):
    """A convolution by another name."""


def test_a_module_used_twice_is_one_module_called_twice() -> None:
    network = Shared().eval()
    ours = from_exported(exported(network))
    assert_same(ours(IMAGES[:2]), network(IMAGES[:2]))
    assert calls(ours, IMAGES[:2]) == calls(network, IMAGES[:2])
    assert len(ours.block.convscope_bodies) == 2
    assert isinstance(ours.own, nn.Conv2d)
    assert type(ours.own).__name__ == "MyConv"


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv1d(3, 4, 3, dilation=2), (2, 3, 9)),
    (nn.Conv2d(4, 6, (3, 1), stride=(2, 1), padding=(1, 0), groups=2), (2, 4, 9, 9)),
    (nn.Conv2d(3, 4, 3, padding="same", dilation=2), (2, 3, 9, 9)),
    (nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1), (2, 3, 5, 5)),
    (nn.Linear(5, 3, bias=False), (2, 5)),
    (nn.BatchNorm2d(3, affine=False), (2, 3, 5, 5)),
    (nn.GroupNorm(2, 4), (2, 4, 5, 5)),
    (nn.LayerNorm((5, 5)), (2, 3, 5, 5)),
    (nn.PReLU(3), (2, 3, 5, 5)),
    (nn.ReLU6(inplace=True), (2, 3, 5, 5)),
    (nn.Hardtanh(-2.0, 0.5), (2, 3)),
    (nn.LeakyReLU(0.2), (2, 3)),
    (nn.ELU(0.5), (2, 3)),
    (nn.GELU(approximate="tanh"), (2, 3)),
    (nn.SiLU(), (2, 3)),
    (nn.Hardswish(), (2, 3)),
    (nn.Sigmoid(), (2, 3)),
    (nn.Softmax(dim=1), (2, 3)),
    (nn.MaxPool2d((3, 2), stride=2, padding=1, ceil_mode=True), (2, 3, 9, 9)),
    (nn.AvgPool2d(3, stride=1, count_include_pad=False), (2, 3, 9, 9)),
    (nn.AdaptiveAvgPool2d((2, 3)), (2, 3, 9, 9)),
    (nn.Dropout2d(0.2), (2, 3, 5, 5)),
    (nn.Flatten(2), (2, 3, 5, 5)),
    (nn.PixelShuffle(2), (2, 4, 5, 5)),
]


def layers_in_one() -> nn.Module:
    """Return a module that puts each layer to its own input; one export for all of them."""

    class All(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(layer for layer, _ in LAYERS)

        def forward(self, *images: Tensor) -> list[Tensor]:
            return [layer(image.clone()) for layer, image in zip(self.layers, images, strict=True)]

    return All().eval()


def test_each_layer_of_torch_becomes_itself() -> None:
    torch.manual_seed(0)
    network, images = layers_in_one(), tuple(torch.randn(shape) for _, shape in LAYERS)
    ours = from_exported(quietly(torch.export.export, network, images))
    for k, (layer, _) in enumerate(LAYERS):
        assert repr(ours.layers.get_submodule(str(k))) == repr(layer)
        assert type(ours.layers.get_submodule(str(k))) is type(layer)
    assert_same(ours(*images), network(*images))
    decomposed = from_exported(quietly(quietly(torch.export.export, network, images).run_decompositions))
    assert_same(decomposed(*images), network(*images), rtol=1e-5, atol=1e-6)  # decomposed: in other steps
    kinds = [type(module).__name__ for module in decomposed.layers.children()]
    left = [type(layer).__name__ for layer, _ in LAYERS if not isinstance(layer, nn.Dropout2d)]  # which does nothing
    assert kinds == left


class Chooses(nn.Module):
    """A network that chooses by its values, and takes no gradient of a part."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            scale = x.mean() * 2
        return torch.cond(x.sum() > 0, torch.relu, torch.sigmoid, (self.conv(x),)) * scale


def test_a_program_that_chooses_by_its_values_still_chooses() -> None:
    network = Chooses().eval()
    ours = from_exported(exported(network))
    for images in (IMAGES[:2], -IMAGES[:2]):
        y = network.conv(images)
        assert_same(
            ours(images), (y.relu() if images.sum() > 0 else y.sigmoid()) * images.mean() * 2, rtol=1e-6, atol=0
        )


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm2d(3)], ids=lambda layer: type(layer).__name__)
def test_training_mode_is_refused(layer: nn.Module) -> None:
    program = exported(nn.Sequential(layer).train())
    for form in FORMS.values():
        with pytest.raises(InputError, match=r"exported in training mode \(.*\); call eval\(\) on the network"):
            from_exported(form(program))


class Counts(nn.Module):
    """A network that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(1)
        return x * self.count


def test_a_program_that_changes_itself_is_refused() -> None:
    for form in FORMS.values():
        with pytest.raises(InputError, match=r"changes its own .*count.* when it runs; give the torch.nn.Module"):
            from_exported(form(exported(Counts())))


def test_a_program_that_reads_files_is_refused() -> None:
    program = exported(nn.Sequential(nn.ReLU()))
    node = next(node for node in program.graph.nodes if node.op == "call_function")
    node.target = torch.ops.aten.from_file.default
    with pytest.raises(InputError, match=r"calls aten.from_file.default, which cannot be looked into"):
        from_exported(program)
    graph = torch.fx.symbolic_trace(nn.Sequential(nn.ReLU()))
    assert not is_exported(graph)
    with pytest.raises(InputError, match=r"does not come from torch.export; it can be looked into as it is"):
        from_exported(graph)


def test_a_module_of_symbolic_trace_is_looked_into_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    traced = torch.fx.symbolic_trace(network)
    assert calls(traced, IMAGES)[:-1] == [("0", "Conv2d"), ("1", "ReLU")]


def test_a_saved_program_is_read(saved: Path, branching: nn.Module) -> None:
    ours = load_exported(saved)
    with torch.no_grad():
        assert_same(ours(IMAGES), branching(IMAGES))
    assert calls(ours, IMAGES) == calls(branching, IMAGES)
    assert ours.input_shape == (3, 32, 32)


def changed(path: Path, to: Path, change: Callable[[str, bytes], bytes], extra: dict[str, bytes] | None = None) -> Path:
    """Write a copy of an archive with the contents of its entries changed, and more entries."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(to, "w") as copied:
        for name in archive.namelist():
            copied.writestr(name, change(name, archive.read(name)))
        root = archive.namelist()[0].partition("/")[0]
        for name, content in (extra or {}).items():
            copied.writestr(f"{root}/{name}", content)
    return to


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("code of the file was run",))


def test_a_file_that_would_run_code_when_it_is_read_is_refused(saved: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt2"

    def keep(_: str, content: bytes) -> bytes:
        return content

    def evil_size(name: str, content: bytes) -> bytes:
        return (
            content.replace(b"Symbol('s", b"__import__('os').getcwd() or Symbol('s")
            if name.endswith("model.json")
            else content
        )

    def evil_inputs(name: str, content: bytes) -> bytes:
        if not name.endswith(".pt"):
            return content
        held = io.BytesIO()
        torch.save(Bomb(), held)
        return held.getvalue()

    def evil_weights(name: str, content: bytes) -> bytes:
        return content.replace(b'"use_pickle": false', b'"use_pickle": true').replace(
            b'"use_pickle":false', b'"use_pickle":true'
        )

    cases: list[tuple[Callable[[str, bytes], bytes], dict[str, bytes], str]] = [
        (evil_size, {}, "a size that is more than arithmetic"),
        (evil_inputs, {}, "what only an unrestricted pickle can read"),
        (evil_weights, {}, "a pickled tensor"),
        (keep, {"data/constants/opaque_obj_0": pickle.dumps(Bomb())}, "an object that is no tensor"),
        (keep, {"data/aotinductor/model/x.so": b""}, "compiled code"),
    ]
    for change, extra, what in cases:
        with pytest.raises(FormatError, match=rf"^bad.pt2 holds {what} .*, which runs code when it is read; export"):
            load_exported(changed(saved, bad, change, extra))


def test_damaged_files_are_refused(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    bad = tmp_path / "bad.pt2"
    for damaged in (b"", b"no archive", content[: len(content) // 2]):
        bad.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"bad.pt2 is no archive of torch.export"):
            load_exported(bad)
    changed(saved, bad, lambda name, held: b"{" if name.endswith("model.json") else held)
    with pytest.raises(FormatError, match="is no JSON"):
        load_exported(bad)
    changed(saved, bad, lambda name, held: json.dumps({}).encode() if name.endswith("model.json") else held)
    with pytest.raises(FormatError, match=r"bad.pt2 is no program that this torch can read \(.*\); export it again"):
        load_exported(bad)
    with pytest.raises(NotFoundError, match=r"no file .*; give a .pt2 file"):
        load_exported(tmp_path / "none.pt2")


def test_a_part_stands_for_a_module_that_no_layer_is(program: Any) -> None:
    parts = {name for name, module in from_exported(program).named_modules() if isinstance(module, Part)}
    assert parts == {"", "blocks", "blocks.0", "blocks.1", "head"}
