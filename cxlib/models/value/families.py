"""Families of purchase models: likelihood, the chance to be alive, and purchases to come.

In all of them a customer buys at a rate of their own until they leave, unseen. Each function takes
the parameters and histories, and gives one value per row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cxlib.models.value.rows import Rows

__all__ = ["BG_BB", "BG_NBD", "MBG_NBD", "NBD", "PARETO_NBD", "Family"]

Array = NDArray[Any]

_FAR = 1e6
"""Sum of a and b from which the formula loses more digits than it has to give."""

_MOST_PURCHASES = 5_000
"""Of one customer within a horizon."""

_POLE = 1e-6
"""Where a formula divides 0 by 0: as near to it as rounding allows, and as an answer may be off."""


@dataclass(frozen=True)
class Family:
    """One model of how customers buy.

    Parameters
    ----------
    name
        As in the literature.
    parameters
        Names, all positive.
    log_likelihood
        Of parameters and rows, per customer.
    log_alive
        Logarithm of the probability that a customer is still active, of parameters and rows.
    purchases
        Expected purchases until a time after the end, of parameters, rows and the time, for a
        customer who is active there.
    from_start
        Expected purchases of a new customer until a time, of parameters and the time.
    starts
        Parameters to start from, of purchases per time and time observed.
    discrete
        Whether time is a count of purchase opportunities.

    Examples
    --------
    >>> BG_NBD.parameters
    ('r', 'alpha', 'a', 'b')
    """

    name: str
    parameters: tuple[str, ...]
    log_likelihood: Callable[[Array, Rows], Array]
    log_alive: Callable[[Array, Rows], Array]
    purchases: Callable[[Array, Rows, float], Array]
    from_start: Callable[[Array, Array], Array]
    starts: Callable[[float, float], list[list[float]]]
    discrete: bool = False

    def __repr__(self) -> str:
        """Show its name."""
        return self.name


# --- purchases of those who stay: gamma rates ------------------------------------------------


def _gamma_part(r: float, alpha: float, rows: Rows) -> Array:
    """The part of the likelihood that only the number of purchases decides."""
    count, which = rows.counts
    return (special.gammaln(r + count) - special.gammaln(r) + r * np.log(alpha))[which]


def _nbd_likelihood(parameters: Array, rows: Rows) -> Array:
    r, alpha = parameters
    return _gamma_part(r, alpha, rows) - (r + rows.x) * np.log(alpha + rows.end)


def _nbd_purchases(parameters: Array, rows: Rows, time: float) -> Array:
    r, alpha = parameters
    return (r + rows.x) / (alpha + rows.end) * time


NBD = Family(
    "NBD",
    ("r", "alpha"),
    _nbd_likelihood,
    lambda parameters, rows: np.zeros(len(rows.x)),
    _nbd_purchases,
    lambda parameters, times: parameters[0] / parameters[1] * times,
    lambda rate, span: [[shape, shape / rate] for shape in (0.3, 1.0, 3.0)],
)


# --- leaving after a purchase: BG/NBD and MBG/NBD --------------------------------------------


def _split_bg(parameters: Array, rows: Rows) -> tuple[Array, Array, Array]:
    """BG/NBD: what both ways have in common, and the logarithms of still active and gone."""
    r, alpha, a, b = parameters
    count, which = rows.counts
    stays = special.betaln(a, b + count) - special.betaln(a, b)
    # Who has not bought again cannot have left: leaving comes after a repeat purchase.
    leaves = np.where(count > 0, np.log(a) - np.log(b + np.maximum(count, 1) - 1), -np.inf)
    shape = r + rows.x
    active = -shape * np.log(alpha + rows.end)
    gone = leaves[which] - shape * np.log(alpha + rows.last)
    return _gamma_part(r, alpha, rows) + stays[which], active, gone


def _split_mbg(parameters: Array, rows: Rows) -> tuple[Array, Array, Array]:
    """MBG/NBD: customers may leave after the first purchase too."""
    r, alpha, a, b = parameters
    count, which = rows.counts
    stays = special.betaln(a, b + count + 1) - special.betaln(a, b)
    leaves = np.log(a) - np.log(b + count)
    shape = r + rows.x
    active = -shape * np.log(alpha + rows.end)
    gone = leaves[which] - shape * np.log(alpha + rows.last)
    return _gamma_part(r, alpha, rows) + stays[which], active, gone


def _sum_of(split: Callable[[Array, Rows], tuple[Array, Array, Array]]) -> Any:
    def log_likelihood(parameters: Array, rows: Rows) -> Array:
        common, active, gone = split(parameters, rows)
        return common + np.logaddexp(active, gone)

    return log_likelihood


def _share_of(split: Callable[[Array, Rows], tuple[Array, Array, Array]]) -> Any:
    def log_alive(parameters: Array, rows: Rows) -> Array:
        _, active, gone = split(parameters, rows)
        return -np.logaddexp(0.0, gone - active)

    return log_alive


def _until_they_leave(shape: Any, rate: Any, a: float, b: Any, time: Any) -> Array:
    """Expected purchases of active customers: gamma(shape, rate) and beta(a, b) among them.

    Fader, Hardie and Lee (2005), equation 10. Euler's transformation of their 2F1 takes the power
    of the number of purchases out, which overflows for frequent buyers.
    """
    # At a = 1 and at a + b = 1 the formula is 0 / 0, though what it describes is smooth there.
    a = a + _POLE if abs(a - 1) < _POLE else a
    third = a + np.asarray(b) - 1
    third = np.where(np.abs(third) < _POLE, _POLE, third)
    z = time / (rate + time)
    with np.errstate(all="ignore"):
        series = special.hyp2f1(third - shape, a - 1, third, z)
        found = np.atleast_1d(third / (a - 1) * (1 - (1 - z) ** (a - 1) * series))
    # Where all customers leave alike, or hardly any does, its parts leave the range of numbers.
    lost = ~np.isfinite(found) | (np.broadcast_to(third, found.shape) > _FAR)
    if lost.any():
        shape, z, b = (np.broadcast_to(each, found.shape)[lost] for each in (shape, z, b))
        found[lost] = _one_by_one(shape, z, a, b)
    return found


def _one_by_one(shape: Array, z: Array, a: float, b: Array) -> Array:
    """The same: the chance that the k-th purchase is made, by those who stayed for it, summed."""
    total, stays = np.zeros(len(z)), np.ones(len(z))
    for k in range(1, _MOST_PURCHASES + 1):
        more = special.betainc(k, shape, z) * stays
        total += more
        if (more <= 1e-12 * total).all():
            break
        stays = stays * (b + k - 1) / (a + b + k - 1)
    return total


def _bg_purchases(parameters: Array, rows: Rows, time: float) -> Array:
    r, alpha, a, b = parameters
    return _until_they_leave(r + rows.x, alpha + rows.end, a, b + rows.x, time)


def _mbg_purchases(parameters: Array, rows: Rows, time: float) -> Array:
    r, alpha, a, b = parameters
    return _until_they_leave(r + rows.x, alpha + rows.end, a, b + rows.x + 1, time)


def _bg_from_start(parameters: Array, times: Array) -> Array:
    r, alpha, a, b = parameters
    return _until_they_leave(r, alpha, a, b, times)


def _mbg_from_start(parameters: Array, times: Array) -> Array:
    r, alpha, a, b = parameters
    return b / (a + b) * _until_they_leave(r, alpha, a, b + 1, times)


def _bg_starts(rate: float, span: float) -> list[list[float]]:
    return [[0.3, 0.3 / rate, 0.8, 2.5], [1.0, 0.7 / rate, 0.5, 3.0], [3.0, 2.0 / rate, 2.0, 15.0]]


BG_NBD = Family(
    "BG/NBD",
    ("r", "alpha", "a", "b"),
    _sum_of(_split_bg),
    _share_of(_split_bg),
    _bg_purchases,
    _bg_from_start,
    _bg_starts,
)
MBG_NBD = Family(
    "MBG/NBD",
    ("r", "alpha", "a", "b"),
    _sum_of(_split_mbg),
    _share_of(_split_mbg),
    _mbg_purchases,
    _mbg_from_start,
    _bg_starts,
)


# --- leaving at any time: Pareto/NBD ---------------------------------------------------------


def _split_pareto(parameters: Array, rows: Rows) -> tuple[Array, Array, Array]:
    r, alpha, s, beta = parameters
    x, moment, at_last, at_end = rows.moments
    tail = _log_tail(r + x, alpha + moment, s, beta + moment)
    shape = r + rows.x
    active = -shape * np.log(alpha + rows.end) - s * np.log(beta + rows.end)
    # Gone between the last purchase and the end: the tail from the one less that from the other.
    last, end = tail[at_last], tail[at_end]
    with np.errstate(divide="ignore"):
        gone = last + np.log(-np.expm1(np.minimum(end - last, 0.0)))
    common = _gamma_part(r, alpha, rows) + s * np.log(beta)
    return common, active, gone + np.log(s) - np.log(shape + s)


def _log_tail(shape: Array, rate: Array, s: float, other: Array) -> Array:
    """Logarithm of (shape + s) times the integral of (rate + u)^-shape (other + u)^-(s + 1).

    Fader and Hardie (2005), note on the Pareto/NBD, A0, with Euler's transformation so that the
    2F1 has only positive terms and the powers are logarithms.
    """
    c = shape + s + 1
    z = np.where(rate >= other, 1 - other / rate, 1 - rate / other)
    second = np.where(rate >= other, shape, s + 1)
    series = np.log(_hyp2f1_one(second, c, z))
    ratio = np.where(rate >= other, 0.0, np.log(rate) - np.log(other))
    return -shape * np.log(rate) - s * np.log(other) + ratio + series


def _hyp2f1_one(b: Array, c: Array, z: Array) -> Array:
    """2F1(1, b; c; z) for 0 <= z < 1 and b < c.

    scipy's own is not finite for thousands of purchases; there Gauss's continued fraction stands
    in (Abramowitz and Stegun (1964), 15.2), which needs many steps where z is near 1.
    """
    found = special.hyp2f1(1.0, b, c, z)
    wrong = ~np.isfinite(found)
    if wrong.any():
        b, c, z = (np.broadcast_to(each, found.shape)[wrong] for each in (b, c, z))
        rest = np.ones_like(z)
        for m in range(900, -1, -1):
            even = (m + 1) * (c - b + m) / ((c + 2 * m) * (c + 2 * m + 1))
            odd = (b + m) * (c - 1 + m) / ((c + 2 * m - 1) * (c + 2 * m))
            rest = 1 - odd * z / (1 - even * z / rest)
        found[wrong] = 1 / rest
    return found


def _while_alive(s: float, beta: Any, time: Any) -> Array:
    """Expected time until a customer leaves, or the given time, over the mean: smooth at s = 1."""
    growth = np.log1p(time / beta)
    return beta * growth * special.exprel(-(s - 1) * growth)


def _pareto_purchases(parameters: Array, rows: Rows, time: float) -> Array:
    r, alpha, s, beta = parameters
    return (r + rows.x) / (alpha + rows.end) * _while_alive(s, beta + rows.end, time)


def _pareto_from_start(parameters: Array, times: Array) -> Array:
    r, alpha, s, beta = parameters
    return r / alpha * _while_alive(s, beta, times)


PARETO_NBD = Family(
    "Pareto/NBD",
    ("r", "alpha", "s", "beta"),
    _sum_of(_split_pareto),
    _share_of(_split_pareto),
    _pareto_purchases,
    _pareto_from_start,
    lambda rate, span: [
        [0.5, 0.4 / rate, 0.6, 0.4 * span],
        [1.0, 0.7 / rate, 1.2, 2.0 * span],
        [3.0, 2.0 / rate, 0.3, 0.1 * span],
    ],
)


# --- opportunities: BG/BB --------------------------------------------------------------------


def _bb_active(parameters: Array, rows: Rows, further: int = 0) -> Array:
    """Logarithm of the history with the customer active for so many opportunities beyond it."""
    alpha, beta, gamma, delta = parameters
    bought = special.betaln(alpha + rows.x, beta + rows.end - rows.x)
    stays = special.betaln(gamma, delta + rows.end + further)
    return bought + stays - special.betaln(alpha, beta) - special.betaln(gamma, delta)


def _bb_likelihood(parameters: Array, rows: Rows) -> Array:
    alpha, beta, gamma, delta = parameters
    total = _bb_active(parameters, rows)
    silent = rows.end - rows.last
    for i in range(int(silent.max(initial=0))):
        left = special.betaln(alpha + rows.x, beta + rows.last - rows.x + i)
        left = left + special.betaln(gamma + 1, delta + rows.last + i)
        left = left - special.betaln(alpha, beta) - special.betaln(gamma, delta)
        total = np.where(i < silent, np.logaddexp(total, left), total)
    return total


def _bb_alive(parameters: Array, rows: Rows) -> Array:
    return _bb_active(parameters, rows, 1) - _bb_likelihood(parameters, rows)


def _bb_purchases(parameters: Array, rows: Rows, time: float) -> Array:
    """For customers active at the next opportunity, where they must be to buy at all."""
    alpha, beta, gamma, delta = parameters
    chance = (alpha + rows.x) / (alpha + beta + rows.end)
    periods = np.arange(1, int(time) + 1)[:, None]
    reached = special.betaln(gamma, delta + rows.end + periods)
    reached = reached - special.betaln(gamma, delta + rows.end + 1)
    return chance * np.exp(reached).sum(axis=0)


def _bb_from_start(parameters: Array, times: Array) -> Array:
    alpha, beta, gamma, delta = parameters
    periods = np.arange(1, int(np.max(times, initial=0)) + 1)
    reached = np.exp(special.betaln(gamma, delta + periods) - special.betaln(gamma, delta))
    so_far = np.concatenate([[0.0], np.cumsum(reached)])
    return alpha / (alpha + beta) * so_far[np.asarray(times, dtype="int64")]


BG_BB = Family(
    "BG/BB",
    ("alpha", "beta", "gamma", "delta"),
    _bb_likelihood,
    _bb_alive,
    _bb_purchases,
    _bb_from_start,
    lambda rate, span: [[1.0, 1.0, 0.5, 3.0], [0.5, 0.5, 1.0, 10.0], [3.0, 3.0, 2.0, 8.0]],
    discrete=True,
)
