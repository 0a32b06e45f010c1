"""Where the exports contradict themselves or each other: counted and shown, never repaired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.writing import row_count
from cxlib.errors import unknown_name
from cxlib.ingest.config import Check, Member, Sources, TimeColumn
from cxlib.ingest.row_checks import EXAMPLES, row_findings
from cxlib.ingest.rules import meets, parse_time
from cxlib.ingest.sources import StagedSource
from cxlib.ingest.staging import StagedFiles

__all__ = ["check_findings", "conflict_findings", "quality"]

_Finding = dict[str, object]
COLUMNS = {
    "check": "string",
    "source": "string",
    "n": "int64",
    "failing": "int64",
    "share": "float64",
    "examples": "string",
    "note": "string",
}
"""Columns of the findings, with their Ibis types."""


def quality(
    config: Sources,
    staged: Mapping[str, StagedSource],
    kept: StagedFiles,
    further: Iterable[Mapping[str, object]] = (),
) -> pd.DataFrame:
    """Findings on the exports' quality: what was checked, on how many rows, how many fail.

    Parameters
    ----------
    config
        The workspace's description with its ``checks``.
    staged
        Its sources, by name.
    kept
        Where their rows are, and what earlier builds counted of them.
    further
        Findings made elsewhere: ``check``, ``source``, ``n``, ``failing``, ``examples``, ``note``.

    Returns
    -------
    pandas.DataFrame
        One row per check and source: ``check``, ``source``, ``n`` (what was checked: usable rows,
        or customers), ``failing``, ``share`` (of n; missing where n is 0), ``examples`` (up to
        three ids), ``note``. Built-in checks: repeated ids, times without a time of day, empty
        measures.

    Raises
    ------
    CxError
        When a check names a column that its source does not have.
    """
    rows: list[_Finding] = []
    for item in staged.values():
        rows += [*_joined(item), *row_findings(item, kept)]
    rows += check_findings(config, staged)
    rows += [dict(finding) for finding in further]
    frame = pd.DataFrame(rows, columns=["check", "source", "n", "failing", "examples", "note"])
    share = (frame["failing"] / frame["n"].where(frame["n"] > 0)).astype("float64")
    return frame.assign(share=share)[list(COLUMNS)].reset_index(drop=True)


def check_findings(config: Sources, staged: Mapping[str, StagedSource]) -> list[dict[str, object]]:
    """Findings of the checks that ``sources.yml`` declares.

    Parameters
    ----------
    config
        The workspace's description.
    staged
        Its sources, by name, with their customers.

    Returns
    -------
    list of dict
        One for each order, and for each pair of members that should agree.

    Raises
    ------
    CxError
        When a check names a column that its source does not have.
    """
    found: list[_Finding] = []
    for check in config.checks:
        found += _agreement(check, staged) if check.agree else _order(check, config, staged)
    return found


def _finding(
    check: str, source: str, rows: ir.Table, fails: ir.BooleanValue, example: str, note: str
) -> _Finding:
    """One finding: how many rows there are, how many fail, and the first ids among those."""
    counts = rows.aggregate(n=rows.count(), failing=fails.sum()).to_pyarrow().to_pylist()[0]
    failing = int(counts["failing"] or 0)
    return {
        "check": check,
        "source": source,
        "n": int(counts["n"]),
        "failing": failing,
        "examples": _examples(rows.filter(fails), example) if failing else "",
        "note": note,
    }


def _examples(failing: ir.Table, example: str) -> str:
    first = failing.select(example).distinct().order_by(example).limit(EXAMPLES)
    return ", ".join(str(value) for value in first.to_pyarrow()[example].to_pylist())


def _joined(item: StagedSource) -> list[_Finding]:
    joined = [file for file in item.files if file.get("rows_joined")]
    if not joined:
        return []
    finding: _Finding = {
        "check": "each record stands on one line, or its breaks in quotes",
        "source": item.name,
        "n": sum(int(str(file["rows_read"])) for file in item.files),
        "failing": sum(int(str(file["rows_joined"])) for file in joined),
        "examples": ", ".join(str(file["file"]) for file in joined[:EXAMPLES]),
        "note": "records that a line break without quotes had split were put together",
    }
    return [finding]


def conflict_findings(
    facts: ir.Table, conflicts: ir.Table, customers: ir.Table, attributes: Iterable[str]
) -> list[_Finding]:
    """Findings on attributes that differ between records: customers who have one, and who differ.

    Parameters
    ----------
    facts, conflicts, customers
        The stored tables.
    attributes
        Names, in order.

    Returns
    -------
    list of dict
        One for each attribute that any customer has.
    """
    told = facts.select("attribute", "source").distinct().to_pyarrow().to_pylist()
    findings = []
    for name in attributes:
        sources = [row["source"] for row in told if row["attribute"] == name]
        if not sources:
            continue
        differ = conflicts.filter(conflicts.attribute == name).select("customer_id", "rule")
        # Of whom anything is said, one thing is believed.
        having = customers.filter(customers[name].notnull()).select("customer_id")
        having = having.left_join(differ, "customer_id")
        rule = differ.rule.max().to_pyarrow().as_py()
        finding = _finding(
            f"{name} is the same in all records of a customer",
            ", ".join(sorted(sources)),
            having,
            having.rule.notnull(),
            "customer_id",
            f"decided by the rule {rule}; the table conflicts has the values" if rule else "",
        )
        findings.append(finding)
    return findings


def _order(check: Check, config: Sources, staged: Mapping[str, StagedSource]) -> list[_Finding]:
    later = staged[str(check.source)]
    other_name, other_column = str(check.not_before).split(".")
    earlier = staged[other_name]
    if later.rows is None or earlier.rows is None:
        return [_not_checked(check, "a source could not be read")]
    start = _time_of(earlier, other_column, config)
    end = _time_of(later, str(check.column), config)
    refers = later.rule.customer.of == other_name
    rows = later.rows.mutate(
        cx_later=end,
        cx_link=later.rows[str(later.rule.customer.column)] if refers else later.rows.cx_customer,
    )
    link = earlier.rows.cx_record if refers else earlier.rows.cx_customer
    bounds = earlier.rows.mutate(cx_link=link, cx_earlier=start)
    # By customer the bound is the earliest of their rows; by reference there is one row.
    bounds = bounds.group_by("cx_link").aggregate(cx_earlier=bounds.cx_earlier.min())
    both = rows.inner_join(bounds, "cx_link")
    both = both.filter(both.cx_later.notnull(), both.cx_earlier.notnull())
    note = f"{check.source}.{check.column} lies before {check.not_before}; kept as it is"
    return [
        _finding(check.name, later.name, both, both.cx_later < both.cx_earlier, "cx_record", note)
    ]


def _agreement(check: Check, staged: Mapping[str, StagedSource]) -> list[_Finding]:
    findings = []
    for one, other in combinations(check.agree, 2):
        left, right = _members(one, staged), _members(other, staged)
        if left is None or right is None:
            findings.append(_not_checked(check, "a source could not be read"))
            continue
        joined = left.mutate(in_left=True).outer_join(right.mutate(in_right=True), "cx_customer")
        either = joined.select(
            cx_customer=ibis.coalesce(joined.cx_customer, joined.cx_customer_right),
            agrees=joined.in_left.notnull() & joined.in_right.notnull(),
        )
        note = f"{row_count(left)} customers by {one.source}, {row_count(right)} by {other.source}"
        sources = f"{one.source}, {other.source}"
        findings.append(_finding(check.name, sources, either, ~either.agrees, "cx_customer", note))
    return findings


def _members(member: Member, staged: Mapping[str, StagedSource]) -> ir.Table | None:
    rows = staged[member.source].rows
    if rows is None:
        return None
    known = staged[member.source].columns
    for column in member.when:
        if column not in known:
            raise unknown_name("column", column, known, f"in {member.source}")
    # A check may read what no rule of its source reads, and nobody has trimmed.
    rows = rows.mutate(**{column: rows[column].strip() for column in member.when})
    return rows.filter(meets(rows, member.when)).select("cx_customer").distinct()


def _time_of(item: StagedSource, column: str, config: Sources) -> ir.TimestampValue:
    rows = item.rows
    if rows is None or column not in item.columns:
        raise unknown_name("column", column, item.columns, f"in {item.name}")
    rules = {rule.time.column: rule.time for rule in item.rule.events}
    return parse_time(
        rows[column].strip(), rules.get(column, TimeColumn(column=column)), config.timezone
    )


def _not_checked(check: Check, why: str) -> _Finding:
    return {
        "check": check.name,
        "source": "",
        "n": 0,
        "failing": 0,
        "examples": "",
        "note": f"not checked: {why}",
    }
