"""The chart of one customer: what happened, where, and how it was felt."""

from textwrap import wrap
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from pandas.api.types import is_numeric_dtype

from cxlib.errors import CxError, unknown_name
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten
from cxlib.plot.template import translucent

__all__ = ["timeline"]

_TIMELINE = ("customer_id", "journey_id", "occurred_at", "touchpoint", "sentiment")
_LANES = ("channel", "department", "stage", "touchpoint")
# From bad to good on either ground: vermilion, grey and blue are told apart by every eye.
_FEELING = [[0, "#d55e00"], [0.5, "#98a2ae"], [1, "#0072b2"]]
_NARROW = 250  # pixels that a phone leaves for the plot
_LETTER = 6.4  # pixels of a letter of a label


def timeline(
    frame: pd.DataFrame,
    *,
    lanes: str | None = None,
    time: str = "occurred_at",
    title: str | None = None,
    theme: str = "light",
) -> go.Figure:
    """What one customer went through, on lanes, coloured by how it was felt.

    Parameters
    ----------
    frame
        What ``cxlib.customer_timeline`` returns: one row per event.
    lanes
        Column that gives each event its lane, such as "channel", "department" or "stage"; the first
        of these that the events have, and else "touchpoint".
    time
        "occurred_at": the calendar. "order": one event after the other, evenly, so that events
        close together stand apart.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Each dot is an event: blue where the customer was content, red where not, hollow where no
        score is known. Lines join the events of a journey. As many touchpoints are named as fit;
        the others say their name when pointed at.

    Raises
    ------
    CxError
        When a column is missing, a choice is unknown, or the frame holds several customers.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "customer_id": ["a", "a"], "journey_id": ["a", "a"], "channel": ["web", "phone"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01", "2024-01-03"]),
    ...     "touchpoint": ["viewed_help", "called_support"], "sentiment": [None, -0.5]})
    >>> timeline(frame).layout.meta["description"]
    'Customer a: 2 events in 1 journey, 2024-01-01 to 2024-01-03, from viewed help to called
    support. The lowest sentiment was -0.50, at called support on 2024-01-03.'
    """
    need_columns(frame, _TIMELINE, "timeline")
    if lanes is not None:
        need_columns(frame, [lanes], "timeline")
    if time not in ("occurred_at", "order"):
        raise unknown_name("time", time, ["occurred_at", "order"])
    heading = title or "What one customer went through"
    if frame.empty:
        return blank(heading, "No events in this selection.", theme=theme)
    if (customers := len(frame["customer_id"].unique())) > 1:
        raise CxError(
            f"the frame holds {customers:,} customers, and a timeline shows one; keep one before "
            "plotting, or use plot.dotted"
        )
    frame = frame.reset_index(drop=True)
    lanes = lanes or next(
        name for name in _LANES if name in frame and (name == "touchpoint" or _known(frame[name]))
    )
    lane = frame[lanes].astype(object).where(frame[lanes].notna(), "(none)").map(plain)
    names = list(dict.fromkeys(lane))
    place = lane.map({name: number for number, name in enumerate(names)})
    scored = frame["sentiment"].notna()
    across = frame["occurred_at"] if time == "occurred_at" else pd.Series(range(1, len(frame) + 1))
    traces = [_threads(frame, across, place)]
    for part, has_score in ((~scored, False), (scored, True)):
        if part.any():
            traces.append(_dots(frame[part], across[part], place[part], lanes, has_score))
    figure = go.Figure([*traces, _labels(frame, across, place)])
    figure.update_layout(
        xaxis={"range": _margins(across), "nticks": 4, "tickangle": 0} | _order_title(time),
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": [_two_lines(name) for name in names],
            "range": [len(names) - 0.5, -0.75],
        },
        showlegend=False,
        hovermode="closest",
        margin={"b": 100 if scored.any() else 60},
    )
    return dress(
        figure,
        title=heading,
        subtitle=f"{_span(frame)}, by {plain(lanes)}"
        + ("; hollow: no score" if scored.any() and not scored.all() else ""),
        description=_timeline_reading(frame),
        height=160 + 46 * max(len(names), 2) + (40 if scored.any() else 0),
        theme=theme,
    )


def _two_lines(name: str, letters: int = 16) -> str:
    """Name of a lane, which has room for two lines: half of a name may be that of another."""
    lines = wrap(name, letters) or [""]
    return "<br>".join([lines[0], shorten(" ".join(lines[1:]), letters)] if lines[1:] else lines)


def _known(values: pd.Series) -> bool:
    """Whether a column tells most events apart."""
    return bool(values.notna().mean() > 0.5)


def _order_title(time: str) -> dict[str, object]:
    return {"title": "events, in order", "tickformat": "d"} if time == "order" else {}


def _threads(frame: pd.DataFrame, across: pd.Series, place: pd.Series) -> go.Scatter:
    """A line through the events of each journey, broken between journeys."""
    x: list[object] = []
    y: list[object] = []
    for _, part in frame.groupby("journey_id", sort=False):
        x += [*across[part.index].tolist(), None]
        y += [*place[part.index].tolist(), None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": translucent("#808c9e", 0.45), "width": 1.2, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )


def _dots(
    frame: pd.DataFrame, across: pd.Series, place: pd.Series, lanes: str, has_score: bool
) -> go.Scatter:
    marker: dict[str, object] = {"size": 11 if len(frame) <= 40 else 8, "opacity": 0.9}
    if has_score:
        marker |= {
            "color": frame["sentiment"].tolist(),
            "cmin": -1,
            "cmax": 1,
            "colorscale": _FEELING,
            "colorbar": _feeling_bar(),
        }
    else:
        marker |= {"symbol": "circle-open", "color": "#7d8fa9", "line": {"width": 1.6}}
    return go.Scatter(
        x=across.tolist(),
        y=place.tolist(),
        mode="markers",
        marker=marker,
        customdata=[_hint(row, lanes) for row in frame.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _feeling_bar() -> dict[str, object]:
    return {
        "orientation": "h",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "x": 0.5,
        "len": 0.6,
        "thickness": 8,
        "ypad": 8,
        "tickvals": [-1, 0, 1],
        "ticktext": ["bad", "neutral", "good"],
        "outlinewidth": 0,
    }


def _hint(row: dict[Any, Any], lanes: str) -> str:
    facts = [f"<b>{plain(row['touchpoint'])}</b>", f"{row['occurred_at']:%Y-%m-%d %H:%M} UTC"]
    for name in dict.fromkeys((lanes, "channel", "department", "stage")):
        if name != "touchpoint" and isinstance(row.get(name), str):
            facts.append(f"{plain(name)}: {plain(row[name])}")
    if pd.notna(row["sentiment"]):
        facts.append(f"sentiment {row['sentiment']:+.2f}")
    if pd.notna(wait := row.get("wait_hours")):
        facts.append(f"{_length(wait)} after the event before")
    return "<br>".join(facts)


def _length(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def _labels(frame: pd.DataFrame, across: pd.Series, place: pd.Series) -> go.Scatter:
    """Names of as many events as fit above their dots on a narrow screen."""
    low, high = _margins(across)
    pixels = (across - low) / (high - low) * _NARROW
    text = frame["touchpoint"].map(lambda name: shorten(plain(name), 26))
    taken: dict[int, list[tuple[float, float]]] = {}
    kept, sides = [], []
    for index in _worth(frame):
        width, x = _LETTER * len(text[index]), pixels[index]
        side = "right" if x < width / 2 else "left" if x > _NARROW - width / 2 else "center"
        left = {"right": x, "left": x - width, "center": x - width / 2}[side]
        spans = taken.setdefault(place[index], [])
        if left >= 0 and all(left > b + 6 or left + width < a - 6 for a, b in spans):
            spans.append((left, left + width))
            kept.append(index)
            sides.append(f"top {side}")
    return go.Scatter(
        x=across[kept].tolist(),
        y=(place[kept] - 0.1).tolist(),  # clear of the dot
        mode="text",
        text=text[kept].tolist(),
        textposition=sides,
        textfont={"size": 11},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _worth(frame: pd.DataFrame) -> list[int]:
    """Events in the order in which they deserve a name: the ends, the extremes, the others."""
    felt = frame["sentiment"].dropna()
    extremes = [felt.idxmin(), felt.idxmax()] if len(felt) else []
    return list(dict.fromkeys([0, len(frame) - 1, *extremes, *range(len(frame))]))


def _margins(across: pd.Series) -> list[Any]:
    """Ends of the axis, a little beyond the events."""
    least = 1 if is_numeric_dtype(across) else pd.Timedelta(hours=1)
    width = max(across.max() - across.min(), least)
    return [across.min() - 0.04 * width, across.max() + 0.04 * width]


def _span(frame: pd.DataFrame) -> str:
    journeys = frame["journey_id"].nunique()
    cut = "events" in frame and int(frame["events"].iloc[0]) > len(frame)
    some = f"the latest {len(frame):,} of {frame['events'].iloc[0]:,}" if cut else f"{len(frame):,}"
    return (
        f"{some} event{'s' if len(frame) > 1 else ''} in {journeys} "
        f"journey{'s' if journeys > 1 else ''}"
    )


def _timeline_reading(frame: pd.DataFrame) -> str:
    first, last = frame.iloc[0], frame.iloc[-1]
    text = (
        f"Customer {first['customer_id']}: {_span(frame)}, {first['occurred_at']:%Y-%m-%d} to "
        f"{last['occurred_at']:%Y-%m-%d}, from {plain(first['touchpoint'])} to "
        f"{plain(last['touchpoint'])}."
    )
    felt = frame["sentiment"].dropna()
    if felt.empty:
        return text + " No sentiment is known."
    worst = frame.loc[felt.idxmin()]
    return (
        f"{text} The lowest sentiment was {worst['sentiment']:.2f}, at "
        f"{plain(worst['touchpoint'])} on {worst['occurred_at']:%Y-%m-%d}."
    )
