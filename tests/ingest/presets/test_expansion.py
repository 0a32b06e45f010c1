"""A preset becomes one source for each table, as the user wants it."""

import re

import pytest

from cxlib.errors import CxError
from cxlib.ingest.config import load_sources
from tests.ingest.workspaces import build, write

SHOP = """
    name: shop
    sources:
      billing:
        preset: stripe
        folder: stripe
"""
CUSTOMERS = "id,email,created,note\ncus_1,a@x.example,2024-01-01 10:00:00,vip\n"
CHARGES = (
    "id,customer_id,created,status,amount,currency\n"
    "ch_1,cus_1,2024-02-01 10:00:00,succeeded,1250,eur\n"
)


def loaded(folder, sources=SHOP, files=("customer.csv", "charge.csv")):
    (folder / "exports" / "stripe").mkdir(parents=True)
    for name in files:
        text = CUSTOMERS if name.casefold().startswith("customer") else CHARGES
        (folder / "exports" / "stripe" / name).write_text(text)
    return load_sources(write(folder, {}, sources) / "sources.yml").sources


def test_tables_whose_file_is_there_become_sources(tmp_path):
    sources = loaded(tmp_path)
    assert list(sources) == ["billing_customer", "billing_charge"]
    assert sources["billing_charge"].file == "stripe/charge.csv"
    assert sources["billing_charge"].customer.of == "billing_customer"


@pytest.mark.parametrize("name", ["charge_data.csv.gz", "stripe_charge.parquet", "CHARGE.CSV"])
def test_a_table_is_found_by_the_names_that_its_file_may_have(tmp_path, name):
    assert loaded(tmp_path, files=[name])["billing_charge"].file == f"stripe/{name}"


def test_a_pattern_of_the_user_names_the_files(tmp_path):
    sources = loaded(
        tmp_path, SHOP + '        files: "{table}-2024*.csv"\n', ["charge-2024-01.csv"]
    )
    assert sources["billing_charge"].file == "stripe/charge-2024*.csv"


def test_a_customer_whose_table_is_left_out_is_named_by_id(tmp_path):
    sources = SHOP.replace("folder: stripe", "without: [customer]")
    result = build(tmp_path, {"charge.csv": CHARGES, "customer.csv": CUSTOMERS}, sources)
    events = result.snapshot.table("events").to_pandas()
    assert events["customer_id"].tolist() == ["billing_customer:cus_1"]
    assert result.snapshot.table("sources").to_pandas()["source"].tolist() == ["billing_charge"]


def test_what_the_user_says_of_a_table_counts_and_is_added(tmp_path):
    more = """\
        tables:
          customer:
            attributes: [note]
            add_attributes: [{column: email, name: address}]
            add_events: [{touchpoint: was_greeted, time: created}]
"""
    customer = loaded(tmp_path, SHOP + more)["billing_customer"]
    assert [fact.name for fact in customer.attributes] == ["note", "address"]
    assert [rule.touchpoint for rule in customer.events] == ["became_customer", "was_greeted"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("preset: stripe", "preset: strype", "line 5, .*no preset 'strype'; did you mean 'stripe'"),
        ("folder: stripe", "folders: stripe", "line 6, .*'folders' means nothing here"),
        ("folder: stripe", "folder: nowhere", "line 5, .*no file of Stripe is in the folder"),
        (
            "folder: stripe",
            "without: [invoices]",
            "line 5, .*no table 'invoices' in the preset 'stripe'; did you mean 'invoice'",
        ),
        (
            "folder: stripe",
            "tables: {charge: {file: c.csv, events: [{touchpoint: x, tim: at}]}}",
            "line 6, sources.billing.tables.charge.events.0.tim: the word 'tim' means nothing here",
        ),
        (
            "folder: stripe",
            "tables: {charge: {file: c.csv, customer: {key: a, of: b}}}",
            "line 6, sources.billing.tables.charge.customer: give either {key: COLUMN}",
        ),
        (
            "folder: stripe",
            "folder: stripe\n      billing_charge: {file: c.csv, customer: {key: a}}",
            "line 7, .*the preset gives this source too",
        ),
    ],
)
def test_a_mistake_in_the_use_of_a_preset_is_named_with_its_line(tmp_path, old, new, said):
    with pytest.raises(CxError, match=re.sub(r"([{}])", r"\\\1", said)):
        loaded(tmp_path, SHOP.replace(old, new))


def test_two_presets_stand_side_by_side_and_share_customers(tmp_path):
    sources = """
        name: shop
        sources:
          billing: {preset: stripe}
          mail: {preset: klaviyo}
    """
    files = {
        "customer.csv": CUSTOMERS,
        "charge.csv": CHARGES,
        "person.csv": "id,email,created\np1,A@x.example,2023-12-01 10:00:00\n",
    }
    events = build(tmp_path, files, sources).snapshot.table("events").to_pandas()
    assert events["customer_id"].nunique() == 1
    assert sorted(events["source"].unique()) == [
        "billing_charge",
        "billing_customer",
        "mail_person",
    ]
    assert events["value"].sum() == 12.5


def test_a_table_with_an_identity_is_linked_by_the_model(tmp_path):
    customers = (
        "id,email,name,phone,created\n"
        "cus_1,ada.lund@x.example,Ada Lund,+1 202 555 0101,2024-01-01 10:00:00\n"
        "cus_2,bo@x.example,Bo Ek,+1 202 555 0102,2024-01-02 10:00:00\n"
    )
    crm = "id,who,mail,tel,at\nc1,Ada Lund,ada.lund@home.example,2025550101,2024-01-05\n"
    sources = SHOP.replace(
        "        folder: stripe\n",
        "        tables: {customer: {identity: {name: name, email: email, phone: phone}}}\n"
        "      crm:\n"
        "        file: crm.csv\n"
        "        id: id\n"
        "        identity: {name: who, email: mail, phone: tel}\n"
        "        events: [{touchpoint: called, time: at}]\n",
    )
    files = {"customer.csv": customers, "charge.csv": CHARGES, "crm.csv": crm}
    events = build(tmp_path, files, sources).snapshot.table("events").to_pandas()
    owners = events.groupby("customer_id")["event_id"].apply(set)
    assert sorted(owners, key=len) == [
        {"billing_customer:cus_2"},
        {"billing_customer:cus_1", "billing_charge:ch_1:0", "crm:c1"},
    ]
