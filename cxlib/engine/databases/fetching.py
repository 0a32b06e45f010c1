"""A table or a query of a database, fetched into a file: with patience, and without its secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from cxlib.engine.databases.drivers import reader_of
from cxlib.engine.files.options import distinct_names, refuse_reserved
from cxlib.errors import CxError

__all__ = ["NoTableError", "fetch_rows", "hide_secrets", "is_passing"]

_ATTEMPTS = 4
_WAIT = wait_exponential(multiplier=1, max=10)
_PASSING_MYSQL = {1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2014, 2055}
"""Errors of MySQL that a later attempt may not meet: too many connections, shut down, gone away."""
_PASSING_STATES = ("08", "40", "53", "57P")
"""SQLSTATEs, or how they begin: connection, rollback, resources, shut down."""
_PASSING_WORDS = re.compile(
    r"closed the connection|connection refused|could not connect|connection reset|timed? ?out"
    r"|terminat|starting up|shutting down|database is locked|gone away|no such file or directory",
    re.IGNORECASE,
)

_NO_TABLE = re.compile(r"no such table|table with name .* does not exist", re.IGNORECASE)


class NoTableError(CxError):
    """A database has no table of that name."""


def fetch_rows(
    url: str, target: Path, *, whose: str, table: str | None = None, query: str | None = None
) -> None:
    """Write the rows of a table or of a query into a Parquet file, all as text.

    Parameters
    ----------
    url
        Where the database is; it may hold a password.
    target
        The file.
    whose
        Name of the source, for messages.
    table, query
        One of the two.

    Raises
    ------
    NoTableError
        When the database has no such table.
    CxError
        When the database cannot be read, or went away four times; the message holds no secret.

    Notes
    -----
    Nothing of a database is changed: where its driver can, it is opened for reading alone. One
    batch of rows is in memory at once.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import duckdb
    >>> with TemporaryDirectory() as folder:
    ...     with duckdb.connect(f"{folder}/shop.duckdb") as con:
    ...         _ = con.execute("CREATE TABLE orders AS SELECT 7 AS id, 2.50 AS amount")
    ...     target = Path(folder, "orders.parquet")
    ...     fetch_rows(f"duckdb:///{folder}/shop.duckdb", target, whose="orders", table="orders")
    ...     pq.read_table(target).to_pylist()
    [{'id': '7', 'amount': '2.50'}]
    """
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=_WAIT,
        retry=retry_if_exception(is_passing),
        reraise=True,
    )
    try:
        attempts(_write, url, target, table, query)
    except CxError as error:
        raise CxError(str(error)) from None
    except Exception as error:
        said = hide_secrets(_first_line(error), url)
        if _is_no_table(error):
            named = "such table" if table is None else f"table {table!r}"
            raise NoTableError(
                f"the database of the source {whose!r} has no {named} ({said})"
            ) from None
        if is_passing(error):
            reason = (
                f"the database of the source {whose!r} went away while it was read, {_ATTEMPTS} "
                f"times ({said}); the store is as it was: build again when it is back"
            )
        elif isinstance(error, ImportError):
            reason = (
                f"the database of the source {whose!r} needs a driver that is not installed "
                f"({error.name}); install cxlib[{_extra(url)}]"
            )
        else:
            reason = f"the database of the source {whose!r} cannot be read: {said}"
        # Without a cause: a driver's own error may hold the password.
        raise CxError(reason) from None


def is_passing(error: BaseException) -> bool:
    """Whether the same may go well a moment later.

    Examples
    --------
    >>> is_passing(ConnectionResetError()), is_passing(KeyError("amount"))
    (True, False)
    """
    if isinstance(error, CxError | ImportError):
        return False
    state = getattr(error, "sqlstate", None)
    if state:
        return str(state).startswith(_PASSING_STATES)
    kind = type(error)
    if kind.__module__.startswith("pymysql"):
        return bool(error.args) and error.args[0] in (*_PASSING_MYSQL, 0)
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return _PASSING_WORDS.search(str(error)) is not None


def _is_no_table(error: BaseException) -> bool:
    if getattr(error, "sqlstate", None) in ("42P01", "3F000"):
        return True
    kind = type(error)
    if kind.__module__.startswith("pymysql"):
        return bool(error.args) and error.args[0] == 1146
    return kind.__name__ == "TableNotFound" or _NO_TABLE.search(str(error)) is not None


def hide_secrets(text: str, url: str) -> str:
    """Text without the URL of a database, its password and its options.

    Examples
    --------
    >>> url = "postgresql://shop:pa%24s@db:5432/shop?sslkey=k3y"
    >>> hide_secrets(f"cannot open {url}: pa$s is wrong, k3y too", url)
    'cannot open ***: *** is wrong, *** too'
    """
    place = urlsplit(url)
    secrets = {url, place.netloc, place.password, unquote(place.password or "")}
    secrets |= {value for _, value in parse_qsl(place.query)} | {place.query}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _write(url: str, target: Path, table: str | None, query: str | None) -> None:
    batches = reader_of(url)(url, table, query)
    first = next(batches)
    names = distinct_names(first.schema.names)
    refuse_reserved(table or "query", names)
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(target, schema, compression="zstd") as file:
        for batch in batches:
            file.write_batch(pa.record_batch(batch.columns, schema=schema))


def _first_line(error: BaseException) -> str:
    words = [str(part) for part in error.args] or [type(error).__name__]
    said = " ".join(" ".join(words).split())
    return re.split(r" LINE \d+:| Query was:", said)[0][:300]


def _extra(url: str) -> str:
    scheme = url.split("://", 1)[0].lower()
    return {"mysql": "mysql", "mariadb": "mysql", "spark": "spark"}.get(scheme, "postgres")
