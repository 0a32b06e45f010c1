"""Pointwise intervals of curves, by the names that R gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import unknown_name
from cxlib.intervals import check_confidence

__all__ = ["check_interval", "hazard_bounds", "share_bounds"]

Array = NDArray[Any]
Bounds = tuple[Array, Array]

INTERVALS = ("log-log", "log", "plain")


def check_interval(interval: str, confidence: float, known: tuple[str, ...] = INTERVALS) -> None:
    """Raise for an unknown type of interval, or a confidence that is no share.

    Parameters
    ----------
    interval, confidence
        What was asked for.
    known
        Types that there are.

    Raises
    ------
    CxError
        With the types that exist.
    """
    check_confidence(confidence)
    if interval not in known:
        raise unknown_name("interval", interval, known)


def share_bounds(share: Array, error: Array, confidence: float, interval: str) -> Bounds:
    """Bounds of a share that falls from 1 to 0.

    Parameters
    ----------
    share, error
        The curve and its standard error.
    confidence
        Coverage.
    interval
        Scale on which the interval is symmetric: "plain", "log" or "log-log".

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound, within [0, 1]: 1 where the curve is 1, NaN where it is 0.

    Examples
    --------
    >>> lower, upper = share_bounds(np.array([0.5]), np.array([0.1]), 0.95, "log-log")
    >>> print(lower.round(4), upper.round(4))
    [0.2952] [0.6745]
    """
    width = special.ndtri(0.5 + confidence / 2) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        if interval == "plain":
            lower, upper = share - width, share + width
        elif interval == "log":
            lower, upper = share * np.exp(-width / share), share * np.exp(width / share)
        else:
            half = width / (share * np.log(share))
            lower, upper = share ** np.exp(-half), share ** np.exp(half)
    inside = (share > 0) & (share < 1)
    edge = np.where(share > 0, 1.0, np.nan)
    lower, upper = np.clip(lower, 0, 1), np.clip(upper, 0, 1)
    return np.where(inside, lower, edge), np.where(inside, upper, edge)


def hazard_bounds(hazard: Array, error: Array, confidence: float, interval: str) -> Bounds:
    """Bounds of a cumulative hazard or mean count, which rises from 0.

    Parameters
    ----------
    hazard, error
        The curve and its standard error.
    confidence
        Coverage.
    interval
        "log" or "plain".

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound, at least 0.
    """
    width = special.ndtri(0.5 + confidence / 2) * error
    if interval == "plain":
        return np.maximum(hazard - width, 0), hazard + width
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(hazard > 0, np.exp(width / hazard), 1.0)
    return hazard / factor, hazard * factor
