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


def test_where_no_journey_has_ended_no_touchpoint_ends_most_of_them():
    frame = dropoff_frame().assign(ended=0, dropoff_rate=0.0)
    said = plot.dropoff(frame).layout.meta["description"]
    assert said == "No journey in this selection has ended."


def test_a_touchpoint_that_always_ends_a_journey_is_left_out_and_named():
    frame = dropoff_frame()
    frame.loc[0, ["ended", "dropoff_rate"]] = [100, 1.0]
    figure = plot.dropoff(frame)
    assert list(figure.layout.yaxis.ticktext) == ["viewed home", "paid invoice"]
    assert "opened ticket, which always ends a journey" in figure.layout.title.subtitle.text
    frame.loc[1:, ["ended", "dropoff_rate"]] = [0, 0.0]
    said = plot.dropoff(frame).layout.meta["description"]
    assert said.endswith("No journey ended after any of these touchpoints.")


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


def abandonment_frame():
    """Surely more, surely fewer, perhaps chance, never matched, and always the end."""
    rows = [
        ("used_chatbot", 110, 35, 100, 300, 0.3, 0.12, 0.18, 0.09, 0.27, 18.0, 0.04),
        ("viewed_home", 60, 9, 50, 90, 0.14, 0.1, 0.04, -0.06, 0.14, 2.0, None),
        ("talked_to_sales", 90, 4, 80, 200, 0.05, 0.2, -0.15, -0.22, -0.08, -12.0, 0.01),
        ("bought_extra", 20, 20, 20, 30, 1.0, 0.1, 0.9, 0.8, 1.0, 18.0, 0.0),
        ("got_letter", 5, 1, 0, 0, None, None, None, None, None, None, None),
    ]
    columns = ["touchpoint", "n", "ended", "matched", "n_elsewhere", "matched_rate",
               "expected_rate", "difference", "lower", "upper", "excess",
               "path_difference"]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(dropoff_rate=frame["ended"] / frame["n"])


def test_abandonment_parts_what_goes_with_the_touchpoint_from_the_path_to_it():
    figure = plot.abandonment(abandonment_frame())
    assert list(figure.layout.yaxis.ticktext) == ["used chatbot", "viewed home", "talked to sales"]
    path, *parts = figure.data
    assert (list(path.x), list(path.y)) == ([4.0, 1.0], [0, 2])
    assert {part.name: list(part.x) for part in parts} == {
        "touchpoint: more": [18.0],
        "touchpoint: fewer": [-15.0],
        "touchpoint: may be chance": [4.0],
    }
    assert parts[0].error_x.array[0] == pytest.approx(9.0)
    assert parts[0].error_x.arrayminus[0] == pytest.approx(9.0)
    assert len({part.marker.color for part in parts}) == 3


def test_only_the_first_touchpoints_of_abandonment_are_shown_and_the_rest_is_counted():
    figure = plot.abandonment(abandonment_frame(), top=1)
    assert figure.layout.title.subtitle.text == "1 of 3 touchpoints; whiskers are 95% intervals"


def test_a_touchpoint_without_excess_is_not_called_one():
    frame = abandonment_frame().query("touchpoint == 'talked_to_sales'")
    text = plot.abandonment(frame).layout.meta["description"]
    assert text == "After the same path, none of 1 touchpoints has more endings than elsewhere."


def test_abandonment_without_a_match_or_with_several_groups_says_so():
    frame = abandonment_frame()
    text = plot.abandonment(frame.query("matched == 0")).layout.meta["description"]
    assert text == "No visit here can be held against one elsewhere."
    with pytest.raises(CxError, match="several groups"):
        plot.abandonment(pd.concat([frame, frame]))
    with pytest.raises(CxError, match="no column 'excess' in the frame given"):
        plot.abandonment(frame.drop(columns="excess"))
