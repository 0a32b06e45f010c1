"""Handoffs as rows: from which department to which, and what came before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import mean_interval, wilson_interval
from cxlib.journeys.log import MOST_GROUPS, NO_GROUP, Journeys, as_list, check_touchpoints
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_span

__all__ = [
    "Outcome",
    "Scope",
    "add_mean",
    "add_rate",
    "count_outcomes",
    "find_outcome",
    "handoff_rows",
    "hours_between",
    "place_departments",
    "read_outcome",
    "read_scope",
]

MISSING = ("skip", "break", "group")
ORDER = ("occurred_at", "event_id")
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Scope:
    """Which events count for departments, and what the log has of them."""

    departments: tuple[str, ...]
    missing: str
    first_at: datetime | None
    scores: int


@dataclass(frozen=True)
class Outcome:
    """What to look for after a handoff: touchpoints, a span, and the log that holds them."""

    touchpoints: tuple[str, ...]
    within: timedelta
    history: Journeys


def read_scope(log: Journeys, departments: str | Sequence[str] | None, missing: str) -> Scope:
    """Departments that count, once they are known to be in the log.

    Parameters
    ----------
    log
        The log.
    departments
        Departments that count; None: all.
    missing
        "skip", "break" or "group".

    Returns
    -------
    Scope

    Raises
    ------
    CxError
        For another word, a department that the log does not have, or a log without departments.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"], "touchpoint": ["visit"], "occurred_at": ["2024-01-01"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> read_scope(log, None, "skip")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: no event of the log has a department, so nothing is handed over; set the
    column 'department' of the events
    """
    if missing not in MISSING:
        raise unknown_name("way to treat a missing department", missing, MISSING)
    events, names = log.events, as_list(departments)
    found = events.aggregate(
        n=events.count(),
        known=events.department.count(),
        scores=events.sentiment.count(),
        first_at=events.occurred_at.min(),
    ).to_pandas()
    row = found.iloc[0]
    if row["n"] and not row["known"]:
        raise CxError(
            "no event of the log has a department, so nothing is handed over; set the column "
            "'department' of the events"
        )
    if names and row["n"]:
        held = events.select("department").distinct().limit(MOST_GROUPS).to_pandas()["department"]
        for name in names:
            if name not in set(held):
                raise unknown_name("department", name, held.dropna(), "in the log")
    first_at = row["first_at"].to_pydatetime() if row["n"] else None
    return Scope(tuple(names), missing, first_at, int(row["scores"]))


def read_outcome(
    log: Journeys,
    outcome: str | Sequence[str] | None,
    within: str | timedelta | None,
    history: Journeys | None,
) -> Outcome | None:
    """What to look for after an event, once it is known to be in the log.

    Parameters
    ----------
    log
        The log.
    outcome
        Touchpoints, or None.
    within
        Span in which one must follow.
    history
        Log to look in; None: the log itself.

    Returns
    -------
    Outcome or None

    Raises
    ------
    CxError
        For an outcome without a span, or a touchpoint that the log does not have.

    Examples
    --------
    >>> read_outcome(None, None, "30 days", None)
    """
    names = as_list(outcome)
    if not names:
        return None
    if within is None:
        raise CxError(f"the outcome {names[0]!r} has no span; give within='90 days'")
    history = history or log
    return Outcome(tuple(check_touchpoints(history, names)), parse_span(within), history)


def place_departments(events: ir.Table, scope: Scope) -> ir.Table:
    """Events that count for departments, each with the one that follows it in its journey.

    Parameters
    ----------
    events
        Prepared events.
    scope
        What ``read_scope`` gives.

    Returns
    -------
    ibis.expr.types.Table
        ``department`` where it counts, ``scored`` and ``scores`` int64 (scores of the journey
        before this event, and up to it), and ``to_department, to_touchpoint, to_at, to_event_id,
        to_scores`` of the next event that counts; null at the last one.

    Examples
    --------
    >>> place_departments(log.events, read_scope(log, None, "skip"))  # doctest: +SKIP
    """
    department = events.department
    if scope.departments:
        counts = department.isin(scope.departments)
        department = ibis.ifelse(counts, department, ibis.null("string"))
    if scope.missing == "group":
        department = department.fill_null(NO_GROUP)
    events = events.mutate(department=department)
    events = _count_scores(events, scope)
    if scope.missing == "skip":
        events = events.filter(events.department.notnull())
    journey = ibis.window(group_by="journey_id", order_by="step")
    return events.mutate(
        to_department=events.department.lead().over(journey),
        to_touchpoint=events.touchpoint.lead().over(journey),
        to_at=events.occurred_at.lead().over(journey),
        to_event_id=events.event_id.lead().over(journey),
        to_scores=events.scored.lead().over(journey),
    )


def _count_scores(events: ir.Table, scope: Scope) -> ir.Table:
    """Events with the scores of their journey before them, and up to and with them."""
    if not scope.scores:
        none = ibis.literal(0, type="int64")
        return events.mutate(scored=none, scores=none)
    so_far = ibis.window(group_by="journey_id", order_by="step", preceding=None, following=0)
    has_score = events.sentiment.notnull().cast("int64")
    events = events.mutate(_has=has_score)
    events = events.mutate(scores=events._has.sum().over(so_far).cast("int64"))
    return events.mutate(scored=events.scores - events._has)


def handoff_rows(log: Journeys, events: ir.Table, groups: list[str], scope: Scope) -> ir.Table:
    """One row per handoff, with the scores around it and what the journey did next.

    Parameters
    ----------
    log
        The log.
    events
        Its events, with groups (``group_columns``).
    groups
        Columns of the groups.
    scope
        What ``read_scope`` gives.

    Returns
    -------
    ibis.expr.types.Table
        ``journey_id, customer_id, step, from_department, to_department, from_at, to_at,
        to_event_id, to_touchpoint``, ``before`` and ``after`` float64 (score), ``sequel`` string
        ("returned", "handed_on", "ended", "open"), ``back_at`` timestamp (of a return).

    Examples
    --------
    >>> handoff_rows(log, log.events, [], read_scope(log, None, "skip"))  # doctest: +SKIP
    """
    placed = place_departments(events, scope)
    rows = placed.filter(placed.department != placed.to_department)
    rows = rows.select(
        *groups,
        *("journey_id", "customer_id", "step", "is_open", "to_department", "to_touchpoint"),
        *("to_at", "to_event_id"),
        from_department="department",
        from_at="occurred_at",
        _before=rows.scores,
        _after=rows.to_scores + 1,
    )
    journey = ibis.window(group_by="journey_id", order_by="step")
    rows = rows.mutate(
        _next_from=rows.from_department.lead().over(journey),
        _next_to=rows.to_department.lead().over(journey),
        _next_at=rows.to_at.lead().over(journey),
    )
    back = (rows._next_from == rows.to_department) & (rows._next_to == rows.from_department)
    last = ibis.ifelse(rows.is_open, "open", "ended")
    sequel = ibis.ifelse(back.fill_null(False), "returned", "handed_on")
    rows = rows.mutate(sequel=ibis.ifelse(rows._next_to.isnull(), last, sequel))
    returned = rows.sequel == "returned"
    rows = rows.mutate(back_at=ibis.ifelse(returned, rows._next_at, ibis.null("timestamp")))
    rows = rows.drop("_next_from", "_next_to", "_next_at", "is_open")
    return _fetch_scores(log, rows, scope)


def _fetch_scores(log: Journeys, rows: ir.Table, scope: Scope) -> ir.Table:
    """Handoffs with the last score before them and the first one after, of the same journey."""
    if not scope.scores:
        none = ibis.null("float64")
        return rows.mutate(before=none, after=none).drop("_before", "_after")
    scores = _count_scores(log.events, scope)
    scores = scores.filter(scores.sentiment.notnull())
    for name, key in (("before", "_before"), ("after", "_after")):
        column = scores.sentiment.cast("float64")
        found = scores.select(_journey="journey_id", _number="scores", **{name: column})
        met = [rows.journey_id == found._journey, rows[key] == found._number]
        rows = rows.left_join(found, met).drop("_journey", "_number", key)
    return rows


def find_outcome(rows: ir.Table, at: str, event_id: str, outcome: Outcome) -> ir.Table:
    """Rows with the moment of the customer's first outcome after theirs.

    Parameters
    ----------
    rows
        Rows with ``customer_id``.
    at, event_id
        Columns with the moment to look from, and the event at it.
    outcome
        What to look for.

    Returns
    -------
    ibis.expr.types.Table
        As many rows as before, with ``_outcome_at`` timestamp, null where there is none.

    Examples
    --------
    >>> find_outcome(rows, "to_at", "to_event_id", outcome)  # doctest: +SKIP
    """
    schema, history = rows.schema(), outcome.history.events
    found = history.filter(history.touchpoint.isin(outcome.touchpoints))
    own = {at: found.occurred_at, event_id: found.event_id, "customer_id": found.customer_id}
    empty = {name: own.get(name, ibis.null(kind)) for name, kind in schema.items()}
    empty = {name: column.cast(schema[name]) for name, column in empty.items()}
    marks = found.select(**empty, _mark=found.occurred_at)
    both = rows.mutate(_mark=ibis.null(marks._mark.type())).union(marks)
    later = ibis.window(group_by="customer_id", order_by=[at, event_id], rows=(1, None))
    both = both.mutate(_outcome_at=both._mark.min().over(later))
    return both.filter(both._mark.isnull()).drop("_mark")


def hours_between(later: ir.TimestampValue, earlier: ir.TimestampValue) -> ir.FloatingValue:
    """Hours between two times, float64.

    Parameters
    ----------
    later, earlier
        Times of the log.

    Returns
    -------
    ibis.expr.types.FloatingValue
        Null where one of them is.

    Examples
    --------
    >>> hours_between(ibis.timestamp("2024-01-01 01:30"), ibis.timestamp("2024-01-01")).to_pandas()
    1.5
    """
    hours = microseconds_between(later, earlier) / _MICROSECONDS_PER_HOUR
    return hours.cast("float64")


def count_outcomes(
    rows: ir.Table,
    at: str,
    touchpoint: str,
    outcome: Outcome,
    where: ir.BooleanValue | None = None,
) -> dict[str, ir.IntegerValue]:
    """Sums that make a rate of outcomes: those whose window was over, and those met in it.

    Parameters
    ----------
    rows
        What ``find_outcome`` gives.
    at, touchpoint
        Columns with the moment at which the window opens, and the touchpoint at it; where that is
        the outcome itself, nothing is at risk.
    outcome
        What was looked for.
    where
        Rows to count; None: all.

    Returns
    -------
    dict of str to ibis.expr.types.IntegerValue
        ``outcome_n`` and ``outcomes``.

    Examples
    --------
    >>> count_outcomes(rows, "to_at", "to_touchpoint", outcome)  # doctest: +SKIP
    """
    until = outcome.history.observed_until - outcome.within
    over = rows[at] <= ibis.literal(until, type="timestamp")
    over = over & ~rows[touchpoint].isin(outcome.touchpoints)
    over = over if where is None else over & where
    wait = microseconds_between(rows._outcome_at, rows[at])
    met = (wait <= outcome.within // _MICROSECOND).fill_null(False)
    return {
        "outcome_n": over.cast("int64").sum(),
        "outcomes": (over & met).cast("int64").sum(),
    }


def add_rate(frame: pd.DataFrame, events: str, n: str, names: tuple[str, str, str]) -> pd.DataFrame:
    """Frame with a rate and its Wilson interval, NaN where nothing is at risk.

    Examples
    --------
    >>> frame = pd.DataFrame({"met": [1], "n": [4]})
    >>> add_rate(frame, "met", "n", ("rate", "lower", "upper")).round(3)
       met  n  rate  lower  upper
    0    1  4  0.25  0.046  0.699
    """
    base = frame[n].where(frame[n] > 0)
    lower, upper = wilson_interval(frame[events], frame[n])
    rates = {names[0]: frame[events] / base, names[1]: lower, names[2]: upper}
    return frame.join(pd.DataFrame(rates, index=frame.index))


def add_mean(frame: pd.DataFrame, name: str, prefix: str) -> pd.DataFrame:
    """Frame with the interval of a mean, from ``name``, ``n_<prefix>`` and ``_sd_<prefix>``.

    Examples
    --------
    >>> frame = pd.DataFrame({"mood": [0.5], "n_mood": [2], "_sd_mood": [0.0]})
    >>> add_mean(frame, "mood", "mood").columns.to_list()
    ['mood', 'n_mood', '_sd_mood', 'mood_lower', 'mood_upper']
    """
    mean, deviation = frame[name].astype("float64"), frame[f"_sd_{prefix}"].astype("float64")
    lower, upper = mean_interval(mean, deviation, frame[f"n_{prefix}"])
    frame = frame.assign(**{name: mean})
    frame[f"{prefix}_lower"], frame[f"{prefix}_upper"] = lower, upper
    return frame
