"""The images of a folder: its sub-folders are the classes, and what cannot be read is skipped and named."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError, NotFoundError, StorageError
from convscope.nets.preprocessing import IMAGENET, Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
MAX_PIXELS: Final = 89_478_485
"""Larger pictures are refused from their header, before any memory is taken: Pillow's limit for warnings."""

_THREADS: Final = min(4, os.cpu_count() or 1)


class FolderImages:
    """The images below a folder, in the order of their paths.

    Files that are no images although they are named so, truncated files, image bombs, broken links and linked folders
    are skipped; :attr:`skipped` names each with its reason. Files with other suffixes are not looked at.

    Parameters
    ----------
    path
        The folder.
    preprocessing
        How the images become the network's input; resized to 256, cropped to 224 and normalised for ImageNet unless
        given.
    name
        What the set is called; the folder's name unless given.

    Attributes
    ----------
    files
        Paths relative to the folder; image number i is ``files[i]``.
    labels, label_names
        The class of each image, numbered in the order of the sub-folders' names; ``None`` without sub-folders.
    skipped
        Path → why it is not among the images.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    InputError
        If it is not a folder or holds no readable image.
    """

    def __init__(
        self, path: str | Path, preprocessing: Preprocessing | None = None, *, name: str | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise NotFoundError(f"no folder {str(path)!r}; give the path of a folder of images")
        if not self.path.is_dir():
            raise InputError(f"{str(path)!r} is a file; give the folder it is in")
        self.name = name or self.path.resolve().name
        self.preprocessing = preprocessing or IMAGENET
        self.skipped: dict[str, str] = {}
        self.files = self._readable()
        classes = sorted({str(Path(file).parent) for file in self.files} - {"."})
        self.label_names: tuple[str, ...] = tuple(Path(c).as_posix() for c in classes)
        number = {name: i for i, name in enumerate(classes)}
        labels = [number.get(str(Path(file).parent), -1) for file in self.files]
        self.labels: npt.NDArray[np.int32] | None = np.array(labels, np.int32) if classes else None

    def _readable(self) -> tuple[str, ...]:
        found, others = self._walk()
        with ThreadPoolExecutor(_THREADS) as threads, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and of sizes we judge ourselves
            reasons = list(threads.map(why_unreadable, (self.path / file for file in found)))
        self.skipped.update({f: reason for f, reason in zip(found, reasons, strict=True) if reason})
        files = tuple(file for file in found if file not in self.skipped)
        if not files:
            counts = f"{len(self.skipped)} unreadable, {others} other files"
            first = "".join(f", {file}: {reason}" for file, reason in list(self.skipped.items())[:1])
            raise InputError(f"no readable image in {str(self.path)!r} ({counts}{first}); give a folder of photographs")
        return files

    def _walk(self) -> tuple[list[str], int]:
        """Return the relative paths of what is named like an image, sorted, and how many other files there are."""

        def refuse(error: OSError) -> None:
            raise StorageError(f"cannot read the folder {error.filename!r}: {error.strerror}") from error

        found, others = [], 0
        for folder, folders, files in os.walk(self.path, onerror=refuse, followlinks=False):
            here = Path(folder).relative_to(self.path)
            for link in (f for f in folders if (Path(folder) / f).is_symlink()):
                self.skipped[(here / link).as_posix()] = "a linked folder is not followed"
            images = [f for f in files if Path(f).suffix.lower() in SUFFIXES]
            others += len(files) - len(images)
            found += [(here / f).as_posix() for f in images]
        return sorted(found), others

    def __len__(self) -> int:
        return len(self.files)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``; several are decoded at a time."""
        with ThreadPoolExecutor(_THREADS) as threads:
            pictures = list(threads.map(self.display, range(len(self))[start:stop]))
        if len({picture.shape for picture in pictures}) > 1:
            raise InputError("the images differ in size; give a preprocessing with size and crop")
        return self.preprocessing.normalise(np.stack(pictures))

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown, aligned with the network's input."""
        from PIL import Image

        path = self.path / self.files[index]
        try:
            with Image.open(path) as picture:
                self._draft(picture)
                return self.preprocessing.fit(picture)
        except (OSError, SyntaxError, ValueError) as error:
            raise FormatError(
                f"{path} could be read before but not now ({error}); remove it and start again"
            ) from error

    def _draft(self, picture: Image) -> None:
        """Let the JPEG decoder skip what would be thrown away: 3.5 times faster on large photographs (DESIGN §6)."""
        if self.preprocessing.size is not None:
            ratio = self.preprocessing.size / min(picture.size)
            picture.draft("RGB", (round(picture.width * ratio), round(picture.height * ratio)))

    @cached_property
    def fingerprint(self) -> str:
        """What the paths, the sizes of the files, the preprocessing and the decoder's version hash to."""
        from PIL import __version__ as pillow

        sizes = [(file, (self.path / file).stat().st_size) for file in self.files]
        about = [sizes, self.preprocessing.to_json(), pillow]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def why_unreadable(path: Path) -> str:
    """Return why a file cannot serve as an image, or nothing; hostile headers are judged before anything is decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not path.is_file():
            return "a broken link" if path.is_symlink() else "not a regular file"
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return f"{picture.width}×{picture.height} pixels are more than the {MAX_PIXELS:,} that are accepted"
            picture.draft("RGB", (picture.width // 8, picture.height // 8))  # JPEG: eight times smaller, all bytes read
            picture.load()
    except UnidentifiedImageError:
        return "not an image"
    except Image.DecompressionBombError:
        return f"more than the {MAX_PIXELS:,} pixels that are accepted"
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise for damaged files
        return str(error) or type(error).__name__
    return ""
