"""Events that come again: their mean number so far, tables for regression, times to return."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal, Protocol

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, CxWarning, refuse_taken, unknown_name
from cxlib.intervals import check_confidence
from cxlib.journeys.clock import check_unit, exact_units, moment, units_between
from cxlib.journeys.log import as_list

__all__ = ["mean_cumulative", "recurrent_rows", "return_times"]

Array = NDArray[Any]

_MOST_ROWS = 5_000_000
_CELLS = 4_000_000
"""Customers times event times that are held at once."""


class SpellTable(Protocol):
    """What ``spells`` gives, as far as it is needed here."""

    @property
    def table(self) -> ir.Table:
        """One row per spell."""

    @property
    def observed_until(self) -> datetime:
        """The cut-off."""

    @property
    def timezone(self) -> str:
        """Zone whose calendar has the months."""


def mean_cumulative(
    rows: pd.DataFrame,
    *,
    duration: str,
    event: str,
    customer: str = "customer_id",
    entry: str | None = None,
    by: str | Sequence[str] | None = None,
    weights: str | None = "n",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Mean number of events of a customer so far, by time (mean cumulative function).

    Parameters
    ----------
    rows
        Stretches of customers, as ``recurrent_rows`` gives: each ends in an event or is censored.
    duration, entry
        Columns of the time since the origin at which a stretch ends, and after which it begins.
    event
        Column that says whether it ended in the event.
    customer
        Column of whose stretches belong together.
    by
        Column or columns to draw apart.
    weights
        Column of how many customers have these very stretches, the same in all rows of one
        ``customer``; one each where the table has no column ``n``.
    confidence
        Coverage of the pointwise interval.

    Returns
    -------
    pandas.DataFrame
        One row per group and event time: the ``by`` columns, the duration, ``at_risk`` and
        ``events`` int64, ``mean_events`` float64 (events of a customer up to this time),
        ``standard_error``, ``lower`` and ``upper`` float64.

    Raises
    ------
    CxError
        For missing columns or values, stretches that end before they begin, weights that differ
        within a customer, and where nobody had an event.

    Notes
    -----
    The sum of events / at risk, at risk at t being the stretches with entry < t <= duration. The
    variance is Lawless and Nadeau's, which is right when events of a customer depend on each other:
    the sum over customers of the square of the sum over times of (their events - their share of
    all events) / at risk. The interval is symmetric on the log scale. The function assumes that
    censoring says nothing of later events: where customers leave for good, it is the mean among
    those who could still have events.

    References
    ----------
    Lawless and Nadeau (1995), Technometrics 37, 158-168. Nelson (2003), Recurrent Events Data
    Analysis, SIAM.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "customer_id": ["a", "a", "b"], "entry_days": [0, 3, 0], "duration_days": [3, 9, 6],
    ...     "event": [True, False, True],
    ... })
    >>> mean_cumulative(
    ...     rows, duration="duration_days", event="event", entry="entry_days"
    ... ).drop(columns=["lower", "upper"]).round(3)
       duration_days  at_risk  events  mean_events  standard_error
    0              3        2       1          0.5           0.354
    1              6        2       1          1.0           0.000
    """
    check_confidence(confidence)
    keys = as_list(by)
    weights = None if weights == "n" and "n" not in rows.columns else weights
    _check_rows(rows, [duration, event, customer, *keys], entry, weights, duration, customer)
    frame = rows[keys].assign(
        _entry=rows[entry].astype("float64") if entry else 0.0,
        _exit=rows[duration].astype("float64"),
        _event=rows[event].astype("bool"),
        _customer=pd.factorize(rows[customer])[0],
        _n=rows[weights].astype("float64") if weights else 1.0,
    )
    if not frame["_event"].any():
        raise CxError(f"no row of {event!r} is an event, so that there is nothing to count")
    frame["_entry"] = frame["_entry"].where(frame["_entry"] > 0, -np.inf)
    parts = []
    groups = frame.groupby(keys, dropna=False, observed=True) if keys else [((), frame)]
    for group, own in groups:
        values: tuple[Any, ...] = group if isinstance(group, tuple) else (group,)
        found = _curve(own, duration, float(special.ndtri(0.5 + confidence / 2)))
        parts.append(found.assign(**dict(zip(keys, values, strict=True))))
    result = pd.concat(parts, ignore_index=True)
    whole = pd.api.types.is_integer_dtype(rows[duration])
    result[duration] = result[duration].astype(rows[duration].dtype if whole else "float64")
    return result[[*keys, *[name for name in result.columns if name not in keys]]]


def _check_rows(
    rows: pd.DataFrame,
    needed: list[str],
    entry: str | None,
    weights: str | None,
    duration: str,
    customer: str,
) -> None:
    own = [*needed, *([entry] if entry else []), *([weights] if weights else [])]
    for name in own:
        if name not in rows.columns:
            raise unknown_name("column", name, rows.columns, "in the rows")
    if not len(rows):
        raise CxError("there are no rows; check the filters")
    if missing := int(rows[own].isna().any(axis=1).sum()):
        raise CxError(f"{missing:,} rows have a missing value; drop them first")
    begin = rows[entry] if entry else pd.Series(0, index=rows.index)
    wrong = (rows[duration] < 0) | (begin < 0) | ((begin >= rows[duration]) & (begin > 0))
    if wrong.any():
        raise CxError(
            f"{int(wrong.sum()):,} rows end ({duration!r}) at or before they begin, or have a "
            "negative time; check the dates that they were counted from"
        )
    own_n = rows.groupby(customer)[weights] if weights else None
    if own_n is not None and (own_n.max() > own_n.min()).any():
        raise CxError(
            f"the column {weights!r} differs between rows of one {customer!r}: it says how many "
            "customers have the same history, all rows of which count alike"
        )


def _curve(own: pd.DataFrame, duration: str, width: float) -> pd.DataFrame:
    exits, entry, n = (own[name].to_numpy() for name in ("_exit", "_entry", "_n"))
    event = own["_event"].to_numpy()
    times = np.unique(exits[event])
    last = np.searchsorted(times, exits, side="right")
    before = np.searchsorted(times, entry, side="right")
    size = len(times)
    ended = np.bincount(last[event] - 1, n[event], size)
    change = np.bincount(before, n, size + 1) - np.bincount(last, n, size + 1)
    at_risk = np.cumsum(change)[:size]
    hazard = ended / at_risk if size else ended
    mean = np.cumsum(hazard)
    error = np.sqrt(_variance(own, last, before, hazard, at_risk))
    reach = np.exp(width * error / mean)
    return pd.DataFrame(
        {
            duration: times,
            "at_risk": at_risk.round().astype("int64"),
            "events": ended.round().astype("int64"),
            "mean_events": mean,
            "standard_error": error,
            "lower": mean / reach,
            "upper": mean * reach,
        }
    )


def _variance(
    own: pd.DataFrame, last: Array, before: Array, hazard: Array, at_risk: Array
) -> Array:
    """Sum of the squared contributions of customers, some customers at a time."""
    size = len(hazard)
    customer = np.unique(own["_customer"].to_numpy(), return_inverse=True)[1]
    order = np.argsort(customer, kind="stable")
    count = int(customer.max(initial=-1)) + 1
    edges = np.searchsorted(customer[order], np.arange(count + 1))
    event, n = own["_event"].to_numpy(), own["_n"].to_numpy()
    found = np.zeros(size)
    step = max(1, _CELLS // max(size, 1))
    for start in range(0, count, step):
        stop = min(start + step, count)
        part = order[edges[start] : edges[stop]]
        place = customer[part] - start
        cells = np.zeros((stop - start, size + 1))
        np.add.at(cells, (place, before[part]), 1.0)
        np.add.at(cells, (place, last[part]), -1.0)
        share = -np.cumsum(cells, axis=1)[:, :size] * (hazard / at_risk)
        seen = event[part]
        np.add.at(share, (place[seen], last[part][seen] - 1), 1 / at_risk[last[part][seen] - 1])
        times_n = np.zeros(stop - start)
        times_n[place] = n[part]
        found += times_n @ np.cumsum(share, axis=1) ** 2
    return found


def recurrent_rows(
    spells: SpellTable,
    *,
    clock: Literal["total", "gap"] = "total",
    unit: str = "days",
    columns: str | Sequence[str] = (),
    most: int | None = None,
) -> pd.DataFrame:
    """Stretches of customers between events that come again, for ``fit_cox``.

    Parameters
    ----------
    spells
        What ``spells`` gives, as with ``start=["joined", "opened_ticket"], end="opened_ticket"``:
        each event ends a stretch and starts the next.
    clock
        "total": time since the customer's first start. "gap": time since the last event.
    unit
        "hours", "days", "weeks" or "months"; times are exact, and not rounded: of a month that is
        not over since the origin, the share that is.
    columns
        Columns of the spells to carry along.
    most
        Count stretches from this number on as one stratum; None: each has its own.

    Returns
    -------
    pandas.DataFrame
        One row per stretch: ``customer_id``, the columns, ``number`` int64 (1 until the first
        event, 2 until the second), ``entry_<unit>``, ``duration_<unit>`` float64, ``event`` bool
        and ``cause``.

    Raises
    ------
    CxError
        For unknown columns, units or clocks; over 5 million stretches; and with "total" when the
        first spells of some customers were before the window, so that their origin is not known.

    Warns
    -----
    CxWarning
        When stretches of no length are left out: two events at one time.

    Notes
    -----
    With ``cluster="customer_id"`` and ``entry=``:

    - Andersen and Gill: ``clock="total"``; the rate does not depend on how many went before, but
      through covariates.
    - Prentice, Williams and Peterson, total time: ``clock="total"``, ``strata="number"``.
    - Prentice, Williams and Peterson, gap time: ``clock="gap"``, ``strata="number"``.

    The robust error needs to know whose stretches they are, which is why these rows leave the
    engine one by one; ``most`` keeps strata from running thin.

    References
    ----------
    Andersen and Gill (1982), Annals of Statistics 10, 1100-1120. Prentice, Williams and Peterson
    (1981), Biometrika 68, 373-379.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"] * 3, "touchpoint": ["joined", "opened_ticket", "opened_ticket"],
    ...      "occurred_at": ["2024-01-01", "2024-01-03", "2024-01-08"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start=["joined", "opened_ticket"], end="opened_ticket",
    ...                window_start=None)
    >>> recurrent_rows(found).drop(columns="cause")
      customer_id  number  entry_days  duration_days  event
    0           a       1         0.0            2.0   True
    1           a       2         2.0            7.0   True
    2           a       3         7.0           30.0  False
    """
    check_unit(unit)
    if clock not in ("total", "gap"):
        raise unknown_name("clock", clock, ["gap", "total"])
    if most is not None and most < 1:
        raise CxError(f"most is {most}; give the number of the last stratum, 1 or more")
    table, carried = spells.table, as_list(columns)
    for name in carried:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "in the spells")
    origin: ir.TimestampValue = table.origin
    if clock == "total":
        own = ibis.window(group_by="customer_id")
        table = table.mutate(
            _first=table.origin.min().over(own), _least=table.spell.min().over(own)
        )
        origin = table._first
    number = table.spell if most is None else ibis.least(table.spell, most)
    chosen = table.select(
        "customer_id",
        *[name for name in carried if name != "customer_id"],
        _least=table._least if clock == "total" else table.spell,
        number=number.cast("int64"),
        entry=exact_units(table.entered_at, origin, unit, zone=spells.timezone),
        duration=exact_units(table.exited_at, origin, unit, zone=spells.timezone),
        event=table.event,
        cause=table.cause,
        _spell=table.spell,
    )
    frame = chosen.limit(_MOST_ROWS + 1).to_pandas()
    if len(frame) > _MOST_ROWS:
        raise CxError(
            f"there are over {_MOST_ROWS:,} stretches; take a sample of customers, or count them "
            "with spell_counts and do without robust errors"
        )
    if clock == "total" and (late := int((frame["_least"] > 1).sum())):
        raise CxError(
            f"{late:,} stretches are of customers whose first spells were before the window, so "
            "that the time since their start is not known; take clock='gap', or window_start=None"
        )
    frame = frame.sort_values(["customer_id", "_spell"], ignore_index=True)
    return _named(frame.drop(columns=["_least", "_spell"]), unit)


def _named(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    empty = frame["entry"] >= frame["duration"]
    if empty.any():
        warnings.warn(
            f"{int(empty.sum()):,} of {len(frame):,} stretches have no length (two events at one "
            "time, or a start at the cut-off) and are left out",
            CxWarning,
            stacklevel=3,
        )
    kept = frame[~empty].reset_index(drop=True).astype({"event": "bool"})
    return kept.rename(columns={"entry": f"entry_{unit}", "duration": f"duration_{unit}"})


def return_times(
    spells: SpellTable, *, by: str | Sequence[str] | None = None, unit: str = "days"
) -> pd.DataFrame:
    """Times from leaving to coming back, counted, ready for curves and tests.

    Parameters
    ----------
    spells
        What ``spells`` gives.
    by
        Columns of the spells to count apart, such as "cause" (why they had left).
    unit
        "hours", "days", "weeks" or "months".

    Returns
    -------
    pandas.DataFrame
        One row per group, duration and outcome: the ``by`` columns, ``duration_<unit>`` int64
        (since they left), ``event`` bool (they came back) and ``n`` int64.

    Raises
    ------
    CxError
        For unknown columns or units, and where nobody has left.

    Notes
    -----
    Every end of a spell counts once, and censored stops such as "(paused)" do not. Those who had
    not come back are censored at the cut-off. As in ``spell_counts``, a return in the k-th unit has
    the duration k, and a censored time is rounded down. One minus the survival of these times is
    the share won back by then; it needs no end to be final.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"] * 3 + ["b"] * 2,
    ...      "touchpoint": ["joined", "left", "joined", "joined", "left"],
    ...      "occurred_at": ["2024-01-01", "2024-01-11", "2024-01-21", "2024-01-02", "2024-01-26"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start="2024-01-01")
    >>> return_times(found)
       duration_days  event  n
    0              5  False  1
    1             10   True  1
    """
    check_unit(unit)
    table, keys = spells.table, as_list(by)
    for name in keys:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "in the spells")
    refuse_taken(keys, [f"duration_{unit}", "event", "n"])
    order = ibis.window(group_by="customer_id", order_by="spell")
    table = table.mutate(_again=table.origin.lead().over(order))
    table = table.filter(table.event)
    between = partial(units_between, unit=unit, zone=spells.timezone)
    seen = between(moment(spells.observed_until), table.exited_at, up=False)
    back = ibis.greatest(between(table._again, table.exited_at, up=True), 1)
    returned = (table._again.notnull() & (back <= seen)).fill_null(False)
    found = table.mutate(_duration=ibis.ifelse(returned, back, seen), _event=returned)
    counted = found.group_by([*keys, "_duration", "_event"]).aggregate(n=found.count())
    frame = counted.to_pandas()
    if not len(frame):
        raise CxError("no spell has ended, so that nobody could come back; check end=")
    names = {"_duration": f"duration_{unit}", "_event": "event"}
    frame = frame.sort_values([*keys, "_duration", "_event"], ignore_index=True)
    return frame.astype({"_event": "bool", "n": "int64"}).rename(columns=names)
