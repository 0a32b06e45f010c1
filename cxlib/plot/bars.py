"""The chart of drop-off."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten

__all__ = ["dropoff"]

_COLUMNS = (
    "touchpoint", "n", "ended", "open", "dropoff_rate", "lower", "upper", "expected",
    "lift", "lift_lower", "lift_upper",
)  # fmt: skip
_SURE = 10  # visits from which "always" is more than chance
_MORE, _LESS, _SAME = "#d55e00", "#009e73", "#7a8ba3"


def dropoff(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of the share of visits that end the journey, with what is expected there.

    Parameters
    ----------
    frame
        What ``cxlib.dropoff`` returns, for one group: one row per touchpoint.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Observed rates of visits with their 95 % intervals in front of the expected rates; red
        where more journeys end than expected (the interval of the lift is above 1), green where
        fewer do. Touchpoints that always end a journey are left out, and named.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "touchpoint": ["opened_ticket"], "visits": [110], "ended": [30], "open": [10],
    ...     "n": [100], "dropoff_rate": [0.3], "lower": [0.22], "upper": [0.4],
    ...     "expected": [15.0], "lift": [2.0], "lift_lower": [1.4], "lift_upper": [2.8]})
    >>> dropoff(frame).layout.meta["description"]
    'Journeys end most often after opened ticket: in 30 of 100 visits (30.0%), 2.0 times as often as
    expected at that point of a journey.'
    """
    need_columns(frame, _COLUMNS, "dropoff")
    if frame["touchpoint"].duplicated().any():
        raise CxError(
            "the frame holds several groups, and a drop-off chart shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "Where journeys end"
    known, always = _split(frame)
    rows = known.head(top)
    if rows.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    reading = _reading(rows)
    figure = go.Figure([_expected(rows), *_observed(rows)])
    figure.update_layout(
        barmode="overlay",
        hovermode="closest",
        bargap=0.25,
        xaxis={"title": "visits that end the journey (%)", "tickformat": ".0%",
               "rangemode": "tozero", "nticks": 6},
        yaxis={"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
               "showgrid": False,
               "ticktext": [shorten(plain(name), 26) for name in rows["touchpoint"]]},
        legend={
            "orientation": "h",
            "y": -70 / (30 * max(len(rows), 4)),
            "yanchor": "top",
            "x": 0,
            "itemclick": False,
            "itemdoubleclick": False,
            "traceorder": "normal",
        },
        margin={"b": 118},
    )  # fmt: skip
    return dress(
        figure,
        title=heading,
        subtitle=_subtitle(known, rows, always),
        description=reading,
        height=202 + 30 * max(len(rows), 4),
        theme=theme,
    )


def _expected(rows: pd.DataFrame) -> go.Bar:
    return go.Bar(
        y=list(range(len(rows))),
        x=(rows["expected"] / rows["n"]).tolist(),
        orientation="h",
        width=0.8,
        marker={"color": "rgba(128,140,158,0.28)", "line": {"width": 0}},
        name="expected at that point",
        hoverinfo="skip",
    )


def _observed(rows: pd.DataFrame) -> list[go.Bar]:
    """One trace per kind of touchpoint, so that the legend says what the colours mean."""
    more, less = rows["lift_lower"] > 1, rows["lift_upper"] < 1
    kinds = (
        (more, _MORE, "more than expected"),
        (less, _LESS, "fewer than expected"),
        (~more & ~less, _SAME, "as expected"),
    )
    place = pd.Series(range(len(rows)), rows.index)
    return [
        _bars(rows[kind], place[kind].tolist(), colour, name)
        for kind, colour, name in kinds
        if kind.any()
    ]


def _bars(rows: pd.DataFrame, y: list[int], colour: str, name: str) -> go.Bar:
    rate = rows["dropoff_rate"]
    return go.Bar(
        y=y,
        x=rate.tolist(),
        orientation="h",
        width=0.44,
        marker={"color": colour, "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (rows["upper"] - rate).clip(lower=0).tolist(),
            "arrayminus": (rate - rows["lower"]).clip(lower=0).tolist(),
            "thickness": 1.2,
            "width": 3,
        },
        name=name,
        customdata=_facts(rows),
        hovertemplate="<b>%{customdata[0]}</b><br>"
        "%{customdata[1]:,} of %{customdata[2]:,} visits ended the journey: %{x:.1%}<br>"
        "95% interval %{customdata[3]:.1%} to %{customdata[4]:.1%}; "
        "expected %{customdata[5]:.1%}<br>"
        "%{customdata[6]:.2f} times as often as expected "
        "(%{customdata[7]:.2f} to %{customdata[8]:.2f})<br>"
        "%{customdata[9]:,} further visits are the latest of a journey still open<extra></extra>",
    )


def _facts(rows: pd.DataFrame) -> list[list[object]]:
    """What a reader sees when pointing at a bar, in the order that its text names them."""
    facts = rows.assign(
        name=rows["touchpoint"].map(plain), expected_rate=rows["expected"] / rows["n"]
    )
    columns = ["name", "ended", "n", "lower", "upper", "expected_rate",
               "lift", "lift_lower", "lift_upper", "open"]  # fmt: skip
    return facts[columns].astype(object).to_numpy().tolist()


def _split(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows that can be compared, and the touchpoints that always end a journey, such as a purchase.

    The latter would be most of what is seen, and say nothing about friction.
    """
    known = frame[frame["n"] > 0]
    always = (known["ended"] == known["n"]) & (known["n"] >= _SURE)
    if always.all():
        return known, []
    return known[~always], known.loc[always, "touchpoint"].map(plain).tolist()


def _subtitle(known: pd.DataFrame, rows: pd.DataFrame, always: list[str]) -> str:
    some = f"{len(rows)} of {len(known)} touchpoints; " if len(rows) < len(known) else ""
    text = (
        f"{some}{int(known['ended'].sum()):,} journeys ended at these; whiskers are 95% intervals"
    )
    if always:
        verb = "ends" if len(always) == 1 else "end"
        text += f"; {' and '.join(always)}, which always {verb} a journey, left out"
    return text


def _reading(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    text = (
        f"Journeys end most often after {plain(first['touchpoint'])}: in {first['ended']:,} of "
        f"{first['n']:,} visits ({first['dropoff_rate']:.1%})"
    )
    if pd.notna(first["lift"]):
        text += f", {first['lift']:.1f} times as often as expected at that point of a journey"
    worse = rows[(rows["lift_lower"] > 1) & (rows.index != rows.index[0])]
    if len(worse):
        names = ", ".join(plain(name) for name in worse["touchpoint"].head(3))
        text += f". More journeys than expected also end after {names}"
    return text + "."
