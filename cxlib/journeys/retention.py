"""Retention: who stays, and who comes and goes, from period to period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import wilson_interval
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, group_columns
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_span

__all__ = ["lifecycle", "retention", "stickiness"]

PERIODS = ("day", "week", "month", "quarter", "year")
ORDER = ("occurred_at", "event_id")
_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)
_MICROSECONDS_PER_DAY = 86_400_000_000
_RETENTION = [
    *("cohort", "period", "label", "n", "customers", "retention", "lower", "upper"),
    *("events", "value", "revenue_retention", "complete"),
]
_LIFECYCLE = ["period", "active", "new", "returning", "resurrected", "dormant", "complete"]
_STICKINESS = ["active_periods", "customers", "n", "share", "at_least"]


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
        "quarter" or "year", by the calendar, UTC.
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
        ``observed_until``).

    Raises
    ------
    CxError
        For an unknown touchpoint, column or option, or brackets that do not rise.

    Notes
    -----
    A calendar period counts whole: in period 0 a return counts wherever in the period it lies, and
    a start that is also a returning event counts itself. With brackets only events from the start
    on count. A cell that is not ``complete`` can only grow. A missing value counts 0;
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
    _check_period(period)
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
    last = periods if edges is None else len(edges) - 2
    events, groups = group_columns(log.events, by, taken=_RETENTION)
    events = events.mutate(_at=_index(events.occurred_at, period))
    units = _units(_only(events, start), groups, recurring=cohorts == "recurring")
    back = _returns(_only(events, returning), units, groups, edges)
    cells, latest = _cells(back, groups)
    sizes = units.group_by([*groups, "_cohort"]).aggregate(n=units.count()).to_pandas()
    last = periods if edges is None else len(edges) - 2
    frame = _triangle(sizes, log.observed_until, period, last, edges)
    keys = [*groups, "_cohort", "period"]
    frame = frame.merge(cells, how="left", on=keys, validate="one_to_one")
    if on == "on_or_after":
        frame["customers"] = _still_seen(frame, latest, groups)
    return _rates(frame, groups)


def lifecycle(
    log: Journeys, *, period: str = "month", by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Customers who are new, stay, come back and fall silent, in every period.

    Parameters
    ----------
    log
        The log.
    period
        "day", "week" (from Monday), "month", "quarter" or "year", by the calendar, UTC.
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
    _check_period(period)
    events, groups = group_columns(log.events, by, taken=_LIFECYCLE)
    active = _units(events.mutate(_at=_index(events.occurred_at, period)), groups, recurring=True)
    in_time = ibis.window(group_by="customer_id", order_by="_cohort")
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
    return _periods(counted.to_pandas(), groups, period, log.observed_until)


def stickiness(
    log: Journeys, *, period: str = "day", by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Customers by the number of periods in which they are active.

    Parameters
    ----------
    log
        The log; keep the events of the time of interest first (``keep_events(since=, until=)``).
    period
        "day", "week" (from Monday), "month", "quarter" or "year", by the calendar, UTC.
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
    _check_period(period)
    events, groups = group_columns(log.events, by, taken=_STICKINESS)
    events = events.mutate(_at=_index(events.occurred_at, period))
    places = events.group_by("customer_id").aggregate(active_periods=events._at.nunique())
    first = _units(events, groups, recurring=False).select("customer_id", *groups)
    joined = places.join(first, "customer_id")
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


def _only(events: ir.Table, touchpoints: str | Sequence[str] | None) -> ir.Table:
    names = as_list(touchpoints)
    return events.filter(events.touchpoint.isin(names)) if names else events


def _index(time: ir.TimestampValue, period: str) -> ir.IntegerValue:
    """Number of the period that holds a time: pandas' own, so that 0 holds 1970-01-01."""
    if period in ("day", "week"):
        since = microseconds_between(time, ibis.literal(_EPOCH, type="timestamp"))
        days = (since / _MICROSECONDS_PER_DAY).floor()
        # 1970-01-01 was a Thursday, three days into its week.
        return (days if period == "day" else ((days + 3) / 7).floor()).cast("int64")
    part = {"month": time.month() - 1, "quarter": time.quarter() - 1, "year": 0}[period]
    per_year = {"month": 12, "quarter": 4, "year": 1}[period]
    return ((time.year() - 1970) * per_year + part).cast("int64")


def _moments(numbers: pd.Series, period: str) -> pd.Series:
    """First moment of each numbered period."""
    if period in ("day", "week"):
        days = numbers if period == "day" else numbers * 7 - 3
        return (pd.Timestamp(_EPOCH) + pd.to_timedelta(days, unit="D")).astype("datetime64[us]")
    months = numbers.astype("int64").to_numpy() * {"month": 1, "quarter": 3, "year": 12}[period]
    moments = months.astype("datetime64[M]").astype("datetime64[us]")
    return pd.Series(moments, index=numbers.index)


def _number(moment: datetime, period: str) -> int:
    """Number of the period that holds a moment."""
    days = (moment - _EPOCH) // _DAY
    if period in ("day", "week"):
        return days if period == "day" else (days + 3) // 7
    months = (moment.year - 1970) * 12 + moment.month - 1
    return months // {"month": 1, "quarter": 3, "year": 12}[period]


def _units(starts: ir.Table, groups: list[str], *, recurring: bool) -> ir.Table:
    """One row per customer, or per customer and period, with the event that starts it."""
    key = ["customer_id", "_at"] if recurring else ["customer_id"]
    order = ibis.window(group_by=key, order_by=ORDER)
    starts = starts.mutate(_rank=ibis.row_number().over(order))
    starts = starts.filter(starts._rank == 0)
    return starts.select(*groups, "customer_id", _cohort="_at", _start="occurred_at")


def _returns(
    events: ir.Table, units: ir.Table, groups: list[str], edges: list[timedelta] | None
) -> ir.Table:
    """Per customer, cohort and place: events and value."""
    value = events.value.fill_null(0.0).cast("float64")
    if edges is None:
        # Counted per period first, so that the join is small.
        back = events.group_by(["customer_id", "_at"]).aggregate(
            _n=events.count(), _sum=value.sum()
        )
        joined = units.join(back, "customer_id").filter(lambda t: t._at >= t._cohort)
        joined = joined.mutate(_place=joined._at - joined._cohort)
    else:
        back = events.select("customer_id", "occurred_at", _n=ibis.literal(1), _sum=value)
        joined = units.join(back, "customer_id").filter(lambda t: t.occurred_at >= t._start)
        since = microseconds_between(joined.occurred_at, joined._start)
        bounds = [edge // timedelta(microseconds=1) for edge in edges[1:]]
        place = sum(((since >= bound).cast("int64") for bound in bounds), ibis.literal(0))
        joined = joined.mutate(_place=place.cast("int64"))
    per_unit = joined.group_by([*groups, "customer_id", "_cohort", "_place"])
    return per_unit.aggregate(_n=joined._n.sum(), _sum=joined._sum.sum())


def _cells(back: ir.Table, groups: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Per cohort and place: customers, events and value; and customers whose last place it is."""
    keys = [*groups, "_cohort"]
    cells = back.group_by([*keys, "_place"]).aggregate(
        customers=back.count(), events=back._n.sum(), value=back._sum.sum()
    )
    last = back.group_by([*keys, "customer_id"]).aggregate(_place=back._place.max())
    latest = last.group_by([*keys, "_place"]).aggregate(last=last.count())
    return (
        cells.to_pandas().rename(columns={"_place": "period"}),
        latest.to_pandas().rename(columns={"_place": "period"}),
    )


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
    frame["cohort"] = _moments(frame["_cohort"], period)
    if edges is None:
        begins = _moments(frame["_cohort"] + frame["period"], period)
        ends = _moments(frame["_cohort"] + frame["period"] + 1, period)
        frame["label"] = period + " " + frame["period"].astype(str)
    else:
        begins = frame["cohort"] + frame["period"].map(lambda at: edges[at])
        # The last customer of a cohort may have joined at the end of its period.
        joined = _moments(frame["_cohort"] + 1, period)
        ends = joined + frame["period"].map(lambda at: edges[at + 1])
        spans = [f"{_say(low)} to {_say(high)} days" for low, high in pairwise(edges)]
        frame["label"] = frame["period"].map(lambda at: spans[at])
    # An event at observed_until itself has been seen.
    frame["complete"] = ends <= pd.Timestamp(observed_until) + pd.Timedelta(1, "us")
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
    return frame[[*groups, *_RETENTION]]


def _periods(
    counted: pd.DataFrame, groups: list[str], period: str, observed_until: datetime
) -> pd.DataFrame:
    """Every period of every group, with those who fell silent in the one before."""
    now = _number(observed_until, period)
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
    frame["period"] = _moments(frame["_cohort"], period)
    over = _moments(frame["_cohort"] + 1, period)
    frame["complete"] = over <= pd.Timestamp(observed_until) + pd.Timedelta(1, "us")
    return frame.sort_values(keys, ignore_index=True)[[*groups, *_LIFECYCLE]]


def _every_group(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """One row per group, one row in all without groups."""
    return frame[groups].drop_duplicates() if groups else pd.DataFrame(index=[0])


def _sums(frame: pd.DataFrame, keys: list[str], column: str) -> pd.Series | int:
    """Sum of the column over the rows that share the keys, for each row."""
    return frame.groupby(keys)[column].transform("sum") if keys else int(frame[column].sum())


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


def _check_period(period: str) -> None:
    if period not in PERIODS:
        raise unknown_name("period", period, PERIODS)
