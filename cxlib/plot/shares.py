"""Charts of shares with their intervals: one bar for each row of a measure."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten

__all__ = ["escalation", "ping_pong", "repeat_contact", "stickiness", "subsequences"]

_BLUE = "#0072b2"
_NOBODY = "No customers in this selection."
_NO_JOURNEYS = "No journeys in this selection."


def escalation(frame: pd.DataFrame, *, title: str | None = None, theme: str = "light") -> go.Figure:
    """Bars of what became of self-service: a human had to help, or nobody had to.

    Parameters
    ----------
    frame
        What ``cxlib.escalation`` returns, for one group: a row each for escalated and deflected.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of the attempts whose window is over, with 95 % intervals.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "result": ["escalated", "deflected"], "attempts": [30, 70], "n": 100, "open": 4,
    ...     "share": [0.3, 0.7], "lower": [0.22, 0.6], "upper": [0.4, 0.78],
    ...     "median_wait_hours": [2.5, None]})
    >>> escalation(frame).layout.meta["description"]
    'Of 100 attempts at self-service 30 (30.0%) went on to a human, after a median of 2.5 hours, and
    70 (70.0%) did not. 4 more are too recent to tell.'
    """
    columns = ("result", "attempts", "n", "open", "share", "lower", "upper", "median_wait_hours")
    need_columns(frame, columns, "escalation")
    _one_group(frame, ["result"], "escalation")
    heading = title or "What becomes of self-service"
    if frame.empty or not frame["n"].iloc[0]:
        return blank(heading, "No attempts at self-service in this selection.", theme=theme)
    found = frame.set_index("result")
    asked, kept, first = found.loc["escalated"], found.loc["deflected"], frame.iloc[0]
    wait = asked["median_wait_hours"]
    waited = f", after a median of {wait:.1f} hours," if pd.notna(wait) else ""
    reading = (
        f"Of {first['n']:,} attempts at self-service {int(asked['attempts']):,} "
        f"({asked['share']:.1%}) went on to a human{waited} and "
        f"{int(kept['attempts']):,} ({kept['share']:.1%}) did not."
    )
    if first["open"]:
        reading += f" {first['open']:,} more are too recent to tell."
    names = {"escalated": "went on to a human", "deflected": "did not"}
    rows = frame.assign(label=frame["result"].map(names), count=frame["attempts"])
    return _draw(
        rows,
        heading=heading,
        subtitle=f"{first['n']:,} attempts whose time is over; whiskers are 95% intervals",
        axis="of the attempts (%)",
        reading=reading,
        theme=theme,
    )


def ping_pong(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of the handoffs that come straight back, for each pair of departments.

    Parameters
    ----------
    frame
        What ``cxlib.ping_pong`` returns, for one group: one row per pair of departments.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of the handoffs whose sequel is known, with 95 % intervals.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "from_department": ["desk"], "to_department": ["field"], "n": [40], "returned": [10],
    ...     "return_rate": [0.25], "return_lower": [0.14], "return_upper": [0.4]})
    >>> ping_pong(frame).layout.meta["description"]
    '10 of 40 handoffs went straight back, most of them those from desk to field: 10 of 40 (25.0%).'
    """
    columns = ("from_department", "to_department", "n", "returned", "return_rate",
               "return_lower", "return_upper")  # fmt: skip
    need_columns(frame, columns, "ping_pong")
    _one_group(frame, ["from_department", "to_department"], "ping-pong")
    heading = title or "What comes straight back"
    known = frame[frame["n"] > 0].reset_index(drop=True)
    if known.empty:
        return blank(heading, "No handoffs in this selection.", theme=theme)
    pairs = known["from_department"].map(plain) + " → " + known["to_department"].map(plain)
    rows = known.assign(
        label=pairs, share=known["return_rate"], lower=known["return_lower"],
        upper=known["return_upper"], count=known["returned"],
    )  # fmt: skip
    most = rows.loc[rows["returned"].idxmax()]
    reading = (
        f"{rows['returned'].sum():,} of {rows['n'].sum():,} handoffs went straight back, most of "
        f"them those from {most['label'].replace(' → ', ' to ')}: {most['returned']:,} of "
        f"{most['n']:,} ({most['share']:.1%})."
    )
    return _draw(
        rows.head(top),
        heading=heading,
        subtitle=_some(len(rows), top, "pairs of departments"),
        axis="of the handoffs (%)",
        reading=reading,
        theme=theme,
    )


def repeat_contact(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of the contacts that come again, for each reason.

    Parameters
    ----------
    frame
        What ``cxlib.repeat_contact`` returns, for one group: one row per reason.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of the contacts whose window is over, with 95 % intervals.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "reason": ["billing"], "contacts": [44], "n": [40], "repeats": [10],
    ...     "repeat_rate": [0.25], "repeat_lower": [0.14], "repeat_upper": [0.4]})
    >>> repeat_contact(frame).layout.meta["description"]
    '10 of 40 contacts came again, most of them those about billing: 10 of 40 (25.0%).'
    """
    columns = ("reason", "n", "repeats", "repeat_rate", "repeat_lower", "repeat_upper")
    need_columns(frame, columns, "repeat_contact")
    _one_group(frame, ["reason"], "repeat-contact")
    heading = title or "Contacts that come again"
    known = frame[frame["n"] > 0].reset_index(drop=True)
    if known.empty:
        return blank(heading, "No contacts in this selection.", theme=theme)
    rows = known.assign(
        label=known["reason"].map(plain), share=known["repeat_rate"],
        lower=known["repeat_lower"], upper=known["repeat_upper"], count=known["repeats"],
    )  # fmt: skip
    most = rows.loc[rows["repeats"].idxmax()]
    reading = (
        f"{rows['repeats'].sum():,} of {rows['n'].sum():,} contacts came again, most of them those "
        f"about {most['label']}: {most['repeats']:,} of {most['n']:,} ({most['share']:.1%})."
    )
    return _draw(
        rows.head(top),
        heading=heading,
        subtitle=_some(len(rows), top, "reasons"),
        axis="of the contacts (%)",
        reading=reading,
        theme=theme,
    )


def stickiness(frame: pd.DataFrame, *, title: str | None = None, theme: str = "light") -> go.Figure:
    """Bars of customers by the number of periods in which they were active.

    Parameters
    ----------
    frame
        What ``cxlib.stickiness`` returns, for one group: one row per number of periods.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of all customers.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "active_periods": [1, 2, 3], "customers": [50, 30, 20], "n": 100,
    ...     "share": [0.5, 0.3, 0.2], "at_least": [1.0, 0.5, 0.2]})
    >>> stickiness(frame).layout.meta["description"]
    'Of 100 customers 50 (50.0%) were active in one period only; half were in 2 or more.'
    """
    need_columns(frame, ("active_periods", "customers", "n", "share", "at_least"), "stickiness")
    _one_group(frame, ["active_periods"], "stickiness")
    heading = title or "In how many periods customers are active"
    if frame.empty:
        return blank(heading, _NOBODY, theme=theme)
    n = int(frame["n"].iloc[0])
    once = frame[frame["active_periods"] == 1]
    customers, share = int(once["customers"].sum()), float(once["share"].sum())
    half = int(frame.loc[frame["at_least"] >= 0.5, "active_periods"].max())
    rows = frame.assign(label=frame["active_periods"].astype(str), count=frame["customers"])
    return _draw(
        rows,
        heading=heading,
        subtitle=f"{n:,} customers, by number of active periods",
        axis="of the customers (%)",
        reading=f"Of {n:,} customers {customers:,} ({share:.1%}) were active in one period only; "
        f"half were in {half} or more.",
        theme=theme,
    )


def subsequences(
    frame: pd.DataFrame, *, top: int = 12, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Bars of the journeys that hold each sequence of touchpoints.

    Parameters
    ----------
    frame
        What ``cxlib.subsequences`` returns, for one group: one row per sequence.
    top
        How many rows to show, from the first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Shares of all journeys, with 95 % intervals; a journey may hold several of the sequences.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "sequence": ["ask -> buy"], "touchpoints": [("ask", "buy")], "journeys": [30],
    ...     "n": [100], "share": [0.3], "lower": [0.22], "upper": [0.4]})
    >>> subsequences(frame).layout.meta["description"]
    'The most frequent of 1 sequence is ask, buy: in 30 of 100 journeys (30.0%).'
    """
    columns = ("sequence", "touchpoints", "journeys", "n", "share", "lower", "upper")
    need_columns(frame, columns, "subsequences")
    _one_group(frame, ["sequence"], "sequence")
    heading = title or "What journeys have in common"
    if frame.empty:
        return blank(heading, _NO_JOURNEYS, theme=theme)
    names = frame["touchpoints"].map(lambda path: [plain(name) for name in path])
    rows = frame.assign(
        label=names.map(" → ".join), tick=names.map(_two_lines), count=frame["journeys"]
    )
    first, of = rows.iloc[0], "sequence" if len(rows) == 1 else "sequences"
    reading = (
        f"The most frequent of {len(rows):,} {of} is {', '.join(names.iloc[0])}: in "
        f"{first['journeys']:,} of {first['n']:,} journeys ({first['share']:.1%})."
    )
    return _draw(
        rows.head(top),
        heading=heading,
        subtitle=_some(len(rows), top, "sequences"),
        axis="of the journeys (%)",
        reading=reading,
        theme=theme,
    )


def _one_group(frame: pd.DataFrame, keys: Sequence[str], chart: str) -> None:
    if frame.duplicated(list(keys)).any():
        raise CxError(
            f"the frame holds several groups, and a {chart} chart shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )


def _two_lines(names: list[str]) -> str:
    """Names in a row, broken where they would be cut otherwise."""
    if len(" → ".join(names)) <= 30:
        return " → ".join(names)
    half = (len(names) + 1) // 2
    lines = " → ".join(names[:half]), "→ " + " → ".join(names[half:])
    return "<br>".join(shorten(line, 40) for line in lines)


def _some(size: int, top: int, what: str) -> str:
    return f"{min(size, top):,} of {size:,} {what}; whiskers are 95% intervals"


def _draw(
    rows: pd.DataFrame, *, heading: str, subtitle: str, axis: str, reading: str, theme: str
) -> go.Figure:
    """Bars of ``share``, with whiskers where the rows have an interval."""
    share = rows["share"]
    if "tick" not in rows:
        rows = rows.assign(tick=rows["label"].map(lambda name: shorten(name, 44)))
    whiskers = None
    between = ""
    if "lower" in rows:
        whiskers = {
            "type": "data",
            "symmetric": False,
            "array": (rows["upper"] - share).clip(lower=0).tolist(),
            "arrayminus": (share - rows["lower"]).clip(lower=0).tolist(),
            "thickness": 1.2,
            "width": 3,
        }
        between = "<br>95% interval %{customdata[3]:.1%} to %{customdata[4]:.1%}"
    facts = ["label", "count", "n", *(["lower", "upper"] if between else [])]
    bars = go.Bar(
        y=list(range(len(rows))),
        x=share.tolist(),
        orientation="h",
        marker={"color": _BLUE, "line": {"width": 0}},
        error_x=whiskers,
        customdata=rows[facts].astype(object).to_numpy().tolist(),
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]:,} of %{customdata[2]:,}: "
        f"%{{x:.1%}}{between}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_layout(
        showlegend=False,
        hovermode="closest",
        bargap=0.35,
        xaxis={"title": axis, "tickformat": ".0%", "rangemode": "tozero", "nticks": 6},
        yaxis={"range": [len(rows) - 0.5, -0.5], "tickvals": list(range(len(rows))),
               "showgrid": False, "ticktext": rows["tick"].tolist()},
    )  # fmt: skip
    return dress(
        figure,
        title=heading,
        subtitle=subtitle,
        description=reading,
        height=160 + 30 * max(len(rows), 3),
        theme=theme,
    )
