"""The picture of a journey map."""

import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.journeys.maps import JourneyMap
from cxlib.plot import journey_map

PLAN = JourneyMap(
    name="Order",
    stages=[
        {
            "stage": "choose",
            "target_time": "14 days",
            "steps": [
                "visited_site",
                {"any_order": ["compared", {"touchpoint": "asked", "optional": True}]},
            ],
        },
        {
            "stage": "buy",
            "steps": [
                {
                    "touchpoint": "paid",
                    "departments": "sales",
                    "channels": ["web", "app"],
                    "target_time": "2 days",
                    "target_sentiment": 0.2,
                }
            ],
        },
    ],
)


def actual():
    frame = PLAN.frame()
    return frame.assign(
        journeys=[100, 80, 10, 50], n=100, share=[1.0, 0.8, 0.1, 0.5], lower=[0.7, 0.5, 0, 0.2],
        upper=[1.0, 0.9, 0.4, 0.8], median_hours=[9.0, 2.0, 30.0, 100.0], waits=[40, 80, 9, 50],
        within_target=[None, None, None, 0.4], scored=[0, 0, 0, 4],
        sentiment=[None, None, None, 0.25], sentiment_lower=None, sentiment_upper=None,
    )  # fmt: skip


def texts(figure):
    written = [text for trace in figure.data if trace.mode == "text" for text in trace.text]
    return written + [note.text for note in figure.layout.annotations]


def boxes(figure):
    return [shape for shape in figure.layout.shapes if shape.type == "rect"]


def test_every_touchpoint_has_a_box_in_the_column_of_its_stage():
    figure = journey_map(PLAN.frame())
    found = boxes(figure)
    assert [int(box.x0) for box in found] == [0, 0, 0, 1]
    assert found[0].y1 < found[1].y0 < found[1].y1 < found[2].y0
    assert found[3].y0 == found[0].y0
    assert [box.line.dash for box in found] == ["solid", "solid", "dot", "solid"]


def test_names_targets_departments_and_groups_are_written():
    written = texts(journey_map(PLAN.frame()))
    for text in (
        "<b>visited site</b>",
        "sales · web, app",
        "target: within 2 days, mood +0.2",
        "within 14 days",
        "in any order",
    ):
        assert text in written


def test_boxes_are_filled_as_far_as_journeys_have_the_step():
    fills = [box for box in boxes(journey_map(actual())) if box.fillcolor]
    widths = [round((box.x1 - box.x0) / 0.92, 6) for box in fills]
    assert widths == [1, 0.8, 0.1, 0.5]
    written = texts(journey_map(actual()))
    assert "50%, after 4.17 days" in written
    assert "80%, after 2 hours" in written


def test_a_wait_is_told_from_10_on_and_never_of_the_first_step():
    figure = journey_map(actual())
    written = texts(figure)
    assert "100%" in written
    assert "10%" in written
    assert sum("after" in text for text in written) == 2
    assert ["half come within" in text for text in figure.data[-1].text] == [0, 1, 0, 1]


def test_pointing_at_a_box_tells_all_that_is_known_of_it():
    figure = journey_map(actual())
    hover = figure.data[-1]
    assert hover.text[3] == (
        "<b>paid</b><br>department: sales<br>channel: web, app<br>"
        "target: within 2 days, mood +0.2<br>"
        "50 of 100 journeys (50.0%, 95% interval 20.0% to 80.0%)<br>"
        "half come within 4.17 days of the step before, n 50<br>40.0% in the target time<br>"
        "mean sentiment +0.25, n 4"
    )
    assert hover.y[0] == boxes(figure)[0].y0 + (boxes(figure)[0].y1 - boxes(figure)[0].y0) / 2


def test_the_text_says_what_the_picture_shows():
    assert journey_map(actual()).layout.meta["description"] == (
        "A journey of 2 stages and 3 steps. Choose: visited site (100%), compared (in any order, "
        "80%), asked (optional, in any order, 10%). Buy: paid (50%)."
    )


def test_long_names_are_broken_and_cut():
    plan = JourneyMap(
        name="x",
        stages=[
            {"stage": "a", "steps": ["determine_the_necessity_of_a_report_to_stop_advice"]},
            {"stage": "b", "steps": ["c"]},
        ],
    )
    name = next(text for text in texts(journey_map(plan.frame())) if "determine" in text)
    lines = name.removeprefix("<b>").removesuffix("</b>").split("<br>")
    assert len(lines) == 2
    assert max(len(line) for line in lines) <= 20
    assert lines[1].endswith("…")


def test_wide_maps_scroll_on_a_phone():
    assert journey_map(PLAN.frame()).layout.meta["min_width"] > 330


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_map_without_steps_says_so(theme):
    empty = journey_map(PLAN.frame().head(0), theme=theme)
    assert empty.layout.meta["description"] == "The map has no steps."


def test_a_missing_column_is_named():
    with pytest.raises(CxError, match="no column 'touchpoint' in the frame given"):
        journey_map(PLAN.frame().rename(columns={"touchpoint": "touchpoints"}))


def test_the_frame_is_not_changed():
    frame = actual()
    before = frame.copy()
    journey_map(frame)
    pd.testing.assert_frame_equal(frame, before)
