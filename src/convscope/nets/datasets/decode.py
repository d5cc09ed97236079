"""A picture out of a file or out of bytes: upright, eight bits a colour, on white; hostile files are refused."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError
from convscope.nets.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".avif"}
)
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""What is opened, whatever the suffix says. Pillow knows more, among them formats that start other programs."""
MAX_PIXELS: Final = 89_478_485
"""Larger pictures are refused from their header, before any memory is taken: Pillow's limit for warnings."""
CHECKS: Final = ("full", "quick")

_DRAFTED: Final = ("JPEG", "MPO")
_RULES: Final = 2
"""Counts the changes in how a decoded picture is made upright, 8-bit and opaque; part of every fingerprint."""
_ORIENTATION: Final = 0x0112
_TURNS: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientation → Pillow's ``Transpose``."""

DAMAGED: Final = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    AssertionError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders have been seen to raise for files made to hurt them."""

Source = Any
"""A path, the bytes of a file, a Pillow image, or ``uint8`` pixels ``(H, W)`` or ``(H, W, c)``."""


def decoder() -> str:
    """Return what decodes, with its versions: pixels may differ by a few levels from one to the next."""
    from PIL import __version__, features

    return f"Pillow {__version__}, jpeg {features.version('libjpeg_turbo') or features.version('jpg')}, rules {_RULES}"


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


class _Quiet:
    """Ignores Pillow's warnings while anyone is inside: of odd EXIF, and of sizes that we judge ourselves.

    The filters belong to the whole process; entered by several threads, the last to leave puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


quiet: Final = _Quiet()
_SHARED: Final = threading.Lock()


@contextmanager
def opened(source: Source) -> Iterator[Image]:
    """Open a picture; its header is judged before anything is decoded.

    Raises
    ------
    FormatError
        If it has more pixels than :data:`MAX_PIXELS`.
    """
    from PIL import Image

    if isinstance(source, Image.Image):
        _check_size(source)
        with _SHARED:  # a list may hold the same one twice, and loading is not safe among threads
            source.load()
        yield source
        return
    stream: Any = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    try:
        picture = Image.open(stream, formats=_formats())
    except Image.DecompressionBombError as error:
        raise FormatError(f"more than the {MAX_PIXELS:,} pixels that are accepted") from error
    with picture:
        _check_size(picture)
        yield picture


def _check_size(picture: Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise FormatError(f"{picture.width}×{picture.height} pixels are more than the {MAX_PIXELS:,} that are accepted")


def decode(source: Source, short_side: int | None = None) -> Image | npt.NDArray[np.uint8]:
    """Return a picture as people see it: the first frame, turned as its EXIF data says, on white, in RGB or grey.

    Parameters
    ----------
    source
        A path, bytes, a Pillow image, or ``uint8`` pixels.
    short_side
        The side it will be resized to: lets the JPEG decoder leave out what would be thrown away (DESIGN §6).

    Raises
    ------
    FormatError
        If it cannot be decoded; the message is the bare reason.
    """
    if isinstance(source, np.ndarray):
        return as_pixels(source)
    try:
        with quiet, opened(source) as picture:
            if short_side is not None and picture is not source and picture.format in _DRAFTED:
                ratio = short_side / min(picture.size)
                picture.draft("RGB", (round(picture.width * ratio), round(picture.height * ratio)))
            picture.load()
            return opaque(eight_bit(upright(picture)))
    except DAMAGED as error:
        raise FormatError(reason_of(error)) from error


def fitted(source: Source, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """Return a picture as the network sees it, ``(H, W, 3)`` or ``(H, W, 1)``: decoded, resized and cropped."""
    return preprocessing.fit(decode(source, preprocessing.size))


def as_pixels(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return ``uint8`` pixels as ``(H, W, c)`` with 1 or 3 channels; a fourth is transparency, and comes onto white."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(f"a picture is a uint8 array (H, W) or (H, W, c), got {array.dtype} {array.shape}")
    pixels = array if array.ndim == 3 else array[:, :, None]
    if pixels.shape[2] in (2, 4):
        colours, alpha = pixels[..., :-1].astype(np.uint16), pixels[..., -1:].astype(np.uint16)
        return np.asarray((colours * alpha + 255 * (255 - alpha) + 127) // 255, np.uint8)
    if pixels.shape[2] not in (1, 3):
        raise InputError(f"a picture has 1 to 4 channels, got {pixels.shape[2]} in the shape {array.shape}")
    return pixels


def upright(picture: Image) -> Image:
    """Return a picture turned and mirrored as its EXIF data says: as every viewer shows it."""
    from PIL import Image

    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except DAMAGED:  # the pixels are whole all the same
        return picture
    turn = _TURNS.get(value) if isinstance(value, int) else None
    return picture if turn is None else picture.transpose(Image.Transpose(turn))


def eight_bit(picture: Image) -> Image:
    """Return a picture of 16 bits a pixel as grey of 8 bits; Pillow would cut off everything above 255 instead."""
    from PIL import Image

    if picture.mode == "F" or (picture.mode == "I" and picture.format not in ("PNG", "PPM")):
        raise FormatError(f"pixels of mode {picture.mode!r} have no known range; save it with 8 or 16 bits a pixel")
    if picture.mode != "I" and not picture.mode.startswith("I;16"):
        return picture
    values = np.clip(np.asarray(picture), 0, 65535).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def opaque(picture: Image) -> Image:
    """Return a picture on white where it is transparent, as a page would show it, in RGB or grey."""
    from PIL import Image

    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return picture if picture.mode in ("RGB", "L") else picture.convert("RGB")


def reason_of(error: BaseException) -> str:
    """Return in few words why a picture cannot be read."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than the {MAX_PIXELS:,} pixels that are accepted"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def why_unreadable(source: Source, check: str = "full") -> str:
    """Return why something cannot serve as a picture, or nothing.

    Parameters
    ----------
    source
        A path, bytes, a Pillow image, or ``uint8`` pixels.
    check
        ``full`` decodes it (a JPEG at an eighth of its size: all its bytes are read). ``quick`` looks at the header and
        at the end of a file, and decodes only what does not end as its format says it must.
    """
    try:
        if isinstance(source, np.ndarray):
            as_pixels(source)
            return ""
        if isinstance(source, str | Path) and (reason := _not_a_file(Path(source))):
            return reason
        if isinstance(source, bytes | memoryview) and not len(source):
            return "an empty file"
        with quiet, opened(source) as picture:
            if check == "quick" and _ends_well(source, picture.format or ""):
                return ""
            if picture is not source and picture.format in _DRAFTED:
                picture.draft("RGB", (picture.width // 8, picture.height // 8))
            picture.load()
            if picture.mode in ("F", "I"):
                eight_bit(picture)
            elif picture.mode not in ("RGB", "L") and not picture.mode.startswith("I;16"):
                picture.crop((0, 0, 1, 1)).convert("RGB")  # of some modes there is no way to RGB
    except DAMAGED as error:
        return reason_of(error)
    return ""


def _not_a_file(path: Path) -> str:
    if path.is_file():
        return "" if path.stat().st_size else "an empty file"
    if path.is_symlink():
        return "a broken link"
    return "not a regular file" if path.exists() else "no such file"


def _ends_well(source: Source, kind: str) -> bool:
    """Return whether a file ends as its format says; of formats without an end, never."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            head = file.read(12)
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - 12))
            tail = file.read()
    elif isinstance(source, bytes | memoryview):
        head, tail, size = bytes(source[:12]), bytes(source[-12:]), len(source)
    else:
        return False
    if kind in _DRAFTED:
        return tail.endswith(b"\xff\xd9")
    if kind == "PNG":
        return tail == b"\0\0\0\0IEND\xaeB`\x82"
    return kind == "WEBP" and int.from_bytes(head[4:8], "little") + 8 == size
