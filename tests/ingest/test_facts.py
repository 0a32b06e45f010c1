"""What records say of a customer, whom to believe, and where they differ."""

import pytest

from cxlib.errors import CxError
from cxlib.ingest.config import load_sources
from tests.ingest.workspaces import build, write

SOURCES = """
    name: shop
    sources:
      billing:
        file: billing.csv
        id: bill_id
        customer: {key: mail}
        attributes: [{column: plan, valid_from: changed}, {column: town, name: city}]
        events: [{touchpoint: signed_up, time: changed}]
      crm:
        file: crm.csv
        id: crm_id
        customer: {key: mail}
        attributes:
          - {column: plan, valid_from: made}
          - {column: city, valid_from: made}
          - {column: born}
      moves:
        file: moves.csv
        customer: {column: crm_id, of: crm}
        attributes: [{column: city, valid_from: moved}]
    survivorship: {lasting: [born]}
"""
FILES = {
    "billing.csv": (
        "bill_id,mail,plan,town,changed\nB1,a,pro,Rome,2024-01-01\nB2,b,pro,,2024-01-01\n"
        "B3,c,basic,Bari,2024-01-01\n"
    ),
    "crm.csv": (
        "crm_id,mail,plan,city,born,made\n"
        "C1,a,basic,Rome,1990,2024-02-01\n"
        "C2,a,,Milan,,2024-03-01\n"
        "C3,b,pro,Turin,,2024-02-01\n"
    ),
    "moves.csv": "crm_id,city,moved\nC3,Genoa,2024-04-01\nC3,Pisa,2024-05-01\n",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build(tmp_path_factory.mktemp("facts"), FILES, SOURCES).snapshot


def conflicts(store):
    frame = store.table("conflicts").to_pandas()
    columns = ["customer_id", "attribute", "chosen", "values", "sources", "rule"]
    return [(*row[:3], list(row[3]), list(row[4]), row[5]) for row in frame[columns].values]


def attributes(store):
    frame = store.table("customers").to_pandas()
    frame = frame.set_index("customer_id")[["plan", "city", "born"]]
    return frame.astype(object).where(frame.notna(), None).T.to_dict("list")


def test_every_value_is_a_fact_with_its_time_and_its_record(store):
    facts = store.table("facts").to_pandas()
    facts["day"] = facts["valid_from"].dt.strftime("%d.%m.").fillna("-")
    columns = ["customer_id", "attribute", "value", "day", "source", "record_id"]
    own = facts[facts["customer_id"] == "a"][columns].values.tolist()
    assert sorted(own) == [
        ["a", "born", "1990", "-", "crm", "C1"],
        ["a", "city", "Milan", "01.03.", "crm", "C2"],
        ["a", "city", "Rome", "-", "billing", "B1"],
        ["a", "city", "Rome", "01.02.", "crm", "C1"],
        ["a", "plan", "basic", "01.02.", "crm", "C1"],
        ["a", "plan", "pro", "01.01.", "billing", "B1"],
    ]


def test_the_most_trusted_source_is_the_first_one_unless_another_order_is_given(store, tmp_path):
    assert attributes(store) == {
        "a": ["pro", "Rome", "1990"],
        "b": ["pro", "Turin", None],
        "c": ["basic", "Bari", None],
    }
    other = SOURCES.replace("{lasting", "{trust: [moves, crm], lasting")
    assert attributes(build(tmp_path, FILES, other).snapshot) == {
        "a": ["basic", "Milan", "1990"],
        "b": ["pro", "Pisa", None],
        "c": ["basic", "Bari", None],
    }


def test_the_newest_record_counts_where_that_is_the_rule_of_the_attribute(tmp_path):
    newest = SOURCES.replace("{lasting", "{attributes: {city: newest}, lasting")
    assert attributes(build(tmp_path, FILES, newest).snapshot) == {
        "a": ["pro", "Milan", "1990"],
        "b": ["pro", "Pisa", None],
        "c": ["basic", "Bari", None],
    }


def test_the_most_complete_record_is_the_one_that_says_most(tmp_path):
    # C1 says three things of a, B1 two and C2 one; of b C3 says two and B2 one.
    fullest = SOURCES.replace("{lasting", "{rule: most_complete, lasting")
    found = attributes(build(tmp_path, FILES, fullest).snapshot)
    assert found["a"] == ["basic", "Rome", "1990"]
    assert found["b"] == ["pro", "Turin", None]


def test_conflicts_say_who_says_what_and_whom_the_rule_believes(store):
    # That Genoa came before Pisa is a history of one record, and no conflict.
    assert conflicts(store) == [
        ("a", "city", "Rome", ["Rome", "Milan", "Rome"], ["billing", "crm", "crm"], "most_trusted"),
        ("a", "plan", "pro", ["pro", "basic"], ["billing", "crm"], "most_trusted"),
        ("b", "city", "Turin", ["Turin", "Pisa"], ["crm", "moves"], "most_trusted"),
    ]


def test_quality_counts_the_customers_whose_records_differ(store):
    quality = store.table("quality").to_pandas()
    found = quality.set_index("check").loc["city is the same in all records of a customer"]
    assert (found["n"], found["failing"], found["examples"]) == (3, 2, "a, b")
    assert found["source"] == "billing, crm, moves"
    assert "decided by the rule most_trusted" in found["note"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{lasting: [born]}", "{trust: [crmm]}", "no source 'crmm' to trust; did you mean 'crm'"),
        ("{lasting: [born]}", "{lasting: [bron]}", "no attribute 'bron' .*did you mean 'born'"),
        ("{lasting: [born]}", "{attributes: {citi: newest}}", "did you mean 'city'"),
        ("{lasting: [born]}", "{rule: oldest}", "line 22, survivorship.rule"),
        ("survivorship: {lasting: [born]}", "meaning: {buys: [sign_up]}", "mean 'signed_up'"),
        ("survivorship: {lasting: [born]}", "meaning: {consent: agrees}", "no attribute 'agrees'"),
        ("survivorship: {lasting: [born]}", "meaning: {renews: signed_up}", "without starts_sub"),
        (
            "survivorship: {lasting: [born]}",
            "meaning: {opens_ticket: signed_up, ticket: born}",
            "no column 'born' that an event keeps with columns:",
        ),
        (
            "survivorship: {lasting: [born]}",
            "meaning: {opens_ticket: signed_up, closes_ticket: signed_up}",
            "'signed_up' stands under opens_ticket and closes_ticket",
        ),
        (
            "survivorship: {lasting: [born]}",
            "meaning: {starts_subscription: signed_up, term_months: 0}",
            "line 22, meaning.term_months",
        ),
    ],
)
def test_a_mistake_in_meaning_or_survivorship_is_named(tmp_path, old, new, said):
    workspace = write(tmp_path, {}, SOURCES.replace(old, new))
    with pytest.raises(CxError, match=said):
        load_sources(workspace / "sources.yml")
