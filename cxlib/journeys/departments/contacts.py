"""Contacts that come again, and self-service that ends with a human."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.departments.moves import (
    Outcome,
    add_rate,
    count_outcomes,
    find_outcome,
    hours_between,
    read_outcome,
)
from cxlib.journeys.log import (
    MOST_GROUPS,
    NO_GROUP,
    Journeys,
    as_list,
    check_touchpoints,
    group_columns,
    named_groups,
)
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_span

__all__ = ["escalation", "repeat_contact"]

ORDER = ("occurred_at", "event_id")
_MICROSECOND = timedelta(microseconds=1)
_REPEAT = ("repeat_rate", "repeat_lower", "repeat_upper")
_OUTCOME = ("outcome_rate", "outcome_lower", "outcome_upper")
_CONTACTS = ["reason", "contacts", "open", "n", "repeats", *_REPEAT, "customers"]
_WAITS = ["median_wait_hours", "p90_wait_hours"]
_RESULTS = ["result", "attempts", "n", "open", "share", "lower", "upper", "customers"]


@named_groups
def repeat_contact(
    log: Journeys,
    *,
    contacts: str | Sequence[str],
    within: str | timedelta,
    reason: str | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Contacts that the same customer makes again for the same reason.

    Parameters
    ----------
    log
        The log.
    contacts
        Touchpoints that are contacts, such as ["opened_ticket", "called_support"].
    within
        Span in which the next contact must come ("7 days"), inclusive.
    reason
        Column of the events with the reason; the touchpoint itself when not given.
    by
        Column or columns of the events to count apart; a contact is in the group of its event, and
        the one that repeats it may be in any.

    Returns
    -------
    pandas.DataFrame
        One row per group and reason, most repeats first: the ``by`` columns and ``reason`` (text),
        ``contacts`` int64, ``open`` int64 (contacts whose span was not over at
        ``observed_until``), ``n`` int64 (the others, of which the rate is), ``repeats`` int64 (of
        ``n``, those followed by another in time), ``repeat_rate`` float64 with ``repeat_lower``
        and ``repeat_upper`` (Wilson, 95 %), ``customers`` int64 (distinct ones with a repeat),
        ``median_days_to_repeat`` float64.

    Raises
    ------
    CxError
        For an unknown touchpoint or column, no contacts, or a span without unit.

    Notes
    -----
    A contact whose span is still open is in no rate, whether it was repeated or not: to count the
    quick repeats among them alone would flatter the slow ones away. Three contacts in a row are two
    repeats. Contacts without a reason stand in the row "(none)" with an ``n`` of 0, because one
    unknown reason is not the same as another. Intervals take contacts as independent.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"], "touchpoint": ["call"] * 4,
    ...      "topic": ["bill", "bill", "bill", "line"],
    ...      "occurred_at": ["2024-01-01", "2024-01-04", "2024-01-01", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> columns = ["reason", "contacts", "open", "n", "repeats", "median_days_to_repeat"]
    >>> repeat_contact(log, contacts="call", within="7 days", reason="topic")[columns]
      reason  contacts  open  n  repeats  median_days_to_repeat
    0   bill         3     0  3        1                    3.0
    1   line         1     1  0        0                    NaN
    """
    span, names = parse_span(within), check_touchpoints(log, contacts)
    if not names:
        raise CxError("no touchpoint is a contact; name them, such as contacts=['opened_ticket']")
    column = reason or "touchpoint"
    events, (told,) = group_columns(log.events, column, keep=as_list(by))
    events, groups = group_columns(events.rename(cx_reason=told), by, taken=_CONTACTS)
    events = events.filter(events.touchpoint.isin(names)).rename(reason="cx_reason")
    same = ibis.window(group_by=["customer_id", "reason"], order_by=ORDER)
    rows = events.mutate(_next_at=events.occurred_at.lead().over(same))
    wait = microseconds_between(rows._next_at, rows.occurred_at)
    until = ibis.literal(log.observed_until - span, type="timestamp")
    known = rows.reason != NO_GROUP
    over = (rows.occurred_at <= until) & known
    again = over & (wait <= span // _MICROSECOND).fill_null(False)
    days = hours_between(rows._next_at, rows.occurred_at) / 24
    # A condition of the median itself is more than Spark takes.
    days = ibis.ifelse(again, days, ibis.null("float64"))
    counted = rows.group_by([*groups, "reason"]).aggregate(
        contacts=rows.count(),
        open=(known & ~over).cast("int64").sum(),
        n=over.cast("int64").sum(),
        repeats=again.cast("int64").sum(),
        customers=rows.customer_id.nunique(where=again),
        median_days_to_repeat=days.median(),
    )
    frame = counted.to_pandas().astype({"median_days_to_repeat": "float64"})
    frame = add_rate(frame, "repeats", "n", _REPEAT)
    keys = [*groups, "repeats", "contacts", "reason"]
    rising = [key not in ("repeats", "contacts") for key in keys]
    frame = frame.sort_values(keys, ascending=rising, ignore_index=True)
    return frame[[*groups, *_CONTACTS, "median_days_to_repeat"]]


@named_groups
def escalation(
    log: Journeys,
    *,
    self_service: str | Sequence[str],
    human: str | Sequence[str],
    within: str | timedelta,
    column: str = "touchpoint",
    repeat_within: str | timedelta | None = None,
    outcome: str | Sequence[str] | None = None,
    outcome_within: str | timedelta | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Attempts at self-service that ended with a human, or did without one.

    Parameters
    ----------
    log
        The log.
    self_service, human
        Touchpoints of self-service, and those at which a customer turns to a human.
    within
        Span after the last step of self-service in which the customer must turn to a human for the
        attempt to count as escalated ("2 days"), inclusive. A longer silence ends the attempt.
    column
        Column that holds the names given: "touchpoint", "channel" or "department".
    repeat_within
        Span in which to look for the next contact: after turning to a human, or after ``within``
        has passed without one.
    outcome
        Touchpoints to look for after the last step of self-service, such as a cancellation.
    outcome_within
        Span in which the outcome must follow.
    by
        Column or columns of the events to count apart, such as "touchpoint"; an attempt is in the
        group of its last step of self-service.

    Returns
    -------
    pandas.DataFrame
        Two rows per group, "escalated" and "deflected": the ``by`` columns, ``result`` (text),
        ``attempts`` int64, ``n`` int64 (attempts of the group whose window was over), ``open``
        int64 (attempts of the group whose window was not over: in no other count), ``share``
        float64 (of ``n``: the escalation rate and the deflection rate) with ``lower`` and ``upper``
        (Wilson, 95 %), ``customers`` int64 (distinct), ``median_wait_hours`` and ``p90_wait_hours``
        float64 (until the customer turned to a human); with ``repeat_within`` also ``repeat_n``
        int64 (attempts whose span was over), ``repeats`` int64, ``repeat_rate, repeat_lower,
        repeat_upper`` float64; with an outcome ``outcome_n``, ``outcomes``, ``outcome_rate,
        outcome_lower, outcome_upper``.

    Raises
    ------
    CxError
        For an unknown name or column, a name that is given as both, or a span without unit.

    Notes
    -----
    An attempt is a run of one customer's steps of self-service with no human between them and no
    silence longer than ``within``; other touchpoints neither break nor prolong it. Attempts whose
    window was still open at ``observed_until`` are in no rate, escalated or not. That nobody was
    called does not say that the question was answered: ``repeat_rate`` of the deflected tells how
    many were back. Intervals take attempts as independent.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["search", "chat", "call", "chat"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T11", "2024-01-01T14", "2024-01-02T10"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> columns = ["result", "attempts", "n", "share", "median_wait_hours"]
    >>> escalation(log, self_service=["search", "chat"], human="call", within="2 days")[columns]
          result  attempts  n  share  median_wait_hours
    0  escalated         1  2    0.5                3.0
    1  deflected         1  2    0.5                NaN
    """
    window = parse_span(within)
    again = None if repeat_within is None else parse_span(repeat_within)
    own, others = _sides(log, self_service, human, column)
    goal = read_outcome(log, outcome, outcome_within, None)
    contacts = log.events.filter(log.events[column].isin([*own, *others]))
    contacts = contacts.mutate(_side=contacts[column].isin(others))
    contacts, groups = group_columns(contacts, by, taken=_RESULTS, keep=["_side"])
    rows = _attempts(log, contacts, groups, window, again)
    if goal:
        rows = find_outcome(rows, "occurred_at", "event_id", goal)
    frame = _count_attempts(rows, groups, goal, repeats=again is not None)
    return _tell_results(frame, groups, goal, repeats=again is not None)


def _sides(
    log: Journeys, self_service: str | Sequence[str], human: str | Sequence[str], column: str
) -> tuple[list[str], list[str]]:
    """Names of both sides, once the log is known to have them."""
    if column not in log.events.columns:
        raise unknown_name("column", column, log.events.columns, "in the log")
    own, others = as_list(self_service), as_list(human)
    for kind, names in (("self_service", own), ("human", others)):
        if not names:
            raise CxError(f"{kind} is empty; name at least one {column}")
    if both := sorted(set(own) & set(others)):
        raise CxError(f"{both[0]!r} is given as self-service and as human; keep one")
    values = log.events.select(side=log.events[column]).distinct()
    held = set(values.filter(values.side.isin([*own, *others])).to_pandas()["side"])
    for name in (*own, *others):
        if name not in held:
            known = values.limit(MOST_GROUPS).to_pandas()["side"].dropna()
            raise unknown_name(column, name, known, "in the log")
    return own, others


def _attempts(
    log: Journeys, rows: ir.Table, groups: list[str], window: timedelta, again: timedelta | None
) -> ir.Table:
    """One row per attempt: its last step of self-service, and what came then."""
    columns = [*groups, "customer_id", "event_id", "occurred_at", "touchpoint", "_side"]
    rows = rows.select(*dict.fromkeys(columns))
    customer = ibis.window(group_by="customer_id", order_by=ORDER)
    rows = rows.mutate(
        _human_next=rows._side.lead().over(customer).fill_null(False),
        _next_at=rows.occurred_at.lead().over(customer),
        _then_at=rows.occurred_at.lead(2).over(customer),
    )
    wait = microseconds_between(rows._next_at, rows.occurred_at)
    rows = rows.mutate(_in_time=(wait <= window // _MICROSECOND).fill_null(False))
    rows = rows.filter(~rows._side & (rows._human_next | ~rows._in_time))
    escalated = rows._human_next & rows._in_time
    over = rows.occurred_at <= ibis.literal(log.observed_until - window, type="timestamp")
    rows = rows.mutate(
        result=ibis.ifelse(over, ibis.ifelse(escalated, "escalated", "deflected"), "open"),
        wait=hours_between(rows._next_at, rows.occurred_at),
    )
    if again is None:
        return rows
    # The clock of a repeat starts at the human, or when the window has passed without one.
    since = ibis.ifelse(escalated, rows._next_at, rows.occurred_at)
    later = ibis.ifelse(escalated, rows._then_at, rows._next_at)
    span = ibis.ifelse(escalated, again // _MICROSECOND, (again + window) // _MICROSECOND)
    cut_off = ibis.literal(log.observed_until, type="timestamp")
    ready = over & (microseconds_between(cut_off, since) >= span)
    met = (microseconds_between(later, since) <= span).fill_null(False)
    return rows.mutate(_repeat_n=ready.cast("int64"), _repeats=(ready & met).cast("int64"))


def _count_attempts(
    rows: ir.Table, groups: list[str], goal: Outcome | None, *, repeats: bool
) -> pd.DataFrame:
    sums = {
        "attempts": rows.count(),
        "customers": rows.customer_id.nunique(),
        "median_wait_hours": rows.wait.median(),
        "p90_wait_hours": rows.wait.quantile(0.9),
    }
    if repeats:
        sums |= {"repeat_n": rows._repeat_n.sum(), "repeats": rows._repeats.sum()}
    if goal:
        sums |= count_outcomes(rows, "occurred_at", "touchpoint", goal)
    return rows.group_by([*groups, "result"]).aggregate(**sums).to_pandas()


def _tell_results(
    counted: pd.DataFrame, groups: list[str], goal: Outcome | None, *, repeats: bool
) -> pd.DataFrame:
    """Both results of every group, with rates; the open attempts as a column beside them."""
    frame = _both_results(counted, groups)
    frame = add_rate(frame, "attempts", "n", ("share", "lower", "upper"))
    columns = [*_RESULTS, *_WAITS]
    if repeats:
        frame = add_rate(frame, "repeats", "repeat_n", _REPEAT)
        columns += ["repeat_n", "repeats", *_REPEAT]
    if goal:
        frame = add_rate(frame, "outcomes", "outcome_n", _OUTCOME)
        columns += ["outcome_n", "outcomes", *_OUTCOME]
    keys = [*groups, "result"]
    frame = frame.sort_values(keys, ascending=[key != "result" for key in keys], ignore_index=True)
    return frame[[*groups, *columns]]


def _both_results(counted: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Two rows per group, with the attempts that are known and those that are not."""
    keys = [*groups, "result"]
    results = pd.DataFrame({"result": ["escalated", "deflected"]})
    whole = counted[groups].drop_duplicates() if groups else pd.DataFrame(index=[0])
    whole = whole.head(len(counted)).merge(results, how="cross")
    frame = whole.merge(counted, "left", keys, validate="one_to_one")
    sums = [name for name in counted.columns.astype(str) if name not in [*keys, *_WAITS]]
    frame[sums] = frame[sums].fillna(0).astype("int64")
    frame[_WAITS] = frame[_WAITS].astype("float64").where(frame["result"] == "escalated")
    still = counted.loc[counted["result"] == "open", [*groups, "attempts"]]
    if not groups:
        return frame.assign(n=frame["attempts"].sum(), open=int(still["attempts"].sum()))
    frame["n"] = frame.groupby(groups)["attempts"].transform("sum")
    still = still.rename(columns={"attempts": "open"})
    frame = frame.merge(still, "left", groups, validate="many_to_one")
    return frame.astype({"open": "float64"}).fillna({"open": 0}).astype({"open": "int64"})
