import pytest

from cxlib import CxError, plot
from tests.plot.frames import curve_frame


def at_risk(figure):
    return [list(trace.text) for trace in figure.data if trace.mode == "text"]


def test_the_number_at_risk_stands_at_the_ticks_with_the_largest_group_first():
    figure = plot.survival(curve_frame())
    assert list(figure.layout.xaxis.tickvals) == [0, 14, 28, 42, 56]
    assert at_risk(figure) == [["50", "50", "50", "40", "40"], ["20", "20", "20", "8", "8"]]
    assert [text.split("</span> ")[1] for text in figure.layout.yaxis2.ticktext] == ["loyal", "new"]


def test_nobody_is_at_risk_after_the_last_time():
    figure = plot.survival(curve_frame(loyal=[(0, 20, 1.0), (56, 20, 0.5)], new=[(0, 9, 1.0)]))
    assert at_risk(figure)[1] == ["9", "0", "0", "0", "0"]


def test_lines_are_steps_and_dotted_where_fewer_than_ten_are_at_risk():
    lines = [trace for trace in plot.survival(curve_frame()).data if trace.name]
    assert {trace.line.shape for trace in lines} == {"hv"}
    thin = [trace for trace in lines if trace.line.dash == "dot"]
    assert [list(trace.x) for trace in thin] == [[30, 60]]


def test_medians_are_marked_where_half_remain():
    figure = plot.survival(curve_frame())
    marks = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [trace.x[0] for trace in marks] == [30]


def test_the_description_reads_medians_in_plain_language():
    text = plot.survival(curve_frame()).layout.meta["description"]
    assert text == (
        "Share of 70 customers who have not reached the end, by days. "
        "Half had reached it by day 30 (new); 80% of loyal had not reached it by day 60, the last "
        "seen."
    )


def test_colours_depend_on_the_names_and_not_on_the_sizes():
    small = curve_frame(a=[(0, 5, 1.0)], b=[(0, 50, 1.0)])
    large = curve_frame(a=[(0, 50, 1.0)], b=[(0, 5, 1.0)])

    def colour(frame, name):
        return next(t.line.color for t in plot.survival(frame).data if t.name == name)

    assert colour(small, "a") == colour(large, "a") != colour(small, "b")


def test_the_title_and_the_axis_say_what_is_waited_for():
    figure = plot.survival(curve_frame(), event="gave_feedback")
    assert figure.layout.title.text == "How long until customers reach “gave feedback”, by segment"
    assert figure.layout.yaxis.title.text == "have not reached “gave feedback” (%)"
    assert "70 customers who have not reached “gave feedback”" in figure.layout.meta["description"]


def test_without_a_name_of_the_event_nobody_is_said_to_leave():
    figure = plot.survival(curve_frame())
    assert figure.layout.title.text == "How long until customers reach the end, by segment"
    texts = [figure.layout.meta["description"], figure.layout.yaxis.title.text]
    texts += [str(trace.hovertemplate) for trace in figure.data]
    for word in ("left", "gone", "stay", "remain"):
        assert not any(word in text for text in texts)


def test_bands_lie_below_all_lines():
    kinds = [trace.name is not None for trace in plot.survival(curve_frame()).data]
    assert kinds.index(True) == 4


def test_where_the_curve_is_zero_the_band_has_no_gap():
    frame = curve_frame(all=[(0, 20, 1.0), (9, 20, 0.0)])
    frame.loc[1, ["lower", "upper"]] = None
    assert list(plot.survival(frame).data[0].y) == [1.0, 0.0]


def test_one_curve_needs_no_group():
    frame = curve_frame(all=[(0, 50, 1.0), (30, 50, 0.9)]).drop(columns="segment")
    figure = plot.survival(frame)
    assert figure.layout.title.text == "How long until customers reach the end"


def test_more_groups_than_can_be_told_apart_are_cut_and_said():
    frame = curve_frame(**{f"g{n}": [(0, 20 + n, 1.0), (9, 20, 0.9)] for n in range(10)})
    figure = plot.survival(frame)
    assert len(figure.layout.yaxis2.ticktext) == 8
    assert "the 8 largest of 10 groups" in figure.layout.title.subtitle.text


@pytest.mark.parametrize("end", [0, 0.4, 1, 7, 29, 365, 3_650, 80_000])
@pytest.mark.parametrize("unit", ["days", "weeks"])
def test_there_are_at_most_seven_ticks(end, unit):
    frame = curve_frame(all=[(0, 20, 1.0), (end, 20, 0.9)])
    frame = frame.rename(columns={"duration_days": f"duration_{unit}"})
    ticks = plot.survival(frame).layout.xaxis.tickvals
    assert 1 <= len(ticks) <= 7
    assert ticks[0] == 0


def test_an_empty_frame_gives_a_figure_with_a_sentence():
    figure = plot.survival(curve_frame().head(0))
    assert figure.layout.meta["description"] == "No customers in this selection."


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match=r"no column 'survival'.*did you mean 'survivals'"):
        plot.survival(curve_frame().rename(columns={"survival": "survivals"}))


def test_a_frame_without_durations_says_what_is_needed():
    with pytest.raises(CxError, match="needs one column duration_<unit>"):
        plot.survival(curve_frame().drop(columns="duration_days"))


def test_two_columns_of_groups_are_refused():
    with pytest.raises(CxError, match="keep the one that names the group"):
        plot.survival(curve_frame().assign(plan="pro"))
