"""Survival: how many stay how long, and whether groups differ."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.intervals import check_confidence

__all__ = ["logrank", "median_survival", "survival_curves"]

Array = NDArray[Any]
Side = Literal["left", "right"]

_CURVE = ["at_risk", "events", "censored", "survival", "lower", "upper"]

_THIN = 10
"""Customers at risk below which one event moves a curve by more than a tenth."""


def survival_curves(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
) -> pd.DataFrame:
    """Share of customers who have not ended yet, by time (Kaplan-Meier).

    Parameters
    ----------
    durations
        What ``time_to_event`` gives, or any frame with ``duration_<unit>`` and ``event``, and where
        needed ``entry_<unit>`` (0 when missing) and ``n`` (1 when missing).
    by
        Column or columns to draw apart; None pools all rows.
    confidence
        Coverage of the pointwise interval.
    from_time
        Start the curve here, among those who lasted longer: their survival given that.

    Returns
    -------
    pandas.DataFrame
        One row per group and time at which somebody enters, ends or is censored: the ``by``
        columns, ``duration_<unit>`` (time since the origin), ``at_risk`` int64 (customers at risk
        at that time), ``events`` and ``censored`` int64 (at that time), ``survival`` float64 (share
        that lasts longer than this time), ``lower`` and ``upper`` float64. The first row is where
        the curve starts: time 0, or ``from_time``, or the first entry.

    Raises
    ------
    CxError
        When a column is missing or holds what it must not, and where the curve cannot go on
        although customers enter later: all at risk ended, or nobody is at risk.

    Warns
    -----
    CxWarning
        When late entry leaves fewer than 10 at risk at an early event, which then bends the whole
        curve, and when a curve starts later than 0 because nobody was at risk before.

    Notes
    -----
    At risk at t are those with entry < t <= duration: at equal times an event comes before a
    censoring, and that before an entry. An entry of 0 is from the start. The interval is
    log-log-transformed with Greenwood's variance, as in R's ``conf.type = "log-log"``; where the
    curve has fallen to 0 it does not exist (NaN). Beyond the last row nothing is known.

    References
    ----------
    Kaplan and Meier (1958), JASA 53, 457-481. Kalbfleisch and Prentice (2002), section 1.4.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> survival_curves(durations).round(3)
       duration_days  at_risk  events  censored  survival  lower  upper
    0              0        3       0         0     1.000  1.000  1.000
    1              5        3       1         0     0.667  0.054  0.945
    2              8        2       1         1     0.333  0.009  0.774
    """
    check_confidence(confidence)
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = _read(durations, keys, from_time)
    curves = []
    for group, rows in _groups(spells, keys):
        curve = _curve(rows, confidence, from_time, _name(keys, group), unit)
        curves.append(curve.assign(**dict(zip(keys, group, strict=True))))
    if not curves:
        # Nobody was at risk: the columns, and no row.
        curves = [spells.assign(time=spells["duration"]).reindex(columns=[*keys, "time", *_CURVE])]
    frame = pd.concat(curves, ignore_index=True)[[*keys, "time", *_CURVE]]
    return frame.rename(columns={"time": f"duration_{unit}"})


def median_survival(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
) -> pd.DataFrame:
    """Time after which half of the customers have ended.

    Parameters
    ----------
    durations, by, confidence, from_time
        As for ``survival_curves``.

    Returns
    -------
    pandas.DataFrame
        One row per group: the ``by`` columns, ``n`` int64 (customers), ``events`` int64,
        ``median_<unit>`` float64 (since the origin) with ``lower`` and ``upper`` (where the bounds
        of the curve cross one half). NaN: not reached within the time observed.

    Raises
    ------
    CxError
        As for ``survival_curves``.

    Notes
    -----
    The first time at which survival is one half or less. (R takes the middle where the curve is
    flat at exactly one half.)

    References
    ----------
    Brookmeyer and Crowley (1982), Biometrics 38, 29-41.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> median_survival(durations)
       n  events  median_days  lower  upper
    0  3       2          8.0    5.0    NaN
    """
    check_confidence(confidence)
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = _read(durations, keys, from_time)
    found = []
    for group, rows in _groups(spells, keys):
        curve = _curve(rows, confidence, from_time, _name(keys, group), unit)
        counts = {"n": int(rows["n"].sum()), "events": int(curve["events"].sum())}
        half = {name: _first_at_half(curve, name) for name in ("survival", "lower", "upper")}
        found.append(dict(zip(keys, group, strict=True)) | counts | half)
    columns = [*keys, "n", "events", "survival", "lower", "upper"]
    frame = pd.DataFrame(found, columns=columns)
    return frame.rename(columns={"survival": f"median_{unit}"})


def logrank(durations: pd.DataFrame, *, by: str | Sequence[str]) -> pd.DataFrame:
    """Log-rank test of whether groups end at the same rate.

    Parameters
    ----------
    durations
        As for ``survival_curves``.
    by
        Column or columns that tell the groups.

    Returns
    -------
    pandas.DataFrame
        One row: ``statistic`` float64 (chi-squared), ``degrees_of_freedom`` int64, ``p_value``
        float64, ``n`` int64 (customers), ``events`` int64.

    Raises
    ------
    CxError
        When fewer than two groups are at risk of an event.

    Notes
    -----
    Compares the events of each group with those expected from the share of each group at risk,
    at every event time; ties by the hypergeometric variance. Late entry counts: at risk at t are
    those with entry < t <= duration. It has most power where hazards are proportional, and little
    where curves cross. A small p-value says that the groups differ, not that being in one causes
    it.

    References
    ----------
    Mantel (1966), Cancer Chemotherapy Reports 50, 163-170. Kalbfleisch and Prentice (2002), 1.5.

    Examples
    --------
    >>> durations = pd.DataFrame({
    ...     "plan": ["basic"] * 3 + ["pro"] * 3, "duration_days": [2, 3, 5, 8, 9, 9],
    ...     "event": [True, True, True, True, True, False],
    ... })
    >>> logrank(durations, by="plan").round(4)
       statistic  degrees_of_freedom  p_value  n  events
    0     5.0517                   1   0.0246  6       5
    """
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, _ = _read(durations, keys, None)
    times = np.unique(spells.loc[spells["event"], "duration"])
    groups = [rows for _, rows in _groups(spells, keys)]
    at_risk = np.array([_at_risk(rows, times) for rows in groups])
    ended = np.array([_count_at(rows[rows["event"]], times) for rows in groups])
    statistic, freedom = _logrank_statistic(at_risk, ended) if len(times) else (0.0, 0)
    if freedom == 0:
        raise CxError(
            f"fewer than two groups of {keys} are at risk when somebody ends, so that there is "
            "nothing to compare; check the groups and that there are events"
        )
    return pd.DataFrame(
        {
            "statistic": [statistic],
            "degrees_of_freedom": [freedom],
            "p_value": [float(special.chdtrc(freedom, statistic))],
            "n": [int(spells["n"].sum())],
            "events": [int(ended.sum())],
        }
    )


def _logrank_statistic(at_risk: Array, ended: Array) -> tuple[float, int]:
    """Chi-squared and its degrees of freedom; one row per group, one column per event time."""
    n, d = at_risk.sum(axis=0), ended.sum(axis=0)
    share = at_risk / n
    difference = (ended - d * share).sum(axis=1)
    # Where one alone is at risk there is nothing to share out, and no variance.
    spread = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    variance = np.diag((spread * share).sum(axis=1)) - (spread * share) @ share.T
    freedom = int(np.linalg.matrix_rank(variance, hermitian=True))
    return float(difference @ np.linalg.pinv(variance, hermitian=True) @ difference), freedom


def _read(
    durations: pd.DataFrame, by: list[str], from_time: float | None
) -> tuple[pd.DataFrame, str]:
    """Rows as ``by..., entry, duration, event, n``, and the unit of the times."""
    found = [name for name in durations.columns if str(name).startswith("duration_")]
    if len(found) != 1:
        raise CxError(
            f"the durations need one column 'duration_<unit>' and have {found or 'none'}; "
            "name it for example 'duration_days'"
        )
    unit = found[0].removeprefix("duration_")
    for name in ["event", *by]:
        if name not in durations.columns:
            raise unknown_name("column", name, durations.columns, "in the durations")
    spells = durations[by].assign(
        entry=durations.get(f"entry_{unit}", 0),
        duration=durations[found[0]],
        event=durations["event"],
        n=durations.get("n", 1),
    )
    _check_spells(spells)
    spells = spells.astype({"event": "bool", "n": "int64"})
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
    wrong |= (spells["entry"] < 0) | (spells["duration"] < 0)
    if wrong.any():
        raise CxError(
            f"{int(wrong.sum()):,} rows of the durations end before they enter, or have a negative "
            "time; an entry must be earlier than the duration"
        )


def _groups(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    if not len(frame):
        return
    if not by:
        yield (), frame
        return
    for group, rows in frame.groupby(by, dropna=False, observed=True):
        yield group if isinstance(group, tuple) else (group,), rows


def _name(by: list[str], group: tuple[Any, ...]) -> str:
    parts = [f"{name} {value!r}" for name, value in zip(by, group, strict=True)]
    return f"the curve of {', '.join(parts)}" if parts else "the curve"


def _at_risk(rows: pd.DataFrame, times: Array) -> Array:
    """Customers with entry < time <= duration; an entry of 0 is from the start."""
    entry = rows["entry"].astype("float64").where(rows["entry"] > 0, -np.inf)
    entered = _cumulated(entry, rows["n"])(times, "left")
    gone = _cumulated(rows["duration"], rows["n"])(times, "left")
    return entered - gone


def _count_at(rows: pd.DataFrame, times: Array) -> Array:
    count = _cumulated(rows["duration"], rows["n"])
    return count(times, "right") - count(times, "left")


def _cumulated(times: pd.Series, n: pd.Series) -> Callable[[Array, Side], Array]:
    """Function that counts the customers whose time is before (left) or up to (right) others."""
    order = np.argsort(times.to_numpy(), kind="stable")
    ordered = times.to_numpy()[order]
    so_far = np.concatenate([[0], np.cumsum(n.to_numpy()[order])])
    return lambda at, side: so_far[np.searchsorted(ordered, at, side=side)]


def _curve(
    rows: pd.DataFrame, confidence: float, from_time: float | None, name: str, unit: str
) -> pd.DataFrame:
    """One group's table of ``time`` and ``_CURVE``."""
    table = _risk_table(rows, from_time)
    if (rows["entry"] > 0).any():
        _check_that_it_goes_on(table, rows, name, unit)
        for weakness in _weaknesses(table, name, unit, starts_late=from_time is None):
            # Up to the caller of the public function.
            warnings.warn(weakness, CxWarning, stacklevel=3)
    return _with_survival(table, rows, confidence)


def _risk_table(rows: pd.DataFrame, from_time: float | None) -> pd.DataFrame:
    """Counts at every time at which somebody enters, ends or is censored."""
    first = rows["entry"].min() if from_time is None else from_time
    times = np.unique(np.concatenate([[first], rows["entry"], rows["duration"]]))
    at_risk = _at_risk(rows, times)
    # Who enters with the first row is shown there, so that the curve starts with its n.
    at_risk[0] = rows.loc[rows["entry"] <= first, "n"].sum()
    if pd.api.types.is_integer_dtype(rows["duration"]) and (times == times.round()).all():
        times = times.astype("int64")
    return pd.DataFrame(
        {
            "time": times,
            "at_risk": at_risk,
            "events": _count_at(rows[rows["event"]], times),
            "censored": _count_at(rows[~rows["event"]], times),
        }
    )


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


def _with_survival(table: pd.DataFrame, rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    from lifelines import KaplanMeierFitter

    entry = rows["entry"] if (rows["entry"] > 0).any() else None
    fitter = KaplanMeierFitter(alpha=1 - confidence)
    fitter.fit(rows["duration"], rows["event"], entry=entry, weights=rows["n"])
    curve = fitter.survival_function_.join(fitter.confidence_interval_)
    curve.columns = ["survival", "lower", "upper"]
    curve = curve.reindex(table["time"], method="ffill").fillna(1.0).reset_index(drop=True)
    # lifelines gives 0 to 0 where the curve is 0; no interval of that kind exists there.
    curve.loc[curve["survival"] <= 0, ["lower", "upper"]] = np.nan
    return table.join(curve)


def _first_at_half(curve: pd.DataFrame, column: str) -> float:
    """First time at which the column is one half or less, NaN when it never is."""
    # Rounding must not move a survival of exactly one half to the next time.
    reached = (curve[column] <= 0.5 + 1e-12) | (curve["survival"] <= 0)
    return float(curve.loc[reached, "time"].iloc[0]) if reached.any() else float("nan")
