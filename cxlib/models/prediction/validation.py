"""How good predictions are, on what happened after the data of the fit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.intervals import check_confidence
from cxlib.journeys.log import as_list
from cxlib.journeys.prepare import microseconds_between
from cxlib.models.prediction.smoothing import smoothed
from cxlib.models.prediction.survivals import SurvivalModel, grid_of, patterns_of
from cxlib.spans import parse_moment

__all__ = ["calibration", "followed_after", "validate_survival"]

Array = NDArray[Any]

_UNITS = {"hours": timedelta(hours=1), "days": timedelta(days=1), "weeks": timedelta(weeks=1)}
_AS_OF = "as_of"


class SpellTable(Protocol):
    """What ``spells`` gives, as far as it is needed here."""

    @property
    def table(self) -> ir.Table:
        """One row per spell."""

    @property
    def observed_until(self) -> datetime:
        """The cut-off."""


def followed_after(
    spells: SpellTable,
    cut: str | date | datetime,
    *,
    columns: str | Sequence[str] = (),
    unit: str = "days",
) -> pd.DataFrame:
    """Customers who were there on a date, counted, with what happened to them after it.

    Parameters
    ----------
    spells
        Spells up to the end of the log, as ``spells`` gives.
    cut
        The date on which a prediction would have been made.
    columns
        Covariates of the spells.
    unit
        "hours", "days" or "weeks".

    Returns
    -------
    pandas.DataFrame
        One row per pattern and outcome: the columns, ``age_<unit>`` int64 (whole units from the
        origin to the cut), ``duration_<unit>`` int64 (from the cut to the end or the last whole
        unit seen), ``event`` bool, ``n`` int64 and ``as_of`` (the cut).

    Raises
    ------
    CxError
        For unknown columns or units, a cut at or after the end of the log, and where nobody was
        there.

    Notes
    -----
    Fit on what was known at the cut: ``spells(log, ..., observed_until=cut)``. As in
    ``spell_counts``, an end in the k-th unit after the cut has the duration k, and a censored time
    is rounded down.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"],
    ...      "touchpoint": ["joined", "left", "joined", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-01-21", "2024-01-05", "2024-01-28"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start=None)
    >>> followed_after(found, "2024-01-11").drop(columns="as_of")
       age_days  duration_days  event  n
    0         6             20  False  1
    1        10             10   True  1
    """
    if unit not in _UNITS:
        raise unknown_name("unit", unit, _UNITS)
    at, keys = parse_moment(cut), as_list(columns)
    if at >= spells.observed_until:
        raise CxError(
            f"the cut {at.isoformat()} is not before observed_until "
            f"{spells.observed_until.isoformat()}, so that nothing happened after it"
        )
    table = spells.table
    for name in keys:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "in the spells")
    moment = ibis.literal(at, type="timestamp")
    size = _UNITS[unit] // timedelta(microseconds=1)
    # < and not <=: who ended on the cut was gone, as an event comes before an entry.
    there = table.filter((table.entered_at <= moment) & (table.exited_at > moment))

    def units(later: ir.TimestampValue, earlier: ir.TimestampValue, up: int = 0) -> ir.IntegerValue:
        return ((microseconds_between(later, earlier) + up) / size).floor().cast("int64")

    seen = units(ibis.literal(spells.observed_until, type="timestamp"), moment)
    ended = units(there.exited_at, moment, size - 1)
    event = there.event & (ended <= seen)
    stopped = ibis.least(units(there.exited_at, moment), seen)
    found = there.select(
        *keys,
        _age=units(moment, there.origin),
        _duration=ibis.ifelse(event, ended, stopped),
        event=event,
    )
    order = [*keys, "_age", "_duration", "event"]
    frame = found.group_by(order).aggregate(n=found.count()).to_pandas()
    if not len(frame):
        raise CxError(f"nobody was there on {at.isoformat()}; give another cut")
    frame = frame.sort_values(order, ignore_index=True).astype({"event": "bool", "n": "int64"})
    frame[_AS_OF] = pd.Timestamp(at)
    return frame.rename(columns={"_age": f"age_{unit}", "_duration": f"duration_{unit}"})


def validate_survival(
    model: SurvivalModel,
    outcomes: pd.DataFrame,
    *,
    times: Sequence[float],
    fitted_until: str | date | datetime | None = None,
    in_sample: bool = False,
) -> pd.DataFrame:
    """How close predicted survival came to what happened, by time from the prediction.

    Parameters
    ----------
    model
        What ``fit_cox``, ``fit_discrete_hazard`` or ``fit_aft`` gives.
    outcomes
        What ``followed_after`` gives, in the unit of the model's duration.
    times
        Times from the cut.
    fitted_until
        The end of the data that the model was fitted on; not after the cut.
    in_sample
        Say that the model was fitted on these very customers and times. The result is then a
        description of the fit, and is named so; it is no validation.

    Returns
    -------
    pandas.DataFrame
        One row per time: the time as ``ahead_<unit>``, ``sample`` ("later" or "in-sample"), ``n``
        and ``events`` int64 (by then), ``predicted`` and ``observed`` float64 (share ended by
        then), ``brier``, ``brier_null`` (of the observed share for everybody), ``skill`` (1 -
        their ratio), ``integrated_brier`` (mean of ``brier`` from the first time to this one, NaN
        at the first), ``concordance`` (Uno's: how often, of two customers, the one who ended first,
        by then, had the higher predicted risk), ``ici``, ``e50`` and ``e90`` (mean, median and
        90th percentile of the distance between predicted and calibrated risk).

    Raises
    ------
    CxError
        When outcomes have no cut or lie before the end of the data of the fit, unless
        ``in_sample``; for times at which nobody was followed any more; for missing columns.

    Warns
    -----
    CxWarning
        When customers are left out because their age and the longest time go beyond the last
        reliable time of the model.

    Notes
    -----
    The prediction for a customer of an age is S(age + t) / S(age). The Brier score weighs those
    whose outcome at t is known by one over the chance not to have been censored before (IPCW,
    Graf), from the Kaplan-Meier estimate of censoring among all, which assumes that censoring does
    not depend on the covariates. ``observed`` is Kaplan-Meier's. The calibrated risk is a weighted
    logistic regression of the outcome on a restricted cubic spline of the predicted one.

    Pairs of the concordance weigh one over the square of that chance; equal predictions count half.

    References
    ----------
    Graf, Schmoor, Sauerbrei and Schumacher (1999), Statistics in Medicine 18, 2529-2545. Uno et al.
    (2011), Statistics in Medicine 30, 1105-1117. Austin, Harrell and van Klaveren (2020),
    Statistics in Medicine 39, 2714-2742.

    Examples
    --------
    >>> from cxlib import fit_discrete_hazard
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_days": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> model = fit_discrete_hazard(
    ...     table, duration="duration_days", event="event", covariates=["plan"])
    >>> outcomes = table.assign(age_days=0, as_of=pd.Timestamp("2024-03-01"))
    >>> validate_survival(model, outcomes, times=[1, 2], fitted_until="2024-03-01")[
    ...     ["ahead_days", "predicted", "observed", "brier", "skill"]].round(3)
       ahead_days  predicted  observed  brier  skill
    0         1.0      0.251     0.250  0.182   0.03
    1         2.0      0.476     0.475  0.242   0.03
    """
    own = _read(model, outcomes, times, fitted_until, in_sample)
    rows = []
    for j, time in enumerate(own.times):
        risk = 1 - own.survival[:, j]
        weight, ended = own.weights(time)
        total = own.n.sum()
        seen = float(1 - own.stay(time))
        brier = float((own.n * weight * (ended - risk) ** 2).sum() / total)
        null = float((own.n * weight * (ended - seen) ** 2).sum() / total)
        distance = np.abs(smoothed(risk, ended, own.n * weight) - risk)
        rows.append(
            {
                f"ahead_{own.unit}": time,
                "sample": "in-sample" if in_sample else "later",
                "n": int(total),
                "events": int((own.n * ended).sum()),
                "predicted": float(np.average(risk, weights=own.n)),
                "observed": seen,
                "brier": brier,
                "brier_null": null,
                "skill": 1 - brier / null if null > 0 else np.nan,
                "concordance": own.concordance(risk, time),
                "ici": float(np.average(distance, weights=own.n)),
                "e50": _quantile(distance, own.n, 0.5),
                "e90": _quantile(distance, own.n, 0.9),
            }
        )
    frame = pd.DataFrame(rows)
    at, scores = own.times, frame["brier"].to_numpy()
    areas = np.concatenate([[0.0], np.cumsum(np.diff(at) * (scores[1:] + scores[:-1]) / 2)])
    with np.errstate(invalid="ignore"):
        frame.insert(9, "integrated_brier", areas / (at - at[0]))
    return frame


def calibration(
    model: SurvivalModel,
    outcomes: pd.DataFrame,
    *,
    at: float,
    fitted_until: str | date | datetime | None = None,
    in_sample: bool = False,
    groups: int = 10,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Predicted and observed risk, by groups of customers with about the same prediction.

    Parameters
    ----------
    model, outcomes, fitted_until, in_sample
        As for ``validate_survival``.
    at
        Time from the cut.
    groups
        How many, of about equal size; fewer where predictions are few.
    confidence
        Coverage of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per group, from the lowest risk: ``group`` int64, ``sample``, ``n`` int64,
        ``events`` int64 (by then), ``predicted`` float64 (mean risk), ``observed`` float64
        (Kaplan-Meier) with ``lower`` and ``upper`` (log-log), and ``calibrated`` (mean of the
        smoothed risk).

    Raises
    ------
    CxError
        As for ``validate_survival``; for fewer than 2 groups.

    Warns
    -----
    CxWarning
        As for ``validate_survival``.

    References
    ----------
    Austin, Harrell and van Klaveren (2020), Statistics in Medicine 39, 2714-2742.

    Examples
    --------
    >>> from cxlib import fit_discrete_hazard
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "pro", "pro"], "duration_days": [1, 2, 1, 2],
    ...     "event": [True, False, True, False], "n": [40, 60, 10, 45],
    ... })
    >>> model = fit_discrete_hazard(
    ...     table, duration="duration_days", event="event", covariates=["plan"])
    >>> outcomes = table.assign(age_days=0, as_of=pd.Timestamp("2024-03-01"))
    >>> calibration(model, outcomes, at=1, fitted_until="2024-03-01", groups=2)[
    ...     ["group", "n", "predicted", "observed", "lower", "upper"]].round(2)
       group    n  predicted  observed  lower  upper
    0      1   55       0.18      0.18   0.10   0.31
    1      2  100       0.40      0.40   0.31   0.50
    """
    check_confidence(confidence)
    if groups < 2:
        raise CxError(f"groups={groups} must be 2 or more; validate_survival takes all as one")
    own = _read(model, outcomes, [at], fitted_until, in_sample)
    risk = 1 - own.survival[:, 0]
    weight, ended = own.weights(at)
    curve = smoothed(risk, ended, own.n * weight)
    # Equal predictions stay together, wherever the middle of their customers falls.
    place = np.unique(risk.round(12), return_inverse=True)[1]
    n = np.bincount(place, own.n)
    middle = (np.cumsum(n) - n / 2) / n.sum()
    group = np.unique(np.floor(middle * groups), return_inverse=True)[1][place]
    rows = []
    for code in range(int(group.max()) + 1):
        here = group == code
        part = own.only(here)
        seen, lower, upper = part.observed(at, confidence)
        rows.append(
            {
                "group": code + 1,
                "sample": "in-sample" if in_sample else "later",
                "n": int(part.n.sum()),
                "events": int((part.n * ended[here]).sum()),
                "predicted": float(np.average(risk[here], weights=part.n)),
                "observed": seen,
                "lower": lower,
                "upper": upper,
                "calibrated": float(np.average(curve[here], weights=part.n)),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Outcomes:
    """Customers with their predictions, and what became of them."""

    survival: Array
    duration: Array
    event: NDArray[np.bool_]
    n: Array
    times: Array
    unit: str

    def only(self, here: NDArray[np.bool_]) -> _Outcomes:
        return _Outcomes(
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


def _read(
    model: SurvivalModel,
    outcomes: pd.DataFrame,
    times: Sequence[float],
    fitted_until: str | date | datetime | None,
    in_sample: bool,
) -> _Outcomes:
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
    frame = _reliable(model, outcomes, f"age_{unit}", float(at[-1]))
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
    return _Outcomes(
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
    model: SurvivalModel, outcomes: pd.DataFrame, age: str, longest: float
) -> pd.DataFrame:
    past = outcomes[age] + longest > model.reliable_until
    n = outcomes["n"] if "n" in outcomes else pd.Series(1, index=outcomes.index)
    if past.all():
        raise CxError(
            f"every customer's age and {longest:g} go beyond {model.reliable_until:g}, the last "
            "reliable time of the model; ask for earlier times, or fit on a longer past"
        )
    if past.any():
        warnings.warn(
            f"{n[past].sum():,} of {n.sum():,} customers are left out: their age and {longest:g} "
            f"go beyond {model.reliable_until:g}, the last reliable time of the model",
            CxWarning,
            stacklevel=4,
        )
    return outcomes[~past]


def _quantile(values: Array, n: Array, share: float) -> float:
    order = np.argsort(values, kind="stable")
    so_far = np.cumsum(n[order])
    return float(values[order][np.searchsorted(so_far, share * so_far[-1])])
