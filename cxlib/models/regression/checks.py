"""What stands in the way of a Cox regression, said before or after the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from cxlib.errors import CxError
from cxlib.models.regression.likelihood import Curvature, RiskSets
from cxlib.models.regression.rows import Rows
from cxlib.models.regression.terms import Terms

__all__ = [
    "check_collinear",
    "check_durations_are_not_covariates",
    "check_events_of_levels",
    "check_separation",
    "weaknesses",
]

Array = NDArray[np.float64]

_THIN = 10
"""Events below which an estimate leans on its starting values: Peduzzi et al. (1995), Journal of
Clinical Epidemiology 48, 1503-1510."""

_SAME = 0.999
"""Rank correlation with the duration that no fact of the start has."""

_GONE = 1e-6
"""Share of its information that a direction keeps when no finite coefficient fits."""


def check_separation(start: Curvature, end: Curvature, names: list[str]) -> None:
    """Raise where the likelihood still rises as a coefficient goes to infinity.

    Parameters
    ----------
    start, end
        The likelihood without covariates, and where the fit ended.
    names
        Of the coefficients.

    Raises
    ------
    CxError
        When a direction has lost its information: all risk is with those who ended.
    """
    size = 1 / np.sqrt(np.diag(start.information))
    scaled = [at.information * np.outer(size, size) for at in (start, end)]
    left, directions = linalg.eigh(scaled[1], scaled[0])
    if left[0] > _GONE:
        return
    weight = np.abs(directions[:, 0])
    found = [repr(name) for name, w in zip(names, weight, strict=True) if w > 0.1 * weight.max()]
    raise CxError(
        f"{' and '.join(found)} separate those who end from those who stay: at every event, those "
        "who ended lie at one edge of those at risk, so that the hazard ratio is 0 or infinite; "
        "merge levels, leave it out, or fit with a penalty "
        "(fit_penalized_cox)"
    )


def check_events_of_levels(rows: Rows, terms: Terms) -> None:
    """Raise for a level in which nobody ended.

    Parameters
    ----------
    rows
        Counted customers.
    terms
        How covariates become numbers.

    Raises
    ------
    CxError
        With the level and how many have it.
    """
    ended, n = rows.event_patterns, rows.n_patterns
    for column, levels in terms.levels.items():
        for level in levels:
            here = (rows.patterns[column] == level).to_numpy()
            if not ended[here].sum():
                raise CxError(
                    f"nobody of {n[here].sum():,.0f} with {column}={level} ended, so that the "
                    "hazard ratio is 0 or infinite (separation); merge the level with another, "
                    "leave it out, or fit with a penalty (fit_penalized_cox)"
                )


def check_collinear(information: Array, names: list[str], stratified: bool) -> None:
    """Raise for a covariate that says nothing beside those before it.

    Parameters
    ----------
    information
        Of the coefficients of scaled covariates, at 0.
    names
        Of the coefficients.
    stratified
        Whether customers are compared within strata.

    Raises
    ------
    CxError
        When it does not vary among those at risk, or is a combination of others.
    """
    spread = np.sqrt(np.maximum(np.diag(information), 0))
    for j, name in enumerate(names):
        # The covariates have unit variance, so that the information counts events.
        if spread[j] ** 2 <= 1e-9 * max(spread.max() ** 2, 1e-3):
            where = "of one stratum " if stratified else ""
            raise CxError(
                f"the covariate {name!r} is the same for everybody {where}who is at risk when "
                "somebody ends, so that nothing can be compared; leave it out"
            )
    alike = information / np.outer(spread, spread)
    for j in range(1, len(names)):
        share = linalg.lstsq(alike[:j, :j], alike[:j, j])[0]
        if alike[j, j] - alike[j, :j] @ share > 1e-9:
            continue
        others = [repr(names[i]) for i in range(j) if abs(share[i]) > 1e-6]
        raise CxError(
            f"the covariate {names[j]!r} is a combination of {' and '.join(others)} (collinear), "
            "so that no fit can tell them apart; leave one of them out"
        )


def check_durations_are_not_covariates(rows: Rows, duration: str) -> None:
    """Raise for a covariate from which the duration can be read.

    Parameters
    ----------
    rows
        Counted customers.
    duration
        Name of the duration.

    Raises
    ------
    CxError
        When all who have the same duration have the same value, or values rise with it.
    """
    exits, place = np.unique(rows.exit, return_inverse=True)
    if len(exits) < 20 and rows.n.sum() < 2 * len(exits):
        return
    for name in rows.patterns.columns:
        codes = _ordered(rows, name)[rows.pattern]
        lowest, highest = np.full(len(exits), np.inf), np.full(len(exits), -np.inf)
        np.minimum.at(lowest, place, codes)
        np.maximum.at(highest, place, codes)
        steps = np.diff(lowest)
        one_each = (lowest == highest).all() and len(np.unique(codes)) > 1
        monotone = (steps >= 0).all() or (steps <= 0).all()
        one_each &= monotone or rows.n.sum() >= 2 * len(exits)
        if (one_each and len(exits) >= 5) or _rise_together(codes, rows):
            raise CxError(
                f"the covariate {name!r} is a function of {duration!r}: whoever has the same "
                "duration has the same value, or nearly, so that it is known only after the end; "
                "leave it out, or use its value at the start"
            )


def _rise_together(codes: Array, rows: Rows) -> bool:
    """Whether a number and the duration have the same order, but for noise."""
    # Rows with an entry may be intervals: what grows with time is no fact of their end.
    if len(codes) < 20 or np.isfinite(rows.entry).any():
        return False
    ranks = np.stack([pd.Series(values).rank().to_numpy() for values in (codes, rows.exit)])
    spread = np.cov(ranks, aweights=rows.n)
    return bool(abs(spread[0, 1]) > _SAME * np.sqrt(spread[0, 0] * spread[1, 1]) > 0)


def _ordered(rows: Rows, name: str) -> Array:
    """Each pattern's value as a number; levels by the mean duration of who has them."""
    values = rows.patterns[name]
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.to_numpy("float64")
    codes, levels = pd.factorize(values)
    own = codes[rows.pattern]
    n = np.bincount(own, rows.n, len(levels))
    means = np.bincount(own, rows.n * rows.exit, len(levels)) / n
    return np.argsort(np.argsort(means))[codes].astype("float64")


def weaknesses(sets: RiskSets, terms: Terms, coefficients: int) -> list[str]:
    """Why a fit is weaker than it looks.

    Parameters
    ----------
    sets
        Who is at risk when.
    terms
        How covariates become numbers.
    coefficients
        How many are estimated.

    Returns
    -------
    list of str
        A sentence each for thin levels, few events, and a thin start after late entry.
    """
    rows, weak = sets.rows, []
    ended = rows.event_patterns
    for column, levels in terms.levels.items():
        counts = {
            level: ended[(rows.patterns[column] == level).to_numpy()].sum() for level in levels
        }
        thin = [f"{column}={level} ({k:.0f})" for level, k in counts.items() if k < _THIN]
        if thin:
            weak.append(f"fewer than {_THIN} ended with {', '.join(thin)}; merge rare levels")
    if ended.sum() < _THIN * coefficients:
        weak.append(
            f"{ended.sum():.0f} events are few for {coefficients} coefficients "
            f"({_THIN} for each are usual); leave some covariates out"
        )
    if np.isfinite(rows.entry).any():
        for part in sets.segments():
            at_risk, times = sets.at_risk[part][1:], sets.times[part][1:]
            early = (at_risk < _THIN) & (np.arange(len(times)) < at_risk.argmax())
            if early.any():
                weak.append(
                    f"late entry leaves {at_risk[early].min():.0f} at risk at the early time "
                    f"{times[early][0]:g}, which bends the baseline; start later"
                )
                break
    return weak
