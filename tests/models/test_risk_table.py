"""Counts of spells and risk tables, with covariates that change."""

import warnings
from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given

from cxlib import (
    History,
    covariate_history,
    cumulative_incidence,
    fit_cox,
    risk_rows,
    risk_table,
    spell_counts,
    spells,
    survival_curves,
    time_to_event,
)
from cxlib.errors import CxError
from tests.journeys.logs import DAY_ONE, few_examples, log_of, random_rows, rows_of
from tests.models.test_spells import spells_of

# --- counts


def test_first_spells_are_counted_as_by_time_to_event(con):
    # The cut-off is at the end of a day, so that no unit is left incomplete.
    paths = {"a": "join@0 leave@30", "b": "join@24 leave@25", "c": "join@48", "d": "join@0"}
    log = log_of(con, paths)
    options = {"start": "join", "end": "leave", "window_start": "2024-01-01T12:00"}
    expected = time_to_event(log, **options)
    found = spell_counts(spells(log, **options)).drop(columns="cause")
    pd.testing.assert_frame_equal(found, expected)


def test_an_end_in_a_unit_that_was_not_over_is_censored_with_the_others(con):
    # Both joined 2.5 weeks before the cut-off; one left in the third week.
    paths = {"a": "join@0 leave@400", "b": "join@0"}
    found = spells_of(con, paths, observed_until="2024-01-18T12:00")
    counts = spell_counts(found, unit="weeks")
    assert counts[["duration_weeks", "event", "n"]].to_numpy().tolist() == [[2, False, 2]]


def test_months_are_those_of_the_calendar(con):
    paths = {"a": "join@0 leave@744", "b": "join@0 leave@745", "c": "join@720 leave@1400"}
    # 31 days to 1 February; one hour more; from 31 January to 28 February.
    counts = spell_counts(spells_of(con, paths, observed_until="2024-06-01"), unit="months")
    assert counts[["duration_months", "n"]].to_numpy().tolist() == [[1, 2], [2, 1]]


def test_causes_may_be_counted_as_one(con):
    paths = {"a": "join@0 leave@24", "b": "join@0 stop@24", "c": "join@0 move@24"}
    found = spells_of(con, paths, end=["leave", "stop", "move"])
    counts = spell_counts(found, causes={"voluntary": ["leave", "stop"]})
    assert counts[["cause", "n"]].to_numpy().tolist() == [["move", 1], ["voluntary", 2]]
    assert cumulative_incidence(counts)["incidence"].max() == pytest.approx(2 / 3)
    risk = risk_table(found, unit="days", causes={"voluntary": ["leave", "stop"]})
    assert risk.iloc[0].to_dict() == {
        "entry_days": 0, "duration_days": 1, "n_at_risk": 3, "events": 3, "events_move": 1,
        "events_voluntary": 2,
    }  # fmt: skip
    with pytest.raises(CxError, match="the cause 'leave' is in two groups"):
        spell_counts(found, causes={"x": "leave", "y": "leave"})
    with pytest.raises(CxError, match="no spell ended for a cause of the group 'x'"):
        spell_counts(found, causes={"x": "leaves"})


def test_groups_are_as_they_were_at_the_start(con):
    events = rows_of({"a": "join@0"}, channel="web") + rows_of({"b": "join@0"}, channel=None)
    end = rows_of({"a": "visit leave@48"}, channel="app")[1:]
    found = spells_of(con, events + end, columns=["channel"])
    counts = spell_counts(found, by="channel")
    assert counts[["channel", "duration_days"]].to_numpy().tolist() == [["(none)", 60], ["web", 2]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "chanel"}, "no column 'chanel' in the spells"),
        ({"unit": "month"}, "did you mean 'months'"),
        ({"lead_time": "3 days"}, "lead_time belongs to time_varying="),
        ({"by": ["channel", "channel"]}, "'channel' stands for two things"),
    ],
)
def test_what_cannot_be_counted_says_why(con, options, message):
    found = spells_of(con, rows_of({"a": "join leave"}, channel="web"), columns="channel")
    with pytest.raises(CxError, match=message):
        spell_counts(found, **options)


# --- covariates that change


def test_a_value_holds_from_the_interval_after_it_was_known(con):
    # A ticket at hour 30 is known when day 3 (48 to 72) begins, not in day 2.
    found = spells_of(con, {"a": "join@0 ticket@30 leave@100"})
    tickets = covariate_history(log_of(con, {"a": "join@0 ticket@30 leave@100"}), "ticket")
    counts = spell_counts(found, time_varying={"ticket": tickets})
    assert counts[["ticket", "entry_days", "duration_days", "event"]].to_numpy().tolist() == [
        [0, 0, 2, False],
        [1, 2, 5, True],
    ]
    assert counts["cause"].tolist() == ["(goes on)", "leave"]


@pytest.mark.parametrize(
    ("hours", "lead", "entry"),
    [(47.9, None, 2), (48, None, 3), (24, "1 day", 3), (23.9, "1 day", 2)],
)
def test_a_feature_that_reads_past_the_start_of_the_interval_is_not_used(con, hours, lead, entry):
    paths = {"a": f"join@0 ticket@{hours} leave@200"}
    found, log = spells_of(con, paths), log_of(con, paths)
    risk = risk_table(found, unit="days", lead_time=lead,
                      time_varying={"ticket": covariate_history(log, "ticket")})  # fmt: skip
    assert risk.loc[risk["ticket"] == 1, "entry_days"].min() == entry


def test_what_happens_in_the_interval_of_the_end_changes_nothing(con):
    """The leak that makes a complaint on the last day "predict" the churn."""
    quiet, loud = {"a": "join@0 leave@100"}, {"a": "join@0 ticket@97 leave@100"}
    tables = []
    for paths in (quiet | {"b": "ticket@0"}, loud | {"b": "ticket@0"}):
        tickets = covariate_history(log_of(con, paths), "ticket")
        tables.append(
            risk_table(spells_of(con, paths), unit="days", time_varying={"ticket": tickets})
        )
    pd.testing.assert_frame_equal(*tables)


def test_events_may_be_counted_up_to_a_number_or_for_a_while(con):
    log = log_of(con, {"a": "t@0 t@24 t@24 t@100"})
    history = covariate_history(log, "t", most=3).table.order_by("at").to_pandas()
    # Two at one time take the count from 1 to 3; the fourth changes nothing.
    assert history["value"].tolist() == [1, 3]
    history = covariate_history(log, "t", within="2 days").table.order_by("at").to_pandas()
    hours = (history["at"] - DAY_ONE) / pd.Timedelta(hours=1)
    assert list(zip(hours, history["value"], strict=True)) == [
        *((0, 1), (24, 1), (48, 1), (72, 0), (100, 1), (148, 0))
    ]


def test_a_history_may_be_the_last_value_of_a_column(con):
    events = [
        dict(row, plan=plan)
        for row, plan in zip(rows_of({"a": "set@0 set@24 set@48"}), ["s", "m", None], strict=True)
    ]
    history = covariate_history(log_of(con, events), "set", column="plan")
    assert history.table.order_by("at").value.to_list() == ["s", "m"]
    assert history.before == "(none)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"touchpoint": "jion"}, "did you mean 'join'"),
        ({"touchpoint": []}, "no touchpoint is given"),
        ({"most": 0}, "most is 0"),
        ({"column": "plan", "most": 2}, "not both"),
        ({"column": "plan"}, "no column 'plan'"),
        ({"within": "90"}, "not a number and a unit"),
    ],
)
def test_a_history_that_cannot_be_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        covariate_history(log_of(con, {"a": "join"}), **({"touchpoint": "join"} | options))


def test_a_history_of_ones_own_needs_its_columns(con):
    table = log_of(con, {"a": "join"}).events
    with pytest.raises(CxError, match="no column 'at' in the history"):
        History(table)
    with pytest.raises(CxError, match="'at' is string, and must be a timestamp"):
        History(table.mutate(at=table.touchpoint, value=table.touchpoint))


def person_days(frame, histories):
    """Every day of every spell, written out: the table that nobody should need."""
    found = []
    for row in frame.to_dict("records"):
        seen = (datetime(2024, 3, 1) - row["origin"]) // timedelta(days=1)
        last = -((row["origin"] - row["exited_at"]) // timedelta(days=1))
        event = row["event"] and max(last, 1) <= seen
        stayed = (row["exited_at"] - row["origin"]) // timedelta(days=1)
        last = max(last, 1) if event else min(stayed, seen)
        first = -((row["origin"] - row["entered_at"]) // timedelta(days=1))
        for day in range(first, last):
            start = row["origin"] + timedelta(days=day)
            values = []
            for changes in histories:
                known = [v for c, at, v in changes if c == row["customer_id"] and at < start]
                values.append(known[-1] if known else 0)
            ended = event and day == last - 1
            found.append((*values, day, day + 1, ended))
    columns = ["asks", "buys", "entry_days", "duration_days", "event"]
    return pd.DataFrame(found, columns=columns)


@few_examples
@given(rows=random_rows())
def test_the_risk_table_is_that_of_person_periods(con, rows):
    # Hours become days: 20 hours would be one interval.
    rows = [row | {"occurred_at": DAY_ONE + 5 * (row["occurred_at"] - DAY_ONE)} for row in rows]
    rows += rows_of({"z": "visit@0 ask@30 buy@60 leave@150", "y": "visit@3 ask@100"})
    log = log_of(con, rows)
    found = spells(log, start="visit", end="leave", window_start="2024-01-02T06:00")
    asks, buys = (
        covariate_history(log, "ask", most=2),
        covariate_history(log, "buy", within="1 day"),
    )
    changes = [
        list(h.table.order_by("customer_id", "at").select("customer_id", "at", "value")
             .to_pandas().itertuples(index=False, name=None))
        for h in (asks, buys)
    ]  # fmt: skip
    days = person_days(found.table.to_pandas(), changes)
    keys = ["asks", "buys", "entry_days", "duration_days"]
    expected = days.groupby(keys, as_index=False).agg(
        n_at_risk=("event", "size"), events=("event", "sum")
    )
    risk = risk_table(found, unit="days", time_varying={"asks": asks, "buys": buys})
    pd.testing.assert_frame_equal(
        risk[[*keys, "n_at_risk", "events"]].astype("int64"), expected.astype("int64")
    )
    counts = spell_counts(found, unit="days", time_varying={"asks": asks, "buys": buys})
    assert (counts["n"] > 0).all()
    assert (counts["n"] * (counts["duration_days"] - counts["entry_days"])).sum() == len(days)


def test_cox_on_the_risk_table_is_cox_on_the_spells(con):
    paths, plans = {}, {}
    for number in range(60):
        days = 5 + (number * 37) % 50
        ticket = f"ticket@{24 * (number % 7 + 1)} " if number % 3 else ""
        left = f"leave@{24 * days}" if number % 5 else ""
        paths[f"c{number:02}"] = f"join@0 {ticket}{left}"
        plans[f"c{number:02}"] = "pro" if number % 4 else "basic"
    events = [dict(row, plan=plans[row["customer_id"]]) for row in rows_of(paths)]
    log = log_of(con, events)
    found = spells(log, start="join", end="leave", window_start="2024-01-04", columns=["plan"])
    tickets = covariate_history(log, "ticket")
    options = {"unit": "days", "time_varying": {"ticket": tickets}}
    risk = risk_table(found, covariates=["plan"], **options)
    counts = spell_counts(found, by="plan", **options)
    fit = {"duration": "duration_days", "entry": "entry_days", "event": "event",
           "covariates": ["plan", "ticket"]}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [fit_cox(table, **fit) for table in (counts, risk_rows(risk))]
    columns = ["coefficient", "standard_error", "p_value", "events"]
    pd.testing.assert_frame_equal(models[0].summary[columns], models[1].summary[columns])
    assert models[0].log_likelihood == pytest.approx(models[1].log_likelihood, rel=1e-12)
    curves = survival_curves(counts), survival_curves(risk_rows(risk))
    last = [curve["survival"].iloc[-1] for curve in curves]
    assert last[0] == pytest.approx(last[1])


def test_one_cause_of_a_risk_table_is_named(con):
    paths = {"a": "join@0 leave@24", "b": "join@0 stop@24", "c": "join@0"}
    risk = risk_table(spells_of(con, paths, end=["leave", "stop"]), unit="weeks")
    one = risk_rows(risk, cause="leave")
    assert one.loc[one["event"], "n"].tolist() == [1]
    assert one.loc[one["entry_weeks"] == 0, "n"].sum() == 3
    with pytest.raises(CxError, match="no cause 'leaves' in the risk table; did you mean 'leave'"):
        risk_rows(risk, cause="leaves")
    with pytest.raises(CxError, match="no column 'n_at_risk' in the risk table"):
        risk_rows(one)


def test_too_many_patterns_name_the_column_to_bin(con, monkeypatch):
    from cxlib.models.outcomes import counting

    monkeypatch.setattr(counting, "_MOST_ROWS", 2)
    events = [dict(row, city=row["customer_id"]) for row in rows_of(dict.fromkeys("abcd", "join"))]
    found = spells_of(con, [*events, *rows_of({"z": "leave"})], columns="city")
    with pytest.raises(CxError, match=r"over 2 patterns; bin 'city' \(4 values\)"):
        spell_counts(found, by="city")
