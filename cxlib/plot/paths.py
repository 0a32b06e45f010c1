"""The chart of common paths."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten
from cxlib.plot.template import MUTED, touchpoint_colours

__all__ = ["common_paths"]

_PATH_COLUMNS = (
    "rank", "touchpoints", "continues", "journeys", "customers", "open", "n", "share", "lower",
    "upper", "coverage", "paths", "median_hours",
)  # fmt: skip
_ROW = 28  # pixels
_CHIPS = 0.7  # of the width; the bars have the rest
_BAR = "#7a8ba3"


def common_paths(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Paths as rows of coloured chips, one per touchpoint, with a bar of their share.

    Parameters
    ----------
    frame
        What ``cxlib.common_paths`` returns, for one group: one row per path.
    top
        How many paths to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        A chip bears the letters and the colour that the legend gives its touchpoint; "…" says that
        the journeys go on.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "rank": [1], "touchpoints": [("visit", "buy")], "continues": [False],
    ...     "journeys": [60], "customers": [50], "open": [3], "n": [100], "share": [0.6],
    ...     "lower": [0.5], "upper": [0.69], "coverage": [0.6], "paths": [9],
    ...     "median_hours": [5.0]})
    >>> common_paths(frame).layout.meta["description"]
    'The most common of 9 paths is visit, then buy: 60 of 100 journeys (60.0%).'
    """
    need_columns(frame, _PATH_COLUMNS, "common_paths")
    if frame["rank"].duplicated().any():
        raise CxError(
            "the frame holds several groups, and a chart of paths shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "The paths that journeys take most often"
    rows = frame.head(top)
    if rows.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    names = list(dict.fromkeys(name for path in rows["touchpoints"] for name in path))
    chips = _chips(rows, names)
    figure = go.Figure([*chips, _shares(rows)])
    slots = max(6, *(len(path) + more for path, more in _ends(rows)))
    # Room for two entries of the legend beside each other, as on a phone.
    legend = 22 * ((len(chips) + 1) // 2) + 12
    plot = _ROW * len(rows)
    figure.update_layout(
        barmode="overlay",
        hovermode="closest",
        xaxis={"domain": [0, _CHIPS], "range": [0, slots], "visible": False},
        xaxis2={"domain": [_CHIPS + 0.03, 1], "range": [0, 1.7 * float(rows["share"].max())],
                "visible": False, "anchor": "y"},
        yaxis={"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
               "showgrid": False,
               "ticktext": [f"{rank}" for rank in rows["rank"]], "ticks": ""},
        legend={"orientation": "h", "x": 0, "y": -8 / plot, "yanchor": "top", "entrywidth": 112,
                "itemwidth": 30, "itemclick": False, "itemdoubleclick": False,
                "traceorder": "normal", "font": {"size": 10}},
        margin={"b": legend + 16},
    )  # fmt: skip
    return dress(
        figure,
        title=heading,
        subtitle=_covered(rows),
        description=_path_reading(rows),
        height=84 + plot + legend + 16,
        theme=theme,
    )


def _chips(rows: pd.DataFrame, names: list[str]) -> list[go.Bar]:
    """One trace per touchpoint, so that the legend says what its letters and colour mean."""
    colours, letters = touchpoint_colours(names), _letters(names)
    found: dict[str, list[tuple[int, int, list[str]]]] = {name: [] for name in names}
    for y, row in enumerate(rows.to_dict("records")):
        said = f"{row['journeys']:,} of {row['n']:,} journeys take path {row['rank']}"
        for place, name in enumerate(row["touchpoints"]):
            found[name].append((place, y, [str(place + 1), said]))
    traces = [
        _chip(places, f"{letters[name]}  {shorten(plain(name), 17)}", plain(name),
              letters[name], colours[name])
        for name, places in found.items()
    ]  # fmt: skip
    on = [
        (len(path), y, [str(len(path) + 1), "these journeys go on"])
        for y, (path, more) in enumerate(_ends(rows))
        if more
    ]
    if on:
        traces.append(_chip(on, "…  goes on", "further touchpoints", "…", MUTED["(other)"]))
    return traces


def _chip(
    places: list[tuple[int, int, list[str]]], name: str, said: str, letters: str, colour: str
) -> go.Bar:
    return go.Bar(
        orientation="h",
        base=[place + 0.04 for place, _, _ in places],
        x=[0.92] * len(places),
        y=[y for _, y, _ in places],
        width=0.74,
        text=[letters] * len(places),
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        textfont={"size": 11, "color": _ink(colour)},
        marker={"color": colour, "line": {"width": 0}, "cornerradius": 4},
        name=name,
        customdata=[facts for _, _, facts in places],
        hovertemplate=f"<b>{said}</b>, touchpoint %{{customdata[0]}}<br>"
        "%{customdata[1]}<extra></extra>",
    )


def _shares(rows: pd.DataFrame) -> go.Bar:
    return go.Bar(
        orientation="h",
        xaxis="x2",
        x=rows["share"].tolist(),
        y=list(range(len(rows))),
        width=0.5,
        marker={"color": _BAR, "line": {"width": 0}},
        text=[f"{share:.1%}" for share in rows["share"]],
        textposition="outside",
        cliponaxis=False,
        showlegend=False,
        customdata=[_path_facts(row) for row in rows.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _path_facts(row: Mapping[Hashable, Any]) -> str:
    """What a reader sees when pointing at the bar of a path."""
    hours = row["median_hours"]
    lasts = "" if pd.isna(hours) else f"<br>median of {hours:,.1f} hours where it has ended"
    return (
        f"<b>{_wrapped(row['touchpoints'], bool(row['continues']))}</b><br>"
        f"{row['journeys']:,} of {row['n']:,} journeys ({row['share']:.1%}; "
        f"95% interval {row['lower']:.1%} to {row['upper']:.1%})<br>"
        f"{row['customers']:,} customers; {row['open']:,} of the journeys still open<br>"
        f"paths 1 to {row['rank']} cover {row['coverage']:.1%}{lasts}"
    )


def _wrapped(path: Iterable[str], more: bool) -> str:
    """A path over several lines, three touchpoints in each."""
    words = [*(shorten(plain(name), 24) for name in path), *(["…"] if more else [])]
    lines = [" → ".join(words[at : at + 3]) for at in range(0, len(words), 3)]
    return " →<br>".join(lines)


def _ends(rows: pd.DataFrame) -> list[tuple[tuple[str, ...], bool]]:
    return [
        (tuple(path), bool(more))
        for path, more in zip(rows["touchpoints"], rows["continues"], strict=True)
    ]


def _letters(names: list[str]) -> dict[str, str]:
    """Two letters for each name, told apart: its initials, else its first and a later letter."""
    given: dict[str, str] = {}
    for name in names:
        words = [word for word in plain(name).split() if word[0].isalnum()] or ["?"]
        initials = [words[0][0] + word[0] for word in words[1:]]
        later = [words[0][0] + letter for letter in "".join(words)[1:] if letter.isalnum()]
        numbers = [f"{words[0][0]}{number}" for number in range(2, len(names) + 2)]
        choices = [choice.upper() for choice in [*initials, *later, *numbers]]
        given[name] = next(choice for choice in choices if choice not in given.values())
    return given


def _ink(colour: str) -> str:
    """Black or white, whichever stands out from a colour (WCAG relative luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"


def _covered(rows: pd.DataFrame) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    which = f"{len(rows)} of {first['paths']:,} paths" if len(rows) > 1 else "One path"
    verb = "cover" if len(rows) > 1 else "covers"
    return f"{which} {verb} {last['coverage']:.1%} of {first['n']:,} journeys"


def _path_reading(rows: pd.DataFrame) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    path = ", then ".join(plain(name) for name in first["touchpoints"])
    more = ", and more" if first["continues"] else ""
    text = (
        f"The most common of {first['paths']:,} paths is {path}{more}: {first['journeys']:,} of "
        f"{first['n']:,} journeys ({first['share']:.1%})."
    )
    if len(rows) > 1:
        text += f" The {len(rows)} shown cover {last['coverage']:.1%}."
    return text
