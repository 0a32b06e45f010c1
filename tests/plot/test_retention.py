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
    assert list(heat.y) == ["2024-01-01  (40)", "2024-02-01  (20)"]
    assert [list(row) for row in heat.z] == [[1.0, 0.25], [1.0, None]]


def test_a_cell_that_is_not_over_has_an_asterisk():
    figure = plot.cohorts(cohort_frame())
    assert [list(row) for row in figure.data[0].text] == [["100%", "25%"], ["100%*", ""]]
    assert "* not over" in figure.layout.title.subtitle.text


def test_revenue_may_be_more_than_at_first():
    figure = plot.cohorts(cohort_frame(), measure="revenue_retention")
    assert figure.data[0].zmax == 1.5
    assert "the median cohort has 150.0%" in figure.layout.meta["description"]


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
