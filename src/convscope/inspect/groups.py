"""What a row of a result stands for: one image and a class, or a class over several images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

ALL: Final = -1
"""The class of a group in which every image counts with a class of its own."""


@dataclass(frozen=True)
class Group:
    """One row: a class, and the image or the images it was computed from.

    Attributes
    ----------
    name
        What it is called.
    of_class
        The number of the class whose logit was taken; :data:`ALL` where each image has its own.
    class_name
        That class's name.
    images
        How many images it is the mean of.
    image
        The image's name, where it is of one.
    predicted, predicted_name
        The class that the network gives that image.
    correct
        Whether that is the image's own class; ``None`` where this is not known.
    """

    name: str
    of_class: int
    class_name: str
    images: int = 1
    image: str | None = None
    predicted: int | None = None
    predicted_name: str | None = None
    correct: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the group as records hold it: ``of_class`` is called ``class``."""
        return {"class" if key == "of_class" else key: value for key, value in asdict(self).items()}


def group_of(found: Mapping[str, Any]) -> Group:
    """Return the group that :meth:`Group.to_json` made JSON of."""
    return Group(**{"of_class" if key == "class" else key: value for key, value in found.items()})


def class_name(names: Sequence[str], number: int) -> str:
    """Return a class's name, or its number where it has none.

    >>> class_name(("cat", "dog"), 1), class_name((), 7), class_name(("cat",), -1)
    ('dog', 'class 7', 'all classes')
    """
    if number == ALL:
        return "all classes"
    return names[number] if 0 <= number < len(names) else f"class {number}"
