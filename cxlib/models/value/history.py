"""Purchase histories: what models of purchases and spend need to know, counted in the engine."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.journeys.log import Journeys, check_touchpoints
from cxlib.journeys.prepare import customer_key, microseconds_between
from cxlib.spans import parse_moment, parse_span
from cxlib.tables import warn_of_currencies

__all__ = ["purchase_summary", "spend_summary"]

_UNITS = {"hours": timedelta(hours=1), "days": timedelta(days=1), "weeks": timedelta(weeks=1)}
_MICROSECOND = timedelta(microseconds=1)


def purchase_summary(
    log: Journeys,
    *,
    as_of: str | date | datetime,
    touchpoints: str | Sequence[str],
    unit: str = "weeks",
    value: str = "value",
    resolution: str | timedelta = "1 day",
    per_customer: bool = False,
) -> pd.DataFrame:
    """Customers by how often they bought and when, for ``fit_bg_nbd`` and its like.

    Parameters
    ----------
    log
        The log.
    as_of
        Only events strictly before this moment (UTC) count.
    touchpoints
        Events that are purchases.
    unit
        Unit of the times: "hours", "days" or "weeks".
    value
        Column of the events with the money of a purchase.
    resolution
        Purchases within such a span are one, and times are counted in whole ones, backwards from
        ``as_of``. A longer one gives fewer rows, and biases rates once customers buy more than
        once in it; for the BG/BB it is the time between opportunities, with a unit as long.
    per_customer
        One row per customer, as for scoring, and not per history, as for fitting.

    Returns
    -------
    pandas.DataFrame
        One row per history that customers have had, in order: ``frequency`` int64 (repeat
        purchases), ``recency`` float64 (time from the first to the last purchase, in units), ``T``
        float64 (time from the first purchase to ``as_of``), ``weight`` int64 (customers) and
        ``mean_money`` float64 (of these customers' means per repeat purchase; missing without).
        Per customer instead ``customer_id`` (text) first, no ``weight``, and ``money`` float64
        (mean per repeat purchase; missing without).

    Raises
    ------
    CxError
        For an unknown touchpoint, unit or column, money that is no number, a date after
        ``observed_until``, or no purchases.

    Warns
    -----
    CxWarning
        When purchases have no money; they count as purchases of 0. When their money is in several
        currencies.

    Notes
    -----
    The first purchase makes a customer and is not counted, and its money is not either. T counts
    to the last whole span before ``as_of``: with days and a date that is the day before, and a
    customer whose first purchase was then has a T of 0. For ``fit_gamma_gamma`` take
    ``spend_summary``: customers with equal histories differ in money.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["bought"] * 4,
    ...      "occurred_at": ["2024-01-01", "2024-01-08", "2024-01-22", "2024-01-08"],
    ...      "value": [5.0, 20.0, 40.0, 10.0]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> purchase_summary(log, as_of="2024-01-30", touchpoints="bought")
       frequency  recency    T  weight  mean_money
    0          0      0.0  3.0       1         NaN
    1          2      3.0  4.0       1        30.0
    """
    if unit not in _UNITS:
        raise unknown_name("unit", unit, _UNITS)
    span = _span(resolution)
    customers = _customers(log, as_of, touchpoints, value, span, per_customer=per_customer)
    keys = ["frequency", "recency", "T"]
    if per_customer:
        found = customers.select("customer_id", *keys, "money").order_by("customer_id")
    else:
        found = customers.group_by(keys).aggregate(
            weight=customers.count(), mean_money=customers.money.mean()
        )
        found = found.order_by(keys)
    frame = found.to_pandas()
    _check_found(frame, touchpoints, as_of)
    scale = span / _UNITS[unit]
    return frame.assign(recency=frame["recency"] * scale, T=frame["T"] * scale)


def spend_summary(
    log: Journeys,
    *,
    as_of: str | date | datetime,
    touchpoints: str | Sequence[str],
    value: str = "value",
    resolution: str | timedelta = "1 day",
    decimals: int = 2,
) -> pd.DataFrame:
    """Customers by how often they bought again and for how much, for ``fit_gamma_gamma``.

    Parameters
    ----------
    log, as_of, touchpoints, value, resolution
        As for ``purchase_summary``.
    decimals
        To which the mean money is rounded; fewer give fewer rows.

    Returns
    -------
    pandas.DataFrame
        One row per frequency and money, in order: ``frequency`` int64 (repeat purchases, at least
        1), ``money`` float64 (mean per repeat purchase) and ``weight`` int64 (customers).

    Raises
    ------
    CxError
        As for ``purchase_summary``.

    Warns
    -----
    CxWarning
        As for ``purchase_summary``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["bought"] * 4,
    ...      "occurred_at": ["2024-01-01", "2024-01-08", "2024-01-22", "2024-01-08"],
    ...      "value": [5.0, 20.0, 40.0, 10.0]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> spend_summary(log, as_of="2024-01-30", touchpoints="bought")
       frequency  money  weight
    0          2   30.0       1
    """
    customers = _customers(log, as_of, touchpoints, value, _span(resolution))
    buyers = customers.filter(customers.frequency > 0)
    buyers = buyers.mutate(money=buyers.money.round(decimals).cast("float64"))
    keys = ["frequency", "money"]
    frame = buyers.group_by(keys).aggregate(weight=buyers.count()).order_by(keys).to_pandas()
    _check_found(frame, touchpoints, as_of)
    return frame


def _customers(
    log: Journeys,
    as_of: str | date | datetime,
    touchpoints: str | Sequence[str],
    value: str,
    span: timedelta,
    *,
    per_customer: bool = False,
) -> ir.Table:
    """One row per customer: frequency, recency and T in spans, and money."""
    moment = _check(log, as_of, value)
    events = log.events.filter(log.events.touchpoint.isin(check_touchpoints(log, touchpoints)))
    # < not <=: what happens at as_of belongs to the time that is forecast.
    events = events.filter(events.occurred_at < ibis.literal(moment, type="timestamp"))
    _warn_of_missing(events, value)
    warn_of_currencies(events, value, stacklevel=4)
    last_instant = ibis.literal(moment - _MICROSECOND, type="timestamp")
    back = microseconds_between(last_instant, events.occurred_at) / (span // _MICROSECOND)
    # Counting the customers' numbers, where they are stored, takes half the time of their ids.
    customer = "customer_id" if per_customer else customer_key(events)
    counted = events.select(
        customer, back=back.floor().cast("int64"), money=events[value].cast("float64")
    )
    bought = counted.group_by(customer, "back").aggregate(money=counted.money.sum().fill_null(0.0))
    found = bought.group_by(customer).aggregate(
        frequency=bought.count() - 1,
        recency=bought.back.max() - bought.back.min(),
        T=bought.back.max(),
        _all=bought.money.sum(),
        _first=bought.money.argmax(bought.back),
    )
    return found.mutate(money=(found._all - found._first) / found.frequency.nullif(0))


def _check(log: Journeys, as_of: str | date | datetime, value: str) -> datetime:
    moment = parse_moment(as_of)
    if moment > log.observed_until:
        raise CxError(
            f"as_of {moment.isoformat()} is after observed_until {log.observed_until.isoformat()}: "
            "what happened between is not known; give an earlier one"
        )
    if value not in log.events.columns:
        raise unknown_name("column", value, log.events.columns, "in the log")
    if not log.events[value].type().is_numeric():
        raise CxError(f"the column {value!r} is {log.events[value].type()}, and must be a number")
    return moment


def _warn_of_missing(events: ir.Table, value: str) -> None:
    counts = events.aggregate(n=events.count(), missing=events[value].isnull().sum()).to_pandas()
    n, missing = int(counts["n"].iloc[0]), counts["missing"].iloc[0]
    if n and missing:
        warnings.warn(
            f"{int(missing):,} of {n:,} purchases have no {value!r} and count as purchases of 0, "
            "which lowers the money of their customers; leave them out with keep_events, or mend "
            "them",
            CxWarning,
            stacklevel=4,
        )


def _span(resolution: str | timedelta) -> timedelta:
    span = parse_span(resolution)
    if not span:
        raise CxError("the resolution is empty; give a length of time such as '1 day'")
    return span


def _check_found(
    frame: pd.DataFrame, touchpoints: str | Sequence[str], as_of: str | date | datetime
) -> None:
    if not len(frame):
        raise CxError(
            f"nobody has such purchases ({touchpoints!r}) before {as_of}; give a later as_of, or "
            "other touchpoints"
        )
