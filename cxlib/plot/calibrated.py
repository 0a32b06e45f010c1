"""The chart of predicted risks beside what happened."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns

__all__ = ["calibration"]

_COLUMNS = (
    *("group", "sample", "n", "events", "predicted", "observed", "lower", "upper"),
    *("calibrated", "ici"),
)
_SEEN, _SMOOTH, _EQUAL = "#0072b2", "#d55e00", "#7a8ba3"
_LEAST = 10
_PLOT = 360


def calibration(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Observed by predicted risk, for groups of customers with about the same prediction.

    Parameters
    ----------
    frame
        What ``calibration`` returns: one row per group.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Points with 95 % intervals, the smoothed risk as a line, and the dotted line on which they
        would lie if predictions were right. The subtitle says whether the outcomes came after the
        data of the fit. Groups of fewer than 10 customers are left out.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several calibrations.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "group": [1, 2], "sample": "later", "ahead_days": 90.0, "n": [200, 210],
    ...     "events": [10, 63], "predicted": [0.06, 0.25], "observed": [0.05, 0.3],
    ...     "lower": [0.03, 0.24], "upper": [0.09, 0.37], "calibrated": [0.05, 0.29], "ici": 0.026})
    >>> calibration(frame).layout.meta["description"]
    'Observed by predicted risk within 90 days, of 410 customers in 2 groups, on outcomes after the
    data of the fit. Lowest risk: predicted 6.0%, observed 5.0% (3.0% to 9.0%). Highest: predicted
    25.0%, observed 30.0% (24.0% to 37.0%). On average predictions are off by 2.6 points (ICI).'
    """
    need_columns(frame, _COLUMNS, "calibration")
    ahead = next((str(name) for name in frame.columns if str(name).startswith("ahead_")), None)
    if ahead is None:
        raise CxError(
            "the frame given to plot.calibration needs one column ahead_<unit>, the time from the "
            "prediction; give it what calibration returns"
        )
    if frame["group"].duplicated().any():
        raise CxError(
            "the frame holds several calibrations, and a chart shows one; keep one before plotting"
        )
    heading = title or "Do predicted risks come true?"
    rows = frame[frame["n"] >= _LEAST].sort_values("group")
    if rows.empty:
        return blank(heading, "No group of 10 customers or more in this selection.", theme=theme)
    within = f"within {rows[ahead].iloc[0]:g} {ahead.removeprefix('ahead_')}"
    figure = go.Figure([_equal(rows), _smooth(rows), _points(rows, within)])
    _lay_out(figure, rows, within)
    n = int(rows["n"].sum())
    later = (rows["sample"] == "later").all()
    kind = "outcomes after the data of the fit" if later else "the data of the fit: no validation"
    return dress(
        figure,
        title=heading,
        subtitle=f"{kind}; {n:,} customers; off by {100 * rows['ici'].iloc[0]:.1f} points on "
        "average (ICI); whiskers are 95% intervals",
        description=f"Observed by predicted risk {within}, of {n:,} customers in {len(rows)} "
        f"groups, on {kind}. {_reading(rows)}",
        height=84 + _PLOT + 118,
        theme=theme,
        min_width=330,
    )


def _end(rows: pd.DataFrame, *columns: str) -> float:
    """Where an axis ends: what is drawn on it, and a little more."""
    return float(min(1.02, max(rows[[*columns]].max().max() * 1.06, 0.05)))


def _equal(rows: pd.DataFrame) -> go.Scatter:
    end = _end(rows, "predicted")
    return go.Scatter(
        x=[0, end],
        y=[0, end],
        mode="lines",
        line={"color": _EQUAL, "width": 1.5, "dash": "dot"},
        name="as predicted",
        hoverinfo="skip",
    )


def _smooth(rows: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=rows["predicted"].tolist(),
        y=rows["calibrated"].tolist(),
        mode="lines",
        line={"color": _SMOOTH, "width": 2},
        name="smoothed",
        hoverinfo="skip",
    )


def _points(rows: pd.DataFrame, within: str) -> go.Scatter:
    # Without an end, or without a customer left, there is no interval to draw.
    up = np.maximum((rows["upper"] - rows["observed"]).fillna(0), 0)
    down = np.maximum((rows["observed"] - rows["lower"]).fillna(0), 0)
    return go.Scatter(
        x=rows["predicted"].tolist(),
        y=rows["observed"].tolist(),
        mode="markers",
        marker={"color": _SEEN, "size": 9},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": up.tolist(),
            "arrayminus": down.tolist(),
            "color": _SEEN,
            "thickness": 1.4,
            "width": 4,
        },
        name="observed",
        customdata=rows[["group", "lower", "upper", "events", "n"]].astype(object).to_numpy()
        .tolist(),
        hovertemplate="<b>Group %{customdata[0]}</b>, from the lowest risk<br>"
        f"predicted %{{x:.1%}} to leave {within}<br>"
        "observed %{y:.1%} (95% interval %{customdata[1]:.1%} to %{customdata[2]:.1%})<br>"
        "%{customdata[3]:,} ended, of n = %{customdata[4]:,}<extra></extra>",
    )  # fmt: skip


def _lay_out(figure: go.Figure, rows: pd.DataFrame, within: str) -> None:
    axis = {"tickformat": ".0%", "nticks": 7, "showline": True}
    right, up = _end(rows, "predicted"), _end(rows, "predicted", "observed", "upper", "calibrated")
    figure.update_layout(
        hovermode="closest",
        xaxis={**axis, "range": [0, right], "title": f"predicted to leave {within} (%)"},
        yaxis={**axis, "range": [0, up], "title": "observed (%)"},
        legend={"orientation": "h", "y": -64 / _PLOT, "yanchor": "top", "x": 0,
                "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        showlegend=True,
        margin={"b": 118, "r": 24},
    )  # fmt: skip


def _reading(rows: pd.DataFrame) -> str:
    ends = [("Lowest risk", rows.iloc[0]), ("Highest", rows.iloc[-1])]
    sentences = []
    for name, row in ends if len(rows) > 1 else ends[:1]:
        bounds = f" ({row['lower']:.1%} to {row['upper']:.1%})" if row.notna()["lower"] else ""
        sentences.append(
            f"{name}: predicted {row['predicted']:.1%}, observed {row['observed']:.1%}{bounds}"
        )
    off = f"On average predictions are off by {100 * rows['ici'].iloc[0]:.1f} points (ICI)"
    return ". ".join([*sentences, off]) + "."
