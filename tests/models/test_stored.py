"""Spells that a store holds, against those that its log gives."""

import pandas as pd
import pytest

from cxlib import CxError, load_journeys, load_spells, open_store, risk_table, spell_counts, spells
from tests.ingest.workspaces import build

VISITS = """account,at,what,why,plan
a,2024-01-01,join,,pro
a,2024-01-05,leave,price,
b,2024-01-02,join,,basic
c,2024-01-03,join,,basic
c,2024-01-20,pause,,
"""
SOURCES = """
    name: club
    observed_from: 2024-01-01
    observed_until: 2024-02-01
    spells:
      churn:
        start: join
        end: [leave]
        cause: why
        censor: {paused: pause}
        columns: [plan]
        rule: {grace: 3 days}
    sources:
      visits:
        file: visits.csv
        customer: {key: account}
        events:
          - touchpoint: {column: what, map: {join: join, leave: leave, pause: pause}}
            time: at
            columns: [why, plan]
"""


def test_stored_spells_are_those_of_the_log(tmp_path):
    store = build(tmp_path, {"visits.csv": VISITS}, SOURCES).snapshot
    found = load_spells(store, "churn")
    assert (found.rule, str(found.window_start)) == ("after 3 days of grace", "2024-01-01 00:00:00")
    counts = spell_counts(found, by="plan")
    assert counts[["plan", "duration_days", "cause"]].to_numpy().tolist() == [
        ["basic", 17, "(paused)"],
        ["basic", 30, "(administrative)"],
        ["pro", 7, "price"],
    ]
    assert "spells_churn" in store.con.list_tables()
    store.con.disconnect()


def test_the_demo_companys_spells_are_those_that_its_notebooks_take(demo_workspace):
    store = open_store(demo_workspace)
    log = load_journeys(store)
    stored = load_spells(store, "churn")
    fresh = spells(
        log,
        start=["signed_up", "restarted_subscription"],
        end="cancelled_subscription",
        cause="cancel_reason",
        columns=["contract"],
        window_start=log.observed_from,
    )
    tables = [risk_table(each, covariates=["contract"]) for each in (stored, fresh)]
    pd.testing.assert_frame_equal(*tables)
    assert stored.observed_until == log.observed_until


def test_unknown_spells_are_refused(tmp_path):
    store = build(tmp_path, {"visits.csv": VISITS}, SOURCES).snapshot
    with pytest.raises(CxError, match=r"there is no spells 'chrun' .*did you mean 'churn'"):
        load_spells(store, "chrun")
    store.con.disconnect()
    without = SOURCES.split("    spells:")[0] + "    sources:" + SOURCES.split("    sources:")[1]
    store = build(tmp_path, {"visits.csv": VISITS}, without).snapshot
    with pytest.raises(CxError, match="has no spells; name them under spells: in"):
        load_spells(store, "churn")
    store.con.disconnect()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "start: join",
            "start: joined",
            "the spells 'churn' of sources.yml: there is no touchpoint",
        ),
        ("grace: 3 days", "grace: 3", "line 12, spells.churn.rule.grace: the span 3 has no unit"),
        ("churn:", "'churn date':", "need a name of letters, digits and _"),
        ("censor:", "censors:", "censors"),
    ],
)
def test_what_cannot_be_stored_stops_the_build(tmp_path, old, new, message):
    with pytest.raises(CxError, match=message):
        build(tmp_path, {"visits.csv": VISITS}, SOURCES.replace(old, new))


def test_a_touchpoint_that_nobody_has_reached_yet_ends_no_spell(tmp_path):
    joined = "".join(line for line in VISITS.splitlines(True) if "leave" not in line)
    store = build(tmp_path, {"visits.csv": joined}, SOURCES).snapshot
    causes = load_spells(store, "churn").table.cause.to_pandas()
    assert sorted(causes) == ["(administrative)", "(administrative)", "(paused)"]
    store.con.disconnect()


def test_spells_that_nobody_has_started_yet_are_not_stored(tmp_path):
    left = "".join(line for line in VISITS.splitlines(True) if "join" not in line)
    store = build(tmp_path, {"visits.csv": left}, SOURCES).snapshot
    with pytest.raises(CxError, match="has no spells"):
        load_spells(store, "churn")
    store.con.disconnect()


def test_spells_of_a_touchpoint_that_no_source_gives_are_refused_with_their_line(tmp_path):
    misspelt = SOURCES.replace("end: [leave]", "end: [leaf]").replace("}}", "}, other: reject}")
    with pytest.raises(
        CxError, match=r"no touchpoint 'leaf' in any source, for the spells 'churn'"
    ):
        build(tmp_path, {"visits.csv": VISITS}, misspelt)
