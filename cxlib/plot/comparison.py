"""The chart of differences between two logs."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.plot.canvas import blank, dress, need_columns, plain, shorten

__all__ = ["comparison"]

_COLUMNS = (
    "compared", "a", "b", "difference", "lower", "upper", "p_adjusted", "count_a", "n_a",
    "count_b", "n_b", "label_a", "label_b",
)  # fmt: skip
_RATIOS = (
    "per_journey", "revenue_retention", "events_per_journey", "journeys_per_customer", "mean",
    "mean_fitness", "mean_deviations", "mean_skipped", "mean_inserted", "mean_repeated",
    "mean_out_of_order", "sentiment", "sentiment_before", "sentiment_after", "sentiment_change",
)  # fmt: skip
_MORE, _LESS, _SAME = "#d55e00", "#0072b2", "#7a8ba3"
_SURE = 0.05
_LETTERS = 24


def comparison(
    frame: pd.DataFrame, *, top: int = 15, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Dots of the differences between two logs, with their intervals.

    Parameters
    ----------
    frame
        What ``cxlib.compare`` returns.
    top
        How many rows to show, from the first: those with the smallest p-values.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        Orange where the second log has more, blue where it has less, grey where chance may explain
        the difference (adjusted p of 0.05 or more). Rows without a difference are left out.

    Raises
    ------
    CxError
        When a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "touchpoint": ["opened_ticket"], "compared": ["dropoff_rate"], "a": [0.1], "b": [0.2],
    ...     "difference": [0.1], "lower": [0.05], "upper": [0.15], "p_value": [0.001],
    ...     "p_adjusted": [0.001], "count_a": [10], "n_a": [100], "count_b": [20], "n_b": [100],
    ...     "label_a": ["2023"], "label_b": ["2024"]})
    >>> comparison(frame).layout.meta["description"]
    'Differences in dropoff rate, 2024 less 2023. The surest one is at opened ticket: 2023 10.0%,
    2024 20.0% (difference +10.0 points, 95% interval +5.0 to +15.0).'
    """
    need_columns(frame, _COLUMNS, "comparison")
    known = frame[frame["difference"].notna()]
    heading = title or "What has changed, and how surely"
    rows = known.head(top)
    if rows.empty:
        return blank(heading, "No difference is known in this selection.", theme=theme)
    rows = rows.assign(name=_cells(rows))
    figure = go.Figure(_dots(rows))
    height = 38 if rows["name"].str.contains("<br>").any() else 28
    figure.add_vline(x=0, line={"color": "#7a8ba3", "width": 1, "dash": "dot"})
    first = rows.iloc[0]
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": _axis(first), "nticks": 6, "ticksuffix": ""},
        yaxis={"tickvals": list(range(len(rows))), "ticktext": rows["name"].tolist(),
               "range": [len(rows) - 0.4, -0.6], "showgrid": False},
        legend={"orientation": "h", "x": 0, "y": -74 / (height * max(len(rows), 4)),
                "yanchor": "top", "itemclick": False, "itemdoubleclick": False},
        margin={"b": 118},
    )  # fmt: skip
    sure = int((known["p_adjusted"] < _SURE).sum())
    some = f"{len(rows)} of {len(known)} shown; " if len(rows) < len(known) else ""
    return dress(
        figure,
        title=heading,
        subtitle=f"{first['label_b']} less {first['label_a']}; {some}{sure} of {len(known)} "
        "differences are more than chance explains",
        description=_reading(first, known),
        height=202 + height * max(len(rows), 4),
        theme=theme,
    )


def _cells(rows: pd.DataFrame) -> pd.Series:
    """Name of each row: its groups, its step, its touchpoints."""
    keys = rows.columns[: rows.columns.get_loc("compared")].tolist()
    if "label" in keys:
        keys = [key for key in keys if key not in ("period", "handoffs")]
    names = []
    for _, row in rows.iterrows():
        words: list[str] = []
        for key in keys:
            word = shorten(plain(row[key]), 2 * _LETTERS if key == "path" else _LETTERS)
            if key.startswith("to_"):
                words[-1:] = [f"{words[-1]}<br>→ {word}" if words else word]
            else:
                numbered = key in ("step", "active_periods")
                words.append(f"{plain(key)} {word}" if numbered else word)
        names.append(" · ".join(words) or plain(row["compared"]))
    return pd.Series(names, index=rows.index)


def _dots(rows: pd.DataFrame) -> list[go.Scatter]:
    """One trace per kind of difference, so that the legend says what the colours mean."""
    sure = rows["p_adjusted"] < _SURE
    other = rows["label_b"].iloc[0]
    kinds = (
        (sure & (rows["difference"] > 0), _MORE, f"{other}: more"),
        (sure & (rows["difference"] < 0), _LESS, f"{other}: less"),
        (~(sure & (rows["difference"] != 0)), _SAME, "chance may explain it"),
    )
    place = pd.Series(range(len(rows)), rows.index)
    return [
        _trace(rows[kind], place[kind].tolist(), colour, name)
        for kind, colour, name in kinds
        if kind.any()
    ]


def _trace(rows: pd.DataFrame, y: list[int], colour: str, name: str) -> go.Scatter:
    times = _unit(rows.iloc[0])[0]
    return go.Scatter(
        x=(rows["difference"] * times).tolist(),
        y=y,
        mode="markers",
        marker={"color": colour, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": ((rows["upper"] - rows["difference"]) * times).clip(lower=0).tolist(),
            "arrayminus": ((rows["difference"] - rows["lower"]) * times).clip(lower=0).tolist(),
            "color": colour,
            "thickness": 1.6,
            "width": 4,
        },
        name=name,
        text=[_facts(row) for _, row in rows.iterrows()],
        hovertemplate="%{text}<extra></extra>",
    )


def _unit(row: pd.Series) -> tuple[int, str]:
    """What a difference is multiplied by, and the unit that it then has."""
    return (1, "") if row["compared"] in _RATIOS else (100, " points")


def _say(row: pd.Series, side: str) -> str:
    value = row[side]
    return f"{value:.2f}" if row["compared"] in _RATIOS else f"{value:.1%}"


def _gap(row: pd.Series) -> str:
    times, unit = _unit(row)
    digits = 1 if times == 100 else 2
    low, high = (f"{times * row[end]:+.{digits}f}" for end in ("lower", "upper"))
    return f"{times * row['difference']:+.{digits}f}{unit}, 95% interval {low} to {high}"


def _facts(row: pd.Series) -> str:
    sides = "".join(
        f"{row[f'label_{side}']}: {_say(row, side)} "
        f"({row[f'count_{side}']:,.0f} of {row[f'n_{side}']:,.0f})<br>"
        for side in ("a", "b")
    )
    name = row["name"].replace("<br>", " ")
    return f"<b>{name}</b><br>{sides}difference {_gap(row)}<br>adjusted p {row['p_adjusted']:.2g}"


def _axis(row: pd.Series) -> str:
    unit = _unit(row)[1].strip()
    return f"difference in {plain(row['compared'])}" + (f" ({unit})" if unit else "")


def _reading(first: pd.Series, known: pd.DataFrame) -> str:
    what = f"Differences in {plain(first['compared'])}, {first['label_b']} less {first['label_a']}."
    if not (known["p_adjusted"] < _SURE).any():
        return f"{what} Chance may explain each of them."
    return (
        f"{what} The surest one is at {first['name'].replace('<br>', ' ')}: {first['label_a']} "
        f"{_say(first, 'a')}, {first['label_b']} {_say(first, 'b')} (difference {_gap(first)})."
    )
