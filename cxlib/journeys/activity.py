"""Activity: who is new, stays, comes back and falls silent, and in how many periods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import ibis
import pandas as pd

from cxlib.engine.zones import clock_shows
from cxlib.journeys.log import Journeys, group_columns, named_groups
from cxlib.journeys.periods import (
    check_period,
    first_events,
    is_over,
    number_periods,
    period_number,
    period_starts,
)
from cxlib.journeys.prepare import customer_key

__all__ = ["lifecycle", "stickiness"]

_LIFECYCLE = ["period", "active", "new", "returning", "resurrected", "dormant", "complete"]
_STICKINESS = ["active_periods", "customers", "n", "share", "at_least"]


@named_groups
def lifecycle(
    log: Journeys, *, period: str = "month", by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Customers who are new, stay, come back and fall silent, in every period.

    Parameters
    ----------
    log
        The log.
    period
        "day", "week" (from Monday), "month", "quarter" or "year", by the calendar of the log's
        ``timezone``.
    by
        Column or columns of the events to count apart; a customer is in the group of their first
        event in a period, and a dormant one in that of the period before.

    Returns
    -------
    pandas.DataFrame
        One row per group and period, from the first event to ``observed_until``: the ``by`` columns
        (text), ``period`` (datetime64, its first moment), ``active`` int64 (customers with an
        event), and of these ``new`` (never seen before), ``returning`` (active in the period before
        too) and ``resurrected`` (seen before, but not in the period before); ``dormant`` int64
        (active in the period before and not in this one); ``complete`` boolean (the period was over
        by ``observed_until``).

    Raises
    ------
    CxError
        For an unknown period or ``by`` column.

    Notes
    -----
    ``active = new + returning + resurrected``, and over all groups the active customers of a period
    are the returning and the dormant ones of the next. In a period that is not ``complete`` the
    dormant ones may still come. Who is new is decided on the whole log given: keep the periods of
    interest in the result, and not in the log.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["visit"] * 4,
    ...      "occurred_at": ["2024-01-05", "2024-02-07", "2024-04-09", "2024-02-20"]},
    ...     observed_until="2024-04-30", closes_after=None,
    ... )
    >>> lifecycle(log).drop(columns="complete")
          period  active  new  returning  resurrected  dormant
    0 2024-01-01       1    1          0            0        0
    1 2024-02-01       2    1          1            0        0
    2 2024-03-01       0    0          0            0        2
    3 2024-04-01       1    0          0            1        0
    """
    check_period(period)
    events, groups = group_columns(log.events, by, taken=_LIFECYCLE)
    active = first_events(events, groups, period, recurring=True, zone=log.timezone)
    in_time = ibis.window(group_by=customer_key(events), order_by="_cohort")
    active = active.mutate(
        _last=active._cohort.lag().over(in_time), _next=active._cohort.lead().over(in_time)
    )
    stays = (active._last == active._cohort - 1).fill_null(False)
    leaves = (active._next != active._cohort + 1).fill_null(True)
    counted = active.group_by([*groups, "_cohort"]).aggregate(
        active=active.count(),
        new=active.count(where=active._last.isnull()),
        returning=active.count(where=stays),
        leaving=active.count(where=leaves),
    )
    return _periods(
        counted.to_pandas(), groups, period, clock_shows(log.observed_until, log.timezone)
    )


@named_groups
def stickiness(
    log: Journeys, *, period: str = "day", by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Customers by the number of periods in which they are active.

    Parameters
    ----------
    log
        The log; keep the events of the time of interest first (``keep_events(since=, until=)``).
    period
        "day", "week" (from Monday), "month", "quarter" or "year", by the calendar of the log's
        ``timezone``.
    by
        Column or columns of the events to count apart; a customer is in the group of their first
        event.

    Returns
    -------
    pandas.DataFrame
        One row per group and number, from 1 to the most periods of any customer: the ``by`` columns
        (text), ``active_periods`` int64, ``customers`` int64 (active in exactly so many), ``n``
        int64 (customers of the group), ``share`` float64 (``customers`` of ``n``), ``at_least``
        float64 (share active in so many or more).

    Raises
    ------
    CxError
        For an unknown period or ``by`` column.

    Notes
    -----
    Customers differ in how long they could be seen: one who came yesterday has one day.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["visit"] * 4,
    ...      "occurred_at": ["2024-01-05", "2024-01-05", "2024-01-09", "2024-01-20"]},
    ...     observed_until="2024-04-30", closes_after=None,
    ... )
    >>> stickiness(log)
       active_periods  customers  n  share  at_least
    0               1          1  2    0.5       1.0
    1               2          1  2    0.5       0.5
    """
    check_period(period)
    events, groups = group_columns(log.events, by, taken=_STICKINESS)
    at = number_periods(events.occurred_at, period, log.timezone)
    customer = customer_key(events)
    places = events.group_by(customer).aggregate(active_periods=at.nunique())
    first = first_events(events, groups, period, zone=log.timezone).select(customer, *groups)
    joined = places.join(first, customer)
    counted = joined.group_by([*groups, "active_periods"]).aggregate(customers=joined.count())
    frame = counted.to_pandas()
    most = int(frame["active_periods"].max()) if len(frame) else 0
    numbers = pd.DataFrame({"active_periods": range(1, most + 1)}, dtype="int64")
    whole = _every_group(frame, groups).merge(numbers, how="cross")
    frame = whole.merge(frame, how="left", on=[*groups, "active_periods"], validate="one_to_one")
    frame["customers"] = frame["customers"].fillna(0).astype("int64")
    frame = frame.sort_values([*groups, "active_periods"], ignore_index=True)
    frame["n"] = _sums(frame, groups, "customers")
    frame["share"] = frame["customers"] / frame["n"]
    fewer = frame.groupby(groups)["customers"].cumsum() if groups else frame["customers"].cumsum()
    frame["at_least"] = (frame["n"] - fewer + frame["customers"]) / frame["n"]
    return frame[[*groups, *_STICKINESS]]


def _periods(
    counted: pd.DataFrame, groups: list[str], period: str, observed_until: datetime
) -> pd.DataFrame:
    """Every period of every group, with those who fell silent in the one before."""
    now = period_number(observed_until, period)
    begin = int(counted["_cohort"].min()) if len(counted) else now + 1
    numbers = pd.DataFrame({"_cohort": range(begin, now + 1)}, dtype="int64")
    keys = [*groups, "_cohort"]
    frame = _every_group(counted, groups).merge(numbers, how="cross")
    gone = counted.assign(_cohort=counted["_cohort"] + 1, dormant=counted["leaving"])
    frame = frame.merge(counted, how="left", on=keys, validate="one_to_one")
    frame = frame.merge(gone[[*keys, "dormant"]], how="left", on=keys, validate="one_to_one")
    counts = ["active", "new", "returning", "dormant"]
    frame[counts] = frame[counts].fillna(0).astype("int64")
    frame["resurrected"] = frame["active"] - frame["new"] - frame["returning"]
    frame["period"] = period_starts(frame["_cohort"], period)
    frame["complete"] = is_over(period_starts(frame["_cohort"] + 1, period), observed_until)
    return frame.sort_values(keys, ignore_index=True)[[*groups, *_LIFECYCLE]]


def _every_group(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """One row per group, one row in all without groups."""
    return frame[groups].drop_duplicates() if groups else pd.DataFrame(index=[0])


def _sums(frame: pd.DataFrame, keys: list[str], column: str) -> pd.Series | int:
    """Sum of the column over the rows that share the keys, for each row."""
    return frame.groupby(keys)[column].transform("sum") if keys else int(frame[column].sum())
