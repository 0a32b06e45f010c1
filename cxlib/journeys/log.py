"""The log: who did what, when, and where it stands in a journey."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.prepare import (
    END,
    OPEN,
    START,
    fill_contract,
    journey_table,
    microseconds_between,
    place_events,
    prepare_events,
)
from cxlib.spans import parse_moment, parse_span

if TYPE_CHECKING:
    from cxlib.engine.store import Snapshot

__all__ = [
    "END",
    "NO_GROUP",
    "OPEN",
    "OTHER",
    "START",
    "Journeys",
    "as_list",
    "check_touchpoints",
    "group_columns",
    "journey_table",
    "journeys_from_frame",
    "load_journeys",
    "microseconds_between",
    "place_events",
    "prepare_events",
]

OTHER = "(other)"
NO_GROUP = "(none)"
MOST_GROUPS = 1_000

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Journeys:
    """Events of customers in order, cut into journeys, and the moment they were observed until.

    Parameters
    ----------
    events
        One row per event: the columns of the contract (``cxlib.tables.CONTRACTS["events"]``) and
        whatever else the source had. Order is always ``(occurred_at, event_id)``.
    journeys
        One row per journey: ``journey_id, customer_id, started_at, ended_at, length, path,
        is_open``.
    observed_until
        The cut-off, UTC: an event after it could not have been seen.
    closes_after
        Silence after which a customer's last journey counts as ended; None: silence never ends one.

    Notes
    -----
    A journey is open when it is its customer's last one, no end touchpoint closed it, and the
    silence since its last event is not longer than ``closes_after``. It ends in ``(open)``, not in
    ``(end)``: what comes next has not been seen yet.

    Examples
    --------
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["signed_up", "paid_invoice"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="30 days",
    ... )
    >>> log.events.order_by("step").select("step", "touchpoint", "next_touchpoint").to_pandas()
       step    touchpoint next_touchpoint
    0     1     signed_up    paid_invoice
    1     2  paid_invoice           (end)
    """

    events: ir.Table
    journeys: ir.Table
    observed_until: datetime
    closes_after: timedelta | None

    def pipe(
        self, function: Callable[Concatenate[Journeys, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Result of a function called with this log first, so that calls read left to right.

        Parameters
        ----------
        function
            Any verb or noun.
        *args, **kwargs
            Its further arguments.

        Returns
        -------
        object
            What the function returns.

        Examples
        --------
        >>> log = journeys_from_frame(
        ...     {"customer_id": ["a"], "touchpoint": ["signed_up"], "occurred_at": ["2024-01-01"]},
        ...     observed_until="2024-03-01", closes_after=None,
        ... )
        >>> log.pipe(lambda log: log.observed_until.year)
        2024
        """
        return function(self, *args, **kwargs)


def journeys_from_frame(
    frame: pd.DataFrame | ir.Table | dict[str, Sequence[Any]],
    *,
    observed_until: str | date | datetime,
    closes_after: str | timedelta | None,
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
    cut_off = parse_moment(observed_until)
    silence = None if closes_after is None else parse_span(closes_after)
    from_table = isinstance(frame, ir.Table)
    table = _rename_columns(frame if from_table else pd.DataFrame(frame), rename or {})
    if not from_table:
        table = ibis.memtable(_tidy_frame(table))
    _check_events(fill_contract(table), cut_off)
    events = prepare_events(table, observed_until=cut_off, closes_after=silence)
    events = events if from_table else events.cache()
    return Journeys(events, journey_table(events), cut_off, silence)


def load_journeys(store: Snapshot) -> Journeys:
    """Log of a store, prepared when the store was built.

    Parameters
    ----------
    store
        What ``open_store`` gives.

    Returns
    -------
    Journeys
        Reads the store's physical tables ``events`` and ``journeys``.

    Examples
    --------
    >>> load_journeys(open_store("data/demo"))  # doctest: +SKIP
    """
    seconds = store.meta["closes_after_seconds"]
    return Journeys(
        events=store.table("events"),
        journeys=store.table("journeys"),
        observed_until=parse_moment(store.meta["observed_until"]),
        closes_after=None if seconds is None else timedelta(seconds=seconds),
    )


def as_list(names: str | Iterable[str] | None) -> list[str]:
    """Names as a list, where one alone may be given as text.

    Parameters
    ----------
    names
        A name, several, or None.

    Returns
    -------
    list of str
        Empty for None.

    Examples
    --------
    >>> as_list("plan")
    ['plan']
    """
    return [names] if isinstance(names, str) else list(names or ())


def check_touchpoints(log: Journeys, names: Iterable[str]) -> list[str]:
    """The given touchpoints, once the log is known to have each of them.

    Parameters
    ----------
    log
        The log.
    names
        Touchpoints; one name alone may be given as text.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    CxError
        For a touchpoint that the log does not have, with the closest ones that it has.

    Examples
    --------
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"], "touchpoint": ["signed_up"], "occurred_at": ["2024-01-01"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> check_touchpoints(log, "sign_up")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no touchpoint 'sign_up' in the log; did you mean 'signed_up'?
    """
    wanted = as_list(names)
    if not wanted:
        return wanted
    touchpoints = log.events.select("touchpoint").distinct()
    found = set(touchpoints.filter(touchpoints.touchpoint.isin(wanted)).to_pandas()["touchpoint"])
    for name in wanted:
        if name not in found:
            known = touchpoints.limit(MOST_GROUPS).to_pandas()["touchpoint"]
            raise unknown_name("touchpoint", name, known, "in the log")
    return wanted


def group_columns(
    events: ir.Table, by: str | Sequence[str] | None, taken: Iterable[str] = ()
) -> tuple[ir.Table, list[str]]:
    """Events whose ``by`` columns are text without nulls, and the names of these columns.

    Parameters
    ----------
    events
        Any table of the log.
    by
        A column, several, or None.
    taken
        Names that the result has for other columns.

    Returns
    -------
    tuple of ibis.expr.types.Table and list of str
        A missing value is the group "(none)".

    Raises
    ------
    CxError
        For a column that does not exist, that the result needs for itself, or that has more than
        1,000 values.

    Examples
    --------
    >>> events = ibis.memtable({"plan": ["pro", None]})
    >>> group_columns(events, "plan")[0].order_by("plan").plan.to_list()
    ['(none)', 'pro']
    """
    names = as_list(by)
    for name in names:
        if name not in events.columns:
            raise unknown_name("column", name, events.columns, "to group by")
        if name in taken:
            raise CxError(f"the result has a column {name!r} of its own; group by another column")
    if not names:
        return events, names
    counts = events.aggregate(**{name: events[name].nunique() for name in names}).to_pandas()
    for name in names:
        if (n := int(counts[name].iloc[0])) > MOST_GROUPS:
            raise CxError(
                f"the column {name!r} has {n:,} values, too many to group by; bin it into at most "
                f"{MOST_GROUPS:,} groups first"
            )
    labels = {name: events[name].cast("string").fill_null(NO_GROUP) for name in names}
    return events.mutate(**labels), names


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
    try:
        return pd.to_datetime(times, utc=True, format="ISO8601")
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
        reserved=reserved.sum(),
        late=late.sum(),
        latest=events.occurred_at.max(),
        **{f"null_{name}": events.count() - events[name].count() for name in required},
    ).to_pandas()
    row = found.iloc[0].fillna(0)
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
