"""How every figure looks: one plotly template in light and dark, and the colours of names."""

from collections.abc import Iterable
from zlib import crc32

import plotly.graph_objects as go

from cxlib.errors import unknown_name

__all__ = [
    "GROUP_COLOURS",
    "GROUP_DASHES",
    "GROUP_KEYS",
    "MUTED",
    "figure_template",
    "touchpoint_colour",
    "touchpoint_colours",
    "translucent",
]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"

# Ink and ground of both themes; traces bring colours that hold on either ground.
_THEMES = {
    "light": {"paper": "#ffffff", "ink": "#1f2733", "quiet": "#5b6675", "grid": "#e4e8ee",
              "some": "#aedcf8", "most": "#5cbaf0"},
    "dark": {"paper": "#171c24", "ink": "#e6eaf0", "quiet": "#a3adbb", "grid": "#2c3440",
             "some": "#0c476b", "most": "#0072b2"},
}  # fmt: skip

# Okabe & Ito (2008), "Color universal design": told apart with every kind of colour vision.
# Their yellow and black are left out: each vanishes on one of the two grounds.
GROUP_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
GROUP_DASHES = ("solid", "dash", "dot", "dashdot")
GROUP_KEYS = ("━━", "╍╍", "┉┉", "━╍")

# What is not a touchpoint is grey, from dark to light: ended, still open, bundled.
MUTED = {"(end)": "#636e7b", "(open)": "#98a2ae", "(other)": "#b9ad97", "(start)": "#7d8fa9"}

# Chosen one after the other, each as far as possible (OKLab) from those before it in normal,
# protan, deutan and tritan vision (Machado et al. 2009), among colours that hold on both grounds.
_PALETTE = (
    "#3774b5", "#ee9e10", "#b31319", "#d78ff6", "#45c09e", "#732ca9", "#968148", "#26664a",
    "#d65c88", "#9263e5", "#895676", "#8a90c6", "#970e75", "#fc7b6f", "#3f9294", "#749c0b",
    "#5753d2", "#b843a9", "#d24011", "#774d24", "#607d25", "#92a871", "#77bcd8", "#ea66bf",
)  # fmt: skip


def figure_template(theme: str = "light") -> go.layout.Template:
    """Look of every cxlib figure, for one theme.

    Parameters
    ----------
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.layout.Template
        A new template; ``figure.update_layout(template=…)`` changes the theme of a figure.

    Raises
    ------
    CxError
        For any other theme.

    Examples
    --------
    >>> figure_template("dark").layout.paper_bgcolor
    '#171c24'
    """
    if theme not in _THEMES:
        raise unknown_name("theme", theme, _THEMES)
    tone = _THEMES[theme]
    axis = {
        "gridcolor": tone["grid"],
        "linecolor": tone["quiet"],
        "tickcolor": tone["grid"],
        "tickfont": {"color": tone["quiet"]},
        "title": {"font": {"color": tone["quiet"], "size": 12}, "standoff": 10},
        "zeroline": False,
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": tone["ink"]},
            "paper_bgcolor": tone["paper"],
            "plot_bgcolor": tone["paper"],
            "title": {
                "font": {"size": 16, "color": tone["ink"]},
                "subtitle": {"font": {"size": 12, "color": tone["quiet"]}},
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 16, "t": 14},
            },
            "colorway": list(GROUP_COLOURS),
            "margin": {"l": 16, "r": 16, "t": 84, "b": 48},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": tone["paper"],
                "bordercolor": tone["quiet"],
                "font": {"family": FONT, "size": 12, "color": tone["ink"]},
                "align": "left",
            },
            "legend": {"font": {"color": tone["ink"]}, "bgcolor": "rgba(0,0,0,0)"},
            "annotationdefaults": {"font": {"color": tone["quiet"]}},
            "sliderdefaults": {"currentvalue": {"font": {"color": tone["ink"]}}},
            "separators": ".,",
        },
        data={
            "bar": [{"error_x": {"color": tone["ink"]}, "error_y": {"color": tone["ink"]}}],
            # plotly writes #444 or white into a cell. A blue between these two ends would be too
            # dark for the one and too light for the other.
            "heatmap": [{"colorscale": _scale(tone)}],
        },
    )


def _scale(tone: dict[str, str]) -> list[list[object]]:
    """Colours of a heat map: half of the way in the first quarter, where most shares are."""
    return [[0, tone["paper"]], [0.25, tone["some"]], [1, tone["most"]]]


def touchpoint_colour(name: str) -> str:
    """Colour of a touchpoint, the same in every chart and every run.

    Parameters
    ----------
    name
        A touchpoint, or one of ``(end)``, ``(open)``, ``(other)`` and ``(start)``, which are grey.

    Returns
    -------
    str
        ``"#rrggbb"``. It depends on the name alone, so two touchpoints may share one;
        ``touchpoint_colours`` keeps the touchpoints of a log apart.

    Examples
    --------
    >>> touchpoint_colour("opened_ticket") == touchpoint_colour("opened_ticket")
    True
    >>> touchpoint_colour("(end)")
    '#636e7b'
    """
    # crc32 and not hash(): Python salts hash() anew in every process.
    return MUTED.get(name) or _PALETTE[crc32(name.encode()) % len(_PALETTE)]


def touchpoint_colours(names: Iterable[str]) -> dict[str, str]:
    """Colours of all touchpoints of a log, told apart as far as the palette of 24 reaches.

    Parameters
    ----------
    names
        The touchpoints, the most frequent first; repetition does not matter.

    Returns
    -------
    dict of str to str
        A name keeps its ``touchpoint_colour`` unless an earlier one has it; it then takes the next
        free one. So the 24 most frequent are told apart, and the same log gives the same colours.

    Examples
    --------
    >>> colours = touchpoint_colours(["signed_up", "opened_ticket", "paid_invoice"])
    >>> len(set(colours.values()))
    3
    """
    colours: dict[str, str] = {}
    for name in dict.fromkeys(names):
        colour = touchpoint_colour(name)
        if name not in MUTED and colour in colours.values():
            at = _PALETTE.index(colour)
            turned = _PALETTE[at:] + _PALETTE[:at]
            colour = next((free for free in turned if free not in colours.values()), colour)
        colours[name] = colour
    return colours


def translucent(colour: str, opacity: float) -> str:
    """Colour with an opacity between 0 and 1, as plotly writes it.

    Examples
    --------
    >>> translucent("#0072b2", 0.4)
    'rgba(0,114,178,0.4)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
