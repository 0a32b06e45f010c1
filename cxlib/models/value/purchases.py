"""Purchases: how often customers buy, whether they still do, and how often they will."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, unknown_name
from cxlib.likelihood import Estimate, maximize
from cxlib.models.value.families import BG_BB, BG_NBD, MBG_NBD, NBD, PARETO_NBD, Family
from cxlib.models.value.model import PurchaseModel
from cxlib.models.value.rows import Rows, read_rows
from cxlib.spans import parse_span

__all__ = [
    "PurchaseModel",
    "fit_bg_bb",
    "fit_bg_nbd",
    "fit_mbg_nbd",
    "fit_nbd",
    "fit_pareto_nbd",
]

Array = NDArray[Any]

_UNITS = {"hours": timedelta(hours=1), "days": timedelta(days=1), "weeks": timedelta(weeks=1)}

_ENOUGH = 5_000
"""Histories, of the frequent and of the rare ones, that say about where a maximum is."""


def fit_bg_nbd(histories: pd.DataFrame, *, unit: str = "weeks") -> PurchaseModel:
    """BG/NBD model of purchases without a contract, by maximum likelihood.

    Parameters
    ----------
    histories
        What ``purchase_summary`` gives, or any frame with ``frequency`` (repeat purchases),
        ``recency`` (time from the first to the last purchase, 0 without repeats), ``T`` (time from
        the first purchase to the date) and, where a row stands for several customers, ``weight``
        (how many). Weights are counts: the answer is that of the rows repeated so often.
    unit
        Unit of the times: "hours", "days" or "weeks".

    Returns
    -------
    PurchaseModel
        With ``r``, ``alpha``, ``a`` and ``b``, ``.summary``, ``.predict`` and
        ``.expected_purchases``.

    Raises
    ------
    CxError
        For histories that no customer can have, weights that are no counts, customers none of whom
        bought again, or no maximum of the likelihood.

    Notes
    -----
    While active, a customer buys at random times at a rate that is gamma(r, alpha) among customers;
    after each repeat purchase they leave with a probability that is beta(a, b) among customers.
    Who has not bought again is active for certain, other than in ``fit_mbg_nbd``.
    The log-likelihood is that of the times of purchase, as published: it has no factorials.

    References
    ----------
    Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24,
    275-284.

    Examples
    --------
    >>> histories = pd.DataFrame({
    ...     "frequency": [0, 0, 1, 1, 2, 4, 7], "recency": [0, 0, 3, 20, 12, 24, 29],
    ...     "T": [39, 30, 39, 32, 39, 26, 30], "weight": [300, 250, 80, 60, 50, 40, 30]})
    >>> model = fit_bg_nbd(histories)
    >>> model.predict(histories.tail(2), horizon="26 weeks").round(3)
       frequency  recency   T  weight  probability_alive  expected_purchases
    5          4       24  26      40              0.918               2.985
    6          7       29  30      30              0.958               4.783
    """
    return _fit(BG_NBD, histories, _unit(unit), unit)


def fit_mbg_nbd(histories: pd.DataFrame, *, unit: str = "weeks") -> PurchaseModel:
    """Modified BG/NBD model: customers may leave after their first purchase too.

    Parameters
    ----------
    histories, unit
        As for ``fit_bg_nbd``.

    Returns
    -------
    PurchaseModel
        With ``r``, ``alpha``, ``a`` and ``b``.

    Raises
    ------
    CxError
        As for ``fit_bg_nbd``.

    References
    ----------
    Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of models for
    customer base analysis, Int. J. Research in Marketing 24, 201-209.

    Examples
    --------
    >>> histories = pd.DataFrame({
    ...     "frequency": [0, 0, 1, 1, 2, 4, 7], "recency": [0, 0, 3, 20, 12, 24, 29],
    ...     "T": [39, 30, 39, 32, 39, 26, 30], "weight": [300, 250, 80, 60, 50, 40, 30]})
    >>> fit_mbg_nbd(histories).predict(histories, horizon="4 weeks")["probability_alive"].max() < 1
    np.True_
    """
    return _fit(MBG_NBD, histories, _unit(unit), unit)


def fit_pareto_nbd(histories: pd.DataFrame, *, unit: str = "weeks") -> PurchaseModel:
    """Pareto/NBD model: customers may leave at any time.

    Parameters
    ----------
    histories, unit
        As for ``fit_bg_nbd``.

    Returns
    -------
    PurchaseModel
        With ``r``, ``alpha`` (of the gamma rates of purchase), ``s`` and ``beta`` (of the gamma
        rates of leaving).

    Raises
    ------
    CxError
        As for ``fit_bg_nbd``.

    References
    ----------
    Schmittlein, Morrison and Colombo (1987), Counting your customers, Management Science 33, 1-24.
    Fader and Hardie (2005), A note on deriving the Pareto/NBD model.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> stay = np.minimum(rng.exponential(1 / rng.gamma(0.9, 1 / 15, 500)), 39)
    >>> x = rng.poisson(rng.gamma(0.8, 1 / 6, 500) * stay)
    >>> last = np.where(x > 0, stay * rng.random(500) ** (1 / np.maximum(x, 1)), 0)
    >>> histories = pd.DataFrame({"frequency": x, "recency": last, "T": 39})
    >>> list(fit_pareto_nbd(histories).summary["parameter"])
    ['r', 'alpha', 's', 'beta']
    """
    return _fit(PARETO_NBD, histories, _unit(unit), unit)


def fit_nbd(histories: pd.DataFrame, *, unit: str = "weeks") -> PurchaseModel:
    """NBD model, in which nobody ever leaves: the yardstick for those in which customers do.

    Parameters
    ----------
    histories, unit
        As for ``fit_bg_nbd``.

    Returns
    -------
    PurchaseModel
        With ``r`` and ``alpha``.

    Raises
    ------
    CxError
        As for ``fit_bg_nbd``.

    References
    ----------
    Ehrenberg (1959), The pattern of consumer purchases, Applied Statistics 8, 26-41.

    Examples
    --------
    >>> histories = pd.DataFrame(
    ...     {"frequency": [0, 1, 5], "recency": [0, 9, 30], "T": [39, 39, 39],
    ...      "weight": [50, 20, 10]})
    >>> fit_nbd(histories).summary["estimate"].round(2).tolist()
    [0.38, 16.98]
    """
    return _fit(NBD, histories, _unit(unit), unit)


def fit_bg_bb(histories: pd.DataFrame, *, period: str | timedelta | None = None) -> PurchaseModel:
    """BG/BB model, for purchases that have opportunities: a yearly gift, a monthly order.

    Parameters
    ----------
    histories
        ``frequency`` (opportunities after the first purchase that were taken), ``recency`` (the
        last of them that was, 0 for none), ``T`` (opportunities so far) and ``weight``.
    period
        Time from one opportunity to the next ("365 days"), needed for ``customer_value`` alone.

    Returns
    -------
    PurchaseModel
        With ``alpha`` and ``beta`` (of the beta probability to buy), ``gamma`` and ``delta`` (of
        that to leave). ``probability_alive`` is that to be active at the next opportunity.

    Raises
    ------
    CxError
        As for ``fit_bg_nbd``, and for times that are no counts of opportunities.

    References
    ----------
    Fader, Hardie and Shang (2010), Customer-base analysis in a discrete-time noncontractual
    setting, Marketing Science 29, 1086-1108.

    Examples
    --------
    >>> gifts = pd.DataFrame({
    ...     "frequency": [0, 1, 1, 1, 2, 2, 3], "recency": [0, 1, 2, 3, 2, 3, 3], "T": 3,
    ...     "weight": [400, 120, 60, 50, 70, 90, 160]})
    >>> fit_bg_bb(gifts).predict(gifts.tail(1), horizon=2).round(3)
       frequency  recency  T  weight  probability_alive  expected_purchases
    6          3        3  3     160              0.892               1.394
    """
    length = None if period is None else parse_span(period)
    if length is not None and not length:
        raise CxError("the period is empty; give a length of time such as '365 days'")
    return _fit(BG_BB, histories, length, "periods")


def _unit(unit: str) -> timedelta:
    if unit not in _UNITS:
        raise unknown_name("unit", unit, _UNITS)
    return _UNITS[unit]


def _fit(
    family: Family, histories: pd.DataFrame, period: timedelta | None, unit: str
) -> PurchaseModel:
    given = read_rows(histories, discrete=family.discrete)
    rows = _aggregate(given)
    bought = float(rows.weight @ rows.x)
    if bought == 0:
        raise CxError(
            f"none of the {rows.n:,} customers bought again (every frequency is 0), so that there "
            "is nothing to learn from; look further back, or check which touchpoints are purchases"
        )
    observed = float(rows.weight @ rows.end)
    rate, span = bought / observed, observed / rows.n

    def best(rows: Rows, starts: Sequence[Sequence[float]]) -> Estimate:
        return maximize(
            lambda parameters: float(rows.weight @ family.log_likelihood(parameters, rows)),
            family.parameters,
            starts,
            model=family.name,
            n=rows.n,
            hint="customers may be too few or too alike for it: try fit_nbd, or look further back",
        )

    starts = family.starts(rate, span)
    if len(rows.x) > 2 * _ENOUGH:
        # A part of the histories finds the hill; all of them are then asked from there alone.
        try:
            near = best(_thinned(rows), starts).summary()["estimate"].tolist()
            return PurchaseModel(family, best(rows, [near]), period, unit)
        except CxError:
            pass
    return PurchaseModel(family, best(rows, starts), period, unit)


def _thinned(rows: Rows) -> Rows:
    """The most frequent histories, and some of the others, each in place of its neighbours."""
    order = np.argsort(-rows.weight, kind="stable")
    own, others = order[:_ENOUGH], np.sort(order[_ENOUGH:])
    step = -(-len(others) // _ENOUGH)
    others = others[::step]
    kept = np.concatenate([own, others])
    weight = np.concatenate([rows.weight[own], rows.weight[others] * step])
    return Rows(rows.x[kept], rows.last[kept], rows.end[kept], weight)


def _aggregate(rows: Rows) -> Rows:
    """Each history once: equal ones are equally likely, and many customers share one."""
    once, which = rows.distinct()
    weight = np.bincount(which, weights=rows.weight, minlength=len(once.x))
    kept = weight > 0
    if not kept.any():
        raise CxError("every weight is 0, so that there are no customers; check the counts")
    return Rows(once.x[kept], once.last[kept], once.end[kept], weight[kept])
