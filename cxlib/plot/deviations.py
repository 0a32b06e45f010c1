"""Charts of deviations from a plan, and of what these go with."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from cxlib.plot.canvas import (
    blank,
    dress,
    legend_below,
    need_columns,
    one_group,
    plain,
    shorten,
)

__all__ = ["deviation_outcomes", "plan_deviations"]

_DEVIATIONS = ("kind", "touchpoint", "journeys", "n", "share", "lower", "upper")
_OUTCOMES = (
    "kind", "touchpoint", "outcome", "n", "value", "n_others", "value_others", "difference",
    "lower", "upper",
)  # fmt: skip
_KINDS = {
    "skipped": ("#d55e00", "skipped", "−"),
    "inserted": ("#0072b2", "not planned", "+"),
    "repeated": ("#cc79a7", "repeated", "×"),
    "out_of_order": ("#e69f00", "out of order", "↕"),
    "any": ("#7a8ba3", "any deviation", ""),
}
"""Colour, name and sign of each kind: the sign says what the colour does."""
_REST = "#7a8ba3"


def plan_deviations(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of the share of journeys with each deviation from the plan.

    Parameters
    ----------
    frame
        What ``cxlib.plan_deviations`` returns, for one group: one row per kind and touchpoint.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Bars with 95 % intervals, a colour for each kind.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "kind": ["skipped"], "touchpoint": ["activated_line"], "journeys": [30], "n": [100],
    ...     "share": [0.3], "lower": [0.22], "upper": [0.4]})
    >>> plan_deviations(frame).layout.meta["description"]
    'Deviations from the plan, of 100 journeys. The most frequent: activated line skipped in 30
    (30.0%).'
    """
    need_columns(frame, _DEVIATIONS, "plan_deviations")
    one_group(frame, ["kind", "touchpoint"], "a chart of deviations")
    heading = title or "Where journeys leave the plan"
    rows = frame.head(top).reset_index(drop=True)
    if rows.empty:
        return blank(heading, "No journey of this selection leaves the plan.", theme=theme)
    figure = go.Figure(
        [_bars(rows[rows["kind"] == kind], kind) for kind in _KINDS if (rows["kind"] == kind).any()]
    )
    figure.update_layout(
        barmode="overlay",
        hovermode="closest",
        xaxis={"title": "of journeys (%)", "tickformat": ".0%", "rangemode": "tozero", "nticks": 6},
        yaxis=_names(rows),
        legend=legend_below(len(rows), 30),
        margin={"b": 118},
    )
    n = int(rows["n"].max())
    some = f"{len(rows)} of {len(frame)} deviations; " if len(rows) < len(frame) else ""
    return dress(
        figure,
        title=heading,
        subtitle=f"{some}{n:,} journeys; whiskers are 95% intervals",
        description=f"Deviations from the plan, of {n:,} journeys. {_deviations_reading(rows)}",
        height=202 + 30 * max(len(rows), 4),
        theme=theme,
        min_width=330,
    )


def deviation_outcomes(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Differences of an outcome between journeys with and without each deviation.

    Parameters
    ----------
    frame
        What ``cxlib.deviation_outcomes`` returns: one row per deviation.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        A dot and its 95 % interval for each deviation, a colour for each kind; a line at no
        difference.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several outcomes.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "kind": ["skipped"], "touchpoint": ["rated"], "outcome": ["sentiment"], "n": [40],
    ...     "value": [-0.2], "n_others": [60], "value_others": [0.3], "difference": [-0.5],
    ...     "lower": [-0.7], "upper": [-0.3]})
    >>> deviation_outcomes(frame).layout.meta["description"]
    'Sentiment of journeys with each deviation from the plan, against those without it. The largest
    difference: rated skipped, -0.20 (n 40) against 0.30 (n 60).'
    """
    need_columns(frame, _OUTCOMES, "deviation_outcomes")
    one_group(frame, ["kind", "touchpoint"], "a chart of outcomes")
    heading = title or "What deviating goes with"
    rows = frame.head(top).reset_index(drop=True)
    if rows.empty:
        return blank(heading, "No deviation is frequent enough to compare.", theme=theme)
    name, form, suffix = _measure(rows)
    figure = go.Figure(
        [
            _dots(rows[rows["kind"] == kind], kind, form)
            for kind in _KINDS
            if (rows["kind"] == kind).any()
        ]
    )
    figure.add_vline(x=0, line={"color": _REST, "width": 1, "dash": "dot"})
    figure.update_layout(
        hovermode="closest",
        xaxis={
            "title": f"difference in {name.partition(' with ')[0]}",
            "tickformat": suffix,
            "nticks": 6,
        },
        yaxis=_names(rows),
        legend=legend_below(len(rows), 30),
        margin={"b": 118},
    )
    return dress(
        figure,
        title=heading,
        subtitle=f"{name}; lines are 95% intervals of the difference",
        description=_outcomes_reading(rows, name, form),
        height=202 + 30 * max(len(rows), 4),
        theme=theme,
        min_width=330,
    )


def _names(rows: pd.DataFrame) -> dict[str, object]:
    labels = [
        "any deviation" if kind == "any" else f"{shorten(plain(name), 25)} {_KINDS[kind][2]}"
        for kind, name in zip(rows["kind"], rows["touchpoint"], strict=True)
    ]
    return {"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
            "ticktext": labels, "showgrid": False}  # fmt: skip


def _bars(rows: pd.DataFrame, kind: str) -> go.Bar:
    colour, word, sign = _KINDS[kind]
    facts = rows.assign(name=rows["touchpoint"].map(plain))
    return go.Bar(
        y=rows.index.tolist(),
        x=rows["share"].tolist(),
        orientation="h",
        width=0.6,
        marker={"color": colour, "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["upper"] - rows["share"]).clip(lower=0).tolist(),
            "arrayminus": (rows["share"] - rows["lower"]).clip(lower=0).tolist(),
            "thickness": 1.2,
            "width": 3,
        },
        name=f"{sign} {word}",
        customdata=facts[["name", "journeys", "n", "lower", "upper"]].astype(object).to_numpy()
        .tolist(),
        hovertemplate=f"<b>%{{customdata[0]}}: {word}</b><br>"
        "%{customdata[1]:,} of %{customdata[2]:,} journeys: %{x:.1%}<br>"
        "95% interval %{customdata[3]:.1%} to %{customdata[4]:.1%}<extra></extra>",
    )  # fmt: skip


def _said(row: pd.Series) -> str:
    if row["kind"] == "any":
        return "any deviation"
    return f"{plain(row['touchpoint'])} {_KINDS[row['kind']][1]}"


def _deviations_reading(rows: pd.DataFrame) -> str:
    words = [f"{_said(row)} in {row['journeys']:,} ({row['share']:.1%})"
             for _, row in rows.head(3).iterrows()]  # fmt: skip
    return f"The most frequent: {', '.join(words)}."


def _measure(rows: pd.DataFrame) -> tuple[str, str, str]:
    """Name of the outcome, the form of its values, and that of the axis."""
    outcome = str(rows["outcome"].iloc[0])
    if outcome == "sentiment":
        return "sentiment", ".2f", ".1f"
    if outcome == "duration_days":
        return "duration in days", ".3g", ".3~g"
    return f"share with {plain(outcome)}", ".1%", ".0%"


def _dots(rows: pd.DataFrame, kind: str, form: str) -> go.Scatter:
    colour, word, sign = _KINDS[kind]
    difference = rows["difference"]
    text = [
        f"<b>{_said(row)}</b><br>{row['value']:{form}} of n {row['n']:,}, "
        f"{row['value_others']:{form}} of the other {row['n_others']:,}<br>"
        f"difference {row['difference']:+{form}}, 95% interval {row['lower']:+{form}} to "
        f"{row['upper']:+{form}}"
        for _, row in rows.iterrows()
    ]
    return go.Scatter(
        x=difference.tolist(),
        y=rows.index.tolist(),
        mode="markers",
        marker={"color": colour, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["upper"] - difference).fillna(0).tolist(),
            "arrayminus": (difference - rows["lower"]).fillna(0).tolist(),
            "thickness": 1.6,
            "width": 0,
            "color": colour,
        },
        name=f"{sign} {word}",
        text=text,
        hovertemplate="%{text}<extra></extra>",
    )


def _outcomes_reading(rows: pd.DataFrame, name: str, form: str) -> str:
    text = (
        f"{name[:1].upper()}{name[1:]} of journeys with each deviation from the plan, against "
        "those without it."
    )
    single = rows[rows["kind"] != "any"]
    if single.empty:
        return text
    row = single.iloc[0]
    return (
        f"{text} The largest difference: {_said(row)}, {row['value']:{form}} (n {row['n']:,}) "
        f"against {row['value_others']:{form}} (n {row['n_others']:,})."
    )
