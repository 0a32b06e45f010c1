"""What a stored log holds beside its events, so that distinct customers are a sum."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from cxlib.journeys.conversion.measures import funnel
from cxlib.journeys.counted import count_ahead, count_on, is_counted
from cxlib.journeys.paths import flows, transitions
from cxlib.journeys.prepare import journey_table
from cxlib.journeys.retention import retention
from cxlib.journeys.verbs import keep_events, keep_journeys, materialize, split_journeys
from cxlib.tables import check_contract
from tests.journeys.logs import events_of, few_examples, log_of, random_rows, rows_of


def stored(log):
    """The log as a store holds it."""
    events = count_ahead(log.events).cache()
    return replace(log, events=events, journeys=journey_table(events).cache())


def two_journeys(con):
    return stored(split_journeys(log_of(con, {"a": "x y x y@100 y", "b": "x"}), gap="2 days"))


def test_counted_columns_meet_their_contract(con):
    log = two_journeys(con)
    check_contract(log.events, "events")
    check_contract(log.events, "counted_events")
    check_contract(log.journeys, "journeys")


def test_customers_are_numbered_in_the_order_of_their_ids_and_their_events_in_time(con):
    found = events_of(two_journeys(con), "customer_id", "cx_customer", "cx_place")
    assert found == [("a", 1, place) for place in range(1, 6)] + [("b", 2, 1)]


def test_a_move_is_new_to_a_journey_and_to_a_customer_once(con):
    log = stored(split_journeys(log_of(con, {"a": "x x x x@100 x"}), gap="2 days"))
    # x -> x, x -> x, x -> (end); then x -> x, x -> (end).
    found = events_of(log, "cx_new_to_journey", "cx_new_to_customer")
    assert found == [(True, True), (False, False), (True, True), (True, False), (True, False)]


def test_moves_of_consecutive_journeys_are_new_in_the_order_of_time(con):
    # Eleven journeys x y, of which the second and the tenth are x z: by their ids a/10 comes first.
    times = " ".join(f"x@{100 * n} {'z' if n in (2, 10) else 'y'}" for n in range(1, 12))
    log = split_journeys(log_of(con, {"a": times}), gap="2 days")
    events = count_ahead(log.events, consecutive=True)
    found = events.filter(events.cx_new_to_customer).order_by("cx_place").cx_place.to_list()
    assert found == [1, 2, 3, 4]


def test_last_journeys_are_counted_as_in_the_whole_log(con):
    log = split_journeys(log_of(con, {"a": "x y z x@100 y@101 x@200 y x z"}), gap="2 days")
    whole = count_ahead(log.events, consecutive=True).cache()
    last = log.events.filter(log.events.journey_id == "a/3").mutate(cx_customer=1)
    alone = count_ahead(last, consecutive=True)
    assert alone.cx_alone.all().execute()
    before = whole.filter(whole.journey_id != "a/3")
    moves = before.filter(before.cx_new_to_customer)
    on = count_on(
        alone,
        before.group_by("cx_customer").aggregate(cx_longest=before.step.max()),
        moves.select("cx_customer", "touchpoint", "next_touchpoint"),
    )
    expected = whole.filter(whole.journey_id == "a/3")
    told = [
        list(rows.order_by("cx_place").select("cx_alone", "cx_new_to_customer").to_pandas().values)
        for rows in (on, expected)
    ]
    assert [tuple(row) for row in told[0]] == [tuple(row) for row in told[1]]
    assert [tuple(row) for row in told[0]] == [
        (False, False),  # x -> y was made before
        (False, True),
        (False, True),
        (True, False),  # no journey had a fourth step; z -> (end) was made before
    ]


def test_a_step_is_alone_when_no_other_journey_of_the_customer_has_it(con):
    assert events_of(two_journeys(con), "step", "cx_alone") == [
        *[(1, False), (2, False), (3, True), (1, False), (2, False)],
        (1, True),
    ]


def test_a_log_written_in_parts_numbers_its_customers_on(con):
    log = log_of(con, {"a": "x", "b": "x"})
    numbers = count_ahead(log.events, first_number=11).order_by("event_id").cx_customer
    assert numbers.to_list() == [11, 12]


def test_verbs_drop_what_no_longer_holds(con):
    log = two_journeys(con)
    assert is_counted(log.events)
    for changed in [
        keep_events(log, touchpoints="x"),
        split_journeys(log, gap="1 hour"),
        keep_journeys(log, min_length=3),
    ]:
        assert not is_counted(changed.events)
        # The number of a customer always holds.
        assert "cx_customer" in changed.events.columns
        assert "cx_customer" in changed.journeys.columns
    assert is_counted(materialize(log).events)


@settings(few_examples, max_examples=min(3, few_examples.max_examples))
@given(rows=random_rows())
@pytest.mark.parametrize(
    "measure",
    [
        transitions,
        lambda log: transitions(log, by="channel"),
        lambda log: flows(log, keep=2),
        lambda log: flows(log, keep=2, by="channel"),
        lambda log: flows(log, around=log.events.touchpoint.min().to_pandas()),
        lambda log: retention(log, brackets=["1 hour", "9 hours"], on="on_or_after", by="channel"),
        lambda log: funnel(log, ["visit", "buy", "visit"], within="9 hours"),
        lambda log: funnel(log, ["visit", "buy"], within="9 hours", by="channel", exclude="ask"),
        lambda log: funnel(log, ["visit", "ask", "buy"], optional=2, hold="channel"),
        lambda log: funnel(log, ["visit", "buy"], count="journeys", at_least="1 hour"),
        lambda log: funnel(log, ["visit", "buy"], order="strict"),
        lambda log: transitions(keep_journeys(log, min_length=2)),
        lambda log: flows(keep_journeys(log, min_length=2)),
    ],
)
def test_a_stored_log_gives_the_answers_of_one_that_is_not(con, measure, rows):
    # Each touchpoint once more, so that a funnel may ask for any of them.
    rows = rows + rows_of({"e": "ask buy visit leave"}, channel="web")
    log = materialize(split_journeys(log_of(con, rows), gap="2 hours"))
    frame, kept = measure(log), measure(stored(log))
    assert frame.equals(kept) or frame.compare(kept).empty


def test_rows_that_a_frame_brings_under_these_names_are_computed_anew(con):
    rows = rows_of({"a": "x"}, cx_customer=7)
    assert "cx_customer" not in log_of(con, rows).events.columns
