"""Rows of an export before they are judged: columns by their names, and borrowed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.ingest.config import Source
from cxlib.ingest.rules import meets

if TYPE_CHECKING:
    from cxlib.ingest.sources import StagedSource

__all__ = ["borrow_columns", "fill_columns", "left_out", "name_columns", "trim_columns"]

_SPACED = r"^[\t-\r ]|[\t-\r ]$"


def name_columns(table: ir.Table, rule: Source) -> ir.Table:
    """Rows whose columns bear the names of the rules, where they differ by case or by an alias.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", customer=CustomerKey(key="email"), aliases={"email": ["mail"]})
    >>> name_columns(ibis.memtable({"MAIL": ["a@b.example"]}), rule).columns
    ('email',)
    """
    own = {column.casefold(): column for column in table.columns}
    renamed: dict[str, str] = {}
    for name in sorted(rule.columns_read() - set(table.columns)):
        spelled = [name, *rule.aliases.get(name, ())]
        found = [own[other.casefold()] for other in spelled if other.casefold() in own]
        if found and found[0] not in renamed.values():
            renamed[name] = found[0]
    return table.rename(renamed) if renamed else table


def fill_columns(rows: ir.Table, rule: Source) -> ir.Table:
    """Rows with the columns that the export may lack, empty where it does.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", customer=CustomerKey(key="a"), journey="b", may_lack=("b",))
    >>> fill_columns(ibis.memtable({"a": ["1"]}), rule).columns
    ('a', 'b')
    """
    lacking = sorted(rule.columns_read().intersection(rule.may_lack) - set(rows.columns))
    return rows.mutate(**dict.fromkeys(lacking, ibis.null("string"))) if lacking else rows


def trim_columns(rows: ir.Table, rule: Source) -> ir.Table:
    """Rows in which what the rules read has no spaces around it, and is null where nothing is left.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", customer=CustomerKey(key="a"))
    >>> trim_columns(ibis.memtable({"a": [" 1", " "], "b": [" 2", ""]}), rule).to_pandas()
          a   b
    0     1   2
    1  None
    """
    read = sorted(rule.columns_read().intersection(rows.columns))
    return rows.mutate(**{name: _trimmed(rows[name]) for name in read}) if read else rows


def _trimmed(text: ir.StringValue) -> ir.StringValue:
    # To look first takes a third of the time: few fields have spaces around them.
    return ibis.ifelse(text.re_search(_SPACED), text.strip(), text).nullif("")


def borrow_columns(rows: ir.Table, rule: Source, staged: Mapping[str, StagedSource]) -> ir.Table:
    """Rows with the columns of the rows in other sources that they name; as many rows.

    Parameters
    ----------
    rows
        Rows of the source.
    rule
        Its description.
    staged
        The sources staged before, at least those that it refers to.

    Returns
    -------
    ibis.expr.types.Table
        A borrowed column is empty where the other source knows no such row, and takes the place
        of one of the same name.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", customer=CustomerKey(key="a"))
    >>> borrow_columns(ibis.memtable({"a": ["1"]}), rule, {}).columns
    ('a',)
    """
    for item in rule.borrow:
        register = staged[item.source].rows
        known = {} if register is None else {name.casefold(): name for name in register.columns}
        theirs = {new: known.get(old.casefold()) for new, old in item.columns.items()}
        key = rows[item.by]
        rows = rows.drop(*(name for name in item.columns if name in rows.columns))
        if register is None:
            rows = rows.mutate(**dict.fromkeys(theirs, ibis.null("string")))
            continue
        lent = register.select(
            cx_key=register.cx_record,
            **{n: _trimmed(register[o]) if o else ibis.null("string") for n, o in theirs.items()},
        )
        rows = rows.mutate(cx_key=key).left_join(lent, "cx_key").drop("cx_key", "cx_key_right")
    return rows


def left_out(rows: ir.Table, rule: Source) -> tuple[ir.BooleanValue, ir.StringValue]:
    """Whether a row is to be left out, and what to say of it.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rows = ibis.memtable({"role": ["agent", "end-user"]})
    >>> rule = Source(file="a", customer=CustomerKey(key="role"), leave_out={"role": ["agent"]})
    >>> [expression.to_pandas().tolist()[0] for expression in left_out(rows, rule)]
    [True, "left out: 'role' is 'agent'"]
    """
    out: ir.BooleanValue = ibis.literal(False)
    said: ir.StringValue = ibis.null("string")
    for column, values in rule.leave_out.items():
        met = meets(rows, {column: values})
        text = ibis.literal(f"left out: {column!r} is '") + rows[column] + "'"
        out, said = out | met, ibis.coalesce(said, ibis.ifelse(met, text, ibis.null("string")))
    return out, said
