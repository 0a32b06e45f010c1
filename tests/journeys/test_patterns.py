import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import CxError, keep_journeys
from cxlib.journeys.patterns import parse_pattern, path_text
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows, rows_of

PATHS = {
    "a": "visit ask buy",
    "b": "visit visit leave",
    "c": "ask leave visit",
    "d": "leave",
}


def kept(con, pattern, paths=PATHS, **times):
    log = keep_journeys(log_of(con, paths, **times), matching=pattern)
    return "".join(sorted(log.journeys.customer_id.to_pandas()))


@pytest.mark.parametrize(
    ("pattern", "customers"),
    [
        ("visit", "abc"),
        ("visit -> leave", "b"),
        ("visit -> * -> leave", "b"),
        ("visit -> [^ask]* -> buy", ""),
        ("visit -> [^leave]* -> buy", "a"),
        ("^ -> [visit|ask] -> ask", "a"),
        ("^visit", "ab"),
        ("visit$", "c"),
        ("(start) -> leave -> (end)", "d"),
        ("visit -> [leave|(end)]", "bc"),
        ("visit+ -> leave", "b"),
        ("^ -> visit -> ask? -> visit -> leave", "b"),
        ("^ -> . -> . -> leave", "b"),
        ("leave -> .", "c"),
        ("visit -> .? -> buy", "a"),
        ("* -> visit", "abc"),
    ],
)
def test_journeys_are_kept_that_follow_the_pattern(con, pattern, customers):
    assert kept(con, pattern) == customers


def test_an_open_journey_has_not_ended(con):
    paths = {"a": "visit buy", "b": "visit buy@1430"}
    assert kept(con, "buy -> (end)", paths) == "a"
    assert kept(con, "buy -> (open)", paths) == "b"
    assert kept(con, "buy$", paths) == "ab"


def test_kept_journeys_stay_whole(con):
    log = keep_journeys(log_of(con, PATHS), matching="ask -> buy")
    assert log.events.order_by("step").touchpoint.to_list() == ["visit", "ask", "buy"]


ODD_NAMES = [
    "why? (again)",
    'say "yes"',
    "a\\b",
    "a|b",
    "Take in charge ticket",
    "->",
    "v2.1",
    "價",
]


def test_names_may_have_any_characters(con):
    rows = rows_of(dict.fromkeys(map(str, range(len(ODD_NAMES))), "x"))
    rows = [row | {"touchpoint": name} for row, name in zip(rows, ODD_NAMES, strict=True)]
    log = log_of(con, rows)
    for place, name in enumerate(ODD_NAMES):
        found = keep_journeys(log, matching="^" + path_text([name]) + "$")
        assert found.journeys.customer_id.to_list() == [str(place)]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_path_written_as_text_is_read_back(path):
    parsed = parse_pattern(path_text(["visit", *path]))
    assert parsed.touchpoints == tuple(dict.fromkeys(["visit", *path]))
    assert parsed.matches(["visit", *path])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "at position 1: a touchpoint is missing before 'the end'"),
        ("visit ->", "at position 9: a touchpoint is missing before 'the end'"),
        ("visit -> -> buy", "at position 10: a touchpoint is missing before '->'"),
        ("+ -> buy", r"at position 1: '\+' needs a touchpoint, a set or '.' before it"),
        ("visit$ -> buy", r"at position 6: '\$' stands last or nowhere"),
        ("visit -> ^buy", r"at position 10: '\^' stands first or nowhere"),
        ("(end) -> buy", r"at position 1: '\(end\)' stands last or nowhere"),
        ("[visit", r"at position 7: '\|' or '\]' is missing before 'the end'"),
        ("[visit|]", r"at position 8: a set holds touchpoints, and not '\]'"),
        ("[^(end)]", r"at position 3: a set holds touchpoints, and not '\(end\)'"),
        ('visit -> "buy', "at position 10: a quote is not closed"),
        ('""', "the name in quotes is empty"),
        ("visit*ask", "at position 7: '->' is missing before 'ask'"),
        ("visit -> ]", r"at position 10: '\]' cannot begin a place; put a name that has it in"),
        ("^ -> $", "at position 1: it names no place of a path"),
    ],
)
def test_a_mistake_is_named_with_its_position(pattern, message):
    quoted = re.escape(f"the pattern {pattern!r} cannot be read")
    with pytest.raises(CxError, match=f"{quoted} .*{message}"):
        parse_pattern(pattern)


def test_an_unknown_touchpoint_gets_close_matches(con):
    with pytest.raises(CxError, match="no touchpoint 'visits' in the log; did you mean 'visit'"):
        kept(con, "[visits|ask] -> buy")


NAMES = ["ask", "buy", "visit", "leave"]
SETS = st.one_of(
    st.sampled_from(NAMES).map(lambda name: (name, {name})),
    st.just((".", set(NAMES))),
    st.sets(st.sampled_from(NAMES), min_size=1, max_size=2).map(
        lambda names: ("[" + "|".join(sorted(names)) + "]", names)
    ),
    st.sets(st.sampled_from(NAMES), min_size=1, max_size=2).map(
        lambda names: ("[^" + "|".join(sorted(names)) + "]", set(NAMES) - names)
    ),
)
PLACES = st.lists(st.tuples(SETS, st.sampled_from(["", "*", "+", "?"])), min_size=1, max_size=3)


def follows_by_hand(path, places, at_start, at_end):
    """Positions that can be reached, place after place."""
    reached = {0} if at_start else set(range(len(path) + 1))
    for (_, names), often in places:
        once = {at + 1 for at in reached if at < len(path) and path[at] in names}
        if often in ("", "?"):
            reached = once | (reached if often == "?" else set())
            continue
        while True:
            more = once | {at + 1 for at in once if at < len(path) and path[at] in names}
            if more == once:
                break
            once = more
        reached = once | (reached if often == "*" else set())
    return len(path) in reached if at_end else bool(reached)


@few_examples
@given(rows=random_rows(), places=PLACES, at_start=st.booleans(), at_end=st.booleans())
def test_matches_agree_with_positions_counted_by_hand(con, rows, places, at_start, at_end):
    text = " -> ".join(place + often for (place, _), often in places)
    pattern = ("^ -> " if at_start else "") + text + (" -> $" if at_end else "")
    # A customer who did everything keeps every name in the log.
    rows = [*rows, *rows_of({"all": " ".join(NAMES)})]
    paths = {
        name: [row["touchpoint"] for row in events] for name, events in paths_by_hand(rows).items()
    }
    expected = {
        name for name, path in paths.items() if follows_by_hand(path, places, at_start, at_end)
    }
    found = keep_journeys(log_of(con, rows), matching=pattern).journeys.customer_id
    assert set(found.to_pandas()) == expected
