"""Which output of a network each labelled image belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.groups import class_name
from convscope.nets.data import ImageSet


@dataclass(frozen=True)
class Targets:
    """The images' classes as numbers of the network's outputs.

    Attributes
    ----------
    labels
        One for each image, -1 where unknown; ``None`` where no image has a label.
    names
        What the outputs are called; empty where that is not known.
    outputs
        How many classes the network tells apart.
    """

    labels: npt.NDArray[np.int64] | None
    names: tuple[str, ...]
    outputs: int

    def check(self, classes: Iterable[int]) -> None:
        """Raise :class:`InputError` for the number of a class that is not there."""
        for number in classes:
            if not 0 <= number < self.outputs:
                raise InputError(f"no class {number}; the network tells 0..{self.outputs - 1} apart")

    def needed(self, dataset: ImageSet) -> npt.NDArray[np.int64]:
        """Return the labels; raise :class:`InputError` where no image has one."""
        if self.labels is None:
            raise InputError(
                f"the images of {dataset.name!r} have no labels, so right and wrong cannot be told apart; give a "
                "folder with a sub-folder for each class, or a file of labels"
            )
        return self.labels


def targets_of(
    dataset: ImageSet, outputs: int, targets: Sequence[int] | None = None, names: Sequence[str] | None = None
) -> Targets:
    """Return the classes of images as outputs of a network that has so many.

    Parameters
    ----------
    dataset
        The images and their labels.
    outputs
        How many classes the network tells apart.
    targets
        For each class of the images which output it is. By default the classes are the outputs where they are as many,
        or where they have no names; classes that are called by numbers are these outputs.
    names
        What the outputs are called.

    Raises
    ------
    InputError
        If the classes of the images are not those of the network, and it is not said which is which.
    """
    known = np.asarray([] if dataset.labels is None else dataset.labels, np.int64)
    called = tuple(names or ())
    if not len(known) or known.max() < 0:
        own_names = dataset.label_names if len(dataset.label_names) == outputs else ()
        return Targets(None, called or tuple(own_names), outputs)
    kinds = dataset.label_names
    count = max(len(kinds), int(known.max()) + 1)
    given = _table(dataset, count, outputs) if targets is None else [int(number) for number in targets]
    if len(given) != count or min(given) < 0 or max(given) >= outputs:  # before numpy, which has 64 bits only
        raise InputError(
            f"targets are the network's output for each of the {count} classes of {dataset.name!r}, numbers of "
            f"0..{outputs - 1}, got {given[:8]}"
        )
    table = np.asarray(given, np.int64)
    if not called and kinds:
        own = {int(output): name for output, name in zip(table, kinds, strict=False)}
        called = tuple(own.get(number, class_name((), number)) for number in range(outputs))
    return Targets(np.where(known < 0, -1, table[np.maximum(known, 0)]), called, outputs)


def _table(dataset: ImageSet, count: int, outputs: int) -> list[int]:
    kinds = dataset.label_names
    if not kinds or len(kinds) == outputs:
        if count > outputs:
            raise InputError(f"{dataset.name!r} has a class {count - 1}, the network tells 0..{outputs - 1} apart: "
                             "its classes are not those of the network")  # fmt: skip
        return list(range(count))
    if all(name.isdecimal() and int(name) < outputs for name in kinds):
        return [int(name) for name in kinds]
    raise InputError(
        f"{dataset.name!r} has {len(kinds)} classes and the network {outputs} outputs; say with targets (--targets) "
        f"which output each of {', '.join(kinds[:3])}{' …' if len(kinds) > 3 else ''} is"
    )
