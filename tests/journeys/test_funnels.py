"""Drop-off."""

import pytest
from hypothesis import given

from cxlib import dropoff, keep_events
from cxlib.errors import CxError
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
