"""Charts of where journeys end: against what is expected, and after the same path."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import (
    blank,
    dress,
    legend_below,
    need_columns,
    one_group,
    plain,
    shorten,
)

__all__ = ["abandonment", "dropoff"]

_COLUMNS = (
    "touchpoint", "n", "ended", "open", "dropoff_rate", "lower", "upper", "expected",
    "lift", "lift_lower", "lift_upper",
)  # fmt: skip
_ABANDONMENT = (
    "touchpoint", "n", "ended", "dropoff_rate", "matched", "n_elsewhere", "matched_rate",
    "expected_rate", "difference", "lower", "upper", "excess", "path_difference",
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
    if not frame["ended"].any():
        return blank(heading, "No journey in this selection has ended.", theme=theme)
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


def abandonment(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Dots of how much more often journeys end at a touchpoint than elsewhere after the same path.

    Parameters
    ----------
    frame
        What ``cxlib.abandonment`` returns, for one group: one row per touchpoint.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        The touchpoint's part of the difference in points (endings per 100 visits) as a dot with
        its 95 % interval, red where it is surely above 0 and green where it is below; the path's
        part as a hollow diamond. Touchpoints that no visit elsewhere matches, and those that
        always end a journey, are left out.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "touchpoint": ["used_chatbot"], "n": [110], "ended": [35], "dropoff_rate": [0.318],
    ...     "matched": [100], "n_elsewhere": [300], "matched_rate": [0.3], "expected_rate": [0.12],
    ...     "difference": [0.18], "lower": [0.09], "upper": [0.27], "excess": [18.0],
    ...     "path_difference": [0.04]})
    >>> abandonment(frame).layout.meta["description"]
    'After the same path, most endings more than elsewhere are at used chatbot: 30.0% of 100 visits
    against 12.0% elsewhere (difference +18.0 points, 95% interval +9.0 to +27.0). The path to it
    accounts for +4.0 points.'
    """
    need_columns(frame, _ABANDONMENT, "abandonment")
    one_group(frame, ["touchpoint"], "a chart of abandonment")
    heading = title or "Is it the touchpoint, or the path to it?"
    known = _split(frame)[0]
    known = known[known["difference"].notna()]
    rows = known.head(top).reset_index(drop=True)
    if rows.empty:
        return blank(heading, "No visit here can be held against one elsewhere.", theme=theme)
    if not frame["ended"].any():
        return blank(heading, "No journey in this selection has ended.", theme=theme)
    figure = go.Figure([*_paths(rows), *_parts(rows)])
    figure.add_vline(x=0, line={"color": _SAME, "width": 1, "dash": "dot"})
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "more endings (points)", "nticks": 6},
        yaxis={"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
               "showgrid": False,
               "ticktext": [shorten(plain(name), 26) for name in rows["touchpoint"]]},
        legend=legend_below(len(rows), 30),
        margin={"b": 132},
    )  # fmt: skip
    some = f"{len(rows)} of {len(known)} touchpoints; " if len(rows) < len(known) else ""
    return dress(
        figure,
        title=heading,
        subtitle=f"{some}whiskers are 95% intervals",
        description=_abandonment_reading(rows),
        height=216 + 30 * max(len(rows), 3),
        theme=theme,
        min_width=330,
    )


def _paths(rows: pd.DataFrame) -> list[go.Scatter]:
    known = rows[rows["path_difference"].notna()]
    if known.empty:
        return []
    return [
        go.Scatter(
            x=(known["path_difference"] * 100).tolist(),
            y=known.index.tolist(),
            mode="markers",
            marker={"color": _SAME, "size": 10, "symbol": "diamond-open", "line": {"width": 2}},
            name="path to it",
            customdata=[[plain(name)] for name in known["touchpoint"]],
            hovertemplate="<b>%{customdata[0]}</b>: the path to it<br>%{x:+.1f} points"
            "<extra></extra>",
        )
    ]


def _parts(rows: pd.DataFrame) -> list[go.Scatter]:
    """The touchpoint's part, one trace per kind, so that the legend says what colours mean."""
    more, less = rows["lower"] > 0, rows["upper"] < 0
    kinds = (
        (more, _MORE, "circle", "touchpoint: more"),
        (less, _LESS, "circle", "touchpoint: fewer"),
        (~more & ~less, "#0072b2", "square", "touchpoint: may be chance"),
    )
    return [
        _part(rows[kind], colour, symbol, name)
        for kind, colour, symbol, name in kinds
        if kind.any()
    ]


def _part(rows: pd.DataFrame, colour: str, symbol: str, name: str) -> go.Scatter:
    difference, lower, upper = (100 * rows[end] for end in ("difference", "lower", "upper"))
    facts = rows.assign(name=rows["touchpoint"].map(plain), low=lower, high=upper)
    columns = ["name", "matched_rate", "matched", "expected_rate", "n_elsewhere", "low", "high",
               "n", "excess"]  # fmt: skip
    return go.Scatter(
        x=difference.tolist(),
        y=rows.index.tolist(),
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": symbol},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (upper - difference).clip(lower=0).fillna(0).tolist(),
            "arrayminus": (difference - lower).clip(lower=0).fillna(0).tolist(),
            "color": colour,
            "thickness": 1.6,
            "width": 4,
        },
        name=name,
        customdata=facts[columns].astype(object).to_numpy().tolist(),
        hovertemplate="<b>%{customdata[0]}</b><br>"
        "%{customdata[1]:.1%} of %{customdata[2]:,} visits ended the journey "
        "(of %{customdata[7]:,} in all)<br>"
        "elsewhere after the same path %{customdata[3]:.1%} (n %{customdata[4]:,})<br>"
        "%{x:+.1f} points (95% interval %{customdata[5]:+.1f} to %{customdata[6]:+.1f}): "
        "%{customdata[8]:+,.0f} endings<extra></extra>",
    )


def _abandonment_reading(rows: pd.DataFrame) -> str:
    first = rows.loc[rows["excess"].idxmax()]
    if first["excess"] <= 0:
        return (
            f"After the same path, none of {len(rows)} touchpoints has more endings than elsewhere."
        )
    text = (
        "After the same path, most endings more than elsewhere are at "
        f"{plain(first['touchpoint'])}: {first['matched_rate']:.1%} of {first['matched']:,} visits "
        f"against {first['expected_rate']:.1%} elsewhere (difference "
        f"{100 * first['difference']:+.1f} points, 95% interval {100 * first['lower']:+.1f} to "
        f"{100 * first['upper']:+.1f})."
    )
    if pd.isna(first["path_difference"]):
        return text
    return f"{text} The path to it accounts for {100 * first['path_difference']:+.1f} points."


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
    if not rows["ended"].any():
        return "No journey ended after any of these touchpoints."
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
