"""The log: who did what, when, and where it stands in a journey."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce, wraps
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.store import Snapshot, open_store
from cxlib.errors import CxError, refuse_taken, unknown_name
from cxlib.spans import parse_moment
from cxlib.tables import CONTRACTS

__all__ = [
    "NO_GROUP",
    "Journeys",
    "as_list",
    "check_touchpoints",
    "group_columns",
    "is_among",
    "load_journeys",
    "named_groups",
]

NO_GROUP = "(none)"
MOST_GROUPS = 1_000
MOST_COMPARED = 10
_GROUP = "cx_by_"

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
    observed_from
        Moment, UTC, from which ends were recorded: a customer who left before it is not in the
        data. None: the records are complete from each customer's start. Survival starts the time at
        risk here (``window_start``).
    timezone
        Zone whose days, weeks, months and years measures count; times are in UTC all the same.

    Notes
    -----
    A journey is open when it is its customer's last one, no end touchpoint closed it, and the
    silence since its last event is not longer than ``closes_after``. It ends in ``(open)``, not in
    ``(end)``: what comes next has not been seen yet.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
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
    observed_from: datetime | None = None
    timezone: str = "UTC"

    def __repr__(self) -> str:
        """Show it in a line, without a query."""
        columns = ", ".join(name for name in self.events.columns if not name.startswith("cx_"))
        closes = "never by silence" if self.closes_after is None else f"after {self.closes_after}"
        until = f"{self.observed_until:%Y-%m-%d %H:%M} UTC"
        return f"Journeys(observed until {until}, closed {closes}; events: {columns})"

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            """Say what to do where a log was given for a frame."""
            hint = "; compute a measure first, such as cx.flows(log)"
            hint = "" if name.startswith("_") else hint
            raise AttributeError(f"a log of journeys has no {name!r}{hint}")

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
        >>> from cxlib import journeys_from_frame
        >>> log = journeys_from_frame(
        ...     {"customer_id": ["a"], "touchpoint": ["signed_up"], "occurred_at": ["2024-01-01"]},
        ...     observed_until="2024-03-01", closes_after=None,
        ... )
        >>> log.pipe(lambda log: log.observed_until.year)
        2024
        """
        return function(self, *args, **kwargs)


def load_journeys(store: Snapshot | str | Path) -> Journeys:
    """Log of a store, prepared when the store was built.

    Parameters
    ----------
    store
        What ``open_store`` gives, or a workspace.

    Returns
    -------
    Journeys
        Reads the store's physical tables ``events`` and ``journeys``.

    Raises
    ------
    CxError
        When nothing has been built in the workspace.

    Examples
    --------
    >>> from cxlib import open_store
    >>> load_journeys(open_store("data/demo")).closes_after
    datetime.timedelta(days=45)
    """
    store = open_store(store)
    seconds, begin = store.meta["closes_after_seconds"], store.meta.get("observed_from")
    return Journeys(
        events=store.table("events"),
        journeys=store.table("journeys"),
        observed_until=parse_moment(store.meta["observed_until"]),
        closes_after=None if seconds is None else timedelta(seconds=seconds),
        observed_from=None if begin is None else parse_moment(begin),
        timezone=store.meta.get("timezone", "UTC"),
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
    >>> from cxlib import journeys_from_frame
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
    found = set(_seen(log.events.select("touchpoint"), wanted).to_pandas()["touchpoint"])
    for name in wanted:
        if name not in found:
            known = touchpoints.limit(MOST_GROUPS).to_pandas()["touchpoint"]
            raise unknown_name("touchpoint", name, known, "in the log")
    return wanted


def _seen(events: ir.Table, names: list[str]) -> ir.Table:
    """Those of the names that events have."""
    if len(names) > MOST_COMPARED:
        return events.filter(events.touchpoint.isin(names)).distinct()
    # The first event with a name is enough, and mostly near the beginning.
    one_each = [events.filter(events.touchpoint == name).limit(1) for name in names]
    return reduce(ir.Table.union, one_each)


def is_among(column: ir.StringValue, names: Iterable[str]) -> ir.BooleanValue:
    """Whether text is one of a few names.

    Parameters
    ----------
    column
        Text of the log, such as a touchpoint.
    names
        What it may be.

    Returns
    -------
    ibis.expr.types.BooleanValue
        False for no names. One comparison for each name: where a store keeps names as numbers,
        ``isin`` would turn every one of them back into text.

    Examples
    --------
    >>> import ibis
    >>> is_among(ibis.literal("visit"), ["buy", "visit"]).to_pandas()
    True
    """
    wanted = list(names)
    if not 0 < len(wanted) <= MOST_COMPARED:
        return column.isin(wanted)
    return reduce(or_, [column == name for name in wanted])


def group_columns(
    events: ir.Table,
    by: str | Sequence[str] | None,
    taken: Iterable[str] = (),
    keep: Iterable[str] = (),
) -> tuple[ir.Table, list[str]]:
    """Events with their groups as text without nulls, under names of their own.

    Parameters
    ----------
    events
        Events of the log.
    by
        A column, several, or None.
    taken
        Names that the result has for other columns.
    keep
        Columns to keep besides those of the contract and cxlib's own. All others go: a measure
        may have one of their names for something else.

    Returns
    -------
    tuple of ibis.expr.types.Table and list of str
        The events, and the columns of their groups, which ``named_groups`` gives the names of
        ``by`` again. A missing value is the group "(none)".

    Raises
    ------
    CxError
        For a column that does not exist, that the result needs for itself, or that has more than
        1,000 values.

    Examples
    --------
    >>> import ibis
    >>> events = ibis.memtable({"plan": ["pro", None]})
    >>> events, groups = group_columns(events, "plan")
    >>> sorted(events[groups[0]].to_list())
    ['(none)', 'pro']
    """
    names = list(dict.fromkeys(as_list(by)))
    for name in names:
        if name not in events.columns:
            known = [column for column in events.columns if not column.startswith("cx_")]
            error = unknown_name("column", name, known, "to group by")
            raise CxError(f"{error}; those of customers come with add_customer_columns")
    refuse_taken(names, taken)
    own = {*CONTRACTS["events"], *keep}
    kept = [column for column in events.columns if column in own or column.startswith("cx_")]
    if not names:
        return events.select(kept), names
    counts = events.aggregate(**{name: events[name].nunique() for name in names}).to_pandas()
    for name in names:
        if (n := int(counts[name].iloc[0])) > MOST_GROUPS:
            raise CxError(
                f"the column {name!r} has {n:,} values, too many to group by; bin it into at most "
                f"{MOST_GROUPS:,} groups first"
            )
    labels = {
        f"{_GROUP}{number}": events[name].cast("string").fill_null(NO_GROUP)
        for number, name in enumerate(names)
    }
    return events.select(*(name for name in kept if name not in labels), **labels), list(labels)


def named_groups(noun: Callable[P, pd.DataFrame]) -> Callable[P, pd.DataFrame]:
    """Noun whose result has its groups under the names that ``by`` gives them.

    Parameters
    ----------
    noun
        What takes ``by=`` and computes with ``group_columns``.

    Returns
    -------
    function
        The same otherwise. A name that the result has for another column is refused.

    Examples
    --------
    >>> import ibis
    >>> @named_groups
    ... def count(events, *, by=None):
    ...     events, groups = group_columns(events, by)
    ...     return events.group_by(groups).aggregate(n=events.count()).to_pandas()
    >>> count(ibis.memtable({"plan": ["pro", "pro"]}), by="plan")
      plan  n
    0  pro  2
    """

    @wraps(noun)
    def named(*args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        given = as_list(kwargs.get("by"))  # type: ignore[arg-type]
        names = {f"{_GROUP}{n}": name for n, name in enumerate(dict.fromkeys(given))}
        frame = noun(*args, **kwargs)
        refuse_taken(names.values(), map(str, frame.columns))
        return frame.rename(columns=names)

    return named
