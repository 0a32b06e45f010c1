"""Exports -> events: every row of every export becomes events, or a reject with its reason."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.connect import read_text_table
from cxlib.errors import CxError
from cxlib.ingest.config import RESERVED, EventRule, FieldColumn, Source, Sources
from cxlib.ingest.rules import as_number, described, meets, parse_time
from cxlib.ingest.sentiment import SCALES

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["StagedSource", "find_files", "hash_file", "stage_source"]

EARLIEST, LATEST = "1900-01-01", "2100-01-01"
"""Times outside these years are taken for mistakes."""


@dataclass(frozen=True)
class StagedSource:
    """One export inside the engine: which rows can be used, and why the others cannot.

    Attributes
    ----------
    name, rule
        Its name and description in ``sources.yml``.
    judged
        One row per readable record: the columns as text, ``cx_row``, ``cx_file``,
        ``cx_record`` (its id), ``cx_party`` (whose it is as far as this source knows),
        ``cx_time_<k>`` for the k-th event rule, and ``cx_reason``, null where the row can be
        used; after ``assign_customers`` also ``cx_customer``. None where no file could be read.
    rejects
        Tables of unusable records and files: ``source, file, row_number, rows, reason, record``.
    files
        One dictionary per file: ``file``, ``rows_read``.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="none.csv", customer=CustomerKey(key="account"))
    >>> StagedSource("orders", rule).rows is None
    True
    """

    name: str
    rule: Source
    judged: ir.Table | None = None
    rejects: tuple[ir.Table, ...] = ()
    files: tuple[dict[str, object], ...] = ()

    @property
    def rows(self) -> ir.Table | None:
        """Records that can be used."""
        return None if self.judged is None else self.judged.filter(self.judged.cx_reason.isnull())

    @property
    def columns(self) -> list[str]:
        """Columns of the export itself."""
        known = [] if self.judged is None else self.judged.columns
        return [name for name in known if not name.startswith("cx_")]


def find_files(rule: Source, exports: Path) -> list[Path]:
    """Files of a source, sorted by name.

    Raises
    ------
    CxError
        When the file lies outside the exports folder.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> find_files(Source(file="none-*.csv", customer=CustomerKey(key="id")), Path("nowhere"))
    []
    """
    if Path(rule.file).is_absolute() or ".." in Path(rule.file).parts:
        raise CxError(f"the file {rule.file!r} lies outside the exports folder; move it there")
    # A name with brackets may be a pattern, and is first of all a name.
    literal = [rule.file] if (exports / rule.file).is_file() else []
    found = (exports / name for name in literal or glob.glob(rule.file, root_dir=exports))
    return sorted(path for path in found if path.is_file())


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    CxError
        When the file may not be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "empty")
    ...     path.touch()
    ...     hash_file(path)[:8]
    'e3b0c442'
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CxError(f"the file {path.name!r} cannot be read: {error.strerror}") from error


def stage_source(
    con: BaseBackend,
    config: Sources,
    name: str,
    exports: Path,
    staged: Mapping[str, StagedSource],
) -> StagedSource:
    """Rows of one export that can be used, and the others with their reasons.

    Parameters
    ----------
    con
        The connection that the snapshot is written through.
    config
        The workspace's description.
    name
        Which source.
    exports
        Folder of the files.
    staged
        The sources staged before, at least those that this one refers to.

    Returns
    -------
    StagedSource
        A row is rejected whole: rows read = rows used + rows rejected.

    Notes
    -----
    A row is rejected where it has no customer, no id or one that stood before, a time that is
    missing or unreadable, a value or score that is no number or off its scale, or no touchpoint.
    """
    rule = config.sources[name]
    paths = find_files(rule, exports)
    if not paths:
        return StagedSource(name, rule, rejects=(_whole_file(name, rule.file, 0, "no such file"),))
    tables, rejects, files = [], [], []
    for number, path in enumerate(paths):
        table, bad, read = _read_file(con, config, name, path, number)
        files.append({"file": path.relative_to(exports).as_posix(), "rows_read": read})
        rejects.extend(bad)
        if table is not None:
            tables.append(table.mutate(cx_file=ibis.literal(number)))
    if not tables:
        return StagedSource(name, rule, rejects=tuple(rejects), files=tuple(files))
    # An engine knows no case: a column that two files spell in two ways is one.
    columns: dict[str, str] = {}
    for column in (column for table in tables for column in table.columns):
        columns.setdefault(column.casefold(), column)
    rows = reduce(ir.Table.union, [_with_columns(table, columns) for table in tables])
    rows = _hide_personal(_keep_texts(rows, config, rule), config)
    judgement = _judge(_with_party(rows, rule, staged), config, rule)
    judged = con.create_table(f"{name}_judged", judgement, temp=True)
    staged_source = StagedSource(name, rule, judged, tuple(rejects), tuple(files))
    rejected = _rejected_rows(judged, staged_source)
    return replace(staged_source, rejects=(*rejects, rejected))


def _read_file(
    con: BaseBackend, config: Sources, name: str, path: Path, number: int
) -> tuple[ir.Table | None, list[ir.Table], int]:
    rule = config.sources[name]
    if path.stat().st_size == 0:
        return None, [_whole_file(name, path.name, 0, "the file is empty")], 0
    try:
        table, unreadable = read_text_table(con, path, f"{name}_{number}", delimiter=rule.delimiter)
    except CxError as error:
        return None, [_whole_file(name, path.name, 0, str(error))], 0
    readable = int(table.count().to_pyarrow().as_py())
    rejects = []
    if len(unreadable):
        if _names(table.columns) & _names(config.personal):
            # The text cannot be parted into fields, so what is personal in it cannot be hidden.
            unreadable = unreadable.assign(record=None)
        lines = ibis.memtable(unreadable.astype({"row_number": "int64"}))
        rejects.append(
            lines.select(
                source=ibis.literal(name),
                file=ibis.literal(path.name),
                row_number="row_number",
                rows=ibis.literal(1, "int64"),
                reason="reason",
                record=lines.record.cast("string"),
            )
        )
    missing = sorted(rule.columns_used() - set(table.columns))
    if missing:
        has = ", ".join(repr(column) for column in table.columns if column != "cx_row")
        reason = f"no column {', '.join(repr(column) for column in missing)} (it has {has})"
        rejects.append(_whole_file(name, path.name, readable, reason))
        return None, rejects, readable + len(unreadable)
    return table, rejects, readable + len(unreadable)


def _whole_file(name: str, file: str, rows: int, reason: str) -> ir.Table:
    frame = pd.DataFrame(
        {
            "source": [name],
            "file": [file],
            "row_number": pd.array([None], dtype="Int64"),
            "rows": [rows],
            "reason": [f"{file}: {reason.removeprefix(f'the file {file!r} ')}"],
            "record": [None],
        }
    )
    return ibis.memtable(frame, schema=_REJECTS)


_REJECTS = ibis.schema(
    {
        "source": "string",
        "file": "string",
        "row_number": "int64",
        "rows": "int64",
        "reason": "string",
        "record": "string",
    }
)


def _with_columns(table: ir.Table, columns: Mapping[str, str]) -> ir.Table:
    own = {name.casefold(): table[name] for name in table.columns}
    return table.select(
        **{name: own.get(key, ibis.null("string")) for key, name in columns.items()}
    )


def _names(columns: Iterable[str]) -> set[str]:
    return {column.casefold() for column in columns}


def _keep_texts(rows: ir.Table, config: Sources, rule: Source) -> ir.Table:
    """Keep personal texts as ``cx_text_<k>`` beside their hash, until their sentiment is known."""
    personal = _names(config.personal)
    texts = {
        f"cx_text_{number}": rows[event.text]
        for number, event in enumerate(rule.events)
        if event.text is not None and event.text.casefold() in personal
    }
    return rows.mutate(**texts)


def _hide_personal(rows: ir.Table, config: Sources) -> ir.Table:
    """Put a hash for every value of a personal column, equal for values that differ by case."""
    personal = _names(config.personal)
    hashes = {
        name: ibis.literal("c_") + rows[name].strip().nullif("").lower().hexdigest("sha256")[:16]
        for name in rows.columns
        if name.casefold() in personal
    }
    return rows.mutate(**hashes) if hashes else rows


def _with_party(rows: ir.Table, rule: Source, staged: Mapping[str, StagedSource]) -> ir.Table:
    """Add ``cx_record``, the row's own id, and ``cx_party``, whose it is; null where unknown."""
    # Numbers are padded, so that the order of the text is the order of the rows.
    number = (
        rows.cx_file.cast("string").lpad(4, "0") + "-" + rows.cx_row.cast("string").lpad(9, "0")
    )
    rows = rows.mutate(cx_record=rows[rule.id].strip().nullif("") if rule.id else number)
    if rule.customer.key is not None:
        return rows.mutate(cx_party=rows[rule.customer.key].strip().nullif(""))
    register = staged[str(rule.customer.of)].rows
    if register is None:
        return rows.mutate(cx_party=ibis.null("string"))
    owners = register.select(cx_key="cx_record", cx_party="cx_party")
    named = rows.mutate(cx_key=rows[str(rule.customer.column)].strip())
    return named.left_join(owners, "cx_key").drop("cx_key", "cx_key_right")


def _judge(rows: ir.Table, config: Sources, rule: Source) -> ir.Table:
    """Add ``cx_time_<k>`` for the k-th event rule, and ``cx_reason``, null for a usable row."""
    rows = rows.mutate(
        **{
            f"cx_time_{number}": parse_time(rows[event.time.column], event.time, config.timezone)
            for number, event in enumerate(rule.events)
        }
    )
    problems: dict[str, tuple[ir.BooleanValue, ir.StringValue]] = {}
    found = [*_customer_problems(rows, rule), *_id_problems(rows, rule)]
    for number, event in enumerate(rule.events):
        applies = meets(rows, event.when)
        for kind, wrong, said in _event_problems(rows, event, rows[f"cx_time_{number}"]):
            found.append((kind, applies & wrong, said))
    for kind, wrong, said in found:
        # Two rules that read the same column find the same mistake once.
        problems[kind] = (problems[kind][0] | wrong, said) if kind in problems else (wrong, said)
    texts = [ibis.ifelse(wrong, said, ibis.null("string")) for wrong, said in problems.values()]
    reason = ibis.array(texts).filter(lambda text: text.notnull()).join("; ").nullif("")
    return rows.mutate(cx_reason=reason)


_Problem = tuple[str, ir.BooleanValue, ir.StringValue]


def _customer_problems(rows: ir.Table, rule: Source) -> list[_Problem]:
    column = str(rule.customer.key or rule.customer.column)
    value = rows[column].strip().nullif("")
    empty = ibis.literal(f"no customer: the column {column!r} is empty")
    problems = [("customer", value.isnull(), empty)]
    if rule.customer.of is not None:
        lost = (
            ibis.literal("no customer: ") + _shown(value) + f" is not an id of {rule.customer.of}"
        )
        problems.append(("register", value.notnull() & rows.cx_party.isnull(), lost))
    return problems


def _id_problems(rows: ir.Table, rule: Source) -> list[_Problem]:
    if rule.id is None:
        return []
    same = ibis.window(group_by="cx_record", order_by=["cx_file", "cx_row"])
    first = rows.cx_row.first().over(same)
    repeated = rows.cx_record.notnull() & (ibis.row_number().over(same) > 0)
    said = (
        ibis.literal(f"the {rule.id} ")
        + _shown(rows.cx_record)
        + " stood before, in row "
        + first.cast("string")
    )
    empty = ibis.literal(f"no id: the column {rule.id!r} is empty")
    return [("no id", rows.cx_record.isnull(), empty), ("repeated id", repeated, said)]


def _event_problems(rows: ir.Table, event: EventRule, time: ir.TimestampValue) -> list[_Problem]:
    column = event.time.column
    text = rows[column].strip().nullif("")
    unreadable = ibis.literal(f"unreadable time in {column!r}: ") + _shown(text)
    far = ibis.literal(f"the time in {column!r} lies outside {EARLIEST} to {LATEST}: ")
    inside = (time >= ibis.timestamp(EARLIEST)) & (time < ibis.timestamp(LATEST))
    problems = [
        (f"time {column}", text.notnull() & time.isnull(), unreadable),
        (f"far {column}", time.notnull() & ~inside, far + _shown(text)),
    ]
    if not event.optional:
        missing = ibis.literal(f"no time: the column {column!r} is empty")
        problems.append((f"no time {column}", text.isnull(), missing))
    if isinstance(event.touchpoint, FieldColumn):
        named = described(rows, event.touchpoint)
        unnamed = ibis.literal(f"no touchpoint for {event.touchpoint.column!r} = ")
        said = unnamed + _shown(rows[event.touchpoint.column])
        problems.append(("touchpoint", named.isnull() | named.isin(RESERVED), said))
    for field, fact in event.fields().items():
        if isinstance(fact, FieldColumn) and fact.other == "reject":
            text = rows[fact.column].strip().nullif("")
            said = ibis.literal(f"no {field} for {fact.column!r} = ") + _shown(text)
            problems.append((field, text.notnull() & described(rows, fact).isnull(), said))
    if event.value is not None:
        problems.append(_number_problem(rows, event.value, None))
    if event.score is not None:
        problems.append(_number_problem(rows, event.score.column, event.score.scale))
    return problems


def _number_problem(rows: ir.Table, column: str, scale: str | None) -> _Problem:
    text = rows[column].strip().nullif("")
    number = as_number(rows[column])
    wrong, meant = number.isnull(), "no number"
    if scale is not None:
        low, _, high = SCALES[scale]
        wrong, meant = wrong | ~number.between(low, high), f"no {scale} score ({low:g} to {high:g})"
    said = ibis.literal(f"{meant} in {column!r}: ") + _shown(text)
    return (f"number {column}", text.notnull() & wrong, said)


def _shown(value: ir.StringValue) -> ir.StringValue:
    # Long fields would make the reason unreadable; the record holds them whole.
    return ibis.literal("'") + value.fill_null("")[:60] + "'"


def _rejected_rows(judged: ir.Table, staged: StagedSource) -> ir.Table:
    bad = judged.filter(judged.cx_reason.notnull())
    columns = staged.columns
    names = [Path(str(file["file"])).name for file in staged.files]
    return bad.select(
        source=ibis.literal(staged.name),
        file=ibis.cases(*((bad.cx_file == number, name) for number, name in enumerate(names))),
        row_number=bad.cx_row,
        rows=ibis.literal(1, "int64"),
        reason=bad.cx_reason,
        record=ibis.struct({column: bad[column] for column in columns}).cast("json").cast("string"),
    )
