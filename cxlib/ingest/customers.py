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
    facts, whose = con.table("facts"), None if delta is None else delta.told
    of_them = facts if whose is None else facts.semi_join(whose, "customer_id")
    said = ranked(of_them, config.survivorship, list(config.sources), config.registers)
    said = create_table(con, "cx_said", said, temp=True)
    _write_customers(con, "conflicts", conflicts_among(said), ["customer_id", "attribute"], whose)
    beliefs = believed(said, config.attributes)
    everyone = con.table("identities").select("customer_id").union(facts.select("customer_id"))
    if delta is not None:
        seen = seen.semi_join(delta.customers, "customer_id")
        # Few have no event: only they are looked for among as many records as there are rows.
        unseen = delta.customers.anti_join(seen, "customer_id")
        unseen = create_table(con, "cx_unseen", unseen, temp=True)
        everyone = everyone.semi_join(unseen, "customer_id")
        # Stored now: what was believed before is to be replaced.
        beliefs = beliefs.union(_believed_before(con, delta).select(beliefs.columns))
        beliefs = create_table(con, "cx_beliefs", beliefs, temp=True)
    rows = customer_rows(seen, everyone, beliefs, config.attributes)
    whose = None if delta is None else delta.customers
    _write_customers(con, "customers", rows, ["customer_id"], whose)
    for name in ("cx_said", "cx_unseen", "cx_beliefs"):
        con.drop_table(name, force=True)
    check_contract(con.table("customers"), "customers")
    return conflict_findings(
        facts, con.table("conflicts"), con.table("customers"), config.attributes
    )


def _write_records(con: BaseBackend, name: str, rows: ir.Table, delta: Delta | None) -> None:
    if delta is None:
        create_table(con, name, rows)
    else:
        gone = ibis.memtable({"source": sorted(delta.anew)}, schema={"source": "string"})
        replace_rows(con, name, "source", gone, rows)


def _write_customers(
    con: BaseBackend, name: str, rows: ir.Table, order: list[str], whose: ir.Table | None
) -> None:
    if whose is None:
        create_table(con, name, rows.order_by(order))
    else:
        replace_rows(con, name, "customer_id", whose, rows.order_by(order))


def _believed_before(con: BaseBackend, delta: Delta) -> ir.Table:
    """Rows of changed customers of whom no record says anything else now."""
    changed = con.table("customers").semi_join(delta.customers, "customer_id")
    return changed.anti_join(delta.told, "customer_id")


def customer_rows(
    seen: ir.Table, everyone: ir.Table, beliefs: ir.Table, attributes: Sequence[str]
) -> ir.Table:
    """Customers of all sources, with their attributes.

    Parameters
    ----------
    seen
        One row per customer with events: ``customer_id``, ``first_seen_at``, ``last_seen_at``,
        ``events``, as ``fingerprints_of`` gives them.
    everyone
        ``customer_id`` of those whom a record names, whether they have events or not.
    beliefs
        What ``believed`` gives.
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
    >>> seen = ibis.memtable(
    ...     {"customer_id": ["a"], "first_seen_at": [datetime(2024, 1, 1)],
    ...      "last_seen_at": [datetime(2024, 3, 1)], "events": [2]}
    ... )
    >>> everyone = ibis.memtable({"customer_id": ["a", "b"]})
    >>> beliefs = ibis.memtable({"customer_id": ["b"], "plan": ["pro"]})
    >>> rows = customer_rows(seen, everyone, beliefs, ["plan"]).order_by("customer_id")
    >>> rows.select("customer_id", "events", "plan").to_pandas()
      customer_id  events  plan
    0           a       2  None
    1           b       0   pro
    """
    taken = [name for name in attributes if name.casefold() in CONTRACTS["customers"]]
    if taken:
        raise CxError(f"the attribute {taken[0]!r} is a column that every customer has; rename it")
    silent = everyone.anti_join(seen, "customer_id").distinct()
    never = ibis.null(seen.first_seen_at.type())
    nothing = silent.mutate(
        first_seen_at=never, last_seen_at=never, events=ibis.literal(0, "int64")
    )
    columns = ["customer_id", "first_seen_at", "last_seen_at", "events"]
    rows = seen.select(columns).union(nothing.select(columns))
    if attributes:
        rows = rows.left_join(beliefs, "customer_id").drop("customer_id_right")
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
