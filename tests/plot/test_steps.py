import pandas as pd
import pytest

from cxlib import CxError, plot


def step_frame():
    return pd.DataFrame(
        {
            "step": [1, 2, 2, 2],
            "touchpoint": ["signed_up", "viewed_home", "(end)", "(open)"],
            "journeys": [4, 2, 1, 1],
            "n": [4, 4, 4, 4],
            "share": [1.0, 0.5, 0.25, 0.25],
        }
    )


def test_steps_are_columns_and_what_is_over_comes_last():
    heat = plot.step_matrix(step_frame()).data[0]
    assert list(heat.x) == ["1", "2"]
    assert list(heat.y) == ["signed up", "viewed home", "still open", "journey ended"]
    assert [sum(column) for column in zip(*heat.z, strict=True)] == [1, 1]


def test_an_empty_frame_gives_a_figure_with_a_sentence():
    figure = plot.step_matrix(step_frame().head(0))
    assert figure.layout.meta["description"] == "No journeys in this selection."


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match="did you mean 'shares'"):
        plot.step_matrix(step_frame().rename(columns={"share": "shares"}))


def test_several_groups_are_refused():
    with pytest.raises(CxError, match="several groups"):
        plot.step_matrix(pd.concat([step_frame(), step_frame()]))
