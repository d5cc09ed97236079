"""What layers answer to a set of images, as embeddings: several layers in one pass that streams and can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.embed import Embedding
from convscope.errors import InputError, not_found
from convscope.nets.batches import even_batches, filled_up
from convscope.nets.data import FirstImages, ImageSet
from convscope.nets.datasets.known import known_columns
from convscope.nets.datasets.pictures import Pictures
from convscope.nets.datasets.thumbnails import thumbnail
from convscope.nets.engines import computing_with
from convscope.nets.frozen import frozen
from convscope.nets.measured import Measured
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.search import to_tensor
from convscope.nets.seen import of_one
from convscope.nets.trace import Tap
from convscope.scale.filled import Filled, Rows
from convscope.scale.local import InProcess, ReadAhead, run_pass
from convscope.scale.plan import Checkpoint, Plan, Shard

THUMBNAIL: Final = 48
"""Thumbnails have at most so many pixels a side, unless another number is asked for."""
MOST_THUMBNAIL: Final = 64
"""More than that no sheet of thumbnails has."""
POOLINGS: Final = ("mean", "flatten")
_CHANNELS_FIRST: Final = ("Conv", "BatchNorm", "InstanceNorm", "GroupNorm", "MaxPool", "AvgPool", "Adaptive", "PReLU")
_CHANNELS_LAST: Final = ("Linear", "LayerNorm", "RMSNorm", "Embedding", "MultiheadAttention")
_CHECKPOINT: Final = "extraction.checkpoint"

Progress = Callable[[int, int], None]
Pixels = npt.NDArray[np.uint8]


class Embeds(Measured):
    """The part of :class:`convscope.nets.torch.Model` that embeds images."""

    def embed(
        self,
        dataset: Any,
        layer: str | Sequence[str],
        *,
        count: int | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        pooling: str = "mean",
        normalise: bool = False,
        thumbnails: int = THUMBNAIL,
        batch_size: int | None = None,
        resume: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Embed images by a layer's output, or by those of several layers in one pass (METHODS §9).

        Batches are read, run, pooled and put away one after the other, the next one is decoded meanwhile; what is
        larger than 256 MB lies in files that are mapped. The labels of the images come along, and as columns the file
        of each, its folder and its split where the names tell them.

        Parameters
        ----------
        dataset, count
            The images, as anything that :func:`convscope.nets.images.image_set` takes, and how many of them; all by
            default.
        layer
            A layer's name, or several.
        columns
            More that is known of each image: name → values. They take the place of columns of the same name.
        pooling
            ``mean``: maps are averaged over their positions, sequences over their tokens; ``flatten``: all numbers.
        normalise
            Whether each vector is divided by its Euclidean length; a vector of zeros stays one.
        thumbnails
            The longer side of the small pictures, which show the whole of each with its aspect kept; 0 for none.
        batch_size
            How many images go through the network at once; by default as many as 32 of 224×224 have pixels.
        resume
            A folder that holds what is done, as it is done: a call that was killed goes on there, to the same bits.
            The vectors stay in it, mapped.
        progress
            Called with the images done and the images in all.

        Returns
        -------
        Embedding or dict[str, Embedding]
            For several layers by their names.

        Raises
        ------
        NotFoundError
            If there is no such layer or pooling.
        InputError
            If the images do not fit, the folder belongs to another pass, or vectors hold NaN or infinities.
        StorageError
            If there is no room for the vectors.
        """
        names = [layer] if isinstance(layer, str) else list(dict.fromkeys(layer))
        check_asked(names, pooling, thumbnails, {"count": count, "batch_size": batch_size})
        taps = {name: self._trace.tap(name, self.name) for name in names}
        images = self._images(dataset)
        images = images if count is None else FirstImages(images, count)
        batch = self._batch_of(taps, len(images), batch_size)
        plan = Plan.of(len(images), 4 * batch)
        if resume is not None:
            asked = {"pooling": pooling, "normalise": normalise, "thumbnails": thumbnails, "batch_size": batch}
            about = self._fingerprints(images, "") | asked
            about["layer"] = [f"{name} at {tap.call}" for name, tap in taps.items()]
            plan = replace(plan, fingerprint=about)
        folder = None if resume is None else Path(resume)
        checkpoint = None if folder is None else folder / _CHECKPOINT
        shapes = {name: tap.layer.shape for name, tap in taps.items()}
        pools = {name: Pool(shape, pooling, normalise, taps[name].layer.kind) for name, shape in shapes.items()}
        filled = _filled(images, list(pools.values()), thumbnails, folder, begun=_begun(plan, checkpoint))
        work = Extraction(self._called, images, taps, pools, batch, thumbnails, filled, self.name)
        with computing_with(torch.get_num_threads()):
            run_pass(
                plan,
                ReadAhead(work) if getattr(images, "concurrent", False) else InProcess(work),
                int.__add__,
                to_arrays=work.saved,
                from_arrays=lambda arrays: int(arrays["images"].item()),
                checkpoint=checkpoint,
                every=1,
                progress=progress,
            )
        found = self._embeddings(work, {**known_columns(images), **(columns or {})})
        return found[names[0]] if isinstance(layer, str) else found

    def _batch_of(self, taps: Mapping[str, Tap], count: int, batch_size: int | None) -> int:
        folded = next((name for name, tap in taps.items() if tap.folded), None)
        if folded is not None and (self._fixed_batch or 1) > 1:
            raise InputError(f"layer {folded!r} mixes the images of a batch, and {self.name} takes no other batches")
        at_once = 1 if folded is not None else self._fixed_batch
        return at_once or batch_size or even_batches(count, min(512, self._images_at_once))

    def _embeddings(self, work: Extraction, columns: Mapping[str, Sequence[Any]]) -> dict[str, Embedding]:
        images, arrays = work.images, work.filled.arrays()
        small, sizes = _thumbnails(arrays["thumbnails"], arrays["sizes"]) if work.side else (None, None)
        found = {}
        for number, (name, pool) in enumerate(work.pools.items()):
            found[name] = Embedding(
                arrays[_vectors(number)],
                images.labels,
                label_names=images.label_names,
                columns=columns,
                thumbnails=small,
                thumbnail_size=sizes,
                layer=name,
                network=self.name,
                dataset=images.name,
                meta={
                    "preprocessing": images.preprocessing.to_json(),
                    "pooling": pool.pooling,
                    "normalised": pool.normalise,
                    "feature_shape": list(pool.shape),
                },
            )
        return found


def check_asked(names: Sequence[str], pooling: str, thumbnails: int, numbers: Mapping[str, int | None]) -> None:
    """Raise an error for what cannot be made."""
    if not names:
        raise InputError("no layer was named; an embedding is made of at least one")
    if pooling not in POOLINGS:
        raise not_found("pooling", pooling, POOLINGS)
    if not 0 <= thumbnails <= MOST_THUMBNAIL:
        raise InputError(f"thumbnails have 1 to {MOST_THUMBNAIL} pixels a side, 0 leaves them out; got {thumbnails}")
    for what, number in numbers.items():
        if number is not None and number < 1:
            raise InputError(f"{what} is at least 1, got {number}")


def _begun(plan: Plan, checkpoint: Path | None) -> bool:
    """Whether there is something to go on with; a folder of another pass is refused before anything is written."""
    return checkpoint is not None and Checkpoint(checkpoint).load(plan)[0] > 0


def _vectors(number: int) -> str:
    return f"vectors-{number:03d}"


def _filled(images: ImageSet, pools: Sequence[Pool], side: int, folder: Path | None, *, begun: bool) -> Filled:
    """Make room for the vectors, and for the thumbnails with their heights and widths."""
    count = len(images)
    wanted = {_vectors(n): Rows((count, pool.width), np.dtype(np.float32)) for n, pool in enumerate(pools)}
    if side:
        colours = 1 if images.preprocessing.order == "L" else 3
        wanted["thumbnails"] = Rows((count, side, side, colours), np.dtype(np.uint8))
        wanted["sizes"] = Rows((count, 2), np.dtype(np.uint8))
    return Filled(wanted, folder, keep=begun)


@dataclass(frozen=True)
class Pool:
    """How what a layer puts out for an image becomes a vector.

    Attributes
    ----------
    shape
        What it puts out for one image: maps ``(C, H, W)``, tokens ``(T, D)``, or ``(D,)``.
    pooling
        ``mean`` or ``flatten``.
    normalise
        Whether vectors get the length 1.
    kind
        What the layer is: a 1-D convolution has its channels first, a linear layer last, whatever the shape.
    """

    shape: tuple[int, ...]
    pooling: str
    normalise: bool
    kind: str = ""

    @property
    def channels_last(self) -> bool:
        """Whether the last axis is that of the channels; where the layer does not tell, of sequences it is."""
        is_first = self.kind.startswith(_CHANNELS_FIRST)
        return not is_first and (self.kind.startswith(_CHANNELS_LAST) or len(self.shape) == 2)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        if self.pooling == "flatten" or len(self.shape) < 2:
            return prod(self.shape)
        return self.shape[-1 if self.channels_last else 0]

    def __call__(self, output: Tensor) -> Tensor:
        """Return the vectors ``(N, D)`` of outputs ``(N, …)``, float32, in memory of their own."""
        values = output.detach().to(torch.float32)
        if self.pooling == "mean" and values.ndim > 2:
            values = values.flatten(1, -2).mean(1) if self.channels_last else values.flatten(2).mean(2)
        flat = values.reshape(len(values), -1)
        if self.normalise:
            flat = flat / flat.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        return flat.clone() if flat.data_ptr() == output.data_ptr() else flat


class Part(NamedTuple):
    """A batch that was read.

    Attributes
    ----------
    pixels
        The network's input, filled up to the batch's size.
    small
        Thumbnails, of as many images as there are.
    """

    pixels: npt.NDArray[np.float32]
    small: Sequence[Pixels]


@dataclass(frozen=True)
class Extraction:
    """What is done to a shard: its images are read, run, pooled, and their vectors put in their place.

    Attributes
    ----------
    network, images
        Who looks at what.
    taps
        Where each layer is read.
    pools
        How each layer's output becomes vectors.
    batch_size
        How many images go through the network at once.
    side
        Of thumbnails, in pixels; 0 for none.
    filled
        Where it all goes.
    name
        What the network is called.
    """

    network: torch.nn.Module
    images: ImageSet
    taps: Mapping[str, Tap]
    pools: Mapping[str, Pool]
    batch_size: int
    side: int
    filled: Filled
    name: str

    def __call__(self, shard: Shard) -> int:
        """Do a shard, and return how many images it has."""
        return self.look(shard, map(self.read, self.pieces(shard)))

    def pieces(self, shard: Shard) -> list[Shard]:
        """Return the batches of a shard."""
        start, stop = shard
        return [(first, min(first + self.batch_size, stop)) for first in range(start, stop, self.batch_size)]

    def read(self, piece: Shard) -> Part:
        """Return the images of a batch, each decoded once."""
        pixels, small = seen(self.images, *piece, self.side)
        return Part(filled_up(pixels, self.batch_size), small)

    def look(self, shard: Shard, parts: Iterable[Part]) -> int:
        """Put the vectors of a shard in their place, and return how many images it has."""
        for piece, part in zip(self.pieces(shard), parts, strict=True):
            count = piece[1] - piece[0]
            found = self._vectors_of(part.pixels, count)
            rows: dict[str, npt.NDArray[Any]] = {_vectors(number): found[name] for number, name in enumerate(self.taps)}
            if self.side:
                rows["thumbnails"], rows["sizes"] = _tiles(part.small, self.side)
            self.filled.write(piece, rows)
        return shard[1] - shard[0]

    def saved(self, images: int) -> dict[str, npt.NDArray[Any]]:
        """Return the state for a checkpoint, once all it speaks of is on the disk."""
        self.filled.sync()
        return {"images": np.array([images])}

    def _vectors_of(self, pixels: npt.NDArray[np.float32], count: int) -> dict[str, npt.NDArray[np.float32]]:
        by_call: dict[Call, list[str]] = {}
        for name, tap in self.taps.items():
            by_call.setdefault(tap.call, []).append(name)
        found: dict[str, Tensor] = {}

        def see(call: Call, _: object, output: Any) -> None:
            for name in by_call.get(call, ()):  # pooled here and now: an in-place ReLU that comes later changes it
                values = _whole(output) if self.taps[name].folded else output
                found[name] = self.pools[name](values[:count])
            if len(found) == len(self.taps):
                raise Reached

        functions = any(tap.function for tap in self.taps.values())
        watching = observed(self.network, {call[0] for call in by_call}, see, functions=functions)
        with torch.no_grad(), frozen(self.network), watching:
            forward(self.network, to_tensor(pixels, self.network, fresh=True))
        return {name: self._checked(name, found.get(name), count) for name in self.taps}

    def _checked(self, name: str, vectors: Tensor | None, count: int) -> npt.NDArray[np.float32]:
        if vectors is None:
            raise InputError(f"layer {name!r} did not run for these images: {self.name} took another way")
        if tuple(vectors.shape) != (count, self.pools[name].width):
            raise InputError(
                f"layer {name!r} of {self.name} gives {tuple(vectors.shape)} for {count} images, not "
                f"{self.pools[name].width} numbers for each"
            )
        return vectors.cpu().numpy()


def _whole(output: Tensor) -> Tensor:
    """Return what a layer gave for one image, whose first axis is not the images, as one row."""
    return output.reshape(1, *(of_one(len(output), output.shape[1:]) if output.ndim else ()))


def seen(images: ImageSet, start: int, stop: int, side: int) -> tuple[npt.NDArray[np.float32], Sequence[Pixels]]:
    """Return images as the network's input and, where ``side`` is not 0, each whole picture small.

    What the network is shown nobody else holds, so that it may write into it.
    """
    own = bool(getattr(images, "fresh", False))
    if not side:
        return _own(images.images(start, stop), own=own), ()
    inner = images
    while isinstance(inner, FirstImages):
        inner = inner.whole
    if isinstance(inner, Pictures):
        return inner.seen(start, stop, side)
    channels = 1 if images.preprocessing.order == "L" else 3
    pixels: Any = getattr(inner, "pixels", None)
    shown = (images.display(number) if pixels is None else pixels[number] for number in range(start, stop))
    small = [thumbnail(picture, side, channels) for picture in shown]
    return _own(images.images(start, stop), own=own), small


def _own(pixels: npt.NDArray[np.float32], *, own: bool) -> npt.NDArray[np.float32]:
    return pixels if own else pixels.copy()


def _tiles(small: Sequence[Pixels], side: int) -> tuple[Pixels, Pixels]:
    """Return pictures in the middle of square tiles, and their heights and widths."""
    tiles = np.zeros((len(small), side, side, small[0].shape[2]), np.uint8)
    sizes = np.array([picture.shape[:2] for picture in small], np.uint8)
    for tile, picture, (height, width) in zip(tiles, small, sizes.tolist(), strict=True):
        top, left = (side - height) // 2, (side - width) // 2
        tile[top : top + height, left : left + width] = picture
    return tiles, sizes


def _thumbnails(tiles: Pixels, sizes: npt.NDArray[np.uint8]) -> tuple[Pixels, npt.NDArray[np.uint8] | None]:
    """Return tiles and how much of each is picture; where all have one size, without what is around them."""
    if (sizes != sizes[0]).any():
        return tiles, sizes
    side, (height, width) = tiles.shape[1], sizes[0].tolist()
    top, left = (side - height) // 2, (side - width) // 2
    return tiles[:, top : top + height, left : left + width], None
