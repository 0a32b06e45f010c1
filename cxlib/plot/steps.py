"""The chart of the step matrix."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten

__all__ = ["step_matrix"]

_COLUMNS = ("step", "touchpoint", "journeys", "n", "share")
_LAST = ("(other)", "(open)", "(end)")


def step_matrix(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Heat map of where journeys stand, step by step.

    Parameters
    ----------
    frame
        What ``cxlib.step_matrix`` returns, for one group: one row per step and touchpoint.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Columns are steps and sum to 100 %; rows are touchpoints, those seen earliest first, then
        what is bundled, still open and ended.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "step": [1, 2, 2], "touchpoint": ["signed_up", "viewed_home", "(end)"],
    ...     "journeys": [4, 3, 1], "n": [4, 4, 4], "share": [1.0, 0.75, 0.25]})
    >>> step_matrix(frame).layout.meta["description"]
    'Where 4 journeys stand at each of 2 steps. At step 1, 100.0% are at signed up; at step 2,
    75.0% are at viewed home and 25.0% have ended.'
    """
    need_columns(frame, _COLUMNS, "step_matrix")
    if frame.duplicated(["step", "touchpoint"]).any():
        raise CxError(
            "the frame holds several groups, and a step matrix shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "Where journeys stand, step by step"
    if frame.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    steps, rows = sorted(frame["step"].unique()), _order(frame)
    figure = go.Figure(_heat_map(frame, rows, steps))
    figure.update_layout(
        xaxis={"showgrid": False, "title": "step", "type": "category", "side": "bottom"},
        yaxis={"autorange": "reversed", "showgrid": False},
    )
    n = int(frame["n"].max())
    return dress(
        figure,
        title=heading,
        subtitle=f"{n:,} journeys; each step is 100%, journeys that are over included",
        description=_description(frame, steps, n),
        height=220 + 28 * max(len(rows), 4),
        theme=theme,
        min_width=190 + 44 * len(steps),
    )


def _order(frame: pd.DataFrame) -> list[str]:
    """Rows by the mean step at which they are seen; what is no touchpoint at the edges."""
    seen = frame.assign(at=frame["step"] * frame["journeys"]).groupby("touchpoint")
    mean = (seen["at"].sum() / seen["journeys"].sum()).sort_values(kind="stable")
    names = [name for name in mean.index if name != "(start)" and name not in _LAST]
    start = ["(start)"] if "(start)" in mean.index else []
    return [*start, *names, *(name for name in _LAST if name in mean.index)]


def _heat_map(frame: pd.DataFrame, rows: list[str], steps: list[int]) -> go.Heatmap:
    def grid(value: str) -> pd.DataFrame:
        table = frame.pivot_table(index="touchpoint", columns="step", values=value, aggfunc="sum")
        return table.reindex(index=rows, columns=steps).fillna(0)

    share, journeys = grid("share").to_numpy(), grid("journeys").to_numpy()
    return go.Heatmap(
        z=share.tolist(),
        x=[str(step) for step in steps],
        y=[shorten(plain(name), 22) for name in rows],
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        text=[[f"{value:.0%}" if value >= 0.005 else "" for value in row] for row in share],
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=[[int(value) for value in row] for row in journeys],
        hovertemplate="<b>%{y}, step %{x}</b><br>%{z:.1%} of journeys "
        "(%{customdata:,})<extra></extra>",
        showscale=False,
    )


def _description(frame: pd.DataFrame, steps: list[int], n: int) -> str:
    first, last = frame[frame["step"] == steps[0]], frame[frame["step"] == steps[-1]]
    text = (
        f"Where {n:,} journeys stand at each of {len(steps)} steps. "
        f"At step {steps[0]}, {_most(first)}"
    )
    return text + (f"; at step {steps[-1]}, {_most(last)}." if len(steps) > 1 else ".")


def _most(frame: pd.DataFrame) -> str:
    """The touchpoint where most are, and the share that is over."""
    there = frame[~frame["touchpoint"].isin(["(start)", "(end)", "(open)"])]
    parts = []
    if len(there):
        most = there.loc[there["journeys"].idxmax()]
        parts.append(f"{most['share']:.1%} are at {plain(most['touchpoint'])}")
    words = {"(start)": "have not begun", "(end)": "have ended", "(open)": "are still open"}
    for name, word in words.items():
        share = frame.loc[frame["touchpoint"] == name, "share"].sum()
        parts += [f"{share:.1%} {word}"] if share else []
    return " and ".join(parts)
