"""The chart of how mixed and changeable journeys are."""

import pandas as pd
import pytest

from cxlib import CxError, plot


def indicator_frame():
    """Two indicators of a large group and of one of two journeys, whose interval is wide."""
    rows = [
        ("phone", "entropy", 200, 0.45, 0.42, 0.48, 0.0, 0.5, 0.8),
        ("phone", "turbulence", 200, 4.2, 3.9, 4.5, 1.0, 4.0, 8.0),
        ("email", "entropy", 2, 0.6, -0.4, 1.6, 0.5, 0.5, 0.7),
        ("email", "turbulence", 2, 9.0, -40.0, 58.0, 6.0, 6.0, 12.0),
    ]
    columns = ["channel", "indicator", "n", "mean", "lower", "upper", "p10", "median", "p90"]
    return pd.DataFrame(rows, columns=columns).assign(journeys=lambda f: f["n"], open=0)


def test_each_indicator_has_a_panel_with_range_median_and_mean_of_each_group():
    figure = plot.sequence_indicators(indicator_frame())
    band, median, mean = figure.data[3:]
    assert (mean.xaxis, mean.yaxis) == ("x2", "y2")
    assert list(band.x) == [1.0, 8.0, None, 6.0, 12.0, None]
    assert (list(median.x), list(mean.x)) == ([4.0, 6.0], [4.2, 9.0])
    assert list(figure.layout.yaxis2.ticktext) == ["phone (200)", "email (2)"]
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0]


def test_an_interval_of_few_journeys_is_not_drawn_and_does_not_stretch_the_scale():
    figure = plot.sequence_indicators(indicator_frame())
    assert list(figure.data[5].error_x.array) == pytest.approx([0.3, 0.0])
    assert figure.layout.xaxis2.range[1] == pytest.approx(1.05 * 12)
    assert "(95% interval -40.00 to 58.00), n 2" in figure.data[5].text[1]


def test_the_text_compares_groups_of_enough_journeys():
    frame = indicator_frame()
    more = frame[frame["channel"] == "phone"].assign(channel="web", mean=[0.3, 3.0])
    text = plot.sequence_indicators(pd.concat([frame, more])).layout.meta["description"]
    assert "Entropy: highest for phone, 0.45" in text
    assert "lowest for web, 3.00" in text
    assert "email" not in text


def test_one_group_is_read_without_a_name_and_unknown_groups_are_refused():
    frame = indicator_frame()
    figure = plot.sequence_indicators(frame[frame["channel"] == "phone"].drop(columns="channel"))
    assert list(figure.layout.yaxis.ticktext) == [""]
    with pytest.raises(CxError, match="the same group and indicator"):
        plot.sequence_indicators(frame.drop(columns="channel"))
