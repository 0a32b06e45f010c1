"""Which rows of an export can be used: every mistake of the others in one line."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from cxlib.ingest.config import RESERVED, EventRule, FieldColumn, Source, Sources, TimeColumn
from cxlib.ingest.money import currency_of
from cxlib.ingest.rows import left_out
from cxlib.ingest.rules import applies, as_number, described, parse_time
from cxlib.ingest.sentiment import SCALES

__all__ = ["judge", "repeated_ids"]

EARLIEST, LATEST = "1900-01-01", "2100-01-01"
"""Times outside these years are taken for mistakes."""
_MOST_ROWS = 2**40
"""A row's place in its source is the number of its file times this, and its number in the file."""


def judge(
    rows: ir.Table, config: Sources, rule: Source, repeated: ir.Table | None = None
) -> ir.Table:
    """Rows with their times, and why one cannot be used.

    Parameters
    ----------
    rows
        Rows with ``cx_record``, ``cx_party``, ``cx_file`` and ``cx_row``; what the rules read has
        no spaces around it (``trim_columns``).
    config
        The workspace's description.
    rule
        That of the source.
    repeated
        What ``repeated_ids`` gives for all rows of the source; None where its rows have no id.

    Returns
    -------
    ibis.expr.types.Table
        As many rows, with ``cx_time_<k>`` for the k-th event rule, ``cx_from_<k>`` for the k-th
        attribute that says since when it holds, ``cx_left_out``, ``cx_repeated`` where rows have an
        id (whether it stood before), and ``cx_reason``, null for a usable row.
    """
    since = dict(enumerate(map(rule.since, rule.attributes)))
    times = {f"cx_time_{number}": event.time for number, event in enumerate(rule.events)}
    times |= {f"cx_from_{number}": column for number, column in since.items() if column}
    if rule.customer.since is not None:
        times["cx_since"] = rule.customer.since
    out, said_of_it = left_out(rows, rule)
    rows = rows.mutate(
        cx_left_out=out,
        **{
            name: parse_time(rows[column.column], column, config.timezone)
            for name, column in times.items()
        },
    )
    names = rows.columns
    if repeated is not None:
        rows = rows.left_join(repeated, ["cx_record", "cx_left_out"])
        rows = rows.mutate(cx_repeated=(_place(rows) > rows.cx_first).fill_null(False))
        names = (*names, "cx_repeated")
    problems: dict[str, tuple[ir.BooleanValue, ir.StringValue]] = {}
    found = _customer_problems(rows, rule)
    if repeated is not None:
        found += _id_problems(rows, str(rule.id))
    for name, column in times.items():
        if name == "cx_since" or name.startswith("cx_from_"):
            found += _time_problems(rows, column, rows[name])
    for number, event in enumerate(rule.events):
        meant = applies(rows, event)
        for kind, wrong, said in _event_problems(rows, event, number, rule):
            found.append((kind, meant & wrong, said))
    for kind, wrong, said in found:
        # Two rules that read the same column find the same mistake once.
        problems[kind] = (problems[kind][0] | wrong, said) if kind in problems else (wrong, said)
    texts = [ibis.ifelse(wrong, said, ibis.null("string")) for wrong, said in problems.values()]
    reason = ibis.array(texts).filter(lambda text: text.notnull()).join("; ").nullif("")
    # Most rows are in order: no text is put together for them.
    bad = reduce(or_, (wrong for wrong, _ in problems.values()))
    reason = ibis.ifelse(bad, reason, ibis.null("string"))
    return rows.select(*names, cx_reason=ibis.ifelse(rows.cx_left_out, said_of_it, reason))


_Problem = tuple[str, ir.BooleanValue, ir.StringValue]


def _customer_problems(rows: ir.Table, rule: Source) -> list[_Problem]:
    if rule.identity is not None:
        nobody = ibis.literal(
            "no customer: no e-mail or phone of a person, and no name with address or birth date"
        )
        return [("customer", rows.cx_party.isnull(), nobody)]
    columns = [str(rule.customer.key or rule.customer.column), rule.customer.otherwise]
    named = [column for column in columns if column is not None]
    value = rows[named[0]]
    nobody = value.isnull()
    for column in named[1:]:
        nobody = nobody & rows[column].isnull()
    which = f"the column {named[0]!r} is empty"
    if len(named) > 1:
        which = f"the columns {named[0]!r} and {named[1]!r} are empty"
    problems = [("customer", nobody, ibis.literal(f"no customer: {which}"))]
    if rule.customer.of is not None:
        lost = (
            ibis.literal("no customer: ") + _shown(value) + f" is not an id of {rule.customer.of}"
        )
        problems.append(("register", value.notnull() & rows.cx_party.isnull(), lost))
    return problems


def _place(rows: ir.Table) -> ir.IntegerValue:
    """Where a row stands among all rows of its source."""
    return rows.cx_file * _MOST_ROWS + rows.cx_row


def repeated_ids(rows: ir.Table, rule: Source) -> ir.Table:
    """Ids that stand in more than one row, among the rows to use or among those to leave out.

    Parameters
    ----------
    rows
        All rows of a source, with ``cx_record``, ``cx_file`` and ``cx_row``.
    rule
        Its description.

    Returns
    -------
    ibis.expr.types.Table
        ``cx_record``, ``cx_left_out`` and ``cx_first``, the place where the id stood first (file
        and row in one number, as ``judge`` takes it apart). There are few: to join them takes a
        third of the time of a window over all rows.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", id="n", customer=CustomerKey(key="a"))
    >>> rows = {"cx_record": ["1", "2", "1"], "cx_file": [0, 0, 0], "cx_row": [1, 2, 3]}
    >>> repeated_ids(ibis.memtable(rows), rule).to_pandas()
      cx_record  cx_left_out  cx_first
    0         1        False         1
    """
    out, _ = left_out(rows, rule)
    narrow = rows.select("cx_record", cx_left_out=out, cx_place=_place(rows))
    every = narrow.filter(narrow.cx_record.notnull()).group_by("cx_record", "cx_left_out")
    placed = every.aggregate(
        cx_first=lambda of: of.cx_place.min(), cx_last=lambda of: of.cx_place.max()
    )
    return placed.filter(placed.cx_first < placed.cx_last).drop("cx_last")


def _id_problems(rows: ir.Table, column: str) -> list[_Problem]:
    first = rows.cx_first % _MOST_ROWS
    said = (
        ibis.literal(f"the {column} ")
        + _shown(rows.cx_record)
        + " stood before, in row "
        + first.cast("string")
    )
    empty = ibis.literal(f"no id: the column {column!r} is empty")
    return [("no id", rows.cx_record.isnull(), empty), ("repeated id", rows.cx_repeated, said)]


def _event_problems(rows: ir.Table, event: EventRule, number: int, rule: Source) -> list[_Problem]:
    column = event.time.column
    problems = _time_problems(rows, event.time, rows[f"cx_time_{number}"])
    if not event.optional:
        missing = ibis.literal(f"no time: the column {column!r} is empty")
        problems.append((f"no time {column}", rows[column].isnull(), missing))
    if isinstance(event.touchpoint, FieldColumn):
        named = described(rows, event.touchpoint)
        unnamed = ibis.literal(f"no touchpoint for {event.touchpoint.column!r} = ")
        said = unnamed + _shown(rows[event.touchpoint.column])
        problems.append(("touchpoint", named.isnull() | named.isin(RESERVED), said))
        nul = ibis.literal(f"a NUL character in {event.touchpoint.column!r}")
        # No name may hold it in SQL.
        problems.append(("nul", named.re_search(r"\x00").fill_null(False), nul))
    for field, fact in event.fields().items():
        if isinstance(fact, FieldColumn) and fact.other == "reject":
            text = rows[fact.column]
            said = ibis.literal(f"no {field} for {fact.column!r} = ") + _shown(text)
            problems.append((field, text.notnull() & described(rows, fact).isnull(), said))
    if event.value is not None:
        problems.append(_number_problem(rows, event.value.column, None, rule))
    if isinstance(event.currency, FieldColumn):
        problems.append(_currency_problem(rows, event, event.currency.column))
    if event.score is not None:
        problems.append(_number_problem(rows, event.score.column, event.score.scale, rule))
    return problems


def _time_problems(rows: ir.Table, column: TimeColumn, time: ir.TimestampValue) -> list[_Problem]:
    name = column.column
    text = rows[name]
    unreadable = ibis.literal(f"unreadable time in {name!r}: ") + _shown(text)
    declared = f'; its format is "{column.format}"'
    unreadable = unreadable + (declared if column.format else _usual_format(text))
    far = ibis.literal(f"the time in {name!r} lies outside {EARLIEST} to {LATEST}: ")
    inside = (time >= ibis.timestamp(EARLIEST)) & (time < ibis.timestamp(LATEST))
    return [
        (f"time {name}", text.notnull() & time.isnull(), unreadable),
        (f"far {name}", time.notnull() & ~inside, far + _shown(text)),
    ]


_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_USUAL = (
    (rf"{_DAY}\.{_MONTH}\.{_YEAR}", ("%d.%m.%Y",)),
    (rf"{_DAY}-{_MONTH}-{_YEAR}", ("%d-%m-%Y",)),
    (rf"{_MONTH}/{_MONTH}/{_YEAR}", ("%d/%m/%Y", "%m/%d/%Y")),
    (rf"{_DAY}/{_MONTH}/{_YEAR}", ("%d/%m/%Y",)),
    (rf"{_MONTH}/{_DAY}/{_YEAR}", ("%m/%d/%Y",)),
    (rf"{_YEAR}/{_MONTH}/{_DAY}", ("%Y/%m/%d",)),
    (r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", ("%Y%m%d",)),
)
"""Usual notations of dates other than ISO 8601, and the formats that read them."""
_CLOCKS = (
    ("", ""),
    (r" (?:[01]?\d|2[0-3]):[0-5]\d", " %H:%M"),
    (r" (?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d", " %H:%M:%S"),
)


def _usual_format(text: ir.StringValue) -> ir.StringValue:
    """What to add where a time has a usual notation; an empty text for any other."""
    fits = [
        (text.re_search(f"^{date}{time}$"), _to_add(f"{form}{clock}" for form in forms))
        for date, forms in _USUAL
        for time, clock in _CLOCKS
    ]
    return ibis.cases(*fits, else_="")


def _to_add(forms: Iterable[str]) -> str:
    return "; add format: " + " or ".join(f'"{form}"' for form in forms)


def _currency_problem(rows: ir.Table, event: EventRule, column: str) -> _Problem:
    text = rows[column]
    wrong = text.notnull() & currency_of(rows, event).isnull()
    if event.value is not None and event.value.minor_units:
        # Nobody can tell what a cent is a hundredth of.
        wrong = wrong | (text.isnull() & rows[event.value.column].notnull())
    return (
        f"currency {column}",
        wrong,
        ibis.literal(f"no currency in {column!r}: ") + _shown(text),
    )


def _number_problem(rows: ir.Table, column: str, scale: str | None, rule: Source) -> _Problem:
    text = rows[column]
    number = as_number(rows[column], rule.decimal)
    wrong, meant = number.isnull(), "no number"
    if scale is not None:
        low, _, high = SCALES[scale]
        wrong, meant = wrong | ~number.between(low, high), f"no {scale} score ({low:g} to {high:g})"
    said = ibis.literal(f"{meant} in {column!r}: ") + _shown(text)
    if rule.decimal is None and rule.takes_decimal:
        said = said + _sign_to_add(text)
    return (f"number {column}", text.notnull() & wrong, said)


def _sign_to_add(text: ir.StringValue) -> ir.StringValue:
    """What to add where a number has another decimal sign; an empty text where it has none."""
    fits = [
        (text.contains(",") & as_number(text, sign).notnull(), f'; add decimal: "{sign}"')
        for sign in (",", ".")
    ]
    return ibis.cases(*fits, else_="")


def _shown(value: ir.StringValue) -> ir.StringValue:
    # Long fields would make the reason unreadable; the record holds them whole.
    return ibis.literal("'") + value.fill_null("")[:60] + "'"
