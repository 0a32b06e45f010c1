"""Words of `sources.yml` as expressions: texts, conditions, numbers and times of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ibis
import ibis.expr.types as ir

from cxlib.engine.connect import local_to_utc, parse_with_format
from cxlib.ingest.fields import EventRule, FieldColumn, TimeColumn

__all__ = ["NUMBERS", "applies", "as_number", "described", "meets", "parse_time"]

_ISO = (
    r"^(?:(\d{4}-\d{2}-\d{2})"
    r"|(\d{4}-\d{2}-\d{2}[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
    r" ?(Z|UTC|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?)$"
)
"""Groups: a date, or a date with a time of day, and its offset."""
_PLAIN = r"^\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)?$"
"""The usual ones among them that have no offset: to look for groups takes longer."""


def described(rows: ir.Table, rule: str | FieldColumn | None) -> ir.StringValue:
    """Text that a rule gives: a constant, a column, or a column by a map; null for no rule.

    Examples
    --------
    >>> rows = ibis.memtable({"page": ["home", "faq"]})
    >>> rule = FieldColumn(column="page", map={"home": "viewed_home"})
    >>> described(rows, rule).to_pandas().tolist()
    ['viewed_home', 'faq']
    """
    if rule is None:
        return ibis.null("string")
    if isinstance(rule, str):
        return ibis.literal(rule)
    text = rows[rule.column]
    if not rule.map:
        return text
    other = text if rule.other == "keep" else ibis.null("string")
    return ibis.cases(*((text == said, meant) for said, meant in rule.map.items()), else_=other)


def meets(rows: ir.Table, conditions: Mapping[str, Iterable[str]]) -> ir.BooleanValue:
    """Whether each column holds one of its values; true where there is no condition.

    Examples
    --------
    >>> rows = ibis.memtable({"status": ["paid", "failed", None]})
    >>> meets(rows, {"status": ["paid", "refunded"]}).to_pandas().tolist()
    [True, False, False]
    """
    met: ir.BooleanValue = ibis.literal(True)
    for column, values in conditions.items():
        met = met & rows[column].isin(list(values)).fill_null(False)
    return met


def applies(rows: ir.Table, event: EventRule) -> ir.BooleanValue:
    """Whether a row stands for an event: all of ``when`` holds and nothing of ``unless``.

    Examples
    --------
    >>> rule = EventRule(touchpoint="paid", time="at", unless={"status": ["failed"], "test": ["1"]})
    >>> rows = ibis.memtable({"status": ["paid", "failed", "paid"], "test": [None, None, "1"]})
    >>> applies(rows, rule).to_pandas().tolist()
    [True, False, False]
    """
    met = meets(rows, event.when)
    for column, values in event.unless.items():
        met = met & ~meets(rows, {column: values})
    return met


_APART = "'’ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
NUMBERS = {
    ",": rf"^[+-]?(?:\d{{1,3}}(?:[.{_APART}]\d{{3}})+|\d+)?(?:,\d+)?$",
    ".": rf"^[+-]?(?:\d{{1,3}}(?:[,{_APART}]\d{{3}})+|\d+)?(?:\.\d+)?$",
}
"""Numbers by their decimal sign, with or without signs between thousands."""


def as_number(text: ir.StringValue, decimal: str | None = None) -> ir.FloatingValue:
    """Number that a text holds; null where it holds none, or one that is not finite.

    Parameters
    ----------
    text
        The number as text, without spaces around it.
    decimal
        Its declared decimal sign, ``","`` or ``"."``: thousands may then be parted by the other
        one, an apostrophe or a space. None: a point, and thousands are not parted.

    Examples
    --------
    >>> rows = ibis.memtable({"text": ["1.234,50", "-1 000", "7", "1,2,3"]})
    >>> as_number(rows.text, ",").to_pandas().tolist()
    [1234.5, -1000.0, 7.0, nan]
    >>> rows = ibis.memtable({"text": ["12.50", "3", "n/a", "inf", "1_000"]})
    >>> as_number(rows.text).to_pandas().tolist()
    [12.5, 3.0, nan, nan, nan]
    """
    if decimal is not None:
        fits = text.re_search(NUMBERS[decimal])
        plain = text.re_replace(r"[^0-9+\-" + decimal + "]", "").replace(",", ".")
        text = ibis.ifelse(fits, plain, ibis.null("string"))
    # The engine takes 1_000 for a thousand.
    number = ibis.ifelse(text.contains("_"), ibis.null("string"), text).try_cast("float64")
    return ibis.ifelse(number.isinf() | number.isnan(), ibis.null("float64"), number)


def parse_time(text: ir.StringValue, rule: TimeColumn, zone: str) -> ir.TimestampValue:
    """Time in UTC that a text holds; null where it holds none.

    Parameters
    ----------
    text
        ISO 8601 with or without a time of day and an offset, or as ``rule.format`` says.
    rule
        The column's format and zone, where they differ from the default.
    zone
        Zone of times that carry no offset.

    Returns
    -------
    ibis.expr.types.TimestampValue
        Without a zone; an offset in the text counts before any declared zone.

    Examples
    --------
    >>> rule = TimeColumn(column="at")
    >>> texts = ["2024-07-01 12:00", "2024-07-01T12:00:00Z", "2024-07-01 12:00:00-05:00", "soon"]
    >>> table = ibis.memtable({"at": texts})
    >>> times = parse_time(table.at, rule, "Europe/Rome").to_pandas()
    >>> times.dt.strftime("%H:%M").tolist()
    ['10:00', '12:00', '17:00', nan]
    """
    zone = rule.zone or zone
    if rule.format is not None:
        return parse_with_format(text, rule.format, zone, fold=rule.fold)
    # An engine's own cast would take more, and a zone's name in one row may change its next rows.
    plain = text.re_search(_PLAIN)
    found = text.re_extract(_ISO, 1) + text.re_extract(_ISO, 2)
    local = ibis.ifelse(plain, text, found).try_cast("timestamp")
    offset = ibis.ifelse(plain, "", text.re_extract(_ISO, 3))
    minutes = _offset_minutes(offset).as_interval("m")
    return ibis.ifelse(offset == "", local_to_utc(local, zone, fold=rule.fold), local - minutes)


def _offset_minutes(offset: ir.StringValue) -> ir.IntegerValue:
    """Minutes ahead of UTC: 120 for "+02", "+0200" and "+02:00", 0 for "Z"."""
    digits = offset.re_replace("[^0-9]", "").rpad(4, "0")
    minutes = digits[:2].cast("int64") * 60 + digits[2:4].cast("int64")
    return ibis.ifelse(offset.startswith("-"), -minutes, minutes)
