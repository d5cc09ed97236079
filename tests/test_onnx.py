"""ONNX files as torch modules: equal to onnxruntime and to ONNX's own cases, named as in the file, refused if hostile.

Bounds are relative to the largest value of an output: 1e-5 in float32; what is rounded to half precision is told.
"""

from __future__ import annotations

import copy
import doctest
import pickle
import re
import warnings
import weakref
from collections import defaultdict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

import shim_torchvision  # noqa: F401 - makes torchvision importable
from conftest import ROOT
from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.onnx import OPERATORS, OnnxModule, load, naming
from convscope.nets.torch import Model

CLOSE = 1e-5
NEWEST = 25  # of onnxruntime; onnx itself may be ahead


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: list[str],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 18,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def by_onnxruntime(model: onnx.ModelProto | bytes, *images: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model if isinstance(model, bytes) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(zip((i.name for i in session.get_inputs()), images, strict=True))))


def outputs_of(module: nn.Module, *images: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        said = module(*map(torch.from_numpy, images))
    return [value.numpy() for value in (said.values() if isinstance(said, dict) else [said])]


def assert_equal(module: nn.Module, model: onnx.ModelProto | bytes, *images: np.ndarray, bound: float = CLOSE) -> None:
    for ours, theirs in zip(outputs_of(module, *images), by_onnxruntime(model, *images), strict=True):
        assert ours.shape == theirs.shape
        if theirs.dtype.kind != "f":
            np.testing.assert_array_equal(ours, theirs)
        elif theirs.size:
            assert np.isfinite(theirs).all()
            assert np.abs(ours - theirs).max() <= bound * max(np.abs(theirs).max(), 1e-30)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# ---------------------------------------------------------------- ONNX's own tests, operator by operator

UNKNOWN_HERE = {
    "test_bitwise_not_3d": "unsigned integers of 16 bits are computed in 64",
    **dict.fromkeys(["test_not_2d", "test_not_3d", "test_not_4d"], "of opset 1"),
    **dict.fromkeys(
        ["test_reduce_max_empty_set", "test_reduce_max_empty_set_bool", "test_reduce_min_empty_set"], "of nothing"
    ),
}
REFUSED = re.compile(
    "training mode|in blocks|zero point is computed|to torch.int32|batch_dims|column order|with reduction="
)


def as_torch(array: np.ndarray) -> torch.Tensor:
    array = array.astype(np.float32) if array.dtype == np.float16 else array
    wide = array.dtype.kind == "u" and array.dtype.itemsize > 1
    return torch.from_numpy(np.array(array.astype(np.int64) if wide else array))


def run_case(case: Any, *, as_constants: bool) -> str:
    """Run one of ONNX's cases, if wanted with all inputs but the first as weights of the file; say what was wrong."""
    for given, wanted in case.data_sets:
        images, model = [np.asarray(value) for value in given], case.model
        if as_constants:
            model = onnx.ModelProto.FromString(model.SerializeToString())
            for value, array in list(zip(model.graph.input, images, strict=True))[1:]:
                model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            images = images[:1]
        try:
            module = load(model)
            tensors = [as_torch(image) for image in images]
            said = module(*(image.permute(0, 3, 1, 2) if module.channels_last else image for image in tensors))
        except FormatError as error:
            return "" if "uses what is not supported" in str(error) and REFUSED.search(str(error)) else str(error)
        for ours, theirs in zip(said.values() if isinstance(said, dict) else [said], wanted, strict=True):
            half = np.asarray(theirs).dtype == np.float16
            relative, absolute = (1e-2, 1e-3) if half else (max(case.rtol, 1e-4), max(case.atol, 1e-5))
            found, true = (np.asarray(part).astype(np.float64) for part in (ours.detach(), theirs))
            if found.shape != true.shape or not np.allclose(found, true, relative, absolute, equal_nan=True):
                return f"{found.shape} against {true.shape}: not equal"
    return ""


@pytest.fixture(scope="module")
def onnx_cases() -> dict[str, dict[str, str]]:
    """What was wrong with each of ONNX's cases, by operator and name; about 1,180 cases, most of them twice."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)  # type: ignore[arg-type]
    for case in cases:
        operators = {node.op_type for node in case.model.graph.node}
        if not operators <= set(OPERATORS) or case.name in UNKNOWN_HERE or not plain(case):
            continue
        wrong = run_case(case, as_constants=False)
        if not wrong and len(case.data_sets[0][0]) > 1:
            wrong = run_case(case, as_constants=True)
        for operator in operators:
            found[operator][case.name] = wrong
    return found


def plain(case: Any) -> bool:
    """Whether a case is about tensors of numbers that numpy has."""
    try:
        return all(np.asarray(v).dtype.kind in "fiub" for pair in case.data_sets for side in pair for v in side)
    except ValueError:
        return False


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"GlobalLpPool"}))
def test_onnxs_own_cases(operator: str, onnx_cases: dict[str, dict[str, str]]) -> None:
    cases = onnx_cases[operator]
    assert cases, f"ONNX has no case of {operator}"
    assert {name: wrong for name, wrong in cases.items() if wrong} == {}


# ---------------------------------------------------------------- windows, against onnxruntime

CONV = [
    {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"strides": [2, 3], "pads": [0, 2, 1, 0]},
    {"dilations": [2, 1], "pads": [2, 0, 2, 0]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
    {"auto_pad": "SAME_UPPER"},
    {"auto_pad": "SAME_LOWER"},
    {"auto_pad": "VALID", "strides": [3, 1]},
]


@pytest.mark.parametrize("size", [(9, 11), (10, 7)])
@pytest.mark.parametrize("attributes", CONV, ids=str)
def test_convolutions(attributes: dict[str, Any], size: tuple[int, int]) -> None:
    for groups, kernel in ((1, (3, 2)), (2, (2, 3)), (4, (3, 3))):
        node = helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["y"], group=groups, **attributes)
        weights = {"c.weight": numbers(8, 4 // groups, *kernel), "c.bias": numbers(8)}
        model = model_of([node], {"x": [2, 4, *size]}, ["y"], weights)
        module = load(model)
        assert_equal(module, model, numbers(2, 4, *size, seed=1))
        convolution = module.get_submodule("c")
        assert isinstance(convolution, nn.Conv2d)
        np.testing.assert_array_equal(convolution.weight.detach().numpy(), weights["c.weight"])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_of_every_rank(rank: int) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 0] * rank, strides=[2] * rank)
    weights = {"w": numbers(4, 3, *[3] * rank)}
    model = model_of([node], {"x": ["N", 3, *[7] * rank]}, ["y"], weights)
    assert_equal(load(model), model, numbers(2, 3, *[7] * rank))


TRANSPOSED = [
    {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    {"strides": [2, 3], "pads": [0, 1, 1, 0]},
    {"strides": [3, 2], "dilations": [2, 1], "output_padding": [2, 1]},
    {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"strides": [3, 3], "auto_pad": "SAME_LOWER"},
    {"strides": [3, 2], "output_shape": [14, 10]},
]


@pytest.mark.parametrize("attributes", TRANSPOSED, ids=str)
def test_transposed_convolutions(attributes: dict[str, Any]) -> None:
    for groups in (1, 2):
        node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], group=groups, **attributes)
        constants = {"w": numbers(4, 3, 3, 3), "b": numbers(3 * groups)}
        model = model_of([node], {"x": [2, 4, 5, 5]}, ["y"], constants)
        assert_equal(load(model), model, numbers(2, 4, 5, 5, seed=1))


POOLS = [
    {"kernel_shape": [3, 3], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [3, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "pads": [2, 2, 2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [2, 3], "dilations": [2, 2], "strides": [1, 2]},
]


@pytest.mark.parametrize("size", [(9, 11), (10, 8)])
@pytest.mark.parametrize("attributes", POOLS, ids=str)
def test_poolings(attributes: dict[str, Any], size: tuple[int, int]) -> None:
    more: list[tuple[str, dict[str, int]]] = [("MaxPool", {}), ("LpPool", {"p": 3})]
    more += [("AveragePool", {"count_include_pad": included}) for included in (0, 1)]
    for operator, options in more:
        node = helper.make_node(operator, ["x"], ["y"], **attributes, **options)
        model = model_of([node], {"x": [2, 3, *size]}, ["y"], opset=22)
        assert_equal(load(model), model, numbers(2, 3, *size))


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_poolings(operator: str) -> None:
    for size in ((7,), (5, 6), (3, 4, 5)):
        model = model_of([helper.make_node(operator, ["x"], ["y"])], {"x": ["N", 3, *size]}, ["y"])
        assert_equal(load(model), model, numbers(2, 3, *size))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
)
def test_resizing(mode: str, coordinates: str) -> None:
    rounded = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] if mode == "nearest" else ["floor"]
    for rounding in rounded:
        # for sizes that are no integers ONNX's cases of these two count on with fractions, onnxruntime does not
        whole = coordinates in ("align_corners", "half_pixel_symmetric")
        fractions = (2.0, 3.0) if whole and mode == "nearest" else (1.4, 0.6) if whole else (1.7, 0.6)
        for scales in ((2.0, 2.0), fractions, (3.0, 1.0)):
            attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
            node = helper.make_node("Resize", ["x", "", "s"], ["y"], **attributes)
            factors = {"s": np.array([1, 1, *scales], np.float32)}
            model = model_of([node], {"x": [2, 3, 5, 10]}, ["y"], factors, opset=19)
            assert_equal(load(model), model, numbers(2, 3, 5, 10))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("opset", [7, 9, 10])
def test_upsample_of_old_files(opset: int, mode: str) -> None:
    scales = [1.0, 1.0, 2.0, 3.0]
    if opset == 7:
        node, constants = helper.make_node("Upsample", ["x"], ["y"], mode=mode, scales=scales), {}
    else:
        name = "Upsample" if opset == 9 else "Resize"
        node, constants = helper.make_node(name, ["x", "s"], ["y"], mode=mode), {"s": np.array(scales, np.float32)}
    model = model_of([node], {"x": [1, 2, 4, 5]}, ["y"], constants, opset=opset)
    assert_equal(load(model), model, numbers(1, 2, 4, 5))


@pytest.mark.parametrize("opset", [7, 11, 13, 21])
def test_softmax_before_and_after_version_13(opset: int) -> None:
    for operator in ("Softmax", "LogSoftmax"):
        for shape in ((2, 5), (2, 5, 1, 1), (2, 3, 4)):
            for axis in (None, 1, 2, -1)[: len(shape) + (len(shape) == 2)]:
                if axis == 2 and len(shape) == 2:
                    continue
                attributes = {} if axis is None or (opset < 11 and axis < 0) else {"axis": axis}
                node = helper.make_node(operator, ["x"], ["y"], **attributes)
                model = model_of([node], {"x": list(shape)}, ["y"], opset=opset)
                assert_equal(load(model), model, numbers(*shape))


@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_local_response_normalisation(size: int) -> None:
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=0.5, beta=0.7, bias=1.5)
    model = model_of([node], {"x": [2, 7, 3, 4]}, ["y"])
    image = numbers(2, 7, 3, 4)
    if size % 2:  # onnxruntime takes odd sizes only
        assert_equal(load(model), model, image)
    truth = np.empty_like(image)
    for c in range(7):  # as ONNX defines it
        seen = image[:, max(0, c - (size - 1) // 2) : min(6, c + size // 2) + 1]
        truth[:, c] = image[:, c] / (1.5 + 0.5 / size * (seen**2).sum(axis=1)) ** 0.7
    assert np.abs(outputs_of(load(model), image)[0] - truth).max() < CLOSE


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21, NEWEST])
def test_every_opset_reads_a_small_network(opset: int) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"], epsilon=1e-3),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    constants = {"conv.weight": numbers(5, 3, 3, 3), "fc.weight": numbers(4, 5), "fc.bias": numbers(4)}
    constants |= {name: np.abs(numbers(5, seed=i)) for i, name in enumerate(["scale", "shift", "mean", "var"])}
    model = model_of(nodes, {"x": ["N", 3, 8, 8]}, ["y"], constants, opset=opset)
    module = load(model)
    assert_equal(module, model, numbers(3, 3, 8, 8))
    kinds = [type(child) for child in module.children()]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]


# ---------------------------------------------------------------- what becomes which module


def test_activations_are_torchs_own_modules() -> None:
    limits = {"zero": np.float32(0), "six": np.float32(6), "one": np.float32(1)}
    expected = {
        nn.ReLU: [("Relu", [], {}), ("Clip", ["zero"], {}), ("Max", ["zero"], {})],
        nn.ReLU6: [("Clip", ["zero", "six"], {})],
        nn.Hardtanh: [("Clip", ["one", "six"], {})],
        nn.LeakyReLU: [("LeakyRelu", [], {"alpha": 0.2})],
        nn.Hardsigmoid: [("HardSigmoid", [], {"alpha": 1 / 6})],
        nn.Hardswish: [("HardSwish", [], {})],
        nn.SELU: [("Selu", [], {})],
        nn.Identity: [("Identity", [], {})],
        nn.Dropout: [("Dropout", [], {})],
    }
    for kind, written in expected.items():
        for operator, inputs, attributes in written:
            node = helper.make_node(operator, ["x", *inputs], ["y"], **attributes)
            constants = {name: np.array(limits[name]) for name in inputs}
            model = model_of([node], {"x": [2, 3, 4]}, ["y"], constants)
            module = load(model).train()
            assert [type(child) for child in module.children()] == [kind]
            assert_equal(module, model, 4 * numbers(2, 3, 4))


@pytest.mark.parametrize("shape", [(6,), (1, 6)])
def test_a_product_and_a_sum_are_one_linear_layer(shape: tuple[int, ...]) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["b", "a"], ["y"])]
    model = model_of(nodes, {"x": ["N", 5]}, ["y"], {"w": numbers(5, 6), "b": numbers(*shape)})
    module = load(model)
    (layer,) = module.children()
    assert isinstance(layer, nn.Linear)
    assert layer.bias is not None
    assert_equal(module, model, numbers(3, 5))
    # a sum that others see as well stays one
    model.graph.output.append(helper.make_empty_tensor_value_info("a"))
    module = load(model)
    assert [type(child).__name__ for child in module.children()] == ["Linear", "Add"]
    assert list(module(torch.zeros(1, 5))) == ["y", "a"]
    assert_equal(module, model, numbers(3, 5))


def test_nodes_with_the_same_weights_are_one_module_called_twice() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "head.weight"], ["a"]),
        helper.make_node("Conv", ["a", "head.weight"], ["y"]),
    ]
    model = model_of(nodes, {"x": [1, 3, 5, 5]}, ["y"], {"head.weight": numbers(3, 3, 1, 1)})
    module = load(model)
    assert [name for name, _ in module.named_children()] == ["head"]
    assert_equal(module, model, numbers(1, 3, 5, 5))


def test_quantised_pairs_round_as_onnxruntime_and_let_gradients_through() -> None:
    for zero in (np.uint8(128), np.int8(0), None):
        quantisation = ["scale"] if zero is None else ["scale", "zero"]
        nodes = [
            helper.make_node("QuantizeLinear", ["x", *quantisation], ["q"]),
            helper.make_node("DequantizeLinear", ["q", *quantisation], ["a"]),
            helper.make_node("DequantizeLinear", ["w", "wscale", "wzero"], ["wf"], axis=0),
            helper.make_node("Conv", ["a", "wf"], ["y"]),
        ]
        constants = {
            "scale": np.array(0.02, np.float32),
            "w": np.arange(-13, 14, dtype=np.int8).reshape(1, 3, 3, 3).repeat(2, 0),
            "wscale": np.array([0.1, 0.3], np.float32),
            "wzero": np.zeros(2, np.int8),
        } | ({} if zero is None else {"zero": np.array(zero)})
        model = model_of(nodes, {"x": ["N", 3, 6, 6]}, ["y"], constants)
        module = load(model)
        assert_equal(module, model, 2 * numbers(2, 3, 6, 6))
        assert [type(child).__name__ for child in module.children()] == ["FakeQuantize", "Conv2d"]
        image = torch.full((1, 3, 6, 6), 0.333, requires_grad=True)
        module(image).sum().backward()
        assert image.grad is not None
        assert image.grad.abs().min() > 0


# ---------------------------------------------------------------- files of exporters


def exported(network: nn.Module, *images: torch.Tensor, new: bool = False, **options: Any) -> bytes:
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if new:
            program = torch.onnx.export(network, images, dynamo=True, verbose=False, **options)
            assert program is not None
            buffer.write(program.model_proto.SerializeToString())
        else:
            torch.onnx.export(network, images, buffer, dynamo=False, **options)
    return buffer.getvalue()


def lively(network: nn.Module) -> nn.Module:
    """Give a network at rest weights with which the images still make a difference at its end."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.8, 1.2)  # type: ignore[union-attr]
    return network.eval()


NETWORKS = [
    "googlenet", "resnet18", "mobilenet_v2", "densenet121", "efficientnet_b0", "shufflenet_v2_x0_5", "squeezenet1_1",
]  # fmt: skip


def from_torchvision(name: str) -> nn.Module:
    from torchvision.models import get_model

    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    return lively(get_model(name, weights=None, **options))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_torch_exported(name: str) -> None:
    network = from_torchvision(name)
    images = torch.randn(3, 3, 64, 64)
    data = exported(network, images[:1])
    module = load(data)
    assert_equal(module, data, images[:1].numpy(), bound=5e-5)
    with torch.no_grad():  # the file has a batch of 1 written into it
        truth = network(images)
        assert (truth[0] - truth[1]).abs().max() > 1e-2 * truth.abs().max()
        assert (module(images) - truth).abs().max() <= 5e-5 * truth.abs().max()
    weights = {key: tuple(m.weight.shape) for key, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    found = {key: tuple(m.weight.shape) for key, m in module.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert found == weights
    assert module.input_shape == (3, 64, 64)


class Block(nn.Module):
    """What the newer exporter does differently: a residual, a shared ReLU, a view, adaptive pooling, a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6())
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.conv2 = nn.Conv2d(8, 8, 1)
        self.relu = nn.ReLU()
        self.norm = nn.LayerNorm(8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.relu(self.conv2(self.relu(self.conv1(x))) + x)
        words = torch.cat([self.token.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
        words = self.norm(words)
        return self.fc(words[:, 0] + self.pool(x).flatten(1) + words.mean(1))


def test_a_network_of_the_newer_exporter() -> None:
    network = lively(Block())
    images = torch.randn(3, 3, 12, 12)
    data = exported(network, images[:1], new=True)
    module = load(data)
    assert_equal(module, data, images[:1].numpy())
    with torch.no_grad():
        truth = network(images)
        assert (module(images) - truth).abs().max() <= CLOSE * truth.abs().max()
    found = {name for name, child in module.named_modules() if isinstance(child, nn.Conv2d | nn.Linear | nn.LayerNorm)}
    assert found == {"stem.0", "conv1", "conv2", "norm", "fc"}
    assert {"relu", "relu_2"} <= {name for name, _ in module.named_children()}


def test_an_open_batch_stays_open() -> None:
    network = lively(Block())
    data = exported(network, torch.randn(2, 3, 12, 12), dynamic_axes={"x": {0: "N"}}, input_names=["x"])
    module = load(data)
    for count in (1, 4):
        assert_equal(module, data, numbers(count, 3, 12, 12))
    assert module.inputs[0].shape == (None, 3, 12, 12)


# ---------------------------------------------------------------- names


def test_names_from_nodes_and_outputs() -> None:
    weight = numbers(3, 3, 1, 1)
    written = {
        ("", "fire2/squeeze1x1_w_0", "fire2/squeeze1x1_1"): "fire2.squeeze1x1",
        ("", "onnx::Conv_193", "conv2d_1"): "conv2d_1",
        ("/layer1/layer1.0/conv1/Conv", "onnx::Conv_193", "y"): "layer1.0.conv1",
        ("/features/features.1/conv/conv.0/conv.0.0/Conv", "w", "y"): "features.1.conv.0.0",
        ("StatefulPartitionedCall/resnet50/conv1_conv/Conv2D", "w", "y"): (
            "StatefulPartitionedCall.resnet50.conv1_conv.Conv2D"
        ),
        ("block1-0/f.a", "w", "y"): "block1-0.f.a",
        ("", "conv0_weight", "y"): "conv0",
        ("forward", "w", "y"): "forward_",
        ("///", "w", "a b:0"): "a_b_0",
    }
    for (name, initialiser, output), expected in written.items():
        node = helper.make_node("Conv", ["x", initialiser], [output], name=name)
        module = load(model_of([node], {"x": [1, 3, 2, 2]}, [output], {initialiser: weight}))
        assert [n for n, child in module.named_modules() if isinstance(child, nn.Conv2d)] == [expected]


def test_no_name_is_taken_twice_or_holds_another() -> None:
    names = ["a", "a", "a/b", "a", "a_2", "", ""]
    nodes = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"], name=name) for i, name in enumerate(names)]
    model = model_of(nodes, {"v0": [1, 2]}, ["v7"])
    module = load(model)
    leaves = [name for name, child in module.named_modules() if isinstance(child, nn.ReLU)]
    assert len(leaves) == len(names)
    assert {"a.Relu", "a.b", "a_2"} <= set(leaves)


# ---------------------------------------------------------------- behaviour as a module


def small() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Mul", ["b", "gain"], ["c"], name="gain"),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], name="pool"),
        helper.make_node("Reshape", ["d", "shape"], ["e"], name="flat"),
        helper.make_node("Gemm", ["e", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    constants = {
        "conv1.weight": numbers(4, 3, 3, 3),
        "conv1.bias": numbers(4),
        "gain": numbers(4, 1, 1),
        "shape": np.array([1, 4]),
        "fc.weight": numbers(5, 4),
        "fc.bias": numbers(5),
    }
    return model_of(nodes, {"x": [1, 3, 9, 9]}, ["y"], constants)


def test_a_model_looks_into_it() -> None:
    file = small()
    model = Model(load(file), input_shape=(3, 9, 9), name="small")
    layers = {layer.name: layer for layer in model.layers}
    assert [name for name in layers if not name.startswith("gain.")][:3] == ["conv1", "relu1", "gain"]
    assert layers["conv1"].receptive_field.size == layers["relu1"].receptive_field.size == (3, 3)
    assert layers["conv1"].receptive_field.stride == (2, 2)
    assert layers["gain"].kind == "Mul"
    np.testing.assert_array_equal(model.filters("conv1"), numbers(4, 3, 3, 3))
    images = numbers(2, 3, 9, 9)
    top = model.top_k(images, layers=["conv1"], k=1)["conv1"]
    assert model.attribute(top, images).mismatches == 0


def test_it_computes_the_same_in_training_and_can_be_copied_and_pickled() -> None:
    file = small()
    module = load(file)
    image = torch.from_numpy(numbers(2, 3, 9, 9))
    truth = module(image)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), module.train(), module.eval()):
        assert torch.equal(other(image), truth)
    outer = nn.Sequential(module).train()
    assert torch.equal(outer(image), truth)
    assert module.training
    assert not any(child.training for child in module.children())
    assert sum(parameter.numel() for parameter in module.parameters()) == 4 * 27 + 4 + 4 + 20 + 5


def test_gradients_pass_a_node_that_is_a_relu() -> None:
    module = load(small())
    image = torch.from_numpy(numbers(1, 3, 9, 9)).requires_grad_()
    found, todo = set(), [module(image).grad_fn]
    while todo:
        node = todo.pop()
        if node is not None:
            found.add(node.name().rstrip("0123456789"))
            todo += [parent for parent, _ in node.next_functions]
    assert "ReluBackward" in found
    module(image).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_values_are_dropped_after_their_last_use() -> None:
    module = load(small())
    made: list[weakref.ref[torch.Tensor]] = []
    kept: list[bool] = []
    for name in ("conv1", "relu1", "gain"):
        module.get_submodule(name).register_forward_hook(lambda *given: made.append(weakref.ref(given[-1])))
    module.get_submodule("flat").register_forward_hook(lambda *_: kept.extend(one() is not None for one in made))
    with torch.no_grad():
        module(torch.zeros(1, 3, 9, 9))
    assert kept == [False] * 3
    assert all(step.done for step in module.steps)


def test_several_inputs_and_outputs() -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    model = model_of(nodes, {"a": [2, 3], "b": ["N", 3]}, ["sum", "difference"])
    module = load(model)
    assert_equal(module, model, numbers(2, 3), numbers(2, 3, seed=1))
    assert [(value.name, value.shape) for value in module.inputs] == [("a", (2, 3)), ("b", (None, 3))]
    assert module.output_names == ("sum", "difference")
    assert module.input_shape is None
    with pytest.raises(InputError, match=r"takes 2 inputs \(a, b\), got 1"):
        module(torch.zeros(2, 3))


def test_networks_for_channels_last_take_channels_first() -> None:
    """As TensorFlow's converter writes them: turned at the start and before the end, or in the middle."""
    turn = helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])
    conv = helper.make_node("Conv", ["t", "conv/kernel:0"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2])
    back = helper.make_node("Transpose", ["c"], ["l"], perm=[0, 2, 3, 1])
    flat = helper.make_node("Flatten", ["l"], ["y"])
    mean = helper.make_node("Sub", ["x", "mean"], ["m"])
    later = helper.make_node("Transpose", ["m"], ["t"], perm=[0, 3, 1, 2])
    constants = {"conv/kernel:0": numbers(4, 3, 3, 3), "mean": numbers(3)}
    for nodes in ([turn, conv, back, flat], [mean, later, conv, back, flat]):
        model = model_of(nodes, {"x": ["N", 8, 9, 3]}, ["y"], constants)
        module = load(model)
        assert (module.input_shape, module.channels_last) == ((3, 8, 9), True)
        image = numbers(2, 8, 9, 3)
        (truth,) = by_onnxruntime(model, image)
        (found,) = outputs_of(module, np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
        assert np.abs(found - truth).max() <= CLOSE * np.abs(truth).max()
        assert isinstance(module.get_submodule("conv"), nn.Conv2d)
    field = Model(
        load(model_of([turn, conv, back, flat], {"x": ["N", 8, 9, 3]}, ["y"], constants)), input_shape=(3, 8, 9)
    )
    assert field.layer("conv").receptive_field.size == (3, 3)


# ---------------------------------------------------------------- real files


def test_squeezenet_of_windows_classifies_its_pictures(real_data: Path) -> None:
    """Half precision is computed in float32: within 1e-2 of what onnxruntime makes of it, in probabilities."""
    folder = real_data / "squeezenet-onnx-winml"
    file = folder / "SqueezeNet_fp16.onnx"
    module = load(file)
    assert module.input_shape == (3, 224, 224)
    assert isinstance(module.get_submodule("fire2.squeeze1x1"), nn.Conv2d)
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    pictures = [np.asarray(Image.open(folder / name).convert("RGB")) for name in ("kitten_224.png", "fish.png")]
    images = np.stack(pictures)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    found = outputs_of(module, images)[0][:, :, 0, 0]
    assert found.argmax(1).tolist() == [281, 0]  # tabby cat, tench
    truth = [by_onnxruntime(file.read_bytes(), image[None].astype(np.float16))[0] for image in images]
    assert np.abs(found - np.concatenate(truth)[:, :, 0, 0]).max() < 1e-2


def test_mnist_of_windows_reads_digits(real_data: Path) -> None:
    """On scikit-learn's digits, enlarged to the size and the margin of MNIST's: strokes it was not trained on."""
    from convscope.nets.mnist import load_digits_8x8

    file = real_data / "squeezenet-onnx-winml" / "mnist.onnx"
    module = load(file)
    kinds = [type(child).__name__ for child in module.children()]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "MaxPool2d", "Reshape", "Linear"]
    digits = load_digits_8x8().test
    images = np.zeros((len(digits), 1, 28, 28), np.float32)
    for number, pixels in enumerate(digits.pixels):
        large = Image.fromarray(pixels.reshape(8, 8)).resize((20, 20), Image.Resampling.BICUBIC)
        images[number, 0, 4:24, 4:24] = np.asarray(large)
    assert_equal(module, file.read_bytes(), images[:1])
    found = outputs_of(module, images)[0]
    assert (found.argmax(1) == digits.labels).mean() > 0.8


# ---------------------------------------------------------------- what is refused


def test_all_unsupported_operators_are_named_at_once() -> None:
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r"], ["a"], hidden_size=2),
        helper.make_node("NonMaxSuppression", ["a", "x"], ["b"]),
        helper.make_node("NonMaxSuppression", ["a", "b"], ["c"]),
        helper.make_node("FusedThing", ["c"], ["y"], domain="com.example"),
        helper.make_node("Loop", ["x"], ["nobody wants it"]),
    ]
    model = model_of(nodes, {"x": [1, 2, 3]}, ["y"], {"w": numbers(1), "r": numbers(1)})
    with pytest.raises(FormatError, match=r"supported: LSTM, NonMaxSuppression \(2×\), com.example.FusedThing; export"):
        load(model)


def test_unsupported_ways_of_operators_are_named_at_once() -> None:
    nodes = [
        helper.make_node("Pad", ["x", "p"], ["a"], mode="mirror"),
        helper.make_node("Resize", ["a", "", "s"], ["b"], mode="lanczos"),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.STRING),
    ]
    constants = {"p": np.zeros(8, np.int64), "s": np.ones(4, np.float32)}
    sentence = "supported: Pad with mode=mirror, Resize with mode=lanczos, tensors of type STRING; export"
    with pytest.raises(FormatError, match=sentence):
        load(model_of(nodes, {"x": [1, 1, 2, 2]}, ["y"], constants))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no ONNX file '.*net.onnx'; give the path of one"):
        load(tmp_path / "net.onnx")
    path = tmp_path / "net.onnx"
    whole = small().SerializeToString()
    path.write_bytes(whole)
    assert load(path).name == "net.onnx"
    for data in (b"", b"not onnx at all", whole[: len(whole) // 2], whole[:-1], b"\x08\x07" * 50):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="not an ONNX file, or it is damaged"):
            load(path)


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 31)  # takes no room
    with pytest.raises(FormatError, match=r"has 2,147,483,648 bytes; an ONNX file has at most 2,147,483,647"):
        load(path)


def damaged(change: Callable[[onnx.ModelProto], None]) -> onnx.ModelProto:
    model = small()
    change(model)
    return model


def _shorter(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def _vast(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 1 << 40


def _negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -4


def _rewired(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[0] = "nowhere"


def _again(model: onnx.ModelProto) -> None:
    model.graph.node[1].output[0] = "a"


def _endless(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "never"


def _groups(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("group", 0))


def _strides(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute[0].ints[0] = 0


def _old(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 6


def _new(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 1000


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def _bare(model: onnx.ModelProto) -> None:
    model.graph.node[3].op_type = "MaxPool"


def _bomb(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["huge"], ["z"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "huge"))
    model.graph.node[3].input[1] = "z"


def _bomb_of_products(model: onnx.ModelProto) -> None:
    for name, shape in (("row", (1, 1 << 17)), ("column", (1 << 17, 1))):
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    model.graph.node.insert(0, helper.make_node("Mul", ["row", "column"], ["z"]))
    model.graph.node[3].input[1] = "z"


DAMAGES = {
    _shorter: "tensor 'conv1.weight' is damaged",
    _vast: "is larger than 536,870,912 numbers",
    _negative: "is larger than|damaged",
    _rewired: "Relu 'relu1' takes 'nowhere', which no node before makes",
    _again: "the value 'a' is made twice",
    _endless: "no node makes its output 'never'",
    _groups: "is damaged: Conv 'a'",
    _strides: "strides, dilations and pads do not fit together",
    _old: "is of opset 6; 7 to",
    _new: "is of opset 1000; 7 to",
    _sparse: "sparse tensors",
    _bare: "MaxPool 'd': it lacks 'kernel_shape'",
    _bomb: "larger than the 536,870,912 numbers",
    _bomb_of_products: "larger than the 536,870,912 numbers",
}


@pytest.mark.parametrize("change", DAMAGES, ids=lambda change: change.__name__)
def test_damaged_and_hostile_files(change: Callable[[onnx.ModelProto], None]) -> None:
    with pytest.raises(FormatError, match=DAMAGES[change]):
        load(damaged(change))


def test_no_byte_that_changes_makes_anything_else_than_a_clear_error() -> None:
    whole = small().SerializeToString()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(256)
        try:
            load(bytes(data))
        except (FormatError, InputError, NotFoundError):
            refused += 1
    assert refused > 30


def external(folder: Path, **changes: str) -> Path:
    model = small()
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    model = onnx.load(folder / "net.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for item in tensor.external_data:
            item.value = changes.get(item.key, item.value)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


def test_numbers_in_a_file_beside(tmp_path: Path) -> None:
    module = load(external(tmp_path))
    assert torch.equal(module(torch.ones(1, 3, 9, 9)), load(small())(torch.ones(1, 3, 9, 9)))
    with pytest.raises(InputError, match="give the path of the ONNX file instead"):
        load((tmp_path / "net.onnx").read_bytes())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"location": "../secret"}, "outside the file's folder"),
        ({"location": "/etc/passwd"}, "outside the file's folder"),
        ({"location": "link"}, "outside the file's folder"),
        ({"location": "gone"}, "no file 'gone' beside the ONNX file"),
        ({"offset": "99999999"}, "is cut off"),
        ({"offset": "-4"}, "is cut off"),
        ({"length": "99999999"}, "is cut off"),
        ({"offset": "far"}, "does not say where"),
    ],
    ids=str,
)
def test_numbers_are_not_taken_from_elsewhere(changes: dict[str, str], sentence: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(1 << 16))
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises((FormatError, NotFoundError), match=sentence):
        load(external(folder, **changes))


def test_images_it_does_not_take() -> None:
    module = load(small())
    with pytest.raises(InputError, match=r"small: 'conv1' does not take \(1, 4, 9, 9\).*exported for 1 image"):
        module(torch.zeros(1, 4, 9, 9))
    mixed = [helper.make_node("ReduceMax", ["x"], ["y"], axes=[0])]
    module = load(model_of(mixed, {"x": [1, 3]}, ["y"], opset=13))
    assert module(torch.ones(1, 3)).shape == (1, 3)
    with pytest.raises(InputError, match=r"exported for 1 image\(s\) at a time and mixes more of them, got 2"):
        module(torch.ones(2, 3))


# ---------------------------------------------------------------- the document


def test_the_document_lists_the_operators() -> None:
    table = (ROOT / "docs" / "onnx.md").read_text().partition("## Operators\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"`([A-Z]\w*)`", table)) == sorted(OPERATORS)


def test_load_returns_a_module() -> None:
    assert isinstance(load(small()), OnnxModule)


def test_the_examples_of_the_names_run() -> None:
    failed, tried = doctest.testmod(naming)
    assert (failed, tried > 0) == (0, True)
