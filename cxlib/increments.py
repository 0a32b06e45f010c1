"""The log of a snapshot: written whole, or for those of whom something else is said now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.connect import create_named_table
from cxlib.engine.patch import drop_tables, replace_rows
from cxlib.journeys.prepare import (
    COUNTED,
    PREPARED,
    count_ahead,
    fill_contract,
    journey_table,
    microseconds_between,
    prepare_events,
)
from cxlib.tables import END, OPEN, check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

    from cxlib.ingest.config import JourneyRule

__all__ = ["LAST_FULL", "can_update", "number_customers", "prints_of", "write_log"]

PRINTS = "cx_prints"
"""Table of a snapshot: per customer the number, a print of the events, and the time of the last."""
KEPT = ("events", "journeys", PRINTS)
"""Tables that an update changes in part; the others are written anew."""
_ORDERED = ("event_id", "customer_id", "journey_id", "occurred_at", "touchpoint")
_MOST_TOUCHED = 0.5
LAST_FULL = 0.5
"""Share of appended rows from which a log is written anew, in order."""
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


def prints_of(events: ir.Table) -> ir.Table:
    """One row per customer, with a number that changes when any of their events does.

    Parameters
    ----------
    events
        Events before they are prepared.

    Returns
    -------
    ibis.expr.types.Table
        ``customer_id``, ``cx_print`` (of all columns of all events, in any order) and ``last_at``
        (time of the last event).

    Examples
    --------
    >>> rows = {"customer_id": ["a", "b"], "occurred_at": [datetime(2024, 1, 1)] * 2}
    >>> prints_of(ibis.memtable(rows)).cx_print.nunique().execute()
    2
    """
    row = ibis.struct({name: events[name] for name in events.columns}).hash()
    return events.group_by("customer_id").aggregate(
        cx_print=row.bit_xor(), last_at=events.occurred_at.max()
    )


def number_customers(prints: ir.Table) -> ir.Table:
    """Prints with ``cx_customer``, the number of each customer, from 1 by their id.

    Examples
    --------
    >>> table = number_customers(ibis.memtable({"customer_id": ["b", "a"]}))
    >>> table.order_by("cx_customer").customer_id.to_list()
    ['a', 'b']
    """
    number = ibis.row_number().over(ibis.window(order_by="customer_id")) + 1
    return prints.mutate(cx_customer=number.cast("int64"))


@dataclass(frozen=True)
class LogWriter:
    """How the events of a workspace become its log.

    Attributes
    ----------
    con
        Connection to the file of the new snapshot.
    rules
        Where one journey of a customer ends and the next begins.
    observed_until
        The cut-off.
    """

    con: BaseBackend
    rules: JourneyRule
    observed_until: datetime

    def prepared(self, events: ir.Table, numbers: ir.Table) -> ir.Table:
        """Events of a stored table as the log holds them.

        They are ordered with the columns that order needs, and the others join them at the end: a
        window that carries twenty columns of text takes three times as long.
        """
        wide = fill_contract(events.mutate(cx_rowid=events.rowid()))
        narrow = wide.select("cx_rowid", *_ORDERED).inner_join(
            numbers.select("customer_id", "cx_customer"), "customer_id"
        )
        prepared = prepare_events(
            narrow,
            observed_until=self.observed_until,
            closes_after=self.rules.silence,
            start=self.rules.start,
            end=self.rules.end,
            split_after=self.rules.split_after,
        )
        counted = count_ahead(prepared)
        found = counted.select("cx_rowid", "journey_id", *PREPARED, *COUNTED)
        joined = wide.drop("journey_id").inner_join(found, "cx_rowid")
        names = [name for name in wide.columns if name != "cx_rowid"]
        ordered = joined.order_by("cx_customer", "cx_place")
        return ordered.select(*names, *PREPARED, *COUNTED)

    def write(self, events: ir.Table, prints: ir.Table) -> None:
        """Write the whole log."""
        drop_tables(self.con)
        numbered = self.con.create_table(PRINTS, number_customers(prints))
        names = [*_touchpoints(events), END, OPEN]
        named = ["touchpoint", "next_touchpoint"]
        prepared = self.prepared(events, numbered)
        stored = create_named_table(self.con, "events", prepared, named, names)
        journeys = journey_table(stored).order_by("customer_id", "started_at", "journey_id")
        _check(stored, create_named_table(self.con, "journeys", journeys, ["path"], names))

    def update(self, events: ir.Table, prints: ir.Table, moved_from: datetime) -> int | None:
        """Prepare the touched customers again; None where the whole log must be written.

        Returns how many events were appended.
        """
        if self._ids_may_meet(prints) or set(_touchpoints(events)) - set(self._stored_names()):
            return None
        touched = self._touched(prints, moved_from)
        if touched is None:
            return None
        drop_tables(self.con, keep=KEPT)
        theirs = self.con.create_table(
            "cx_theirs", events.semi_join(touched, "customer_id"), temp=True
        )
        own = self.con.create_table("cx_own", self.prepared(theirs, touched), temp=True)
        journeys = self.con.create_table("cx_own_journeys", journey_table(own), temp=True)
        n = int(own.count().to_pyarrow().as_py())
        if n:
            _check(own, journeys)
        rows = {
            "events": own,
            "journeys": journeys.order_by("customer_id", "started_at", "journey_id"),
            PRINTS: touched.filter(touched.cx_print.notnull()),
        }
        for name, new in rows.items():
            replace_rows(self.con, name, "customer_id", touched, new)
        for name in ("cx_theirs", "cx_own", "cx_own_journeys", "cx_touched"):
            self.con.drop_table(name)
        return n

    def _ids_may_meet(self, prints: ir.Table) -> bool:
        """Whether two customers may share a journey's id, which then depends on both of them."""
        numbered = self.rules.start or self.rules.end or self.rules.split_after is not None
        return not numbered and bool(prints.customer_id.contains("/").any().to_pyarrow().as_py())

    def _stored_names(self) -> list[str]:
        return _touchpoints(self.con.table("events"))

    def _touched(self, prints: ir.Table, moved_from: datetime) -> ir.Table | None:
        """Customers to prepare again, with their print; null where no event is left."""
        old = self.con.table(PRINTS)
        both = prints.outer_join(old, "customer_id")
        differs = (both.cx_print != both.cx_print_right).fill_null(True)
        silence = self.rules.silence
        if silence is not None and moved_from != self.observed_until:
            # A journey that went on may have ended by now, without an event of its own.
            was = _goes_on(both.last_at_right, moved_from, silence)
            differs = differs | (was != _goes_on(both.last_at, self.observed_until, silence))
        found = both.filter(differs.fill_null(True)).select(
            customer_id=ibis.coalesce(both.customer_id, both.customer_id_right),
            cx_customer=both.cx_customer,
            cx_print=both.cx_print,
            last_at=both.last_at,
        )
        last = int(old.cx_customer.max().to_pyarrow().as_py() or 0)
        touched = self.con.create_table("cx_touched", _numbered(found, last), temp=True)
        n, of = (int(table.count().to_pyarrow().as_py()) for table in (touched, old))
        if n <= _MOST_TOUCHED * of:
            return touched
        self.con.drop_table("cx_touched")
        return None


def write_log(
    writer: LogWriter, events: ir.Table, prints: ir.Table, before: dict[str, Any] | None
) -> dict[str, Any]:
    """Write events, journeys and prints of a snapshot; return what its meta data say of how.

    Parameters
    ----------
    writer
        The connection and the rules.
    events
        Events of all sources, before they are prepared; the temporary table ``cx_events`` where
        nothing was there before.
    prints
        What ``prints_of`` gives for them.
    before
        Meta data of the snapshot whose tables the file holds already; None for an empty file.
    """
    con = writer.con
    if before is not None:
        moved_from = datetime.fromisoformat(before["observed_until"])
        appended = writer.update(events, prints, moved_from)
        if appended is not None:
            of = int(con.table("events").count().to_pyarrow().as_py())
            share = float(before["appended_share"]) + appended / max(of, 1)
            return {"built": "incremental", "prepared_again": appended, "appended_share": share}
        events = con.create_table("cx_events", events, temp=True)
    writer.write(events, prints)
    con.drop_table("cx_events")
    return {"built": "full", "appended_share": 0.0}


def _check(events: ir.Table, journeys: ir.Table) -> None:
    check_contract(events, "events")
    check_contract(events, "counted_events")
    check_contract(journeys, "journeys")


def _touchpoints(events: ir.Table) -> list[str]:
    return [str(n) for n in events.select("touchpoint").distinct().to_pyarrow()[0].to_pylist()]


def _numbered(touched: ir.Table, last: int) -> ir.Table:
    """Customers keep their number; new ones get the next."""
    is_new = touched.cx_customer.isnull()
    place = ibis.row_number().over(ibis.window(group_by=is_new, order_by="customer_id")) + 1 + last
    return touched.mutate(cx_customer=ibis.coalesce(touched.cx_customer, place.cast("int64")))


def _goes_on(last_at: ir.TimestampValue, cut_off: datetime, closes: timedelta) -> ir.BooleanValue:
    silence = microseconds_between(ibis.literal(cut_off, type="timestamp"), last_at)
    return silence <= closes // _MICROSECOND
