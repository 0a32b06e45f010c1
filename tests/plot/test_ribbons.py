from itertools import pairwise

import pandas as pd
import pytest

from cxlib import CxError, plot
from tests.plot.frames import flow_frame


def nodes(figure):
    node = figure.data[0].node
    return {
        (round(x, 3), data[0]): (y, colour)
        for x, y, data, colour in zip(node.x, node.y, node.customdata, node.color, strict=True)
    }


def test_every_journey_of_the_frame_is_drawn():
    flows = flow_frame()
    link = plot.sankey(flows).data[0].link
    assert sum(link.value) == flows["journeys"].sum()
    assert len(link.value) == len(flows)


def test_the_same_touchpoint_at_two_steps_is_two_nodes_of_one_colour():
    flows = flow_frame((1, "viewed_home", "viewed_home", 9), (2, "viewed_home", "(end)", 9))
    drawn = nodes(plot.sankey(flows))
    homes = [value for (_, name), value in drawn.items() if name == "viewed_home"]
    assert len(homes) == 2
    assert len({colour for _, colour in homes}) == 1


def test_nodes_stand_by_size_with_other_open_and_end_at_the_bottom():
    drawn = nodes(plot.sankey(flow_frame()))
    columns: dict[float, list[str]] = {}
    for (x, name), _ in sorted(drawn.items(), key=lambda item: (item[0][0], item[1][0])):
        columns.setdefault(x, []).append(name)
    assert list(columns.values()) == [
        ["signed_up"],
        ["viewed_home", "opened_ticket", "(end)"],
        ["(other)", "(open)", "(end)"],
    ]


def test_nodes_of_a_column_do_not_overlap():
    flows = flow_frame(
        *((1, f"start_{n}", f"goal_{n % 7}", 10 * n) for n in range(1, 12)),
        *((2, f"goal_{n}", "(end)", 90) for n in range(7)),
    )
    figure = plot.sankey(flows)
    height = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    scale = (height - 10 * 18) / 660  # the fullest column: 11 nodes, 660 journeys
    first = sorted(
        (y * height, 10 * int(name.removeprefix("start_")) * scale)
        for (x, name), (y, _) in nodes(figure).items()
        if x == 0.001
    )
    for (y, size), (next_y, next_size) in pairwise(first):
        assert y + size / 2 < next_y - next_size / 2
    assert first[-1][0] + first[-1][1] / 2 <= height + 1


def test_clicks_and_names_survive_the_layout():
    trace = plot.sankey(flow_frame()).data[0]
    assert trace.arrangement == "fixed"
    assert "opened_ticket" in [data[0] for data in trace.node.customdata]
    assert "opened ticket" in trace.node.label


def test_small_moves_are_left_out_and_the_subtitle_says_how_much():
    figure = plot.sankey(flow_frame(), hide_below=0.15)
    assert len(figure.data[0].link.value) == 5
    assert "5.3% of all, are not drawn" in figure.layout.title.subtitle.text


def test_moves_of_few_customers_are_left_out_but_counted():
    figure = plot.sankey(flow_frame(), least_customers=25)
    assert min(figure.data[0].link.value) == 30
    assert figure.layout.title.subtitle.text.startswith("100 journeys")


def test_nothing_is_drawn_when_every_move_is_too_small():
    figure = plot.sankey(flow_frame(), least_customers=1_000)
    assert figure.layout.meta["description"] == "Every move is too small to be drawn."


def test_flows_around_a_touchpoint_name_it():
    flows = flow_frame((-1, "(start)", "opened_ticket", 10), (0, "opened_ticket", "(end)", 10))
    figure = plot.sankey(flows)
    assert figure.layout.title.text == "What happens before and after opened ticket"
    assert [note.text for note in figure.layout.annotations] == ["1 before", "here", "1 after"]


def test_given_colours_win():
    figure = plot.sankey(flow_frame(), colours={"signed_up": "#123456"})
    assert "#123456" in figure.data[0].node.color


def test_an_empty_frame_gives_a_figure_with_a_sentence():
    figure = plot.sankey(flow_frame().head(0))
    assert figure.layout.annotations[0].text == "No journeys in this selection."
    assert figure.layout.meta["empty"]


def test_a_missing_column_names_the_closest_one():
    flows = flow_frame().rename(columns={"from_touchpoint": "from_touchpoints"})
    with pytest.raises(CxError, match=r"no column 'from_touchpoint' in the frame given to plot\."
                                      r"sankey; did you mean 'from_touchpoints'"):  # fmt: skip
        plot.sankey(flows)


def test_several_groups_are_refused():
    flows = flow_frame()
    both = pd.concat([flows.assign(segment="a"), flows.assign(segment="b")])
    with pytest.raises(CxError, match="several groups"):
        plot.sankey(both)


def test_the_frame_is_not_changed():
    flows = flow_frame()
    before = flows.copy()
    plot.sankey(flows, hide_below=0.2)
    assert flows.equals(before)


def test_what_comes_before_alone_counts_every_journey_that_reaches_the_anchor():
    flows = flow_frame(
        (-2, "viewed_home", "asked", 5),
        (-1, "asked", "opened_ticket", 5),
        (-1, "(start)", "opened_ticket", 7),
    )
    assert "12 journeys" in plot.sankey(flows).layout.meta["description"]
