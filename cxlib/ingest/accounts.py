"""What became of every row of every export: rejected, doubtful, counted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.writing import create_table, row_count
from cxlib.ingest.config import Sources
from cxlib.ingest.quality import COLUMNS, quality
from cxlib.ingest.sources import REJECTS, StagedSource
from cxlib.ingest.staging import StagedFiles

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["count_rows", "store_accounts", "why_unusable"]


def store_accounts(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    kept: StagedFiles,
    findings: list[dict[str, Any]],
) -> None:
    """Write what became of every row: rejects, quality, and the counts per source."""
    tables = [table for item in staged.values() for table in item.rejects]
    rejects = reduce(ir.Table.union, tables) if tables else ibis.memtable([], schema=REJECTS)
    create_table(
        con, "rejects", rejects.order_by("source", "file", "row_number", "reason", "record")
    )
    create_table(
        con, "quality", ibis.memtable(quality(config, staged, kept, findings), schema=COLUMNS)
    )
    create_table(con, "sources", _source_counts(con, staged))


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


def count_rows(con: BaseBackend) -> dict[str, int]:
    """Rows read, stored and rejected; events, customers and journeys of a snapshot."""
    sources = con.table("sources")
    totals = {name: sources[name].sum() for name in ("rows_read", "rows_stored", "rows_rejected")}
    counts = sources.aggregate(**totals).to_pyarrow().to_pylist()[0]
    for name in ("events", "customers", "journeys"):
        counts[name] = row_count(con.table(name))
    return {name: int(value) for name, value in counts.items()}


def why_unusable(staged: Mapping[str, StagedSource]) -> str:
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
