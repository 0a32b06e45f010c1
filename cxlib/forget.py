"""Erasure: a person leaves every snapshot of a store, and no build brings them back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd

from cxlib.engine.erasure import Person, customers_among, erase, find_person, search
from cxlib.engine.locks import write_lock
from cxlib.engine.store import Snapshot, list_snapshots, open_store, remove_leftovers
from cxlib.errors import CxError
from cxlib.ingest.forgotten import remember_forgotten
from cxlib.ingest.inputs import remove_fetched
from cxlib.ingest.staging import parties_of

__all__ = ["Erasure", "forget_customer"]


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
        _remove_copies(workspace)
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
    """Everything that snapshots and staged rows know a person by."""
    person = find_person(snapshots, customer)
    if person is None:
        raise CxError(
            f"no snapshot of '{workspace}' knows a customer or record {customer!r}; give a "
            "customer_id, or SOURCE:ID of the table identities"
        )
    parties = parties_of(workspace / "store" / "staged", person.records) - person.customers
    # Rows that were read last may give a record to somebody else.
    own = parties - customers_among(snapshots, parties)
    return Person(person.customers | own, person.records)


def _remove_copies(workspace: Path) -> None:
    """Remove what builds keep beside the snapshots, and what dead builds left."""
    remove_leftovers(workspace, damaged=True)
    remove_fetched(workspace)
    store = workspace / "store"
    for kept in ("staged", "personal"):
        shutil.rmtree(store / kept, ignore_errors=True)
    left = [path for kept in ("staged", "personal") for path in (store / kept).glob("*")]
    left += [*store.glob("*/.building-*"), *store.glob(".fetched-*")]
    if left:
        raise CxError(
            f"{left[0].as_posix()!r} cannot be removed and may name the customer; remove it, then "
            "forget them again"
        )
