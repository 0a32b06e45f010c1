"""The store of a workspace: immutable snapshots, an atomic pointer to the current one, readers."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib.engine.locks import write_lock
from cxlib.engine.patch import copy_file
from cxlib.errors import CxError, StoreUnavailableError, unknown_name

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = [
    "Snapshot",
    "current_snapshot",
    "find_snapshot",
    "list_snapshots",
    "open_store",
    "point_to",
    "remove_leftovers",
    "write_snapshot",
]

_DATA = "data.duckdb"
_META = "meta.json"
_BUILDING, _POINTING = ".building-", ".current-"


@dataclass(frozen=True)
class Snapshot:
    """One state of a workspace's data, whole and never changed again.

    Parameters
    ----------
    path
        Its folder.
    meta
        What it was made from and by: ``snapshot_id``, ``name``, ``cxlib_version``, ``built_at``,
        ``observed_until`` (ISO, UTC), ``closes_after_seconds``, ``inputs``, ``counts``.

    Examples
    --------
    >>> Snapshot(Path("data/demo/store/snapshots/s1"), {"snapshot_id": "s1"}).id
    's1'
    """

    path: Path
    meta: dict[str, Any] = field(repr=False)

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            """Say what to do where a snapshot was given for a log."""
            hint = "" if name.startswith("_") else "; its log is cx.load_journeys(store)"
            raise AttributeError(f"a snapshot has no {name!r}{hint}")

    @property
    def id(self) -> str:
        """Name of the snapshot, made from its content."""
        return str(self.meta["snapshot_id"])

    @property
    def built_at(self) -> str:
        """When it was built: ISO 8601, UTC; empty where it does not say."""
        return str(self.meta.get("built_at", ""))

    @property
    def data(self) -> Path:
        """File that holds its tables."""
        return self.path / _DATA

    @property
    def size_bytes(self) -> int:
        """Space that its files take."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    @cached_property
    def con(self) -> BaseBackend:
        """Connection to its data, read-only; any number of readers may have one."""
        from cxlib.engine.connect import connect

        return connect(f"duckdb://{self.data}", read_only=True)

    def table(self, name: str) -> ir.Table:
        """Table of the snapshot.

        Parameters
        ----------
        name
            ``events``, ``journeys``, ``customers``, ``identities``, ``merges``, ``facts``,
            ``conflicts``, ``early_events``, ``sources``, ``rejects``, ``quality``, or one that
            ``sources.yml`` declares (``spells_NAME``).

        Returns
        -------
        ibis.expr.types.Table
            Lazy; ``.to_pandas()`` fetches it.

        Raises
        ------
        CxError
            When the snapshot has no such table.
        """
        known = [found for found in self.con.list_tables() if not found.startswith("cx_")]
        if name not in known:
            raise unknown_name("table", name, known, f"in the snapshot {self.id}")
        return self.con.table(name)


def open_store(workspace: str | Path | Snapshot) -> Snapshot:
    """Current snapshot of a workspace, to read.

    Parameters
    ----------
    workspace
        The folder that ``cxlib build`` was given; a snapshot is given back as it is.

    Returns
    -------
    Snapshot
        It stays readable and unchanged while newer ones are built.

    Raises
    ------
    CxError
        When nothing has been built there, or the snapshot is damaged.

    Examples
    --------
    >>> open_store("data/nowhere")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no store in 'data/nowhere'; run: cxlib build data/nowhere
    """
    if isinstance(workspace, Snapshot):
        return workspace
    snapshot = current_snapshot(workspace)
    if snapshot is None:
        where = Path(workspace).as_posix()
        raise CxError(f"there is no store in {where!r}; run: cxlib build {where}")
    return snapshot


def current_snapshot(workspace: str | Path) -> Snapshot | None:
    """Snapshot that the pointer of a workspace names, or None where nothing is built.

    Raises
    ------
    CxError
        When the snapshot is damaged or gone.

    Examples
    --------
    >>> current_snapshot("data/nowhere") is None
    True
    """
    store = Path(workspace) / "store"
    try:
        name = (store / "CURRENT").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    found = _read(store / "snapshots" / name)
    if found is None:
        raise CxError(
            f"the snapshot {name!r} is damaged or gone; build it anew: "
            f"cxlib build {Path(workspace).as_posix()}"
        )
    return found


@contextmanager
def write_snapshot(
    workspace: str | Path,
    snapshot_id: str,
    meta: dict[str, Any],
    *,
    start_from: Snapshot | None = None,
) -> Iterator[BaseBackend]:
    """Connection to a new snapshot's file; leaving the block makes it the current one.

    Parameters
    ----------
    workspace
        The folder that holds ``store/``; made where it is missing.
    snapshot_id
        Name made from the content: the same inputs give the same name.
    meta
        What to keep beside the data. The block may add to it.
    start_from
        Snapshot whose tables the file holds at first; none where it is not given.

    Yields
    ------
    ibis.backends.BaseBackend
        To create tables in.

    Raises
    ------
    StoreUnavailableError
        When another writer is at it, or the disk does not take it.

    Notes
    -----
    The data are written into a folder of their own, which is renamed when it is whole, and only
    then does the pointer move, by an atomic replacement. An error or a kill leaves the store as it
    was. The block holds the store's lock (``write_lock``), so what another build left unfinished
    is of a dead one, and is removed first.

    Examples
    --------
    >>> import ibis
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_snapshot(folder, "s1", {"name": "two rows"}) as con:
    ...         _ = con.create_table("numbers", ibis.memtable({"n": [1, 2]}))
    ...     store = open_store(folder)
    ...     print(store.id, store.table("numbers").n.sum().execute())
    ...     store.con.disconnect()
    s1 3
    """
    from cxlib.engine.connect import connect, limit_memory

    snapshots = Path(workspace) / "store" / "snapshots"
    if "?" in snapshots.as_posix():
        raise CxError(f"a store cannot stand in {snapshots.parent.as_posix()!r}: rename the '?'")
    with write_lock(workspace), _say_what_cannot_be_written(workspace):
        snapshots.mkdir(parents=True, exist_ok=True)
        remove_leftovers(workspace)
        building = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=snapshots))
        try:
            if start_from is not None:
                copy_file(start_from.data, building / _DATA)
            con = connect(f"duckdb://{building / _DATA}")
            try:
                limit_memory(con)
                # What is left in DuckDB's log is written through by the CHECKPOINT below, which
                # says what went wrong, and not at all where the build fails.
                con.raw_sql("PRAGMA disable_checkpoint_on_shutdown")
                # Each checkpoint would write up to a hundred row groups anew to merge small ones,
                # whatever changed (docs/adr/0016).
                con.raw_sql("SET max_vacuum_tasks = 0")
                yield con
                con.raw_sql("CHECKPOINT")
            finally:
                con.disconnect()
            _remove_empty_log(building / f"{_DATA}.wal")
            whole = {"snapshot_id": snapshot_id, **meta}
            _write_through(building / _META, json.dumps(whole, indent=2) + "\n")
            _put_in_place(building, snapshots / snapshot_id)
            point_to(workspace, snapshot_id)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def point_to(workspace: str | Path, snapshot_id: str) -> None:
    """Make a snapshot that exists the current one, atomically.

    Examples
    --------
    >>> point_to("data/nowhere", "s1")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no snapshot 's1' in 'data/nowhere'; build the store first
    """
    store = Path(workspace) / "store"
    if not (store / "snapshots" / snapshot_id / _META).is_file():
        where = Path(workspace).as_posix()
        raise CxError(f"there is no snapshot {snapshot_id!r} in {where!r}; build the store first")
    current = store / "CURRENT"
    if current.is_file() and current.read_text(encoding="utf-8").strip() == snapshot_id:
        return
    with write_lock(workspace), _say_what_cannot_be_written(workspace):
        new = store / f"{_POINTING}{os.getpid()}"
        _write_through(new, snapshot_id + "\n")
        os.replace(new, current)


def find_snapshot(workspace: str | Path, snapshot_id: str) -> Snapshot | None:
    """Snapshot by its name, or None where it has not been built or is damaged.

    Examples
    --------
    >>> find_snapshot("data/nowhere", "s1") is None
    True
    """
    return _read(Path(workspace) / "store" / "snapshots" / snapshot_id)


def list_snapshots(workspace: str | Path) -> list[Snapshot]:
    """Every snapshot of a workspace that is whole, the newest first.

    Examples
    --------
    >>> list_snapshots("data/nowhere")
    []
    """
    folders = (Path(workspace) / "store" / "snapshots").glob("[!.]*")
    whole = [found for found in map(_read, folders) if found is not None]
    return sorted(whole, key=lambda found: (found.built_at, found.id), reverse=True)


def remove_leftovers(workspace: str | Path, *, damaged: bool = False) -> None:
    """Remove what killed writers left; who calls holds the lock, so no writer is alive.

    Parameters
    ----------
    workspace
        The folder that holds ``store/``.
    damaged
        Whether damaged snapshots go too.

    Examples
    --------
    >>> remove_leftovers("data/nowhere")
    """
    store = Path(workspace) / "store"
    for folder in (store / "snapshots").glob("*"):
        if folder.name.startswith(_BUILDING) or (damaged and _read(folder) is None):
            shutil.rmtree(folder, ignore_errors=True)
    for file in store.glob(f"{_POINTING}*"):
        file.unlink(missing_ok=True)


@contextmanager
def _say_what_cannot_be_written(workspace: str | Path) -> Iterator[None]:
    import duckdb

    full = (duckdb.IOException, duckdb.TransactionException, duckdb.OutOfMemoryException)
    try:
        yield
    except (OSError, *full) as error:
        if isinstance(error, ConnectionError | TimeoutError):
            raise  # of what the block asks, over a network
        why = getattr(error, "strerror", None) or str(error).splitlines()[0].rsplit(": ", 1)[-1]
        where = (Path(workspace) / "store").as_posix()
        raise StoreUnavailableError(
            f"the store {where!r} cannot be written: {why}; it is as it was"
        ) from error


def _read(folder: Path) -> Snapshot | None:
    """The snapshot of a folder; None where it is not there or not whole."""
    try:
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    whole = isinstance(meta, dict) and (folder / _DATA).is_file()
    return Snapshot(folder, meta) if whole else None


def _write_through(path: Path, text: str) -> None:
    """Write a small file down to the disk: its name must not move before its content is there."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _remove_empty_log(path: Path) -> None:
    """Remove DuckDB's log of changes: readers and copies take the data alone."""
    if path.exists() and path.stat().st_size:
        raise OSError(errno.EIO, "its last changes were not written through")
    path.unlink(missing_ok=True)


def _put_in_place(building: Path, final: Path) -> None:
    if _read(final) is not None:
        return  # the same content, under the same name
    if final.exists():
        final.rename(final.with_name(f"{_BUILDING}damaged-{final.name}"))
    building.rename(final)
