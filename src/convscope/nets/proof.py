"""Proof figures for projections, computed on the way they were made (METHODS §2, last item)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.inspect.attribution import Rule
from convscope.inspect.proof import PROOF, cosines, lost, marked
from convscope.nets.backward import Origin
from convscope.nets.trace import Tap
from convscope.nets.ways import Climbed, Cones, Raised, Way

Floats = npt.NDArray[np.float32]


@dataclass
class Prover:
    """Computes proof figures; everything random depends on the seed, the channel and the rank, not on the batch.

    Shuffled networks are made once and used for all batches of a way.
    """

    seed: int
    _twins: dict[tuple[int, bool], Way | None] = field(default_factory=dict)

    def figures(
        self, way: Way, tap: Tap, batch: Sequence[Origin], raised: Raised, signals: Mapping[Rule, Tensor]
    ) -> dict[Rule, Floats]:
        """Return by rule the figures ``(B, 5)`` of :data:`convscope.inspect.proof.PROOF`.

        A rule with a method of its own gets the figures of deletion only: the others would be as dear as itself.
        """
        found = {rule: np.full((len(batch), len(PROOF)), np.nan, np.float32) for rule in signals}
        pictures = {rule: signal.float().cpu().numpy() for rule, signal in signals.items()}
        starts = {rule: replace(rule, start="direction") for rule in signals if rule.method == "backward"}
        others = self._others(tap, batch, raised)
        for rule, start in starts.items():
            found[rule][:, 0] = 1 - cosines(pictures[rule], _pixels(raised.back(others, start)))
        for column, own in ((1, True), (2, False)):
            shuffled = self._shuffled(way, batch, raised, starts.values(), own=own) if starts else None
            for rule, start in starts.items():
                if shuffled is not None:
                    found[rule][:, column] = cosines(pictures[rule], shuffled[start])
        before = _values(tap, raised.outcome, batch)
        at_random = self._without(way, tap, batch, raised, None, before)
        for rule, picture in pictures.items():
            strength = np.abs(picture).sum(axis=1)
            found[rule][:, 3] = self._without(way, tap, batch, raised, strength, before)
            found[rule][:, 4] = at_random
        return found

    def _random(self, origin: Origin) -> np.random.Generator:
        return np.random.default_rng([self.seed, origin.channel, origin.slot[1]])

    def _at_random(self, origin: Origin, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return a random number for each pixel inside, the same whatever lies around them."""
        order = np.zeros(inside.shape)
        order[inside] = self._random(origin).random(int(inside.sum()))
        return order

    def _others(self, tap: Tap, batch: Sequence[Origin], raised: Raised) -> npt.NDArray[np.int64]:
        """Return for each position another channel, one that is active there if any is."""
        active = tap.rectified(raised.outcome).cpu().numpy() > 0
        channels = np.zeros(len(batch), np.int64)
        for i, origin in enumerate(batch):
            choices = active[i].copy()
            choices[origin.channel] = False
            if not choices.any():
                choices[:] = True
                choices[origin.channel] = len(choices) == 1
            channels[i] = self._random(origin).choice(np.flatnonzero(choices))
        return channels

    def _shuffled(
        self, way: Way, batch: Sequence[Origin], raised: Raised, rules: Iterable[Rule], *, own: bool
    ) -> dict[Rule, Floats] | None:
        """Return the projections of the same positions by a network with shuffled weights; ``None`` without such."""
        key = (id(way), own)
        if key not in self._twins:
            self._twins[key] = way.shuffled(self.seed, own=own)
        twin = self._twins[key]
        if twin is None:
            return None
        channels = np.array([origin.channel for origin in batch])
        if own and isinstance(raised, Climbed) and isinstance(twin, Cones):
            with torch.no_grad():  # the layer's own weights matter on the way back only
                return {rule: _pixels(replace(raised, way=twin).back(channels, rule)) for rule in rules}
        with twin.up(batch) as other:
            return {rule: _pixels(other.back(channels, rule)) for rule in rules}

    def _without(
        self, way: Way, tap: Tap, batch: Sequence[Origin], raised: Raised, strength: Floats | None, before: Floats
    ) -> Floats:
        """Return the share of each activation that is lost without the strongest, or without random pixels."""
        pixels = raised.pixels.clone()
        for i, origin in enumerate(batch):
            inside = _inside(origin, raised.corners[i], way, pixels.shape[-2:])
            order = self._at_random(origin, inside) if strength is None else strength[i]
            _blank(pixels[i], torch.as_tensor(inside), torch.as_tensor(marked(order, inside)))
        found = lost(before, _values(tap, way.again(batch, raised, pixels), batch))
        if strength is not None:
            found[~strength.reshape(len(batch), -1).any(axis=1)] = np.nan
        return found


def _values(tap: Tap, outcome: Tensor, batch: Sequence[Origin]) -> Floats:
    """Return the activations of a batch, ``(B,)``."""
    channels = torch.as_tensor([origin.channel for origin in batch])
    return np.asarray(tap.rectified(outcome)[torch.arange(len(batch)), channels].float().cpu().numpy())


def _pixels(signal: Tensor) -> Floats:
    return np.asarray(signal.float().cpu().numpy())


def _inside(origin: Origin, corner: npt.NDArray[Any], way: Way, size: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return which of the pixels that went up lie in the field and in the image."""
    y0, x0, y1, x1 = (edge - int(corner[i % 2]) for i, edge in enumerate(origin.box))
    height, width = way.size
    inside = np.zeros(tuple(size), bool)
    top, left = max(0, y0, -int(corner[0])), max(0, x0, -int(corner[1]))
    inside[top : max(0, min(y1, height - int(corner[0]))), left : max(0, min(x1, width - int(corner[1])))] = True
    return inside


def _blank(pixels: Tensor, inside: Tensor, chosen: Tensor) -> None:
    """Set pixels ``(c, h, w)`` to the mean colour of those inside, in place."""
    mean = pixels[:, inside.to(pixels.device)].mean(dim=1)
    pixels[:, chosen.to(pixels.device)] = mean[:, None]
