"""Who is who: which record of which system belongs to which customer, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.engine.writing import create_table, create_temporary_view
from cxlib.ingest.config import Sources
from cxlib.ingest.linking.linked import CUSTOMERS, MERGES, link_parties
from cxlib.ingest.linking.manual import Decisions, by_hand, records_of
from cxlib.ingest.linking.parties import list_parties
from cxlib.ingest.records import recorded_rows
from cxlib.ingest.sources import StagedSource

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["Identities", "assign_customers", "identities_of", "resolve_identities"]

IDENTITIES = ibis.schema(
    {
        "source": "string",
        "record_id": "string",
        "customer_id": "string",
        "rule": "string",
        "known_at": "timestamp(6)",
        "recorded_at": "timestamp(6)",
    }
)
"""Columns of ``identities``, as `Identities` says them."""


@dataclass(frozen=True)
class Identities:
    """Who is who in a workspace.

    Attributes
    ----------
    customers
        ``party, customer_id, rule``: which customer each party is. None where each is its own.
    identities
        One row per record of a source that names its customers: ``source``, ``record_id`` (its id
        in that source), ``customer_id``, ``rule`` (why it belongs to that customer), ``known_at``
        (UTC; since when, null for from the start), ``recorded_at`` (UTC; the earliest time in the
        record or in one that refers to it, null where no time is known).
    merges
        One row per pair of records that were held against each other and decided on:
        ``left_source, left_id, right_source, right_id, decision`` (key, model, manual, flagged or
        refused), ``rule, match_weight`` (bits), ``probability, evidence, known_at``.

    Examples
    --------
    >>> resolve_identities({}).customers is None
    True
    """

    customers: ir.Table | None
    identities: ir.Table
    merges: ir.Table


def resolve_identities(
    staged: Mapping[str, StagedSource],
    *,
    con: BaseBackend | None = None,
    config: Sources | None = None,
    decided: Decisions | None = None,
    key: str | None = None,
) -> Identities:
    """Customers of all sources: which party is which.

    Parameters
    ----------
    staged
        The workspace's sources, by name, as ``note_references`` gives them. A row's ``cx_party``
        stands for what it tells of its customer, or is the shared key, or that of the row in
        another source which it refers to.
    con
        Connection that the sources are staged on.
    config
        The workspace's description.
    decided
        What people decided, from ``load_decisions``; nothing by default.

    key
        Secret that customers are named with; None for a plain hash.

    Returns
    -------
    Identities
        Only sources that name an id have records.

    Raises
    ------
    CxError
        When a decision names a record that does not exist, or two decisions contradict each other.

    Notes
    -----
    Without a source that tells who its rows are about (``identity:``) and without decisions, two
    records belong to one customer when their shared keys are equal, after trimming and, for a
    personal key such as an e-mail address, without regard to case. Otherwise see docs/identity.md.

    Examples
    --------
    >>> resolve_identities({}).identities.schema().names
    ('source', 'record_id', 'customer_id', 'rule', 'known_at', 'recorded_at')
    """
    decided = decided or Decisions()
    tells = any(item.rule.identity is not None for item in staged.values())
    parties = list_parties(staged) if tells or decided.records() else None
    customers, merges = None, ibis.memtable([], schema=MERGES)
    if parties is not None and con is not None:
        size = 50 if config is None else config.linking.max_size
        parties = create_table(con, "cx_parties", parties, temp=True)
        hands = by_hand(decided, records_of(decided, staged), parties)
        known, pairs = link_parties(parties, hands, max_size=size, key=key)
        customers = con.create_table("cx_customers", known, schema=CUSTOMERS, temp=True)
        merges = con.create_table("cx_merges", pairs, schema=MERGES, temp=True)
    return Identities(customers, identities_of(staged, customers), merges)


def assign_customers(
    con: BaseBackend, staged: Mapping[str, StagedSource], customers: ir.Table | None
) -> dict[str, StagedSource]:
    """Sources whose rows know their customer: ``cx_customer`` beside ``cx_party``.

    Parameters
    ----------
    con
        The connection that the snapshot is written through; the rows become views of it.
    staged
        The workspace's sources, by name.
    customers
        ``party, customer_id``, one row per party; None where each party is its own customer.

    Returns
    -------
    dict
        The same sources, with as many rows each. A party that the table does not know is its own
        customer.

    Examples
    --------
    >>> from cxlib import connect
    >>> assign_customers(connect(), {}, None)
    {}
    """
    assigned = {}
    for name, item in staged.items():
        rows = item.judged
        if rows is not None:
            rows = create_temporary_view(con, f"{name}_assigned", _assigned(rows, customers))
        assigned[name] = replace(item, judged=rows)
    return assigned


def _assigned(rows: ir.Table, customers: ir.Table | None) -> ir.Table:
    if customers is None:
        return rows.mutate(cx_customer=rows.cx_party)
    known = customers.select(cx_party="party", cx_customer="customer_id")
    joined = rows.left_join(known, "cx_party").drop("cx_party_right")
    return joined.mutate(cx_customer=ibis.coalesce(joined.cx_customer, joined.cx_party))


def identities_of(staged: Mapping[str, StagedSource], customers: ir.Table | None) -> ir.Table:
    """Each record of a source that names its customers, with its customer and why.

    Parameters
    ----------
    staged
        Sources by name, as ``note_references`` gives them.
    customers
        ``party, customer_id, rule``, one row per party; None where each party is its own customer.

    Returns
    -------
    ibis.expr.types.Table
        ``identities`` of `Identities`, lazy.

    Examples
    --------
    >>> identities_of({}, None).count().to_pandas()
    0
    """
    tables = []
    for item in staged.values():
        rows, key = recorded_rows(item, "cx_party"), item.rule.customer.key
        if rows is None or not item.rule.id or not item.rule.names_customers:
            continue
        since = rows.cx_since if item.rule.customer.since is not None else ibis.null("timestamp(6)")
        rows = rows.select("cx_record", "cx_party", "cx_recorded_at", known_at=since)
        shared = ibis.literal("own record" if key is None else f"shared key {key}")
        why = rows.mutate(customer_id=rows.cx_party, rule=shared)
        if customers is not None:
            known = customers.rename(cx_party="party")
            joined = rows.left_join(known, "cx_party").drop("cx_party_right")
            why = joined.mutate(
                customer_id=ibis.coalesce(joined.customer_id, joined.cx_party),
                rule=ibis.coalesce(joined.rule, shared),
            )
        tables.append(
            why.select(
                source=ibis.literal(item.name),
                record_id=why.cx_record,
                customer_id=why.customer_id,
                rule=why.rule,
                known_at=why.known_at,
                recorded_at=why.cx_recorded_at,
            )
        )
    return reduce(ir.Table.union, tables) if tables else ibis.memtable([], schema=IDENTITIES)
