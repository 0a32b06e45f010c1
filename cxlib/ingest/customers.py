"""One row per customer: when they were seen, and what is believed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.engine.patch import replace_rows
from cxlib.engine.writing import create_table
from cxlib.errors import CxError
from cxlib.ingest.config import Sources
from cxlib.ingest.delta import Delta
from cxlib.ingest.facts import conflicts_among, facts_of, ranked
from cxlib.ingest.identity import Identities, identities_of
from cxlib.ingest.quality import conflict_findings
from cxlib.ingest.records import early_events
from cxlib.ingest.sources import StagedSource
from cxlib.tables import CONTRACTS, check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["OF_CUSTOMERS", "believed", "customer_rows", "store_customers"]

OF_CUSTOMERS = ("identities", "facts", "conflicts", "customers")
"""Tables that are brought up to date in part where it is known what came and went."""


def store_customers(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    who: Identities,
    seen: ir.Table,
    delta: Delta | None = None,
) -> list[dict[str, object]]:
    """Write who is who, what records say of them, where they differ, and what is believed.

    Parameters
    ----------
    con
        The connection that the snapshot is written through.
    config
        The workspace's description.
    staged
        Its sources by name, whose rows know their customer.
    who
        What ``resolve_identities`` gives.
    seen
        One row per customer with events, as ``customer_rows`` takes them.
    delta
        What came and went since the snapshot whose tables ``identities``, ``facts``, ``conflicts``
        and ``customers`` are there already; None where they are to be written.

    Returns
    -------
    list of dict
        Findings for the ``quality`` table: attributes on which a customer's records differ.
    """
    create_table(con, "early_events", early_events(staged).order_by("event_id"))
    # Where nobody was linked there are none to put in order.
    merges = who.merges if who.customers is None else who.merges.order_by(*who.merges.columns)
    create_table(con, "merges", merges)
    again = staged if delta is None else delta.sources
    named = who.identities if delta is None else identities_of(again, who.customers)
    told = facts_of(again.values()).order_by("customer_id", "attribute", "source", "record_id")
    # In no order: to sort as many records as there are rows takes as long again.
    _write_records(con, "identities", named, delta)
    _write_records(con, "facts", told, delta)
    known, facts = con.table("identities"), con.table("facts")
    if delta is not None:
        seen = seen.semi_join(delta.customers, "customer_id")
        known = known.semi_join(delta.customers, "customer_id")
    of_them = facts if delta is None else facts.semi_join(delta.customers, "customer_id")
    said = ranked(of_them, config.survivorship, list(config.sources), config.registers)
    said = create_table(con, "cx_said", said, temp=True)
    _write_customers(con, "conflicts", conflicts_among(said), ["customer_id", "attribute"], delta)
    everyone = customer_rows(seen, known, said, config.attributes)
    _write_customers(con, "customers", everyone, ["customer_id"], delta)
    con.drop_table("cx_said")
    check_contract(con.table("customers"), "customers")
    return conflict_findings(facts, con.table("conflicts"), config.attributes)


def _write_records(con: BaseBackend, name: str, rows: ir.Table, delta: Delta | None) -> None:
    if delta is None:
        create_table(con, name, rows)
    else:
        gone = ibis.memtable({"source": sorted(delta.anew)}, schema={"source": "string"})
        replace_rows(con, name, "source", gone, rows)


def _write_customers(
    con: BaseBackend, name: str, rows: ir.Table, order: list[str], delta: Delta | None
) -> None:
    if delta is None:
        create_table(con, name, rows.order_by(order))
    else:
        replace_rows(con, name, "customer_id", delta.customers, rows.order_by(order))


def customer_rows(
    seen: ir.Table, everyone: ir.Table, said: ir.Table, attributes: Sequence[str]
) -> ir.Table:
    """Customers of all sources, with their attributes.

    Parameters
    ----------
    seen
        One row per customer with events: ``customer_id``, ``first_seen_at``, ``last_seen_at``,
        ``events``, as ``prints_of`` gives them.
    everyone
        ``customer_id`` of those whom a record names, whether they have events or not.
    said
        What ``ranked`` gives.
    attributes
        Their names, in order.

    Returns
    -------
    ibis.expr.types.Table
        One row per customer who has an event, a record or a fact: ``customer_id``,
        ``first_seen_at``, ``last_seen_at`` (UTC; null without an event), ``events``, and a text
        column per attribute.

    Raises
    ------
    CxError
        When an attribute has the name of a column that every customer has.

    Examples
    --------
    >>> from datetime import datetime
    >>> from cxlib.ingest.facts import FACTS
    >>> seen = ibis.memtable(
    ...     {"customer_id": ["a"], "first_seen_at": [datetime(2024, 1, 1)],
    ...      "last_seen_at": [datetime(2024, 3, 1)], "events": [2]}
    ... )
    >>> said = ibis.memtable([], schema=ibis.schema({**FACTS, "cx_rank": "int64"}))
    >>> rows = customer_rows(seen, seen.select("customer_id"), said, [])
    >>> rows.select("customer_id", "events").to_pandas()
      customer_id  events
    0           a       2
    """
    taken = [name for name in attributes if name.casefold() in CONTRACTS["customers"]]
    if taken:
        raise CxError(f"the attribute {taken[0]!r} is a column that every customer has; rename it")
    named = [table.select("customer_id") for table in (everyone, said)]
    silent = ibis.union(*named).anti_join(seen, "customer_id").distinct()
    never = ibis.null(seen.first_seen_at.type())
    nothing = silent.mutate(
        first_seen_at=never, last_seen_at=never, events=ibis.literal(0, "int64")
    )
    columns = ["customer_id", "first_seen_at", "last_seen_at", "events"]
    rows = seen.select(columns).union(nothing.select(columns))
    if attributes:
        facts = believed(said, attributes)
        rows = rows.left_join(facts, "customer_id").drop("customer_id_right")
    return rows.select(*CONTRACTS["customers"], *attributes)


def believed(said: ir.Table, attributes: Sequence[str]) -> ir.Table:
    """One row per customer of whom something is said, with a column per attribute.

    Examples
    --------
    >>> said = ibis.memtable({"customer_id": ["a", "a"], "attribute": ["plan", "plan"],
    ...                       "value": ["pro", "basic"], "cx_rank": [0, 1]})
    >>> believed(said, ["plan"]).to_pandas()
      customer_id plan
    0           a  pro
    """
    first = said.filter(said.cx_rank == 0)
    # One of each is left: min only takes it out of its row.
    columns = {name: first["value"].min(where=first.attribute == name) for name in attributes}
    return first.group_by("customer_id").aggregate(**columns)
