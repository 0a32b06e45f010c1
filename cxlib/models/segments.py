"""Segments: groups of customers that are computed, as of a date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.log import Journeys, check_touchpoints
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_moment
from cxlib.tables import warn_of_currencies

__all__ = ["RFM_SEGMENTS", "rfm_segments"]

RFM_SEGMENTS = {
    "champions": ((4, 5), (8, 10)),
    "loyal": ((4, 5), (5, 7)),
    "promising": ((4, 5), (2, 4)),
    "cooling": ((3, 3), (8, 10)),
    "steady": ((3, 3), (5, 7)),
    "occasional": ((3, 3), (2, 4)),
    "at risk": ((1, 2), (8, 10)),
    "slipping": ((1, 2), (5, 7)),
    "hibernating": ((1, 2), (2, 4)),
}
"""Segment: lowest and highest recency score, lowest and highest frequency + monetary score."""

_COLUMNS = [
    *("customer_id", "as_of", "recency_days", "frequency", "monetary"),
    *("recency_score", "frequency_score", "monetary_score", "segment"),
]
_MICROSECONDS_PER_DAY = 86_400_000_000


def rfm_segments(
    log: Journeys,
    *,
    as_of: str | date | datetime,
    money: str = "value",
    touchpoints: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Customers by how recently, how often and for how much they came, as of a date.

    Parameters
    ----------
    log
        The log.
    as_of
        Only events strictly before this moment (UTC) count, so that the segments may be used for
        what happens from it on.
    money
        Column of the events with an amount.
    touchpoints
        Events that count, such as purchases; all when not given.

    Returns
    -------
    pandas.DataFrame
        One row per customer who has such an event before ``as_of``, by ``customer_id``:
        ``customer_id`` (text), ``as_of`` (datetime, UTC), ``recency_days`` int64 (whole days since
        the last event), ``frequency`` int64 (events), ``monetary`` float64 (sum of ``money``, in
        its currency), ``recency_score``, ``frequency_score`` and ``monetary_score`` int64 (1
        lowest to 5 best), ``segment`` (text).

    Raises
    ------
    CxError
        For an unknown touchpoint or column, a column that is not a number, or an ``as_of`` after
        ``observed_until``.

    Warns
    -----
    CxWarning
        When values in several currencies are added up.

    Notes
    -----
    A score is 1 plus the number of whole fifths of the customers who are strictly worse: fewer
    events, less money, or more days since the last. Equal values have equal scores, whatever the
    order of rows, so that fifths are unequal where many customers tie. A missing amount counts
    as 0. Customers who tie with everybody have a score of 1.

    The segments by recency score, and frequency + monetary score:

    ============  ===========  ===========  ===========
    recency       8 to 10      5 to 7       2 to 4
    ============  ===========  ===========  ===========
    4 to 5        champions    loyal        promising
    3             cooling      steady       occasional
    1 to 2        at risk      slipping     hibernating
    ============  ===========  ===========  ===========

    References
    ----------
    Hughes (1994), Strategic Database Marketing, for quintiles of recency, frequency and money.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "b", "b", "c"], "touchpoint": ["bought"] * 4,
    ...      "occurred_at": ["2024-01-01", "2024-03-01", "2024-03-05", "2024-02-01"],
    ...      "value": [20.0, 30.0, 40.0, 10.0]},
    ...     observed_until="2024-04-01", closes_after=None,
    ... )
    >>> columns = ["customer_id", "recency_days", "frequency", "monetary", "segment"]
    >>> rfm_segments(log, as_of="2024-03-06")[columns]
      customer_id  recency_days  frequency  monetary     segment
    0           a            65          1      20.0 hibernating
    1           b             1          2      70.0   champions
    2           c            34          1      10.0 hibernating
    """
    moment = _check(log, as_of, money)
    events = log.events
    if touchpoints is not None:
        events = events.filter(events.touchpoint.isin(check_touchpoints(log, touchpoints)))
    # < not <=: what happens at as_of belongs to the time that the segments are used for.
    events = events.filter(events.occurred_at < _literal(moment))
    warn_of_currencies(events, money)
    customers = events.group_by("customer_id").aggregate(
        last_at=events.occurred_at.max(),
        frequency=events.count().cast("int64"),
        monetary=events[money].sum().fill_null(0).cast("float64"),
    )
    silence = microseconds_between(_literal(moment), customers.last_at)
    customers = customers.mutate(
        as_of=_literal(moment),
        recency_days=(silence / _MICROSECONDS_PER_DAY).floor().cast("int64"),
    )
    scored = _score(customers)
    return scored.select(_COLUMNS).order_by("customer_id").to_pandas()


def _check(log: Journeys, as_of: str | date | datetime, money: str) -> datetime:
    moment = parse_moment(as_of)
    if moment > log.observed_until:
        raise CxError(
            f"as_of {moment.isoformat()} is after observed_until {log.observed_until.isoformat()}: "
            "what happened between is not known; give an earlier one"
        )
    if money not in log.events.columns:
        raise unknown_name("column", money, log.events.columns, "in the log")
    if not log.events[money].type().is_numeric():
        raise CxError(f"the column {money!r} is {log.events[money].type()}, and must be a number")
    return moment


def _score(customers: ir.Table) -> ir.Table:
    n = customers.count().over(ibis.window())

    def score(worst_first: ir.Value) -> ir.IntegerValue:
        # rank() counts the rows that are strictly before, from 0: equal values are equal.
        strictly_worse = ibis.rank().over(ibis.window(order_by=worst_first))
        return (strictly_worse * 5 / n).floor().cast("int64") + 1

    scored = customers.mutate(
        recency_score=score(customers.recency_days.desc()),
        frequency_score=score(customers.frequency.asc()),
        monetary_score=score(customers.monetary.asc()),
    )
    worth = scored.frequency_score + scored.monetary_score
    names = [
        (scored.recency_score.between(*recency) & worth.between(*both), name)
        for name, (recency, both) in RFM_SEGMENTS.items()
    ]
    return scored.mutate(segment=ibis.cases(*names))


def _literal(moment: datetime) -> ir.TimestampScalar:
    return ibis.literal(moment, type="timestamp")
