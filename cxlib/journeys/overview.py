"""The size and shape of a log in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import ibis.expr.types as ir
import pandas as pd

from cxlib.journeys.log import Journeys, group_columns, named_groups
from cxlib.journeys.prepare import microseconds_between

__all__ = ["summary"]

_SUMMARY = [
    *("customers", "journeys", "events", "ended", "open"),
    *("median_length", "median_duration_days"),
]
_MICROSECONDS_PER_DAY = 86_400_000_000


@named_groups
def summary(log: Journeys, *, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Customers, journeys and events of a log, and how long its journeys are.

    Parameters
    ----------
    log
        The log.
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event.

    Returns
    -------
    pandas.DataFrame
        One row per group, one row in all without ``by``: the ``by`` columns (text), ``customers``,
        ``journeys`` and ``events`` int64, ``ended`` and ``open`` int64 (journeys that ended, or
        still went on at ``observed_until``), ``median_length`` float64 (events per ended journey),
        ``median_duration_days`` float64 (days from the first to the last event of an ended
        journey).

    Raises
    ------
    CxError
        For a ``by`` column that does not exist or has too many values.

    Notes
    -----
    The medians are those of ended journeys, because open ones have not reached their length yet;
    they are NaN where no journey ended. Medians interpolate linearly. A log without events gives
    one row of zeros, or no row with ``by``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"], "touchpoint": ["visit", "buy", "visit", "ask"],
    ...      "occurred_at": ["2024-01-01", "2024-01-03", "2024-01-02", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> summary(log).T[0].to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'customers': 3.0, 'journeys': 3.0, 'events': 4.0, 'ended': 2.0, 'open': 1.0,
     'median_length': 1.5, 'median_duration_days': 1.0}
    """
    events, groups = group_columns(log.events, by, taken=_SUMMARY)
    journeys = _with_groups(log.journeys, events, groups)
    duration = microseconds_between(journeys.ended_at, journeys.started_at)
    counted = journeys.aggregate(
        by=groups,
        customers=journeys.customer_id.nunique(),
        journeys=journeys.count(),
        events=journeys.length.sum().fill_null(0),
        open=journeys.is_open.cast("int64").sum().fill_null(0),
        # Spark takes a condition beside a quantile, but not beside a median.
        median_length=journeys.length.quantile(0.5, where=~journeys.is_open),
        median_duration_days=(duration / _MICROSECONDS_PER_DAY).quantile(
            0.5, where=~journeys.is_open
        ),
    )
    frame = counted.to_pandas()
    whole = ["customers", "journeys", "events", "open"]
    medians = ["median_length", "median_duration_days"]
    frame[whole] = frame[whole].astype("int64")
    frame[medians] = frame[medians].astype("float64")
    frame["ended"] = frame["journeys"] - frame["open"]
    frame = frame.sort_values(groups, ignore_index=True) if groups else frame
    return frame[[*groups, *_SUMMARY]]


def _with_groups(journeys: ir.Table, events: ir.Table, groups: list[str]) -> ir.Table:
    if not groups:
        return journeys
    first = events.filter(events.step == 1).select("journey_id", *groups)
    return journeys.join(first, "journey_id")
