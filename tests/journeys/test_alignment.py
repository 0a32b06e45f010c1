"""Alignment of paths to a plan, against plain Python."""

from fractions import Fraction
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib.journeys.maps import JourneyMap
from cxlib.journeys.planned.alignment import align_paths, read_plan
from tests.journeys.plan_by_hand import best_way, lcs


def plan_of(*steps):
    return read_plan(JourneyMap(name="plan", stages=[{"stage": "all", "steps": steps}]))


def align(plan, *paths, so_far=False):
    coded = [[plan.labels.index(name) for name in path.split()] for path in paths]
    return align_paths(plan, coded, [so_far] * len(coded))


def optional(name):
    return {"touchpoint": name, "optional": True}


@pytest.mark.parametrize(
    ("path", "matched", "missing", "extra"),
    [
        ("a b c", 3, 0, 0),
        ("a c", 2, 1, 0),
        ("a a b c", 3, 0, 1),
        ("b a c", 2, 1, 1),
        ("c b a", 1, 2, 2),
        ("", 0, 3, 0),
    ],
)
def test_deviations_of_a_plain_plan_are_those_of_the_longest_common_subsequence(
    path, matched, missing, extra
):
    found = align(plan_of("a", "b", "c"), path)
    assert (found.matched[0], found.missing[0], found.extra[0]) == (matched, missing, extra)
    assert missing + extra == len(path.split()) + 3 - 2 * lcs(path.split(), "abc")


def test_touchpoints_in_any_order_are_one_step_together():
    plan = plan_of("a", {"any_order": ["x", "y", "z"]}, "b")
    found = align(plan, "a z x y b", "a x b", "a x y x z b")
    assert plan.unit == 3
    assert (found.matched / plan.unit).tolist() == pytest.approx([3, 2 + 1 / 3, 3])
    assert (found.missing / plan.unit).tolist() == pytest.approx([0, 2 / 3, 0])
    assert found.extra.tolist() == [0, 0, 1]


def test_optional_steps_cost_nothing_done_or_not():
    found = align(plan_of("a", optional("b"), "c"), "a c", "a b c", "b a c")
    assert found.missing.tolist() == [0, 0, 0]
    assert found.extra.tolist() == [0, 0, 1]
    assert found.matched.tolist() == [2, 3, 2]


def test_of_events_that_could_stand_for_a_step_the_first_does():
    found = align(plan_of("a", "b"), "b a")
    assert found.done.tolist() == [[False, True]]
    assert found.unmatched.tolist() == [[1, 0]]


def test_a_journey_under_way_is_held_against_the_plan_up_to_where_it_stands():
    plan = plan_of("a", "b", {"any_order": ["x", "y"]}, "c")
    found = align(plan, "a", "a x", "", "c", so_far=True)
    assert (found.missing / plan.unit).tolist() == [0, 1, 0, 3]
    assert (found.matched / plan.unit).tolist() == [1, 1.5, 0, 1]


def test_what_is_planned_twice_is_reached_the_second_time_when_it_happens_twice():
    plan = plan_of("a", "b", "a")
    found = align(plan, "a", "a a", so_far=True)
    assert found.missing.tolist() == [0, 1]


# Optimal alignments of these traces, by pm4py 2.7.23.11 (a process tree as model, a cost of 1 for
# each move on the trace or the model alone). x, y and z are not planned.
TRACES = ["abcd", "acd", "bacd", "aabcd", "axbcd", "dcba", "xyz", "abab", "-", "a", "abdc", "bd"]
PM4PY_FITNESS = [1, 0.857143, 0.75, 0.888889, 0.888889, 0.25, 0, 0.5, 0, 0.4, 0.75, 0.666667]
PM4PY_COST = [0, 1, 2, 1, 1, 6, 7, 4, 4, 3, 2, 2]
PM4PY_COST_OPTIONAL = [0, 0, 1, 1, 1, 5, 6, 4, 3, 2, 2, 2]


def compare(plan):
    kept = [[letter for letter in trace if letter in plan.labels] for trace in TRACES]
    found = align(plan, *(" ".join(path) for path in kept))
    outside = [len(trace.strip("-")) - len(path) for trace, path in zip(TRACES, kept, strict=True)]
    cost = found.missing / plan.unit + found.extra + outside
    return cost.tolist(), (1 - cost / (2 * found.matched / plan.unit + cost)).tolist()


def test_a_plain_plan_gives_the_fitness_of_optimal_alignments():
    cost, fitness = compare(plan_of("a", "b", "c", "d"))
    assert cost == PM4PY_COST
    assert fitness == pytest.approx(PM4PY_FITNESS, abs=1e-6)


def test_an_optional_step_gives_the_cost_of_optimal_alignments():
    # Their fitness differs: pm4py divides by the shortest way through the model, the design by the
    # version of the plan that was compared.
    assert compare(plan_of("a", optional("b"), "c", "d"))[0] == PM4PY_COST_OPTIONAL


def test_batches_do_not_change_what_is_found(monkeypatch):
    plan = plan_of("a", {"any_order": ["x", "y"]}, "b")
    generator = np.random.default_rng(7)
    paths = [generator.integers(0, 4, size).tolist() for size in generator.integers(0, 30, 300)]
    whole = align_paths(plan, paths, [False] * 300)
    monkeypatch.setattr("cxlib.journeys.planned.alignment._CELLS", 2_000)
    parts = align_paths(plan, paths, [False] * 300)
    for name in ("matched", "missing", "extra", "done", "due", "unmatched"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


names = st.sampled_from("abcde")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(path=st.lists(names, max_size=9), plan=st.lists(names, min_size=1, max_size=6))
def test_any_plain_plan_gives_the_deviations_of_the_textbook(path, plan):
    read = plan_of(*plan)
    kept = [name for name in path if name in plan]
    found = align(read, " ".join(kept))
    assert found.matched[0] == lcs(path, plan)
    deviations = found.missing[0] + found.extra[0] + len(path) - len(kept)
    assert deviations == len(path) + len(plan) - 2 * lcs(path, plan)
    assert found.done[0].sum() + found.extra[0] == len(kept)


@st.composite
def plans(draw):
    """Up to four steps, some of several touchpoints, some of them optional."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    return [
        tuple(
            (name, draw(st.booleans()))
            for name in draw(st.lists(names, min_size=size, max_size=size, unique=True))
        )
        for size in sizes
    ]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(path=st.lists(names, max_size=7), plan=plans())
def test_any_plan_is_gone_through_in_the_best_of_all_ways(path, plan):
    def written(name, due):
        return {"touchpoint": name, "optional": not due}

    steps = [
        written(*step[0]) if len(step) == 1 else {"any_order": [written(*one) for one in step]}
        for step in plan
    ]
    read = plan_of(*steps)
    kept = [name for name in path if name in read.labels]
    found = align(read, " ".join(kept))
    cost, done = best_way(kept, plan)
    assert Fraction(int(found.missing[0]), read.unit) + int(found.extra[0]) == cost
    assert Fraction(int(found.matched[0]), read.unit) == done
    parts = [Fraction(1, len(read.members[step])) for step, _ in read.slots]
    assert sum((p for p, did in zip(parts, found.done[0], strict=True) if did), Fraction()) == done
    assert found.unmatched[0].sum() == found.extra[0]
    assert [slot for slot, _ in groupby(step for step, _ in read.slots)] == list(range(len(plan)))
