"""Who is who: which record of which system belongs to which customer, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import ibis
import ibis.expr.types as ir

from cxlib.ingest.sources import StagedSource

__all__ = ["Identities", "assign_customers", "resolve_identities"]

IDENTITIES = ibis.schema(
    {
        "source": "string",
        "record_id": "string",
        "customer_id": "string",
        "rule": "string",
        "known_at": "timestamp",
    }
)
"""Columns of ``identities``: ``known_at`` is null where the link was known from the start."""

MERGES = ibis.schema(
    {
        "left_source": "string",
        "left_id": "string",
        "right_source": "string",
        "right_id": "string",
        "decision": "string",
        "rule": "string",
        "match_weight": "float64",
        "probability": "float64",
        "known_at": "timestamp",
    }
)
"""Columns of ``merges``; ``decision`` is key, model, manual, flagged or refused."""


@dataclass(frozen=True)
class Identities:
    """Who is who in a workspace.

    Attributes
    ----------
    customers
        ``party, customer_id``: which customer each party is. None where each is its own.
    identities
        One row per record of a source that names its customers: ``source``, ``record_id`` (its id
        in that source), ``customer_id``, ``rule`` (why it belongs to that customer), ``known_at``
        (UTC; since when, null for from the start).
    merges
        One row per pair of records that were held against each other and decided on:
        ``left_source, left_id, right_source, right_id, decision`` (key, model, manual, flagged or
        refused), ``rule, match_weight, probability, known_at``.

    Examples
    --------
    >>> resolve_identities({}).customers is None
    True
    """

    customers: ir.Table | None
    identities: ir.Table
    merges: ir.Table


def resolve_identities(staged: Mapping[str, StagedSource]) -> Identities:
    """Customers of all sources: which party is which.

    Parameters
    ----------
    staged
        The workspace's sources, by name. A row's ``cx_party`` is its shared key, or that of the
        row in another source which it refers to.

    Returns
    -------
    Identities
        Only sources that name an id have records.

    Notes
    -----
    Two records belong to one customer when their shared keys are equal, after trimming and, for a
    personal key such as an e-mail address, without regard to case.

    Examples
    --------
    >>> resolve_identities({}).identities.schema().names
    ('source', 'record_id', 'customer_id', 'rule', 'known_at')
    """
    tables = [
        item.rows.select(
            source=ibis.literal(item.name),
            record_id=item.rows.cx_record,
            customer_id=item.rows.cx_party,
            rule=ibis.literal(f"shared key {item.rule.customer.key}"),
            known_at=ibis.null("timestamp"),
        )
        for item in staged.values()
        if item.rows is not None and item.rule.id and item.rule.customer.key
    ]
    known = reduce(ir.Table.union, tables) if tables else ibis.memtable([], schema=IDENTITIES)
    return Identities(None, known, ibis.memtable([], schema=MERGES))


def assign_customers(
    staged: Mapping[str, StagedSource], customers: ir.Table | None
) -> dict[str, StagedSource]:
    """Sources whose rows know their customer: ``cx_customer`` beside ``cx_party``.

    Parameters
    ----------
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
    >>> assign_customers({}, None)
    {}
    """
    return {name: replace(item, judged=_assigned(item, customers)) for name, item in staged.items()}


def _assigned(item: StagedSource, customers: ir.Table | None) -> ir.Table | None:
    rows = item.judged
    if rows is None or customers is None:
        return None if rows is None else rows.mutate(cx_customer=rows.cx_party)
    known = customers.select(cx_party="party", cx_customer="customer_id")
    joined = rows.left_join(known, "cx_party").drop("cx_party_right")
    return joined.mutate(cx_customer=ibis.coalesce(joined.cx_customer, joined.cx_party))
