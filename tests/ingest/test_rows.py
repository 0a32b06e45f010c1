"""Columns by other names, lacking and borrowed ones, rows left out, and whose rows they are."""

import pytest

from cxlib.ingest.checking import check_sources
from cxlib.ingest.config import load_sources
from tests.ingest.workspaces import build, rejects

SHOP = """
    name: shop
    sources:
      accounts:
        file: accounts.csv
        id: id
        customer: {key: email, otherwise: id}
        leave_out: {role: [agent, admin], deleted: "true"}
        attributes: [{column: plan, name: tariff}]
        may_lack: [plan, deleted]
      orders:
        file: orders.csv
        id: id
        customer: {column: account, of: accounts, unknown: keep}
        events: [{touchpoint: placed_order, time: at}]
        aliases: {account: [account_no]}
      refunds:
        file: refunds.csv
        optional: true
        customer: {column: order, of: orders}
        borrow: [{of: orders, by: order, columns: {ordered_at: at, kind: kind}}]
        events: [{touchpoint: got_refund, time: ordered_at, columns: [kind]}]
"""
ACCOUNTS = "id,email,role\n1,a@x.example,user\n2,,user\n3,c@x.example,agent\n"
ORDERS = "ID,ACCOUNT_NO,At\n10,1,2024-01-01\n11,2,2024-01-02\n12,9,2024-01-03\n"


def customers_of(result):
    frame = result.snapshot.table("events").to_pandas()
    return dict(zip(frame["event_id"], frame["customer_id"], strict=True))


def test_a_row_without_the_key_or_its_owner_gives_a_customer_of_its_own(tmp_path):
    result = build(tmp_path, {"accounts.csv": ACCOUNTS, "orders.csv": ORDERS}, SHOP)
    assert customers_of(result) == {
        "orders:10": "a@x.example",
        "orders:11": "accounts:2",  # no e-mail
        "orders:12": "accounts:9",  # no account
    }


def test_a_row_left_out_is_rejected_with_what_it_says(tmp_path):
    result = build(tmp_path, {"accounts.csv": ACCOUNTS, "orders.csv": ORDERS}, SHOP)
    assert rejects(result) == [(3, "left out: 'role' is 'agent'")]


def test_a_row_left_out_does_not_make_a_later_one_a_repetition(tmp_path):
    versions = "id,email,role\n1,old@x.example,agent\n1,new@x.example,user\n1,b@x.example,user\n"
    result = build(tmp_path, {"accounts.csv": versions, "orders.csv": ORDERS}, SHOP)
    assert rejects(result) == [
        (1, "left out: 'role' is 'agent'"),
        (3, "the id '1' stood before, in row 2"),
    ]
    assert customers_of(result)["orders:10"] == "new@x.example"
    ids = result.snapshot.table("quality").to_pandas().set_index(["check", "source"])
    assert ids.loc[("ids are unique", "accounts"), ["n", "failing"]].tolist() == [2, 1]


def test_neither_key_nor_its_stand_in_is_a_reject(tmp_path):
    accounts = ACCOUNTS + ",,user\n"
    result = build(tmp_path, {"accounts.csv": accounts, "orders.csv": ORDERS}, SHOP)
    assert "the columns 'email' and 'id' are empty" in rejects(result)[-1][1]


def test_an_optional_export_that_is_not_there_is_no_mistake(tmp_path):
    result = build(tmp_path, {"accounts.csv": ACCOUNTS, "orders.csv": ORDERS}, SHOP)
    assert "refunds" not in result.snapshot.table("sources").to_pandas()["source"].tolist()


def test_columns_are_borrowed_from_the_row_that_is_named(tmp_path):
    files = {
        "accounts.csv": ACCOUNTS,
        "orders.csv": ORDERS,
        "refunds.csv": "order,kind\n11,whole\n99,part\n",
    }
    result = build(tmp_path, files, SHOP)
    found = result.snapshot.table("events").to_pandas()
    refund = found[found["touchpoint"] == "got_refund"].iloc[0]
    assert str(refund["occurred_at"]) == "2024-01-02 00:00:00"
    assert refund["customer_id"] == "accounts:2"
    assert refund["kind"] is None  # the borrowed column, which orders lacks, takes its place
    assert (
        2,
        "no customer: '99' is not an id of orders; no time: the column 'ordered_at' is empty",
    ) in (rejects(result))


def test_the_rows_of_a_personal_column_are_hashed_in_its_source_alone(tmp_path):
    personal = SHOP.replace(
        "may_lack: [plan, deleted]", "may_lack: [plan, deleted]\n        personal: [email]"
    )
    result = build(tmp_path, {"accounts.csv": ACCOUNTS, "orders.csv": ORDERS}, personal)
    assert customers_of(result)["orders:10"].startswith("c_")
    assert customers_of(result)["orders:11"] == "accounts:2"


TESTERS = """
    name: shop
    personal: [email]
    sources:
      orders:
        file: orders.csv
        customer: {key: email}
        RULE
"""
RULES_ON_PERSONAL = [
    "leave_out: {email: Test@shop.example}\n        events: [{touchpoint: bought, time: at}]",
    "events: [{touchpoint: bought, time: at, unless: {email: [test@shop.example]}}]",
    "events: [{touchpoint: bought, time: at, when: {email: ann@x.example}}]",
    "events: [{touchpoint: {column: email, map: {ann@x.example: b}, other: reject}, time: at}]",
]


@pytest.mark.parametrize("rule", RULES_ON_PERSONAL)
def test_a_rule_on_a_personal_column_is_held_to_its_values(tmp_path, rule):
    orders = "email,at\nTEST@shop.example,2024-01-01\nann@x.example,2024-01-02\n"
    result = build(tmp_path, {"orders.csv": orders}, TESTERS.replace("RULE", rule))
    events = result.snapshot.table("events").to_pandas()
    assert events["touchpoint"].tolist() in (["bought"], ["b"])
    assert events["occurred_at"].dt.day.tolist() == [2]
    assert "shop.example" not in str(rejects(result))
    config = load_sources(tmp_path / "sources.yml", exports=tmp_path / "exports")
    checked = check_sources(config, tmp_path / "exports")
    assert checked.examples["touchpoint"].tolist() == events["touchpoint"].tolist()
    assert checked.doubts == []


def test_a_rule_on_a_column_borrowed_from_a_personal_one_is_held_to_its_values(tmp_path):
    personal = SHOP.replace("aliases: {acc", "personal: [kind]\n        aliases: {acc").replace(
        "columns: [kind]}", "columns: [kind], when: {kind: gift}}"
    )
    orders = "id,account,at,kind\n10,1,2024-01-01,gift\n11,1,2024-01-01,own\n"
    refunds = "order\n10\n11\n"
    result = build(
        tmp_path,
        {"accounts.csv": ACCOUNTS, "orders.csv": orders, "refunds.csv": refunds},
        personal,
    )
    events = result.snapshot.table("events").to_pandas()
    assert events["touchpoint"].tolist().count("got_refund") == 1
    assert "gift" not in events.to_string()
