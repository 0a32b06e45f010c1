"""Measures of handoffs: where journeys change hands, how long it takes, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError
from cxlib.journeys.departments.calendars import WorkingHours
from cxlib.journeys.departments.moves import (
    Outcome,
    Scope,
    add_mean,
    add_rate,
    count_outcomes,
    find_outcome,
    handoff_rows,
    hours_between,
    place_departments,
    read_outcome,
    read_scope,
)
from cxlib.journeys.log import Journeys, group_columns, named_groups

__all__ = ["add_handoffs", "handoffs", "handoffs_per_journey", "ping_pong"]

_PAIR = ["from_department", "to_department"]
_WAITS = ["median_wait_hours", "p90_wait_hours"]
_WORKING = ["median_working_hours", "p90_working_hours"]
_SEQUELS = ["returned", "handed_on", "ended", "open"]
_RETURN = ("return_rate", "return_lower", "return_upper")
_END = ("end_rate", "end_lower", "end_upper")
_OUTCOME = ("outcome_rate", "outcome_lower", "outcome_upper")
_MOODS = {
    "before": "sentiment_before",
    "after": "sentiment_after",
    "change": "sentiment_change",
}


@named_groups
def handoffs(
    log: Journeys,
    *,
    departments: str | Sequence[str] | None = None,
    missing: str = "skip",
    calendar: WorkingHours | None = None,
    outcome: str | Sequence[str] | None = None,
    within: str | timedelta | None = None,
    history: Journeys | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Handoffs from one department to another, with waits, sentiment and what followed.

    Parameters
    ----------
    log
        The log. A handoff lies within one journey; ``split_journeys`` says what a journey is.
    departments
        Departments that count; the events of others are treated as if they had none.
    missing
        What an event without a department does. "skip": it is passed over. "break": there is no
        handoff across it. "group": it counts as one of a department "(none)".
    calendar
        Working hours in which to count the waits too.
    outcome
        Touchpoints of the customer to look for after each handoff, such as a cancellation.
    within
        Span in which the outcome must follow ("90 days"), inclusive.
    history
        Log in which to look for the outcome, where ``log`` does not hold it; ``log`` when not
        given.
    by
        Column or columns of the events to count apart; a handoff belongs to the group of the event
        that it leaves.

    Returns
    -------
    pandas.DataFrame
        One row per group and pair of departments, most frequent first within a group: the ``by``
        columns, ``from_department`` and ``to_department`` (text), ``handoffs`` int64, ``customers``
        and ``journeys`` int64 (distinct), ``share`` float64 (of all handoffs of the group),
        ``median_wait_hours`` and ``p90_wait_hours`` float64 (from the last event in the one to
        the first in the other), with a calendar also ``median_working_hours`` and
        ``p90_working_hours``; ``returned``, ``handed_on``, ``ended`` and ``open`` int64 (the
        journey's next handoff goes back, or goes on; or there is none, and the journey ended, or is
        still open), ``n`` int64 (all but the open ones), ``return_rate`` and ``end_rate`` float64
        (of ``n``) with ``return_lower``, ``return_upper``, ``end_lower`` and ``end_upper`` (Wilson,
        95 %); ``n_before``, ``sentiment_before``, ``before_lower``, ``before_upper`` (the last
        score before), the same for ``after`` (the first score after) and for ``change`` (where both
        are known), means with Student's t intervals, 95 %; with an outcome also ``outcome_n`` int64
        (handoffs whose window was over), ``outcomes`` int64, ``outcome_rate`` float64 (of
        ``outcome_n``) with ``outcome_lower`` and ``outcome_upper`` (Wilson, 95 %).

    Raises
    ------
    CxError
        For an unknown department, touchpoint, column or rule, an outcome without a span, or a log
        in which no event has a department.

    Notes
    -----
    ``handoffs = returned + handed_on + ended + open``. Scores are those of the journey: the last
    one at or before the event that is left, and the first one at or after the event that is
    reached, whoever asked for them; all scores count, whatever ``departments`` says. The outcome
    is the customer's first one after the event that is reached, in any journey; handoffs whose
    window was not over at ``observed_until`` are left out of ``outcome_n`` whether it came or not,
    and so are those that reach the outcome itself. Rates are NaN where their base is 0, and
    intervals of a mean where n is below 2. Intervals take handoffs as independent. Events at the
    same time are taken in the order of their ``event_id``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b", "b"],
    ...      "touchpoint": ["ask", "visit", "ask", "ask", "visit"],
    ...      "department": ["desk", "field", "desk", "desk", "field"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-02T12", "2024-01-01T10",
    ...                      "2024-01-01T14"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["handoffs", "median_wait_hours", "returned", "ended", "n", "return_rate"]
    >>> handoffs(log)[["from_department", "to_department", *columns]].head(1).T
                             0
    from_department       desk
    to_department        field
    handoffs                 2
    median_wait_hours      3.0
    returned                 1
    ended                    1
    n                        2
    return_rate            0.5
    """
    goal = read_outcome(log, outcome, within, history)
    scope = read_scope(log, departments, missing)
    taken = [*_PAIR, "handoffs", "n", "share", *_WAITS, *_SEQUELS]
    events, groups = group_columns(log.events, by, taken=taken)
    rows = handoff_rows(log, events, groups, scope)
    rows = rows.mutate(
        wait=hours_between(rows.to_at, rows.from_at), change=rows.after - rows.before
    )
    rows = _in_calendar(rows, "from_at", "to_at", calendar, scope, log)
    if goal:
        rows = find_outcome(rows, "to_at", "to_event_id", goal)
    frame = _count_handoffs(rows, groups, goal, working=calendar is not None)
    frame = _add_bases(frame, groups, goal)
    columns = [*_PAIR, "handoffs", "customers", "journeys", "share", *_WAITS]
    columns += _WORKING if calendar is not None else []
    columns += [*_SEQUELS, "n", *_RETURN, *_END]
    for prefix, name in _MOODS.items():
        columns += [f"n_{prefix}", name, f"{prefix}_lower", f"{prefix}_upper"]
    columns += ["outcome_n", "outcomes", *_OUTCOME] if goal else []
    return _most_first(frame, groups, "handoffs")[[*groups, *columns]]


@named_groups
def ping_pong(
    log: Journeys,
    *,
    departments: str | Sequence[str] | None = None,
    missing: str = "skip",
    calendar: WorkingHours | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Handoffs that are followed by one straight back, and how long that took.

    Parameters
    ----------
    log, departments, missing, calendar, by
        As for ``handoffs``.

    Returns
    -------
    pandas.DataFrame
        One row per group and pair of departments with a handoff, most returns first: the ``by``
        columns, ``from_department`` and ``to_department`` (text), ``n`` int64 (handoffs whose
        sequel is known), ``returned`` int64, ``return_rate`` float64 (of ``n``) with
        ``return_lower`` and ``return_upper`` (Wilson, 95 %), ``customers`` int64 (distinct ones
        with a return), ``median_away_hours`` and ``p90_away_hours`` float64 (from leaving
        ``from_department`` to being back), with a calendar also ``median_away_working_hours`` and
        ``p90_away_working_hours``.

    Raises
    ------
    CxError
        As for ``handoffs``.

    Notes
    -----
    Desk → field → desk is one return of the handoff desk → field; desk → field → desk → field is
    two, one of each pair. A journey that is still open after a handoff is not in its ``n``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a"], "touchpoint": ["ask", "visit", "ask"],
    ...      "department": ["desk", "field", "desk"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-02T12"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["from_department", "to_department", "n", "returned", "median_away_hours"]
    >>> ping_pong(log)[columns]
      from_department to_department  n  returned  median_away_hours
    0            desk         field  1         1               26.0
    1           field          desk  1         0                NaN
    """
    scope = read_scope(log, departments, missing)
    events, groups = group_columns(log.events, by, taken=[*_PAIR, "n", "returned"])
    rows = handoff_rows(log, events, groups, replace(scope, scores=0))
    rows = rows.mutate(away=hours_between(rows.back_at, rows.from_at))
    rows = _in_calendar(rows, "from_at", "back_at", calendar, scope, log)
    back = rows.sequel == "returned"
    sums = {
        "n": (rows.sequel != "open").cast("int64").sum(),
        "returned": back.cast("int64").sum(),
        "customers": rows.customer_id.nunique(where=back),
        "median_away_hours": rows.away.median(),
        "p90_away_hours": rows.away.quantile(0.9),
    }
    if calendar is not None:
        sums["median_away_working_hours"] = rows.working.median()
        sums["p90_away_working_hours"] = rows.working.quantile(0.9)
    frame = rows.group_by([*groups, *_PAIR]).aggregate(**sums).to_pandas()
    hours = [name for name in frame if str(name).endswith("_hours")]
    frame = add_rate(frame.astype(dict.fromkeys(hours, "float64")), "returned", "n", _RETURN)
    columns = [*_PAIR, "n", "returned", *_RETURN, "customers", *hours]
    return _most_first(frame, groups, "returned")[[*groups, *columns]]


@named_groups
def handoffs_per_journey(
    log: Journeys,
    *,
    most: int = 3,
    departments: str | Sequence[str] | None = None,
    missing: str = "skip",
    outcome: str | Sequence[str] | None = None,
    within: str | timedelta | None = None,
    history: Journeys | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Journeys by the number of their handoffs, with how they felt at the end and what followed.

    Parameters
    ----------
    log
        The log; with one journey per ticket or claim, say, it counts handoffs per ticket.
    most
        Journeys with this many handoffs or more count together.
    departments, missing, outcome, within, history
        As for ``handoffs``, but the window of the outcome opens with the journey's last event.
    by
        Column or columns of the events to count apart; a journey is in the group of its first
        event.

    Returns
    -------
    pandas.DataFrame
        One row per group and number that occurs: the ``by`` columns, ``handoffs`` int64, ``label``
        text ("2", "3 or more"), ``journeys`` int64 (that ended), ``open`` int64 (still open, and in
        no other column), ``customers`` int64 (distinct), ``share`` float64 (of the journeys of the
        group that ended), ``median_length_hours`` and ``p90_length_hours`` float64 (first to last
        event), ``n_sentiment`` int64, ``sentiment`` float64 (mean of the journey's last score) with
        ``sentiment_lower`` and ``sentiment_upper`` (Student's t, 95 %), and with an outcome
        ``outcome_n, outcomes, outcome_rate, outcome_lower, outcome_upper`` as in ``handoffs``.

    Raises
    ------
    CxError
        As for ``handoffs``, or for a ``most`` below 1.

    Notes
    -----
    The number of handoffs is known when a journey is over, so the window of the outcome opens then:
    what came during the journey counts for none. A journey without any department is left out.
    Journeys with more handoffs also last longer and may have had harder questions: a difference is
    an association.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["ask", "visit", "ask"],
    ...      "department": ["desk", "field", "desk"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-02T12"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> handoffs_per_journey(log)[["handoffs", "journeys", "share", "median_length_hours"]]
       handoffs  journeys  share  median_length_hours
    0         0         1    0.5                  0.0
    1         1         1    0.5                  2.0
    """
    if most < 1:
        raise CxError(f"most is {most}, and must be at least 1")
    goal = read_outcome(log, outcome, within, history)
    scope = read_scope(log, departments, missing)
    events, groups = group_columns(log.events, by, taken=["handoffs", "label", "journeys"])
    rows = _journey_rows(log, events, groups, scope)
    rows = rows.mutate(handoffs=ibis.least(rows._handoffs, most).cast("int64"))
    if goal:
        rows = find_outcome(rows, "ended_at", "event_id", goal)
    over = ~rows.is_open
    # A condition of the quantile itself is more than Spark takes.
    hours = ibis.ifelse(over, rows.hours, ibis.null("float64"))
    sums = {
        "journeys": over.cast("int64").sum(),
        "open": rows.is_open.cast("int64").sum(),
        "customers": rows.customer_id.nunique(where=over),
        "median_length_hours": hours.median(),
        "p90_length_hours": hours.quantile(0.9),
        "n_sentiment": rows.score.count(where=over),
        "sentiment": rows.score.mean(where=over),
        "_sd_sentiment": rows.score.std(where=over, how="sample"),
    }
    if goal:
        sums |= count_outcomes(rows, "ended_at", "touchpoint", goal, where=over)
    frame = rows.group_by([*groups, "handoffs"]).aggregate(**sums).to_pandas()
    lengths = ["median_length_hours", "p90_length_hours"]
    frame = add_mean(frame.astype(dict.fromkeys(lengths, "float64")), "sentiment", "sentiment")
    labels = [f"{n} or more" if n == most else str(n) for n in frame["handoffs"]]
    frame["label"] = pd.Series(labels, index=frame.index, dtype="object")
    frame["share"] = frame["journeys"] / _total(frame, groups, "journeys")
    columns = ["handoffs", "label", "journeys", "open", "customers", "share", *lengths]
    columns += ["n_sentiment", "sentiment", "sentiment_lower", "sentiment_upper"]
    if goal:
        frame = add_rate(frame, "outcomes", "outcome_n", _OUTCOME)
        columns += ["outcome_n", "outcomes", *_OUTCOME]
    frame = frame.sort_values([*groups, "handoffs"], ignore_index=True)
    return frame[[*groups, *columns]]


def add_handoffs(
    log: Journeys, *, departments: str | Sequence[str] | None = None, missing: str = "skip"
) -> Journeys:
    """Log whose events say how often their journey had changed hands by then.

    Parameters
    ----------
    log, departments, missing
        As for ``handoffs``.

    Returns
    -------
    Journeys
        As many events as before, with ``handoffs`` int64 (of the journey, up to and with this
        event) and ``handed_from`` string (the department that handed over at this event; null
        where nothing was handed over).

    Raises
    ------
    CxError
        As for ``handoffs``, or when the log has one of these columns already.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a"], "touchpoint": ["ask", "visit", "rate"],
    ...      "department": ["desk", "field", None],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-02T12"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["touchpoint", "handoffs", "handed_from"]
    >>> add_handoffs(log).events.order_by("step").select(columns).to_pandas()
      touchpoint  handoffs handed_from
    0        ask         0        None
    1      visit         1        desk
    2       rate         1        None
    """
    columns = log.events.columns
    for name in ("handoffs", "handed_from"):
        if name in columns:
            raise CxError(f"the log has a column {name!r} already; rename or drop it first")
    scope = replace(read_scope(log, departments, missing), scores=0)
    placed = place_departments(log.events, scope)
    moved = placed.filter(placed.department != placed.to_department)
    moved = moved.select(_reached=moved.to_event_id, handed_from=moved.department)
    events = log.events.left_join(moved, log.events.event_id == moved._reached)
    so_far = ibis.window(group_by="journey_id", order_by="step", preceding=None, following=0)
    number = events.handed_from.count().over(so_far).cast("int64")
    return replace(log, events=events.select(*columns, "handed_from", handoffs=number))


def _in_calendar(
    rows: ir.Table, start: str, end: str, calendar: WorkingHours | None, scope: Scope, log: Journeys
) -> ir.Table:
    if calendar is None:
        return rows
    bounds = {"since": scope.first_at or log.observed_until, "until": log.observed_until}
    return calendar.add_hours(rows, start, end, name="working", **bounds)


def _count_handoffs(
    rows: ir.Table, groups: list[str], goal: Outcome | None, *, working: bool
) -> pd.DataFrame:
    """One row per group and pair, without rates."""
    sums = {
        "handoffs": rows.count(),
        "customers": rows.customer_id.nunique(),
        "journeys": rows.journey_id.nunique(),
        "median_wait_hours": rows.wait.median(),
        "p90_wait_hours": rows.wait.quantile(0.9),
    }
    if working:
        sums["median_working_hours"] = rows.working.median()
        sums["p90_working_hours"] = rows.working.quantile(0.9)
    for sequel in _SEQUELS:
        sums[sequel] = (rows.sequel == sequel).cast("int64").sum()
    for prefix, name in _MOODS.items():
        sums[f"n_{prefix}"] = rows[prefix].count()
        sums[name] = rows[prefix].mean()
        sums[f"_sd_{prefix}"] = rows[prefix].std(how="sample")
    if goal:
        sums |= count_outcomes(rows, "to_at", "to_touchpoint", goal)
    return rows.group_by([*groups, *_PAIR]).aggregate(**sums).to_pandas()


def _add_bases(frame: pd.DataFrame, groups: list[str], goal: Outcome | None) -> pd.DataFrame:
    """Counts with their rates, shares and intervals."""
    waits = [name for name in (*_WAITS, *_WORKING) if name in frame]
    frame = frame.astype(dict.fromkeys(waits, "float64"))
    frame["share"] = frame["handoffs"] / _total(frame, groups, "handoffs")
    frame["n"] = frame["handoffs"] - frame["open"]
    frame = add_rate(frame, "returned", "n", _RETURN)
    frame = add_rate(frame, "ended", "n", _END)
    for prefix, name in _MOODS.items():
        frame = add_mean(frame, name, prefix)
    return add_rate(frame, "outcomes", "outcome_n", _OUTCOME) if goal else frame


def _journey_rows(log: Journeys, events: ir.Table, groups: list[str], scope: Scope) -> ir.Table:
    """One row per journey that has a department: handoffs, last score, length and last event."""
    placed = place_departments(events, replace(scope, scores=0))
    moved = (placed.department != placed.to_department).fill_null(False)
    counted = placed.group_by("journey_id").having(placed.department.count() > 0)
    counted = counted.aggregate(_handoffs=moved.cast("int64").sum())
    first = events.filter(events.step == 1).select("journey_id", *groups)
    last = events.filter(events.next_at.isnull()).select("journey_id", "event_id", "touchpoint")
    scored = log.events.filter(log.events.sentiment.notnull())
    scored = scored.group_by("journey_id").aggregate(
        score=scored.sentiment.argmax(scored.step).cast("float64")
    )
    journeys = log.journeys.select("journey_id", "customer_id", "started_at", "ended_at", "is_open")
    rows = journeys.join(counted, "journey_id").join(first, "journey_id").join(last, "journey_id")
    rows = rows.left_join(scored, "journey_id").drop("journey_id_right")
    return rows.mutate(hours=hours_between(rows.ended_at, rows.started_at)).drop("started_at")


def _total(frame: pd.DataFrame, groups: list[str], column: str) -> pd.Series | int:
    """Sum of the column over the rows of the same group, for each row."""
    return frame.groupby(groups)[column].transform("sum") if groups else frame[column].sum()


def _most_first(frame: pd.DataFrame, groups: list[str], count: str) -> pd.DataFrame:
    keys = [*groups, count, *_PAIR]
    return frame.sort_values(keys, ascending=[key != count for key in keys], ignore_index=True)
