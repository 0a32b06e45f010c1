"""Survival curves with the number at risk."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import TOP, blank, dress, need_columns, plain, shorten
from cxlib.plot.template import GROUP_COLOURS, GROUP_DASHES, GROUP_KEYS, translucent

__all__ = ["survival"]

_COLUMNS = ("at_risk", "survival", "lower", "upper")
_KNOWN = {*_COLUMNS, "events", "censored", "standard_error"}
_MOST = 8  # groups; more cannot be told apart
_CURVES, _TICKS, _ROW, _BOTTOM = 300, 52, 19, 14  # pixels
_THIN = 10  # customers at risk below which a curve is dotted


def survival(
    curves: pd.DataFrame,
    *,
    title: str | None = None,
    event: str | None = None,
    colours: Mapping[str, str] | None = None,
    theme: str = "light",
) -> go.Figure:
    """Survival curves with their 95 % bands, medians, and the number at risk below.

    Parameters
    ----------
    curves
        What ``cxlib.survival_curves`` returns: one row per time (and group), with
        ``duration_<unit>, at_risk, survival, lower, upper``. At most one further column names
        the group.
    title
        In place of the title that says what is shown.
    event
        What ends a spell, such as a touchpoint: "cancelled_subscription". Without it the texts
        speak of the end.
    colours
        Colour per group.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Lines are dotted from where fewer than 10 customers are at risk.
        ``layout.meta["description"]`` reads the medians in plain language.

    Raises
    ------
    CxError
        When a column is missing, there is no ``duration_<unit>``, or the frame has more than
        one column of groups.

    Examples
    --------
    >>> curves = pd.DataFrame({
    ...     "duration_days": [0, 30, 60], "at_risk": [40, 40, 20], "events": [0, 20, 10],
    ...     "censored": [0, 0, 10], "survival": [1.0, 0.5, 0.25],
    ...     "lower": [1.0, 0.35, 0.12], "upper": [1.0, 0.63, 0.4]})
    >>> survival(curves).layout.meta["description"]
    'Share of 40 customers who have not reached the end, by days. Half had reached it by day 30.'
    >>> survival(curves, event="placed_order").layout.title.text
    'How long until customers reach “placed order”'
    """
    need_columns(curves, _COLUMNS, "survival")
    time, unit = _time(curves)
    by = _group(curves, time)
    end = f"“{plain(event)}”" if event else "the end"
    heading = title or f"How long until customers reach {end}{f', by {plain(by)}' if by else ''}"
    if curves.empty:
        return blank(heading, "No customers in this selection.", theme=theme)
    groups = _split(curves, by, time)
    shown = dict(list(groups.items())[:_MOST])
    paint = _paint(shown, colours or {})
    turns = _turns(shown)
    figure = go.Figure()
    ticks = _ticks(max(rows[time].max() for rows in shown.values()), unit)
    # All bands, then all lines: a band over a line would take its colour.
    for group, rows in shown.items():
        _draw_band(figure, rows, time, paint[group], 0.18 if len(shown) < 4 else 0.1)
    for group, rows in shown.items():
        _draw_line(figure, rows, time, unit, group, paint[group], GROUP_DASHES[turns[group]])
    _draw_medians(figure, shown, time, paint)
    _draw_at_risk(figure, shown, time, ticks, paint)
    _lay_out(figure, shown, time, ticks, end)
    customers = sum(_size(rows) for rows in shown.values())
    reading = _reading(shown, time, unit)
    subtitle = f"{customers:,} customers; bands are 95% intervals; dots mark medians"
    if len(groups) > _MOST:
        subtitle += f"; the {_MOST} largest of {len(groups)} groups"
    return dress(
        figure,
        title=heading,
        subtitle=subtitle,
        description=f"Share of {customers:,} customers who have not reached {end}, by {unit}. "
        f"{reading}",
        reading=reading,
        height=TOP + _CURVES + _TICKS + _ROW * (len(shown) + 1) + _BOTTOM,
        theme=theme,
        min_width=330,
    )


def _time(curves: pd.DataFrame) -> tuple[str, str]:
    found = [str(column) for column in curves.columns if str(column).startswith("duration_")]
    if len(found) != 1:
        raise CxError(
            "the frame given to plot.survival needs one column duration_<unit>, "
            f"for example duration_days; it has {found or 'none'}"
        )
    return found[0], found[0].removeprefix("duration_")


def _group(curves: pd.DataFrame, time: str) -> str | None:
    extra = [str(column) for column in curves.columns if column not in _KNOWN | {time}]
    if len(extra) > 1:
        raise CxError(
            f"the frame given to plot.survival has {len(extra)} columns beside the curves "
            f"({', '.join(map(repr, extra))}); keep the one that names the group"
        )
    return extra[0] if extra else None


def _split(curves: pd.DataFrame, by: str | None, time: str) -> dict[str, pd.DataFrame]:
    """Rows per group in order of time, the largest group first."""
    if by is None:
        return {"all": curves.sort_values(time)}
    parts = {
        "not known" if pd.isna(group) else str(group): rows.sort_values(time)
        for group, rows in curves.groupby(by, observed=True, dropna=False)
    }
    return dict(sorted(parts.items(), key=lambda item: (-_size(item[1]), item[0])))


def _size(rows: pd.DataFrame) -> int:
    """Customers of a curve; with late entry they are more than were ever at risk at once."""
    seen = sum(int(rows[name].sum()) for name in ("events", "censored") if name in rows)
    return max(int(rows["at_risk"].max()), seen)


def _paint(groups: Mapping[str, object], colours: Mapping[str, str]) -> dict[str, str]:
    """By alphabet and not by size: a filter changes the sizes, and should not swap colours."""
    return {
        group: colours.get(group) or GROUP_COLOURS[at % len(GROUP_COLOURS)]
        for at, group in enumerate(sorted(groups))
    }


def _turns(groups: Iterable[str]) -> dict[str, int]:
    """How often the colours were used up before a group: what its dashes tell."""
    return {
        group: at // len(GROUP_COLOURS) % len(GROUP_DASHES)
        for at, group in enumerate(sorted(groups))
    }


def _ticks(end: float, unit: str) -> list[float]:
    """At most seven round times from 0 to the end; days in weeks, months and years."""
    steps = (1, 2, 5, 7, 14, 30, 60, 90, 120, 180, 360) if unit == "days" else ()
    tens = [digit * 10.0**power for power in range(-2, 9) for digit in (1, 2, 5)]
    rounds = [*steps, *(ten for ten in tens if not steps or ten > 360)]
    step = next(step for step in rounds if end / step < 7)
    return [step * at for at in range(int(end / step) + 1)]


def _draw_band(
    figure: go.Figure, rows: pd.DataFrame, time: str, colour: str, opacity: float
) -> None:
    band = {"x": rows[time].tolist(), "mode": "lines", "line": {"width": 0, "shape": "hv"},
            "hoverinfo": "skip"}  # fmt: skip
    # Where the curve is 0 it has no interval (NaN), and a gap would tear the band.
    upper, lower = (rows[name].fillna(rows["survival"]).tolist() for name in ("upper", "lower"))
    figure.add_scatter(y=upper, **band)
    figure.add_scatter(y=lower, fill="tonexty", fillcolor=translucent(colour, opacity), **band)


def _draw_line(
    figure: go.Figure, rows: pd.DataFrame, time: str, unit: str, group: str, colour: str, dash: str
) -> None:
    sure = rows["at_risk"] >= _THIN
    # The dotted tail begins at the last sure point, so that the line has no gap.
    tail = rows[~sure | ~sure.shift(-1, fill_value=True)] if not sure.all() else rows.iloc[:0]
    for part, line, width in ((rows[sure], dash, 2.2), (tail, "dot", 1.4)):
        if len(part) == 0:
            continue
        figure.add_scatter(
            x=part[time].tolist(), y=part["survival"].tolist(), mode="lines",
            line={"color": colour, "width": width, "shape": "hv", "dash": line},
            name=shorten(plain(group), 30),
            customdata=part[["at_risk", "lower", "upper"]].to_numpy().tolist(),
            hovertemplate=f"<b>{plain(group)}</b>, {unit} %{{x:,.4~g}}<br>"
            "%{y:.1%} have not reached it "
            "(95% interval %{customdata[1]:.1%} to %{customdata[2]:.1%})<br>"
            "%{customdata[0]:,} customers at risk<extra></extra>",
        )  # fmt: skip


def _median(rows: pd.DataFrame, time: str) -> float | None:
    """First time at which half or fewer remain."""
    half = rows.loc[rows["survival"] <= 0.5, time]
    return float(half.iloc[0]) if len(half) else None


def _draw_medians(
    figure: go.Figure, groups: Mapping[str, pd.DataFrame], time: str, paint: Mapping[str, str]
) -> None:
    for group, rows in groups.items():
        median = _median(rows, time)
        if median is None:
            continue
        figure.add_scatter(
            x=[median, median], y=[0.5, 0], mode="lines+markers",
            line={"color": paint[group], "width": 1, "dash": "dot"},
            marker={"size": [9, 0], "color": paint[group], "opacity": 1},
            hovertemplate=f"<b>{plain(group)}</b>: half had reached it by %{{x:,.4~g}}"
            "<extra></extra>",
        )  # fmt: skip


def _at_risk(rows: pd.DataFrame, time: str, tick: float) -> int:
    """Customers at risk at a time: those of the first row not before it, 0 after the last."""
    later = rows.loc[rows[time] >= tick, "at_risk"]
    return int(later.iloc[0]) if len(later) else 0


def _draw_at_risk(
    figure: go.Figure,
    groups: Mapping[str, pd.DataFrame],
    time: str,
    ticks: Sequence[float],
    paint: Mapping[str, str],
) -> None:
    for place, rows in enumerate(groups.values()):
        numbers = [_at_risk(rows, time, tick) for tick in ticks]
        figure.add_scatter(
            x=list(ticks), y=[place] * len(ticks), yaxis="y2", mode="text",
            text=[f"{number:,}" for number in numbers], hoverinfo="skip", cliponaxis=False,
            textfont={"size": 11},
        )  # fmt: skip
    alone, turns = list(groups) == ["all"], _turns(groups)
    figure.update_layout(
        yaxis2={
            "tickvals": list(range(len(groups))),
            "ticktext": [
                f'<span style="color:{paint[group]}">{GROUP_KEYS[turns[group]]}</span> '
                f"{'' if alone else shorten(plain(group), 18)}"
                for group in groups
            ],
            "range": [len(groups) - 0.5, -0.5],
            "showgrid": False,
            "fixedrange": True,
            "anchor": "x",
            "ticklabelstandoff": 14,  # the number at time 0 reaches to the left of the axis
        }
    )


def _lay_out(
    figure: go.Figure,
    groups: Mapping[str, pd.DataFrame],
    time: str,
    ticks: Sequence[float],
    event: str,
) -> None:
    last = max(rows[time].max() for rows in groups.values()) or 1.0
    table = _ROW * len(groups)
    whole = _CURVES + _TICKS + _ROW + table
    figure.update_layout(
        margin={"l": 16, "r": 24, "b": _BOTTOM},
        hovermode="closest",
        xaxis={"tickvals": list(ticks), "title": time.removeprefix("duration_"), "anchor": "y",
               "range": [-0.02 * last, 1.02 * last], "showline": True, "tickformat": ",.4~g",
               "title_standoff": 4},
        yaxis={"domain": [1 - _CURVES / whole, 1], "range": [0, 1.02], "tickformat": ".0%",
               "title": f"have not reached {shorten(event, 26)} (%)"},
showlegend=False,  # the rows of the number at risk are the key
    )  # fmt: skip
    figure.layout.yaxis2.domain = [0, table / whole]
    figure.add_annotation(
        text="Number at risk", x=0, xref="paper", xanchor="left", showarrow=False,
        y=table / whole, yref="paper", yanchor="bottom", font_size=11,
    )  # fmt: skip


def _reading(groups: Mapping[str, pd.DataFrame], time: str, unit: str) -> str:
    """Medians in plain language."""
    single = unit.removesuffix("s")
    alone = list(groups) == ["all"]
    halves, rest = [], []
    for group, rows in groups.items():
        median = _median(rows, time)
        if median is not None:
            halves.append(f"{single} {median:,.4g}{'' if alone else f' ({plain(group)})'}")
        else:
            left, end = rows["survival"].iloc[-1], rows[time].max()
            who = "" if alone else f" of {plain(group)}"
            rest.append(f"{left:.0%}{who} had not reached it by {single} {end:,.4g}, the last seen")
    readings = [f"Half had reached it by {', '.join(halves)}"] if halves else []
    readings += rest
    return "; ".join(readings) + "."
