import pandas as pd
import pytest

from cxlib import CxError, plot


def cohort_frame():
    return pd.DataFrame(
        {
            "cohort": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-02-01"]),
            "period": [0, 1, 0],
            "label": ["month 0", "month 1", "month 0"],
            "n": [40, 40, 20],
            "customers": [40, 10, 20],
            "retention": [1.0, 0.25, 1.0],
            "lower": [0.91, 0.14, 0.84],
            "upper": [1.0, 0.4, 1.0],
            "revenue_retention": [1.0, 1.5, None],
            "complete": [True, True, False],
        }
    )


def lifecycle_frame():
    return pd.DataFrame(
        {
            "period": pd.to_datetime(["2024-01-01", "2024-02-01"]),
            "active": [40, 30],
            "new": [40, 10],
            "returning": [0, 20],
            "resurrected": [0, 0],
            "dormant": [0, 20],
            "complete": [True, False],
        }
    )


def test_cohorts_are_rows_and_what_had_not_begun_is_empty():
    heat = plot.cohorts(cohort_frame()).data[0]
    assert list(heat.y) == ["2024-01  (40)", "2024-02  (20)"]
    assert [list(row) for row in heat.z] == [[1.0, 0.25], [1.0, None]]


def test_a_cell_that_is_not_over_has_an_asterisk():
    figure = plot.cohorts(cohort_frame())
    assert [list(row) for row in figure.data[0].text] == [["100%", "25%"], ["100%*", ""]]
    assert "* not yet over" in figure.layout.title.subtitle.text


def test_cohorts_from_before_the_records_are_left_out_and_counted():
    frame = cohort_frame().assign(observed=[False, False, True])
    figure = plot.cohorts(frame)
    assert list(figure.data[0].y) == ["2024-02  (20)"]
    assert "1 from before the records not shown" in figure.layout.title.subtitle.text
    none = plot.cohorts(frame.assign(observed=False))
    assert none.layout.meta["empty"]


def test_revenue_may_be_more_than_at_first():
    figure = plot.cohorts(cohort_frame(), measure="revenue_retention")
    assert figure.data[0].zmax == 1.5
    assert "the median cohort has 150.0%" in figure.layout.meta["description"]


def test_revenue_that_nobody_had_at_first_is_said_and_not_drawn():
    frame = cohort_frame().assign(revenue_retention=float("nan"))
    figure = plot.cohorts(frame, measure="revenue_retention")
    assert "No cohort has value in its first period" in figure.layout.meta["description"]
    assert not figure.data


def test_periods_have_short_names_and_cohorts_are_as_exact_as_their_period():
    axis = plot.cohorts(cohort_frame()).layout.xaxis
    assert list(axis.ticktext) == ["0", "1"]
    assert axis.title.text == "months since the cohort began"
    spans = cohort_frame().assign(label=["0 to 7 days", "7 to 30 days", "0 to 7 days"])
    figure = plot.cohorts(spans)
    assert list(figure.layout.xaxis.ticktext) == ["0–7", "7–30"]
    assert figure.data[0].y[0] == "2024-01-01  (40)"


@pytest.mark.parametrize("chart", [plot.cohorts, plot.lifecycle])
def test_a_subtitle_fits_a_phone(chart):
    frame = cohort_frame() if chart is plot.cohorts else lifecycle_frame()
    assert len(chart(frame).layout.title.subtitle.text) <= 57


def test_the_dormant_hang_below_zero_and_what_is_not_over_is_paler():
    bars = {bar.name: bar for bar in plot.lifecycle(lifecycle_frame()).data}
    assert list(bars["dormant"].y) == [0, -20]
    assert list(bars["new"].marker.opacity) == [1.0, 0.5]


@pytest.mark.parametrize(
    ("chart", "frame"), [(plot.cohorts, cohort_frame()), (plot.lifecycle, lifecycle_frame())]
)
def test_empty_and_grouped_frames_say_so(chart, frame):
    description = chart(frame.head(0)).layout.meta["description"]
    assert description == "No customers in this selection."
    with pytest.raises(CxError, match="several groups"):
        chart(pd.concat([frame, frame]))


def test_a_missing_column_or_unknown_measure_names_the_closest_one():
    with pytest.raises(CxError, match="did you mean 'actives'"):
        plot.lifecycle(lifecycle_frame().rename(columns={"active": "actives"}))
    with pytest.raises(CxError, match="did you mean 'retention'"):
        plot.cohorts(cohort_frame(), measure="retentions")
