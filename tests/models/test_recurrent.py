"""Events that come again, against R's figures and sums over every customer."""

import itertools

import numpy as np
import pandas as pd
import pytest

from cxlib import (
    CxError,
    CxWarning,
    fit_cox,
    mean_cumulative,
    recurrent_rows,
    return_times,
    spells,
    survival_curves,
)
from tests.journeys.logs import log_of
from tests.models.test_cox import case, check

STRETCHES = {"duration": "stop", "entry": "start", "event": "event", "customer": "id"}


def test_the_mean_number_of_tumours_is_that_of_r(shared):
    frame, expected = case(shared, "bladder_recurrent")
    found = mean_cumulative(frame, by="rx", **STRETCHES)
    for rx in (1, 2):
        for time in (6, 12, 24, 36):
            row = found[(found["rx"] == rx) & (found["stop"] <= time)].iloc[-1]
            assert row["mean_events"] == pytest.approx(expected[f"MCF[rx={rx}].t{time}"], rel=1e-6)
            error = expected[f"MCF_se_robust[rx={rx}].t{time}"]
            assert row["standard_error"] == pytest.approx(error, rel=1e-6)
            assert row["lower"] < row["mean_events"] < row["upper"]


def histories(seed=2, customers=12):
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        cuts = sorted(random.choice(np.arange(1, 12), 4, replace=False).tolist())
        first = int(random.integers(0, 2)) * cuts[0]
        cuts = [first, *[cut for cut in cuts if cut > first]]
        for start, stop in itertools.pairwise(cuts):
            rows.append((customer, start, stop, random.random() < 0.7))
    return pd.DataFrame(rows, columns=["id", "start", "stop", "event"])


def test_the_variance_is_the_sum_over_customers_and_times():
    frame = histories()
    found = mean_cumulative(frame, **STRETCHES).set_index("stop")
    for time in found.index:
        total = mean = 0.0
        shares = dict.fromkeys(frame["id"].unique(), 0.0)
        for t in sorted(frame.loc[frame["event"] & (frame["stop"] <= time), "stop"].unique()):
            at_risk = frame[(frame["start"] < t) & (frame["stop"] >= t)]
            ended = frame[(frame["stop"] == t) & frame["event"]]
            step = len(ended) / len(at_risk)
            mean += step
            for customer in at_risk["id"]:
                shares[customer] += ((ended["id"] == customer).sum() - step) / len(at_risk)
        total = sum(share**2 for share in shares.values())
        assert found.loc[time, "mean_events"] == pytest.approx(mean)
        assert found.loc[time, "standard_error"] == pytest.approx(np.sqrt(total))


def test_a_history_counted_three_times_is_that_of_three_customers(monkeypatch):
    frame = histories()
    three = pd.concat([frame.assign(id=frame["id"] + 100 * k) for k in range(3)])
    single = mean_cumulative(three, **STRETCHES)
    monkeypatch.setattr("cxlib.models.recurrent._CELLS", 30)
    counted = mean_cumulative(frame.assign(n=3), **STRETCHES)
    pd.testing.assert_frame_equal(single, counted)


def test_with_one_event_each_it_is_the_hazard_of_nelson_and_aalen():
    frame = pd.DataFrame({"id": range(4), "stop": [1, 2, 2, 3], "event": [1, 1, 0, 1]})
    found = mean_cumulative(frame, duration="stop", event="event", customer="id")
    assert found["mean_events"].tolist() == pytest.approx([1 / 4, 1 / 4 + 1 / 3, 19 / 12])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"customer": "idd"}, "no column 'idd' in the rows; did you mean 'id'"),
        ({"event": False}, {}, "no row of 'event' is an event"),
        ({"stop": -1}, {}, "rows end .'stop'. at or before they begin"),
        ({"stop": None}, {}, "rows have a missing value"),
        ({"n": [1, 2]}, {}, "'n' differs between rows of one 'id'"),
    ],
)
def test_what_cannot_be_read_is_refused(change, options, message):
    frame = pd.DataFrame({"id": [1, 1], "start": [0, 2], "stop": [2, 5], "event": [True, False]})
    with pytest.raises(CxError, match=message):
        mean_cumulative(frame.assign(**change), **STRETCHES | options)


# --- from a log


PATHS = {
    "a": "join@0 ticket@24 ticket@72 leave@120",
    "b": "join@48 ticket@96",
    "c": "join@0 leave@24 join@72 leave@96",
}
UNTIL = "2024-01-11"


def tickets(con, paths=None, **options):
    log = log_of(con, paths or PATHS, observed_until=UNTIL)
    own = {"start": ["join", "ticket"], "end": "ticket", "window_start": None}
    return spells(log, **(own | options))


def test_stretches_are_counted_from_the_start_or_from_the_last_event(con):
    found = tickets(con, censor={"gone": "leave"})
    total = recurrent_rows(found)
    gap = recurrent_rows(found, clock="gap", most=2)
    a = total[total["customer_id"] == "a"]
    assert a["entry_days"].tolist() == [0, 1, 3]
    assert a["duration_days"].tolist() == [1, 3, 5]
    assert a["event"].tolist() == [True, True, False]
    assert a["number"].tolist() == [1, 2, 3]
    a = gap[gap["customer_id"] == "a"]
    assert a["duration_days"].tolist() == [1, 2, 2]
    assert a["number"].tolist() == [1, 2, 2]
    c = total[total["customer_id"] == "c"]
    assert list(zip(c["entry_days"], c["duration_days"], strict=True)) == [(0, 1), (3, 4)]


def test_months_are_those_of_the_calendar_and_the_share_of_the_next(con):
    # 1 February, the middle of its 29 days, and 1 March.
    paths = {"a": "join@0 ticket@744 ticket@1092"}
    log = log_of(con, paths, observed_until="2024-03-01")
    found = spells(log, start=["join", "ticket"], end="ticket", window_start=None)
    rows = recurrent_rows(found, unit="months")
    assert rows["entry_months"].tolist() == [0, 1, 1.5]
    assert rows["duration_months"].tolist() == [1, 1.5, 2]


def test_a_month_from_a_day_that_others_lack_ends_on_their_last(con):
    # From 31 January: 29 February is a month later, 31 March two.
    log = log_of(con, {"a": "join@720 ticket@1416 ticket@2160"}, observed_until="2024-04-30")
    found = spells(log, start=["join", "ticket"], end="ticket", window_start=None)
    assert recurrent_rows(found, unit="months")["duration_months"].tolist() == [1, 2, 3]


def test_two_events_at_one_time_leave_a_stretch_without_length(con):
    with pytest.warns(CxWarning, match=r"1 of 3 stretches have no length"):
        recurrent_rows(tickets(con, {"a": "join@0 ticket@24", "b": "join@240"}))


def test_a_log_of_the_bladder_study_gives_rs_models(con, shared):
    """Andersen-Gill, and Prentice, Williams and Peterson on both clocks; months as days."""
    frame, expected = case(shared, "bladder_recurrent")
    paths = {}
    for customer, own in frame.groupby("id"):
        steps = [
            f"{'ticket' if row.event else 'leave'}@{24 * row.stop}" for row in own.itertuples()
        ]
        paths[str(customer)] = " ".join(["join@0", *steps])
    log = log_of(con, paths, observed_until="2024-06-01")
    found = spells(
        log, start=["join", "ticket"], end="ticket", window_start=None, censor={"gone": "leave"}
    )
    known = frame.assign(customer_id=frame["id"].astype(str), stratum=frame["enum"])
    known = known[["customer_id", "stratum", "rx", "size", "number"]]
    options = {"duration": "duration_days", "entry": "entry_days", "event": "event"}
    options |= {"covariates": ["rx", "size", "number"], "cluster": "customer_id"}
    for clock, strata, key in (
        ("total", None, "AG_efron"),
        ("total", "stratum", "PWP_total_efron"),
        ("gap", "stratum", "PWP_gap_efron"),
    ):
        rows = recurrent_rows(found, clock=clock).rename(columns={"number": "stratum"})
        # The study follows nobody after a fourth recurrence; the log does.
        rows = rows.merge(known, on=["customer_id", "stratum"])
        assert len(rows) == expected["n_rows"]
        check(fit_cox(rows, strata=strata, **options), expected, key)


def test_an_unknown_origin_is_refused(con):
    found = tickets(con, window_start="2024-01-03", censor={"gone": "leave"})
    with pytest.raises(CxError, match=r"first spells were before the window.*clock='gap'"):
        recurrent_rows(found)
    assert len(recurrent_rows(found, clock="gap")) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "month"}, "no unit 'month'; did you mean 'months'"),
        ({"clock": "totl"}, "no clock 'totl'; did you mean 'total'"),
        ({"columns": "plam"}, "no column 'plam' in the spells"),
        ({"most": 0}, "most is 0"),
    ],
)
def test_unknown_options_are_named(con, options, message):
    with pytest.raises(CxError, match=message):
        recurrent_rows(tickets(con), **options)


def test_times_to_return_are_censored_at_the_cut_off(con):
    log = log_of(con, PATHS | {"d": "join@0 leave@12 join@36 leave@60"}, observed_until=UNTIL)
    found = spells(log, start="join", end="leave", window_start=None)
    counted = return_times(found, by="cause")
    assert counted["cause"].unique().tolist() == ["leave"]
    rows = list(counted.drop(columns="cause").itertuples(index=False, name=None))
    # a left on day 5, c on day 1 and again on day 4, d after 12 and 60 hours, of 10 days.
    assert rows == [(1, True, 1), (2, True, 1), (5, False, 1), (6, False, 1), (7, False, 1)]
    back = 1 - survival_curves(return_times(found))["survival"].iloc[-1]
    assert back == pytest.approx(2 / 5)


def test_returns_may_be_counted_in_months(con):
    # Gone on 2 January; back on 2 February, and a day later.
    paths = {"a": "join@0 leave@24 join@768", "b": "join@0 leave@24 join@792", "c": "join leave@24"}
    log = log_of(con, paths, observed_until="2024-04-01")
    counted = return_times(spells(log, start="join", end="leave", window_start=None), unit="months")
    assert counted.to_numpy().tolist() == [[1, True, 1], [2, False, 1], [2, True, 1]]


def test_where_nobody_left_nobody_comes_back(con):
    log = log_of(con, {"a": "join@0", "b": "leave@0"}, observed_until=UNTIL)
    found = spells(log, start="join", end="leave", window_start=None)
    with pytest.raises(CxError, match="no spell has ended"):
        return_times(found)
    with pytest.raises(CxError, match="no unit 'day'; did you mean 'days'"):
        return_times(found, unit="day")
    with pytest.raises(CxError, match="no column 'plan' in the spells"):
        return_times(found, by="plan")
