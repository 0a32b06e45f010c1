import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta

import pytest
from hypothesis import given

from cxlib import CxError, escalation, keep_events, repeat_contact
from tests.journeys.logs import few_examples, log_of, random_rows, rows_of

SEARCH = {"self_service": "search", "human": "call"}
SIDES = {"self_service": ["search", "chat"], "human": ["call"]}


def results_of(frame, *columns):
    values = frame[list(columns)].itertuples(index=False, name=None)
    return dict(zip(frame["result"], values, strict=True))


def test_a_contact_is_repeated_when_the_next_one_comes_in_time(con):
    log = log_of(con, {"a": "call@0 call@24 call@24", "b": "call@0 call@100", "c": "visit"})
    row = repeat_contact(log, contacts="call", within="2 days").iloc[0]
    assert (row.reason, row.contacts, row.n, row.repeats, row.customers) == ("call", 5, 5, 2, 1)
    assert row.repeat_rate == pytest.approx(0.4)
    assert row.median_days_to_repeat == 0.5


def test_only_the_same_reason_is_a_repeat(con):
    rows = rows_of({"a": "call@0 call@1 chat@2"})
    for row, topic in zip(rows, ["bill", "line", "bill"], strict=True):
        row["topic"] = topic
    log = log_of(con, rows)
    frame = repeat_contact(log, contacts=["call", "chat"], within="1 day", reason="topic")
    assert frame[["reason", "n", "repeats"]].to_numpy().tolist() == [["bill", 2, 1], ["line", 1, 0]]
    frame = repeat_contact(log, contacts=["call", "chat"], within="1 day")
    assert frame[["reason", "n", "repeats"]].to_numpy().tolist() == [["call", 2, 1], ["chat", 1, 0]]


def test_a_contact_whose_window_is_open_is_in_no_rate(con):
    log = log_of(con, {"a": "call@0 call@1", "b": "call@90"}, observed_until=datetime(2024, 1, 5))
    row = repeat_contact(log, contacts="call", within="1 day").iloc[0]
    assert (row.contacts, row.open, row.n, row.repeats) == (3, 1, 2, 1)
    # 72 hours is the last start of a window of a day that is over after 96 hours.
    log = log_of(con, {"a": "call@72"}, observed_until=datetime(2024, 1, 5))
    assert repeat_contact(log, contacts="call", within="1 day").n.to_list() == [1]


def test_contacts_without_a_reason_are_shown_and_in_no_rate(con):
    rows = rows_of({"a": "call@0 call@1"}, topic=None)
    frame = repeat_contact(log_of(con, rows), contacts="call", within="1 day", reason="topic")
    row = frame.iloc[0]
    assert (row.reason, row.contacts, row.open, row.n, row.repeats) == ("(none)", 2, 0, 0, 0)
    assert math.isnan(row.repeat_rate)


def test_repeats_of_groups_add_up(con):
    rows = rows_of({"a": "call@0 call@1"}, plan="pro") + rows_of({"b": "call@0"}, plan="basic")
    log = log_of(con, rows)
    frame = repeat_contact(log, contacts="call", within="1 day", by="plan")
    assert frame[["plan", "n", "repeats"]].to_numpy().tolist() == [["basic", 1, 0], ["pro", 2, 1]]


def test_self_service_ends_with_a_human_or_without_one(con):
    log = log_of(con, {"a": "search chat visit call", "b": "search chat", "c": "call search"})
    frame = escalation(log, **SIDES, within="1 day")
    assert results_of(frame, "attempts", "n", "open", "share", "customers") == {
        "escalated": (1, 3, 0, 1 / 3, 1),
        "deflected": (2, 3, 0, 2 / 3, 2),
    }
    assert frame.median_wait_hours[0] == 2.0
    assert math.isnan(frame.median_wait_hours[1])
    assert frame.lower[1] == pytest.approx(0.2077, abs=1e-4)  # Wilson, 2 of 3


def test_a_silence_longer_than_the_window_ends_the_attempt(con):
    log = log_of(con, {"a": "search@0 search@10 call@34", "b": "search@0 search@25 call@50"})
    assert results_of(escalation(log, **SEARCH, within="1 day"), "attempts") == {
        "escalated": (1,),
        "deflected": (2,),
    }


def test_attempts_whose_window_is_open_are_in_no_rate(con):
    until = datetime(2024, 1, 5)
    log = log_of(con, {"a": "search@0", "b": "search@80 call@81", "c": "chat@90"}, until)
    frame = escalation(log, **SIDES, within="1 day")
    assert results_of(frame, "attempts", "n", "open") == {
        "escalated": (0, 1, 2),
        "deflected": (1, 1, 2),
    }


def test_repeats_count_from_the_human_or_from_the_end_of_the_window(con):
    paths = {
        "a": "search@0 call@5 call@20",  # back 15 hours after the call
        "b": "search@0 call@5 call@40",  # back 35 hours after it
        "c": "search@0 search@40",  # back 16 hours after the window of 24
        "d": "search@0",
    }
    frame = escalation(log_of(con, paths), **SEARCH, within="1 day", repeat_within="16 hours")
    # The second search of c is an attempt of its own, and not repeated.
    assert results_of(frame, "repeat_n", "repeats") == {"escalated": (2, 1), "deflected": (3, 1)}


def test_an_outcome_is_looked_for_after_the_last_step(con):
    log = log_of(con, {"a": "search call leave", "b": "search", "c": "search leave@50"})
    frame = escalation(log, **SEARCH, within="1 day",
                       outcome="leave", outcome_within="2 days")  # fmt: skip
    assert results_of(frame, "outcome_n", "outcomes") == {"escalated": (1, 1), "deflected": (2, 0)}


def test_sides_may_be_channels_and_groups_have_both_results(con):
    rows = rows_of({"a": "x y"}, channel="web") + rows_of({"b": "x@2"}, channel="phone")
    rows += [
        row | {"customer_id": "a", "event_id": "z"}
        for row in rows_of({"b": "w@5"}, channel="phone")
    ]
    log = log_of(con, rows)
    frame = escalation(
        log, self_service="web", human="phone", column="channel", within="1 day", by="touchpoint"
    )
    columns = ["touchpoint", "result", "attempts", "n", "open"]
    assert frame[columns].to_numpy().tolist() == [
        ["y", "escalated", 1, 1, 0],
        ["y", "deflected", 0, 1, 0],
    ]


def test_an_empty_log_gives_an_empty_frame(con):
    log = log_of(con, {"a": "search call"})
    none = keep_events(log, until="2023-01-01")
    with pytest.raises(CxError, match="no touchpoint 'search' in the log; there are none"):
        escalation(none, **SIDES, within="1 day")
    only = log_of(con, {"a": "search call", "b": "chat"})
    only = keep_events(only, where={"customer_id": "b"})
    with pytest.raises(CxError, match="no touchpoint 'search' in the log; there are 'chat'"):
        escalation(only, **SIDES, within="1 day")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_service": "serch"}, "no touchpoint 'serch' in the log; did you mean 'search'"),
        ({"human": ["call", "search"]}, "'search' is given as self-service and as human"),
        ({"human": []}, "human is empty; name at least one touchpoint"),
        ({"column": "chanel"}, "no column 'chanel' in the log; did you mean 'channel'"),
        ({"within": 2}, "the span 2 has no unit"),
        ({"outcome": "call"}, "the outcome 'call' has no span"),
    ],
)
def test_bad_input_says_how_to_mend_it(con, options, message):
    log = log_of(con, {"a": "search chat call"})
    with pytest.raises(CxError, match=message):
        escalation(log, **{**SIDES, "within": "1 day", **options})


def test_contacts_must_be_named(con):
    log = log_of(con, {"a": "call"})
    with pytest.raises(CxError, match="no touchpoint is a contact; name them"):
        repeat_contact(log, contacts=[], within="1 day")
    with pytest.raises(CxError, match="no touchpoint 'cal' in the log; did you mean 'call'"):
        repeat_contact(log, contacts="cal", within="1 day")


@given(rows=random_rows())
@few_examples
def test_a_recount_by_hand_gives_the_same(con, rows):
    until, span = datetime(2024, 1, 1, 20), timedelta(hours=3)
    if not {"ask", "buy", "visit"} <= {row["touchpoint"] for row in rows}:
        return
    log = log_of(con, rows, until)
    frame = escalation(log, self_service=["ask", "visit"], human="buy", within=span)
    counts = Counter(attempts_by_hand(rows, until, span))
    assert results_of(frame, "attempts", "open") == {
        "escalated": (counts["escalated"], counts["open"]),
        "deflected": (counts["deflected"], counts["open"]),
    }
    frame = repeat_contact(log, contacts=["ask", "visit"], within=span)
    found = {row.reason: (row.contacts, row.n, row.repeats) for row in frame.itertuples()}
    assert found == repeats_by_hand(rows, until, span)


def in_order(rows, *names):
    """Events of these touchpoints per customer."""
    customers = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"])):
        if row["touchpoint"] in names:
            customers[row["customer_id"]].append(row)
    return customers.values()


def attempts_by_hand(rows, until, span):
    for path in in_order(rows, "ask", "visit", "buy"):
        last = None  # the last step of the run that goes on
        for row in [*path, None]:
            late = row is None or (last and row["occurred_at"] - last > span)
            if last and (late or row["touchpoint"] == "buy"):
                yield "open" if last + span > until else ("deflected" if late else "escalated")
                last = None
            if row and row["touchpoint"] != "buy":
                last = row["occurred_at"]


def repeats_by_hand(rows, until, span):
    found = defaultdict(lambda: [0, 0, 0])
    for reason in ("ask", "visit"):
        for path in in_order(rows, reason):
            times = [row["occurred_at"] for row in path]
            for place, at in enumerate(times):
                over = at + span <= until
                again = over and any(later - at <= span for later in times[place + 1 :])
                for part, value in enumerate((1, over, again)):
                    found[reason][part] += value
    return {reason: tuple(counts) for reason, counts in found.items()}
