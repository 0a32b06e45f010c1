"""Exports -> events: every row of every export becomes events, or a reject with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from cxlib.engine.files.options import FileRows
from cxlib.engine.files.reading import read_file
from cxlib.engine.functions import keyed_hash
from cxlib.engine.writing import create_table, create_temporary_view, row_count
from cxlib.errors import CxError
from cxlib.ingest.config import Source, Sources
from cxlib.ingest.inputs import Input
from cxlib.ingest.judging import judge, repeated_ids
from cxlib.ingest.linking.fields import identity_fields, tells_who
from cxlib.ingest.missing import no_file, other_delimiter, without_columns
from cxlib.ingest.rows import borrow_columns, fill_columns, name_columns, trim_columns
from cxlib.ingest.staging import KeptFile, StagedFiles, with_personal

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["REJECTS", "StagedSource", "stage_source"]

REJECTS = ibis.schema(
    {
        "source": "string",
        "file": "string",
        "row_number": "int64",
        "rows": "int64",
        "reason": "string",
        "record": "string",
    }
)
"""Columns of the table ``rejects``."""


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
        ``cx_time_<k>`` for the k-th event rule, ``cx_from_<k>`` for the k-th attribute that says
        since when it holds, ``cx_left_out``, ``cx_repeated`` (whether its id stood before; only
        where rows have one), and ``cx_reason``, null where the row can be used; after
        ``assign_customers`` also ``cx_customer``. None where no file could be read.
    rejects
        Tables of unusable records and files: ``source, file, row_number, rows, reason, record``.
    files
        One dictionary per file: ``file``, ``rows_read``, ``rows_joined`` (those of them that a
        line break had split), ``columns``.
    version
        Name of everything that its rows depend on.
    places
        Names under which the judged rows of its files are kept, by their ``cx_file``.
    personal
        What is personal in its rows and needed in clear: ``cx_file, cx_row``, ``cx_text_<k>`` for
        the text of the k-th event rule, ``cx_id_<field>`` for what records are compared by.
    referred
        Earliest time of the records of other sources that refer to one of this: ``cx_key`` (its
        id), ``cx_referred_at`` (UTC). None where nothing does, and before ``note_references``.

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
    version: str = ""
    places: Mapping[int, str] = field(default_factory=dict)
    personal: ir.Table | None = None
    referred: ir.Table | None = None

    @cached_property
    def rows_with_personal(self) -> ir.Table | None:
        """Records that can be used, with what is personal in them."""
        return None if self.rows is None else with_personal(self.rows, self.personal)

    @cached_property
    def rows(self) -> ir.Table | None:
        """Records that can be used."""
        return None if self.judged is None else self.judged.filter(self.judged.cx_reason.isnull())

    def of_files(self, numbers: Sequence[int]) -> StagedSource:
        """The same source with the records of some of its files, by their ``cx_file``."""
        if self.judged is None:
            return self
        return replace(self, judged=self.judged.filter(self.judged.cx_file.isin(numbers)))

    @property
    def columns(self) -> list[str]:
        """Columns of the export itself."""
        known = [] if self.judged is None else self.judged.columns
        return [name for name in known if not name.startswith("cx_")]


def stage_source(
    con: BaseBackend,
    config: Sources,
    name: str,
    inputs: Sequence[Input],
    staged: Mapping[str, StagedSource],
    kept: StagedFiles,
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
    inputs
        What it is read from.
    staged
        The sources staged before, at least those that this one refers to.
    kept
        Rows that were staged by an earlier build; an input is read where it is not among them.

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
    if not inputs and rule.optional:
        return StagedSource(name, rule)
    if not inputs:
        missing = _whole_file(name, str(rule.file), 0, no_file(str(rule.file)))
        return StagedSource(name, rule, rejects=(missing,))
    places = kept.place(name, inputs, around=_around(rule, staged))
    known = [kept.find(place) for place in places]
    # From the first change on, an id may have stood before that had not, or the reverse.
    same = next((n for n, place in enumerate(places) if not kept.is_judged(place)), len(places))
    tables: dict[int, ir.Table] = {}
    for number in range(same, len(inputs)):
        found = known[number]
        if found is None:
            table, found = _open_input(con, config, inputs[number], f"{name}_{number}", kept)
            known[number] = kept.keep(places[number], found)
        else:
            table = kept.unjudged(con, places[number], found)
        if table is not None:
            tables[number] = table.mutate(cx_file=ibis.literal(number, "int64"))
    files = [found for found in known if found is not None]
    with_rows = {number: places[number] for number, found in enumerate(files) if found.has_rows}
    if tables:
        stood = list(with_rows.values())[: -len(tables)]
        before = kept.read(con, f"{name}_before", stood)
        if before is not None:
            personal = kept.read_personal(con, f"{name}_personal_before", stood)
            before = with_personal(before, personal)
        left_out = _judge_files(con, config, name, tables, before, staged, kept, places)
        for number, n in left_out.items():
            files[number] = kept.keep(places[number], files[number].without(name, n))
        for number in tables:
            con.drop_table(f"{name}_{number}", force=True)
    judged = kept.read(con, f"{name}_judged", [*with_rows.values()])
    lost = [row for found in files for row in found.rejects]
    rejects: tuple[ir.Table, ...] = ()
    if lost:
        rejects = (ibis.memtable(pa.Table.from_pylist(lost, schema=REJECTS.to_pyarrow())),)
    read = tuple({"file": found.file, **found.counts} for found in files)
    personal = kept.read_personal(con, f"{name}_personal", [*with_rows.values()])
    whole = StagedSource(name, rule, judged, rejects, read, places[-1], with_rows, personal)
    if judged is None:
        return whole
    return replace(whole, rejects=(*rejects, _rejected_rows(judged, whole)))


def _around(rule: Source, staged: Mapping[str, StagedSource]) -> str:
    """Name of what the rows of a source depend on in other sources."""
    return " ".join(staged[other].version for other in rule.refers_to())


def _open_input(
    con: BaseBackend, config: Sources, item: Input, table_name: str, kept: StagedFiles
) -> tuple[ir.Table | None, KeptFile]:
    """Records of an input before they are judged, and what to keep of it beside them."""
    table, bad, counts = _read_input(con, config, item, table_name)
    item.check_unchanged()
    rejects = reduce(ir.Table.union, bad).to_pyarrow().to_pylist() if bad else []
    if kept.forgotten is not None:
        # Nobody can tell whether an unreadable line is of someone who was forgotten.
        rejects = [{**row, "record": None} for row in rejects]
    if table is None:
        return None, KeptFile(item.file, counts, None, rejects)
    columns = [column for column in table.columns if not column.startswith("cx_")]
    rule = config.sources[item.source]
    table = trim_columns(fill_columns(table, rule), rule)
    table = _keep_texts(table, config, rule)
    table = _keep_fields(table, item.source, rule)
    table = _hide_personal(table, config, rule, kept.key)
    return table, KeptFile(item.file, counts, columns, rejects)


def _judge_files(
    con: BaseBackend,
    config: Sources,
    name: str,
    tables: Mapping[int, ir.Table],
    before: ir.Table | None,
    staged: Mapping[str, StagedSource],
    kept: StagedFiles,
    places: Sequence[str],
) -> dict[int, int]:
    """Judge the rows of some files, by their number, and keep them; ``before`` stand others.

    Returns how many rows of each file are of forgotten people, and left out.
    """
    rule = config.sources[name]
    # An engine knows no case: a column that two files spell in two ways is one.
    columns: dict[str, str] = {}
    for column in (column for table in tables.values() for column in table.columns):
        columns.setdefault(column.casefold(), column)
    rows = reduce(ir.Table.union, [_with_columns(t, columns) for t in tables.values()])
    if before is not None and rule.id is not None:
        ids = rows.select(cx_record=rows[rule.id]).distinct()
        rows = rows.union(_with_columns(before.semi_join(ids, "cx_record"), columns))
    rows = borrow_columns(fill_columns(rows, rule), rule, staged)
    rows = _with_party(rows, name, rule, staged).mutate(cx_source=ibis.literal(name))
    left_out: dict[int, int] = {}
    if kept.forgotten is not None:
        who = rule.customer
        refers = None if who.of is None else (who.of, str(who.column))
        theirs = kept.forgotten.among(rows, name, refers)
        found = rows.filter(theirs).group_by("cx_file").aggregate(n=lambda t: t.count())
        left_out = {int(n): int(m) for n, m in found.to_pandas().itertuples(index=False)}
        rows = rows.filter(~theirs)
    repeated = None
    if rule.id is not None:
        rows = create_temporary_view(con, f"{name}_unjudged", rows)
        repeated = create_table(con, f"{name}_repeated", repeated_ids(rows, rule), temp=True)
    judged = judge(rows, config, rule, repeated)
    if list(tables) == [0]:
        kept.write(con, places[0], judged)
        return left_out
    # Each file is judged while it is written, so that no two are held at a time.
    judged = create_temporary_view(con, f"{name}_judging", judged)
    for number, table in tables.items():
        own = {column.casefold() for column in table.columns}
        foreign = [columns[column] for column in columns if column not in own]
        kept.write(con, places[number], judged.filter(judged.cx_file == number).drop(*foreign))
    return left_out


def _read_input(
    con: BaseBackend, config: Sources, item: Input, table_name: str
) -> tuple[ir.Table | None, list[ir.Table], dict[str, Any]]:
    """Table of an input, None where it cannot be used; its rejects; its counts and columns."""
    rule = config.sources[item.source]
    nothing: dict[str, Any] = {"rows_read": 0, "rows_joined": 0, "columns": []}
    try:
        if item.problem is not None or item.path.stat().st_size == 0:
            raise CxError(item.problem or "the file is empty")
        options = rule.file_options(item.sheet, rule.columns_of_one_line())
        read = read_file(con, item.path, table_name, options)
    except CxError as error:
        item.check_unchanged()
        return None, [_whole_file(item.source, item.file, 0, _without_name(error, item))], nothing
    read = replace(read, table=name_columns(read.table, rule))
    readable = row_count(read.table)
    counts: dict[str, Any] = {
        "rows_read": readable + len(read.unreadable),
        "rows_joined": read.joined,
        "columns": [column for column in read.table.columns if column != "cx_row"],
    }
    rejects = [_unreadable(config, item, read)] if len(read.unreadable) else []
    missing = sorted(rule.columns_used() - set(read.table.columns))
    if missing:
        reason = without_columns(missing, counts["columns"], rule)
        if other_delimiter(missing, counts["columns"], rule) is not None:
            # No line was parted as it should: what is said of single ones is no help.
            return None, [_whole_file(item.source, item.file, counts["rows_read"], reason)], counts
        rejects.append(_whole_file(item.source, item.file, readable, reason))
        return None, rejects, counts
    return read.table, rejects, counts


def _unreadable(config: Sources, item: Input, read: FileRows) -> ir.Table:
    frame = read.unreadable.astype({"row_number": "int64"})
    if _names(read.table.columns) & config.hidden(config.sources[item.source]):
        # The text cannot be parted into fields, so what is personal in it cannot be hidden.
        frame = frame.assign(record=None)
    lines = ibis.memtable(frame)
    return lines.select(
        source=ibis.literal(item.source),
        file=ibis.literal(item.file),
        row_number="row_number",
        rows=ibis.literal(1, "int64"),
        reason="reason",
        record=lines.record.cast("string"),
    )


def _without_name(error: CxError, item: Input) -> str:
    return str(error).removeprefix(f"the file {item.path.name!r} ")


def _whole_file(name: str, file: str, rows: int, reason: str) -> ir.Table:
    frame = pd.DataFrame(
        {
            "source": [name],
            "file": [file],
            "row_number": pd.array([None], dtype="Int64"),
            "rows": [rows],
            "reason": [f"{file}: {reason}"],
            "record": [None],
        }
    )
    return ibis.memtable(frame, schema=REJECTS)


def _with_columns(table: ir.Table, columns: Mapping[str, str]) -> ir.Table:
    own = {name.casefold(): table[name] for name in table.columns}
    return table.select(
        **{name: own.get(key, ibis.null("string")) for key, name in columns.items()}
    )


def _names(columns: Iterable[str]) -> set[str]:
    return {column.casefold() for column in columns}


def _keep_texts(rows: ir.Table, config: Sources, rule: Source) -> ir.Table:
    """Keep personal texts as ``cx_text_<k>`` beside their hash, until their sentiment is known."""
    personal = config.hidden(rule)
    texts = {
        f"cx_text_{number}": rows[event.text]
        for number, event in enumerate(rule.events)
        if event.text is not None and event.text.casefold() in personal
    }
    return rows.mutate(**texts) if texts else rows


def _keep_fields(rows: ir.Table, name: str, rule: Source) -> ir.Table:
    """Keep what tells who a row is about as ``cx_id_<field>``, until it is known who is who."""
    if rule.identity is None:
        return rows
    fields = identity_fields(rows, rule.identity)
    # A key of its own kind, such as a customer number, tells as much as the fields.
    own = rule.customer.key not in {None, *rule.identity.columns_used()}
    key = rows[str(rule.customer.key)] if own else ibis.null("string")
    said = ibis.literal("\x1f").join([text.fill_null("") for text in (*fields.values(), key)])
    party = ibis.literal("r_") + (ibis.literal(f"{name}\x1f") + said).hexdigest("sha256")[:24]
    told = tells_who(fields) | key.notnull()
    kept = {f"cx_id_{name}": text for name, text in fields.items()}
    return rows.mutate(**kept, cx_id_party=ibis.ifelse(told, party, ibis.null("string")))


def _hashed(text: ir.StringValue, key: str | None) -> ir.StringValue:
    return text.hexdigest("sha256") if key is None else keyed_hash(text, key)


def _hide_personal(rows: ir.Table, config: Sources, rule: Source, key: str | None) -> ir.Table:
    """Put a hash for every value of a personal column, equal for values that differ by case."""
    personal = config.hidden(rule)
    hashes = {
        name: ibis.literal("c_") + _hashed(rows[name].strip().nullif("").lower(), key)[:16]
        for name in rows.columns
        if name.casefold() in personal
    }
    return rows.mutate(**hashes) if hashes else rows


def _with_party(
    rows: ir.Table, name: str, rule: Source, staged: Mapping[str, StagedSource]
) -> ir.Table:
    """Add ``cx_record``, the row's own id, and ``cx_party``, whose it is; null where unknown."""
    # Numbers are padded, so that the order of the text is the order of the rows.
    number = (
        rows.cx_file.cast("string").lpad(4, "0") + "-" + rows.cx_row.cast("string").lpad(9, "0")
    )
    rows = rows.mutate(cx_record=rows[rule.id] if rule.id else number)
    if rule.identity is not None:
        return rows.mutate(cx_party=rows.cx_id_party)
    who = rule.customer
    named = rows.mutate(cx_key=rows[str(who.key or who.column)])
    if who.key is not None:
        named = named.mutate(cx_party=named.cx_key)
    elif (register := staged[str(who.of)].rows) is None:
        named = named.mutate(cx_party=ibis.null("string"))
    else:
        owners = register.select(cx_key="cx_record", cx_party="cx_party")
        named = named.left_join(owners, "cx_key").drop("cx_key_right")
    if who.unknown == "keep":
        own = ibis.literal(f"{who.of}:") + named.cx_key
        named = named.mutate(cx_party=ibis.coalesce(named.cx_party, own))
    if who.otherwise is not None:
        other = ibis.literal(f"{name}:") + named[who.otherwise]
        alone = ibis.ifelse(named.cx_key.isnull(), other, ibis.null("string"))
        named = named.mutate(cx_party=ibis.coalesce(named.cx_party, alone))
    return named.drop("cx_key")


def _rejected_rows(judged: ir.Table, staged: StagedSource) -> ir.Table:
    bad = judged.filter(judged.cx_reason.notnull())
    columns = staged.columns
    names = [str(file["file"]) for file in staged.files]
    return bad.select(
        source=ibis.literal(staged.name),
        file=ibis.cases(*((bad.cx_file == number, name) for number, name in enumerate(names))),
        row_number=bad.cx_row,
        rows=ibis.literal(1, "int64"),
        reason=bad.cx_reason,
        record=ibis.struct({column: bad[column] for column in columns}).cast("json").cast("string"),
    )
