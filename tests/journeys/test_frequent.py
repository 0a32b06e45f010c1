from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import CxError, keep_journeys, subsequences
from tests.journeys.examples import example_log
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

PATHS = {"a": "visit ask buy", "b": "visit ask visit ask", "c": "visit leave buy", "d": "buy"}


def listed(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_a_journey_counts_once_and_its_occurrences_all(con):
    frame = subsequences(log_of(con, PATHS), length=2)
    assert listed(frame, "rank", "sequence", "journeys", "occurrences", "n") == [
        (1, "visit -> ask", 2, 3, 4),
        (2, "ask -> buy", 1, 1, 4),
        (3, "ask -> visit", 1, 1, 4),
        (4, "leave -> buy", 1, 1, 4),
        (5, "visit -> leave", 1, 1, 4),
    ]
    assert frame["share"].to_list() == [0.5, 0.25, 0.25, 0.25, 0.25]
    assert frame["touchpoints"].iloc[0] == ("visit", "ask")
    assert (frame["lower"] < frame["share"]).all()


def test_gaps_may_be_bounded_or_of_any_size(con):
    log = log_of(con, {"a": "visit x buy", "b": "visit x x buy", "c": "visit buy"})
    buys = {
        gap: subsequences(log, length=2, max_gap=gap)
        .set_index("touchpoints")
        .loc[[("visit", "buy")], ["sequence", "journeys"]]
        .values.tolist()
        for gap in (0, 1, None)
    }
    assert buys == {
        0: [["visit -> buy", 1]],
        1: [["visit -> .? -> buy", 2]],
        None: [["visit -> * -> buy", 3]],
    }


@pytest.mark.parametrize("max_gap", [1, None])
def test_an_occurrence_is_an_event_that_completes_it(con, max_gap):
    log = log_of(con, {"a": "x x y", "b": "x y y"})
    frame = subsequences(log, length=2, max_gap=max_gap).set_index("touchpoints")
    assert frame.loc[[("x", "y")], ["journeys", "occurrences"]].values.tolist() == [[2, 3]]


def test_rare_subsequences_are_left_out(con):
    frame = subsequences(log_of(con, PATHS), length=2, min_share=0.5)
    assert frame["sequence"].to_list() == ["visit -> ask"]


def test_a_share_of_exactly_the_smallest_one_stays(con):
    log = log_of(con, {str(n): "x y" if n < 3 else "z" for n in range(10)})
    assert subsequences(log, length=2, min_share=0.3)["journeys"].to_list() == [3]


def test_groups_are_counted_apart(con):
    rows = rows_of({"a": "visit buy", "b": "visit ask"}, channel="web")
    rows += rows_of({"c": "visit buy"}, channel=None)
    frame = subsequences(log_of(con, rows), length=2, by="channel")
    assert listed(frame, "channel", "sequence", "journeys", "n") == [
        ("(none)", "visit -> buy", 1, 1),
        ("web", "visit -> ask", 1, 2),
        ("web", "visit -> buy", 1, 2),
    ]


def test_no_journey_long_enough_gives_an_empty_frame(con):
    log = log_of(con, {"a": "visit", "b": "buy"})
    for gap in (0, 2, None):
        assert subsequences(log, length=2, max_gap=gap).empty
    none = keep_journeys(log, min_length=9)
    assert list(subsequences(none, by="channel"))[:2] == ["channel", "rank"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length is 0, and must be at least 1"),
        ({"max_gap": -1}, "max_gap is -1, and must be at least 0"),
        ({"top": 0}, "top is 0, and must be at least 1"),
        ({"min_share": 0}, "min_share is 0, and must lie above 0 and not above 1"),
        ({"min_share": 5}, "min_share is 5, and must lie above 0"),
        ({"length": 32}, "4 touchpoints are frequent, too many to count subsequences of 32"),
        ({"by": "chanel"}, "no column 'chanel' to group by; did you mean 'channel'"),
    ],
)
def test_bad_input_is_named(con, options, message):
    with pytest.raises(CxError, match=message):
        subsequences(log_of(con, PATHS), **options)


def ends_by_hand(path, length, max_gap):
    """Where each subsequence is completed, over all ways to pick touchpoints from a path."""
    found = {}
    for places in combinations(range(len(path)), length):
        gaps = [after - before - 1 for before, after in pairwise(places)]
        if max_gap is None or all(gap <= max_gap for gap in gaps):
            found.setdefault(tuple(path[place] for place in places), set()).add(places[-1])
    return found


@few_examples
@given(rows=random_rows(), length=st.integers(1, 3), max_gap=st.sampled_from([0, 1, 2, None]))
def test_counts_agree_with_all_ways_by_hand_and_with_the_pattern(con, rows, length, max_gap):
    log = log_of(con, rows)
    paths = [[row["touchpoint"] for row in events] for events in paths_by_hand(rows).values()]
    expected = {}
    for path in paths:
        for sequence, ends in ends_by_hand(path, length, max_gap).items():
            journeys, occurrences = expected.get(sequence, (0, 0))
            expected[sequence] = (journeys + 1, occurrences + len(ends))
    frame = subsequences(log, length=length, max_gap=max_gap, min_share=0.3, top=999)
    kept = {key: n for key, n in expected.items() if n[0] / len(paths) >= 0.3}
    found = zip(frame["journeys"], frame["occurrences"], strict=True)
    assert dict(zip(frame["touchpoints"], found, strict=True)) == kept
    order = sorted(kept, key=lambda key: (-kept[key][0], key))
    assert frame["touchpoints"].to_list() == order
    for sequence, n in listed(frame.head(1), "sequence", "journeys"):
        assert keep_journeys(log, matching=sequence).journeys.count().to_pandas() == n


@pytest.mark.parametrize(
    ("example", "counts"),
    [("helpdesk", [3281, 2910, 1063, 737]), ("receipt", [1005, 888, 789, 760])],
)
def test_threes_are_those_of_the_variants_of_pm4py(shared, example, counts):
    """Counted in plain Python over the variants of pm4py 2.7.23 ``get_variants``."""
    frame = subsequences(example_log(example, shared), length=3, top=4)
    assert frame["journeys"].to_list() == counts


def test_eventually_follows_is_that_of_pm4py(shared):
    """Cases that pm4py 2.7.23 ``filter_eventually_follows_relation`` retains."""
    log = example_log("helpdesk", shared)
    frame = subsequences(log, length=2, max_gap=None).set_index("sequence")
    assert frame.loc["Take in charge ticket -> * -> Wait", "journeys"] == 1177
