"""Fitness of each journey, and how often each deviation from the plan occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxError
from cxlib.intervals import check_confidence, wilson_interval
from cxlib.journeys.log import Journeys, named_groups
from cxlib.journeys.maps import JourneyMap
from cxlib.journeys.planned.paths import (
    COUNTS,
    PATH,
    Rules,
    align_frame,
    deviating,
    fitness_of,
    planned_paths,
)

__all__ = ["add_fitness", "plan_deviations", "planned_vs_actual"]

_FITNESS = ["fitness", "deviations", *COUNTS, "as_planned"]
_SUMMARY = [
    *("n", "open", "as_planned", "as_planned_share", "lower", "upper"),
    *("mean_fitness", "fitness_lower", "fitness_upper", "mean_deviations"),
    *(f"mean_{name}" for name in COUNTS),
]
_DEVIATIONS = ["kind", "touchpoint", "stage", "journeys", "n", "share", "lower", "upper"]
_NOT_PLANNED = "(none)"


def add_fitness(
    log: Journeys,
    journey_map: JourneyMap,
    *,
    open_journeys: str = "so_far",
    outside: str = "inserted",
) -> Journeys:
    """Log whose journeys and events carry how well their journey follows the plan.

    Parameters
    ----------
    log
        The log.
    journey_map
        The plan.
    open_journeys
        "so_far": a journey still open is held against the plan up to the furthest step of which it
        has anything, so that it is not blamed for what it has not come to. "whole": as if it had
        ended. "exclude": it gets nulls.
    outside
        "inserted": an event whose touchpoint the plan does not have is a deviation. "ignored": the
        plan says nothing about it.

    Returns
    -------
    Journeys
        Both tables have the further columns ``fitness`` float64 (0 to 1), ``deviations`` float64
        (steps), ``skipped``, ``inserted``, ``repeated`` and ``out_of_order`` int64, ``as_planned``
        boolean (no deviation). Null where there is nothing to compare.

    Raises
    ------
    CxError
        For an unknown rule, a log that has these columns already, or a plan of which the log has no
        touchpoint.

    Notes
    -----
    Deviations are ``|path| + |plan| - 2 * LCS`` and fitness is ``1 - deviations / (|path| +
    |plan|)``, LCS the longest common subsequence. Touchpoints in any order are one step together,
    each of k of them a k-th of it. Of the versions of the plan with and without its optional steps
    the one nearest to the path counts, so these cost nothing. What is done out of order is missing
    at its place and extra at the other: two deviations, or one where it is optional. The columns
    say what held when they were added: verbs that drop events do not renew them.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> plan = JourneyMap(name="Order", stages=[{"stage": "all", "steps": ["visit", "buy"]}])
    >>> found = add_fitness(log, plan).journeys.order_by("journey_id")
    >>> found.select("journey_id", "fitness", "skipped").to_pandas()
      journey_id   fitness  skipped
    0          a  1.000000        0
    1          b  0.666667        1
    """
    for name in _FITNESS:
        if name in log.events.columns:
            raise CxError(f"the log has a column {name!r} already; rename it first")
    rules = Rules(journey_map, open_journeys, outside)
    paths, _ = planned_paths(log, rules)
    aligned, _ = align_frame(paths.select(*PATH).distinct().to_pandas(), rules)
    found = paths.join(ibis.memtable(_typed(aligned)), PATH)
    deviations = found.missing + found.extra + found.inserted
    steps = 2 * found.matched + deviations
    known = steps > 0
    columns: dict[str, ir.Value] = {
        "fitness": ibis.ifelse(known, 1 - deviations / steps, ibis.null("float64")),
        "deviations": ibis.ifelse(known, deviations, ibis.null("float64")),
        **{name: ibis.ifelse(known, found[name], ibis.null("int64")) for name in COUNTS},
        "as_planned": ibis.ifelse(known, deviations == 0, ibis.null("boolean")),
    }
    found = found.select("journey_id", **columns)
    # One row per journey: nothing is added.
    tables = (
        table.left_join(found, "journey_id").drop("journey_id_right")
        for table in (log.events, log.journeys)
    )
    events, journeys = tables
    return replace(log, events=events, journeys=journeys)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    # An engine cannot hold a column without a type, which an empty one of objects is.
    return frame.astype({"_codes": "string"}) if frame.empty else frame


@named_groups
def planned_vs_actual(
    log: Journeys,
    journey_map: JourneyMap,
    *,
    open_journeys: str = "so_far",
    outside: str = "inserted",
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How well journeys follow the plan, per group.

    Parameters
    ----------
    log
        The log.
    journey_map
        The plan.
    open_journeys, outside
        As in ``add_fitness``.
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event.
    confidence
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group, one in all without ``by``: the ``by`` columns (text), ``n`` int64
        (journeys compared), ``open`` int64 (of them still open), ``as_planned`` int64 (journeys
        without a deviation), ``as_planned_share`` float64 (of ``n``) with ``lower`` and ``upper``
        (Wilson), ``mean_fitness`` float64 with ``fitness_lower`` and ``fitness_upper`` (normal
        approximation; NaN for one journey), ``mean_deviations`` float64 (steps per journey), and
        ``mean_skipped``, ``mean_inserted``, ``mean_repeated``, ``mean_out_of_order`` float64
        (per journey). A log without journeys gives no row.

    Raises
    ------
    CxError
        For an unknown rule or ``by`` column, or a plan of which the log has no touchpoint.

    Notes
    -----
    Fitness is defined in ``add_fitness``. Journeys in which there is nothing to compare are not in
    ``n``. Equal paths are aligned once. Intervals take journeys as independent.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> plan = JourneyMap(name="Order", stages=[{"stage": "all", "steps": ["visit", "buy"]}])
    >>> found = planned_vs_actual(log, plan)
    >>> found[["n", "as_planned", "mean_fitness", "mean_skipped"]].round(3)
       n  as_planned  mean_fitness  mean_skipped
    0  2           1         0.833           0.5
    """
    check_confidence(confidence)
    rules = Rules(journey_map, open_journeys, outside)
    paths, groups = planned_paths(log, rules, by, taken=_SUMMARY)
    keys = [*groups, *PATH, "inserted", "is_open"]
    counted = paths.group_by(keys).aggregate(n=paths.count()).to_pandas()
    aligned, _ = align_frame(counted, rules)
    rows = counted.merge(aligned, on=PATH, validate="many_to_one")
    rows["deviations"] = rows["missing"] + rows["extra"] + rows["inserted"]
    rows["fitness"] = fitness_of(rows["matched"], rows["deviations"])
    rows = rows[rows["fitness"].notna()]
    sums = {
        "n": rows["n"],
        "open": rows["n"] * rows["is_open"].astype("int64"),
        "as_planned": rows["n"] * (rows["deviations"] == 0),
        "fitness": rows["n"] * rows["fitness"],
        "square": rows["n"] * rows["fitness"] ** 2,
        **{f"mean_{name}": rows["n"] * rows[name] for name in ["deviations", *COUNTS]},
    }
    parts = rows[groups].assign(_all=0, **sums)
    frame = parts.groupby(groups or "_all", as_index=False).sum()
    return _summarise(frame, confidence)[[*groups, *_SUMMARY]]


def _summarise(frame: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Sums per group as shares and means, with their intervals."""
    n = frame["n"]
    lower, upper = wilson_interval(frame["as_planned"], n, confidence)
    mean = frame["fitness"] / n
    spread = (frame["square"] - n * mean**2).clip(lower=0) / (n - 1).where(n > 1)
    half = special.ndtri(0.5 + confidence / 2) * np.sqrt(spread / n)
    means = [f"mean_{name}" for name in ("deviations", *COUNTS)]
    return frame.assign(
        as_planned_share=frame["as_planned"] / n,
        lower=lower,
        upper=upper,
        mean_fitness=mean,
        fitness_lower=(mean - half).clip(lower=0),
        fitness_upper=(mean + half).clip(upper=1),
        **{name: frame[name] / n for name in means},
    ).astype(dict.fromkeys(("n", "open", "as_planned"), "int64"))


@named_groups
def plan_deviations(
    log: Journeys,
    journey_map: JourneyMap,
    *,
    open_journeys: str = "so_far",
    outside: str = "inserted",
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Deviations from the plan, by kind and touchpoint, the most frequent first.

    Parameters
    ----------
    log
        The log.
    journey_map
        The plan.
    open_journeys, outside
        As in ``add_fitness``.
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event.
    confidence
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group, kind and touchpoint that occurs: the ``by`` columns (text), ``kind``
        ("skipped", "inserted", "repeated" or "out_of_order"), ``touchpoint`` (text; alternatives
        joined by "or"), ``stage`` (text; "(none)" for what is not planned), ``journeys`` int64
        (that deviate so at least once), ``n`` int64 (journeys compared), ``share`` float64 (of
        ``n``) with ``lower`` and ``upper`` (Wilson).

    Raises
    ------
    CxError
        For an unknown rule or ``by`` column, or a plan of which the log has no touchpoint.

    Notes
    -----
    Skipped: a step that must be done is nowhere in the journey. Out of order: it is, but not at
    its place; which of two swapped steps is the one depends on the rule that the earliest events
    are taken for the plan. Repeated: once more than planned. Inserted: not planned at all.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["visit", "ask", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> plan = JourneyMap(name="Order", stages=[{"stage": "all", "steps": ["visit", "buy"]}])
    >>> plan_deviations(log, plan)[["kind", "touchpoint", "stage", "journeys", "n", "share"]]
           kind touchpoint   stage  journeys  n  share
    0  inserted        ask  (none)         1  2    0.5
    1   skipped        buy     all         1  2    0.5
    """
    check_confidence(confidence)
    rules = Rules(journey_map, open_journeys, outside)
    paths, groups = planned_paths(log, rules, by, taken=_DEVIATIONS)
    keys = [*groups, *PATH]
    counted = paths.group_by(keys).aggregate(journeys=paths.count()).to_pandas()
    if outside == "ignored":
        counted = _comparable(counted, rules)
    parts = [_of_plan(counted, rules, groups)]
    if outside == "inserted":
        parts.append(_outside(log, paths, rules, groups))
    frame = pd.concat(parts, ignore_index=True)
    sizes = counted.assign(_all=0).groupby(groups or "_all")["journeys"].sum()
    of = frame.set_index(groups).index if groups else pd.Index([0] * len(frame))
    frame["n"] = sizes.reindex(of).to_numpy()
    frame = frame.astype({"journeys": "int64", "n": "int64"})
    frame["share"] = frame["journeys"] / frame["n"]
    frame["lower"], frame["upper"] = wilson_interval(frame["journeys"], frame["n"], confidence)
    order = [*groups, "journeys", "kind", "touchpoint"]
    rising = [name != "journeys" for name in order]
    frame = frame.sort_values(order, ascending=rising, ignore_index=True)
    return frame[[*groups, *_DEVIATIONS]]


def _comparable(counted: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Paths without those that have nothing of the plan, and of which nothing is due yet."""
    aligned, _ = align_frame(counted, rules)
    some = aligned["matched"] + aligned["missing"] + aligned["extra"] > 0
    return counted.merge(aligned.loc[some, PATH], on=PATH)


def _of_plan(counted: pd.DataFrame, rules: Rules, groups: list[str]) -> pd.DataFrame:
    """Journeys per kind and label of the plan."""
    aligned, found = align_frame(counted, rules)
    plan = rules.plan
    stages = {rules.journey_map.label_of[n]: s for n, s in rules.journey_map.stage_of.items()}
    parts = [counted[groups].head(0).assign(kind="", touchpoint="", stage="", journeys=0)]
    for kind, counts in deviating(plan, found).items():
        for at, label in enumerate(plan.labels):
            who = aligned.loc[counts[:, at] > 0, PATH]
            if len(who):
                rows = counted.merge(who, on=PATH).assign(_all=0)
                sums = rows.groupby(groups or "_all", as_index=False)["journeys"].sum()
                parts.append(sums.assign(kind=kind, touchpoint=label, stage=stages[label]))
    return pd.concat(parts)[[*groups, "kind", "touchpoint", "stage", "journeys"]]


def _outside(log: Journeys, paths: ir.Table, rules: Rules, groups: list[str]) -> pd.DataFrame:
    """Journeys per touchpoint that the plan does not have."""
    others = log.events.filter(~log.events.touchpoint.isin(list(rules.journey_map.stage_of)))
    met = others.select("journey_id", "touchpoint").distinct()
    met = met.join(paths.select("journey_id", *groups), "journey_id")
    counted = met.group_by([*groups, "touchpoint"]).aggregate(journeys=met.count()).to_pandas()
    return counted.assign(kind="inserted", stage=_NOT_PLANNED)
