"""Fitting models of renewal, by maximum likelihood on counts by term."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError
from cxlib.likelihood import Estimate, maximize
from cxlib.models.renewals.counts import read_terms
from cxlib.models.renewals.model import RenewalModel, log_retention

__all__ = ["fit_bdw", "fit_sbg"]

Array = NDArray[Any]


def fit_sbg(
    terms: pd.DataFrame, *, by: str | Sequence[str] | None = None, up_to: int | None = None
) -> RenewalModel:
    """Shifted-beta-geometric model of renewal, by maximum likelihood.

    Parameters
    ----------
    terms
        One row per cohort and term: ``term`` (1 for the first renewal), ``at_risk`` (customers
        whose renewal was due and decided) and ``renewed`` (those of them who renewed).
    by
        Column or columns to fit apart; None: all cohorts share the parameters.
    up_to
        Last term to learn from, so that later ones can test the model; None: all.

    Returns
    -------
    RenewalModel
        With ``alpha`` and ``beta``, and ``.summary``, ``.predict``, ``.holdout_error``,
        ``.discounted_lifetime`` and ``.discounted_residual_lifetime``.

    Raises
    ------
    CxError
        For columns that are missing or hold no counts, fewer than two terms, nobody or everybody
        renewing, or no maximum, as where renewal does not rise with the term.

    Notes
    -----
    Each customer fails to renew with a probability of their own, the same at every term, which is
    Beta(alpha, beta) among customers: retention rises with the term since those likely to leave do
    so first. The retention rate at term t is (beta + t - 1) / (alpha + beta + t - 1). Customers
    still to decide are not at risk and not counted, so that cohorts of different ages go together.

    References
    ----------
    Fader and Hardie (2007), How to project customer retention, J. Interactive Marketing 21, 76-90.

    Examples
    --------
    >>> terms = pd.DataFrame({
    ...     "term": [1, 2, 3, 4], "at_risk": [1000, 631, 468, 382],
    ...     "renewed": [631, 468, 382, 326],
    ... })
    >>> fit_sbg(terms).summary.round(3)
      parameter  estimate  standard_error  lower  upper
    0     alpha     0.764           0.097  0.596  0.979
    1      beta     1.296           0.211  0.942  1.782
    """
    return _fit(terms, by, up_to, "shifted-beta-geometric", ("alpha", "beta"))


def fit_bdw(
    terms: pd.DataFrame, *, by: str | Sequence[str] | None = None, up_to: int | None = None
) -> RenewalModel:
    """Beta-discrete-Weibull model of renewal, by maximum likelihood.

    Parameters
    ----------
    terms, by, up_to
        As for ``fit_sbg``.

    Returns
    -------
    RenewalModel
        With ``alpha``, ``beta`` and ``c``.

    Raises
    ------
    CxError
        As for ``fit_sbg``, and for fewer than three terms.

    Notes
    -----
    As the shifted-beta-geometric, but a customer's own tendency to leave falls (c < 1) or rises
    (c > 1) with the term: survival is B(alpha, beta + t^c) / B(alpha, beta). With c = 1 the two
    are the same.

    References
    ----------
    Fader, Hardie, Liu, Davin and Steenburgh (2018), "How to project customer retention" revisited,
    J. Interactive Marketing 43, 1-16.

    Examples
    --------
    >>> terms = pd.DataFrame({
    ...     "term": [1, 2, 3, 4], "at_risk": [1000, 869, 743, 653],
    ...     "renewed": [869, 743, 653, 593],
    ... })
    >>> fit_bdw(terms).predict(terms=5)[["term", "retention", "survival"]].round(3)
       term  retention  survival
    0     1      0.869     0.869
    1     2      0.854     0.742
    2     3      0.883     0.655
    3     4      0.906     0.593
    4     5      0.922     0.547
    """
    return _fit(terms, by, up_to, "beta-discrete-Weibull", ("alpha", "beta", "c"))


def _fit(
    terms: pd.DataFrame,
    by: str | Sequence[str] | None,
    up_to: int | None,
    model: str,
    names: tuple[str, ...],
) -> RenewalModel:
    keys = [by] if isinstance(by, str) else list(by or ())
    counts = read_terms(terms, keys, up_to)
    estimates = {}
    for group, rows in _groups(counts, keys):
        totals = rows.groupby("term")[["at_risk", "renewed"]].sum().reset_index()
        totals = totals[totals["at_risk"] > 0]
        _check_renewals(totals, len(names), model, _name(keys, group))
        estimates[group] = _maximize(totals, model, names, _name(keys, group))
    return RenewalModel(estimates, tuple(keys), int(counts["term"].max()))


def _maximize(totals: pd.DataFrame, model: str, names: tuple[str, ...], group: str) -> Estimate:
    times = totals["term"].to_numpy()
    renewed = totals["renewed"].to_numpy("float64")
    lost = totals["at_risk"].to_numpy("float64") - renewed

    def log_likelihood(parameters: Array) -> float:
        stayed = log_retention(parameters, times)
        # 0 * log 0 is 0: where all renewed, the loss has no part.
        left = special.xlogy(lost, -np.expm1(stayed))
        return float(renewed @ stayed + left.sum())

    leaving = float(np.clip(lost.sum() / (lost + renewed).sum(), 0.01, 0.99))
    starts = [[size * leaving, size * (1 - leaving), 1.0][: len(names)] for size in (1, 3, 10)]
    return maximize(
        log_likelihood,
        names,
        starts,
        model=f"{model}{group}",
        n=int(totals["at_risk"].max()),
        hint="where renewal does not rise with the term, take the plain renewal rate by term",
    )


def _check_renewals(totals: pd.DataFrame, fewest: int, model: str, group: str) -> None:
    if len(totals) < fewest:
        raise CxError(
            f"the {model} model{group} has {fewest} parameters and data on {len(totals)} terms; "
            f"give at least {fewest} terms"
        )
    renewed, at_risk = int(totals["renewed"].sum()), int(totals["at_risk"].sum())
    if renewed in (0, at_risk):
        who = "nobody" if renewed == 0 else "everybody"
        raise CxError(
            f"{who} renewed{group} ({renewed:,} of {at_risk:,}), so that there is no difference "
            "between customers to learn from; check the counts"
        )


def _groups(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    if not by:
        yield (), frame
        return
    for group, rows in frame.groupby(by, dropna=False, observed=True):
        yield group if isinstance(group, tuple) else (group,), rows


def _name(by: list[str], group: tuple[Any, ...]) -> str:
    parts = [f"{name} {value!r}" for name, value in zip(by, group, strict=True)]
    return f" of {', '.join(parts)}" if parts else ""
