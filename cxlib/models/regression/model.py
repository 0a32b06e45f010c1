"""A fitted Cox regression: its estimates, tests, baseline and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.models.regression.concordance import concordance_of
from cxlib.models.regression.frames import Fitted, baseline_of, summary_of, tests_of
from cxlib.models.regression.proportionality import score_tests

__all__ = ["Cox"]

Array = NDArray[np.float64]

_RELIABLE = 10
"""Customers at risk below which a survival is not predicted."""


@dataclass(frozen=True)
class Cox:
    """A fitted Cox regression.

    Attributes
    ----------
    summary
        One row per coefficient: ``covariate``, ``hazard_ratio`` with ``lower`` and ``upper``,
        ``coefficient``, ``standard_error`` (from the likelihood), ``robust_standard_error``, ``z``,
        ``p_value``, ``n`` and ``events`` (of the level; of all for a number) and ``association``,
        the ratio in words.
    tests
        Whether any covariate is associated: ``test`` (likelihood ratio, Wald, score; robust Wald
        where the errors are), ``statistic``, ``degrees_of_freedom``, ``p_value``.
    baseline
        One row per stratum and event time: the strata, the duration, ``at_risk``, ``events``,
        ``hazard`` (increment), ``cumulative_hazard`` and ``survival`` at the ``reference``.
    reference
        Values of the covariates that the baseline and the ratios of levels refer to.
    covariance
        Of the coefficients: robust where the intervals are, else from the likelihood.
    log_likelihood, null_log_likelihood
        At the estimate and without covariates.
    n, events
        Rows, as many times as they count, and those that ended.
    steps
        Newton steps that the fit took.
    """

    summary: pd.DataFrame
    tests: pd.DataFrame
    baseline: pd.DataFrame
    reference: dict[str, Any]
    covariance: pd.DataFrame
    log_likelihood: float
    null_log_likelihood: float
    n: int
    events: int
    steps: int
    _fitted: Fitted = field(repr=False)

    @classmethod
    def of(cls, fitted: Fitted) -> Cox:
        """The model of a fit.

        Parameters
        ----------
        fitted
            What the fit left behind.

        Returns
        -------
        Cox
            With all frames filled.
        """
        names, scale = fitted.terms.coefficients, fitted.scale
        rows = fitted.sets.rows
        covariance = fitted.chosen / np.outer(scale, scale)
        return cls(
            summary=summary_of(fitted),
            tests=tests_of(fitted),
            baseline=baseline_of(fitted),
            reference=dict(fitted.terms.reference),
            covariance=pd.DataFrame(covariance, index=names, columns=names),
            log_likelihood=fitted.end.loglik,
            null_log_likelihood=fitted.start.loglik,
            n=int(rows.n.sum()),
            events=int(rows.event_patterns.sum()),
            steps=fitted.steps,
            _fitted=fitted,
        )

    @property
    def covariate_columns(self) -> list[str]:
        """Columns that ``predict`` needs."""
        return [*self._fitted.terms.columns, *self._fitted.columns.strata]

    @property
    def reliable_until(self) -> float:
        """Last time that ``predict`` answers for, in every stratum."""
        strata = range(len(self._fitted.sets.rows.strata))
        return min(_reliable(self._fitted, code)[1] for code in strata)

    def predict(self, frame: pd.DataFrame, times: Sequence[float]) -> pd.DataFrame:
        """Survival of other customers, by time since the origin.

        Parameters
        ----------
        frame
            Customers with the columns of the covariates, and of the strata.
        times
            Times since the origin, in the unit of the duration.

        Returns
        -------
        pandas.DataFrame
            One row per customer and time, with the index of ``frame``: the duration, ``survival``
            float64 (share expected to last longer), ``lower`` and ``upper`` float64.

        Raises
        ------
        CxError
            Beyond the last time at which 10 customers were at risk in the stratum, before the
            first one at which anybody was, and for levels or strata that the fit has not seen.

        Notes
        -----
        exp(-cumulative hazard), with the tie-adjusted hazard of the fit. The interval is
        log-log-transformed, with the variance of the coefficients and of the baseline. Covariates
        are held at their value for the whole time.

        References
        ----------
        Therneau and Grambsch (2000), Modeling Survival Data, chapter 10.
        """
        fitted, at = self._fitted, np.asarray(times, dtype="float64")
        needed = [*fitted.terms.columns, *fitted.columns.strata]
        for name in needed:
            if name not in frame.columns:
                raise unknown_name("column", name, frame.columns, "in the frame")
        if frame[needed].isna().any(axis=None):
            raise CxError(f"the frame misses values of {', '.join(needed)}; drop those rows first")
        z = fitted.scaled(frame)
        stratum = self._stratum_of(frame)
        found = np.empty((3, len(frame), len(at)))
        for code in np.unique(stratum):
            here = stratum == code
            found[:, here] = self._survival(z[here], code, at)
        return pd.DataFrame(
            {
                fitted.columns.duration: np.tile(at, len(frame)),
                "survival": found[0].ravel(),
                "lower": found[1].ravel(),
                "upper": found[2].ravel(),
            },
            index=frame.index.repeat(len(at)),
        )

    def proportionality(self, transform: str = "km") -> pd.DataFrame:
        """Test of whether hazard ratios stay the same over time.

        Parameters
        ----------
        transform
            Of the time that a ratio may change with: "km" (one minus Kaplan-Meier), "rank",
            "identity" or "log".

        Returns
        -------
        pandas.DataFrame
            One row per term, and GLOBAL: ``term``, ``statistic`` float64 (chi-squared),
            ``degrees_of_freedom`` int64, ``p_value`` float64.

        Raises
        ------
        CxError
            For an unknown transform, and the logarithm of an event at time 0.

        Notes
        -----
        The score test of a term for each covariate times the transformed time, as in version 3 of
        R's survival; not the older approximation from correlations with the scaled residuals. A
        small p-value says that one hazard ratio is a summary over time, not a constant; a large
        one does not say that it is constant.

        References
        ----------
        Grambsch and Therneau (1994), Biometrika 81, 515-526.
        """
        fitted = self._fitted
        return score_tests(fitted.sets, fitted.z, fitted.b, fitted.terms, transform)

    def concordance(
        self, weighting: Literal["harrell", "uno"] = "harrell", *, until: float | None = None
    ) -> pd.DataFrame:
        """How often, of two customers, the one who ended first had the higher predicted rate.

        Parameters
        ----------
        weighting
            "harrell": every pair that can be compared counts once, so that the value depends on
            how many were censored when. "uno": pairs count more where censoring has left fewer.
        until
            Count events before this time only, where late ones would weigh too much.

        Returns
        -------
        pandas.DataFrame
            One row: ``concordance`` float64 with ``standard_error``, ``lower``, ``upper``, and
            the (weighted) pairs ``concordant``, ``discordant``, ``tied`` float64 (equal
            predictions).

        Raises
        ------
        CxError
            For an unknown weighting, and an ``until`` that leaves no pair.

        Notes
        -----
        Pairs of which one ended while the other, of the same stratum, was at risk and
        stayed longer; equal predictions count one half. The error is the infinitesimal jackknife
        over customers, or clusters. It is measured on the data of the fit, and so flatters it;
        see ``validate_survival``. Uno's weights are 1 / G(t-)^2 with G the Kaplan-Meier estimate
        of not being censored, within strata; the error takes them as known.

        References
        ----------
        Harrell, Lee and Mark (1996), Statistics in Medicine 15, 361-387. Uno et al. (2011),
        Statistics in Medicine 30, 1105-1117.
        """
        fitted = self._fitted
        rows, eta = fitted.sets.rows, fitted.z @ fitted.b
        return concordance_of(rows, eta, fitted.confidence, weighting, until)

    def _stratum_of(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        rows, names = self._fitted.sets.rows, list(self._fitted.columns.strata)
        if not names:
            return np.zeros(len(frame), "int64")
        codes = pd.MultiIndex.from_frame(rows.strata).get_indexer(
            pd.MultiIndex.from_frame(frame[names])
        )
        if (codes < 0).any():
            unseen = frame[names][codes < 0].iloc[0].to_dict()
            raise CxError(f"the fit has no stratum {unseen}; predict within its own strata")
        return codes

    def _survival(self, z: Array, code: int, times: Array) -> Array:
        """Survival and its bounds in one stratum; customers by times."""
        fitted, end = self._fitted, self._fitted.end
        self._check_times(code, times)
        part = list(fitted.sets.segments())[code]
        slot = part.start + np.searchsorted(fitted.sets.times[part], times, side="right") - 1
        sets = fitted.sets
        hazard, mean = sets.so_far(end.hazard)[slot], sets.so_far(end.hazard_mean)[slot]
        variance = sets.so_far(end.hazard_variance)[slot]
        risk = np.exp(z @ fitted.b)[:, None]
        # (z hazard - mean)' V (z hazard - mean), multiplied out: no array of three dimensions.
        weighted = z @ fitted.chosen
        spread = (weighted * z).sum(axis=1)[:, None] * hazard**2 - 2 * hazard * (weighted @ mean.T)
        spread = spread + ((mean @ fitted.chosen) * mean).sum(axis=1) + variance
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (
                special.ndtri(0.5 + fitted.confidence / 2) * np.sqrt(np.maximum(spread, 0)) / hazard
            )
        ratio = np.where(hazard > 0, ratio, 0.0)
        # Where no errors are known (a penalty), the survival is.
        survival = [np.exp(-risk * hazard)]
        survival += [np.exp(-risk * hazard * np.exp(k * ratio)) for k in (1, -1)]
        return np.stack(survival)

    def _check_times(self, code: int, times: Array) -> None:
        first, last = _reliable(self._fitted, code)
        strata = self._fitted.sets.rows.strata
        where = f" of {strata.iloc[code].to_dict()}" if strata.shape[1] else ""
        if not np.isfinite(times).all() or (times < 0).any():
            raise CxError("times must be numbers from 0 on; give those since the origin")
        if (times > last).any():
            raise CxError(
                f"survival{where} at {times.max():g} would be extrapolated: fewer than "
                f"{_RELIABLE} were at risk after {last:g}; ask for times up to {last:g}"
            )
        if (times < first).any():
            raise CxError(
                f"survival{where} at {times.min():g} is not known: nobody was at risk before "
                f"{first:g}, and the curve is that of those who lasted until then; ask for later "
                "times"
            )


def _reliable(fitted: Fitted, code: int) -> tuple[float, float]:
    """First time at risk, and the last with enough customers, of a stratum."""
    rows = fitted.sets.rows
    here = rows.stratum == code
    entry, leave, n = rows.entry[here], rows.exit[here], rows.n[here]
    times = np.unique(leave)
    counts = []
    for ends in (leave, entry):
        order = np.argsort(ends)
        total = np.concatenate([[0], np.cumsum(n[order])])
        counts.append(total[-1] - total[np.searchsorted(ends[order], times, side="left")])
    enough = times[counts[0] - counts[1] >= _RELIABLE]
    return max(0.0, entry.min()), float(enough.max(initial=0.0))
