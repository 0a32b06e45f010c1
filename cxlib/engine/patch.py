"""A snapshot's data copied and changed in part, where the rest stays as it is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cxlib.engine.writing import create_table, insert_rows

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = [
    "copy_file",
    "delete_rows",
    "drop_tables",
    "replace_rows",
    "stored_tables",
    "update_rows",
]

_CLONE = 0x40049409
"""FICLONE of Linux: a copy that shares its blocks with the original until one is written to."""


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, without moving its bytes where the file system can share them.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "one").write_text("same")
    ...     copy_file(Path(folder, "one"), Path(folder, "two"))
    ...     Path(folder, "two").read_text()
    'same'
    """
    if sys.platform == "linux":
        import fcntl  # Windows has none

        with source.open("rb") as old, target.open("wb") as new:
            try:
                fcntl.ioctl(new.fileno(), _CLONE, old.fileno())
                return
            except OSError:
                pass
    shutil.copyfile(source, target)


def replace_rows(con: BaseBackend, name: str, column: str, gone: ir.Table, rows: ir.Table) -> None:
    """Take the rows of some keys out of a table and put others in.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        The table.
    column
        Its key column.
    gone
        Table with that column: the keys whose rows go.
    rows
        What comes in, with the columns of the table.

    Examples
    --------
    >>> import ibis
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> _ = con.create_table("t", ibis.memtable({"k": [1, 1, 2], "v": ["a", "b", "c"]}))
    >>> new = ibis.memtable({"k": [3], "v": ["d"]})
    >>> replace_rows(con, "t", "k", ibis.memtable({"k": [1]}), new)
    >>> con.table("t").order_by("k").v.to_list()
    ['c', 'd']
    """
    create_table(con, "cx_gone", gone.select(column), temp=True)
    con.raw_sql(f'DELETE FROM "{name}" WHERE "{column}" IN (SELECT "{column}" FROM cx_gone)')
    con.drop_table("cx_gone")
    insert_rows(con, name, rows)


def delete_rows(con: BaseBackend, name: str, rows: ir.Table) -> None:
    """Take rows out of a table by where they stand.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        The table.
    rows
        ``cx_stored``, the place (``rowid()``) of each row that goes.

    Examples
    --------
    >>> import ibis
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> table = con.create_table("t", ibis.memtable({"k": [1, 2]}))
    >>> placed = table.mutate(cx_stored=table.rowid())
    >>> delete_rows(con, "t", placed.filter(placed.k == 1).select("cx_stored"))
    >>> con.table("t").k.to_list()
    [2]
    """
    con.raw_sql(f'DELETE FROM "{name}" WHERE rowid IN ({con.compile(rows)})')


def update_rows(con: BaseBackend, name: str, rows: ir.Table) -> None:
    """Set columns of some rows of a table, where they stand.

    Parameters
    ----------
    con
        A DuckDB connection.
    name
        The table.
    rows
        One row for each to change: ``cx_stored``, its place (``rowid()``), and the columns to set.

    Examples
    --------
    >>> import ibis
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> table = con.create_table("t", ibis.memtable({"k": [1, 2], "v": ["a", "b"]}))
    >>> placed = table.mutate(cx_stored=table.rowid())
    >>> second = placed.filter(placed.k == 2)
    >>> update_rows(con, "t", second.select("cx_stored", v=ibis.literal("new")))
    >>> con.table("t").order_by("k").v.to_list()
    ['a', 'new']
    """
    changed = [column for column in rows.columns if column != "cx_stored"]
    given = ", ".join(f'"{column}" = cx_given."{column}"' for column in changed)
    con.raw_sql(
        f'UPDATE "{name}" SET {given} FROM ({con.compile(rows)}) AS cx_given '
        f'WHERE "{name}".rowid = cx_given.cx_stored'
    )


def drop_tables(con: BaseBackend, keep: Iterable[str] = ()) -> None:
    """Drop the stored tables of a DuckDB file but for some, and its type of names with the last.

    Examples
    --------
    >>> import ibis
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> _ = con.create_table("old", ibis.memtable({"k": [1]}))
    >>> drop_tables(con)
    >>> stored_tables(con)
    []
    """
    kept = set(keep)
    for name in stored_tables(con):
        if name not in kept:
            con.raw_sql(f'DROP TABLE "{name}"')
    if not kept:
        con.raw_sql("DROP TYPE IF EXISTS cx_name")


def stored_tables(con: BaseBackend) -> list[str]:
    """Names of the tables in the file of a DuckDB connection, temporary ones and views left out.

    Examples
    --------
    >>> from cxlib.engine.connect import connect
    >>> stored_tables(connect())
    []
    """
    found = con.raw_sql("SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY 1")
    return [row[0] for row in found.fetchall()]
