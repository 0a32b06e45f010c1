"""Cumulative incidence and Gray's test, against R's survival and cmprsk."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib import cumulative_incidence, gray_test, survival_curves
from cxlib.errors import CxError
from tests.models.spells import PROMPT, TIED, at, mgus

# --- R


@pytest.mark.parametrize("cause", ["pcm", "death"])
@pytest.mark.parametrize("time", [60, 120, 240, 360])
def test_incidence_and_error_are_those_of_r(shared, cause, time):
    frame, computed = mgus(shared)
    found = cumulative_incidence(frame)
    assert at(found, time, "incidence", cause=cause) == pytest.approx(
        computed[f"aj.{cause}.t{time}"], rel=1e-6
    )
    assert at(found, time, "standard_error", cause=cause) == pytest.approx(
        computed[f"aj.{cause}.se.t{time}"], rel=1e-6
    )
    for sex in "FM":
        by_sex = cumulative_incidence(frame, by="sex")
        assert at(by_sex, time, "incidence", cause=cause, sex=sex) == pytest.approx(
            computed[f"aj.sex={sex}.t{time}.{cause}"], rel=1e-6
        )


@pytest.mark.parametrize("cause", ["pcm", "death"])
def test_aalens_error_is_that_of_cmprsk(shared, cause):
    frame, computed = mgus(shared)
    found = cumulative_incidence(frame, error="aalen")
    for place, time in enumerate((60, 120, 240, 360)):
        estimate = at(found, time, "incidence", cause=cause)
        assert estimate == pytest.approx(computed[f"cuminc.est.{cause}"][place], rel=1e-6)
        variance = at(found, time, "standard_error", cause=cause) ** 2
        assert variance == pytest.approx(computed[f"cuminc.var.{cause}"][place], rel=1e-6)


@pytest.mark.parametrize("cause", ["pcm", "death"])
def test_grays_test_is_that_of_cmprsk(shared, cause):
    frame, computed = mgus(shared)
    found = gray_test(frame, by="sex", cause=cause).iloc[0]
    statistic, p_value = computed[f"gray.{cause}"]
    assert found["statistic"] == pytest.approx(statistic, rel=1e-6)
    assert found["p_value"] == pytest.approx(p_value, rel=1e-6)
    assert (found["degrees_of_freedom"], found["n"]) == (1, 1384)


def test_shares_that_take_a_cause_for_censoring_are_those_of_r_where_this_is_said(shared):
    """Too high: R's 1 - KM of progression, with deaths as censorings, reaches 0.42 and not 0.13."""
    frame, computed = mgus(shared)
    with pytest.raises(CxError, match="cause"):
        survival_curves(frame.assign(event=frame["cause"] == "pcm"))
    said = frame.replace({"cause": {"death": "(died)"}})
    curves = survival_curves(said.assign(event=frame["cause"] == "pcm"))
    for place, time in enumerate((60, 120, 240, 360)):
        expected = computed["naive_1_minus_KM.pcm.t60_120_240_360"][place]
        assert 1 - at(curves, time) == pytest.approx(expected, rel=1e-6)


def test_the_counts_of_ends_are_those_of_the_study(shared):
    frame, computed = mgus(shared)
    found = frame["cause"].fillna("(administrative)").value_counts()
    assert found[["(administrative)", "pcm", "death"]].tolist() == computed["counts.0_1_2"]
    assert gray_test(frame, by="sex", cause="pcm").loc[0, "n"] == computed["n"]


def test_late_entry_weights_and_ties_together_are_those_of_r():
    """R survival 3.5.3: survfit(Surv(entry, time, cause) ~ 1, id = id) on the repeated rows.

    lifelines 0.30.3 moves event times at such ties.
    """
    found = cumulative_incidence(TIED.iloc[::-1])
    expected = {
        "price": [(0.214285714286, 0.108358637659), (0.252060439560, 0.110407353103),
                  (0.306623931624, 0.113105013359), (0.524877899878, 0.134506767437)],
        "moved": [(0.181318681319, 0.0962672059363), (0.256868131868, 0.0973869005965),
                  (0.365995115995, 0.1112850567474), (0.365995115995, 0.1112850567474)],
    }  # fmt: skip
    for cause, values in expected.items():
        for time, (incidence, error) in zip((2, 4, 5, 7), values, strict=True):
            assert at(found, time, "incidence", cause=cause) == pytest.approx(incidence, rel=1e-9)
            assert at(found, time, "standard_error", cause=cause) == pytest.approx(error, rel=1e-9)


# --- by hand


def test_incidences_of_all_causes_and_survival_add_up_to_one():
    found, stays = cumulative_incidence(TIED), survival_curves(TIED)
    total = found.pivot_table(index="duration_months", columns="cause", values="incidence").sum(1)
    assert (total.to_numpy() + stays["survival"].to_numpy()).tolist() == pytest.approx([1.0] * 8)


def jackknife_by_hand(frame, cause, time):
    """Influence of each row by leaving a small share of one customer out, in plain Python."""

    def incidence(weights):
        rows = list(frame.assign(w=weights).to_dict("records"))
        left, found = 1.0, 0.0
        for t in sorted({row["duration_months"] for row in rows if pd.notna(row["cause"])}):
            if t > time:
                break
            n = sum(r["w"] for r in rows if r["entry_months"] < t <= r["duration_months"])
            here = [r for r in rows if r["duration_months"] == t and pd.notna(r["cause"])]
            found += left * sum(r["w"] for r in here if r["cause"] == cause) / n
            left *= 1 - sum(r["w"] for r in here) / n
        return found

    n, total = frame["n"].to_numpy("float64"), 0.0
    for place in range(len(frame)):
        step = np.where(np.arange(len(frame)) == place, 1e-5, 0.0)
        influence = (incidence(n + step) - incidence(n - step)) / 2e-5
        total += n[place] * influence**2
    return total**0.5


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(1, 5), st.sampled_from(["x", "y", None]),
            st.integers(1, 3),
        ),
        min_size=4, max_size=12,
    )
)  # fmt: skip
def test_the_error_is_the_jackknife_by_hand(rows):
    frame = pd.DataFrame(rows, columns=["entry_months", "duration_months", "cause", "n"])
    frame["duration_months"] += frame["entry_months"]
    always = pd.DataFrame(
        {"entry_months": 0, "duration_months": [8, 9], "cause": ["x", None], "n": 5}
    )
    frame = pd.concat([frame, always], ignore_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cumulative_incidence(frame)
    for time in (2, 5, 8):
        expected = jackknife_by_hand(frame, "x", time)
        assert at(found, time, "standard_error", cause="x") == pytest.approx(
            expected, rel=1e-5, abs=1e-8
        )


def test_one_cause_alone_is_one_less_the_survival():
    frame = TIED.assign(cause=TIED["cause"].where(TIED["cause"].isna(), "left"))
    found, stays = cumulative_incidence(frame), survival_curves(frame)
    assert (1 - found["incidence"]).tolist() == pytest.approx(stays["survival"].tolist())


def test_how_observation_stopped_is_no_end():
    frame = pd.DataFrame(
        {"duration_days": [1, 2, 3], "cause": ["price", "(paused)", "(administrative)"]}
    )
    found = cumulative_incidence(frame)
    assert found["cause"].unique().tolist() == ["price"]
    assert found["incidence"].iloc[-1] == pytest.approx(1 / 3)


def test_no_rows_give_no_curve_but_its_columns():
    found = cumulative_incidence(TIED.iloc[:0], by="plan")
    assert len(found) == 0
    assert found.columns[:3].tolist() == ["plan", "cause", "duration_months"]


# --- one cause is not censoring


def test_one_minus_kaplan_meier_of_one_cause_is_refused():
    """The usual mistake: mgus2 gives 0.42 at 30 years so, where 0.13 progress."""
    one = TIED.assign(event=TIED["cause"] == "price")
    with pytest.raises(CxError, match=r"'moved'.* have event=False: .*1 - KM .*cumulative_incid"):
        survival_curves(one)


def test_an_end_without_a_cause_is_refused():
    with pytest.raises(CxError, match="rows have event=True and no cause"):
        cumulative_incidence(TIED.assign(event=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cumulative_incidence(TIED.drop(columns="cause")), "no column 'cause'"),
        (lambda: cumulative_incidence(TIED, error="jack"), "did you mean 'jackknife'"),
        (lambda: cumulative_incidence(TIED, error="aalen"), "late entries, for which Aalen"),
        (lambda: gray_test(TIED, by="plan", cause="price"), "late entries, for which Gray"),
        (lambda: gray_test(PROMPT, by="plan", cause="prices"), "did you mean 'price'"),
        (
            lambda: gray_test(PROMPT.assign(plan="a"), by="plan", cause="price"),
            "fewer than two groups",
        ),
    ],
)
def test_what_cannot_be_answered_says_why(call, message):
    with pytest.raises(CxError, match=message):
        call()
