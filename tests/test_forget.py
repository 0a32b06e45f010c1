"""A forgotten person is in no table, no byte and no later build of a store."""

import shutil
import stat

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cxlib.build import build_store
from cxlib.engine.store import list_snapshots, open_store
from cxlib.errors import CxError
from cxlib.forget import forget_customer
from cxlib.publish.cli import app
from tests.ingest.workspaces import write

SOURCES = """
    name: shop
    sources:
      accounts:
        file: accounts.csv
        id: id
        customer: {key: email}
        attributes: [plan]
        events: [{touchpoint: signed_up, time: at}]
      orders:
        file: orders.csv
        id: id
        customer: {column: account, of: accounts}
        events: [{touchpoint: placed_order, time: at}]
"""
ADA = "ada.lovelace@analytical.example"
FILES = {
    "accounts.csv": "id,email,plan,at\n"
    f"A-17,{ADA},difference-engine,2024-01-01\n"
    "A-18,bob@shop.example,basic,2024-01-02\n",
    "orders.csv": "id,account,at\nO-1001,A-17,2024-02-01\nO-1002,A-18,2024-02-02\n"
    "O-1003,A-17,soon-by-ada\nO-1004,A-18,later,A-17\n",
}
MARKS = (ADA, "A-17", "O-1001", "difference-engine", "soon-by-ada")


@pytest.fixture(scope="module")
def built_shop(tmp_path_factory):
    """Two snapshots of a shop of two customers, not to be changed."""
    workspace = write(tmp_path_factory.mktemp("shop"), FILES, SOURCES)
    build_store(workspace)
    orders = FILES["orders.csv"] + "O-1005,A-18,2024-02-05\n"
    (workspace / "exports" / "orders.csv").write_text(orders)
    build_store(workspace)
    return workspace


@pytest.fixture
def shop(built_shop, tmp_path):
    """Those two snapshots, to be changed."""
    return shutil.copytree(built_shop, tmp_path / "shop")


def marks_in_files(workspace):
    """Marks of the person that any file of the store holds."""
    held = b"".join(p.read_bytes() for p in (workspace / "store").rglob("*") if p.is_file())
    return {mark for mark in MARKS if mark.encode() in held}


def test_no_byte_of_the_person_is_left_in_the_store(shop):
    assert {ADA, "A-17"} <= marks_in_files(shop)
    done = forget_customer(shop, ADA)
    assert done.is_complete
    assert marks_in_files(shop) == set()


def test_every_snapshot_goes_on_without_the_person(shop):
    tables = forget_customer(shop, ADA).tables.set_index("table")
    # The sign-up and one order, in each of two snapshots.
    assert tables.loc["events", "rows_changed"].tolist() == [2, 2]
    assert tables.loc["customers", "rows_changed"].tolist() == [1, 1]
    for snapshot in list_snapshots(shop):
        events = snapshot.table("events")
        assert events.customer_id.nunique().execute() == 1
        assert snapshot.meta["counts"]["events"] == events.count().execute()
        assert snapshot.meta["counts"]["customers"] == 1


def test_the_next_build_of_the_same_exports_does_not_bring_them_back(shop):
    forget_customer(shop, ADA)
    result = build_store(shop)
    assert not result.reused
    assert marks_in_files(shop) == set()
    store = result.snapshot
    assert store.table("customers").customer_id.to_list() == ["bob@shop.example"]
    sources = store.table("sources").to_pandas().set_index("source")
    # The account, two orders; and of Bob's the line with a field too many.
    assert sources.loc["accounts", "rows_rejected"] == 1
    assert sources.loc["orders", "rows_read"] == 5
    assert sources.loc["orders", "rows_stored"] == 2
    rejects = store.table("rejects").to_pandas()
    assert rejects["record"].isna().all()
    said = rejects[rejects["reason"].str.contains("was forgotten")]
    assert said.groupby("source")["rows"].sum().to_dict() == {"accounts": 1, "orders": 2}
    (shop / "exports" / "accounts.csv").write_text(FILES["accounts.csv"].replace("basic", "pro"))
    assert build_store(shop).counts["customers"] == 1
    assert marks_in_files(shop) == set()


@pytest.mark.parametrize("name", ["accounts:A-17", "A-17"])
def test_a_person_is_found_by_the_id_of_a_record(shop, name):
    assert forget_customer(shop, name).customer_ids == (ADA,)


def test_what_remains_is_a_keyed_hash_whose_key_only_the_owner_reads(shop):
    forget_customer(shop, ADA)
    key = shop / "forgotten.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    hashes = (shop / "store" / "FORGOTTEN").read_text()
    assert len(hashes) > 64
    assert key.read_text().strip() not in hashes


def test_somebody_whom_nobody_knows_is_said(shop):
    with pytest.raises(
        CxError, match=r"no snapshot of .* knows a customer or record 'eve'; give a"
    ):
        forget_customer(shop, "eve")


def test_an_id_that_several_customers_have_is_refused(tmp_path):
    more = "\n      users: {file: users.csv, id: id, customer: {key: email}}\n"
    users = "id,email\nA-17,bob@shop.example\n"
    build_store(write(tmp_path, {**FILES, "users.csv": users}, SOURCES.rstrip() + more))
    with pytest.raises(CxError, match="'A-17' is the id of 2 customers' records; give it as"):
        forget_customer(tmp_path, "A-17")
    assert forget_customer(tmp_path, "accounts:A-17").customer_ids == (ADA,)


def test_an_id_that_another_customer_has_in_another_snapshot_is_refused(tmp_path):
    only = SOURCES[: SOURCES.index("      orders:")]
    workspace = write(tmp_path, {"accounts.csv": FILES["accounts.csv"]}, only)
    build_store(workspace)
    users = "id,email,plan,at\nA-17,eve@shop.example,basic,2024-01-03\n"
    other = only.replace("accounts", "users")
    build_store(write(workspace, {"users.csv": users}, other))
    with pytest.raises(CxError, match="'A-17' is the id of 2 customers' records; give it as"):
        forget_customer(workspace, "A-17")
    assert forget_customer(workspace, "users:A-17").customer_ids == ("eve@shop.example",)


def test_a_person_who_has_another_name_in_another_snapshot_leaves_both(shop):
    renamed = FILES["accounts.csv"].replace(ADA, "countess@analytical.example")
    (shop / "exports" / "accounts.csv").write_text(renamed)
    build_store(shop)
    done = forget_customer(shop, "countess@analytical.example")
    assert set(done.customer_ids) == {ADA, "countess@analytical.example"}
    assert marks_in_files(shop) == set()


def test_who_held_a_record_before_and_is_somebody_else_stays(shop):
    """Account 18 was Ada's for a day, and is Bob's again."""
    taken = FILES["accounts.csv"].replace("A-18,bob@shop.example", f"A-18,{ADA}")
    (shop / "exports" / "accounts.csv").write_text(taken)
    build_store(shop)
    (shop / "exports" / "accounts.csv").write_text(FILES["accounts.csv"])
    build_store(shop)
    assert forget_customer(shop, "bob@shop.example").customer_ids == ("bob@shop.example",)
    assert open_store(shop).table("customers").customer_id.to_list() == [ADA]


def test_what_dead_builds_left_goes_too(shop):
    store = shop / "store"
    for left in (".building-dead", "damaged"):
        shutil.copytree(open_store(shop).path, store / "snapshots" / left)
    (store / "snapshots" / "damaged" / "meta.json").unlink()
    (store / ".fetched-dead").mkdir()
    (store / ".fetched-dead" / "rows").write_text(ADA)
    forget_customer(shop, ADA)
    assert marks_in_files(shop) == set()


def test_what_cannot_be_removed_is_said(shop, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(CxError, match=r"store/staged/.* cannot be removed and may name the cus"):
        forget_customer(shop, ADA)


def test_no_build_goes_on_without_the_key_of_the_forgotten(shop):
    forget_customer(shop, ADA)
    (shop / "forgotten.key").unlink()
    with pytest.raises(CxError, match=r"forgotten\.key' is gone, by which forgotten people are kn"):
        build_store(shop)
    with pytest.raises(CxError, match=r"forgotten\.key' is gone"):
        forget_customer(shop, "bob@shop.example")


def test_the_command_prints_the_search(shop):
    result = CliRunner().invoke(app, ["forget", str(shop), "accounts:A-17"])
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    found = {(line[0], line[1]): line[2:] for line in lines[1:-1]}
    assert found[open_store(shop).id, "events"] == ["2", "0"]
    assert result.output.endswith("No table of any snapshot names the customer.\n")


PEOPLE = """
    name: shop
    sources:
      crm:
        file: crm.csv
        id: id
        identity: {name: who, email: email}
        personal: [words]
        events: [{touchpoint: wrote, time: at, text: words}]
      billing:
        file: billing.csv
        id: id
        identity: {name: payer, email: email}
        events: [{touchpoint: paid, time: at}]
"""
RECORDS = {
    "crm.csv": "id,who,email,words,at\n"
    f"C-1,Ada Lovelace,{ADA},Not at all happy with the engine,2024-01-01\n"
    "C-2,Bob Shop,bob@shop.example,All is well here,2024-01-02\n",
    "billing.csv": f"id,payer,email,at\nB-1,Ada Lovelace,{ADA},2024-02-01\n"
    "B-2,Bob Shop,bob@shop.example,2024-02-02\n",
}


def test_the_personal_table_forgets_them_too(tmp_path):
    workspace = write(tmp_path, RECORDS, PEOPLE)
    build_store(workspace)
    assert {"lovelace", ADA, "engine"} <= told(workspace)
    assert forget_customer(workspace, "crm:C-1").is_complete
    assert told(workspace) == set()
    build_store(workspace)
    assert told(workspace) == {"bob", "bob@shop.example", "all is well"}


def told(workspace):
    """What the personal table still tells of Ada and Bob."""
    parts = sorted((workspace / "store" / "personal").glob("*.parquet"))
    values = [str(v).lower() for part in parts for row in read(part) for v in row.values()]
    marks = ("lovelace", ADA, "engine", "bob", "bob@shop.example", "all is well")
    return {mark for mark in marks if any(mark in value for value in values)}


def read(part):
    return pq.read_table(part).to_pylist()
