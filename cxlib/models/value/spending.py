"""Spending: how much customers pay per purchase."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.likelihood import Estimate, maximize
from cxlib.models.value.rows import check_numbers, read_weights

__all__ = ["SpendModel", "fit_gamma_gamma"]

Array = NDArray[Any]

_CORRELATED = 0.2
"""Correlation of frequency and money above which the model, which denies it, misleads."""


def fit_gamma_gamma(spend: pd.DataFrame) -> SpendModel:
    """Gamma-gamma model of the money that customers pay per purchase, by maximum likelihood.

    Parameters
    ----------
    spend
        What ``spend_summary`` gives, or any frame with ``frequency`` (purchases that the money is
        the mean of: the repeat purchases), ``money`` (mean per purchase, in its currency) and,
        where a row stands for several customers with the same of both, ``weight``. Customers with
        a frequency of 0 are left out.

    Returns
    -------
    SpendModel
        With ``p``, ``q`` and ``v``, ``.summary``, ``.predict`` and ``.correlation``.

    Raises
    ------
    CxError
        For money that is missing, zero, negative or infinite where there are purchases, weights
        that are no counts, no repeat purchases, or no maximum of the likelihood.

    Warns
    -----
    CxWarning
        When frequency and money are correlated by 0.2 or more: the model takes them to be
        independent.

    Notes
    -----
    A purchase is gamma(p, nu), and nu is gamma(q, v) among customers. A row must not be the mean of
    customers with different money, since what differs between customers is what is estimated:
    histories that were aggregated by time are not rows for this model.

    References
    ----------
    Fader, Hardie and Lee (2005), RFM and CLV: using iso-value curves for customer base analysis,
    J. Marketing Research 42, 415-430. Fader and Hardie (2013), The gamma-gamma model of monetary
    value.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, scale = rng.integers(1, 9, 500), 1 / rng.gamma(4, 1 / 15, 500)
    >>> spend = pd.DataFrame({"frequency": x, "money": rng.gamma(6 * x, scale / x)})
    >>> fit_gamma_gamma(spend).summary["estimate"].round(1).tolist()
    [3.2, 4.7, 35.6]
    """
    if "money" not in spend.columns and "mean_money" in spend.columns:
        raise CxError(
            "these rows are means over customers with different money, whose differences are what "
            "the model estimates; give what spend_summary gives"
        )
    x, money, weight = _read(spend)
    if not len(x):
        raise CxError(
            "no customer has a repeat purchase (every frequency is 0), so that there is no spend "
            "to learn from; look further back, or check which touchpoints are purchases"
        )
    correlation = _correlation(x, money, weight)
    if abs(correlation) >= _CORRELATED:
        warnings.warn(
            f"frequency and money are correlated by {correlation:.2f} among {weight.sum():,.0f} "
            "customers, and the gamma-gamma model takes them to be independent: it misjudges the "
            "spend of frequent buyers; fit groups of similar frequency apart",
            CxWarning,
            stacklevel=2,
        )
    return SpendModel(_maximize(x, money, weight), correlation)


@dataclass(frozen=True)
class SpendModel:
    """A model of the money that customers pay per purchase.

    Parameters
    ----------
    estimate
        Its parameters.
    correlation
        Of frequency and money among customers with repeat purchases (Pearson).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x, scale = rng.integers(1, 9, 500), 1 / rng.gamma(4, 1 / 15, 500)
    >>> spend = pd.DataFrame({"frequency": x, "money": rng.gamma(6 * x, scale / x)})
    >>> round(fit_gamma_gamma(spend).at(p=6.25, q=3.74, v=15.44).mean_spend, 2)
    35.22
    """

    estimate: Estimate
    correlation: float

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with 95 % intervals.

        Returns
        -------
        pandas.DataFrame
            One row per parameter: ``parameter`` (text), ``estimate``, ``standard_error``,
            ``lower``, ``upper`` float64.
        """
        return self.estimate.summary()

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the estimates."""
        return self.estimate.log_likelihood

    @property
    def mean_spend(self) -> float:
        """Money per purchase of a customer of whom nothing is known; infinite for q <= 1."""
        p, q, v = self.estimate.values  # noqa: PD011
        return float(p * v / (q - 1)) if q > 1 else float("inf")

    def at(self, **values: float) -> SpendModel:
        """The same model at given parameters, such as published ones.

        Parameters
        ----------
        **values
            A value for each parameter.

        Returns
        -------
        SpendModel
            Without standard errors (NaN).
        """
        return SpendModel(self.estimate.at(**values), self.correlation)

    def predict(self, spend: pd.DataFrame) -> pd.DataFrame:
        """Expected money per purchase to come, of each customer.

        Parameters
        ----------
        spend
            Rows with ``frequency`` and ``money``, as given to the fit. Money is not read where the
            frequency is 0.

        Returns
        -------
        pandas.DataFrame
            The rows as given, with ``expected_spend`` float64: between the customer's own mean and
            that of all customers, nearer to their own the more often they bought.

        Raises
        ------
        CxError
            As for the fit, and where the mean of all customers is infinite (q at most 1).
        """
        x, total = self.totals(spend)
        found = self.expected(self.estimate.values, x, total)
        if not np.isfinite(found).all():
            q = float(self.summary["estimate"].iloc[1])
            raise CxError(
                f"the spend of all customers has no finite mean (q is {q:.3g}, and must be more "
                "than 1), so that there is none for customers without repeat purchases; leave them "
                "out, or look for single huge amounts"
            )
        return spend.assign(expected_spend=found)

    @staticmethod
    def totals(spend: pd.DataFrame) -> tuple[Array, Array]:
        """Frequency and money spent in repeat purchases, checked.

        Parameters
        ----------
        spend
            As for ``predict``.

        Returns
        -------
        tuple of numpy.ndarray
            One value per row; no money where there is no repeat purchase.
        """
        check_numbers(spend, "frequency")
        x = spend["frequency"].to_numpy("float64")
        buyers = spend[x > 0]
        _check_money(buyers)
        total = np.zeros(len(x))
        total[x > 0] = x[x > 0] * buyers["money"].to_numpy("float64")
        return x, total

    @staticmethod
    def expected(parameters: Array, x: Array, total: Array) -> Array:
        """Expected money per purchase at any parameters.

        Parameters
        ----------
        parameters
            Values of p, q and v.
        x, total
            What ``totals`` gives.

        Returns
        -------
        numpy.ndarray
            One value per row; infinite where there is no mean.
        """
        p, q, v = parameters
        freedom = p * x + q - 1
        with np.errstate(divide="ignore"):
            return np.where(
                freedom > 0, p * (v + total) / np.where(freedom > 0, freedom, 1), np.inf
            )


def _read(spend: pd.DataFrame) -> tuple[Array, Array, Array]:
    check_numbers(spend, "frequency")
    weight = read_weights(spend)
    x = spend["frequency"].to_numpy("float64")
    if (x != np.round(x)).any():
        raise CxError("the column 'frequency' must hold whole numbers of purchases")
    kept = (x > 0) & (weight > 0)
    buyers = spend[kept]
    _check_money(buyers)
    return x[kept], buyers["money"].to_numpy("float64"), weight[kept]


def _check_money(buyers: pd.DataFrame) -> None:
    if "money" not in buyers.columns:
        raise unknown_name("column", "money", buyers.columns, "in the spend")
    check_numbers(buyers, "money")
    if nothing := int((buyers["money"] == 0).sum()):
        raise CxError(
            f"{nothing:,} customers with repeat purchases have money of 0, which a gamma "
            "distribution does not know; leave purchases without a price out"
        )


def _correlation(x: Array, money: Array, weight: Array) -> float:
    covariance = np.cov(x, money, aweights=weight, ddof=0)
    spread = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / spread) if spread > 0 else 0.0


def _maximize(x: Array, money: Array, weight: Array) -> Estimate:
    count, which = np.unique(x, return_inverse=True)
    customers = np.bincount(which, weights=weight)
    # All but one term are sums that do not change with the parameters.
    logs = np.bincount(which, weights=weight * np.log(money))
    fixed = float(-logs.sum())
    total = x * money

    def log_likelihood(parameters: Array) -> float:
        p, q, v = parameters
        by_count = special.gammaln(p * count + q) - special.gammaln(p * count)
        by_count = by_count + p * count * np.log(count) - special.gammaln(q) + q * np.log(v)
        found = customers @ by_count + p * (count @ logs)
        return float(found + fixed - (weight * (p * x + q)) @ np.log(v + total))

    mean = float(np.average(money, weights=weight))
    starts = [[p, q, mean * (q - 1) / p] for p, q in ((6.0, 4.0), (1.0, 2.0), (20.0, 10.0))]
    return maximize(
        log_likelihood,
        ("p", "q", "v"),
        starts,
        model="gamma-gamma",
        n=int(weight.sum()),
        hint="customers may be too few, or all pay the same price, which needs no model",
    )
