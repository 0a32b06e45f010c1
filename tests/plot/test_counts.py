"""The chart of journeys by the number of their handoffs."""

import pandas as pd
import pytest

from cxlib import CxError, plot


def number_frame():
    return pd.DataFrame(
        {
            "handoffs": [2, 0, 1],
            "label": ["2 or more", "0", "1"],
            "journeys": [10, 60, 30],
            "open": [3, 2, 0],
            "customers": [9, 55, 28],
            "share": [0.1, 0.6, 0.3],
            "median_length_hours": [90.0, 2.0, 30.0],
            "p90_length_hours": [200.0, 9.0, 80.0],
            "n_sentiment": [1, 20, 0],
            "sentiment": [-0.5, 0.4, None],
            "sentiment_lower": [None, 0.2, None],
            "sentiment_upper": [None, 0.6, None],
        }
    )


def with_outcome():
    return number_frame().assign(
        outcome_n=[8, 50, 0],
        outcomes=[2, 5, 0],
        outcome_rate=[0.25, 0.1, None],
        outcome_lower=[0.07, 0.04, None],
        outcome_upper=[0.59, 0.21, None],
    )


def test_bars_are_shares_of_the_journeys_that_ended_in_order_of_handoffs():
    figure = plot.handoffs_per_journey(number_frame())
    bars = figure.data[0]
    assert list(figure.layout.xaxis.ticktext) == ["0", "1", "2 or more"]
    assert (list(bars.y), list(bars.text)) == ([0.6, 0.3, 0.1], ["60", "30", "10"])
    assert figure.layout.title.subtitle.text == "100 ended journeys, 5 open left out; 95% intervals"


def test_scores_stand_below_with_their_intervals_where_they_are_known():
    _, scores = plot.handoffs_per_journey(number_frame()).data
    assert (list(scores.x), list(scores.y), scores.yaxis) == ([0, 2], [0.4, -0.5], "y2")
    assert list(scores.error_y.array) == pytest.approx([0.2, 0.0])
    assert scores.customdata[1][2] == "not known"


def test_an_outcome_has_a_panel_of_its_own_that_does_not_overlap():
    figure = plot.handoffs_per_journey(with_outcome())
    rates = figure.data[2]
    assert (list(rates.y), rates.yaxis) == ([0.1, 0.25], "y3")
    assert rates.error_y.arrayminus[1] == pytest.approx(0.18)
    domains = [figure.layout[f"yaxis{panel}"].domain for panel in ("3", "2", "")]
    ends = [end for domain in domains for end in domain]
    assert ends == sorted(ends)


def test_without_scores_there_are_bars_alone():
    figure = plot.handoffs_per_journey(number_frame().assign(n_sentiment=0))
    assert len(figure.data) == 1
    assert figure.layout.meta["description"] == (
        "Of 100 journeys that ended 60 (60.0%) had no handoff, 30 (30.0%) had 1 and 10 (10.0%) "
        "had 2 or more."
    )


def test_no_ended_journeys_and_several_groups_say_so():
    frame = number_frame()
    text = plot.handoffs_per_journey(frame.assign(journeys=0)).layout.meta["description"]
    assert text == "No journeys that ended in this selection."
    with pytest.raises(CxError, match="several groups"):
        plot.handoffs_per_journey(pd.concat([frame, frame]))
