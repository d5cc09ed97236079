"""Whatever a user calls images, as a set of images: arrays, folders, files, lists, data sets of torch, hub and Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from convscope.arrays import as_numpy
from convscope.errors import InputError, NotFoundError
from convscope.nets.data import ArrayImages, FolderImages, ImageSet, InputImages, skipped_sentence
from convscope.nets.datasets.arrays import load_arrays
from convscope.nets.datasets.decode import SUFFIXES
from convscope.nets.datasets.indexed import IndexedImages
from convscope.nets.datasets.labels import Given
from convscope.nets.datasets.listed import ListedImages
from convscope.nets.datasets.parquet import ParquetImages
from convscope.nets.datasets.pictures import stacked
from convscope.nets.datasets.ray_data import RayImages
from convscope.nets.datasets.synsets import Names, Synset, synsets
from convscope.nets.datasets.webdataset import TarImages
from convscope.nets.preprocessing import Preprocessing

__all__ = ["InputImages", "Synset", "image_set", "skipped_sentence", "synsets"]

_SHARDS: Final[dict[str, Callable[..., ImageSet]]] = {".parquet": ParquetImages, ".tar": TarImages}
_COMPRESSED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")
_ARRAYS: Final = (".npy", ".npz")


def image_set(
    images: Any,
    preprocessing: Preprocessing | None = None,
    labels: Given = None,
    label_names: Names = None,
    name: str | None = None,
    check: str | None = None,
) -> ImageSet:
    """Return whatever a user calls images as a set of images.

    >>> digits = image_set(np.zeros((3, 8, 8), np.uint8), labels=["no", "yes", "no"])
    >>> len(digits), digits.labels.tolist(), digits.label_names
    (3, [0, 1, 0], ('no', 'yes'))

    Parameters
    ----------
    images
        A folder; a picture; a ``.npy`` or ``.npz`` file; Parquet files or WebDataset shards (a path, a pattern, a
        list); an array of any framework (``uint8`` pictures ``(N, H, W)`` or ``(N, H, W, c)``, or the network's input
        ``(N, C, H, W)`` as floats); a list of paths, Pillow images or ``uint8`` arrays; a torch ``Dataset`` or one of
        the hub; a Ray Dataset; or a set of images.
    preprocessing
        How pictures become the network's input.
    labels
        A CSV, TSV or text file, ``{file: label}``, or one label for each image.
    label_names
        The names of the classes: a list, a file with a name a line, a file of synsets.
    name
        What the set is called.
    check
        ``full`` tries every picture before it is counted in, ``quick`` looks at headers and ends of files; by default
        ``full``, but ``quick`` for data sets of torch that list their labels.

    Raises
    ------
    InputError
        If it is none of these, or holds no readable image.
    NotFoundError, FormatError
        If a file is not there, or is not what its name says.
    """
    if all(hasattr(images, attribute) for attribute in ("images", "display", "fingerprint")):
        if labels is not None or label_names is not None or name is not None:
            raise InputError("a set of images has its labels and its name already; give them where it is made")
        return images  # type: ignore[no-any-return]  # has what the protocol asks for
    options: dict[str, Any] = {"labels": labels, "label_names": label_names} | ({"name": name} if name else {})
    checked = options | ({"check": check} if check else {})
    if isinstance(images, str | Path):
        return _from_path(Path(images), preprocessing, options, checked)
    if isinstance(images, list | tuple) or type(images).__module__.startswith("PIL."):
        return _listed(images if isinstance(images, list | tuple) else [images], preprocessing, options, checked)
    if all(hasattr(images, attribute) for attribute in ("iter_batches", "count", "schema")):
        return RayImages(images, preprocessing, **options)
    if hasattr(images, "dtype") or hasattr(images, "__array__") or hasattr(images, "__dlpack__"):
        return _array(as_numpy(images), preprocessing, options)
    return _indexed(images, preprocessing, checked)


def _from_path(
    path: Path, preprocessing: Preprocessing | None, options: dict[str, Any], checked: dict[str, Any]
) -> ImageSet:
    """Return the images of a folder, a file, or the files a pattern means."""
    ending = path.suffix.lower()
    if ending in _SHARDS and not path.is_dir():
        return _SHARDS[ending](path, preprocessing, **checked)
    if path.is_dir() or not (ending or path.exists()):
        return FolderImages(path, preprocessing, **checked)
    if ending in _ARRAYS:
        array, found = load_arrays(path)
        known = options["labels"] if options["labels"] is not None else found
        return _array(array, preprocessing, {"name": path.stem, **options, "labels": known})
    if not path.exists():
        raise NotFoundError(f"no file or folder {str(path)!r}; give the path of images")
    if ending in SUFFIXES:
        return ListedImages([path], preprocessing, **{"name": path.stem, **checked})
    if path.name.lower().endswith(_COMPRESSED):
        raise InputError(f"{path} is compressed, so its images cannot be found again; unpack it and give the folder")
    raise InputError(
        f"{path} is neither a folder nor a picture, and not .npy, .npz, .parquet or .tar; give one of these"
    )


def _listed(
    images: list[Any] | tuple[Any, ...],
    preprocessing: Preprocessing | None,
    options: dict[str, Any],
    checked: dict[str, Any],
) -> ImageSet:
    """Return a list of pictures, of shards, or of inputs as a set."""
    if not images:
        raise InputError("no images were given; give at least one")
    if all(isinstance(one, str | Path) for one in images):
        for ending, source in _SHARDS.items():
            if all(str(one).lower().endswith(ending) for one in images):
                return source(images, preprocessing, **checked)
        return ListedImages(images, preprocessing, **checked)
    if all(hasattr(one, "ndim") and one.ndim == 3 and as_numpy(one).dtype.kind == "f" for one in images):
        return _array(stacked([as_numpy(one) for one in images]), preprocessing, options)
    if isinstance(images[0], list | tuple | int | float):
        return _array(as_numpy(images), preprocessing, options)
    return ListedImages(images, preprocessing, **checked)


def _array(array: Any, preprocessing: Preprocessing | None, options: dict[str, Any]) -> ImageSet:
    if array.ndim and not len(array):
        raise InputError("no images were given; give at least one")
    if array.dtype == np.uint8:
        return ArrayImages(array, preprocessing=preprocessing, **options)
    if array.dtype.kind == "f":
        return InputImages(array, preprocessing, **options)
    raise InputError(f"images are uint8 pictures (N, H, W, c) or float inputs (N, C, H, W), got {array.dtype}")


def _indexed(images: Any, preprocessing: Preprocessing | None, checked: dict[str, Any]) -> ImageSet:
    """Return a data set that is read by number; refuse what can only be read in order."""
    kind = type(images).__name__
    if hasattr(images, "dataset") and hasattr(images, "batch_size"):
        raise InputError(f"a {kind} gives batches, maybe shuffled; give its .dataset, or list(loader.dataset)")
    in_order = any(base.__name__ == "IterableDataset" for base in type(images).__mro__)
    numbered = hasattr(images, "__len__") and hasattr(images, "__getitem__") and not isinstance(images, Mapping | bytes)
    if numbered and not in_order:
        return IndexedImages(images, preprocessing, **checked)
    if hasattr(images, "__iter__") and not isinstance(images, Mapping | bytes):
        raise InputError(
            f"a {kind} can only be read in order, and results must find an image again by its number; give a data set "
            "with __len__ and __getitem__, or list(…) of one that fits into memory"
        )
    raise InputError(f"expected images, got {kind}; give a folder, a list, an array or a data set")
