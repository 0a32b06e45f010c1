"""Comparisons: whether groups end at the same rate, all at once or pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.models.survival.counts import at_risk_at, count_at, read_durations, split_groups

__all__ = ["expected_events", "logrank", "pairwise_tests", "survival_test"]

Array = NDArray[Any]
Weighting = Literal["logrank", "wilcoxon", "tarone_ware", "peto", "fleming_harrington"]

_WEIGHTINGS = ("logrank", "wilcoxon", "tarone_ware", "peto", "fleming_harrington")


def logrank(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str],
    strata: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Log-rank test of whether groups end at the same rate.

    Parameters
    ----------
    durations
        As for ``survival_curves``.
    by
        Column or columns that tell the groups.
    strata
        Column or columns within which the groups are compared.

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
    return survival_test(durations, by=by, strata=strata).drop(columns="weighting")


def survival_test(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str],
    weighting: Weighting = "logrank",
    strata: str | Sequence[str] | None = None,
    p: float | None = None,
    q: float | None = None,
) -> pd.DataFrame:
    """Weighted log-rank test of whether groups end at the same rate.

    Parameters
    ----------
    durations
        As for ``survival_curves``.
    by
        Column or columns that tell the groups.
    weighting
        How much a time counts: "logrank" (all the same), "wilcoxon" (Gehan and Breslow: customers
        at risk), "tarone_ware" (their square root), "peto" (survival before it) or
        "fleming_harrington" (survival before it to the power p times ended before it to the q).
    strata
        Column or columns within which the groups are compared.
    p, q
        Powers of "fleming_harrington": p = 1 looks at early differences, q = 1 at late ones.

    Returns
    -------
    pandas.DataFrame
        One row: ``weighting``, ``statistic`` float64 (chi-squared), ``degrees_of_freedom`` int64,
        ``p_value`` float64, ``n`` int64 (customers), ``events`` int64.

    Raises
    ------
    CxError
        When fewer than two groups are at risk of an event, for an unknown weighting, and for powers
        that are missing, negative or out of place.

    Notes
    -----
    Choose the weighting before looking: the smallest of several p-values is none. Survival is that
    of all groups of a stratum together, as in R's ``survdiff``, whose ``rho`` is p; "peto" is
    rho = 1. With late entry, all are counted among those at risk at the time.

    References
    ----------
    Gehan (1965), Biometrika 52, 203-223. Tarone and Ware (1977), Biometrika 64, 156-160. Peto and
    Peto (1972), JRSS A 135, 185-207. Fleming and Harrington (1991), Counting Processes and Survival
    Analysis, chapter 7.

    Examples
    --------
    >>> durations = pd.DataFrame({
    ...     "plan": ["basic"] * 3 + ["pro"] * 3, "duration_days": [2, 3, 5, 8, 9, 9],
    ...     "event": [True, True, True, True, True, False],
    ... })
    >>> survival_test(durations, by="plan", weighting="wilcoxon")["p_value"].round(4).tolist()
    [0.0339]
    """
    scores = _read_scores(durations, by, strata, weighting, p, q)
    statistic, freedom = scores.test()
    if freedom == 0:
        raise CxError(
            f"fewer than two groups of {scores.by} are at risk when somebody ends, so that there "
            "is nothing to compare; check the groups and that there are events"
        )
    return pd.DataFrame(
        {
            "weighting": [weighting],
            "statistic": [statistic],
            "degrees_of_freedom": [freedom],
            "p_value": [float(special.chdtrc(freedom, statistic))],
            "n": [int(scores.n.sum())],
            "events": [int(scores.events.sum())],
        }
    )


def expected_events(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str],
    strata: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ends of each group beside those expected if all groups ended at the same rate.

    Parameters
    ----------
    durations, by, strata
        As for ``survival_test``.

    Returns
    -------
    pandas.DataFrame
        One row per group: the ``by`` columns, ``n`` and ``observed`` int64, ``expected`` float64,
        ``observed_to_expected`` float64 and ``variance`` float64 (of observed less expected).

    Raises
    ------
    CxError
        As for ``survival_curves``.

    Examples
    --------
    >>> durations = pd.DataFrame({
    ...     "plan": ["basic"] * 3 + ["pro"] * 3, "duration_days": [2, 3, 5, 8, 9, 9],
    ...     "event": [True, True, True, True, True, False],
    ... })
    >>> expected_events(durations, by="plan")[["plan", "observed", "expected"]]
        plan  observed  expected
    0  basic         3      1.15
    1    pro         2      3.85
    """
    scores = _read_scores(durations, by, strata, "logrank", None, None)
    expected = scores.events - scores.difference
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected > 0, scores.events / expected, np.nan)
    return pd.DataFrame(scores.groups, columns=scores.by).assign(
        n=scores.n,
        observed=scores.events,
        expected=expected,
        observed_to_expected=ratio,
        variance=np.diag(scores.variance),
    )


def pairwise_tests(
    durations: pd.DataFrame,
    *,
    by: str,
    weighting: Weighting = "logrank",
    strata: str | Sequence[str] | None = None,
    p: float | None = None,
    q: float | None = None,
) -> pd.DataFrame:
    """Weighted log-rank tests of every pair of groups, corrected for their number.

    Parameters
    ----------
    durations, weighting, strata, p, q
        As for ``survival_test``.
    by
        Column that tells the groups.

    Returns
    -------
    pandas.DataFrame
        One row per pair: ``group`` and ``other`` (values of ``by``), ``n``, ``n_other``, ``events``
        and ``events_other`` int64, ``statistic`` float64, ``p_value`` float64 and
        ``holm_p_value`` float64 (corrected: the chance that any pair of equal groups shows a
        smaller one stays below it).

    Raises
    ------
    CxError
        When a pair has no event to compare.

    References
    ----------
    Holm (1979), Scandinavian J. of Statistics 6, 65-70.

    Examples
    --------
    >>> durations = pd.DataFrame({
    ...     "plan": ["basic", "plus", "pro"] * 2, "duration_days": [2, 4, 8, 3, 5, 9],
    ...     "event": True, "n": 10,
    ... })
    >>> pairwise_tests(durations, by="plan")[["group", "other", "statistic"]].round(2)
       group other  statistic
    0  basic  plus      39.39
    1  basic   pro      39.39
    2   plus   pro      39.39
    """
    groups = sorted(durations[by].dropna().unique()) if by in durations else []
    parts = []
    for first, second in combinations(groups, 2):
        both = durations[durations[by].isin([first, second])]
        test = survival_test(both, by=by, weighting=weighting, strata=strata, p=p, q=q)
        sizes = expected_events(both, by=by, strata=strata)
        parts.append(
            {
                "group": first,
                "other": second,
                "n": sizes["n"].iloc[0],
                "n_other": sizes["n"].iloc[1],
                "events": sizes["observed"].iloc[0],
                "events_other": sizes["observed"].iloc[1],
                "statistic": test["statistic"].iloc[0],
                "p_value": test["p_value"].iloc[0],
            }
        )
    if not parts:
        # Says which column is missing, or that there is nothing to compare.
        survival_test(durations, by=by)
    frame = pd.DataFrame(parts)
    return frame.assign(holm_p_value=_holm(frame["p_value"].to_numpy()))


def _holm(values: Array) -> Array:
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    found = np.empty(len(values))
    found[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return found


@dataclass(frozen=True)
class _Scores:
    """Weighted events less those expected, of each group, and their covariance."""

    by: list[str]
    groups: list[tuple[Any, ...]]
    n: Array
    events: Array
    difference: Array
    variance: Array

    def test(self) -> tuple[float, int]:
        """Chi-squared and its degrees of freedom."""
        scale = self.variance.max(initial=0)
        if not scale > 0:
            return 0.0, 0
        # Scaled, so that small weights do not look like no variance.
        spread = self.variance / scale
        freedom = int(np.linalg.matrix_rank(spread, hermitian=True))
        inverse = np.linalg.pinv(spread, hermitian=True)
        return float(self.difference @ inverse @ self.difference) / scale, freedom


def _read_scores(
    durations: pd.DataFrame,
    by: str | Sequence[str],
    strata: str | Sequence[str] | None,
    weighting: str,
    p: float | None,
    q: float | None,
) -> _Scores:
    powers = _powers(weighting, p, q)
    keys = [by] if isinstance(by, str) else list(by)
    within = [strata] if isinstance(strata, str) else list(strata or ())
    if both := [name for name in within if name in keys]:
        raise CxError(f"{both[0]!r} tells the groups and the strata; it is one or the other")
    spells, _ = read_durations(durations, [*keys, *within])
    groups = [group for group, _ in split_groups(spells, keys)]
    place = {group: at for at, group in enumerate(groups)}
    size = len(groups)
    events, difference, variance = np.zeros(size, "int64"), np.zeros(size), np.zeros((size, size))
    for _, part in split_groups(spells, within):
        times = np.unique(part.loc[part["event"], "duration"])
        if not len(times):
            continue
        own = [(place[group], rows) for group, rows in split_groups(part, keys)]
        at = [where for where, _ in own]
        at_risk = np.array([at_risk_at(rows, times) for _, rows in own])
        ended = np.array([count_at(rows[rows["event"]], times) for _, rows in own])
        weights = _weights(at_risk.sum(axis=0), ended.sum(axis=0), weighting, powers)
        score, spread = _score(at_risk, ended, weights)
        events[at] += ended.sum(axis=1)
        difference[at] += score
        variance[np.ix_(at, at)] += spread
    n = np.array([rows["n"].sum() for _, rows in split_groups(spells, keys)], "int64")
    return _Scores(keys, groups, n, events, difference, variance)


def _powers(weighting: str, p: float | None, q: float | None) -> tuple[float, float]:
    if weighting not in _WEIGHTINGS:
        raise unknown_name("weighting", weighting, _WEIGHTINGS)
    if weighting != "fleming_harrington":
        if p is not None or q is not None:
            raise CxError(f"p and q belong to 'fleming_harrington' and not to {weighting!r}")
        return (1.0, 0.0) if weighting == "peto" else (0.0, 0.0)
    if p is None or q is None or p < 0 or q < 0:
        raise CxError(f"'fleming_harrington' needs p and q of 0 or more, and has p={p}, q={q}")
    return p, q


def _weights(n: Array, d: Array, weighting: str, powers: tuple[float, float]) -> Array:
    if weighting == "wilcoxon":
        return n.astype("float64")
    if weighting == "tarone_ware":
        return np.sqrt(n)
    before = np.concatenate([[1.0], np.cumprod(1 - d / n)[:-1]])
    # Rounding must not make a survival of 1 a little more.
    return before ** powers[0] * np.maximum(1 - before, 0.0) ** powers[1]


def _score(at_risk: Array, ended: Array, weights: Array) -> tuple[Array, Array]:
    """One row per group, one column per event time."""
    n, d = at_risk.sum(axis=0), ended.sum(axis=0)
    share = at_risk / n
    difference = ((ended - d * share) * weights).sum(axis=1)
    # Where one alone is at risk there is nothing to share out, and no variance.
    spread = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0) * weights**2
    variance = np.diag((spread * share).sum(axis=1)) - (spread * share) @ share.T
    return difference, variance
