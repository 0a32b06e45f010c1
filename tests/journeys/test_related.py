"""Related events: columns that look before, after and between."""

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import (
    add_count,
    add_first,
    add_last,
    add_nth,
    add_total,
    keep_events,
    materialize,
    split_journeys,
)
from cxlib.errors import CxError
from tests.journeys.logs import (
    DAY_ONE,
    events_of,
    few_examples,
    log_of,
    paths_by_hand,
    random_rows,
    rows_of,
)

# --- published tables: what an ActivitySchema engine gives

PRIMARIES = ("all", "first", "last", "nth")
WHEN = ("ever", "before", "after", "between")


@pytest.fixture(scope="module")
def oracle(shared):
    """Folder with the log, one file per activity, and what temporal joins must give."""
    return shared / "data" / "oracle_activity_schema"


def oracle_log(con, oracle):
    files = [oracle / "activities" / f"{name}.csv" for name in
             ("signed_up", "visited_page", "bought_something")]  # fmt: skip
    frames = [pd.read_csv(file, parse_dates=["ts"]).assign(touchpoint=file.stem) for file in files]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.rename(columns={"ts": "occurred_at", "entity_uuid": "customer_id"})
    frame["event_id"] = [f"{position:02}" for position in range(len(frame))]
    frame["customer_id"] = frame["customer_id"].astype(str)
    return materialize(log_of(con, frame.to_dict("records"), observed_until="2022-12-31"))


_ANSWERS: dict[tuple[str, str], pd.DataFrame] = {}


def answers(con, oracle, when):
    """Every sign-up with all that is appended to it, once per engine and relation."""
    if (con.name, when) not in _ANSWERS:
        log = oracle_log(con, oracle)
        for verb, prefix, more in [(add_first, "first", {}), (add_last, "last", {}),
                                   (add_nth, "second", {"n": 2, "counted": "ever"})]:  # fmt: skip
            log = verb(log, "visited_page", when=when, columns=["occurred_at", "referrer_url"],
                       prefix=f"{prefix}_visit", **more)  # fmt: skip
            log = verb(log, "bought_something", when=when, prefix=f"{prefix}_buy",
                       columns=["occurred_at", "total_items_purchased"], **more)  # fmt: skip
            log = materialize(log)
        log = add_count(log, "visited_page", when=when, name="pages")
        log = materialize(add_count(log, "bought_something", when=when, name="purchases"))
        log = add_total(log, "bought_something", when=when, column="total_items_purchased",
                        name="items")  # fmt: skip
        log = add_total(log, "bought_something", when=when, column="total_sales", name="sales")
        log = add_count(materialize(log), "signed_up", when="before", name="earlier")
        log = add_count(log, "signed_up", when="after", name="later")
        _ANSWERS[con.name, when] = keep_events(log, touchpoints="signed_up").events.to_pandas()
    return _ANSWERS[con.name, when]


def assert_published(con, oracle, primary, kind, when, names):
    """Hold the sign-ups (all, the first, the last, or the first by number) to the table."""
    rows = answers(con, oracle, when)
    kept = {"first": rows["earlier"] == 0, "last": rows["later"] == 0, "nth": rows["earlier"] == 0}
    rows = rows[kept.get(primary, rows["earlier"] >= 0)]
    file = f"output__select_{primary}_{kind}.csv"
    table = pd.read_csv(
        oracle / "datasets" / f"primary__{primary}" / file, dtype={"customer_id": str}
    )
    for name in ["signed_up_at", *(name for name in names.values() if name.endswith("_at"))]:
        table[name] = pd.to_datetime(table[name]).astype("datetime64[us]")
    expected = table.set_index(["customer_id", "signed_up_at"])[list(names.values())]
    found = rows.set_index(["customer_id", "occurred_at"])[list(names)].set_axis(
        list(names.values()), axis=1
    )
    assert sorted(found.index) == sorted(expected.index)
    found = found.loc[list(expected.index)]
    for name in names.values():
        missing = expected[name].isna()
        assert (found[name].isna() == missing).all()
        assert found.loc[~missing, name].tolist() == expected.loc[~missing, name].tolist()


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("take", ["first", "last"])
@pytest.mark.parametrize("primary", PRIMARIES)
def test_first_and_last_are_those_of_the_published_table(con, oracle, primary, take, when):
    names = {
        f"{take}_visit_referrer_url": f"{take}_{when}_referrer_url",
        f"{take}_buy_total_items_purchased": f"{take}_{when}_total_items_purchased",
        f"{take}_buy_at": f"{take}_{when}_bought_something_at",
    }
    assert_published(con, oracle, primary, f"append_{take}_{when}", when, names)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("primary", PRIMARIES)
def test_the_second_ever_is_that_of_the_published_table(con, oracle, primary, when):
    names = {
        "second_visit_referrer_url": f"first_{when}_referrer_url",
        "second_visit_at": "second_pageview_at",
    }
    assert_published(con, oracle, primary, f"append_nth_{when}", when, names)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("primary", PRIMARIES)
def test_counts_and_totals_are_those_of_the_published_table(con, oracle, primary, when):
    file = "all" if when == "ever" else when
    names = {
        "pages": f"pages_visited_{file}",
        "purchases": f"total_purchases_{file}",
        "items": "total_items_purchased" + (f"_{file}" if file in ("all", "after") else ""),
        "sales": f"total_sales_{file}",
    }
    assert_published(con, oracle, primary, f"aggregate_{file}", when, names)


# --- counted by hand

PATH = {"a": "visit@0 buy@1 ask@2 buy@3 visit@4 buy@5"}


def added(log, *columns):
    return [row if len(columns) > 1 else row[0] for row in events_of(log, *columns)]


def hours(log, column):
    return [
        None if at is None else int((at - DAY_ONE) / timedelta(hours=1))
        for at in added(log, column)
    ]


@pytest.mark.parametrize(
    ("when", "first", "last", "count"),
    [
        ("ever", [1, 1, 1, 1, 1, 1], [5, 5, 5, 5, 5, 5], [3, 3, 3, 3, 3, 3]),
        ("before", [None, None, 1, 1, 1, 1], [None, None, 1, 1, 3, 3], [0, 0, 1, 1, 2, 2]),
        ("after", [1, 3, 3, 5, 5, None], [5, 5, 5, 5, 5, None], [3, 2, 2, 1, 1, 0]),
        # From the first visit until the next one; no purchase lies between two purchases.
        ("between", [1, None, 3, None, 5, None], [3, None, 5, None, 5, None], [2, 0, 2, 0, 1, 0]),
    ],
)
def test_relations_look_from_each_event(con, when, first, last, count):
    log = log_of(con, PATH)
    assert hours(add_first(log, "buy", when=when), f"first_{when}_buy_at") == first
    assert hours(add_last(log, "buy", when=when), f"last_{when}_buy_at") == last
    assert added(add_count(log, "buy", when=when), f"count_{when}_buy") == count


def test_the_nth_counts_in_the_relation_or_ever(con):
    log = log_of(con, PATH)
    second = add_nth(log, "buy", n=2, when="after")
    assert hours(second, "2nd_after_buy_at") == [3, 5, 5, None, None, None]
    ever = add_nth(log, "buy", n=2, when="after", counted="ever")
    assert hours(ever, "2nd_after_buy_at") == [3, 3, 3, None, None, None]


def test_of_equal_times_the_smaller_id_is_before(con):
    log = add_count(log_of(con, {"a": "buy@0 buy@0"}), "buy", when="before")
    assert added(log, "count_before_buy") == [0, 1]


def test_other_customers_and_with_scope_other_journeys_are_not_related(con):
    log = split_journeys(log_of(con, {"a": "buy@0 visit@20", "b": "visit@1"}), gap="5 hours")
    assert added(add_count(log, "buy"), "count_ever_buy") == [1, 1, 0]
    assert added(add_count(log, "buy", scope="journey"), "count_ever_buy") == [1, 0, 0]


def test_several_touchpoints_count_as_one(con):
    log = add_first(log_of(con, PATH), ["ask", "buy"], when="after", columns="touchpoint")
    found = added(log, "first_after_ask_or_buy_touchpoint")
    assert found == ["buy", "ask", "buy", "buy", "buy", None]


def test_totals_skip_what_is_missing_and_are_zero_where_nothing_is_related(con):
    rows = rows_of({"a": "buy visit buy buy", "b": "visit"})
    for row, value in zip(rows, [0.1, 7.0, None, 0.2, 7.0], strict=True):
        row["value"] = value
    log = log_of(con, rows)
    ever = added(add_total(log, "buy"), "total_ever_buy_value")
    assert ever == pytest.approx([0.3, 0.3, 0.3, 0.3, 0])
    after = added(add_total(log, "buy", when="after"), "total_after_buy_value")
    assert after == pytest.approx([0.2, 0.2, 0.2, 0, 0])
    assert after[-2:] == [0, 0]


def test_a_log_without_events_of_the_touchpoint_left_gets_nulls(con):
    log = log_of(con, PATH)
    rows = add_first(keep_events(log, touchpoints=["visit", "buy"]), "buy", when="after")
    assert rows.events.count().to_pandas() == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: add_first(log, "by"), "no touchpoint 'by' in the log; did you mean 'buy'"),
        (lambda log: add_first(log, []), "no touchpoint is given"),
        (lambda log: add_first(log, "buy", when="befor"), "did you mean 'before'"),
        (lambda log: add_count(log, "buy", scope="journy"), "did you mean 'journey'"),
        (lambda log: add_last(log, "buy", columns="valu"), "no column 'valu' to add.*'value'"),
        (lambda log: add_nth(log, "buy", n=0), "n is 0, and must be at least 1"),
        (lambda log: add_nth(log, "buy", n=1, counted="evr"), "did you mean 'ever'"),
        (lambda log: add_count(log, "buy", name="step"), "has a column 'step' already"),
        (lambda log: add_first(log, "buy", prefix="next"), "has a column 'next_at' already"),
        (lambda log: add_total(log, "buy", column="channel"), "'channel' holds no numbers"),
    ],
)
def test_what_cannot_be_related_says_why(con, call, message):
    with pytest.raises(CxError, match=message):
        call(log_of(con, PATH))


# --- properties


def related_by_hand(rows, touchpoint, when):
    """Ids of the related events of each event, in order, in plain Python."""
    found = {}
    for events in paths_by_hand(rows).values():
        for here, event in enumerate(events):
            same = [later for later in range(here + 1, len(events))
                    if events[later]["touchpoint"] == event["touchpoint"]]  # fmt: skip
            stop = {"between": (same or [len(events)])[0], "before": here}.get(when, len(events))
            start = here + 1 if when in ("after", "between") else 0
            found[event["event_id"]] = [
                other["event_id"]
                for other in events[start:stop]
                if other["touchpoint"] == touchpoint
            ]
    return found


@few_examples
@given(rows=random_rows(), when=st.sampled_from(WHEN))
def test_relations_are_those_found_by_hand_and_add_no_rows(con, rows, when):
    touchpoint = rows[0]["touchpoint"]
    log = log_of(con, rows)
    for verb, prefix in [(add_first, "first"), (add_last, "last")]:
        log = verb(log, touchpoint, when=when, columns="event_id", prefix=prefix)
    log = add_nth(log, touchpoint, n=2, when=when, columns="event_id", prefix="second")
    log = add_count(log, touchpoint, when=when, name="times")
    found = events_of(log, "event_id", "first_event_id", "last_event_id", "second_event_id",
                      "times")  # fmt: skip
    by_hand = related_by_hand(rows, touchpoint, when)
    assert found == [
        (
            event,
            ids[0] if ids else None,
            ids[-1] if ids else None,
            ids[1] if len(ids) > 1 else None,
            len(ids),
        )
        for event, ids in sorted(by_hand.items())
    ]


@few_examples
@given(rows=random_rows(), when=st.sampled_from(WHEN))
def test_the_order_of_rows_does_not_matter_and_the_log_is_unchanged(con, rows, when):
    log, other = log_of(con, rows), log_of(con, rows[::-1])
    before = log.events.order_by("event_id").to_pandas()
    one, two = (add_first(each, rows[0]["touchpoint"], when=when) for each in (log, other))
    pd.testing.assert_frame_equal(
        one.events.order_by("event_id").to_pandas(), two.events.order_by("event_id").to_pandas()
    )
    pd.testing.assert_frame_equal(log.events.order_by("event_id").to_pandas(), before)
