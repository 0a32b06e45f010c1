"""Lines that are no records: halves of one that a line break split are told from the others."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.files.options import FileRows

__all__ = ["BadLine", "count_unreadable", "part_lines", "shortened"]

_TOO_SHORT = "MISSING COLUMNS"
_MOST_SHAPES = 20
_LONGEST_SHOWN = 10_000
_MOST_SHOWN = 1_000
_SPLIT = " (a line break without quotes may have split a record here; both halves are shown)"


@dataclass(frozen=True)
class BadLine:
    """Line of a file that is no record.

    Examples
    --------
    >>> BadLine(3, "MISSING COLUMNS", "Expected Number of Columns: 3 Found: 2", "a,b").fields(",")
    ['a', 'b']
    """

    row: int
    """From 1, all such lines counted and blank ones not."""
    kind: str
    reason: str
    text: str

    def fields(self, delimiter: str) -> list[str]:
        """What stands between the delimiters."""
        return next(csv.reader([self.text], delimiter=delimiter), [])


def part_lines(
    table: ir.Table, bad: Sequence[BadLine], delimiter: str, unbroken: Iterable[str] = ()
) -> FileRows:
    """Records of a file with those put together that a line break without quotes had split.

    Parameters
    ----------
    table
        The readable records: their columns, and ``cx_row`` among the readable ones.
    bad
        The other lines.
    delimiter
        What stands between two fields.
    unbroken
        Columns that never hold a line break.

    Returns
    -------
    FileRows
        ``cx_row`` counts all records.

    Notes
    -----
    Lines are put together when that is certain: they follow one another, each is too short, their
    fields add up to those of one record, the first one begins as records of this file do (its first
    field has the same shape: digits, letters and signs in the same order) and the others do not,
    and the break lies in no column of ``unbroken``. Whatever else may be a half is rejected,
    together with the other half.

    Examples
    --------
    >>> good = ibis.memtable({"id": ["1"], "note": ["fine"], "plan": ["pro"], "cx_row": [1]})
    >>> halves = [BadLine(row, "MISSING COLUMNS", "", text)
    ...           for row, text in ((2, "2,so"), (3, "so,pro"))]
    >>> part_lines(good, halves, ",").table.order_by("cx_row").to_pandas()
      id    note plan  cx_row
    0  1    fine  pro       1
    1  2  so\\nso  pro       2
    """
    if not bad:
        return FileRows(table)
    file = _File(table, bad, delimiter, frozenset(unbroken))
    together, rejected, shifts = {}, [], {}
    records = lines = 0
    for group in file.groups():
        # The k-th line (from 0) at row r stands before every readable record from r - k on.
        readable = group[0].row - lines
        records, lines = records + 1, lines + len(group)
        shifts[readable] = records
        number = readable + records - 1
        if len(group) > 1:
            together[number] = file.joined(group)
        else:
            rejected.append((number, group[0]))
    counted = count_unreadable(table, shifts)
    unreadable = _explain(file, counted, rejected)
    return FileRows(_with_joined(counted, file.names, together), unreadable, len(together))


class _File:
    """What is known of a file whose lines are parted."""

    def __init__(
        self, table: ir.Table, bad: Sequence[BadLine], delimiter: str, unbroken: frozenset[str]
    ) -> None:
        self.names = [name for name in table.columns if name != "cx_row"]
        self.bad, self.delimiter = bad, delimiter
        self.unbroken = {name.casefold() for name in unbroken}
        short = {line.row: line for line in bad if line.kind == _TOO_SHORT}
        self.short = {row: line.fields(delimiter) for row, line in short.items()}
        self.lines = {line.row: line for line in bad}
        self.shapes = _shapes(table[self.names[0]]) if short else None

    def begins(self, row: int) -> bool:
        """Whether a line begins as the readable records do."""
        first = self.short[row][0] if self.short[row] else ""
        return self.shapes is None or _shape(first) in self.shapes

    def groups(self) -> Iterable[list[BadLine]]:
        """Lines of one record each: most stand alone."""
        at = 0
        while at < len(self.bad):
            row = self.bad[at].row
            more = 1
            while row in self.short and row + more in self.short and not self.begins(row + more):
                more += 1
            rows = range(row, row + more)
            whole = more > 1 and self.shapes is not None and self._is_record(rows)
            yield list(self.bad[at : at + (more if whole else 1)])
            at += more if whole else 1

    def _is_record(self, rows: range) -> bool:
        ends, place = [], 0
        for row in rows:
            place += len(self.short[row]) - 1
            ends.append(place)
        inside = {self.names[end].casefold() for end in ends[:-1] if end < len(self.names)}
        return self.begins(rows[0]) and place + 1 == len(self.names) and not inside & self.unbroken

    def joined(self, group: Sequence[BadLine]) -> list[str]:
        """Fields of a record, from its lines."""
        fields = list(self.short[group[0].row])
        for line in group[1:]:
            first, *others = self.short[line.row] or [""]
            fields[-1] += "\n" + first
            fields += others
        return fields

    def halves(self, line: BadLine) -> list[str]:
        """A line with those beside it that may be the rest of its record."""
        if line.row not in self.short:
            return [line.text]
        rows = [line.row]
        for beside in (line.row - 1, line.row + 1):
            fields = self.short.get(beside)
            if fields and len(fields) + len(self.short[line.row]) - 1 <= len(self.names):
                rows.append(beside)
        return [self.lines[row].text for row in sorted(rows)]

    def follows_a_record(self, line: BadLine) -> bool:
        """Whether a line may be the rest of the readable record before it."""
        return (
            line.row in self.short
            and line.row > 1
            and line.row - 1 not in self.lines
            and self.shapes is not None
            and not self.begins(line.row)
        )


def _shape(text: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text.strip()))


def _shapes(column: ir.StringValue) -> set[str] | None:
    """Shapes of the first field of the readable records; None where they tell nothing."""
    text = column.fill_null("").strip()
    shape = text.re_replace("[0-9]+", "9").re_replace(r"\p{L}+", "a").name("shape")
    found = shape.as_table().distinct().limit(_MOST_SHAPES + 1).to_pyarrow()["shape"].to_pylist()
    return set(found) if 0 < len(found) <= _MOST_SHAPES else None


def count_unreadable(table: ir.Table, shifts: Mapping[int, int]) -> ir.Table:
    """Records with numbers that count the unreadable ones, too.

    Parameters
    ----------
    table
        With ``cx_row``, the number among the readable records.
    shifts
        How many unreadable ones stand before a readable record and all behind it, by its number.

    Examples
    --------
    >>> table = ibis.memtable({"cx_row": [1, 2, 3]})
    >>> sorted(count_unreadable(table, {2: 1, 3: 2}).cx_row.to_list())
    [1, 3, 5]
    """
    before = ibis.memtable({"from_record": list(shifts), "lines_before": list(shifts.values())})
    joined = table.asof_join(before, table.cx_row >= before.from_record)
    cx_row = joined.cx_row + joined.lines_before.fill_null(0)
    return joined.mutate(cx_row=cx_row).select(table.columns)


def _with_joined(
    counted: ir.Table, names: Sequence[str], together: Mapping[int, Sequence[str]]
) -> ir.Table:
    if not together:
        return counted
    frame = pd.DataFrame(together.values(), columns=list(names)).assign(cx_row=list(together))
    rows = ibis.memtable(frame, schema=counted.schema())
    rows = rows.mutate(**{name: rows[name].nullif("") for name in names})
    return counted.union(rows.select(counted.columns))


def _explain(
    file: _File, counted: ir.Table, rejected: Sequence[tuple[int, BadLine]]
) -> pd.DataFrame:
    """Numbers, reasons and texts of the lines that stay unreadable."""
    ends = [number - 1 for number, line in rejected if file.follows_a_record(line)]
    before = counted.filter(counted.cx_row.isin(ends[:_MOST_SHOWN])).to_pyarrow().to_pylist()
    texts = {
        row["cx_row"]: file.delimiter.join(row[name] or "" for name in file.names) for row in before
    }
    rows = []
    for number, line in rejected:
        halves = file.halves(line)
        if file.follows_a_record(line) and number - 1 in texts:
            halves = [texts[number - 1], *halves]
        reason = line.reason.replace("Number of Columns", "number of fields")
        # A quote that never closes swallows the lines behind it into one record.
        held = len(line.text.strip("\r\n").splitlines())
        runs = f" (the record runs over {held:,} lines)" if held > 1 else ""
        record = shortened("\n".join(halves))
        told = f"unreadable line: {reason}{runs}{_SPLIT if len(halves) > 1 else ''}"
        rows.append({"row_number": number, "reason": told, "record": record})
    return pd.DataFrame(rows, columns=["row_number", "reason", "record"])


def shortened(text: str) -> str:
    """Text of a reject, cut where nobody would read on.

    Examples
    --------
    >>> shortened("x" * 20_000)[-21:]
    '… (20,000 characters)'
    """
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}… ({len(text):,} characters)"
