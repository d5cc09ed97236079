"""Embeddings as files for TensorBoard's projector."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.formats.projector import Matrix
from convscope.formats.sprite import Sprite, make_sprite
from convscope.recording.base import Recorder, tag_of
from convscope.recording.columns import columns_of
from convscope.store.projector import write_embedding

if TYPE_CHECKING:
    from convscope.embed import Embedding

DEFAULT_TAG: Final = "default"
_LEVEL: Final = 3  # warnings point at the line that calls add_embedding


class ProjectorMethods(Recorder):
    """The methods that log embeddings."""

    def add_embedding(
        self,
        mat: Any,
        metadata: Any = None,
        label_img: Any = None,
        global_step: int | None = None,
        tag: str = DEFAULT_TAG,
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Log vectors with labels and thumbnails, for TensorBoard's projector and convscope's page alike.

        >>> with SummaryWriter("runs/mnist") as writer:                              # doctest: +SKIP
        ...     writer.add_embedding(codes, labels, pictures, step)                  # (N, D), N, (N, C, H, W)
        ...     writer.add_embedding(codes, {"digit": digits, "split": splits})      # two columns

        The files stand in ``projector/<step>/<tag>/`` and are named by ``projector_config.pbtxt``. An embedding with
        the same tag and step is replaced.

        Parameters
        ----------
        mat
            ``(N, D)`` of any framework, stored as float32. NaN and infinities become 0, with a warning: with one of
            them in it the projector shows nothing. Or an :class:`~convscope.embed.Embedding`, which has labels, columns
            and thumbnails of its own.
        metadata
            A label for each point; or a row for each (lists, tuples or an array of two dimensions); or a dictionary of
            columns; or a data frame. Tabs and line breaks in labels become blanks, as the file has no other way.
            ``None`` and NaN become empty labels.
        label_img
            Thumbnails ``(N, C, H, W)`` (so taken where both would fit), ``(N, H, W, C)`` or ``(N, H, W)``: ``uint8``,
            or floats from 0 to 1; what lies outside is clipped, with a warning. Browsers take pictures of up to 8192
            pixels a side: where ``ceil(sqrt(N))`` in a row are wider or higher, they are shrunk, with a warning.
        global_step
            The training step; 0 by default.
        tag
            The embedding's name; by default the layer of an :class:`~convscope.embed.Embedding`, else ``default``.
        metadata_header
            The names of the columns, where the metadata is rows; ``N + 1`` rows without it begin with the names. The
            name of a single column is not stored: the projector has no place for it.

        Raises
        ------
        InputError
            If the shapes or lengths do not fit.
        StorageError
            If the files cannot be written; what was there before stays.
        """
        self._log.check_open()
        step = self._step(global_step)
        if _is_embedding(mat):
            if metadata is not None or label_img is not None or metadata_header is not None:
                raise InputError("an Embedding has its own metadata and thumbnails; give those to Embedding(…) instead")
            tag = mat.layer if mat.layer and tag == DEFAULT_TAG else tag
            metadata, label_img = metadata_of(mat), _pictures(mat)
            mat = mat.vectors
        vectors = _vectors(mat)
        columns = None if metadata is None else columns_of(metadata, metadata_header, len(vectors))
        if metadata is None and metadata_header is not None:
            raise InputError(f"metadata_header names columns, but there is no metadata: {list(metadata_header)!r:.80}")
        sprite = None if label_img is None else _sprite(label_img, len(vectors))
        self._write_embedding(tag, step, vectors, columns, sprite)

    def _write_embedding(
        self, tag: str, step: int, vectors: Matrix, columns: dict[str, list[str]] | None, sprite: Sprite | None
    ) -> None:
        name = tag_of(tag)
        if self._log.writes:
            self._log.publish(*write_embedding(self._directory, name, step, vectors, columns, sprite))


def _is_embedding(mat: Any) -> TypeGuard[Embedding]:
    """Tell whether vectors come with all that is known of them; asked without importing what computes with them."""
    return type(mat).__module__ == "convscope.embed.embedding"


def metadata_of(embedding: Embedding) -> dict[str, list[str]] | None:
    """Return the labels and columns of an embedding as columns of text; ``None`` if there are none."""
    from convscope.embed.columns import texts
    from convscope.embed.given import named

    found = {}
    if (embedding.labels >= 0).any():
        names, codes = named(embedding.labels, embedding.label_names, str)
        known = [*names, ""]
        found["label"] = [known[code] for code in codes.tolist()]  # -1 is the last
    for name, values in embedding.columns.items():
        key = name if name not in found else f"{name} (column)"
        found[key] = ["" if text is None else text for text in texts(values)]
    return found or None


def _pictures(embedding: Embedding) -> npt.NDArray[np.uint8] | None:
    """Return the thumbnails; transparent around those that are smaller than their tiles, or not there."""
    tiles, sizes = embedding.thumbnails, embedding.thumbnail_size
    if tiles is None or sizes is None:
        found: npt.NDArray[np.uint8] | None = tiles
        return found
    clear = np.zeros((*tiles.shape[:3], 4), np.uint8)
    clear[..., :3] = tiles
    height, width = tiles.shape[1:3]
    for tile, (rows, columns) in zip(clear, sizes.tolist(), strict=True):
        top, left = (height - rows) // 2, (width - columns) // 2
        tile[top : top + rows, left : left + columns, 3] = 255
    return clear


def _vectors(mat: Any) -> Matrix:
    array = as_numpy(mat)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "biuf":
        raise InputError(
            f"an embedding is a matrix (N, D) of real numbers, got the shape {array.shape}, dtype {array.dtype}; "
            "reshape it with x.reshape(len(x), -1)"
        )
    with np.errstate(over="ignore"):
        vectors = np.asarray(array, np.float32)
    if (wrong := vectors.size - int(np.count_nonzero(np.isfinite(vectors)))) == 0:
        return vectors
    rows = int(np.count_nonzero(~np.isfinite(vectors).all(axis=1)))
    warnings.warn(
        f"{wrong} numbers in {rows} of {len(vectors)} vectors are NaN or infinite and are stored as 0",
        stacklevel=_LEVEL,
    )
    return np.nan_to_num(vectors, nan=0, posinf=0, neginf=0)


def _sprite(label_img: Any, count: int) -> Sprite:
    pictures = _as_nhwc(as_numpy(label_img))
    if len(pictures) != count:
        raise InputError(f"label_img must have a thumbnail for each of the {count} points, got {len(pictures)}")
    sprite = make_sprite(pictures)
    if sprite.clipped:
        warnings.warn(
            f"{sprite.clipped} numbers of the thumbnails lie outside 0..1 (integers: 0..255) and are clipped",
            stacklevel=_LEVEL,
        )
    if (sprite.height, sprite.width) != pictures.shape[1:3]:
        warnings.warn(
            f"the thumbnails are shrunk from {pictures.shape[2]} × {pictures.shape[1]} to {sprite.width} × "
            f"{sprite.height} pixels: browsers show sprites of up to 8192 pixels a side",
            stacklevel=_LEVEL,
        )
    return sprite


def _as_nhwc(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return thumbnails as ``(N, H, W, C)``, without moving a number."""
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and (array.shape[1] in (1, 3) or (array.shape[1] == 4 and array.shape[3] not in (1, 3))):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(
            f"thumbnails are (N, C, H, W), (N, H, W, C) or (N, H, W) with 1, 3 or 4 channels, got {array.shape}"
        )
    return array
