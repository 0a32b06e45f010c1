"""Checks of single rows: counted once for each kept file, and added up over the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import ibis.expr.types as ir

from cxlib.engine.functions import smallest
from cxlib.ingest.rules import applies
from cxlib.ingest.sources import StagedSource
from cxlib.ingest.staging import StagedFiles

__all__ = ["EXAMPLES", "row_findings"]

EXAMPLES = 3
"""How many ids a finding shows."""


class _Check(NamedTuple):
    """What is checked, among which rows, which of them fail, and a note.

    ``of_ids``: several rows of one id may fail, and the finding is told even where none does.
    """

    name: str
    among: ir.BooleanValue
    fails: ir.BooleanValue
    note: str
    of_ids: bool = False


_Counts = list[dict[str, Any]]
"""Of a file, by check: ``n``, ``failing`` and ``examples``, its first ids."""


def row_findings(item: StagedSource, kept: StagedFiles) -> list[dict[str, object]]:
    """Findings on repeated ids, times without a time of day and empty measures of a source.

    Parameters
    ----------
    item
        The source.
    kept
        Where its rows are. What is counted of a file is kept beside them, so only the rows of
        files that no earlier build has seen are counted.

    Returns
    -------
    list of dict
        ``check``, ``source``, ``n``, ``failing``, ``examples``, ``note``: one for the ids, and one
        for each other check that any row fails.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cxlib.ingest.config import CustomerKey, Source
    >>> rule = Source(file="none.csv", customer=CustomerKey(key="account"))
    >>> with TemporaryDirectory() as folder:
    ...     row_findings(StagedSource("orders", rule), StagedFiles(Path(folder, "staged"), "r1"))
    []
    """
    if item.judged is None:
        return []
    checks = _checks(item.judged, item)
    if not checks:
        return []
    known = {number: kept.checked(place) for number, place in item.places.items()}
    new = [n for n, counts in known.items() if counts is None or len(counts) != len(checks)]
    if new:
        for number, counts in _count(item.judged, item, new).items():
            known[number] = kept.keep_checked(item.places[number], counts)
    found = [
        _added_up(item.name, check, [of_file[k] for of_file in known.values() if of_file])
        for k, check in enumerate(checks)
    ]
    return [
        finding
        for check, finding in zip(checks, found, strict=True)
        if finding["failing"] or check.of_ids
    ]


def _checks(rows: ir.Table, item: StagedSource) -> list[_Check]:
    return [*_repeated_ids(rows, item), *_weak_rows(rows, item)]


def _count(judged: ir.Table, item: StagedSource, files: Sequence[int]) -> dict[int, _Counts]:
    """What the checks find in the rows of some files, by their ``cx_file``."""
    rows = judged.filter(judged.cx_file.isin(files))
    checks = _checks(rows, item)
    columns: dict[str, ir.Value] = {}
    for k, check in enumerate(checks):
        failing = check.among & check.fails
        columns[f"n_{k}"] = rows.count(where=check.among)
        columns[f"failing_{k}"] = rows.count(where=failing)
        columns[f"examples_{k}"] = smallest(rows.cx_record, EXAMPLES, where=failing)
    counted = {
        row["cx_file"]: row for row in _by_file(rows.group_by("cx_file").aggregate(**columns))
    }
    for k, check in enumerate(checks):
        if check.of_ids and any(row[f"failing_{k}"] for row in counted.values()):
            ids = rows.filter(check.among & check.fails).select("cx_file", "cx_record").distinct()
            first = ids.group_by("cx_file").aggregate(ids=smallest(ids.cx_record, EXAMPLES))
            for row in _by_file(first):
                counted[row["cx_file"]][f"examples_{k}"] = row["ids"]
    # A file all of whose rows were left out has none to count.
    return {
        number: [
            {
                "n": row.get(f"n_{k}", 0),
                "failing": row.get(f"failing_{k}", 0),
                "examples": row.get(f"examples_{k}") or [],
            }
            for k in range(len(checks))
        ]
        for number in files
        for row in [counted.get(number, {})]
    }


def _by_file(table: ir.Table) -> list[dict[str, Any]]:
    return table.to_pyarrow().to_pylist()


def _added_up(source: str, check: _Check, counts: Sequence[dict[str, Any]]) -> dict[str, object]:
    examples = sorted({example for found in counts for example in found["examples"]})
    return {
        "check": check.name,
        "source": source,
        "n": sum(found["n"] for found in counts),
        "failing": sum(found["failing"] for found in counts),
        "examples": ", ".join(examples[:EXAMPLES]),
        "note": check.note,
    }


def _repeated_ids(rows: ir.Table, item: StagedSource) -> list[_Check]:
    if item.rule.id is None:
        return []
    among = rows.cx_record.notnull() & ~rows.cx_left_out
    note = f"rows with a repeated {item.rule.id} are rejected; the first one is kept"
    return [_Check("ids are unique", among, rows.cx_repeated, note, of_ids=True)]


def _weak_rows(rows: ir.Table, item: StagedSource) -> list[_Check]:
    """Checks of the rows that can be used."""
    usable = rows.cx_reason.isnull()
    columns = {rule.time.column: number for number, rule in enumerate(item.rule.events)}
    times = [
        _Check(
            f"{column} has a time of day",
            usable & rows[f"cx_time_{number}"].notnull(),
            ~rows[column].contains(":"),
            "events of one day are ordered by their event_id",
        )
        for column, number in columns.items()
    ]
    measures = [
        _Check(
            f"{measure.column} is filled",
            usable & applies(rows, rule),
            rows[measure.column].isnull(),
            "an event without it counts everywhere but in that measure",
        )
        for rule in item.rule.events
        for measure in (rule.value, rule.score)
        if measure is not None
    ]
    return [*times, *measures]
