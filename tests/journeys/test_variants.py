from collections import Counter
from itertools import groupby
from statistics import median

import pytest
from hypothesis import given

from cxlib import CxError, common_paths, keep_journeys
from tests.journeys.examples import example_log
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

PATHS = {
    "a": "visit ask buy@9",
    "b": "visit ask buy@4",
    "c": "visit visit ask buy",
    "d": "leave",
    "e": "visit ask@1430",
}


def listed(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_paths_are_ranked_with_share_and_coverage(con):
    frame = common_paths(log_of(con, PATHS))
    assert listed(frame, "rank", "path", "journeys", "n", "paths") == [
        (1, "visit -> ask -> buy", 2, 5, 4),
        (2, "leave", 1, 5, 4),
        (3, "visit -> ask", 1, 5, 4),
        (4, "visit -> visit -> ask -> buy", 1, 5, 4),
    ]
    assert frame["share"].to_list() == [0.4, 0.2, 0.2, 0.2]
    assert frame["coverage"].to_list() == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert frame["touchpoints"].iloc[1] == ("leave",)
    assert (frame["lower"] < frame["share"]).all()
    assert (frame["share"] < frame["upper"]).all()


def test_open_journeys_are_counted_and_have_no_duration(con):
    frame = common_paths(log_of(con, PATHS)).set_index("path")
    assert frame["open"].to_dict()["visit -> ask"] == 1
    assert frame["median_hours"].dropna().to_dict() == {
        "visit -> ask -> buy": 6.5,
        "leave": 0.0,
        "visit -> visit -> ask -> buy": 3.0,
    }


def test_a_path_beyond_the_steps_continues(con):
    frame = common_paths(log_of(con, PATHS), steps=2)
    assert listed(frame, "path", "continues", "journeys") == [
        ("visit -> ask", True, 2),
        ("leave", False, 1),
        ("visit -> ask", False, 1),
        ("visit -> visit", True, 1),
    ]


def test_loops_collapse_into_one(con):
    frame = common_paths(log_of(con, PATHS), loops="collapse")
    assert listed(frame, "path", "journeys")[0] == ("visit -> ask -> buy", 3)
    assert frame["paths"].iloc[0] == 3


def test_only_neighbours_collapse(con):
    frame = common_paths(log_of(con, {"a": "x x y x x x"}), loops="collapse")
    assert frame["path"].to_list() == ["x -> y -> x"]


def test_ties_are_cut_in_alphabetical_order(con):
    log = log_of(con, {"a": "b", "b": "a b", "c": "a", "d": "a c"})
    assert common_paths(log, top=3)["path"].to_list() == ["a", "a -> b", "a -> c"]
    assert common_paths(log, top=3)["coverage"].iloc[-1] == 0.75


def test_a_customer_with_two_journeys_counts_once(con):
    rows = rows_of({"a": "visit"}) + rows_of({"a": "visit@5"})
    rows = [row | {"event_id": str(i), "journey_id": f"j{i}"} for i, row in enumerate(rows)]
    frame = common_paths(log_of(con, rows))
    assert listed(frame, "journeys", "customers") == [(2, 1)]


def test_groups_are_those_of_the_first_event_and_a_missing_one_is_named(con):
    rows = rows_of({"a": "visit buy", "b": "visit"}, channel="web")
    rows += rows_of({"c": "visit"}, channel=None)
    rows[1]["channel"] = "app"
    frame = common_paths(log_of(con, rows), by="channel", top=1)
    assert listed(frame, "channel", "path", "journeys", "n", "paths") == [
        ("(none)", "visit", 1, 1, 1),
        ("web", "visit", 1, 2, 2),
    ]


def test_a_pattern_counts_only_journeys_that_follow_it(con):
    frame = common_paths(log_of(con, PATHS), pattern="^visit -> [^buy]* -> buy")
    assert listed(frame, "path", "journeys", "n") == [
        ("visit -> ask -> buy", 2, 3),
        ("visit -> visit -> ask -> buy", 1, 3),
    ]


def test_with_collapsed_loops_the_pattern_sees_the_collapsed_path(con):
    log = log_of(con, PATHS)
    frame = common_paths(log, pattern="^visit -> ask -> buy", loops="collapse")
    assert listed(frame, "path", "journeys", "n") == [("visit -> ask -> buy", 3, 3)]


def test_a_pattern_that_none_follows_gives_an_empty_frame(con):
    log = log_of(con, PATHS)
    frame = common_paths(log, pattern="buy -> visit")
    assert frame.empty
    assert list(frame) == list(common_paths(log))


def test_an_empty_log_gives_an_empty_frame(con):
    log = keep_journeys(log_of(con, PATHS), min_length=99)
    assert common_paths(log).empty
    assert list(common_paths(log, by="channel"))[:2] == ["channel", "rank"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0, and must be at least 1"),
        ({"top": -1}, "top is -1, and must be at least 1"),
        ({"loops": "collapsed"}, "no way with loops 'collapsed'; did you mean 'collapse'"),
        ({"pattern": "visit -> ->"}, "cannot be read at position 10"),
        ({"pattern": "buys"}, "no touchpoint 'buys' in the log; did you mean 'buy'"),
        ({"by": "chanel"}, "no column 'chanel' to group by; did you mean 'channel'"),
        ({"by": "path"}, "no column 'path'"),
    ],
)
def test_bad_input_is_named(con, options, message):
    with pytest.raises(CxError, match=message):
        common_paths(log_of(con, PATHS), **options)


@few_examples
@given(rows=random_rows())
def test_paths_agree_with_a_count_by_hand_and_with_their_own_text(con, rows):
    log = log_of(con, rows)
    paths = [tuple(row["touchpoint"] for row in events) for events in paths_by_hand(rows).values()]
    short = [tuple(name for name, _ in groupby(path)) for path in paths]
    for loops, of in (("keep", paths), ("collapse", short)):
        frame = common_paths(log, steps=3, top=4, loops=loops)
        counts = Counter((path[:3], len(path) > 3) for path in of)
        expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:4]
        found = zip(frame["touchpoints"], frame["continues"], frame["journeys"], strict=True)
        assert [((path, more), n) for path, more, n in found] == expected
    text, n = common_paths(log, steps=99).loc[0, ["path", "journeys"]]
    assert common_paths(log, steps=99, pattern=f"^{text}$")["journeys"].to_list() == [n]


def test_hours_are_the_median_over_ended_journeys(con):
    waits = [1, 2, 4, 30]
    log = log_of(con, {str(n): f"visit@0 buy@{n}" for n in waits})
    assert common_paths(log)["median_hours"].to_list() == [median(waits)]


@pytest.mark.parametrize(
    ("example", "variants", "collapsed", "counts"),
    [
        ("helpdesk", 226, 106, [2366, 552, 228, 213, 164, 109]),
        ("receipt", 116, 115, [713, 123, 116, 115, 75, 40]),
    ],
)
def test_variants_are_those_of_pm4py(shared, example, variants, collapsed, counts):
    """Counts of pm4py 2.7.23 ``get_variants`` on the same files, runs collapsed with itertools."""
    log = example_log(example, shared)
    frame = common_paths(log, steps=999, top=6)
    assert frame["journeys"].to_list() == counts
    assert set(frame["paths"]) == {variants}
    assert set(common_paths(log, steps=999, loops="collapse")["paths"]) == {collapsed}


def test_journeys_that_follow_are_those_of_pm4py(shared):
    """Cases that pm4py 2.7.23 ``filter_eventually_follows_relation`` retains."""
    log = example_log("helpdesk", shared)
    frame = common_paths(log, pattern="Take in charge ticket -> * -> Wait")
    assert set(frame["n"]) == {1177}
