"""Outcomes with their predictions, checked to be later than the data of the fit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.models.prediction.survivals import SurvivalModel, grid_of, patterns_of
from cxlib.spans import parse_moment

__all__ = ["Outcomes", "read_outcomes"]

Array = NDArray[Any]

_AS_OF = "as_of"


@dataclass(frozen=True)
class Outcomes:
    """Customers with their predictions, and what became of them."""

    survival: Array
    duration: Array
    event: NDArray[np.bool_]
    n: Array
    times: Array
    unit: str

    def only(self, here: NDArray[np.bool_]) -> Outcomes:
        """Some of the customers."""
        return Outcomes(
            self.survival[here], self.duration[here], self.event[here], self.n[here],
            self.times, self.unit,
        )  # fmt: skip

    def weights(self, time: float) -> tuple[Array, Array]:
        """One over the chance that each outcome is known at a time, and whether it was an end."""
        ended = self.event & (self.duration <= time)
        stayed = self.duration > time
        # An end on the last time that was seen comes before the censoring there.
        stayed |= ~self.event & (self.duration == time)
        uncensored = self.uncensored_before(np.minimum(self.duration, time))
        return np.where(ended | stayed, 1 / uncensored, 0.0), ended.astype("float64")

    def uncensored_before(self, times: Array) -> Array:
        """Kaplan-Meier estimate of not being censored before each time."""
        stops = np.unique(self.duration[~self.event])
        at_risk, stopped = np.zeros(len(stops)), np.zeros(len(stops))
        for k, stop in enumerate(stops):
            here = ~self.event & (self.duration == stop)
            # Who ended at the time of a censoring ended before it.
            stopped[k] = self.n[here].sum()
            at_risk[k] = self.n[(self.duration > stop) | here].sum()
        stay = np.concatenate([[1.0], np.cumprod(1 - stopped / at_risk)])
        return stay[np.searchsorted(stops, times, side="left")]

    def concordance(self, risk: Array, time: float) -> float:
        """Uno's concordance of predicted risks with the order of ends up to a time."""
        values, place = np.unique(risk.round(12), return_inverse=True)
        right = total = 0.0
        for end in np.unique(self.duration[self.event & (self.duration <= time)]):
            ended = self.event & (self.duration == end)
            # Two who end at the same time are not compared.
            longer = (self.duration >= end) & ~ended
            stay = np.bincount(place[longer], self.n[longer], len(values))
            lower = np.cumsum(stay) - stay / 2
            weight = float(self.uncensored_before(np.array([end]))[0]) ** -2
            right += weight * float(self.n[ended] @ lower[place[ended]])
            total += weight * float(self.n[ended].sum() * stay.sum())
        return right / total if total else np.nan

    def _ends(self, time: float) -> tuple[Array, Array]:
        ends = np.unique(self.duration[self.event & (self.duration <= time)])
        gone = [self.n[self.event & (self.duration == end)].sum() for end in ends]
        return np.array(gone), np.array([self.n[self.duration >= end].sum() for end in ends])

    def stay(self, time: float) -> float:
        """Kaplan-Meier estimate of having stayed longer than a time."""
        gone, at_risk = self._ends(time)
        return float(np.prod(1 - gone / at_risk))

    def observed(self, time: float, confidence: float) -> tuple[float, float, float]:
        """Share that ended by a time, and its log-log interval."""
        gone, at_risk = self._ends(time)
        stay = float(np.prod(1 - gone / at_risk))
        if not 0 < stay < 1:
            return 1 - stay, np.nan, np.nan
        error = np.sqrt((gone / (at_risk * (at_risk - gone))).sum()) / abs(np.log(stay))
        reach = np.exp(special.ndtri(0.5 + confidence / 2) * error)
        return 1 - stay, 1 - stay ** (1 / reach), 1 - stay**reach


def read_outcomes(
    model: SurvivalModel,
    outcomes: pd.DataFrame,
    times: Sequence[float],
    fitted_until: str | date | datetime | None,
    in_sample: bool,
) -> Outcomes:
    """Predictions and outcomes of customers, by time from the cut.

    Parameters
    ----------
    model, outcomes, times, fitted_until, in_sample
        As for ``validate_survival``.

    Returns
    -------
    Outcomes
        Counted by prediction.

    Raises
    ------
    CxError
        As for ``validate_survival``.
    """
    _check_split(outcomes, fitted_until, in_sample)
    names = [str(name) for name in outcomes.columns if str(name).startswith("duration_")]
    if len(names) != 1:
        raise CxError(f"the outcomes need one column 'duration_<unit>' and have {names or 'none'}")
    unit = names[0].removeprefix("duration_")
    for name in (f"age_{unit}", "event"):
        if name not in outcomes.columns:
            raise unknown_name("column", name, outcomes.columns, "in the outcomes")
    needed = [names[0], f"age_{unit}", "event", *model.covariate_columns]
    if missing := int(outcomes.reindex(columns=needed).isna().any(axis=1).sum()):
        raise CxError(f"{missing:,} rows of the outcomes miss a column or a value; drop them first")
    at = np.unique(np.asarray(times, dtype="float64"))
    if not len(at) or not np.isfinite(at).all() or at[0] <= 0:
        raise CxError(f"times={list(times)} must be numbers above 0, from the cut on")
    longest = float(outcomes[names[0]].max())
    if at[-1] > longest:
        raise CxError(
            f"nobody was followed for {at[-1]:g} {unit} after the cut, and the longest is "
            f"{longest:g}; ask for earlier times, or take an earlier cut"
        )
    frame = _reliable(model, outcomes, unit, float(at[-1]))
    place, patterns = patterns_of(model, frame)
    counted = pd.DataFrame(
        {
            "place": place,
            "age": frame[f"age_{unit}"].to_numpy("float64"),
            "duration": frame[names[0]].to_numpy("float64"),
            "event": frame["event"].to_numpy("bool"),
            "n": frame["n"].to_numpy("float64") if "n" in frame else 1.0,
        }
    )
    counted = counted.groupby(["place", "age", "duration", "event"], as_index=False).agg(
        {"n": "sum"}
    )
    age, place = counted["age"].to_numpy(), counted["place"].to_numpy()
    moments = np.unique(np.concatenate([age, *[age + time for time in at]]))
    grid = grid_of(model, patterns, moments)
    start = grid[place, np.searchsorted(moments, age)]
    found = [grid[place, np.searchsorted(moments, age + time)] / start for time in at]
    return Outcomes(
        np.stack(found, axis=1),
        counted["duration"].to_numpy(),
        counted["event"].to_numpy(),
        counted["n"].to_numpy(),
        at,
        unit,
    )


def _check_split(
    outcomes: pd.DataFrame, fitted_until: str | date | datetime | None, in_sample: bool
) -> None:
    if in_sample:
        if fitted_until is not None:
            raise CxError("in_sample=True and fitted_until= exclude each other; give one of them")
        return
    if fitted_until is None:
        raise CxError(
            "a model looks better on the data that it was fitted on than it is: say until when "
            "they went with fitted_until=, and give the outcomes of later (followed_after); or say "
            "in_sample=True, which names the result so"
        )
    if _AS_OF not in outcomes.columns:
        raise CxError(
            "the outcomes have no column 'as_of', so that nothing says that they are later than "
            "the data of the fit; take followed_after, or say in_sample=True"
        )
    until, first = parse_moment(fitted_until), outcomes[_AS_OF].min()
    if until > first:
        raise CxError(
            f"the model was fitted on data until {until.isoformat()}, and the outcomes begin at "
            f"{first.isoformat()}: in part they are the data of the fit; fit with "
            f"observed_until='{first.date().isoformat()}', or take a later cut"
        )


def _reliable(
    model: SurvivalModel, outcomes: pd.DataFrame, unit: str, longest: float
) -> pd.DataFrame:
    past = outcomes[f"age_{unit}"] + longest > model.reliable_until
    n = outcomes["n"] if "n" in outcomes else pd.Series(1, index=outcomes.index)
    if past.all():
        raise CxError(
            f"{longest:g} {unit} after every age lies beyond {model.reliable_until:g}, the last "
            "reliable time of the model; ask for earlier times, or fit on a longer past"
        )
    if past.any():
        warnings.warn(
            f"{n[past].sum():,} of {n.sum():,} customers are left out: {longest:g} {unit} after "
            f"their age lies beyond {model.reliable_until:g}, the last reliable time of the model",
            CxWarning,
            stacklevel=4,
        )
    return outcomes[~past]
