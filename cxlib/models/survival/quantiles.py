"""Quantiles of survival: the time by which half, or another share, of the customers have ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib.errors import CxError
from cxlib.models.survival.curves import Interval, survival_curves

__all__ = ["median_survival", "survival_quantiles"]


def survival_quantiles(
    durations: pd.DataFrame,
    *,
    shares: Sequence[float] = (0.25, 0.5, 0.75),
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
    interval: Interval = "log-log",
) -> pd.DataFrame:
    """Times by which given shares of the customers have ended.

    Parameters
    ----------
    durations, by, confidence, from_time, interval
        As for ``survival_curves``.
    shares
        Shares that have ended, each between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row per group and share: the ``by`` columns, ``n`` int64 (customers), ``events`` int64,
        ``share_ended`` float64, ``duration_<unit>`` float64 (since the origin) with ``lower`` and
        ``upper`` (where the bounds of the curve cross). NaN: not reached within the time observed.

    Raises
    ------
    CxError
        As for ``survival_curves``, and for a share that is none.

    Warns
    -----
    CxWarning
        As for ``survival_curves``.

    Notes
    -----
    The first time at which survival is 1 - share or less. (R takes the middle where the curve is
    flat at exactly that.)

    References
    ----------
    Brookmeyer and Crowley (1982), Biometrics 38, 29-41.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> survival_quantiles(durations, shares=[0.25, 0.5])
       n  events  share_ended  duration_days  lower  upper
    0  3       2         0.25            5.0    5.0    NaN
    1  3       2         0.50            8.0    5.0    NaN
    """
    for share in shares:
        if not 0 < share < 1:
            raise CxError(f"the share {share} is none; give one between 0 and 1, such as 0.5")
    keys = [by] if isinstance(by, str) else list(by or ())
    curves = survival_curves(
        durations, by=by, confidence=confidence, from_time=from_time, interval=interval
    )
    time = next(name for name in curves.columns if name.startswith("duration_"))
    found = []
    groups = curves.groupby(keys, dropna=False, observed=True) if keys else [((), curves)]
    for group, curve in groups:
        n = int(curve["events"].sum() + curve["censored"].sum())
        own = dict(zip(keys, group, strict=True)) | {"n": n, "events": int(curve["events"].sum())}
        for share in shares:
            times = {
                new: _first_time(curve, old, 1 - share, time)
                for new, old in ((time, "survival"), ("lower", "lower"), ("upper", "upper"))
            }
            found.append(own | {"share_ended": share} | times)
    columns = [*keys, "n", "events", "share_ended", time, "lower", "upper"]
    if not len(curves):
        found = []
    return pd.DataFrame(found, columns=columns)


def median_survival(
    durations: pd.DataFrame,
    *,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    from_time: float | None = None,
    interval: Interval = "log-log",
) -> pd.DataFrame:
    """Time after which half of the customers have ended.

    Parameters
    ----------
    durations, by, confidence, from_time, interval
        As for ``survival_curves``.

    Returns
    -------
    pandas.DataFrame
        One row per group: the ``by`` columns, ``n`` int64 (customers), ``events`` int64,
        ``median_<unit>`` float64 (since the origin) with ``lower`` and ``upper``, as
        ``survival_quantiles`` gives them.

    Raises
    ------
    CxError
        As for ``survival_curves``.

    Warns
    -----
    CxWarning
        As for ``survival_curves``.

    References
    ----------
    Brookmeyer and Crowley (1982), Biometrics 38, 29-41.

    Examples
    --------
    >>> durations = pd.DataFrame({"duration_days": [5, 8, 8], "event": [True, True, False]})
    >>> median_survival(durations)
       n  events  median_days  lower  upper
    0  3       2          8.0    5.0    NaN
    """
    frame = survival_quantiles(
        durations, shares=[0.5], by=by, confidence=confidence, from_time=from_time,
        interval=interval,
    )  # fmt: skip
    names = {name: name.replace("duration_", "median_", 1) for name in frame.columns}
    named = {old: new for old, new in names.items() if old.startswith("duration_")}
    return frame.drop(columns="share_ended").rename(columns=named)


def _first_time(curve: pd.DataFrame, column: str, level: float, time: str) -> float:
    """First time at which the column is the level or less, NaN when it never is."""
    # Rounding must not move a survival of exactly one half to the next time.
    reached = curve[column] <= level + 1e-12
    return float(curve.loc[reached, time].iloc[0]) if reached.any() else np.nan
