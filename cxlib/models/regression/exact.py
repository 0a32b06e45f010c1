"""The exact partial likelihood of tied events: whichever of those at risk might have ended."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError
from cxlib.models.regression.likelihood import Curvature, RiskSets

__all__ = ["ExactRiskSets", "exact_risk_sets"]

Array = NDArray[np.float64]

_MOST_TIED = 100
"""Events at one time: sums over more subsets leave the range of floating-point numbers."""

_MOST_STEPS = 20_000
"""Patterns at risk at tied times, which one step of a fit goes through one by one."""


@dataclass(frozen=True)
class ExactRiskSets(RiskSets):
    """Risk sets whose tied events are compared with every set of as many at risk."""

    def evaluate(self, z: Array, b: Array, multiplier: Array | None = None) -> Curvature:
        """Likelihood, gradient and information; the baseline's pieces are Breslow's.

        Parameters
        ----------
        z
            Covariates of each pattern, centred.
        b
            Coefficients.
        multiplier
            Weight of each slot in gradient and information; 1 when None.

        Returns
        -------
        Curvature
            At ``b``.

        Notes
        -----
        With d events among those at risk, the likelihood of a slot is exp(sum of their scores) over
        the sum of the same over all sets of d at risk: the coefficient of x^d in the product of
        (1 + exp(score) x)^n over patterns, which is multiplied out with its derivatives.
        """
        base = super().evaluate(z, b, multiplier)
        g = np.ones(len(self.times)) if multiplier is None else multiplier
        eta = z @ b
        loglik, gradient = base.loglik, base.gradient.copy()
        information = base.information.copy()
        at_risk = self.later(self.leaving.toarray())
        for slot in np.flatnonzero(self.events > 1):
            d, n = int(self.events[slot]), at_risk[slot]
            here = n > 0
            log_sum, mean, variance = _subsets(eta[here], z[here], n[here], d)
            risk = n[here] * np.exp(eta[here] - eta[here].max())
            share = risk / risk.sum()
            breslow_mean = share @ z[here]
            centred = z[here] - breslow_mean
            loglik += d * (np.log(risk.sum()) + eta[here].max()) - log_sum
            # The observed part is that of Breslow's; only what the model expects differs.
            gradient += g[slot] * (d * breslow_mean - mean)
            information += g[slot] * (variance - d * (centred * share[:, None]).T @ centred)
        return replace(base, loglik=loglik, gradient=gradient, information=information)

    def middle_of_the_sandwich(self, z: Array, at: Curvature) -> Array:
        """Not known: the residuals of customers do not add up to the exact score.

        Parameters
        ----------
        z, at
            As for ``RiskSets``.

        Returns
        -------
        numpy.ndarray
            NaN.
        """
        return np.full((z.shape[1], z.shape[1]), np.nan)


def _subsets(eta: Array, z: Array, n: Array, d: int) -> tuple[float, Array, Array]:
    """Log of the sum over sets of d customers, and mean and variance of their summed covariates."""
    size = z.shape[1]
    shift = float(np.average(eta, weights=n))
    value = np.zeros(d + 1)
    value[0] = 1.0
    first, second = np.zeros((d + 1, size)), np.zeros((d + 1, size, size))
    log_scale = 0.0
    for own, x, count in zip(eta - shift, z, n, strict=True):
        k = np.arange(min(d, int(count)) + 1)
        choose = special.gammaln(count + 1) - special.gammaln(k + 1)
        terms = np.exp(choose - special.gammaln(count - k + 1) + k * own)
        new = np.zeros_like(value), np.zeros_like(first), np.zeros_like(second)
        for taken, term in zip(k, terms, strict=True):
            step, to = taken * x, slice(taken, d + 1)
            v, f, s = (part[: d + 1 - taken] for part in (value, first, second))
            cross = f[:, :, None] * step
            new[0][to] += term * v
            new[1][to] += term * (f + v[:, None] * step)
            square = v[:, None, None] * np.outer(step, step)
            new[2][to] += term * (s + cross + cross.transpose(0, 2, 1) + square)
        largest = new[0].max()
        value, first, second = (part / largest for part in new)
        log_scale += float(np.log(largest))
    mean = first[d] / value[d]
    variance = second[d] / value[d] - np.outer(mean, mean)
    return float(np.log(value[d])) + log_scale + d * shift, mean, variance


def exact_risk_sets(sets: RiskSets) -> ExactRiskSets:
    """The same risk sets with exact ties.

    Parameters
    ----------
    sets
        With Breslow's treatment of ties.

    Returns
    -------
    ExactRiskSets
        For the same customers.

    Raises
    ------
    CxError
        Where ties are too many to go through all sets.
    """
    tied = sets.events > 1
    patterns = (sets.later(sets.leaving.toarray())[tied] > 0).sum()
    most = sets.events.max(initial=0)
    if most > _MOST_TIED or patterns > _MOST_STEPS:
        raise CxError(
            f"ties='exact' would go through {patterns:,.0f} patterns at tied times with up to "
            f"{most:,.0f} events at once, and the most are {_MOST_STEPS:,} and {_MOST_TIED}; take "
            "ties='efron', which is close, or fit_discrete_hazard(link='logit'), which is the same "
            "model for periods"
        )
    own = {field.name: getattr(sets, field.name) for field in fields(RiskSets)}
    return ExactRiskSets(**own)
