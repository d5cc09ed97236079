"""The top activations of a layer, sent back to the pixels by the fastest way that is exact (METHODS §2).

The ways are tried in this order: on exact cones, on aligned crops, through whole images. Before the work a few
positions are sent both ways, and what comes to the pixels has to be the same; during the work each recomputed
activation has to be the one that the search recorded. Where it is not, whole images are taken, and it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.errors import InputError
from convscope.inspect.attribution import Attribution, Finished, Rule, RuleReport
from convscope.inspect.topk import TopK, paste
from convscope.nets.backward import Origin
from convscope.nets.cone import Cone
from convscope.nets.crops import window
from convscope.nets.data import ImageSet, KeptImages
from convscope.nets.program import IMAGES_OF_A_TRACE, NotAProgramError, read_program
from convscope.nets.proof import Prover
from convscope.nets.rules import check_lrn, find_rule
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap
from convscope.nets.ways import Cones, Raised, Views, Way

Keep = Callable[[Finished], None]
Progress = Callable[[int, int], None]

MODES: Final = ("single", "map")
TOLERANCE: Final = 1e-4
KEPT_IMAGES: Final = 64
CHECKED: Final = 1
"""Positions besides two near the corners that are sent both ways before the work."""


@dataclass(frozen=True)
class Task:
    """What is to be projected.

    Attributes
    ----------
    network, tap, bare
        The network, the layer, and the layer before the ReLU that follows it.
    top, rows
        The top images, and the channels that are projected.
    dataset
        The images.
    rules, mode, lrn
        How.
    proofs
        For how many ranks of each channel proof figures are computed.
    seed
        Of everything random in them.
    """

    network: nn.Module
    tap: Tap
    bare: Tap
    top: TopK
    rows: npt.NDArray[np.intp]
    dataset: ImageSet
    rules: Sequence[Rule]
    mode: str = "single"
    lrn: str = "constant"
    proofs: int = 0
    seed: int = 0

    def origins(self) -> list[Origin]:
        """Return the positions, each with the place where its projection is kept."""
        found = []
        for row, channel in enumerate(self.rows):
            for rank in np.flatnonzero(self.top.image[channel] >= 0):
                y, x = (int(v) for v in self.top.position[channel, rank])
                a, b, c, d = (int(v) for v in self.top.tile_box[channel, rank])
                image = int(self.top.image[channel, rank])
                found.append(Origin(int(channel), y, x, (row, int(rank)), image, (a, b, c, d)))
        return found

    def recorded(self, origins: Sequence[Origin]) -> npt.NDArray[np.float32]:
        """Return the activations that the search recorded."""
        return np.array([self.top.activations[origin.channel, origin.slot[1]] for origin in origins], np.float32)


def task(
    network: nn.Module,
    taps: tuple[Tap, Tap],
    top: TopK,
    dataset: ImageSet,
    rules: Sequence[str | Rule],
    mode: str,
    lrn: str,
    channels: Sequence[int] | None,
    proofs: int = 0,
    seed: int = 0,
) -> Task:
    """Return what was asked for, checked.

    Raises
    ------
    InputError, NotFoundError
        If there is no such rule, mode, channel or way through a normalisation.
    """
    check_lrn(lrn)
    if mode not in MODES:
        raise InputError(f"unknown mode {mode!r}; use single (one position, as in the paper) or map (the whole map)")
    chosen = np.arange(top.channels) if channels is None else _checked(channels, top)
    found = [find_rule(rule) for rule in rules]
    if not found:
        raise InputError("no rule to project by; name one, for instance deconvnet")
    if mode == "map" and (other := [rule.name for rule in found if rule.method != "backward"]):
        raise InputError(f"{other[0]} goes back from single positions; use mode='single'")
    if proofs < 0:
        raise InputError(f"proofs is the number of ranks that get proof figures, 0 or more; got {proofs}")
    return Task(network, *taps, top, chosen, dataset, found, mode, lrn, proofs, seed)


def project(task: Task, keep: Keep, progress: Progress | None = None) -> Attribution:
    """Project the top images of a layer, and hand each batch over as it is done; see ``Model.attribute_each``."""
    return _Projecting(task, keep, progress).run()


@dataclass
class _Projecting:
    """The projections of one layer while they are made."""

    task: Task
    keep: Keep
    progress: Progress | None
    reports: dict[str, RuleReport] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    done: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        dataset = KeptImages(self.task.dataset)  # those with proof figures come back
        self.image = lru_cache(maxsize=KEPT_IMAGES)(lambda number: dataset.images(number, number + 1)[0])
        self.recomputed = np.zeros((len(self.task.rows), self.task.top.k), np.float32)
        self.wrong = np.zeros(self.recomputed.shape, bool)
        self.prover = Prover(self.task.seed)

    def run(self) -> Attribution:
        origins = self.task.origins()
        backward = [rule for rule in self.task.rules if rule.method == "backward"]
        others = [rule for rule in self.task.rules if rule.method != "backward"]
        self.total = len(origins) * bool(backward) + len(origins) * len(others)
        if origins and backward:
            self._by(self._way(origins, backward), origins, backward)
        for rule in others:
            self._by(self._views(cropped=rule.crops), origins, [rule])
        return Attribution(
            layer=self.task.top.layer,
            reports={rule.name: self.reports.get(rule.name, RuleReport(rule.name, 0, 0)) for rule in self.task.rules},
            recomputed=self.recomputed,
            mismatches=int(self.wrong.sum()),
            engine="; ".join(dict.fromkeys(self.said)) or "nothing to project",
        )

    def _way(self, origins: list[Origin], rules: Sequence[Rule]) -> Way:
        """Return the fastest way that proves exact; what the rules could be applied to is found on the way."""
        whole = self._views(cropped=False, quiet=True)
        checked = _spread(origins)
        truth = self._sent(whole, checked, rules)
        for name, make in (("exact cones", self._cones), ("aligned crops", self._crops)):
            try:
                way, tried, how = make(origins, rules)
            except NotAProgramError as error:
                if str(error):
                    self.said.append(f"no {name}: {error}")
                continue
            if all(self._agrees(one, checked, rules, truth) for one in tried):
                self.said.append(f"{name}{how}")
                return way
            self.said.append(f"no {name}: they gave other values than whole images")
        self.said.append("whole images")
        return whole

    def _cones(self, origins: list[Origin], rules: Sequence[Rule]) -> tuple[Way, list[Way], str]:
        """Return the way on cones, the ways that positions go on it, and what there is to say."""
        task = self.task
        if task.mode == "map":
            raise NotAProgramError("a whole map is sent back")
        batch = getattr(task.network, "fixed_batch", None) or IMAGES_OF_A_TRACE
        image = to_tensor(np.repeat(self.image(origins[0].image)[None], batch, axis=0), task.network)
        way = Cones(
            Cone.of(read_program(task.network, image, task.tap), task.lrn), task.tap, self.image, task.network, rules
        )
        if not (count := way.sharing(origins)):
            return way, [way], ""
        passed = f", {count:,} {'image' if count == 1 else 'images'} passed once for all their positions"
        return way, [replace(way, shared=shared) for shared in (True, False)], passed

    def _crops(self, _: list[Origin], __: Sequence[Rule]) -> tuple[Way, list[Way], str]:
        top = self.task.top
        if self.task.mode == "map" or top.shows_whole_image or window(top.receptive_field, top.input_size) is None:
            raise NotAProgramError
        way = self._views(cropped=True, quiet=True)
        return way, [way], ""

    def _views(self, *, cropped: bool, quiet: bool = False) -> Views:
        task, top = self.task, self.task.top
        crops = None if top.shows_whole_image or not cropped else window(top.receptive_field, top.input_size)
        if not quiet:
            self.said.append("aligned crops" if crops else "whole images")
        return Views(task.network, task.tap, self.image, task.lrn, top.input_size, crops, task.mode == "map", task.bare)

    def _sent(self, way: Way, origins: list[Origin], rules: Sequence[Rule]) -> list[npt.NDArray[np.float32]]:
        """Return the tiles of some positions by each rule."""
        found: dict[tuple[int, int], list[npt.NDArray[np.float32]]] = {}
        for batch in way.batches(origins):
            with way.up(batch) as raised:
                channels = np.array([origin.channel for origin in batch])
                tiles = [self._tiles(batch, raised, raised.back(channels, rule)) for rule in rules]
                self._note(raised)
            found |= {origin.slot: [one[i] for one in tiles] for i, origin in enumerate(batch)}
        return [np.stack([found[origin.slot][number] for origin in origins]) for number in range(len(rules))]

    def _agrees(
        self, way: Way, origins: list[Origin], rules: Sequence[Rule], truth: list[npt.NDArray[np.float32]]
    ) -> bool:
        try:
            found = self._sent(way, origins, rules)
        except (RuntimeError, ValueError, LookupError, TypeError, AssertionError):
            return False  # a network that takes no images of another size
        return all(
            np.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(theirs).max(initial=0)))
            for ours, theirs in zip(found, truth, strict=True)
        )

    def _by(self, way: Way, origins: list[Origin], rules: Sequence[Rule]) -> None:
        """Send all positions one way, and those whose activation is not the recorded one through whole images again."""
        again = self._send(way, origins, rules)
        if again and not (isinstance(way, Views) and way.crops is None):
            self.total += len(again)
            whole = self._views(cropped=False, quiet=True)
            still = self._send(whole, again, rules)
            if len(still) < len(again):
                self.said.append(f"{len(again)} from whole images, because their activation was not the recorded one")
            again = still
        for origin in again:
            self.wrong[origin.slot] = True

    def _send(self, way: Way, origins: list[Origin], rules: Sequence[Rule]) -> list[Origin]:
        """Send positions back, those with proof figures first; return those that are not what was recorded."""
        wrong = []
        whole = isinstance(way, Views) and way.crops is None
        proved = [origin for origin in origins if origin.slot[1] < self.task.proofs]
        plain = [origin for origin in origins if origin.slot[1] >= self.task.proofs]
        for batch, prove in ((batch, part is proved) for part in (proved, plain) for batch in way.batches(part)):
            with way.up(batch) as raised:
                bad = self._activations(batch, raised)
                wrong += [origin for origin, other in zip(batch, bad, strict=True) if other]
                self._go_back(way, batch, raised, rules, np.ones(len(batch), bool) if whole else ~bad, prove=prove)
                self._note(raised)
            self.done += len(batch)
            if self.progress:
                self.progress(self.done, self.total)
        return wrong

    def _activations(self, batch: Sequence[Origin], raised: Raised) -> npt.NDArray[np.bool_]:
        """Note the recomputed activations of a batch, and return which are not those of the search."""
        channels = torch.as_tensor([origin.channel for origin in batch])
        outcome = raised.outcome
        values = self.task.tap.rectified(outcome[torch.arange(len(batch)), channels.to(outcome.device)])
        found = values.float().cpu().numpy()
        for origin, value in zip(batch, found, strict=True):
            self.recomputed[origin.slot] = value
        slack = TOLERANCE * float(np.abs(self.task.top.activations).max(initial=0))
        wrong: npt.NDArray[np.bool_] = ~np.isclose(found, self.task.recorded(batch), rtol=TOLERANCE, atol=slack)
        return wrong

    def _go_back(
        self,
        way: Way,
        batch: Sequence[Origin],
        raised: Raised,
        rules: Sequence[Rule],
        good: npt.NDArray[np.bool_],
        *,
        prove: bool,
    ) -> None:
        """Send a batch back by each rule and hand over what came to the pixels of those that are ``good``."""
        slots = np.array([origin.slot for origin in batch]).reshape(-1, 2)
        channels = np.array([origin.channel for origin in batch])
        signals = {rule: raised.back(channels, rule) for rule in rules}
        proofs = self.prover.figures(way, self.task.tap, batch, raised, signals) if prove else {}
        for rule, signal in signals.items() if good.any() else ():
            tiles, proof = self._tiles(batch, raised, signal)[good], proofs.get(rule)
            self.keep(Finished(rule.name, slots[good], tiles, None if proof is None else proof[good]))

    def _tiles(self, batch: Sequence[Origin], raised: Raised, signal: Tensor) -> npt.NDArray[np.float32]:
        """Cut the tiles ``(B, h, w, c)`` out of what came to the pixels."""
        pixels = signal.permute(0, 2, 3, 1).float().cpu().numpy()
        tiles = np.zeros((len(batch), *self.task.top.tile_size, pixels.shape[-1]), np.float32)
        for tile, picture, origin, corner in zip(tiles, pixels, batch, raised.corners, strict=True):
            paste(tile, picture, np.asarray(origin.box, np.int32) - np.tile(corner, 2).astype(np.int32))
        return tiles

    def _note(self, raised: Raised) -> None:
        self.reports.update(getattr(raised, "reports", {}))


def _spread(origins: list[Origin]) -> list[Origin]:
    """Return a few positions: the two nearest to opposite corners, where paddings show, and others in between."""
    order = sorted(range(len(origins)), key=lambda i: (origins[i].y + origins[i].x, i))
    places = {order[0], order[-1], *np.linspace(0, len(origins) - 1, CHECKED).astype(int).tolist()}
    return [origins[place] for place in sorted(places)]


def _checked(channels: Sequence[int], top: TopK) -> npt.NDArray[np.intp]:
    chosen = np.asarray(channels, np.intp).reshape(-1)
    outside = chosen[(chosen < 0) | (chosen >= top.channels)]
    if len(outside):
        raise InputError(f"no channel {int(outside[0])} in layer {top.layer!r}; it has 0..{top.channels - 1}")
    return chosen
