"""The chart of competing ends: the share that has come to each, one on top of the other."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain
from cxlib.plot.template import GROUP_COLOURS, translucent

__all__ = ["cumulative_incidence"]

_COLUMNS = ("cause", "at_risk", "events", "censored", "incidence", "lower", "upper")
_PATTERNS = ("", "/", ".", "\\", "x", "-")
_PLOT = 320
_THIN = 10  # customers at risk below which shares are not drawn


def cumulative_incidence(
    frame: pd.DataFrame, *, title: str | None = None, event: str = "left", theme: str = "light"
) -> go.Figure:
    """Share of customers who have ended for each cause, stacked: their sum is who has ended.

    Parameters
    ----------
    frame
        What ``cxlib.cumulative_incidence`` returns, for one group: one row per cause and time.
    title
        In place of the title that says what is shown.
    event
        What ends a spell, as it stands after "have": "left", "renewed".
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Areas, the largest at the bottom, each with a colour and a hatching of its own, up to the
        last time at which 10 customers were at risk. Above them are those who have not ended.

    Raises
    ------
    CxError
        When a column is missing, the frame holds several groups, or more than 6 causes.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "cause": ["price", "price", "moved", "moved"], "duration_days": [0, 30, 0, 30],
    ...     "at_risk": [40, 40, 40, 40], "events": [0, 8, 0, 4], "censored": [0, 28, 0, 28],
    ...     "incidence": [0.0, 0.2, 0.0, 0.1], "lower": [0.0, 0.1, 0.0, 0.03],
    ...     "upper": [0.0, 0.34, 0.0, 0.22]})
    >>> cumulative_incidence(frame).layout.meta["description"]
    'Share of 40 customers who have left, by cause and days. By day 30, the last drawn: price 20.0%,
    moved 10.0%, together 30.0%.'
    """
    need_columns(frame, _COLUMNS, "cumulative_incidence")
    time = _time(frame)
    if frame.duplicated(["cause", time]).any():
        raise CxError(
            "the frame holds several groups, and a chart of cumulative incidence shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or f"Why customers have {event}"
    if frame.empty:
        return blank(heading, f"Nobody of this selection has {event}.", theme=theme)
    parts = _parts(frame, time)
    if len(parts) > len(GROUP_COLOURS):
        raise CxError(
            f"the frame has {len(parts)} causes, and more than {len(GROUP_COLOURS)} cannot be told "
            "apart; count some as one with causes= of spell_counts"
        )
    unit = time.removeprefix("duration_")
    first = parts[0]
    seen = int(first["censored"].sum() + sum(rows["events"].sum() for rows in parts))
    n = max(int(first["at_risk"].max()), seen)
    last = first.loc[first["at_risk"] >= _THIN, time].max()
    parts = [rows[rows[time] <= last] for rows in parts] if pd.notna(last) else parts
    figure = go.Figure([_area(rows, time, unit, parts) for rows in parts])
    _lay_out(figure, parts, event, unit)
    return dress(
        figure,
        title=heading,
        subtitle=f"{n:,} customers; causes compete, so that the shares add up",
        description=f"Share of {n:,} customers who have {event}, by cause and {unit}. "
        + _reading(parts, time, unit),
        height=84 + _PLOT + 118,
        theme=theme,
        min_width=330,
    )


def _time(frame: pd.DataFrame) -> str:
    found = [str(column) for column in frame.columns if str(column).startswith("duration_")]
    if len(found) != 1:
        raise CxError(
            "the frame given to plot.cumulative_incidence needs one column duration_<unit>, "
            f"for example duration_days; it has {found or 'none'}"
        )
    return found[0]


def _parts(frame: pd.DataFrame, time: str) -> list[pd.DataFrame]:
    """Rows of each cause in order of time; what most ended for comes first."""
    parts = [rows.sort_values(time) for _, rows in frame.groupby("cause", observed=True)]
    return sorted(parts, key=lambda rows: (-rows["incidence"].iloc[-1], rows["cause"].iloc[0]))


def _area(rows: pd.DataFrame, time: str, unit: str, parts: list[pd.DataFrame]) -> go.Scatter:
    cause = rows["cause"].iloc[0]
    # By alphabet and not by size: a filter changes the sizes, and should not swap colours.
    turn = sorted(part["cause"].iloc[0] for part in parts).index(cause)
    colour = GROUP_COLOURS[turn]
    return go.Scatter(
        x=rows[time].tolist(),
        y=rows["incidence"].tolist(),
        stackgroup="causes",
        mode="lines",
        line={"color": colour, "width": 1.4, "shape": "hv"},
        fillcolor=translucent(colour, 0.55),
        fillpattern={"shape": _PATTERNS[turn], "fgcolor": colour, "size": 7, "solidity": 0.18,
                     "bgcolor": translucent(colour, 0.45)} if _PATTERNS[turn] else None,
        name=plain(cause),
        customdata=rows[["incidence", "lower", "upper", "at_risk"]].to_numpy().tolist(),
        hovertemplate=f"<b>{plain(cause)}</b>, by {unit.removesuffix('s')} %{{x:,.4~g}}<br>"
        "%{customdata[0]:.1%} (95% interval %{customdata[1]:.1%} to %{customdata[2]:.1%})<br>"
        "%{customdata[3]:,} customers at risk<extra></extra>",
    )  # fmt: skip


def _lay_out(figure: go.Figure, parts: list[pd.DataFrame], event: str, unit: str) -> None:
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": unit, "showline": True, "tickformat": ",.4~g", "nticks": 7,
               "rangemode": "tozero"},
        yaxis={"title": f"customers who have {event} (%)", "tickformat": ".0%",
               "rangemode": "tozero", "nticks": 7},
        legend={"orientation": "h", "y": -64 / _PLOT, "yanchor": "top", "x": 0,
                "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        showlegend=True,
        margin={"b": 118, "r": 24},
    )  # fmt: skip


def _reading(parts: list[pd.DataFrame], time: str, unit: str) -> str:
    end = max(rows[time].max() for rows in parts)
    shares = ", ".join(
        f"{plain(rows['cause'].iloc[0])} {rows['incidence'].iloc[-1]:.1%}" for rows in parts
    )
    whole = sum(rows["incidence"].iloc[-1] for rows in parts)
    together = f", together {whole:.1%}" if len(parts) > 1 else ""
    return f"By {unit.removesuffix('s')} {end:,.4g}, the last drawn: {shares}{together}."
