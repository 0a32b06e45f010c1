"""Survival curves, medians and the log-rank test, against R's figures."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test

from cxlib import (
    at_risk_table,
    conditional_survival,
    cumulative_hazards,
    logrank,
    median_survival,
    survival_curves,
    survival_quantiles,
)
from cxlib.errors import CxError, CxWarning
from tests.models.spells import TIED, at, case

# Remission in weeks under 6-MP and placebo; Freireich et al. (1963), Blood 21, 699-716, as in
# Gehan (1965). A plus marks a censored time.
REMISSION = {
    "6-MP": "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+",
    "placebo": "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23",
}


def frame_of(groups, unit="weeks"):
    rows = [
        {
            "drug": drug,
            f"duration_{unit}": int(word.rstrip("+")),
            "event": not word.endswith("+"),
        }
        for drug, words in groups.items()
        for word in words.split()
    ]
    return pd.DataFrame(rows)


def aggregated(frame):
    return frame.groupby(list(frame.columns), as_index=False).size().rename(columns={"size": "n"})


# --- published figures


@pytest.mark.parametrize(
    ("week", "survival"),
    [(6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (22, 0.538), (23, 0.448)],
)
def test_remission_is_kleinbaum_and_kleins_table(week, survival):
    """Kleinbaum and Klein, Survival Analysis (3rd ed.), table 2.2, to three decimals."""
    curves = survival_curves(frame_of(REMISSION), by="drug")
    assert at(curves, week, drug="6-MP") == pytest.approx(survival, abs=5e-4)


def test_the_logrank_statistic_of_the_remissions_is_the_published_one():
    """Kleinbaum and Klein, chapter 2: 16.793 on one degree of freedom."""
    found = logrank(frame_of(REMISSION), by="drug").iloc[0]
    assert found["statistic"] == pytest.approx(16.793, abs=5e-4)
    assert found["degrees_of_freedom"] == 1
    assert (found["n"], found["events"]) == (42, 30)


def test_the_medians_of_the_remissions_are_the_published_ones():
    found = median_survival(frame_of(REMISSION), by="drug").set_index("drug")
    assert found["median_weeks"].to_dict() == {"6-MP": 23, "placebo": 8}
    assert found["n"].to_dict() == {"6-MP": 21, "placebo": 21}
    assert found["events"].to_dict() == {"6-MP": 9, "placebo": 21}


# --- R survival 3.5


def test_remission_curves_and_bounds_are_those_of_r(shared):
    frame, computed = case(shared, "gehan_6mp")
    frame = frame.rename(columns={"weeks": "duration_weeks"})
    curves = survival_curves(aggregated(frame), by="group")
    for group in (1, 2):
        for week in (6, 7, 10, 13, 16, 22, 23):
            columns = {"survival": "surv", "standard_error": "se", "lower": "lower"}
            for column, key in {**columns, "upper": "upper"}.items():
                expected = computed[f"km.group{group}.t{week}.{key}"]
                found = at(curves, week, column, group=group)
                expected = np.nan if expected is None else expected
                # rtol of the case; 1e-12 because R prints 0 for the fallen curve.
                assert found == pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True)
    medians = median_survival(aggregated(frame), by="group").set_index("group")
    for group in (1, 2):
        assert medians.loc[group, "median_weeks"] == computed[f"km.group{group}.median"]
        assert medians.loc[group, "events"] == computed[f"events.group{group}"]
    found = logrank(aggregated(frame), by="group").iloc[0]
    assert found["statistic"] == pytest.approx(computed["logrank.chisq"], rel=1e-6)
    assert found["n"] == computed["n"]


def test_fruit_flies_are_those_of_r(shared):
    frame, computed = case(shared, "waltons")
    frame = aggregated(frame.rename(columns={"T": "duration_days", "E": "event"}))
    assert median_survival(frame)["median_days"].tolist() == [computed["km.median"]]
    medians = median_survival(frame, by="group").set_index("group")["median_days"]
    assert medians["control"] == computed["km.group=control.median"]
    assert medians["miR-137"] == computed["km.group=miR-137.median"]
    found = logrank(frame, by="group").iloc[0]
    assert found["statistic"] == pytest.approx(computed["logrank.chisq"], rel=1e-6)
    assert found["n"] == computed["n"]


@pytest.mark.parametrize("interval", ["log-log", "log", "plain"])
def test_lung_cancer_is_that_of_r_with_each_interval(shared, interval):
    frame, computed = case(shared, "lung")
    frame = frame.assign(event=frame["status"] == 2).rename(columns={"time": "duration_days"})
    frame = aggregated(frame[["sex", "duration_days", "event"]])
    curves = survival_curves(frame, interval=interval)
    columns = {"survival": "surv", "standard_error": "se", "lower": "lower", "upper": "upper"}
    for day in (100, 365, 730):
        for column, key in columns.items():
            expected = computed[f"km.{interval}.t{day}.{key}"]
            assert at(curves, day, column) == pytest.approx(expected, rel=1e-6)
    median = median_survival(frame, interval=interval).iloc[0]
    times = median[["median_days", "lower", "upper"]].tolist()
    assert times == computed[f"km.median.{interval}"]
    found = logrank(frame, by="sex")["statistic"].iloc[0]
    assert found == pytest.approx(computed["logrank.sex.chisq"], rel=1e-6)


def test_medians_by_sex_are_those_of_r(shared):
    frame, computed = case(shared, "lung")
    frame = frame.assign(event=frame["status"] == 2).rename(columns={"time": "duration_days"})
    found = median_survival(frame, by="sex", interval="log").set_index("sex")
    for sex in (1, 2):
        times = found.loc[sex, ["median_days", "lower", "upper"]].tolist()
        assert times == computed[f"km.sex{sex}.median"]


def test_cumulative_hazards_are_those_of_r(shared):
    frame, computed = case(shared, "lung")
    frame = frame.assign(event=frame["status"] == 2).rename(columns={"time": "duration_days"})
    found = cumulative_hazards(frame)
    for place, day in enumerate((100, 365, 730)):
        expected = computed["nelson_aalen.t100_365_730"][place], computed["nelson_aalen.se"][place]
        assert at(found, day, "cumulative_hazard") == pytest.approx(expected[0], rel=1e-6)
        assert at(found, day, "standard_error") == pytest.approx(expected[1], rel=1e-6)


def test_leaders_and_subscribers_are_those_of_r(shared):
    frame, computed = case(shared, "dd")
    frame = frame.rename(columns={"duration": "duration_years", "observed": "event"})
    curves = survival_curves(frame, interval="log")
    for year in (1, 4, 10):
        columns = {"survival": "surv", "standard_error": "se", "lower": "lower", "upper": "upper"}
        for column, key in columns.items():
            expected = computed[f"km.t{year}.{key}"]
            assert at(curves, year, column) == pytest.approx(expected, rel=1e-6)
    median = median_survival(frame)[["median_years", "n", "events"]].iloc[0].tolist()
    assert median == [computed["km.median"], computed["n"], computed["events"]]
    for by in ("democracy", "regime"):
        for _, row in median_survival(frame, by=by).iterrows():
            assert row["median_years"] == computed[f"km.{by}={row[by]}.median"]
    frame, computed = case(shared, "telco_month_to_month")
    frame = frame.rename(columns={"tenure": "duration_months", "churn": "event"})
    curves = survival_curves(frame)
    for month in (1, 12, 24, 36, 60):
        for column, key in (("survival", "surv"), ("standard_error", "se"), ("upper", "upper")):
            expected = computed[f"km.t{month}.{key}"]
            assert at(curves, month, column) == pytest.approx(expected, rel=1e-6)
    median = median_survival(frame)[["median_months", "lower", "upper"]].iloc[0].tolist()
    assert median == computed["km.median"]


def test_late_entry_weights_and_ties_together_are_those_of_r():
    """R survival 3.5.3: survfit(Surv(entry, time, event) ~ 1, conf.type = "log-log")."""
    curves, hazards = survival_curves(TIED), cumulative_hazards(TIED)
    expected = {
        "survival": [0.604395604396, 0.491071428571, 0.327380952381, 0.109126984127],
        "standard_error": [0.1246835209853, 0.1172216604730, 0.1098245139236, 0.0963290747885],
        "lower": [0.32498331027019, 0.25333789842597, 0.13371850422294, 0.00792816143988],
        "upper": [0.798059589309, 0.691874669618, 0.538101425368, 0.362596684893],
    }
    for column, values in expected.items():
        found = [at(curves, month, column) for month in (2, 4, 5, 7)]
        assert found == pytest.approx(values, rel=1e-9)
    found = [at(hazards, month, "cumulative_hazard") for month in (2, 4, 5, 7)]
    expected = [0.439560439560, 0.627060439560, 0.960393772894, 1.627060439560]
    assert found == pytest.approx(expected, rel=1e-9)
    found = [at(hazards, month, "standard_error") for month in (2, 4, 5, 7)]
    expected = [0.179561919103, 0.209669341564, 0.284601949798, 0.550654603223]
    assert found == pytest.approx(expected, rel=1e-9)


def test_late_entry_is_that_of_r(shared):
    """Myeloma, 1,688 of 3,882 entered late; ignoring that would give 0.779 at one year."""
    frame, computed = case(shared, "myeloma_left_truncation")
    frame = frame.rename(
        columns={"entry": "entry_days", "futime": "duration_days", "death": "event"}
    )[["entry_days", "duration_days", "event"]]
    curves = survival_curves(aggregated(frame))
    for day in (365, 730, 1826, 3650):
        expected = computed[f"km_truncated.t{day}.surv"]
        assert at(curves, day) == pytest.approx(expected, rel=1e-6)
    median = median_survival(aggregated(frame))["median_days"].iloc[0]
    assert median == computed["km_truncated.median"][0]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 6), st.booleans(), st.integers(1, 3)),
        min_size=3,
        max_size=20,
    )
)
def test_curves_are_those_of_lifelines(rows):
    frame = pd.DataFrame(rows, columns=["entry_days", "duration_days", "event", "n"])
    frame["duration_days"] += frame["entry_days"]
    frame.loc[len(frame)] = [0, 12, False, 20]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = survival_curves(frame)
        late = frame["entry_days"] if (frame["entry_days"] > 0).any() else None
        theirs = KaplanMeierFitter().fit(
            frame["duration_days"], frame["event"], entry=late, weights=frame["n"]
        )
    expected = theirs.survival_function_at_times(found["duration_days"])
    assert found["survival"].tolist() == pytest.approx(expected.tolist())


# --- curves counted by hand


def small(**columns):
    return pd.DataFrame(
        {"duration_days": [2, 3, 3, 5], "event": [True, True, False, False]}
    ).assign(**columns)


def test_a_curve_starts_at_one_and_counts_every_time():
    found = survival_curves(small())
    assert found["duration_days"].tolist() == [0, 2, 3, 5]
    assert found["at_risk"].tolist() == [4, 4, 3, 1]
    assert found["events"].tolist() == [0, 1, 1, 0]
    assert found["censored"].tolist() == [0, 0, 1, 1]
    # Equal times: the event at 3 has the one who is censored at 3 still at risk.
    assert found["survival"].tolist() == pytest.approx([1, 3 / 4, 3 / 4 * 2 / 3, 1 / 2])
    assert found.dtypes.astype(str)[["at_risk", "events", "censored"]].tolist() == ["int64"] * 3


def test_rows_and_their_counts_say_the_same():
    frame = frame_of(REMISSION)
    pd.testing.assert_frame_equal(
        survival_curves(frame, by="drug"), survival_curves(aggregated(frame), by="drug")
    )
    pd.testing.assert_frame_equal(logrank(frame, by="drug"), logrank(aggregated(frame), by="drug"))


def test_an_event_at_time_zero_counts_in_the_first_row():
    found = survival_curves(small(duration_days=[0, 3, 3, 5]))
    assert found["survival"].tolist()[0] == pytest.approx(3 / 4)


def test_a_fallen_curve_has_no_interval():
    found = survival_curves(small(event=True))
    assert found["survival"].iloc[-1] == 0
    assert found[["lower", "upper"]].iloc[-1].isna().all()


def test_a_wider_confidence_gives_wider_bounds():
    narrow, wide = survival_curves(small(), confidence=0.5), survival_curves(small())
    assert (narrow["lower"][1:] > wide["lower"][1:]).all()


def test_several_columns_make_groups_of_their_pairs():
    found = survival_curves(
        small(plan=["a", "a", "b", "b"], tier=[1, 2, 1, 1]), by=["plan", "tier"]
    )
    assert found.columns[:3].tolist() == ["plan", "tier", "duration_days"]
    pairs = found[["plan", "tier"]].drop_duplicates().apply(tuple, axis=1).tolist()
    assert pairs == [("a", 1), ("a", 2), ("b", 1)]


def test_without_by_the_groups_are_pooled():
    assert survival_curves(small(plan=list("abcd")))["at_risk"].iloc[0] == 4


def test_no_rows_give_no_curve_but_its_columns():
    found = survival_curves(small(plan="a").iloc[:0], by="plan")
    assert found.columns.tolist() == [
        *("plan", "duration_days", "at_risk", "events", "censored"),
        *("survival", "standard_error", "lower", "upper"),
    ]
    assert len(found) == 0
    assert len(median_survival(small().iloc[:0])) == 0


def test_the_durations_are_unchanged():
    frame = small(entry_days=[0, 1, 0, 2])
    before = frame.copy(deep=True)
    survival_curves(frame, from_time=1)
    pd.testing.assert_frame_equal(frame, before)


# --- late entry by hand


def test_late_entrants_are_at_risk_after_their_entry():
    # b and c enter at 2: at the event of time 2 they are not at risk yet.
    frame = pd.DataFrame(
        {
            "entry_days": [0, 2, 2, 0],
            "duration_days": [2, 4, 6, 9],
            "event": [True, True, True, False],
        }
    )
    with pytest.warns(CxWarning, match="rests on 2 customers at 2 days"):
        found = survival_curves(frame)
    assert found["at_risk"].tolist() == [2, 2, 3, 2, 1]
    assert found["survival"].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 6, 1 / 6])


EMPTIED = pd.DataFrame(
    {
        "entry_days": [0, 5, 5, 7],
        "duration_days": [3, 9, 12, 10],
        "event": [True, True, False, False],
        "n": [1, 40, 40, 40],
    }
)


def test_a_curve_that_falls_to_zero_before_others_enter_is_refused():
    with pytest.raises(CxError, match=r"after 3 days: all who are at risk end .* from_time=5"):
        survival_curves(EMPTIED)


def test_the_way_to_mend_it_works_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = survival_curves(EMPTIED, from_time=5)
    assert found["duration_days"].tolist() == [5, 7, 9, 10, 12]
    assert found["at_risk"].tolist() == [80, 80, 120, 80, 40]
    assert found["survival"].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 2 / 3])


def test_a_curve_over_a_time_at_which_nobody_is_at_risk_is_refused():
    frame = EMPTIED.assign(event=[False, True, False, False])
    with pytest.raises(CxError, match=r"after 3 days: nobody is at risk .* from_time=5"):
        survival_curves(frame)


def test_the_group_that_cannot_go_on_is_named():
    frame = pd.concat([EMPTIED.assign(plan="basic"), small(entry_days=0, n=1, plan="pro")])
    with pytest.raises(CxError, match="the curve of plan 'basic' cannot go on"):
        survival_curves(frame, by="plan")


def test_a_curve_that_starts_late_says_so():
    with pytest.warns(CxWarning, match="starts at 5 days: nobody was at risk before"):
        found = survival_curves(EMPTIED.iloc[1:])
    assert found["duration_days"].iloc[0] == 5


def test_few_at_risk_early_on_are_warned_of():
    frame = pd.DataFrame(
        {
            "entry_days": [0, 0, 4],
            "duration_days": [3, 9, 9],
            "event": [True, False, False],
            "n": [1, 2, 100],
        }
    )
    with pytest.warns(CxWarning, match="rests on 3 customers at 3 days, .* from_time=3"):
        survival_curves(frame)


def test_without_late_entry_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        survival_curves(small())
        survival_curves(small(), from_time=2)


# --- medians


def test_a_median_that_is_not_reached_is_missing():
    found = median_survival(small(event=False))
    assert found[["median_days", "lower", "upper"]].isna().all(axis=None)


def test_the_median_is_the_first_time_at_one_half():
    # 3/4 at 2, exactly 1/2 at 3.
    assert median_survival(small())["median_days"].tolist() == [3]


def test_quantiles_are_those_of_r_also_where_the_curve_falls_to_zero():
    """R survival 3.5.3: quantile(survfit(Surv(c(2, 3, 5, 8, 9)) ~ 1, conf.type = ...))."""
    frame = pd.DataFrame({"duration_days": [2, 3, 5, 8, 9], "event": True})
    for interval, low in (("log-log", [2, 2, 2]), ("plain", [2, 2, 3])):
        found = survival_quantiles(frame, interval=interval)
        assert found["duration_days"].tolist() == [3, 5, 8]
        assert found["lower"].tolist() == low
        assert found["upper"].tolist() == pytest.approx([8, np.nan, np.nan], nan_ok=True)
        assert found["share_ended"].tolist() == [0.25, 0.5, 0.75]


# --- who has lasted, and who is at risk


def test_survival_given_survival_is_a_ratio_of_two():
    frame = frame_of(REMISSION)
    curves = survival_curves(frame, by="drug")
    found = conditional_survival(frame, lasted=[0, 5], further=[5, 10], by="drug")
    for _, row in found.iterrows():
        start, end = (
            at(curves, time, drug=row["drug"])
            for time in (row["lasted_weeks"], row["lasted_weeks"] + row["further_weeks"])
        )
        assert row["survival"] == pytest.approx(end / start)
    placebo = found[(found["drug"] == "placebo") & (found["lasted_weeks"] == 5)]
    assert placebo["at_risk"].tolist() == [12, 12]
    assert placebo["events"].tolist() == [4, 9]


def test_few_who_have_lasted_are_warned_of_and_nobody_is_left_out():
    with pytest.warns(CxWarning, match=r"fewer than 10 customers are at risk in the curve at 2"):
        found = conditional_survival(small(), lasted=2, further=2)
    assert found[["at_risk", "survival"]].to_numpy().tolist() == [[3, pytest.approx(2 / 3)]]
    with pytest.warns(CxWarning, match=r"no row for the curve at 2 days \+ 9"):
        found = conditional_survival(small(n=9), lasted=2, further=[2, 9])
    assert found["further_days"].tolist() == [2]
    with pytest.raises(CxError, match=r"nobody was followed to 5 [+] 1 days; the longest was 5"):
        conditional_survival(small(), lasted=5, further=1)


def test_customers_at_risk_are_counted_at_given_times():
    frame = small(entry_days=[0, 0, 2, 0])
    found = at_risk_table(frame, times=[0, 2, 3, 4])
    assert found["at_risk"].tolist() == [3, 3, 3, 1]
    assert found["entered"].tolist() == [3, 1, 0, 0]
    assert found["events"].tolist() == [0, 1, 1, 0]
    assert found["censored"].tolist() == [0, 0, 1, 0]
    with pytest.raises(CxError, match="give times from 0 on that rise"):
        at_risk_table(frame, times=[3, 3])


# --- log-rank


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 8), st.booleans(), st.sampled_from("abc"), st.integers(1, 4)),
        min_size=12,
        max_size=30,
    )
)
def test_the_logrank_test_is_that_of_lifelines_where_nobody_enters_late(rows):
    frame = pd.DataFrame(rows, columns=["duration_days", "event", "plan", "n"])
    first = pd.DataFrame(
        {"duration_days": [3, 4, 4], "event": True, "plan": list("abc"), "n": [2, 3, 2]}
    )
    frame = pd.concat([first, frame], ignore_index=True)
    theirs = multivariate_logrank_test(
        frame["duration_days"], frame["plan"], frame["event"], weights=frame["n"]
    )
    ours = logrank(frame, by="plan").iloc[0]
    assert ours["degrees_of_freedom"] == 2
    assert ours["statistic"] == pytest.approx(theirs.test_statistic, rel=1e-8, abs=1e-10)
    assert ours["p_value"] == pytest.approx(theirs.p_value, rel=1e-8)


def logrank_by_hand(frame):
    """Two groups, one event time after the other, in plain Python."""
    rows = frame.to_dict("records")
    difference = variance = 0.0
    for time in sorted({row["duration_days"] for row in rows if row["event"]}):
        at_risk = [row for row in rows if row["entry_days"] < time <= row["duration_days"]]
        ended = [row for row in at_risk if row["event"] and row["duration_days"] == time]
        n, d = len(at_risk), len(ended)
        own = sum(row["plan"] == "a" for row in at_risk)
        difference += sum(row["plan"] == "a" for row in ended) - d * own / n
        if n > 1:
            variance += d * (own / n) * (1 - own / n) * (n - d) / (n - 1)
    return difference**2 / variance


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 5), st.booleans(), st.sampled_from("ab")),
        min_size=8,
        max_size=25,
    )
)
def test_the_logrank_test_counts_late_entrants_after_their_entry(rows):
    frame = pd.DataFrame(rows, columns=["entry_days", "length", "event", "plan"])
    always = pd.DataFrame(
        {"entry_days": 0, "length": [4, 5, 8, 9], "event": True, "plan": list("abab")}
    )
    frame = pd.concat([always, frame], ignore_index=True)
    frame["duration_days"] = frame["entry_days"] + frame.pop("length")
    found = logrank(frame, by="plan")["statistic"].iloc[0]
    assert found == pytest.approx(logrank_by_hand(frame), rel=1e-9, abs=1e-12)


def test_equal_groups_do_not_differ():
    frame = pd.concat([small(plan="a"), small(plan="b")])
    found = logrank(frame, by="plan").iloc[0]
    assert found["statistic"] == pytest.approx(0, abs=1e-12)
    assert found["p_value"] == pytest.approx(1)


@pytest.mark.parametrize(
    "frame",
    [
        small(plan="a"),
        small(plan=list("aabb"), event=False),
        small(plan=list("aabb")).iloc[:0],
        # Nobody of b is at risk when somebody of a ends.
        small(plan=list("aaab"), entry_days=[0, 0, 0, 4]),
    ],
)
def test_nothing_to_compare_is_said(frame):
    with pytest.raises(CxError, match=r"fewer than two groups of .'plan'. are at risk"):
        logrank(frame, by="plan")


# --- what cannot be read


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (small().rename(columns={"duration_days": "T"}), "need one column 'duration_<unit>'"),
        (small(duration_weeks=1), "need one column 'duration_<unit>' and have"),
        (small().rename(columns={"event": "events"}), "no column 'event' .* did you mean 'events'"),
        (small(duration_days=[1, 2, None, 3]), "1 rows of the durations have a missing value"),
        (small(event=[0, 1, 2, 1]), "'event' must be True"),
        (small(n=[1, 1, 1.5, 1]), "'n' must hold whole numbers"),
        (small(entry_days=[2, 0, 0, 0]), "1 rows of the durations end before they enter"),
        (small(duration_days=[-1, 2, 3, 4]), "1 rows of the durations end before they enter"),
    ],
)
def test_what_cannot_be_read_says_why(frame, message):
    with pytest.raises(CxError, match=message):
        survival_curves(frame)


def test_an_interval_or_share_that_is_none_is_refused():
    with pytest.raises(CxError, match="no interval 'loglog'; did you mean 'log-log'"):
        survival_curves(small(), interval="loglog")
    with pytest.raises(CxError, match="no interval 'log-log'"):
        cumulative_hazards(small(), interval="log-log")
    with pytest.raises(CxError, match="the share 50 is none"):
        survival_quantiles(small(), shares=[50])


def test_a_confidence_that_is_no_share_is_refused():
    with pytest.raises(CxError, match="confidence is 95, and must lie between 0 and 1"):
        survival_curves(small(), confidence=95)


def test_an_unknown_group_shows_the_closest():
    with pytest.raises(CxError, match="no column 'plans' in the durations; did you mean 'plan'"):
        survival_curves(small(plan="a"), by="plans")


@pytest.mark.parametrize("name", ["time", "entry", "at_risk"])
def test_a_group_with_the_name_of_a_column_of_the_result_is_refused(name):
    durations = pd.DataFrame({"duration_days": [3, 5], "event": [True, False], name: ["am", "pm"]})
    with pytest.raises(CxError, match=f"the result has a column '{name}' of its own; group by an"):
        survival_curves(durations, by=name)
