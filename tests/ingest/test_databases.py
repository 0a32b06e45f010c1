"""A build that reads real databases beside files, and keeps their secrets."""

import csv
import random
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from urllib.parse import quote

import duckdb
import pytest
from tenacity import wait_none

from cxlib.build import build_store
from cxlib.engine.databases import fetching
from cxlib.engine.store import open_store
from cxlib.errors import CxError
from cxlib.ingest.checking import check_sources
from cxlib.ingest.config import load_sources
from cxlib.ingest.fetched import database_url
from tests.engine.databases_here import PASSWORD, postgres_server
from tests.ingest.workspaces import ORDERS, build, write

COMPANY = """
    name: company
    timezone: Europe/Rome
    sources:
      accounts:
        database: ${CRM_DSN}
        table: crm.accounts
        id: id
        customer: {key: email}
        attributes: [plan]
        events: [{touchpoint: signed_up, time: created_at}]
      invoices:
        database: ${CRM_DSN}
        query: >
          SELECT invoice_id, account_id, paid_at, amount FROM billing.invoices
          JOIN billing.payments USING (invoice_id)
        id: invoice_id
        customer: {column: account_id, of: accounts}
        events: [{touchpoint: paid_invoice, time: paid_at, value: amount}]
      tickets:
        file: tickets.csv
        id: ticket
        customer: {key: email}
        events: [{touchpoint: opened_ticket, time: opened_at}]
"""


class Company:
    """Rows that go into the databases and the file, and what they must become."""

    def __init__(self) -> None:
        chance = random.Random(5)
        start = datetime(2024, 1, 1)
        self.accounts = [
            (n, f"p{n}@x.org", chance.choice(["basic", "pro"]), start + timedelta(hours=n))
            for n in range(300)
        ]
        self.invoices = [(n, chance.randrange(330)) for n in range(2_000)]
        self.payments = [
            (n, start + timedelta(days=30, minutes=n), n / 4) for n in range(0, 2_000, 2)
        ]
        self.tickets = [(n, f"p{chance.randrange(310)}@x.org") for n in range(500)]

    def counts(self) -> Counter[str]:
        paid = {n for n, *_ in self.payments}
        known = {n for n, *_ in self.accounts}
        return Counter(
            signed_up=len(self.accounts),
            paid_invoice=sum(n in paid and account in known for n, account in self.invoices),
            opened_ticket=len(self.tickets),
        )

    def value(self) -> float:
        owner = dict(self.invoices)
        known = {n for n, *_ in self.accounts}
        return sum(amount for n, _, amount in self.payments if owner[n] in known)


@pytest.fixture(scope="module")
def company():
    return Company()


@pytest.fixture(scope="module")
def server(company):
    with postgres_server() as running:
        from adbc_driver_postgresql import dbapi

        tables = {
            "crm.accounts": ("id int, email text, plan text, created_at timestamptz", "accounts"),
            "billing.invoices": ("invoice_id int, account_id int", "invoices"),
            "billing.payments": (
                "invoice_id int, paid_at timestamp, amount numeric(12, 2)",
                "payments",
            ),
        }
        with dbapi.connect(running.url) as con, con.cursor() as cursor:
            for schema in ("crm", "billing"):
                cursor.execute(f"CREATE SCHEMA {schema}")
            for name, (columns, rows) in tables.items():
                cursor.execute(f"CREATE TABLE {name} ({columns})")
                values = ", ".join(str(tuple(map(plain, row))) for row in getattr(company, rows))
                cursor.execute(f"INSERT INTO {name} VALUES {values}")
            con.commit()
        yield running


def plain(value):
    return f"{value:%Y-%m-%d %H:%M}" + "" if isinstance(value, datetime) else value


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(fetching, "_WAIT", wait_none())


@pytest.fixture(scope="module")
def built(server, company, tmp_path_factory):
    """Workspace of the company, and its first build."""
    folder = write(tmp_path_factory.mktemp("company"), {}, COMPANY)
    with (folder / "exports" / "tickets.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ticket", "email", "opened_at"])
        rows.writerows((n, email, "2024-06-01 10:00") for n, email in company.tickets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_DSN", server.url)
        return folder, build_store(folder)


@pytest.fixture
def workspace(built, server, monkeypatch):
    monkeypatch.setenv("CRM_DSN", server.url)
    return built[0]


def holds(folder, secret):
    """Files below a folder that hold a text."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_a_build_joins_two_schemas_of_postgres_with_a_file(built, company):
    result = built[1]
    events = result.snapshot.table("events")
    got = events.group_by("touchpoint").aggregate(n=events.count()).to_pandas()
    assert Counter(dict(got.values)) == company.counts()
    assert events.value.sum().to_pyarrow().as_py() == pytest.approx(company.value())
    everyone = {email for _, email, *_ in company.accounts} | {e for _, e in company.tickets}
    assert result.counts["customers"] == len(everyone)
    lost = result.snapshot.table("rejects").to_pandas()
    unknown = sum(n % 2 == 0 and account >= 300 for n, account in company.invoices)
    assert lost["file"].tolist() == ["query"] * unknown
    assert lost["reason"].str.contains("is not an id of accounts").all()
    sources = result.snapshot.table("sources").to_pandas().set_index("source")["rows_read"]
    assert sources.to_dict() == {"accounts": 300, "invoices": 1_000, "tickets": 500}
    times = events.filter(events.touchpoint == "paid_invoice").occurred_at.min()
    # No zone stands in the table: it is that of the workspace.
    assert times.to_pyarrow().as_py() == datetime(2024, 1, 30, 23)


def test_rows_in_another_order_are_the_same_rows_and_a_new_one_is_not(server, company, workspace):
    from adbc_driver_postgresql import dbapi

    first = build_store(workspace)
    with dbapi.connect(server.url) as con, con.cursor() as cursor:
        cursor.execute("UPDATE crm.accounts SET plan = plan WHERE id < 10")
        con.commit()
        assert build_store(workspace).reused
        cursor.execute("UPDATE crm.accounts SET plan = 'gone' WHERE id = 10")
        con.commit()
        second = build_store(workspace)
        cursor.execute(f"UPDATE crm.accounts SET plan = '{company.accounts[10][2]}' WHERE id = 10")
        con.commit()
    assert not second.reused
    assert second.snapshot.id != first.snapshot.id


def test_the_secret_of_a_database_stands_nowhere(server, workspace, monkeypatch, capfd):
    from cxlib.publish.cli import main

    for secret in (server.url, server.url.replace("word@", "wort@"), "dbname=x password=s3cret&wo"):
        monkeypatch.setenv("CRM_DSN", secret)
        monkeypatch.setattr(sys, "argv", ["cxlib", "build", str(workspace), "--debug"])
        try:
            main()
        except SystemExit:
            said = capfd.readouterr()
            assert "s3cret" not in said.out + said.err
            assert PASSWORD not in said.out + said.err
    for secret in (PASSWORD, quote(PASSWORD), "s3cret"):
        assert holds(workspace, secret) == []
    assert not list(workspace.glob("store/.fetched-*"))


def test_a_database_that_is_gone_leaves_the_store_as_it_was(server, workspace):
    before = open_store(workspace).id
    server.stop()
    try:
        with pytest.raises(CxError, match=r"source 'accounts' went away while it was read"):
            build_store(workspace)
    finally:
        server.start()
    assert open_store(workspace).id == before
    assert not list(workspace.glob("store/.fetched-*"))


def test_a_preset_reads_the_tables_that_a_schema_has(server, tmp_path, monkeypatch):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(server.url) as con, con.cursor() as cursor:
        for statement in (
            "CREATE SCHEMA stripe",
            "CREATE TABLE stripe.customer (id text, email text, created timestamptz, "
            "delinquent boolean)",
            "INSERT INTO stripe.customer VALUES ('cus_1', 'a@x.org', '2024-01-01 11:00+01', true)",
            "CREATE TABLE stripe.charge (id text, customer_id text, created timestamp, "
            "status text, amount bigint, currency text)",
            "INSERT INTO stripe.charge VALUES "
            "('ch_1', 'cus_1', '2024-02-01 10:00', 'succeeded', 1250, 'eur'),"
            "('ch_2', 'cus_2', '2024-02-02 10:00', 'failed', 900, 'eur')",
        ):
            cursor.execute(statement)
        con.commit()
    monkeypatch.setenv("BILLING_DSN", server.url)
    words = "preset: stripe, database: '${BILLING_DSN}', schema: stripe, without: [invoice]"
    sources = f"name: shop\nsources:\n  billing: {{{words}}}\n"
    snapshot = build(tmp_path, {}, sources).snapshot
    checked = check_sources(load_sources(tmp_path / "sources.yml"), tmp_path / "exports")
    assert (checked.sources["rows"].sum(), checked.useless) == (3, [])
    events = snapshot.table("events").order_by("occurred_at").to_pandas()
    told = ["touchpoint", "occurred_at", "value"]
    assert events[told].astype(str).to_numpy().tolist() == [
        ["became_customer", "2024-01-01 10:00:00", "nan"],
        ["made_payment", "2024-02-01 10:00:00", "12.5"],
        ["had_payment_declined", "2024-02-02 10:00:00", "nan"],
    ]
    assert events["customer_id"].nunique() == 2
    assert set(snapshot.table("sources").to_pandas()["source"]) == {
        "billing_customer",
        "billing_charge",
    }


def test_a_missing_table_is_said_where_it_is_needed(server, tmp_path, monkeypatch):
    monkeypatch.setenv("BILLING_DSN", server.url)
    sources = """
    name: shop
    sources:
      orders:
        database: ${BILLING_DSN}
        table: shop.orders
        customer: {key: account}
        events: [{touchpoint: placed_order, time: at}]
    """
    with pytest.raises(CxError, match=r"the source 'orders' has no table 'shop\.orders'"):
        build(tmp_path, {}, sources)


def test_a_file_of_sqlite_and_one_of_duckdb_are_sources(tmp_path):
    sources = ORDERS.replace("file: orders.csv", "database: shop.sqlite\n        table: orders")
    more = sources[sources.index("      orders:") :].replace("orders", "returns")
    more = more.replace("shop.sqlite", "shop.duckdb").replace("order_id", "return_id")
    workspace = write(tmp_path, {}, sources + more)
    with closing(sqlite3.connect(workspace / "exports" / "shop.sqlite")) as con, con:
        con.execute("CREATE TABLE orders (order_id, account, at, amount)")
        rows = [(1, "a", "2024-01-01", 5), (2, "b", "2024-01-02", "ten"), ("x", "a", 7, None)]
        con.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    with duckdb.connect(str(workspace / "exports" / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE returns AS SELECT 1 AS return_id, 'a' AS account, "
            "DATE '2024-01-03' AS at, 2.5 AS amount"
        )
    result = build_store(workspace)
    assert result.counts["events"] == 2
    lost = result.snapshot.table("rejects").to_pandas()
    assert lost[["file", "reason"]].values.tolist() == [
        ["orders", "no number in 'amount': 'ten'"],
        ["orders", "unreadable time in 'at': '7'"],
    ]
    assert build_store(workspace).reused


def test_a_column_that_a_table_lacks_is_said_with_those_it_has(tmp_path):
    sources = ORDERS.replace("file: orders.csv", "database: shop.duckdb\n        table: orders")
    workspace = write(tmp_path, {}, sources)
    with duckdb.connect(str(workspace / "exports" / "shop.duckdb")) as con:
        con.execute("CREATE TABLE orders AS SELECT 1 AS order_id, 'a' AS account, 2 AS amount")
    with pytest.raises(CxError, match=r"orders: no column 'at' \(it has 'order_id', 'account', "):
        build_store(workspace)


def test_a_build_needs_no_folder_of_exports_where_all_rows_lie_in_databases(tmp_path, monkeypatch):
    sources = ORDERS.replace("file: orders.csv", "database: ${SHOP}\n        table: orders")
    workspace = write(tmp_path / "w", {}, sources)
    (workspace / "exports").rmdir()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE orders AS SELECT 1 AS order_id, 'a' AS account, DATE '2024-01-01' AS at,"
            " 2 AS amount"
        )
    monkeypatch.setenv("SHOP", f"duckdb:///{tmp_path}/shop.duckdb")
    assert build_store(workspace).counts["events"] == 1


def test_what_a_killed_build_had_fetched_is_removed_by_the_next(tmp_path, monkeypatch):
    sources = ORDERS.replace("file: orders.csv", "database: ${SHOP}\n        table: orders")
    workspace = write(tmp_path, {}, sources)
    left = workspace / "store" / ".fetched-dead"
    left.mkdir(parents=True)
    (left / "orders.parquet").write_text("personal")
    monkeypatch.setenv("SHOP", "duckdb:///nowhere.duckdb")
    with pytest.raises(CxError, match="source 'orders' cannot be read"):
        build_store(workspace)
    assert not left.exists()


def test_a_variable_that_is_not_set_is_named(tmp_path):
    with pytest.raises(CxError, match=r"the environment has no CRM_DSN, which says where .*'crm'"):
        database_url("crm", "${CRM_DSN}", tmp_path, {"CRM_DSN": ""})
    url = "postgresql://crm:${PASSWORD}@db/crm"
    assert database_url("crm", url, tmp_path, {"PASSWORD": "x"}) == "postgresql://crm:x@db/crm"


def test_what_is_no_url_is_not_repeated(tmp_path):
    with pytest.raises(CxError, match=r"'crm' is no URL; write it as postgresql://") as error:
        database_url("crm", "${DSN}", tmp_path, {"DSN": "host=db password=s3cret"})
    assert "s3cret" not in str(error.value)


def test_a_database_that_is_a_link_out_of_the_exports_is_refused(tmp_path):
    sources = ORDERS.replace("file: orders.csv", "database: shop.db\n        table: orders")
    workspace = write(tmp_path / "w", {}, sources)
    with pytest.raises(CxError, match=r"no database 'shop\.db' in the exports folder; put"):
        build_store(workspace)
    (tmp_path / "real.db").touch()
    (workspace / "exports" / "shop.db").symlink_to(tmp_path / "real.db")
    with pytest.raises(CxError, match="is a link that leads outside the exports folder"):
        build_store(workspace)
