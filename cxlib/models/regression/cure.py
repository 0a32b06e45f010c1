"""Cure models: a share that never ends, and a distribution of the time for the others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.intervals import check_confidence
from cxlib.models.regression.rows import Columns, Rows, check_table, count_rows

__all__ = ["CureModel", "fit_cure"]

Array = NDArray[np.float64]

_FITTERS = {
    "weibull": ("WeibullFitter", ("lambda_", "rho_")),
    "log-logistic": ("LogLogisticFitter", ("alpha_", "beta_")),
    "log-normal": ("LogNormalFitter", ("mu_", "sigma_")),
}
_DOUBT = 0.05
"""Maller and Zhou's bound, above which the follow-up may be too short."""


@dataclass(frozen=True)
class CureModel:
    """A fitted mixture of customers who never end and customers who do.

    Attributes
    ----------
    summary
        One row per group: the ``by`` columns, ``n``, ``events``, ``never_end`` float64 (share that
        would never end) with ``standard_error``, ``lower`` and ``upper``, ``scale`` and ``shape``
        of the time of the others, ``follow_up_p_value`` float64 (Maller and Zhou; small: seen for
        long enough) and ``log_likelihood``.
    distribution
        As it was given.
    lifelines
        lifelines' fitted objects, by group.

    Examples
    --------
    >>> table = pd.DataFrame({"months": [1, 2, 3, 24], "event": [True] * 3 + [False],
    ...                       "n": [50, 80, 20, 100]})
    >>> model = fit_cure(table, duration="months", event="event")
    >>> model.predict([12]).round(2)
       months  survival
    0      12       0.4
    """

    summary: pd.DataFrame
    distribution: str
    lifelines: dict[tuple[Any, ...], Any] = field(repr=False)
    _by: list[str] = field(repr=False)
    _duration: str = field(repr=False)
    _last: dict[tuple[Any, ...], float] = field(repr=False)

    def predict(self, times: Sequence[float], *, extrapolate: bool = False) -> pd.DataFrame:
        """Survival of each group, by time since the origin.

        Parameters
        ----------
        times
            Times since the origin, in the unit of the duration.
        extrapolate
            Whether times beyond the longest that was seen in a group may be asked for.

        Returns
        -------
        pandas.DataFrame
            One row per group and time: the ``by`` columns, the duration, ``survival`` float64.

        Raises
        ------
        CxError
            For times before 0, and times beyond the longest seen unless ``extrapolate``.
        """
        at, last = np.asarray(times, dtype="float64"), min(self._last.values())
        if not np.isfinite(at).all() or (at < 0).any():
            raise CxError("times must be numbers from 0 on; give those since the origin")
        if (at > last).any() and not extrapolate:
            raise CxError(
                f"survival at {at.max():g} would be extrapolated: some group was not seen for "
                f"longer than {last:g}; ask for earlier times, or say extrapolate=True"
            )
        parts = []
        for group, fitted in self.lifelines.items():
            survival = fitted.survival_function_at_times(np.maximum(at, 1e-12)).to_numpy()
            own = dict(zip(self._by, group, strict=True))
            parts.append(pd.DataFrame(own | {self._duration: times, "survival": survival}))
        return pd.concat(parts, ignore_index=True)


def fit_cure(
    table: pd.DataFrame,
    *,
    duration: str,
    event: str,
    by: str | Sequence[str] | None = None,
    distribution: Literal["weibull", "log-logistic", "log-normal"] = "weibull",
    cause: Any = None,
    weights: str | None = "n",
    entry: str | None = None,
    confidence: float = 0.95,
) -> CureModel:
    """Mixture cure model: the share that would never end, and how soon the others do.

    Parameters
    ----------
    table, duration, event, cause, weights, entry, confidence
        As for ``fit_cox``.
    by
        Column or columns to fit apart.
    distribution
        Of the time of those who end: "weibull", "log-logistic" or "log-normal".

    Returns
    -------
    CureModel
        With ``summary``, ``lifelines`` and the method ``predict``.

    Raises
    ------
    CxError
        As for ``fit_cox``, for durations of 0, and where lifelines finds no maximum.

    Warns
    -----
    CxWarning
        When ends go on until the last time seen, so that the share that never ends is read from
        the shape of the distribution and not from a curve that has become flat.

    Notes
    -----
    S(t) = c + (1 - c) S0(t), fitted by lifelines on counted rows. Whether somebody never ends
    cannot be seen in any finite time: the share is what the distribution leaves over. Maller and
    Zhou's bound is (1 - k / n)^n, with k the ends in the last stretch, as long as that from the
    last end to the last time seen; it is the probability of no end there that would leave the share
    unbiased.

    References
    ----------
    Maller and Zhou (1996), Survival Analysis with Long-Term Survivors, Wiley, chapter 4. Farewell
    (1982), Biometrics 38, 1041-1046.

    Examples
    --------
    >>> table = pd.DataFrame({"months": [1, 2, 3, 24], "event": [True] * 3 + [False],
    ...                       "n": [50, 80, 20, 100]})
    >>> fit_cure(table, duration="months", event="event").summary[["n", "never_end"]].round(3)
         n  never_end
    0  250        0.4
    """
    check_confidence(confidence)
    if distribution not in _FITTERS:
        raise unknown_name("distribution", distribution, sorted(_FITTERS))
    keys = [by] if isinstance(by, str) else list(by or ())
    counted = None if weights == "n" and "n" not in table.columns else weights
    columns = Columns(duration, event, cause, (), counted, entry, tuple(keys), None)
    check_table(table, columns)
    rows = count_rows(table, columns)
    if (zero := rows.exit <= 0).any():
        raise CxError(
            f"{rows.n[zero].sum():,.0f} customers have a {duration!r} of 0, which has no place in "
            "a distribution of times; drop them, or count an end in the first unit as 1"
        )
    parts, fits, last = [], {}, {}
    for code in range(len(rows.strata)):
        group = tuple(rows.strata.iloc[code]) if keys else ()
        own = dict(zip(keys, group, strict=True))
        here = rows.stratum == code
        if not rows.event[here].any():
            raise CxError(f"nobody ended in the group {own}; leave it out or merge it")
        fits[group] = _fit(rows, here, distribution, confidence, own)
        last[group] = float(rows.exit[here].max())
        parts.append(own | _row(fits[group], rows, here, distribution, confidence))
        if parts[-1]["follow_up_p_value"] > _DOUBT:
            where = f" of {own}" if own else ""
            warnings.warn(
                f"ends{where} go on until the last time seen ({last[group]:g}): the share that "
                "never ends rests on the shape of the distribution; follow customers for longer, "
                "or compare distributions",
                CxWarning,
                stacklevel=2,
            )
    return CureModel(pd.DataFrame(parts), distribution, fits, keys, duration, last)


def _fit(
    rows: Rows, here: NDArray[np.bool_], distribution: str, confidence: float, own: dict[str, Any]
) -> Any:
    import lifelines
    from lifelines.exceptions import ConvergenceError

    base = getattr(lifelines, _FITTERS[distribution][0])()
    entry = np.maximum(rows.entry[here], 0.0)
    ended = rows.event[here]
    share = (rows.n[here] * ended).sum() / rows.n[here].sum()
    times = np.average(rows.exit[here][ended], weights=rows.n[here][ended])
    first = np.log(times) if distribution == "log-normal" else times
    said = ""
    # Two starts, because the mixture has a second maximum without any who never end.
    best = None
    for start in ([max(1 - share, 0.01), first, 1.0], [0.05, 2 * first, 1.0]):
        fitter = lifelines.MixtureCureFitter(base_fitter=base, alpha=1 - confidence)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitter.fit(
                    rows.exit[here],
                    ended,
                    weights=rows.n[here],
                    entry=entry if entry.any() else None,
                    initial_point=np.array(start),
                    fit_options={"ftol": 1e-14, "gtol": 1e-9},
                )
        except (ConvergenceError, ValueError, np.linalg.LinAlgError) as error:
            said = str(error).strip().splitlines()[0]
            continue
        if best is None or fitter.log_likelihood_ > best.log_likelihood_:
            best = fitter
    if best is None:
        where = f" in the group {own}" if own else ""
        raise CxError(
            f"lifelines found no maximum of the {distribution} cure likelihood{where} from two "
            f"starts ({said}); take another distribution, or fit_aft without a cured share"
        )
    return best


def _row(
    fitted: Any, rows: Rows, here: NDArray[np.bool_], distribution: str, confidence: float
) -> dict[str, Any]:
    n, ended = rows.n[here], rows.event[here]
    share = float(fitted.cured_fraction_)
    error = float(fitted.summary.loc["cured_fraction_", "se(coef)"])
    width = special.ndtri(0.5 + confidence / 2) * error
    # At an edge a symmetric interval says nothing; inside it is that of the logit.
    inside = 1e-6 < share < 1 - 1e-6 and np.isfinite(error)
    reach = width / (share * (1 - share)) if inside else np.nan
    bounds = special.expit(special.logit(share) + np.array([-reach, reach])) if inside else None
    scale, shape = (float(getattr(fitted, name)) for name in _FITTERS[distribution][1])
    return {
        "n": int(n.sum()),
        "events": int((n * ended).sum()),
        "never_end": share if inside else round(share, 6),
        "standard_error": error if inside else np.nan,
        "lower": bounds[0] if bounds is not None else np.nan,
        "upper": bounds[1] if bounds is not None else np.nan,
        "scale": np.exp(scale) if distribution == "log-normal" else scale,
        "shape": shape,
        "follow_up_p_value": _follow_up(rows.exit[here], ended, n),
        "log_likelihood": float(fitted.log_likelihood_),
    }


def _follow_up(exits: Array, ended: NDArray[np.bool_], n: Array) -> float:
    last_end, last = exits[ended].max(), exits.max()
    recent = ended & (exits > 2 * last_end - last)
    total = n.sum()
    return float((1 - (n * recent).sum() / total) ** total)
