"""Prediction from today on, and its check on what happened later, against recounts by hand."""

import ibis
import numpy as np
import pandas as pd
import pytest

from cxlib import (
    CxError,
    CxWarning,
    calibration,
    fit_aft,
    fit_cox,
    fit_discrete_hazard,
    followed_after,
    restricted_means,
    score_customers,
    spell_counts,
    spells,
    survival_curves,
    validate_survival,
)
from cxlib.models.prediction.smoothing import smoothed
from tests.journeys.logs import log_of, rows_of

pytestmark = pytest.mark.filterwarnings("ignore::cxlib.CxWarning")

CUT = "2024-03-01"


def company(seed=1, n=3_000, ratio=2.0):
    """Customers whose monthly risk is 5 %, or as many times as much without a contract."""
    random = np.random.default_rng(seed)
    plan = random.choice(["basic", "pro"], n)
    hazard = 0.05 * np.where(plan == "basic", ratio, 1.0)
    months = random.geometric(hazard)
    seen = random.integers(12, 37, n)
    table = pd.DataFrame(
        {"plan": plan, "duration_months": np.minimum(months, seen), "event": months <= seen}
    )
    return table.groupby(list(table.columns), as_index=False).size().rename(columns={"size": "n"})


FIT = {"duration": "duration_months", "event": "event", "covariates": ["plan"]}


def model_of(table=None, fit=fit_discrete_hazard):
    return fit(company() if table is None else table, **FIT)


# --- scores


@pytest.mark.parametrize("fit", [fit_cox, fit_discrete_hazard, fit_aft])
def test_the_chance_to_stay_is_that_given_the_age(fit):
    model = model_of(fit=fit)
    customers = pd.DataFrame(
        {"customer_id": list("abc"), "plan": ["pro", "basic", "pro"], "age": [0, 5, 30]},
        index=[7, 3, 5],
    )
    found = score_customers(model, customers, age="age", ahead=[1, 3])
    assert found.index.tolist() == [7, 3, 5]
    assert found[list(customers.columns)].equals(customers)
    for place, row in enumerate(customers.itertuples()):
        one = customers.iloc[[place]]
        curve = model.predict(one, range(int(model.reliable_until) + 1))["survival"].to_numpy()
        here = found.iloc[place]
        assert here["stays_3_months"] == pytest.approx(curve[row.age + 3] / curve[row.age])
        area = curve[row.age : -1].sum() / curve[row.age]
        assert here["expected_months"] == pytest.approx(area)
        assert here["expected_within_months"] == int(model.reliable_until) - row.age


def test_the_expected_time_of_a_new_customer_is_the_restricted_mean():
    table = company().query("plan == 'pro'").assign(one=lambda t: np.arange(len(t)) % 2)
    table = table.groupby(["duration_months", "event"], as_index=False)["n"].sum()
    both = pd.concat([table.assign(x=0), table.assign(x=1)])
    model = fit_discrete_hazard(both, duration="duration_months", event="event", covariates=["x"])
    score = score_customers(model, pd.DataFrame({"x": [0], "age": [0]}), age="age")
    until = model.reliable_until
    mean = restricted_means(table, until=until)["restricted_mean_months"][0]
    assert score["expected_months"][0] == pytest.approx(mean, rel=1e-6)


def test_what_would_be_extrapolated_is_missing():
    model = model_of()
    last = int(model.reliable_until)
    customers = pd.DataFrame({"plan": "pro", "age": [last - 1, last, last + 40]})
    found = score_customers(model, customers, age="age", ahead=[1, 2])
    assert found["stays_1_months"].isna().tolist() == [False, True, True]
    assert found["stays_2_months"].isna().all()
    assert found["expected_months"].isna().tolist() == [False, False, True]
    assert found["expected_within_months"].iloc[:2].tolist() == [1, 0]


def test_a_table_of_the_engine_stays_in_the_engine():
    model = model_of()
    frame = pd.DataFrame({"plan": ["pro", "basic"] * 20, "age": np.arange(40) % 9 + 0.5})
    found = score_customers(model, ibis.memtable(frame), age="age")
    assert isinstance(found, ibis.Table)
    assert int(found.count().to_pandas()) == 40
    found = found.order_by("age", "plan").to_pandas()
    mine = score_customers(model, frame, age="age").sort_values(["age", "plan"])
    assert found["expected_months"].tolist() == pytest.approx(mine["expected_months"].tolist())


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"age": "agee"}, "no column 'agee' among the customers; did you mean 'age'"),
        ({"age": -1}, {}, "2 customers have a negative 'age'"),
        ({"plan": [None, "pro"]}, {}, "1 customers miss a value of 'plan'"),
        ({"plan": "gold"}, {}, "no level 'gold' of 'plan'"),
        ({}, {"ahead": [0]}, "must be whole months of 1 and more"),
        ({"expected_months": 1}, {}, "have a column 'expected_months' already"),
    ],
)
def test_customers_who_cannot_be_scored_are_named(change, options, message):
    customers = pd.DataFrame({"plan": ["pro", "basic"], "age": [1, 2]}).assign(**change)
    with pytest.raises(CxError, match=message):
        score_customers(model_of(), customers, **{"age": "age"} | options)


# --- the check


def outcomes(seed=2, n=400, ratio=2.0):
    """Later customers of any age, each row one of them."""
    random = np.random.default_rng(seed)
    table = company(seed, n, ratio)
    table = table.loc[table.index.repeat(table["n"])].drop(columns="n").reset_index(drop=True)
    age = random.integers(0, 10, len(table))
    stop = random.integers(3, 13, len(table))
    event = table["event"] & (table["duration_months"] <= stop)
    duration = np.minimum(table["duration_months"], stop)
    return table.assign(
        age_months=age, duration_months=duration, event=event, as_of=pd.Timestamp(CUT)
    )


def stay_uncensored(frame, time):
    left = 1.0
    for stop in sorted(frame.loc[~frame["event"] & (frame["duration_months"] < time),
                                 "duration_months"].unique()):  # fmt: skip
        here = ~frame["event"] & (frame["duration_months"] == stop)
        left *= 1 - here.sum() / (here | (frame["duration_months"] > stop)).sum()
    return left


def test_the_brier_score_is_that_of_every_customer():
    model, later = model_of(), outcomes()
    found = validate_survival(model, later, times=[3, 6, 9], fitted_until=CUT)
    scores = []
    for row, time in zip(found.itertuples(), [3, 6, 9], strict=True):
        total = 0.0
        for customer in later.itertuples():
            one = pd.DataFrame({"plan": [customer.plan]})
            ages = [customer.age_months, customer.age_months + time]
            first, then = model.predict(one, ages)["survival"]
            if customer.event and customer.duration_months <= time:
                before = stay_uncensored(later, customer.duration_months)
                total += (then / first) ** 2 / before
            elif customer.duration_months >= time:
                total += (1 - then / first) ** 2 / stay_uncensored(later, time)
        scores.append(total / len(later))
        assert row.brier == pytest.approx(scores[-1], rel=1e-9)
        curve = survival_curves(later).query("duration_months <= @time")["survival"].iloc[-1]
        assert row.observed == pytest.approx(1 - curve)
    assert found["integrated_brier"].iloc[1] == pytest.approx(np.mean(scores[:2]))
    assert found["integrated_brier"].iloc[2] == pytest.approx(
        (scores[0] / 2 + scores[1] + scores[2] / 2) / 2
    )
    assert found["sample"].unique().tolist() == ["later"]


def test_the_concordance_is_that_of_every_pair():
    model, later = model_of(), outcomes(n=200)
    found = validate_survival(model, later, times=[4, 8], fitted_until=CUT)["concordance"]
    for value, time in zip(found, [4, 8], strict=True):
        risk = []
        for customer in later.itertuples():
            ages = [customer.age_months, customer.age_months + time]
            first, then = model.predict(pd.DataFrame({"plan": [customer.plan]}), ages)["survival"]
            risk.append(round(1 - then / first, 9))
        risk, months = np.array(risk), later["duration_months"].to_numpy()
        event, right, total = later["event"].to_numpy(), 0.0, 0.0
        for i in np.flatnonzero(event & (months <= time)):
            longer = (months > months[i]) | ((months == months[i]) & ~event)
            weight = stay_uncensored(later, months[i]) ** -2
            right += weight * ((risk[longer] < risk[i]) + (risk[longer] == risk[i]) / 2).sum()
            total += weight * longer.sum()
        assert value == pytest.approx(right / total, rel=1e-9)


class Exponential:
    """Survival exp(-x t / 5), whatever the age."""

    def __init__(self):
        self.covariate_columns, self.reliable_until = ["x"], 100.0

    def predict(self, frame, times):
        risk = np.outer(frame["x"], times) / 5
        return pd.DataFrame({"survival": np.exp(-risk).ravel()})


def test_the_scores_are_those_of_scikit_survival():
    """scikit-survival 0.28.0 on these rows: brier_score, integrated_brier_score, and
    concordance_index_ipcw with tau=9.6."""
    model = Exponential()
    rows = pd.DataFrame(
        {
            "x": [0.9, 0.2, 0.7, 0.8, 0.3, 0.6, 0.5, 0.1, 0.4, 0.2, 0.3, 0.1],
            "duration_months": np.arange(1.0, 13),
            "event": np.array([1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0], bool),
            "age_months": np.arange(12) % 5,
            "as_of": pd.Timestamp(CUT),
        }
    )
    found = validate_survival(model, rows, times=[3.5, 6.5, 9.5], fitted_until=CUT)
    assert found["brier"].tolist() == pytest.approx(
        [0.1081183371827527, 0.11703284567880527, 0.11027686266013377], rel=1e-9
    )
    assert found["integrated_brier"].iloc[-1] == pytest.approx(0.11311522280012425, rel=1e-9)
    assert found["concordance"].iloc[-1] == pytest.approx(0.9785318835384555, rel=1e-9)


def test_counts_give_what_single_customers_give():
    model, later = model_of(), outcomes()
    keys = list(later.columns)
    counted = later.groupby(keys, as_index=False).size().rename(columns={"size": "n"})
    for check in (
        lambda rows: validate_survival(model, rows, times=[3, 6], fitted_until=CUT),
        lambda rows: calibration(model, rows, at=6, fitted_until=CUT, groups=4),
    ):
        pd.testing.assert_frame_equal(check(later), check(counted))


def test_a_true_model_is_calibrated_and_a_wrong_one_is_seen_not_to_be():
    later = outcomes(n=20_000)
    right = validate_survival(model_of(company(n=20_000)), later, times=[6], fitted_until=CUT)
    wrong = validate_survival(
        model_of(company(n=20_000, ratio=6)), later, times=[6], fitted_until=CUT
    )
    assert right["ici"][0] < 0.02 < 0.1 < wrong["ici"][0]
    assert right["brier"][0] < wrong["brier"][0]
    assert right["skill"][0] > 0
    assert right["predicted"][0] == pytest.approx(right["observed"][0], abs=0.02)
    found = calibration(model_of(company(n=20_000)), later, at=6, fitted_until=CUT)
    inside = (found["predicted"] > found["lower"] - 0.02) & (
        found["predicted"] < found["upper"] + 0.02
    )
    assert inside.all()
    assert found["n"].sum() == 20_000
    assert found["ici"].tolist() == pytest.approx([right["ici"][0]] * len(found))
    assert found["ahead_months"].unique().tolist() == [6]
    assert found["predicted"].is_monotonic_increasing


def test_the_smooth_risk_is_that_which_was_planted():
    random = np.random.default_rng(4)
    predicted = random.uniform(0.05, 0.6, 20_000)
    truth = predicted**1.5
    ended = (random.random(20_000) < truth).astype("float64")
    found = smoothed(predicted, ended, np.ones(20_000))
    assert np.abs(found - truth).mean() < 0.02


def test_in_sample_calibration_is_not_presented_as_validation():
    model, later = model_of(), outcomes()
    with pytest.raises(CxError, match=r"looks better on the data .*fitted_until=.*in_sample=True"):
        validate_survival(model, later, times=[3])
    with pytest.raises(CxError, match="in part they are the data of the fit"):
        validate_survival(model, later, times=[3], fitted_until="2024-06-01")
    with pytest.raises(CxError, match="no column 'as_of'"):
        calibration(model, later.drop(columns="as_of"), at=3, fitted_until=CUT)
    with pytest.raises(CxError, match="exclude each other"):
        calibration(model, later, at=3, fitted_until=CUT, in_sample=True)
    own = company().assign(age_months=0)
    found = validate_survival(model, own, times=[3], in_sample=True)
    assert found["sample"].tolist() == ["in-sample"]


def test_times_that_were_not_followed_are_refused():
    model, later = model_of(), outcomes()
    with pytest.raises(CxError, match="nobody was followed for 13 months after the cut"):
        validate_survival(model, later, times=[3, 13], fitted_until=CUT)
    with pytest.raises(CxError, match="must be numbers above 0"):
        validate_survival(model, later, times=[0], fitted_until=CUT)
    with pytest.raises(CxError, match="no column 'age_months' in the outcomes"):
        validate_survival(model, later.drop(columns="age_months"), times=[3], fitted_until=CUT)
    with pytest.raises(CxError, match="groups=1 must be 2"):
        calibration(model, later, at=3, fitted_until=CUT, groups=1)
    old = later.assign(age_months=500)
    with pytest.raises(CxError, match=r"^3 months after every age lies beyond .*, the last"):
        validate_survival(model, old, times=[3], fitted_until=CUT)


@pytest.mark.filterwarnings("default::cxlib.CxWarning")
def test_customers_beyond_the_last_reliable_time_are_left_out_and_said():
    later = outcomes()
    later.loc[:9, "age_months"] = 500
    with pytest.warns(CxWarning, match="10 of 400 customers are left out: 3 months after"):
        found = validate_survival(model_of(), later, times=[3], fitted_until=CUT)
    assert found["n"].tolist() == [390]


# --- from a log


PATHS = {
    "a": "join@0 leave@240",
    "b": "join@48",
    "c": "join@0 leave@120",
    "d": "join@180 leave@250",
    "e": "join@110 leave@400",
}


def test_customers_of_a_date_are_followed_from_it(con):
    log = log_of(con, PATHS, observed_until="2024-01-20")
    found = spells(log, start="join", end="leave", window_start=None, observed_until="2024-01-14")
    counted = followed_after(found, "2024-01-06")
    rows = counted[["age_days", "duration_days", "event", "n"]].itertuples(index=False, name=None)
    # The cut is hour 120: c is gone, d has not come, and e leaves after the cut-off.
    assert list(rows) == [(0, 8, False, 1), (3, 8, False, 1), (5, 5, True, 1)]
    with pytest.raises(CxError, match="the cut 2024-01-14T00:00:00 is not before observed_until"):
        followed_after(found, "2024-01-14")
    with pytest.raises(CxError, match="nobody was there on 2023-01-01"):
        followed_after(found, "2023-01-01")
    with pytest.raises(CxError, match="no unit 'month'; did you mean 'months'"):
        followed_after(found, "2024-01-06", unit="month")
    with pytest.raises(CxError, match="no column 'plan' in the spells"):
        followed_after(found, "2024-01-06", columns="plan")


def test_customers_may_be_followed_in_months(con):
    # Joined on 1 January, cut on 16 February; one left on 16 March, one an hour later.
    paths = {"a": "join@0 leave@1800", "b": "join@0 leave@1801", "c": "join@800"}
    log = log_of(con, paths, observed_until="2024-05-01")
    found = spells(log, start="join", end="leave", window_start=None)
    counted = followed_after(found, "2024-02-16", unit="months").drop(columns="as_of")
    assert counted.columns.tolist() == ["age_months", "duration_months", "event", "n"]
    assert counted.to_numpy().tolist() == [[0, 2, False, 1], [1, 1, True, 1], [1, 2, True, 1]]


def test_a_missing_group_is_named_as_in_the_counts_of_a_fit(con):
    rows = rows_of({"a": "join@0"}, channel="web") + rows_of({"b": "join@0"}, channel=None)
    found = spells(
        log_of(con, rows + rows_of({"c": "leave@0"}), observed_until="2024-03-01"),
        start="join", end="leave", window_start=None, columns="channel",
    )  # fmt: skip
    counted = followed_after(found, "2024-02-01", columns="channel")
    assert counted["channel"].tolist() == ["(none)", "web"]


def test_the_whole_way_from_a_log_to_a_validation(con):
    random = np.random.default_rng(3)
    paths = {}
    for customer in range(150):
        start = int(random.integers(0, 20)) * 24
        stop = start + int(random.geometric(0.08)) * 24
        paths[str(customer)] = f"join@{start} leave@{stop}"
    log = log_of(con, paths, observed_until="2024-06-01")
    options = {"start": "join", "end": "leave", "window_start": None}
    past = spells(log, observed_until="2024-01-20", **options)
    counted = spell_counts(past).assign(one=lambda t: np.arange(len(t)) % 2)
    model = fit_discrete_hazard(
        counted, duration="duration_days", event="event", covariates=["one"]
    )
    later = spells(log, observed_until="2024-02-01", **options)
    later = followed_after(later, "2024-01-20").assign(one=0)
    later = later[later["age_days"] <= model.reliable_until - 4]
    found = validate_survival(model, later, times=[2, 4], fitted_until="2024-01-20")
    assert found["brier"].between(0, 0.35).all()
    with pytest.raises(CxError, match="fitted on data until 2024-02-01"):
        validate_survival(model, later, times=[2, 4], fitted_until="2024-02-01")
