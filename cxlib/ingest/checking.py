"""What a description makes of the first rows of each export, without a build."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.connect import connect
from cxlib.errors import CxError
from cxlib.ingest.claims import check_personal, observed_window
from cxlib.ingest.config import Sources
from cxlib.ingest.doubts import find_doubts
from cxlib.ingest.events import events_of
from cxlib.ingest.fetched import fetch_source
from cxlib.ingest.hiding import hide_values
from cxlib.ingest.identity import assign_customers
from cxlib.ingest.inputs import Input, find_files, find_inputs
from cxlib.ingest.quality import check_findings
from cxlib.ingest.sampling import holds_text, sample_file
from cxlib.ingest.silences import Silences, silences_of
from cxlib.ingest.sources import StagedSource, stage_source
from cxlib.ingest.staging import StagedFiles

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["SourcesCheck", "check_sources"]

_SHOWN = ["occurred_at", "touchpoint", "customer_id", "value", "currency", "source"]


@dataclass(frozen=True)
class SourcesCheck:
    """What a description makes of a sample of each export.

    Attributes
    ----------
    sources
        One row per source: ``source``, ``rows`` (looked at), ``used`` (usable ones), ``events``,
        ``rejected``, ``reason`` (the most frequent one).
    examples
        Up to ten events, of as many touchpoints and sources as there are.
    doubts
        What looks wrong and may be bad luck of the sample, in sentences.
    silences
        How long customers were silent before they came back; None where there is no event.

    Examples
    --------
    >>> rows = pd.DataFrame({"source": ["a"], "rows": [2], "events": [0], "rejected": [2]})
    >>> SourcesCheck(rows, pd.DataFrame()).useless
    ['a']
    """

    sources: pd.DataFrame
    examples: pd.DataFrame
    doubts: Sequence[str] = ()
    silences: Silences | None = None

    @property
    def useless(self) -> list[str]:
        """Sources of which no row can be used."""
        lost = self.sources["rejected"] >= self.sources["rows"]
        return self.sources.loc[lost, "source"].tolist()


def check_sources(config: Sources, exports: Path, *, rows: int = 10_000) -> SourcesCheck:
    """What a description makes of the first rows of each export.

    Parameters
    ----------
    config
        The workspace's description.
    exports
        Folder of the exports.
    rows
        Rows to look at in each file. A source that others refer to is read whole, or its
        customers would be missing; so are workbooks, and lists in JSON.

    Returns
    -------
    SourcesCheck
        Nothing is stored, and no text is read for its sentiment.

    Raises
    ------
    CxError
        When a database cannot be read, a file lies outside the exports folder, or the sample shows
        what a build would refuse: a column under ``personal`` or ``checks`` that is not there, an
        event after ``observed_until``.
    """
    referred = {other for rule in config.sources.values() for other in rule.refers_to()}
    con = connect()
    try:
        with tempfile.TemporaryDirectory() as folder:
            sampled = Path(folder, "exports")
            for name, rule in config.sources.items():
                for path in find_files(rule, exports):
                    most = 2**62 if name in referred else rows
                    sample_file(path, sampled / path.relative_to(exports), most)
            limited = _limited(config, rows, referred)
            inputs = [*find_inputs(limited, sampled), *_fetched(limited, exports, Path(folder))]
            kept = StagedFiles(Path(folder, "staged"), recipe="check")
            staged = _staged(con, hide_values(config, kept.key), inputs, kept)
            events = _events(staged)
            counts = _counts(staged, events)
            doubts = _claimed(config, staged, events, sure=not _grows(config, counts, rows))
            cut = set(counts.loc[counts["rows"] >= rows, "source"])
            elsewhere = partial(_holds, config, exports, cut)
            doubts += find_doubts(config, staged, counts, _touchpoints(events), elsewhere)
            silences = None if events is None else silences_of(events)
            return SourcesCheck(counts, _examples(events), doubts, silences)
    finally:
        con.disconnect()


def _limited(config: Sources, rows: int, referred: set[str]) -> Sources:
    """The same description, where databases give no more than the first rows."""
    sources = dict(config.sources)
    for name, rule in config.sources.items():
        if rule.database is not None and name not in referred:
            of = rule.table if rule.query is None else f"({rule.query}) AS cx_sample"
            query = f"SELECT * FROM {of} LIMIT {rows}"
            sources[name] = rule.model_copy(update={"table": None, "query": query})
    return config.model_copy(update={"sources": sources})


def _fetched(config: Sources, exports: Path, folder: Path) -> list[Input]:
    found = []
    for name, rule in config.sources.items():
        if rule.database is not None:
            rows = fetch_source(name, rule, exports, folder, optional=rule.optional)
            if rows is not None:
                found.append(Input(name, rule.table or "query", *rows))
    return found


def _staged(
    con: BaseBackend, config: Sources, inputs: list[Input], kept: StagedFiles
) -> dict[str, StagedSource]:
    staged: dict[str, StagedSource] = {}
    for name in config.in_order():
        own = [item for item in inputs if item.source == name]
        staged[name] = stage_source(con, config, name, own, staged, kept)
    return assign_customers(con, {name: staged[name] for name in config.sources}, None)


def _claimed(
    config: Sources, staged: dict[str, StagedSource], events: ir.Table | None, *, sure: bool
) -> list[str]:
    """Raise what a build would raise; where columns are not sure to be all, give it as doubts."""
    doubts = []
    for claim in (check_personal, check_findings):
        try:
            claim(config, staged)
        except CxError as error:
            if sure:
                raise
            doubts.append(str(error))
    latest = None if events is None else events.occurred_at.max().to_pyarrow().as_py()
    if latest is not None and config.observed_until is not None:
        observed_window(config, latest)
    if latest is None:
        doubts.append("no row gives an event")
    return doubts


def _grows(config: Sources, counts: pd.DataFrame, rows: int) -> bool:
    """Whether further rows may bring further columns, as in JSON with an object a line."""
    cut = counts.loc[counts["rows"] >= rows, "source"]
    files = [str(config.sources[name].file).lower() for name in cut]
    return any(kind in file for file in files for kind in (".jsonl", ".ndjson"))


def _holds(config: Sources, exports: Path, cut: set[str], source: str, text: str) -> bool:
    """Whether the files of a source hold a text, where not all of their rows were looked at."""
    rule = config.sources[source]
    if source not in cut:
        return False
    sought = text.encode(rule.encoding or "utf-8", errors="replace")
    return any(holds_text(path, sought) for path in find_files(rule, exports))


def _touchpoints(events: ir.Table | None) -> set[str]:
    if events is None:
        return set()
    return set(events.select("touchpoint").distinct().to_pyarrow()["touchpoint"].to_pylist())


def _events(staged: dict[str, StagedSource]) -> ir.Table | None:
    tables = [
        table.select("event_id", *_SHOWN)
        for item in staged.values()
        for table in events_of(item, ())
    ]
    return reduce(ir.Table.union, tables) if tables else None


def _counts(staged: dict[str, StagedSource], events: ir.Table | None) -> pd.DataFrame:
    found = {}
    if events is not None:
        counted = events.group_by("source").aggregate(n=events.count()).to_pandas()
        found = dict(zip(counted["source"], counted["n"], strict=True))
    rows = []
    for name, item in staged.items():
        if item.rule.optional and not item.files:
            continue
        read = sum(int(str(file["rows_read"])) for file in item.files)
        lost, reason = _rejected(item.rejects)
        reason = reason or ("" if read else "the export has no rows")
        used = read - lost
        rows.append((name, read, used, int(found.get(name, 0)), lost, reason))
    columns = ["source", "rows", "used", "events", "rejected", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _rejected(tables: Sequence[ir.Table]) -> tuple[int, str]:
    frames = [table.select("rows", "reason").to_pandas() for table in tables]
    frame = pd.concat(frames) if frames else pd.DataFrame({"rows": [], "reason": []})
    if not len(frame):
        return 0, ""
    kinds = frame["reason"].str.replace(r"'[^']*'|[0-9]+", "", regex=True)
    counted = frame.groupby(kinds)["rows"].agg(["sum", "size"]).sort_values(["sum", "size"])
    told = frame.loc[kinds == counted.index[-1], "reason"].min()
    return int(frame["rows"].sum()), str(told)


def _examples(events: ir.Table | None) -> pd.DataFrame:
    if events is None:
        return pd.DataFrame(columns=_SHOWN)
    same = ibis.window(group_by=["source", "touchpoint"], order_by="event_id")
    numbered = events.mutate(cx_turn=ibis.row_number().over(same))
    turns = numbered.order_by("cx_turn", "source", "touchpoint").limit(10)
    return turns.select(_SHOWN).to_pandas()
