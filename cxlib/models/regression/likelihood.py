"""The partial likelihood of counted customers: its value, slope, curvature and residuals.

Everything is a sum over *slots*: the distinct event times of each stratum, after one empty slot
that stands for "before the first event". Customers enter by how many of each covariate pattern
are last at risk, or last not yet at risk, in each slot, so that the work per step of a fit does
not depend on how many customers there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cxlib.models.regression.rows import Rows
from cxlib.models.regression.ties import tied_sums

__all__ = ["Curvature", "RiskSets", "risk_sets"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK = 500_000
"""Rows whose residuals are held at once."""


@dataclass(frozen=True)
class Curvature:
    """The likelihood at one set of coefficients, with what residuals and the baseline need.

    ``hazard`` is the increment of the baseline's cumulative hazard in each slot, ``hazard_mean``
    that times the covariates' mean, ``hazard_variance`` its variance given the coefficients;
    ``tied_hazard`` and ``tied_mean`` are the part that events of that slot escape, ``event_mean``
    the covariates that the model expects of an event.
    """

    loglik: float
    gradient: Array
    information: Array
    risk: Array
    hazard: Array
    hazard_mean: Array
    hazard_variance: Array
    tied_hazard: Array
    tied_mean: Array
    event_mean: Array


@dataclass(frozen=True)
class RiskSets:
    """Who is at risk, and who ends, in each slot.

    ``leaving`` counts, by slot and pattern, customers who are last at risk there less those who
    are last not yet at risk there; ``ending`` the events.
    """

    rows: Rows
    times: Array
    starts: Ints
    last: Ints
    before: Ints
    leaving: sparse.csr_array
    ending: sparse.csr_array
    efron: bool

    @property
    def events(self) -> Array:
        """Events in each slot."""
        return np.asarray(self.ending.sum(axis=1), dtype="float64")

    @property
    def at_risk(self) -> Array:
        """Customers at risk in each slot."""
        return self.later(np.asarray(self.leaving.sum(axis=1), dtype="float64"))

    def segments(self) -> Iterator[slice]:
        """Slots of each stratum."""
        ends = [*self.starts[1:], len(self.times)]
        return (slice(start, end) for start, end in zip(self.starts, ends, strict=True))

    def so_far(self, values: Array) -> Array:
        """Sum over the slots up to each, within its stratum.

        Parameters
        ----------
        values
            One element or row per slot.

        Returns
        -------
        numpy.ndarray
            As ``values``.
        """
        return np.concatenate([np.cumsum(values[part], axis=0) for part in self.segments()])

    def later(self, values: Array) -> Array:
        """Sum over the slots from each on, within its stratum.

        Parameters
        ----------
        values
            One element or row per slot.

        Returns
        -------
        numpy.ndarray
            As ``values``; 0 in the empty slots.
        """
        parts = [np.cumsum(values[part][::-1], axis=0)[::-1] for part in self.segments()]
        sums = np.concatenate(parts)
        sums[self.starts] = 0
        return sums

    def evaluate(self, z: Array, b: Array, multiplier: Array | None = None) -> Curvature:
        """Likelihood, gradient, information and the pieces of residuals.

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
        With d events of summed risk D0 and means m among S0 and M at risk, and a = d S0 / D0, the
        k-th of the tied events expects m + (M - m) a / (a - k) (Efron). Breslow's method is the
        same with the sums of a / (a - k) and of its square both replaced by d.
        """
        eta = z @ b
        with np.errstate(over="ignore"):
            risk = np.exp(eta)
        d = self.events
        some = d > 0
        s0, s1 = self._sums(self.later, self.leaving, risk, z, some)
        d0, d1 = self._sums(np.asarray, self.ending, risk, z, some)
        # Rounding may leave a risk set that is all events a little short of them.
        a = np.maximum(d * s0 / d0, d)
        if self.efron:
            logs, first, second = tied_sums(a, d)
            logs = logs + d * np.log(d0 / np.maximum(d, 1))
            first, second = a * first, a**2 * second
        else:
            logs, first, second = d * np.log(s0), d, d
        ended = d1 / d0[:, None]
        gap = s1 / s0[:, None] - ended
        g = np.ones(len(d)) if multiplier is None else multiplier
        hazard, escaped = first / s0, (first - d) / d0
        expected = d[:, None] * ended + first[:, None] * gap
        seen = self.ending.T @ g
        q = risk * (self.leaving.T @ self.so_far(g * hazard) - self.ending.T @ (g * escaped))
        cross = (ended * (g * first)[:, None]).T @ gap
        squares = (ended * (g * d)[:, None]).T @ ended + (gap * (g * second)[:, None]).T @ gap
        return Curvature(
            loglik=float((self.ending.sum(axis=0) * eta).sum() - logs.sum()),
            gradient=z.T @ seen - g @ expected,
            information=(z * q[:, None]).T @ z - squares - cross - cross.T,
            risk=risk,
            hazard=hazard,
            hazard_mean=(first[:, None] * ended + second[:, None] * gap) / s0[:, None],
            hazard_variance=second / s0**2,
            tied_hazard=escaped,
            tied_mean=((first - d)[:, None] * ended + (second - first)[:, None] * gap)
            / d0[:, None],
            event_mean=expected / np.maximum(d, 1)[:, None],
        )

    def _sums(self, cumulate, counts, risk: Array, z: Array, some: NDArray[np.bool_]):  # type: ignore[no-untyped-def]
        zeroth, first = cumulate(counts @ risk), cumulate(counts @ (risk[:, None] * z))
        return np.where(some, zeroth, 1.0), np.where(some[:, None], first, 0.0)

    def middle_of_the_sandwich(self, z: Array, at: Curvature) -> Array:
        """Sum of the squared score residuals of customers, or of clusters.

        Parameters
        ----------
        z
            Covariates of each pattern.
        at
            The likelihood at the estimate.

        Returns
        -------
        numpy.ndarray
            Coefficients by coefficients. A row that counts k customers adds k squares, unless
            clusters are given: then the residuals of a cluster are summed before they are squared.
        """
        rows, size = self.rows, z.shape[1]
        hazard, mean = self.so_far(at.hazard), self.so_far(at.hazard_mean)
        total = np.zeros((size, size))
        if rows.cluster is None:
            order, edges = np.arange(len(rows.n)), np.arange(0, len(rows.n), _CHUNK)
        else:
            order = np.argsort(rows.cluster, kind="stable")
            first = np.flatnonzero(np.diff(rows.cluster[order], prepend=-1))
            wanted = np.arange(0, len(order), _CHUNK)
            # Whole clusters: the last one that begins at or before each wanted place.
            edges = np.unique(first[np.searchsorted(first, wanted, side="right") - 1])
        for start, end in zip(edges, [*edges[1:], len(order)], strict=True):
            part = order[start:end]
            residuals = self._residuals(part, z, at, hazard, mean)
            if rows.cluster is None:
                total += (residuals * rows.n[part, None]).T @ residuals
            else:
                begins = np.flatnonzero(np.diff(rows.cluster[part], prepend=-1))
                sums = np.add.reduceat(residuals * rows.n[part, None], begins, axis=0)
                total += sums.T @ sums
        return total

    def _residuals(self, part: Ints, z: Array, at: Curvature, hazard: Array, mean: Array) -> Array:
        """Score residual of one customer of each row."""
        rows, last, before = self.rows, self.last[part], self.before[part]
        x, risk = z[rows.pattern[part]], at.risk[rows.pattern[part], None]
        spent = x * (hazard[last] - hazard[before])[:, None] - (mean[last] - mean[before])
        escaped = x * at.tied_hazard[last][:, None] - at.tied_mean[last]
        ended = rows.event[part, None]
        return np.where(ended, x - at.event_mean[last] + risk * escaped, 0.0) - risk * spent


def risk_sets(rows: Rows, *, efron: bool) -> RiskSets:
    """Slots of the event times, and who is at risk in them.

    Parameters
    ----------
    rows
        Counted customers.
    efron
        Efron's treatment of ties; Breslow's otherwise.

    Returns
    -------
    RiskSets
        At risk at t are those with entry < t <= exit.
    """
    last, before = np.zeros(len(rows.n), "int64"), np.zeros(len(rows.n), "int64")
    order = np.argsort(rows.stratum, kind="stable")
    edges = np.searchsorted(rows.stratum[order], np.arange(len(rows.strata) + 1))
    times: list[Array] = []
    starts, size = [], 0
    for start, end in pairwise(edges):
        part = order[start:end]
        own = np.unique(rows.exit[part][rows.event[part]])
        last[part] = size + np.searchsorted(own, rows.exit[part], side="right")
        before[part] = size + np.searchsorted(own, rows.entry[part], side="right")
        starts.append(size)
        times += [np.array([-np.inf]), own]
        size += len(own) + 1
    shape = size, len(rows.patterns)
    ones = sparse.csr_array((rows.n, (last, rows.pattern)), shape=shape)
    late = sparse.csr_array((rows.n, (before, rows.pattern)), shape=shape)
    ended = rows.event
    ending = sparse.csr_array((rows.n[ended], (last[ended], rows.pattern[ended])), shape=shape)
    return RiskSets(
        rows=rows,
        times=np.concatenate(times),
        starts=np.array(starts),
        last=last,
        before=before,
        leaving=(ones - late).tocsr(),
        ending=ending,
        efron=efron,
    )
