"""Curves: ``add_scalar``, several values at once, and handing them out again as JSON."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from time import time as now
from typing import Any, Final

import numpy as np

from convscope.errors import InputError
from convscope.formats.events import encode_metadata
from convscope.formats.tensor import encode_tensor
from convscope.formats.values import encode_scalar
from convscope.formats.wire import chunk
from convscope.recording.base import number_of, tag_of, time_of
from convscope.recording.charts import ChartKeeper
from convscope.store.written import write_scalars

_FLOATS: Final = {float}


class ScalarMethods(ChartKeeper):
    """The methods that log numbers."""

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
        display_name: str | None = None,
        summary_description: str | None = None,
    ) -> None:
        """Log a number.

        Parameters
        ----------
        tag
            The curve's name.
        scalar_value
            A number, or an array of any framework that holds one. NaN and infinities are values like others. It is
            stored as float32. A dictionary ``{name: number}`` or a pair ``(name, number)`` is one curve for each
            name in one plot, as with :meth:`add_scalars`.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.
        new_style
            Store it as TensorFlow 2 does, as a tensor: larger, and no quicker to read for anybody.
        double_precision
            Store it as float64, as a tensor.
        display_name, summary_description
            What TensorBoard shows instead of the tag, and beside it.
        """
        if new_style or double_precision or display_name or summary_description:
            value = number_of(scalar_value)
            fields = encode_scalar(value)
            if new_style or double_precision:
                fields = chunk(8, encode_tensor(np.array(value, np.float64 if double_precision else np.float32)))
            fields += encode_metadata("scalars", display_name=display_name or "", description=summary_description or "")
            return self._add_as_value(tag, fields, global_step, walltime)
        if type(scalar_value) is not float:
            if isinstance(scalar_value, Mapping) or _is_named(scalar_value):
                return self._add_curves(tag, dict(_pairs(scalar_value)), global_step, walltime)
            scalar_value = number_of(scalar_value)
        if global_step is None:
            global_step = self._default_step
        if walltime is None:
            walltime = now() if self._default_time is None else self._default_time
        try:
            if self._log.put(tag, global_step, walltime, scalar_value):
                return None
        except (KeyError, TypeError, struct.error):  # a new tag, or something that is not what it should be
            pass
        self._log.put_slowly(tag_of(tag), self._step(global_step), time_of(walltime), scalar_value)
        return None

    def _add_as_value(self, tag: str, fields: bytes, global_step: int | None, walltime: float | None) -> None:
        """Write a number at once, behind those of its curve that still wait in the journal."""
        name = tag_of(tag)
        if self._log.knows(name):
            self.flush()
        self._emit(name, fields, global_step, walltime)

    def log(self, values: Mapping[str, Any], global_step: int | None = None, walltime: float | None = None) -> None:
        """Log several numbers of one step; in the file they are one event, at twenty bytes a number instead of fifty.

        >>> writer.log({"loss": 0.3, "accuracy": {"train": 0.9, "test": 0.8}}, 100)     # doctest: +SKIP

        Parameters
        ----------
        values
            Numbers, or arrays of any framework that hold one, by tag; inner dictionaries add ``/name`` to the tag.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If a value is not one real number, or two are of one tag; nothing is logged then.
        """
        if type(values) is dict and set(map(type, values.values())) == _FLOATS:
            found = values
        elif isinstance(values, Mapping):
            found = _by_tag(_flat(values))
        else:
            raise InputError(f"log() takes numbers by tag, as in log({{'loss': 0.3}}, step); got {values!r:.80}")
        step, time = self._step(global_step), self._time(walltime)
        try:
            if self._log.put_many(found, step, time, found.values()):
                return
        except (KeyError, TypeError):
            pass
        clean = _by_tag([(tag_of(tag), value) for tag, value in found.items()])
        self._log.put_many_slowly(list(clean), step, time, list(clean.values()))

    def export_scalars(self, path: str | PathLike[str]) -> None:
        """Write the scalars that this process has logged with this writer to a JSON file, as MXBoard does.

        The file holds ``{"<logdir>/<tag>": [[wall_time, step, value], …]}`` and replaces an older one. NaN and
        infinities, which JSON does not know, become ``null``.
        """
        self.flush()
        write_scalars(Path(path), self.get_logdir(), self._files())

    def export_scalars_to_json(self, path: str | PathLike[str]) -> None:
        """Do as :meth:`export_scalars`; tensorboardX's name for it."""
        self.export_scalars(path)

    def clear_scalar_dict(self) -> None:
        """Leave what has been logged so far out of later calls of :meth:`export_scalars`."""
        self.flush()
        self._log.start_over()

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log several curves that belong into one plot.

        They are the curves ``main_tag/name`` of this run, in one event; no run, no file and no thread is made for
        them. That they stand in one chart is written into the run's layout when a name is new (TensorBoard shows it
        under *Custom Scalars*).

        >>> writer.add_scalars("loss", {"train": 0.3, "test": 0.4}, 100)        # doctest: +SKIP

        Parameters
        ----------
        main_tag
            The chart's name.
        tag_scalar_dict
            Numbers, or arrays of any framework that hold one, by the names of their curves.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If a value is not one real number, or two are of one curve; nothing is logged then.
        """
        if not isinstance(tag_scalar_dict, Mapping):
            raise InputError(
                f"add_scalars() takes numbers by name, as in {{'train': 0.3}}; got {tag_scalar_dict!r:.80}"
            )
        self._add_curves(main_tag, tag_scalar_dict, global_step, walltime)

    def _add_curves(
        self, main_tag: str, curves: Mapping[str, Any], global_step: int | None, walltime: float | None
    ) -> None:
        """Log one curve for each name, to be shown in one plot."""
        main_tag = tag_of(main_tag)
        values = _by_tag(_flat(curves, f"{main_tag}/"))
        self.log(values, global_step, walltime)
        if not self._are_together(main_tag, values):
            self._show_together(main_tag, values)


def _is_named(value: Any) -> bool:
    """Tell whether a value is MXBoard's pair of a name and a number."""
    return isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    yield from value.items() if isinstance(value, Mapping) else [value]


def _by_tag(pairs: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Return numbers by tag; two of one tag are a mistake."""
    found: dict[str, float] = {}
    for tag, value in pairs:
        if tag in found:
            raise InputError(f"there are two values under the tag {tag!r} in one call; give one another name")
        found[tag] = value if type(value) is float else _number(tag, value)
    return found


def _number(tag: str, value: Any) -> float:
    try:
        return number_of(value)
    except InputError as error:
        raise InputError(f"{error}, under the tag {tag!r}") from None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for tag, value in values.items():
        name = f"{prefix}{tag}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}/")
        else:
            yield name, value
