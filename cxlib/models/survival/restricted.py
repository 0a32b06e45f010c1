"""Restricted means: the time that customers stay on average, up to a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import check_confidence
from cxlib.models.survival.counts import (
    counts_by_time,
    name_group,
    read_durations,
    split_groups,
    warn_of_late_entry,
)

__all__ = ["compare_restricted_means", "restricted_means"]

Array = NDArray[Any]


def restricted_means(
    durations: pd.DataFrame,
    *,
    until: float,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
) -> pd.DataFrame:
    """Mean time that customers stay within a limit (restricted mean survival time).

    Parameters
    ----------
    durations, by, confidence
        As for ``survival_curves``.
    until
        The limit, in the unit of the durations since the origin.
    from_time
        Count the time from here on, among those who lasted longer.

    Returns
    -------
    pandas.DataFrame
        One row per group: the ``by`` columns, ``n`` and ``events`` int64 (customers, and ends up to
        the limit), ``until_<unit>``, ``restricted_mean_<unit>`` float64 (area under the curve) with
        ``standard_error``, ``lower`` and ``upper``.

    Raises
    ------
    CxError
        As for ``survival_curves``; when a group was not followed to the limit while some of it were
        left; and when a curve starts later than the time that is counted.

    Warns
    -----
    CxWarning
        As for ``survival_curves``.

    Notes
    -----
    The variance is the sum over event times of (area from there to the limit) squared times
    events / (at risk (at risk - events)).

    References
    ----------
    Royston and Parmar (2013), BMC Medical Research Methodology 13, 152. Uno et al. (2014), J.
    Clinical Oncology 32, 2380-2385.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> restricted_means(durations, until=8)[["n", "restricted_mean_days", "standard_error"]]
       n  restricted_mean_days  standard_error
    0  3                   7.0        0.816497
    """
    check_confidence(confidence)
    keys = [by] if isinstance(by, str) else list(by or ())
    spells, unit = read_durations(durations, keys, from_time)
    begin = from_time or 0
    if not np.isfinite(until) or until <= begin:
        raise CxError(f"until is {until}, and must be later than {begin} {unit}")
    found = []
    for group, rows in split_groups(spells, keys):
        table = counts_by_time(rows, from_time)
        name = name_group(keys, group)
        warn_of_late_entry(table, rows, name, unit, starts_late=False, up=2)
        mean, error = _area(table, begin, until, name, unit)
        events = int(table.loc[table["time"] <= until, "events"].sum())
        own = {"n": int(rows["n"].sum()), "events": events, "until": until}
        found.append(dict(zip(keys, group, strict=True)) | own | {"mean": mean, "error": error})
    columns = [*keys, "n", "events", "until", "mean", "error"]
    frame = pd.DataFrame(found, columns=columns)
    width = special.ndtri(0.5 + confidence / 2) * frame["error"]
    frame = frame.assign(
        lower=(frame["mean"] - width).clip(lower=0),
        upper=(frame["mean"] + width).clip(upper=until - begin),
    )
    names = {"until": f"until_{unit}", "mean": f"restricted_mean_{unit}", "error": "standard_error"}
    return frame.rename(columns=names)


def compare_restricted_means(
    durations: pd.DataFrame,
    *,
    by: str,
    until: float,
    reference: Any = None,
    confidence: float = 0.95,
    from_time: float | None = None,
) -> pd.DataFrame:
    """Difference and ratio of the mean times that groups stay within a limit.

    Parameters
    ----------
    durations, until, confidence, from_time
        As for ``restricted_means``.
    by
        Column that tells the groups.
    reference
        The group that the others are compared with; the largest when None.

    Returns
    -------
    pandas.DataFrame
        One row per other group: ``by`` (its name), ``reference``, ``n`` and ``n_reference`` int64,
        ``difference_<unit>`` float64 with ``difference_lower``, ``difference_upper`` and
        ``difference_p_value``, ``ratio`` float64 with ``ratio_lower``, ``ratio_upper`` and
        ``ratio_p_value``.

    Raises
    ------
    CxError
        As for ``restricted_means``, for an unknown reference, and for fewer than two groups.

    Warns
    -----
    CxWarning
        As for ``restricted_means``.

    Notes
    -----
    Groups are taken as independent. The interval of the ratio is symmetric on the log scale. A
    difference is an association: groups differ in more than their name.

    References
    ----------
    Uno et al. (2014), J. Clinical Oncology 32, 2380-2385.

    Examples
    --------
    >>> durations = pd.DataFrame({
    ...     "plan": ["basic", "basic", "pro", "pro"], "duration_months": [2, 6, 4, 6],
    ...     "event": [True, False] * 2, "n": [40, 60, 30, 30],
    ... })
    >>> compare_restricted_means(durations, by="plan", until=6)[
    ...     ["plan", "reference", "difference_months", "ratio"]].round(3)
      plan reference  difference_months  ratio
    0  pro     basic                0.6  1.136
    """
    means = restricted_means(
        durations, until=until, by=by, confidence=confidence, from_time=from_time
    )
    if len(means) < 2:
        raise CxError(f"{by!r} has {len(means)} group, and a comparison needs two")
    mean = next(name for name in means.columns if name.startswith("restricted_mean_"))
    chosen = means.loc[means["n"].idxmax(), by] if reference is None else reference
    if chosen not in set(means[by]):
        raise unknown_name("group", chosen, means[by], f"of {by!r}")
    base = means[means[by] == chosen].iloc[0]
    others = means[means[by] != chosen].reset_index(drop=True)
    z = special.ndtri(0.5 + confidence / 2)
    difference = others[mean] - base[mean]
    error = np.hypot(others["standard_error"], base["standard_error"])
    ratio = others[mean] / base[mean]
    log_error = np.hypot(
        others["standard_error"] / others[mean], base["standard_error"] / base[mean]
    )
    return pd.DataFrame(
        {
            by: others[by],
            "reference": chosen,
            "n": others["n"],
            "n_reference": base["n"],
            mean.replace("restricted_mean_", "difference_"): difference,
            "difference_lower": difference - z * error,
            "difference_upper": difference + z * error,
            "difference_p_value": _p_value(difference, error),
            "ratio": ratio,
            "ratio_lower": ratio * np.exp(-z * log_error),
            "ratio_upper": ratio * np.exp(z * log_error),
            "ratio_p_value": _p_value(np.log(ratio), log_error),
        }
    )


def _p_value(estimate: Array, error: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return special.erfc(np.abs(np.asarray(estimate) / np.asarray(error)) / np.sqrt(2))


def _area(
    table: pd.DataFrame, begin: float, until: float, name: str, unit: str
) -> tuple[float, float]:
    """Area under a curve from its begin to the limit, and its standard error."""
    first, last = table["time"].iloc[0], table["time"].iloc[-1]
    if first > begin:
        raise CxError(
            f"{name} starts at {first} {unit}, and how long customers stayed before is not known; "
            f"count from there, with from_time={first}"
        )
    n, d = (table[column].to_numpy("float64") for column in ("at_risk", "events"))
    survival = np.cumprod(1 - d / np.maximum(n, 1))
    if last < until and survival[-1] > 0:
        raise CxError(
            f"{name} ends at {last} {unit}, where {survival[-1]:.1%} are left, and nothing is "
            f"known of them until {until}; give an earlier limit, at most {last}"
        )
    inside = table["time"].to_numpy("float64") < until
    edges = np.append(table["time"].to_numpy("float64")[inside], until)
    areas = survival[inside] * np.diff(edges)
    after = np.cumsum(areas[::-1])[::-1]
    n, d = n[inside], d[inside]
    # Where all who are at risk end nothing comes after, and nothing varies.
    spread = np.where((d > 0) & (n > d), d / np.maximum(n * (n - d), 1), 0.0)
    return float(areas.sum()), float(np.sqrt((after**2 * spread).sum()))
