"""Return: which customers start another journey after one has ended, when, and where."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import ibis
import pandas as pd

from cxlib.intervals import wilson_interval
from cxlib.journeys.log import Journeys, group_columns, named_groups
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_span
from cxlib.tables import END

__all__ = ["reentry"]

_MICROSECONDS_PER_DAY = 86_400_000_000
_REENTRY = [
    *("from_touchpoint", "to_touchpoint", "journeys", "customers", "n", "share", "lower", "upper"),
    *("median_days", "p95_days"),
]


@named_groups
def reentry(
    log: Journeys, *, within: str | timedelta, by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Journeys that ended and were followed by another one: from where, when and to where.

    Parameters
    ----------
    log
        The log, cut into journeys (``split_journeys``).
    within
        Span in which the next journey must start ("90 days"), from the last event of the one that
        ended, inclusive.
    by
        Column or columns of the events to count apart; a journey is in the group of its last event.

    Returns
    -------
    pandas.DataFrame
        One row per group, touchpoint at which journeys ended and touchpoint at which the next one
        began, most frequent first: the ``by`` columns, ``from_touchpoint`` and ``to_touchpoint``
        (text; "(end)" where the customer did not come back within the span), ``journeys`` int64,
        ``customers`` int64 (distinct), ``n`` int64 (journeys that ended at ``from_touchpoint``),
        ``share`` float64 (of ``n``) with ``lower`` and ``upper`` (Wilson, 95 %), ``median_days``
        and ``p95_days`` float64 (until the next journey; NaN for "(end)").

    Raises
    ------
    CxError
        For a span without unit, or an unknown ``by`` column.

    Notes
    -----
    Only journeys that ended at least ``within`` before ``observed_until`` are counted, whether the
    customer came back or not: the others have not had their time, and to count the quick ones among
    them alone would flatter. A journey that begins before the last one ended comes back after 0
    days. Intervals take journeys as independent.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, split_journeys
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["buy", "visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-02-10", "2024-01-01"]},
    ...     observed_until="2024-06-30", closes_after="7 days",
    ... )
    >>> columns = ["from_touchpoint", "to_touchpoint", "journeys", "n", "share", "median_days"]
    >>> reentry(split_journeys(log, gap="30 days"), within="60 days")[columns]
      from_touchpoint to_touchpoint  journeys  n  share  median_days
    0             buy         (end)         1  2    0.5          NaN
    1             buy         visit         1  2    0.5         40.0
    2           visit         (end)         1  1    1.0          NaN
    """
    span = parse_span(within)
    events, groups = group_columns(log.events, by, taken=_REENTRY)
    first = log.events.filter(log.events.step == 1)
    first = first.select("journey_id", "event_id", to_touchpoint="touchpoint")
    last = events.filter(events.next_at.isnull()).select(
        "journey_id", *groups, from_touchpoint=events.touchpoint
    )
    journeys = log.journeys.join(first, "journey_id").join(last, "journey_id")
    in_time = ibis.window(group_by="customer_id", order_by=["started_at", "event_id"])
    journeys = journeys.mutate(
        _next_at=journeys.started_at.lead().over(in_time),
        to_touchpoint=journeys.to_touchpoint.lead().over(in_time),
    )
    seen_until = ibis.literal(log.observed_until - span, type="timestamp")
    ended = journeys.filter(~journeys.is_open & (journeys.ended_at <= seen_until))
    wait = microseconds_between(ended._next_at, ended.ended_at)
    came = (wait <= span // timedelta(microseconds=1)).fill_null(False)
    days = ibis.greatest(wait, 0) / _MICROSECONDS_PER_DAY
    ended = ended.mutate(
        to_touchpoint=ibis.ifelse(came, ended.to_touchpoint, END),
        _days=ibis.ifelse(came, days, ibis.null("float64")),
    )
    counted = ended.group_by([*groups, "from_touchpoint", "to_touchpoint"]).aggregate(
        journeys=ended.count(),
        customers=ended.customer_id.nunique(),
        median_days=ended._days.median(),
        p95_days=ended._days.quantile(0.95),
    )
    frame = counted.to_pandas().astype({"median_days": "float64", "p95_days": "float64"})
    frame["n"] = frame.groupby([*groups, "from_touchpoint"])["journeys"].transform("sum")
    frame["share"] = frame["journeys"] / frame["n"]
    frame["lower"], frame["upper"] = wilson_interval(frame["journeys"], frame["n"])
    order = [*groups, "n", "from_touchpoint", "journeys", "to_touchpoint"]
    rising = [name not in ("n", "journeys") for name in order]
    return frame.sort_values(order, ascending=rising, ignore_index=True)[[*groups, *_REENTRY]]
