"""Embeddings as TensorBoard's projector reads them: a folder each, named by ``projector_config.pbtxt``.

Folders and configuration are written beside and renamed into place, under a lock on the run directory: whatever the
configuration names is complete, and what other programs have written into it stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from convscope.errors import FormatError, StorageError
from convscope.formats.projector import (
    ConfigEntry,
    Matrix,
    encode_entry,
    encode_metadata,
    encode_vectors,
    name_of,
    without,
)
from convscope.formats.sprite import Sprite
from convscope.store.durable import sync_directory, write_durably

CONFIG: Final = "projector_config.pbtxt"
DIRECTORY: Final = "projector"
_TEMPORARY: Final = ".tmp-"
_PLAIN: Final = re.compile(r"(?!\.)[a-z0-9._]{1,64}(?<!\.)")
_within_process = threading.Lock()


def folder_of(tag: str) -> str:
    """Return a tag as the name of a folder; a tag that is not plain gets a part of its hash, so that no two collide.

    >>> folder_of("codes"), folder_of("block/Codes")
    ('codes', 'block_Codes-ccc3ca3556289911')
    """
    if _PLAIN.fullmatch(tag):
        return tag
    clean = re.sub(r"[^A-Za-z0-9._]", "_", tag)[:64].strip(".")
    return f"{clean}-{hashlib.sha256(tag.encode()).hexdigest()[:16]}"


def write_embedding(
    run: Path,
    tag: str,
    step: int,
    vectors: Matrix,
    columns: Mapping[str, Sequence[str]] | None = None,
    sprite: Sprite | None = None,
) -> tuple[str, str]:
    """Write the files of an embedding and name them in the configuration, in place of the same tag and step.

    Parameters
    ----------
    run
        The run directory.
    tag, step
        What the embedding is called.
    vectors
        ``(N, D)``, finite.
    columns
        Metadata of ``N`` points.
    sprite
        Their thumbnails.

    Returns
    -------
    The folder and the configuration, relative to the run directory.

    Raises
    ------
    StorageError
        If they cannot be written; the configuration names what it named before.
    """
    data, is_table = encode_vectors(vectors)
    files = {"tensors.tsv" if is_table else "tensors.bytes": data}
    folder = f"{DIRECTORY}/{step:05d}/{folder_of(tag)}"
    paths = {"tensor_path": f"{folder}/{next(iter(files))}"}
    if columns is not None:
        files["metadata.tsv"], paths["metadata_path"] = encode_metadata(columns), f"{folder}/metadata.tsv"
    if sprite is not None:
        files["sprite.png"], paths["sprite_path"] = sprite.png, f"{folder}/sprite.png"
    size = (0, 0) if sprite is None else (sprite.width, sprite.height)
    rows, width = vectors.shape
    entry = ConfigEntry(name_of(tag, step), shape=(rows, width), thumbnail=size, **paths)
    try:
        (run / DIRECTORY).mkdir(exist_ok=True)
        with _locked(run) as alone:
            if alone:
                _sweep(run)
            _commit(run, run / folder, files, entry)
    except OSError as error:
        raise StorageError(
            f"cannot write the embedding {tag!r} to {run} ({error}); make room or choose another log_dir"
        ) from error
    return folder, CONFIG


@contextmanager
def _locked(run: Path) -> Iterator[bool]:
    """Keep other writers of the run out; tell whether those of other processes are, too."""
    if sys.platform == "win32":
        with _within_process:
            yield False
        return
    import fcntl

    handle = os.open(run, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            with _within_process:
                yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # said aloud: a child forked meanwhile holds the handle, too
    finally:
        os.close(handle)


def _sweep(run: Path) -> None:
    """Remove what writers that are gone have left half-written; nobody else is writing now."""
    for left_over in (run / DIRECTORY).glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _commit(run: Path, folder: Path, files: Mapping[str, bytes], entry: ConfigEntry) -> None:
    """Write all there is to write, and only then put it in place: what may still fail needs no room."""
    kept = _config_without(run, entry.name)
    work = run / DIRECTORY / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
    try:
        for name, data in files.items():
            write_durably(work / "new" / name, data)
        write_durably(work / "kept", kept.encode())
        write_durably(work / CONFIG, f"{kept}{encode_entry(entry)}".encode())
        sync_directory(work / "new")
        folder.parent.mkdir(exist_ok=True)
        if folder.exists():
            (work / "kept").replace(run / CONFIG)  # the old folder is not named any more when it goes
            folder.rename(work / "old")
        (work / "new").rename(folder)
        sync_directory(folder.parent)
        (work / CONFIG).replace(run / CONFIG)
        sync_directory(run)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _config_without(run: Path, name: str) -> str:
    """Return the configuration without an entry; one that makes no sense is put aside."""
    try:
        return without((run / CONFIG).read_bytes().decode(), name)
    except FileNotFoundError:
        return ""
    except (FormatError, UnicodeDecodeError) as error:
        aside = run / f"{CONFIG}.damaged-{secrets.token_hex(3)}"
        (run / CONFIG).rename(aside)
        warnings.warn(f"{run / CONFIG}: {error}; it is kept as {aside.name} and a new one begun", stacklevel=6)
        return ""
