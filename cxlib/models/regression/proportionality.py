"""Whether hazard ratios stay the same: score tests for covariates times a function of time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, special

from cxlib.errors import CxError, unknown_name
from cxlib.models.regression.likelihood import RiskSets
from cxlib.models.regression.rows import Rows
from cxlib.models.regression.terms import Terms

__all__ = ["score_tests"]

Array = NDArray[np.float64]


def score_tests(sets: RiskSets, z: Array, b: Array, terms: Terms, transform: str) -> pd.DataFrame:
    """Score test of each term, and of all, for a change of its coefficients with time.

    Parameters
    ----------
    sets
        Who is at risk when.
    z
        Covariates of each pattern.
    b
        Coefficients.
    terms
        Which coefficients belong together.
    transform
        "km", "rank", "identity" or "log".

    Returns
    -------
    pandas.DataFrame
        ``term, statistic, degrees_of_freedom, p_value``, GLOBAL last.

    Raises
    ------
    CxError
        For an unknown transform, and the logarithm of an event at time 0.
    """
    g = _transformed(sets, transform)
    # Centring changes nothing but rounding, because the plain score is 0 at the estimate.
    g = np.where(sets.events > 0, g - np.average(g, weights=sets.events), 0.0)
    plain, once = sets.evaluate(z, b), sets.evaluate(z, b, g)
    twice = sets.evaluate(z, b, g**2)
    size = len(b)
    names, rows = [*terms.names, "GLOBAL"], []
    for position, _ in enumerate(names):
        chosen = np.flatnonzero(terms.term_of == position)
        if position == len(terms.names):
            chosen = np.arange(size)
        cross = once.information[:, chosen]
        variance = np.block(
            [[plain.information, cross], [cross.T, twice.information[np.ix_(chosen, chosen)]]]
        )
        score = np.concatenate([np.zeros(size), once.gradient[chosen]])
        statistic = float(score @ linalg.lstsq(variance, score)[0])
        rows.append((statistic, len(chosen), float(special.chdtrc(len(chosen), statistic))))
    frame = pd.DataFrame(rows, columns=["statistic", "degrees_of_freedom", "p_value"])
    frame.insert(0, "term", names)
    return frame


def _transformed(sets: RiskSets, transform: str) -> Array:
    """Function of time in each slot; 0 in the empty ones."""
    times = np.where(np.isfinite(sets.times), sets.times, 0.0)
    if transform == "identity":
        return times
    if transform == "log":
        if (times[sets.events > 0] <= 0).any():
            raise CxError("an event at time 0 has no logarithm; use transform='km' or 'rank'")
        return np.log(np.where(times > 0, times, 1.0))
    if transform == "rank":
        return _ranks(sets.rows, times)
    if transform == "km":
        return 1 - _kaplan_meier_before(sets.rows, times)
    raise unknown_name("transform", transform, ["identity", "km", "log", "rank"])


def _ranks(rows: Rows, times: Array) -> Array:
    """Mean rank of each time among the exits of all customers."""
    before, after = (_count_before(rows.exit, rows.n, times, side) for side in ("left", "right"))
    return (before + after + 1) / 2


def _kaplan_meier_before(rows: Rows, times: Array) -> Array:
    """Survival of all strata together right before each time."""
    ends = np.unique(rows.exit[rows.event])
    at_risk = _count_before(rows.entry, rows.n, ends, "left")
    at_risk = at_risk - _count_before(rows.exit, rows.n, ends, "left")
    exits, n = rows.exit[rows.event], rows.n[rows.event]
    ended = _count_before(exits, n, ends, "right") - _count_before(exits, n, ends, "left")
    survival = np.concatenate([[1.0], np.cumprod(1 - ended / at_risk)])
    return survival[np.searchsorted(ends, times, side="left")]


def _count_before(values: Array, n: Array, times: Array, side: str) -> Array:
    """Customers whose value is before (left) or up to (right) each time."""
    order = np.argsort(values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(n[order])])
    return total[np.searchsorted(values[order], times, side=side)]  # type: ignore[call-overload]
