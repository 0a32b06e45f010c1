"""The chart of how mixed and changeable journeys are."""

import pandas as pd
import plotly.graph_objects as go

from cxlib.errors import CxError
from cxlib.plot.canvas import TOP, blank, dress, group_names, need_columns, plain, shorten

__all__ = ["sequence_indicators"]

_COLUMNS = ("indicator", "journeys", "n", "mean", "lower", "upper", "p10", "median", "p90")
_KNOWN = (*_COLUMNS, "open")
_MIDDLE, _MEAN = "#56b4e9", "#d55e00"
_FEW = 10  # journeys below which an interval of the mean would be wider than the scale
_ROW, _HEAD = 26, 56  # pixels: a row, and the name and the scale of a panel


def sequence_indicators(
    frame: pd.DataFrame, *, top: int = 8, title: str | None = None, theme: str = "light"
) -> go.Figure:
    """Ranges and means of each indicator, one panel for each and one row per group.

    Parameters
    ----------
    frame
        What ``cxlib.sequence_indicators`` returns: one row per indicator, and group if there are
        several.
    top
        How many groups to show, the largest first.
    title
        In place of the title that says what is shown.
    theme
        ``"light"`` or ``"dark"``.

    Returns
    -------
    plotly.graph_objects.Figure
        A band from the 10th to the 90th of 100 journeys with a stroke at the median, and the mean
        as a dot, with its 95 % interval from 10 journeys on. Turbulence begins at 1 and has no
        upper bound; the others go from 0 to 1.

    Raises
    ------
    CxError
        When a column is missing, or two rows have the same group and indicator.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "indicator": ["entropy", "turbulence"], "journeys": 200, "open": 20, "n": 200,
    ...     "mean": [0.45, 4.2], "lower": [0.42, 3.9], "upper": [0.48, 4.5], "p10": [0.0, 1.0],
    ...     "median": [0.5, 4.0], "p90": [0.8, 8.1]})
    >>> sequence_indicators(frame).layout.meta["description"]
    'How mixed and changeable 200 journeys are. Entropy: 0.45 on average (95% interval 0.42 to
    0.48). Turbulence: 4.20 on average (95% interval 3.90 to 4.50).'
    """
    need_columns(frame, _COLUMNS, "sequence_indicators")
    heading = title or "How mixed and changeable journeys are"
    known = frame[frame["n"] > 0].reset_index(drop=True)
    if known.empty:
        return blank(heading, "No journeys in this selection.", theme=theme)
    rows = known.assign(_name=group_names(known, _KNOWN))
    if rows.duplicated(["_name", "indicator"]).any():
        raise CxError(
            "two rows of the frame have the same group and indicator; "
            "name the groups in a column of their own"
        )
    sizes = rows.groupby("_name")["journeys"].max().sort_values(ascending=False, kind="stable")
    shown = sizes.head(top)
    panels = list(dict.fromkeys(rows["indicator"]))
    figure = go.Figure()
    _draw(figure, rows, shown, panels)
    some = f"; the {len(shown)} largest of {len(sizes)} groups" if len(shown) < len(sizes) else ""
    return dress(
        figure,
        title=heading,
        subtitle=f"{int(shown.sum()):,} journeys; 95% intervals of the mean{some}",
        description=_reading(rows, shown, panels),
        height=TOP + 64 + len(panels) * (_HEAD + _ROW * len(shown)),
        theme=theme,
        min_width=330,
    )


def _draw(figure: go.Figure, rows: pd.DataFrame, shown: pd.Series, panels: list[str]) -> None:
    names = shown.index.tolist()
    whole = len(panels) * (_HEAD + _ROW * len(names))
    for number, indicator in enumerate(panels, start=1):
        part = rows[rows["indicator"] == indicator].set_index("_name")
        part = part.reindex([name for name in names if name in part.index])
        y = [names.index(name) for name in part.index]
        top = 1 - (number - 1) * (_HEAD + _ROW * len(names)) / whole - 22 / whole
        axes = {"xaxis": f"x{number}", "yaxis": f"y{number}", "showlegend": number == 1}
        figure.add_traces([_band(part, y, axes), _medians(part, y, axes), _means(part, y, axes)])
        bounded = indicator != "turbulence"
        figure.layout[f"xaxis{number}"] = {
            "anchor": f"y{number}", "nticks": 6, "showline": True,
            "range": [-0.02, 1.02] if bounded else [0.9, 1.05 * max(part["p90"].max(),
                      _whiskers(part)["upper"].max(), 2.0)],
        }  # fmt: skip
        figure.layout[f"yaxis{number}"] = {
            "anchor": f"x{number}", "domain": [max(top - _ROW * len(names) / whole, 0), top],
            "range": [len(names) - 0.5, -0.5], "tickvals": list(range(len(names))),
            "showgrid": False,
            "ticktext": [f"{shorten(str(name), 18)} ({n:,})" if name else ""
                         for name, n in shown.items()],
        }  # fmt: skip
        figure.add_annotation(
            text=f"<b>{plain(indicator)}</b>", x=0, xref="paper", xanchor="left", y=top,
            yref="paper", yanchor="bottom", showarrow=False, font_size=12,
        )  # fmt: skip
    figure.update_layout(
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": -12 / whole, "yanchor": "top",
                "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        margin={"b": 64, "r": 24},
    )  # fmt: skip


def _band(part: pd.DataFrame, y: list[int], axes: dict[str, object]) -> go.Scatter:
    ends = zip(part["p10"], part["p90"], y, strict=True)
    points = [point for low, high, at in ends for point in ((low, at), (high, at), (None, None))]
    return go.Scatter(
        x=[x for x, _ in points], y=[at for _, at in points], mode="lines",
        line={"color": _MIDDLE, "width": 9}, name="8 in 10 journeys", hoverinfo="skip", **axes,
    )  # fmt: skip


def _medians(part: pd.DataFrame, y: list[int], axes: dict[str, object]) -> go.Scatter:
    return go.Scatter(
        x=part["median"].tolist(), y=y, mode="markers", name="median", hoverinfo="skip",
        marker={"symbol": "line-ns", "size": 16, "line": {"color": "#0072b2", "width": 3}}, **axes,
    )  # fmt: skip


def _means(part: pd.DataFrame, y: list[int], axes: dict[str, object]) -> go.Scatter:
    ends = _whiskers(part)
    return go.Scatter(
        x=part["mean"].tolist(),
        y=y,
        mode="markers",
        marker={"color": _MEAN, "size": 7},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (ends["upper"] - part["mean"]).clip(lower=0).tolist(),
            "arrayminus": (part["mean"] - ends["lower"]).clip(lower=0).tolist(),
            "color": _MEAN,
            "thickness": 1.6,
            "width": 4,
        },
        name="mean",
        text=[_facts(str(name), row) for name, row in part.iterrows()],
        hovertemplate="%{text}<extra></extra>",
        **axes,
    )


def _whiskers(part: pd.DataFrame) -> pd.DataFrame:
    """Ends of the intervals that are drawn; the mean itself where there are too few journeys."""
    known = (part["n"] >= _FEW) & part["lower"].notna()
    return pd.DataFrame({end: part[end].where(known, part["mean"]) for end in ("lower", "upper")})


def _facts(name: str, row: pd.Series) -> str:
    who = f", {name}" if name else ""
    return (
        f"<b>{plain(row['indicator'])}{who}</b><br>mean {_mean(row)}, n {row['n']:,}<br>"
        f"8 in 10 journeys from {row['p10']:.2f} to {row['p90']:.2f}, median {row['median']:.2f}"
    )


def _mean(row: pd.Series) -> str:
    text = f"{row['mean']:.2f}"
    if pd.isna(row["lower"]):
        return text
    return f"{text} (95% interval {row['lower']:.2f} to {row['upper']:.2f})"


def _reading(rows: pd.DataFrame, shown: pd.Series, panels: list[str]) -> str:
    """Means of the largest group, and where there are several the highest and the lowest."""
    text = f"How mixed and changeable {int(shown.sum()):,} journeys are."
    for indicator in panels:
        part = rows[(rows["indicator"] == indicator) & rows["_name"].isin(shown.index)]
        name = plain(indicator)
        text += f" {name[:1].upper()}{name[1:]}: "
        if len(part) == 1:
            mean = _mean(part.iloc[0])
            text += f"{mean.replace(' (', ' on average (', 1)}."
            continue
        part = part[part["n"] >= _FEW] if (part["n"] >= _FEW).any() else part
        high, low = part.iloc[part["mean"].argmax()], part.iloc[part["mean"].argmin()]
        text += (
            f"highest for {high['_name']}, {_mean(high)}, lowest for {low['_name']}, {_mean(low)}."
        )
    return text
