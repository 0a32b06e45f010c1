"""Landmarks: who was there on a date, with what was known of them, followed from it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.clock import moment
from cxlib.journeys.log import as_list
from cxlib.journeys.prepare import microseconds_between
from cxlib.models.outcomes.episodes import Spells
from cxlib.models.outcomes.rules import ADMINISTRATIVE
from cxlib.spans import parse_moment, parse_span

__all__ = ["landmark"]

_DAY = 86_400_000_000


def landmark(
    spells: Spells,
    *,
    at: str | date | datetime,
    features: pd.DataFrame | ir.Table | None = None,
    columns: str | Sequence[str] = (),
    horizon: str | timedelta | None = None,
) -> Spells:
    """Spells that ran on a date, followed from it on, with features as of that date.

    Parameters
    ----------
    spells
        What ``spells`` gives.
    at
        The landmark, UTC.
    features
        Frame or table with one row per ``customer_id`` and a column ``as_of``: the moment before
        which its facts were taken, such as ``rfm_segments`` gives.
    columns
        Its columns to carry along; all but ``customer_id`` and ``as_of`` when empty.
    horizon
        Span after which customers are no longer followed ("90 days").

    Returns
    -------
    Spells
        The clock starts at the landmark for everybody: ``origin`` and ``entered_at`` are it. With
        ``tenure_days`` float64 (from the spell's own start) and the features; customers whom the
        table does not have get nulls.

    Raises
    ------
    CxError
        For a landmark before ends were recorded or at or after the cut-off; features without
        ``as_of``, taken after the landmark, or with several rows for a customer.

    Notes
    -----
    Who left before the landmark is not in it, and what happens after it is in no feature: that is
    why a curve or a model by these features has no immortal time. It speaks about customers who
    had lasted until the landmark.

    References
    ----------
    Anderson, Cain and Gelber (1983), J. Clinical Oncology 1, 710-719. Van Houwelingen (2007),
    Scandinavian J. of Statistics 34, 70-85.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, spell_counts, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["joined", "left", "joined"],
    ...      "occurred_at": ["2024-01-01", "2024-01-21", "2024-01-05"]},
    ...     observed_until="2024-03-01", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start=None)
    >>> spell_counts(landmark(found, at="2024-01-11", horizon="30 days"))
       entry_days  duration_days  event             cause  n
    0           0             10   True              left  1
    1           0             30  False  (administrative)  1
    """
    day = parse_moment(at)
    _check_landmark(spells, day)
    until = spells.observed_until
    if horizon is not None:
        until = min(until, day + parse_span(horizon))
    table = spells.table
    table = table.filter((table.entered_at <= moment(day)) & (table.exited_at > moment(day)))
    seen = table.exited_at <= moment(until)
    table = table.mutate(
        tenure_days=microseconds_between(moment(day), table.origin) / _DAY,
        origin=moment(day),
        entered_at=moment(day),
        exited_at=ibis.least(table.exited_at, moment(until)),
        entry_days=ibis.literal(0.0),
        event=table.event & seen,
        cause=ibis.ifelse(seen, table.cause, ADMINISTRATIVE),
    )
    table = table.mutate(exit_days=microseconds_between(table.exited_at, table.origin) / _DAY)
    if features is not None:
        table = _with_features(table, features, as_list(columns), day)
    return replace(spells, table=table, observed_until=until, window_start=day)


def _check_landmark(spells: Spells, day: datetime) -> None:
    if day >= spells.observed_until:
        raise CxError(
            f"the landmark {day.isoformat()} is not before observed_until "
            f"{spells.observed_until.isoformat()}, so that nothing is seen after it"
        )
    if spells.window_start is not None and day < spells.window_start:
        raise CxError(
            f"the landmark {day.isoformat()} is before window_start "
            f"{spells.window_start.isoformat()}: who had left between is not known; take a "
            "later one"
        )


def _with_features(
    table: ir.Table, features: pd.DataFrame | ir.Table, columns: list[str], day: datetime
) -> ir.Table:
    known = ibis.memtable(features) if isinstance(features, pd.DataFrame) else features
    for name in ("customer_id", "as_of", *columns):
        if name not in known.columns:
            raise unknown_name("column", name, known.columns, "in the features")
    columns = columns or [n for n in known.columns if n not in ("customer_id", "as_of")]
    if both := [name for name in columns if name in table.columns]:
        raise CxError(f"the spells have a column {both[0]!r} already; rename the feature")
    row = known.aggregate(
        n=known.count(), customers=known.customer_id.nunique(), latest=known.as_of.max()
    ).to_pandas().iloc[0]  # fmt: skip
    if row["n"] != row["customers"]:
        raise CxError(
            f"the features have {int(row['n']):,} rows of {int(row['customers']):,} customers; "
            "give one row for each"
        )
    if row["n"] and parse_moment(pd.Timestamp(row["latest"])) > day:
        raise CxError(
            f"the features are as of {pd.Timestamp(row['latest']).isoformat()} and read past the "
            f"landmark {day.isoformat()}; take them as of the landmark or earlier"
        )
    chosen = known.select(_customer="customer_id", **{name: known[name] for name in columns})
    return table.left_join(chosen, table.customer_id == chosen._customer).drop("_customer")
