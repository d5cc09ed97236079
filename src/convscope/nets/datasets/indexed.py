"""A data set that is read by number: ``torch.utils.data.Dataset``, torchvision's, the hub's, anything with a length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.datasets import items
from convscope.nets.datasets.arrays import finite_range, shown
from convscope.nets.datasets.decode import DAMAGED, decode, decoder, reason_of, why_unreadable
from convscope.nets.datasets.labels import Given, Own, labelled
from convscope.nets.datasets.pictures import content_of, fingerprint, readable, stacked
from convscope.nets.datasets.synsets import Names
from convscope.nets.preprocessing import Preprocessing

_TRIED: Final = 8
_NAMED_LABELS: Final = ("targets", "labels")


class IndexedImages:
    """The images of a data set that has a length and gives item i: a picture or an input, with a label or not.

    Items may be an image, ``(image, label, …)`` or a dictionary; an image is a Pillow image, ``uint8`` pixels, a path,
    the bytes of a file, or floats ``(C, H, W)``, which are the network's input as they are. They are read one after
    the other: a data set need not be safe among threads.

    Labels are taken from the data set (``targets``, ``labels``, ``samples``, ``tensors``, a column ``label``, also
    through ``Subset`` and ``ConcatDataset``), else from its items. The names of the classes are ``classes`` or those of
    ``features``.

    Parameters
    ----------
    dataset
        Anything with ``__len__`` and ``__getitem__``.
    preprocessing
        How pictures become the network's input, and how inputs are shown.
    name, labels, label_names
        As for :class:`convscope.nets.data.FolderImages`.
    check
        ``full`` reads all items once, skips those that cannot be read, and takes all of them into the fingerprint.
        ``quick`` reads a few. By default ``quick`` where the labels are known without reading, else ``full``.

    Raises
    ------
    InputError
        If it is empty, an item is no image, or the same item differs when it is read again.
    """

    def __init__(
        self,
        dataset: Any,
        preprocessing: Preprocessing | None = None,
        *,
        name: str | None = None,
        labels: Given = None,
        label_names: Names = None,
        check: str | None = None,
    ) -> None:
        if not len(dataset):
            raise InputError(f"the data set {type(dataset).__name__} is empty; give at least one image")
        self._dataset = dataset
        self.name = name or type(dataset).__name__
        count = len(dataset)
        self._tried = sorted({round(i * (count - 1) / max(1, _TRIED - 1)) for i in range(_TRIED)})
        own = self._agreed(_attributes(dataset, _labels_of))
        self._check = check or ("full" if own is None and labels is None else "quick")
        self._numbers: Sequence[int] = range(count)
        self.skipped: Mapping[str, str] = {}
        self._marks: list[bytes] = []
        if self._check == "full":
            own = self._read_all(own)
        self._is_input, inverse = self._try()
        self._inverse = inverse or preprocessing
        self.preprocessing = preprocessing or inverse or Preprocessing()
        names = [f"{self.name}[{number}]" for number in range(count)]
        given = Own(own, _attributes(dataset, _names_of) or (), "the data set")
        known = labelled(labels, label_names, names, self._numbers, given)
        self.names: Sequence[str] = [names[number] for number in self._numbers]
        self.labels, self.label_names, self.labels_from = known.numbers, known.names, known.source
        self.unlabelled, self.missing = known.unlabelled, known.missing

    def _item(self, number: int) -> tuple[Any, Any]:
        """Return the image and the label of an item of the data set."""
        where = f"item {number} of {self.name!r}"
        image, label = items.split(self._dataset[number], where)
        return items.image_of(image, where), label

    def _agreed(self, own: Sequence[Any] | None) -> Sequence[Any] | None:
        """Return the labels a data set lists, unless its items say otherwise: a transform of targets changes them."""
        if own is None:
            return None
        try:
            found = [items.plain_label(self._item(number)[1]) for number in self._tried]
        except DAMAGED:
            return None  # then all items are read, and the damaged ones named
        listed = [items.plain_label(own[number]) for number in self._tried]
        return own if found in (listed, [None] * len(found)) else None

    def _read_all(self, own: Sequence[Any] | None) -> list[Any] | Sequence[Any] | None:
        """Read every item once; keep what can be read, its marks for the fingerprint, and the labels."""
        why, found = [], []
        for number in range(len(self._dataset)):
            label = None
            try:
                image, label = self._item(number)
                why.append("" if _is_input(image) else why_unreadable(image))
                self._marks.append(b"" if why[-1] else _mark(image))
            except DAMAGED as error:
                if isinstance(error, InputError):
                    raise
                why.append(reason_of(error))
                self._marks.append(b"")
            found.append(items.plain_label(label))
        names = [f"{self.name}[{number}]" for number in range(len(why))]
        self._numbers, self.skipped = readable(names, why, repr(self.name))
        self._tried = sorted({self._numbers[min(i, len(self._numbers) - 1)] for i in self._tried})
        if own is not None:
            return own
        return None if all(label is None for label in found) else found

    def _try(self) -> tuple[bool, Preprocessing | None]:
        """Read a few items twice, for they must not change; return whether they are inputs, and how those were made."""
        kinds = set()
        for number in self._tried:
            image, again = self._read(number), self._read(number)
            if _mark(image) != _mark(again):
                raise InputError(
                    f"item {number} of {self.name!r} differs when it is read again; take out its random "
                    "transforms, for results must find it as it was"
                )
            kinds.add(_is_input(image))
        if len(kinds) > 1:
            raise InputError(f"some items of {self.name!r} are uint8 pictures and some are floats; make them all one")
        is_input = kinds == {True}
        return is_input, _attributes(self._dataset, _normalisation) if is_input else None

    def __len__(self) -> int:
        return len(self._numbers)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        numbers = range(len(self))[start:stop]
        if not numbers:
            raise NotFoundError(f"no images {start} to {stop} in {self.name!r}; it has {len(self):,}")
        if self._is_input:
            return stacked([self._image(number) for number in numbers])
        return self.preprocessing.normalise(stacked([self.display(number) for number in numbers]))

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown, ``(H, W, 3)`` or ``(H, W, 1)``, aligned with the network's input."""
        image = self._image(index)
        if self._is_input:
            return shown(image, self._inverse, lambda: self._range)
        return self.preprocessing.fit(decode(image, self.preprocessing.size))

    def _image(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise NotFoundError(f"no image {index} in {self.name!r}; it has {len(self):,}")
        number = self._numbers[index]
        image = self._read(number)
        if _is_input(image) != self._is_input:
            raise FormatError(f"item {number} of {self.name!r} is of another kind than the first; make them all one")
        return image

    def _read(self, number: int) -> Any:
        """Return the image of an item, which may be damaged."""
        try:
            return self._item(number)[0]
        except InputError:
            raise
        except DAMAGED as error:
            why = reason_of(error)
            raise FormatError(f"item {number} of {self.name!r} cannot be read ({why}); leave it out") from error

    @cached_property
    def _range(self) -> tuple[float, float]:
        """The values that become black and white: the extremes of the items that were tried."""
        ends = [finite_range(self._item(number)[0]) for number in self._tried]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @cached_property
    def fingerprint(self) -> str:
        """What the items, labels and preprocessing hash to; after a quick check, of a few items and what is listed."""
        return fingerprint(self._content(), self.preprocessing, self.labels, self.label_names, decoder())

    def _content(self) -> Iterator[bytes]:
        yield f"{type(self._dataset).__qualname__} {len(self._dataset)} {self._check}".encode()
        if self._marks:
            yield from self._marks
            return
        yield repr(_attributes(self._dataset, _listed)).encode()
        for number in self._tried:
            yield _mark(self._item(number)[0])


def _is_input(image: Any) -> bool:
    return isinstance(image, np.ndarray) and image.dtype == np.float32


def _mark(image: Any) -> bytes:
    """Return the hash of an image."""
    pixels = image if isinstance(image, np.ndarray) else None
    if isinstance(image, bytes):
        return hashlib.sha256(image).digest()
    if isinstance(image, Path):
        return content_of(image)
    pixels = np.asarray(decode(image)) if pixels is None else pixels
    return hashlib.sha256(repr((pixels.dtype.str, pixels.shape)).encode() + pixels.tobytes()).digest()


def _attributes(dataset: Any, look: Callable[[Any], Any]) -> Any:
    """Return what ``look`` finds at a data set, or at the one inside a ``Subset`` or those of a ``ConcatDataset``."""
    found = look(dataset)
    if found is not None:
        return found
    inner, indices = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    if inner is not None and indices is not None:
        found = _attributes(inner, look)
        return [found[i] for i in indices] if isinstance(found, list) and look in (_labels_of, _listed) else found
    parts = getattr(dataset, "datasets", None)
    if not isinstance(parts, list | tuple) or not parts:
        return None
    each = [_attributes(part, look) for part in parts]
    if any(one is None for one in each):
        return None
    if look in (_labels_of, _listed):
        return [value for one in each for value in one]
    return each[0] if all(one == each[0] for one in each) else None


def _labels_of(dataset: Any) -> list[Any] | None:
    """Return the label of every item, where a data set lists them."""
    count = len(dataset)
    tensors = getattr(dataset, "tensors", ())
    columns = getattr(dataset, "column_names", None)
    candidates = [getattr(dataset, name, None) for name in _NAMED_LABELS]
    if isinstance(tensors, tuple) and len(tensors) > 1:
        candidates.append(tensors[1])
    if isinstance(columns, list) and (name := items.column(columns, items.LABEL_NAMES)):
        candidates.append(list(dataset[name]))
    samples = getattr(dataset, "samples", None)
    if isinstance(samples, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in samples):
        candidates.append([label for _, label in samples])
    for found in candidates:
        if found is None or not hasattr(found, "__len__") or len(found) != count:
            continue
        if isinstance(found, list):
            return found if all(isinstance(label, str | int | None) for label in found) else None
        array = as_numpy(found)
        if array.ndim == 1:
            return list(array.tolist())
    return None


def _names_of(dataset: Any) -> tuple[str, ...] | None:
    """Return the names of the classes, where a data set knows them."""
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping) and (name := items.column(list(features), items.LABEL_NAMES)):
        found = getattr(features[name], "names", None)
    else:
        found = getattr(dataset, "classes", None)
    if not isinstance(found, list | tuple):
        return None
    return tuple(", ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in found)


def _normalisation(dataset: Any) -> Preprocessing | None:
    """Return how inputs were made, where the last transform has a mean and a std as torchvision's has."""
    steps = getattr(getattr(dataset, "transform", None), "transforms", None) or [getattr(dataset, "transform", None)]
    mean, std = getattr(steps[-1], "mean", None), getattr(steps[-1], "std", None)
    if mean is None or std is None:
        return None
    means, stds = (tuple(float(part) for part in np.ravel(as_numpy(value))) for value in (mean, std))
    if len(means) not in (1, 3) or len(stds) not in (1, 3) or 0 in stds:
        return None
    return Preprocessing(mean=means, std=stds, order="L" if len(means) == 1 else "RGB")


def _listed(dataset: Any) -> list[Any] | None:
    """Return the files a data set lists."""
    samples = getattr(dataset, "samples", None)
    return [str(sample) for sample in samples] if isinstance(samples, list) else None
