"""Days, months and years are those of the log's zone, by a recount in plain Python."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cxlib import (
    contract_terms,
    funnel,
    journeys_from_frame,
    lifecycle,
    load_journeys,
    retention,
    spell_counts,
    spells,
    stickiness,
)
from cxlib.engine.zones import wall_clock
from cxlib.errors import CxError
from cxlib.journeys.periods import PERIODS, number_periods, period_number
from tests.ingest.workspaces import ORDERS, build
from tests.journeys.logs import log_of

ZONES = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]
TIMES = [datetime(2024, 1, 1) + timedelta(minutes=977 * n) for n in range(1_500)]
"""Over more than two years, at every time of day."""


def shown(moment, zone):
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def log_in(con, zone, times=TIMES, name="visit"):
    rows = [
        {
            "event_id": f"{n:05}",
            "customer_id": f"c{n % 97}",
            "occurred_at": time,
            "touchpoint": name,
        }
        for n, time in enumerate(times)
    ]
    return replace(log_of(con, rows, observed_until="2027-01-01"), timezone=zone)


@pytest.mark.parametrize("zone", ZONES)
def test_the_wall_clock_of_the_engine_is_that_of_python(con, zone):
    log = log_in(con, zone)
    found = log.events.select("event_id", at=wall_clock(log.events.occurred_at, zone))
    frame = found.order_by("event_id").to_pandas()
    assert frame["at"].tolist() == [shown(time, zone) for time in TIMES]


@pytest.mark.parametrize("period", PERIODS)
def test_periods_are_numbered_by_the_calendar_of_the_zone(con, period):
    zone = "Europe/Berlin"
    events = log_in(con, zone).events
    numbered = events.select("event_id", n=number_periods(events.occurred_at, period, zone))
    found = numbered.order_by("event_id").to_pandas()["n"].tolist()
    assert found == [period_number(shown(time, zone), period) for time in TIMES]
    assert found != [period_number(time, period) for time in TIMES] or period in ("quarter", "year")


def test_measures_of_periods_count_by_the_calendar_of_the_zone(con):
    zone = "Australia/Lord_Howe"
    log = log_in(con, zone)
    months: dict[str, set[datetime]] = {}
    for n, time in enumerate(TIMES):
        month = shown(time, zone).replace(day=1, hour=0, minute=0)
        months.setdefault(f"c{n % 97}", set()).add(month)
    cohorts = Counter(min(held) for held in months.values())
    active = Counter(month for held in months.values() for month in held)
    first = retention(log, periods=0)
    assert dict(zip(first["cohort"], first["n"], strict=True)) == cohorts
    life = lifecycle(log).set_index("period")["active"]
    assert {month.to_pydatetime(): n for month, n in life.items() if n} == active
    stuck = stickiness(log, period="month").set_index("active_periods")["customers"]
    assert {n: count for n, count in stuck.items() if count} == Counter(map(len, months.values()))


def test_a_trend_of_funnels_is_by_the_calendar_of_the_zone(con):
    times = [datetime(2024, 1, 31, 23), datetime(2024, 2, 1, 1)]
    log = log_in(con, "Europe/Berlin", times)
    found = funnel(log, ["visit", "visit"], over="month")
    assert found["period"].drop_duplicates().tolist() == [datetime(2024, 2, 1)]


def two_terms(con, zone):
    """A contract from 1 July, that ended on 1 January, by the wall clock of Berlin."""
    rows = [
        {"event_id": "1", "occurred_at": datetime(2024, 6, 30, 22), "touchpoint": "signed_up"},
        {"event_id": "2", "occurred_at": datetime(2024, 12, 31, 23), "touchpoint": "left"},
    ]
    rows = [row | {"customer_id": "a"} for row in rows]
    return replace(log_of(con, rows, observed_until="2025-03-01"), timezone=zone)


@pytest.mark.parametrize(("zone", "months"), [("Europe/Berlin", 6), ("UTC", 7)])
def test_months_of_spells_are_those_of_the_zone(con, zone, months):
    found = spells(two_terms(con, zone), start="signed_up", end="left", window_start=None)
    assert spell_counts(found, unit="months")["duration_months"].tolist() == [months]


@pytest.mark.parametrize(
    ("zone", "due"),
    [("Europe/Berlin", datetime(2024, 12, 31, 23)), ("UTC", datetime(2024, 12, 30, 22))],
)
def test_terms_are_due_at_midnight_of_the_zone(con, zone, due):
    terms = contract_terms(
        two_terms(con, zone), start="signed_up", renewed=["left"], length_months=6
    )
    assert terms.filter(terms.term == 1).due_at.to_pandas().tolist() == [due]


def test_a_store_has_the_zone_of_its_description(tmp_path):
    described = ORDERS.replace("name: shop", "name: shop\n    timezone: Europe/Berlin")
    orders = "order_id,account,at,amount\n1,a,2024-01-01,5\n"
    log = load_journeys(build(tmp_path, {"orders.csv": orders}, described).snapshot)
    assert log.events.occurred_at.to_pandas()[0] == datetime(2023, 12, 31, 23)
    assert retention(log)["cohort"].tolist() == [datetime(2024, 1, 1)]


def test_an_unknown_zone_is_refused_with_the_closest():
    with pytest.raises(CxError, match="there is no time zone 'Europe/Berln'; did you mean 'Europe"):
        journeys_from_frame(
            {"customer_id": ["a"], "touchpoint": ["x"], "occurred_at": ["2024-01-01"]},
            observed_until="2024-03-01",
            closes_after=None,
            timezone="Europe/Berln",
        )
