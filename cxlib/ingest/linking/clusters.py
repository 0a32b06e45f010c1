"""Linked records -> customers: connected components, with a guard against chains."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["CERTAIN", "cluster_records"]

CERTAIN = ("manual", "key")
"""Decisions that stand without the model."""

_WEAK = 0.99
"""A link below this probability may not alone hold two groups of records together."""

Ints = NDArray[np.int64]


def cluster_records(
    links: pd.DataFrame, apart: pd.DataFrame, *, records: int, max_size: int
) -> tuple[Ints, pd.DataFrame]:
    """Cluster of each record, and what became of each link.

    Parameters
    ----------
    links
        Pairs of records that are one person: ``left``, ``right`` (numbers from 0), ``decision``
        (manual, key or model), ``probability``.
    apart
        Pairs that are not: ``left``, ``right``. No cluster holds both.
    records
        How many records there are.
    max_size
        A cluster of more records is taken apart again, except for its manual links and keys.

    Returns
    -------
    tuple of numpy.ndarray and pandas.DataFrame
        The least number in each record's cluster; and the links with their ``decision``, now
        ``refused`` where two records must stay apart and ``flagged`` where a chain was broken.

    Notes
    -----
    Links are taken from the surest on: manual, then keys, then by probability, then by number. A
    link is weak where its probability is under 0.99; a weak one that alone holds together two
    groups of two or more records is flagged.

    Examples
    --------
    >>> links = pd.DataFrame({"left": [0, 1], "right": [1, 2], "decision": ["key", "model"],
    ...                       "probability": [1.0, 0.95]})
    >>> apart = pd.DataFrame({"left": [0], "right": [2]})
    >>> cluster, decided = cluster_records(links, apart, records=4, max_size=50)
    >>> cluster.tolist(), decided["decision"].tolist()
    ([0, 0, 2, 3], ['key', 'refused'])
    """
    surest = links.assign(order=links["decision"].map({"manual": 0, "key": 1}).fillna(2))
    surest = surest.sort_values(
        ["order", "probability", "left", "right"], ascending=[True, False, True, True]
    ).drop(columns="order")
    surest = surest.reset_index(drop=True)
    decision = surest["decision"].to_numpy(dtype=object).copy()
    left, right = surest["left"].to_numpy(np.int64), surest["right"].to_numpy(np.int64)
    probability = surest["probability"].to_numpy(np.float64)
    _refuse(decision, left, right, apart, records)
    _break_bridges(decision, left, right, probability, records)
    _break_large(decision, left, right, records, max_size)
    cluster = _components(left, right, _stands(decision), records)
    return cluster, surest.assign(decision=decision)


def _stands(decision: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.isin(decision, (*CERTAIN, "model"))


def _components(left: Ints, right: Ints, kept: NDArray[np.bool_], records: int) -> Ints:
    """Least number of each record's component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(int(kept.sum()), dtype=np.int8)
    graph = coo_array((ones, (left[kept], right[kept])), shape=(records, records))
    count, label = connected_components(graph, directed=False)
    least = np.full(count, records, dtype=np.int64)
    np.minimum.at(least, label, np.arange(records))
    return least[label]


def _refuse(
    decision: NDArray[np.object_], left: Ints, right: Ints, apart: pd.DataFrame, records: int
) -> None:
    """Refuse each link that would bring two records together that must stay apart."""
    component = _components(left, right, _stands(decision), records)
    one, other = apart["left"].to_numpy(np.int64), apart["right"].to_numpy(np.int64)
    together = component[one] == component[other]
    touched = np.unique(component[one[together]])
    places = np.flatnonzero(np.isin(component[left], touched))
    groups = _Groups(zip(one[together].tolist(), other[together].tolist(), strict=True))
    for place in places.tolist():
        if not groups.join(int(left[place]), int(right[place])):
            decision[place] = "refused"


class _Groups:
    """Groups that grow link by link, and know which others they may not join."""

    def __init__(self, apart: Iterable[tuple[int, int]]) -> None:
        self.parent: dict[int, int] = {}
        self.enemies: dict[int, set[int]] = {}
        for one, other in apart:
            self.enemies.setdefault(one, set()).add(other)
            self.enemies.setdefault(other, set()).add(one)

    def find(self, record: int) -> int:
        root = record
        while self.parent.get(root, root) != root:
            root = self.parent[root]
        while record != root:
            self.parent[record], record = root, self.parent.get(record, root)
        return root

    def join(self, one: int, other: int) -> bool:
        one, other = self.find(one), self.find(other)
        if one == other:
            return True
        if other in {self.find(enemy) for enemy in self.enemies.get(one, ())}:
            return False
        self.parent[other] = one
        self.enemies.setdefault(one, set()).update(self.enemies.pop(other, ()))
        return True


def _break_bridges(
    decision: NDArray[np.object_],
    left: Ints,
    right: Ints,
    probability: NDArray[np.float64],
    records: int,
) -> None:
    """Flag each weak link that alone holds two groups of records together."""
    kept = _stands(decision)
    component = _components(left, right, kept, records)
    size = np.bincount(component, minlength=records)
    weak = (decision == "model") & (probability < _WEAK) & (size[component[left]] >= 4)
    suspects = np.flatnonzero(kept & np.isin(component[left], component[left[weak]]))
    neighbours: dict[int, list[tuple[int, int]]] = {}
    for place in suspects.tolist():
        one, other = int(left[place]), int(right[place])
        neighbours.setdefault(one, []).append((other, place))
        neighbours.setdefault(other, []).append((one, place))
    for place in _bridges(neighbours, size, component):
        if weak[place]:
            decision[place] = "flagged"


def _bridges(
    neighbours: dict[int, list[tuple[int, int]]], size: Ints, component: Ints
) -> list[int]:
    """Links without which two or more records on either side would part (Tarjan 1974)."""
    entered: dict[int, int] = {}
    lowest: dict[int, int] = {}
    below: dict[int, int] = {}
    found = []
    for root in sorted(neighbours):
        if root in entered:
            continue
        entered[root] = lowest[root] = len(entered)
        below[root] = 1
        stack = [(root, -1, iter(neighbours[root]))]
        while stack:
            record, came_by, rest = stack[-1]
            step = next(rest, None)
            if step is not None:
                other, place = step
                if place == came_by:
                    continue
                if other in entered:
                    lowest[record] = min(lowest[record], entered[other])
                else:
                    entered[other] = lowest[other] = len(entered)
                    below[other] = 1
                    stack.append((other, place, iter(neighbours[other])))
                continue
            stack.pop()
            if stack:
                parent = stack[-1][0]
                lowest[parent] = min(lowest[parent], lowest[record])
                below[parent] += below[record]
                rest_of_it = int(size[component[record]]) - below[record]
                if lowest[record] > entered[parent] and min(below[record], rest_of_it) >= 2:
                    found.append(came_by)
    return found


def _break_large(
    decision: NDArray[np.object_], left: Ints, right: Ints, records: int, max_size: int
) -> None:
    """Flag the model's links of every cluster that is too large to be one person."""
    component = _components(left, right, _stands(decision), records)
    size = np.bincount(component, minlength=records)
    decision[(decision == "model") & (size[component[left]] > max_size)] = "flagged"
