"""How well predictions order customers: pairs counted on the grid of times and scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.models.regression.rows import Rows

__all__ = ["concordance_of"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_CELLS = 4_000_000
"""Cells of the grid that are held at once."""


def concordance_of(
    rows: Rows,
    eta: Array,
    confidence: float,
    weighting: str = "harrell",
    until: float | None = None,
) -> pd.DataFrame:
    """Concordance with its jackknife error.

    Parameters
    ----------
    rows
        Counted customers.
    eta
        Score of each covariate pattern; a higher one predicts an earlier end.
    confidence
        Coverage of the interval.
    weighting
        "harrell": every pair counts once; "uno": as often as pairs that were lost by censoring.
    until
        Count events before this time only; None: all.

    Returns
    -------
    pandas.DataFrame
        One row: ``concordance, standard_error, lower, upper, concordant, discordant, tied``.

    Raises
    ------
    CxError
        For an unknown weighting, and where no pair is left.
    """
    if weighting not in ("harrell", "uno"):
        raise unknown_name("weighting", weighting, ["harrell", "uno"])
    # Two patterns whose scores are equal but for rounding predict the same.
    score = np.unique(eta.round(12), return_inverse=True)[1]
    pairs = np.zeros((len(rows.n), 3))
    for code in range(len(rows.strata)):
        here = np.flatnonzero(rows.stratum == code)
        own, place = np.unique(score[rows.pattern[here]], return_inverse=True)
        grid = _Grid.of(rows, here, place, len(own), weighting == "uno", until)
        pairs[here] += grid.pairs_of_rows()
    total = (pairs * rows.n[:, None]).sum(axis=0) / 2
    count = total.sum()
    if until is not None and not count:
        raise CxError(f"no two customers can be compared until {until:g}; give a later time")
    value = (total[0] + total[2] / 2) / count if count else np.nan
    influence = (pairs[:, 0] + pairs[:, 2] / 2 - value * pairs.sum(axis=1)) / max(count, 1)
    if rows.cluster is None:
        variance = float((rows.n * influence**2).sum())
    else:
        variance = float((np.bincount(rows.cluster, rows.n * influence) ** 2).sum())
    error = np.sqrt(variance)
    width = special.ndtri(0.5 + confidence / 2) * error
    return pd.DataFrame(
        {
            "concordance": [value],
            "standard_error": [error],
            "lower": [max(value - width, 0.0)],
            "upper": [min(value + width, 1.0)],
            "concordant": [total[0]],
            "discordant": [total[1]],
            "tied": [total[2]],
        }
    )


@dataclass(frozen=True)
class _Grid:
    """Customers of one stratum on the grid of event times (from 1) and scores.

    A row is compared with the events of the times after ``before`` up to ``last``: those at which
    it was at risk and did not end itself.
    """

    score: Ints
    last: Ints
    before: Ints
    time: Ints
    event: NDArray[np.bool_]
    n: Array
    weight: Array
    times: int
    scores: int

    @classmethod
    def of(
        cls, rows: Rows, here: Ints, score: Ints, scores: int, uno: bool, until: float | None
    ) -> _Grid:
        exits, event = rows.exit[here], rows.event[here]
        times = np.unique(exits[event])
        time = np.searchsorted(times, exits, side="right")
        before = np.searchsorted(times, rows.entry[here], side="right")
        # Two who end at the same time are not compared.
        last = np.maximum(time - event, before)
        counted = np.full(len(times), True) if until is None else times < until
        weight = counted.astype("float64")
        if uno:
            weight[counted] = _uncensored(rows, here, times[counted]) ** -2.0
        return cls(score, last, before, time, event, rows.n[here], weight, len(times), scores)

    def pairs_of_rows(self) -> Array:
        """Pairs that one customer of each row is in: concordant, discordant, tied."""
        found = np.zeros((len(self.n), 3))
        # At risk at the first time, and events so far with a higher, a lower and the same score.
        from_start = self.n * ((self.before == 0) & (self.last > 0))
        at_risk = np.bincount(self.score, from_start, self.scores)
        ended = np.zeros((3, self.scores))
        for first, size in self._blocks():
            stayed = self._counts(self.before, first, size) - self._counts(self.last, first, size)
            level = at_risk + np.cumsum(stayed, axis=0) - stayed
            at_risk = at_risk + stayed.sum(axis=0)
            inside = self.event & (self.time >= first) & (self.time < first + size)
            cell = self.time[inside] - first, self.score[inside]
            own = self.weight[self.time[inside] - 1]
            found[inside] += np.stack(_compared(level, cell), axis=1) * own[:, None]
            ends = self._counts(self.time, first, size, self.n * self.event)
            ends = ends * self.weight[first - 1 : first - 1 + size, None]
            higher = [
                ends[:, ::-1].cumsum(axis=1)[:, ::-1] - ends,
                ends.cumsum(axis=1) - ends,
                ends,
            ]
            for kind, values in enumerate(higher):
                running = ended[kind] + np.cumsum(values, axis=0)
                for sign, edge in ((1, self.last), (-1, self.before)):
                    at = (edge >= first) & (edge < first + size)
                    found[at, kind] += sign * running[edge[at] - first, self.score[at]]
                ended[kind] = running[-1]
        return found

    def _blocks(self) -> Iterator[tuple[int, int]]:
        size = max(1, _CELLS // max(self.scores, 1))
        for first in range(1, self.times + 1, size):
            yield first, min(size, self.times + 1 - first)

    def _counts(self, place: Ints, first: int, size: int, n: Array | None = None) -> Array:
        weights = self.n if n is None else n
        at = (place >= first) & (place < first + size)
        cell = (place[at] - first) * self.scores + self.score[at]
        counts = np.bincount(cell, weights[at], size * self.scores).astype("float64")
        return counts.reshape(size, self.scores)


def _uncensored(rows: Rows, here: Ints, times: Array) -> Array:
    """Kaplan-Meier estimate of not being censored before each time, within a stratum."""
    entry, exits, event, n = rows.entry[here], rows.exit[here], rows.event[here], rows.n[here]
    stops = np.unique(exits[~event])
    # An event comes before a censoring at the same time: who ended there is not at risk of one.
    place = np.searchsorted(stops, exits, side="right")
    left = place - (event & np.isin(exits, stops))
    size = len(stops) + 1
    gone = np.bincount(left, n, size)[::-1].cumsum()[::-1]
    late = np.bincount(np.searchsorted(stops, entry, side="right"), n, size)[::-1].cumsum()[::-1]
    at_risk = (gone - late)[1:]
    stopped = np.bincount(place[~event], n[~event], size)[1:]
    stay = np.concatenate([[1.0], np.cumprod(1 - stopped / at_risk)])
    found = stay[np.searchsorted(stops, times, side="left")]
    if (found <= 0).any():
        raise CxError(
            f"all at risk were censored before {times[found <= 0][0]:g} and others entered later, "
            "so that Uno's weights are not known; give an earlier until="
        )
    return found


def _compared(level: Array, cell: tuple[Ints, Ints]) -> tuple[Array, Array, Array]:
    """Those at risk with a lower, a higher and the same score, in some cells of the grid."""
    below = np.cumsum(level, axis=1) - level
    total = level.sum(axis=1)
    tied, lower = level[cell], below[cell]
    return lower, total[cell[0]] - lower - tied, tied
