"""Calendar periods: which one holds a time, when it begins, and whether it was over."""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.zones import wall_clock
from cxlib.errors import unknown_name
from cxlib.journeys.prepare import customer_key, microseconds_between

__all__ = [
    "PERIODS",
    "check_period",
    "first_events",
    "is_over",
    "number_periods",
    "period_number",
    "period_starts",
]

PERIODS = ("day", "week", "month", "quarter", "year")
_ORDER = ("occurred_at", "event_id")
_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)
_MICROSECONDS_PER_DAY = 86_400_000_000
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def check_period(period: str) -> None:
    """Nothing, once the period is known to be one.

    Parameters
    ----------
    period
        "day", "week" (from Monday), "month", "quarter" or "year", by the calendar.

    Raises
    ------
    CxError
        For another word, with the closest that there is.

    Examples
    --------
    >>> check_period("mont")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no period 'mont'; did you mean 'month'?
    """
    if period not in PERIODS:
        raise unknown_name("period", period, PERIODS)


def number_periods(time: ir.TimestampValue, period: str, zone: str = "UTC") -> ir.IntegerValue:
    """Number of the period that holds each time; 0 holds 1970-01-01, as in pandas.

    Parameters
    ----------
    time
        Times of the log.
    period
        One of ``PERIODS``.
    zone
        Time zone whose calendar counts.

    Returns
    -------
    ibis.expr.types.IntegerValue
        int64.

    Examples
    --------
    >>> number_periods(ibis.timestamp("1970-02-01"), "month").to_pandas()
    1
    """
    time = wall_clock(time, zone)
    if period in ("day", "week"):
        since = microseconds_between(time, ibis.literal(_EPOCH, type="timestamp"))
        days = (since / _MICROSECONDS_PER_DAY).floor()
        # 1970-01-01 was a Thursday, three days into its week.
        return (days if period == "day" else ((days + 3) / 7).floor()).cast("int64")
    part = {"month": time.month() - 1, "quarter": time.quarter() - 1, "year": 0}[period]
    return ((time.year() - 1970) * (12 // _MONTHS[period]) + part).cast("int64")


def period_number(moment: datetime, period: str) -> int:
    """Number of the period that holds one moment, as ``number_periods`` counts.

    Parameters
    ----------
    moment
        As the clock on the wall shows it.
    period
        One of ``PERIODS``.

    Returns
    -------
    int
        Negative before 1970.

    Examples
    --------
    >>> period_number(datetime(1970, 1, 5), "week")
    1
    """
    days = (moment - _EPOCH) // _DAY
    if period in ("day", "week"):
        return days if period == "day" else (days + 3) // 7
    return ((moment.year - 1970) * 12 + moment.month - 1) // _MONTHS[period]


def period_starts(numbers: pd.Series, period: str) -> pd.Series:
    """First moment of each numbered period.

    Parameters
    ----------
    numbers
        As ``number_periods`` counts.
    period
        One of ``PERIODS``.

    Returns
    -------
    pandas.Series
        datetime64[us], as the clock on the wall shows it.

    Examples
    --------
    >>> period_starts(pd.Series([0, 1]), "week").astype(str).to_list()
    ['1969-12-29', '1970-01-05']
    """
    if period in ("day", "week"):
        days = numbers if period == "day" else numbers * 7 - 3
        return (pd.Timestamp(_EPOCH) + pd.to_timedelta(days, unit="D")).astype("datetime64[us]")
    months = numbers.astype("int64").to_numpy() * _MONTHS[period]
    moments = months.astype("datetime64[M]").astype("datetime64[us]")
    return pd.Series(moments, index=numbers.index)


def is_over(ends: pd.Series, observed_until: datetime) -> pd.Series:
    """Whether each period that ends at a moment, not included, was seen whole.

    Parameters
    ----------
    ends
        First moments after each period.
    observed_until
        The cut-off by the same clock; what happened at it has been seen.

    Returns
    -------
    pandas.Series
        Boolean.

    Examples
    --------
    >>> ends = pd.Series(pd.to_datetime(["2024-02-01"]))
    >>> is_over(ends, datetime(2024, 1, 31, 23, 59, 59, 999_999)).to_list()
    [True]
    """
    return ends <= pd.Timestamp(observed_until) + pd.Timedelta(1, "us")


def first_events(
    events: ir.Table,
    groups: list[str],
    period: str,
    *,
    recurring: bool = False,
    zone: str = "UTC",
) -> ir.Table:
    """First event of each customer, or of each customer in each period.

    Parameters
    ----------
    events
        Events of the log.
    groups
        Columns to keep of it.
    period
        One of ``PERIODS``.
    recurring
        Whether each period has its own first event.
    zone
        Time zone whose calendar counts.

    Returns
    -------
    ibis.expr.types.Table
        The groups, ``customer_id`` (or ``cx_customer``, where it is stored), ``_cohort`` (number of
        the event's period) and ``_start`` (its time).

    Examples
    --------
    >>> events = ibis.memtable({
    ...     "event_id": ["1", "2"], "customer_id": ["a", "a"],
    ...     "occurred_at": [datetime(1970, 2, 1), datetime(1970, 3, 1)],
    ... })
    >>> first_events(events, [], "month").select("customer_id", "_cohort", "_start").to_pandas()
      customer_id  _cohort     _start
    0           a        1 1970-02-01
    """
    customer = customer_key(events)
    events = events.mutate(_cohort=number_periods(events.occurred_at, period, zone))
    key = [customer, "_cohort"] if recurring else [customer]
    if not groups:
        # A minimum is had without sorting.
        return events.group_by(key).aggregate(
            _start=events.occurred_at.min(),
            **({} if recurring else {"_cohort": events._cohort.min()}),
        )
    order = ibis.window(group_by=key, order_by=_ORDER)
    ranked = events.mutate(_rank=ibis.row_number().over(order))
    first = ranked.filter(ranked._rank == 0)
    return first.select(*groups, customer, "_cohort", _start="occurred_at")
