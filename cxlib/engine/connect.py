"""Connections to the engines that hold the data; the only module that names a backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from ibis.backends import BaseBackend

__all__ = ["connect", "local_to_utc", "parse_with_format", "read_text_table"]


def connect(url: str = "duckdb://", *, read_only: bool = False) -> BaseBackend:
    """Connection to an engine.

    Parameters
    ----------
    url
        ``"duckdb://"`` for one in memory, ``"duckdb://path/to/file.duckdb"`` for a file, or any
        URL that ``ibis.connect`` takes (``"spark://"``, ``"postgres://…"``).
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

    Examples
    --------
    >>> connect("duckdb://").list_tables()
    []
    """
    if not url.startswith("duckdb://"):
        try:
            return ibis.connect(url)
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
        The records: the file's columns as text, empty ones null, and ``row_number`` (from 1, in the
        file's order). The unreadable lines: ``row_number``, ``reason``, ``record`` (its text).

    Raises
    ------
    CxError
        When the file as a whole cannot be read.

    Notes
    -----
    A file is a sequence of records; a quoted field may hold line breaks. ``row_number`` counts
    unreadable lines too, so that it leads back to the file where no field holds a line break.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "accounts.csv")
    ...     _ = path.write_text("account,plan\\na1,basic\\na2,pro,?\\na3,\\n")
    ...     records, unreadable = read_text_table(connect(), path, "accounts")
    ...     records.order_by("row_number").to_pandas()
      account   plan  row_number
    0      a1  basic           1
    1      a3   None           3
    """
    import duckdb
    import pandas as pd

    unreadable = pd.DataFrame(columns=["row_number", "reason", "record"])
    try:
        if path.suffix == ".parquet":
            raw = con.read_parquet(path, table_name=f"{name}_file")
        else:
            options = {} if delimiter is None else {"delim": delimiter}
            raw = con.read_csv(
                path,
                table_name=f"{name}_file",
                all_varchar=True,
                header=True,
                # Fixed, not found: a quote may first appear beyond the lines that DuckDB samples.
                quote='"',
                escape='"',
                store_rejects=True,
                rejects_limit=0,
                rejects_table=f"{name}_bad_lines",
                rejects_scan=f"{name}_bad_scans",
                **options,
            )
        text = raw.mutate(
            **{column: raw[column].cast("string").nullif("") for column in raw.columns},
            row_number=ibis.row_number() + 1,
        )
        table = con.create_table(name, text, temp=True)
        if path.suffix != ".parquet":
            unreadable = _bad_lines(con, name)
    except duckdb.Error as error:
        first_line = str(error).splitlines()[0]
        raise CxError(f"the file {path.name!r} cannot be read: {first_line}") from error
    finally:
        con.drop_view(f"{name}_file", force=True)
    return _count_unreadable(table, unreadable["row_number"].tolist()), unreadable


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
    return frame[["row_number", "reason", "record"]]


def _count_unreadable(table: ir.Table, unreadable: list[int]) -> ir.Table:
    """Shift the row numbers of the records that stand behind unreadable lines."""
    if not unreadable:
        return table
    # The k-th unreadable line (from 0) at row r stands before every readable record from r - k on.
    behind = {row - k: k + 1 for k, row in enumerate(unreadable)}
    shifts = ibis.memtable({"from_record": list(behind), "lines_before": list(behind.values())})
    joined = table.asof_join(shifts, table.row_number >= shifts.from_record)
    row_number = joined.row_number + joined.lines_before.fill_null(0)
    return joined.mutate(row_number=row_number).select(table.columns)


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


def parse_with_format(text: ir.StringValue, pattern: str) -> ir.TimestampValue:
    """Time read with a strptime pattern, on DuckDB; null where the text does not fit.

    Parameters
    ----------
    text
        The time as text.
    pattern
        Such as ``"%d/%m/%Y %H:%M"``.

    Returns
    -------
    ibis.expr.types.TimestampValue
        Without a zone.

    Examples
    --------
    >>> import ibis
    >>> text = ibis.literal("31/12/2024 23:59")
    >>> connect().execute(parse_with_format(text, "%d/%m/%Y %H:%M")).isoformat()
    '2024-12-31T23:59:00'
    """
    return _try_strptime(text, pattern)


@ibis.udf.scalar.builtin(
    name="timezone", signature=((dt.string, dt.timestamp), dt.Timestamp(timezone="UTC"))
)
def _timezone(zone: str, local: ir.TimestampValue) -> ir.TimestampValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=((dt.string, dt.string), dt.timestamp))
def _try_strptime(text: ir.StringValue, pattern: str) -> ir.TimestampValue:
    """DuckDB's own function."""
