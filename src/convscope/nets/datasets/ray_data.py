"""A Ray Dataset: read once, in its order, onto this machine's disk, from where any image can be had again.

Ray is not imported: a Ray Dataset is recognised by ``iter_batches``, ``count`` and ``schema``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, NotFoundError
from convscope.nets.datasets import items
from convscope.nets.datasets.arrays import finite_range, shown
from convscope.nets.datasets.decode import DAMAGED, decode, decoder, reason_of
from convscope.nets.datasets.labels import Given, Own, labelled
from convscope.nets.datasets.pictures import THREADS, fingerprint, readable, short_names, stacked
from convscope.nets.datasets.spool import Spool
from convscope.nets.datasets.synsets import Names
from convscope.nets.preprocessing import IMAGENET, Preprocessing

BATCH: Final = 64


class RayImages:
    """The images of a Ray Dataset, in its order.

    The data set is executed once, streaming: images come in batches, are decoded, fitted as the network sees them, and
    put on disk (150 kB for one of 224 × 224 pixels) until the set is forgotten. Ray is asked to keep the order of the
    rows while that lasts (``ExecutionOptions.preserve_order``).

    The images are the column ``image`` (``read_images``), ``bytes`` (``read_binary_files``) or one called likewise, the
    labels ``label`` or likewise, the names ``path`` or likewise. Floats ``(C, H, W)`` are the network's input.

    Parameters
    ----------
    dataset
        A ``ray.data.Dataset``.
    preprocessing, name, labels, label_names
        As for :class:`convscope.nets.data.FolderImages`.

    Raises
    ------
    NotFoundError
        If there is no column of images.
    InputError
        If there is no readable image.
    StorageError
        If the disk is full.
    """

    concurrent = True
    fresh = True

    def __init__(
        self,
        dataset: Any,
        preprocessing: Preprocessing | None = None,
        *,
        name: str | None = None,
        labels: Given = None,
        label_names: Names = None,
    ) -> None:
        self.name = name or "ray"
        self.preprocessing = preprocessing or IMAGENET
        self._inverse = preprocessing
        self._spool = Spool()
        names, why, own = self._read(dataset)
        if not why:
            raise InputError(f"the data set {self.name!r} is empty; give at least one image")
        kept, skipped = readable(names, why, repr(self.name))
        self.skipped: Mapping[str, str] = skipped
        kinds = {place.dtype for place in self._spool.places}
        if len(kinds) > 1:
            raise InputError(f"some images of {self.name!r} are uint8 pictures and some are floats; make them all one")
        self._is_input = kinds == {"<f4"}
        self.names: Sequence[str] = [names[number] for number in kept]
        known = labelled(labels, label_names, names, kept, Own(own, source="the data set"))
        self.labels, self.label_names, self.labels_from = known.numbers, known.names, known.source
        self.unlabelled, self.missing = known.unlabelled, known.missing

    def _read(self, dataset: Any) -> tuple[list[str], list[str], list[Any] | None]:
        """Put all images on disk; return the names, why some cannot be read, and the labels."""
        names: list[str] = []
        why: list[str] = []
        labels: list[Any] = []
        with _in_order(dataset), ThreadPoolExecutor(THREADS) as threads:
            for batch in dataset.iter_batches(batch_size=BATCH, batch_format="numpy"):
                image, label, called = _columns(list(batch), self.name)
                numbered = [f"{self.name}[{len(names) + i}]" for i in range(len(batch[image]))]
                names += [str(value) for value in batch[called]] if called else numbered
                labels += [items.plain_label(value) for value in batch[label]] if label else []
                for picture in threads.map(self._prepared, batch[image]):
                    why.append(picture if isinstance(picture, str) else "")
                    if not isinstance(picture, str):
                        self._spool.append(picture)
        return short_names(names), why, labels or None

    def _prepared(self, value: Any) -> npt.NDArray[Any] | str:
        """Return an image as it goes on disk, or why it cannot be read."""
        try:
            image = items.image_of(value, f"an image of {self.name!r}")
            if isinstance(image, np.ndarray) and image.dtype == np.float32:
                return image
            picture = decode(image, self.preprocessing.size)
        except DAMAGED as error:
            if isinstance(error, InputError):
                raise
            return reason_of(error)
        return self.preprocessing.fit(picture)

    def __len__(self) -> int:
        return len(self._spool)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        numbers = range(len(self))[start:stop]
        if not numbers:
            raise NotFoundError(f"no images {start} to {stop} in {self.name!r}; it has {len(self):,}")
        values = stacked([self._spool[number] for number in numbers])
        return values if self._is_input else self.preprocessing.normalise(values)

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown, ``(H, W, 3)`` or ``(H, W, 1)``, aligned with the network's input."""
        if not -len(self) <= index < len(self):
            raise NotFoundError(f"no image {index} in {self.name!r}; it has {len(self):,}")
        values = self._spool[index]
        return shown(values, self._inverse, lambda: self._range) if self._is_input else values

    @cached_property
    def _range(self) -> tuple[float, float]:
        ends = [finite_range(self._spool[number]) for number in range(len(self))]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @cached_property
    def fingerprint(self) -> str:
        """What the images as the network sees them, the labels and the preprocessing hash to."""
        return fingerprint([self._spool.hash()], self.preprocessing, self.labels, self.label_names, decoder())


def _columns(names: list[str], where: str) -> tuple[str, str | None, str | None]:
    """Return the columns of images, labels and names."""
    label = items.column(names, items.LABEL_NAMES)
    called = items.column([name for name in names if name != label], items.NAME_NAMES)
    rest = [name for name in names if name not in (label, called)]
    return items.image_column(rest or names, repr(where)), label, called


@contextmanager
def _in_order(dataset: Any) -> Iterator[None]:
    """Keep the rows in order while a data set is executed, as far as this version of Ray lets itself be asked."""
    options = getattr(getattr(dataset, "context", None), "execution_options", None)
    if options is None or not hasattr(options, "preserve_order"):
        yield
        return
    before = options.preserve_order
    options.preserve_order = True
    try:
        yield
    finally:
        options.preserve_order = before
