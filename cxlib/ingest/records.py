"""When a record came to be known, and events that happened before it was known whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.engine.writing import create_table
from cxlib.ingest.events import event_id
from cxlib.ingest.rules import meets
from cxlib.ingest.sources import StagedSource

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["early_events", "note_references", "recorded_rows"]

EARLY = ibis.schema({"event_id": "string", "customer_id": "string", "known_at": "timestamp"})


def note_references(
    con: BaseBackend, staged: Mapping[str, StagedSource]
) -> dict[str, StagedSource]:
    """Sources that know the earliest time at which records of others refer to theirs.

    Parameters
    ----------
    con
        The connection that the snapshot is written through; the times become tables of it.
    staged
        The workspace's sources, by name.

    Returns
    -------
    dict
        The same sources, with ``referred`` where any record refers to theirs and has a time.

    Examples
    --------
    >>> from cxlib import connect
    >>> note_references(connect(), {})
    {}
    """
    noted: dict[str, StagedSource] = {}

    def note(name: str) -> StagedSource:
        if name in noted:
            return noted[name]
        told = [
            _times_of_references(note(other))
            for other, item in staged.items()
            if item.rule.customer.of == name and item.rows is not None
        ]
        tables = [table for table in told if table is not None]
        noted[name] = staged[name]
        if tables:
            every = reduce(ir.Table.union, tables)
            first = every.group_by("cx_key").aggregate(cx_referred_at=every.cx_referred_at.min())
            table = create_table(con, f"{name}_referred", first, temp=True)
            noted[name] = replace(staged[name], referred=table)
        return noted[name]

    return {name: note(name) for name in staged}


def recorded_rows(item: StagedSource, *columns: str) -> ir.Table | None:
    """Records of a source that can be used, with the earliest time that is known of each.

    Parameters
    ----------
    item
        A source of those that ``note_references`` gives.
    columns
        Which columns of its rows to take, besides ``cx_record``; all where none is named. Of a wide
        export Ibis writes the few in a tenth of the time.

    Returns
    -------
    ibis.expr.types.Table or None
        Its rows with ``cx_recorded_at`` (UTC): the earliest time in the record or in one that
        refers to it, null where there is none. None where the source has no rows.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey, Source
    >>> rule = Source(file="none.csv", customer=CustomerKey(key="account"))
    >>> recorded_rows(StagedSource("orders", rule)) is None
    True
    """
    if item.rows is None:
        return None
    rows, times = item.rows, _times(item.rows)
    if columns:
        rows = rows.select(*dict.fromkeys(("cx_record", *columns, *times)))
    own = ibis.null("timestamp(6)")
    if times:
        own = ibis.least(*(rows[name].cast("timestamp(6)") for name in times))
    if item.referred is None:
        return rows.mutate(cx_recorded_at=own)
    others = item.referred.rename(cx_record="cx_key")
    joined = rows.left_join(others, "cx_record")
    first = joined.mutate(cx_recorded_at=ibis.least(own, joined.cx_referred_at))
    return first.drop("cx_record_right", "cx_referred_at")


def early_events(staged: Mapping[str, StagedSource]) -> ir.Table:
    """Events that happened before it was known whose they are.

    Parameters
    ----------
    staged
        The workspace's sources, by name.

    Returns
    -------
    ibis.expr.types.Table
        One row per such event: ``event_id``; ``customer_id``, whose it was until then, named by the
        source and id of the record (``web_visitors:V1``); ``known_at`` (UTC).

    Examples
    --------
    >>> early_events({}).columns
    ('event_id', 'customer_id', 'known_at')
    """
    tables = []
    for name, item in staged.items():
        rows = None if item.rows is None else _with_late_owner(name, staged)
        if rows is None:
            continue
        for number, rule in enumerate(item.rule.events):
            early = rows[f"cx_time_{number}"] < rows.cx_known_at
            kept = rows.filter(early.fill_null(False), meets(rows, rule.when))
            tables.append(
                kept.select(
                    event_id=event_id(item, kept, number),
                    customer_id="cx_before",
                    known_at=kept.cx_known_at.cast("timestamp"),
                )
            )
    return reduce(ir.Table.union, tables) if tables else ibis.memtable([], schema=EARLY)


def _with_late_owner(name: str, staged: Mapping[str, StagedSource]) -> ir.Table | None:
    """Rows with ``cx_before`` and ``cx_known_at`` of the record that names their customer."""
    item = staged[name]
    if item.rows is None:
        return None
    if "cx_since" in item.rows.columns:
        before = ibis.literal(f"{name}:") + item.rows.cx_record
        return item.rows.mutate(cx_before=before, cx_known_at=item.rows.cx_since)
    owners = (
        None if item.rule.customer.of is None else _with_late_owner(item.rule.customer.of, staged)
    )
    if owners is None:
        return None
    late = owners.filter(owners.cx_known_at.notnull())
    late = late.select("cx_before", "cx_known_at", cx_key="cx_record")
    rows = item.rows.mutate(cx_key=item.rows[str(item.rule.customer.column)])
    return rows.inner_join(late, "cx_key")


def _times_of_references(item: StagedSource) -> ir.Table | None:
    """Time of each record of a source under the key of the record that it refers to."""
    key = str(item.rule.customer.column)
    rows = recorded_rows(item, key)
    if rows is None:
        return None
    known = rows.filter(rows.cx_recorded_at.notnull(), rows[key].notnull())
    return known.select(cx_key=key, cx_referred_at="cx_recorded_at")


def _times(rows: ir.Table) -> list[str]:
    """Columns that hold a time of the record."""
    return [name for name in rows.columns if name.startswith(("cx_time_", "cx_from_", "cx_since"))]
