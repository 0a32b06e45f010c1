import pandas as pd
import pytest

from cxlib import CxError, plot


def path_frame():
    return pd.DataFrame(
        {
            "rank": [1, 2],
            "path": ["signed_up -> viewed_home", "signed_up"],
            "touchpoints": [("signed_up", "viewed_home"), ("signed_up",)],
            "continues": [True, False],
            "journeys": [60, 20],
            "customers": [50, 20],
            "open": [5, 20],
            "n": [100, 100],
            "share": [0.6, 0.2],
            "lower": [0.5, 0.13],
            "upper": [0.69, 0.29],
            "coverage": [0.6, 0.8],
            "paths": [9, 9],
            "median_hours": [30.0, None],
        }
    )


def step_frame(order=2):
    return pd.DataFrame(
        {
            "context": ["(start) -> signed_up"] * 2,
            "order": [order] * 2,
            "rank": [1, 2],
            "next_touchpoint": ["viewed_home", "(end)"],
            "count": [60, 40],
            "n": [100, 100],
            "open": [1_200, 1_200],
            "probability": [0.6, 0.4],
            "lower": [0.5, 0.31],
            "upper": [0.69, 0.5],
            "first_order_probability": [0.3, 0.5],
            "lift": [2.0, 0.8],
        }
    )


def test_a_path_is_a_row_of_chips_one_per_touchpoint():
    figure = plot.common_paths(path_frame())
    chips = {trace.name: list(zip(trace.base, trace.y, strict=True)) for trace in figure.data[:-1]}
    assert chips == {
        "SU  signed up": [(0.04, 0), (0.04, 1)],
        "VH  viewed home": [(1.04, 0)],
        "…  goes on": [(2.04, 0)],
    }
    assert list(figure.data[0].text) == ["SU", "SU"]


def test_shares_stand_beside_the_chips():
    bars = plot.common_paths(path_frame()).data[-1]
    assert list(bars.x) == [0.6, 0.2]
    assert list(bars.text) == ["60.0%", "20.0%"]
    assert "median of 30.0 hours" in bars.customdata[0]
    assert "median" not in bars.customdata[1]
    assert "60 of 100 journeys (60.0%; 95% interval 50.0% to 69.0%)" in bars.customdata[0]


def test_letters_differ_where_initials_are_the_same():
    names = ("viewed_home", "visited_hotel", "v", "價 格", "?!")
    frame = path_frame().head(1).assign(touchpoints=[names], continues=False)
    letters = [trace.name.split("  ")[0] for trace in plot.common_paths(frame).data[:-1]]
    assert letters[:2] == ["VH", "VI"]
    assert len(set(letters)) == 5


def test_paths_say_what_they_cover():
    figure = plot.common_paths(path_frame())
    assert figure.layout.title.subtitle.text == "2 of 9 paths cover 80.0% of 100 journeys"
    assert figure.layout.meta["description"] == (
        "The most common of 9 paths is signed up, then viewed home, and more: 60 of 100 journeys "
        "(60.0%). The 2 shown cover 80.0%."
    )
    one = plot.common_paths(path_frame(), top=1)
    assert one.layout.title.subtitle.text == "One path covers 60.0% of 100 journeys"


def test_next_steps_have_intervals_and_the_baseline_beside_them():
    bars, alone = plot.next_steps(step_frame()).data
    assert list(bars.x) == [0.6, 0.4]
    assert bars.x[0] + bars.error_x.array[0] == pytest.approx(0.69)
    assert bars.x[0] - bars.error_x.arrayminus[0] == pytest.approx(0.5)
    assert list(alone.x) == [0.3, 0.5]


def test_the_last_touchpoint_alone_needs_no_baseline():
    assert len(plot.next_steps(step_frame(order=1)).data) == 1


def test_next_steps_say_what_they_follow():
    figure = plot.next_steps(step_frame())
    assert figure.layout.title.subtitle.text == "after the start, then signed up"
    assert figure.layout.meta["description"] == (
        "After the start, then signed up, the next step is most often viewed home: 60 of 100 times "
        "(60.0%), 30.0% after signed up alone. 1,200 more are still open."
    )


@pytest.mark.parametrize(
    ("chart", "frame"), [(plot.common_paths, path_frame()), (plot.next_steps, step_frame())]
)
def test_both_charts_bear_a_theme_an_empty_frame_and_several_groups(chart, frame):
    dark, light = chart(frame, theme="dark"), chart(frame)
    assert dark.layout.template.layout.paper_bgcolor == "#171c24"
    dark.layout.template = light.layout.template = None
    assert dark.to_json() == light.to_json()
    assert chart(frame.head(0)).layout.meta["description"] == "No journeys in this selection."
    with pytest.raises(CxError, match="several"):
        chart(pd.concat([frame, frame]))
    with pytest.raises(CxError, match="did you mean 'uper'"):
        chart(frame.rename(columns={"upper": "uper"}))
