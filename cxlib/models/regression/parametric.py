"""Accelerated failure times and cure: regression with a shape for the time, by lifelines."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import check_confidence
from cxlib.models.regression.checks import (
    check_collinear,
    check_durations_are_not_covariates,
    check_events_of_levels,
)
from cxlib.models.regression.likelihood import risk_sets
from cxlib.models.regression.rows import Columns, Rows, check_table, count_rows
from cxlib.models.regression.terms import Terms, read_terms

__all__ = ["AcceleratedFailure", "fit_aft"]

Array = NDArray[np.float64]

_FITTERS = {
    "weibull": ("WeibullAFTFitter", "lambda_", "rho_"),
    "log-logistic": ("LogLogisticAFTFitter", "alpha_", "beta_"),
    "log-normal": ("LogNormalAFTFitter", "mu_", "sigma_"),
}
_SEARCHES: list[tuple[str, dict[str, float]]] = [
    ("BFGS", {"gtol": 1e-9}),
    ("SLSQP", {"ftol": 1e-15}),
    ("SLSQP", {}),
]
"""The last is lifelines' own, which stops where three digits are right."""


@dataclass(frozen=True)
class AcceleratedFailure:
    """A fitted accelerated failure time model.

    Attributes
    ----------
    summary
        One row per coefficient: ``covariate``, ``time_ratio`` with ``lower`` and ``upper`` (how
        many times as long it takes), ``coefficient``, ``standard_error``, ``z``, ``p_value``, ``n``
        and ``events`` (of the level; of all for a number) and ``association``, in words.
    parameters
        Two rows, ``parameter, estimate, lower, upper``: the "scale", a time at the ``reference``
        (by when 63 % have ended with Weibull, half of them otherwise), and the "shape" (Weibull's
        exponent, the log-logistic one, or the log-normal standard deviation).
    reference
        Values of the covariates that the scale refers to.
    distribution
        As it was given.
    log_likelihood
        At the estimate.
    n, events
        Customers, and those who ended.
    last
        Longest time that was seen.
    lifelines
        The fitted object of lifelines behind it.

    Examples
    --------
    >>> table = pd.DataFrame({"months": [1, 2, 3, 4], "event": [True] * 4, "n": [5, 9, 8, 2]})
    >>> model = fit_aft(table, duration="months", event="event", covariates=[])
    >>> model.parameters.round(2)
      parameter  estimate  lower  upper
    0     scale      2.58   2.22   2.99
    1     shape      2.85   2.07   3.91
    """

    summary: pd.DataFrame
    parameters: pd.DataFrame
    reference: dict[str, Any]
    distribution: str
    log_likelihood: float
    n: int
    events: int
    last: float
    lifelines: Any = field(repr=False)
    _duration: str = field(repr=False)
    _terms: Terms | None = field(repr=False)

    @property
    def covariate_columns(self) -> list[str]:
        """Columns that ``predict`` needs."""
        return self._terms.columns if self._terms else []

    @property
    def reliable_until(self) -> float:
        """Last time that ``predict`` answers for without extrapolating."""
        return self.last

    def predict(
        self, frame: pd.DataFrame, times: Sequence[float], *, extrapolate: bool = False
    ) -> pd.DataFrame:
        """Survival of other customers, by time since the origin.

        Parameters
        ----------
        frame
            Customers with the columns of the covariates.
        times
            Times since the origin, in the unit of the duration.
        extrapolate
            Whether times beyond the longest that was seen may be asked for: they rest on the shape
            alone.

        Returns
        -------
        pandas.DataFrame
            One row per customer and time, with the index of ``frame``: the duration, ``survival``
            float64 (share expected to last longer).

        Raises
        ------
        CxError
            For times before 0, times beyond the longest seen unless ``extrapolate``, and missing
            columns, values and levels.
        """
        at = np.asarray(times, dtype="float64")
        if not np.isfinite(at).all() or (at < 0).any():
            raise CxError("times must be numbers from 0 on; give those since the origin")
        if (at > self.last).any() and not extrapolate:
            raise CxError(
                f"survival at {at.max():g} would be extrapolated: nobody was seen for longer than "
                f"{self.last:g}; ask for earlier times, or say extrapolate=True"
            )
        eta = self._location(frame)
        with np.errstate(divide="ignore"):
            away = np.log(at)[None, :] - eta[:, None]
        survival = _survival(self.distribution, away, float(self.parameters["estimate"].iloc[1]))
        return pd.DataFrame(
            {self._duration: np.tile(at, len(frame)), "survival": survival.ravel()},
            index=frame.index.repeat(len(at)),
        )

    def _location(self, frame: pd.DataFrame) -> Array:
        start = np.log(float(self.parameters["estimate"].iloc[0]))
        if self._terms is None:
            return np.full(len(frame), start)
        for name in self._terms.columns:
            if name not in frame.columns:
                raise unknown_name("column", name, frame.columns, "in the frame")
            if frame[name].isna().any():
                raise CxError(f"the frame misses values of {name!r}; drop those rows first")
        x = self._terms.matrix(frame) - self._terms.matrix(pd.DataFrame([self.reference]))
        return start + x @ self.summary["coefficient"].to_numpy()


def _survival(distribution: str, away: Array, shape: float) -> Array:
    """Share that lasts longer, from log time less its location."""
    if distribution == "weibull":
        return np.exp(-np.exp(shape * away))
    if distribution == "log-logistic":
        return special.expit(-shape * away)
    return special.ndtr(-away / shape)


def fit_aft(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: Sequence[str],
    distribution: Literal["weibull", "log-logistic", "log-normal"] = "weibull",
    cause: Any = None,
    weights: str | None = "n",
    entry: str | None = None,
    penalizer: float = 0.0,
    reference: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> AcceleratedFailure:
    """Accelerated failure time model: how many times as long customers stay.

    Parameters
    ----------
    table, duration, event, covariates, cause, weights, entry, reference, confidence
        As for ``fit_cox``; without covariates the distribution alone is fitted.
    distribution
        Of the time: "weibull", "log-logistic" or "log-normal".
    penalizer
        Weight of half the squared coefficients (of covariates in units of their spread) against
        the mean log-likelihood, as in lifelines; 0 for none. Intervals do not know of it.

    Returns
    -------
    AcceleratedFailure
        With ``summary``, ``parameters``, ``lifelines`` and the method ``predict``.

    Raises
    ------
    CxError
        As for ``fit_cox``, for durations of 0, and where lifelines finds no maximum.

    Notes
    -----
    Fitted by lifelines on counted rows, with a tighter tolerance than its own. The curve has the
    shape of the distribution, right or not; what it says beyond the last time seen rests on that.
    A time ratio of 2 says that at any share of customers, it takes twice as long until that share
    has ended; for Weibull, its hazard ratio is exp(-coefficient * shape). An association, no
    effect.

    References
    ----------
    Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, chapter 3.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_months": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> model = fit_aft(table, duration="duration_months", event="event", covariates=["plan"])
    >>> model.summary[["covariate", "time_ratio", "lower", "upper"]].round(2)
      covariate  time_ratio  lower  upper
    0  plan=pro        1.22   1.04   1.42
    """
    check_confidence(confidence)
    if distribution not in _FITTERS:
        raise unknown_name("distribution", distribution, sorted(_FITTERS))
    if not penalizer >= 0:
        raise CxError(f"penalizer={penalizer!r} must be 0 or more")
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    counted = None if weights == "n" and "n" not in table.columns else weights
    columns = Columns(duration, event, cause, tuple(names), counted, entry, (), None)
    check_table(table, columns)
    rows = count_rows(table, columns)
    _refuse_zero(rows, duration)
    terms = _terms(rows, names, reference, duration, penalized=penalizer > 0)
    x = terms.matrix(rows.patterns) if terms else np.empty((len(rows.patterns), 0))
    fitted = _fit(rows, x, distribution, float(penalizer))
    return _wrapped(fitted, rows, terms, columns, distribution, confidence)


def _refuse_zero(rows: Rows, duration: str) -> None:
    zero = rows.exit <= 0
    if zero.any():
        raise CxError(
            f"{rows.n[zero].sum():,.0f} customers have a {duration!r} of 0, which has no logarithm "
            "and no place in a distribution of times; drop them, or count an end in the first unit "
            "as 1 (as spell_counts does) or as half a unit, and say so"
        )


def _terms(
    rows: Rows,
    names: list[str],
    reference: Mapping[str, Any] | None,
    duration: str,
    *,
    penalized: bool,
) -> Terms | None:
    """How covariates become numbers, once nothing stands in the way of their coefficients."""
    if not names:
        return None
    terms = read_terms(rows.patterns, pd.Series(rows.n_patterns), names, reference)
    check_durations_are_not_covariates(rows, duration)
    if penalized:
        return terms
    check_events_of_levels(rows, terms)
    x = terms.matrix(rows.patterns)
    centre = np.average(x, axis=0, weights=rows.n_patterns)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=rows.n_patterns))
    z = (x - centre) / np.where(spread > 0, spread, 1.0)
    start = risk_sets(rows, efron=False).evaluate(z, np.zeros(z.shape[1]))
    check_collinear(start.information, terms.coefficients, stratified=False)
    return terms


def _fit(rows: Rows, x: Array, distribution: str, penalizer: float) -> Any:
    import lifelines
    from lifelines.exceptions import ConvergenceError

    frame = pd.DataFrame(x[rows.pattern], columns=[f"x{j}" for j in range(x.shape[1])])
    frame = frame.assign(duration=rows.exit, event=rows.event, n=rows.n)
    options: dict[str, Any] = {"duration_col": "duration", "event_col": "event"}
    if (rows.entry > 0).any():
        frame["entry"] = np.maximum(rows.entry, 0.0)
        options["entry_col"] = "entry"
    said = []
    for method, tolerance in _SEARCHES:
        fitter = getattr(lifelines, _FITTERS[distribution][0])(penalizer=penalizer)
        fitter._scipy_fit_method = method
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return fitter.fit(frame, weights_col="n", fit_options=tolerance, **options)
        except (ConvergenceError, ValueError, np.linalg.LinAlgError) as error:
            said.append(str(error).strip().splitlines()[0])
    raise CxError(
        f"lifelines found no maximum of the {distribution} likelihood by BFGS nor by SLSQP "
        f"({said[-1]}); look for outliers among the covariates, leave some out, or give "
        "penalizer=0.01"
    )


def _wrapped(
    fitted: Any,
    rows: Rows,
    terms: Terms | None,
    columns: Columns,
    distribution: str,
    confidence: float,
) -> AcceleratedFailure:
    _, location, shape = _FITTERS[distribution]
    covariance = fitted.variance_matrix_
    place = [(location, "Intercept"), *[(location, f"x{j}") for j in range(_size(terms))]]
    place.append((shape, "Intercept"))
    estimate = fitted.params_.loc[place].to_numpy()
    covariance = covariance.loc[place, place].to_numpy()
    reference = dict(terms.reference) if terms else {}
    # The scale is that at the reference, so that it is a time of somebody.
    at = terms.matrix(pd.DataFrame([reference]))[0] if terms else np.empty(0)
    to_scale = np.concatenate([[1.0], at, [0.0]])
    log = np.array([to_scale @ estimate, estimate[-1]])
    error = np.sqrt([to_scale @ covariance @ to_scale, covariance[-1, -1]])
    width = special.ndtri(0.5 + confidence / 2)
    parameters = pd.DataFrame(
        {
            "parameter": ["scale", "shape"],
            "estimate": np.exp(log),
            "lower": np.exp(log - width * error),
            "upper": np.exp(log + width * error),
        }
    )
    errors = np.sqrt(np.diag(covariance))[1:-1]
    return AcceleratedFailure(
        summary=_summary(terms, rows, estimate[1:-1], errors, width),
        parameters=parameters,
        reference=reference,
        distribution=distribution,
        log_likelihood=float(fitted.log_likelihood_),
        n=int(rows.n.sum()),
        events=int((rows.n * rows.event).sum()),
        last=float(rows.exit.max()),
        lifelines=fitted,
        _duration=columns.duration,
        _terms=terms,
    )


def _size(terms: Terms | None) -> int:
    return len(terms.coefficients) if terms else 0


def _summary(
    terms: Terms | None, rows: Rows, beta: Array, error: Array, width: float
) -> pd.DataFrame:
    names = terms.coefficients if terms else []
    x = terms.matrix(rows.patterns) if terms else np.empty((len(rows.patterns), 0))
    has = np.where(terms.of_levels, x != 0, True) if terms else x
    z = beta / error
    return pd.DataFrame(
        {
            "covariate": pd.Series(names, dtype="object"),
            "time_ratio": np.exp(beta),
            "lower": np.exp(beta - width * error),
            "upper": np.exp(beta + width * error),
            "coefficient": beta,
            "standard_error": error,
            "z": z,
            "p_value": special.erfc(np.abs(z) / np.sqrt(2)),
            "n": (rows.n_patterns @ has).astype("int64"),
            "events": (rows.event_patterns @ has).astype("int64"),
            "association": [
                f"associated with times {ratio:.3g} times as long (per unit, or than at the "
                "reference)"
                for ratio in np.exp(beta)
            ],
        }
    )
