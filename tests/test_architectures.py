"""The zoo's architectures: against published numbers, against torchvision's, and against slow definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name everyone gives it
from torch import Tensor, nn

import shim_torchvision  # noqa: F401 - makes torchvision importable
from convscope.errors import NotFoundError
from convscope.nets import architectures, zoo
from convscope.nets.torch import Model
from convscope.nets.weights import read_weights

PARAMETERS = {
    "alexnet": 61_100_840,  # torchvision's table
    "caffenet": 60_965_224,  # bvlc_reference_caffenet.caffemodel
    "bvlc_alexnet": 60_965_224,
    "zfnet": 62_357_608,  # by hand, from the sizes of Fig. 3
    "vgg11": 132_863_336,  # torchvision's table, as all that follow with its names
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "googlenet": 6_998_552,  # bvlc_googlenet.caffemodel without the two training branches
    "inception_bn": 11_295_240,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "mobilenet_v2": 3_504_872,
    "resnet20_cifar10": 269_722,  # "0.27M", He et al. 2016, Table 6
    "resnet8_cifar10": 78_666 - 480,  # Keras counts the 480 running statistics too
    "tinyvgg": 19_920,
    "mnist_mlp": 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10,
}


@contextmanager
def outputs(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Give what each module puts out."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple, output: Tensor) -> None:
            seen[name] = output

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in network.named_modules()]
    yield seen
    for hook in hooks:
        hook.remove()


def built(name: str, **options: object) -> nn.Module:
    """Build without memory for the parameters."""
    with torch.device("meta"):
        return zoo.ZOO[name].build(**options).eval()


def scrambled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network weights and running statistics that show every mistake, without letting the values explode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.ndim > 1:
                nn.init.kaiming_normal_(value, generator=generator)
            elif value.ndim == 1:
                value.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


def sizes(name: str, layers: str, side: int) -> list[int]:
    with torch.device("meta"), outputs(network := built(name)) as seen:
        network(torch.zeros(1, 3, side, side))
    return [seen[layer].shape[-1] for layer in layers.split()]


# ---------------------------------------------------------------- published numbers


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_and_logits_are_those_published(name: str) -> None:
    network, entry = built(name), zoo.ZOO[name]
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    classes = 10 if any(word in name for word in ("mnist", "cifar", "tiny")) else 1000
    assert network(torch.zeros(2, *entry.input_shape, device="meta")).shape == (2, classes)
    assert entry.input_shape == (entry.preprocessing.channels, *entry.preprocessing.crop)


@pytest.mark.parametrize("name", [name for name, entry in zoo.ZOO.items() if entry.head])
def test_without_classifier_maps_come_out(name: str) -> None:
    whole, features = built(name), built(name, classifier=False)
    assert features(torch.zeros(1, *zoo.ZOO[name].input_shape, device="meta")).ndim == 4
    missing = set(whole.state_dict()) - set(features.state_dict())
    assert missing
    assert all(key.startswith(zoo.ZOO[name].head) for key in missing)
    assert not any(key.startswith(zoo.ZOO[name].head) for key in features.state_dict())


@pytest.mark.parametrize(
    ("name", "layers", "side", "expected"),
    [
        ("zfnet", "conv1 pool1 conv2 pool2 conv3 conv5 pool5", 224, [110, 55, 26, 13, 13, 13, 6]),  # [ZF14] Fig. 3
        ("caffenet", "conv1 pool1 conv2 pool2 conv5 pool5", 227, [55, 27, 27, 13, 13, 6]),
        ("bvlc_alexnet", "conv1 norm1 pool1 conv2 pool2 pool5", 227, [55, 55, 27, 27, 13, 6]),
        ("vgg16", "conv1_2 pool1 pool2 pool3 conv5_3 pool5", 224, [224, 112, 56, 28, 14, 7]),
        ("googlenet", "conv1/7x7_s2 pool1/3x3_s2 pool2/3x3_s2 pool3/3x3_s2 pool4/3x3_s2", 224, [112, 56, 28, 14, 7]),
        ("squeezenet1_0", "conv1 pool1 pool4 pool8 conv10", 227, [111, 55, 27, 13, 15]),
        ("squeezenet1_1", "conv1 pool1 pool3 pool5 conv10", 227, [113, 56, 28, 14, 14]),
        ("inception_bn", "conv_1 pool_1 pool_2 ch_concat_3c_chconcat ch_concat_4e_chconcat", 224, [112, 55, 27, 14, 7]),
        ("resnet152_mxnet", "conv0 pooling0 _plus2 _plus10 _plus46 _plus49", 224, [112, 56, 56, 28, 14, 7]),
        ("resnet8_cifar10", "activation activation_2 activation_4 activation_6", 32, [32, 32, 16, 8]),
        ("tinyvgg", "conv_1_1 conv_1_2 max_pool_1 conv_2_2 max_pool_2", 64, [62, 60, 30, 26, 13]),
    ],
)
def test_maps_have_the_published_sizes(name: str, layers: str, side: int, expected: list[int]) -> None:
    assert sizes(name, layers, side) == expected


def test_the_inception_modules_have_the_published_widths() -> None:
    """Szegedy et al. 2015, Table 1; MXNet's symbol of Inception-BN."""
    for name, ends, expected in (
        ("googlenet", "inception_{}/output", [256, 480, 512, 512, 512, 528, 832, 832, 1024]),
        ("inception_bn", "ch_concat_{}_chconcat", [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024]),
    ):
        with torch.device("meta"), outputs(network := built(name)) as seen:
            network(torch.zeros(1, 3, 224, 224))
        modules = [m for m in ["3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"] if ends.format(m) in seen]
        assert [seen[ends.format(module)].shape[1] for module in modules] == expected


def test_caffenet_pools_before_it_normalises_and_alexnet_after() -> None:
    names = [name for name, _ in built("caffenet").named_children()]
    other = [name for name, _ in built("bvlc_alexnet").named_children()]
    assert names[1:8] == ["relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2"]
    assert other[1:8] == ["relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]
    for network in (built("caffenet"), built("bvlc_alexnet")):
        groups = [network.get_submodule(f"conv{number}").groups for number in range(1, 6)]
        assert groups == [1, 2, 1, 2, 2]
    assert built("zfnet").get_submodule("conv4").groups == 1, "dense where Krizhevsky's has two groups ([ZF14] §3)"


def test_unknown_depths_and_versions_are_refused() -> None:
    with pytest.raises(NotFoundError, match="no depth '19' in the residual networks"):
        architectures.ResNet(19)
    with pytest.raises(NotFoundError, match=r"no version '1\.2' in SqueezeNet; did you mean '1\.[01]'"):
        architectures.squeezenet("1.2")
    with pytest.raises(NotFoundError, match="no depth '18' in MXNet's"):
        architectures.resnet_mxnet(18)


# ---------------------------------------------------------------- torchvision has the same networks


def torchvision_form(name: str) -> zoo.Form:
    return next(form for form in zoo.ZOO[name].forms if form.name == "torchvision")


@pytest.mark.parametrize(
    ("name", "side"),
    [("resnet18", 64), ("resnet50", 64), ("mobilenet_v2", 64), ("squeezenet1_0", 96), ("squeezenet1_1", 64)],
)
def test_outputs_equal_torchvisions(name: str, side: int) -> None:
    import torchvision

    theirs = scrambled(torchvision.models.get_model(name, weights=None))
    form = torchvision_form(name)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    ours = zoo.filled(zoo.ZOO[name].build(**form.options), form.rename(state), Path("theirs")).eval()
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = theirs(images)
        assert expected.std() > 0
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_vgg_features_equal_torchvisions() -> None:
    import torchvision

    with torch.device("meta"):
        theirs = torchvision.models.vgg11(init_weights=False).features
    theirs = scrambled(theirs.to_empty(device="cpu"))
    state = {f"features.{key}": value.numpy() for key, value in theirs.state_dict().items()}
    entry = zoo.ZOO["vgg11"]
    ours = zoo.filled(entry.build(classifier=False), torchvision_form("vgg11").rename(state), Path("theirs")).eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("name", ["alexnet", *(f"vgg{depth}" for depth in (11, 13, 16, 19)), "resnet152"])
def test_every_weight_of_torchvisions_has_its_place(name: str) -> None:
    import torchvision

    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None).state_dict()
    renamed = torchvision_form(name).rename(theirs)
    assert {key: value.shape for key, value in renamed.items()} == {
        key: value.shape for key, value in built(name).state_dict().items()
    }


# ---------------------------------------------------------------- against slow definitions


def test_local_response_normalisation_is_caffes() -> None:
    """x / (k + α/n Σ x²)^β over n = 5 neighbouring channels, those outside being zero (Caffe's layer catalogue)."""
    maps = np.random.default_rng(0).normal(size=(1, 9, 2, 2)) * 50
    expected = np.empty_like(maps)
    for channel in range(9):
        near = maps[:, max(0, channel - 2) : channel + 3]
        expected[:, channel] = maps[:, channel] / (1 + 1e-4 / 5 * (near**2).sum(1)) ** 0.75
    for name, layer in (("caffenet", "norm1"), ("bvlc_alexnet", "norm2"), ("googlenet", "pool1/norm1")):
        found = built(name).get_submodule(layer)(torch.from_numpy(maps))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    zf = built("zfnet").get_submodule("norm1")(torch.from_numpy(maps))
    middle = maps[:, 4] / (2 + 1e-4 * (maps[:, 2:7] ** 2).sum(1)) ** 0.75  # Krizhevsky 2012, §3.3
    np.testing.assert_allclose(zf[:, 4].numpy(), middle, rtol=1e-6)


def _conv(state: dict[str, Tensor], name: str, maps: Tensor, **options: int) -> Tensor:
    return F.conv2d(maps, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)


def _norm(state: dict[str, Tensor], name: str, maps: Tensor, eps: float = 1e-5) -> Tensor:
    mean, var, weight, bias = (
        state[f"{name}.{part}"].reshape(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (maps - mean) / torch.sqrt(var + eps) * weight + bias


def _check(network: nn.Module, expected: Callable[[dict[str, Tensor], Tensor], Tensor], side: int) -> None:
    network = scrambled(network).double()
    images = torch.randn(1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        torch.testing.assert_close(network(images), expected(dict(network.state_dict()), images))


def test_googlenets_modules_are_wired_as_the_paper_draws_them() -> None:
    network = scrambled(zoo.ZOO["googlenet"].build()).double()
    state = dict(network.state_dict())
    with torch.inference_mode(), outputs(network) as seen:
        network(torch.randn(1, 3, 224, 224, dtype=torch.float64))
    below = seen["pool2/3x3_s2"]
    for name in ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]:
        module = f"inception_{name}"

        def conv(part: str, maps: Tensor, module: str = module) -> Tensor:
            kernel = state[f"{module}/{part}.weight"].shape[-1]
            return F.relu(_conv(state, f"{module}/{part}", maps, padding=kernel // 2))

        parts = (
            conv("1x1", below),
            conv("3x3", conv("3x3_reduce", below)),
            conv("5x5", conv("5x5_reduce", below)),
            conv("pool_proj", F.max_pool2d(below, 3, 1, 1)),
        )
        torch.testing.assert_close(seen[f"{module}/output"], torch.cat(parts, 1))
        below = seen[f"{module}/output"]
        if name in ("3b", "4e"):
            below = F.max_pool2d(below, 3, 2, ceil_mode=True)


def test_inception_bn_is_wired_as_mxnets_symbol() -> None:
    def expected(state: dict[str, Tensor], images: Tensor) -> Tensor:
        def conv(name: str, maps: Tensor, stride: int = 1) -> Tensor:
            kernel = state[f"conv_{name}.weight"].shape[-1]
            out = _conv(state, f"conv_{name}", maps, stride=stride, padding=kernel // 2)
            return F.relu(_norm(state, f"bn_{name}", out, 1e-5 + 1e-10))

        maps = F.max_pool2d(conv("1", images, 2), 3, 2)
        maps = F.max_pool2d(conv("2", conv("2_red", maps)), 3, 2)
        for m in ["3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]:
            stride = 2 if m in ("3c", "4e") else 1
            three = conv(f"{m}_3x3", conv(f"{m}_3x3_reduce", maps), stride)
            double = conv(f"{m}_double_3x3_0", conv(f"{m}_double_3x3_reduce", maps))
            double = conv(f"{m}_double_3x3_1", double, stride)
            if stride == 2:
                maps = torch.cat([three, double, F.max_pool2d(maps, 3, 2, 1)], 1)
            else:
                pooled = F.max_pool2d(maps, 3, 1, 1) if m == "5b" else F.avg_pool2d(maps, 3, 1, 1)
                maps = torch.cat([conv(f"{m}_1x1", maps), three, double, conv(f"{m}_proj", pooled)], 1)
        return F.linear(F.avg_pool2d(maps, 7).flatten(1), state["fc1.weight"], state["fc1.bias"])

    _check(zoo.ZOO["inception_bn"].build(), expected, 224)


def test_mxnets_residual_network_is_wired_as_its_symbol() -> None:
    def expected(state: dict[str, Tensor], images: Tensor) -> Tensor:
        def act(name: str, maps: Tensor) -> Tensor:
            return F.relu(_norm(state, name, maps, 2e-5))

        maps = _conv(state, "conv0", _norm(state, "bn_data", images, 2e-5), stride=2, padding=3)
        maps = F.max_pool2d(act("bn0", maps), 3, 2, 1)
        for stage, units in enumerate((3, 4, 6, 3), start=1):
            for unit in range(1, units + 1):
                at, stride = f"stage{stage}_unit{unit}", 2 if unit == 1 and stage > 1 else 1
                first = act(f"{at}_bn1", maps)
                out = act(f"{at}_bn2", _conv(state, f"{at}_conv1", first))
                out = act(f"{at}_bn3", _conv(state, f"{at}_conv2", out, stride=stride, padding=1))
                out = _conv(state, f"{at}_conv3", out)
                maps = out + (maps if unit > 1 else _conv(state, f"{at}_sc", first, stride=stride))
        return F.linear(act("bn1", maps).mean((2, 3)), state["fc1.weight"], state["fc1.bias"])

    _check(zoo.ZOO["resnet50_mxnet"].build(), expected, 64)


def test_mlperfs_resnet_pads_as_tensorflow_does() -> None:
    """ "same" padding of a 3×3/2 convolution on even sizes: nothing before, one row and one column behind."""

    def expected(state: dict[str, Tensor], images: Tensor) -> Tensor:
        def conv(number: int, maps: Tensor, stride: int = 1) -> Tensor:
            name = "conv2d" + (f"_{number}" if number else "")
            kernel = state[f"{name}.weight"].shape[-1]
            total = max(0, (-(-maps.shape[-1] // stride) - 1) * stride + kernel - maps.shape[-1])
            before = total // 2
            return _conv(state, name, F.pad(maps, (before, total - before) * 2), stride=stride)

        def norm(number: int, maps: Tensor) -> Tensor:
            return _norm(state, "batch_normalization" + (f"_{number}" if number else ""), maps, 1e-3)

        maps = F.relu(norm(0, conv(0, images)))
        maps = F.relu(maps + norm(2, conv(2, F.relu(norm(1, conv(1, maps))))))
        for first, bn in ((3, 3), (6, 5)):
            out = norm(bn + 1, conv(first + 1, F.relu(norm(bn, conv(first, maps, 2)))))
            maps = F.relu(conv(first + 2, maps, 2) + out)
        return F.linear(maps.mean((2, 3)), state["dense.weight"], state["dense.bias"])

    _check(zoo.ZOO["resnet8_cifar10"].build(), expected, 32)


def test_the_cifar_network_runs_its_real_weights_as_its_definition_says(real_data: Path) -> None:
    """Option A: the shortcut takes every second pixel, and zeros for the channels that are new on both sides."""
    path = real_data / "resnet20-cifar10" / "resnet20-12fca82f.th"
    network = zoo.load("resnet20_cifar10", path)
    assert sum(parameter.numel() for parameter in network.parameters()) == 269_722
    state = {name: torch.from_numpy(array.copy()) for name, array in read_weights(path).items()}
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    maps = F.relu(_norm(state, "bn1", _conv(state, "conv1", images, padding=1)))
    for stage in (1, 2, 3):
        for block in range(3):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            out = F.relu(_norm(state, f"{at}.bn1", _conv(state, f"{at}.conv1", maps, stride=stride, padding=1)))
            out = _norm(state, f"{at}.bn2", _conv(state, f"{at}.conv2", out, padding=1))
            if stride == 2:
                zeros = torch.zeros(3, maps.shape[1] // 2, *out.shape[2:])
                maps = torch.cat([zeros, maps[:, :, ::2, ::2], zeros], 1)
            maps = F.relu(out + maps)
    expected = F.linear(maps.mean((2, 3)), state["linear.weight"], state["linear.bias"])
    with torch.inference_mode():
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- the names people know


def test_filters_are_asked_for_by_the_names_people_know() -> None:
    google = Model("googlenet", weights="random")
    assert google.filters("inception_3a/5x5").shape == (32, 16, 5, 5)
    assert google.layer("inception_4e/output").shape == (832, 14, 14)
    squeeze = Model("squeezenet1_0", weights="random")
    assert squeeze.filters("fire9/expand3x3").shape == (256, 64, 3, 3)
    with pytest.raises(NotFoundError, match="did you mean 'fire9/expand3x3'"):
        squeeze.layer("fire9/expand33")


@pytest.mark.parametrize(
    ("file", "name", "layer"),
    [
        ("inception_bn_conv_1_weight.param", "inception_bn", "conv_1"),
        ("resnet_152_conv0_weight.param", "resnet152_mxnet", "conv0"),
        ("vgg16_conv1_1_weight.param", "vgg16", "conv1_1"),
    ],
)
def test_the_seeds_first_layers_fit(real_data: Path, file: str, name: str, layer: str) -> None:
    (array,) = read_weights(real_data / "mxboard-demo" / file).values()
    with torch.device("meta"):
        weight = built(name).get_submodule(layer).weight
    assert array.shape == tuple(weight.shape)
