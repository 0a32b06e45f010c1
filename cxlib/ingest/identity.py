"""Who is who: which record of which system belongs to which customer, and why."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import ibis
import ibis.expr.types as ir

from cxlib.ingest.sources import StagedSource

__all__ = ["identities"]


def identities(staged: Iterable[StagedSource]) -> ir.Table:
    """Records of every source that names its customers by the shared key.

    Parameters
    ----------
    staged
        The workspace's sources.

    Returns
    -------
    ibis.expr.types.Table
        One row per record: ``source``, ``record_id`` (its id in that source), ``customer_id``,
        ``rule`` (why it belongs to that customer). Only sources that name an id have records.

    Notes
    -----
    Two records belong to one customer when their shared keys are equal, after trimming and, for a
    personal key such as an e-mail address, without regard to case.

    Examples
    --------
    >>> identities([]).schema().names
    ('source', 'record_id', 'customer_id', 'rule')
    """
    tables = [
        item.rows.select(
            source=ibis.literal(item.name),
            record_id=item.rows.cx_record,
            customer_id=item.rows.cx_customer,
            rule=ibis.literal(f"shared key {item.rule.customer.key}"),
        )
        for item in staged
        if item.rows is not None and item.rule.id and item.rule.customer.key
    ]
    if not tables:
        schema = dict.fromkeys(("source", "record_id", "customer_id", "rule"), "string")
        return ibis.memtable([], schema=schema)
    return reduce(ir.Table.union, tables)
