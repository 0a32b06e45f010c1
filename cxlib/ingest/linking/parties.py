"""Parties of all sources, numbered: each a person as one source tells it, or a shared key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import ibis
import ibis.expr.types as ir

from cxlib.ingest.linking.fields import FIELDS
from cxlib.ingest.sources import StagedSource

__all__ = ["list_parties"]


def list_parties(staged: Mapping[str, StagedSource]) -> ir.Table | None:
    """Parties with the fields that tell who they are.

    Parameters
    ----------
    staged
        The workspace's sources, by name.

    Returns
    -------
    ibis.expr.types.Table or None
        One row per party: ``n`` (from 0, by source and record), ``party``, ``source`` and
        ``record_id`` (its first record), ``told`` (whether a source tells who it is, beyond a
        key), ``key`` (a key that is no field, such as a customer number), ``shared`` (what other
        sources may name it by), ``known_at`` (since when, where that was later), and ``FIELDS``.
        None where no source names customers.
    """
    tables = [
        _of_source(item, place)
        for place, item in enumerate(staged.values())
        if item.rows is not None and item.rule.names_customers
    ]
    if not tables:
        return None
    rows = reduce(ir.Table.union, tables)
    first = {name: rows[name].argmin(rows.rank) for name in ("source", "record_id", "shared")}
    same = {name: rows[name].max() for name in ("told", "key", *FIELDS)}
    same["known_at"] = rows.known_at.min()
    parties = rows.group_by("party").aggregate(rank=rows["rank"].min(), **first, **same)
    number = ibis.row_number().over(order_by=[parties["rank"], parties.party])
    return parties.mutate(n=number.cast("int64")).drop("rank")


def _of_source(item: StagedSource, place: int) -> ir.Table:
    rows, rule = item.rows_with_personal, item.rule
    if rows is None:
        raise AssertionError(item.name)
    nothing = ibis.null("string")
    fields = {name: rows[f"cx_id_{name}"] if rule.identity else nothing for name in FIELDS}
    shared, key = rows.cx_party, nothing
    if rule.identity is not None:
        own = rule.customer.key
        told = rule.identity.columns_used()
        name = own or rule.identity.email
        shared = nothing if name is None else rows[name]
        if name == rule.identity.email:
            # The address of an office is nobody's key.
            shared = ibis.ifelse(fields["email"].isnull(), nothing, shared)
        key = shared if own is not None and own not in told else nothing
    rank = ibis.literal(f"{place:04d}:") + rows.cx_record
    return rows.select(
        party=rows.cx_party,
        rank=rank,
        source=ibis.literal(item.name),
        record_id=rows.cx_record,
        told=ibis.literal(rule.identity is not None),
        key=key,
        shared=shared,
        known_at=rows.cx_since if rule.customer.since else ibis.null("timestamp(6)"),
        **fields,
    )
