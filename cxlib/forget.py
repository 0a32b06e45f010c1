"""Erasure: a person leaves every snapshot of a store, and no build brings them back."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd

from cxlib.engine.erasure import Person, erase, search
from cxlib.engine.locks import write_lock
from cxlib.engine.store import Snapshot, list_snapshots, open_store
from cxlib.errors import CxError
from cxlib.ingest.forgotten import remember_forgotten

__all__ = ["Erasure", "forget_customer"]


_RECORDS = """
SELECT source, record_id FROM identities WHERE list_contains($1, customer_id)
UNION
SELECT source, unnest([substr(event_id, len(source) + 2),
    regexp_replace(substr(event_id, len(source) + 2), ':[0-9]+$', '')])
FROM events WHERE list_contains($2, customer_id)
"""
"""Records that name the customer, and those that gave the events, whose number may follow."""
_ROW_NUMBER = re.compile(r"\d{4}-\d{9}(:\d+)?")
"""Stands for an id where a source has none: tomorrow it is somebody else's row."""


@dataclass(frozen=True)
class Erasure:
    """What was erased, and what a search finds now.

    Attributes
    ----------
    customer_ids
        Ids under which the person was stored.
    tables
        One row per snapshot and table: ``snapshot``, ``table``, ``rows_changed`` int64 (rows that
        were removed, or that lost their text), ``rows_found`` int64 (rows that still name them).
    """

    customer_ids: tuple[str, ...]
    tables: pd.DataFrame

    @property
    def is_complete(self) -> bool:
        """Whether no row of any table names the person."""
        return not self.tables["rows_found"].any()


def forget_customer(
    workspace: str | Path, customer: str, *, wait: str | timedelta = "10 minutes"
) -> Erasure:
    """Remove a person from every snapshot of a workspace, and from what builds keep beside them.

    Parameters
    ----------
    workspace
        The folder that holds ``store/``.
    customer
        Their ``customer_id``, or the id of one of their records: ``"SOURCE:ID"``, or the id alone
        where only one customer has it.
    wait
        How long to wait for a build to end.

    Returns
    -------
    Erasure
        With the result of a search over every text of every table of every snapshot.

    Raises
    ------
    CxError
        When nobody has that id, when several customers have it, or when the search still finds
        them.

    Notes
    -----
    Keyed hashes of their ids stay, so that the next build of the same exports leaves their rows
    out: these are counted among the rejected ones, without their text. From then on the text of
    unreadable lines is not kept either, since nobody can tell whose they are. The exports
    themselves, reports that were written and copies that others took are not touched.
    """
    workspace = Path(workspace)
    open_store(workspace)
    with write_lock(workspace, doing="forgets a customer in", wait=wait):
        snapshots = list_snapshots(workspace)
        person = _find(snapshots, customer, workspace)
        # First of all: whatever happens from here on, no build brings them back.
        remember_forgotten(workspace, person.customers, person.records)
        for kept in ("staged", "personal"):
            shutil.rmtree(workspace / "store" / kept, ignore_errors=True)
        rows = []
        for snapshot in snapshots:
            changed = erase(snapshot, person)
            found = search(snapshot, person)
            rows += [
                {
                    "snapshot": snapshot.id,
                    "table": name,
                    "rows_changed": n,
                    "rows_found": found[name],
                }
                for name, n in changed.items()
            ]
    done = Erasure(tuple(sorted(person.customers)), pd.DataFrame(rows))
    if not done.is_complete:
        left = done.tables[done.tables["rows_found"] > 0].iloc[0]
        raise CxError(
            f"{left['rows_found']:,} rows of the table {left['table']!r} in the snapshot "
            f"{left['snapshot']!r} still name the customer; remove that snapshot and build again"
        )
    return done


def _find(snapshots: list[Snapshot], customer: str, workspace: Path) -> Person:
    """Everything that the snapshots know a person by."""
    ids: set[str] = set()
    records: set[tuple[str, str]] = set()
    for snapshot in snapshots:
        with duckdb.connect(snapshot.data.as_posix(), read_only=True) as con:
            found = con.execute(
                "SELECT customer_id FROM customers WHERE customer_id = $1 UNION "
                "SELECT customer_id FROM identities WHERE record_id = $1 "
                "OR source || ':' || record_id = $1",
                [customer],
            ).fetchall()
            if len(found) > 1 and (customer,) not in found:
                raise CxError(
                    f"{customer!r} is the id of {len(found)} customers' records; give it as "
                    "'SOURCE:ID', or give the customer_id"
                )
            own = [customer] if (customer,) in found else [row[0] for row in found]
            ids.update(own)
            records.update(con.execute(_RECORDS, [own, own]).fetchall())
    if not ids:
        raise CxError(
            f"no snapshot of '{workspace}' knows a customer or record {customer!r}; give a "
            "customer_id, or SOURCE:ID of the table identities"
        )
    records = {pair for pair in records if not _ROW_NUMBER.fullmatch(pair[1])}
    return _with_parties(workspace / "store" / "staged", ids, records)


def _with_parties(staged: Path, ids: set[str], records: set[tuple[str, str]]) -> Person:
    """Add the names that a linked customer has in the staged rows."""
    parts = [path.as_posix() for path in staged.glob("*-*.parquet") if "texts" not in path.name]
    if parts and records:
        found = duckdb.execute(
            "SELECT DISTINCT cx_party FROM read_parquet($1, union_by_name = true) "
            "WHERE cx_party IS NOT NULL "
            "AND list_contains($2, cx_source || ':' || cx_record)",
            [parts, [f"{source}:{record}" for source, record in sorted(records)]],
        )
        ids = ids | {row[0] for row in found.fetchall()}
    return Person(frozenset(ids), frozenset(records))
