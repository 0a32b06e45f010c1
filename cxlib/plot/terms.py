"""The chart of renewals by term, beside what a model says of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.intervals import wilson_interval
from cxlib.plot.canvas import blank, dress, need_columns

__all__ = ["renewals"]

_COLUMNS = ("term", "retention", "survival", "learnt", "at_risk", "observed_retention")
_SEEN, _MODEL = "#0072b2", "#d55e00"
_PLOT = 320


def renewals(frame: pd.DataFrame, *, title: str | None = None, theme: str = "light") -> go.Figure:
    """Renewal rate by term: as observed, with intervals, and as a model has it.

    Parameters
    ----------
    frame
        What ``.predict(terms=, observed=)`` of ``fit_sbg`` or ``fit_bdw`` returns, for one group:
        one row per term.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Points with 95 % intervals for the terms that were due for somebody, and the model's line,
        dotted after the terms that it learnt from.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "term": [1, 2, 3], "retention": [0.62, 0.74, 0.8], "survival": [0.62, 0.46, 0.37],
    ...     "learnt": [True, True, False], "at_risk": [100, 50, 0],
    ...     "observed_retention": [0.6, 0.76, None]})
    >>> renewals(frame).layout.meta["description"]
    'Share of contracts renewed when due, by term, of 150 that were due. Observed: 60.0% at term 1,
    76.0% at term 2. The model has 62.0% at term 1 and 80.0% at term 3; 37% renew every time up to
    then.'
    """
    need_columns(frame, _COLUMNS, "renewals")
    if frame["term"].duplicated().any():
        raise CxError(
            "the frame holds several groups, and a chart of renewals shows one; "
            "keep one before plotting, for example frame[frame['plan'] == 'pro']"
        )
    heading = title or "How many renew, term by term"
    rows = frame.sort_values("term")
    seen = rows[rows["at_risk"].fillna(0) > 0]
    if seen.empty:
        return blank(heading, "No term of this selection was due.", theme=theme)
    figure = go.Figure([*_model(rows), _observed(seen)])
    low = min(float(figure.data[-1].y[at]) - float(down)
              for at, down in enumerate(figure.data[-1].error_y.arrayminus))  # fmt: skip
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "term", "dtick": 1 if len(rows) <= 12 else None, "showline": True,
               "range": [rows["term"].min() - 0.5, rows["term"].max() + 0.5]},
        yaxis={"title": "renewed, of those due (%)", "tickformat": ".0%", "nticks": 7,
               "range": [max(0.0, min(low, float(rows["retention"].min())) - 0.05), 1.02]},
        legend={"orientation": "h", "y": -64 / _PLOT, "yanchor": "top", "x": 0,
                "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        showlegend=True,
        margin={"b": 118, "r": 24},
    )  # fmt: skip
    n = int(seen["at_risk"].sum())
    return dress(
        figure,
        title=heading,
        subtitle=f"{n:,} terms that were due; whiskers are 95% intervals",
        description=f"Share of contracts renewed when due, by term, of {n:,} that were due. "
        + _reading(rows, seen),
        height=84 + _PLOT + 118,
        theme=theme,
        min_width=330,
    )


def _model(rows: pd.DataFrame) -> list[go.Scatter]:
    learnt = rows["learnt"].astype(bool)
    # The projection begins at the last term that was learnt from, so that the line has no gap.
    later = rows[~learnt | ~learnt.shift(-1, fill_value=True)] if not learnt.all() else rows[:0]
    kinds = ((rows[learnt], "solid", "model"), (later, "dot", "projected"))
    return [
        go.Scatter(
            x=part["term"].tolist(),
            y=part["retention"].tolist(),
            mode="lines",
            line={"color": _MODEL, "width": 2.2, "dash": dash},
            name=name,
            customdata=part[["survival"]].to_numpy().tolist(),
            hovertemplate=f"<b>Term %{{x}}</b>, {name}<br>%{{y:.1%}} of those due renew<br>"
            "%{customdata[0]:.1%} renew every time up to then<extra></extra>",
        )
        for part, dash, name in kinds
        if len(part)
    ]


def _observed(seen: pd.DataFrame) -> go.Scatter:
    rate, n = seen["observed_retention"].astype("float64"), seen["at_risk"].astype("int64")
    lower, upper = wilson_interval((rate * n).round(), n)
    return go.Scatter(
        x=seen["term"].tolist(),
        y=rate.tolist(),
        mode="markers",
        marker={"color": _SEEN, "size": 9},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.maximum(upper - rate, 0).tolist(),
            "arrayminus": np.maximum(rate - lower, 0).tolist(),
            "color": _SEEN,
            "thickness": 1.4,
            "width": 4,
        },
        name="observed",
        customdata=[list(facts) for facts in zip(lower, upper, n, strict=True)],
        hovertemplate="<b>Term %{x}</b>, observed<br>%{y:.1%} of %{customdata[2]:,} renewed<br>"
        "95% interval %{customdata[0]:.1%} to %{customdata[1]:.1%}<extra></extra>",
    )


def _reading(rows: pd.DataFrame, seen: pd.DataFrame) -> str:
    shown = seen if len(seen) < 4 else seen.iloc[[0, 1, -1]]
    observed = ", ".join(
        f"{rate:.1%} at term {term}"
        for term, rate in zip(shown["term"], shown["observed_retention"], strict=True)
    )
    first, last = rows.iloc[0], rows.iloc[-1]
    return (
        f"Observed: {observed}. The model has {first['retention']:.1%} at term {first['term']} and "
        f"{last['retention']:.1%} at term {last['term']}; {last['survival']:.0%} renew every time "
        "up to then."
    )
