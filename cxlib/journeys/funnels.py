"""Funnels: where journeys end, and whether the touchpoint or the path there explains it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxError, CxWarning
from cxlib.intervals import newcombe_interval, poisson_interval, wilson_interval
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, group_columns, named_groups
from cxlib.tables import END, OPEN, START

__all__ = ["abandonment", "dropoff"]

_DROPOFF = [
    *("touchpoint", "visits", "ended", "open", "n", "dropoff_rate", "lower", "upper"),
    *("expected", "lift", "lift_lower", "lift_upper"),
]
_ABANDONMENT = [
    *("touchpoint", "n", "ended", "dropoff_rate", "matched", "unmatched", "n_elsewhere"),
    *("matched_rate", "expected_rate", "difference", "lower", "upper", "excess"),
    *("elsewhere_rate", "path_difference"),
]


@named_groups
def dropoff(
    log: Journeys,
    *,
    last_position: int = 20,
    mix: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Journeys that end at each touchpoint, against what position and mix of visits explain.

    Parameters
    ----------
    log
        The log.
    last_position
        Positions from this one on count as one, because few journeys get that far.
    mix
        Column or columns of the events whose mix is taken into account too: with ``"channel"``, a
        visit in the app is held against all visits in the app at its position.
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
        from positions and mix), ``lift`` float64 (ended / expected) with ``lift_lower`` and
        ``lift_upper`` (exact Poisson, 95 %).

    Raises
    ------
    CxError
        For a ``by`` or ``mix`` column that does not exist or has too many values, or a
        ``last_position`` below 1.

    Warns
    -----
    CxWarning
        When no journey has ended, so that every rate is 0 and nothing is expected.

    Notes
    -----
    ``expected`` is indirectly standardised: each visit counts the rate at which journeys end at
    its position (``step``) and in its ``mix``, over all touchpoints. A lift above 1 says that
    journeys end here more often than where they stand explains; an interval that holds 1 says that
    chance may explain it. The ``expected`` and the ``ended`` of all touchpoints sum to the same.
    Journeys still open are in neither. A touchpoint that ends a journey by definition, such as a
    cancellation, has a rate of 1: that is no friction. The interval of the lift takes ``expected``
    as known. Rates are NaN where ``n`` is 0, and the lift where ``expected`` is.

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
    mixed, strata = group_columns(log.events, mix, keep=as_list(by))
    # Under names of their own: a column may stand in both.
    within = {f"cx_mix_{number}": name for number, name in enumerate(strata)}
    events, groups = group_columns(mixed.rename(within), by, taken=_DROPOFF)
    events = events.mutate(position=ibis.least(events.step, last_position))
    cells = (
        events.group_by([*groups, "touchpoint", "position", *within])
        .aggregate(
            visits=events.count(),
            ended=(events.next_touchpoint == END).cast("int64").sum(),
            open=(events.next_touchpoint == OPEN).cast("int64").sum(),
        )
        .to_pandas()
    )
    if len(cells) and not cells["ended"].any():
        _warn_that_none_ended(log)
    return _rates(_expect(cells, ["position", *within]), groups)


@named_groups
def abandonment(
    log: Journeys,
    touchpoint: str | Sequence[str] | None = None,
    *,
    matched_steps: int = 2,
    last_position: int = 20,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Drop-off at each touchpoint beside that of visits elsewhere after the same path.

    Parameters
    ----------
    log
        The log.
    touchpoint
        One or several; all of them when not given.
    matched_steps
        How many touchpoints before a visit must be the same for it to be held against another.
    last_position
        Positions from this one on count as one.
    by
        Column or columns of the events to count apart; visits are matched within a group.

    Returns
    -------
    pandas.DataFrame
        One row per group and touchpoint, the most excess endings first within a group: the ``by``
        columns and ``touchpoint`` (text), ``n`` int64 (visits whose outcome is known), ``ended``
        int64 (of them), ``dropoff_rate`` float64 (of n), ``matched`` and ``unmatched`` int64
        (visits that some visit to another touchpoint matches, or none), ``n_elsewhere`` int64
        (those other visits), ``matched_rate`` and ``expected_rate`` float64 (endings per visit
        here, and elsewhere after the same path, weighted alike), ``difference`` float64
        (matched_rate - expected_rate: the touchpoint's part) with ``lower`` and ``upper`` (95 %),
        ``excess`` float64 (difference * matched: endings more than elsewhere), ``elsewhere_rate``
        float64 (of all visits to other touchpoints), ``path_difference`` float64 (dropoff_rate -
        elsewhere_rate - difference: the part of the path).

    Raises
    ------
    CxError
        For an unknown touchpoint or ``by`` column, or a number below its minimum.

    Notes
    -----
    A stratum is the last ``matched_steps`` touchpoints before the visit, in their order, and its
    position (``step``); a journey's beginning counts as ``(start)``. The difference is that of
    Mantel and Haenszel over the strata, its interval Sato's, which holds in many small strata as
    in few large ones; it takes visits as independent. Where nothing ended, or everything did, on
    both sides, the interval is Newcombe's. Visits that are the latest of a journey still open
    are left out. What cannot be matched has no part in the difference; where ``matched`` is 0
    there is none (NaN). Touchpoints that end a journey by definition stand among the visits
    elsewhere as well. The same path is not the same customer: this is association.

    References
    ----------
    Mantel and Haenszel (1959), Journal of the National Cancer Institute 22, 719-748; Sato (1989),
    Biometrics 45, 1323-1324.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": list("aabbccdd"), "touchpoint": ["visit", "ask", "visit", "ask",
    ...      "visit", "buy", "visit", "buy"], "occurred_at": ["2024-01-01", "2024-01-02"] * 4},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["n", "ended", "matched", "n_elsewhere", "difference", "path_difference"]
    >>> abandonment(log, "ask")[columns]
       n  ended  matched  n_elsewhere  difference  path_difference
    0  2      2        2            2         0.0         0.666667
    """
    for name, number, smallest in [
        ("matched_steps", matched_steps, 0),
        ("last_position", last_position, 1),
    ]:
        if number < smallest:
            raise CxError(f"{name} is {number}, and must be at least {smallest}")
    names = check_touchpoints(log, as_list(touchpoint))
    events, groups = group_columns(log.events, by, taken=_ABANDONMENT)
    cells = _visits(events, groups, matched_steps, last_position)
    frame = _excess(_match(cells, groups).to_pandas(), groups)
    return frame[frame["touchpoint"].isin(names)].reset_index(drop=True) if names else frame


def _warn_that_none_ended(log: Journeys) -> None:
    if log.closes_after is None:
        mend = "`journeys: {closes_after: 30 days}` in sources.yml says after what silence one has"
    else:
        mend = f"none was silent for longer than {log.closes_after} (`closes_after`) before the end"
    warnings.warn(
        f"no journey has ended, so that nothing can be said of where they do; {mend}",
        CxWarning,
        stacklevel=4,
    )


def _visits(events: ir.Table, groups: list[str], matched_steps: int, last: int) -> ir.Table:
    """Visits whose outcome is known, and endings, per stratum and touchpoint."""
    journey = ibis.window(group_by="journey_id", order_by="step")
    before = {
        f"before_{back}": events.touchpoint.lag(back).over(journey).fill_null(START)
        for back in range(1, matched_steps + 1)
    }
    placed = events.select(
        *(events[name].name(f"group_{number}") for number, name in enumerate(groups)),
        "touchpoint",
        "next_touchpoint",
        position=ibis.least(events.step, last),
        **before,
    )
    # Only now: the touchpoints before an open visit are known all the same.
    placed = placed.filter(placed.next_touchpoint != OPEN)
    strata = [*(f"group_{number}" for number in range(len(groups))), "position", *before]
    cells = placed.group_by([*strata, "touchpoint"]).aggregate(
        n=placed.count().cast("float64"),
        ended=(placed.next_touchpoint == END).cast("float64").sum(),
    )
    own = ibis.window(group_by=strata)
    return cells.mutate(total=cells.n.sum().over(own), endings=cells.ended.sum().over(own))


def _match(cells: ir.Table, groups: list[str]) -> ir.Table:
    """Sums over the strata of each touchpoint: what Mantel-Haenszel and Sato need."""
    n, x, total = cells.n, cells.ended, cells.total
    m, y = total - n, cells.endings - x
    found = m > 0
    both = (n / total) * (m / total)
    keys = {name: cells[f"group_{number}"] for number, name in enumerate(groups)}
    return cells.group_by(**keys, touchpoint=cells.touchpoint).aggregate(
        n=n.sum(),
        ended=x.sum(),
        matched=n.sum(where=found),
        n_elsewhere=m.sum(where=found),
        weight=(n * m / total).sum(),
        here=(m * x / total).sum(),
        there=(n * y / total).sum(),
        p=((n / total) ** 2 * y - (m / total) ** 2 * x + both * (m - n) / 2).sum(),
        q=((x * (m - y) + y * (n - x)) / (2 * total)).sum(),
    )


def _excess(sums: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    frame = sums.fillna({"matched": 0.0, "n_elsewhere": 0.0})
    weight = frame["weight"].where(frame["weight"] > 0)
    all_n, all_ended = (
        frame.groupby(groups)[name].transform("sum") if groups else frame[name].sum()
        for name in ("n", "ended")
    )
    others = all_n - frame["n"]
    frame["dropoff_rate"] = frame["ended"] / frame["n"]
    frame["matched_rate"], frame["expected_rate"] = frame["here"] / weight, frame["there"] / weight
    frame["difference"] = frame["matched_rate"] - frame["expected_rate"]
    frame["lower"], frame["upper"] = _sato_interval(frame, weight)
    frame["excess"] = frame["difference"] * frame["matched"]
    frame["elsewhere_rate"] = (all_ended - frame["ended"]) / others.where(others > 0)
    crude = frame["dropoff_rate"] - frame["elsewhere_rate"]
    frame["path_difference"] = crude - frame["difference"]
    frame["unmatched"] = frame["n"] - frame["matched"]
    counts = ["n", "ended", "matched", "unmatched", "n_elsewhere"]
    frame = frame.astype(dict.fromkeys(counts, "int64"))
    keys = [*groups, "excess", "touchpoint"]
    ascending = [key != "excess" for key in keys]
    return frame.sort_values(keys, ascending=ascending, ignore_index=True)[[*groups, *_ABANDONMENT]]


def _sato_interval(frame: pd.DataFrame, weight: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    variance = (frame["difference"] * frame["p"] + frame["q"]) / weight**2
    half = special.ndtri(0.975) * np.sqrt(variance.clip(lower=0))
    lower, upper = frame["difference"] - half, frame["difference"] + half
    fewest, most = newcombe_interval(
        frame["matched_rate"] * frame["matched"],
        frame["matched"],
        frame["expected_rate"] * frame["n_elsewhere"],
        frame["n_elsewhere"],
    )
    certain = ~(variance > 1e-12)
    return (
        np.where(certain, fewest, lower.clip(lower=-1)),
        np.where(certain, most, upper.clip(upper=1)),
    )


def _expect(cells: pd.DataFrame, within: list[str]) -> pd.DataFrame:
    """Cells with the endings expected from the rate of their position and mix over all cells."""
    cells = cells.assign(n=cells["visits"] - cells["open"])
    totals = cells.groupby(within)[["ended", "n"]].transform("sum")
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
