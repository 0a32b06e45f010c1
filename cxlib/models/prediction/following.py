"""What became of customers after a date, on which a prediction would have been made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import Protocol

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.clock import check_unit, moment, units_between
from cxlib.journeys.log import NO_GROUP, as_list
from cxlib.spans import parse_moment

__all__ = ["followed_after"]

_AS_OF = "as_of"


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


def followed_after(
    spells: SpellTable,
    cut: str | date | datetime,
    *,
    columns: str | Sequence[str] = (),
    unit: str = "days",
) -> pd.DataFrame:
    """Customers who were there on a date, counted, with what happened to them after it.

    Parameters
    ----------
    spells
        Spells up to the end of the log, as ``spells`` gives.
    cut
        The date on which a prediction would have been made.
    columns
        Covariates of the spells.
    unit
        "hours", "days", "weeks" or "months".

    Returns
    -------
    pandas.DataFrame
        One row per pattern and outcome: the columns (missing text is "(none)"), ``age_<unit>``
        int64 (whole units from the origin to the cut), ``duration_<unit>`` int64 (from the cut to
        the end or the last whole unit seen), ``event`` bool, ``n`` int64 and ``as_of`` (the cut).

    Raises
    ------
    CxError
        For unknown columns or units, a cut at or after the end of the log, and where nobody was
        there.

    Notes
    -----
    Fit on what was known at the cut: ``spells(log, ..., observed_until=cut)``. As in
    ``spell_counts``, an end in the k-th unit after the cut has the duration k, and a censored time
    is rounded down.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "c"],
    ...      "touchpoint": ["joined", "left", "joined", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-01-21", "2024-01-05", "2024-01-28"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start=None)
    >>> followed_after(found, "2024-01-11").drop(columns="as_of")
       age_days  duration_days  event  n
    0         6             20  False  1
    1        10             10   True  1
    """
    check_unit(unit)
    at, keys = parse_moment(cut), as_list(columns)
    if at >= spells.observed_until:
        raise CxError(
            f"the cut {at.isoformat()} is not before observed_until "
            f"{spells.observed_until.isoformat()}, so that nothing happened after it"
        )
    table = spells.table
    for name in keys:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "in the spells")
    cut_at, until = moment(at), moment(spells.observed_until)
    # < and not <=: who ended on the cut was gone, as an event comes before an entry.
    there = table.filter((table.entered_at <= cut_at) & (table.exited_at > cut_at))
    between = partial(units_between, unit=unit, zone=spells.timezone)
    seen = between(until, cut_at, up=False)
    ended = between(there.exited_at, cut_at, up=True)
    event = there.event & (ended <= seen)
    stopped = ibis.least(between(there.exited_at, cut_at, up=False), seen)
    found = there.select(
        **{name: _filled(there[name]) for name in keys},
        _age=between(cut_at, there.origin, up=False),
        _duration=ibis.ifelse(event, ended, stopped),
        event=event,
    )
    order = [*keys, "_age", "_duration", "event"]
    frame = found.group_by(order).aggregate(n=found.count()).to_pandas()
    if not len(frame):
        raise CxError(f"nobody was there on {at.isoformat()}; give another cut")
    frame = frame.sort_values(order, ignore_index=True).astype({"event": "bool", "n": "int64"})
    frame[_AS_OF] = pd.Timestamp(at)
    return frame.rename(columns={"_age": f"age_{unit}", "_duration": f"duration_{unit}"})


def _filled(column: ir.Value) -> ir.Value:
    return column.fill_null(NO_GROUP) if column.type().is_string() else column
