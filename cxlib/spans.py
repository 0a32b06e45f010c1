"""Spans of time as people write them ("30 days", never 30), and moments in UTC."""

import re
from datetime import UTC, date, datetime, timedelta

from cxlib.errors import CxError

__all__ = ["parse_moment", "parse_span"]

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 7 * 86_400,
}
_LONGEST_SECONDS = 1_000 * 365 * 86_400
_ABBREVIATIONS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week"}


def parse_span(text: str | timedelta) -> timedelta:
    """Length of time from a phrase such as "30 days".

    Parameters
    ----------
    text
        A number and a unit: seconds, minutes, hours, days or weeks. A ``timedelta`` passes through.

    Returns
    -------
    datetime.timedelta
        Exact to the microsecond, never negative.

    Raises
    ------
    CxError
        For a bare number, an unknown unit, or a month or year, whose length is not fixed.

    Examples
    --------
    >>> parse_span("30 days")
    datetime.timedelta(days=30)
    >>> parse_span("1.5 hours")
    datetime.timedelta(seconds=5400)
    """
    if isinstance(text, timedelta):
        if text < timedelta(0):
            raise CxError(f"the span {text} is negative; give a length of time such as '30 days'")
        return text
    if not isinstance(text, str):
        raise CxError(f"the span {text!r} has no unit; write it as text, for example '{text} days'")
    match = _SPAN.fullmatch(text)
    if match is None:
        raise CxError(
            f"the span {text!r} is not a number and a unit; "
            "write for example '30 days' or '2 hours'"
        )
    amount, unit = float(match[1]), match[2].lower()
    unit = _ABBREVIATIONS.get(unit, unit.removesuffix("s"))
    if unit in ("month", "quarter", "year"):
        raise CxError(
            f"a {unit} has no fixed length, so the span {text!r} is unclear; "
            "give days, for example '30 days' or '365 days'"
        )
    if unit not in _SECONDS:
        raise CxError(
            f"the span {text!r} has an unknown unit {match[2]!r}; "
            "use seconds, minutes, hours, days or weeks"
        )
    if amount * _SECONDS[unit] > _LONGEST_SECONDS:
        raise CxError(f"the span {text!r} is longer than 1,000 years; give a shorter one")
    return timedelta(seconds=amount * _SECONDS[unit])


def parse_moment(value: str | date | datetime) -> datetime:
    """Moment in UTC from a datetime or ISO 8601 text.

    Parameters
    ----------
    value
        A date is its first instant. A time without an offset is UTC, one with an offset is
        converted.

    Returns
    -------
    datetime.datetime
        UTC, without a zone, to the microsecond.

    Raises
    ------
    CxError
        For anything else.

    Examples
    --------
    >>> parse_moment("2024-12-31")
    datetime.datetime(2024, 12, 31, 0, 0)
    >>> parse_moment("2024-12-31T23:00:00-02:00")
    datetime.datetime(2025, 1, 1, 1, 0)
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise CxError(
                f"the moment {value!r} is not a date or time; write it as '2024-12-31' "
                "or '2024-12-31T23:59:59'"
            ) from error
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        # Built anew: a pandas Timestamp is a datetime too, and carries nanoseconds.
        parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
        return datetime(*parts, moment.microsecond)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    raise CxError(f"the moment {value!r} is not a date or time; give a datetime or ISO 8601 text")
