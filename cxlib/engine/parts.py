"""Rows computed once and held, in parts that are small enough to be ordered in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cxlib.engine.writing import create_table

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = ["hold_in_parts"]


@contextmanager
def hold_in_parts(
    con: BaseBackend, rows: ir.Table, key: ir.StringValue, parts: int
) -> Iterator[list[ir.Table]]:
    """Rows of a lazy table, computed once, in parts; gone when the block is left.

    Parameters
    ----------
    con
        A DuckDB connection to a file.
    rows
        What to compute.
    key
        Value of the rows; where it is equal, they stand in one part.
    parts
        How many at most. Several are files beside that of the connection.

    Yields
    ------
    list of ibis.expr.types.Table
        One table, which is a temporary one, or several views of files.

    Examples
    --------
    >>> import ibis
    >>> from cxlib.engine.connect import connect
    >>> con = connect()
    >>> rows = ibis.memtable({"customer": list("abcdefgh") * 2})
    >>> with hold_in_parts(con, rows, rows.customer, parts=3) as held:
    ...     counts = [part.customer.nunique().execute() for part in held]
    >>> len(counts) > 1, sum(counts)
    (True, 8)
    """
    with ExitStack() as held:
        if parts > 1:
            beside = con.raw_sql("SELECT path FROM duckdb_databases() WHERE NOT internal")
            path = beside.fetchone()[0]
            folder = TemporaryDirectory(dir=Path(path).parent if path else None)
            files = _write_parts(con, rows, key, parts, Path(held.enter_context(folder)))
            views = {f"cx_held_{number}": file for number, file in enumerate(files)}
            for name, file in views.items():
                held.callback(con.drop_view, name)
                con.read_parquet(file / "*.parquet", table_name=name, hive_partitioning=False)
            if len(views) > 1:
                yield [con.table(name) for name in views]
                return
            rows = con.table("cx_held_0") if views else rows.limit(0)
        table = create_table(con, "cx_held", rows, temp=True)
        held.callback(con.drop_table, "cx_held")
        yield [table]


def _write_parts(
    con: BaseBackend, rows: ir.Table, key: ir.StringValue, parts: int, folder: Path
) -> list[Path]:
    """Folders of the parts that have rows."""
    # The hash has a sign.
    divided = rows.mutate(cx_part=(key.hash() % parts + parts) % parts)
    con.to_parquet(divided, folder, partition_by="cx_part")
    return sorted(folder.iterdir())
