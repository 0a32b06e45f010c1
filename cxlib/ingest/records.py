"""When a record came to be known, and events that happened before it was known whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import ibis
import ibis.expr.types as ir

from cxlib.ingest.events import event_id
from cxlib.ingest.rules import meets
from cxlib.ingest.sources import StagedSource

__all__ = ["early_events", "record_times"]

RECORD_TIMES = ibis.schema({"source": "string", "record_id": "string", "recorded_at": "timestamp"})

EARLY = ibis.schema({"event_id": "string", "customer_id": "string", "known_at": "timestamp"})


def record_times(staged: Mapping[str, StagedSource]) -> ir.Table:
    """Earliest time that stands in a record of a customer, or in one that refers to it.

    Parameters
    ----------
    staged
        The workspace's sources, by name.

    Returns
    -------
    ibis.expr.types.Table
        One row per record of which a time is known, in sources that have an id or attributes:
        ``source``, ``record_id``, ``recorded_at`` (UTC).

    Examples
    --------
    >>> record_times({}).columns
    ('source', 'record_id', 'recorded_at')
    """
    tables = []
    for name, item in staged.items():
        if item.rows is None or not (item.rule.id or item.rule.attributes):
            continue
        known = _first_times(name, staged)
        if known is not None:
            tables.append(
                known.select(
                    source=ibis.literal(name), record_id="cx_key", recorded_at="recorded_at"
                )
            )
    return reduce(ir.Table.union, tables) if tables else ibis.memtable([], schema=RECORD_TIMES)


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


def _first_times(name: str, staged: Mapping[str, StagedSource]) -> ir.Table | None:
    """Earliest time by record of a source: its own, and those of records that refer to it."""
    told = [_own_times(staged[name], staged[name].rows)]
    for other, item in staged.items():
        if item.rule.customer.of != name or item.rows is None:
            continue
        rows, key = item.rows, item.rows[str(item.rule.customer.column)]
        told.append(_own_times(item, rows.mutate(cx_record=key)))
        deeper = _first_times(other, staged) if _is_referred_to(other, staged) else None
        if deeper is not None:
            named = rows.select(cx_key="cx_record", cx_owner=key).inner_join(deeper, "cx_key")
            told.append(named.select(cx_key="cx_owner", recorded_at="recorded_at"))
    tables = [table for table in told if table is not None]
    if not tables:
        return None
    every = reduce(ir.Table.union, tables)
    return every.group_by("cx_key").aggregate(recorded_at=every.recorded_at.min())


def _own_times(item: StagedSource, rows: ir.Table | None) -> ir.Table | None:
    if rows is None:
        return None
    names = [name for name in rows.columns if name.startswith(("cx_time_", "cx_from_", "cx_since"))]
    if not names:
        return None
    times = [rows[name].cast("timestamp") for name in names]
    first = rows.select(cx_key="cx_record", recorded_at=ibis.least(*times))
    return first.filter(first.recorded_at.notnull(), first.cx_key.notnull())


def _is_referred_to(name: str, staged: Mapping[str, StagedSource]) -> bool:
    return any(item.rule.customer.of == name for item in staged.values())
