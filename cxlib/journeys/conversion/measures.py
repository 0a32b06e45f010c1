"""How many customers go from step to step, how soon, and how long it takes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Unpack

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.zones import wall_clock
from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.journeys.conversion.attempts import attempt_table
from cxlib.journeys.conversion.rates import RATES, count_attempts, rate_steps, reach_curve
from cxlib.journeys.conversion.rules import Plan, Rules, StepLike, Steps, read_plan
from cxlib.journeys.log import Journeys, as_list, group_columns
from cxlib.journeys.prepare import customer_key, microseconds_between

__all__ = ["conversion_times", "funnel"]

_TIMES = ["from_hours", "to_hours", "reached", "share", "cumulative_share", "n", "mean_hours"]
_PERIODS = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
_SECOND = 1_000_000
_MOST_BINS = 1_000


def funnel(
    log: Journeys,
    steps: Steps,
    *,
    order: str = "ordered",
    optional: int | str | Sequence[int | str] = (),
    within: str | timedelta | None = None,
    within_step: str | timedelta | None = None,
    at_least: str | timedelta | None = None,
    entry: str = "first",
    count: str = "customers",
    exclude: StepLike | None = None,
    exclude_between: tuple[int, int] | None = None,
    on_exclude: str = "drop_at_step",
    hold: str | Sequence[str] = (),
    ties: str = "order",
    censoring: str | None = None,
    by: str | Sequence[str] | None = None,
    over: str | None = None,
) -> pd.DataFrame:
    """Customers who go from step to step, with those still on the way apart.

    Parameters
    ----------
    log
        The log.
    steps
        Two to twenty, in a list, or in a dict that names them. A step is a touchpoint, a set or
        list of touchpoints of which one is enough, ``{"channel": "web"}``, or a function from the
        events to a boolean Ibis expression. A touchpoint may stand twice.
    order
        "ordered": each step comes somewhere after the one before; "strict": it is the very next
        event; "any": the steps come in any order, and row k counts those who did k of them.
    optional
        Steps that may be skipped, by number (from 1) or label. Each is looked for between the
        required steps around it.
    within
        Longest time from the first step ("7 days"), inclusive.
    within_step
        Longest time from a step to the next, inclusive.
    at_least
        Shortest time from a step to the next; what comes sooner does not count.
    entry
        Which attempt of a customer counts: that of the "first" or the "last" event that fulfils
        step 1, or the "best": the one that gets furthest, the earliest of equal ones.
    count
        "customers" over all their journeys, "journeys" each for itself, or "attempts" of a
        customer, one after the other: an attempt ends on conversion, timeout or exclusion.
    exclude
        What ends an attempt when it happens between two steps; given like a step.
    exclude_between
        Numbers of the steps between which it must not happen; the first and the last by default.
    on_exclude
        "drop_at_step": the attempt counts up to the step before; "drop_whole": it counts nowhere,
        not in ``total`` either.
    hold
        Columns that have the same value at all steps: the funnel runs for each value apart, and
        events without a value take no part.
    ties
        Equal times: "order" takes them in the order of their ids, "either" in whichever order
        helps.
    censoring
        What becomes of attempts whose window is still open at ``observed_until``: "kaplan_meier"
        estimates how many will get there, "exclude" takes the rates from the attempts whose window
        had closed, "as_failed" counts them as failed. "kaplan_meier" when there is a window.
    by
        Column or columns of the events to count apart.
    over
        "day", "week", "month", "quarter" or "year" of the start, counted apart: the trend.

    Returns
    -------
    pandas.DataFrame
        One row per group and step: the ``by`` columns (text), ``period`` (timestamp, its start)
        with ``over``, ``step`` int64 (from 1), ``touchpoint`` text (the label), ``total`` int64
        (customers, journeys or attempts, those that never entered included), ``entering`` int64
        (at the required step before), ``reached``, ``dropped`` and ``open`` int64 (what became of
        them; open: the window goes on), ``n`` int64 (entering whose outcome the rate rests on),
        ``conversion_rate`` (of total), ``entry_conversion_rate`` (of step 1) with ``entry_lower``
        and ``entry_upper``, ``step_conversion_rate`` (of the required step before) with ``lower``
        and ``upper`` (all float64; Wilson, 95 %), ``mean_step_hours``, ``median_step_hours`` and
        ``p90_step_hours`` (from the required step before), ``median_entry_hours`` and
        ``p90_entry_hours`` (from step 1; float64).

    Raises
    ------
    CxError
        For an unknown touchpoint, column or rule, a span without a unit, a ``by`` column with too
        many values, and rules that cannot hold together.

    Warns
    -----
    CxWarning
        When no attempt was followed for the whole window.

    Notes
    -----
    An attempt moves on with the first event that fulfils the next step, and stands there: an
    earlier try is not taken back because a later one would have met ``within_step``. ``reached``
    never increases (optional steps aside), and ``entering = reached + dropped + open`` at every
    step. At step 1 ``dropped`` never entered. A group is that of the event that starts the attempt,
    and for those who never enter that of their first event, so that groups add up.

    The estimate is that of Aalen and Johansen over the time since step 1, in at most 2,000 slices
    of the window; with two steps it is Kaplan-Meier. It takes the time of the start as unrelated
    to the outcome. Rates of optional steps rest on the attempts whose window had closed. The
    intervals take the rate as one of ``n`` independent attempts, which under "attempts" holds only
    roughly. A rate is 0 where nobody entered the step, and NaN where all who did are open. Times
    are of those who got there: under censoring, the quick ones.

    With ``ties="either"`` and ``exclude``, what happens at the time of a step does not undo it.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5, 141-150; Datta and Satten
    (2001), Statistics and Probability Letters 55, 403-411.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"], "touchpoint": ["visit", "buy", "visit", "ask"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["touchpoint", "total", "entering", "reached", "dropped", "open"]
    >>> funnel(log, ["visit", "buy"], within="7 days")[columns]
      touchpoint  total  entering  reached  dropped  open
    0      visit      3         3        2        1     0
    1        buy      3         2        1        1     0
    """
    rules: Rules = {
        "order": order,
        "optional": optional,
        "within": within,
        "within_step": within_step,
        "at_least": at_least,
        "entry": entry,
        "count": count,
        "exclude": exclude,
        "exclude_between": exclude_between,
        "on_exclude": on_exclude,
        "hold": hold,
        "ties": ties,
        "censoring": censoring,
    }
    plan = _plan(log, steps, rules)
    marked, groups, names = _mark(log, plan, by, over, taken=RATES)
    if plan is None:
        return _no_rows(names, RATES)
    attempts = attempt_table(marked, plan, groups, _since_epoch(log.observed_until)).cache()
    counts = count_attempts(_members(marked, attempts, plan, groups), plan, groups).to_pandas()
    return _rate(attempts, counts, plan, groups, names, _total(log, attempts, plan, groups))


def conversion_times(
    log: Journeys,
    steps: Steps,
    *,
    from_step: int = 1,
    to_step: int | None = None,
    bins: int | None = None,
    by: str | Sequence[str] | None = None,
    **rules: Unpack[Rules],
) -> pd.DataFrame:
    """How long those who got from one step of a funnel to a later one took.

    Parameters
    ----------
    log
        The log.
    steps
        As in ``funnel``.
    from_step, to_step
        Numbers of two required steps; the first and the last by default.
    bins
        How many bins; the cube root of the conversions by default.
    by
        Column or columns of the events to count apart; the bins are the same for all.
    **rules
        ``order``, ``within``, ``entry``, ``count`` and the other rules of ``funnel``.

    Returns
    -------
    pandas.DataFrame
        One row per group and bin, empty bins included: the ``by`` columns (text), ``from_hours``
        and ``to_hours`` float64 (from inclusive, to exclusive), ``reached`` int64, ``share`` and
        ``cumulative_share`` float64 (of those who got there), ``n`` int64 (those who got there)
        and ``mean_hours`` float64 (of the group).

    Raises
    ------
    CxError
        As ``funnel`` does, and for steps or bins that do not exist.

    Notes
    -----
    Bins are equally wide, in whole seconds, from the shortest time; one more holds the longest.
    Attempts that did not get there, open ones included, are not in it: where many are open, the
    quick ones weigh too much; ``funnel`` estimates the rest. Nobody got there: no rows.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "b"], "touchpoint": ["visit", "buy"] * 2,
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T11", "2024-01-01T10", "2024-01-01T13"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> conversion_times(log, ["visit", "buy"])[["from_hours", "to_hours", "reached", "share"]]
       from_hours  to_hours  reached  share
    0         1.0       2.0        1    0.5
    1         2.0       3.0        0    0.0
    2         3.0       4.0        1    0.5
    """
    if bins is not None and not 1 <= bins <= _MOST_BINS:
        raise CxError(f"bins is {bins}, and must be 1 to {_MOST_BINS:,}")
    plan = _plan(log, steps, rules)
    marked, groups, names = _mark(log, plan, by, None, taken=_TIMES)
    if plan is None:
        return _no_rows(names, _TIMES)
    first, last = _ranks(plan, from_step, to_step)
    attempts = attempt_table(marked, plan, groups, _since_epoch(log.observed_until))
    done = attempts.filter((attempts.reached >= last) & ~attempts.dropped_whole)
    took = done.select(*groups, took=done[f"at_{last}"] - done[f"at_{first}"]).cache()
    span = took.aggregate(n=took.count(), low=took.took.min(), high=took.took.max()).to_pandas()
    if not (n := int(span["n"].iloc[0])):
        return _no_rows(names, _TIMES)
    low, high = int(span["low"].iloc[0]), int(span["high"].iloc[0])
    # The smallest whole number whose cube is at least n: a float root of 27 is above 3.
    number = bins or next(k for k in range(1, n + 1) if k**3 >= n)
    width = max(1, ceil((high - low) / _SECOND / number)) * _SECOND
    binned = took.mutate(bin=((took.took - low) // width).cast("int64"))
    counts = binned.group_by([*groups, "bin"]).aggregate(
        reached=binned.count(), took=binned.took.sum().cast("float64")
    )
    frame = _bin(counts.to_pandas(), groups, low, width, (high - low) // width + 1, number)
    return frame[[*groups, *_TIMES]].rename(columns=dict(zip(groups, names, strict=True)))


def _bin(
    counts: pd.DataFrame, groups: list[str], low: int, width: int, filled: int, number: int
) -> pd.DataFrame:
    keys = counts[groups].drop_duplicates().sort_values(groups) if groups else pd.DataFrame([{}])
    size = max(filled, number + 1)
    frame = keys.merge(pd.DataFrame({"bin": range(size)}), how="cross")
    frame = frame.merge(counts, on=[*groups, "bin"], how="left", validate="one_to_one")
    frame["reached"] = frame["reached"].fillna(0).astype("int64")
    per_group = frame.groupby(groups) if groups else frame.groupby(lambda _: 0)
    frame["n"] = per_group["reached"].transform("sum")
    frame["mean_hours"] = per_group["took"].transform("sum") / frame["n"] / (3_600 * _SECOND)
    frame["share"] = frame["reached"] / frame["n"]
    frame["cumulative_share"] = per_group["reached"].cumsum() / frame["n"]
    frame["from_hours"] = (low + frame["bin"] * width) / (3_600 * _SECOND)
    frame["to_hours"] = (low + (frame["bin"] + 1) * width) / (3_600 * _SECOND)
    return frame


def _ranks(plan: Plan, from_step: int, to_step: int | None) -> tuple[int, int]:
    to_step = len(plan.steps) if to_step is None else to_step
    for number in (from_step, to_step):
        if number - 1 not in plan.required:
            raise CxError(
                f"there is no step {number} that must be taken; "
                f"give two of {[index + 1 for index in plan.required]}"
            )
    if from_step >= to_step:
        raise CxError(f"from_step is {from_step}, and must come before to_step, which is {to_step}")
    return plan.required.index(from_step - 1) + 1, plan.required.index(to_step - 1) + 1


def _plan(log: Journeys, steps: Steps, rules: Rules) -> Plan | None:
    """The rules as a plan; None for a log without events, in which no touchpoint can be known."""
    try:
        return read_plan(log, steps, rules)
    except CxError:
        if log.events.limit(1).count().to_pandas() == 0:
            return None
        raise


def _no_rows(names: list[str], columns: list[str]) -> pd.DataFrame:
    """The columns of a result, in their types, without a row."""
    types = dict.fromkeys(columns, "float64") | dict.fromkeys(names, "object")
    counts = ("step", "total", "entering", "reached", "dropped", "open", "n")
    types |= {name: "int64" for name in counts if name in columns}
    types |= {"touchpoint": "object"} if "touchpoint" in columns else {}
    types |= {"period": "datetime64[us]"} if "period" in names else {}
    return pd.DataFrame({name: pd.Series(dtype=types[name]) for name in [*names, *columns]})


def _since_epoch(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _mark(
    log: Journeys,
    plan: Plan | None,
    by: str | Sequence[str] | None,
    over: str | None,
    taken: list[str],
) -> tuple[ir.Table, list[str], list[str]]:
    """Events with what they fulfil, their groups under names of our own, and the given names."""
    if over is not None and over not in _PERIODS:
        raise unknown_name("period", over, _PERIODS)
    events = log.events
    # Before the groups: they turn missing values into text, which a condition must not see.
    found = {f"is_{i}": step.holds(events) for i, step in enumerate(plan.steps if plan else ())}
    if plan is not None and plan.exclude is not None:
        found["is_excluded"] = plan.exclude.holds(events)
    held = {f"hold_{i}": events[name] for i, name in enumerate(plan.hold if plan else ())}
    own = {**found, **held}
    labelled, groups = group_columns(events.mutate(**own), by, [*taken, "period"], keep=own)
    names = list(dict.fromkeys(as_list(by)))
    labels = {f"group_{i}": labelled[name] for i, name in enumerate(groups)}
    if over is not None:
        shown = wall_clock(labelled.occurred_at, log.timezone)
        labels[f"group_{len(names)}"] = shown.truncate(_PERIODS[over])
        names = [*names, "period"]
    epoch = ibis.literal(datetime(1970, 1, 1), type="timestamp")
    by_journey = plan is not None and plan.count == "journeys"
    unit = "journey_id" if by_journey else customer_key(labelled)
    # The order of the unit's events, where the log holds it.
    stored = {"pos": labelled.cx_place} if "cx_place" in labelled.columns else {}
    order = {"pos": labelled.step} if by_journey else stored
    marked = labelled.select(
        *found,
        *held,
        **labels,
        unit=labelled[unit],
        at=microseconds_between(labelled.occurred_at, epoch),
        event_id=labelled.event_id,
        place=labelled.step,
        **order,
    )
    return marked, list(labels), names


def _members(marked: ir.Table, attempts: ir.Table, plan: Plan, groups: list[str]) -> ir.Table:
    """Attempts, and with groups also the units that never entered, in the group they began in."""
    members = attempts.filter(~attempts.dropped_whole)
    if not groups or plan.count == "attempts":
        return members
    first = marked.filter(marked.place == 1)
    order = ibis.window(group_by="unit", order_by=["at", "event_id"])
    first = first.mutate(turn=ibis.row_number().over(order))
    first = first.filter(first.turn == 0)
    absent = first.anti_join(attempts, "unit")
    empty = {
        name: ibis.literal(0 if name == "reached" else None, type=kind)
        for name, kind in members.schema().items()
        if name not in ("unit", *groups)
    }
    absent = absent.select("unit", *groups, **empty).select(members.columns)
    return members.union(absent.cast(members.schema()))


def _total(log: Journeys, attempts: ir.Table, plan: Plan, groups: list[str]) -> int | None:
    """Units of a funnel without groups; None where the members are all there is."""
    if groups or plan.count == "attempts":
        return None
    key = "journey_id" if plan.count == "journeys" else customer_key(log.journeys)
    units = int(log.journeys[key].nunique().to_pandas())
    return units - int(attempts.filter(attempts.dropped_whole).count().to_pandas())


def _rate(
    attempts: ir.Table,
    counts: pd.DataFrame,
    plan: Plan,
    groups: list[str],
    names: list[str],
    total: int | None,
) -> pd.DataFrame:
    curve = None
    if plan.censoring == "kaplan_meier" and counts["young"].sum():
        curve = reach_curve(attempts.filter(~attempts.dropped_whole), plan, groups)
    if plan.horizon is not None and counts["young"].sum() and not counts["followed"].sum():
        window = timedelta(microseconds=plan.horizon)
        warnings.warn(
            f"no attempt was followed for the whole window of {window}; the rates are of the time "
            "that was seen, so shorten the window or wait",
            CxWarning,
            stacklevel=3,
        )
    if groups:
        counts = counts.sort_values(groups, ignore_index=True)
    frames = []
    for _, row in counts.iterrows():
        own = curve if curve is None else _of_group(curve, row, groups)
        frame = rate_steps(row, plan, int(row["members"]) if total is None else total, own)
        frames.append(
            frame.assign(**{name: row[key] for key, name in zip(groups, names, strict=True)})
        )
    if not frames:
        return _no_rows(names, RATES)
    return pd.concat(frames, ignore_index=True)[[*names, *RATES]]


def _of_group(curve: pd.DataFrame, row: pd.Series, groups: list[str]) -> pd.DataFrame:
    for name in groups:
        curve = curve[curve[name] == row[name]]
    return curve
