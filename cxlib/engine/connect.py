"""Connections to the engines that hold the data; the only module that names a backend."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends import BaseBackend

__all__ = [
    "connect",
    "create_named_table",
    "local_to_utc",
    "parse_with_format",
    "read_text_table",
]

_MOST_NAMES = 250


def connect(url: str = "duckdb://", *, read_only: bool = False) -> BaseBackend:
    """Connection to an engine.

    Parameters
    ----------
    url
        ``"duckdb://"`` for one in memory, ``"duckdb://path/to/file.duckdb"`` for a file;
        ``"spark://"`` for the Spark session that runs already (a Databricks notebook has one) or
        else one on this machine, ``"spark://host:7077"`` for a session on that cluster; or any URL
        that ``ibis.connect`` takes (``"postgres://…"``).
    read_only
        Open a DuckDB file without the right to change it; any number of readers may do so.

    Returns
    -------
    ibis.backends.BaseBackend
        Its session works in UTC.

    Raises
    ------
    CxError
        When the file is not there (read-only), or the engine cannot be opened.

    Notes
    -----
    Spark needs the extra ``spark``, and Java 17 or 21 where no session runs yet. The connection
    reads the tables of the session's catalog: ``connect("spark://").table("events")``.

    Examples
    --------
    >>> connect("duckdb://").list_tables()
    []
    """
    if not url.startswith("duckdb://"):
        try:
            if url.startswith("spark://"):
                from cxlib.engine.spark import connect_spark

                return connect_spark(None if url == "spark://" else url)
            return ibis.connect(url)
        except CxError:
            raise
        except Exception as error:
            scheme = url.split("://", 1)[0]
            # The rest of the URL may hold a password: it stays out of the message.
            raise CxError(
                f"cannot open the engine {scheme!r} ({type(error).__name__}); "
                "check the URL and that the engine's extra is installed"
            ) from error
    path = url.removeprefix("duckdb://")
    if read_only and not Path(path).is_file():
        raise CxError(f"there is no DuckDB file {path!r}; build the store first")
    con = ibis.duckdb.connect(path or ":memory:", read_only=read_only)
    con.raw_sql("SET TimeZone = 'UTC'")
    # Progress bars belong to the caller, not to the engine.
    con.raw_sql("SET enable_progress_bar = false")
    return con


def read_text_table(
    con: BaseBackend, path: Path, name: str, *, delimiter: str | None = None
) -> tuple[ir.Table, pd.DataFrame]:
    """Records of a CSV or Parquet file as text, and the lines that could not be read.

    Parameters
    ----------
    con
        A DuckDB connection; the records become a temporary table of it.
    path
        The file: ``.parquet``, or else delimited text, compressed or not.
    name
        Name of the temporary table.
    delimiter
        What stands between fields; found from the file when not given.

    Returns
    -------
    tuple of ibis.expr.types.Table and pandas.DataFrame
        The records: the file's columns as text, empty ones null, and ``cx_row`` (from 1, in the
        file's order). The unreadable lines: ``row_number``, ``reason``, ``record`` (its text).

    Raises
    ------
    CxError
        When the file as a whole cannot be read.

    Notes
    -----
    A file is a sequence of records; a quoted field may hold line breaks. The number of a row counts
    unreadable lines too, so that it leads back to the file where no field holds a line break.

    The first line that is not blank names the columns. A name that stands twice means neither of
    them: both get their place in the line behind it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "accounts.csv")
    ...     _ = path.write_text("account,plan\\na1,basic\\na2,pro,?\\na3,\\n")
    ...     records, unreadable = read_text_table(connect(), path, "accounts")
    ...     records.order_by("cx_row").to_pandas()
      account   plan  cx_row
    0      a1  basic       1
    1      a3   None       3
    """
    import duckdb
    import pandas as pd

    unreadable = pd.DataFrame(columns=["row_number", "reason", "record"])
    try:
        if path.suffix.lower() == ".parquet":
            raw = con.read_parquet(path, table_name=f"{name}_file")
        else:
            raw = _open_csv(con, path, name, delimiter)
        _refuse_reserved(path, raw.columns)
        text = raw.mutate(
            **{column: raw[column].cast("string").nullif("") for column in raw.columns},
            cx_row=ibis.row_number() + 1,
        )
        table = con.create_table(name, text, temp=True)
        if path.suffix.lower() != ".parquet":
            unreadable = _bad_lines(con, name)
    except duckdb.Error as error:
        said = str(error).splitlines()[0].replace(str(path), path.name)
        if "state machine" in str(error):
            said = "its lines end in different ways (Windows and Unix); save it with one kind"
        raise CxError(f"the file {path.name!r} cannot be read: {said}") from error
    finally:
        con.drop_view(f"{name}_file", force=True)
    return _count_unreadable(table, unreadable["row_number"].tolist()), unreadable


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
    >>> con = connect()
    >>> rows = ibis.memtable({"touchpoint": ["visit", "buy"]})
    >>> table = create_named_table(con, "rows", rows, ["touchpoint"], ["visit", "buy"])
    >>> table.order_by("touchpoint").touchpoint.to_list()
    ['buy', 'visit']
    """
    listed = sorted(set(names))
    if not listed or len(listed) > _MOST_NAMES:
        return con.create_table(name, table)
    con.create_table(name, schema=table.schema())
    con.create_table("cx_names", ibis.memtable({"name": listed}), temp=True, overwrite=True)
    con.raw_sql("CREATE TYPE IF NOT EXISTS cx_name AS ENUM (SELECT name FROM cx_names ORDER BY 1)")
    con.drop_table("cx_names")
    for column in columns:
        kind = "cx_name[]" if table[column].type().is_array() else "cx_name"
        con.raw_sql(f'ALTER TABLE "{name}" ALTER "{column}" TYPE {kind}')
    con.insert(name, table)
    return con.table(name)


def _open_csv(con: BaseBackend, path: Path, name: str, delimiter: str | None) -> ir.Table:
    packed = path.suffix.lower() == ".gz"
    try:
        if packed:
            _read_to_the_end(path)
        names, delimiter, blank = _read_header(path, delimiter, packed=packed)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CxError(
            f"the file {path.name!r} is not a whole gzip file; export it again"
        ) from error
    except OSError as error:
        raise CxError(f"the file {path.name!r} cannot be read: {error.strerror}") from error
    return con.read_csv(
        path,
        table_name=f"{name}_file",
        # Told, not found: what DuckDB finds depends on the lines that it samples, and one stray
        # quote among them gives another delimiter or header.
        auto_detect=False,
        columns=dict.fromkeys(names, "VARCHAR"),
        skip=blank,
        header=True,
        delim=delimiter,
        quote='"',
        escape='"',
        compression="gzip" if packed else "none",
        store_rejects=True,
        rejects_limit=0,
        rejects_table=f"{name}_bad_lines",
        rejects_scan=f"{name}_bad_scans",
    )


def _read_to_the_end(path: Path) -> None:
    """Raise where a gzip file is cut or damaged: DuckDB would read what is left in silence."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def _read_header(path: Path, delimiter: str | None, *, packed: bool) -> tuple[list[str], str, int]:
    """Names of the columns of a text file, what stands between them, and blank lines above."""
    opened = gzip.open if packed else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        blank, line = 0, file.readline()
        while line and not line.strip():
            blank, line = blank + 1, file.readline()
        if not line:
            raise CxError(f"the file {path.name!r} has no line that names its columns")
        if "\0" in line or "\N{REPLACEMENT CHARACTER}" in line:
            raise CxError(f"the file {path.name!r} is not UTF-8 text; save it as CSV in UTF-8")
        if delimiter is None:
            unquoted = re.sub('"[^"]*"', "", line)
            delimiter = max(",;\t|", key=unquoted.count)
        try:
            header = next(csv.reader(chain([line], file), delimiter=delimiter))
        except csv.Error as error:
            raise CxError(f"the file {path.name!r} has no readable first line: {error}") from error
    return _distinct(header), delimiter, blank


def _distinct(header: list[str]) -> list[str]:
    names = [name.strip() or f"column{place}" for place, name in enumerate(header, start=1)]
    often = Counter(name.casefold() for name in names)
    return [
        f"{name}_{place}" if often[name.casefold()] > 1 else name
        for place, name in enumerate(names, start=1)
    ]


def _refuse_reserved(path: Path, names: Iterable[str]) -> None:
    for name in names:
        if name.casefold().startswith("cx_"):
            raise CxError(
                f"the file {path.name!r} has a column {name!r}; names that begin with cx_ are "
                "cxlib's own: rename it"
            )


def _bad_lines(con: BaseBackend, name: str) -> pd.DataFrame:
    lines = con.table(f"{name}_bad_lines")
    # One line may hold several mistakes; it is one record.
    first = lines.group_by("line").aggregate(
        reason=lines.error_message.argmin(lines.column_idx.fill_null(0)),
        record=lines.csv_line.argmin(lines.column_idx.fill_null(0)),
    )
    frame = first.order_by("line").to_pandas()
    frame["row_number"] = frame["line"].astype("int64") - 1
    frame["reason"] = "unreadable line: " + frame["reason"].str.replace(
        "Number of Columns", "number of fields", case=False
    )
    # A quote that never closes swallows the lines behind it into one record.
    held = frame["record"].str.strip("\r\n").str.count("\r\n?|\n") + 1
    frame["reason"] += [f" (the record runs over {n:,} lines)" if n > 1 else "" for n in held]
    return frame[["row_number", "reason", "record"]]


def _count_unreadable(table: ir.Table, unreadable: list[int]) -> ir.Table:
    """Shift the row numbers of the records that stand behind unreadable lines."""
    if not unreadable:
        return table
    # The k-th unreadable line (from 0) at row r stands before every readable record from r - k on.
    behind = {row - k: k + 1 for k, row in enumerate(unreadable)}
    shifts = ibis.memtable({"from_record": list(behind), "lines_before": list(behind.values())})
    joined = table.asof_join(shifts, table.cx_row >= shifts.from_record)
    cx_row = joined.cx_row + joined.lines_before.fill_null(0)
    return joined.mutate(cx_row=cx_row).select(table.columns)


def local_to_utc(local: ir.TimestampValue, zone: str) -> ir.TimestampValue:
    """Time in UTC of a wall-clock time in a zone, on DuckDB.

    Parameters
    ----------
    local
        Wall-clock time, without a zone.
    zone
        IANA name, such as ``"Europe/Rome"``.

    Returns
    -------
    ibis.expr.types.TimestampValue
        UTC, without a zone. An hour that a clock shows twice is taken as the second, winter one;
        an hour that it skips is moved forward.

    Examples
    --------
    >>> import ibis
    >>> noon = ibis.timestamp("2024-07-01 12:00:00")
    >>> connect().execute(local_to_utc(noon, "Europe/Rome")).isoformat()
    '2024-07-01T10:00:00'
    """
    return local if zone == "UTC" else _timezone(zone, local).cast("timestamp")


def parse_with_format(text: ir.StringValue, pattern: str, zone: str) -> ir.TimestampValue:
    """Time in UTC read with a strptime pattern, on DuckDB; null where the text does not fit.

    Parameters
    ----------
    text
        The time as text.
    pattern
        Such as ``"%d/%m/%Y %H:%M"``.
    zone
        Zone of the times, unless the pattern reads an offset (``%z``) or a zone (``%Z``).

    Returns
    -------
    ibis.expr.types.TimestampValue
        UTC, without a zone.

    Raises
    ------
    CxError
        When the pattern cannot be read, or names no year.

    Examples
    --------
    >>> import ibis
    >>> text = ibis.literal("31/12/2024 23:59")
    >>> connect().execute(parse_with_format(text, "%d/%m/%Y %H:%M", "Europe/Rome")).isoformat()
    '2024-12-31T22:59:00'
    """
    import duckdb

    try:
        duckdb.execute("SELECT try_strptime('', ?)", [pattern])
    except duckdb.Error as error:
        raise CxError(
            f"the format {pattern!r} cannot be read; write it for example as '%d/%m/%Y %H:%M'"
        ) from error
    codes = set(re.findall("%-?(.)", pattern))
    if not codes & set("YyGcx"):
        raise CxError(f"the format {pattern!r} names no year; add %Y, or a column that holds it")
    if codes & set("zZ"):
        return _try_strptime_zoned(text, pattern).cast("timestamp")
    return local_to_utc(_try_strptime(text, pattern), zone)


@ibis.udf.scalar.builtin(
    name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp(timezone="UTC"))
)
def _timezone(zone: str, local: ir.TimestampValue) -> ir.TimestampValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(
    name="try_strptime", signature=((dt.string, dt.string), dt.Timestamp(timezone="UTC"))
)
def _try_strptime_zoned(text: ir.StringValue, pattern: str) -> ir.TimestampValue:
    """DuckDB's own function, whose type follows from the pattern."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _try_strptime(text: ir.StringValue, pattern: str) -> ir.TimestampValue:
    """DuckDB's own function."""
