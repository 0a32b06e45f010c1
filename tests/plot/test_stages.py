"""Charts of stage times, of deviations from a plan, and of what these go with."""

import numpy as np
import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.plot import deviation_outcomes, plan_deviations, stage_times


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


@pytest.mark.parametrize(
    ("chart", "frame", "sentence"),
    [
        (stage_times, times(), "No stays in this selection."),
        (plan_deviations, deviations(), "No journey of this selection leaves the plan."),
        (deviation_outcomes, outcomes(), "No deviation is frequent enough to compare."),
    ],
)
def test_a_chart_without_rows_says_so(chart, frame, sentence):
    assert chart(frame.head(0), theme="dark").layout.meta["description"] == sentence


@pytest.mark.parametrize(
    ("chart", "frame"),
    [(stage_times, times()), (plan_deviations, deviations()), (deviation_outcomes, outcomes())],
)
def test_several_groups_and_missing_columns_are_refused(chart, frame):
    with pytest.raises(CxError, match="the frame holds several groups"):
        chart(pd.concat([frame, frame]))
    with pytest.raises(CxError, match=f"no column 'n' in the frame given to plot.{chart.__name__}"):
        chart(frame.drop(columns="n"))
