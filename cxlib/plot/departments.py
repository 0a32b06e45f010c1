"""Charts of handoffs: a matrix of departments, and a chord diagram."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from cxlib.errors import unknown_name
from cxlib.plot.canvas import blank, dress, need_columns, one_group, plain, shorten
from cxlib.plot.template import touchpoint_colours, translucent

__all__ = ["handoff_chord", "handoffs"]

_COLUMNS = (
    "from_department", "to_department", "handoffs", "customers", "share", "median_wait_hours", "n",
    "return_rate",
)  # fmt: skip
_OTHER = "(other)"
_EMPTY = "No handoffs in this selection."
# What a cell can show: how it is written, what it is called, the column that must not be 0.
_SHOWN = {
    "handoffs": (",.0f", "handoffs", "handoffs"),
    "median_wait_hours": (".1f", "median wait (hours)", "handoffs"),
    "median_working_hours": (".1f", "median wait (working hours)", "handoffs"),
    "return_rate": (".0%", "share handed straight back", "n"),
    "end_rate": (".0%", "share after which the journey ended", "n"),
    "sentiment_after": ("+.2f", "mean of the next score (-1 to 1)", "n_after"),
    "outcome_rate": (".1%", "share followed by the outcome in time", "outcome_n"),
}
_RING, _EDGE, _TIP = 1.05, 0.985, 0.93  # radii: of the ring, and of a ribbon's two ends
_GAP, _CURVE = 0.05, 40  # radians between two departments; points on each curve
_LABEL, _LINE = 1.14, 0.2  # radius of the labels, and the least distance between two


def handoffs(
    frame: pd.DataFrame,
    *,
    show: str = "handoffs",
    top: int = 12,
    title: str | None = None,
    theme: str = "light",
) -> go.Figure:
    """Heat map of what is handed from each department to each other.

    Parameters
    ----------
    frame
        What ``cxlib.handoffs`` returns, for one group: one row per pair of departments.
    show
        Column to colour and write: "handoffs", "median_wait_hours", "median_working_hours",
        "return_rate", "end_rate", "sentiment_after" or "outcome_rate".
    top
        How many departments to show, those with most handoffs; the subtitle says what is left out.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Rows hand over, columns take over; a cell without handoffs is empty.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_department": ["desk", "field"], "to_department": ["field", "desk"],
    ...     "handoffs": [30, 10], "customers": [28, 9], "share": [0.75, 0.25],
    ...     "median_wait_hours": [20.0, 4.5], "n": [29, 10], "return_rate": [0.31, 0.1]})
    >>> handoffs(frame).layout.meta["description"]
    '40 handoffs between 2 departments. The most frequent is from desk to field: 30 (75.0% of all),
    with a median wait of 20.0 hours; 31.0% of 29 went straight back.'
    """
    if show not in _SHOWN:
        raise unknown_name("column", show, _SHOWN, "to show")
    need_columns(frame, (*_COLUMNS, show, _SHOWN[show][2]), "handoffs")
    one_group(frame, ["from_department", "to_department"], "a chart of handoffs")
    heading = title or "What is handed from one department to another"
    if frame.empty:
        return blank(heading, _EMPTY, theme=theme)
    names = list(_sizes(frame).index[:top])
    drawn = frame[frame["from_department"].isin(names) & frame["to_department"].isin(names)]
    figure = go.Figure(_heat_map(drawn, names, show))
    figure.update_layout(
        xaxis={"showgrid": False, "tickangle": -40, "title": "takes over"},
        yaxis={"autorange": "reversed", "showgrid": False, "title": "hands over"},
    )
    hidden = 1 - drawn["handoffs"].sum() / frame["handoffs"].sum()
    subtitle = f"{int(frame['handoffs'].sum()):,} handoffs"
    if show != "handoffs":
        subtitle += f"; {_SHOWN[show][1]}"
    if hidden > 0:
        subtitle += f"; {hidden:.1%} of them, of other departments, are not shown"
    return dress(
        figure,
        title=heading,
        subtitle=subtitle,
        description=_reading(frame),
        height=250 + 34 * max(len(names), 4),
        theme=theme,
        min_width=190 + 50 * len(names),
    )


def handoff_chord(
    frame: pd.DataFrame,
    *,
    top: int = 9,
    hide_below: float = 0.005,
    title: str | None = None,
    colours: Mapping[str, str] | None = None,
    theme: str = "light",
) -> go.Figure:
    """Chord diagram of the handoffs between departments.

    Parameters
    ----------
    frame
        What ``cxlib.handoffs`` returns, for one group: one row per pair of departments.
    top
        How many departments to name, those with most handoffs; the others are one, "other".
    hide_below
        Ribbons with a smaller share of all handoffs (0 to 1) are not drawn; the subtitle says how
        much that leaves out.
    title
        In place of the title that says what is shown.
    colours
        Colour per department.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        A department's arc is as long as what it hands over and takes over. A ribbon has the colour
        of the department that hands over, touches its arc, and stops short of the one that takes
        over; it is as wide as the number of handoffs.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_department": ["desk", "field"], "to_department": ["field", "desk"],
    ...     "handoffs": [30, 10], "customers": [28, 9], "share": [0.75, 0.25],
    ...     "median_wait_hours": [20.0, 4.5], "n": [29, 10], "return_rate": [0.31, 0.1]})
    >>> len(handoff_chord(frame).data)  # two ribbons and two arcs
    4
    """
    need_columns(frame, _COLUMNS, "handoff_chord")
    one_group(frame, ["from_department", "to_department"], "a chart of handoffs")
    heading = title or "Who hands over to whom"
    if frame.empty:
        return blank(heading, _EMPTY, theme=theme)
    sizes = _sizes(frame)
    # One department alone is no bundle.
    moves = _bundle(frame, set(sizes.index[: top if len(sizes) > top + 1 else top + 1]))
    drawn = moves[moves["handoffs"] >= hide_below * frame["handoffs"].sum()]
    if drawn.empty:
        return blank(heading, "Every ribbon is too small to be drawn.", theme=theme)
    names = list(_sizes(drawn).index)
    paint = touchpoint_colours(sizes.index) | {_OTHER: "#b9ad97"} | dict(colours or {})
    arcs, ends = _angles(drawn, names)
    figure = go.Figure([*_ribbons(drawn, ends, paint), *_rings(drawn, arcs, paint)])
    for label in _labels(arcs):
        figure.add_annotation(**label)
    total = int(frame["handoffs"].sum())
    subtitle = f"{total:,} handoffs, in the colour of who hands over"
    hidden = 1 - drawn["handoffs"].sum() / total
    if hidden > 0:
        subtitle += f"; {hidden:.1%} of them are not drawn"
    axis = {"visible": False, "fixedrange": True, "constrain": "domain"}
    figure.update_layout(
        xaxis={**axis, "range": [-1.75, 1.75]},
        yaxis={**axis, "range": [-1.3, 1.3], "scaleanchor": "x"},
        showlegend=False,
        hovermode="closest",
    )
    return dress(
        figure,
        title=heading,
        subtitle=subtitle,
        description=_reading(frame),
        height=560,
        theme=theme,
        kind="chord",
    ).update_layout(margin={"l": 8, "r": 8, "b": 12})


def _sizes(frame: pd.DataFrame) -> pd.Series:
    """What each department hands over and takes over, the most first."""
    both = [frame.groupby(side)["handoffs"].sum() for side in ("from_department", "to_department")]
    sizes = both[0].add(both[1], fill_value=0).rename_axis("name").reset_index()
    sizes = sizes.sort_values(["handoffs", "name"], ascending=[False, True])
    return sizes.set_index("name")["handoffs"]


def _reading(frame: pd.DataFrame) -> str:
    most = frame.loc[frame["handoffs"].idxmax()]
    text = (
        f"{int(frame['handoffs'].sum()):,} handoffs between {len(_sizes(frame))} departments. "
        f"The most frequent is from {plain(most['from_department'])} to "
        f"{plain(most['to_department'])}: {most['handoffs']:,} ({most['share']:.1%} of all), "
        f"with a median wait of {most['median_wait_hours']:,.1f} hours"
    )
    if most["n"]:
        text += f"; {most['return_rate']:.1%} of {most['n']:,} went straight back"
    return text + "."


def _heat_map(drawn: pd.DataFrame, names: list[str], show: str) -> go.Heatmap:
    form, _, base = _SHOWN[show]

    def grid(value: str) -> pd.DataFrame:
        table = drawn.pivot_table(
            index="from_department", columns="to_department", values=value, aggfunc="sum"
        )
        return table.reindex(index=names, columns=names)

    # A pivot sums missing values to 0, which would be a value.
    values = grid(show).where(grid(base) > 0).to_numpy(dtype="float64")
    told = ("handoffs", "customers", "share", "median_wait_hours", "n", "return_rate")
    facts = [grid(name).fillna(0).to_numpy() for name in told]
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    labels = [shorten(plain(name), 18) for name in names]
    return go.Heatmap(
        z=[[None if math.isnan(value) else value for value in row] for row in values.tolist()],
        x=labels,
        y=labels,
        zmin=min(low, 0.0),
        zmax=high if high > min(low, 0.0) else 1.0,
        xgap=2,
        ygap=2,
        text=[["" if math.isnan(value) else format(value, form) for value in row]
              for row in values.tolist()],
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=np.stack(facts, axis=-1).tolist(),
        hovertemplate="<b>%{y} → %{x}</b><br>%{customdata[0]:,} handoffs of "
        "%{customdata[1]:,} customers, %{customdata[2]:.1%} of all<br>"
        "median wait %{customdata[3]:,.1f} hours<br>"
        "%{customdata[5]:.1%} of %{customdata[4]:,} went straight back<extra></extra>",
        hoverongaps=False,
        showscale=False,
    )  # fmt: skip


def _bundle(frame: pd.DataFrame, named: set[str]) -> pd.DataFrame:
    """Moves whose departments are "(other)" where they are not named."""
    pair = ["from_department", "to_department"]
    moves = frame[[*pair, "handoffs", "customers", "median_wait_hours"]].copy()
    for side in pair:
        moves[side] = moves[side].where(moves[side].isin(named), _OTHER)
    bundled = (moves[pair] == _OTHER).any(axis=1)
    # A median of medians would be none, and customers of several pairs may be the same.
    moves["facts"] = [
        "" if other else f", {customers:,} customers, median wait {wait:,.1f} hours"
        for other, customers, wait in zip(
            bundled, moves["customers"], moves["median_wait_hours"], strict=True
        )
    ]
    moves = moves[moves["from_department"] != moves["to_department"]]
    return moves.groupby(pair, as_index=False).agg(handoffs=("handoffs", "sum"),
                                                   facts=("facts", "first"))  # fmt: skip


Arcs = dict[str, tuple[float, float]]
Ends = dict[tuple[str, str, str], tuple[float, float]]


def _angles(drawn: pd.DataFrame, names: list[str]) -> tuple[Arcs, Ends]:
    """Where each department's arc and each end of a ribbon begins and stops, clockwise from noon.

    The ends of an arc stand in the order of the departments that they go to, against the clock, so
    that ribbons of one arc do not cross.
    """
    place = {name: number for number, name in enumerate(names)}
    per_handoff = (2 * math.pi - _GAP * len(names)) / (2 * drawn["handoffs"].sum())
    moves = list(
        drawn[["from_department", "to_department", "handoffs"]].itertuples(index=False, name=None)
    )
    arcs, ends, angle = Arcs(), Ends(), _GAP / 2
    for name in names:
        begin = angle
        own = [(goal, True, n, start) for start, goal, n in moves if start == name]
        own += [(start, False, n, goal) for start, goal, n in moves if goal == name]
        own.sort(key=lambda end: (-((place[end[0]] - place[name]) % len(names)), end[1]))
        for partner, leaves, n, _ in own:
            pair = (name, partner) if leaves else (partner, name)
            ends[(*pair, name)] = (angle, angle + n * per_handoff)
            angle += n * per_handoff
        arcs[name] = (begin, angle)
        angle += _GAP
    return arcs, ends


def _arc(radius: float, begin: float, end: float) -> NDArray[np.float64]:
    turn = np.linspace(begin, end, max(2, int(_CURVE * abs(end - begin)) + 2))
    return radius * np.column_stack([np.sin(turn), np.cos(turn)])


def _bend(start: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quadratic curve from one point to another, drawn towards the middle of the circle."""
    t = np.linspace(0, 1, _CURVE)[:, None]
    # Half way to the middle, and not all the way: neighbours would be joined by a spike.
    control = (start + goal) / 4
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * goal


def _ribbons(drawn: pd.DataFrame, ends: Ends, paint: Mapping[str, str]) -> Iterator[go.Scatter]:
    total = drawn["handoffs"].sum()
    # The small ones last, on top, so that they can be pointed at.
    for row in drawn.sort_values("handoffs", ascending=False, kind="stable").itertuples():
        start, goal = str(row.from_department), str(row.to_department)
        leave = _arc(_EDGE, *ends[(start, goal, start)])
        reach = _arc(_TIP, *ends[(start, goal, goal)])
        outline = np.vstack([leave, _bend(leave[-1], reach[0]), reach, _bend(reach[-1], leave[0])])
        yield go.Scatter(
            x=outline[:, 0].round(4).tolist(),
            y=outline[:, 1].round(4).tolist(),
            mode="lines",
            fill="toself",
            fillcolor=translucent(paint[start], 0.55),
            line={"width": 0.7, "color": translucent(paint[start], 0.9)},
            hoveron="fills",
            hoverinfo="text",
            text=f"<b>{plain(start)} → {plain(goal)}</b><br>{row.handoffs:,} handoffs, "
            f"{row.handoffs / total:.1%} of those drawn{row.facts}",
            name=f"{plain(start)} → {plain(goal)}",
        )


def _rings(drawn: pd.DataFrame, arcs: Arcs, paint: Mapping[str, str]) -> Iterator[go.Scatter]:
    left = drawn.groupby("from_department")["handoffs"].sum()
    reached = drawn.groupby("to_department")["handoffs"].sum()
    for name, (begin, end) in arcs.items():
        outline = np.vstack([_arc(1.0, begin, end), _arc(_RING, end, begin)])
        yield go.Scatter(
            x=outline[:, 0].round(4).tolist(),
            y=outline[:, 1].round(4).tolist(),
            mode="lines",
            fill="toself",
            fillcolor=paint[name],
            line={"width": 0},
            hoveron="fills",
            hoverinfo="text",
            text=f"<b>{plain(name)}</b><br>hands over {left.get(name, 0):,} times, "
            f"takes over {reached.get(name, 0):,} times",
            name=plain(name),
        )


def _labels(arcs: Arcs) -> Iterator[dict[str, object]]:
    """Names outside the ring, moved apart where arcs are short."""
    middles = {name: (begin + end) / 2 for name, (begin, end) in arcs.items()}
    for side in (1, -1):
        own = [name for name, turn in middles.items() if (1 if math.sin(turn) >= 0 else -1) == side]
        own.sort(key=lambda name: math.cos(middles[name]))
        heights = _apart([_LABEL * math.cos(middles[name]) for name in own])
        for name, height in zip(own, heights, strict=True):
            turn = middles[name]
            reach = math.sqrt(max(_LABEL**2 - height**2, 0.0))
            yield {
                "text": shorten(plain(name), 26).replace(" ", "<br>", 1),
                "x": side * max(reach, abs(_LABEL * math.sin(turn)) * 0.5),
                "y": height,
                "xanchor": "left" if side > 0 else "right",
                "yanchor": "middle",
                "align": "left" if side > 0 else "right",
                "showarrow": False,
                "font": {"size": 11},
            }


def _apart(heights: list[float]) -> list[float]:
    """Rising heights with the least distance between neighbours, as near to the old as can be."""
    moved = list(heights)
    for number in range(1, len(moved)):
        moved[number] = max(moved[number], moved[number - 1] + _LINE)
    # What was pushed over the top goes back down, and pushes what is below it.
    over = max(0.0, moved[-1] - 1.22) if moved else 0.0
    for number in reversed(range(len(moved))):
        limit = moved[number + 1] - _LINE if number + 1 < len(moved) else moved[number] - over
        moved[number] = min(moved[number], limit)
    return moved
