"""Workbooks: a sheet of .xlsx, .xls or .ods as rows of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cxlib.engine.files.options import FileOptions, FileRows, distinct_names, refuse_reserved
from cxlib.errors import CxError, unknown_name

if TYPE_CHECKING:
    from ibis.backends import BaseBackend
    from python_calamine import CalamineWorkbook

__all__ = ["WORKBOOKS", "find_sheets", "read_sheet"]

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_BATCH = 50_000


def find_sheets(path: Path, wanted: Sequence[str] = ()) -> list[str]:
    """Names of the sheets of a workbook to read, in its order.

    Parameters
    ----------
    path
        The workbook.
    wanted
        Names of sheets; ``"*"`` takes every one that is not empty. By default the only one that is
        not.

    Raises
    ------
    CxError
        When it is no workbook, has no such sheet, or has several and none is named.

    Examples
    --------
    >>> find_sheets(Path("nowhere.xlsx"))
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: the file 'nowhere.xlsx' cannot be read: No such file or directory
    """
    book = _open(path)
    missing = [name for name in wanted if name != "*" and name not in book.sheet_names]
    if missing:
        raise unknown_name("sheet", missing[0], book.sheet_names, f"in the file {path.name!r}")
    if wanted and "*" not in wanted:
        return [name for name in book.sheet_names if name in wanted]
    filled = [name for name in book.sheet_names if book.get_sheet_by_name(name).height]
    if len(filled) > 1 and not wanted:
        names = ", ".join(repr(name) for name in filled)
        raise CxError(
            f"the file {path.name!r} has several sheets ({names}); name those to read with sheet:, "
            'or write sheet: "*"'
        )
    return filled


def read_sheet(con: BaseBackend, path: Path, name: str, options: FileOptions) -> FileRows:
    """Records of a sheet of a workbook.

    Parameters
    ----------
    con
        A DuckDB connection; the records become a temporary table of it.
    path
        The workbook.
    name
        Name of the temporary table.
    options
        Which sheet, and what stands before decimals in its texts.

    Returns
    -------
    FileRows
        The first row that is not empty names the columns; empty rows are no records. A number
        becomes the text that it has without a format (3, 2.5), a date the one of ISO 8601.

    Raises
    ------
    CxError
        When the file as a whole cannot be read.

    Examples
    --------
    >>> read_sheet(None, Path("nowhere.ods"), "orders", FileOptions(sheet="2024"))
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: the file 'nowhere.ods' cannot be read: No such file or directory
    """
    sheet = options.sheet or next(iter(find_sheets(path)), None)
    rows = _rows(path, sheet, options.decimal or ".")
    header = next(rows, None)
    if header is None:
        raise CxError(f"the file {path.name!r} has no line that names its columns")
    names = distinct_names([cell or "" for cell in header])
    refuse_reserved(path.name, names)
    schema = pa.schema([*((column, pa.string()) for column in names), ("cx_row", pa.int64())])
    table = con.create_table(name, pa.table([[] for _ in schema], schema=schema), temp=True)
    number = 0
    while batch := list(islice(rows, _BATCH)):
        columns: list[Any] = [list(column) for column in zip(*batch, strict=True)]
        columns.append(range(number + 1, number + len(batch) + 1))
        number += len(batch)
        arrays = [pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)]
        con.insert(name, pa.table(arrays, schema=schema))
    return FileRows(table)


def _open(path: Path) -> CalamineWorkbook:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with path.open("rb"):
            return CalamineWorkbook.from_path(str(path))
    except OSError as error:
        raise CxError(f"the file {path.name!r} cannot be read: {error.strerror}") from error
    except CalamineError as error:
        raise CxError(
            f"the file {path.name!r} is not a whole workbook ({error}); save it again as .xlsx"
        ) from error


def _rows(path: Path, sheet: str | None, decimal: str) -> Iterator[list[str | None]]:
    """Rows that are not empty, as text."""
    if sheet is None:
        return
    for row in _open(path).get_sheet_by_name(sheet).iter_rows():
        texts = [_as_text(cell, decimal) for cell in row]
        if any(texts):
            yield texts


def _as_text(cell: Any, decimal: str) -> str | None:
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float | int):
        text = str(int(cell)) if float(cell).is_integer() and abs(cell) < 1e15 else repr(cell)
        return text.replace(".", decimal)
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return None if cell is None else str(cell)
