"""Stages: how long customers stay in each, and how they move between them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.intervals import check_confidence, wilson_interval
from cxlib.journeys.log import Journeys, as_list, group_columns, named_groups
from cxlib.journeys.maps import JourneyMap
from cxlib.journeys.prepare import microseconds_between
from cxlib.tables import END, OPEN, START

__all__ = ["stage_times", "stage_transitions"]

_TIMES = [
    *("stage", "n", "left", "ended", "open", "median_hours", "p90_hours"),
    *("target_hours", "within_target", "lower", "upper"),
]
_MOVES = [
    *("from_stage", "to_stage", "direction", "skipped", "count", "n", "probability"),
    *("lower", "upper", "median_hours"),
]
_SECOND = 1_000_000
_HOUR = 3_600 * _SECOND
_WEEK = 168 * _HOUR


@named_groups
def stage_times(
    log: Journeys,
    stages: JourneyMap | str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Time that journeys stay in each stage; stays that still go on are censored.

    Parameters
    ----------
    log
        The log.
    stages
        A journey map, whose touchpoints say what stage an event is in; or the stages in order, as
        the column ``stage`` of the events names them.
    by
        Column or columns of the events to count apart; a stay belongs to the group of its first
        event.
    confidence
        Coverage of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per group and stage that occurs, in the order of the stages: the ``by`` columns
        (text), ``stage`` (text), ``n`` int64 (stays), ``left``, ``ended`` and ``open`` int64 (stays
        that went over to another stage, were the last of an ended journey, or still go on),
        ``median_hours`` and ``p90_hours`` float64 (Kaplan-Meier; NaN where too few stays have
        ended to say), ``target_hours`` float64 (of the map; NaN without), ``within_target`` float64
        (share of stays that end by then, estimated) with ``lower`` and ``upper`` (Greenwood, on the
        log-log scale; NaN where the estimate is 0 or 1).

    Raises
    ------
    CxError
        For an unknown ``by`` column, or when no event has one of the stages.

    Notes
    -----
    A stay goes from the first event in a stage to the first one in another stage, so that the wait
    in between belongs to the stage that was not left yet. A journey that comes back stays anew.
    The last stay of an ended journey goes to the journey's last event; that of an open one to
    ``observed_until``, censored. Events without any of the stages do not interrupt a stay. Times
    are rounded down to seconds below an hour, to minutes below a week, and else to hours. A
    quantile is the first time at which at most the rest of the stays goes on. Intervals take stays
    as independent.

    References
    ----------
    Kaplan and Meier (1958), Journal of the American Statistical Association 53, 457-481.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "stage": ["choose", "buy", "choose"],
    ...      "occurred_at": ["2024-01-01", "2024-01-03", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["stage", "n", "left", "ended", "open", "median_hours"]
    >>> stage_times(log, ["choose", "buy"])[columns]
        stage  n  left  ended  open  median_hours
    0  choose  2     1      0     1          48.0
    1     buy  1     0      1     0           0.0
    """
    check_confidence(confidence)
    order = _order(stages)
    stays, groups = _stays(log, stages, by, _TIMES)
    duration = _rounded(stays.duration)
    ending = ibis.cases(
        (stays.to_stage == END, "ended"), (stays.to_stage == OPEN, "open"), else_="left"
    )
    stays = stays.mutate(_duration=duration, _ending=ending)
    keys = [*groups, "stage", "_ending", "_duration"]
    counted = stays.group_by(keys).aggregate(n=stays.count()).to_pandas()
    targets = _targets(stages)
    rows = []
    for key, part in counted.groupby([*groups, "stage"], sort=False):
        target = targets.get(str(key[-1]))
        rows.append((*key, *_row(part, target, confidence)))
    frame = pd.DataFrame(rows, columns=[*groups, *_TIMES])
    whole = dict.fromkeys(("n", "left", "ended", "open"), "int64")
    hours = dict.fromkeys(_TIMES[5:], "float64")
    return _sorted(frame.astype(whole | hours), groups, ["stage"], order)


@named_groups
def stage_transitions(
    log: Journeys,
    stages: JourneyMap | str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Moves between stages: forward, over skipped stages, and back.

    Parameters
    ----------
    log
        The log.
    stages
        A journey map, whose touchpoints say what stage an event is in; or the stages in order, as
        the column ``stage`` of the events names them.
    by
        Column or columns of the events to count apart; a move belongs to the group of the first
        event of the stay that it ends (its start, to that of the stay that it begins).
    confidence
        Coverage of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per group, stage left and stage entered, in the order of the stages: the ``by``
        columns (text), ``from_stage`` and ``to_stage`` (text; "(start)", "(end)" and "(open)" are
        no stages), ``direction`` ("start", "forward", "skip", "backward", "end" or "open"),
        ``skipped`` (text; stages left out by a skip, or before a later start, by comma), ``count``
        int64, ``n`` int64 (all moves out of ``from_stage``), ``probability`` float64 (of ``n``)
        with ``lower`` and ``upper`` (Wilson), ``median_hours`` float64 (time in ``from_stage``
        before the move; NaN for "(start)" and "(open)").

    Raises
    ------
    CxError
        For an unknown ``by`` column, or when no event has one of the stages.

    Notes
    -----
    Stays are those of ``stage_times``: a journey with n stays makes n + 1 moves.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "use", "buy"],
    ...      "stage": ["choose", "use", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-03", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["from_stage", "to_stage", "direction", "skipped", "count", "median_hours"]
    >>> stage_transitions(log, ["choose", "buy", "use"])[columns]
      from_stage to_stage direction skipped  count  median_hours
    0    (start)   choose     start              1           NaN
    1    (start)      buy     start  choose      1           NaN
    2     choose      use      skip     buy      1          48.0
    3        buy   (open)      open              1           NaN
    4        use    (end)       end              1           0.0
    """
    check_confidence(confidence)
    order = _order(stages)
    stays, groups = _stays(log, stages, by, _MOVES)
    starts = stays.filter(stays.first)
    moves = starts.select(
        *groups,
        from_stage=ibis.literal(START),
        to_stage=starts.stage,
        hours=ibis.null("float64"),
    ).union(
        stays.select(
            *groups,
            from_stage=stays.stage,
            to_stage=stays.to_stage,
            hours=ibis.ifelse(stays.to_stage == OPEN, ibis.null("float64"), stays.duration / _HOUR),
        )
    )
    keys = [*groups, "from_stage", "to_stage"]
    counted = moves.group_by(keys).aggregate(count=moves.count(), median_hours=moves.hours.median())
    frame = counted.to_pandas().astype({"count": "int64", "median_hours": "float64"})
    frame["n"] = frame.groupby([*groups, "from_stage"])["count"].transform("sum")
    frame["probability"] = frame["count"] / frame["n"]
    frame["lower"], frame["upper"] = wilson_interval(frame["count"], frame["n"], confidence)
    pairs = list(zip(frame["from_stage"], frame["to_stage"], strict=True))
    frame["direction"] = pd.Series([_direction(*pair, order) for pair in pairs], dtype="object")
    frame["skipped"] = pd.Series([_skipped(*pair, order) for pair in pairs], dtype="object")
    nodes = [START, *order, END, OPEN]
    return _sorted(frame, groups, ["from_stage", "to_stage"], nodes)[[*groups, *_MOVES]]


def _order(stages: JourneyMap | str | Sequence[str]) -> list[str]:
    if isinstance(stages, JourneyMap):
        return stages.stage_names
    names = as_list(stages)
    if not names or len(set(names)) < len(names):
        raise CxError(f"stages is {names}; give each stage once, in order")
    return names


def _targets(stages: JourneyMap | str | Sequence[str]) -> dict[str, float]:
    """Target time of each stage that has one, in microseconds."""
    if not isinstance(stages, JourneyMap):
        return {}
    return {
        one.stage: one.target_time / timedelta(microseconds=1)
        for one in stages.stages
        if one.target_time is not None
    }


def _stays(
    log: Journeys,
    stages: JourneyMap | str | Sequence[str],
    by: str | Sequence[str] | None,
    taken: Sequence[str],
) -> tuple[ir.Table, list[str]]:
    """One row per stay: its stage, the one after it, how long it took, whether it is the first."""
    events, groups = group_columns(log.events, by, taken=[*taken, "duration", "first"])
    if isinstance(stages, JourneyMap):
        stage = events.touchpoint.cases(*stages.stage_of.items(), else_=ibis.null("string"))
    else:
        stage = ibis.ifelse(events.stage.isin(_order(stages)), events.stage, ibis.null("string"))
    events = events.mutate(_stage=stage)
    _check_stages(events, stages)
    events = events.filter(events._stage.notnull())
    journey = ibis.window(group_by="journey_id", order_by="step")
    events = events.mutate(_before=events._stage.lag().over(journey))
    entries = events.filter(events._before.isnull() | (events._before != events._stage))
    entries = entries.mutate(
        _next=entries._stage.lead().over(journey), _left_at=entries.occurred_at.lead().over(journey)
    )
    entries = entries.join(log.journeys.select("journey_id", "ended_at"), "journey_id")
    cut_off = ibis.literal(log.observed_until, type="timestamp")
    last_at = ibis.ifelse(entries.is_open, cut_off, entries.ended_at)
    left_at = entries._left_at.coalesce(last_at)
    return entries.select(
        *groups,
        stage=entries._stage,
        to_stage=entries._next.coalesce(ibis.ifelse(entries.is_open, OPEN, END)),
        duration=microseconds_between(left_at, entries.occurred_at),
        first=entries._before.isnull(),
    ), groups


def _check_stages(events: ir.Table, stages: JourneyMap | str | Sequence[str]) -> None:
    found = set(events.select("_stage").distinct().to_pandas()["_stage"].dropna())
    if isinstance(stages, JourneyMap):
        if not found and events.count().to_pandas():
            raise CxError(
                f"no event of the log has a touchpoint of the journey map {stages.name!r}; "
                "give the map of this journey"
            )
        return
    unknown = [name for name in _order(stages) if name not in found]
    if not unknown:
        return
    known = set(events.select("stage").distinct().to_pandas()["stage"].dropna())
    reason = unknown_name("stage", unknown[0], known, "in the log")
    if found:
        warnings.warn(f"nobody was in a stage that is asked for: {reason}", CxWarning, stacklevel=5)
    elif known or events.count().to_pandas():
        raise reason


def _rounded(duration: ir.IntegerValue) -> ir.IntegerValue:
    """Time in microseconds, coarser where it is longer, so that few different times are left."""
    unit = ibis.cases((duration < _HOUR, _SECOND), (duration < _WEEK, 60 * _SECOND), else_=_HOUR)
    return duration - duration % unit


def _row(part: pd.DataFrame, target: float | None, confidence: float) -> tuple[float, ...]:
    """Counts, quantiles and target of one stage."""
    ended = part["_ending"] != "open"
    timed = part.assign(_event=part["n"].where(ended, 0)).groupby("_duration")
    table = timed[["n", "_event"]].sum().sort_index()
    n, events = table["n"].to_numpy("float64"), table["_event"].to_numpy("float64")
    # What ends or is lost at a time was at risk at it: an end comes before a censoring.
    at_risk = n[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / at_risk)
    times = table.index.to_numpy("float64")
    kinds = [
        int(part.loc[part["_ending"] == kind, "n"].sum()) for kind in ("left", "ended", "open")
    ]
    return (
        int(n.sum()),
        *kinds,
        _quantile(times, survival, 0.5),
        _quantile(times, survival, 0.1),
        *_within(times, survival, at_risk, events, target, confidence),
    )


def _quantile(times: np.ndarray, survival: np.ndarray, rest: float) -> float:
    # A product of shares that is exactly the rest may come out a rounding error above it.
    reached = survival <= rest + 1e-12
    return float(times[reached.argmax()]) / _HOUR if reached.any() else np.nan


def _within(
    times: np.ndarray,
    survival: np.ndarray,
    at_risk: np.ndarray,
    events: np.ndarray,
    target: float | None,
    confidence: float,
) -> tuple[float, float, float, float]:
    """Target in hours, and the share of stays that end by then, with its interval."""
    if target is None:
        return np.nan, np.nan, np.nan, np.nan
    hours, until = target / _HOUR, times <= target
    if not until.all() or survival[-1] < 1e-12:
        left = float(survival[until][-1]) if until.any() else 1.0
    else:
        # Nobody was watched for so long.
        return hours, np.nan, np.nan, np.nan
    if not 1e-12 < left < 1 - 1e-12:
        return hours, 1 - left, np.nan, np.nan
    spread = (events[until] / (at_risk[until] * (at_risk[until] - events[until]))).sum()
    half = special.ndtri(0.5 + confidence / 2) * np.sqrt(spread) / abs(np.log(left))
    return hours, 1 - left, 1 - left ** np.exp(-half), 1 - left ** np.exp(half)


def _direction(start: str, end: str, order: list[str]) -> str:
    for node, word in ((START, "start"), (END, "end"), (OPEN, "open")):
        if node in (start, end):
            return word
    steps = order.index(end) - order.index(start)
    return "backward" if steps < 0 else "forward" if steps == 1 else "skip"


def _skipped(start: str, end: str, order: list[str]) -> str:
    if end in (END, OPEN):
        return ""
    first = 0 if start == START else order.index(start) + 1
    return ", ".join(order[first : order.index(end)])


def _sorted(
    frame: pd.DataFrame, groups: list[str], columns: list[str], order: list[str]
) -> pd.DataFrame:
    places = {f"_{name}": frame[name].map(order.index) for name in columns}
    frame = frame.assign(**places).sort_values([*groups, *places], ignore_index=True)
    return frame.drop(columns=list(places))
