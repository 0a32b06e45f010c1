"""Cox regression with a penalty: many covariates, or some that separate who ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from cxlib.errors import CxError, unknown_name
from cxlib.models.regression.checks import check_durations_are_not_covariates
from cxlib.models.regression.frames import Fitted
from cxlib.models.regression.likelihood import Curvature, RiskSets, risk_sets
from cxlib.models.regression.model import Cox
from cxlib.models.regression.rows import Columns, check_table, count_rows
from cxlib.models.regression.terms import read_terms

__all__ = ["fit_penalized_cox"]

Array = NDArray[np.float64]

_STEPS = 200
_UNCERTAIN = ["lower", "upper", "standard_error", "robust_standard_error", "z", "p_value"]


def fit_penalized_cox(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: Sequence[str],
    penalizer: float,
    l1_ratio: float = 0.0,
    cause: Any = None,
    weights: str | None = "n",
    entry: str | None = None,
    strata: str | Sequence[str] | None = None,
    ties: Literal["efron", "breslow"] = "efron",
    reference: Mapping[str, Any] | None = None,
) -> Cox:
    """Cox regression whose coefficients are drawn towards 0.

    Parameters
    ----------
    table, duration, event, covariates, cause, weights, entry, strata, ties, reference
        As for ``fit_cox``.
    penalizer
        Weight of the penalty against the mean log-likelihood of a customer; more than 0.
    l1_ratio
        Share of the penalty that is on absolute values (lasso: some coefficients become exactly 0);
        the rest is on half their squares (ridge).

    Returns
    -------
    Cox
        As ``fit_cox`` gives, without intervals, errors and tests (NaN, no rows): a coefficient that
        was drawn towards 0 is biased on purpose, and an interval around it would not cover.

    Raises
    ------
    CxError
        As for ``fit_cox``, but not for separation, levels in which nobody ended, and collinear
        covariates, which a penalty is for.

    Notes
    -----
    Maximises loglik(b) / n - penalizer (l1_ratio |z| + (1 - l1_ratio) z^2 / 2), z being the
    coefficients of the covariates in units of their spread, as in lifelines and glmnet, by Newton
    steps with coordinate descent. The likelihood is that of the customers behind the counts, with
    tied events exactly as in ``fit_cox``; lifelines weighs tied rows otherwise, and gives another
    answer on counted customers than on single ones. Choose the penalty by how well held-out
    customers are predicted (``validate_survival``), not by the fit.

    References
    ----------
    Simon, Friedman, Hastie and Tibshirani (2011), J. Statistical Software 39(5).

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_months": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> options = {"duration": "duration_months", "event": "event", "covariates": ["plan"]}
    >>> for penalizer in (0.001, 0.1, 10):
    ...     model = fit_penalized_cox(table, penalizer=penalizer, **options)
    ...     print(penalizer, model.summary["hazard_ratio"].iloc[0].round(3))
    0.001 0.556
    0.1 0.622
    10 0.975
    """
    if not (np.isfinite(penalizer) and penalizer > 0):
        raise CxError(f"penalizer={penalizer!r} must be more than 0; without one take fit_cox")
    if not 0 <= l1_ratio <= 1:
        raise CxError(f"l1_ratio={l1_ratio!r} must be from 0 (ridge) to 1 (lasso)")
    if ties not in ("efron", "breslow"):
        raise unknown_name("treatment of ties", ties, ["breslow", "efron"])
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    if not names:
        raise CxError("there are no covariates; name at least one column")
    within = (strata,) if isinstance(strata, str) else tuple(strata or ())
    counted = None if weights == "n" and "n" not in table.columns else weights
    columns = Columns(duration, event, cause, tuple(names), counted, entry, within, None)
    check_table(table, columns)
    rows = count_rows(table, columns)
    terms = read_terms(rows.patterns, pd.Series(rows.n_patterns), names, reference)
    check_durations_are_not_covariates(rows, duration)
    x = terms.matrix(rows.patterns)
    centre = np.average(x, axis=0, weights=rows.n_patterns)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=rows.n_patterns))
    scale = np.where(spread > 0, spread, 1.0)
    z = (x - centre) / scale
    sets = risk_sets(rows, efron=ties == "efron")
    total = float(rows.n.sum())
    absolute, squared = total * penalizer * l1_ratio, total * penalizer * (1 - l1_ratio)
    start = sets.evaluate(z, np.zeros(z.shape[1]))
    b, end, steps = _climb(sets, z, start, absolute, squared)
    # Only the tests use the curvature at the start, and there are none; it may be singular here.
    start = replace(start, information=np.eye(len(b)))
    unknown = np.full((len(b), len(b)), np.nan)
    fitted = Fitted(
        sets, terms, columns, centre, scale, z, b, start, end, unknown, unknown, False, 0.95, steps
    )
    return _without_errors(fitted)


def _climb(
    sets: RiskSets, z: Array, start: Curvature, absolute: float, squared: float
) -> tuple[Array, Curvature, int]:
    """Coefficients at the largest penalised likelihood."""

    def gain(at: Curvature, b: Array) -> float:
        return at.loglik - absolute * float(np.abs(b).sum()) - squared * float(b @ b) / 2

    b, at = np.zeros(z.shape[1]), start
    for step in range(1, _STEPS + 1):
        goal = _descend(at.gradient, at.information, b, absolute, squared)
        move = goal - b
        for _ in range(40):
            with np.errstate(all="ignore"):
                tried = sets.evaluate(z, b + move)
            value = gain(tried, b + move)
            if np.isfinite(value) and value >= gain(at, b) - 1e-13 * abs(at.loglik):
                break
            move = move / 2
        b, at = b + move, tried
        if np.abs(move).max() < 1e-9:
            return np.where(np.abs(b) < 1e-9, 0.0, b), at, step
    raise CxError(
        f"no maximum of the penalised likelihood was found in {_STEPS} Newton steps from 0 with up "
        "to 40 halvings each; give a larger penalizer, or take logs of skewed covariates"
    )


def _descend(gradient: Array, information: Array, b: Array, absolute: float, sq: float) -> Array:
    """Maximum of the quadratic that touches the likelihood, less the penalty."""
    if absolute == 0:
        bent = information + sq * np.eye(len(b))
        return linalg.solve(bent, gradient + information @ b, assume_a="sym")
    target, found = gradient + information @ b, b.copy()
    curve = np.diag(information)
    for _ in range(10_000):
        before = found.copy()
        for j in range(len(found)):
            pull = target[j] - information[j] @ found + curve[j] * found[j]
            shrunk = np.sign(pull) * max(abs(pull) - absolute, 0.0)
            found[j] = shrunk / max(curve[j] + sq, 1e-12)
        if np.abs(found - before).max() < 1e-11:
            break
    return found


def _without_errors(fitted: Fitted) -> Cox:
    model = Cox.of(fitted)
    return replace(
        model,
        summary=model.summary.assign(**dict.fromkeys(_UNCERTAIN, np.nan)),
        tests=model.tests.iloc[:0].reset_index(drop=True),
    )
