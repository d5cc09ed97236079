"""``watch``: log what a network's weights, gradients and activations do, at every n-th step of its optimisers."""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self, cast
from weakref import WeakKeyDictionary

from convscope.errors import InputError, missing_extra

try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    raise missing_extra("torch", "torch", "watching a network") from error

from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from convscope.nets.alarm import Alarm
from convscope.nets.hooks import Activations
from convscope.nets.rounds import Course, Rounds
from convscope.nets.snapshot import Parameters, Snapshot, Totals, Writer, distribution
from convscope.nets.trouble import Trouble
from convscope.nets.watched import Watched


@dataclass(frozen=True)
class _Wanted:
    """What is logged; see :func:`watch`."""

    weights: bool
    gradients: bool
    filters: bool
    alarm: bool
    step: Callable[[], Any] | None


@dataclass
class _Step:
    """A step of an optimiser that is under way."""

    optimizer: Optimizer
    course: Course
    number: int
    parameters: Parameters
    due: bool
    late: bool
    skipped: bool
    snapshot: Snapshot


class Watch:
    """A network under watch, until it is closed; made by :func:`watch`."""

    def __init__(
        self, watched: Watched, writer: Writer, every: int, wanted: _Wanted, seen: Activations | None, trouble: Trouble
    ) -> None:
        self._watched = watched
        self._writer = writer
        self._wanted = wanted
        self._activations = seen
        self._trouble = trouble
        self._alarm = Alarm(writer, seen) if wanted.alarm else None
        self._rounds = Rounds(every)
        self._totals = Totals()
        self._held: WeakKeyDictionary[Optimizer, tuple[int, Parameters]] = WeakKeyDictionary()
        self._under_way: _Step | None = None
        self._last: tuple[Parameters, int] | None = None
        self._last_activations: int | None = None
        self._handles: list[RemovableHandle] = []

    def attach(self) -> Self:
        """Start to look; :func:`watch` has done so."""
        self._handles = [
            register_optimizer_step_pre_hook(self._before),
            register_optimizer_step_post_hook(self._after),
        ]
        if self._activations is not None:
            self._activations.open()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._detach()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self._rounds.total} steps seen"
        return f"<watch of {self._watched.name}, {state}>"

    @property
    def closed(self) -> bool:
        """Whether nothing is attached any more."""
        return not self._handles

    def close(self) -> None:
        """Take everything off the network and its optimisers. Closing twice does no harm."""
        if not self.closed:
            self._detach()
            self._say_if_nothing_was_seen()

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._finish()
        self._under_way = self._last = None
        self._held.clear()
        if self._activations is not None:
            self._activations.close()

    @torch.no_grad()
    def _finish(self) -> None:
        with self._trouble:
            self._totals.write(self._writer, self._rounds.optimizers)
        with self._trouble:
            if self._alarm is not None and self._last is not None:
                self._alarm.finish(*self._last)

    def _say_if_nothing_was_seen(self) -> None:
        if not self._rounds.optimizers:
            warnings.warn(
                f"cs.watch has seen no optimiser's step of {self._watched.name}; is it the network that is trained, "
                "with an optimiser that derives from torch.optim.Optimizer and is not compiled?",
                stacklevel=3,
            )

    @torch.no_grad()
    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Look at weights and gradients before an optimiser's step."""
        parameters = self._parameters(optimizer)
        if not parameters or self._is_inside_another(parameters, optimizer):
            return
        course = self._rounds.course(optimizer, parameters)
        due = self._rounds.due(course)
        if due:
            parameters = self._look_up(optimizer)
        late = callable(kwargs.get("closure", args[1] if len(args) > 1 else None))
        found_inf = getattr(optimizer, "found_inf", None)
        skipped = found_inf is not None and (due or not found_inf.is_cuda) and float(found_inf) > 0
        round_number = self._rounds.next(course)
        number = round_number if self._wanted.step is None else _whole(self._wanted.step())
        snapshot = Snapshot(self._watched, parameters)
        self._under_way = step = _Step(optimizer, course, number, parameters, due, late, skipped, snapshot)
        with self._trouble:
            if self._totals.is_waiting(round_number):
                self._totals.write(self._writer, self._rounds.optimizers)
        with self._trouble:
            self._look(step)

    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:  # noqa: ARG002 - torch's signature
        """Log a step that was taken, and make ready for the next one."""
        step = self._under_way
        if step is None or step.optimizer is not optimizer:
            return
        self._under_way, self._last = None, (step.parameters, step.number)
        if not step.skipped:
            with self._trouble:
                if step.late:  # the closure has computed the gradients within the step
                    self._look_at_gradients(step)
                if step.due:
                    self._log(step)
            self._rounds.took(step.course, logged=step.due)
        if self._activations is not None:
            self._activations.await_next(due=self._rounds.any_due() or step.skipped)

    def _look(self, step: _Step) -> None:
        if step.due and not step.skipped:
            if self._wanted.weights:
                step.snapshot.take_weights()
            if self._wanted.filters:
                step.snapshot.take_filters()
        if not step.late:
            self._look_at_gradients(step)

    def _look_at_gradients(self, step: _Step) -> None:
        if step.skipped:
            return
        if step.due and self._wanted.gradients:
            step.snapshot.take_gradients(getattr(step.optimizer, "grad_scale", None))
        if self._alarm is not None:
            found_inf = getattr(step.optimizer, "found_inf", None)
            self._alarm.check(step.parameters, found_inf, step.number, due=step.due)

    def _log(self, step: _Step) -> None:
        number, course = step.number, step.course
        self._totals.add(self._rounds.next(course), course.number, number, step.snapshot.norm())
        step.snapshot.write(self._writer, number)
        if self._activations is not None and self._last_activations != number:
            for name, counts in self._activations.counts():
                self._writer.add_histogram(f"activations/{name}", distribution(counts), number)
                self._last_activations = number
        self._trouble.is_over()

    def _parameters(self, optimizer: Optimizer) -> Parameters:
        """Return the watched parameters that an optimiser holds, looked up again when it has got others."""
        known = self._held.get(optimizer)
        size = _size(optimizer)
        return known[1] if known is not None and known[0] == size else self._look_up(optimizer)

    def _look_up(self, optimizer: Optimizer) -> Parameters:
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        parameters = {name: parameter for name, parameter in self._watched.parameters() if id(parameter) in held}
        self._held[optimizer] = _size(optimizer), parameters
        return parameters

    def _is_inside_another(self, parameters: Parameters, optimizer: Optimizer) -> bool:
        """Whether this is a step that another optimiser of the same parameters has called in its own."""
        outer = self._under_way
        if outer is None or outer.optimizer is optimizer or parameters.keys().isdisjoint(outer.parameters):
            return False
        return _runs(outer.optimizer)  # or its step was broken off by an exception


def _runs(optimizer: Optimizer) -> bool:
    """Whether a method of an optimiser is running."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - nobody tells that a step has raised
    while frame is not None:
        if "self" in frame.f_code.co_varnames and frame.f_locals.get("self") is optimizer:
            return True
        frame = frame.f_back
    return False


def _whole(step: Any) -> int:
    try:
        return operator.index(step)
    except TypeError:
        raise InputError(f"watch(step=…) has to return a whole number, got {step!r:.80}") from None


def _size(optimizer: Optimizer) -> int:
    return sum(len(group["params"]) for group in optimizer.param_groups)


def watch(
    model: nn.Module,
    writer: Writer | None,
    *,
    every: int = 100,
    weights: bool = True,
    gradients: bool = True,
    activations: bool | None = None,
    filters: bool = True,
    layers: str | Sequence[str] | None = None,
    alarm: bool = True,
    step: Callable[[], Any] | None = None,
) -> Watch:
    """Log what a network's weights, gradients and activations do while it is trained.

    The training loop stays as it is: watch finds the steps of the optimisers that hold the network's parameters, logs
    the first and then every ``every``-th, and changes nothing (trained with and without it, weights are the same bit
    for bit). Forward hooks are there only before the steps that are logged. What goes wrong while something is logged,
    as on a full disk, becomes one warning: no step is missed, and the next figures have the right numbers.

    >>> with SummaryWriter("runs/mnist") as writer, watch(net, writer, every=100):   # doctest: +SKIP
    ...     for step, (x, y) in enumerate(loader):
    ...         train(x, y)

    Parameters
    ----------
    model
        The network that is trained. It may be wrapped in DistributedDataParallel (only rank 0 logs), DataParallel or
        ``torch.compile``; names are those of the network inside.
    writer
        Where it is logged; it is not closed. On ranks other than 0 it is not used and may be ``None``.
    every
        Steps of an optimiser from one that is logged to the next. A backward pass is no step, nor is one that a
        gradient scaler skips.
    weights
        Of each parameter that an optimiser holds, ``weights/<name>``: the histogram before the step, and
        ``update_ratio/<name>``: the norm of what the step has changed over the norm of what was there.
    gradients
        ``gradients/<name>``: the histogram of what the optimiser has used, after accumulation, unscaling and clipping;
        ``gradient_norm/<layer>`` and ``gradient_norm/total``: L2 norms (``total_2`` of the second optimiser; of more
        than 8 optimisers one for all), the total when the next step begins.
    activations
        ``activations/<layer>``: the histogram of what each layer has given out in the training mode since the
        optimiser's step before; after 64 calls of a layer ever fewer are counted. ``None``: unless the network is
        compiled, which hides its layers.
    filters
        ``filters/<layer>``: the filters of the first 2-D convolution (of ``layers``) as a picture on one signed scale.
    layers
        Names of modules, or a regular expression that has to match a module's whole name: only these, and what is
        inside them, are logged. The norm of all gradients and the alarm are always about all.
    alarm
        Look at every step whether gradients are finite. The first time one is not, a warning and the text ``alarm``
        name it; ``alarm/nonfinite`` is the number of parameters with gradients or weights that are not.
    step
        Called at each step for the number to log at. By default the number of steps before, so that the first is 0, as
        in ``enumerate(loader)``; after a restart from a checkpoint, give your own.

    Returns
    -------
    What ends it: a context manager with ``close()``.

    Raises
    ------
    InputError
        If the network has no parameters or sharded ones, activations of a compiled network are asked for, or an option
        makes no sense.
    NotFoundError
        If a layer is not there.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise InputError(f"every is a whole number of steps, 1 or more, got {every!r}")
    if step is not None and not callable(step):
        raise InputError(f"step is a function that returns a step, got {step!r:.80}; leave it out to count from 0")
    watched = Watched(model, layers)
    if activations and watched.compiled:
        raise InputError(
            f"the layers of {watched.name} run compiled, where their outputs are not seen; leave out activations=True"
        )
    seen, trouble = None, Trouble(watched.name)
    if activations or (activations is None and not watched.compiled):
        seen = Activations(watched, trouble)
    wanted = _Wanted(weights, gradients, filters, alarm, step)
    log = cast("Writer", writer)
    if _rank():
        return Watch(watched, log, every, wanted, None, trouble)
    if not hasattr(writer, "add_histogram"):
        raise InputError(f"watch() logs with a SummaryWriter, got {type(writer).__name__}")
    return Watch(watched, log, every, wanted, seen, trouble).attach()


def _rank() -> int:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0
