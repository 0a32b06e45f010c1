"""What `sources.yml` may say, checked on load with the line of each mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from cxlib.descriptions import read_description
from cxlib.errors import unknown_name
from cxlib.spans import parse_span
from cxlib.tables import CONTRACTS, END, OPEN, OTHER, START

__all__ = ["Check", "EventRule", "Source", "Sources", "load_sources"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_YEARS = range(1900, 2101)
RESERVED = (START, END, OPEN, OTHER)
"""Names that a path uses for what is no touchpoint."""
_FIELDS = ("channel", "stage", "department", "product", "layer")


def _zone(name: str) -> str:
    # "localtime" is whatever this computer says: another one would build another store.
    known = available_timezones() - {"localtime"}
    if name not in known:
        raise unknown_name("time zone", name, known)
    return name


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _as_text(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    # YAML reads true, yes and dates as values, and an export may write them in many ways.
    if not isinstance(value, str):
        raise ValueError(f"YAML reads {value} as no text; put it in quotes, as the export has it")
    return value


def _moment(value: Any, time_of_day: time) -> Any:
    if isinstance(value, str):
        value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
    if not isinstance(value, date) or value.year not in _YEARS:
        raise ValueError("write a date between 1900 and 2100, such as 2024-12-31")
    # A date means the whole day: what happened on the first and on the last day was seen.
    return value if isinstance(value, datetime) else datetime.combine(value, time_of_day)


def _first_moment(value: Any) -> Any:
    return _moment(value, time.min)


def _last_moment(value: Any) -> Any:
    return _moment(value, time.max)


def _delimiter(value: str) -> str:
    if len(value) != 1 or value in '"\r\n':
        raise ValueError('write the one character between two fields in quotes, such as ";"')
    return value


def _as_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Zone = Annotated[str, AfterValidator(_zone)]
Span = Annotated[timedelta, BeforeValidator(parse_span)]
Text = Annotated[str, BeforeValidator(_as_text)]
Values = Annotated[tuple[Text, ...], BeforeValidator(_as_list)]
Conditions = dict[str, Values]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _differ_by_more_than_case(kind: str, names: Iterable[str]) -> None:
    spelled: dict[str, str] = {}
    for name in names:
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(f"the {kind}s {other!r} and {name!r} differ by case only; rename one")


class TimeColumn(_Strict):
    """Column that holds a time: ISO 8601 by default, in the workspace's zone without an offset."""

    column: str
    format: str | None = None
    zone: Zone | None = None


class FieldColumn(_Strict):
    """Column whose value an event takes, as it is or by a map."""

    column: str
    map: dict[Text, Text] = Field(default_factory=dict)
    other: Literal["keep", "reject"] = "keep"

    @model_validator(mode="after")
    def _names_what_it_keeps(self) -> FieldColumn:
        if self.other == "reject" and not self.map:
            raise ValueError("other: reject needs a map of the values to keep")
        return self


class Score(_Strict):
    """Column that holds a score, and the scale that turns it into a sentiment."""

    column: str
    scale: Literal["nps", "csat", "ces"]


class CustomerKey(_Strict):
    """How a row says whose it is: by the shared key, or by another source's id."""

    key: str | None = None
    column: str | None = None
    of: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> CustomerKey:
        by_key = self.key is not None and self.column is None and self.of is None
        by_reference = self.key is None and self.column is not None and self.of is not None
        if not (by_key or by_reference):
            raise ValueError("give either {key: COLUMN} or {column: COLUMN, of: SOURCE}")
        return self


class EventRule(_Strict):
    """One kind of event that a row of a source may stand for."""

    touchpoint: str | FieldColumn
    time: Annotated[TimeColumn, BeforeValidator(_as_column)]
    optional: bool = False
    when: Conditions = Field(default_factory=dict)
    channel: str | FieldColumn | None = None
    stage: str | FieldColumn | None = None
    department: str | FieldColumn | None = None
    product: str | FieldColumn | None = None
    layer: Literal["product", "relationship"] | FieldColumn | None = None
    owned: bool | None = None
    value: str | None = None
    score: Score | None = None
    text: str | None = None
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_a_touchpoint(self) -> EventRule:
        named = self.touchpoint
        for name in [named] if isinstance(named, str) else named.map.values():
            if not name.strip() or name != name.strip() or name in RESERVED:
                reserved = ", ".join(RESERVED)
                raise ValueError(
                    f"no touchpoint may be called {name!r}; give a name without spaces around it, "
                    f"other than {reserved}"
                )
        return self

    def fields(self) -> dict[str, str | FieldColumn | None]:
        """Descriptive texts of the event, by name."""
        return {name: getattr(self, name) for name in _FIELDS}

    def columns_used(self) -> set[str]:
        """Columns of the source that the rule reads."""
        described = [*self.fields().values(), self.touchpoint, self.score]
        named = {item.column for item in described if isinstance(item, FieldColumn | Score)}
        plain = {self.value, self.text} - {None}
        return (
            named
            | {str(name) for name in plain}
            | {self.time.column}
            | set(self.when)
            | set(self.columns)
        )


class Source(_Strict):
    """One export: its file, whose rows they are, and the events that they stand for."""

    file: str = Field(min_length=1)
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    id: str | None = None
    customer: CustomerKey
    journey: str | None = None
    attributes: tuple[str, ...] = ()
    events: tuple[EventRule, ...] = ()

    def columns_used(self) -> set[str]:
        """Columns that the export must have."""
        own = {self.id, self.customer.key, self.customer.column, self.journey} - {None}
        rules = (rule.columns_used() for rule in self.events)
        return {str(name) for name in own}.union(self.attributes, *rules)


class TextRule(_Strict):
    """How the sentiment of what customers write is made."""

    calibrate: bool = False


class JourneyRule(_Strict):
    """Where one journey of a customer ends and the next begins."""

    split_after: Span | None = None
    start: Values = ()
    end: Values = ()
    closes_after: Span | None = None

    @property
    def silence(self) -> timedelta | None:
        """Silence after which the last journey of a customer counts as ended."""
        return self.split_after if self.closes_after is None else self.closes_after


class Member(_Strict):
    """Customers who have a row in a source, or one that meets a condition."""

    source: str
    when: Conditions = Field(default_factory=dict)


class Check(_Strict):
    """Something that the exports should agree on; the build counts where they do not."""

    name: str
    source: str | None = None
    column: str | None = None
    not_before: str | None = None
    agree: tuple[Member, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Check:
        order = None not in (self.source, self.column, self.not_before)
        if order == bool(self.agree) or (self.agree and len(self.agree) < 2):
            raise ValueError(
                "give either source, column and not_before, or agree with two or more members"
            )
        if order and str(self.not_before).count(".") != 1:
            raise ValueError("write not_before as SOURCE.COLUMN")
        return self


class Sources(_Strict):
    """A workspace's exports and what they mean.

    Examples
    --------
    >>> shop = Sources.model_validate({
    ...     "name": "shop",
    ...     "sources": {"orders": {
    ...         "file": "orders.csv",
    ...         "customer": {"key": "account"},
    ...         "events": [{"touchpoint": "placed_order", "time": "placed_at"}],
    ...     }},
    ... })
    >>> sorted(shop.sources["orders"].columns_used())
    ['account', 'placed_at']
    """

    name: str
    observed_from: Annotated[datetime, BeforeValidator(_first_moment)] | None = None
    observed_until: Annotated[datetime, BeforeValidator(_last_moment)] | None = None
    timezone: Zone = "UTC"
    journeys: JourneyRule = JourneyRule()
    personal: tuple[str, ...] = ()
    text: TextRule = TextRule()
    sources: dict[str, Source] = Field(min_length=1)
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Sources:
        extras: list[str] = []
        attributes: list[str] = []
        for name, source in self.sources.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"the source {name!r} needs a name of letters, digits and _")
            extra = [column for rule in source.events for column in rule.columns]
            taken = {column for column in extra if column.casefold() in CONTRACTS["events"]}
            if taken:
                raise ValueError(
                    f"the source {name!r} keeps a column {min(taken)!r}, which every event has; "
                    "map it by that field instead"
                )
            if source.customer.of is not None:
                self._refers(name, source.customer.of)
            extras += extra
            attributes += source.attributes
        for kind, names in (
            ("source", self.sources),
            ("column", extras),
            ("attribute", attributes),
        ):
            _differ_by_more_than_case(kind, names)
        for check in self.checks:
            members = [member.source for member in check.agree]
            order = [str(check.source), str(check.not_before).split(".")[0]] if check.source else []
            for member in members + order:
                if member not in self.sources:
                    raise unknown_name("source", member, self.sources, f"for {check.name!r}")
        self.in_order()
        return self

    def _refers(self, name: str, other: str) -> None:
        if other not in self.sources:
            raise unknown_name("source", other, self.sources, f"for the customers of {name!r}")
        if self.sources[other].id is None:
            raise ValueError(
                f"the source {name!r} refers to {other!r}, which names no id; add id: COLUMN to it"
            )

    def in_order(self) -> list[str]:
        """Names of the sources, each after the one whose ids it refers to."""
        done: list[str] = []
        while len(done) < len(self.sources):
            ready = [
                name
                for name, source in self.sources.items()
                if name not in done and (source.customer.of is None or source.customer.of in done)
            ]
            if not ready:
                circle = ", ".join(repr(name) for name in self.sources if name not in done)
                raise ValueError(f"the sources {circle} refer to each other in a circle")
            done.extend(ready)
        return done

    def window(self) -> tuple[datetime | None, datetime | None]:
        """Declared start and end of observation in naive UTC, each None where it is not given."""
        return self._in_utc(self.observed_from), self._in_utc(self.observed_until)

    def _in_utc(self, declared: datetime | None) -> datetime | None:
        if declared is None:
            return None
        if declared.tzinfo is None:
            declared = declared.replace(tzinfo=ZoneInfo(self.timezone))
        return declared.astimezone(UTC).replace(tzinfo=None)


def load_sources(path: str | Path) -> Sources:
    """Description of a workspace's exports, from YAML.

    Parameters
    ----------
    path
        The file, usually ``sources.yml``.

    Returns
    -------
    Sources
        Checked: unknown words, missing ones, wrong types and dangling references are refused.

    Raises
    ------
    CxError
        When the file is missing, is not YAML, or says something that it may not; the message names
        the file, the line and the mend.

    Examples
    --------
    >>> load_sources("nowhere/sources.yml")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no file 'nowhere/sources.yml'; it says what each export holds
    """
    return read_description(path, Sources, says="what each export holds", needs="name and sources")
