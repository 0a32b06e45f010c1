"""JSON: one object a line, or a list of them; what is nested becomes columns with dots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import pandas as pd

from cxlib.engine.files.broken import count_unreadable, shortened
from cxlib.engine.files.options import FileOptions, FileRows, distinct_names, refuse_reserved
from cxlib.engine.files.plain import (
    PACKED,
    check_whole,
    open_text,
    scratch_folder,
    write_utf8,
)
from cxlib.engine.writing import create_table
from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

__all__ = ["read_objects"]

_MOST_COLUMNS = 2_000
_LONGEST = 64_000_000
"""Bytes of one record; the engine's own limit is lower."""


def read_objects(con: BaseBackend, path: Path, name: str, options: FileOptions) -> FileRows:
    """Records of a JSON file.

    Parameters
    ----------
    con
        A DuckDB connection; the records become a temporary table of it.
    path
        The file, packed or not: one list of objects, or one object a line.
    name
        Name of the temporary table.
    options
        Its encoding, where it is declared.

    Returns
    -------
    FileRows
        One column for each value that any object has: ``customer.id`` is the ``id`` of the object
        ``customer``. Lists stay JSON.

    Raises
    ------
    CxError
        When the file as a whole cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cxlib.engine.connect import connect
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "tickets.jsonl")
    ...     _ = path.write_text('{"id": 1, "customer": {"key": "a"}}\\n{"id": 2\\n{"id": "3"}\\n')
    ...     read = read_objects(connect(), path, "tickets", FileOptions())
    ...     read.table.order_by("cx_row").to_pandas()
      id customer.key  cx_row
    0  1            a       1
    1  3         None       3
    """
    check_whole(path)
    with scratch_folder(con) as folder:
        plain = path
        if options.encoding is not None:
            plain = folder / "decoded.json"
            write_utf8(path, options.encoding, plain)
        listed = _is_list(path, plain)
        if listed and plain.suffix.lower() in PACKED:
            plain = folder / "unpacked.json"
            write_utf8(path, "utf-8", plain)
        lines = f"{name}_objects"
        lost = (_load_list if listed else _load_lines)(con, plain, lines)
        try:
            return _part_columns(con, path, con.table(lines), name, lost)
        finally:
            con.drop_table(lines)


def _is_list(path: Path, plain: Path) -> bool:
    with open_text(plain) as file:
        while (letter := file.read(1)) and letter.isspace():
            pass
        if letter not in ("[", "{"):
            raise CxError(
                f"the file {path.name!r} holds no JSON objects; write a list of them, or one a line"
            )
        return letter == "["


def _load_list(con: BaseBackend, plain: Path, name: str) -> pd.DataFrame:
    place = plain.as_posix().replace("'", "''")
    con.raw_sql(
        f'CREATE TEMP TABLE "{name}" AS SELECT json::VARCHAR AS object, row_number() OVER () AS '
        f"cx_row FROM read_json_objects('{place}', format = 'array', compression = 'uncompressed', "
        f"maximum_object_size = {_LONGEST})"
    )
    return pd.DataFrame(columns=["row_number", "reason", "record"])


def _load_lines(con: BaseBackend, plain: Path, name: str) -> pd.DataFrame:
    """Load lines, each numbered as in the file; return those that are no text."""
    raw = con.read_csv(
        plain,
        table_name=f"{name}_file",
        auto_detect=False,
        columns={"object": "VARCHAR"},
        header=False,
        # Lines of one field: no JSON holds the control character that would part them.
        delim="\x01",
        quote="",
        escape="",
        strict_mode=False,
        compression=PACKED.get(plain.suffix.lower(), "none"),
        max_line_size=_LONGEST,
        store_rejects=True,
        rejects_limit=0,
        rejects_table=f"{name}_bad_lines",
        rejects_scan=f"{name}_bad_scans",
    )
    create_table(con, name, raw.mutate(cx_row=ibis.row_number() + 1), temp=True)
    con.drop_view(f"{name}_file")
    lines = con.table(f"{name}_bad_lines").select("line", "error_message", "csv_line")
    frame = lines.distinct(on="line", keep="first").order_by("line").to_pandas()
    frame.columns = pd.Index(["row_number", "reason", "record"])
    frame["reason"] = "unreadable line: " + frame["reason"].str.rstrip(".")
    return frame


def _part_columns(
    con: BaseBackend, path: Path, read: ir.Table, name: str, lost: pd.DataFrame
) -> FileRows:
    """Table of the values of the objects, and everything that is no object."""
    shifts = {int(row) - k: k + 1 for k, row in enumerate(lost["row_number"])}
    lines = count_unreadable(read, shifts) if shifts else read
    lines = lines.filter(lines.object.strip() != "")
    wrong = lines.filter(~_is_object(lines.object)).order_by("cx_row").to_pandas()
    wrong = pd.DataFrame(
        {
            "row_number": wrong["cx_row"],
            "reason": "unreadable record: it is no JSON object",
            "record": wrong["object"].map(shortened),
        }
    )
    objects = lines.filter(_is_object(lines.object))
    columns = _columns(path, objects)
    refuse_reserved(path.name, columns)
    values = objects.select("cx_row", cx_values=_extract(objects.object, list(columns.values())))
    table = create_table(
        con,
        name,
        values.select(
            **{column: values.cx_values[at].nullif("") for at, column in enumerate(columns)},
            cx_row="cx_row",
        ),
        temp=True,
    )
    unreadable = pd.concat([frame for frame in (lost, wrong) if len(frame)] or [lost])
    return FileRows(table, unreadable.sort_values("row_number", ignore_index=True))


def _is_object(text: ir.StringValue) -> ir.BooleanValue:
    return _valid(text) & text.strip().startswith("{")


def _columns(path: Path, objects: ir.Table) -> dict[str, str]:
    """Names of the values of all objects, each with the way to it, in the order they come in."""
    kinds = objects.group_by(structure=_structure(objects.object)).aggregate(
        first=objects.cx_row.min()
    )
    ways: dict[tuple[str, ...], None] = {}
    for structure in kinds.order_by("first").to_pyarrow()["structure"].to_pylist():
        ways |= dict.fromkeys(_leaves(json.loads(structure)))
        if len(ways) > _MOST_COLUMNS:
            raise CxError(
                f"the file {path.name!r} has more than {_MOST_COLUMNS:,} different values; "
                "its names may be data: write them as values"
            )
    names = distinct_names([".".join(way) for way in ways])
    pointers = ["/" + "/".join(map(_escaped, way)) for way in ways]
    return dict(zip(names, pointers, strict=True))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _leaves(structure: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(structure, dict) and structure:
        for key, inner in structure.items():
            yield from _leaves(inner, (*way, key))
    elif way:
        yield way


@ibis.udf.scalar.builtin(name="json_valid", signature=((dt.string,), dt.boolean))
def _valid(text: ir.StringValue) -> ir.BooleanValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(name="json_structure", signature=((dt.string,), dt.string))
def _structure(text: ir.StringValue) -> ir.StringValue:
    """DuckDB's own function."""


@ibis.udf.scalar.builtin(
    name="json_extract_string", signature=((dt.string, dt.Array(dt.string)), dt.Array(dt.string))
)
def _extract(text: ir.StringValue, ways: ir.ArrayValue) -> ir.ArrayValue:
    """DuckDB's own function."""
