"""Fine and Gray's regression, against R's cmprsk and survival, and a likelihood by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cxlib import CxError, fit_cox, fit_fine_gray
from tests.models.test_cox import aggregated, case, check

pytestmark = pytest.mark.filterwarnings("ignore::cxlib.CxWarning")

COVARIATES = ["age", "sexM"]
MODEL = {"duration": "etime", "event": "event", "covariates": COVARIATES}


def mgus2(shared) -> tuple[pd.DataFrame, dict]:
    frame, expected = case(shared, "mgus2_competing")
    frame = frame.assign(sexM=(frame["sex"] == "M").astype(int))
    return aggregated(frame[["age", "sexM", "etime", "event"]]), expected


@pytest.mark.parametrize(("cause", "name"), [(1, "pcm"), (2, "death")])
def test_rates_of_one_cause_are_those_of_r(shared, cause, name):
    frame, expected = mgus2(shared)
    model = fit_cox(frame, duration="etime", event="event", cause=cause, covariates=COVARIATES)
    check(model, expected, f"cs_cox.{name}")


@pytest.mark.parametrize(("cause", "name"), [(1, "pcm"), (2, "death")])
def test_fine_and_gray_is_that_of_cmprsk(shared, cause, name):
    frame, expected = mgus2(shared)
    summary = fit_fine_gray(frame, cause=cause, **MODEL).summary
    assert summary["coefficient"].tolist() == pytest.approx(expected[f"crr.{name}.coef"], rel=1e-6)
    assert summary["standard_error"].tolist() == pytest.approx(expected[f"crr.{name}.se"], rel=1e-6)


def test_with_efrons_ties_it_is_that_of_survival(shared):
    """The robust errors of customers are R 4.2.2's for cluster = id (survival 3.5-3)."""
    frame, expected = mgus2(shared)
    model = fit_fine_gray(frame, cause=1, ties="efron", **MODEL)
    summary = model.summary.set_index("covariate")
    for name in COVARIATES:
        row, key = summary.loc[name], "finegray_coxph.pcm"
        assert row["coefficient"] == pytest.approx(expected[f"{key}.coef.{name}"], rel=1e-6)
        assert row["model_standard_error"] == pytest.approx(expected[f"{key}.se.{name}"], rel=1e-6)
    robust = summary["robust_standard_error"].tolist()
    assert robust == pytest.approx([0.005702931635, 0.185634694771], rel=1e-6)
    assert model.log_likelihood == pytest.approx(expected["finegray_coxph.pcm.loglik"], rel=1e-9)
    null = expected["finegray_coxph.pcm.loglik_null"]
    assert model.null_log_likelihood == pytest.approx(null, rel=1e-9)


def test_robust_errors_of_stretches_are_those_of_r_without_a_cluster(shared):
    """R takes the rows of ``finegray`` as independent where it is not told whose they are."""
    frame, expected = mgus2(shared)
    model = fit_fine_gray(frame, cause=1, ties="efron", cluster="stretch", **MODEL)
    errors = model.summary.set_index("covariate")["robust_standard_error"]
    for name in COVARIATES:
        wanted = expected[f"finegray_coxph.pcm.robust_se.{name}"]
        assert errors[name] == pytest.approx(wanted, rel=1e-6)
    customers = fit_fine_gray(frame, cause=1, ties="efron", **MODEL).summary
    assert model.summary["standard_error"].equals(customers["standard_error"])


ROWS = pd.DataFrame(
    {
        "x": [0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0],
        "months": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        "why": [
            *("price", "moved", "(administrative)", "price", "price", "moved"),
            *("price", None, "moved", "price", "(paused)", "price"),
        ],
    }
)
OPTIONS = {"duration": "months", "event": "why", "cause": "price", "covariates": ["x"]}


def stay_before(time: float) -> float:
    """Kaplan-Meier estimate of not being censored just before a time."""
    left = 1.0
    for month, why in ROWS[["months", "why"]].itertuples(index=False):
        if month < time and (why is None or why.startswith("(")):
            left *= 1 - 1 / (ROWS["months"] >= month).sum()
    return left


def test_who_ended_otherwise_stays_at_risk_with_its_weight():
    def loss(b):
        total = 0.0
        for t, x, why in ROWS[["months", "x", "why"]].itertuples(index=False):
            if why != "price":
                continue
            at_risk = 0.0
            for own, z, other in ROWS[["months", "x", "why"]].itertuples(index=False):
                weight = float(own >= t)
                if own < t and other == "moved":
                    weight = stay_before(t) / stay_before(own)
                at_risk += weight * np.exp(b * z)
            total += b * x - np.log(at_risk)
        return -total

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    model = fit_fine_gray(ROWS, **OPTIONS)
    assert model.summary["coefficient"][0] == pytest.approx(best.x, abs=1e-6)
    assert model.log_likelihood == pytest.approx(-best.fun, abs=1e-9)
    assert (model.n, model.events, model.other_events) == (12, 6, 3)


def test_counts_give_what_single_customers_give():
    others = ROWS.assign(x=1 - ROWS["x"], months=ROWS["months"][::-1].to_numpy())
    single = pd.concat([ROWS, ROWS, others], ignore_index=True)
    counted = pd.concat([ROWS.assign(n=2), others.assign(n=1)], ignore_index=True)
    one, other = (fit_fine_gray(frame, **OPTIONS).summary for frame in (single, counted))
    pd.testing.assert_frame_equal(one, other)


def test_the_share_predicted_rises_with_time_and_risk():
    model = fit_fine_gray(ROWS, **OPTIONS)
    frame = pd.DataFrame({"x": [0, 1]}, index=["a", "b"])
    found = model.predict(frame, [0, 5, 12])["cumulative_incidence"].to_numpy().reshape(2, 3)
    assert (found[:, 0] == 0).all()
    assert (np.diff(found, axis=1) > 0).all()
    assert ((found[1, 1:] > found[0, 1:]) == (model.summary["coefficient"][0] > 0)).all()
    with pytest.raises(CxError, match="times must lie from 0 to 12"):
        model.predict(frame, [13])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cause": "prise"}, "there is no cause 'prise' in 'why'; did you mean 'price'"),
        ({"ties": "exact"}, "there is no treatment of ties 'exact'"),
        ({"cluster": "id"}, "there is no cluster 'id'"),
        ({"event": "reason"}, "there is no column 'reason'"),
    ],
)
def test_what_cannot_be_read_is_refused(change, message):
    with pytest.raises(CxError, match=message):
        fit_fine_gray(ROWS, **OPTIONS | change)


def test_without_another_cause_nothing_competes():
    with pytest.raises(CxError, match="nobody ended for another cause than 'price'"):
        fit_fine_gray(ROWS[ROWS["why"] != "moved"], **OPTIONS)
