"""Charts of funnels: how far they get, and how long it takes."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import TOP, blank, dress, group_names, need_columns, plain, shorten
from cxlib.plot.template import GROUP_COLOURS, GROUP_DASHES

__all__ = ["conversion_times", "funnel"]

_COLUMNS = (
    "step", "touchpoint", "entering", "reached", "dropped", "open", "n", "entry_conversion_rate",
    "entry_lower", "entry_upper", "step_conversion_rate", "lower", "upper", "median_step_hours",
)  # fmt: skip
_TIMES = ("from_hours", "to_hours", "reached", "share", "cumulative_share", "n", "mean_hours")
_UNITS = {"days": 24.0, "hours": 1.0, "minutes": 1 / 60, "seconds": 1 / 3600}
_PLOT = 300
_FEW = 10  # conversions below which a curve is dotted
_REACHED, _OPEN = "#0072b2", "#98a2ae"


def funnel(frame: pd.DataFrame, *, title: str | None = None, theme: str = "light") -> go.Figure:
    """Bars of how many of those who entered get to each step, with those still on the way apart.

    Parameters
    ----------
    frame
        What ``cxlib.funnel`` returns, for one group and one period: one row per step.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        One row per step: how many reached it, as a share of those who entered, and the share of
        the step before in words. Grey is who stands before the step with the window still open.
        The dot is the rate with its 95 % interval: where windows are open, it is an estimate and
        lies beyond the bar.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "step": [1, 2], "touchpoint": ["signed_up", "paid_invoice"], "entering": [120, 100],
    ...     "reached": [100, 40], "dropped": [20, 60], "open": [0, 0], "n": [120, 100],
    ...     "entry_conversion_rate": [1.0, 0.4], "entry_lower": [0.96, 0.31],
    ...     "entry_upper": [1.0, 0.5], "step_conversion_rate": [0.83, 0.4],
    ...     "lower": [0.76, 0.31], "upper": [0.89, 0.5], "median_step_hours": [None, 30.0]})
    >>> funnel(frame).layout.meta["description"]
    'Funnel from signed up to paid invoice: 40 of 100 who entered got to the end (40.0%, 95%
    interval 31.0% to 50.0%). The largest loss is before paid invoice, where 60 dropped out.'
    """
    need_columns(frame, _COLUMNS, "funnel")
    if frame["step"].duplicated().any():
        raise CxError(
            "the frame holds several groups, and a funnel chart shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "How far they get"
    rows = frame.sort_values("step", ignore_index=True)
    if rows.empty or not (entered := int(rows["reached"].iloc[0])):
        return blank(heading, "Nobody entered this funnel in this selection.", theme=theme)
    figure = go.Figure([_reached(rows, entered), *_open(rows, entered), _rates(rows, theme)])
    for place, row in rows.iterrows():
        figure.add_annotation(
            x=0, y=place, yshift=23, xanchor="left", yanchor="middle", align="left",
            showarrow=False, text=_label(row, entered), font_size=12,
        )  # fmt: skip
    figure.update_layout(
        barmode="stack",
        bargap=0.58,
        hovermode="closest",
        xaxis={"title": "of those who entered (%)", "tickformat": ".0%", "range": [0, 1.03],
               "nticks": 6},
        yaxis={"autorange": False, "range": [len(rows) - 0.55, -0.75], "visible": False},
        legend={"orientation": "h", "x": 0, "y": -64 / (58 * len(rows)), "yanchor": "top",
                "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        margin={"b": 112},
    )  # fmt: skip
    reading = _reading(rows, entered)
    first, last = (plain(rows["touchpoint"].iloc[at]) for at in (0, -1))
    return dress(
        figure,
        title=heading,
        subtitle=_subtitle(rows, entered),
        description=f"Funnel from {first} to {last}: {reading}",
        reading=reading[:1].upper() + reading[1:],
        height=84 + 112 + 58 * len(rows),
        theme=theme,
    )


def conversion_times(
    frame: pd.DataFrame, *, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Curves of the share that had got there by each time, of those who did.

    Parameters
    ----------
    frame
        What ``cxlib.conversion_times`` returns: one row per bin, and group if there are several.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        A line per group through the ends of the bins, the largest six groups; dotted where fewer
        than 10 got there. Those who did not get there are in none of them.

    Raises
    ------
    CxError
        When a column is missing, or two rows have the same group and bin.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_hours": [1.0, 2.0], "to_hours": [2.0, 3.0], "reached": [30, 10],
    ...     "share": [0.75, 0.25], "cumulative_share": [0.75, 1.0], "n": [40, 40],
    ...     "mean_hours": [1.6, 1.6]})
    >>> conversion_times(frame).layout.meta["description"]
    'How long those took who got there. 40: half took less than 2.0 hours, nine in ten less than 3.0
    hours.'
    """
    need_columns(frame, _TIMES, "conversion_times")
    heading = title or "How long it took to get there"
    known = frame[frame["n"] > 0]
    if known.empty:
        return blank(heading, "Nobody got there in this selection.", theme=theme)
    rows = known.assign(_name=group_names(known, _TIMES))
    if rows.duplicated(["_name", "from_hours"]).any():
        raise CxError(
            "two rows of the frame have the same group and bin; "
            "name the groups in a column of their own"
        )
    sizes = rows.groupby("_name")["n"].first().sort_values(ascending=False, kind="stable")
    shown = sizes.head(len(GROUP_COLOURS)).index.tolist()
    unit = next(
        (name for name, hours in _UNITS.items() if rows["to_hours"].max() > 3 * hours), "seconds"
    )
    parts = {name: rows[rows["_name"] == name].sort_values("from_hours") for name in shown}
    # By alphabet and not by size: a filter changes the sizes, and should not swap colours.
    turn = {name: at for at, name in enumerate(sorted(shown))}
    figure = go.Figure([_took(part, name, turn[name], unit) for name, part in parts.items()])
    figure.add_hline(y=0.5, line={"color": _OPEN, "width": 1, "dash": "dot"})
    below = 22 * len(shown) if len(shown) > 1 else 0
    figure.update_layout(
        hovermode="closest",
        showlegend=len(shown) > 1,
        xaxis={"title": f"{unit} taken", "showline": True, "nticks": 7, "tickformat": ",.4~g"},
        yaxis={"title": "had got there (%)", "tickformat": ".0%", "range": [0, 1.03]},
        legend={"x": 0, "y": -56 / _PLOT, "yanchor": "top", "itemclick": False,
                "itemdoubleclick": False, "traceorder": "normal"},
        margin={"b": 62 + below, "r": 24},
    )  # fmt: skip
    some = f"; the {len(shown)} largest of {len(sizes)} groups" if len(sizes) > len(shown) else ""
    return dress(
        figure,
        title=heading,
        subtitle=f"{int(sizes[shown].sum()):,} who got there; the others are not in it{some}",
        description="How long those took who got there. "
        + " ".join(_times_reading(name, part) for name, part in parts.items()),
        height=TOP + _PLOT + 62 + below,
        theme=theme,
        min_width=330,
    )


def _took(part: pd.DataFrame, name: str, turn: int, unit: str) -> go.Scatter:
    hours, n = _UNITS[unit], int(part["n"].iloc[0])
    facts = [[0, 0.0], *part[["reached", "share"]].to_numpy().tolist()]
    who = f"{shorten(name, 28)} (n {n:,})" if name else f"n {n:,}"
    return go.Scatter(
        x=[part["from_hours"].iloc[0] / hours, *(part["to_hours"] / hours)],
        y=[0.0, *part["cumulative_share"]],
        mode="lines+markers",
        line={
            "color": GROUP_COLOURS[turn],
            "width": 2.2 if n >= _FEW else 1.4,
            "dash": GROUP_DASHES[turn % 2] if n >= _FEW else "dot",
        },
        marker={"size": 4},
        name=who,
        customdata=facts,
        hovertemplate=f"<b>{who}</b><br>%{{y:.1%}} took less than %{{x:,.3~g}} {unit}<br>"
        "%{customdata[0]:,.0f} (%{customdata[1]:.1%}) in the bin that ends here<extra></extra>",
    )


def _times_reading(name: str, part: pd.DataFrame) -> str:
    half, most = (
        part.loc[part["cumulative_share"] >= share - 1e-9, "to_hours"].iloc[0]
        for share in (0.5, 0.9)
    )
    who = (
        f"{name[:1].upper()}{name[1:]} ({part['n'].iloc[0]:,})"
        if name
        else f"{part['n'].iloc[0]:,}"
    )
    return f"{who}: half took less than {_span(half)}, nine in ten less than {_span(most)}."


def _reached(rows: pd.DataFrame, entered: int) -> go.Bar:
    return go.Bar(
        y=list(range(len(rows))),
        x=(rows["reached"] / entered).tolist(),
        orientation="h",
        marker={"color": _REACHED, "line": {"width": 0}},
        name="reached",
        customdata=_facts(rows),
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]:,} reached it<br>"
        "%{customdata[2]:,} dropped out before it, %{customdata[3]:,} are still on the way<br>"
        "%{customdata[4]} of the step before (95% interval %{customdata[5]}), n %{customdata[6]:,}"
        "<br>%{customdata[7]}<extra></extra>",
    )


def _open(rows: pd.DataFrame, entered: int) -> list[go.Bar]:
    if not rows["open"].any():
        return []
    return [
        go.Bar(
            y=list(range(len(rows))),
            x=(rows["open"] / entered).tolist(),
            orientation="h",
            marker={"color": _OPEN, "line": {"width": 0}},
            name="still on the way",
            customdata=[[int(n)] for n in rows["open"]],
            hovertemplate="%{customdata[0]:,} still on the way: the window goes on<extra></extra>",
        )
    ]


def _rates(rows: pd.DataFrame, theme: str) -> go.Scatter:
    """The rate of those who entered, which is not the bar where windows are open."""
    shown = rows[(rows.index > 0) & rows["entry_lower"].notna()]
    rate = shown["entry_conversion_rate"]
    return go.Scatter(
        x=rate.tolist(),
        y=shown.index.tolist(),
        mode="markers",
        marker={"color": "#e69f00", "size": 8, "line": {"color": "#1f2733", "width": 1}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (shown["entry_upper"] - rate).clip(lower=0).tolist(),
            "arrayminus": (rate - shown["entry_lower"]).clip(lower=0).tolist(),
            "thickness": 1.6,
            "color": "#7a4a00" if theme == "light" else "#ffe2a3",
            "width": 4,
        },
        name="rate with 95% interval",
        hovertemplate="%{x:.1%} of those who entered<extra></extra>",
    )


def _label(row: pd.Series, entered: int) -> str:
    name = f"<b>{shorten(plain(row['touchpoint']), 24)}</b>"
    if row["step"] == 1:
        return f"{name}  {row['reached']:,} entered"
    text = f"{name}  {row['reached']:,}"
    if pd.notna(row["entry_conversion_rate"]):
        text += f" · {row['entry_conversion_rate']:.0%}"
    if row["step"] > 2 and pd.notna(row["step_conversion_rate"]):
        text += f" · {row['step_conversion_rate']:.0%} of previous"
    return text


def _facts(rows: pd.DataFrame) -> list[list[object]]:
    """What a reader sees when pointing at a bar, in the order that its text names them."""
    facts = rows.assign(
        name=rows["touchpoint"].map(plain),
        rate=[_share(value) for value in rows["step_conversion_rate"]],
        interval=[
            f"{_share(low)} to {_share(high)}" if pd.notna(low) else "not known"
            for low, high in zip(rows["lower"], rows["upper"], strict=True)
        ],
        wait=[f"half within {_span(h)}" if pd.notna(h) else "" for h in rows["median_step_hours"]],
    )
    columns = ["name", "reached", "dropped", "open", "rate", "interval", "n", "wait"]
    return facts[columns].astype(object).to_numpy().tolist()


def _share(value: float) -> str:
    return f"{value:.1%}" if pd.notna(value) else "share not known"


def _span(hours: float) -> str:
    return f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:,.1f} hours"


def _subtitle(rows: pd.DataFrame, entered: int) -> str:
    text = f"{entered:,} entered"
    waiting = int(rows["open"].sum())
    return text + (f"; {waiting:,} still on the way" if waiting else "")


def _reading(rows: pd.DataFrame, entered: int) -> str:
    last = rows.iloc[-1]
    text = f"{last['reached']:,} of {entered:,} who entered got to the end"
    if pd.notna(last["entry_lower"]):
        text += (
            f" ({last['entry_conversion_rate']:.1%}, 95% interval "
            f"{last['entry_lower']:.1%} to {last['entry_upper']:.1%})"
        )
    losses = rows.iloc[1:]
    worst = losses.loc[losses["dropped"].idxmax()]
    if worst["dropped"]:
        text += (
            f". The largest loss is before {plain(worst['touchpoint'])}, "
            f"where {worst['dropped']:,} dropped out"
        )
    if waiting := int(rows["open"].sum()):
        text += f"; {waiting:,} are still on the way"
    return text + "."
