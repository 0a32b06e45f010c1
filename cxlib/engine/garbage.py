"""What a store need not keep: old snapshots that nobody reads."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cxlib.engine.locks import write_lock
from cxlib.engine.store import Snapshot, current_snapshot, list_snapshots
from cxlib.errors import CxError
from cxlib.spans import parse_span

__all__ = ["collect_garbage", "is_open"]


def collect_garbage(
    workspace: str | Path, *, keep: int = 3, younger_than: str | timedelta | None = None
) -> list[Snapshot]:
    """Snapshots that were removed from a store.

    Parameters
    ----------
    workspace
        The folder that holds ``store/``.
    keep
        How many of the newest stay. The current one stays whatever its age.
    younger_than
        Snapshots built within this time ("7 days") stay too, however many they are.

    Returns
    -------
    list of Snapshot
        The newest first; their files are gone.

    Raises
    ------
    CxError
        When ``keep`` is below 1, or another process writes into the store.

    Notes
    -----
    A snapshot that a reader on this machine has open stays. Where a reader cannot be seen (another
    machine, over a shared folder), give it time with ``younger_than``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     collect_garbage(folder)
    []
    """
    if keep < 1:
        raise CxError(f"keep={keep} would leave no snapshot; keep at least 1")
    since = None if younger_than is None else datetime.now(UTC) - parse_span(younger_than)
    with write_lock(workspace, doing="removes old snapshots from"):
        current = current_snapshot(workspace)
        removed = []
        for place, snapshot in enumerate(list_snapshots(workspace)):
            stays = place < keep or (current is not None and snapshot.id == current.id)
            stays = stays or (since is not None and snapshot.built_at >= since.isoformat())
            if not stays and not is_open(snapshot):
                _remove(snapshot)
                removed.append(snapshot)
    return removed


def is_open(snapshot: Snapshot) -> bool:
    """Whether a reader on this machine has the data of a snapshot open.

    Examples
    --------
    >>> is_open(Snapshot(Path("data/nowhere"), {}))
    False
    """
    import duckdb

    if not snapshot.data.is_file():
        return False
    try:
        # Readers share a lock on the file, and a writer needs it alone.
        duckdb.connect(snapshot.data.as_posix()).close()
    except (duckdb.IOException, duckdb.ConnectionException, duckdb.BinderException):
        return True
    return False


def _remove(snapshot: Snapshot) -> None:
    """Remove a snapshot so that none is ever half there: its folder goes out of sight first."""
    hidden = snapshot.path.with_name(f".building-gone-{snapshot.path.name}")
    snapshot.path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
