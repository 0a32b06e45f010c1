import pandas as pd
import pytest

from cxlib import CxError, plot


def funnel_frame(waiting=30):
    """A hundred enter, 60 go on, 20 finish; some stand before the last step with time left."""
    return pd.DataFrame(
        {
            "step": [1, 2, 3],
            "touchpoint": ["signed_up", "viewed_plans", "paid_invoice"],
            "total": [150, 150, 150],
            "entering": [150, 100, 60],
            "reached": [100, 60, 20],
            "dropped": [50, 40, 40 - waiting],
            "open": [0, 0, waiting],
            "n": [150, 100, 60 - waiting],
            "entry_conversion_rate": [1.0, 0.6, 0.3],
            "entry_lower": [0.96, 0.5, 0.2],
            "entry_upper": [1.0, 0.69, 0.42],
            "step_conversion_rate": [0.667, 0.6, 0.5],
            "lower": [0.59, 0.5, 0.33],
            "upper": [0.74, 0.69, 0.67],
            "median_step_hours": [None, 5.0, 72.0],
        }
    )


def test_bars_are_shares_of_those_who_entered():
    figure = plot.funnel(funnel_frame())
    assert list(figure.data[0].x) == [1.0, 0.6, 0.2]
    assert list(figure.data[1].x) == [0.0, 0.0, 0.3]
    assert figure.data[1].name == "still on the way"


def test_the_interval_reaches_from_lower_to_upper_around_the_estimate():
    dots = plot.funnel(funnel_frame()).data[2]
    assert list(dots.x) == [0.6, 0.3]
    assert dots.x[1] - dots.error_x.arrayminus[1] == pytest.approx(0.2)
    assert dots.x[1] + dots.error_x.array[1] == pytest.approx(0.42)


def test_labels_say_n_and_the_share_of_entered_and_of_previous():
    texts = [note.text for note in plot.funnel(funnel_frame()).layout.annotations]
    assert texts == [
        "<b>signed up</b>  100 entered",
        "<b>viewed plans</b>  60 · 60%",
        "<b>paid invoice</b>  20 · 30% · 50% of previous",
    ]


def test_nobody_on_the_way_needs_no_grey():
    names = [trace.name for trace in plot.funnel(funnel_frame(waiting=0)).data]
    assert names == ["reached", "rate with 95% interval"]


def test_the_description_reads_the_end_the_loss_and_who_is_on_the_way():
    assert plot.funnel(funnel_frame()).layout.meta["description"] == (
        "Funnel from signed up to paid invoice: 20 of 100 who entered got to the end (30.0%, 95% "
        "interval 20.0% to 42.0%). The largest loss is before viewed plans, where 40 dropped out; "
        "30 are still on the way."
    )


def test_a_funnel_that_nobody_entered_says_so():
    nobody = funnel_frame().assign(reached=0)
    for frame in (nobody, funnel_frame().head(0)):
        text = plot.funnel(frame).layout.meta["description"]
        assert text == "Nobody entered this funnel in this selection."


def test_unknown_rates_are_not_drawn():
    frame = funnel_frame()
    frame.loc[2, ["entry_conversion_rate", "entry_lower", "entry_upper"]] = float("nan")
    frame.loc[2, ["step_conversion_rate", "lower", "upper"]] = float("nan")
    figure = plot.funnel(frame)
    assert list(figure.data[2].x) == [0.6]
    assert figure.layout.annotations[2].text == "<b>paid invoice</b>  20"


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match=r"no column 'reached'.*did you mean 'reach'"):
        plot.funnel(funnel_frame().rename(columns={"reached": "reach"}))


def test_several_groups_are_refused():
    with pytest.raises(CxError, match="several groups"):
        plot.funnel(pd.concat([funnel_frame(), funnel_frame()]))
