"""Alignment to a plan in plain Python: the textbook LCS, and every way through a plan tried out."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Step = tuple[tuple[str, bool], ...]
"""What is to be done in a step: touchpoints, each with whether it must be."""


def lcs(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, by the recursion of the textbook."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one, start=1):
        for j, b in enumerate(other, start=1):
            same = table[i - 1][j - 1] + 1 if a == b else 0
            table[i][j] = max(same, table[i - 1][j], table[i][j - 1])
    return table[-1][-1]


def best_way(path: Sequence[str], plan: Sequence[Step]) -> tuple[Fraction, Fraction]:
    """Fewest deviations of any way through the plan, and the most of the plan that such a way does.

    A way cuts the path into one stretch per step. Within a stretch each touchpoint of the step
    counts once, as its part of the step; the other events are extra.
    """
    ways: list[tuple[Fraction, Fraction]] = []

    def walk(step: int, rest: Sequence[str], cost: Fraction, done: Fraction) -> None:
        if step == len(plan):
            ways.append((cost + len(rest), done))
            return
        members = plan[step]
        part = Fraction(1, len(members))
        for end in range(len(rest) + 1):
            seen = set(rest[:end]) & {name for name, _ in members}
            missing = sum((part for name, due in members if due and name not in seen), Fraction())
            walk(
                step + 1,
                rest[end:],
                cost + missing + end - len(seen),
                done + part * len(seen),
            )

    walk(0, list(path), Fraction(), Fraction())
    cost = min(cost for cost, _ in ways)
    return cost, max(done for each, done in ways if each == cost)
