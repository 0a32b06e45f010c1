"""Fine and Gray's regression: covariates and the share that has ended for one of several causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    check_separation,
)
from cxlib.models.regression.climb import climb
from cxlib.models.regression.likelihood import risk_sets
from cxlib.models.regression.rows import Columns, Rows, check_table, count_rows
from cxlib.models.regression.subdistribution import (
    CENSORED,
    ENDED,
    OTHERWISE,
    Censoring,
    middle_of_stretches,
    residuals_of_customers,
    residuals_of_weights,
    weighted_sets,
)
from cxlib.models.regression.terms import Terms, read_terms

__all__ = ["FineGray", "fit_fine_gray"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_STATUS = "cx_status"


@dataclass(frozen=True)
class FineGray:
    """A fitted Fine and Gray regression.

    Attributes
    ----------
    summary
        One row per coefficient: ``covariate``, ``subdistribution_hazard_ratio`` with ``lower`` and
        ``upper``, ``coefficient``, ``standard_error`` (which knows that the weights are estimated),
        ``robust_standard_error`` and ``model_standard_error`` (which do not), ``z``, ``p_value``,
        ``n`` and ``events`` (of the level; of all for a number).
    baseline
        One row per time of an end for the cause: the duration, ``events``, ``hazard`` (increment),
        ``cumulative_hazard`` and ``cumulative_incidence`` at the ``reference``.
    reference
        Values of the covariates that the baseline refers to.
    covariance
        Of the coefficients.
    log_likelihood, null_log_likelihood
        Of the weighted partial likelihood, at the estimate and without covariates.
    n, events, other_events
        Customers, those who ended for the cause, and those who ended for another.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic"] * 3 + ["pro"] * 3,
    ...     "months": [2, 3, 6, 2, 3, 6],
    ...     "cause": ["price", "moved", "(administrative)"] * 2,
    ...     "n": [30, 20, 50, 15, 25, 60],
    ... })
    >>> model = fit_fine_gray(
    ...     table, duration="months", event="cause", cause="price", covariates=["plan"]
    ... )
    >>> model.predict(pd.DataFrame({"plan": ["basic", "pro"]}), [2]).round(2)
       months  cumulative_incidence
    0     2.0                  0.26
    1     2.0                  0.14
    """

    summary: pd.DataFrame
    baseline: pd.DataFrame
    reference: dict[str, Any]
    covariance: pd.DataFrame
    log_likelihood: float
    null_log_likelihood: float
    n: int
    events: int
    other_events: int
    _duration: str = field(repr=False)
    _terms: Terms = field(repr=False)
    _centre: Array = field(repr=False)
    _beta: Array = field(repr=False)
    _hazard: Array = field(repr=False)

    def predict(self, frame: pd.DataFrame, times: Sequence[float]) -> pd.DataFrame:
        """Share of other customers expected to have ended for the cause, by time.

        Parameters
        ----------
        frame
            Customers with the columns of the covariates.
        times
            Times since the origin, in the unit of the duration.

        Returns
        -------
        pandas.DataFrame
            One row per customer and time, with the index of ``frame``: the duration,
            ``cumulative_incidence`` float64.

        Raises
        ------
        CxError
            For times before 0 or beyond the last end for the cause, missing columns and values, and
            levels that the fit has not seen.
        """
        at, known = np.asarray(times, dtype="float64"), self.baseline[self._duration].to_numpy()
        if not np.isfinite(at).all() or (at < 0).any() or (at > known.max()).any():
            raise CxError(
                f"times must lie from 0 to {known.max():g}, the last end for this cause; what "
                "comes later would be extrapolated"
            )
        for name in self._terms.columns:
            if name not in frame.columns:
                raise unknown_name("column", name, frame.columns, "in the frame")
            if frame[name].isna().any():
                raise CxError(f"the frame misses values of {name!r}; drop those rows first")
        risk = np.exp((self._terms.matrix(frame) - self._centre) @ self._beta)
        so_far = np.concatenate([[0.0], np.cumsum(self._hazard)])
        hazard = so_far[np.searchsorted(known, at, side="right")]
        share = -np.expm1(-risk[:, None] * hazard)
        return pd.DataFrame(
            {self._duration: np.tile(at, len(frame)), "cumulative_incidence": share.ravel()},
            index=frame.index.repeat(len(at)),
        )


def fit_fine_gray(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    cause: Any,
    covariates: Sequence[str],
    weights: str | None = "n",
    ties: Literal["breslow", "efron"] = "breslow",
    cluster: Literal["customer", "stretch"] = "customer",
    reference: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> FineGray:
    """Fine and Gray's regression: covariates and the cumulative incidence of one cause.

    Parameters
    ----------
    table, duration, covariates, weights, reference, confidence
        As for ``fit_cox``.
    event
        Column of causes. Missing ones, False, 0, and names in parentheses such as
        "(administrative)" are censored.
    cause
        The cause whose cumulative incidence is asked for.
    ties
        "breslow", as in Fine and Gray's paper and program (R's cmprsk), or "efron", as in R's
        ``survival::finegray``, where an end also comes before a censoring at the same time.
    cluster
        Whose residuals ``robust_standard_error`` adds up: those of a "customer", or each "stretch"
        of constant weight for itself, as R's ``coxph`` does on the rows of ``finegray`` when it is
        given no ``cluster``. The second takes parts of one customer as independent, and is there to
        compare with such results; ``standard_error`` is the same for both.

    Returns
    -------
    FineGray
        With ``summary``, ``baseline`` and the method ``predict``.

    Raises
    ------
    CxError
        As for ``fit_cox``, and when nobody ended for another cause.

    Notes
    -----
    Who ended for another cause stays at risk with the weight G(t-) / G(T-), where G is the
    Kaplan-Meier estimate of not being censored: a share of ends, not a rate among those who are
    still there. A covariate may lower this share only because it hastens another cause; read it
    beside the cause-specific rates of ``fit_cox(cause=)``. Late entry is not offered: the weights
    would have to know who never came to be seen.

    References
    ----------
    Fine and Gray (1999), JASA 94, 496-509. Geskus (2011), Biometrics 67, 39-49.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic"] * 3 + ["pro"] * 3,
    ...     "months": [2, 3, 6, 2, 3, 6],
    ...     "cause": ["price", "moved", "(administrative)"] * 2,
    ...     "n": [30, 20, 50, 15, 25, 60],
    ... })
    >>> model = fit_fine_gray(
    ...     table, duration="months", event="cause", cause="price", covariates=["plan"]
    ... )
    >>> model.summary[["covariate", "subdistribution_hazard_ratio", "standard_error"]].round(3)
      covariate  subdistribution_hazard_ratio  standard_error
    0  plan=pro                           0.5           0.283
    """
    check_confidence(confidence)
    if ties not in ("efron", "breslow"):
        raise unknown_name("treatment of ties", ties, ["breslow", "efron"])
    if cluster not in ("customer", "stretch"):
        raise unknown_name("cluster", cluster, ["customer", "stretch"])
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    if not names:
        raise CxError("there are no covariates; name at least one column")
    if event not in table.columns:
        raise unknown_name("column", event, table.columns, "in the table")
    table = table.assign(**{_STATUS: _status(table[event], cause, event)})
    if not (table[_STATUS] == OTHERWISE).any():
        raise CxError(
            f"nobody ended for another cause than {cause!r}, so that nothing competes; fit_cox "
            "answers this"
        )
    counted = None if weights == "n" and "n" not in table.columns else weights
    columns = Columns(duration, _STATUS, ENDED, tuple(names), counted, None, (), _STATUS)
    check_table(table, columns)
    # The status stands in the place of the cluster, so that counts keep it apart.
    rows = count_rows(table, columns)
    status = _status_of(table, rows, columns)
    terms = read_terms(rows.patterns, pd.Series(rows.n_patterns), names, reference)
    check_durations_are_not_covariates(rows, duration)
    check_events_of_levels(rows, terms)
    stay = Censoring.of(rows, status, ends_first=ties == "efron")
    sets = weighted_sets(risk_sets(rows, efron=ties == "efron"), rows, status, stay)
    x = terms.matrix(rows.patterns)
    centre = np.average(x, axis=0, weights=rows.n_patterns)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=rows.n_patterns))
    scale = np.where(spread > 0, spread, 1.0)
    z = (x - centre) / scale
    start = sets.evaluate(z, np.zeros(z.shape[1]))
    check_collinear(start.information, terms.coefficients, stratified=False)
    b, end, _ = climb(sets, z, start, terms.coefficients)
    check_separation(start, end, terms.coefficients)
    bread = linalg.inv(end.information)
    residuals = residuals_of_customers(sets, z, end, status, stay)
    full = residuals + residuals_of_weights(sets, z, end, status, stay)
    middle = (residuals * rows.n[:, None]).T @ residuals
    if cluster == "stretch":
        middle = middle_of_stretches(sets, z, end, status, stay)
    spreads = {
        "model": bread,
        "robust": bread @ middle @ bread,
        "full": bread @ ((full * rows.n[:, None]).T @ full) @ bread,
    }
    covariances = {name: value / np.outer(scale, scale) for name, value in spreads.items()}
    beta = b / scale
    at = (terms.matrix(pd.DataFrame([terms.reference]))[0] - centre) @ beta
    hazard = end.hazard[1:]
    baseline = pd.DataFrame(
        {duration: sets.times[1:], "events": sets.events[1:].astype("int64"),
         "hazard": hazard * np.exp(at)}
    )  # fmt: skip
    so_far = baseline["hazard"].cumsum()
    coefficients = terms.coefficients
    return FineGray(
        summary=_summary(terms, rows, beta, covariances, confidence),
        baseline=baseline.assign(cumulative_hazard=so_far, cumulative_incidence=-np.expm1(-so_far)),
        reference=dict(terms.reference),
        covariance=pd.DataFrame(covariances["full"], index=coefficients, columns=coefficients),
        log_likelihood=end.loglik,
        null_log_likelihood=start.loglik,
        n=int(rows.n.sum()),
        events=int(rows.event_patterns.sum()),
        other_events=int(rows.n[status == OTHERWISE].sum()),
        _duration=duration,
        _terms=terms,
        _centre=centre,
        _beta=beta,
        _hazard=hazard,
    )


def _status(causes: pd.Series, cause: Any, column: str) -> Ints:
    """Whether each row is censored, ended for the cause, or otherwise."""
    named = causes.map(lambda value: isinstance(value, str) and value.startswith("("))
    censored = causes.isna() | named | causes.isin([0, False])
    known = causes[~censored].unique()
    if cause not in set(known):
        raise unknown_name("cause", cause, sorted(map(str, known)), f"in {column!r}")
    ended = (causes == cause).fillna(False)
    return np.select([censored, ended], [CENSORED, ENDED], OTHERWISE).astype("int64")


def _status_of(table: pd.DataFrame, rows: Rows, columns: Columns) -> Ints:
    """Status of each counted row, from the code that stands in the place of its cluster."""
    if columns.weights:
        table = table[table[columns.weights] > 0]
    found = pd.factorize(table[_STATUS])[1].to_numpy("int64")
    return found[rows.cluster]


def _summary(
    terms: Terms, rows: Rows, beta: Array, covariances: dict[str, Array], confidence: float
) -> pd.DataFrame:
    error = np.sqrt(np.diag(covariances["full"]))
    width = special.ndtri(0.5 + confidence / 2) * error
    has = np.where(terms.of_levels, terms.matrix(rows.patterns) != 0, True)
    return pd.DataFrame(
        {
            "covariate": terms.coefficients,
            "subdistribution_hazard_ratio": np.exp(beta),
            "lower": np.exp(beta - width),
            "upper": np.exp(beta + width),
            "coefficient": beta,
            "standard_error": error,
            "robust_standard_error": np.sqrt(np.diag(covariances["robust"])),
            "model_standard_error": np.sqrt(np.diag(covariances["model"])),
            "z": beta / error,
            "p_value": special.erfc(np.abs(beta / error) / np.sqrt(2)),
            "n": (rows.n_patterns @ has).astype("int64"),
            "events": (rows.event_patterns @ has).astype("int64"),
        }
    )
