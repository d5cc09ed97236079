"""Vectors from wherever they are: run directories, projector folders, tables, arrays in files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.embedding import Embedding
from convscope.embed.foreign import from_texts
from convscope.errors import ConvscopeError, FormatError, InputError, NotFoundError, missing_extra, not_found
from convscope.formats.projector import decode_metadata, decode_vectors
from convscope.store import ProjectorEmbedding, Record, Run
from convscope.store.projector import CONFIG
from convscope.store.remote import is_remote

_ROWS: Final = 8192
_LINES: Final = ("tensors.tsv", "vectors.tsv", "tensor.tsv")
_METADATA: Final = "metadata.tsv"


def read_embedding(
    path: str | PathLike[str],
    *,
    tag: str | None = None,
    step: int | None = None,
    metadata: str | PathLike[str] | None = None,
    vectors: str | Sequence[str] | None = None,
    label: str | None = None,
    thumbnail: str | None = None,
) -> Embedding:
    """Read an embedding, whoever has written it.

    >>> cs.read_embedding("runs/mnist", tag="fc1")                                  # doctest: +SKIP
    >>> cs.read_embedding("words.parquet", vectors=["x", "y", "z"], label="word")   # doctest: +SKIP

    Parameters
    ----------
    path
        A run directory: records of convscope, what convscope, ``torch.utils.tensorboard``, tensorboardX, MXBoard or
        TensorFlow have logged for TensorBoard's projector, or a tensor ``(N, D)`` of its event files. A projector
        folder or its ``projector_config.pbtxt``. A table of numbers (``tensors.tsv``, with the ``metadata.tsv`` beside
        it). A Parquet file (extra ``table``). A ``.npy`` file, which stays on disk.
    tag, step
        Of a directory: which embedding; by default the only tag there is, and its last step.
    metadata
        Of a table of numbers: its metadata; by default the ``metadata.tsv`` beside it.
    vectors
        Of a Parquet file: the column of lists that are the vectors, or several columns of numbers. By default the
        column ``embedding``, or the only one of lists of numbers.
    label, thumbnail
        Of a Parquet file, or of metadata: the columns of labels and of pictures. By default those named so (``label``,
        ``class``; ``thumbnail``, ``image``), of metadata also the only column.

    Raises
    ------
    NotFoundError
        If there is no such file, tag, step or column.
    InputError
        If it is not told which of several is meant.
    FormatError
        If the files are damaged.
    MissingExtraError
        If pyarrow is needed and not installed.
    """
    if is_remote(path):
        return _from_run(Run(str(path)), tag, step, label)
    place = Path(path)
    if place.is_dir():
        return _from_directory(place, tag, step, label)
    if not place.is_file():
        raise NotFoundError(f"there is no file or directory {str(place)!r:.300}; give one that holds vectors")
    if place.name == CONFIG:
        return _from_run(Run(place.parent), tag, step, label)
    match place.suffix.lower():
        case ".parquet" | ".pq":
            return _from_parquet(place, vectors, label, thumbnail)
        case ".npy":
            return Embedding(_array(place))
        case ".tsv" | ".txt":
            return _from_table(place, metadata, label)
    raise InputError(
        f"{place.name!r} is no file of vectors that is known; give a directory, .parquet, .tsv, .npy or {CONFIG}"
    )


def _from_directory(place: Path, tag: str | None, step: int | None, label: str | None) -> Embedding:
    run = Run(place)
    tables = [place / name for name in _LINES if (place / name).is_file()]
    if tables and not (place / CONFIG).exists() and not run.tags():
        return _from_table(tables[0], None, label)
    return _from_run(run, tag, step, label)


def _from_run(run: Run, tag: str | None, step: int | None, label: str | None) -> Embedding:
    """Return an embedding of a run: of a record, else of the projector's files, else of a tensor."""
    records = {(entry.tag, entry.step): entry for entry in run.entries("embedding")}
    projected = {(item.tag, item.step): item for item in run.listed_embeddings()}
    tensors = run.tags("tensor")["tensor"]
    tags = list(dict.fromkeys([*(name for name, _ in (*records, *projected))]))
    known = tags or tensors
    if tag is None and len(known) != 1:
        raise _which(run, known)
    wanted = known[0] if tag is None else tag
    if wanted not in tags:
        if wanted in tensors:
            return _from_tensor(run, wanted, step)
        raise not_found("embedding", wanted, [*tags, *tensors], f"run {run.name!r}")
    steps = sorted({at for name, at in (*records, *projected) if name == wanted})
    at = steps[-1] if step is None else step
    if (wanted, at) in records:
        return embedding_of(run.record(records[wanted, at]))
    if (wanted, at) not in projected:
        raise NotFoundError(f"the embedding {wanted!r} has no step {at}; there are: {', '.join(map(str, steps[:12]))}")
    return of_projector(projected[wanted, at].read(), label)


def _which(run: Run, known: Sequence[str]) -> InputError:
    if known:
        return InputError(
            f"run {run.name!r} has {len(known)} embeddings; name one with tag=: {', '.join(known)!s:.200}"
        )
    run.embeddings()  # says what of them cannot be read
    told = f" ({run.problems[0]})" if run.problems else ""
    return NotFoundError(f"run {run.name!r} holds no embedding{told}; log one with SummaryWriter.add_embedding")


def embedding_of(record: Record) -> Embedding:
    """Return the embedding of a record; its vectors stay on disk until they are touched."""
    arrays: dict[str, npt.NDArray[Any]] = {
        name: record.mapped(name) if name == "vector" else record.arrays([name])[name]
        for name in record.array_info
        if not name.startswith("neighbour")
    }
    plan = record.pictures.get("thumbnail")
    sheet = None if plan is None else record.tiles("thumbnail", range(plan["total_rows"]))
    return Embedding.from_arrays(arrays, record.meta, sheet)


def of_projector(found: ProjectorEmbedding, label: str | None = None) -> Embedding:
    """Return what was logged for TensorBoard's projector as an embedding; thumbnails that are damaged are left out."""
    if label is not None and label not in found.metadata:
        raise not_found("column", label, found.metadata, f"the metadata of {found.tag!r}")
    try:
        pictures = found.thumbnails
    except ConvscopeError as error:
        warnings.warn(f"{found.tag!r} has no thumbnails: {error}", stacklevel=2)
        pictures = None
    return from_texts(found.vectors, found.metadata, label=label, thumbnails=pictures, layer=found.tag)


def _from_tensor(run: Run, tag: str, step: int | None) -> Embedding:
    found = [tensor for tensor in run.tensors(tag) if step in (None, tensor.step)]
    if not found:
        raise NotFoundError(f"the tensor {tag!r} has no step {step}")
    values = found[-1].values
    if isinstance(values, list) or values.ndim != 2:
        shape = "texts" if isinstance(values, list) else values.shape
        raise InputError(f"the tensor {tag!r} is {shape}; an embedding is one of shape (N, D)")
    return Embedding(values, layer=tag)


def _from_parquet(
    place: Path, vectors: str | Sequence[str] | None, label: str | None, thumbnail: str | None
) -> Embedding:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise missing_extra("pyarrow", "table", "reading Parquet files") from error
    from convscope.embed.table import Reading

    try:
        with parquet.ParquetFile(place) as file:
            reading = Reading(file.schema_arrow, vectors, label, thumbnail)
            for batch in file.iter_batches(_ROWS):
                reading.add(batch)
    except (ArrowException, OSError) as error:
        if isinstance(error, ConvscopeError):
            raise
        raise FormatError(f"{str(place)!r} is not a Parquet file that can be read ({error})") from error
    return reading.embedding()


def _array(place: Path) -> npt.NDArray[Any]:
    try:
        found: npt.NDArray[Any] = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(f"{place.name} is not an array of numbers ({error})") from error
    return found


def _from_table(place: Path, metadata: str | PathLike[str] | None, label: str | None) -> Embedding:
    beside = Path(metadata) if metadata is not None else place.with_name(_METADATA)
    data = _read(place)
    try:
        vectors = decode_vectors(data, ())
    except FormatError as error:
        raise FormatError(f"{place.name} {error}") from error
    known: Mapping[str, Sequence[str]] = {}
    if metadata is not None or beside.is_file():
        try:
            known = decode_metadata(_read(beside), len(vectors))
        except FormatError as error:
            raise FormatError(f"{beside.name} {error}") from error
    if label is not None and label not in known:
        raise not_found("column", label, known, beside.name)
    return from_texts(vectors, known, label=label)


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {str(place)!r:.300}") from None
    except OSError as error:
        raise FormatError(f"{place} cannot be read ({error.strerror or error})") from error
