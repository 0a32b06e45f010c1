"""The chart of how well journeys follow a plan."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, group_names, legend_below, need_columns, shorten

__all__ = ["planned_vs_actual"]

_COLUMNS = (
    "n", "as_planned", "as_planned_share", "lower", "upper", "mean_fitness", "fitness_lower",
    "fitness_upper", "mean_deviations", "mean_skipped", "mean_inserted", "mean_repeated",
    "mean_out_of_order",
)  # fmt: skip
_KNOWN = (*_COLUMNS, "open")
_FITNESS, _SHARE = "#0072b2", "#d55e00"


def planned_vs_actual(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Dots of the mean fitness and of the share of journeys as planned, for each group.

    Parameters
    ----------
    frame
        What ``cxlib.planned_vs_actual`` returns: one row per group, or one in all.
    top
        How many groups to show, the largest first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Both on a scale from 0 to 1 with their 95 % intervals, and the number of journeys beside
        the name of the group. A group of one journey has no interval of its mean.

    Raises
    ------
    CxError
        When a column is missing, or two rows have the same group.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "n": [200], "open": [20], "as_planned": [50], "as_planned_share": [0.25],
    ...     "lower": [0.19], "upper": [0.31], "mean_fitness": [0.7], "fitness_lower": [0.66],
    ...     "fitness_upper": [0.74], "mean_deviations": [2.1], "mean_skipped": [1.0],
    ...     "mean_inserted": [0.8], "mean_repeated": [0.2], "mean_out_of_order": [0.1]})
    >>> planned_vs_actual(frame).layout.meta["description"]
    'How well 200 journeys follow the plan. All journeys: mean fitness 0.70 (95% interval 0.66 to
    0.74), 25.0% as planned, 2.1 deviations per journey (n 200).'
    """
    need_columns(frame, _COLUMNS, "planned_vs_actual")
    heading = title or "How well journeys follow the plan"
    if frame.empty:
        return blank(heading, "No journeys to compare in this selection.", theme=theme)
    named = frame.assign(_name=group_names(frame, _KNOWN).replace("", "all journeys"))
    if named["_name"].duplicated().any():
        raise CxError(
            f"the group {named.loc[named['_name'].duplicated(), '_name'].iloc[0]!r} stands in the "
            "frame twice; name the groups in a column of their own"
        )
    rows = named.sort_values("n", ascending=False, kind="stable").head(top).reset_index(drop=True)
    figure = go.Figure([_fitness(rows), _shares(rows)])
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "fitness, and share of journeys (0 to 1)", "range": [-0.03, 1.03],
               "dtick": 0.2},
        yaxis={"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
               "showgrid": False,
               "ticktext": [f"{shorten(name, 20)} ({n:,})"
                            for name, n in zip(rows["_name"], rows["n"], strict=True)]},
        legend=legend_below(len(rows), 36),
        margin={"b": 112},
    )  # fmt: skip
    some = f"the {len(rows)} largest of {len(frame)} groups; " if len(rows) < len(frame) else ""
    n = int(frame["n"].sum())
    return dress(
        figure,
        title=heading,
        subtitle=f"{some}{n:,} journeys; whiskers are 95% intervals",
        description=f"How well {n:,} journeys follow the plan. {_reading(rows)}",
        height=84 + 112 + 36 * max(len(rows), 3),
        theme=theme,
        min_width=330,
    )


def _fitness(rows: pd.DataFrame) -> go.Scatter:
    between = [
        f"95% interval {low:.2f} to {high:.2f}" if pd.notna(low) else "one journey: no interval"
        for low, high in zip(rows["fitness_lower"], rows["fitness_upper"], strict=True)
    ]
    rows = rows.assign(_between=between)
    facts = ["_name", "n", "_between", "mean_skipped", "mean_inserted", "mean_repeated",
             "mean_out_of_order"]  # fmt: skip
    text = (
        "<b>%{customdata[0]}</b>, %{customdata[1]:,} journeys<br>mean fitness %{x:.2f} "
        "(%{customdata[2]})<br>per journey %{customdata[3]:.1f} steps skipped, "
        "%{customdata[4]:.1f} not planned,<br>%{customdata[5]:.1f} repeated, "
        "%{customdata[6]:.1f} out of order<extra></extra>"
    )
    ends = ("mean_fitness", "fitness_lower", "fitness_upper")
    return _dots(rows, ends, -0.16, _FITNESS, "circle", "mean fitness", facts, text)


def _shares(rows: pd.DataFrame) -> go.Scatter:
    facts = ["_name", "n", "lower", "upper", "as_planned"]
    text = (
        "<b>%{customdata[0]}</b><br>%{customdata[4]:,} of %{customdata[1]:,} journeys as planned: "
        "%{x:.1%}<br>95% interval %{customdata[2]:.1%} to %{customdata[3]:.1%}<extra></extra>"
    )
    ends = ("as_planned_share", "lower", "upper")
    return _dots(rows, ends, 0.16, _SHARE, "diamond", "share as planned", facts, text)


def _dots(
    rows: pd.DataFrame,
    ends: tuple[str, str, str],
    shift: float,
    colour: str,
    symbol: str,
    name: str,
    facts: list[str],
    text: str,
) -> go.Scatter:
    middle, lower, upper = (rows[end] for end in ends)
    return go.Scatter(
        x=middle.tolist(),
        y=[place + shift for place in rows.index],
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": symbol},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (upper - middle).clip(lower=0).fillna(0).tolist(),
            "arrayminus": (middle - lower).clip(lower=0).fillna(0).tolist(),
            "color": colour,
            "thickness": 1.6,
            "width": 3,
        },
        name=name,
        customdata=rows[facts].astype(object).to_numpy().tolist(),
        hovertemplate=text,
    )


def _reading(rows: pd.DataFrame) -> str:
    """The largest groups, in plain language."""
    sentences = []
    for _, row in rows.head(3).iterrows():
        text = (
            f"{row['_name'][:1].upper()}{row['_name'][1:]}: mean fitness {row['mean_fitness']:.2f}"
        )
        if pd.notna(row["fitness_lower"]):
            text += f" (95% interval {row['fitness_lower']:.2f} to {row['fitness_upper']:.2f})"
        sentences.append(
            f"{text}, {row['as_planned_share']:.1%} as planned, {row['mean_deviations']:.1f} "
            f"deviations per journey (n {row['n']:,})."
        )
    return " ".join(sentences)
