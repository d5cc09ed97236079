"""Graphs of networks: of torch modules, ONNX and OpenVINO files, MXNet symbols, and those that others have written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as hooks

from convscope.errors import FormatError, InputError
from convscope.formats import wire
from convscope.formats.graph import Names, Node, decode_graph, encode_graph, unpack_param
from convscope.formats.symbol import symbol_nodes
from convscope.nets.graph import module_nodes
from convscope.nets.onnx_graph import onnx_nodes
from convscope.nets.openvino_graph import openvino_nodes
from convscope.recording import SummaryWriter
from convscope.store import Run
from tensorboard_oracle import accumulate, torch_writer


def by_name(nodes: list[Node]) -> dict[str, Node]:
    found = {node.name: node for node in nodes}
    assert len(found) == len(nodes)
    for node in nodes:  # every edge begins at a node, and names a result that this node has
        for source in node.inputs:
            name, _, number = source.partition(":")
            assert name in found, f"{node.name} takes {source}"
            assert int(number or 0) < len(found[name].shapes or (None,))
    return found


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.features = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.head = nn.Linear(8, 2)
        self.calls = 0
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, picture: Tensor, scale: Tensor | None = None) -> dict[str, Any]:
        self.seen += 1
        maps = self.features(functional.max_pool2d(self.conv1(picture), 2))
        if maps.shape[0] > 1:  # control flow
            maps = maps * torch.rand(1)
        left, right = maps.chunk(2, dim=1)
        maps = torch.cat([left, right + left], 1)
        if scale is not None:
            maps = maps + scale
        vector = maps.mean((2, 3))
        vector[:, 0] = 0
        return {"logits": self.head(vector), "rest": [vector.T]}


def test_a_module_has_scopes_shapes_parameters_and_edges() -> None:
    nodes = by_name(module_nodes(Net(), (torch.zeros(2, 3, 8, 8), torch.ones(1))))
    facts = {name: (node.op, node.inputs, node.shapes) for name, node in nodes.items()}
    assert facts["input/picture"] == ("Input", (), ((2, 3, 8, 8),))
    assert facts["input/scale"] == ("Input", (), ((1,),))
    assert facts["Net/conv1/weight"] == ("Parameter", (), ((8, 3, 3, 3),))
    weights = ("Net/conv1/weight", "Net/conv1/bias")
    assert facts["Net/conv1/conv2d"] == ("conv2d", ("input/picture", *weights), ((2, 8, 6, 6),))
    assert facts["Net/max_pool2d"] == ("max_pool2d", ("Net/conv1/conv2d",), ((2, 8, 3, 3),))
    norm = "Net/features/BatchNorm2d[0]"
    parts = tuple(f"{norm}/{name}" for name in ("running_mean", "running_var", "weight", "bias"))
    assert facts[f"{norm}/batch_norm"] == ("batch_norm", ("Net/max_pool2d", *parts), ((2, 8, 3, 3),))
    assert facts[f"{norm}/running_mean"] == ("Buffer", (), ((8,),))
    assert facts["Net/features/ReLU[1]/relu"][1] == (f"{norm}/batch_norm",)
    assert facts["Net/mul"][1] == ("Net/features/Dropout[2]/dropout", "Net/rand")
    assert facts["Net/chunk"] == ("chunk", ("Net/mul",), ((2, 4, 3, 3), (2, 4, 3, 3)))
    assert facts["Net/cat"] == ("cat", ("Net/chunk", "Net/add_1"), ((2, 8, 3, 3),))
    assert facts["Net/add_1"][1] == ("Net/chunk:1", "Net/chunk")
    assert facts["Net/add_2"][1] == ("Net/cat", "input/scale")
    assert facts["Net/head/linear"][1][0] == "Net/setitem"  # what is written into a tensor is on the path
    assert facts["output/logits"] == ("Output", ("Net/head/linear",), ((2, 2),))
    assert facts["output/rest"] == ("Output", ("Net/T",), ((8, 2),))
    assert nodes["Net/conv1/weight"].attributes == {"parameters": 216, "trainable": True, "dtype": "float32"}
    assert nodes["Net/conv1/conv2d"].attributes["layer"] == "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))"
    assert nodes["Net/conv1/conv2d"].attributes["module"] == "conv1"
    assert nodes["Net/max_pool2d"].attributes["arguments"].startswith("2, stride=None")  # type: ignore[union-attr]


def test_parameters_and_shapes_are_those_of_the_module() -> None:
    net = Net()
    nodes = module_nodes(net, torch.zeros(1, 3, 9, 9))
    counts = [node.attributes["parameters"] for node in nodes if node.op == "Parameter"]
    assert counts == [parameter.numel() for parameter in net.parameters()]
    seen: dict[str, tuple[int, ...]] = {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, tuple(out.shape)))
        for name, module in net.named_modules()
        if name and not list(module.children())
    ]
    net.eval()(torch.zeros(1, 3, 9, 9))
    for handle in handles:
        handle.remove()
    last = {node.attributes["module"]: node.shapes[0] for node in nodes if "module" in node.attributes}
    assert last == seen


def test_a_network_is_left_as_it_was() -> None:
    net = Net().train()
    net.features.eval()
    picture = torch.randn(2, 3, 8, 8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    copy, random, modes = picture.clone(), torch.get_rng_state(), [module.training for module in net.modules()]
    module_nodes(net, picture)
    with pytest.raises(InputError):
        module_nodes(net, torch.zeros(2, 4, 8, 8))
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(picture, copy)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert not hooks._global_forward_hooks
    assert not hooks._global_forward_pre_hooks
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert torch.relu(torch.tensor(-1.0)) == 0  # no mode is left on


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("cache", None)

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        self.seen.add_(1)
        self.cache = x.sum() + torch.randn(())
        return self.conv(x)


@pytest.mark.parametrize("inputs", [None, torch.ones(1, 3, 8, 8)])
def test_buffers_and_random_generators_are_left_with_and_without_an_input(inputs: Tensor | None) -> None:
    net = Counting()
    before, random = dict(net._buffers), torch.get_rng_state()
    module_nodes(net, inputs)
    assert net.calls is before["calls"]
    assert list(net._buffers) == list(before)
    assert net.cache is None
    assert (float(net.calls), float(net.seen)) == (0, 0)
    assert torch.equal(torch.get_rng_state(), random)


class Viewing(nn.Module):
    """Works in place through views; ``how`` says in which way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y, z = self.a(x), self.b(x)
        if self.how == "view":
            y[:, :2].add_(z[:, :2])
        elif self.how == "copy":
            y[:, :2].copy_(z[:, :2])
        elif self.how == "base":  # a view that was there before
            flat = y.view(-1)
            y.mul_(z)
            return flat.relu()
        elif self.how == "sibling":
            one, other = y.view(-1), y.view(-1)
            one.mul_(z.view(-1))
            return other.relu()
        elif self.how == "relu":
            nn.functional.relu((y := y + z).view(-1), inplace=True)
        elif self.how == "out":
            with torch.no_grad():
                torch.mul(y, z, out=y.view(2, 4))
        return y


@pytest.mark.parametrize("how", ["view", "copy", "base", "sibling", "relu", "out"])
def test_what_is_done_in_place_through_a_view_is_on_the_path(how: str) -> None:
    nodes = by_name(module_nodes(Viewing(how), torch.ones(2, 4)))
    reached, left = set(), ["output/0"]
    while left:
        name = left.pop().partition(":")[0]
        reached.add(name)
        left += [found for found in nodes[name].inputs if found.partition(":")[0] not in reached]
    assert {"Viewing/a/linear", "Viewing/b/linear"} <= reached
    if how == "relu":
        assert "Viewing/relu" in reached


def test_a_part_that_is_changed_is_not_the_maker_of_the_other_part() -> None:
    class Parts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            one, other = (x * 1).chunk(2)
            one.exp_()
            return other.relu()

    nodes = by_name(module_nodes(Parts(), torch.ones(4)))
    assert nodes["Parts/relu"].inputs == ("Parts/chunk:1",)


@dataclasses.dataclass
class Output:
    logits: Tensor
    name: str = "x"


class Packs(nn.Module):
    def __init__(self, how: Any) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Any:
        return self.how(x.relu())


def test_outputs_in_a_dataclass_are_drawn_and_none_at_all_is_told() -> None:
    nodes = by_name(module_nodes(Packs(Output), torch.ones(4)))
    assert nodes["output/logits"].inputs == ("Packs/relu",)
    with pytest.warns(RuntimeWarning, match="found no tensors in the object"):
        module_nodes(Packs(lambda _: object()), torch.ones(4))


class Named(nn.Module):
    def forward(self, a: Tensor, b: dict[str, list[Tensor]]) -> tuple[Tensor, Tensor]:
        return a + b["x"][0], a.detach() * b["x"][1]


class Mapped(nn.Module):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["a"] @ batch["b"]


@pytest.mark.parametrize(
    ("network", "inputs", "expected"),
    [
        (Named(), (torch.ones(2), {"x": [torch.ones(2), torch.ones(1)]}), ["a", "b/0", "b/1"]),
        (Named(), {"a": torch.ones(2), "b": {"x": [torch.ones(2), torch.ones(1)]}}, ["a", "b/0", "b/1"]),
        (Mapped(), {"a": torch.ones(2, 2), "b": torch.ones(2, 2)}, ["batch/0", "batch/1"]),
        (nn.Linear(3, 1), [torch.ones(1, 3)], ["input"]),
        (nn.Linear(3, 1), torch.ones(1, 3).numpy(), ["input"]),
        (nn.GRU(3, 2), nn.utils.rnn.pack_sequence([torch.ones(2, 3), torch.ones(1, 3)]), ["input/0", "input/1"]),
    ],
)
def test_inputs_of_all_forms(network: nn.Module, inputs: Any, expected: list[str]) -> None:
    nodes = by_name(module_nodes(network, inputs))
    assert [name for name in nodes if name.startswith("input")] == [f"input/{name}" for name in expected]
    assert all(node.inputs for node in nodes.values() if node.op == "Output")


def test_what_is_detached_is_still_on_the_path() -> None:
    nodes = by_name(module_nodes(Named(), (torch.ones(2), {"x": [torch.ones(2), torch.ones(1)]})))
    assert nodes["Named/mul"].inputs == ("input/a", "input/b/1")


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.constant = [torch.ones(2)]

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x)) + self.constant[0]


def test_a_module_that_is_called_twice_and_a_constant() -> None:
    nodes = by_name(module_nodes(Shared(), torch.ones(1, 2)))
    assert nodes["Shared/layer/linear_1"].inputs[0] == "Shared/layer/linear"
    assert nodes["Shared/constant"].op == "Constant"


@pytest.mark.parametrize(
    ("make", "inputs", "ops"),
    [
        (lambda: nn.LSTM(4, 3), torch.ones(5, 1, 4), {"lstm"}),
        (lambda: nn.TransformerEncoderLayer(8, 2), torch.ones(3, 1, 8), {"multi_head_attention_forward", "layer_norm"}),
        (lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())), torch.ones(1, 3, 5, 5), {"relu"}),
        (lambda: torch.compile(nn.Sequential(nn.Linear(3, 2), nn.ReLU())), torch.ones(1, 3), {"linear", "relu"}),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), torch.ones(1, 3), {"linear"}),
        (lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 2), nn.GELU())), torch.ones(1, 3), {"gelu"}),
    ],
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_modules_of_all_makes(make: Callable[[], nn.Module], inputs: Tensor, ops: set[str]) -> None:
    nodes = by_name(module_nodes(make(), inputs))
    assert ops <= {node.op for node in nodes.values()}
    outputs = [node for node in nodes.values() if node.op == "Output"]
    reached, todo = set(), [outputs[0].name]  # the output depends on the input and on the parameters
    while todo:
        name = todo.pop().partition(":")[0]
        reached.add(name)
        todo += [source for source in nodes[name].inputs if source.partition(":")[0] not in reached]
    assert {"Input", "Parameter"} <= {nodes[name].op for name in reached}


def test_without_an_input_a_picture_of_a_size_that_goes_through(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1352, 10)))
        with pytest.raises(InputError, match="cannot tell the size"):
            writer.add_graph(nn.Linear(3, 2))
    (graph,) = Run(tmp_path).graphs()
    assert by_name(list(graph.nodes))["input/input"].shapes == ((1, 1, 28, 28),)


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (Net(), torch.zeros(1, 3, 1, 1), r"Net does not run with an input of \(1, 3, 1, 1\) \(RuntimeError"),
        (Net(), (), r"no tensors \(TypeError"),
        (Named(), (torch.ones(1), {}), "KeyError"),
        (3, None, "got int"),
        (nn.Sequential(nn.LazyLinear(2)), torch.ones(1, 3), "'0.weight' is not known yet; call the network once"),
        (torch.export.export(nn.ReLU(), (torch.ones(2),)).module(), torch.ones(2), "of torch.export"),
        (type("Block", (), {"hybridize": None})(), None, r"call hybridize\(\)"),
    ],
)
def test_a_bad_network_has_a_sentence(tmp_path: Path, model: Any, inputs: Any, message: str) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InputError, match=message):
        writer.add_graph(model, inputs)
    assert Run(tmp_path).tags() == {}


def test_verbose_prints_the_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(nn.Linear(3, 2), torch.ones(1, 3), True)  # noqa: FBT003
    assert "Linear/linear  linear  (1, 2)  <- input/input, Linear/weight, Linear/bias" in capsys.readouterr().out


# the bytes


def test_tensorboards_own_classes_read_the_graph(tmp_path: Path) -> None:
    nodes = module_nodes(Net(), torch.zeros(1, 3, 8, 8))
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(Net(), torch.zeros(1, 3, 8, 8))
    graph = accumulate(tmp_path).Graph()
    assert graph.versions.producer == 22
    for node, proto in zip(nodes, graph.node, strict=True):
        assert (node.name, node.op, list(node.inputs)) == (proto.name, proto.op, list(proto.input))
        shapes = [tuple(dim.size for dim in shape.dim) for shape in proto.attr["_output_shapes"].list.shape]
        assert shapes == list(node.shapes)
        for name, value in node.attributes.items():
            field = {str: "s", bool: "b", int: "i", float: "f"}[type(value)]
            found = getattr(proto.attr[name], field)
            assert (found.decode() if field == "s" else found) == value


def test_torchs_graphs_are_read(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    import warnings

    with torch_writer(tmp_path) as writer, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer.add_graph(net, torch.zeros(1, 1, 4, 4))
    proto = accumulate(tmp_path).Graph()
    (graph,) = Run(tmp_path).graphs()
    assert [(n.name, n.op, list(n.inputs)) for n in graph.nodes] == [(n.name, n.op, list(n.input)) for n in proto.node]
    assert ((1, 2, 2, 2),) in [node.shapes for node in graph.nodes]


def test_graphs_of_tensorflow_are_read() -> None:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef()
    node = graph.node.add(name="x", op="Placeholder")
    node.attr["dtype"].type = 1
    node.attr["shape"].shape.dim.add(size=-1)
    node.attr["shape"].shape.dim.add(size=3)
    node = graph.node.add(name="y", op="PartitionedCall", input=["x", "^z"])
    node.attr["Tout"].list.type.extend([1, 9])
    node.attr["rate"].f = 0.5
    node.attr["_output_shapes"].list.shape.add(unknown_rank=True)
    function = graph.library.function.add()
    function.signature.name = "f"
    function.node_def.add(name="add", op="Add", input=["a", "^b"])
    assert decode_graph(graph.SerializeToString()) == [
        Node("x", "Placeholder", (), ((-1, 3),), {"dtype": "float32"}),
        Node("y", "PartitionedCall", ("x", "^z"), (None,), {"Tout": ("float32", "int64"), "rate": 0.5}),
        Node("f/add", "Add", ("f/a", "^f/b")),
    ]


names = st.text(st.characters(codec="utf-8"), max_size=8)
plain = names | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(width=32, allow_nan=False)
graph_nodes = st.builds(
    Node,
    names,
    names,
    st.lists(names, max_size=3).map(tuple),
    st.lists(st.none() | st.lists(st.integers(-1, 1 << 40), max_size=4).map(tuple), max_size=2).map(tuple),
    st.dictionaries(
        names.filter(lambda name: name not in ("_output_shapes", "shape", "param")),
        plain | st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
        max_size=3,
    ),
)


@given(st.lists(graph_nodes, max_size=4))
def test_graphs_come_back(nodes: list[Node]) -> None:
    assert decode_graph(encode_graph(nodes)) == nodes


def test_numbers_beyond_those_of_the_format_stay_readable() -> None:
    (node,) = decode_graph(
        encode_graph([Node("a", "b", attributes={"large": 1 << 70, "huge": 1e300, "small": -1e300})])
    )
    assert node.attributes == {"large": str(1 << 70), "huge": float("inf"), "small": float("-inf")}


@given(st.lists(st.sampled_from(["a", "a_1", "a_2", "/a", "a//", "", "x y", "x_y", "a:0"]), max_size=12))
def test_names_are_given_once(wanted: list[str]) -> None:
    names = Names()
    given_names = [names.take(name) for name in wanted]
    assert len(set(given_names)) == len(given_names)
    assert not any(set(name) & set(" :^") or "//" in name or name.startswith("/") for name in given_names)


@given(st.binary(max_size=80))
def test_damaged_files_are_a_format_error_or_nothing(data: bytes) -> None:
    for read in (decode_graph, onnx_nodes, openvino_nodes):
        with suppress(FormatError):
            read(data)


# MXNet

SYMBOL = {
    "nodes": [
        {"op": "null", "name": "data", "inputs": [], "attrs": {"__shape__": "(0, 3, 8, 8)"}},
        {"op": "null", "name": "convolution0_weight", "inputs": []},
        {"op": "null", "name": "convolution0_bias", "inputs": []},
        {
            "op": "Convolution",
            "name": "convolution0",
            "attrs": {"kernel": "(2, 2)", "num_filter": "2"},
            "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
        },
        {"op": "SliceChannel", "name": "split", "inputs": [[3, 0, 0]]},
        {"op": "elemwise_add", "name": "sum", "inputs": [[4, 0, 0], [4, 1, 0]]},
    ],
    "arg_nodes": [0, 1, 2],
    "heads": [[5, 0, 0]],
}


class Symbol:
    def tojson(self) -> str:
        return json.dumps(SYMBOL)


class Block:
    _cached_graph = (["data"], Symbol())


@pytest.mark.parametrize("net", [Symbol(), Block()])
def test_networks_of_mxnet_have_mxboards_names(tmp_path: Path, net: Any) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(net)
    (graph,) = Run(tmp_path).graphs()
    by_name(list(graph.nodes[:5]))
    assert list(graph.nodes) == [
        Node("data", "Input", (), ((0, 3, 8, 8),)),
        Node("convolution0/convolution0_weight", "Parameter"),
        Node("convolution0/convolution0_bias", "Parameter"),
        Node(
            "convolution0/convolution0",
            "Convolution",
            ("data", "convolution0/convolution0_weight", "convolution0/convolution0_bias"),
            (),
            {"kernel": "(2, 2)", "num_filter": "2"},
        ),
        Node("split/split", "SliceChannel", ("convolution0/convolution0",)),
        Node("sum/sum", "elemwise_add", ("split/split", "split/split:1")),
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": 3}', '{"nodes": [{"op": "null"}]}', '{"nodes": [3]}'])
def test_what_is_no_symbol_has_a_sentence(text: str) -> None:
    with pytest.raises(FormatError, match="not the JSON of an MXNet symbol"):
        symbol_nodes(text)


def test_what_mxboard_wrote_is_read() -> None:
    attributes = {"kernel": "(2, 2)", "num_filter": "2", "pad": "(0, 0)"}
    param = json.dumps(attributes, sort_keys=True).replace('"', " ")  # as MXBoard does
    node = Node("convolution0/convolution0", "Convolution", ("data",), (), {"param": param})
    assert decode_graph(encode_graph([node]))[0].attributes == attributes
    assert unpack_param("no JSON") == {}


# ONNX


def onnx_value(name: str, *sizes: int | str) -> bytes:
    dims = [wire.text(2, size) if isinstance(size, str) else wire.integer(1, size) for size in sizes]
    shape = wire.chunk(2, b"".join(wire.chunk(1, dim) for dim in dims))
    return wire.text(1, name) + wire.chunk(2, wire.chunk(1, wire.integer(1, 1) + shape))


def onnx_node(op: str, inputs: list[str], outputs: list[str], name: str = "", *attributes: bytes) -> bytes:
    parts = [*(wire.text(1, i) for i in inputs), *(wire.text(2, o) for o in outputs), wire.text(3, name)]
    return b"".join([*parts, wire.text(4, op), *(wire.chunk(5, attribute) for attribute in attributes)])


def onnx_file() -> bytes:
    weight = wire.chunk(1, wire.varint(4) + wire.varint(3)) + wire.integer(2, 1) + wire.text(8, "fc.weight")
    branch = wire.chunk(1, onnx_node("Neg", ["hidden"], ["inner"])) + wire.chunk(12, onnx_value("inner"))
    alpha = wire.text(1, "alpha") + wire.key(2, wire.FIXED32) + b"\0\0\0\x3f"
    pads = wire.text(1, "pads") + wire.chunk(8, wire.varint(1) + wire.varint(2))
    mode = wire.text(1, "mode") + wire.chunk(4, b"nearest")
    graph = [
        wire.chunk(1, onnx_node("Gemm", ["x", "fc.weight", ""], ["hidden"], "/fc/Gemm", alpha, pads, mode)),
        wire.chunk(1, onnx_node("Split", ["hidden"], ["left", "right"])),
        wire.chunk(1, onnx_node("If", ["right"], ["y"], "", wire.text(1, "then_branch") + wire.chunk(6, branch))),
        wire.chunk(5, weight + wire.chunk(9, b"\0" * 48)),
        wire.chunk(11, onnx_value("x", "batch", 3)),
        wire.chunk(11, onnx_value("fc.weight", 4, 3)),  # old files list parameters among the inputs
        wire.chunk(12, onnx_value("y", 1, 2)),
        wire.chunk(13, onnx_value("hidden", 1, 4)),
    ]
    return wire.integer(1, 8) + wire.chunk(7, b"".join(graph))


def test_an_onnx_file_has_operators_parameters_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_file())
    with SummaryWriter(tmp_path) as writer:
        writer.add_onnx_graph(path)
        writer.add_onnx_graph(prototxt=str(path))
    first, second = Run(tmp_path).graphs()
    assert first.nodes == second.nodes
    by_name(list(first.nodes))
    assert list(first.nodes) == [
        Node("fc/weight", "Parameter", (), ((4, 3),), {"parameters": 12, "dtype": "float32"}),
        Node("input/x", "Input", (), ((-1, 3),)),
        Node("fc/Gemm", "Gemm", ("input/x", "fc/weight"), ((1, 4),), {"alpha": 0.5, "pads": (1, 2), "mode": "nearest"}),
        Node("left", "Split", ("fc/Gemm",), (None, None)),
        Node("y", "If", ("left:1",), ((1, 2),)),
        Node("y/then_branch/inner", "Neg", ("fc/Gemm",), ((),)),
        Node("y/then_branch/output/inner", "Output", ("y/then_branch/inner",), ((),)),
        Node("output/y", "Output", ("y",), ((1, 2),)),
    ]


def test_real_onnx_files_are_read(real_data: Path) -> None:
    nodes = by_name(onnx_nodes((real_data / "squeezenet-onnx-winml" / "SqueezeNet_fp16.onnx").read_bytes()))
    assert nodes["fire9/concat_1"].inputs == ("fire9/expand1x1_2", "fire9/expand3x3_2")
    assert nodes["fire9/concat_1"].shapes == ((1, 512, 13, 13),)
    parameters = sum(int(n.attributes["parameters"]) for n in nodes.values() if n.op == "Parameter")  # type: ignore[arg-type]
    assert parameters == 1_235_496


@pytest.mark.parametrize("data", [b"", b"not an ONNX file", wire.integer(1, 8), wire.chunk(7, b"")])
def test_what_is_no_onnx_file_has_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(data)
    with SummaryWriter(tmp_path / "run") as writer:
        with pytest.raises(FormatError):
            writer.add_onnx_graph(tmp_path / "net.onnx")
        with pytest.raises(InputError, match="give a file that is there"):
            writer.add_onnx_graph(tmp_path / "none.onnx")
        with pytest.raises(InputError, match="takes one file"):
            writer.add_onnx_graph()
    assert Run(tmp_path / "run").tags() == {}


def test_graphs_in_graphs_without_end_are_refused() -> None:
    graph = wire.chunk(1, onnx_node("Neg", ["a"], ["b"]))
    for _ in range(40):
        graph = wire.chunk(1, onnx_node("If", ["a"], ["b"], "", wire.text(1, "then") + wire.chunk(6, graph)))
    with pytest.raises(FormatError, match="more than 32 levels"):
        onnx_nodes(wire.chunk(7, graph))


# OpenVINO

OPENVINO = b"""<?xml version="1.0"?><net name="n" version="11"><layers>
<layer id="0" name="x" type="Parameter"><output><port id="0"><dim>1</dim><dim>3</dim></port></output></layer>
<layer id="1" name="fc/w" type="Const"><output><port id="0"><dim>4</dim><dim>3</dim></port></output></layer>
<layer id="2" name="fc/mm" type="MatMul"><data transpose_b="true"/><input><port id="0"/><port id="1"/></input>
<output><port id="2"><dim>1</dim><dim>?</dim></port></output></layer>
<layer id="3" name="y" type="Result"><input><port id="0"/></input></layer></layers><edges>
<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges></net>"""

BOMB = b"""<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">
<!ENTITY f SYSTEM "file:///etc/hostname">]><net><layers><layer id="0" name="&b;&f;"/></layers></net>"""


def test_an_openvino_model_has_layers_and_edges(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_bytes(OPENVINO)
    with SummaryWriter(tmp_path) as writer:
        writer.add_openvino_graph(str(tmp_path / "net.xml"))
    (graph,) = Run(tmp_path).graphs()
    by_name(list(graph.nodes))
    assert list(graph.nodes) == [
        Node("x", "Input", (), ((1, 3),)),
        Node("fc/w", "Parameter", (), ((4, 3),)),
        Node("fc/mm", "MatMul", ("x", "fc/w"), ((1, -1),), {"transpose_b": "true"}),
        Node("y", "Output", ("fc/mm",)),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "declares the document type 'net'"),
        (BOMB.decode().replace("<?xml", "<?xml").encode("utf-16"), "document type|not XML"),
        (b"<net>", "not XML"),
        (b"<other/>", "is a 'other' without layers"),
        (OPENVINO.replace(b'from-layer="2"', b'from-layer="9"'), "layer '9'"),
    ],
)
def test_what_is_no_openvino_model_has_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        openvino_nodes(data)
