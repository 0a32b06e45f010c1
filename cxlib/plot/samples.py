"""The chart of a sample of customers: every event a dot."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import unknown_name
from cxlib.plot.canvas import TOP, blank, dress, need_columns, plain, shorten
from cxlib.plot.template import MUTED, touchpoint_colours

__all__ = ["dotted"]

_DOTTED = ("customer_id", "occurred_at", "touchpoint", "since_start_days")
_NAMED = 6  # touchpoints with a colour of their own
_MANY = 4_000  # dots from which WebGL draws them


def dotted(
    frame: pd.DataFrame,
    *,
    time: str = "occurred_at",
    sort: str = "start",
    title: str | None = None,
    theme: str = "light",
) -> go.Figure:
    """Every event of a sample as a dot: time across, one line per customer.

    Parameters
    ----------
    frame
        What ``cxlib.sample_events`` returns: one row per event.
    time
        "occurred_at": the calendar. "since_start_days": days since each customer's first event.
    sort
        "start": who came first is on top. "length": who was active longest is on top.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        The six most frequent touchpoints have their colours, the others are grey.

    Raises
    ------
    CxError
        When a column is missing, or a choice is unknown.

    Notes
    -----
    Vertical stripes are what happened to many at once, such as a campaign; slanted edges are who
    came when; gaps are silence.

    References
    ----------
    Song and van der Aalst (2007), Supporting process mining by showing events at a glance.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "customer_id": ["a", "a", "b"], "since_start_days": [0.0, 2.0, 0.0],
    ...     "occurred_at": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-02-01"]),
    ...     "touchpoint": ["visit", "buy", "visit"]})
    >>> dotted(frame).layout.meta["description"]
    'Events of 2 customers: 3 events, 2024-01-01 to 2024-02-01. The median customer has 1.5 events
    over 1.0 days; most frequent is visit (66.7% of the events).'
    """
    need_columns(frame, _DOTTED, "dotted")
    for kind, given, known in [
        ("time", time, ["occurred_at", "since_start_days"]),
        ("way to sort", sort, ["start", "length"]),
    ]:
        if given not in known:
            raise unknown_name(kind, given, known)
    heading = title or "Events of a sample of customers"
    if frame.empty:
        return blank(heading, "No events in this selection.", theme=theme)
    line = _lines(frame, sort)
    counts = frame["touchpoint"].value_counts().sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    colours = touchpoint_colours(counts.index[:_NAMED])
    name = frame["touchpoint"].where(frame["touchpoint"].isin(colours), "(other)")
    colours["(other)"] = MUTED["(other)"]
    # What is bundled lies below the others, and comes last in the legend.
    figure = go.Figure(
        [
            _row_dots(frame[name == one], line[name == one], time, one, colours[one])
            for one in ("(other)", *counts.index[:_NAMED])
            if (name == one).any()
        ]
    )
    if len(frame) > _MANY:
        traces = [trace.to_plotly_json() | {"type": "scattergl"} for trace in figure.data]
        figure = go.Figure(traces)
    customers = frame["customer_id"].nunique()
    height = int(min(780, max(480, 320 + 2.2 * customers)))
    relative = time == "since_start_days"
    figure.update_layout(
        xaxis={"title": "days since the first event" if relative else None, "nticks": 5,
               "tickangle": 0, "rangemode": "tozero" if relative else "normal"},
        yaxis={"showticklabels": False, "showgrid": False, "range": [customers, -1],
               "title": "customers, " + ("first to last" if sort == "start"
                                         else "longest to shortest")},
        hovermode="closest",
        legend={"orientation": "h", "y": -58 / (height - TOP - 150), "yanchor": "top", "x": 0,
                "traceorder": "normal", "itemsizing": "constant"},
        margin={"b": 150},
    )  # fmt: skip
    return dress(
        figure,
        title=heading,
        subtitle=_sampled(frame, customers),
        description=_dotted_reading(frame),
        height=height,
        theme=theme,
    )


def _lines(frame: pd.DataFrame, sort: str) -> pd.Series:
    """Line of each event's customer."""
    each = frame.groupby("customer_id")["occurred_at"].agg(["min", "max"])
    each["length"] = each["min"] - each["max"]
    keys = ["min", "length"] if sort == "start" else ["length", "min"]
    order = each.sort_values(keys, kind="stable").index
    return frame["customer_id"].map({name: at for at, name in enumerate(order)})


def _row_dots(
    frame: pd.DataFrame, line: pd.Series, time: str, name: str, colour: str
) -> go.Scatter:
    columns = ["customer_id", "touchpoint", "occurred_at", "since_start_days"]
    facts = [
        f"<b>{plain(touchpoint)}</b><br>{at:%Y-%m-%d %H:%M} UTC, day {day:.1f}<br>"
        f"customer {customer}"
        for customer, touchpoint, at, day in frame[columns].itertuples(index=False, name=None)
    ]
    return go.Scatter(
        x=frame[time].tolist(),
        y=line.tolist(),
        mode="markers",
        name=shorten(plain(name), 20),
        legendrank=2_000 if name == "(other)" else 1_000,
        marker={"size": 5, "color": colour, "opacity": 0.8},
        text=facts,
        hovertemplate="%{text}<extra></extra>",
    )


def _sampled(frame: pd.DataFrame, customers: int) -> str:
    whole = int(frame["customers"].iloc[0]) if "customers" in frame else customers
    who = f"{customers:,} customers"
    return f"{who}{f', drawn from {whole:,}' if whole > customers else ''}; {len(frame):,} events"


def _dotted_reading(frame: pd.DataFrame) -> str:
    each = frame.groupby("customer_id")["occurred_at"].agg(["size", "min", "max"])
    days = (each["max"] - each["min"]).dt.total_seconds() / 86_400
    most = frame["touchpoint"].value_counts()
    return (
        f"Events of {len(each):,} customers: {len(frame):,} events, "
        f"{frame['occurred_at'].min():%Y-%m-%d} to {frame['occurred_at'].max():%Y-%m-%d}. The "
        f"median customer has {each['size'].median():.1f} events over {days.median():.1f} days; "
        f"most frequent is {plain(most.index[0])} ({most.iloc[0] / len(frame):.1%} of the events)."
    )
