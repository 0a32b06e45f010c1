"""Functions that DuckDB has and Ibis does not name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = [
    "connect_scratch",
    "edits",
    "keyed_hash",
    "link_engine",
    "resemblance",
    "smallest",
    "without_accents",
]


@ibis.udf.scalar.builtin(name="strip_accents", signature=((dt.string,), dt.string))
def _strip_accents(text: ir.StringValue) -> ir.StringValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(
    name="jaro_winkler_similarity", signature=((dt.string, dt.string), dt.float64)
)
def _jaro_winkler(left: ir.StringValue, right: ir.StringValue) -> ir.FloatingValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="damerau_levenshtein", signature=((dt.string, dt.string), dt.int64))
def _damerau_levenshtein(left: ir.StringValue, right: ir.StringValue) -> ir.IntegerValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="encode", signature=((dt.string,), dt.binary))
def _encode(text: ir.StringValue) -> ir.BinaryValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="unhex", signature=((dt.string,), dt.binary))
def _unhex(text: ir.StringValue) -> ir.BinaryValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="concat", signature=((dt.binary, dt.binary), dt.binary))
def _joined(left: ir.BinaryValue, right: ir.BinaryValue) -> ir.BinaryValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="sha256", signature=((dt.binary,), dt.string))
def _sha256(content: ir.BinaryValue) -> ir.StringValue:
    """DuckDB's own function."""


@ibis.udf.agg.builtin(name="min", signature=((dt.string, dt.int64), dt.Array(dt.string)))
def _min(text: ir.StringColumn, n: int) -> ir.ArrayScalar:
    """DuckDB's own function."""


def without_accents(text: ir.StringValue) -> ir.StringValue:
    """Text with plain letters for those with accents.

    Examples
    --------
    >>> ibis.duckdb.connect().execute(without_accents(ibis.literal("Zoë Müller")))
    'Zoe Muller'
    """
    return _strip_accents(text)


def resemblance(left: ir.StringValue, right: ir.StringValue) -> ir.FloatingValue:
    """Jaro-Winkler similarity of two texts, from 0 (none) to 1 (equal).

    Examples
    --------
    >>> round(ibis.duckdb.connect().execute(resemblance(ibis.literal("jon"), "john")), 3)
    0.933
    """
    return _jaro_winkler(left, right)


def edits(left: ir.StringValue, right: ir.StringValue) -> ir.IntegerValue:
    """Letters to insert, drop, replace or swap until two texts are equal.

    Examples
    --------
    >>> int(ibis.duckdb.connect().execute(edits(ibis.literal("19800112"), "19801012")))
    1
    """
    return _damerau_levenshtein(left, right)


def smallest(
    text: ir.StringColumn, n: int, *, where: ir.BooleanValue | None = None
) -> ir.ArrayScalar:
    """First texts of a column in their order, as an aggregate that holds no more than these.

    Parameters
    ----------
    text
        The column. A text that stands twice is given twice; nulls are left out.
    n
        How many at most.
    where
        Which rows; all by default.

    Examples
    --------
    >>> rows = ibis.memtable({"id": ["c", "a", "b", None]})
    >>> list(rows.aggregate(first=smallest(rows.id, 2)).execute().loc[0, "first"])
    ['a', 'b']
    """
    return _min(text, n, where=where)


def keyed_hash(text: ir.StringValue, key: str) -> ir.StringValue:
    """HMAC-SHA256 of a text in hexadecimal, which only who has the key can make.

    Parameters
    ----------
    text
        What to hash; null gives null.
    key
        64 hexadecimal digits; they stand for themselves, as ASCII text.

    Raises
    ------
    CxError
        When the key is none.

    Examples
    --------
    >>> import hashlib, hmac
    >>> key = "0123456789abcdef" * 4
    >>> made = ibis.duckdb.connect().execute(keyed_hash(ibis.literal("ida@example.com"), key))
    >>> made == hmac.new(key.encode(), b"ida@example.com", hashlib.sha256).hexdigest()
    True
    """
    if len(key) != 64 or set(key) - set("0123456789abcdef"):
        raise CxError("the key for pseudonyms is not 64 hexadecimal digits; make a new one")
    # The block of SHA-256 is 64 bytes, as the key is, so HMAC pads nothing.
    inner, outer = (
        _unhex(ibis.literal(bytes(byte ^ pad for byte in key.encode()).hex()))
        for pad in (0x36, 0x5C)
    )
    return _sha256(_joined(outer, _unhex(_sha256(_joined(inner, _encode(text))))))


@contextmanager
def connect_scratch() -> Iterator[BaseBackend]:
    """Connection to an engine in memory that leaves nothing behind, whatever it spills to disk.

    Examples
    --------
    >>> with connect_scratch() as con:
    ...     con.list_tables()
    []
    """
    with TemporaryDirectory(prefix="cxlib-", ignore_cleanup_errors=True) as folder:
        con = ibis.duckdb.connect(":memory:", temp_directory=folder)
        con.raw_sql("SET enable_progress_bar = false")
        try:
            yield con
        finally:
            con.disconnect()


def link_engine(con: BaseBackend) -> object:
    """What Splink computes with, on the connection's own engine.

    Examples
    --------
    >>> type(link_engine(ibis.duckdb.connect())).__name__
    'DuckDBAPI'
    """
    from splink import DuckDBAPI

    return DuckDBAPI(con.con)
