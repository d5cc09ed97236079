"""Projections are exactly what the papers define: a zoo of random networks against plain float64 definitions.

Every way that the engine knows is held against them: on exact cones with a forward pass for each position or one for
each image, on aligned crops, and through whole images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from attribution_networks import Step
from attribution_plain import Affine, Convolution, Dense, Rectifier
from attribution_zoo import Builder, plains, random_network
from convscope.inspect.attribution import LRN, Finished
from convscope.inspect.topk import TopK
from convscope.nets import crops, projecting, ways
from convscope.nets.cone import Cone
from convscope.nets.data import InputImages
from convscope.nets.program import NotAProgramError
from convscope.nets.torch import Model

RULES = ("deconvnet", "guided_backprop", "gradient", "gradient_x_input")
WAYS = (
    "exact cones",
    "exact cones, images passed once",
    "exact cones, one at a time",
    "exact cones, one at a time, images passed once",
    "aligned crops",
    "whole images",
)


def only(way: str, patch: pytest.MonkeyPatch) -> None:
    """Let the engine take one way, where a network allows it."""

    def none(*_: object) -> None:
        raise NotAProgramError("not wanted here")

    if way.startswith("exact cones"):
        patch.setattr(Cone, "shares", lambda *_: way.endswith("once"))
        patch.setattr(ways, "ALONE", 0 if "one at a time" in way else ways.ALONE)
    else:
        patch.setattr(projecting._Projecting, "_cones", none)
        patch.setattr(crops, "WORTHWHILE", 1.0 if way == "aligned crops" else 0.0)


# ---------------------------------------------------------------- one network, ours against the definition


@dataclass
class Case:
    """A network with two images: as torch runs it, and as the definition does."""

    builder: Builder
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.images, self.definitions = plains(self.builder, 2)
        self.model = Model(self.builder.network(), input_shape=self.builder.image)
        self.dataset = InputImages(self.images)
        self.engines: list[str] = []

    def layers(self, count: int) -> list[Step]:
        """Return the last layer with weights and some others; a convolution that is used again counts twice."""
        found = weighted(self.builder)
        others = [found[int(i)] for i in self.rng.permutation(len(found) - 1)]
        return [*others[: count - 1], found[-1]]

    def places(self, rows: int, columns: int) -> np.ndarray:
        """Return the corners of a map, places on its borders, and places inside."""
        down, across = int(self.rng.integers(rows)), int(self.rng.integers(columns))
        inside = [(int(self.rng.integers(rows)), int(self.rng.integers(columns))) for _ in range(2)]
        corners = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)]
        return np.array([*corners, (down, 0), (rows - 1, across), *inside], np.int32)

    def top(self, step: Step) -> TopK:
        """Return a result of a search in which rank r of every channel stands at place r, in image r mod 2."""
        maps = [plain.activation(step.name) for plain in self.definitions]
        places = self.places(*maps[0].shape[1:])
        found = self.model.top_k(self.dataset, layers=[step.layer], k=len(places))[step.layer]
        shape = (found.channels, len(places))
        numbers = np.arange(len(places)) % 2
        value = np.stack([maps[n][:, y, x] for n, (y, x) in zip(numbers, places, strict=True)], axis=1)
        return replace(
            found,
            image=np.broadcast_to(numbers, shape).copy(),
            position=np.broadcast_to(places, (*shape, 2)).copy(),
            value=value.astype(np.float32),
        )

    def compare(
        self, step: Step, rules: Sequence[str] = RULES, lrn: str = "constant", mode: str = "single", channels: int = 3
    ) -> int:
        """Compare all of a layer's positions; return how many of the projections are not zero."""
        top = self.top(step)
        chosen = sorted({0, int(self.rng.integers(top.channels)), top.channels - 1})[-channels:]
        tiles = {rule: np.full((len(chosen), top.k, *top.tile_size, self.builder.image[0]), np.nan) for rule in rules}

        def keep(batch: Finished) -> None:
            tiles[batch.rule][batch.slots[:, 0], batch.slots[:, 1]] = batch.tiles

        ours = self.model.attribute_each(top, self.dataset, keep=keep, rules=rules, lrn=lrn, mode=mode, channels=chosen)
        self.engines.append(ours.engine.rpartition("; ")[2])
        assert "gave other values" not in ours.engine, f"{step.layer}: {ours.engine}"
        assert "not the recorded one" not in ours.engine, f"{step.layer}: {ours.engine}"
        assert ours.mismatches == 0, step.layer
        np.testing.assert_allclose(ours.recomputed, top.value[chosen], rtol=1.2e-7, atol=1e-9, err_msg=step.layer)
        pairs = [(row, rank) for row in range(len(chosen)) for rank in range(top.k)]
        return sum(
            self._against(step, rule, lrn, mode, [(chosen[row], *top.position[0, rank]) for row, rank in pairs], part)
            for rule in rules
            for part in [(tiles[rule].reshape(len(pairs), *tiles[rule].shape[2:]), top.tile_box[chosen].reshape(-1, 4))]
        )

    def _against(
        self, step: Step, rule: str, lrn: str, mode: str, at: Sequence[tuple[int, ...]], ours: tuple[np.ndarray, ...]
    ) -> int:
        """Compare tiles with the definition, positions of the two images in turn."""
        done = 0
        for number, plain in enumerate(self.definitions):
            mine = slice(number, None, 2)
            seeds = plain.seeds(step.name, at[mine], rule, mode)
            truth = plain.project(step.name, seeds, rule, lrn)
            for place, whole, tile, box in zip(at[mine], truth, *(part[mine] for part in ours), strict=True):
                done += same(tile, whole, box, mode, f"{step.layer} by {rule}, {lrn}, {mode} at {place}")
        return done


def weighted(b: Builder) -> list[Step]:
    return [step for step in b.steps if isinstance(step.op, Convolution | Dense)]


def same(tile: np.ndarray, whole: np.ndarray, box: np.ndarray, mode: str, what: str) -> bool:
    """Assert that a tile is what lies in its box, and that outside of the box is nothing; whether it holds anything."""
    inside, outside = cut(whole, box)
    strongest = np.abs(whole).max()
    assert mode == "map" or outside <= 1e-12 * strongest, f"outside the field: {what}"
    # what is handed over is float32, rounded once (2⁻²⁴); before that it is float64
    np.testing.assert_allclose(tile, inside, rtol=6.1e-8, atol=1e-10 * strongest, err_msg=what)
    return bool(strongest > 0)


def cut(whole: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what of a projection ``(c, H, W)`` lies in a box, and the largest value that does not."""
    _, height, width = whole.shape
    y0, x0, y1, x1 = (int(edge) for edge in box)
    margin = max(0, -y0, -x0, y1 - height, x1 - width)
    wide = np.pad(whole, ((0, 0), (margin, margin), (margin, margin)))
    inside = wide[:, y0 + margin : y1 + margin, x0 + margin : x1 + margin].copy()
    wide[:, y0 + margin : y1 + margin, x0 + margin : x1 + margin] = 0
    return inside.transpose(1, 2, 0), float(np.abs(wide).max())


def clear(seed: int, size: tuple[int, int] | None = None) -> Case:
    """Return a random network in which no maximum hangs on the last bits."""
    for number in range(seed, seed + 10_000, 1000):
        case = Case(random_network(number, size), np.random.default_rng(seed))
        if not any(plain.doubtful for plain in case.definitions):
            return case
    raise AssertionError("ten networks in a row are in doubt")


# ---------------------------------------------------------------- random networks


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_are_projected_as_the_papers_define(seed: int) -> None:
    """By all rules, and by the way that the engine chooses."""
    case = clear(seed)
    assert sum(case.compare(step) for step in case.layers(2)) > 0


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_what_the_papers_define(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only(way, monkeypatch)
    taken = compared = 0
    for seed in range(100, 106):
        case = clear(seed, (32, 24))  # crops need multiples of the strides
        compared += sum(case.compare(step, channels=1) for step in case.layers(2))
        name, once = way.split(",", maxsplit=1)[0], "once" in way
        taken += sum(engine.startswith(name) and ("once" in engine) == once for engine in case.engines)
    assert compared > 100
    assert taken >= 5, "this way was hardly taken: nothing is tested"


@pytest.mark.parametrize("lrn", LRN)
def test_every_way_through_lrn_and_whole_maps(lrn: str) -> None:
    b = Builder(5, (3, 22, 25))
    x = b.lrn(b.relu(b.conv("x", 6, 3, 2, 1)))
    x = b.lrn(b.relu(b.conv(b.max_pool(x, 3, 2, ceil=True), 5, 3, 1, 1)))
    b.conv(x, 4, 3, 1, 1)
    case = Case(b, np.random.default_rng(0))
    last = case.layers(1)[0]
    assert case.compare(last, ("deconvnet", "guided_backprop", "gradient"), lrn) > 30
    assert case.compare(last, RULES, lrn, mode="map") > 30
    assert case.engines == ["exact cones, 2 images passed once for all their positions", "whole images"]


@pytest.mark.parametrize("how", ["", "functional", "clamp"])
def test_a_relu6_at_its_ceiling(how: str) -> None:
    """However it is written; of a real MobileNet nearly all top activations are at the ceiling."""
    case = at_the_ceiling(how)
    for step in case.layers(2):
        assert case.compare(step, ("deconvnet", "gradient")) > 0


def at_the_ceiling(how: str) -> Case:
    b = Builder(0, (2, 12, 11))
    x = b.add(Rectifier(6.0), b.add(Affine(20.0), b.conv("x", 3, 3)), how=how)
    b.add(Rectifier(6.0), b.conv(x, 4, 3), how=how)
    case = Case(b, np.random.default_rng(0))
    assert (case.definitions[0].values["s2"] == 6).mean() > 0.2
    return case


def test_guided_backprop_starts_at_a_ceiling_the_same_however_it_is_written() -> None:
    found = []
    for how in ("", "functional"):
        case = at_the_ceiling(how)
        y, x = np.argwhere(case.definitions[0].activation("s3")[1] == 6)[0]
        found.append(case.model.project(case.images[0], "s3", 1, (int(y), int(x)), "guided_backprop")[0])
    np.testing.assert_allclose(found[0], found[1])


def test_single_precision_is_right_to_a_millionth() -> None:
    """In float32, against whole images in float64 with the same weights."""
    for seed in range(300, 306):
        b = random_network(seed, (32, 24))
        single, double = (Model(b.network().to(kind), input_shape=b.image) for kind in (torch.float32, torch.float64))
        double.network.load_state_dict({name: value.double() for name, value in single.network.state_dict().items()})
        images = InputImages(np.random.default_rng(seed).normal(size=(3, *b.image)).astype(np.float32))
        layer = weighted(b)[-1].layer
        top = single.top_k(images, layers=[layer], k=2)[layer]
        ours = single.attribute(top, images)
        assert ours.mismatches == 0
        wholes = np.zeros_like(ours.values)
        for channel, rank in np.ndindex(top.image.shape):
            place = tuple(int(v) for v in top.position[channel, rank])
            image = images.images(int(top.image[channel, rank]), int(top.image[channel, rank]) + 1)
            wholes[channel, rank], _ = cut(double.project(image, layer, channel, place)[0], ours.box[channel, rank])
        assert wholes.any()
        np.testing.assert_allclose(ours.values, wholes, rtol=0, atol=1e-6 * np.abs(wholes).max())
