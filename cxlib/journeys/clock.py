"""The clock of spells: hours, days, weeks or calendar months since an origin."""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from cxlib.engine.zones import wall_clock
from cxlib.errors import unknown_name
from cxlib.journeys.prepare import microseconds_between

__all__ = ["UNITS", "check_unit", "exact_units", "moment", "units_between"]

_MICROSECOND = timedelta(microseconds=1)
_FIXED = {
    "hours": timedelta(hours=1) // _MICROSECOND,
    "days": timedelta(days=1) // _MICROSECOND,
    "weeks": timedelta(weeks=1) // _MICROSECOND,
}
UNITS = (*_FIXED, "months")


def check_unit(unit: str) -> None:
    """Raise for a unit that no clock has.

    Parameters
    ----------
    unit
        Such as "months".

    Raises
    ------
    CxError
        With the closest that there is.
    """
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)


def moment(at: datetime) -> ir.TimestampScalar:
    """A moment as the engine knows it.

    Parameters
    ----------
    at
        Naive UTC.

    Returns
    -------
    ibis.expr.types.TimestampScalar
        A literal.
    """
    return ibis.literal(at, type="timestamp")


def units_between(
    later: ir.TimestampValue,
    origin: ir.TimestampValue,
    unit: str,
    *,
    up: bool,
    zone: str = "UTC",
) -> ir.IntegerValue:
    """Whole units from an origin to a moment, rounded down or up.

    Parameters
    ----------
    later, origin
        Moments.
    unit
        "hours", "days", "weeks" or "months".
    up
        Round up, and not down.
    zone
        Time zone whose calendar has the months.

    Returns
    -------
    ibis.expr.types.IntegerValue
        int64; negative before the origin.

    Notes
    -----
    The k-th month ends on the day of the month, and at the time, of the origin. Where a month has
    no such day it ends with the first instant of the next one.

    Examples
    --------
    >>> origin = ibis.timestamp("2024-01-31 00:00:00")
    >>> for day in ("2024-02-29", "2024-03-01", "2024-03-31"):
    ...     at = ibis.timestamp(f"{day} 00:00:00")
    ...     print(units_between(at, origin, "months", up=False).to_pandas())
    0
    1
    2
    """
    if unit != "months":
        size = _FIXED[unit]
        elapsed = microseconds_between(later, origin)
        return ((elapsed + (size - 1 if up else 0)) / size).floor().cast("int64")

    later, origin = wall_clock(later, zone), wall_clock(origin, zone)
    day, midnight = _FIXED["days"], moment(datetime(1, 1, 1))

    def months(at: ir.TimestampValue) -> ir.IntegerValue:
        return at.year().cast("int64") * 12 + at.month().cast("int64")

    def within(at: ir.TimestampValue) -> ir.IntegerValue:
        return at.day().cast("int64") * day + microseconds_between(at, midnight) % day

    crossed = months(later) - months(origin)
    if up:
        return crossed + (within(later) > within(origin)).cast("int64")
    return crossed - (within(later) < within(origin)).cast("int64")


def exact_units(
    later: ir.TimestampValue, origin: ir.TimestampValue, unit: str, *, zone: str = "UTC"
) -> ir.FloatingValue:
    """Time from an origin to a moment, not rounded.

    Parameters
    ----------
    later, origin
        Moments, the second not after the first.
    unit
        "hours", "days", "weeks" or "months".
    zone
        Time zone whose calendar has the months.

    Returns
    -------
    ibis.expr.types.FloatingValue
        float64. Months are those that are over, and the share of the next one: a month ends on the
        day of the month of the origin, or on the last one where there is no such day.

    Examples
    --------
    >>> origin = ibis.timestamp("2024-01-10 00:00:00")
    >>> exact_units(ibis.timestamp("2024-03-26 12:00:00"), origin, "months").to_pandas()
    2.532258064516129
    """
    if unit != "months":
        return microseconds_between(later, origin) / _FIXED[unit]
    later, origin = wall_clock(later, zone), wall_clock(origin, zone)
    crossed = (later.year().cast("int64") - origin.year().cast("int64")) * 12
    crossed = crossed + later.month().cast("int64") - origin.month().cast("int64")

    def after(months: ir.IntegerValue) -> ir.TimestampValue:
        return origin + months.as_interval("M")

    over = crossed - (after(crossed) > later).cast("int64")
    begin = after(over)
    return over + microseconds_between(later, begin) / microseconds_between(after(over + 1), begin)
