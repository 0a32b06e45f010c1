"""The timeline of one customer."""

import pandas as pd
import pytest

from cxlib import CxError, plot


def timeline_frame(events=4):
    hours = [0, 1, 200, 201, 700, 900, 901, 1500][:events]
    return pd.DataFrame(
        {
            "customer_id": "a",
            "journey_id": ["a/1", "a/1", "a/2", "a/2", "a/3", "a/3", "a/3", "a/4"][:events],
            "occurred_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h"),
            "touchpoint": ["visited_website", "signed_up", "opened_ticket", "got_solution"] * 2
            if events == 8
            else ["visited_website", "signed_up", "opened_ticket", "got_solution"][:events],
            "channel": ["web", "web", "phone", None, "web", "web", "phone", "web"][:events],
            "department": None,
            "sentiment": [None, 0.5, -0.5, None, None, None, 1.0, None][:events],
            "wait_hours": [None, *pd.Series(hours).diff().tolist()[1:]],
            "events": events,
        }
    )


def dots(figure):
    return [trace for trace in figure.data if trace.mode == "markers"]


def test_lanes_are_the_channels_and_what_has_none_has_a_lane():
    figure = plot.timeline(timeline_frame())
    assert list(figure.layout.yaxis.ticktext) == ["web", "phone", "not known"]
    assert figure.layout.title.subtitle.text == (
        "4 events in 2 journeys, by channel; hollow: no score"
    )


def test_lanes_are_the_touchpoints_where_nothing_else_is_known():
    frame = timeline_frame().assign(channel=None)
    assert plot.timeline(frame).layout.yaxis.ticktext[0] == "visited website"
    assert list(plot.timeline(frame, lanes="channel").layout.yaxis.ticktext) == ["not known"]


def test_a_long_name_of_a_lane_takes_two_lines_and_its_event_is_named_whole():
    frame = timeline_frame().assign(channel=None, touchpoint="got_ticket_closed_by_the_desk")
    figure = plot.timeline(frame.assign(touchpoint=["got_ticket_closed"] * len(frame)))
    assert list(figure.layout.yaxis.ticktext) == ["got ticket<br>closed"]
    assert "got ticket closed" in figure.data[-1].text
    (cut,) = plot.timeline(frame).layout.yaxis.ticktext
    assert cut == "got ticket<br>closed by the d…"


def test_scored_events_are_coloured_and_the_others_hollow():
    hollow, scored = dots(plot.timeline(timeline_frame()))
    assert hollow.marker.symbol == "circle-open"
    assert list(scored.marker.color) == [0.5, -0.5]
    assert "sentiment -0.50" in scored.customdata[1]
    assert "8.3 days after the event before" in scored.customdata[1]


def test_a_line_joins_the_events_of_each_journey_and_no_others():
    line = plot.timeline(timeline_frame()).data[0]
    assert [y is None for y in line.y] == [False, False, True, False, False, True]


def test_events_may_stand_apart_by_their_order():
    figure = plot.timeline(timeline_frame(), time="order")
    assert sorted(x for trace in dots(figure) for x in trace.x) == [1, 2, 3, 4]


def test_names_never_overlap_on_a_narrow_screen():
    frame = timeline_frame(8)
    labels = plot.timeline(frame).data[-1]
    low, high = plot.timeline(frame).layout.xaxis.range
    seen = {}
    for x, y, text, side in zip(labels.x, labels.y, labels.text, labels.textposition, strict=True):
        at = (pd.Timestamp(x) - pd.Timestamp(low)) / (pd.Timestamp(high) - pd.Timestamp(low)) * 250
        width = 6.4 * len(text)
        left = {"top right": at, "top left": at - width, "top center": at - width / 2}[side]
        assert left >= 0
        for other, end in seen.setdefault(y, []):
            assert left > end or left + width < other
        seen[y].append((left, left + width))
    assert "visited website" in labels.text


def test_one_event_is_a_timeline_and_three_hundred_are():
    assert len(plot.timeline(timeline_frame(1)).data) == 3
    many = pd.concat([timeline_frame(8)] * 40, ignore_index=True)
    many["occurred_at"] = pd.date_range("2024-01-01", periods=len(many), freq="h")
    assert sum(len(trace.x) for trace in dots(plot.timeline(many))) == 320


def test_a_timeline_that_was_cut_says_so():
    subtitle = plot.timeline(timeline_frame().assign(events=900)).layout.title.subtitle.text
    assert subtitle.startswith("the latest 4 of 900 events")


def test_the_chart_has_a_look_and_a_text_alternative():
    frame = timeline_frame()
    figure = plot.timeline(frame, theme="dark")
    assert figure.layout.template.layout.paper_bgcolor == "#171c24"
    assert figure.layout.meta["description"].endswith(".")
    assert plot.timeline(frame).to_json() == plot.timeline(frame).to_json()
    assert len(figure.layout.title.subtitle.text) <= 57
    empty = plot.timeline(frame.head(0)).layout.meta["description"]
    assert empty == "No events in this selection."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.timeline(timeline_frame(), lanes="chanel"), "did you mean 'channel'"),
        (lambda: plot.timeline(timeline_frame(), time="ordr"), "did you mean 'order'"),
        (lambda: plot.timeline(timeline_frame()[["customer_id"]]), "no column 'journey_id'"),
        (lambda: plot.timeline(pd.concat([timeline_frame(), timeline_frame().replace("a", "b")])),
         "the frame holds 2 customers, and a timeline shows one"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why(call, message):
    with pytest.raises(CxError, match=message):
        call()
