"""Charts of calibration, causes, hazard ratios, renewals and value."""

import pandas as pd
import pytest

from cxlib import CxError, plot
from tests.plot.frames import (
    calibration_frame,
    incidence_frame,
    ratio_frame,
    renewal_frame,
    value_frame,
)

CHARTS = {
    "calibration": lambda **options: plot.calibration(calibration_frame(), **options),
    "cumulative_incidence": lambda **options: plot.cumulative_incidence(
        incidence_frame(), **options
    ),
    "hazard_ratios": lambda **options: plot.hazard_ratios(ratio_frame(), **options),
    "renewals": lambda **options: plot.renewals(renewal_frame(), **options),
    "value": lambda **options: plot.value(value_frame(), **options),
}
FRAMES = {
    "calibration": calibration_frame,
    "cumulative_incidence": incidence_frame,
    "hazard_ratios": ratio_frame,
    "renewals": renewal_frame,
    "value": value_frame,
}


@pytest.mark.parametrize("chart", CHARTS)
def test_every_chart_has_a_title_a_text_alternative_and_a_theme(chart):
    figure = CHARTS[chart](theme="dark", title="Mine")
    assert figure.layout.title.text == "Mine"
    assert figure.layout.title.subtitle.text
    assert figure.layout.meta["description"].endswith(".")
    assert figure.layout.template.layout.paper_bgcolor == "#171c24"


@pytest.mark.parametrize("chart", CHARTS)
def test_themes_differ_in_the_template_alone(chart):
    light, dark = CHARTS[chart](theme="light"), CHARTS[chart](theme="dark")
    light.layout.template = dark.layout.template = None
    assert light.to_json() == dark.to_json()


@pytest.mark.parametrize("chart", CHARTS)
def test_an_empty_frame_says_so_in_a_sentence(chart):
    figure = getattr(plot, chart)(FRAMES[chart]().head(0))
    assert figure.layout.meta["empty"]
    assert figure.layout.meta["description"].endswith(".")


@pytest.mark.parametrize("chart", CHARTS)
def test_a_missing_column_is_named(chart):
    frame = FRAMES[chart]()
    with pytest.raises(CxError, match=rf"in the frame given to plot\.{chart}"):
        getattr(plot, chart)(frame.drop(columns=frame.columns[-1]))


@pytest.mark.parametrize("chart", CHARTS)
def test_the_frame_is_not_changed_and_its_index_does_not_matter(chart):
    frame = FRAMES[chart]().rename(index=lambda at: at + 7)
    before = frame.copy()
    figure = getattr(plot, chart)(frame)
    assert figure.to_json() == CHARTS[chart]().to_json()
    assert frame.equals(before)


def together(parts):
    return pd.concat(parts, ignore_index=True)


# Calibration


def test_predictions_are_drawn_beside_what_happened():
    figure = plot.calibration(calibration_frame())
    equal, smooth, seen = figure.data
    assert list(equal.x) == list(equal.y)
    assert figure.layout.xaxis.range[1] == equal.x[1] == pytest.approx(0.25 * 1.06)
    assert figure.layout.yaxis.range[1] == pytest.approx(0.37 * 1.06)
    assert (list(smooth.y), list(seen.y)) == ([0.05, 0.29], [0.05, 0.3])
    assert seen.y[1] + seen.error_y.array[1] == pytest.approx(0.37)
    assert seen.y[1] - seen.error_y.arrayminus[1] == pytest.approx(0.24)


def test_a_calibration_says_by_when_and_how_far_off():
    figure = plot.calibration(calibration_frame())
    text = figure.layout.meta["description"]
    assert text.startswith(
        "Observed by predicted risk within 90 days, of 410 customers in 2 groups"
    )
    assert text.endswith("On average predictions are off by 2.6 points (ICI).")
    assert "outcomes after the data of the fit" in figure.layout.title.subtitle.text


def test_in_sample_calibration_is_not_shown_as_a_validation():
    figure = plot.calibration(calibration_frame().assign(sample="in-sample"))
    assert "no validation" in figure.layout.title.subtitle.text
    assert "no validation" in figure.layout.meta["description"]


def test_a_group_in_which_nobody_ended_has_a_point_without_whiskers():
    frame = calibration_frame()
    frame.loc[0, ["observed", "lower", "upper"]] = [0.0, float("nan"), float("nan")]
    figure = plot.calibration(frame)
    assert (figure.data[2].y[0], figure.data[2].error_y.array[0]) == (0.0, 0.0)
    assert "predicted 6.0%, observed 0.0%. Highest" in figure.layout.meta["description"]


def test_one_calibration_at_a_time_with_its_time():
    with pytest.raises(CxError, match="several calibrations"):
        plot.calibration(together([calibration_frame(), calibration_frame()]))
    with pytest.raises(CxError, match="needs one column ahead_<unit>"):
        plot.calibration(calibration_frame().drop(columns="ahead_days"))


# Causes


def test_the_largest_cause_lies_at_the_bottom_and_areas_are_stacked():
    figure = plot.cumulative_incidence(incidence_frame())
    assert [trace.name for trace in figure.data] == ["moved", "price"]
    assert {trace.stackgroup for trace in figure.data} == {"causes"}
    assert list(figure.data[0].y) == [0.0, 0.2, 0.3]


def test_causes_are_read_with_their_sum():
    text = plot.cumulative_incidence(incidence_frame()).layout.meta["description"]
    assert text == (
        "Share of 100 customers who have left, by cause and days. By day 60, the last drawn: "
        "moved 30.0%, price 20.0%, together 50.0%."
    )


def test_what_fewer_than_ten_at_risk_say_is_not_drawn_and_still_counted():
    frame = incidence_frame()
    frame.loc[frame["duration_days"] == 60, "at_risk"] = 9
    figure = plot.cumulative_incidence(frame)
    assert list(figure.data[0].x) == [0, 30]
    assert figure.layout.title.subtitle.text.startswith("100 customers")


def test_a_cause_keeps_its_colour_when_another_is_filtered_out_after_it():
    frame = incidence_frame()
    whole = {t.name: t.line.color for t in plot.cumulative_incidence(frame).data}
    one = plot.cumulative_incidence(frame[frame["cause"] == "moved"]).data[0]
    assert one.line.color == whole["moved"]


def test_several_groups_of_causes_are_refused():
    frame = incidence_frame()
    doubled = together([frame.assign(plan="a"), frame.assign(plan="b")])
    with pytest.raises(CxError, match="cumulative incidence shows one"):
        plot.cumulative_incidence(doubled)


def test_more_causes_than_colours_are_refused_with_the_way_out():
    frame = incidence_frame().head(3)
    parts = [frame.assign(cause=f"c{at}") for at in range(7)]
    with pytest.raises(CxError, match=r"7 causes.*count some as one with causes="):
        plot.cumulative_incidence(together(parts))


def test_causes_need_a_time():
    frame = incidence_frame().rename(columns={"duration_days": "days"})
    with pytest.raises(CxError, match="needs one column duration_<unit>"):
        plot.cumulative_incidence(frame)


# Hazard ratios


def test_ratios_are_told_by_side_colour_and_sign():
    figure = plot.hazard_ratios(ratio_frame())
    assert [trace.name for trace in figure.data] == ["higher rate", "lower rate", "may be equal"]
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    assert list(figure.layout.yaxis.ticktext) == [
        "missed payment", "contract annual", "channel phone",
    ]  # fmt: skip


def test_whiskers_reach_from_the_lower_to_the_upper_bound():
    point = plot.hazard_ratios(ratio_frame()).data[0]
    assert point.x[0] - point.error_x.arrayminus[0] == pytest.approx(1.7)
    assert point.x[0] + point.error_x.array[0] == pytest.approx(2.9)


def test_a_hazard_ratio_is_worded_as_an_association():
    figure = plot.hazard_ratios(ratio_frame())
    assert figure.layout.meta["description"] == (
        "Hazard ratios with 95% intervals. Missed payment is associated with a higher rate, 2.20 "
        "(1.70 to 2.90). Contract annual is associated with a lower rate, 0.35 (0.30 to 0.41)."
    )
    assert "not an effect" in figure.layout.title.subtitle.text


def test_the_scale_is_logarithmic_and_names_1_and_further_ticks():
    axis = plot.hazard_ratios(ratio_frame()).layout.xaxis
    assert axis.type == "log"
    assert {"0.5", "1", "2"} <= set(axis.ticktext)
    near = plot.hazard_ratios(ratio_frame().tail(1)).layout.xaxis
    assert {"1", "1.4"} <= set(near.ticktext)


def test_causes_stand_below_one_another_on_the_line_of_a_covariate():
    frame = together([ratio_frame().assign(cause=cause) for cause in ("price", "moved")])
    figure = plot.hazard_ratios(frame)
    assert [trace.name for trace in figure.data] == ["price", "moved"]
    assert figure.data[0].y[0] < 0 < figure.data[1].y[0]
    assert len(figure.layout.yaxis.ticktext) == 3


def test_two_fits_without_causes_are_refused():
    with pytest.raises(CxError, match="stands in the frame twice"):
        plot.hazard_ratios(together([ratio_frame(), ratio_frame()]))


def test_more_than_six_causes_are_refused():
    frame = together([ratio_frame().assign(cause=f"c{at}") for at in range(7)])
    with pytest.raises(CxError, match="7 causes"):
        plot.hazard_ratios(frame)


# Renewals


def test_the_projection_is_dotted_from_the_last_term_learnt():
    figure = plot.renewals(renewal_frame())
    assert [trace.name for trace in figure.data] == ["model", "projected", "observed"]
    assert list(figure.data[1].x) == [2, 3]
    assert figure.data[1].line.dash == "dot"
    assert list(figure.data[2].x) == [1, 2]


def test_observed_terms_have_wilson_intervals():
    """60 of 100: 0.502 to 0.691."""
    point = plot.renewals(renewal_frame()).data[2]
    assert point.y[0] - point.error_y.arrayminus[0] == pytest.approx(0.502, abs=5e-4)
    assert point.y[0] + point.error_y.array[0] == pytest.approx(0.691, abs=5e-4)


def test_several_groups_of_terms_are_refused():
    with pytest.raises(CxError, match="a chart of renewals shows one"):
        plot.renewals(together([renewal_frame(), renewal_frame()]))


# Value


def test_bars_are_tenths_from_the_most_valuable_on():
    figure = plot.value(value_frame())
    assert list(figure.data[0].y)[:2] == [190.5, 170.5]
    assert figure.layout.xaxis.ticktext[0] == "1st<br>19%"


def test_no_bar_shows_fewer_than_ten_customers():
    bar = plot.value(value_frame(35)).data[0]
    assert len(bar.y) == 3
    assert min(facts[3] for facts in bar.customdata) >= 10
    few = plot.value(value_frame(9))
    assert few.layout.meta["description"] == (
        "Fewer than 10 customers in this selection: too few to show."
    )


def test_amounts_bear_their_currency():
    figure = plot.value(value_frame(), currency="USD")
    assert "USD" in figure.layout.yaxis.title.text
    assert "20,100 USD in all" in figure.layout.title.subtitle.text
