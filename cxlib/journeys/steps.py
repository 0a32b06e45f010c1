"""Step matrix: where the journeys of a log stand, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.log import Journeys, check_touchpoints, group_columns, named_groups
from cxlib.tables import END, OPEN, OTHER, START

__all__ = ["step_matrix"]

_STEP_MATRIX = ["step", "touchpoint", "journeys", "n", "share"]


@named_groups
def step_matrix(
    log: Journeys,
    *,
    steps: int = 10,
    keep: int = 12,
    align: str = "start",
    around: str | None = None,
    before: int = 3,
    after: int = 5,
    occurrence: str = "first",
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Share of journeys at each touchpoint, by step; journeys that are over stay in the picture.

    Parameters
    ----------
    log
        The log.
    steps
        Steps to show, from the start or up to the end. Not used with ``around``.
    keep
        Touchpoints named, those with most events in the steps shown (by name where equal); the rest
        are bundled as ``(other)``.
    align
        "start": step 1 is the first event. "end": step -1 is the last event of an ended journey;
        journeys still open have no end yet, and are left out.
    around
        A touchpoint to count from instead: it is step 0, and journeys without it are left out.
    before, after
        Steps to show before and after ``around``.
    occurrence
        Which one to count from when a journey has ``around`` more than once: "first" or "last".
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event. The named touchpoints are the same in all groups.

    Returns
    -------
    pandas.DataFrame
        One row per group, step and touchpoint that occurs: the ``by`` columns (text), ``step``
        int64, ``touchpoint`` (text), ``journeys`` int64, ``n`` int64 (journeys of the group in the
        matrix, the same at every step), ``share`` float64 (of ``n``; a step sums to 1).

    Raises
    ------
    CxError
        For an unknown touchpoint, alignment or ``by`` column, or a number below its minimum.

    Notes
    -----
    After its last event a journey stays in ``(end)``, or in ``(open)`` when it goes on at
    ``observed_until``; before its first one it is in ``(start)``. So every journey is somewhere at
    every step. Events at the same time are taken in the order of their ``event_id``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> step_matrix(log, steps=3)
       step touchpoint  journeys  n  share
    0     1      visit         2  2    1.0
    1     2      (end)         1  2    0.5
    2     2        buy         1  2    0.5
    3     3      (end)         2  2    1.0
    """
    _check_sizes(steps=(steps, 1), keep=(keep, 1), before=(before, 0), after=(after, 0))
    if align not in ("start", "end"):
        raise unknown_name("alignment", align, ["start", "end"])
    if occurrence not in ("first", "last"):
        raise unknown_name("occurrence", occurrence, ["first", "last"])
    first, groups = group_columns(log.events.filter(log.events.step == 1), by, taken=_STEP_MATRIX)
    journeys = log.journeys.select("journey_id", "length", "is_open")
    if groups:
        journeys = journeys.join(first.select("journey_id", *groups), "journey_id")
    if around is not None:
        check_touchpoints(log, [around])
        anchors = log.events.filter(log.events.touchpoint == around)
        step = anchors.step.min() if occurrence == "first" else anchors.step.max()
        anchors = anchors.group_by("journey_id").aggregate(_anchor=step)
        journeys, low, high = journeys.join(anchors, "journey_id"), -before, after
    elif align == "end":
        journeys = journeys.filter(~journeys.is_open)
        journeys, low, high = journeys.mutate(_anchor=journeys.length + 1), -steps, -1
    else:
        low, high = 1, steps
    placed = log.events.select("journey_id", "touchpoint", "step")
    if groups or "_anchor" in journeys.columns:
        placed = _place(placed, journeys, groups)
    cells = pd.concat([_visited(placed, groups, low, high), _outside(journeys, groups, low, high)])
    return _shares(_bundle(cells, keep), groups)


def _place(events: ir.Table, journeys: ir.Table, groups: list[str]) -> ir.Table:
    """Events with their step from the anchor of their journey, in the group of their journey."""
    anchored = "_anchor" in journeys.columns
    anchors = journeys.select("journey_id", *(["_anchor"] if anchored else []), *groups)
    placed = events.join(anchors, "journey_id")
    return placed.mutate(step=placed.step - placed._anchor) if anchored else placed


def _visited(placed: ir.Table, groups: list[str], low: int, high: int) -> pd.DataFrame:
    """Journeys per touchpoint and step, of those that have an event there."""
    # No step is before the first one.
    placed = placed.filter(placed.step <= high, *([placed.step >= low] if low != 1 else []))
    return placed.group_by([*groups, "step", "touchpoint"]).agg(journeys=placed.count()).to_pandas()


def _outside(journeys: ir.Table, groups: list[str], low: int, high: int) -> pd.DataFrame:
    """Journeys per step that have not started, or are over."""
    # What lies beyond the steps shown is the same to each of them.
    if "_anchor" in journeys.columns:
        spans = journeys.mutate(
            _first=ibis.greatest(1 - journeys._anchor, low),
            _last=ibis.least(journeys.length - journeys._anchor, high),
        )
        ends = ["_first", "_last"]
    else:
        spans, ends = journeys.mutate(_last=ibis.least(journeys.length, high)), ["_last"]
    spans = spans.group_by([*groups, *ends, "is_open"]).aggregate(journeys=spans.count())
    spans = spans.to_pandas()
    if "_first" not in spans:
        spans["_first"] = low
    every = spans.merge(pd.DataFrame({"step": range(low, high + 1)}), how="cross")
    early, over = every["_first"] > every["step"], every["_last"] < every["step"]
    ended = np.where(every["is_open"].astype(bool), OPEN, END)
    every = every.assign(touchpoint=np.where(early, START, ended))[early | over]
    return every[[*groups, "step", "touchpoint", "journeys"]]


def _bundle(cells: pd.DataFrame, keep: int) -> pd.DataFrame:
    """Cells with all but the most frequent touchpoints bundled."""
    visited = cells[~cells["touchpoint"].isin([START, END, OPEN])]
    totals = visited.groupby("touchpoint", as_index=False)[["journeys"]].sum()
    totals = totals.sort_values(["journeys", "touchpoint"], ascending=[False, True])
    bundled = cells["touchpoint"].isin(totals["touchpoint"].iloc[keep:])
    return cells.assign(touchpoint=cells["touchpoint"].mask(bundled, OTHER))


def _shares(cells: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    keys = [*groups, "step", "touchpoint"]
    frame = cells.groupby(keys, as_index=False, sort=False)[["journeys"]].sum()
    frame = frame.astype({"step": "int64", "journeys": "int64"})
    frame["n"] = frame.groupby([*groups, "step"])["journeys"].transform("sum")
    frame["share"] = frame["journeys"] / frame["n"]
    order = [*groups, "step", "journeys", "touchpoint"]
    ascending = [name != "journeys" for name in order]
    frame = frame.sort_values(order, ascending=ascending, ignore_index=True)
    return frame[[*groups, *_STEP_MATRIX]]


def _check_sizes(**sizes: tuple[int, int]) -> None:
    for name, (size, smallest) in sizes.items():
        if size < smallest:
            raise CxError(f"{name} is {size}, and must be at least {smallest}")
