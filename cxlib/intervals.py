"""Confidence intervals of rates, counts and their ratios, for whole columns at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cxlib.errors import CxError

__all__ = [
    "check_confidence",
    "mean_interval",
    "newcombe_interval",
    "poisson_interval",
    "wilson_interval",
]

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
    return _score_bounds(successes, n, special.ndtri(0.5 + confidence / 2))


def _score_bounds(successes: ArrayLike, n: ArrayLike, z: ArrayLike) -> Bounds:
    x, total = np.asarray(successes, dtype="float64"), np.asarray(n, dtype="float64")
    z2 = np.asarray(z, dtype="float64") ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = x / total
        centre = (rate + z2 / (2 * total)) / (1 + z2 / total)
        half = np.sqrt(z2 * (rate * (1 - rate) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    # The bounds at no and at all cases are exact; rounding would leave 1e-17 there.
    lower = np.where(x == 0, 0.0, centre - half)
    upper = np.where(x == total, 1.0, centre + half)
    return np.where(total > 0, lower, np.nan), np.where(total > 0, upper, np.nan)


def newcombe_interval(
    successes: ArrayLike,
    n: ArrayLike,
    other_successes: ArrayLike,
    other_n: ArrayLike,
    *,
    confidence: float = 0.95,
    z: ArrayLike | None = None,
    correlation: ArrayLike = 0.0,
) -> Bounds:
    """Newcombe's hybrid score interval of the difference of two proportions, first less other.

    Parameters
    ----------
    successes, n
        Cases that had the property, and all cases.
    other_successes, other_n
        The same of the proportion to subtract.
    confidence
        Coverage, between 0 and 1.
    z
        Quantile to use in place of the normal one, such as that of a t distribution.
    correlation
        Of the two estimates; 0 for separate samples.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound, within [-1, 1]; NaN where an ``n`` is 0.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890 (method 10), and 17, 2635-2650 for paired
    proportions.

    Examples
    --------
    >>> lower, upper = newcombe_interval([56], [70], [48], [80])
    >>> print(lower.round(4), upper.round(4))
    [0.0524] [0.3339]
    """
    check_confidence(confidence)
    quantile = special.ndtri(0.5 + confidence / 2) if z is None else z
    x, total = np.asarray(successes, dtype="float64"), np.asarray(n, dtype="float64")
    y, other = np.asarray(other_successes, dtype="float64"), np.asarray(other_n, dtype="float64")
    (low, high), (least, most) = (
        _score_bounds(x, total, quantile),
        _score_bounds(y, other, quantile),
    )
    r = np.asarray(correlation, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = x / total, y / other
        below = (p - low) ** 2 - 2 * r * (p - low) * (most - q) + (most - q) ** 2
        above = (high - p) ** 2 - 2 * r * (high - p) * (q - least) + (q - least) ** 2
        # A sum of squares; rounding could leave it below 0.
        return p - q - np.sqrt(np.maximum(below, 0)), p - q + np.sqrt(np.maximum(above, 0))


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


def mean_interval(
    mean: ArrayLike, deviation: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> Bounds:
    """Student's t interval of a mean.

    Parameters
    ----------
    mean
        Mean of the values.
    deviation
        Their standard deviation (of the sample: n - 1 below).
    n
        How many they are.
    confidence
        Coverage, between 0 and 1.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound; NaN where ``n`` is below 2.

    References
    ----------
    Student (1908), Biometrika 6, 1-25.

    Examples
    --------
    >>> lower, upper = mean_interval([0.75], [1.789], [10])
    >>> print(lower.round(2), upper.round(2))
    [-0.53] [2.03]
    """
    check_confidence(confidence)
    centre, spread = np.asarray(mean, dtype="float64"), np.asarray(deviation, dtype="float64")
    size = np.asarray(n, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        enough = np.where(size > 1, size, np.nan)
        half = special.stdtrit(enough - 1, 0.5 + confidence / 2) * spread / np.sqrt(enough)
    return centre - half, centre + half


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
