"""What holds of every chart: a table goes in, unchanged, and a text for readers comes with it.

The frames are those of the charts' own examples, so that a new chart is held to this as well.
"""

import doctest
import inspect
import re

import pandas as pd
import pytest

from cxlib import CxError, plot

CHARTS = [name for name in plot.__all__ if "template" not in name and "colour" not in name]
each_chart = pytest.mark.parametrize("name", CHARTS)


def table_of(name: str) -> pd.DataFrame:
    """The table that the chart is drawn of in its example."""
    chart, held = getattr(plot, name), []

    def record(frame, *args, **options):
        held.append(frame)
        return chart(frame, *args, **options)

    module = inspect.getmodule(chart)
    names = {**vars(module), name: record}
    for example in doctest.DocTestParser().get_examples(inspect.getdoc(chart)):
        exec(compile(example.source, name, "single"), names)
    assert held, f"the example of plot.{name} draws nothing"
    return held[0]


def text_of(figure) -> str:
    text = figure.layout.meta["description"]
    assert re.search(r"[a-z].*\.$", text, re.DOTALL)
    assert not re.search(r"\b(nan|inf|NaN|NaT)\b|\(end\)|\(start\)|_", text), text
    return text


@each_chart
def test_it_is_drawn_of_a_table_that_stays_as_it_is(name):
    frame = table_of(name)
    assert isinstance(frame, pd.DataFrame)
    before = frame.copy(deep=True)
    figure = getattr(plot, name)(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert len(figure.data) > 0 or len(figure.layout.shapes) > 0


@each_chart
def test_it_has_a_title_and_a_text_with_its_figures_for_readers_who_cannot_see_it(name):
    figure = getattr(plot, name)(table_of(name))
    assert figure.layout.title.text
    assert re.search(r"\d", text_of(figure))


@each_chart
def test_both_themes_say_the_same(name):
    light, dark = (getattr(plot, name)(table_of(name), theme=theme) for theme in ("light", "dark"))
    assert text_of(light) == text_of(dark)
    assert light.layout.template != dark.layout.template


@each_chart
def test_an_empty_table_is_a_sentence_and_no_chart(name):
    figure = getattr(plot, name)(table_of(name).head(0))
    assert figure.layout.meta["empty"]
    assert figure.layout.annotations[0].text == text_of(figure)


@each_chart
def test_a_table_without_its_columns_is_refused(name):
    with pytest.raises(CxError, match=f"there is no column .* plot.{name}"):
        getattr(plot, name)(pd.DataFrame({"other": [1]}))
