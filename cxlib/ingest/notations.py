"""In which notation a column's times and numbers are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import partial

import pandas as pd

from cxlib.ingest.rules import NUMBERS

__all__ = [
    "FORMATS",
    "MOSTLY",
    "are_numbers",
    "decimal_sign",
    "filled",
    "is_ambiguous",
    "is_time",
    "share",
    "time_format",
]

MOSTLY = 0.9
"""Share of the values that must fit a notation: every export has a few that are mistakes."""
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?"
)
FORMATS = [
    f"{day}{time}"
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d")
    for time in ("", " %H:%M", " %H:%M:%S")
]
"""Formats of times other than ISO 8601 that are tried."""
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SIGNED = {sign: re.compile(pattern) for sign, pattern in NUMBERS.items()}


def filled(values: pd.Series) -> pd.Series:
    """Values of a column as text without spaces around it, empty ones left out.

    Examples
    --------
    >>> filled(pd.Series([" a", "", None])).tolist()
    ['a']
    """
    text = values.dropna().astype("str").str.strip()
    return text[text != ""]


def share(values: pd.Series, pattern: re.Pattern[str]) -> float:
    """Share of the values that match a pattern as a whole; 0 where there are none.

    Examples
    --------
    >>> share(pd.Series(["EUR", "1"]), re.compile("[A-Z]{3}"))
    0.5
    """
    return (
        float(values.map(lambda text: bool(pattern.fullmatch(text))).mean()) if len(values) else 0.0
    )


def time_format(values: pd.Series, *, at_least: float = MOSTLY) -> str | None:
    """None for ISO 8601, a format, or an empty text where a column holds no times.

    Parameters
    ----------
    values
        Its values as text (``filled``).
    at_least
        Share of them that must be times: one impossible date makes no other column of it.

    Examples
    --------
    >>> time_format(pd.Series([*["24.12.2024"] * 19, "31.02.2024"]))
    '%d.%m.%Y'
    >>> time_format(pd.Series(["2024-12-24"])) is None, time_format(pd.Series(["soon"]))
    (True, '')
    """
    if share(values, _ISO) > at_least:
        return None
    # A column of numbers or words is none of times, whatever the format: a few values tell.
    first = values.head(10)
    likely = [form for form in FORMATS if any(is_time(text, form) for text in first)]
    shares = {form: sum(is_time(text, form) for text in values) / len(values) for form in likely}
    best = max(shares, key=lambda form: shares[form], default="")
    return best if best and shares[best] > at_least else ""


def is_time(text: str, form: str | None) -> bool:
    """Whether a text is a time in a format; None is ISO 8601.

    Examples
    --------
    >>> is_time("31.02.2024", "%d.%m.%Y"), is_time("2024-02-28T10:00Z", None)
    (False, True)
    """
    if form is None:
        return _ISO.fullmatch(text) is not None
    try:
        return 1900 <= datetime.strptime(text, form).year < 2100
    except ValueError:
        return False


def is_ambiguous(values: pd.Series, form: str) -> bool:
    """Whether the times may as well have the month before the day, or after it.

    Examples
    --------
    >>> is_ambiguous(pd.Series(["03/02/2024", "31/31/2024"]), "%d/%m/%Y")
    True
    >>> is_ambiguous(pd.Series(["03/02/2024", "13/02/2024"]), "%d/%m/%Y")
    False
    """
    other = form.translate(str.maketrans("dm", "md"))
    times = [text for text in filled(values) if is_time(text, form)]
    return other != form and all(is_time(text, other) for text in times)


def decimal_sign(columns: Iterable[pd.Series]) -> str | None:
    """Sign before the decimals that has to be declared for numbers of an export.

    Parameters
    ----------
    columns
        Values of its columns as text (``filled``).

    Returns
    -------
    str or None
        A comma or a point, where a column of numbers has values that only one of them can read;
        None where all columns of numbers are read as they are.

    Examples
    --------
    >>> decimal_sign([pd.Series(["720,46", "1.499,13"]), pd.Series(["7"])])
    ','
    >>> decimal_sign([pd.Series(["1,499.13"])]), decimal_sign([pd.Series(["720.46"])])
    ('.', None)
    """
    told = {",": 0, ".": 0}
    for values in columns:
        if are_numbers(values, None):
            continue
        fit = {sign: values.map(partial(_is_number, decimal=sign)) for sign in told}
        for sign, other in ((",", "."), (".", ",")):
            if fit[sign].mean() > MOSTLY:
                told[sign] += int((fit[sign] & ~fit[other]).sum())
                # 1,499 alone may be either, but is seldom written where commas part decimals.
                told[sign] += int(sign == "." and values.str.contains(",").any())
    return max(told, key=lambda sign: told[sign]) if any(told.values()) else None


def are_numbers(values: pd.Series, decimal: str | None) -> bool:
    """Whether a column holds numbers, by the decimal sign that is declared for its export.

    Examples
    --------
    >>> are_numbers(pd.Series(["1.499,13"]), ","), are_numbers(pd.Series(["1.499,13"]), None)
    (True, False)
    """
    return bool(len(values)) and bool(
        values.map(lambda text: _is_number(text, decimal)).mean() > MOSTLY
    )


def _is_number(text: str, decimal: str | None) -> bool:
    pattern = _PLAIN if decimal is None else _SIGNED[decimal]
    return any(map(str.isdigit, text)) and pattern.fullmatch(text) is not None
