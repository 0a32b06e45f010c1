"""Paths: which touchpoint follows which, over a whole journey and step by step."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.counted import is_counted
from cxlib.journeys.log import Journeys, check_touchpoints, group_columns, named_groups
from cxlib.journeys.prepare import customer_key, microseconds_between
from cxlib.tables import END, OPEN, OTHER, START

__all__ = ["flows", "transitions"]

_LINK = ["from_touchpoint", "to_touchpoint"]
_TRANSITION = [
    *_LINK,
    *("count", "journeys", "customers", "share", "per_journey", "probability", "probability_in"),
    *("median_wait_hours", "p95_wait_hours"),
]
_FLOW = ["step", *_LINK, "journeys", "customers", "of_step"]
_MICROSECONDS_PER_HOUR = 3_600_000_000


@named_groups
def transitions(log: Journeys, *, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Moves from one touchpoint to the next, wherever they stand in a journey.

    Parameters
    ----------
    log
        The log.
    by
        Column or columns of the events to count apart; a move belongs to the group of the event it
        leaves, and a start to the group of the first event.

    Returns
    -------
    pandas.DataFrame
        One row per group and pair of touchpoints that occurs, most frequent first within a group:
        the ``by`` columns (text), ``from_touchpoint`` and ``to_touchpoint`` (text), ``count``
        int64 (moves), ``journeys`` and ``customers`` int64 (distinct ones with the move), ``share``
        float64 (of all moves of the group), ``per_journey`` float64 (moves per journey of the
        group), ``probability`` float64 (of the moves that leave ``from_touchpoint``),
        ``probability_in`` float64 (of the moves that reach ``to_touchpoint``),
        ``median_wait_hours`` and ``p95_wait_hours`` float64 (hours between the two events).

    Raises
    ------
    CxError
        For a ``by`` column that does not exist or has too many values.

    Notes
    -----
    Every journey has one move from ``(start)`` and one to ``(end)``, or to ``(open)`` when it goes
    on at ``observed_until``; these three have no wait (NaN). A group's journeys, the denominator of
    ``per_journey``, are those with an event in it. Events at the same time are taken in the order
    of their ``event_id``, and wait 0 hours. Quantiles interpolate linearly. A missing ``by`` value
    is the group "(none)".

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["visit", "visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-01T13", "2024-01-02T09"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["from_touchpoint", "to_touchpoint", "count", "probability", "median_wait_hours"]
    >>> transitions(log)[columns]
      from_touchpoint to_touchpoint  count  probability  median_wait_hours
    0         (start)         visit      2     1.000000                NaN
    1             buy         (end)      1     1.000000                NaN
    2           visit         (end)      1     0.333333                NaN
    3           visit           buy      1     0.333333                1.0
    4           visit         visit      1     0.333333                2.0
    """
    events, groups = group_columns(log.events, by, taken=_TRANSITION)
    frame = _count_moves(events, groups).union(_count_starts(events, groups)).to_pandas()
    if groups:
        journeys = events.group_by(groups).aggregate(_journeys=events.journey_id.nunique())
        frame = frame.merge(journeys.to_pandas(), on=groups, validate="many_to_one")
    else:
        # Every journey starts once.
        starts = frame["from_touchpoint"] == START
        frame["_journeys"] = frame["count"].where(starts, 0).sum()
    frame["share"] = frame["count"] / _total(frame, groups)
    frame["per_journey"] = frame["count"] / frame["_journeys"]
    frame["probability"] = frame["count"] / _total(frame, [*groups, "from_touchpoint"])
    frame["probability_in"] = frame["count"] / _total(frame, [*groups, "to_touchpoint"])
    waits = ["median_wait_hours", "p95_wait_hours"]
    frame[waits] = frame[waits].astype("float64")
    return _in_order(frame, groups, "count")[[*groups, *_TRANSITION]]


@named_groups
def flows(
    log: Journeys,
    *,
    steps: int = 6,
    keep: int = 8,
    around: str | None = None,
    before: int = 2,
    after: int = 4,
    occurrence: str = "first",
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Customers moving between touchpoints, by step.

    Parameters
    ----------
    log
        The log.
    steps
        Moves to follow from the start of each journey. Not used with ``around``.
    keep
        Touchpoints named per step, the most frequent ones (by name where equally frequent); the
        rest are bundled as ``(other)``.
    around
        A touchpoint to count from instead of the start; journeys without it are left out.
    before, after
        Moves to follow before and after ``around``.
    occurrence
        Which one to count from when a journey has ``around`` more than once: "first" or "last".
    by
        Column or columns of the events to count apart; a move belongs to the group of the event it
        leaves, and one from ``(start)`` to that of the first event. The named touchpoints are the
        same in all groups.

    Returns
    -------
    pandas.DataFrame
        One row per group, step and pair of nodes that occurs: the ``by`` columns (text), ``step``
        int64 (position of ``from_touchpoint``: from 1; with ``around`` the offset from it, which is
        0), ``from_touchpoint`` and ``to_touchpoint`` (text), ``journeys`` int64, ``customers``
        int64 (distinct, counted after bundling), ``of_step`` float64 (share of the journeys that
        move at this step in this group).

    Raises
    ------
    CxError
        For an unknown touchpoint or ``by`` column, or a number below its minimum.

    Notes
    -----
    A move goes from ``step`` to ``step + 1``. A journey has one event per step, so its journeys
    are also its transitions, and the totals reconcile: step 1 has every journey, and all steps
    together have every transition but those from ``(start)``. A journey's last move goes to
    ``(end)``, or to ``(open)`` when it goes on at ``observed_until``, and then it is gone: later
    steps do not carry it. With ``around`` a journey's first move comes from ``(start)`` where that
    lies within ``before``. Events at the same time are taken in the order of their ``event_id``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"], "touchpoint": ["visit", "buy", "visit", "ask"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> flows(log, keep=1)
       step from_touchpoint to_touchpoint  journeys  customers   of_step
    0     1         (other)        (open)         1          1  0.333333
    1     1           visit         (end)         1          1  0.333333
    2     1           visit           buy         1          1  0.333333
    3     2             buy         (end)         1          1  1.000000
    >>> flows(log, around="buy", before=1, after=1)
       step from_touchpoint to_touchpoint  journeys  customers  of_step
    0    -1           visit           buy         1          1      1.0
    1     0             buy         (end)         1          1      1.0
    """
    _check_sizes(steps=(steps, 1), keep=(keep, 1), before=(before, 0), after=(after, 0))
    events, groups = group_columns(log.events, by, taken=_FLOW)
    if around is None:
        placed, low, high = events.mutate(place=events.step), 1, steps
    else:
        _check_sizes(**{"before + after": (before + after, 1)})
        check_touchpoints(log, around)
        placed, low, high = _place_around(events, around, occurrence), -before, after - 1
    links = _links(placed, groups, from_start=around is not None)
    links = links.filter(links.step.between(low, high))
    counted = _count_links(links, groups, keep, high)
    frame = counted.to_pandas()
    frame["of_step"] = frame["journeys"] / _total(frame, [*groups, "step"], "journeys")
    return _in_order(frame, [*groups, "step"], "journeys")[[*groups, *_FLOW]]


def _count_moves(events: ir.Table, groups: list[str]) -> ir.Table:
    """Moves that leave a touchpoint, per pair."""
    if is_counted(events) and not groups:
        journeys, customers = events.cx_new_to_journey.sum(), events.cx_new_to_customer.sum()
    else:
        journeys, customers = events.journey_id.nunique(), events[customer_key(events)].nunique()
    waits = microseconds_between(events.next_at, events.occurred_at)
    counted = events.group_by(
        *groups, from_touchpoint=events.touchpoint, to_touchpoint=events.next_touchpoint
    ).aggregate(
        count=events.count(),
        journeys=journeys.cast("int64"),
        customers=customers.cast("int64"),
        # Together, because the engine then gathers the waits once.
        _waits=waits.quantile([0.5, 0.95]),
    )
    return counted.mutate(
        median_wait_hours=counted._waits[0] / _MICROSECONDS_PER_HOUR,
        p95_wait_hours=counted._waits[1] / _MICROSECONDS_PER_HOUR,
    ).drop("_waits")


def _count_starts(events: ir.Table, groups: list[str]) -> ir.Table:
    """Starts of journeys, per touchpoint."""
    first = events.filter(events.step == 1)
    alone = _is_alone(first)
    counted = first.group_by(*groups, to_touchpoint=first.touchpoint).aggregate(
        _n=first.count(),
        _alone=first.count(where=alone),
        _others=first[customer_key(first)].nunique(where=~alone),
    )
    return counted.select(
        *groups,
        from_touchpoint=ibis.literal(START),
        to_touchpoint=counted.to_touchpoint,
        count=counted._n,
        journeys=counted._n,
        customers=(counted._alone + counted._others).cast("int64"),
        median_wait_hours=ibis.null("float64"),
        p95_wait_hours=ibis.null("float64"),
    )


def _is_alone(rows: ir.Table) -> ir.BooleanValue:
    """Whether a row is known to be its customer's only one at its step: nothing to compare."""
    return rows.cx_alone if "cx_alone" in rows.columns else ibis.literal(False)


def _place_around(events: ir.Table, around: str, occurrence: str) -> ir.Table:
    """Events of the journeys that have the anchor, placed by their offset from it."""
    if occurrence not in ("first", "last"):
        raise unknown_name("occurrence", occurrence, ["first", "last"])
    anchors = events.filter(events.touchpoint == around)
    step = anchors.step.min() if occurrence == "first" else anchors.step.max()
    anchors = anchors.group_by("journey_id").aggregate(anchor_step=step)
    # Journeys of a customer that are apart by their step may meet by their place.
    kept = [name for name in events.columns if name != "cx_alone"]
    placed = events.select(kept).join(anchors, "journey_id")
    return placed.mutate(place=placed.step - placed.anchor_step)


def _links(placed: ir.Table, groups: list[str], *, from_start: bool) -> ir.Table:
    """One row per journey and step: the node it leaves and the node it reaches."""
    key = [name for name in (customer_key(placed), "cx_alone") if name in placed.columns]
    links = placed.select(
        *groups,
        *key,
        step=placed.place,
        from_touchpoint=placed.touchpoint,
        to_touchpoint=placed.next_touchpoint,
    )
    if not from_start:
        return links
    first = placed.filter(placed.step == 1)
    starts = first.select(
        *groups,
        *key,
        step=first.place - 1,
        from_touchpoint=ibis.literal(START),
        to_touchpoint=first.touchpoint,
    )
    return links.union(starts)


def _count_links(links: ir.Table, groups: list[str], keep: int, high: int) -> ir.Table:
    """Journeys and customers per link, once all but the most frequent touchpoints are bundled."""
    keys = [*groups, "step", *_LINK]
    exact = links.group_by(keys).aggregate(
        journeys=links.count(), _alone=links.count(where=_is_alone(links))
    )
    exact = exact.mutate(_from=exact.from_touchpoint, _to=exact.to_touchpoint)
    bundled = _bundle(exact, _most_frequent(exact, keep, high))
    # Numbers, because an engine compares them sooner than names.
    number = ibis.dense_rank().over(ibis.window(order_by=keys))
    bundled = bundled.mutate(_link=number.cast("int32"))
    others = _customers_of(links.filter(~_is_alone(links)), bundled, groups)
    counted = bundled.group_by([*keys, "_link"]).aggregate(
        journeys=bundled.journeys.sum().cast("int64"), _alone=bundled._alone.sum().cast("int64")
    )
    counted = counted.left_join(others, "_link")
    customers = counted._alone + counted._others.fill_null(0)
    return counted.select(*keys, "journeys", customers=customers.cast("int64"))


def _customers_of(links: ir.Table, bundled: ir.Table, groups: list[str]) -> ir.Table:
    """Distinct customers per number of a bundled link."""
    numbers = bundled.select(
        *groups,
        "step",
        "_link",
        from_touchpoint=bundled._from,
        to_touchpoint=bundled._to,
    )
    numbered = links.join(numbers, [*groups, "step", *_LINK])
    who = numbered[customer_key(links)]
    # Pairs of 8 bytes: to tell a hundred million of them apart is bound by memory.
    who = who.cast("int32") if who.type().is_integer() else who
    distinct = numbered.select("_link", who=who).distinct()
    return distinct.group_by("_link").aggregate(_others=distinct.count())


def _most_frequent(exact: ir.Table, keep: int, high: int) -> ir.Table:
    """The touchpoints that are named at each place."""
    left = exact.filter(exact.from_touchpoint != START)
    left = left.select(place=left.step, touchpoint=left.from_touchpoint, n=left.journeys)
    # What the last move reaches is left by none.
    last = exact.filter((exact.step == high) & ~exact.to_touchpoint.isin([END, OPEN]))
    last = last.select(place=last.step + 1, touchpoint=last.to_touchpoint, n=last.journeys)
    shown = left.union(last)
    counts = shown.group_by("place", "touchpoint").aggregate(n=shown.n.sum())
    order = ibis.window(group_by="place", order_by=[counts.n.desc(), counts.touchpoint])
    ranked = counts.mutate(rank=ibis.row_number().over(order))
    return ranked.filter(ranked.rank < keep).select("place", "touchpoint")


def _bundle(links: ir.Table, named: ir.Table) -> ir.Table:
    """Links whose touchpoints are ``(other)`` where they are not named at their place."""
    start = named.select(step="place", from_touchpoint="touchpoint", from_name="touchpoint")
    end = named.select(step=named.place - 1, to_touchpoint="touchpoint", to_name="touchpoint")
    joined = links.left_join(start, ["step", "from_touchpoint"], rname="{name}_start")
    joined = joined.left_join(end, ["step", "to_touchpoint"], rname="{name}_end")
    from_own = ibis.ifelse(joined.from_touchpoint == START, START, OTHER)
    outcome = joined.to_touchpoint.isin([END, OPEN])
    to_own = ibis.ifelse(outcome, joined.to_touchpoint, OTHER)
    return joined.mutate(
        from_touchpoint=joined.from_name.coalesce(from_own),
        to_touchpoint=joined.to_name.coalesce(to_own),
    ).select(links.columns)


def _total(frame: pd.DataFrame, keys: list[str], column: str = "count") -> pd.Series | int:
    """Sum of the column over the rows that share the keys, for each row."""
    return frame.groupby(keys)[column].transform("sum") if keys else frame[column].sum()


def _in_order(frame: pd.DataFrame, first: list[str], count: str) -> pd.DataFrame:
    """Rows by the first columns, then the most frequent first, then by name."""
    keys = [*first, count, *_LINK]
    ascending = [key != count for key in keys]
    return frame.sort_values(keys, ascending=ascending, ignore_index=True)


def _check_sizes(**sizes: tuple[int, int]) -> None:
    for name, (size, smallest) in sizes.items():
        if size < smallest:
            raise CxError(f"{name} is {size}, and must be at least {smallest}")
