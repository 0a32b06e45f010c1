"""Usable rows of the exports -> events."""

from __future__ import annotations

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir

from cxlib.ingest.config import EventRule
from cxlib.ingest.money import amount_of, currency_of
from cxlib.ingest.rules import applies, as_number, described
from cxlib.ingest.sentiment import score_sentiment
from cxlib.ingest.sources import StagedSource

__all__ = ["event_id", "events_of"]


def events_of(staged: StagedSource, extras: Iterable[str]) -> list[ir.Table]:
    """Events of a staged source: one table per event rule, all with the same columns.

    Parameters
    ----------
    staged
        The source.
    extras
        Further columns that any event of the workspace keeps; null where this one has none.

    Returns
    -------
    list of ibis.expr.types.Table
        The columns of the events contract up to ``source``, then ``cx_text``, what the customer
        wrote (``TextSentiments.add_to`` takes it away), then the extras. ``event_id`` is made
        of the source, the row's id (or number) and the number of the rule: it is the same in every
        build, and rows without an id keep the order of their file.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey, Source
    >>> from cxlib.ingest.sources import StagedSource
    >>> unusable = Source(file="none.csv", customer=CustomerKey(key="account"))
    >>> events_of(StagedSource("orders", unusable), extras=())
    []
    """
    told = staged.rows_with_personal
    if staged.rows is None or told is None:
        return []
    events = []
    for number, rule in enumerate(staged.rule.events):
        time = f"cx_time_{number}"
        every = staged.rows if rule.text is None else told
        rows = every.filter(every[time].notnull(), applies(every, rule))
        journey = rows.cx_customer
        if staged.rule.journey is not None:
            journey = journey + "/" + rows[staged.rule.journey].fill_null("-")
        columns: dict[str, ir.Value] = {
            "event_id": event_id(staged, rows, number),
            "customer_id": rows.cx_customer,
            "journey_id": journey,
            "occurred_at": rows[time],
            "touchpoint": described(rows, rule.touchpoint),
            **_facts(rows, rule, staged.rule.decimal),
            "source": ibis.literal(staged.name),
            "cx_text": _text(rows, rule, number),
        }
        kept = {
            name: rows[rule.columns[name]] if name in rule.columns else ibis.null("string")
            for name in extras
        }
        events.append(rows.select(**columns, **kept))
    return events


def event_id(staged: StagedSource, rows: ir.Table, number: int) -> ir.StringValue:
    """Id of the event that a row gives by the rule of this number."""
    several = len(staged.rule.events) > 1
    return ibis.literal(f"{staged.name}:") + rows.cx_record + (f":{number}" if several else "")


def _text(rows: ir.Table, rule: EventRule, number: int) -> ir.StringValue:
    if rule.text is None:
        return ibis.null("string")
    kept = f"cx_text_{number}"
    return rows[kept if kept in rows.columns else rule.text]


def _facts(rows: ir.Table, rule: EventRule, decimal: str | None) -> dict[str, ir.Value]:
    texts = {name: described(rows, fact) for name, fact in rule.fields().items() if name != "owned"}
    sentiment: ir.Value = ibis.null("float64")
    if rule.score is not None:
        sentiment = score_sentiment(as_number(rows[rule.score.column], decimal), rule.score.scale)
    owned = ibis.null("boolean") if rule.owned is None else ibis.literal(rule.owned)
    money = {"value": amount_of(rows, rule, decimal), "currency": currency_of(rows, rule)}
    return {**texts, "owned": owned, "sentiment": sentiment, **money}
