"""Counts: spells by time and outcome, and the risk table, made in the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.clock import check_unit, moment, units_between
from cxlib.journeys.log import NO_GROUP, as_list
from cxlib.models.outcomes.episodes import Spells
from cxlib.models.outcomes.histories import GOES_ON, History, split_at_changes
from cxlib.models.outcomes.rules import ADMINISTRATIVE
from cxlib.spans import parse_span

__all__ = ["risk_rows", "risk_table", "spell_counts"]

_MOST_ROWS = 5_000_000
_MOST_CELLS = 20_000_000
_OWN = ("event", "cause", "n", "entry", "duration", "n_at_risk", "events", "customer_id", "spell")


def spell_counts(
    spells: Spells,
    *,
    by: str | Sequence[str] | None = None,
    unit: str = "days",
    causes: Mapping[str, str | Sequence[str]] | None = None,
    time_varying: Mapping[str, History] | None = None,
    lead_time: str | timedelta | None = None,
) -> pd.DataFrame:
    """Spells counted by entry, duration and outcome, ready for curves, tests and Cox.

    Parameters
    ----------
    spells
        What ``spells`` gives.
    by
        Columns of the spells to count apart: groups and covariates.
    unit
        Unit of the times: "hours", "days", "weeks" or "months" (calendar months since the origin).
    causes
        Causes to count as one: ``{"voluntary": ["price", "service"]}``.
    time_varying
        Covariates that change (``covariate_history``), by their names. A spell is cut where one
        does; its stretches but the last end with the cause "(goes on)" and no event.
    lead_time
        Span before an interval in which what happens is not known yet.

    Returns
    -------
    pandas.DataFrame
        One row per group, entry, duration and outcome: the ``by`` columns (missing text is
        "(none)"), the ``time_varying`` ones, ``entry_<unit>`` and ``duration_<unit>`` int64,
        ``event`` bool, ``cause`` (which end, or in parentheses why there is none) and ``n`` int64
        (spells, or stretches of them).

    Raises
    ------
    CxError
        For an unknown column, unit or cause, and where so many groups make too many rows.

    Notes
    -----
    Only whole units that were seen count, for everybody alike: an end in the k-th unit has the
    duration k (at least 1); a censored time is rounded down, a late entry up. An end in a unit that
    was not over at ``observed_until`` is censored with the others, which keeps a rate per month
    unbiased. Late entrants without a whole unit are left out.

    In each interval a covariate that changes has its last value from strictly before the interval,
    less the lead time.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"],
    ...      "touchpoint": ["joined", "left", "joined", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-01-11", "2024-01-21", "2023-12-12"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start="2024-01-01")
    >>> spell_counts(found)
       entry_days  duration_days  event             cause  n
    0           0             10  False  (administrative)  1
    1           0             10   True              left  1
    2          20             50  False  (administrative)  1
    """
    keys = _keys(spells, as_list(by), time_varying)
    counted = _counted(spells, as_list(by), unit, causes, dict(time_varying or {}), lead_time)
    names = {"entry": f"entry_{unit}", "duration": f"duration_{unit}"}
    order = [*keys, "entry", "duration", "event", "cause"]
    frame = _pulled(counted.select(*order, "n"), keys)
    _check_causes(frame["cause"], causes)
    frame = frame.astype({"n": "int64", "event": "bool"})
    return frame.sort_values(order, ignore_index=True).rename(columns=names)


def risk_table(
    spells: Spells,
    *,
    by: str | Sequence[str] | None = None,
    unit: str = "months",
    covariates: Sequence[str] = (),
    causes: Mapping[str, str | Sequence[str]] | None = None,
    time_varying: Mapping[str, History] | None = None,
    lead_time: str | timedelta | None = None,
) -> pd.DataFrame:
    """Who was at risk, and who ended, by interval of time and pattern of covariates.

    Parameters
    ----------
    spells, unit, causes, time_varying, lead_time
        As for ``spell_counts``.
    by
        Columns of the spells that tell groups.
    covariates
        Further columns of the spells.

    Returns
    -------
    pandas.DataFrame
        One row per interval and pattern that had somebody at risk: the ``by`` columns, the
        covariates, ``entry_<unit>`` and ``duration_<unit>`` int64 (the interval is after the one
        and up to the other), ``n_at_risk`` int64 (spells at risk in it), ``events`` int64 and
        ``events_<cause>`` int64 for each cause.

    Raises
    ------
    CxError
        As for ``spell_counts``.

    Notes
    -----
    What leaves the engine is this table, whose size does not depend on how many customers there
    are: nobody's periods are written out. It is all that a discrete hazard needs, and ``risk_rows``
    makes of it what ``fit_cox`` takes: the same likelihood, to the last digit, as the spells.

    References
    ----------
    Allison (1982), Sociological Methodology 13, 61-98. Singer and Willett (1993), J. Educational
    Statistics 18, 155-195.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["joined", "left", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-02-11", "2024-01-21"]},
    ...     observed_until="2024-03-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start=None)
    >>> risk_table(found)
       entry_months  duration_months  n_at_risk  events  events_left
    0             0                1          2       0            0
    1             1                2          2       1            1
    """
    names = [*as_list(by), *as_list(covariates)]
    keys = _keys(spells, names, time_varying)
    counted = _counted(spells, names, unit, causes, dict(time_varying or {}), lead_time)
    part = ibis.memtable({"_part": [0, 1, 2]}, schema={"_part": "int64"})
    both = counted.cross_join(part)
    both = both.filter((both._part < 2) | both.event)
    # 0: at risk from the interval after the entry; 1: not after the duration; 2: the ends.
    changes = both.select(
        *keys,
        _time=both._part.cases((0, both.entry + 1), (1, both.duration + 1), else_=both.duration),
        _cause=ibis.ifelse(both._part == 2, both.cause, GOES_ON),
        _n=ibis.ifelse(both._part == 1, -both.n, both.n),
    )
    grouped = changes.group_by([*keys, "_time", "_cause"]).aggregate(_n=changes._n.sum())
    frame = _pulled(grouped.filter(grouped._n != 0), keys)
    _check_causes(frame.loc[frame["_cause"] != GOES_ON, "_cause"], causes)
    return _cumulated(frame, keys, unit)


def risk_rows(risk: pd.DataFrame, *, cause: str | None = None) -> pd.DataFrame:
    """A risk table as counted rows with an outcome, for ``fit_cox``.

    Parameters
    ----------
    risk
        What ``risk_table`` gives.
    cause
        The cause that is the event; ends of other causes are censored then. None: every end.

    Returns
    -------
    pandas.DataFrame
        One row per interval, pattern and outcome: its columns without the counts, ``event`` bool
        and ``n`` int64. Fit with ``entry="entry_<unit>"`` and ``duration="duration_<unit>"``.

    Raises
    ------
    CxError
        For an unknown cause, or a frame that is no risk table.

    Notes
    -----
    A customer has a row in each interval, and rows are counted together: estimates and model-based
    errors are those of the spells, but a robust error would take intervals for customers.

    Examples
    --------
    >>> risk = pd.DataFrame({"entry_months": [0, 1], "duration_months": [1, 2],
    ...                      "n_at_risk": [5, 4], "events": [1, 0], "events_left": [1, 0]})
    >>> risk_rows(risk)
       entry_months  duration_months  event  n
    0             0                1  False  4
    1             0                1   True  1
    2             1                2  False  4
    """
    for name in ("n_at_risk", "events"):
        if name not in risk.columns:
            raise unknown_name("column", name, risk.columns, "in the risk table")
    column = "events" if cause is None else f"events_{cause}"
    known = [name for name in risk.columns if str(name).startswith("events_")]
    if column not in risk.columns:
        names = [name.removeprefix("events_") for name in known]
        raise unknown_name("cause", cause, names, "in the risk table")
    kept = risk.drop(columns=["n_at_risk", "events", *known])
    parts = [
        kept.assign(event=False, n=risk["n_at_risk"] - risk[column]),
        kept.assign(event=True, n=risk[column]),
    ]
    rows = pd.concat(parts).sort_index(kind="stable")
    return rows[rows["n"] > 0].reset_index(drop=True)


def _keys(
    spells: Spells, names: list[str], time_varying: Mapping[str, History] | None
) -> list[str]:
    """Columns that tell patterns, once they are known to exist and not to clash."""
    for name in names:
        if name not in spells.table.columns:
            raise unknown_name(
                "column", name, spells.table.columns, "in the spells (carry it with columns=)"
            )
    keys = [*names, *(time_varying or ())]
    for name in keys:
        if name in _OWN or keys.count(name) > 1:
            raise CxError(f"the column {name!r} stands for two things; give one another name")
        if name == "exit_days" or name == "exited_at":
            raise CxError(f"{name!r} is the outcome, and no covariate; leave it out")
    return keys


def _counted(
    spells: Spells,
    names: list[str],
    unit: str,
    causes: Mapping[str, str | Sequence[str]] | None,
    time_varying: dict[str, History],
    lead_time: str | timedelta | None,
) -> ir.Table:
    """Spells, or their stretches, by everything that tells them apart."""
    check_unit(unit)
    lead = timedelta(0) if lead_time is None else parse_span(lead_time)
    if lead and not time_varying:
        raise CxError("lead_time belongs to time_varying=, and there are no such covariates")
    rows = _whole_units(spells, unit)
    rows = rows.mutate(
        cause=_grouped(rows.cause, causes),
        n=ibis.literal(1, type="int64"),
        **{name: _filled(rows[name]) for name in names},
    )
    kept = ["entry", "duration", "event", "cause", "n", *names]
    rows = rows.select("customer_id", "spell", "origin", *kept)
    told: list[str] = []
    for name, history in time_varying.items():
        rows = split_at_changes(rows, name, history, unit, lead, told, spells.timezone)
        # From now on a spell has several rows, which these tell.
        told = [*(told or ["entry", "duration", "n"]), name]
    keys = [*names, *time_varying, "entry", "duration", "event", "cause"]
    counted = rows.group_by(keys).aggregate(n=rows.n.sum())
    return counted.filter(counted.n != 0) if time_varying else counted


def _whole_units(spells: Spells, unit: str) -> ir.Table:
    """Entry and duration in whole units; ends in a unit that was not over are censored."""
    table, between = spells.table, partial(units_between, unit=unit, zone=spells.timezone)
    seen = between(moment(spells.observed_until), table.origin, up=False)
    ended = ibis.greatest(between(table.exited_at, table.origin, up=True), 1)
    stopped = between(table.exited_at, table.origin, up=False)
    event = table.event & (ended <= seen)
    rows = table.mutate(
        entry=ibis.literal(0, type="int64"),
        duration=ibis.ifelse(event, ended, ibis.least(stopped, seen)),
        event=event,
        cause=ibis.ifelse(table.event & ~event, ADMINISTRATIVE, table.cause),
    )
    if spells.window_start is None:
        return rows
    late = table.entered_at > table.origin
    entered = between(table.entered_at, table.origin, up=True)
    rows = rows.mutate(entry=ibis.ifelse(late, entered, 0))
    # Who entered at the origin is kept, though not seen for a whole unit: part of n at time 0.
    return rows.filter((rows.entry < rows.duration) | (rows.entry == 0))


def _grouped(
    cause: ir.StringValue, causes: Mapping[str, str | Sequence[str]] | None
) -> ir.StringValue:
    pairs = [(old, new) for new, group in (causes or {}).items() for old in as_list(group)]
    if twice := [old for old, _ in pairs if [o for o, _ in pairs].count(old) > 1]:
        raise CxError(f"the cause {twice[0]!r} is in two groups; put it in one")
    return cause.cases(*pairs, else_=cause) if pairs else cause


def _filled(column: ir.Value) -> ir.Value:
    return column.fill_null(NO_GROUP) if column.type().is_string() else column


def _check_causes(found: pd.Series, causes: Mapping[str, str | Sequence[str]] | None) -> None:
    """Raise for a group of causes that nobody ended for, as a misspelt one."""
    known = set(found.unique())
    for name in causes or {}:
        if name not in known and known:
            raise CxError(
                f"no spell ended for a cause of the group {name!r} ({causes[name]!r}); "  # type: ignore[index]
                f"there are {', '.join(repr(cause) for cause in sorted(known))}"
            )


def _pulled(table: ir.Table, keys: list[str]) -> pd.DataFrame:
    frame = table.limit(_MOST_ROWS + 1).to_pandas()
    if len(frame) > _MOST_ROWS:
        n = {name: table[name].nunique() for name in keys}
        counts = table.aggregate(**n).to_pandas().iloc[0].sort_values(ascending=False)
        worst = ", ".join(f"{name!r} ({int(k):,} values)" for name, k in counts.head(3).items())
        raise CxError(
            f"the spells have over {_MOST_ROWS:,} patterns; bin {worst}, or take a longer unit"
        )
    return frame


def _cumulated(frame: pd.DataFrame, keys: list[str], unit: str) -> pd.DataFrame:
    """Changes of those at risk, added up over time within each pattern."""
    patterns = frame[keys].drop_duplicates().sort_values(keys) if keys else frame[[]].iloc[:1]
    patterns = patterns.reset_index(drop=True)
    place = patterns.assign(_pattern=np.arange(len(patterns)))
    frame = (
        frame.merge(place, on=keys, validate="many_to_one") if keys else frame.assign(_pattern=0)
    )
    size = int(frame["_time"].max()) if len(frame) else 0
    if len(patterns) * size > _MOST_CELLS:
        raise CxError(
            f"{len(patterns):,} patterns times {size:,} {unit} are too many; bin covariates, or "
            "take a longer unit"
        )

    def grid(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        cells = np.zeros((len(patterns), size + 1), "int64")
        np.add.at(cells, (rows["_pattern"], rows["_time"]), rows["_n"].astype("int64"))
        return cells

    is_risk = frame["_cause"] == GOES_ON
    at_risk = grid(frame[is_risk]).cumsum(axis=1)
    ends = {name: grid(frame[frame["_cause"] == name])
            for name in sorted(frame.loc[~is_risk, "_cause"].unique())}  # fmt: skip
    pattern, time = np.nonzero(at_risk)
    found = patterns.iloc[pattern].reset_index(drop=True)
    return found.assign(
        **{
            f"entry_{unit}": time - 1,
            f"duration_{unit}": time,
            "n_at_risk": at_risk[pattern, time],
            "events": sum((cells[pattern, time] for cells in ends.values()), 0 * time),
            **{f"events_{name}": cells[pattern, time] for name, cells in ends.items()},
        }
    )
