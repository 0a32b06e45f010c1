import pandas as pd
import pytest

from cxlib import CxError, plot
from tests.plot.frames import dropoff_frame


def test_touchpoints_are_sorted_into_more_fewer_and_as_expected():
    figure = plot.dropoff(dropoff_frame())
    kinds = {trace.name: [data[0] for data in trace.customdata] for trace in figure.data[1:]}
    assert kinds == {
        "more than expected": ["opened ticket"],
        "fewer than expected": ["viewed home"],
        "as expected": ["paid invoice"],
    }


def test_expected_stands_behind_observed_as_a_share_of_n():
    figure = plot.dropoff(dropoff_frame())
    assert list(figure.data[0].x) == [0.2, 0.15, 0.1]


def test_a_touchpoint_whose_journeys_are_all_open_is_left_out():
    figure = plot.dropoff(dropoff_frame())
    assert "just opened" not in figure.layout.yaxis.ticktext


def test_a_touchpoint_that_always_ends_a_journey_is_left_out_and_named():
    frame = dropoff_frame()
    frame.loc[0, ["ended", "dropoff_rate"]] = [100, 1.0]
    figure = plot.dropoff(frame)
    assert list(figure.layout.yaxis.ticktext) == ["viewed home", "paid invoice"]
    assert "opened ticket, which always ends a journey" in figure.layout.title.subtitle.text


def test_the_interval_reaches_from_lower_to_upper():
    bar = plot.dropoff(dropoff_frame()).data[1]
    assert bar.x[0] - bar.error_x.arrayminus[0] == pytest.approx(0.5)
    assert bar.x[0] + bar.error_x.array[0] == pytest.approx(0.69)


def test_only_the_top_rows_are_shown_and_the_subtitle_says_so():
    figure = plot.dropoff(dropoff_frame(), top=1)
    assert list(figure.layout.yaxis.ticktext) == ["opened ticket"]
    assert figure.layout.title.subtitle.text.startswith("1 of 3 touchpoints; 100 journeys ended")


def test_the_description_reads_the_first_row():
    text = plot.dropoff(dropoff_frame()).layout.meta["description"]
    assert text.startswith(
        "Journeys end most often after opened ticket: in 60 of 100 visits (60.0%)"
    )
    assert "3.0 times as often as expected" in text


def test_an_empty_frame_gives_a_figure_with_a_sentence():
    figure = plot.dropoff(dropoff_frame().head(0))
    assert figure.layout.meta["description"] == "No journeys in this selection."


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match=r"no column 'dropoff_rate'.*did you mean 'drop_off_rate'"):
        plot.dropoff(dropoff_frame().rename(columns={"dropoff_rate": "drop_off_rate"}))


def test_several_groups_are_refused():
    with pytest.raises(CxError, match="several groups"):
        plot.dropoff(pd.concat([dropoff_frame(), dropoff_frame()]))
