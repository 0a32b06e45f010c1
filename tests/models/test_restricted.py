"""Restricted means, their differences and ratios."""

import numpy as np
import pandas as pd
import pytest

from cxlib import compare_restricted_means, restricted_means
from cxlib.errors import CxError
from tests.models.spells import PROMPT, case


def test_fruit_flies_are_those_of_r(shared):
    """The survRM2 reference quoted in lifelines' PR 1526: 9.794 (0.123)."""
    frame, computed = case(shared, "waltons")
    frame = frame.rename(columns={"T": "duration_days", "E": "event"})
    found = restricted_means(frame, by="group", until=10).set_index("group")
    for group, key in (("miR-137", "rmst10.miR137"), ("control", "rmst10.control")):
        mean, error = computed[key]
        assert found.loc[group, "restricted_mean_days"] == pytest.approx(mean, rel=1e-6)
        assert found.loc[group, "standard_error"] == pytest.approx(error, rel=1e-6)


def test_ties_and_counts_are_those_of_r():
    """R survival 3.5.3: summary(survfit(Surv(time, event) ~ plan), rmean = 5)$table."""
    found = restricted_means(PROMPT, by="plan", until=5).set_index("plan")
    expected = {"a": (3.44444444444, 0.532548290539), "b": (4.33333333333, 0.307920143568)}
    for plan, (mean, error) in expected.items():
        assert found.loc[plan, "restricted_mean_months"] == pytest.approx(mean, rel=1e-9)
        assert found.loc[plan, "standard_error"] == pytest.approx(error, rel=1e-9)


def test_difference_and_ratio_are_those_of_the_means():
    means = restricted_means(PROMPT, by="plan", until=5).set_index("plan")
    found = compare_restricted_means(PROMPT, by="plan", until=5).iloc[0]
    a, b = means.loc["a"], means.loc["b"]
    # b is the larger group.
    assert (found["plan"], found["reference"], found["n"], found["n_reference"]) == (
        "a",
        "b",
        9,
        15,
    )
    gap = a["restricted_mean_months"] - b["restricted_mean_months"]
    error = np.hypot(a["standard_error"], b["standard_error"])
    assert found["difference_months"] == pytest.approx(gap)
    assert found["difference_upper"] - gap == pytest.approx(1.959964 * error, rel=1e-6)
    assert found["ratio"] == pytest.approx(3.4444444444 / 4.3333333333)
    assert found["ratio_upper"] * found["ratio_lower"] == pytest.approx(found["ratio"] ** 2)
    assert 0.1 < found["difference_p_value"] < 0.2


def test_without_censoring_the_mean_is_that_of_the_times_and_so_is_its_error():
    frame = pd.DataFrame({"duration_days": [1, 2, 4, 9], "event": True})
    found = restricted_means(frame, until=6).iloc[0]
    times = np.array([1, 2, 4, 6])
    assert found["restricted_mean_days"] == pytest.approx(times.mean())
    assert found["standard_error"] == pytest.approx(times.std() / 2)
    assert (found["n"], found["events"], found["until_days"]) == (4, 3, 6)


def test_time_is_counted_from_where_customers_have_come_to():
    frame = pd.DataFrame({"duration_days": [1, 2, 4, 9], "event": True})
    found = restricted_means(frame, until=6, from_time=1).iloc[0]
    assert found["restricted_mean_days"] == pytest.approx(np.mean([1, 3, 5]))


def test_late_entrants_count_from_their_entry():
    # At 2 one of two ends, at 5 one of four: 2 + 3 * 1/2 + 1 * 3/8.
    frame = pd.DataFrame(
        {"entry_days": [0, 0, 3, 3, 3], "duration_days": [2, 5, 6, 6, 6],
         "event": [True, True, False, False, False]}
    )  # fmt: skip
    with pytest.warns(UserWarning, match="rests on 2 customers"):
        found = restricted_means(frame, until=6)["restricted_mean_days"].iloc[0]
    assert found == pytest.approx(2 + 3 / 2 + 3 / 8)


def test_a_limit_beyond_the_last_time_seen_is_refused():
    frame = pd.DataFrame({"duration_days": [1, 2, 4], "event": [True, False, False]})
    with pytest.raises(CxError, match=r"ends at 4 days, where 66.7% are left.*at most 4"):
        restricted_means(frame, until=5)
    # Where nobody is left nothing is unknown.
    assert len(restricted_means(frame.assign(event=True), until=5)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": 0}, "until is 0, and must be later than 0"),
        ({"until": 5, "from_time": 5}, "until is 5, and must be later than 5"),
        ({"until": np.inf}, "until is inf"),
    ],
)
def test_a_limit_that_is_none_is_refused(options, message):
    with pytest.raises(CxError, match=message):
        restricted_means(PROMPT, **options)


def test_a_curve_that_starts_late_has_no_mean_from_zero():
    frame = PROMPT.assign(entry_months=1)[PROMPT["duration_months"] > 1]
    with pytest.raises(CxError, match=r"starts at 1 months.*with from_time=1"):
        restricted_means(frame, until=5)


def test_a_comparison_needs_two_groups_and_a_reference_that_is_one():
    with pytest.raises(CxError, match="'plan' has 1 group"):
        compare_restricted_means(PROMPT.assign(plan="a"), by="plan", until=5)
    with pytest.raises(CxError, match="no group 'c' of 'plan'"):
        compare_restricted_means(PROMPT, by="plan", until=5, reference="c")
