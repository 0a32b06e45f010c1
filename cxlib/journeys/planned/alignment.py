"""Alignment of paths to a plan: the fewest deviations, many paths at once.

A plan is a chain of states. Within a step of several touchpoints in any order, a state says which
of them are done. Reading a path from left to right, each of its events either moves to the state in
which its touchpoint is done, or stands outside the plan at this point; and a step is left by paying
for what is missing in it. The cheapest way is the longest common subsequence where every step is
one touchpoint, and the same idea where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from cxlib.journeys.maps import JourneyMap

__all__ = ["Alignment", "Plan", "align_paths", "read_plan"]

_CELLS = 2_000_000
"""Cells of one batch: paths times states times events."""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """A journey map, ready to be aligned.

    Attributes
    ----------
    labels
        Names of what can be done, each once; a path holds their positions.
    members
        For each step the positions in ``labels`` of what is to be done in it.
    required
        For each step whether each of them must be done.
    unit
        Parts that a step is counted in: divisible by the size of every step.

    Examples
    --------
    >>> read_plan(JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a", "b"]}])).labels
    ('a', 'b')
    """

    labels: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    required: tuple[tuple[bool, ...], ...]
    unit: int

    @property
    def slots(self) -> list[tuple[int, int]]:
        """What is to be done, as (step, position in the step), in order."""
        return [
            (step, at) for step, members in enumerate(self.members) for at in range(len(members))
        ]


@dataclass(frozen=True)
class Alignment:
    """What of the plan each path did, one row per path.

    Attributes
    ----------
    matched, missing
        Steps done at their place, and required steps missing there, in parts of a step
        (``Plan.unit``).
    extra
        Events of planned touchpoints that stand outside the plan at their place.
    done
        Whether each slot of the plan is done at its place (one column per slot).
    due
        Whether each slot counts as missing where it is not done.
    unmatched
        Events outside the plan, per label (one column per label).

    Examples
    --------
    >>> plan = read_plan(JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a", "b"]}]))
    >>> align_paths(plan, [(1, 0)], [False]).extra
    array([1])
    """

    matched: Ints
    missing: Ints
    extra: Ints
    done: Flags
    due: Flags
    unmatched: Ints


def read_plan(journey_map: JourneyMap) -> Plan:
    """Plan of a map.

    Parameters
    ----------
    journey_map
        The map.

    Returns
    -------
    Plan
        Its steps in order.

    Examples
    --------
    >>> read_plan(JourneyMap(name="x", stages=[
    ...     {"stage": "s", "steps": [{"any_order": ["a", "b"]}, "a"]}])).members
    ((0, 1), (0,))
    """
    labels = tuple(dict.fromkeys(journey_map.label_of.values()))
    steps = [step.members for step in journey_map.steps]
    return Plan(
        labels=labels,
        members=tuple(tuple(labels.index(one.label) for one in step) for step in steps),
        required=tuple(tuple(not one.optional for one in step) for step in steps),
        unit=lcm(*(len(step) for step in steps)),
    )


def align_paths(plan: Plan, paths: Sequence[Sequence[int]], so_far: Sequence[bool]) -> Alignment:
    """The way of each path through the plan with the fewest deviations.

    Parameters
    ----------
    plan
        The plan.
    paths
        For each path the positions in ``plan.labels`` of its events, in order.
    so_far
        Whether each path is held against the plan up to where it stands only: up to the furthest
        step of which it has anything (the second place of what is planned twice counts from the
        second time), and what is missing in that step, when it is one of several touchpoints in
        any order, is not due yet.

    Returns
    -------
    Alignment
        One row per path, in the order given.

    Notes
    -----
    Where several ways deviate equally little, the one that does more of the plan is taken, and
    then the one that takes the earliest events.

    Examples
    --------
    >>> plan = read_plan(JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a", "b", "c"]}]))
    >>> found = align_paths(plan, [(0, 2, 2), (0,)], [False, True])
    >>> found.matched.tolist(), found.missing.tolist(), found.extra.tolist()
    ([2, 1], [1, 0], [1, 0])
    """
    automaton = _Automaton(plan)
    lengths = np.array([len(path) for path in paths], dtype="int64")
    short = np.asarray(so_far, dtype=bool)
    result = _empty(plan, len(paths))
    # Paths of about the same length go together, so that little of a batch is padding.
    order = np.argsort(lengths, kind="stable")
    at = 0
    while at < len(order):
        longest = int(lengths[order[min(at + 4_095, len(order) - 1)]])
        size = int(np.clip(_CELLS // (automaton.size * (longest + 1)), 1, 4_096))
        rows = order[at : at + size]
        symbols = np.full((len(rows), int(lengths[rows].max(initial=0))), -1, dtype="int64")
        for row, path in enumerate(rows):
            symbols[row, : lengths[path]] = paths[path]
        automaton.run(symbols, short[rows], rows, result)
        at += size
    return result


def _empty(plan: Plan, size: int) -> Alignment:
    slots, labels = len(plan.slots), len(plan.labels)
    return Alignment(
        matched=np.zeros(size, "int64"),
        missing=np.zeros(size, "int64"),
        extra=np.zeros(size, "int64"),
        done=np.zeros((size, slots), bool),
        due=np.zeros((size, slots), bool),
        unmatched=np.zeros((size, labels), "int64"),
    )


class _Automaton:
    """States of a plan: for each step one per set of what is done in it; then the end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        sizes = [2 ** len(members) for members in plan.members]
        self.entry = np.concatenate([[0], np.cumsum(sizes)]).astype("int64")
        self.size = int(self.entry[-1]) + 1
        # State from which a touchpoint leads to a state, or the state that does not exist.
        self.origin = np.full((len(plan.labels) + 1, self.size), self.size, dtype="int64")
        # A missing part of a step costs itself; a little more is gained by what is done, so that
        # of two ways with equal cost the one that does more is the cheaper one.
        self.scale = 4 * plan.unit * (len(plan.members) + 1)
        self.leave: list[Ints] = []
        for step, members in enumerate(plan.members):
            part = plan.unit // len(members)
            masks = np.arange(2 ** len(members))
            missing = np.zeros(len(masks), "int64")
            for at, label in enumerate(members):
                done = (masks >> at) & 1 == 1
                self.origin[label, self.entry[step] + masks[done]] = (
                    self.entry[step] + masks[done] - (1 << at)
                )
                if plan.required[step][at]:
                    missing += np.where(done, 0, part)
            self.leave.append(missing)
        self.parts = [plan.unit // len(members) for members in plan.members]
        gain = np.zeros(self.size, "int64")
        for step in range(len(plan.members)):
            gain[self.entry[step] : self.entry[step + 1]] = self.parts[step]
        self.gain = gain

    def run(self, symbols: Ints, so_far: Flags, rows: Ints, result: Alignment) -> None:
        """Align a batch, and write what is found into the rows of the result."""
        length = symbols.shape[1]
        matches = np.zeros((length, len(symbols), self.size), dtype=bool)
        sources = np.zeros((length + 1, len(symbols), len(self.leave)), dtype="int64")
        cost = np.full((len(symbols), self.size + 1), 2**60, dtype="int64")
        cost[:, 0] = 0
        self._leave_steps(cost, sources[0])
        for at in range(length):
            symbol = symbols[:, at]
            live = symbol >= 0
            taken = np.take_along_axis(cost, self.origin[symbol], axis=1) - self.gain
            stays = cost[:, :-1] + self.plan.unit * self.scale
            better = (taken < stays) & live[:, None]
            matches[at] = better
            cost[:, :-1] = np.where(live[:, None], np.where(better, taken, stays), cost[:, :-1])
            self._leave_steps(cost, sources[at + 1], live)
        self._trace(symbols, so_far, rows, matches, sources, cost, result)

    def _leave_steps(self, cost: Ints, source: Ints, live: Flags | None = None) -> None:
        """Go on from each step to the next where that is cheaper than to be there already."""
        for step, missing in enumerate(self.leave):
            ways = cost[:, self.entry[step] : self.entry[step + 1]] + missing * self.scale
            best = ways.argmin(axis=1)
            price = ways[np.arange(len(ways)), best]
            target = self.entry[step + 1]
            leaves = price < cost[:, target]
            if live is not None:
                leaves &= live
            source[:, step] = np.where(leaves, best, -1)
            cost[:, target] = np.where(leaves, price, cost[:, target])

    def _stops(self, symbols: Ints, so_far: Flags, cost: Ints) -> tuple[Ints, Ints]:
        """State in which each path ends, and the number of steps that it is held against."""
        everyone = np.arange(len(symbols))
        state = np.full(len(symbols), self.entry[-1], dtype="int64")
        steps = np.full(len(symbols), len(self.leave), dtype="int64")
        furthest = np.zeros(len(symbols), dtype="int64")
        planned = dict.fromkeys(range(len(self.plan.labels)), 0)
        for step, at in self.plan.slots:
            label = self.plan.members[step][at]
            # What is planned twice has come to its second place when it happened twice.
            planned[label] += 1
            furthest[(symbols == label).sum(axis=1) >= planned[label]] = step + 1
        for step in range(len(self.leave) + 1):
            here = everyone[so_far & (furthest == step)]
            if not len(here):
                continue
            steps[here] = step
            if step == 0:
                state[here] = 0
                continue
            low, high = self.entry[step - 1], self.entry[step]
            ways = cost[here, low:high]
            if len(self.plan.members[step - 1]) == 1:
                ways = ways + self.leave[step - 1] * self.scale
            state[here] = low + ways.argmin(axis=1)
        return state, steps

    def _trace(
        self,
        symbols: Ints,
        so_far: Flags,
        rows: Ints,
        matches: NDArray[np.bool_],
        sources: Ints,
        cost: Ints,
        result: Alignment,
    ) -> None:
        """Go back from the end of each path, noting what was done in each step."""
        everyone = np.arange(len(symbols))
        state, steps = self._stops(symbols, so_far, cost)
        final = np.zeros((len(symbols), len(self.leave)), dtype="int64")
        self._note(state, final)
        unmatched = np.zeros((len(symbols), len(self.plan.labels)), dtype="int64")
        for at in range(symbols.shape[1], -1, -1):
            for step in range(len(self.leave) - 1, -1, -1):
                source = sources[at, :, step]
                goes = (state == self.entry[step + 1]) & (source >= 0)
                state = np.where(goes, self.entry[step] + source, state)
                final[:, step] = np.where(goes, source, final[:, step])
            if at == 0:
                break
            symbol = symbols[:, at - 1]
            taken = matches[at - 1, everyone, state]
            outside = everyone[~taken & (symbol >= 0)]
            unmatched[outside, symbol[outside]] += 1
            state = np.where(taken, self.origin[symbol, state], state)
        self._write(rows, steps, so_far, final, unmatched, result)

    def _note(self, state: Ints, final: Ints) -> None:
        for step in range(len(self.leave)):
            here = (state >= self.entry[step]) & (state < self.entry[step + 1])
            final[:, step] = np.where(here, state - self.entry[step], 0)

    def _write(
        self,
        rows: Ints,
        steps: Ints,
        so_far: Flags,
        final: Ints,
        unmatched: Ints,
        result: Alignment,
    ) -> None:
        for slot, (step, at) in enumerate(self.plan.slots):
            done = (final[:, step] >> at) & 1 == 1
            unfinished = so_far & (steps == step + 1) & (len(self.plan.members[step]) > 1)
            due = (steps > step) & ~unfinished & self.plan.required[step][at]
            result.done[rows, slot], result.due[rows, slot] = done, due
            result.matched[rows] += np.where(done, self.parts[step], 0)
            result.missing[rows] += np.where(due & ~done, self.parts[step], 0)
        result.unmatched[rows] = unmatched
        result.extra[rows] = unmatched.sum(axis=1)
