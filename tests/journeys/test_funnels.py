"""Drop-off, and what of it is the touchpoint's."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from cxlib import abandonment, dropoff, journeys_from_frame, keep_events
from cxlib.errors import CxError, CxWarning
from cxlib.intervals import poisson_interval, wilson_interval
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

# Position 1: visit 3 times, none ends. Position 2: ask, visit, buy: of these ask and buy end.
# Position 3: ask ends.
THREE = {"a": "visit ask", "b": "visit visit ask", "c": "visit buy"}


def row(frame, touchpoint, **group):
    found = frame[frame["touchpoint"] == touchpoint]
    for name, value in group.items():
        found = found[found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_endings_are_counted_of_the_visits_whose_outcome_is_known(con):
    found = dropoff(log_of(con, THREE | {"d": "ask@1400"}))
    ask = row(found, "ask")
    assert (ask["visits"], ask["ended"], ask["open"], ask["n"]) == (3, 2, 1, 2)
    assert ask["dropoff_rate"] == 1
    assert row(found, "visit")["dropoff_rate"] == 0


def test_expected_is_the_rate_of_the_positions(con):
    found = dropoff(log_of(con, THREE))
    # 2 of 3 end at position 2, and the one at position 3: ask stands once at each.
    ask = row(found, "ask")
    assert ask["expected"] == pytest.approx(2 / 3 + 1)
    assert ask["lift"] == pytest.approx(2 / (5 / 3))
    assert row(found, "visit")["expected"] == pytest.approx(2 / 3)
    assert row(found, "visit")["lift"] == 0


def test_positions_from_the_last_on_are_one(con):
    # Positions 2 and 3 together: 3 of 4 end.
    found = dropoff(log_of(con, THREE), last_position=2)
    assert row(found, "ask")["expected"] == pytest.approx(2 * 3 / 4)


def test_intervals_are_wilson_of_the_rate_and_garwood_of_the_count(con):
    found = row(dropoff(log_of(con, THREE)), "ask")
    lower, upper = wilson_interval(2, 2)
    assert (found["lower"], found["upper"]) == (pytest.approx(lower), pytest.approx(upper))
    fewest, most = poisson_interval(2)
    assert found["lift_lower"] == pytest.approx(fewest / (5 / 3))
    assert found["lift_upper"] == pytest.approx(most / (5 / 3))


def test_a_touchpoint_whose_journeys_all_go_on_has_no_rate(con):
    found = row(dropoff(log_of(con, {"a": "visit"}, closes_after=None)), "visit")
    assert found["n"] == 0
    assert found[["dropoff_rate", "lower", "upper", "lift", "lift_lower"]].isna().all()


def test_a_log_in_which_no_journey_has_ended_says_so_and_how_to_mend_it(con):
    said = r"no journey has ended.*`journeys: \{closes_after: 30 days\}` in sources\.yml says"
    with pytest.warns(CxWarning, match=said):
        dropoff(log_of(con, {"a": "visit ask"}, closes_after=None))
    with pytest.warns(CxWarning, match=r"none was silent for longer than .* \(`closes_after`\)"):
        dropoff(log_of(con, {"a": "visit@1400"}))


def test_one_journey_that_has_ended_is_enough_to_say_nothing(con):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CxWarning)
        dropoff(log_of(con, THREE))


def test_the_most_endings_come_first_and_equal_ones_by_name(con):
    found = dropoff(log_of(con, THREE))
    assert found["touchpoint"].tolist() == ["ask", "buy", "visit"]


def test_groups_are_held_against_all_of_them_together(con):
    rows = rows_of({"a": "visit", "b": "visit"}, channel="web")
    rows += rows_of({"c": "visit ask", "d": "visit ask"}, channel="app")
    found = dropoff(log_of(con, rows), by="channel")
    assert row(found, "visit", channel="web")["lift"] == pytest.approx(2)
    assert row(found, "visit", channel="app")["lift"] == 0


def test_a_log_without_events_has_no_dropoff_but_its_columns(con):
    found = dropoff(keep_events(log_of(con, THREE), where={"customer_id": "nobody"}))
    assert len(found) == 0
    assert found.columns.tolist() == [
        *("touchpoint", "visits", "ended", "open", "n", "dropoff_rate", "lower", "upper"),
        *("expected", "lift", "lift_lower", "lift_upper"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last_position": 0}, "last_position is 0, and must be at least 1"),
        ({"by": "chanel"}, "did you mean 'channel'"),
        ({"mix": "chanel"}, "did you mean 'channel'"),
        ({"by": "touchpoint"}, "the result has a column 'touchpoint' of its own"),
    ],
)
def test_what_cannot_be_counted_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        dropoff(log_of(con, THREE), **options)


@few_examples
@given(rows=random_rows())
def test_endings_sum_to_the_journeys_that_ended_and_to_what_is_expected(con, rows):
    log = log_of(con, rows)
    found = dropoff(log)
    assert found["ended"].sum() == len(paths_by_hand(rows))
    assert found["expected"].sum() == pytest.approx(found["ended"].sum())
    parts = dropoff(log, by="channel").groupby("touchpoint")[["ended", "visits", "expected"]].sum()
    whole = found.set_index("touchpoint").sort_index()
    for column in parts:
        assert parts[column].tolist() == pytest.approx(whole[column].tolist())


# After "visit" at position 2: ask 3 times (2 end), buy twice (1 ends); after "ad": ask once (ends),
# and nobody went elsewhere.
BRANCHES = {
    "a": "visit ask",
    "b": "visit ask",
    "c": "visit ask call@2",
    "d": "visit buy",
    "e": "visit buy call@2",
    "f": "ad ask",
}


def test_mix_is_taken_into_account_beside_position(con):
    rows = rows_of({"a": "visit", "b": "visit", "c": "ask"}, channel="web")
    rows += rows_of({"d": "visit buy", "e": "ask buy", "f": "ask buy"}, channel="app")
    log = log_of(con, rows)
    # At position 1 on the web all end, in the app none: web and app visits are as expected.
    visit = row(dropoff(log, mix="channel"), "visit")
    assert (visit["ended"], visit["expected"], visit["lift"]) == (2, 2, 1)
    assert row(dropoff(log), "visit")["expected"] == pytest.approx(1.5)
    web = row(dropoff(log, mix="channel", by="channel"), "visit", channel="web")
    assert web["expected"] == 2


def test_visits_are_held_against_others_after_the_same_path(con):
    found = row(abandonment(log_of(con, BRANCHES)), "ask")
    assert (found["n"], found["ended"], found["dropoff_rate"]) == (4, 3, 0.75)
    # The visit after the ad has nothing to be held against.
    assert (found["matched"], found["unmatched"], found["n_elsewhere"]) == (3, 1, 2)
    assert found["matched_rate"] == pytest.approx(2 / 3)
    assert found["expected_rate"] == pytest.approx(1 / 2)
    assert found["difference"] == pytest.approx(1 / 6)
    assert found["excess"] == pytest.approx(1 / 2)
    # Elsewhere: 6 first visits, 2 calls and 2 purchases, of which 2 + 1 ended.
    assert found["elsewhere_rate"] == pytest.approx(3 / 10)
    assert found["path_difference"] == pytest.approx(0.75 - 0.3 - 1 / 6)


def test_without_steps_to_match_only_the_position_counts(con):
    found = row(abandonment(log_of(con, BRANCHES), matched_steps=0), "ask")
    assert (found["matched"], found["n_elsewhere"]) == (4, 2)
    assert found["difference"] == pytest.approx(3 / 4 - 1 / 2)


def test_what_cannot_be_matched_has_no_difference(con):
    found = row(abandonment(log_of(con, {"a": "ad ask", "b": "visit"})), "ask")
    assert (found["matched"], found["unmatched"]) == (0, 1)
    assert found[["difference", "lower", "upper", "matched_rate"]].isna().all()
    assert found["dropoff_rate"] == 1


def test_open_visits_are_left_out_but_tell_the_path_of_none(con):
    found = abandonment(log_of(con, BRANCHES | {"g": "visit ask@1400"}), "ask").iloc[0]
    assert found["n"] == 4


def test_the_touchpoints_asked_for_are_given_and_groups_matched_apart(con):
    rows = rows_of({"a": "visit ask", "b": "visit buy"}, channel="web")
    rows += rows_of({"c": "visit ask call", "d": "visit buy"}, channel="app")
    log = log_of(con, rows)
    found = abandonment(log, ["ask", "buy"], by="channel")
    assert set(found["touchpoint"]) == {"ask", "buy"}
    assert row(found, "ask", channel="web")["difference"] == 0
    assert row(found, "ask", channel="app")["difference"] == -1


def mantel_haenszel(strata):
    """Risk difference and Sato's variance from (x, n, y, m), term by term as in his paper."""
    weight = sum(n * m / (n + m) for _, n, _, m in strata)
    difference = sum((x * m - y * n) / (n + m) for x, n, y, m in strata) / weight
    p = sum((n**2 * y - m**2 * x + n * m * (m - n) / 2) / (n + m) ** 2 for x, n, y, m in strata)
    q = sum((x * (m - y) + y * (n - x)) / (2 * (n + m)) for x, n, y, m in strata)
    return difference, (difference * p + q) / weight**2


@few_examples
@given(rows=random_rows())
def test_abandonment_is_what_plain_python_counts(con, rows):
    found = abandonment(log_of(con, rows), matched_steps=1, last_position=3)
    visits = []
    for path in paths_by_hand(rows).values():
        names = [event["touchpoint"] for event in path]
        for at, name in enumerate(names):
            stratum = (names[at - 1] if at else "(start)", min(at + 1, 3))
            visits.append((stratum, name, at == len(names) - 1))
    assert found["n"].sum() == len(visits)
    for _, seen in found.iterrows():
        strata = []
        for stratum in {where for where, name, _ in visits if name == seen["touchpoint"]}:
            here = [end for s, name, end in visits if s == stratum and name == seen["touchpoint"]]
            away = [end for s, name, end in visits if s == stratum and name != seen["touchpoint"]]
            if away:
                strata.append((sum(here), len(here), sum(away), len(away)))
        assert seen["matched"] == sum(n for _, n, _, _ in strata)
        assert seen["n_elsewhere"] == sum(m for _, _, _, m in strata)
        if strata:
            difference, variance = mantel_haenszel(strata)
            assert seen["difference"] == pytest.approx(difference)
            assert -1 <= seen["lower"] <= difference + 1e-9
            assert difference - 1e-9 <= seen["upper"] <= 1
            if variance > 1e-9:
                high = min(difference + 1.959964 * variance**0.5, 1)
                assert seen["upper"] == pytest.approx(high, abs=1e-6)


def test_the_interval_of_the_matched_difference_covers_in_many_small_strata(con):
    # 200 logs in one: 60 journeys each come by one of 12 paths, whose rates of ending differ, and
    # go on to "ask", which adds 0.2, or to "buy". 95 % of 200 is 182 to 197 (with 99.7 %).
    rng = np.random.default_rng(4)
    size = 200 * 60
    path, asks = rng.integers(0, 12, size), rng.random(size) < 0.4
    ends = rng.random(size) < 0.1 + 0.04 * path + 0.2 * asks
    frames = [
        pd.DataFrame({"touchpoint": np.char.add("path", path.astype(str)), "day": 1}),
        pd.DataFrame({"touchpoint": np.where(asks, "ask", "buy"), "day": 2}),
        pd.DataFrame({"touchpoint": "call", "day": 3}, index=np.flatnonzero(~ends)),
    ]
    events = pd.concat(frames)
    events["run"] = (events.index // 60).astype(str)
    events["customer_id"] = events.index.astype(str)
    events["occurred_at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(events["day"], "D")
    log = journeys_from_frame(
        events.reset_index(drop=True), observed_until="2024-06-01", closes_after="7 days"
    )
    found = abandonment(log, "ask", matched_steps=1, by="run")
    assert found["difference"].mean() == pytest.approx(0.2, abs=0.03)
    covered = ((found["lower"] <= 0.2) & (found["upper"] >= 0.2)).sum()
    assert 182 <= covered <= 198


def test_where_nothing_ended_on_either_side_the_interval_says_how_little_is_known(con):
    found = row(abandonment(log_of(con, {"a": "ad visit buy", "b": "ad ask buy"})), "visit")
    assert (found["difference"], found["matched"]) == (0, 1)
    assert found["lower"] < -0.7
    assert found["upper"] > 0.7


def test_a_log_without_events_has_no_abandonment_but_its_columns(con):
    none = keep_events(log_of(con, THREE), where={"customer_id": "nobody"})
    found = abandonment(none)
    assert len(found) == 0
    assert found.columns[:4].tolist() == ["touchpoint", "n", "ended", "dropoff_rate"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"touchpoint": "vist"}, "did you mean 'visit'"),
        ({"matched_steps": -1}, "matched_steps is -1, and must be at least 0"),
        ({"last_position": 0}, "last_position is 0, and must be at least 1"),
        ({"by": "matched"}, "there is no column 'matched'"),
        ({"by": "touchpoint"}, "the result has a column 'touchpoint' of its own"),
    ],
)
def test_abandonment_that_cannot_be_counted_says_why(con, options, message):
    with pytest.raises(CxError, match=message):
        abandonment(log_of(con, THREE), **options)
