"""Model: layers, filters and activations of any torch network, which is left exactly as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.utils.checkpoint import checkpoint

from convscope.errors import InputError, NotFoundError
from convscope.inspect.layers import layer_table
from convscope.nets.data import ArrayImages, Preprocessing
from convscope.nets.torch import Model


class Net(nn.Module):
    def __init__(self, fail: bool = False) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 3)
        self.fail = fail

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv2(self.relu(self.block(x))))
        if self.fail:
            raise RuntimeError("the forward pass broke")
        return self.fc(self.drop(x).mean((2, 3)))


def _model(**options: bool) -> Model:
    torch.manual_seed(0)
    return Model(Net(**options), input_shape=(1, 10, 8))


IMAGES = np.random.default_rng(0).normal(size=(5, 1, 10, 8)).astype(np.float32)
PICTURES = ArrayImages(np.random.default_rng(0).integers(0, 256, (5, 10, 8), np.uint8))


def test_layers_come_in_the_order_of_execution() -> None:
    layers = _model().layers
    assert [(layer.name, layer.kind, layer.shape) for layer in layers] == [
        ("block.0", "Conv2d", (4, 10, 8)),
        ("block.1", "BatchNorm2d", (4, 10, 8)),
        ("relu", "ReLU", (4, 10, 8)),
        ("conv2", "Conv2d", (6, 8, 6)),
        ("relu:2", "ReLU", (6, 8, 6)),
        ("drop", "Dropout", (6, 8, 6)),
        ("mean", "Mean", (6,)),
        ("fc", "Linear", (3,)),
    ]
    conv2 = layers[3]
    assert (conv2.parameters, conv2.macs, conv2.maps) == (6 * 4 * 9 + 6, 6 * 8 * 6 * 4 * 9, (6, 8, 6))
    assert layers[-1].maps == (3, 1, 1)
    assert layer_table(layers)[3]["receptive_field"]["size"] == [5, 5]


def test_modules_that_hold_others_can_be_asked_for() -> None:
    model = _model()
    assert model.layer("block").shape == (4, 10, 8)
    assert model.activations(IMAGES, "block").shape == (5, 4, 10, 8)
    with pytest.raises(NotFoundError, match="no layer 'conv22' in Net; did you mean 'conv2'"):
        model.layer("conv22")


def test_activations_are_those_of_the_forward_pass_despite_in_place_relus() -> None:
    model = _model()
    net = model.network.eval()
    with torch.no_grad():
        x = torch.from_numpy(IMAGES)
        block = net.block(x)
        first = fn.relu(block)
        second = net.conv2(first)
    found = model.activations(IMAGES, ["block", "relu", "conv2", "relu:2"])
    for name, truth in {"block": block, "relu": first, "conv2": second, "relu:2": fn.relu(second)}.items():
        np.testing.assert_allclose(found[name], truth.numpy(), rtol=1e-6, atol=1e-7)
    assert found["block"].min() < 0 <= found["relu"].min()
    np.testing.assert_allclose(model.activations(IMAGES[2], "conv2")[0], found["conv2"][2], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.logits(IMAGES), net(x).detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(model.predict(IMAGES).sum(1), 1)


def test_filters() -> None:
    model = Model(
        nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.ConvTranspose2d(4, 3, 2)), input_shape=(2, 8, 8)
    )
    assert model.filters("0").shape == (4, 1, 3, 3)
    assert model.filters("2").shape == (3, 4, 2, 2)
    np.testing.assert_array_equal(model.filters("0"), model.network[0].weight.detach().numpy())
    model.filters("0")[:] = 0
    assert model.filters("0").any(), "a copy is given out"
    assert _model().filters("fc").shape == (3, 6, 1, 1)
    with pytest.raises(InputError, match=r"layer '1' \(ReLU\) has no filters"):
        model.filters("1")


# ---------------------------------------------------------------- whatever is attached is detached


def _marks(network: nn.Module) -> list[object]:
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in network.modules()]
    modes = [m.training for m in network.modules()]
    grads = [(p.requires_grad, p.grad is None) for p in network.parameters()]
    values = [v.clone() for v in network.state_dict().values()]
    return [
        hooks,
        modes,
        grads,
        [v.tolist() for v in values],
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
    ]


ACTIONS: dict[str, Callable[[Model], object]] = {
    "layers": lambda m: m.layers,
    "activations": lambda m: m.activations(IMAGES, "conv2"),
    "logits": lambda m: m.logits(IMAGES),
    "top_k": lambda m: m.top_k(PICTURES),
    "attribute": lambda m: m.attribute(m.top_k(PICTURES)["conv2"], PICTURES),
    "project": lambda m: m.project(IMAGES[0], "conv2", 1),
}


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("action", ACTIONS)
def test_the_network_is_left_as_it_was(action: str, context: Callable[[], object]) -> None:
    model = _model()
    model.network.train()
    model.network.block.eval()  # a mixture of modes
    model.network.conv2.weight.requires_grad_(requires_grad=False)
    with context():  # type: ignore[attr-defined]
        before = _marks(model.network)
        ACTIONS[action](model)
        assert _marks(model.network) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_a_broken_forward_pass_leaves_nothing_behind(action: str) -> None:
    model = _model()
    model.layers  # noqa: B018 - traced while it still works
    top = model.top_k(PICTURES)["conv2"]
    model.network.fail = True
    model.network.train()
    before = _marks(model.network)
    broken = Model(model.network, input_shape=(1, 10, 8)) if action == "layers" else model
    act = {"attribute": lambda m: m.attribute(top, PICTURES)}.get(action, ACTIONS[action])
    if action in ("layers", "logits"):
        with pytest.raises((RuntimeError, InputError), match="the forward pass broke"):
            act(broken)
    else:
        act(broken)  # cut off at the layer: what comes after it does not matter
    model.network.conv2.forward = _raise
    if action != "logits":
        with pytest.raises((RuntimeError, InputError), match="broke"):
            act(Model(model.network, input_shape=(1, 10, 8)) if action == "layers" else model)
    del model.network.conv2.forward
    assert _marks(model.network) == before


def _raise(x: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("the convolution broke")


def test_training_goes_on_where_it_was() -> None:
    """A graph that waits for its backward pass survives a look into the network."""
    model = _model()
    network = model.network.train()
    network.relu.inplace = False
    loss = network(torch.from_numpy(IMAGES)).sum()
    model.top_k(PICTURES)
    model.project(IMAGES[0], "conv2", 0)
    loss.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_look_does_not_depend_on_the_mode() -> None:
    model = _model()
    model.network.eval()
    calm = model.activations(IMAGES, "fc")
    model.network.train()
    np.testing.assert_array_equal(model.activations(IMAGES, "fc"), calm)


def test_the_strides_of_the_images_do_not_change_a_bit() -> None:
    """One channel can look channels-last to torch, which then convolves in another order."""
    model = _model()
    odd = np.lib.stride_tricks.as_strided(IMAGES, IMAGES.shape, (320, 4, 32, 4))
    np.testing.assert_array_equal(odd, IMAGES)
    np.testing.assert_array_equal(model.activations(odd, "conv2"), model.activations(IMAGES, "conv2"))


# ---------------------------------------------------------------- what a model can be made of


def test_input_shape_is_found_by_trial() -> None:
    assert Model(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())).input_shape == (3, 224, 224)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 28 * 28, 3))
    assert Model(network).input_shape == (1, 28, 28)
    odd = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(7, 3))
    with pytest.raises(InputError, match="give its size: input_shape"):
        Model(odd)
    with pytest.raises(InputError, match="give it: input_shape"):
        Model(nn.Sequential(nn.Linear(3, 3)))


def test_names_and_import_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("some_nets")
    module.build = Net  # type: ignore[attr-defined]
    module.number = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_nets", module)
    assert Model("some_nets:build", input_shape=(1, 10, 8)).layer("conv2").kind == "Conv2d"
    assert repr(Model("mnist")) == "<Model mnist (1, 28, 28) with 11 layers>"
    assert Model(Net(), input_shape=(1, 10, 8), name="mine").name == "mine"
    with pytest.raises(NotFoundError, match="no network 'alexnett' in the zoo; did you mean 'alexnet'"):
        Model("alexnett")
    with pytest.raises(InputError, match="cannot import the network 'some_nets:nothing'"):
        Model("some_nets:nothing")
    with pytest.raises(InputError, match="gave a int"):
        Model("some_nets:number")
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module or a name, got int"):
        Model(3)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it loads its compiler
def test_a_compiled_network_is_unwrapped() -> None:
    network = Net()
    assert Model(torch.compile(network), input_shape=(1, 10, 8)).network is network


def test_a_single_layer_is_a_network() -> None:
    model = Model(nn.Conv2d(1, 2, 3), input_shape=(1, 6, 6))
    assert [layer.name for layer in model.layers] == [".network"]
    assert model.filters(".network").shape == (2, 1, 3, 3)
    assert model.top_k(ArrayImages(np.zeros((3, 6, 6), np.uint8)), k=2)[".network"].value.shape == (2, 2)


def test_float64_networks_and_uint8_pictures() -> None:
    grey = Preprocessing(order="L")
    model = Model(Net().double(), input_shape=(1, 10, 8), preprocessing=grey)
    pictures = PICTURES.pixels
    found = model.activations(pictures, "conv2")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, model.activations(PICTURES.images(0, 5), "conv2"))
    np.testing.assert_allclose(found[:1], model.activations(pictures[0], "conv2"), rtol=1e-9)


@pytest.mark.parametrize("images", [np.zeros((2, 1, 8, 10)), np.zeros((10, 8)), np.zeros((0, 1, 10, 8)), "text"])
def test_wrong_images_are_refused(images: object) -> None:
    with pytest.raises(InputError):
        _model().activations(images, "conv2")


def test_layers_that_are_no_maps_are_refused() -> None:
    model = Model(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(2)), input_shape=(1, 6, 6))
    assert model.activations(np.zeros((1, 1, 6, 6)), "0").shape == (1, 2, 4, 4)
    with pytest.raises(InputError, match=r"layer '1' gives \(2, 16\), not maps"):
        model.top_k(ArrayImages(np.zeros((3, 6, 6), np.uint8)), layers=["1"])


# ---------------------------------------------------------------- names, weights and modules out of the ordinary


class Named(nn.Module):
    """A network with a module that is called as the whole once was."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Conv2d(1, 3, 3)
        self.last = nn.Conv2d(3, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(fn.relu(self.network(x)))


def test_a_module_called_network_is_not_the_whole_network() -> None:
    net = Named().eval()
    model = Model(net, input_shape=(1, 10, 8))
    x = torch.from_numpy(IMAGES)
    np.testing.assert_allclose(model.activations(IMAGES, "network"), net.network(x).detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.activations(IMAGES, ".network"), net(x).detach(), rtol=1e-5, atol=1e-6)
    assert model.filters("network").shape == (3, 1, 3, 3)
    assert model.top_k(PICTURES, k=2)["network"].value.shape == (3, 2)
    with pytest.raises(KeyError):
        net.add_module(".network", nn.ReLU())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = Model(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()).to(dtype), input_shape=(1, 10, 8))
    exact = Model(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), input_shape=(1, 10, 8))
    exact.network.load_state_dict(model.network.state_dict())
    x = PICTURES.images(0, 5)
    np.testing.assert_allclose(model.activations(x, "0"), exact.activations(x, "0"), atol=0.02)
    np.testing.assert_allclose(model.embed(PICTURES, "1").vectors, exact.embed(PICTURES, "1").vectors, atol=0.02)
    assert np.isfinite(model.logits(x)).all()


@pytest.mark.parametrize(
    "norm", [torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.parametrizations.spectral_norm]
)
def test_a_parametrised_convolution_is_a_layer_and_what_computes_its_weights_is_none(norm: Callable) -> None:
    network = nn.Sequential(norm(nn.Conv2d(1, 3, 3)), nn.ReLU(), norm(nn.Conv2d(3, 2, 3))).train()
    model = Model(network, input_shape=(1, 10, 8))
    assert [(layer.name, layer.kind) for layer in model.layers] == [("0", "Conv2d"), ("1", "ReLU"), ("2", "Conv2d")]
    before = [tensor.clone() for tensor in network.state_dict().values()]
    assert list(model.top_k(PICTURES)) == ["0", "2"]
    network.eval()
    np.testing.assert_array_equal(model.filters("0"), network[0].weight.detach().numpy())
    network.train()
    model.filters("0")
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(checkpoint(lambda z: fn.relu(self.a(z)), x, use_reentrant=False))


def test_what_a_checkpoint_computes_again_is_no_second_layer() -> None:
    torch.manual_seed(0)
    model = Model(Checkpointed(), input_shape=(1, 10, 8))
    assert [layer.name for layer in model.layers] == ["a", "relu", "b"]
    assert model.layer("b").receptive_field.size == (5, 5)
    plain = nn.Sequential(model.network.a, nn.ReLU(), model.network.b)
    ours = model.project(IMAGES[0], "b", 1)
    np.testing.assert_allclose(ours[0], Model(plain, input_shape=(1, 10, 8)).project(IMAGES[0], "2", 1)[0], rtol=1e-5)
    assert ours[2].ruled == 1


class Wrapped(nn.Module):
    def __init__(self, wrap: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.a, self.wrap = nn.Conv2d(1, 4, 3), wrap

    def forward(self, x: torch.Tensor) -> object:
        return self.wrap(self.a(x).mean((2, 3)))


def test_logits_in_a_tuple_or_a_dictionary() -> None:
    for wrap in (lambda y: (y,), lambda y: {"logits": y, "loss": None}, lambda y: [[y]]):
        model = Model(Wrapped(wrap), input_shape=(1, 10, 8))
        np.testing.assert_allclose(model.logits(IMAGES), model.activations(IMAGES, "a").mean((2, 3)), atol=1e-6)
    two = Model(Wrapped(lambda y: {"a": y, "b": y[:, :2]}), input_shape=(1, 10, 8))
    with pytest.raises(InputError, match=r"puts out 2 tensors \(\(5, 4\), \(5, 2\)\) in a dict.*say which: output='a'"):
        two.predict(IMAGES)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.a(x) + y


def test_a_network_of_two_inputs_is_refused() -> None:
    for ask in (lambda: Model(Two()), lambda: Model(Two(), input_shape=(1, 10, 8)).logits(IMAGES)):
        with pytest.raises(InputError, match=r"does not go through Two .*'y'.*say how it is called"):
            ask()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("seal", "what"),
    [
        (torch.jit.script, "a TorchScript module"),
        (lambda m: torch.export.export(m, (torch.rand(1, 1, 10, 8),)).module(), "a module of torch.export"),
        (lambda m: torch.compile(m, backend="eager"), "compiled"),
    ],
)
def test_modules_that_hide_their_layers_are_refused(seal: Callable[[nn.Module], nn.Module], what: str) -> None:
    sealed = seal(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval())
    with pytest.raises(InputError, match=rf"module '1' is {what}, .*give the torch.nn.Module it was made from"):
        Model(nn.Sequential(nn.ReLU(), sealed), input_shape=(1, 10, 8))


@pytest.mark.filterwarnings("ignore")
def test_a_network_compiled_in_place_runs_as_it_was_written() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    plain = Model(network, input_shape=(1, 10, 8)).top_k(PICTURES)["0"]
    network.compile(backend="eager")
    compiled = network._compiled_call_impl
    np.testing.assert_array_equal(Model(network, input_shape=(1, 10, 8)).top_k(PICTURES)["0"].value, plain.value)
    assert network._compiled_call_impl is compiled


def test_arrays_of_any_memory_layout() -> None:
    model = _model()
    for odd in (IMAGES[:, :, ::-1], IMAGES.astype(">f8"), IMAGES.astype(">f4")[::-1]):
        np.testing.assert_array_equal(
            model.activations(odd, "conv2"), model.activations(np.array(odd, np.float32, order="C"), "conv2")
        )


def test_no_images_are_said() -> None:
    for ask in (lambda m, x: m.activations(x, "conv2"), lambda m, x: m.logits(x), lambda m, x: m.top_k(x)):
        with pytest.raises(InputError, match="no images were given"):
            ask(_model(), np.zeros((0, 1, 10, 8), np.float32))
    with pytest.raises(InputError, match="no images were given"):
        _model().top_k([])


def test_a_missing_file_of_weights_says_what_could_be_given() -> None:
    with pytest.raises(NotFoundError, match=r"no file of weights 'nowhere.pth'; give the path of one \(\.npy, "):
        Model("alexnet", weights="nowhere.pth")


class Keeping(nn.Module):
    """A network that keeps what it made the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.ramp: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.ramp is None:
            self.ramp = torch.linspace(-1, 1, 1)
        return y * self.ramp


@pytest.mark.parametrize("look", ["input_shape", "activations", "logits", "top_k"])
def test_what_a_network_keeps_can_be_trained_with(look: str) -> None:
    network = Keeping()
    images = np.zeros((1, 3, 16, 16), np.float32)
    model = Model(network, input_shape=None if look == "input_shape" else (3, 16, 16))
    if look != "input_shape":
        _ = model.layers
        network.ramp = None
        {
            "activations": lambda: model.activations(images, "mul"),
            "logits": lambda: model.logits(images),
            "top_k": lambda: model.top_k(images, layers=["mul"]),
        }[look]()
    assert network.ramp is not None
    network(torch.rand(2, 3, 16, 16)).sum().backward()


def test_two_threads_look_into_one_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(), nn.Conv2d(4, 4, 3)).train()
    images = np.random.default_rng(0).normal(size=(2, 3, 12, 12)).astype(np.float32)
    alone = Model(network, input_shape=(3, 12, 12))
    truth = [(layer, alone.activations(images, layer.name)) for layer in alone.layers]

    def look(_: int) -> bool:
        model = Model(network, input_shape=(3, 12, 12))
        same = [layer for layer, _ in truth] == list(model.layers)
        return same and all(np.array_equal(model.activations(images, layer.name), seen) for layer, seen in truth)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(look, range(40)))
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_networks_without_weights_that_can_be_looked_at_are_refused() -> None:
    with pytest.raises(InputError, match=r"module '0' \(LazyConv2d\) has no weights yet; send an image through it"):
        Model(nn.Sequential(nn.LazyConv2d(4, 3)))
    with torch.inference_mode():
        network = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match="the weights of module '0' were made in inference mode"):
        Model(network)


def test_what_a_module_keeps_beside_its_weights_does_not_stop_the_fingerprint() -> None:
    class Noted(nn.Conv2d):
        def get_extra_state(self) -> dict[str, int]:
            return {"version": 1}

    assert Model(Noted(3, 4, 3)).fingerprint


def test_errors_of_a_network_are_said() -> None:
    class Broken(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            raise ZeroDivisionError("no pixels")

    with pytest.raises(InputError, match=r"does not go through Broken \(no pixels\)"):
        _ = Model(Broken(3, 4, 3), input_shape=(3, 8, 8)).layers


def test_a_network_that_takes_one_size_only_is_attributed_from_whole_images() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-1] == 16, "16 pixels"
            return torch.relu(self.conv(x))

    images = np.random.default_rng(0).normal(size=(3, 1, 16, 16)).astype(np.float32)
    model = Model(Fixed(), input_shape=(1, 16, 16))
    free = Model(nn.Sequential(model.network.conv, nn.ReLU()), input_shape=(1, 16, 16))
    found = model.attribute(model.top_k(images, layers=["conv"])["conv"], images)
    truth = free.attribute(free.top_k(images, layers=["0"])["0"], images)
    np.testing.assert_allclose(found.values, truth.values, atol=1e-6)
