"""Re-entry: who starts another journey."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given

from cxlib import keep_events, reentry, split_journeys
from cxlib.errors import CxError
from tests.journeys.days import cells, days_log, spread
from tests.journeys.logs import few_examples, log_of, paths_by_hand, random_rows


def test_reentry_counts_only_journeys_that_had_their_time(con):
    # a ends at hour 1 and comes back after 99 hours; b ends at hour 0 and never comes back; the
    # last journeys of a (hour 100) and c (hour 1390) have not had 60 hours until hour 1440.
    log = log_of(con, {"a": "ask@0 buy@1 visit@100", "b": "buy@0", "c": "buy@1390"})
    log = split_journeys(log, gap="24 hours")
    found = reentry(log, within="100 hours")
    columns = ["from_touchpoint", "to_touchpoint", "journeys", "n", "share"]
    assert cells(found, *columns) == [
        ("buy", "(end)", 1, 2, 0.5),
        ("buy", "visit", 1, 2, 0.5),
        ("visit", "(end)", 1, 1, 1.0),
    ]
    assert found["median_days"].iloc[1] == pytest.approx(99 / 24)
    late = reentry(log, within="98 hours")
    assert late["to_touchpoint"].tolist() == ["(end)", "(end)"]


def test_without_journeys_nobody_comes_back(con):
    empty = keep_events(days_log(con), where={"customer_id": "nobody"})
    assert len(reentry(empty, within="1 day", by="channel")) == 0


def test_a_span_without_a_unit_is_refused(con):
    with pytest.raises(CxError, match="has no unit"):
        reentry(days_log(con), within=30)


@few_examples
@given(rows=random_rows())
def test_reentry_is_that_counted_by_hand(con, rows):
    rows = spread(rows)
    returns = reentry(split_journeys(log_of(con, rows), gap="60 hours"), within="30 days")
    gaps = 0
    for events in paths_by_hand(rows).values():
        times = [event["occurred_at"] for event in events]
        gaps += sum(b - a > timedelta(hours=60) for a, b in pairwise(times))
    came = returns[returns["to_touchpoint"] != "(end)"]
    assert came["journeys"].sum() == gaps
    assert returns.groupby("from_touchpoint")["share"].sum().to_numpy() == pytest.approx(1)
