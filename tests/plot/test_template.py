import subprocess
import sys

import numpy as np
import pytest

from cxlib import CxError, plot
from cxlib.plot.template import GROUP_COLOURS, MUTED
from tests.plot.frames import curve_frame, dropoff_frame, flow_frame, transition_frame

CHARTS = {
    "sankey": lambda **options: plot.sankey(flow_frame(), **options),
    "dropoff": lambda **options: plot.dropoff(dropoff_frame(), **options),
    "survival": lambda **options: plot.survival(curve_frame(), **options),
    "transitions": lambda **options: plot.transitions(transition_frame(), **options),
}


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """WCAG 2.2 contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("chart", CHARTS)
def test_every_chart_has_a_title_a_text_alternative_and_a_theme(chart):
    figure = CHARTS[chart](theme="dark")
    assert figure.layout.title.text
    assert figure.layout.title.subtitle.text
    assert figure.layout.meta["description"].endswith(".")
    assert figure.layout.template.layout.paper_bgcolor == "#171c24"


@pytest.mark.parametrize("chart", CHARTS)
def test_the_same_frame_gives_the_same_figure(chart):
    assert CHARTS[chart]().to_json() == CHARTS[chart]().to_json()


@pytest.mark.parametrize("chart", CHARTS)
def test_themes_differ_in_the_template_alone(chart):
    light, dark = CHARTS[chart](theme="light"), CHARTS[chart](theme="dark")
    light.layout.template = dark.layout.template = None
    assert light.to_json() == dark.to_json()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_on_its_ground(theme):
    layout = plot.figure_template(theme).layout
    for ink in (layout.font.color, layout.xaxis.tickfont.color, layout.title.subtitle.font.color):
        assert contrast(ink, layout.paper_bgcolor) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_in_a_heat_map_are_readable_on_every_colour_of_its_scale(theme):
    scale = plot.figure_template(theme).data.heatmap[0].colorscale
    places = [place for place, _ in scale]
    parts = [[int(colour[at : at + 2], 16) for _, colour in scale] for at in (1, 3, 5)]
    for step in range(101):
        cell = [round(np.interp(step / 100, places, part)) for part in parts]
        # What plotly does: white where a cell is dark by the brightness of YIQ, else #444.
        dark = (299 * cell[0] + 587 * cell[1] + 114 * cell[2]) / 1000 < 128
        ground = "#{:02x}{:02x}{:02x}".format(*cell)
        assert contrast("#ffffff" if dark else "#444444", ground) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_stand_out_from_either_ground(theme):
    ground = plot.figure_template(theme).layout.paper_bgcolor
    names = [f"touchpoint_{n}" for n in range(24)]
    for colour in (*GROUP_COLOURS, *MUTED.values(), *plot.touchpoint_colours(names).values()):
        assert contrast(colour, ground) >= 1.9


def test_a_touchpoint_has_the_same_colour_in_another_process():
    code = "from cxlib import plot; print(plot.touchpoint_colour('opened_ticket'))"
    again = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert plot.touchpoint_colour("opened_ticket") == again


def test_the_24_most_frequent_touchpoints_of_a_log_are_told_apart():
    names = [f"touchpoint_{n}" for n in range(40)]
    colours = plot.touchpoint_colours(names)
    assert len({colours[name] for name in names[:24]}) == 24


def test_the_most_frequent_touchpoint_keeps_its_own_colour():
    names = [f"touchpoint_{n}" for n in range(40)]
    for first in names:
        colours = plot.touchpoint_colours([first, *names])
        assert colours[first] == plot.touchpoint_colour(first)


def test_more_touchpoints_than_colours_share_them():
    assert len(plot.touchpoint_colours(f"t{n}" for n in range(60))) == 60


def test_an_unknown_theme_names_the_known_ones():
    with pytest.raises(CxError, match="there is no theme 'drak'; did you mean 'dark'"):
        plot.figure_template("drak")


def test_plot_imports_neither_engine_nor_models():
    code = (
        "import sys; import cxlib.plot; "
        "print([m for m in ('ibis', 'duckdb', 'lifelines', 'cxlib.models', 'cxlib.journeys') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
