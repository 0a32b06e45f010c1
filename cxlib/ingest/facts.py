"""What each record says of its customer, since when, and which record is believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce

import ibis
import ibis.expr.types as ir

from cxlib.ingest.meaning import Survivorship
from cxlib.ingest.records import recorded_rows
from cxlib.ingest.rules import described
from cxlib.ingest.sources import StagedSource

__all__ = ["FACTS", "conflicts_among", "facts_of", "known_by", "ranked"]

FACTS = ibis.schema(
    {
        "customer_id": "string",
        "attribute": "string",
        "value": "string",
        "valid_from": "timestamp",
        "source": "string",
        "record_id": "string",
        "recorded_at": "timestamp(6)",
    }
)
"""Columns of ``facts``. UTC: ``valid_from``, since when it holds, and ``recorded_at``, the earliest
time of its record; each null where the export does not say."""


def facts_of(staged: Iterable[StagedSource]) -> ir.Table:
    """What the records of all sources say of their customers.

    Parameters
    ----------
    staged
        The workspace's sources, as ``note_references`` gives them.

    Returns
    -------
    ibis.expr.types.Table
        One row per usable record and attribute with a value: ``customer_id, attribute, value,
        valid_from, source, record_id, recorded_at``.

    Examples
    --------
    >>> facts_of([]).count().to_pandas()
    0
    """
    tables = [
        _said(rows, item, number)
        for item in staged
        if item.rule.attributes and (rows := recorded_rows(item)) is not None
        for number in range(len(item.rule.attributes))
    ]
    return reduce(ir.Table.union, tables) if tables else ibis.memtable([], schema=FACTS)


def _said(rows: ir.Table, item: StagedSource, number: int) -> ir.Table:
    attribute = item.rule.attributes[number]
    since = f"cx_from_{number}"
    valid_from = rows[since] if since in rows.columns else ibis.null("timestamp")
    told = rows.select(
        customer_id=rows.cx_customer,
        attribute=ibis.literal(attribute.name),
        value=described(rows, attribute),
        valid_from=valid_from.cast("timestamp"),
        source=ibis.literal(item.name),
        record_id=rows.cx_record,
        recorded_at=rows.cx_recorded_at,
    )
    return told.filter(told.value.notnull())


def known_by(facts: ir.Table, moment: datetime | None, lasting: Sequence[str]) -> ir.Table:
    """Facts known strictly before a moment; all of them where it is None.

    Parameters
    ----------
    facts
        What ``facts_of`` gives.
    moment
        UTC.
    lasting
        Attributes that never change: known from the earliest time of their record.

    Returns
    -------
    ibis.expr.types.Table
        A fact without a time is known at the end of the records, and not before.

    Examples
    --------
    >>> rows = [("a", "plan", "pro", datetime(2024, 1, 1), "crm", "1", None),
    ...         ("a", "born", "1990", None, "crm", "1", datetime(2023, 1, 1)),
    ...         ("a", "city", "Rome", None, "crm", "1", None)]
    >>> facts = ibis.memtable([dict(zip(FACTS, row)) for row in rows], schema=FACTS)
    >>> sorted(known_by(facts, datetime(2024, 1, 2), ["born"]).attribute.to_list())
    ['born', 'plan']
    """
    if moment is None:
        return facts
    at = ibis.literal(moment, type="timestamp")
    lasts = facts.valid_from.isnull() & facts.attribute.isin(list(lasting))
    # A record that came later told nothing before, however long what it tells had been so.
    lasts = lasts & (facts.recorded_at < at)
    return facts.filter((facts.valid_from < at) | lasts)


def ranked(
    facts: ir.Table, rules: Survivorship, order: Sequence[str], registers: Sequence[str]
) -> ir.Table:
    """What each record says at last, with the rank of its say among those of its customer.

    Parameters
    ----------
    facts
        Those that are known.
    rules
        Which record is believed.
    order
        Sources, the most trusted first, where the rules do not order them.
    registers
        Sources whose records are customers' own. In the others the rows of a customer follow one
        another: the latest one counts.

    Returns
    -------
    ibis.expr.types.Table
        The facts with ``rule`` and ``cx_rank``, which is 0 for the one that is believed.

    Notes
    -----
    The most complete record is the one that says most of its customer. What is equal by its rule
    is ordered by trust, then by time (latest first, those without a time last), then by record.

    Examples
    --------
    >>> rows = [("a", "plan", "pro", datetime(2024, 1, 1), "crm", "1", None),
    ...         ("a", "plan", "basic", datetime(2024, 2, 1), "billing", "7", None)]
    >>> facts = ibis.memtable([dict(zip(FACTS, row)) for row in rows], schema=FACTS)
    >>> for rule in ("most_trusted", "newest"):
    ...     said = ranked(facts, Survivorship(rule=rule), ["crm", "billing"], ["crm", "billing"])
    ...     print(said.filter(said.cx_rank == 0).value.to_list())
    ['pro']
    ['basic']
    """
    last = _last_said(facts, registers)
    named = [(name, rules.rule_of(name)) for name in rules.attributes]
    rule = last.attribute.cases(*named, else_=rules.rule) if named else ibis.literal(rules.rule)
    trusted = list(dict.fromkeys([*rules.trust, *order]))
    places = [(name, place) for place, name in enumerate(trusted)]
    of_record = ibis.window(group_by=["customer_id", "source", "record_id"])
    told = last.mutate(
        rule=rule,
        cx_trust=last.source.cases(*places, else_=len(places)) if places else ibis.literal(0),
        cx_silence=-last.attribute.count().over(of_record),
    )
    first = ibis.cases(
        (told.rule == "newest", _age(told)),
        (told.rule == "most_complete", told.cx_silence),
        else_=told.cx_trust,
    )
    told = told.mutate(cx_first=first, cx_age=_age(told))
    among = ibis.window(
        group_by=["customer_id", "attribute"],
        order_by=["cx_first", "cx_trust", "cx_age", ibis.desc("valid_from"), "record_id", "value"],
    )
    numbered = told.mutate(cx_rank=ibis.row_number().over(among))
    return numbered.drop("cx_first", "cx_trust", "cx_age", "cx_silence")


def _last_said(facts: ir.Table, registers: Sequence[str]) -> ir.Table:
    own = ibis.ifelse(facts.source.isin(list(registers)), facts.record_id, "")
    said = facts.mutate(cx_record=own, cx_age=_age(facts))
    same = ibis.window(
        group_by=["customer_id", "attribute", "source", "cx_record"],
        order_by=["cx_age", ibis.desc("valid_from"), ibis.desc("record_id"), "value"],
    )
    numbered = said.mutate(cx_turn=ibis.row_number().over(same))
    return numbered.filter(numbered.cx_turn == 0).drop("cx_turn", "cx_record", "cx_age")


def _age(facts: ir.Table) -> ir.IntegerValue:
    """Smaller for a later fact; a fact without a time is older than any other."""
    return (-facts.valid_from.epoch_seconds()).cast("int64").fill_null(2**62)


def conflicts_among(said: ir.Table) -> ir.Table:
    """Attributes on which the records of a customer differ, as a lazy table.

    Parameters
    ----------
    said
        What ``ranked`` gives.

    Returns
    -------
    ibis.expr.types.Table
        One row per customer and attribute with more than one value: ``customer_id``,
        ``attribute``, ``values`` and ``sources`` (lists of equal length: who says what, the one
        that is believed first), ``chosen``, ``rule``.

    Examples
    --------
    >>> rows = [("a", "plan", "pro", None, "crm", "1", None),
    ...         ("a", "plan", "basic", None, "crm", "2", None)]
    >>> facts = ibis.memtable([dict(zip(FACTS, row)) for row in rows], schema=FACTS)
    >>> said = ranked(facts, Survivorship(), ["crm"], ["crm"])
    >>> conflicts_among(said).select("values", "sources", "chosen").to_pandas()
             values     sources chosen
    0  [pro, basic]  [crm, crm]    pro
    """
    # Of most attributes all records say the same: lists are made of the others only.
    of = ["customer_id", "attribute"]
    values = said.group_by(of).aggregate(cx_least=said["value"].min(), cx_most=said["value"].max())
    differ = values.filter(values.cx_least < values.cx_most)
    said = said.semi_join(differ, of)
    once = said.group_by(*of, "value", "source").aggregate(
        rule=said.rule.min(), cx_rank=said.cx_rank.min()
    )
    return once.group_by(of).aggregate(
        values=once["value"].collect(order_by=once.cx_rank),
        sources=once.source.collect(order_by=once.cx_rank),
        chosen=once["value"].argmin(once.cx_rank),
        rule=once.rule.min(),
    )
