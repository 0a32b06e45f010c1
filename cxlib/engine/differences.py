"""What two snapshots of a workspace differ in: rows per table, and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from cxlib.engine.functions import connect_scratch
from cxlib.engine.store import Snapshot
from cxlib.engine.writing import row_count
from cxlib.tables import CONTRACTS

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = ["SnapshotDifference", "compare_snapshots"]

_NUMBERS = ("cx_customer",)
"""Numbers that tell rows apart and say nothing by themselves."""


@dataclass(frozen=True)
class SnapshotDifference:
    """What came, went and changed from one snapshot to another.

    Attributes
    ----------
    tables
        One row per table: ``table``, ``before`` and ``after`` int64 (rows), ``added``, ``removed``
        and ``changed`` int64, ``columns`` (those that came, with +, and went, with -). Where a
        table has no key, a changed row counts as one removed and one added.
    inputs
        One row per input that differs: ``source``, ``file``, ``change`` ("added", "removed" or
        "changed").

    Examples
    --------
    >>> nothing = pd.DataFrame({"added": [0], "removed": [0], "changed": [0], "columns": [""]})
    >>> SnapshotDifference(nothing, pd.DataFrame()).is_empty
    True
    """

    tables: pd.DataFrame
    inputs: pd.DataFrame

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same rows, made from the same inputs."""
        rows = self.tables[["added", "removed", "changed"]].to_numpy().sum()
        return not rows and not len(self.inputs) and not self.tables["columns"].any()


def compare_snapshots(before: Snapshot, after: Snapshot) -> SnapshotDifference:
    """Rows and inputs that differ between two snapshots.

    Parameters
    ----------
    before, after
        Snapshots of one workspace.

    Returns
    -------
    SnapshotDifference
        Counts only; no row leaves the engine.

    Notes
    -----
    Events, journeys and customers are held against each other by their ids, over every column but
    ``cx_customer``, whose numbers may be given anew; other tables by whole rows.
    """
    databases = []
    with connect_scratch() as con:
        for name, snapshot in (("before", before), ("after", after)):
            con.attach(snapshot.data, name=name, read_only=True)
            named = {table: con.table(table, database=name) for table in _names(con, name)}
            databases.append(named)
        old, new = databases
        rows = [_compare(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    columns = ["table", "before", "after", "added", "removed", "changed", "columns"]
    return SnapshotDifference(pd.DataFrame(rows, columns=columns), _inputs(before, after))


def _names(con: BaseBackend, database: str) -> list[str]:
    found = con.list_tables(database=(database, "main"))
    return [name for name in found if not name.startswith("cx_")]


def _compare(name: str, old: ir.Table | None, new: ir.Table | None) -> dict[str, Any]:
    before, after = _count(old), _count(new)
    found = {"table": name, "before": before, "after": after, "changed": 0, "columns": ""}
    if old is None or new is None:
        return {**found, "added": after, "removed": before}
    came, went = set(new.columns) - set(old.columns), set(old.columns) - set(new.columns)
    found["columns"] = " ".join(
        [*(f"+{c}" for c in sorted(came)), *(f"-{c}" for c in sorted(went))]
    )
    keys = [column for column, rule in CONTRACTS.get(name, {}).items() if rule.unique]
    shared = [column for column in old.columns if column in new.columns]
    shared = [column for column in shared if column not in _NUMBERS]
    old, new = _fingerprinted(old, shared, keys), _fingerprinted(new, shared, keys)
    return {**found, **(_by_key(old, new) if keys else _by_row(old, new))}


def _fingerprinted(table: ir.Table, columns: list[str], keys: list[str]) -> ir.Table:
    """A key and a hash of each row, and how many there are of it."""
    # As text: an ENUM hashes its number, which another list of names gives another meaning.
    texts = ibis.array([table[column].cast("string").fill_null("\\0") for column in columns])
    rows = table.select(key=table[keys[0]] if keys else ibis.literal(""), fingerprint=texts.hash())
    return rows.group_by("key", "fingerprint").aggregate(n=rows.count())


def _by_key(old: ir.Table, new: ir.Table) -> dict[str, int]:
    both = old.outer_join(new, "key")
    counts = both.aggregate(
        added=both.count(where=both.fingerprint.isnull()),
        removed=both.count(where=both.fingerprint_right.isnull()),
        changed=both.count(where=both.fingerprint != both.fingerprint_right),
    )
    return _whole(counts)


def _by_row(old: ir.Table, new: ir.Table) -> dict[str, int]:
    both = old.outer_join(new, ["key", "fingerprint"])
    before, after = both.n.fill_null(0), both.n_right.fill_null(0)
    counts = both.aggregate(
        added=ibis.greatest(after - before, 0).sum(), removed=ibis.greatest(before - after, 0).sum()
    )
    return _whole(counts)


def _whole(counts: ir.Table) -> dict[str, int]:
    row = counts.to_pyarrow().to_pylist()[0]
    return {name: int(value or 0) for name, value in row.items()}


def _count(table: ir.Table | None) -> int:
    return 0 if table is None else row_count(table)


def _inputs(before: Snapshot, after: Snapshot) -> pd.DataFrame:
    old, new = _named(before), _named(after)
    rows = []
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            change = "added" if key not in old else "removed" if key not in new else "changed"
            rows.append({"source": key[0], "file": key[1], "change": change})
    return pd.DataFrame(rows, columns=["source", "file", "change"])


def _named(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Content of each input by its name."""
    listed = snapshot.meta.get("inputs", [])
    return {(str(i["source"]), str(i.get("file", ""))): str(i.get("sha256")) for i in listed}
