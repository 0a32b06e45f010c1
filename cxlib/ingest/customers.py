"""One row per customer: when they were seen, and what the exports say of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError
from cxlib.ingest.sources import StagedSource
from cxlib.tables import CONTRACTS

__all__ = ["customers"]


def customers(staged: Sequence[StagedSource], events: ir.Table) -> ir.Table:
    """Customers of all sources, with their attributes.

    Parameters
    ----------
    staged
        The workspace's sources, in the order of ``sources.yml``.
    events
        All events: at least ``customer_id`` and ``occurred_at``.

    Returns
    -------
    ibis.expr.types.Table
        One row per customer who has an event or a record: ``customer_id``, ``first_seen_at``,
        ``last_seen_at`` (UTC; null without an event), ``events``, and a text column per attribute.
        The first source that knows an attribute gives it, by its first record with a value.

    Raises
    ------
    CxError
        When an attribute has the name of a column that every customer has.

    Examples
    --------
    >>> from datetime import datetime
    >>> events = ibis.memtable(
    ...     {"customer_id": ["a", "a"], "occurred_at": [datetime(2024, 1, 1), datetime(2024, 3, 1)]}
    ... )
    >>> customers([], events).select("customer_id", "events").to_pandas()
      customer_id  events
    0           a       2
    """
    names = list(dict.fromkeys(name for item in staged for name in _columns(item)))
    taken = [name for name in names if name.casefold() in CONTRACTS["customers"]]
    if taken:
        raise CxError(f"the attribute {taken[0]!r} is a column that every customer has; rename it")
    seen = events.group_by("customer_id").aggregate(
        first_seen_at=events.occurred_at.min(),
        last_seen_at=events.occurred_at.max(),
        events=events.count(),
    )
    known = _known(staged, names)
    if known is None:
        return seen
    facts = known.group_by("customer_id").aggregate(
        **{name: known[name].argmin(known.cx_rank, where=known[name].notnull()) for name in names}
    )
    joined = seen.outer_join(facts, "customer_id")
    everyone = joined.mutate(
        customer_id=ibis.coalesce(joined.customer_id, joined.customer_id_right),
        events=joined.events.fill_null(0),
    )
    return everyone.select(*CONTRACTS["customers"], *names)


def _known(staged: Sequence[StagedSource], names: list[str]) -> ir.Table | None:
    """What each record says of its customer; a smaller ``cx_rank`` counts more."""
    tables = []
    for place, item in enumerate(staged):
        rows = item.rows
        names_customers = item.rule.id is not None and item.rule.customer.key is not None
        if rows is None or not (item.rule.attributes or names_customers):
            continue
        columns = _columns(item)
        says = {
            name: rows[columns[name]] if name in columns else ibis.null("string") for name in names
        }
        rank = ibis.literal(place * 10**12) + rows.cx_file * 10**10 + rows.cx_row
        tables.append(rows.select(customer_id=rows.cx_customer, cx_rank=rank, **says))
    return reduce(ir.Table.union, tables) if tables else None


def _columns(item: StagedSource) -> dict[str, str]:
    """Columns of a source's attributes, by their names."""
    return {attribute.name: attribute.column for attribute in item.rule.attributes}
