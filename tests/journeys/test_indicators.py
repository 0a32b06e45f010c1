import math
from collections import Counter
from itertools import combinations, groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib import CxError, add_indicators, keep_events, keep_journeys, sequence_indicators
from cxlib.journeys.indicators import _measure_path, _subsequences
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

NAMES = ["entropy", "complexity", "turbulence", "volatility"]
ORDER = {"good": 0.0, "fair": 0.5, "poor": 1.0}


def means_of(frame):
    return dict(zip(frame["indicator"], frame["mean"], strict=True))


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("0", 2),
        ("01", 4),
        ("0101", 12),
        ("0110", 11),
        ("01010", 20),
        ("010101", 33),
        ("011001", 28),
    ],
)
def test_distinct_subsequences_are_as_published(word, count):
    """FindStat, statistic St000518, the number of distinct subsequences in a binary word."""
    assert _subsequences(word) == count


def test_an_alternating_word_has_as_many_subsequences_as_fibonacci_says():
    """Flaxman, Harrow and Sorkin (2004): the word 0101… of n letters has Fib(n + 3) - 1."""
    fibonacci = [1, 1]
    while len(fibonacci) < 60:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    for n in (1, 7, 20, 50):
        assert _subsequences("01" * (n // 2) + "0" * (n % 2)) == fibonacci[n + 2] - 1


@given(st.text("abcd", min_size=1, max_size=9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_published_formulas_give_the_same(path):
    found = _measure_path(tuple(path), 4, {})
    shares = np.array(list(Counter(path).values())) / len(path)
    spells = [(value, len(list(run))) for value, run in groupby(path)]
    states, lengths = "".join(v for v, _ in spells), np.array([n for _, n in spells])
    subsequences = {
        picked for size in range(len(states) + 1) for picked in combinations(states, size)
    }
    most = (len(states) - 1) * (1 - lengths.mean()) ** 2
    changes = sum(a != b for a, b in pairwise(path)) / max(len(path) - 1, 1)
    entropy = -(shares * np.log(shares)).sum() / np.log(4)
    assert found["entropy"] == pytest.approx(entropy)
    assert found["complexity"] == pytest.approx(math.sqrt(max(entropy, 0) * changes))
    turbulence = math.log2(len(subsequences) * (most + 1) / (lengths.var() + 1))
    assert found["turbulence"] == pytest.approx(turbulence)
    assert found["volatility"] == pytest.approx(((len(shares) - 1) / 3 + changes) / 2)


def test_the_bounds_are_reached_where_the_papers_say():
    """Gabadinho et al. (2010): complexity is 0 for one state, 1 where all change and all equal."""
    still = _measure_path(("a",) * 6, 3, {})
    assert still == {"entropy": 0.0, "complexity": 0.0, "turbulence": 1.0, "volatility": 0.0}
    busy = _measure_path(("a", "b", "c") * 2, 3, {})
    assert [busy[name] for name in ("entropy", "complexity", "volatility")] == pytest.approx(
        [1] * 3
    )


def test_going_down_is_more_precarious_than_going_up():
    """Ritschard, Bussi and O'Reilly (2018), by hand: the complexity of both is the same."""
    down = _measure_path(("good", "poor"), 3, ORDER)
    rise = _measure_path(("poor", "good"), 3, ORDER)
    both = math.sqrt(math.log(2) / math.log(3))
    assert down["precarity"] == pytest.approx(0.8 * 2**1.2 * both)
    assert rise["precarity"] == pytest.approx(0.2)
    there_and_back = _measure_path(("good", "poor", "good"), 3, ORDER)
    assert there_and_back["precarity"] == pytest.approx(0.8 * there_and_back["complexity"])


def test_values_without_a_rank_are_passed_over_by_precarity():
    down = _measure_path(("other", "good", "other", "poor"), 4, ORDER)
    assert down["precarity"] == pytest.approx(0.8 * 2**1.2 * down["complexity"])
    assert math.isnan(_measure_path(("other",), 4, ORDER)["precarity"])


def test_journeys_are_averaged_and_their_quantiles_are_values_of_journeys(con):
    log = log_of(con, {"a": "visit buy", "b": "visit visit", "c": "visit", "d": "buy@1430"})
    frame = sequence_indicators(log)
    assert frame.indicator.to_list() == NAMES
    row = frame[frame.indicator == "entropy"].iloc[0]
    assert (row.journeys, row.open, row.n) == (4, 1, 4)
    assert (row["mean"], row["median"], row.p90) == (0.25, 0.0, 1.0)
    # t with 3 degrees of freedom: 3.182 standard errors of 0.25.
    assert (row.lower, row.upper) == pytest.approx((0.25 - 0.7956, 0.25 + 0.7956), abs=1e-4)


def test_groups_are_those_of_the_first_event(con):
    rows = rows_of({"a": "visit buy"}, plan="pro") + rows_of({"b": "visit visit"}, plan="basic")
    frame = sequence_indicators(log_of(con, rows), by="plan")
    complexity = frame[frame.indicator == "complexity"]
    assert complexity[["plan", "journeys", "mean"]].to_numpy().tolist() == [
        ["basic", 1, 0.0],
        ["pro", 1, 1.0],
    ]


def test_a_column_may_be_the_sequence_and_its_nulls_are_passed_over(con):
    rows = rows_of({"a": "x x x", "b": "x"})
    for row, stage in zip(rows, ["good", None, "poor", None], strict=True):
        row["stage"] = stage
    frame = sequence_indicators(log_of(con, rows), on="stage", order=["good", "poor"])
    assert means_of(frame)["precarity"] == pytest.approx(0.8 * 2**1.2)
    assert frame.n.to_list() == [1] * 5


def test_journeys_keep_their_indicators(con):
    log = log_of(con, {"a": "visit buy visit", "b": "visit", "c": "visit buy visit"})
    marked = add_indicators(log)
    journeys = marked.journeys.order_by("journey_id").to_pandas()
    assert journeys.entropy.round(3).to_list() == [0.918, 0.0, 0.918]
    assert len(journeys) == 3
    assert list(marked.journeys.columns) == [*log.journeys.columns, *NAMES]
    busy = keep_journeys(marked, where=lambda row: row.volatility > 0.5)
    assert busy.journeys.count().to_pandas() == 2


def test_a_journey_without_a_value_has_no_indicator(con):
    rows = rows_of({"a": "x", "b": "x"})
    rows[0]["stage"], rows[1]["stage"] = "good", None
    journeys = add_indicators(log_of(con, rows), on="stage").journeys.order_by("journey_id")
    assert journeys.to_pandas().turbulence.isna().to_list() == [False, True]


def test_an_empty_log_gives_an_empty_frame(con):
    log = keep_events(log_of(con, {"a": "visit"}), until="2023-01-01")
    assert sequence_indicators(log).empty
    assert sequence_indicators(log, by="channel").columns[0] == "channel"
    assert add_indicators(log).journeys.count().to_pandas() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": "stge"}, "no column 'stge' in the log; did you mean 'stage'"),
        ({"order": ["visit", "by"]}, "no touchpoint 'by' in the log; did you mean 'buy'"),
        ({"order": ["visit", "visit"]}, "does not rank; give two values or more, each once"),
        ({"order": ["visit"]}, "does not rank"),
    ],
)
def test_bad_input_says_how_to_mend_it(con, options, message):
    with pytest.raises(CxError, match=message):
        sequence_indicators(log_of(con, {"a": "visit buy"}), **options)


def test_columns_that_are_there_already_are_not_overwritten(con):
    marked = add_indicators(log_of(con, {"a": "visit buy"}))
    with pytest.raises(CxError, match="the journeys have a column 'entropy' already"):
        add_indicators(marked)


@given(rows=random_rows())
@few_examples
def test_the_engine_averages_what_python_measures(con, rows):
    frame = sequence_indicators(log_of(con, rows))
    size = len({row["touchpoint"] for row in rows})
    paths = [tuple(row["touchpoint"] for row in path) for path in paths_by_hand(rows).values()]
    expected = [_measure_path(path, size, {}) for path in paths]
    for name in NAMES:
        mean = np.mean([one[name] for one in expected])
        assert means_of(frame)[name] == pytest.approx(mean)
