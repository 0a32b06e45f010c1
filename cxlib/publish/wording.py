"""What dashboards say: tiles, notes on small groups and on chance, and names in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from cxlib.plot.canvas import plain
from cxlib.publish.selection import LEAST
from cxlib.publish.widgets import Tile

__all__ = ["chance_note", "enough", "first_known", "named", "summary_tiles"]


def summary_tiles(now: pd.DataFrame, before: pd.DataFrame | None = None) -> tuple[Tile, ...]:
    """Tiles of what ``cxlib.summary`` says, with the change since the period before.

    Parameters
    ----------
    now
        Of the journeys shown.
    before
        Of those of the period before, where there is one.

    Returns
    -------
    tuple of Tile
        Customers, journeys, and how long ended journeys are.

    Examples
    --------
    >>> now = pd.DataFrame({"customers": [120], "journeys": [150], "events": [600], "ended": [100],
    ...                     "open": [50], "median_length": [4.0], "median_duration_days": [2.5]})
    >>> [f"{tile.label} {tile.value}" for tile in summary_tiles(now)]
    ['customers 120', 'journeys 150', 'events per journey 4', 'time per journey 2.5 days']
    """
    row = now.iloc[0]
    old = None if before is None or before["customers"].iloc[0] < LEAST else before.iloc[0]
    notes = {
        "customers": "with at least one event",
        "journeys": f"{row['open']:,.0f} of them still open",
        "median_length": f"median of {row['ended']:,.0f} that ended",
        "median_duration_days": f"median of {row['ended']:,.0f} that ended",
    }
    labels = ("customers", "journeys", "events per journey", "time per journey")
    return tuple(
        Tile(label, _shown(name, row[name]), _change(row, old, name) or note)
        for label, (name, note) in zip(labels, notes.items(), strict=True)
    )


def _change(now: pd.Series, before: pd.Series | None, name: str) -> str:
    if before is None or pd.isna(before[name]) or pd.isna(now[name]):
        return ""
    difference = now[name] - before[name]
    if difference == 0:
        return f"as in the period before ({_shown(name, before[name])})"
    arrow = "▲" if difference > 0 else "▼"
    return f"{arrow} from {_shown(name, before[name])} in the period before"


def _shown(name: str, value: float) -> str:
    if not name.endswith("_days") or pd.isna(value):
        return _number(value)
    for unit, parts in (("days", 1), ("hours", 24)):
        if value * parts >= 2:
            return f"{_number(value * parts)} {unit}"
    return f"{_number(value * 24 * 60)} minutes"


def _number(value: float) -> str:
    if pd.isna(value):
        return "–"
    short = round(float(value), 1)
    return f"{short:,.0f}" if short.is_integer() or abs(short) >= 100 else f"{short:,.1f}"


def enough(
    frame: pd.DataFrame, column: str = "customers", what: str = "rows", *, by: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of at least 10 customers, and a note on those that are left out.

    Parameters
    ----------
    frame
        What a noun gives.
    column
        Column that counts the customers, or what stands for them.
    what
        What is left out, in the plural: "groups".
    by
        Column of groups; a group is then kept or left out as a whole, by its sum.

    Returns
    -------
    tuple of pandas.DataFrame and list of str
        The list is empty when all are shown.

    Examples
    --------
    >>> frame = pd.DataFrame({"plan": ["pro", "pro", "basic"], "n": [4, 6, 3]})
    >>> enough(frame, "n", "groups", by="plan")[1]
    ['1 of 2 groups has fewer than 10 customers and is not shown.']
    """
    size = frame[column] if by is None else frame.groupby(by)[column].transform("sum")
    shown = frame[size >= LEAST]
    every, left = (len(f) if by is None else f[by].nunique() for f in (frame, shown))
    if every == left:
        return shown, []
    has, is_ = ("has", "is") if every - left == 1 else ("have", "are")
    few = f"{has} fewer than {LEAST} customers and {is_} not shown."
    return shown, [f"{every - left:,} of {every:,} {what} {few}"]


def chance_note(test: pd.DataFrame) -> str:
    """What a log-rank test says, in plain language.

    Parameters
    ----------
    test
        What ``cxlib.logrank`` gives.

    Returns
    -------
    str
        One sentence with the p-value.

    Examples
    --------
    >>> chance_note(pd.DataFrame({"p_value": [0.31], "degrees_of_freedom": [2], "events": [40]}))
    'The differences between the groups may be chance (log-rank test, p = 0.310, 40 events).'
    """
    row = test.iloc[0]
    p = "p < 0.001" if row["p_value"] < 0.001 else f"p = {row['p_value']:.3f}"
    evidence = f"(log-rank test, {p}, {row['events']:,.0f} events)"
    if row["p_value"] < 0.05:
        return (
            f"The groups differ by more than chance explains {evidence}. "
            "That is an association: it does not say that the group is the cause."
        )
    return f"The differences between the groups may be chance {evidence}."


def named(touchpoints: Iterable[str]) -> list[tuple[str, str]]:
    """Touchpoints as options of a filter: how they are said, and their name, by alphabet.

    Parameters
    ----------
    touchpoints
        Their names.

    Returns
    -------
    list of tuple of str and str
        Text and value.

    Examples
    --------
    >>> named(["signed_up", "opened_ticket"])
    [('opened ticket', 'opened_ticket'), ('signed up', 'signed_up')]
    """
    return sorted((plain(name), name) for name in touchpoints)


def first_known(wanted: Iterable[str], known: Sequence[str]) -> str:
    """First of the wanted names that exists, or else the first that exists.

    Parameters
    ----------
    wanted
        Names, the best first.
    known
        Names that exist.

    Returns
    -------
    str
        One of those that exist.

    Examples
    --------
    >>> first_known(["signed_up", "registered"], ["viewed_home", "registered"])
    'registered'
    """
    return next((name for name in wanted if name in known), known[0])
