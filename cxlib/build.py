"""The pipeline: exports -> customers and events -> prepared log -> snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

import cxlib
from cxlib.engine.locks import write_lock
from cxlib.engine.patch import drop_tables
from cxlib.engine.store import (
    Snapshot,
    current_snapshot,
    find_snapshot,
    point_to,
    write_snapshot,
)
from cxlib.errors import CxError
from cxlib.event_log import PreviousLog, write_events
from cxlib.increments import can_update
from cxlib.ingest.accounts import count_rows, store_accounts
from cxlib.ingest.changes import columns_of, warn_of_changes
from cxlib.ingest.claims import check_personal
from cxlib.ingest.config import Sources, load_sources
from cxlib.ingest.customers import OF_CUSTOMERS, store_customers
from cxlib.ingest.delta import delta_of, stamps_of
from cxlib.ingest.forgotten import load_forgotten
from cxlib.ingest.hiding import hide_values
from cxlib.ingest.identity import assign_customers, resolve_identities
from cxlib.ingest.inputs import Input, hash_file, open_inputs
from cxlib.ingest.keys import load_key, mark_of
from cxlib.ingest.linking.manual import Decisions, load_decisions
from cxlib.ingest.records import note_references
from cxlib.ingest.sources import StagedSource, stage_source
from cxlib.ingest.staging import StagedFiles
from cxlib.ingest.texts import Scorer
from cxlib.journeys.log import Journeys
from cxlib.log_writer import FINGERPRINTS, LOG
from cxlib.models.outcomes.stored import store_declared
from cxlib.recipes import digest, recipe_of

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["DECISIONS", "BuildResult", "build_store"]

DECISIONS = "identities.yml"
"""File of a workspace in which people decide who is who."""
_FULL = "-full"


@dataclass(frozen=True)
class BuildResult:
    """What a build made.

    Attributes
    ----------
    snapshot
        The snapshot, now the current one of its workspace.
    reused
        Whether it stood there already, because nothing had changed.

    Examples
    --------
    >>> counts = {"rows_read": 3, "rows_stored": 2, "rows_rejected": 1, "events": 2,
    ...           "customers": 1, "journeys": 1}
    >>> meta = {"snapshot_id": "s1", "name": "shop", "observed_until": "2024-07-01T00:00:00",
    ...         "counts": counts}
    >>> print(BuildResult(Snapshot(Path("s1"), meta), reused=False).summary())
    shop: snapshot s1, observed until 2024-07-01 00:00 UTC
      rows in exports  3 = 2 stored + 1 rejected
      events           2
      customers        1
      journeys         1
    """

    snapshot: Snapshot
    reused: bool

    @property
    def counts(self) -> dict[str, int]:
        """Rows read, stored and rejected; events, customers and journeys."""
        return dict(self.snapshot.meta["counts"])

    def summary(self) -> str:
        """Counts in a few lines of text."""
        meta, counts = self.snapshot.meta, self.counts
        until = str(meta["observed_until"])[:16].replace("T", " ")
        again = " (nothing changed: reused)" if self.reused else ""
        rows = (
            f"{counts['rows_read']:,} = {counts['rows_stored']:,} stored"
            f" + {counts['rows_rejected']:,} rejected"
        )
        return "\n".join(
            [
                f"{meta['name']}: snapshot {self.snapshot.id}, observed until {until} UTC{again}",
                f"  rows in exports  {rows}",
                f"  events           {counts['events']:,}",
                f"  customers        {counts['customers']:,}",
                f"  journeys         {counts['journeys']:,}",
            ]
        )


def build_store(
    workspace: str | Path,
    *,
    sources: str | Path | None = None,
    exports: str | Path | None = None,
    text_scorer: Scorer | None = None,
    full: bool = False,
    wait: str | timedelta = "10 seconds",
    progress: bool = False,
) -> BuildResult:
    """Store of a workspace, built from its exports.

    Parameters
    ----------
    workspace
        Folder for the store; made where it is missing.
    sources
        The file that says what each export holds; default ``WORKSPACE/sources.yml``.
    exports
        Folder of the exports; default ``WORKSPACE/exports``.
    text_scorer
        What reads the texts that ``sources.yml`` names: ``Series[str] -> Series[float]`` from -1
        to 1, missing where it cannot tell. VADER by default, for English; others stay unread.
    full
        Read every export again and prepare every customer. By default an export that has not
        changed is not read again, and only customers of whom something else is said now are
        prepared again; the tables are the same.
    wait
        How long to wait for another build of this workspace to end.
    progress
        Whether to show a progress bar.

    Returns
    -------
    BuildResult
        The same exports, description and version of cxlib give the same snapshot, which is reused.

    Raises
    ------
    CxError
        When ``sources.yml`` or ``identities.yml`` is wrong, when no export gives a single event,
        or when an event lies after the declared ``observed_until``. The store is then as it was.
    StoreUnavailableError
        When another process builds this workspace, or the disk does not take the store.

    Notes
    -----
    Every row of every export is stored or rejected: ``rejects`` holds the unusable ones with their
    reasons, ``sources`` the counts per file, ``quality`` where the exports contradict themselves.
    Without a declared ``observed_until`` the latest event is the cut-off.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     (Path(folder) / "exports").mkdir()
    ...     _ = Path(folder, "exports", "orders.csv").write_text(
    ...         "account,at\\na,2024-01-01\\n,x\\n"
    ...     )
    ...     _ = Path(folder, "sources.yml").write_text('''
    ... name: shop
    ... sources:
    ...   orders:
    ...     file: orders.csv
    ...     customer: {key: account}
    ...     events: [{touchpoint: placed_order, time: at}]
    ... ''')
    ...     result = build_store(folder)
    >>> result.counts["rows_stored"], result.counts["rows_rejected"]
    (1, 1)
    """
    workspace = Path(workspace)
    description = Path(sources) if sources is not None else workspace / "sources.yml"
    folder = Path(exports) if exports is not None else workspace / "exports"
    config = load_sources(description, exports=folder)
    if not folder.is_dir() and any(rule.file for rule in config.sources.values()):
        raise CxError(f"there is no folder {folder.as_posix()!r}; put the exports there")
    with write_lock(workspace, wait=wait), open_inputs(config, folder, workspace) as inputs:
        return _build(workspace, description, config, inputs, text_scorer, progress, full)


def _build(
    workspace: Path,
    description: Path,
    config: Sources,
    inputs: list[Input],
    text_scorer: Scorer | None,
    progress: bool,
    full: bool,
) -> BuildResult:
    forgotten = load_forgotten(workspace)
    current = _current_unless_damaged(workspace)
    made_with = None if current is None else current.meta.get("key")
    key = load_key(workspace, made_with=made_with) if config.hides else None
    config = hide_values(config, key)
    recipe = recipe_of(description, text_scorer, forgotten, key)
    decisions = workspace / DECISIONS
    decided = load_decisions(decisions, config.sources)
    ruled = [hash_file(decisions)] if decisions.is_file() else []
    snapshot_id = digest([recipe, [item.as_meta() for item in inputs], *ruled])
    if full:
        snapshot_id = _free_name(workspace, snapshot_id)
    elif found := _built_already(workspace, snapshot_id, current):
        point_to(workspace, found.id)
        return BuildResult(found, reused=True)
    kept = StagedFiles(workspace / "store" / "staged", recipe, full, forgotten, key)
    updates = not full and current is not None and can_update(current.meta, recipe)
    start = current if updates else None
    meta: dict[str, Any] = {"name": config.name, "cxlib_version": cxlib.__version__}
    meta |= {"recipe": recipe, "key": None if key is None else mark_of(key)}
    columns_before = {} if current is None else dict(current.meta.get("columns", {}))
    with write_snapshot(workspace, snapshot_id, meta, start_from=start) as con:
        before = None if start is None else start.meta
        meta |= _fill(con, config, decided, inputs, text_scorer, progress, kept, before)
        warn_of_changes(columns_before, meta["columns"], config)
        meta["built_at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    kept.remove_unused()
    built = find_snapshot(workspace, snapshot_id)
    if built is None:
        raise CxError(f"the snapshot {snapshot_id!r} vanished while it was built; build again")
    return BuildResult(built, reused=False)


def _current_unless_damaged(workspace: Path) -> Snapshot | None:
    try:
        return current_snapshot(workspace)
    except CxError:
        return None  # this build takes its place


def _free_name(workspace: Path, name: str) -> str:
    """Name of a snapshot that is built although one of the same content stands there."""
    names = chain([name, f"{name}{_FULL}"], (f"{name}{_FULL}{n}" for n in count(2)))
    return next(free for free in names if find_snapshot(workspace, free) is None)


def _built_already(workspace: Path, name: str, current: Snapshot | None) -> Snapshot | None:
    """A snapshot of that content: the current one where it is one of them."""
    if current is not None and current.id.split(_FULL)[0] == name:
        return current
    return find_snapshot(workspace, name)


def _fill(
    con: BaseBackend,
    config: Sources,
    decided: Decisions,
    inputs: list[Input],
    text_scorer: Scorer | None,
    progress: bool,
    kept: StagedFiles,
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write every table of a snapshot; return what its meta data say of it."""
    staged: dict[str, StagedSource] = {}
    with tqdm(total=len(config.sources) + 4, disable=not progress, unit="step") as bar:
        for name in config.in_order():
            bar.set_description(f"read {name}")
            own = [item for item in inputs if item.source == name]
            staged[name] = stage_source(con, config, name, own, staged, kept)
            bar.update()
        staged = {name: staged[name] for name in config.sources}
        check_personal(config, staged)
        bar.set_description("find who is who")
        staged = note_references(con, staged)
        who = resolve_identities(staged, con=con, config=config, decided=decided, key=kept.key)
        staged = assign_customers(con, staged, who.customers)
        bar.update()
        bar.set_description("order events")
        stamps = stamps_of(staged, kept, linked=who.customers is not None)
        delta = None
        if before is not None:
            delta = delta_of(con, config, staged, kept, before["files"], stamps)
        previous = None if before is None else PreviousLog(before, delta)
        written = write_events(
            con, config, staged, kept, text_scorer=text_scorer, previous=previous
        )
        if written.how["looked_at"] is None:
            delta = None  # anyone may have been touched
        drop_tables(con, keep=[*LOG, *(OF_CUSTOMERS if delta is not None else ())])
        bar.update()
        silence = config.journeys.silence
        begin, cut_off = written.observed_from, written.observed_until
        log = Journeys(
            con.table("events"), con.table("journeys"), cut_off, silence, begin, config.timezone
        )
        spells_of = store_declared(con, config, log)
        bar.set_description("gather customers")
        findings = written.findings + store_customers(
            con, config, staged, who, con.table(FINGERPRINTS), delta
        )
        bar.update()
        bar.set_description("check quality")
        store_accounts(con, config, staged, kept, findings)
        bar.update()
    return {
        "observed_from": None if begin is None else begin.isoformat(),
        "observed_until": cut_off.isoformat(),
        "timezone": config.timezone,
        "closes_after_seconds": None if silence is None else silence.total_seconds(),
        "inputs": [item.as_meta() for item in inputs],
        "spells": spells_of,
        "columns": columns_of(staged),
        "files": stamps,
        "counts": count_rows(con),
        "single_view": config.single_view(),
        **written.how,
    }
