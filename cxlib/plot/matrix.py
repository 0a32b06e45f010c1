"""The heat map of transitions."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten

__all__ = ["transitions"]

_COLUMNS = ("from_touchpoint", "to_touchpoint", "count", "customers", "probability")


def transitions(
    frame: pd.DataFrame, *, top: int = 15, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Heat map of the probability of each next touchpoint.

    Parameters
    ----------
    frame
        What ``cxlib.transitions`` returns, for one group: one row per pair of touchpoints.
    top
        How many touchpoints to show, those left most often.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Rows are the touchpoints left, columns the ones reached; a row sums to 1 over all columns,
        those not shown included.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_touchpoint": ["signed_up", "signed_up"],
    ...     "to_touchpoint": ["viewed_home", "(end)"], "count": [3, 1],
    ...     "customers": [3, 1], "probability": [0.75, 0.25]})
    >>> transitions(frame).layout.meta["description"]
    'Probability of the next touchpoint. The most frequent move is from signed up to viewed home:
    3 times, 75.0% of what follows signed up.'
    """
    need_columns(frame, _COLUMNS, "transitions")
    if frame.duplicated(["from_touchpoint", "to_touchpoint"]).any():
        raise CxError(
            "the frame holds several groups, and a heat map shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "What follows each touchpoint"
    if frame.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    rows, columns = _order(frame, top)
    figure = go.Figure(_heat_map(frame, rows, columns))
    figure.update_layout(
        xaxis={"showgrid": False, "tickangle": -40, "title": "next touchpoint"},
        yaxis={"autorange": "reversed", "showgrid": False, "title": "touchpoint"},
    )
    most = frame.loc[frame["count"].idxmax()]
    return dress(
        figure,
        title=heading,
        subtitle=f"{int(frame['count'].sum()):,} moves; each row is 100% of what follows",
        description=(
            "Probability of the next touchpoint. The most frequent move is from "
            f"{plain(most['from_touchpoint'])} to {plain(most['to_touchpoint'])}: "
            f"{most['count']:,} times, {most['probability']:.1%} of what follows "
            f"{plain(most['from_touchpoint'])}."
        ),
        height=250 + 26 * max(len(rows), 4),
        theme=theme,
        min_width=190 + 38 * len(columns),
    )


def _order(frame: pd.DataFrame, top: int) -> tuple[list[str], list[str]]:
    """Touchpoints left and reached, the most frequent first, starts first and ends last."""
    left = (
        frame.groupby("from_touchpoint")["count"].sum().sort_values(ascending=False, kind="stable")
    )
    names = [name for name in left.index if name != "(start)"][:top]
    rows = (["(start)"] if "(start)" in left.index else []) + names
    ends = [name for name in ("(open)", "(end)") if (frame["to_touchpoint"] == name).any()]
    return rows, names + ends


def _heat_map(frame: pd.DataFrame, rows: list[str], columns: list[str]) -> go.Heatmap:
    def grid(value: str) -> pd.DataFrame:
        table = frame.pivot_table(
            index="from_touchpoint", columns="to_touchpoint", values=value, aggfunc="sum"
        )
        return table.reindex(index=rows, columns=columns).fillna(0)

    probability, count, customers = grid("probability"), grid("count"), grid("customers")
    return go.Heatmap(
        z=probability.to_numpy().tolist(),
        x=[shorten(plain(name), 22) for name in columns],
        y=[shorten(plain(name), 22) for name in rows],
        zmin=0,
        zmax=float(max(probability.to_numpy().max(), 0.01)),
        xgap=2,
        ygap=2,
        text=[[f"{p:.0%}" if p >= 0.01 else "" for p in row] for row in probability.to_numpy()],
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=[
            [[int(n), int(c)] for n, c in zip(*pair, strict=True)]
            for pair in zip(count.to_numpy(), customers.to_numpy(), strict=True)
        ],
        hovertemplate="<b>%{y} → %{x}</b><br>%{z:.1%} of what follows %{y}<br>"
        "%{customdata[0]:,} moves, %{customdata[1]:,} customers<extra></extra>",
        showscale=False,
    )
