"""The chart of hazard ratios."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten
from cxlib.plot.template import GROUP_COLOURS

__all__ = ["hazard_ratios"]

_COLUMNS = ("covariate", "hazard_ratio", "lower", "upper", "n", "events")
_MORE, _LESS, _SAME = "#d55e00", "#009e73", "#7a8ba3"
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
_NEAR = (0.35, 0.5, 0.7, 1, 1.4, 2, 2.8)
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def hazard_ratios(
    summary: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Hazard ratios with their 95 % intervals, on a scale where half and double are equally far.

    Parameters
    ----------
    summary
        ``fit_cox(...).summary``, or that of ``fit_discrete_hazard``: one row per coefficient. With
        a column ``cause``, several of them, one for each cause.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Red where the rate is higher (the interval lies above 1), green where it is lower, grey
        where it may be equal; with several causes a colour and a sign for each.

    Raises
    ------
    CxError
        When a column is missing, a covariate stands there twice, or there are more than 6 causes.

    Examples
    --------
    >>> summary = pd.DataFrame({
    ...     "covariate": ["contract=annual"], "hazard_ratio": [0.35], "lower": [0.3],
    ...     "upper": [0.41], "n": [900], "events": [210]})
    >>> hazard_ratios(summary).layout.meta["description"]
    'Hazard ratios with 95% intervals. Contract annual is associated with a lower rate, 0.35 (0.30
    to 0.41). None is associated with a higher rate.'
    """
    need_columns(summary, _COLUMNS, "hazard_ratios")
    by = ["cause"] if "cause" in summary.columns else []
    if summary.duplicated([*by, "covariate"]).any():
        raise CxError(
            "a covariate stands in the frame twice, and a chart of hazard ratios shows one fit; "
            "keep one, or name the causes in a column 'cause'"
        )
    heading = title or "What is associated with a higher or lower rate"
    rows = summary.reset_index(drop=True)
    if rows.empty:
        return blank(heading, "No covariates in this fit.", theme=theme)
    names = list(dict.fromkeys(rows["covariate"]))
    causes = list(dict.fromkeys(rows["cause"])) if by else []
    if len(causes) > len(GROUP_COLOURS):
        raise CxError(
            f"the frame has {len(causes)} causes, and more than {len(GROUP_COLOURS)} cannot be "
            "told apart; keep the main ones"
        )
    rows = rows.assign(place=_places(rows, names, causes))
    row_height = max(30, 17 * len(causes))
    traces = _by_cause(rows, causes) if causes else _by_side(rows)
    figure = go.Figure(traces)
    _lay_out(figure, rows, names, row_height)
    return dress(
        figure,
        title=heading,
        subtitle="hazard ratios; whiskers are 95% intervals; an association, not an effect",
        description=f"Hazard ratios with 95% intervals. {_reading(rows)}",
        height=84 + 118 + row_height * max(len(names), 3),
        theme=theme,
        min_width=330,
    )


def _places(rows: pd.DataFrame, names: list[str], causes: list[str]) -> list[float]:
    """Where each row stands: one line for a covariate, its causes below one another."""
    line = rows["covariate"].map(names.index).astype("float64")
    if causes:
        step = 0.7 / len(causes)
        line = line + (rows["cause"].map(causes.index) - (len(causes) - 1) / 2) * step
    return line.tolist()


def _by_side(rows: pd.DataFrame) -> list[go.Scatter]:
    """One trace per side, so that the legend says what the colours mean."""
    more, less = rows["lower"] > 1, rows["upper"] < 1
    kinds = (
        (more, _MORE, "diamond", "higher rate"),
        (less, _LESS, "circle", "lower rate"),
        (~more & ~less, _SAME, "square", "may be equal"),
    )
    return [
        _points(rows[kind], colour, symbol, name)
        for kind, colour, symbol, name in kinds
        if kind.any()
    ]


def _by_cause(rows: pd.DataFrame, causes: list[str]) -> list[go.Scatter]:
    # By alphabet and not by order: a filter should not swap colours.
    turn = {cause: at for at, cause in enumerate(sorted(causes))}
    return [
        _points(
            rows[rows["cause"] == cause],
            GROUP_COLOURS[turn[cause]],
            _SYMBOLS[turn[cause]],
            plain(cause),
        )
        for cause in causes
    ]


def _points(rows: pd.DataFrame, colour: str, symbol: str, name: str) -> go.Scatter:
    ratio = rows["hazard_ratio"]
    facts = rows.assign(what=rows["covariate"].map(_named))
    columns = ["what", "lower", "upper", "events", "n"]
    return go.Scatter(
        x=ratio.tolist(),
        y=rows["place"].tolist(),
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": symbol},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["upper"] - ratio).clip(lower=0).tolist(),
            "arrayminus": (ratio - rows["lower"]).clip(lower=0).tolist(),
            "color": colour,
            "thickness": 1.6,
            "width": 0,
        },
        name=name,
        customdata=facts[columns].astype(object).to_numpy().tolist(),
        hovertemplate=f"<b>%{{customdata[0]}}</b>: {name}<br>"
        "hazard ratio %{x:.2f} (95% interval %{customdata[1]:.2f} to %{customdata[2]:.2f})<br>"
        "%{customdata[3]:,} ended, of n = %{customdata[4]:,}<extra></extra>",
    )


def _lay_out(figure: go.Figure, rows: pd.DataFrame, names: list[str], row_height: int) -> None:
    low = min(float(rows["lower"].min()), 0.8)
    high = max(float(rows["upper"].max()), 1.25)
    low, high = max(low, 0.01) / 1.1, min(high, 100.0) * 1.1
    ticks = [tick for tick in (_NEAR if high / low < 9 else _TICKS) if low <= tick <= high]
    figure.add_vline(x=1, line_width=1, line_dash="dot", line_color=_SAME)
    figure.update_layout(
        hovermode="closest",
        xaxis={"type": "log", "range": [float(np.log10(low)), float(np.log10(high))],
               "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks],
               "tickangle": 0, "title": "hazard ratio (1: equal rates)"},
        yaxis={"range": [len(names) - 0.5, -0.5], "tickvals": list(range(len(names))),
               "ticktext": [shorten(_named(name), 26) for name in names], "showgrid": False},
        legend={"orientation": "h", "y": -70 / (row_height * max(len(names), 3)), "yanchor": "top",
                "x": 0, "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        showlegend=True,
        margin={"b": 118},
    )  # fmt: skip


def _named(covariate: object) -> str:
    return plain(str(covariate).replace("=", " "))


def _reading(rows: pd.DataFrame) -> str:
    """The furthest from 1 on either side, in plain language."""
    sentences = []
    for side, kind in (("higher", rows[rows["lower"] > 1]), ("lower", rows[rows["upper"] < 1])):
        if kind.empty:
            sentences.append(f"None is associated with a {side} rate")
            continue
        first = kind.loc[np.log(kind["hazard_ratio"]).abs().idxmax()]
        of = f" of leaving for {plain(first['cause'])}" if "cause" in kind else ""
        name = _named(first["covariate"])
        sentences.append(
            f"{name[:1].upper()}{name[1:]} is associated with a {side} rate{of}, "
            f"{first['hazard_ratio']:.2f} ({first['lower']:.2f} to {first['upper']:.2f})"
        )
    sentences.sort(key=lambda sentence: sentence.startswith("None"))
    return ". ".join(sentences) + "."
