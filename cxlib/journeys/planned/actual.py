"""The steps of a plan as they really happen: how often, how soon and with what sentiment."""

from __future__ import annotations

from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from scipy import special

from cxlib.intervals import check_confidence, wilson_interval
from cxlib.journeys.log import Journeys
from cxlib.journeys.maps import MAP_COLUMNS, JourneyMap
from cxlib.journeys.prepare import microseconds_between

__all__ = ["actual_steps"]

_HOUR = 3_600_000_000
_MICROSECOND = timedelta(microseconds=1)
_ACTUAL = [
    *("journeys", "n", "share", "lower", "upper", "median_hours", "waits", "within_target"),
    *("scored", "sentiment", "sentiment_lower", "sentiment_upper"),
]


def actual_steps(
    log: Journeys, journey_map: JourneyMap, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Steps of the plan with what really happens at each, for ``plot.journey_map``.

    Parameters
    ----------
    log
        The log.
    journey_map
        The plan.
    confidence
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        The rows and columns of ``JourneyMap.frame`` and: ``journeys`` int64 (that have the step),
        ``n`` int64 (all journeys), ``share`` float64 (of ``n``) with ``lower`` and ``upper``
        (Wilson), ``median_hours`` float64 (since the planned event before it, at its first
        occurrence) over ``waits`` int64 (journeys that have one before it), ``within_target``
        float64 (of ``waits``; NaN without a target), ``scored`` int64 (events with a sentiment),
        ``sentiment`` float64 (their mean) with ``sentiment_lower`` and ``sentiment_upper`` (normal
        approximation).

    Raises
    ------
    CxError
        For a confidence outside (0, 1).

    Notes
    -----
    A step that is planned twice has the same figures at both places. Open journeys count, so a
    late step has a share that can still grow. Where nothing is known, the figure is NaN.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-03", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> plan = JourneyMap(name="Order", stages=[{"stage": "all", "steps": ["visit", "buy"]}])
    >>> actual_steps(log, plan)[["touchpoint", "journeys", "n", "share", "median_hours"]]
      touchpoint  journeys  n  share  median_hours
    0      visit         2  2    1.0           NaN
    1        buy         1  2    0.5          48.0
    """
    check_confidence(confidence)
    counted = _count(log, journey_map).to_pandas().set_index("touchpoint")
    frame = journey_map.frame()
    found = counted.reindex(frame["touchpoint"]).reset_index(drop=True).astype("float64")
    n = int(log.journeys.count().to_pandas())
    whole = found[["journeys", "waits", "scored"]].fillna(0).astype("int64")
    frame = frame.join(whole).join(found[["median_hours", "sentiment"]]).assign(n=n)
    frame["share"] = frame["journeys"] / (n or float("nan"))
    frame["lower"], frame["upper"] = wilson_interval(frame["journeys"], frame["n"], confidence)
    in_time = found["in_time"] / frame["waits"].where(frame["waits"] > 0)
    frame["within_target"] = in_time.where(frame["target_hours"].notna())
    error = (found["variance"] / frame["scored"].where(frame["scored"] > 1)) ** 0.5
    half = special.ndtri(0.5 + confidence / 2) * error
    frame["sentiment_lower"] = (frame["sentiment"] - half).clip(lower=-1)
    frame["sentiment_upper"] = (frame["sentiment"] + half).clip(upper=1)
    return frame[[*MAP_COLUMNS, *_ACTUAL]]


def _count(log: Journeys, journey_map: JourneyMap) -> ir.Table:
    """One row per label of the plan that occurs."""
    label_of, targets = journey_map.label_of, _targets(journey_map)
    events = log.events.filter(log.events.touchpoint.isin(list(label_of)))
    events = events.mutate(_label=events.touchpoint.cases(*label_of.items(), else_=""))
    journey = ibis.window(group_by="journey_id", order_by="step")
    same = ibis.window(group_by=["journey_id", "_label"], order_by="step")
    events = events.mutate(
        _wait=microseconds_between(events.occurred_at, events.occurred_at.lag().over(journey)),
        _first=ibis.row_number().over(same) == 0,
    )
    limit = ibis.null("int64")
    if targets:
        limit = events._label.cases(*targets.items(), else_=ibis.null("int64"))
    waited = events._first & events._wait.notnull()
    in_time = waited & (events._wait <= limit).fill_null(False)
    return events.group_by(touchpoint=events._label).aggregate(
        journeys=events.count(where=events._first),
        waits=events.count(where=waited),
        in_time=events.count(where=in_time),
        # The condition stands in the value: Spark takes no condition beside a quantile.
        median_hours=ibis.ifelse(waited, events._wait / _HOUR, ibis.null("float64")).median(),
        scored=events.sentiment.count(),
        sentiment=events.sentiment.mean(),
        variance=events.sentiment.var(how="sample"),
    )


def _targets(journey_map: JourneyMap) -> dict[str, int]:
    """Target of each label in microseconds; the first where it is planned twice."""
    members = [one for step in reversed(journey_map.steps) for one in step.members]
    return {
        one.label: one.target_time // _MICROSECOND for one in members if one.target_time is not None
    }
