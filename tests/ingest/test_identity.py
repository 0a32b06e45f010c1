"""Who is who: parties of the sources become customers through one table."""

import ibis

from cxlib.engine.connect import connect
from cxlib.ingest.config import CustomerKey, Source
from cxlib.ingest.identity import assign_customers
from cxlib.ingest.sources import StagedSource
from tests.ingest.workspaces import build

ORDERS_CSV = "order_id,account,at,amount\n1,a,2024-01-01,5\n2,b,2024-01-02,7.5\n"


def assigned(parties, customers):
    con = connect()
    rule = Source(file="orders.csv", customer=CustomerKey(key="account"))
    rows = ibis.memtable({"cx_party": parties}).mutate(cx_reason=ibis.null("string"))
    sources = {"orders": StagedSource("orders", rule, con.create_table("judged", rows, temp=True))}
    if customers is not None:
        customers = con.create_table("customers", customers, temp=True)
    rows = assign_customers(con, sources, customers)["orders"].rows
    return rows.order_by("cx_party").to_pandas()["cx_customer"].tolist()


def test_a_party_becomes_the_customer_that_the_table_names():
    customers = ibis.memtable({"party": ["a", "b"], "customer_id": ["a", "a"]})
    assert assigned(["a", "b"], customers) == ["a", "a"]


def test_a_party_that_the_table_does_not_know_is_its_own_customer():
    customers = ibis.memtable({"party": ["a"], "customer_id": ["z"]})
    assert assigned(["a", "b"], customers) == ["z", "b"]
    assert assigned(["a", "b"], None) == ["a", "b"]


def test_records_with_a_shared_key_are_known_from_the_start(tmp_path):
    store = build(tmp_path, {"orders.csv": ORDERS_CSV}).snapshot
    known = store.table("identities").order_by("record_id").to_pandas()
    assert known[["record_id", "customer_id", "rule"]].values.tolist() == [
        ["1", "a", "shared key account"],
        ["2", "b", "shared key account"],
    ]
    assert known["known_at"].isna().all()
    assert len(store.table("merges").to_pandas()) == 0
