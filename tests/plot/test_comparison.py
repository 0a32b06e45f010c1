import pytest

from cxlib import CxError, plot
from tests.plot.frames import change_frame


def test_dots_are_points_of_difference_coloured_where_they_are_sure():
    more, less, same = plot.comparison(change_frame()).data
    assert (more.name, more.marker.color) == ("2024: more", "#d55e00")
    assert list(more.x) == pytest.approx([15.0])
    assert list(less.x) == pytest.approx([-20.0])
    assert (same.name, same.marker.color) == ("chance may explain it", "#7a8ba3")
    assert list(less.error_x.array) == pytest.approx([4.0])
    assert list(less.error_x.arrayminus) == pytest.approx([5.0])


def test_rows_keep_the_order_of_the_frame_and_are_named_by_their_cell():
    figure = plot.comparison(change_frame())
    assert figure.layout.yaxis.ticktext[0] == "used chatbot<br>→ journey ended"
    assert figure.data[1].y[0] == 0
    assert "2023: 58.0% (58 of 100)" in figure.data[1].text[0]


def test_the_subtitle_says_how_many_are_sure_and_shown():
    text = plot.comparison(change_frame(), top=2).layout.title.subtitle.text
    assert text == (
        "2024 less 2023; 2 of 3 shown; 2 of 3 differences are more than chance explains"
    )


def test_ratios_that_are_no_shares_keep_their_unit():
    frame = change_frame().assign(compared="per_journey")
    figure = plot.comparison(frame)
    assert list(figure.data[0].x) == pytest.approx([0.15])
    assert "points" not in figure.layout.xaxis.title.text


def test_rows_without_a_difference_are_left_out():
    frame = change_frame()
    frame.loc[0, ["difference", "lower", "upper", "p_adjusted"]] = None
    assert len(plot.comparison(frame).layout.yaxis.ticktext) == 2
    figure = plot.comparison(frame.head(1))
    assert figure.layout.meta["description"] == "No difference is known in this selection."


def test_when_nothing_is_sure_the_text_says_so():
    frame = change_frame().assign(p_adjusted=0.5)
    assert "Chance may explain each" in plot.comparison(frame).layout.meta["description"]


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match="did you mean 'diference'"):
        plot.comparison(change_frame().rename(columns={"difference": "diference"}))
