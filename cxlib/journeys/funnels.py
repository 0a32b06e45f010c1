"""Funnels: where journeys end, and whether the touchpoint or the path there explains it."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import pandas as pd

from cxlib.errors import CxError
from cxlib.intervals import poisson_interval, wilson_interval
from cxlib.journeys.log import Journeys, group_columns
from cxlib.tables import END, OPEN

__all__ = ["dropoff"]

_DROPOFF = [
    *("touchpoint", "visits", "ended", "open", "n", "dropoff_rate", "lower", "upper"),
    *("expected", "lift", "lift_lower", "lift_upper"),
]


def dropoff(
    log: Journeys, *, last_position: int = 20, by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Journeys that end at each touchpoint, against what its position in the journey explains.

    Parameters
    ----------
    log
        The log.
    last_position
        Positions from this one on count as one, because few journeys get that far.
    by
        Column or columns of the events to count apart. What is expected is taken from all groups
        together, so that groups can be compared.

    Returns
    -------
    pandas.DataFrame
        One row per group and touchpoint, most endings first within a group: the ``by`` columns
        and ``touchpoint`` (text), ``visits`` int64 (events), ``ended`` and ``open`` int64 (visits
        that were the last of a journey, ended or still going on at ``observed_until``), ``n``
        int64 (visits whose outcome is known: visits - open), ``dropoff_rate`` float64 (ended of
        n) with ``lower`` and ``upper`` (Wilson, 95 %), ``expected`` float64 (endings expected
        from positions), ``lift`` float64 (ended / expected) with ``lift_lower`` and
        ``lift_upper`` (exact Poisson, 95 %).

    Raises
    ------
    CxError
        For a ``by`` column that does not exist or has too many values.

    Notes
    -----
    ``expected`` is indirectly standardised: each visit counts the rate at which journeys end at
    its position (``step``), over all touchpoints. A lift above 1 says that journeys end here more
    often than where they stand explains; an interval that holds 1 says that chance may explain
    it. The ``expected`` and the ``ended`` of all touchpoints sum to the same. Journeys still open
    are in neither. A touchpoint that ends a journey by definition, such as a cancellation, has a
    rate of 1: that is no friction. The interval of the lift takes ``expected`` as known. Rates
    are NaN where ``n`` is 0, and the lift where ``expected`` is.

    References
    ----------
    Breslow and Day (1987), Statistical Methods in Cancer Research II, chapter 2.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"], "touchpoint": ["visit", "buy", "visit", "ask"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> dropoff(log)[["touchpoint", "visits", "ended", "open", "dropoff_rate", "expected", "lift"]]
      touchpoint  visits  ended  open  dropoff_rate  expected  lift
    0        buy       1      1     0           1.0       1.0   1.0
    1      visit       2      1     0           0.5       1.0   1.0
    2        ask       1      0     1           NaN       0.0   NaN
    """
    if last_position < 1:
        raise CxError(f"last_position is {last_position}, and must be at least 1")
    events, groups = group_columns(log.events, by, taken=_DROPOFF)
    events = events.mutate(position=ibis.least(events.step, last_position))
    cells = (
        events.group_by([*groups, "touchpoint", "position"])
        .aggregate(
            visits=events.count(),
            ended=(events.next_touchpoint == END).cast("int64").sum(),
            open=(events.next_touchpoint == OPEN).cast("int64").sum(),
        )
        .to_pandas()
    )
    return _rates(_expect(cells), groups)


def _expect(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with the endings expected from the rate of their position over all cells."""
    cells = cells.assign(n=cells["visits"] - cells["open"])
    totals = cells.groupby("position")[["ended", "n"]].transform("sum")
    # A position at which every journey is still open expects nothing.
    rate = (totals["ended"] / totals["n"].where(totals["n"] > 0)).fillna(0.0)
    return cells.assign(expected=cells["n"] * rate)


def _rates(cells: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    counts = ["visits", "ended", "open", "n", "expected"]
    frame = cells.groupby([*groups, "touchpoint"], as_index=False)[counts].sum()
    n = frame["n"].where(frame["n"] > 0)
    expected = frame["expected"].where(frame["expected"] > 0)
    lower, upper = wilson_interval(frame["ended"], frame["n"])
    fewest, most = poisson_interval(frame["ended"])
    frame = frame.assign(
        dropoff_rate=frame["ended"] / n,
        lower=lower,
        upper=upper,
        lift=frame["ended"] / expected,
        lift_lower=fewest / expected,
        lift_upper=most / expected,
    )
    keys = [*groups, "ended", "touchpoint"]
    ascending = [key != "ended" for key in keys]
    frame = frame.sort_values(keys, ascending=ascending, ignore_index=True)
    return frame[[*groups, *_DROPOFF]]
