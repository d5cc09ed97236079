"""Orders of the channels of a layer ([METHODS §8]): a permutation that puts like maps beside each other.

An order is a function of :class:`~convscope.inspect.order_points.Points`; adding one is a row in :data:`ORDERS`. No
channel is ever lost: every order is a permutation, and a test holds that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import signature
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import FormatError, InputError, not_found
from convscope.inspect import order_methods as methods
from convscope.inspect.order_methods import Method, brightness_sentence, figure
from convscope.inspect.order_points import Points, spearman


@dataclass(frozen=True, eq=False)
class Order:
    """Which channel stands at each place, how that was found, and what explains it.

    >>> maps = np.arange(12.0).reshape(3, 2, 2)
    >>> order = order_maps(maps, "mean")
    >>> order.permutation.tolist(), order.inverse.tolist()
    ([2, 1, 0], [2, 1, 0])
    >>> order.sentence
    'this is a sort by brightness: ρ = −1, brightest first'

    Attributes
    ----------
    name
        What it was asked for by: a name of :data:`ORDERS`, with the number of a component or of clusters behind a
        colon where one was asked for, ``kmeans:7``.
    permutation
        ``(C,)``: the channel at each place.
    parameters
        Those of the method, as JSON: all that is needed to find the order again from the same maps.
    groups
        How many neighbouring places belong together, one number a group, in all C; empty where there are no groups.
    explanation
        Figures, as JSON. All orders have ``brightness``: Spearman's ρ of the place in the order with the mean of the
        map that stands there, ``None`` where all means are equal. k-means adds ``clusters``, ``sizes``, ``silhouette``,
        ``silhouette_by_cluster``, ``inertia`` and ``tried``; PCA ``explained_variance``; hierarchical ``merges``,
        ``heights``, ``path`` and ``cophenetic_correlation``; spectral ``fiedler_value``; selectivity ``selectivity``
        and ``preferred``, place by place.
    finding
        What the method found, in words.
    source
        Of what the maps were, where the order is applied to others.
    """

    name: str
    permutation: npt.NDArray[np.int32]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    explanation: Mapping[str, Any] = field(default_factory=dict)
    finding: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        found = as_numpy(self.permutation)
        if found.ndim != 1 or found.dtype.kind not in "iu" or not np.array_equal(np.sort(found), np.arange(found.size)):
            raise InputError(f"an order of {found.size} channels holds each of 0..{found.size - 1} once")
        if self.groups and sum(self.groups) != len(found):
            raise InputError(f"the groups hold {sum(self.groups)} channels, the order {len(found)}")
        object.__setattr__(self, "permutation", found.astype(np.int32))

    def __len__(self) -> int:
        return len(self.permutation)

    @cached_property
    def inverse(self) -> npt.NDArray[np.int32]:
        """The place of each channel, ``(C,)``."""
        return np.argsort(self.permutation).astype(np.int32)

    @property
    def separators(self) -> tuple[int, ...]:
        """The places before which a new group begins: a line is drawn between rows there, never over one."""
        return tuple(int(place) for place in np.cumsum(self.groups)[:-1])

    @property
    def sentence(self) -> str:
        """What there is to say of this order."""
        return "; ".join(
            part for part in (self.finding, brightness_sentence(self.explanation.get("brightness"))) if part
        )

    def of(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return ``maps`` in this order; :class:`~convscope.errors.InputError` if there are not as many."""
        self.check(len(maps))
        return maps[self.permutation]

    def check(self, channels: int) -> None:
        """Raise :class:`~convscope.errors.InputError` unless this is an order of so many channels."""
        if len(self) != channels:
            raise InputError(f"the order {self.name!r} is of {len(self)} channels and cannot be applied to {channels}")

    def seen_on(self, points: Points) -> Order:
        """Return this order as it is on other maps: ``brightness`` is theirs, all other figures stay."""
        self.check(len(points))
        rho = spearman(np.arange(len(self)), points.means[self.permutation])
        return replace(self, explanation={**self.explanation, "brightness": figure(rho)})

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it; :meth:`from_json` takes it back."""
        return {**self.to_meta(), "permutation": self.permutation.tolist(), "finding": self.finding}

    def to_meta(self) -> dict[str, Any]:
        """Return what stands in a record's meta beside the array of its permutation."""
        return {
            "name": self.name,
            "parameters": dict(self.parameters),
            "explanation": dict(self.explanation),
            "sentence": self.sentence,
            "groups": list(self.groups),
            **({"source": self.source} if self.source else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Order:
        """Return the order that :meth:`to_json` wrote.

        Raises
        ------
        FormatError
            If the value is not one.
        """
        try:
            return cls(
                str(value["name"]),
                np.asarray([int(channel) for channel in value["permutation"]], np.int64),
                parameters=dict(value.get("parameters", {})),
                groups=tuple(int(size) for size in value.get("groups", ())),
                explanation=dict(value.get("explanation", {})),
                finding=str(value.get("finding", "")),
                source=str(value.get("source", "")),
            )
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise FormatError(f"this is not a saved order of channels ({error}); save one with to_json()") from error


ORDERS: Final[Mapping[str, Method]] = {
    "index": methods.by_index,
    "mean": methods.by_mean,
    "kmeans": methods.by_kmeans,
    "pca": methods.by_pca,
    "pca_plain": methods.by_pca_plain,
    "hierarchical": methods.by_hierarchical,
    "spectral": methods.by_spectral,
    "selectivity": methods.by_selectivity,
}

CHEAP: Final = ("index", "mean", "kmeans", "pca", "pca_plain", "hierarchical", "spectral")
"""Orders that maps alone give; of some hundred channels all of them together take about a second."""

SHORT: Final[Mapping[str, str]] = {"kmeans": "k", "pca": "pc", "pca_plain": "pc", "hierarchical": "linkage"}
"""What stands behind the colon of a name: ``kmeans:7``, ``pca:2``, ``hierarchical:ward``."""


def find_order(name: str) -> tuple[Method, dict[str, Any]]:
    """Return the method of the order called ``name``, and the parameter that its name holds.

    >>> find_order("pca:2")[1]
    {'pc': 2}

    Raises
    ------
    NotFoundError
        If there is none.
    InputError
        If what stands behind the colon is no parameter of it.
    """
    plain, colon, value = name.partition(":")
    if plain not in ORDERS:
        raise not_found("order of channels", plain, ORDERS)
    if not colon:
        return ORDERS[plain], {}
    key = SHORT.get(plain, "")
    if not key or (key != "linkage" and not (value.isascii() and value.isdigit())):
        ways = ", ".join(f"{one}:{'ward' if short == 'linkage' else 2}" for one, short in SHORT.items())
        raise InputError(f"the order {name!r} is not understood; a parameter stands behind a colon as in {ways}")
    return ORDERS[plain], {key: value if key == "linkage" else int(value)}


def check_name(name: str) -> None:
    """Raise what :func:`find_order` does, and :class:`~convscope.errors.InputError` if maps alone do not give it."""
    find_order(name)
    if name.partition(":")[0] not in CHEAP:
        way_out = "make it with order_maps(), which takes what else it needs, and give that"
        raise InputError(f"maps alone do not give the order {name!r}; {way_out}")


def order_maps(maps: Any, name: str, **parameters: Any) -> Order:
    """Return the order called ``name`` of maps.

    >>> maps = np.random.default_rng(0).random((12, 5, 5))
    >>> order = order_maps(maps, "kmeans", k=3)
    >>> sorted(order.permutation.tolist()) == list(range(12)), len(order.groups)
    (True, 3)

    Parameters
    ----------
    maps
        ``(C, H, W)`` or any ``(C, …)``, an array of any framework.
    name
        A name of :data:`ORDERS`; the parameter that is asked for most may stand behind a colon, ``pca:2``.
    **parameters
        Those of the method: ``k``, ``seed``, ``compare``, ``pc``, ``standardise``, ``linkage``, ``classes``.

    Raises
    ------
    NotFoundError
        If there is no such order.
    InputError
        If the maps are not finite numbers, or the order has no such parameter or not that value of it.
    """
    return order_points(Points(as_numpy(maps)), name, **parameters)


def given_order(order: Any) -> Order:
    """Return an order as it was given: an :class:`Order`, what :meth:`Order.to_json` wrote, or a permutation."""
    if isinstance(order, Order):
        return order
    return Order.from_json(order) if isinstance(order, Mapping) else Order("given", as_numpy(order))


def order_points(points: Points, name: str, **parameters: Any) -> Order:
    """Do what :func:`order_maps` does where several orders of the same maps are wanted."""
    method, asked = find_order(name)
    known = [one for one in signature(method).parameters if one != "points"]
    if unknown := [one for one in parameters if one not in known]:
        raise not_found("parameter", unknown[0], known, f"the order {name.partition(':')[0]!r}")
    asked = {**asked, **parameters}
    found = method(points, **asked)
    usual = {one: value.default for one, value in signature(method).parameters.items() if one in known}
    kept = {one: value for one, value in {**usual, **asked}.items() if one != "classes"}
    rho = spearman(np.arange(len(points)), points.means[found.permutation])
    return Order(
        name,
        found.permutation.astype(np.int32),
        parameters=kept,
        groups=found.groups,
        explanation={**found.explanation, "brightness": figure(rho)},
        finding=found.finding,
    )


def row_order(maps: Any, row: int, by: str = "kmeans", **parameters: Any) -> Order:
    """Return the order of channels by the values of one line of the image, as :func:`order_maps` does for whole maps.

    >>> maps = np.random.default_rng(0).random((12, 5, 7))
    >>> row_order(maps, 2, "pca_plain", standardise=True).parameters
    {'pc': 1, 'standardise': True, 'row': 2}

    Parameters
    ----------
    maps
        ``(C, H, W)``.
    row
        Which line, 0..H−1; row ``row`` of every map is one row of what is ordered, ``(C, W)``.
    by
        The name of an order.
    **parameters
        Those of the order.

    Raises
    ------
    NotFoundError, InputError
        As :func:`order_maps`; or there is no such row.
    """
    found = as_numpy(maps)
    if found.ndim != 3:
        raise InputError(f"lines of an image are ordered in maps (C, H, W), got shape {found.shape}")
    if not 0 <= row < found.shape[1]:
        raise InputError(f"no row {row} in maps of {found.shape[1]} rows; there are 0..{found.shape[1] - 1}")
    order = order_maps(found[:, row], by, **parameters)
    return replace(order, parameters={**order.parameters, "row": row})
