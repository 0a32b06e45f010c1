"""Spells: each customer's times at risk, from where they start to how they end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.clock import moment
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, is_among
from cxlib.journeys.prepare import microseconds_between
from cxlib.models.outcomes.rules import ADMINISTRATIVE, ChurnRule, read_ends
from cxlib.spans import parse_moment

__all__ = ["Spells", "spells"]

_DAY = 86_400_000_000
_ZERO = ("first_unit", "drop", "refuse")
_OWN = (
    *("customer_id", "spell", "origin", "entered_at", "exited_at", "entry_days", "exit_days"),
    *("event", "cause", "churn_rule"),
)
_LATER = re.compile(r"(?:first|last|nth|\d+(?:st|nd|rd|th)|count|total)_(?:ever|after|between)_")
"""How columns begin that ``add_first`` and its like add from what happens later."""


@dataclass(frozen=True)
class Spells:
    """Times at risk of customers, in the engine.

    Parameters
    ----------
    table
        One row per spell: ``customer_id``; ``spell`` int64 (1 for the customer's first);
        ``origin``, ``entered_at`` and ``exited_at`` timestamp, UTC; ``entry_days`` and
        ``exit_days`` float64 (since the origin); ``event`` boolean (it ended, and was not
        censored); ``cause`` string (which end, or in parentheses how observation stopped, such as
        "(administrative)"); ``churn_rule`` string; and columns of the starting event.
    observed_until
        The cut-off, UTC.
    window_start
        Moment, UTC, from which ends were recorded; None: from every start on.
    rule
        When a customer counted as gone.
    timezone
        Zone whose calendar has the months.

    Examples
    --------
    >>> table = ibis.memtable({"customer_id": ["a"], "spell": [1]})
    >>> Spells(table, datetime(2024, 3, 1), None, rule="at the event").rule
    'at the event'
    """

    table: ir.Table
    observed_until: datetime
    window_start: datetime | None
    rule: str
    timezone: str = "UTC"

    def materialize(self) -> Spells:
        """The same spells, computed once and held by the engine.

        Returns
        -------
        Spells
            In a temporary table for as long as it is referred to.
        """
        return replace(self, table=self.table.cache())


def spells(
    log: Journeys,
    *,
    start: str | Sequence[str],
    end: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None,
    window_start: str | date | datetime | None,
    cause: str | None = None,
    observed_until: str | date | datetime | None = None,
    rule: ChurnRule | None = None,
    censor: Mapping[str, str | Sequence[str]] | None = None,
    columns: str | Sequence[str] = (),
    zero: Literal["first_unit", "drop", "refuse"] = "first_unit",
) -> Spells:
    """Times at risk of every customer, with how each ended.

    Parameters
    ----------
    log
        The log.
    start
        Touchpoints that put a customer at risk; those during a spell do not start another.
    end
        Touchpoints that end a spell, or touchpoints by cause: ``{"price": ["left_for_price"]}``.
        None where the rule alone says who has left.
    window_start
        First moment (UTC) from which ends were recorded. Spells that ended before it are left out,
        and the others count from then on (left truncation). None says that the records are complete
        from every start on.
    cause
        Column of the ending events with the cause; the touchpoint when not given.
    observed_until
        An earlier cut-off than that of the log.
    rule
        When a customer counts as gone: contract end, silence, unsettled payment, grace.
    censor
        Touchpoints that stop observation without an end, by what they are:
        ``{"paused": "paused_subscription", "merged": "merged_account"}``. A start resumes it in a
        new spell.
    columns
        Columns of the starting event to carry along: facts that were known then.
    zero
        Spells that end at the moment of their start: "first_unit" counts them as ended in the first
        unit of time, "drop" leaves them out, "refuse" raises.

    Returns
    -------
    Spells
        Lazy, but for a look at who starts or ends several times; ``spell_counts`` and
        ``risk_table`` count them.

    Raises
    ------
    CxError
        For unknown touchpoints or columns; a ``window_start`` at or after ``observed_until``, or
        that after the log's; columns that were not known at the start (immortal time); and spells
        of length zero where they are refused.

    Notes
    -----
    A spell ends with what comes first. Starts and ends of a customer at one time are taken as
    simultaneous: an open spell ends and another one starts, and where none was open, one starts and
    ends at once. A touchpoint that both starts and ends, such as a purchase, ends one spell and
    starts the next. An end that takes effect after ``observed_until`` has not been seen.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"],
    ...      "touchpoint": ["joined", "left", "joined", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-01-11", "2024-01-21", "2023-12-12"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start="2024-01-01")
    >>> found.table.order_by("customer_id", "spell").select(
    ...     "customer_id", "spell", "entry_days", "exit_days", "cause").to_pandas()
      customer_id  spell  entry_days  exit_days             cause
    0           a      1         0.0       10.0              left
    1           a      2         0.0       10.0  (administrative)
    2           b      1        20.0       50.0  (administrative)
    """
    rule = rule or ChurnRule()
    starts, carried = check_touchpoints(log, start), as_list(columns)
    if not starts:
        raise CxError("nothing starts a spell; name at least one touchpoint in start=")
    if zero not in _ZERO:
        raise unknown_name("policy for zero durations", zero, _ZERO)
    until, window = _read_window(log, window_start, observed_until)
    _check_columns(log.events, carried, window)
    ends, names = read_ends(log, starts, end, cause, dict(censor or {}), rule, until)
    begins = log.events.filter(
        is_among(log.events.touchpoint, starts) & (log.events.occurred_at <= moment(until))
    )
    both = [name for name in starts if name in names]
    if both or rule.is_delayed or rule.is_counted:
        found = _in_order(begins, ends, both, carried)
    else:
        found = _in_order_where_needed(begins, ends, carried)
    table = _placed(found, window, until).mutate(churn_rule=ibis.literal(str(rule)))
    table = table.filter(table.exited_at > table.origin) if zero == "drop" else table
    _check_known(table, carried)
    result = Spells(table.select(*_OWN, *carried), until, window, str(rule), log.timezone)
    if zero == "refuse":
        _refuse_zero(result.table)
    return result


def _read_window(
    log: Journeys,
    window_start: str | date | datetime | None,
    observed_until: str | date | datetime | None,
) -> tuple[datetime, datetime | None]:
    until = log.observed_until if observed_until is None else parse_moment(observed_until)
    if until > log.observed_until:
        raise CxError(
            f"observed_until {until.isoformat()} is after that of the log, "
            f"{log.observed_until.isoformat()}: what happened between is not known"
        )
    window = None if window_start is None else parse_moment(window_start)
    if window is not None and window >= until:
        raise CxError(
            f"window_start {window.isoformat()} is not before observed_until "
            f"{until.isoformat()}, so that nobody is at risk; give an earlier one"
        )
    return until, window


def _check_columns(events: ir.Table, carried: list[str], window: datetime | None) -> None:
    for name in carried:
        if name not in events.columns:
            raise unknown_name("column", name, events.columns, "in the log")
        if name in _OWN:
            raise CxError(f"spells have a column {name!r} of their own; rename it in the log")
        if _LATER.match(name) or name in ("next_touchpoint", "next_at", "is_open"):
            raise CxError(
                f"the column {name!r} says what happened after the start: who has it had to stay "
                "until then (immortal time); take it as a covariate that changes, with "
                "covariate_history and time_varying="
            )
    check_as_of(events, carried, window)


def check_as_of(events: ir.Table, names: Iterable[str], window: datetime | None) -> None:
    """Raise for groups that were taken after observation starts.

    Parameters
    ----------
    events
        Rows with the columns; ``<name>_as_of`` says when a group was taken.
    names
        Columns.
    window
        From when customers are observed; None: from their start on.

    Raises
    ------
    CxError
        With a ``window_start`` that would do.
    """
    dated = [name for name in names if f"{name}_as_of" in events.columns]
    if not dated:
        return
    latest = events.aggregate(**{name: events[f"{name}_as_of"].max() for name in dated})
    row = latest.to_pandas().iloc[0]
    for name in dated:
        if pd.isna(row[name]) or (window is not None and row[name] <= window):
            continue
        taken = row[name].isoformat()
        since = "from every start on" if window is None else f"from {window.isoformat()} on"
        raise CxError(
            f"the groups in {name!r} were taken as of {taken}, but customers count {since}: who is "
            "in a group had to stay until then (immortal time); "
            f"give window_start='{taken}', or take the groups at an earlier date"
        )


def _check_known(table: ir.Table, carried: list[str]) -> None:
    """Raise for a time that lies after the start which it describes."""
    schema = table.schema()
    dated = [name for name in carried if schema[name].is_temporal() and not schema[name].is_time()]
    if not dated:
        return
    counts = {name: (table[name].cast("timestamp") > table.origin).sum() for name in dated}
    row = table.aggregate(**counts).to_pandas().iloc[0].fillna(0)
    for name in dated:
        if row[name]:
            raise CxError(
                f"{int(row[name]):,} spells have a {name!r} after their start, so that it was not "
                "known then (immortal time); take it as a covariate that changes"
            )


def _in_order(begins: ir.Table, ends: ir.Table, both: list[str], carried: list[str]) -> ir.Table:
    """Spells of customers whose starts and ends are put in order, with facts of the start."""
    found = _paired(_moments(begins, ends, both))
    if not carried:
        return found.drop("_start_id")
    facts = begins.select(_start_id=begins.event_id, **{name: begins[name] for name in carried})
    return found.join(facts, "_start_id").drop("_start_id")


def _in_order_where_needed(begins: ir.Table, ends: ir.Table, carried: list[str]) -> ir.Table:
    """The same, in a tenth of the time: who starts once and ends once needs no order."""
    several = [
        rows.group_by("customer_id").aggregate(_n=rows.count()).filter(lambda t: t._n > 1)
        for rows in (begins, ends)
    ]
    # Read by four parts of the query, each of which would count again.
    several_times = ibis.union(*(rows.select("customer_id") for rows in several)).cache()
    first = begins.anti_join(several_times, "customer_id")
    last = ends.anti_join(several_times, "customer_id")
    last = last.select(_customer="customer_id", _at="at", _cause="cause", _event="event")
    met = first.left_join(last, first.customer_id == last._customer)
    # What ends nothing, because it comes before the start.
    later = (met._at >= met.occurred_at).fill_null(False)
    once = met.select(
        "customer_id",
        origin=met.occurred_at,
        _end_at=ibis.ifelse(later, met._at, ibis.null("timestamp")),
        _cause=ibis.ifelse(later, met._cause, ibis.null("string")),
        _event=later & met._event.fill_null(False),
        spell=ibis.literal(1, type="int64"),
        **{name: met[name] for name in carried},
    )
    often = _in_order(
        begins.semi_join(several_times, "customer_id"),
        ends.semi_join(several_times, "customer_id"),
        [],
        carried,
    )
    types = {
        **dict.fromkeys(("customer_id", "_cause"), "string"),
        **dict.fromkeys(("origin", "_end_at"), "timestamp"),
        "_event": "boolean",
        "spell": "int64",
        **{name: begins[name].type().copy(nullable=True) for name in carried},
    }
    # A union wants equal types, in which engines name precision and what is never null.
    return ibis.union(*(part.select(*types).cast(types) for part in (once, often)))


def _moments(begins: ir.Table, ends: ir.Table, both: list[str]) -> ir.Table:
    """One row per customer and time at which something starts or may end."""
    missing = ibis.null("string")
    # A union wants equal types: engines name precision and what is never null in theirs.
    start = begins.select(
        customer_id=begins.customer_id.cast("string"),
        at=begins.occurred_at.cast("timestamp"),
        _start_id=begins.event_id.cast("string"),
        _end_id=missing,
        _both=(begins.touchpoint.isin(both) if both else ibis.literal(False)).cast("boolean"),
        event=ibis.null("boolean"),
        cause=missing,
    )
    end = ends.select(
        "customer_id",
        "at",
        _start_id=missing,
        _end_id=ends.event_id,
        _both=ibis.literal(False),
        event=ends.event,
        cause=ends.cause,
    )
    rows = ibis.union(start, end)
    # At one time an end comes before a censoring, and of several the first by id counts.
    rank = ibis.ifelse(rows.event, "0", "1") + rows._end_id
    rows = rows.mutate(_rank=rank)
    return rows.group_by("customer_id", "at").aggregate(
        _start_id=rows._start_id.min(),
        _both=rows._both.any(),
        _starts=rows._start_id.notnull().any(),
        _ends=rows._end_id.notnull().any(),
        cause=rows.cause.argmin(rows._rank),
        event=rows.event.any().fill_null(False),
    )


def _paired(moments: ir.Table) -> ir.Table:
    """One row per spell: its start, and its end where there is one."""
    order = ibis.window(group_by="customer_id", order_by="at")
    so_far = ibis.window(group_by="customer_id", order_by="at", preceding=None, following=0)
    # A start and an end at one time leave a customer as they were, unless one event is both.
    opens = moments._starts & (moments._both | ~moments._ends)
    closes = moments._ends & ~moments._starts
    never = ibis.null("timestamp")
    marked = moments.mutate(
        _opened=ibis.ifelse(opens, moments.at, never),
        _closed=ibis.ifelse(closes, moments.at, never),
    )
    marked = marked.mutate(
        _opened=marked._opened.max().over(so_far), _closed=marked._closed.max().over(so_far)
    )
    after = marked._opened.notnull() & (marked._closed.isnull() | (marked._opened > marked._closed))
    marked = marked.mutate(_after=after)
    marked = marked.mutate(_before=marked._after.lag().over(order).fill_null(False))
    begins = marked._starts & (marked._both | marked._ends | ~marked._before)
    at_once = marked._starts & marked._ends & ~marked._both & ~marked._before
    kept = marked.mutate(_begins=begins, _at_once=at_once)
    kept = kept.filter(kept._begins | (kept._ends & kept._before))
    following = {name: kept[name].lead().over(order) for name in ("at", "cause", "event")}
    own = {name: ibis.ifelse(kept._at_once, kept[name], value) for name, value in following.items()}
    found = kept.select(
        "customer_id",
        "_start_id",
        "_begins",
        origin=kept.at,
        _end_at=own["at"],
        _cause=own["cause"],
        _event=own["event"],
    )
    found = found.filter(found._begins)
    number = ibis.row_number().over(ibis.window(group_by="customer_id", order_by="origin"))
    return found.mutate(spell=(number + 1).cast("int64")).drop("_begins")


def _placed(found: ir.Table, window: datetime | None, until: datetime) -> ir.Table:
    """Spells that were at risk in the window, with their times."""
    entered = found.origin
    if window is not None:
        # <= not <: an end comes before an entry at the same time.
        gone = (found.origin < moment(window)) & (found._end_at <= moment(window))
        found = found.filter(~gone.fill_null(False))
        entered = ibis.greatest(found.origin, moment(window))
    ended = found._end_at.notnull()
    placed = found.mutate(
        entered_at=entered,
        exited_at=found._end_at.fill_null(moment(until)),
        event=ended & found._event.fill_null(False),
        cause=found._cause.fill_null(ADMINISTRATIVE),
    )
    return placed.mutate(
        entry_days=microseconds_between(placed.entered_at, placed.origin) / _DAY,
        exit_days=microseconds_between(placed.exited_at, placed.origin) / _DAY,
    )


def _refuse_zero(table: ir.Table) -> None:
    n = int(table.filter(table.event & (table.exited_at == table.origin)).count().to_pandas())
    if n:
        raise CxError(
            f"{n:,} spells end at the moment of their start; look at their events, or say "
            "zero='first_unit' or zero='drop'"
        )
