"""Customer value: discounted margin of the purchases to come."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, CxWarning
from cxlib.intervals import check_confidence
from cxlib.models.value.model import PurchaseModel
from cxlib.models.value.rows import Rows, read_rows
from cxlib.models.value.spending import SpendModel
from cxlib.spans import parse_span

__all__ = ["customer_value"]

Array = NDArray[Any]

_YEAR = timedelta(days=365.25)
_NODES = 8
"""Of the Gauss-Legendre rule over the horizon; more change no digit that is shown."""


def customer_value(
    customers: pd.DataFrame,
    *,
    purchases: PurchaseModel,
    spend: SpendModel,
    horizon: str | timedelta,
    margin: float,
    discount_rate: float,
    confidence: float = 0.95,
    draws: int = 200,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Discounted margin of each customer's purchases within a horizon (CLV), with its interval.

    Parameters
    ----------
    customers
        Rows with ``frequency``, ``recency``, ``T`` and ``money``, such as
        ``purchase_summary(..., per_customer=True)`` gives.
    purchases
        What ``fit_bg_nbd`` or one of its like gives.
    spend
        What ``fit_gamma_gamma`` gives.
    horizon
        How far ahead ("365 days"). For the BG/BB the whole periods in it count.
    margin
        Share of the money that stays, such as 0.3.
    discount_rate
        Per year, such as 0.1: money in a year is worth 1 / 1.1 of money now.
    confidence
        Coverage of the interval.
    draws
        Sets of parameters to draw for the interval.
    random_state
        Seed or generator.

    Returns
    -------
    pandas.DataFrame
        The rows as given with ``probability_alive``, ``expected_purchases`` (within the horizon),
        ``expected_spend`` (per purchase), ``value`` (in the currency of the money), ``lower`` and
        ``upper`` float64. A row is one customer, whatever its weight.

    Raises
    ------
    CxError
        For rows that the models cannot read, a margin or rate out of range, a model without
        standard errors, or a horizon that is empty.

    Warns
    -----
    CxWarning
        When a model runs to its edge, so that a parameter may be 50 times larger or smaller than
        estimated; and for draws at which no value can be computed, which the bounds then take for
        the lowest and the highest. A bound is never NaN where the value is not.

    Notes
    -----
    Value is margin times expected spend times the integral of exp(-d t) over the expected
    purchases, with d the logarithm of 1 + ``discount_rate``. Purchases and money are taken to be
    independent. The interval is that of the expected value: it holds what is not known about the
    parameters, drawn from their normal distribution on the log scale, and not how much one customer
    may by chance differ from the expectation. Acquisition costs and the first purchase are past.

    References
    ----------
    Fader, Hardie and Lee (2005), J. Marketing Research 42, 415-430.

    Examples
    --------
    >>> from cxlib import fit_gamma_gamma, fit_nbd
    >>> rng = np.random.default_rng(1)
    >>> x, scale = rng.integers(1, 9, 500), 1 / rng.gamma(4, 1 / 15, 500)
    >>> spend = pd.DataFrame({"frequency": x, "money": rng.gamma(6 * x, scale / x)})
    >>> customers = pd.DataFrame({
    ...     "frequency": [0, 1, 5], "recency": [0, 9, 30], "T": [39, 39, 39],
    ...     "weight": [50, 20, 10], "money": [0, 20.0, 40.0]})
    >>> found = customer_value(
    ...     customers, purchases=fit_nbd(customers), spend=fit_gamma_gamma(spend),
    ...     horizon="365 days", margin=0.3, discount_rate=0.1, random_state=1)
    >>> bool((found["lower"] < found["value"]).all() and (found["value"] < found["upper"]).all())
    True
    """
    check_confidence(confidence)
    _check(purchases, spend, margin, discount_rate, draws)
    _warn_of_edges(purchases, spend)
    rows = read_rows(customers, discrete=purchases.family.discrete)
    x, total = SpendModel.totals(customers)
    spent = spend.predict(customers)["expected_spend"].to_numpy()
    times, weights = _payments(purchases, horizon, discount_rate)
    once, which = rows.distinct()

    def per_purchase_money(parameters: Array) -> tuple[Array, Array, Array]:
        alive, expected = purchases.forecast(parameters, once, times)
        return alive[which], expected[-1][which], (weights @ np.array(expected))[which]

    alive, expected, discounted = per_purchase_money(purchases.estimate.values)
    rng = np.random.default_rng(random_state)
    sets = zip(purchases.estimate.draws(draws, rng), spend.estimate.draws(draws, rng), strict=True)
    drawn = _quantiles(sets, per_purchase_money, rows, (x, total), draws, confidence)
    return customers.assign(
        probability_alive=alive,
        expected_purchases=expected,
        expected_spend=spent,
        value=margin * spent * discounted,
        lower=margin * drawn[0],
        upper=margin * drawn[1],
    )


def _quantiles(
    sets: Any, value: Any, rows: Rows, money: tuple[Array, Array], draws: int, confidence: float
) -> Array:
    """Lower and upper bound of each row's discounted money."""
    found = np.empty((draws, len(rows.x)))
    for number, (buying, paying) in enumerate(sets):
        found[number] = value(buying)[2] * SpendModel.expected(paying, *money)
    tail = (1 - confidence) / 2
    # Not interpolated: a draw without a finite mean is beyond all others, and not NaN.
    unknown = np.isnan(found)
    if not unknown.any():
        return np.quantile(found, [tail, 1 - tail], axis=0, method="inverted_cdf")
    warnings.warn(
        f"{int(unknown.any(axis=1).sum()):,} of {draws:,} sets of parameters that the data allow "
        f"give {int(unknown.any(axis=0).sum()):,} customers no value that can be computed; their "
        "bounds take it for the lowest and for the highest, and may be 0 or infinite",
        CxWarning,
        stacklevel=3,
    )
    lower = np.quantile(np.where(unknown, 0.0, found), tail, axis=0, method="inverted_cdf")
    return np.array(
        [
            lower,
            np.quantile(np.where(unknown, np.inf, found), 1 - tail, axis=0, method="inverted_cdf"),
        ]
    )


def _warn_of_edges(purchases: PurchaseModel, spend: SpendModel) -> None:
    """Say which parameters the data hardly know, as where nobody seems to leave."""
    for model, name in ((purchases, purchases.family.name), (spend, "gamma-gamma")):
        spread = np.sqrt(np.diag(model.estimate.log_covariance))
        if hardly := [n for n, wide in zip(model.estimate.names, spread, strict=True) if wide > 2]:
            factor = np.exp(1.96 * float(spread.max()))
            warnings.warn(
                f"the {name} model runs to its edge: {' and '.join(hardly)} may be {factor:,.0f} "
                "times larger or smaller than estimated; the bounds of value hold whatever the "
                "data allow of them",
                CxWarning,
                stacklevel=3,
            )


def _payments(
    model: PurchaseModel, horizon: str | timedelta, discount_rate: float
) -> tuple[list[float], Array]:
    """Times at which to forecast purchases, and weights that make of them discounted ones.

    By parts: the integral of exp(-dt) dE(t) is exp(-dh) E(h) + d times that of exp(-dt) E(t) dt.
    """
    length = parse_span(horizon)
    if model.period is None:
        raise CxError("the BG/BB model does not know how long a period is; fit it with period=")
    span = length / model.period
    rate = float(np.log1p(discount_rate) * (model.period / _YEAR))
    if model.family.discrete:
        periods = int(np.floor(span + 1e-9))
        if periods < 1:
            raise CxError(f"the horizon {horizon!r} holds no period of {model.period}; lengthen it")
        times = np.arange(1, periods + 1)
        # Each opportunity at its own time; E(k) - E(k - 1) summed by parts again.
        factors = np.exp(-rate * times)
        return [float(time) for time in times], factors - np.append(factors[1:], 0.0)
    if span <= 0:
        raise CxError(f"the horizon {horizon!r} is empty; give a length of time such as '365 days'")
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    inner = span * (nodes + 1) / 2
    return (
        [*inner.tolist(), span],
        np.append(rate * np.exp(-rate * inner) * weights * span / 2, np.exp(-rate * span)),
    )


def _check(
    purchases: PurchaseModel, spend: SpendModel, margin: float, discount_rate: float, draws: int
) -> None:
    if not 0 < margin <= 1:
        raise CxError(f"margin is {margin}, and must be a share above 0 and up to 1, such as 0.3")
    if not 0 <= discount_rate < np.inf:
        raise CxError(f"discount_rate is {discount_rate}, and must be 0 or more, such as 0.1")
    if draws < 20:
        raise CxError(f"draws is {draws}, too few for an interval; give at least 20, such as 200")
    known = [np.isfinite(model.estimate.log_covariance).all() for model in (purchases, spend)]
    if not all(known):
        raise CxError(
            "a model at given parameters has no standard errors, and so no interval; fit it to data"
        )
