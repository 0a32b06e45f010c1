"""Databases through their own drivers: rows of text in batches, read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pyarrow as pa

__all__ = ["BATCH", "Reader", "reader_of"]

BATCH = 50_000
"""Rows that are in memory at once."""
Reader = Callable[[str, str | None, str | None], Iterator[pa.RecordBatch]]
"""From a URL and a table or a query to batches of text, the first one even if it is empty."""


def reader_of(url: str) -> Reader:
    """What reads from a database, by the scheme of its URL.

    Examples
    --------
    >>> reader_of("mariadb://shop@db/shop").__name__
    'read_mysql'
    """
    scheme = url.split("://", 1)[0].split("+", 1)[0].lower()
    own = {
        "postgres": read_postgres,
        "postgresql": read_postgres,
        "mysql": read_mysql,
        "mariadb": read_mysql,
        "sqlite": read_sqlite,
        "duckdb": read_duckdb,
    }
    return own.get(scheme, read_by_ibis)


def read_postgres(url: str, table: str | None, query: str | None) -> Iterator[pa.RecordBatch]:
    """Rows of PostgreSQL by ADBC, whose stream of batches the server turns into text."""
    from adbc_driver_postgresql import dbapi

    rows = _statement(table, query)
    with (
        dbapi.connect(url.replace("postgres://", "postgresql://", 1)) as con,
        con.cursor() as cursor,
    ):
        for setting in ("TRANSACTION READ ONLY", "TimeZone = 'UTC'", "DateStyle = 'ISO'"):
            cursor.execute(f"SET {setting}")
        cursor.execute(f"SELECT * FROM ({rows}\n) AS cx_rows LIMIT 0")
        names = [column[0] for column in cursor.description]
        cursor.fetchall()
        texts = ", ".join(f"{_quoted([name])}::text" for name in names)
        cursor.execute(f"SELECT {texts} FROM ({rows}\n) AS cx_rows")
        yield _batch(names, [[] for _ in names])
        for batch in cursor.fetch_record_batch():
            yield _batch(names, batch.columns)


def read_mysql(url: str, table: str | None, query: str | None) -> Iterator[pa.RecordBatch]:
    """Rows of MySQL or MariaDB by PyMySQL, which does not hold them all."""
    import pymysql
    from pymysql.constants import FIELD_TYPE
    from pymysql.converters import conversions
    from pymysql.cursors import SSCursor

    place = urlsplit(url)
    options = dict(parse_qsl(place.query))
    con = pymysql.connect(
        host=place.hostname or "localhost",
        port=place.port or 3306,
        user=unquote(place.username or ""),
        password=unquote(place.password or ""),
        database=unquote(place.path.lstrip("/")) or None,
        unix_socket=options.get("unix_socket"),
        charset="utf8mb4",
        cursorclass=SSCursor,
        # Without converters for its types a value is the text that the server sends.
        conv={kind: change for kind, change in conversions.items() if not isinstance(kind, int)},
    )
    with closing(con), con.cursor() as cursor:
        for setting in ("time_zone = '+00:00'", "TRANSACTION READ ONLY"):
            cursor.execute(f"SET SESSION {setting}")
        cursor.execute(_statement(table, query, "`"))
        names = [column[0] for column in cursor.description]
        own: dict[int, Callable[[Any], str | None]] = {
            FIELD_TYPE.TIMESTAMP: _as_utc,
            FIELD_TYPE.BIT: _as_number,
        }
        as_text = [own.get(column[1], _as_text) for column in cursor.description]
        yield _batch(names, [[] for _ in names])
        while rows := cursor.fetchmany(BATCH):
            columns = [
                [change(value) for value in column]
                for change, column in zip(as_text, zip(*rows, strict=True), strict=True)
            ]
            yield _batch(names, columns)


def read_sqlite(url: str, table: str | None, query: str | None) -> Iterator[pa.RecordBatch]:
    """Rows of a file of SQLite, which may be of several kinds in one column."""
    path = quote(_path(url, "sqlite"))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
        con.set_authorizer(_deny_other_files)
        con.text_factory = lambda data: data.decode("utf-8", "replace")
        cursor = con.execute(_statement(table, query))
        names = [column[0] for column in cursor.description]
        yield _batch(names, [[] for _ in names])
        while rows := cursor.fetchmany(BATCH):
            yield _batch(names, [list(map(_as_text, column)) for column in zip(*rows, strict=True)])


def read_duckdb(url: str, table: str | None, query: str | None) -> Iterator[pa.RecordBatch]:
    """Rows of a file of DuckDB, from which no query reaches another file."""
    import duckdb

    rows = _statement(table, query)
    path = _path(url, "duckdb")
    with duckdb.connect(path, read_only=True, config={"enable_external_access": False}) as con:
        con.execute("SET TimeZone = 'UTC'")
        found = con.execute(f"SELECT COLUMNS(*)::VARCHAR FROM ({rows}\n) AS cx_rows")
        reader = found.to_arrow_reader(BATCH)
        yield _batch(reader.schema.names, [[] for _ in reader.schema.names])
        yield from reader


def read_by_ibis(url: str, table: str | None, query: str | None) -> Iterator[pa.RecordBatch]:
    """Rows of any engine that Ibis opens, which turns them into text itself."""
    from cxlib.engine.connect import connect

    con = connect(url)
    try:
        if query is not None:
            rows = con.sql(query)
        else:
            *database, name = str(table).split(".")
            rows = con.table(name, database=tuple(database) or None)
        texts = rows.select(**{name: rows[name].cast("string") for name in rows.columns})
        yield _batch(list(texts.columns), [[] for _ in texts.columns])
        for batch in texts.to_pyarrow_batches(chunk_size=BATCH):
            yield _batch(list(texts.columns), batch.columns)
    finally:
        con.disconnect()


def _batch(names: Sequence[str], columns: Sequence[Any]) -> pa.RecordBatch:
    schema = pa.schema([(name, pa.string()) for name in names])
    arrays = [
        column.cast(pa.string()) if isinstance(column, pa.Array) else pa.array(column, pa.string())
        for column in columns
    ]
    return pa.record_batch(arrays, schema=schema)


def _statement(table: str | None, query: str | None, mark: str = '"') -> str:
    # A dot parts schema and table.
    return query or f"SELECT * FROM {_quoted(str(table).split('.'), mark)}"


def _quoted(parts: Sequence[str], mark: str = '"') -> str:
    return ".".join(f"{mark}{part.replace(mark, mark * 2)}{mark}" for part in parts)


def _path(url: str, scheme: str) -> str:
    # With three strokes some tools mean a path from here, others one from the root.
    path = Path(unquote(url.removeprefix(f"{scheme}://")).replace("//", "/", 1))
    return str(path if path.exists() else path.as_posix().removeprefix("/"))


def _as_text(value: Any) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return None if value is None else str(value)


def _as_utc(value: str | None) -> str | None:
    return None if value is None else f"{value}Z"


def _as_number(value: bytes | None) -> str | None:
    return None if value is None else str(int.from_bytes(value))


def _deny_other_files(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK
