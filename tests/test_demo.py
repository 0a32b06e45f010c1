"""The demo company: deterministic, consistent, and true to the parameters planted in it."""

from __future__ import annotations

import csv
import filecmp
import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxlib.demo import Faults, planted_truth, simulate_company
from cxlib.demo.words import COMMENTS
from cxlib.errors import CxError
from cxlib.ingest.config import load_sources
from cxlib.journeys.maps import load_journey_map

TRUTH = planted_truth()
PERIOD = pd.Timedelta(days=TRUTH.period_days)
WORKSPACE = ["customers.key", "exports", "journey_map.yml", "sources.yml", "truth"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    simulate_company(folder, customers=2_000)
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    simulate_company(folder, customers=20_000)
    return folder


@pytest.fixture(scope="module")
def periods(large: Path) -> pd.DataFrame:
    return pd.read_parquet(large / "truth/person_periods.parquet")


@cache
def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str)


def export(folder: Path, name: str) -> pd.DataFrame:
    return _read(folder / f"exports/{name}.csv").copy()


def truth(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"truth/{name}.csv")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Deterministic


def test_the_same_seed_gives_the_same_bytes(small: Path, tmp_path: Path):
    simulate_company(tmp_path, customers=2_000, seed=7)
    assert files(tmp_path) == files(small)
    assert filecmp.cmpfiles(small, tmp_path, files(small), shallow=False)[0] == files(small)


def test_another_seed_gives_another_company(small: Path, tmp_path: Path):
    simulate_company(tmp_path, customers=2_000, seed=8)
    _, differ, _ = filecmp.cmpfiles(small, tmp_path, files(small), shallow=False)
    assert set(files(small)) - set(differ) == {"journey_map.yml", "sources.yml"}


def test_a_smaller_company_has_the_first_customers_of_a_larger_one(small: Path, large: Path):
    for path in sorted((small / "exports").glob("*.csv")):
        few = path.read_text().splitlines()
        many = (large / "exports" / path.name).read_text().splitlines()
        assert set(few) <= set(many), path.name
    few, many = (truth(folder, "customers") for folder in (small, large))
    pd.testing.assert_frame_equal(few, many.head(len(few)))


def test_an_earlier_simulation_is_replaced(tmp_path: Path):
    simulate_company(tmp_path, customers=3)
    (tmp_path / "exports/old.csv").touch()
    company = simulate_company(tmp_path, customers=5)
    assert not (tmp_path / "exports/old.csv").exists()
    assert company.rows["billing_customers"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == WORKSPACE


def test_the_rows_reported_are_the_rows_written(tmp_path: Path):
    company = simulate_company(tmp_path, customers=30)
    written = {path.stem: len(export(tmp_path, path.stem)) for path in tmp_path.glob("exports/*")}
    assert company.rows == written


def test_the_exports_of_a_real_company_are_not_overwritten(tmp_path: Path):
    (tmp_path / "exports").mkdir()
    with pytest.raises(CxError, match="holds 'exports' of another company"):
        simulate_company(tmp_path, customers=3)


def test_a_simulation_that_was_stopped_can_be_repeated(tmp_path: Path):
    (tmp_path / ".simulating/exports").mkdir(parents=True)
    (tmp_path / "exports").mkdir()
    simulate_company(tmp_path, customers=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == WORKSPACE


def test_no_customers_are_refused(tmp_path: Path):
    with pytest.raises(CxError, match="customers is 0; a company needs at least one"):
        simulate_company(tmp_path, customers=0)


def test_an_unknown_condition_offers_the_known_ones():
    with pytest.raises(CxError, match=r"no condition 'two_handoff'; did you mean 'two_handoffs'"):
        replace(TRUTH, hazard_ratios={"two_handoff": 2.0})


def test_two_thousand_customers_take_few_seconds_and_little_memory(tmp_path: Path):
    code = (
        "import sys, time; from cxlib.demo import simulate_company;"
        "simulate_company(sys.argv[1], customers=2_000);"
        "print(time.process_time());"
        "print(open('/proc/self/status').read())"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells a process how much memory it has used")
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    cpu_seconds = float(result.stdout.splitlines()[0])
    # Not ru_maxrss: that counts the memory of the process that started this one.
    megabytes = int(re.search(r"VmHWM:\s+(\d+) kB", result.stdout)[1]) / 1024
    assert cpu_seconds < 5
    assert megabytes < 500


# Exports


def test_the_planned_journey_names_only_touchpoints_that_sources_yml_has(small: Path):
    sources = (small / "sources.yml").read_text("utf-8")
    plan = load_journey_map(small / "journey_map.yml")
    for touchpoint, stage in plan.stage_of.items():
        assert re.search(rf"\b{touchpoint}\b", sources), touchpoint
        assert f"stage: {stage}" in sources


def test_sources_yml_names_only_files_and_columns_that_exist(small: Path):
    sources = load_sources(small / "sources.yml")
    described = {source.file for source in sources.sources.values()}
    assert described == {path.name for path in (small / "exports").iterdir()}
    for source in sources.sources.values():
        with (small / "exports" / source.file).open() as file:
            header = next(csv.reader(file))
        assert source.columns_used() <= set(header), source.file
    assert sources.window() == (TRUTH.window_start, TRUTH.observed_until)


def test_every_value_of_a_condition_or_a_map_occurs(small: Path):
    sources = load_sources(small / "sources.yml")
    for name, source in sources.sources.items():
        rows = export(small, name)
        for rule in source.events:
            for column, values in rule.when.items():
                assert set(values) <= set(rows[column]), (name, column)
            if not isinstance(rule.touchpoint, str):
                assert set(rule.touchpoint.map) <= set(rows[rule.touchpoint.column]), name


def test_ids_are_unique_but_for_the_rows_repeated_on_purpose(large: Path):
    sources = load_sources(large / "sources.yml")
    repeated = Faults().repeated_row
    for name, source in sources.sources.items():
        rows = export(large, name)
        share = rows[source.id].duplicated().mean()
        assert share < 2 * repeated, name
        assert not rows.drop_duplicates()[source.id].duplicated().any(), name


def test_ids_of_other_systems_exist_but_for_the_few_left_out_on_purpose(large: Path):
    sources = load_sources(large / "sources.yml")
    for name, source in sources.sources.items():
        if source.customer.of is not None:
            known = export(large, source.customer.of)[sources.sources[source.customer.of].id]
            found = export(large, name)[source.customer.column].isin(known)
            assert found.mean() > 1 - 2 * Faults().no_key, name


def test_a_few_rows_are_dirty(large: Path):
    surveys = export(large, "surveys")
    readable = pd.to_datetime(surveys["answered_at"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    assert 0 < readable.isna().mean() < 0.003
    assert 0 < surveys["email"].isna().mean() < 0.003


def test_nothing_but_sign_up_and_sales_lies_outside_the_window(small: Path):
    sources = load_sources(small / "sources.yml")
    for name, source in sources.sources.items():
        if name == "crm_contacts":
            continue
        for rule in source.events:
            rows = export(small, name)
            for column, values in rule.when.items():
                rows = rows[rows[column].isin(values)]
            texts = rows[rule.time.column].dropna()
            times = pd.to_datetime(texts, errors="coerce", format="mixed", utc=True).dropna()
            times = times.dt.tz_localize(None)
            assert times.max() <= TRUTH.observed_until, name
            if rule.touchpoint != "signed_up":
                # Local times of surveys may lie some hours off.
                assert times.min() >= TRUTH.window_start - pd.Timedelta(hours=6), name


def test_the_survey_tool_writes_local_time_and_the_app_its_offset(small: Path):
    app = export(small, "app_events")["opened_at"].str[-6:]
    assert set(app[app.str.match(r"[+-]\d\d:\d\d")]) == {"-04:00", "-05:00"}
    surveys = export(small, "surveys")["answered_at"]
    assert not surveys.str.contains(r"Z|[+-]\d\d:\d\d$").any()


def test_people_have_reserved_addresses_and_numbers(small: Path):
    for name, mail, phone in (
        ("crm_contacts", "email", "phone"),
        ("billing_customers", "email", "phone"),
        ("support_tickets", "requester_email", "requester_phone"),
        ("app_users", "login", "phone"),
    ):
        rows = export(small, name)
        domains = rows[mail].dropna().str.strip().str.lower().str.split("@").str[1]
        assert set(domains) <= {"example.com", "example.org", "example.net", "mail.example.com"}
        digits = rows[phone].dropna().str.replace(r"\D", "", regex=True).str[-10:]
        assert digits.str.match(r"\d{3}55501\d\d").all()


def test_identities_are_messy_but_the_e_mail_links_nine_in_ten(small: Path):
    keys = {"crm_contacts": "email", "billing_customers": "email", "surveys": "email"}
    keys |= {"support_tickets": "requester_email", "app_users": "login", "web_visitors": "profile"}
    sources = load_sources(small / "sources.yml")
    parts = []
    for name, key in keys.items():
        rows = export(small, name).drop_duplicates(sources.sources[name].id)
        record = rows[sources.sources[name].id]
        parts.append(pd.DataFrame({"system": name, "record_id": record, "key": rows[key]}))
    records = pd.concat(parts).merge(
        truth(small, "identities"), on=["system", "record_id"], validate="one_to_one"
    )
    records["key"] = records["key"].str.strip().str.lower()
    billing = records[records["system"] == "billing_customers"].drop_duplicates("person_id")
    account = records["person_id"].map(billing.set_index("person_id")["key"])
    customers = records["person_id"].str.startswith("P")
    right = (records["key"] == account)[customers].mean()
    assert 0.90 < right < 0.99
    shared = records.dropna().groupby("key")["person_id"].nunique()
    assert (shared > 1).sum() > 10  # households and info@


def test_comments_follow_the_score(small: Path):
    surveys = export(small, "surveys").dropna(subset=["comment"])
    nps = surveys[surveys["survey"] == "nps"]
    bad, _, good = COMMENTS["nps"]
    score = nps["score"].astype(int)
    assert set(nps["comment"][score <= 6]) <= set(bad)
    assert set(nps["comment"][score >= 9]) <= set(good)


def test_visitors_are_anonymous_until_they_sign_in(small: Path):
    visitors = export(small, "web_visitors").set_index("visitor_id")
    views = export(small, "web_events").dropna(subset=["visitor_id"])
    anonymous = visitors["signed_in_at"].isna()
    assert (visitors["profile"][anonymous] == visitors.index[anonymous]).all()
    assert 0.05 < anonymous.mean() < 0.4
    since = views["visitor_id"].map(visitors["signed_in_at"])
    readable = views["viewed_at"].str.endswith("Z")
    known = views["viewed_at"][readable] >= since[readable]
    assert (views["email"].notna()[readable] == known).all()


# Truth


def hazard_fit(periods: pd.DataFrame, conditions: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Log hazard ratios and standard errors: complementary log-log with exposure, by Newton."""
    bands = pd.cut(periods["period"], [-1, 2, 11, 23, 10_000], labels=False)
    table = pd.get_dummies(bands, prefix="band").astype(float).join(conditions.astype(float))
    x = table.to_numpy()
    y, exposure = periods["churned"].to_numpy(float), periods["exposure"].to_numpy(float)
    beta = np.r_[np.full(4, np.log(0.02)), np.zeros(x.shape[1] - 4)]
    for _ in range(30):
        hazard = exposure * np.exp(x @ beta)
        stays = np.exp(-hazard)
        weight = hazard**2 * stays / (1 - stays)
        gradient = x.T @ (hazard * (y - (1 - stays)) / (1 - stays))
        information = x.T @ (x * weight[:, None])
        step = np.linalg.solve(information, gradient)
        # A shorter step than Newton's where the start is far off.
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    return pd.Series(beta, table.columns), pd.Series(error, table.columns)


def conditions_of(periods: pd.DataFrame) -> pd.DataFrame:
    met = {
        f"channel_{name}": periods["channel"] == name
        for name in ("partner", "referral", "field_sales", "phone")
    }
    met |= {f"tier_{name}": periods["price_tier"] == name for name in ("middle", "high")}
    plain = ["annual_contract", "returned", "rescheduled_installation", "failed_payment"]
    plain += ["two_handoffs", "low_sentiment"]
    return pd.DataFrame(met | {name: periods[name] for name in plain})


def test_planted_hazard_ratios_are_recovered(periods: pd.DataFrame):
    whole = periods[(periods["exposure"] > 0.02) | (periods["churned"] == 1)]
    beta, error = hazard_fit(whole, conditions_of(whole))
    for name, estimate in beta.items():
        if name.startswith("band"):
            planted = list(TRUTH.baseline_hazard.values())[int(name[-1])]
        else:
            planted = TRUTH.hazard_ratios[name]
        assert abs(estimate - np.log(planted)) < 3 * error[name], name
        assert error[name] < 0.25, name


def test_the_decoy_goes_with_leaving_but_does_not_precede_it(large: Path, periods: pd.DataFrame):
    views = export(large, "web_events").drop_duplicates("event_id")
    views = views[(views["page"] == "terms") & views["viewed_at"].str.endswith("Z")]
    who = truth(large, "identities").query("system == 'web_visitors'")
    views = views.merge(who, left_on="visitor_id", right_on="record_id")
    views["at"] = pd.to_datetime(views["viewed_at"]).dt.tz_localize(None)
    spells = truth(large, "spells").assign(
        started_at=lambda frame: pd.to_datetime(frame["started_at"])
    )
    views = views.merge(spells[["person_id", "spell", "started_at"]], on="person_id")
    views["period"] = (views["at"] - views["started_at"]) // PERIOD
    seen = pd.MultiIndex.from_frame(views[["person_id", "spell", "period"]])
    now = pd.MultiIndex.from_frame(periods[["person_id", "spell", "period"]])
    before = pd.MultiIndex.from_frame(
        periods[["person_id", "spell", "period"]].assign(period=periods["period"] - 1)
    )
    whole = (periods["exposure"] > 0.02) | (periods["churned"] == 1)
    conditions = conditions_of(periods)
    same, same_error = hazard_fit(periods[whole], conditions.assign(decoy=now.isin(seen))[whole])
    lagged, lagged_error = hazard_fit(
        periods[whole], conditions.assign(decoy=before.isin(seen))[whole]
    )
    assert same["decoy"] - 3 * same_error["decoy"] > np.log(5)
    assert abs(lagged["decoy"]) < 3 * lagged_error["decoy"]


def test_causes_of_leaving_have_their_planted_shares(periods: pd.DataFrame):
    left = periods[periods["churned"] == 1]
    met = conditions_of(left)
    weights = pd.DataFrame(dict(TRUTH.cause_shares), left.index)
    for condition, odds in TRUTH.cause_odds.items():
        for cause, factor in odds.items():
            weights[cause] *= np.where(met[condition].astype(bool), factor, 1.0)
    expected = weights.div(weights.sum(axis=1), axis=0)
    for cause in TRUTH.cause_shares:
        count = (left["cause"] == cause).sum()
        error = np.sqrt((expected[cause] * (1 - expected[cause])).sum())
        assert abs(count - expected[cause].sum()) < 3 * error, cause
    for condition, cause in (("failed_payment", "payment"), ("two_handoffs", "service")):
        rows = met[condition].astype(bool)
        count, mean = (left["cause"] == cause)[rows].sum(), expected[cause][rows]
        assert abs(count - mean.sum()) < 3 * np.sqrt((mean * (1 - mean)).sum()), condition


def test_renewal_rates_rise_with_the_term_as_planted(large: Path):
    renewals = export(large, "billing_renewals").dropna(subset=["decision"])
    for term, decisions in renewals.groupby(renewals["term"].astype(int))["decision"]:
        n, rate = len(decisions), TRUTH.renewal_rate(term)
        if n > 100:
            share = (decisions == "renewed").mean()
            assert abs(share - rate) < 3 * np.sqrt(rate * (1 - rate) / n), term
    assert (renewals["term"] == "1").sum() > 1_000


def test_those_who_left_return_at_the_planted_rate(large: Path):
    spells = truth(large, "spells")
    first = spells[spells["spell"] == 1].set_index("person_id").dropna(subset=["ended_at"])
    ended = pd.to_datetime(first["ended_at"])
    long_ago = ended < pd.Timestamp(TRUTH.observed_until) - pd.Timedelta(days=500)
    first, ended = first[long_ago], ended[long_ago]
    second = spells[spells["spell"] == 2].set_index("person_id")["started_at"]
    back = pd.to_datetime(second.reindex(first.index))
    for cause, group in back.groupby(first["cause"]):
        rate = TRUTH.winback_share[cause]
        error = np.sqrt(rate * (1 - rate) / len(group))
        assert abs(group.notna().mean() - rate) < 3 * error, cause
    days = (back - ended).dropna().dt.total_seconds() / 86_400 - TRUTH.winback_least_days
    spread = TRUTH.winback_sigma / np.sqrt(len(days))
    assert abs(np.log(days).mean() - np.log(TRUTH.winback_median_days)) < 3 * spread


def test_extra_purchases_are_gamma_gamma(large: Path):
    p, q, gamma = TRUTH.purchase_value
    invoices = export(large, "billing_invoices").drop_duplicates("invoice_id")
    extras = invoices[invoices["kind"] == "extra"]
    accounts = truth(large, "identities").query("system == 'billing_customers'")
    person = extras["billing_id"].map(accounts.set_index("record_id")["person_id"])
    per_person = extras["amount"].astype(float).groupby(person).agg(["mean", "size"])
    mean = p * gamma / (q - 1)
    spread = per_person["mean"].std() / np.sqrt(len(per_person))
    assert abs(per_person["mean"].mean() - mean) < 3 * spread
    # How much they spend says nothing about how often they buy.
    correlation = np.corrcoef(per_person["mean"], per_person["size"])[0, 1]
    assert abs(correlation) < 3 / np.sqrt(len(per_person))


def test_after_the_drift_more_tickets_are_handed_on(large: Path):
    tickets = export(large, "support_tickets").drop_duplicates("ticket_id")
    tickets = tickets[tickets["topic"].isin(["technical", "billing", "moving"])]
    opened = pd.to_datetime(tickets["opened_at"], errors="coerce").dt.tz_localize(None)
    # The drift takes hold with the first billing period that begins after it.
    late, early = opened >= TRUTH.drift_at + PERIOD, opened < TRUTH.drift_at
    for when, share in zip((early, late), TRUTH.escalation, strict=True):
        n = when.sum()
        escalated = (tickets["escalated"][when] == "yes").mean()
        assert abs(escalated - share) < 3 * np.sqrt(share * (1 - share) / n)


def test_the_department_that_has_a_ticket_last_solves_it(large: Path):
    tickets = export(large, "support_tickets").drop_duplicates("ticket_id").set_index("ticket_id")
    moves = export(large, "support_ticket_moves").drop_duplicates("move_id").sort_values("move_id")
    last = moves.groupby("ticket_id")["to_department"].last()
    handed = tickets.index.isin(last.index)
    # A few moves have lost the number of their ticket.
    assert (tickets.loc[~handed, "department"] == "front_desk").mean() > 0.99
    same = tickets.loc[handed, "department"] == last.reindex(tickets.index[handed])
    assert same.mean() > 0.99


def test_after_the_drift_self_service_solves_less(large: Path):
    views = export(large, "web_events")
    views = views[views["page"].isin(["help", "chatbot"]) & views["viewed_at"].str.endswith("Z")]
    tries = views.drop_duplicates("session_id")
    tickets = export(large, "support_tickets")
    opened = pd.to_datetime(tickets["opened_at"], errors="coerce").dt.tz_localize(None)
    tickets = tickets.assign(opened=opened).dropna(subset=["opened"])
    who = truth(large, "identities").set_index(["system", "record_id"])["person_id"]
    tries = tries.assign(
        person=tries["visitor_id"].map(who["web_visitors"]),
        at=pd.to_datetime(tries["viewed_at"]).dt.tz_localize(None),
    ).sort_values("at")
    tickets["person"] = tickets["ticket_id"].map(who["support_tickets"])
    found = pd.merge_asof(
        tries.dropna(subset=["person"]),
        tickets[["person", "opened"]].dropna().sort_values("opened"),
        left_on="at", right_on="opened", by="person", direction="forward",
        tolerance=pd.Timedelta(hours=16),
    )  # fmt: skip
    late, early = found["at"] >= TRUTH.drift_at + PERIOD, found["at"] < TRUTH.drift_at
    solved = [found["opened"][when].isna().mean() for when in (early, late)]
    np.testing.assert_allclose(solved, TRUTH.deflection, atol=0.04)


def test_conditions_of_the_hazard_can_be_read_off_the_exports(large: Path, periods: pd.DataFrame):
    spells = truth(large, "spells")
    spells["started_at"] = pd.to_datetime(spells["started_at"])
    who = truth(large, "identities").set_index(["system", "record_id"])["person_id"]

    def periods_after(person: pd.Series, at: pd.Series, least: int) -> pd.MultiIndex:
        events = (
            pd.DataFrame({"person_id": person, "at": at}).dropna().merge(spells, on="person_id")
        )
        events["period"] = (events["at"] - events["started_at"]) // PERIOD + 1
        ended = pd.to_datetime(events["ended_at"]).fillna(pd.Timestamp.max)
        events = events[(events["at"] >= events["started_at"]) & (events["at"] <= ended)]
        count = events.groupby(["person_id", "spell", "period"]).size()
        return count[count >= least].index

    moves = export(large, "support_ticket_moves").drop_duplicates("move_id")
    two = periods_after(
        moves["ticket_id"].map(who["support_tickets"]),
        pd.to_datetime(moves["moved_at"], errors="coerce").dt.tz_localize(None),
        2,
    )
    invoices = export(large, "billing_invoices").drop_duplicates("invoice_id")
    failed = periods_after(
        invoices["billing_id"].map(who["billing_customers"]),
        pd.to_datetime(invoices["failed_at"], errors="coerce"),
        1,
    )
    rows = pd.MultiIndex.from_frame(periods[["person_id", "spell", "period"]])
    for seen, column in ((two, "two_handoffs"), (failed, "failed_payment")):
        planted = periods[column].to_numpy(bool)
        read = rows.isin(seen)
        assert (read & planted).sum() / planted.sum() > 0.97, column
        assert (read & planted).sum() / read.sum() > 0.97, column


def test_a_rescheduled_installation_comes_before_anybody_leaves(large: Path):
    orders = export(large, "installations")
    visits = orders[orders["method"] == "technician"]
    assert abs(visits["rescheduled_at"].notna().mean() - TRUTH.reschedule_share) < 0.02
    customers = truth(large, "customers").set_index("person_id")
    spells = customers.loc[customers["rescheduled_installation"] == 1]
    started = pd.to_datetime(spells["signed_up_at"])
    left = pd.to_datetime(spells["churned_at"])
    assert (left - started).min() >= pd.Timedelta(days=TRUTH.grace_days)


def test_annual_contracts_that_are_not_renewed_end_with_a_term(large: Path):
    spells = truth(large, "spells")
    ended = spells[spells["cause"] == "not_renewed"]
    lasted = pd.to_datetime(ended["ended_at"]) - pd.to_datetime(ended["started_at"])
    assert (lasted % (TRUTH.term_periods * PERIOD) == pd.Timedelta(0)).all()


def test_customers_from_before_the_window_are_there_at_its_start(large: Path):
    customers = truth(large, "customers")
    before = customers["before_window"] == 1
    assert abs(before.mean() - TRUTH.legacy_share) < 0.01
    started = pd.to_datetime(customers["signed_up_at"])
    assert ((started < TRUTH.window_start) == before).all()
    churned = pd.to_datetime(customers["churned_at"].dropna())
    assert churned.min() >= pd.Timestamp(TRUTH.window_start)


def test_parameters_are_saved_with_their_units(small: Path):
    saved = json.loads((small / "truth/parameters.json").read_text())
    assert (saved["customers"], saved["seed"]) == (2_000, 7)
    ratios = saved["parameters"]["hazard_ratios"]
    assert ratios["value"] == TRUTH.hazard_ratios
    assert all(item["unit"] and item["meaning"] for item in saved["parameters"].values())


def test_another_truth_is_the_one_that_is_simulated(tmp_path: Path):
    calm = replace(TRUTH, baseline_hazard={0: 1e-9}, renewal_beta=(1e-3, 1e3))
    simulate_company(tmp_path, customers=500, parameters=calm)
    assert truth(tmp_path, "spells")["ended_at"].isna().all()


def test_names_are_those_of_nobody(small: Path):
    people = export(small, "crm_contacts")
    full = people["first_name"] + " " + people["last_name"]
    assert full.str.fullmatch(r"[A-Za-z]+ [A-Za-z]+").all()
    assert not re.search("[^\x00-\x7f]", "".join(full))
