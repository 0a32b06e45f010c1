import pandas as pd
import pytest

from cxlib import CxError, plot
from tests.plot.frames import transition_frame


def test_rows_begin_with_the_start_and_columns_end_with_the_end():
    heat = plot.transitions(transition_frame()).data[0]
    assert list(heat.y) == ["journey began", "signed up", "viewed home"]
    assert list(heat.x) == ["signed up", "viewed home", "journey ended"]
    assert list(heat.z[1]) == [0, 0.75, 0.25]


def test_an_empty_frame_gives_a_figure_with_a_sentence():
    figure = plot.transitions(transition_frame().head(0))
    assert figure.layout.meta["description"] == "No journeys in this selection."


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match="did you mean 'counts'"):
        plot.transitions(transition_frame().rename(columns={"count": "counts"}))


def test_several_groups_are_refused():
    with pytest.raises(CxError, match="several groups"):
        plot.transitions(pd.concat([transition_frame(), transition_frame()]))
