"""The chart of re-entry."""

import pandas as pd
import pytest

from cxlib import CxError, plot
from cxlib.intervals import wilson_interval


def reentry_frame():
    rows = [
        ("paid_invoice", "(end)", 30, 40, None),
        ("paid_invoice", "opened_ticket", 8, 40, 12.0),
        ("paid_invoice", "visited_website", 2, 40, 3.5),
        ("got_solution", "opened_ticket", 6, 10, 1.0),
        ("got_solution", "(end)", 4, 10, None),
        ("left_chat", "(end)", 2, 2, None),
    ]
    columns = ["from_touchpoint", "to_touchpoint", "journeys", "n", "median_days"]
    return pd.DataFrame(rows, columns=columns)


def test_the_highest_share_is_on_top_with_its_interval():
    figure = plot.reentry(reentry_frame())
    bars = figure.data[0]
    assert list(figure.layout.yaxis.ticktext) == ["got solution", "paid invoice", "left chat"]
    assert list(bars.x) == [0.6, 0.25, 0.0]
    lower, upper = wilson_interval([6, 10, 0], [10, 40, 2])
    assert list(bars.error_x.array) == pytest.approx(list(upper - [0.6, 0.25, 0.0]))
    assert list(bars.error_x.arrayminus) == pytest.approx(list([0.6, 0.25, 0.0] - lower))


def test_the_line_is_the_share_of_all_and_the_hint_says_where_to():
    figure = plot.reentry(reentry_frame(), top=1)
    assert figure.layout.shapes[0].x0 == 16 / 52
    assert figure.layout.title.subtitle.text == "52 ended journeys; dotted: 30.8% of all"
    hint = figure.data[0].customdata[0][5]
    assert hint.startswith("opened ticket: 8, after 12.0 days at the median<br>visited website: 2")


def test_nobody_who_comes_back_is_said():
    frame = reentry_frame().query("to_touchpoint == '(end)'")
    text = plot.reentry(frame).layout.meta["description"]
    assert text == "Of 36 journeys that ended, 0 (0.0%) were followed by another."


def test_empty_and_grouped_frames_and_missing_columns_say_so():
    frame = reentry_frame()
    description = plot.reentry(frame.head(0), theme="dark").layout.meta["description"]
    assert description == "No journeys that ended in this selection."
    with pytest.raises(CxError, match="several groups"):
        plot.reentry(pd.concat([frame, frame]))
    with pytest.raises(CxError, match="did you mean 'journey'"):
        plot.reentry(frame.rename(columns={"journeys": "journey"}))
