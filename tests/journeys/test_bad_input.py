"""What a log should not be, and what a caller should not ask: every measure answers or refuses."""

import pandas as pd
import pytest

from cxlib import funnel, keep_events, materialize, retention
from cxlib.errors import CxError
from cxlib.journeys.log import Journeys
from tests.journeys.logs import log_of, rows_of
from tests.journeys.nouns import NOUNS, SPANS, STEPS, UNKNOWN

PATHS = {"a": "visit buy", "b": "visit@0 visit@30", "c": "buy"}
OPTIONAL = ["channel", "stage", "department", "product", "layer", "owned", "sentiment", "value"]
COUNTS = ["n", "customers", "journeys", "count", "events", "visits", "active", "total"]

DEPARTMENTS = {"visit": "desk", "buy": "sales"}
HANDOFFS = ("handoffs", "handoffs_per_journey", "ping_pong")

_LOGS: dict[str, Journeys] = {}

each_noun = pytest.mark.parametrize("name", sorted(NOUNS))


def rows_with(paths, **columns):
    """Rows in which each touchpoint has its department."""
    return [
        row | {"department": DEPARTMENTS[row["touchpoint"]]} for row in rows_of(paths, **columns)
    ]


def same_log(con, rows) -> Journeys:
    """Log of these rows, which all tests on the engine share: no test changes a log."""
    key = f"{con.name} {rows}"
    if key not in _LOGS:
        _LOGS[key] = materialize(log_of(con, rows))
    return _LOGS[key]


def web_log(con) -> Journeys:
    return same_log(con, rows_with(PATHS, channel="web"))


def check_rows(frame: pd.DataFrame) -> None:
    """Every row counts something, and says no NaN for a count."""
    counts = [name for name in COUNTS if name in frame]
    assert counts
    assert not frame[counts].isna().any(axis=None)
    assert all(pd.api.types.is_integer_dtype(frame[name]) for name in counts)
    labels = [name for name in frame if frame[name].dtype == object]
    assert not frame[labels].isna().any(axis=None)


@pytest.mark.parametrize("name", sorted(UNKNOWN))
def test_an_unknown_touchpoint_is_refused_with_the_closest_known(con, name):
    with pytest.raises(CxError, match="there is no touchpoint 'visti' in the log; did you mean 'v"):
        UNKNOWN[name](same_log(con, rows_of(PATHS)))


@pytest.mark.parametrize("name", sorted(SPANS))
def test_a_span_without_a_unit_is_refused(con, name):
    with pytest.raises(CxError, match="the span 30 has no unit; write it as text, for example '30"):
        SPANS[name](web_log(con), 30)


@each_noun
def test_a_log_without_events_gives_the_columns_and_no_rows(con, name):
    full = web_log(con)
    empty = keep_events(full, where={"customer_id": "nobody"})
    if name in ("escalation", "repeat_contact"):
        with pytest.raises(CxError, match="no touchpoint 'visit' in the log; there are none"):
            NOUNS[name](empty)
        return
    for by in (None, "channel"):
        found = NOUNS[name](empty, by=by)
        pd.testing.assert_series_equal(found.dtypes, NOUNS[name](full, by=by).dtypes)
        if name == "summary" and by is None:
            assert found[["customers", "journeys", "events", "ended", "open"]].eq(0).all(axis=None)
        else:
            assert len(found) == 0


@each_noun
@pytest.mark.parametrize(
    "paths",
    [
        {"a": "visit"},
        {"a": "visit", "b": "buy"},
        {"a": "visit visit visit visit@100 buy@100"},
        {"a": "visit@0 buy@0 visit@0 buy@0", "b": "buy@0 visit@0"},
    ],
    ids=["one event", "one event each", "one customer", "all ties"],
)
def test_a_small_log_is_counted_without_gaps(con, name, paths):
    rows = rows_with(paths)
    if {row["touchpoint"] for row in rows} != set(STEPS):
        # The touchpoint asked for is known, though nobody is left who did it.
        rows += rows_with({"z": "buy@0"})
    log = same_log(con, rows)
    if rows[-1]["customer_id"] == "z":
        log = keep_events(log, where=lambda events: events.customer_id != "z")
    asks = ("funnel", "conversion_times", "escalation")
    if name in asks and len(rows) == 2 and len(paths) == 1:
        with pytest.raises(CxError, match="there is no touchpoint 'buy'"):
            NOUNS[name](log)
        return
    found = NOUNS[name](log)
    # Nobody who converted, handed over or went on is no row; all else has one.
    if name not in ("conversion_times", "handoffs", "ping_pong", "subsequences"):
        assert len(found) > 0
    check_rows(found)


@each_noun
def test_missing_values_in_every_optional_column_are_a_group_of_their_own(con, name):
    log = same_log(con, rows_of(PATHS))
    assert set(OPTIONAL) <= set(log.events.columns)
    if name in HANDOFFS:
        with pytest.raises(CxError, match="no event of the log has a department"):
            NOUNS[name](log)
        return
    whole = NOUNS[name](log)
    check_rows(whole)
    found = NOUNS[name](log, by=["owned", "layer"])
    assert set(found["owned"]) == ({"(none)"} if len(whole) else set())
    found = found.drop(columns=["owned", "layer"])
    pd.testing.assert_frame_equal(found, whole, check_dtype=False)


@each_noun
def test_ten_thousand_groups_are_refused_with_a_hint(con, name):
    rows = rows_of({str(number): "visit@0" for number in range(10_000)}, department="desk")
    rows += rows_of({"buyer": "buy@0"}, department="desk")
    many = [row | {"amount": number % 10_000} for number, row in enumerate(rows)]
    with pytest.raises(CxError, match=r"'amount' has 10,000 values, .* bin it into at most 1,000"):
        NOUNS[name](same_log(con, many), by="amount")


@each_noun
def test_an_unknown_group_is_refused_with_the_closest_known(con, name):
    with pytest.raises(CxError, match="there is no column 'chanel' to group by; did you mean 'ch"):
        NOUNS[name](web_log(con), by=["channel", "chanel"])


@each_noun
def test_a_group_twice_is_one_group(con, name):
    log = web_log(con)
    once, twice = NOUNS[name](log, by="channel"), NOUNS[name](log, by=["channel", "channel"])
    pd.testing.assert_frame_equal(once, twice)


@pytest.mark.parametrize("name", sorted(SPANS))
def test_a_span_of_nothing_holds_what_happens_at_once(con, name):
    log = same_log(con, rows_with({"a": "visit@0 buy@0 buy@1", "b": "visit@0 buy@2"}))
    if name == "retention":
        with pytest.raises(CxError, match="do not rise"):
            SPANS[name](log, "0 days")
    else:
        SPANS[name](log, "0 days")


def test_the_same_step_twice_is_taken_twice(con):
    log = log_of(con, {"a": "visit visit buy", "b": "visit buy"})
    assert funnel(log, ["visit", "visit", "buy"])["reached"].tolist() == [2, 1, 1]


def test_nobody_in_the_cohort_touchpoint_leaves_no_cohorts(con):
    log = keep_events(log_of(con, PATHS), where={"customer_id": ["a", "b"]})
    assert len(retention(log, start="buy")) > 0
    assert retention(log, start="buy")["n"].tolist().count(0) == 0
