"""Charts of stages, of deviations from a plan, and of what these go with."""

import numpy as np
import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.plot import deviation_outcomes, plan_deviations, stage_times, stage_transitions


def times():
    return pd.DataFrame(
        {
            "stage": ["choose", "buy", "use"],
            "n": [100, 60, 40],
            "left": [90, 50, 5],
            "ended": [10, 10, 5],
            "open": [0, 0, 30],
            "median_hours": [2.0, 0.0, np.nan],
            "p90_hours": [50.0, 10.0, np.nan],
            "target_hours": [24.0, np.nan, np.nan],
            "within_target": [0.8, np.nan, np.nan],
        }
    )


def deviations():
    return pd.DataFrame(
        {
            "kind": ["skipped", "inserted", "repeated"],
            "touchpoint": ["paid_invoice", "opened_ticket", "paid_invoice"],
            "stage": ["buy", "(none)", "buy"],
            "journeys": [30, 20, 5],
            "n": [100] * 3,
            "share": [0.3, 0.2, 0.05],
            "lower": [0.22, 0.13, 0.02],
            "upper": [0.4, 0.29, 0.11],
        }
    )


def outcomes(outcome="cancelled"):
    return pd.DataFrame(
        {
            "kind": ["any", "skipped"],
            "touchpoint": ["(any)", "paid_invoice"],
            "stage": ["(any)", "buy"],
            "outcome": [outcome] * 2,
            "n": [40, 30],
            "value": [0.5, 0.6],
            "n_others": [60, 70],
            "value_others": [0.25, 0.3],
            "difference": [0.25, 0.3],
            "lower": [0.1, 0.12],
            "upper": [0.4, np.nan],
        }
    )


def moves():
    rows = [
        ("(start)", "choose", "start", "", 50, 50, None),
        ("choose", "buy", "forward", "", 30, 50, 10.0),
        ("choose", "use", "skip", "buy", 20, 50, 72.0),
        ("buy", "choose", "backward", "", 6, 30, 5.0),
        ("buy", "(end)", "end", "", 24, 30, 0.0),
        ("use", "(open)", "open", "", 20, 20, None),
    ]
    columns = ["from_stage", "to_stage", "direction", "skipped", "count", "n", "median_hours"]
    frame = pd.DataFrame(rows, columns=columns)
    share = frame["count"] / frame["n"]
    return frame.assign(probability=share, lower=share * 0.9, upper=(share * 1.1).clip(upper=1))


def test_each_stage_has_its_median_its_reach_and_its_target():
    figure = stage_times(times())
    reach, median, target = figure.data
    assert list(median.x) == [2.0, 1 / 3600]
    assert list(median.y) == [0, 1]
    assert list(reach.x) == [2.0, 50.0, None, 1 / 3600, 10.0, None]
    assert (list(target.x), list(target.y)) == ([24.0], [0])
    assert figure.layout.xaxis.type == "log"


def test_the_text_says_what_could_not_be_seen():
    assert stage_times(times()).layout.meta["description"] == (
        "Time in each stage. Choose: half of 100 stays are over after 2 hours, nine in ten after "
        "2.08 days; 80% within the target of 24 hours. Buy: half of 60 stays are over after 0 "
        "seconds, nine in ten after 10 hours. Use: fewer than half of 40 stays were seen to end."
    )
    assert "30 still go on" in stage_times(times()).layout.title.subtitle.text


def test_ticks_of_stage_times_leave_room_for_their_names():
    axis = stage_times(times()).layout.xaxis
    low, high = axis.range
    gaps = np.diff(np.log10(axis.tickvals))
    assert (gaps >= (high - low) / 6 - 1e-9).all()
    assert all(low <= tick <= high for tick in np.log10(axis.tickvals))


def test_deviations_have_a_bar_a_colour_and_a_sign_for_each_kind():
    figure = plan_deviations(deviations())
    assert [trace.name for trace in figure.data] == ["− skipped", "+ not planned", "× repeated"]
    assert [list(trace.y) for trace in figure.data] == [[0], [1], [2]]
    assert list(figure.layout.yaxis.ticktext) == [
        "paid invoice −", "opened ticket +", "paid invoice ×",
    ]  # fmt: skip
    assert len({trace.marker.color for trace in figure.data}) == 3
    assert figure.data[0].error_x.array[0] == pytest.approx(0.1)
    assert list(figure.data[0].customdata[0][:3]) == ["paid invoice", 30, 100]


def test_only_the_first_deviations_are_shown_and_the_rest_is_counted():
    figure = plan_deviations(deviations(), top=1)
    assert figure.layout.title.subtitle.text.startswith("1 of 3 deviations; 100 journeys")
    assert "paid invoice skipped in 30 (30.0%)." in figure.layout.meta["description"]


def test_outcomes_are_differences_with_their_intervals():
    figure = deviation_outcomes(outcomes())
    skipped, whole = figure.data
    assert (skipped.name, list(skipped.x)) == ("− skipped", [0.3])
    assert skipped.error_x.array[0] == 0
    assert skipped.error_x.arrayminus[0] == pytest.approx(0.18)
    assert list(whole.x) == [0.25]
    assert "60.0% of n 30, 30.0% of the other 70" in skipped.text[0]
    assert figure.layout.meta["description"] == (
        "Share with cancelled of journeys with each deviation from the plan, against those without "
        "it. The largest difference: paid invoice skipped, 60.0% (n 30) against 30.0% (n 70)."
    )


@pytest.mark.parametrize(
    ("outcome", "name"), [("sentiment", "sentiment"), ("duration_days", "duration in days")]
)
def test_means_are_named_with_their_unit(outcome, name):
    assert deviation_outcomes(outcomes(outcome)).layout.xaxis.title.text == f"difference in {name}"


def test_moves_between_stages_are_shares_of_what_leaves_a_stage():
    figure = stage_transitions(moves())
    heat = figure.data[0]
    rows, columns = list(figure.layout.yaxis.ticktext), list(figure.layout.xaxis.ticktext)
    assert rows == ["journey began (50)", "choose (50)", "buy (30)", "use (20)"]
    assert columns == ["choose", "buy", "use", "journey ended", "still open"]
    assert list(heat.z[1]) == [0.0, 0.6, 0.4, 0.0, 0.0]
    assert all(sum(row) == pytest.approx(1) for row in heat.z)
    assert heat.customdata[1][2].endswith("half of them after 3 days<br>over buy")


def test_moves_back_have_a_frame():
    figure = stage_transitions(moves())
    assert list(figure.data[0].text[2]) == ["20%", "", "", "80%", ""]
    (frame,) = figure.layout.shapes
    assert ((frame.x0 + frame.x1) / 2, (frame.y0 + frame.y1) / 2) == (0, 2)


def test_the_text_of_moves_counts_those_back_and_those_over_a_stage():
    assert stage_transitions(moves()).layout.meta["description"] == (
        "Of 56 moves from one stage to another 6 (10.7%) went back, most of them from buy to "
        "choose: 6 of 30 moves out of buy (20.0%); 20 (35.7%) went forward over a stage."
    )
    ends = moves()[lambda frame: frame["direction"].isin(["start", "end"])]
    text = stage_transitions(ends).layout.meta["description"]
    assert text == "None of 74 moves goes from one stage to another."


@pytest.mark.parametrize(
    ("chart", "frame", "sentence"),
    [
        (stage_times, times(), "No stays in this selection."),
        (stage_transitions, moves(), "No moves between stages in this selection."),
        (plan_deviations, deviations(), "No journey of this selection leaves the plan."),
        (deviation_outcomes, outcomes(), "No deviation is frequent enough to compare."),
    ],
)
def test_a_chart_without_rows_says_so(chart, frame, sentence):
    assert chart(frame.head(0), theme="dark").layout.meta["description"] == sentence


@pytest.mark.parametrize(
    ("chart", "frame"),
    [
        (stage_times, times()),
        (stage_transitions, moves()),
        (plan_deviations, deviations()),
        (deviation_outcomes, outcomes()),
    ],
)
def test_several_groups_and_missing_columns_are_refused(chart, frame):
    with pytest.raises(CxError, match="the frame holds several groups"):
        chart(pd.concat([frame, frame]))
    with pytest.raises(CxError, match=f"no column 'n' in the frame given to plot.{chart.__name__}"):
        chart(frame.drop(columns="n"))
