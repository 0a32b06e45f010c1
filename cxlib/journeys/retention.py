"""Retention: how many of those who joined together are still active, from period to period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.zones import clock_shows
from cxlib.errors import CxError, unknown_name
from cxlib.intervals import wilson_interval
from cxlib.journeys.counted import is_counted
from cxlib.journeys.log import (
    Journeys,
    as_list,
    check_touchpoints,
    group_columns,
    is_among,
    named_groups,
)
from cxlib.journeys.periods import (
    check_period,
    first_events,
    is_over,
    number_periods,
    period_starts,
)
from cxlib.journeys.prepare import customer_key, microseconds_between
from cxlib.spans import parse_span
from cxlib.tables import warn_of_currencies

__all__ = ["retention"]

_DAY = timedelta(days=1)
_RETENTION = [
    *("cohort", "period", "label", "n", "customers", "retention", "lower", "upper"),
    *("events", "value", "revenue_retention", "complete", "observed"),
]


@named_groups
def retention(
    log: Journeys,
    *,
    start: str | Sequence[str] | None = None,
    returning: str | Sequence[str] | None = None,
    period: str = "month",
    periods: int = 12,
    brackets: Sequence[str] | None = None,
    on: str = "on",
    cohorts: str = "first",
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Customers of each cohort who are active again, by time since they joined it.

    Parameters
    ----------
    log
        The log.
    start
        Touchpoints that put a customer into a cohort; any event when not given.
    returning
        Touchpoints that count as coming back; any event when not given.
    period
        Length of a cohort, and of the periods after it: "day", "week" (from Monday), "month",
        "quarter" or "year", by the calendar of the log's ``timezone``.
    periods
        Periods to follow after the first one, which is 0. Not used with ``brackets``.
    brackets
        Spans since the customer's own start to use in place of calendar periods, such as
        ["1 day", "7 days", "30 days"] for 0 to 1, 1 to 7 and 7 to 30 days; the upper bound is not
        in the bracket.
    on
        "on": retained when active in the period. "on_or_after": when active in it or later.
    cohorts
        "first": a customer is in the cohort of their first start. "recurring": in that of every
        period with a start.
    by
        Column or columns of the events to count apart; a customer is in the group of the event that
        puts them into the cohort.

    Returns
    -------
    pandas.DataFrame
        One row per group, cohort and period that had begun by ``observed_until``: the ``by``
        columns (text), ``cohort`` (datetime64, its first moment), ``period`` int64 (0 is the
        cohort's own), ``label`` (text), ``n`` int64 (customers in the cohort), ``customers`` int64
        (retained), ``retention`` float64 (of ``n``) with ``lower`` and ``upper`` (Wilson, 95 %),
        ``events`` int64 and ``value`` float64 (of the returning events in the period, whatever
        ``on`` says), ``revenue_retention`` float64 (``value`` of that of period 0: net revenue
        retention), ``complete`` boolean (the period was over for the whole cohort by
        ``observed_until``), ``observed`` boolean (the cohort did not begin before the log's
        ``observed_from``).

    Raises
    ------
    CxError
        For an unknown touchpoint, column or option, or brackets that do not rise.

    Warns
    -----
    CxWarning
        When values in several currencies are added up.

    Notes
    -----
    A calendar period counts whole: in period 0 a return counts wherever in the period it lies, and
    a start that is also a returning event counts itself. With brackets only events from the start
    on count. A cell that is not ``complete`` can only grow. Of a cohort that is not ``observed``
    the log has those who were still there when records began, and not what they did before: its
    rates are NaN, and not 0. A missing value counts 0;
    ``revenue_retention`` is NaN where period 0 has no value.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"], "touchpoint": ["buy", "buy", "buy", "buy"],
    ...      "occurred_at": ["2024-01-05", "2024-02-07", "2024-01-09", "2024-02-20"],
    ...      "value": [10.0, 8.0, 10.0, 5.0]},
    ...     observed_until="2024-02-29", closes_after=None,
    ... )
    >>> columns = ["cohort", "period", "n", "customers", "revenue_retention", "complete"]
    >>> retention(log)[columns]
          cohort  period  n  customers  revenue_retention  complete
    0 2024-01-01       0  2          2                1.0      True
    1 2024-01-01       1  2          1                0.4     False
    2 2024-02-01       0  1          1                1.0     False
    """
    check_period(period)
    for kind, given, known in [
        ("way to count a return", on, ["on", "on_or_after"]),
        ("kind of cohorts", cohorts, ["first", "recurring"]),
    ]:
        if given not in known:
            raise unknown_name(kind, given, known)
    edges = _edges(brackets) if brackets is not None else None
    if periods < 0:
        raise CxError(f"periods is {periods}, and must be at least 0")
    check_touchpoints(log, [*as_list(start), *as_list(returning)])
    events, groups = group_columns(log.events, by, taken=_RETENTION)
    recurring = cohorts == "recurring"
    starts = _only(events, start)
    if is_counted(events) and not (groups or recurring or as_list(start)):
        # The first event of a customer is the first one of a journey, and these are fewer.
        starts = log.journeys.select("cx_customer", occurred_at="started_at")
    # Read twice: for the size of a cohort, and for its returns.
    units = first_events(starts, groups, period, recurring=recurring, zone=log.timezone).cache()
    events = events.mutate(_at=number_periods(events.occurred_at, period, log.timezone))
    back = _only(events, returning)
    warn_of_currencies(back)
    back = _returns(back, units, groups, edges)
    cells = _cells(back, groups)
    sizes = units.group_by([*groups, "_cohort"]).aggregate(n=units.count()).to_pandas()
    last = periods if edges is None else len(edges) - 2
    until = clock_shows(log.observed_until, log.timezone)
    frame = _triangle(sizes, until, period, last, edges)
    keys = [*groups, "_cohort", "period"]
    frame = frame.merge(cells, how="left", on=keys, validate="one_to_one")
    if on == "on_or_after":
        frame["customers"] = _still_seen(frame, _latest(back, groups), groups)
    begin = pd.Timestamp.min
    if log.observed_from is not None:
        begin = pd.Timestamp(clock_shows(log.observed_from, log.timezone))
    return _rates(frame.assign(observed=frame["cohort"] >= begin), groups)


def _only(events: ir.Table, touchpoints: str | Sequence[str] | None) -> ir.Table:
    names = as_list(touchpoints)
    return events.filter(is_among(events.touchpoint, names)) if names else events


def _returns(
    events: ir.Table, units: ir.Table, groups: list[str], edges: list[timedelta] | None
) -> ir.Table:
    """Per customer, cohort and place: events and value."""
    customer = customer_key(events)
    if edges is None:
        # Counted per period first, so that the join is small, and each row is a place of its own.
        back = events.group_by([customer, "_at"]).aggregate(
            _n=events.count(), _sum=events.value.sum()
        )
        joined = units.join(back, customer).filter(lambda t: t._at >= t._cohort)
        return joined.mutate(_place=joined._at - joined._cohort)
    back = events.select(customer, "occurred_at", "value")
    joined = units.join(back, customer).filter(lambda t: t.occurred_at >= t._start)
    since = microseconds_between(joined.occurred_at, joined._start)
    bounds = [edge // timedelta(microseconds=1) for edge in edges[1:]]
    place = sum(((since >= bound).cast("int64") for bound in bounds), ibis.literal(0))
    joined = joined.mutate(_place=place.cast("int64"))
    per_unit = joined.group_by([*groups, customer, "_cohort", "_place"])
    return per_unit.aggregate(_n=joined.count(), _sum=joined.value.sum())


def _cells(back: ir.Table, groups: list[str]) -> pd.DataFrame:
    """Per cohort and place: customers, events and value."""
    cells = back.group_by([*groups, "_cohort", "_place"]).aggregate(
        customers=back.count(), events=back._n.sum(), value=back._sum.cast("float64").sum()
    )
    return cells.to_pandas().rename(columns={"_place": "period"})


def _latest(back: ir.Table, groups: list[str]) -> pd.DataFrame:
    """Per cohort and place: customers who were last seen there."""
    keys = [*groups, "_cohort"]
    last = back.group_by([*keys, customer_key(back)]).aggregate(_place=back._place.max())
    latest = last.group_by([*keys, "_place"]).aggregate(last=last.count())
    return latest.to_pandas().rename(columns={"_place": "period"})


def _triangle(
    sizes: pd.DataFrame,
    observed_until: datetime,
    period: str,
    last: int,
    edges: list[timedelta] | None,
) -> pd.DataFrame:
    """Every cell that had begun, and whether it was over."""
    places = pd.DataFrame({"period": range(last + 1)}, dtype="int64")
    frame = sizes.merge(places, how="cross")
    frame["cohort"] = period_starts(frame["_cohort"], period)
    if edges is None:
        begins = period_starts(frame["_cohort"] + frame["period"], period)
        ends = period_starts(frame["_cohort"] + frame["period"] + 1, period)
        frame["label"] = period + " " + frame["period"].astype(str)
    else:
        begins = frame["cohort"] + frame["period"].map(lambda at: edges[at])
        # The last customer of a cohort may have joined at the end of its period.
        joined = period_starts(frame["_cohort"] + 1, period)
        ends = joined + frame["period"].map(lambda at: edges[at + 1])
        spans = [f"{_say(low)} to {_say(high)} days" for low, high in pairwise(edges)]
        frame["label"] = frame["period"].map(lambda at: spans[at])
    frame["complete"] = is_over(ends, observed_until)
    return frame[begins <= pd.Timestamp(observed_until)]


def _still_seen(frame: pd.DataFrame, latest: pd.DataFrame, groups: list[str]) -> pd.Series:
    """Customers of each cell whose last return is in it or later."""
    keys = [*groups, "_cohort"]
    both = frame[[*keys, "period"]].reset_index().merge(latest, on=keys, suffixes=("", "_last"))
    counted = both[both["period_last"] >= both["period"]].groupby("index")["last"].sum()
    return counted.reindex(frame.index, fill_value=0)


def _rates(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    frame = frame.fillna({"customers": 0, "events": 0, "value": 0.0})
    counts = dict.fromkeys(("n", "customers", "events", "period"), "int64")
    frame = frame.astype(counts | {"value": "float64"})
    frame = frame.sort_values([*groups, "cohort", "period"], ignore_index=True)
    frame["retention"] = frame["customers"] / frame["n"]
    frame["lower"], frame["upper"] = wilson_interval(frame["customers"], frame["n"])
    # Every cohort has its period 0, and it comes first.
    base = frame.groupby([*groups, "cohort"])["value"].transform("first")
    frame["revenue_retention"] = frame["value"] / base.where(base != 0)
    rates = ["retention", "lower", "upper", "revenue_retention"]
    frame.loc[~frame["observed"], rates] = float("nan")
    return frame[[*groups, *_RETENTION]]


def _edges(brackets: Sequence[str]) -> list[timedelta]:
    """Bounds of the brackets, from 0."""
    bounds = [parse_span(bracket) for bracket in as_list(brackets)]
    edges = [timedelta(0), *bounds]
    if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
        raise CxError(
            f"the brackets {list(brackets)!r} do not rise; give the end of each, "
            "such as ['1 day', '7 days', '30 days']"
        )
    return edges


def _say(span: timedelta) -> str:
    return f"{span / _DAY:g}"
