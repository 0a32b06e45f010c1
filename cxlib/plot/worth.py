"""The chart of customer value: how much of it lies with how many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxlib.plot.canvas import blank, dress, need_columns

__all__ = ["value"]

_COLUMNS = ("value", "lower", "upper", "expected_purchases", "probability_alive")
_BAR = "#0072b2"
_SMALLEST = 10  # customers of a bar: fewer would tell of persons
_PLOT = 320


def value(
    frame: pd.DataFrame, *, title: str | None = None, currency: str = "", theme: str = "light"
) -> go.Figure:
    """Mean value of a customer, by tenths of the customers from the most to the least valuable.

    Parameters
    ----------
    frame
        What ``cxlib.customer_value`` returns: one row per customer.
    title
        In place of the title that says what is shown.
    currency
        Put after amounts, such as "USD".
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Bars with the mean of the customers' 95 % intervals, and the share of all value below each.
        With fewer than 100 customers there are fewer bars, none with fewer than 10.

    Raises
    ------
    CxError
        When a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"value": [30.0] * 10 + [10.0] * 10})
    >>> frame = frame.assign(lower=frame.value - 5, upper=frame.value + 5,
    ...                      expected_purchases=1.0, probability_alive=0.8)
    >>> value(frame, currency="USD").layout.meta["description"]
    'Expected value of 20 customers, 400 USD in all, from the most to the least valuable. The first
    of 2 equal groups holds 75%: 30.00 USD each on average; the last 25%, 10.00 USD each.'
    """
    need_columns(frame, _COLUMNS, "value")
    heading = title or "Where customer value lies"
    if len(frame) < _SMALLEST:
        sentence = f"Fewer than {_SMALLEST} customers in this selection: too few to show."
        return blank(heading, sentence, theme=theme)
    groups, money = _groups(frame), f" {currency}" if currency else ""
    figure = go.Figure(_bars(groups, money))
    figure.update_layout(
        hovermode="closest",
        bargap=0.25,
        xaxis={"title": "customers, from the most to the least valuable",
               "tickvals": groups.index.tolist(), "ticktext": groups["name"].tolist(),
               "tickangle": 0},
        yaxis={"title": f"mean value{f' ({currency})' if currency else ''}", "tickformat": ",~g",
               "rangemode": "tozero", "nticks": 7},
        showlegend=False,
        margin={"b": 72, "r": 24},
    )  # fmt: skip
    total = groups["total"].sum()
    return dress(
        figure,
        title=heading,
        subtitle=f"{len(frame):,} customers, {total:,.0f}{money} in all; below each bar its share",
        description=f"Expected value of {len(frame):,} customers, {total:,.0f}{money} in all, from "
        f"the most to the least valuable. {_reading(groups, money)}",
        height=84 + _PLOT + 72,
        theme=theme,
        min_width=330,
    )


def _groups(frame: pd.DataFrame) -> pd.DataFrame:
    """Equal groups of customers in order of value."""
    rows = frame.sort_values("value", ascending=False, kind="stable")
    number = min(10, len(rows) // _SMALLEST)
    group = np.arange(len(rows)) * number // len(rows)
    found = rows.groupby(group).agg(
        n=("value", "size"),
        total=("value", "sum"),
        mean=("value", "mean"),
        lower=("lower", "mean"),
        upper=("upper", "mean"),
        purchases=("expected_purchases", "mean"),
        alive=("probability_alive", "mean"),
    )
    whole = found["total"].sum()
    found["share"] = found["total"] / whole if whole > 0 else 0.0
    found["name"] = [
        f"{_ordinal(at + 1)}<br>{share:.0%}" for at, share in enumerate(found["share"])
    ]
    return found


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"


def _bars(groups: pd.DataFrame, money: str) -> go.Bar:
    mean = groups["mean"]
    facts = ["lower", "upper", "share", "n", "purchases", "alive"]
    return go.Bar(
        x=groups.index.tolist(),
        y=mean.tolist(),
        marker={"color": _BAR, "line": {"width": 0}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (groups["upper"] - mean).clip(lower=0).tolist(),
            "arrayminus": (mean - groups["lower"]).clip(lower=0).tolist(),
            "thickness": 1.2,
            "width": 3,
        },
        customdata=groups[facts].to_numpy().tolist(),
        hovertemplate="<b>%{customdata[3]:,} customers</b><br>"
        f"%{{y:,.2f}}{money} each on average "
        "(95% interval %{customdata[0]:,.2f} to %{customdata[1]:,.2f})<br>"
        "%{customdata[2]:.1%} of all value<br>%{customdata[4]:.2f} purchases expected; "
        "probability to be active %{customdata[5]:.0%}<extra></extra>",
    )


def _reading(groups: pd.DataFrame, money: str) -> str:
    first, last = groups.iloc[0], groups.iloc[-1]
    if len(groups) == 1:
        return f"{first['mean']:,.2f}{money} each on average."
    return (
        f"The first of {len(groups)} equal groups holds {first['share']:.0%}: "
        f"{first['mean']:,.2f}{money} each on average; the last {last['share']:.0%}, "
        f"{last['mean']:,.2f}{money} each."
    )
