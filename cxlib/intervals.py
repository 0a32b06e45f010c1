"""Confidence intervals of rates, counts and their ratios, for whole columns at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cxlib.errors import CxError

__all__ = ["check_confidence", "poisson_interval", "wilson_interval"]

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


def wilson_interval(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Bounds:
    """Wilson score interval of a proportion.

    Parameters
    ----------
    successes
        Cases that had the property.
    n
        All cases.
    confidence
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound, within [0, 1]; NaN where ``n`` is 0.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> lower, upper = wilson_interval([15], [148])
    >>> print(lower.round(4), upper.round(4))
    [0.0624] [0.1605]
    """
    check_confidence(confidence)
    x, total = np.asarray(successes, dtype="float64"), np.asarray(n, dtype="float64")
    z2 = special.ndtri(0.5 + confidence / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = x / total
        centre = (rate + z2 / (2 * total)) / (1 + z2 / total)
        half = np.sqrt(z2 * (rate * (1 - rate) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    # The bounds at no and at all cases are exact; rounding would leave 1e-17 there.
    lower = np.where(x == 0, 0.0, centre - half)
    upper = np.where(x == total, 1.0, centre + half)
    return np.where(total > 0, lower, np.nan), np.where(total > 0, upper, np.nan)


def poisson_interval(count: ArrayLike, confidence: float = 0.95) -> Bounds:
    """Exact (Garwood) interval of the mean of a Poisson count.

    Parameters
    ----------
    count
        Events seen.
    confidence
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound of the expected count; the lower one is 0 where none was seen.

    References
    ----------
    Garwood (1936), Biometrika 28, 437-442.

    Examples
    --------
    >>> lower, upper = poisson_interval([0, 10])
    >>> print(lower.round(3), upper.round(3))
    [0.    4.795] [ 3.689 18.39 ]
    """
    check_confidence(confidence)
    seen = np.asarray(count, dtype="float64")
    tail = (1 - confidence) / 2
    lower = special.gammaincinv(np.where(seen > 0, seen, 1.0), tail)
    return np.where(seen > 0, lower, 0.0), special.gammaincinv(seen + 1, 1 - tail)


def check_confidence(confidence: float) -> None:
    """Raise where a confidence is no share.

    Parameters
    ----------
    confidence
        Coverage, between 0 and 1.

    Raises
    ------
    CxError
        For 0, 1 or anything beyond them, such as 95.

    Examples
    --------
    >>> check_confidence(95)
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: confidence is 95, and must lie between 0 and 1, such as 0.95
    """
    if not 0 < confidence < 1:
        raise CxError(f"confidence is {confidence}, and must lie between 0 and 1, such as 0.95")
