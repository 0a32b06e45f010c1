"""What all charts share: the check of their columns, their texts, and the figure without data."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError, unknown_name
from cxlib.plot.template import figure_template

TOP = 84  # pixels above the plot, for the title and the subtitle

__all__ = [
    "TOP",
    "blank",
    "dress",
    "group_names",
    "legend_below",
    "need_columns",
    "one_group",
    "plain",
    "shorten",
]

_PLAIN = {
    "(end)": "journey ended",
    "(open)": "still open",
    "(other)": "other",
    "(start)": "journey began",
    "(none)": "not known",
}


def need_columns(frame: pd.DataFrame, columns: Iterable[str], chart: str) -> None:
    """Raise when a chart lacks a column, naming the closest ones that are there.

    Examples
    --------
    >>> need_columns(pd.DataFrame({"stp": [1]}), ["step"], "sankey")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no column 'step' in the frame given to plot.sankey;
    did you mean 'stp'?
    """
    for column in columns:
        if column not in frame.columns:
            raise unknown_name(
                "column", column, frame.columns, f"in the frame given to plot.{chart}"
            )


def one_group(frame: pd.DataFrame, keys: list[str], chart: str) -> None:
    """Raise when rows that should be one of a kind are not: ``chart`` says what shows one group.

    Examples
    --------
    >>> one_group(pd.DataFrame({"stage": ["buy", "buy"]}), ["stage"], "a chart of stages")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: the frame holds several groups, and a chart of stages shows one; keep
    one before plotting, for example frame[frame['segment'] == 'loyal']
    """
    if frame.duplicated(keys).any():
        raise CxError(
            f"the frame holds several groups, and {chart} shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )


def group_names(frame: pd.DataFrame, columns: Iterable[str]) -> pd.Series:
    """Group of each row: what stands in the columns that are not those of the measure.

    Examples
    --------
    >>> frame = pd.DataFrame({"channel": ["web_chat"], "plan": ["basic"], "n": [3]})
    >>> group_names(frame, ["n"]).tolist()
    ['web chat · basic']
    """
    known = set(columns)
    by = [column for column in frame.columns if column not in known]
    names = [" · ".join(plain(value) for value in row) for row in frame[by].to_numpy().tolist()]
    return pd.Series(names, index=frame.index, dtype="object")


def plain(name: object) -> str:
    """Name as a reader says it: without underscores, and "(end)" as "journey ended".

    Examples
    --------
    >>> plain("opened_ticket"), plain("(open)")
    ('opened ticket', 'still open')
    """
    text = str(name)
    return _PLAIN.get(text, text.replace("_", " "))


def shorten(text: str, length: int) -> str:
    """Text of at most ``length`` characters, cut ends marked by an ellipsis.

    Examples
    --------
    >>> shorten("requested cancellation", 12)
    'requested c…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def legend_below(rows: int, size: int) -> dict[str, object]:
    """Legend under a chart of rows, each so many pixels high."""
    return {
        "orientation": "h",
        "y": -66 / (size * max(rows, 3)),
        "yanchor": "top",
        "x": 0,
        "itemclick": False,
        "itemdoubleclick": False,
        "traceorder": "normal",
    }


def dress(
    figure: go.Figure,
    *,
    title: str,
    subtitle: str = "",
    description: str,
    height: int,
    above: int = 12,
    theme: str = "light",
    **meta: Any,
) -> go.Figure:
    """Give a new figure its look, its title and its text alternative; returns the same figure.

    ``above`` is the margin in pixels that is left when a page shows the title itself.
    """
    figure.update_layout(
        template=figure_template(theme),
        title={"text": title, "subtitle": {"text": subtitle}},
        height=height,
        margin_t=TOP,
        meta={"description": description, "above": above, **meta},
    )
    return figure


def blank(title: str, sentence: str, *, theme: str = "light") -> go.Figure:
    """Figure that has nothing to show and says why.

    Examples
    --------
    >>> blank("Drop-off", "No journeys in this selection.").layout.meta["description"]
    'No journeys in this selection.'
    """
    figure = go.Figure()
    figure.add_annotation(
        text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font_size=14
    )
    figure.update_layout(xaxis_visible=False, yaxis_visible=False)
    return dress(figure, title=title, description=sentence, height=320, theme=theme, empty=True)
