"""A store kept fresh: exports are looked at again and again, and built when they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cxlib.build import DECISIONS, BuildResult, build_store
from cxlib.errors import CxError, StoreUnavailableError
from cxlib.ingest.texts import Scorer
from cxlib.spans import parse_span

__all__ = ["watch_store"]

_SHORTEST = timedelta(milliseconds=100)


def watch_store(
    workspace: str | Path,
    *,
    every: str | timedelta = "30 seconds",
    sources: str | Path | None = None,
    exports: str | Path | None = None,
    text_scorer: Scorer | None = None,
    wait: str | timedelta = "10 seconds",
    say: Callable[[str], object] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Build the store of a workspace now and whenever its exports change, until stopped.

    Parameters
    ----------
    workspace, sources, exports, text_scorer, wait
        As for ``build_store``.
    every
        How long to wait between two looks ("30 seconds").
    say
        What is called with one line for each change, and for each new mistake in the exports
        (``print``); by default nothing is said.
    stop
        Event that ends the watch; without it only an interrupt does.

    Raises
    ------
    CxError
        When ``every`` is shorter than a tenth of a second.

    Notes
    -----
    Exports that cannot be built leave the store as it was; they are tried again when they change.
    Whatever else goes wrong (another process builds, the disk is full) is tried again at each look.
    Files are compared by size and time, and read only where these differ; a database is asked anew
    each time.

    Examples
    --------
    >>> done = threading.Event()
    >>> done.set()
    >>> watch_store("data/nowhere", stop=done)
    """
    pause = parse_span(every)
    if pause < _SHORTEST:
        raise CxError(f"the span {every!r} is too short to watch in; give '1 second' or more")
    stop = threading.Event() if stop is None else stop
    workspace = Path(workspace)
    description = Path(sources) if sources is not None else workspace / "sources.yml"
    folder = Path(exports) if exports is not None else workspace / "exports"
    seen, last = None, ""
    while not stop.is_set():
        looked = _look([description, workspace / DECISIONS], folder)
        if looked != seen or _asks_databases(description):
            began = time.perf_counter()
            try:
                result = build_store(
                    workspace, sources=sources, exports=exports, text_scorer=text_scorer, wait=wait
                )
                line = _changed(result, time.perf_counter() - began)
                said, seen = result.snapshot.id, looked
            except (CxError, OSError) as error:
                said = line = f"the store stays as it was: {' '.join(str(error).split())}"
                of_exports = isinstance(error, CxError)
                of_exports = of_exports and not isinstance(error, StoreUnavailableError)
                seen = looked if of_exports else None
            if say is not None and said != last:
                say(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {line}")
            last = said
        stop.wait(pause.total_seconds())


def _look(described: list[Path], folder: Path) -> list[tuple[str, int, int]]:
    """Size and time of every file that a build may read."""
    found = []
    for path in [*described, *sorted(folder.rglob("*"))]:
        try:
            stat = path.stat()
        except OSError:
            continue  # it went between the two calls, or cannot be read: the build will say so
        found.append((path.as_posix(), stat.st_size, stat.st_mtime_ns))
    return found


def _asks_databases(description: Path) -> bool:
    try:
        return "database:" in description.read_text(encoding="utf-8")
    except OSError:
        return False


def _changed(result: BuildResult, seconds: float) -> str:
    meta, counts = result.snapshot.meta, result.counts
    how = "nothing to do" if result.reused else f"{meta['built']} build in {seconds:.1f} s"
    return (
        f"{meta['name']}: {counts['events']:,} events of {counts['customers']:,} customers, "
        f"{counts['rows_rejected']:,} rows rejected, snapshot {result.snapshot.id} ({how})"
    )
