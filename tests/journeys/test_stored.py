"""A log in its stored form, with names kept as numbers, gives the answers of the same log held."""

from dataclasses import replace

import ibis
import pandas as pd
import pytest

from cxlib.engine.connect import connect
from cxlib.engine.writing import create_named_table
from cxlib.journeys.counted import count_ahead
from cxlib.journeys.log import Journeys
from cxlib.journeys.prepare import journey_table
from cxlib.journeys.verbs import keep_journeys, merge_repeats, split_journeys
from cxlib.tables import END, OPEN
from tests.journeys.logs import log_of, rows_of
from tests.journeys.nouns import NOUNS

PATHS = {
    "a": "visit buy visit@50 buy visit",
    "b": "visit@0 visit@30 ask",
    "c": "buy visit@1 buy@1 buy",
    "d": "ask visit visit@40 visit buy",
    "e": "visit@1400",
}
DEPARTMENTS = {"visit": "desk", "buy": "sales", "ask": "help"}
VERBS = {
    "kept": lambda log: keep_journeys(log, containing="buy"),
    "merged": merge_repeats,
    "split": lambda log: split_journeys(log, gap="30 minutes"),
}


@pytest.fixture(scope="module")
def logs() -> tuple[Journeys, Journeys]:
    con = connect()
    rows = [row | {"department": DEPARTMENTS[row["touchpoint"]]} for row in rows_of(PATHS)]
    held = split_journeys(log_of(con, rows), gap="1 day")
    names = [*DEPARTMENTS, END, OPEN]
    events = count_ahead(held.events).order_by("customer_id", "occurred_at", "event_id")
    events = create_named_table(con, "events", events, ["touchpoint", "next_touchpoint"], names)
    journeys = create_named_table(con, "journeys", journey_table(events), ["path"], names)
    return held, replace(held, events=events, journeys=journeys)


@pytest.mark.parametrize("name", sorted(NOUNS))
def test_every_measure_gives_the_same_on_a_stored_log(logs, name):
    pd.testing.assert_frame_equal(*(NOUNS[name](log) for log in logs))


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("name", ["flows", "funnel", "transitions"])
def test_a_stored_log_may_be_changed(logs, name, verb):
    pd.testing.assert_frame_equal(*(NOUNS[name](VERBS[verb](log)) for log in logs))


def test_names_read_sort_and_compare_as_text():
    con = connect()
    rows = ibis.memtable({"name": ["b", "B", "é", "a"], "path": [["b", "a"], ["B"], ["é"], ["a"]]})
    table = create_named_table(con, "rows", rows, ["name", "path"], ["a", "b", "é", "B", "b"])
    assert table.schema() == rows.schema()
    assert table.order_by("name").to_pandas()["name"].to_list() == ["B", "a", "b", "é"]
    assert table.filter(table.name == "none of them").count().to_pandas() == 0
    assert table.order_by("name").path.map(lambda name: name.upper()).to_list()[2] == ["B", "A"]


@pytest.mark.parametrize("names", [[], [f"name {n}" for n in range(251)]])
def test_none_and_very_many_names_stay_text(names):
    con = connect()
    rows = ibis.memtable({"name": names}, schema={"name": "string"})
    create_named_table(con, "rows", rows, ["name"], names)
    kind = con.raw_sql("SELECT data_type FROM duckdb_columns() WHERE table_name = 'rows'")
    assert kind.fetchall() == [("VARCHAR",)]
