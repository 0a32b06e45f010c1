"""Histories: covariates that change while a customer is at risk, as changes in the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.clock import units_between
from cxlib.journeys.log import NO_GROUP, Journeys, check_touchpoints
from cxlib.spans import parse_span

__all__ = ["GOES_ON", "History", "covariate_history"]

GOES_ON = "(goes on)"
"""Cause of a stretch of a spell that another one follows."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class History:
    """A covariate of customers that changes, as the times at which it does.

    Parameters
    ----------
    table
        One row per change, in the engine: ``customer_id``, ``at`` timestamp (UTC) and ``value``
        (from then on).
    before
        Value before the first change.

    Examples
    --------
    >>> table = ibis.memtable({"customer_id": ["a"], "at": ["2024-01-05"], "value": ["pro"]})
    >>> History(table.mutate(at=table.at.cast("timestamp")), before="basic").before
    'basic'
    """

    table: ir.Table
    before: Any = NO_GROUP

    def __post_init__(self) -> None:
        """Check the columns."""
        for name in ("customer_id", "at", "value"):
            if name not in self.table.columns:
                raise unknown_name("column", name, self.table.columns, "in the history")
        if not self.table["at"].type().is_timestamp():
            raise CxError(f"the column 'at' is {self.table['at'].type()}, and must be a timestamp")


def covariate_history(
    log: Journeys,
    touchpoint: str | Sequence[str],
    *,
    within: str | timedelta | None = None,
    most: int = 1,
    column: str | None = None,
) -> History:
    """What customers have gone through so far, as a covariate that changes.

    Parameters
    ----------
    log
        The log.
    touchpoint
        Events that change it.
    within
        Span for which an event counts ("90 days"); None: for ever.
    most
        Count events up to this many: 1 tells whether there was any, 3 tells 0, 1, 2 and 3 or more.
    column
        Take the last value of this column instead, such as a band of sentiment or the plan.

    Returns
    -------
    History
        With values 0 to ``most``, or text, "(none)" before the first. For ``time_varying=`` of
        ``spell_counts`` and ``risk_table``.

    Raises
    ------
    CxError
        For an unknown touchpoint or column, a span without a unit, and options that exclude each
        other.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["opened_ticket"] * 2,
    ...      "occurred_at": ["2024-01-01", "2024-01-11"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> covariate_history(log, "opened_ticket", most=3).table.order_by("at").value.to_list()
    [1, 2]
    """
    names = check_touchpoints(log, touchpoint)
    if not names:
        raise CxError("no touchpoint is given; name the events that change the covariate")
    if most < 1 or (column is not None and (most > 1 or within is not None)):
        raise CxError(
            f"most is {most} and column is {column!r}; count events with most= of at least 1 (and "
            "within=), or take a column, not both"
        )
    events = log.events.filter(log.events.touchpoint.isin(names))
    if column is not None:
        return _last_value(events, column)
    if most == 1 and within is None:
        first = events.group_by("customer_id").aggregate(at=events.occurred_at.min())
        return History(first.mutate(value=ibis.literal(1, type="int64")), before=0)
    return _counted(events, None if within is None else parse_span(within), most)


def _last_value(events: ir.Table, column: str) -> History:
    if column not in events.columns:
        raise unknown_name("column", column, events.columns, "in the log")
    known = events.filter(events[column].notnull())
    value = known[column].cast("string")
    # Of several at one time the last by id counts.
    last = known.group_by("customer_id", at=known.occurred_at).aggregate(
        value=value.argmax(known.event_id)
    )
    return History(last)


def _counted(events: ir.Table, span: timedelta | None, most: int) -> History:
    """Events in force, up to a number, at every time at which that changes."""
    changes = events.select("customer_id", at=events.occurred_at, _step=ibis.literal(1))
    if span is not None:
        size = ibis.interval(microseconds=span // _MICROSECOND)
        over = events.select("customer_id", at=events.occurred_at + size, _step=ibis.literal(-1))
        changes = ibis.union(changes, over)
    steps = changes.group_by("customer_id", "at").aggregate(_step=changes._step.sum())
    so_far = ibis.window(group_by="customer_id", order_by="at", preceding=None, following=0)
    # By way of int32, because an engine's sum of int64 may be wider than Ibis thinks it is.
    count = steps._step.sum().over(so_far).cast("int32").cast("int64")
    # Where span is None the count grows beyond the most and no longer changes anything.
    found = steps.select("customer_id", "at", value=ibis.least(count, most).cast("int64"))
    if span is not None:
        return History(found, before=0)
    reached = found.group_by("customer_id", "value").aggregate(at=found["at"].min())
    return History(reached.select("customer_id", "at", "value"), before=0)


def split_at_changes(
    rows: ir.Table,
    name: str,
    history: History,
    unit: str,
    lead: timedelta,
    keys: Iterable[str],
    zone: str = "UTC",
) -> ir.Table:
    """Counted stretches of spells in which a covariate has one value.

    Parameters
    ----------
    rows
        ``customer_id``, ``spell``, ``origin``, ``entry``, ``duration`` (whole units), ``event``,
        ``cause``, ``n`` and further columns.
    name
        Column of the covariate in the result.
    history
        Its changes.
    unit
        Of the clock.
    lead
        How long before an interval a value must have been known.
    keys
        Columns that, with customer and spell, tell the rows.
    zone
        Time zone whose calendar has the months.

    Returns
    -------
    ibis.expr.types.Table
        The columns of ``rows`` and the covariate. The sums of ``n`` over equal rows count the
        stretches: spells without a change pass as they are, and of each other one a whole row is
        taken back (``n`` negative) and its stretches are added. So only those that change are put
        in order.

    Notes
    -----
    In the interval from k to k + 1 units holds the last value from strictly before its start, less
    the lead.
    """
    keys = ["customer_id", "spell", *keys]
    # A union wants equal types, and what an engine says is never null has one of its own.
    kind = history.table["value"].type().copy(nullable=True)
    before = ibis.literal(history.before).cast(kind)
    whole = rows.mutate(before.name(name))
    changes = history.table.select(
        "customer_id", _at=history.table["at"], _value=history.table["value"].cast(kind)
    )
    met = rows.join(changes, "customer_id")
    known = met._at + ibis.interval(microseconds=lead // _MICROSECOND) if lead else met._at
    since = ibis.greatest(
        units_between(known, met.origin, unit, up=False, zone=zone) + 1, met.entry
    )
    met = met.mutate(_from=since)
    met = met.filter(met._from < met.duration)
    order = ibis.window(group_by=keys, order_by=["_at", "_value"])
    met = met.mutate(
        _until=met._from.lead().over(order).fill_null(met.duration),
        _place=ibis.row_number().over(order),
    )
    part = ibis.memtable({"_part": [0, 1, 2]}, schema={"_part": "int64"})
    met = met.cross_join(part)
    # 0: the stretch of this value; 1: the one before the first change; 2: the whole, taken back.
    met = met.filter(
        ((met._part == 0) & (met._from < met._until))
        | ((met._part == 1) & (met._place == 0) & (met.entry < met._from))
        | ((met._part == 2) & (met._place == 0))
    )
    ends = (met._part == 2) | ((met._part == 0) & (met._until == met.duration))
    stretches = met.mutate(
        ibis.ifelse(met._part == 0, met._value, before).name(name),
        entry=ibis.ifelse(met._part == 0, met._from, met.entry),
        duration=met._part.cases((0, met._until), (1, met._from), else_=met.duration),
        event=met.event & ends,
        cause=ibis.ifelse(ends, met.cause, GOES_ON),
        n=ibis.ifelse(met._part == 2, -met.n, met.n),
    )
    return ibis.union(whole, stretches.select(whole.columns))
