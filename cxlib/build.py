"""The pipeline: exports -> customers and events -> prepared log -> snapshot."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
from tqdm.auto import tqdm

import cxlib
from cxlib.engine.connect import create_named_table
from cxlib.engine.store import Snapshot, find_snapshot, point_to, write_snapshot
from cxlib.errors import CxError, unknown_name
from cxlib.ingest.config import Sources, load_sources
from cxlib.ingest.customers import store_customers
from cxlib.ingest.events import events_of
from cxlib.ingest.identity import assign_customers, resolve_identities
from cxlib.ingest.inputs import Input, hash_file, open_inputs
from cxlib.ingest.money import currency_findings
from cxlib.ingest.quality import COLUMNS, quality
from cxlib.ingest.sentiment import add_text_sentiment
from cxlib.ingest.sources import StagedSource, stage_source
from cxlib.ingest.texts import Scorer
from cxlib.journeys.log import Journeys
from cxlib.journeys.prepare import count_ahead, journey_table, prepare_events
from cxlib.models.outcomes.stored import store_declared
from cxlib.tables import END, OPEN, check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["BuildResult", "build_store"]


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
    shop: snapshot s1, observed until 2024-07-01 00:00
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
                f"{meta['name']}: snapshot {self.snapshot.id}, observed until {until}{again}",
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
    progress
        Whether to show a progress bar.

    Returns
    -------
    BuildResult
        The same exports, description and version of cxlib give the same snapshot, which is reused.

    Raises
    ------
    CxError
        When ``sources.yml`` is wrong, when no export gives a single event, or when an event lies
        after the declared ``observed_until``. The store is then as it was.

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
    with open_inputs(config, folder, workspace) as inputs:
        return _build(workspace, description, config, inputs, text_scorer, progress)


def _build(
    workspace: Path,
    description: Path,
    config: Sources,
    inputs: list[Input],
    text_scorer: Scorer | None,
    progress: bool,
) -> BuildResult:
    snapshot_id = _fingerprint(description, inputs, text_scorer)
    found = find_snapshot(workspace, snapshot_id)
    if found is not None:
        point_to(workspace, snapshot_id)
        return BuildResult(found, reused=True)
    meta: dict[str, Any] = {"name": config.name, "cxlib_version": cxlib.__version__}
    with write_snapshot(workspace, snapshot_id, meta) as con:
        meta |= _fill(con, config, inputs, text_scorer, progress)
        meta["built_at"] = datetime.now(UTC).replace(microsecond=0).isoformat()
    built = find_snapshot(workspace, snapshot_id)
    if built is None:
        raise CxError(f"the snapshot {snapshot_id!r} vanished while it was built; build again")
    return BuildResult(built, reused=False)


def _fingerprint(description: Path, inputs: list[Input], text_scorer: Scorer | None) -> str:
    package = Path(cxlib.__file__).parent
    code = [
        package / "tables.py",
        package / "build.py",
        *sorted((package / "engine").rglob("*.py")),
        *sorted((package / "ingest").rglob("*.py")),
        *sorted((package / "ingest" / "presets").glob("*.yml")),
        package / "journeys" / "prepare.py",
        *sorted((package / "models" / "outcomes").glob("*.py")),
    ]
    content = {
        "version": cxlib.__version__,
        # The version alone would call a store current that other code built.
        "code": [hash_file(path) for path in code],
        "sources": hash_file(description),
        "inputs": [item.as_meta() for item in inputs],
        "text_scorer": _named(text_scorer),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _named(text_scorer: Scorer | None) -> str:
    """What tells one scorer of texts from another: its name and, where it can be read, its code."""
    if text_scorer is None:
        return "vader"
    name = f"{text_scorer.__module__}.{getattr(text_scorer, '__qualname__', type(text_scorer))}"
    try:
        code = inspect.getsource(text_scorer)
    except (OSError, TypeError):
        code = ""
    return f"{name} {hashlib.sha256(code.encode()).hexdigest()}"


def _fill(
    con: BaseBackend,
    config: Sources,
    inputs: list[Input],
    text_scorer: Scorer | None,
    progress: bool,
) -> dict[str, Any]:
    """Write every table of a snapshot; return what its meta data say of it."""
    staged: dict[str, StagedSource] = {}
    with tqdm(total=len(config.sources) + 4, disable=not progress, unit="step") as bar:
        for name in config.in_order():
            bar.set_description(f"read {name}")
            own = [item for item in inputs if item.source == name]
            staged[name] = stage_source(con, config, name, own, staged)
            bar.update()
        staged = {name: staged[name] for name in config.sources}
        _check_personal(config, staged)
        bar.set_description("find who is who")
        who = resolve_identities(staged)
        staged = assign_customers(staged, who.customers)
        bar.update()
        bar.set_description("order events")
        begin, cut_off, findings = _write_events(con, config, staged, text_scorer)
        bar.update()
        silence = config.journeys.silence
        log = Journeys(con.table("events"), con.table("journeys"), cut_off, silence, begin)
        spells_of = store_declared(con, config.spells, log)
        bar.set_description("gather customers")
        findings += store_customers(con, config, staged.values(), who)
        bar.update()
        bar.set_description("check quality")
        _write_accounts(con, config, staged, findings)
        bar.update()
    return {
        "observed_from": None if begin is None else begin.isoformat(),
        "observed_until": cut_off.isoformat(),
        "closes_after_seconds": None if silence is None else silence.total_seconds(),
        "inputs": [item.as_meta() for item in inputs],
        "spells": spells_of,
        "counts": _counts(con),
        "single_view": config.single_view(),
    }


def _check_personal(config: Sources, staged: Mapping[str, StagedSource]) -> None:
    """Refuse a personal column that no export has: a misspelt one would be stored as it is."""
    if any(item.judged is None for item in staged.values()):
        return  # it may be a column of the export that cannot be read
    known = [column for item in staged.values() for column in item.columns]
    found = {column.casefold() for column in known}
    for name in config.personal:
        if name.casefold() not in found:
            raise unknown_name("column", name, known, "that is personal in any export")


def _write_events(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    text_scorer: Scorer | None,
) -> tuple[datetime | None, datetime, list[dict[str, Any]]]:
    """Write the log; return from when and until when it was observed, and findings on its texts."""
    rules = [rule for source in config.sources.values() for rule in source.events]
    extras = dict.fromkeys(column for rule in rules for column in rule.columns)
    tables = [table for item in staged.values() for table in events_of(item, extras)]
    if not tables:
        raise CxError("no export can be read, so there is nothing to store; " + _why(staged))
    raw = con.create_table("cx_events", reduce(ir.Table.union, tables), temp=True)
    latest = raw.occurred_at.max().to_pyarrow().as_py()
    if latest is None:
        raise CxError("no export gives a single event; " + _why(staged))
    begin, declared = config.window()
    cut_off = declared or latest
    if latest > cut_off:
        raise CxError(
            f"an event of {latest} lies after observed_until, {cut_off}; "
            "set a later one in sources.yml, or leave it out"
        )
    if begin is not None and begin >= cut_off:
        raise CxError(
            f"observed_from, {begin}, is not before the end of the data, {cut_off}; "
            "set an earlier one in sources.yml"
        )
    scored, findings = add_text_sentiment(
        con, raw, scorer=text_scorer, calibrate=config.text.calibrate
    )
    findings += currency_findings(raw)
    prepared = prepare_events(
        scored,
        observed_until=cut_off,
        closes_after=config.journeys.silence,
        start=config.journeys.start,
        end=config.journeys.end,
        split_after=config.journeys.split_after,
    )
    ordered = count_ahead(prepared).order_by("customer_id", "occurred_at", "event_id")
    found = raw.select("touchpoint").distinct().to_pyarrow()["touchpoint"].to_pylist()
    names = [*found, END, OPEN]
    named = ["touchpoint", "next_touchpoint"]
    events = create_named_table(con, "events", ordered, named, names)
    check_contract(events, "events")
    check_contract(events, "counted_events")
    journeys = journey_table(events).order_by("customer_id", "started_at", "journey_id")
    stored = create_named_table(con, "journeys", journeys, ["path"], names)
    check_contract(stored, "journeys")
    return begin, cut_off, findings


def _write_accounts(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    findings: list[dict[str, Any]],
) -> None:
    """Write what became of every row: rejects, quality, and the counts per source."""
    rejects = reduce(ir.Table.union, [table for item in staged.values() for table in item.rejects])
    con.create_table(
        "rejects", rejects.order_by("source", "file", "row_number", "reason", "record")
    )
    con.create_table("quality", ibis.memtable(quality(config, staged, findings), schema=COLUMNS))
    con.create_table("sources", _source_counts(con, staged))


def _source_counts(con: BaseBackend, staged: Mapping[str, StagedSource]) -> ir.Table:
    rejected = con.table("rejects").group_by("source").aggregate(rows=lambda t: t.rows.sum())
    lost = dict(rejected.to_pandas().itertuples(index=False))
    stored = con.table("events").group_by("source").aggregate(events=lambda t: t.count())
    events = dict(stored.to_pandas().itertuples(index=False))
    rows = []
    for name, item in staged.items():
        if item.rule.optional and not item.files:
            continue
        read = sum(int(str(file["rows_read"])) for file in item.files)
        rows.append(
            {
                "source": name,
                "files": len(item.files),
                "rows_read": read,
                "rows_stored": read - int(lost.get(name, 0)),
                "rows_rejected": int(lost.get(name, 0)),
                "events": int(events.get(name, 0)),
            }
        )
    return ibis.memtable(rows)


def _counts(con: BaseBackend) -> dict[str, int]:
    sources = con.table("sources")
    totals = {name: sources[name].sum() for name in ("rows_read", "rows_stored", "rows_rejected")}
    counts = sources.aggregate(**totals).to_pyarrow().to_pylist()[0]
    for name in ("events", "customers", "journeys"):
        counts[name] = con.table(name).count().to_pyarrow().as_py()
    return {name: int(value) for name, value in counts.items()}


def _why(staged: Mapping[str, StagedSource]) -> str:
    """Most frequent reason, for the error message."""
    tables = [table for item in staged.values() for table in item.rejects]
    read = sum(int(str(file["rows_read"])) for item in staged.values() for file in item.files)
    nothing = "no row meets its rules" if read else "the exports have no rows"
    if not tables:
        return nothing
    rejects = reduce(ir.Table.union, tables)
    counted = rejects.group_by("reason").aggregate(n=rejects.count())
    top = counted.order_by(ibis.desc("n"), "reason").limit(1).to_pandas()
    return "most often: " + str(top["reason"].iloc[0]) if len(top) else nothing
