"""The page of a dashboard without a browser: filters, rules for what is shown, errors."""

import json

import pandas as pd
import plotly.graph_objects as go
import pytest

from cxlib import CxError, dropoff, keep_journeys, summary
from cxlib.publish.dashboards import (
    Chart,
    Page,
    Tiles,
    enough,
    first_known,
    open_page,
    summary_tiles,
)


@pytest.fixture(scope="module")
def selection(demo_workspace):
    return open_page(str(demo_workspace)).selection


@pytest.fixture
def page(selection):
    page = Page(selection)
    page.choose_customers()
    page.choose_period()
    page.choose("steps", "Steps", [3, 4, 5], value=4)
    page.switch("merge", "Repeats count as one step")
    return page


def state(chart):
    return json.loads(chart.state)


def test_without_filters_the_whole_log_is_shown(page, selection):
    assert page.log is selection.whole
    assert page.summary()["journeys"].iloc[0] == selection.whole.journeys.count().to_pandas()


def test_a_group_of_customers_leaves_their_journeys_alone(page, selection):
    name = next(iter(selection.groups))
    page.controls["customers"].value = name
    column, value = name.split(":", 1)
    customers = selection.store.table("customers").to_pandas()
    members = set(customers.loc[customers[column] == value, "customer_id"])
    shown = set(page.log.journeys.customer_id.to_pandas())
    assert shown
    assert shown <= members


def test_a_period_keeps_journeys_that_started_in_it_whole(page, selection):
    page.controls["period"].value = "last 6 months"
    starts = page.log.journeys.started_at.to_pandas()
    since = selection.whole.observed_until - pd.Timedelta(days=182)
    assert starts.min() >= since
    whole = selection.whole.journeys.filter(lambda t: t.started_at >= since)
    assert page.summary()["events"].iloc[0] == whole.length.sum().to_pandas()


def test_the_period_before_has_the_same_length_and_ends_where_this_one_begins(page, selection):
    page.controls["period"].value = "last 6 months"
    until = selection.whole.observed_until
    middle, start = until - pd.Timedelta(days=182), until - pd.Timedelta(days=364)
    whole = selection.whole.journeys.to_pandas()
    expected = ((whole["started_at"] >= start) & (whole["started_at"] < middle)).sum()
    assert page.summary_before()["journeys"].iloc[0] == expected


def test_all_of_the_data_has_no_period_before(page):
    assert page.summary_before() is None


def test_groups_that_are_offered_have_at_least_ten_customers(selection):
    assert selection.groups
    assert min(group.customers for group in selection.groups.values()) >= 10


def test_bindings_run_at_once_and_when_a_filter_they_depend_on_changes(page):
    steps, tiles = [], []
    page.bind(Chart(), lambda: steps.append(page["steps"]) or go.Figure(), to=["steps"])
    page.bind(Tiles(), lambda: tiles.append(1) or (), to=["customers", "period"])
    page.controls["steps"].value = 5
    assert steps == [4, 5]
    assert tiles == [1]


def test_reset_draws_once_and_sets_every_filter_back(page):
    drawn = []
    page.bind(Chart(), lambda: drawn.append(page["steps"]) or go.Figure())
    page.controls["steps"].value = 3
    page.controls["merge"].value = True
    drawn.clear()
    page.reset()
    assert drawn == [4]
    assert (page["steps"], page["merge"]) == (4, False)


def test_the_address_holds_the_filters_that_differ(page):
    page.controls["steps"].value = 3
    page.controls["merge"].value = True
    assert json.loads(page.session.filters) == {"steps": "3", "merge": "True"}
    page.reset()
    assert json.loads(page.session.filters) == {}


def test_filters_from_an_address_are_taken_if_they_exist(page):
    page.session.wanted = json.dumps(
        {"steps": "5", "period": "last 6 months", "customers": "<script>", "unknown": "1"}
    )
    assert page["steps"] == 5
    assert page["period"] == "last 6 months"
    assert page["customers"] == "all"


@pytest.mark.parametrize("text", ["", "[1]", "{", '"x"'])
def test_an_address_that_is_not_filters_changes_nothing(page, text):
    page.session.wanted = text
    assert page["steps"] == 4


def test_an_error_of_cxlib_is_shown_as_a_sentence_and_the_chart_stays(page):
    chart, faulty = Chart(), []

    def draw():
        if faulty:
            raise CxError("the log has no events; check the filters")
        return go.Figure()

    page.bind(chart, draw)
    figure = state(chart)["figure"]
    faulty.append(True)
    page.controls["steps"].value = 3
    assert state(chart)["kind"] == "error"
    assert state(chart)["message"] == "The log has no events; check the filters."
    assert state(chart)["figure"] == figure


def test_any_other_error_is_one_sentence_to_the_viewer_and_a_traceback_to_the_log(page, capsys):
    import sys

    chart = Chart()
    before, sys.__stderr__ = sys.__stderr__, sys.stderr
    try:
        page.bind(chart, lambda: 1 / 0)
    finally:
        sys.__stderr__ = before
    assert state(chart)["message"].startswith("This could not be drawn")
    assert "ZeroDivisionError" not in chart.state
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_fewer_than_ten_customers_are_not_drawn(page, selection, monkeypatch):
    few = selection.whole.journeys.customer_id.to_pandas().unique()[:9].tolist()
    log = keep_journeys(selection.whole, where={"customer_id": few})
    monkeypatch.setattr(Page, "log", log)
    chart, drawn = Chart(), []
    page.bind(chart, lambda: drawn.append(1))
    assert drawn == []
    assert "Fewer than 10 customers" in state(chart)["message"]


def test_an_empty_selection_says_what_to_do(page, selection, monkeypatch):
    monkeypatch.setattr(Page, "log", keep_journeys(selection.whole, where={"customer_id": "none"}))
    tiles = Tiles()
    page.bind(tiles, lambda: ())
    assert "Nobody matches these filters. Widen them, or reset them." in tiles.value


def test_a_click_sets_a_filter_and_an_unknown_name_does_not(page):
    chart = Chart(on_pick=page.setter("steps"))
    chart._receive(None, {"type": "pick", "name": "3"}, None)
    assert page["steps"] == 4
    page.setter("steps")(3)
    assert page["steps"] == 3


def test_segments_are_taken_before_customers_are_followed(page, selection):
    page.choose_groups("by", "Compare by")
    page.controls["by"].value = "segment"
    by, log, window = page.groups("by")
    assert by == "segment"
    assert window == {"window_start": selection.year_before, "origin": "window_start"}
    assert log.events.segment_as_of.max().to_pandas() == selection.year_before


def test_an_attribute_of_the_customer_replaces_that_of_the_event(selection):
    attribute = selection.attributes[0]
    log = selection.grouped(attribute)
    pairs = log.events.select("customer_id", attribute).distinct().to_pandas()
    assert pairs["customer_id"].is_unique


def test_an_unknown_attribute_names_the_known_ones(selection):
    with pytest.raises(CxError, match="there is no attribute 'planet' of the customers"):
        selection.grouped("planet")


def test_the_workspace_comes_from_the_environment(demo_workspace, monkeypatch):
    monkeypatch.setenv("CXLIB_WORKSPACE", str(demo_workspace))
    assert open_page().as_of == "31 December 2024"


def test_rows_of_few_customers_are_left_out_with_a_note():
    frame = pd.DataFrame({"touchpoint": ["a", "b", "c"], "n": [10, 9, 1]})
    shown, notes = enough(frame, "n", "touchpoints")
    assert shown["touchpoint"].tolist() == ["a"]
    assert notes == ["2 of 3 touchpoints have fewer than 10 customers and are not shown."]


def test_a_group_is_left_out_by_the_sum_of_its_rows():
    frame = pd.DataFrame({"plan": ["a", "a", "b"], "n": [6, 4, 9]})
    shown, notes = enough(frame, "n", "groups", by="plan")
    assert shown["plan"].unique().tolist() == ["a"]
    assert len(notes) == 1


def test_enough_rows_need_no_note():
    assert enough(pd.DataFrame({"n": [10, 20]}), "n")[1] == []


def test_tiles_show_the_change_since_the_period_before():
    columns = ["customers", "journeys", "events", "ended", "open"]
    columns += ["median_length", "median_duration_days"]
    now = pd.DataFrame([[120, 150, 600, 100, 50, 4.0, 2.5]], columns=columns)
    before = pd.DataFrame([[100, 150, 500, 150, 0, 5.0, float("nan")]], columns=columns)
    notes = [tile.note for tile in summary_tiles(now, before)]
    assert notes == [
        "▲ from 100 in the period before",
        "as in the period before (150)",
        "▼ from 5 in the period before",
        "median of 100 that ended",
    ]


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (120.4, "120 days"),
        (6.83, "6.8 days"),
        (0.5, "12 hours"),
        (0.0125, "18 minutes"),
        (0, "0 minutes"),
    ],
)
def test_a_length_of_time_has_a_unit_that_fits(days, text):
    columns = ["customers", "journeys", "events", "ended", "open"]
    columns += ["median_length", "median_duration_days"]
    now = pd.DataFrame([[120, 150, 600, 100, 50, 4.0, days]], columns=columns)
    assert summary_tiles(now)[-1].value == text


def test_a_period_before_of_few_customers_is_not_compared_with():
    columns = ["customers", "journeys", "events", "ended", "open"]
    columns += ["median_length", "median_duration_days"]
    now = pd.DataFrame([[120, 150, 600, 100, 50, 4.0, 2.5]], columns=columns)
    before = now.assign(customers=9)
    assert "period before" not in summary_tiles(now, before)[0].note


def test_the_first_name_that_exists_is_taken():
    assert first_known(["x", "b"], ["a", "b"]) == "b"
    assert first_known(["x"], ["a", "b"]) == "a"


def test_the_nouns_of_the_dashboards_reconcile(selection):
    row = summary(selection.whole).iloc[0]
    ends = dropoff(selection.whole)
    assert (ends["ended"].sum(), ends["open"].sum()) == (row["ended"], row["open"])
    assert ends["visits"].sum() == row["events"]
