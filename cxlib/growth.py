"""A log to which later events only came: last journeys go on, and all else stays where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.engine.patch import delete_rows, replace_rows, update_rows
from cxlib.engine.writing import create_table, insert_rows, row_count
from cxlib.journeys.counted import COUNTED, count_on
from cxlib.journeys.prepare import PREPARED, journey_table
from cxlib.log_writer import (
    FINGERPRINTS,
    LAST_FULL,
    MOST_TOUCHED,
    ORDERED,
    LogWriter,
    check_log,
    fingerprints_of,
    number_new,
    touchpoints_of,
)

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["Growth", "grow_log"]

_TEMPORARY = ("cx_came", "cx_on", "cx_parted", "cx_last", "cx_found", "cx_own", "cx_own_journeys")
_CHANGES = ("next_touchpoint", "next_at", "is_open", "cx_new_to_journey", "cx_new_to_customer")
"""What later events may change in those of the journey that goes on, besides ``cx_alone``."""
_DIGITS = 19
"""Of the largest int64."""


@dataclass(frozen=True)
class Growth:
    """What became of the events that came.

    Attributes
    ----------
    late
        ``customer_id`` of those with an event that is no later than all that they had, or with
        two journeys that end with their last event: their events were left out.
    prepared
        How many events were prepared, again or for the first time.
    appended
        How many of them are new.
    """

    late: ir.Table
    prepared: int
    appended: int


def grow_log(writer: LogWriter, came: ir.Table, candidates: ir.Table) -> Growth | None:
    """Add events to a log whose journeys are numbered.

    Parameters
    ----------
    writer
        How the log is written, with a connection to the file that holds it.
    came
        Events that came, before they are prepared; none went.
    candidates
        ``customer_id`` of everyone who may be touched: of whom events came, or whose last journey
        ended without one.

    Returns
    -------
    Growth or None
        None, and nothing is changed, where the log must be written whole: a touchpoint or a column
        is new, more than half of the customers are late, or the log would grow by more than half.

    Notes
    -----
    Events that are later than all others of their customer change neither the place nor the journey
    of these. So only the customer's last journey is prepared again, and what differs is changed
    where it stands. In older journeys one thing may differ: whether no other journey has a step.
    """
    con = writer.con
    try:
        held = create_table(con, "cx_came", came, temp=True)
        if touchpoints_of(held) - touchpoints_of(con.table("events")):
            return None
        if row_count(held) > LAST_FULL * row_count(con.table("events")):
            return None
        late = _part_late(con, held, candidates)
        if row_count(late) > MOST_TOUCHED * row_count(con.table(FINGERPRINTS)):
            return None
        on = con.table("cx_on")
        last = con.table("cx_last")
        last = last.filter(last.cx_lasts == 1)
        wide = writer.wide(held)
        found = create_table(con, "cx_found", _prepared(writer, wide, on, last), temp=True)
        own = writer.widened(wide, found)
        if set(own.columns) != set(con.table("events").columns):
            return None
        own = create_table(con, "cx_own", own, temp=True)
        journeys = create_table(con, "cx_own_journeys", journey_table(found), temp=True)
        check_log(own, journeys)
        prepared, appended = row_count(found), row_count(own)
        _change_rows(con, found)
        insert_rows(con, "events", own)
        in_order = journeys.order_by("customer_id", "started_at", "journey_id")
        delete_rows(con, "journeys", last.select(cx_stored="cx_journey"))
        insert_rows(con, "journeys", in_order)
        replace_rows(con, FINGERPRINTS, "customer_id", on, on)
    finally:
        for name in _TEMPORARY:
            con.drop_table(name, force=True)
    return Growth(late, prepared, appended)


def _part_late(con: BaseBackend, came: ir.Table, candidates: ir.Table) -> ir.Table:
    """Table of the customers who are late; of the others, who go on, ``cx_on`` and ``cx_last``.

    ``cx_on`` has the columns of ``FINGERPRINTS``, as they will be; ``cx_last`` is that of
    ``_last_journeys``.
    """
    old = con.table(FINGERPRINTS).semi_join(candidates, "customer_id")
    new = fingerprints_of([came]).drop("cx_part")
    both = candidates.left_join(old, "customer_id").drop("customer_id_right")
    both = both.left_join(new, "customer_id")
    rows = both.select(
        customer_id=both.customer_id,
        cx_part=both.cx_part,
        cx_fingerprint=both.cx_fingerprint.fill_null(0) ^ both.cx_fingerprint_right.fill_null(0),
        first_seen_at=ibis.coalesce(both.first_seen_at, both.first_seen_at_right),
        last_seen_at=ibis.coalesce(both.last_seen_at_right, both.last_seen_at),
        events=both.events.fill_null(0) + both.events_right.fill_null(0),
        cx_customer=both.cx_customer,
        cx_seen_before=both.last_seen_at,
        cx_late=(both.first_seen_at_right <= both.last_seen_at).fill_null(False),
    )
    rows = create_table(con, "cx_parted", rows.filter(rows.events > 0), temp=True)
    last = create_table(con, "cx_last", _last_journeys(con, rows.filter(~rows.cx_late)), temp=True)
    unclear = last.filter(last.cx_lasts != 1)
    late = rows.filter(rows.cx_late).union(rows.semi_join(unclear, "cx_customer"))
    late = create_table(con, "cx_late", late.select("customer_id"), temp=True)
    on = rows.anti_join(late, "customer_id").drop("cx_late", "cx_seen_before")
    create_table(con, "cx_on", number_new(on, con.table(FINGERPRINTS)), temp=True)
    return late


def _last_journeys(con: BaseBackend, seen: ir.Table) -> ir.Table:
    """What each customer who was there before had until the start of their last journey.

    ``cx_customer``, ``cx_lasts``, how many of their journeys end with their last event, and where
    it is one: ``cx_journey``, its place in its table; of the others ``cx_journeys_before``,
    ``cx_events_before`` and ``cx_longest``, the length of the longest, 0 where there is none.
    """
    stored = con.table("journeys")
    # Their ids, which are numbered, are not read: texts take three times as long.
    narrow = stored.select("cx_customer", "length", "ended_at", cx_stored=stored.rowid())
    theirs = narrow.inner_join(seen.select("cx_customer", "cx_seen_before"), "cx_customer")
    ends = theirs.ended_at == theirs.cx_seen_before
    return theirs.group_by("cx_customer").aggregate(
        cx_lasts=theirs.count(where=ends),
        cx_journey=theirs.cx_stored.max(where=ends),
        cx_journeys_before=theirs.count(where=~ends),
        cx_events_before=theirs.length.sum(where=~ends).fill_null(0).cast("int64"),
        cx_longest=theirs.length.max(where=~ends).fill_null(0),
    )


def _prepared(writer: LogWriter, wide: ir.Table, on: ir.Table, last: ir.Table) -> ir.Table:
    """Events of the journeys that go on, and those that came, as they are in the whole log.

    Those of the log have their place in its table, ``cx_stored``; the others have ``cx_rowid``.
    """
    stored = writer.con.table("events")
    theirs = stored.mutate(cx_stored=stored.rowid()).inner_join(last, "cx_customer")
    names = {name: theirs[name].cast(wide[name].type()) for name in ORDERED}
    # Ids of events are long and all different. Here they are to keep the order, as the place does.
    names["event_id"] = theirs.cx_place.cast("string").lpad(_DIGITS, "0")
    names["journey_id"] = ibis.null("string")
    ending = theirs.filter(theirs.cx_place > theirs.cx_events_before).select(
        cx_stored="cx_stored", cx_rowid=ibis.null("int64"), **names
    )
    came = wide.select(
        cx_stored=ibis.null("int64"), cx_rowid="cx_rowid", **{name: name for name in ORDERED}
    )
    before = on.select("customer_id", "cx_customer").left_join(last, "cx_customer")
    known = before.select(
        "customer_id",
        "cx_customer",
        cx_events_before=before.cx_events_before.fill_null(0),
        cx_journeys_before=before.cx_journeys_before.fill_null(0),
    )
    counted = writer.ordered(ending.union(came).inner_join(known, "customer_id"))
    moves = theirs.filter(theirs.cx_new_to_customer, theirs.cx_place <= theirs.cx_events_before)
    moves = moves.select("cx_customer", "touchpoint", "next_touchpoint")
    found = count_on(counted, last.select("cx_customer", "cx_longest"), moves)
    return found.select(
        "cx_stored", "cx_rowid", *ORDERED, *PREPARED, *(n for n in COUNTED if n not in ORDERED)
    )


def _change_rows(con: BaseBackend, found: ir.Table) -> None:
    """Change what is no longer so in events that stay where they are."""
    ending = found.filter(found.cx_stored.notnull())
    # First of all: after another change places of rows may be others.
    update_rows(con, "events", ending.select("cx_stored", "cx_alone", *_CHANGES))
    reach = found.group_by("cx_customer").aggregate(
        cx_longest=found.step.max(), cx_first=found.cx_place.min()
    )
    stored = con.table("events")
    older = stored.mutate(cx_stored=stored.rowid()).inner_join(reach, "cx_customer")
    shared = older.filter(
        older.cx_alone, older.step <= older.cx_longest, older.cx_place < older.cx_first
    )
    update_rows(con, "events", shared.select("cx_stored", cx_alone=ibis.literal(False)))
