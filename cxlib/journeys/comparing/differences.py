"""Differences of two rates over groups of customers: standard errors, intervals, tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.intervals import newcombe_interval
from cxlib.journeys.comparing.sums import Sums

__all__ = ["adjust_p_values", "differences"]

Matrix = NDArray[np.float64]
_CELLS_AT_ONCE = 2_048


def differences(
    sums: Sums, *, is_share: bool, resamples: int, random_state: int, test: str, confidence: float
) -> pd.DataFrame:
    """Rates of both sides, their difference, its interval and its p-value, one row per cell.

    Parameters
    ----------
    sums
        Counts and bases.
    is_share
        Whether the rates are shares of cases.
    resamples
        Draws of the bootstrap, or permutations.
    random_state
        Seed of the draws.
    test
        "bootstrap", "permutation" or "analytic".
    confidence
        Coverage of the interval.

    Returns
    -------
    pandas.DataFrame
        ``count_a, count_b, n_a, n_b, a, b, difference, lower, upper, p_value``.
    """
    groups = sums.bases.shape[1]
    generator = np.random.default_rng(random_state)
    weights = generator.poisson(1.0, (resamples, groups)).astype("float64")
    signs = generator.choice([-1.0, 1.0], (resamples, groups))
    parts: list[pd.DataFrame] = []
    # One empty part where there is no cell, for its columns.
    for begin in range(0, max(len(sums.cells), 1), _CELLS_AT_ONCE):
        end = min(begin + _CELLS_AT_ONCE, len(sums.cells))
        counts, bases = sums.counts(begin, end), sums.bases[:, :, sums.kind[begin:end]]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = _rates(counts, bases)
            part |= _spread(counts, bases, weights)
            scores = _scores(counts, bases, part)
            part["p_value"] = _p_value(scores, part, weights, signs, test)
        parts.append(pd.DataFrame(part))
    frame = pd.concat(parts, ignore_index=True)
    lower, upper = _interval(frame, is_share, test, confidence)
    return frame.assign(lower=lower, upper=upper).drop(columns=["se_a", "se_b", "se", "r", "df"])


def adjust_p_values(p_values: pd.Series, correction: str) -> pd.Series:
    """p-values for so many tests at once; missing ones stay missing and do not count.

    Parameters
    ----------
    p_values
        One per test.
    correction
        "holm": the chance of any false alarm stays below the level. "benjamini-hochberg": the
        expected share of false alarms among the alarms does.

    Returns
    -------
    pandas.Series
        On the same index, at most 1.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70; Benjamini and Hochberg (1995),
    Journal of the Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> adjust_p_values(pd.Series([0.01, 0.04, 0.03]), "holm").round(4).tolist()
    [0.03, 0.06, 0.06]
    >>> adjust_p_values(pd.Series([0.01, 0.04, 0.03]), "benjamini-hochberg").round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    known = p_values.dropna().sort_values(kind="stable")
    m, rank = len(known), np.arange(1, len(known) + 1)
    if correction == "holm":
        stepped = np.maximum.accumulate(known.to_numpy() * (m - rank + 1))
    else:
        stepped = np.minimum.accumulate((known.to_numpy() * m / rank)[::-1])[::-1]
    return pd.Series(np.minimum(stepped, 1.0), index=known.index).reindex(p_values.index)


def _rates(counts: Matrix, bases: Matrix) -> dict[str, Matrix]:
    (count_a, count_b), (n_a, n_b) = counts.sum(axis=1), bases.sum(axis=1)
    a, b = count_a / np.where(n_a > 0, n_a, np.nan), count_b / np.where(n_b > 0, n_b, np.nan)
    return {"count_a": count_a, "count_b": count_b, "n_a": n_a, "n_b": n_b,
            "a": a, "b": b, "difference": b - a}  # fmt: skip


def _spread(counts: Matrix, bases: Matrix, weights: Matrix) -> dict[str, Matrix]:
    """Standard errors of both rates and of their difference, from the bootstrap.

    A customer is in the same group on both sides, and so has the same weight on both.
    """
    used = (bases > 0).sum(axis=1).astype("float64")
    # Among so few groups the bootstrap's variance is too small.
    factor = np.sqrt(used / np.maximum(used - 1, 1))
    drawn = []
    for count, base in zip(counts, bases, strict=True):
        total = weights @ base
        draw = (weights @ count) / np.where(total > 0, total, np.nan)
        drawn.append(draw - _mean(draw))
    se_a, se_b = (np.sqrt(_mean(draw**2)) * own for draw, own in zip(drawn, factor, strict=True))
    joint = _mean(drawn[0] * drawn[1]) * factor[0] * factor[1]
    se = np.sqrt(np.maximum(se_a**2 + se_b**2 - 2 * joint, 0))
    r = np.nan_to_num(joint / (se_a * se_b)).clip(-1, 1)
    few = np.maximum(used - 1, 1)
    # Welch and Satterthwaite: the side with few customers decides.
    df = (se_a**2 + se_b**2) ** 2 / (se_a**4 / few[0] + se_b**4 / few[1])
    df = np.where(np.isnan(df), few.min(axis=0), df)
    return {"se_a": se_a, "se_b": se_b, "se": se, "r": r, "df": df}


def _mean(drawn: Matrix) -> Matrix:
    """Mean over the draws that had a base."""
    return np.nansum(drawn, axis=0) / np.isfinite(drawn).sum(axis=0)


def _scores(counts: Matrix, bases: Matrix, rates: dict[str, Matrix]) -> Matrix:
    """What each group adds to the difference, were both sides to have one rate; they sum to it."""
    n_a, n_b = rates["n_a"], rates["n_b"]
    pooled = (rates["count_a"] + rates["count_b"]) / (n_a + n_b)
    return (counts[1] - pooled * bases[1]) / n_b - (counts[0] - pooled * bases[0]) / n_a


def _p_value(
    scores: Matrix, rates: dict[str, Matrix], weights: Matrix, signs: Matrix, test: str
) -> Matrix:
    difference, n_a, n_b = rates["difference"], rates["n_a"], rates["n_b"]
    if test == "permutation":
        # Rounding must not tell equal differences apart.
        reached = np.abs(signs @ scores) >= np.abs(difference) * (1 - 1e-9) - 1e-12
        p = (1.0 + reached.sum(axis=0)) / (1.0 + len(signs))
        return np.where(np.isnan(difference), np.nan, p)
    if test == "analytic":
        pooled = (rates["count_a"] + rates["count_b"]) / (n_a + n_b)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
        p = 2 * special.ndtr(-np.abs(difference) / error)
    else:
        error = ((weights - 1.0) @ scores).std(axis=0)
        df = rates["df"]
        error *= np.sqrt((df + 1) / df)
        p = 2 * special.stdtr(df, -np.abs(difference) / error)
    same = (np.abs(difference) < 1e-12) & ~(error > 0)
    return np.where(np.isnan(difference), np.nan, np.where(same, 1.0, p))


def _interval(
    frame: pd.DataFrame, is_share: bool, test: str, confidence: float
) -> tuple[Matrix, Matrix]:
    z = special.stdtrit(frame["df"].to_numpy(), 0.5 + confidence / 2)
    if not is_share:
        half = z * frame["se"].to_numpy()
        return frame["difference"].to_numpy() - half, frame["difference"].to_numpy() + half
    effect, r = np.ones(len(frame)), np.zeros(len(frame))
    if test == "analytic":
        z = special.ndtri(0.5 + confidence / 2)
    else:
        effect, r = _design_effect(frame), frame["r"].to_numpy()
    # Newcombe's interval holds at shares of 0 and 1, where a bootstrap never moves.
    return newcombe_interval(
        frame["count_b"] / effect, frame["n_b"] / effect,
        frame["count_a"] / effect, frame["n_a"] / effect, z=z, correlation=r,
    )  # fmt: skip


def _design_effect(frame: pd.DataFrame) -> Matrix:
    """How many cases tell as much as one independent case does: customers bring several."""
    with np.errstate(invalid="ignore", divide="ignore"):
        single = sum(frame[s] * (1 - frame[s]) / frame[f"n_{s}"] for s in ("a", "b"))
        effect = (frame["se_a"] ** 2 + frame["se_b"] ** 2) / single
    known = effect.where((single > 0) & (effect > 0))
    # Where no case differs the bootstrap is silent: take what the other cells say.
    usual = max(float(known.median()), 1.0) if known.notna().any() else 1.0
    return known.fillna(usual).to_numpy()
