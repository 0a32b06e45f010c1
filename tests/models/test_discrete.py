"""Hazards in discrete time, against R's figures and the likelihood of every customer and period."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cxlib import CxError, fit_cox, fit_discrete_hazard
from tests.models.test_cox import aggregated, case, remission

pytestmark = pytest.mark.filterwarnings("ignore::cxlib.CxWarning")

TELCO = ["dependents_Yes", "internetService_DSL", "onlineBackup_Yes", "techSupport_Yes"]


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_telco_is_that_of_r(shared, link):
    frame, expected = case(shared, "telco_month_to_month")
    frame = aggregated(frame[["tenure", "churn", *TELCO]])
    model = fit_discrete_hazard(
        frame, duration="tenure", event="churn", covariates=TELCO, link=link, pool_from=60
    )
    summary = model.summary.set_index("covariate")
    for name in TELCO:
        coefficient, error = summary.loc[name, ["coefficient", "standard_error"]]
        wanted = {kind: expected[f"discrete_{link}.{kind}.{name}"] for kind in ("coef", "se")}
        assert coefficient == pytest.approx(wanted["coef"], rel=1e-6)
        assert error == pytest.approx(wanted["se"], rel=1e-6)
    assert model.customer_periods == expected["discrete.person_periods"]


def by_hand(table: pd.DataFrame, link: str) -> tuple[float, float]:
    """Coefficient of 6-MP and the log-likelihood, from one row per customer and week."""
    rows = []
    for weeks, event, drug in table[["weeks", "event", "drug"]].itertuples(index=False):
        for week in range(1, int(weeks) + 1):
            rows.append((week, drug == "6-MP", event and week == weeks))
    long = pd.DataFrame(rows, columns=["week", "x", "y"])
    ended = long.groupby("week")["y"].transform("any")
    long = long[ended]
    week = pd.get_dummies(long["week"]).to_numpy("float64")
    x, y = long["x"].to_numpy("float64"), long["y"].to_numpy("float64")

    def loss(parameters):
        eta = week @ parameters[1:] + x * parameters[0]
        if link == "logit":
            return -(y * eta - np.logaddexp(0, eta)).sum()
        return -(y * np.log(-np.expm1(-np.exp(eta))) - (1 - y) * np.exp(eta)).sum()

    start = np.full(week.shape[1] + 1, -2.0)
    best = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-8, "maxiter": 5_000})
    return best.x[0], -best.fun


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_the_estimate_is_that_of_one_row_per_customer_and_period(link):
    table = remission()
    model = fit_discrete_hazard(
        table, duration="weeks", event="event", covariates=["drug"], link=link,
        reference={"drug": "placebo"},
    )  # fmt: skip
    coefficient, log_likelihood = by_hand(table, link)
    assert model.summary["coefficient"][0] == pytest.approx(coefficient, abs=1e-4)
    assert model.log_likelihood == pytest.approx(log_likelihood, abs=1e-6)


def test_pooled_periods_share_one_hazard():
    model = fit_discrete_hazard(
        remission(), duration="weeks", event="event", covariates=["drug"], pool_from=10
    )
    tail = model.baseline[model.baseline["weeks"] >= 10]
    assert tail["weeks"].tolist() == list(range(10, 24))
    assert tail["hazard"].max() == tail["hazard"].min()
    assert tail["at_risk"].iloc[0] == (remission()["weeks"] >= 10).sum()
    assert model.baseline["events"].sum() == model.events
    half = remission().assign(weeks=lambda t: t["weeks"] - 0.5)
    with pytest.raises(CxError, match="pool_from=10 counts periods"):
        fit_discrete_hazard(
            half, duration="weeks", event="event", covariates=["drug"], pool_from=10
        )


def test_survival_is_the_product_over_periods_of_who_stays():
    table = remission()
    model = fit_discrete_hazard(table, duration="weeks", event="event", covariates=["drug"])
    at_reference = pd.DataFrame([model.reference])
    found = model.predict(at_reference, [0, 5, 23])["survival"].tolist()
    baseline = model.baseline.set_index("weeks")["survival"]
    assert found == pytest.approx([1.0, baseline[5], baseline[23]])
    both = model.predict(pd.DataFrame({"drug": ["6-MP", "placebo"]}, index=[7, 3]), [10])
    assert both.index.tolist() == [7, 3]
    assert both["survival"].iloc[0] > both["survival"].iloc[1]


def test_short_periods_give_the_hazard_ratio_of_cox():
    table = remission().assign(weeks=lambda t: t["weeks"] * 50 + np.arange(len(t)))
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"]}
    discrete = fit_discrete_hazard(table, **options).summary["coefficient"][0]
    assert discrete == pytest.approx(fit_cox(table, **options).summary["coefficient"][0], rel=0.05)


def test_late_entry_leaves_out_the_periods_before_it():
    late = remission().assign(first=lambda t: np.minimum(2, t["weeks"] - 1))
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"]}
    model = fit_discrete_hazard(late, entry="first", **options)
    after = late[late["weeks"] > 2]
    assert model.baseline.set_index("weeks").loc[3:, "at_risk"].iloc[0] == len(after)
    assert model.customer_periods == int((late["weeks"] - late["first"]).sum())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"link": "probit"}, "there is no link 'probit'"),
        ({"covariates": []}, "there are no covariates"),
        ({"covariates": ["drugs"]}, "there is no column 'drugs'"),
    ],
)
def test_what_cannot_be_read_is_refused(change, message):
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"]} | change
    with pytest.raises(CxError, match=message):
        fit_discrete_hazard(remission(), **options)


def test_separation_is_said():
    table = pd.DataFrame(
        {"weeks": [1, 2, 3, 4] * 6, "event": [True, True, True, False] * 6,
         "x": [3.0, 2.0, 1.0, 0.0] * 6}
    )  # fmt: skip
    table["x"] = table["x"] + np.tile([0.0, 0.1], 12)
    with pytest.raises(CxError, match=r"separates those who end|function of 'weeks'"):
        fit_discrete_hazard(table, duration="weeks", event="event", covariates=["x"])


def test_times_beyond_the_last_end_are_not_predicted():
    model = fit_discrete_hazard(remission(), duration="weeks", event="event", covariates=["drug"])
    with pytest.raises(CxError, match="times must lie from 0 to 23"):
        model.predict(pd.DataFrame({"drug": ["6-MP"]}), [24])
