"""The log itself, and what every noun asks of it."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from cxlib import load_journeys
from cxlib.engine.store import Snapshot
from cxlib.errors import CxError
from cxlib.journeys.log import check_touchpoints, group_columns
from tests.journeys.logs import log_of, rows_of


@pytest.mark.parametrize(("seconds", "silence"), [(None, None), (86400, timedelta(days=1))])
def test_a_stored_log_is_read_as_it_was_prepared(con, seconds, silence, monkeypatch):
    log = log_of(con, {"a": "visit buy"})
    meta = {"observed_until": "2024-03-01T00:00:00", "closes_after_seconds": seconds}
    tables = {"events": log.events, "journeys": log.journeys}
    monkeypatch.setattr(Snapshot, "table", lambda _, name: tables[name])
    loaded = load_journeys(Snapshot(Path("s1"), meta))
    assert loaded.observed_until == datetime(2024, 3, 1)
    assert loaded.closes_after == silence
    assert loaded.events.equals(log.events)


def test_a_log_is_piped_through_functions_with_their_arguments(con):
    log = log_of(con, {"a": "visit"})
    assert log.pipe(lambda log, add, *, times: (log.observed_until.year + add) * times, 1, times=2)


def test_a_log_is_shown_by_its_columns_and_says_what_it_is_not(con):
    log = log_of(con, {"a": "visit"}, closes_after="7 days")
    assert repr(log).startswith(
        "Journeys(observed until 2024-03-01 00:00 UTC, closed after 7 days, 0:00:00; events: "
        "event_id, customer_id, journey_id, occurred_at, "
    )
    with pytest.raises(AttributeError, match="has no 'columns'; compute a measure first, such as"):
        log.columns  # noqa: B018
    with pytest.raises(AttributeError, match=r"no 'events'; its log is cx\.load_journeys\(store\)"):
        Snapshot(Path("s1"), {}).events  # noqa: B018


def test_a_workspace_without_a_store_has_no_log(tmp_path):
    with pytest.raises(CxError, match=r"there is no store in .*; run: cxlib build"):
        load_journeys(tmp_path)


def test_an_unknown_touchpoint_shows_the_closest(con):
    log = log_of(con, {"a": "opened_ticket paid_invoice"})
    with pytest.raises(CxError, match="'open_ticket' in the log; did you mean 'opened_ticket'"):
        check_touchpoints(log, ["paid_invoice", "open_ticket"])


def test_no_touchpoints_are_no_question_to_the_engine(con):
    assert check_touchpoints(SimpleNamespace(), []) == []


def test_groups_are_text_and_a_missing_value_has_a_group(con):
    rows = rows_of({"a": "visit"}, tier=1.0) + rows_of({"b": "visit"}, tier=None)
    events, names = group_columns(log_of(con, rows).events, "tier")
    assert sorted(events[names[0]].to_list()) == ["(none)", "1.0"]
    # A measure may have the name for something else.
    assert "tier" not in events.columns


def test_an_unknown_group_column_shows_the_closest(con):
    with pytest.raises(CxError, match="no column 'chanel' to group by; did you mean 'channel'"):
        group_columns(log_of(con, {"a": "visit"}).events, ["source", "chanel"])


def test_a_group_column_with_too_many_values_is_refused_with_a_hint(con):
    frame = pd.DataFrame(rows_of({"a": " ".join(["visit"] * 1001)}))
    log = log_of(con, frame.assign(score=range(1001)).to_dict("records"))
    with pytest.raises(CxError, match=r"'score' has 1,001 values, .* bin it into at most 1,000"):
        group_columns(log.events, "score")


def test_a_group_column_that_the_result_needs_itself_is_refused(con):
    with pytest.raises(CxError, match="the result has a column 'step' of its own"):
        group_columns(log_of(con, {"a": "visit"}).events, "step", taken=["step"])
