"""What a pass does, and where it has come to: the plan, its fingerprint and the checkpoint."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError, StorageError

Shard = tuple[int, int]
Arrays = dict[str, npt.NDArray[Any]]

_FORMAT: Final = "convscope-checkpoint-1"


@dataclass(frozen=True)
class Plan:
    """The shards of a data set in the order in which their states are merged, and what makes this pass this pass.

    Attributes
    ----------
    shards
        Half-open ranges of image indices.
    fingerprint
        What JSON can hold and what determines the result: data set, network, preprocessing, parameters, threads. A
        checkpoint of another fingerprint is refused.
    """

    shards: tuple[Shard, ...]
    fingerprint: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, count: int, shard_size: int, fingerprint: Mapping[str, Any] | None = None) -> Plan:
        """Cut ``count`` images into shards of ``shard_size``; the last one may be shorter, none is dropped.

        >>> Plan.of(10, 4).shards
        ((0, 4), (4, 8), (8, 10))
        """
        if count < 1:
            raise InputError("the data set is empty; give at least one image")
        if shard_size < 1:
            raise InputError(f"a shard has at least one image, got shard_size={shard_size}")
        shards = tuple((start, min(start + shard_size, count)) for start in range(0, count, shard_size))
        return cls(shards, fingerprint or {})

    def key(self) -> str:
        """Return the fingerprint and the shards as one canonical string."""
        return json.dumps({"fingerprint": self.fingerprint, "shards": self.shards}, sort_keys=True)

    def images_before(self, cursor: int) -> int:
        """Return how many images the first ``cursor`` shards hold."""
        return sum(stop - start for start, stop in self.shards[:cursor])


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds how far a pass has come and the state at that point."""

    path: Path

    def load(self, plan: Plan) -> tuple[int, Arrays]:
        """Return the cursor and the state's arrays; ``(0, {})`` where the pass has not begun.

        Raises
        ------
        InputError
            If the checkpoint belongs to another pass.
        FormatError
            If the file is not a checkpoint.
        """
        if not self.path.exists():
            return 0, {}
        meta, arrays = self._read()
        if meta.get("plan") != plan.key():
            what = _difference(meta.get("plan", ""), plan)
            raise InputError(
                f"the checkpoint {self.path} belongs to another pass ({what} differs); remove it or choose another file"
            )
        return int(meta["cursor"]), arrays

    def _read(self) -> tuple[dict[str, str], Arrays]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="np") as file:
                meta = dict(file.metadata() or {})
                arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError as error:
            raise FormatError(f"{self.path} is not a checkpoint ({error}); remove it") from error
        except OSError as error:
            raise StorageError(f"cannot read the checkpoint {self.path}: {error}") from error
        if meta.get("format") != _FORMAT:
            raise FormatError(f"{self.path} is not a checkpoint of a pass; remove it or choose another file")
        return meta, arrays

    def save(self, plan: Plan, cursor: int, arrays: Arrays) -> None:
        """Put (cursor, state) in the place of what was there, all of it or nothing."""
        from safetensors.numpy import save

        meta = {"format": _FORMAT, "plan": plan.key(), "cursor": str(cursor)}
        solid = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
        data = save(solid, metadata=meta)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _write_synced(temporary, data)
            temporary.replace(self.path)
        except OSError as error:
            with suppress(OSError):  # the first error is the one to tell
                temporary.unlink(missing_ok=True)
            raise StorageError(f"cannot write the checkpoint {self.path}: {error}") from error


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _difference(key: str, plan: Plan) -> str:
    """Name what differs between the plan of a checkpoint and this one."""
    try:
        theirs = json.loads(key)
    except ValueError:
        return "its plan"
    ours = json.loads(plan.key())
    names = {*theirs.get("fingerprint", {}), *ours["fingerprint"]}
    different = [n for n in sorted(names) if theirs.get("fingerprint", {}).get(n) != ours["fingerprint"].get(n)]
    return ", ".join(different) or "its shards"
