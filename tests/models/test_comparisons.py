"""Weighted log-rank tests, against R's survdiff and lifelines."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import multivariate_logrank_test

from cxlib import expected_events, logrank, pairwise_tests, survival_test
from cxlib.errors import CxError
from tests.models.spells import PROMPT, TIED, case


def statistic(frame, **options):
    return survival_test(frame, by="plan", **options)["statistic"].iloc[0]


# --- R


@pytest.mark.parametrize(
    ("p", "expected"), [(0, 1.56584341609), (1, 2.28703014824), (0.5, 1.9941776462)]
)
def test_powers_of_survival_are_the_rho_of_r(p, expected):
    """R survival 3.5.3: survdiff(Surv(time, event) ~ plan, rho = p)."""
    found = statistic(PROMPT, weighting="fleming_harrington", p=p, q=0)
    assert found == pytest.approx(expected, rel=1e-9)


def test_strata_are_those_of_r():
    """R survival 3.5.3: survdiff(Surv(time, event) ~ plan + strata(zone), rho = 0 and 1)."""
    assert statistic(PROMPT, strata="zone") == pytest.approx(2.82449130584, rel=1e-9)
    found = statistic(PROMPT, strata="zone", weighting="peto")
    assert found == pytest.approx(2.63089926554, rel=1e-9)


def test_remission_is_that_of_r(shared):
    frame, computed = case(shared, "gehan_6mp")
    frame = frame.rename(columns={"weeks": "duration_weeks"})
    peto = survival_test(frame, by="group", weighting="peto")
    assert peto["statistic"].iloc[0] == pytest.approx(computed["peto_peto.chisq"], rel=1e-6)
    found = expected_events(frame, by="group")
    assert found["observed"].tolist() == computed["logrank.observed"]
    assert found["expected"].tolist() == pytest.approx(computed["logrank.expected"], rel=1e-6)
    assert found["variance"].iloc[0] == pytest.approx(computed["logrank.var"], rel=1e-6)


def test_lung_cancer_is_that_of_r(shared):
    frame, computed = case(shared, "lung")
    frame = frame.assign(event=frame["status"] == 2).rename(columns={"time": "duration_days"})
    found = expected_events(frame, by="sex")
    assert found["expected"].tolist() == pytest.approx(computed["logrank.sex.expected"], rel=1e-6)


def test_leaders_and_subscribers_are_those_of_r(shared):
    frame, computed = case(shared, "dd")
    frame = frame.rename(columns={"duration": "duration_years", "observed": "event"})
    for by in ("democracy", "regime"):
        found = logrank(frame, by=by).iloc[0]
        assert found["statistic"] == pytest.approx(computed[f"logrank.{by}.chisq"], rel=1e-6)
    assert found["degrees_of_freedom"] == computed["logrank.regime.df"]
    frame, computed = case(shared, "telco_month_to_month")
    frame = frame.rename(columns={"tenure": "duration_months", "churn": "event"})
    for by in ("gender", "onlineSecurity"):
        found = logrank(frame, by=by).iloc[0]
        assert found["statistic"] == pytest.approx(computed[f"logrank.{by}.chisq"], rel=1e-6)
        assert found["p_value"] == pytest.approx(computed[f"logrank.{by}.p"], rel=1e-6, abs=1e-9)


# --- lifelines, where nobody enters late


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 8), st.booleans(), st.sampled_from("abc"), st.integers(1, 4)),
        min_size=12,
        max_size=30,
    ),
    weighting=st.sampled_from(["wilcoxon", "tarone_ware"]),
)
def test_the_weights_are_those_of_lifelines(rows, weighting):
    frame = pd.DataFrame(rows, columns=["duration_days", "event", "plan", "n"])
    first = pd.DataFrame(
        {"duration_days": [3, 4, 4], "event": True, "plan": list("abc"), "n": [2, 3, 2]}
    )
    frame = pd.concat([first, frame], ignore_index=True)
    theirs = multivariate_logrank_test(
        frame["duration_days"], frame["plan"], frame["event"], weights=frame["n"],
        weightings=weighting.replace("_", "-"),
    )  # fmt: skip
    assert statistic(frame, weighting=weighting) == pytest.approx(
        theirs.test_statistic, rel=1e-8, abs=1e-10
    )


# --- by hand


def test_late_entrants_are_compared_after_their_entry():
    # At 2: a, b of plan x and c of y at risk; d enters at 2. At 4: b, c, d.
    frame = pd.DataFrame(
        {
            "plan": ["x", "x", "y", "y"],
            "entry_days": [0, 0, 0, 2],
            "duration_days": [2, 4, 6, 6],
            "event": [True, True, False, False],
        }
    )
    found = expected_events(frame, by="plan").set_index("plan")
    assert found.loc["x", "expected"] == pytest.approx(2 / 3 + 1 / 3)
    assert found.loc["x", "variance"] == pytest.approx(2 / 9 + 2 / 9)
    assert found.loc["x", "observed_to_expected"] == pytest.approx(2)


def test_strata_that_hold_one_group_each_leave_nothing_to_compare():
    with pytest.raises(CxError, match="fewer than two groups"):
        survival_test(PROMPT.assign(zone=PROMPT["plan"]), by="plan", strata="zone")


def test_equal_rows_in_two_strata_double_the_statistic():
    twice = pd.concat([PROMPT.assign(zone="n"), PROMPT.assign(zone="s")])
    assert statistic(twice, strata="zone") == pytest.approx(2 * statistic(PROMPT))


def test_pairs_are_corrected_for_their_number():
    frame = pd.DataFrame(
        {
            "plan": list("abc") * 3,
            "duration_days": [2, 4, 9, 3, 5, 11, 4, 5, 12],
            "event": True,
            "n": 2,
        }
    )
    found = pairwise_tests(frame, by="plan")
    assert found[["group", "other"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    alone = survival_test(frame[frame["plan"] != "b"], by="plan")["p_value"].iloc[0]
    assert found["p_value"].iloc[1] == alone
    smallest = found["p_value"].min()
    assert found["holm_p_value"].min() == pytest.approx(3 * smallest)
    assert (found["holm_p_value"] >= found["p_value"]).all()
    assert found["holm_p_value"].max() <= 1


# Holm's own rule on four p-values, by hand: 0.01*4, 0.02*3, 0.03*2, 0.04 made monotone.
def test_holms_values_rise_with_the_p_values():
    from cxlib.models.survival.comparisons import _holm

    values = pd.Series([0.03, 0.01, 0.04, 0.02]).to_numpy()
    assert _holm(values).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weighting": "wilcoxn"}, "did you mean 'wilcoxon'"),
        ({"weighting": "fleming_harrington"}, "needs p and q of 0 or more"),
        ({"weighting": "fleming_harrington", "p": -1, "q": 0}, "needs p and q of 0 or more"),
        ({"p": 1}, "p and q belong to 'fleming_harrington' and not to 'logrank'"),
        ({"strata": "plan"}, "'plan' tells the groups and the strata"),
        ({"strata": "zones"}, "did you mean 'zone'"),
    ],
)
def test_what_cannot_be_compared_says_why(options, message):
    with pytest.raises(CxError, match=message):
        survival_test(PROMPT, by="plan", **options)


def test_one_group_has_no_pairs():
    with pytest.raises(CxError, match="fewer than two groups"):
        pairwise_tests(TIED.assign(plan="a"), by="plan")
    with pytest.raises(CxError, match="did you mean 'plan'"):
        pairwise_tests(TIED, by="plans")
