"""A log from a frame: events that are at hand, without a store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.zones import check_zone
from cxlib.errors import CxError, unknown_name
from cxlib.journeys.counted import COUNTED
from cxlib.journeys.log import Journeys
from cxlib.journeys.prepare import fill_contract, journey_table, prepare_events
from cxlib.spans import parse_moment, parse_span
from cxlib.tables import END, OPEN, OTHER, START

__all__ = ["journeys_from_frame"]


def journeys_from_frame(
    frame: pd.DataFrame | ir.Table | dict[str, Sequence[Any]],
    *,
    observed_until: str | date | datetime,
    closes_after: str | timedelta | None,
    observed_from: str | date | datetime | None = None,
    timezone: str = "UTC",
    rename: dict[str, str] | None = None,
) -> Journeys:
    """Log from a frame or an Ibis table of events.

    Parameters
    ----------
    frame
        One row per event with at least ``customer_id``, ``occurred_at`` and ``touchpoint``. Times
        are datetimes, or ISO 8601 text in a frame; those with a zone become UTC, those without are
        UTC. Without ``event_id`` the rows of a frame are numbered in their order, which is then
        the order of equal times; without ``journey_id`` a customer has one journey.
    observed_until
        The cut-off, UTC: the last moment at which an event could have been seen.
    closes_after
        Silence after which a customer's last journey counts as ended ("30 days"); None: it never
        does, and the last journey of each customer is open.
    observed_from
        The moment, UTC, from which ends were recorded; None: from each customer's start.
    timezone
        Zone whose days, weeks, months and years measures count, such as "Europe/Rome".
    rename
        ``{"user_id": "customer_id"}``: your name, then the log's.

    Returns
    -------
    Journeys
        A frame is copied into the engine once; a table stays lazy (see ``materialize``).

    Raises
    ------
    CxError
        For a missing or unreadable column, missing values in a required one, repeated event ids,
        reserved names among the touchpoints, or events after ``observed_until``.

    Examples
    --------
    >>> log = journeys_from_frame(
    ...     {"user_id": ["a", "a", "b"], "event": ["visited", "bought", "visited"],
    ...      "ts": ["2024-01-01T10:00", "2024-01-01T10:05", "2024-01-03T12:00"]},
    ...     observed_until="2024-01-31", closes_after="7 days",
    ...     rename={"user_id": "customer_id", "event": "touchpoint", "ts": "occurred_at"},
    ... )
    >>> log.events.count().to_pandas()
    3
    """
    cut_off, zone = parse_moment(observed_until), check_zone(timezone)
    silence = None if closes_after is None else parse_span(closes_after)
    from_table = isinstance(frame, ir.Table)
    table = _rename_columns(frame if from_table else pd.DataFrame(frame), rename or {})
    if not from_table:
        table = ibis.memtable(_tidy_frame(table))
    # Another log's, or someone's own columns: they would be taken at their word.
    table = table.drop(*(name for name in COUNTED if name in table.columns))
    _check_events(fill_contract(table), cut_off)
    events = prepare_events(table, observed_until=cut_off, closes_after=silence)
    events = events if from_table else events.cache()
    begin = None if observed_from is None else parse_moment(observed_from)
    return Journeys(events, journey_table(events), cut_off, silence, begin, zone)


def _rename_columns(table: Any, rename: dict[str, str]) -> Any:
    for name in rename:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "to rename")
    if isinstance(table, ir.Table):
        # Ibis wants it the other way round: the new name first.
        return table.rename({new: old for old, new in rename.items()})
    return table.rename(columns=rename)


def _tidy_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Number the rows, and bring every time to microseconds in UTC."""
    frame = frame.rename(columns=str)
    if "event_id" not in frame:
        width = len(str(len(frame)))
        numbers = [str(n).zfill(width) for n in range(1, len(frame) + 1)]
        frame = frame.assign(event_id=pd.Series(numbers, index=frame.index, dtype="object"))
    if "occurred_at" in frame:
        frame = frame.assign(occurred_at=_to_utc(frame["occurred_at"]))
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            frame = frame.assign(**{name: frame[name].dt.tz_convert("UTC").dt.tz_localize(None)})
        if pd.api.types.is_datetime64_dtype(frame[name].dtype):
            frame = frame.assign(**{name: frame[name].astype("datetime64[us]")})
        elif frame[name].dtype == object and frame[name].isna().all():
            # An engine cannot hold a column without a type.
            frame = frame.assign(**{name: frame[name].astype("string")})
    return frame


def _to_utc(times: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(times.dtype) and len(times):
        raise CxError("the column 'occurred_at' holds numbers; give datetimes or ISO 8601 text")
    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        return times.dt.tz_localize("UTC") if times.dt.tz is None else times
    try:
        return pd.to_datetime(times, utc=True, format="ISO8601")
    except pd.errors.OutOfBoundsDatetime:
        # pandas reads text as nanoseconds, which end before 1678 and after 2262.
        moments = [None if pd.isna(time) else parse_moment(time) for time in times]
        return pd.Series(moments, index=times.index, dtype="datetime64[us]")
    except (ValueError, TypeError) as error:
        raise CxError(
            f"the column 'occurred_at' cannot be read as time ({error}); "
            "give datetimes or ISO 8601 text such as '2024-12-31T23:59:59'"
        ) from error


def _check_events(events: ir.Table, observed_until: datetime) -> None:
    required = ("event_id", "customer_id", "occurred_at", "touchpoint")
    reserved = events.touchpoint.isin([START, END, OPEN, OTHER])
    late = events.occurred_at > ibis.literal(observed_until, type="timestamp")
    found = events.aggregate(
        n=events.count(),
        ids=events.event_id.nunique(),
        reserved=events.count(where=reserved),
        late=events.count(where=late),
        latest=events.occurred_at.max(),
        **{f"null_{name}": events.count() - events[name].count() for name in required},
    ).to_pandas()
    row = found.iloc[0]
    if not row["n"]:
        return
    for name in required:
        if nulls := int(row[f"null_{name}"]):
            raise CxError(
                f"the column {name!r} is empty in {nulls:,} rows; drop or fill them first"
            )
    if repeated := int(row["n"] - row["ids"]):
        raise CxError(f"{repeated:,} rows repeat an 'event_id'; each event must stand once")
    if int(row["reserved"]):
        raise CxError(
            f"{int(row['reserved']):,} events have a touchpoint named {START}, {END}, {OPEN} or "
            f"{OTHER}, which the log keeps for itself; rename them first"
        )
    if late_events := int(row["late"]):
        raise CxError(
            f"{late_events:,} events are later than observed_until {observed_until.isoformat()} "
            f"(the last at {row['latest'].isoformat()}); move it, or drop them first"
        )
