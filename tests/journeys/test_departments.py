import math
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import (
    CxError,
    WorkingHours,
    add_handoffs,
    handoffs,
    handoffs_per_journey,
    keep_events,
    ping_pong,
)
from tests.journeys.logs import DAY_ONE, few_examples, log_of, random_rows

DESKS = {"D": "desk", "F": "field", "B": "billing", "-": None}
KINDS = {"ask": "desk", "visit": "field", "buy": "billing", "leave": None}


def rows_of_departments(**customers: str):
    """Events of customers: "D F@3=0.5 -" is at the desk, in the field at hour 3 with a score."""
    rows = []
    for customer, path in customers.items():
        hour = -1.0
        for position, word in enumerate(path.split()):
            word, _, score = word.partition("=")
            letter, _, at = word.partition("@")
            hour = float(at) if at else hour + 1
            rows.append(
                {
                    "event_id": f"{customer}-{position:02}",
                    "customer_id": customer,
                    "occurred_at": DAY_ONE + timedelta(hours=hour),
                    "touchpoint": f"met_{letter}" if letter in DESKS else letter,
                    "department": DESKS.get(letter),
                    "sentiment": float(score) if score else None,
                }
            )
    return rows


def pairs_of(frame: pd.DataFrame, *columns: str) -> dict:
    """{("desk", "field"): (…)}"""
    values = frame[list(columns)].itertuples(index=False, name=None)
    keys = frame[["from_department", "to_department"]].itertuples(index=False, name=None)
    found = {key: value[0] if len(columns) == 1 else value
             for key, value in zip(keys, values, strict=True)}  # fmt: skip
    return found


def test_a_handoff_is_a_change_of_department_between_consecutive_events(con):
    log = log_of(con, rows_of_departments(a="D D@2 F@5 F B", b="D F@3"))
    frame = handoffs(log)
    counted = pairs_of(frame, "handoffs", "customers", "journeys", "share", "median_wait_hours")
    assert counted == {
        ("desk", "field"): (2, 2, 2, 2 / 3, 3.0),
        ("field", "billing"): (1, 1, 1, 1 / 3, 1.0),
    }


def test_events_without_a_department_are_passed_over_or_break_or_count(con):
    log = log_of(con, rows_of_departments(a="D - F@4 - F"))
    assert pairs_of(handoffs(log), "handoffs", "median_wait_hours") == {("desk", "field"): (1, 4.0)}
    assert handoffs(log, missing="break").empty
    grouped = pairs_of(handoffs(log, missing="group"), "handoffs")
    assert grouped == {("desk", "(none)"): 1, ("(none)", "field"): 2, ("field", "(none)"): 1}


def test_departments_that_do_not_count_are_passed_over(con):
    log = log_of(con, rows_of_departments(a="D B F"))
    frame = handoffs(log, departments=["desk", "field"])
    assert pairs_of(frame, "handoffs", "median_wait_hours") == {("desk", "field"): (1, 2.0)}


def test_what_follows_a_handoff_is_a_return_another_one_the_end_or_not_known_yet(con):
    rows = rows_of_departments(a="D F D", b="D F B", c="D F", d="D@1416 F@1430")
    frame = handoffs(log_of(con, rows))
    columns = ("returned", "handed_on", "ended", "open", "n", "return_rate", "end_rate")
    assert pairs_of(frame, *columns)["desk", "field"] == (1, 1, 1, 1, 3, 1 / 3, 1 / 3)
    assert pairs_of(frame, *columns)["field", "desk"] == (0, 0, 1, 0, 1, 0.0, 1.0)


def test_sentiment_is_the_last_score_before_and_the_first_one_after(con):
    rows = rows_of_departments(a="D=0.2 D=0.4 F -=-0.2 F=0.9", b="D=0.6 F=-0.4", c="D F=0.0")
    row = handoffs(log_of(con, rows)).iloc[0]
    assert (row.n_before, row.n_after, row.n_change) == (2, 3, 2)
    assert row.sentiment_before == pytest.approx(0.5)
    assert row.sentiment_after == pytest.approx(-0.2)
    assert row.sentiment_change == pytest.approx((-0.6 - 1.0) / 2)
    # t with 1 degree of freedom: 12.706 standard errors.
    assert row.change_lower == pytest.approx(-0.8 - 12.7062 * 0.2, abs=1e-4)


def test_without_scores_sentiment_is_not_known_and_says_so(con):
    row = handoffs(log_of(con, rows_of_departments(a="D F"))).iloc[0]
    assert (row.n_before, row.n_after, row.n_change) == (0, 0, 0)
    assert math.isnan(row.sentiment_after)
    assert math.isnan(row.after_lower)


def test_an_outcome_counts_when_it_comes_in_time_and_its_window_was_over(con):
    rows = rows_of_departments(
        a="D F leave@47",  # in time
        b="D F leave@50",  # an hour late
        c="D F",  # never
        d="D@1416 F@1420 leave@1421",  # the window is not over: not counted though it came
    )
    log = log_of(con, rows)
    row = handoffs(log, outcome="leave", within="46 hours").iloc[0]
    assert (row.handoffs, row.outcome_n, row.outcomes) == (4, 3, 1)
    assert row.outcome_rate == pytest.approx(1 / 3)
    assert row.outcome_lower < 1 / 3 < row.outcome_upper


def test_an_outcome_may_stand_in_another_log_and_is_no_outcome_of_itself(con):
    log = log_of(con, rows_of_departments(a="D F leave", b="D F"))
    tickets = keep_events(log, touchpoints=["met_D", "met_F"])
    row = handoffs(tickets, outcome="leave", within="9 days", history=log).iloc[0]
    assert (row.outcome_n, row.outcomes) == (2, 1)
    reached = handoffs(tickets, outcome="met_F", within="9 days").iloc[0]
    assert (reached.outcome_n, reached.outcomes) == (0, 0)
    assert math.isnan(reached.outcome_rate)


def test_waits_in_working_hours_leave_out_nights_and_weekends(con):
    # 1 January 2024 was a Monday; from Friday 16:00 to Monday 10:00 two hours are worked.
    log = log_of(con, rows_of_departments(a="D@112 F@178", b="D@9 F@12"))
    frame = handoffs(log, calendar=WorkingHours())
    assert frame.median_wait_hours.to_list() == [34.5]
    assert frame.median_working_hours.to_list() == [2.5]
    assert list(frame.columns).index("median_working_hours") == 8


def test_ping_pong_counts_returns_and_the_time_away(con):
    log = log_of(con, rows_of_departments(a="D F@2 D@9 F@10", b="D F"))
    columns = ("n", "returned", "return_rate", "customers", "median_away_hours")
    found = pairs_of(ping_pong(log), *columns)
    assert found["desk", "field"] == (3, 1, 1 / 3, 1, 9.0)
    assert found["field", "desk"] == (1, 1, 1.0, 1, 8.0)
    worked = ping_pong(log, calendar=WorkingHours())
    assert worked.median_away_working_hours.to_list() == [0.0, 1.0]


def test_journeys_are_counted_by_their_number_of_handoffs(con):
    rows = rows_of_departments(
        a="D F D B=0.5", b="D D", c="D F=-0.5", d="D F -=0.5", e="- -", f="D@1416 F@1430"
    )
    frame = handoffs_per_journey(log_of(con, rows), most=2)
    columns = ["label", "journeys", "open", "n_sentiment", "median_length_hours"]
    assert frame[columns].to_numpy().tolist() == [
        ["0", 1, 0, 0, 1.0],
        ["1", 2, 1, 2, 1.5],
        ["2 or more", 1, 0, 1, 3.0],
    ]
    assert frame.sentiment[1:].to_list() == [0.0, 0.5]
    assert frame.share.to_list() == [0.25, 0.5, 0.25]


def test_the_outcome_of_a_journey_is_looked_for_after_its_last_event(con):
    log = log_of(con, rows_of_departments(a="D F leave@20", b="D F", c="D D leave@900"))
    tickets = keep_events(log, touchpoints=["met_D", "met_F"])
    frame = handoffs_per_journey(tickets, outcome="leave", within="9 days", history=log)
    columns = ["handoffs", "outcome_n", "outcomes", "outcome_rate"]
    assert frame[columns].to_numpy().tolist() == [[0, 1, 0, 0.0], [1, 2, 1, 0.5]]


def test_the_verb_adds_columns_and_no_rows(con):
    log = log_of(con, rows_of_departments(a="D - F D", b="- D"))
    events = add_handoffs(log).events.order_by("event_id").to_pandas()
    assert events.handoffs.to_list() == [0, 0, 1, 2, 0, 0]
    assert events.handed_from.where(events.handed_from.notna(), None).to_list() == [
        *(None, None, "desk", "field"),
        *(None, None),
    ]
    assert "handoffs" not in log.events.columns


def test_groups_add_up_to_the_whole(con):
    rows = [row | {"plan": row["customer_id"]} for row in rows_of_departments(a="D F D", b="D F")]
    frame = handoffs(log_of(con, rows), by="plan")
    assert frame[["plan", "from_department", "handoffs", "share"]].to_numpy().tolist() == [
        ["a", "desk", 1, 0.5],
        ["a", "field", 1, 0.5],
        ["b", "desk", 1, 1.0],
    ]


def test_one_event_one_department_and_an_empty_log_give_empty_frames(con):
    log = log_of(con, rows_of_departments(a="D", b="F F"))
    for measure in (handoffs, ping_pong):
        frame = measure(log)
        assert frame.empty
        assert "return_rate" in frame
    none = keep_events(log, where={"touchpoint": "nothing"})
    options = {"calendar": WorkingHours(), "outcome": ["met_D"], "within": "1 day"}
    assert handoffs(none, history=log, **options).empty
    assert handoffs_per_journey(none).empty


def test_a_log_without_departments_says_what_to_do(con):
    log = log_of(con, [row | {"department": None} for row in rows_of_departments(a="D F")])
    with pytest.raises(CxError, match=r"no event of the log has a department.*set the column"):
        handoffs(log)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"departments": "desks"}, "no department 'desks' in the log; did you mean 'desk'"),
        ({"missing": "skp"}, "treat a missing department 'skp'; did you mean 'skip'"),
        ({"outcome": "met_D"}, "the outcome 'met_D' has no span; give within='90 days'"),
        ({"outcome": "met_d", "within": "1 day"}, "no touchpoint 'met_d' in the log"),
        ({"outcome": "met_D", "within": 3}, "the span 3 has no unit"),
        ({"by": "chanel"}, "no column 'chanel' to group by; did you mean 'channel'"),
    ],
)
def test_bad_input_says_how_to_mend_it(con, options, message):
    with pytest.raises(CxError, match=message):
        handoffs(log_of(con, rows_of_departments(a="D F")), **options)


def test_other_bad_input_says_how_to_mend_it(con):
    log = log_of(con, rows_of_departments(a="D F"))
    with pytest.raises(CxError, match="most is 0, and must be at least 1"):
        handoffs_per_journey(log, most=0)
    with pytest.raises(CxError, match="the log has a column 'handoffs' already"):
        add_handoffs(add_handoffs(log))


@given(rows=random_rows(), seed=st.integers(0, 3))
@few_examples
def test_a_recount_by_hand_gives_the_same(con, rows, seed):
    rows = [
        row | {"department": KINDS[row["touchpoint"]], "sentiment": _score(row, seed)}
        for row in rows
    ]
    if not any(row["department"] for row in rows):
        return
    log = log_of(con, rows)
    frame = handoffs(log, outcome="leave", within="5 hours") if _has_leave(rows) else handoffs(log)
    expected = by_hand(rows)
    assert pairs_of(frame, "handoffs") == {key: len(found) for key, found in expected.items()}
    for row in frame.itertuples():
        found = expected[row.from_department, row.to_department]
        sequels = Counter(one["sequel"] for one in found)
        assert (row.returned, row.handed_on, row.ended) == (
            sequels["returned"], sequels["handed_on"], sequels["ended"])  # fmt: skip
        assert row.median_wait_hours == pytest.approx(
            pd.Series([o["wait"] for o in found]).median()
        )
        for name in ("before", "after", "change"):
            scores = [one[name] for one in found if one[name] is not None]
            assert getattr(row, f"n_{name}") == len(scores)
            if scores:
                mean = sum(scores) / len(scores)
                assert getattr(row, f"sentiment_{name}") == pytest.approx(mean)
        if _has_leave(rows):
            assert row.outcomes == sum(one["left"] for one in found)
    assert frame.handoffs.sum() == handoffs_in(add_handoffs(log))


def _score(row, seed):
    number = int(row["event_id"]) + seed
    return (number % 5 - 2) / 2 if number % 3 == 0 else None


def _has_leave(rows):
    return any(row["touchpoint"] == "leave" for row in rows)


def handoffs_in(log) -> int:
    events = log.events.to_pandas()
    return int(events.groupby("journey_id").handoffs.max().sum())


def by_hand(rows) -> dict:
    """Handoffs of each pair, in plain Python: one journey per customer, all of them over."""
    customers = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"])):
        customers[row["customer_id"]].append(row)
    found = defaultdict(list)
    for path in customers.values():
        known = [place for place, row in enumerate(path) if row["department"]]
        moves = [(i, j) for i, j in pairwise(known)
                 if path[i]["department"] != path[j]["department"]]  # fmt: skip
        for at, (i, j) in enumerate(moves):
            pair = (path[i]["department"], path[j]["department"])
            after = moves[at + 1] if at + 1 < len(moves) else None
            sequel = "ended"
            if after:
                goal = path[after[1]]["department"]
                sequel = "returned" if goal == pair[0] else "handed_on"
            before = [row["sentiment"] for row in path[: i + 1] if row["sentiment"] is not None]
            later = [row["sentiment"] for row in path[j:] if row["sentiment"] is not None]
            left = [row["occurred_at"] - path[j]["occurred_at"] for row in path[j + 1 :]
                    if row["touchpoint"] == "leave"]  # fmt: skip
            one = {
                "wait": (path[j]["occurred_at"] - path[i]["occurred_at"]) / timedelta(hours=1),
                "sequel": sequel,
                "before": before[-1] if before else None,
                "after": later[0] if later else None,
                "left": bool(left) and left[0] <= timedelta(hours=5),
            }
            both = one["before"] is not None and one["after"] is not None
            one["change"] = one["after"] - one["before"] if both else None
            found[pair].append(one)
    return dict(found)
