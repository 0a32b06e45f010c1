"""The chart of next steps."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten
from cxlib.plot.template import touchpoint_colours

__all__ = ["next_steps"]

_STEP_COLUMNS = (
    "context", "order", "next_touchpoint", "count", "n", "open", "probability", "lower", "upper",
    "first_order_probability",
)  # fmt: skip


def next_steps(frame: pd.DataFrame, *, title: str | None = None, theme: str = "light") -> go.Figure:
    """Bars of the probability of each next step, beside what the last touchpoint alone would say.

    Parameters
    ----------
    frame
        What ``cxlib.next_steps`` returns, for one group and one context.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Bars have their 95 % intervals. A diamond marks the probability given the last touchpoint
        alone, where more of them were used.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several contexts.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "context": ["visit -> ask"] * 2, "order": [2, 2], "rank": [1, 2],
    ...     "next_touchpoint": ["buy", "(end)"], "count": [60, 40], "n": [100, 100],
    ...     "open": [5, 5], "probability": [0.6, 0.4], "lower": [0.5, 0.31],
    ...     "upper": [0.69, 0.5], "first_order_probability": [0.3, 0.5], "lift": [2.0, 0.8]})
    >>> next_steps(frame).layout.meta["description"]
    'After visit, then ask, the next step is most often buy: 60 of 100 times (60.0%), 30.0% after
    ask alone. 5 more are still open.'
    """
    need_columns(frame, _STEP_COLUMNS, "next_steps")
    if frame["next_touchpoint"].duplicated().any() or len(frame["context"].unique()) > 1:
        raise CxError(
            "the frame holds several contexts or groups, and the chart shows one; keep one before "
            "plotting, for example frame[frame['context'] == 'signed_up']"
        )
    heading = title or "Best bets for the next step"
    if frame.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    longer = bool((frame["order"] > 1).any())
    figure = go.Figure(_bars(frame))
    if longer:
        figure.add_trace(_alone(frame))
    figure.update_layout(
        hovermode="closest",
        bargap=0.3,
        showlegend=longer,
        xaxis={"title": f"of {frame['n'].iloc[0]:,} times (95% intervals)", "tickformat": ".0%",
               "rangemode": "tozero", "nticks": 6},
        yaxis={"autorange": "reversed", "tickvals": list(range(len(frame))), "showgrid": False,
               "ticktext": [shorten(plain(name), 26) for name in frame["next_touchpoint"]]},
        legend={"orientation": "h", "x": 0, "y": -62 / (34 * max(len(frame), 3)),
                "yanchor": "top", "itemclick": False, "itemdoubleclick": False},
        margin={"b": 96},
    )  # fmt: skip
    first = frame.iloc[0]
    return dress(
        figure,
        title=heading,
        subtitle="after " + shorten(_said(first["context"]), 52),
        description=_step_reading(first, longer),
        height=180 + 34 * max(len(frame), 3),
        theme=theme,
    )


def _bars(frame: pd.DataFrame) -> go.Bar:
    names = frame["next_touchpoint"].tolist()
    colours = touchpoint_colours(names)
    p = frame["probability"]
    return go.Bar(
        orientation="h",
        x=p.tolist(),
        y=list(range(len(frame))),
        marker={"color": [colours[name] for name in names], "line": {"width": 0}},
        error_x={"type": "data", "symmetric": False, "thickness": 1.2, "width": 3,
                 "array": (frame["upper"] - p).clip(lower=0).tolist(),
                 "arrayminus": (p - frame["lower"]).clip(lower=0).tolist()},
        customdata=frame.assign(name=[plain(name) for name in names])[
            ["name", "count", "n", "lower", "upper"]
        ].astype(object).to_numpy().tolist(),
        hovertemplate="<b>%{customdata[0]}</b><br>"
        "%{customdata[1]:,} of %{customdata[2]:,} times: %{x:.1%}<br>"
        "95% interval %{customdata[3]:.1%} to %{customdata[4]:.1%}<extra></extra>",
        showlegend=False,
    )  # fmt: skip


def _alone(frame: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=frame["first_order_probability"].tolist(),
        y=list(range(len(frame))),
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": "#ffffff",
                "line": {"width": 2, "color": "#5b6675"}},
        name="given the last touchpoint alone",
        hovertemplate="%{x:.1%} given the last touchpoint alone<extra></extra>",
    )  # fmt: skip


def _said(context: str) -> str:
    """A context as a reader says it."""
    if context == "(any)":
        return "any touchpoint"
    names = [name.strip('"') for name in context.split(" -> ")]
    return ", then ".join("the start" if name == "(start)" else plain(name) for name in names)


def _step_reading(first: pd.Series, longer: bool) -> str:
    text = (
        f"After {_said(first['context'])}, the next step is most often "
        f"{plain(first['next_touchpoint'])}: {first['count']:,} of {first['n']:,} times "
        f"({first['probability']:.1%})"
    )
    if longer and pd.notna(first["first_order_probability"]):
        last = _said(first["context"].split(" -> ")[-1])
        text += f", {first['first_order_probability']:.1%} after {last} alone"
    return f"{text}. {first['open']:,} more are still open." if first["open"] else f"{text}."
