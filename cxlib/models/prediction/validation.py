"""How good predictions are, on what happened after the data of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError
from cxlib.intervals import check_confidence
from cxlib.models.prediction.later import read_outcomes
from cxlib.models.prediction.smoothing import smoothed
from cxlib.models.prediction.survivals import SurvivalModel

__all__ = ["calibration", "validate_survival"]

Array = NDArray[Any]


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
    own = read_outcomes(model, outcomes, times, fitted_until, in_sample)
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
        One row per group, from the lowest risk: ``group`` int64, ``sample``, the time as
        ``ahead_<unit>``, ``n`` int64, ``events`` int64 (by then), ``predicted`` float64 (mean
        risk), ``observed`` float64 (Kaplan-Meier) with ``lower`` and ``upper`` (log-log),
        ``calibrated`` (mean of the smoothed risk) and ``ici`` (of all groups together, as in
        ``validate_survival``).

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
    own = read_outcomes(model, outcomes, [at], fitted_until, in_sample)
    risk = 1 - own.survival[:, 0]
    weight, ended = own.weights(at)
    curve = smoothed(risk, ended, own.n * weight)
    ici = float(np.average(np.abs(curve - risk), weights=own.n))
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
                f"ahead_{own.unit}": float(at),
                "n": int(part.n.sum()),
                "events": int((part.n * ended[here]).sum()),
                "predicted": float(np.average(risk[here], weights=part.n)),
                "observed": seen,
                "lower": lower,
                "upper": upper,
                "calibrated": float(np.average(curve[here], weights=part.n)),
                "ici": ici,
            }
        )
    return pd.DataFrame(rows)


def _quantile(values: Array, n: Array, share: float) -> float:
    order = np.argsort(values, kind="stable")
    so_far = np.cumsum(n[order])
    return float(values[order][np.searchsorted(so_far, share * so_far[-1])])
