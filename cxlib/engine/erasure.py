"""A person found in snapshots, and taken out so that no byte of theirs is left in the files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from cxlib.engine.store import Snapshot
from cxlib.errors import CxError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Person", "customers_among", "erase", "find_person", "search"]

_NEW = ".building-erased"
_PAIRS = (("source", "record_id"), ("left_source", "left_id"), ("right_source", "right_id"))
_FORGOTTEN = "forgotten"
_OWNERS = """
SELECT '' AS source, customer_id FROM customers WHERE customer_id = $1
UNION SELECT source, customer_id FROM identities
WHERE record_id = $1 OR source || ':' || record_id = $1
"""
_RECORDS = """
SELECT source, record_id FROM identities WHERE list_contains($1, customer_id)
UNION
SELECT source, unnest([substr(event_id, len(source) + 2),
    regexp_replace(substr(event_id, len(source) + 2), ':[0-9]+$', '')])
FROM events WHERE list_contains($1, customer_id)
"""
"""Records that name the customer, and those that gave the events, whose number may follow."""
_HOLDERS = """
SELECT DISTINCT customer_id FROM identities WHERE list_contains($1, source || ':' || record_id)
"""
_PRESENT = "SELECT customer_id FROM customers WHERE list_contains($1, customer_id)"
_ROW_NUMBER = re.compile(r"\d{4}-\d{9}(:\d+)?")
"""Stands for an id where a source has none: tomorrow it is somebody else's row."""


@dataclass(frozen=True)
class Person:
    """What a store knows a person by.

    Attributes
    ----------
    customers
        Ids of the customer, in any snapshot, and of the parties that it was made of.
    records
        Source and id of each of its records.

    Examples
    --------
    >>> sorted(Person(frozenset({"c1"}), frozenset({("crm", "17")})).names)
    ['17', 'c1']
    """

    customers: frozenset[str]
    records: frozenset[tuple[str, str]]

    @property
    def names(self) -> set[str]:
        """Every id, of whatever kind."""
        return {*self.customers, *(record for _, record in self.records)}


def find_person(snapshots: Iterable[Snapshot], name: str) -> Person | None:
    """Everything that snapshots know a person by; None where none knows them.

    Parameters
    ----------
    snapshots
        Where to look.
    name
        A ``customer_id`` of any of them, or the id of a record: ``"SOURCE:ID"``, or the id alone.

    Raises
    ------
    CxError
        When records of several sources have that id, and are not of one customer.

    Notes
    -----
    A person may have another ``customer_id`` in each snapshot: who holds one of their records there
    is the same person, unless the snapshot that knows the name has both: then a record went from
    one to the other, such as the visits of a computer that two people use.

    Examples
    --------
    >>> find_person([], "ada") is None
    True
    """
    snapshots = list(snapshots)
    owners = {(source, owner) for each in snapshots for source, owner in _rows(each, _OWNERS, name)}
    if ("", name) in owners:
        owners = {("", name)}
    customers = {owner for _, owner in owners}
    if len(customers) > 1 and len({source for source, _ in owners}) > 1:
        raise CxError(
            f"{name!r} is the id of {len(customers)} customers' records; give it as 'SOURCE:ID', "
            "or give the customer_id"
        )
    if not customers:
        return None
    found = {row for each in snapshots for row in _rows(each, _RECORDS, sorted(customers))}
    records = frozenset(pair for pair in found if not _ROW_NUMBER.fullmatch(pair[1]))
    listed = [f"{source}:{record}" for source, record in sorted(records)]
    holders = {owner for each in snapshots for (owner,) in _rows(each, _HOLDERS, listed)}
    knowing = [each for each in snapshots if _rows(each, _PRESENT, sorted(customers))]
    others = customers_among(knowing, holders - customers)
    return Person(frozenset(customers | (holders - others)), records)


def customers_among(snapshots: Iterable[Snapshot], names: Iterable[str]) -> set[str]:
    """Those of some names that any of the snapshots has as a customer.

    Examples
    --------
    >>> customers_among([], ["ada"])
    set()
    """
    listed = sorted(names)
    return {name for each in snapshots for (name,) in _rows(each, _PRESENT, listed)}


def _rows(snapshot: Snapshot, query: str, value: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(snapshot.data.as_posix(), read_only=True) as con:
        return con.execute(query, [value]).fetchall()


def erase(snapshot: Snapshot, person: Person) -> dict[str, int]:
    """Write a snapshot's data anew without a person; return how many rows of each table changed.

    Parameters
    ----------
    snapshot
        It keeps its name; who has its data open goes on reading the old file.
    person
        Whom to leave out.

    Notes
    -----
    The file is written anew twice: a database keeps the bytes of a deleted row until it needs
    their place. Rejected rows and examples that name the person stay as a count, without text.
    """
    draft, new = (snapshot.path / f"{_NEW}-{step}.duckdb" for step in (1, 2))
    for left in (draft, new):
        left.unlink(missing_ok=True)
    try:
        _copy(snapshot.data, draft)
        with duckdb.connect(draft.as_posix()) as con:
            changed = {name: _clean(con, name, person) for name in _tables(con)}
            counts: dict[str, int] = {
                name: _one(con, f'SELECT count(*) FROM "{name}"')
                for name in changed
                if name in ("events", "customers", "journeys")
            }
        _copy(draft, new)
        os.replace(new, snapshot.data)
    finally:
        for left in (draft, new):
            left.unlink(missing_ok=True)
            left.with_name(left.name + ".wal").unlink(missing_ok=True)
    _write_counts(snapshot, counts)
    return changed


def search(snapshot: Snapshot, person: Person) -> dict[str, int]:
    """Rows of each table that name a person in any column.

    Parameters
    ----------
    snapshot
        Where to look, in every table.
    person
        Whom to look for.
    """
    with duckdb.connect(snapshot.data.as_posix(), read_only=True) as con:
        return {name: _named(con, name, person) for name in _tables(con)}


def _copy(source: Path, target: Path) -> None:
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{_quoted(source)}' AS old (READ_ONLY)")
        con.execute(f"ATTACH '{_quoted(target)}' AS new")
        con.execute("COPY FROM DATABASE old TO new")


def _tables(con: DuckDBPyConnection) -> list[str]:
    return [row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]


def _columns(con: DuckDBPyConnection, name: str) -> dict[str, str]:
    rows = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [name]
    ).fetchall()
    return dict(rows)


def _clean(con: DuckDBPyConnection, name: str, person: Person) -> int:
    """Take the person's rows out of a table, and its ids out of texts."""
    columns = _columns(con, name)
    removed = 0
    if "customer_id" in columns:
        removed += _delete(con, name, "customer_id", person.customers)
    for source, record in _PAIRS:
        if {source, record} <= set(columns):
            for system, own in person.records:
                condition = f'"{source}" = ? AND "{record}" = ?'
                removed += _one(con, f'DELETE FROM "{name}" WHERE {condition}', [system, own])
    if name == "rejects":
        text = f"{_mentions('reason')} OR {_mentions('record')}"
        new = f"UPDATE rejects SET record = NULL, reason = '{_FORGOTTEN}' WHERE {text}"
        removed += _one(con, new, [_pattern(person.names)] * 2)
    elif name == "quality":
        new = f"UPDATE quality SET examples = '' WHERE {_mentions('examples')}"
        removed += _one(con, new, [_pattern(person.names)])
    return removed


def _delete(con: DuckDBPyConnection, name: str, column: str, values: Iterable[str]) -> int:
    return _one(con, f'DELETE FROM "{name}" WHERE list_contains(?, "{column}")', [sorted(values)])


def _named(con: DuckDBPyConnection, name: str, person: Person) -> int:
    """Rows that name the customer in any text, or one of its records where one may stand."""
    columns = _columns(con, name)
    texts = [column for column, kind in columns.items() if kind == "VARCHAR"]
    tests = [_mentions(column) for column in texts]
    values: list[Any] = [_pattern(person.customers)] * len(texts)
    for source, record in _PAIRS:
        if {source, record} <= set(columns):
            for system, own in person.records:
                tests.append(f'("{source}" = ? AND "{record}" = ?)')
                values += [system, own]
    if not tests:
        return 0
    return _one(con, f'SELECT count(*) FROM "{name}" WHERE {" OR ".join(tests)}', values)


def _mentions(column: str) -> str:
    return f"coalesce(regexp_matches(\"{column}\", ?, 'i'), false)"


def _pattern(names: Iterable[str]) -> str:
    """Names as whole words, so that 1 is not found in 12."""
    listed = "|".join(re.sub(r"([^\w\s])", r"\\\1", name) for name in sorted(names))
    return rf"(^|[^\w@.-])({listed})($|[^\w@-])"


def _one(con: DuckDBPyConnection, statement: str, values: list[Any] | None = None) -> int:
    row = con.execute(statement, values).fetchone()
    return int(row[0]) if row else 0


def _quoted(path: Path) -> str:
    return path.as_posix().replace("'", "''")


def _write_counts(snapshot: Snapshot, counts: dict[str, int]) -> None:
    path = snapshot.path / "meta.json"
    meta = dict(snapshot.meta)
    meta["counts"] = {**meta.get("counts", {}), **counts}
    # What was built from other rows is no ground to build on.
    meta.pop("recipe", None)
    new = path.with_name(f"{_NEW}-meta.json")
    new.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
    os.replace(new, path)
