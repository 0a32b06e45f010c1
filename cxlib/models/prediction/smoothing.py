"""The risk that customers with a predicted one really had, as a smooth curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["smoothed"]

Array = NDArray[Any]

_KNOTS = (0.05, 0.35, 0.65, 0.95)
"""Quantiles: Harrell (2001), Regression Modeling Strategies, table 2.3."""

_RIDGE = 1e-6


def smoothed(risk: Array, ended: Array, weight: Array) -> Array:
    """Calibrated risk of each customer: a weighted logistic regression on the predicted one.

    Parameters
    ----------
    risk
        Predicted.
    ended
        1 for an end, 0 for none.
    weight
        How much each counts; 0 where the outcome is not known.

    Returns
    -------
    numpy.ndarray
        Between 0 and 1. By a restricted cubic spline with four knots in the logit of the predicted
        risk; by a line where there are too few predictions for that; the mean where all are equal.

    Examples
    --------
    >>> risk = np.array([0.2, 0.2, 0.2, 0.2, 0.2])
    >>> smoothed(risk, np.array([1, 0, 0, 0, 0]), np.ones(5)).round(3).tolist()
    [0.2, 0.2, 0.2, 0.2, 0.2]
    """
    x = special.logit(np.clip(risk, 1e-6, 1 - 1e-6))
    middle = float(np.average(x, weights=weight))
    spread = float(np.sqrt(np.average((x - middle) ** 2, weights=weight)))
    share = float(np.average(ended, weights=weight))
    if spread < 1e-9 or not 0 < share < 1:
        return np.full(len(x), share)
    x = (x - middle) / spread
    design = _spline(x, weight)
    b = np.zeros(design.shape[1])
    b[0] = special.logit(share)
    for _ in range(100):
        p = special.expit(design @ b)
        slope = design.T @ (weight * (ended - p)) - _RIDGE * b
        bend = (design * (weight * p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(len(b))
        step = np.linalg.solve(bend, slope)
        # A long step would leave the range in which the curve has any slope.
        b = b + step / max(1.0, np.abs(step).max() / 5)
        if np.abs(step).max() < 1e-9:
            break
    return special.expit(design @ b)


def _spline(x: Array, weight: Array) -> Array:
    order = np.argsort(x, kind="stable")
    so_far = np.cumsum(weight[order]) / weight.sum()
    places = np.minimum(np.searchsorted(so_far, _KNOTS), len(x) - 1)
    knots = np.unique(x[order][places])
    base = [np.ones(len(x)), x]
    if len(knots) == len(_KNOTS):
        last, before = knots[-1], knots[-2]

        def cube(at: float) -> Array:
            return np.maximum(x - at, 0.0) ** 3

        for knot in knots[:-2]:
            bent = cube(knot) - cube(before) * (last - knot) / (last - before)
            bent = bent + cube(last) * (before - knot) / (last - before)
            base.append(bent / (last - knots[0]) ** 2)
    return np.stack(base, axis=1)
