import math
from itertools import pairwise

import pandas as pd
import pytest

from cxlib import CxError, plot
from tests.plot.frames import handoff_frame

CHARTS = [plot.handoffs, plot.handoff_chord]


def ring_of(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_rows_hand_over_columns_take_over_and_what_never_happens_is_empty():
    heat = plot.handoffs(handoff_frame()).data[0]
    assert list(heat.y) == list(heat.x) == ["front desk", "technical", "billing"]
    assert [list(row) for row in heat.z] == [[None, 60, 10], [30, None, None], [None] * 3]
    assert heat.text[0][1] == "60"


def test_a_cell_can_show_a_rate_and_is_empty_where_nobody_is_at_risk():
    frame = handoff_frame().assign(n=[60, 0, 10])
    heat = plot.handoffs(frame, show="return_rate").data[0]
    assert heat.z[0][1] == 0.25
    assert heat.z[1][0] is None


def test_departments_left_out_of_the_matrix_are_told():
    figure = plot.handoffs(handoff_frame(), top=2)
    assert "10.0% of them, of other departments, are not shown" in figure.layout.title.subtitle.text


def test_a_chord_has_a_ribbon_for_each_direction_and_an_arc_for_each_department():
    figure = plot.handoff_chord(handoff_frame())
    assert [trace.name for trace in figure.data] == [
        *("front desk → technical", "technical → front desk", "front desk → billing"),
        *("front desk", "technical", "billing"),
    ]
    assert ring_of(figure, "front desk").text.endswith("hands over 70 times, takes over 30 times")


def test_an_arc_is_as_long_as_what_passes_through_its_department():
    figure = plot.handoff_chord(handoff_frame())

    def length(name):
        ring = ring_of(figure, name)
        outer = [(x, y) for x, y in zip(ring.x, ring.y, strict=True) if math.hypot(x, y) < 1.02]
        (x, y), (u, v) = outer[0], outer[-1]
        return math.atan2(u, v) % (2 * math.pi) - math.atan2(x, y) % (2 * math.pi)

    assert length("front desk") / length("technical") == pytest.approx(100 / 90, abs=0.01)
    assert length("technical") / length("billing") == pytest.approx(9, abs=0.1)


def test_small_departments_are_bundled_and_small_ribbons_told():
    pairs = [("a", "b", 90), ("b", "a", 50), ("a", "c", 9), ("c", "d", 8), ("d", "a", 1)]
    figure = plot.handoff_chord(handoff_frame(*pairs), top=2, hide_below=0.02)
    assert {trace.name for trace in figure.data} == {
        "a",
        "b",
        "other",
        "a → b",
        "b → a",
        "a → other",
    }
    # c → d is within the bundle, and d → a is too small.
    assert "5.7% of them are not drawn" in figure.layout.title.subtitle.text


def test_labels_stand_apart_and_on_the_page():
    pairs = [("hub", f"team {n}", 1 + (n == 0) * 200) for n in range(9)]
    labels = plot.handoff_chord(handoff_frame(*pairs), hide_below=0).layout.annotations
    assert len(labels) == 10
    for side in ("left", "right"):
        heights = sorted(label.y for label in labels if label.xanchor == side)
        assert all(high - low >= 0.19 for low, high in pairwise(heights))
        assert all(-1.6 < height < 1.3 for height in heights)


@pytest.mark.parametrize("chart", CHARTS)
def test_an_empty_frame_gives_a_figure_with_a_sentence(chart):
    figure = chart(handoff_frame().head(0))
    assert figure.layout.meta["description"] == "No handoffs in this selection."


@pytest.mark.parametrize("chart", CHARTS)
def test_the_text_alternative_says_what_is_most_frequent(chart):
    figure = chart(handoff_frame(), theme="dark")
    assert figure.layout.meta["description"] == (
        "100 handoffs between 3 departments. The most frequent is from front desk to technical: 60 "
        "(60.0% of all), with a median wait of 20.0 hours; 25.0% of 60 went straight back."
    )
    assert figure.layout.template.layout.paper_bgcolor == "#171c24"


@pytest.mark.parametrize("chart", CHARTS)
def test_several_groups_and_missing_columns_are_refused(chart):
    with pytest.raises(CxError, match="several groups"):
        chart(pd.concat([handoff_frame(), handoff_frame()]))
    with pytest.raises(CxError, match="no column 'handoffs' in the frame given to plot"):
        chart(handoff_frame().rename(columns={"handoffs": "count"}))


def test_an_unknown_column_to_show_names_the_closest_one():
    with pytest.raises(CxError, match="no column 'returns' to show; did you mean 'return_rate'"):
        plot.handoffs(handoff_frame(), show="returns")
    with pytest.raises(CxError, match="no column 'outcome_rate' in the frame"):
        plot.handoffs(handoff_frame(), show="outcome_rate")
