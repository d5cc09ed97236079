"""Hierarchical clustering of maps and the optimal order of its leaves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.order_points import Floats

LINKAGES: Final = ("average", "ward")

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Tree:
    """A dendrogram of C leaves.

    Attributes
    ----------
    merges
        ``(C − 1, 2)``: the two nodes that each merge joins, in the order of height; leaves are 0..C−1, merge ``i`` is
        node ``C + i``.
    heights
        ``(C − 1,)``: how far apart they were.
    """

    merges: Numbers
    heights: Floats

    @property
    def count(self) -> int:
        """How many leaves there are."""
        return len(self.merges) + 1

    @cached_property
    def leaves(self) -> list[Numbers]:
        """The leaves below each node, those of its first branch first."""
        found = [np.array([leaf]) for leaf in range(self.count)]
        for left, right in self.merges:
            found.append(np.concatenate([found[left], found[right]]))
        return found

    def cophenetic(self) -> Floats:
        """Return the height at which each two leaves come together, ``(C, C)``."""
        found = np.zeros((self.count, self.count))
        for (left, right), height in zip(self.merges, self.heights, strict=True):
            rows, columns = self.leaves[left], self.leaves[right]
            found[np.ix_(rows, columns)] = height
            found[np.ix_(columns, rows)] = height
        return found


def linkage(distances: Floats, method: str = "average") -> Tree:
    """Return the dendrogram of Euclidean distances ``(C, C)`` by average or Ward linkage.

    Nearest-neighbour chains with the formulas of Lance and Williams: O(C²) time and memory (Müllner 2011, "Modern
    hierarchical, agglomerative clustering algorithms", §3.2). Ward's heights are those of scipy.

    Raises
    ------
    InputError
        If the linkage is neither ``average`` nor ``ward``.
    """
    if method not in LINKAGES:
        raise InputError(f"the linkage is one of {', '.join(LINKAGES)}, got {method!r}")
    count = len(distances)
    between = distances.astype(np.float64) ** (2 if method == "ward" else 1)
    np.fill_diagonal(between, np.inf)
    size = np.ones(count)
    chain: list[int] = []
    joined: list[tuple[float, int, int]] = []
    while len(joined) < count - 1:
        if not chain:
            chain.append(int(np.argmax(size > 0)))
        here = chain[-1]
        near = int(between[here].argmin())
        if len(chain) > 1 and between[here, chain[-2]] <= between[here, near]:
            near = chain[-2]
            del chain[-2:]
            joined.append((float(between[here, near]), here, near))
            _join(between, size, here, near, ward=method == "ward")
        else:
            chain.append(near)
    return _sorted_tree(joined, count, squared=method == "ward")


def _join(between: Floats, size: Floats, kept: int, gone: int, *, ward: bool) -> None:
    """Make two clusters one, in place: ``kept`` becomes their union, ``gone`` is infinitely far from all."""
    a, b = size[kept], size[gone]
    if ward:
        total = a + b + size
        row = ((a + size) * between[kept] + (b + size) * between[gone] - size * between[kept, gone]) / total
    else:
        row = (a * between[kept] + b * between[gone]) / (a + b)
    row[size == 0] = np.inf
    row[[kept, gone]] = np.inf
    between[kept], between[:, kept] = row, row
    between[gone], between[:, gone] = np.inf, np.inf
    size[kept], size[gone] = a + b, 0


def _sorted_tree(joined: list[tuple[float, int, int]], count: int, *, squared: bool) -> Tree:
    """Give the merges their numbers, by height: a chain finds them in another order."""
    node = list(range(count))  # of each leaf: the node it is in, through its root
    root = list(range(count))

    def find(leaf: int) -> int:
        while root[leaf] != leaf:
            root[leaf] = root[root[leaf]]
            leaf = root[leaf]
        return leaf

    merges: list[list[int]] = []
    heights: list[float] = []
    for height, left, right in sorted(joined, key=lambda merge: merge[0]):
        a, b = find(left), find(right)
        merges.append(sorted((node[a], node[b])))
        heights.append(max(height, heights[-1] if heights else 0.0))
        root[b] = a
        node[a] = count + len(merges) - 1
    found = np.asarray(heights, np.float64)
    return Tree(np.asarray(merges, np.intp).reshape(-1, 2), np.sqrt(found) if squared else found)


def leaf_order(tree: Tree, distances: Floats) -> Numbers:
    """Return the leaves so that the distances of neighbours add up to the least that turning branches can reach.

    Bar-Joseph, Gifford and Jaakkola 2001, "Fast optimal leaf ordering for hierarchical clustering": ``cost[i, j]`` is
    the least cost of the smallest branch that holds both, with ``i`` at one end and ``j`` at the other. O(C³) time in
    operations on whole rows, O(C²) memory.
    """
    cost = np.zeros_like(distances)
    for left, right in tree.merges:
        rows, columns = tree.leaves[left], tree.leaves[right]
        inner = _least_sums(_ends(tree, left, cost), distances[np.ix_(rows, columns)])
        found = _least_sums(inner, _ends(tree, right, cost))
        cost[np.ix_(rows, columns)] = found
        cost[np.ix_(columns, rows)] = found.T
    if not len(tree.merges):
        return np.zeros(1, np.intp)
    rows, columns = (tree.leaves[node] for node in tree.merges[-1])
    first, last = np.unravel_index(cost[np.ix_(rows, columns)].argmin(), (len(rows), len(columns)))
    return _walk(tree, cost, distances, int(rows[first]), int(columns[last]))


def _ends(tree: Tree, node: int, cost: Floats) -> Floats:
    """Return the cost of a branch for every pair of ends; infinite for two leaves that cannot both be ends."""
    leaves = tree.leaves[node]
    if node < tree.count:
        return np.zeros((1, 1))
    found = np.full((len(leaves), len(leaves)), np.inf)
    middle = len(tree.leaves[tree.merges[node - tree.count, 0]])
    found[:middle, middle:] = cost[np.ix_(leaves[:middle], leaves[middle:])]
    found[middle:, :middle] = found[:middle, middle:].T
    return found


def _least_sums(left: Floats, right: Floats) -> Floats:
    """Return ``min over m of left[i, m] + right[m, j]``, looping over the shortest of the three axes."""
    rows, inner, columns = *left.shape, right.shape[1]
    if inner <= min(rows, columns):
        found = np.full((rows, columns), np.inf)
        for m in range(inner):
            np.minimum(found, left[:, m, None] + right[None, m], out=found)
        return found
    if rows <= columns:
        return np.stack([(left[i][:, None] + right).min(0) for i in range(rows)])
    return np.stack([(left + right[:, j][None, :]).min(1) for j in range(columns)], axis=1)


def _walk(tree: Tree, cost: Floats, distances: Floats, first: int, last: int) -> Numbers:
    """Write down the leaves of the whole tree that has ``first`` and ``last`` at its ends."""
    order: list[int] = []
    todo = [(2 * tree.count - 2, first, last)]
    while todo:
        node, start, end = todo.pop()
        if node < tree.count:
            order.append(node)
            continue
        left, right = (int(one) for one in tree.merges[node - tree.count])
        if start not in tree.leaves[left]:
            left, right = right, left
        rows, columns = tree.leaves[left], tree.leaves[right]
        sums = (
            _ends(tree, left, cost)[np.flatnonzero(rows == start)[0]][:, None]
            + distances[np.ix_(rows, columns)]
            + _ends(tree, right, cost)[:, np.flatnonzero(columns == end)[0]][None, :]
        )
        m, k = np.unravel_index(sums.argmin(), sums.shape)
        todo += [(right, int(columns[k]), end), (left, start, int(rows[m]))]
    return np.asarray(order, np.intp)
