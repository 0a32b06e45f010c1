"""The chart of how well journeys follow a plan."""

import pandas as pd
import pytest

from cxlib import CxError, plot


def fitness_frame():
    """A large group, and one of a single journey."""
    return pd.DataFrame(
        {
            "channel": ["web_chat", "phone"],
            "n": [1, 200],
            "open": [0, 20],
            "as_planned": [0, 50],
            "as_planned_share": [0.0, 0.25],
            "lower": [0.0, 0.19],
            "upper": [0.79, 0.31],
            "mean_fitness": [0.5, 0.7],
            "fitness_lower": [None, 0.66],
            "fitness_upper": [None, 0.75],
            "mean_deviations": [3.0, 2.1],
            "mean_skipped": [3.0, 1.0],
            "mean_inserted": [0.0, 0.8],
            "mean_repeated": [0.0, 0.2],
            "mean_out_of_order": [0.0, 0.1],
        }
    )


def test_fitness_and_share_stand_in_a_row_per_group_the_largest_first():
    figure = plot.planned_vs_actual(fitness_frame())
    fitness, share = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["phone (200)", "web chat (1)"]
    assert (list(fitness.x), list(share.x)) == ([0.7, 0.5], [0.25, 0.0])
    assert fitness.error_x.array[0] == pytest.approx(0.05)
    assert share.error_x.arrayminus[0] == pytest.approx(0.06)


def test_one_journey_has_no_interval_of_its_mean():
    fitness = plot.planned_vs_actual(fitness_frame()).data[0]
    assert (fitness.error_x.array[1], fitness.error_x.arrayminus[1]) == (0, 0)
    assert fitness.customdata[1][2] == "one journey: no interval"
    alone = plot.planned_vs_actual(fitness_frame().head(1)).layout.meta["description"]
    assert alone.endswith("Web chat: mean fitness 0.50, 0.0% as planned, 3.0 deviations per "
                          "journey (n 1).")  # fmt: skip


def test_the_largest_groups_are_shown_and_the_others_counted():
    figure = plot.planned_vs_actual(fitness_frame(), top=1)
    assert figure.layout.title.subtitle.text.startswith("the 1 largest of 2 groups; 201 journeys")


def test_groups_without_a_name_are_refused():
    with pytest.raises(CxError, match="the group 'all journeys' stands in the frame twice"):
        plot.planned_vs_actual(fitness_frame().drop(columns="channel"))
