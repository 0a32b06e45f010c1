"""The graph of transitions: touchpoints from left to right, and the moves between them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten
from cxlib.plot.layers import COLUMN, ROW, place_nodes, route_edges
from cxlib.plot.template import touchpoint_colour, touchpoint_colours, translucent
from cxlib.tables import END, OPEN, START

__all__ = ["transition_graph"]

_MOVES = ("from_touchpoint", "to_touchpoint", "count", "customers", "probability")
_CHANGES = (
    "from_touchpoint", "to_touchpoint", "a", "b", "difference", "lower", "upper", "p_adjusted",
    "count_a", "count_b", "n_a", "n_b", "label_a", "label_b",
)  # fmt: skip
_SHOWN = (8, 12, 18, 26, 38, 55)
_MORE, _LESS, _SAME = "#d55e00", "#0072b2", "#8a94a3"
_SURE = 0.05
_BELOW = 104  # pixels for the slider


def transition_graph(
    frame: pd.DataFrame,
    *,
    keep: int = 14,
    shown: int = 18,
    title: str | None = None,
    colours: Mapping[str, str] | None = None,
    theme: str = "light",
) -> go.Figure:
    """Graph of the moves between touchpoints, or of what has changed in them.

    Parameters
    ----------
    frame
        What ``cxlib.transitions`` returns, for one group; or what ``cxlib.compare`` returns of
        ``transitions``, for the differences.
    keep
        How many touchpoints to show, the most frequent ones; of differences, first those of moves
        that have surely changed.
    shown
        About how many moves to draw at first; a slider draws more or fewer.
    title
        In place of the title that says what is shown.
    colours
        Colour per touchpoint, for example ``touchpoint_colours`` of the whole log.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Touchpoints from left to right by the mean step at which they stand, moves as curves with
        an arrowhead. A move is as wide as it is frequent, in the colour of the touchpoint it
        leaves; of differences, as wide as the difference, orange where the second log has more and
        blue where it has less, grey and dotted where chance may explain it. The slider says what
        it hides.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Notes
    -----
    The mean step is that of a first-order chain with these transitions. The same frame gives the
    same picture.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_touchpoint": ["(start)", "signed_up", "signed_up"],
    ...     "to_touchpoint": ["signed_up", "viewed_home", "(end)"], "count": [4, 3, 1],
    ...     "customers": [4, 3, 1], "probability": [1.0, 0.75, 0.25]})
    >>> transition_graph(frame).layout.meta["description"]
    'Graph of 3 moves between 2 touchpoints. The most frequent one is from journey began to signed
    up: 4 times, 100.0% of what follows journey began.'
    """
    is_change = "difference" in frame.columns
    need_columns(frame, _CHANGES if is_change else _MOVES, "transition_graph")
    if frame.duplicated(["from_touchpoint", "to_touchpoint"]).any():
        raise CxError(
            "the frame holds several groups, and a graph shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or ("What has changed between touchpoints" if is_change else "How touchpoints "
                        "follow one another")  # fmt: skip
    moves = _changes(frame) if is_change else _moves(frame)
    if moves.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    named = _most_frequent(moves, keep)
    drawn = moves[moves[["from_touchpoint", "to_touchpoint"]].isin(named).all(axis=1)]
    drawn = drawn.head(max(*_SHOWN, shown))
    nodes = _nodes(drawn, moves)
    own = dict(colours or touchpoint_colours(named))
    figure = go.Figure([*_curves(drawn, nodes, own, is_change), *_node_traces(nodes, own)])
    if is_change:
        figure.add_traces(_key(frame))
    levels = _levels(drawn, moves, shown, is_change)
    _add_slider(figure, levels, len(drawn), shown)
    height, width = _size(nodes)
    figure.update_layout(
        xaxis={"visible": False, "range": [-COLUMN * 0.5, nodes["x"].max() + COLUMN * 0.5]},
        yaxis={"visible": False,
               "range": [nodes["y"].max() + ROW * 0.62, nodes["y"].min() - ROW * 0.62]},
        hovermode="closest",
        showlegend=is_change,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemclick": False,
                "itemdoubleclick": False},
        margin={"b": _BELOW},
    )  # fmt: skip
    found = sum(name not in (START, END, OPEN) for name in _names(moves))
    kept = sum(name not in (START, END, OPEN) for name in nodes["name"])
    return dress(
        figure,
        title=heading,
        subtitle=_subtitle(moves, kept, found, is_change),
        description=_reading(drawn, kept, is_change),
        height=height,
        theme=theme,
        min_width=width,
    )


def _moves(frame: pd.DataFrame) -> pd.DataFrame:
    """Moves with their weight, the most frequent first."""
    moves = frame.assign(weight=frame["count"].astype("float64"), size=frame["count"])
    moves = moves[moves["weight"] > 0]
    return moves.sort_values(["size", "from_touchpoint", "to_touchpoint"],
                             ascending=[False, True, True], ignore_index=True)  # fmt: skip


def _changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences that are known, the sure ones first and among them the largest."""
    known = frame[frame["difference"].notna()]
    moves = known.assign(
        weight=known["count_a"] + known["count_b"],
        size=known["difference"].abs(),
        is_sure=known["p_adjusted"] < _SURE,
    )
    moves = moves[moves["weight"] > 0]
    return moves.sort_values(["is_sure", "size", "from_touchpoint", "to_touchpoint"],
                             ascending=[False, False, True, True], ignore_index=True)  # fmt: skip


def _names(moves: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*moves["from_touchpoint"], *moves["to_touchpoint"]]))


def _most_frequent(moves: pd.DataFrame, keep: int) -> list[str]:
    """Names of the nodes: the touchpoints visited most often, and where journeys begin and end."""
    reached = moves.groupby("to_touchpoint")["weight"].sum().drop([END, OPEN], errors="ignore")
    left = moves.groupby("from_touchpoint")["weight"].sum().drop([START], errors="ignore")
    visits = reached.combine(left, max, fill_value=0).reset_index()
    visits.columns = pd.Index(["name", "visits"])
    visits = visits.sort_values(["visits", "name"], ascending=[False, True])
    names = visits["name"].tolist()
    if "is_sure" in moves:
        # What has surely changed is shown, however rare it is.
        changed = [name for name in _names(moves[moves["is_sure"]]) if name in set(names)]
        names = list(dict.fromkeys([*changed, *names]))
    return [*names[:keep], START, END, OPEN]


def _nodes(drawn: pd.DataFrame, moves: pd.DataFrame) -> pd.DataFrame:
    """Nodes with their place, and a radius that grows with their visits."""
    nodes = place_nodes(drawn, moves)
    into = moves.groupby("to_touchpoint")["weight"].sum()
    out = moves.groupby("from_touchpoint")["weight"].sum()
    visits = nodes["name"].map(into).fillna(nodes["name"].map(out))
    share = np.sqrt(visits / visits.max())
    return nodes.assign(visits=visits, radius=6 + 13 * share)


def _curves(
    drawn: pd.DataFrame, nodes: pd.DataFrame, colours: Mapping[str, str], is_change: bool
) -> list[go.Scatter]:
    widths = 1 + 9 * np.sqrt(drawn["size"] / max(drawn["size"].max(), 1e-12))
    return [
        _curve(move, points, float(width), colours, is_change)
        for (_, move), points, width in zip(
            drawn.iterrows(), route_edges(drawn, nodes), widths, strict=True
        )
    ]


def _curve(
    move: pd.Series,
    points: np.ndarray,
    width: float,
    colours: Mapping[str, str],
    is_change: bool,
) -> go.Scatter:
    origin = move["from_touchpoint"]
    colour, dash = colours.get(origin) or touchpoint_colour(origin), "solid"
    if is_change:
        colour = _MORE if move["difference"] > 0 else _LESS
        if not move["is_sure"]:
            colour, dash, width = _SAME, "dot", min(width, 2.0)
    arrow = [0.0] * (len(points) - 1) + [7 + 1.3 * width]
    return go.Scatter(
        x=points[:, 0].round(1).tolist(),
        y=points[:, 1].round(1).tolist(),
        mode="lines+markers",
        line={"color": translucent(colour, 0.6), "width": round(width, 1), "dash": dash,
              "simplify": False},
        marker={"symbol": "arrow", "size": arrow, "angleref": "previous", "opacity": 1,
                "color": colour, "line": {"width": 0}},
        text=_facts(move, is_change),
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )  # fmt: skip


def _facts(move: pd.Series, is_change: bool) -> str:
    """What a reader sees when pointing at a move."""
    origin, goal = plain(move["from_touchpoint"]), plain(move["to_touchpoint"])
    if not is_change:
        return (
            f"<b>{origin} → {goal}</b><br>{move['count']:,} moves, {move['customers']:,} customers"
            f"<br>{move['probability']:.1%} of what follows {origin}"
        )
    sides = "".join(
        f"<br>{move[f'label_{side}']}: {move[side]:.1%} "
        f"({move[f'count_{side}']:,.0f} of {move[f'n_{side}']:,.0f})"
        for side in ("a", "b")
    )
    return (
        f"<b>{origin} → {goal}</b>{sides}<br>difference {100 * move['difference']:+.1f} points "
        f"({100 * move['lower']:+.1f} to {100 * move['upper']:+.1f}), "
        f"adjusted p {move['p_adjusted']:.2g}"
    )


def _node_traces(nodes: pd.DataFrame, colours: Mapping[str, str]) -> list[go.Scatter]:
    dots = go.Scatter(
        x=nodes["x"].tolist(),
        y=nodes["y"].tolist(),
        mode="markers",
        marker={
            "size": (2 * nodes["radius"]).round(1).tolist(),
            "color": [colours.get(name) or touchpoint_colour(name) for name in nodes["name"]],
            "line": {"width": 0},
            "opacity": 1,
        },
        customdata=[[name, plain(name), n] for name, n in
                    zip(nodes["name"], nodes["visits"], strict=True)],
        hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[2]:,.0f} times<extra></extra>",
        showlegend=False,
    )  # fmt: skip
    labels = go.Scatter(
        x=nodes["x"].tolist(),
        y=(nodes["y"] + nodes["radius"] + 3).tolist(),
        mode="text",
        text=[_wrap(plain(name)) for name in nodes["name"]],
        textposition="bottom center",
        textfont={"size": 11},
        hoverinfo="skip",
        showlegend=False,
    )
    return [dots, labels]


def _wrap(text: str) -> str:
    """Text in at most two lines of about equal length."""
    if len(text) <= 12 or " " not in text:
        return shorten(text, 20)
    gaps = [at for at, letter in enumerate(text) if letter == " "]
    middle = min(gaps, key=lambda at: abs(2 * at - len(text)))
    return f"{shorten(text[:middle], 18)}<br>{shorten(text[middle + 1 :], 18)}"


def _key(frame: pd.DataFrame) -> list[go.Scatter]:
    """What the colours of differences mean."""
    other = frame["label_b"].iloc[0]
    return [
        go.Scatter(x=[None], y=[None], mode="lines", name=name, hoverinfo="skip",
                   line={"color": colour, "width": 4, "dash": dash})
        for name, colour, dash in [
            (f"{other}: more", _MORE, "solid"),
            (f"{other}: less", _LESS, "solid"),
            ("chance may explain it", _SAME, "dot"),
        ]
    ]  # fmt: skip


def _levels(
    drawn: pd.DataFrame, moves: pd.DataFrame, shown: int, is_change: bool
) -> list[tuple[int, str]]:
    """How many moves each stop of the slider draws, and what it says of the others."""
    stops = sorted({min(stop, len(drawn)) for stop in (*_SHOWN, shown)})
    levels = []
    for stop in stops:
        some = f"{stop} of {len(moves)} pairs drawn"
        if is_change:
            sure = int(moves["is_sure"].sum())
            seen = int(drawn.head(stop)["is_sure"].sum())
            text = f"{some}; {seen} of {sure} sure differences"
        else:
            share = drawn.head(stop)["count"].sum() / moves["count"].sum()
            hidden = moves["count"].sum() - drawn.head(stop)["count"].sum()
            text = f"{some}, {share:.0%} of all moves; {hidden:,} others hidden"
        levels.append((stop, text))
    return levels


def _add_slider(figure: go.Figure, levels: list[tuple[int, str]], curves: int, shown: int) -> None:
    active = min(range(len(levels)), key=lambda at: abs(levels[at][0] - shown))
    rest = len(figure.data) - curves
    for at, trace in enumerate(figure.data[:curves]):
        trace.visible = at < levels[active][0]
    if len(levels) < 2:
        return
    steps = [
        {"method": "update", "label": str(stop),
         "args": [{"visible": [at < stop for at in range(curves)] + [True] * rest},
                  {"annotations[0].text": text}]}
        for stop, text in levels
    ]  # fmt: skip
    # The slider's own text would be that of its stops, which have room for a number.
    figure.add_annotation(
        text=levels[active][1], showarrow=False, font={"size": 12},
        x=0, xref="paper", xanchor="left", xshift=8, y=0, yref="paper", yanchor="top", yshift=-26,
    )  # fmt: skip
    figure.update_layout(
        sliders=[
            {
                "steps": steps,
                "active": active,
                "x": 0,
                "xanchor": "left",
                "y": 0,
                "yanchor": "top",
                "len": 1,
                "lenmode": "fraction",
                "pad": {"t": 54, "b": 8, "l": 6, "r": 6},
                "currentvalue": {"visible": False},
                "font": {"size": 11},
                "ticklen": 4,
                "bgcolor": "rgba(128,140,158,0.25)",
                "activebgcolor": "#0072b2",
                "bordercolor": "rgba(128,140,158,0.5)",
            }
        ]
    )


def _size(nodes: pd.DataFrame) -> tuple[int, int]:
    """Height and least width in pixels."""
    tall = float(nodes["y"].max() - nodes["y"].min())
    wide = float(nodes["x"].max())
    return int(tall + 1.24 * ROW) + 84 + _BELOW, int(0.72 * wide) + 120


def _subtitle(moves: pd.DataFrame, kept: int, found: int, is_change: bool) -> str:
    some = f"{kept} of {found} touchpoints" if kept < found else f"{found} touchpoints"
    if is_change:
        first = moves.iloc[0]
        return f"{some}; {first['label_b']} against {first['label_a']}, as wide as the difference"
    return f"{some}; {int(moves['count'].sum()):,} moves, as wide as they are frequent"


def _reading(drawn: pd.DataFrame, kept: int, is_change: bool) -> str:
    what = f"Graph of {len(drawn)} moves between {kept} touchpoints. "
    first = drawn.iloc[0]
    pair = f"from {plain(first['from_touchpoint'])} to {plain(first['to_touchpoint'])}"
    if not is_change:
        return (
            f"{what}The most frequent one is {pair}: {first['count']:,} times, "
            f"{first['probability']:.1%} of what follows {plain(first['from_touchpoint'])}."
        )
    if not first["is_sure"]:
        return f"{what}Chance may explain every difference."
    return (
        f"{what}The largest difference is {pair}: {first['label_a']} {first['a']:.1%}, "
        f"{first['label_b']} {first['b']:.1%}."
    )
