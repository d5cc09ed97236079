"""A zoo of small random networks, grown from blocks as they occur in real ones and from what is awkward."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as fn

from attribution_networks import RELU6S, RELUS, Network, Plain, Step
from attribution_plain import (
    Affine,
    AveragePool,
    BatchNorm,
    Channels,
    Concatenation,
    Convolution,
    Dense,
    Gate,
    MaxPool,
    Op,
    Pair,
    Rectifier,
    ResponseNorm,
    Smooth,
    Sum,
    Take,
)


class Builder:
    """Grows a network step by step; every method returns the name of the value it adds."""

    def __init__(self, seed: int, image: tuple[int, int, int]) -> None:
        self.rng = np.random.default_rng(seed)
        self.image = image
        self.steps: list[Step] = []
        self.shapes: dict[str, tuple[int, ...]] = {"x": image}
        self.probe = {"x": self.rng.normal(size=image)}

    def add(self, op: Op, *sources: str, how: str = "", name: str = "", **options: object) -> str:
        name = name or f"s{len(self.steps)}"
        self.steps.append(Step(name, op, sources, how, options))
        self.probe[name] = op.up(*(self.probe[source] for source in sources))
        self.shapes[name] = self.probe[name].shape
        return name

    def pick(self, *choices: object) -> object:
        return choices[int(self.rng.integers(len(choices)))]

    def conv(
        self,
        source: str,
        outputs: int,
        kernel: Pair | int,
        stride: Pair | int = 1,
        padding: Pair | int = 0,
        dilation: Pair | int = 1,
        groups: int = 1,
        bias: bool = True,
        how: str = "",
    ) -> str:
        kernel, stride, padding, dilation = (pair(v) for v in (kernel, stride, padding, dilation))
        inputs = self.shapes[source][0] // groups
        weight = self.rng.normal(size=(outputs, inputs, *kernel)) / np.sqrt(inputs * kernel[0] * kernel[1] / 2)
        given = self.rng.normal(size=outputs) * 0.3 if bias else None
        return self.add(Convolution(weight, given, stride, padding, dilation, groups), source, how=how)

    def again(self, name: str, source: str) -> str:
        """Apply the convolution of a step once more, to something else."""
        first = next(step for step in self.steps if step.name == name)
        old = first.op
        assert isinstance(old, Convolution)
        op = Convolution(old.weight, old.bias, old.stride, old.padding, old.dilation, old.groups)
        calls = sum(step.options.get("of") == name for step in self.steps) + 2
        made = lambda network: network.get_submodule(name)  # noqa: E731
        return self.add(op, source, torch=made, loose=True, of=name, layer=f"{name}:{calls}")

    def relu(self, source: str, how: str | None = None, *, fresh: bool = True) -> str:
        """Rectify; ``fresh`` says that nobody else takes the source, so that it may be written over."""
        calm = [way for way in RELUS if "inplace" not in way]
        ways = [*RELUS, "", "module inplace"] if fresh else [*calm, ""]
        return self.add(Rectifier(), source, how=str(self.pick(*ways)) if how is None else how)

    def relu6(self, source: str) -> str:
        return self.add(Rectifier(6.0), source, how=str(self.pick("", "module inplace", *RELU6S)))

    def norm(self, source: str) -> str:
        c = self.shapes[source][0]
        weight = self.rng.uniform(0.5, 1.5, c) * np.where(self.rng.random(c) < 0.2, -1, 1)
        parts = self.rng.normal(size=c) * 0.3, self.rng.normal(size=c) * 0.3, self.rng.uniform(0.5, 2, c)
        return self.add(BatchNorm(weight, *parts), source)

    def lrn(self, source: str) -> str:
        size = int(self.rng.integers(2, 6))
        return self.add(ResponseNorm(size, 0.5, 0.75, 1.5), source, how=str(self.pick("", "functional")))

    def max_pool(self, source: str, kernel: Pair | int, stride: Pair | int, padding: Pair | int = 0, **rest) -> str:
        given = {"padding": pair(padding), "dilation": pair(rest.get("dilation", 1)), "ceil": rest.get("ceil", False)}
        how = str(self.pick("", "functional"))
        return self.add(MaxPool(pair(kernel), pair(stride), **given), source, how=how)

    def average_pool(self, source: str, kernel: Pair | int, stride: Pair | int, padding: Pair | int = 0, **rest) -> str:
        how = str(self.pick("", "functional"))
        return self.add(AveragePool(pair(kernel), pair(stride), pair(padding), **rest), source, how=how)

    def cat(self, *sources: str) -> str:
        return self.add(Concatenation(), *sources)

    def plus(self, a: str, b: str, how: str = "") -> str:
        return self.add(Sum(), a, b, how=how)

    def pad(self, source: str, sides: Sequence[int], mode: str = "constant", value: float = 0.0) -> str:
        """Pad by (left, right, top, bottom) as ``F.pad`` does; below 0 it is cut."""
        left, right, top, bottom = sides
        _, h, w = self.shapes[source]
        rows, columns = numbers(h, top, bottom, mode), numbers(w, left, right, mode)
        more = {"value": value} if mode == "constant" else {}
        call = lambda x: fn.pad(x, tuple(sides), mode, **more)  # noqa: E731
        return self.add(Take(rows, columns, value), source, torch=lambda _: call)

    def crop(self, source: str, rows: slice, columns: slice) -> str:
        _, h, w = self.shapes[source]
        op = Take(np.arange(h)[rows], np.arange(w)[columns])
        return self.add(op, source, torch=lambda _: lambda x: x[:, :, rows, columns])

    def upsample(self, source: str, factor: int) -> str:
        _, h, w = self.shapes[source]
        op = Take(np.repeat(np.arange(h), factor), np.repeat(np.arange(w), factor))
        return self.add(op, source, torch=lambda _: nn.Upsample(scale_factor=factor))

    def channels(self, source: str, start: int, stop: int) -> str:
        call = lambda x: x[:, start:stop]  # noqa: E731
        return self.add(Channels(range(start, stop)), source, torch=lambda _: call)

    def shuffle(self, source: str, groups: int) -> str:
        c = self.shapes[source][0]
        index = np.arange(c).reshape(groups, -1).T.reshape(-1)

        def call(x: Tensor) -> Tensor:
            n, _, h, w = x.shape
            return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)

        return self.add(Channels(list(index)), source, torch=lambda _: call)

    def dense(self, source: str, outputs: int) -> str:
        size = int(np.prod(self.shapes[source]))
        weight = self.rng.normal(size=(outputs, size)) / np.sqrt(size / 2)
        return self.add(Dense(weight, self.rng.normal(size=outputs) * 0.3), source)

    def network(self) -> Network:
        return Network(self.steps).double().eval()


def pair(value: Pair | int) -> Pair:
    return (value, value) if isinstance(value, int) else value


def numbers(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """Return which place of an axis stands at each place of the padded axis; −1 where a constant stands."""
    at = np.arange(-before, size + after)
    if mode == "reflect":
        return size - 1 - np.abs(size - 1 - np.abs(at))
    if mode == "replicate":
        return np.clip(at, 0, size - 1)
    return np.where((at < 0) | (at >= size), -1, at)


# ---------------------------------------------------------------- blocks that random networks are made of


def _width(b: Builder) -> int:
    return 2 * int(b.rng.integers(1, 4))


def _plain(b: Builder, x: str) -> str:
    kernel = b.pick(1, 2, 3, 3, 5, (3, 1), (1, 7), (4, 3))
    size = pair(kernel)  # type: ignore[arg-type]
    stride, padding = b.pick(1, 1, 2, (2, 1), 3), b.pick(0, 1, 2, (0, 2), (size[0] // 2, size[1] // 2))
    y = b.conv(x, _width(b), size, stride, padding, bias=bool(b.rng.integers(2)))  # type: ignore[arg-type]
    return b.relu(y) if b.rng.random() < 0.5 else b.relu(b.norm(y))


def _dilated(b: Builder, x: str) -> str:
    groups = 2 if b.shapes[x][0] % 2 == 0 else 1
    return b.relu(b.conv(x, 4, 3, 1, b.pick(0, 2, 3), 2, groups))  # type: ignore[arg-type]


def _residual(b: Builder, x: str) -> str:
    c = b.shapes[x][0]
    y = b.relu(b.norm(b.conv(x, c, 3, 1, 1, bias=False)))
    y = b.norm(b.conv(y, c, 3, 1, 1))
    return b.relu(b.plus(y, x, str(b.pick("", "inplace"))))


def _downsampled(b: Builder, x: str) -> str:
    y = b.norm(b.conv(b.relu(b.conv(x, 4, 3, 2, 1)), 6, 3, 1, 1))
    return b.relu(b.plus(y, b.conv(x, 6, 1, 2)))


def _inception(b: Builder, x: str) -> str:
    one = b.relu(b.conv(x, 2, 1))
    two = b.relu(b.conv(b.conv(x, 2, (1, 7), 1, (0, 3)), 2, (7, 1), 1, (3, 0)))
    three = b.relu(b.conv(b.max_pool(x, 3, 1, 1), 2, 1))
    return b.cat(one, two, three)


def _reduction(b: Builder, x: str) -> str:
    y = b.relu(b.conv(x, 3, 3, 2, 1))
    return b.cat(y, b.max_pool(x, 3, 2, 1) if b.rng.random() < 0.5 else b.average_pool(x, 3, 2, 1))


def _dense_block(b: Builder, x: str) -> str:
    y = b.relu(b.norm(x), fresh=True)
    return b.cat(x, b.conv(y, 2, 3, 1, 1, bias=False))


def _max(b: Builder, x: str) -> str:
    kernel, stride, padding = b.pick((2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 1), ((3, 2), (2, 2), (1, 0)))  # type: ignore[misc]
    return b.max_pool(x, kernel, stride, padding, ceil=bool(b.rng.integers(2)))


def _average(b: Builder, x: str) -> str:
    kernel, stride, padding = b.pick((2, 2, 0), (3, 2, 1), (3, 1, 1), ((2, 3), (1, 2), (1, 1)))  # type: ignore[misc]
    divisor = 5 if b.rng.random() < 0.2 else None
    flags = {"ceil": bool(b.rng.integers(2)), "count_padding": bool(b.rng.integers(2)), "divisor": divisor}
    return b.average_pool(x, kernel, stride, padding, **flags)


def _padded(b: Builder, x: str) -> str:
    mode = str(b.pick("constant", "constant", "reflect", "replicate"))
    sides = [int(v) for v in b.rng.integers(0, 3, 4)]
    value = float(b.pick(0.0, 0.0, 0.5)) if mode == "constant" else 0.0
    return b.relu(b.conv(b.pad(x, sides, mode, value), 4, 3))


def _cut(b: Builder, x: str) -> str:
    """A valid convolution, and a shortcut cut to its size."""
    y = b.conv(x, b.shapes[x][0], 3)
    cut = b.crop(x, slice(1, -1), slice(1, -1)) if b.rng.random() < 0.5 else b.pad(x, (-1, -1, -1, -1))
    return b.relu(b.plus(y, cut))


def _crossroads(b: Builder, x: str) -> str:
    """One map that several steps take, each of which wants something else outside of it."""
    y = b.conv(x, 2, 3, 1, 1)
    y = y if b.rng.random() < 0.5 else b.relu(y)
    roads = [
        lambda: b.max_pool(y, 3, 1, 1),
        lambda: b.conv(y, 2, 3, 1, 1),
        lambda: b.average_pool(y, 3, 1, 1),
        lambda: b.conv(b.pad(y, (1, 1, 1, 1), value=0.7), 2, 3),
        lambda: b.max_pool(b.pad(y, (1, 1, 1, 1), value=-0.4), 3, 1),
        lambda: b.plus(y, b.pad(b.conv(y, 2, 3), (1, 1, 1, 1))),
    ]
    parts = [roads[int(i)]() for i in b.rng.permutation(len(roads))[:4]]
    return b.relu(b.conv(b.cat(*parts), 4, 3, 1, 1))


def _split(b: Builder, x: str) -> str:
    c = b.shapes[x][0]
    if c % 2:
        return _plain(b, x)
    left, right = b.channels(x, 0, c // 2), b.channels(x, c // 2, c)
    right = b.relu(b.conv(right, c // 2, 3, 1, 1, groups=c // 2), fresh=True)
    return b.shuffle(b.cat(left, right), 2)


def _twice(b: Builder, x: str) -> str:
    c = b.shapes[x][0]
    y = b.conv(x, c, 3, 1, 1)
    return b.relu(b.again(y, b.relu(y)))


def _mobile(b: Builder, x: str) -> str:
    c = b.shapes[x][0]
    y = b.relu6(b.norm(b.conv(x, 2 * c, 1, bias=False)))
    y = b.relu6(b.norm(b.conv(y, 2 * c, 3, b.pick(1, 2), 1, groups=2 * c, bias=False)))  # type: ignore[arg-type]
    return b.norm(b.conv(y, 4, 1))


def _small(b: Builder, x: str) -> str:
    return [
        lambda: b.add(Affine(), x, how="dropout"),
        lambda: b.add(Affine(float(b.pick(2.0, -0.7)), 0.3), x),
        lambda: b.add(Smooth(str(b.pick("leaky", "silu"))), x),
        lambda: b.upsample(x, 2) if b.shapes[x][1] < 14 else b.lrn(x),
        lambda: b.add(Gate(b.rng.normal(size=(b.shapes[x][0],) * 2)), x),
        lambda: b.lrn(x),
        lambda: b.crop(x, slice(1, None, 2), slice(None, None, 2)),
    ][int(b.rng.integers(7))]()


BLOCKS = (
    _plain, _plain, _plain, _dilated, _residual, _downsampled, _inception, _reduction, _dense_block, _max, _max,
    _average, _padded, _cut, _crossroads, _crossroads, _split, _twice, _mobile, _small, _small,
)  # fmt: skip


def random_network(seed: int, size: Pair | None = None) -> Builder:
    """Return a random network of three to six blocks; its last steps are a convolution and perhaps a linear head."""
    rng = np.random.default_rng(seed)
    height, width = size or (int(rng.integers(13, 28)), int(rng.integers(13, 28)))
    image = (int(rng.choice([1, 2, 3, 3])), height, width)
    b = Builder(seed, image)
    x = _plain(b, "x")
    for _ in range(int(rng.integers(2, 6))):
        if min(b.shapes[x][1:]) < 7:
            break
        block = BLOCKS[int(rng.integers(len(BLOCKS)))]
        x = block(b, x)
        if b.shapes[x][0] > 10:
            x = b.relu(b.conv(x, 4, 1))
    kernel = tuple(min(3, size) for size in b.shapes[x][1:])
    x = b.conv(x, 4, kernel)  # type: ignore[arg-type]
    if rng.random() < 0.25:
        b.dense(b.relu(x), 5)
    return b


def plains(b: Builder, count: int) -> tuple[np.ndarray, list[Plain]]:
    """Return images for a network, float32 as a data set has them, and the definition run on each."""
    images = np.random.default_rng(len(b.steps)).normal(size=(count, *b.image)).astype(np.float32)
    return images, [Plain(copied(b.steps), image) for image in images]


def copied(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with operations of their own: each remembers one image."""
    return [replace(step, op=copy(step.op)) for step in steps]
