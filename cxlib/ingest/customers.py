"""One row per customer: when they were seen, and what is believed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError
from cxlib.ingest.config import Sources
from cxlib.ingest.facts import conflicts_among, facts_of, ranked
from cxlib.ingest.identity import Identities
from cxlib.ingest.quality import conflict_findings
from cxlib.ingest.records import early_events, record_times
from cxlib.ingest.sources import StagedSource
from cxlib.tables import CONTRACTS, check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["believed", "customer_rows", "store_customers"]


def store_customers(
    con: BaseBackend, config: Sources, staged: Mapping[str, StagedSource], who: Identities
) -> list[dict[str, object]]:
    """Write who is who, what records say of them, where they differ, and what is believed.

    Parameters
    ----------
    con
        The connection that the snapshot is written through; it has the table ``events``.
    config
        The workspace's description.
    staged
        Its sources by name, whose rows know their customer.
    who
        What ``resolve_identities`` gives.

    Returns
    -------
    list of dict
        Findings for the ``quality`` table: attributes on which a customer's records differ.
    """
    times = con.create_table("cx_record_times", record_times(staged), temp=True)
    records = who.identities.left_join(times, ["source", "record_id"])
    # In no order: to sort as many records as there are rows takes as long again.
    known = con.create_table("identities", records.drop("source_right", "record_id_right"))
    con.create_table("early_events", early_events(staged).order_by("event_id"))
    con.create_table("merges", who.merges.order_by(*who.merges.columns))
    told = facts_of(staged.values(), times).order_by(
        "customer_id", "attribute", "source", "record_id"
    )
    facts = con.create_table("facts", told)
    said = ranked(facts, config.survivorship, list(config.sources), config.registers)
    differ = conflicts_among(said).order_by("customer_id", "attribute")
    conflicts = con.create_table("conflicts", differ)
    everyone = customer_rows(con.table("events"), known, said, config.attributes)
    stored = con.create_table("customers", everyone.order_by("customer_id"))
    check_contract(stored, "customers")
    return conflict_findings(facts, conflicts, config.attributes)


def customer_rows(
    events: ir.Table, everyone: ir.Table, said: ir.Table, attributes: Sequence[str]
) -> ir.Table:
    """Customers of all sources, with their attributes.

    Parameters
    ----------
    events
        All events: at least ``customer_id`` and ``occurred_at``.
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
    >>> events = ibis.memtable(
    ...     {"customer_id": ["a", "a"], "occurred_at": [datetime(2024, 1, 1), datetime(2024, 3, 1)]}
    ... )
    >>> said = ibis.memtable([], schema=ibis.schema({**FACTS, "cx_rank": "int64"}))
    >>> rows = customer_rows(events, events.select("customer_id"), said, [])
    >>> rows.select("customer_id", "events").to_pandas()
      customer_id  events
    0           a       2
    """
    taken = [name for name in attributes if name.casefold() in CONTRACTS["customers"]]
    if taken:
        raise CxError(f"the attribute {taken[0]!r} is a column that every customer has; rename it")
    seen = events.group_by("customer_id").aggregate(
        first_seen_at=events.occurred_at.min(),
        last_seen_at=events.occurred_at.max(),
        events=events.count(),
    )
    named = [table.select("customer_id") for table in (events, everyone, said)]
    people = ibis.union(*named, distinct=True)
    rows = people.left_join(seen, "customer_id").drop("customer_id_right")
    rows = rows.mutate(events=rows.events.fill_null(0))
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
