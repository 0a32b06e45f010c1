"""Connections to the engines that hold the data; databases to read from have drivers elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from cxlib.engine.zones import wall_clock
from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = [
    "connect",
    "limit_memory",
    "local_to_utc",
    "parse_with_format",
]

_SHARE_OF_MEMORY = 0.6


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
            # The rest of the URL may hold a password: it stays out of the message, and the error
            # that repeats it out of every traceback.
            raise CxError(
                f"cannot open the engine {scheme!r} ({type(error).__name__}); "
                "check the URL and that the engine's extra is installed"
            ) from None
    path = url.removeprefix("duckdb://")
    if read_only and not Path(path).is_file():
        raise CxError(f"there is no DuckDB file {path!r}; build the store first")
    con = ibis.duckdb.connect(path or ":memory:", read_only=read_only)
    con.raw_sql("SET TimeZone = 'UTC'")
    # Progress bars belong to the caller, not to the engine.
    con.raw_sql("SET enable_progress_bar = false")
    return con


def limit_memory(con: BaseBackend) -> None:
    """Leave a part of the memory to others: what does not fit waits on disk, beside the data.

    Parameters
    ----------
    con
        A DuckDB connection. It may take what the environment variable ``CXLIB_MEMORY`` says
        ("8GB"), or else three fifths of what DuckDB would take, which is about half of the machine.

    Raises
    ------
    CxError
        When ``CXLIB_MEMORY`` is no amount of memory.

    Examples
    --------
    >>> con = connect()
    >>> limit_memory(con)
    """
    import duckdb

    told = os.environ.get("CXLIB_MEMORY")
    if not told:
        found = con.raw_sql("SELECT current_setting('memory_limit')").fetchone()[0]
        amount, unit = found.split()
        told = f"{float(amount) * _SHARE_OF_MEMORY:.1f}{unit}"
    try:
        con.con.execute("SET memory_limit = ?", [told])
    except duckdb.Error as error:
        raise CxError(
            f"CXLIB_MEMORY is {told!r}, which is no amount of memory; write it as '8GB'"
        ) from error


def local_to_utc(local: ir.TimestampValue, zone: str, *, fold: str = "second") -> ir.TimestampValue:
    """Time in UTC of a wall-clock time in a zone, on DuckDB.

    Parameters
    ----------
    local
        Wall-clock time, without a zone.
    zone
        IANA name, such as ``"Europe/Rome"``.
    fold
        Which of the two is meant where a clock shows an hour twice, in autumn: ``"second"``, the
        one in winter time, or ``"first"``.

    Returns
    -------
    ibis.expr.types.TimestampValue
        UTC, without a zone. An hour that a clock skips, in spring, is moved forward.

    Examples
    --------
    >>> import ibis
    >>> noon = ibis.timestamp("2024-07-01 12:00:00")
    >>> connect().execute(local_to_utc(noon, "Europe/Rome")).isoformat()
    '2024-07-01T10:00:00'
    """
    if zone == "UTC":
        return local
    second = _timezone(zone, local).cast("timestamp")
    if fold == "second":
        return second
    # Clocks go back by an hour, and by half an hour on Lord Howe Island.
    earlier = [second - ibis.interval(minutes=minutes) for minutes in (60, 30)]
    shows = [wall_clock(moment, zone) == local for moment in earlier]
    return ibis.cases(*zip(shows, earlier, strict=True), else_=second)


def parse_with_format(
    text: ir.StringValue, pattern: str, zone: str, *, fold: str = "second"
) -> ir.TimestampValue:
    """Time in UTC read with a strptime pattern, on DuckDB; null where the text does not fit.

    Parameters
    ----------
    text
        The time as text.
    pattern
        Such as ``"%d/%m/%Y %H:%M"``.
    zone
        Zone of the times, unless the pattern reads an offset (``%z``) or a zone (``%Z``).
    fold
        As ``local_to_utc`` has it.

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
    return local_to_utc(_try_strptime(text, pattern), zone, fold=fold)


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
