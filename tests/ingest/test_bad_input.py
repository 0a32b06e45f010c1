"""Whatever an export holds, each of its rows is stored or rejected, and none is two customers."""

import json
import sqlite3
import sys
from contextlib import closing
from datetime import date, datetime

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib.build import build_store
from cxlib.engine.connect import connect
from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.reading import read_file
from cxlib.errors import CxError
from tests.engine.files.workbooks import write_xlsx
from tests.ingest.workspaces import ORDERS, build, rejects, write

NAMES = ["order_id", "account", "at", "amount"]


# --- any mixture of lines ---------------------------------------------------------------------

LINES = {
    # Its bytes, the records that it holds, and how many of these are whole.
    "good": (b"%d,a%d,2024-01-01,note,5\n", 1, 1),
    "quoted": (b'%d,"a,%d",2024-01-01,"two\nlines",5\n', 1, 1),
    "blank": (b"\n", 0, 0),
    "spaces": (b"  \n", 0, 0),
    "short": (b"%d,a%d\n", 1, 0),
    "long": (b"%d,a%d,2024-01-01,note,5,6\n", 1, 0),
    "not text": (b"%d,a%d\xff\xfe,2024-01-01,note,5\n", 1, 0),
    "split": (b"%d,a%d,2024-01-01,two\nlines,5\n", 1, 1),
    "Windows": (b"%d,a%d,2024-01-01,note,5\r\n", 1, 1),
}


def text_of(kinds):
    lines = [b"id,account,at,note,amount\n", b"0,a0,2024-01-01,note,5\n"]
    for number, kind in enumerate(kinds, start=1):
        line = LINES[kind][0]
        lines.append(line % ((number,) * line.count(b"%d")))
    return b"".join(lines)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(sorted(LINES)), max_size=12))
def test_every_record_of_any_mixture_of_lines_is_read_or_rejected_once(tmp_path_factory, kinds):
    path = tmp_path_factory.mktemp("mixture") / "orders.csv"
    path.write_bytes(text_of(kinds))
    keys = frozenset({"id", "account", "at", "amount"})
    read = read_file(connect(), path, "orders", FileOptions(unbroken=keys))
    table = read.table.order_by("cx_row").to_pandas()
    records = 1 + sum(LINES[kind][1] for kind in kinds)
    whole = 1 + sum(LINES[kind][2] for kind in kinds)
    assert (len(table), len(read.unreadable)) == (whole, records - whole)
    assert sorted([*table["cx_row"], *read.unreadable["row_number"]]) == list(range(1, records + 1))
    assert table["id"].astype(int).is_monotonic_increasing
    for row in table.itertuples():
        assert row.account.replace(",", "") == f"a{row.id}"
    assert read.joined == kinds.count("split")


# --- the same rows from every kind of place ---------------------------------------------------

ROWS = [
    [1, "a", "2024-01-01", 5],
    ["two", "b", "2024-01-02 10:00", "7.5"],
    [3, None, "2024-01-03", 1],
    [4, "d", "soon", 1],
    [5, "e", "1899-12-31", 1],
    [6, "f", "2100-01-01", 1],
    [7, "g", "2024-01-04", "ten"],
    [1, "h", "2024-01-05", 1],
    [None, "i", "2024-01-06", 1],
    ["=1+1", "@j", "2024-01-07", -2],
]
REASONS = [
    "no customer",
    "unreadable time in 'at': 'soon'",
    "lies outside 1900-01-01 to 2100-01-01: '1899-12-31'",
    "lies outside 1900-01-01 to 2100-01-01: '2100-01-01'",
    "no number in 'amount': 'ten'",
    "the order_id '1' stood before",
    "no id",
]


def objects():
    return [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def write_csv(folder):
    lines = [",".join("" if value is None else str(value) for value in row) for row in ROWS]
    (folder / "orders.csv").write_text("\n".join([",".join(NAMES), *lines]) + "\n")


def write_parquet(folder):
    pd.DataFrame(ROWS, columns=NAMES, dtype="string").to_parquet(folder / "orders.parquet")


def write_sqlite(folder):
    with closing(sqlite3.connect(folder / "orders.sqlite")) as con, con:
        con.execute(f"CREATE TABLE orders ({', '.join(NAMES)})")
        con.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", ROWS)


def write_duckdb(folder):
    frame = pd.DataFrame(ROWS, columns=NAMES, dtype="string")
    with duckdb.connect(str(folder / "orders.duckdb")) as con:
        con.register("frame", frame)
        con.execute("CREATE TABLE orders AS SELECT * FROM frame")


PLACES = {
    "csv": ("file: orders.csv", write_csv),
    "json": (
        "file: orders.json",
        lambda folder: (folder / "orders.json").write_text(json.dumps(objects())),
    ),
    "json lines": (
        "file: orders.jsonl",
        lambda folder: (folder / "orders.jsonl").write_text("\n".join(map(json.dumps, objects()))),
    ),
    "parquet": ("file: orders.parquet", write_parquet),
    "excel": (
        "file: orders.xlsx",
        lambda folder: write_xlsx(folder / "orders.xlsx", {"orders": [NAMES, *ROWS]}),
    ),
    "sqlite": ("database: orders.sqlite\n        table: orders", write_sqlite),
    "duckdb": ("database: orders.duckdb\n        table: orders", write_duckdb),
}


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    """A build of the same rows from every place, each of them a source."""
    _, rule = ORDERS.split("      orders:\n")
    rules = [
        f"      {name.replace(' ', '_')}:\n{rule.replace('file: orders.csv', where)}"
        for name, (where, _) in PLACES.items()
    ]
    sources = "    name: shop\n    sources:\n" + "".join(rules)
    workspace = write(tmp_path_factory.mktemp("everywhere"), {}, sources)
    for _, put in PLACES.values():
        put(workspace / "exports")
    return build_store(workspace).snapshot


@pytest.mark.parametrize("place", PLACES)
def test_the_same_mixed_rows_have_the_same_fate_wherever_they_lie(everywhere, place):
    def rows_of(name):
        rows = everywhere.table(name)
        return rows.filter(rows.source == place.replace(" ", "_"))

    events = rows_of("events").order_by("occurred_at").to_pandas()
    assert events["customer_id"].tolist() == ["a", "b", "@j"]
    assert events["value"].tolist() == [5, 7.5, -2]
    rejected = rows_of("rejects").order_by("row_number").to_pandas()
    assert rejected["row_number"].tolist() == [3, 4, 5, 6, 7, 8, 9]
    for said, reason in zip(rejected["reason"], REASONS, strict=True):
        assert reason in said
    counts = rows_of("sources").to_pandas().iloc[0]
    assert counts["rows_read"] == counts["rows_stored"] + counts["rows_rejected"] == len(ROWS)


# --- times ------------------------------------------------------------------------------------


def test_times_that_no_calendar_of_pandas_holds_are_rejected_alone(tmp_path):
    workspace = write(tmp_path, {}, ORDERS.replace("orders.csv", "orders.parquet"))
    place = workspace / "exports" / "orders.parquet"
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT i AS order_id, 'a' AS account, t AS \"at\", 1 AS amount FROM (VALUES "
            "(1, TIMESTAMP '1600-01-01'), (2, TIMESTAMP '9999-12-31 23:59:59'), "
            f"(3, TIMESTAMP '2024-01-01')) AS v(i, t)) TO '{place}'"
        )
    result = build_store(workspace)
    assert [number for number, _ in rejects(result)] == [1, 2]
    assert result.counts["events"] == 1


def test_cells_with_dates_are_times_like_others(tmp_path):
    rows = [NAMES, [1, "a", date(2024, 1, 1), 1], [2, "a", datetime(2024, 1, 1, 12, 30), 1]]
    workspace = write(tmp_path, {}, ORDERS.replace("orders.csv", "orders.xlsx"))
    write_xlsx(workspace / "exports" / "orders.xlsx", {"orders": rows})
    times = build_store(workspace).snapshot.table("events").order_by("occurred_at").to_pandas()
    assert times["occurred_at"].dt.strftime("%H:%M").tolist() == ["00:00", "12:30"]


@pytest.mark.parametrize(
    ("zone", "local", "first", "second"),
    [
        ("Europe/Rome", "2024-10-27 02:30", "00:30", "01:30"),
        ("Australia/Lord_Howe", "2024-04-07 01:45", "14:45", "15:15"),
        ("Europe/Rome", "2024-07-01 12:00", "10:00", "10:00"),
        ("Europe/Rome", "2024-03-31 02:30", "01:30", "01:30"),
    ],
)
@pytest.mark.parametrize("pattern", [None, "'%Y-%m-%d %H:%M'"])
def test_a_time_that_a_clock_shows_twice_is_the_one_that_is_declared(
    zone, local, first, second, pattern
):
    import ibis

    from cxlib.ingest.fields import TimeColumn
    from cxlib.ingest.rules import parse_time

    pattern = pattern and pattern.strip("'")
    for fold, expected in (("first", first), ("second", second)):
        rule = TimeColumn(column="at", zone=zone, format=pattern, fold=fold)
        text = ibis.memtable({"at": [local]}).at
        got = connect().execute(parse_time(text, rule, "UTC"))
        assert got.dt.strftime("%H:%M").tolist() == [expected]


# --- descriptions that ask for what they may not ----------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "name: !!python/object/apply:os.system ['touch {made}']\n",
        "name: !!python/object/new:subprocess.Popen [['touch', '{made}']]\n",
        "name: !!python/name:os.system\n",
        "? !!python/object/apply:os.system ['touch {made}']\n: x\n",
        "name: !include /etc/passwd\n",
    ],
)
def test_a_description_that_asks_for_code_or_files_is_refused_and_does_nothing(tmp_path, text):
    made = tmp_path / "made"
    workspace = write(tmp_path / "w", {}, text.format(made=made))
    with pytest.raises(CxError, match=r"sources\.yml line 1: could not determine a constructor"):
        build_store(workspace)
    assert not made.exists()


def test_a_description_that_swells_as_it_is_read_is_refused(tmp_path):
    text = "name: shop\na0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)
    )
    with pytest.raises(CxError, match=r"sources\.yml repeats its own parts until they are 4,294,"):
        build_store(write(tmp_path, {}, text))


# --- on the command line ----------------------------------------------------------------------


@pytest.mark.filterwarnings("always::cxlib.errors.CxWarning")
def test_a_reject_of_several_files_names_its_own_on_the_command_line(tmp_path, monkeypatch, capsys):
    from cxlib.publish.cli import main

    build(tmp_path, {"a.csv": "order_id,account,at,amount\n1,a,2024-01-01,1\n"}, SEVERAL)
    (tmp_path / "exports" / "b.csv").write_text("order_id,account,when,amount\n2,a,2024-01-02,1\n")
    monkeypatch.setattr(sys, "argv", ["cxlib", "build", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        main()
    shown = capsys.readouterr()
    assert end.value.code == 0
    assert "orders: b.csv: no column 'at' (it has 'order_id', 'account', 'when'" in shown.out
    assert "since the last build, in orders: the column 'when' is new" in shown.err


SEVERAL = ORDERS.replace("orders.csv", "'*.csv'")


def test_a_touchpoint_with_a_nul_and_a_number_with_underscores_are_rejected(tmp_path):
    named = ORDERS.replace("touchpoint: placed_order", "touchpoint: {column: what}")
    orders = b"order_id,account,at,amount,what\n1,a,2024-01-01,5,x\n2,b,2024-01-01,5,x\x00y\n"
    result = build(tmp_path, {"orders.csv": orders + b"3,c,2024-01-01,1_000,x\n"}, named)
    assert rejects(result) == [
        (2, "a NUL character in 'what'"),
        (3, "no number in 'amount': '1_000'"),
    ]
    assert result.counts["rows_read"] == result.counts["rows_stored"] + 2
