"""The health of filters: what can be wrong with one, when it is, and what is said about it (METHODS §5).

A flag is a row in :data:`FLAGS`. Each has a bit, so that the flags of a layer are one small array of a record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, not_found
from convscope.inspect.kernels import Likeness, Measures


@dataclass(frozen=True)
class Thresholds:
    """From where on a filter is flagged.

    Attributes
    ----------
    dead
        An L2 norm below this.
    weak
        An L2 norm below this share of the layer's largest.
    duplicate
        An absolute cosine with another filter above this.
    noisy
        A smoothness below this; 1 is white noise. Of white noise 96 % (3 × 3 weights) to all (11 × 11) is below 2; of
        the trained first layers of AlexNet, VGG-16, Inception-BN, ResNet-152 and SqueezeNet no live filter is: their
        least are 5.7, 2.2, 6.4, 8.5 and 3.8.
    saturated
        A share of positions with a positive activation above this, or a mean above this share of the ceiling.
    """

    dead: float = 1e-6
    weak: float = 0.01
    duplicate: float = 0.98
    noisy: float = 2.0
    saturated: float = 0.99

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"the threshold {name!r} is a number of 0 or more, got {value}")


class Activity(Protocol):
    """What the channels of a layer did over a data set: a :class:`~convscope.inspect.topk.TopK` has it."""

    @property
    def positive(self) -> npt.NDArray[np.float64]:
        """Share of positions above 0, ``(O,)``."""
        ...

    @property
    def max(self) -> npt.NDArray[np.float64]:
        """Largest activation, ``(O,)``."""
        ...

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean activation, ``(O,)``."""
        ...


CEILINGS: Final[Mapping[str, float]] = {
    "ReLU6": 6.0,
    "Hardtanh": 1.0,
    "Tanh": 1.0,
    "Sigmoid": 1.0,
    "Hardsigmoid": 1.0,
    "Softmax": 1.0,
}
"""Non-linearities with a largest value."""
ALWAYS_POSITIVE: Final = frozenset({"Sigmoid", "Hardsigmoid", "Softmax", "Softplus"})
"""Non-linearities whose values are above 0 whatever comes in: that says nothing there."""


@dataclass(frozen=True)
class Flag:
    """One thing that can be wrong with a filter.

    Attributes
    ----------
    name, bit
        Its name, and its bit in the array ``flags``.
    formula
        When it is set, in words, with ``{threshold}`` in the place of the number.
    number
        What its number is.
    """

    name: str
    bit: int
    formula: str
    number: str


FLAGS: Final[Mapping[str, Flag]] = {
    flag.name: flag
    for flag in (
        Flag("not finite", 1, "a weight is NaN or infinite; the filter is judged for nothing else", "weights"),
        Flag("dead", 2, "L2 norm < {threshold}", "L2 norm"),
        Flag("weak", 4, "L2 norm < {threshold} of the layer's largest", "share of the largest norm"),
        Flag("duplicate", 8, "|cosine| with another filter > {threshold}", "cosine"),
        Flag("noisy", 16, "smoothness < {threshold}, where white noise has 1", "smoothness"),
        Flag("silent", 32, "no activation above 0 in the whole data set", "largest activation"),
        Flag("saturated", 64, "active at > {threshold} of all positions, or its mean > {threshold} of the ceiling",
             "share of positions above 0"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """The flags of a layer's filters.

    Attributes
    ----------
    flags
        Bits of :data:`FLAGS`, ``(O,)`` of uint8.
    numbers
        The number that each flag looked at, ``(O,)`` by the flag's name; only of flags that could be judged.
    """

    flags: npt.NDArray[np.uint8]
    numbers: Mapping[str, npt.NDArray[Any]]


def judge(measures: Measures, alike: Likeness, thresholds: Thresholds, activations: Activity | None = None,
          nonlinearity: str = "ReLU") -> Judgement:  # fmt: skip
    """Decide which flags are set.

    A dead filter is not called weak, duplicate or noisy as well: what is left of it has no shape worth a word.
    """
    sound = measures.not_finite == 0
    largest = measures.norm[sound].max(initial=0)
    share = measures.norm / largest if largest else np.zeros_like(measures.norm)
    dead = sound & (measures.norm < thresholds.dead)
    live = sound & ~dead
    found = {
        "not finite": (measures.not_finite, ~sound),
        "dead": (measures.norm, dead),
        "weak": (share, live & (share < thresholds.weak)),
        "duplicate": (alike.cosine, live & (np.abs(alike.cosine) > thresholds.duplicate)),
    }
    if not np.isnan(measures.smoothness[live]).all():
        found["noisy"] = (measures.smoothness, live & (measures.smoothness < thresholds.noisy))
    if activations is not None:
        found |= _judge_activity(activations, sound, thresholds, nonlinearity)
    flags = np.zeros(len(sound), np.uint8)
    for name, (_, is_set) in found.items():
        flags |= np.where(is_set, np.uint8(FLAGS[name].bit), np.uint8(0))
    return Judgement(flags, {name: number for name, (number, _) in found.items()})


def _judge_activity(
    activations: Activity, sound: npt.NDArray[np.bool_], thresholds: Thresholds, nonlinearity: str
) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
    positive = np.asarray(activations.positive, np.float64)
    if positive.shape != sound.shape:
        raise InputError(f"the activations are of {len(positive)} channels, the filters {len(sound)}; give those of "
                         "the same layer")  # fmt: skip
    saturated = np.zeros_like(sound) if nonlinearity in ALWAYS_POSITIVE else positive > thresholds.saturated
    if ceiling := CEILINGS.get(nonlinearity):
        saturated |= np.asarray(activations.mean) > thresholds.saturated * ceiling
    silent = ~(np.asarray(activations.max) > 0)
    return {"silent": (np.asarray(activations.max), sound & silent), "saturated": (positive, sound & saturated)}


@dataclass(frozen=True)
class Finding:
    """One flag of one filter.

    Attributes
    ----------
    filter, flag
        Which filter, and the flag's name.
    number, threshold
        The number that was looked at, and from where on it is flagged; ``None`` where there is no threshold.
    other
        The filter it is a duplicate of; −1 for other flags.
    sentence
        The same in words.
    """

    filter: int
    flag: str
    number: float
    threshold: float | None
    other: int
    sentence: str


@dataclass(frozen=True)
class HealthReport:
    """What is wrong with the filters of a layer.

    Attributes
    ----------
    filters
        How many there are.
    thresholds
        What was asked for.
    counts
        How many filters have each flag, by name; flags that could not be judged are missing.
    findings
        A row for each flag of each filter, by filter.
    """

    filters: int
    thresholds: Thresholds
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def sentence(self) -> str:
        """All counts in one sentence: ``30 of 64 filters dead, 1 weak.``."""
        found = [f"{count} {name}" for name, count in self.counts.items() if count]
        if not found:
            return f"Nothing flagged in {self.filters} {'filter' if self.filters == 1 else 'filters'}."
        number, _, name = found[0].partition(" ")
        return ", ".join([f"{number} of {self.filters} filters {name}", *found[1:]]) + "."

    def of(self, flag: str) -> tuple[int, ...]:
        """Return the filters with a flag, ascending."""
        if flag not in FLAGS:
            raise not_found("flag", flag, FLAGS)
        return tuple(finding.filter for finding in self.findings if finding.flag == flag)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        rows = [{**asdict(finding), "number": _finite(finding.number)} for finding in self.findings]
        return {
            "filters": self.filters,
            "sentence": self.sentence,
            "thresholds": asdict(self.thresholds),
            "counts": dict(self.counts),
            "findings": rows,
        }

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(finding.sentence for finding in self.findings)])


def make_report(
    judgement: Judgement, nearest: Sequence[int] | npt.NDArray[Any], thresholds: Thresholds
) -> HealthReport:
    """Put the flags of a layer into rows and words."""
    limits = asdict(thresholds)
    findings = []
    for filter_, bits in enumerate(judgement.flags.tolist()):
        for name, numbers in judgement.numbers.items():
            if bits & FLAGS[name].bit:
                number, limit = float(numbers[filter_]), limits.get(name)
                other = int(nearest[filter_]) if name == "duplicate" else -1
                text = _sentence(filter_, FLAGS[name], number, limit, other)
                findings.append(Finding(filter_, name, number, limit, other, text))
    counts = {name: int((judgement.flags & FLAGS[name].bit > 0).sum()) for name in judgement.numbers}
    return HealthReport(len(judgement.flags), thresholds, counts, tuple(findings))


def _sentence(filter_: int, flag: Flag, number: float, limit: float | None, other: int) -> str:
    """Say one finding: the filter, the flag, its number and the threshold."""
    known = "" if limit is None else f" (threshold {limit:g})"
    if flag.name == "duplicate":
        how = "the sign-flipped duplicate" if number < 0 else "a duplicate"
        return f"filter {filter_} is {how} of filter {other}: cosine {number:.4f}{known}"
    return f"filter {filter_} is {flag.name}: {flag.number} {number:.4g}{known}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
