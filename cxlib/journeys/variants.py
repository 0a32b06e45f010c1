"""Common paths: the ways that journeys take most often, and how many of all they cover."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import wilson_interval
from cxlib.journeys.log import Journeys, group_columns, named_groups
from cxlib.journeys.patterns import follows, path_text
from cxlib.journeys.prepare import customer_key, microseconds_between

__all__ = ["common_paths"]

_COMMON_PATHS = [
    *("rank", "path", "touchpoints", "continues", "journeys", "customers", "open", "n", "share"),
    *("lower", "upper", "coverage", "paths", "median_hours"),
]
_MICROSECONDS_PER_HOUR = 3_600_000_000


@named_groups
def common_paths(
    log: Journeys,
    *,
    steps: int = 10,
    top: int = 20,
    loops: str = "keep",
    pattern: str | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Paths that journeys take most often, and the share of all journeys that they cover.

    Parameters
    ----------
    log
        The log.
    steps
        Touchpoints to compare from the start of each journey; what comes later is not looked at.
    top
        Paths to return, for each group.
    loops
        "keep" the path as it is, or "collapse" a touchpoint that directly repeats itself into one.
    pattern
        Count only journeys that follow it, such as ``"visit -> [^buy]* -> leave"``; with
        ``loops="collapse"`` it is held against the collapsed path. See Notes.
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event.

    Returns
    -------
    pandas.DataFrame
        One row per group and path, most frequent first within a group: the ``by`` columns (text),
        ``rank`` int64 (from 1), ``path`` (text, as a pattern: ``"visit -> buy"``),
        ``touchpoints`` (tuple of text), ``continues`` bool (these journeys go on after ``steps``),
        ``journeys`` and ``customers`` int64, ``open`` int64 (journeys of these that go on at
        ``observed_until``), ``n`` int64 (journeys of the group, those that follow ``pattern``),
        ``share`` float64 (of ``n``) with ``lower`` and ``upper`` (Wilson, 95 %), ``coverage``
        float64 (share of ``n`` from the first row down to this one), ``paths`` int64 (different
        paths of the group), ``median_hours`` float64 (first to last event of the whole journey).

    Raises
    ------
    CxError
        For a pattern that cannot be read, an unknown touchpoint or ``by`` column, or a number below
        its minimum.

    Notes
    -----
    Two journeys take the same path when their first ``steps`` touchpoints are the same and both or
    neither continue. Ties rule: paths of the same frequency stand, and are cut at ``top``, in
    alphabetical order of their touchpoints, a shorter path before a longer one that begins with it,
    and one that is over before one that continues. Events at the same time are taken in the order
    of their ``event_id``. Open journeys are counted with the path they have so far; they are not
    in ``median_hours``, because their end has not been seen, which is NaN where all are open.

    A pattern joins places with ``->``, each directly after the one before: a touchpoint, one of
    several ``[a|b]``, one that is none of them ``[^a|b]``, any one ``.``, any run ``*``. A ``*``
    (none or more), ``+`` (one or more) or ``?`` (none or one) may follow a place. ``^`` or
    ``(start)`` and ``$``, ``(end)`` or ``(open)`` tie it to the start and to the outcome; without
    them it may lie anywhere in the path. A name with marks of this grammar stands in quotes. The
    pattern sees the whole journey, beyond ``steps`` too.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "b", "c"],
    ...      "touchpoint": ["visit", "buy", "visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-02T10", "2024-01-02T16",
    ...                      "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> common_paths(log)[["path", "journeys", "open", "n", "coverage", "median_hours"]]
               path  journeys  open  n  coverage  median_hours
    0  visit -> buy         2     0  3  0.666667           4.0
    1         visit         1     1  3  1.000000           NaN
    >>> common_paths(log, pattern="^visit -> buy")["journeys"].to_list()
    [2]
    """
    for name, size in {"steps": steps, "top": top}.items():
        if size < 1:
            raise CxError(f"{name} is {size}, and must be at least 1")
    journeys, groups = _paths(log, steps, loops, pattern, by)
    key = [*groups, "touchpoints", "continues"]
    first = _first_paths(journeys, groups, top)
    # Customers and medians are dear: they are counted for the first paths alone, and no journey
    # that is longer than these is compared with them.
    longest = first.aggregate(_longest=first.touchpoints.length().max())
    short = journeys.cross_join(longest)
    short = short.filter(short.touchpoints.length() <= short._longest)
    joined = short.join(first.drop("journeys"), key)
    frame = (
        joined.group_by([*key, "rank", "n", "paths"])
        .aggregate(
            journeys=joined.count(),
            customers=joined[customer_key(joined)].nunique(),
            open=joined.is_open.cast("int64").sum(),
            median_hours=joined.hours.median(),
        )
        .to_pandas()
    )
    return _shares(frame, groups)


def _first_paths(journeys: ir.Table, groups: list[str], top: int) -> ir.Table:
    """The most frequent paths of each group with their rank, its journeys and its paths."""
    counts = journeys.group_by([*groups, "touchpoints", "continues"]).aggregate(
        journeys=journeys.count()
    )
    sizes = counts.group_by([*groups, "journeys"]).aggregate(_paths=counts.count())
    down = ibis.window(group_by=groups, order_by=sizes.journeys.desc(), preceding=None, following=0)
    sizes = sizes.mutate(_before=sizes._paths.sum().over(down) - sizes._paths)
    groups_of = sizes.group_by(groups).aggregate if groups else sizes.aggregate
    totals = groups_of(
        _fewest=sizes.journeys.min(where=sizes._before < top),
        n=(sizes.journeys * sizes._paths).sum().cast("int64"),
        paths=sizes._paths.sum().cast("int64"),
    )
    known = counts.join(totals, groups) if groups else counts.cross_join(totals)
    # Only paths that can be among the first are put in order.
    likely = known.filter(known.journeys >= known._fewest).drop("_fewest")
    order = [likely.journeys.desc(), likely.touchpoints, likely.continues]
    ranked = likely.mutate(
        rank=ibis.row_number().over(ibis.window(group_by=groups, order_by=order)) + 1
    )
    return ranked.filter(ranked["rank"] <= top)


def _paths(
    log: Journeys, steps: int, loops: str, pattern: str | None, by: str | Sequence[str] | None
) -> tuple[ir.Table, list[str]]:
    """One row per journey that counts: its group, the path it is known by, and its time."""
    if loops not in ("keep", "collapse"):
        raise unknown_name("way with loops", loops, ["keep", "collapse"])
    first, groups = group_columns(log.events.filter(log.events.step == 1), by, taken=_COMMON_PATHS)
    journeys = log.journeys
    if loops == "collapse":
        journeys = journeys.mutate(path=_collapse(journeys.path))
    if pattern is not None:
        journeys = journeys.filter(follows(log, journeys, pattern))
    lasted = microseconds_between(journeys.ended_at, journeys.started_at) / _MICROSECONDS_PER_HOUR
    journeys = journeys.select(
        "journey_id",
        customer_key(journeys),
        "is_open",
        touchpoints=journeys.path[:steps],
        continues=journeys.path.length() > steps,
        hours=ibis.ifelse(journeys.is_open, ibis.null("float64"), lasted.cast("float64")),
    )
    if groups:
        journeys = journeys.join(first.select("journey_id", *groups), "journey_id")
    return journeys, groups


def _collapse(path: ir.ArrayValue) -> ir.ArrayValue:
    # greatest(), because an engine may look at the place before the first one all the same.
    return path.filter(lambda name, i: (i == 0) | (name != path[ibis.greatest(i - 1, 0)]))


def _shares(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    whole = dict.fromkeys(["rank", "journeys", "customers", "open", "n", "paths"], "int64")
    frame = frame.astype({**whole, "continues": "bool", "median_hours": "float64"})
    frame = frame.sort_values([*groups, "rank"], ignore_index=True)
    so_far = frame.groupby(groups)["journeys"].cumsum() if groups else frame["journeys"].cumsum()
    lower, upper = wilson_interval(frame["journeys"], frame["n"])
    touchpoints = [tuple(path) for path in frame["touchpoints"]]
    frame = frame.assign(
        touchpoints=pd.Series(touchpoints, index=frame.index, dtype="object"),
        path=pd.Series(map(path_text, touchpoints), index=frame.index, dtype="object"),
        share=frame["journeys"] / frame["n"],
        lower=lower,
        upper=upper,
        coverage=so_far / frame["n"],
    )
    return frame[[*groups, *_COMMON_PATHS]]
