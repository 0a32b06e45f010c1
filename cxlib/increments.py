"""The log of a snapshot: written whole, or for those of whom something else is said now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.connect import create_named_table
from cxlib.engine.patch import drop_tables, replace_rows, stored_tables
from cxlib.journeys.counted import COUNTED, count_ahead
from cxlib.journeys.prepare import (
    PREPARED,
    fill_contract,
    journey_table,
    microseconds_between,
    prepare_events,
)
from cxlib.tables import END, OPEN, check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

    from cxlib.ingest.config import JourneyRule

__all__ = [
    "LAST_FULL",
    "LOG",
    "PRINTS",
    "LogWriter",
    "can_update",
    "number_customers",
    "prints_of",
]

PRINTS = "cx_prints"
"""Table of a snapshot: per customer the number, a print of the events, when they were seen, and how
many they are; and the part of the log that they were written with, null for who came later."""
LOG = ("events", "journeys", PRINTS)
"""Tables of the log."""
_TEMPORARY = (
    "cx_candidates",
    "cx_looked_at",
    "cx_new_prints",
    "cx_touched",
    "cx_again",
    "cx_own",
    "cx_own_journeys",
)
"""Tables that an update makes and does not keep."""
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


def prints_of(parts: Sequence[ir.Table]) -> ir.Table:
    """One row per customer, with a number that changes when any of their events does.

    Parameters
    ----------
    parts
        Events before they are prepared, all of a customer in one part.

    Returns
    -------
    ibis.expr.types.Table
        ``customer_id``, ``cx_part`` (place of their part, from 0), ``cx_print`` (of all columns of
        all events, in any order), ``first_seen_at`` and ``last_seen_at`` (of their events, UTC),
        ``events`` (how many).

    Examples
    --------
    >>> rows = {"customer_id": ["a", "b"], "occurred_at": [datetime(2024, 1, 1)] * 2}
    >>> prints_of([ibis.memtable(rows)]).cx_print.nunique().execute()
    2
    """
    tables = []
    for number, events in enumerate(parts):
        row = ibis.struct({name: events[name] for name in events.columns}).hash()
        tables.append(
            events.group_by("customer_id").aggregate(
                cx_part=ibis.literal(number, "int64"),
                cx_print=row.bit_xor(),
                first_seen_at=events.occurred_at.min(),
                last_seen_at=events.occurred_at.max(),
                events=events.count(),
            )
        )
    return reduce(ir.Table.union, tables)


def number_customers(prints: ir.Table) -> ir.Table:
    """Prints with ``cx_customer``, the number of each customer, from 1 by their part and their id.

    Examples
    --------
    >>> rows = ibis.memtable({"customer_id": ["b", "a", "c"], "cx_part": [0, 0, 1]})
    >>> number_customers(rows).order_by("cx_customer").customer_id.to_list()
    ['a', 'b', 'c']
    """
    in_order = ibis.window(order_by=["cx_part", "customer_id"])
    return prints.mutate(cx_customer=(ibis.row_number().over(in_order) + 1).cast("int64"))


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

    def write(self, parts: Sequence[ir.Table], prints: ir.Table) -> dict[str, Any]:
        """Write the whole log, one part after another.

        Parameters
        ----------
        parts
            Events of all sources before they are prepared: one stored table, or several parts.
        prints
            What ``prints_of`` gives for them.

        Returns
        -------
        dict
            What the meta data of the snapshot say of how it was built.
        """
        drop_tables(self.con)
        numbered = self.con.create_table(PRINTS, number_customers(prints))
        names = {name for part in parts for name in _touchpoints(part)} | {END, OPEN}
        for number, part in enumerate(parts):
            theirs = numbered.filter(numbered.cx_part == number)
            named = ["touchpoint", "next_touchpoint"]
            if len(parts) > 1:
                part = self.con.create_table("cx_part", part, temp=True, overwrite=True)
            self._append("events", self.prepared(part, theirs), named, names)
            last = _count(numbered.filter(numbered.cx_part < number))
            stored = self.con.table("events")
            # What was stored before is left out by the numbers, which stand in order.
            own = stored.filter(stored.cx_customer > last)
            journeys = journey_table(own).order_by("customer_id", "started_at", "journey_id")
            self._append("journeys", journeys, ["path"], names)
            stored = self.con.table("journeys")
            _check(own, stored.filter(stored.cx_customer > last))
        self.con.drop_table("cx_part", force=True)
        return {"built": "full", "appended_share": 0.0, "looked_at": None}

    def _append(self, name: str, rows: ir.Table, named: list[str], names: set[str]) -> None:
        if name in stored_tables(self.con):
            self.con.insert(name, rows.select(*self.con.table(name).columns))
        else:
            create_named_table(self.con, name, rows, named, names)

    def update(
        self, events: ir.Table, before: dict[str, Any], changed: ir.Table | None
    ) -> dict[str, Any] | None:
        """Change the log that the file holds in part.

        Parameters
        ----------
        events
            Events of all sources, before they are prepared; they need not be stored.
        before
            Meta data of the snapshot whose tables the file holds.
        changed
            ``customer_id`` of those of whom any row came or went; None where that is not known.

        Returns
        -------
        dict or None
            What the meta data of the new snapshot say of how it was built: ``prepared_again``
            (events), ``looked_at`` (customers; None for all). None, and nothing is changed, where
            the whole log must be written.
        """
        moved_from = datetime.fromisoformat(before["observed_until"])
        try:
            candidates = None if changed is None else self._candidates(changed, moved_from)
            n = self._update(events, moved_from, candidates)
            if n is None:
                return None
            looked_at = None if candidates is None else _count(candidates)
        finally:
            for name in _TEMPORARY:
                self.con.drop_table(name, force=True)
        share = float(before["appended_share"]) + n / max(_count(self.con.table("events")), 1)
        return {
            "built": "incremental",
            "prepared_again": n,
            "looked_at": looked_at,
            "appended_share": share,
        }

    def _update(
        self, events: ir.Table, moved_from: datetime, candidates: ir.Table | None
    ) -> int | None:
        if candidates is not None:
            theirs = events.semi_join(candidates, "customer_id")
            events = self.con.create_table("cx_looked_at", theirs, temp=True)
        prints = self.con.create_table("cx_new_prints", prints_of([events]), temp=True)
        if self._ids_may_meet(prints) or set(_touchpoints(events)) - set(self._stored_names()):
            return None
        touched = self._touched(prints, moved_from, candidates)
        if touched is None:
            return None
        theirs = events.semi_join(touched, "customer_id")
        theirs = self.con.create_table("cx_again", theirs, temp=True)
        own = self.prepared(theirs, touched)
        if set(own.columns) != set(self.con.table("events").columns):
            return None
        own = self.con.create_table("cx_own", own, temp=True)
        journeys = self.con.create_table("cx_own_journeys", journey_table(own), temp=True)
        n = _count(own)
        if n:
            _check(own, journeys)
        rows = {
            "events": own,
            "journeys": journeys.order_by("customer_id", "started_at", "journey_id"),
            PRINTS: touched.filter(touched.cx_print.notnull()),
        }
        for name, new in rows.items():
            replace_rows(self.con, name, "customer_id", touched, new)
        return n

    def _candidates(self, changed: ir.Table, moved_from: datetime) -> ir.Table | None:
        """Customers who may be touched; None where they are too many to be looked at apart."""
        old, silence = self.con.table(PRINTS), self.rules.silence
        if silence is not None and moved_from != self.observed_until:
            # A journey that went on may have ended by now, without an event of its own.
            was = _goes_on(old.last_seen_at, moved_from, silence)
            ended = old.filter(was != _goes_on(old.last_seen_at, self.observed_until, silence))
            changed = changed.union(ended.select("customer_id"))
        found = self.con.create_table("cx_candidates", changed.distinct(), temp=True)
        return found if _count(found) <= _MOST_TOUCHED * _count(old) else None

    def _ids_may_meet(self, prints: ir.Table) -> bool:
        """Whether two customers may share a journey's id, which then depends on both of them."""
        if self.rules.numbers_journeys:
            return False
        return any(
            table.customer_id.contains("/").any().to_pyarrow().as_py()
            for table in (prints, self.con.table(PRINTS))
        )

    def _stored_names(self) -> list[str]:
        return _touchpoints(self.con.table("events"))

    def _touched(
        self, prints: ir.Table, moved_from: datetime, candidates: ir.Table | None
    ) -> ir.Table | None:
        """Customers to prepare again, with their print; null where no event is left."""
        every = self.con.table(PRINTS)
        old = every if candidates is None else every.semi_join(candidates, "customer_id")
        both = prints.drop("cx_part").outer_join(old, "customer_id")
        differs = (both.cx_print != both.cx_print_right).fill_null(True)
        silence = self.rules.silence
        if silence is not None and moved_from != self.observed_until:
            was = _goes_on(both.last_seen_at_right, moved_from, silence)
            differs = differs | (was != _goes_on(both.last_seen_at, self.observed_until, silence))
        found = both.filter(differs.fill_null(True)).select(
            "cx_print",
            "first_seen_at",
            "last_seen_at",
            "events",
            "cx_customer",
            "cx_part",
            customer_id=ibis.coalesce(both.customer_id, both.customer_id_right),
        )
        last = int(every.cx_customer.max().to_pyarrow().as_py() or 0)
        touched = self.con.create_table("cx_touched", _numbered(found, last), temp=True)
        return touched if _count(touched) <= _MOST_TOUCHED * _count(every) else None


def _count(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


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
