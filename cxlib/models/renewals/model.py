"""A fitted model of renewal: projections, holdout error and discounted lifetimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import check_confidence
from cxlib.likelihood import Estimate
from cxlib.models.renewals.counts import read_terms, whole

__all__ = ["RenewalModel", "log_retention"]

Array = NDArray[Any]
Timing = Literal["before_renewal", "after_renewal"]

_NEGLIGIBLE = 1e-12
"""Discount factor from which on terms no longer count."""


@dataclass(frozen=True)
class RenewalModel:
    """A model of renewal for one or more groups of cohorts.

    Parameters
    ----------
    estimates
        Parameters of each group, by the values of ``by``; one group () without it.
    by
        Columns that tell the groups.
    up_to
        Last term that it learnt from.

    Examples
    --------
    >>> from cxlib import fit_sbg
    >>> terms = pd.DataFrame(
    ...     {"term": [1, 2, 3], "at_risk": [100, 60, 45], "renewed": [60, 45, 37]})
    >>> model = fit_sbg(terms)
    >>> model.discounted_lifetime(discount_rate=0.1, timing="before_renewal").round(2)
       discounted_terms  lower  upper
    0              3.61   2.76   4.72
    """

    estimates: dict[tuple[Any, ...], Estimate]
    by: tuple[str, ...]
    up_to: int

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with 95 % intervals.

        Returns
        -------
        pandas.DataFrame
            One row per group and parameter: the ``by`` columns, ``parameter`` (text),
            ``estimate``, ``standard_error``, ``lower``, ``upper`` float64.
        """
        return self._stack(lambda estimate: estimate.summary())

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the estimates, summed over the groups."""
        return float(sum(estimate.log_likelihood for estimate in self.estimates.values()))

    def at(self, **values: float) -> RenewalModel:
        """The same model at given parameters, such as published ones.

        Parameters
        ----------
        **values
            A value for each parameter, for every group.

        Returns
        -------
        RenewalModel
            Without standard errors and intervals (NaN).
        """
        changed = {group: found.at(**values) for group, found in self.estimates.items()}
        return RenewalModel(changed, self.by, self.up_to)

    def predict(
        self, *, terms: int, observed: pd.DataFrame | None = None, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Retention and survival by term.

        Parameters
        ----------
        terms
            Last term.
        observed
            Counts as given to the fit, to set beside the prediction.
        confidence
            Coverage of the interval of survival.

        Returns
        -------
        pandas.DataFrame
            One row per group and term: the ``by`` columns, ``term`` int64, ``retention`` float64
            (share of those at risk at this term who renew), ``survival`` float64 (share of all who
            renewed at every term so far), ``lower`` and ``upper`` float64 (of survival, from the
            uncertainty of the parameters), and ``learnt`` bool (the term was fitted). With
            ``observed`` also ``at_risk`` int64, ``observed_retention``, ``observed_survival``
            (product of the retentions) and ``error`` (survival minus observed survival) float64.
        """
        check_confidence(confidence)
        times = np.arange(1, whole(terms, "terms", 1) + 1)
        frame = self._stack(lambda estimate: self._curve(estimate, times, confidence))
        return frame if observed is None else self._beside(frame, observed)

    def holdout_error(self, observed: pd.DataFrame) -> pd.DataFrame:
        """How far the projection was off at the terms that it did not learn from.

        Parameters
        ----------
        observed
            Counts as given to the fit, with terms after those that were fitted.

        Returns
        -------
        pandas.DataFrame
            One row per group: the ``by`` columns, ``terms`` int64 (held out),
            ``survival_mae`` and ``retention_mae`` float64 (mean absolute error, in shares) and
            ``survival_mape`` float64 (mean absolute error in shares of the observed).

        Raises
        ------
        CxError
            Where no term was held out: an error in sample says little about the future.
        """
        counts = read_terms(observed, list(self.by), None)
        last = int(counts["term"].max())
        if last <= self.up_to:
            raise CxError(
                f"the model learnt from every term up to {self.up_to}, so that none is held out; "
                f"fit it with up_to={max(last - 1, 2)} or fewer"
            )
        frame = self.predict(terms=last, observed=observed)
        later = frame[~frame["learnt"] & frame["observed_survival"].notna()]
        errors = later[list(self.by)].assign(
            terms=1,
            survival_mae=later["error"].abs(),
            retention_mae=(later["retention"] - later["observed_retention"]).abs(),
            survival_mape=later["error"].abs() / later["observed_survival"],
        )
        how: dict[str, Any] = {name: "mean" for name in errors.columns if name not in self.by}
        how["terms"] = "sum"
        if not self.by:
            return errors.agg(how).to_frame().T.astype({"terms": "int64"})
        return errors.groupby(list(self.by), dropna=False, observed=True).agg(how).reset_index()

    def discounted_lifetime(
        self, *, discount_rate: float, timing: Timing, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Terms that a new customer is expected to pay for, discounted (DEL).

        Parameters
        ----------
        discount_rate
            Per term, such as 0.1.
        timing
            "before_renewal": valued as the customer signs, with the first payment, which is not
            discounted. "after_renewal": valued when the first payment has just been made, without
            it; the next is due one term later.
        confidence
            Coverage of the interval.

        Returns
        -------
        pandas.DataFrame
            One row per group: the ``by`` columns, ``discounted_terms``, ``lower``, ``upper``
            float64. Times the margin of a term it is the customer's expected lifetime value.
        """
        sums = {"before_renewal": (0, 0), "after_renewal": (1, 1)}
        return self._discounted(discount_rate, timing, sums, 0, confidence)

    def discounted_residual_lifetime(
        self,
        *,
        discount_rate: float,
        timing: Timing,
        renewals: int,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Terms that a customer is still expected to pay for, discounted (DERL).

        Parameters
        ----------
        discount_rate
            Per term, such as 0.1.
        timing
            When it is valued. "before_renewal": at the end of the term, just before the customer
            decides, so that the next payment, if it comes, is not discounted. "after_renewal":
            just after the last payment, which does not count; the next is due one term later.
        renewals
            Renewals that the customer has made.
        confidence
            Coverage of the interval.

        Returns
        -------
        pandas.DataFrame
            One row per group: the ``by`` columns, ``discounted_terms``, ``lower``, ``upper``
            float64.

        Notes
        -----
        With n renewals made: the sum over t > n of S(t) / S(n) / (1 + d)^k, where k is t - n - 1
        before and t - n after the renewal. Customers who have renewed before are likely to again:
        the residual lifetime rises with ``renewals``.

        References
        ----------
        Fader and Hardie (2010), Customer-base valuation in a contractual setting: the perils of
        ignoring heterogeneity, Marketing Science 29, 85-93.
        """
        made = whole(renewals, "renewals", 0)
        sums = {"before_renewal": (made + 1, 0), "after_renewal": (made + 1, 1)}
        return self._discounted(discount_rate, timing, sums, made, confidence)

    def _discounted(
        self,
        rate: float,
        timing: str,
        sums: dict[str, tuple[int, int]],
        made: int,
        confidence: float,
    ) -> pd.DataFrame:
        """Sums over terms; ``sums`` has by timing the first term and how far ahead it is paid."""
        check_confidence(confidence)
        if timing not in sums:
            raise unknown_name("timing", timing, sums)
        if not 0 < rate < np.inf:
            raise CxError(f"discount_rate is {rate}, and must be more than 0, such as 0.1 per term")
        first, delay = sums[timing]
        length = int(np.ceil(-np.log(_NEGLIGIBLE) / np.log1p(rate))) + 1
        if length > 10_000_000:
            raise CxError(f"discount_rate is {rate}, too small to sum terms; give a larger one")
        times = np.arange(first, first + length)
        factors = (1.0 + rate) ** -(times - first + delay)

        def value(parameters: Array) -> Array:
            logs = _log_survival(parameters, times) - _log_survival(parameters, np.array([made]))
            return np.array([factors @ np.exp(logs)])

        def row(estimate: Estimate) -> pd.DataFrame:
            lower, upper = estimate.interval_of(value, confidence)
            middle = value(estimate.values)
            return pd.DataFrame({"discounted_terms": middle, "lower": lower, "upper": upper})

        return self._stack(row)

    def _curve(self, estimate: Estimate, times: Array, confidence: float) -> pd.DataFrame:
        survival = np.exp(_log_survival(estimate.values, times))
        # On the scale of the odds the interval stays within 0 and 1.
        lower, upper = estimate.interval_of(
            lambda values: 1 / np.expm1(-_log_survival(values, times)), confidence
        )
        return pd.DataFrame(
            {
                "term": times,
                "retention": np.exp(log_retention(estimate.values, times)),
                "survival": survival,
                "lower": lower / (1 + lower),
                "upper": upper / (1 + upper),
                "learnt": times <= self.up_to,
            }
        )

    def _beside(self, frame: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
        keys = [*self.by, "term"]
        counts = read_terms(observed, list(self.by), None)
        counts = counts.groupby(keys, dropna=False, observed=True)[["at_risk", "renewed"]].sum()
        counts = counts.reset_index().sort_values(keys)
        counts["observed_retention"] = counts["renewed"] / counts["at_risk"].where(
            counts["at_risk"] > 0
        )
        shares = counts.groupby(list(self.by), dropna=False, observed=True) if self.by else counts
        counts["observed_survival"] = shares["observed_retention"].cumprod()
        columns = [*keys, "at_risk", "observed_retention", "observed_survival"]
        both = frame.merge(counts[columns], on=keys, how="left", validate="one_to_one")
        both["at_risk"] = both["at_risk"].fillna(0).astype("int64")
        return both.assign(error=both["survival"] - both["observed_survival"])

    def _stack(self, part: Callable[[Estimate], pd.DataFrame]) -> pd.DataFrame:
        frames = []
        for group, estimate in self.estimates.items():
            frame = part(estimate)
            for place, (name, value) in enumerate(zip(self.by, group, strict=True)):
                frame.insert(place, name, value)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)


def _log_survival(parameters: Array, times: Array) -> Array:
    """Logarithm of the share who renewed at each of so many terms."""
    alpha, beta = parameters[:2]
    power = parameters[2] if len(parameters) == 3 else 1.0
    return special.betaln(alpha, beta + times.astype("float64") ** power) - special.betaln(
        alpha, beta
    )


def log_retention(parameters: Array, times: Array) -> Array:
    """Logarithm of the share of those at risk at a term who renew.

    Parameters
    ----------
    parameters
        alpha and beta, and c where the model has it.
    times
        Terms, from 1.

    Returns
    -------
    numpy.ndarray
        One element per term.
    """
    if len(parameters) == 2:
        alpha, beta = parameters
        return np.log(beta + times - 1) - np.log(alpha + beta + times - 1)
    return _log_survival(parameters, times) - _log_survival(parameters, times - 1)
