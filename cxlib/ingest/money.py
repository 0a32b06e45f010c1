"""Amounts of money: as the export writes them -> units of a currency."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from cxlib.ingest.fields import EventRule
from cxlib.ingest.rules import as_number, described

__all__ = ["amount_of", "currency_findings", "currency_of"]

# ISO 4217: currencies whose exponent is 0 and 3; that of the others is 2.
_NO_CENTS = (
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
    *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
)
_THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")


def currency_of(rows: ir.Table, rule: EventRule) -> ir.StringValue:
    """Currency of an event's value, as three capital letters; null where the row names none.

    Examples
    --------
    >>> rule = EventRule(touchpoint="paid", time="at", value="sum", currency={"column": "money"})
    >>> currency_of(ibis.memtable({"money": ["eur", "euro"]}), rule).to_pandas().tolist()
    ['EUR', None]
    """
    text = described(rows, rule.currency).upper()
    return ibis.ifelse(text.re_search("^[A-Z]{3}$"), text, ibis.null("string"))


def amount_of(rows: ir.Table, rule: EventRule, decimal: str | None = None) -> ir.FloatingValue:
    """Value of an event in units of its currency; null where the row has none.

    Notes
    -----
    With ``minor_units`` the export counts cents: hundredths, thousandths or whole units, as ISO
    4217 has it for the currency. With ``negative`` the sign is turned, as for a refund. ``decimal``
    is the declared sign before decimals.

    Examples
    --------
    >>> money = {"column": "sum", "minor_units": True}
    >>> rule = EventRule(touchpoint="paid", time="at", value=money, currency={"column": "money"})
    >>> rows = ibis.memtable({"sum": ["1250", "1250", "1250"], "money": ["eur", "jpy", "kwd"]})
    >>> amount_of(rows, rule).to_pandas().tolist()
    [12.5, 1250.0, 1.25]
    """
    if rule.value is None:
        return ibis.null("float64")
    amount = as_number(rows[rule.value.column], decimal)
    if rule.value.minor_units:
        currency = currency_of(rows, rule)
        digits = (currency.isin(_NO_CENTS), 1.0), (currency.isin(_THOUSANDTHS), 1000.0)
        amount = amount / ibis.cases(*digits, else_=100.0)
    return -amount if rule.value.negative else amount


def currency_findings(events: ir.Table) -> list[dict[str, object]]:
    """Finding for the ``quality`` table on values in several currencies; none where there is one.

    Examples
    --------
    >>> columns = {"event_id": ["1", "2", "3"], "value": [5.0, 7.0, 2.0]}
    >>> events = ibis.memtable({**columns, "currency": ["EUR", "USD", "EUR"]})
    >>> [(finding["n"], finding["failing"]) for finding in currency_findings(events)]
    [(3, 1)]
    """
    valued = events.filter(events["value"].notnull(), events.currency.notnull())
    counted = valued.group_by("currency").aggregate(n=valued.count(), example=valued.event_id.min())
    frame = counted.to_pandas().sort_values(["n", "currency"], ascending=[False, True])
    if len(frame) < 2:
        return []
    first = frame["currency"].iloc[0]
    told = ", ".join(f"{row.currency} {row.n:,}" for row in frame.itertuples())
    keep = f"keep_events(log, where={{'currency': {first!r}}})"
    return [
        {
            "check": "values are in one currency",
            "source": "",
            "n": int(frame["n"].sum()),
            "failing": int(frame["n"].iloc[1:].sum()),
            "examples": ", ".join(frame["example"].iloc[1:4]),
            "note": f"{told}; do not add them up: {keep}",
        }
    ]
