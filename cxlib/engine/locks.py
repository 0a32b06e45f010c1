"""One writer at a time: the lock of a store, which a dead process does not hold."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from cxlib.errors import StoreUnavailableError
from cxlib.spans import parse_span

__all__ = ["write_lock"]

_LOCK, _WRITER = "LOCK", "WRITER"


@contextmanager
def write_lock(
    workspace: str | Path, *, doing: str = "builds", wait: str | timedelta = "10 seconds"
) -> Iterator[None]:
    """Sole right to write into the store of a workspace, for the length of the block.

    Parameters
    ----------
    workspace
        The folder that holds ``store/``; made where it is missing.
    doing
        What the block does, in one verb, to tell others who wait: "builds".
    wait
        How long to wait for another writer to end ("10 minutes").

    Raises
    ------
    StoreUnavailableError
        When another writer is still at it after that time, which the message names, or when the
        folder cannot be written.

    Notes
    -----
    The operating system holds the lock and gives it back when the process ends, however it ends.
    Within a block the same thread may take it again. Readers need no lock.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, write_lock(folder):
    ...     sorted(path.name for path in Path(folder, "store").iterdir())
    ['LOCK', 'WRITER']
    """
    store = Path(workspace) / "store"
    seconds = parse_span(wait).total_seconds()
    try:
        store.mkdir(parents=True, exist_ok=True)
        # One object a path, so that a block may stand within another.
        lock = FileLock(store / _LOCK, is_singleton=True, preserve_lock_file=True)
        outermost = not lock.is_locked
        lock.acquire(timeout=seconds, poll_interval=0.1)
    except Timeout as error:
        raise StoreUnavailableError(
            f"{_writer(store)} the store {store.as_posix()!r}; try again when it has ended"
        ) from error
    except OSError as error:
        raise StoreUnavailableError(
            f"the store {store.as_posix()!r} cannot be written: {error.strerror}; it is as it was"
        ) from error
    try:
        if outermost:
            (store / _WRITER).write_text(_sign(doing), encoding="utf-8")
        yield
    finally:
        lock.release()


def _sign(doing: str) -> str:
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return f"process {os.getpid()} on {socket.gethostname()} since {since} {doing}\n"


def _writer(store: Path) -> str:
    try:
        return (store / _WRITER).read_text(encoding="utf-8").strip() or "another process writes"
    except OSError:
        return "another process writes"
