"""Records are linked by keys and by a model; guards, decisions and errors."""

import logging

import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.ingest.evidence import explain_identity
from cxlib.ingest.linking.clusters import cluster_records
from tests.bench.identity import (
    FAKE,
    FEBRL,
    agreement,
    company,
    fake,
    febrl,
    link_records,
    measured,
)
from tests.ingest.workspaces import build

TWO_SYSTEMS = """
    name: shop
    sources:
      crm:
        file: crm.csv
        id: id
        identity: {given_name: first, surname: last, email: mail, phone: phone, birth_date: born}
      orders:
        file: orders.csv
        id: id
        identity: {name: who, email: mail, phone: phone}
        events: [{touchpoint: placed_order, time: at}]
"""
CRM = """\
    id,first,last,mail,phone,born
    C1,Ida,Lund,ida@example.com,202-555-0101,1980-01-12
    C2,Jon,Lund,ida@example.com,202-555-0102,1978-03-04
    C3,Mia,Berg,info@example.com,202-555-0103,1990-05-06
"""
ORDERS = """\
    id,who,mail,phone,at
    O1,Ida Lund,IDA@example.com ,,2024-01-01
    O2,"Lund, Jon",ida@example.com,,2024-01-02
    O3,Otto Falk,info@example.com,202-555-0199,2024-01-03
    O4,,ida@example.com,,2024-01-04
"""


def who_is_who(folder, crm=CRM, orders=ORDERS, decisions=None):
    if decisions is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "identities.yml").write_text(decisions, encoding="utf-8")
    store = build(folder, {"crm.csv": crm, "orders.csv": orders}, TWO_SYSTEMS).snapshot
    known = store.table("identities").to_pandas()
    return dict(zip(known["record_id"], known["customer_id"], strict=True)), store


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    return who_is_who(tmp_path_factory.mktemp("linked"))


def test_equal_e_mails_link_people_of_one_name_and_not_the_household(linked):
    who, store = linked
    assert who["C1"] == who["O1"]
    assert who["C2"] == who["O2"] != who["C1"]
    refused = store.table("merges").filter(lambda t: t.decision == "refused").to_pandas()
    assert "two people share the e-mail" in set(refused["rule"])


def test_a_shared_e_mail_without_a_name_belongs_to_neither(linked):
    who, _ = linked
    assert who["O4"] not in (who["C1"], who["C2"])


def test_the_address_of_an_office_links_nobody(linked):
    who, _ = linked
    assert who["C3"] != who["O3"]


def test_a_row_that_tells_nobody_is_rejected(tmp_path):
    _, store = who_is_who(
        tmp_path, orders=ORDERS + "    O5,Ida Lund,info@example.com,,2024-01-05\n"
    )
    rejects = store.table("rejects").to_pandas()
    assert rejects["reason"].tolist() == [
        "no customer: no e-mail or phone of a person, and no name with address or birth date"
    ]


def test_decisions_by_hand_win(tmp_path):
    decisions = "same:\n- [crm:C3, orders:O3]\ndifferent:\n- [crm:C1, orders:O1]\n"
    who, store = who_is_who(tmp_path, decisions=decisions)
    assert who["C3"] == who["O3"]
    assert who["C1"] != who["O1"]
    by_hand = store.table("merges").filter(lambda t: t.decision == "manual").to_pandas()
    assert by_hand[["left_id", "right_id"]].to_numpy().tolist() == [["C3", "O3"]]


def test_a_merge_is_explained_by_its_decisions(tmp_path):
    _, store = who_is_who(tmp_path, decisions="same: [[crm:C3, orders:O3]]\n")
    why = explain_identity(store, "orders:O1", "crm:C1")
    assert why[["decision", "rule"]].to_numpy().tolist() == [["key", "same e-mail and name"]]
    assert explain_identity(store, "crm:C3", "orders:O3")["decision"].tolist() == ["manual"]
    apart = explain_identity(store, "crm:C1", "crm:C2")
    assert apart[["decision", "rule"]].to_numpy().tolist() == [
        ["refused", "two people share the e-mail"]
    ]
    assert list(explain_identity(store, "crm:C1", "orders:O3")) == list(why)
    assert explain_identity(store, "crm:C1", "orders:O3").empty
    for name, said in [
        ("C1", "'C1' names no record"),
        ("crn:C1", "no source 'crn' that names customers"),
        ("crm:C9", "no usable record 'C9'"),
    ]:
        with pytest.raises(CxError, match=said):
            explain_identity(store, name, "crm:C1")


def test_undo_is_a_build_without_the_decision(tmp_path):
    before, first = who_is_who(tmp_path)
    merged, _ = who_is_who(tmp_path, decisions="same: [[crm:C3, orders:O3]]\n")
    assert merged["C3"] == merged["O3"]
    (tmp_path / "identities.yml").unlink()
    after, again = who_is_who(tmp_path)
    assert (after, again.id) == (before, first.id)


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        ("same: [[crm:C1]]\n", "identities.yml line 1"),
        ("same: [[crm:C1, C2]]\n", "'C2' names no record; write it as SOURCE:ID"),
        ("same: [[crm:C1, crm:C1]]\n", "stands twice in one list"),
        ("alike: [[crm:C1, crm:C2]]\n", "the word 'alike' means nothing here"),
        ("same: [[crn:C1, crm:C2]]\n", "no source 'crn' .* did you mean 'crm'"),
        ("same: [[crm:C1, crm:C9]]\n", "crm:C9, which no usable row of crm has"),
        (
            "same: [[crm:C1, crm:C3]]\ndifferent: [[crm:C1, crm:C3]]\n",
            "calls crm:C1 and crm:C3 the same, and by other lines different",
        ),
    ],
)
def test_a_wrong_decision_stops_the_build(tmp_path, decisions, said):
    with pytest.raises(CxError, match=said):
        who_is_who(tmp_path, decisions=decisions)


def links(*pairs):
    frame = pd.DataFrame(pairs, columns=["left", "right", "probability"])
    return frame.assign(decision="model")


NOBODY = pd.DataFrame({"left": [], "right": []}, dtype="int64")


def test_a_weak_link_may_not_hold_two_groups_together():
    chain = links((0, 1, 1.0), (1, 2, 0.95), (2, 3, 1.0))
    cluster, decided = cluster_records(chain, NOBODY, records=4, max_size=50)
    assert cluster.tolist() == [0, 0, 2, 2]
    assert sorted(decided["decision"]) == ["flagged", "model", "model"]


def test_two_weak_links_hold_what_one_may_not():
    square = links((0, 1, 1.0), (1, 2, 0.95), (2, 3, 1.0), (0, 3, 0.95))
    cluster, _ = cluster_records(square, NOBODY, records=4, max_size=50)
    assert cluster.tolist() == [0, 0, 0, 0]


def test_a_cluster_that_is_too_large_is_taken_apart_but_for_its_keys():
    star = links(*((0, n, 1.0) for n in range(1, 6)))
    star.loc[0, "decision"] = "key"
    cluster, decided = cluster_records(star, NOBODY, records=6, max_size=5)
    assert cluster.tolist() == [0, 0, 2, 3, 4, 5]
    assert (decided["decision"] == "flagged").sum() == 4


def test_what_must_stay_apart_does_and_keeps_its_surest_links():
    chain = links((0, 1, 0.999), (1, 2, 0.95))
    apart = pd.DataFrame({"left": [0], "right": [2]})
    cluster, _ = cluster_records(chain, apart, records=3, max_size=50)
    assert cluster.tolist() == [0, 0, 2]


def test_few_records_are_linked_without_training():
    people = pd.DataFrame(
        {
            "id": ["1", "2", "3"],
            "given_name": ["Ida", "Ida", "Otto"],
            "surname": ["Lund", "Lunnd", "Falk"],
            "street_number": ["7", "7", "9"],
            "address_1": ["Elm Street", "Elm Street", "Oak Road"],
            "suburb": ["Bergen", "Bergen", "Oslo"],
            "postcode": ["5003", "5003", "0150"],
            "date_of_birth": ["1980-01-12", "1980-01-12", "1975-04-01"],
        }
    )
    linked = link_records(people, FEBRL)["customer_id"].tolist()
    assert linked[0] == linked[1] != linked[2]


def test_the_same_records_give_the_same_links_and_splink_says_nothing(
    shared, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    records = fake(shared).drop(columns="truth")
    one, other = (
        link_records(records, FAKE).sort_values("record_id", ignore_index=True) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, other)
    assert "".join(capsys.readouterr()) == ""
    assert list(tmp_path.iterdir()) == []
    assert not logging.getLogger("splink").disabled


@pytest.mark.parametrize(("number", "least"), [(1, 0.98), (2, 0.95), (3, 0.95)])
def test_febrl_is_linked_without_its_social_security_number(shared, number, least):
    assert measured(febrl(shared, number), FEBRL)["f1"] >= least


def test_fake_1000_is_linked_without_false_merges(shared):
    found = measured(fake(shared), FAKE)
    assert found["f1"] >= 0.85
    assert found["precision"] >= 0.95


def test_the_demo_company_is_linked(tmp_path):
    assert agreement(company(tmp_path, customers=500))["f1"] >= 0.97
