"""Hazards in discrete time: who ends in a period, of those who were at risk in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, special

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import check_confidence
from cxlib.models.regression.checks import (
    check_collinear,
    check_durations_are_not_covariates,
    check_events_of_levels,
)
from cxlib.models.regression.likelihood import RiskSets, risk_sets
from cxlib.models.regression.rows import Columns, Rows, check_table, count_rows
from cxlib.models.regression.terms import Terms, read_terms

__all__ = ["DiscreteHazard", "fit_discrete_hazard"]

Array = NDArray[np.float64]

_STEPS = 100
_CHANGE = 1e-8
"""Relative change of the deviance below which R's ``glm`` stops."""
_MOST_CELLS = 50_000_000
_FURTHEST = 15.0
"""Change of a coefficient of a covariate of unit spread beyond which there is no maximum."""


@dataclass(frozen=True)
class DiscreteHazard:
    """A fitted regression of the hazard in discrete time.

    Attributes
    ----------
    summary
        One row per coefficient: ``covariate``, ``hazard_ratio`` (cloglog) or ``odds_ratio`` (logit)
        with ``lower`` and ``upper``, ``coefficient``, ``standard_error``, ``z``, ``p_value``, ``n``
        (customers of the level; all for a number) and ``events``.
    baseline
        One row per period in which somebody ended, or that is pooled: the duration, ``at_risk``,
        ``events``, ``hazard`` (probability of ending in it) and ``survival`` at the ``reference``.
    reference
        Values of the covariates that the baseline refers to.
    covariance
        Of the coefficients.
    log_likelihood
        At the estimate.
    n, events, customer_periods
        Customers, those who ended, and the periods that they were at risk in.
    steps
        Steps that the fit took.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_months": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> model = fit_discrete_hazard(
    ...     table, duration="duration_months", event="event", covariates=["plan"]
    ... )
    >>> model.predict(pd.DataFrame({"plan": ["basic", "pro"]}), [2]).round(2)
       duration_months  survival
    0              2.0      0.46
    1              2.0      0.65
    """

    summary: pd.DataFrame
    baseline: pd.DataFrame
    reference: dict[str, Any]
    covariance: pd.DataFrame
    log_likelihood: float
    n: int
    events: int
    customer_periods: int
    steps: int
    _duration: str = field(repr=False)
    _terms: Terms = field(repr=False)
    _link: str = field(repr=False)
    _offsets: Array = field(repr=False)
    _centre: Array = field(repr=False)
    _beta: Array = field(repr=False)

    @property
    def covariate_columns(self) -> list[str]:
        """Columns that ``predict`` needs."""
        return self._terms.columns

    @property
    def reliable_until(self) -> float:
        """Last time that ``predict`` answers for."""
        return float(self.baseline[self._duration].max())

    def predict(self, frame: pd.DataFrame, times: Sequence[float]) -> pd.DataFrame:
        """Survival of other customers, by time since the origin.

        Parameters
        ----------
        frame
            Customers with the columns of the covariates.
        times
            Times since the origin, in the unit of the duration.

        Returns
        -------
        pandas.DataFrame
            One row per customer and time, with the index of ``frame``: the duration, ``survival``
            float64 (share expected to last longer).

        Raises
        ------
        CxError
            For times before 0 or beyond the last end that was seen, for missing columns and values,
            and for levels that the fit has not seen.
        """
        at, known = np.asarray(times, dtype="float64"), self.baseline[self._duration].to_numpy()
        if not np.isfinite(at).all() or (at < 0).any() or (at > known.max()).any():
            raise CxError(
                f"times must lie from 0 to {known.max():g}, the last end that was seen, because a "
                f"hazard per period says nothing of later ones (given: {list(times)})"
            )
        for name in self._terms.columns:
            if name not in frame.columns:
                raise unknown_name("column", name, frame.columns, "in the frame")
            if frame[name].isna().any():
                raise CxError(f"the frame misses values of {name!r}; drop those rows first")
        eta = (self._terms.matrix(frame) - self._centre) @ self._beta
        stay = np.log1p(-_LINKS[self._link](self._offsets[:, None] + eta))
        so_far = np.vstack([np.zeros((1, len(frame))), np.cumsum(stay, axis=0)])
        survival = np.exp(so_far[np.searchsorted(known, at, side="right")])
        return pd.DataFrame(
            {self._duration: np.tile(at, len(frame)), "survival": survival.T.ravel()},
            index=frame.index.repeat(len(at)),
        )


def fit_discrete_hazard(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: Sequence[str],
    link: Literal["cloglog", "logit"] = "cloglog",
    pool_from: int | None = None,
    cause: Any = None,
    weights: str | None = "n",
    entry: str | None = None,
    reference: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> DiscreteHazard:
    """Regression of the probability to end in a period, for those at risk in it.

    Parameters
    ----------
    table, duration, event, covariates, cause, weights, entry, reference, confidence
        As for ``fit_cox``; durations count periods, such as months or terms.
    link
        "cloglog": ratios of hazards, those of a Cox model whose times are seen by period only.
        "logit": ratios of odds.
    pool_from
        Period from which on all share one level, where few are at risk; None: each has its own.

    Returns
    -------
    DiscreteHazard
        With ``summary``, ``baseline`` and the method ``predict``.

    Raises
    ------
    CxError
        As for ``fit_cox``, and where periods and patterns are too many.

    Notes
    -----
    Every period in which somebody ended has a level of its own, so that no shape of the hazard is
    assumed; periods without an end say nothing of ratios, unless they are pooled. Each customer
    counts once per period at risk, which is no repetition: the likelihood is a product over
    periods. Fitted by Fisher scoring on counts by period and pattern, which starts and stops as R's
    ``glm`` does on one row per customer and period; standard errors are those of the expected
    information in the last step, so that they agree with R's as well.

    References
    ----------
    Prentice and Gloeckler (1978), Biometrics 34, 57-67. Allison (1982), Sociological Methodology
    13, 61-98.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_months": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> model = fit_discrete_hazard(
    ...     table, duration="duration_months", event="event", covariates=["plan"], link="logit"
    ... )
    >>> model.summary[["covariate", "odds_ratio", "lower", "upper"]].round(3)
      covariate  odds_ratio  lower  upper
    0  plan=pro       0.501  0.297  0.845
    """
    check_confidence(confidence)
    if link not in _LINKS:
        raise unknown_name("link", link, sorted(_LINKS))
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    if not names:
        raise CxError("there are no covariates; name at least one column")
    counted = None if weights == "n" and "n" not in table.columns else weights
    columns = Columns(duration, event, cause, tuple(names), counted, entry, (), None)
    check_table(table, columns)
    rows = count_rows(table, columns)
    terms = read_terms(rows.patterns, pd.Series(rows.n_patterns), names, reference)
    check_durations_are_not_covariates(rows, duration)
    check_events_of_levels(rows, terms)
    sets = risk_sets(rows, efron=False)
    periods = _periods(rows, sets, pool_from, duration)
    x = terms.matrix(rows.patterns)
    centre = np.average(x, axis=0, weights=rows.n_patterns)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=rows.n_patterns))
    scale = np.where(spread > 0, spread, 1.0)
    z = (x - centre) / scale
    start = sets.evaluate(z, np.zeros(z.shape[1]))
    check_collinear(start.information, terms.coefficients, stratified=False)
    fit = _climb(periods.at_risk, periods.events, z, link, terms.coefficients)
    beta, covariance = fit.beta / scale, fit.covariance / np.outer(scale, scale)
    offsets = fit.offsets[periods.level]
    at = (terms.matrix(pd.DataFrame([terms.reference]))[0] - centre) @ beta
    baseline = periods.table.assign(hazard=_LINKS[link](offsets + at))
    baseline["survival"] = (1 - baseline["hazard"]).cumprod()
    return DiscreteHazard(
        summary=_summary(terms, rows, beta, covariance, link, confidence),
        baseline=baseline,
        reference=dict(terms.reference),
        covariance=pd.DataFrame(covariance, index=terms.coefficients, columns=terms.coefficients),
        log_likelihood=fit.log_likelihood,
        n=int(rows.n.sum()),
        events=int(rows.event_patterns.sum()),
        customer_periods=int((rows.n * (rows.exit - np.maximum(rows.entry, 0))).sum()),
        steps=fit.steps,
        _duration=duration,
        _terms=terms,
        _link=link,
        _offsets=offsets,
        _centre=centre,
        _beta=beta,
    )


@dataclass(frozen=True)
class _Periods:
    """Customer-periods at risk and ends, by level of the hazard and pattern of covariates.

    ``table`` has a row per period (the duration, ``at_risk``, ``events``), ``level`` says which of
    the levels each one has.
    """

    at_risk: Array
    events: Array
    table: pd.DataFrame
    level: NDArray[np.int64]


def _periods(rows: Rows, sets: RiskSets, pool_from: int | None, duration: str) -> _Periods:
    if sets.leaving.shape[0] * sets.leaving.shape[1] > _MOST_CELLS:
        raise CxError(
            f"{len(sets.times) - 1:,} periods and {len(rows.patterns):,} patterns of covariates "
            "are too many at once; count the time in longer periods, or bin the covariates"
        )
    times = sets.times[1:]
    at_risk, events = sets.later(sets.leaving.toarray())[1:], sets.ending.toarray()[1:]
    if pool_from is not None:
        if not (rows.exit == rows.exit.round()).all() or pool_from < 1:
            raise CxError(f"pool_from={pool_from!r} counts periods; give durations in whole ones")
        own, last = times < pool_from, times.max()
        pooled = np.arange(pool_from, last + 1)
        # Periods without an end count here: they share the level with those that have one.
        seen = (rows.exit - np.maximum(rows.entry, pool_from - 1)).clip(0)
        seen = np.bincount(rows.pattern, rows.n * seen, len(rows.patterns))
        there = [rows.n[(rows.entry < time) & (rows.exit >= time)].sum() for time in pooled]
        ended = np.zeros(len(pooled))
        ended[np.searchsorted(pooled, times[~own])] = events[~own].sum(axis=1)
        table = {
            duration: np.concatenate([times[own], pooled]),
            "at_risk": np.concatenate([at_risk[own].sum(axis=1), there]),
            "events": np.concatenate([events[own].sum(axis=1), ended]),
        }
        level = np.concatenate([np.arange(own.sum()), np.full(len(pooled), own.sum())])
        if (~own).any():
            at_risk = np.vstack([at_risk[own], seen])
            events = np.vstack([events[own], events[~own].sum(axis=0)])
    else:
        table = {duration: times, "at_risk": at_risk.sum(axis=1), "events": events.sum(axis=1)}
        level = np.arange(len(times))
    frame = pd.DataFrame(table)
    counts = frame[["at_risk", "events"]].round().astype("int64")
    return _Periods(at_risk, events, frame.assign(**counts), level.astype("int64"))


@dataclass(frozen=True)
class _Fit:
    offsets: Array
    beta: Array
    covariance: Array
    log_likelihood: float
    steps: int


def _cloglog(eta: Array) -> Array:
    return -np.expm1(-np.exp(eta))


_LINKS: dict[str, Callable[[Array], Array]] = {"cloglog": _cloglog, "logit": special.expit}


def _climb(at_risk: Array, events: Array, z: Array, link: str, names: list[str]) -> _Fit:
    """Fisher scoring; the levels of the periods are eliminated, so that a step stays small."""
    # Where everybody ends no ratio can be told, and the level has no bound.
    kept = events.sum(axis=1) < at_risk.sum(axis=1)
    n, y = at_risk[kept], events[kept]
    if not len(n):
        raise CxError("everybody at risk ends at once, so that no rates can be compared")
    a, b, value = np.zeros(len(n)), np.zeros(z.shape[1]), -np.inf
    score, weight = _first_slopes(n, y, link)
    for step in range(1, _STEPS + 1):
        level, cross = weight.sum(axis=1), weight @ z
        schur = (z * weight.sum(axis=0)[:, None]).T @ z - (cross / level[:, None]).T @ cross
        gradient = z.T @ score.sum(axis=0) - cross.T @ (score.sum(axis=1) / level)
        up = linalg.solve(schur, gradient, assume_a="sym")
        across = (score.sum(axis=1) - cross @ up) / level
        for _ in range(30):
            tried = _log_likelihood(n, y, (a + across)[:, None] + z @ (b + up), link)
            if tried >= value - 1e-12 * abs(value):
                break
            up, across = up / 2, across / 2
        a, b, last, value = a + across, b + up, value, tried
        if np.abs(b).max() > _FURTHEST:
            break
        if abs(value - last) < _CHANGE * (abs(value) + 0.05):
            offsets = np.full(len(kept), np.inf)
            offsets[kept] = a
            return _Fit(offsets, b, linalg.inv(schur), float(value), step)
        score, weight = _slopes(n, y, a[:, None] + z @ b, link)
    worst = repr(names[int(np.abs(b).argmax())])
    raise CxError(
        f"no maximum of the likelihood was found in {_STEPS} steps: {worst} separates those who "
        "end from those who stay, so that its ratio is 0 or infinite; merge levels or leave it out"
    )


def _first_slopes(n: Array, y: Array, link: str) -> tuple[Array, Array]:
    """Those of the first step of R's ``glm``, which takes 3/4 for who ends and 1/4 for others."""
    score = weight = np.zeros_like(n)
    for ended, p in ((0.0, 0.25), (1.0, 0.75)):
        rows = y if ended else n - y
        eta = np.log(-np.log1p(-p)) if link == "cloglog" else special.logit(p)
        slope, information = _slopes(np.ones(1), np.array([ended]), np.array([eta]), link)
        score = score + rows * (slope + information * eta)
        weight = weight + rows * information
    return score, weight


def _slopes(n: Array, y: Array, eta: Array, link: str) -> tuple[Array, Array]:
    """Score and expected information of each cell's linear predictor."""
    p = _LINKS[link](eta)
    if link == "logit":
        return y - n * p, n * p * (1 - p)
    h = np.exp(eta)
    return h * (y / p - n), n * h**2 * np.exp(-h) / p


def _log_likelihood(n: Array, y: Array, eta: Array, link: str) -> float:
    if link == "logit":
        return float((y * eta - n * np.logaddexp(0, eta)).sum())
    h = np.exp(eta)
    return float((y * np.log(-np.expm1(-h)) - (n - y) * h).sum())


def _summary(
    terms: Terms, rows: Rows, beta: Array, covariance: Array, link: str, confidence: float
) -> pd.DataFrame:
    error = np.sqrt(np.diag(covariance))
    width = special.ndtri(0.5 + confidence / 2) * error
    x, levelled = terms.matrix(rows.patterns), terms.of_levels
    has = np.where(levelled, x != 0, True)
    return pd.DataFrame(
        {
            "covariate": terms.coefficients,
            "hazard_ratio" if link == "cloglog" else "odds_ratio": np.exp(beta),
            "lower": np.exp(beta - width),
            "upper": np.exp(beta + width),
            "coefficient": beta,
            "standard_error": error,
            "z": beta / error,
            "p_value": special.erfc(np.abs(beta / error) / np.sqrt(2)),
            "n": (rows.n_patterns @ has).astype("int64"),
            "events": (rows.event_patterns @ has).astype("int64"),
        }
    )
