"""The chart of re-entry: after which touchpoint customers come back."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.intervals import wilson_interval
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten

__all__ = ["reentry"]

_COLUMNS = ("from_touchpoint", "to_touchpoint", "journeys", "n", "median_days")
_COLOUR = "#0072b2"
_PLACES = 3  # where they come back to, named in the hint


def reentry(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of the share of ended journeys that another one followed, by last touchpoint.

    Parameters
    ----------
    frame
        What ``cxlib.reentry`` returns, for one group: one row per pair of touchpoints.
    top
        How many last touchpoints to show, those at which most journeys ended.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares with their 95 % intervals, the highest first; a line marks the share over all ended
        journeys, those not shown included.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_touchpoint": ["paid_invoice"] * 2, "to_touchpoint": ["(end)", "opened_ticket"],
    ...     "journeys": [30, 10], "n": [40, 40], "median_days": [None, 12.0]})
    >>> reentry(frame).layout.meta["description"]
    'Of 40 journeys that ended, 10 (25.0%) were followed by another. Most often after paid invoice:
    10 of 40 (25.0%), most of them to opened ticket.'
    """
    need_columns(frame, _COLUMNS, "reentry")
    if frame.duplicated(["from_touchpoint", "to_touchpoint"]).any():
        raise CxError(
            "the frame holds several groups, and a re-entry chart shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "Where customers come back from"
    if frame.empty:
        return blank(heading, "No journeys that ended in this selection.", theme=theme)
    rows = _rows(frame)
    share = rows["came"].sum() / rows["n"].sum()
    shown = rows.head(top).sort_values(["share", "n"], ascending=False, kind="stable")
    figure = go.Figure(_bars(shown))
    figure.add_vline(x=share, line={"width": 1.2, "dash": "dot", "color": "#808c9e"})
    figure.update_layout(
        xaxis={"title": "journeys followed by another (%)", "tickformat": ".0%", "nticks": 6,
               "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "tickvals": list(range(len(shown))), "showgrid": False,
               "ticktext": [shorten(plain(name), 22) for name in shown["from_touchpoint"]]},
        hovermode="closest",
        bargap=0.4,
        margin={"b": 60},
    )  # fmt: skip
    return dress(
        figure,
        title=heading,
        subtitle=f"{int(rows['n'].sum()):,} ended journeys; dotted: {share:.1%} of all",
        description=_reading(rows, shown),
        height=150 + 30 * max(len(shown), 4),
        theme=theme,
    )


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per last touchpoint, those of most journeys first."""
    came = frame[frame["to_touchpoint"] != "(end)"]
    rows = frame.groupby("from_touchpoint")["journeys"].sum().rename("n").reset_index()
    counts = came.groupby("from_touchpoint")["journeys"].sum()
    rows["came"] = rows["from_touchpoint"].map(counts).fillna(0).astype("int64")
    rows["share"] = rows["came"] / rows["n"]
    rows["lower"], rows["upper"] = wilson_interval(rows["came"], rows["n"])
    most = came.sort_values(["journeys", "to_touchpoint"], ascending=[False, True])
    named = {
        name: [
            f"{plain(to)}: {journeys:,}, after {days:.1f} days at the median"
            for to, journeys, days in zip(
                part["to_touchpoint"], part["journeys"], part["median_days"], strict=True
            )
        ][:_PLACES]
        for name, part in most.groupby("from_touchpoint")
    }
    rows["hint"] = ["<br>".join(named.get(name, [])) for name in rows["from_touchpoint"]]
    rows["place"] = rows["from_touchpoint"].map(
        most.drop_duplicates("from_touchpoint").set_index("from_touchpoint")["to_touchpoint"]
    )
    return rows.sort_values(["n", "from_touchpoint"], ascending=[False, True], ignore_index=True)


def _bars(rows: pd.DataFrame) -> go.Bar:
    facts = ["from_touchpoint", "came", "n", "lower", "upper", "hint"]
    named = rows.assign(from_touchpoint=rows["from_touchpoint"].map(plain))
    return go.Bar(
        y=list(range(len(rows))),
        x=rows["share"].tolist(),
        orientation="h",
        marker={"color": _COLOUR, "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["upper"] - rows["share"]).clip(lower=0).tolist(),
            "arrayminus": (rows["share"] - rows["lower"]).clip(lower=0).tolist(),
            "thickness": 1.2,
            "width": 3,
        },
        customdata=named[facts].astype(object).to_numpy().tolist(),
        hovertemplate="<b>%{customdata[0]}</b><br>"
        "after %{customdata[1]:,} of %{customdata[2]:,} journeys another began: %{x:.1%}<br>"
        "95% interval %{customdata[3]:.1%} to %{customdata[4]:.1%}<br>"
        "%{customdata[5]}<extra></extra>",
    )


def _reading(rows: pd.DataFrame, shown: pd.DataFrame) -> str:
    n, came = int(rows["n"].sum()), int(rows["came"].sum())
    followed = "were" if came != 1 else "was"
    text = (
        f"Of {n:,} journeys that ended, {came:,} ({came / n:.1%}) {followed} followed by another."
    )
    if not came:
        return text
    first = shown.iloc[0]
    return (
        f"{text} Most often after {plain(first['from_touchpoint'])}: {first['came']:,} of "
        f"{first['n']:,} ({first['share']:.1%}), most of them to {plain(first['place'])}."
    )
