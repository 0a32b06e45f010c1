"""Durations: how long until a customer's first end, counted in one go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, group_columns, named_groups
from cxlib.journeys.prepare import microseconds_between
from cxlib.models.outcomes.episodes import check_as_of
from cxlib.spans import parse_moment

__all__ = ["time_to_event"]

_UNITS = {
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
}


@named_groups
def time_to_event(
    log: Journeys,
    *,
    start: str | Sequence[str],
    end: str | Sequence[str],
    window_start: str | date | datetime | None,
    by: str | Sequence[str] | None = None,
    unit: str = "days",
    origin: str = "start",
) -> pd.DataFrame:
    """Customers by how long it took from a start to an end, ready for a survival curve.

    Parameters
    ----------
    log
        The log.
    start
        Touchpoints that put a customer at risk; a customer's first one counts.
    end
        Touchpoints that are the event; the first one at or after the start counts.
    window_start
        First moment (UTC) from which ends were recorded. Customers who ended before it are not
        in such data, or not reliably, so that those who started before it are only counted from
        then on (left truncation). None says that the records are complete from every start on.
    by
        Column or columns of the events to count apart, as they were at the start event.
    unit
        Unit of the times: "hours", "days" or "weeks".
    origin
        Where the clock starts: "start", or "window_start" for the same calendar moment for
        everybody, as when segments are followed from the day on which they were taken.

    Returns
    -------
    pandas.DataFrame
        One row per group, entry, duration and outcome: the ``by`` columns (text), ``entry_<unit>``
        int64 (at risk after this time; 0 from the start), ``duration_<unit>`` int64 (end, or last
        time seen), ``event`` bool (True: it ended; False: censored at ``observed_until``) and
        ``n`` int64 (customers).

    Raises
    ------
    CxError
        For an unknown touchpoint, column, unit or origin, a ``window_start`` at or after
        ``observed_until``, or groups that were taken after observation starts (immortal time).

    Notes
    -----
    A customer is at risk at the times t with entry < t <= duration. Times are counted in whole
    units, so that the table stays small, and in a way that counts a unit only for those who were
    seen for the whole of it, or ended in it:

    - an end in the k-th unit after the origin has the duration k (rounded up, at least 1: an end
      at the moment of the start is in the first unit);
    - a customer who has not ended is censored after the last whole unit (rounded down);
    - a customer who enters late does so with the next whole unit (rounded up).

    Customers who started before ``window_start`` and ended at or before it are left out (an event
    comes before an entry at the same time), and so are those whose late entry and exit leave no
    whole unit between them. Customers without a start are not at risk. An event that is its own
    start does not count as its end.

    A column ``<by>_as_of`` (see ``add_customer_columns``) says when a group was taken. It must not
    be later than ``window_start``: a customer had to stay until then to get into a group, and the
    curve would count that time as survival.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"],
    ...      "touchpoint": ["joined", "left", "joined", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-01-11", "2024-01-21", "2023-12-12"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> time_to_event(log, start="joined", end="left", window_start="2024-01-01")
       entry_days  duration_days  event  n
    0           0             10  False  1
    1           0             10   True  1
    2          20             50  False  1
    """
    if unit not in _UNITS:
        raise unknown_name("unit", unit, _UNITS)
    starts, ends = check_touchpoints(log, start), check_touchpoints(log, end)
    window = _check_window(log, window_start, origin)
    columns = {"entry": f"entry_{unit}", "duration": f"duration_{unit}"}
    check_as_of(log.events, as_list(by), window)
    events, groups = group_columns(log.events, by, taken=[*columns.values(), "event", "n"])
    customers = _first_ends(events, _first_starts(events, groups, starts), ends)
    clock = customers.started_at if origin == "start" else _literal(window)
    spells = _whole_units(customers, clock, window, log.observed_until, _UNITS[unit])
    spells = spells.rename({name: column for column, name in columns.items()})
    keys = [*groups, *columns.values(), "event"]
    return spells.group_by(keys).aggregate(n=spells.count()).order_by(keys).to_pandas()


def _check_window(
    log: Journeys, window_start: str | date | datetime | None, origin: str
) -> datetime | None:
    if origin not in ("start", "window_start"):
        raise unknown_name("origin", origin, ["start", "window_start"])
    if window_start is None:
        if origin == "window_start":
            raise CxError("origin='window_start' needs a window_start; give its date")
        return None
    window = parse_moment(window_start)
    if window >= log.observed_until:
        raise CxError(
            f"window_start {window.isoformat()} is not before observed_until "
            f"{log.observed_until.isoformat()}, so that nobody is at risk; give an earlier one"
        )
    return window


def _first_starts(events: ir.Table, groups: list[str], starts: list[str]) -> ir.Table:
    """One row per customer: the first start, and the groups at that event."""
    order = ibis.window(group_by="customer_id", order_by=["occurred_at", "event_id"])
    found = events.filter(events.touchpoint.isin(starts))
    ranked = found.mutate(rank=ibis.row_number().over(order))
    first = ranked.filter(ranked.rank == 0)
    return first.select(
        *groups, "customer_id", start_event_id=first.event_id, started_at=first.occurred_at
    )


def _first_ends(events: ir.Table, customers: ir.Table, ends: list[str]) -> ir.Table:
    """The same rows with the time of the first end at or after the start, or null."""
    found = events.filter(events.touchpoint.isin(ends)).select(
        "customer_id", "event_id", "occurred_at"
    )
    found = found.join(customers, "customer_id")
    # >= not >: in exports with dates only, a start and an end on one day have the same time.
    later = (found.occurred_at >= found.started_at) & (found.event_id != found.start_event_id)
    found = found.filter(later)
    first = found.group_by("customer_id").aggregate(end_at=found.occurred_at.min())
    return customers.left_join(first, "customer_id").drop("customer_id_right")


def _whole_units(
    customers: ir.Table,
    clock: ir.TimestampValue,
    window: datetime | None,
    observed_until: datetime,
    unit: timedelta,
) -> ir.Table:
    """Entry, duration and event of the customers who were at risk, in whole units."""
    size = unit // timedelta(microseconds=1)

    def units(moment: ir.TimestampValue, up: bool) -> ir.IntegerValue:
        elapsed = microseconds_between(moment, clock)
        return ((elapsed + (size - 1 if up else 0)) / size).floor().cast("int64")

    event = customers.end_at.notnull()
    ended = ibis.greatest(units(customers.end_at, up=True), 1)
    duration = ibis.ifelse(event, ended, units(_literal(observed_until), up=False))
    begin, at_risk = customers.started_at, ibis.literal(True)
    if window is not None:
        begin = ibis.greatest(customers.started_at, _literal(window))
        in_time = (customers.started_at >= _literal(window)) | (customers.end_at > _literal(window))
        at_risk = in_time.fill_null(True)
    spells = customers.filter(at_risk).mutate(
        entry=units(begin, up=True), duration=duration, event=event
    )
    # Who entered at the origin is kept, though not seen for a whole unit: part of n at time 0.
    return spells.filter((spells.entry < spells.duration) | (spells.entry == 0))


def _literal(moment: datetime | None) -> ir.TimestampScalar:
    return ibis.literal(moment, type="timestamp")
