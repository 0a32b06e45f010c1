"""Efron's sums over tied events, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["tied_sums"]

Array = NDArray[np.float64]

_FEW = 32
"""Tied events up to which a sum of d terms is added up: differences of gamma functions of large
numbers lose digits there."""


def tied_sums(a: Array, d: Array) -> tuple[Array, Array, Array]:
    """Efron's sums over k = 0 .. d-1 of log(a - k), 1/(a - k) and 1/(a - k)**2.

    Parameters
    ----------
    a
        Events times the summed risk of all at risk over the summed risk of the events; at least d.
    d
        Events at one time.

    Returns
    -------
    tuple of numpy.ndarray
        The three sums, one element per time.

    Notes
    -----
    By differences of log-gamma, digamma and trigamma functions at a + 1 and a - d + 1. Where both
    are large their Stirling series are subtracted term by term, which keeps the digits that the
    difference of two large numbers would lose.

    Examples
    --------
    >>> logs, first, second = tied_sums(np.array([4.0]), np.array([2.0]))
    >>> print(np.exp(logs), first, second.round(4))
    [12.] [0.58333333] [0.1736]
    """
    sums = np.zeros((3, len(a)))
    few = d <= _FEW
    sums[:, few] = _added_up(a[few], d[few])
    sums[:, ~few] = _by_gamma(a[~few], d[~few])
    return sums[0], sums[1], sums[2]


def _added_up(a: Array, d: Array) -> Array:
    k = np.arange(d.max(initial=0))
    inside = k < d[:, None]
    left = np.where(inside, a[:, None] - k, 1.0)
    parts = np.log(left), inside / left, inside / left**2
    return np.stack([part.sum(axis=1) for part in parts])


def _by_gamma(a: Array, d: Array) -> Array:
    high, low = a + 1, a - d + 1
    exact = np.stack(
        [
            special.gammaln(high) - special.gammaln(low),
            special.digamma(high) - special.digamma(low),
            special.polygamma(1, low) - special.polygamma(1, high),
        ]
    )
    return np.where(low > 50, _by_stirling(high, np.maximum(low, 50.0), d), exact)


def _by_stirling(high: Array, low: Array, d: Array) -> Array:
    ratio = -np.log1p(-d / high)
    gap = d / (high * low)

    def less(power: int) -> Array:
        return low**-power - high**-power

    logs = (low - 0.5) * ratio + d * np.log(high) - d - gap / 12 + less(3) / 360 - less(5) / 1260
    square = gap * (1 / low + 1 / high)
    first = ratio + gap / 2 + square / 12 - less(4) / 120 + less(6) / 252
    second = gap + square / 2 + less(3) / 6 - less(5) / 30 + less(7) / 42
    return np.stack([logs, first, second])
