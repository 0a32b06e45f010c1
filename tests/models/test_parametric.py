"""Accelerated failure times and cure, against R's figures and a likelihood written by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from cxlib import CxError, CxWarning, fit_aft, fit_cox, fit_cure
from tests.models.test_cox import aggregated, case, remission


def test_waltons_is_that_of_r(shared):
    frame, expected = case(shared, "waltons")
    model = fit_aft(aggregated(frame), duration="T", event="E", covariates=[])
    scale, shape = model.parameters["estimate"]
    assert scale == pytest.approx(expected["weibull.lambda"], rel=1e-6)
    assert shape == pytest.approx(expected["weibull.rho"], rel=1e-6)
    assert model.log_likelihood == pytest.approx(expected["weibull.loglik"], rel=1e-9)


def test_telco_is_that_of_r(shared):
    """``t0.5`` says that a tenure of 0 counts as half a month; none is, among these customers."""
    frame, expected = case(shared, "telco_month_to_month")
    names = ["internetService_DSL", "techSupport_Yes"]
    frame = aggregated(frame[["tenure", "churn", *names]])
    model = fit_aft(
        frame, duration="tenure", event="churn", covariates=names, distribution="log-logistic"
    )
    scale, shape = model.parameters["estimate"]
    found = [np.log(scale), *model.summary["coefficient"]]
    assert found == pytest.approx(expected["loglogistic_aft_t0.5.coef"], rel=1e-6)
    # R's scale is one over the shape.
    assert 1 / shape == pytest.approx(expected["loglogistic_aft_t0.5.scale"], rel=1e-6)


DISTRIBUTIONS = {
    "weibull": lambda scale, shape: stats.weibull_min(shape, scale=scale),
    "log-logistic": lambda scale, shape: stats.fisk(shape, scale=scale),
    "log-normal": lambda scale, shape: stats.lognorm(shape, scale=scale),
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("late", [False, True])
def test_the_estimate_is_that_of_the_likelihood_of_scipy(distribution, late):
    table = remission().assign(first=lambda t: np.minimum(3.0, t["weeks"] - 1) if late else 0.0)
    model = fit_aft(
        table, duration="weeks", event="event", covariates=["drug"], entry="first",
        distribution=distribution, reference={"drug": "placebo"},
    )  # fmt: skip

    def loss(parameters):
        total = 0.0
        for drug in ("6-MP", "placebo"):
            own = table[table["drug"] == drug]
            scale = np.exp(parameters[0] + parameters[1] * (drug == "6-MP"))
            law = DISTRIBUTIONS[distribution](scale, np.exp(parameters[2]))
            ended = own["event"].to_numpy()
            total += np.where(ended, law.logpdf(own["weeks"]), law.logsf(own["weeks"])).sum()
            total -= law.logsf(own["first"]).sum()
        return -total

    best = optimize.minimize(loss, [2.0, 1.0, 0.0], method="BFGS")
    found = [*np.log(model.parameters["estimate"]), model.summary["coefficient"][0]]
    assert [found[0], found[2], found[1]] == pytest.approx(best.x, abs=1e-4)
    assert model.log_likelihood == pytest.approx(-best.fun, abs=1e-6)
    assert model.reference == {"drug": "placebo"}
    scale, shape = model.parameters["estimate"]
    law = DISTRIBUTIONS[distribution](scale, shape)
    predicted = model.predict(pd.DataFrame({"drug": ["placebo"]}, index=["x"]), [0, 5, 20])
    assert predicted["survival"].tolist() == pytest.approx(law.sf([0, 5, 20]).tolist())
    assert predicted.index.tolist() == ["x"] * 3


def test_counts_give_what_single_customers_give():
    single = pd.concat([remission()] * 3, ignore_index=True)
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"], "penalizer": 0.1}
    one, other = (fit_aft(t, **options).summary for t in (single, aggregated(single)))
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::cxlib.CxWarning")
def test_the_hazard_ratio_of_weibull_is_near_that_of_cox():
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"]}
    model = fit_aft(remission(), **options)
    ratio = -model.summary["coefficient"][0] * model.parameters["estimate"][1]
    assert ratio == pytest.approx(
        fit_cox(remission(), **options).summary["coefficient"][0], rel=0.2
    )
    assert "associated with times" in model.summary["association"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distribution": "weibul"}, "no distribution 'weibul'; did you mean 'weibull'"),
        ({"penalizer": -1}, "penalizer=-1 must be 0 or more"),
        ({"covariates": ["drugs"]}, "there is no column 'drugs'"),
        ({"covariates": ["drug", "twice"]}, "'twice' is a combination of .* leave one"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"]} | change
    table = remission().assign(twice=lambda t: 2.0 * (t["drug"] == "6-MP"))
    with pytest.raises(CxError, match=message):
        fit_aft(table, **options)


@pytest.mark.parametrize("fit", [fit_aft, fit_cure])
def test_a_duration_of_zero_is_refused_with_the_mend(fit):
    table = remission().assign(weeks=lambda t: t["weeks"] - 1)
    own = {"covariates": ["drug"]} if fit is fit_aft else {}
    with pytest.raises(CxError, match=r"2 customers have a 'weeks' of 0.*first unit as 1"):
        fit(table, duration="weeks", event="event", **own)


def test_times_that_were_not_seen_must_be_asked_for():
    model = fit_aft(remission(), duration="weeks", event="event", covariates=["drug"])
    with pytest.raises(CxError, match=r"at 52 would be extrapolated.*longer than 35"):
        model.predict(remission(), [10, 52])
    assert len(model.predict(remission(), [52], extrapolate=True)) == 42
    with pytest.raises(CxError, match="no level 'none' of 'drug'"):
        model.predict(pd.DataFrame({"drug": ["none"]}), [3])


def planted(share: float, n: int, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    months = np.ceil(6 * random.weibull(1.5, n))
    event = (random.random(n) >= share) & (months <= 36)
    return pd.DataFrame({"months": np.where(event, months, 36.0), "event": event})


def test_the_planted_share_that_never_ends_is_found():
    both = pd.concat([planted(0.3, 4_000).assign(plan="a"), planted(0.6, 4_000).assign(plan="b")])
    model = fit_cure(aggregated(both), duration="months", event="event", by="plan")
    summary = model.summary.set_index("plan")
    for plan, share in (("a", 0.3), ("b", 0.6)):
        assert summary.loc[plan, "lower"] < share < summary.loc[plan, "upper"]
        assert summary.loc[plan, "follow_up_p_value"] < 0.05
    predicted = model.predict([0, 36]).query("months == 36")["survival"].tolist()
    assert predicted == pytest.approx([0.3, 0.6], abs=0.03)
    with pytest.raises(CxError, match="at 40 would be extrapolated"):
        model.predict([40])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_cure_estimate_is_that_of_the_likelihood_by_hand():
    table = planted(0.3, 400)
    model = fit_cure(aggregated(table), duration="months", event="event")

    def loss(parameters):
        share = 1 / (1 + np.exp(-parameters[0]))
        law = stats.weibull_min(np.exp(parameters[2]), scale=np.exp(parameters[1]))
        gone = (1 - share) * law.pdf(table["months"])
        left = share + (1 - share) * law.sf(table["months"])
        return -np.log(np.where(table["event"], gone, left)).sum()

    best = optimize.minimize(loss, [0.0, 1.5, 0.0], method="BFGS")
    row = model.summary.iloc[0]
    assert row["log_likelihood"] == pytest.approx(-best.fun, abs=1e-5)
    share = 1 / (1 + np.exp(-best.x[0]))
    assert row["never_end"] == pytest.approx(share, abs=1e-4)
    assert [row["scale"], row["shape"]] == pytest.approx(np.exp(best.x[1:]).tolist(), rel=1e-3)


def test_a_curve_that_has_not_become_flat_is_warned_of():
    with pytest.warns(CxWarning, match=r"go on until the last time seen \(35\)"):
        fit_cure(remission().assign(event=True), duration="weeks", event="event")
    table = remission().assign(event=lambda t: t["event"] & (t["drug"] == "placebo"))
    with pytest.raises(CxError, match=r"nobody ended in the group .*'6-MP'"):
        fit_cure(table, duration="weeks", event="event", by="drug")
