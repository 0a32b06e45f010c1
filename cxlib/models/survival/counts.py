"""Counted spells: read and checked, and how many are at risk, end and are censored when."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, CxWarning, refuse_taken, unknown_name

__all__ = [
    "at_risk_at",
    "count_at",
    "counts_by_time",
    "is_cause",
    "name_group",
    "read_durations",
    "split_groups",
    "warn_of_late_entry",
]

Array = NDArray[Any]
Side = Literal["left", "right"]

_OWN = ("time", "entry", "duration", "event", "n", "at_risk", "entered", "events", "censored")
"""What columns are called on the way to a result."""
_THIN = 10
"""Customers at risk below which one event moves a curve by more than a tenth."""


def is_cause(values: pd.Series) -> pd.Series:
    """Whether each value names an end, and not how observation stopped.

    Parameters
    ----------
    values
        A column of causes. Missing ones, and those in parentheses such as "(administrative)" and
        "(paused)", are no end.

    Returns
    -------
    pandas.Series
        bool.

    Examples
    --------
    >>> is_cause(pd.Series(["price", "(paused)", None])).tolist()
    [True, False, False]
    """
    return values.notna() & ~values.astype("string").str.startswith("(").fillna(True).astype(bool)


def read_durations(
    durations: pd.DataFrame,
    by: Sequence[str],
    from_time: float | None = None,
    *,
    causes: bool = False,
) -> tuple[pd.DataFrame, str]:
    """Rows as ``by..., entry, duration, event, n`` (and ``cause``), and the unit of the times.

    Parameters
    ----------
    durations
        A frame of spells, one row each or counted.
    by
        Columns that tell the groups.
    from_time
        Leave out who did not last longer, and follow the others from here.
    causes
        Whether ends are told apart.

    Returns
    -------
    tuple of pandas.DataFrame and str
        Checked.

    Raises
    ------
    CxError
        When a column is missing or holds what it must not, when a group has the name of a column
        of the results, and when one of several causes would count as censoring without anybody
        having said so.
    """
    found = [name for name in durations.columns if str(name).startswith("duration_")]
    if len(found) != 1:
        raise CxError(
            f"the durations need one column 'duration_<unit>' and have {found or 'none'}; "
            "name it for example 'duration_days'"
        )
    unit = found[0].removeprefix("duration_")
    # Where causes are named, who has one has ended.
    ends = "cause" if causes or ("cause" in durations and "event" not in durations) else "event"
    for name in [ends, *by]:
        if name not in durations.columns:
            raise unknown_name("column", name, durations.columns, "in the durations")
    refuse_taken(by, _OWN)
    spells = durations[list(by)].assign(
        entry=durations.get(f"entry_{unit}", 0),
        duration=durations[found[0]],
        event=durations["event"] if "event" in durations else is_cause(durations["cause"]),
        n=durations.get("n", 1),
    )
    _check_spells(spells)
    spells = spells.astype({"event": "bool", "n": "int64"})
    if "cause" in durations:
        _check_causes(spells["event"], durations["cause"])
        if causes:
            spells["cause"] = durations["cause"].where(spells["event"])
    if from_time is not None:
        spells = spells[spells["duration"] > from_time]
        spells = spells.assign(entry=spells["entry"].clip(lower=from_time))
    return spells, unit


def _check_spells(spells: pd.DataFrame) -> None:
    if missing := int(spells[["entry", "duration", "event", "n"]].isna().any(axis=1).sum()):
        raise CxError(f"{missing:,} rows of the durations have a missing value; drop them first")
    if not spells["event"].isin([0, 1]).all():
        raise CxError("the column 'event' must be True (ended) or False (censored)")
    if not (spells["n"] == spells["n"].round()).all() or (spells["n"] < 0).any():
        raise CxError("the column 'n' must hold whole numbers of customers")
    wrong = (spells["entry"] >= spells["duration"]) & (spells["entry"] > 0)
    wrong |= (spells["entry"] < 0) | (spells["duration"] < 0) | np.isinf(spells["duration"])
    if wrong.any():
        raise CxError(
            f"{int(wrong.sum()):,} rows of the durations end before they enter, or have a negative "
            "or infinite time; an entry must be earlier than the duration"
        )


def _check_causes(event: pd.Series, cause: pd.Series) -> None:
    """Raise where somebody ended for a cause and yet counts as one who could still end."""
    hidden = cause[~event & is_cause(cause)]
    if len(hidden):
        names = ", ".join(repr(name) for name in sorted(map(str, hidden.unique()))[:5])
        raise CxError(
            f"{len(hidden):,} rows ended for another cause ({names}) and have event=False: one "
            "cause among several would pass for censoring, and 1 - KM would count those who ended "
            "otherwise as still able to end so; use cumulative_incidence, or set event=True "
            "for every end"
        )
    if unnamed := int((event & ~is_cause(cause)).sum()):
        raise CxError(
            f"{unnamed:,} rows have event=True and no cause; name it, for example 'unknown', or "
            "set event=False"
        )


def split_groups(
    frame: pd.DataFrame, by: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Each group with its rows, in order; all rows are one where there is no ``by``.

    Parameters
    ----------
    frame
        Rows with the columns of ``by``.
    by
        Columns that tell the groups.

    Yields
    ------
    tuple
        Values of the group, and its rows.
    """
    if not len(frame):
        return
    if not by:
        yield (), frame
        return
    for group, rows in frame.groupby(list(by), dropna=False, observed=True):
        yield group if isinstance(group, tuple) else (group,), rows


def name_group(by: Sequence[str], group: tuple[Any, ...]) -> str:
    """The curve of a group in words.

    Parameters
    ----------
    by, group
        Columns and their values.

    Returns
    -------
    str
        Such as "the curve of plan 'basic'".
    """
    parts = [f"{name} {value!r}" for name, value in zip(by, group, strict=True)]
    return f"the curve of {', '.join(parts)}" if parts else "the curve"


def at_risk_at(rows: pd.DataFrame, times: Array) -> Array:
    """Customers with entry < time <= duration; an entry of 0 is from the start.

    Parameters
    ----------
    rows
        Counted spells.
    times
        When.

    Returns
    -------
    numpy.ndarray
        One number per time.
    """
    entry = rows["entry"].astype("float64").where(rows["entry"] > 0, -np.inf)
    entered = _cumulated(entry, rows["n"])(times, "left")
    gone = _cumulated(rows["duration"], rows["n"])(times, "left")
    return entered - gone


def count_at(rows: pd.DataFrame, times: Array) -> Array:
    """Customers whose duration is exactly each time.

    Parameters
    ----------
    rows
        Counted spells.
    times
        When.

    Returns
    -------
    numpy.ndarray
        One number per time.
    """
    count = _cumulated(rows["duration"], rows["n"])
    return count(times, "right") - count(times, "left")


def _cumulated(times: pd.Series, n: pd.Series) -> Callable[[Array, Side], Array]:
    """Function that counts the customers whose time is before (left) or up to (right) others."""
    order = np.argsort(times.to_numpy(), kind="stable")
    ordered = times.to_numpy()[order]
    so_far = np.concatenate([[0], np.cumsum(n.to_numpy()[order])])
    return lambda at, side: so_far[np.searchsorted(ordered, at, side=side)]


def counts_by_time(rows: pd.DataFrame, from_time: float | None = None) -> pd.DataFrame:
    """Counts at every time at which somebody enters, ends or is censored.

    Parameters
    ----------
    rows
        Counted spells of one group.
    from_time
        First time; the first entry when None.

    Returns
    -------
    pandas.DataFrame
        ``time, at_risk, events, censored``. The first row shows all who enter with it.
    """
    first = rows["entry"].min() if from_time is None else from_time
    times = np.unique(np.concatenate([[first], rows["entry"], rows["duration"]]))
    at_risk = at_risk_at(rows, times)
    # Who enters with the first row is shown there, so that the curve starts with its n.
    at_risk[0] = rows.loc[rows["entry"] <= first, "n"].sum()
    if pd.api.types.is_integer_dtype(rows["duration"]) and (times == times.round()).all():
        times = times.astype("int64")
    return pd.DataFrame(
        {
            "time": times,
            "at_risk": at_risk,
            "events": count_at(rows[rows["event"]], times),
            "censored": count_at(rows[~rows["event"]], times),
        }
    )


def warn_of_late_entry(
    table: pd.DataFrame, rows: pd.DataFrame, name: str, unit: str, *, starts_late: bool, up: int
) -> None:
    """Say what late entry does to a curve; raise where the curve cannot go on.

    Parameters
    ----------
    table
        What ``counts_by_time`` gives.
    rows
        The spells that it counts.
    name, unit
        For the message.
    starts_late
        Whether a start after 0 is worth a word.
    up
        Calls between this one and the user's.

    Raises
    ------
    CxError
        Where all at risk end, or nobody is at risk, and others enter later.

    Warns
    -----
    CxWarning
        Where the curve starts late, or rests on few at an early event.
    """
    if not (rows["entry"] > 0).any():
        return
    _check_that_it_goes_on(table, rows, name, unit)
    for weakness in _weaknesses(table, name, unit, starts_late=starts_late):
        warnings.warn(weakness, CxWarning, stacklevel=up + 1)


def _check_that_it_goes_on(table: pd.DataFrame, rows: pd.DataFrame, name: str, unit: str) -> None:
    """Raise where the curve would be wrong, because others enter after nobody was left."""
    times, events = table["time"], table["events"]
    entered = _cumulated(rows["entry"], rows["n"])(times.to_numpy(), "right")
    gone = _cumulated(rows["duration"], rows["n"])(times.to_numpy(), "right")
    all_end = (events == table["at_risk"]) & (events > 0)
    stuck = (times < rows["duration"].max()) & (all_end | (entered == gone))
    if stuck.any():
        at = times[stuck].iloc[-1]
        why = "all who are at risk end" if all_end[stuck].iloc[-1] else "nobody is at risk"
        again = rows.loc[rows["entry"] >= at, "entry"].min()
        raise CxError(
            f"{name} cannot go on after {at} {unit}: {why} there, and others enter later; "
            f"draw it among those who lasted longer, with from_time={again}"
        )


def _weaknesses(table: pd.DataFrame, name: str, unit: str, *, starts_late: bool) -> Iterator[str]:
    """What late entry does to the beginning of the curve."""
    times, at_risk = table["time"], table["at_risk"]
    if starts_late and times[0] > 0:
        yield (
            f"{name} starts at {times[0]} {unit}: nobody was at risk before, so that it "
            "describes those who lasted until then"
        )
    thin = (table["events"] > 0) & (at_risk < _THIN) & (times < times[at_risk.idxmax()])
    if thin.any():
        yield (
            f"{name} rests on {at_risk[thin].min()} customers at {times[thin].iloc[0]} {unit}, "
            f"which bends all of it; consider from_time={times[thin].iloc[-1]}"
        )
