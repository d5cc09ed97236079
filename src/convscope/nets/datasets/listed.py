"""A list of paths, Pillow images and arrays; files are decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.nets.datasets.decode import Source, as_pixels
from convscope.nets.datasets.labels import Given, labelled
from convscope.nets.datasets.pictures import Pictures, content_of, printable, readable, reasons, short_names
from convscope.nets.datasets.synsets import Names
from convscope.nets.preprocessing import Preprocessing


class ListedImages(Pictures):
    """The images of a list, in its order: paths, Pillow images, ``uint8`` arrays ``(H, W)`` or ``(H, W, c)``.

    What cannot be read is skipped; :attr:`skipped` names it with its reason. Arrays and Pillow images stay where they
    are and must not be changed afterwards.

    Parameters
    ----------
    images
        The list.
    preprocessing
        How they become the network's input; as they are, in 0..1, unless given.
    name, labels, label_names, check
        As for :class:`convscope.nets.data.FolderImages`; labels by file name or in the order of the list.

    Raises
    ------
    InputError
        If something in the list is neither of these, or nothing can be read.
    """

    def __init__(
        self,
        images: Sequence[Any],
        preprocessing: Preprocessing | None = None,
        *,
        name: str | None = None,
        labels: Given = None,
        label_names: Names = None,
        check: str = "full",
    ) -> None:
        sources = [_source_of(image, number) for number, image in enumerate(images)]
        names = _names(sources)
        why = reasons(sources.__getitem__, len(sources), check)
        kept, skipped = readable(names, why, "the list")
        self._sources = [sources[number] for number in kept]
        super().__init__(
            name or "images",
            [names[number] for number in kept],
            preprocessing or Preprocessing(),
            labelled(labels, label_names, names, kept),
            skipped,
            check,
        )

    def _source(self, index: int) -> Source:
        return self._sources[index]

    def _content(self) -> Iterator[bytes]:
        for source in self._sources:
            if isinstance(source, Path):
                yield printable(source.name).encode()
                yield content_of(source)
            else:
                pixels = np.asarray(source)
                yield repr((pixels.shape, getattr(source, "mode", ""))).encode()
                yield np.ascontiguousarray(pixels).tobytes()


def _source_of(image: Any, number: int) -> Source:
    from PIL.Image import Image

    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image):
        return image
    if not hasattr(image, "ndim"):
        raise InputError(
            f"item {number} of the list is a {type(image).__name__}; expected a path, a picture or an array"
        )
    return as_pixels(as_numpy(image))


def _names(sources: Sequence[Source]) -> list[str]:
    """Return what each is called: its path without the folder that all share; its number where there is no path."""
    paths = iter(short_names([source.as_posix() for source in sources if isinstance(source, Path)]))
    return [next(paths) if isinstance(source, Path) else f"image {number}" for number, source in enumerate(sources)]
