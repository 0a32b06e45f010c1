"""From counts of attempts to rates: what open windows hide is estimated, not counted as failed."""

from __future__ import annotations

from functools import reduce

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib.intervals import wilson_interval
from cxlib.journeys.conversion.rules import Plan

__all__ = ["RATES", "count_attempts", "rate_steps", "reach_curve"]

RATES = [
    *("step", "touchpoint", "total", "entering", "reached", "dropped", "open", "n"),
    *("conversion_rate", "entry_conversion_rate", "entry_lower", "entry_upper"),
    *("step_conversion_rate", "lower", "upper"),
    *("mean_step_hours", "median_step_hours", "p90_step_hours"),
    *("median_entry_hours", "p90_entry_hours"),
]
_HOUR = 3_600_000_000
_BINS = 2_000
_TIMES = ("mean_step", "median_step", "p90_step", "median_entry", "p90_entry")


def count_attempts(members: ir.Table, plan: Plan, groups: list[str]) -> ir.Table:
    """Counts and times per group, one row each.

    Parameters
    ----------
    members
        Attempts, and units that never entered with ``reached`` 0.
    plan
        The rules.
    groups
        Group columns.

    Returns
    -------
    ibis.expr.types.Table
        For each step ``reached_<index>``, ``entering_``, ``open_``, and the two first of those
        whose window had closed at the cut-off (``closed_``), with the times in hours.
    """
    closed = _is_closed(members, plan)
    found: dict[str, ir.Value] = {
        "members": members.count(),
        "young": members.count(where=(members.reached > 0) & ~closed),
        "followed": members.count(where=(members.reached > 0) & closed),
    }
    before = 0
    for index in range(len(plan.steps)):
        if index in plan.required:
            before = plan.required.index(index)
            did = members.reached > before
            at = members[f"at_{before + 1}"]
        else:
            before = plan.required.index(max(i for i in plan.required if i < index)) + 1
            did = members[f"did_{index}"].fill_null(False)
            at = members[f"skip_at_{index}"]
        entering = members.reached >= before
        waits = members.is_open.fill_null(False) & (members.reached == before) & ~did
        found |= {
            f"entering_{index}": members.count(where=entering),
            f"reached_{index}": members.count(where=did),
            f"open_{index}": members.count(where=waits),
            f"closed_entering_{index}": members.count(where=entering & closed),
            f"closed_reached_{index}": members.count(where=did & closed),
        }
        if before:
            since, start = (at - members[f"at_{before}"]) / _HOUR, (at - members.at_1) / _HOUR
            found |= {
                f"mean_step_{index}": since.mean(where=did),
                f"median_step_{index}": since.quantile(0.5, where=did),
                f"p90_step_{index}": since.quantile(0.9, where=did),
                f"median_entry_{index}": start.quantile(0.5, where=did),
                f"p90_entry_{index}": start.quantile(0.9, where=did),
            }
    return members.group_by(groups).aggregate(**found) if groups else members.aggregate(**found)


def _is_closed(members: ir.Table, plan: Plan) -> ir.BooleanValue:
    if plan.horizon is None:
        return ibis.literal(True)
    return (members.seen_for >= plan.horizon).fill_null(False)


def reach_curve(attempts: ir.Table, plan: Plan, groups: list[str]) -> pd.DataFrame:
    """How many attempts take each step, and how many go out of sight, per slice of the window.

    Parameters
    ----------
    attempts
        Attempts.
    plan
        The rules, with a window.
    groups
        Group columns.

    Returns
    -------
    pandas.DataFrame
        One row per group, ``slice`` (of at most 2,000), ``kind`` ("took" or "left") and ``rank``
        of the required step taken or stood at, with ``count``.
    """
    horizon = plan.horizon or 0
    width = max(1, -(-horizon // _BINS))
    parts = []
    for rank in range(2, plan.last + 1):
        took = attempts.filter(attempts.reached >= rank)
        since = took[f"at_{rank}"] - took.at_1
        parts.append(
            took.select(*groups, slice=since // width, kind=ibis.literal("took"), rank=rank)
        )
    left = attempts.filter(attempts.seen_for < horizon)
    parts.append(
        left.select(
            *groups, slice=left.seen_for // width, kind=ibis.literal("left"), rank=left.reached
        )
    )
    same = [
        part.mutate(slice=part.slice.cast("int64"), rank=part["rank"].cast("int64"))
        for part in parts
    ]
    rows = reduce(lambda one, other: one.union(other), same)
    return (
        rows.group_by([*groups, "slice", "kind", "rank"]).aggregate(count=rows.count()).to_pandas()
    )


def _estimate(curve: pd.DataFrame, entered: int, last: int) -> np.ndarray:
    """Share of the attempts that take each required step within the window.

    Aalen-Johansen in a chain of states: with two steps it is Kaplan-Meier. Attempts that failed
    stay at risk until the cut-off, as they would have been seen no longer than that either.
    """
    share = np.zeros(last + 2)
    share[1] = 1.0
    at_risk = np.zeros(last + 2)
    at_risk[1] = entered
    # Within a slice earlier steps come first, and leaving comes last.
    rows = curve.sort_values(["slice", "kind", "rank"], ascending=[True, False, True])
    for kind, rank, count in zip(rows["kind"], rows["rank"], rows["count"], strict=True):
        if kind == "took":
            moved = share[rank - 1] * count / at_risk[rank - 1]
            share[rank - 1] -= moved
            share[rank] += moved
            at_risk[rank] += count
        at_risk[rank - 1 if kind == "took" else rank] -= count
    return np.clip(share[1 : last + 1][::-1].cumsum()[::-1], 0.0, 1.0)


def rate_steps(
    counts: pd.Series, plan: Plan, total: int, curve: pd.DataFrame | None
) -> pd.DataFrame:
    """Rows of one group.

    Parameters
    ----------
    counts
        A row of ``count_attempts``.
    plan
        The rules.
    total
        Units of the group, those that never entered included.
    curve
        Rows of ``reach_curve`` of the group, where open windows are to be estimated.

    Returns
    -------
    pandas.DataFrame
        One row per step with the columns ``RATES``.
    """
    indexes = range(len(plan.steps))

    def of(name: str) -> np.ndarray:
        return np.array([counts[f"{name}_{index}"] for index in indexes], dtype="int64")

    frame = pd.DataFrame({"step": np.arange(1, len(plan.steps) + 1)})
    frame["touchpoint"] = _labels(plan)
    frame["total"] = total
    frame["entering"], frame["reached"], frame["open"] = of("entering"), of("reached"), of("open")
    frame.loc[0, "entering"] = total
    frame["dropped"] = frame["entering"] - frame["reached"] - frame["open"]
    closed_only = [
        plan.censoring == "exclude" or (curve is not None and index not in plan.required)
        for index in indexes
    ]
    closed_only[0] = False
    frame["n"] = np.where(closed_only, of("closed_entering"), frame["entering"] - frame["open"])
    taken = np.where(closed_only, of("closed_reached"), frame["reached"])
    if plan.censoring == "as_failed":
        frame["n"] = frame["entering"]
    step = _ratio(taken, frame["n"], frame["entering"])
    entered = int(
        counts["closed_reached_0"] if plan.censoring == "exclude" else counts["reached_0"]
    )
    entry_n = np.full(len(plan.steps), entered, dtype="float64")
    entry = _chain(step, plan)
    if curve is not None:
        shares = _estimate(curve, int(counts["reached_0"]), plan.last)
        for rank, index in enumerate(plan.required[1:], start=1):
            before = shares[rank - 1]
            step[index] = shares[rank] / before if before > 0 else 0.0
        entry = _chain(step, plan)
    if plan.censoring == "kaplan_meier":
        required_open = np.where(np.isin(indexes, plan.required), frame["open"], 0)
        entry_n = entered - required_open.cumsum() - np.where(required_open, 0, frame["open"])
    frame["step_conversion_rate"], frame["entry_conversion_rate"] = step, entry
    frame["conversion_rate"] = _ratio(counts["reached_0"], total, total) * entry
    frame["lower"], frame["upper"] = wilson_interval(step * frame["n"], frame["n"])
    frame["entry_lower"], frame["entry_upper"] = wilson_interval(entry * entry_n, entry_n)
    for name in _TIMES:
        hours = [counts.get(f"{name}_{index}") for index in indexes]
        frame[f"{name}_hours"] = pd.Series(hours, dtype="float64")
    return frame[RATES]


def _labels(plan: Plan) -> list[str]:
    if plan.order == "any":
        return [f"any {rank} of {plan.last}" for rank in range(1, plan.last + 1)]
    return [step.label for step in plan.steps]


def _ratio(part: ArrayLike, whole: ArrayLike, entering: ArrayLike) -> np.ndarray:
    """Part of whole; 0 where nobody came, unknown where all who came are still on the way."""
    base = np.asarray(whole, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.asarray(part, dtype="float64") / base
    return np.where(base > 0, rate, np.where(np.asarray(entering) > 0, np.nan, 0.0))


def _chain(step: np.ndarray, plan: Plan) -> np.ndarray:
    """Share of those who entered, from the shares of the step before."""
    entry = np.zeros(len(step))
    before = 1.0 if step[0] > 0 else 0.0
    for index in range(len(step)):
        entry[index] = before if index == 0 else before * step[index]
        if index in plan.required:
            before = entry[index]
    return entry
