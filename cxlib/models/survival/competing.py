"""Competing ends: the share that has come to each of several, and whether groups differ in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.models.survival.bounds import check_interval, share_bounds
from cxlib.models.survival.counts import (
    at_risk_at,
    count_at,
    counts_by_time,
    name_group,
    read_durations,
    split_groups,
    warn_of_late_entry,
)

__all__ = ["cumulative_incidence", "gray_test"]

Array = NDArray[Any]

_COLUMNS = ["at_risk", "events", "censored", "incidence", "standard_error", "lower", "upper"]
_ERRORS = ("jackknife", "aalen")


def cumulative_incidence(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
    interval: Literal["log-log", "log", "plain"] = "log-log",
    error: Literal["jackknife", "aalen"] = "jackknife",
) -> pd.DataFrame:
    """Share of customers who have ended for each cause, by time (Aalen-Johansen).

    Parameters
    ----------
    durations
        What ``spell_counts`` gives, or any frame with ``duration_<unit>`` and ``cause`` (the end,
        or missing or in parentheses for those who have not ended), and where needed
        ``entry_<unit>`` and ``n``.
    by
        Column or columns to draw apart; None pools all rows.
    confidence
        Coverage of the pointwise interval.
    from_time
        Start here, among those who lasted longer.
    interval
        Scale on which the interval of the share that has not come to this end is symmetric:
        "log-log", "log" or "plain".
    error
        "jackknife" (infinitesimal, as R's ``survfit``) or "aalen" (as the package cmprsk); they
        differ little, and "aalen" takes no late entry.

    Returns
    -------
    pandas.DataFrame
        One row per group, cause and time: the ``by`` columns, ``cause``, ``duration_<unit>``,
        ``at_risk`` int64, ``events`` int64 (of this cause, at that time), ``censored`` int64,
        ``incidence`` float64 (share that has ended for this cause up to then) with
        ``standard_error``, ``lower`` and ``upper``.

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
    Ends of all causes at one time are simultaneous. At every time the incidences and the survival
    of ``survival_curves`` add up to 1. The curve that counts the other causes as censored, 1 - KM,
    would say what happened if the other causes did not exist, and only if they had nothing to do
    with this one: it is not offered.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian J. of Statistics 5, 141-150. Aalen (1978), Annals of
    Statistics 6, 534-545. Putter, Fiocco and Geskus (2007), Statistics in Medicine 26, 2389-2430.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 9], "cause": ["price", "moved", None]})
    >>> found = cumulative_incidence(durations)
    >>> found[["cause", "duration_days", "at_risk", "incidence"]].round(3).iloc[4:]
       cause  duration_days  at_risk  incidence
    4  price              0        3      0.000
    5  price              5        3      0.333
    6  price              8        2      0.333
    7  price              9        1      0.333
    """
    check_interval(interval, confidence)
    if error not in _ERRORS:
        raise unknown_name("error", error, _ERRORS)
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = read_durations(durations, keys, from_time, causes=True)
    names = sorted(spells["cause"].dropna().unique(), key=str)
    parts = []
    for group, rows in split_groups(spells, keys):
        table = counts_by_time(rows, from_time)
        name = name_group(keys, group)
        warn_of_late_entry(table, rows, name, unit, starts_late=from_time is None, up=2)
        if error == "aalen" and (rows["entry"] > table["time"].iloc[0]).any():
            raise CxError(f"{name} has late entries, for which Aalen's error is not defined here; "
                          "take error='jackknife'")  # fmt: skip
        for cause in names:
            own = _incidence(table, rows, cause, error)
            rest, spread = (own[name].to_numpy() for name in ("incidence", "standard_error"))
            lower, upper = share_bounds(1 - rest, spread, confidence, interval)
            own = own.assign(cause=cause, lower=1 - upper, upper=1 - lower)
            parts.append(own.assign(**dict(zip(keys, group, strict=True))))
    columns = [*keys, "cause", "time", *_COLUMNS]
    frame = pd.concat(parts or [pd.DataFrame(columns=columns)], ignore_index=True)[columns]
    return frame.rename(columns={"time": f"duration_{unit}"})


def _incidence(table: pd.DataFrame, rows: pd.DataFrame, cause: Any, error: str) -> pd.DataFrame:
    """Incidence of one cause in one group, with its standard error."""
    times, n = table["time"].to_numpy(), np.maximum(table["at_risk"].to_numpy("float64"), 1)
    d = table["events"].to_numpy("float64")
    own = count_at(rows[rows["cause"] == cause], times)
    survival = np.cumprod(1 - d / n)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence = np.cumsum(before * own / n)
    if error == "aalen":
        variance = _aalen(n, d, own, before, survival, incidence)
    else:
        variance = _jackknife(rows, cause, times, n, d, own)
    return table.assign(
        events=own, incidence=incidence, standard_error=np.sqrt(np.maximum(variance, 0.0))
    )


def _aalen(n: Array, d: Array, own: Array, before: Array, survival: Array, found: Array) -> Array:
    """Sum over ends of (1 of this cause - (F(t) - F(s)) / S(s)) squared times their variance."""

    def ends(count: Array) -> Array:
        tied = 1 - np.maximum(count - 1, 0) / np.maximum(n - 1, 1)
        return before**2 * count * tied / n**2

    left = np.where(survival > 0, survival, np.inf)
    # (a - F(t) b) squared, of which the sums over s do not depend on t.
    b = 1 / left
    a_own, a_other = 1 + found * b, found * b
    this, other = ends(own), ends(d - own) * (survival > 0)
    square = np.cumsum(this * a_own**2 + other * a_other**2)
    cross = np.cumsum((this * a_own + other * a_other) * b)
    return square - 2 * found * cross + found**2 * np.cumsum((this + other) * b**2)


def _jackknife(
    rows: pd.DataFrame, cause: Any, times: Array, n: Array, d: Array, own: Array
) -> Array:
    """Sum of the squared influence of each customer, at each time.

    The influence of a customer at t is that of being at risk up to then and, once gone, that of
    the share S(s) which it changed for good. Both are linear in what depends on t, so that their
    squares are sums of products: the work does not grow with customers times times.
    """
    left = np.where(d < n, n - d, np.inf)
    before = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]])
    rate = np.cumsum(d / (n * left))
    step = before * own / n
    share = np.cumsum(step)
    held = np.cumsum(step * (rate - d / (n * left)) - step / n)

    rows = rows[rows["n"] > 0]
    entry, leave = rows["entry"].to_numpy("float64"), rows["duration"].to_numpy("float64")
    weight = rows["n"].to_numpy("float64")
    end = np.searchsorted(times, leave, side="right") - 1
    begin = np.searchsorted(times, np.where(entry > 0, entry, -np.inf), side="right") - 1

    def at(values: Array, place: Array) -> Array:
        return np.where(place >= 0, values[np.maximum(place, 0)], 0.0)

    # While at risk the influence is held(t) - a - b share(t).
    b = at(rate, begin)
    a = at(held, begin) - b * at(share, begin)
    # Once gone it is c + g share(t).
    ended = rows["event"].to_numpy()
    g = rate[end] - b - np.where(ended, 1 / left[end], 0.0)
    mine = np.where(
        (rows["cause"] == cause).fillna(False).to_numpy("bool"), before[end] / n[end], 0
    )
    c = held[end] - a - b * share[end] + mine - g * share[end]

    def summed(values: Array, place: Array) -> Array:
        """Sum over who has come to a place by each time."""
        return np.cumsum(np.bincount(np.maximum(place, 0), weight * values, len(times)))

    def present(values: Array) -> Array:
        return summed(values, begin) - summed(values, end)

    one = np.ones(len(weight))
    staying = (
        held**2 * present(one)
        + present(a**2)
        + share**2 * present(b**2)
        - 2 * held * present(a)
        - 2 * held * share * present(b)
        + 2 * share * present(a * b)
    )
    gone = summed(c**2, end) + 2 * share * summed(c * g, end) + share**2 * summed(g**2, end)
    return staying + gone


def gray_test(durations: pd.DataFrame, *, by: str | Sequence[str], cause: str) -> pd.DataFrame:
    """Gray's test of whether groups differ in the share that ends for one cause.

    Parameters
    ----------
    durations
        As for ``cumulative_incidence``.
    by
        Column or columns that tell the groups.
    cause
        The cause whose incidence is compared.

    Returns
    -------
    pandas.DataFrame
        One row: ``cause``, ``statistic`` float64 (chi-squared), ``degrees_of_freedom`` int64,
        ``p_value`` float64, ``n`` int64 (customers), ``events`` int64 (of the cause).

    Raises
    ------
    CxError
        For an unknown cause, fewer than two groups, and late entries.

    Notes
    -----
    Compares incidences, which depend on how many are left by the other causes; ``logrank`` of
    rates asks another question. Who has ended for another cause stays in the comparison, weighted
    by (1 - F) / S of the group.

    References
    ----------
    Gray (1988), Annals of Statistics 16, 1141-1154.

    Examples
    --------
    >>> durations = pd.DataFrame({
    ...     "plan": ["basic"] * 3 + ["pro"] * 3, "duration_days": [2, 3, 5, 4, 8, 9],
    ...     "cause": ["price", "price", "moved", "price", "moved", None], "n": 10,
    ... })
    >>> gray_test(durations, by="plan", cause="price").round(2)[["statistic", "n", "events"]]
       statistic   n  events
    0      12.99  60      30
    """
    keys = [by] if isinstance(by, str) else list(by)
    spells, _ = read_durations(durations, keys, causes=True)
    names = sorted(map(str, spells["cause"].dropna().unique()))
    if cause not in names:
        raise unknown_name("cause", cause, names, "in the durations")
    if (spells["entry"] > 0).any():
        raise CxError(
            "the durations have late entries, for which Gray's test is not defined; compare rates "
            "with fit_cox(cause=...), or start the clock where all are followed"
        )
    groups = [rows for _, rows in split_groups(spells, keys)]
    times = np.unique(spells.loc[spells["event"], "duration"])
    cells = [_group_cells(rows, times, cause) for rows in groups]
    at_risk, own, other = (np.array(values, "float64") for values in zip(*cells, strict=True))
    score, variance = _gray(at_risk, own, other)
    freedom = int(np.linalg.matrix_rank(variance / max(variance.max(), 1e-300), hermitian=True))
    if len(groups) < 2 or freedom == 0 or variance.max() <= 0:
        raise CxError(
            f"fewer than two groups of {keys} are at risk when somebody ends for {cause!r}, so "
            "that there is nothing to compare"
        )
    statistic = float(score @ np.linalg.pinv(variance, hermitian=True) @ score)
    return pd.DataFrame(
        {
            "cause": [cause],
            "statistic": [statistic],
            "degrees_of_freedom": [freedom],
            "p_value": [float(special.chdtrc(freedom, statistic))],
            "n": [int(spells["n"].sum())],
            "events": [int(own.sum())],
        }
    )


def _group_cells(rows: pd.DataFrame, times: Array, cause: str) -> tuple[Array, Array, Array]:
    own = count_at(rows[rows["cause"] == cause], times)
    return at_risk_at(rows, times), own, count_at(rows[rows["event"]], times) - own


def _gray(at_risk: Array, own: Array, other: Array) -> tuple[Array, Array]:
    """Scores of the groups and their covariance; one row per group, one column per time."""
    n = np.maximum(at_risk, 1)
    there = at_risk > 0
    after = np.cumprod(1 - np.where(there, (own + other) / n, 0.0), axis=1)
    before = np.hstack([np.ones((len(n), 1)), after[:, :-1]])
    incidence = np.cumsum(np.where(there, before * own / n, 0.0), axis=1)
    earlier = np.hstack([np.zeros((len(n), 1)), incidence[:, :-1]])
    # Customers as if nobody had ended or been censored, and those still free of the cause.
    whole = np.where(there, at_risk / np.where(before > 0, before, 1.0), 0.0)
    free = whole * (1 - earlier)
    d = own.sum(axis=0)
    score = (own - d * free / free.sum(axis=0)).sum(axis=1)

    total = whole.sum(axis=0)
    pooled = np.cumsum(d / total)
    risen = 1 - np.concatenate([[0.0], pooled[:-1]])
    # a[i, k]: what an end in group k moves in the score of group i.
    a = (np.eye(len(n))[:, :, None] - (whole / total)[None]) * whole[:, None]
    reach = np.cumsum(a * d / (total * risen), axis=2)
    later = reach[:, :, -1:] - reach
    ratio = np.where(after > 0, (1 - pooled) / np.where(after > 0, after, 1.0), 0.0)
    of_cause = np.where(after > 0, 1 - ratio, 1.0)
    tied = 1 - np.maximum(d - 1, 0) / np.maximum(total * before - 1, 1e-300)
    spread = np.where(there, np.where(d > 1, tied, 1.0) * before * d / (total * n), 0.0)
    kept = 1 - np.maximum(other - 1, 0) / np.maximum(n - 1, 1)
    spread_other = np.where(there & (after > 0), kept * before**2 * other / n**2, 0.0)
    moved = a + of_cause[None] * later
    moved_other = ratio[None] * later
    variance = np.einsum("ikt,jkt,kt->ij", moved, moved, spread)
    return score, variance + np.einsum("ikt,jkt,kt->ij", moved_other, moved_other, spread_other)
