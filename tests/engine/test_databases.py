"""Rows of databases come as text, batch by batch, and nothing of them is changed or told."""

import sqlite3
from contextlib import closing, contextmanager

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tenacity import wait_none

from cxlib.engine.databases import drivers, fetching
from cxlib.engine.databases.fetching import fetch_rows
from cxlib.errors import CxError
from tests.engine.databases_here import PASSWORD, mariadb_server, postgres_server


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(fetching, "_WAIT", wait_none())


def fetch(url, tmp_path, **what):
    fetch_rows(url, tmp_path / "rows.parquet", whose="accounts", **what)
    return pq.read_table(tmp_path / "rows.parquet").to_pylist()


def refused(url, tmp_path, **what):
    with pytest.raises(CxError) as error:
        fetch(url, tmp_path, **what)
    assert error.value.__cause__ is None
    return str(error.value)


# --- PostgreSQL -------------------------------------------------------------------------------


def run(url, *statements):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as con, con.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        con.commit()


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as server:
        run(
            server.url,
            "CREATE SCHEMA crm",
            'CREATE TABLE crm.accounts (id int, "at" timestamptz, paid numeric(10, 2), key uuid, '
            'facts jsonb, open boolean, day date, "odd.na""me" text)',
            "INSERT INTO crm.accounts VALUES (1, '2024-07-01 12:00+02', 1.50, "
            "'871f1f81-c2b6-490e-a547-1e5ecc53c45a', '{\"a\": 1}', true, '1820-01-01', 'Zoë'), "
            "(2, null, 'NaN', null, null, null, 'infinity', '')",
            "CREATE TABLE many AS SELECT i, 'x' || i AS t FROM generate_series(1, 120000) AS i",
        )
        yield server


def test_postgres_gives_text_of_every_kind_of_value(postgres, tmp_path):
    first, second = fetch(postgres.url, tmp_path, table="crm.accounts")
    assert first == {
        "id": "1",
        "at": "2024-07-01 10:00:00+00",
        "paid": "1.50",
        "key": "871f1f81-c2b6-490e-a547-1e5ecc53c45a",
        "facts": '{"a": 1}',
        "open": "true",
        "day": "1820-01-01",
        'odd.na"me': "Zoë",
    }
    assert (second["at"], second["paid"], second["day"]) == (None, "NaN", "infinity")


def test_postgres_gives_the_rows_of_a_query(postgres, tmp_path):
    query = "SELECT count(*) AS n, sum(i) AS total FROM many -- all of them"
    assert fetch(postgres.url, tmp_path, query=query) == [{"n": "120000", "total": "7200060000"}]


def test_postgres_gives_more_rows_than_one_batch_holds(postgres, tmp_path):
    assert {row["i"] for row in fetch(postgres.url, tmp_path, table="many")} == {
        str(n) for n in range(1, 120_001)
    }


def test_a_query_changes_nothing_in_postgres(postgres, tmp_path):
    run(
        postgres.url,
        "CREATE FUNCTION empty() RETURNS int LANGUAGE sql AS 'DELETE FROM many; SELECT 1'",
    )
    said = refused(postgres.url, tmp_path, query="SELECT empty() AS a")
    assert "read-only transaction" in said
    assert fetch(postgres.url, tmp_path, query="SELECT count(*) AS n FROM many") == [
        {"n": "120000"}
    ]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"table": "crm.customers"}, "has no table 'crm.customers'"),
        ({"query": "SELECT * FROM crm.customers"}, 'relation "crm.customers" does not exist'),
        ({"query": "SELECT 1 AS a, 2 AS a"}, 'column reference "a" is ambiguous'),
        ({"query": "DROP TABLE many"}, "syntax error"),
    ],
)
def test_what_postgres_cannot_give_is_said(postgres, tmp_path, what, reason):
    said = refused(postgres.url, tmp_path, **what)
    assert said.startswith("the database of the source 'accounts' ")
    assert reason in said


def test_a_wrong_password_is_not_told(postgres, tmp_path):
    said = refused(postgres.url.replace("word@", "wort@"), tmp_path, table="many")
    assert "password authentication failed" in said
    assert "s3cret" not in said


def test_postgres_that_dies_in_the_middle_is_tried_again_until_it_is_back(
    postgres, tmp_path, monkeypatch
):
    reads = []

    def read(url, table, query):
        for number, batch in enumerate(drivers.read_postgres(url, table, query)):
            yield batch
            if number == 1 and not reads:
                reads.append("killed")
                postgres.kill()
            elif number == 1 and reads == ["killed"]:
                reads.append("read")

    def reader_of(url):
        if reads == ["killed"]:
            postgres.start()
        return read

    monkeypatch.setattr(fetching, "reader_of", reader_of)
    run(postgres.url, "CREATE TABLE wide AS SELECT i, repeat('x', 400) AS t FROM many")
    rows = fetch(postgres.url, tmp_path, table="wide")
    assert (len(rows), reads) == (120_000, ["killed", "read"])


def test_postgres_that_stays_away_is_a_clear_stop(postgres, tmp_path):
    postgres.stop()
    try:
        said = refused(postgres.url, tmp_path, table="many")
    finally:
        postgres.start()
    assert said.startswith(
        "the database of the source 'accounts' went away while it was read, 4 times ("
    )
    assert said.endswith("the store is as it was: build again when it is back")
    assert PASSWORD not in said


# --- MySQL and MariaDB ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb():
    with mariadb_server() as server:
        yield server


@contextmanager
def mysql(server):
    from urllib.parse import urlsplit

    import pymysql

    place = urlsplit(server.url)
    options = {"host": place.hostname, "port": place.port, "database": "crm", "autocommit": True}
    with pymysql.connect(user="crm", password=PASSWORD, **options) as con, con.cursor() as cursor:
        yield cursor


def test_mysql_gives_text_of_every_kind_of_value_and_its_times_in_utc(mariadb, tmp_path):
    with mysql(mariadb) as cursor:
        cursor.execute(
            "CREATE TABLE accounts (id int, at timestamp NULL, local_at datetime,"
            " paid decimal(9, 2), name varchar(20), raw blob, open bit(1))"
        )
        cursor.execute("SET time_zone = '+02:00'")
        cursor.execute(
            "INSERT INTO accounts VALUES (1, '2024-07-01 12:00:00', '2024-07-01 12:00:00', 1.5,"
            " 'Zoë', 'raw', b'1'), (2, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
    first, second = fetch(mariadb.url, tmp_path, table="crm.accounts")
    assert list(first.values()) == [
        *("1", "2024-07-01 10:00:00Z", "2024-07-01 12:00:00", "1.50", "Zoë", "raw", "1")
    ]
    assert list(second.values()) == ["2", *[None] * 6]
    query = "SELECT max(id) AS last FROM accounts"
    assert fetch(mariadb.url, tmp_path, query=query) == [{"last": "2"}]


def test_a_query_changes_nothing_in_mysql_and_a_wrong_password_is_not_told(mariadb, tmp_path):
    with mysql(mariadb) as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS plans (id int)")
    assert "READ ONLY" in refused(mariadb.url, tmp_path, query="INSERT INTO plans VALUES (1)")
    said = refused(mariadb.url.replace("word@", "wort@"), tmp_path, table="plans")
    assert "Access denied" in said
    assert "s3cret" not in said


# --- SQLite, DuckDB, and what Ibis opens ------------------------------------------------------


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("CREATE TABLE orders (id, amount, note)")
        con.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [(1, 2.5, "a"), ("two", "many", b"\xff\x00"), (None, 3, "")],
        )
    return f"sqlite:///{path}"


def test_sqlite_gives_values_of_several_kinds_in_one_column(sqlite, tmp_path):
    rows = fetch(sqlite, tmp_path, table="orders")
    assert [tuple(row.values()) for row in rows] == [
        ("1", "2.5", "a"),
        ("two", "many", "ff00"),
        (None, "3", ""),
    ]


@pytest.mark.parametrize("query", ["DELETE FROM orders", "ATTACH 'other.db' AS other"])
def test_a_query_neither_changes_sqlite_nor_opens_another_file(sqlite, tmp_path, query):
    assert "cannot be read" in refused(sqlite, tmp_path, query=query)
    assert len(fetch(sqlite, tmp_path, table="orders")) == 3


@pytest.fixture
def shop(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'Europe/Rome'")
        con.execute(
            "CREATE TABLE orders AS SELECT 1 AS id, 2.50 AS amount, "
            "TIMESTAMPTZ '2024-07-01 12:00:00' AS at"
        )
    return f"duckdb:///{tmp_path}/shop.duckdb"


def test_duckdb_gives_its_times_in_utc(shop, tmp_path):
    expected = [{"id": "1", "amount": "2.50", "at": "2024-07-01 10:00:00+00"}]
    assert fetch(shop, tmp_path, table="orders") == expected
    assert fetch(shop, tmp_path, query="FROM main.orders") == expected


def test_no_query_of_duckdb_reaches_another_file(shop, tmp_path):
    (tmp_path / "secret.csv").write_text("a\nb\n")
    query = f"SELECT * FROM read_csv('{tmp_path}/secret.csv')"
    assert "file system operations are disabled" in refused(shop, tmp_path, query=query)


@pytest.mark.parametrize("what", [{"table": "main.orders"}, {"query": "SELECT id FROM orders"}])
def test_ibis_gives_text_from_the_engines_that_it_opens(shop, tmp_path, what):
    batches = list(drivers.read_by_ibis(shop, what.get("table"), what.get("query")))
    table = pa.Table.from_batches(batches)
    assert table["id"].to_pylist() == ["1"]
    assert {str(kind) for kind in table.schema.types} == {"string"}


def test_an_engine_that_nobody_knows_is_said_without_its_url(tmp_path):
    said = refused("nosuch://me:s3cret@host/db", tmp_path, table="orders")
    assert "cannot open the engine 'nosuch'" in said
    assert "s3cret" not in said


# --- patience, with a driver of the test ------------------------------------------------------


def batch():
    return pa.record_batch({"id": pa.array(["1"])})


def test_a_database_that_comes_back_is_read_from_the_start(tmp_path, monkeypatch):
    attempts = []

    def read(url, table, query):
        attempts.append(table)
        yield batch()
        yield batch()
        if len(attempts) < 4:
            raise ConnectionResetError("gone")

    monkeypatch.setattr(fetching, "reader_of", lambda url: read)
    assert fetch("postgresql://db", tmp_path, table="orders") == [{"id": "1"}]
    assert len(attempts) == 4


def test_what_no_patience_mends_is_tried_once(tmp_path, monkeypatch):
    attempts = []

    def read(url, table, query):
        attempts.append(table)
        raise KeyError("orders")
        yield

    monkeypatch.setattr(fetching, "reader_of", lambda url: read)
    refused("postgresql://db", tmp_path, table="orders")
    assert len(attempts) == 1


def test_a_driver_that_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch):
    def read(url, table, query):
        raise ModuleNotFoundError("no pymysql", name="pymysql")
        yield

    monkeypatch.setattr(fetching, "reader_of", lambda url: read)
    said = refused("mysql://db", tmp_path, table="orders")
    assert said.endswith("needs a driver that is not installed (pymysql); install cxlib[mysql]")


def test_a_column_with_a_name_of_cxlib_is_refused(tmp_path, monkeypatch):
    rows = pa.record_batch({"cx_row": pa.array(["1"])})
    monkeypatch.setattr(fetching, "reader_of", lambda url: lambda *_: iter([rows]))
    assert "names that begin with cx_" in refused("mysql://db", tmp_path, table="orders")
