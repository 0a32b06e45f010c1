"""Spells, the rules of churn."""

from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given

from cxlib import (
    ChurnRule,
    add_customer_columns,
    add_first,
    rfm_segments,
    risk_table,
    spell_counts,
    spells,
)
from cxlib.errors import CxError
from tests.journeys.logs import DAY_ONE, few_examples, log_of, paths_by_hand, random_rows, rows_of


def spells_of(con, paths, *, observed_until="2024-03-01", **options):
    log = log_of(con, paths, observed_until=observed_until)
    return spells(log, **({"start": "join", "end": "leave", "window_start": None} | options))


def rows(found, *columns):
    columns = columns or ("customer_id", "spell", "entry_days", "exit_days", "cause")
    frame = found.table.order_by("customer_id", "spell").select(*columns).to_pandas()
    return list(frame.itertuples(index=False, name=None))


OPEN = "(administrative)"

# --- which spells there are


def test_a_customer_may_have_several_spells(con):
    found = spells_of(con, {"a": "join@0 leave@24 join@48 leave@96 join@120", "b": "visit"})
    assert rows(found) == [
        ("a", 1, 0, 1, "leave"),
        ("a", 2, 0, 2, "leave"),
        ("a", 3, 0, 55, OPEN),
    ]


def test_starts_during_a_spell_and_ends_outside_one_do_nothing(con):
    found = spells_of(con, {"a": "leave@0 join@24 join@48 leave@72 leave@96"})
    assert rows(found) == [("a", 1, 0, 2, "leave")]


def test_what_starts_and_ends_cuts_the_time_into_gaps(con):
    found = spells_of(con, {"a": "buy@0 buy@48 buy@120"}, start="buy", end="buy")
    assert rows(found) == [("a", 1, 0, 2, "buy"), ("a", 2, 0, 3, "buy"), ("a", 3, 0, 55, OPEN)]


def test_an_end_at_the_same_time_counts_even_when_its_id_is_first(con):
    # In exports with dates alone a start and an end on one day have the same time.
    found = spells_of(con, {"a": "leave@24 join@24 join@48", "b": "join@0 leave@24 join@24"})
    assert rows(found) == [
        ("a", 1, 0, 0, "leave"),
        ("a", 2, 0, 58, OPEN),
        ("b", 1, 0, 1, "leave"),
        ("b", 2, 0, 59, OPEN),
    ]


def test_the_columns_have_the_types_of_the_contract(con):
    from cxlib.tables import check_contract

    table = spells_of(con, {"a": "join@0 leave@36"}).table
    check_contract(table, "spells")
    row = table.to_pandas().iloc[0]
    assert row["origin"] == row["entered_at"] == DAY_ONE
    assert row["exited_at"] == DAY_ONE + timedelta(hours=36)
    assert (row["exit_days"], row["event"], row["churn_rule"]) == (1.5, True, "at the event")


def test_nobody_is_a_table_without_rows(con):
    found = spells_of(con, {"a": "join@50 leave@60", "b": "visit leave"}, start="visit",
                      window_start="2024-02-01")  # fmt: skip
    assert rows(found) == []
    assert len(spell_counts(found)) == 0
    assert risk_table(found).columns.tolist() == [
        *("entry_months", "duration_months", "n_at_risk", "events")
    ]


def test_spells_may_be_held_by_the_engine(con):
    found = spells_of(con, {"a": "join@0 leave@24"})
    assert rows(found.materialize()) == rows(found)


# --- the window


def test_who_started_before_the_window_enters_late_and_who_had_left_is_unseen(con):
    paths = {"a": "join@0", "b": "join@0 leave@240", "c": "join@0 leave@264", "d": "join@480"}
    found = spells_of(con, paths, window_start="2024-01-11")
    assert rows(found) == [
        ("a", 1, 10, 60, OPEN),
        ("c", 1, 10, 11, "leave"),
        ("d", 1, 0, 40, OPEN),
    ]


def test_the_window_must_be_stated(con):
    """Without it, survivors among early customers would pass for all of them."""
    with pytest.raises(TypeError, match="window_start"):
        spells(log_of(con, {"a": "join leave"}), start="join", end="leave")


def test_an_earlier_cut_off_hides_what_came_later(con):
    paths = {"a": "join@0 leave@240", "b": "join@240"}
    found = spells_of(con, paths, **{"observed_until": "2024-03-01"})
    assert len(rows(found)) == 2
    log = log_of(con, paths)
    found = spells(log, start="join", end="leave", window_start=None, observed_until="2024-01-06")
    assert rows(found) == [("a", 1, 0, 5, OPEN)]
    with pytest.raises(CxError, match="observed_until 2025-01-01T00:00:00 is after that of the"):
        spells(log, start="join", end="leave", window_start=None, observed_until="2025-01-01")


# --- how they end


def test_the_cause_is_a_column_of_the_end_or_a_group_of_touchpoints(con):
    events = [
        *rows_of({"a": "join@0"}),
        dict(rows_of({"a": "x leave@48"})[1], reason="price"),
        *rows_of({"b": "join@0 stop@24"}),
    ]
    log = log_of(con, events)
    options = {"start": "join", "window_start": None}
    found = spells(log, end=["leave", "stop"], cause="reason", **options)
    assert rows(found, "cause", "event") == [("price", True), ("unknown", True)]
    found = spells(log, end={"voluntary": "leave", "forced": ["stop"]}, **options)
    assert rows(found, "cause") == [("voluntary",), ("forced",)]


def test_a_pause_or_a_merger_stops_observation_and_is_no_end(con):
    paths = {"a": "join@0 pause@24 join@72 leave@96", "b": "join@0 merge@48"}
    found = spells_of(con, paths, censor={"paused": "pause", "merged": "merge"})
    assert rows(found, "customer_id", "exit_days", "event", "cause") == [
        ("a", 1, False, "(paused)"),
        ("a", 1, True, "leave"),
        ("b", 2, False, "(merged)"),
    ]


def test_an_end_takes_effect_when_the_contract_ends(con):
    events = rows_of({"a": "join@0", "b": "join@0", "c": "join@0"})
    for customer, paid_to in (("a", "2024-02-01"), ("b", "2024-04-01"), ("c", None)):
        end = rows_of({customer: "x leave@240"})[1]
        events.append(dict(end, paid_to=pd.Timestamp(paid_to) if paid_to else pd.NaT))
    found = spells_of(con, events, rule=ChurnRule(contract_end="paid_to"))
    # The second has paid beyond the cut-off: still a customer.
    assert rows(found) == [
        ("a", 1, 0, 31, "leave"),
        ("b", 1, 0, 60, OPEN),
        ("c", 1, 0, 10, "leave"),
    ]
    assert rows(found, "churn_rule")[0] == ("at paid_to",)


def test_a_start_before_the_end_takes_effect_takes_it_back(con):
    paths = {"a": "join@0 leave@48 join@96", "b": "join@0 leave@48 join@97", "c": "join@0 leave@48"}
    found = spells_of(con, paths, rule=ChurnRule(grace="2 days"))
    assert rows(found) == [
        ("a", 1, 0, 60, OPEN),
        ("b", 1, 0, 4, "leave"),
        ("b", 2, 0, pytest.approx(60 - 97 / 24), OPEN),
        ("c", 1, 0, 4, "leave"),
    ]


def test_silence_is_an_end_once_it_has_lasted(con):
    paths = {
        "a": "join@0 visit@240 visit@481",
        "b": "join@0 visit@240 visit@480",
        "c": "join@1320",
        "d": "join@0 other@200 visit@400",
    }
    rule = ChurnRule(silence="10 days", activity=["join", "visit"])
    found = spells_of(con, paths, end=None, rule=rule)
    assert rows(found, "customer_id", "exit_days", "cause") == [
        ("a", 20, "silence"),
        ("b", 30, "silence"),
        ("c", 5, OPEN),
        ("d", 10, "silence"),
    ]
    assert found.rule == "10 days without activity of join or visit"


def test_a_failed_payment_is_an_end_when_dunning_is_over(con):
    paths = {
        "settled in time": "join@0 fail@24 pay@264",
        "too late": "join@0 fail@24 pay@265",
        "second": "join@0 fail@24 pay@48 fail@72",
        "not over": "join@0 fail@1300",
    }
    rule = ChurnRule(failed="fail", settled="pay", dunning="10 days")
    found = (
        spells_of(con, paths, end="leave", rule=rule)
        if False
        else spells_of(con, paths, end=None, rule=rule)
    )
    assert rows(found, "customer_id", "exit_days", "cause") == [
        ("not over", 60, OPEN),
        ("second", 13, "payment"),
        ("settled in time", 60, OPEN),
        ("too late", 11, "payment"),
    ]


@pytest.mark.parametrize(("zero", "kept"), [("first_unit", ["a", "b"]), ("drop", ["b"])])
def test_what_becomes_of_ends_at_the_start_is_said(con, zero, kept):
    found = spells_of(con, {"a": "join@0 leave@0", "b": "join@0 leave@24"}, zero=zero)
    assert [row[0] for row in rows(found)] == kept
    assert spell_counts(found)["n"].sum() == len(kept)


def test_ends_at_the_start_may_be_refused(con):
    with pytest.raises(CxError, match="1 spells end at the moment of their start"):
        spells_of(con, {"a": "join@0 leave@0"}, zero="refuse")


# --- what was not known at the start


def test_a_fact_from_after_the_start_is_refused_as_a_group(con):
    """The usual mistake: who "ever opened a ticket" lived until then (immortal time)."""
    log = log_of(con, {"a": "join@0 ticket@48", "b": "join@0 leave@24"})
    for name in ("next_touchpoint", "first_after_ticket_at"):
        late = add_first(log, "ticket", when="after")
        with pytest.raises(CxError, match=rf"{name}.*\(immortal time\).*time_varying="):
            spells(late, start="join", end="leave", window_start=None, columns=[name])
    renamed = add_first(log, "ticket", when="after", prefix="ticket")
    with pytest.raises(CxError, match="1 spells have a 'ticket_at' after their start"):
        spells(renamed, start="join", end="leave", window_start=None, columns="ticket_at")


def test_segments_taken_after_observation_starts_are_refused(con):
    log = log_of(con, {"a": "join@0 buy@24 buy@480", "b": "join@0 leave@960", "c": "join@24"})
    log = add_customer_columns(log, rfm_segments(log, as_of="2024-02-01"), columns=["segment"])
    options = {"start": "join", "end": "leave", "columns": "segment"}
    with pytest.raises(CxError, match=r"as of 2024-02-01.*\(immortal time\); give window_start="):
        spells(log, window_start="2024-01-20", **options)
    assert len(rows(spells(log, window_start="2024-02-01", **options))) == 3


def test_the_outcome_is_no_covariate(con):
    found = spells_of(con, {"a": "join@0 leave@24"})
    for name in ("exit_days", "cause"):
        with pytest.raises(CxError, match=f"'{name}'"):
            spell_counts(found, by=name)


# --- what cannot be answered


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "joined"}, "did you mean 'join'"),
        ({"start": []}, "nothing starts a spell"),
        ({"end": "leaves"}, "did you mean 'leave'"),
        ({"end": None}, "nothing ends a spell"),
        ({"end": {"(paused)": "leave"}}, r"'\(paused\)' is in parentheses"),
        ({"end": {"x": "leave"}, "cause": "channel"}, "end= names the causes already"),
        ({"cause": "chanel"}, "did you mean 'channel'"),
        ({"censor": {"paused": "leave"}}, "'leave' ends a spell in two ways"),
        ({"columns": "chanel"}, "did you mean 'channel'"),
        ({"columns": "customer_id"}, "a column 'customer_id' of their own"),
        ({"zero": "keep"}, "no policy for zero durations 'keep'"),
        ({"window_start": "2024-03-01"}, "is not before observed_until 2024-03-01T00:00:00"),
        ({"rule": ChurnRule(silence="90")}, "'90' is not a number and a unit"),
        ({"rule": ChurnRule(silence="0 days")}, "silence= is empty"),
        ({"rule": ChurnRule(activity="join")}, "activity= needs silence="),
        ({"rule": ChurnRule(dunning="9 days")}, "failed= and dunning= belong together"),
        ({"rule": ChurnRule(contract_end="channel")}, "'channel' is string, and must be a time"),
        ({"rule": ChurnRule(grace="2 days"), "start": "leave"}, "'leave' starts and ends spells"),
    ],
)
def test_what_cannot_be_answered_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        spells_of(con, {"a": "join leave"}, **options)


# --- against plain Python


def spells_by_hand(own, until):
    """States of one customer, one time after the other."""
    found, since = [], None
    for at in sorted({row["occurred_at"] for row in own}):
        here = {row["touchpoint"] for row in own if row["occurred_at"] == at}
        starts, ends = "visit" in here, "leave" in here
        if since is not None and ends:
            found.append((since, at, "leave"))
            since = at if starts else None
        elif since is None and starts and ends:
            found.append((at, at, "leave"))
        elif since is None and starts:
            since = at
    return [*found, *([(since, until, OPEN)] if since is not None else [])]


@few_examples
@given(rows=random_rows())
def test_spells_are_those_of_plain_python(con, rows):
    rows = [*rows, *rows_of({"z": "visit leave"})]
    found = spells(log_of(con, rows), start="visit", end="leave", window_start=None)
    frame = found.table.order_by("customer_id", "spell").to_pandas()
    expected = [
        (customer, number + 1, *spell)
        for customer, own in paths_by_hand(rows).items()
        for number, spell in enumerate(spells_by_hand(own, datetime(2024, 3, 1)))
    ]
    columns = ["customer_id", "spell", "origin", "exited_at", "cause"]
    assert list(frame[columns].itertuples(index=False, name=None)) == expected
