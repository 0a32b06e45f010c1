"""Delimited text: read by the engine itself, told what the file is and not left to guess."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import ibis

from cxlib.engine.files.broken import BadLine, part_lines
from cxlib.engine.files.options import FileOptions, FileRows, distinct_names, refuse_reserved
from cxlib.engine.files.plain import (
    PACKED,
    check_whole,
    even_line_ends,
    is_utf8,
    likely_encoding,
    open_bytes,
    open_text,
    scratch_folder,
    write_utf8,
)
from cxlib.engine.writing import create_table
from cxlib.errors import CxError

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["read_delimited"]

_LOOKED_AT = 1 << 16
_NO_TEXT = "INVALID ENCODING"
"""What DuckDB calls a line that is not UTF-8."""


def read_delimited(con: BaseBackend, path: Path, name: str, options: FileOptions) -> FileRows:
    """Records of a CSV file, packed or not.

    Parameters
    ----------
    con
        A DuckDB connection; the records become a temporary table of it.
    path
        The file.
    name
        Name of the temporary table.
    options
        Its delimiter and encoding, where they are declared.

    Returns
    -------
    FileRows
        The first line that is not blank names the columns.

    Raises
    ------
    CxError
        When the file as a whole cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cxlib.engine.connect import connect
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "accounts.csv")
    ...     _ = path.write_text("account,plan\\na1,basic\\na2,pro,?\\na3,\\n")
    ...     read = read_delimited(connect(), path, "accounts", FileOptions())
    ...     read.table.order_by("cx_row").to_pandas()
      account   plan  cx_row
    0      a1  basic       1
    1      a3   None       3
    """
    check_whole(path)
    with scratch_folder(con) as folder:
        plain = path
        if options.encoding is not None:
            plain = folder / "decoded.csv"
            write_utf8(path, options.encoding, plain)
        header = _read_header(path, plain, options.delimiter)
        try:
            _load(con, plain, name, header)
        except Exception as error:
            if "state machine" not in str(error):
                raise
            # Lines that end in different ways: DuckDB reads files of one kind only.
            evened = folder / "evened.csv"
            even_line_ends(plain, evened)
            plain = evened
            for begun in (name, f"{name}_bad_lines", f"{name}_bad_scans"):
                con.raw_sql(f'DROP TABLE IF EXISTS "{begun}"')
            _load(con, plain, name, header)
        bad = [
            replace(line, reason=_no_text(options.encoding)) if line.kind == _NO_TEXT else line
            for line in _bad_lines(con, plain, name, header)
        ]
    return part_lines(con.table(name), bad, header.delimiter, options.unbroken)


def _no_text(encoding: str | None) -> str:
    if encoding is not None:
        return f"it is no {encoding} text"
    return "it is no UTF-8 text; where many lines are not, declare encoding:, such as cp1252"


class _Header:
    def __init__(self, names: list[str], delimiter: str, blank: int) -> None:
        self.names, self.delimiter, self.blank = names, delimiter, blank


def _read_header(path: Path, plain: Path, delimiter: str | None) -> _Header:
    """Names of the columns of a text file, what stands between them, and blank lines above."""
    with open_bytes(plain) as file:
        start = file.read(_LOOKED_AT)
    _refuse_other_encodings(path, start)
    with open_text(plain) as file:
        blank, line = 0, file.readline()
        while line and not line.strip():
            blank, line = blank + 1, file.readline()
        if not line:
            raise CxError(f"the file {path.name!r} has no line that names its columns")
        if delimiter is None:
            unquoted = re.sub('"[^"]*"', "", line)
            delimiter = max(",;\t|", key=unquoted.count)
        try:
            header = next(csv.reader(chain([line], file), delimiter=delimiter))
        except csv.Error as error:
            raise CxError(f"the file {path.name!r} has no readable first line: {error}") from error
    names = distinct_names(header)
    refuse_reserved(path.name, names)
    return _Header(names, delimiter, blank)


def _refuse_other_encodings(path: Path, start: bytes) -> None:
    """Raise where the first line is not UTF-8; further down it costs the line alone."""
    first = re.match(rb"\s*[^\r\n]*[\r\n]*", start)
    if is_utf8(first.group() if first else b""):
        return
    guess = likely_encoding(start)
    raise CxError(
        f"the file {path.name!r} is not UTF-8 text but probably {guess}; "
        f"declare encoding: {guess} in sources.yml, or save it in UTF-8"
    )


def _load(con: BaseBackend, plain: Path, name: str, header: _Header) -> None:
    try:
        raw = con.read_csv(
            plain,
            table_name=f"{name}_file",
            # Told, not found: what DuckDB finds depends on the lines that it samples, and one
            # stray quote among them gives another delimiter or header.
            auto_detect=False,
            columns=dict.fromkeys(header.names, "VARCHAR"),
            skip=header.blank,
            header=True,
            delim=header.delimiter,
            quote='"',
            escape='"',
            compression=PACKED.get(plain.suffix.lower(), "none"),
            store_rejects=True,
            rejects_limit=0,
            rejects_table=f"{name}_bad_lines",
            rejects_scan=f"{name}_bad_scans",
        )
        empty_is_null = {column: raw[column].nullif("") for column in raw.columns}
        create_table(
            con, name, raw.mutate(**empty_is_null, cx_row=ibis.row_number() + 1), temp=True
        )
    finally:
        con.drop_view(f"{name}_file", force=True)


def _bad_lines(con: BaseBackend, plain: Path, name: str, header: _Header) -> list[BadLine]:
    """Lines that are no records, by number; one that holds several mistakes stands once."""
    lines = con.table(f"{name}_bad_lines")
    rank = lines.column_idx.fill_null(0)
    first = lines.group_by("line").aggregate(
        kind=lines.error_type.cast("string").argmin(rank),
        reason=lines.error_message.argmin(rank),
        record=lines.csv_line.argmin(rank),
    )
    found = first.order_by("line").to_pyarrow().to_pylist()
    if len(header.names) > 1:
        # A blank line is no record; with one column it is an empty one.
        found = [row for row in found if (row["record"] or "").strip()]
    if not found:
        return []
    space = " \n" if header.delimiter == "\t" else " \t\n"
    blanks = _blank_lines(plain, found[-1]["line"], space) if len(header.names) > 1 else []
    bad, passed = [], header.blank
    for row in found:
        while passed < len(blanks) and blanks[passed] < row["line"]:
            passed += 1
        number = row["line"] - 1 - max(passed, header.blank)
        text = (row["record"] or "").lstrip("\r\n")
        bad.append(BadLine(number, row["kind"], row["reason"], text))
    return bad


def _blank_lines(plain: Path, last: int, space: str) -> list[int]:
    """Numbers of the blank lines up to a line, which the engine counts and which are no rows."""
    with open_bytes(plain) as file:
        before, found = b"\n", False
        while not found and (chunk := file.read(1 << 20)):
            found = re.search(rb"\n[ \t]*\r?\n|\r[ \t]*\r", before + chunk) is not None
            before = chunk[-64:]
    if not found:
        return []
    blanks, number, quoted = [], 0, False
    with open_text(plain, "latin-1") as file:
        file.reconfigure(newline=None)
        for line in file:
            # A quoted field may run over lines; the engine counts them as one.
            number += not quoted
            if number > last:
                break
            if not quoted and not line.strip(space):
                blanks.append(number)
            quoted ^= line.count('"') % 2 == 1
    return blanks
