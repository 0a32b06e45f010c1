"""The charts of retention: cohorts as a triangle, and the lifecycle as bars."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError, unknown_name
from cxlib.plot.canvas import blank, dress, need_columns

__all__ = ["cohorts", "lifecycle"]

_COHORTS = (
    "cohort",
    "period",
    "label",
    "n",
    "customers",
    "retention",
    "lower",
    "upper",
    "complete",
)
# The quarter by its first month: the format has no quarters.
_CALENDAR = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m", "quarter": "%Y-%m",
             "year": "%Y"}  # fmt: skip
_MEASURES = ("retention", "revenue_retention")
_LIFECYCLE = ("period", "active", "new", "returning", "resurrected", "dormant", "complete")
_STATES = {"returning": "#0072b2", "resurrected": "#e69f00", "new": "#009e73", "dormant": "#98a2ae"}


def cohorts(
    frame: pd.DataFrame,
    *,
    measure: str = "retention",
    title: str | None = None,
    theme: str = "light",
) -> go.Figure:
    """Heat map of how much of each cohort is left, by time since it began.

    Parameters
    ----------
    frame
        What ``cxlib.retention`` returns, for one group: one row per cohort and period.
    measure
        "retention" (share of customers) or "revenue_retention" (share of the value of period 0).
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Rows are cohorts with their customers, columns the periods. A cell that was not over when
        the data ended has an asterisk: it can only grow. Cohorts from before the records began
        (``observed`` is False) are left out, and the subtitle says how many.

    Raises
    ------
    CxError
        When a column is missing, the measure is unknown, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "cohort": pd.to_datetime(["2024-01-01", "2024-01-01"]), "period": [0, 1],
    ...     "label": ["month 0", "month 1"], "n": [40, 40], "customers": [40, 10],
    ...     "retention": [1.0, 0.25], "lower": [0.91, 0.14], "upper": [1.0, 0.4],
    ...     "complete": [True, True]})
    >>> cohorts(frame).layout.meta["description"]
    'Customers still active, by cohort: 1 cohort with 40 customers. Over the cohorts that could be
    observed so long, 25.0% are active in month 1.'
    """
    if measure not in _MEASURES:
        raise unknown_name("measure", measure, _MEASURES)
    need_columns(frame, {*_COHORTS, measure}, "cohorts")
    if frame.duplicated(["cohort", "period"]).any():
        raise CxError(
            "the frame holds several groups, and a cohort chart shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    value = measure == "revenue_retention"
    heading = title or ("Revenue that stays" if value else "Customers who stay") + ", by cohort"
    if frame.empty:
        return blank(heading, "No customers in this selection.", theme=theme)
    frame, early = _observed(frame)
    if frame.empty:
        sentence = "Every cohort began before the records did, so that who left is not in them."
        return blank(heading, sentence, theme=theme)
    if frame[measure].isna().all():
        sentence = "No cohort has value in its first period, so nothing can be compared with it."
        return blank(heading, sentence, theme=theme)
    sizes = frame.groupby("cohort")["n"].first()
    figure = go.Figure(_triangle(frame, measure, sizes))
    figure.update_layout(
        xaxis={"showgrid": False, "type": "category", "tickangle": 0} | _time_axis(frame),
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
    )
    periods = frame["period"].nunique()
    note = "" if frame["complete"].all() else "; * not yet over"
    note += f"; {early} from before the records not shown" if early else ""
    return dress(
        figure,
        title=heading,
        subtitle=f"{len(sizes)} cohort{'s' if len(sizes) > 1 else ''}, "
        f"{int(sizes.sum()):,} customers{note}",
        description=_reading(frame, measure, sizes),
        height=210 + 28 * max(len(sizes), 4),
        theme=theme,
        min_width=170 + 46 * periods,
    )


def _observed(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Cohorts that began when records did or later, and how many did not."""
    if "observed" not in frame.columns:
        return frame, 0
    kept = frame[frame["observed"].astype(bool)]
    return kept, frame["cohort"].nunique() - kept["cohort"].nunique()


def lifecycle(frame: pd.DataFrame, *, title: str | None = None, theme: str = "light") -> go.Figure:
    """Bars of the customers who are new, return and come back, above those who fell silent.

    Parameters
    ----------
    frame
        What ``cxlib.lifecycle`` returns, for one group: one row per period.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Dormant customers hang below zero. A period that was not over is paler.

    Raises
    ------
    CxError
        When a column is missing, or the frame holds several groups.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "period": pd.to_datetime(["2024-01-01", "2024-02-01"]), "active": [40, 30],
    ...     "new": [40, 10], "returning": [0, 20], "resurrected": [0, 0], "dormant": [0, 20],
    ...     "complete": [True, True]})
    >>> lifecycle(frame).layout.meta["description"]
    'Customers by period, 2024-01-01 to 2024-02-01. In the last complete period, from 2024-02-01,
    30 were active: 10 new, 20 returning, 0 resurrected; 20 of the period before fell silent.'
    """
    need_columns(frame, _LIFECYCLE, "lifecycle")
    if frame["period"].duplicated().any():
        raise CxError(
            "the frame holds several groups, and a lifecycle chart shows one; "
            "keep one before plotting, for example frame[frame['segment'] == 'loyal']"
        )
    heading = title or "Who comes, stays and goes"
    if frame.empty:
        return blank(heading, "No customers in this selection.", theme=theme)
    frame = frame.sort_values("period")
    figure = go.Figure([_bars(frame, state, colour) for state, colour in _STATES.items()])
    figure.update_layout(
        barmode="relative",
        bargap=0.2,
        hovermode="closest",
        xaxis={"showgrid": False, "nticks": 5, "tickangle": 0},
        yaxis={"title": "customers", "zeroline": True},
        legend={"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0, "traceorder": "normal"},
        margin={"b": 90},
    )
    note = "" if frame["complete"].all() else "; pale: not yet over"
    return dress(
        figure,
        title=heading,
        subtitle=f"{len(frame)} period{'s' if len(frame) > 1 else ''}, dormant below zero{note}",
        description=_lifecycle_reading(frame),
        height=430,
        theme=theme,
    )


def _triangle(frame: pd.DataFrame, measure: str, sizes: pd.Series) -> go.Heatmap:
    labels = frame.drop_duplicates("period").sort_values("period")

    def grid(column: str) -> pd.DataFrame:
        table = frame.pivot_table(index="cohort", columns="period", values=column, aggfunc="first")
        return table.reindex(index=sizes.index, columns=labels["period"])

    share, complete = grid(measure), grid("complete")
    text = [
        [
            "" if pd.isna(s) else f"{s:.0%}{'' if done else '*'}"
            for s, done in zip(*row, strict=True)
        ]
        for row in zip(share.to_numpy(), complete.to_numpy(), strict=True)
    ]
    facts = zip(grid("customers").to_numpy(), grid("lower").to_numpy(), grid("upper").to_numpy(),
                strict=True)  # fmt: skip
    hints = [
        ["" if pd.isna(n) else f"{int(n):,} of {size:,} customers active "
         f"(95% interval {low:.1%} to {high:.1%})" for n, low, high in zip(*row, strict=True)]
        for row, size in zip(facts, sizes, strict=True)
    ]  # fmt: skip
    z = share.astype("float64")
    return go.Heatmap(
        z=[[None if pd.isna(s) else float(s) for s in row] for row in z.to_numpy()],
        x=labels["label"].tolist(),
        y=[f"{_name(cohort, labels['label'].iloc[0])}  ({n:,})" for cohort, n in sizes.items()],
        zmin=0,
        zmax=max(1.0, float(z.max().max())) if measure == "revenue_retention" else 1.0,
        xgap=2,
        ygap=2,
        text=text,
        texttemplate="%{text}",
        customdata=hints,
        hovertemplate="<b>%{y}, %{x}</b>: %{text}<br>%{customdata}<extra></extra>",
        hoverongaps=False,
        showscale=False,
    )


def _time_axis(frame: pd.DataFrame) -> dict[str, object]:
    """Short names of the periods, and what they count."""
    labels = frame.drop_duplicates("period").sort_values("period")["label"].tolist()
    kind = labels[0].split(" ")[0]
    if kind in _CALENDAR:
        short, title = [label.split(" ")[1] for label in labels], f"{kind}s since the cohort began"
    else:
        short = [label.removesuffix(" days").replace(" to ", "–") for label in labels]
        title = "days since the customer's start"
    return {"tickvals": labels, "ticktext": short, "title": title}


def _name(cohort: object, label: str) -> str:
    """Name of a cohort, as exact as its period."""
    kind = label.split(" ")[0]
    return f"{cohort:{_CALENDAR.get(kind, '%Y-%m-%d')}}"


def _reading(frame: pd.DataFrame, measure: str, sizes: pd.Series) -> str:
    value = measure == "revenue_retention"
    many = f"{len(sizes)} cohort{'s' if len(sizes) > 1 else ''}"
    what = "Revenue of each cohort that is left" if value else "Customers still active, by cohort"
    text = f"{what}: {many} with {int(sizes.sum()):,} customers."
    known = frame[frame["complete"] & (frame["period"] > 0) & frame[measure].notna()]
    if known.empty:
        return text + " No period after the first was over when the data ended."
    last = known[known["period"] == known["period"].max()]
    if value:
        return (
            f"{text} In {last['label'].iloc[0]} the median cohort has {last[measure].median():.1%}."
        )
    share = last["customers"].sum() / last["n"].sum()
    return (
        f"{text} Over the cohorts that could be observed so long, {share:.1%} are active in "
        f"{last['label'].iloc[0]}."
    )


def _bars(frame: pd.DataFrame, state: str, colour: str) -> go.Bar:
    sign = -1 if state == "dormant" else 1
    return go.Bar(
        x=frame["period"].tolist(),
        y=(sign * frame[state]).tolist(),
        name=state,
        marker={"color": colour, "opacity": [1.0 if done else 0.5 for done in frame["complete"]]},
        customdata=frame[[state, "active"]].to_numpy().tolist(),
        hovertemplate="<b>%{x|%Y-%m-%d}</b><br>%{customdata[0]:,} "
        + state
        + "; %{customdata[1]:,} active<extra></extra>",
    )


def _lifecycle_reading(frame: pd.DataFrame) -> str:
    first, newest = frame["period"].min(), frame["period"].max()
    text = f"Customers by period, {first:%Y-%m-%d} to {newest:%Y-%m-%d}."
    over = frame[frame["complete"]]
    if over.empty:
        return text + " No period was over when the data ended."
    last = over.iloc[-1]
    return (
        f"{text} In the last complete period, from {last['period']:%Y-%m-%d}, {last['active']:,} "
        f"were active: {last['new']:,} new, {last['returning']:,} returning, "
        f"{last['resurrected']:,} resurrected; {last['dormant']:,} of the period before "
        "fell silent."
    )
