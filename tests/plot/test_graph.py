from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from cxlib import CxError, plot
from cxlib.plot.layers import ROW, place_nodes, route_edges
from tests.plot.frames import change_frame, transition_frame


def moves(*rows):
    """Transitions from (from, to, count)."""
    frame = pd.DataFrame(rows, columns=["from_touchpoint", "to_touchpoint", "count"])
    left = frame.groupby("from_touchpoint")["count"].transform("sum")
    return frame.assign(customers=frame["count"], probability=frame["count"] / left)


def edges(*rows):
    return pd.DataFrame(rows, columns=["from_touchpoint", "to_touchpoint", "weight"])


def many(touchpoints=20):
    """A chain with a long tail of rare moves."""
    names = [f"step_{number:02}" for number in range(touchpoints)]
    chain = [("(start)", names[0], 500), (names[-1], "(end)", 400)]
    chain += [(one, two, 400 - at) for at, (one, two) in enumerate(pairwise(names))]
    tail = [
        (one, two, 1 + at % 7) for at, one in enumerate(names) for two in names[::3] if one != two
    ]
    return moves(*{(a, b): (a, b, n) for a, b, n in [*tail, *chain]}.values())


def curves(figure):
    return [trace for trace in figure.data if trace.mode == "lines+markers"]


def test_touchpoints_stand_from_left_to_right_by_their_mean_step():
    nodes = place_nodes(
        edges(("(start)", "a", 9), ("a", "b", 8), ("b", "c", 7), ("c", "(end)", 7), ("c", "a", 1))
    ).set_index("name")
    x = nodes["x"]
    assert x["(start)"] < x["a"] < x["b"] < x["c"] < x["(end)"]


def test_moves_that_are_not_drawn_tell_the_mean_step_too():
    moves = edges(("(start)", "a", 9), ("a", "b", 8), ("b", "c", 7))
    x = place_nodes(moves.iloc[[0, 2]], moves).set_index("name")["x"]
    assert x["a"] < x["b"] < x["c"]


def test_rows_are_ordered_so_that_edges_do_not_cross():
    # By name a1, a2 over b1, b2 the edges would cross.
    nodes = place_nodes(
        edges(("(start)", "a1", 5), ("(start)", "a2", 5), ("a1", "b2", 5), ("a2", "b1", 5),
              ("b1", "(end)", 5), ("b2", "(open)", 5))
    ).set_index("name")  # fmt: skip
    assert (nodes["y"]["a1"] - nodes["y"]["a2"]) * (nodes["y"]["b2"] - nodes["y"]["b1"]) > 0
    assert (nodes["y"]["b1"] - nodes["y"]["b2"]) * (nodes["y"]["(end)"] - nodes["y"]["(open)"]) > 0


def test_a_curve_passes_between_the_nodes_of_the_columns_it_crosses():
    nodes = pd.DataFrame(
        [("a", 0, 0), ("b", 150, -ROW / 2), ("c", 150, ROW / 2), ("d", 300, 0)],
        columns=["name", "x", "y"],
    ).assign(radius=12.0)
    (way,) = route_edges(edges(("a", "d", 1)), nodes)
    for _, node in nodes.iloc[1:3].iterrows():
        assert np.hypot(way[:, 0] - node["x"], way[:, 1] - node["y"]).min() > node["radius"]
    assert way[0] == pytest.approx([12, 0])
    assert way[-1][0] < 300 - 12


def test_moves_there_and_back_are_two_curves():
    there, back = curves(
        plot.transition_graph(moves(("a", "b", 5), ("b", "a", 3), ("(start)", "a", 2)))
    )[:2]
    assert there.x[-1] > there.x[0]
    assert back.x[-1] < back.x[0]
    assert there.line.width > back.line.width
    assert there.marker.symbol == "arrow"


def test_the_slider_says_how_many_moves_it_draws_and_hides():
    frame = many()
    figure = plot.transition_graph(frame, shown=18, keep=20)
    slider = figure.layout.sliders[0]
    active = slider.steps[slider.active]
    assert active.label == "18"
    assert sum(trace.visible is not False for trace in curves(figure)) == 18
    top = frame["count"].nlargest(18).sum()
    share = top / frame["count"].sum()
    hidden = frame["count"].sum() - top
    said = figure.layout.annotations[0].text
    assert said == active.args[1]["annotations[0].text"]
    assert said == (
        f"18 of {len(frame)} pairs drawn, {share:.0%} of all moves; {hidden:,} others hidden"
    )
    for step in slider.steps:
        visible = step.args[0]["visible"]
        assert len(visible) == len(figure.data)
        assert sum(visible) - 2 == int(step.label)


def test_only_the_most_frequent_touchpoints_are_shown_and_the_subtitle_says_so():
    frame = many()
    figure = plot.transition_graph(frame, keep=5)
    names = {name for name, *_ in figure.data[-2].customdata}
    reached = frame.groupby("to_touchpoint")["count"].sum().drop("(end)")
    assert names - {"(start)", "(end)"} == set(reached.nlargest(5).index)
    assert figure.layout.title.subtitle.text.startswith("5 of 20 touchpoints; ")


def test_the_same_frame_in_another_order_gives_the_same_picture():
    frame = many()
    one = plot.transition_graph(frame)
    two = plot.transition_graph(frame.sample(frac=1, random_state=3))
    assert one.to_json() == two.to_json()


def test_differences_are_coloured_by_direction_and_grey_where_chance_may_explain_them():
    figure = plot.transition_graph(change_frame())
    by_name = {trace.text.split("<br>")[0]: trace for trace in curves(figure)}
    assert by_name["<b>used chatbot → called support</b>"].marker.color == "#d55e00"
    assert by_name["<b>used chatbot → journey ended</b>"].marker.color == "#0072b2"
    unsure = by_name["<b>journey began → used chatbot</b>"]
    assert (unsure.marker.color, unsure.line.dash) == ("#8a94a3", "dot")
    legend = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert legend == ["2024: more", "2024: less", "chance may explain it"]
    assert "2023 58.0%, 2024 38.0%" in figure.layout.meta["description"]


def test_touchpoints_of_sure_differences_are_shown_however_rare():
    frame = change_frame()
    common = frame.tail(1).assign(from_touchpoint="a", to_touchpoint="b", count_a=900.0)
    figure = plot.transition_graph(pd.concat([frame, common]), keep=2)
    names = {name for name, *_ in figure.data[len(curves(figure))].customdata}
    assert {"used_chatbot", "called_support"} <= names


@pytest.mark.parametrize(
    "frame",
    [
        moves(("(start)", "a", 1), ("a", "(end)", 1)),
        moves(("a", "a", 3)),
        moves(("a", "b", 3), ("b", "a", 3)),
        transition_frame(),
    ],
)
def test_small_graphs_are_drawn(frame):
    figure = plot.transition_graph(frame)
    assert len(curves(figure)) == len(frame)
    for trace in figure.data:
        assert not pd.isna(pd.Series(trace.x)).any()


def test_an_empty_frame_gives_a_figure_with_a_sentence():
    figure = plot.transition_graph(transition_frame().head(0))
    assert figure.layout.meta["description"] == "No journeys in this selection."


def test_a_missing_column_names_the_closest_one():
    with pytest.raises(CxError, match="did you mean 'counts'"):
        plot.transition_graph(transition_frame().rename(columns={"count": "counts"}))


def test_several_groups_are_refused():
    with pytest.raises(CxError, match="several groups"):
        plot.transition_graph(pd.concat([transition_frame(), transition_frame()]))
