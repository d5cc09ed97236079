"""Ways from a layer's positions back to the pixels: on exact cones, on aligned crops, or through whole images.

All give the same numbers. A way takes a batch of positions up to the layer once, and sends them back by any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.inspect.attribution import Rule, RuleReport
from convscope.nets.backward import Height, Origin, fixed_batch, risen, start_values
from convscope.nets.batches import even_batches
from convscope.nets.climb import Climb, Climbs
from convscope.nets.cone import Cone
from convscope.nets.crops import Window
from convscope.nets.methods import go_back
from convscope.nets.parts import parts
from convscope.nets.recognised import rectifies
from convscope.nets.rules import ruled
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap
from convscope.nets.windows import sized

Ints = npt.NDArray[np.int64]
Pair = tuple[int, int]
Item = TypeVar("Item")
ImageOf = Callable[[int], npt.NDArray[Any]]
"""Gives image number i of the data set as the network takes it, ``(C, H, W)``."""

PIXELS_AT_ONCE: Final = 400_000
POSITIONS_AT_ONCE: Final = 64
VALUES_AT_ONCE: Final = 12_000_000
VALUES_ON_A_GPU: Final = 400_000_000
SHARING_AT_ONCE: Final = 16
ALONE: Final = 4_000_000
"""Cones of more values than that are worked on one at a time."""


class Raised(Protocol):
    """A batch of positions that has gone up to the layer.

    Attributes
    ----------
    outcome
        The values of all channels at the positions ``(B, C)``, before a functional ReLU that follows.
    pixels
        The part of the image that each was made of, ``(B, c, h, w)``.
    corners
        Where these parts begin in their images, (y, x) ``(B, 2)``.
    """

    @property
    def outcome(self) -> Tensor:
        """The values of all channels at the positions."""
        ...

    @property
    def pixels(self) -> Tensor:
        """What each was made of."""
        ...

    @property
    def corners(self) -> Ints:
        """Where that begins."""
        ...

    def back(self, channels: Ints, rule: Rule) -> Tensor:
        """Send one channel of each position back to the pixels, ``(B, c, h, w)``."""
        ...


class Way(Protocol):
    """How a layer's positions are sent back."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        ...

    def batches(self, origins: Sequence[Origin]) -> Iterator[Sequence[Origin]]:
        """Yield positions that go up together."""
        ...

    def up(self, batch: Sequence[Origin]) -> Any:
        """Take a batch up: a context with a :class:`Raised`."""
        ...

    def again(self, batch: Sequence[Origin], raised: Raised, pixels: Tensor) -> Tensor:
        """Return the outcome ``(B, C)`` for other pixels in the place of those that went up."""
        ...

    def shuffled(self, seed: int, *, own: bool) -> Way | None:
        """Return the way through the network with the weights of the layer, or of all, shuffled; or ``None``."""
        ...


@dataclass(frozen=True)
class Views:
    """Through the network itself, with autograd: whole images, or crops that hold the receptive field.

    Attributes
    ----------
    network, tap
        The network and the layer.
    image
        Gives the images.
    lrn
        What is done at local response normalisation.
    crops
        How images are cut; ``None`` for whole images.
    whole_map
        Send a channel's whole map back instead of one position of it.
    bare
        The layer before its ReLU: with shuffled weights that would often be closed, and let no derivative through.
    """

    network: nn.Module
    tap: Tap
    image: ImageOf
    lrn: str
    size: tuple[int, int]
    crops: Window | None = None
    whole_map: bool = False
    bare: Tap | None = None

    def batches(self, origins: Sequence[Origin]) -> Iterator[Sequence[Origin]]:
        """Yield positions of some images; those of one image share its forward pass."""
        height, width = self.crops.size if self.crops else self.size
        most = fixed_batch(self.network) or max(1, min(256, PIXELS_AT_ONCE // (height * width)))
        if self.crops:
            yield from _portions(sorted(origins, key=_by_image), most)
            return
        groups = _by_images(origins)
        # images with many positions first, so that those of one batch need about the same number of ways back
        for batch in _portions(sorted(groups, key=lambda image: (-len(groups[image]), image)), most):
            together = [origin for image in batch for origin in groups[image]]
            yield from _portions(together, max(most, POSITIONS_AT_ONCE))

    @contextmanager
    def up(self, batch: Sequence[Origin]) -> Iterator[Viewed]:
        """Take a batch up."""
        views: dict[tuple[int, int, int], int] = {}
        corners = [self._corner(origin) for origin in batch]
        rows = [views.setdefault((o.image, *corner), len(views)) for o, corner in zip(batch, corners, strict=True)]
        pictures = np.stack([self._cut(image, (y, x)) for image, y, x in views])
        with self._raised(batch, pictures, rows, corners) as viewed:
            yield viewed

    def again(self, batch: Sequence[Origin], raised: Raised, pixels: Tensor) -> Tensor:
        """Return the outcome for other pixels, each a picture of its own."""
        found = []
        most = fixed_batch(self.network) or max(1, PIXELS_AT_ONCE // (pixels.shape[-1] * pixels.shape[-2]))
        corners = [(int(y), int(x)) for y, x in raised.corners]
        for part in _portions(range(len(batch)), most):
            pictures = pixels[list(part)].cpu().numpy()
            some = [batch[i] for i in part]
            with self._raised(some, pictures, range(len(some)), [corners[i] for i in part]) as viewed:
                found.append(viewed.outcome)
        return torch.cat(found)

    def shuffled(self, seed: int, *, own: bool) -> Views | None:
        """Return the way through a copy with shuffled weights."""
        import copy

        twin = copy.deepcopy(self.network)
        modules = dict(twin.named_modules())
        name = self.tap.layer.name.partition(":")[0]
        # a network that is called in a way of its own wraps the user's, whose names its modules do not have
        chosen = (
            [module for path, module in modules.items() if path == name or path.endswith(f".{name}")] if own else [twin]
        )
        weights = [p for module in chosen[:1] for p in module.parameters() if p.ndim > 1]
        if not weights:
            return None
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in weights:
                weight.copy_(shuffle(weight, generator))
        return replace(self, network=twin, tap=self.bare or self.tap)

    def _corner(self, origin: Origin) -> tuple[int, int]:
        return self.crops.corner(np.asarray(origin.box)) if self.crops else (0, 0)

    def _cut(self, image: int, corner: tuple[int, int]) -> npt.NDArray[Any]:
        whole = self.image(image)
        return self.crops.cut(whole, corner) if self.crops else whole

    @contextmanager
    def _raised(
        self,
        batch: Sequence[Origin],
        pictures: npt.NDArray[Any],
        rows: Sequence[int],
        corners: Sequence[tuple[int, int]],
    ) -> Iterator[Viewed]:
        places = [
            self.crops.position(origin.y, origin.x, corner) if self.crops else (origin.y, origin.x)
            for origin, corner in zip(batch, corners, strict=True)
        ]
        with risen(self.network, pictures, self.tap) as height:
            yield Viewed(
                self, height, pictures, np.asarray(rows), np.asarray(places), np.asarray(corners).reshape(-1, 2)
            )


@dataclass
class Viewed:
    """A batch of positions in views that have gone up through the network."""

    way: Views
    height: Height
    pictures: npt.NDArray[Any]
    rows: Ints
    places: Ints
    corners: Ints
    reports: dict[str, RuleReport] = field(default_factory=dict)

    @property
    def outcome(self) -> Tensor:
        """The values of all channels at the positions."""
        y, x = torch.as_tensor(self.places.T)
        return self.height.values.detach()[torch.as_tensor(self.rows), :, y, x]

    @property
    def pixels(self) -> Tensor:
        """The views, one for each position."""
        return self.height.images.detach()[torch.as_tensor(self.rows)]

    def back(self, channels: Ints, rule: Rule) -> Tensor:
        """Send one channel of each position back; those of one view go one after the other."""
        if rule.method != "backward":
            return self._by_method(channels, rule)
        found = torch.zeros_like(self.pixels)
        with ruled(self.height.root, rule, self.way.lrn) as report:
            self.reports[rule.name] = report
            for turn in _turns(self.rows):
                found[turn] = self.height.back(self._seed(channels, turn, rule))[torch.as_tensor(self.rows[turn])]
        return found * self.pixels if rule.times_input else found

    def _seed(self, channels: Ints, turn: Ints, rule: Rule) -> Tensor:
        """Return what is sent back from the layer's maps: a value for each view of this turn, or its whole map."""
        values = self.height.values.detach()
        seed = torch.zeros_like(values)
        view, channel = torch.as_tensor(self.rows[turn]), torch.as_tensor(channels[turn])
        if self.way.whole_map:
            seed[view, channel] = start_values(self.way.tap, values[view, channel], rule)
        else:
            y, x = torch.as_tensor(self.places[turn].T)
            seed[view, channel, y, x] = start_values(self.way.tap, values[view, channel, y, x], rule)
        return seed

    def _by_method(self, channels: Ints, rule: Rule) -> Tensor:
        """Apply a rule that is more than one way back, to each position by itself."""
        way = self.way
        origins = [Origin(int(c), int(y), int(x)) for c, (y, x) in zip(channels, self.places, strict=True)]
        corners = [(int(y), int(x)) for y, x in self.corners] if way.crops else None
        pictures = self.pictures[self.rows]
        signal, _, report = go_back(
            way.network, pictures, way.tap, origins, rule, way.lrn, corners=corners, size=way.size
        )
        self.reports[rule.name] = report
        return signal


@dataclass(frozen=True)
class Cones:
    """On the exact cone of each position, without the network: its program is run on parts of the maps.

    Attributes
    ----------
    cone
        The program and its windows.
    tap
        The layer.
    image
        Gives the images.
    like
        The network: what it computes with and where.
    rules
        By which rules there will be ways back.
    own
        Weights that take the place of the layer's own on the way back.
    shared
        Whether the positions of an image share its forward pass; ``None`` for those images where that is less work.
    """

    cone: Cone
    tap: Tap
    image: ImageOf
    like: nn.Module
    rules: Sequence[Rule]
    own: Tensor | None = None
    shared: bool | None = None

    @property
    def size(self) -> Pair:
        """Height and width of an image."""
        height, width = self.cone.program.image[-2:]
        return height, width

    def batches(self, origins: Sequence[Origin]) -> Iterator[Sequence[Origin]]:
        """Yield as many positions as fit into memory: of images that share a forward pass, or on cones of their own.

        An image with many positions is passed once for all of them; those of the others go up each by itself.
        """
        most = max(1, (VALUES_AT_ONCE if self._on_cpu else VALUES_ON_A_GPU) // self.cone.values_of_one())
        sharing, alone = self._divided(origins)
        # half of that is as much as pays to share: an image with more positions is divided evenly
        together = max(most, SHARING_AT_ONCE, 2 * self.cone.fewest_that_share)
        batch: list[Origin] = []
        for part in (part for group in sharing for part in _portions(group, even_batches(len(group), together))):
            full = len(batch) + len(part) > together or (batch and self._kind is Climbs)
            if full:  # the positions of an image stay together; large maps are faster one image at a time
                yield batch
                batch = []
            batch += part
        if batch:
            yield batch
        yield from _portions([origin for group in alone for origin in group], most)

    def sharing(self, origins: Sequence[Origin]) -> int:
        """Return how many images are passed once for all their positions."""
        return len(self._divided(origins)[0])

    def _divided(self, origins: Sequence[Origin]) -> tuple[list[list[Origin]], list[list[Origin]]]:
        """Return the positions of each image that share its forward pass, and of each whose positions do not."""
        groups = list(_by_images(sorted(origins, key=_by_image)).values())
        return [g for g in groups if self._shares(g)], [g for g in groups if not self._shares(g)]

    def _shares(self, batch: Sequence[Origin]) -> bool:
        if self.shared is not None:
            return self.shared
        return self.cone.shares(len(batch), len({origin.image for origin in batch}))

    @contextmanager
    def up(self, batch: Sequence[Origin]) -> Iterator[Climbed]:
        """Take a batch up."""
        rows, columns = _places(batch)
        corners = np.stack([span.at(at) for span, at in zip(self.cone.pixels, (rows, columns), strict=True)], axis=1)
        with torch.inference_mode(mode=False), torch.no_grad():
            if self._shares(batch):
                images = sorted({origin.image for origin in batch})
                pictures = to_tensor(np.stack([self.image(image) for image in images]), self.like)
                owner = [images.index(origin.image) for origin in batch]
                climb = self._kind.on_images(self.cone, self.cone.whole(pictures, self.rules), owner, rows, columns)
                yield Climbed(self, climb, batch, corners)
            else:
                cut = self.cut(batch, corners)
                yield Climbed(self, self._kind.on_cones(self.cone, cut, rows, columns), batch, corners, cut)

    def again(self, batch: Sequence[Origin], raised: Raised, pixels: Tensor) -> Tensor:
        """Return the outcome for other pixels."""
        del raised
        with torch.inference_mode(mode=False), torch.no_grad():
            return self._kind.on_cones(self.cone, pixels, *_places(batch)).outcome

    @property
    def _kind(self) -> type[Climb | Climbs]:
        return Climbs if self._on_cpu and self.cone.values_of_one() > ALONE else Climb

    @property
    def _on_cpu(self) -> bool:
        return next(self.like.parameters(), torch.empty(0)).device.type == "cpu"

    def shuffled(self, seed: int, *, own: bool) -> Cones | None:
        """Return the way with shuffled weights; those of the layer alone matter only on the way back."""
        generator = torch.Generator().manual_seed(seed)
        program = self.cone.program
        convolutions = [n for n in self.cone.windows.operations if program.steps[n].name == "convolution"]
        if own:
            if not convolutions:
                return None
            return replace(self, own=shuffle(program.steps[convolutions[-1]].args[1], generator))
        # without the layer's own ReLU: with shuffled weights it would often be closed, and let no derivative through
        last = program.steps[-1].inputs[0] if rectifies(program.steps[-1]) else len(program.steps) - 1
        steps = list(program.steps[: last + 1])
        for number in convolutions:
            image, weight, *rest = steps[number].args
            steps[number] = replace(steps[number], args=(image, shuffle(weight, generator), *rest))
        cone = self.cone.with_program(replace(program, steps=tuple(steps)))
        return replace(self, cone=cone, tap=replace(self.tap, rectify=False))

    def cut(self, batch: Sequence[Origin], corners: Ints) -> Tensor:
        """Cut the pixels of each position out of its image, one image at a time."""
        found: Tensor | None = None
        owner = np.array([origin.image for origin in batch])
        for image in sorted(set(owner.tolist())):
            mine = np.flatnonzero(owner == image)
            picture = to_tensor(self.image(image)[None], self.like)
            starts = corners[mine, 0], corners[mine, 1]
            part = parts(picture, [0] * len(mine), starts, sized(self.cone.pixels))
            found = part.new_empty((len(owner), *part.shape[1:])) if found is None else found
            found[torch.as_tensor(mine, device=part.device)] = part
        return torch.empty(0) if found is None else found


@dataclass(frozen=True)
class Climbed:
    """A batch of positions that has gone up on cones."""

    way: Cones
    climb: Climb | Climbs
    batch: Sequence[Origin]
    corners: Ints

    made_of: Tensor | None = None

    @cached_property
    def pixels(self) -> Tensor:
        """The part of the image that each was made of, 0 outside the image."""
        return self.way.cut(self.batch, self.corners) if self.made_of is None else self.made_of

    @property
    def outcome(self) -> Tensor:
        """The values of all channels at the positions."""
        return self.climb.outcome

    def back(self, channels: Ints, rule: Rule) -> Tensor:
        """Send one channel of each position back."""
        seed = torch.zeros_like(self.outcome)
        at = torch.arange(len(seed), device=seed.device), torch.as_tensor(channels, device=seed.device)
        seed[at] = start_values(self.way.tap, self.outcome[at], rule)
        found = self.climb.back(seed, rule, self.way.own)
        return found * self.pixels if rule.times_input else found


def _places(batch: Sequence[Origin]) -> tuple[Ints, Ints]:
    return np.array([o.y for o in batch], np.int64), np.array([o.x for o in batch], np.int64)


def shuffle(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Return a tensor with its entries in random order."""
    order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
    return weight.detach().reshape(-1)[order].reshape(weight.shape)


def _by_image(origin: Origin) -> tuple[int, int, int]:
    return origin.image, *origin.slot


def _by_images(origins: Sequence[Origin]) -> dict[int, list[Origin]]:
    groups: dict[int, list[Origin]] = {}
    for origin in origins:
        groups.setdefault(origin.image, []).append(origin)
    return groups


def _portions(items: Sequence[Item], count: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), count):
        yield items[start : start + count]


def _turns(rows: Ints) -> Iterator[Ints]:
    """Yield places among the positions, at most one of each view at a time."""
    turn = np.zeros(len(rows), np.int64)
    seen: dict[int, int] = {}
    for place, row in enumerate(rows.tolist()):
        turn[place] = seen.get(row, 0)
        seen[row] = int(turn[place]) + 1
    for one in range(max(seen.values(), default=0)):
        yield np.flatnonzero(turn == one)
