"""Fitting a Cox regression: steps to the largest likelihood, and what stands in their way."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.intervals import check_confidence
from cxlib.models.regression.checks import (
    check_collinear,
    check_durations_are_not_covariates,
    check_events_of_levels,
    check_separation,
    weaknesses,
)
from cxlib.models.regression.climb import climb
from cxlib.models.regression.exact import exact_risk_sets
from cxlib.models.regression.frames import Fitted
from cxlib.models.regression.likelihood import RiskSets, risk_sets
from cxlib.models.regression.model import Cox
from cxlib.models.regression.rows import Columns, check_table, count_rows
from cxlib.models.regression.terms import Terms, read_terms

__all__ = ["fit_cox"]

Array = NDArray[np.float64]


def fit_cox(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: Sequence[str],
    cause: Any = None,
    weights: str | None = "n",
    entry: str | None = None,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = None,
    ties: Literal["efron", "breslow", "exact"] = "efron",
    reference: Mapping[str, Any] | None = None,
    robust: bool | None = None,
    confidence: float = 0.95,
) -> Cox:
    """Cox regression: how covariates are associated with the rate of ending.

    Parameters
    ----------
    table
        Customers, or customers counted by equal rows; or intervals of customers, each with its
        entry, exit and the covariates during it (time-varying covariates).
    duration
        Column of the time since the origin at which a row ends.
    event
        Column that says whether it ended in the event: True or False; or the column of causes.
    covariates
        Columns, and products of columns such as "age:plan". Numbers are taken as they are, text and
        categories as levels against a reference.
    cause
        The cause that is the event; those who ended for another one are censored then.
    weights
        Column of whole numbers: how many customers a row counts. The default counts one each
        where the table has no column ``n``.
    entry
        Column of the time from which a row is at risk (left truncation); None: from the start.
    strata
        Column or columns within which customers are compared, each with a baseline of its own.
    cluster
        Column of who belongs together, such as the customer of several rows.
    ties
        "efron" or "breslow"; or "exact", for time in steps, where ties are few: every set of as
        many customers at risk might have ended (no robust errors).
    reference
        Level or value of some columns at which the baseline stands, in place of the default: the
        most frequent level, 0 for a column of zeros and ones, the mean of any other number.
    robust
        Whether interval, z and p-value use the robust error; None: where ``cluster`` is given.
    confidence
        Coverage of the intervals.

    Returns
    -------
    Cox
        With ``summary``, ``tests``, ``baseline``, ``reference``, and the methods ``predict``,
        ``proportionality`` and ``concordance``.

    Raises
    ------
    CxError
        For a table that cannot be read; when nobody ended; for a covariate that is a function of
        the duration, does not vary, or is a combination of others; where a hazard ratio is 0 or
        infinite (separation); where no maximum is found.

    Warns
    -----
    CxWarning
        When a level has fewer than 10 events or the fit fewer than 10 for each coefficient, and
        when late entry leaves fewer than 10 at risk at an early event.

    Notes
    -----
    The partial likelihood is that of the customers behind the counts: k customers in one row and
    k rows of one customer give the same. Ties are Efron's, summed in closed form. At risk at t
    are those with entry < t <= duration; an entry of 0 is from the start.

    The robust error is Lin and Wei's. Without ``cluster`` a row that counts k customers stands for
    k independent ones, which is wrong where a customer has several rows: then give ``cluster``.

    A hazard ratio is an association in these data: no effect, and no statement about what would
    happen if a covariate were changed.

    References
    ----------
    Cox (1972), JRSS B 34, 187-220. Efron (1977), JASA 72, 557-565. Lin and Wei (1989), JASA 84,
    1074-1078. Therneau and Grambsch (2000), Modeling Survival Data, Springer.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_months": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> model = fit_cox(table, duration="duration_months", event="event", covariates=["plan"])
    >>> model.summary[["covariate", "hazard_ratio", "lower", "upper"]].round(3)
      covariate  hazard_ratio  lower  upper
    0  plan=pro         0.555  0.352  0.877
    >>> print(model.summary["association"].iloc[0])
    associated with a rate 44.5 % lower than at plan=basic
    """
    check_confidence(confidence)
    if ties not in ("efron", "breslow", "exact"):
        raise unknown_name("treatment of ties", ties, ["breslow", "efron", "exact"])
    if ties == "exact" and (robust or (cluster is not None and robust is None)):
        raise CxError(
            "ties='exact' has no robust error, because customers do not add up to its score; take "
            "ties='efron' with cluster= and robust=, or leave them out"
        )
    terms = [covariates] if isinstance(covariates, str) else list(covariates)
    if not terms:
        raise CxError("there are no covariates; name at least one column")
    columns = Columns(
        duration=duration,
        event=event,
        cause=cause,
        terms=tuple(terms),
        weights=None if weights == "n" and "n" not in table.columns else weights,
        entry=entry,
        strata=(strata,) if isinstance(strata, str) else tuple(strata or ()),
        cluster=cluster,
    )
    check_table(table, columns)
    rows = count_rows(table, columns)
    coding = read_terms(rows.patterns, pd.Series(rows.n_patterns), terms, reference)
    check_durations_are_not_covariates(rows, duration)
    sets = risk_sets(rows, efron=ties == "efron")
    sets = exact_risk_sets(sets) if ties == "exact" else sets
    return _fit(sets, coding, columns, robust, confidence)


def _fit(
    sets: RiskSets,
    terms: Terms,
    columns: Columns,
    robust: bool | None,
    confidence: float,
) -> Cox:
    rows = sets.rows
    x = terms.matrix(rows.patterns)
    check_events_of_levels(rows, terms)
    centre = np.average(x, axis=0, weights=rows.n_patterns)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=rows.n_patterns))
    scale = np.where(spread > 0, spread, 1.0)
    z = (x - centre) / scale
    start = sets.evaluate(z, np.zeros(z.shape[1]))
    check_collinear(start.information, terms.coefficients, bool(columns.strata))
    b, end, steps = climb(sets, z, start, terms.coefficients)
    check_separation(start, end, terms.coefficients)
    for weakness in weaknesses(sets, terms, x.shape[1]):
        # Up to the caller of the public function.
        warnings.warn(weakness, CxWarning, stacklevel=3)
    covariance = linalg.inv(end.information)
    bread = covariance @ sets.middle_of_the_sandwich(z, end) @ covariance
    fitted = Fitted(
        sets=sets,
        terms=terms,
        columns=columns,
        centre=centre,
        scale=scale,
        z=z,
        b=b,
        start=start,
        end=end,
        covariance=covariance,
        robust_covariance=bread,
        robust=columns.cluster is not None if robust is None else robust,
        confidence=confidence,
        steps=steps,
    )
    return Cox.of(fitted)
