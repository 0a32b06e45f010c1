"""Steps to the largest partial likelihood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxlib.errors import CxError
from cxlib.models.regression.checks import check_separation
from cxlib.models.regression.likelihood import Curvature, RiskSets

__all__ = ["climb"]

Array = NDArray[np.float64]

_STEPS = 50


def climb(
    sets: RiskSets, z: Array, start: Curvature, names: list[str]
) -> tuple[Array, Curvature, int]:
    """Coefficients at the largest likelihood, by Newton's method from 0.

    Parameters
    ----------
    sets
        Who is at risk when.
    z
        Covariates of each pattern, scaled.
    start
        The likelihood at 0.
    names
        Of the coefficients, for errors.

    Returns
    -------
    tuple of numpy.ndarray, Curvature and int
        The coefficients, the likelihood there, and the steps. A step that lowers the likelihood is
        halved.

    Raises
    ------
    CxError
        Where no maximum is found, with what was tried.
    """
    b, at = np.zeros(z.shape[1]), start
    for step_number in range(1, _STEPS + 1):
        try:
            step = np.linalg.solve(at.information, at.gradient)
        except np.linalg.LinAlgError:
            break
        promised = float(at.gradient @ step)
        if promised < 0 or not np.isfinite(promised):
            break
        tolerance = 1e-13 * abs(at.loglik)
        for _ in range(30):
            # A mean of risks that overflows is no number, which no comparison lets pass.
            with np.errstate(all="ignore"):
                tried = sets.evaluate(z, b + step)
            finite = np.isfinite(tried.information).all()
            if finite and tried.loglik >= at.loglik - tolerance:
                break
            step = step / 2
        else:
            break
        b, at = b + step, tried
        # In units of the standard error: the square of what is left is not seen in any digit.
        if promised < 1e-8:
            return b, at, step_number
    check_separation(start, at, names)
    raise CxError(
        f"no maximum of the likelihood was found in {_STEPS} Newton steps from 0 with up to 30 "
        f"halvings each (log-likelihood {at.loglik:.6g}, gradient up to "
        f"{np.abs(at.gradient).max():.3g}); look for outliers among the covariates, take logs of "
        "skewed ones, or leave some out"
    )
