"""One way into every kind of file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import ibis

from cxlib.engine.files.delimited import read_delimited
from cxlib.engine.files.objects import read_objects
from cxlib.engine.files.options import FileOptions, FileRows, distinct_names, refuse_reserved
from cxlib.engine.files.plain import plain_suffix
from cxlib.engine.files.sheets import WORKBOOKS, read_sheet
from cxlib.engine.writing import create_table
from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = ["JSON", "read_file"]

JSON = (".json", ".jsonl", ".ndjson")
AS_FOUND = FileOptions()
"""Nothing is declared of a file."""


def read_file(con: BaseBackend, path: Path, name: str, options: FileOptions = AS_FOUND) -> FileRows:
    """Records of a file as text, and what of it could not be read.

    Parameters
    ----------
    con
        A DuckDB connection; the records become a temporary table of it.
    path
        The file. The end of its name says what it is: ``.parquet``; ``.json``, ``.jsonl`` or
        ``.ndjson``; ``.xlsx``, ``.xls`` or ``.ods``; anything else is delimited text. Text may be
        packed (``.gz``, ``.zst``).
    name
        Name of the temporary table.
    options
        What is declared of it.

    Returns
    -------
    FileRows
        The records and the unreadable rest.

    Raises
    ------
    CxError
        When the file as a whole cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cxlib.engine.connect import connect
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "orders.csv")
    ...     _ = path.write_text("id;amount\\n1;2,50\\n")
    ...     read_file(connect(), path, "orders").table.to_pandas()
      id amount  cx_row
    0  1   2,50       1
    """
    import duckdb

    suffix = plain_suffix(path)
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(con, path, name)
        if path.suffix.lower() in WORKBOOKS:
            return read_sheet(con, path, name, options)
        reader = read_objects if suffix in JSON else read_delimited
        return reader(con, path, name, options)
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        # The scratch copy has a name of its own; neither place is the reader's business.
        said = re.sub(r"'[^']*/([^'/]*)'|\"[^\"]*/([^\"/]*)\"", f"'{path.name}'", said)
        raise CxError(f"the file {path.name!r} cannot be read: {said}") from error
    except OSError as error:
        why = error.strerror or "its bytes are damaged"
        raise CxError(f"the file {path.name!r} cannot be read: {why}") from error


def _read_parquet(con: BaseBackend, path: Path, name: str) -> FileRows:
    try:
        raw = con.read_parquet(path, table_name=f"{name}_file")
        values = dict(_values(raw))
        columns = dict(zip(distinct_names(values), values.values(), strict=True))
        refuse_reserved(path.name, columns)
        text = {column: value.cast("string").nullif("") for column, value in columns.items()}
        table = raw.select(**text, cx_row=ibis.row_number() + 1)
        return FileRows(create_table(con, name, table, temp=True))
    finally:
        con.drop_view(f"{name}_file", force=True)


def _values(raw: ir.Table) -> Iterator[tuple[str, ir.Value]]:
    """Values of a table; those inside a struct by the names on the way to them."""
    waiting: list[tuple[str, ir.Value]] = [(column, raw[column]) for column in raw.columns]
    while waiting:
        name, value = waiting.pop(0)
        if value.type().is_struct():
            waiting = [(f"{name}.{part}", value[part]) for part in value.names] + waiting
        else:
            yield name, value
