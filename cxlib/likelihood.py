"""Maximum likelihood of a few positive parameters, with standard errors and intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special

from cxlib.errors import CxError

__all__ = ["Estimate", "maximize"]

Array = NDArray[Any]

_FURTHEST = 12.0
"""How far a parameter may move from its start: a factor of e^12, 160,000."""

_STEP = 1e-3
"""Of the differences, on the log scale: rounding adds about 1e-9 to a second derivative."""

_GAIN = 1e-7
"""Log-likelihood still to be gained below which a maximum is found."""


@dataclass(frozen=True)
class Estimate:
    """Positive parameters with their uncertainty, which is normal on the log scale.

    Parameters
    ----------
    names
        Names of the parameters.
    values
        Their estimates.
    log_covariance
        Covariance of the logarithms of the estimates; NaN where it is not known.
    log_likelihood
        At the estimates; NaN where it is not known.
    n
        Customers that it comes from.

    Examples
    --------
    >>> Estimate(("r",), np.array([2.0]), np.array([[0.01]]), -10.0, 50)
    Estimate(r=2, log_likelihood=-10, n=50)
    >>> Estimate(("r",), np.array([2.0]), np.array([[0.01]]), -10.0, 50).summary().round(3)
      parameter  estimate  standard_error  lower  upper
    0         r       2.0             0.2  1.644  2.433
    """

    names: tuple[str, ...]
    values: Array
    log_covariance: Array
    log_likelihood: float
    n: int

    def __repr__(self) -> str:
        """Show it in a line, without the covariance."""
        told = dict(zip(self.names, self.values, strict=True))
        told["log_likelihood"] = self.log_likelihood
        values = ", ".join(f"{name}={value:.5g}" for name, value in told.items())
        return f"Estimate({values}, n={self.n})"

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Parameters with standard errors and intervals, one per row.

        Parameters
        ----------
        confidence
            Coverage of the interval.

        Returns
        -------
        pandas.DataFrame
            ``parameter`` (text), ``estimate``, ``standard_error``, ``lower`` and ``upper`` float64.
            The interval is symmetric on the log scale, and so never below 0.
        """
        spread = np.sqrt(np.diag(self.log_covariance))
        z = float(special.ndtri(0.5 + confidence / 2))
        return pd.DataFrame(
            {
                "parameter": list(self.names),
                "estimate": self.values,
                "standard_error": self.values * spread,
                "lower": self.values * np.exp(-z * spread),
                "upper": self.values * np.exp(z * spread),
            }
        )

    def at(self, **values: float) -> Estimate:
        """The same parameters at given values, of which nothing else is known.

        Parameters
        ----------
        **values
            A value for each parameter.

        Returns
        -------
        Estimate
            With unknown (NaN) covariance and log-likelihood.

        Raises
        ------
        CxError
            When a parameter is missing, unknown or not positive.
        """
        if set(values) != set(self.names):
            raise CxError(
                f"the parameters are {', '.join(self.names)}, and {', '.join(values) or 'none'} "
                "were given; give each of them once"
            )
        if not all(np.isfinite(value) and value > 0 for value in values.values()):
            raise CxError(f"the parameters {values} must all be positive; check them")
        given = np.array([float(values[name]) for name in self.names])
        unknown = np.full((len(given), len(given)), np.nan)
        return Estimate(self.names, given, unknown, float("nan"), 0)

    def draws(self, count: int, random_state: int | np.random.Generator | None) -> Array:
        """Parameter values that the data allow, one set per row.

        Parameters
        ----------
        count
            How many sets.
        random_state
            Seed or generator.

        Returns
        -------
        numpy.ndarray
            From the normal distribution of the logarithms.
        """
        rng = np.random.default_rng(random_state)
        return np.exp(rng.multivariate_normal(np.log(self.values), self.log_covariance, size=count))

    def interval_of(
        self, function: Callable[[Array], Array], confidence: float = 0.95
    ) -> tuple[Array, Array]:
        """Interval of a positive quantity that the parameters give (delta method).

        Parameters
        ----------
        function
            Of the parameter values, to an array of positive numbers.
        confidence
            Coverage.

        Returns
        -------
        tuple of numpy.ndarray
            Lower and upper bound, symmetric on the log scale.
        """
        centre = np.log(self.values)
        slopes = np.array(
            [
                (np.log(function(np.exp(centre + step))) - np.log(function(np.exp(centre - step))))
                / (2 * _STEP)
                for step in np.eye(len(centre)) * _STEP
            ]
        )
        variance = np.einsum("ik,ij,jk->k", slopes, self.log_covariance, slopes)
        reach = special.ndtri(0.5 + confidence / 2) * np.sqrt(np.maximum(variance, 0))
        middle = function(self.values)
        return middle * np.exp(-reach), middle * np.exp(reach)


def maximize(
    log_likelihood: Callable[[Array], float],
    names: Sequence[str],
    starts: Sequence[Sequence[float]],
    *,
    model: str,
    n: int,
    hint: str,
) -> Estimate:
    """Parameters that make the data most likely, from several starts.

    Parameters
    ----------
    log_likelihood
        Of an array of positive parameters, summed over all customers.
    names
        Names of the parameters.
    starts
        Where to start, each with a value per parameter.
    model
        Name of the model, for the error.
    n
        Customers.
    hint
        What to do when there is no maximum, for the error.

    Returns
    -------
    Estimate
        The best of all starts; the covariance is the inverse of the negative Hessian there.

    Raises
    ------
    CxError
        When no start leads to a maximum, with the starts and where they led.

    Notes
    -----
    Quasi-Newton (L-BFGS-B) steps on the logarithms of the parameters, then Newton steps with a
    Hessian by central differences. A maximum is found where the Hessian is negative definite and
    a further Newton step would add less than 0.0000001 to the log-likelihood, so that the answer
    does not depend on how an optimiser chooses to stop.

    Examples
    --------
    >>> def log_likelihood(theta):  # 50 waiting times with a sum of 100 at the rate theta
    ...     return float(50 * np.log(theta[0]) - theta[0] * 100)
    >>> maximize(
    ...     log_likelihood, ["rate"], [[1.0]], model="exponential", n=50, hint="check the times"
    ... ).summary().round(3)
      parameter  estimate  standard_error  lower  upper
    0      rate       0.5           0.071  0.379   0.66
    """

    def loss(logs: Array) -> float:
        with np.errstate(all="ignore"):
            value = -log_likelihood(np.exp(logs)) / n
        # The optimiser steps back from a wall, and cannot from infinity.
        return value if np.isfinite(value) else 1e10

    found = [_descend(loss, np.log(np.asarray(start, dtype="float64")), n) for start in starts]
    best = min(found, key=lambda end: end.loss)
    maxima = [end for end in found if end.is_maximum and (end.loss - best.loss) * n < 1e-4]
    # Which start got there does not matter; another may have stopped short on the same ridge.
    best = min(maxima, key=lambda end: end.loss, default=best)
    if not best.is_maximum:
        raise CxError(_did_not_converge(model, names, starts, best, n, hint))
    return Estimate(
        tuple(names), np.exp(best.logs), np.linalg.inv(best.hessian * n), -best.loss * n, n
    )


@dataclass(frozen=True)
class _End:
    """Where one start led."""

    logs: Array
    loss: float
    hessian: Array
    is_maximum: bool


def _descend(loss: Callable[[Array], float], start: Array, n: int) -> _End:
    bounds = [(value - _FURTHEST, value + _FURTHEST) for value in start]
    options = {"ftol": 1e-11, "gtol": 1e-7, "maxiter": 500}
    logs = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds, options=options).x
    value, hessian = loss(logs), np.full((len(start), len(start)), np.nan)
    for _ in range(12):
        slope, hessian = _derivatives(loss, logs, value)
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 1e-9:
            break
        step = -np.linalg.solve(hessian, slope)
        if -(slope @ step) * n / 2 < _GAIN:
            is_inside = bool((np.abs(logs - start) < _FURTHEST - 0.1).all())
            # The last step costs one look and doubles the digits.
            if (last := loss(logs + step)) <= value:
                logs, value = logs + step, last
            return _End(logs, value, hessian, is_inside)
        lengths = [0.5**k for k in range(8)]
        tried = next(((logs + k * step) for k in lengths if loss(logs + k * step) < value), None)
        if tried is None:
            break
        logs, value = tried, loss(tried)
    return _End(logs, value, hessian, False)


def _derivatives(loss: Callable[[Array], float], at: Array, value: float) -> tuple[Array, Array]:
    """Gradient and Hessian by central differences."""
    steps = np.eye(len(at)) * _STEP
    up, down = [loss(at + step) for step in steps], [loss(at - step) for step in steps]
    slope = (np.array(up) - np.array(down)) / (2 * _STEP)
    hessian = np.diag((np.array(up) - 2 * value + np.array(down)) / _STEP**2)
    for i in range(len(at)):
        for j in range(i):
            corners = loss(at + steps[i] + steps[j]) + loss(at - steps[i] - steps[j])
            corners -= loss(at + steps[i] - steps[j]) + loss(at - steps[i] + steps[j])
            hessian[i, j] = hessian[j, i] = corners / (4 * _STEP**2)
    return slope, hessian


def _did_not_converge(
    model: str,
    names: Sequence[str],
    starts: Sequence[Sequence[float]],
    best: _End,
    n: int,
    hint: str,
) -> str:
    ended = ", ".join(
        f"{name} = {value:.4g}" for name, value in zip(names, np.exp(best.logs), strict=True)
    )
    tried = "; ".join(", ".join(f"{value:.3g}" for value in start) for start in starts)
    return (
        f"the {model} model found no maximum of the likelihood of {n:,} customers: L-BFGS-B and "
        f"Newton steps from {len(starts)} starts ({', '.join(names)} = {tried}) came furthest at "
        f"{ended} (log-likelihood {-best.loss * n:.6g}), which is at an edge or on a flat ridge; "
        f"{hint}"
    )
