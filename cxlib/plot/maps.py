"""The picture of a journey map: stages as columns, with what is planned and what happens."""

from __future__ import annotations

from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go

from cxlib.plot.canvas import TOP, blank, dress, need_columns, plain, shorten
from cxlib.plot.template import GROUP_COLOURS, translucent

__all__ = ["journey_map"]

_COLUMNS = (
    "stage", "step", "touchpoint", "any_order", "optional", "channels", "departments",
    "target_hours", "target_sentiment", "stage_target_hours", "stage_target_sentiment",
)  # fmt: skip
_WIDTH = 176  # pixels that a column needs
_LETTERS, _MOST_LETTERS = 20, 42  # of a name on one line, and of one on a map of one stage
_HEAD, _GAP, _LINE = 58, 10, 14  # pixels: header of a stage, between boxes, a line of text
_NOTE = 16  # pixels of what stands under steps in any order
_SURE = 10  # waits from which their median is shown
_LEFT, _RIGHT = 0.04, 0.96  # a box within its column


def journey_map(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Picture of a journey map: a column for each stage, a box for each touchpoint.

    Parameters
    ----------
    frame
        What ``JourneyMap.frame`` or ``cxlib.actual_steps`` returns. The latter fills each box as
        far as the share of journeys that have the step.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Optional steps have a dotted outline; steps in any order stand within one bracket. Under a
        name are departments and channels, targets, and what happens: a median wait from 10 waits
        on (pointing at the box tells n), and none at the first step, which has none before it.

    Raises
    ------
    CxError
        When a column is missing.

    Examples
    --------
    >>> from cxlib import JourneyMap
    >>> plan = JourneyMap(name="Order", stages=[
    ...     {"stage": "choose", "steps": ["visited", {"touchpoint": "asked", "optional": True}]}])
    >>> journey_map(plan.frame()).layout.meta["description"]
    'A journey of 1 stage and 2 steps. Choose: visited, asked (optional).'
    """
    need_columns(frame, _COLUMNS, "journey_map")
    real = "share" in frame
    heading = title or ("The planned journey, and what happens" if real else "The planned journey")
    if frame.empty:
        return blank(heading, "The map has no steps.", theme=theme)
    frame = _waits(frame.reset_index(drop=True)) if real else frame.reset_index(drop=True)
    letters = _LETTERS if len(set(frame["stage"])) > 1 else _MOST_LETTERS
    names = [_name_lines(name, letters) for name in frame["touchpoint"]]
    lines = [_lines(row, real) for _, row in frame.iterrows()]
    height = 14 + max(
        16 * len(name) + _LINE * len(line) for name, line in zip(names, lines, strict=True)
    )
    frame = _place(frame, height)
    figure = go.Figure()
    _draw(figure, frame, names, lines, height, real)
    bottom = int(frame["top"].max()) + height + _NOTE
    stages = list(dict.fromkeys(frame["stage"]))
    figure.update_layout(
        xaxis={"visible": False, "range": [0, len(stages)], "fixedrange": True},
        yaxis={"visible": False, "range": [bottom, 0], "fixedrange": True},
        margin={"b": 16},
        showlegend=False,
        hovermode="closest",
    )
    return dress(
        figure,
        title=heading,
        subtitle=_subtitle(frame, real),
        description=_reading(frame, stages, real),
        height=TOP + bottom + 16,
        theme=theme,
        min_width=32 + _WIDTH * max(len(stages), 2) if len(stages) > 1 else 330,
    )


def _waits(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without waits that are few, or of a first step: one that was taken out of turn."""
    sure = (frame["waits"] >= _SURE) & (frame["step"] > frame["step"].min())
    return frame.assign(median_hours=frame["median_hours"].where(sure))


def _place(frame: pd.DataFrame, height: int) -> pd.DataFrame:
    """Column, upper edge and colour of every box."""
    column = frame["stage"].map({name: at for at, name in enumerate(frame["stage"].unique())})
    # Above a box stand those before it, and a line of text for each group that is complete.
    rank = frame.groupby("stage").cumcount()
    closes = frame["any_order"] & (frame["step"] != frame["step"].shift(-1))
    closed = closes.astype("int64")
    groups = closed.groupby(frame["stage"]).cumsum() - closed
    return frame.assign(
        column=column,
        top=_HEAD + rank * (height + _GAP) + groups * _NOTE,
        colour=[GROUP_COLOURS[at % len(GROUP_COLOURS)] for at in column],
    )


def _draw(
    figure: go.Figure,
    frame: pd.DataFrame,
    names: list[list[str]],
    lines: list[list[str]],
    height: int,
    real: bool,
) -> None:
    for _, rows in frame.groupby("stage", sort=False):
        _draw_head(figure, rows.iloc[0])
    for name, line, (_, row) in zip(names, lines, frame.iterrows(), strict=True):
        _draw_box(figure, row, height, real)
        _write(figure, row, name, line)
    for _, step in frame[frame["any_order"]].groupby("step", sort=False):
        _draw_bracket(figure, step.iloc[0], step["top"].iloc[-1] + height)
    figure.add_trace(_hover(frame, height, real))


def _draw_head(figure: go.Figure, row: pd.Series) -> None:
    """A chevron with the name and the target of the stage."""
    tip, left, right = 0.05, row["column"] + 0.01, row["column"] + 0.94
    figure.add_shape(
        type="path",
        path=f"M {left},4 L {right},4 L {right + tip},24 L {right},44 L {left},44 "
        f"L {left + tip},24 Z",
        fillcolor=translucent(row["colour"], 0.18),
        line={"width": 0},
    )
    target = _targets(row["stage_target_hours"], row["stage_target_sentiment"], "")
    name = f"<b>{shorten(plain(row['stage']), _LETTERS)}</b>"
    figure.add_trace(_text(left + 0.1, 16 if target else 24, name, 13))
    if target:
        _annotate(figure, left + 0.1, 34, target)


def _draw_box(figure: go.Figure, row: pd.Series, height: int, real: bool) -> None:
    left, right = row["column"] + _LEFT, row["column"] + _RIGHT
    box = {"type": "rect", "x0": left, "y0": row["top"], "y1": row["top"] + height}
    if real and pd.notna(row["share"]):
        figure.add_shape(
            **box, x1=left + (right - left) * row["share"], layer="below",
            fillcolor=translucent(row["colour"], 0.2), line={"width": 0},
        )  # fmt: skip
    dash = "dot" if row["optional"] else "solid"
    figure.add_shape(**box, x1=right, line={"color": row["colour"], "width": 1.4, "dash": dash})


def _draw_bracket(figure: go.Figure, row: pd.Series, bottom: int) -> None:
    """What holds the steps together that may come in any order."""
    x, edge = row["column"] + 0.012, row["column"] + 0.03
    figure.add_shape(
        type="path",
        path=f"M {edge},{row['top']} L {x},{row['top']} L {x},{bottom} L {edge},{bottom}",
        line={"color": row["colour"], "width": 2},
    )
    _annotate(figure, row["column"] + 0.012, bottom + 9, "in any order")


def _write(figure: go.Figure, row: pd.Series, name: list[str], lines: list[str]) -> None:
    left = row["column"] + _LEFT + 0.02
    text = f"<b>{'<br>'.join(name)}</b>"
    figure.add_trace(_text(left, row["top"] + 6 + 8 * len(name), text, 12))
    for number, line in enumerate(lines):
        _annotate(figure, left, row["top"] + 17 + 16 * len(name) + _LINE * number - 2, line)


def _annotate(figure: go.Figure, x: float, y: float, text: str) -> None:
    figure.add_annotation(
        x=x, y=y, text=text, showarrow=False, xanchor="left", yanchor="middle", font_size=11,
        borderpad=0,
    )  # fmt: skip


def _text(x: float, y: float, text: str, size: int) -> go.Scatter:
    """Text in the ink of the theme; an annotation would have the colour of small print."""
    return go.Scatter(
        x=[x], y=[y], mode="text", text=[text], textposition="middle right",
        textfont={"size": size}, hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip


def _hover(frame: pd.DataFrame, height: int, real: bool) -> go.Scatter:
    """Points that nobody sees, one in each box, with all that is known of it."""
    return go.Scatter(
        x=(frame["column"] + 0.5).tolist(),
        y=(frame["top"] + height / 2).tolist(),
        mode="markers",
        marker={"size": 44, "opacity": 0},
        text=[_all_known(row, real) for _, row in frame.iterrows()],
        hovertemplate="%{text}<extra></extra>",
    )


def _name_lines(name: object, letters: int) -> list[str]:
    lines = wrap(plain(name), letters) or [""]
    return lines if len(lines) < 3 else [lines[0], shorten(" ".join(lines[1:]), letters)]


def _lines(row: pd.Series, real: bool) -> list[str]:
    """Small print of a box."""
    who = " · ".join(plain(text) for text in (row["departments"], row["channels"]) if text)
    target = _targets(row["target_hours"], row["target_sentiment"])
    lines = [shorten(who, 25)] if who else []
    lines += [target] if target else []
    if real and pd.notna(row["share"]):
        lines.append(f"{row['share']:.0%}")
        if pd.notna(row["median_hours"]):
            lines[-1] += f", after {_span(row['median_hours'])}"
    return lines


def _targets(hours: float, sentiment: float, word: str = "target: ") -> str:
    parts = [f"within {_span(hours)}"] if pd.notna(hours) else []
    parts += [f"mood {sentiment:+.1f}"] if pd.notna(sentiment) else []
    return word + ", ".join(parts) if parts else ""


def _span(hours: float) -> str:
    """Length of time in the unit that fits it."""
    for size, unit in ((48, "days"), (1, "hours"), (1 / 60, "minutes")):
        if hours >= size:
            amount = hours / (24 if unit == "days" else size)
            word = unit[:-1] if f"{amount:.3g}" == "1" else unit
            return f"{amount:.3g} {word}"
    return f"{hours * 3600:.3g} seconds"


def _all_known(row: pd.Series, real: bool) -> str:
    words = [f"<b>{plain(row['touchpoint'])}</b>"]
    words += ["optional"] if row["optional"] else []
    words += [f"department: {plain(row['departments'])}"] if row["departments"] else []
    words += [f"channel: {plain(row['channels'])}"] if row["channels"] else []
    target = _targets(row["target_hours"], row["target_sentiment"])
    words += [target] if target else []
    if real and pd.notna(row["share"]):
        words.append(
            f"{row['journeys']:,} of {row['n']:,} journeys ({row['share']:.1%}, 95% interval "
            f"{row['lower']:.1%} to {row['upper']:.1%})"
        )
        if pd.notna(row["median_hours"]):
            words.append(
                f"half come within {_span(row['median_hours'])} of the step before, "
                f"n {row['waits']:,}"
            )
        if pd.notna(row["within_target"]):
            words.append(f"{row['within_target']:.1%} in the target time")
        if row["scored"]:
            words.append(f"mean sentiment {row['sentiment']:+.2f}, n {row['scored']:,}")
    return "<br>".join(words)


def _subtitle(frame: pd.DataFrame, real: bool) -> str:
    text = "dotted: optional"
    if real:
        n = int(frame["n"].max())
        text += f"; filled as far as the share of {n:,} journeys that have the step"
    return text


def _reading(frame: pd.DataFrame, stages: list[str], real: bool) -> str:
    steps = frame["step"].nunique()
    text = (
        f"A journey of {len(stages)} stage{'s' if len(stages) > 1 else ''} and {steps} "
        f"step{'s' if steps > 1 else ''}."
    )
    for stage, rows in frame.groupby("stage", sort=False):
        words = []
        for _, row in rows.iterrows():
            notes = ["optional"] if row["optional"] else []
            notes += ["in any order"] if row["any_order"] else []
            notes += [f"{row['share']:.0%}"] if real and pd.notna(row["share"]) else []
            note = f" ({', '.join(notes)})" if notes else ""
            words.append(plain(row["touchpoint"]) + note)
        name = plain(stage)
        text += f" {name[:1].upper()}{name[1:]}: {', '.join(words)}."
    return text
