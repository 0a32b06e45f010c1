"""The Sankey chart of journeys."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import TOP, blank, dress, need_columns, plain, shorten
from cxlib.plot.template import touchpoint_colour, translucent

__all__ = ["sankey"]

_COLUMNS = ("step", "from_touchpoint", "to_touchpoint", "journeys", "customers", "of_step")
_LAST = ("(other)", "(open)", "(end)")  # below the touchpoints, in this order
_THICKNESS, _PAD, _BOTTOM = 14, 18, 16  # pixels
_EMPTY = "No journeys in this selection."
_LETTERS = 24  # a label longer than this meets the next column at 1,000 pixels


def sankey(
    flows: pd.DataFrame,
    *,
    hide_below: float = 0.0,
    least_customers: int = 0,
    title: str | None = None,
    colours: Mapping[str, str] | None = None,
    theme: str = "light",
) -> go.Figure:
    """Sankey chart of the moves between touchpoints, one column of nodes per step.

    Parameters
    ----------
    flows
        What ``cxlib.flows`` returns, for one group: one row per step and pair of touchpoints,
        with ``step, from_touchpoint, to_touchpoint, journeys, customers, of_step``.
    hide_below
        Moves that hold a smaller share of their step (0 to 1) are not drawn; the subtitle says
        which share of all moves that leaves out.
    least_customers
        Moves of fewer customers are not drawn either.
    title
        In place of the title that says what is shown.
    colours
        Colour per touchpoint, for example ``touchpoint_colours`` of the whole log.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Nodes sorted by size in their step, ended, open and bundled journeys in grey below them.
        ``node.customdata`` holds the names of the touchpoints, for clicks.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> flows = pd.DataFrame({
    ...     "step": [1, 1], "from_touchpoint": ["signed_up"] * 2,
    ...     "to_touchpoint": ["viewed_home", "(end)"], "journeys": [30, 10],
    ...     "customers": [28, 10], "of_step": [0.75, 0.25]})
    >>> sankey(flows).layout.meta["description"]
    'How 40 journeys move through their first 2 steps. The largest move is from signed up to
    viewed home: 30 journeys, 75.0% of those at that point.'
    """
    need_columns(flows, _COLUMNS, "sankey")
    if flows.duplicated(["step", "from_touchpoint", "to_touchpoint"]).any():
        raise CxError(
            "the flows hold several groups, and a Sankey chart shows one; "
            "keep one before plotting, for example flows[flows['segment'] == 'loyal']"
        )
    large = (flows["of_step"] >= hide_below) & (flows["customers"] >= least_customers)
    shown = flows[large & (flows["journeys"] > 0)]
    if shown.empty:
        sentence = "Every move is too small to be drawn." if len(flows) else _EMPTY
        return blank(title or "How customers move", sentence, theme=theme)
    nodes = _place(_nodes(shown))
    figure = go.Figure(_trace(shown, nodes, colours or {}))
    _head_columns(figure, nodes)
    heading, subtitle, what, largest = _texts(flows, shown)
    return dress(
        figure,
        title=title or heading,
        subtitle=subtitle,
        description=f"{what} {largest}",
        reading=largest,
        height=int(nodes.attrs["height"]),
        above=30,
        theme=theme,
        min_width=136 * nodes["position"].nunique(),
        kind="sankey",
    ).update_layout(margin={"l": 16, "r": 20, "b": _BOTTOM})


def _nodes(shown: pd.DataFrame) -> pd.DataFrame:
    """One row per node: position, name, journeys, and its depth in plotly's own layout."""
    ends = pd.DataFrame(
        {
            "position": pd.concat([shown["step"], shown["step"] + 1]),
            "name": pd.concat([shown["from_touchpoint"], shown["to_touchpoint"]]),
            "leaving": pd.concat([shown["journeys"], 0 * shown["journeys"]]),
            "entering": pd.concat([0 * shown["journeys"], shown["journeys"]]),
        }
    )
    nodes = ends.groupby(["position", "name"], as_index=False)[["leaving", "entering"]].sum()
    # A node is as high as the larger of what enters and what leaves: journeys begin inside.
    nodes["journeys"] = nodes[["leaving", "entering"]].max(axis=1)
    nodes["rank"] = nodes["name"].map(lambda name: _LAST.index(name) + 1 if name in _LAST else 0)
    nodes = nodes.sort_values(
        ["position", "rank", "journeys", "name"], ascending=[True, True, False, True]
    ).reset_index(drop=True)
    nodes["depth"] = _depths(shown, nodes)
    return nodes


def _depths(shown: pd.DataFrame, nodes: pd.DataFrame) -> list[int]:
    """Length of the longest path to each node: the column in which plotly counts it."""
    keys = list(zip(nodes["position"].tolist(), nodes["name"].tolist(), strict=True))
    depth = dict.fromkeys(keys, 0)
    moves = shown.sort_values("step")
    for step, origin, target in zip(
        moves["step"].tolist(), moves["from_touchpoint"], moves["to_touchpoint"], strict=True
    ):
        depth[step + 1, target] = max(depth[step + 1, target], depth[step, origin] + 1)
    return [depth[key] for key in keys]


def _place(nodes: pd.DataFrame) -> pd.DataFrame:
    """Add ``x`` and ``y``, the centre of each node as a share of the plot, and the height."""
    most = int(nodes.groupby("position").size().max())
    height = min(max(44 * most + 60, 380), 640)
    # plotly takes one scale for all columns: the one that fits the fullest of *its* columns.
    columns = nodes.groupby("depth")["journeys"].agg(["size", "sum"])
    scale = ((height - (columns["size"] - 1) * _PAD) / columns["sum"]).min()
    y = pd.Series(0.0, index=nodes.index)
    for _, column in nodes.groupby("position"):
        sizes = column["journeys"] * scale
        room = (height - sizes.sum()) / max(len(column) - 1, 1)
        tops = (
            sizes.cumsum() - sizes + min(_PAD, room) * pd.Series(range(len(column)), column.index)
        )
        y[column.index] = (tops + sizes / 2) / height
    placed = nodes.assign(x=nodes["position"].map(_columns_x(nodes)), y=y.clip(0.001, 0.999))
    placed.attrs["height"] = height + TOP + _BOTTOM
    return placed


def _columns_x(nodes: pd.DataFrame) -> dict[int, float]:
    """Centre of each column; the last gap is wider, for it holds the labels of two columns."""
    positions = sorted(nodes["position"].unique())
    gaps = [1.0] * (len(positions) - 1)
    gaps[-1] = 1.6 if len(gaps) > 1 else 1.0
    x, at = {positions[0]: 0.001}, 0.0  # plotly reads 0 as "not given"
    for position, gap in zip(positions[1:], gaps, strict=True):
        at += gap
        x[position] = min(at / sum(gaps), 0.999)
    return x


def _trace(shown: pd.DataFrame, nodes: pd.DataFrame, colours: Mapping[str, str]) -> go.Sankey:
    number = {key: at for at, key in enumerate(zip(nodes["position"], nodes["name"], strict=True))}
    moves = shown.assign(
        source=[number[key] for key in zip(shown["step"], shown["from_touchpoint"], strict=True)],
        target=[number[key] for key in zip(shown["step"] + 1, shown["to_touchpoint"], strict=True)],
    ).sort_values(
        ["source", "target"]
    )  # nodes are numbered from top to bottom: no needless crossing
    paint = {name: colours.get(name) or touchpoint_colour(name) for name in nodes["name"]}
    tint = [
        paint[target if target in ("(end)", "(open)") else source]
        for source, target in zip(moves["from_touchpoint"], moves["to_touchpoint"], strict=True)
    ]
    step_total = nodes.groupby("position")["journeys"].transform("sum")
    return go.Sankey(
        arrangement="fixed",  # clicks reach the page in no other arrangement (plotly.js #3297)
        domain={"x": [0, 1], "y": [0, 1]},
        node={
            "label": [shorten(plain(name), _LETTERS) for name in nodes["name"]],
            "x": nodes["x"].tolist(),
            "y": nodes["y"].tolist(),
            "color": [paint[name] for name in nodes["name"]],
            "customdata": [
                [name, plain(name), share]
                for name, share in zip(nodes["name"], nodes["journeys"] / step_total, strict=True)
            ],
            "hovertemplate": "<b>%{customdata[1]}</b><br>%{value:,} journeys, "
            "%{customdata[2]:.1%} of what is drawn here<extra></extra>",
            "thickness": _THICKNESS,
            "pad": _PAD,
            "align": "left",
            "line": {"width": 0},
        },
        link={
            "source": moves["source"].tolist(),
            "target": moves["target"].tolist(),
            "value": moves["journeys"].tolist(),
            "color": [translucent(colour, 0.38) for colour in tint],
            "hovercolor": [translucent(colour, 0.7) for colour in tint],
            "customdata": _facts(moves),
            "hovertemplate": "<b>%{customdata[0]} → %{customdata[1]}</b><br>"
            "%{value:,} journeys, %{customdata[2]:.1%} of those at that point<br>"
            "%{customdata[3]:,} customers<extra></extra>",
            "sort": "input",
        },
    )  # fmt: skip


def _facts(moves: pd.DataFrame) -> list[list[object]]:
    """What a reader sees when pointing at a move."""
    facts = moves.assign(
        origin=moves["from_touchpoint"].map(plain), goal=moves["to_touchpoint"].map(plain)
    )[["origin", "goal", "of_step", "customers"]]
    return facts.astype(object).to_numpy().tolist()


def _head_columns(figure: go.Figure, nodes: pd.DataFrame) -> None:
    anchored = _anchor(nodes) is not None
    columns = nodes.drop_duplicates("position")
    for place, (position, x) in enumerate(zip(columns["position"], columns["x"], strict=True)):
        figure.add_annotation(
            text=_column_name(int(position), anchored),
            x=x, xref="paper", xshift=0 if place else -7,
            xanchor="right" if place == len(columns) - 1 else "left",
            y=1, yref="paper", yanchor="bottom", yshift=5, showarrow=False,
        )  # fmt: skip


def _column_name(position: int, anchored: bool) -> str:
    if not anchored:
        return f"step {position}"
    if position == 0:
        return "here"
    return f"{abs(position)} {'after' if position > 0 else 'before'}"


def _anchor(nodes: pd.DataFrame) -> str | None:
    """Touchpoint around which the flows are counted, if they are."""
    middle = nodes.loc[nodes["position"] == 0, "name"]
    return str(middle.iloc[0]) if len(middle) == 1 else None


def _texts(flows: pd.DataFrame, shown: pd.DataFrame) -> tuple[str, str, str, str]:
    """Title, subtitle, what is shown, and its largest move."""
    anchor = _anchor(_nodes(shown))
    if anchor is not None:
        # Every journey leaves the anchor, and every one reaches it, some of them from (start).
        at_anchor = flows[flows["step"] == min(0, flows["step"].max())]
        base = at_anchor["journeys"].sum()
        heading = f"What happens before and after {plain(anchor)}"
        what = f"What {base:,} journeys do before and after {plain(anchor)}."
    else:
        base = flows.loc[flows["step"] == flows["step"].min(), "journeys"].sum()
        steps = int(shown["step"].max()) + 1
        heading = f"How customers move through their first {steps} steps"
        what = f"How {base:,} journeys move through their first {steps} steps."
    # A bundle is many moves; the largest single one tells more.
    named = shown[(shown[["from_touchpoint", "to_touchpoint"]] != "(other)").all(axis=1)]
    moves = named if len(named) else shown
    top = moves.loc[moves["journeys"].idxmax()]
    largest = (
        f"The largest move is from {plain(top['from_touchpoint'])} to "
        f"{plain(top['to_touchpoint'])}: {top['journeys']:,} journeys, "
        f"{top['of_step']:.1%} of those at that point."
    )
    subtitle = f"{base:,} journeys; a band is as wide as the number of journeys"
    hidden = 1 - shown["journeys"].sum() / flows["journeys"].sum()
    if hidden > 0:
        subtitle += f"; small moves, {hidden:.1%} of all, are not drawn"
    return heading, subtitle, what, largest
