"""Contradictions in the exports are counted and shown, never repaired."""

import pytest

from cxlib.errors import CxError
from tests.ingest.workspaces import build

SOURCES = """
    name: desk
    sources:
      accounts:
        file: accounts.csv
        id: id
        customer: {key: id}
        attributes: [plan]
        events: [{touchpoint: signed_up, time: since}]
      plans:
        file: plans.csv
        customer: {key: account}
        attributes: [plan]
      tickets:
        file: tickets.csv
        customer: {column: account, of: accounts}
        events: [{touchpoint: opened_ticket, time: at, score: {column: csat, scale: csat}}]
    checks:
      - {name: tickets after sign-up, source: tickets, column: at, not_before: accounts.since}
      - name: who left
        agree:
          - {source: accounts, when: {left: yes please}}
          - {source: plans, when: {state: [ended, paused]}}
"""
FILES = {
    "accounts.csv": (
        "id,plan,since,left\na,basic,2024-01-10,yes please\nb,pro,2024-01-10,\na,pro,2024-02-01,\n"
        "c,,2024-01-10 08:00,yes please\n"
    ),
    "plans.csv": "account,plan,state\na,gold,ended\nc,gold,running\nd,gold, paused \n",
    "tickets.csv": (
        "account,at,csat\na,2024-01-09 23:59,5\na,2024-01-10 00:00,\nb,2024-02-01 10:00,3\n"
    ),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build(tmp_path_factory.mktemp("quality"), FILES, SOURCES).snapshot


@pytest.fixture(scope="module")
def findings(store):
    return store.table("quality").to_pandas().set_index(["check", "source"])


def test_repeated_ids_are_counted_with_examples(findings):
    found = findings.loc[("ids are unique", "accounts")]
    assert (found["n"], found["failing"], found["examples"]) == (4, 1, "a")


def test_times_without_a_time_of_day_are_counted(findings):
    found = findings.loc[("since has a time of day", "accounts")]
    assert (found["n"], found["failing"]) == (3, 2)


def test_an_order_that_does_not_hold_is_counted_and_the_row_is_kept(findings):
    found = findings.loc[("tickets after sign-up", "tickets")]
    assert (found["n"], found["failing"]) == (3, 1)


def test_flags_that_disagree_are_counted_by_customer(findings):
    found = findings.loc[("who left", "accounts, plans")]
    assert (found["n"], found["failing"], found["examples"]) == (3, 2, "c, d")
    assert found["note"] == "2 customers by accounts, 2 by plans"


def test_attributes_that_differ_between_sources_are_counted(findings):
    check = "plan is the same in all records of a customer"
    found = findings.loc[(check, "accounts, plans")]
    assert (found["n"], found["failing"], found["examples"]) == (4, 1, "a")


def test_empty_measures_are_counted(findings):
    found = findings.loc[("csat is filled", "tickets")]
    assert (found["n"], found["failing"]) == (3, 1)


def test_the_first_source_that_knows_an_attribute_gives_it(store):
    plans = store.table("customers").to_pandas().set_index("customer_id")["plan"]
    assert plans.to_dict() == {"a": "basic", "b": "pro", "c": "gold", "d": "gold"}


def test_every_record_of_a_register_has_its_identity_and_the_rule(store):
    frame = store.table("identities").to_pandas()
    assert sorted(frame["record_id"]) == ["a", "b", "c"]
    assert frame["rule"].unique().tolist() == ["shared key id"]


def test_a_check_sees_the_exports_columns_only(tmp_path):
    sources = SOURCES.replace("not_before: accounts.since", "not_before: accounts.cx_row")
    with pytest.raises(CxError, match="there is no column 'cx_row' in accounts; there are 'id', "):
        build(tmp_path, FILES, sources)
