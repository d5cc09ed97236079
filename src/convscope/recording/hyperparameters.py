"""Hyper-parameters, and the metrics that say how well a run did with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convscope.errors import InputError
from convscope.formats import events
from convscope.formats.hparams import Number, encode_hparams
from convscope.recording.base import Recorder, number_of, tag_of
from convscope.store.index import Index
from convscope.store.log import EventLog, NoLog
from convscope.store.reader import EventFile
from convscope.store.remote import is_remote


class HparamMethods(Recorder):
    """The method that logs hyper-parameters."""

    _hparams: Mapping[str, Number] | None = None
    _more_hparams = 0

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Sequence[Any]] | str | None = None,
        run_name: str | int | None = None,
        global_step: int | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """Log the hyper-parameters of this run, and how well it did with them.

        No other run is made for them: they belong to this one, and the metrics are curves of it. A run has one set of
        hyper-parameters; where another set follows in the same program, it becomes a run ``hparams_2``, ``hparams_3``
        … below this one, because TensorBoard shows one set a run.

        >>> writer.add_hparams({"lr": 0.1, "augment": True}, {"accuracy": 0.93})        # doctest: +SKIP

        Parameters
        ----------
        hparam_dict
            Truth values, numbers, arrays of any framework that hold one, texts, ``None``; anything else is logged as
            its text, a function as its name. NaN and infinities are kept, but TensorBoard leaves them out.
        metric_dict
            Numbers by tag; each is logged as :meth:`add_scalar` does. TensorBoard's table has a column for each metric
            of the first call that has any; where no call has, for every curve.
        hparam_domain_discrete
            For some of the hyper-parameters: the list of values that they may have. A text is taken as ``name``,
            which stands in this place in tensorboardX.
        run_name
            Where given: the sub-directory of a run of their own. A number is taken as ``global_step``, which stands in
            this place in tensorboardX.
        global_step
            The training step of the metrics. By default 0; that of its last point for a metric that is a curve of
            this writer already.
        name
            tensorboardX's name for ``run_name``.

        Raises
        ------
        InputError
            If a metric is not one real number, or a domain does not hold its hyper-parameter; nothing is logged then.
        """
        if isinstance(hparam_domain_discrete, str):
            hparam_domain_discrete, name = None, hparam_domain_discrete
        if isinstance(run_name, int):
            run_name, global_step = None, run_name
        if not isinstance(hparam_dict, Mapping) or not isinstance(metric_dict, Mapping):
            raise InputError("add_hparams() takes two dictionaries: the hyper-parameters and the metrics")
        values = {str(key): _hparam(key, value) for key, value in hparam_dict.items()}
        metrics = {tag_of(tag): number_of(value) for tag, value in metric_dict.items()}
        domains = _domains(hparam_domain_discrete or {}, values)
        place = self._place_for(values, run_name or name)
        if place is None:
            self._write_hparams(self._log, values, metrics, domains, global_step)
            return
        with Recorder(place, "", None, 1.0, "", self._log.writes) as other:
            self._write_hparams(other._log, values, metrics, domains, global_step)  # noqa: SLF001 - it is of our own making

    def _write_hparams(
        self,
        log: EventLog | NoLog,
        values: Mapping[str, Number],
        metrics: Mapping[str, float],
        domains: Mapping[str, Sequence[Number]],
        global_step: int | None,
    ) -> None:
        step, time = self._step(global_step), self._time(None)
        log.append(events.encode_values(time, step, encode_hparams(values, list(metrics), domains, time)))
        steps = _last_steps(log, metrics) if global_step is None and step == 0 else {}
        for tag, value in metrics.items():
            log.put_slowly(tag, steps.get(tag, step), time, value)

    def _place_for(self, values: Mapping[str, Number], wanted: str | None) -> str | None:
        """Return where hyper-parameters are written: ``None`` for the run itself."""
        if wanted:
            place = f"{self._name}/{wanted}" if is_remote(self._name) else str(self._directory / wanted)
            return None if _is_same(place, self._name) else place
        if self._hparams is None or repr(self._hparams) == repr(values):  # NaN is not equal to itself
            self._hparams = values
            return None
        self._more_hparams += 1
        return f"{self._name}/hparams_{self._more_hparams + 1}"


def _last_steps(log: EventLog | NoLog, tags: Iterable[str]) -> dict[str, int]:
    """Return the last step of each of the curves that this writer has: a point before it would take the others back."""
    wanted = [tag for tag in tags if log.knows(tag)]
    found: dict[str, int] = {}
    if not wanted:
        return found
    log.flush()
    for path, _ in log.written():
        file = EventFile(path)
        for block in file.read():
            index = Index()
            index.add(block, file.note)
            for tag in set(wanted) & set(index.scalars):
                found[tag] = max(int(index.scalars[tag].columns()[0].max()), found.get(tag, 0))
    return found


def _hparam(name: Any, value: Any) -> Number:
    """Return the value of a hyper-parameter as TensorBoard knows it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration, or numpy's: the text alone
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | float) or hasattr(value, "__array__") or hasattr(value, "asnumpy"):
        try:
            return number_of(value)
        except InputError as error:
            raise InputError(f"{error}, for the hyper-parameter {name!r}; give one number, or its text") from None
    return str(getattr(value, "__name__", value))


def _domains(domains: Mapping[str, Sequence[Any]], values: Mapping[str, Number]) -> dict[str, list[Number]]:
    if not isinstance(domains, Mapping):
        raise InputError(f"hparam_domain_discrete is {{name: [values]}}, got {domains!r:.80}")
    found = {}
    for name, items in domains.items():
        if name not in values or not isinstance(items, list | tuple):
            raise InputError(
                f"hparam_domain_discrete has a list for a name of hparam_dict, got {name!r}: {items!r:.80}"
            )
        found[name] = [_hparam(name, item) for item in items]
        if wrong := [item for item in found[name] if type(item) is not type(values[name])]:
            kind = type(values[name]).__name__
            raise InputError(f"the hyper-parameter {name!r} is a {kind}, its domain has {wrong[0]!r}; make them alike")
        if repr(values[name]) not in map(repr, found[name]):  # NaN is not equal to itself
            raise InputError(
                f"the hyper-parameter {name!r} is {values[name]!r}, which its domain has not: {items!r:.80}"
            )
    return found


def _is_same(place: str, run: str) -> bool:
    return place.rstrip("/.") == run if is_remote(run) else Path(place).resolve() == Path(run).resolve()
