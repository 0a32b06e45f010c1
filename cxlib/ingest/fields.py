"""What one row of an export gives, in the words of `sources.yml`: customer, facts, events."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from cxlib.engine.zones import check_zone
from cxlib.spans import parse_span
from cxlib.tables import END, OPEN, OTHER, START

__all__ = [
    "RESERVED",
    "Attribute",
    "Borrowed",
    "Conditions",
    "CustomerKey",
    "EventRule",
    "FieldColumn",
    "IdentityRule",
    "Money",
    "Score",
    "Span",
    "SpanText",
    "Strict",
    "Text",
    "TimeColumn",
    "Values",
    "Zone",
    "as_attribute",
    "as_column",
    "as_names",
]

RESERVED = (START, END, OPEN, OTHER)
"""Names that a path uses for what is no touchpoint."""
_FIELDS = ("channel", "stage", "department", "product", "layer")
_CURRENCY = re.compile(r"[A-Z]{3}")


def _span_text(value: Any) -> Any:
    parse_span(value)
    return value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _as_text(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    # YAML reads true, yes and dates as values, and an export may write them in many ways.
    if not isinstance(value, str):
        raise ValueError(f"YAML reads {value} as no text; put it in quotes, as the export has it")
    return value


def as_column(value: Any) -> Any:
    """A bare name as the column that it means."""
    return {"column": value} if isinstance(value, str) else value


def as_attribute(value: Any) -> Any:
    """A bare name, or a column without one, as the attribute of that name."""
    value = as_column(value)
    named = isinstance(value, dict) and "name" not in value and "column" in value
    return {"name": value["column"], **value} if named else value


def as_names(value: Any) -> Any:
    """A list of columns as columns by their own names."""
    return {name: name for name in value} if isinstance(value, list | tuple) else value


Zone = Annotated[str, AfterValidator(check_zone)]
Span = Annotated[timedelta, BeforeValidator(parse_span)]
SpanText = Annotated[str, BeforeValidator(_span_text)]
Text = Annotated[str, BeforeValidator(_as_text)]
Values = Annotated[tuple[Text, ...], BeforeValidator(_as_list)]
Conditions = dict[str, Values]


class Strict(BaseModel):
    """Words of `sources.yml`: an unknown one is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TimeColumn(Strict):
    """Column that holds a time: ISO 8601 by default, in the workspace's zone without an offset."""

    column: str
    format: str | None = None
    zone: Zone | None = None
    fold: Literal["first", "second"] = "second"


class FieldColumn(Strict):
    """Column whose value an event takes, as it is or by a map."""

    column: str
    map: dict[Text, Text] = Field(default_factory=dict)
    other: Literal["keep", "reject"] = "keep"

    @model_validator(mode="after")
    def _names_what_it_keeps(self) -> FieldColumn:
        if self.other == "reject" and not self.map:
            raise ValueError("other: reject needs a map of the values to keep")
        return self


class Attribute(FieldColumn):
    """Fact about a customer: a column by its own or another name, and since when it holds."""

    name: str
    valid_from: Annotated[TimeColumn | None, BeforeValidator(as_column)] = None


class Money(Strict):
    """Column that holds an amount of money; in cents and the like with ``minor_units``."""

    column: str
    minor_units: bool = False
    negative: bool = False


class Score(Strict):
    """Column that holds a score, and the scale that turns it into a sentiment."""

    column: str
    scale: Literal["nps", "csat", "ces"]


class Borrowed(Strict):
    """Columns that a row takes over from a row of another source, which it names by its id."""

    source: str = Field(alias="of")
    by: str
    columns: Annotated[dict[str, str], BeforeValidator(as_names)] = Field(min_length=1)


class CustomerKey(Strict):
    """How a row says whose it is: by the shared key, or by another source's id."""

    key: str | None = None
    since: Annotated[TimeColumn | None, BeforeValidator(as_column)] = None
    otherwise: str | None = None
    column: str | None = None
    of: str | None = None
    unknown: Literal["keep", "reject"] = "reject"

    @model_validator(mode="after")
    def _one_way(self) -> CustomerKey:
        by_key = self.key is not None and self.column is None and self.of is None
        by_reference = self.key is None and self.column is not None and self.of is not None
        if not (by_key or by_reference):
            raise ValueError("give either {key: COLUMN} or {column: COLUMN, of: SOURCE}")

        if by_reference and self.since is not None:
            raise ValueError("since says from when a key was known; it goes with {key: COLUMN}")
        if by_key and self.unknown == "keep":
            raise ValueError("unknown: keep goes with of: SOURCE; here say otherwise: COLUMN")
        return self


class IdentityRule(Strict):
    """Columns that tell who a row is about; by them records of all systems are linked."""

    name: str | None = None
    given_name: str | None = None
    surname: str | None = None
    email: str | None = None
    phone: str | None = None
    house_number: str | None = None
    street: str | None = None
    city: str | None = None
    postcode: str | None = None
    birth_date: Annotated[TimeColumn | None, BeforeValidator(as_column)] = None

    @model_validator(mode="after")
    def _tells_somebody(self) -> IdentityRule:
        if self.name is not None and (self.given_name is not None or self.surname is not None):
            raise ValueError("give either name, or given_name and surname")
        if not self.columns_used():
            raise ValueError("name at least one column, such as {name: COLUMN, email: COLUMN}")
        return self

    def columns_used(self) -> set[str]:
        """Columns of the source that the rule reads."""
        own = {getattr(self, name) for name in type(self).model_fields if name != "birth_date"}
        born = {self.birth_date.column} if self.birth_date is not None else set()
        return {str(name) for name in own - {None}} | born

    def personal_columns(self) -> set[str]:
        """Those of them that are hidden: all but the city."""
        return self.columns_used() - {self.city}


class EventRule(Strict):
    """One kind of event that a row of a source may stand for."""

    touchpoint: str | FieldColumn
    time: Annotated[TimeColumn, BeforeValidator(as_column)]
    optional: bool = False
    when: Conditions = Field(default_factory=dict)
    unless: Conditions = Field(default_factory=dict)
    channel: str | FieldColumn | None = None
    stage: str | FieldColumn | None = None
    department: str | FieldColumn | None = None
    product: str | FieldColumn | None = None
    layer: Literal["product", "relationship"] | FieldColumn | None = None
    owned: bool | None = None
    value: Annotated[Money | None, BeforeValidator(as_column)] = None
    currency: str | FieldColumn | None = None
    score: Score | None = None
    text: str | None = None
    columns: Annotated[dict[str, str], BeforeValidator(as_names)] = Field(default_factory=dict)

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

    @model_validator(mode="after")
    def _names_a_currency(self) -> EventRule:
        said = self.currency
        for code in [said] if isinstance(said, str) else said.map.values() if said else ():
            if not _CURRENCY.fullmatch(code):
                raise ValueError(
                    f"no currency is called {code!r}; write its three capital letters, such as EUR"
                )
        if said is not None and self.value is None:
            raise ValueError("a currency needs a value; add value: COLUMN")
        if said is None and self.value is not None and self.value.minor_units:
            raise ValueError("minor_units needs a currency, which says what a cent is of a unit")
        return self

    def fields(self) -> dict[str, str | FieldColumn | None]:
        """Descriptive texts of the event, by name."""
        return {name: getattr(self, name) for name in _FIELDS}

    def columns_used(self) -> set[str]:
        """Columns of the source that the rule reads."""
        described = [
            *self.fields().values(),
            self.touchpoint,
            self.score,
            self.currency,
            self.value,
        ]
        named = {item.column for item in described if isinstance(item, FieldColumn | Score | Money)}
        text = {self.text} if self.text is not None else set()
        return (
            named | text | {self.time.column}.union(self.when, self.unless, self.columns.values())
        )
