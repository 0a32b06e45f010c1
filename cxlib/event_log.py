"""The events of all sources, written as the log of a snapshot: whole, or where it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from math import ceil
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir

from cxlib.engine.parts import hold_in_parts
from cxlib.engine.writing import create_table
from cxlib.errors import CxError
from cxlib.increments import update_log
from cxlib.ingest.accounts import why_unusable
from cxlib.ingest.claims import observed_window
from cxlib.ingest.config import Sources
from cxlib.ingest.delta import Delta
from cxlib.ingest.events import events_of
from cxlib.ingest.money import currency_findings
from cxlib.ingest.sentiment import read_texts
from cxlib.ingest.sources import StagedSource
from cxlib.ingest.staging import StagedFiles
from cxlib.ingest.texts import Scorer
from cxlib.log_writer import LogWriter, fingerprints_of

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["EventLog", "PreviousLog", "write_events"]

PART_ROWS = 12_000_000
"""Rows of exports, times their event rules, above which the log is sorted in parts, so that a sort
fits in memory."""


@dataclass(frozen=True)
class PreviousLog:
    """The log that the file of a snapshot holds already, and what differs from it now.

    Attributes
    ----------
    meta
        Meta data of the snapshot that it is of.
    delta
        Which rows came or went since; None where that is not known.
    """

    meta: dict[str, Any]
    delta: Delta | None


@dataclass(frozen=True)
class EventLog:
    """What was written.

    Attributes
    ----------
    observed_from, observed_until
        Window of observation; the first is None where it is not declared.
    findings
        For the ``quality`` table: on texts and currencies.
    how
        What the meta data of the snapshot say of how it was built.
    """

    observed_from: datetime | None
    observed_until: datetime
    findings: list[dict[str, Any]]
    how: dict[str, Any]


def write_events(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    kept: StagedFiles,
    *,
    text_scorer: Scorer | None = None,
    previous: PreviousLog | None = None,
) -> EventLog:
    """Write the tables of the log.

    Parameters
    ----------
    con
        The connection that the snapshot is written through.
    config
        The workspace's description.
    staged
        Its sources by name, whose rows know their customer.
    kept
        Where their rows are, and the texts that were read before.
    text_scorer
        What reads texts; VADER by default.
    previous
        The log to change; None where it is to be written whole.

    Returns
    -------
    EventLog
        Of a log that could not be changed in part, as it was written whole.

    Raises
    ------
    CxError
        When no export gives an event, or one lies after the declared ``observed_until``.
    """
    rules = [rule for source in config.sources.values() for rule in source.events]
    extras = dict.fromkeys(column for rule in rules for column in rule.columns)
    raw = _events_of(staged, extras)
    if raw is None:
        raise CxError(
            "no export can be read, so there is nothing to store; " + why_unusable(staged)
        )
    if previous is None and any(rule.text is not None for rule in rules):
        raw = create_table(con, "cx_raw", raw, temp=True)
    texts = read_texts(
        con, raw, scorer=text_scorer, calibrate=config.text.calibrate, known=kept.texts()
    )
    events, log = texts.add_to(raw), None
    if previous is not None:
        came = None
        if previous.delta is not None and previous.delta.came is not None:
            came = _events_of(previous.delta.came, extras)
            came = texts.add_to(raw.limit(0) if came is None else came)
        log = _update(con, config, staged, previous, events, came)
    log = log or _write(con, config, staged, events)
    return replace(log, findings=[*texts.findings, *currency_findings(con.table("events"))])


def _events_of(staged: Mapping[str, StagedSource], extras: Mapping[str, None]) -> ir.Table | None:
    """Events of all sources before their texts are read; None where none can be read."""
    tables = [table for item in staged.values() for table in events_of(item, extras)]
    return reduce(ir.Table.union, tables) if tables else None


def _update(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    previous: PreviousLog,
    events: ir.Table,
    came: ir.Table | None,
) -> EventLog | None:
    """Change the log in part; None where it must be written whole."""
    delta = previous.delta
    if came is None:
        latest = _latest(events.occurred_at)
    else:
        # No row went: what was the latest time is the latest of those that were there before.
        was = datetime.fromisoformat(previous.meta["observed_until"])
        latest = max(was, _latest(came.occurred_at) or was)
    begin, cut_off = _window(config, staged, latest)
    writer = LogWriter(con, config.journeys, cut_off)
    how = update_log(
        writer, events, previous.meta, None if delta is None else delta.customers, came
    )
    return None if how is None else EventLog(begin, cut_off, [], how)


def _write(
    con: BaseBackend, config: Sources, staged: Mapping[str, StagedSource], events: ir.Table
) -> EventLog:
    """Write the whole log."""
    # Ids of journeys may meet where they are those of the exports (``prepare_events``).
    together = events.customer_id
    if not config.journeys.numbers_journeys:
        together = together.split("/")[0]
    with hold_in_parts(con, events, together, _parts_for(staged)) as parts:
        con.drop_table("cx_raw", force=True)
        fingerprints = create_table(con, "cx_new_fingerprints", fingerprints_of(parts), temp=True)
        begin, cut_off = _window(config, staged, _latest(fingerprints.last_seen_at))
        how = LogWriter(con, config.journeys, cut_off).write(parts, fingerprints)
        con.drop_table("cx_new_fingerprints")
    return EventLog(begin, cut_off, [], how)


def _latest(times: ir.TimestampColumn) -> datetime | None:
    return times.max().to_pyarrow().as_py()


def _parts_for(staged: Mapping[str, StagedSource]) -> int:
    """In how many parts to order the events of these sources."""
    rows = sum(
        int(str(file["rows_read"])) * len(item.rule.events)
        for item in staged.values()
        for file in item.files
    )
    return max(1, ceil(rows / PART_ROWS))


def _window(
    config: Sources, staged: Mapping[str, StagedSource], latest: datetime | None
) -> tuple[datetime | None, datetime]:
    """When observation began, where that is declared, and when it ended."""
    if latest is None:
        raise CxError("no export gives a single event; " + why_unusable(staged))
    return observed_window(config, latest)
