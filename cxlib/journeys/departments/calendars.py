"""Working hours: how much of a wait fell into the hours in which somebody could work on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.engine.zones import check_zone
from cxlib.errors import CxError, unknown_name
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_moment

__all__ = ["WorkingHours"]

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_DAY = 86_400_000_000
_MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True)
class WorkingHours:
    """Hours in which people work, by the wall clock of one time zone.

    Parameters
    ----------
    days
        Days of the week that are worked, in English, "monday" to "sunday".
    opening, closing
        First and last moment of a working day, such as "09:00" and "17:00"; "24:00" is midnight.
    zone
        Time zone of the wall clock, such as "Europe/Berlin".
    holidays
        Dates that are not worked, such as "2024-12-25".

    Raises
    ------
    CxError
        For an unknown day or zone, a time or date that cannot be read, or a closing that is not
        after the opening.

    Notes
    -----
    Opening and closing are what the clock on the wall shows; what lies between them is time that
    really passes. Where summer time begins or ends within the working day, that day is an hour
    shorter or longer. A wall time that the clock skips is read as if it had not been put forward
    yet, and one that it shows twice is its first showing.

    Examples
    --------
    >>> office = WorkingHours(zone="Europe/Berlin", holidays=["2024-04-01"])
    >>> office.hours_between("2024-03-29T15:00", "2024-04-02T08:00")  # Friday 16 h, Tuesday 10 h
    2.0
    """

    days: tuple[str, ...] = DAYS[:5]
    opening: str = "09:00"
    closing: str = "17:00"
    zone: str = "UTC"
    holidays: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Tidy the days and dates, and refuse what cannot be."""
        object.__setattr__(self, "days", _known_days(self.days))
        dates = (self.holidays,) if isinstance(self.holidays, str | date) else self.holidays
        holidays = tuple(sorted({parse_moment(day).date().isoformat() for day in dates}))
        object.__setattr__(self, "holidays", holidays)
        if _of_clock(self.closing) <= _of_clock(self.opening):
            raise CxError(
                f"the closing {self.closing!r} is not after the opening {self.opening!r}; "
                "give two times of one day, such as '09:00' and '17:00'"
            )
        check_zone(self.zone)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Working hours from settings, such as a YAML file holds them.

        Parameters
        ----------
        settings
            Any of ``days, opening, closing, zone, holidays``.

        Returns
        -------
        WorkingHours

        Raises
        ------
        CxError
            For a setting that does not exist.

        Examples
        --------
        >>> WorkingHours.from_mapping({"opening": "08:00", "days": ["monday"]}).days
        ('monday',)
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise unknown_name("setting", name, known, "of working hours")
        return cls(**settings)

    def hours_between(self, start: str | datetime, end: str | datetime) -> float:
        """Working hours between two moments.

        Parameters
        ----------
        start, end
            Moments; without an offset they are UTC.

        Returns
        -------
        float
            Negative when ``end`` is the earlier one.

        Examples
        --------
        >>> WorkingHours().hours_between("2024-01-05T16:00", "2024-01-08T10:00")
        2.0
        """
        first, last = parse_moment(start), parse_moment(end)
        calendar = self._days(min(first, last), max(first, last))
        worked = [_worked_until(calendar, moment) for moment in (first, last)]
        return (worked[1] - worked[0]) / _MICROSECONDS_PER_HOUR

    def add_hours(
        self,
        table: ir.Table,
        start: str,
        end: str,
        *,
        name: str,
        since: datetime,
        until: datetime,
    ) -> ir.Table:
        """Table with the working hours between two of its columns.

        Parameters
        ----------
        table
            Any table.
        start, end
            Its columns with times, UTC.
        name
            Column to add.
        since, until
            Bounds of these times, UTC.

        Returns
        -------
        ibis.expr.types.Table
            As many rows as before; ``name`` is float64, null where a time is null or outside the
            bounds.

        Examples
        --------
        >>> day = datetime(2024, 1, 5)
        >>> waits = ibis.memtable({"a": [day + timedelta(hours=16)], "b": [day + timedelta(4)]})
        >>> office = WorkingHours()
        >>> bounds = {"since": day, "until": day + timedelta(30)}
        >>> office.add_hours(waits, "a", "b", name="hours", **bounds).hours.to_list()
        [9.0]
        """
        calendar = self._days(since, until)
        columns = table.columns
        for role, column in (("_start", start), ("_end", end)):
            days = ibis.memtable(calendar.add_prefix(role))
            since_epoch = microseconds_between(
                table[column], ibis.literal(_EPOCH, type="timestamp")
            )
            day = (since_epoch / _MICROSECONDS_PER_DAY).floor().cast("int64")
            table = table.mutate(**{f"{role}_at": since_epoch, f"{role}day": day})
            table = table.left_join(days, f"{role}day")
            within = table[f"{role}_at"] - table[f"{role}day"] * _MICROSECONDS_PER_DAY
            worked = table[f"{role}before"]
            for part in range(_parts(calendar)):
                low, high = table[f"{role}open{part}"], table[f"{role}close{part}"]
                worked = worked + ibis.greatest(ibis.least(within, high) - low, 0)
            table = table.mutate(**{f"{role}_worked": worked})
        hours = (table["_end_worked"] - table["_start_worked"]) / _MICROSECONDS_PER_HOUR
        return table.select(*columns, **{name: hours.cast("float64")})

    def _days(self, since: datetime, until: datetime) -> pd.DataFrame:
        """One row per day UTC: microseconds worked before it, and its spells of work.

        A working day of the zone may fall on two days UTC, so that a day UTC may hold the end of
        one and the beginning of another.
        """
        first, last = ((moment - _EPOCH) // _DAY for moment in (since, until))
        spells: dict[int, list[tuple[int, int]]] = {day: [] for day in range(first, last + 1)}
        for number in range(first - 2, last + 3):
            for day, begin, end in _by_day(*self._spell(_EPOCH.date() + number * _DAY)):
                if day in spells:
                    spells[day].append((begin, end))
        most = max(map(len, spells.values()))
        frame = pd.DataFrame({"day": list(spells)}, dtype="int64")
        for part in range(max(most, 1)):
            found = [spell[part] if part < len(spell) else (0, 0) for spell in spells.values()]
            frame[[f"open{part}", f"close{part}"]] = np.array(found, dtype="int64")
        worked = sum(frame[f"close{n}"] - frame[f"open{n}"] for n in range(_parts(frame)))
        frame["before"] = np.cumsum(worked) - worked
        return frame

    def _spell(self, day: date) -> tuple[int, int]:
        """Opening and closing on a date of the zone, in microseconds since 1970 UTC."""
        if DAYS[day.weekday()] not in self.days or day.isoformat() in self.holidays:
            return (0, 0)
        zone = ZoneInfo(self.zone)
        ends = []
        for clock in (self.opening, self.closing):
            wall = datetime.combine(day, time()) + _of_clock(clock)
            moment = wall.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
            ends.append((moment - _EPOCH) // _MICROSECOND)
        # A zone may skip a whole working day, as Samoa did on 30 December 2011.
        return (ends[0], max(ends))


def _parts(calendar: pd.DataFrame) -> int:
    return sum(name.startswith("open") for name in calendar.columns)


def _by_day(begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Each day UTC that a spell touches, with its part of it in microseconds since midnight."""
    while begin < end:
        day, since = divmod(begin, _MICROSECONDS_PER_DAY)
        midnight = (day + 1) * _MICROSECONDS_PER_DAY
        yield day, since, since + min(end, midnight) - begin
        begin = midnight


def _worked_until(calendar: pd.DataFrame, moment: datetime) -> int:
    day = (moment - _EPOCH) // _DAY
    row = calendar.loc[calendar["day"] == day].iloc[0]
    within = (moment - _EPOCH - day * _DAY) // _MICROSECOND
    spells = [(row[f"open{part}"], row[f"close{part}"]) for part in range(_parts(calendar))]
    return int(row["before"] + sum(max(min(within, close) - begin, 0) for begin, close in spells))


def _of_clock(text: str) -> timedelta:
    """Time since midnight that a clock shows."""
    if text == "24:00":
        return _DAY
    try:
        moment = time.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise CxError(
            f"the time {text!r} is not a time of the day; write it as '09:00' or '17:30'"
        ) from error
    return timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)


def _known_days(days: str | Iterable[str]) -> tuple[str, ...]:
    names = [days] if isinstance(days, str) else list(days)
    for name in names:
        if name not in DAYS:
            raise unknown_name("day of the week", name, DAYS)
    if not names:
        raise CxError("no day is worked; name at least one, such as days=['monday']")
    return tuple(day for day in DAYS if day in names)
