"""The alarm: the first gradient or weight that is not finite, by name, found at the price of one norm a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from convscope.nets.histogram import numbers
from convscope.nets.hooks import Activations
from convscope.nets.snapshot import Parameters, Writer, gradients
from convscope.nets.trouble import warn_user


class Alarm:
    """Looks at the norm of all gradients at every step; names what is wrong only where it is not finite.

    On the CPU a step is judged before it is taken. On a CUDA device the norm is looked at one step later, so that the
    loop never waits for the device.
    """

    def __init__(self, writer: Writer, activations: Activations | None) -> None:
        self._writer = writer
        self._activations = activations
        self._late: tuple[Tensor, Any] | None = None
        self._raised = False

    def check(self, parameters: Parameters, found_inf: Tensor | None, step: int, *, due: bool) -> None:
        """Look at the gradients.

        Parameters
        ----------
        parameters
            Those of the step.
        found_inf
            Not zero where a gradient scaler has the optimiser skip the step, which is no cause for alarm.
        step
            The step it is logged at.
        due
            Whether the step is logged: then the number of bad tensors is, too.
        """
        slopes = [parameter.grad for parameter in parameters.values() if parameter.grad is not None]
        suspicious = self._suspicious([_plain(slope) for slope in slopes], found_inf)
        if due or (suspicious and not self._raised):
            self._judge(parameters, step, suspicious=suspicious, due=due)

    def finish(self, parameters: Parameters, step: int) -> None:
        """Look at what a device has still to tell."""
        late, self._late = self._late, None
        if late is not None and not self._raised and _arrived(*late):
            self._judge(parameters, step, suspicious=True, due=False)

    def _judge(self, parameters: Parameters, step: int, *, suspicious: bool, due: bool) -> None:
        weights: Mapping[str, Any] = {}
        slopes: Mapping[str, Any] = {}
        if suspicious:
            weights = _not_finite({name: numbers(parameter) for name, parameter in parameters.items()})
            slopes = _not_finite(gradients(parameters))
        if due or weights or slopes:
            self._writer.add_scalar("alarm/nonfinite", len(weights.keys() | slopes.keys()), step)
        if (weights or slopes) and not self._raised:
            self._raised = True
            kind, bad = ("weight", weights) if weights else ("gradient", slopes)
            sentence = f"step {step}: {_sentence(kind, bad, len(parameters))}{self._layer()}"
            self._writer.add_text("alarm", sentence, step)
            warn_user(f"cs.watch: {sentence}")

    def _suspicious(self, values: list[Tensor], found_inf: Tensor | None) -> bool:
        """Whether the norm is not finite: something in it is not, or it is beyond its type's range."""
        total = torch.nn.utils.get_total_norm(values)
        if found_inf is not None:
            total = torch.where(found_inf.to(total.device) > 0, 0.0, total)
        if not total.is_cuda:
            return not math.isfinite(float(total))
        late = self._late
        copy = torch.empty((), dtype=total.dtype, pin_memory=True).copy_(total, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(total.device))
        self._late = copy, event
        return late is not None and _arrived(*late)

    def _layer(self) -> str:
        counts = [] if self._activations is None else self._activations.counts()
        name = next((name for name, found in counts if found.not_finite), None)
        return "" if name is None else f"; the first layer whose outputs are not: {name}"


def _plain(tensor: Tensor) -> Tensor:
    """Return what a norm can be taken of, without a detour for the usual tensor."""
    usual = tensor.layout is torch.strided and tensor.is_floating_point()
    return tensor if usual else numbers(tensor)


def _arrived(value: Tensor, event: Any) -> bool:
    event.synchronize()  # of the step before: as good as done
    return not math.isfinite(float(value))


def _not_finite(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, int, int]]:
    """Return how many numbers are NaN, how many infinite, of how many, for each tensor that has such."""
    bad = {name: values for name, values in tensors.items() if not bool(torch.isfinite(values).all())}
    return {
        name: (int(torch.isnan(values).sum()), int(torch.isinf(values).sum()), values.numel())
        for name, values in bad.items()
    }


def _sentence(kind: str, bad: Mapping[str, tuple[int, int, int]], of: int) -> str:
    first, last = next(iter(bad)), list(bad)[-1]
    nan, infinite, size = bad[first]
    found = f"the {kind} of {first} is not finite ({nan} NaN, {infinite} infinite of {size})"
    return found if len(bad) == 1 else f"{found}, nor those of {len(bad) - 1} more of {of} parameters up to {last}"
