"""How the events of a workspace become the log of a snapshot: ordered, numbered, counted ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.patch import drop_tables, stored_tables
from cxlib.engine.writing import create_named_table, create_table, insert_rows, row_count
from cxlib.journeys.counted import COUNTED, count_ahead
from cxlib.journeys.prepare import PREPARED, fill_contract, journey_table, prepare_events
from cxlib.tables import END, OPEN, check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

    from cxlib.ingest.config import JourneyRule

__all__ = [
    "FINGERPRINTS",
    "LAST_FULL",
    "LOG",
    "MOST_TOUCHED",
    "ORDERED",
    "LogWriter",
    "check_log",
    "fingerprints_of",
    "number_customers",
    "number_new",
    "touchpoints_of",
]

FINGERPRINTS = "cx_fingerprints"
"""Table of a snapshot: per customer the number, a fingerprint of the events, when they were seen,
and how many they are; and the part of the log that they were written with, null for who came
later."""
LOG = ("events", "journeys", FINGERPRINTS)
"""Tables of the log."""
LAST_FULL = 0.5
"""Share of appended rows from which a log is written anew, in order."""
MOST_TOUCHED = 0.5
"""Share of customers from which on to order all is quicker than to find the events of these."""
ORDERED = ("event_id", "customer_id", "journey_id", "occurred_at", "touchpoint")
"""What order and journeys of events depend on."""


def fingerprints_of(parts: Sequence[ir.Table]) -> ir.Table:
    """One row per customer, with a number that changes when any of their events does.

    Parameters
    ----------
    parts
        Events before they are prepared, all of a customer in one part.

    Returns
    -------
    ibis.expr.types.Table
        ``customer_id``, ``cx_part`` (place of their part, from 0), ``cx_fingerprint`` (of all
        columns of all events, in any order), ``first_seen_at`` and ``last_seen_at`` (of their
        events, UTC), ``events`` (how many).

    Examples
    --------
    >>> rows = {"customer_id": ["a", "b"], "occurred_at": [datetime(2024, 1, 1)] * 2}
    >>> fingerprints_of([ibis.memtable(rows)]).cx_fingerprint.nunique().execute()
    2
    """
    tables = []
    for number, events in enumerate(parts):
        row = ibis.struct({name: events[name] for name in events.columns}).hash()
        tables.append(
            events.group_by("customer_id").aggregate(
                cx_part=ibis.literal(number, "int64"),
                cx_fingerprint=row.bit_xor(),
                first_seen_at=events.occurred_at.min(),
                last_seen_at=events.occurred_at.max(),
                events=events.count(),
            )
        )
    return reduce(ir.Table.union, tables)


def number_customers(fingerprints: ir.Table) -> ir.Table:
    """Prints with ``cx_customer``, the number of each customer, from 1 by their part and their id.

    Examples
    --------
    >>> rows = ibis.memtable({"customer_id": ["b", "a", "c"], "cx_part": [0, 0, 1]})
    >>> number_customers(rows).order_by("cx_customer").customer_id.to_list()
    ['a', 'b', 'c']
    """
    in_order = ibis.window(order_by=["cx_part", "customer_id"])
    return fingerprints.mutate(cx_customer=(ibis.row_number().over(in_order) + 1).cast("int64"))


def number_new(rows: ir.Table, fingerprints: ir.Table) -> ir.Table:
    """Customers with their number: those without one get the next, by their id.

    Parameters
    ----------
    rows
        ``customer_id``, and ``cx_customer``, null for who is new.
    fingerprints
        Everyone who has a number.

    Examples
    --------
    >>> rows = ibis.memtable({"customer_id": ["d", "a", "c"], "cx_customer": [None, 1, None]})
    >>> known = ibis.memtable({"cx_customer": [1, 2]})
    >>> number_new(rows, known).order_by("customer_id").cx_customer.to_list()
    [1, 3, 4]
    """
    last = int(fingerprints.cx_customer.max().to_pyarrow().as_py() or 0)
    is_new = rows.cx_customer.isnull()
    place = ibis.row_number().over(ibis.window(group_by=is_new, order_by="customer_id")) + 1 + last
    return rows.mutate(cx_customer=ibis.coalesce(rows.cx_customer, place).cast("int64"))


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
        wide = self.wide(events)
        narrow = wide.select("cx_rowid", *ORDERED).inner_join(
            numbers.select("customer_id", "cx_customer"), "customer_id"
        )
        return self.widened(wide, self.ordered(narrow))

    def wide(self, events: ir.Table) -> ir.Table:
        """Events of a stored table with every column of the contract, and their ``cx_rowid``."""
        return fill_contract(events.mutate(cx_rowid=events.rowid()))

    def ordered(self, events: ir.Table) -> ir.Table:
        """Events that know their customer's number, with their journey and their place in it."""
        prepared = prepare_events(
            events,
            observed_until=self.observed_until,
            closes_after=self.rules.silence,
            start=self.rules.start,
            end=self.rules.end,
            split_after=self.rules.split_after,
        )
        return count_ahead(prepared, consecutive=self.rules.numbers_journeys)

    def widened(self, wide: ir.Table, ordered: ir.Table) -> ir.Table:
        """Rows of ``wide`` with what ``ordered`` gives for them, by their ``cx_rowid``."""
        found = ordered.select("cx_rowid", "journey_id", *PREPARED, *COUNTED)
        joined = wide.drop("journey_id").inner_join(found, "cx_rowid")
        names = [name for name in wide.columns if name != "cx_rowid"]
        return joined.order_by("cx_customer", "cx_place").select(*names, *PREPARED, *COUNTED)

    def write(self, parts: Sequence[ir.Table], fingerprints: ir.Table) -> dict[str, Any]:
        """Write the whole log, one part after another.

        Parameters
        ----------
        parts
            Events of all sources before they are prepared: one stored table, or several parts.
        fingerprints
            What ``fingerprints_of`` gives for them.

        Returns
        -------
        dict
            What the meta data of the snapshot say of how it was built.
        """
        drop_tables(self.con)
        numbered = create_table(self.con, FINGERPRINTS, number_customers(fingerprints))
        names = set().union(*map(touchpoints_of, parts)) | {END, OPEN}
        for number, part in enumerate(parts):
            theirs = numbered.filter(numbered.cx_part == number)
            named = ["touchpoint", "next_touchpoint"]
            if len(parts) > 1:
                part = create_table(self.con, "cx_part", part, temp=True)
            self._append("events", self.prepared(part, theirs), named, names)
            last = row_count(numbered.filter(numbered.cx_part < number))
            stored = self.con.table("events")
            # What was stored before is left out by the numbers, which stand in order.
            own = stored.filter(stored.cx_customer > last)
            journeys = journey_table(own).order_by("customer_id", "started_at", "journey_id")
            self._append("journeys", journeys, ["path"], names)
            stored = self.con.table("journeys")
            check_log(own, stored.filter(stored.cx_customer > last))
        self.con.drop_table("cx_part", force=True)
        return {"built": "full", "appended_share": 0.0, "looked_at": None}

    def _append(self, name: str, rows: ir.Table, named: list[str], names: set[str]) -> None:
        if name in stored_tables(self.con):
            insert_rows(self.con, name, rows)
        else:
            create_named_table(self.con, name, rows, named, names)


def check_log(events: ir.Table, journeys: ir.Table) -> None:
    """Raise where events or journeys that were prepared break their contracts.

    Raises
    ------
    CxError
        When they do.

    Examples
    --------
    >>> check_log(ibis.memtable({"event_id": ["e1"]}), ibis.memtable({"journey_id": ["j1"]}))
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: ...
    """
    check_contract(events, "events")
    check_contract(events, "counted_events")
    check_contract(journeys, "journeys")


def touchpoints_of(events: ir.Table) -> set[str]:
    """Touchpoints that any of some events has.

    Examples
    --------
    >>> sorted(touchpoints_of(ibis.memtable({"touchpoint": ["visited", "bought", "visited"]})))
    ['bought', 'visited']
    """
    return {str(n) for n in events.select("touchpoint").distinct().to_pyarrow()[0].to_pylist()}
