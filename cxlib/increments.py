"""A log brought up to date: only for those of whom something else is said now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.patch import replace_rows
from cxlib.engine.writing import create_table, row_count
from cxlib.growth import grow_log
from cxlib.journeys.prepare import journey_table, microseconds_between
from cxlib.log_writer import (
    FINGERPRINTS,
    LAST_FULL,
    MOST_TOUCHED,
    LogWriter,
    check_log,
    fingerprints_of,
    number_new,
    touchpoints_of,
)

__all__ = ["can_update", "update_log"]

_TEMPORARY = (
    "cx_candidates",
    "cx_late",
    "cx_looked_at",
    "cx_new_fingerprints",
    "cx_touched",
    "cx_again",
    "cx_own",
    "cx_own_journeys",
)
"""Tables that an update makes and does not keep."""
_MICROSECOND = timedelta(microseconds=1)


def can_update(meta: dict[str, Any], recipe: str) -> bool:
    """Whether a snapshot with these meta data may be brought up to date in part.

    Examples
    --------
    >>> can_update({"recipe": "r1", "appended_share": 0.1}, "r1")
    True
    >>> can_update({"recipe": "r1", "appended_share": 0.1}, "other code")
    False
    """
    return meta.get("recipe") == recipe and meta.get("appended_share", 1.0) < LAST_FULL


def update_log(
    writer: LogWriter,
    events: ir.Table,
    before: dict[str, Any],
    changed: ir.Table | None = None,
    came: ir.Table | None = None,
) -> dict[str, Any] | None:
    """Change a log where customers have other events than before.

    Parameters
    ----------
    writer
        How the log is written, with a connection to the file that holds it.
    events
        Events of all sources, before they are prepared; they need not be stored.
    before
        Meta data of the snapshot whose log it is.
    changed
        ``customer_id`` of those of whom any row came or went; None where that is not known.
    came
        The events of rows that came, where none went; None where any did, or that is not known.

    Returns
    -------
    dict or None
        What the meta data of the new snapshot say of how it was built: ``built``,
        ``prepared_again`` (events), ``looked_at`` (customers; None for all) and ``appended_share``
        (of the log, since it was last written in order). None where the whole log must be written.
    """
    con = writer.con
    moved_from = datetime.fromisoformat(before["observed_until"])
    prepared = appended = 0
    looked_at: int | None = None
    candidates: ir.Table | None = None
    try:
        if changed is not None:
            candidates = create_table(
                con, "cx_candidates", _with_ended(writer, changed, moved_from).distinct(), temp=True
            )
            looked_at = row_count(candidates)
        if candidates is not None and came is not None and writer.rules.numbers_journeys:
            growth = grow_log(writer, came, candidates)
            if growth is None:
                return None
            candidates, prepared, appended = growth.late, growth.prepared, growth.appended
        if candidates is not None and row_count(candidates) > MOST_TOUCHED * row_count(
            con.table(FINGERPRINTS)
        ):
            candidates = looked_at = None
        if candidates is None or row_count(candidates):
            n = _write_again(writer, events, moved_from, candidates)
            if n is None:
                return None
            prepared, appended = prepared + n, appended + n
    finally:
        for name in _TEMPORARY:
            con.drop_table(name, force=True)
    share = float(before["appended_share"]) + appended / max(row_count(con.table("events")), 1)
    return {
        "built": "incremental",
        "prepared_again": prepared,
        "looked_at": looked_at,
        "appended_share": share,
    }


def _with_ended(writer: LogWriter, changed: ir.Table, moved_from: datetime) -> ir.Table:
    """Customers who changed, and those whose journey may have ended without an event of its own."""
    old, silence = writer.con.table(FINGERPRINTS), writer.rules.silence
    if silence is None or moved_from == writer.observed_until:
        return changed
    was = _goes_on(old.last_seen_at, moved_from, silence)
    ended = old.filter(was != _goes_on(old.last_seen_at, writer.observed_until, silence))
    return changed.union(ended.select("customer_id"))


def _write_again(
    writer: LogWriter, events: ir.Table, moved_from: datetime, candidates: ir.Table | None
) -> int | None:
    """Write all events of customers anew whose events differ; return how many there are.

    None, and nothing is changed, where the whole log must be written.
    """
    con = writer.con
    if candidates is not None:
        theirs = events.semi_join(candidates, "customer_id")
        events = create_table(con, "cx_looked_at", theirs, temp=True)
    fingerprints = create_table(con, "cx_new_fingerprints", fingerprints_of([events]), temp=True)
    if _ids_may_meet(writer, fingerprints):
        return None
    if touchpoints_of(events) - touchpoints_of(con.table("events")):
        return None
    touched = _touched(writer, fingerprints, moved_from, candidates)
    if touched is None:
        return None
    again = create_table(con, "cx_again", events.semi_join(touched, "customer_id"), temp=True)
    own = writer.prepared(again, touched)
    if set(own.columns) != set(con.table("events").columns):
        return None
    own = create_table(con, "cx_own", own, temp=True)
    journeys = create_table(con, "cx_own_journeys", journey_table(own), temp=True)
    n = row_count(own)
    if n:
        check_log(own, journeys)
    rows = {
        "events": own,
        "journeys": journeys.order_by("customer_id", "started_at", "journey_id"),
        FINGERPRINTS: touched.filter(touched.cx_fingerprint.notnull()),
    }
    for name, new in rows.items():
        replace_rows(con, name, "customer_id", touched, new)
    return n


def _ids_may_meet(writer: LogWriter, fingerprints: ir.Table) -> bool:
    """Whether two customers may share a journey's id, which then depends on both of them."""
    if writer.rules.numbers_journeys:
        return False
    return any(
        table.customer_id.contains("/").any().to_pyarrow().as_py()
        for table in (fingerprints, writer.con.table(FINGERPRINTS))
    )


def _touched(
    writer: LogWriter, fingerprints: ir.Table, moved_from: datetime, candidates: ir.Table | None
) -> ir.Table | None:
    """Customers to prepare again, with their fingerprint; null where no event is left."""
    every = writer.con.table(FINGERPRINTS)
    old = every if candidates is None else every.semi_join(candidates, "customer_id")
    both = fingerprints.drop("cx_part").outer_join(old, "customer_id")
    differs = (both.cx_fingerprint != both.cx_fingerprint_right).fill_null(True)
    silence = writer.rules.silence
    if silence is not None and moved_from != writer.observed_until:
        was = _goes_on(both.last_seen_at_right, moved_from, silence)
        differs = differs | (was != _goes_on(both.last_seen_at, writer.observed_until, silence))
    found = both.filter(differs.fill_null(True)).select(
        "cx_fingerprint",
        "first_seen_at",
        "last_seen_at",
        "events",
        "cx_customer",
        "cx_part",
        customer_id=ibis.coalesce(both.customer_id, both.customer_id_right),
    )
    touched = create_table(writer.con, "cx_touched", number_new(found, every), temp=True)
    return touched if row_count(touched) <= MOST_TOUCHED * row_count(every) else None


def _goes_on(last_at: ir.TimestampValue, cut_off: datetime, closes: timedelta) -> ir.BooleanValue:
    silence = microseconds_between(ibis.literal(cut_off, type="timestamp"), last_at)
    return silence <= closes // _MICROSECOND
