"""Tables and views that are written through a connection to DuckDB, in few statements.

Ibis asks for the catalog, names each column and describes the new table again; where there are few
rows this takes longer than to store them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = [
    "create_named_table",
    "create_table",
    "create_temporary_view",
    "insert_rows",
    "row_count",
]

_MOST_NAMES = 250


def create_table(con: BaseBackend, name: str, rows: ir.Table, *, temp: bool = False) -> ir.Table:
    """New table of rows.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        Name of the table. A temporary one takes the place of another of its name, from which no row
        may come.
    rows
        What it holds, in their order.
    temp
        Whether it is gone with the connection.

    Returns
    -------
    ibis.expr.types.Table
        The table, as ``con.table`` gives it.

    Examples
    --------
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> create_table(con, "t", ibis.memtable({"n": [1, 2]}), temp=True).n.sum().execute()
    3
    """
    kind = "OR REPLACE TEMPORARY TABLE" if temp else "TABLE"
    con.raw_sql(f"CREATE {kind} {_quoted(name)} ({_columns(rows.schema())})")
    insert_rows(con, name, rows)
    stored = {column: _stored(dtype) for column, dtype in rows.schema().items()}
    return ops.DatabaseTable(name, ibis.schema(stored), con, ops.Namespace()).to_expr()


def insert_rows(con: BaseBackend, name: str, rows: ir.Table) -> None:
    """Add rows to a table.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        The table.
    rows
        With all its columns, in any order.

    Examples
    --------
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> table = create_table(con, "t", ibis.memtable({"n": [1], "who": ["a"]}))
    >>> insert_rows(con, "t", ibis.memtable({"who": ["b"], "n": [2]}))
    >>> table.order_by("n").who.to_list()
    ['a', 'b']
    """
    op, columns = rows.op(), ", ".join(map(_quoted, rows.columns))
    if isinstance(op, ops.InMemoryTable):
        con.con.register("cx_given", op.data.to_pyarrow(op.schema))
        try:
            con.raw_sql(f"INSERT INTO {_quoted(name)} ({columns}) FROM cx_given")
        finally:
            con.con.unregister("cx_given")
    elif op.find(ops.InMemoryTable):
        con.insert(name, rows.select(*con.table(name).columns))
    else:
        con.raw_sql(f"INSERT INTO {_quoted(name)} ({columns}) {con.compile(rows)}")


def row_count(table: ir.Table) -> int:
    """How many rows a table has.

    Examples
    --------
    >>> row_count(ibis.memtable({"n": [1, 2]}))
    2
    """
    return int(table.count().to_pyarrow().as_py())


def create_named_table(
    con: BaseBackend, name: str, table: ir.Table, columns: Iterable[str], names: Iterable[str]
) -> ir.Table:
    """New table, some of whose text columns hold few names and are kept as numbers of these.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        Name of the new table.
    table
        Its rows, in the order to be kept.
    columns
        Columns of text, or of lists of text, to keep as numbers.
    names
        Every text that they hold; all named tables of a connection have the same names.

    Returns
    -------
    ibis.expr.types.Table
        Its columns read, compare and sort as the text they were.

    Notes
    -----
    The type is DuckDB's ENUM. More than 250 names stay text: they would be listed each time that a
    table is opened.

    Examples
    --------
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> rows = ibis.memtable({"touchpoint": ["visit", "buy"]})
    >>> table = create_named_table(con, "rows", rows, ["touchpoint"], ["visit", "buy"])
    >>> table.order_by("touchpoint").touchpoint.to_list()
    ['buy', 'visit']
    """
    listed = sorted(set(names))
    if not listed or len(listed) > _MOST_NAMES:
        return create_table(con, name, table)
    con.raw_sql(f"CREATE TABLE {_quoted(name)} ({_columns(table.schema())})")
    create_table(con, "cx_names", ibis.memtable({"name": listed}), temp=True)
    con.raw_sql("CREATE TYPE IF NOT EXISTS cx_name AS ENUM (SELECT name FROM cx_names ORDER BY 1)")
    con.drop_table("cx_names")
    for column in columns:
        kind = "cx_name[]" if table[column].type().is_array() else "cx_name"
        con.raw_sql(f"ALTER TABLE {_quoted(name)} ALTER {_quoted(column)} TYPE {kind}")
    insert_rows(con, name, table)
    return con.table(name)


def create_temporary_view(con: BaseBackend, name: str, table: ir.Table) -> ir.Table:
    """View of a table, gone with the connection: further expressions start from its name.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        Name of the view; one of the same name is replaced.
    table
        Its rows. Nothing is computed.

    Returns
    -------
    ibis.expr.types.Table
        The same rows. Ibis writes the SQL of a long expression anew in every query that has it as
        a part, which takes longer than the query where there are few rows.

    Examples
    --------
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> orders = con.create_table("orders", ibis.memtable({"paid": [1, 0]}))
    >>> create_temporary_view(con, "unpaid", orders.filter(orders.paid == 0)).count().to_pandas()
    1
    """
    con.raw_sql(f"CREATE OR REPLACE TEMPORARY VIEW {_quoted(name)} AS {con.compile(table)}")
    return con.table(name)


def _columns(schema: sch.Schema) -> str:
    return ", ".join(f"{_quoted(name)} {_type(dtype)}" for name, dtype in schema.items())


@cache
def _type(dtype: dt.DataType) -> str:
    """Name of a type in DuckDB's SQL."""
    from ibis.backends.sql.datatypes import DuckDBType

    return DuckDBType.to_string(dtype)


@cache
def _stored(dtype: dt.DataType) -> dt.DataType:
    """A type as DuckDB gives it back."""
    from ibis.backends.sql.datatypes import DuckDBType

    return DuckDBType.from_string(DuckDBType.to_string(dtype))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
