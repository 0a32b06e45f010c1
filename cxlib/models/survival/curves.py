"""Curves: the share that has not ended yet, its hazard, and what follows for who has lasted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, CxWarning
from cxlib.models.survival.bounds import check_interval, hazard_bounds, share_bounds
from cxlib.models.survival.counts import (
    at_risk_at,
    count_at,
    counts_by_time,
    name_group,
    read_durations,
    split_groups,
    warn_of_late_entry,
)

__all__ = ["at_risk_table", "conditional_survival", "cumulative_hazards", "survival_curves"]

Array = NDArray[Any]
Interval = Literal["log-log", "log", "plain"]

_COUNTS = ["at_risk", "events", "censored"]
_CURVE = [*_COUNTS, "survival", "standard_error", "lower", "upper"]
_HAZARD = [*_COUNTS, "cumulative_hazard", "standard_error", "lower", "upper"]
_FEW = 10
"""Customers at risk below which a curve is not sure of itself."""


def survival_curves(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
    interval: Interval = "log-log",
) -> pd.DataFrame:
    """Share of customers who have not ended yet, by time (Kaplan-Meier).

    Parameters
    ----------
    durations
        What ``spell_counts`` or ``time_to_event`` gives, or any frame with ``duration_<unit>`` and
        ``event``, and where needed ``entry_<unit>`` (0 when missing) and ``n`` (1 when missing).
    by
        Column or columns to draw apart; None pools all rows.
    confidence
        Coverage of the pointwise interval.
    from_time
        Start the curve here, among those who lasted longer: their survival given that.
    interval
        Scale on which the interval is symmetric: "log-log", "log" or "plain", as R's ``conf.type``.

    Returns
    -------
    pandas.DataFrame
        One row per group and time at which somebody enters, ends or is censored: the ``by``
        columns, ``duration_<unit>`` (time since the origin), ``at_risk`` int64 (customers at risk
        at that time), ``events`` and ``censored`` int64 (at that time), ``survival`` float64 (share
        that lasts longer than this time), ``standard_error``, ``lower`` and ``upper`` float64. The
        first row is where the curve starts: time 0, or ``from_time``, or the first entry.

    Raises
    ------
    CxError
        When a column is missing or holds what it must not; where the curve cannot go on although
        customers enter later (all at risk ended, or nobody is at risk); and when one of several
        causes would count as censoring: then take ``cumulative_incidence``.

    Warns
    -----
    CxWarning
        When late entry leaves fewer than 10 at risk at an early event, which then bends the whole
        curve, and when a curve starts later than 0 because nobody was at risk before.

    Notes
    -----
    At risk at t are those with entry < t <= duration: at equal times an event comes before a
    censoring, and that before an entry. An entry of 0 is from the start. The variance is
    Greenwood's. Where the curve has fallen to 0 it has no interval (NaN). Beyond the last row
    nothing is known.

    References
    ----------
    Kaplan and Meier (1958), JASA 53, 457-481. Kalbfleisch and Prentice (2002), section 1.4.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> survival_curves(durations).drop(columns="standard_error").round(3)
       duration_days  at_risk  events  censored  survival  lower  upper
    0              0        3       0         0     1.000  1.000  1.000
    1              5        3       1         0     0.667  0.054  0.945
    2              8        2       1         1     0.333  0.009  0.774
    """
    check_interval(interval, confidence)
    tables, keys, unit = _tables(durations, by, from_time)
    parts = [
        table.assign(
            **_survival(table, confidence, interval), **dict(zip(keys, group, strict=True))
        )
        for group, table in tables
    ]
    return _joined(parts, keys, _CURVE, unit)


def cumulative_hazards(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
    interval: Literal["log", "plain"] = "log",
) -> pd.DataFrame:
    """Rate of ending, added up over time (Nelson-Aalen).

    Parameters
    ----------
    durations, by, confidence, from_time
        As for ``survival_curves``.
    interval
        Scale on which the interval is symmetric: "log" or "plain".

    Returns
    -------
    pandas.DataFrame
        One row per group and time, as ``survival_curves`` gives, with ``cumulative_hazard``,
        ``standard_error``, ``lower`` and ``upper`` float64 in place of the survival.

    Raises
    ------
    CxError
        As for ``survival_curves``.

    Warns
    -----
    CxWarning
        As for ``survival_curves``.

    Notes
    -----
    The sum of events / at risk, with Aalen's variance, the sum of events / at risk squared; both as
    in R's ``survfit``. A straight line is a constant rate; it bends down where those who stay are
    ever less likely to leave.

    References
    ----------
    Nelson (1972), Technometrics 14, 945-966. Aalen (1978), Annals of Statistics 6, 701-726.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> cumulative_hazards(durations)[["duration_days", "cumulative_hazard"]].round(3)
       duration_days  cumulative_hazard
    0              0              0.000
    1              5              0.333
    2              8              0.833
    """
    check_interval(interval, confidence, ("log", "plain"))
    tables, keys, unit = _tables(durations, by, from_time)
    parts = [
        table.assign(**_hazard(table, confidence, interval), **dict(zip(keys, group, strict=True)))
        for group, table in tables
    ]
    return _joined(parts, keys, _HAZARD, unit)


def conditional_survival(
    durations: pd.DataFrame,
    *,
    lasted: float | Sequence[float],
    further: float | Sequence[float],
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    interval: Interval = "log-log",
) -> pd.DataFrame:
    """Share of customers who last some time more, among those who have lasted some time.

    Parameters
    ----------
    durations, by, confidence, interval
        As for ``survival_curves``.
    lasted
        Times since the origin at which customers are still there.
    further
        Times from then on.

    Returns
    -------
    pandas.DataFrame
        One row per group, ``lasted_<unit>`` and ``further_<unit>``: the ``by`` columns, ``at_risk``
        int64 (customers who lasted and were followed then), ``events`` int64 (of those who lasted,
        within the further time), ``survival`` float64, S(t + u | t), with ``standard_error``,
        ``lower`` and ``upper``. There is no row for times that nobody was followed to.

    Raises
    ------
    CxError
        As for ``survival_curves``, and where no group was followed so far.

    Warns
    -----
    CxWarning
        Where fewer than 10 were at risk at the time that they had lasted, or a row is left out.

    Notes
    -----
    S(t + u) / S(t), computed among those at risk after t: what happened before does not enter the
    variance. Who enters later than t is at risk from then on.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [2, 5, 8, 9], "event": [True] * 3 + [False],
    ...                           "n": [40, 30, 20, 10]})
    >>> conditional_survival(durations, lasted=[0, 2], further=4)[
    ...     ["lasted_days", "further_days", "at_risk", "survival"]]
       lasted_days  further_days  at_risk  survival
    0            0             4      100       0.6
    1            2             4       60       0.5
    """
    check_interval(interval, confidence)
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = read_durations(durations, keys)
    starts, ahead = np.atleast_1d(lasted).tolist(), np.atleast_1d(further).tolist()
    parts, thin, unseen = [], [], []
    for group, rows in split_groups(spells, keys):
        for start in starts:
            own = rows[rows["duration"] > start].assign(entry=rows["entry"].clip(lower=start))
            seen = [u for u in ahead if len(own) and start + u <= own["duration"].max()]
            where = f"{name_group(keys, group)} at {start} {unit}"
            unseen += [f"{where} + {u}" for u in ahead if u not in seen]
            if not seen:
                continue
            table = counts_by_time(own, start)
            warn_of_late_entry(table, own, name_group(keys, group), unit, starts_late=False, up=2)
            if table["at_risk"].iloc[0] < _FEW:
                thin.append(f"{where} ({table['at_risk'].iloc[0]})")
            found = _conditional(table, start, seen, unit, confidence, interval)
            parts.append(found.assign(**dict(zip(keys, group, strict=True))))
    if thin:
        _warn(f"fewer than {_FEW} customers are at risk in {'; '.join(thin)}; read with care")
    if not parts and len(spells):
        raise CxError(
            f"nobody was followed to {min(starts)} + {min(ahead)} {unit}; the longest was "
            f"{spells['duration'].max()}"
        )
    if unseen:
        _warn(f"nobody was followed that far, so that there is no row for {'; '.join(unseen)}")
    columns = [*keys, f"lasted_{unit}", f"further_{unit}", "at_risk", *_CURVE[1:2], *_CURVE[3:]]
    return pd.concat(parts or [pd.DataFrame(columns=columns)], ignore_index=True)[columns]


def _conditional(
    table: pd.DataFrame,
    start: float,
    ahead: list[float],
    unit: str,
    confidence: float,
    interval: str,
) -> pd.DataFrame:
    """Rows of one group and one time lasted."""
    curve = table.assign(**_survival(table, confidence, interval), events=table["events"].cumsum())
    place = np.searchsorted(curve["time"], start + np.array(ahead), side="right") - 1
    found = curve.iloc[place].reset_index(drop=True)
    found["at_risk"] = table["at_risk"].iloc[0]
    found[f"lasted_{unit}"], found[f"further_{unit}"] = start, ahead
    return found


def at_risk_table(
    durations: pd.DataFrame,
    *,
    times: Sequence[float],
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Customers at risk at given times, and what became of the others.

    Parameters
    ----------
    durations, by
        As for ``survival_curves``.
    times
        Times since the origin, rising.

    Returns
    -------
    pandas.DataFrame
        One row per group and time: the ``by`` columns, ``duration_<unit>`` (the time), ``at_risk``
        int64 (with entry < time <= duration; at time 0, who starts), and ``entered``, ``events``
        and ``censored`` int64 (since the time before, this time included; for the first one, up to
        it).

    Raises
    ------
    CxError
        As for ``survival_curves``, and when the times do not rise.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> at_risk_table(durations, times=[0, 6, 12])
       duration_days  at_risk  entered  events  censored
    0              0        3        3       0         0
    1              6        2        0       1         0
    2             12        0        0       1         1
    """
    at = np.asarray(times)
    if len(at) == 0 or (np.diff(at) <= 0).any() or (at < 0).any():
        raise CxError(f"times are {list(times)}; give times from 0 on that rise")
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = read_durations(durations, keys)
    parts = []
    for group, rows in split_groups(spells, keys):
        counts = {
            "entered": _up_to(rows.assign(duration=rows["entry"]), at),
            "events": _up_to(rows[rows["event"]], at),
            "censored": _up_to(rows[~rows["event"]], at),
        }
        at_risk = np.where(at > 0, at_risk_at(rows, at), rows.loc[rows["entry"] <= 0, "n"].sum())
        since = {name: np.diff(values, prepend=0) for name, values in counts.items()}
        frame = pd.DataFrame({"time": at, "at_risk": at_risk, **since})
        parts.append(frame.assign(**dict(zip(keys, group, strict=True))))
    return _joined(parts, keys, ["at_risk", "entered", "events", "censored"], unit)


def _up_to(rows: pd.DataFrame, times: Array) -> Array:
    ordered = np.unique(rows["duration"].to_numpy())
    so_far = np.concatenate([[0], np.cumsum(count_at(rows, ordered))])
    return so_far[np.searchsorted(ordered, times, side="right")].astype("int64")


def _tables(
    durations: pd.DataFrame, by: str | Sequence[str] | None, from_time: float | None
) -> tuple[list[tuple[tuple[Any, ...], pd.DataFrame]], list[str], str]:
    """Counts of each group by time, once they are known to carry a curve."""
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = read_durations(durations, keys, from_time)
    tables = []
    for group, rows in split_groups(spells, keys):
        table = counts_by_time(rows, from_time)
        name = name_group(keys, group)
        warn_of_late_entry(table, rows, name, unit, starts_late=from_time is None, up=3)
        tables.append((group, table))
    return tables, keys, unit


def _joined(
    parts: list[pd.DataFrame], keys: list[str], columns: list[str], unit: str
) -> pd.DataFrame:
    # Nobody was at risk: the columns, and no row.
    parts = parts or [pd.DataFrame(columns=[*keys, "time", *columns])]
    frame = pd.concat(parts, ignore_index=True)[[*keys, "time", *columns]]
    return frame.rename(columns={"time": f"duration_{unit}"})


def _survival(table: pd.DataFrame, confidence: float, interval: str) -> dict[str, Array]:
    n, d = (table[name].to_numpy("float64") for name in ("at_risk", "events"))
    survival = np.cumprod(1 - d / np.maximum(n, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = survival * np.sqrt(np.cumsum(np.where(d > 0, d / (n * (n - d)), 0.0)))
    lower, upper = share_bounds(survival, error, confidence, interval)
    return {"survival": survival, "standard_error": error, "lower": lower, "upper": upper}


def _hazard(table: pd.DataFrame, confidence: float, interval: str) -> dict[str, Array]:
    n, d = (table[name].to_numpy("float64") for name in ("at_risk", "events"))
    hazard = np.cumsum(d / np.maximum(n, 1))
    error = np.sqrt(np.cumsum(d / np.maximum(n, 1) ** 2))
    lower, upper = hazard_bounds(hazard, error, confidence, interval)
    return {"cumulative_hazard": hazard, "standard_error": error, "lower": lower, "upper": upper}


def _warn(message: str) -> None:
    warnings.warn(message, CxWarning, stacklevel=3)
