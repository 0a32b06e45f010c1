"""The chart of journeys by the number of their handoffs."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.plot.canvas import TOP, blank, dress, need_columns, one_group

__all__ = ["handoffs_per_journey"]

_COLUMNS = (
    "handoffs", "label", "journeys", "open", "customers", "share", "median_length_hours",
    "p90_length_hours", "n_sentiment", "sentiment", "sentiment_lower", "sentiment_upper",
)  # fmt: skip
_OUTCOME = ("outcome_n", "outcomes", "outcome_rate", "outcome_lower", "outcome_upper")
_BARS, _MEANS = "#0072b2", "#d55e00"
_PLOT, _BELOW, _GAP = 230, 150, 26  # pixels


def handoffs_per_journey(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of journeys by the number of their handoffs, above how they ended.

    Parameters
    ----------
    frame
        What ``cxlib.handoffs_per_journey`` returns, for one group: one row per number.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of the journeys that ended, with their number; below, where it is known, the mean of
        the last score, and where there is an outcome its rate, with their 95 % intervals.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "handoffs": [0, 1], "label": ["0", "1 or more"], "journeys": [60, 40], "open": [2, 1],
    ...     "customers": [55, 38], "share": [0.6, 0.4], "median_length_hours": [2.0, 30.0],
    ...     "p90_length_hours": [9.0, 80.0], "n_sentiment": [20, 12], "sentiment": [0.4, -0.1],
    ...     "sentiment_lower": [0.2, -0.3], "sentiment_upper": [0.6, 0.1]})
    >>> handoffs_per_journey(frame).layout.meta["description"]
    'Of 100 journeys that ended 60 (60.0%) had no handoff and 40 (40.0%) had 1 or more. Their last
    score was 0.40 on average with 0 handoffs (n 20) and -0.10 with 1 or more (n 12).'
    """
    need_columns(frame, _COLUMNS, "handoffs_per_journey")
    one_group(frame, ["handoffs"], "a chart of handoffs per journey")
    heading = title or "How often journeys change hands"
    rows = frame.sort_values("handoffs", ignore_index=True)
    n = int(rows["journeys"].sum())
    if not n:
        return blank(heading, "No journeys that ended in this selection.", theme=theme)
    below = _below(rows)
    figure = go.Figure([_bars(rows), *below])
    whole = _PLOT + len(below) * (_BELOW + _GAP)
    _lay_out(figure, rows, whole)
    for place, trace in enumerate(below):
        top = (whole - _PLOT - _GAP - place * (_BELOW + _GAP)) / whole
        figure.layout[f"yaxis{place + 2}"] = {
            "domain": [max(top - _BELOW / whole, 0), top],
            "title": trace.name,
            "nticks": 5,
            "tickformat": ".0%" if trace.name == "outcome (%)" else ".2~f",
        }
    still = int(rows["open"].sum())
    return dress(
        figure,
        title=heading,
        subtitle=f"{n:,} ended journeys"
        + (f", {still:,} open left out" if still else "")
        + ("; 95% intervals" if below else ""),
        description=_reading(rows, n),
        height=TOP + whole + 62,
        theme=theme,
        min_width=330,
    )


def _bars(rows: pd.DataFrame) -> go.Bar:
    facts = ["label", "journeys", "customers", "median_length_hours", "p90_length_hours"]
    return go.Bar(
        x=rows.index.tolist(),
        y=rows["share"].tolist(),
        width=0.6,
        marker={"color": _BARS, "line": {"width": 0}},
        text=[f"{number:,}" for number in rows["journeys"]],
        textposition="outside",
        cliponaxis=False,
        customdata=rows[facts].fillna(0).astype(object).to_numpy().tolist(),
        hovertemplate="<b>%{customdata[0]} handoffs</b><br>%{customdata[1]:,} journeys of "
        "%{customdata[2]:,} customers: %{y:.1%}<br>half last up to %{customdata[3]:,.1f} hours, "
        "nine in ten up to %{customdata[4]:,.1f}<extra></extra>",
    )


def _below(rows: pd.DataFrame) -> list[go.Scatter]:
    """Means of the score and rates of the outcome, each on an axis of its own."""
    panels = [("n_sentiment", ("sentiment", "sentiment_lower", "sentiment_upper"), "last score")]
    if set(_OUTCOME) <= set(rows.columns):
        ends = ("outcome_rate", "outcome_lower", "outcome_upper")
        panels.append(("outcome_n", ends, "outcome (%)"))
    known = [panel for panel in panels if (rows[panel[0]] > 0).any()]
    return [_dots(rows[rows[of] > 0], of, ends, name, place)
            for place, (of, ends, name) in enumerate(known)]  # fmt: skip


def _dots(
    rows: pd.DataFrame, of: str, ends: tuple[str, str, str], name: str, place: int
) -> go.Scatter:
    middle, lower, upper = (rows[end].astype("float64") for end in ends)
    form = ".1%" if name == "outcome (%)" else ".2f"
    facts = [
        [label, int(n), f"{low:{form}} to {high:{form}}" if pd.notna(low) else "not known"]
        for label, n, low, high in zip(rows["label"], rows[of], lower, upper, strict=True)
    ]
    return go.Scatter(
        x=rows.index.tolist(),
        y=middle.tolist(),
        yaxis=f"y{place + 2}",
        mode="markers",
        marker={"color": _MEANS, "size": 9, "symbol": "diamond" if place else "circle"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (upper - middle).clip(lower=0).fillna(0).tolist(),
            "arrayminus": (middle - lower).clip(lower=0).fillna(0).tolist(),
            "color": _MEANS,
            "thickness": 1.6,
            "width": 4,
        },
        name=name,
        customdata=facts,
        hovertemplate=f"<b>%{{customdata[0]}} handoffs</b><br>{name.removesuffix(' (%)')} "
        f"%{{y:{form}}} (95% interval %{{customdata[2]}}), n %{{customdata[1]:,}}<extra></extra>",
    )


def _lay_out(figure: go.Figure, rows: pd.DataFrame, whole: int) -> None:
    figure.update_layout(
        showlegend=False,
        hovermode="closest",
        xaxis={"title": "handoffs in a journey", "tickvals": rows.index.tolist(),
               "ticktext": rows["label"].tolist(), "showgrid": False, "side": "bottom",
               "range": [-0.5, max(len(rows), 2) - 0.5], "anchor": "free", "position": 0},
        yaxis={"domain": [1 - _PLOT / whole, 1], "title": "of the journeys (%)",
               "tickformat": ".0%", "nticks": 6,
               "range": [0, 1.12 * float(rows["share"].max())]},
        margin={"b": 62},
    )  # fmt: skip


def _reading(rows: pd.DataFrame, n: int) -> str:
    parts = [
        f"{int(row['journeys']):,} ({row['share']:.1%}) had "
        + ("no handoff" if row["label"] == "0" else str(row["label"]))
        for _, row in rows.iterrows()
    ]
    text = f"Of {n:,} journeys that ended {_listed(parts)}."
    scored = rows[rows["n_sentiment"] > 0]
    if len(scored) < 2:
        return text
    low, high = scored.iloc[0], scored.iloc[-1]
    return (
        f"{text} Their last score was {low['sentiment']:.2f} on average with {low['label']} "
        f"handoffs (n {low['n_sentiment']:,}) and {high['sentiment']:.2f} with {high['label']} "
        f"(n {high['n_sentiment']:,})."
    )


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
