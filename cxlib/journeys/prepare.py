"""Order, journeys and places: what is computed once on the events, so that counting is a scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError
from cxlib.journeys.counted import OF_STEPS
from cxlib.tables import CONTRACTS, END, OPEN

__all__ = [
    "BEFORE",
    "customer_key",
    "fill_contract",
    "journey_table",
    "microseconds_between",
    "place_events",
    "prepare_events",
]

PREPARED = ("step", "next_touchpoint", "next_at", "is_open")
BEFORE = ("cx_events_before", "cx_journeys_before")
"""How many events and journeys a customer had before those at hand, where these are numbered on."""
REQUIRED = ("event_id", "customer_id", "occurred_at", "touchpoint")
ORDER = ("occurred_at", "event_id")
_MICROSECOND = timedelta(microseconds=1)


def prepare_events(
    events: ir.Table,
    *,
    observed_until: datetime,
    closes_after: timedelta | None,
    start: Sequence[str] = (),
    end: Sequence[str] = (),
    split_after: timedelta | None = None,
) -> ir.Table:
    """Events with their journey and their place in it, as a lazy table.

    Parameters
    ----------
    events
        Canonical events. Columns of the contract that are missing are added as nulls; prepared
        columns that are there already are computed anew.
    observed_until
        The cut-off, naive UTC.
    closes_after
        Silence after which a customer's last journey counts as ended; None: it never does.
    start
        Touchpoints that start a journey.
    end
        Touchpoints that end one: the next event starts another.
    split_after
        Silence that splits: a gap *longer* than this starts a new journey.

    Returns
    -------
    ibis.expr.types.Table
        One row per event: the contract's columns, further columns of ``events``, ``cx_place`` int64
        (position among the customer's events, from 1), then ``step`` int64, ``next_touchpoint``
        string, ``next_at`` timestamp, ``is_open`` boolean.

    Raises
    ------
    CxError
        When ``event_id``, ``customer_id``, ``occurred_at`` or ``touchpoint`` is missing.

    Notes
    -----
    With any of ``start``, ``end`` and ``split_after`` the journeys are numbered per customer:
    ``"<customer_id>/<n>"``, n from 1. Else the given ``journey_id`` is kept, null or missing ones
    become the ``customer_id``, and an id that several customers share, or that has a slash, becomes
    ``"<customer_id>/<journey_id>"``, so that a journey always has one customer. In these ids a
    slash of the customer's own is written ``%2F``, and a per cent sign ``%25``.

    Events may be the last of their customers only, from the start of a journey on, where journeys
    are numbered: with the columns ``cx_events_before`` and ``cx_journeys_before`` (int64, equal in
    all events of a customer) places and journeys are numbered on from there.

    Examples
    --------
    >>> events = ibis.memtable({
    ...     "event_id": ["1", "2", "3"], "customer_id": ["a", "a", "a"],
    ...     "touchpoint": ["viewed_home", "viewed_plans", "viewed_home"],
    ...     "occurred_at": [datetime(2024, 1, 1), datetime(2024, 1, 2), datetime(2024, 6, 1)],
    ... })
    >>> prepared = prepare_events(
    ...     events, observed_until=datetime(2024, 6, 2),
    ...     closes_after=timedelta(days=30), split_after=timedelta(days=30),
    ... )
    >>> columns = ["journey_id", "step", "touchpoint", "next_touchpoint"]
    >>> prepared.order_by("event_id").select(columns).to_pandas()
      journey_id  step    touchpoint next_touchpoint
    0        a/1     1   viewed_home    viewed_plans
    1        a/1     2  viewed_plans           (end)
    2        a/2     1   viewed_home          (open)
    """
    events = fill_contract(_without(events, (*PREPARED, "cx_place", *OF_STEPS)))
    numbered = bool(start or end) or split_after is not None
    events = events if numbered else _keep_journey_ids(events)
    in_time = ibis.window(group_by=customer_key(events), order_by=ORDER)
    place = (ibis.row_number().over(in_time) + 1).cast("int64")
    if BEFORE[0] in events.columns:
        place = place + events[BEFORE[0]]
    goes_on = events.event_id.lead().over(in_time).isnull()
    if closes_after is not None:
        cut_off = ibis.literal(observed_until, type="timestamp")
        silence = microseconds_between(cut_off, events.occurred_at)
        goes_on = goes_on & (silence <= closes_after // _MICROSECOND)
    if end:
        goes_on = goes_on & ~events.touchpoint.isin(end)
    marked = {"cx_place": place, "_goes_on": goes_on}
    if numbered:
        starts = _starts(events, in_time, start, end, split_after)
        return _number_journeys(events.mutate(**marked, _starts=starts))
    events = events.mutate(**marked)
    is_open = events._goes_on.any().over(ibis.window(group_by="journey_id"))
    return _placed(events, is_open).drop("_goes_on")


def place_events(events: ir.Table) -> ir.Table:
    """Events with ``step``, ``next_touchpoint`` and ``next_at`` counted on the rows at hand.

    Parameters
    ----------
    events
        Events with ``journey_id`` and ``is_open``; other prepared columns are computed anew.

    Returns
    -------
    ibis.expr.types.Table
        One row per event, the prepared columns last.

    Examples
    --------
    >>> events = ibis.memtable({
    ...     "event_id": ["1", "2"], "journey_id": ["a", "a"], "touchpoint": ["x", "y"],
    ...     "occurred_at": [datetime(2024, 1, 1), datetime(2024, 1, 2)], "is_open": [True, True],
    ... })
    >>> place_events(events).order_by("step").next_touchpoint.to_list()
    ['y', '(open)']
    """
    return _placed(_without(events, OF_STEPS), events.is_open)


def journey_table(events: ir.Table) -> ir.Table:
    """One row per journey, from prepared events.

    Parameters
    ----------
    events
        What ``prepare_events`` gives.

    Returns
    -------
    ibis.expr.types.Table
        ``journey_id`` and ``customer_id`` string, ``started_at`` and ``ended_at`` timestamp (first
        and last event, UTC), ``length`` int64 (events), ``path`` array of string (touchpoints in
        order), ``is_open`` boolean, and ``cx_customer`` where the events have it.

    Examples
    --------
    >>> events = ibis.memtable({
    ...     "event_id": ["1", "2"], "customer_id": ["a", "a"], "touchpoint": ["x", "y"],
    ...     "occurred_at": [datetime(2024, 1, 1), datetime(2024, 1, 2)],
    ... })
    >>> events = prepare_events(events, observed_until=datetime(2024, 2, 1), closes_after=None)
    >>> journey_table(events).select("journey_id", "length", "path", "is_open").to_pandas()
      journey_id  length    path  is_open
    0          a       2  [x, y]     True
    """
    # Sorted as (step, touchpoint): Spark has no ordered collect, and DuckDB is faster so.
    placed = ibis.struct({"step": events.step, "touchpoint": events.touchpoint})
    number = {"cx_customer": events.cx_customer.min()} if "cx_customer" in events.columns else {}
    journeys = events.group_by("journey_id").aggregate(
        customer_id=events.customer_id.min(),
        started_at=events.occurred_at.min(),
        ended_at=events.occurred_at.max(),
        length=events.count().cast("int64"),
        path=placed.collect(),
        is_open=events.is_open.any(),
        **number,
    )
    return journeys.mutate(path=journeys.path.sort().map(lambda event: event.touchpoint))


def customer_key(table: ir.Table) -> str:
    """Name of the column to tell customers apart by: their number where it is stored.

    Parameters
    ----------
    table
        Events or journeys of a log.

    Returns
    -------
    str
        ``"cx_customer"`` or ``"customer_id"``. A number takes an engine half the time and memory.

    Examples
    --------
    >>> customer_key(ibis.memtable({"customer_id": ["a"]}))
    'customer_id'
    """
    return "cx_customer" if "cx_customer" in table.columns else "customer_id"


def fill_contract(events: ir.Table) -> ir.Table:
    """Events with every column of the contract, in its type; further columns follow.

    Parameters
    ----------
    events
        Events that have at least the columns that cannot be made up.

    Returns
    -------
    ibis.expr.types.Table
        One row per event. Missing columns are null, a missing source is "frame".

    Raises
    ------
    CxError
        When ``event_id``, ``customer_id``, ``occurred_at`` or ``touchpoint`` is missing, or
        ``occurred_at`` is not a time.

    Examples
    --------
    >>> events = ibis.memtable({
    ...     "event_id": [1], "customer_id": [7], "touchpoint": ["x"],
    ...     "occurred_at": [datetime(2024, 1, 1)],
    ... })
    >>> fill_contract(events).select("customer_id", "source", "value").to_pandas()
      customer_id source  value
    0           7  frame    NaN
    """
    types = {name: c.dtype for name, c in CONTRACTS["events"].items() if name not in PREPARED}
    for name in REQUIRED:
        if name not in events.columns:
            has = ", ".join(repr(item) for item in events.columns[:8])
            raise CxError(
                f"the event table has no column {name!r} (it has {has}); "
                f"name it with rename={{'your_column': {name!r}}}"
            )
    if not (events.occurred_at.type().is_timestamp() or events.occurred_at.type().is_date()):
        raise CxError(
            f"the column 'occurred_at' is {events.occurred_at.type()}, and must be a timestamp"
        )
    columns: dict[str, ir.Value] = {
        name: events[name].cast(dtype) if name in events.columns else ibis.null(dtype)
        for name, dtype in types.items()
    }
    if "source" not in events.columns:
        columns["source"] = ibis.literal("frame")
    return events.select(**columns, **{n: events[n] for n in events.columns if n not in types})


def microseconds_between(later: ir.TimestampValue, earlier: ir.TimestampValue) -> ir.IntegerValue:
    """Whole microseconds from one time to a later one.

    Parameters
    ----------
    later, earlier
        Times of the log.

    Returns
    -------
    ibis.expr.types.IntegerValue
        int64, negative when ``later`` is the earlier one.

    Notes
    -----
    Larger units are divided from this: an engine's own difference in hours counts the hour
    boundaries that were crossed (10:59 to 11:01 would be one hour).

    Examples
    --------
    >>> microseconds_between(ibis.timestamp("2024-01-01 00:00:01"),
    ...                      ibis.timestamp("2024-01-01 00:00:00")).to_pandas()
    1000000
    """
    return later.delta(earlier, unit="microsecond")


def _without(table: ir.Table, names: Sequence[str]) -> ir.Table:
    return table.drop(*(name for name in names if name in table.columns))


def _starts(
    events: ir.Table,
    in_time: Any,
    start: Sequence[str],
    end: Sequence[str],
    split_after: timedelta | None,
) -> ir.BooleanValue:
    """Whether an event is the first of its journey."""
    previous_at = events.occurred_at.lag().over(in_time)
    starts = previous_at.isnull()
    if split_after is not None:
        gap = microseconds_between(events.occurred_at, previous_at)
        # > not >=: a silence of exactly the given length does not split.
        starts = starts | (gap > split_after // _MICROSECOND).fill_null(False)
    if start:
        starts = starts | events.touchpoint.isin(start)
    if end:
        starts = starts | events.touchpoint.lag().over(in_time).isin(end).fill_null(False)
    return starts


def _number_journeys(events: ir.Table) -> ir.Table:
    """Journeys from where they start: they follow one another, so no window is over a journey."""
    key = customer_key(events)
    customer = ibis.window(group_by=key, order_by="cx_place")
    so_far = ibis.window(group_by=key, order_by="cx_place", preceding=None, following=0)
    # In order, though it does not matter here: windows of one order are computed at once.
    whole = customer
    is_start = events._starts.cast("int64")
    number = is_start.sum().over(so_far).cast("int64")
    is_last = number == is_start.sum().over(whole)
    first = ibis.ifelse(events._starts, events.cx_place, ibis.null("int64")).max().over(so_far)
    follows = ~events._starts.lead().over(customer).fill_null(True)
    is_open = is_last & events._goes_on.any().over(whole)
    nothing = ibis.ifelse(is_open, OPEN, END)
    placed = {
        "step": (events.cx_place - first + 1).cast("int64"),
        "next_touchpoint": ibis.ifelse(follows, events.touchpoint.lead().over(customer), nothing),
        "next_at": ibis.ifelse(
            follows, events.occurred_at.lead().over(customer), ibis.null("timestamp")
        ),
        "is_open": is_open,
    }
    if BEFORE[1] in events.columns:
        number = number + events[BEFORE[1]]
    journey_id = events.customer_id + "/" + number.cast("string")
    gone = ("_starts", "_goes_on", *BEFORE)
    kept = {name: events[name] for name in events.columns if name not in gone}
    return events.select(**kept | {"journey_id": journey_id} | placed)


def _placed(events: ir.Table, is_open: ir.BooleanValue) -> ir.Table:
    """Events with their place in their journey."""
    journey = ibis.window(group_by="journey_id", order_by=ORDER)
    last = ibis.ifelse(is_open, OPEN, END)
    return events.select(
        *(name for name in events.columns if name not in PREPARED),
        step=(ibis.row_number().over(journey) + 1).cast("int64"),
        next_touchpoint=ibis.coalesce(events.touchpoint.lead().over(journey), last),
        next_at=events.occurred_at.lead().over(journey),
        is_open=is_open,
    )


def _keep_journey_ids(events: ir.Table) -> ir.Table:
    # Without a slash, so that the first one in an id says where the customer ends.
    customer = events.customer_id.replace("%", "%25").replace("/", "%2F")
    events = events.mutate(journey_id=events.journey_id.coalesce(customer))
    customers = ibis.window(group_by="journey_id")
    shared = events.customer_id.min().over(customers) != events.customer_id.max().over(customers)
    own = customer + "/" + events.journey_id
    mixed = shared | events.journey_id.contains("/")
    return events.mutate(journey_id=ibis.ifelse(mixed, own, events.journey_id))
