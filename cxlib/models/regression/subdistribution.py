"""Weights of Fine and Gray: who ended otherwise stays at risk as long as they might be seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cxlib.models.regression.likelihood import Curvature, RiskSets
from cxlib.models.regression.rows import Rows

__all__ = [
    "CENSORED",
    "ENDED",
    "OTHERWISE",
    "Censoring",
    "middle_of_stretches",
    "residuals_of_customers",
    "residuals_of_weights",
    "weighted_sets",
]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

CENSORED, ENDED, OTHERWISE = 0, 1, 2
"""Status of a row."""


@dataclass(frozen=True)
class Censoring:
    """Being censored: the times, how many then, of how many at risk, and G just before a time."""

    times: Array
    censored: Array
    at_risk: Array

    @classmethod
    def of(cls, rows: Rows, status: Ints, *, ends_first: bool) -> Censoring:
        """Counted from rows.

        Parameters
        ----------
        rows
            Customers.
        status
            Of each row.
        ends_first
            Whether an end comes before a censoring at the same time.

        Returns
        -------
        Censoring
            With one entry per time at which somebody was censored.
        """
        lost = status == CENSORED
        times = np.unique(rows.exit[lost])
        place = np.searchsorted(times, rows.exit)
        count = np.bincount(place[lost], rows.n[lost], len(times) + 1)[: len(times)]
        # At risk at a time are those whose exit is not before it.
        last = np.searchsorted(times, rows.exit, side="right")
        gone = np.cumsum(np.bincount(last, rows.n, len(times) + 1))[: len(times)]
        ended = ~lost & np.isin(rows.exit, times)
        tied = np.bincount(place[ended], rows.n[ended], len(times) + 1)[: len(times)]
        at_risk = rows.n.sum() - gone - tied * ends_first
        return cls(times, count.astype("float64"), at_risk)

    def stay_before(self, times: Array) -> Array:
        """Kaplan-Meier estimate of not being censored just before each time.

        Parameters
        ----------
        times
            Any.

        Returns
        -------
        numpy.ndarray
            One share per time.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.concatenate([[1.0], np.cumprod(1 - self.censored / self.at_risk)])
        return steps[np.searchsorted(self.times, times, side="left")]


def weighted_sets(sets: RiskSets, rows: Rows, status: Ints, stay: Censoring) -> RiskSets:
    """Risk sets in which those who ended otherwise stay with their weight.

    Parameters
    ----------
    sets
        Risk sets in which nobody stays.
    rows
        Customers.
    status
        Of each row.
    stay
        Being censored.

    Returns
    -------
    RiskSets
        The same times and ends.
    """
    at_risk = sets.later(sets.leaving.toarray())
    weight = np.concatenate([[0.0], stay.stay_before(sets.times[1:])])
    gone = status == OTHERWISE
    kept = rows.n[gone] / stay.stay_before(rows.exit[gone])
    shape = at_risk.shape
    # From the slot after the last one at which they were at risk.
    after = np.minimum(sets.last[gone] + 1, shape[0])
    begun = sparse.csr_array(
        (kept, (after, rows.pattern[gone])), shape=(shape[0] + 1, shape[1])
    ).toarray()
    at_risk = at_risk + weight[:, None] * np.cumsum(begun, axis=0)[: shape[0]]
    leaving = at_risk - np.vstack([at_risk[1:], np.zeros((1, shape[1]))])
    return replace(sets, leaving=sparse.csr_array(leaving))


def residuals_of_customers(
    sets: RiskSets, z: Array, at: Curvature, status: Ints, stay: Censoring
) -> Array:
    """Score residual of one customer of each row, over the whole weighted follow-up.

    Parameters
    ----------
    sets
        Risk sets of everybody, as ``weighted_sets`` gives.
    z
        Covariates of each pattern, centred.
    at
        The likelihood at the estimate.
    status
        Of each row.
    stay
        Being censored.

    Returns
    -------
    numpy.ndarray
        One row per row, one column per coefficient.
    """
    rows = sets.rows
    everyone = np.arange(len(rows.n))
    own = sets._residuals(everyone, z, at, np.cumsum(at.hazard), np.cumsum(at.hazard_mean, axis=0))
    hazard, mean = _after(sets, at, stay)
    gone = status == OTHERWISE
    x, risk = z[rows.pattern[gone]], at.risk[rows.pattern[gone], None]
    weight = risk / stay.stay_before(rows.exit[gone])[:, None]
    own[gone] -= weight * (x * hazard[sets.last[gone], None] - mean[sets.last[gone]])
    return own


def middle_of_stretches(
    sets: RiskSets, z: Array, at: Curvature, status: Ints, stay: Censoring
) -> Array:
    """Sum of squared score residuals of stretches of constant weight.

    Parameters
    ----------
    sets
        Risk sets of everybody, as ``weighted_sets`` gives.
    z
        Covariates of each pattern, centred.
    at
        The likelihood at the estimate.
    status
        Of each row.
    stay
        Being censored.

    Returns
    -------
    numpy.ndarray
        Coefficients by coefficients.
    """
    rows, gone = sets.rows, status == OTHERWISE
    everyone = np.arange(len(rows.n))
    own = sets._residuals(everyone, z, at, np.cumsum(at.hazard), np.cumsum(at.hazard_mean, axis=0))
    weight = np.concatenate([[np.nan], stay.stay_before(sets.times[1:])])
    at_exit = stay.stay_before(rows.exit[gone])
    x, risk, n = z[rows.pattern[gone]], at.risk[rows.pattern[gone]], rows.n[gone]
    middle = np.zeros((z.shape[1], z.shape[1]))
    for level in np.unique(weight[1:]):
        here = weight == level
        hazard, mean = at.hazard * here, at.hazard_mean * here[:, None]
        hazard, mean = hazard.sum() - np.cumsum(hazard), mean.sum(axis=0) - np.cumsum(mean, axis=0)
        last = sets.last[gone]
        part = -(risk * level / at_exit)[:, None] * (x * hazard[last, None] - mean[last])
        # Until the weight first falls a stretch goes on that began at the origin.
        first = at_exit == level
        own[np.flatnonzero(gone)[first]] += part[first]
        part[first] = 0.0
        middle += (part * n[:, None]).T @ part
    return middle + (own * rows.n[:, None]).T @ own


def _after(sets: RiskSets, at: Curvature, stay: Censoring) -> tuple[Array, Array]:
    """Weighted hazard, and its mean covariates, in the slots after each one."""
    weight = np.concatenate([[0.0], stay.stay_before(sets.times[1:])])
    hazard, mean = weight * at.hazard, weight[:, None] * at.hazard_mean
    return hazard.sum() - np.cumsum(hazard), mean.sum(axis=0) - np.cumsum(mean, axis=0)


def residuals_of_weights(
    sets: RiskSets, z: Array, at: Curvature, status: Ints, stay: Censoring
) -> Array:
    """What a customer adds to the score by the weights that its censoring helps to estimate.

    Parameters
    ----------
    sets
        Risk sets of everybody, as ``weighted_sets`` gives.
    z
        Covariates of each pattern, centred.
    at
        The likelihood at the estimate.
    status
        Of each row.
    stay
        Being censored.

    Returns
    -------
    numpy.ndarray
        One row per row, one column per coefficient.
    """
    rows, gone = sets.rows, status == OTHERWISE
    # Of those who had ended otherwise by each censoring time: their weights and covariates.
    share = rows.n[gone] * at.risk[rows.pattern[gone]] / stay.stay_before(rows.exit[gone])
    order = np.argsort(rows.exit[gone], kind="stable")
    sums = np.cumsum(
        np.column_stack([share, share[:, None] * z[rows.pattern[gone]]])[order], axis=0
    )
    sums = np.vstack([np.zeros((1, sums.shape[1])), sums])
    before = sums[np.searchsorted(rows.exit[gone][order], stay.times, side="left")]
    hazard, mean = _after(sets, at, stay)
    slot = np.searchsorted(sets.times, stay.times, side="left") - 1
    q = before[:, 1:] * hazard[slot, None] - before[:, :1] * mean[slot]
    per_person = q / stay.at_risk[:, None]
    spent = np.cumsum(per_person * (stay.censored / stay.at_risk)[:, None], axis=0)
    spent = np.vstack([np.zeros((1, q.shape[1])), spent])
    lost = status == CENSORED
    found = -spent[np.searchsorted(stay.times, rows.exit, side="right")]
    found[lost] += per_person[np.searchsorted(stay.times, rows.exit[lost])]
    return found
