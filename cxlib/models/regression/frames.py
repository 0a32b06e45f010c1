"""What a fit found, as frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, special

from cxlib.models.regression.likelihood import Curvature, RiskSets
from cxlib.models.regression.rows import Columns
from cxlib.models.regression.terms import Terms

__all__ = ["Fitted", "baseline_of", "summary_of", "tests_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves behind; coefficients are those of the scaled covariates ``z``."""

    sets: RiskSets
    terms: Terms
    columns: Columns
    centre: Array
    scale: Array
    z: Array
    b: Array
    start: Curvature
    end: Curvature
    covariance: Array
    robust_covariance: Array
    robust: bool
    confidence: float
    steps: int

    @property
    def chosen(self) -> Array:
        """Covariance that intervals use."""
        return self.robust_covariance if self.robust else self.covariance

    def scaled(self, frame: pd.DataFrame) -> Array:
        """Covariates of other rows on the scale of the fit.

        Parameters
        ----------
        frame
            Rows with the columns of the covariates.

        Returns
        -------
        numpy.ndarray
            Rows by coefficients.
        """
        return (self.terms.matrix(frame) - self.centre) / self.scale


def summary_of(fitted: Fitted) -> pd.DataFrame:
    """One row per coefficient; see ``Cox``.

    Parameters
    ----------
    fitted
        What the fit left behind.

    Returns
    -------
    pandas.DataFrame
        With the columns that ``Cox`` lists.
    """
    terms, rows = fitted.terms, fitted.sets.rows
    beta = fitted.b / fitted.scale
    model = np.sqrt(np.diag(fitted.covariance)) / fitted.scale
    robust = np.sqrt(np.diag(fitted.robust_covariance)) / fitted.scale
    error = robust if fitted.robust else model
    width = special.ndtri(0.5 + fitted.confidence / 2) * error
    z = beta / error
    x = terms.matrix(rows.patterns)
    # Of a number everybody has a value; of a level only who is in it.
    has = np.where(terms.of_levels, x != 0, True)
    with np.errstate(over="ignore"):
        ratios = {
            "hazard_ratio": np.exp(beta),
            "lower": np.exp(beta - width),
            "upper": np.exp(beta + width),
        }
    return pd.DataFrame(
        {
            "covariate": terms.coefficients,
            **ratios,
            "coefficient": beta,
            "standard_error": model,
            "robust_standard_error": robust,
            "z": z,
            "p_value": special.erfc(np.abs(z) / np.sqrt(2)),
            "n": (rows.n_patterns @ has).astype("int64"),
            "events": (rows.event_patterns @ has).astype("int64"),
            "association": _in_words(terms, ratios["hazard_ratio"], fitted.columns.cause),
        }
    )


def _in_words(terms: Terms, ratios: Array, cause: object) -> list[str]:
    rate = "a rate" if cause is None else f"a rate of {cause!r}"
    words = []
    for name, place, ratio in zip(terms.coefficients, terms.term_of, ratios, strict=True):
        term = terms.names[place]
        if ":" in term:
            words.append(f"associated with a ratio {ratio:.3g} times as high, per unit of {name}")
            continue
        change = 100 * (ratio - 1)
        side = "higher" if change > 0 else "lower"
        levelled = term in terms.levels
        against = f"than at {term}={terms.reference[term]}" if levelled else f"per unit of {term}"
        words.append(f"associated with {rate} {abs(change):.1f} % {side} {against}")
    return words


def tests_of(fitted: Fitted) -> pd.DataFrame:
    """Tests of all coefficients together; see ``Cox``.

    Parameters
    ----------
    fitted
        What the fit left behind.

    Returns
    -------
    pandas.DataFrame
        With the columns that ``Cox`` lists.
    """
    b, start = fitted.b, fitted.start
    found = {
        "likelihood_ratio": 2 * (fitted.end.loglik - start.loglik),
        "wald": b @ fitted.end.information @ b,
        "score": start.gradient @ linalg.solve(start.information, start.gradient, assume_a="sym"),
    }
    if fitted.robust:
        found["robust_wald"] = b @ linalg.pinvh(fitted.robust_covariance) @ b
    statistic = np.array(list(found.values()))
    return pd.DataFrame(
        {
            "test": list(found),
            "statistic": statistic,
            "degrees_of_freedom": len(b),
            "p_value": special.chdtrc(len(b), statistic),
        }
    )


def baseline_of(fitted: Fitted) -> pd.DataFrame:
    """Hazard at the reference, by event time; see ``Cox``.

    Parameters
    ----------
    fitted
        What the fit left behind.

    Returns
    -------
    pandas.DataFrame
        With the columns that ``Cox`` lists.
    """
    sets, terms = fitted.sets, fitted.terms
    z = fitted.scaled(pd.DataFrame([terms.reference]))[0]
    hazard = fitted.end.hazard * np.exp(z @ fitted.b)
    cumulative = sets.so_far(hazard)
    own = np.searchsorted(sets.starts, np.arange(len(sets.times)), side="right") - 1
    frame = sets.rows.strata.iloc[own].reset_index(drop=True)
    frame = frame.assign(
        **{
            fitted.columns.duration: sets.times,
            "at_risk": sets.at_risk.round().astype("int64"),
            "events": sets.events.astype("int64"),
            "hazard": hazard,
            "cumulative_hazard": cumulative,
            "survival": np.exp(-cumulative),
        }
    )
    return frame[np.isfinite(sets.times)].reset_index(drop=True)
