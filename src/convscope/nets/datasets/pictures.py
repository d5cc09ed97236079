"""What all sources of pictures share: decoding in threads, names, labels, what was skipped, the fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.datasets import decode
from convscope.nets.datasets.labels import Labels
from convscope.nets.datasets.thumbnails import thumbnail
from convscope.nets.preprocessing import IMAGENET, Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

THREADS: Final = min(8, os.cpu_count() or 1)
_AT_ONCE: Final = 1024
_END: Final = 4096


class Pictures(ABC):
    """Pictures that are decoded when they are asked for; a source says where picture number i is.

    Attributes
    ----------
    name
        What the set is called.
    names
        What each picture is called, mostly its file; always printable.
    labels, label_names
        The class of each picture, -1 where it is unknown, and what the classes are called; ``None`` without classes.
    labels_from
        Where the labels come from, in words.
    unlabelled
        How many pictures have no label though others have.
    missing
        What a list of labels names and is not there.
    preprocessing
        How pictures become the network's input.
    skipped
        Name → why it is not among the pictures.
    """

    concurrent = True
    fresh = True

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        preprocessing: Preprocessing | None,
        labels: Labels,
        skipped: Mapping[str, str],
        check: str = "full",
    ) -> None:
        self.name = name
        self.names: Sequence[str] = tuple(names)
        self.preprocessing = preprocessing or IMAGENET
        self.labels = labels.numbers
        self.label_names = labels.names
        self.labels_from = labels.source
        self.unlabelled = labels.unlabelled
        self.missing = labels.missing
        self.skipped: Mapping[str, str] = dict(skipped)
        self._check = check

    @abstractmethod
    def _source(self, index: int) -> decode.Source:
        """Return picture number ``index``: a path, bytes, a Pillow image or pixels."""

    @abstractmethod
    def _content(self) -> Iterable[bytes]:
        """Yield what tells the pictures from all others, in order."""

    @property
    def files(self) -> Sequence[str]:
        """What each picture is called."""
        return self.names

    def __len__(self) -> int:
        return len(self.names)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``; several are decoded at a time.

        Raises
        ------
        NotFoundError
            If there are no such images.
        InputError
            If they differ in size after preprocessing.
        FormatError
            If one cannot be read any more.
        """
        return self.preprocessing.normalise(stacked(self._each(self.display, start, stop)))

    def seen(self, start: int, stop: int, side: int) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.uint8]]]:
        """Return images start..stop as :meth:`images` does, and each whole picture in ``side`` pixels at most.

        A picture is decoded once for both; the small one keeps its aspect, and what the crop leaves out.
        """
        channels = 1 if self.preprocessing.order == "L" else 3

        def both(number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
            picture = self._decoded(number)
            return self.preprocessing.fit(picture), thumbnail(picture, side, channels)

        shown, small = zip(*self._each(both, start, stop), strict=True)
        return self.preprocessing.normalise(stacked(shown)), list(small)

    def _each(self, work: Callable[[int], T], start: int, stop: int) -> list[T]:
        """Return what is made of each of some images, several at a time."""
        numbers = range(len(self))[start:stop]
        if not numbers:
            raise NotFoundError(f"no images {start} to {stop} in {self.name!r}; it has {len(self):,}")
        if len(numbers) == 1 or THREADS == 1:
            return [work(number) for number in numbers]
        with ThreadPoolExecutor(min(THREADS, len(numbers))) as threads:
            return list(threads.map(work, numbers))

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown, ``(H, W, 3)`` or ``(H, W, 1)``, aligned with the network's input."""
        return self.preprocessing.fit(self._decoded(index))

    def _decoded(self, index: int) -> Image | npt.NDArray[np.uint8]:
        if not -len(self) <= index < len(self):
            raise NotFoundError(f"no image {index} in {self.name!r}; it has {len(self):,}")
        number = index % len(self)
        try:
            return decode.decode(self._source(number), self.preprocessing.size)
        except (OSError, FormatError) as error:
            before = "could be read before but not now" if self._check == "full" else "looked whole but cannot be read"
            raise FormatError(
                f"{self.names[number]} of {self.name!r} {before} ({decode.reason_of(error)}); remove it and start again"
            ) from error

    @cached_property
    def fingerprint(self) -> str:
        """What the pictures, their labels, the preprocessing and the decoder's version hash to."""
        return fingerprint(self._content(), self.preprocessing, self.labels, self.label_names, decode.decoder())


def stacked(pictures: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return pictures of one shape as one array."""
    if len(shapes := {picture.shape for picture in pictures}) > 1:
        two = " and ".join(" × ".join(map(str, shape)) for shape in sorted(shapes)[:2])
        raise InputError(f"the images differ in size ({two}); give a preprocessing with size and crop")
    return np.stack(pictures)


def fingerprint(
    content: Iterable[bytes],
    preprocessing: Preprocessing,
    labels: npt.NDArray[np.int32] | None,
    label_names: Sequence[str],
    decoder: str = "",
) -> str:
    """Return what a set of images hashes to, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in content:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    digest.update(b"" if labels is None else np.ascontiguousarray(labels, np.int32).tobytes())
    digest.update(json.dumps([preprocessing.to_json(), list(label_names), decoder]).encode())
    return digest.hexdigest()


def content_of(path: Path, offset: int = 0, size: int | None = None) -> bytes:
    """Return what tells one file, or one stretch of it, from others: its size, its first and its last 4 kB.

    Hashing all of it would read the data set once more. Times are left out: a copy is the same data set.
    """
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END) if size is None else size
        file.seek(offset)
        head = file.read(min(_END, length))
        file.seek(offset + max(0, length - _END))
        return length.to_bytes(8, "little") + head + file.read(min(_END, length))


def reasons(read: Callable[[int], decode.Source], count: int, check: str) -> list[str]:
    """Return for each of ``count`` pictures why it cannot be read, or nothing; several are tried at a time.

    Parameters
    ----------
    read
        Gives picture number i; what it raises counts as a reason.
    count
        How many there are.
    check
        ``full`` or ``quick``: see :func:`convscope.nets.datasets.decode.why_unreadable`.
    """
    if check not in decode.CHECKS:
        raise InputError(f"unknown check {check!r}; use full or quick")

    def reason(number: int) -> str:
        try:
            return decode.why_unreadable(read(number), check)
        except decode.DAMAGED as error:
            return decode.reason_of(error)

    found: list[str] = []
    with decode.quiet, ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, count, _AT_ONCE):
            found += threads.map(reason, range(start, min(start + _AT_ONCE, count)))
    return found


def readable(
    names: Sequence[str], why: Sequence[str], where: str, others: str = ""
) -> tuple[list[int], dict[str, str]]:
    """Return the numbers of the pictures that can be read, and the names of the others with the reason.

    Raises
    ------
    InputError
        If none can be read.
    """
    kept = [number for number, reason in enumerate(why) if not reason]
    skipped = {names[number]: reason for number, reason in enumerate(why) if reason}
    if not kept:
        first = "".join(f", {name}: {reason}" for name, reason in list(skipped.items())[:1])
        raise InputError(f"no readable image in {where} ({len(skipped):,} unreadable{others}{first}); give photographs")
    return kept, skipped


def printable(name: str) -> str:
    """Return a file's name with its bytes that are no UTF-8 written out, so that it can be shown and stored."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def short_names(paths: Sequence[str]) -> list[str]:
    """Return paths without the folder that all of them share, printable.

    >>> short_names(["/data/cat/1.jpg", "/data/dog/1.jpg"]), short_names(["a.png"])
    (['cat/1.jpg', 'dog/1.jpg'], ['a.png'])
    """
    parts = [PurePosixPath(path).parts for path in paths]
    levels = zip(*(part[:-1] for part in parts), strict=False)
    shared = next(
        (level for level, here in enumerate(levels) if len(set(here)) > 1), min(map(len, parts), default=1) - 1
    )
    return [printable("/".join(part[shared:])) for part in parts]
