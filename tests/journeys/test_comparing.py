"""Two logs compared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import cxlib as cx
from cxlib import compare
from cxlib.errors import CxError
from cxlib.intervals import newcombe_interval
from cxlib.journeys.comparing.differences import adjust_p_values
from tests.journeys.logs import few_examples, log_of, random_rows, rows_of

BEFORE = {"a": "visit", "b": "visit buy", "c": "visit buy", "d": "visit ask buy"}
AFTER = {"e": "visit", "f": "visit ask", "g": "visit ask"}


def row(frame, **cell):
    for name, value in cell.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def many(con, share, customers=120, visits=1, seed=1, **columns):
    """A log of customers whose visits end with a chance of their own, or go on to buy."""
    rng = np.random.default_rng(seed)
    rows = []
    for name in range(customers):
        chance = rng.beta(8 * share, 8 * (1 - share))
        for visit in range(rng.integers(1, visits + 1)):
            path = "visit" if rng.random() < chance else "visit buy"
            for event in rows_of({f"{name}": path}, **columns):
                event["journey_id"] = f"{name}/{visit}"
                event["event_id"] += f"-{visit}"
                rows.append(event)
    return log_of(con, rows)


def test_rates_counts_and_bases_stand_side_by_side(con):
    found = compare(
        cx.transitions, log_of(con, BEFORE), log_of(con, AFTER), labels=("before", "after")
    )
    buy = row(found, from_touchpoint="visit", to_touchpoint="buy")
    assert (buy["count_a"], buy["n_a"], buy["count_b"], buy["n_b"]) == (2, 4, 0, 3)
    assert (buy["a"], buy["b"], buy["difference"]) == (0.5, 0, -0.5)
    assert (buy["label_a"], buy["label_b"], buy["compared"]) == ("before", "after", "probability")
    new = row(found, from_touchpoint="buy", to_touchpoint="(end)")
    assert (new["a"], new["n_b"]) == (1, 0)
    assert new[["b", "difference", "p_value", "p_adjusted"]].isna().all()


def test_what_is_bundled_is_the_same_in_both_logs(con):
    # Alone each log would name another touchpoint; together "visit" is the most frequent one.
    one = log_of(con, {"a": "ask ask", "b": "ask", "c": "visit"})
    two = log_of(con, {"a": "visit", "b": "visit", "c": "visit"})
    found = compare(cx.step_matrix, one, two, keep=1, steps=1)
    assert set(found["touchpoint"]) == {"visit", "(other)"}
    assert row(found, touchpoint="visit")[["a", "b"]].tolist() == pytest.approx([1 / 3, 1])


def test_retention_is_compared_where_periods_were_over(con):
    def log(paths):
        return log_of(con, paths, observed_until="2024-03-15")

    one = log({"a": "buy buy@800", "b": "buy", "c": "buy@800"})
    two = log({"a": "buy buy@800", "b": "buy buy@800", "c": "buy"})
    found = compare(cx.retention, one, two)
    # February was over for the cohort of January, and is period 0 of its own.
    assert row(found, period=1)[["n_a", "n_b"]].tolist() == [2, 3]
    assert row(found, period=1)[["a", "b"]].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert row(found, period=0)["n_a"] == 3


def test_a_funnel_with_a_window_rests_on_windows_that_had_closed(con):
    one = log_of(con, {"a": "visit buy", "b": "visit", "c": "visit@1430 buy"})
    two = log_of(con, {"a": "visit buy", "b": "visit buy"})
    found = compare(cx.funnel, one, two, steps=["visit", "buy"], within="5 days")
    buy = row(found, touchpoint="buy")
    assert buy[["count_a", "n_a", "count_b", "n_b"]].tolist() == [1, 2, 2, 2]


def test_groups_are_compared_apart(con):
    web, app = (rows_of(paths, channel="web") for paths in (BEFORE, AFTER))
    extra = rows_of({"z": "visit"}, channel="app")
    found = compare(cx.dropoff, log_of(con, web + extra), log_of(con, app + extra), by="channel")
    assert row(found, channel="web", touchpoint="visit")[["a", "b"]].tolist() == pytest.approx(
        [1 / 4, 1 / 3]
    )
    assert row(found, channel="app", touchpoint="visit")["difference"] == 0


def test_a_log_does_not_differ_from_itself(con):
    log = many(con, 0.3)
    found = compare(cx.transitions, log, log)
    assert (found["difference"] == 0).all()
    assert (found["p_value"] == 1).all()
    # The same customers have the same weight on both sides: a difference is known well.
    buy = row(found, from_touchpoint="visit", to_touchpoint="buy")
    _, apart = newcombe_interval(buy["count_a"], buy["n_a"], buy["count_a"], buy["n_a"])
    assert 0 <= buy["upper"] < apart / 4


def test_the_same_seed_gives_the_same_result_and_row_order_does_not_matter(con):
    rows = [event for name in range(30) for event in rows_of({f"{name}": "visit buy"})]
    one, two = rows[:30], rows[24:]
    first = compare(cx.transitions, log_of(con, one), log_of(con, two), random_state=5)
    again = compare(cx.transitions, log_of(con, one[::-1]), log_of(con, two), random_state=5)
    pd.testing.assert_frame_equal(first, again)


def test_the_interval_agrees_with_newcombes_where_customers_count_once(con):
    one, two = many(con, 0.3, customers=400), many(con, 0.5, customers=300, seed=2)
    two = cx.keep_events(two, where=lambda events: events.customer_id != "")
    found = row(compare(cx.dropoff, one, _renamed(con, two)), touchpoint="visit")
    lower, upper = newcombe_interval(found["count_b"], found["n_b"], found["count_a"], found["n_a"])
    width = upper - lower
    assert found["lower"] == pytest.approx(lower, abs=0.15 * width)
    assert found["upper"] == pytest.approx(upper, abs=0.15 * width)
    exact = row(compare(cx.dropoff, one, _renamed(con, two), test="analytic"), touchpoint="visit")
    assert exact["lower"] == pytest.approx(float(lower))
    assert exact["upper"] == pytest.approx(float(upper))
    # The pooled z test of two proportions, by hand.
    a, b, n, m = (found[name] for name in ("count_a", "count_b", "n_a", "n_b"))
    pooled = (a + b) / (n + m)
    z = abs(found["difference"]) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    from scipy.special import ndtr

    assert exact["p_value"] == pytest.approx(2 * ndtr(-z))
    assert found["p_value"] < 1e-4


def _renamed(con, log):
    """The same log with other customers."""
    events = log.events.to_pandas().assign(customer_id=lambda f: "other" + f["customer_id"])
    events["journey_id"] = "other" + events["journey_id"]
    return log_of(con, events[["event_id", "customer_id", "journey_id", "occurred_at",
                               "touchpoint"]].to_dict("records"))  # fmt: skip


def test_standard_errors_agree_with_a_bootstrap_of_customers_in_plain_python(con):
    one, two = many(con, 0.3, 300, visits=5), many(con, 0.45, 300, visits=5, seed=2)
    found = row(compare(cx.transitions, one, two, value="per_journey"), to_touchpoint="buy")

    def sums(log):
        moves = log.events.to_pandas()
        moves["buys"] = moves["next_touchpoint"] == "buy"
        own = moves.groupby("customer_id").agg(
            buys=("buys", "sum"), journeys=("journey_id", "nunique")
        )
        return own.reindex([str(name) for name in range(300)]).to_numpy(dtype=float)

    a, b, rng = sums(one), sums(two), np.random.default_rng(3)
    draws = []
    for _ in range(1_000):
        # Customers are in both logs, and are drawn with both.
        drawn = rng.integers(0, 300, 300)
        (x, n), (y, m) = a[drawn].sum(axis=0), b[drawn].sum(axis=0)
        draws.append(y / m - x / n)
    half = (found["upper"] - found["lower"]) / 2
    assert half == pytest.approx(1.97 * np.std(draws), rel=0.15)


@pytest.mark.parametrize("test", ["bootstrap", "permutation"])
def test_intervals_cover_and_tests_keep_their_level_where_customers_bring_several_visits(con, test):
    # 200 pairs of logs in one, told apart by a column: 30 customers a side with 1 to 4 visits that
    # go together. In 200 runs, 95 % is 182 to 197 and 5 % is 3 to 18 (with 99.7 %).
    def side(seed, name):
        rng = np.random.default_rng(seed)
        chance = np.repeat(rng.beta(1.2, 2.8, 6_000), visits := rng.integers(1, 5, 6_000))
        customer = np.repeat(np.arange(6_000), visits)
        frame = pd.DataFrame({"customer_id": [f"{name}{n}" for n in customer]})
        frame["run"] = (customer // 30).astype(str)
        frame["journey_id"] = [f"{name}{n}" for n in range(len(frame))]
        frame["touchpoint"], frame["occurred_at"] = "visit", pd.Timestamp("2024-01-01")
        goes_on = frame[rng.random(len(frame)) >= chance].assign(touchpoint="buy")
        goes_on["occurred_at"] = pd.Timestamp("2024-01-02")
        return cx.journeys_from_frame(
            pd.concat([frame, goes_on], ignore_index=True),
            observed_until="2024-03-01",
            closes_after="7 days",
        )

    found = compare(cx.dropoff, side(1, "a"), side(2, "b"), by="run", test=test, resamples=300)
    found = found[found["touchpoint"] == "visit"]
    assert len(found) == 200
    assert 182 <= ((found["lower"] <= 0) & (found["upper"] >= 0)).sum() <= 199
    assert 2 <= (found["p_value"] < 0.05).sum() <= 18


def test_holm_and_benjamini_hochberg_do_as_published():
    # Benjamini and Hochberg (1995), table 1: p-values of 15 comparisons; at 0.05 the procedure
    # rejects four, and Holm's three.
    p = pd.Series([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
                   0.4262, 0.5719, 0.6528, 0.7590, 1.0])  # fmt: skip
    assert (adjust_p_values(p, "benjamini-hochberg") < 0.05).sum() == 4
    assert (adjust_p_values(p, "holm") < 0.05).sum() == 3
    from scipy.stats import false_discovery_control

    shuffled = p.sample(frac=1, random_state=1)
    assert adjust_p_values(shuffled, "benjamini-hochberg").tolist() == pytest.approx(
        false_discovery_control(shuffled.to_numpy()).tolist()
    )
    assert adjust_p_values(pd.Series([0.01, None]), "holm").tolist()[0] == 0.01


def test_min_count_above_everything_gives_no_rows_but_all_columns(con):
    log, other = log_of(con, BEFORE), log_of(con, AFTER)
    found = compare(cx.dropoff, log, other, min_count=99)
    assert len(found) == 0
    assert found.columns[:4].tolist() == ["touchpoint", "compared", "a", "b"]


def test_rare_cells_can_be_left_out_before_the_correction(con):
    log, other = log_of(con, BEFORE), log_of(con, AFTER)
    # 4 purchases and 2 asks end a journey, and 2 visits.
    all_of = compare(cx.dropoff, log, other)
    some = compare(cx.dropoff, log, other, min_count=3)
    counts = all_of.set_index("touchpoint")[["count_a", "count_b"]].sum(axis=1)
    assert set(some["touchpoint"]) == set(counts[counts >= 3].index)


def test_one_customer_gives_a_wide_interval_and_no_missing_values(con):
    found = compare(cx.dropoff, log_of(con, {"a": "visit"}), log_of(con, {"b": "visit"}))
    one = found.iloc[0]
    assert one["difference"] == 0
    assert one["lower"] < -0.9
    assert one["upper"] > 0.9
    assert one["p_value"] == 1


def plain(log):
    return cx.dropoff(log)


@pytest.mark.parametrize(
    ("measure", "options", "message"),
    [
        (plain, {}, "plain cannot be compared; compare takes common_paths, dropoff"),
        (cx.conversion_times, {}, "conversion_times cannot be compared"),
        (cx.transitions, {"value": "median_wait_hours"}, "no value 'median_wait_hours' to compare"),
        (cx.dropoff, {"test": "bootstap"}, "did you mean 'bootstrap'"),
        (cx.dropoff, {"correction": "bonferroni"}, "no correction 'bonferroni'"),
        (cx.dropoff, {"labels": ("a", "a")}, "give two that differ"),
        (cx.dropoff, {"labels": "ab"}, "give two that differ"),
        (cx.dropoff, {"resamples": 10}, "resamples is 10, and must be at least 50"),
        (cx.dropoff, {"min_count": -1}, "min_count is -1, and must be at least 0"),
        (cx.dropoff, {"confidence": 95}, "confidence is 95"),
        (cx.dropoff, {"by": "chanel"}, "did you mean 'channel'"),
        (cx.summary, {"test": "analytic"}, "the analytic test is one of shares"),
        (cx.flows, {"around": "buyy"}, "did you mean 'buy'"),
        (
            cx.funnel,
            {"steps": ["visit", "buy"], "within": "1 day", "censoring": "kaplan_meier"},
            "an estimate does not add up over customers",
        ),
        (cx.funnel, {"steps": ["visit", "buy"], "over": "month"}, "cut two logs instead of over="),
    ],
)
def test_what_cannot_be_compared_says_why(con, measure, options, message):
    with pytest.raises(CxError, match=message):
        compare(measure, log_of(con, BEFORE), log_of(con, {"a": "visit buy"}), **options)


@pytest.mark.parametrize("measure", [cx.transitions, cx.flows])
def test_a_log_without_events_says_so(con, measure):
    log = log_of(con, BEFORE)
    none = cx.keep_events(log, where={"customer_id": "nobody"})
    with pytest.raises(CxError, match="the log 'b' has no events; there is nothing to compare"):
        compare(measure, log, none)


def test_a_log_in_which_all_is_open_says_so(con):
    log = log_of(con, BEFORE)
    with pytest.raises(CxError, match="no case whose outcome is known"):
        compare(cx.dropoff, log, log_of(con, {"a": "visit"}, closes_after=None))


@settings(few_examples, max_examples=min(3, few_examples.max_examples))
@given(rows=random_rows(), others=random_rows())
def test_sides_may_be_exchanged(con, rows, others):
    one, two = log_of(con, rows), log_of(con, others)
    there = compare(cx.transitions, one, two).set_index(["from_touchpoint", "to_touchpoint"])
    back = compare(cx.transitions, two, one).set_index(["from_touchpoint", "to_touchpoint"])
    back = back.loc[there.index]
    assert there["difference"].tolist() == pytest.approx(
        (-back["difference"]).tolist(), nan_ok=True
    )
    assert there["lower"].tolist() == pytest.approx((-back["upper"]).tolist(), nan_ok=True)
    assert there["p_value"].tolist() == pytest.approx(back["p_value"].tolist(), nan_ok=True)
    known = there["difference"].notna()
    assert there[known].notna().all(axis=None)
    assert (there["lower"][known] <= there["difference"][known] + 1e-12).all()
    assert (there["upper"][known] >= there["difference"][known] - 1e-12).all()
