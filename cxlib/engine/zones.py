"""Times in UTC as a clock on the wall shows them, in the engine and for one moment."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from cxlib.errors import unknown_name

__all__ = ["after_months", "check_zone", "clock_shows", "wall_clock"]

_UTC = dt.Timestamp(timezone="UTC")


def check_zone(zone: str) -> str:
    """The zone, once it is known to be one.

    Parameters
    ----------
    zone
        IANA name, such as "Europe/Rome".

    Raises
    ------
    CxError
        For another name, with the closest that there are.

    Examples
    --------
    >>> check_zone("Europe/Rome")
    'Europe/Rome'
    """
    # "localtime" is whatever this computer says: another one would have other numbers.
    known = available_timezones() - {"localtime"}
    if zone not in known:
        raise unknown_name("time zone", zone, known)
    return zone


def wall_clock(time: ir.TimestampValue, zone: str) -> ir.TimestampValue:
    """What the clock on the wall shows at times in UTC.

    Parameters
    ----------
    time
        Times in UTC, without a zone.
    zone
        IANA name.

    Returns
    -------
    ibis.expr.types.TimestampValue
        Without a zone; where clocks go back, an hour is shown twice.

    Examples
    --------
    >>> times = ibis.memtable({"at": [datetime(2023, 12, 31, 23)]})
    >>> ibis.duckdb.connect().execute(wall_clock(times.at, "Europe/Rome"))[0].isoformat()
    '2024-01-01T00:00:00'
    """
    if zone == "UTC":
        return time
    if isinstance(literal := time.op(), ops.Literal):
        return ibis.literal(clock_shows(literal.value, zone), type="timestamp")
    if time.get_backend().name == "pyspark":
        return _from_utc_timestamp(time, zone)
    return _timezone(zone, time.cast(_UTC))


def after_months(time: ir.TimestampValue, months: ir.IntegerValue, zone: str) -> ir.TimestampValue:
    """Times some calendar months later, at the same time of day on the wall.

    Parameters
    ----------
    time
        Times in UTC, without a zone.
    months
        How many.
    zone
        IANA name.

    Returns
    -------
    ibis.expr.types.TimestampValue
        UTC, without a zone: the last day of a month that is too short.

    Examples
    --------
    >>> july = ibis.memtable({"at": [datetime(2024, 6, 30, 22)]}).at
    >>> later = after_months(july, ibis.literal(6), "Europe/Rome")
    >>> ibis.duckdb.connect().execute(later)[0].isoformat()
    '2024-12-31T23:00:00'
    """
    shown = wall_clock(time, zone) + months.as_interval("M")
    if zone == "UTC":
        return shown
    if time.get_backend().name == "pyspark":
        return _to_utc_timestamp(shown, zone)
    return _utc_of(zone, shown).cast("timestamp")


def clock_shows(moment: datetime, zone: str) -> datetime:
    """What the clock on the wall shows at one moment.

    Parameters
    ----------
    moment
        Naive UTC.
    zone
        IANA name.

    Examples
    --------
    >>> clock_shows(datetime(2024, 6, 30, 22), "Europe/Rome")
    datetime.datetime(2024, 7, 1, 0, 0)
    """
    if zone == "UTC":
        return moment
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, _UTC), dt.timestamp))
def _timezone(zone: str, moment: ir.TimestampValue) -> ir.TimestampValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(
    name="from_utc_timestamp", signature=((dt.timestamp, dt.string), dt.timestamp)
)
def _from_utc_timestamp(moment: ir.TimestampValue, zone: str) -> ir.TimestampValue:
    """Spark's own function."""


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.timestamp), _UTC))
def _utc_of(zone: str, shown: ir.TimestampValue) -> ir.TimestampValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(
    name="to_utc_timestamp", signature=((dt.timestamp, dt.string), dt.timestamp)
)
def _to_utc_timestamp(shown: ir.TimestampValue, zone: str) -> ir.TimestampValue:
    """Spark's own function."""
