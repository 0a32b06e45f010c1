import gzip
import json

import pandas as pd
import plotly.graph_objects as go
import pytest

from cxlib.publish.widgets import Chart, Session, Table, Tile, Tiles


def state(chart):
    return json.loads(chart.state)


@pytest.fixture
def sent(monkeypatch):
    """What charts send to the browser."""
    messages = []
    for kind in (Chart, Session):
        monkeypatch.setattr(
            kind, "send", lambda self, content, buffers=None: messages.append((content, buffers))
        )
    return messages


def test_a_chart_waits_until_it_has_a_figure():
    assert state(Chart("flows"))["kind"] == "waiting"


def test_a_figure_goes_as_json_without_its_template():
    chart = Chart("flows", as_of="31 December 2024")
    chart.show(go.Figure(go.Bar(x=[1], y=[2])), notes=["two"])
    content = state(chart)
    assert (content["kind"], content["name"], content["as_of"]) == (
        "ready", "flows", "31 December 2024",
    )  # fmt: skip
    assert "template" not in content["figure"]["layout"]
    assert content["notes"] == ["two"]


def test_each_figure_has_a_new_version():
    chart = Chart()
    chart.show(go.Figure())
    chart.show(go.Figure())
    assert state(chart)["version"] == 2


def test_a_table_keeps_numbers_and_says_what_they_are():
    frame = pd.DataFrame(
        {
            "touchpoint": ["a"],
            "plan": ["pro"],
            "n": [12],
            "dropoff_rate": [0.25],
            "lift": [1.5],
            "lower": [float("nan")],
            "when": pd.to_datetime(["2024-01-02"]),
        }
    )
    chart = Chart()
    chart.show(go.Figure(), frame)
    table = state(chart)["table"]
    assert [column["kind"] for column in table["columns"]] == [
        "name", "text", "integer", "share", "number", "share", "text",
    ]  # fmt: skip
    assert table["rows"] == [["a", "pro", 12, 0.25, 1.5, None, "2024-01-02T00:00:00.000"]]


def test_a_bound_above_one_is_a_number_and_no_share():
    chart = Chart()
    chart.show(go.Figure(), pd.DataFrame({"upper": [0.5, 1.5]}))
    assert state(chart)["table"]["columns"][0]["kind"] == "number"


def test_an_error_leaves_the_figure_and_the_next_figure_clears_the_error():
    chart = Chart()
    chart.show(go.Figure())
    chart.fail("No.")
    assert state(chart)["kind"] == "error"
    assert state(chart)["figure"] is not None
    chart.show(go.Figure())
    assert state(chart)["message"] == ""


def test_plotly_is_sent_compressed_and_only_when_it_is_asked_for(sent):
    Chart()._receive(None, {"type": "assets", "plotly": True}, None)
    content, buffers = sent[-1]
    assert set(content["templates"]) == {"light", "dark"}
    assert gzip.decompress(buffers[0])[:20].startswith(b"/**\n* plotly.js")
    assert len(buffers[0]) < 2_000_000
    Chart()._receive(None, {"type": "assets", "plotly": False}, None)
    assert sent[-1][1] is None


@pytest.mark.parametrize("content", [{}, {"type": "pick"}, {"type": "pick", "name": 3}, {"x": 1}])
def test_unexpected_messages_do_nothing(content, sent):
    picked = []
    Chart(on_pick=picked.append)._receive(None, content, None)
    assert picked == []
    assert sent == []


def test_a_click_is_passed_on():
    picked = []
    Chart(on_pick=picked.append)._receive(None, {"type": "pick", "name": "signed_up"}, None)
    assert picked == ["signed_up"]


def test_a_sign_of_life_is_answered(sent):
    Session(on_wanted=print)._receive(None, {"type": "ping"}, None)
    assert sent == [({"type": "pong"}, None)]


def test_tiles_escape_what_they_show():
    tiles = Tiles()
    tiles.show(Tile("<b>", "1 < 2", "&"))
    assert "&lt;b&gt;" in tiles.value
    assert "1 &lt; 2" in tiles.value


def test_a_table_alone_has_a_title_and_no_figure():
    table = Table("medians", "Time after which half are gone")
    table.show(pd.DataFrame({"n": [1]}))
    assert state(table)["title"] == "Time after which half are gone"
    assert state(table)["figure"] is None
