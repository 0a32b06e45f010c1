"""Verbs: from one log to another, lazily; the log that goes in is unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.counted import drop_counted
from cxlib.journeys.log import Journeys, as_list, check_touchpoints
from cxlib.journeys.patterns import follows
from cxlib.journeys.prepare import journey_table, place_events, prepare_events
from cxlib.spans import parse_moment, parse_span

__all__ = [
    "add_customer_columns",
    "assign_stages",
    "keep_events",
    "keep_journeys",
    "materialize",
    "merge_repeats",
    "split_journeys",
]

Condition = Callable[[ir.Table], ir.BooleanValue] | Mapping[str, Any]


def split_journeys(
    log: Journeys,
    *,
    gap: str | timedelta | None = None,
    start: str | Sequence[str] = (),
    end: str | Sequence[str] = (),
    closes_after: str | timedelta | None = None,
) -> Journeys:
    """Log whose customers' events are cut into journeys anew.

    Parameters
    ----------
    log
        The log; its own journeys are forgotten.
    gap
        Silence that splits ("30 minutes"): a gap *longer* than this starts a new journey.
    start, end
        Touchpoints that start a journey, and touchpoints that end one.
    closes_after
        Silence after which a customer's last journey counts as ended; ``gap`` when not given, and
        else what the log has.

    Returns
    -------
    Journeys
        ``journey_id`` is ``"<customer_id>/<n>"``, n from 1 in order of time.

    Raises
    ------
    CxError
        When nothing says where to split, or for a touchpoint that the log does not have.

    Notes
    -----
    A gap of exactly the given length does not split. Silence is what this log shows: after
    ``keep_events``, the events that were dropped no longer break it.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01T10:00", "2024-01-01T10:30", "2024-01-01T11:01"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> split_journeys(log, gap="30 minutes").events.order_by("event_id").journey_id.to_list()
    ['a/1', 'a/1', 'a/2']
    """
    start, end = as_list(start), as_list(end)
    if gap is None and not start and not end:
        raise CxError("nothing says where to split; give gap='30 minutes', start= or end=")
    check_touchpoints(log, [*start, *end])
    silence = None if gap is None else parse_span(gap)
    closing = log.closes_after if silence is None else silence
    if closes_after is not None:
        closing = parse_span(closes_after)
    events = prepare_events(
        log.events,
        observed_until=log.observed_until,
        closes_after=closing,
        start=start,
        end=end,
        split_after=silence,
    )
    return replace(_with_events(log, events), closes_after=closing)


def keep_events(
    log: Journeys,
    *,
    touchpoints: str | Sequence[str] | None = None,
    where: Condition | None = None,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
) -> Journeys:
    """Log with only the events that meet every condition, and their steps counted anew.

    Parameters
    ----------
    log
        The log.
    touchpoints
        Touchpoints to keep.
    where
        ``{"channel": "web"}`` (a value, or a list of which one must hold; None is a missing value),
        or a function from the events table to a boolean Ibis expression.
    since
        First moment to keep, UTC.
    until
        First moment not to keep, UTC.

    Returns
    -------
    Journeys
        Journeys keep their id; those without an event left are gone.

    Raises
    ------
    CxError
        For a touchpoint or column that the log does not have.

    Notes
    -----
    Whether a journey is open stays as it was: to drop its last events does not end it. ``until``
    is different, because it moves the cut-off: ``observed_until`` becomes ``until``, and a journey
    that loses events to it was still going on then, so it is open.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a"], "touchpoint": ["visit", "ask", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> kept = keep_events(log, touchpoints=["visit", "buy"])
    >>> kept.events.order_by("step").next_touchpoint.to_list()
    ['buy', '(end)']
    """
    events = log.events
    conditions = []
    if touchpoints is not None:
        conditions.append(events.touchpoint.isin(check_touchpoints(log, touchpoints)))
    if where is not None:
        conditions.append(_condition(events, where))
    if since is not None:
        conditions.append(events.occurred_at >= _literal(parse_moment(since)))
    if until is not None:
        cut_off = parse_moment(until)
        in_time = events.occurred_at < _literal(cut_off)
        conditions.append(in_time)
        cut = (~in_time).any().over(ibis.window(group_by="journey_id"))
        events = events.mutate(is_open=events.is_open | cut)
        log = replace(log, observed_until=min(cut_off, log.observed_until))
    kept = events.filter(conditions) if conditions else events
    return _with_events(log, place_events(kept))


def keep_journeys(
    log: Journeys,
    *,
    containing: str | Sequence[str] | None = None,
    starting_with: str | Sequence[str] | None = None,
    ending_with: str | Sequence[str] | None = None,
    matching: str | None = None,
    min_length: int | None = None,
    where: Condition | None = None,
) -> Journeys:
    """Log with only the journeys that meet every condition, each of them whole.

    Parameters
    ----------
    log
        The log.
    containing
        Touchpoints of which a journey must have at least one.
    starting_with, ending_with
        Touchpoints of which one must be its first, or its last so far when it is open.
    matching
        Pattern that its path must follow, such as ``"visit -> [^buy]* -> leave"``; the notes of
        ``common_paths`` say how one is written.
    min_length
        Fewest events.
    where
        ``{"is_open": False}`` or a function from the journeys table to a boolean Ibis expression.

    Returns
    -------
    Journeys
        Steps and ends stay as they were.

    Raises
    ------
    CxError
        For a touchpoint or column that the log does not have, or a pattern that cannot be read.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> keep_journeys(log, ending_with="buy").events.order_by("event_id").customer_id.to_list()
    ['a', 'a']
    """
    events = log.events
    holds = []
    if containing is not None:
        holds.append(events.touchpoint.isin(check_touchpoints(log, containing)).any())
    if starting_with is not None:
        first = events.touchpoint.isin(check_touchpoints(log, starting_with)) & (events.step == 1)
        holds.append(first.any())
    if ending_with is not None:
        named = events.touchpoint.isin(check_touchpoints(log, ending_with))
        holds.append((named & events.next_at.isnull()).any())
    if min_length is not None:
        holds.append(events.count() >= min_length)
    if holds:
        kept = events.group_by("journey_id").having(*holds).aggregate(n=events.count())
        events = _of_journeys(events, kept)
    if matching is not None:
        events = _of_journeys(events, log.journeys.filter(follows(log, log.journeys, matching)))
    if where is not None:
        met = log.journeys.filter(_condition(log.journeys, where))
        events = _of_journeys(events, met)
    journeys = _of_journeys(log.journeys, events)
    return replace(log, events=drop_counted(events), journeys=journeys)


def assign_stages(log: Journeys, stages: Mapping[str, str | Sequence[str]]) -> Journeys:
    """Log whose events carry the lifecycle stage of their touchpoint.

    Parameters
    ----------
    log
        The log.
    stages
        ``{"service": ["opened_ticket", "called_support"]}``, or ``{"opened_ticket": "service"}``.

    Returns
    -------
    Journeys
        The column ``stage`` is set for the touchpoints named, and stays as it was for the others.

    Raises
    ------
    CxError
        For a touchpoint that the log does not have, or that is given two stages.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> log = assign_stages(log, {"purchase": ["buy"], "awareness": ["visit"]})
    >>> log.events.order_by("step").stage.to_list()
    ['awareness', 'purchase']
    """
    stage_of: dict[str, str] = {}
    for key, value in stages.items():
        pairs = [(key, value)] if isinstance(value, str) else [(name, key) for name in value]
        for touchpoint, stage in pairs:
            if stage_of.setdefault(touchpoint, stage) != stage:
                raise CxError(
                    f"the touchpoint {touchpoint!r} is given two stages, "
                    f"{stage_of[touchpoint]!r} and {stage!r}; keep one"
                )
    if not stage_of:
        return log
    check_touchpoints(log, stage_of)
    stage = log.events.touchpoint.cases(*stage_of.items(), else_=log.events.stage)
    return replace(log, events=log.events.mutate(stage=stage))


def merge_repeats(log: Journeys) -> Journeys:
    """Log in which a touchpoint that follows itself within a journey stands once.

    Parameters
    ----------
    log
        The log.

    Returns
    -------
    Journeys
        Each run of one touchpoint is its first event, with the columns of that one, but ``value``
        is the sum of the run and ``sentiment`` its mean (of the events that have one). The further
        column ``repeats`` int64 counts the events of the run.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a"], "touchpoint": ["visit", "visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["step", "touchpoint", "repeats"]
    >>> merge_repeats(log).events.order_by("step").select(columns).to_pandas()
       step touchpoint  repeats
    0     1      visit        2
    1     2        buy        1
    """
    events = log.events
    journey = ibis.window(group_by="journey_id", order_by="step")
    same = (events.touchpoint == events.touchpoint.lag().over(journey)).fill_null(False)
    events = events.mutate(_starts=ibis.ifelse(same, 0, 1))
    so_far = ibis.window(group_by="journey_id", order_by="step", preceding=None, following=0)
    events = events.mutate(_run=events._starts.sum().over(so_far))
    run = ibis.window(group_by=["journey_id", "_run"])
    if "repeats" not in events.columns:
        events = events.mutate(repeats=ibis.literal(1, type="int64"))
    merged = events.mutate(
        value=events.value.sum().over(run),
        sentiment=events.sentiment.mean().over(run),
        repeats=events.repeats.sum().over(run).cast("int64"),
    )
    merged = merged.filter(merged._starts == 1).drop("_starts", "_run")
    return _with_events(log, place_events(merged))


def materialize(log: Journeys) -> Journeys:
    """The same log, computed once and held by the engine, so that what follows only reads it.

    Parameters
    ----------
    log
        A log on which verbs have been called.

    Returns
    -------
    Journeys
        Its tables live in temporary tables of the engine for as long as they are referred to.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"], "touchpoint": ["visit"], "occurred_at": ["2024-01-01"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> materialize(merge_repeats(log)).events.count().to_pandas()
    1
    """
    events = log.events.cache()
    return replace(log, events=events, journeys=journey_table(events).cache())


def add_customer_columns(
    log: Journeys, table: pd.DataFrame | ir.Table, columns: Iterable[str]
) -> Journeys:
    """Log whose events carry facts about their customer.

    Parameters
    ----------
    log
        The log.
    table
        Frame or Ibis table with one row per ``customer_id``, such as ``rfm_segments`` gives.
    columns
        Which of its columns to add. When the table has a column ``as_of`` (the moment before which
        its facts were taken), each is accompanied by ``<column>_as_of``.

    Returns
    -------
    Journeys
        As many events as before; a customer whom the table does not have gets nulls.

    Raises
    ------
    CxError
        For a column that the table does not have or that the log has already, or a customer who
        stands in more than one row.

    Examples
    --------
    >>> import pandas as pd
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "b"], "touchpoint": ["visit", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-01"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> plans = pd.DataFrame({"customer_id": ["a"], "plan": ["pro"]})
    >>> log = add_customer_columns(log, plans, columns=["plan"])
    >>> log.events.order_by("customer_id").plan.to_list()
    ['pro', None]
    """
    names = as_list(columns)
    facts = ibis.memtable(table) if isinstance(table, pd.DataFrame) else table
    for name in ["customer_id", *names]:
        if name not in facts.columns:
            raise unknown_name("column", name, facts.columns, "in the customer table")
    added = {name: facts[name] for name in names}
    if "as_of" in facts.columns:
        added |= {f"{name}_as_of": facts.as_of for name in names}
    for name in added:
        if name in log.events.columns:
            raise CxError(f"the log has a column {name!r} already; rename the new one")
    facts = facts.select(customer_id=facts.customer_id.cast("string"), **added)
    counts = facts.aggregate(n=facts.count(), customers=facts.customer_id.nunique()).to_pandas()
    if repeated := int(counts["n"].iloc[0] - counts["customers"].iloc[0]):
        # Such a join would add events.
        raise CxError(
            f"{repeated:,} rows of the customer table repeat a 'customer_id' or have none; "
            "keep one row for each customer"
        )
    events = log.events.left_join(facts, "customer_id").drop("customer_id_right")
    return replace(log, events=events)


def _of_journeys(table: ir.Table, kept: ir.Table) -> ir.Table:
    return table.filter(table.journey_id.isin(kept.journey_id))


def _with_events(log: Journeys, events: ir.Table) -> Journeys:
    return replace(log, events=events, journeys=journey_table(events))


def _literal(moment: datetime) -> ir.TimestampScalar:
    return ibis.literal(moment, type="timestamp")


def _condition(table: ir.Table, where: Condition) -> ir.BooleanValue:
    if callable(where):
        return where(table)
    holds = ibis.literal(True)
    for name, value in where.items():
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "to filter by")
        values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
        one = table[name].isin([item for item in values if item is not None])
        if None in values:
            one = one.fill_null(False) | table[name].isnull()
        holds = holds & one
    return holds
