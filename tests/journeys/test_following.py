from collections import Counter, defaultdict
from hashlib import md5
from math import exp, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import CxError, keep_journeys, next_steps, path_memory, transitions
from tests.journeys.examples import example_log
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

PATHS = {
    "a": "visit ask buy",
    "b": "visit ask leave",
    "c": "mail ask leave",
    "d": "mail ask leave",
    "e": "visit ask@1430",
}


def listed(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_next_steps_are_ranked_with_probability_and_n(con):
    frame = next_steps(log_of(con, PATHS), after="ask", order=1, min_n=1)
    assert listed(frame, "context", "rank", "next_touchpoint", "count", "n", "open") == [
        ("ask", 1, "leave", 3, 4, 1),
        ("ask", 2, "buy", 1, 4, 1),
    ]
    assert frame["probability"].to_list() == [0.75, 0.25]
    assert frame["lift"].to_list() == [1, 1]
    # Wilson, 3 of 4.
    assert frame["lower"].iloc[0] == pytest.approx(0.3006, abs=1e-4)
    assert frame["upper"].iloc[0] == pytest.approx(0.9544, abs=1e-4)


def test_more_touchpoints_are_compared_with_the_last_one_alone(con):
    frame = next_steps(log_of(con, PATHS), after=["visit", "ask"], order=2, min_n=1)
    columns = ["next_touchpoint", "probability", "first_order_probability", "lift"]
    assert listed(frame, "context", *columns) == [
        ("visit -> ask", "buy", 0.5, 0.25, 2.0),
        ("visit -> ask", "leave", 0.5, 0.75, pytest.approx(2 / 3)),
    ]


def test_a_rare_context_is_shortened_to_its_end(con):
    frame = next_steps(log_of(con, PATHS), after=["visit", "ask"], order=2, min_n=3)
    assert set(frame["context"]) == {"ask"}
    assert set(frame["order"]) == {1}


def test_the_last_touchpoint_stays_however_rare(con):
    frame = next_steps(log_of(con, PATHS), after=["ask", "buy"], order=2, min_n=99)
    assert listed(frame, "context", "next_touchpoint", "n") == [("buy", "(end)", 1)]


def test_a_touchpoint_without_a_known_outcome_falls_back_to_any(con):
    log = log_of(con, {"a": "visit buy", "b": "visit ask@1430"})
    frame = next_steps(log, after=["visit", "ask"], order=2)
    assert listed(frame, "context", "order", "next_touchpoint", "count", "n", "open") == [
        ("(any)", 0, "(end)", 1, 3, 1),
        ("(any)", 0, "ask", 1, 3, 1),
        ("(any)", 0, "buy", 1, 3, 1),
    ]
    assert frame["lift"].isna().all()


def test_only_as_many_touchpoints_as_the_order_are_used(con):
    frame = next_steps(log_of(con, PATHS), after=["mail", "ask"], order=1, min_n=1)
    assert set(frame["context"]) == {"ask"}


def test_a_context_may_reach_back_to_the_start(con):
    log = log_of(con, {"a": "visit visit buy", "b": "visit ask"})
    frame = next_steps(log, after=["(start)", "visit"], order=2, min_n=1)
    assert listed(frame, "context", "next_touchpoint", "count") == [
        ("(start) -> visit", "ask", 1),
        ("(start) -> visit", "visit", 1),
    ]


def test_without_after_every_frequent_context_is_given(con):
    frame = next_steps(log_of(con, PATHS), order=1, min_n=2, top=1)
    assert listed(frame, "context", "next_touchpoint", "n") == [
        ("ask", "leave", 4),
        ("leave", "(end)", 3),
        ("visit", "ask", 3),
        ("mail", "ask", 2),
    ]


def test_each_group_is_shortened_on_its_own(con):
    rows = rows_of({"a": "visit ask buy", "b": "visit ask buy"}, channel="web")
    rows += rows_of({"c": "mail ask leave"}, channel="app")
    frame = next_steps(log_of(con, rows), after=["visit", "ask"], order=2, min_n=2, by="channel")
    assert listed(frame, "channel", "context", "next_touchpoint", "n") == [
        ("app", "ask", "leave", 1),
        ("web", "visit -> ask", "buy", 2),
    ]


def test_an_empty_log_gives_an_empty_frame(con):
    log = keep_journeys(log_of(con, PATHS), min_length=9)
    for options in ({}, {"order": 2}, {"by": "channel"}):
        frame = next_steps(log, **options)
        assert frame.empty
        assert list(frame)[-1] == "lift"


def chain(order, customers, seed=1):
    """Journeys whose next touchpoint depends on the last ``order`` ones."""
    generator, weights = Random(seed), {}
    paths = {}
    for customer in range(customers):
        path = ["x"]
        while generator.random() > 0.1:
            context = tuple(path[-order:])
            if context not in weights:
                weights[context] = generator.choice([(8, 1, 1), (1, 8, 1), (1, 1, 8)])
            path += generator.choices("xyz", weights[context])
        paths[f"c{customer}"] = " ".join(path)
    return paths


@pytest.mark.parametrize("order", [1, 2])
def test_the_planted_order_is_found_by_held_out_likelihood(con, order):
    frame = path_memory(log_of(con, chain(order, 150)))
    assert frame.loc[frame["chosen"], "order"].to_list() == [order]
    assert frame.loc[frame["order"] == 1, "gain_over_first"].to_list() == [0]
    bets = next_steps(log_of(con, chain(order, 150)), min_n=20)
    assert set(bets["order"]) == {order}


def test_one_customer_cannot_be_split(con):
    log = log_of(con, {"a": "visit buy"})
    with pytest.raises(CxError, match="too few customers to learn from some and test on"):
        path_memory(log)
    assert next_steps(log, min_n=1)["order"].to_list() == [1, 1]


def test_another_seed_tests_on_other_customers(con):
    log = log_of(con, chain(1, 60))
    assert path_memory(log)["steps"].iloc[0] != path_memory(log, random_state=4)["steps"].iloc[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order is 0, and must be at least 1"),
        ({"order": "best"}, "there is no order 'best'; there are '1', '2', '3', 'auto'"),
        ({"max_order": 0}, "max_order is 0, and must be at least 1"),
        ({"top": 0}, "top is 0, and must be at least 1"),
        ({"min_n": 0}, "min_n is 0, and must be at least 1"),
        ({"holdout": 20}, "holdout is 20, and must lie between 0 and 1, such as 0.2"),
        ({"after": "visits"}, "no touchpoint 'visits' in the log; did you mean 'visit'"),
        ({"after": ["ask", "(start)"]}, r"no touchpoint '\(start\)' in the log"),
        ({"by": "chanel"}, "no column 'chanel' to group by; did you mean 'channel'"),
    ],
)
def test_bad_input_is_named(con, options, message):
    with pytest.raises(CxError, match=message):
        next_steps(log_of(con, PATHS), **options)


def steps_by_hand(rows, depth):
    """(customer, context, next) of every move whose outcome is known."""
    for customer, events in paths_by_hand(rows).items():
        path = ["(start)"] * depth + [row["touchpoint"] for row in events] + ["(end)"]
        for at in range(depth, len(path) - 1):
            yield customer, tuple(path[at + 1 - depth : at + 1]), path[at + 1]


def without_repeated_start(context):
    """Before the start there is nothing more to say."""
    return context[max(context.count("(start)") - 1, 0) :]


def likelihood_by_hand(rows, depth, holdout):
    """Witten and Bell, written as the recursion of their definition."""
    held = {
        name
        for name in paths_by_hand(rows)
        if int(md5(f"{name}/0".encode()).hexdigest()[:4], 16) < round(holdout * 65536)
    }
    moves = list(steps_by_hand(rows, depth))
    size = len({after for _, _, after in moves})
    counts = [defaultdict(Counter) for _ in range(depth + 1)]
    for customer, context, after in moves:
        for order in range(depth + 1):
            if customer not in held:
                counts[order][context[depth - order :]][after] += 1

    def probability(order, context, after):
        lower = 1 / size if order == 0 else probability(order - 1, context, after)
        seen = counts[order][context[depth - order :]]
        if not seen:
            return lower
        return (seen[after] + len(seen) * lower) / (seen.total() + len(seen))

    tested = [move for move in moves if move[0] in held]
    return [
        sum(log(probability(order, *move[1:])) for move in tested) / len(tested)
        for order in range(depth + 1)
    ]


@few_examples
@given(rows=random_rows(), order=st.integers(1, 3))
def test_probabilities_agree_with_a_count_by_hand(con, rows, order):
    frame = next_steps(log_of(con, rows), order=order, min_n=1, top=99)
    moves = [(without_repeated_start(c), after) for _, c, after in steps_by_hand(rows, order)]
    counts = Counter(moves)
    found = {
        (tuple(context.split(" -> ")), after): (n, p)
        for context, after, n, p in listed(
            frame, "context", "next_touchpoint", "count", "probability"
        )
    }
    totals = Counter(context for context, _ in moves)
    assert found == {
        (context, after): (n, pytest.approx(n / totals[context]))
        for (context, after), n in counts.items()
    }


def test_held_out_likelihoods_agree_with_the_definition(con):
    paths = chain(2, 40)
    frame = path_memory(log_of(con, paths), holdout=0.3)
    expected = likelihood_by_hand(rows_of(paths), 3, 0.3)
    assert frame["log_likelihood_per_step"].to_list() == pytest.approx(expected)
    assert frame["perplexity"].to_list() == pytest.approx([exp(-value) for value in expected])


def test_first_order_bets_are_those_of_the_transitions_and_of_pm4py(shared):
    """4,160 and 3,563 are frequencies in pm4py 2.7.23 ``discover_dfg`` of the same file."""
    example = example_log("helpdesk", shared)
    bets = next_steps(example, order=1, top=99, min_n=1)
    moves = transitions(example)
    known = moves[moves["to_touchpoint"] != "(open)"]
    known = known[known["from_touchpoint"] != "(start)"]
    pairs = ["from_touchpoint", "to_touchpoint", "count"]
    assert sorted(listed(bets, "context", "next_touchpoint", "count")) == sorted(
        listed(known, *pairs)
    )
    counts = bets.set_index(["context", "next_touchpoint"])["count"]
    assert counts["Assign seriousness", "Take in charge ticket"] == 4160
    assert counts["Take in charge ticket", "Resolve ticket"] == 3563
