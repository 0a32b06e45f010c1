"""Charts of stages: how long they take, and where journeys go from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxlib.plot.canvas import (
    TOP,
    blank,
    dress,
    legend_below,
    need_columns,
    one_group,
    plain,
    shorten,
)

__all__ = ["stage_times", "stage_transitions"]

_TIMES = ("stage", "n", "open", "median_hours", "p90_hours", "target_hours", "within_target")
_MOVES = (
    "from_stage", "to_stage", "direction", "skipped", "count", "n", "probability", "lower", "upper",
    "median_hours",
)  # fmt: skip
_BACK = "#d55e00"
_TICKS = {
    1 / 3600: "1 s", 1 / 360: "10 s", 1 / 60: "1 min", 1 / 6: "10 min", 1: "1 hour",
    6: "6 h", 24: "1 day", 168: "1 week", 720: "30 days", 2160: "90 days", 8760: "1 year",
    43800: "5 years",
}  # fmt: skip
_SHORTEST = 1 / 3600


def stage_times(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Time in each stage: half of the stays, nine in ten, and the target.

    Parameters
    ----------
    frame
        What ``cxlib.stage_times`` returns, for one group: one row per stage.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        A dot where half of the stays are over, a line from there to where nine in ten are, a bar
        across at the target; on a scale where every decade has the same width. Times below a
        second stand at a second.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "stage": ["onboarding"], "n": [200], "open": [20], "median_hours": [36.0],
    ...     "p90_hours": [240.0], "target_hours": [48.0], "within_target": [0.6]})
    >>> stage_times(frame).layout.meta["description"]
    'Time in each stage. Onboarding: half of 200 stays are over after 36 hours, nine in ten after
    10 days; 60% within the target of 2 days.'
    """
    need_columns(frame, _TIMES, "stage_times")
    one_group(frame, ["stage"], "a chart of stage times")
    heading = title or "How long each stage takes"
    rows = frame.reset_index(drop=True)
    if rows.empty:
        return blank(heading, "No stays in this selection.", theme=theme)
    figure = go.Figure([_reach(rows), _medians(rows), *_goals(rows)])
    low, high = _range(rows)
    ticks = _ticks(low, high)
    figure.update_layout(
        hovermode="closest",
        xaxis={"type": "log", "range": [float(np.log10(low)), float(np.log10(high))],
               "tickvals": ticks, "ticktext": [_TICKS[tick] for tick in ticks], "tickangle": 0},
        yaxis={"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
               "ticktext": [shorten(plain(name), 22) for name in rows["stage"]],
               "showgrid": False},
        legend=legend_below(len(rows), 44),
        margin={"b": 112},
    )  # fmt: skip
    still = int(rows["open"].sum())
    return dress(
        figure,
        title=heading,
        subtitle=f"{int(rows['n'].sum()):,} stays"
        + (f", of which {still:,} still go on (their end is estimated)" if still else ""),
        description="Time in each stage. " + _times_reading(rows),
        height=84 + 112 + 44 * max(len(rows), 3),
        theme=theme,
        min_width=330,
    )


def stage_transitions(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Heat map of where journeys go from each stage, with the moves back framed.

    Parameters
    ----------
    frame
        What ``cxlib.stage_transitions`` returns, for one group: one row per pair of stages.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Rows are the stages left, in their order, with the number of moves out of them; columns
        those entered, then where journeys ended or are still open. A row is 100 %. Moves back
        have a frame.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_stage": ["buy", "use", "use"], "to_stage": ["use", "buy", "(end)"],
    ...     "direction": ["forward", "backward", "end"], "skipped": "", "count": [40, 10, 30],
    ...     "n": [40, 40, 40], "probability": [1.0, 0.25, 0.75], "lower": [0.91, 0.14, 0.6],
    ...     "upper": [1.0, 0.4, 0.86], "median_hours": [20.0, 30.0, 5.0]})
    >>> stage_transitions(frame).layout.meta["description"]
    'Of 50 moves from one stage to another 10 (20.0%) went back, most of them from use to buy: 10 of
    40 moves out of use (25.0%); 0 (0.0%) went forward over a stage.'
    """
    need_columns(frame, _MOVES, "stage_transitions")
    one_group(frame, ["from_stage", "to_stage"], "a chart of moves between stages")
    heading = title or "Where journeys go from each stage"
    if frame.empty:
        return blank(heading, "No moves between stages in this selection.", theme=theme)
    frame = frame.reset_index(drop=True)
    rows, columns = _nodes(frame)
    figure = go.Figure(_matrix(frame, rows, columns))
    for _, move in frame[frame["direction"] == "backward"].iterrows():
        x, y = columns.index(move["to_stage"]), rows.index(move["from_stage"])
        figure.add_shape(
            type="rect", x0=x - 0.46, x1=x + 0.46, y0=y - 0.46, y1=y + 0.46,
            line={"color": _BACK, "width": 2},
        )  # fmt: skip
    size = frame.drop_duplicates("from_stage").set_index("from_stage")["n"]
    figure.update_layout(
        xaxis={"showgrid": False, "tickangle": -40, "title": "next stage",
               "range": [-0.5, len(columns) - 0.5], "tickvals": list(range(len(columns))),
               "ticktext": [shorten(plain(name), 18) for name in columns]},
        yaxis={"range": [len(rows) - 0.5, -0.5], "showgrid": False,
               "tickvals": list(range(len(rows))),
               "ticktext": [f"{shorten(plain(name), 18)} ({size[name]:,})" for name in rows]},
    )  # fmt: skip
    return dress(
        figure,
        title=heading,
        subtitle="each row (n moves) is 100%; framed: moves back",
        description=_moves_reading(frame),
        height=TOP + 130 + 34 * max(len(rows), 3),
        theme=theme,
        min_width=190 + 44 * len(columns),
    )


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    times = rows[["median_hours", "p90_hours", "target_hours"]].to_numpy().ravel()
    times = np.clip(times[~np.isnan(times)], _SHORTEST, None)
    if not len(times):
        return _SHORTEST, 24.0
    return times.min() / 2, max(times.max() * 2, times.min() * 30)


def _ticks(low: float, high: float) -> list[float]:
    """Round times that are far enough apart for their names, on a phone too."""
    ticks: list[float] = []
    for tick in _TICKS:
        if low <= tick <= high and (
            not ticks or np.log(tick / ticks[-1]) >= np.log(high / low) / 6
        ):
            ticks.append(tick)
    return ticks


def _reach(rows: pd.DataFrame) -> go.Scatter:
    """Lines from the median to the time at which nine in ten are over."""
    x: list[float | None] = []
    y: list[int | None] = []
    ends = zip(rows["median_hours"], rows["p90_hours"], strict=True)
    for place, (half, most) in enumerate(ends):
        if pd.notna(most):
            x += [_seen(half), _seen(most), None]
            y += [place, place, None]
    return go.Scatter(
        x=x, y=y, mode="lines", line={"color": "#56b4e9", "width": 8}, name="to nine in ten",
        hoverinfo="skip",
    )  # fmt: skip


def _medians(rows: pd.DataFrame) -> go.Scatter:
    known = rows[rows["median_hours"].notna()]
    return go.Scatter(
        x=[_seen(hours) for hours in known["median_hours"]],
        y=known.index.tolist(),
        mode="markers",
        marker={"color": "#0072b2", "size": 14},
        name="half are over",
        text=[_stay(row) for _, row in known.iterrows()],
        hovertemplate="%{text}<extra></extra>",
    )


def _goals(rows: pd.DataFrame) -> list[go.Scatter]:
    known = rows[rows["target_hours"].notna()]
    if known.empty:
        return []
    return [
        go.Scatter(
            x=known["target_hours"].tolist(),
            y=known.index.tolist(),
            mode="markers",
            marker={"color": "#d55e00", "size": 22, "symbol": "line-ns",
                    "line": {"color": "#d55e00", "width": 3}},
            name="target",
            text=[_span(hours) for hours in known["target_hours"]],
            hovertemplate="target: %{text}<extra></extra>",
        )
    ]  # fmt: skip


def _seen(hours: float) -> float:
    return max(float(hours), _SHORTEST)


def _span(hours: float) -> str:
    for least, size, unit in ((48, 24, "days"), (1, 1, "hours"), (1 / 60, 1 / 60, "minutes")):
        if hours >= least:
            return f"{hours / size:,.3g} {unit}"
    return f"{hours * 3600:.3g} seconds"


def _stay(row: pd.Series) -> str:
    text = f"<b>{plain(row['stage'])}</b><br>{row['n']:,} stays, {row['open']:,} still go on"
    text += f"<br>half are over after {_span(row['median_hours'])}"
    if pd.notna(row["p90_hours"]):
        text += f", nine in ten after {_span(row['p90_hours'])}"
    if pd.notna(row["within_target"]):
        text += f"<br>{row['within_target']:.1%} within {_span(row['target_hours'])}"
    return text


def _times_reading(rows: pd.DataFrame) -> str:
    sentences = []
    for _, row in rows.iterrows():
        name = plain(row["stage"])
        text = f"{name[:1].upper()}{name[1:]}: "
        if pd.isna(row["median_hours"]):
            text += f"fewer than half of {row['n']:,} stays were seen to end"
        else:
            text += (
                f"half of {row['n']:,} stays are over after {_span(row['median_hours'])}, "
                + (f"nine in ten after {_span(row['p90_hours'])}" if pd.notna(row["p90_hours"])
                   else "nine in ten not as long as was observed")
            )  # fmt: skip
        if pd.notna(row["within_target"]):
            text += (
                f"; {row['within_target']:.0%} within the target of {_span(row['target_hours'])}"
            )
        sentences.append(text + ".")
    return " ".join(sentences)


def _nodes(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Stages left and entered, in the order in which the rows name them."""
    rows = list(dict.fromkeys(frame["from_stage"]))
    entered = set(frame["to_stage"])
    stages = [name for name in dict.fromkeys([*rows, *frame["to_stage"]])
              if name in entered and name not in ("(end)", "(open)")]  # fmt: skip
    return rows, stages + [name for name in ("(end)", "(open)") if name in entered]


def _matrix(frame: pd.DataFrame, rows: list[str], columns: list[str]) -> go.Heatmap:
    share = [[0.0] * len(columns) for _ in rows]
    text, hints = ([[""] * len(columns) for _ in rows] for _ in range(2))
    for _, move in frame.iterrows():
        y, x = rows.index(move["from_stage"]), columns.index(move["to_stage"])
        share[y][x] = float(move["probability"])
        tiny = move["probability"] < 0.005
        text[y][x] = "<1%" if tiny else f"{move['probability']:.0%}"
        hints[y][x] = _move(move)
    return go.Heatmap(
        z=share,
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        text=text,
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=hints,
        hovertemplate="%{customdata}<extra></extra>",
        showscale=False,
    )


def _move(move: pd.Series) -> str:
    text = f"<b>{plain(move['from_stage'])} → {plain(move['to_stage'])}</b><br>"
    text += (
        f"{move['count']:,} of {move['n']:,} moves: {move['probability']:.1%} "
        f"(95% interval {move['lower']:.1%} to {move['upper']:.1%})"
    )
    if pd.notna(move["median_hours"]):
        text += f"<br>half of them after {_span(move['median_hours'])}"
    if move["skipped"]:
        text += f"<br>over {plain(move['skipped'])}"
    return text


def _moves_reading(frame: pd.DataFrame) -> str:
    between = frame[frame["direction"].isin(["forward", "skip", "backward"])]
    if not (total := int(between["count"].sum())):
        return f"None of {int(frame['count'].sum()):,} moves goes from one stage to another."
    back = between[between["direction"] == "backward"]
    over = int(between.loc[between["direction"] == "skip", "count"].sum())
    number = int(back["count"].sum())
    text = (
        f"Of {total:,} moves from one stage to another {number:,} ({number / total:.1%}) went back"
    )
    if number:
        most = back.loc[back["count"].idxmax()]
        left = plain(most["from_stage"])
        text += (
            f", most of them from {left} to {plain(most['to_stage'])}: {most['count']:,} of "
            f"{most['n']:,} moves out of {left} ({most['probability']:.1%})"
        )
    return f"{text}; {over:,} ({over / total:.1%}) went forward over a stage."
