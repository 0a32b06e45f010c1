"""The way from exports to the store, held to counts that other code takes from the raw files."""

import csv
import gzip
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from cxlib.build import build_store
from cxlib.errors import CxError
from cxlib.journeys.log import load_journeys
from tests.ingest.workspaces import ORDERS, build, write

ORDERS_CSV = "order_id,account,at,amount\n1,a,2024-01-01,5\n2,b,2024-01-02,7.5\n"


def test_a_second_build_of_the_same_content_is_reused(tmp_path):
    first = build(tmp_path, {"orders.csv": ORDERS_CSV})
    again = build_store(tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert first.snapshot.id == again.snapshot.id


def test_a_changed_export_or_description_gives_another_snapshot(tmp_path):
    ids = {build(tmp_path, {"orders.csv": ORDERS_CSV}).snapshot.id}
    ids.add(build(tmp_path, {"orders.csv": ORDERS_CSV + "3,a,2024-01-03,1\n"}).snapshot.id)
    described = ORDERS.replace("placed_order", "ordered")
    ids.add(build(tmp_path, {"orders.csv": ORDERS_CSV}, described).snapshot.id)
    assert len(ids) == 3


def test_a_failed_build_leaves_the_last_store_in_place(tmp_path):
    first = build(tmp_path, {"orders.csv": ORDERS_CSV})
    with pytest.raises(CxError):
        build(tmp_path, {"orders.csv": "order_id,account,at,amount\n"})
    from cxlib.engine.store import open_store

    assert open_store(tmp_path).id == first.snapshot.id


def test_an_event_after_the_declared_cut_off_is_refused(tmp_path):
    sources = ORDERS + "    observed_until: 2024-01-01\n"
    with pytest.raises(CxError, match=r"event of 2024-01-02 .* lies after observed_until"):
        build(tmp_path, {"orders.csv": ORDERS_CSV}, sources)


def test_the_log_knows_from_when_ends_were_recorded(tmp_path):
    result = build(tmp_path, {"orders.csv": ORDERS_CSV}, ORDERS + "    observed_from: 2024-01-01\n")
    assert str(load_journeys(result.snapshot).observed_from) == "2024-01-01 00:00:00"
    result = build(tmp_path, {"orders.csv": ORDERS_CSV})
    assert load_journeys(result.snapshot).observed_from is None


def test_a_start_of_observation_after_the_data_is_refused(tmp_path):
    with pytest.raises(CxError, match=r"observed_from, 2024-01-02.* is not before the end"):
        build(tmp_path, {"orders.csv": ORDERS_CSV}, ORDERS + "    observed_from: 2024-01-02\n")


def test_exports_with_nothing_to_check_are_built(tmp_path):
    sources = """
        name: shop
        sources:
          orders:
            file: orders.csv
            customer: {key: account}
            events: [{touchpoint: placed_order, time: at}]
    """
    result = build(tmp_path, {"orders.csv": "account,at\na,2024-01-01 10:00\n"}, sources)
    quality = result.snapshot.table("quality")
    assert quality.count().to_pyarrow().as_py() == 0
    assert quality.schema()["failing"].is_integer()


def test_without_a_declared_cut_off_the_latest_event_is_it(tmp_path):
    meta = build(tmp_path, {"orders.csv": ORDERS_CSV}).snapshot.meta
    assert meta["observed_until"] == "2024-01-02T00:00:00"


def test_rows_that_no_rule_takes_are_not_called_missing(tmp_path):
    sources = ORDERS.replace("value: amount", "when: {amount: none}")
    with pytest.raises(CxError, match="no export gives a single event; no row meets its rules"):
        build(tmp_path, {"orders.csv": ORDERS_CSV}, sources)


def test_journeys_are_stored_in_an_order_of_their_own(tmp_path):
    rows = "".join(f"{n},c{n % 997:03},2024-01-01,1\n" for n in range(3, 5_000))
    result = build(tmp_path, {"orders.csv": ORDERS_CSV + rows})
    stored = result.snapshot.table("journeys").to_pandas()["customer_id"].tolist()
    assert stored == sorted(stored)


def test_no_exports_folder_says_where_it_should_be(tmp_path):
    workspace = write(tmp_path / "w", {})
    (workspace / "exports").rmdir()
    with pytest.raises(CxError, match=r"there is no folder .*/exports'; put the exports there"):
        build_store(workspace)


# --- exports that nobody here made ------------------------------------------------------------


def read_rows(path):
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def pairs_in(paths):
    return Counter(pair for path in paths.values() for pair in pairwise(path))


def stored_pairs(store, touchpoints):
    events = store.table("events")
    counted = events.group_by("touchpoint", "next_touchpoint").aggregate(n=events.count())
    return {
        (row.touchpoint, row.next_touchpoint): row.n
        for row in counted.to_pandas().itertuples()
        if row.next_touchpoint in touchpoints
    }


@pytest.fixture(scope="module")
def clicks(shared, project, tmp_path_factory):
    result = build_store(
        tmp_path_factory.mktemp("ecom"),
        sources=project / "data" / "examples" / "ecom" / "sources.yml",
        exports=shared / "data" / "retentioneering",
    )
    return result.snapshot, read_rows(shared / "data" / "retentioneering" / "ecom.csv.gz")


def test_the_clickstream_is_stored_whole(clicks):
    store, raw = clicks
    events = store.table("events")
    assert store.meta["counts"]["events"] == len(raw) == 31_106
    assert store.meta["counts"]["customers"] == len({row["user_id"] for row in raw})
    assert store.meta["counts"]["rows_rejected"] == 0
    assert events.touchpoint.nunique().execute() == len({row["event"] for row in raw})
    times = [row["timestamp"] for row in raw]
    assert str(events.occurred_at.min().execute()) == min(times)
    assert str(events.occurred_at.max().execute()) == max(times)


def test_the_clickstreams_most_frequent_transitions_are_those_of_a_recount(clicks):
    store, raw = clicks
    visits: dict[tuple[str, int], list[str]] = {}
    seen: dict[str, tuple[datetime, int]] = {}
    for row in sorted(raw, key=lambda row: row["timestamp"]):  # stable: file order at ties
        time = datetime.fromisoformat(row["timestamp"])
        before, number = seen.get(row["user_id"], (time, 1))
        number += time - before > timedelta(minutes=30)
        seen[row["user_id"]] = (time, number)
        visits.setdefault((row["user_id"], number), []).append(row["event"])
    assert store.meta["counts"]["journeys"] == len(visits)
    counted = store.table("events").group_by("touchpoint").aggregate(n=lambda t: t.count())
    by_count = dict(counted.to_pandas().sort_values("n")[["n", "touchpoint"]].values)
    said = {event: by_count[n] for event, n in Counter(row["event"] for row in raw).items()}
    got = stored_pairs(store, set(said.values()))
    for (first, second), n in pairs_in(visits).most_common(3):
        assert got[said[first], said[second]] == n


@pytest.fixture(scope="module")
def saas(shared, project, tmp_path_factory):
    folder = shared / "data" / "ravenstack"
    result = build_store(
        tmp_path_factory.mktemp("ravenstack"),
        sources=project / "data" / "examples" / "ravenstack" / "sources.yml",
        exports=folder,
    )
    names = ("accounts", "subscriptions", "feature_usage", "support_tickets", "churn_events")
    return result.snapshot, {
        name: read_rows(folder / f"ravenstack_{name}.csv.gz") for name in names
    }


def saas_events(raw):
    """All events as (customer, time, event id, touchpoint), by plain Python."""
    owner = {row["subscription_id"]: row["account_id"] for row in raw["subscriptions"]}
    events = []

    def add(source, row, key, time, name, rule=""):
        customer = row.get("account_id") or owner[row["subscription_id"]]
        stamp = datetime.fromisoformat(row[time])
        events.append((customer, stamp, f"{source}:{row[key]}{rule}", name))

    for row in raw["accounts"]:
        add("accounts", row, "account_id", "signup_date", "signed_up")
    for row in raw["subscriptions"]:
        name = "started_trial" if row["is_trial"] == "True" else "started_subscription"
        add("subscriptions", row, "subscription_id", "start_date", name, ":0")
        if row["end_date"]:
            add("subscriptions", row, "subscription_id", "end_date", "ended_subscription", ":1")
    used = set()
    for row in raw["feature_usage"]:
        if row["usage_id"] not in used:
            add("feature_usage", row, "usage_id", "usage_date", "used_feature")
        used.add(row["usage_id"])
    for row in raw["support_tickets"]:
        add("support_tickets", row, "ticket_id", "submitted_at", "opened_ticket", ":0")
        if row["escalation_flag"] == "True":
            add("support_tickets", row, "ticket_id", "submitted_at", "escalated_ticket", ":1")
        if row["closed_at"]:
            add("support_tickets", row, "ticket_id", "closed_at", "got_ticket_closed", ":2")
    for row in raw["churn_events"]:
        add("churn_events", row, "churn_event_id", "churn_date", "churned")
    return sorted(events, key=lambda event: event[:3])


def test_the_saas_companys_exports_are_stored_as_a_recount_says(saas):
    store, raw = saas
    expected = saas_events(raw)
    events = store.table("events")
    assert store.meta["counts"]["events"] == len(expected)
    assert store.meta["counts"]["customers"] == 500
    got = events.group_by("touchpoint").aggregate(n=events.count()).to_pandas()
    assert dict(got.values) == Counter(event[3] for event in expected)
    times = [event[1] for event in expected]
    assert events.occurred_at.min().execute().to_pydatetime() == min(times)
    assert events.occurred_at.max().execute().to_pydatetime() == max(times)


def test_the_saas_companys_most_frequent_transitions_are_those_of_a_recount(saas):
    store, raw = saas
    paths: dict[tuple[str, int], list[str]] = {}
    number: Counter[str] = Counter()
    for customer, _, _, name in saas_events(raw):
        paths.setdefault((customer, number[customer]), []).append(name)
        number[customer] += name == "churned"
    assert store.meta["counts"]["journeys"] == len(paths)
    names = {name for path in paths.values() for name in path}
    got = stored_pairs(store, names)
    for pair, n in pairs_in(paths).most_common(3):
        assert got[pair] == n


def test_the_saas_companys_rows_are_stored_or_rejected(saas):
    store, raw = saas
    sources = store.table("sources").to_pandas().set_index("source")
    assert sources["rows_read"].to_dict() == {name: len(rows) for name, rows in raw.items()}
    assert (sources["rows_read"] == sources["rows_stored"] + sources["rows_rejected"]).all()
    rejected = store.table("rejects").to_pandas()
    assert len(rejected) == 21
    assert rejected["reason"].str.contains("usage_id .* stood before").all()


def test_the_saas_companys_contradictions_are_said(saas):
    store, raw = saas
    found = store.table("quality").to_pandas().set_index(["check", "source"])
    start = {row["subscription_id"]: row["start_date"] for row in raw["subscriptions"]}
    first = {row["usage_id"]: row for row in reversed(raw["feature_usage"])}
    early = sum(row["usage_date"] < start[row["subscription_id"]] for row in first.values())
    usage = found.loc[("usage comes after its subscription starts", "feature_usage")]
    assert (usage["n"], usage["failing"]) == (24_979, early)
    assert usage["share"] == pytest.approx(0.766, abs=5e-4)
    tickets = found.loc[("tickets come after sign-up", "support_tickets")]
    assert tickets["share"] == pytest.approx(0.539, abs=6e-4)
    flags = found.loc["the three churn flags agree"]
    assert flags.loc["accounts, churn_events", "note"].startswith("110 customers by accounts, 352")
    assert found.loc[("ids are unique", "feature_usage"), "failing"] == 21
    assert found.loc[("satisfaction_score is filled", "support_tickets"), "failing"] == 825
