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


def times_frame(**groups):
    """Conversions per day, three days, for each channel."""
    groups = groups or {"web": [30, 10, 0], "phone": [1, 3, 4]}
    rows = [
        (channel, 24.0 * day, 24.0 * (day + 1), reached, sum(counts[: day + 1]), sum(counts))
        for channel, counts in groups.items()
        for day, reached in enumerate(counts)
    ]
    columns = ["channel", "from_hours", "to_hours", "reached", "cumulative", "n"]
    frame = pd.DataFrame(rows, columns=columns).assign(mean_hours=20.0)
    frame["share"] = frame["reached"] / frame["n"]
    frame["cumulative_share"] = frame.pop("cumulative") / frame["n"]
    return frame


def test_times_are_a_curve_per_group_through_the_ends_of_the_bins():
    web, phone = plot.conversion_times(times_frame()).data
    assert (list(web.x), list(web.y)) == ([0.0, 24.0, 48.0, 72.0], [0.0, 0.75, 1.0, 1.0])
    assert list(phone.y) == [0.0, 0.125, 0.5, 1.0]
    assert [web.name, phone.name] == ["web (n 40)", "phone (n 8)"]
    assert web.line.color != phone.line.color
    assert phone.line.dash == "dot"  # fewer than ten


def test_times_are_in_the_unit_that_they_fill():
    frame = times_frame(web=[1, 1, 1])
    assert plot.conversion_times(frame).layout.xaxis.title.text == "hours taken"
    longer = frame.assign(from_hours=frame["from_hours"] * 2, to_hours=frame["to_hours"] * 2)
    figure = plot.conversion_times(longer)
    assert figure.layout.xaxis.title.text == "days taken"
    assert list(figure.data[0].x) == [0.0, 2.0, 4.0, 6.0]


def test_the_largest_groups_of_times_are_shown_and_the_others_counted():
    frame = times_frame(**{f"channel_{at}": [at + 1, 0, 0] for at in range(8)})
    figure = plot.conversion_times(frame)
    assert len(figure.data) == 6
    assert figure.layout.title.subtitle.text.endswith("the 6 largest of 8 groups")


def test_the_description_of_times_reads_half_and_nine_in_ten():
    text = plot.conversion_times(times_frame()).layout.meta["description"]
    assert text == (
        "How long those took who got there. Web (40): half took less than 24.0 hours, nine in ten "
        "less than 2.0 days. Phone (8): half took less than 2.0 days, nine in ten less than 3.0 "
        "days."
    )


def test_times_of_nobody_or_of_groups_without_a_name_say_so():
    frame = times_frame()
    text = plot.conversion_times(frame.head(0), theme="dark").layout.meta["description"]
    assert text == "Nobody got there in this selection."
    nobody = times_frame(web=[3, 1, 0]).assign(n=0)
    assert len(plot.conversion_times(pd.concat([frame, nobody.assign(channel="fax")])).data) == 2
    with pytest.raises(CxError, match="the same group and bin"):
        plot.conversion_times(frame.drop(columns="channel"))
